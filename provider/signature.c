#include "signature.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "kms.h"

#define DIGEST_NAME_MAX 32u
#define SALT_DIGEST RSA_PSS_SALTLEN_DIGEST

enum signing { SIGNING_NONE, SIGNING, VERIFYING };

struct signature {
	struct prov *prov;
	struct prov_key *key;
	enum signing doing;
	char digest_name[DIGEST_NAME_MAX]; /* canonical: "SHA2-256"; "": none yet */
	char mgf1_name[DIGEST_NAME_MAX]; /* "": as the digest */
	int digest_len;
	bool pss;
	int salt_len; /* as EVP has it: negative numbers are rules */
	EVP_MD_CTX *hash; /* of the running message */
};

static const struct {
	const char *digest;
	const char *pkcs1, *pss;
	int nid; /* of the PKCS#1 and of the ECDSA signature, for certificates */
	int ecdsa_nid;
} digests[] = {
	{"SHA2-256", "RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PSS_SHA_256", NID_sha256WithRSAEncryption,
		NID_ecdsa_with_SHA256},
	{"SHA2-384", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PSS_SHA_384", NID_sha384WithRSAEncryption,
		NID_ecdsa_with_SHA384},
	{"SHA2-512", "RSASSA_PKCS1_V1_5_SHA_512", "RSASSA_PSS_SHA_512", NID_sha512WithRSAEncryption,
		NID_ecdsa_with_SHA512},
};

static const struct {
	int bits;
	const char *algorithm;
	size_t digest_len;
} curves[] = {
	{256, "ECDSA_SHA_256", 32},
	{384, "ECDSA_SHA_384", 48},
	{521, "ECDSA_SHA_512", 64},
};

static int
digest_index(const struct signature *s)
{
	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++)
		if (strcmp(s->digest_name, digests[i].digest) == 0)
			return (int)i;
	return -1;
}

/* --- context --- */

static void *
signature_new(void *provctx, const char *propq)
{
	struct signature *s = calloc(1, sizeof(*s));

	(void)propq; /* hashes come from our own library context */
	if (s == NULL) {
		prov_raise(provctx, PROV_E_MEMORY, NULL);
		return NULL;
	}
	s->prov = provctx;
	s->salt_len = RSA_PSS_SALTLEN_AUTO;
	return s;
}

static void
signature_free(void *vctx)
{
	struct signature *s = vctx;

	if (s == NULL)
		return;
	prov_key_free(s->key);
	EVP_MD_CTX_free(s->hash);
	free(s);
}

static void *
signature_dup(void *vctx)
{
	const struct signature *from = vctx;
	struct signature *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	*s = *from;
	s->hash = NULL;
	if (s->key != NULL)
		prov_key_hold(s->key);
	if (from->hash != NULL) {
		s->hash = EVP_MD_CTX_new();
		if (s->hash == NULL || EVP_MD_CTX_copy_ex(s->hash, from->hash) != 1) {
			signature_free(s);
			return NULL;
		}
	}
	return s;
}

/* name as a program says it, "SHA256" or "sha-256"; kept as OpenSSL's canonical one. */
static bool
canonical(const struct signature *s, const char *name, char out[DIGEST_NAME_MAX], int *out_len)
{
	EVP_MD *md = EVP_MD_fetch(s->prov->libctx, name, NULL);
	bool fits = md != NULL && strlen(EVP_MD_get0_name(md)) < DIGEST_NAME_MAX;

	if (fits) {
		strcpy(out, EVP_MD_get0_name(md));
		*out_len = EVP_MD_get_size(md);
	} else {
		prov_raise(s->prov, PROV_E_ALGORITHM, "digest %s", name);
	}
	EVP_MD_free(md);
	return fits;
}

static int set_params(void *vctx, const OSSL_PARAM params[]);

static int
init(struct signature *s, void *keydata, enum signing doing, const OSSL_PARAM params[])
{
	if (keydata != NULL) {
		struct prov_key *key = prov_key_hold(keydata);
		prov_key_free(s->key);
		s->key = key;
	}
	if (s->key == NULL || s->key->public == NULL ||
		(doing == SIGNING && s->key->name == NULL)) {
		prov_raise(s->prov, PROV_E_NO_KEY, NULL);
		return 0;
	}
	s->doing = doing;
	return set_params(s, params);
}

static int
sign_init(void *vctx, void *key, const OSSL_PARAM params[])
{
	return init(vctx, key, SIGNING, params);
}

static int
verify_init(void *vctx, void *key, const OSSL_PARAM params[])
{
	return init(vctx, key, VERIFYING, params);
}

/* --- signing --- */

/* The salt that was asked for is the digest's length, which is the only one that KMS has. */
static bool
salt_fits(const struct signature *s)
{
	return s->salt_len == SALT_DIGEST || s->salt_len == RSA_PSS_SALTLEN_AUTO ||
		s->salt_len == s->digest_len;
}

static const char *
rsa_algorithm(const struct signature *s)
{
	int i = digest_index(s);

	if (i < 0) {
		prov_raise(s->prov, PROV_E_ALGORITHM,
			"RSA signatures of %s; SHA2-256, SHA2-384 and SHA2-512 are there",
			s->digest_name[0] != '\0' ? s->digest_name : "no digest");
		return NULL;
	}
	if (!s->pss)
		return digests[i].pkcs1;
	if (salt_fits(s) && (s->mgf1_name[0] == '\0' || strcmp(s->mgf1_name, s->digest_name) == 0))
		return digests[i].pss;
	prov_raise(s->prov, PROV_E_ALGORITHM,
		"PSS with another salt length or another MGF1 digest than the digest's own");
	return NULL;
}

/* As many bytes as the curve's algorithm wants: the leftmost, or zeros in front. out: 64 bytes. */
static const char *
ecdsa_algorithm(const struct signature *s, const unsigned char *digest, size_t len,
	unsigned char *out, size_t *out_len)
{
	int bits = EVP_PKEY_get_bits(s->key->public);

	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
		if (curves[i].bits != bits)
			continue;
		size_t want = curves[i].digest_len;
		size_t zeros = len < want ? want - len : 0;
		memset(out, 0, zeros);
		memcpy(out + zeros, digest, want - zeros);
		*out_len = want;
		return curves[i].algorithm;
	}
	prov_raise(s->prov, PROV_E_ALGORITHM, "a curve of %d bits", bits);
	return NULL;
}

static int
sign(void *vctx, unsigned char *out, size_t *out_len, size_t cap, const unsigned char *digest,
	size_t len)
{
	struct signature *s = vctx;
	struct kmsc_signature made;
	unsigned char fitted[64];
	size_t max = (size_t)EVP_PKEY_get_size(s->key->public);

	if (out == NULL) {
		*out_len = max;
		return 1;
	}
	if (s->doing != SIGNING || (s->digest_name[0] != '\0' && (size_t)s->digest_len != len) ||
		len == 0 || len > EVP_MAX_MD_SIZE) {
		prov_raise(s->prov, PROV_E_ALGORITHM, "%zu bytes are no digest of %s", len,
			s->digest_name[0] != '\0' ? s->digest_name : "any kind");
		return 0;
	}
	const char *algorithm =
		s->key->rsa ? rsa_algorithm(s) : ecdsa_algorithm(s, digest, len, fitted, &len);
	if (algorithm == NULL ||
		!prov_kms_sign(s->prov, s->key->name, algorithm, s->key->rsa ? digest : fitted, len,
			&made))
		return 0;
	if (made.len > cap) {
		prov_raise(s->prov, PROV_E_BUFFER_TOO_SMALL, NULL);
		return 0;
	}
	memcpy(out, made.bytes, made.len);
	*out_len = made.len;
	return 1;
}

/* --- verifying, with the public half --- */

static bool
verify_settings(const struct signature *s, EVP_PKEY_CTX *ctx)
{
	OSSL_PARAM params[6], *p = params;
	const char *padding = s->pss ? OSSL_PKEY_RSA_PAD_MODE_PSS : OSSL_PKEY_RSA_PAD_MODE_PKCSV15;
	int salt_len = s->salt_len;

	if (s->digest_name[0] != '\0')
		*p++ = OSSL_PARAM_construct_utf8_string(
			OSSL_SIGNATURE_PARAM_DIGEST, (char *)(uintptr_t)s->digest_name, 0);
	if (s->key->rsa)
		*p++ = OSSL_PARAM_construct_utf8_string(
			OSSL_SIGNATURE_PARAM_PAD_MODE, (char *)(uintptr_t)padding, 0);
	if (s->key->rsa && s->pss) {
		*p++ = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, &salt_len);
		if (s->mgf1_name[0] != '\0')
			*p++ = OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST,
				(char *)(uintptr_t)s->mgf1_name, 0);
	}
	*p = OSSL_PARAM_construct_end();
	return EVP_PKEY_CTX_set_params(ctx, params) == 1;
}

static int
verify(void *vctx, const unsigned char *signature, size_t signature_len,
	const unsigned char *digest, size_t len)
{
	struct signature *s = vctx;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(s->prov->libctx, s->key->public, NULL);

	int good = ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 && verify_settings(s, ctx) &&
		EVP_PKEY_verify(ctx, signature, signature_len, digest, len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return good;
}

/* --- digest and sign --- */

static int
digest_init(struct signature *s, const char *name, void *key, enum signing doing,
	const OSSL_PARAM params[])
{
	if (!init(s, key, doing, params))
		return 0;
	if (name != NULL && name[0] != '\0' && !canonical(s, name, s->digest_name, &s->digest_len))
		return 0;
	if (s->digest_name[0] == '\0' && !canonical(s, "SHA2-256", s->digest_name, &s->digest_len))
		return 0;
	EVP_MD *md = EVP_MD_fetch(s->prov->libctx, s->digest_name, NULL);
	if (s->hash == NULL)
		s->hash = EVP_MD_CTX_new();
	int good = md != NULL && s->hash != NULL && EVP_DigestInit_ex2(s->hash, md, NULL) == 1;
	EVP_MD_free(md);
	if (!good)
		prov_raise(s->prov, PROV_E_ALGORITHM, "digest %s", s->digest_name);
	return good;
}

static int
digest_sign_init(void *vctx, const char *name, void *key, const OSSL_PARAM params[])
{
	return digest_init(vctx, name, key, SIGNING, params);
}

static int
digest_verify_init(void *vctx, const char *name, void *key, const OSSL_PARAM params[])
{
	return digest_init(vctx, name, key, VERIFYING, params);
}

static int
digest_update(void *vctx, const unsigned char *data, size_t len)
{
	struct signature *s = vctx;

	return s->hash != NULL && EVP_DigestUpdate(s->hash, data, len) == 1;
}

static int
digest_sign_final(void *vctx, unsigned char *out, size_t *out_len, size_t cap)
{
	struct signature *s = vctx;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (out == NULL) {
		*out_len = (size_t)EVP_PKEY_get_size(s->key->public);
		return 1;
	}
	if (s->hash == NULL || EVP_DigestFinal_ex(s->hash, digest, &len) != 1)
		return 0;
	return sign(s, out, out_len, cap, digest, len);
}

static int
digest_verify_final(void *vctx, const unsigned char *signature, size_t signature_len)
{
	struct signature *s = vctx;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (s->hash == NULL || EVP_DigestFinal_ex(s->hash, digest, &len) != 1)
		return 0;
	return verify(s, signature, signature_len, digest, len);
}

/* --- parameters --- */

static bool
set_padding(struct signature *s, const OSSL_PARAM *p)
{
	const char *name = NULL;
	int number = 0;

	if (p->data_type == OSSL_PARAM_UTF8_STRING) {
		name = p->data;
	} else {
		if (!OSSL_PARAM_get_int(p, &number))
			return false;
		name = number == RSA_PKCS1_PSS_PADDING ? OSSL_PKEY_RSA_PAD_MODE_PSS
			: number == RSA_PKCS1_PADDING  ? OSSL_PKEY_RSA_PAD_MODE_PKCSV15
						       : "another";
	}
	bool pss = strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
	if (!s->key->rsa || (!pss && strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) != 0))
		return false;
	s->pss = pss;
	return true;
}

/* A rule by name, or a number, which may be written as text. */
static bool
set_salt_len(struct signature *s, const OSSL_PARAM *p)
{
	if (p->data_type != OSSL_PARAM_UTF8_STRING)
		return OSSL_PARAM_get_int(p, &s->salt_len) == 1;
	if (strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0)
		s->salt_len = RSA_PSS_SALTLEN_DIGEST;
	else if (strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_MAX) == 0)
		s->salt_len = RSA_PSS_SALTLEN_MAX;
	else if (strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_AUTO) == 0)
		s->salt_len = RSA_PSS_SALTLEN_AUTO;
	else
		s->salt_len = atoi(p->data);
	return true;
}

static bool
set_param(struct signature *s, const OSSL_PARAM *p)
{
	int len;

	if (strcmp(p->key, OSSL_SIGNATURE_PARAM_DIGEST) == 0)
		return p->data_type == OSSL_PARAM_UTF8_STRING &&
			canonical(s, p->data, s->digest_name, &s->digest_len);
	if (strcmp(p->key, OSSL_SIGNATURE_PARAM_MGF1_DIGEST) == 0)
		return p->data_type == OSSL_PARAM_UTF8_STRING &&
			canonical(s, p->data, s->mgf1_name, &len);
	if (strcmp(p->key, OSSL_SIGNATURE_PARAM_PAD_MODE) == 0)
		return set_padding(s, p);
	if (strcmp(p->key, OSSL_SIGNATURE_PARAM_PSS_SALTLEN) == 0)
		return set_salt_len(s, p);
	return true;
}

static int
set_params(void *vctx, const OSSL_PARAM params[])
{
	struct signature *s = vctx;

	for (const OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
		if (!set_param(s, p)) {
			prov_raise(s->prov, PROV_E_PARAMETER, "%s", p->key);
			return 0;
		}
	return 1;
}

/* RSASSA-PSS-params (RFC 4055, 3.1) of a salt as long as the digest. NULL: out of memory. */
static ASN1_STRING *
pss_params(const struct signature *s)
{
	const EVP_MD *md = EVP_get_digestbyname(s->digest_name);
	RSA_PSS_PARAMS *pss = RSA_PSS_PARAMS_new();
	ASN1_STRING *hash = NULL, *out = NULL;

	if (md == NULL || pss == NULL)
		goto out;
	pss->hashAlgorithm = X509_ALGOR_new();
	pss->maskGenAlgorithm = X509_ALGOR_new();
	pss->saltLength = ASN1_INTEGER_new();
	if (pss->hashAlgorithm == NULL || pss->maskGenAlgorithm == NULL ||
		pss->saltLength == NULL || ASN1_INTEGER_set(pss->saltLength, s->digest_len) != 1)
		goto out;
	X509_ALGOR_set_md(pss->hashAlgorithm, md);
	hash = ASN1_item_pack(pss->hashAlgorithm, ASN1_ITEM_rptr(X509_ALGOR), NULL);
	if (hash == NULL ||
		X509_ALGOR_set0(
			pss->maskGenAlgorithm, OBJ_nid2obj(NID_mgf1), V_ASN1_SEQUENCE, hash) != 1)
		goto out;
	hash = NULL; /* now the algorithm's */
	out = ASN1_item_pack(pss, ASN1_ITEM_rptr(RSA_PSS_PARAMS), NULL);
out:
	ASN1_STRING_free(hash);
	RSA_PSS_PARAMS_free(pss);
	return out;
}

/* The AlgorithmIdentifier that goes into a certificate or a CMS message. */
static bool
get_algorithm_id(const struct signature *s, OSSL_PARAM *p)
{
	int i = digest_index(s);
	unsigned char *der = NULL;

	if (i < 0 || (s->pss && !salt_fits(s)))
		return false;
	int nid = !s->key->rsa ? digests[i].ecdsa_nid : s->pss ? NID_rsassaPss : digests[i].nid;
	int type = !s->key->rsa ? V_ASN1_UNDEF : s->pss ? V_ASN1_SEQUENCE : V_ASN1_NULL;
	ASN1_STRING *parameters = s->pss ? pss_params(s) : NULL;
	X509_ALGOR *algorithm = X509_ALGOR_new();
	int len = -1;
	if (algorithm != NULL && (parameters != NULL || !s->pss) &&
		X509_ALGOR_set0(algorithm, OBJ_nid2obj(nid), type, parameters) == 1) {
		parameters = NULL; /* now the algorithm's */
		len = i2d_X509_ALGOR(algorithm, &der);
	}
	bool good = len > 0 && OSSL_PARAM_set_octet_string(p, der, (size_t)len);
	OPENSSL_free(der);
	X509_ALGOR_free(algorithm);
	ASN1_STRING_free(parameters);
	return good;
}

static bool
get_param(const struct signature *s, OSSL_PARAM *p)
{
	if (strcmp(p->key, OSSL_SIGNATURE_PARAM_DIGEST) == 0)
		return OSSL_PARAM_set_utf8_string(p, s->digest_name);
	if (strcmp(p->key, OSSL_SIGNATURE_PARAM_MGF1_DIGEST) == 0)
		return OSSL_PARAM_set_utf8_string(
			p, s->mgf1_name[0] != '\0' ? s->mgf1_name : s->digest_name);
	if (strcmp(p->key, OSSL_SIGNATURE_PARAM_PAD_MODE) == 0) {
		if (p->data_type == OSSL_PARAM_INTEGER)
			return OSSL_PARAM_set_int(
				p, s->pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING);
		return OSSL_PARAM_set_utf8_string(
			p, s->pss ? OSSL_PKEY_RSA_PAD_MODE_PSS : OSSL_PKEY_RSA_PAD_MODE_PKCSV15);
	}
	if (strcmp(p->key, OSSL_SIGNATURE_PARAM_PSS_SALTLEN) == 0) {
		if (p->data_type == OSSL_PARAM_INTEGER)
			return OSSL_PARAM_set_int(p, salt_fits(s) ? SALT_DIGEST : s->salt_len);
		return OSSL_PARAM_set_utf8_string(p, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST);
	}
	if (strcmp(p->key, OSSL_SIGNATURE_PARAM_ALGORITHM_ID) == 0)
		return get_algorithm_id(s, p);
	return true;
}

static int
get_params(void *vctx, OSSL_PARAM params[])
{
	for (OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
		if (!get_param(vctx, p))
			return 0;
	return 1;
}

#define DIGESTS OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0)
#define PADDING \
	OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0), \
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0), \
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0)
#define ALGORITHM_ID OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0)

static const OSSL_PARAM rsa_settable[] = {DIGESTS, PADDING, OSSL_PARAM_END};
static const OSSL_PARAM rsa_gettable[] = {DIGESTS, PADDING, ALGORITHM_ID, OSSL_PARAM_END};
static const OSSL_PARAM ecdsa_settable[] = {DIGESTS, OSSL_PARAM_END};
static const OSSL_PARAM ecdsa_gettable[] = {DIGESTS, ALGORITHM_ID, OSSL_PARAM_END};

#define LIST(name) \
	static const OSSL_PARAM *name##_params(void *vctx, void *provctx) \
	{ \
		(void)vctx; \
		(void)provctx; \
		return name; \
	}
LIST(rsa_settable)
LIST(rsa_gettable)
LIST(ecdsa_settable)
LIST(ecdsa_gettable)

#define FN(function) ((void (*)(void))(function))
#define SIGNATURE_DISPATCH(type) \
	const OSSL_DISPATCH prov_signature_##type[] = { \
		{OSSL_FUNC_SIGNATURE_NEWCTX, FN(signature_new)}, \
		{OSSL_FUNC_SIGNATURE_FREECTX, FN(signature_free)}, \
		{OSSL_FUNC_SIGNATURE_DUPCTX, FN(signature_dup)}, \
		{OSSL_FUNC_SIGNATURE_SIGN_INIT, FN(sign_init)}, \
		{OSSL_FUNC_SIGNATURE_SIGN, FN(sign)}, \
		{OSSL_FUNC_SIGNATURE_VERIFY_INIT, FN(verify_init)}, \
		{OSSL_FUNC_SIGNATURE_VERIFY, FN(verify)}, \
		{OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, FN(digest_sign_init)}, \
		{OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, FN(digest_update)}, \
		{OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, FN(digest_sign_final)}, \
		{OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, FN(digest_verify_init)}, \
		{OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, FN(digest_update)}, \
		{OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, FN(digest_verify_final)}, \
		{OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, FN(get_params)}, \
		{OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, FN(type##_gettable_params)}, \
		{OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, FN(set_params)}, \
		{OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, FN(type##_settable_params)}, \
		{0, NULL}, \
	}

SIGNATURE_DISPATCH(rsa);
SIGNATURE_DISPATCH(ecdsa);
