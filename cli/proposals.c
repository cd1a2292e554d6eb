#include "proposals.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

#define PAGE_PROPOSALS 20u

/* --- from kmsd --- */

void
cli_proposals_take(void *arg, const char *path, const char *value)
{
	struct cli_fields *f = arg;
	struct cli_field *bigger = realloc(f->list, (f->count + 1) * sizeof(*bigger));

	if (bigger == NULL) {
		f->failed = true;
		return;
	}
	f->list = bigger;
	struct cli_field *field = &f->list[f->count++];
	field->path = strdup(path);
	field->value = strdup(value);
	f->failed |= field->path == NULL || field->value == NULL;
}

void
cli_proposals_forget(struct cli_fields *fields)
{
	for (size_t i = 0; i < fields->count; i++) {
		free(fields->list[i].path);
		free(fields->list[i].value);
	}
	free(fields->list);
	*fields = (struct cli_fields){0};
}

int
cli_proposals_each(struct kmsc *kms, void (*each)(void *arg, const struct kmsc_proposal *proposal),
	void *arg, struct kmsc_dual *out_dual, struct slk_error *err)
{
	struct kmsc_proposal *page = calloc(PAGE_PROPOSALS, sizeof(*page));
	char marker[KMSC_MARKER_MAX] = "";
	int rc = page == NULL ? slk_fail(err, SLK_NO_MEMORY, "no memory for the list of proposals")
			      : SLK_OK;

	while (rc == SLK_OK) {
		char next[KMSC_MARKER_MAX] = "";
		size_t count = 0;
		rc = kmsc_list_proposals(
			kms, marker, page, PAGE_PROPOSALS, &count, next, out_dual, err);
		for (size_t i = 0; rc == SLK_OK && i < count; i++)
			each(arg, &page[i]);
		memcpy(marker, next, sizeof(marker));
		if (marker[0] == '\0')
			break;
	}
	free(page);
	return rc;
}

/* --- JSON --- */

static void
json_approvals(yajl_gen json, const struct kmsc_proposal *p)
{
	cli_json_key(json, "approvals");
	cli_json_array(json);
	for (size_t i = 0; i < p->approvals_count; i++) {
		cli_json_map(json);
		cli_json_str(json, "principal", p->approvals[i].principal);
		cli_json_u64(json, "uid", p->approvals[i].uid);
		cli_json_time(json, "time", p->approvals[i].approved_ns);
		cli_json_map_end(json);
	}
	cli_json_array_end(json);
}

void
cli_proposals_json(yajl_gen json, const struct kmsc_proposal *p, const struct cli_field *fields,
	size_t fields_count)
{
	cli_json_map(json);
	cli_json_str(json, "id", p->id);
	cli_json_str(json, "state", p->state);
	cli_json_str(json, "requester", p->requester);
	cli_json_str(json, "action", p->action);
	cli_json_str(json, "resource", p->resource);
	cli_json_str(json, "digest", p->digest);
	cli_json_u64(json, "needed", p->needed);
	json_approvals(json, p);
	cli_json_time(json, "created", p->created_ns);
	cli_json_time(json, "expires", p->expires_ns);
	cli_json_time(json, "ended", p->ended_ns);
	cli_json_str(json, "ended_by", p->ended_by);
	if (fields != NULL) {
		cli_json_key(json, "request");
		cli_json_map(json);
		for (size_t i = 0; i < fields_count; i++)
			cli_json_str(json, fields[i].path, fields[i].value);
		cli_json_map_end(json);
	}
	cli_json_map_end(json);
}

void
cli_proposals_dual(yajl_gen json, const struct kmsc_dual *dual)
{
	cli_json_key(json, "dual_control");
	cli_json_map(json);
	cli_json_u64(json, "approvals", dual->needed);
	cli_json_u64(json, "expires_hours", dual->expires_hours);
	cli_json_key(json, "actions");
	cli_json_array(json);
	for (size_t i = 0; i < dual->actions_count; i++)
		cli_json_text(json, dual->actions[i]);
	cli_json_array_end(json);
	cli_json_map_end(json);
}

/* --- text --- */

void
cli_proposals_row(struct cli_out *out, const struct kmsc_proposal *p)
{
	char expires[CLI_TIME_MAX];

	cli_time_second(p->expires_ns, expires);
	cli_out_printf(out, "%s  %-8s  %zu/%u  until %s  ", p->id, p->state, p->approvals_count,
		(unsigned)p->needed, expires);
	cli_out_safe(out, slk_span_str(p->requester));
	cli_out_text(out, "  ");
	cli_out_safe(out, slk_span_str(p->action));
	cli_out_text(out, "  ");
	cli_out_safe(out, slk_span_str(p->resource));
	cli_out_text(out, "\n");
}

static void
line(struct cli_out *out, const char *name, const char *value)
{
	cli_out_printf(out, "%-12s", name);
	cli_out_safe(out, slk_span_str(value));
	cli_out_text(out, "\n");
}

void
cli_proposals_text(struct cli_out *out, const struct kmsc_proposal *p,
	const struct cli_field *fields, size_t fields_count)
{
	char when[CLI_TIME_MAX];

	line(out, "proposal", p->id);
	line(out, "state", p->state);
	line(out, "requester", p->requester);
	line(out, "action", p->action);
	line(out, "resource", p->resource);
	cli_time_second(p->created_ns, when);
	line(out, "asked for", when);
	cli_time_second(p->expires_ns, when);
	line(out, "expires", when);
	line(out, "digest", p->digest);
	cli_out_printf(
		out, "%-12s%zu of %u\n", "approvals", p->approvals_count, (unsigned)p->needed);
	for (size_t i = 0; i < p->approvals_count; i++) {
		cli_time_second(p->approvals[i].approved_ns, when);
		cli_out_printf(out, "  %s  uid %u  ", when, (unsigned)p->approvals[i].uid);
		cli_out_safe(out, slk_span_str(p->approvals[i].principal));
		cli_out_text(out, "\n");
	}
	cli_out_text(out, "request\n");
	for (size_t i = 0; i < fields_count; i++) {
		cli_out_text(out, "  ");
		cli_out_safe(out, slk_span_str(fields[i].path));
		cli_out_text(out, ": ");
		cli_out_safe(out, slk_span_str(fields[i].value));
		cli_out_text(out, "\n");
	}
}
