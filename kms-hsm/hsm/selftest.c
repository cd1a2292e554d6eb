#include "hsm/selftest.h"

#include <string.h>

#include "hsm/gcm.h"
#include "hsm/rv.h"

#define DATA_BYTES 32u
static const char test_aad[] = "sealock self-test";

struct wrapped {
	uint8_t iv[HSM_IV_BYTES];
	uint8_t bytes[DATA_BYTES + HSM_GCM_SLACK];
	size_t len;
};

static CK_RV
make_key(struct hsm_session *session, CK_OBJECT_HANDLE *out_key)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG len = 32;
	CK_ATTRIBUTE template[] = {
		{CKA_TOKEN, &no, sizeof(no)},
		{CKA_PRIVATE, &yes, sizeof(yes)},
		{CKA_SENSITIVE, &yes, sizeof(yes)},
		{CKA_EXTRACTABLE, &no, sizeof(no)},
		{CKA_ENCRYPT, &yes, sizeof(yes)},
		{CKA_DECRYPT, &yes, sizeof(yes)},
		{CKA_VALUE_LEN, &len, sizeof(len)},
	};
	CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};

	return HSM_SESSION_CALL(session, C_GenerateKey, &mechanism, template,
		sizeof(template) / sizeof(template[0]), out_key);
}

static CK_RV
wrap(struct hsm_session *session, CK_OBJECT_HANDLE key, const uint8_t *data, struct wrapped *out)
{
	return hsm_gcm_encrypt(session, key, slk_span_str(test_aad), slk_span(data, DATA_BYTES),
		out->iv, out->bytes, &out->len);
}

/* Is a decryption with one bit of tag, text or AAD flipped refused? */
static bool
refuses(struct hsm_session *session, CK_OBJECT_HANDLE key, const struct wrapped *w, size_t flip,
	const char *aad)
{
	struct wrapped bad = *w;
	uint8_t out[sizeof(w->bytes)];
	size_t len = 0;

	if (flip < w->len)
		bad.bytes[flip] ^= 1;
	return hsm_gcm_decrypt(session, key, slk_span_str(aad), bad.iv,
		       slk_span(bad.bytes, bad.len), out, &len) != CKR_OK;
}

static int
judge_ivs(const struct hsm_session *session, const struct wrapped *a, const struct wrapped *b,
	struct slk_error *err)
{
	static const uint8_t zero[HSM_IV_BYTES];
	const char *profile = session->token->options->profile->name;

	if (memcmp(a->iv, zero, sizeof(zero)) == 0 || memcmp(b->iv, zero, sizeof(zero)) == 0)
		return slk_fail(err, SLK_SELF_TEST,
			"self-test: the token left the IV all zero; it does not make IVs as "
			"profile '%s' says, or its random "
			"generator is broken",
			profile);
	if (memcmp(a->iv, b->iv, sizeof(a->iv)) == 0)
		return slk_fail(err, SLK_SELF_TEST, "self-test: the token gave the same IV twice");
	if (memcmp(a->bytes, b->bytes, DATA_BYTES) == 0)
		return slk_fail(err, SLK_SELF_TEST,
			"self-test: two wraps of the same bytes gave the same ciphertext");
	return SLK_OK;
}

static CK_RV
judge_decryption(struct hsm_session *session, CK_OBJECT_HANDLE key, const struct wrapped *w,
	const uint8_t *data, struct slk_error *err)
{
	uint8_t out[sizeof(w->bytes)];
	size_t len = 0;

	CK_RV rv = hsm_gcm_decrypt(
		session, key, slk_span_str(test_aad), w->iv, slk_span(w->bytes, w->len), out, &len);
	enum hsm_rv_class class = hsm_rv_class(rv);
	if (class != HSM_RV_OK && class != HSM_RV_DATA && class != HSM_RV_UNCLEAR)
		return rv;
	if (class != HSM_RV_OK || len != DATA_BYTES || memcmp(out, data, DATA_BYTES) != 0)
		(void)slk_fail(err, SLK_SELF_TEST,
			"self-test: what the token wrapped did not come back as it was");
	else if (!refuses(session, key, w, w->len - 1, test_aad) ||
		!refuses(session, key, w, 0, test_aad) ||
		!refuses(session, key, w, w->len, "sealock self-tesu"))
		(void)slk_fail(err, SLK_SELF_TEST,
			"self-test: the token took a changed ciphertext, tag or AAD for good");
	return CKR_OK;
}

static CK_RV
check_mechanism(struct hsm_session *session, CK_MECHANISM_TYPE type, const char *name,
	CK_FLAGS flags, struct slk_error *err)
{
	struct hsm_token *token = session->token;
	CK_MECHANISM_INFO info = {0};

	CK_RV rv = HSM_CALL(token, &session->probe, C_GetMechanismInfo, token->slot, type, &info);
	if (rv == CKR_MECHANISM_INVALID || (rv == CKR_OK && (info.flags & flags) != flags)) {
		(void)slk_fail(err, SLK_UNSUPPORTED,
			"the token cannot do %s; keys are wrapped with AES-GCM in the HSM and "
			"nothing is done in software instead",
			name);
		return CKR_OK;
	}
	return rv;
}

static CK_RV
run(struct hsm_session *session, CK_OBJECT_HANDLE key, struct slk_error *err)
{
	uint8_t data[DATA_BYTES];
	struct wrapped a = {.len = 0}, b = {.len = 0};

	memset(data, 0x5a, sizeof(data));
	CK_RV rv = wrap(session, key, data, &a);
	if (rv == CKR_OK)
		rv = wrap(session, key, data, &b);
	if (rv != CKR_OK)
		return rv;
	if (judge_ivs(session, &a, &b, err) != SLK_OK)
		return CKR_OK;
	return judge_decryption(session, key, &b, data, err);
}

CK_RV
hsm_selftest(struct hsm_session *session, struct slk_error *out_err)
{
	struct slk_error err = {0};
	CK_OBJECT_HANDLE key = 0;

	CK_RV rv = check_mechanism(session, CKM_AES_KEY_GEN, "CKM_AES_KEY_GEN", CKF_GENERATE, &err);
	if (rv == CKR_OK && err.status == SLK_OK)
		rv = check_mechanism(
			session, CKM_AES_GCM, "CKM_AES_GCM", CKF_ENCRYPT | CKF_DECRYPT, &err);
	if (rv != CKR_OK || err.status != SLK_OK)
		goto out;
	rv = make_key(session, &key);
	if (rv != CKR_OK)
		goto out;
	rv = run(session, key, &err);
	(void)HSM_SESSION_CALL(session, C_DestroyObject, key);
	/* The token is there and logged in, yet refuses what it claims to do: no reason to
	 * initialise it over and over. */
	if (hsm_rv_class(rv) == HSM_RV_CONFIG) {
		(void)slk_fail(&err, SLK_SELF_TEST, "self-test: AES-GCM failed with %s (0x%lx)",
			hsm_rv_name(rv), rv);
		rv = CKR_OK;
	}
out:
	*out_err = err;
	return rv;
}
