/* Public keys: what is taken from a token, and which signatures are let through. Vectors: RFC 6979, A.2.5. */
#include "slk_test.h"

#include <string.h>

#include <openssl/evp.h>

#include "hsm/public.h"

static OSSL_LIB_CTX *context;

static const char point_hex[] = "04"
				"60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
				"7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299";
static const char raw_hex[] = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
			      "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8";
static const char sample_hex[] =
	"AF2BDBE1AA9B6EC1E2ADE1D694F41FC71A831D0268E9891562113D8A62ADD1BF"; /* SHA-256("sample") */

static size_t
unhex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned v;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return n;
}

static EVP_PKEY *
rfc_key(void)
{
	uint8_t point[65];
	EVP_PKEY *key = NULL;

	assert_ok(hsm_public_from_ec(
		context, KMS_SPEC_ECC_NIST_P256, slk_span(point, unhex(point_hex, point)), &key));
	return key;
}

static int
verify(EVP_PKEY *key, const uint8_t *signature, size_t len)
{
	uint8_t digest[32];

	return hsm_public_verify(context, key, KMS_ALG_ECDSA_SHA_256,
		slk_span(digest, unhex(sample_hex, digest)), slk_span(signature, len));
}

static void
a_published_signature_verifies_and_a_changed_one_does_not(void **state)
{
	(void)state;
	uint8_t raw[64], der[KMS_SIGNATURE_MAX];
	EVP_PKEY *key = rfc_key();
	size_t len = 0;

	assert_ok(hsm_ecdsa_der(slk_span(raw, unhex(raw_hex, raw)), der, &len));
	assert_int_equal(len, 72); /* both numbers begin with a one bit */
	assert_ok(verify(key, der, len));
	for (size_t i = 0; i < len; i++) {
		der[i] ^= 1;
		assert_int_equal(verify(key, der, len), SLK_BAD_TAG);
		der[i] ^= 1;
	}
	EVP_PKEY_free(key);
}

static void
signatures_that_are_not_strict_der_do_not_verify(void **state)
{
	(void)state;
	uint8_t raw[64], der[KMS_SIGNATURE_MAX], bad[KMS_SIGNATURE_MAX];
	EVP_PKEY *key = rfc_key();
	size_t len = 0;

	assert_int_equal(verify(key, raw, unhex(raw_hex, raw)), SLK_BAD_TAG); /* r || s */
	assert_ok(hsm_ecdsa_der(slk_span(raw, 64), der, &len));
	memcpy(bad, der, len);
	bad[len] = 0; /* a byte behind it */
	assert_int_equal(verify(key, bad, len + 1), SLK_BAD_TAG);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(verify(key, der, cut), SLK_BAD_TAG);
	bad[0] = 0x30; /* the length in two bytes */
	bad[1] = 0x81;
	bad[2] = der[1];
	memcpy(bad + 3, der + 2, len - 2);
	assert_int_equal(verify(key, bad, len + 1), SLK_BAD_TAG);
	memcpy(bad, der, 4); /* r with a zero too many */
	bad[1] = (uint8_t)(der[1] + 1);
	bad[3] = (uint8_t)(der[3] + 1);
	bad[4] = 0;
	memcpy(bad + 5, der + 4, len - 4);
	assert_int_equal(verify(key, bad, len + 1), SLK_BAD_TAG);
	memcpy(bad, der, 4); /* r as a negative number */
	bad[1] = (uint8_t)(der[1] - 1);
	bad[3] = (uint8_t)(der[3] - 1);
	memcpy(bad + 4, der + 5, len - 5);
	assert_int_equal(verify(key, bad, len - 1), SLK_BAD_TAG);
	static const uint8_t zeros[] = {0x30, 6, 2, 1, 0, 2, 1, 0};
	assert_int_equal(verify(key, zeros, sizeof(zeros)), SLK_BAD_TAG);
	EVP_PKEY_free(key);
}

static void
raw_signatures_of_odd_length_are_refused(void **state)
{
	(void)state;
	uint8_t raw[65] = {1}, der[KMS_SIGNATURE_MAX] = {0x77};
	size_t len = 5;

	assert_int_equal(hsm_ecdsa_der(slk_span(raw, 65), der, &len), SLK_INVALID);
	assert_int_equal(hsm_ecdsa_der(slk_span(raw, 0), der, &len), SLK_INVALID);
	assert_int_equal(len, 5);
	assert_int_equal(der[0], 0x77);
}

static int
from_ec(enum kms_spec spec, const uint8_t *point, size_t len)
{
	EVP_PKEY *key = NULL;

	int rc = hsm_public_from_ec(context, spec, slk_span(point, len), &key);
	assert_true((key != NULL) == (rc == SLK_OK));
	EVP_PKEY_free(key);
	return rc;
}

static void
a_point_is_taken_bare_and_as_octet_string_and_not_otherwise(void **state)
{
	(void)state;
	uint8_t point[67] = {0x04, 0x41};

	(void)unhex(point_hex, point + 2);
	assert_ok(from_ec(KMS_SPEC_ECC_NIST_P256, point, 67));
	assert_ok(from_ec(KMS_SPEC_ECC_NIST_P256, point + 2, 65));
	assert_int_equal(from_ec(KMS_SPEC_ECC_NIST_P384, point, 67), SLK_CORRUPT);
	assert_int_equal(from_ec(KMS_SPEC_ECC_NIST_P256, point + 2, 64), SLK_CORRUPT);
	assert_int_equal(from_ec(KMS_SPEC_ECC_NIST_P256, point, 0), SLK_CORRUPT);
	point[66] ^= 1; /* off the curve */
	assert_int_equal(from_ec(KMS_SPEC_ECC_NIST_P256, point, 67), SLK_CORRUPT);
	point[66] ^= 1;
	point[1] = 0x40;
	assert_int_equal(from_ec(KMS_SPEC_ECC_NIST_P256, point, 67), SLK_CORRUPT);
	point[2] = 0x02; /* compressed */
	assert_int_equal(from_ec(KMS_SPEC_ECC_NIST_P256, point + 2, 33), SLK_CORRUPT);
}

static int
from_rsa(enum kms_spec spec, const uint8_t *modulus, size_t len, uint32_t exponent)
{
	uint8_t e[4];
	EVP_PKEY *key = NULL;

	slk_put_be32(e, exponent);
	int rc = hsm_public_from_rsa(context, spec, slk_span(modulus, len), slk_span(e, 4), &key);
	assert_true((key != NULL) == (rc == SLK_OK));
	EVP_PKEY_free(key);
	return rc;
}

static void
an_rsa_key_has_the_size_of_its_spec_and_the_usual_exponent(void **state)
{
	(void)state;
	/* Odd, 2,048 bits, and a product: 3 divides 2^2047 + 1, which OpenSSL looks for; so a generated one is taken. */
	EVP_PKEY *made = EVP_PKEY_Q_keygen(context, NULL, "RSA", (size_t)2048);
	uint8_t n[256];
	BIGNUM *bn = NULL;

	assert_non_null(made);
	assert_int_equal(EVP_PKEY_get_bn_param(made, "n", &bn), 1);
	assert_int_equal(BN_bn2bin(bn, n), 256);
	BN_free(bn);
	EVP_PKEY_free(made);
	assert_ok(from_rsa(KMS_SPEC_RSA_2048, n, 256, 65537));
	assert_int_equal(from_rsa(KMS_SPEC_RSA_3072, n, 256, 65537), SLK_CORRUPT);
	assert_int_equal(from_rsa(KMS_SPEC_RSA_2048, n, 255, 65537), SLK_CORRUPT);
	assert_int_equal(from_rsa(KMS_SPEC_RSA_2048, n, 256, 3), SLK_CORRUPT);
	assert_int_equal(from_rsa(KMS_SPEC_RSA_2048, n, 0, 65537), SLK_CORRUPT);
	n[255] &= 0xfe;
	assert_int_equal(from_rsa(KMS_SPEC_RSA_2048, n, 256, 65537), SLK_CORRUPT);
}

static void
the_der_of_a_point_is_as_in_rfc_5480(void **state)
{
	(void)state;
	static const char head_hex[] = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
	uint8_t want[91], der[KMS_PUBLIC_KEY_MAX], kcv[3] = {0};
	EVP_PKEY *key = rfc_key();
	size_t len = 0, n = unhex(head_hex, want);

	(void)unhex(point_hex, want + n);
	assert_ok(hsm_public_der(key, der, &len));
	assert_int_equal(len, sizeof(want));
	assert_memory_equal(der, want, len);
	assert_ok(hsm_public_check_value(context, slk_span("abc", 3), kcv));
	assert_memory_equal(kcv, "\xba\x78\x16", 3); /* FIPS 180-4's example */
	EVP_PKEY_free(key);
}

static int
group_setup(void **state)
{
	(void)state;
	context = hsm_public_context_new();
	return context != NULL ? 0 : -1;
}

static int
group_teardown(void **state)
{
	(void)state;
	hsm_public_context_free(context);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_published_signature_verifies_and_a_changed_one_does_not),
		cmocka_unit_test(signatures_that_are_not_strict_der_do_not_verify),
		cmocka_unit_test(raw_signatures_of_odd_length_are_refused),
		cmocka_unit_test(a_point_is_taken_bare_and_as_octet_string_and_not_otherwise),
		cmocka_unit_test(an_rsa_key_has_the_size_of_its_spec_and_the_usual_exponent),
		cmocka_unit_test(the_der_of_a_point_is_as_in_rfc_5480),
	};
	return cmocka_run_group_tests_name("hsm_public", tests, group_setup, group_teardown);
}
