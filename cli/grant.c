/* sealock key grant: rights on a key for one principal */
#include "iam.h"

#include <stdio.h>
#include <string.h>

#include "shapes_iam.h"

/* kmsd takes ARNs here, as AWS does. "user/alice" is one of the account that the key is of. */
static int
resolve_principal(
	struct kmsc *kms, const char *key_id, const char *text, char *out, struct slk_error *err)
{
	struct kmsc_key key;
	bool is_short = strncmp(text, "user/", 5) == 0 || strncmp(text, "role/", 5) == 0 ||
		strcmp(text, "root") == 0;
	const char *account = NULL;

	if (is_short) {
		int rc = kmsc_describe_key(kms, key_id, &key, err);
		if (rc != SLK_OK)
			return slk_fail_prefix(
				err, "'%.80s' cannot be told in full from the key's ARN", text);
		account = key.arn;
		for (int colons = 0; account != NULL && colons < 4; colons++) {
			account = strchr(account, ':');
			account = account != NULL ? account + 1 : NULL;
		}
	}
	int len = account != NULL ? snprintf(out, KMSC_ARN_MAX, "arn:aws:iam::%.*s:%s",
					    (int)strcspn(account, ":"), account, text)
				  : snprintf(out, KMSC_ARN_MAX, "%s", text);
	if (len < 0 || (size_t)len >= KMSC_ARN_MAX)
		return slk_fail(err, SLK_INVALID, "'%.40s...' is too long for a principal", text);
	return SLK_OK;
}

/* --- create --- */

static void
check_create(const struct cli_verb_args *args, struct argp_state *state)
{
	if (CLI_TEXT(args, GRANTEE) == NULL)
		argp_error(state, "--grantee PRINCIPAL is missing");
	if (args->list_count == 0)
		argp_error(state, "--operation NAME is missing, for instance --operation Decrypt");
	if (args->list_count > KMSC_GRANT_OPERATIONS_MAX)
		argp_error(state, "a grant has at most %u operations", KMSC_GRANT_OPERATIONS_MAX);
	if (args->context != NULL && args->context_equals != NULL)
		argp_error(state, "--context and --context-equals exclude each other");
}

static void
print_created(struct cli_verb_args *args, yajl_gen json, const char *id, const char *token)
{
	cli_json_map(json);
	cli_json_str(json, "id", id);
	cli_json_str(json, "token", token);
	cli_json_str(json, "key", args->key_id);
	cli_json_map_end(json);
	if (json != NULL)
		return;
	cli_shape_line(args->cli->out, "grant", id);
	cli_shape_line(args->cli->out, "token", token);
}

static int
create_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	char grantee[KMSC_ARN_MAX], retiring[KMSC_ARN_MAX] = "";
	char id[KMSC_GRANT_ID_MAX], token[KMSC_GRANT_TOKEN_MAX];

	int rc = resolve_principal(kms, args->key_id, CLI_TEXT(args, GRANTEE), grantee, err);
	if (rc == SLK_OK && CLI_TEXT(args, RETIRING) != NULL)
		rc = resolve_principal(kms, args->key_id, CLI_TEXT(args, RETIRING), retiring, err);
	if (rc != SLK_OK)
		return rc;
	const struct kmsc_grant_kind kind = {.key_id = args->key_id,
		.grantee = grantee,
		.retiring = retiring,
		.operations = args->list,
		.operations_count = args->list_count,
		.context_equals = args->context_equals,
		.context_subset = args->context,
		.source_arn = CLI_TEXT(args, SOURCE_ARN),
		.name = CLI_TEXT(args, NAME)};
	rc = kmsc_create_grant(kms, &kind, id, token, err);
	if (rc == SLK_OK)
		print_created(args, json, id, token);
	return rc;
}

static const struct argp_option create_options[] = {
	{"grantee", CLI_OPT_GRANTEE, "PRINCIPAL", 0, "Who gets it: user/NAME, role/NAME, or an ARN",
		1},
	{"operation", CLI_OPT_OPERATION, "NAME", 0,
		"What it allows; may be repeated: Decrypt, Encrypt, GenerateDataKey, "
		"GenerateDataKeyWithoutPlaintext, ReEncryptFrom, ReEncryptTo, Sign, Verify, "
		"GetPublicKey, DescribeKey, CreateGrant, RetireGrant",
		1},
	{"context", CLI_OPT_CONTEXT, "KEY=VALUE", 0,
		"Only where the encryption context has this pair, among others; may be repeated",
		1},
	{"context-equals", CLI_OPT_CONTEXT_EQUALS, "KEY=VALUE", 0,
		"Only where the encryption context is these pairs and no others; may be repeated",
		1},
	{"source-arn", CLI_OPT_SOURCE_ARN, "ARN", 0, "Only where a service asks for this resource",
		1},
	{"retiring", CLI_OPT_RETIRING, "PRINCIPAL", 0, "Who else may give it back", 1},
	{"name", CLI_OPT_NAME, "NAME", 0,
		"With one, the same command again gives the same grant, not a second one", 1},
	{0},
};
static const struct cli_verb create = {
	.words = {"KEY"},
	.wants = CLI_VERB_KEY,
	.args_doc = "KEY",
	.options = {create_options, NULL},
	.doc = {"Grant rights on a key to one user or role, without touching a policy. It is in "
		"force "
		"with the next call; the token that is printed is AWS's, none is needed here. A "
		"Deny in a policy wins over a grant.\v"
		"Example:\n"
		"  sealock key grant create alias/web --grantee role/reader \\\n"
		"    --operation Decrypt \\\n"
		"    --context aws:kinesis:arn=arn:aws:kinesis:local:000000000000:stream/web\n"
		"  sealock key grant list alias/web"},
	.check = check_create,
	.act = create_act,
};
CLI_VERB_ENTRY(create)

/* --- list --- */

static int
list_fetch(struct cli_verb_args *args, struct kmsc *kms, const char *marker, void *page,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	char principal[KMSC_ARN_MAX];
	const char *grantee = CLI_TEXT(args, GRANTEE);

	if (CLI_TEXT(args, RETIRING) != NULL)
		return kmsc_list_retirable_grants(kms, CLI_TEXT(args, RETIRING), marker, page,
			CLI_PAGE, out_count, out_next, err);
	if (grantee != NULL) {
		int rc = resolve_principal(kms, args->key_id, grantee, principal, err);
		if (rc != SLK_OK)
			return rc;
		grantee = principal;
	}
	return kmsc_list_grants(
		kms, args->key_id, grantee, marker, page, CLI_PAGE, out_count, out_next, err);
}

static void
list_print(struct cli_verb_args *args, yajl_gen json, const void *entry, bool with_title)
{
	if (json != NULL) {
		cli_shape_grant(json, entry);
		return;
	}
	if (!with_title)
		cli_out_text(args->cli->out, "\n");
	cli_shape_grant_text(args->cli->out, entry);
}

static void
list_end(void *page, size_t count)
{
	kmsc_grants_fini(page, count);
}

static int
list_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	static const struct cli_pages pages = {
		sizeof(struct kmsc_grant), list_fetch, list_print, list_end};
	size_t total;

	cli_json_map(json);
	int rc = cli_verb_pages(args, kms, json, "grants", &pages, &total, err);
	cli_json_map_end(json);
	if (rc == SLK_OK && json == NULL && total == 0)
		cli_note("there is no such grant");
	return rc;
}

static void
check_list(const struct cli_verb_args *args, struct argp_state *state)
{
	const char *retiring = CLI_TEXT(args, RETIRING);

	if ((args->words[0] != NULL) == (retiring != NULL))
		argp_error(state, "either KEY or --retiring ARN is needed");
	if (retiring != NULL && CLI_TEXT(args, GRANTEE) != NULL)
		argp_error(state, "--grantee goes with KEY");
}

static const struct argp_option list_options[] = {
	{"grantee", CLI_OPT_GRANTEE, "PRINCIPAL", 0, "Only those of user/NAME, role/NAME or an ARN",
		1},
	{"retiring", CLI_OPT_RETIRING, "ARN", 0,
		"Instead of those of a key, those that this principal was named to give back", 1},
	{0},
};
static const struct cli_verb list = {
	.words = {"KEY"},
	.optional_count = 1,
	.wants = CLI_VERB_KEY,
	.args_doc = "[KEY]",
	.options = {list_options, NULL},
	.doc = {"List the grants of a key, or those of all keys that a principal may retire.\v"
		"Example:\n"
		"  sealock key grant list alias/web --grantee role/reader\n"
		"  sealock key grant list --retiring arn:aws:iam::000000000000:user/alice\n"
		"  sealock key grant list alias/web --json | jq -r '.grants[].id'"},
	.check = check_list,
	.act = list_act,
};
CLI_VERB_ENTRY(list)

/* --- retire, revoke --- */

static void
said(struct cli_verb_args *args, yajl_gen json, const char *what)
{
	cli_json_map(json);
	if (args->words[1] != NULL)
		cli_json_str(json, "id", args->words[1]);
	cli_json_bool(json, what, true);
	cli_json_map_end(json);
	if (json != NULL)
		return;
	cli_out_text(args->cli->out, "grant ");
	if (args->words[1] != NULL) {
		cli_out_safe(args->cli->out, slk_span_str(args->words[1]));
		cli_out_text(args->cli->out, " ");
	}
	cli_out_printf(args->cli->out, "is %s\n", what);
}

static int
retire_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_retire_grant(kms, CLI_TEXT(args, TOKEN),
		args->words[0] != NULL ? args->key_id : NULL, args->words[1], err);

	if (rc == SLK_OK)
		said(args, json, "retired");
	return rc;
}

static void
check_retire(const struct cli_verb_args *args, struct argp_state *state)
{
	if ((args->words[0] != NULL) == (CLI_TEXT(args, TOKEN) != NULL))
		argp_error(state, "either KEY and GRANT, or --token TOKEN is needed");
	if (args->words[0] != NULL && args->words[1] == NULL)
		argp_error(state, "GRANT is missing: its id, of 'sealock key grant list'");
}

static const struct argp_option retire_options[] = {
	{"token", CLI_OPT_TOKEN, "TOKEN", 0, "Which grant, by the token of 'create'", 1},
	{0},
};
static const struct cli_verb retire = {
	.words = {"KEY", "GRANT"},
	.optional_count = 2,
	.wants = CLI_VERB_KEY,
	.args_doc = "[KEY GRANT]",
	.options = {retire_options, NULL},
	.doc = {"Give a grant back: for the principal that it names to retire it, a grantee with "
		"RetireGrant, and the account. It is gone with the next call, and with it what was "
		"passed on from it.\v"
		"Example:\n"
		"  sealock key grant retire alias/web GRANT-ID\n"
		"  sealock key grant retire --token TOKEN"},
	.check = check_retire,
	.act = retire_act,
};
CLI_VERB_ENTRY(retire)

static int
revoke_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_revoke_grant(kms, args->key_id, args->words[1], err);

	if (rc == SLK_OK)
		said(args, json, "revoked");
	return rc;
}

static const struct cli_verb revoke = {
	.words = {"KEY", "GRANT"},
	.wants = CLI_VERB_KEY,
	.args_doc = "KEY GRANT",
	.doc = {"Take a grant back: for who administrates the key. GRANT is its id. It is gone "
		"with "
		"the next call, and with it what was passed on from it.\v"
		"Example:\n"
		"  sealock key grant revoke alias/web GRANT-ID"},
	.act = revoke_act,
};
CLI_VERB_ENTRY(revoke)

int
cli_key_grant(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"create", "grant rights on a key", run_create},
		{"list", "list the grants of a key, or of who may retire them", run_list},
		{"retire", "give one back", run_retire},
		{"revoke", "take one back", run_revoke},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Grants: rights on one key for one principal, given and taken back without a "
		"policy.",
		"Example:\n"
		"  sealock key grant create alias/web --grantee role/reader --operation Decrypt\n"
		"  sealock key grant list alias/web\n"
		"  sealock key grant revoke alias/web GRANT-ID",
		argc, argv);
}
