/* HMAC against the test cases of RFC 4231. */
#include "slk_test.h"

#include <string.h>

#include "hmac.h"

static struct kms_digests *digests;
static struct kms_hmac *hmac;

static int
setup(void **state)
{
	(void)state;
	assert_ok(kms_digests_new(&digests));
	assert_ok(kms_hmac_new(digests, &hmac));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kms_hmac_free(hmac);
	kms_digests_free(digests);
	return 0;
}

static const struct {
	const char *key, *message, *sha256, *sha512; /* hex */
} cases[] = {
	{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
		"87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
		"daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
	{"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		"164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
		"9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
	{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"dddddddddddddddddddddddddddddddddddddddddddddddddd"
		"dddddddddddddddddddddddddddddddddddddddddddddddddd",
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
		"fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
		"bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
	{"0102030405060708090a0b0c0d0e0f10111213141516171819",
		"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
		"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
		"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
		"b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
		"a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"},
};

static struct slk_span
from_hex(const char *hex, uint8_t *out)
{
	size_t len = strlen(hex) / 2;

	assert_ok(slk_unhex(hex, out, len));
	return slk_span(out, len);
}

static void
published_cases_fit(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t key[64], message[64], out[KMS_SHA512_BYTES];
		char hex[2 * KMS_SHA512_BYTES + 1];
		struct slk_span k = from_hex(cases[i].key, key),
				m = from_hex(cases[i].message, message);
		assert_ok(kms_hmac_sha256(hmac, k, m, out));
		slk_hex(slk_span(out, KMS_SHA256_BYTES), hex, sizeof(hex));
		assert_string_equal(hex, cases[i].sha256);
		assert_ok(kms_hmac_sha512(hmac, k, m, out));
		slk_hex(slk_span(out, KMS_SHA512_BYTES), hex, sizeof(hex));
		assert_string_equal(hex, cases[i].sha512);
	}
}

static void
what_does_not_fit_is_refused(void **state)
{
	(void)state;
	static const uint8_t zeros[512];
	uint8_t out[KMS_SHA256_BYTES] = {7};

	assert_int_equal(kms_hmac_sha256(hmac, slk_span(zeros, KMS_HMAC_KEY_MAX + 1),
				 slk_span(zeros, 1), out),
		SLK_TOO_LARGE);
	assert_int_equal(kms_hmac_sha256(hmac, slk_span(zeros, 1),
				 slk_span(zeros, KMS_HMAC_MESSAGE_MAX + 1), out),
		SLK_TOO_LARGE);
	assert_int_equal(out[0], 7);
	assert_ok(kms_hmac_sha256(hmac, slk_span(zeros, KMS_HMAC_KEY_MAX),
		slk_span(zeros, KMS_HMAC_MESSAGE_MAX), out));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(published_cases_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests_name("kms_hmac", tests, NULL, NULL);
}
