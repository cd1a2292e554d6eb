#include "hsm/gcm.h"

#include <assert.h>
#include <string.h>

#include "hsm/draw.h"
#include "hsm/rv.h"

static_assert(HSM_IV_BYTES + HSM_TAG_BYTES <= HSM_GCM_SLACK, "room for an IV beside the tag");

/* The only values that all tokens take, if they look at them: 96 bits of IV, 128 of tag. */
CK_RV
hsm_gcm_params_init(const struct hsm_profile *profile, struct slk_span aad, uint8_t *iv,
	struct hsm_gcm_params *out)
{
	unsigned long iv_len = iv != NULL ? HSM_IV_BYTES : 0;

	/* SoftHSM takes an empty IV, a short tag and (crashing in some builds) empty AAD; we pass
	 * none of them. */
	if (aad.len == 0 || aad.len > HSM_AAD_MAX)
		return CKR_ARGUMENTS_BAD;
	memset(out, 0, sizeof(*out));
	out->mechanism.mechanism = (CK_MECHANISM_TYPE)profile->mechanism;
	out->mechanism.pParameter = &out->u;
	if (profile->layout == HSM_GCM_WITHOUT_BITS) {
		out->u.without_bits.iv_ptr = iv;
		out->u.without_bits.iv_len = iv_len;
		out->u.without_bits.aad_ptr = (unsigned char *)(uintptr_t)aad.ptr;
		out->u.without_bits.aad_len = aad.len;
		out->u.without_bits.tag_bits = HSM_TAG_BYTES * 8;
		out->mechanism.ulParameterLen = sizeof(out->u.without_bits);
		return CKR_OK;
	}
	out->u.with_bits.iv_ptr = iv;
	out->u.with_bits.iv_len = iv_len;
	/* Luna makes an IV of as many bits as are asked for; CKM_CLOUDHSM_AES_GCM wants nothing. */
	out->u.with_bits.iv_bits = profile->iv == HSM_IV_PREFIX ? 0 : HSM_IV_BYTES * 8;
	out->u.with_bits.aad_ptr = (unsigned char *)(uintptr_t)aad.ptr;
	out->u.with_bits.aad_len = aad.len;
	out->u.with_bits.tag_bits = HSM_TAG_BYTES * 8;
	out->mechanism.ulParameterLen = sizeof(out->u.with_bits);
	return CKR_OK;
}

/* What the module gave, as iv and ciphertext || tag. */
static CK_RV
take_apart(enum hsm_iv_from iv_from, size_t data_len, const uint8_t given_iv[HSM_IV_BYTES],
	uint8_t *bytes, size_t len, uint8_t out_iv[HSM_IV_BYTES])
{
	bool inside = iv_from == HSM_IV_PREFIX || iv_from == HSM_IV_SUFFIX;
	const size_t sealed = data_len + HSM_TAG_BYTES;

	if (len != sealed + (inside ? HSM_IV_BYTES : 0))
		return HSM_RV_SHAPE;
	if (!inside) {
		memcpy(out_iv, given_iv, HSM_IV_BYTES);
	} else if (iv_from == HSM_IV_SUFFIX) {
		memcpy(out_iv, bytes + sealed, HSM_IV_BYTES);
	} else {
		memcpy(out_iv, bytes, HSM_IV_BYTES);
		memmove(bytes, bytes + HSM_IV_BYTES, sealed);
	}
	return CKR_OK;
}

CK_RV
hsm_gcm_encrypt(struct hsm_session *session, CK_OBJECT_HANDLE key, struct slk_span aad,
	struct slk_span data, uint8_t out_iv[HSM_IV_BYTES], uint8_t *out, size_t *out_len)
{
	const struct hsm_profile *profile = session->token->options->profile;
	uint8_t iv[HSM_IV_BYTES] = {0};
	bool passed = profile->iv == HSM_IV_OURS || profile->iv == HSM_IV_BUFFER;
	struct hsm_gcm_params params;

	CK_RV rv = hsm_gcm_params_init(profile, aad, passed ? iv : NULL, &params);
	if (rv == CKR_OK && data.len + HSM_TAG_BYTES > profile->data_max_bytes)
		rv = CKR_DATA_LEN_RANGE;
	if (rv == CKR_OK && profile->iv == HSM_IV_OURS)
		rv = hsm_draw(session, iv, sizeof(iv));
	if (rv != CKR_OK)
		return rv;
	rv = HSM_SESSION_CALL(session, C_EncryptInit, &params.mechanism, key);
	if (rv != CKR_OK)
		return rv;
	CK_ULONG len = data.len + HSM_GCM_SLACK;
	rv = HSM_SESSION_CALL(session, C_Encrypt, (unsigned char *)data.ptr, data.len, out, &len);
	if (rv == CKR_OK)
		rv = take_apart(profile->iv, data.len, iv, out, len, out_iv);
	if (rv == CKR_OK)
		*out_len = data.len + HSM_TAG_BYTES;
	return rv;
}

static CK_RV
decrypt(struct hsm_session *session, CK_OBJECT_HANDLE key, struct hsm_gcm_params *params,
	struct slk_span in, uint8_t *out, CK_ULONG *out_len)
{
	CK_RV rv = HSM_SESSION_CALL(session, C_DecryptInit, &params->mechanism, key);

	return rv != CKR_OK ? rv
			    : HSM_SESSION_CALL(session, C_Decrypt, (unsigned char *)in.ptr, in.len,
				      out, out_len);
}

/* The module wants to read the IV where it wrote it. */
static CK_RV
decrypt_prefixed(struct hsm_session *session, CK_OBJECT_HANDLE key, struct hsm_gcm_params *params,
	const uint8_t iv[HSM_IV_BYTES], struct slk_span ciphertext, uint8_t *out, CK_ULONG *out_len)
{
	uint8_t joined[HSM_IV_BYTES + HSM_DATA_MAX + HSM_TAG_BYTES];

	if (ciphertext.len > sizeof(joined) - HSM_IV_BYTES)
		return CKR_ENCRYPTED_DATA_LEN_RANGE;
	memcpy(joined, iv, HSM_IV_BYTES);
	memcpy(joined + HSM_IV_BYTES, ciphertext.ptr, ciphertext.len);
	return decrypt(session, key, params, slk_span(joined, HSM_IV_BYTES + ciphertext.len), out,
		out_len);
}

CK_RV
hsm_gcm_decrypt(struct hsm_session *session, CK_OBJECT_HANDLE key, struct slk_span aad,
	const uint8_t iv[HSM_IV_BYTES], struct slk_span ciphertext, uint8_t *out, size_t *out_len)
{
	const struct hsm_profile *profile = session->token->options->profile;
	bool prefixed = profile->iv == HSM_IV_PREFIX;
	uint8_t iv_copy[HSM_IV_BYTES]; /* modules are not bound to leave it alone */
	struct hsm_gcm_params params;
	CK_ULONG len = ciphertext.len;

	memcpy(iv_copy, iv, sizeof(iv_copy));
	CK_RV rv = hsm_gcm_params_init(profile, aad, prefixed ? NULL : iv_copy, &params);
	if (rv == CKR_OK && ciphertext.len <= HSM_TAG_BYTES)
		rv = CKR_ENCRYPTED_DATA_LEN_RANGE;
	if (rv != CKR_OK)
		return rv;
	rv = prefixed ? decrypt_prefixed(session, key, &params, iv, ciphertext, out, &len)
		      : decrypt(session, key, &params, ciphertext, out, &len);
	if (rv == CKR_OK && len != ciphertext.len - HSM_TAG_BYTES)
		rv = CKR_GENERAL_ERROR;
	if (rv != CKR_OK) {
		slk_wipe(out, ciphertext.len);
		return rv;
	}
	*out_len = len;
	return CKR_OK;
}
