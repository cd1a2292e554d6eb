/* sealock stream split | merge | reshard | shards */
#include "streams.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

/* --- what was said --- */

static void
check_shard(const char *text, const char *what, struct argp_state *state)
{
	uint32_t number;

	if (text != NULL && kmsc_shard_id_parse(text, &number) != SLK_OK)
		argp_error(state,
			"%s is the number of a shard, as 7 or shardId-000000000007, not '%s'", what,
			text);
}

/* A word that was checked. */
static uint32_t
shard_number(const char *text)
{
	uint32_t number = 0;

	return kmsc_shard_id_parse(text, &number) == SLK_OK ? number : 0;
}

/* --- split --- */

static void
check_split(const struct cli_verb_args *args, struct argp_state *state)
{
	kmsc_hash_key key;

	check_shard(args->words[1], "SHARD", state);
	if (args->words[2] != NULL && kmsc_hash_key_parse(args->words[2], &key) != SLK_OK)
		argp_error(
			state, "HASHKEY is a decimal number below 2^128, not '%s'", args->words[2]);
}

/* Where the second half of the shard begins. */
static int
middle_of(struct kmsc *kms, const char *stream, uint32_t number, kmsc_hash_key *out,
	struct slk_error *err)
{
	struct kmsc_shard_query query = {.filter = KMSC_SHARDS_AFTER_SHARD_ID, .shard = number - 1};
	char next[KMSC_MARKER_MAX];
	struct kmsc_shard shard;
	size_t count = 0;

	if (number == 0)
		query.filter = KMSC_SHARDS_FROM_TRIM_HORIZON;
	int rc = kmsc_list_shards(kms, stream, &query, "", &shard, 1, &count, next, err);
	if (rc != SLK_OK)
		return rc;
	if (count == 0 || shard.number != number)
		return slk_fail(err, SLK_NOT_FOUND, "stream %s has no shard %u", stream, number);
	*out = shard.start + (shard.end - shard.start) / 2 + 1;
	return SLK_OK;
}

static int
split(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	uint32_t number = shard_number(args->words[1]);
	kmsc_hash_key start = 0;

	int rc = args->words[2] != NULL ? kmsc_hash_key_parse(args->words[2], &start)
					: middle_of(kms, args->words[0], number, &start, err);
	if (rc == SLK_OK)
		rc = kmsc_split_shard(kms, args->words[0], number, start, err);
	return rc == SLK_OK ? cli_stream_show(args, kms, json, err) : rc;
}

int
cli_stream_split(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME", "SHARD", "HASHKEY"},
		.optional_count = 1,
		.args_doc = "NAME SHARD [HASHKEY]",
		.doc = {"Split a shard in two: one takes the hash keys below HASHKEY, the other "
			"the rest. "
			"Without HASHKEY they are equal. Nothing stops meanwhile: the stream is "
			"UPDATING "
			"until ingestd has sealed the last block of the old shard, whose records "
			"stay "
			"readable.\v"
			"Example:\n"
			"  sealock stream split web 0\n"
			"  sealock stream split web shardId-000000000003 "
			"170141183460469231731687303715884105728 --wait"},
		.options = {cli_stream_wait_options},
		.check = check_split,
		.act = split};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

/* --- merge --- */

static void
check_merge(const struct cli_verb_args *args, struct argp_state *state)
{
	check_shard(args->words[1], "SHARD", state);
	check_shard(args->words[2], "ADJACENT", state);
}

static int
merge(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_merge_shards(kms, args->words[0], shard_number(args->words[1]),
		shard_number(args->words[2]), err);

	return rc == SLK_OK ? cli_stream_show(args, kms, json, err) : rc;
}

int
cli_stream_merge(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME", "SHARD", "ADJACENT"},
		.args_doc = "NAME SHARD ADJACENT",
		.doc = {"Merge two shards into one. The hash keys of ADJACENT follow those of "
			"SHARD; "
			"'sealock stream shards' shows them.\v"
			"Example:\n"
			"  sealock stream merge web 2 3 --wait"},
		.options = {cli_stream_wait_options},
		.check = check_merge,
		.act = merge};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

/* --- reshard --- */

static void
check_reshard(const struct cli_verb_args *args, struct argp_state *state)
{
	uint64_t count;

	if (args->words[1] != NULL &&
		(cli_u64_parse(args->words[1], KMSC_SHARDS_MAX, &count) != SLK_OK || count == 0))
		argp_error(state, "COUNT is a number from 1 to %u, not '%s'", KMSC_SHARDS_MAX,
			args->words[1]);
}

static int
reshard(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	uint64_t count = 0;
	uint32_t before;

	int rc = cli_u64_parse(args->words[1], KMSC_SHARDS_MAX, &count);
	if (rc == SLK_OK)
		rc = kmsc_update_shard_count(kms, args->words[0], (uint32_t)count, &before, err);
	return rc == SLK_OK ? cli_stream_show(args, kms, json, err) : rc;
}

int
cli_stream_reshard(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME", "COUNT"},
		.args_doc = "NAME COUNT",
		.doc = {"Bring a stream to COUNT open shards with equal ranges of hash keys, by "
			"splits "
			"and merges. COUNT is between half and twice the present number; ten times "
			"in 24 "
			"hours.\v"
			"Example:\n"
			"  sealock stream reshard web 8 --wait"},
		.options = {cli_stream_wait_options},
		.check = check_reshard,
		.act = reshard};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

/* --- shards --- */

static void
print_hash_key(yajl_gen json, const char *name, kmsc_hash_key key)
{
	char text[KMSC_HASH_KEY_TEXT];

	kmsc_hash_key_print(key, text);
	cli_json_str(json, name, text);
}

static void
print_parent(yajl_gen json, const char *name, bool is_there, uint32_t number)
{
	char id[KMSC_SHARD_ID_MAX];

	if (!is_there)
		return;
	kmsc_shard_id_print(number, id);
	cli_json_str(json, name, id);
}

static void
print_json(yajl_gen json, const struct kmsc_shard *shard)
{
	char id[KMSC_SHARD_ID_MAX];

	kmsc_shard_id_print(shard->number, id);
	cli_json_map(json);
	cli_json_str(json, "shard", id);
	cli_json_u64(json, "number", shard->number);
	cli_json_str(json, "state", shard->closed_ns == 0 ? "OPEN" : "CLOSED");
	print_hash_key(json, "starting_hash_key", shard->start);
	print_hash_key(json, "ending_hash_key", shard->end);
	print_parent(json, "parent", shard->has_parent, shard->parent);
	print_parent(json, "adjacent_parent", shard->has_adjacent, shard->adjacent);
	cli_json_u64(json, "first_sequence", shard->first_sequence);
	if (shard->closed_ns != 0)
		cli_json_u64(json, "end_sequence", shard->end_sequence);
	cli_json_time(json, "opened", shard->opened_ns);
	if (shard->closed_ns != 0)
		cli_json_time(json, "closed", shard->closed_ns);
	cli_json_map_end(json);
}

static void
print_shard(struct cli_verb_args *args, yajl_gen json, const void *entry, bool with_title)
{
	const struct kmsc_shard *shard = entry;
	struct cli_out *out = args->cli->out;
	char start[KMSC_HASH_KEY_TEXT], end[KMSC_HASH_KEY_TEXT];

	if (json != NULL) {
		print_json(json, shard);
		return;
	}
	if (with_title)
		cli_out_printf(out, "%-6s %-7s %-39s %-39s %s\n", "SHARD", "STATE",
			"STARTING HASH KEY", "ENDING HASH KEY", "PARENTS");
	kmsc_hash_key_print(shard->start, start);
	kmsc_hash_key_print(shard->end, end);
	cli_out_printf(out, "%-6u %-7s %-39s %-39s", shard->number,
		shard->closed_ns == 0 ? "OPEN" : "CLOSED", start, end);
	if (shard->has_parent)
		cli_out_printf(out, " %u", shard->parent);
	if (shard->has_adjacent)
		cli_out_printf(out, " %u", shard->adjacent);
	cli_out_text(out, "\n");
}

static int
fetch(struct cli_verb_args *args, struct kmsc *kms, const char *marker, void *page,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	return kmsc_list_shards(
		kms, args->words[0], NULL, marker, page, CLI_PAGE, out_count, out_next, err);
}

static int
shards(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	static const struct cli_pages pages = {
		.entry_bytes = sizeof(struct kmsc_shard), .fetch = fetch, .print = print_shard};
	size_t total = 0;

	cli_json_map(json);
	cli_json_str(json, "stream", args->words[0]);
	int rc = cli_verb_pages(args, kms, json, "shards", &pages, &total, err);
	cli_json_map_end(json);
	return rc;
}

int
cli_stream_shards(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME"},
		.args_doc = "NAME",
		.doc = {"List the shards of a stream whose records have not expired: which hash "
			"keys "
			"they take and which shards they come from. A record's shard is the open "
			"one "
			"whose range holds the MD5 of its partition key.\v"
			"Example:\n"
			"  sealock stream shards web\n"
			"  sealock stream shards web --json | jq '.shards[] | select(.state == "
			"\"OPEN\") | .number'"},
		.act = shards};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}
