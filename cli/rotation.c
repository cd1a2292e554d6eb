/* sealock key rotate | rotation */
#include "life.h"

#include <stdio.h>
#include <string.h>

#include "shapes.h"
#include "text.h"

#define PAGE_MATERIALS 50u

/* --- how a rotation looks --- */

static void
json_rotation(yajl_gen json, const struct kmsc_rotation *r)
{
	cli_json_str(json, "key_arn", r->key_arn);
	cli_json_bool(json, "enabled", r->enabled);
	cli_json_u64(json, "period_days", r->period_days);
	cli_json_time(json, "next", r->next_ns);
	cli_json_time(json, "on_demand_started", r->on_demand_start_ns);
}

static void
text_rotation(struct cli_out *out, const struct kmsc_rotation *r)
{
	char period[80] = "off", when[CLI_TIME_MAX];

	if (r->enabled) {
		cli_time_second(r->next_ns, when);
		snprintf(period, sizeof(period), "every %u days, next at %s", r->period_days, when);
	}
	cli_shape_line(out, "key", r->key_arn);
	cli_shape_line(out, "by period", period);
	if (r->on_demand_start_ns != 0) {
		cli_time_second(r->on_demand_start_ns, when);
		cli_shape_line(out, "on demand", "in progress since");
		cli_shape_line(out, "", when);
	}
}

static void
json_material(yajl_gen json, const struct kmsc_material *m, const char *how)
{
	cli_json_map(json);
	cli_json_str(json, "material_id", m->material_id);
	cli_json_str(json, "backing_id", m->backing_id);
	cli_json_time(json, "since", m->date_ns);
	cli_json_str(json, "made_by", how);
	cli_json_bool(json, "current", m->current);
	cli_json_u64(json, "wraps_reserved", m->wraps_reserved);
	cli_json_map_end(json);
}

static void
print_material(struct cli *cli, yajl_gen json, const struct kmsc_material *m, bool with_title)
{
	const char *how = m->first ? "creation" : m->on_demand ? "demand" : "period";
	char when[CLI_TIME_MAX];

	if (cli->json) {
		json_material(json, m, how);
		return;
	}
	if (with_title)
		cli_out_printf(cli->out, "\n%-32s  %-20s  %-8s  %10s\n", "MATERIAL (CKA_ID)",
			"SINCE", "MADE BY", "WRAPS");
	cli_time_second(m->date_ns, when);
	cli_out_printf(cli->out, "%-32s  %-20s  %-8s  %10llu%s\n", m->backing_id, when, how,
		(unsigned long long)m->wraps_reserved, m->current ? "  current" : "");
}

/* The materials, page by page. */
static int
materials(
	struct cli *cli, struct kmsc *kms, const char *key_id, yajl_gen json, struct slk_error *err)
{
	struct kmsc_material page[PAGE_MATERIALS];
	char marker[KMSC_MARKER_MAX] = "";
	bool first = true;

	do {
		char next[KMSC_MARKER_MAX] = "";
		size_t count = 0;
		int rc = kmsc_list_key_rotations(
			kms, key_id, marker, page, PAGE_MATERIALS, &count, next, err);
		if (rc != SLK_OK)
			return rc;
		if (first) {
			cli_json_key(json, "materials");
			cli_json_array(json);
		}
		for (size_t i = 0; i < count; i++)
			print_material(cli, json, &page[i], first && i == 0);
		first = false;
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	cli_json_array_end(json);
	return SLK_OK;
}

/* --- the commands --- */

/* As AWS does, kmsd says this without a word of its own. */
static int
explain(int rc, struct slk_error *err)
{
	return rc == SLK_UNSUPPORTED ? slk_fail_prefix(err, "only symmetric keys rotate") : rc;
}

static int
rotate(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_rotation made;

	int rc = kmsc_rotate_key_on_demand(kms, args->key_id, &made, err);
	if (rc != SLK_OK)
		return explain(rc, err);
	cli_json_map(json);
	json_rotation(json, &made);
	cli_json_map_end(json);
	if (args->cli->json)
		return SLK_OK;
	text_rotation(args->cli->out, &made);
	cli_shape_line(args->cli->out, "material", "new; what is wrapped already stays readable");
	return SLK_OK;
}

int
cli_key_rotate(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, "KEY",
		"Give a symmetric master key new material at once. New wraps are under it; what "
		"was "
		"wrapped before stays readable, with the old material, which decrypts only. The "
		"key "
		"keeps its id, ARN and aliases. A key can be rotated so 25 times, besides the "
		"rotations by period.\v"
		"Example:\n"
		"  sealock key rotate alias/web\n"
		"  sealock key rewrap --to alias/web     # a journal's keys under the new material",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_KEY};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, rotate);
}

static int
set_period(const struct cli_life_args *args, struct kmsc *kms, struct slk_error *err)
{
	if (args->enable)
		return kmsc_enable_key_rotation(kms, args->key_id, args->days, err);
	return args->disable ? kmsc_disable_key_rotation(kms, args->key_id, err) : SLK_OK;
}

static int
show(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_rotation now;

	int rc = kmsc_get_key_rotation_status(kms, args->key_id, &now, err);
	if (rc != SLK_OK)
		return rc;
	cli_json_map(json);
	json_rotation(json, &now);
	if (!args->cli->json)
		text_rotation(args->cli->out, &now);
	rc = materials(args->cli, kms, args->key_id, json, err);
	if (rc == SLK_DENIED) { /* a right of its own: the rest is told without it */
		cli_note("the key's materials are not shown: %s", err->text);
		rc = SLK_OK;
	}
	cli_json_map_end(json);
	return rc;
}

static int
rotation(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = set_period(args, kms, err);

	if (rc != SLK_OK)
		return explain(rc, err);
	rc = show(args, kms, json, err);
	if (rc != SLK_OK && (args->enable || args->disable))
		return slk_fail_prefix(err, "rotation by period was switched %s, but is not shown",
			args->enable ? "on" : "off");
	return rc;
}

int
cli_key_rotation(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"enable", CLI_LIFE_OPT_ENABLE, 0, 0, "Rotate by period from now on", 1},
		{"days", CLI_LIFE_OPT_DAYS, "N", 0, "The period, 90 to 2560 days (365)", 1},
		{"disable", CLI_LIFE_OPT_DISABLE, 0, 0, "Do not rotate by period any more", 1},
		{0},
	};
	static const struct argp argp = {options, cli_life_parse, "KEY",
		"Show how a master key rotates, and the materials that it has and had, oldest "
		"first; "
		"or set it. Only symmetric keys rotate. WRAPS is what was counted ahead under a "
		"material: before 2^31 it is replaced, whatever is set here.\v"
		"Example:\n"
		"  sealock key rotation alias/web\n"
		"  sealock key rotation alias/web --enable --days 180\n"
		"  sealock key rotation alias/web --json | jq '.materials | length'\n"
		"\n"
		"At once, once: 'sealock key rotate'.",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli,
		.wants = CLI_LIFE_KEY,
		.days_min = CLI_ROTATION_DAYS_MIN,
		.days_max = CLI_ROTATION_DAYS_MAX};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, rotation);
}
