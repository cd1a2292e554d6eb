/* CreateKey, DescribeKey, ListKeys, aliases. */
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "format/utf8.h"

static uint32_t
page(uint32_t limit)
{
	return limit == 0 || limit > KMSP_PAGE_MAX ? KMSP_PAGE_MAX : limit;
}

static const char *
state_name(const struct kms_service *service, const struct kms_key *key)
{
	static const char *const names[] = {
		"Creating", "Enabled", "Disabled", "PendingDeletion", "Destroying", "Destroyed"};

	if (key->state == KMS_KEY_ENABLED && service->health.state != HSM_READY)
		return "Unavailable"; /* as AWS has it while a custom key store is disconnected */
	return names[key->state];
}

void
kms_message_key(const struct kms_service *service, const struct kms_key *key, Kmsp__Key *out,
	char arn[KMS_ARN_MAX], char id[FMT_UUID_TEXT])
{
	fmt_uuid_print(key->id, id);
	kms_arn_key(&service->parts.realm, key->id, arn);
	kmsp__key__init(out);
	out->id = id;
	out->arn = arn;
	out->state = (char *)(uintptr_t)state_name(service, key);
	out->spec = (char *)(uintptr_t)kms_spec_name(key->spec);
	out->usage = (char *)(uintptr_t)kms_usage_name(key->usage);
	out->manager =
		(char *)(uintptr_t)(key->manager == KMS_MANAGER_CUSTOMER ? "CUSTOMER" : "AWS");
	out->created_ns = key->created_ns;
}

static void
answer_key(struct kms_call *call)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	static char description[KMS_DESCRIPTION_MAX]; /* one thread */
	Kmsp__Key key;
	char arn[KMS_ARN_MAX], id[FMT_UUID_TEXT];

	int rc = kms_catalog_description_get(
		call->service->parts.catalog, call->key.id, description, sizeof(description));
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	kms_message_key(call->service, &call->key, &key, arn, id);
	key.description = description;
	reply.result_case = KMSP__REPLY__RESULT_KEY;
	reply.key = &key;
	kms_call_ok(call, &reply);
}

int
kms_key_begin(struct kms_service *service, const struct kms_key *kind, const char *description,
	const struct kms_tag *tags, size_t tags_count, struct kms_key *out_key)
{
	struct kms_key key = *kind;

	key.state = KMS_KEY_CREATING;
	key.created_ns = slk_wall_ns(service->parts.clock);
	if (key.rotation_days > 0)
		key.rotation_next_ns = key.created_ns + key.rotation_days * KMS_DAY_NS;
	int rc = fmt_uuid_new(key.id);
	if (rc == SLK_OK)
		rc = slk_random(key.backing_id, sizeof(key.backing_id));
	if (rc == SLK_OK)
		rc = kms_catalog_key_begin(
			service->parts.catalog, &key, description, tags, tags_count);
	if (rc == SLK_OK)
		*out_key = key;
	return rc;
}

static void
key_created(struct kms_call *call, const struct hsm_reply *reply)
{
	struct kms_service *s = call->service;

	int rc = kms_backing_made(s, call->backing_id, reply);
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(s->parts.catalog, call->key.id, &call->key);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer_key(call);
}

static int
check_description(struct kms_call *call, const char *text)
{
	size_t characters = 0;

	for (const char *c = text; *c != '\0'; c++)
		characters += ((unsigned char)*c & 0xc0) != 0x80; /* UTF-8: all but continuations */
	if (characters <= KMS_DESCRIPTION_CHARS_MAX && fmt_utf8_is_text(slk_span_str(text)))
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"a description is UTF-8 text of at most %u characters", KMS_DESCRIPTION_CHARS_MAX);
	return SLK_INVALID;
}

void
kms_op_create_key(struct kms_call *call, const Kmsp__Request *request)
{
	const char *description = request->create_key->description;
	struct hsm_request ask;

	if (kms_call_authorize(call, call->action, "*", NULL) != SLK_OK)
		return;
	if (check_description(call, description) != SLK_OK)
		return;
	const struct kms_key kind = {.manager = KMS_MANAGER_CUSTOMER};
	int rc = kms_key_begin(call->service, &kind, description, NULL, 0, &call->key);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	kms_arn_key(&call->service->parts.realm, call->key.id, call->resource);
	memcpy(call->backing_id, call->key.backing_id, sizeof(call->backing_id));
	call->has_backing = true;
	/* If this fails the key stays Creating, and the next pass finishes it. */
	call->service->chores_wanted = true;
	kms_backing_ask(
		call->key.backing_id, call->key.spec, call->key.usage, HSM_CREATE_KEY, &ask);
	ask.mono_deadline_ns = kms_call_hsm_deadline(call);
	kms_call_hsm(call, &ask, key_created);
}

void
kms_op_describe_key(struct kms_call *call, const Kmsp__Request *request)
{
	if (kms_call_find_key(call, call->action, request->describe_key->key, &call->key) == SLK_OK)
		answer_key(call);
}

static void
bad_marker(struct kms_call *call)
{
	kms_call_fail(call, SLK_INVALID, "InvalidMarkerException", "%s", "");
}

void
kms_op_list_keys(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_key keys[KMSP_PAGE_MAX + 1]; /* one thread */
	static Kmsp__Key storage[KMSP_PAGE_MAX];
	static Kmsp__Key *list[KMSP_PAGE_MAX];
	static char arns[KMSP_PAGE_MAX][KMS_ARN_MAX], ids[KMSP_PAGE_MAX][FMT_UUID_TEXT];
	const Kmsp__List *in = request->list_keys;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Keys out = KMSP__KEYS__INIT;
	uint8_t after[KMS_ID_BYTES];
	size_t found = 0, limit = page(in->limit);

	if (kms_call_authorize(call, call->action, "*", NULL) != SLK_OK)
		return;
	if (in->marker[0] != '\0' && fmt_uuid_parse(in->marker, after) != SLK_OK) {
		bad_marker(call);
		return;
	}
	int rc = kms_catalog_key_list(call->service->parts.catalog,
		in->marker[0] != '\0' ? after : NULL, keys, limit + 1, &found);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	out.n_keys = found < limit ? found : limit;
	out.keys = list;
	for (size_t i = 0; i < out.n_keys; i++) {
		kms_message_key(call->service, &keys[i], &storage[i], arns[i], ids[i]);
		list[i] = &storage[i];
	}
	if (found > limit)
		out.next = ids[limit - 1];
	reply.result_case = KMSP__REPLY__RESULT_KEYS;
	reply.keys = &out;
	kms_call_ok(call, &reply);
}

/* --- aliases --- */

static int
check_alias(struct kms_call *call, const char *alias)
{
	if (strncmp(alias, "alias/", 6) != 0)
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"Alias must start with the prefix \"alias/\".");
	else if (kms_alias_check(alias) != SLK_OK)
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"an alias is alias/ and up to 250 of a-z A-Z 0-9 : / _ -; alias/aws/ is "
			"reserved");
	else
		return SLK_OK;
	return SLK_INVALID;
}

static void
answer_nothing(struct kms_call *call)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;

	kms_call_ok(call, &reply);
}

void
kms_op_create_alias(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__CreateAlias *in = request->create_alias;
	struct kms_service *s = call->service;
	struct kms_alias alias;
	struct kms_ref ref;
	char arn[KMS_ARN_MAX];

	if (check_alias(call, in->alias) != SLK_OK)
		return;
	if (kms_ref_parse(&s->parts.realm, in->key, &ref) == SLK_OK && ref.kind == KMS_REF_ALIAS) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"Aliases must refer to keys. Not aliases");
		return;
	}
	/* Two rights, as in AWS: on the alias and on the key. */
	kms_arn_alias(&s->parts.realm, in->alias, arn);
	if (kms_call_authorize(call, call->action, arn, NULL) != SLK_OK ||
		kms_call_find_key(call, call->action, in->key, &call->key) != SLK_OK ||
		kms_call_key_direct(call, &call->key) != SLK_OK)
		return;
	if (call->key.state == KMS_KEY_PENDING_DELETION &&
		kms_call_key_usable(call, &call->key) != SLK_OK)
		return;
	strcpy(alias.name, in->alias);
	memcpy(alias.key_id, call->key.id, sizeof(alias.key_id));
	strcpy(call->resource, arn);
	int rc = kms_catalog_alias_create(s->parts.catalog, &alias, slk_wall_ns(s->parts.clock));
	if (rc == SLK_EXISTS)
		kms_call_fail(call, rc, "AlreadyExistsException",
			"An alias with the name %s already exists", arn);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer_nothing(call);
}

void
kms_op_delete_alias(struct kms_call *call, const Kmsp__Request *request)
{
	const char *name = request->delete_alias->alias;
	struct kms_service *s = call->service;
	struct kms_alias alias;
	char arn[KMS_ARN_MAX], key_arn[KMS_ARN_MAX];

	if (check_alias(call, name) != SLK_OK)
		return;
	kms_arn_alias(&s->parts.realm, name, arn);
	if (kms_call_authorize(call, call->action, arn, NULL) != SLK_OK)
		return;
	int rc = kms_catalog_alias_get(s->parts.catalog, name, &alias);
	if (rc == SLK_OK) {
		kms_arn_key(&s->parts.realm, alias.key_id, key_arn);
		if (kms_call_authorize(call, call->action, key_arn, arn) != SLK_OK)
			return;
		strcpy(call->resource, arn);
		rc = kms_catalog_alias_delete(s->parts.catalog, name);
	}
	if (rc == SLK_NOT_FOUND)
		kms_call_fail(call, rc, "NotFoundException", "Alias %s is not found.", arn);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer_nothing(call);
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
	if (rc == SLK_OK && ref.kind == KMS_REF_KEY)
		rc = kms_catalog_key_get(call->service->parts.catalog, ref.id, &call->key);
	else
		rc = SLK_NOT_FOUND;
	if (rc == SLK_NOT_FOUND)
		kms_call_fail(call, rc, "NotFoundException", "Invalid keyId '%.200s'", text);
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
	size_t found = 0, limit = page(in->limit);

	if (kms_call_authorize(call, call->action, "*", NULL) != SLK_OK ||
		alias_filter(call, in->key, &key_id) != SLK_OK)
		return;
	if (in->marker[0] != '\0' && kms_alias_check(in->marker) != SLK_OK) {
		bad_marker(call);
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
