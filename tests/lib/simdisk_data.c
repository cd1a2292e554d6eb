/* Contents of the simulated disk: what readers see, what the disk has, and what a power cut leaves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simdisk_internal.h"

struct inode *
simdisk_new_inode(struct simdisk *d)
{
	if (d->inode_count == sizeof(d->inodes) / sizeof(d->inodes[0])) {
		fprintf(stderr, "simdisk: too many files\n");
		abort();
	}
	return d->inodes[d->inode_count++] = simdisk_must(calloc(1, sizeof(struct inode)));
}

void
simdisk_free_inode(struct inode *f)
{
	while (f->pending_count > 0)
		simdisk_drop_pending(f, f->pending_count - 1);
	free(f->pending);
	free(f->now);
	free(f->disk);
	free(f->ghost);
	free(f);
}

void
simdisk_grow(struct inode *f, uint64_t size)
{
	if (size <= f->cap)
		return;
	uint64_t cap = f->cap == 0 ? 4096 : f->cap;
	while (cap < size)
		cap *= 2;
	f->now = simdisk_must(realloc(f->now, cap));
	f->disk = simdisk_must(realloc(f->disk, cap));
	memset(f->now + f->cap, 0, cap - f->cap);
	memset(f->disk + f->cap, 0, cap - f->cap);
	f->ghost = simdisk_must(realloc(f->ghost, cap / SECTOR * sizeof(*f->ghost)));
	memset(f->ghost + f->cap / SECTOR, 0, (cap - f->cap) / SECTOR * sizeof(*f->ghost));
	f->cap = cap;
}

static void
set_ghosts(struct inode *f, const struct pending *p, bool ghost)
{
	for (uint64_t at = p->pos / SECTOR; p->len > 0 && at <= (p->pos + p->len - 1) / SECTOR;
		at++)
		f->ghost[at] = ghost;
	f->haunted = f->haunted || ghost;
}

uint64_t
simdisk_used(const struct simdisk *d)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < d->now.count; i++)
		sum += d->now.entries[i].inode != NULL ? d->now.entries[i].inode->now_size : 0;
	return sum;
}

int
simdisk_check_space(const struct simdisk *d, const struct inode *f, uint64_t end)
{
	if (end <= f->now_size || d->space == UINT64_MAX)
		return SLK_OK;
	return simdisk_used(d) - f->now_size + end > d->space ? SLK_DISK_FULL : SLK_OK;
}

struct pending *
simdisk_add_pending(struct simdisk *d, struct inode *f, const void *buf, size_t len, uint64_t pos)
{
	if (f->pending_count == f->pending_cap) {
		f->pending_cap = f->pending_cap == 0 ? 16 : 2 * f->pending_cap;
		f->pending =
			simdisk_must(realloc(f->pending, f->pending_cap * sizeof(*f->pending)));
	}
	struct pending *p = &f->pending[f->pending_count++];
	*p = (struct pending){.pos = pos,
		.len = len,
		.data = simdisk_must(malloc(len > 0 ? len : 1)),
		.id = ++d->next_id};
	memcpy(p->data, buf, len);
	if (d->watch != NULL)
		d->watch(d->watch_arg, buf, len);
	if (simdisk_lies_now(d, SIMDISK_LIE_WRITE_LOST))
		p->lost = true;
	else if (f->now_size > len && simdisk_lies_now(d, SIMDISK_LIE_WRITE_ELSEWHERE))
		p->elsewhere = 1 + simdisk_random(d) % ((f->now_size - len) / SECTOR + 1) * SECTOR;
	return p;
}

void
simdisk_show(struct inode *f, const struct pending *p)
{
	simdisk_grow(f, p->pos + p->len);
	memcpy(f->now + p->pos, p->data, p->len);
	set_ghosts(f, p, false);
	if (p->pos + p->len > f->now_size)
		f->now_size = p->pos + p->len;
}

void
simdisk_drop_pending(struct inode *f, size_t index)
{
	free(f->pending[index].data);
	memmove(&f->pending[index], &f->pending[index + 1],
		(f->pending_count - index - 1) * sizeof(*f->pending));
	f->pending_count--;
}

void
simdisk_cover(struct inode *f, uint64_t flush_id)
{
	for (size_t i = 0; i < f->pending_count; i++) {
		if (f->pending[i].done && f->pending[i].flush_id == 0)
			f->pending[i].flush_id = flush_id;
	}
}

static void
write_elsewhere(struct inode *f, const struct pending *p)
{
	const struct pending wrong = {.pos = p->elsewhere - 1, .len = p->len};

	memcpy(f->disk + wrong.pos, p->data, p->len);
	set_ghosts(f, &wrong, true);
}

/* A flush ended: what it covered is on the disk, or gone for good. */
void
simdisk_end_flush(struct simdisk *d, struct inode *f, uint64_t flush_id, bool ok)
{
	if (ok && simdisk_lies_now(d, SIMDISK_LIE_FLUSH))
		ok = false;
	for (size_t i = 0; i < f->pending_count;) {
		struct pending *p = &f->pending[i];
		if (p->flush_id != flush_id) {
			i++;
			continue;
		}
		if (ok && p->elsewhere > 0)
			write_elsewhere(f, p);
		if (ok && !p->lost && p->elsewhere == 0) {
			memcpy(f->disk + p->pos, p->data, p->len);
			if (p->pos + p->len > f->disk_size)
				f->disk_size = p->pos + p->len;
		} else {
			set_ghosts(f, p, true);
		}
		simdisk_drop_pending(f, i);
	}
}

/* --- a power cut --- */

enum keep { KEEP_NONE, KEEP_ALL, KEEP_WRITES, KEEP_PREFIX, KEEP_SECTORS, KEEP_KINDS };

/* Of one write, the sectors that reach the disk in a power cut. */
static void
tear(struct simdisk *d, struct inode *f, const struct pending *p, enum keep keep)
{
	uint64_t prefix = p->len > 0 ? simdisk_random(d) % (p->len / SECTOR + 2) : 0;
	bool whole = simdisk_random(d) % 2 == 0;
	uint64_t at = p->pos;

	if (p->lost || p->elsewhere > 0)
		return;
	simdisk_grow(f, p->pos + p->len);
	for (uint64_t k = 0; at < p->pos + p->len; k++) {
		uint64_t end = (at / SECTOR + 1) * SECTOR;
		if (end > p->pos + p->len)
			end = p->pos + p->len;
		bool stays = keep == KEEP_ALL || (keep == KEEP_WRITES && whole) ||
			(keep == KEEP_PREFIX && k < prefix) ||
			(keep == KEEP_SECTORS && simdisk_random(d) % 2 == 0);
		if (stays) {
			memcpy(f->disk + at, p->data + (at - p->pos), end - at);
			if (end > f->disk_size && end <= f->now_size)
				f->disk_size = end;
		}
		at = end;
	}
}

static void
cut_inode(struct simdisk *d, struct inode *f, enum keep keep)
{
	for (size_t i = 0; i < f->pending_count; i++) {
		tear(d, f, &f->pending[i], keep);
		free(f->pending[i].data);
	}
	f->pending_count = 0;
	if (f->now_size != f->disk_size && simdisk_random(d) % 2 == 0)
		f->disk_size = f->now_size;
	if (f->cap > 0) {
		memset(f->disk + f->disk_size, 0, f->cap - f->disk_size);
		memcpy(f->now, f->disk, f->cap);
		memset(f->ghost, 0, f->cap / SECTOR * sizeof(*f->ghost));
		f->haunted = false;
	}
	f->now_size = f->disk_size;
}

void
simdisk_power_cut(struct simdisk *d)
{
	enum keep keep = (enum keep)(simdisk_random(d) % KEEP_KINDS);

	for (size_t i = 0; i < d->inode_count; i++)
		cut_inode(d, d->inodes[i], keep);
	simdisk_cut_names(d);
}
