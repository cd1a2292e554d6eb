#include "base/daemon.h"

#include <argp.h>
#include <stdio.h>

#include "base/log.h"

static error_t
parse_option(int key, char *arg, struct argp_state *state)
{
	struct slk_daemon_args *a = state->input;

	switch (key) {
	case 'c':
		a->config = arg;
		return 0;
	case 't':
		a->check = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void
slk_daemon_begin(
	const struct slk_daemon *daemon, int argc, char **argv, struct slk_daemon_args *out_args)
{
	static char version[64], config_doc[128];
	const struct argp_option options[] = {{"config", 'c', "FILE", 0, config_doc, 0},
		{"check", 't', NULL, 0, daemon->checks, 0}, {0}};
	const struct argp argp = {options, parse_option, NULL, daemon->doc, NULL, NULL, NULL};

	snprintf(version, sizeof(version), "%s " SLK_VERSION, daemon->program);
	snprintf(config_doc, sizeof(config_doc), "Configuration (default %s)", daemon->config);
	*out_args = (struct slk_daemon_args){.config = daemon->config};
	argp_program_version = version;
	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, out_args);
	slk_log_init(daemon->program, SLK_LOG_INFO);
}

void
slk_daemon_log(const struct slk_daemon *daemon, const char *level)
{
	enum slk_log_level found;

	if (slk_log_parse_level(level, &found))
		slk_log_init(daemon->program, found);
}
