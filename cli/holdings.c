/* sealock iam user | role policy and boundary: the policies of one user or one role */
#include "iam.h"

#include <stdlib.h>

#include "document.h"
#include "shapes_iam.h"

/* {"user": "alice", "policy": "p", open for what was done; "user alice: WHAT". */
static void
said(struct cli_verb_args *args, yajl_gen json, const char *what)
{
	cli_json_map(json);
	cli_json_str(json, cli_verb_kind(args), args->words[0]);
	if (args->words[1] != NULL)
		cli_json_str(json, "policy", args->words[1]);
	if (args->cli->json)
		return;
	cli_out_printf(args->cli->out, "%s ", cli_verb_kind(args));
	cli_out_safe(args->cli->out, slk_span_str(args->words[0]));
	cli_out_printf(args->cli->out, " %s", what);
	if (args->words[1] != NULL) {
		cli_out_text(args->cli->out, " ");
		cli_out_safe(args->cli->out, slk_span_str(args->words[1]));
	}
	cli_out_text(args->cli->out, "\n");
}

/* --- inline policies --- */

static int
put_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	char *document = NULL;

	int rc = cli_document_read(args->words[2], POL_IDENTITY, &document, err);
	if (rc == SLK_OK)
		rc = kmsc_put_inline_policy(kms, cli_verb_who(args), args->words[1], document, err);
	if (rc == SLK_OK) {
		said(args, json, "has the inline policy");
		rc = cli_document_json(json, "document", document, err);
		cli_json_map_end(json);
	}
	free(document);
	return rc;
}

static const struct cli_verb put = {
	.words = {"NAME", "POLICY", "FILE"},
	.args_doc = "NAME POLICY FILE",
	.doc = {"Give a user a policy of its own, or replace the one of that name. It is in force "
		"with the next call. FILE is a document ('-' reads stdin); one that is refused, "
		"with its line and column, leaves the one before it in force.\v"
		"Example:\n"
		"  sealock iam user policy put alice producer producer.json\n"
		"  aws iam get-user-policy --user-name alice --policy-name p --query "
		"PolicyDocument |\n"
		"    sealock iam user policy put alice p -\n"
		"\n"
		"The least that a producer of the encrypted stream web needs:\n"
		"  {\"Version\": \"2012-10-17\", \"Statement\": [\n"
		"   {\"Effect\": \"Allow\", \"Action\": \"kinesis:PutRecord\",\n"
		"    \"Resource\": \"arn:aws:kinesis:local:000000000000:stream/web\"},\n"
		"   {\"Effect\": \"Allow\", \"Action\": \"kms:GenerateDataKey\",\n"
		"    \"Resource\": \"arn:aws:kms:local:000000000000:key/ID\"}]}",
		"Give a role a policy of its own, or replace the one of that name. It is in force "
		"with the next call, also for sessions that are there. FILE is a document ('-' "
		"reads stdin); one that is refused, with its line and column, leaves the one "
		"before it in force.\v"
		"Example:\n"
		"  sealock iam role policy put reader reading consumer.json\n"
		"\n"
		"The least that a consumer of the encrypted stream web needs:\n"
		"  {\"Version\": \"2012-10-17\", \"Statement\": [\n"
		"   {\"Effect\": \"Allow\", \"Action\": \"kinesis:GetRecords\",\n"
		"    \"Resource\": \"arn:aws:kinesis:local:000000000000:stream/web\"},\n"
		"   {\"Effect\": \"Allow\", \"Action\": \"kms:Decrypt\",\n"
		"    \"Resource\": \"arn:aws:kms:local:000000000000:key/ID\"}]}"},
	.act = put_act,
};
CLI_VERB_OF_BOTH(put)

static int
get_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	char *document = malloc(KMSC_DOCUMENT_MAX);

	if (document == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "there is no memory for a policy");
	int rc = kmsc_get_inline_policy(kms, cli_verb_who(args), args->words[1], document, err);
	if (rc == SLK_OK && json == NULL) {
		cli_document_print(args->cli->out, document);
	} else if (rc == SLK_OK) {
		said(args, json, "");
		rc = cli_document_json(json, "document", document, err);
		cli_json_map_end(json);
	}
	free(document);
	return rc;
}

static const struct cli_verb get = {
	.words = {"NAME", "POLICY"},
	.args_doc = "NAME POLICY",
	.doc = {"Print an inline policy of a user, as it was put.\v"
		"Example:\n"
		"  sealock iam user policy get alice producer > producer.json",
		"Print an inline policy of a role, as it was put.\v"
		"Example:\n"
		"  sealock iam role policy get reader reading > reading.json"},
	.act = get_act,
};
CLI_VERB_OF_BOTH(get)

static int
delete_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_delete_inline_policy(kms, cli_verb_who(args), args->words[1], err);

	if (rc != SLK_OK)
		return rc;
	said(args, json, "has no longer the inline policy");
	cli_json_bool(json, "deleted", true);
	cli_json_map_end(json);
	return SLK_OK;
}

static const struct cli_verb delete = {
	.words = {"NAME", "POLICY"},
	.args_doc = "NAME POLICY",
	.doc = {"Take an inline policy from a user. What it allowed is refused with the next call, "
		"and "
		"what it denied is not denied any more.\v"
		"Example:\n"
		"  sealock iam user policy delete alice producer",
		"Take an inline policy from a role. What it allowed is refused with the next call, "
		"and "
		"what it denied is not denied any more.\v"
		"Example:\n"
		"  sealock iam role policy delete reader reading"},
	.act = delete_act,
};
CLI_VERB_OF_BOTH(delete)

/* --- list: inline and managed --- */

static int
inline_fetch(struct cli_verb_args *args, struct kmsc *kms, const char *marker, void *page,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	return kmsc_list_inline_policies(
		kms, cli_verb_who(args), marker, page, CLI_PAGE, out_count, out_next, err);
}

static void
inline_print(struct cli_verb_args *args, yajl_gen json, const void *entry, bool with_title)
{
	(void)with_title;
	if (json != NULL) {
		cli_json_text(json, entry);
		return;
	}
	cli_out_text(args->cli->out, "inline   ");
	cli_out_safe(args->cli->out, slk_span_str(entry));
	cli_out_text(args->cli->out, "\n");
}

static int
attached_fetch(struct cli_verb_args *args, struct kmsc *kms, const char *marker, void *page,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	return kmsc_list_attached_policies(
		kms, cli_verb_who(args), marker, page, CLI_PAGE, out_count, out_next, err);
}

static void
attached_print(struct cli_verb_args *args, yajl_gen json, const void *entry, bool with_title)
{
	const struct kmsc_policy *policy = entry;

	(void)with_title;
	if (json != NULL) {
		cli_json_map(json);
		cli_json_str(json, "name", policy->name);
		cli_json_str(json, "arn", policy->arn);
		cli_json_map_end(json);
		return;
	}
	cli_out_text(args->cli->out, "managed  ");
	cli_out_safe(args->cli->out, slk_span_str(policy->name));
	cli_out_text(args->cli->out, "\n");
}

static int
list_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	static const struct cli_pages of_inline = {
		KMSC_POLICY_NAME_MAX, inline_fetch, inline_print, NULL};
	static const struct cli_pages attached = {
		sizeof(struct kmsc_policy), attached_fetch, attached_print, NULL};
	size_t inline_total, attached_total;

	cli_json_map(json);
	cli_json_str(json, cli_verb_kind(args), args->words[0]);
	int rc = cli_verb_pages(args, kms, json, "inline", &of_inline, &inline_total, err);
	if (rc == SLK_OK)
		rc = cli_verb_pages(args, kms, json, "managed", &attached, &attached_total, err);
	cli_json_map_end(json);
	if (rc == SLK_OK && json == NULL && inline_total + attached_total == 0)
		cli_note("%s %s has no policy", cli_verb_kind(args), args->words[0]);
	return rc;
}

static const struct cli_verb list = {
	.words = {"NAME"},
	.args_doc = "NAME",
	.doc = {"List the policies of a user: its own (inline) and the managed ones attached to "
		"it.\v"
		"Example:\n"
		"  sealock iam user policy list alice\n"
		"  sealock iam user policy list alice --json | jq -r '.managed[].name'",
		"List the policies of a role: its own (inline) and the managed ones attached to "
		"it.\v"
		"Example:\n"
		"  sealock iam role policy list reader"},
	.act = list_act,
};
CLI_VERB_OF_BOTH(list)

int
cli_iam_user_policy(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"put", "give a user a policy of its own", user_put},
		{"get", "print one", user_get},
		{"delete", "take one from a user", user_delete},
		{"list", "list them, and the managed ones", user_list},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Inline policies: documents that belong to one user. What several hold is a "
		"managed policy, 'sealock iam policy'.",
		"Example:\n"
		"  sealock iam user policy put alice producer producer.json\n"
		"  sealock iam user policy list alice",
		argc, argv);
}

int
cli_iam_role_policy(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"put", "give a role a policy of its own", role_put},
		{"get", "print one", role_get},
		{"delete", "take one from a role", role_delete},
		{"list", "list them, and the managed ones", role_list},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Inline policies: documents that belong to one role. What several hold is a "
		"managed policy, 'sealock iam policy'.",
		"Example:\n"
		"  sealock iam role policy put reader reading consumer.json\n"
		"  sealock iam role policy list reader",
		argc, argv);
}

/* --- boundaries --- */

static int
boundary_put_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_put_boundary(kms, cli_verb_who(args), args->words[1], err);

	if (rc != SLK_OK)
		return rc;
	said(args, json, "is bounded by");
	cli_json_map_end(json);
	return SLK_OK;
}

static const struct cli_verb boundary_put = {
	.words = {"NAME", "POLICY"},
	.args_doc = "NAME POLICY",
	.doc = {"Bound a user by a managed policy: whatever allows something, the boundary must "
		"allow "
		"it, too. It gives no right by itself.\v"
		"Example:\n"
		"  sealock iam policy create only-web only-web.json\n"
		"  sealock iam user boundary put alice only-web",
		"Bound a role by a managed policy: whatever allows something, the boundary must "
		"allow "
		"it, too. It gives no right by itself.\v"
		"Example:\n"
		"  sealock iam role boundary put reader only-web"},
	.act = boundary_put_act,
};
CLI_VERB_OF_BOTH(boundary_put)

static int
boundary_delete_act(
	struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_delete_boundary(kms, cli_verb_who(args), err);

	if (rc != SLK_OK)
		return rc;
	said(args, json, "is not bounded any more");
	cli_json_bool(json, "deleted", true);
	cli_json_map_end(json);
	return SLK_OK;
}

static const struct cli_verb boundary_delete = {
	.words = {"NAME"},
	.args_doc = "NAME",
	.doc = {"Take the boundary from a user.\v"
		"Example:\n"
		"  sealock iam user boundary delete alice",
		"Take the boundary from a role.\v"
		"Example:\n"
		"  sealock iam role boundary delete reader"},
	.act = boundary_delete_act,
};
CLI_VERB_OF_BOTH(boundary_delete)

int
cli_iam_user_boundary(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"put", "bound a user by a managed policy", user_boundary_put},
		{"delete", "take the boundary away", user_boundary_delete},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Boundaries: the most that a user may ever do. 'sealock iam user get' shows it.",
		"Example:\n"
		"  sealock iam user boundary put alice only-web",
		argc, argv);
}

int
cli_iam_role_boundary(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"put", "bound a role by a managed policy", role_boundary_put},
		{"delete", "take the boundary away", role_boundary_delete},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Boundaries: the most that a role may ever do. 'sealock iam role get' shows it.",
		"Example:\n"
		"  sealock iam role boundary put reader only-web",
		argc, argv);
}
