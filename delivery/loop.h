/* The thread that waits: descriptors, timers, HTTP transfers; and the pool of threads that compute.
 *
 * Thread: all functions are the loop's own but dlv_loop_post() and dlv_pool_work(), which any thread may call.
 */
#ifndef DELIVERY_LOOP_H
#define DELIVERY_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/status.h"

struct dlv_loop;

/* workers: threads that compute, 1..64. clock: NULL for the system's. SLK_NO_MEMORY, SLK_SYSTEM. */
MUST_USE int dlv_loop_new(unsigned workers, const struct slk_clock *clock,
	struct dlv_loop **out_loop, struct slk_error *err);
void dlv_loop_free(struct dlv_loop *loop); /* NULL allowed; nothing is under way */
/* Until dlv_loop_stop(). */
MUST_USE int dlv_loop_run(struct dlv_loop *loop, struct slk_error *err);
void dlv_loop_stop(struct dlv_loop *loop); /* thread: any */
const struct slk_clock *dlv_loop_clock(const struct dlv_loop *loop);

/* fn(arg) in the loop, soon, once. Thread: any. The task's memory is the caller's until it runs. */
struct dlv_task {
	struct dlv_task *next;
	void (*fn)(void *arg);
	void *arg;
};
void dlv_loop_post(struct dlv_loop *loop, struct dlv_task *task);
/* fn(arg) in a thread of the pool. */
void dlv_loop_work(struct dlv_loop *loop, struct dlv_task *task);

/* One shot. Zero it before its first use; the memory is the caller's. */
struct dlv_timer {
	uint64_t at_ns; /* monotonic; 0: not set */
	void (*fn)(void *arg);
	void *arg;
	struct dlv_timer *next, *prev; /* the loop's */
};
void dlv_timer_set(struct dlv_loop *loop, struct dlv_timer *timer, uint64_t at_ns,
	void (*fn)(void *arg), void *arg);
void dlv_timer_stop(struct dlv_loop *loop, struct dlv_timer *timer);

/* Watch a descriptor (level-triggered): fn(arg, events) with EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP. SLK_SYSTEM. */
struct dlv_watch {
	int fd;
	uint32_t events; /* 0: not watched */
	void (*fn)(void *arg, uint32_t events);
	void *arg;
};
MUST_USE int dlv_watch_set(struct dlv_loop *loop, struct dlv_watch *watch, int fd, uint32_t events);
void dlv_watch_stop(struct dlv_loop *loop, struct dlv_watch *watch);

#endif
