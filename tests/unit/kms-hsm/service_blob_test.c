/* Ciphertext blobs: what Decrypt takes for one of ours, across generations of a key. Threats, rows 4 and 6; flipped bytes
 * and contexts are in service_crypto_test.c. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/blob.h"
#include "kms_rig.h"

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX];
static uint8_t key_id[KMS_ID_BYTES];

struct kept {
	uint8_t bytes[FMT_BLOB_MAX];
	size_t len;
};

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig,
		"  - {effect: Allow, principals: [user/alice], actions: ['kms:Decrypt', "
		"'kms:ReEncrypt*'], resources: ['key/*']}\n");
	rig_new_key_of(&rig, KMS_SPEC_SYMMETRIC_DEFAULT, KMS_USAGE_ENCRYPT_DECRYPT, key_arn);
	memcpy(key_id, rig.made_id, sizeof(key_id));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static struct kept
sealed(const char *text)
{
	struct kept out;
	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ROOT, key_arn, "k=v", slk_span_str(text));

	assert_answered(reply, SLK_OK);
	out.len = reply->cipher->blob.len;
	memcpy(out.bytes, reply->cipher->blob.data, out.len);
	return out;
}

static const Kmsp__Reply *
opened(const struct kept *blob)
{
	return rig_decrypt(&rig, RIG_ALICE, "", "k=v", slk_span(blob->bytes, blob->len));
}

static void
assert_one_answer(const Kmsp__Reply *reply)
{
	assert_answered(reply, SLK_INVALID_CIPHERTEXT);
	assert_string_equal(reply->exception, "InvalidCiphertextException");
	assert_string_equal(reply->message, "");
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
}

/* --- generations --- */

static uint8_t successor[KMS_ID_BYTES];

static void
switch_to_successor(void *arg, const struct hsm_reply *reply)
{
	struct kms_check check = {.public_key = {NULL, 0}};

	(void)arg;
	assert_ok(reply->status);
	memcpy(check.kcv, reply->kcv, sizeof(check.kcv));
	assert_ok(kms_catalog_backing_switch(rig.catalog, successor, &check, rig.wall_ns));
}

static void
begin_successor(void)
{
	assert_ok(slk_random(successor, sizeof(successor)));
	assert_ok(kms_catalog_backing_begin(
		rig.catalog, key_id, successor, KMS_BACKING_ON_DEMAND, rig.wall_ns));
}

static void
rotate(void)
{
	struct hsm_request ask = {.op = HSM_CREATE_KEY};

	begin_successor();
	memcpy(ask.key_id, successor, sizeof(successor));
	assert_ok(hsm_link_submit(rig.link, &ask, switch_to_successor, NULL));
	rig_turn(&rig);
}

static void
old_generations_decrypt_and_the_newest_encrypts(void **state)
{
	(void)state;
	struct kept blobs[4];
	char materials[4][KMS_MATERIAL_TEXT];

	for (int i = 0; i < 4; i++) {
		char text[8];
		snprintf(text, sizeof(text), "gen %d", i);
		blobs[i] = sealed(text);
		snprintf(materials[i], sizeof(materials[i]), "%s",
			rig_last(&rig)->cipher->material_id);
		if (i < 3)
			rotate();
	}
	for (int i = 0; i < 4; i++) {
		const Kmsp__Reply *reply = opened(&blobs[i]);
		assert_answered(reply, SLK_OK);
		assert_int_equal(reply->cipher->plaintext.data[4], '0' + i);
		assert_string_equal(reply->cipher->key_arn, key_arn);
		assert_string_equal(reply->cipher->material_id, materials[i]);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(materials[i], materials[j]);
	}
	rig_restart(&rig);
	for (int i = 0; i < 4; i++)
		assert_answered(opened(&blobs[i]), SLK_OK);
}

static void
re_encrypt_moves_to_the_newest_generation(void **state)
{
	(void)state;
	struct kept old = sealed("x");
	struct fmt_blob before, after;

	rotate();
	const Kmsp__Reply *reply = rig_re_encrypt(&rig, RIG_ALICE, slk_span(old.bytes, old.len),
		&(struct rig_re){.source_context = "k=v", .key = key_arn, .context = "k=v"});
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->re_encrypted->source_key_arn, key_arn);
	assert_string_not_equal(
		reply->re_encrypted->source_material_id, reply->re_encrypted->material_id);
	assert_ok(fmt_blob_decode(slk_span(old.bytes, old.len), &before));
	assert_ok(fmt_blob_decode(
		slk_span(reply->re_encrypted->blob.data, reply->re_encrypted->blob.len), &after));
	assert_memory_equal(after.key_id, before.key_id, sizeof(after.key_id));
	assert_memory_equal(after.backing_id, successor, sizeof(successor));
}

static void
generation_cannot_be_relabelled(void **state)
{
	(void)state;
	struct kept blob = sealed("x");
	struct fmt_blob parts;

	rotate();
	struct kept newer = sealed("x");
	struct kept forged = blob;
	memcpy(forged.bytes + 24, newer.bytes + 24, KMS_ID_BYTES);
	assert_one_answer(opened(&forged));
	forged = newer;
	memcpy(forged.bytes + 40, blob.bytes + 40, newer.len - 40); /* and the other way round */
	assert_one_answer(opened(&forged));
	assert_ok(fmt_blob_decode(slk_span(newer.bytes, newer.len), &parts));
	assert_memory_equal(parts.backing_id, successor, sizeof(successor));
}

static void
unknown_generation_is_refused_without_the_hsm(void **state)
{
	(void)state;
	struct kept blob = sealed("x");

	assert_ok(slk_random(blob.bytes + 24, KMS_ID_BYTES));
	assert_one_answer(opened(&blob));
	begin_successor(); /* a row, but nothing that ever wrapped */
	memcpy(blob.bytes + 24, successor, KMS_ID_BYTES);
	assert_one_answer(opened(&blob));
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), 0);
}

static void
unknown_key_with_a_known_generation_is_refused(void **state)
{
	(void)state;
	struct kept blob = sealed("x");

	assert_ok(slk_random(blob.bytes + 8, KMS_ID_BYTES));
	assert_one_answer(opened(&blob));
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), 0);
}

static void
blob_that_names_a_key_pair_is_refused(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];
	struct kms_key key;
	struct kept blob = sealed("x");

	rig_new_key_of(&rig, KMS_SPEC_RSA_2048, KMS_USAGE_ENCRYPT_DECRYPT, arn);
	assert_ok(kms_catalog_key_get(rig.catalog, rig.made_id, &key));
	memcpy(blob.bytes + 8, key.id, KMS_ID_BYTES);
	memcpy(blob.bytes + 24, key.backing_id, KMS_ID_BYTES);
	assert_one_answer(opened(&blob));
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), 0);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_DECRYPT), 0);
}

/* --- foreign bytes --- */

static void
foreign_bytes_are_one_answer(void **state)
{
	(void)state;
	static const char *const foreign[] = {/* what others' ciphertexts begin with */
		"\x01\x02\x02\x00x\x1e\x9a", "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481",
		"{\"ciphertext\": \"AQICAHg\"}", "-----BEGIN PKCS7-----", "SLKF", "SLKP", "SLKA",
		"slkb", "SLKB"};
	static uint8_t bytes[8192];

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		size_t len = strlen(foreign[i]);
		for (size_t total = len; total <= 512; total += 37) {
			memset(bytes, 0x41, sizeof(bytes));
			memcpy(bytes, foreign[i], len);
			assert_one_answer(
				rig_decrypt(&rig, RIG_ALICE, "", "k=v", slk_span(bytes, total)));
		}
	}
	for (size_t len = 0; len <= sizeof(bytes); len = len * 2 + 1)
		assert_one_answer(rig_decrypt(&rig, RIG_ALICE, "", "k=v", slk_span(bytes, len)));
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), 0);
}

static void
every_value_of_every_header_byte_but_the_right_one_is_refused(void **state)
{
	(void)state;
	struct kept blob = sealed("x");

	for (size_t i = 0; i < 8; i++) {
		uint8_t right = blob.bytes[i];
		for (unsigned value = 0; value < 256; value++) {
			blob.bytes[i] = (uint8_t)value;
			if (value == right)
				assert_answered(opened(&blob), SLK_OK);
			else
				assert_one_answer(opened(&blob));
		}
		blob.bytes[i] = right;
	}
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), 8);
}

static void
iv_of_zeros_is_refused_without_the_hsm(void **state)
{
	(void)state;
	struct kept blob = sealed("x");

	memset(blob.bytes + 40, 0, FMT_BLOB_IV_BYTES);
	assert_one_answer(opened(&blob));
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), 0);
}

/* A truncated tag would be accepted by a token that is told so; nobody is told. */
static void
shortened_and_lengthened_tags_are_refused(void **state)
{
	(void)state;
	static uint8_t plain[4096];
	uint8_t bytes[FMT_BLOB_MAX + 32] = {0};
	const Kmsp__Reply *reply =
		rig_encrypt(&rig, RIG_ROOT, key_arn, "k=v", slk_span(plain, sizeof(plain)));
	size_t len = reply->cipher->blob.len;

	assert_int_equal(len, FMT_BLOB_MAX);
	memcpy(bytes, reply->cipher->blob.data, len);
	for (size_t cut = 1; cut <= 16; cut++)
		assert_one_answer(
			rig_decrypt(&rig, RIG_ALICE, "", "k=v", slk_span(bytes, len - cut)));
	for (size_t more = 1; more <= 32; more++)
		assert_one_answer(
			rig_decrypt(&rig, RIG_ALICE, "", "k=v", slk_span(bytes, len + more)));
}

/* --- whose key --- */

/* Threats, row 6: an existing key without the right is a refusal, and the same for every state of the blob's bytes. */
static void
who_lacks_the_right_learns_nothing_from_a_damaged_blob(void **state)
{
	(void)state;
	struct kept blob = sealed("x");
	char message[512];

	const Kmsp__Reply *reply =
		rig_decrypt(&rig, RIG_BOB, "", "k=v", slk_span(blob.bytes, blob.len));
	assert_answered(reply, SLK_DENIED);
	snprintf(message, sizeof(message), "%s", reply->message);
	blob.bytes[blob.len - 1] ^= 1;
	reply = rig_decrypt(&rig, RIG_BOB, "", "k=w", slk_span(blob.bytes, blob.len));
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->message, message);
	assert_ok(kms_catalog_key_switch(rig.catalog, key_id, false));
	reply = rig_decrypt(&rig, RIG_BOB, "", "k=v", slk_span(blob.bytes, blob.len));
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->message, message);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), 0);
}

static void
state_of_the_blobs_key_counts(void **state)
{
	(void)state;
	struct kept blob = sealed("x");
	const struct slk_span bytes = slk_span(blob.bytes, blob.len);
	const struct rig_re move = {.source_context = "k=v", .key = key_arn};
	char message[512];

	assert_ok(kms_catalog_key_switch(rig.catalog, key_id, false));
	snprintf(message, sizeof(message), "%s is disabled.", key_arn);
	const Kmsp__Reply *reply = opened(&blob);
	assert_string_equal(reply->exception, "DisabledException");
	assert_string_equal(reply->message, message);
	assert_string_equal(
		rig_re_encrypt(&rig, RIG_ALICE, bytes, &move)->exception, "DisabledException");
	assert_ok(kms_catalog_key_schedule(rig.catalog, key_id, rig.wall_ns, 7));
	snprintf(message, sizeof(message), "%s is pending deletion.", key_arn);
	reply = opened(&blob);
	assert_string_equal(reply->exception, "KMSInvalidStateException");
	assert_string_equal(reply->message, message);
	assert_string_equal(rig_re_encrypt(&rig, RIG_ALICE, bytes, &move)->exception,
		"KMSInvalidStateException");
	/* Its rows stay when it is gone; its blobs are like any other's. */
	assert_ok(kms_catalog_key_doom(rig.catalog, key_id));
	assert_one_answer(opened(&blob));
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), 0);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_REWRAP), 0);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(old_generations_decrypt_and_the_newest_encrypts),
		CASE(re_encrypt_moves_to_the_newest_generation),
		CASE(generation_cannot_be_relabelled),
		CASE(unknown_generation_is_refused_without_the_hsm),
		CASE(unknown_key_with_a_known_generation_is_refused),
		CASE(blob_that_names_a_key_pair_is_refused),
		CASE(foreign_bytes_are_one_answer),
		CASE(every_value_of_every_header_byte_but_the_right_one_is_refused),
		CASE(iv_of_zeros_is_refused_without_the_hsm),
		CASE(shortened_and_lengthened_tags_are_refused),
		CASE(who_lacks_the_right_learns_nothing_from_a_damaged_blob),
		CASE(state_of_the_blobs_key_counts),
	};

	return cmocka_run_group_tests_name("kms_service_blob", tests, NULL, NULL);
}
