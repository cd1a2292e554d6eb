/* The decision: all documents that bear on a query, together.
 *
 *     an explicit Deny in any document         denied
 *     a key (its own policy is primary)        its policy allows the principal; or it lets the account decide and an identity
 *                                              policy allows; or a grant allows
 *     a stream                                 its policy allows the principal, or an identity policy allows
 *     nothing in particular                    an identity policy allows
 *     a principal of another account           both sides: the resource's policy (or a grant) and an identity policy
 *     limits                                   a boundary and the policies of a session must allow, too, wherever the right
 *                                              comes from; but not where the policy of a resource of the same account names
 *                                              the very session
 *     otherwise                                denied
 *
 * An identity policy alone gives no right on a key whose policy does not name the account. Thread: any; nothing is kept.
 */
#ifndef SLK_POLICY_DECIDE_H
#define SLK_POLICY_DECIDE_H

#include "policy/document.h"

struct pol_case {
	const struct pol_document *const *identity; /* of the user, or of the role */
	size_t identity_count;
	const struct pol_document *const *session; /* given with AssumeRole */
	size_t session_count;
	const struct pol_document *boundary; /* NULL: none */
	const struct pol_document *resource; /* NULL: the resource has no policy */
	bool is_key; /* the resource's policy is primary */
	bool granted; /* a grant allows it */
	const char *resource_account; /* NULL: the principal's own */
};

enum pol_reason {
	POL_ALLOWED_IDENTITY,
	POL_ALLOWED_RESOURCE,
	POL_ALLOWED_DELEGATED, /* by an identity policy, as the resource's policy lets the account decide */
	POL_ALLOWED_GRANT,
	POL_DENIED_IDENTITY, /* explicitly */
	POL_DENIED_SESSION,
	POL_DENIED_BOUNDARY,
	POL_DENIED_RESOURCE,
	POL_NO_IDENTITY, /* no identity policy allows */
	POL_NO_SESSION,
	POL_NO_BOUNDARY,
	POL_NO_RESOURCE, /* the resource's policy neither allows nor delegates */
};

struct pol_decision {
	bool allowed;
	enum pol_reason reason;
	size_t document; /* index in identity or session, where the reason is of these */
	size_t statement; /* that decided; of no meaning with POL_NO_* and a grant */
};

/* query is prepared. */
struct pol_decision pol_decide(const struct pol_case *c, const struct pol_query *query);

/* "because no identity-based policy allows the kms:Decrypt action", "with an explicit deny in a resource-based policy":
 * how AWS ends its sentence. out is always terminated. Only for what is not allowed. */
void pol_decision_because(
	const struct pol_decision *decision, const struct pol_query *query, char *out, size_t cap);

#endif
