/* Arguments and endings of the commands that make and keep keys. */
#include "life.h"

#include <stdlib.h>
#include <string.h>

#include "keyname.h"
#include "text.h"

static void
take_alias(struct cli_life_args *args, const char *arg, struct argp_state *state)
{
	if (strncmp(arg, "alias/", 6) != 0 || arg[6] == '\0')
		argp_error(state, "an alias is written alias/NAME, for instance alias/%s", arg);
	args->alias = arg;
}

static void
take_days(struct cli_life_args *args, const char *arg, struct argp_state *state)
{
	uint64_t value = 0;

	if (cli_u64_parse(arg, args->days_max, &value) != SLK_OK || value < args->days_min)
		argp_error(state, "--days takes a number from %u to %u, not '%s'", args->days_min,
			args->days_max, arg);
	args->days = (uint32_t)value;
}

/* kmsd counts characters; here only what no character could make fit is refused. */
void
cli_take_tag(struct cli_tags *tags, const char *arg, struct argp_state *state)
{
	const char *equals = strchr(arg, '=');

	if (equals == NULL || equals == arg)
		argp_error(state, "a tag is written NAME=VALUE, not '%s'", arg);
	else if ((size_t)(equals - arg) >= KMSC_TAG_KEY_MAX ||
		strlen(equals + 1) >= KMSC_TAG_VALUE_MAX)
		argp_error(state,
			"a tag has a name of at most 128 characters and a value of at most 256");
	else if (tags->count == KMSC_TAGS_MAX)
		argp_error(state, "there are at most %u tags", KMSC_TAGS_MAX);
	else if (tags->list == NULL &&
		(tags->list = calloc(KMSC_TAGS_MAX, sizeof(*tags->list))) == NULL)
		argp_failure(state, CLI_EXIT_FAILED, 0, "no memory for tags");
	else {
		struct kmsc_tag *tag = &tags->list[tags->count++];
		memcpy(tag->key, arg, (size_t)(equals - arg));
		strcpy(tag->value, equals + 1);
	}
}

void
cli_take_tag_name(struct cli_tag_names *names, const char *arg, struct argp_state *state)
{
	if (names->count == KMSC_TAGS_MAX)
		argp_error(state, "there are at most %u tags", KMSC_TAGS_MAX);
	else
		names->list[names->count++] = arg;
}

static void
take_word(struct cli_life_args *args, const char *arg, struct argp_state *state)
{
	if ((args->wants & CLI_LIFE_ALIAS) != 0 && args->alias == NULL)
		take_alias(args, arg, state);
	else if ((args->wants & (CLI_LIFE_KEY | CLI_LIFE_KEY_OPTIONAL)) != 0 && args->key == NULL)
		args->key = arg;
	else
		argp_error(state, "'%s' is too much", arg);
}

static void
check(const struct cli_life_args *args, struct argp_state *state)
{
	if ((args->wants & CLI_LIFE_ALIAS) != 0 && args->alias == NULL)
		argp_error(state, "ALIAS is missing");
	if ((args->wants & CLI_LIFE_KEY) != 0 && args->key == NULL)
		argp_error(state, "KEY is missing");
	if (args->description_needed && args->description == NULL)
		argp_error(state, "--description TEXT is missing");
	if (args->enable && args->disable)
		argp_error(state, "--enable and --disable exclude each other");
	if (args->days_min == CLI_ROTATION_DAYS_MIN && args->days != 0 && !args->enable)
		argp_error(state, "--days goes with --enable");
}

static error_t
parse_option(int key, const char *arg, struct cli_life_args *args)
{
	switch (key) {
	case CLI_LIFE_OPT_DESCRIPTION:
		args->description = arg;
		return 0;
	case CLI_LIFE_OPT_SPEC:
		args->spec = arg;
		return 0;
	case CLI_LIFE_OPT_USAGE:
		args->usage = arg;
		return 0;
	case CLI_LIFE_OPT_POLICY:
		args->policy = arg;
		return 0;
	case CLI_LIFE_OPT_BYPASS:
		args->bypass = true;
		return 0;
	case CLI_LIFE_OPT_ENABLE:
		args->enable = true;
		return 0;
	case CLI_LIFE_OPT_DISABLE:
		args->disable = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

error_t
cli_life_parse(int key, char *arg, struct argp_state *state)
{
	struct cli_life_args *args = state->input;

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
	case CLI_LIFE_OPT_ALIAS:
		take_alias(args, arg, state);
		return 0;
	case CLI_LIFE_OPT_TAG:
		cli_take_tag(&args->tags, arg, state);
		return 0;
	case CLI_LIFE_OPT_DAYS:
		take_days(args, arg, state);
		return 0;
	default:
		return parse_option(key, arg, args);
	}
}

int
cli_life_run(struct cli_life_args *args, cli_life_fn act)
{
	struct cli *cli = args->cli;
	struct slk_error err = {0};
	struct kmsc *kms = cli_kms(cli, &err);

	int rc = kms == NULL ? err.status : SLK_OK;
	if (rc == SLK_OK && args->key != NULL)
		rc = cli_keyname_resolve(kms, args->key, args->key_id, &err);
	if (rc == SLK_OK) {
		yajl_gen json = cli->json ? cli_json_begin(cli->out, false) : NULL;
		rc = act(args, kms, json, &err);
		cli_json_end(json);
	}
	free(args->tags.list);
	args->tags.list = NULL;
	if (rc == SLK_OK)
		return CLI_EXIT_OK;
	cli_out_drop(cli->out);
	return cli_fail(cli, &err);
}
