/* Random bytes from the token's generator, drawn for several requests by one call.
 *
 * A data key needs two draws, key and IV, and under load the next data keys are known to be wanted: one call of the module
 * fetches what the request in hand and up to HSM_DRAW_AHEAD - 1 that wait behind it will ask for. The bytes lie in locked
 * memory of the session, each is given out once and wiped as it is given, and none is kept when nobody waits or a call
 * failed. What a generator that is stuck gives repeats within the IVs that key.c remembers.
 *
 * Thread: the session's; inside the gate, but for hsm_draw_drop().
 */
#ifndef KMS_HSM_HSM_DRAW_H
#define KMS_HSM_HSM_DRAW_H

#include "hsm/token.h"

#define HSM_DRAW_AHEAD 8u

/* The next draws come to each_bytes for this request and will for those behind it. */
void hsm_draw_ahead(struct hsm_session *session, size_t each_bytes);
/* len random bytes of the token. out is untouched but with CKR_OK. */
CK_RV hsm_draw(struct hsm_session *session, uint8_t *out, size_t len);
/* Wipe what was drawn and not given out. */
void hsm_draw_drop(struct hsm_session *session);

#endif
