/* policy_eval: decide cases by lib/policy, for comparison with policy_oracle.py, which says what a case and an answer are.
 * Here a case's documents are JSON texts inside the JSON, so that they reach the parser byte by byte. An empty line flushes.
 * Answers besides the oracle's: "E LINE:COLUMN reason" for a document that is refused, and "!" where an explanation is not
 * what the evaluation says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_tree.h>

#include "policy/decide.h"

enum { DOCUMENTS_MAX = 16, VALUES_MAX = 16 };

struct side {
	struct pol_document *documents[DOCUMENTS_MAX];
	size_t count;
};

struct eval {
	struct side identity, session, boundary, resource;
	struct pol_query query;
	struct pol_value values[VALUES_MAX];
	const char *strings[VALUES_MAX][VALUES_MAX];
	struct pol_problem problem;
};

static void
need(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "policy_eval: %s\n", what);
		exit(1);
	}
}

static yajl_val
member(yajl_val object, const char *name)
{
	const char *path[] = {name, NULL};
	yajl_val v = yajl_tree_get(object, path, yajl_t_any);
	need(v != NULL, name);
	return v;
}

static const char *
string_of(yajl_val v)
{
	need(YAJL_IS_STRING(v) || YAJL_IS_NULL(v), "a string or null is expected");
	return YAJL_IS_STRING(v) ? YAJL_GET_STRING(v) : NULL;
}

static size_t
items(yajl_val list)
{
	need(YAJL_IS_ARRAY(list), "a list is expected");
	return list->u.array.len;
}

static yajl_val
item(yajl_val list, size_t index)
{
	need(index < items(list), "a list is too short");
	return list->u.array.values[index];
}

static int
parse_one(struct eval *e, struct side *side, yajl_val text, enum pol_kind kind)
{
	const char *json = string_of(text);
	need(json != NULL && side->count < DOCUMENTS_MAX, "documents are strings, and not many");
	int rc = pol_document_parse((struct slk_span){(const uint8_t *)json, strlen(json)}, kind,
		&side->documents[side->count], &e->problem);
	if (!rc)
		side->count++;
	return rc;
}

static int
parse_side(struct eval *e, struct side *side, yajl_val v, enum pol_kind kind)
{
	if (YAJL_IS_NULL(v))
		return 0;
	if (!YAJL_IS_ARRAY(v))
		return parse_one(e, side, v, kind);
	int rc = 0;
	for (size_t i = 0; !rc && i < items(v); i++)
		rc = parse_one(e, side, item(v, i), kind);
	return rc;
}

/* context: [[key, [values]]...] */
static void
fill_values(struct eval *e, yajl_val context)
{
	size_t n = items(context);
	need(n <= VALUES_MAX, "too many condition keys");
	for (size_t i = 0; i < n; i++) {
		yajl_val list = item(item(context, i), 1);
		e->values[i].key = string_of(item(item(context, i), 0));
		e->values[i].values = e->strings[i];
		e->values[i].count = items(list);
		need(e->values[i].count <= VALUES_MAX, "too many values");
		for (size_t j = 0; j < e->values[i].count; j++)
			e->strings[i][j] = string_of(item(list, j));
	}
	e->query.values = e->values;
	e->query.values_count = n;
}

static void
fill_query(struct eval *e, yajl_val q)
{
	e->query.principal = string_of(member(q, "principal"));
	e->query.is_service = YAJL_IS_TRUE(member(q, "is_service"));
	e->query.session = string_of(member(q, "session"));
	e->query.account = string_of(member(q, "account"));
	e->query.action = string_of(member(q, "action"));
	e->query.resource = string_of(member(q, "resource"));
	fill_values(e, member(q, "context"));
	need(pol_query_prepare(&e->query) == 0, "the query is refused");
}

/* Prints the match of each document; false if an explanation contradicts it. */
static bool
print_matches(const struct side *side, const struct pol_query *query)
{
	bool same = true;
	for (size_t i = 0; i < side->count; i++) {
		struct pol_verdict v = pol_document_evaluate(side->documents[i], query);
		size_t n = pol_document_statements_count(side->documents[i]), matched = 0;
		for (size_t s = 0; s < n; s++) {
			struct pol_view view;
			pol_document_explain(side->documents[i], s, query, &view);
			matched += view.stage == POL_STAGE_MATCHED;
			if (v.match != POL_MATCH_NONE && s == v.statement)
				same &= view.stage == POL_STAGE_MATCHED &&
					view.deny == (v.match == POL_MATCH_DENY);
		}
		same &= (matched == 0) == (v.match == POL_MATCH_NONE);
		printf(" %d", (int)v.match);
	}
	return same;
}

static char
letter(const struct pol_decision *d)
{
	if (d->allowed)
		return 'A';
	return d->reason >= POL_DENIED_IDENTITY && d->reason <= POL_DENIED_RESOURCE ? 'X' : 'D';
}

static void
decide(struct eval *e, yajl_val v)
{
	fill_query(e, member(v, "query"));
	struct pol_case c = {
		.identity = (const struct pol_document *const *)e->identity.documents,
		.identity_count = e->identity.count,
		.session = (const struct pol_document *const *)e->session.documents,
		.session_count = e->session.count,
		.boundary = e->boundary.documents[0],
		.resource = e->resource.documents[0],
		.is_key = YAJL_IS_TRUE(member(v, "is_key")),
		.granted = YAJL_IS_TRUE(member(v, "granted")),
		.resource_account = string_of(member(v, "resource_account")),
	};
	struct pol_decision d = pol_decide(&c, &e->query);
	putchar(letter(&d));
	bool same = print_matches(&e->identity, &e->query);
	same &= print_matches(&e->session, &e->query);
	same &= print_matches(&e->boundary, &e->query);
	same &= print_matches(&e->resource, &e->query);
	puts(same ? "" : " !");
}

static enum pol_kind
resource_kind(yajl_val v)
{
	const char *path[] = {"trust", NULL};
	yajl_val trust = yajl_tree_get(v, path, yajl_t_any);
	return trust && YAJL_IS_TRUE(trust) ? POL_TRUST : POL_RESOURCE;
}

static void
free_side(struct side *side)
{
	for (size_t i = 0; i < side->count; i++)
		pol_document_free(side->documents[i]);
}

static void
answer(const char *line)
{
	static struct eval e;
	char error[256];
	memset(&e, 0, sizeof(e));
	yajl_val v = yajl_tree_parse(line, error, sizeof(error));
	need(v != NULL, error);
	int rc = parse_side(&e, &e.identity, member(v, "identity"), POL_IDENTITY);
	if (!rc)
		rc = parse_side(&e, &e.session, member(v, "session"), POL_IDENTITY);
	if (!rc)
		rc = parse_side(&e, &e.boundary, member(v, "boundary"), POL_IDENTITY);
	if (!rc)
		rc = parse_side(&e, &e.resource, member(v, "resource"), resource_kind(v));
	if (rc)
		printf("E %u:%u %s\n", e.problem.line, e.problem.column, e.problem.text);
	else
		decide(&e, v);
	free_side(&e.identity);
	free_side(&e.session);
	free_side(&e.boundary);
	free_side(&e.resource);
	yajl_tree_free(v);
}

int
main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	while ((n = getline(&line, &cap, stdin)) >= 0)
		if (n > 1)
			answer(line);
		else
			need(fflush(stdout) == 0, "stdout is closed");
	free(line);
	need(fflush(stdout) == 0 && !ferror(stdin), "input or output failed");
	return 0;
}
