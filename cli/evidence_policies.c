/* Users, roles, policies of all kinds, grants and delivery streams, for an evidence bundle. */
#include "evidence.h"

#include <stdlib.h>
#include <string.h>

#include "auditlog.h"
#include "delivery.h"
#include "delivery/spec.h"
#include "kmsclient/grants.h"
#include "kmsclient/iam.h"
#include "kmsclient/policies.h"
#include "shapes_iam.h"

#define PAGE 16u

/* In a list, what could not be had is an entry of its own. */
static void
lacks_entry(struct cli_evidence *e, yajl_gen json, const char *what, const struct slk_error *why)
{
	cli_json_map(json);
	cli_evidence_lacks(e, json, what, why);
	cli_json_map_end(json);
}

/* name: the document, null if there is none, or why it could not be had. */
static void
put_document(struct cli_evidence *e, yajl_gen json, const char *name, int rc, const char *document,
	const struct slk_error *why)
{
	if (rc == SLK_OK && document[0] != '\0') {
		cli_json_str(json, name, document);
		return;
	}
	if (rc == SLK_OK) {
		cli_json_time(json, name, 0); /* null */
		return;
	}
	cli_json_key(json, name);
	lacks_entry(e, json, name, why);
}

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
			put_document(e, json, names[i],
				kmsc_get_inline_policy(e->kms, who, names[i], document, &why),
				document, &why);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	cli_json_map_end(json);
}

static void
attached_policies(struct cli_evidence *e, yajl_gen json, struct kmsc_who who)
{
	struct kmsc_policy page[PAGE];
	char marker[KMSC_MARKER_MAX] = "", next[KMSC_MARKER_MAX];
	struct slk_error why = {0};
	size_t count = 0;

	cli_json_key(json, "attached");
	cli_json_array(json);
	do {
		next[0] = '\0';
		if (kmsc_list_attached_policies(
			    e->kms, who, marker, page, PAGE, &count, next, &why) != SLK_OK) {
			lacks_entry(e, json, who.name, &why);
			break;
		}
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
			lacks_entry(e, json, roles ? "roles" : "users", &why);
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
			put_document(e, json, page[i].arn,
				kmsc_get_policy(e->kms, page[i].arn, &one, document, &why),
				document, &why);
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
			put_document(e, json, page[i].arn,
				kmsc_get_key_policy(e->kms, page[i].arn, document, &why), document,
				&why);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	cli_json_map_end(json);
}

/* Null for a stream without one. */
static void
stream_policies(struct cli_evidence *e, yajl_gen json, char *document)
{
	struct kmsc_stream page[PAGE];
	char marker[KMSC_NAME_MAX] = "", next[KMSC_NAME_MAX];
	struct slk_error why = {0};
	size_t count = 0;

	cli_json_key(json, "stream_policies");
	cli_json_map(json);
	do {
		next[0] = '\0';
		if (kmsc_list_streams(e->kms, marker, page, PAGE, &count, next, &why) != SLK_OK) {
			cli_evidence_lacks(e, json, "stream policies", &why);
			break;
		}
		for (size_t i = 0; i < count; i++)
			put_document(e, json, page[i].arn,
				kmsc_get_resource_policy(e->kms, page[i].arn, document, &why),
				document, &why);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	cli_json_map_end(json);
}

/* Where records go, and as whom: no secret and no address of an endpoint, which may hold one. */
static void
delivery_ways(struct cli_evidence *e, yajl_gen json, const struct kmsc_delivery_stream *s)
{
	static const char *const kinds[] = {[DLV_TO_S3] = "S3",
		[DLV_TO_REDSHIFT] = "Redshift",
		[DLV_TO_POSTGRES] = "PostgreSQL",
		[DLV_TO_SEARCH] = "search cluster",
		[DLV_TO_HTTP] = "HTTP endpoint"};
	const char *roles[DLV_ROLES_MAX];
	struct dlv_spec *spec = NULL;
	struct dlv_fault fault = {.message = ""};
	struct slk_error why = {0};

	int rc = dlv_spec_parse(slk_span(slk_secret_peek(s->spec), s->spec_len), &spec, &fault);
	if (rc != SLK_OK) {
		(void)slk_fail(&why, rc, "the description is not sound: %s", fault.message);
		cli_evidence_lacks(e, json, "description", &why);
		return;
	}
	cli_json_str(json, "destination", kinds[spec->kind]);
	cli_json_str(json, "bucket", spec->s3.bucket);
	if (spec->s3.kms_key_arn != NULL)
		cli_json_str(json, "bucket_key_arn", spec->s3.kms_key_arn);
	cli_json_key(json, "roles");
	cli_json_array(json);
	size_t count = dlv_spec_roles(spec, roles);
	for (size_t i = 0; i < count && i < DLV_ROLES_MAX; i++)
		cli_json_text(json, roles[i]);
	cli_json_array_end(json);
	dlv_spec_free(spec);
}

static void
delivery_stream(struct cli_evidence *e, yajl_gen json, const char *name)
{
	struct kmsc_delivery_stream stream = {.spec = NULL};
	struct slk_error why = {0};

	if (kmsc_describe_delivery_stream(e->kms, name, &stream, &why) != SLK_OK) {
		lacks_entry(e, json, name, &why);
		return;
	}
	cli_json_map(json);
	cli_delivery_shape(json, &stream);
	if (stream.spec != NULL)
		delivery_ways(e, json, &stream);
	cli_json_map_end(json);
	kmsc_delivery_stream_fini(&stream);
}

static void
delivery_streams(struct cli_evidence *e, yajl_gen json)
{
	struct kmsc_delivery_stream page[PAGE];
	char after[KMSC_DELIVERY_NAME_MAX] = "";
	struct slk_error why = {0};
	size_t count = 0;
	bool more = true;

	cli_json_key(json, "delivery_streams");
	cli_json_array(json);
	while (more) {
		more = false;
		if (kmsc_list_delivery_streams(e->kms, after, 0, page, PAGE, &count, &more, &why) !=
			SLK_OK) {
			lacks_entry(e, json, "delivery streams", &why);
			break;
		}
		for (size_t i = 0; i < count; i++) {
			memcpy(after, page[i].name, sizeof(after));
			kmsc_delivery_stream_fini(&page[i]);
			delivery_stream(e, json, after);
		}
		more = more && count > 0;
	}
	cli_json_array_end(json);
}

static void
grants_of(struct cli_evidence *e, yajl_gen json, const char *key_arn)
{
	struct kmsc_grant page[PAGE];
	char marker[KMSC_MARKER_MAX] = "", next[KMSC_MARKER_MAX];
	struct slk_error why = {0};
	size_t count = 0;

	cli_json_key(json, key_arn);
	cli_json_array(json);
	do {
		next[0] = '\0';
		if (kmsc_list_grants(e->kms, key_arn, NULL, marker, page, PAGE, &count, next,
			    &why) != SLK_OK) {
			lacks_entry(e, json, key_arn, &why);
			break;
		}
		for (size_t i = 0; i < count; i++)
			cli_shape_grant(json, &page[i]);
		e->grants += count;
		kmsc_grants_fini(page, count);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	cli_json_array_end(json);
}

/* Nobody can be granted anything on these. */
static bool
is_appliances(struct cli_evidence *e, const char *key_arn)
{
	struct kmsc_key key;

	return kmsc_describe_key(e->kms, key_arn, &key, NULL) == SLK_OK &&
		strcmp(key.manager, "AWS") == 0;
}

/* By key. */
static void
grants(struct cli_evidence *e, yajl_gen json)
{
	struct kmsc_key page[PAGE];
	char marker[64] = "", next[64];
	struct slk_error why = {0};
	size_t count = 0;

	cli_json_key(json, "grants");
	cli_json_map(json);
	do {
		next[0] = '\0';
		if (kmsc_list_keys(e->kms, marker, page, PAGE, &count, next, &why) != SLK_OK) {
			cli_evidence_lacks(e, json, "grants", &why);
			break;
		}
		for (size_t i = 0; i < count; i++)
			if (!is_appliances(e, page[i].arn))
				grants_of(e, json, page[i].arn);
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
		stream_policies(e, json, document);
		delivery_streams(e, json);
		grants(e, json);
		cli_json_map_end(json);
		cli_json_end(json);
		rc = cli_bundle_close(&e->bundle, err);
	}
	free(document);
	free(detail);
	return rc == SLK_OK ? put_config(e, err) : rc;
}
