/* sealock iam policy: managed policies, and who holds them */
#include "iam.h"

#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "shapes_iam.h"

static int
show(struct cli_verb_args *args, yajl_gen json, const struct kmsc_policy *policy,
	const char *document, struct slk_error *err)
{
	if (json != NULL)
		return cli_shape_managed(json, policy, document, err);
	cli_shape_managed_text(args->cli->out, policy);
	return SLK_OK;
}

/* --- create, update --- */

static int
create_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_policy policy;
	char *document = NULL;

	int rc = cli_document_read(args->words[1], POL_IDENTITY, &document, err);
	if (rc == SLK_OK)
		rc = kmsc_create_policy(
			kms, args->words[0], document, CLI_TEXT(args, DESCRIPTION), &policy, err);
	if (rc == SLK_OK)
		rc = show(args, json, &policy, NULL, err);
	free(document);
	return rc;
}

static const struct argp_option create_options[] = {
	{"description", CLI_OPT_DESCRIPTION, "TEXT", 0, "What the policy is for", 1},
	{0},
};
static const struct cli_verb create = {
	.words = {"NAME", "FILE"},
	.args_doc = "NAME FILE",
	.options = {create_options, NULL},
	.doc = {"Make a managed policy, to be attached to users and roles. FILE is a document ('-' "
		"reads stdin), the JSON of AWS IAM. A name has 1 to 128 of a-z A-Z 0-9 _ + = , . @ "
		"- and is unique, upper and lower case alike.\v"
		"Example:\n"
		"  sealock iam policy create producer producer.json --description \"puts to web\"\n"
		"  sealock iam policy attach producer --user alice\n"
		"\n"
		"'sealock policy validate --help' shows a document."},
	.act = create_act,
};
CLI_VERB_ENTRY(create)

static int
update_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_policy policy;
	char *document = NULL;

	int rc = cli_document_read(args->words[1], POL_IDENTITY, &document, err);
	if (rc == SLK_OK)
		rc = kmsc_update_policy(kms, args->words[0], document, &policy, err);
	if (rc == SLK_OK)
		rc = show(args, json, &policy, NULL, err);
	free(document);
	return rc;
}

static const struct cli_verb update = {
	.words = {"NAME", "FILE"},
	.args_doc = "NAME FILE",
	.doc = {"Put another document in the place of a managed policy's. It is in force with the "
		"next call, for everybody who holds the policy. One that is refused, with its line "
		"and column, leaves the one before it in force. Older documents are not kept.\v"
		"Example:\n"
		"  sealock iam policy get producer --document > producer.json\n"
		"  sealock iam policy update producer producer.json\n"
		"  sealock iam policy holders producer     # for whom it changes"},
	.act = update_act,
};
CLI_VERB_ENTRY(update)

/* --- get, list, delete --- */

static int
get_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	char *document = malloc(KMSC_DOCUMENT_MAX);
	struct kmsc_policy policy;

	if (document == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "there is no memory for a policy");
	int rc = kmsc_get_policy(kms, args->words[0], &policy, document, err);
	if (rc == SLK_OK && (json != NULL || !CLI_FLAG(args, DOCUMENT)))
		rc = show(args, json, &policy, document, err);
	if (rc == SLK_OK && json == NULL) {
		if (!CLI_FLAG(args, DOCUMENT))
			cli_out_text(args->cli->out, "\n");
		cli_document_print(args->cli->out, document);
	}
	free(document);
	return rc;
}

static const struct argp_option get_options[] = {
	{"document", CLI_OPT_DOCUMENT, 0, 0, "Print the document alone, to change it and put it",
		1},
	{0},
};
static const struct cli_verb get = {
	.words = {"NAME"},
	.args_doc = "NAME",
	.options = {get_options, NULL},
	.doc = {"Show a managed policy and its document. NAME is its name or its ARN.\v"
		"Example:\n"
		"  sealock iam policy get producer\n"
		"  sealock iam policy get producer --document > producer.json"},
	.act = get_act,
};
CLI_VERB_ENTRY(get)

static int
list_fetch(struct cli_verb_args *args, struct kmsc *kms, const char *marker, void *page,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	(void)args;
	return kmsc_list_policies(kms, marker, page, CLI_PAGE, out_count, out_next, err);
}

static void
list_print(struct cli_verb_args *args, yajl_gen json, const void *entry, bool with_title)
{
	const struct kmsc_policy *policy = entry;

	if (json == NULL) {
		cli_shape_managed_row(args->cli->out, policy, with_title);
		return;
	}
	cli_json_map(json);
	cli_json_str(json, "name", policy->name);
	cli_json_str(json, "arn", policy->arn);
	cli_json_time(json, "created", policy->created_ns);
	cli_json_time(json, "changed", policy->changed_ns);
	cli_json_u64(json, "attachments", policy->attachments_count);
	cli_json_map_end(json);
}

static int
list_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	static const struct cli_pages pages = {
		sizeof(struct kmsc_policy), list_fetch, list_print, NULL};
	size_t total;

	cli_json_map(json);
	int rc = cli_verb_pages(args, kms, json, "policies", &pages, &total, err);
	cli_json_map_end(json);
	if (rc == SLK_OK && json == NULL && total == 0)
		cli_note("there is no managed policy yet: make one with 'sealock iam policy create "
			 "NAME FILE'");
	return rc;
}

static const struct cli_verb list = {
	.doc = {"List the managed policies, and how many hold each.\v"
		"Example:\n"
		"  sealock iam policy list --json | jq -r '.policies[].name'"},
	.act = list_act,
};
CLI_VERB_ENTRY(list)

static int
delete_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_delete_policy(kms, args->words[0], err);

	if (rc != SLK_OK)
		return rc;
	cli_json_map(json);
	cli_json_str(json, "deleted", args->words[0]);
	cli_json_map_end(json);
	if (json == NULL) {
		cli_out_text(args->cli->out, "deleted policy ");
		cli_out_safe(args->cli->out, slk_span_str(args->words[0]));
		cli_out_text(args->cli->out, "\n");
	}
	return SLK_OK;
}

static const struct cli_verb delete = {
	.words = {"NAME"},
	.args_doc = "NAME",
	.doc = {"Delete a managed policy that nobody holds any more.\v"
		"Example:\n"
		"  sealock iam policy holders producer\n"
		"  sealock iam policy detach producer --user alice\n"
		"  sealock iam policy delete producer"},
	.act = delete_act,
};
CLI_VERB_ENTRY(delete)

/* --- who holds them --- */

static struct kmsc_who
holder(const struct cli_verb_args *args)
{
	const char *user = CLI_TEXT(args, USER);

	return (struct kmsc_who){user == NULL, user != NULL ? user : CLI_TEXT(args, ROLE)};
}

static void
said(struct cli_verb_args *args, yajl_gen json, bool attached)
{
	struct kmsc_who who = holder(args);
	const char *kind = who.is_role ? "role" : "user";

	cli_json_map(json);
	cli_json_str(json, "policy", args->words[0]);
	cli_json_str(json, kind, who.name);
	cli_json_bool(json, "attached", attached);
	cli_json_map_end(json);
	if (json != NULL)
		return;
	cli_out_printf(args->cli->out, "%s ", kind);
	cli_out_safe(args->cli->out, slk_span_str(who.name));
	cli_out_text(args->cli->out,
		attached ? " holds the policy " : " does not hold any more the policy ");
	cli_out_safe(args->cli->out, slk_span_str(args->words[0]));
	cli_out_text(args->cli->out, "\n");
}

static const struct argp_option holder_options[] = {
	{"user", CLI_OPT_USER, "NAME", 0, "A user", 1},
	{"role", CLI_OPT_ROLE, "NAME", 0, "Or a role", 1},
	{0},
};

static int
attach_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_attach_policy(kms, holder(args), args->words[0], err);

	if (rc == SLK_OK)
		said(args, json, true);
	return rc;
}

static const struct cli_verb attach = {
	.words = {"NAME"},
	.wants = CLI_VERB_HOLDER,
	.args_doc = "NAME",
	.options = {holder_options, NULL},
	.doc = {"Attach a managed policy to a user or a role. It is in force with their next call. "
		"One that is attached already stays so.\v"
		"Example:\n"
		"  sealock iam policy attach producer --user alice\n"
		"  sealock iam policy attach reading --role reader"},
	.act = attach_act,
};
CLI_VERB_ENTRY(attach)

static int
detach_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_detach_policy(kms, holder(args), args->words[0], err);

	if (rc == SLK_OK)
		said(args, json, false);
	return rc;
}

static const struct cli_verb detach = {
	.words = {"NAME"},
	.wants = CLI_VERB_HOLDER,
	.args_doc = "NAME",
	.options = {holder_options, NULL},
	.doc = {"Take a managed policy from a user or a role. What it allowed is refused with "
		"their "
		"next call.\v"
		"Example:\n"
		"  sealock iam policy detach producer --user alice"},
	.act = detach_act,
};
CLI_VERB_ENTRY(detach)

static int
holders_fetch(struct cli_verb_args *args, struct kmsc *kms, const char *marker, void *page,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	return kmsc_list_policy_holders(
		kms, args->words[0], marker, page, CLI_PAGE, out_count, out_next, err);
}

static void
holders_print(struct cli_verb_args *args, yajl_gen json, const void *entry, bool with_title)
{
	const struct kmsc_identity *identity = entry;
	const char *kind = cli_shape_is_role(identity) ? "role" : "user";

	(void)with_title;
	if (json == NULL) {
		cli_out_printf(args->cli->out, "%s  ", kind);
		cli_out_safe(args->cli->out, slk_span_str(identity->name));
		cli_out_text(args->cli->out, "\n");
		return;
	}
	cli_json_map(json);
	cli_json_str(json, "kind", kind);
	cli_json_str(json, "name", identity->name);
	cli_json_str(json, "arn", identity->arn);
	cli_json_map_end(json);
}

static int
holders_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	static const struct cli_pages pages = {
		sizeof(struct kmsc_identity), holders_fetch, holders_print, NULL};
	size_t total;

	cli_json_map(json);
	cli_json_str(json, "policy", args->words[0]);
	int rc = cli_verb_pages(args, kms, json, "holders", &pages, &total, err);
	cli_json_map_end(json);
	if (rc == SLK_OK && json == NULL && total == 0)
		cli_note("nobody holds the policy %s", args->words[0]);
	return rc;
}

static const struct cli_verb holders = {
	.words = {"NAME"},
	.args_doc = "NAME",
	.doc = {"List the users and roles that hold a managed policy, or are bounded by it.\v"
		"Example:\n"
		"  sealock iam policy holders producer"},
	.act = holders_act,
};
CLI_VERB_ENTRY(holders)

int
cli_iam_policy(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"create", "make a managed policy", run_create},
		{"get", "show one and its document", run_get},
		{"list", "list them", run_list},
		{"update", "replace a document", run_update},
		{"delete", "delete one that nobody holds", run_delete},
		{"attach", "give one to a user or a role", run_attach},
		{"detach", "take it away", run_detach},
		{"holders", "who holds one?", run_holders},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Managed policies: documents that several users and roles may hold. The JSON is "
		"AWS IAM's.",
		"Example:\n"
		"  sealock iam policy create producer producer.json\n"
		"  sealock iam policy attach producer --user alice\n"
		"  sealock iam policy holders producer",
		argc, argv);
}
