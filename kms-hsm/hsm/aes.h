/* AES-256 keys that wrap with GCM: the master keys. hsm_kind_aes (hsm/kind.h) is what is done with one.
 *
 * Thread: the session's; inside the gate.
 */
#ifndef KMS_HSM_HSM_AES_H
#define KMS_HSM_HSM_AES_H

#include "hsm/kind.h"

/* Make a key as master keys are made: sensitive, never extractable, to encrypt and decrypt only. token: it stays under its
 * id and label, else it is the session's, to try. with_copyable: CKA_COPYABLE false is in the template, which some tokens
 * do not know (CKR_ATTRIBUTE_TYPE_INVALID, CKR_TEMPLATE_INCONSISTENT, and worse). */
CK_RV hsm_aes_generate(struct hsm_session *session, const uint8_t id[HSM_KEY_ID_BYTES], bool token,
	bool with_copyable, CK_OBJECT_HANDLE *out_handle);

#endif
