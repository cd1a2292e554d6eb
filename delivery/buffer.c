#include "buffer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"

#define STEP_BYTES 65536u /* capacities are multiples of it */
#define AHEAD_MAX (4u << 20) /* growing copies nothing, so there is no need to be far ahead */

struct dlv_pool {
	_Atomic uint64_t used;
	uint64_t max;
	bool lock;
};

/* --- the pool --- */

int
dlv_pool_new(uint64_t max_bytes, bool lock, struct dlv_pool **out_pool)
{
	struct dlv_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return SLK_NO_MEMORY;
	pool->max = max_bytes;
	pool->lock = lock;
	*out_pool = pool;
	return SLK_OK;
}

void
dlv_pool_free(struct dlv_pool *pool)
{
	free(pool);
}

uint64_t
dlv_pool_used(const struct dlv_pool *pool)
{
	return atomic_load_explicit(&pool->used, memory_order_relaxed);
}

static bool
pool_take(struct dlv_pool *pool, uint64_t bytes)
{
	uint64_t used = atomic_load_explicit(&pool->used, memory_order_relaxed);

	do {
		if (bytes > pool->max || used > pool->max - bytes)
			return false;
	} while (!atomic_compare_exchange_weak(&pool->used, &used, used + bytes));
	return true;
}

static void
pool_give(struct dlv_pool *pool, uint64_t bytes)
{
	atomic_fetch_sub(&pool->used, bytes);
}

/* --- pages --- */

/* By system call: AddressSanitizer replaces mlock() by a function that does nothing. */
static bool
lock_pages(const struct dlv_pool *pool, uint8_t *bytes, size_t len)
{
	return syscall(SYS_mlock, bytes, len) == 0 || !pool->lock;
}

static uint8_t *
map_new(const struct dlv_pool *pool, size_t cap)
{
	uint8_t *bytes =
		mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (bytes == MAP_FAILED)
		return NULL;
	if (madvise(bytes, cap, MADV_DONTDUMP) != 0 || madvise(bytes, cap, MADV_WIPEONFORK) != 0 ||
		!lock_pages(pool, bytes, cap)) {
		munmap(bytes, cap);
		return NULL;
	}
	(void)madvise(bytes, cap,
		MADV_HUGEPAGE); /* a wish: megabytes are faulted, locked and given back at once */
	return bytes;
}

/* The pages move, or stay, with what they are (locked, not dumped): nothing is copied, so nothing is left behind. */
static uint8_t *
map_grow(uint8_t *bytes, size_t old_cap, size_t cap)
{
	uint8_t *grown = mremap(bytes, old_cap, cap, MREMAP_MAYMOVE);

	return grown == MAP_FAILED ? NULL : grown;
}

static int
grow_to(struct dlv_buffer *buffer, size_t cap)
{
	size_t more = cap - buffer->cap;

	if (!pool_take(buffer->pool, more))
		return SLK_LIMIT;
	uint8_t *bytes = buffer->cap == 0 ? map_new(buffer->pool, cap)
					  : map_grow(buffer->bytes, buffer->cap, cap);
	if (bytes == NULL) {
		pool_give(buffer->pool, more);
		return SLK_NO_MEMORY;
	}
	buffer->bytes = bytes;
	buffer->cap = cap;
	return SLK_OK;
}

/* --- buffers --- */

void
dlv_buffer_init(struct dlv_buffer *buffer, struct dlv_pool *pool)
{
	*buffer = (struct dlv_buffer){.pool = pool};
}

void
dlv_buffer_fini(struct dlv_buffer *buffer)
{
	if (buffer->cap > 0) {
		slk_wipe(buffer->bytes, buffer->len);
		munmap(buffer->bytes, buffer->cap);
		pool_give(buffer->pool, buffer->cap);
	}
	dlv_buffer_init(buffer, buffer->pool);
}

int
dlv_buffer_reserve(struct dlv_buffer *buffer, size_t more)
{
	if (more <= buffer->cap - buffer->len)
		return SLK_OK;
	if (more > SIZE_MAX / 4 - buffer->len)
		return SLK_LIMIT;
	size_t need = (buffer->len + more + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
	size_t more_ahead = buffer->cap / 2 < AHEAD_MAX ? buffer->cap / 2 : AHEAD_MAX;
	size_t ahead = buffer->cap + more_ahead / STEP_BYTES * STEP_BYTES;
	if (ahead > need && grow_to(buffer, ahead) == SLK_OK)
		return SLK_OK;
	return grow_to(buffer, need);
}

int
dlv_buffer_append(struct dlv_buffer *buffer, struct slk_span bytes)
{
	int rc = dlv_buffer_reserve(buffer, bytes.len);

	if (rc != SLK_OK)
		return rc;
	if (bytes.len > 0)
		memcpy(buffer->bytes + buffer->len, bytes.ptr, bytes.len);
	buffer->len += bytes.len;
	return SLK_OK;
}

void
dlv_buffer_cut(struct dlv_buffer *buffer, size_t len)
{
	slk_wipe(buffer->bytes + len, buffer->len - len);
	buffer->len = len;
}
