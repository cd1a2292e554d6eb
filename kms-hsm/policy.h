/* The statements of the configuration, and the one decision point: may this principal do this action on this resource?
 *
 * A statement of kmsd.yaml is {effect, principals, actions, resources} with * and ? as wildcards (* matches any text, also /
 * and :). It is compiled into a document of IAM's form and counts as an identity policy of every principal that it names.
 * Action names ignore case, principals and resources do not.
 *
 * kms_policy_decide() puts together all that bears on a question: the identity policies of the principal (of the
 * configuration, and of the catalog for a user or a role that is known there), its boundary, the policy of the key or the
 * stream, and what was granted; lib/policy decides (policy/decide.h). Without anything that allows, the answer is no; an
 * explicit Deny wins. A document that cannot be read any more denies all that it bears on. Nothing is allocated. Thread:
 * read-only after kms_policy_new(), and one, the front's loop, for the rest.
 */
#ifndef KMS_HSM_POLICY_H
#define KMS_HSM_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "config.h"
#include "documents.h"
#include "names.h"

#define KMS_SENTENCE_MAX 1024u

struct kms_iam;
struct kms_policy;

/* --- the configuration --- */

/* SLK_CONFIG with a sentence (effect, unknown action, malformed principal or resource),
 * SLK_NO_MEMORY. */
MUST_USE int kms_policy_new(
	const struct kms_config *config, struct kms_policy **out_policy, struct slk_error *err);
void kms_policy_free(struct kms_policy *policy); /* NULL allowed */

struct kms_realm kms_policy_realm(const struct kms_policy *policy);
/* The principals that the configuration knows: of uids, roles, root, and the service of streams. NULL beyond the last. */
const char *kms_policy_principal(const struct kms_policy *policy, size_t index);
/* The documents of the statements that name the principal: how many, and the first cap of them. */
size_t kms_policy_documents(const struct kms_policy *policy, const char *principal,
	const struct kms_document **out, size_t cap);

/* Does text match pattern? ignore_case folds ASCII letters. */
bool kms_pattern_match(const char *pattern, const char *text, bool ignore_case);

/* Every action that there is, as policies name them. NULL beyond the last. */
const char *kms_policy_action(size_t index);

/* --- the decision --- */

struct kms_facts; /* facts.h: what the call is about, for conditions */
struct kms_session_view; /* session.h */

struct kms_question {
	const char *principal;
	const char *action; /* "kms:Decrypt" */
	const char *resource; /* an ARN, or "*" for an action on nothing in particular */
	/* The right follows from something else than a statement: a stream's binding to its key,
	 * given by who created the stream; the service's own streams; a grant. Stands for an Allow; a Deny
	 * still wins. */
	bool granted;
	const struct kms_facts *facts; /* NULL: none */
	const struct kms_session_view *session; /* of the role that principal is; NULL: none */
};

/* SLK_OK, or SLK_DENIED with a sentence that names principal, action and resource in out_sentence.
 */
MUST_USE int kms_policy_decide(const struct kms_iam *iam, const struct kms_question *question,
	char out_sentence[KMS_SENTENCE_MAX]);

#endif
