/* Names and ids of credentials, and the session keys that a call needs. Internal to ops_access.c, ops_signing.c,
 * ops_assume.c and session_keys.c. Thread: the front's loop.
 */
#ifndef KMS_HSM_CREDENTIALS_H
#define KMS_HSM_CREDENTIALS_H

#include "call.h"
#include "catalog_access.h"
#include "sessions.h"
#include "sigv4.h"

/* prefix ("AKIA", "ASIA") and 16 of A-Z 2-7, random. */
MUST_USE int kms_access_id_new(const char *prefix, char out[KMS_ACCESS_ID_MAX]);
/* 20 of A-Z 0-9. */
bool kms_access_id_is(const char *text);
/* 1..64 of a-z A-Z 0-9 _+=,.@- */
bool kms_identity_name_is(const char *text);
/* The same, 2..64: the name of a session, a source identity. */
bool kms_session_name_is(const char *text);
/* arn:aws:iam::ACCOUNT:user/NAME. SLK_INVALID: too long. */
MUST_USE int kms_user_arn(const struct kms_realm *realm, const char *name, char out[KMS_ARN_MAX]);
MUST_USE int kms_role_arn(const struct kms_realm *realm, const char *name, char out[KMS_ARN_MAX]);
/* arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION */
void kms_session_arn(const struct kms_realm *realm, struct slk_span role, struct slk_span name,
	char out[KMS_ARN_MAX]);

/* The session key that new tokens are sealed under, made when it is first needed or the last one is old. SLK_OK: it is in
 * memory, and *out_id its id. Anything else: the call has ended, or waits, and resume begins it anew. */
MUST_USE int kms_session_key_newest(
	struct kms_call *call, kms_call_fn resume, uint8_t out_id[KMS_ID_BYTES]);
/* The one of a token: SLK_NOT_FOUND, and the call goes on, if there is none of that id. Else as above. */
MUST_USE int kms_session_key_of(
	struct kms_call *call, const uint8_t id[KMS_ID_BYTES], kms_call_fn resume);

#endif
