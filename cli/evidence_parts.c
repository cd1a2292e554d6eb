/* Programs and self-tests, approvals, the audit log: parts of an evidence bundle. */
#include "evidence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "auditlog.h"
#include "proposals.h"

#define CREATED "\"eventName\":\"CreateKey\""

/* --- programs, self-tests --- */

struct about {
	struct cli_evidence *e;
	yajl_gen json;
};

static void
keep(char *out, size_t cap, const char *value)
{
	(void)snprintf(out, cap, "%s", value);
}

static void
on_fact(void *arg, const char *name, const char *value)
{
	const struct about *a = arg;

	cli_json_str(a->json, name, value);
	if (strcmp(name, "hsm_profile") == 0)
		keep(a->e->profile, sizeof(a->e->profile), value);
	else if (strcmp(name, "validated_module") == 0)
		keep(a->e->validated, sizeof(a->e->validated), value);
	else if (strcmp(name, "self_test_token") == 0)
		keep(a->e->self_test_token, sizeof(a->e->self_test_token), value);
	else if (strcmp(name, "self_test_front") == 0)
		keep(a->e->self_test_front, sizeof(a->e->self_test_front), value);
}

int
cli_evidence_about(struct cli_evidence *e, struct slk_error *err)
{
	struct slk_error why = {0};

	int rc = cli_bundle_open(&e->bundle, "about.json", err);
	if (rc != SLK_OK)
		return rc;
	yajl_gen json = cli_json_begin(e->bundle.out, false);
	struct about a = {e, json};
	cli_json_map(json);
	cli_json_str(json, "format", "sealock-evidence-1");
	cli_json_str(json, "sealock_version", SLK_VERSION);
	cli_json_time(json, "time", slk_wall_ns(e->cli->clock));
	if (kmsc_about(e->kms, true, on_fact, &a, &why) != SLK_OK)
		cli_evidence_lacks(e, json, "versions and self-tests", &why);
	cli_json_map_end(json);
	cli_json_end(json);
	return cli_bundle_close(&e->bundle, err);
}

/* --- approvals --- */

static void
one_proposal(void *arg, const struct kmsc_proposal *p)
{
	const struct about *a = arg;

	a->e->proposals++;
	cli_proposals_json(a->json, p, NULL, 0);
}

int
cli_evidence_approvals(struct cli_evidence *e, struct slk_error *err)
{
	struct slk_error why = {0};

	int rc = cli_bundle_open(&e->bundle, "approvals.json", err);
	if (rc != SLK_OK)
		return rc;
	yajl_gen json = cli_json_begin(e->bundle.out, false);
	struct about a = {e, json};
	cli_json_map(json);
	cli_json_key(json, "proposals");
	cli_json_array(json);
	int got = cli_proposals_each(e->kms, one_proposal, &a, &e->dual, &why);
	cli_json_array_end(json);
	e->dual_known = got == SLK_OK;
	if (got == SLK_OK)
		cli_proposals_dual(json, &e->dual);
	else
		cli_evidence_lacks(e, json, "approvals", &why);
	cli_json_map_end(json);
	cli_json_end(json);
	return cli_bundle_close(&e->bundle, err);
}

/* --- the audit log --- */

static uint64_t
count_of(struct slk_span bytes, const char *text)
{
	uint64_t count = 0;
	size_t len = strlen(text);

	for (const uint8_t *p = bytes.ptr; bytes.len > 0;) {
		p = memmem(p, bytes.len - (size_t)(p - bytes.ptr), text, len);
		if (p == NULL)
			break;
		count++;
		p += len;
	}
	return count;
}

/* Up to its last whole line: kmsd may be writing the next one. */
static struct slk_span
whole_lines(struct slk_span bytes)
{
	const uint8_t *end = bytes.len > 0 ? memrchr(bytes.ptr, '\n', bytes.len) : NULL;

	return slk_span(bytes.ptr, end != NULL ? (size_t)(end - bytes.ptr) + 1 : 0);
}

static int
copy_file(struct cli_evidence *e, size_t index, const char *path, struct slk_error *err)
{
	char name[CLI_BUNDLE_NAME_MAX];
	struct slk_span bytes;

	(void)snprintf(name, sizeof(name), "audit/%06zu.log", index + 1);
	int rc = cli_audit_map(path, &bytes, err);
	if (rc != SLK_OK)
		return rc;
	struct slk_span lines = whole_lines(bytes);
	e->creations += count_of(lines, CREATED);
	rc = cli_bundle_put(&e->bundle, name, lines, err);
	cli_audit_unmap(bytes);
	return rc;
}

/* As the copies are: `sealock audit verify --json` of them, with the key of the bundle. */
static int
verify_copies(struct cli_evidence *e, size_t count, struct slk_error *err)
{
	struct cli sub = *e->cli;
	char **argv = calloc(count + 5, sizeof(*argv));
	char key[4200];
	int argc = 0, code = CLI_EXIT_FAILED;
	int rc = argv == NULL ? slk_fail(err, SLK_NO_MEMORY, "no memory for the list of files")
			      : cli_bundle_open(&e->bundle, "audit-verify.json", err);

	if (rc != SLK_OK)
		goto out;
	sub.json = true;
	sub.out = e->bundle.out;
	(void)snprintf(key, sizeof(key), "--public-key=%s/attestation-key.pem", e->out);
	argv[argc++] = strdup("verify");
	argv[argc++] = strdup(key);
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(key, sizeof(key), "%s/audit/%06zu.log", e->out, i + 1);
		argv[argc++] = strdup(key);
	}
	for (int i = 0; i < argc; i++)
		if (argv[i] == NULL)
			rc = slk_fail(err, SLK_NO_MEMORY, "no memory for the list of files");
	if (rc == SLK_OK)
		code = cli_audit_verify(&sub, argc, argv);
	e->log_sound = rc == SLK_OK && code == CLI_EXIT_OK;
	if (rc == SLK_OK)
		rc = cli_bundle_close(&e->bundle, err);
out:
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	free(argv);
	return rc;
}

int
cli_evidence_audit(struct cli_evidence *e, struct slk_error *err)
{
	struct cli_audit_log log = {0};
	struct slk_error why = {0};

	if (cli_audit_find(NULL, 0, &log, &why) != SLK_OK) {
		cli_note("the audit log is left out: %s", why.text);
		e->left_out++;
		return SLK_OK;
	}
	int rc = SLK_OK;
	for (size_t i = 0; rc == SLK_OK && i < log.count; i++)
		rc = copy_file(e, i, log.files[i].path, err);
	e->log_there = rc == SLK_OK && log.count > 0;
	e->log_files = log.count;
	if (e->log_there)
		rc = verify_copies(e, log.count, err);
	cli_audit_fini(&log);
	return rc;
}
