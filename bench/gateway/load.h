/* Requests that were signed before, sent over and over by many TLS connections of one thread: HTTP/1.1, one request under way on each. */
#ifndef BENCH_GATEWAY_LOAD_H
#define BENCH_GATEWAY_LOAD_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/hist.h"
#include "base/status.h"

#define GWB_CONNECTIONS_MAX 64u

struct gwb_request {
	uint8_t *bytes; /* head and body; owned */
	size_t len;
};

struct gwb_load;

/* What is asked, and what the answers have to be. */
struct gwb_plan {
	/* The next request of a connection. */
	const struct gwb_request *(*next)(void *arg, unsigned connection);
	/* Its answer's body, of status 200. SLK_MALFORMED: a wrong one. */
	int (*check)(void *arg, unsigned connection, struct slk_span body);
	void *arg;
};

/* under_way: requests at once, of which each goes to the connection that has been idle for longest. SLK_SYSTEM, SLK_CLOSED,
 * SLK_NO_MEMORY. */
MUST_USE int gwb_load_open(uint16_t port, unsigned connections, unsigned under_way, SSL_CTX *ctx,
	struct gwb_load **out_load);
void gwb_load_close(struct gwb_load *load); /* NULL allowed */

/* calls requests in all. latency: of each, from its first byte to its answer's last; NULL: not wanted. SLK_MALFORMED: an answer
 * that was not 200, or that check refused; SLK_CLOSED, SLK_TIMEOUT (a minute without anything). */
MUST_USE int gwb_load_run(struct gwb_load *load, const struct gwb_plan *plan, uint64_t calls,
	struct slk_hist *latency);

/* What came last: for a sentence about a wrong answer. */
struct slk_span gwb_load_answer(const struct gwb_load *load);

#endif
