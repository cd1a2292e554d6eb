/* sealock.so inside a program of many threads and forks, with keys in the HSM behind a real kmsd that comes and goes. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "kmsclient/life.h"
#include "kmsd_rig.h"
#include "slk_test.h"

static struct kmsd_rig rig;
static OSSL_LIB_CTX *libctx;
static OSSL_PROVIDER *theirs, *ours;

static void
make_key(const char *alias, const char *spec, const char *usage)
{
	const struct kmsc_key_kind kind = {.spec = spec, .usage = usage};
	struct slk_error err = {0};
	struct kmsc_key *key = malloc(sizeof(*key));

	assert_non_null(key);
	assert_ok(kmsc_create_key_with(rig.client, &kind, key, &err));
	assert_ok(kmsc_create_alias(rig.client, alias, key->id, &err));
	free(key);
}

static int
setup(void **state)
{
	(void)state;
	kmsd_rig_init(&rig);
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	make_key("alias/ec", "ECC_NIST_P256", "SIGN_VERIFY");
	make_key("alias/rsa", "RSA_2048", "SIGN_VERIFY");
	assert_int_equal(setenv("SEALOCK_KMS_SOCKET", rig.socket, 1), 0);
	libctx = OSSL_LIB_CTX_new();
	assert_int_equal(OSSL_PROVIDER_set_default_search_path(libctx, PROVIDER_DIR), 1);
	theirs = OSSL_PROVIDER_load(libctx, "default");
	ours = OSSL_PROVIDER_load(libctx, "sealock");
	assert_non_null(ours);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	OSSL_PROVIDER_unload(ours);
	OSSL_PROVIDER_unload(theirs);
	OSSL_LIB_CTX_free(libctx);
	kmsd_rig_fini(&rig);
	return 0;
}

static EVP_PKEY *
open_key(const char *uri)
{
	OSSL_STORE_CTX *store = OSSL_STORE_open_ex(uri, libctx, NULL, NULL, NULL, NULL, NULL, NULL);
	EVP_PKEY *key = NULL;

	if (store == NULL)
		return NULL;
	OSSL_STORE_INFO *info = OSSL_STORE_load(store);
	if (info != NULL)
		key = OSSL_STORE_INFO_get1_PKEY(info);
	OSSL_STORE_INFO_free(info);
	OSSL_STORE_close(store);
	return key;
}

static int
sign(EVP_PKEY *key, const char *text, unsigned char *out, size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	*len = 512;
	int good = EVP_DigestSignInit_ex(ctx, NULL, "SHA256", libctx, NULL, key, NULL) == 1 &&
		EVP_DigestSign(ctx, out, len, (const unsigned char *)text, strlen(text)) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}

static int
verifies(EVP_PKEY *key, const char *text, const unsigned char *signature, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	int good = EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", libctx, NULL, key, NULL) == 1 &&
		EVP_DigestVerify(ctx, signature, len, (const unsigned char *)text, strlen(text)) ==
			1;
	EVP_MD_CTX_free(ctx);
	return good;
}

static bool
works(EVP_PKEY *key)
{
	unsigned char signature[512];
	size_t len;

	return sign(key, "text", signature, &len) && verifies(key, "text", signature, len) &&
		!verifies(key, "texts", signature, len);
}

/* The reason and the sentence of the newest error. */
static void
assert_raised(const char *sentence)
{
	const char *data = NULL;
	int flags = 0;
	unsigned long code = ERR_peek_last_error_all(NULL, NULL, NULL, &data, &flags);

	assert_string_equal(ERR_reason_error_string(code), "sealock-kmsd");
	if (strstr(data, sentence) == NULL)
		fail_msg("'%s' is not in '%s'", sentence, data);
	ERR_clear_error();
}

static void
keys_sign_and_verify(void **state)
{
	static const char *const uris[] = {"sealock:alias/ec", "sealock:alias/rsa"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		EVP_PKEY *key = open_key(uris[i]);
		assert_non_null(key);
		assert_true(works(key));
		EVP_PKEY_free(key);
	}
}

static void
a_copied_context_signs_what_both_have_seen(void **state)
{
	EVP_PKEY *key = open_key("sealock:alias/ec");
	EVP_MD_CTX *first = EVP_MD_CTX_new(), *second = EVP_MD_CTX_new();
	unsigned char signature[512];
	size_t len;

	(void)state;
	assert_int_equal(EVP_DigestSignInit_ex(first, NULL, "SHA256", libctx, NULL, key, NULL), 1);
	assert_int_equal(EVP_DigestSignUpdate(first, "ab", 2), 1);
	assert_int_equal(EVP_MD_CTX_copy_ex(second, first), 1);
	assert_int_equal(EVP_DigestSignUpdate(first, "x", 1), 1);
	assert_int_equal(EVP_DigestSignUpdate(second, "y", 1), 1);
	len = sizeof(signature);
	assert_int_equal(EVP_DigestSignFinal(first, signature, &len), 1);
	assert_true(verifies(key, "abx", signature, len));
	len = sizeof(signature);
	assert_int_equal(EVP_DigestSignFinal(second, signature, &len), 1);
	assert_true(verifies(key, "aby", signature, len));
	EVP_MD_CTX_free(first);
	EVP_MD_CTX_free(second);
	EVP_PKEY_free(key);
}

static void
a_public_copy_is_the_same_key_and_no_private_one_comes_out(void **state)
{
	EVP_PKEY *key = open_key("sealock:alias/ec"), *public = NULL;
	OSSL_PARAM *params = NULL;
	BIGNUM *private = NULL;

	(void)state;
	assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &params), 1);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, "EC", "provider=default");
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &public, EVP_PKEY_PUBLIC_KEY, params), 1);
	assert_int_equal(EVP_PKEY_eq(key, public), 1);
	assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params), 0);
	assert_int_equal(EVP_PKEY_get_bn_param(key, "priv", &private), 0);
	assert_null(private);
	ERR_clear_error();
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(public);
	EVP_PKEY_free(key);
}

static void *
storm(void *arg)
{
	intptr_t bad = 0;

	for (int i = 0; i < 20; i++)
		bad += !works(arg);
	return (void *)bad;
}

static void
many_threads_sign_at_once(void **state)
{
	EVP_PKEY *key = open_key("sealock:alias/ec");
	pthread_t threads[12];

	(void)state;
	assert_non_null(key);
	for (int i = 0; i < 12; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, storm, key), 0);
	for (int i = 0; i < 12; i++) {
		void *bad;
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	EVP_PKEY_free(key);
}

static void
parent_and_child_sign_with_sessions_of_their_own(void **state)
{
	EVP_PKEY *key = open_key("sealock:alias/ec");
	int status;

	(void)state;
	assert_true(works(key)); /* a session is kept */
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		bool good = true;
		for (int i = 0; i < 20; i++)
			good = works(key) && good;
		_exit(good ? 0 : 1);
	}
	for (int i = 0; i < 20; i++)
		assert_true(works(key));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	EVP_PKEY_free(key);
}

static void
a_kmsd_that_hangs_costs_no_more_than_the_deadline(void **state)
{
	EVP_PKEY *key = open_key("sealock:alias/ec");
	unsigned char signature[512];
	size_t len;

	(void)state;
	assert_true(works(key));
	pid_t front = kmsd_rig_front(&rig);
	assert_int_equal(kill(front, SIGSTOP), 0);
	uint64_t began = slk_mono_ns(slk_clock_system());
	assert_false(sign(key, "text", signature, &len));
	uint64_t took = slk_mono_ns(slk_clock_system()) - began;
	assert_int_equal(kill(front, SIGCONT), 0);
	assert_raised("did not answer within 1000 ms");
	assert_in_range(took, 900 * SLK_NS_PER_MS, 1500 * SLK_NS_PER_MS);
	assert_true(works(key));
	EVP_PKEY_free(key);
}

static void
without_kmsd_it_says_so_and_goes_on_when_it_is_back(void **state)
{
	EVP_PKEY *key = open_key("sealock:alias/rsa");
	unsigned char signature[512];
	size_t len;

	(void)state;
	assert_true(works(key));
	assert_int_equal(kmsd_rig_stop(&rig), 0);
	assert_false(sign(key, "text", signature, &len));
	assert_raised("is sealock-kmsd running?");
	assert_null(open_key("sealock:alias/rsa"));
	assert_raised("is sealock-kmsd running?");
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	assert_true(works(key));
	EVP_PKEY_free(key);
}

/* A program that unloads the provider keeps no connection and no memory (under ASan), and may load it again. */
static void
it_can_be_unloaded_and_loaded_again(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		OSSL_LIB_CTX *other = OSSL_LIB_CTX_new();
		assert_int_equal(OSSL_PROVIDER_set_default_search_path(other, PROVIDER_DIR), 1);
		OSSL_PROVIDER *def = OSSL_PROVIDER_load(other, "default");
		OSSL_PROVIDER *prov = OSSL_PROVIDER_load(other, "sealock");
		assert_non_null(prov);
		OSSL_PROVIDER_unload(prov);
		OSSL_PROVIDER_unload(def);
		OSSL_LIB_CTX_free(other);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_sign_and_verify),
		cmocka_unit_test(a_copied_context_signs_what_both_have_seen),
		cmocka_unit_test(a_public_copy_is_the_same_key_and_no_private_one_comes_out),
		cmocka_unit_test(many_threads_sign_at_once),
		cmocka_unit_test(parent_and_child_sign_with_sessions_of_their_own),
		cmocka_unit_test(a_kmsd_that_hangs_costs_no_more_than_the_deadline),
		cmocka_unit_test(without_kmsd_it_says_so_and_goes_on_when_it_is_back),
		cmocka_unit_test(it_can_be_unloaded_and_loaded_again),
	};

	if (!kmsd_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("provider/hsm_keys", tests, setup, teardown);
}
