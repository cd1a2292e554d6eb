/* From a token to a session, in two steps. Internal to ops_signing.c and ops_sessions.c. Thread: the front's loop. */
#ifndef KMS_HSM_SESSION_OPEN_H
#define KMS_HSM_SESSION_OPEN_H

#include "credentials.h"
#include "session.h"

/* What a token says; call->held has the bytes that it borrows. It is a session's of kmsd, has not ended, and its role is the
 * one that was assumed (of GetSessionToken: its user the one that asked). The call's principal becomes the role, its
 * credential names the session.
 *
 * SLK_INVALID_CIPHERTEXT: the token is none of these; SLK_END: the session ended; in both cases the call goes on. Anything
 * else but SLK_OK: the call has ended, or waits, and resume begins it anew. */
MUST_USE int kms_session_open(struct kms_call *call, struct slk_span token, kms_call_fn resume,
	struct fmt_session *out_session);

struct kms_session_parts; /* what a view borrows */

/* Parse the session's policies. SLK_DENIED, and the call has ended: one of them is gone or cannot be read. */
MUST_USE int kms_session_view_new(struct kms_call *call, const struct fmt_session *session,
	struct kms_session_parts **out_parts);
void kms_session_view_free(struct kms_session_parts *parts); /* NULL allowed */
const struct kms_session_view *kms_session_view(const struct kms_session_parts *parts);

#endif
