#include "slk_test.h"

#include <openssl/evp.h>
#include <string.h>

#include "format/blob.h"

#define PLAIN_LEN 32u

static const uint8_t key[32] = {0x42, 1, 2, 3};

static struct fmt_blob
sample(struct slk_span sealed)
{
	struct fmt_blob blob = {.sealed = sealed};

	for (unsigned i = 0; i < 16; i++) {
		blob.key_id[i] = (uint8_t)(0x10 + i);
		blob.backing_id[i] = (uint8_t)(0x20 + i);
	}
	for (unsigned i = 0; i < 12; i++)
		blob.iv[i] = (uint8_t)(0x30 + i);
	return blob;
}

static void
golden_bytes(void **state)
{
	(void)state;
	static const uint8_t sealed[17] = {
		0xee, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	static const uint8_t golden[] = {'S', 'L', 'K', 'B', 1, 1, 12, 0, 0x10, 0x11, 0x12, 0x13,
		0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x21,
		0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f,
		0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x3b, 0xee, 1, 2,
		3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	struct fmt_blob blob = sample(slk_span(sealed, sizeof(sealed))), back;
	uint8_t out[FMT_BLOB_MAX];
	size_t len = 0;

	assert_ok(fmt_blob_encode(&blob, out, sizeof(out), &len));
	assert_int_equal(len, sizeof(golden));
	assert_memory_equal(out, golden, sizeof(golden));
	assert_ok(fmt_blob_decode(slk_span(golden, sizeof(golden)), &back));
	assert_memory_equal(back.key_id, blob.key_id, 16);
	assert_memory_equal(back.backing_id, blob.backing_id, 16);
	assert_memory_equal(back.iv, blob.iv, 12);
	assert_true(slk_span_equal(back.sealed, blob.sealed));
}

static void
aad_is_the_header_and_the_context(void **state)
{
	(void)state;
	struct fmt_blob blob = sample(slk_span(NULL, 0));
	struct fmt_context *c = NULL;
	uint8_t none[FMT_BLOB_AAD_MAX], empty[FMT_BLOB_AAD_MAX], full[FMT_BLOB_AAD_MAX];
	size_t none_len = 0, empty_len = 0, full_len = 0;

	assert_ok(fmt_context_new(&c));
	assert_ok(fmt_blob_aad(&blob, NULL, none, sizeof(none), &none_len));
	assert_ok(fmt_blob_aad(&blob, c, empty, sizeof(empty), &empty_len));
	assert_int_equal(none_len, FMT_BLOB_HEADER_BYTES + 2);
	assert_int_equal(empty_len, none_len);
	assert_memory_equal(none, empty, none_len);
	assert_ok(fmt_context_add(c, slk_span_str("k"), slk_span_str("v")));
	assert_ok(fmt_blob_aad(&blob, c, full, sizeof(full), &full_len));
	assert_memory_equal(full + FMT_BLOB_HEADER_BYTES, "\x01\0\x01\0k\x01\0v", 8);
	assert_int_equal(full_len, FMT_BLOB_HEADER_BYTES + 8);
	assert_int_equal(fmt_blob_aad(&blob, c, full, full_len - 1, &full_len), SLK_FULL);
	assert_int_equal(fmt_blob_aad(&blob, NULL, full, 10, &full_len), SLK_FULL);
	fmt_context_free(c);
}

/* What the HSM does, in OpenSSL. Returns false if the tag does not match. */
static bool
gcm(bool seal, const uint8_t *iv, struct slk_span aad, struct slk_span in, uint8_t *out,
	uint8_t *tag)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;

	assert_int_equal(EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv, seal), 1);
	assert_int_equal(EVP_CipherUpdate(ctx, NULL, &len, aad.ptr, (int)aad.len), 1);
	assert_int_equal(EVP_CipherUpdate(ctx, out, &len, in.ptr, (int)in.len), 1);
	if (!seal)
		assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, tag), 1);
	bool ok = EVP_CipherFinal_ex(ctx, out + len, &len) == 1;
	if (seal)
		assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, tag), 1);
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static size_t
wrap(const struct fmt_context *context, uint8_t *out)
{
	uint8_t sealed[PLAIN_LEN + 16] = {0}, aad[FMT_BLOB_AAD_MAX], plain[PLAIN_LEN] = {9};
	struct fmt_blob blob = sample(slk_span(sealed, sizeof(sealed)));
	size_t aad_len = 0, len = 0;

	assert_ok(fmt_blob_aad(&blob, context, aad, sizeof(aad), &aad_len));
	assert_true(gcm(true, blob.iv, slk_span(aad, aad_len), slk_span(plain, sizeof(plain)),
		sealed, sealed + PLAIN_LEN));
	assert_ok(fmt_blob_encode(&blob, out, FMT_BLOB_MAX, &len));
	return len;
}

static bool
opens(struct slk_span in, const struct fmt_context *context)
{
	uint8_t aad[FMT_BLOB_AAD_MAX], plain[FMT_BLOB_PLAINTEXT_MAX], tag[16];
	struct fmt_blob blob;
	size_t aad_len = 0;

	int rc = fmt_blob_decode(in, &blob);
	if (rc != SLK_OK) {
		assert_int_equal(rc, SLK_INVALID_CIPHERTEXT);
		return false;
	}
	assert_ok(fmt_blob_aad(&blob, context, aad, sizeof(aad), &aad_len));
	size_t text_len = blob.sealed.len - sizeof(tag);
	memcpy(tag, blob.sealed.ptr + text_len, sizeof(tag));
	return gcm(false, blob.iv, slk_span(aad, aad_len), slk_span(blob.sealed.ptr, text_len),
		plain, tag);
}

static void
every_flipped_bit_and_truncation_is_refused(void **state)
{
	(void)state;
	uint8_t blob[FMT_BLOB_MAX];
	struct fmt_context *c = NULL;

	assert_ok(fmt_context_for_stream("arn:aws:kinesis:local:000000000000:stream/web", &c));
	size_t len = wrap(c, blob);
	assert_true(opens(slk_span(blob, len), c));
	for (size_t bit = 0; bit < 8 * len; bit++) {
		blob[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(opens(slk_span(blob, len), c));
		blob[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_false(opens(slk_span(blob, cut), c));
	blob[len] = 0;
	assert_false(opens(slk_span(blob, len + 1), c));
	assert_false(opens(slk_span(blob, len), NULL));
	assert_true(opens(slk_span(blob, len), c));
	fmt_context_free(c);
}

static void
decode_leaves_its_output_alone_on_error(void **state)
{
	(void)state;
	struct fmt_blob out, before;
	uint8_t blob[FMT_BLOB_MAX];
	size_t len = wrap(NULL, blob);

	memset(&out, 0x5a, sizeof(out));
	before = out;
	blob[4] = 2;
	assert_int_equal(fmt_blob_decode(slk_span(blob, len), &out), SLK_INVALID_CIPHERTEXT);
	assert_memory_equal(&out, &before, sizeof(out));
}

static void
lengths_that_no_wrap_has_are_refused(void **state)
{
	(void)state;
	static uint8_t sealed[FMT_BLOB_PLAINTEXT_MAX + FMT_BLOB_TAG_BYTES + 1];
	static uint8_t out[FMT_BLOB_MAX + 8];
	struct fmt_blob blob = sample(slk_span(sealed, FMT_BLOB_TAG_BYTES));
	size_t len = 0;

	assert_int_equal(fmt_blob_encode(&blob, out, sizeof(out), &len), SLK_INVALID);
	blob.sealed.len = sizeof(sealed);
	assert_int_equal(fmt_blob_encode(&blob, out, sizeof(out), &len), SLK_INVALID);
	blob.sealed.len = sizeof(sealed) - 1;
	assert_int_equal(fmt_blob_encode(&blob, out, FMT_BLOB_MAX - 1, &len), SLK_FULL);
	assert_int_equal(len, 0);
	assert_ok(fmt_blob_encode(&blob, out, sizeof(out), &len));
	assert_int_equal(len, FMT_BLOB_MAX);
	assert_ok(fmt_blob_decode(slk_span(out, len), &blob));
	assert_int_equal(fmt_blob_decode(slk_span(out, len + 1), &blob), SLK_INVALID_CIPHERTEXT);
}

static void
zero_iv_is_refused_both_ways(void **state)
{
	(void)state;
	uint8_t out[FMT_BLOB_MAX], sealed[40] = {1};
	struct fmt_blob blob = {.iv = {0, 1}, .sealed = {sealed, sizeof(sealed)}}, back;
	size_t len = 0;

	assert_ok(fmt_blob_encode(&blob, out, sizeof(out), &len));
	assert_ok(fmt_blob_decode(slk_span(out, len), &back));
	out[41] = 0;
	assert_int_equal(fmt_blob_decode(slk_span(out, len), &back), SLK_INVALID_CIPHERTEXT);
	memset(blob.iv, 0, sizeof(blob.iv));
	assert_int_equal(fmt_blob_encode(&blob, out, sizeof(out), &len), SLK_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes),
		cmocka_unit_test(aad_is_the_header_and_the_context),
		cmocka_unit_test(every_flipped_bit_and_truncation_is_refused),
		cmocka_unit_test(decode_leaves_its_output_alone_on_error),
		cmocka_unit_test(lengths_that_no_wrap_has_are_refused),
		cmocka_unit_test(zero_iv_is_refused_both_ways),
	};

	return cmocka_run_group_tests_name("format_blob", tests, NULL, NULL);
}
