/* ReEncrypt over a fake HSM: two keys, two rights, two contexts, and a plaintext that nobody sees. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "format/blob.h"
#include "kms_rig.h"

#define BOTH "'kms:ReEncryptFrom', 'kms:ReEncryptTo'"
#define POLICY \
	"  - {effect: Allow, principals: [user/alice], actions: [" BOTH "], resources: " \
	"['key/*']}\n"

static struct kms_rig rig;
static char from[KMS_ARN_MAX], to[KMS_ARN_MAX];

struct kept {
	uint8_t bytes[FMT_BLOB_MAX];
	size_t len;
};

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, POLICY);
	rig_new_key(&rig, from);
	rig_new_key(&rig, to);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static struct slk_span
keep(ProtobufCBinaryData bytes, struct kept *out)
{
	assert_in_range(bytes.len, 1, sizeof(out->bytes));
	memcpy(out->bytes, bytes.data, bytes.len);
	out->len = bytes.len;
	return slk_span(out->bytes, out->len);
}

static struct slk_span
sealed(const char *key, const char *context, const char *text, struct kept *out)
{
	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ROOT, key, context, slk_span_str(text));

	assert_answered(reply, SLK_OK);
	return keep(reply->cipher->blob, out);
}

static void
assert_opens(struct slk_span blob, const char *key, const char *context, const char *text)
{
	const Kmsp__Reply *reply = rig_decrypt(&rig, RIG_ROOT, "", context, blob);

	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->cipher->key_arn, key);
	assert_int_equal(reply->cipher->plaintext.len, strlen(text));
	assert_memory_equal(reply->cipher->plaintext.data, text, strlen(text));
}

static void
blob_moves_to_another_key_and_context_inside_the_hsm(void **state)
{
	(void)state;
	struct kept a, b;
	struct slk_span blob = sealed(from, "a=1", "moved", &a);

	const Kmsp__Reply *reply = rig_re_encrypt(&rig, RIG_ALICE, blob,
		&(struct rig_re){.source_context = "a=1", .key = to, .context = "b=2"});
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->re_encrypted->source_key_arn, from);
	assert_string_equal(reply->re_encrypted->key_arn, to);
	assert_string_equal(reply->re_encrypted->algorithm, "SYMMETRIC_DEFAULT");
	assert_string_equal(reply->re_encrypted->source_algorithm, "SYMMETRIC_DEFAULT");
	assert_int_equal(strlen(reply->re_encrypted->material_id), 64);
	assert_string_not_equal(
		reply->re_encrypted->material_id, reply->re_encrypted->source_material_id);
	struct slk_span moved = keep(reply->re_encrypted->blob, &b);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_REWRAP), 1);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), 0);
	assert_opens(moved, to, "b=2", "moved");
	assert_opens(blob, from, "a=1", "moved"); /* the old one is as good as it was */
	assert_answered(rig_decrypt(&rig, RIG_ROOT, "", "a=1", moved), SLK_INVALID_CIPHERTEXT);
}

static void
frame_of_the_answer_holds_no_plaintext(void **state)
{
	(void)state;
	struct kept a;
	struct slk_span blob = sealed(from, "", "SECRET-SECRET-SECRET", &a);

	assert_answered(rig_re_encrypt(&rig, RIG_ALICE, blob, &(struct rig_re){.key = to}), SLK_OK);
	assert_null(memmem(
		slk_secret_peek(rig.frame), slk_secret_len(rig.frame), "SECRET-SECRET-SECRET", 20));
}

static void
each_key_needs_its_own_right(void **state)
{
	(void)state;
	static struct kms_rig other;
	static const struct {
		const char *actions;
		int status;
		const char *right;
	} rows[] = {
		{"'kms:ReEncryptFrom'", SLK_DENIED, "kms:ReEncryptTo"},
		{"'kms:ReEncryptTo'", SLK_DENIED, "kms:ReEncryptFrom"},
		{"'kms:Encrypt', 'kms:Decrypt'", SLK_DENIED, "kms:ReEncryptFrom"},
		{"'kms:ReEncrypt*'", SLK_OK, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char policy[256], part[512], a[KMS_ARN_MAX], b[KMS_ARN_MAX];
		struct kept k;
		snprintf(policy, sizeof(policy),
			"  - {effect: Allow, principals: [user/bob], actions: [%s], resources: "
			"['key/*']}\n",
			rows[i].actions);
		rig_start(&other, policy);
		rig_new_key(&other, a);
		rig_new_key(&other, b);
		struct slk_span blob = keep(
			rig_encrypt(&other, RIG_ROOT, a, "", slk_span_str("x"))->cipher->blob, &k);
		const Kmsp__Reply *reply =
			rig_re_encrypt(&other, RIG_BOB, blob, &(struct rig_re){.key = b});
		assert_answered(reply, rows[i].status);
		if (rows[i].right != NULL) {
			snprintf(part, sizeof(part),
				"User: " RIG_BOB_ARN
				" is not authorized to perform: %s on resource: %s",
				rows[i].right, strcmp(rows[i].right, "kms:ReEncryptTo") ? a : b);
			assert_string_equal(reply->exception, "AccessDeniedException");
			assert_contains(reply->message, part);
			assert_int_equal(fake_hsm_calls_count(other.link, HSM_REWRAP), 0);
		}
		rig_stop(&other);
	}
}

static void
audit_line_names_both_keys_contexts_and_generations(void **state)
{
	(void)state;
	struct kept a;
	struct fmt_blob source, target;
	char material[KMS_MATERIAL_TEXT], part[512 + KMS_ARN_MAX];
	struct slk_span blob = sealed(from, "old=1", "x", &a);

	const Kmsp__Reply *reply = rig_re_encrypt(&rig, RIG_ALICE, blob,
		&(struct rig_re){.source_context = "old=1", .key = to, .context = "new=2"});
	assert_answered(reply, SLK_OK);
	assert_ok(fmt_blob_decode(blob, &source));
	assert_ok(fmt_blob_decode(
		slk_span(reply->re_encrypted->blob.data, reply->re_encrypted->blob.len), &target));
	const char *line = rig_audit_last(&rig);
	assert_contains(line, "\"eventName\":\"ReEncrypt\"");
	assert_contains(line,
		"\"requestParameters\":{\"sourceEncryptionContext\":{\"old\":\"1\"},"
		"\"destinationEncryptionContext\":{\"new\":\"2\"}}");
	snprintf(part, sizeof(part), "\"resources\":[{\"ARN\":\"%s\"},{\"ARN\":\"%s\"}]", to, from);
	assert_contains(line, part);
	kms_material_print(source.key_id, source.backing_id, material);
	snprintf(part, sizeof(part), "\"sourceKeyMaterialId\":\"%s\"", material);
	assert_contains(line, part);
	kms_material_print(target.key_id, target.backing_id, material);
	snprintf(part, sizeof(part), "\"destinationKeyMaterialId\":\"%s\"", material);
	assert_contains(line, part);
}

static void
bad_source_is_one_answer(void **state)
{
	(void)state;
	struct kept a;
	struct slk_span blob = sealed(from, "k=v", "x", &a);
	const struct rig_re how = {.source_context = "k=v", .key = to, .context = "k=v"};

	for (size_t i = 0; i < a.len; i++) {
		a.bytes[i] ^= 0x20;
		const Kmsp__Reply *reply = rig_re_encrypt(&rig, RIG_ALICE, blob, &how);
		assert_answered(reply, SLK_INVALID_CIPHERTEXT);
		assert_string_equal(reply->exception, "InvalidCiphertextException");
		assert_string_equal(reply->message, "");
		a.bytes[i] ^= 0x20;
	}
	for (size_t cut = 0; cut < a.len; cut++)
		assert_answered(rig_re_encrypt(&rig, RIG_ALICE, slk_span(a.bytes, cut), &how),
			SLK_INVALID_CIPHERTEXT);
	static const char *const contexts[] = {"", "k=w", "K=v", "k=v,l=w"};
	for (size_t i = 0; i < 4; i++)
		assert_answered(rig_re_encrypt(&rig, RIG_ALICE, blob,
					&(struct rig_re){.source_context = contexts[i], .key = to}),
			SLK_INVALID_CIPHERTEXT);
	assert_answered(rig_re_encrypt(&rig, RIG_ALICE, blob, &how), SLK_OK);
}

static void
given_source_must_be_the_blobs_key(void **state)
{
	(void)state;
	struct kept a;
	struct slk_span blob = sealed(from, "", "x", &a);

	assert_answered(rig_re_encrypt(&rig, RIG_ALICE, blob,
				&(struct rig_re){.source_key = from, .key = to}),
		SLK_OK);
	const Kmsp__Reply *reply = rig_re_encrypt(
		&rig, RIG_ALICE, blob, &(struct rig_re){.source_key = to, .key = to});
	assert_string_equal(reply->exception, "IncorrectKeyException");
	reply = rig_re_encrypt(&rig, RIG_ALICE, blob, &(struct rig_re){.key = ""});
	assert_string_equal(reply->exception, "NotFoundException");
	assert_string_equal(reply->message, "Invalid keyId ''");
}

static void
wrap_is_counted_under_the_target(void **state)
{
	(void)state;
	struct kept a;
	struct fmt_blob source, target;
	uint64_t reserved = 0, used[4] = {0};
	struct slk_span blob = sealed(from, "", "x", &a);

	const Kmsp__Reply *reply =
		rig_re_encrypt(&rig, RIG_ALICE, blob, &(struct rig_re){.key = to});
	assert_answered(reply, SLK_OK);
	assert_ok(fmt_blob_decode(blob, &source));
	assert_ok(fmt_blob_decode(
		slk_span(reply->re_encrypted->blob.data, reply->re_encrypted->blob.len), &target));
	assert_ok(kms_catalog_wrap_count(rig.catalog, source.backing_id, &reserved, &used[0]));
	assert_ok(kms_catalog_wrap_count(rig.catalog, target.backing_id, &reserved, &used[1]));
	fake_hsm_set_cost(rig.link, 7);
	assert_answered(rig_re_encrypt(&rig, RIG_ALICE, blob, &(struct rig_re){.key = to}), SLK_OK);
	assert_ok(kms_catalog_wrap_count(rig.catalog, source.backing_id, &reserved, &used[2]));
	assert_ok(kms_catalog_wrap_count(rig.catalog, target.backing_id, &reserved, &used[3]));
	assert_int_equal(used[2], used[0]);
	assert_int_equal(used[3], used[1] + 7);
}

/* A stream without SSE-KMS: its keys may be renewed, not carried away. */
static void
keys_of_the_appliance_stay_with_the_appliance(void **state)
{
	(void)state;
	struct kept a;
	char arn[KMS_ARN_MAX], context[KMS_ARN_MAX + 20], appliance[KMS_ARN_MAX];

	assert_answered(rig_create_stream(&rig, RIG_ROOT, "s", 1, ""), SLK_OK);
	snprintf(arn, sizeof(arn), "%s", rig_describe_stream(&rig, RIG_ROOT, "s")->stream->arn);
	snprintf(context, sizeof(context), "aws:kinesis:arn=%s", arn);
	const Kmsp__Reply *reply = rig_stream_key(&rig, RIG_INGEST, arn);
	assert_answered(reply, SLK_OK);
	snprintf(appliance, sizeof(appliance), "%s", reply->cipher->key_arn);
	struct slk_span blob = keep(reply->cipher->blob, &a);

	reply = rig_re_encrypt(&rig, RIG_ALICE, blob,
		&(struct rig_re){.source_context = context, .key = to, .context = context});
	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, "belongs to the appliance");
	reply = rig_re_encrypt(&rig, RIG_ALICE, blob,
		&(struct rig_re){.source_context = context, .key = appliance, .context = "a=b"});
	assert_answered(reply, SLK_DENIED);
	blob = sealed(from, "", "x", &a);
	assert_answered(rig_re_encrypt(&rig, RIG_ALICE, blob, &(struct rig_re){.key = appliance}),
		SLK_DENIED);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_REWRAP), 0);

	blob = keep(rig_stream_key(&rig, RIG_INGEST, arn)->cipher->blob, &a);
	reply = rig_re_encrypt(&rig, RIG_ALICE, blob,
		&(struct rig_re){.source_context = context, .key = appliance, .context = context});
	assert_answered(reply, SLK_OK);
	blob = keep(reply->re_encrypted->blob, &a);
	assert_answered(rig_decrypt(&rig, RIG_ROOT, "", context, blob), SLK_OK);
}

static void
absent_hsm_is_unavailable_and_nothing_is_lost(void **state)
{
	(void)state;
	struct kept a;
	struct slk_span blob = sealed(from, "", "x", &a);

	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	const Kmsp__Reply *reply =
		rig_re_encrypt(&rig, RIG_ALICE, blob, &(struct rig_re){.key = to});
	assert_string_equal(reply->exception, "KeyUnavailableException");
	assert_answered(rig_re_encrypt(&rig, RIG_ALICE, blob, &(struct rig_re){.key = to}), SLK_OK);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(blob_moves_to_another_key_and_context_inside_the_hsm),
		CASE(frame_of_the_answer_holds_no_plaintext),
		CASE(each_key_needs_its_own_right),
		CASE(audit_line_names_both_keys_contexts_and_generations),
		CASE(bad_source_is_one_answer),
		CASE(given_source_must_be_the_blobs_key),
		CASE(wrap_is_counted_under_the_target),
		CASE(keys_of_the_appliance_stay_with_the_appliance),
		CASE(absent_hsm_is_unavailable_and_nothing_is_lost),
	};

	return cmocka_run_group_tests_name("kms_service_reencrypt", tests, NULL, NULL);
}
