#include "hsm/public.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define EXPONENT 65537u

static const struct {
	const char *name;
	const uint8_t *params;
	size_t params_len, field_bytes;
} curves[KMS_SPEC_COUNT] = {
	[KMS_SPEC_ECC_NIST_P256] = {"P-256",
		(const uint8_t *)"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10, 32},
	[KMS_SPEC_ECC_NIST_P384] = {"P-384", (const uint8_t *)"\x06\x05\x2b\x81\x04\x00\x22", 7,
		48},
	[KMS_SPEC_ECC_NIST_P521] = {"P-521", (const uint8_t *)"\x06\x05\x2b\x81\x04\x00\x23", 7,
		66},
};

static const struct {
	const char *hash;
	int padding; /* of RSA; 0: none */
} schemes[KMS_ALG_COUNT] = {
	[KMS_ALG_RSAES_OAEP_SHA_1] = {"SHA1", RSA_PKCS1_OAEP_PADDING},
	[KMS_ALG_RSAES_OAEP_SHA_256] = {"SHA256", RSA_PKCS1_OAEP_PADDING},
	[KMS_ALG_RSASSA_PSS_SHA_256] = {"SHA256", RSA_PKCS1_PSS_PADDING},
	[KMS_ALG_RSASSA_PSS_SHA_384] = {"SHA384", RSA_PKCS1_PSS_PADDING},
	[KMS_ALG_RSASSA_PSS_SHA_512] = {"SHA512", RSA_PKCS1_PSS_PADDING},
	[KMS_ALG_RSASSA_PKCS1_V1_5_SHA_256] = {"SHA256", RSA_PKCS1_PADDING},
	[KMS_ALG_RSASSA_PKCS1_V1_5_SHA_384] = {"SHA384", RSA_PKCS1_PADDING},
	[KMS_ALG_RSASSA_PKCS1_V1_5_SHA_512] = {"SHA512", RSA_PKCS1_PADDING},
	[KMS_ALG_ECDSA_SHA_256] = {"SHA256", 0},
	[KMS_ALG_ECDSA_SHA_384] = {"SHA384", 0},
	[KMS_ALG_ECDSA_SHA_512] = {"SHA512", 0},
};

OSSL_LIB_CTX *
hsm_public_context_new(void)
{
	OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();

	/* Asking for something brings in the default provider. */
	EVP_MD *md = context != NULL ? EVP_MD_fetch(context, "SHA256", NULL) : NULL;
	if (md == NULL) {
		OSSL_LIB_CTX_free(context);
		context = NULL;
	}
	EVP_MD_free(md);
	ERR_clear_error();
	return context;
}

void
hsm_public_context_free(OSSL_LIB_CTX *context)
{
	OSSL_LIB_CTX_free(context);
}

/* A key of these parameters, with all checks that OpenSSL knows for a public key. */
static int
from_params(OSSL_LIB_CTX *context, const char *type, OSSL_PARAM_BLD *build, EVP_PKEY **out_key)
{
	EVP_PKEY_CTX *maker = NULL, *checker = NULL;
	EVP_PKEY *key = NULL;
	int rc = SLK_NO_MEMORY;

	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	if (params != NULL)
		maker = EVP_PKEY_CTX_new_from_name(context, type, NULL);
	if (maker == NULL || EVP_PKEY_fromdata_init(maker) != 1)
		goto out;
	rc = SLK_CORRUPT;
	if (EVP_PKEY_fromdata(maker, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		goto out;
	checker = EVP_PKEY_CTX_new_from_pkey(context, key, NULL);
	if (checker == NULL || EVP_PKEY_public_check(checker) != 1)
		goto out;
	*out_key = key;
	key = NULL; /* the caller's */
	rc = SLK_OK;
out:
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(checker);
	EVP_PKEY_CTX_free(maker);
	OSSL_PARAM_free(params);
	ERR_clear_error();
	return rc;
}

int
hsm_public_from_rsa(OSSL_LIB_CTX *context, enum kms_spec spec, struct slk_span modulus,
	struct slk_span exponent, EVP_PKEY **out_key)
{
	int rc = SLK_NO_MEMORY;

	BIGNUM *n = BN_bin2bn(modulus.ptr, (int)modulus.len, NULL);
	BIGNUM *e = BN_bin2bn(exponent.ptr, (int)exponent.len, NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	if (n == NULL || e == NULL || build == NULL)
		goto out;
	rc = SLK_CORRUPT;
	if ((unsigned)BN_num_bits(n) != kms_spec_bits(spec) || !BN_is_odd(n) ||
		!BN_is_word(e, EXPONENT))
		goto out;
	rc = SLK_NO_MEMORY;
	if (OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		rc = from_params(context, "RSA", build, out_key);
out:
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	BN_free(e);
	ERR_clear_error();
	return rc;
}

/* The bare point: 4, X, Y. Some modules put it into a DER OCTET STRING, as the standard says; some do not. */
static struct slk_span
bare_point(struct slk_span point, size_t field_bytes)
{
	size_t len = 2 * field_bytes + 1, head = len < 128 ? 2 : 3;

	if (point.len == head + len && point.ptr[0] == 0x04 && point.ptr[head - 1] == len &&
		(head == 2 || point.ptr[1] == 0x81))
		point = slk_span(point.ptr + head, len);
	return point.len == len && point.ptr[0] == 0x04 ? point : slk_span(NULL, 0);
}

int
hsm_public_from_ec(
	OSSL_LIB_CTX *context, enum kms_spec spec, struct slk_span point, EVP_PKEY **out_key)
{
	struct slk_span bare = bare_point(point, curves[spec].field_bytes);
	int rc = SLK_NO_MEMORY;

	if (bare.len == 0)
		return SLK_CORRUPT;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	if (build != NULL &&
		OSSL_PARAM_BLD_push_utf8_string(
			build, OSSL_PKEY_PARAM_GROUP_NAME, curves[spec].name, 0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(
			build, OSSL_PKEY_PARAM_PUB_KEY, bare.ptr, bare.len) == 1)
		rc = from_params(context, "EC", build, out_key);
	OSSL_PARAM_BLD_free(build);
	ERR_clear_error();
	return rc;
}

struct slk_span
hsm_public_ec_params(enum kms_spec spec)
{
	return slk_span(curves[spec].params, curves[spec].params_len);
}

int
hsm_public_der(EVP_PKEY *key, uint8_t out[KMS_PUBLIC_KEY_MAX], size_t *out_len)
{
	unsigned char *at = out;

	int len = i2d_PUBKEY(key, NULL);
	if (len > 0 && (size_t)len <= KMS_PUBLIC_KEY_MAX)
		len = i2d_PUBKEY(key, &at);
	else
		len = -1;
	ERR_clear_error();
	if (len <= 0)
		return SLK_NO_MEMORY;
	*out_len = (size_t)len;
	return SLK_OK;
}

/* 1 if all went well. */
static int
set_signature_scheme(OSSL_LIB_CTX *context, EVP_PKEY_CTX *ctx, enum kms_algorithm algorithm)
{
	EVP_MD *md = EVP_MD_fetch(context, schemes[algorithm].hash, NULL);
	int padding = schemes[algorithm].padding;

	int ok = md != NULL;
	if (ok == 1 && padding != 0)
		ok = EVP_PKEY_CTX_set_rsa_padding(ctx, padding);
	if (ok == 1)
		ok = EVP_PKEY_CTX_set_signature_md(ctx, md);
	if (ok == 1 && padding == RSA_PKCS1_PSS_PADDING)
		ok = EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1
			? EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST)
			: 0;
	EVP_MD_free(md);
	return ok;
}

int
hsm_public_verify(OSSL_LIB_CTX *context, EVP_PKEY *key, enum kms_algorithm algorithm,
	struct slk_span digest, struct slk_span signature)
{
	int rc = SLK_NO_MEMORY;

	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(context, key, NULL);
	if (ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
		set_signature_scheme(context, ctx, algorithm) == 1)
		rc = EVP_PKEY_verify(ctx, signature.ptr, signature.len, digest.ptr, digest.len) == 1
			? SLK_OK
			: SLK_BAD_TAG;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return rc;
}

int
hsm_public_encrypt(OSSL_LIB_CTX *context, EVP_PKEY *key, enum kms_algorithm algorithm,
	struct slk_span data, uint8_t *out, size_t *out_len)
{
	size_t len = KMS_SIGNATURE_MAX;
	int rc = SLK_NO_MEMORY;

	EVP_MD *md = EVP_MD_fetch(context, schemes[algorithm].hash, NULL);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(context, key, NULL);
	if (md != NULL && ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 &&
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1)
		rc = EVP_PKEY_encrypt(ctx, out, &len, data.ptr, data.len) == 1 ? SLK_OK
									       : SLK_INVALID;
	if (rc == SLK_OK)
		*out_len = len;
	EVP_PKEY_CTX_free(ctx);
	EVP_MD_free(md);
	ERR_clear_error();
	return rc;
}

bool
hsm_public_is_below_modulus(const EVP_PKEY *key, struct slk_span number)
{
	BIGNUM *modulus = NULL;

	BIGNUM *value = BN_bin2bn(number.ptr, (int)number.len, NULL);
	bool below = value != NULL &&
		EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1 &&
		BN_ucmp(value, modulus) < 0;
	BN_free(value);
	BN_free(modulus);
	ERR_clear_error();
	return below;
}

int
hsm_ecdsa_der(struct slk_span raw, uint8_t *out, size_t *out_len)
{
	unsigned char *at = out;
	size_t half = raw.len / 2;
	int len = -1, rc = SLK_NO_MEMORY;

	if (raw.len == 0 || raw.len % 2 != 0)
		return SLK_INVALID;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw.ptr, (int)half, NULL);
	BIGNUM *s = BN_bin2bn(raw.ptr + half, (int)half, NULL);
	if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL; /* sig's */
		len = i2d_ECDSA_SIG(sig, NULL);
	}
	if (len > 0 && (size_t)len <= KMS_SIGNATURE_MAX && i2d_ECDSA_SIG(sig, &at) == len) {
		*out_len = (size_t)len;
		rc = SLK_OK;
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	ERR_clear_error();
	return rc;
}

int
hsm_public_check_value(OSSL_LIB_CTX *context, struct slk_span der, uint8_t out_kcv[3])
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	int ok = EVP_Q_digest(context, "SHA256", NULL, der.ptr, der.len, digest, NULL);
	ERR_clear_error();
	if (ok != 1)
		return SLK_NO_MEMORY;
	memcpy(out_kcv, digest, 3);
	return SLK_OK;
}

struct slk_span
hsm_digest_info_prefix(enum kms_algorithm algorithm)
{
	static const uint8_t sha256[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
		0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
	static const uint8_t sha384[] = {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
		0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30};
	static const uint8_t sha512[] = {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
		0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40};

	switch (algorithm) {
	case KMS_ALG_RSASSA_PKCS1_V1_5_SHA_256:
		return slk_span(sha256, sizeof(sha256));
	case KMS_ALG_RSASSA_PKCS1_V1_5_SHA_384:
		return slk_span(sha384, sizeof(sha384));
	case KMS_ALG_RSASSA_PKCS1_V1_5_SHA_512:
		return slk_span(sha512, sizeof(sha512));
	default:
		return slk_span(NULL, 0);
	}
}
