/* Users and roles, as kmsd keeps them: who there is, what they are tagged with, who may assume a role, their inline
 * policies. For administrators. Managed policies, and who holds them: policies.h.
 *
 * As kmsclient.h: what is wrong leaves a sentence in *err; outputs are untouched on error. Names are those of the user or
 * the role, no ARNs. A document is JSON text, terminated; kmsd answers SLK_INVALID with line, column and reason for one
 * that it does not take, and the one before it stays in force. Whatever is set is in force at kmsd's next decision. Lists
 * come page by page, as in life.h: up to cap entries after marker ("" first); *out_next, a buffer of KMSC_MARKER_MAX
 * bytes, is "" at the end. Thread: the client's.
 *
 * Errors beyond those of kmsclient.h: SLK_EXISTS (names are unique without regard to case), SLK_TOO_LARGE, a request that
 * does not fit KMSP_FRAME_MAX (wire.h). After a lost answer, what creates or deletes is not asked again but answers
 * SLK_UNAVAILABLE: look before you repeat it.
 */
#ifndef SLK_KMSCLIENT_IAM_H
#define SLK_KMSCLIENT_IAM_H

#include "kmsclient/kmsclient.h"
#include "kmsclient/life.h"

#define KMSC_IDENTITY_NAME_MAX 65u /* of a user or a role, with terminator */
#define KMSC_POLICY_NAME_MAX 129u /* of a policy, likewise */
#define KMSC_IAM_TEXT_MAX 4001u /* a description: 1,000 characters of UTF-8, likewise */
#define KMSC_DOCUMENT_MAX 131073u /* the longest policy document, likewise */

/* A user or a role, by its name. */
struct kmsc_who {
	bool is_role;
	const char *name;
};

struct kmsc_identity {
	char arn[KMSC_ARN_MAX];
	char name[KMSC_IDENTITY_NAME_MAX];
	char id[32]; /* never given twice: AIDA... a user, AROA... a role */
	char description[KMSC_IAM_TEXT_MAX]; /* of a role; "" in a list */
	char boundary[KMSC_ARN_MAX]; /* of the policy; "": none, and in a list */
	uint64_t created_ns; /* wall clock */
	uint32_t max_session_s; /* of a role */
};
/* What a list does not tell. About 210 KiB. */
struct kmsc_identity_detail {
	struct kmsc_tag tags[KMSC_TAGS_MAX];
	size_t tags_count;
	char trust_policy[KMSC_DOCUMENT_MAX]; /* of a role: who may assume it */
};

MUST_USE int kmsc_create_user(struct kmsc *c, const char *name, const struct kmsc_tag *tags,
	size_t tags_count, struct kmsc_identity *out_user, struct slk_error *err);

struct kmsc_role_kind {
	const char *name;
	const char *trust_policy;
	const char *description; /* NULL: "" */
	uint32_t max_session_s; /* 3,600..43,200; 0: 3,600 */
	const struct kmsc_tag *tags;
	size_t tags_count; /* 0..KMSC_TAGS_MAX */
};
MUST_USE int kmsc_create_role(struct kmsc *c, const struct kmsc_role_kind *kind,
	struct kmsc_identity *out_role, struct slk_error *err);

/* out_detail may be NULL. */
MUST_USE int kmsc_get_identity(struct kmsc *c, struct kmsc_who who,
	struct kmsc_identity *out_identity, struct kmsc_identity_detail *out_detail,
	struct slk_error *err);
/* Users or roles. */
MUST_USE int kmsc_list_identities(struct kmsc *c, bool roles, const char *marker,
	struct kmsc_identity *out_identities, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);
/* SLK_INVALID_STATE: it holds policies or access keys. */
MUST_USE int kmsc_delete_identity(struct kmsc *c, struct kmsc_who who, struct slk_error *err);

/* Set tags; those with the same keys are replaced. */
MUST_USE int kmsc_tag_identity(struct kmsc *c, struct kmsc_who who, const struct kmsc_tag *tags,
	size_t count, struct slk_error *err);
/* What is not there is no error. */
MUST_USE int kmsc_untag_identity(struct kmsc *c, struct kmsc_who who, const char *const *tag_keys,
	size_t count, struct slk_error *err);

MUST_USE int kmsc_update_trust_policy(
	struct kmsc *c, const char *role, const char *document, struct slk_error *err);

/* --- inline policies --- */

/* One that is there is replaced. */
MUST_USE int kmsc_put_inline_policy(struct kmsc *c, struct kmsc_who who, const char *name,
	const char *document, struct slk_error *err);
/* out_document: KMSC_DOCUMENT_MAX bytes. */
MUST_USE int kmsc_get_inline_policy(struct kmsc *c, struct kmsc_who who, const char *name,
	char *out_document, struct slk_error *err);
MUST_USE int kmsc_delete_inline_policy(
	struct kmsc *c, struct kmsc_who who, const char *name, struct slk_error *err);
MUST_USE int kmsc_list_inline_policies(struct kmsc *c, struct kmsc_who who, const char *marker,
	char (*out_names)[KMSC_POLICY_NAME_MAX], size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);

#endif
