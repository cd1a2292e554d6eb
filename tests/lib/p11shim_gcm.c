/* The fault shim's encryption and decryption: who makes the IV, where it stands, how parameters are laid out. */
#include <stdlib.h>
#include <string.h>

#include "p11shim_inner.h"

/* An IV of the HSM's own. */
static CK_RV
draw_iv(CK_SESSION_HANDLE s, uint8_t *iv, unsigned long len)
{
	if (atomic_load(&ctl->same_iv) != 0) {
		memset(iv, 0x11, len);
		return CKR_OK;
	}
	return REAL(C_GenerateRandom(s, iv, len));
}

/* The parameters in the layout that the real module knows. */
static CK_RV
read_params(const CK_MECHANISM *m, struct gcm_params *out)
{
	const struct {
		unsigned char *iv;
		unsigned long iv_len;
		unsigned char *aad;
		unsigned long aad_len, tag_bits;
	} *without = m->pParameter;

	if (m->ulParameterLen == sizeof(*without) && atomic_load(&ctl->layout_without_bits) != 0) {
		*out = (struct gcm_params){without->iv, without->iv_len, without->iv_len * 8,
			without->aad, without->aad_len, without->tag_bits};
		return CKR_OK;
	}
	if (m->ulParameterLen != sizeof(*out) || atomic_load(&ctl->layout_without_bits) != 0)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(out, m->pParameter, sizeof(*out));
	return atomic_load(&ctl->no_bits) != 0 && out->iv_bits != 0 ? CKR_MECHANISM_PARAM_INVALID
								    : CKR_OK;
}

/* Where the IV is, or comes from; p is made what the real module needs. */
static CK_RV
settle_iv(CK_SESSION_HANDLE s, const CK_MECHANISM *m, struct gcm_params *p, bool encrypting)
{
	static const uint8_t zero[IV_BYTES];
	struct session *st = p11shim_state_of(s);
	bool prefix = m->mechanism == CLOUDHSM_AES_GCM;
	bool suffix = encrypting && !prefix && atomic_load(&ctl->suffix_iv) != 0;

	st->iv_place = prefix ? IV_BEFORE : suffix ? IV_BEHIND : IV_NOWHERE;
	st->iv_len = suffix && p->iv_bits != IV_BYTES * 8 ? 16 : IV_BYTES;
	if ((prefix || suffix) && (p->iv_ptr != NULL || p->iv_len != 0))
		return CKR_MECHANISM_PARAM_INVALID;
	if (prefix || suffix) {
		p->iv_ptr = st->iv;
		p->iv_len = st->iv_len;
		p->iv_bits = st->iv_len * 8;
		return encrypting ? draw_iv(s, st->iv, st->iv_len) : CKR_OK;
	}
	if (!encrypting || atomic_load(&ctl->hsm_iv) == 0)
		return CKR_OK;
	if (p->iv_ptr == NULL || p->iv_len != IV_BYTES || memcmp(p->iv_ptr, zero, IV_BYTES) != 0)
		return CKR_MECHANISM_PARAM_INVALID;
	return draw_iv(s, p->iv_ptr, p->iv_len);
}

/* Our wrapper must never let these through to a module. The probe tries some on purpose, and says so by
 * P11SHIM_LENIENT. */
static void
insist_on_sound(const struct gcm_params *p)
{
	if (getenv("P11SHIM_LENIENT") == NULL &&
		(p->iv_len != IV_BYTES || p->tag_bits != TAG_BYTES * 8 || p->aad_len == 0))
		abort();
}

static CK_RV
crypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, bool encrypting)
{
	struct session *st = p11shim_state_of(s);
	bool prefix = m->mechanism == CLOUDHSM_AES_GCM && atomic_load(&ctl->prefix_gcm) != 0;
	struct gcm_params p;
	CK_MECHANISM known = {CKM_AES_GCM, &p, sizeof(p)};

	if (!p11shim_may_use(s, key))
		return CKR_KEY_HANDLE_INVALID;
	st->gcm = m->mechanism == CKM_AES_GCM || prefix;
	st->iv_place = IV_NOWHERE;
	st->ecb_of_victim = m->mechanism == CKM_AES_ECB && p11shim_is_victim(s, key);
	if (!st->gcm)
		return encrypting ? REAL(C_EncryptInit(s, m, key)) : REAL(C_DecryptInit(s, m, key));
	if (atomic_load(&ctl->no_gcm) != 0)
		return CKR_MECHANISM_INVALID;
	CK_RV rv = read_params(m, &p);
	if (rv == CKR_OK)
		rv = settle_iv(s, m, &p, encrypting);
	if (rv != CKR_OK)
		return rv;
	insist_on_sound(&p);
	if (encrypting)
		return REAL(C_EncryptInit(s, &known, key));
	if (!prefix)
		return REAL(C_DecryptInit(s, &known, key));
	free(st->aad); /* begun when the IV is there */
	st->aad = malloc(p.aad_len + 1);
	if (st->aad == NULL)
		return CKR_HOST_MEMORY;
	memcpy(st->aad, p.aad_ptr, p.aad_len);
	st->aad_len = p.aad_len;
	st->key = key;
	return CKR_OK;
}

CK_RV
p11shim_encrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	STRIKE(C_EncryptInit);
	return crypt_init(s, m, key, true);
}

CK_RV
p11shim_decrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	STRIKE(C_DecryptInit);
	return crypt_init(s, m, key, false);
}

static bool
is_too_long(const struct session *st, unsigned long len)
{
	uint32_t most = atomic_load(&ctl->data_max_bytes);

	return st->gcm && most != 0 && len > most;
}

/* Ends the real module's operation, whatever comes of it. */
static void
throw_away(CK_SESSION_HANDLE s, bool encrypting)
{
	unsigned char byte = 0, out[64];
	unsigned long len = sizeof(out);

	(void)(encrypting ? REAL(C_Encrypt(s, &byte, 1, out, &len))
			  : REAL(C_Decrypt(s, &byte, 1, out, &len)));
}

CK_RV
p11shim_encrypt(CK_SESSION_HANDLE s, unsigned char *in, unsigned long len, unsigned char *out,
	unsigned long *out_len)
{
	CK_RV struck;
	bool hit = p11shim_strike(P11SHIM_C_Encrypt, &struck);
	struct session *st = p11shim_state_of(s);
	unsigned long at = st->iv_place == IV_BEFORE ? st->iv_len : 0;

	if (is_too_long(st, len)) {
		if (atomic_load(&ctl->leave_open) == 0)
			throw_away(s, true);
		return CKR_DATA_LEN_RANGE;
	}
	if (st->iv_place != IV_NOWHERE) {
		if (*out_len < len + TAG_BYTES + st->iv_len)
			return CKR_BUFFER_TOO_SMALL;
		*out_len -= st->iv_len;
	}
	CK_RV rv = REAL(C_Encrypt(s, in, len, out + at, out_len));
	if (hit) /* an error ends the operation all the same */
		return struck;
	if (rv == CKR_OK && st->iv_place != IV_NOWHERE) {
		memcpy(at > 0 ? out : out + *out_len, st->iv, st->iv_len);
		*out_len += st->iv_len;
	}
	if (rv == CKR_OK && st->ecb_of_victim && atomic_load(&ctl->other_kcv) != 0)
		out[0] ^= 0xff;
	return rv;
}

/* The IV stands before the ciphertext: now the decryption can begin. */
static CK_RV
begin_prefixed(CK_SESSION_HANDLE s, unsigned char **in, unsigned long *len)
{
	struct session *st = p11shim_state_of(s);

	if (*len < IV_BYTES + TAG_BYTES)
		return CKR_ENCRYPTED_DATA_LEN_RANGE;
	struct gcm_params p = {*in, IV_BYTES, IV_BYTES * 8, st->aad, st->aad_len, TAG_BYTES * 8};
	CK_MECHANISM known = {CKM_AES_GCM, &p, sizeof(p)};
	CK_RV rv = REAL(C_DecryptInit(s, &known, st->key));
	*in += IV_BYTES;
	*len -= IV_BYTES;
	return rv;
}

CK_RV
p11shim_decrypt(CK_SESSION_HANDLE s, unsigned char *in, unsigned long len, unsigned char *out,
	unsigned long *out_len)
{
	CK_RV struck;
	bool hit = p11shim_strike(P11SHIM_C_Decrypt, &struck);
	struct session *st = p11shim_state_of(s);
	uint64_t bad_tag_rv = atomic_load(&ctl->bad_tag_rv);

	CK_RV rv = st->iv_place == IV_BEFORE ? begin_prefixed(s, &in, &len) : CKR_OK;
	if (rv == CKR_OK && is_too_long(st, len)) {
		throw_away(s, false);
		return CKR_ENCRYPTED_DATA_LEN_RANGE;
	}
	if (rv == CKR_OK)
		rv = REAL(C_Decrypt(s, in, len, out, out_len));
	if (hit)
		return struck;
	if (rv != CKR_OK && atomic_load(&ctl->accept_tags) != 0) {
		*out_len = len - TAG_BYTES;
		return CKR_OK;
	}
	if (st->gcm && bad_tag_rv != 0 &&
		(rv == CKR_GENERAL_ERROR || rv == CKR_ENCRYPTED_DATA_INVALID))
		return bad_tag_rv;
	return rv;
}
