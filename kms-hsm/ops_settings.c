/* What a stream has beside its shards: retention, encryption, mode, tags. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "call.h"
#include "stream_calls.h"

#define ENCRYPTION_CHANGES_MAX 25u /* of a stream in 24 hours */
#define TAG_KEY_CHARS 128u
#define TAG_VALUE_CHARS 256u

static uint64_t
wall_ns(const struct kms_call *call)
{
	return slk_wall_ns(call->service->parts.clock);
}

/* Write call->stream; for ingestd it is another one than before. */
static void
end_set(struct kms_call *call, enum kms_stream_event event)
{
	int rc = kms_catalog_stream_set(
		call->service->parts.catalog, &call->stream, event, wall_ns(call));

	call->service->stream_changes += rc == SLK_OK;
	kms_call_end(call, rc);
}

/* --- retention --- */

static int
check_hours(struct kms_call *call, uint32_t hours, bool longer)
{
	uint32_t now = call->stream.retention_hours;

	if (hours < KMS_RETENTION_MIN_HOURS)
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"Minimum allowed retention period is %u hours. Requested retention period "
			"(%u "
			"hours) is too short.",
			KMS_RETENTION_MIN_HOURS, hours);
	else if (hours > KMS_RETENTION_MAX_HOURS)
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"Maximum allowed retention period is %u hours. Requested retention period "
			"(%u "
			"hours) is too long.",
			KMS_RETENTION_MAX_HOURS, hours);
	else if (longer ? hours < now : hours > now)
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"Requested retention period (%u hours) for stream %s can not be %s than "
			"existing retention period (%u hours). Use %s API.",
			hours, call->stream.name, longer ? "shorter" : "longer", now,
			longer ? "DecreaseRetentionPeriod" : "IncreaseRetentionPeriod");
	else
		return SLK_OK;
	return SLK_INVALID;
}

static void
set_retention(struct kms_call *call, const Kmsp__StreamRetention *in, bool longer)
{
	if (kms_call_find_stream(call, in->stream) != SLK_OK ||
		kms_call_stream_active(call) != SLK_OK ||
		check_hours(call, in->hours, longer) != SLK_OK)
		return;
	if (in->hours == call->stream.retention_hours) {
		kms_call_end(call, SLK_OK);
		return;
	}
	call->stream.retention_hours = in->hours;
	end_set(call, KMS_EVENT_NONE);
}

void
kms_op_increase_stream_retention(struct kms_call *call, const Kmsp__Request *request)
{
	set_retention(call, request->increase_stream_retention, true);
}

void
kms_op_decrease_stream_retention(struct kms_call *call, const Kmsp__Request *request)
{
	set_retention(call, request->decrease_stream_retention, false);
}

/* --- mode --- */

int
kms_call_take_mode(struct kms_call *call, const char *text, bool *out_on_demand)
{
	struct kms_stream_totals totals;
	bool on_demand = strcmp(text, "ON_DEMAND") == 0;

	if (!on_demand && strcmp(text, "PROVISIONED") != 0) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"1 validation error detected: Value at 'streamModeDetails.streamMode' "
			"failed to "
			"satisfy constraint: Member must satisfy enum value set: [PROVISIONED, "
			"ON_DEMAND]");
		return SLK_INVALID;
	}
	int rc = kms_catalog_stream_totals(call->service->parts.catalog, &totals);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	if (on_demand && totals.on_demand_streams >= KMS_ON_DEMAND_STREAM_LIMIT) {
		kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
			"This request would exceed the on-demand stream limit for the account %s: "
			"%u",
			call->service->parts.realm.account, KMS_ON_DEMAND_STREAM_LIMIT);
		return SLK_LIMIT;
	}
	*out_on_demand = on_demand;
	return SLK_OK;
}

void
kms_op_update_stream_mode(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__StreamMode *in = request->update_stream_mode;
	bool on_demand = false;

	if (kms_call_find_stream(call, in->stream) != SLK_OK ||
		kms_call_stream_active(call) != SLK_OK ||
		kms_call_take_mode(call, in->mode, &on_demand) != SLK_OK)
		return;
	call->stream.on_demand = on_demand;
	end_set(call, KMS_EVENT_NONE);
}

/* --- encryption --- */

static int
check_stream_key(struct kms_call *call, const char *text)
{
	char stream_arn[KMS_ARN_MAX];

	memcpy(stream_arn, call->resource, sizeof(stream_arn));
	call->stream_names = true;
	int rc = kms_call_find_key(call, "kms:DescribeKey", text, &call->key);
	if (rc == SLK_OK)
		rc = kms_call_key_direct(call, &call->key);
	if (rc == SLK_OK)
		rc = kms_call_key_usable(call, &call->key);
	call->stream_names = false;
	if (rc == SLK_OK)
		memcpy(call->resource, stream_arn, sizeof(call->resource));
	return rc;
}

int
kms_call_find_stream_key(struct kms_call *call, const char *text)
{
	int rc = check_stream_key(call, text);

	if (rc != SLK_OK)
		return rc;
	if (kms_spec_is_symmetric(call->key.spec) && call->key.usage == KMS_USAGE_ENCRYPT_DECRYPT &&
		strlen(text) < sizeof(call->stream.key_name))
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
		"KeyId %.300s does not name a symmetric encryption key", text);
	return SLK_INVALID;
}

/* The next epoch is under call->key, or the appliance's; what ingestd writes now ends between two blocks. */
static void
change_key(struct kms_call *call, bool encrypted, const struct kms_key *key, const char *name)
{
	struct kms_stream *stream = &call->stream;
	bool same = stream->encrypted_kms == encrypted &&
		memcmp(stream->key_id, key->id, sizeof(stream->key_id)) == 0;

	stream->encrypted_kms = encrypted;
	memcpy(stream->key_id, key->id, sizeof(stream->key_id));
	(void)snprintf(stream->key_name, sizeof(stream->key_name), "%s", name);
	if (!same) {
		stream->state = KMS_STREAM_UPDATING;
		stream->change++;
		call->service->right_changes++; /* puts ask for another key */
	}
	end_set(call, same ? KMS_EVENT_NONE : KMS_EVENT_ENCRYPTION);
}

void
kms_op_start_stream_encryption(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__StreamKey *in = request->start_stream_encryption;

	if (kms_call_find_stream(call, in->stream) != SLK_OK ||
		kms_call_stream_active(call) != SLK_OK ||
		kms_call_stream_rate(call, KMS_EVENT_ENCRYPTION, ENCRYPTION_CHANGES_MAX,
			"a change of encryption") != SLK_OK ||
		kms_call_find_stream_key(call, in->key) != SLK_OK)
		return;
	change_key(call, true, &call->key, in->key);
}

/* Does the text name the key that the stream has? The key itself may be gone. */
static bool
names_its_key(const struct kms_call *call, const char *text)
{
	const struct kms_stream *stream = &call->stream;
	struct kms_alias alias;
	struct kms_ref ref;

	if (strcmp(text, stream->key_name) == 0 && text[0] != '\0')
		return true;
	if (kms_ref_parse(&call->service->parts.realm, text, &ref) != SLK_OK)
		return false;
	if (ref.kind == KMS_REF_ALIAS) {
		if (kms_catalog_alias_get(call->service->parts.catalog, ref.alias, &alias) !=
			SLK_OK)
			return false;
		memcpy(ref.id, alias.key_id, sizeof(ref.id));
	}
	return memcmp(ref.id, stream->key_id, sizeof(ref.id)) == 0;
}

/* To the appliance's own key, which is made when it is first needed; the stream may have changed meanwhile. */
static void
use_appliance_key(struct kms_call *call)
{
	uint64_t id = call->stream.id;
	struct kms_key key;

	if (kms_call_appliance_key(call, KMS_USAGE_ENCRYPT_DECRYPT, use_appliance_key, &key) !=
		SLK_OK)
		return;
	int rc = kms_catalog_stream_get(
		call->service->parts.catalog, call->stream.name, &call->stream);
	if (rc == SLK_NOT_FOUND || (rc == SLK_OK && call->stream.id != id))
		kms_call_missing_stream(call, call->stream.name);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else if (kms_call_stream_active(call) == SLK_OK)
		change_key(call, false, &key, "");
}

void
kms_op_stop_stream_encryption(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__StreamKey *in = request->stop_stream_encryption;

	if (kms_call_find_stream(call, in->stream) != SLK_OK ||
		kms_call_stream_active(call) != SLK_OK)
		return;
	if (!call->stream.encrypted_kms) {
		kms_call_end(call, SLK_OK);
		return;
	}
	if (!names_its_key(call, in->key)) {
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"KeyId %.300s is not the key that stream %s under account %s is encrypted "
			"under",
			in->key, call->stream.name, call->service->parts.realm.account);
		return;
	}
	if (kms_call_stream_rate(call, KMS_EVENT_ENCRYPTION, ENCRYPTION_CHANGES_MAX,
		    "a change of encryption") == SLK_OK)
		use_appliance_key(call);
}

/* --- tags --- */

/* Letters, digits and blanks of any script; of ASCII's signs these only. */
static bool
are_tag_characters(const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		unsigned char b = (unsigned char)*c;
		bool is_alnum =
			(b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z');
		if (b < 0x80 && !is_alnum && strchr(" _.:/=+-@%", b) == NULL)
			return false;
	}
	return true;
}

static int
refuse_tags(struct kms_call *call, const char *sentence)
{
	kms_call_fail(call, SLK_INVALID, "InvalidArgumentException", "%s", sentence);
	return SLK_INVALID;
}

static int
check_tag(struct kms_call *call, const Kmsp__Tag *tag)
{
	if (!kms_is_tag_text(tag->key, 1, TAG_KEY_CHARS) ||
		!kms_is_tag_text(tag->value, 0, TAG_VALUE_CHARS)) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"1 validation error detected: Value at 'tags' failed to satisfy "
			"constraint: Map "
			"keys must be text of 1 to %u characters, values of 0 to %u",
			TAG_KEY_CHARS, TAG_VALUE_CHARS);
		return SLK_INVALID;
	}
	if (!are_tag_characters(tag->key) || !are_tag_characters(tag->value))
		return refuse_tags(call,
			"Some tags contain invalid characters. Valid characters: Unicode letters, "
			"digits, white space, _ . / = + - % @.");
	if (strncasecmp(tag->key, "aws:", 4) == 0)
		return refuse_tags(call, "Tags beginning with aws: are reserved");
	return SLK_OK;
}

static int
too_many_tags(struct kms_call *call)
{
	kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
		"Failed to add tags to stream %s under account %s because a given stream cannot "
		"have "
		"more than %u tags associated with it.",
		call->stream.name, call->service->parts.realm.account, KMS_TAGS_MAX);
	return SLK_INVALID;
}

int
kms_call_take_stream_tags(
	struct kms_call *call, Kmsp__Tag *const *in, size_t count, struct kms_tag *out)
{
	if (count > KMS_TAGS_MAX)
		return too_many_tags(call);
	for (size_t i = 0; i < count; i++) {
		int rc = check_tag(call, in[i]);
		if (rc != SLK_OK)
			return rc;
		for (size_t k = 0; k < i; k++)
			if (strcmp(in[k]->key, in[i]->key) == 0)
				return refuse_tags(call, "Duplicate tag keys");
		strcpy(out[i].key, in[i]->key);
		strcpy(out[i].value, in[i]->value);
	}
	return SLK_OK;
}

void
kms_op_add_tags_to_stream(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_tag tags[KMS_TAGS_MAX]; /* one thread */
	const Kmsp__TagStream *in = request->add_tags_to_stream;
	char arn[KMS_ARN_MAX];

	/* The name goes into a refusal of the tags. */
	if (kms_call_parse_stream(call, in->stream, call->stream.name, arn) != SLK_OK ||
		kms_call_take_stream_tags(call, in->tags, in->n_tags, tags) != SLK_OK)
		return;
	call->facts.request_tags = tags;
	call->facts.request_tags_count = in->n_tags;
	if (kms_call_find_stream(call, in->stream) != SLK_OK)
		return;
	int rc = kms_catalog_stream_tags_set(
		call->service->parts.catalog, call->stream.id, tags, in->n_tags);
	if (rc == SLK_LIMIT)
		(void)too_many_tags(call);
	else
		kms_call_end(call, rc);
}

void
kms_op_remove_tags_from_stream(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__UntagStream *in = request->remove_tags_from_stream;

	for (size_t i = 0; i < in->n_tag_keys; i++) {
		if (!kms_is_tag_text(in->tag_keys[i], 1, TAG_KEY_CHARS)) {
			kms_call_fail(call, SLK_INVALID, "ValidationException",
				"1 validation error detected: Value at 'tagKeys' failed to satisfy "
				"constraint: Member must be text of 1 to %u characters",
				TAG_KEY_CHARS);
			return;
		}
	}
	call->facts.tag_keys = (const char *const *)in->tag_keys;
	call->facts.tag_keys_count = in->n_tag_keys;
	if (kms_call_find_stream(call, in->stream) != SLK_OK)
		return;
	kms_call_end(call,
		kms_catalog_stream_tags_remove(call->service->parts.catalog, call->stream.id,
			(const char *const *)in->tag_keys, in->n_tag_keys));
}

void
kms_op_list_tags_for_stream(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_tag tags[KMSP_PAGE_MAX + 1]; /* one thread */
	const Kmsp__ListOfStream *in = request->list_tags_for_stream;
	size_t found = 0, limit = kms_page(in->limit);

	if (in->marker[0] != '\0' && !kms_is_tag_text(in->marker, 1, TAG_KEY_CHARS)) {
		kms_call_bad_marker(call);
		return;
	}
	if (kms_call_find_stream(call, in->stream) != SLK_OK)
		return;
	int rc = kms_catalog_stream_tags(
		call->service->parts.catalog, call->stream.id, in->marker, tags, limit + 1, &found);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		kms_answer_tags(call, tags, found, limit);
}
