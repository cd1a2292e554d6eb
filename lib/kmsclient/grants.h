/* Grants: rights on one key for one principal, given and taken back without a policy.
 *
 * As kmsclient.h and, for keys and lists, life.h. A grant is in force, and a revoked one gone, at kmsd's next decision.
 * Tokens are taken and given as in AWS, but none is needed. Thread: the client's.
 *
 * Errors beyond those of kmsclient.h: after a lost answer, what creates, retires or revokes is not asked again but answers
 * SLK_UNAVAILABLE: look before you repeat it.
 */
#ifndef SLK_KMSCLIENT_GRANTS_H
#define SLK_KMSCLIENT_GRANTS_H

#include "kmsclient/kmsclient.h"
#include "kmsclient/life.h"

#define KMSC_GRANT_ID_MAX 65u /* hex, with terminator */
#define KMSC_GRANT_TOKEN_MAX 129u /* likewise */
#define KMSC_GRANT_NAME_MAX 257u /* with terminator */
#define KMSC_GRANT_OPERATIONS_MAX 20u

struct kmsc_grant {
	char id[KMSC_GRANT_ID_MAX];
	char key_arn[KMSC_ARN_MAX];
	char name[KMSC_GRANT_NAME_MAX]; /* "": none */
	char grantee[KMSC_ARN_MAX];
	char retiring[KMSC_ARN_MAX]; /* "": nobody in particular */
	char issuer[KMSC_ARN_MAX];
	char operations[KMSC_GRANT_OPERATIONS_MAX][40]; /* "Decrypt" */
	size_t operations_count;
	struct fmt_context *context_equals, *context_subset; /* constraints; NULL: none */
	char source_arn[KMSC_ARN_MAX]; /* constraint; "": none */
	uint64_t created_ns; /* wall clock */
};
/* Frees what count grants hold. */
void kmsc_grants_fini(struct kmsc_grant *grants, size_t count);

/* What to grant. NULL: none. */
struct kmsc_grant_kind {
	const char *key_id; /* id or ARN */
	const char *grantee; /* ARN of a user, a role or root */
	const char *retiring;
	const char *const *operations;
	size_t operations_count; /* 1..KMSC_GRANT_OPERATIONS_MAX */
	const struct fmt_context *context_equals, *context_subset; /* at most one of the two */
	const char *source_arn;
	const char *name; /* with one, the same request again gives the same grant */
};
/* out_id: KMSC_GRANT_ID_MAX bytes, out_token: KMSC_GRANT_TOKEN_MAX. SLK_LIMIT. */
MUST_USE int kmsc_create_grant(struct kmsc *c, const struct kmsc_grant_kind *kind, char *out_id,
	char *out_token, struct slk_error *err);

/* Those of a key; of one grantee, or all with NULL. out_grants are the caller's to end. */
MUST_USE int kmsc_list_grants(struct kmsc *c, const char *key_id, const char *grantee,
	const char *marker, struct kmsc_grant *out_grants, size_t cap, size_t *out_count,
	char *out_next, struct slk_error *err);
/* One by its id. SLK_NOT_FOUND. */
MUST_USE int kmsc_get_grant(struct kmsc *c, const char *key_id, const char *grant_id,
	struct kmsc_grant *out_grant, struct slk_error *err);
/* Those that a principal may retire, of all keys. */
MUST_USE int kmsc_list_retirable_grants(struct kmsc *c, const char *retiring, const char *marker,
	struct kmsc_grant *out_grants, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);

/* Given back by who holds it or was named to retire it: by its token, or (NULL) by key and id. */
MUST_USE int kmsc_retire_grant(struct kmsc *c, const char *token, const char *key_id,
	const char *grant_id, struct slk_error *err);
/* Taken back by who administrates the key. */
MUST_USE int kmsc_revoke_grant(
	struct kmsc *c, const char *key_id, const char *grant_id, struct slk_error *err);

#endif
