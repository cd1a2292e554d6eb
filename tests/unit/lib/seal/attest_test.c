#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "attester.h"
#include "seal/attest.h"

static struct attester ours, theirs;
static uint8_t digest[SEAL_SHA256_BYTES], signature[128];
static size_t signature_len;

static int
setup(void **state)
{
	(void)state;
	attester_init(&ours, "P-256");
	attester_init(&theirs, "P-256");
	assert_ok(seal_sha256(slk_span_str("abc"), digest));
	signature_len = attester_sign(&ours, "rewrap", digest, signature);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	attester_fini(&ours);
	attester_fini(&theirs);
	return 0;
}

static void
sha256_gives_the_known_answers(void **state)
{
	(void)state;
	char hex[65];

	slk_hex(slk_span(digest, sizeof(digest)), hex, sizeof(hex)); /* FIPS 180-4: "abc" */
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_ok(seal_sha256(slk_span(NULL, 0), digest));
	slk_hex(slk_span(digest, sizeof(digest)), hex, sizeof(hex));
	assert_string_equal(
		hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void
a_signature_fits_its_digest_purpose_and_key_only(void **state)
{
	(void)state;
	struct slk_span s = slk_span(signature, signature_len);

	assert_ok(seal_attest_verify(attester_der(&ours), "rewrap", digest, s));
	assert_int_equal(
		seal_attest_verify(attester_der(&theirs), "rewrap", digest, s), SLK_BAD_TAG);
	assert_int_equal(
		seal_attest_verify(attester_der(&ours), "journal", digest, s), SLK_BAD_TAG);
	assert_int_equal(seal_attest_verify(attester_der(&ours), "", digest, s), SLK_INVALID);
	digest[0] ^= 1;
	assert_int_equal(seal_attest_verify(attester_der(&ours), "rewrap", digest, s), SLK_BAD_TAG);
}

static void
a_damaged_signature_or_key_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < signature_len; i++) {
		signature[i] ^= 1;
		assert_int_equal(seal_attest_verify(attester_der(&ours), "rewrap", digest,
					 slk_span(signature, signature_len)),
			SLK_BAD_TAG);
		signature[i] ^= 1;
	}
	for (size_t n = 0; n < ours.der_len; n++)
		assert_int_equal(seal_attest_verify(slk_span(ours.der, n), "rewrap", digest,
					 slk_span(signature, signature_len)),
			SLK_MALFORMED);
	assert_ok(seal_attest_verify(
		attester_der(&ours), "rewrap", digest, slk_span(signature, signature_len)));
}

static void
keys_of_other_kinds_are_refused(void **state)
{
	(void)state;
	struct attester big;
	struct seal_attest_keys *keys = NULL;
	char pem[SEAL_ATTEST_PEM_MAX] = "x";

	attester_init(&big, "P-384");
	assert_int_equal(seal_attest_verify(attester_der(&big), "rewrap", digest,
				 slk_span(signature, signature_len)),
		SLK_MALFORMED);
	assert_int_equal(seal_attest_keys_from_der(attester_der(&big), &keys), SLK_MALFORMED);
	assert_int_equal(seal_attest_pem(attester_der(&big), pem, sizeof(pem)), SLK_MALFORMED);
	assert_string_equal(pem, "x");
	assert_null(keys);
	attester_fini(&big);
}

static void
pinned_keys_come_back_from_pem(void **state)
{
	(void)state;
	char pem[2 * SEAL_ATTEST_PEM_MAX + 64] = "this is the key of the cellar\n";
	struct seal_attest_keys *keys = NULL;
	struct slk_error err = {0};
	size_t at = strlen(pem);

	assert_ok(seal_attest_pem(attester_der(&ours), pem + at, sizeof(pem) - at));
	assert_non_null(strstr(pem, "-----BEGIN PUBLIC KEY-----"));
	assert_ok(seal_attest_keys_new(slk_span_str(pem), &keys, &err));
	assert_true(seal_attest_keys_has(keys, attester_der(&ours)));
	assert_false(seal_attest_keys_has(keys, attester_der(&theirs)));
	seal_attest_keys_free(keys);
	at = strlen(pem);
	assert_ok(seal_attest_pem(attester_der(&theirs), pem + at, sizeof(pem) - at));
	assert_ok(seal_attest_keys_new(slk_span_str(pem), &keys, &err));
	assert_true(seal_attest_keys_has(keys, attester_der(&ours)));
	assert_true(seal_attest_keys_has(keys, attester_der(&theirs)));
	seal_attest_keys_free(keys);
	assert_int_equal(seal_attest_pem(attester_der(&ours), pem, 100), SLK_FULL);
}

static void
files_without_a_usable_key_are_refused_with_a_sentence(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "no key\n",
		"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nMFkw\n-----END CERTIFICATE-----\n"};
	struct seal_attest_keys *keys = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct slk_error err = {0};
		assert_int_equal(
			seal_attest_keys_new(slk_span_str(bad[i]), &keys, &err), SLK_CONFIG);
		assert_true(strlen(err.text) > 10);
		assert_null(keys);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sha256_gives_the_known_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_signature_fits_its_digest_purpose_and_key_only, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_damaged_signature_or_key_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_of_other_kinds_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(pinned_keys_come_back_from_pem, setup, teardown),
		cmocka_unit_test(files_without_a_usable_key_are_refused_with_a_sentence),
	};

	return cmocka_run_group_tests_name("seal_attest", tests, NULL, NULL);
}
