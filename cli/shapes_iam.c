#include "shapes_iam.h"

#include <stdio.h>
#include <string.h>

#include "document.h"
#include "text.h"

/* A cell of a table, padded to width; at least one blank follows. */
static void
cell(struct cli_out *out, const char *value, int width)
{
	int len = (int)strlen(value);

	cli_out_safe(out, slk_span_str(value));
	cli_out_printf(out, "%*s", len < width ? width - len + 1 : 1, "");
}

static void
time_line(struct cli_out *out, const char *label, uint64_t unix_ns)
{
	char when[CLI_TIME_MAX];

	cli_time_second(unix_ns, when);
	cli_shape_line(out, label, when);
}

static const char *
or_dash(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

/* --- users and roles --- */

bool
cli_shape_is_role(const struct kmsc_identity *identity)
{
	return strstr(identity->arn, ":role/") != NULL;
}

static void
json_or_null(yajl_gen json, const char *key, const char *text)
{
	if (text[0] != '\0')
		cli_json_str(json, key, text);
	else
		cli_json_time(json, key, 0); /* null */
}

static int
json_detail(yajl_gen json, const struct kmsc_identity *identity,
	const struct kmsc_identity_detail *detail, struct slk_error *err)
{
	json_or_null(json, "boundary", identity->boundary);
	cli_json_key(json, "tags");
	cli_json_map(json);
	for (size_t i = 0; i < detail->tags_count; i++)
		cli_json_str(json, detail->tags[i].key, detail->tags[i].value);
	cli_json_map_end(json);
	if (!cli_shape_is_role(identity))
		return SLK_OK;
	cli_json_str(json, "description", identity->description);
	return cli_document_json(json, "trust_policy", detail->trust_policy, err);
}

static void
json_identity(yajl_gen json, const struct kmsc_identity *identity)
{
	cli_json_str(json, "name", identity->name);
	cli_json_str(json, "arn", identity->arn);
	cli_json_str(json, "id", identity->id);
	cli_json_time(json, "created", identity->created_ns);
	if (cli_shape_is_role(identity))
		cli_json_u64(json, "max_session_seconds", identity->max_session_s);
}

int
cli_shape_identity(yajl_gen json, const struct kmsc_identity *identity,
	const struct kmsc_identity_detail *detail, struct slk_error *err)
{
	cli_json_map(json);
	json_identity(json, identity);
	int rc = json_detail(json, identity, detail, err);
	cli_json_map_end(json);
	return rc;
}

void
cli_shape_identity_listed(yajl_gen json, const struct kmsc_identity *identity)
{
	cli_json_map(json);
	json_identity(json, identity);
	cli_json_map_end(json);
}

void
cli_shape_identity_row(struct cli_out *out, const struct kmsc_identity *identity, bool with_title)
{
	char created[CLI_TIME_MAX];

	if (with_title)
		cli_out_printf(out, "%-24s %-22s %-20s %s\n", "NAME", "ID", "CREATED", "ARN");
	cli_time_second(identity->created_ns, created);
	cell(out, identity->name, 24);
	cell(out, identity->id, 22);
	cell(out, created, 20);
	cli_out_safe(out, slk_span_str(identity->arn));
	cli_out_text(out, "\n");
}

void
cli_shape_identity_text(struct cli_out *out, const struct kmsc_identity *identity,
	const struct kmsc_identity_detail *detail)
{
	bool is_role = cli_shape_is_role(identity);
	char line[KMSC_TAG_KEY_MAX + KMSC_TAG_VALUE_MAX];

	cli_shape_line(out, is_role ? "role" : "user", identity->name);
	cli_shape_line(out, "arn", identity->arn);
	cli_shape_line(out, "id", identity->id);
	time_line(out, "created", identity->created_ns);
	cli_shape_line(out, "boundary", or_dash(identity->boundary));
	for (size_t i = 0; i < detail->tags_count; i++) {
		snprintf(line, sizeof(line), "%s=%s", detail->tags[i].key, detail->tags[i].value);
		cli_shape_line(out, i == 0 ? "tags" : "", line);
	}
	if (!is_role)
		return;
	cli_shape_line(out, "description", or_dash(identity->description));
	snprintf(line, sizeof(line), "of up to %u s", identity->max_session_s);
	cli_shape_line(out, "sessions", line);
	cli_out_text(out, "who may assume it:\n");
	cli_document_print(out, detail->trust_policy);
}

/* --- managed policies --- */

int
cli_shape_managed(yajl_gen json, const struct kmsc_policy *policy, const char *document,
	struct slk_error *err)
{
	int rc = SLK_OK;

	cli_json_map(json);
	cli_json_str(json, "name", policy->name);
	cli_json_str(json, "arn", policy->arn);
	cli_json_str(json, "description", policy->description);
	cli_json_time(json, "created", policy->created_ns);
	cli_json_time(json, "changed", policy->changed_ns);
	cli_json_u64(json, "attachments", policy->attachments_count);
	if (document != NULL)
		rc = cli_document_json(json, "document", document, err);
	cli_json_map_end(json);
	return rc;
}

void
cli_shape_managed_row(struct cli_out *out, const struct kmsc_policy *policy, bool with_title)
{
	char changed[CLI_TIME_MAX], count[16];

	if (with_title)
		cli_out_printf(out, "%-32s %-20s %-8s %s\n", "POLICY", "CHANGED", "HOLDERS", "ARN");
	cli_time_second(policy->changed_ns, changed);
	snprintf(count, sizeof(count), "%u", policy->attachments_count);
	cell(out, policy->name, 32);
	cell(out, changed, 20);
	cell(out, count, 8);
	cli_out_safe(out, slk_span_str(policy->arn));
	cli_out_text(out, "\n");
}

void
cli_shape_managed_text(struct cli_out *out, const struct kmsc_policy *policy)
{
	char count[16];

	snprintf(count, sizeof(count), "%u", policy->attachments_count);
	cli_shape_line(out, "policy", policy->name);
	cli_shape_line(out, "arn", policy->arn);
	cli_shape_line(out, "description", or_dash(policy->description));
	time_line(out, "created", policy->created_ns);
	time_line(out, "changed", policy->changed_ns);
	cli_shape_line(out, "holders", count);
}

/* --- grants --- */

/* fmt_context holds text without NUL, as UTF-8. */
static void
copy_text(struct slk_span text, char *out, size_t cap)
{
	size_t len = text.len < cap ? text.len : cap - 1;

	memcpy(out, text.ptr, len);
	out[len] = '\0';
}

static void
json_context(yajl_gen json, const char *name, const struct fmt_context *context)
{
	char key[FMT_CONTEXT_MAX], value[FMT_CONTEXT_MAX];

	if (context == NULL)
		return;
	cli_json_key(json, name);
	cli_json_map(json);
	for (size_t i = 0; i < fmt_context_count(context); i++) {
		struct slk_span k, v;
		fmt_context_pair(context, i, &k, &v);
		copy_text(k, key, sizeof(key));
		copy_text(v, value, sizeof(value));
		cli_json_str(json, key, value);
	}
	cli_json_map_end(json);
}

void
cli_shape_grant(yajl_gen json, const struct kmsc_grant *grant)
{
	cli_json_map(json);
	cli_json_str(json, "id", grant->id);
	cli_json_str(json, "key_arn", grant->key_arn);
	cli_json_str(json, "name", grant->name);
	cli_json_str(json, "grantee", grant->grantee);
	json_or_null(json, "retiring", grant->retiring);
	cli_json_str(json, "issuer", grant->issuer);
	cli_json_key(json, "operations");
	cli_json_array(json);
	for (size_t i = 0; i < grant->operations_count; i++)
		cli_json_text(json, grant->operations[i]);
	cli_json_array_end(json);
	cli_json_key(json, "constraints");
	cli_json_map(json);
	json_context(json, "context_equals", grant->context_equals);
	json_context(json, "context_subset", grant->context_subset);
	if (grant->source_arn[0] != '\0')
		cli_json_str(json, "source_arn", grant->source_arn);
	cli_json_map_end(json);
	cli_json_time(json, "created", grant->created_ns);
	cli_json_map_end(json);
}

static void
text_context(struct cli_out *out, const char *label, const struct fmt_context *context)
{
	size_t count = context != NULL ? fmt_context_count(context) : 0;

	for (size_t i = 0; i < count; i++) {
		struct slk_span key, value;
		fmt_context_pair(context, i, &key, &value);
		cli_out_printf(out, "%-14s", i == 0 ? label : "");
		cli_out_safe(out, key);
		cli_out_text(out, "=");
		cli_out_safe(out, value);
		cli_out_text(out, "\n");
	}
}

void
cli_shape_grant_text(struct cli_out *out, const struct kmsc_grant *grant)
{
	cli_shape_line(out, "grant", grant->id);
	cli_shape_line(out, "key", grant->key_arn);
	if (grant->name[0] != '\0')
		cli_shape_line(out, "name", grant->name);
	cli_shape_line(out, "grantee", grant->grantee);
	if (grant->retiring[0] != '\0')
		cli_shape_line(out, "retiring", grant->retiring);
	cli_shape_line(out, "issuer", grant->issuer);
	for (size_t i = 0; i < grant->operations_count; i++)
		cli_shape_line(out, i == 0 ? "may" : "", grant->operations[i]);
	text_context(out, "only with:", grant->context_equals);
	text_context(out, "with:", grant->context_subset);
	if (grant->source_arn[0] != '\0')
		cli_shape_line(out, "only for", grant->source_arn);
	time_line(out, "created", grant->created_ns);
}

/* --- explanations --- */

static void
json_statement(yajl_gen json, const struct kmsc_explained_statement *s)
{
	cli_json_map(json);
	cli_json_u64(json, "statement", s->index);
	cli_json_u64(json, "line", s->line);
	cli_json_str(json, "sid", s->sid);
	cli_json_str(json, "effect", s->deny ? "Deny" : "Allow");
	cli_json_bool(json, "matched", strcmp(s->stage, "Matched") == 0);
	cli_json_bool(json, "decided", s->decided);
	if (strcmp(s->stage, "Matched") != 0)
		cli_json_str(json, "failed", s->stage);
	if (s->condition_key[0] != '\0') {
		cli_json_str(json, "operator", s->condition_operator);
		cli_json_str(json, "condition_key", s->condition_key);
	}
	cli_json_map_end(json);
}

static void
json_values(yajl_gen json, const struct kmsc_explanation *e)
{
	cli_json_key(json, "values");
	cli_json_map(json);
	for (size_t i = 0; i < e->values_count; i++) {
		cli_json_key(json, e->values[i].key);
		cli_json_array(json);
		for (size_t k = 0; k < e->values[i].values_count; k++)
			cli_json_text(json, e->values[i].values[k]);
		cli_json_array_end(json);
	}
	cli_json_map_end(json);
}

void
cli_shape_explanation(yajl_gen json, const struct kmsc_explanation *e)
{
	cli_json_map(json);
	cli_json_bool(json, "allowed", e->allowed);
	cli_json_str(json, "reason", e->reason);
	cli_json_str(json, "sentence", e->sentence);
	cli_json_str(json, "principal", e->principal);
	cli_json_str(json, "action", e->action);
	cli_json_str(json, "resource", e->resource);
	cli_json_key(json, "policies");
	cli_json_array(json);
	for (size_t i = 0; i < e->policies_count; i++) {
		cli_json_map(json);
		cli_json_str(json, "kind", e->policies[i].kind);
		cli_json_str(json, "name", e->policies[i].name);
		cli_json_key(json, "statements");
		cli_json_array(json);
		for (size_t k = 0; k < e->policies[i].statements_count; k++)
			json_statement(json, &e->policies[i].statements[k]);
		cli_json_array_end(json);
		cli_json_map_end(json);
	}
	cli_json_array_end(json);
	json_values(json, e);
	cli_json_bool(json, "truncated", e->truncated);
	cli_json_map_end(json);
}

/* "applies", or what of it did not match. */
static void
text_statement(struct cli_out *out, const struct kmsc_explained_statement *s)
{
	cli_out_printf(out, "  %s statement %u, line %u, %s", s->decided ? "->" : "  ",
		s->index + 1, s->line, s->deny ? "Deny" : "Allow");
	if (s->sid[0] != '\0') {
		cli_out_text(out, " \"");
		cli_out_safe(out, slk_span_str(s->sid));
		cli_out_text(out, "\"");
	}
	if (s->decided) {
		cli_out_text(out, ": decided\n");
		return;
	}
	if (strcmp(s->stage, "Matched") == 0) {
		cli_out_text(out, ": matches\n");
		return;
	}
	cli_out_text(out, ": does not match, by its ");
	cli_out_safe(out, slk_span_str(s->stage));
	if (s->condition_key[0] != '\0') {
		cli_out_text(out, " ");
		cli_out_safe(out, slk_span_str(s->condition_operator));
		cli_out_text(out, " on ");
		cli_out_safe(out, slk_span_str(s->condition_key));
	}
	cli_out_text(out, "\n");
}

static void
text_policies(struct cli_out *out, const struct kmsc_explanation *e)
{
	if (e->policies_count == 0)
		cli_out_text(out, "\nno policy bears on it\n");
	for (size_t i = 0; i < e->policies_count; i++) {
		const struct kmsc_explained_policy *p = &e->policies[i];
		cli_out_text(out, "\n");
		cli_out_safe(out, slk_span_str(p->kind));
		cli_out_text(out, " policy ");
		cli_out_safe(out, slk_span_str(p->name));
		cli_out_text(out, p->name[0] != '\0' ? ":\n" : "\n");
		for (size_t k = 0; k < p->statements_count; k++)
			text_statement(out, &p->statements[k]);
	}
}

static void
text_values(struct cli_out *out, const struct kmsc_explanation *e)
{
	if (e->values_count > 0)
		cli_out_text(out, "\nwhat conditions saw:\n");
	for (size_t i = 0; i < e->values_count; i++) {
		cli_out_text(out, "  ");
		cli_out_safe(out, slk_span_str(e->values[i].key));
		cli_out_text(out, " =");
		for (size_t k = 0; k < e->values[i].values_count; k++) {
			cli_out_text(out, k > 0 ? ", " : " ");
			cli_out_safe(out, slk_span_str(e->values[i].values[k]));
		}
		cli_out_text(out, "\n");
	}
}

void
cli_shape_explanation_text(struct cli_out *out, const struct kmsc_explanation *e)
{
	cli_shape_line(out, "answer", e->allowed ? "allowed" : "denied");
	cli_shape_line(out, "reason", e->reason);
	cli_shape_line(out, "because", e->sentence);
	cli_shape_line(out, "principal", e->principal);
	cli_shape_line(out, "action", e->action);
	cli_shape_line(out, "resource", e->resource);
	text_policies(out, e);
	text_values(out, e);
	if (e->truncated)
		cli_out_text(out, "\nThere is more than an answer holds.\n");
}
