/* Session tokens, sealed and opened. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "gcm.h"
#include "sessions.h"

static struct kms_digests *digests;
static struct kms_hmac *hmac;
static struct kms_gcm *gcm;
static struct kms_sessions *sessions;
static uint8_t first_id[16] = {1}, second_id[16] = {2}, third_id[16] = {3};
static const uint8_t key[KMS_SESSION_KEY_BYTES] = {5, 6, 7};
static char text[FMT_SESSION_TEXT_MAX];
static uint8_t claims[FMT_SESSION_CLAIMS_MAX], out[FMT_SESSION_CLAIMS_MAX];

static int
setup(void **state)
{
	(void)state;
	assert_ok(kms_digests_new(&digests));
	assert_ok(kms_hmac_new(digests, &hmac));
	assert_ok(kms_gcm_new(&gcm));
	assert_ok(kms_sessions_new(hmac, gcm, &sessions));
	assert_ok(kms_sessions_take(sessions, first_id, key));
	for (size_t i = 0; i < sizeof(claims); i++)
		claims[i] = (uint8_t)(i * 7);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kms_sessions_free(sessions);
	kms_gcm_free(gcm);
	kms_hmac_free(hmac);
	kms_digests_free(digests);
	return 0;
}

static int
open_bytes(const uint8_t *bytes, size_t len, size_t *out_len)
{
	struct fmt_session_token token;

	int rc = fmt_session_token_decode(slk_span(bytes, len), &token);
	return rc == SLK_OK ? kms_sessions_open(sessions, &token, out, out_len) : rc;
}

static size_t
bytes_of(const char *token, uint8_t *bytes, size_t cap)
{
	size_t len = 0;

	assert_ok(slk_base64_decode(SLK_BASE64_URL, slk_span_str(token), bytes, cap, &len));
	return len;
}

static void
what_was_sealed_comes_back(void **state)
{
	(void)state;
	static const size_t lens[] = {
		FMT_SESSION_CLAIMS_MIN, FMT_SESSION_CLAIMS_MIN + 1, 1000, FMT_SESSION_CLAIMS_MAX};
	uint8_t bytes[FMT_SESSION_MAX];

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		size_t len = 0;
		assert_ok(kms_sessions_seal(
			sessions, first_id, slk_span(claims, lens[i]), text, sizeof(text)));
		assert_null(strpbrk(text, "+/="));
		size_t n = bytes_of(text, bytes, sizeof(bytes));
		assert_null(memmem(bytes, n, claims, 32));
		assert_ok(open_bytes(bytes, n, &len));
		assert_int_equal(len, lens[i]);
		assert_memory_equal(out, claims, len);
	}
}

static void
no_two_tokens_have_a_key_or_a_byte_stream_in_common(void **state)
{
	(void)state;
	char other[FMT_SESSION_TEXT_MAX];
	uint8_t a[FMT_SESSION_MAX], b[FMT_SESSION_MAX];

	assert_ok(kms_sessions_seal(sessions, first_id, slk_span(claims, 200), text, sizeof(text)));
	assert_ok(
		kms_sessions_seal(sessions, first_id, slk_span(claims, 200), other, sizeof(other)));
	size_t n = bytes_of(text, a, sizeof(a));
	assert_int_equal(bytes_of(other, b, sizeof(b)), n);
	assert_memory_not_equal(a + 24, b + 24, 32); /* salts */
	assert_memory_not_equal(a + 56, b + 56, 16);
}

static void
every_flipped_bit_is_noticed(void **state)
{
	(void)state;
	uint8_t bytes[FMT_SESSION_MAX];

	assert_ok(kms_sessions_seal(sessions, first_id, slk_span(claims, 100), text, sizeof(text)));
	size_t n = bytes_of(text, bytes, sizeof(bytes));
	for (size_t bit = 0; bit < 8 * n; bit++) {
		size_t len = 77;
		memset(out, 0, sizeof(out));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		int rc = open_bytes(bytes, n, &len);
		if (bit < 64) /* magic, version, algorithm, zeros */
			assert_true(rc == SLK_MALFORMED || rc == SLK_BAD_VERSION);
		else
			assert_int_equal(rc, bit < 8 * 24 ? SLK_NOT_FOUND : SLK_BAD_TAG);
		assert_int_equal(len, 77);
		for (size_t i = 0; i < 100; i++)
			assert_int_equal(out[i], 0); /* no plaintext */
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void
another_key_of_the_same_id_opens_nothing(void **state)
{
	(void)state;
	static const uint8_t other[KMS_SESSION_KEY_BYTES] = {5, 6, 8};
	uint8_t bytes[FMT_SESSION_MAX];
	size_t len = 0;

	assert_ok(kms_sessions_seal(sessions, first_id, slk_span(claims, 100), text, sizeof(text)));
	size_t n = bytes_of(text, bytes, sizeof(bytes));
	kms_sessions_free(sessions);
	assert_ok(kms_sessions_new(hmac, gcm, &sessions));
	assert_int_equal(open_bytes(bytes, n, &len), SLK_NOT_FOUND);
	assert_ok(kms_sessions_take(sessions, first_id, other));
	assert_int_equal(open_bytes(bytes, n, &len), SLK_BAD_TAG);
}

static void
two_keys_are_kept(void **state)
{
	(void)state;
	assert_ok(kms_sessions_take(sessions, second_id, key));
	assert_ok(kms_sessions_take(sessions, second_id, key)); /* it is there */
	assert_true(kms_sessions_has(sessions, first_id));
	assert_true(kms_sessions_has(sessions, second_id));
	assert_ok(kms_sessions_take(sessions, third_id, key));
	assert_false(kms_sessions_has(sessions, first_id));
	assert_true(kms_sessions_has(sessions, second_id));
	assert_true(kms_sessions_has(sessions, third_id));
	assert_int_equal(
		kms_sessions_seal(sessions, first_id, slk_span(claims, 100), text, sizeof(text)),
		SLK_NOT_FOUND);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_was_sealed_comes_back),
		CASE(no_two_tokens_have_a_key_or_a_byte_stream_in_common),
		CASE(every_flipped_bit_is_noticed),
		CASE(another_key_of_the_same_id_opens_nothing),
		CASE(two_keys_are_kept),
	};

	return cmocka_run_group_tests_name("kms_sessions", tests, NULL, NULL);
}
