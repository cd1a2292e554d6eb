/* sealock key tag | untag | tags */
#include "life.h"

#include <string.h>

#include "shapes.h"

#define PAGE_TAGS 16u /* 25 KiB */

static void
print_tag(struct cli *cli, yajl_gen json, const struct kmsc_tag *tag)
{
	cli_json_str(json, tag->key, tag->value);
	if (cli->json)
		return;
	cli_out_safe(cli->out, slk_span_str(tag->key));
	cli_out_text(cli->out, "=");
	cli_out_safe(cli->out, slk_span_str(tag->value));
	cli_out_text(cli->out, "\n");
}

static void
begin(const struct cli_life_args *args, yajl_gen json)
{
	cli_json_map(json);
	cli_json_str(json, "key", args->key_id);
	cli_json_key(json, "tags");
	cli_json_map(json);
}

static void
end(yajl_gen json)
{
	cli_json_map_end(json);
	cli_json_map_end(json);
}

static int
tag(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_tag_resource(kms, args->key_id, args->tags.list, args->tags.count, err);

	if (rc != SLK_OK)
		return rc;
	begin(args, json);
	for (size_t i = 0; i < args->tags.count; i++)
		print_tag(args->cli, json, &args->tags.list[i]);
	end(json);
	return SLK_OK;
}

int
cli_key_tag(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, "KEY NAME=VALUE...",
		"Tag a master key. Tags of the same name are replaced, others stay; a key has at "
		"most 50. A name has 1 to 128 characters and ends at the first =, a value has up "
		"to 256. Tags are no secret.\v"
		"Example:\n"
		"  sealock key tag alias/web team=web cost-center=4711",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_KEY | CLI_LIFE_TAGS};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, tag);
}

static int
untag(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_untag_resource(kms, args->key_id, args->names.list, args->names.count, err);

	if (rc != SLK_OK)
		return rc;
	cli_json_map(json);
	cli_json_str(json, "key", args->key_id);
	cli_json_key(json, "untagged");
	cli_json_array(json);
	for (size_t i = 0; i < args->names.count; i++)
		cli_json_text(json, args->names.list[i]);
	cli_json_array_end(json);
	cli_json_map_end(json);
	if (!args->cli->json)
		cli_out_printf(args->cli->out, "untagged\n");
	return SLK_OK;
}

int
cli_key_untag(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, "KEY NAME...",
		"Take tags from a master key, by their names. Names that it does not have are no "
		"mistake.\v"
		"Example:\n"
		"  sealock key untag alias/web cost-center",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_KEY | CLI_LIFE_NAMES};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, untag);
}

static int
tags(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_tag page[PAGE_TAGS];
	char marker[KMSC_MARKER_MAX] = "";

	begin(args, json);
	do {
		char next[KMSC_MARKER_MAX] = "";
		size_t count = 0;
		int rc = kmsc_list_resource_tags(
			kms, args->key_id, marker, page, PAGE_TAGS, &count, next, err);
		if (rc != SLK_OK)
			return rc;
		for (size_t i = 0; i < count; i++)
			print_tag(args->cli, json, &page[i]);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	end(json);
	return SLK_OK;
}

int
cli_key_tags(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, "KEY",
		"List the tags of a master key, a line NAME=VALUE for each.\v"
		"Example:\n"
		"  sealock key tags alias/web\n"
		"  sealock key tags alias/web --json | jq -r .tags.team",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_KEY};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, tags);
}
