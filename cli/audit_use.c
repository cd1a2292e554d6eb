#include "audit_use.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/audit.h"
#include "text.h"

static const char *
text_at(yajl_val tree, const char *const *path)
{
	yajl_val v = yajl_tree_get(tree, (const char **)(uintptr_t)path, yajl_t_string);

	return v != NULL ? YAJL_GET_STRING(v) : "";
}

#define AT(tree, ...) text_at((tree), (const char *const[]){__VA_ARGS__, NULL})

static const char *
first_of(const char *a, const char *b)
{
	return a[0] != '\0' ? a : b;
}

static bool
is_true(yajl_val tree, const char *first, const char *second)
{
	const char *const path[] = {first, second, NULL};

	return yajl_tree_get(tree, (const char **)(uintptr_t)path, yajl_t_true) != NULL;
}

/* resources[i].ARN */
static const char *
resource(yajl_val tree, size_t i)
{
	static const char *const path[] = {"resources", NULL};
	yajl_val list = yajl_tree_get(tree, (const char **)(uintptr_t)path, yajl_t_array);

	if (list == NULL || i >= list->u.array.len)
		return "";
	return AT(list->u.array.values[i], "ARN");
}

static void
read_action(struct cli_audit_use *use)
{
	const char *source = AT(use->tree, "eventSource"), *name = AT(use->tree, "eventName");

	use->is_use = name[0] != '\0';
	if (use->is_use)
		snprintf(use->action, sizeof(use->action), "%.*s:%s", (int)strcspn(source, "."),
			source, name);
	else
		snprintf(use->action, sizeof(use->action), "%s", AT(use->tree, "kind"));
}

int
cli_audit_use_read(struct slk_span line, struct cli_audit_use *out_use)
{
	struct cli_audit_use use = {.tree = NULL};
	struct slk_error err = {0};
	char why[128];

	char *text = strndup((const char *)line.ptr, line.len);
	if (text == NULL)
		return SLK_NO_MEMORY;
	yajl_val t = use.tree = yajl_tree_parse(text, why, sizeof(why));
	free(text);
	if (!YAJL_IS_OBJECT(t)) {
		yajl_tree_free(t);
		return SLK_MALFORMED;
	}
	read_action(&use);
	if (cli_time_parse(AT(t, "eventTime"), 0, &use.time_ns, &err) != SLK_OK)
		use.time_ns = 0;
	use.is_decision = is_true(t, "additionalEventData", "decisionOnly");
	use.door = AT(t, "userIdentity", "door", "name");
	use.principal = AT(t, "userIdentity", "arn");
	use.resource = resource(t, 0);
	use.other_resource = resource(t, 1);
	use.material = first_of(AT(t, "additionalEventData", "keyMaterialId"),
		AT(t, "additionalEventData", "destinationKeyMaterialId"));
	use.other_material = AT(t, "additionalEventData", "sourceKeyMaterialId");
	use.correlation_id = AT(t, "additionalEventData", "correlationId");
	use.request_id = AT(t, "requestID");
	use.event_id = AT(t, "eventID");
	use.outcome = AT(t, "outcome");
	use.error = AT(t, "errorCode");
	use.message = AT(t, "errorMessage");
	*out_use = use;
	return SLK_OK;
}

void
cli_audit_use_fini(struct cli_audit_use *use)
{
	yajl_tree_free(use->tree);
	*use = (struct cli_audit_use){.tree = NULL};
}

/* --- choosing --- */

/* What is behind the fifth colon of an ARN; the text itself if it is none. */
static const char *
short_arn(const char *arn)
{
	const char *at = arn;

	if (strncmp(arn, "arn:", 4) != 0)
		return arn;
	for (int colons = 0; colons < 5; colons++) {
		at = strchr(at, ':');
		if (at == NULL)
			return arn;
		at++;
	}
	return at;
}

static bool
fits(const char *pattern, const char *text, int flags)
{
	return text[0] != '\0' && fnmatch(pattern, text, FNM_NOESCAPE | flags) == 0;
}

static bool
arn_fits(const char *pattern, const char *arn)
{
	return fits(pattern, arn, 0) || fits(pattern, short_arn(arn), 0);
}

/* A key by its ARN, id, key material or backing key. */
static bool
key_fits(const char *key, const char *arn, const char *material)
{
	const char *name = short_arn(arn);

	return arn_fits(key, arn) ||
		(strncmp(name, "key/", 4) == 0 && fits(key, name + 4, FNM_CASEFOLD)) ||
		fits(key, material, FNM_CASEFOLD) ||
		(strlen(material) == 64 && fits(key, material + 32, FNM_CASEFOLD));
}

static bool
request_fits(const char *pattern, const struct cli_audit_use *use)
{
	return fits(pattern, use->request_id, FNM_CASEFOLD) ||
		fits(pattern, use->event_id, FNM_CASEFOLD) || fits(pattern, use->correlation_id, 0);
}

bool
cli_audit_use_matches(const struct cli_audit_use *use, const struct cli_audit_filter *f)
{
	if (f->since_ns != 0 && use->time_ns < f->since_ns)
		return false;
	if (f->until_ns != 0 && use->time_ns >= f->until_ns)
		return false;
	if (f->action != NULL && !fits(f->action, use->action, FNM_CASEFOLD))
		return false;
	if (f->outcome != NULL && strcmp(f->outcome, use->outcome) != 0)
		return false;
	if (f->principal != NULL && !arn_fits(f->principal, use->principal))
		return false;
	if (f->key != NULL && !key_fits(f->key, use->resource, use->material) &&
		!key_fits(f->key, use->other_resource, use->other_material))
		return false;
	return f->request == NULL || request_fits(f->request, use);
}

/* --- showing --- */

static void
put(struct cli_out *out, const char *text, int width)
{
	int len = (int)strlen(text);

	cli_out_safe(out, slk_span_str(text));
	cli_out_printf(out, "%*s", len < width ? width - len + 1 : 1, "");
}

void
cli_audit_use_print(struct cli_out *out, const struct cli_audit_use *use, bool with_title)
{
	char time[CLI_TIME_MAX];

	if (with_title)
		cli_out_printf(out, "%-20s %-7s %-28s %-24s %-44s %s\n", "TIME", "OUTCOME",
			"ACTION", "PRINCIPAL", "RESOURCE", "REQUEST");
	cli_time_second(use->time_ns, time);
	put(out, time, 20);
	put(out, use->outcome[0] != '\0' ? use->outcome : "-", 7);
	put(out, use->action, 28);
	put(out, use->principal[0] != '\0' ? short_arn(use->principal) : "-", 24);
	put(out, use->resource[0] != '\0' ? short_arn(use->resource) : "-", 44);
	cli_out_safe(out, slk_span_str(use->request_id[0] != '\0' ? use->request_id : "-"));
	if (use->correlation_id[0] != '\0') {
		cli_out_text(out, " ");
		cli_out_safe(out, slk_span_str(use->correlation_id));
	}
	if (use->door[0] != '\0') {
		cli_out_text(out, " via ");
		cli_out_safe(out, slk_span_str(use->door));
	}
	if (use->is_decision)
		cli_out_text(out, " (a decision: nothing was done)");
	cli_out_text(out, "\n");
	if (use->error[0] == '\0')
		return;
	cli_out_text(out, "    ");
	cli_out_safe(out, slk_span_str(use->error));
	if (use->message[0] != '\0') {
		cli_out_text(out, ": ");
		cli_out_safe(out, slk_span_str(use->message));
	}
	cli_out_text(out, "\n");
}
