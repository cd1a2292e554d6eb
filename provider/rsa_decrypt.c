#include "rsa_decrypt.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "kms.h"

#define DIGEST_NAME_MAX 32u

struct rsa_cipher {
	struct prov *prov;
	struct prov_key *key;
	bool decrypting;
	int padding; /* RSA_PKCS1_PADDING until set, as in OpenSSL */
	char digest_name[DIGEST_NAME_MAX]; /* of OAEP; "": SHA-1, as in OpenSSL */
	char mgf1_name[DIGEST_NAME_MAX]; /* "": as the digest */
};

static void *
cipher_new(void *provctx)
{
	struct rsa_cipher *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		prov_raise(provctx, PROV_E_MEMORY, NULL);
		return NULL;
	}
	c->prov = provctx;
	c->padding = RSA_PKCS1_PADDING;
	return c;
}

static void
cipher_free(void *vctx)
{
	struct rsa_cipher *c = vctx;

	if (c == NULL)
		return;
	prov_key_free(c->key);
	free(c);
}

static void *
cipher_dup(void *vctx)
{
	const struct rsa_cipher *from = vctx;
	struct rsa_cipher *c = malloc(sizeof(*c));

	if (c == NULL)
		return NULL;
	*c = *from;
	if (c->key != NULL)
		prov_key_hold(c->key);
	return c;
}

static int set_params(void *vctx, const OSSL_PARAM params[]);

static int
init(struct rsa_cipher *c, void *keydata, bool decrypting, const OSSL_PARAM params[])
{
	if (keydata != NULL) {
		struct prov_key *key = prov_key_hold(keydata);
		prov_key_free(c->key);
		c->key = key;
	}
	if (c->key == NULL || c->key->public == NULL || (decrypting && c->key->name == NULL)) {
		prov_raise(c->prov, PROV_E_NO_KEY, NULL);
		return 0;
	}
	c->decrypting = decrypting;
	return set_params(c, params);
}

static int
decrypt_init(void *vctx, void *key, const OSSL_PARAM params[])
{
	return init(vctx, key, true, params);
}

static int
encrypt_init(void *vctx, void *key, const OSSL_PARAM params[])
{
	return init(vctx, key, false, params);
}

static bool
is_digest(const struct rsa_cipher *c, const char *name, const char *want)
{
	EVP_MD *md = EVP_MD_fetch(c->prov->libctx, name, NULL);
	bool is = md != NULL && EVP_MD_is_a(md, want);

	EVP_MD_free(md);
	return is;
}

/* KMS's name of it, or NULL with an error raised. */
static const char *
algorithm(const struct rsa_cipher *c)
{
	const char *digest = c->digest_name[0] != '\0' ? c->digest_name : "SHA1";
	const char *mgf1 = c->mgf1_name[0] != '\0' ? c->mgf1_name : digest;

	if (c->padding == RSA_PKCS1_OAEP_PADDING && is_digest(c, digest, "SHA1") &&
		is_digest(c, mgf1, "SHA1"))
		return "RSAES_OAEP_SHA_1";
	if (c->padding == RSA_PKCS1_OAEP_PADDING && is_digest(c, digest, "SHA2-256") &&
		is_digest(c, mgf1, "SHA2-256"))
		return "RSAES_OAEP_SHA_256";
	prov_raise(c->prov, PROV_E_ALGORITHM,
		"RSA decryption other than OAEP with SHA-1 or SHA-256 for both digest and MGF1");
	return NULL;
}

static int
decrypt(void *vctx, unsigned char *out, size_t *out_len, size_t cap, const unsigned char *in,
	size_t len)
{
	struct rsa_cipher *c = vctx;
	struct slk_secret *plain = NULL;

	if (out == NULL) {
		*out_len = (size_t)EVP_PKEY_get_size(c->key->public);
		return 1;
	}
	const char *name = algorithm(c);
	if (name == NULL || !prov_kms_decrypt(c->prov, c->key->name, name, in, len, &plain))
		return 0;
	bool fits = slk_secret_len(plain) <= cap;
	if (fits) {
		memcpy(out, slk_secret_peek(plain), slk_secret_len(plain));
		*out_len = slk_secret_len(plain);
	} else {
		prov_raise(c->prov, PROV_E_BUFFER_TOO_SMALL, NULL);
	}
	slk_secret_free(plain);
	return fits;
}

static int
encrypt(void *vctx, unsigned char *out, size_t *out_len, size_t cap, const unsigned char *in,
	size_t len)
{
	struct rsa_cipher *c = vctx;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(c->prov->libctx, c->key->public, NULL);
	OSSL_PARAM params[4], *p = params;

	*p++ = OSSL_PARAM_construct_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, &c->padding);
	if (c->digest_name[0] != '\0')
		*p++ = OSSL_PARAM_construct_utf8_string(
			OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, c->digest_name, 0);
	if (c->mgf1_name[0] != '\0')
		*p++ = OSSL_PARAM_construct_utf8_string(
			OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, c->mgf1_name, 0);
	*p = OSSL_PARAM_construct_end();
	*out_len = cap;
	int good = ctx != NULL && EVP_PKEY_encrypt_init_ex(ctx, params) == 1 &&
		EVP_PKEY_encrypt(ctx, out, out_len, in, len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return good;
}

/* --- parameters --- */

static bool
set_padding(struct rsa_cipher *c, const OSSL_PARAM *p)
{
	if (p->data_type != OSSL_PARAM_UTF8_STRING)
		return OSSL_PARAM_get_int(p, &c->padding) == 1;
	if (strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_OAEP) == 0)
		c->padding = RSA_PKCS1_OAEP_PADDING;
	else if (strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0)
		c->padding = RSA_PKCS1_PADDING;
	else
		return false;
	return true;
}

static bool
set_name(const OSSL_PARAM *p, char out[DIGEST_NAME_MAX])
{
	if (p->data_type != OSSL_PARAM_UTF8_STRING || strlen(p->data) >= DIGEST_NAME_MAX)
		return false;
	strcpy(out, p->data);
	return true;
}

static bool
set_param(struct rsa_cipher *c, const OSSL_PARAM *p)
{
	if (strcmp(p->key, OSSL_ASYM_CIPHER_PARAM_PAD_MODE) == 0)
		return set_padding(c, p);
	if (strcmp(p->key, OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST) == 0)
		return set_name(p, c->digest_name);
	if (strcmp(p->key, OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST) == 0)
		return set_name(p, c->mgf1_name);
	/* KMS knows no label. */
	if (strcmp(p->key, OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL) == 0)
		return p->data_size == 0;
	return true;
}

static int
set_params(void *vctx, const OSSL_PARAM params[])
{
	struct rsa_cipher *c = vctx;

	for (const OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
		if (!set_param(c, p)) {
			prov_raise(c->prov, PROV_E_PARAMETER, "%s", p->key);
			return 0;
		}
	return 1;
}

static int
get_params(void *vctx, OSSL_PARAM params[])
{
	const struct rsa_cipher *c = vctx;
	OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_PAD_MODE);

	return p == NULL || OSSL_PARAM_set_int(p, c->padding);
}

static const OSSL_PARAM *
settable(void *vctx, void *provctx)
{
	static const OSSL_PARAM list[] = {
		OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)vctx;
	(void)provctx;
	return list;
}

static const OSSL_PARAM *
gettable(void *vctx, void *provctx)
{
	static const OSSL_PARAM list[] = {
		OSSL_PARAM_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL),
		OSSL_PARAM_END,
	};

	(void)vctx;
	(void)provctx;
	return list;
}

#define FN(function) ((void (*)(void))(function))

const OSSL_DISPATCH prov_asym_cipher_rsa[] = {
	{OSSL_FUNC_ASYM_CIPHER_NEWCTX, FN(cipher_new)},
	{OSSL_FUNC_ASYM_CIPHER_FREECTX, FN(cipher_free)},
	{OSSL_FUNC_ASYM_CIPHER_DUPCTX, FN(cipher_dup)},
	{OSSL_FUNC_ASYM_CIPHER_DECRYPT_INIT, FN(decrypt_init)},
	{OSSL_FUNC_ASYM_CIPHER_DECRYPT, FN(decrypt)},
	{OSSL_FUNC_ASYM_CIPHER_ENCRYPT_INIT, FN(encrypt_init)},
	{OSSL_FUNC_ASYM_CIPHER_ENCRYPT, FN(encrypt)},
	{OSSL_FUNC_ASYM_CIPHER_SET_CTX_PARAMS, FN(set_params)},
	{OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, FN(settable)},
	{OSSL_FUNC_ASYM_CIPHER_GET_CTX_PARAMS, FN(get_params)},
	{OSSL_FUNC_ASYM_CIPHER_GETTABLE_CTX_PARAMS, FN(gettable)},
	{0, NULL},
};
