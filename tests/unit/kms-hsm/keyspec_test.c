#include "slk_test.h"

#include <string.h>

#include "keyspec.h"

static void
every_name_is_read_back(void **state)
{
	(void)state;
	enum kms_spec spec;
	enum kms_usage usage;
	enum kms_algorithm algorithm;

	for (unsigned i = 0; i < KMS_SPEC_COUNT; i++) {
		assert_true(kms_spec_parse(kms_spec_name((enum kms_spec)i), &spec));
		assert_int_equal(spec, i);
	}
	for (unsigned i = 0; i < KMS_USAGE_COUNT; i++) {
		assert_true(kms_usage_parse(kms_usage_name((enum kms_usage)i), &usage));
		assert_int_equal(usage, i);
	}
	for (unsigned i = 0; i < KMS_ALG_COUNT; i++) {
		assert_true(
			kms_algorithm_parse(kms_algorithm_name((enum kms_algorithm)i), &algorithm));
		assert_int_equal(algorithm, i);
	}
}

static void
other_names_are_refused_and_leave_the_output_alone(void **state)
{
	(void)state;
	static const char *const names[] = {"", "rsa_2048", "RSA_1024", "HMAC_256", "RSA_2048 "};
	enum kms_spec spec = KMS_SPEC_RSA_3072;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(kms_spec_parse(names[i], &spec));
	assert_int_equal(spec, KMS_SPEC_RSA_3072);
}

static void
elliptic_keys_sign_only_with_the_hash_of_their_size(void **state)
{
	(void)state;
	assert_false(kms_spec_allows(KMS_SPEC_ECC_NIST_P256, KMS_USAGE_ENCRYPT_DECRYPT));
	assert_int_equal(kms_spec_algorithms(KMS_SPEC_ECC_NIST_P384, KMS_USAGE_SIGN_VERIFY),
		KMS_BIT(KMS_ALG_ECDSA_SHA_384));
	assert_false(kms_spec_allows(KMS_SPEC_SYMMETRIC_DEFAULT, KMS_USAGE_SIGN_VERIFY));
}

/* The limits that AWS documents for each size of key. */
static void
oaep_takes_what_pkcs1_leaves(void **state)
{
	(void)state;
	assert_int_equal(kms_plaintext_max(KMS_SPEC_RSA_2048, KMS_ALG_RSAES_OAEP_SHA_1), 214);
	assert_int_equal(kms_plaintext_max(KMS_SPEC_RSA_2048, KMS_ALG_RSAES_OAEP_SHA_256), 190);
	assert_int_equal(kms_plaintext_max(KMS_SPEC_RSA_3072, KMS_ALG_RSAES_OAEP_SHA_1), 342);
	assert_int_equal(kms_plaintext_max(KMS_SPEC_RSA_3072, KMS_ALG_RSAES_OAEP_SHA_256), 318);
	assert_int_equal(kms_plaintext_max(KMS_SPEC_RSA_4096, KMS_ALG_RSAES_OAEP_SHA_1), 470);
	assert_int_equal(kms_plaintext_max(KMS_SPEC_RSA_4096, KMS_ALG_RSAES_OAEP_SHA_256), 446);
	assert_int_equal(
		kms_plaintext_max(KMS_SPEC_SYMMETRIC_DEFAULT, KMS_ALG_SYMMETRIC_DEFAULT), 4096);
	assert_int_equal(kms_plaintext_max(KMS_SPEC_ECC_NIST_P256, KMS_ALG_RSAES_OAEP_SHA_1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_is_read_back),
		cmocka_unit_test(other_names_are_refused_and_leave_the_output_alone),
		cmocka_unit_test(elliptic_keys_sign_only_with_the_hash_of_their_size),
		cmocka_unit_test(oaep_takes_what_pkcs1_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
