/* Has this machine been duplicated, or put back to an older state, while it ran?
 *
 * A hypervisor that makes another running machine out of a snapshot gives it another generation id (VMGenID). Since 5.19 Linux
 * announces that as a uevent, NEW_VMGENID=1. Whoever sealed before must not go on with the same keys: the other machine has
 * them, too, with the same next nonces (SP 800-38D, 8). The watch counts announcements in a number; workers and the control
 * thread compare it: what was asked for or begun under another one is not used any more.
 *
 * Uevents that were lost (the socket's queue was full) count as an announcement: it may have been among them. Messages that the
 * kernel did not send are counted and ignored. Between the resumption and the announcement lie milliseconds in which both
 * machines may seal: therefore docs/OPERATIONS.md forbids such snapshots all the same.
 */
#ifndef DP_VMGEN_H
#define DP_VMGEN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/status.h"

struct dp_vmgen {
	_Atomic uint64_t number; /* of announcements */
	_Atomic uint64_t overruns; /* of them, for uevents that were lost */
	_Atomic uint64_t foreign; /* messages that somebody else sent */
	int fd; /* of the uevents; -1: none */
	int stop_fd;
	pthread_t thread;
	bool runs;
};

/* Begin to watch, in a thread of its own. Without uevents (no netlink) that is said in the log, and nothing is watched: as
 * on a kernel before 5.19. SLK_SYSTEM (no thread, no descriptor). Thread: main. */
MUST_USE int dp_vmgen_start(struct dp_vmgen *v, struct slk_error *err);
/* A zeroed one that was not started is allowed. */
void dp_vmgen_stop(struct dp_vmgen *v);

/* v: NULL: never another. Thread: any. */
static inline uint64_t
dp_vmgen_number(const struct dp_vmgen *v)
{
	return v != NULL ? atomic_load_explicit(&v->number, memory_order_acquire) : 0;
}

/* The machine is another one now. Thread: any. */
void dp_vmgen_announce(struct dp_vmgen *v);

/* Is this uevent the announcement? Fields end with a zero byte each. */
bool dp_vmgen_is_announcement(struct slk_span uevent);

/* Take what is there, without waiting; for the thread, and for tests. Returns how many announcements. */
unsigned dp_vmgen_take(struct dp_vmgen *v);

#endif
