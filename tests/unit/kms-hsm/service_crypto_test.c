/* GenerateDataKey, Encrypt and Decrypt over a fake HSM. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "format/blob.h"
#include "kms_rig.h"

#define POLICY \
	"  - {effect: Allow, principals: [user/alice], actions: ['kms:GenerateDataKey*', " \
	"'kms:Encrypt', " \
	"'kms:Decrypt'], resources: ['key/*']}\n" \
	"  - {effect: Allow, principals: [user/alice], actions: ['kms:GenerateRandom'], " \
	"resources: ['*']}\n" \
	"  - {effect: Allow, principals: [user/bob], actions: ['kms:Encrypt'], resources: " \
	"['key/*']}\n"

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX];

struct kept_blob {
	uint8_t bytes[FMT_BLOB_MAX + 1];
	size_t len;
};

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, POLICY);
	rig_new_key(&rig, key_arn);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static void
keep(const Kmsp__Reply *reply, struct kept_blob *out)
{
	assert_answered(reply, SLK_OK);
	out->len = reply->cipher->blob.len;
	assert_true(out->len <= sizeof(out->bytes));
	memcpy(out->bytes, reply->cipher->blob.data, out->len);
}

static struct slk_span
span_of(const struct kept_blob *b)
{
	return slk_span(b->bytes, b->len);
}

static void
assert_refused_as_ciphertext(const Kmsp__Reply *reply)
{
	assert_answered(reply, SLK_INVALID_CIPHERTEXT);
	assert_string_equal(reply->exception, "InvalidCiphertextException");
	assert_string_equal(reply->message, ""); /* one indistinguishable answer */
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
}

static void
data_key_comes_back_from_decrypt(void **state)
{
	(void)state;
	struct kept_blob blob;
	uint8_t plain[32];
	const Kmsp__Reply *reply = rig_generate(&rig, RIG_ALICE, key_arn, "k=v", false);

	keep(reply, &blob);
	assert_int_equal(reply->cipher->plaintext.len, 32);
	assert_string_equal(reply->cipher->key_arn, key_arn);
	memcpy(plain, reply->cipher->plaintext.data, 32);
	reply = rig_decrypt(&rig, RIG_ALICE, "", "k=v", span_of(&blob));
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->cipher->plaintext.len, 32);
	assert_memory_equal(reply->cipher->plaintext.data, plain, 32);
	assert_string_equal(reply->cipher->key_arn, key_arn);
}

static void
data_keys_have_1_to_1024_bytes(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {1, 16, 31, 32, 64, 1023, 1024};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct kept_blob blob;
		uint8_t plain[1024];
		const Kmsp__Reply *reply = rig_generate_bytes(&rig, RIG_ALICE, key_arn, sizes[i]);
		keep(reply, &blob);
		assert_int_equal(reply->cipher->plaintext.len, sizes[i]);
		memcpy(plain, reply->cipher->plaintext.data, sizes[i]);
		reply = rig_decrypt(&rig, RIG_ALICE, "", "", span_of(&blob));
		assert_answered(reply, SLK_OK);
		assert_int_equal(reply->cipher->plaintext.len, sizes[i]);
		assert_memory_equal(reply->cipher->plaintext.data, plain, sizes[i]);
	}
	assert_int_equal(
		rig_generate_bytes(&rig, RIG_ALICE, key_arn, 0)->cipher->plaintext.len, 32);
	static const uint32_t wrong[] = {1025, UINT32_MAX};
	size_t asked = fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY);
	for (size_t i = 0; i < 2; i++) {
		const Kmsp__Reply *reply = rig_generate_bytes(&rig, RIG_ALICE, key_arn, wrong[i]);
		assert_answered(reply, SLK_INVALID);
		assert_string_equal(reply->exception, "ValidationException");
		assert_contains(reply->message,
			"at 'numberOfBytes' failed to satisfy constraint: Member must have value "
			"less than or equal to 1024");
	}
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY), asked);
}

static void
random_comes_from_the_hsm_to_who_may_ask(void **state)
{
	(void)state;
	uint8_t first[1024];
	const Kmsp__Reply *reply = rig_random(&rig, RIG_ALICE, 1024);

	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->cipher->plaintext.len, 1024);
	assert_string_equal(reply->cipher->key_arn, "");
	assert_int_equal(reply->cipher->blob.len, 0);
	memcpy(first, reply->cipher->plaintext.data, sizeof(first));
	reply = rig_random(&rig, RIG_ALICE, 1024);
	assert_memory_not_equal(reply->cipher->plaintext.data, first, sizeof(first));
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_RANDOM), 2);
	assert_contains(rig_audit_last(&rig), "\"eventName\":\"GenerateRandom\"");
	assert_contains(rig_audit_last(&rig), "\"resources\":[{\"ARN\":\"*\"}]");

	reply = rig_random(&rig, RIG_ALICE, 0);
	assert_string_equal(reply->exception, "ValidationException");
	assert_string_equal(reply->message, "NumberOfBytes is required.");
	assert_answered(rig_random(&rig, RIG_ALICE, 1025), SLK_INVALID);
	assert_answered(rig_random(&rig, RIG_BOB, 16), SLK_DENIED);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_RANDOM), 2);
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	assert_answered(rig_random(&rig, RIG_ALICE, 16), SLK_UNAVAILABLE);
}

/* KeyMaterialId and EncryptionAlgorithm. */
static void
answers_say_which_material_and_algorithm(void **state)
{
	(void)state;
	char material[KMS_MATERIAL_TEXT];
	struct kept_blob blob;
	struct fmt_blob parts;

	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ALICE, key_arn, "", slk_span_str("x"));
	keep(reply, &blob);
	assert_ok(fmt_blob_decode(span_of(&blob), &parts));
	kms_material_print(parts.key_id, parts.backing_id, material);
	assert_string_equal(reply->cipher->algorithm, "SYMMETRIC_DEFAULT");
	assert_string_equal(reply->cipher->material_id, material);
	reply = rig_decrypt(&rig, RIG_ALICE, "", "", span_of(&blob));
	assert_string_equal(reply->cipher->algorithm, "SYMMETRIC_DEFAULT");
	assert_string_equal(reply->cipher->material_id, material);
	reply = rig_generate(&rig, RIG_ALICE, key_arn, "", true);
	assert_string_equal(reply->cipher->material_id, material);
}

static void
without_plaintext_gives_none(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = rig_generate(&rig, RIG_ALICE, key_arn, "", true);

	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->cipher->plaintext.len, 0);
	assert_true(reply->cipher->blob.len > 0);
	assert_contains(rig_audit_last(&rig), "\"eventName\":\"GenerateDataKeyWithoutPlaintext\"");
}

static void
two_wraps_of_one_plaintext_differ(void **state)
{
	(void)state;
	struct kept_blob a, b;

	keep(rig_encrypt(&rig, RIG_ALICE, key_arn, "", slk_span_str("same")), &a);
	keep(rig_encrypt(&rig, RIG_ALICE, key_arn, "", slk_span_str("same")), &b);
	assert_int_equal(a.len, b.len);
	assert_memory_not_equal(a.bytes + FMT_BLOB_HEADER_BYTES, b.bytes + FMT_BLOB_HEADER_BYTES,
		FMT_BLOB_IV_BYTES);
}

static void
encrypt_takes_1_to_4096_bytes(void **state)
{
	(void)state;
	static uint8_t plain[4097];
	struct kept_blob blob;

	assert_answered(rig_encrypt(&rig, RIG_ALICE, key_arn, "", slk_span(plain, 0)), SLK_INVALID);
	assert_answered(
		rig_encrypt(&rig, RIG_ALICE, key_arn, "", slk_span(plain, 4097)), SLK_INVALID);
	keep(rig_encrypt(&rig, RIG_ALICE, key_arn, "", slk_span(plain, 4096)), &blob);
	const Kmsp__Reply *reply = rig_decrypt(&rig, RIG_ALICE, "", "", span_of(&blob));
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->cipher->plaintext.len, 4096);
}

/* Threats, row 5. */
static void
context_must_be_the_same_but_for_its_order(void **state)
{
	(void)state;
	struct kept_blob blob;

	keep(rig_encrypt(&rig, RIG_ALICE, key_arn, "a=1,b=2", slk_span_str("x")), &blob);
	assert_answered(rig_decrypt(&rig, RIG_ALICE, "", "a=1,b=2", span_of(&blob)), SLK_OK);
	assert_answered(rig_decrypt(&rig, RIG_ALICE, "", "b=2,a=1", span_of(&blob)), SLK_OK);
	static const char *const wrong[] = {"", "a=1", "a=1,b=3", "a=1,b=2,c=3", "A=1,b=2",
		"a=1,B=2", "a=2,b=1", "a=1,b=2 ", "ab=12", "a=1,b="};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_refused_as_ciphertext(
			rig_decrypt(&rig, RIG_ALICE, "", wrong[i], span_of(&blob)));
	assert_answered(
		rig_decrypt(&rig, RIG_ALICE, "", "a=1,a=1,b=2", span_of(&blob)), SLK_INVALID);
	assert_answered(
		rig_encrypt(&rig, RIG_ALICE, key_arn, "a=1,a=1", slk_span_str("x")), SLK_INVALID);
}

/* Threats, row 4. */
static void
every_flipped_byte_and_truncation_is_refused(void **state)
{
	(void)state;
	struct kept_blob blob;

	keep(rig_encrypt(&rig, RIG_ALICE, key_arn, "k=v", slk_span_str("x")), &blob);
	for (size_t i = 0; i < blob.len; i++) {
		blob.bytes[i] ^= 0x40;
		assert_refused_as_ciphertext(
			rig_decrypt(&rig, RIG_ALICE, "", "k=v", span_of(&blob)));
		blob.bytes[i] ^= 0x40;
	}
	for (size_t cut = 0; cut < blob.len; cut++)
		assert_refused_as_ciphertext(
			rig_decrypt(&rig, RIG_ALICE, "", "k=v", slk_span(blob.bytes, cut)));
	blob.bytes[blob.len] = 0;
	assert_refused_as_ciphertext(
		rig_decrypt(&rig, RIG_ALICE, "", "k=v", slk_span(blob.bytes, blob.len + 1)));
	assert_answered(rig_decrypt(&rig, RIG_ALICE, "", "k=v", span_of(&blob)), SLK_OK);
}

/* Threats, row 6: a blob of another kmsd names keys that this one does not have. */
static void
blob_of_another_kms_is_refused(void **state)
{
	(void)state;
	static struct kms_rig other;
	static char other_arn[KMS_ARN_MAX];
	struct kept_blob blob;

	rig_start(&other, "");
	rig_new_key(&other, other_arn);
	keep(rig_encrypt(&other, RIG_ROOT, other_arn, "", slk_span_str("x")), &blob);
	rig_stop(&other);
	assert_refused_as_ciphertext(rig_decrypt(&rig, RIG_ALICE, "", "", span_of(&blob)));
	assert_refused_as_ciphertext(rig_decrypt(&rig, RIG_ROOT, "", "", span_of(&blob)));
}

/* The ids of another key of ours in the header: found, but GCM tells. */
static void
blob_relabelled_with_another_key_is_refused(void **state)
{
	(void)state;
	char second[KMS_ARN_MAX];
	struct kept_blob a, b;

	rig_new_key(&rig, second);
	keep(rig_encrypt(&rig, RIG_ALICE, key_arn, "", slk_span_str("x")), &a);
	keep(rig_encrypt(&rig, RIG_ALICE, second, "", slk_span_str("x")), &b);
	memcpy(a.bytes + 8, b.bytes + 8, 32); /* both ids */
	assert_refused_as_ciphertext(rig_decrypt(&rig, RIG_ALICE, "", "", span_of(&a)));
	memcpy(a.bytes + 24, b.bytes + 24, 16);
	memcpy(a.bytes + 8, a.bytes + 24, 16); /* a backing key under a key that is not its own */
	assert_refused_as_ciphertext(rig_decrypt(&rig, RIG_ALICE, "", "", span_of(&a)));
}

static void
given_key_must_be_the_blobs_key(void **state)
{
	(void)state;
	char second[KMS_ARN_MAX];
	struct kept_blob blob;

	rig_new_key(&rig, second);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/first", key_arn), SLK_OK);
	keep(rig_encrypt(&rig, RIG_ALICE, key_arn, "", slk_span_str("x")), &blob);
	assert_answered(rig_decrypt(&rig, RIG_ALICE, key_arn, "", span_of(&blob)), SLK_OK);
	assert_answered(rig_decrypt(&rig, RIG_ALICE, "alias/first", "", span_of(&blob)), SLK_OK);
	static const char *const wrong[] = {
		"alias/none", "11111111-2222-4333-8444-555555555555", "nonsense"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_string_equal(
			rig_decrypt(&rig, RIG_ALICE, wrong[i], "", span_of(&blob))->exception,
			"IncorrectKeyException");
	assert_string_equal(rig_decrypt(&rig, RIG_ALICE, second, "", span_of(&blob))->exception,
		"IncorrectKeyException");
}

static void
refusal_names_action_resource_and_principal(void **state)
{
	(void)state;
	char expected[1024];
	struct kept_blob blob;

	keep(rig_encrypt(&rig, RIG_BOB, key_arn, "", slk_span_str("x")), &blob);
	const Kmsp__Reply *reply = rig_decrypt(&rig, RIG_BOB, "", "", span_of(&blob));
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->exception, "AccessDeniedException");
	snprintf(expected, sizeof(expected),
		"User: " RIG_BOB_ARN
		" is not authorized to perform: kms:Decrypt on resource: %s because no "
		"identity-based policy allows the kms:Decrypt action",
		key_arn);
	assert_string_equal(reply->message, expected);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), 0);
}

static void
audit_line_says_who_did_what_with_which_key(void **state)
{
	(void)state;
	char part[512];

	rig_generate(&rig, RIG_ALICE, key_arn, "purpose=test", false);
	const char *line = rig_audit_last(&rig);
	assert_contains(line,
		"\"userIdentity\":{\"type\":\"IAMUser\",\"arn\":\"" RIG_ALICE_ARN
		"\",\"uid\":1000,\"pid\":77}");
	assert_contains(
		line, "\"eventSource\":\"kms.amazonaws.com\",\"eventName\":\"GenerateDataKey\",");
	snprintf(part, sizeof(part), "\"resources\":[{\"ARN\":\"%s\"}]", key_arn);
	assert_contains(line, part);
	assert_contains(line, "\"encryptionContext\":{\"purpose\":\"test\"}");
	assert_contains(line, "\"additionalEventData\":{\"keyMaterialId\":\"");
	assert_contains(line, "\"outcome\":\"allowed\"");
	snprintf(part, sizeof(part), "\"requestID\":\"%s\"", rig_last(&rig)->request_id);
	assert_contains(line, part);
}

static void
refusal_leaves_an_audit_line(void **state)
{
	(void)state;
	struct kept_blob blob;

	keep(rig_encrypt(&rig, RIG_BOB, key_arn, "", slk_span_str("x")), &blob);
	rig_decrypt(&rig, RIG_BOB, "", "c=d", span_of(&blob));
	const char *line = rig_audit_last(&rig);
	assert_contains(line, "\"errorCode\":\"AccessDeniedException\",\"errorMessage\":\"");
	assert_contains(line, RIG_BOB_ARN);
	assert_contains(line, "\"encryptionContext\":{\"c\":\"d\"}");
}

/* Threats, row 24: no key material without a durable line. */
static void
nothing_leaves_if_the_audit_cannot_be_flushed(void **state)
{
	(void)state;
	static const unsigned ops[] = {FAULTFS_WRITE, FAULTFS_SYNC};

	for (size_t i = 0; i < 2; i++) {
		faultfs_init(&rig.ff, slk_fs_posix(), ops[i], 1, false, SLK_IO);
		const Kmsp__Reply *reply = rig_generate(&rig, RIG_ALICE, key_arn, "", false);
		assert_true(faultfs_hit(&rig.ff));
		assert_answered(reply, SLK_UNAVAILABLE);
		assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
		assert_contains(reply->message, "audit");
	}
}

static void
failed_audit_write_is_made_good_and_after_a_failed_flush_a_new_file_is_begun(void **state)
{
	(void)state;
	faultfs_init(&rig.ff, slk_fs_posix(), FAULTFS_WRITE, 1, false, SLK_DISK_FULL);
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_UNAVAILABLE);
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_OK);
	faultfs_init(&rig.ff, slk_fs_posix(), FAULTFS_SYNC, 1, false, SLK_IO);
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_UNAVAILABLE);
	assert_answered(rig_status(&rig, RIG_ALICE), SLK_OK); /* what gives nothing out goes on */
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_OK);
	assert_contains(rig_audit(&rig), "{\"kind\":\"header\"");
	assert_contains(rig_audit(&rig), "{\"kind\":\"withheld\"");
	rig_restart(&rig);
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_OK);
}

static bool slow_flush_ended;

static int
slow_start(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	return SLK_OK;
}

static int
slow_reap(void *ctx, uint64_t wait_ns, int *out_result)
{
	*out_result = *(const int *)ctx;
	return slow_flush_ended || wait_ns == UINT64_MAX ? SLK_OK : SLK_AGAIN;
}

/* One call waits for the HSM, so that the flush of the other one's line may go on behind. */
static void
begin_with_a_slow_flush(const struct kms_flush_ops *ops)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;
	Kmsp__GenerateDataKey slow = KMSP__GENERATE_DATA_KEY__INIT;

	slow_flush_ended = false;
	kms_audit_background(rig.audit, ops);
	fake_hsm_hold(rig.link, true);
	slow.key = key_arn;
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_GENERATE_DATA_KEY;
	request.generate_data_key = &slow;
	rig_begin(&rig, RIG_ALICE, &request);
	call.key = key_arn;
	request.id = 2;
	request.call_case = KMSP__REQUEST__CALL_DESCRIBE_KEY;
	request.describe_key = &call;
	rig_begin(&rig, RIG_ROOT, &request);
}

static void
no_answer_leaves_while_its_audit_line_is_being_flushed(void **state)
{
	(void)state;
	int result = SLK_OK;
	const struct kms_flush_ops ops = {slow_start, slow_reap, &result};
	unsigned before = rig.answers;

	begin_with_a_slow_flush(&ops);
	rig_turn(&rig);
	rig_turn(&rig);
	assert_int_equal(rig.answers, before);
	slow_flush_ended = true;
	rig_turn(&rig);
	assert_int_equal(rig.answers, before + 1);
	assert_answered(rig_last(&rig), SLK_OK);
	fake_hsm_hold(rig.link, false);
	rig_turn(&rig);
	assert_int_equal(rig.answers, before + 2);
	assert_answered(rig_last(&rig), SLK_OK);
	kms_audit_background(rig.audit, NULL);
}

static void
answer_is_withdrawn_when_its_flush_fails_behind(void **state)
{
	(void)state;
	int result = SLK_IO;
	const struct kms_flush_ops ops = {slow_start, slow_reap, &result};
	unsigned before = rig.answers;

	begin_with_a_slow_flush(&ops);
	rig_turn(&rig);
	slow_flush_ended = true;
	rig_turn(&rig);
	assert_int_equal(rig.answers, before + 1);
	assert_answered(rig_last(&rig), SLK_UNAVAILABLE);
	assert_int_equal(rig_last(&rig)->result_case, KMSP__REPLY__RESULT__NOT_SET);
	fake_hsm_hold(rig.link, false);
	rig_turn(&rig);
	assert_int_equal(rig.answers, before + 2);
	assert_answered(rig_last(&rig), SLK_UNAVAILABLE);
	kms_audit_background(rig.audit, NULL);
}

static void
absent_hsm_is_unavailable_and_nothing_is_lost(void **state)
{
	(void)state;
	struct kept_blob blob;

	keep(rig_encrypt(&rig, RIG_ALICE, key_arn, "", slk_span_str("x")), &blob);
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	const Kmsp__Reply *reply = rig_decrypt(&rig, RIG_ALICE, "", "", span_of(&blob));
	assert_answered(reply, SLK_UNAVAILABLE);
	assert_string_equal(reply->exception, "KeyUnavailableException");
	assert_answered(rig_decrypt(&rig, RIG_ALICE, "", "", span_of(&blob)), SLK_OK);
}

static void
swapped_token_is_unavailable_until_it_is_back(void **state)
{
	(void)state;
	struct kept_blob blob;

	keep(rig_encrypt(&rig, RIG_ALICE, key_arn, "", slk_span_str("x")), &blob);
	fake_hsm_swap_token(rig.link, true);
	assert_answered(rig_decrypt(&rig, RIG_ALICE, "", "", span_of(&blob)), SLK_UNAVAILABLE);
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_UNAVAILABLE);
	assert_answered(rig_describe_key(&rig, RIG_ROOT, key_arn), SLK_OK);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0); /* nothing is made anew */
	fake_hsm_swap_token(rig.link, false);
	assert_answered(rig_decrypt(&rig, RIG_ALICE, "", "", span_of(&blob)), SLK_OK);
}

static void
each_hsm_status_has_its_exception(void **state)
{
	(void)state;
	static const struct {
		int hsm, status;
		const char *exception;
	} rows[] = {
		{SLK_TIMEOUT, SLK_TIMEOUT, "DependencyTimeoutException"},
		{SLK_NOT_FOUND, SLK_UNAVAILABLE, "KeyUnavailableException"},
		{SLK_UNAVAILABLE, SLK_UNAVAILABLE, "KeyUnavailableException"},
		{SLK_PIN, SLK_UNAVAILABLE, "KeyUnavailableException"},
		{SLK_HSM, SLK_UNAVAILABLE, "KeyUnavailableException"},
		{SLK_CORRUPT, SLK_HSM, "KMSInternalException"},
		{SLK_UNSUPPORTED, SLK_UNSUPPORTED, "UnsupportedOperationException"},
		{SLK_INVALID, SLK_INTERNAL, "KMSInternalException"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_hsm_fail(rig.link, rows[i].hsm, 1);
		const Kmsp__Reply *reply = rig_generate(&rig, RIG_ALICE, key_arn, "", false);
		assert_answered(reply, rows[i].status);
		assert_string_equal(reply->exception, rows[i].exception);
	}
}

static void
wraps_are_reserved_before_they_are_used(void **state)
{
	(void)state;
	struct kept_blob blob;
	struct fmt_blob parts;
	uint64_t reserved = 0, used = 0;

	keep(rig_generate(&rig, RIG_ALICE, key_arn, "", true), &blob);
	assert_ok(fmt_blob_decode(span_of(&blob), &parts));
	assert_ok(kms_catalog_wrap_count(rig.catalog, parts.backing_id, &reserved, &used));
	assert_true(used >= 1 && used < reserved);
	uint64_t before = used;
	fake_hsm_set_cost(rig.link, 5);
	rig_generate(&rig, RIG_ALICE, key_arn, "", true);
	assert_ok(kms_catalog_wrap_count(rig.catalog, parts.backing_id, &reserved, &used));
	assert_int_equal(used, before + 5);
	rig_restart(&rig); /* what was reserved counts as used */
	assert_ok(kms_catalog_wrap_count(rig.catalog, parts.backing_id, &reserved, &used));
	assert_int_equal(used, reserved);
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", true), SLK_OK);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(data_key_comes_back_from_decrypt),
		CASE(data_keys_have_1_to_1024_bytes),
		CASE(random_comes_from_the_hsm_to_who_may_ask),
		CASE(answers_say_which_material_and_algorithm),
		CASE(without_plaintext_gives_none),
		CASE(two_wraps_of_one_plaintext_differ),
		CASE(encrypt_takes_1_to_4096_bytes),
		CASE(context_must_be_the_same_but_for_its_order),
		CASE(every_flipped_byte_and_truncation_is_refused),
		CASE(blob_of_another_kms_is_refused),
		CASE(blob_relabelled_with_another_key_is_refused),
		CASE(given_key_must_be_the_blobs_key),
		CASE(refusal_names_action_resource_and_principal),
		CASE(audit_line_says_who_did_what_with_which_key),
		CASE(refusal_leaves_an_audit_line),
		CASE(nothing_leaves_if_the_audit_cannot_be_flushed),
		CASE(failed_audit_write_is_made_good_and_after_a_failed_flush_a_new_file_is_begun),
		CASE(no_answer_leaves_while_its_audit_line_is_being_flushed),
		CASE(answer_is_withdrawn_when_its_flush_fails_behind),
		CASE(absent_hsm_is_unavailable_and_nothing_is_lost),
		CASE(swapped_token_is_unavailable_until_it_is_back),
		CASE(each_hsm_status_has_its_exception),
		CASE(wraps_are_reserved_before_they_are_used),
	};

	return cmocka_run_group_tests_name("kms_service_crypto", tests, NULL, NULL);
}
