/* The command line that the servers share: --config FILE, --check, --version, --help. Thread: main, before there is another. */
#ifndef SLK_BASE_DAEMON_H
#define SLK_BASE_DAEMON_H

#include <stdbool.h>

struct slk_daemon {
	const char *program; /* its name; also in the log */
	const char *config; /* the file that is read unless another is named */
	const char *checks; /* what --check does, for --help */
	const char *doc; /* argp's */
};

struct slk_daemon_args {
	const char *config;
	bool check; /* say whether the configuration is sound, and end */
};

/* Parse and begin to log. --help and --version end the process with status 0, wrong usage with 2. */
void slk_daemon_begin(
	const struct slk_daemon *daemon, int argc, char **argv, struct slk_daemon_args *out_args);
/* Log at the level that the configuration names from here on; a word that is none changes nothing. */
void slk_daemon_log(const struct slk_daemon *daemon, const char *level);

#endif
