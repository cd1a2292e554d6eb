/* FIPS 180-4 examples; no openssl.cnf. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "digest.h"
#include "tempdir.h"

static struct kms_digests *digests;

static int
setup(void **state)
{
	(void)state;
	return kms_digests_new(&digests);
}

static int
teardown(void **state)
{
	(void)state;
	kms_digests_free(digests);
	return 0;
}

static void
assert_digest(enum kms_algorithm algorithm, const char *message, const char *hex)
{
	uint8_t out[KMS_DIGEST_MAX];
	char text[2 * KMS_DIGEST_MAX + 1];
	unsigned len = kms_algorithm_digest_bytes(algorithm);

	assert_ok(kms_digest(digests, algorithm, slk_span_str(message), out));
	slk_hex(slk_span(out, len), text, sizeof(text));
	assert_string_equal(text, hex);
}

static void
each_algorithm_has_its_hash(void **state)
{
	(void)state;
	static const char sha256[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	static const char sha384[] =
		"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
		"8086072ba1e7cc2358baeca134c825a7";
	static const char sha512[] =
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

	for (int again = 0; again < 2; again++) {
		assert_digest(KMS_ALG_RSASSA_PSS_SHA_256, "abc", sha256);
		assert_digest(KMS_ALG_RSASSA_PKCS1_V1_5_SHA_256, "abc", sha256);
		assert_digest(KMS_ALG_ECDSA_SHA_256, "abc", sha256);
		assert_digest(KMS_ALG_RSASSA_PSS_SHA_384, "abc", sha384);
		assert_digest(KMS_ALG_ECDSA_SHA_384, "abc", sha384);
		assert_digest(KMS_ALG_RSASSA_PSS_SHA_512, "abc", sha512);
		assert_digest(KMS_ALG_ECDSA_SHA_512, "abc", sha512);
	}
}

static void
algorithms_that_encrypt_have_none(void **state)
{
	(void)state;
	static const enum kms_algorithm none[] = {
		KMS_ALG_SYMMETRIC_DEFAULT, KMS_ALG_RSAES_OAEP_SHA_1, KMS_ALG_RSAES_OAEP_SHA_256};
	uint8_t out[KMS_DIGEST_MAX] = {0x5a};

	for (size_t i = 0; i < 3; i++)
		assert_int_equal(
			kms_digest(digests, none[i], slk_span_str("abc"), out), SLK_INVALID);
	assert_int_equal(out[0], 0x5a);
}

/* Whoever opens a FIFO to read waits for a writer that never comes. */
static void
configuration_of_openssl_is_not_read(void **state)
{
	(void)state;
	struct kms_digests *other = NULL;
	char dir[256], path[300];

	tempdir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/openssl.cnf", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(setenv("OPENSSL_CONF", path, 1), 0);
	(void)alarm(20);
	assert_ok(kms_digests_new(&other));
	(void)alarm(0);
	kms_digests_free(other);
	tempdir_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configuration_of_openssl_is_not_read),
		cmocka_unit_test_setup_teardown(each_algorithm_has_its_hash, setup, teardown),
		cmocka_unit_test_setup_teardown(algorithms_that_encrypt_have_none, setup, teardown),
	};

	return cmocka_run_group_tests_name("kms_digest", tests, NULL, NULL);
}
