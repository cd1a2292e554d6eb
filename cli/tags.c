/* sealock key|stream|delivery tag | untag | tags */
#include <stdlib.h>
#include <string.h>

#include "delivery.h"
#include "shapes.h"
#include "streams.h"

/* Whose tags: a verb's about. */
struct tagged {
	const char *noun; /* in JSON */
	int (*put)(struct kmsc *c, const char *name, const struct kmsc_tag *tags, size_t count,
		struct slk_error *err);
	int (*remove)(struct kmsc *c, const char *name, const char *const *tag_keys, size_t count,
		struct slk_error *err);
	int (*list)(struct kmsc *c, const char *name, const char *marker, struct kmsc_tag *out_tags,
		size_t cap, size_t *out_count, char *out_next, struct slk_error *err);
};
static const struct tagged keys = {
	"key", kmsc_tag_resource, kmsc_untag_resource, kmsc_list_resource_tags};
static const struct tagged streams = {
	"stream", kmsc_add_tags_to_stream, kmsc_remove_tags_from_stream, kmsc_list_tags_for_stream};
static const struct tagged deliveries = {"delivery", kmsc_tag_delivery_stream,
	kmsc_untag_delivery_stream, kmsc_list_tags_for_delivery_stream};

/* --- what the verbs do --- */

static const char *
name_of(const struct cli_verb_args *args)
{
	return (args->verb->wants & CLI_VERB_KEY) != 0 ? args->key_id : args->words[0];
}

static const struct tagged *
tagged_of(const struct cli_verb_args *args)
{
	return args->verb->about;
}

static void
begin(const struct cli_verb_args *args, yajl_gen json, const char *list)
{
	cli_json_map(json);
	cli_json_str(json, tagged_of(args)->noun, name_of(args));
	cli_json_key(json, list);
}

static void
print_tag(struct cli_verb_args *args, yajl_gen json, const struct kmsc_tag *tag)
{
	struct cli_out *out = args->cli->out;

	cli_json_str(json, tag->key, tag->value);
	if (json != NULL)
		return;
	cli_out_safe(out, slk_span_str(tag->key));
	cli_out_text(out, "=");
	cli_out_safe(out, slk_span_str(tag->value));
	cli_out_text(out, "\n");
}

static int
tag(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = tagged_of(args)->put(kms, name_of(args), args->tags.list, args->tags.count, err);

	if (rc != SLK_OK)
		return rc;
	begin(args, json, "tags");
	cli_json_map(json);
	for (size_t i = 0; i < args->tags.count; i++)
		print_tag(args, json, &args->tags.list[i]);
	cli_json_map_end(json);
	cli_json_map_end(json);
	return SLK_OK;
}

static int
untag(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = tagged_of(args)->remove(
		kms, name_of(args), args->names.list, args->names.count, err);

	if (rc != SLK_OK)
		return rc;
	begin(args, json, "untagged");
	cli_json_array(json);
	for (size_t i = 0; i < args->names.count; i++)
		cli_json_text(json, args->names.list[i]);
	cli_json_array_end(json);
	cli_json_map_end(json);
	if (json == NULL)
		cli_out_printf(args->cli->out, "untagged\n");
	return SLK_OK;
}

static int
tags(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_tag *page = calloc(KMSC_TAGS_MAX, sizeof(*page));
	char marker[KMSC_MARKER_MAX] = "", next[KMSC_MARKER_MAX];
	size_t count = 0;
	int rc = page != NULL ? SLK_OK : slk_fail(err, SLK_NO_MEMORY, "no memory for tags");

	begin(args, json, "tags");
	cli_json_map(json);
	do {
		next[0] = '\0';
		if (rc == SLK_OK)
			rc = tagged_of(args)->list(
				kms, name_of(args), marker, page, KMSC_TAGS_MAX, &count, next, err);
		for (size_t i = 0; rc == SLK_OK && i < count; i++)
			print_tag(args, json, &page[i]);
		memcpy(marker, next, sizeof(marker));
	} while (rc == SLK_OK && marker[0] != '\0');
	cli_json_map_end(json);
	cli_json_map_end(json);
	free(page);
	return rc;
}

/* --- of keys --- */

int
cli_key_tag(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"KEY"},
		.wants = CLI_VERB_KEY | CLI_VERB_TAGS,
		.args_doc = "KEY NAME=VALUE...",
		.doc = {"Tag a master key. Tags of the same name are replaced, others stay; a key "
			"has at most 50. A name has 1 to 128 characters and ends at the first =, a "
			"value has up to 256. Tags are no secret.\v"
			"Example:\n"
			"  sealock key tag alias/web team=web cost-center=4711"},
		.about = &keys,
		.act = tag};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

int
cli_key_untag(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"KEY"},
		.wants = CLI_VERB_KEY | CLI_VERB_NAMES,
		.args_doc = "KEY NAME...",
		.doc = {"Take tags from a master key, by their names. Names that it does not have "
			"are no mistake.\v"
			"Example:\n"
			"  sealock key untag alias/web cost-center"},
		.about = &keys,
		.act = untag};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

int
cli_key_tags(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"KEY"},
		.wants = CLI_VERB_KEY,
		.args_doc = "KEY",
		.doc = {"List the tags of a master key, a line NAME=VALUE for each.\v"
			"Example:\n"
			"  sealock key tags alias/web\n"
			"  sealock key tags alias/web --json | jq -r .tags.team"},
		.about = &keys,
		.act = tags};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

/* --- of streams --- */

int
cli_stream_tag(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME"},
		.wants = CLI_VERB_TAGS,
		.args_doc = "NAME TAG=VALUE...",
		.doc = {"Tag a stream. Tags of the same name are replaced, others stay; a stream "
			"has at most 50. Tags are no secret.\v"
			"Example:\n"
			"  sealock stream tag web team=web cost-center=4711"},
		.about = &streams,
		.act = tag};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

int
cli_stream_untag(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME"},
		.wants = CLI_VERB_NAMES,
		.args_doc = "NAME TAG...",
		.doc = {"Take tags from a stream, by their names. Names that it does not have are "
			"no mistake.\v"
			"Example:\n"
			"  sealock stream untag web cost-center"},
		.about = &streams,
		.act = untag};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

int
cli_stream_tags(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME"},
		.args_doc = "NAME",
		.doc = {"List the tags of a stream, a line NAME=VALUE for each.\v"
			"Example:\n"
			"  sealock stream tags web\n"
			"  sealock stream tags web --json | jq -r .tags.team"},
		.about = &streams,
		.act = tags};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

/* --- of delivery streams --- */

int
cli_delivery_tag(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME"},
		.wants = CLI_VERB_TAGS,
		.args_doc = "NAME TAG=VALUE...",
		.doc = {"Tag a delivery stream. Tags of the same name are replaced, others stay; "
			"it has at most 50. Tags are no secret.\v"
			"Example:\n"
			"  sealock delivery tag archive team=web"},
		.about = &deliveries,
		.act = tag};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

int
cli_delivery_untag(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME"},
		.wants = CLI_VERB_NAMES,
		.args_doc = "NAME TAG...",
		.doc = {"Take tags from a delivery stream, by their names. Names that it does not "
			"have are no mistake.\v"
			"Example:\n"
			"  sealock delivery untag archive team"},
		.about = &deliveries,
		.act = untag};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

int
cli_delivery_tags(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME"},
		.args_doc = "NAME",
		.doc = {"List the tags of a delivery stream, a line NAME=VALUE for each.\v"
			"Example:\n"
			"  sealock delivery tags archive"},
		.about = &deliveries,
		.act = tags};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}
