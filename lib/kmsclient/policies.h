/* Policies, as kmsd keeps them: managed ones and who holds them, boundaries, those of keys and of streams; and what they
 * say to a question.
 *
 * Conventions, documents, lists and errors: iam.h. A managed policy is named by its name or its ARN; a key by its id or
 * ARN, as in life.h.
 */
#ifndef SLK_KMSCLIENT_POLICIES_H
#define SLK_KMSCLIENT_POLICIES_H

#include "kmsclient/iam.h"

/* A managed policy, without its text. */
struct kmsc_policy {
	char name[KMSC_POLICY_NAME_MAX];
	char arn[KMSC_ARN_MAX];
	char description[KMSC_IAM_TEXT_MAX]; /* "" in a list */
	uint64_t created_ns, changed_ns; /* wall clock */
	uint32_t attachments_count; /* identities that hold it, boundaries included */
};

/* description: NULL for "". */
MUST_USE int kmsc_create_policy(struct kmsc *c, const char *name, const char *document,
	const char *description, struct kmsc_policy *out_policy, struct slk_error *err);
/* out_document: KMSC_DOCUMENT_MAX bytes, or NULL. */
MUST_USE int kmsc_get_policy(struct kmsc *c, const char *policy, struct kmsc_policy *out_policy,
	char *out_document, struct slk_error *err);
/* In force at the next decision, for everybody it is attached to. */
MUST_USE int kmsc_update_policy(struct kmsc *c, const char *policy, const char *document,
	struct kmsc_policy *out_policy, struct slk_error *err);
/* SLK_INVALID_STATE: somebody holds it. */
MUST_USE int kmsc_delete_policy(struct kmsc *c, const char *policy, struct slk_error *err);
MUST_USE int kmsc_list_policies(struct kmsc *c, const char *marker,
	struct kmsc_policy *out_policies, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);

/* --- who holds them --- */

MUST_USE int kmsc_attach_policy(
	struct kmsc *c, struct kmsc_who who, const char *policy, struct slk_error *err);
MUST_USE int kmsc_detach_policy(
	struct kmsc *c, struct kmsc_who who, const char *policy, struct slk_error *err);
MUST_USE int kmsc_list_attached_policies(struct kmsc *c, struct kmsc_who who, const char *marker,
	struct kmsc_policy *out_policies, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);
MUST_USE int kmsc_list_policy_holders(struct kmsc *c, const char *policy, const char *marker,
	struct kmsc_identity *out_identities, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);
/* The most that an identity may ever do. */
MUST_USE int kmsc_put_boundary(
	struct kmsc *c, struct kmsc_who who, const char *policy, struct slk_error *err);
MUST_USE int kmsc_delete_boundary(struct kmsc *c, struct kmsc_who who, struct slk_error *err);

/* --- of keys and of streams --- */

/* A document under which the caller could not put another one is refused unless bypass_lockout_check. */
MUST_USE int kmsc_put_key_policy(struct kmsc *c, const char *key_id, const char *document,
	bool bypass_lockout_check, struct slk_error *err);
/* out_document: KMSC_DOCUMENT_MAX bytes. Every key has one policy, called "default". */
MUST_USE int kmsc_get_key_policy(
	struct kmsc *c, const char *key_id, char *out_document, struct slk_error *err);
MUST_USE int kmsc_list_key_policies(struct kmsc *c, const char *key_id, const char *marker,
	char (*out_names)[KMSC_POLICY_NAME_MAX], size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);

/* stream: its name or its ARN. */
MUST_USE int kmsc_put_resource_policy(
	struct kmsc *c, const char *stream, const char *document, struct slk_error *err);
/* "" for a stream without one. */
MUST_USE int kmsc_get_resource_policy(
	struct kmsc *c, const char *stream, char *out_document, struct slk_error *err);
MUST_USE int kmsc_delete_resource_policy(struct kmsc *c, const char *stream, struct slk_error *err);

/* --- explain (explain.c) --- */

/* A condition key and its values. */
struct kmsc_condition {
	const char *key; /* "aws:SourceArn" */
	const char *const *values;
	size_t values_count;
};

struct kmsc_question {
	const char *principal; /* user/NAME, role/NAME, root, an ARN, a service; NULL: uid */
	uint32_t uid; /* a local user */
	const char *action; /* "kms:Decrypt" */
	const char *resource; /* a key, stream/NAME, an ARN, "*" */
	const struct fmt_context *context; /* encryption context; NULL: none */
	const struct kmsc_condition *values; /* in place of those that kmsd would fill in */
	size_t values_count; /* 0..KMSC_QUESTION_VALUES_MAX */
};
#define KMSC_QUESTION_VALUES_MAX 64u

struct kmsc_explained_statement {
	uint32_t index; /* from 0 */
	uint32_t line; /* where it begins, from 1 */
	const char *sid; /* "": none */
	const char *stage; /* "Matched", or what did not: Action, Resource, Principal, Condition */
	const char *condition_operator, *condition_key; /* with Condition: what failed */
	bool deny;
	bool decided; /* this one made the decision */
};
struct kmsc_explained_policy {
	const char *kind; /* identity, boundary, session, key, stream */
	const char *name;
	const struct kmsc_explained_statement *statements;
	size_t statements_count;
};
struct kmsc_explanation {
	bool allowed;
	bool truncated; /* there is more than a reply holds */
	const char *sentence; /* the refusal as its caller gets it, or why it is allowed */
	const char *reason; /* AllowedByIdentityPolicy, NoIdentityPolicyAllows, ... */
	const char *principal, *action, *resource;
	const struct kmsc_explained_policy *policies; /* all that were looked at */
	size_t policies_count;
	const struct kmsc_condition *values; /* what conditions saw */
	size_t values_count;
	void *memory; /* of all of it */
};

/* Would it be allowed, and which statement says so? Nothing is done, and no state of a key is looked at. *out is the
 * caller's to end with kmsc_explanation_fini(). SLK_LIMIT, SLK_NO_MEMORY. */
MUST_USE int kmsc_explain(struct kmsc *c, const struct kmsc_question *question,
	struct kmsc_explanation *out, struct slk_error *err);
void kmsc_explanation_fini(struct kmsc_explanation *explanation); /* NULL allowed */

#endif
