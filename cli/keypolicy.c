/* sealock key policy, sealock stream policy: who may use a key or a stream, as these have it */
#include "iam.h"

#include <stdlib.h>

#include "document.h"

/* --- of a key --- */

static void
begin(struct cli_verb_args *args, yajl_gen json, const char *what)
{
	cli_json_map(json);
	cli_json_str(json, what, args->key_id[0] != '\0' ? args->key_id : args->words[0]);
}

static void
said(struct cli_verb_args *args, const char *kind, const char *what)
{
	if (args->cli->json)
		return;
	cli_out_printf(args->cli->out, "%s ", kind);
	cli_out_safe(args->cli->out,
		slk_span_str(args->key_id[0] != '\0' ? args->key_id : args->words[0]));
	cli_out_printf(args->cli->out, " %s\n", what);
}

static int
show(struct cli_verb_args *args, yajl_gen json, const char *document, struct slk_error *err)
{
	if (json == NULL) {
		cli_document_print(args->cli->out, document);
		return SLK_OK;
	}
	int rc = cli_document_json(json, "policy", document, err);
	cli_json_map_end(json);
	return rc;
}

static int
get_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	char *document = malloc(KMSC_DOCUMENT_MAX);

	if (document == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "there is no memory for a policy");
	int rc = kmsc_get_key_policy(kms, args->key_id, document, err);
	if (rc == SLK_OK) {
		begin(args, json, "key");
		rc = show(args, json, document, err);
	}
	free(document);
	return rc;
}

static const struct cli_verb get = {
	.words = {"KEY"},
	.wants = CLI_VERB_KEY,
	.args_doc = "KEY",
	.doc = {"Print the policy of a key, as it was put. A key that never got one has AWS's "
		"default: its account decides, by the policies of its users and roles.\v"
		"Example:\n"
		"  sealock key policy get alias/web > policy.json"},
	.act = get_act,
};
CLI_VERB_ENTRY(get)

static int
put_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	char *document = NULL;

	int rc = cli_document_read(args->words[1], POL_RESOURCE, &document, err);
	if (rc == SLK_OK)
		rc = kmsc_put_key_policy(kms, args->key_id, document, CLI_FLAG(args, BYPASS), err);
	if (rc == SLK_OK) {
		said(args, "key", "has a new policy");
		begin(args, json, "key");
		if (json != NULL)
			rc = show(args, json, document, err);
	}
	free(document);
	return rc;
}

static const struct argp_option put_options[] = {
	{"bypass-lockout-check", CLI_OPT_BYPASS, 0, 0,
		"Put also a policy under which you could not put another one", 1},
	{0},
};
static const struct cli_verb put = {
	.words = {"KEY", "FILE"},
	.wants = CLI_VERB_KEY,
	.args_doc = "KEY FILE",
	.options = {put_options, NULL},
	.doc = {"Put another policy in the place of a key's: who may use it, and whether the "
		"account "
		"may decide. It is in force with the next call. FILE is a document ('-' reads "
		"stdin); one that is refused, with its line and column, leaves the one before it "
		"in force. So does one under which you could not put another.\v"
		"Example:\n"
		"  sealock key policy get alias/web > policy.json\n"
		"  sealock key policy put alias/web policy.json\n"
		"  aws kms get-key-policy --key-id ID --query Policy --output text |\n"
		"    sealock key policy put alias/web -\n"
		"\n"
		"One that lets the account decide, and alice decrypt in any case:\n"
		"  {\"Version\": \"2012-10-17\", \"Statement\": [\n"
		"   {\"Effect\": \"Allow\", \"Action\": \"kms:*\", \"Resource\": \"*\",\n"
		"    \"Principal\": {\"AWS\": \"arn:aws:iam::000000000000:root\"}},\n"
		"   {\"Effect\": \"Allow\", \"Action\": \"kms:Decrypt\", \"Resource\": \"*\",\n"
		"    \"Principal\": {\"AWS\": \"arn:aws:iam::000000000000:user/alice\"}}]}"},
	.act = put_act,
};
CLI_VERB_ENTRY(put)

static int
list_fetch(struct cli_verb_args *args, struct kmsc *kms, const char *marker, void *page,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	return kmsc_list_key_policies(
		kms, args->key_id, marker, page, CLI_PAGE, out_count, out_next, err);
}

static void
list_print(struct cli_verb_args *args, yajl_gen json, const void *entry, bool with_title)
{
	(void)with_title;
	if (json != NULL) {
		cli_json_text(json, entry);
		return;
	}
	cli_out_safe(args->cli->out, slk_span_str(entry));
	cli_out_text(args->cli->out, "\n");
}

static int
list_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	static const struct cli_pages pages = {KMSC_POLICY_NAME_MAX, list_fetch, list_print, NULL};
	size_t total;

	begin(args, json, "key");
	int rc = cli_verb_pages(args, kms, json, "policies", &pages, &total, err);
	cli_json_map_end(json);
	return rc;
}

static const struct cli_verb list = {
	.words = {"KEY"},
	.wants = CLI_VERB_KEY,
	.args_doc = "KEY",
	.doc = {"List the names of a key's policies: as in AWS there is one, called default.\v"
		"Example:\n"
		"  sealock key policy list alias/web"},
	.act = list_act,
};
CLI_VERB_ENTRY(list)

int
cli_key_policy(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"get", "print a key's policy", run_get},
		{"put", "replace it", run_put},
		{"list", "list their names", run_list},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Key policies: who may use a key. Without a word for the account in it, the "
		"policies of users and roles give no right on the key.",
		"Example:\n"
		"  sealock key policy get alias/web > policy.json\n"
		"  sealock key policy put alias/web policy.json",
		argc, argv);
}

/* --- of a stream --- */

static int
stream_get_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	char *document = malloc(KMSC_DOCUMENT_MAX);

	if (document == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "there is no memory for a policy");
	int rc = kmsc_get_resource_policy(kms, args->words[0], document, err);
	if (rc == SLK_OK && json == NULL && document[0] == '\0') {
		cli_note(
			"stream %s has no policy: those of users and roles decide", args->words[0]);
	} else if (rc == SLK_OK) {
		begin(args, json, "stream");
		rc = show(args, json, document, err);
	}
	free(document);
	return rc;
}

static const struct cli_verb stream_get = {
	.words = {"NAME"},
	.args_doc = "NAME",
	.doc = {"Print the policy of a stream, as it was put, if it has one.\v"
		"Example:\n"
		"  sealock stream policy get web > policy.json"},
	.act = stream_get_act,
};
CLI_VERB_ENTRY(stream_get)

static int
stream_put_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	char *document = NULL;

	int rc = cli_document_read(args->words[1], POL_RESOURCE, &document, err);
	if (rc == SLK_OK)
		rc = kmsc_put_resource_policy(kms, args->words[0], document, err);
	if (rc == SLK_OK) {
		said(args, "stream", "has a new policy");
		begin(args, json, "stream");
		if (json != NULL)
			rc = show(args, json, document, err);
	}
	free(document);
	return rc;
}

static const struct cli_verb stream_put = {
	.words = {"NAME", "FILE"},
	.args_doc = "NAME FILE",
	.doc = {"Give a stream a policy, or another one: it allows or denies beside the policies "
		"of "
		"users and roles, and is what another account needs. FILE is a document ('-' reads "
		"stdin); one that is refused, with its line and column, leaves the one before it "
		"in force.\v"
		"Example:\n"
		"  sealock stream policy put web policy.json\n"
		"\n"
		"One that lets alice put records:\n"
		"  {\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Allow\",\n"
		"   \"Principal\": {\"AWS\": \"arn:aws:iam::000000000000:user/alice\"},\n"
		"   \"Action\": \"kinesis:PutRecord\",\n"
		"   \"Resource\": \"arn:aws:kinesis:local:000000000000:stream/web\"}}\n"
		"\n"
		"Under a key she also needs kms:GenerateDataKey on it."},
	.act = stream_put_act,
};
CLI_VERB_ENTRY(stream_put)

static int
stream_delete_act(
	struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_delete_resource_policy(kms, args->words[0], err);

	if (rc != SLK_OK)
		return rc;
	said(args, "stream", "has no policy any more");
	begin(args, json, "stream");
	cli_json_bool(json, "deleted", true);
	cli_json_map_end(json);
	return SLK_OK;
}

static const struct cli_verb stream_delete = {
	.words = {"NAME"},
	.args_doc = "NAME",
	.doc = {"Take the policy from a stream: those of users and roles decide from the next call "
		"on.\v"
		"Example:\n"
		"  sealock stream policy delete web"},
	.act = stream_delete_act,
};
CLI_VERB_ENTRY(stream_delete)

int
cli_stream_policy(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"get", "print a stream's policy", run_stream_get},
		{"put", "give it one, or another", run_stream_put},
		{"delete", "take it away", run_stream_delete},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Stream policies: who may use a stream, beside what users and roles may by their "
		"own policies.",
		"Example:\n"
		"  sealock stream policy put web policy.json\n"
		"  sealock stream policy get web",
		argc, argv);
}
