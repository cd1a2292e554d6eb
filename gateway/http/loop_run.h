/* The side of a loop that its thread turns (loop.h is the handlers' side). Thread: one, but http_loop_wake(). */
#ifndef GATEWAY_HTTP_LOOP_RUN_H
#define GATEWAY_HTTP_LOOP_RUN_H

#include "http/loop.h"

/* clock and pool are borrowed. SLK_SYSTEM, SLK_NO_MEMORY ... with a sentence. */
MUST_USE int http_loop_new(unsigned index, const struct slk_clock *clock, struct http_pool *pool,
	struct http_loop **out_loop, struct slk_error *err);
void http_loop_free(struct http_loop *loop); /* NULL allowed */

/* flush is called last in each turn: answers are written there. */
void http_loop_set_flush(struct http_loop *loop, void (*flush)(void *arg), void *arg);

/* One turn: waits for a descriptor, a timer or a wake, at most max_wait_ms (-1: no bound). SLK_SYSTEM if epoll failed. */
MUST_USE int http_loop_turn(struct http_loop *loop, int max_wait_ms);

/* The next turn does not wait: something is left over from this one. */
void http_loop_again(struct http_loop *loop);

uint64_t http_loop_turns(const struct http_loop *loop);

#endif
