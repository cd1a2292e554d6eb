/* A policy document: IAM's JSON, parsed once into statements that are evaluated without allocation.
 *
 * Elements: Version (required, 2012-10-17, or 2008-10-17 without policy variables), Id, Statement (one or a list, not empty),
 * and in a statement Sid, Effect, Principal, Action or NotAction, Resource or NotResource, Condition. Anything else, an
 * element twice, and NotPrincipal (an Allow with it opens the door to everybody else; write a Condition on aws:PrincipalArn)
 * is refused, so a misspelt Condition never widens a right. Limits: POL_DOCUMENT_MAX bytes, nesting of 16, 1,024 keys in
 * an object, values of 2,048 bytes with 8 variables and 32 ?. So both parsing and deciding stay in the milliseconds, whatever a
 * document says. Thread: read-only once parsed; free it when nobody uses it any more.
 */
#ifndef SLK_POLICY_DOCUMENT_H
#define SLK_POLICY_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/status.h"
#include "policy/query.h"

#define POL_DOCUMENT_MAX 131072u

struct pol_document;

enum pol_kind {
	POL_IDENTITY, /* attached to a principal: no Principal, but a Resource */
	POL_RESOURCE, /* attached to a key or a stream: both */
	POL_TRUST, /* who may assume a role: a Principal, no Resource */
};

/* What is wrong with a text, and where; lines and columns (bytes) count from 1. */
struct pol_problem {
	unsigned line, column;
	char text[192];
};

/* SLK_MALFORMED with *out_problem; SLK_TOO_LARGE (also with a problem), SLK_NO_MEMORY. out_problem may not be NULL. */
MUST_USE int pol_document_parse(struct slk_span json, enum pol_kind kind,
	struct pol_document **out_document, struct pol_problem *out_problem);
void pol_document_free(struct pol_document *document); /* NULL allowed */

size_t pol_document_statements_count(const struct pol_document *document);

/* Whom statements name, one after the other. */
enum pol_who { POL_WHO_ANYBODY, POL_WHO_ACCOUNT, POL_WHO_ARN, POL_WHO_SERVICE };
struct pol_named {
	enum pol_who who;
	const char *text; /* terminated: the ARN, the service; NULL for the others */
	size_t statement;
	unsigned line; /* where the statement begins */
};
/* false: there are no more. Text lives as long as the document. */
bool pol_document_named(
	const struct pol_document *document, size_t index, struct pol_named *out_named);

/* What one document says to a query. */
enum pol_match {
	POL_MATCH_NONE,
	POL_MATCH_ACCOUNT, /* a resource's policy lets the principal's account decide (its identity policies) */
	POL_MATCH_ALLOW,
	POL_MATCH_ALLOW_SESSION, /* a resource's policy names the very session */
	POL_MATCH_DENY,
};

struct pol_verdict {
	enum pol_match match;
	size_t statement; /* that decided; of no meaning with POL_MATCH_NONE */
};

/* Looks at every statement; a Deny that matches wins, otherwise the strongest. query is prepared. */
struct pol_verdict pol_document_evaluate(
	const struct pol_document *document, const struct pol_query *query);

/* How far a statement got with a query, for explanations. */
enum pol_stage {
	POL_STAGE_ACTION, /* the action is another */
	POL_STAGE_RESOURCE,
	POL_STAGE_PRINCIPAL,
	POL_STAGE_CONDITION,
	POL_STAGE_MATCHED,
};

struct pol_view {
	const char *sid; /* "" if it has none */
	unsigned line; /* where it begins */
	bool deny;
	enum pol_stage stage; /* what failed */
	const char *condition_operator; /* with POL_STAGE_CONDITION: which */
	const char *condition_key;
};

/* index: below pol_document_statements_count(). Strings live as long as the document. */
void pol_document_explain(const struct pol_document *document, size_t index,
	const struct pol_query *query, struct pol_view *out_view);

#endif
