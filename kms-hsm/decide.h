/* A question put together for lib/policy: for the decision itself, for the lockout check, and for explanations. What is put
 * together is valid until the next question, and is one thread's: the front's.
 */
#ifndef KMS_HSM_DECIDE_H
#define KMS_HSM_DECIDE_H

#include "iam.h"
#include "policy/decide.h"

struct kms_case {
	const struct kms_identity *who;
	const struct kms_document *resource; /* NULL: it has no policy */
	struct pol_case documents;
	struct pol_query query;
	const char *broken; /* NULL, or why all is denied, as the end of a sentence */
};

/* who: whose principal the question names. resource: in place of the policy that the key or the stream has; NULL: that one.
 * SLK_INTERNAL: the question is larger than a policy can be asked. */
MUST_USE int kms_case_put(const struct kms_iam *iam, const struct kms_identity *who,
	const struct kms_question *question, const struct kms_document *resource,
	const struct kms_case **out_case);

/* What the documents that bear on a question look at: enum kms_needs. */
unsigned kms_question_needs(const struct kms_iam *iam, const struct kms_question *question);

/* Condition keys of the request and of the principal, as far as needs says. *out_values lives until the next question.
 * SLK_LIMIT. */
MUST_USE int kms_values_gather(const struct kms_iam *iam, const struct kms_identity *who,
	const struct kms_question *question, unsigned needs, const struct pol_value **out_values,
	size_t *out_count);

#endif
