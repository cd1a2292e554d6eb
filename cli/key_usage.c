/* sealock key usage: what hangs on a master key, from the journal, the catalog and the audit log. */
#include "life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_use.h"
#include "auditlog.h"
#include "format/uuid.h"
#include "keyname.h"
#include "text.h"
#include "usage.h"

#define PAGE_MATERIALS 32u
#define ACTIONS_MAX 32u

/* What the audit log says of the key. */
struct uses {
	bool there; /* the log could be read */
	uint64_t allowed, refused, first_ns, last_ns;
	struct {
		char name[96];
		uint64_t count;
	} actions[ACTIONS_MAX]; /* allowed ones */
	size_t actions_count;
};

struct key_usage {
	struct cli *cli;
	const char *name; /* as given */
	uint8_t id[FMT_UUID_BYTES];
	char uuid[FMT_UUID_TEXT];
	bool described; /* kmsd told */
	struct kmsc_key key;
	struct kmsc_material *materials;
	size_t materials_count;
	struct cli_usage journal;
	struct uses uses;
};

/* --- kmsd: the catalog --- */

static int
take_materials(struct key_usage *u, struct kmsc *kms, struct slk_error *err)
{
	char marker[KMSC_MARKER_MAX] = "";
	int rc = SLK_OK;

	do {
		char next[KMSC_MARKER_MAX] = "";
		size_t count = 0;
		struct kmsc_material *bigger = realloc(
			u->materials, (u->materials_count + PAGE_MATERIALS) * sizeof(*bigger));
		if (bigger == NULL)
			return slk_fail(err, SLK_NO_MEMORY, "no memory for the key's materials");
		u->materials = bigger;
		rc = kmsc_list_key_rotations(kms, u->uuid, marker,
			u->materials + u->materials_count, PAGE_MATERIALS, &count, next, err);
		if (rc != SLK_OK)
			return rc;
		u->materials_count += count;
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	return rc;
}

/* The id without kmsd: an id or a key's ARN. */
static bool
id_of_name(struct key_usage *u)
{
	const char *slash = strrchr(u->name, '/');
	const char *text = strncmp(u->name, "arn:", 4) == 0 && strstr(u->name, ":key/") != NULL
		? slash + 1
		: u->name;

	return fmt_uuid_parse(text, u->id) == SLK_OK;
}

/* What kmsd knows. Where it is away, an id is enough for the rest. */
static int
ask_kmsd(struct key_usage *u, struct slk_error *err)
{
	struct kmsc *kms = cli_kms(u->cli, err);

	if (kms == NULL)
		return err->status;
	int rc = kmsc_describe_key(kms, u->name, &u->key, err);
	if (rc == SLK_OK && fmt_uuid_parse(u->key.id, u->id) != SLK_OK)
		rc = slk_fail(err, SLK_MALFORMED, "kmsd's answer names no key id");
	if (rc != SLK_OK) {
		if (!id_of_name(u))
			return rc;
		cli_note("kmsd does not tell of the key, so its state and materials are left out: "
			 "%s",
			err->text);
		fmt_uuid_print(u->id, u->uuid);
		return SLK_OK;
	}
	u->described = true;
	fmt_uuid_print(u->id, u->uuid);
	rc = take_materials(u, kms, err);
	if (rc == SLK_DENIED ||
		rc == SLK_UNSUPPORTED) /* a right of its own; RSA and ECC have none */
		rc = SLK_OK;
	return rc;
}

/* --- the audit log --- */

static void
count_action(struct uses *uses, const char *action)
{
	size_t i = 0;

	while (i < uses->actions_count && strcmp(uses->actions[i].name, action) != 0)
		i++;
	if (i == ACTIONS_MAX)
		return;
	if (i == uses->actions_count)
		strcpy(uses->actions[uses->actions_count++].name, action);
	uses->actions[i].count++;
}

static void
count_line(struct key_usage *u, struct slk_span line)
{
	const struct cli_audit_filter filter = {.key = u->uuid};
	struct cli_audit_use use;

	if (memmem(line.ptr, line.len, u->uuid, strlen(u->uuid)) == NULL ||
		cli_audit_use_read(line, &use) != SLK_OK)
		return;
	bool is_allowed = strcmp(use.outcome, "allowed") == 0;
	/* What a door was told it may let its caller do is no use yet. */
	if (use.is_use && !(use.is_decision && is_allowed) &&
		cli_audit_use_matches(&use, &filter)) {
		if (is_allowed) {
			u->uses.allowed++;
			count_action(&u->uses, use.action);
		} else {
			u->uses.refused++;
		}
		if (u->uses.first_ns == 0 || use.time_ns < u->uses.first_ns)
			u->uses.first_ns = use.time_ns;
		if (use.time_ns > u->uses.last_ns)
			u->uses.last_ns = use.time_ns;
	}
	cli_audit_use_fini(&use);
}

static void
count_file(struct key_usage *u, struct slk_span bytes)
{
	while (bytes.len > 0) {
		const uint8_t *end = memchr(bytes.ptr, '\n', bytes.len);
		size_t len = end != NULL ? (size_t)(end - bytes.ptr) : bytes.len;
		size_t step = end != NULL ? len + 1 : len;
		count_line(u, slk_span(bytes.ptr, len));
		bytes = slk_span(bytes.ptr + step, bytes.len - step);
	}
}

/* Who may not read the log gets the rest. */
static void
read_audit(struct key_usage *u)
{
	struct cli_audit_log log = {0};
	struct slk_error err = {0};
	struct slk_span bytes;

	if (cli_audit_find(NULL, 0, &log, &err) != SLK_OK) {
		cli_note("uses are left out: %s", err.text);
		return;
	}
	u->uses.there = true;
	for (size_t i = 0; i < log.count; i++) {
		if (cli_audit_map(log.files[i].path, &bytes, &err) != SLK_OK) {
			cli_note("uses are not all: %s", err.text);
			continue;
		}
		count_file(u, bytes);
		cli_audit_unmap(bytes);
	}
	cli_audit_fini(&log);
}

/* --- as JSON --- */

static void
json_sum(yajl_gen json, const char *name, const struct cli_usage_sum *sum)
{
	cli_json_key(json, name);
	cli_json_map(json);
	cli_json_u64(json, "epochs", sum->epochs);
	cli_json_u64(json, "blocks", sum->blocks);
	cli_json_u64(json, "records", sum->records);
	cli_json_u64(json, "plain_bytes", sum->plain_bytes);
	cli_json_map_end(json);
}

static void
json_epochs(yajl_gen json, const struct cli_usage *usage)
{
	cli_json_key(json, "epochs");
	cli_json_array(json);
	for (size_t i = 0; i < usage->count; i++) {
		const struct cli_usage_epoch *e = &usage->epochs[i];
		char id[17], material[2 * sizeof(e->backing_id) + 1];
		(void)snprintf(id, sizeof(id), "%016llx", (unsigned long long)e->id);
		slk_hex(slk_span(e->backing_id, sizeof(e->backing_id)), material, sizeof(material));
		cli_json_map(json);
		cli_json_str(json, "id", id);
		cli_json_str(json, "stream_arn", usage->streams[e->stream].arn);
		cli_json_str(json, "backing_id", material);
		cli_json_bool(json, "alone", e->alone);
		cli_json_u64(json, "blocks", e->blocks);
		cli_json_u64(json, "records", e->records);
		cli_json_u64(json, "plain_bytes", e->plain_bytes);
		cli_json_time(json, "first_arrival", e->first_arrival_ns);
		cli_json_time(json, "last_arrival", e->last_arrival_ns);
		cli_json_map_end(json);
	}
	cli_json_array_end(json);
}

/* What lies under one material: what would need it for reading. */
static struct cli_usage_sum
under(const struct cli_usage *usage, const char *backing_id)
{
	struct cli_usage_sum sum = {0};
	uint8_t id[FMT_BLOB_KEY_ID_BYTES];

	if (slk_unhex(backing_id, id, sizeof(id)) != SLK_OK)
		return sum;
	for (size_t i = 0; i < usage->count; i++) {
		if (memcmp(usage->epochs[i].backing_id, id, sizeof(id)) == 0)
			cli_usage_add_up(&sum, &usage->epochs[i]);
	}
	return sum;
}

static void
json_materials(yajl_gen json, const struct key_usage *u)
{
	cli_json_key(json, "materials");
	cli_json_array(json);
	for (size_t i = 0; i < u->materials_count; i++) {
		const struct kmsc_material *m = &u->materials[i];
		struct cli_usage_sum sum = under(&u->journal, m->backing_id);
		cli_json_map(json);
		cli_json_str(json, "backing_id", m->backing_id);
		cli_json_bool(json, "current", m->current);
		cli_json_time(json, "since", m->date_ns);
		cli_json_u64(json, "wraps_reserved", m->wraps_reserved);
		json_sum(json, "journal", &sum);
		cli_json_map_end(json);
	}
	cli_json_array_end(json);
}

static void
json_uses(yajl_gen json, const struct uses *uses)
{
	if (!uses->there)
		return;
	cli_json_key(json, "uses");
	cli_json_map(json);
	cli_json_u64(json, "allowed", uses->allowed);
	cli_json_u64(json, "refused", uses->refused);
	cli_json_time(json, "first", uses->first_ns);
	cli_json_time(json, "last", uses->last_ns);
	cli_json_key(json, "by_action");
	cli_json_map(json);
	for (size_t i = 0; i < uses->actions_count; i++)
		cli_json_u64(json, uses->actions[i].name, uses->actions[i].count);
	cli_json_map_end(json);
	cli_json_map_end(json);
}

static void
print_json(const struct key_usage *u)
{
	yajl_gen json = cli_json_begin(u->cli->out, false);

	cli_json_map(json);
	cli_json_str(json, "key_id", u->uuid);
	if (u->described) {
		cli_json_str(json, "key_arn", u->key.arn);
		cli_json_str(json, "state", u->key.state);
		cli_json_time(json, "deletion", u->key.deletion_ns);
		cli_json_u64(json, "streams", u->key.streams_count);
		json_materials(json, u);
	}
	cli_json_str(json, "journal", u->cli->journal_dir);
	json_sum(json, "total", &u->journal.all);
	json_sum(json, "alone", &u->journal.alone);
	cli_json_u64(json, "damaged", u->journal.damaged);
	json_epochs(json, &u->journal);
	json_uses(json, &u->uses);
	cli_json_map_end(json);
	cli_json_end(json);
}

/* --- for people --- */

static void
print_sum(struct cli_out *out, const char *name, const struct cli_usage_sum *sum)
{
	char amount[CLI_AMOUNT_MAX];

	cli_bytes_format(sum->plain_bytes, amount);
	cli_out_printf(out, "%-20s %llu epochs, %llu blocks, %llu records, %s\n", name,
		(unsigned long long)sum->epochs, (unsigned long long)sum->blocks,
		(unsigned long long)sum->records, amount);
}

static void
print_streams(const struct key_usage *u)
{
	for (uint32_t i = 0; i < u->journal.streams_count; i++) {
		const struct cli_usage_stream *s = &u->journal.streams[i];
		const char *name = strrchr(s->arn, ':');
		print_sum(u->cli->out, name != NULL ? name + 1 : s->arn, &s->sum);
	}
}

static void
print_materials(const struct key_usage *u)
{
	struct cli_out *out = u->cli->out;

	for (size_t i = 0; i < u->materials_count; i++) {
		const struct kmsc_material *m = &u->materials[i];
		struct cli_usage_sum sum = under(&u->journal, m->backing_id);
		cli_out_printf(out, "material %s%s: up to %llu wraps, %llu epochs of the journal\n",
			m->backing_id, m->current ? " (current)" : "",
			(unsigned long long)m->wraps_reserved, (unsigned long long)sum.epochs);
	}
}

static void
print_uses(const struct key_usage *u)
{
	struct cli_out *out = u->cli->out;
	char first[CLI_TIME_MAX], last[CLI_TIME_MAX];

	if (!u->uses.there)
		return;
	cli_out_printf(out, "uses in the audit log: %llu, refused %llu\n",
		(unsigned long long)u->uses.allowed, (unsigned long long)u->uses.refused);
	if (u->uses.last_ns == 0)
		return;
	cli_time_second(u->uses.first_ns, first);
	cli_time_second(u->uses.last_ns, last);
	cli_out_printf(out, "  first %s, last %s\n", first, last);
	for (size_t i = 0; i < u->uses.actions_count; i++) {
		cli_out_text(out, "  ");
		cli_out_safe(out, slk_span_str(u->uses.actions[i].name));
		cli_out_printf(out, ": %llu\n", (unsigned long long)u->uses.actions[i].count);
	}
}

static void
print_text(const struct key_usage *u)
{
	struct cli_out *out = u->cli->out;

	cli_out_printf(out, "key %s", u->uuid);
	if (u->described)
		cli_out_printf(out, "  %s, %llu streams", u->key.state,
			(unsigned long long)u->key.streams_count);
	cli_out_text(out, "\n");
	print_streams(u);
	print_sum(out, "under this key", &u->journal.all);
	print_sum(out, "under it alone", &u->journal.alone);
	if (u->journal.damaged > 0)
		cli_out_printf(out,
			"%llu damaged places are not counted: 'sealock journal verify'\n",
			(unsigned long long)u->journal.damaged);
	print_materials(u);
	print_uses(u);
}

/* --- the command --- */

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	struct key_usage *u = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = u->cli;
		return 0;
	case ARGP_KEY_ARG:
		if (u->name != NULL)
			argp_error(state, "'%s' is too much: one key at a time", arg);
		u->name = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the KEY is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int
cli_key_usage(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, parse, "KEY",
		"Say what hangs on a master key: the epochs of the journal whose data keys it "
		"wraps, "
		"with their blocks, records and bytes; how much lies under each of its materials; "
		"and "
		"how often it was used. The files are read as they are, without a key: whoever may "
		"read the journal may ask. Without kmsd, KEY is an id or an ARN.\v"
		"Example:\n"
		"  sealock key usage alias/web\n"
		"  sealock key usage alias/web --json | jq '.alone'   # lost, if the key goes\n"
		"\n"
		"'Alone': no other key wraps it. What 'sealock key rewrap' has wrapped under "
		"another "
		"key, too, stays readable without this one. Uses are counted where the audit log "
		"can "
		"be read ($SEALOCK_AUDIT). All of the journal is read.",
		cli_common_children, NULL, NULL};
	struct key_usage u = {.cli = cli};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &u);
	int rc = ask_kmsd(&u, &err);
	if (rc == SLK_OK)
		rc = cli_usage_collect(cli->journal_dir, u.id, &u.journal, &err);
	if (rc == SLK_OK) {
		read_audit(&u);
		if (cli->json)
			print_json(&u);
		else
			print_text(&u);
	}
	cli_usage_fini(&u.journal);
	free(u.materials);
	return rc == SLK_OK ? CLI_EXIT_OK : cli_fail(cli, &err);
}
