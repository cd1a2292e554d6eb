#include "keyspec.h"

#include <string.h>

#define PLAINTEXT_SYMMETRIC_MAX 4096u
#define OAEP (KMS_BIT(KMS_ALG_RSAES_OAEP_SHA_1) | KMS_BIT(KMS_ALG_RSAES_OAEP_SHA_256))
#define RSASSA \
	(KMS_BIT(KMS_ALG_RSASSA_PSS_SHA_256) | KMS_BIT(KMS_ALG_RSASSA_PSS_SHA_384) | \
		KMS_BIT(KMS_ALG_RSASSA_PSS_SHA_512) | KMS_BIT(KMS_ALG_RSASSA_PKCS1_V1_5_SHA_256) | \
		KMS_BIT(KMS_ALG_RSASSA_PKCS1_V1_5_SHA_384) | \
		KMS_BIT(KMS_ALG_RSASSA_PKCS1_V1_5_SHA_512))

static const struct {
	const char *name;
	unsigned bits;
	uint32_t algorithms[KMS_USAGE_COUNT];
} specs[KMS_SPEC_COUNT] = {
	[KMS_SPEC_SYMMETRIC_DEFAULT] = {"SYMMETRIC_DEFAULT", 256,
		{KMS_BIT(KMS_ALG_SYMMETRIC_DEFAULT), 0}},
	[KMS_SPEC_RSA_2048] = {"RSA_2048", 2048, {OAEP, RSASSA}},
	[KMS_SPEC_RSA_3072] = {"RSA_3072", 3072, {OAEP, RSASSA}},
	[KMS_SPEC_RSA_4096] = {"RSA_4096", 4096, {OAEP, RSASSA}},
	[KMS_SPEC_ECC_NIST_P256] = {"ECC_NIST_P256", 256, {0, KMS_BIT(KMS_ALG_ECDSA_SHA_256)}},
	[KMS_SPEC_ECC_NIST_P384] = {"ECC_NIST_P384", 384, {0, KMS_BIT(KMS_ALG_ECDSA_SHA_384)}},
	[KMS_SPEC_ECC_NIST_P521] = {"ECC_NIST_P521", 521, {0, KMS_BIT(KMS_ALG_ECDSA_SHA_512)}},
};

static const char *const usages[KMS_USAGE_COUNT] = {
	[KMS_USAGE_ENCRYPT_DECRYPT] = "ENCRYPT_DECRYPT",
	[KMS_USAGE_SIGN_VERIFY] = "SIGN_VERIFY",
};

/* digest_bytes: of the message for a signature, of OAEP's label and mask for an encryption. */
static const struct {
	const char *name;
	unsigned digest_bytes;
} algorithms[KMS_ALG_COUNT] = {
	[KMS_ALG_SYMMETRIC_DEFAULT] = {"SYMMETRIC_DEFAULT", 0},
	[KMS_ALG_RSAES_OAEP_SHA_1] = {"RSAES_OAEP_SHA_1", 20},
	[KMS_ALG_RSAES_OAEP_SHA_256] = {"RSAES_OAEP_SHA_256", 32},
	[KMS_ALG_RSASSA_PSS_SHA_256] = {"RSASSA_PSS_SHA_256", 32},
	[KMS_ALG_RSASSA_PSS_SHA_384] = {"RSASSA_PSS_SHA_384", 48},
	[KMS_ALG_RSASSA_PSS_SHA_512] = {"RSASSA_PSS_SHA_512", 64},
	[KMS_ALG_RSASSA_PKCS1_V1_5_SHA_256] = {"RSASSA_PKCS1_V1_5_SHA_256", 32},
	[KMS_ALG_RSASSA_PKCS1_V1_5_SHA_384] = {"RSASSA_PKCS1_V1_5_SHA_384", 48},
	[KMS_ALG_RSASSA_PKCS1_V1_5_SHA_512] = {"RSASSA_PKCS1_V1_5_SHA_512", 64},
	[KMS_ALG_ECDSA_SHA_256] = {"ECDSA_SHA_256", 32},
	[KMS_ALG_ECDSA_SHA_384] = {"ECDSA_SHA_384", 48},
	[KMS_ALG_ECDSA_SHA_512] = {"ECDSA_SHA_512", 64},
};

const char *
kms_spec_name(enum kms_spec spec)
{
	return specs[spec].name;
}

const char *
kms_usage_name(enum kms_usage usage)
{
	return usages[usage];
}

const char *
kms_algorithm_name(enum kms_algorithm algorithm)
{
	return algorithms[algorithm].name;
}

bool
kms_spec_parse(const char *name, enum kms_spec *out_spec)
{
	for (unsigned i = 0; i < KMS_SPEC_COUNT; i++) {
		if (strcmp(specs[i].name, name) == 0) {
			*out_spec = (enum kms_spec)i;
			return true;
		}
	}
	return false;
}

bool
kms_usage_parse(const char *name, enum kms_usage *out_usage)
{
	for (unsigned i = 0; i < KMS_USAGE_COUNT; i++) {
		if (strcmp(usages[i], name) == 0) {
			*out_usage = (enum kms_usage)i;
			return true;
		}
	}
	return false;
}

bool
kms_algorithm_parse(const char *name, enum kms_algorithm *out_algorithm)
{
	for (unsigned i = 0; i < KMS_ALG_COUNT; i++) {
		if (strcmp(algorithms[i].name, name) == 0) {
			*out_algorithm = (enum kms_algorithm)i;
			return true;
		}
	}
	return false;
}

bool
kms_spec_allows(enum kms_spec spec, enum kms_usage usage)
{
	return specs[spec].algorithms[usage] != 0;
}

uint32_t
kms_spec_algorithms(enum kms_spec spec, enum kms_usage usage)
{
	return specs[spec].algorithms[usage];
}

unsigned
kms_spec_bits(enum kms_spec spec)
{
	return specs[spec].bits;
}

unsigned
kms_algorithm_digest_bytes(enum kms_algorithm algorithm)
{
	return (OAEP & KMS_BIT(algorithm)) != 0 ? 0 : algorithms[algorithm].digest_bytes;
}

unsigned
kms_plaintext_max(enum kms_spec spec, enum kms_algorithm algorithm)
{
	if ((specs[spec].algorithms[KMS_USAGE_ENCRYPT_DECRYPT] & KMS_BIT(algorithm)) == 0)
		return 0;
	if (kms_spec_is_symmetric(spec))
		return PLAINTEXT_SYMMETRIC_MAX;
	return specs[spec].bits / 8 - 2 * algorithms[algorithm].digest_bytes - 2;
}

bool
kms_algorithm_is_approved(enum kms_algorithm algorithm)
{
	return (unsigned)algorithm < KMS_ALG_COUNT && algorithm != KMS_ALG_RSAES_OAEP_SHA_1;
}
