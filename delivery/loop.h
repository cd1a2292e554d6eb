/* The thread that waits: descriptors, timers, HTTP transfers; and the pool of threads that compute.
 *
 * A turn: events of descriptors, then timers that are due, then posted tasks. What these set or post for now waits for the next
 * turn, so that none of them starves the others. Thread: all functions are the loop's own but dlv_loop_post(), dlv_loop_work()
 * and dlv_loop_stop(), which any thread may call.
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
/* Ends the threads when they have done all that was given to them. NULL allowed; no watch or timer is set. Tasks that are still
 * posted are not run. */
void dlv_loop_free(struct dlv_loop *loop);
/* Until dlv_loop_stop(); what was posted before that is done first. SLK_SYSTEM. */
MUST_USE int dlv_loop_run(struct dlv_loop *loop, struct slk_error *err);
/* One turn; waits for at most max_wait_ms (-1: for ever) if there is nothing to do. For tests and tools. */
MUST_USE int dlv_loop_turn(struct dlv_loop *loop, int max_wait_ms, struct slk_error *err);
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

/* One shot. Zero it before its first use; the memory is the caller's. Set again while it is set: it is moved. at_ns 0 counts as 1. */
struct dlv_timer {
	uint64_t at_ns; /* monotonic; 0: not set */
	void (*fn)(void *arg);
	void *arg;
	struct dlv_timer *next, *prev; /* the loop's */
};
void dlv_timer_set(struct dlv_loop *loop, struct dlv_timer *timer, uint64_t at_ns,
	void (*fn)(void *arg), void *arg);
void dlv_timer_stop(struct dlv_loop *loop, struct dlv_timer *timer);

/* Watch a descriptor (level-triggered): fn(arg, events) with EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP. fn and arg are the caller's to
 * fill, the rest to zero, before its first use. Set again: other events, or another descriptor. Stop it before the descriptor is
 * closed; no fn comes after that. Errors as slk_status_from_errno(). */
struct dlv_watch {
	int fd;
	uint32_t events; /* 0: not watched; the loop's, as fd is */
	void (*fn)(void *arg, uint32_t events);
	void *arg;
};
MUST_USE int dlv_watch_set(struct dlv_loop *loop, struct dlv_watch *watch, int fd, uint32_t events);
void dlv_watch_stop(struct dlv_loop *loop, struct dlv_watch *watch);

/* web.h: the loop's one. */
struct dlv_web;
struct dlv_web *dlv_loop_web(struct dlv_loop *loop); /* NULL before it was made */
void dlv_loop_set_web(struct dlv_loop *loop, struct dlv_web *web); /* web.c's */

#endif
