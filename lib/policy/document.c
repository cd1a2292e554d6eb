#include "policy/document.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/condition.h"

#define ARENA_MAX (24u * POL_DOCUMENT_MAX) /* a tree and its patterns are larger than their text */
#define ACCOUNT_DIGITS 12u

struct principal {
	enum pol_who who;
	const char *text; /* account, ARN or service */
	size_t len;
};

struct patterns {
	struct pol_pattern *list;
	size_t count;
	bool negated; /* NotAction, NotResource */
};

struct statement {
	const char *sid;
	unsigned line;
	bool deny;
	struct principal *principals;
	size_t principals_count;
	struct patterns actions, resources;
	struct pol_condition *conditions;
};

struct pol_document {
	struct pol_arena arena;
	enum pol_kind kind;
	struct statement *statements;
	struct pol_gate *gates; /* of the statements */
	size_t count;
};

/* --- parsing --- */

struct parse {
	struct pol_document *doc;
	struct slk_span json;
	bool variables;
	struct pol_json_error error;
};

__attribute__((format(printf, 3, 4))) static int
refuse(struct parse *p, const struct pol_json *at, const char *fmt, ...)
{
	va_list args;

	p->error.offset = at->offset;
	va_start(args, fmt);
	(void)vsnprintf(p->error.text, sizeof(p->error.text), fmt, args);
	va_end(args);
	return SLK_MALFORMED;
}

static int
no_room(struct parse *p, const struct pol_json *at)
{
	(void)refuse(p, at, "the document needs more memory than a policy may");
	return SLK_LIMIT;
}

static unsigned
line_of(struct slk_span json, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < offset && i < json.len; i++)
		line += json.ptr[i] == '\n';
	return line;
}

/* A string, or a list of strings: how many, and the first. */
static int
strings(struct parse *p, const struct pol_json *node, const struct pol_json **out_first,
	size_t *out_count)
{
	bool is_list = node->type == POL_JSON_ARRAY;

	*out_first = is_list ? node->first : node;
	*out_count = is_list ? node->count : 1;
	if (*out_count == 0)
		return refuse(p, node, "%s is an empty list", node->key.ptr);
	size_t left = *out_count;
	for (const struct pol_json *s = *out_first; left > 0; s = s->next, left--)
		if (s->type != POL_JSON_STRING || s->text.len == 0)
			return refuse(p, s, "%s takes strings that are not empty", node->key.ptr);
	return SLK_OK;
}

static bool
is_account(const char *text, size_t len)
{
	if (len != ACCOUNT_DIGITS)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isdigit((unsigned char)text[i]))
			return false;
	return true;
}

/* arn:aws:iam::ACCOUNT:root, user/..., role/... or arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION. */
static bool
parse_arn(const char *text, size_t len, struct principal *out)
{
	static const char iam[] = "arn:aws:iam::", sts[] = "arn:aws:sts::";
	bool is_sts = strncmp(text, sts, sizeof(sts) - 1) == 0;
	size_t head = sizeof(iam) - 1;

	if (!is_sts && strncmp(text, iam, head) != 0)
		return false;
	if (len < head + ACCOUNT_DIGITS + 1 || !is_account(text + head, ACCOUNT_DIGITS) ||
		text[head + ACCOUNT_DIGITS] != ':')
		return false;
	const char *name = text + head + ACCOUNT_DIGITS + 1;
	if (!is_sts && strcmp(name, "root") == 0) {
		*out = (struct principal){POL_WHO_ACCOUNT, text + head, ACCOUNT_DIGITS};
		return true;
	}
	*out = (struct principal){POL_WHO_ARN, text, len};
	if (is_sts) {
		const char *slash =
			strncmp(name, "assumed-role/", 13) == 0 ? strchr(name + 13, '/') : NULL;
		return slash != NULL && slash != name + 13 && slash[1] != '\0';
	}
	return (strncmp(name, "user/", 5) == 0 || strncmp(name, "role/", 5) == 0) &&
		name[5] != '\0';
}

static int
parse_aws(struct parse *p, const struct pol_json *node, struct principal *out)
{
	const char *text = (const char *)node->text.ptr;
	size_t len = node->text.len;

	if (strcmp(text, "*") == 0) {
		out->who = POL_WHO_ANYBODY;
		return SLK_OK;
	}
	if (strpbrk(text, "*?") != NULL)
		return refuse(p, node,
			"principal '%.80s': wildcards are not allowed in a principal but for \"*\" "
			"alone; "
			"use a Condition on aws:PrincipalArn",
			text);
	if (is_account(text, len)) {
		*out = (struct principal){POL_WHO_ACCOUNT, text, len};
		return SLK_OK;
	}
	if (parse_arn(text, len, out))
		return SLK_OK;
	return refuse(p, node,
		"principal '%.80s' is no account, no ARN of a user, role, root or session, and not "
		"\"*\"",
		text);
}

static int
parse_service(struct parse *p, const struct pol_json *node, struct principal *out)
{
	const char *text = (const char *)node->text.ptr;

	for (const char *c = text; *c != '\0'; c++)
		if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) &&
			strchr(".-", *c) == NULL)
			return refuse(p, node, "'%.80s' is not a service's name", text);
	*out = (struct principal){POL_WHO_SERVICE, text, node->text.len};
	return SLK_OK;
}

static int
principal_list(struct parse *p, const struct pol_json *node, struct statement *out)
{
	const struct pol_json *s;
	size_t count;
	bool aws = slk_span_equal(node->key, slk_span_str("AWS"));

	if (!aws && !slk_span_equal(node->key, slk_span_str("Service")))
		return refuse(p, node, "a principal is of type AWS or Service here, not '%.40s'",
			node->key.ptr);
	int rc = strings(p, node, &s, &count);
	for (size_t i = 0; rc == SLK_OK && i < count; i++, s = s->next) {
		struct principal *one = &out->principals[out->principals_count++];
		rc = aws ? parse_aws(p, s, one) : parse_service(p, s, one);
	}
	return rc;
}

/* "*" or {"AWS": ..., "Service": ...}. */
static int
parse_principal(struct parse *p, const struct pol_json *node, struct statement *out)
{
	size_t count = 1;

	for (const struct pol_json *m = node->first; m != NULL; m = m->next)
		count += m->type == POL_JSON_ARRAY ? m->count : 1;
	out->principals = pol_arena_take(&p->doc->arena, count * sizeof(*out->principals));
	if (out->principals == NULL)
		return no_room(p, node);
	if (node->type == POL_JSON_STRING && slk_span_equal(node->text, slk_span_str("*"))) {
		out->principals[out->principals_count++].who = POL_WHO_ANYBODY;
		return SLK_OK;
	}
	if (node->type != POL_JSON_OBJECT || node->count == 0)
		return refuse(
			p, node, "Principal is \"*\" or an object like {\"AWS\": \"arn:...\"}");
	int rc = SLK_OK;
	for (const struct pol_json *m = node->first; rc == SLK_OK && m != NULL; m = m->next)
		rc = principal_list(p, m, out);
	return rc;
}

static int
compile_list(struct parse *p, const struct pol_json *node, unsigned flags, struct patterns *out)
{
	const struct pol_json *s;

	int rc = strings(p, node, &s, &out->count);
	if (rc != SLK_OK)
		return rc;
	out->negated = strncmp((const char *)node->key.ptr, "Not", 3) == 0;
	out->list = pol_arena_take(&p->doc->arena, out->count * sizeof(*out->list));
	if (out->list == NULL)
		return no_room(p, node);
	for (size_t i = 0; i < out->count; i++, s = s->next) {
		const char *reason;
		rc = pol_pattern_compile(&p->doc->arena, s->text, flags, &out->list[i], &reason);
		if (rc == SLK_LIMIT)
			return no_room(p, s);
		if (rc == SLK_TOO_LARGE)
			return refuse(p, s, "longer than %u bytes", POL_PATTERN_MAX);
		if (rc != SLK_OK)
			return refuse(p, s, "'%.80s': %s", s->text.ptr, reason);
	}
	return SLK_OK;
}

/* service:Name with wildcards, or "*". */
static int
check_actions(struct parse *p, const struct pol_json *node)
{
	const struct pol_json *s = node->type == POL_JSON_ARRAY ? node->first : node;
	size_t left = node->type == POL_JSON_ARRAY ? node->count : 1;

	for (; left > 0; s = s->next, left--) {
		const char *text = (const char *)s->text.ptr;
		const char *colon = strchr(text, ':');
		if (strcmp(text, "*") == 0)
			continue;
		if (colon == NULL || colon == text || colon[1] == '\0' ||
			strchr(colon + 1, ':') != NULL)
			return refuse(p, s, "action '%.80s' is not of the form kms:Decrypt", text);
	}
	return SLK_OK;
}

static int
parse_actions(struct parse *p, const struct pol_json *node, struct statement *out)
{
	int rc = compile_list(p, node, POL_PATTERN_FOLD, &out->actions);

	return rc == SLK_OK ? check_actions(p, node) : rc;
}

/* An ARN with wildcards, or "*". */
static int
parse_resources(struct parse *p, const struct pol_json *node, struct statement *out)
{
	const struct pol_json *s;
	size_t count;

	int rc = strings(p, node, &s, &count);
	for (; rc == SLK_OK && count > 0; s = s->next, count--)
		if (strcmp((const char *)s->text.ptr, "*") != 0 &&
			strncmp((const char *)s->text.ptr, "arn:", 4) != 0 &&
			strncmp((const char *)s->text.ptr, "*:", 2) != 0)
			rc = refuse(
				p, s, "resource '%.80s' is neither an ARN nor \"*\"", s->text.ptr);
	if (rc != SLK_OK)
		return rc;
	return compile_list(p, node, p->variables ? POL_PATTERN_VARIABLES : 0, &out->resources);
}

static int
parse_conditions(struct parse *p, const struct pol_json *node, struct statement *out)
{
	struct pol_condition **tail = &out->conditions;
	int rc = SLK_OK;

	if (node->type != POL_JSON_OBJECT)
		return refuse(p, node, "Condition is an object of operators");
	for (const struct pol_json *m = node->first; rc == SLK_OK && m != NULL; m = m->next)
		rc = pol_conditions_compile(&p->doc->arena, m, p->variables, &tail, &p->error);
	return rc;
}

static int
parse_effect(struct parse *p, const struct pol_json *node, struct statement *out)
{
	if (node->type == POL_JSON_STRING) {
		out->deny = slk_span_equal(node->text, slk_span_str("Deny"));
		if (out->deny || slk_span_equal(node->text, slk_span_str("Allow")))
			return SLK_OK;
	}
	return refuse(p, node, "Effect is \"Allow\" or \"Deny\"");
}

static int
parse_sid(struct parse *p, const struct pol_json *node, struct statement *out)
{
	if (node->type != POL_JSON_STRING)
		return refuse(p, node, "Sid is a string");
	out->sid = (const char *)node->text.ptr;
	return SLK_OK;
}

/* The elements that a statement may have, and of each pair one. */
static const struct element {
	const char *name;
	int (*parse)(struct parse *p, const struct pol_json *node, struct statement *out);
	unsigned kinds; /* in which it may be, 1 << enum pol_kind */
} elements[] = {
	{"Sid", parse_sid, 7},
	{"Effect", parse_effect, 7},
	{"Principal", parse_principal, 1 << POL_RESOURCE | 1 << POL_TRUST},
	{"Action", parse_actions, 7},
	{"NotAction", parse_actions, 7},
	{"Resource", parse_resources, 1 << POL_IDENTITY | 1 << POL_RESOURCE},
	{"NotResource", parse_resources, 1 << POL_IDENTITY | 1 << POL_RESOURCE},
	{"Condition", parse_conditions, 7},
};

static int
parse_element(struct parse *p, const struct pol_json *node, struct statement *out)
{
	static const char *const kinds[] = {
		"an identity policy", "a resource's policy", "a trust policy"};

	if (slk_span_equal(node->key, slk_span_str("NotPrincipal")))
		return refuse(p, node,
			"NotPrincipal is not accepted; name whom you mean, or use a Condition on "
			"aws:PrincipalArn");
	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++) {
		if (!slk_span_equal(node->key, slk_span_str(elements[i].name)))
			continue;
		if ((elements[i].kinds & 1u << p->doc->kind) == 0)
			return refuse(p, node, "%s has no place in %s", elements[i].name,
				kinds[p->doc->kind]);
		return elements[i].parse(p, node, out);
	}
	return refuse(p, node, "a statement has no element '%.40s'", node->key.ptr);
}

static int
check_pair(struct parse *p, const struct pol_json *node, const char *name, const char *other)
{
	bool one = pol_json_member(node, name) != NULL, two = pol_json_member(node, other) != NULL;

	if (one && two)
		return refuse(p, node, "a statement has %s or %s, not both", name, other);
	return one || two ? SLK_OK : refuse(p, node, "a statement needs %s or %s", name, other);
}

static int
parse_statement(struct parse *p, const struct pol_json *node, struct statement *out)
{
	int rc = SLK_OK;

	if (node->type != POL_JSON_OBJECT)
		return refuse(p, node, "a statement is an object");
	out->sid = "";
	out->line = line_of(p->json, node->offset);
	for (const struct pol_json *m = node->first; rc == SLK_OK && m != NULL; m = m->next)
		rc = parse_element(p, m, out);
	if (rc == SLK_OK && pol_json_member(node, "Effect") == NULL)
		rc = refuse(p, node, "a statement needs an Effect");
	if (rc == SLK_OK)
		rc = check_pair(p, node, "Action", "NotAction");
	if (rc == SLK_OK && p->doc->kind != POL_TRUST)
		rc = check_pair(p, node, "Resource", "NotResource");
	if (rc == SLK_OK && p->doc->kind != POL_IDENTITY && out->principals_count == 0)
		rc = refuse(p, node, "a statement of this kind of policy needs a Principal");
	return rc;
}

static int
parse_version(struct parse *p, const struct pol_json *root)
{
	const struct pol_json *version = pol_json_member(root, "Version");

	if (version == NULL)
		return refuse(p, root, "Version is missing; write \"Version\": \"2012-10-17\"");
	p->variables = version->type == POL_JSON_STRING &&
		slk_span_equal(version->text, slk_span_str("2012-10-17"));
	if (!p->variables &&
		(version->type != POL_JSON_STRING ||
			!slk_span_equal(version->text, slk_span_str("2008-10-17"))))
		return refuse(p, version, "Version is \"2012-10-17\" or \"2008-10-17\"");
	return SLK_OK;
}

/* What any of the patterns may match; a negated list, and one without a whole service, anything. */
static struct pol_gate
gate_of(const struct patterns *actions)
{
	struct pol_gate gate = {0, actions->negated ? UINT64_MAX : 0};

	for (size_t i = 0; i < actions->count; i++) {
		const struct pol_pattern *p = &actions->list[i];
		const char marks[] = {POL_MARK_STAR, POL_MARK_ONE, '\0'};
		size_t literal = strcspn(p->bytes, marks);
		struct pol_gate one = pol_gate_of(p->bytes, literal);
		if (p->kind == POL_PATTERN_EXACT)
			gate.actions |= one.actions;
		else if (memchr(p->bytes, ':', literal) != NULL)
			gate.services |= one.services;
		else
			gate.services = UINT64_MAX;
	}
	return gate;
}

static int
parse_root(struct parse *p, const struct pol_json *root)
{
	if (root->type != POL_JSON_OBJECT)
		return refuse(p, root, "a policy is an object");
	for (const struct pol_json *m = root->first; m != NULL; m = m->next)
		if (!slk_span_equal(m->key, slk_span_str("Version")) &&
			!slk_span_equal(m->key, slk_span_str("Id")) &&
			!slk_span_equal(m->key, slk_span_str("Statement")))
			return refuse(p, m, "a policy has no element '%.40s'", m->key.ptr);
	const struct pol_json *id = pol_json_member(root, "Id");
	if (id != NULL && id->type != POL_JSON_STRING)
		return refuse(p, id, "Id is a string");
	int rc = parse_version(p, root);
	if (rc != SLK_OK)
		return rc;
	const struct pol_json *s = pol_json_member(root, "Statement");
	if (s == NULL || (s->type == POL_JSON_ARRAY && s->count == 0))
		return refuse(p, s != NULL ? s : root, "a policy needs a Statement");
	size_t count = s->type == POL_JSON_ARRAY ? s->count : 1;
	if (s->type == POL_JSON_ARRAY)
		s = s->first;
	p->doc->statements = pol_arena_take(&p->doc->arena, count * sizeof(*p->doc->statements));
	p->doc->gates = pol_arena_take(&p->doc->arena, count * sizeof(*p->doc->gates));
	if (p->doc->statements == NULL || p->doc->gates == NULL)
		return no_room(p, root);
	for (; rc == SLK_OK && p->doc->count < count; s = s->next) {
		size_t i = p->doc->count++;
		rc = parse_statement(p, s, &p->doc->statements[i]);
		if (rc == SLK_OK)
			p->doc->gates[i] = gate_of(&p->doc->statements[i].actions);
	}
	return rc;
}

static void
take_problem(const struct parse *p, struct pol_problem *out)
{
	size_t line_start = 0, end = p->error.offset < p->json.len ? p->error.offset : p->json.len;

	for (size_t i = 0; i < end; i++)
		if (p->json.ptr[i] == '\n')
			line_start = i + 1;
	out->line = line_of(p->json, end);
	out->column = (unsigned)(end - line_start) + 1;
	(void)snprintf(out->text, sizeof(out->text), "%s", p->error.text);
}

int
pol_document_parse(struct slk_span json, enum pol_kind kind, struct pol_document **out_document,
	struct pol_problem *out_problem)
{
	struct parse p = {.json = json};
	struct pol_json *root = NULL;

	if (json.len > POL_DOCUMENT_MAX) {
		*out_problem = (struct pol_problem){1, 1, ""};
		(void)snprintf(out_problem->text, sizeof(out_problem->text),
			"a policy has at most %u bytes, this has %zu", POL_DOCUMENT_MAX, json.len);
		return SLK_TOO_LARGE;
	}
	p.doc = calloc(1, sizeof(*p.doc));
	if (p.doc == NULL)
		return SLK_NO_MEMORY;
	p.doc->kind = kind;
	pol_arena_init(&p.doc->arena, ARENA_MAX);
	int rc = pol_json_parse(&p.doc->arena, json, &root, &p.error);
	if (rc == SLK_OK)
		rc = parse_root(&p, root);
	if (rc == SLK_OK) {
		*out_document = p.doc;
		return SLK_OK;
	}
	take_problem(&p, out_problem);
	pol_document_free(p.doc);
	return rc == SLK_LIMIT ? SLK_TOO_LARGE : rc;
}

void
pol_document_free(struct pol_document *document)
{
	if (document == NULL)
		return;
	pol_arena_fini(&document->arena);
	free(document);
}

size_t
pol_document_statements_count(const struct pol_document *document)
{
	return document->count;
}

bool
pol_document_named(const struct pol_document *document, size_t index, struct pol_named *out_named)
{
	for (size_t i = 0; i < document->count; i++) {
		const struct statement *s = &document->statements[i];
		if (index >= s->principals_count) {
			index -= s->principals_count;
			continue;
		}
		const struct principal *p = &s->principals[index];
		bool has_text = p->who == POL_WHO_ARN || p->who == POL_WHO_SERVICE;
		*out_named = (struct pol_named){p->who, has_text ? p->text : NULL, i, s->line};
		return true;
	}
	return false;
}

/* --- evaluating --- */

static bool
actions_match(const struct patterns *p, const struct pol_query *q)
{
	for (size_t i = 0; i < p->count; i++)
		if (pol_pattern_match(&p->list[i], q->folded_action, q->action_len))
			return !p->negated;
	return p->negated;
}

/* Apart, so that only patterns with variables pay for the room. A pattern that cannot be filled matches nothing, and with
 * unfilled set everything. */
static __attribute__((noinline)) bool
filled_matches(const struct pol_pattern *pattern, const struct pol_query *q, bool unfilled)
{
	char filled[POL_PATTERN_MAX];
	const char *bytes;
	size_t len;

	if (!pol_pattern_fill(pattern, pol_query_single, q, filled, &bytes, &len))
		return unfilled;
	return pol_glob(bytes, len, q->resource, q->resource_len);
}

static bool
resources_match(const struct patterns *p, const struct pol_query *q, bool deny)
{
	bool unfilled = p->negated && !deny;

	for (size_t i = 0; i < p->count; i++) {
		const struct pol_pattern *one = &p->list[i];
		if (one->kind == POL_PATTERN_VARIABLE
				? filled_matches(one, q, unfilled)
				: pol_pattern_match(one, q->resource, q->resource_len))
			return !p->negated;
	}
	return p->negated;
}

static bool
is_text(const struct principal *p, const char *text, size_t len)
{
	return p->len == len && memcmp(p->text, text, len) == 0;
}

/* The root user of an account is the account. */
static bool
is_root(const struct pol_query *q)
{
	return q->principal_len > 5 && memcmp(q->principal + q->principal_len - 5, ":root", 5) == 0;
}

static enum pol_match
principal_match(const struct principal *p, const struct pol_query *q)
{
	switch (p->who) {
	case POL_WHO_ANYBODY:
		return POL_MATCH_ALLOW;
	case POL_WHO_ACCOUNT:
		if (q->is_service || !is_text(p, q->account, strlen(q->account)))
			return POL_MATCH_NONE;
		return is_root(q) && !q->root_by_identity ? POL_MATCH_ALLOW : POL_MATCH_ACCOUNT;
	case POL_WHO_SERVICE:
		return q->is_service && is_text(p, q->principal, q->principal_len) ? POL_MATCH_ALLOW
										   : POL_MATCH_NONE;
	case POL_WHO_ARN:
		break;
	}
	if (q->is_service)
		return POL_MATCH_NONE;
	if (q->session != NULL && is_text(p, q->session, q->session_len))
		return POL_MATCH_ALLOW_SESSION;
	return is_text(p, q->principal, q->principal_len) ? POL_MATCH_ALLOW : POL_MATCH_NONE;
}

/* The strongest of the statement's principals; an identity policy is about its own. */
static enum pol_match
principals_match(
	const struct pol_document *doc, const struct statement *s, const struct pol_query *q)
{
	enum pol_match best = POL_MATCH_NONE;

	if (doc->kind == POL_IDENTITY)
		return POL_MATCH_ALLOW;
	for (size_t i = 0; i < s->principals_count; i++) {
		enum pol_match match = principal_match(&s->principals[i], q);
		best = match > best ? match : best;
	}
	return best;
}

static enum pol_match
statement_match(
	const struct pol_document *doc, const struct statement *s, const struct pol_query *q)
{
	if (!actions_match(&s->actions, q))
		return POL_MATCH_NONE;
	if (doc->kind != POL_TRUST && !resources_match(&s->resources, q, s->deny))
		return POL_MATCH_NONE;
	enum pol_match match = principals_match(doc, s, q);
	if (match == POL_MATCH_NONE || !pol_conditions_hold(s->conditions, q, s->deny, NULL))
		return POL_MATCH_NONE;
	return s->deny ? POL_MATCH_DENY : match;
}

struct pol_verdict
pol_document_evaluate(const struct pol_document *document, const struct pol_query *query)
{
	struct pol_verdict best = {POL_MATCH_NONE, 0};

	for (size_t i = 0; i < document->count; i++) {
		if (!pol_gate_open(&document->gates[i], &query->gate))
			continue;
		enum pol_match match = statement_match(document, &document->statements[i], query);
		if (match > best.match)
			best = (struct pol_verdict){match, i};
		if (match == POL_MATCH_DENY)
			break;
	}
	return best;
}

void
pol_document_explain(const struct pol_document *document, size_t index,
	const struct pol_query *query, struct pol_view *out_view)
{
	const struct statement *s = &document->statements[index];
	const struct pol_condition *failed = NULL;

	*out_view = (struct pol_view){.sid = s->sid, .line = s->line, .deny = s->deny};
	if (!actions_match(&s->actions, query))
		out_view->stage = POL_STAGE_ACTION;
	else if (document->kind != POL_TRUST && !resources_match(&s->resources, query, s->deny))
		out_view->stage = POL_STAGE_RESOURCE;
	else if (principals_match(document, s, query) == POL_MATCH_NONE)
		out_view->stage = POL_STAGE_PRINCIPAL;
	else if (!pol_conditions_hold(s->conditions, query, s->deny, &failed))
		out_view->stage = POL_STAGE_CONDITION;
	else
		out_view->stage = POL_STAGE_MATCHED;
	if (failed != NULL) {
		out_view->condition_operator = pol_condition_operator(failed);
		out_view->condition_key = pol_condition_key(failed);
	}
}
