/* The worker's threads: one socket to the front, session threads, a keeper and a watch loop.
 *
 *     socket -> session thread -> socket            while one of them is free
 *     socket -> watch loop -> queue -> session thread -> socket     while all are busy
 *
 * A session thread takes a request from the socket, makes the module's calls and sends the answer
 * by itself: no hand-over between threads, which would cost more than a fast token's call. The
 * socket holds what they have not come to.
 *
 * Where the profile says that the module does one call at a time (SoftHSM: two threads give 1.0 times the rate of one for
 * twice its processor time, because they wait for each other), one session thread leads: it takes all requests that are there,
 * some at once, carries them out in turn and sends up to eight answers together, if they took microseconds. It hands the
 * lead over before an operation that takes long (making keys, key pairs), and loses it when it does not come back for a turn of
 * the watch loop, which then sends what was done before.
 *
 * The watch loop never calls the module. It looks up
 * every 50 ms, takes requests (a bounded number of jobs) while no session thread waits for any,
 * answers HSM_STATUS among them and jobs whose deadline passed, whether they wait or run, and
 * watches how long each thread has been inside the module. A thread that is there for
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
 * watch loop; there must be no other threads yet. Does not return if a module call hangs. Returns an
 * enum hsm_exit; leave with _exit(), for libraries that SoftHSM brings along do not survive exit().
 */
MUST_USE int hsm_worker_run(const struct hsm_options *options, int fd);

#endif
