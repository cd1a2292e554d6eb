/* The monitor: the only part of kmsd that runs as root, and the only one that talks to nobody.
 *
 *     monitor (root) --control socket--> front (front_user)
 *        |                                  ^
 *        +--starts--> worker (worker_user) -+  their own socketpair
 *
 * There are as many workers as the HSM's profile or hsm.workers says, each with a socketpair of its own. The monitor starts
 * the front and the workers under their own users, gives the front one end of each socketpair, and starts again whichever
 * ends, with back-off. It keeps a copy of the front's ends, so that a new front goes on with the old workers. A worker that
 * the front reports as stuck is killed; a new one is started in its place only when the old one has ended. It reads one kind
 * of message, HSM_CONTROL_STUCK, and never a request.
 * Children end with it, however it ends (parent-death signal and closed sockets).
 *
 * Started by another user than root it runs both under that user and says so.
 *
 * Thread: one.
 */
#ifndef KMS_HSM_MONITOR_H
#define KMS_HSM_MONITOR_H

#include "base/error.h"
#include "base/status.h"
#include "config.h"

struct kms_monitor_options {
	const char *config_path; /* absolute; the front loads it again */
	const char *front_program; /* run as `front_program --front --config config_path` */
	const char *worker_program; /* see hsm/worker_main.c */
	const char *log_level; /* of front and worker; NULL: theirs */
	int pin_fd; /* handed over with --pin-fd; 0: none */
};

/* Until SIGTERM or SIGINT. Returns the process's exit status: 0 after a clean stop, 1 if it cannot start, 2 if
 * front or worker say that starting again is useless (worker: its first one only). Logs by itself. */
MUST_USE int kms_monitor_run(
	const struct kms_config *config, const struct kms_monitor_options *options);

/* Would it start? Users, programs and module are there. SLK_CONFIG with a sentence. */
MUST_USE int kms_monitor_check(const struct kms_config *config,
	const struct kms_monitor_options *options, struct slk_error *err);

#endif
