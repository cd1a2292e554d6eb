/* What every server does to its process at the start. Thread: start-up, while the process has one thread. */
#ifndef SLK_BASE_PROCESS_H
#define SLK_BASE_PROCESS_H

#include <pwd.h>
#include <signal.h>

#include "base/error.h"
#include "base/status.h"

/* SIGTERM, SIGINT and SIGHUP wait for sigwaitinfo() in main, whatever threads are made later; SIGPIPE is ignored. SLK_SYSTEM. */
MUST_USE int slk_signals_block(sigset_t *out_signals, struct slk_error *err);

/* Whom to become: user of the configuration, NULL if it says none. *out_user is NULL if the process may stay who it is; static
 * storage. program and example: for the sentence. SLK_CONFIG: root may not stay root, or there is no such user; SLK_DENIED:
 * only root can become another. */
MUST_USE int slk_user_find(const char *user, const char *program, const char *example,
	const struct passwd **out_user, struct slk_error *err);
/* Become user for good, with its groups and, if the process asked for nothing else before, without capabilities. SLK_SYSTEM ...*/
MUST_USE int slk_user_become(const struct passwd *user, struct slk_error *err);

#endif
