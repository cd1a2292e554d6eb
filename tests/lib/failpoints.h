/* Points at which the front of the test program kmsd_failpoints can be stopped, and time that a test gives it.
 *
 * kmsd_failpoints is sealock-kmsd, every room as it is, linked with failpoints.c: that takes the place of hsm_link_submit()
 * and a few others (by the linker's --wrap) and of fsync() and fdatasync(), which SQLite calls. The front then passes a point
 *
 *     before and after it asks the HSM to make or to destroy key material,
 *     when the answer is there and before anything was done with it,
 *     before and after each flush, of the catalog and of the audit log (which is never flushed in the background here),
 *
 * and at the armed one (the n-th of its kind) it holds still until it is killed or released: so whoever is to be killed (front, worker, all) is
 * killed at that point. Ticks come every 10 ms, the monitor's back-off passes at once. The block of memory is a file,
 * $KMSD_FAILPOINTS, opened before the sandbox closes. */
#ifndef SLK_TESTS_LIB_FAILPOINTS_H
#define SLK_TESTS_LIB_FAILPOINTS_H

#include <stdatomic.h>
#include <stdint.h>

#define FAILPOINTS_ENV "KMSD_FAILPOINTS"

enum failpoint {
	FAILPOINT_NONE = 0,
	FAILPOINT_BEFORE_HSM = 1,
	FAILPOINT_AFTER_SUBMIT = 2,
	FAILPOINT_AFTER_HSM = 3,
	FAILPOINT_BEFORE_FLUSH = 4,
	FAILPOINT_AFTER_FLUSH = 5,
	FAILPOINT_COUNT = 6,
};

struct failpoints {
	_Atomic uint32_t kind; /* which kind is counted: enum failpoint */
	_Atomic uint32_t armed; /* so many of them until the one that holds; 0: none */
	_Atomic uint32_t held; /* one holds */
	_Atomic uint32_t released;
	_Atomic uint64_t wall_ahead_ns; /* on top of the wall clock */
	_Atomic uint64_t uptime_ns; /* to be counted as uptime, once */
	_Atomic uint32_t turned,
		destroyed; /* backing keys that became Current, or Destroyed, in the catalog */
};

#endif
