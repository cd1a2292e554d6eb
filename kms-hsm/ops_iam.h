/* What the operations on identities and policies share. Internal to ops_identities.c, ops_policies.c, ops_keypolicy.c.
 *
 * The order within a request is: parameters, documents included -> may the caller do it with what it names -> is that there
 * -> do it in the catalog -> take it over (iam.h). Each step ends the call if it does not return SLK_OK.
 */
#ifndef KMS_HSM_OPS_IAM_H
#define KMS_HSM_OPS_IAM_H

#include "call.h"

/* The actions of a request that is about a user or a role. */
struct kms_who_actions {
	const char *user, *role;
};

/* 1 to max - 1 of a-z A-Z 0-9 _ + = , . @ - */
MUST_USE int kms_call_check_name(struct kms_call *call, const char *name, size_t max);
/* A document of the kind, of at most max bytes; MalformedPolicyDocumentException says what is wrong and where. */
MUST_USE int kms_call_check_document(
	struct kms_call *call, const char *json, enum pol_kind kind, size_t max);
/* Do the users and roles of this account that it names exist? Asked after the caller was allowed, for it tells who there is.
 * json is sound. */
MUST_USE int kms_call_check_named(struct kms_call *call, const char *json, enum pol_kind kind);
/* The policy that a request is about, for the audit line. name is one of a policy. */
void kms_call_name_policy(struct kms_call *call, const char *name);
/* Authorise the action of its kind on what who names; *out_kind and *out_name (borrowed from who). */
MUST_USE int kms_call_authorize_who(struct kms_call *call, const Kmsp__Who *who,
	const struct kms_who_actions *actions, enum kms_identity_kind *out_kind,
	const char **out_name);
/* The same, and find it. */
MUST_USE int kms_call_find_who(struct kms_call *call, const Kmsp__Who *who,
	const struct kms_who_actions *actions, struct kms_identity_row *out_row);
/* Answer with nothing once the change is in force. */
void kms_call_end_who(struct kms_call *call, int rc, const struct kms_identity_row *row);
/* NoSuchEntityException for SLK_NOT_FOUND, and else what the catalog said. */
void kms_call_fail_entity(struct kms_call *call, int rc, const char *what, const char *name);
/* Answer with those that hold the policy. */
void kms_call_answer_holders(
	struct kms_call *call, uint64_t policy_id, const char *marker, size_t limit);
/* A description. */
MUST_USE int kms_call_check_text(struct kms_call *call, const char *text);

#endif
