/* AES-256 keys that wrap with GCM. */
#include "hsm/aes.h"

#include <string.h>

#include "hsm/object.h"

static const char canary_aad[] = "sealock canary";
static const uint8_t canary_plain[HSM_CANARY_BYTES] = "known and public";

static CK_RV
search(struct hsm_session *session, const struct hsm_key_name *name,
	CK_OBJECT_HANDLE out_handles[2], CK_ULONG *out_count)
{
	return hsm_objects_find(
		session, CKO_SECRET_KEY, CKK_AES, name->id, out_handles, 2, out_count);
}

/* What a master key must be. A key that was ever extractable, or came from outside, is not one. */
static CK_RV
check_attributes(struct hsm_session *session, CK_OBJECT_HANDLE handle, struct slk_error *err)
{
	static const struct hsm_rule rules[] = {
		{CKA_SENSITIVE, CK_TRUE, "CKA_SENSITIVE"},
		{CKA_EXTRACTABLE, CK_FALSE, "CKA_EXTRACTABLE"},
		{CKA_ALWAYS_SENSITIVE, CK_TRUE, "CKA_ALWAYS_SENSITIVE"},
		{CKA_NEVER_EXTRACTABLE, CK_TRUE, "CKA_NEVER_EXTRACTABLE"},
		{CKA_LOCAL, CK_TRUE, "CKA_LOCAL"},
		{CKA_ENCRYPT, CK_TRUE, "CKA_ENCRYPT"},
		{CKA_DECRYPT, CK_TRUE, "CKA_DECRYPT"},
		{CKA_WRAP, CK_FALSE, "CKA_WRAP"},
		{CKA_UNWRAP, CK_FALSE, "CKA_UNWRAP"},
		{CKA_DERIVE, CK_FALSE, "CKA_DERIVE"},
		{CKA_SIGN, CK_FALSE, "CKA_SIGN"},
	};
	CK_ULONG len = 0;
	CK_ATTRIBUTE size = {CKA_VALUE_LEN, &len, sizeof(len)};

	CK_RV rv = hsm_rules_check(session, handle, rules, sizeof(rules) / sizeof(rules[0]), err);
	if (rv != CKR_OK || err->status != SLK_OK)
		return rv;
	rv = HSM_SESSION_CALL(session, C_GetAttributeValue, handle, &size, 1);
	if (rv == CKR_OK && (size.ulValueLen != sizeof(len) || len != 32))
		(void)slk_fail(err, SLK_CORRUPT, "key refused: it is not an AES-256 key");
	return rv;
}

static CK_RV
ecb_block(
	struct hsm_session *session, CK_OBJECT_HANDLE handle, const uint8_t in[16], uint8_t out[16])
{
	CK_MECHANISM mechanism = {CKM_AES_ECB, NULL, 0};
	CK_ULONG len = 16;

	CK_RV rv = HSM_SESSION_CALL(session, C_EncryptInit, &mechanism, handle);
	if (rv != CKR_OK)
		return rv;
	rv = HSM_SESSION_CALL(session, C_Encrypt, (unsigned char *)in, 16, out, &len);
	return rv == CKR_OK && len != 16 ? CKR_GENERAL_ERROR : rv;
}

/* Times x in GF(2^128), the doubling of SP 800-38B 6.1. No branch on the secret. */
static void
gf_double(uint8_t block[16])
{
	uint8_t carry = block[0] >> 7;

	for (int i = 0; i < 15; i++)
		block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
	block[15] = (uint8_t)(block[15] << 1 ^ (0x87 & -carry));
}

/* CKA_CHECK_VALUE, and CMAC over one zero block: E(K1) with K1 = 2 E(0). */
static CK_RV
compute_check_values(struct hsm_session *session, CK_OBJECT_HANDLE handle,
	uint8_t out_kcv[HSM_KCV_BYTES], uint8_t out_cmac[5])
{
	static const uint8_t zero[16];
	uint8_t block[16], mac[16];

	CK_RV rv = ecb_block(session, handle, zero, block);
	if (rv == CKR_OK) {
		memcpy(out_kcv, block, HSM_KCV_BYTES);
		gf_double(block);
		rv = ecb_block(session, handle, block, mac);
	}
	if (rv == CKR_OK)
		memcpy(out_cmac, mac, 5);
	slk_wipe(block, sizeof(block));
	slk_wipe(mac, sizeof(mac));
	return rv;
}

static CK_RV
check_value(struct hsm_session *session, const struct hsm_key_name *name, CK_OBJECT_HANDLE handle,
	uint8_t out_kcv[HSM_KCV_BYTES])
{
	uint8_t cmac[5];

	(void)name;
	return compute_check_values(session, handle, out_kcv, cmac);
}

static CK_RV
canary(struct hsm_session *session, CK_OBJECT_HANDLE handle, const struct hsm_substance *s)
{
	uint8_t plain[HSM_CANARY_BYTES + HSM_GCM_SLACK];
	size_t len = 0;

	CK_RV rv = hsm_gcm_decrypt(session, handle, slk_span_str(canary_aad), s->canary_iv,
		slk_span(s->canary, s->canary_len), plain, &len);
	if (rv == CKR_OK &&
		(len != HSM_CANARY_BYTES || memcmp(plain, canary_plain, HSM_CANARY_BYTES) != 0))
		rv = CKR_DEVICE_ERROR;
	return rv;
}

/* Known-answer test: the key wraps and unwraps, and the wrap stays as canary. */
static CK_RV
verify(struct hsm_session *session, const struct hsm_key_name *name, CK_OBJECT_HANDLE handle,
	struct hsm_substance *out_substance, struct hsm_check *out)
{
	struct hsm_substance s = {.pair = NULL};

	(void)name;
	CK_RV rv = check_attributes(session, handle, &out->err);
	if (rv != CKR_OK || out->err.status != SLK_OK)
		return rv;
	rv = compute_check_values(session, handle, out->kcv, out->kcv_cmac);
	if (rv != CKR_OK)
		return rv;
	rv = hsm_gcm_encrypt(session, handle, slk_span_str(canary_aad),
		slk_span(canary_plain, HSM_CANARY_BYTES), s.canary_iv, s.canary, &s.canary_len);
	if (rv != CKR_OK)
		return rv;
	out->encryptions_count++;
	rv = canary(session, handle, &s);
	if (rv == CKR_OK)
		*out_substance = s;
	return rv;
}

CK_RV
hsm_aes_generate(struct hsm_session *session, const uint8_t id[HSM_KEY_ID_BYTES], bool token,
	bool with_copyable, CK_OBJECT_HANDLE *out_handle)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE, on_token = token ? CK_TRUE : CK_FALSE;
	CK_ULONG len = 32;
	char label[HSM_LABEL_BYTES + 1];
	hsm_object_label(id, label);
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)},
		{CKA_VALUE_LEN, &len, sizeof(len)},
		{CKA_ID, (void *)id, HSM_KEY_ID_BYTES},
		{CKA_LABEL, label, HSM_LABEL_BYTES},
		{CKA_TOKEN, &on_token, sizeof(on_token)},
		{CKA_PRIVATE, &yes, sizeof(yes)},
		{CKA_SENSITIVE, &yes, sizeof(yes)},
		{CKA_EXTRACTABLE, &no, sizeof(no)},
		{CKA_MODIFIABLE, &no, sizeof(no)},
		/* Encryption only: with WRAP beside DECRYPT a wrapped key could be read. */
		{CKA_ENCRYPT, &yes, sizeof(yes)},
		{CKA_DECRYPT, &yes, sizeof(yes)},
		{CKA_WRAP, &no, sizeof(no)},
		{CKA_UNWRAP, &no, sizeof(no)},
		{CKA_DERIVE, &no, sizeof(no)},
		{CKA_SIGN, &no, sizeof(no)},
		{CKA_VERIFY, &no, sizeof(no)},
		{CKA_COPYABLE, &no, sizeof(no)},
	};
	CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ULONG count = sizeof(template) / sizeof(template[0]) - (with_copyable ? 0 : 1);

	return HSM_SESSION_CALL(session, C_GenerateKey, &mechanism, template, count, out_handle);
}

static CK_RV
generate(struct hsm_session *session, const struct hsm_key_name *name)
{
	CK_OBJECT_HANDLE handle;

	CK_RV rv = hsm_aes_generate(session, name->id, true,
		!session->token->options->profile->copyable_unknown, &handle);
	if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_TEMPLATE_INCONSISTENT)
		/* a token that does not know CKA_COPYABLE */
		rv = hsm_aes_generate(session, name->id, true, false, &handle);
	return rv;
}

const struct hsm_kind hsm_kind_aes = {
	.search = search,
	.verify = verify,
	.canary = canary,
	.generate = generate,
	.check_value = check_value,
};
