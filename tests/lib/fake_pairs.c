#include "fake_pairs.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define TURNS 3u

static EVP_PKEY *
make(enum kms_spec spec)
{
	switch (spec) {
	case KMS_SPEC_RSA_2048:
	case KMS_SPEC_RSA_3072:
	case KMS_SPEC_RSA_4096:
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)kms_spec_bits(spec));
	case KMS_SPEC_ECC_NIST_P256:
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	case KMS_SPEC_ECC_NIST_P384:
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
	case KMS_SPEC_ECC_NIST_P521:
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
	default:
		return NULL;
	}
}

EVP_PKEY *
fake_pair_next(enum kms_spec spec)
{
	static EVP_PKEY *pool[KMS_SPEC_COUNT][TURNS];
	static unsigned turn[KMS_SPEC_COUNT];
	unsigned turns = spec == KMS_SPEC_RSA_3072 || spec == KMS_SPEC_RSA_4096 ? 1 : TURNS;
	EVP_PKEY **slot = &pool[spec][turn[spec]++ % turns];

	if (*slot == NULL)
		*slot = make(spec);
	return *slot;
}

size_t
fake_pair_public(const EVP_PKEY *pair, uint8_t *out)
{
	uint8_t *end = out;
	int len = i2d_PUBKEY(pair, NULL);

	if (len <= 0 || (unsigned)len > KMS_PUBLIC_KEY_MAX || i2d_PUBKEY(pair, &end) != len)
		return 0;
	return (size_t)len;
}

static const EVP_MD *
hash_of(enum kms_algorithm algorithm)
{
	switch (algorithm) {
	case KMS_ALG_RSAES_OAEP_SHA_1:
		return EVP_sha1();
	case KMS_ALG_RSASSA_PSS_SHA_384:
	case KMS_ALG_RSASSA_PKCS1_V1_5_SHA_384:
	case KMS_ALG_ECDSA_SHA_384:
		return EVP_sha384();
	case KMS_ALG_RSASSA_PSS_SHA_512:
	case KMS_ALG_RSASSA_PKCS1_V1_5_SHA_512:
	case KMS_ALG_ECDSA_SHA_512:
		return EVP_sha512();
	default:
		return EVP_sha256();
	}
}

/* Padding and hash of an algorithm, after the context was begun for the operation. */
static bool
set_up(EVP_PKEY_CTX *ctx, enum kms_algorithm algorithm)
{
	const EVP_MD *hash = hash_of(algorithm);

	if (algorithm >= KMS_ALG_ECDSA_SHA_256)
		return EVP_PKEY_CTX_set_signature_md(ctx, hash) == 1;
	if (algorithm <= KMS_ALG_RSAES_OAEP_SHA_256)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
			EVP_PKEY_CTX_set_rsa_oaep_md(ctx, hash) == 1 &&
			EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, hash) == 1;
	if (algorithm >= KMS_ALG_RSASSA_PKCS1_V1_5_SHA_256)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
			EVP_PKEY_CTX_set_signature_md(ctx, hash) == 1;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		EVP_PKEY_CTX_set_signature_md(ctx, hash) == 1 &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

typedef int (*begin_fn)(EVP_PKEY_CTX *ctx);
typedef int (*transform_fn)(EVP_PKEY_CTX *ctx, unsigned char *out, size_t *out_len,
	const unsigned char *in, size_t len);

static int
transform(EVP_PKEY *pair, begin_fn begin, transform_fn fn, enum kms_algorithm algorithm,
	struct slk_span in, uint8_t *out, size_t *out_len, int refused)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pair, NULL);
	size_t len = HSM_OUTPUT_MAX;
	int rc = SLK_HSM;

	if (ctx != NULL && begin(ctx) == 1 && set_up(ctx, algorithm))
		rc = fn(ctx, out, &len, in.ptr, in.len) == 1 ? SLK_OK : refused;
	EVP_PKEY_CTX_free(ctx);
	if (rc == SLK_OK)
		*out_len = len;
	return rc;
}

int
fake_pair_sign(EVP_PKEY *pair, enum kms_algorithm algorithm, struct slk_span digest, uint8_t *out,
	size_t *out_len)
{
	return transform(
		pair, EVP_PKEY_sign_init, EVP_PKEY_sign, algorithm, digest, out, out_len, SLK_HSM);
}

int
fake_pair_verify(EVP_PKEY *pair, enum kms_algorithm algorithm, struct slk_span digest,
	struct slk_span signature)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pair, NULL);
	int rc = SLK_HSM;

	if (ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 && set_up(ctx, algorithm))
		rc = EVP_PKEY_verify(ctx, signature.ptr, signature.len, digest.ptr, digest.len) == 1
			? SLK_OK
			: SLK_BAD_TAG;
	EVP_PKEY_CTX_free(ctx);
	return rc;
}

int
fake_pair_encrypt(EVP_PKEY *pair, enum kms_algorithm algorithm, struct slk_span plain, uint8_t *out,
	size_t *out_len)
{
	return transform(pair, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt, algorithm, plain, out,
		out_len, SLK_HSM);
}

int
fake_pair_decrypt(EVP_PKEY *pair, enum kms_algorithm algorithm, struct slk_span sealed,
	uint8_t *out, size_t *out_len)
{
	return transform(pair, EVP_PKEY_decrypt_init, EVP_PKEY_decrypt, algorithm, sealed, out,
		out_len, SLK_INVALID_CIPHERTEXT);
}
