#include "digest.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

struct kms_digests {
	OSSL_LIB_CTX *library;
	OSSL_PROVIDER *provider;
	EVP_MD *sha256, *sha384, *sha512;
	EVP_MD_CTX *context;
};

int
kms_digests_new(struct kms_digests **out_digests)
{
	struct kms_digests *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return SLK_NO_MEMORY;
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1)
		d->library = OSSL_LIB_CTX_new();
	if (d->library != NULL)
		d->provider = OSSL_PROVIDER_load(d->library, "default");
	if (d->provider != NULL) {
		d->sha256 = EVP_MD_fetch(d->library, "SHA2-256", NULL);
		d->sha384 = EVP_MD_fetch(d->library, "SHA2-384", NULL);
		d->sha512 = EVP_MD_fetch(d->library, "SHA2-512", NULL);
	}
	d->context = EVP_MD_CTX_new();
	if (d->sha256 == NULL || d->sha384 == NULL || d->sha512 == NULL || d->context == NULL) {
		kms_digests_free(d);
		return SLK_UNSUPPORTED;
	}
	*out_digests = d;
	return SLK_OK;
}

void
kms_digests_free(struct kms_digests *digests)
{
	if (digests == NULL)
		return;
	EVP_MD_CTX_free(digests->context);
	EVP_MD_free(digests->sha256);
	EVP_MD_free(digests->sha384);
	EVP_MD_free(digests->sha512);
	if (digests->provider != NULL)
		(void)OSSL_PROVIDER_unload(digests->provider);
	OSSL_LIB_CTX_free(digests->library);
	free(digests);
}

int
kms_digest(const struct kms_digests *digests, enum kms_algorithm algorithm, struct slk_span message,
	uint8_t out[KMS_DIGEST_MAX])
{
	const EVP_MD *hash;

	switch (kms_algorithm_digest_bytes(algorithm)) {
	case 32:
		hash = digests->sha256;
		break;
	case 48:
		hash = digests->sha384;
		break;
	case 64:
		hash = digests->sha512;
		break;
	default:
		return SLK_INVALID;
	}
	return EVP_DigestInit_ex2(digests->context, hash, NULL) == 1 &&
			EVP_DigestUpdate(digests->context, message.ptr, message.len) == 1 &&
			EVP_DigestFinal_ex(digests->context, out, NULL) == 1
		? SLK_OK
		: SLK_INTERNAL;
}
