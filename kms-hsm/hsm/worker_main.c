/* sealock-hsm-worker: the only process that loads the vendor's PKCS#11 module. Started by
 * sealock-kmsd. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "hsm/link.h"
#include "hsm/user.h"
#include "hsm/worker.h"

#define PROGRAM "sealock-hsm-worker"
#define PIN_NAME "the credential that kmsd was given" /* in messages */

const char *argp_program_version = "sealock-hsm-worker " SLK_VERSION;

static const char doc[] = "The HSM worker of sealock-kmsd: holds the login to one PKCS#11 token "
			  "and answers kmsd's front process over a "
			  "socketpair.\vIt is started by sealock-kmsd, with the socket at "
			  "descriptor --fd, and is of no use by itself. No "
			  "secret is ever an argument: the PIN comes from --pin-file, which only "
			  "the worker's user may read.";

enum key {
	KEY_PROFILE = 1000,
	KEY_MODULE,
	KEY_LABEL,
	KEY_SERIAL,
	KEY_PIN,
	KEY_PIN_FD,
	KEY_STATE,
	KEY_SOFTHSM,
	KEY_PARAMETERS,
	KEY_MODULE_PATH,
	KEY_SESSIONS,
	KEY_DEADLINE,
	KEY_START_DEADLINE,
	KEY_USER,
	KEY_LEVEL,
	KEY_FD,
};

static const struct argp_option options[] = {
	{"profile", KEY_PROFILE, "NAME", 0, "what kind of HSM it is", 0},
	{"module", KEY_MODULE, "FILE", 0, "the vendor's PKCS#11 module", 0},
	{"token-label", KEY_LABEL, "TEXT", 0, "label of the token", 0},
	{"token-serial", KEY_SERIAL, "TEXT", 0, "serial number that the token must have, too", 0},
	{"pin-file", KEY_PIN, "FILE", 0, "file with the PIN, mode 0400", 0},
	{"pin-fd", KEY_PIN_FD, "N", 0,
		"descriptor of a file or memfd with the PIN, in place of --pin-file", 0},
	{"state-file", KEY_STATE, "FILE", 0, "remembers a refused PIN across restarts", 0},
	{"softhsm-conf", KEY_SOFTHSM, "FILE", 0, "SOFTHSM2_CONF for the module", 0},
	{"module-parameters", KEY_PARAMETERS, "TEXT", 0, "string for C_Initialize", 0},
	{"module-path", KEY_MODULE_PATH, "FILE", 0,
		"a file or directory that the module reads or writes; may be given again", 0},
	{"sessions", KEY_SESSIONS, "N", 0, "sessions of the pool", 0},
	{"deadline-ms", KEY_DEADLINE, "MS", 0, "a module call that takes longer ends the worker",
		0},
	{"start-deadline-ms", KEY_START_DEADLINE, "MS", 0,
		"the same for initialising and logging in", 0},
	{"user", KEY_USER, "NAME", 0, "become this user first, when started as root", 0},
	{"log-level", KEY_LEVEL, "LEVEL", 0, "debug, info, warn or error (default info)", 0},
	{"fd", KEY_FD, "N", 0, "descriptor of the socket to the front", 0},
	{0},
};

struct arguments {
	struct hsm_options hsm;
	const char *user;
	int fd;
};

static uint64_t
number(struct argp_state *state, const char *arg, uint64_t min, uint64_t max)
{
	char *end;

	unsigned long long v = strtoull(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end != '\0' || v < min || v > max)
		argp_error(state, "'%s' is not a number from %llu to %llu", arg,
			(unsigned long long)min, (unsigned long long)max);
	return v;
}

static const struct hsm_profile *
profile(struct argp_state *state, const char *arg)
{
	const struct hsm_profile *p = hsm_profile_find(arg);

	if (p == NULL)
		argp_error(state, "no profile is called '%s': %s", arg, hsm_profile_refusal(arg));
	return p;
}

static void
check(struct argp_state *state, struct arguments *a)
{
	struct hsm_options *o = &a->hsm;

	if (o->profile == NULL || o->module == NULL || o->token_label == NULL ||
		(o->pin_file == NULL) == (o->pin_fd == 0) || o->state_file == NULL || a->fd < 0)
		argp_error(state,
			"--profile, --module, --token-label, one of --pin-file and --pin-fd, "
			"--state-file and --fd are needed");
	if (o->pin_fd > 0)
		o->pin_file = PIN_NAME;
	if (o->sessions_count == 0 && o->profile != NULL)
		o->sessions_count = o->profile->sessions_count;
}

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	struct hsm_options *o = &a->hsm;
	enum slk_log_level level = SLK_LOG_INFO;

	switch (key) {
	case KEY_PROFILE:
		o->profile = profile(state, arg);
		break;
	case KEY_MODULE:
		o->module = arg;
		break;
	case KEY_LABEL:
		o->token_label = arg;
		break;
	case KEY_SERIAL:
		o->token_serial = arg;
		break;
	case KEY_PIN:
		o->pin_file = arg;
		break;
	case KEY_PIN_FD:
		o->pin_fd = (int)number(state, arg, 3, 1023);
		break;
	case KEY_STATE:
		o->state_file = arg;
		break;
	case KEY_SOFTHSM:
		o->softhsm_conf = arg;
		break;
	case KEY_PARAMETERS:
		o->module_parameters = arg;
		break;
	case KEY_MODULE_PATH:
		if (o->module_paths_count == HSM_MODULE_PATHS_MAX)
			argp_error(state, "more than %u times --module-path",
				(unsigned)HSM_MODULE_PATHS_MAX);
		o->module_paths[o->module_paths_count++] = arg;
		break;
	case KEY_SESSIONS:
		o->sessions_count = (uint32_t)number(state, arg, 1, HSM_SESSIONS_MAX);
		break;
	case KEY_DEADLINE:
		o->deadline_ns = number(state, arg, 1, 600000) * SLK_NS_PER_MS;
		break;
	case KEY_START_DEADLINE:
		o->start_deadline_ns = number(state, arg, 1, 600000) * SLK_NS_PER_MS;
		break;
	case KEY_USER:
		a->user = arg;
		break;
	case KEY_LEVEL:
		if (!slk_log_parse_level(arg, &level))
			argp_error(state, "'%s' is none of debug, info, warn and error", arg);
		slk_log_init(PROGRAM, level);
		break;
	case KEY_FD:
		a->fd = (int)number(state, arg, 3, 1023);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is one argument too many", arg);
		break;
	case ARGP_KEY_END:
		check(state, a);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* What whoever started us left open. */
static void
close_others(const struct arguments *a)
{
	const int pin_fd = a->hsm.pin_fd > 0 ? a->hsm.pin_fd : a->fd;
	const int low = a->fd < pin_fd ? a->fd : pin_fd;
	const int high = a->fd < pin_fd ? pin_fd : a->fd;

	if (low > 3)
		(void)close_range(3, (unsigned)low - 1, 0);
	if (high > low + 1)
		(void)close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	closefrom(high + 1);
}

static int
harden(const struct arguments *a, struct slk_error *err)
{
	struct hsm_user user;

	int rc = SLK_OK;
	if (a->user != NULL && geteuid() == 0) {
		rc = hsm_user_find(a->user, &user, err);
		if (rc == SLK_OK)
			rc = hsm_user_become(&user, err);
	}
	if (rc == SLK_OK)
		rc = slk_process_harden(err);
	return rc;
}

int
main(int argc, char **argv)
{
	static const struct argp argp = {options, parse, NULL, doc, NULL, NULL, NULL};
	struct arguments a = {.fd = -1};
	struct slk_error err = {0};

	a.hsm.deadline_ns = 5 * SLK_NS_PER_S;
	a.hsm.start_deadline_ns = 30 * SLK_NS_PER_S;
	argp_err_exit_status = HSM_EXIT_CONFIG;
	slk_log_init(PROGRAM, SLK_LOG_INFO);
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	close_others(&a);
	if (harden(&a, &err) != SLK_OK) {
		slk_error_log("the HSM worker cannot start", slk_kv("why", err.text));
		_exit(HSM_EXIT_CONFIG);
	}
	if (geteuid() == 0)
		slk_warn("the HSM worker runs as root; give it a user of its own with "
			 "hsm.worker_user");
	/* _exit: destructors of what the module loaded are not to be trusted. */
	_exit(hsm_worker_run(&a.hsm, a.fd));
}
