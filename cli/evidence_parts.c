/* Programs and self-tests, policies, approvals, the audit log: parts of an evidence bundle. */
#include "evidence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "auditlog.h"
#include "kmsclient/grants.h"
#include "kmsclient/iam.h"
#include "kmsclient/policies.h"
#include "proposals.h"

#define PAGE 16u
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

/* --- policies --- */

static void
inline_policies(struct cli_evidence *e, yajl_gen json, struct kmsc_who who, char *document)
{
	char names[PAGE][KMSC_POLICY_NAME_MAX], marker[KMSC_MARKER_MAX] = "", next[KMSC_MARKER_MAX];
	struct slk_error why = {0};
	size_t count = 0;

	cli_json_key(json, "inline");
	cli_json_map(json);
	do {
		next[0] = '\0';
		if (kmsc_list_inline_policies(
			    e->kms, who, marker, names, PAGE, &count, next, &why) != SLK_OK) {
			cli_evidence_lacks(e, json, "inline policies", &why);
			break;
		}
		for (size_t i = 0; i < count; i++)
			if (kmsc_get_inline_policy(e->kms, who, names[i], document, &why) == SLK_OK)
				cli_json_str(json, names[i], document);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	cli_json_map_end(json);
}

static void
attached_policies(struct cli_evidence *e, yajl_gen json, struct kmsc_who who)
{
	struct kmsc_policy page[PAGE];
	char marker[KMSC_MARKER_MAX] = "", next[KMSC_MARKER_MAX];
	size_t count = 0;

	cli_json_key(json, "attached");
	cli_json_array(json);
	do {
		next[0] = '\0';
		if (kmsc_list_attached_policies(
			    e->kms, who, marker, page, PAGE, &count, next, NULL) != SLK_OK)
			break;
		for (size_t i = 0; i < count; i++)
			cli_json_text(json, page[i].arn);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	cli_json_array_end(json);
}

static void
one_identity(struct cli_evidence *e, yajl_gen json, struct kmsc_who who,
	struct kmsc_identity_detail *detail, char *document)
{
	struct kmsc_identity identity;
	struct slk_error why = {0};

	cli_json_map(json);
	cli_json_str(json, "name", who.name);
	if (kmsc_get_identity(e->kms, who, &identity, detail, &why) != SLK_OK) {
		cli_evidence_lacks(e, json, who.name, &why);
	} else {
		cli_json_str(json, "arn", identity.arn);
		cli_json_str(json, "boundary", identity.boundary);
		cli_json_time(json, "created", identity.created_ns);
		if (who.is_role)
			cli_json_str(json, "trust_policy", detail->trust_policy);
		inline_policies(e, json, who, document);
		attached_policies(e, json, who);
	}
	cli_json_map_end(json);
}

/* Users or roles. */
static void
identities(struct cli_evidence *e, yajl_gen json, bool roles, struct kmsc_identity_detail *detail,
	char *document)
{
	struct kmsc_identity page[PAGE];
	char marker[KMSC_MARKER_MAX] = "", next[KMSC_MARKER_MAX];
	struct slk_error why = {0};
	size_t count = 0;

	cli_json_key(json, roles ? "roles" : "users");
	cli_json_array(json);
	do {
		next[0] = '\0';
		if (kmsc_list_identities(e->kms, roles, marker, page, PAGE, &count, next, &why) !=
			SLK_OK) {
			cli_json_map(json);
			cli_evidence_lacks(e, json, roles ? "roles" : "users", &why);
			cli_json_map_end(json);
			break;
		}
		for (size_t i = 0; i < count; i++)
			one_identity(
				e, json, (struct kmsc_who){roles, page[i].name}, detail, document);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	cli_json_array_end(json);
}

static void
managed_policies(struct cli_evidence *e, yajl_gen json, char *document)
{
	struct kmsc_policy page[PAGE], one;
	char marker[KMSC_MARKER_MAX] = "", next[KMSC_MARKER_MAX];
	struct slk_error why = {0};
	size_t count = 0;

	cli_json_key(json, "policies");
	cli_json_map(json);
	do {
		next[0] = '\0';
		if (kmsc_list_policies(e->kms, marker, page, PAGE, &count, next, &why) != SLK_OK) {
			cli_evidence_lacks(e, json, "managed policies", &why);
			break;
		}
		for (size_t i = 0; i < count; i++)
			if (kmsc_get_policy(e->kms, page[i].arn, &one, document, &why) == SLK_OK)
				cli_json_str(json, page[i].arn, document);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	cli_json_map_end(json);
}

static void
key_policies(struct cli_evidence *e, yajl_gen json, char *document)
{
	struct kmsc_key page[PAGE];
	char marker[64] = "", next[64];
	struct slk_error why = {0};
	size_t count = 0;

	cli_json_key(json, "key_policies");
	cli_json_map(json);
	do {
		next[0] = '\0';
		if (kmsc_list_keys(e->kms, marker, page, PAGE, &count, next, &why) != SLK_OK) {
			cli_evidence_lacks(e, json, "key policies", &why);
			break;
		}
		for (size_t i = 0; i < count; i++)
			if (kmsc_get_key_policy(e->kms, page[i].arn, document, &why) == SLK_OK)
				cli_json_str(json, page[i].arn, document);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	cli_json_map_end(json);
}

/* kmsd.yaml holds principals, statements and what is under dual control; no secret. */
static int
put_config(struct cli_evidence *e, struct slk_error *err)
{
	struct slk_span bytes;
	struct slk_error why = {0};

	if (cli_audit_map(e->config, &bytes, &why) != SLK_OK) {
		cli_note("kmsd's configuration is left out: %s", why.text);
		e->left_out++;
		return SLK_OK;
	}
	int rc = cli_bundle_put(&e->bundle, "kmsd.yaml", bytes, err);
	cli_audit_unmap(bytes);
	return rc;
}

int
cli_evidence_policies(struct cli_evidence *e, struct slk_error *err)
{
	struct kmsc_identity_detail *detail = calloc(1, sizeof(*detail));
	char *document = malloc(KMSC_DOCUMENT_MAX);
	int rc = detail == NULL || document == NULL
		? slk_fail(err, SLK_NO_MEMORY, "no memory for policies")
		: cli_bundle_open(&e->bundle, "policies.json", err);

	if (rc == SLK_OK) {
		yajl_gen json = cli_json_begin(e->bundle.out, false);
		cli_json_map(json);
		identities(e, json, false, detail, document);
		identities(e, json, true, detail, document);
		managed_policies(e, json, document);
		key_policies(e, json, document);
		cli_json_map_end(json);
		cli_json_end(json);
		rc = cli_bundle_close(&e->bundle, err);
	}
	free(document);
	free(detail);
	return rc == SLK_OK ? put_config(e, err) : rc;
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
