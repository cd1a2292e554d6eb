/* What the token can do: which specs of keys it makes, which algorithms it knows.
 *
 * The mechanism list is asked first, with its sizes. Where lists lie it is tried, with objects that vanish with the session:
 * OAEP and PSS with each hash on a public key (no RSA key is generated, which takes seconds on some tokens), each curve by
 * generating a pair. Asked once for each token, not at each recovery. Thread: who brings the token up; gate held alone.
 */
#ifndef KMS_HSM_HSM_CAPS_H
#define KMS_HSM_HSM_CAPS_H

#include "hsm/token.h"

/* Sets specs, algorithms and rsa_generator of the token unless they were found out for this serial number before. CKR_OK,
 * or an error of the token that says nothing about what it can do (it is lost, say); nothing is set then. */
CK_RV hsm_caps_probe(struct hsm_session *session, const char *serial);

#endif
