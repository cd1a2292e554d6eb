/* What each operation does with the token, once; ops.c decides whether it is tried again.
 *
 * Thread: the session's; inside the gate.
 */
#ifndef KMS_HSM_HSM_PERFORM_H
#define KMS_HSM_HSM_PERFORM_H

#include "hsm/key.h"

/* One call on its way. */
struct hsm_work {
	struct hsm_session *session;
	const struct hsm_request *request;
	struct hsm_reply *reply;
	uint64_t epoch, login;
	struct hsm_key_name name; /* of the key in play, whose canary would be asked */
	struct hsm_key *key; /* once found */
	uint32_t checks_count; /* encryptions made to check it */
	bool deciphering; /* the token is busy with the caller's ciphertext */
	bool anew; /* the token was started anew since the call began */
};

/* The key that the request begins with. */
struct hsm_key_name hsm_perform_name(const struct hsm_request *request);

/* CKR_OK with the reply's status set, or the token's error. Spans of the reply point into the session's arena. */
CK_RV hsm_perform(struct hsm_work *w);

/* Wipe what performing the request may have left in the session's arena. */
void hsm_perform_wipe(struct hsm_session *session, const struct hsm_request *request);

/* text may be longer than fits. */
void hsm_answer(struct hsm_work *w, int status, const char *error);

#endif
