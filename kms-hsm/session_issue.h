/* Temporary credentials on their way out, of AssumeRole and of GetSessionToken.
 *
 *     claims without their secret, in call->held --> session key --> the HSM draws the secret --> token --> answer
 *
 * call->work begins with a struct kms_session_issue; call->issued has what the answer and the audit line say of them. Each
 * function ends the call if it fails. Thread: the front's loop.
 */
#ifndef KMS_HSM_SESSION_ISSUE_H
#define KMS_HSM_SESSION_ISSUE_H

#include "credentials.h"
#include "format/session.h"

struct kms_session_issue {
	uint64_t expires_ns;
	size_t claims_len;
	uint8_t key_id[KMS_ID_BYTES];
};

/* Name the credentials (an access key id, the times) and write the claims. session: all the rest; borrowed. */
MUST_USE int kms_session_claim(
	struct kms_call *call, struct fmt_session *session, uint32_t duration_s);
/* Draw the secret and answer. */
void kms_session_draw(struct kms_call *call);

#endif
