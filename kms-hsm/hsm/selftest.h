/* What a token must show before it may serve: AES-GCM as the profile says, on a session key made
 * for it.
 *
 * Two wraps of the same bytes differ in IV and ciphertext; with IVs from the HSM the buffer was
 * filled; the ciphertext decrypts; a flipped tag, AAD or ciphertext bit does not. Thread: the
 * caller holds the gate alone.
 */
#ifndef KMS_HSM_HSM_SELFTEST_H
#define KMS_HSM_HSM_SELFTEST_H

#include "hsm/token.h"

/* CKR_OK with SLK_OK, or with SLK_SELF_TEST or SLK_UNSUPPORTED and a sentence in *err; another
 * CK_RV: the token could not be asked. session: any open session, its arena is used. */
CK_RV hsm_selftest(struct hsm_session *session, struct slk_error *out_err);

#endif
