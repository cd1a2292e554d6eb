/* Grants: rights on one key for one principal, given by CreateGrant beside all policies.
 *
 * All of them are in memory, read once at start and written through: the catalog first, then here, so that a grant works and
 * a revoked one stops at the next call. A grant allows its operations where its constraint holds:
 *
 *     EncryptionContextEquals   the encryption context has these pairs and no others
 *     EncryptionContextSubset   it has these pairs at least          (keys compare without case, values with it)
 *     SourceArn                 the call comes for this resource
 *
 * Constraints on the context do not apply to DescribeKey and RetireGrant, SourceArn does not to RetireGrant. Thread: one, the
 * front's loop.
 */
#ifndef KMS_HSM_GRANTS_H
#define KMS_HSM_GRANTS_H

#include <stdbool.h>

#include "base/error.h"
#include "catalog_grants.h"

#define KMS_GRANTS_OF_KEY_MAX 50000u

struct kms_grants;

/* catalog: borrowed. What is in it is read; SLK_CORRUPT and the catalog's errors, with a sentence. */
MUST_USE int kms_grants_new(
	struct kms_catalog *catalog, struct kms_grants **out_grants, struct slk_error *err);
void kms_grants_free(struct kms_grants *grants); /* NULL allowed */

/* Into the catalog, then in memory. grant->context becomes the store's on success. SLK_LIMIT: the key has too many. */
MUST_USE int kms_grants_add(struct kms_grants *grants, const struct kms_grant *grant);
/* SLK_NOT_FOUND. */
MUST_USE int kms_grants_remove(struct kms_grants *grants, const uint8_t id[KMS_GRANT_ID_BYTES]);
/* The key has ended, and the catalog has forgotten its grants. */
void kms_grants_forget_key(struct kms_grants *grants, const uint8_t key_id[KMS_ID_BYTES]);

/* How often grants have come and gone. */
uint64_t kms_grants_changes(const struct kms_grants *grants);

/* NULL: none. Borrowed until the next change. */
const struct kms_grant *kms_grants_get(
	const struct kms_grants *grants, const uint8_t id[KMS_GRANT_ID_BYTES]);

/* Those that match, with ids above after (NULL: the first), in order; NULL members match all. Borrowed as above. */
struct kms_grant_filter {
	const uint8_t *key_id;
	const char *grantee, *retiring;
};
size_t kms_grants_list(const struct kms_grants *grants, const struct kms_grant_filter *filter,
	const uint8_t *after, const struct kms_grant **out, size_t cap);

/* What is asked. */
struct kms_grant_question {
	const uint8_t *key_id;
	const char *principal;
	const char *action; /* "kms:Decrypt" */
	const struct fmt_context *context; /* NULL: empty */
	const char *source_arn; /* NULL or "": none */
};
/* A grant that allows it. NULL: none does. No allocation. */
const struct kms_grant *kms_grants_match(
	const struct kms_grants *grants, const struct kms_grant_question *question);

/* May child be made by who has the right to make grants from some grant only? The parent of it is one of principal's on that
 * key which has CreateGrant, all operations of child, and constraints that are the same or looser. NULL: none. */
const struct kms_grant *kms_grants_parent(
	const struct kms_grants *grants, const char *principal, const struct kms_grant *child);

/* "Decrypt", as AWS names it, and back. false: no such operation. */
const char *kms_grant_operation_name(enum kms_grant_operation operation);
bool kms_grant_operation_parse(const char *name, enum kms_grant_operation *out_operation);
/* What a grant on such a key may allow, as a set. */
uint32_t kms_grant_operations_of(enum kms_spec spec, enum kms_usage usage);

#endif
