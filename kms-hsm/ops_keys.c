/* CreateKey, DescribeKey, ListKeys. */
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "format/utf8.h"

static const char *
state_name(const struct kms_service *service, const struct kms_key *key)
{
	static const char *const names[] = {
		"Creating", "Enabled", "Disabled", "PendingDeletion", "Destroying", "Destroyed"};

	if (key->state == KMS_KEY_ENABLED && service->health.state != HSM_READY)
		return "Unavailable"; /* as AWS has it while a custom key store is disconnected */
	return names[key->state];
}

uint32_t
kms_key_algorithms(const struct kms_service *service, const struct kms_key *key)
{
	uint32_t all = kms_spec_algorithms(key->spec, key->usage);

	/* A token that was never there has said nothing. */
	return service->able_algorithms != 0 ? all & service->able_algorithms : all;
}

static void
message_algorithms(const struct kms_service *service, const struct kms_key *key, Kmsp__Key *out,
	struct kms_key_text *text)
{
	uint32_t set = kms_key_algorithms(service, key);

	for (unsigned i = 0; i < KMS_ALG_COUNT; i++)
		if ((set & KMS_BIT(i)) != 0)
			text->algorithms[out->n_algorithms++] =
				(char *)(uintptr_t)kms_algorithm_name((enum kms_algorithm)i);
	out->algorithms = text->algorithms;
}

void
kms_message_key(const struct kms_service *service, const struct kms_key *key, Kmsp__Key *out,
	struct kms_key_text *text)
{
	fmt_uuid_print(key->id, text->id);
	kms_arn_key(&service->parts.realm, key->id, text->arn);
	slk_hex(slk_span(key->backing_id, sizeof(key->backing_id)), text->backing,
		sizeof(text->backing));
	kms_material_print(key->id, key->backing_id, text->material);
	kmsp__key__init(out);
	out->id = text->id;
	out->arn = text->arn;
	out->state = (char *)(uintptr_t)state_name(service, key);
	out->spec = (char *)(uintptr_t)kms_spec_name(key->spec);
	out->usage = (char *)(uintptr_t)kms_usage_name(key->usage);
	out->manager =
		(char *)(uintptr_t)(key->manager == KMS_MANAGER_CUSTOMER ? "CUSTOMER" : "AWS");
	out->created_ns = key->created_ns;
	out->deletion_ns = key->deletion_ns;
	out->pending_window_days = key->deletion_days;
	out->backing_id = text->backing;
	if (kms_spec_is_symmetric(key->spec))
		out->material_id = text->material;
	message_algorithms(service, key, out, text);
}

/* Approved algorithms alone, a validated module. */
static uint32_t
indicator_of(const struct kms_service *s, const struct kms_key *key)
{
	uint32_t all = kms_key_algorithms(s, key);
	uint32_t indicator = s->parts.certificate != NULL ? KMSP_INDICATOR_VALIDATED : 0;

	for (unsigned i = 0; i < KMS_ALG_COUNT; i++)
		if ((all & KMS_BIT(i)) != 0 && !kms_algorithm_is_approved((enum kms_algorithm)i))
			return indicator;
	return indicator | (all != 0 ? KMSP_INDICATOR_APPROVED : 0);
}

void
kms_answer_key(struct kms_call *call)
{
	static char description[KMS_DESCRIPTION_MAX]; /* one thread */
	struct kms_service *s = call->service;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	struct kms_key_text text;
	Kmsp__Key key;

	int rc = kms_catalog_description_get(
		s->parts.catalog, call->key.id, description, sizeof(description));
	kms_message_key(s, &call->key, &key, &text);
	key.description = description;
	if (rc == SLK_OK)
		rc = kms_catalog_streams_of_key(s->parts.catalog, call->key.id, &key.streams_count);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	reply.result_case = KMSP__REPLY__RESULT_KEY;
	reply.key = &key;
	reply.indicator = indicator_of(s, &call->key);
	kms_call_ok(call, &reply);
}

int
kms_key_begin(struct kms_service *service, const struct kms_key *kind, const char *description,
	const struct kms_tag *tags, size_t tags_count, const char *policy, struct kms_key *out_key)
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
		rc = kms_catalog_key_begin_under(
			service->parts.catalog, &key, description, tags, tags_count, policy);
	if (rc == SLK_OK && policy != NULL)
		rc = kms_iam_key_changed(service->iam, key.id);
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
		kms_answer_key(call);
}

int
kms_call_check_description(struct kms_call *call, const char *text)
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

/* What kind of key is wanted, and does this token make such keys? */
static int
take_kind(struct kms_call *call, const Kmsp__CreateKey *in, struct kms_key *out)
{
	const struct hsm_health *health = &call->service->health;
	const char *spec = in->spec[0] != '\0' ? in->spec : "SYMMETRIC_DEFAULT";

	if (!kms_spec_parse(spec, &out->spec) ||
		(in->usage[0] != '\0' && !kms_usage_parse(in->usage, &out->usage))) {
		kms_call_fail(call, SLK_UNSUPPORTED, "UnsupportedOperationException",
			"keys here are SYMMETRIC_DEFAULT, RSA_2048, RSA_3072, RSA_4096, "
			"ECC_NIST_P256, ECC_NIST_P384 or ECC_NIST_P521, for ENCRYPT_DECRYPT or "
			"SIGN_VERIFY");
		return SLK_UNSUPPORTED;
	}
	if (in->usage[0] == '\0' && !kms_spec_is_symmetric(out->spec)) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"You must specify a KeyUsage value for all KMS keys except for symmetric "
			"encryption keys.");
		return SLK_INVALID;
	}
	if (!kms_spec_allows(out->spec, out->usage)) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"KeyUsage %s is not compatible with KeySpec %s", in->usage, spec);
		return SLK_INVALID;
	}
	if (health->state == HSM_READY && !kms_spec_is_symmetric(out->spec) &&
		(health->specs & KMS_BIT(out->spec)) == 0) {
		kms_call_fail(call, SLK_UNSUPPORTED, "UnsupportedOperationException",
			"the token of this KMS cannot make keys of KeySpec %s", spec);
		return SLK_UNSUPPORTED;
	}
	return SLK_OK;
}

/* The key has no id yet; any other will do for the question. */
static int
check_policy(struct kms_call *call, const Kmsp__CreateKey *in)
{
	char arn[KMS_ARN_MAX];
	uint8_t id[KMS_ID_BYTES];

	if (fmt_uuid_new(id) != SLK_OK) {
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException", "no random bytes");
		return SLK_INTERNAL;
	}
	kms_arn_key(&call->service->parts.realm, id, arn);
	return kms_call_check_key_policy(call, arn, in->policy, in->bypass_lockout_check);
}

void
kms_op_create_key(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_tag tags[KMS_TAGS_MAX]; /* one thread */
	const Kmsp__CreateKey *in = request->create_key;
	const char *policy = in->policy[0] != '\0' ? in->policy : NULL;
	struct kms_key kind = {.manager = KMS_MANAGER_CUSTOMER};
	struct hsm_request ask;

	if (kms_call_check_description(call, in->description) != SLK_OK ||
		kms_call_take_tags(call, in->tags, in->n_tags, tags) != SLK_OK ||
		take_kind(call, in, &kind) != SLK_OK)
		return;
	call->facts.new_key = &kind;
	if (policy != NULL)
		call->facts.bypass_lockout_check = in->bypass_lockout_check ? KMS_TRUE : KMS_FALSE;
	call->facts.request_tags = tags;
	call->facts.request_tags_count = in->n_tags;
	if (kms_call_authorize(call, call->action, "*", NULL) != SLK_OK ||
		(in->n_tags > 0 &&
			kms_call_authorize(call, "kms:TagResource", "*", NULL) != SLK_OK) ||
		(policy != NULL && check_policy(call, in) != SLK_OK))
		return;
	int rc = kms_key_begin(
		call->service, &kind, in->description, tags, in->n_tags, policy, &call->key);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	kms_arn_key(&call->service->parts.realm, call->key.id, call->resource);
	memcpy(call->backing_id, call->key.backing_id, sizeof(call->backing_id));
	call->has_backing = true;
	/* If this fails the key stays Creating, and the next pass finishes it. */
	kms_chores_want(call->service);
	kms_backing_ask(call->key.backing_id, kind.spec, kind.usage, HSM_CREATE_KEY, &ask);
	ask.mono_deadline_ns = kms_call_hsm_deadline(call);
	kms_call_hsm(call, &ask, key_created);
}

void
kms_op_describe_key(struct kms_call *call, const Kmsp__Request *request)
{
	if (kms_call_find_key(call, call->action, request->describe_key->key, &call->key) == SLK_OK)
		kms_answer_key(call);
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
	size_t found = 0, limit = kms_page(in->limit);

	if (kms_call_authorize(call, call->action, "*", NULL) != SLK_OK)
		return;
	if (in->marker[0] != '\0' && fmt_uuid_parse(in->marker, after) != SLK_OK) {
		kms_call_bad_marker(call);
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
	for (size_t i = 0; i < out.n_keys; i++) { /* as in AWS, ids and ARNs only */
		fmt_uuid_print(keys[i].id, ids[i]);
		kms_arn_key(&call->service->parts.realm, keys[i].id, arns[i]);
		kmsp__key__init(&storage[i]);
		storage[i].id = ids[i];
		storage[i].arn = arns[i];
		list[i] = &storage[i];
	}
	if (found > limit)
		out.next = ids[limit - 1];
	reply.result_case = KMSP__REPLY__RESULT_KEYS;
	reply.keys = &out;
	kms_call_ok(call, &reply);
}
