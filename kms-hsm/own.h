/* Secrets that the appliance keeps for itself: access keys, session keys. They are drawn by the HSM, as data keys under the
 * appliance's own key, and lie in the catalog as ciphertext blobs. call->context binds them to what they are for; it is a
 * pair more or another one than those of streams, so no right of a caller opens them.
 *
 * Each function ends the call if it fails; otherwise done goes on with it, as with kms_call_hsm(). Thread: the front's loop.
 */
#ifndef KMS_HSM_OWN_H
#define KMS_HSM_OWN_H

#include "call.h"
#include "catalog_access.h"

#define KMS_OWN_BYTES_MAX 32u

/* The context of an access key: {"sealock:access-key": id, "sealock:user": user_id}. */
MUST_USE int kms_own_context_access(struct kms_call *call, const char *id, const char *user_id);
/* The context of a session key: {"sealock:session-key": id in hex}. */
MUST_USE int kms_own_context_session(struct kms_call *call, const uint8_t id[KMS_ID_BYTES]);

/* The context of a description of a delivery stream: {"sealock:delivery-stream": arn, "sealock:description": id in hex}. */
MUST_USE int kms_own_context_delivery(
	struct kms_call *call, const char *arn, const uint8_t id[KMS_ID_BYTES]);

/* Draw a secret of bytes. done: reply->plaintext is the secret, of that length. */
void kms_own_make(struct kms_call *call, uint32_t bytes, kms_call_done_fn done);
/* What done of kms_own_make() stores. */
MUST_USE int kms_own_sealed(
	struct kms_call *call, const struct hsm_reply *reply, struct kms_sealed_secret *out);

/* Open one that has bytes. done: as above. */
void kms_own_open(struct kms_call *call, const struct kms_sealed_secret *sealed, uint32_t bytes,
	kms_call_done_fn done);

/* Draw bytes that are sealed by nobody. */
void kms_own_random(struct kms_call *call, uint32_t bytes, kms_call_done_fn done);

#endif
