#include "hsm/gcm.h"

#include <string.h>

static CK_RV
init_params(struct slk_span aad, uint8_t *iv, CK_GCM_PARAMS *out_params)
{
	/* SoftHSM takes an empty IV, a short tag and (crashing in some builds) empty AAD; we pass
	 * none of them. */
	if (aad.len == 0 || aad.len > HSM_AAD_MAX)
		return CKR_ARGUMENTS_BAD;
	memset(out_params, 0, sizeof(*out_params));
	out_params->iv_ptr = iv;
	out_params->iv_len = HSM_IV_BYTES;
	out_params->iv_bits =
		HSM_IV_BYTES * 8; /* the only value that all tokens take, if they look at it */
	out_params->aad_ptr = (unsigned char *)aad.ptr;
	out_params->aad_len = aad.len;
	out_params->tag_bits = HSM_TAG_BYTES * 8;
	return CKR_OK;
}

CK_RV
hsm_gcm_encrypt(struct hsm_session *session, CK_OBJECT_HANDLE key, struct slk_span aad,
	struct slk_span data, uint8_t out_iv[HSM_IV_BYTES], uint8_t *out, size_t *out_len)
{
	const struct hsm_profile *profile = session->token->options->profile;
	uint8_t iv[HSM_IV_BYTES] = {0};
	CK_GCM_PARAMS params;

	CK_RV rv = init_params(aad, iv, &params);
	if (rv == CKR_OK && data.len + HSM_TAG_BYTES > profile->data_max_bytes)
		rv = CKR_DATA_LEN_RANGE;
	if (rv == CKR_OK && !profile->iv_from_hsm)
		rv = HSM_SESSION_CALL(session, C_GenerateRandom, iv, sizeof(iv));
	if (rv != CKR_OK)
		return rv;
	CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof(params)};
	rv = HSM_SESSION_CALL(session, C_EncryptInit, &mechanism, key);
	if (rv != CKR_OK)
		return rv;
	CK_ULONG len = data.len + HSM_GCM_SLACK;
	rv = HSM_SESSION_CALL(session, C_Encrypt, (unsigned char *)data.ptr, data.len, out, &len);
	if (rv == CKR_OK && len != data.len + HSM_TAG_BYTES)
		rv = CKR_GENERAL_ERROR;
	if (rv != CKR_OK)
		return rv;
	memcpy(out_iv, iv, sizeof(iv));
	*out_len = len;
	return CKR_OK;
}

CK_RV
hsm_gcm_decrypt(struct hsm_session *session, CK_OBJECT_HANDLE key, struct slk_span aad,
	const uint8_t iv[HSM_IV_BYTES], struct slk_span ciphertext, uint8_t *out, size_t *out_len)
{
	uint8_t iv_copy[HSM_IV_BYTES]; /* modules are not bound to leave it alone */
	CK_GCM_PARAMS params;

	memcpy(iv_copy, iv, sizeof(iv_copy));
	CK_RV rv = init_params(aad, iv_copy, &params);
	if (rv == CKR_OK && ciphertext.len <= HSM_TAG_BYTES)
		rv = CKR_ENCRYPTED_DATA_LEN_RANGE;
	if (rv != CKR_OK)
		return rv;
	CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof(params)};
	rv = HSM_SESSION_CALL(session, C_DecryptInit, &mechanism, key);
	if (rv != CKR_OK)
		return rv;
	CK_ULONG len = ciphertext.len;
	rv = HSM_SESSION_CALL(
		session, C_Decrypt, (unsigned char *)ciphertext.ptr, ciphertext.len, out, &len);
	if (rv == CKR_OK && len != ciphertext.len - HSM_TAG_BYTES)
		rv = CKR_GENERAL_ERROR;
	if (rv != CKR_OK) {
		slk_wipe(out, ciphertext.len);
		return rv;
	}
	*out_len = len;
	return CKR_OK;
}
