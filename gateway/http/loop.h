/* One thread's event loop: descriptors, timers and a call at the end of each turn.
 *
 * A loop belongs to one thread; everything here is called from it (from handlers, or before it runs). Only http_loop_wake()
 * may be called by any. A turn is: wait, serve descriptors, serve timers, call the turn functions, write what answers wait.
 */
#ifndef GATEWAY_HTTP_LOOP_H
#define GATEWAY_HTTP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/status.h"
#include "http/buf.h"

struct http_loop;

/* --- descriptors --- */

/* Embedded by its owner, zeroed at first; it may be freed once it is not watched. events: EPOLLIN ... as of epoll_wait. */
struct http_watch {
	void (*ready)(struct http_watch *watch, uint32_t events);
	void *arg; /* the owner's */
	int fd; /* the owner's to close, after http_loop_unwatch() */
	bool watched;
};

/* Level triggered unless events has EPOLLET. SLK_SYSTEM, SLK_NO_MEMORY ... with errno. */
MUST_USE int http_loop_watch(struct http_loop *loop, struct http_watch *watch, uint32_t events);
/* Another set of events. */
MUST_USE int http_loop_rewatch(struct http_loop *loop, struct http_watch *watch, uint32_t events);
/* No call comes after it, not even for events that were already fetched. Nothing if it is not watched. */
void http_loop_unwatch(struct http_loop *loop, struct http_watch *watch);

/* --- timers --- */

/* Embedded by its owner, zeroed at first. Fires once, at or after its time, by a millisecond's clock. */
struct http_timer {
	void (*fire)(struct http_timer *timer, uint64_t now_ns);
	void *arg; /* the owner's */
	uint64_t at_ns; /* monotonic; of the loop's clock */
	size_t place; /* in the loop's heap, from 1; 0: not set */
};

/* Set, or set anew. SLK_NO_MEMORY (never of one that is set). */
MUST_USE int http_timer_set(struct http_loop *loop, struct http_timer *timer, uint64_t at_ns);
void http_timer_cancel(
	struct http_loop *loop, struct http_timer *timer); /* nothing if it is not set */

/* --- ends of turns --- */

/* Called at the end of each turn, before answers are written: here requests that the turn gathered go out together.
 * Embedded by its owner, zeroed at first. */
struct http_turn {
	void (*call)(struct http_turn *turn);
	void *arg;
	struct http_turn *next;
};
void http_loop_each_turn(struct http_loop *loop, struct http_turn *turn);

/* --- the rest --- */

unsigned http_loop_index(const struct http_loop *loop); /* 0 .. threads - 1 */
uint64_t http_loop_now_ns(const struct http_loop *loop); /* monotonic, of the turn's beginning */
const struct slk_clock *http_loop_clock(const struct http_loop *loop);
struct http_pool *http_loop_pool(struct http_loop *loop);

/* Let it make a turn soon. Thread: any, and signal handlers. */
void http_loop_wake(struct http_loop *loop);

#endif
