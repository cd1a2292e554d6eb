/* sealock audit evidence: a bundle that an auditor checks offline (docs/evidence.md). */
#include "evidence.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attest.h"
#include "audit.h"
#include "format/attest.h"

#define U(n) ((unsigned long long)(n))

void
cli_evidence_lacks(
	struct cli_evidence *e, yajl_gen json, const char *what, const struct slk_error *why)
{
	e->left_out++;
	cli_json_str(json, "error", why->text);
	cli_note("%s: not in the bundle: %s", what, why->text);
}

/* --- the auditor's questions --- */

static void
answer_exported(struct cli_evidence *e)
{
	struct cli_out *out = e->bundle.out;

	cli_out_printf(out,
		"1. Can the master keys be exported?\n"
		"   %llu keys, %llu materials read back from the token just now.\n",
		U(e->keys), U(e->materials));
	if (e->exportable == 0 && e->untold == 0 && e->unreadable == 0 && e->materials > 0)
		cli_out_text(out,
			"   No: of every secret and private key the token tells CKA_SENSITIVE, "
			"CKA_ALWAYS_SENSITIVE,\n   CKA_NEVER_EXTRACTABLE and CKA_LOCAL true, "
			"CKA_EXTRACTABLE false.\n");
	else
		cli_out_printf(out,
			"   Not shown for all: %llu materials have an attribute that is not as it "
			"has to be, of %llu\n   the token does not tell one, %llu could not be "
			"read. See keys.json.\n",
			U(e->exportable), U(e->untold), U(e->unreadable));
	cli_out_text(out,
		"   That is the token's word; no attestation of its vendor is in this "
		"bundle.\n\n");
}

static void
answer_which(struct cli_evidence *e)
{
	cli_out_printf(e->bundle.out,
		"2. Which key is this?\n"
		"   keys.json has both check values of each material: kcv (AES: first 3 bytes of "
		"AES-ECB of a\n   zero block; pairs: first 3 bytes of SHA-256 of the public key) "
		"and "
		"kcv_cmac (AES-CMAC of a zero\n   block, first 5 bytes). %llu of %llu differ from "
		"the catalog. A check value is no authentication.\n\n",
		U(e->mismatched), U(e->materials));
}

static void
answer_who(struct cli_evidence *e)
{
	cli_out_printf(e->bundle.out,
		"3. Who made it, how?\n"
		"   audit/ has %llu lines of CreateKey: who, when, which request (docs/audit.md). "
		"Keys "
		"are made in\n   the token (CKA_LOCAL); keys.json has the time of each material "
		"and "
		"what made it. Protocols of\n   ceremonies are kept by their witnesses and are not "
		"in this bundle.\n\n",
		U(e->creations));
}

static bool
is_dual(const struct kmsc_dual *dual, const char *action)
{
	for (size_t i = 0; dual->needed > 0 && i < dual->actions_count; i++)
		if (fnmatch(dual->actions[i], action, FNM_CASEFOLD | FNM_NOESCAPE) == 0)
			return true;
	return false;
}

static void
answer_alone(struct cli_evidence *e)
{
	static const char *const actions[] = {"kms:ScheduleKeyDeletion", "kms:DisableKey",
		"kms:PutKeyPolicy", "kms:CreateGrant", "iam:PutUserPolicy", "iam:AttachUserPolicy"};
	struct cli_out *out = e->bundle.out;

	cli_out_text(out, "4. Can one person destroy it?\n");
	if (!e->dual_known)
		cli_out_text(out, "   Not known: kmsd did not tell what is under dual control.\n");
	for (size_t i = 0; e->dual_known && i < sizeof(actions) / sizeof(actions[0]); i++)
		if (is_dual(&e->dual, actions[i]))
			cli_out_printf(out, "   %-26s needs %u others\n", actions[i],
				(unsigned)e->dual.needed);
		else
			cli_out_printf(out, "   %-26s one administrator with the right alone\n",
				actions[i]);
	cli_out_printf(out,
		"   A key that is to be destroyed waits for 7 to 30 days. approvals.json has %llu "
		"proposals,\n   policies.json who may do what: users, roles, documents, %llu "
		"grants. "
		"Who is root on the host can change the configuration.\n\n",
		U(e->proposals), U(e->grants));
}

static void
answer_logs(struct cli_evidence *e)
{
	struct cli_out *out = e->bundle.out;

	cli_out_text(out, "5. Do the logs agree?\n");
	if (!e->log_there)
		cli_out_text(
			out, "   The audit log could not be read and is not in this bundle.\n");
	else
		cli_out_printf(out,
			"   The log's chain and its signed heads are %s: %llu files in audit/, "
			"audit-verify.json.\n   Lines behind the last head are not signed yet.\n",
			e->log_sound ? "sound" : "NOT SOUND", U(e->log_files));
	cli_out_text(out,
		"   Compare the last hash with what was anchored elsewhere (second sink, "
		"earlier bundles). The\n   HSM's own log is not read by this program; SoftHSM has "
		"none.\n\n");
}

static void
answer_module(struct cli_evidence *e)
{
	cli_out_printf(e->bundle.out,
		"6. Approved algorithms, validated module?\n"
		"   Two questions. Algorithms: those in about.json, all approved. Module "
		"validated: "
		"%s.\n   Self-tests just now: token: %s; kmsd: %s.\n",
		e->validated[0] != '\0' ? e->validated : "not known",
		e->self_test_token[0] != '\0' ? e->self_test_token : "not run",
		e->self_test_front[0] != '\0' ? e->self_test_front : "not run");
}

int
cli_evidence_answers(struct cli_evidence *e, struct slk_error *err)
{
	int rc = cli_bundle_open(&e->bundle, "answers.txt", err);

	if (rc != SLK_OK)
		return rc;
	cli_out_text(
		e->bundle.out, "What auditors ask, answered from the files of this bundle.\n\n");
	answer_exported(e);
	answer_which(e);
	answer_who(e);
	answer_alone(e);
	answer_logs(e);
	answer_module(e);
	if (e->left_out > 0)
		cli_out_printf(e->bundle.out,
			"\nLeft out: %llu parts could not be had; each says why (\"error\").\n",
			U(e->left_out));
	return cli_bundle_close(&e->bundle, err);
}

/* --- the command --- */

static const char readme[] =
	"An evidence bundle of sealock. To check it, with sha256sum(1) and openssl(1) alone:\n"
	"\n"
	"    { printf 'sealock-attest-1\\0evidence\\0'; openssl dgst -sha256 -binary MANIFEST; } "
	">/tmp/text\n"
	"    openssl dgst -sha256 -verify KEY.pem -signature MANIFEST.sig /tmp/text\n"
	"    sha256sum --strict --check MANIFEST\n"
	"\n"
	"KEY.pem: the appliance's attestation key, as it was given to you before and apart from "
	"this\n"
	"bundle; attestation-key.pem is the one that the bundle says. Files that MANIFEST does not "
	"name\n"
	"(but itself and MANIFEST.sig) do not belong to it. The format: docs/evidence.md.\n";

static int
make_parts(struct cli_evidence *e, struct slk_error *err)
{
	struct kmsc_attestation attestation;

	if (e->tar != NULL && access(e->tar, F_OK) == 0)
		return slk_fail(err, SLK_EXISTS, "%s is there already", e->tar);
	int rc = cli_attest_identify(e->cli, &attestation, e->pem, err);
	if (rc == SLK_OK)
		rc = cli_bundle_begin(e->out, &e->bundle, err);
	if (rc == SLK_OK)
		rc = cli_bundle_put(&e->bundle, "README.txt", slk_span_str(readme), err);
	if (rc == SLK_OK)
		rc = cli_bundle_put(&e->bundle, "attestation-key.pem", slk_span_str(e->pem), err);
	if (rc == SLK_OK)
		rc = cli_evidence_about(e, err);
	if (rc == SLK_OK)
		rc = cli_evidence_keys(e, err);
	if (rc == SLK_OK)
		rc = cli_evidence_policies(e, err);
	if (rc == SLK_OK)
		rc = cli_evidence_approvals(e, err);
	if (rc == SLK_OK)
		rc = cli_evidence_audit(e, err);
	if (rc == SLK_OK)
		rc = cli_evidence_answers(e, err);
	return rc == SLK_OK ? cli_bundle_sign(&e->bundle, e->kms, FMT_ATTEST_EVIDENCE, err) : rc;
}

enum { OPT_OUT = 'o', OPT_CONFIG = 'c' };

/* FILE.tar is a directory FILE while it is written. */
static void
take_out(struct cli_evidence *e, char *arg)
{
	static char dir[4096]; /* one command line */
	size_t len = strlen(arg);

	e->out = arg;
	if (len <= 4 || len >= sizeof(dir) || strcmp(arg + len - 4, ".tar") != 0)
		return;
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(len - 4), arg);
	e->out = dir;
	e->tar = arg;
}

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	struct cli_evidence *e = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = e->cli;
		return 0;
	case OPT_OUT:
		take_out(e, arg);
		return 0;
	case OPT_CONFIG:
		e->config = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	case ARGP_KEY_END:
		if (e->out == NULL)
			argp_error(state, "--out DIR or FILE.tar is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void
print_done(struct cli_evidence *e)
{
	const char *manifest = e->bundle.hashes[e->bundle.count - 2];

	if (e->cli->json) {
		yajl_gen json = cli_json_begin(e->cli->out, false);
		cli_json_map(json);
		cli_json_str(json, "bundle", e->tar != NULL ? e->tar : e->out);
		cli_json_u64(json, "files", e->bundle.count);
		cli_json_str(json, "manifest_sha256", manifest);
		cli_json_u64(json, "keys", e->keys);
		cli_json_bool(json, "log_sound", e->log_sound);
		cli_json_u64(json, "left_out", e->left_out);
		cli_json_map_end(json);
		cli_json_end(json);
		return;
	}
	cli_out_printf(e->cli->out, "%s: %zu files, %llu keys, %llu parts left out\n",
		e->tar != NULL ? e->tar : e->out, e->bundle.count, U(e->keys), U(e->left_out));
	cli_out_printf(e->cli->out, "MANIFEST: SHA-256 %s\n", manifest);
}

int
cli_audit_evidence(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"out", OPT_OUT, "DIR|FILE.tar", 0, "Where to; must not be there yet", 1},
		{"config", OPT_CONFIG, "FILE", 0,
			"kmsd's configuration, for the bundle (" CLI_DEFAULT_KMSD_CONFIG ")", 1},
		{0},
	};
	static const struct argp argp = {options, parse, NULL,
		"Write a bundle that an auditor checks offline: every key with its attributes read "
		"back from the token, check values and rotation history, policies, approvals, the "
		"audit log with its verification, versions, self-tests, and answers to what "
		"auditors "
		"ask; with a manifest that the appliance signs. What could not be had is named in "
		"it. "
		"For administrators; the audit log is that of $SEALOCK_AUDIT.\v"
		"Example:\n"
		"  sealock audit evidence --out evidence-2026-11\n"
		"  sealock audit evidence --out evidence-2026-11.tar\n"
		"\n"
		"README.txt in it says how to check it with openssl(1) and sha256sum(1) alone. It "
		"has "
		"no secret, and names and addresses of who used what: treat it like the log.",
		cli_common_children, NULL, NULL};
	struct cli_evidence e = {
		.cli = cli, .config = CLI_DEFAULT_KMSD_CONFIG, .bundle = {.dir_fd = -1, .fd = -1}};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &e);
	e.kms = cli_kms(cli, &err);
	int rc = e.kms == NULL ? err.status : make_parts(&e, &err);
	if (rc == SLK_OK && e.tar != NULL)
		rc = cli_bundle_pack(&e.bundle, e.tar, &err);
	if (rc == SLK_OK)
		print_done(&e);
	cli_bundle_fini(&e.bundle);
	return rc == SLK_OK ? CLI_EXIT_OK : cli_fail(cli, &err);
}
