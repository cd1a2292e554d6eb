/* The policy and the one decision point: may this principal do this action on this resource?
 *
 * A first, flat policy: statements of the configuration, each {effect, principals, actions,
 * resources} with * and ? as wildcards (* matches any text, also / and :). All statements are
 * looked at; a Deny that matches wins; without an Allow that matches the answer is no. Action names
 * ignore case, principals and resources do not. Key policies, IAM documents, conditions and grants
 * join behind kms_policy_decide(); callers stay as they are. Thread: read-only after
 * kms_policy_new().
 */
#ifndef KMS_HSM_POLICY_H
#define KMS_HSM_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "config.h"
#include "names.h"

#define KMS_SENTENCE_MAX 1024u

struct kms_policy;

/* SLK_CONFIG with a sentence (effect, unknown action, malformed principal or resource),
 * SLK_NO_MEMORY. */
MUST_USE int kms_policy_new(
	const struct kms_config *config, struct kms_policy **out_policy, struct slk_error *err);
void kms_policy_free(struct kms_policy *policy); /* NULL allowed */

struct kms_question {
	const char *principal;
	const char *action; /* "kms:Decrypt" */
	const char *resource; /* an ARN, or "*" for an action on nothing in particular */
	/* The right follows from something else than a statement: a stream's binding to its key,
	 * given by who created the stream; the service's own streams. Stands for an Allow; a Deny
	 * still wins. */
	bool granted;
};

/* SLK_OK, or SLK_DENIED with a sentence that names principal, action and resource in out_sentence.
 */
MUST_USE int kms_policy_decide(const struct kms_policy *policy, const struct kms_question *question,
	char out_sentence[KMS_SENTENCE_MAX]);

/* Does text match pattern? ignore_case folds ASCII letters. */
bool kms_pattern_match(const char *pattern, const char *text, bool ignore_case);

#endif
