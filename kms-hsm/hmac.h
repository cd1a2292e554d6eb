/* HMAC (FIPS 198-1) whose key is in locked memory only.
 *
 * libcrypto's HMAC copies its key to the heap. This one puts the padded key and the message side by side in locked memory
 * and hashes them in one piece, so that the heap sees hash states only. Thread: one at a time.
 */
#ifndef KMS_HSM_HMAC_H
#define KMS_HSM_HMAC_H

#include "digest.h"

#define KMS_HMAC_KEY_MAX 64u
#define KMS_HMAC_MESSAGE_MAX 256u
#define KMS_SHA256_BYTES 32u
#define KMS_SHA512_BYTES 64u

struct kms_hmac;

/* digests: borrowed. SLK_NO_MEMORY. */
MUST_USE int kms_hmac_new(const struct kms_digests *digests, struct kms_hmac **out_hmac);
void kms_hmac_free(struct kms_hmac *hmac); /* NULL allowed */

/* out may be the key. SLK_TOO_LARGE, SLK_INTERNAL. */
MUST_USE int kms_hmac_sha256(struct kms_hmac *hmac, struct slk_span key, struct slk_span message,
	uint8_t out[KMS_SHA256_BYTES]);
MUST_USE int kms_hmac_sha512(struct kms_hmac *hmac, struct slk_span key, struct slk_span message,
	uint8_t out[KMS_SHA512_BYTES]);

#endif
