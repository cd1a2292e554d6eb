/* sealock stream create | list | describe | delete; its other verbs: streams.h */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "iam.h"
#include "shapes.h"
#include "streams.h"
#include "text.h"

#define PAGE_STREAMS 64u
#define SHARDS_MAX KMSC_SHARDS_MAX

struct stream_args {
	struct cli *cli;
	const char *name;
	const char *key;
	uint64_t shards;
	bool name_wanted;
};

enum { OPT_SHARDS = 's', OPT_KEY = 'k' };

static error_t
parse_name(int key, char *arg, struct argp_state *state)
{
	struct stream_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case ARGP_KEY_ARG:
		if (!args->name_wanted || args->name != NULL)
			argp_error(state, "'%s' is too much", arg);
		args->name = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		if (args->name_wanted)
			argp_error(state, "the stream's NAME is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t
parse_create(int key, char *arg, struct argp_state *state)
{
	struct stream_args *args = state->input;

	switch (key) {
	case OPT_SHARDS:
		if (cli_u64_parse(arg, SHARDS_MAX, &args->shards) != SLK_OK || args->shards == 0)
			argp_error(state, "--shards takes a number from 1 to %u, not '%s'",
				SHARDS_MAX, arg);
		return 0;
	case OPT_KEY:
		args->key = arg;
		return 0;
	default:
		return parse_name(key, arg, state);
	}
}

static void
print_stream(struct cli *cli, const struct kmsc_stream *stream)
{
	if (!cli->json) {
		cli_shape_stream_text(cli->out, stream);
		return;
	}
	yajl_gen json = cli_json_begin(cli->out, false);
	cli_shape_stream(json, stream);
	cli_json_end(json);
}

static int
create(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"shards", OPT_SHARDS, "N", 0, "Shards, 1 to 10000 (1)", 1},
		{"key", OPT_KEY, "KEY", 0,
			"Master key that protects the stream: id, ARN or alias. Without it the "
			"appliance's own key is used, "
			"and readers need no right to a key",
			1},
		{0},
	};
	static const struct argp argp = {options, parse_create, "NAME",
		"Create a stream. Its records are sealed under data keys that the master key "
		"wraps.\v"
		"Example:\n"
		"  sealock stream create web --shards 2 --key alias/web\n"
		"\n"
		"Order is kept within a shard; a record's partition key chooses its shard.",
		cli_common_children, NULL, NULL};
	struct stream_args args = {.cli = cli, .shards = 1, .name_wanted = true};
	struct slk_error err = {0};
	struct kmsc_stream stream;

	cli_parse(&argp, argc, argv, &args);
	struct kmsc *kms = cli_kms(cli, &err);
	if (kms == NULL ||
		kmsc_create_stream(
			kms, args.name, (uint32_t)args.shards, args.key, &stream, &err) != SLK_OK)
		return cli_fail(cli, &err);
	print_stream(cli, &stream);
	return CLI_EXIT_OK;
}

/* Print every stream, as rows or (json) as elements. */
static int
list_all(struct cli *cli, struct kmsc *kms, yajl_gen json, size_t *out_printed,
	struct slk_error *err)
{
	struct kmsc_stream *streams = calloc(PAGE_STREAMS, sizeof(*streams));
	char marker[KMSC_NAME_MAX] = "";
	int rc = streams == NULL ? slk_fail(err, SLK_NO_MEMORY, "no memory for the list of streams")
				 : SLK_OK;

	while (rc == SLK_OK) {
		char next[sizeof(marker)] = "";
		size_t count = 0;
		rc = kmsc_list_streams(kms, marker, streams, PAGE_STREAMS, &count, next, err);
		for (size_t i = 0; rc == SLK_OK && i < count; i++, (*out_printed)++) {
			if (json != NULL)
				cli_shape_stream(json, &streams[i]);
			else
				cli_shape_stream_row(cli->out, &streams[i], *out_printed == 0);
		}
		if (next[0] == '\0')
			break;
		memcpy(marker, next, sizeof(marker));
	}
	free(streams);
	return rc;
}

static int
list(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, parse_name, NULL,
		"List the streams.\v"
		"Example:\n"
		"  sealock stream list --json | jq -r '.streams[].name'",
		cli_common_children, NULL, NULL};
	struct stream_args args = {.cli = cli};
	struct slk_error err = {0};
	yajl_gen json = NULL;
	size_t printed = 0;

	cli_parse(&argp, argc, argv, &args);
	struct kmsc *kms = cli_kms(cli, &err);
	if (kms == NULL)
		return cli_fail(cli, &err);
	if (cli->json) {
		json = cli_json_begin(cli->out, false);
		cli_json_map(json);
		cli_json_key(json, "streams");
		cli_json_array(json);
	}
	int rc = list_all(cli, kms, json, &printed, &err);
	if (rc == SLK_OK) {
		cli_json_array_end(json);
		cli_json_map_end(json);
	}
	cli_json_end(json);
	if (rc != SLK_OK) {
		cli_out_drop(cli->out);
		return cli_fail(cli, &err);
	}
	if (!cli->json && printed == 0)
		cli_note("there is no stream yet: make one with 'sealock stream create NAME'");
	return CLI_EXIT_OK;
}

static int
describe(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, parse_name, "NAME",
		"Describe a stream. NAME is its name or its ARN.\v"
		"Example:\n"
		"  sealock stream describe web",
		cli_common_children, NULL, NULL};
	struct stream_args args = {.cli = cli, .name_wanted = true};
	struct slk_error err = {0};
	struct kmsc_stream stream;

	cli_parse(&argp, argc, argv, &args);
	struct kmsc *kms = cli_kms(cli, &err);
	if (kms == NULL || kmsc_describe_stream(kms, args.name, &stream, &err) != SLK_OK)
		return cli_fail(cli, &err);
	print_stream(cli, &stream);
	return CLI_EXIT_OK;
}

static int delete (struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, parse_name, "NAME",
		"Delete a stream. It is DELETING until ingestd takes no more records of it; then "
		"its "
		"name is free. Sealed blocks stay in the journal's files until those are removed.\v"
		"Example:\n"
		"  sealock stream delete web",
		cli_common_children, NULL, NULL};
	struct stream_args args = {.cli = cli, .name_wanted = true};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	struct kmsc *kms = cli_kms(cli, &err);
	if (kms == NULL || kmsc_delete_stream(kms, args.name, &err) != SLK_OK)
		return cli_fail(cli, &err);
	if (cli->json) {
		yajl_gen json = cli_json_begin(cli->out, false);
		cli_json_map(json);
		cli_json_str(json, "deleted", args.name);
		cli_json_map_end(json);
		cli_json_end(json);
	} else {
		cli_out_printf(cli->out, "deleted stream %s\n", args.name);
	}
	return CLI_EXIT_OK;
}

int
cli_stream(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"create", "make a stream", create},
		{"list", "list the streams", list},
		{"describe", "say what a stream is and under which key", describe},
		{"delete", "delete a stream", delete},
		{"shards", "list the shards of a stream", cli_stream_shards},
		{"split", "split a shard in two", cli_stream_split},
		{"merge", "merge two shards into one", cli_stream_merge},
		{"reshard", "bring a stream to a number of shards", cli_stream_reshard},
		{"retention", "how long records are kept", cli_stream_retention},
		{"encrypt", "encrypt under a master key from now on", cli_stream_encrypt},
		{"unencrypt", "seal under the appliance's own key from now on",
			cli_stream_unencrypt},
		{"tag", "tag a stream", cli_stream_tag},
		{"untag", "take tags from a stream", cli_stream_untag},
		{"tags", "list the tags of a stream", cli_stream_tags},
		{"policy", "who may use a stream, as the stream has it", cli_stream_policy},
		{0},
	};

	return cli_dispatch(cli, verbs, "Streams: named sequences of records, in shards.",
		"Example:\n"
		"  sealock stream create web --key alias/web\n"
		"  sealock stream describe web",
		argc, argv);
}
