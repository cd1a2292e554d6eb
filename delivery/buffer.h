/* Bytes that grow: what a batch is gathered in.
 *
 * Memory of its own pages, locked and out of core dumps like base/secret.h but up to gigabytes; wiped when it is given back or
 * shrunk. What it takes counts against the process's pool (memory: max_mb in deliverd.yaml), so that buffers are bounded
 * whatever the delivery streams ask for; a few mappings are kept for the next buffers, wiped, as long as nobody needs their room.
 * Thread: a buffer belongs to one; the pool is shared.
 */
#ifndef DELIVERY_BUFFER_H
#define DELIVERY_BUFFER_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

struct dlv_pool;
/* lock: refuse memory that cannot be locked; otherwise it is locked if RLIMIT_MEMLOCK has room for all of it and 32 MiB more. SLK_NO_MEMORY. */
MUST_USE int dlv_pool_new(uint64_t max_bytes, bool lock, struct dlv_pool **out_pool);
void dlv_pool_free(struct dlv_pool *pool); /* NULL allowed; no buffer is left */
uint64_t dlv_pool_used(const struct dlv_pool *pool); /* bytes; thread: any */

struct dlv_buffer {
	struct dlv_pool *pool;
	uint8_t *bytes;
	size_t len, cap;
};

void dlv_buffer_init(struct dlv_buffer *buffer, struct dlv_pool *pool);
void dlv_buffer_fini(struct dlv_buffer *buffer);
/* Room for more bytes behind len; bytes may move. Who writes there without append wipes what it does not add to len. SLK_LIMIT: the pool has no more now; SLK_NO_MEMORY. Nothing is changed then. */
MUST_USE int dlv_buffer_reserve(struct dlv_buffer *buffer, size_t more);
MUST_USE int dlv_buffer_append(struct dlv_buffer *buffer, struct slk_span bytes);
void dlv_buffer_cut(
	struct dlv_buffer *buffer, size_t len); /* len below the present one: wipe what is behind */

#endif
