#include "hmac.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define BLOCK_MAX 128u

struct kms_hmac {
	const struct kms_digests *digests;
	struct slk_secret *room; /* a padded key, and what is hashed with it */
};

int
kms_hmac_new(const struct kms_digests *digests, struct kms_hmac **out_hmac)
{
	struct kms_hmac *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return SLK_NO_MEMORY;
	h->digests = digests;
	int rc = slk_secret_new(BLOCK_MAX + KMS_HMAC_MESSAGE_MAX, &h->room);
	if (rc != SLK_OK) {
		free(h);
		return rc;
	}
	*out_hmac = h;
	return SLK_OK;
}

void
kms_hmac_free(struct kms_hmac *hmac)
{
	if (hmac == NULL)
		return;
	slk_secret_free(hmac->room);
	free(hmac);
}

/* Hash of the key, every byte of it xored with pad, and the message. */
static int
half(struct kms_hmac *h, enum kms_algorithm hash, struct slk_span key, uint8_t pad,
	struct slk_span message, uint8_t *out)
{
	size_t block = kms_algorithm_digest_bytes(hash) == KMS_SHA256_BYTES ? 64 : BLOCK_MAX;
	uint8_t *room = slk_secret_bytes(h->room);

	memset(room, pad, block);
	for (size_t i = 0; i < key.len; i++)
		room[i] ^= key.ptr[i];
	memcpy(room + block, message.ptr, message.len);
	int rc = kms_digest(h->digests, hash, slk_span(room, block + message.len), out);
	slk_wipe(room, block + message.len);
	return rc;
}

static int
mac(struct kms_hmac *h, enum kms_algorithm hash, struct slk_span key, struct slk_span message,
	uint8_t *out)
{
	uint8_t inner[KMS_DIGEST_MAX];

	if (key.len > KMS_HMAC_KEY_MAX || message.len > KMS_HMAC_MESSAGE_MAX)
		return SLK_TOO_LARGE;
	int rc = half(h, hash, key, 0x36, message, inner);
	if (rc == SLK_OK)
		rc = half(
			h, hash, key, 0x5c, slk_span(inner, kms_algorithm_digest_bytes(hash)), out);
	slk_wipe(inner, sizeof(inner));
	return rc;
}

int
kms_hmac_sha256(struct kms_hmac *hmac, struct slk_span key, struct slk_span message,
	uint8_t out[KMS_SHA256_BYTES])
{
	return mac(hmac, KMS_ALG_ECDSA_SHA_256, key, message, out);
}

int
kms_hmac_sha512(struct kms_hmac *hmac, struct slk_span key, struct slk_span message,
	uint8_t out[KMS_SHA512_BYTES])
{
	return mac(hmac, KMS_ALG_ECDSA_SHA_512, key, message, out);
}
