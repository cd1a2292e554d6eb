#include "gcm.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/provider.h>

#include "base/secret.h"

struct kms_gcm {
	OSSL_LIB_CTX *library;
	OSSL_PROVIDER *provider;
	EVP_CIPHER *cipher;
};

int
kms_gcm_new(struct kms_gcm **out_gcm)
{
	struct kms_gcm *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return SLK_NO_MEMORY;
	g->library = OSSL_LIB_CTX_new();
	if (g->library != NULL)
		g->provider = OSSL_PROVIDER_load(g->library, "default");
	if (g->provider != NULL)
		g->cipher = EVP_CIPHER_fetch(g->library, "AES-256-GCM", NULL);
	if (g->cipher == NULL) {
		kms_gcm_free(g);
		return SLK_UNSUPPORTED;
	}
	*out_gcm = g;
	return SLK_OK;
}

void
kms_gcm_free(struct kms_gcm *gcm)
{
	if (gcm == NULL)
		return;
	EVP_CIPHER_free(gcm->cipher);
	if (gcm->provider != NULL)
		(void)OSSL_PROVIDER_unload(gcm->provider);
	OSSL_LIB_CTX_free(gcm->library);
	free(gcm);
}

/* A cipher that has seen the AAD. */
static EVP_CIPHER_CTX *
begin(const struct kms_gcm *g, const uint8_t *key, const uint8_t *iv, struct slk_span aad,
	int encrypt)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int len = 0;

	if (c == NULL)
		return NULL;
	if (EVP_CipherInit_ex2(c, g->cipher, key, iv, encrypt, NULL) == 1 &&
		EVP_CipherUpdate(c, NULL, &len, aad.ptr, (int)aad.len) == 1)
		return c;
	EVP_CIPHER_CTX_free(c);
	return NULL;
}

int
kms_gcm_seal(const struct kms_gcm *gcm, const uint8_t key[KMS_GCM_KEY_BYTES],
	const uint8_t iv[KMS_GCM_IV_BYTES], struct slk_span aad, struct slk_span text, uint8_t *out)
{
	EVP_CIPHER_CTX *c = begin(gcm, key, iv, aad, 1);
	int len = 0, rest = 0, rc = SLK_INTERNAL;

	if (c == NULL)
		return SLK_NO_MEMORY;
	if (EVP_CipherUpdate(c, out, &len, text.ptr, (int)text.len) == 1 &&
		EVP_CipherFinal_ex(c, out + len, &rest) == 1 &&
		(size_t)len + (size_t)rest == text.len &&
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, KMS_GCM_TAG_BYTES, out + text.len) ==
			1)
		rc = SLK_OK;
	EVP_CIPHER_CTX_free(c);
	return rc;
}

int
kms_gcm_open(const struct kms_gcm *gcm, const uint8_t key[KMS_GCM_KEY_BYTES],
	const uint8_t iv[KMS_GCM_IV_BYTES], struct slk_span aad, struct slk_span sealed,
	uint8_t *out)
{
	uint8_t tag[KMS_GCM_TAG_BYTES];
	int len = 0, rest = 0, rc = SLK_BAD_TAG;

	if (sealed.len < sizeof(tag))
		return SLK_BAD_TAG;
	size_t text_len = sealed.len - sizeof(tag);
	EVP_CIPHER_CTX *c = begin(gcm, key, iv, aad, 0);
	if (c == NULL)
		return SLK_NO_MEMORY;
	memcpy(tag, sealed.ptr + text_len, sizeof(tag));
	if (EVP_CipherUpdate(c, out, &len, sealed.ptr, (int)text_len) == 1 &&
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
		EVP_CipherFinal_ex(c, out + len, &rest) == 1)
		rc = SLK_OK;
	EVP_CIPHER_CTX_free(c);
	if (rc != SLK_OK)
		slk_wipe(out, text_len);
	return rc;
}
