/* Arguments and endings of the commands that use keys. */
#include <string.h>

#include "bytes.h"
#include "crypt.h"
#include "text.h"

void
cli_take_pair(struct fmt_context **context, const char *arg, struct argp_state *state)
{
	const char *equals = strchr(arg, '=');
	int rc = SLK_OK;

	if (equals == NULL || equals == arg) {
		argp_error(state, "a pair of an encryption context is written KEY=VALUE, not '%s'",
			arg);
		return;
	}
	if (*context == NULL)
		rc = fmt_context_new(context);
	if (rc == SLK_OK)
		rc = fmt_context_add(
			*context, slk_span(arg, (size_t)(equals - arg)), slk_span_str(equals + 1));
	if (rc == SLK_EXISTS)
		argp_error(state, "the encryption context has the key of '%s' twice", arg);
	else if (rc != SLK_OK)
		argp_error(state, "'%s' cannot be in an encryption context: %s", arg,
			slk_status_sentence(rc));
}

static void
take_bytes(struct cli_crypt_args *args, const char *arg, struct argp_state *state)
{
	uint64_t value = 0;

	if (cli_u64_parse(arg, KMSC_RANDOM_MAX, &value) != SLK_OK || value == 0)
		argp_error(state, "a number of bytes is 1 to %u, not '%s'", KMSC_RANDOM_MAX, arg);
	args->bytes_count = (uint32_t)value;
}

static void
take_spec(struct cli_crypt_args *args, const char *arg, struct argp_state *state)
{
	if (strcmp(arg, "AES_256") == 0)
		args->bytes_count = 32;
	else if (strcmp(arg, "AES_128") == 0)
		args->bytes_count = 16;
	else
		argp_error(state, "a data key is AES_256 or AES_128, not '%s'; see --bytes", arg);
}

static error_t
parse_flag(int key, struct cli_crypt_args *args)
{
	switch (key) {
	case CLI_CRYPT_BASE64:
		args->base64 = true;
		return 0;
	case CLI_CRYPT_DIGEST:
		args->digest = true;
		return 0;
	case CLI_CRYPT_DER:
		args->der = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t
parse_text(int key, const char *arg, struct cli_crypt_args *args)
{
	switch (key) {
	case CLI_CRYPT_IN:
		args->in = arg;
		return 0;
	case CLI_CRYPT_OUT:
		args->out = arg;
		return 0;
	case CLI_CRYPT_PLAINTEXT_OUT:
		args->plaintext_out = arg;
		return 0;
	case CLI_CRYPT_SIGNATURE:
		args->signature = arg;
		return 0;
	case CLI_CRYPT_ALGORITHM:
		args->algorithm = arg;
		return 0;
	case CLI_CRYPT_SOURCE_ALGORITHM:
		args->source_algorithm = arg;
		return 0;
	case CLI_CRYPT_SOURCE_KEY:
		args->source_key = arg;
		return 0;
	default:
		return parse_flag(key, args);
	}
}

error_t
cli_crypt_parse(int key, char *arg, struct argp_state *state)
{
	struct cli_crypt_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case CLI_CRYPT_CONTEXT:
		cli_take_pair(&args->context, arg, state);
		return 0;
	case CLI_CRYPT_SOURCE_CONTEXT:
		cli_take_pair(&args->source_context, arg, state);
		return 0;
	case CLI_CRYPT_BYTES:
		take_bytes(args, arg, state);
		return 0;
	case CLI_CRYPT_SPEC:
		take_spec(args, arg, state);
		return 0;
	case ARGP_KEY_ARG:
		if (args->key != NULL)
			argp_error(state, "'%s' is too much", arg);
		args->key = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		if (!args->key_optional)
			argp_error(state, "an argument is missing");
		return 0;
	case ARGP_KEY_END:
		if (args->algorithm_needed && args->algorithm == NULL)
			argp_error(state,
				"--algorithm is missing; 'sealock key public-key KEY "
				"--json' lists those of the key");
		if (args->signature_needed && args->signature == NULL)
			argp_error(state, "--signature FILE is missing");
		return 0;
	default:
		return parse_text(key, arg, args);
	}
}

void
cli_crypt_args_fini(struct cli_crypt_args *args)
{
	fmt_context_free(args->context);
	fmt_context_free(args->source_context);
}

yajl_gen
cli_crypt_json(struct cli *cli)
{
	if (!cli->json)
		return NULL;
	yajl_gen json = cli_json_begin(cli->out, false);
	cli_json_map(json);
	return json;
}

int
cli_crypt_end(struct cli_crypt_args *args, yajl_gen json, int rc, const struct slk_error *err)
{
	if (rc == SLK_OK)
		cli_json_map_end(json);
	cli_json_end(json);
	cli_crypt_args_fini(args);
	if (rc == SLK_OK)
		return CLI_EXIT_OK;
	cli_out_drop(args->cli->out);
	return cli_fail(args->cli, err);
}
