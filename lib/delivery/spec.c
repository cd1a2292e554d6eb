#include "delivery/spec.h"

#include <stdio.h>
#include <stdlib.h>

#include "delivery/draft.h"
#include "delivery/names.h"

/* A spec and its texts, in locked memory; passwords have pages of their own. */
struct whole {
	struct dlv_spec spec; /* first: it is what callers have */
	struct slk_secret *memory;
	size_t used, cap;
};

/* --- to keep what was read --- */

/* What a text takes. */
static size_t
need(const char *text)
{
	return text != NULL ? strlen(text) + 1 : 0;
}

static size_t
need_logging(const struct dlv_logging *logging)
{
	return need(logging->group) + need(logging->stream);
}

static size_t
need_s3(const struct dlv_s3 *s3)
{
	return need(s3->role_arn) + need(s3->bucket) + need(s3->prefix) + need(s3->error_prefix) +
		need(s3->extension) + need(s3->time_zone) + need(s3->kms_key_arn) +
		need_logging(&s3->logging);
}

static size_t
need_kind(const struct dlv_spec *s)
{
	size_t n = 0;

	switch (s->kind) {
	case DLV_TO_S3:
		return 0;
	case DLV_TO_REDSHIFT:
	case DLV_TO_POSTGRES:
		return need(s->database.role_arn) + need(s->database.host) +
			need(s->database.name) + need(s->database.user) + need(s->database.table) +
			need(s->database.columns) + need(s->database.options);
	case DLV_TO_SEARCH:
		return need(s->search.role_arn) + need(s->search.endpoint) + need(s->search.index) +
			need(s->search.type);
	case DLV_TO_HTTP:
		for (size_t i = 0; i < s->http.attributes_count; i++)
			n += need(s->http.attributes[i].name) + need(s->http.attributes[i].value) +
				sizeof(struct dlv_attribute);
		return n + need(s->http.role_arn) + need(s->http.url) + need(s->http.name);
	}
	return 0;
}

static void
keep(struct whole *w, const char **text)
{
	if (*text == NULL)
		return;
	size_t len = strlen(*text) + 1;
	char *copy = (char *)slk_secret_bytes(w->memory) + w->used;
	memcpy(copy, *text, len);
	w->used += len;
	*text = copy;
}

static void
keep_logging(struct whole *w, struct dlv_logging *logging)
{
	keep(w, &logging->group);
	keep(w, &logging->stream);
}

static void
keep_s3(struct whole *w, struct dlv_s3 *s3)
{
	keep(w, &s3->role_arn);
	keep(w, &s3->bucket);
	keep(w, &s3->prefix);
	keep(w, &s3->error_prefix);
	keep(w, &s3->extension);
	keep(w, &s3->time_zone);
	keep(w, &s3->kms_key_arn);
	keep_logging(w, &s3->logging);
}

static void
keep_http(struct whole *w, struct dlv_http *http)
{
	/* Directly behind the struct, where it is aligned. */
	struct dlv_attribute *a = (struct dlv_attribute *)(slk_secret_bytes(w->memory) + w->used);
	size_t count = http->attributes_count;

	if (count > 0)
		memcpy(a, http->attributes, count * sizeof(*a));
	w->used += count * sizeof(*a);
	http->attributes = count > 0 ? a : NULL;
	for (size_t i = 0; i < count; i++) {
		keep(w, &a[i].name);
		keep(w, &a[i].value);
	}
	keep(w, &http->role_arn);
	keep(w, &http->url);
	keep(w, &http->name);
}

static void
keep_kind(struct whole *w, struct dlv_spec *s)
{
	switch (s->kind) {
	case DLV_TO_S3:
		break;
	case DLV_TO_REDSHIFT:
	case DLV_TO_POSTGRES:
		keep(w, &s->database.role_arn);
		keep(w, &s->database.host);
		keep(w, &s->database.name);
		keep(w, &s->database.user);
		keep(w, &s->database.table);
		keep(w, &s->database.columns);
		keep(w, &s->database.options);
		break;
	case DLV_TO_SEARCH:
		keep(w, &s->search.role_arn);
		keep(w, &s->search.endpoint);
		keep(w, &s->search.index);
		keep(w, &s->search.type);
		break;
	case DLV_TO_HTTP:
		keep_http(w, &s->http);
		break;
	}
}

static int
keep_secrets(struct dlv_spec *s, const struct dlv_draft *draft)
{
	struct slk_secret *secret = NULL;
	struct slk_span from = slk_span(NULL, 0);
	int rc = SLK_OK;

	if (s->kind == DLV_TO_REDSHIFT || s->kind == DLV_TO_POSTGRES)
		from = draft->password;
	else if (s->kind == DLV_TO_HTTP)
		from = draft->access_key;
	if (from.len > 0)
		rc = slk_secret_from(from.ptr, from.len, &secret);
	if (rc != SLK_OK || secret == NULL)
		return rc;
	if (s->kind == DLV_TO_HTTP)
		s->http.access_key = secret;
	else
		s->database.password = secret;
	return SLK_OK;
}

static int
make(const struct dlv_draft *draft, struct dlv_spec **out_spec)
{
	const struct dlv_spec *s = &draft->spec;
	struct slk_secret *memory = NULL;
	size_t bytes = sizeof(struct whole) + need(s->source_arn) + need(s->source_role_arn) +
		need_s3(&s->s3) + (s->has_source_backup ? need_s3(&s->source_backup) : 0) +
		need_kind(s) + need_logging(&s->logging);

	int rc = bytes > 2 * DLV_SPEC_JSON_MAX ? SLK_INTERNAL : slk_secret_new(bytes, &memory);
	if (rc != SLK_OK)
		return rc;
	struct whole *w = (struct whole *)slk_secret_bytes(memory);
	*w = (struct whole){.spec = *s, .memory = memory, .used = sizeof(*w), .cap = bytes};
	keep_kind(w, &w->spec); /* first: attributes are to be aligned */
	keep(w, &w->spec.source_arn);
	keep(w, &w->spec.source_role_arn);
	keep_logging(w, &w->spec.logging);
	keep_s3(w, &w->spec.s3);
	if (s->has_source_backup)
		keep_s3(w, &w->spec.source_backup);
	else
		w->spec.source_backup = (struct dlv_s3){0};
	rc = keep_secrets(&w->spec, draft);
	if (rc != SLK_OK) {
		slk_secret_free(memory);
		return rc;
	}
	*out_spec = &w->spec;
	return SLK_OK;
}

void
dlv_spec_free(struct dlv_spec *spec)
{
	if (spec == NULL)
		return;
	struct whole *w = (struct whole *)spec;
	if (spec->kind == DLV_TO_HTTP)
		slk_secret_free((struct slk_secret *)spec->http.access_key);
	else if (spec->kind == DLV_TO_REDSHIFT || spec->kind == DLV_TO_POSTGRES)
		slk_secret_free((struct slk_secret *)spec->database.password);
	slk_secret_free(w->memory);
}

/* --- which destination --- */

static const char *const names[DLV_NAMED_COUNT] = {
	[DLV_NAMED_S3] = "S3",
	[DLV_NAMED_EXTENDED_S3] = "ExtendedS3",
	[DLV_NAMED_REDSHIFT] = "Redshift",
	[DLV_NAMED_ELASTICSEARCH] = "Elasticsearch",
	[DLV_NAMED_OPENSEARCH] = "Amazonopensearchservice",
	[DLV_NAMED_HTTP] = "HttpEndpoint",
};

/* Is it NAME + suffix with that suffix? Then how long NAME is. */
static size_t
before_suffix(struct slk_span key, const char *suffix)
{
	size_t n = strlen(suffix);

	return key.len > n && memcmp(key.ptr + key.len - n, suffix, n) == 0 ? key.len - n : 0;
}

/* The one destination of a request. */
static bool
find_destination(const struct dlv_place *top, const char *suffix, enum dlv_named *out_named,
	struct dlv_place *out_at)
{
	const struct dlv_json *found = NULL;

	for (const struct dlv_json *v = top->object->first; v != NULL; v = v->next) {
		if (v->type == DLV_JSON_NULL || before_suffix(v->key, suffix) == 0)
			continue;
		if (found != NULL)
			return dlv_refuse(top, "Exactly one destination has to be given.");
		found = v;
	}
	if (found == NULL)
		return dlv_refuse(
			top, "Exactly one destination has to be given: %s is not there.", suffix);
	size_t len = before_suffix(found->key, suffix);
	for (unsigned i = 0; i < DLV_NAMED_COUNT; i++)
		if (strlen(names[i]) == len && memcmp(names[i], found->key.ptr, len) == 0) {
			*out_named = (enum dlv_named)i;
			return dlv_read_object(top, (const char *)found->key.ptr, out_at);
		}
	return dlv_refuse(top, "%.64s is not supported.", (const char *)found->key.ptr);
}

static bool
kind_of(enum dlv_named named, const struct dlv_place *at, enum dlv_kind *out_kind)
{
	switch (named) {
	case DLV_NAMED_REDSHIFT:
		/* Without a URL that of a database stays what it is. */
		if (*out_kind != DLV_TO_POSTGRES)
			*out_kind = DLV_TO_REDSHIFT;
		return dlv_draft_kind_of_url(at, out_kind);
	case DLV_NAMED_ELASTICSEARCH:
	case DLV_NAMED_OPENSEARCH:
		*out_kind = DLV_TO_SEARCH;
		return true;
	case DLV_NAMED_HTTP:
		*out_kind = DLV_TO_HTTP;
		return true;
	default:
		*out_kind = DLV_TO_S3;
		return true;
	}
}

/* --- requests --- */

static bool
read_create(struct dlv_draft *draft, const struct dlv_place *top)
{
	enum dlv_named named = DLV_NAMED_S3;
	enum dlv_kind kind = DLV_TO_S3;
	struct dlv_place at;

	if (!find_destination(top, "DestinationConfiguration", &named, &at) ||
		!kind_of(named, &at, &kind))
		return false;
	dlv_draft_begin(draft, kind);
	return dlv_draft_read_source(draft, top) && dlv_draft_read(draft, named, &at, DLV_CREATE);
}

static bool
read_update(struct dlv_draft *draft, const struct dlv_spec *spec, const struct dlv_place *top)
{
	enum dlv_named named = DLV_NAMED_S3;
	enum dlv_kind kind = spec->kind;
	struct dlv_place at;

	if (!find_destination(top, "DestinationUpdate", &named, &at) || !kind_of(named, &at, &kind))
		return false;
	if ((kind == DLV_TO_SEARCH) != (spec->kind == DLV_TO_SEARCH))
		return dlv_refuse(top, "The destination cannot be changed to or from OpenSearch.");
	if (kind == spec->kind) {
		dlv_draft_from(draft, spec);
		return dlv_draft_read(draft, named, &at, DLV_UPDATE);
	}
	dlv_draft_begin(draft, kind);
	draft->spec.source = spec->source;
	draft->spec.source_arn = spec->source_arn;
	draft->spec.source_role_arn = spec->source_role_arn;
	return dlv_draft_read(draft, named, &at, DLV_REPLACE);
}

static int
fault_of(int status, struct dlv_fault *fault)
{
	if (status == SLK_MALFORMED)
		*fault = (struct dlv_fault){"SerializationException", "This is no JSON."};
	else if (status == SLK_LIMIT)
		*fault = (struct dlv_fault){
			"InvalidArgumentException", "The description is too large."};
	else
		return status;
	return SLK_INVALID;
}

static int
run(struct slk_span json, const struct dlv_spec *old, struct dlv_spec **out_spec,
	struct dlv_fault *fault)
{
	struct dlv_tree *tree = NULL;
	struct dlv_draft *draft = NULL;

	*fault = (struct dlv_fault){NULL, ""};
	int rc = dlv_tree_parse(json, &tree);
	if (rc != SLK_OK)
		return fault_of(rc, fault);
	struct dlv_place top = {.object = dlv_tree_root(tree), .fault = fault};
	if (top.object->type != DLV_JSON_OBJECT) {
		rc = fault_of(SLK_MALFORMED, fault);
		goto out;
	}
	draft = calloc(1, sizeof(*draft)); /* what is secret in it is borrowed */
	if (draft == NULL) {
		rc = SLK_NO_MEMORY;
		goto out;
	}
	bool ok = old == NULL ? read_create(draft, &top) : read_update(draft, old, &top);
	rc = ok ? make(draft, out_spec) : SLK_INVALID;
out:
	free(draft);
	dlv_tree_free(tree);
	return rc;
}

int
dlv_spec_parse(struct slk_span json, struct dlv_spec **out_spec, struct dlv_fault *fault)
{
	return run(json, NULL, out_spec, fault);
}

int
dlv_spec_update(const struct dlv_spec *spec, struct slk_span json, struct dlv_spec **out_spec,
	struct dlv_fault *fault)
{
	return run(json, spec, out_spec, fault);
}

/* --- keys of objects --- */

static int
check_s3(const char *whose, const struct dlv_s3 *s3, struct dlv_fault *fault)
{
	struct slk_error err = {0};

	if (dlv_names_check(s3, &err) == SLK_OK)
		return SLK_OK;
	fault->type = "InvalidArgumentException";
	(void)snprintf(fault->message, sizeof(fault->message), "%s%.400s", whose, err.text);
	return SLK_INVALID;
}

/* COPY reads what a manifest names, and AWS takes no expressions there. */
static int
check_redshift(const struct dlv_spec *spec, struct dlv_fault *fault)
{
	if (spec->kind != DLV_TO_REDSHIFT || !dlv_names_has_expression(spec->s3.prefix))
		return SLK_OK;
	*fault = (struct dlv_fault){"InvalidArgumentException",
		"S3Configuration: Prefix cannot contain expressions with Redshift."};
	return SLK_INVALID;
}

int
dlv_spec_check(const struct dlv_spec *spec, struct dlv_fault *fault)
{
	int rc = check_s3("", &spec->s3, fault);

	if (rc == SLK_OK && spec->has_source_backup)
		rc = check_s3("S3BackupConfiguration: ", &spec->source_backup, fault);
	return rc != SLK_OK ? rc : check_redshift(spec, fault);
}

/* --- what it says --- */

static size_t
add_role(const char *roles[DLV_ROLES_MAX], size_t count, const char *role)
{
	if (role == NULL || role[0] == '\0')
		return count;
	for (size_t i = 0; i < count; i++)
		if (strcmp(roles[i], role) == 0)
			return count;
	roles[count] = role;
	return count + 1;
}

size_t
dlv_spec_roles(const struct dlv_spec *spec, const char *roles[DLV_ROLES_MAX])
{
	size_t n = add_role(roles, 0, spec->source_role_arn);

	switch (spec->kind) {
	case DLV_TO_S3:
		break;
	case DLV_TO_REDSHIFT:
	case DLV_TO_POSTGRES:
		n = add_role(roles, n, spec->database.role_arn);
		break;
	case DLV_TO_SEARCH:
		n = add_role(roles, n, spec->search.role_arn);
		break;
	case DLV_TO_HTTP:
		n = add_role(roles, n, spec->http.role_arn);
		break;
	}
	n = add_role(roles, n, spec->s3.role_arn);
	return spec->has_source_backup ? add_role(roles, n, spec->source_backup.role_arn) : n;
}

const struct dlv_buffering *
dlv_spec_buffering(const struct dlv_spec *spec)
{
	switch (spec->kind) {
	case DLV_TO_SEARCH:
		return &spec->search.buffering;
	case DLV_TO_HTTP:
		return &spec->http.buffering;
	default:
		return &spec->s3.buffering;
	}
}
