/* sealock policy explain: would it be allowed, and which statement says so? */
#include "iam.h"

#include <string.h>
#include <strings.h>

#include "shapes_iam.h"
#include "text.h"

/* --value KEY=VALUE by their keys: one that was given twice has two values. Names of keys ignore case. */
struct given {
	struct kmsc_condition conditions[CLI_VERB_LIST_MAX];
	const char *values[CLI_VERB_LIST_MAX];
	size_t count;
};

static bool
is_given(const struct given *given, const char *key)
{
	for (size_t i = 0; i < given->count; i++)
		if (strcasecmp(given->conditions[i].key, key) == 0)
			return true;
	return false;
}

static void
gather(const struct cli_verb_args *args, struct given *out)
{
	size_t used = 0;

	out->count = 0;
	for (size_t i = 0; i < args->values_count; i++) {
		const char *key = args->value_keys[i];
		if (is_given(out, key))
			continue;
		struct kmsc_condition *c = &out->conditions[out->count++];
		*c = (struct kmsc_condition){key, &out->values[used], 0};
		for (size_t k = i; k < args->values_count; k++)
			if (strcasecmp(args->value_keys[k], key) == 0) {
				out->values[used++] = args->values[k];
				c->values_count++;
			}
	}
}

static int
explain_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_explanation explanation;
	struct given given;

	gather(args, &given);
	const struct kmsc_question question = {.principal = CLI_TEXT(args, PRINCIPAL),
		.uid = cli_verb_number(CLI_TEXT(args, UID)),
		.action = CLI_TEXT(args, ACTION),
		.resource = CLI_TEXT(args, RESOURCE),
		.context = args->context,
		.values = given.conditions,
		.values_count = given.count};
	int rc = kmsc_explain(kms, &question, &explanation, err);
	if (rc != SLK_OK)
		return rc;
	if (json != NULL)
		cli_shape_explanation(json, &explanation);
	else
		cli_shape_explanation_text(args->cli->out, &explanation);
	args->code = explanation.allowed ? CLI_EXIT_OK : CLI_EXIT_FAILED;
	kmsc_explanation_fini(&explanation);
	return SLK_OK;
}

static void
check_explain(const struct cli_verb_args *args, struct argp_state *state)
{
	const char *uid = CLI_TEXT(args, UID);
	uint64_t value = 0;

	if ((CLI_TEXT(args, PRINCIPAL) != NULL) == (uid != NULL))
		argp_error(state, "either --principal NAME or --uid N is needed");
	if (uid != NULL && cli_u64_parse(uid, UINT32_MAX, &value) != SLK_OK)
		argp_error(state, "--uid takes a number, not '%s'", uid);
	if (CLI_TEXT(args, ACTION) == NULL)
		argp_error(state, "--action NAME is missing, for instance --action kms:Decrypt");
	if (CLI_TEXT(args, RESOURCE) == NULL)
		argp_error(state, "--resource NAME is missing: a key, stream/NAME, an ARN, or '*'");
}

static const struct argp_option options[] = {
	{"principal", CLI_OPT_PRINCIPAL, "NAME", 0,
		"Who asks: user/NAME, role/NAME, root, an ARN (also of a session), "
		"kinesis.amazonaws.com",
		1},
	{"uid", CLI_OPT_UID, "N", 0, "Or a local user, by the number", 1},
	{"action", CLI_OPT_ACTION, "NAME", 0, "What for: kms:Decrypt, kinesis:PutRecord, ...", 1},
	{"resource", CLI_OPT_RESOURCE, "NAME", 0,
		"On what: a key's id, ARN or alias, stream/NAME, role/NAME (sts:AssumeRole), an "
		"ARN, or '*'",
		1},
	{"context", CLI_OPT_CONTEXT, "KEY=VALUE", 0,
		"A pair of the encryption context; may be repeated", 1},
	{"value", CLI_OPT_VALUE, "KEY=VALUE", 0,
		"A condition key that the call would have, in place of what kmsd would fill in; "
		"may be repeated, also with the same key",
		1},
	{0},
};
static const struct cli_verb explain = {
	.options = {options, NULL},
	.doc = {"Ask kmsd whether a call would be allowed, and which statement of which policy "
		"says "
		"so; for the others, what did not match. Nothing is done, nothing is changed. "
		"The states of keys are not looked at.\v"
		"Example:\n"
		"  sealock policy explain --principal user/alice \\\n"
		"    --action kms:Decrypt --resource alias/web\n"
		"  sealock policy explain --principal user/alice \\\n"
		"    --action kms:GenerateDataKey --resource alias/web \\\n"
		"    --value kms:ViaService=kinesis.local.amazonaws.com\n"
		"  sealock policy explain --principal user/alice \\\n"
		"    --action sts:AssumeRole --resource role/reader \\\n"
		"    --value sts:ExternalId=agreed-on\n"
		"  sealock policy explain --principal role/reader \\\n"
		"    --action kms:Decrypt --resource alias/web --json \\\n"
		"    --context aws:kinesis:arn=arn:aws:kinesis:local:000000000000:stream/web\n"
		"\n"
		"Exit status: 0 allowed, 1 denied or not answered, 2 wrong usage. The order of a "
		"decision: docs/policies.md."},
	.check = check_explain,
	.act = explain_act,
};

int
cli_policy_explain(struct cli *cli, int argc, char **argv)
{
	return cli_verb_run(cli, &explain, 0, argc, argv);
}
