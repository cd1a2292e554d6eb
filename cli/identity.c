/* sealock iam user | role: create, get, list, delete, tag, untag, and a role's trust policy */
#include "iam.h"

#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "shapes_iam.h"
#include "text.h"

#define SESSION_MIN_S 3600u
#define SESSION_MAX_S 43200u

/* --- how they are shown --- */

static int
show(struct cli_verb_args *args, yajl_gen json, const struct kmsc_identity *identity,
	const struct kmsc_identity_detail *detail, struct slk_error *err)
{
	if (json != NULL)
		return cli_shape_identity(json, identity, detail, err);
	cli_shape_identity_text(args->cli->out, identity, detail);
	return SLK_OK;
}

/* detail: of KMSC_DOCUMENT_MAX bytes and more, so not on the stack. */
static struct kmsc_identity_detail *
detail_new(struct slk_error *err)
{
	struct kmsc_identity_detail *detail = calloc(1, sizeof(*detail));

	if (detail == NULL)
		(void)slk_fail(err, SLK_NO_MEMORY, "there is no memory for a user or a role");
	return detail;
}

/* "user alice is tagged", {"user": "alice", "tagged": ...}: json is left open, for what was done. */
static void
said(struct cli_verb_args *args, yajl_gen json, const char *what)
{
	cli_json_map(json);
	cli_json_str(json, cli_verb_kind(args), args->words[0]);
	if (args->cli->json)
		return;
	cli_out_printf(args->cli->out, "%s ", cli_verb_kind(args));
	cli_out_safe(args->cli->out, slk_span_str(args->words[0]));
	cli_out_printf(args->cli->out, " %s\n", what);
}

/* --- create --- */

static void
check_role(const struct cli_verb_args *args, struct argp_state *state)
{
	const char *seconds = CLI_TEXT(args, MAX_SESSION);
	uint64_t value = 0;

	if (args->variant == 1 && CLI_TEXT(args, TRUST) == NULL)
		argp_error(state, "--trust FILE is missing: who may assume the role");
	if (seconds != NULL &&
		(cli_u64_parse(seconds, SESSION_MAX_S, &value) != SLK_OK || value < SESSION_MIN_S))
		argp_error(state, "--max-session takes %u to %u seconds, not '%s'", SESSION_MIN_S,
			SESSION_MAX_S, seconds);
}

static int
create_role(struct cli_verb_args *args, struct kmsc *kms, struct kmsc_identity *out,
	struct kmsc_identity_detail *detail, struct slk_error *err)
{
	char *trust = NULL;

	int rc = cli_document_read(CLI_TEXT(args, TRUST), POL_TRUST, &trust, err);
	if (rc != SLK_OK)
		return rc;
	const struct kmsc_role_kind kind = {.name = args->words[0],
		.trust_policy = trust,
		.description = CLI_TEXT(args, DESCRIPTION),
		.max_session_s = cli_verb_number(CLI_TEXT(args, MAX_SESSION)),
		.tags = args->tags.list,
		.tags_count = args->tags.count};
	rc = kmsc_create_role(kms, &kind, out, err);
	strcpy(detail->trust_policy, trust); /* of at most POL_DOCUMENT_MAX bytes */
	free(trust);
	return rc;
}

static int
create_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_identity made;
	struct kmsc_identity_detail *detail = detail_new(err);

	if (detail == NULL)
		return SLK_NO_MEMORY;
	if (args->tags.count > 0)
		memcpy(detail->tags, args->tags.list, args->tags.count * sizeof(*detail->tags));
	detail->tags_count = args->tags.count;
	int rc = args->variant == 1 ? create_role(args, kms, &made, detail, err)
				    : kmsc_create_user(kms, args->words[0], args->tags.list,
					      args->tags.count, &made, err);
	if (rc == SLK_OK)
		rc = show(args, json, &made, detail, err);
	free(detail);
	return rc;
}

static const struct argp_option create_user_options[] = {
	{"tag", CLI_OPT_TAG, "NAME=VALUE", 0, "A tag, for aws:PrincipalTag; may be repeated", 1},
	{0},
};
static const struct argp_option create_role_options[] = {
	{"trust", CLI_OPT_TRUST, "FILE", 0,
		"The trust policy: who may assume the role; '-' reads stdin", 1},
	{"description", CLI_OPT_DESCRIPTION, "TEXT", 0, "What the role is for", 1},
	{"max-session", CLI_OPT_MAX_SESSION, "SECONDS", 0,
		"How long a session may last, 3600 to 43200 (3600)", 1},
	{"tag", CLI_OPT_TAG, "NAME=VALUE", 0, "A tag, for aws:PrincipalTag; may be repeated", 1},
	{0},
};
static const struct cli_verb create = {
	.words = {"NAME"},
	.args_doc = "NAME",
	.options = {create_user_options, create_role_options},
	.doc = {"Make a user. Without policies a user may do nothing. A name has 1 to 64 of a-z "
		"A-Z "
		"0-9 _ + = , . @ - and is unique, upper and lower case alike.\v"
		"Example:\n"
		"  sealock iam user create alice --tag team=web\n"
		"  sealock iam policy attach producer --user alice\n"
		"\n"
		"A user of this host is one for kmsd by 'principals:' in kmsd.yaml; over the "
		"network by an access key ('sealock iam access-key create').",
		"Make a role: rights that others take on for a while. Its trust policy says who "
		"may; what the role may do then is said by its policies.\v"
		"Example:\n"
		"  sealock iam role create reader --trust trust.json --max-session 7200\n"
		"\n"
		"A trust policy for all of one's own account:\n"
		"  {\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Allow\",\n"
		"   \"Principal\": {\"AWS\": \"000000000000\"}, \"Action\": \"sts:AssumeRole\"}}"},
	.check = check_role,
	.act = create_act,
};
CLI_VERB_OF_BOTH(create)

/* --- get, list, delete --- */

static int
get_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_identity identity;
	struct kmsc_identity_detail *detail = detail_new(err);

	if (detail == NULL)
		return SLK_NO_MEMORY;
	int rc = kmsc_get_identity(kms, cli_verb_who(args), &identity, detail, err);
	if (rc == SLK_OK)
		rc = show(args, json, &identity, detail, err);
	free(detail);
	return rc;
}

static const struct cli_verb get = {
	.words = {"NAME"},
	.args_doc = "NAME",
	.doc = {"Show a user: id, tags, boundary. What policies it has: 'sealock iam user policy "
		"list'.\v"
		"Example:\n"
		"  sealock iam user get alice",
		"Show a role: id, tags, boundary, and who may assume it.\v"
		"Example:\n"
		"  sealock iam role get reader\n"
		"  sealock iam role get reader --json | jq .trust_policy"},
	.act = get_act,
};
CLI_VERB_OF_BOTH(get)

static int
list_fetch(struct cli_verb_args *args, struct kmsc *kms, const char *marker, void *page,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	return kmsc_list_identities(
		kms, args->variant == 1, marker, page, CLI_PAGE, out_count, out_next, err);
}

static void
list_print(struct cli_verb_args *args, yajl_gen json, const void *entry, bool with_title)
{
	if (json == NULL)
		cli_shape_identity_row(args->cli->out, entry, with_title);
	else
		cli_shape_identity_listed(json, entry);
}

static int
list_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	static const struct cli_pages pages = {
		sizeof(struct kmsc_identity), list_fetch, list_print, NULL};
	size_t total;

	cli_json_map(json);
	int rc = cli_verb_pages(
		args, kms, json, args->variant == 1 ? "roles" : "users", &pages, &total, err);
	cli_json_map_end(json);
	if (rc == SLK_OK && json == NULL && total == 0)
		cli_note("there is no %s yet: make one with 'sealock iam %s create NAME'",
			cli_verb_kind(args), cli_verb_kind(args));
	return rc;
}

static const struct cli_verb list = {
	.doc = {"List the users.\v"
		"Example:\n"
		"  sealock iam user list --json | jq -r '.users[].name'",
		"List the roles.\v"
		"Example:\n"
		"  sealock iam role list --json | jq -r '.roles[].arn'"},
	.act = list_act,
};
CLI_VERB_OF_BOTH(list)

static int
delete_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_delete_identity(kms, cli_verb_who(args), err);

	if (rc != SLK_OK)
		return rc;
	said(args, json, "is deleted");
	cli_json_bool(json, "deleted", true);
	cli_json_map_end(json);
	return SLK_OK;
}

static const struct cli_verb delete = {
	.words = {"NAME"},
	.args_doc = "NAME",
	.doc = {"Delete a user that holds no policy, inline or managed, and no access key any "
		"more.\v"
		"Example:\n"
		"  sealock iam user policy list alice\n"
		"  sealock iam policy detach producer --user alice\n"
		"  sealock iam user delete alice",
		"Delete a role that holds no policy, inline or managed, any more. Sessions of it "
		"have no rights then.\v"
		"Example:\n"
		"  sealock iam policy detach reading --role reader\n"
		"  sealock iam role delete reader"},
	.act = delete_act,
};
CLI_VERB_OF_BOTH(delete)

/* --- tags --- */

static int
tag_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_tag_identity(kms, cli_verb_who(args), args->tags.list, args->tags.count, err);

	if (rc != SLK_OK)
		return rc;
	said(args, json, "is tagged");
	cli_json_key(json, "tags");
	cli_json_map(json);
	for (size_t i = 0; i < args->tags.count; i++)
		cli_json_str(json, args->tags.list[i].key, args->tags.list[i].value);
	cli_json_map_end(json);
	cli_json_map_end(json);
	return SLK_OK;
}

static const struct cli_verb tag = {
	.words = {"NAME"},
	.wants = CLI_VERB_TAGS,
	.args_doc = "NAME TAG=VALUE...",
	.doc = {"Tag a user. Tags of the same name are replaced, others stay; at most 50. Policies "
		"read them as aws:PrincipalTag/TAG.\v"
		"Example:\n"
		"  sealock iam user tag alice team=web",
		"Tag a role. Tags of the same name are replaced, others stay; at most 50. Policies "
		"read them as aws:PrincipalTag/TAG.\v"
		"Example:\n"
		"  sealock iam role tag reader team=web"},
	.act = tag_act,
};
CLI_VERB_OF_BOTH(tag)

static int
untag_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_untag_identity(
		kms, cli_verb_who(args), args->names.list, args->names.count, err);

	if (rc != SLK_OK)
		return rc;
	said(args, json, "is untagged");
	cli_json_key(json, "untagged");
	cli_json_array(json);
	for (size_t i = 0; i < args->names.count; i++)
		cli_json_text(json, args->names.list[i]);
	cli_json_array_end(json);
	cli_json_map_end(json);
	return SLK_OK;
}

static const struct cli_verb untag = {
	.words = {"NAME"},
	.wants = CLI_VERB_NAMES,
	.args_doc = "NAME TAG...",
	.doc = {"Take tags from a user, by their names. Names that it does not have are no "
		"mistake.\v"
		"Example:\n"
		"  sealock iam user untag alice team",
		"Take tags from a role, by their names. Names that it does not have are no "
		"mistake.\v"
		"Example:\n"
		"  sealock iam role untag reader team"},
	.act = untag_act,
};
CLI_VERB_OF_BOTH(untag)

/* --- trust --- */

static int
trust_show(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_identity identity;
	struct kmsc_identity_detail *detail = detail_new(err);

	if (detail == NULL)
		return SLK_NO_MEMORY;
	int rc = kmsc_get_identity(kms, cli_verb_who(args), &identity, detail, err);
	cli_json_map(json);
	cli_json_str(json, "role", args->words[0]);
	if (rc == SLK_OK)
		rc = cli_document_json(json, "trust_policy", detail->trust_policy, err);
	cli_json_map_end(json);
	if (rc == SLK_OK && json == NULL)
		cli_document_print(args->cli->out, detail->trust_policy);
	free(detail);
	return rc;
}

static int
trust_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	char *document = NULL;

	if (args->words[1] == NULL)
		return trust_show(args, kms, json, err);
	int rc = cli_document_read(args->words[1], POL_TRUST, &document, err);
	if (rc == SLK_OK)
		rc = kmsc_update_trust_policy(kms, args->words[0], document, err);
	if (rc == SLK_OK) {
		said(args, json, "has a new trust policy");
		rc = cli_document_json(json, "trust_policy", document, err);
		cli_json_map_end(json);
	}
	free(document);
	return rc;
}

static const struct cli_verb trust = {
	.words = {"NAME", "FILE"},
	.optional_count = 1,
	.args_doc = "NAME [FILE]",
	.doc = {NULL,
		"Print a role's trust policy, or put another one in its place: who may assume the "
		"role from now on. FILE is a document ('-' reads stdin). One that is refused "
		"leaves the one before it in force. Sessions that are there already stay.\v"
		"Example:\n"
		"  sealock iam role trust reader > trust.json\n"
		"  sealock iam role trust reader trust.json\n"
		"  aws iam get-role --role-name reader --query Role.AssumeRolePolicyDocument |\n"
		"    sealock iam role trust reader -"},
	.act = trust_act,
};

static int
role_trust(struct cli *cli, int argc, char **argv)
{
	return cli_verb_run(cli, &trust, 1, argc, argv);
}

/* --- the two nouns --- */

int
cli_iam_user(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"create", "make a user", user_create},
		{"get", "say what a user is", user_get},
		{"list", "list the users", user_list},
		{"delete", "delete a user", user_delete},
		{"tag", "tag a user", user_tag},
		{"untag", "take tags from a user", user_untag},
		{"policy", "inline policies: put, get, delete, list", cli_iam_user_policy},
		{"boundary", "the most a user may ever do: put, delete", cli_iam_user_boundary},
		{0},
	};

	return cli_dispatch(cli, verbs, "Users: people and programs that have rights of their own.",
		"Example:\n"
		"  sealock iam user create alice\n"
		"  sealock iam user policy put alice producer producer.json\n"
		"  sealock iam user policy list alice",
		argc, argv);
}

int
cli_iam_role(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"create", "make a role", role_create},
		{"get", "say what a role is", role_get},
		{"list", "list the roles", role_list},
		{"delete", "delete a role", role_delete},
		{"trust", "who may assume a role: print, replace", role_trust},
		{"assume", "take a role on, for a while", cli_iam_role_assume},
		{"tag", "tag a role", role_tag},
		{"untag", "take tags from a role", role_untag},
		{"policy", "inline policies: put, get, delete, list", cli_iam_role_policy},
		{"boundary", "the most a role may ever do: put, delete", cli_iam_role_boundary},
		{0},
	};

	return cli_dispatch(cli, verbs, "Roles: rights that others take on for a while.",
		"Example:\n"
		"  sealock iam role create reader --trust trust.json\n"
		"  sealock iam policy attach reading --role reader\n"
		"  sealock iam role trust reader",
		argc, argv);
}
