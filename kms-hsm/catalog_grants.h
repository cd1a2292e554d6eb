/* The catalog's rows of grants. Outputs, errors and thread: catalog.h. */
#ifndef KMS_HSM_CATALOG_GRANTS_H
#define KMS_HSM_CATALOG_GRANTS_H

#include "catalog.h"
#include "format/context.h"

#define KMS_GRANT_ID_BYTES 32u
#define KMS_GRANT_NAME_MAX 257u /* with terminator */
#define KMS_GRANT_PAIRS_MAX 8u /* of a constraint */

/* The numbers of both are on disk. */
enum kms_grant_constraint {
	KMS_GRANT_FREE = 0,
	KMS_GRANT_EQUALS = 1, /* the encryption context is this one */
	KMS_GRANT_SUBSET = 2, /* it has these pairs, and maybe others */
};
enum kms_grant_operation {
	KMS_GRANT_CREATE_GRANT = 0,
	KMS_GRANT_DECRYPT = 1,
	KMS_GRANT_DESCRIBE_KEY = 2,
	KMS_GRANT_ENCRYPT = 3,
	KMS_GRANT_GENERATE_DATA_KEY = 4,
	KMS_GRANT_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT = 5,
	KMS_GRANT_GET_PUBLIC_KEY = 6,
	KMS_GRANT_RE_ENCRYPT_FROM = 7,
	KMS_GRANT_RE_ENCRYPT_TO = 8,
	KMS_GRANT_RETIRE_GRANT = 9,
	KMS_GRANT_SIGN = 10,
	KMS_GRANT_VERIFY = 11,
	KMS_GRANT_OPERATIONS = 12,
};

struct kms_grant {
	uint8_t id[KMS_GRANT_ID_BYTES];
	uint8_t key_id[KMS_ID_BYTES];
	char name[KMS_GRANT_NAME_MAX]; /* "": none */
	char grantee[KMS_ARN_MAX];
	char retiring[KMS_ARN_MAX]; /* "": nobody in particular */
	char issuer[KMS_ARN_MAX];
	uint32_t operations; /* a set of enum kms_grant_operation */
	enum kms_grant_constraint constraint;
	struct fmt_context *context; /* of the constraint; NULL with KMS_GRANT_FREE */
	char source_arn[KMS_ARN_MAX]; /* "": any */
	uint64_t created_ns;
};

/* SLK_EXISTS (the id), SLK_NOT_FOUND (no such key). */
MUST_USE int kms_catalog_grant_create(struct kms_catalog *catalog, const struct kms_grant *grant);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_grant_delete(
	struct kms_catalog *catalog, const uint8_t id[KMS_GRANT_ID_BYTES]);
/* The first with an id above after (NULL: of all); each grant's context is the receiver's. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_grant_next(
	struct kms_catalog *catalog, const uint8_t *after, struct kms_grant *out_grant);

#endif
