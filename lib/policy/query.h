/* What is asked: may this principal do this action on this resource, in these circumstances?
 *
 * A query is filled by the caller, who keeps what it points to alive, and prepared once; then any number of documents are
 * evaluated against it. Thread: one at a time while it is prepared, any afterwards.
 */
#ifndef SLK_POLICY_QUERY_H
#define SLK_POLICY_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strings.h>

#include "base/status.h"
#include "policy/gate.h"
#include "policy/same.h"

#define POL_ACTION_MAX 128u /* with terminator */
#define POL_VALUES_MAX 256u /* an encryption context, and tags of three kinds */

/* One condition key of the request, "aws:SourceArn", "kms:EncryptionContext:aws:kinesis:arn", with its values. A key that is
 * absent is not the same as one with no values: an empty set makes ForAllValues true. Keys are compared without case; a key
 * may be given several times (an encryption context may have A and a), its values then count together. */
struct pol_value {
	const char *key;
	const char *const *values;
	size_t count;
};

/* A condition key's name with its hash, which is the same for names that differ in case only. */
struct pol_key {
	const char *name;
	uint32_t hash, len;
};
struct pol_key pol_key(const char *name);

struct pol_query {
	/* An IAM ARN (user, role, root), or a service's name, kinesis.amazonaws.com. */
	const char *principal;
	bool is_service;
	const char
		*session; /* ARN of an assumed-role session, or NULL; principal is the role then */
	/* The account's root has what identity policies give it, as everybody else: a resource's policy that names the account
	 * lets it decide for its root, too. Otherwise, as in AWS, such a policy allows root by itself. */
	bool root_by_identity;
	const char *account; /* of the principal, 12 digits; "" for a service */
	const char *action; /* kms:Decrypt */
	const char *resource; /* an ARN, or "*" for an action on nothing in particular */
	const struct pol_value *values;
	size_t values_count;

	/* Set by pol_query_prepare(). */
	char folded_action[POL_ACTION_MAX];
	size_t action_len, resource_len, principal_len, session_len;
	struct pol_gate gate; /* of the action */
	uint32_t hashes[POL_VALUES_MAX], lens[POL_VALUES_MAX]; /* of the keys of values */
};

/* SLK_INVALID: a member is missing, or action or the number of values is over its limit. */
MUST_USE int pol_query_prepare(struct pol_query *query);

/* The first of query->values at or after from that has this key; values_count if there is none. Hashes differ nearly always. */
static inline size_t
pol_query_find(const struct pol_query *query, const struct pol_key *key, size_t from)
{
	for (size_t i = from; i < query->values_count; i++)
		if (query->hashes[i] == key->hash && query->lens[i] == key->len &&
			(pol_same(query->values[i].key, key->name, key->len) ||
				strcasecmp(query->values[i].key, key->name) == 0))
			return i;
	return query->values_count;
}

/* The only value of a key: NULL if there is none, or more. For policy variables: ctx is the query. */
const char *pol_query_single(const void *ctx, const char *key, size_t *out_len);

#endif
