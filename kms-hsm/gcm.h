/* AES-256-GCM of the front process itself: for what it seals under a key that serves one text only, so that an IV is never
 * chosen: session tokens, descriptions of delivery streams. Fetched once, before the sandbox. Thread: one, the front's loop.
 */
#ifndef KMS_HSM_GCM_H
#define KMS_HSM_GCM_H

#include "base/bytes.h"
#include "base/status.h"

#define KMS_GCM_KEY_BYTES 32u
#define KMS_GCM_IV_BYTES 12u
#define KMS_GCM_TAG_BYTES 16u

struct kms_gcm;

/* SLK_NO_MEMORY, SLK_UNSUPPORTED (libcrypto lacks it). */
MUST_USE int kms_gcm_new(struct kms_gcm **out_gcm);
void kms_gcm_free(struct kms_gcm *gcm); /* NULL allowed */

/* out: ciphertext and tag, text.len + KMS_GCM_TAG_BYTES bytes. SLK_NO_MEMORY, SLK_INTERNAL. */
MUST_USE int kms_gcm_seal(const struct kms_gcm *gcm, const uint8_t key[KMS_GCM_KEY_BYTES],
	const uint8_t iv[KMS_GCM_IV_BYTES], struct slk_span aad, struct slk_span text,
	uint8_t *out);
/* sealed: ciphertext and tag; out: sealed.len - KMS_GCM_TAG_BYTES bytes, wiped unless the tag is right. SLK_BAD_TAG, also for
 * what is too short; SLK_NO_MEMORY. */
MUST_USE int kms_gcm_open(const struct kms_gcm *gcm, const uint8_t key[KMS_GCM_KEY_BYTES],
	const uint8_t iv[KMS_GCM_IV_BYTES], struct slk_span aad, struct slk_span sealed,
	uint8_t *out);

#endif
