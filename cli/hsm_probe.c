/* sealock hsm probe: what a PKCS#11 module and its token can do, and which profile fits. */
#include "hsm_probe.h"

#include <stdio.h>
#include <stdlib.h>

#include "hsm_report.h"
#include "text.h"

#define DEADLINE_S 10u

struct probe_args {
	struct cli *cli;
	struct hsm_probe_request request;
	uint64_t deadline_s;
};

enum {
	OPT_TOKEN = 't',
	OPT_PIN_FILE = 'p',
	OPT_USER = 'u',
	OPT_STATE_FILE = 256,
	OPT_DEADLINE,
	OPT_PARAMETERS,
	OPT_SOFTHSM_CONF
};

static void
check_args(const struct probe_args *args, struct argp_state *state)
{
	const struct hsm_probe_request *q = &args->request;

	if (q->module == NULL)
		argp_error(state, "name the module: sealock hsm probe /path/to/pkcs11.so");
	if ((q->token_label == NULL) != (q->pin_file == NULL))
		argp_error(state, "--token and --pin-file belong together");
}

static error_t
parse_probe(int key, char *arg, struct argp_state *state)
{
	struct probe_args *args = state->input;
	struct hsm_probe_request *q = &args->request;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case OPT_TOKEN:
		q->token_label = arg;
		return 0;
	case OPT_PIN_FILE:
		q->pin_file = arg;
		return 0;
	case OPT_STATE_FILE:
		q->state_file = arg;
		return 0;
	case OPT_USER:
		q->user = arg;
		return 0;
	case OPT_PARAMETERS:
		q->module_parameters = arg;
		return 0;
	case OPT_SOFTHSM_CONF:
		q->softhsm_conf = arg;
		return 0;
	case OPT_DEADLINE:
		if (cli_u64_parse(arg, 600, &args->deadline_s) != SLK_OK || args->deadline_s == 0)
			argp_error(state, "--deadline takes 1 to 600 seconds, not '%s'", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (q->module != NULL)
			argp_error(state, "'%s' is too much: a PIN is never an argument", arg);
		q->module = arg;
		return 0;
	case ARGP_KEY_END:
		check_args(args, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The state file beside the PIN file, as the worker's default. */
static int
default_state_file(struct hsm_probe_request *request, char **out_path, struct slk_error *err)
{
	if (request->pin_file == NULL || request->state_file != NULL)
		return SLK_OK;
	if (asprintf(out_path, "%s.state", request->pin_file) < 0) {
		*out_path = NULL;
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	}
	request->state_file = *out_path;
	return SLK_OK;
}

static int
probe(struct cli *cli, struct hsm_probe_request *request)
{
	struct hsm_probe_report *report = calloc(1, sizeof(*report));
	struct slk_error err = {0};
	char *state_file = NULL;

	int rc = report != NULL ? default_state_file(request, &state_file, &err)
				: slk_fail(&err, SLK_NO_MEMORY, "out of memory");
	if (rc == SLK_OK && request->token_label != NULL)
		cli_note("token '%s' gets one login with the PIN in %s, and no second one",
			request->token_label, request->pin_file);
	if (rc == SLK_OK) {
		rc = hsm_probe_run(request, report, &err);
		(cli->json ? cli_hsm_report_json : cli_hsm_report_text)(cli->out, request, report);
		if (rc == SLK_OK && report->verdict == HSM_PROBE_REFUSED)
			rc = slk_fail(&err, SLK_UNSUPPORTED, "no profile fits: %s", report->reason);
	}
	free(state_file);
	free(report);
	return rc == SLK_OK ? CLI_EXIT_OK : cli_fail(cli, &err);
}

int
cli_hsm_probe(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"token", OPT_TOKEN, "LABEL", 0, "Try this token out, with one login", 1},
		{"pin-file", OPT_PIN_FILE, "FILE", 0, "Its user PIN (user:password in a CloudHSM)",
			1},
		{"state-file", OPT_STATE_FILE, "FILE", 0,
			"Where a refused PIN is remembered (hsm.state_file; PIN_FILE.state)", 1},
		{"deadline", OPT_DEADLINE, "SECONDS", 0,
			"Kill the module when a call takes longer (10)", 1},
		{"user", OPT_USER, "NAME", 0,
			"As root: load the module as this user (the PIN file's owner)", 1},
		{"module-parameters", OPT_PARAMETERS, "TEXT", 0,
			"For C_Initialize (hsm.module_parameters)", 1},
		{"softhsm-conf", OPT_SOFTHSM_CONF, "FILE", 0, "SoftHSM's configuration", 1},
		{0},
	};
	static const struct argp argp = {options, parse_probe, "MODULE",
		"Find out what a PKCS#11 module and its token can do, and which profile of "
		"kmsd.yaml "
		"fits. Without --token nothing is logged into.\v"
		"Examples:\n"
		"  sealock hsm probe /usr/lib/softhsm/libsofthsm2.so\n"
		"  sealock hsm probe MODULE --token LABEL --pin-file FILE --user sealock-hsm "
		"--json\n"
		"\n"
		"The module is loaded in a process of its own, which is killed when a call hangs; "
		"the "
		"report then says in which. A login is tried once, never with a PIN that this "
		"token "
		"refused before, and not while a worker runs. Only objects of the session are "
		"made, "
		"and nothing is left on the token. No secret is in the report, so it can be sent; "
		"it "
		"names the token's label and serial number. Exit status 1: kmsd would serve "
		"nothing from this token, or the probe did not come to its end.",
		cli_common_children, NULL, NULL};
	struct probe_args args = {.cli = cli, .deadline_s = DEADLINE_S};

	cli_parse(&argp, argc, argv, &args);
	args.request.deadline_ns = args.deadline_s * SLK_NS_PER_S;
	return probe(cli, &args.request);
}
