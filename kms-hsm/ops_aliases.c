/* Aliases: create, update, delete, list. */
#include <string.h>

#include "call.h"

static int
check_alias(struct kms_call *call, const char *alias)
{
	if (strncmp(alias, "alias/", 6) != 0)
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"Alias must start with the prefix \"alias/\". Please see "
			"https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html");
	else if (kms_alias_check(alias) != SLK_OK)
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"an alias is alias/ and up to 250 of a-z A-Z 0-9 : / _ -; alias/aws/ is "
			"reserved");
	else
		return SLK_OK;
	return SLK_INVALID;
}

/* The target of an alias: a key that is not ending, and the right to name it so. The alias's own
 * ARN is what the audit shows. */
static int
find_target(struct kms_call *call, const Kmsp__CreateAlias *in, char arn[KMS_ARN_MAX],
	struct kms_alias *out)
{
	const unsigned states =
		KMS_BIT(KMS_KEY_CREATING) | KMS_BIT(KMS_KEY_ENABLED) | KMS_BIT(KMS_KEY_DISABLED);
	struct kms_service *s = call->service;
	struct kms_ref ref;

	if (check_alias(call, in->alias) != SLK_OK)
		return SLK_INVALID;
	if (kms_ref_parse(&s->parts.realm, in->key, &ref) == SLK_OK && ref.kind == KMS_REF_ALIAS) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"Aliases must refer to keys. Not aliases");
		return SLK_INVALID;
	}
	/* Two rights, as in AWS: on the alias and on the key. */
	kms_arn_alias(&s->parts.realm, in->alias, arn);
	int rc = kms_call_authorize(call, call->action, arn, NULL);
	if (rc == SLK_OK)
		rc = kms_call_find_key(call, call->action, in->key, &call->key);
	if (rc == SLK_OK)
		rc = kms_call_key_direct(call, &call->key);
	if (rc == SLK_OK)
		rc = kms_call_key_in(call, &call->key, states);
	if (rc != SLK_OK)
		return rc;
	strcpy(out->name, in->alias);
	memcpy(out->key_id, call->key.id, sizeof(out->key_id));
	strcpy(call->resource, arn);
	return SLK_OK;
}

void
kms_op_create_alias(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_service *s = call->service;
	struct kms_alias alias;
	char arn[KMS_ARN_MAX];

	if (find_target(call, request->create_alias, arn, &alias) != SLK_OK)
		return;
	int rc = kms_catalog_alias_create(s->parts.catalog, &alias, slk_wall_ns(s->parts.clock));
	if (rc == SLK_EXISTS)
		kms_call_fail(call, rc, "AlreadyExistsException",
			"An alias with the name %s already exists", arn);
	else
		kms_call_end(call, rc);
}

static void
alias_missing(struct kms_call *call, const char *arn)
{
	kms_call_fail(call, SLK_NOT_FOUND, "NotFoundException", "Alias %s is not found.", arn);
}

/* A third right: on the key that the alias leads away from. */
void
kms_op_update_alias(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_service *s = call->service;
	struct kms_alias alias, present;
	char arn[KMS_ARN_MAX];
	struct kms_key before;

	if (find_target(call, request->update_alias, arn, &alias) != SLK_OK)
		return;
	int rc = kms_catalog_alias_get(s->parts.catalog, alias.name, &present);
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(s->parts.catalog, present.key_id, &before);
	if (rc == SLK_OK) {
		if (kms_call_authorize_key(call, call->action, &before, arn) != SLK_OK)
			return;
		strcpy(call->resource, arn);
		if (kms_spec_is_symmetric(before.spec) != kms_spec_is_symmetric(call->key.spec) ||
			before.usage != call->key.usage) {
			kms_call_fail(call, SLK_INVALID, "ValidationException",
				"an alias may only be led to a key of the same kind: it leads to "
				"one of %s for %s, not of %s for %s",
				kms_spec_name(before.spec), kms_usage_name(before.usage),
				kms_spec_name(call->key.spec), kms_usage_name(call->key.usage));
			return;
		}
		rc = kms_catalog_alias_update(s->parts.catalog, &alias);
	}
	if (rc == SLK_NOT_FOUND)
		alias_missing(call, arn);
	else
		kms_call_end(call, rc);
}

void
kms_op_delete_alias(struct kms_call *call, const Kmsp__Request *request)
{
	const char *name = request->delete_alias->alias;
	struct kms_service *s = call->service;
	struct kms_alias alias;
	char arn[KMS_ARN_MAX];

	if (check_alias(call, name) != SLK_OK)
		return;
	kms_arn_alias(&s->parts.realm, name, arn);
	if (kms_call_authorize(call, call->action, arn, NULL) != SLK_OK)
		return;
	int rc = kms_catalog_alias_get(s->parts.catalog, name, &alias);
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(s->parts.catalog, alias.key_id, &call->key);
	if (rc == SLK_OK) {
		if (kms_call_authorize_key(call, call->action, &call->key, arn) != SLK_OK)
			return;
		strcpy(call->resource, arn);
		rc = kms_catalog_alias_delete(s->parts.catalog, name);
	}
	if (rc == SLK_NOT_FOUND)
		alias_missing(call, arn);
	else
		kms_call_end(call, rc);
}

/* The key whose aliases are asked for, if any. */
static int
alias_filter(struct kms_call *call, const char *text, const uint8_t **out_id)
{
	struct kms_ref ref;

	*out_id = NULL;
	if (text[0] == '\0')
		return SLK_OK;
	int rc = kms_ref_parse(&call->service->parts.realm, text, &ref);
	if (rc != SLK_OK || ref.kind != KMS_REF_KEY) {
		kms_call_fail(
			call, SLK_NOT_FOUND, "NotFoundException", "Invalid keyId '%.200s'", text);
		return SLK_NOT_FOUND;
	}
	rc = kms_catalog_key_get(call->service->parts.catalog, ref.id, &call->key);
	if (rc == SLK_NOT_FOUND)
		kms_call_fail(call, rc, "NotFoundException", "Key '%s' does not exist", ref.arn);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		*out_id = call->key.id;
	return rc;
}

void
kms_op_list_aliases(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_alias aliases[KMSP_PAGE_MAX + 1];
	static Kmsp__Alias storage[KMSP_PAGE_MAX];
	static Kmsp__Alias *list[KMSP_PAGE_MAX];
	static char arns[KMSP_PAGE_MAX][KMS_ARN_MAX], ids[KMSP_PAGE_MAX][FMT_UUID_TEXT];
	const Kmsp__ListAliases *in = request->list_aliases;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Aliases out = KMSP__ALIASES__INIT;
	const uint8_t *key_id = NULL;
	size_t found = 0, limit = kms_page(in->limit);

	if (kms_call_authorize(call, call->action, "*", NULL) != SLK_OK ||
		alias_filter(call, in->key, &key_id) != SLK_OK)
		return;
	if (in->marker[0] != '\0' && kms_alias_check(in->marker) != SLK_OK) {
		kms_call_bad_marker(call);
		return;
	}
	int rc = kms_catalog_alias_list(
		call->service->parts.catalog, key_id, in->marker, aliases, limit + 1, &found);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	out.n_aliases = found < limit ? found : limit;
	out.aliases = list;
	for (size_t i = 0; i < out.n_aliases; i++) {
		kms_arn_alias(&call->service->parts.realm, aliases[i].name, arns[i]);
		fmt_uuid_print(aliases[i].key_id, ids[i]);
		kmsp__alias__init(&storage[i]);
		storage[i].name = aliases[i].name;
		storage[i].arn = arns[i];
		storage[i].key_id = ids[i];
		list[i] = &storage[i];
	}
	if (found > limit)
		out.next = aliases[limit - 1].name;
	reply.result_case = KMSP__REPLY__RESULT_ALIASES;
	reply.aliases = &out;
	kms_call_ok(call, &reply);
}
