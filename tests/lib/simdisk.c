#include "simdisk_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL_START_NS 1767225600000000000ull
#define STEP_NS 10000u

void *
simdisk_must(void *ptr)
{
	if (ptr == NULL) {
		fprintf(stderr, "simdisk: out of memory\n");
		abort();
	}
	return ptr;
}

uint64_t
simdisk_random(struct simdisk *d)
{
	uint64_t z = (d->random_state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Count a call; SLK_OK, or what it has to fail with. */
int
simdisk_enter(struct simdisk *d)
{
	d->calls++;
	d->mono_ns += STEP_NS;
	if (d->fail_at == 0 || d->calls < d->fail_at ||
		(d->calls > d->fail_at && !d->fail_for_ever))
		return SLK_OK;
	d->failed = true;
	return d->fail_status;
}

/* --- clock --- */

static uint64_t
sim_mono(void *ctx)
{
	return ((struct simdisk *)ctx)->mono_ns += STEP_NS;
}

static uint64_t
sim_wall(void *ctx)
{
	struct simdisk *d = ctx;

	d->mono_ns += STEP_NS;
	return (uint64_t)((int64_t)(WALL_START_NS + d->mono_ns) + d->wall_offset_ns);
}

void
simdisk_crash(struct simdisk *d, enum simdisk_crash how)
{
	if (how == SIMDISK_POWER_CUT)
		simdisk_power_cut(d);
	for (size_t i = 0; i < d->inode_count;
		i++) { /* writes that never landed are no more; flushes neither */
		struct inode *f = d->inodes[i];
		for (size_t k = 0; k < f->pending_count;) {
			f->pending[k].flush_id = 0;
			if (f->pending[k].done)
				k++;
			else
				simdisk_drop_pending(f, k);
		}
	}
	memset(d->fds, 0, sizeof(d->fds));
	simdisk_heal(d);
}

uint64_t
simdisk_calls(const struct simdisk *d)
{
	return d->calls;
}

void
simdisk_fail(struct simdisk *d, uint64_t nth, bool for_ever, int status)
{
	d->fail_at = d->calls + nth;
	d->fail_for_ever = for_ever;
	d->fail_status = status;
	d->failed = false;
}

bool
simdisk_failed(const struct simdisk *d)
{
	return d->failed;
}

void
simdisk_heal(struct simdisk *d)
{
	d->fail_at = 0;
	d->fail_status = SLK_OK;
}

void
simdisk_set_space(struct simdisk *d, uint64_t bytes)
{
	d->space = bytes;
}

int
simdisk_rot(struct simdisk *d, const char *path, uint64_t offset, uint64_t len)
{
	const struct entry *e = simdisk_find(&d->now, path);

	if (e == NULL || e->inode == NULL)
		return SLK_NOT_FOUND;
	if (len > e->inode->now_size || offset > e->inode->now_size - len)
		return SLK_RANGE;
	for (uint64_t i = offset; i < offset + len; i++) {
		uint8_t change = (uint8_t)(1u << (simdisk_random(d) % 8));
		e->inode->now[i] ^= change;
		e->inode->disk[i] ^= change;
	}
	return SLK_OK;
}

int
simdisk_flip(struct simdisk *d, const char *path, uint64_t bit)
{
	const struct entry *e = simdisk_find(&d->now, path);

	if (e == NULL || e->inode == NULL)
		return SLK_NOT_FOUND;
	if (bit / 8 >= e->inode->now_size)
		return SLK_RANGE;
	e->inode->now[bit / 8] ^= (uint8_t)(1u << bit % 8);
	e->inode->disk[bit / 8] ^= (uint8_t)(1u << bit % 8);
	return SLK_OK;
}

const struct slk_fs *
simdisk_fs(struct simdisk *d)
{
	return &d->fs;
}

const struct jnl_io *
simdisk_io(struct simdisk *d)
{
	return &d->io;
}

const struct slk_clock *
simdisk_clock(struct simdisk *d)
{
	return &d->clock;
}

void
simdisk_clock_jump(struct simdisk *d, int64_t wall_ns)
{
	d->wall_offset_ns += wall_ns;
}

void
simdisk_advance(struct simdisk *d, uint64_t ns)
{
	d->mono_ns += ns;
}

uint64_t
simdisk_now_ns(const struct simdisk *d)
{
	return d->mono_ns;
}

void
simdisk_lie(struct simdisk *d, enum simdisk_lie lie, uint64_t one_in)
{
	d->lie_one_in[lie] = one_in;
}

uint64_t
simdisk_lies(const struct simdisk *d, enum simdisk_lie lie)
{
	return d->lies[lie];
}

bool
simdisk_lies_now(struct simdisk *d, enum simdisk_lie lie)
{
	if (d->lie_one_in[lie] == 0 || simdisk_random(d) % d->lie_one_in[lie] != 0)
		return false;
	d->lies[lie]++;
	return true;
}

void
simdisk_watch(struct simdisk *d, void (*each)(void *arg, const void *buf, size_t len), void *arg)
{
	d->watch = each;
	d->watch_arg = arg;
}

bool
simdisk_is_durable(struct simdisk *d, const char *path, uint64_t pos, uint64_t len)
{
	const struct entry *e = simdisk_find(&d->durable, path);

	return e != NULL && e->inode != NULL && pos <= e->inode->disk_size &&
		len <= e->inode->disk_size - pos &&
		memcmp(e->inode->disk + pos, e->inode->now + pos, len) == 0;
}

struct simdisk *
simdisk_new(uint64_t seed)
{
	struct simdisk *d = simdisk_must(calloc(1, sizeof(*d)));

	d->random_state = seed;
	d->space = UINT64_MAX;
	d->fs = simdisk_make_fs(d);
	d->io = simdisk_make_io(d);
	d->clock = (struct slk_clock){sim_mono, sim_wall, d};
	return d;
}

void
simdisk_free(struct simdisk *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->inode_count; i++)
		simdisk_free_inode(d->inodes[i]);
	simdisk_free_names(d);
	free(d);
}
