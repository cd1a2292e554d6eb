/* The worker's loop: one socket to the front, a bounded number of jobs, session threads, a keeper
 * and a watchdog.
 *
 *     socket -> I/O loop -> queue -> session threads -> done -> I/O loop -> socket
 *
 * The I/O loop never calls the module. It reads requests while it has free jobs (the socket holds
 * the rest), answers HSM_STATUS by itself, answers jobs whose deadline passed, whether they wait or
 * run, and watches how long each thread has been inside the module. A thread that is there for
 * longer than the deadline cannot be helped: the process ends with HSM_EXIT_HUNG, and the monitor
 * starts another. When the socket closes or SIGTERM comes, jobs that run are finished, the module
 * is finalised and the process ends.
 */
#ifndef KMS_HSM_HSM_WORKER_H
#define KMS_HSM_HSM_WORKER_H

#include "base/error.h"
#include "base/status.h"
#include "hsm/options.h"

enum hsm_exit {
	HSM_EXIT_CLEAN = 0,
	HSM_EXIT_START = 1, /* could not start; may succeed later */
	HSM_EXIT_CONFIG =
		2, /* could not start; starting again is useless until something is changed */
	HSM_EXIT_HUNG = 3, /* a module call did not come back */
	HSM_EXIT_PROTOCOL = 4, /* the front sent what it may not send */
};

/* Serve until the socket closes. fd: SEQPACKET, owned by the worker. The calling thread becomes the
 * I/O loop; there must be no other threads yet. Does not return if a module call hangs. Returns an
 * enum hsm_exit; leave with _exit(), for libraries that SoftHSM brings along do not survive exit().
 */
MUST_USE int hsm_worker_run(const struct hsm_options *options, int fd);

#endif
