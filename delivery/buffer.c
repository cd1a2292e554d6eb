#include "buffer.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"

#define STEP_BYTES 65536u /* capacities are multiples of it */
#define AHEAD_MAX (4u << 20) /* growing copies nothing, so there is no need to be far ahead */

#define SPARES 8u
#define GROWS_BYTES (256u << 10) /* asked for at once: a batch, not a line */
#define OTHERS_BYTES (32ull << 20) /* besides the pool: keys, opened blocks */

/* Mappings that were wiped and given back: to fault, lock and unmap pages anew for each batch costs as much as filling them. They
 * go as soon as their room is wanted. */
struct spare {
	uint8_t *bytes;
	size_t cap; /* 0: none */
};

struct dlv_pool {
	pthread_mutex_t mutex;
	uint64_t used; /* by buffers */
	uint64_t spare; /* by spares, beyond that; used + spare <= max */
	uint64_t max;
	bool lock, tries; /* pages have to be locked; are to be, if it can be done */
	struct spare spares[SPARES];
};

/* --- the pool --- */

/* All of it or nothing: a pool that took what may be locked would leave none for keys, and could not grow a locked buffer. */
static bool
fits_limit(uint64_t max_bytes)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
		(limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= max_bytes + OTHERS_BYTES);
}

int
dlv_pool_new(uint64_t max_bytes, bool lock, struct dlv_pool **out_pool)
{
	struct dlv_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return SLK_NO_MEMORY;
	if (pthread_mutex_init(&pool->mutex, NULL) != 0) {
		free(pool);
		return SLK_NO_MEMORY;
	}
	pool->max = max_bytes;
	pool->lock = lock;
	pool->tries = lock || fits_limit(max_bytes);
	*out_pool = pool;
	return SLK_OK;
}

static void
drop_spare(struct dlv_pool *pool, struct spare *spare)
{
	if (spare->cap > 0)
		munmap(spare->bytes, spare->cap);
	pool->spare -= spare->cap;
	*spare = (struct spare){0};
}

void
dlv_pool_free(struct dlv_pool *pool)
{
	if (pool == NULL)
		return;
	for (unsigned i = 0; i < SPARES; i++)
		drop_spare(pool, &pool->spares[i]);
	pthread_mutex_destroy(&pool->mutex);
	free(pool);
}

uint64_t
dlv_pool_used(const struct dlv_pool *pool)
{
	return __atomic_load_n(&pool->used, __ATOMIC_RELAXED);
}

static void
set_used(struct dlv_pool *pool, uint64_t used)
{
	__atomic_store_n(
		&pool->used, used, __ATOMIC_RELAXED); /* read without the mutex, for metrics */
}

static bool
pool_take(struct dlv_pool *pool, uint64_t bytes)
{
	pthread_mutex_lock(&pool->mutex);
	for (unsigned i = 0; i < SPARES && pool->used + pool->spare + bytes > pool->max; i++)
		drop_spare(pool, &pool->spares[i]);
	bool fits = bytes <= pool->max && pool->used + pool->spare <= pool->max - bytes;
	if (fits)
		set_used(pool, pool->used + bytes);
	pthread_mutex_unlock(&pool->mutex);
	return fits;
}

static void
pool_give(struct dlv_pool *pool, uint64_t bytes)
{
	pthread_mutex_lock(&pool->mutex);
	set_used(pool, pool->used - bytes);
	pthread_mutex_unlock(&pool->mutex);
}

/* Their locked pages count against the process's limit, too. */
static void
drop_spares(struct dlv_pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	for (unsigned i = 0; i < SPARES; i++)
		drop_spare(pool, &pool->spares[i]);
	pthread_mutex_unlock(&pool->mutex);
}

/* A buffer that begins to grow may get more than it needs while there is plenty: a small one (a stage, a line) stays small, and
 * would keep the mapping from the next batch. What is scarce goes to whom it fits. */
static bool
suits(const struct dlv_pool *pool, const struct spare *spare, size_t need)
{
	bool grows = need >= GROWS_BYTES;

	return spare->cap >= need &&
		(spare->cap / 2 <= need || (grows && pool->used + spare->cap <= pool->max / 4 * 3));
}

/* The smallest that suits; false: none does. */
static bool
take_spare(struct dlv_pool *pool, size_t need, uint8_t **out_bytes, size_t *out_cap)
{
	struct spare *best = NULL;

	pthread_mutex_lock(&pool->mutex);
	for (unsigned i = 0; i < SPARES; i++) {
		struct spare *spare = &pool->spares[i];
		if (spare->cap > 0 && suits(pool, spare, need) &&
			(best == NULL || spare->cap < best->cap))
			best = spare;
	}
	if (best != NULL) {
		*out_bytes = best->bytes;
		*out_cap = best->cap;
		pool->spare -= best->cap;
		set_used(pool, pool->used + best->cap);
		*best = (struct spare){0};
	}
	pthread_mutex_unlock(&pool->mutex);
	return best != NULL;
}

/* Wiped already. */
static void
give_back(struct dlv_pool *pool, uint8_t *bytes, size_t cap)
{
	struct spare *place = NULL;

	pthread_mutex_lock(&pool->mutex);
	set_used(pool, pool->used - cap);
	for (unsigned i = 0; i < SPARES && place == NULL; i++) {
		if (pool->spares[i].cap == 0)
			place = &pool->spares[i];
	}
	if (place != NULL) {
		*place = (struct spare){bytes, cap};
		pool->spare += cap;
	}
	pthread_mutex_unlock(&pool->mutex);
	if (place == NULL)
		munmap(bytes, cap);
}

/* --- pages --- */

/* By system call: AddressSanitizer replaces mlock() by a function that does nothing. */
static bool
lock_pages(const struct dlv_pool *pool, uint8_t *bytes, size_t len)
{
	return !pool->tries || syscall(SYS_mlock, bytes, len) == 0 || !pool->lock;
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

static uint8_t *
map_more(const struct dlv_buffer *buffer, size_t cap)
{
	return buffer->cap == 0 ? map_new(buffer->pool, cap)
				: map_grow(buffer->bytes, buffer->cap, cap);
}

static int
grow_to(struct dlv_buffer *buffer, size_t cap)
{
	size_t more = cap - buffer->cap;

	if (buffer->cap == 0 && take_spare(buffer->pool, cap, &buffer->bytes, &buffer->cap))
		return SLK_OK;
	if (!pool_take(buffer->pool, more))
		return SLK_LIMIT;
	uint8_t *bytes = map_more(buffer, cap);
	if (bytes == NULL) {
		drop_spares(buffer->pool);
		bytes = map_more(buffer, cap);
	}
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
		give_back(buffer->pool, buffer->bytes, buffer->cap);
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
