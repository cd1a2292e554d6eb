/* sealock audit evidence. What its sources share. Thread: the process has one. */
#ifndef SLK_CLI_EVIDENCE_H
#define SLK_CLI_EVIDENCE_H

#include "bundle.h"
#include "kmsclient/dual.h"
#include "kmsclient/inspect.h"
#include "seal/attest.h"

/* What the answers are made of, gathered while the parts are written. */
struct cli_evidence {
	struct cli *cli;
	const char *out, *config; /* out: the directory */
	const char *tar; /* NULL: none */
	struct kmsc *kms;
	struct cli_bundle bundle;
	char pem[SEAL_ATTEST_PEM_MAX];
	/* keys */
	uint64_t keys, materials, unreadable; /* materials that the token could not show */
	uint64_t exportable; /* with a secret or private object that is not as it has to be */
	uint64_t untold; /* with an attribute of those that the token does not tell */
	uint64_t mismatched; /* whose check values differ */
	uint64_t grants;
	/* the log */
	bool log_there, log_sound;
	uint64_t log_files, log_seq, log_signed_seq, creations;
	/* dual control */
	struct kmsc_dual dual;
	bool dual_known;
	uint64_t proposals;
	/* programs */
	char profile[32], validated[256], self_test_token[256], self_test_front[256];
	uint64_t left_out; /* parts that could not be had */
};

/* Each writes its part, and says in it what could not be had: only a failure of the bundle itself is an error. */
MUST_USE int cli_evidence_about(struct cli_evidence *e, struct slk_error *err);
MUST_USE int cli_evidence_keys(struct cli_evidence *e, struct slk_error *err);
MUST_USE int cli_evidence_policies(struct cli_evidence *e, struct slk_error *err);
MUST_USE int cli_evidence_approvals(struct cli_evidence *e, struct slk_error *err);
MUST_USE int cli_evidence_audit(struct cli_evidence *e, struct slk_error *err);
MUST_USE int cli_evidence_answers(struct cli_evidence *e, struct slk_error *err);

/* A part could not be had: "error": why, inside a map; counted, and said to the operator. */
void cli_evidence_lacks(
	struct cli_evidence *e, yajl_gen json, const char *what, const struct slk_error *why);

int cli_audit_evidence(struct cli *cli, int argc, char **argv);

#endif
