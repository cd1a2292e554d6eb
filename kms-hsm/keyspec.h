/* Kinds of keys and what can be done with each: key specs, usages and algorithms, named as in AWS KMS.
 *
 *     spec                usage            algorithms
 *     SYMMETRIC_DEFAULT   ENCRYPT_DECRYPT  SYMMETRIC_DEFAULT (AES-256-GCM, wraps with a context)
 *     RSA_2048/3072/4096  ENCRYPT_DECRYPT  RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256
 *                         SIGN_VERIFY      RSASSA_PSS_SHA_*, RSASSA_PKCS1_V1_5_SHA_* (256, 384, 512)
 *     ECC_NIST_P256       SIGN_VERIFY      ECDSA_SHA_256
 *     ECC_NIST_P384       SIGN_VERIFY      ECDSA_SHA_384
 *     ECC_NIST_P521       SIGN_VERIFY      ECDSA_SHA_512
 *
 * MGF1 uses the hash of the algorithm, the salt of PSS is as long as the digest (PKCS #1 v2.2, 8.1 and 9.1), a signature
 * of ECDSA is DER (RFC 3279, 2.2.3). The numbers are in the catalog and between front and worker: never renumber.
 * Thread: any; all data are constant.
 */
#ifndef KMS_HSM_KEYSPEC_H
#define KMS_HSM_KEYSPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kms_spec {
	KMS_SPEC_SYMMETRIC_DEFAULT = 0,
	KMS_SPEC_RSA_2048 = 1,
	KMS_SPEC_RSA_3072 = 2,
	KMS_SPEC_RSA_4096 = 3,
	KMS_SPEC_ECC_NIST_P256 = 4,
	KMS_SPEC_ECC_NIST_P384 = 5,
	KMS_SPEC_ECC_NIST_P521 = 6,
	KMS_SPEC_COUNT = 7,
};

enum kms_usage {
	KMS_USAGE_ENCRYPT_DECRYPT = 0,
	KMS_USAGE_SIGN_VERIFY = 1,
	KMS_USAGE_COUNT = 2,
};

enum kms_algorithm {
	KMS_ALG_SYMMETRIC_DEFAULT = 0,
	KMS_ALG_RSAES_OAEP_SHA_1 = 1,
	KMS_ALG_RSAES_OAEP_SHA_256 = 2,
	KMS_ALG_RSASSA_PSS_SHA_256 = 3,
	KMS_ALG_RSASSA_PSS_SHA_384 = 4,
	KMS_ALG_RSASSA_PSS_SHA_512 = 5,
	KMS_ALG_RSASSA_PKCS1_V1_5_SHA_256 = 6,
	KMS_ALG_RSASSA_PKCS1_V1_5_SHA_384 = 7,
	KMS_ALG_RSASSA_PKCS1_V1_5_SHA_512 = 8,
	KMS_ALG_ECDSA_SHA_256 = 9,
	KMS_ALG_ECDSA_SHA_384 = 10,
	KMS_ALG_ECDSA_SHA_512 = 11,
	KMS_ALG_COUNT = 12,
};

/* A set of enum kms_spec or enum kms_algorithm, one bit each. */
#define KMS_BIT(value) (1u << (unsigned)(value))

#define KMS_SIGNATURE_MAX 512u /* RSA_4096 */
#define KMS_PUBLIC_KEY_MAX 576u /* DER SubjectPublicKeyInfo of RSA_4096 is 550 bytes */

/* The name as AWS writes it. value must be in range. Static storage. */
const char *kms_spec_name(enum kms_spec spec);
const char *kms_usage_name(enum kms_usage usage);
const char *kms_algorithm_name(enum kms_algorithm algorithm);
/* Is it approved (SP 800-38D, SP 800-56B, FIPS 186-5, FIPS 180-4), whatever module carries it out? OAEP with SHA-1 does not
 * count, though SP 800-131A still tolerates it. */
bool kms_algorithm_is_approved(enum kms_algorithm algorithm);

/* By that name; false, and *out untouched, if there is none. */
bool kms_spec_parse(const char *name, enum kms_spec *out_spec);
bool kms_usage_parse(const char *name, enum kms_usage *out_usage);
bool kms_algorithm_parse(const char *name, enum kms_algorithm *out_algorithm);

/* Does the spec know the usage? */
bool kms_spec_allows(enum kms_spec spec, enum kms_usage usage);
/* The algorithms of a key, as a set; empty if the spec does not know the usage. */
uint32_t kms_spec_algorithms(enum kms_spec spec, enum kms_usage usage);
static inline bool
kms_spec_is_symmetric(enum kms_spec spec)
{
	return spec == KMS_SPEC_SYMMETRIC_DEFAULT;
}
/* Modulus or group order in bits; 256 for SYMMETRIC_DEFAULT. */
unsigned kms_spec_bits(enum kms_spec spec);

/* Bytes of the digest that a signature algorithm takes; 0 for algorithms that encrypt. */
unsigned kms_algorithm_digest_bytes(enum kms_algorithm algorithm);
/* Most bytes that can be encrypted: OAEP, k - 2 hLen - 2; 4,096 for SYMMETRIC_DEFAULT; 0 where the two do not fit. */
unsigned kms_plaintext_max(enum kms_spec spec, enum kms_algorithm algorithm);

#endif
