/* For whom the gateway asks: the one exception from "who asks is what the kernel says about the peer". Internal to service.c.
 *
 *     Request.caller --> an access key's user, a user, a role --> the call's principal
 *                    --> a session's token --(session key in memory? else the HSM opens it)--> the role, within the session
 *
 * From then on the call is its caller's: permissions, grants, policies of keys and sessions, and the audit line, which has the
 * gateway as its door. Nothing is kept of a caller between calls. Thread: the front's loop.
 */
#ifndef KMS_HSM_CALLER_H
#define KMS_HSM_CALLER_H

#include "session_open.h"

/* May a peer of these classes ask this for another at all? The gateway: those of kms, kinesis, firehose and sts that people and
 * administrators have, and Authorize. Deliverd, for sessions of its delivery streams: Decrypt, GenerateDataKey, Encrypt,
 * Authorize. */
bool kms_caller_may(const struct kms_row *row, unsigned classes);
/* Is it a session of a delivery stream's role (AssumeDeliveryRole)? The delivery stream's ARN; NULL: no. */
const char *kms_caller_delivery(const struct kms_call *call);

/* The peer is the gateway or deliverd, request->caller is set. SLK_OK: the call is its caller's, and *out_parts, freed by
 * kms_session_view_free(), has what call->session borrows; NULL without one. Anything else: the call has ended, or waits, and
 * resume begins it anew from call->kept, the packed request. */
MUST_USE int kms_caller_take(struct kms_call *call, const Kmsp__Request *request,
	kms_call_fn resume, struct kms_session_parts **out_parts);

#endif
