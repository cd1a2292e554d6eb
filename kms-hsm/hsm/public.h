/* The public half of a key pair, with OpenSSL: what the world may do as well as we.
 *
 * Keys are built from numbers that a token gave and are checked first: the modulus has as many bits as the spec says, the
 * exponent is 65537, the point lies on the curve. Nothing here knows a private key. All work is done in a library context
 * of its own, which neither a configuration file nor the vendor's module touches.
 * Thread: any; keys are not changed once made.
 */
#ifndef KMS_HSM_HSM_PUBLIC_H
#define KMS_HSM_HSM_PUBLIC_H

#include <openssl/types.h>

#include "base/bytes.h"
#include "keyspec.h"

/* NULL: out of memory, or OpenSSL's default provider is not there. */
OSSL_LIB_CTX *hsm_public_context_new(void);
void hsm_public_context_free(OSSL_LIB_CTX *context); /* NULL allowed */

/* SLK_OK, SLK_CORRUPT (not a sound key of that spec), SLK_NO_MEMORY. The key is the caller's to free with EVP_PKEY_free().
 * point: as CKA_EC_POINT has it, an uncompressed point, bare or as DER OCTET STRING. */
MUST_USE int hsm_public_from_rsa(OSSL_LIB_CTX *context, enum kms_spec spec, struct slk_span modulus,
	struct slk_span exponent, EVP_PKEY **out_key);
MUST_USE int hsm_public_from_ec(
	OSSL_LIB_CTX *context, enum kms_spec spec, struct slk_span point, EVP_PKEY **out_key);

/* CKA_EC_PARAMS of the spec: the curve's OID in DER (RFC 5480, 2.1.1). Static storage. */
struct slk_span hsm_public_ec_params(enum kms_spec spec);

/* DER SubjectPublicKeyInfo (RFC 5280, 4.1; RFC 5480 with a named curve and an uncompressed point). SLK_NO_MEMORY. */
MUST_USE int hsm_public_der(EVP_PKEY *key, uint8_t out[KMS_PUBLIC_KEY_MAX], size_t *out_len);

/* SLK_OK; SLK_BAD_TAG if the signature does not fit the digest (a signature of ECDSA has to be strict DER); SLK_NO_MEMORY. */
MUST_USE int hsm_public_verify(OSSL_LIB_CTX *context, EVP_PKEY *key, enum kms_algorithm algorithm,
	struct slk_span digest, struct slk_span signature);

/* RSAES-OAEP; out has KMS_SIGNATURE_MAX bytes of room. SLK_OK, SLK_INVALID (data is longer than kms_plaintext_max()),
 * SLK_NO_MEMORY. */
MUST_USE int hsm_public_encrypt(OSSL_LIB_CTX *context, EVP_PKEY *key, enum kms_algorithm algorithm,
	struct slk_span data, uint8_t *out, size_t *out_len);

/* Is this a number below the modulus of an RSA key, as every ciphertext is (PKCS #1 v2.2, 5.1.2)? false: or out of memory. */
bool hsm_public_is_below_modulus(const EVP_PKEY *key, struct slk_span number);

/* r || s, each half as long, to DER ECDSA-Sig-Value (RFC 3279, 2.2.3). out has KMS_SIGNATURE_MAX bytes. SLK_OK,
 * SLK_INVALID, SLK_NO_MEMORY. */
MUST_USE int hsm_ecdsa_der(struct slk_span raw, uint8_t *out, size_t *out_len);

/* First three bytes of SHA-256. SLK_NO_MEMORY. */
MUST_USE int hsm_public_check_value(OSSL_LIB_CTX *context, struct slk_span der, uint8_t out_kcv[3]);

/* DigestInfo without the digest (PKCS #1 v2.2, 9.2, note 1) of a PKCS1_V1_5 algorithm. Static storage. */
struct slk_span hsm_digest_info_prefix(enum kms_algorithm algorithm);

#endif
