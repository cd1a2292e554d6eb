/* What an auditor asks of the token: the attributes of a key's objects as the token tells them now, and what token, module
 * and library are. Nothing is cached, nothing is changed. Formats: link.h.
 *
 * Thread: the session's; inside the gate.
 */
#ifndef KMS_HSM_HSM_INSPECT_H
#define KMS_HSM_HSM_INSPECT_H

#include "hsm/token.h"

/* All key objects of the id; out has room for HSM_OBJECTS_MAX times HSM_OBJECT_BYTES. CKR_OK, or the token's error. */
CK_RV hsm_inspect_key(struct hsm_session *session, const uint8_t id[HSM_KEY_ID_BYTES], uint8_t *out,
	size_t *out_len);

/* "name=value\n" for each fact; text of the token is ASCII, anything else in it is '?'. self_test: run the token's self-test
 * first, and say how it ended. */
CK_RV hsm_inspect_token(
	struct hsm_session *session, bool self_test, uint8_t *out, size_t cap, size_t *out_len);

#endif
