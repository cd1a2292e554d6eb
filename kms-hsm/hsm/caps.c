#include "hsm/caps.h"

#include <stdio.h>

#include "base/log.h"
#include "hsm/pair.h"
#include "hsm/rv.h"

#define CURVES_COUNT 3u

struct caps {
	uint32_t specs, algorithms;
	CK_MECHANISM_TYPE rsa_generator;
};

/* CKR_OK with *out_known. bits 0: the size is not asked for. */
static CK_RV
knows(struct hsm_session *session, CK_MECHANISM_TYPE type, CK_FLAGS flags, CK_ULONG bits,
	bool *out_known)
{
	struct hsm_token *token = session->token;
	CK_MECHANISM_INFO info = {0};

	CK_RV rv = HSM_CALL(token, &session->probe, C_GetMechanismInfo, token->slot, type, &info);
	*out_known = rv == CKR_OK && (info.flags & flags) == flags &&
		(bits == 0 || (bits >= info.ulMinKeySize && bits <= info.ulMaxKeySize));
	return rv == CKR_MECHANISM_INVALID ? CKR_OK : rv;
}

/* Is rv an answer to the question whether it can be done, and no? *again: some tokens say it with a word that others have
 * for their own troubles; it is believed the second time. */
static bool
declines(CK_RV rv, unsigned tries, bool *again)
{
	enum hsm_rv_class class = hsm_rv_class(rv);
	bool unclear = class == HSM_RV_UNCLEAR || class == HSM_RV_BUSY;

	*again = unclear && tries < 2;
	return class == HSM_RV_CONFIG || class == HSM_RV_DATA || (unclear && tries >= 2);
}

/* --- RSA --- */

static CK_RV
probe_rsa_generators(struct hsm_session *session, struct caps *c)
{
	static const CK_MECHANISM_TYPE generators[] = {
		CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_X9_31_KEY_PAIR_GEN};
	CK_RV rv = CKR_OK;

	for (size_t i = 0; i < 2 && c->specs == 0 && rv == CKR_OK; i++) {
		for (int spec = KMS_SPEC_RSA_2048; spec <= KMS_SPEC_RSA_4096 && rv == CKR_OK;
			spec++) {
			bool known = false;
			rv = knows(session, generators[i], CKF_GENERATE_KEY_PAIR,
				kms_spec_bits((enum kms_spec)spec), &known);
			c->specs |= known ? KMS_BIT(spec) : 0;
		}
		c->rsa_generator = generators[i];
	}
	return rv;
}

/* A public key to try parameters on. The modulus is 2^2047 + 1: odd, of the right size, and nobody's. */
static CK_RV
make_public(struct hsm_session *session, CK_OBJECT_HANDLE *out_handle)
{
	static const uint8_t exponent[] = {1, 0, 1};
	uint8_t modulus[256] = {0x80};
	CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_KEY_TYPE type = CKK_RSA;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)},
		{CKA_TOKEN, &no, sizeof(no)},
		{CKA_PRIVATE, &no, sizeof(no)},
		{CKA_ENCRYPT, &yes, sizeof(yes)},
		{CKA_VERIFY, &yes, sizeof(yes)},
		{CKA_MODULUS, modulus, sizeof(modulus)},
		{CKA_PUBLIC_EXPONENT, (void *)exponent, sizeof(exponent)},
	};

	modulus[255] = 1;
	return HSM_SESSION_CALL(session, C_CreateObject, template,
		sizeof(template) / sizeof(template[0]), out_handle);
}

static CK_RV
try_encrypt(struct hsm_session *session, CK_OBJECT_HANDLE key, const struct hsm_mechanism *m)
{
	uint8_t in[16] = {1}, out[HSM_PAIR_ROOM];
	CK_ULONG len = sizeof(out);

	CK_RV rv = HSM_SESSION_CALL(session, C_EncryptInit, (CK_MECHANISM *)&m->mechanism, key);
	if (rv == CKR_OK)
		rv = HSM_SESSION_CALL(session, C_Encrypt, in, sizeof(in), out, &len);
	return rv;
}

static CK_RV
try_verify(struct hsm_session *session, CK_OBJECT_HANDLE key, const struct hsm_mechanism *m,
	unsigned digest_bytes)
{
	uint8_t digest[64] = {1}, signature[256] = {0, 1};

	CK_RV rv = HSM_SESSION_CALL(session, C_VerifyInit, (CK_MECHANISM *)&m->mechanism, key);
	if (rv == CKR_OK)
		rv = HSM_SESSION_CALL(
			session, C_Verify, digest, digest_bytes, signature, sizeof(signature));
	/* It looked at the signature, so it took the parameters. */
	return rv == CKR_SIGNATURE_INVALID || rv == CKR_SIGNATURE_LEN_RANGE ? CKR_OK : rv;
}

/* Does the token take these parameters? Without a key to try on (no_key), its list is believed. */
static CK_RV
probe_rsa_algorithm(struct hsm_session *session, CK_OBJECT_HANDLE key, bool no_key,
	enum kms_algorithm algorithm, struct caps *c)
{
	struct hsm_mechanism m;
	unsigned digest = kms_algorithm_digest_bytes(algorithm);
	bool known = false;

	hsm_mechanism_of(algorithm, &m);
	CK_RV rv = knows(
		session, m.mechanism.mechanism, digest > 0 ? CKF_SIGN : CKF_DECRYPT, 2048, &known);
	if (rv != CKR_OK || !known)
		return rv;
	bool again = !no_key && m.mechanism.pParameter != NULL, no = false;
	for (unsigned tries = 1; again; tries++) {
		rv = digest > 0 ? try_verify(session, key, &m, digest)
				: try_encrypt(session, key, &m);
		no = declines(rv, tries, &again);
	}
	if (rv == CKR_OK)
		c->algorithms |= KMS_BIT(algorithm);
	return no ? CKR_OK : rv;
}

static CK_RV
probe_rsa(struct hsm_session *session, struct caps *c)
{
	CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;

	CK_RV rv = probe_rsa_generators(session, c);
	if (rv != CKR_OK || c->specs == 0)
		return rv;
	bool again = true, no_key = false;
	for (unsigned tries = 1; again; tries++) {
		rv = make_public(session, &key);
		no_key = declines(rv, tries, &again);
	}
	if (rv != CKR_OK && !no_key)
		return rv;
	rv = CKR_OK;
	for (int a = KMS_ALG_RSAES_OAEP_SHA_1;
		a <= KMS_ALG_RSASSA_PKCS1_V1_5_SHA_512 && rv == CKR_OK; a++)
		rv = probe_rsa_algorithm(session, key, no_key, (enum kms_algorithm)a, c);
	if (!no_key)
		(void)HSM_SESSION_CALL(session, C_DestroyObject, key);
	if (c->algorithms == 0)
		c->specs = 0;
	return rv;
}

/* --- curves --- */

static CK_RV
probe_curve(struct hsm_session *session, enum kms_spec spec, struct caps *c)
{
	const struct hsm_key_name name = {.spec = spec, .usage = KMS_USAGE_SIGN_VERIFY};
	CK_OBJECT_HANDLE private, public;
	bool makes = false, signs = false;

	CK_RV rv = knows(
		session, CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, kms_spec_bits(spec), &makes);
	if (rv == CKR_OK)
		rv = knows(session, CKM_ECDSA, CKF_SIGN, kms_spec_bits(spec), &signs);
	if (rv != CKR_OK || !makes || !signs)
		return rv;
	bool again = true, no = false;
	for (unsigned tries = 1; again; tries++) {
		rv = hsm_pair_generate(session, &name, false, &private, &public);
		no = declines(rv, tries, &again);
	}
	if (rv != CKR_OK)
		return no ? CKR_OK : rv;
	(void)HSM_SESSION_CALL(session, C_DestroyObject, private);
	(void)HSM_SESSION_CALL(session, C_DestroyObject, public);
	c->specs |= KMS_BIT(spec);
	c->algorithms |= kms_spec_algorithms(spec, KMS_USAGE_SIGN_VERIFY);
	return CKR_OK;
}

CK_RV
hsm_caps_probe(struct hsm_session *session, const char *serial)
{
	struct hsm_token *token = session->token;
	struct caps c = {.specs = 0};

	if (strcmp(token->caps_serial, serial) == 0)
		return CKR_OK;
	CK_RV rv = probe_rsa(session, &c);
	for (unsigned i = 0; i < CURVES_COUNT && rv == CKR_OK; i++)
		rv = probe_curve(session, (enum kms_spec)(KMS_SPEC_ECC_NIST_P256 + i), &c);
	if (rv != CKR_OK)
		return rv;
	/* The self-test has proved this one. */
	c.specs |= KMS_BIT(KMS_SPEC_SYMMETRIC_DEFAULT);
	c.algorithms |= KMS_BIT(KMS_ALG_SYMMETRIC_DEFAULT);
	token->rsa_generator = c.rsa_generator;
	atomic_store(&token->specs, c.specs);
	atomic_store(&token->algorithms, c.algorithms);
	snprintf(token->caps_serial, sizeof(token->caps_serial), "%s", serial);
	slk_info("what the token can do", slk_kv("specs", (int)c.specs),
		slk_kv("algorithms", (int)c.algorithms));
	return CKR_OK;
}
