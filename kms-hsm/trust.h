/* May a principal assume a role? The role's trust policy is primary, as the policy of a key is (policy/decide.h): it names the
 * principal, or it names the account, and then an identity policy of the principal has to allow, too; a principal of another
 * account needs both. An explicit Deny wins, and a boundary limits. Thread: the front's loop.
 */
#ifndef KMS_HSM_TRUST_H
#define KMS_HSM_TRUST_H

#include "decide.h"

/* resource of the question is the role's ARN; trust: its policy, NULL if there is no such role or none that can be read.
 * SLK_OK, or SLK_DENIED with a sentence that names principal, action and role, and does not tell whether the role exists. */
MUST_USE int kms_trust_decide(const struct kms_iam *iam, const struct kms_question *question,
	const struct kms_document *trust, char out_sentence[KMS_SENTENCE_MAX]);

/* The role and its trust policy as the catalog has them: name "" if there is no such role, *out_trust without a document if
 * that cannot be read, which the log says. Freed by kms_document_free(). What the catalog says, SLK_NO_MEMORY. */
MUST_USE int kms_trust_find(struct kms_catalog *catalog, const char *name,
	struct kms_identity_row *out_role, struct kms_document *out_trust);

/* Is it a right that trust policies give: sts:AssumeRole, TagSession, SetSourceIdentity? */
bool kms_trust_is_action(const char *action);
/* The question's documents as kms_trust_decide() puts them together; c is of kms_case_put(). */
struct kms_case kms_trust_case(const struct kms_iam *iam, const struct kms_case *c);

#endif
