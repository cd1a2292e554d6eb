#include "seal/digest.h"

#include <stdlib.h>

#include <openssl/evp.h>

struct seal_digest {
	EVP_MD *algorithm; /* fetched once: a fetch costs more than a short hash */
	EVP_MD_CTX *running;
	EVP_MD_CTX *one;
};

int
seal_digest_new(struct seal_digest **out_digest)
{
	struct seal_digest *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return SLK_NO_MEMORY;
	d->algorithm = EVP_MD_fetch(NULL, "SHA256", "?provider=default");
	d->running = EVP_MD_CTX_new();
	d->one = EVP_MD_CTX_new();
	if (d->algorithm == NULL || d->running == NULL || d->one == NULL ||
		seal_digest_begin(d) != SLK_OK) {
		seal_digest_free(d);
		return SLK_NO_MEMORY;
	}
	*out_digest = d;
	return SLK_OK;
}

void
seal_digest_free(struct seal_digest *d)
{
	if (d == NULL)
		return;
	EVP_MD_CTX_free(d->running);
	EVP_MD_CTX_free(d->one);
	EVP_MD_free(d->algorithm);
	free(d);
}

int
seal_digest_begin(struct seal_digest *d)
{
	return EVP_DigestInit_ex2(d->running, d->algorithm, NULL) == 1 ? SLK_OK : SLK_INTERNAL;
}

int
seal_digest_update(struct seal_digest *d, struct slk_span in)
{
	return EVP_DigestUpdate(d->running, in.ptr, in.len) == 1 ? SLK_OK : SLK_INTERNAL;
}

int
seal_digest_value(const struct seal_digest *d, uint8_t out[SEAL_SHA256_BYTES])
{
	return EVP_MD_CTX_copy_ex(d->one, d->running) == 1 &&
			EVP_DigestFinal_ex(d->one, out, NULL) == 1
		? SLK_OK
		: SLK_INTERNAL;
}

int
seal_digest_one(struct seal_digest *d, struct slk_span in, uint8_t out[SEAL_SHA256_BYTES])
{
	return EVP_DigestInit_ex2(d->one, d->algorithm, NULL) == 1 &&
			EVP_DigestUpdate(d->one, in.ptr, in.len) == 1 &&
			EVP_DigestFinal_ex(d->one, out, NULL) == 1
		? SLK_OK
		: SLK_INTERNAL;
}
