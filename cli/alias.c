/* sealock alias create | update | delete | list */
#include "life.h"

#include <stdlib.h>

#include "keyname.h"
#include "shapes.h"

/* An alias leads to a key, as asked for. */
static void
print_lead(const struct cli_life_args *args, yajl_gen json)
{
	struct cli_out *out = args->cli->out;

	cli_json_map(json);
	cli_json_str(json, "alias", args->alias);
	cli_json_str(json, "key", args->key_id);
	cli_json_map_end(json);
	if (args->cli->json)
		return;
	cli_out_safe(out, slk_span_str(args->alias));
	cli_out_text(out, " leads to key ");
	cli_out_safe(out, slk_span_str(args->key_id));
	cli_out_text(out, "\n");
}

static int
create(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_create_alias(kms, args->alias, args->key_id, err);

	if (rc == SLK_OK)
		print_lead(args, json);
	return rc;
}

static int
run_create(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, "ALIAS KEY",
		"Give a master key another name. ALIAS is alias/ and up to 250 of a-z A-Z 0-9 : / "
		"_ "
		"-, but not alias/aws/. KEY is an id, an ARN, or an alias that the key has "
		"already.\v"
		"Example:\n"
		"  sealock alias create alias/orders alias/web\n"
		"\n"
		"A key may have many aliases; an alias leads to one key.",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_ALIAS | CLI_LIFE_KEY};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, create);
}

static int
update(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_update_alias(kms, args->alias, args->key_id, err);

	if (rc == SLK_OK)
		print_lead(args, json);
	return rc;
}

static int
run_update(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, "ALIAS KEY",
		"Lead an alias to another master key, of the same kind. Whoever names the alias "
		"uses "
		"that key from now on; what the other one wrapped still names the other one, and a "
		"stream keeps the key that it was made with.\v"
		"Example:\n"
		"  sealock alias update alias/web 0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_ALIAS | CLI_LIFE_KEY};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, update);
}

static int
delete_one(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_delete_alias(kms, args->alias, err);

	if (rc != SLK_OK)
		return rc;
	cli_json_map(json);
	cli_json_str(json, "deleted", args->alias);
	cli_json_map_end(json);
	if (!args->cli->json) {
		cli_out_text(args->cli->out, "deleted ");
		cli_out_safe(args->cli->out, slk_span_str(args->alias));
		cli_out_text(args->cli->out, "\n");
	}
	return SLK_OK;
}

static int
run_delete(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, "ALIAS",
		"Delete an alias. The key that it leads to stays as it is.\v"
		"Example:\n"
		"  sealock alias delete alias/orders",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_ALIAS};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, delete_one);
}

static void
print_aliases(struct cli *cli, yajl_gen json, const struct kmsc_alias *aliases, size_t count)
{
	cli_json_map(json);
	cli_json_key(json, "aliases");
	cli_json_array(json);
	for (size_t i = 0; i < count; i++) {
		if (cli->json)
			cli_shape_alias(json, &aliases[i]);
		else
			cli_shape_alias_row(cli->out, &aliases[i], i == 0);
	}
	cli_json_array_end(json);
	cli_json_map_end(json);
}

static int
list(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_alias *aliases = NULL;
	size_t count = 0;

	int rc = cli_keyname_aliases(
		kms, args->key != NULL ? args->key_id : NULL, &aliases, &count, err);
	if (rc != SLK_OK)
		return rc;
	print_aliases(args->cli, json, aliases, count);
	free(aliases);
	if (!args->cli->json && count == 0)
		cli_note("there is no alias yet: make one with 'sealock alias create alias/NAME "
			 "KEY'");
	return SLK_OK;
}

static int
run_list(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, "[KEY]",
		"List the aliases of all master keys, or of one.\v"
		"Example:\n"
		"  sealock alias list\n"
		"  sealock alias list alias/web --json | jq -r '.aliases[].name'",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_KEY_OPTIONAL};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, list);
}

int
cli_alias(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"create", "give a key another name", run_create},
		{"update", "lead a name to another key", run_update},
		{"delete", "delete a name", run_delete},
		{"list", "list the names", run_list},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Names of master keys: alias/NAME, of which one key may have many.",
		"Example:\n"
		"  sealock alias create alias/orders alias/web\n"
		"  sealock alias list",
		argc, argv);
}
