/* sealock policy validate: is this document one that kmsd would take? Asked here, not there: no kmsd is needed. sealock
 * policy explain: explain.c. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "document.h"
#include "iam.h"
#include "shapes.h"

struct validate_args {
	struct cli *cli;
	const char *file;
	enum pol_kind kind;
};

enum { OPT_KIND = 'k' };

static const char *const kinds[] = {
	[POL_IDENTITY] = "identity", [POL_RESOURCE] = "resource", [POL_TRUST] = "trust"};

static bool
parse_kind(const char *text, enum pol_kind *out)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(text, kinds[i]) == 0) {
			*out = (enum pol_kind)i;
			return true;
		}
	return false;
}

static error_t
parse_validate(int key, char *arg, struct argp_state *state)
{
	struct validate_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case OPT_KIND:
		if (!parse_kind(arg, &args->kind))
			argp_error(state, "--kind is identity, resource or trust, not '%s'", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (args->file != NULL)
			argp_error(state, "'%s' is too much: one document at a time", arg);
		args->file = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the document's FILE is missing ('-' reads stdin)");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void
print_valid(const struct validate_args *args, const struct pol_document *document)
{
	size_t count = pol_document_statements_count(document);

	if (!args->cli->json) {
		cli_shape_valid_policy(args->cli->out, kinds[args->kind], count);
		return;
	}
	yajl_gen json = cli_json_begin(args->cli->out, false);
	cli_shape_policy(json, kinds[args->kind], &count, NULL);
	cli_json_end(json);
}

/* A document that is refused is what was asked about, so with --json it is an answer. */
static int
print_problem(const struct validate_args *args, const struct pol_problem *problem)
{
	if (args->cli->json) {
		yajl_gen json = cli_json_begin(args->cli->out, false);
		cli_shape_policy(json, kinds[args->kind], NULL, problem);
		cli_json_end(json);
	} else {
		struct slk_error err = {0};
		(void)cli_document_fail(args->file, problem, &err);
		return cli_fail(args->cli, &err);
	}
	return CLI_EXIT_FAILED;
}

static int
check(const struct validate_args *args, struct slk_span text, struct slk_error *err)
{
	struct pol_document *document = NULL;
	struct pol_problem problem = {0};

	int rc = pol_document_parse(text, args->kind, &document, &problem);
	if (rc == SLK_NO_MEMORY) {
		(void)slk_fail(err, rc, "there is no memory to read '%s'", args->file);
		return cli_fail(args->cli, err);
	}
	if (rc != SLK_OK)
		return print_problem(args, &problem);
	print_valid(args, document);
	pol_document_free(document);
	return CLI_EXIT_OK;
}

static int
validate(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"kind", OPT_KIND, "KIND", 0,
			"identity (default; of a user or a role), resource (of a key or a stream) "
			"or "
			"trust (of a role)",
			1},
		{0},
	};
	static const struct argp argp = {options, parse_validate, "FILE",
		"Say whether FILE is a policy document that kmsd takes, or the line, the column "
		"and "
		"the reason why not. '-' reads stdin. Nothing is sent anywhere.\v"
		"Examples:\n"
		"  sealock policy validate producer.json\n"
		"  sealock policy validate --kind resource key-policy.json\n"
		"  aws iam get-role --role-name r --query Role.AssumeRolePolicyDocument |\n"
		"    sealock policy validate --kind trust -\n"
		"\n"
		"The least that a producer of an encrypted stream needs:\n"
		"  {\"Version\": \"2012-10-17\", \"Statement\": {\n"
		"    \"Effect\": \"Allow\",\n"
		"    \"Action\": \"kms:GenerateDataKey\",\n"
		"    \"Resource\": \"arn:aws:kms:local:000000000000:key/ID\",\n"
		"    \"Condition\": {\"StringEquals\": {\n"
		"      \"kms:ViaService\": \"kinesis.local.amazonaws.com\"}}}}\n"
		"\n"
		"Exit status: 0 valid, 1 not valid or not readable, 2 wrong usage. What is refused "
		"although AWS takes it is listed in docs/policies.md.",
		cli_common_children, NULL, NULL};
	struct validate_args args = {.cli = cli, .kind = POL_IDENTITY};
	struct slk_error err = {0};
	size_t len = 0;

	cli_parse(&argp, argc, argv, &args);
	uint8_t *text = malloc(POL_DOCUMENT_MAX);
	int rc = text != NULL ? cli_bytes_read(args.file, false, text, POL_DOCUMENT_MAX, &len, &err)
			      : slk_fail(&err, SLK_NO_MEMORY, "there is no memory for a policy");
	int code = rc == SLK_OK ? check(&args, slk_span(text, len), &err) : cli_fail(cli, &err);
	free(text);
	return code;
}

int
cli_policy(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"validate", "is a document one that kmsd takes? (no kmsd needed)", validate},
		{"explain", "would it be allowed, and which statement says so?",
			cli_policy_explain},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Policy documents: who may do what. The JSON is AWS IAM's; docs/policies.md has "
		"the "
		"order of decisions and what differs.",
		"Example:\n"
		"  sealock policy validate producer.json\n"
		"  sealock policy explain --principal user/alice \\\n"
		"    --action kms:Decrypt --resource alias/web\n"
		"\n"
		"Managed policies are kept with 'sealock iam policy', those of keys and streams "
		"with 'sealock key policy' and 'sealock stream policy'.",
		argc, argv);
}
