#include "policy/decide.h"

#include <stdio.h>
#include <string.h>

/* What a set of documents says: the first that denies, or the first that allows. */
struct said {
	enum pol_match match;
	size_t document, statement;
};

static struct said
ask(const struct pol_document *const *documents, size_t count, const struct pol_query *query)
{
	struct said best = {POL_MATCH_NONE, 0, 0};

	for (size_t i = 0; i < count; i++) {
		struct pol_verdict v = pol_document_evaluate(documents[i], query);
		if (v.match > best.match)
			best = (struct said){v.match, i, v.statement};
		if (v.match == POL_MATCH_DENY)
			break;
	}
	return best;
}

static struct said
ask_one(const struct pol_document *document, const struct pol_query *query)
{
	return ask(&document, document != NULL ? 1 : 0, query);
}

static struct pol_decision
decided(bool allowed, enum pol_reason reason, struct said by)
{
	return (struct pol_decision){allowed, reason, by.document, by.statement};
}

static bool
same_account(const struct pol_case *c, const struct pol_query *query)
{
	return c->resource_account == NULL || query->is_service ||
		strcmp(c->resource_account, query->account) == 0;
}

/* Where does the right come from, limits aside? */
static struct pol_decision
source(const struct pol_case *c, const struct pol_query *query, struct said identity,
	struct said resource)
{
	bool by_identity = identity.match == POL_MATCH_ALLOW;
	bool direct = resource.match >= POL_MATCH_ALLOW;
	bool delegated = resource.match == POL_MATCH_ACCOUNT;

	if (!same_account(c, query)) {
		if (!direct && !delegated && !c->granted)
			return decided(false, POL_NO_RESOURCE, resource);
		return by_identity ? decided(true, POL_ALLOWED_DELEGATED, identity)
				   : decided(false, POL_NO_IDENTITY, identity);
	}
	if (direct)
		return decided(true, POL_ALLOWED_RESOURCE, resource);
	if (by_identity && (delegated || !c->is_key))
		return decided(
			true, delegated ? POL_ALLOWED_DELEGATED : POL_ALLOWED_IDENTITY, identity);
	if (c->granted)
		return decided(true, POL_ALLOWED_GRANT, resource);
	if (c->is_key && !delegated)
		return decided(false, POL_NO_RESOURCE, resource);
	return decided(false, POL_NO_IDENTITY, identity);
}

struct pol_decision
pol_decide(const struct pol_case *c, const struct pol_query *query)
{
	struct said identity = ask(c->identity, c->identity_count, query);
	struct said session = ask(c->session, c->session_count, query);
	struct said boundary = ask_one(c->boundary, query);
	struct said resource = ask_one(c->resource, query);

	if (identity.match == POL_MATCH_DENY)
		return decided(false, POL_DENIED_IDENTITY, identity);
	if (session.match == POL_MATCH_DENY)
		return decided(false, POL_DENIED_SESSION, session);
	if (boundary.match == POL_MATCH_DENY)
		return decided(false, POL_DENIED_BOUNDARY, boundary);
	if (resource.match == POL_MATCH_DENY)
		return decided(false, POL_DENIED_RESOURCE, resource);
	struct pol_decision d = source(c, query, identity, resource);
	bool unlimited = resource.match == POL_MATCH_ALLOW_SESSION && same_account(c, query);
	if (!d.allowed || unlimited)
		return d;
	if (c->boundary != NULL && boundary.match == POL_MATCH_NONE)
		return decided(false, POL_NO_BOUNDARY, boundary);
	if (c->session_count > 0 && session.match == POL_MATCH_NONE)
		return decided(false, POL_NO_SESSION, session);
	return d;
}

void
pol_decision_because(
	const struct pol_decision *decision, const struct pol_query *query, char *out, size_t cap)
{
	static const char *const kinds[] = {
		[POL_DENIED_IDENTITY] = "an identity-based policy",
		[POL_DENIED_SESSION] = "a session policy",
		[POL_DENIED_BOUNDARY] = "a permissions boundary",
		[POL_DENIED_RESOURCE] = "a resource-based policy",
		[POL_NO_IDENTITY] = "identity-based policy",
		[POL_NO_SESSION] = "session policy",
		[POL_NO_BOUNDARY] = "permissions boundary",
		[POL_NO_RESOURCE] = "resource-based policy",
	};

	if (decision->allowed)
		(void)snprintf(out, cap, "%s", "");
	else if (decision->reason < POL_NO_IDENTITY)
		(void)snprintf(out, cap, "with an explicit deny in %s", kinds[decision->reason]);
	else
		(void)snprintf(out, cap, "because no %s allows the %s action",
			kinds[decision->reason], query->action);
}
