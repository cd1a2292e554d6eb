/* sealock iam access-key: what users prove themselves with over the network */
#include "iam.h"

#include <string.h>

#include "kmsclient/access.h"
#include "shapes.h"
#include "text.h"

#define SECRET_MAX 41u /* with terminator */

/* --- create --- */

static void
print_created(struct cli_verb_args *args, yajl_gen json, const struct kmsc_access_key *key,
	const char *secret)
{
	const char *out = CLI_TEXT(args, OUT);

	cli_json_map(json);
	cli_json_str(json, "id", key->id);
	cli_json_str(json, "user", key->user);
	if (out == NULL)
		cli_json_str(json, "secret", secret);
	cli_json_time(json, "created", key->created_ns);
	cli_json_map_end(json);
	if (json != NULL)
		return;
	cli_shape_line(args->cli->out, "access key", key->id);
	cli_shape_line(args->cli->out, "user", key->user);
	cli_shape_line(args->cli->out, "secret", out == NULL ? secret : "in the file");
}

/* On its way to a file or to the output. */
static int
hand_out(struct cli_verb_args *args, yajl_gen json, const struct kmsc_access_key *key,
	const struct slk_secret *made, struct slk_error *err)
{
	char secret[SECRET_MAX];
	size_t len = slk_secret_len(made);

	if (len >= sizeof(secret))
		return slk_fail(
			err, SLK_INTERNAL, "the secret of access key %s is too long", key->id);
	if (CLI_TEXT(args, OUT) != NULL) {
		int rc = cli_iam_write_profile(
			args->cli, CLI_TEXT(args, OUT), "default", key->id, made, NULL, err);
		if (rc != SLK_OK)
			return slk_fail_prefix(err,
				"access key %s was created, but its secret is lost; delete it",
				key->id);
	}
	memcpy(secret, slk_secret_peek(made), len);
	secret[len] = '\0';
	print_created(args, json, key, secret);
	slk_wipe(secret, sizeof(secret));
	return SLK_OK;
}

static int
create_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_access_key key;
	struct slk_secret *made = NULL;

	int rc = kmsc_create_access_key(kms, args->words[0], &key, &made, err);
	if (rc == SLK_OK)
		rc = hand_out(args, json, &key, made, err);
	slk_secret_free(made);
	return rc;
}

static const struct argp_option create_options[] = {
	{"out", CLI_OPT_OUT, "FILE", 0,
		"Write it to FILE (mode 0600), as ~/.aws/credentials has it, and do not print the "
		"secret",
		1},
	{0},
};
static const struct cli_verb create = {
	.words = {"USER"},
	.args_doc = "USER",
	.options = {create_options, NULL},
	.doc = {"Make an access key for a user: an id and a secret, with which AWS's tools and "
		"SDKs "
		"sign their requests. The secret is shown this once; kmsd never gives it out "
		"again. A user has at most two, so that one can replace the other.\v"
		"Example:\n"
		"  sealock iam access-key create alice --out credentials\n"
		"  sealock iam access-key create alice --json | jq -r .id"},
	.act = create_act,
};
CLI_VERB_ENTRY(create)

/* --- list --- */

static int
list_fetch(struct cli_verb_args *args, struct kmsc *kms, const char *marker, void *page,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	return kmsc_list_access_keys(
		kms, args->words[0], marker, page, CLI_PAGE, out_count, out_next, err);
}

static void
list_print(struct cli_verb_args *args, yajl_gen json, const void *entry, bool with_title)
{
	const struct kmsc_access_key *key = entry;
	char created[CLI_TIME_MAX], used[CLI_TIME_MAX] = "never";

	if (json != NULL) {
		cli_json_map(json);
		cli_json_str(json, "id", key->id);
		cli_json_str(json, "user", key->user);
		cli_json_bool(json, "active", key->active);
		cli_json_time(json, "created", key->created_ns);
		cli_json_time(json, "last_used", key->last_used_ns);
		cli_json_map_end(json);
		return;
	}
	if (with_title)
		cli_out_printf(args->cli->out, "%-20s  %-8s  %-20s  %s\n", "ACCESS KEY", "STATE",
			"CREATED", "LAST USED");
	cli_time_second(key->created_ns, created);
	if (key->last_used_ns != 0)
		cli_time_second(key->last_used_ns, used);
	cli_out_safe(args->cli->out, slk_span_str(key->id));
	cli_out_printf(args->cli->out, "  %-8s  %-20s  %s\n", key->active ? "active" : "disabled",
		created, used);
}

static int
list_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	static const struct cli_pages pages = {
		sizeof(struct kmsc_access_key), list_fetch, list_print, NULL};
	size_t total;

	cli_json_map(json);
	int rc = cli_verb_pages(args, kms, json, "access_keys", &pages, &total, err);
	cli_json_map_end(json);
	if (rc == SLK_OK && json == NULL && total == 0)
		cli_note("user %s has no access key", args->words[0]);
	return rc;
}

static const struct cli_verb list = {
	.words = {"USER"},
	.args_doc = "USER",
	.doc = {"List the access keys of a user, and when each was last used. Secrets are not "
		"shown.\v"
		"Example:\n"
		"  sealock iam access-key list alice"},
	.act = list_act,
};
CLI_VERB_ENTRY(list)

/* --- enable, disable, delete --- */

static int
said(struct cli_verb_args *args, yajl_gen json, const char *state)
{
	cli_json_map(json);
	cli_json_str(json, "id", args->words[1]);
	cli_json_str(json, "user", args->words[0]);
	cli_json_str(json, "state", state);
	cli_json_map_end(json);
	if (json != NULL)
		return SLK_OK;
	cli_out_text(args->cli->out, "access key ");
	cli_out_safe(args->cli->out, slk_span_str(args->words[1]));
	cli_out_printf(args->cli->out, " is %s\n", state);
	return SLK_OK;
}

static int
enable_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_update_access_key(kms, args->words[0], args->words[1], true, err);

	return rc == SLK_OK ? said(args, json, "active") : rc;
}

static const struct cli_verb enable = {
	.words = {"USER", "ID"},
	.args_doc = "USER ID",
	.doc = {"Let an access key that was disabled be used again.\v"
		"Example:\n"
		"  sealock iam access-key enable alice AKIA..."},
	.act = enable_act,
};
CLI_VERB_ENTRY(enable)

static int
disable_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_update_access_key(kms, args->words[0], args->words[1], false, err);

	return rc == SLK_OK ? said(args, json, "disabled") : rc;
}

static const struct cli_verb disable = {
	.words = {"USER", "ID"},
	.args_doc = "USER ID",
	.doc = {"Let an access key not be used until it is enabled again.\v"
		"Example:\n"
		"  sealock iam access-key disable alice AKIA..."},
	.act = disable_act,
};
CLI_VERB_ENTRY(disable)

static int
delete_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_delete_access_key(kms, args->words[0], args->words[1], err);

	return rc == SLK_OK ? said(args, json, "deleted") : rc;
}

static const struct cli_verb delete = {
	.words = {"USER", "ID"},
	.args_doc = "USER ID",
	.doc = {"Delete an access key, for ever. 'disable' it first and see who misses it.\v"
		"Example:\n"
		"  sealock iam access-key delete alice AKIA..."},
	.act = delete_act,
};
CLI_VERB_ENTRY(delete)

int
cli_iam_access_key(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"create", "make one for a user", run_create},
		{"list", "list those of a user", run_list},
		{"enable", "let one be used again", run_enable},
		{"disable", "let one not be used for now", run_disable},
		{"delete", "delete one", run_delete},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Access keys: what users prove themselves with over the network, as in AWS.",
		"Example:\n"
		"  sealock iam access-key create alice --out credentials\n"
		"  sealock iam access-key list alice",
		argc, argv);
}
