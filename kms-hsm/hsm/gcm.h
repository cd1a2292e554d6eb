/* AES-GCM on the token: 12-byte IV, 128-bit tag, AAD never empty; nothing else reaches the module.
 *
 * The IV always comes out of an encryption: drawn from the token's generator or made by the HSM, as the
 * profile says, wherever the module puts it. Callers see iv and ciphertext || tag and no layouts.
 * Thread: the session's; inside the gate.
 */
#ifndef KMS_HSM_HSM_GCM_H
#define KMS_HSM_HSM_GCM_H

#include "base/bytes.h"
#include "hsm/token.h"

/* The parameters of one call, in the layout of a profile. p11-kit's CK_GCM_PARAMS has other names for its members in each
 * release. */
struct hsm_gcm_params {
	union {
		struct {
			unsigned char *iv_ptr;
			unsigned long iv_len;
			unsigned long iv_bits;
			unsigned char *aad_ptr;
			unsigned long aad_len;
			unsigned long tag_bits;
		} with_bits;
		struct {
			unsigned char *iv_ptr;
			unsigned long iv_len;
			unsigned char *aad_ptr;
			unsigned long aad_len;
			unsigned long tag_bits;
		} without_bits;
	} u;
	CK_MECHANISM mechanism; /* points at u */
};

/* iv: HSM_IV_BYTES that the module reads or overwrites, or NULL where none is passed; aad and out must outlive the
 * call of the module. CKR_ARGUMENTS_BAD for AAD that is empty or longer than HSM_AAD_MAX. */
CK_RV hsm_gcm_params_init(const struct hsm_profile *profile, struct slk_span aad, uint8_t *iv,
	struct hsm_gcm_params *out);

/* Encrypt data under the key; out gets data.len + HSM_TAG_BYTES bytes and must have HSM_GCM_SLACK
 * more room than data. HSM_RV_SHAPE for a result of another length. A zero or repeated IV is the
 * caller's to notice. */
#define HSM_GCM_SLACK 32u
CK_RV hsm_gcm_encrypt(struct hsm_session *session, CK_OBJECT_HANDLE key, struct slk_span aad,
	struct slk_span data, uint8_t out_iv[HSM_IV_BYTES], uint8_t *out, size_t *out_len);

/* Decrypt ciphertext || tag; out must have ciphertext.len bytes of room. On an error out is wiped.
 */
CK_RV hsm_gcm_decrypt(struct hsm_session *session, CK_OBJECT_HANDLE key, struct slk_span aad,
	const uint8_t iv[HSM_IV_BYTES], struct slk_span ciphertext, uint8_t *out, size_t *out_len);

#endif
