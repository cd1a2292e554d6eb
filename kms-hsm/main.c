/* sealock-kmsd: the key management daemon. As it is started: the monitor; with --front: the front. */
#include <argp.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "config.h"
#include "front.h"
#include "hsm/link.h"
#include "monitor.h"
#include "policy.h"
#include "principals.h"

#define DEFAULT_CONFIG "/etc/sealock/kmsd.yaml"
#define WORKER_NAME "sealock-hsm-worker"

const char *argp_program_version = "sealock-kmsd " SLK_VERSION;

static const char doc[] = "Sealock's key management daemon: master keys in an HSM, data keys under "
			  "them, one decision "
			  "point and one audit log.\v"
			  "Started as root it stays as a small monitor and runs the front process "
			  "as front_user and the "
			  "HSM worker, the only process that loads the PKCS#11 module, as "
			  "hsm.worker_user. Started by "
			  "another user it runs both under that user.\n\n"
			  "Make the token first:  sealock hsm init --config " DEFAULT_CONFIG "\n"
			  "Then:                  sealock-kmsd --config " DEFAULT_CONFIG "\n"
			  "See what it does:      sealock status";

enum { KEY_FRONT = 1000, KEY_CHECK, KEY_LEVEL, KEY_PIN_FD };

static const struct argp_option options[] = {
	{"config", 'c', "FILE", 0, "configuration (default " DEFAULT_CONFIG ")", 0},
	{"check", KEY_CHECK, NULL, 0, "say whether the configuration is sound, and end", 0},
	{"log-level", KEY_LEVEL, "LEVEL", 0, "debug, info, warn or error (default info)", 0},
	{"pin-fd", KEY_PIN_FD, "N", 0,
		"descriptor of a file or memfd with the PIN, for the HSM worker alone; in place of "
		"hsm.pin_file",
		0},
	{"front", KEY_FRONT, NULL, OPTION_HIDDEN, "internal: be the front process", 0},
	{0},
};

struct arguments {
	const char *config;
	bool check, front;
	enum slk_log_level level;
	const char *level_name; /* for front and worker */
	int pin_fd; /* 0: none */
};

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'c':
		a->config = arg;
		break;
	case KEY_CHECK:
		a->check = true;
		break;
	case KEY_FRONT:
		a->front = true;
		break;
	case KEY_LEVEL:
		if (!slk_log_parse_level(arg, &a->level))
			argp_error(state, "'%s' is none of debug, info, warn and error", arg);
		a->level_name = arg;
		break;
	case KEY_PIN_FD:
		a->pin_fd = atoi(arg);
		if (a->pin_fd < 3 || strspn(arg, "0123456789") != strlen(arg))
			argp_error(state, "'%s' is not the number of a descriptor above 2", arg);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is one argument too many", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Paths of this program and of the worker beside it. */
static int
find_programs(const struct kms_config *config, char self[PATH_MAX], char worker[PATH_MAX],
	struct slk_error *err)
{
	char copy[PATH_MAX];

	ssize_t n = readlink("/proc/self/exe", self, PATH_MAX - 1);
	if (n < 0)
		return slk_fail_errno(err, "cannot find the path of this program");
	self[n] = '\0';
	strcpy(copy, self);
	int len = config->hsm.worker_program != NULL
		? snprintf(worker, PATH_MAX, "%s", config->hsm.worker_program)
		: snprintf(worker, PATH_MAX, "%s/" WORKER_NAME, dirname(copy));
	if (len >= PATH_MAX)
		return slk_fail(err, SLK_TOO_LARGE, "the path of the HSM worker is too long");
	return SLK_OK;
}

/* The parts of the configuration that only the front reads. */
static int
check_rules(const struct kms_config *config, struct slk_error *err)
{
	struct kms_principals *principals = NULL;
	struct kms_policy *policy = NULL;

	int rc = kms_principals_new(config, &principals, err);
	if (rc == SLK_OK)
		rc = kms_policy_new(config, &policy, err);
	kms_principals_free(principals);
	kms_policy_free(policy);
	return rc;
}

/* What whoever started us left open, and its terminal. */
static int
leave_behind(int pin_fd, struct slk_error *err)
{
	if (pin_fd > STDERR_FILENO + 1)
		(void)close_range(STDERR_FILENO + 1, (unsigned)pin_fd - 1, 0);
	closefrom((pin_fd > 0 ? pin_fd : STDERR_FILENO) + 1);
	int fd = open("/dev/null", O_RDONLY);
	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
		return slk_fail_errno(err, "cannot take /dev/null as standard input");
	if (fd != STDIN_FILENO)
		close(fd);
	return SLK_OK;
}

static int
run(const struct arguments *a, const struct kms_config *config, struct slk_error *err)
{
	char path[PATH_MAX], self[PATH_MAX], worker[PATH_MAX];
	struct kms_monitor_options o = {path, self, worker, a->level_name, a->pin_fd};

	if (a->front) {
		closefrom(HSM_MONITOR_FD + 1);
		int rc = slk_process_harden(err);
		return rc == SLK_OK ? kms_front_run(config, HSM_MONITOR_FD) : rc;
	}
	if (realpath(a->config, path) == NULL)
		return slk_fail_errno(err, "cannot find %s", a->config);
	int rc = find_programs(config, self, worker, err);
	if (rc != SLK_OK)
		return rc;
	if (!a->check) {
		rc = leave_behind(a->pin_fd, err);
		return rc == SLK_OK ? kms_monitor_run(config, &o) : rc;
	}
	rc = kms_monitor_check(config, &o, err);
	if (rc == SLK_OK)
		rc = check_rules(config, err);
	if (rc == SLK_OK)
		printf("%s is sound\n", a->config);
	return rc;
}

int
main(int argc, char **argv)
{
	static const struct argp argp = {options, parse, NULL, doc, NULL, NULL, NULL};
	struct arguments a = {.config = DEFAULT_CONFIG, .level = SLK_LOG_INFO};
	struct kms_config *config = NULL;
	struct slk_error err = {0};

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	slk_log_init(a.front ? "sealock-kmsd-front" : "sealock-kmsd", a.level);
	int rc = kms_config_load(a.config, &config, &err);
	if (rc == SLK_OK)
		rc = run(&a, config, &err); /* an exit status, or a negative code */
	kms_config_free(config);
	if (rc < 0) {
		slk_error_log("cannot start", slk_kv("why", (const char *)err.text));
		rc = slk_status_class(rc) == SLK_CLASS_CALLER ? 2 : 1;
	}
	/* Not exit(): what a library or a sanitizer does there is not what a confined process may. */
	if (!a.check)
		_exit(rc);
	return rc;
}
