/* Session tokens, sealed and opened (format/session.h), and the keys for that, as far as they are in memory.
 *
 *     catalog (wrapped under the appliance's key) --HSM--> kms_sessions_take() --> kms_sessions_seal(), kms_sessions_open()
 *
 * Keys are in locked memory. Thread: one, the front's loop.
 */
#ifndef KMS_HSM_SESSIONS_H
#define KMS_HSM_SESSIONS_H

#include <stdbool.h>

#include "base/secret.h"
#include "format/session.h"
#include "hmac.h"

#define KMS_SESSION_KEY_BYTES 32u

struct kms_gcm;
struct kms_sessions;

/* hmac, gcm: borrowed. SLK_NO_MEMORY. */
MUST_USE int kms_sessions_new(
	struct kms_hmac *hmac, const struct kms_gcm *gcm, struct kms_sessions **out_sessions);
void kms_sessions_free(struct kms_sessions *sessions); /* NULL allowed */

bool kms_sessions_has(
	const struct kms_sessions *sessions, const uint8_t id[FMT_SESSION_KEY_ID_BYTES]);
/* Keep a key; the one that came first makes room. SLK_NO_MEMORY. */
MUST_USE int kms_sessions_take(struct kms_sessions *sessions,
	const uint8_t id[FMT_SESSION_KEY_ID_BYTES], const uint8_t key[KMS_SESSION_KEY_BYTES]);

/* A token's text, terminated, FMT_SESSION_TEXT_MAX bytes at most. SLK_NOT_FOUND: the key is not here. SLK_NO_MEMORY,
 * SLK_INTERNAL. */
MUST_USE int kms_sessions_seal(struct kms_sessions *sessions,
	const uint8_t id[FMT_SESSION_KEY_ID_BYTES], struct slk_span claims, char *out, size_t cap);
/* The claims, in FMT_SESSION_CLAIMS_MAX bytes of locked memory. SLK_NOT_FOUND: the key is not here; SLK_BAD_TAG: nobody
 * sealed that with it. */
MUST_USE int kms_sessions_open(struct kms_sessions *sessions, const struct fmt_session_token *token,
	uint8_t *out, size_t *out_len);

#endif
