/* AWS's table of key states and operations, whole: every operation that names a key, or meets one through an alias, a
 * blob or a stream, with the key in each state. What is refused has its exact exception and sentence, asks the HSM
 * nothing and changes nothing. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "format/blob.h"
#include "catalog_streams.h"
#include "kms_rig.h"

enum state { ENABLED, DISABLED, PENDING, CREATING, UNAVAILABLE, GONE, STATES };

static const char *const state_names[STATES] = {
	"Enabled", "Disabled", "PendingDeletion", "Creating", "Unavailable", "Destroyed"};

static struct kms_rig rig;
static enum state rig_state;
static char other[KMS_ARN_MAX]; /* an Enabled key beside the subject */

struct kept {
	uint8_t bytes[4200];
	size_t len;
};
static struct kept other_blob;

/* The key that the table is about, with what leads to it. */
static struct {
	char arn[KMS_ARN_MAX], alias[64], stream[64];
	struct kms_key key;
	struct kept blob, signature;
} subject;

static struct slk_span
span_of(const struct kept *kept)
{
	return slk_span(kept->bytes, kept->len);
}

static void
keep(ProtobufCBinaryData bytes, struct kept *out)
{
	assert_in_range(bytes.len, 1, sizeof(out->bytes));
	memcpy(out->bytes, bytes.data, bytes.len);
	out->len = bytes.len;
}

static void
tick_turns(unsigned turns)
{
	kms_service_tick(rig.service);
	while (turns-- > 0)
		rig_turn(&rig);
}

/* --- operations --- */

#define ASK(CASE, key) rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_##CASE, (key))
#define BY_KEY(name, CASE) \
	static const Kmsp__Reply *name(void) \
	{ \
		return ASK(CASE, subject.arn); \
	}
BY_KEY(describe_key, DESCRIBE_KEY)
BY_KEY(enable_key, ENABLE_KEY)
BY_KEY(disable_key, DISABLE_KEY)
BY_KEY(schedule_key_deletion, SCHEDULE_KEY_DELETION)
BY_KEY(cancel_key_deletion, CANCEL_KEY_DELETION)
BY_KEY(update_key_description, UPDATE_KEY_DESCRIPTION)
BY_KEY(tag_resource, TAG_RESOURCE)
BY_KEY(untag_resource, UNTAG_RESOURCE)
BY_KEY(list_resource_tags, LIST_RESOURCE_TAGS)
BY_KEY(enable_key_rotation, ENABLE_KEY_ROTATION)
BY_KEY(disable_key_rotation, DISABLE_KEY_ROTATION)
BY_KEY(get_key_rotation_status, GET_KEY_ROTATION_STATUS)
BY_KEY(rotate_key_on_demand, ROTATE_KEY_ON_DEMAND)
BY_KEY(list_key_rotations, LIST_KEY_ROTATIONS)
BY_KEY(list_aliases, LIST_ALIASES)
BY_KEY(get_public_key, GET_PUBLIC_KEY)

static const Kmsp__Reply *
create_alias(void)
{
	return rig_create_alias(&rig, RIG_ROOT, "alias/second", subject.arn);
}

static const Kmsp__Reply *
update_alias(void)
{
	return rig_update_alias(&rig, RIG_ROOT, "alias/other", subject.arn);
}

static const Kmsp__Reply *
delete_alias(void)
{
	return rig_delete_alias(&rig, RIG_ROOT, subject.alias);
}

static const Kmsp__Reply *
generate_data_key(void)
{
	return rig_generate(&rig, RIG_ROOT, subject.arn, "", false);
}

static const Kmsp__Reply *
generate_without_plaintext(void)
{
	return rig_generate(&rig, RIG_ROOT, subject.alias, "", true);
}

static const Kmsp__Reply *
encrypt(void)
{
	return rig_encrypt(&rig, RIG_ROOT, subject.arn, "", slk_span_str("x"));
}

static const Kmsp__Reply *
decrypt(void)
{
	return rig_decrypt(&rig, RIG_ROOT, "", "", span_of(&subject.blob));
}

/* The key is named, too: it is the blob's, whatever became of it. */
static const Kmsp__Reply *
decrypt_by_key(void)
{
	return rig_decrypt(&rig, RIG_ROOT, subject.arn, "", span_of(&subject.blob));
}

static const Kmsp__Reply *
re_encrypt_from(void)
{
	const struct rig_re how = {.key = other};

	return rig_re_encrypt(&rig, RIG_ROOT, span_of(&subject.blob), &how);
}

static const Kmsp__Reply *
re_encrypt_to(void)
{
	const struct rig_re how = {.key = subject.arn};

	return rig_re_encrypt(&rig, RIG_ROOT, span_of(&other_blob), &how);
}

static struct rig_sign
message(void)
{
	return (struct rig_sign){subject.arn, "ECDSA_SHA_256", slk_span_str("m"), false};
}

static const Kmsp__Reply *
sign(void)
{
	const struct rig_sign what = message();

	return rig_sign(&rig, RIG_ROOT, &what);
}

static const Kmsp__Reply *
verify(void)
{
	const struct rig_sign what = message();

	return rig_verify(&rig, RIG_ROOT, &what, span_of(&subject.signature));
}

static const Kmsp__Reply *
create_stream(void)
{
	return rig_create_stream(&rig, RIG_ROOT, "second", 1, subject.arn);
}

static const Kmsp__Reply *
describe_stream(void)
{
	return rig_describe_stream(&rig, RIG_ROOT, subject.stream);
}

static const Kmsp__Reply *
delete_stream(void)
{
	return rig_delete_stream(&rig, RIG_ROOT, subject.stream);
}

static const Kmsp__Reply *
generate_stream_key(void)
{
	return rig_stream_key(&rig, RIG_INGEST, subject.stream);
}

static const Kmsp__Reply *
authorize_put(void)
{
	return rig_authorize(&rig, RIG_INGEST, RIG_ROOT, "kinesis:PutRecord", subject.stream);
}

static const Kmsp__Reply *
authorize_get(void)
{
	return rig_authorize(&rig, RIG_INGEST, RIG_ROOT, "kinesis:GetRecords", subject.stream);
}

/* --- answers: exception, and what the sentence says of the ARN (NULL: other words, "": none) --- */

struct answer {
	int status;
	const char *exception, *sentence;
};

static const struct answer ok = {SLK_OK, "", ""},
			   D = {SLK_DISABLED, "DisabledException", " is disabled."},
			   P = {SLK_INVALID_STATE, "KMSInvalidStateException",
				   " is pending deletion."},
			   C = {SLK_INVALID_STATE, "KMSInvalidStateException", " is creating."},
			   N = {SLK_INVALID_STATE, "KMSInvalidStateException",
				   " is not pending deletion."},
			   U = {SLK_UNAVAILABLE, "KeyUnavailableException", NULL},
			   X = {SLK_NOT_FOUND, "NotFoundException", "' does not exist"},
			   L = {SLK_NOT_FOUND, "NotFoundException", NULL},
			   B = {SLK_INVALID_CIPHERTEXT, "InvalidCiphertextException", ""},
			   KD = {SLK_DISABLED, "KMSDisabledException", " is disabled."},
			   KX = {SLK_NOT_FOUND, "KMSNotFoundException", "' does not exist"};
/* Kinesis has the same names and words here. */
#define KP P
#define KC C

static const struct row {
	const char *name;
	const Kmsp__Reply *(*ask)(void);
	bool pair; /* of a key that signs */
	const struct answer *answers[STATES]; /* in the order of enum state */
} rows[] = {
#define ROW(name, pair, e, d, p, c, u, g) \
	{ \
#name, name, pair, \
		{ \
			&e, &d, &p, &c, &u, &g \
		} \
	}
	ROW(describe_key, false, ok, ok, ok, ok, ok, X),
	ROW(enable_key, false, ok, ok, P, C, ok, X),
	ROW(disable_key, false, ok, ok, P, C, ok, X),
	ROW(schedule_key_deletion, false, ok, ok, P, C, ok, X),
	ROW(cancel_key_deletion, false, N, N, ok, N, N, X),
	ROW(update_key_description, false, ok, ok, P, ok, ok, X),
	ROW(tag_resource, false, ok, ok, P, ok, ok, X),
	ROW(untag_resource, false, ok, ok, P, ok, ok, X),
	ROW(list_resource_tags, false, ok, ok, ok, ok, ok, X),
	ROW(enable_key_rotation, false, ok, D, P, C, ok, X),
	ROW(disable_key_rotation, false, ok, D, P, C, ok, X),
	ROW(get_key_rotation_status, false, ok, ok, ok, ok, ok, X),
	ROW(rotate_key_on_demand, false, ok, D, P, C, U, X),
	ROW(list_key_rotations, false, ok, ok, ok, ok, ok, X),
	ROW(create_alias, false, ok, ok, P, ok, ok, X),
	ROW(update_alias, false, ok, ok, P, ok, ok, X),
	ROW(delete_alias, false, ok, ok, ok, ok, ok, L),
	ROW(list_aliases, false, ok, ok, ok, ok, ok, X),
	ROW(generate_data_key, false, ok, D, P, C, U, X),
	ROW(generate_without_plaintext, false, ok, D, P, C, U, L),
	ROW(encrypt, false, ok, D, P, C, U, X),
	ROW(decrypt, false, ok, D, P, B, U, B),
	ROW(decrypt_by_key, false, ok, D, P, B, U, B),
	ROW(re_encrypt_from, false, ok, D, P, B, U, B),
	ROW(re_encrypt_to, false, ok, D, P, C, U, X),
	ROW(sign, true, ok, D, P, C, U, X),
	ROW(verify, true, ok, D, P, C, U, X),
	ROW(get_public_key, true, ok, D, P, C, ok, X),
	ROW(create_stream, false, ok, D, P, C, ok, X),
	ROW(describe_stream, false, ok, ok, ok, ok, ok, ok),
	ROW(delete_stream, false, ok, ok, ok, ok, ok, ok),
	ROW(generate_stream_key, false, ok, KD, KP, KC, U, KX),
	ROW(authorize_put, false, ok, KD, KP, KC, ok, KX),
	/* Reading asks for Decrypt beside it, which has its own row. */
	ROW(authorize_get, false, ok, ok, ok, ok, ok, KX),
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* --- a subject in a state --- */

/* A blob of a key that never wrapped anything. */
static void
forge_blob(void)
{
	static const uint8_t sealed[FMT_BLOB_TAG_BYTES + 1] = {1};
	struct fmt_blob blob = {.iv = {1}, .sealed = slk_span(sealed, sizeof(sealed))};

	memcpy(blob.key_id, subject.key.id, sizeof(blob.key_id));
	memcpy(blob.backing_id, subject.key.backing_id, sizeof(blob.backing_id));
	assert_ok(fmt_blob_encode(
		&blob, subject.blob.bytes, sizeof(subject.blob.bytes), &subject.blob.len));
}

static void
begin_key(bool pair)
{
	const struct kms_realm realm = {rig.config->account, rig.config->region};
	struct kms_key key = {.created_ns = rig.wall_ns};

	if (pair) {
		key.spec = KMS_SPEC_ECC_NIST_P256;
		key.usage = KMS_USAGE_SIGN_VERIFY;
	}
	assert_ok(fmt_uuid_new(key.id));
	assert_ok(slk_random(key.backing_id, sizeof(key.backing_id)));
	assert_ok(kms_catalog_key_begin(rig.catalog, &key, NULL, NULL, 0));
	kms_arn_key(&realm, key.id, subject.arn);
	subject.key = key;
	memset(subject.signature.bytes, 1, 64);
	subject.signature.len = 64;
	forge_blob();
}

static void
make_key(bool pair)
{
	const struct rig_sign what = message();

	rig_new_key_of(&rig, pair ? KMS_SPEC_ECC_NIST_P256 : KMS_SPEC_SYMMETRIC_DEFAULT,
		pair ? KMS_USAGE_SIGN_VERIFY : KMS_USAGE_ENCRYPT_DECRYPT, subject.arn);
	assert_ok(kms_catalog_key_get(rig.catalog, rig.made_id, &subject.key));
	if (pair)
		keep(rig_sign(&rig, RIG_ROOT, &what)->signature->signature, &subject.signature);
	else
		keep(rig_encrypt(&rig, RIG_ROOT, subject.arn, "", slk_span_str("x"))->cipher->blob,
			&subject.blob);
}

static void
name_subject(unsigned number)
{
	struct kms_alias alias = {.name = ""};
	struct kms_stream stream = {.shard_count = 1, .encrypted_kms = true};
	uint64_t id;

	snprintf(subject.alias, sizeof(subject.alias), "alias/subject%u", number);
	snprintf(subject.stream, sizeof(subject.stream), "stream%u", number);
	strcpy(alias.name, subject.alias);
	strcpy(stream.name, subject.stream);
	memcpy(alias.key_id, subject.key.id, sizeof(alias.key_id));
	memcpy(stream.key_id, subject.key.id, sizeof(stream.key_id));
	assert_ok(kms_catalog_alias_create(rig.catalog, &alias, rig.wall_ns));
	assert_ok(kms_catalog_stream_create(rig.catalog, &stream, NULL, 0, &id));
}

static void
destroy_key(void)
{
	assert_ok(kms_catalog_key_schedule(rig.catalog, subject.key.id, rig.wall_ns, 7));
	rig.wall_ns += 7 * KMS_DAY_NS;
	rig.mono_ns += 7 * KMS_DAY_NS;
	tick_turns(4);
	assert_false(fake_hsm_holds(rig.link, subject.key.backing_id));
}

static void
make_subject(const struct row *row, unsigned number)
{
	if (rig_state == CREATING)
		begin_key(row->pair);
	else
		make_key(row->pair);
	name_subject(number);
	if (rig_state == DISABLED)
		assert_ok(kms_catalog_key_switch(rig.catalog, subject.key.id, false));
	if (rig_state == PENDING)
		assert_ok(kms_catalog_key_schedule(rig.catalog, subject.key.id, rig.wall_ns, 7));
	if (rig_state == GONE)
		destroy_key();
	if (rig_state == UNAVAILABLE) {
		fake_hsm_set_state(rig.link, HSM_LOST);
		tick_turns(1);
		fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1000);
	}
}

static void
heal(void)
{
	fake_hsm_fail(rig.link, SLK_OK, 0);
	fake_hsm_set_state(rig.link, HSM_READY);
	if (rig_state == UNAVAILABLE)
		tick_turns(2);
}

/* --- the checks --- */

static size_t
hsm_calls(void)
{
	size_t sum = 0;

	for (unsigned op = 0; op <= HSM_OP_MAX; op++)
		sum += op != HSM_STATUS ? fake_hsm_calls_count(rig.link, (enum hsm_op)op) : 0;
	return sum;
}

static void
check_words(const struct row *row, const struct answer *expected, const Kmsp__Reply *reply)
{
	char sentence[KMS_SENTENCE_MAX] = "";

	if (reply->status != expected->status || strcmp(reply->exception, expected->exception) != 0)
		fail_msg("%s of a key that is %s: '%s: %s', not '%s'", row->name,
			state_names[rig_state], reply->exception, reply->message,
			expected->exception);
	if (expected->sentence == NULL || expected->status == SLK_OK)
		return;
	if (expected->sentence[0] != '\0')
		snprintf(sentence, sizeof(sentence), "%s%s%s",
			expected->sentence[0] == '\'' ? "Key '" : "", subject.arn,
			expected->sentence);
	if (strcmp(reply->message, sentence) != 0)
		fail_msg("%s of a key that is %s says '%s'", row->name, state_names[rig_state],
			reply->message);
}

/* A refusal leaves the key as it was, asks the HSM nothing, gives nothing out. */
static void
check_row(const struct row *row, unsigned number)
{
	struct kms_key before = {.created_ns = 0}, after = {.created_ns = 0};
	const struct answer *expected = row->answers[rig_state];

	make_subject(row, number);
	int there = kms_catalog_key_get(rig.catalog, subject.key.id, &before);
	size_t calls = hsm_calls();
	const Kmsp__Reply *reply = row->ask();
	check_words(row, expected, reply);
	if (expected->status != SLK_OK) {
		assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
		assert_true(expected == &U || hsm_calls() == calls);
		assert_int_equal(kms_catalog_key_get(rig.catalog, subject.key.id, &after), there);
		assert_memory_equal(&before, &after, sizeof(before));
		assert_contains(rig_audit_last(&rig), expected->exception);
	}
	heal();
}

static void
check_state(enum state state)
{
	rig_start(&rig, "");
	rig_state = state;
	rig_new_key(&rig, other);
	keep(rig_encrypt(&rig, RIG_ROOT, other, "", slk_span_str("x"))->cipher->blob, &other_blob);
	for (unsigned i = 0; i < COUNT(rows); i++) {
		assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/other", other), SLK_OK);
		check_row(&rows[i], i);
		/* Ready for the next. */
		(void)rig_delete_alias(&rig, RIG_ROOT, "alias/second");
		assert_answered(rig_delete_alias(&rig, RIG_ROOT, "alias/other"), SLK_OK);
		(void)rig_delete_stream(&rig, RIG_ROOT, "second");
	}
	rig_stop(&rig);
}

#define STATE_CASE(name, state) \
	static void name(void **ignored) \
	{ \
		(void)ignored; \
		check_state(state); \
	}
STATE_CASE(enabled_key_does_everything, ENABLED)
STATE_CASE(disabled_key_is_managed_and_not_used, DISABLED)
STATE_CASE(key_that_is_pending_deletion_is_looked_at_and_cancelled, PENDING)
STATE_CASE(key_that_is_creating_is_not_used, CREATING)
STATE_CASE(key_without_its_hsm_is_managed_and_unavailable, UNAVAILABLE)
STATE_CASE(destroyed_key_does_not_exist, GONE)

/* What a key can do of its states is found again after a restart. */
static void
state_is_kept_over_a_restart(void **state)
{
	char arn[KMS_ARN_MAX];

	(void)state;
	rig_start(&rig, "");
	rig_new_key(&rig, arn);
	assert_answered(ASK(DISABLE_KEY, arn), SLK_OK);
	rig_restart(&rig);
	assert_string_equal(rig_generate(&rig, RIG_ROOT, arn, "", false)->exception, D.exception);
	assert_answered(ASK(SCHEDULE_KEY_DELETION, arn), SLK_OK);
	rig_restart(&rig);
	assert_string_equal(rig_generate(&rig, RIG_ROOT, arn, "", false)->exception, P.exception);
	assert_answered(ASK(CANCEL_KEY_DELETION, arn), SLK_OK);
	rig_restart(&rig);
	assert_string_equal(rig_generate(&rig, RIG_ROOT, arn, "", false)->exception, D.exception);
	assert_answered(ASK(ENABLE_KEY, arn), SLK_OK);
	assert_answered(rig_generate(&rig, RIG_ROOT, arn, "", false), SLK_OK);
	rig_stop(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(enabled_key_does_everything),
		cmocka_unit_test(disabled_key_is_managed_and_not_used),
		cmocka_unit_test(key_that_is_pending_deletion_is_looked_at_and_cancelled),
		cmocka_unit_test(key_that_is_creating_is_not_used),
		cmocka_unit_test(key_without_its_hsm_is_managed_and_unavailable),
		cmocka_unit_test(destroyed_key_does_not_exist),
		cmocka_unit_test(state_is_kept_over_a_restart),
	};

	return cmocka_run_group_tests_name("kms_service_states", tests, NULL, NULL);
}
