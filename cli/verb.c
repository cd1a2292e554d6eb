#include "verb.h"

#include <stdlib.h>
#include <string.h>

#include "crypt.h"
#include "keyname.h"
#include "text.h"

/* --- arguments --- */

static void
take_word(struct cli_verb_args *args, const char *arg, struct argp_state *state)
{
	const struct cli_verb *verb = args->verb;
	size_t i = 0;

	while (verb->words[i] != NULL && args->words[i] != NULL)
		i++;
	if (verb->words[i] != NULL)
		args->words[i] = arg;
	else if ((verb->wants & CLI_VERB_TAGS) != 0)
		cli_take_tag(&args->tags, arg, state);
	else if ((verb->wants & CLI_VERB_NAMES) != 0)
		cli_take_tag_name(&args->names, arg, state);
	else
		argp_error(state, "'%s' is too much", arg);
}

static void
take_one_more(struct cli_verb_args *args, const char *arg, struct argp_state *state)
{
	if (args->list_count == CLI_VERB_LIST_MAX)
		argp_error(state, "'%s' is too much: there are at most %u", arg, CLI_VERB_LIST_MAX);
	else
		args->list[args->list_count++] = arg;
}

/* KEY=VALUE, split in place at the first =: argv is the process's own. */
static void
take_value(struct cli_verb_args *args, char *arg, struct argp_state *state)
{
	char *equals = strchr(arg, '=');

	if (equals == NULL || equals == arg) {
		argp_error(state, "a condition key is given as KEY=VALUE, not '%s'", arg);
	} else if (args->values_count == CLI_VERB_LIST_MAX) {
		argp_error(state, "at most %u values can be given", CLI_VERB_LIST_MAX);
	} else {
		*equals = '\0';
		args->value_keys[args->values_count] = arg;
		args->values[args->values_count++] = equals + 1;
	}
}

static error_t
take_option(struct cli_verb_args *args, int key, char *arg, struct argp_state *state)
{
	if (key >= CLI_OPT_DESCRIPTION && key < CLI_OPT_TEXTS_END)
		args->texts[key - CLI_OPT_DESCRIPTION] = arg;
	else if (key >= CLI_OPT_TEXTS_END && key < CLI_OPT_FLAGS_END)
		args->flags[key - CLI_OPT_TEXTS_END] = true;
	else if (key == CLI_OPT_TAG)
		cli_take_tag(&args->tags, arg, state);
	else if (key == CLI_OPT_OPERATION || key == CLI_OPT_MANAGED)
		take_one_more(args, arg, state);
	else if (key == CLI_OPT_CONTEXT)
		cli_take_pair(&args->context, arg, state);
	else if (key == CLI_OPT_CONTEXT_EQUALS)
		cli_take_pair(&args->context_equals, arg, state);
	else if (key == CLI_OPT_VALUE)
		take_value(args, arg, state);
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

static void
check(const struct cli_verb_args *args, struct argp_state *state)
{
	const struct cli_verb *verb = args->verb;
	size_t needed = 0;

	while (verb->words[needed] != NULL)
		needed++;
	needed -= verb->optional_count;
	for (size_t i = 0; i < needed; i++)
		if (args->words[i] == NULL)
			argp_error(state, "%s is missing", verb->words[i]);
	if ((verb->wants & CLI_VERB_TAGS) != 0 && args->tags.count == 0)
		argp_error(state, "the tags are missing: NAME=VALUE...");
	if ((verb->wants & CLI_VERB_NAMES) != 0 && args->names.count == 0)
		argp_error(state, "the names of the tags are missing");
	if ((verb->wants & CLI_VERB_HOLDER) != 0 &&
		(CLI_TEXT(args, USER) != NULL) == (CLI_TEXT(args, ROLE) != NULL))
		argp_error(state, "either --user NAME or --role NAME is needed");
	if (verb->check != NULL)
		verb->check(args, state);
}

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	struct cli_verb_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case ARGP_KEY_ARG:
		take_word(args, arg, state);
		return 0;
	case ARGP_KEY_END:
		check(args, state);
		return 0;
	default:
		return take_option(args, key, arg, state);
	}
}

/* --- doing it --- */

static int
act(struct cli_verb_args *args, struct slk_error *err)
{
	struct cli *cli = args->cli;
	struct kmsc *kms = cli_kms(cli, err);

	if (kms == NULL)
		return err->status;
	if ((args->verb->wants & CLI_VERB_KEY) != 0 && args->words[0] != NULL) {
		int rc = cli_keyname_resolve(kms, args->words[0], args->key_id, err);
		if (rc != SLK_OK)
			return rc;
	}
	yajl_gen json = cli->json ? cli_json_begin(cli->out, false) : NULL;
	int rc = args->verb->act(args, kms, json, err);
	cli_json_end(json);
	return rc;
}

int
cli_verb_run(struct cli *cli, const struct cli_verb *verb, unsigned variant, int argc, char **argv)
{
	const struct argp argp = {verb->options[variant], parse, verb->args_doc, verb->doc[variant],
		cli_common_children, NULL, NULL};
	struct cli_verb_args args = {.cli = cli, .verb = verb, .variant = variant};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	int rc = act(&args, &err);
	free(args.tags.list);
	fmt_context_free(args.context);
	fmt_context_free(args.context_equals);
	if (rc == SLK_OK)
		return args.code;
	cli_out_drop(cli->out);
	return cli_fail(cli, &err);
}

uint32_t
cli_verb_number(const char *text)
{
	uint64_t value = 0;

	return text != NULL && cli_u64_parse(text, UINT32_MAX, &value) == SLK_OK ? (uint32_t)value
										 : 0;
}

/* --- lists --- */

static int
read_pages(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json,
	const struct cli_pages *pages, void *page, size_t *out_total, struct slk_error *err)
{
	char marker[KMSC_MARKER_MAX] = "";

	do {
		char next[KMSC_MARKER_MAX] = "";
		size_t count = 0;
		int rc = pages->fetch(args, kms, marker, page, &count, next, err);
		if (rc != SLK_OK)
			return rc;
		for (size_t i = 0; i < count; i++, (*out_total)++)
			pages->print(args, json, (const char *)page + i * pages->entry_bytes,
				*out_total == 0);
		if (pages->end != NULL)
			pages->end(page, count);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	return SLK_OK;
}

int
cli_verb_pages(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, const char *key,
	const struct cli_pages *pages, size_t *out_total, struct slk_error *err)
{
	void *page = calloc(CLI_PAGE, pages->entry_bytes);

	*out_total = 0;
	if (page == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "there is no memory for a list");
	cli_json_key(json, key);
	cli_json_array(json);
	int rc = read_pages(args, kms, json, pages, page, out_total, err);
	cli_json_array_end(json);
	free(page);
	return rc;
}
