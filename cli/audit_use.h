/* One line of the audit log as commands show and choose it. Thread: the process has one. */
#ifndef SLK_CLI_AUDIT_USE_H
#define SLK_CLI_AUDIT_USE_H

#include <yajl/yajl_tree.h>

#include "base/bytes.h"
#include "out.h"

/* What a line says; "" where it says nothing. Text borrows from the tree. */
struct cli_audit_use {
	yajl_val tree;
	uint64_t time_ns;
	char action[96]; /* "kms:Decrypt"; "head", "torn" .. for lines that are no use */
	const char *principal, *resource, *other_resource, *material, *other_material;
	const char *request_id, *event_id, *correlation_id, *outcome, *error, *message;
	bool is_use;
	bool is_decision; /* a door asked whether it may be done; nothing was done */
	const char *door; /* "gateway", "ingestd" */
};

/* line: without its newline. SLK_MALFORMED, SLK_NO_MEMORY. */
MUST_USE int cli_audit_use_read(struct slk_span line, struct cli_audit_use *out_use);
void cli_audit_use_fini(struct cli_audit_use *use);

/* What is looked for; NULL, 0: anything. Patterns match with * and ?, and ARNs also by what is behind their fifth colon. */
struct cli_audit_filter {
	const char *principal, *action, *key, *request, *outcome;
	uint64_t since_ns, until_ns;
};
bool cli_audit_use_matches(const struct cli_audit_use *use, const struct cli_audit_filter *filter);

/* A row for people, the first with a title. */
void cli_audit_use_print(struct cli_out *out, const struct cli_audit_use *use, bool with_title);

#endif
