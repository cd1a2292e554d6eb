/* Who may do what, in memory: principals with their policies, and the policies of keys and streams, parsed.
 *
 *     catalog --(start)--> documents in force <--(a change: catalog first, then kms_iam_*_changed())-- operations
 *
 * Principals are those of the configuration, and the users and roles of the catalog; one that is both has what both give it.
 * A change is in force at the next question. A document that the catalog has and that cannot be parsed (written by a later
 * release, or damaged) is said in the log and denies all that it bears on: the principal that holds it, the key or the
 * stream that has it. A change that could not be taken over (the catalog failed, no memory) makes all of it stale: then
 * everything is denied until a restart.
 *
 * A key without a policy of its own has the default one of AWS: the account decides. Look-ups allocate nothing. Thread: one,
 * the front's loop; what is returned is valid until the next change.
 */
#ifndef KMS_HSM_IAM_H
#define KMS_HSM_IAM_H

#include "catalog_iam.h"
#include "policy.h"

#define KMS_INLINE_MAX 20u /* of one identity */
#define KMS_ATTACHED_MAX 20u /* likewise */
#define KMS_IDENTITY_DOCUMENT_MAX 32768u /* bytes; trust policies, too */
#define KMS_IDENTITIES_MAX 6000u
#define KMS_POLICIES_MAX 1500u

enum kms_principal_type { KMS_IS_SERVICE, KMS_IS_ROOT, KMS_IS_USER, KMS_IS_ROLE, KMS_IS_OTHER };

struct kms_identity {
	char arn[KMS_ARN_MAX]; /* or the name of a service */
	enum kms_principal_type type;
	char account[13]; /* "" for a service */
	const char *name; /* of a user or a role; within arn */
	bool in_catalog;
	uint64_t id; /* in the catalog */
	char unique_id[KMS_UNIQUE_ID_MAX];
	bool broken; /* something that it holds cannot be read */
	unsigned needs; /* of all its documents and the boundary */
	const struct pol_document **documents;
	const char **document_names; /* for explanations: "kmsd.yaml", "inline/NAME", "NAME" */
	size_t documents_count;
	const struct pol_document *boundary; /* NULL: none */
	const char *boundary_name;
	struct kms_tag *tags;
	size_t tags_count;
};

/* SLK_NO_MEMORY, and what the catalog says. catalog: borrowed; NULL: only the configuration, for tests. policy: borrowed. */
MUST_USE int kms_iam_new(
	const struct kms_policy *policy, struct kms_catalog *catalog, struct kms_iam **out_iam);
void kms_iam_free(struct kms_iam *iam); /* NULL allowed */

struct kms_realm kms_iam_realm(const struct kms_iam *iam);
struct kms_catalog *kms_iam_catalog(const struct kms_iam *iam);

/* NULL: no principal of that name is known. */
const struct kms_identity *kms_iam_find(const struct kms_iam *iam, const char *arn);
/* One that is not known, with what the configuration's wildcards give it; freed by kms_iam_forget(). For explanations. */
MUST_USE int kms_iam_imagine(
	const struct kms_iam *iam, const char *arn, struct kms_identity **out_identity);
void kms_iam_forget(struct kms_identity *identity); /* NULL allowed */

/* parsed is NULL if it cannot be read. */
const struct kms_document *kms_iam_key_policy(
	const struct kms_iam *iam, const uint8_t key_id[KMS_ID_BYTES]);
const struct kms_document *kms_iam_default_policy(const struct kms_iam *iam);
/* The text of the default policy. */
const char *kms_iam_default_text(const struct kms_iam *iam);
/* NULL: the stream has none. */
const struct kms_document *kms_iam_stream_policy(const struct kms_iam *iam, const char *stream);

size_t kms_iam_identities_count(const struct kms_iam *iam);
size_t kms_iam_policies_count(const struct kms_iam *iam);
/* How often something here has changed. */
uint64_t kms_iam_changes(const struct kms_iam *iam);

/* Everything is denied. */
bool kms_iam_is_stale(const struct kms_iam *iam);

/* --- after a change in the catalog: take over what is there now. An error (of the catalog, SLK_NO_MEMORY) is logged, and
 * all is stale. --- */
MUST_USE int kms_iam_identity_changed(
	struct kms_iam *iam, enum kms_identity_kind kind, const char *name);
MUST_USE int kms_iam_policy_changed(struct kms_iam *iam, const char *name);
MUST_USE int kms_iam_key_changed(struct kms_iam *iam, const uint8_t key_id[KMS_ID_BYTES]);
MUST_USE int kms_iam_stream_changed(struct kms_iam *iam, const char *stream);

#endif
