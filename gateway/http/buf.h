/* Buffers of bodies: pooled, so that no request costs a round of page faults.
 *
 * A buffer belongs to the thread of its loop, until it is given back or handed to http_answer() or http_answer_piece(),
 * which take it over. Sizes come in classes (16 KiB, times two up to 64 MiB); what is given back is kept for the next one
 * of its class, up to a bound per thread. Beyond the pool's limit (all buffers of a thread that are in use together)
 * nothing is given out: SLK_LIMIT, to be answered with 503. Contents are not wiped: what holds keys or plaintext that must
 * not outlive its request is wiped by who gives it back (http_buf_wipe()).
 */
#ifndef GATEWAY_HTTP_BUF_H
#define GATEWAY_HTTP_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define HTTP_BUF_MIN_BYTES 16384u
#define HTTP_BUF_MAX_BYTES (64u << 20)

struct http_buf {
	uint8_t *bytes;
	size_t len; /* in use; the owner sets it, up to cap */
	size_t cap;
	struct http_buf *
		next; /* of lists that the owner makes; the pool's and the server's own otherwise */
	bool wipe; /* its len bytes are wiped when it is given back: set it for keys and records in plaintext */
};

struct http_pool;

/* in_use_max_bytes: of all buffers that are out; kept_max_bytes: of those that wait for their next use. */
MUST_USE int http_pool_new(
	size_t in_use_max_bytes, size_t kept_max_bytes, struct http_pool **out_pool);
void http_pool_free(struct http_pool *pool); /* every buffer is back; NULL allowed */

/* At least cap bytes; len is 0. SLK_TOO_LARGE, SLK_LIMIT, SLK_NO_MEMORY. */
MUST_USE int http_buf_new(struct http_pool *pool, size_t cap, struct http_buf **out_buf);
/* Make room for `more` bytes behind len; *buf may become another one, with the same bytes. Errors leave it as it is. */
MUST_USE int http_buf_reserve(struct http_pool *pool, struct http_buf **buf, size_t more);
/* http_buf_reserve() and copy. */
MUST_USE int http_buf_append(
	struct http_pool *pool, struct http_buf **buf, const void *bytes, size_t len);
void http_buf_free(struct http_pool *pool, struct http_buf *buf); /* NULL allowed */

size_t http_pool_in_use(const struct http_pool *pool); /* bytes, by classes */

#endif
