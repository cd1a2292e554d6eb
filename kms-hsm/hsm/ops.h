/* The worker's operations, and what it does when the token fails in the middle of one.
 *
 *     class of CK_RV        reaction (each at most once for one call, within its deadline)
 *     A session gone        open another session, try again
 *     B login gone          stop the pool, log in once (whoever comes first), try again
 *     C object gone         find the key again with all checks, try again
 *     D token lost          initialise everything anew, try again; if that fails the keeper goes on
 * and calls are refused E busy                wait 10, 40, 160 ms and try again; then ask the
 * canary: SLK_UNAVAILABLE if it sings, else D F caller's data       ask the canary:
 * SLK_INVALID_CIPHERTEXT if it sings, else D
 *     - general error       unwrapping: as F. Else: canary, try again; a second time SLK_HSM
 *     G configuration       SLK_UNSUPPORTED or SLK_HSM, no second try
 * A class that strikes a second time goes one further: A, B and C to D, D to SLK_UNAVAILABLE.
 *
 * Thread: the session's.
 */
#ifndef KMS_HSM_HSM_OPS_H
#define KMS_HSM_HSM_OPS_H

#include "hsm/token.h"

/* Carry out one checked request (not HSM_STATUS). *out_reply is filled whole; its spans point into
 * the session's arena and are valid until the next call. The caller wipes the arena with
 * hsm_ops_wipe() once the reply is encoded. */
void hsm_ops_execute(struct hsm_session *session, const struct hsm_request *request,
	struct hsm_reply *out_reply);
void hsm_ops_wipe(struct hsm_session *session, const struct hsm_request *request);

#endif
