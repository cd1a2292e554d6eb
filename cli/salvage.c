/* sealock journal salvage: what is left of a damaged journal, in a directory of its own. */
#include "salvage.h"

#include "text.h"

struct salvage_args {
	struct cli *cli;
	const char *to;
};

enum { OPT_TO = 't' };

static error_t
parse_salvage(int key, char *arg, struct argp_state *state)
{
	struct salvage_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case OPT_TO:
		args->to = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(
			state, "'%s' is too much; another journal is named by --journal DIR", arg);
		return 0;
	case ARGP_KEY_END:
		if (args->to == NULL)
			argp_error(state, "--to DIR is missing: where what is salvaged goes");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const char *
kind_name(enum jnl_loss_kind kind)
{
	static const char *const names[] = {"range", "records", "key", "header", "end", "file"};

	return names[kind];
}

static void
json_loss(yajl_gen json, const struct jnl_loss *loss)
{
	char id[17];

	cli_json_map(json);
	cli_json_str(json, "kind", kind_name(loss->kind));
	cli_json_str(json, "file", loss->name);
	cli_json_u64(json, "offset", loss->offset);
	cli_json_u64(json, "bytes", loss->bytes);
	if (loss->kind == JNL_LOST_RECORDS) {
		cli_json_u64(json, "stream_id", loss->stream_id);
		cli_json_u64(json, "shard", loss->shard);
		cli_json_u64(json, "first_sequence", loss->first_sequence);
		cli_json_u64(json, "next_sequence", loss->next_sequence);
	}
	if (loss->kind == JNL_LOST_KEY) {
		snprintf(id, sizeof(id), "%016llx", (unsigned long long)loss->epoch_id);
		cli_json_str(json, "epoch_id", id);
	}
	cli_json_map_end(json);
}

void
cli_loss_out(struct cli *cli, yajl_gen json, const struct jnl_loss *loss)
{
	const unsigned long long offset = loss->offset, bytes = loss->bytes;

	if (json != NULL) {
		json_loss(json, loss);
		return;
	}
	cli_out_printf(cli->out, "%s at %llu: lost: ", loss->name, offset);
	switch (loss->kind) {
	case JNL_LOST_RANGE:
		cli_out_printf(cli->out, "%llu bytes\n", bytes);
		break;
	case JNL_LOST_RECORDS:
		cli_out_printf(cli->out,
			"%llu records before this, stream %llu, shard %u, sequence numbers %llu to "
			"%llu\n",
			(unsigned long long)(loss->next_sequence - loss->first_sequence),
			(unsigned long long)loss->stream_id, loss->shard,
			(unsigned long long)loss->first_sequence,
			(unsigned long long)loss->next_sequence - 1);
		break;
	case JNL_LOST_KEY:
		cli_out_printf(cli->out,
			"the wrapped key of epoch %016llx; no file has it: its records open no "
			"more\n",
			(unsigned long long)loss->epoch_id);
		break;
	case JNL_LOST_HEADER:
		cli_out_text(cli->out, "the header page; it was made anew from the blocks\n");
		break;
	case JNL_LOST_END:
		cli_out_printf(cli->out,
			"the end of the file, with %llu bytes known to have been there; it was "
			"made anew\n",
			bytes);
		break;
	case JNL_LOST_FILE:
		cli_out_text(cli->out, "all of the file: nothing in it can be made out\n");
		break;
	}
}

struct salvager {
	struct cli *cli;
	yajl_gen json;
};

static void
tell_loss(void *arg, const struct jnl_loss *loss)
{
	struct salvager *s = arg;

	cli_loss_out(s->cli, s->json, loss);
}

static void
json_report(yajl_gen json, const struct jnl_salvage_report *r)
{
	cli_json_array_end(json);
	cli_json_u64(json, "files", r->files);
	cli_json_u64(json, "files_damaged", r->files_damaged);
	cli_json_u64(json, "files_lost", r->files_lost);
	cli_json_u64(json, "blocks", r->blocks);
	cli_json_u64(json, "records", r->records);
	cli_json_u64(json, "lost_ranges", r->lost_ranges);
	cli_json_u64(json, "lost_bytes", r->lost_bytes);
	cli_json_u64(json, "lost_records", r->lost_records);
	cli_json_u64(json, "lost_keys", r->lost_keys);
	cli_json_u64(json, "torn_bytes", r->torn_bytes);
	cli_json_u64(json, "unreadable_pages", r->unreadable_pages);
	cli_json_map_end(json);
}

static void
text_report(struct cli *cli, const struct jnl_salvage_report *r, const char *to)
{
	cli_out_printf(cli->out,
		"%llu files, %llu of them damaged: %llu blocks with %llu records are in %s\n",
		(unsigned long long)r->files, (unsigned long long)r->files_damaged,
		(unsigned long long)r->blocks, (unsigned long long)r->records, to);
	if (r->torn_bytes > 0)
		cli_out_printf(cli->out,
			"%llu bytes of torn tails were left out: nothing of them was "
			"acknowledged\n",
			(unsigned long long)r->torn_bytes);
	if (r->unreadable_pages > 0)
		cli_out_printf(cli->out, "the disk did not give %llu pages of 4,096 bytes\n",
			(unsigned long long)r->unreadable_pages);
	cli_out_printf(cli->out,
		"lost: %llu bytes in %llu places, %llu records, %llu keys, %llu whole files\n",
		(unsigned long long)r->lost_bytes, (unsigned long long)r->lost_ranges,
		(unsigned long long)r->lost_records, (unsigned long long)r->lost_keys,
		(unsigned long long)r->files_lost);
}

int
cli_journal_salvage(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"to", OPT_TO, "DIR", 0, "Where to: an empty directory, or one that is not there",
			1},
		{0},
	};
	static const struct argp argp = {options, parse_salvage, NULL,
		"Copy what can still be read of a damaged journal, between bad blocks too, and say "
		"exactly what is lost of it. The journal itself is only read; no key is needed. "
		"Every "
		"block that is kept lies where it lay and verifies as before, signatures and all.\v"
		"Examples:\n"
		"  sealock journal salvage --journal /mnt/broken --to /srv/rescued\n"
		"  sealock journal verify --journal /srv/rescued --salvaged\n"
		"  sealock tail web --journal /srv/rescued --no-follow\n"
		"\n"
		"Exit status 1: something was lost.",
		cli_common_children, NULL, NULL};
	struct salvage_args args = {.cli = cli};
	struct salvager s = {.cli = cli};
	struct jnl_salvage_report report = {0};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	if (cli->json) {
		s.json = cli_json_begin(cli->out, false);
		cli_json_map(s.json);
		cli_json_key(s.json, "losses");
		cli_json_array(s.json);
	}
	const struct jnl_salvage_config config = {
		.dir = cli->journal_dir, .to = args.to, .lost = tell_loss, .arg = &s};
	int rc = jnl_salvage(&config, &report, &err);
	if (rc == SLK_OK && cli->json)
		json_report(s.json, &report);
	else if (rc == SLK_OK)
		text_report(cli, &report, args.to);
	cli_json_end(s.json);
	if (rc != SLK_OK) {
		cli_out_drop(cli->out);
		return cli_fail(cli, &err);
	}
	return report.lost_bytes + report.lost_records + report.lost_keys + report.files_damaged +
				report.files_lost ==
			0
		? CLI_EXIT_OK
		: CLI_EXIT_FAILED;
}
