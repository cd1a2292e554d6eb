/* NIST CAVP and Wycheproof through EVP: all IV lengths, all tag lengths, no AAD as well. */
#include "gcm_vectors.h"
#include "rig.h"

static struct rig rig;

struct counts {
	unsigned sealed, opened, refused;
};

static EVP_CIPHER_CTX *
begin(const struct gcm_vector *v, bool seal)
{
	EVP_CIPHER *cipher = rig_cipher(&rig, (unsigned)v->key.len * 8, true);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	assert_non_null(ctx);
	assert_int_equal(EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, seal, NULL), 1);
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)v->nonce.len, NULL) != 1) {
		assert_true(v->nonce.len == 0 || v->nonce.len > 128);
		EVP_CIPHER_CTX_free(ctx);
		EVP_CIPHER_free(cipher);
		return NULL;
	}
	assert_int_equal(
		EVP_CipherInit_ex2(ctx, NULL, v->key.bytes, v->nonce.bytes, seal, NULL), 1);
	if (v->aad.len > 0)
		assert_int_equal(EVP_CipherUpdate(ctx, NULL, &n, v->aad.bytes, (int)v->aad.len), 1);
	EVP_CIPHER_free(cipher);
	return ctx;
}

static void
seals(const struct gcm_vector *v, struct counts *counts)
{
	EVP_CIPHER_CTX *ctx = begin(v, true);
	uint8_t out[GCM_FIELD_MAX], tag[16];
	int n = 0, m = 0;

	if (ctx == NULL)
		return;
	assert_int_equal(EVP_CipherUpdate(ctx, out, &n, v->plain.bytes, (int)v->plain.len), 1);
	assert_int_equal(EVP_CipherFinal_ex(ctx, out + n, &m), 1);
	assert_int_equal(n + m, v->sealed.len);
	assert_memory_equal(out, v->sealed.bytes, v->sealed.len);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)v->tag.len, tag), 1);
	assert_memory_equal(tag, v->tag.bytes, v->tag.len);
	EVP_CIPHER_CTX_free(ctx);
	counts->sealed++;
}

static void
opens(const struct gcm_vector *v, struct counts *counts)
{
	EVP_CIPHER_CTX *ctx = begin(v, false);
	uint8_t out[GCM_FIELD_MAX];
	int n = 0, m = 0;

	if (ctx == NULL)
		return;
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)v->tag.len,
				 (void *)(uintptr_t)v->tag.bytes),
		1);
	assert_int_equal(EVP_CipherUpdate(ctx, out, &n, v->sealed.bytes, (int)v->sealed.len), 1);
	int good = EVP_CipherFinal_ex(ctx, out + n, &m);
	assert_int_equal(good, !v->refused);
	if (good) {
		assert_int_equal(n + m, v->plain.len);
		assert_memory_equal(out, v->plain.bytes, v->plain.len);
		counts->opened++;
	} else {
		assert_string_equal(rig_reason(),
			"the tag does not fit: key, IV, additional data or ciphertext differ");
		counts->refused++;
	}
	EVP_CIPHER_CTX_free(ctx);
}

static void
run(void *arg, const struct gcm_vector *v)
{
	if (!v->refused)
		seals(v, arg);
	opens(v, arg);
}

static void
nist(const char *name, bool encrypt)
{
	struct counts counts = {0};

	if (!gcm_vectors_nist(name, run, &counts))
		skip();
	assert_int_equal(counts.opened + counts.refused, 7875);
	assert_int_equal(counts.sealed, counts.opened);
	assert_true(encrypt ? counts.refused == 0 : counts.refused > 3000);
}

#define NIST_TEST(name, encrypt) \
	static void nist_##name(void **state) \
	{ \
		(void)state; \
		nist(#name, encrypt); \
	}
NIST_TEST(gcmEncryptExtIV128, true)
NIST_TEST(gcmEncryptExtIV192, true)
NIST_TEST(gcmEncryptExtIV256, true)
NIST_TEST(gcmDecrypt128, false)
NIST_TEST(gcmDecrypt192, false)
NIST_TEST(gcmDecrypt256, false)

static void
wycheproof(void **state)
{
	struct counts counts = {0};
	size_t total;

	(void)state;
	if (!gcm_vectors_wycheproof(run, &counts, &total))
		skip();
	print_message("wycheproof: %u sealed and opened, %u refused of %zu\n", counts.sealed,
		counts.refused, total);
	/* Those with IVs of 0 bytes or more than 128 cannot be said through EVP. */
	assert_true(counts.opened + counts.refused > total * 9 / 10);
	assert_true(counts.refused > 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nist_gcmEncryptExtIV128),
		cmocka_unit_test(nist_gcmEncryptExtIV192),
		cmocka_unit_test(nist_gcmEncryptExtIV256),
		cmocka_unit_test(nist_gcmDecrypt128),
		cmocka_unit_test(nist_gcmDecrypt192),
		cmocka_unit_test(nist_gcmDecrypt256),
		cmocka_unit_test(wycheproof),
	};
	int rc = rig_open(&rig);

	if (rc == 0)
		rc = cmocka_run_group_tests_name("provider_vectors", tests, NULL, NULL);
	rig_close(&rig);
	return rc;
}
