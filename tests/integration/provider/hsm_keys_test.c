/* sealock.so inside a program of many threads and forks, with keys in the HSM behind a real kmsd that comes and goes. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
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
#include "format/datakey.h"
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

/* Both providers, and where the data keys are. */
static void
configure(void)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/openssl.cnf", rig.base);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f,
		"openssl_conf = i\n[i]\nproviders = p\n[p]\ndefault = d\nsealock = "
		"s\n[d]\nactivate = 1\n"
		"[s]\nmodule = " PROVIDER_DIR "/sealock.so\nactivate = 1\ndata_keys = %s\n",
		rig.base);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(OSSL_LIB_CTX_load_config(libctx, path), 1);
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
	configure();
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

/* --- named data keys --- */

static uint8_t handle[FMT_DATAKEY_HANDLE_BYTES];
static struct slk_secret *data_key;

/* What sealock key data create does. */
static void
make_data_key(void)
{
	struct fmt_datakey key = {.id = {1, 2, 3}, .name = "t"};
	struct fmt_context *context = NULL;
	struct kmsc_data_key dk = {0};
	uint8_t bytes[FMT_DATAKEY_FILE_MAX], hash[32];
	char path[200], name[FMT_DATAKEY_FILE_NAME_MAX];
	struct slk_error err = {0};
	size_t len = 0;

	make_key("alias/wrap", NULL, NULL);
	assert_ok(fmt_datakey_context(key.name, &context));
	assert_ok(kmsc_generate_data_key(rig.client, "alias/wrap", context, &dk, &err));
	fmt_context_free(context);
	key.blob = slk_span(dk.blob, dk.blob_len);
	assert_ok(fmt_datakey_encode(&key, bytes, sizeof(bytes), &len));
	fmt_datakey_file_name(key.id, name);
	snprintf(path, sizeof(path), "%s/%s", rig.base, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	fmt_datakey_handle_begin(key.id, handle);
	assert_int_equal(
		EVP_Q_digest(libctx, "SHA256", NULL, handle, FMT_DATAKEY_HANDLE_HASHED, hash, &len),
		1);
	memcpy(handle + FMT_DATAKEY_HANDLE_HASHED, hash, 8);
	data_key = dk.plaintext;
	dk.plaintext = NULL;
	kmsc_data_key_fini(&dk);
}

/* In pieces of the given size; the length of what came out, or -1. */
static int
run_named(bool seal, const uint8_t *in, int len, int piece, uint8_t *out)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(libctx, "SEALOCK-AES-256-GCM", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int total = 0, n = 0;

	assert_non_null(cipher);
	int good = EVP_CipherInit_ex2(ctx, cipher, handle, NULL, seal, NULL);
	for (int at = 0; good == 1 && at < len; at += piece) {
		good = EVP_CipherUpdate(
			ctx, out + total, &n, in + at, piece < len - at ? piece : len - at);
		total += n;
	}
	if (good == 1 && EVP_CipherFinal_ex(ctx, out + total, &n) == 1)
		total += n;
	else
		total = -1;
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	return total;
}

/* As docs/FORMATS.md says it, with OpenSSL's own HKDF and GCM. */
static void
open_by_the_book(const uint8_t *sealed, int len, uint8_t *out)
{
	static const char label[] = "sealock named data key 1";
	uint8_t info[sizeof(label) - 1 + 32], subkey[32], iv[12] = {0};
	EVP_KDF *kdf = EVP_KDF_fetch(libctx, "HKDF", "provider=default");
	EVP_KDF_CTX *k = EVP_KDF_CTX_new(kdf);
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(libctx, "AES-256-GCM", "provider=default");
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	char digest[] = "SHA256";
	int n = 0;

	memcpy(info, label, sizeof(label) - 1);
	memcpy(info + sizeof(label) - 1, handle, 32);
	OSSL_PARAM params[] = {OSSL_PARAM_utf8_string("digest", digest, 6),
		OSSL_PARAM_octet_string("key", (void *)(uintptr_t)slk_secret_peek(data_key), 32),
		OSSL_PARAM_octet_string("salt", (void *)(uintptr_t)sealed, 16),
		OSSL_PARAM_octet_string("info", info, sizeof(info)), OSSL_PARAM_END};
	assert_int_equal(EVP_KDF_derive(k, subkey, sizeof(subkey), params), 1);
	assert_int_equal(EVP_DecryptInit_ex2(ctx, cipher, subkey, iv, NULL), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, NULL, &n, handle, 32), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, out, &n, sealed + 16, len - 32), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16,
				 (void *)(uintptr_t)(sealed + len - 16)),
		1);
	assert_int_equal(EVP_DecryptFinal_ex(ctx, out, &n), 1);
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	EVP_KDF_CTX_free(k);
	EVP_KDF_free(kdf);
}

static void
a_named_data_key_seals_in_any_pieces(void **state)
{
	static uint8_t plain[3000], sealed[3100], opened[3100];
	static const int pieces[] = {1, 7, 15, 16, 17, 33, 1000, 3000};

	(void)state;
	make_data_key();
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 31);
	for (int len = 0; len < 3000; len += len < 80 ? 1 : 531)
		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			assert_int_equal(run_named(true, plain, len, pieces[i], sealed), len + 32);
			memset(opened, 0, sizeof(opened));
			open_by_the_book(sealed, len + 32, opened);
			assert_memory_equal(opened, plain, len);
			memset(opened, 0, sizeof(opened));
			int back = pieces[(i + 3) % 8];
			assert_int_equal(run_named(false, sealed, len + 32, back, opened), len);
			assert_memory_equal(opened, plain, len);
			/* In place, too. */
			assert_int_equal(run_named(false, sealed, len + 32, len + 32, sealed), len);
			assert_memory_equal(sealed, plain, len);
		}
}

static void
a_copy_of_a_sealing_context_cannot_go_on(void **state)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(libctx, "SEALOCK-AES-256-GCM", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new(), *copy = EVP_CIPHER_CTX_new();
	uint8_t out[64];
	int n;

	(void)state;
	assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, handle, NULL, NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, (const uint8_t *)"ab", 2), 1);
	assert_int_equal(EVP_CIPHER_CTX_copy(copy, ctx), 1);
	assert_int_equal(EVP_EncryptUpdate(copy, out, &n, (const uint8_t *)"cd", 2), 0);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, (const uint8_t *)"cd", 2), 1);
	/* Nor can a message that has ended. */
	assert_int_equal(EVP_EncryptFinal_ex(ctx, out, &n), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, (const uint8_t *)"ef", 2), 0);
	ERR_clear_error();
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_CTX_free(copy);
	EVP_CIPHER_free(cipher);
}

/* The same key as EVP_SKEY, where OpenSSL has them. */
static void
a_handle_is_an_opaque_key(void **state)
{
	(void)state;
#ifdef OSSL_SKEY_PARAM_RAW_BYTES
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(libctx, "SEALOCK-AES-256-GCM", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_SKEY_PARAM_RAW_BYTES, handle, sizeof(handle)),
		OSSL_PARAM_END};
	EVP_SKEY *key = EVP_SKEY_import(
		libctx, "SEALOCK-DATA-KEY", NULL, OSSL_SKEYMGMT_SELECT_SECRET_KEY, params);
	const unsigned char *raw = NULL;
	uint8_t sealed[64], opened[64];
	size_t raw_len = 0;
	int n = 0, m = 0;

	assert_non_null(key);
	assert_string_equal(EVP_SKEY_get0_key_id(key), "01020300000000000000000000000000");
	assert_int_not_equal(EVP_SKEY_get0_raw_key(key, &raw, &raw_len), 1);
	assert_int_equal(EVP_CipherInit_SKEY(ctx, cipher, key, NULL, 0, 1, NULL), 1);
	assert_int_equal(EVP_CipherUpdate(ctx, sealed, &n, (const uint8_t *)"text", 4), 1);
	assert_int_equal(EVP_CipherFinal_ex(ctx, sealed + n, &m), 1);
	assert_int_equal(n + m, 36);
	assert_int_equal(run_named(false, sealed, 36, 36, opened), 4);
	assert_memory_equal(opened, "text", 4);
	ERR_clear_error();
	EVP_SKEY_free(key);
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
#else
	print_message("skipped: OpenSSL has EVP_SKEY since 3.5\n");
	skip();
#endif
}

static void
a_child_seals_with_a_key_that_it_asks_for_itself(void **state)
{
	uint8_t sealed[64], opened[64];
	int status;

	(void)state;
	assert_int_equal(run_named(true, (const uint8_t *)"text", 4, 4, sealed), 36);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(run_named(false, sealed, 36, 5, opened) == 4 && memcmp(opened, "text", 4) == 0
				? 0
				: 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	slk_secret_free(data_key);
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
		cmocka_unit_test(a_named_data_key_seals_in_any_pieces),
		cmocka_unit_test(a_copy_of_a_sealing_context_cannot_go_on),
		cmocka_unit_test(a_handle_is_an_opaque_key),
		cmocka_unit_test(a_child_seals_with_a_key_that_it_asks_for_itself),
		cmocka_unit_test(it_can_be_unloaded_and_loaded_again),
	};

	if (!kmsd_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("provider_hsm_keys", tests, setup, teardown);
}
