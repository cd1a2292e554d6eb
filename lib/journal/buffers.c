#include "journal/buffers.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"
#include "journal/internal.h"

#define HUGE_BYTES ((size_t)2 << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; older kernels refuse it */
#endif

void *
jnl_buffers_map(size_t bytes, int fd)
{
	const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	/* Addresses enough to find a huge page's beginning in; what lies around it goes back. */
	uint8_t *space =
		mmap(NULL, bytes + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (space == MAP_FAILED)
		return NULL;
	const size_t before = (HUGE_BYTES - (uintptr_t)space % HUGE_BYTES) % HUGE_BYTES;
	uint8_t *at = space + before;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t mapped = (bytes + page - 1) / page * page;
	void *map = mmap(at, mapped, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	if (before > 0)
		(void)munmap(space, before);
	(void)munmap(at + mapped, bytes + HUGE_BYTES - before - mapped);
	if (map == MAP_FAILED) {
		(void)munmap(at, mapped);
		return NULL;
	}
	if (fd < 0) /* where it is forbidden, pages are small */
		(void)madvise(map, mapped, MADV_HUGEPAGE);
	return map;
}

void
jnl_buffers_gather(void *map, size_t bytes)
{
	(void)madvise(map, bytes / HUGE_BYTES * HUGE_BYTES, MADV_COLLAPSE);
}

/* Without room in /dev/shm the lane does without: readers take the file. */
static void
share_groups(struct jnl_lane *l)
{
	const struct jnl_config *c = &l->journal->config;

	if (c->share_tail &&
		jnl_ring_new(&l->ring, l->journal->dir, l->journal->uuid, l->index, c->group_count,
			c->group_bytes, &l->ring_error) != SLK_OK)
		l->ring.map = NULL;
}

static int
alloc_groups(struct jnl_lane *l)
{
	const struct jnl_config *c = &l->journal->config;

	share_groups(l);
	l->own_bytes = l->ring.map != NULL ? 0 : (size_t)c->group_count * c->group_bytes;
	l->own = l->own_bytes > 0 ? jnl_buffers_map(l->own_bytes, -1) : NULL;
	if (l->own_bytes > 0 && l->own == NULL)
		return SLK_NO_MEMORY;
	for (uint32_t i = 0; i < c->group_count; i++) {
		void *page = NULL;
		l->groups[i].buf = l->own != NULL ? l->own + (size_t)i * c->group_bytes
						  : jnl_ring_buffer(&l->ring, i);
		if (posix_memalign(&page, FMT_GROUP_ALIGN, FMT_JFILE_PAGE_BYTES) != 0)
			return SLK_NO_MEMORY;
		l->groups[i].trailer = page;
	}
	return SLK_OK;
}

/* Plaintext passes through the stage: locked page by page as it is touched, and left out of dumps. */
static int
alloc_stage(struct jnl_lane *l, struct slk_error *err)
{
	l->stage_bytes = JNL_BLOCK_PLAIN_MAX;
	void *map = mmap(
		NULL, l->stage_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the stage of a lane");
	l->stage = map;
	if (madvise(map, l->stage_bytes, MADV_DONTDUMP) != 0 ||
		syscall(SYS_mlock2, map, l->stage_bytes, MLOCK_ONFAULT) != 0)
		return slk_fail(err, SLK_NO_MEMORY,
			"cannot lock %zu bytes for plaintext; raise the memlock limit (ulimit -l) "
			"or give CAP_IPC_LOCK",
			l->stage_bytes);
	return SLK_OK;
}

int
jnl_buffers_init(struct jnl_lane *l, struct slk_error *err)
{
	if (alloc_groups(l) != SLK_OK)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the buffers of a lane");
	return alloc_stage(l, err);
}

void
jnl_buffers_fini(struct jnl_lane *l)
{
	if (l->stage != NULL) {
		slk_wipe(l->stage, l->stage_bytes);
		munmap(l->stage, l->stage_bytes);
	}
	for (unsigned i = 0; i < JNL_GROUPS_MAX; i++)
		free(l->groups[i].trailer);
	if (l->own != NULL)
		(void)munmap(l->own, l->own_bytes);
	jnl_ring_close(&l->ring);
}
