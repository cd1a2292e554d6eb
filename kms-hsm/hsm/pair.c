#include "hsm/pair.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "hsm/object.h"
#include "hsm/public.h"
#include "hsm/rv.h"

struct hsm_pair {
	_Atomic unsigned refs_count;
	enum kms_spec spec;
	EVP_PKEY *public;
	uint8_t der[KMS_PUBLIC_KEY_MAX];
	size_t der_len;
	enum kms_algorithm algorithm; /* of the canary */
	uint8_t canary[KMS_SIGNATURE_MAX]; /* a ciphertext, for pairs that decrypt */
	size_t canary_len;
};

static const uint8_t canary_plain[HSM_CANARY_BYTES] = "known and public";

static bool
is_rsa(enum kms_spec spec)
{
	return spec >= KMS_SPEC_RSA_2048 && spec <= KMS_SPEC_RSA_4096;
}

static CK_KEY_TYPE
type_of(enum kms_spec spec)
{
	return is_rsa(spec) ? CKK_RSA : CKK_EC;
}

/* Bytes of an RSA signature or ciphertext, or of r || s. */
static size_t
raw_bytes(enum kms_spec spec)
{
	size_t bytes = (kms_spec_bits(spec) + 7) / 8;

	return is_rsa(spec) ? bytes : 2 * bytes;
}

struct hsm_pair *
hsm_pair_ref(struct hsm_pair *pair)
{
	if (pair != NULL)
		atomic_fetch_add(&pair->refs_count, 1);
	return pair;
}

void
hsm_pair_unref(struct hsm_pair *pair)
{
	if (pair == NULL || atomic_fetch_sub(&pair->refs_count, 1) > 1)
		return;
	EVP_PKEY_free(pair->public);
	free(pair);
}

struct slk_span
hsm_pair_der(const struct hsm_pair *pair)
{
	return slk_span(pair->der, pair->der_len);
}

EVP_PKEY *
hsm_pair_public(const struct hsm_pair *pair)
{
	return pair->public;
}

/* --- mechanisms --- */

static void
set_hash(unsigned digest_bytes, CK_MECHANISM_TYPE *out_hash, CK_RSA_PKCS_MGF_TYPE *out_mgf)
{
	*out_hash = digest_bytes == 20 ? CKM_SHA_1
		: digest_bytes == 32   ? CKM_SHA256
		: digest_bytes == 48   ? CKM_SHA384
				       : CKM_SHA512;
	*out_mgf = digest_bytes == 20 ? CKG_MGF1_SHA1
		: digest_bytes == 32  ? CKG_MGF1_SHA256
		: digest_bytes == 48  ? CKG_MGF1_SHA384
				      : CKG_MGF1_SHA512;
}

void
hsm_mechanism_of(enum kms_algorithm algorithm, struct hsm_mechanism *out)
{
	unsigned digest = kms_algorithm_digest_bytes(algorithm);
	CK_MECHANISM_TYPE hash;
	CK_RSA_PKCS_MGF_TYPE mgf;

	/* Members by position: their names are others in each release of p11-kit. */
	memset(out, 0, sizeof(*out));
	switch (algorithm) {
	case KMS_ALG_RSAES_OAEP_SHA_1:
	case KMS_ALG_RSAES_OAEP_SHA_256:
		set_hash(algorithm == KMS_ALG_RSAES_OAEP_SHA_1 ? 20 : 32, &hash, &mgf);
		out->params.oaep =
			(CK_RSA_PKCS_OAEP_PARAMS){hash, mgf, CKZ_DATA_SPECIFIED, NULL, 0};
		out->mechanism = (CK_MECHANISM){
			CKM_RSA_PKCS_OAEP, &out->params.oaep, sizeof(out->params.oaep)};
		break;
	case KMS_ALG_RSASSA_PSS_SHA_256:
	case KMS_ALG_RSASSA_PSS_SHA_384:
	case KMS_ALG_RSASSA_PSS_SHA_512:
		set_hash(digest, &hash, &mgf);
		out->params.pss = (CK_RSA_PKCS_PSS_PARAMS){hash, mgf, digest};
		out->mechanism =
			(CK_MECHANISM){CKM_RSA_PKCS_PSS, &out->params.pss, sizeof(out->params.pss)};
		break;
	case KMS_ALG_RSASSA_PKCS1_V1_5_SHA_256:
	case KMS_ALG_RSASSA_PKCS1_V1_5_SHA_384:
	case KMS_ALG_RSASSA_PKCS1_V1_5_SHA_512:
		out->mechanism.mechanism = CKM_RSA_PKCS;
		break;
	default:
		out->mechanism.mechanism = CKM_ECDSA;
		break;
	}
}

static CK_RV
sign_raw(struct hsm_session *session, CK_OBJECT_HANDLE handle, enum kms_algorithm algorithm,
	struct slk_span digest, uint8_t *out, CK_ULONG *out_len)
{
	struct slk_span prefix = hsm_digest_info_prefix(algorithm);
	struct hsm_mechanism m;
	uint8_t in[128];

	hsm_mechanism_of(algorithm, &m);
	if (prefix.len > 0)
		memcpy(in, prefix.ptr, prefix.len);
	memcpy(in + prefix.len, digest.ptr, digest.len);
	CK_RV rv = HSM_SESSION_CALL(session, C_SignInit, &m.mechanism, handle);
	if (rv != CKR_OK)
		return rv;
	*out_len = HSM_PAIR_ROOM;
	return HSM_SESSION_CALL(session, C_Sign, in, prefix.len + digest.len, out, out_len);
}

/* CKR_HOST_MEMORY, HSM_RV_WRONG or CKR_OK for a status of public.h. */
static CK_RV
rv_of(int status)
{
	if (status == SLK_OK)
		return CKR_OK;
	return status == SLK_NO_MEMORY ? CKR_HOST_MEMORY : HSM_RV_WRONG;
}

CK_RV
hsm_pair_sign(struct hsm_session *session, CK_OBJECT_HANDLE handle, const struct hsm_pair *pair,
	enum kms_algorithm algorithm, struct slk_span digest, uint8_t *out, size_t *out_len)
{
	uint8_t raw[HSM_PAIR_ROOM];
	CK_ULONG len = 0;
	size_t done = 0;

	CK_RV rv = sign_raw(session, handle, algorithm, digest, raw, &len);
	if (rv != CKR_OK)
		return rv;
	if (len != raw_bytes(pair->spec))
		return CKR_GENERAL_ERROR;
	if (is_rsa(pair->spec)) {
		memcpy(out, raw, len);
		done = len;
	} else {
		rv = rv_of(hsm_ecdsa_der(slk_span(raw, len), out, &done));
	}
	if (rv == CKR_OK)
		rv = rv_of(hsm_public_verify(session->token->openssl, pair->public, algorithm,
			digest, slk_span(out, done)));
	if (rv == CKR_OK)
		*out_len = done;
	else
		slk_wipe(out, done); /* a faulty signature is a secret */
	slk_wipe(raw, len);
	return rv;
}

CK_RV
hsm_pair_decrypt(struct hsm_session *session, CK_OBJECT_HANDLE handle, const struct hsm_pair *pair,
	enum kms_algorithm algorithm, struct slk_span ciphertext, uint8_t *out, size_t *out_len)
{
	struct hsm_mechanism m;
	CK_ULONG len = HSM_PAIR_ROOM;

	if (ciphertext.len != raw_bytes(pair->spec))
		return CKR_ENCRYPTED_DATA_LEN_RANGE;
	if (!hsm_public_is_below_modulus(pair->public, ciphertext))
		return CKR_ENCRYPTED_DATA_INVALID;
	hsm_mechanism_of(algorithm, &m);
	CK_RV rv = HSM_SESSION_CALL(session, C_DecryptInit, &m.mechanism, handle);
	if (rv != CKR_OK)
		return rv;
	rv = HSM_SESSION_CALL(
		session, C_Decrypt, (unsigned char *)ciphertext.ptr, ciphertext.len, out, &len);
	/* Tokens have several words for a ciphertext that does not decrypt. */
	if (rv == CKR_DATA_INVALID || rv == CKR_DATA_LEN_RANGE)
		rv = CKR_ENCRYPTED_DATA_INVALID;
	/* NSS says this of bad padding. If the device did fail, the canary is silent. */
	if (rv == CKR_DEVICE_ERROR)
		rv = CKR_GENERAL_ERROR;
	if (rv == CKR_OK && len > kms_plaintext_max(pair->spec, algorithm))
		rv = CKR_GENERAL_ERROR;
	if (rv != CKR_OK) {
		slk_wipe(out, HSM_PAIR_ROOM);
		return rv;
	}
	*out_len = len;
	return CKR_OK;
}

/* --- objects --- */

static CK_RV
search(struct hsm_session *session, const struct hsm_key_name *name,
	CK_OBJECT_HANDLE out_handles[2], CK_ULONG *out_count)
{
	return hsm_objects_find(
		session, CKO_PRIVATE_KEY, type_of(name->spec), name->id, out_handles, 2, out_count);
}

static CK_RV
search_public(struct hsm_session *session, const struct hsm_key_name *name,
	CK_OBJECT_HANDLE out_handles[2], CK_ULONG *out_count)
{
	return hsm_objects_find(
		session, CKO_PUBLIC_KEY, type_of(name->spec), name->id, out_handles, 2, out_count);
}

static CK_RV
find_rest(struct hsm_session *session, const struct hsm_key_name *name, bool *out_there)
{
	CK_OBJECT_HANDLE handles[2];
	CK_ULONG count = 0;

	CK_RV rv = search_public(session, name, handles, &count);
	*out_there = count > 0;
	return rv;
}

static CK_RV
check_private(struct hsm_session *session, enum kms_usage usage, CK_OBJECT_HANDLE handle,
	struct slk_error *err)
{
	CK_BBOOL signs = usage == KMS_USAGE_SIGN_VERIFY ? CK_TRUE : CK_FALSE;
	const struct hsm_rule rules[] = {
		{CKA_SENSITIVE, CK_TRUE, "CKA_SENSITIVE"},
		{CKA_EXTRACTABLE, CK_FALSE, "CKA_EXTRACTABLE"},
		{CKA_ALWAYS_SENSITIVE, CK_TRUE, "CKA_ALWAYS_SENSITIVE"},
		{CKA_NEVER_EXTRACTABLE, CK_TRUE, "CKA_NEVER_EXTRACTABLE"},
		{CKA_LOCAL, CK_TRUE, "CKA_LOCAL"},
		{CKA_SIGN, signs, "CKA_SIGN"},
		{CKA_DECRYPT, !signs, "CKA_DECRYPT"},
		{CKA_UNWRAP, CK_FALSE, "CKA_UNWRAP"},
		{CKA_DERIVE, CK_FALSE, "CKA_DERIVE"},
	};

	return hsm_rules_check(session, handle, rules, sizeof(rules) / sizeof(rules[0]), err);
}

/* Of the public half only what tells where it comes from: it is used here, not there. */
static CK_RV
check_public(struct hsm_session *session, CK_OBJECT_HANDLE handle, struct slk_error *err)
{
	static const struct hsm_rule rules[] = {
		{CKA_LOCAL, CK_TRUE, "CKA_LOCAL of the public key"},
		{CKA_WRAP, CK_FALSE, "CKA_WRAP of the public key"},
	};

	return hsm_rules_check(session, handle, rules, sizeof(rules) / sizeof(rules[0]), err);
}

static CK_RV
read_rsa(struct hsm_session *session, enum kms_spec spec, CK_OBJECT_HANDLE handle, int *out_status,
	EVP_PKEY **out_key)
{
	uint8_t modulus[KMS_SIGNATURE_MAX + 1], exponent[16];
	CK_ATTRIBUTE read[] = {{CKA_MODULUS, modulus, sizeof(modulus)},
		{CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)}};

	CK_RV rv = HSM_SESSION_CALL(session, C_GetAttributeValue, handle, read, 2);
	if (rv == CKR_OK &&
		(read[0].ulValueLen > sizeof(modulus) || read[1].ulValueLen > sizeof(exponent)))
		rv = CKR_ATTRIBUTE_TYPE_INVALID;
	if (rv == CKR_OK)
		*out_status = hsm_public_from_rsa(session->token->openssl, spec,
			slk_span(modulus, read[0].ulValueLen),
			slk_span(exponent, read[1].ulValueLen), out_key);
	return rv;
}

static CK_RV
read_ec(struct hsm_session *session, enum kms_spec spec, CK_OBJECT_HANDLE handle, int *out_status,
	EVP_PKEY **out_key)
{
	uint8_t params[64], point[160];
	CK_ATTRIBUTE read[] = {
		{CKA_EC_PARAMS, params, sizeof(params)}, {CKA_EC_POINT, point, sizeof(point)}};

	CK_RV rv = HSM_SESSION_CALL(session, C_GetAttributeValue, handle, read, 2);
	if (rv == CKR_OK &&
		(read[0].ulValueLen > sizeof(params) || read[1].ulValueLen > sizeof(point)))
		rv = CKR_ATTRIBUTE_TYPE_INVALID;
	if (rv != CKR_OK)
		return rv;
	if (!slk_span_equal(slk_span(params, read[0].ulValueLen), hsm_public_ec_params(spec)))
		*out_status = SLK_CORRUPT;
	else
		*out_status = hsm_public_from_ec(session->token->openssl, spec,
			slk_span(point, read[1].ulValueLen), out_key);
	return CKR_OK;
}

/* The public key in that object, and its DER. CKR_HOST_MEMORY; CKR_KEY_TYPE_INCONSISTENT if it is not one of that spec. */
static CK_RV
read_public(struct hsm_session *session, enum kms_spec spec, CK_OBJECT_HANDLE handle,
	EVP_PKEY **out_key, uint8_t *out_der, size_t *out_der_len)
{
	EVP_PKEY *key = NULL;
	int status = SLK_CORRUPT;

	CK_RV rv = is_rsa(spec) ? read_rsa(session, spec, handle, &status, &key)
				: read_ec(session, spec, handle, &status, &key);
	if (rv != CKR_OK)
		return rv;
	if (status == SLK_OK)
		status = hsm_public_der(key, out_der, out_der_len);
	if (status != SLK_OK) {
		EVP_PKEY_free(key);
		return status == SLK_NO_MEMORY ? CKR_HOST_MEMORY : CKR_KEY_TYPE_INCONSISTENT;
	}
	*out_key = key;
	return CKR_OK;
}

static CK_RV
check_value(struct hsm_session *session, const struct hsm_key_name *name, CK_OBJECT_HANDLE handle,
	uint8_t out_kcv[HSM_KCV_BYTES])
{
	uint8_t der[KMS_PUBLIC_KEY_MAX];
	size_t len = 0;
	EVP_PKEY *key = NULL;

	CK_RV rv = read_public(session, name->spec, handle, &key, der, &len);
	EVP_PKEY_free(key);
	if (rv == CKR_OK &&
		hsm_public_check_value(session->token->openssl, slk_span(der, len), out_kcv) !=
			SLK_OK)
		rv = CKR_HOST_MEMORY;
	return rv;
}

/* --- checks --- */

/* What the canary sings: the first that the token knows, deterministic ones first. False: there is none. */
static bool
choose_algorithm(const struct hsm_token *token, const struct hsm_key_name *name,
	enum kms_algorithm *out_algorithm)
{
	static const enum kms_algorithm order[] = {KMS_ALG_RSASSA_PKCS1_V1_5_SHA_256,
		KMS_ALG_RSASSA_PSS_SHA_256, KMS_ALG_ECDSA_SHA_256, KMS_ALG_ECDSA_SHA_384,
		KMS_ALG_ECDSA_SHA_512, KMS_ALG_RSAES_OAEP_SHA_256, KMS_ALG_RSAES_OAEP_SHA_1};
	uint32_t usable = kms_spec_algorithms(name->spec, name->usage) &
		atomic_load_explicit(&token->algorithms, memory_order_relaxed);

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if ((usable & KMS_BIT(order[i])) != 0) {
			*out_algorithm = order[i];
			return true;
		}
	}
	return false;
}

/* A signature is verified as it is made; a ciphertext that was made outside decrypts to what went in. */
static CK_RV
sing(struct hsm_session *session, CK_OBJECT_HANDLE handle, const struct hsm_pair *pair)
{
	uint8_t out[HSM_PAIR_ROOM], digest[64];
	size_t len = 0;

	if (pair->canary_len == 0) {
		memset(digest, 0x5a, sizeof(digest));
		return hsm_pair_sign(session, handle, pair, pair->algorithm,
			slk_span(digest, kms_algorithm_digest_bytes(pair->algorithm)), out, &len);
	}
	CK_RV rv = hsm_pair_decrypt(session, handle, pair, pair->algorithm,
		slk_span(pair->canary, pair->canary_len), out, &len);
	if (rv == CKR_OK && (len != sizeof(canary_plain) || memcmp(out, canary_plain, len) != 0))
		rv = HSM_RV_WRONG;
	return rv;
}

static CK_RV
canary(struct hsm_session *session, CK_OBJECT_HANDLE handle, const struct hsm_substance *s)
{
	return s->pair != NULL ? sing(session, handle, s->pair) : CKR_DEVICE_ERROR;
}

static CK_RV
make_pair(struct hsm_session *session, const struct hsm_key_name *name,
	CK_OBJECT_HANDLE public_handle, struct hsm_pair **out_pair)
{
	OSSL_LIB_CTX *openssl = session->token->openssl;

	struct hsm_pair *pair = calloc(1, sizeof(*pair));
	if (pair == NULL)
		return CKR_HOST_MEMORY;
	pair->refs_count = 1;
	pair->spec = name->spec;
	CK_RV rv = read_public(
		session, name->spec, public_handle, &pair->public, pair->der, &pair->der_len);
	if (rv == CKR_OK && !choose_algorithm(session->token, name, &pair->algorithm))
		rv = CKR_MECHANISM_INVALID;
	if (rv == CKR_OK && name->usage == KMS_USAGE_ENCRYPT_DECRYPT &&
		hsm_public_encrypt(openssl, pair->public, pair->algorithm,
			slk_span(canary_plain, sizeof(canary_plain)), pair->canary,
			&pair->canary_len) != SLK_OK)
		rv = CKR_HOST_MEMORY;
	if (rv != CKR_OK) {
		hsm_pair_unref(pair);
		return rv;
	}
	*out_pair = pair;
	return CKR_OK;
}

/* The one public half. out->err is set if there is none, or two. */
static CK_RV
find_public(struct hsm_session *session, const struct hsm_key_name *name,
	CK_OBJECT_HANDLE *out_handle, struct hsm_check *out)
{
	CK_OBJECT_HANDLE handles[2];
	CK_ULONG count = 0;

	CK_RV rv = search_public(session, name, handles, &count);
	if (rv != CKR_OK)
		return rv;
	out->doubtful = count == 0;
	if (count == 0)
		(void)slk_fail(&out->err, SLK_CORRUPT,
			"key refused: the public half of the pair is missing");
	else if (count > 1)
		(void)slk_fail(&out->err, SLK_CORRUPT,
			"key refused: the token has more than one public key with this id");
	*out_handle = handles[0];
	return CKR_OK;
}

static CK_RV
verify(struct hsm_session *session, const struct hsm_key_name *name, CK_OBJECT_HANDLE handle,
	struct hsm_substance *out_substance, struct hsm_check *out)
{
	CK_OBJECT_HANDLE public_handle = CK_INVALID_HANDLE;
	struct hsm_pair *pair = NULL;

	CK_RV rv = find_public(session, name, &public_handle, out);
	if (rv == CKR_OK && out->err.status == SLK_OK)
		rv = check_private(session, name->usage, handle, &out->err);
	if (rv == CKR_OK && out->err.status == SLK_OK)
		rv = check_public(session, public_handle, &out->err);
	if (rv != CKR_OK || out->err.status != SLK_OK)
		return rv;
	rv = make_pair(session, name, public_handle, &pair);
	if (rv != CKR_OK)
		return rv;
	rv = sing(session, handle, pair);
	if (rv == HSM_RV_WRONG) {
		out->doubtful = true;
		(void)slk_fail(&out->err, SLK_CORRUPT,
			"key refused: public and private half do not belong together");
		rv = CKR_OK;
	} else if (rv == CKR_OK) {
		rv = rv_of(hsm_public_check_value(
			session->token->openssl, hsm_pair_der(pair), out->kcv));
	}
	if (rv == CKR_OK && out->err.status == SLK_OK) {
		*out_substance = (struct hsm_substance){.pair = pair};
		pair = NULL; /* the entry's */
	}
	hsm_pair_unref(pair);
	return rv;
}

/* --- making --- */

#define ROWS_MAX 20u

struct template
{
	CK_ATTRIBUTE rows[ROWS_MAX];
	CK_ULONG count;
};

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static void
add(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, CK_ULONG len)
{
	t->rows[t->count++] = (CK_ATTRIBUTE){type, (void *)value, len};
}

static void
add_bool(struct template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
	add(t, type, value ? &yes : &no, sizeof(yes));
}

static void
add_public(struct template *t, const struct hsm_key_name *name, bool token, const CK_ULONG *bits)
{
	static const uint8_t exponent[] = {1, 0, 1};
	struct slk_span params = hsm_public_ec_params(name->spec);
	bool signs = name->usage == KMS_USAGE_SIGN_VERIFY;

	add_bool(t, CKA_TOKEN, token);
	add_bool(t, CKA_PRIVATE, false);
	add_bool(t, CKA_VERIFY, signs);
	add_bool(t, CKA_ENCRYPT, !signs);
	add_bool(t, CKA_WRAP, false);
	if (is_rsa(name->spec)) {
		add(t, CKA_MODULUS_BITS, bits, sizeof(*bits));
		add(t, CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent));
	} else {
		add(t, CKA_EC_PARAMS, params.ptr, params.len);
	}
}

static void
add_private(struct template *t, const struct hsm_key_name *name, bool token)
{
	bool signs = name->usage == KMS_USAGE_SIGN_VERIFY;

	add_bool(t, CKA_TOKEN, token);
	add_bool(t, CKA_PRIVATE, true);
	add_bool(t, CKA_SENSITIVE, true);
	add_bool(t, CKA_EXTRACTABLE, false);
	add_bool(t, CKA_SIGN, signs);
	add_bool(t, CKA_DECRYPT, !signs);
	add_bool(t, CKA_UNWRAP, false);
	add_bool(t, CKA_DERIVE, false);
}

/* strict: with attributes that not every token knows. */
static CK_RV
generate_one(struct hsm_session *session, const struct hsm_key_name *name, bool token, bool strict,
	CK_OBJECT_HANDLE *out_private, CK_OBJECT_HANDLE *out_public)
{
	struct template public = {.count = 0}, private = {.count = 0};
	CK_ULONG bits = kms_spec_bits(name->spec);
	char label[HSM_LABEL_BYTES + 1];
	struct template *both[] = {&public, &private};
	CK_MECHANISM mechanism = {
		is_rsa(name->spec) ? session->token->rsa_generator : CKM_EC_KEY_PAIR_GEN, NULL, 0};

	add_public(&public, name, token, &bits);
	add_private(&private, name, token);
	hsm_object_label(name->id, label);
	for (size_t i = 0; i < 2 && token; i++) {
		add(both[i], CKA_ID, name->id, HSM_KEY_ID_BYTES);
		add(both[i], CKA_LABEL, label, HSM_LABEL_BYTES);
		add_bool(both[i], CKA_MODIFIABLE, false);
		if (strict)
			add_bool(both[i], CKA_COPYABLE, false);
	}
	if (strict) {
		add_bool(&public, CKA_VERIFY_RECOVER, false);
		add_bool(&private, CKA_SIGN_RECOVER, false);
	}
	return HSM_SESSION_CALL(session, C_GenerateKeyPair, &mechanism, public.rows, public.count,
		private.rows, private.count, out_public, out_private);
}

CK_RV
hsm_pair_generate(struct hsm_session *session, const struct hsm_key_name *name, bool token,
	CK_OBJECT_HANDLE *out_private, CK_OBJECT_HANDLE *out_public)
{
	bool strict = !session->token->options->profile->copyable_unknown;
	CK_RV rv = generate_one(session, name, token, strict, out_private, out_public);
	if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_TEMPLATE_INCONSISTENT)
		rv = generate_one(session, name, token, false, out_private, out_public);
	return rv;
}

static CK_RV
generate(struct hsm_session *session, const struct hsm_key_name *name)
{
	CK_OBJECT_HANDLE private, public;

	return hsm_pair_generate(session, name, true, &private, &public);
}

const struct hsm_kind hsm_kind_pair = {
	.search = search,
	.find_rest = find_rest,
	.verify = verify,
	.canary = canary,
	.generate = generate,
	.check_value = check_value,
};
