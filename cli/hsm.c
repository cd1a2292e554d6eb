/* sealock hsm: make the token that kmsd.yaml names (the probe is in hsm_probe.c). */
#include "cli.h"

#include <stdlib.h>

#include "config.h"
#include "hsm/init.h"
#include "hsm/profile.h"
#include "ceremony.h"
#include "hsm_probe.h"
#include "shapes.h"
#include "text.h"

struct hsm_args {
	struct cli *cli;
	const char *config;
	uint64_t pin_fd;
	bool has_pin_fd;
};

enum { OPT_CONFIG = 'c', OPT_PIN_FD = 'p' };

static error_t
parse_init(int key, char *arg, struct argp_state *state)
{
	struct hsm_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case OPT_CONFIG:
		args->config = arg;
		return 0;
	case OPT_PIN_FD:
		args->has_pin_fd = true;
		if (cli_u64_parse(arg, 1023, &args->pin_fd) != SLK_OK)
			argp_error(state,
				"--pin-fd takes the number of an open descriptor, not '%s'", arg);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much: a PIN is never an argument", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int
make_token(const struct hsm_args *args, const struct kms_config_hsm *hsm,
	struct hsm_init_result *out_result, struct slk_error *err)
{
	const struct hsm_init_request request = {
		.profile = hsm_profile_find(hsm->profile),
		.module = hsm->module,
		.token_label = hsm->token_label,
		.pin_file = hsm->pin_file,
		.state_file = hsm->state_file,
		.softhsm_conf = hsm->softhsm_conf,
		.module_parameters = hsm->module_parameters,
		.user = hsm->worker_user,
		.pin_fd = args->has_pin_fd ? (int)args->pin_fd : -1,
	};

	if (request.profile == NULL)
		return slk_fail(err, SLK_CONFIG, "there is no HSM profile '%s': %s", hsm->profile,
			hsm_profile_refusal(hsm->profile));
	if (request.pin_file == NULL)
		return slk_fail(err, SLK_CONFIG,
			"the configuration has no hsm.pin_file to write the PIN to; make the token "
			"with one, then hand that file over as the unit's LoadCredential= and set "
			"hsm.pin_credential");
	return hsm_init_token(&request, out_result, err);
}

static const char *
outcome_name(const struct hsm_init_result *result)
{
	return result->in_use ? "in use" : result->existed ? "kept" : "made";
}

static void
print_result(
	struct cli *cli, const struct kms_config_hsm *hsm, const struct hsm_init_result *result)
{
	if (cli->json) {
		yajl_gen json = cli_json_begin(cli->out, false);
		cli_json_map(json);
		cli_json_str(json, "token", outcome_name(result));
		cli_json_str(json, "label", hsm->token_label);
		cli_json_str(json, "serial", result->token_serial);
		cli_json_str(json, "pin_file", hsm->pin_file);
		cli_json_map_end(json);
		cli_json_end(json);
		return;
	}
	cli_shape_line(cli->out, "token", hsm->token_label);
	cli_shape_line(cli->out, "was",
		result->in_use ? "not touched: a running worker holds it" : outcome_name(result));
	if (result->token_serial[0] != '\0')
		cli_shape_line(cli->out, "serial", result->token_serial);
	cli_shape_line(cli->out, "PIN in", hsm->pin_file);
	if (!result->existed && !result->in_use)
		cli_out_printf(cli->out,
			"\nNext: move %s.so (the security officer's PIN) to a safe place, put the "
			"serial into the configuration "
			"as hsm.token_serial, and start sealock-kmsd.\n",
			hsm->pin_file);
}

static int
init(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"config", OPT_CONFIG, "FILE", 0,
			"kmsd's configuration (" CLI_DEFAULT_KMSD_CONFIG ")", 1},
		{"pin-fd", OPT_PIN_FD, "N", 0, "Read the user PIN from descriptor N (a random PIN)",
			1},
		{0},
	};
	static const struct argp argp = {options, parse_init, NULL,
		"Make the token that kmsd's configuration names, as the HSM worker's user. A token "
		"that is there is kept.\v"
		"Examples:\n"
		"  sealock hsm init --config /etc/sealock/kmsd.yaml\n"
		"  sealock hsm init --pin-fd 3 3</path/to/pin\n"
		"\n"
		"The PIN is written to hsm.pin_file, which only the worker's user may read; it is "
		"never an argument and never "
		"printed. Run as root, or as the worker's user.",
		cli_common_children, NULL, NULL};
	struct hsm_args args = {.cli = cli, .config = CLI_DEFAULT_KMSD_CONFIG};
	struct hsm_init_result result = {0};
	struct kms_config *config = NULL;
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	int rc = kms_config_load(args.config, &config, &err);
	if (rc == SLK_OK)
		rc = make_token(&args, &config->hsm, &result, &err);
	if (rc == SLK_OK)
		print_result(cli, &config->hsm, &result);
	kms_config_free(config);
	return rc == SLK_OK ? CLI_EXIT_OK : cli_fail(cli, &err);
}

int
cli_hsm(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"init", "make the token", init},
		{"probe", "what a module and its token can do", cli_hsm_probe},
		{"ceremony", "make a master key before witnesses", cli_hsm_ceremony},
		{0},
	};

	return cli_dispatch(cli, verbs, "The token in which the master keys live.",
		"Examples:\n"
		"  sealock hsm init --config /etc/sealock/kmsd.yaml\n"
		"  sealock hsm probe /usr/lib/softhsm/libsofthsm2.so",
		argc, argv);
}
