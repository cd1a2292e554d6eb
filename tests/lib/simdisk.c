#include "simdisk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u
#define FD_BASE 1000
#define FDS_MAX 256
#define WALL_START_NS 1767225600000000000ull
#define STEP_NS 10000u

/* A write that no flush has made durable yet. */
struct pending {
	uint64_t pos;
	size_t len;
	uint8_t *data;
	bool done; /* completed, and reaped if it was asynchronous */
	uint64_t flush_id; /* of the flush that covers it; 0: none yet */
	uint64_t id;
};

struct inode {
	uint8_t *now, *disk; /* as readers see it; as a power cut would leave it */
	uint64_t now_size, disk_size, cap;
	bool *ghost; /* by sector: cached, clean, and not on the disk, since its flush failed */
	struct pending *pending;
	size_t pending_count, pending_cap;
};

struct entry {
	char *path;
	struct inode *inode;
	bool dir;
};

struct names {
	struct entry *entries;
	size_t count, cap;
};

/* A change of names that is not durable yet; inode NULL: unlink. */
struct name_op {
	char *from, *to; /* create: to; unlink: from; rename: both */
	struct inode *inode;
	bool dir;
};

struct flight {
	bool write; /* else flush */
	struct inode *inode;
	uint64_t id; /* of the pending write, or of the flush */
	uint64_t tag;
	bool fail;
};

struct instance {
	struct simdisk *disk;
	struct flight flights[JNL_IO_DEPTH];
	unsigned count;
};

struct simdisk {
	uint64_t random_state, calls, fail_at, space, next_id;
	bool fail_for_ever, failed;
	int fail_status;
	uint64_t mono_ns;
	int64_t wall_offset_ns;
	struct names now, durable;
	struct name_op *ops;
	size_t op_count, op_cap;
	struct inode *inodes[4096];
	size_t inode_count;
	struct inode *fds[FDS_MAX];
	bool direct[FDS_MAX];
	struct slk_fs fs;
	struct jnl_io io;
	struct slk_clock clock;
};

static void *
must(void *ptr)
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
static int
enter(struct simdisk *d)
{
	d->calls++;
	d->mono_ns += STEP_NS;
	if (d->fail_at == 0 || d->calls < d->fail_at ||
		(d->calls > d->fail_at && !d->fail_for_ever))
		return SLK_OK;
	d->failed = true;
	return d->fail_status;
}

/* --- names --- */

static struct entry *
find(const struct names *n, const char *path)
{
	for (size_t i = 0; i < n->count; i++) {
		if (strcmp(n->entries[i].path, path) == 0)
			return &n->entries[i];
	}
	return NULL;
}

static void
put_name(struct names *n, const char *path, struct inode *inode, bool dir)
{
	struct entry *e = find(n, path);

	if (e == NULL) {
		if (n->count == n->cap) {
			n->cap = n->cap == 0 ? 16 : 2 * n->cap;
			n->entries = must(realloc(n->entries, n->cap * sizeof(*n->entries)));
		}
		e = &n->entries[n->count++];
		e->path = must(strdup(path));
	}
	e->inode = inode;
	e->dir = dir;
}

static void
drop_name(struct names *n, const char *path)
{
	struct entry *e = find(n, path);

	if (e == NULL)
		return;
	free(e->path);
	*e = n->entries[--n->count];
}

static void
free_names(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->entries[i].path);
	free(n->entries);
	*n = (struct names){0};
}

static void
apply_op(struct names *n, const struct name_op *op)
{
	if (op->from != NULL)
		drop_name(n, op->from);
	if (op->to != NULL)
		put_name(n, op->to, op->inode, op->dir);
}

static void
name_op(struct simdisk *d, const char *from, const char *to, struct inode *inode, bool dir)
{
	if (d->op_count == d->op_cap) {
		d->op_cap = d->op_cap == 0 ? 16 : 2 * d->op_cap;
		d->ops = must(realloc(d->ops, d->op_cap * sizeof(*d->ops)));
	}
	struct name_op *op = &d->ops[d->op_count++];
	*op = (struct name_op){.inode = inode, .dir = dir};
	op->from = from != NULL ? must(strdup(from)) : NULL;
	op->to = to != NULL ? must(strdup(to)) : NULL;
	apply_op(&d->now, op);
}

/* Make the first count changes durable and forget the rest. */
static void
settle_names(struct simdisk *d, size_t count)
{
	for (size_t i = 0; i < d->op_count; i++) {
		if (i < count)
			apply_op(&d->durable, &d->ops[i]);
		free(d->ops[i].from);
		free(d->ops[i].to);
	}
	d->op_count = 0;
}

/* --- contents --- */

static struct inode *
new_inode(struct simdisk *d)
{
	if (d->inode_count == sizeof(d->inodes) / sizeof(d->inodes[0])) {
		fprintf(stderr, "simdisk: too many files\n");
		abort();
	}
	return d->inodes[d->inode_count++] = must(calloc(1, sizeof(struct inode)));
}

static void
grow(struct inode *f, uint64_t size)
{
	if (size <= f->cap)
		return;
	uint64_t cap = f->cap == 0 ? 4096 : f->cap;
	while (cap < size)
		cap *= 2;
	f->now = must(realloc(f->now, cap));
	f->disk = must(realloc(f->disk, cap));
	memset(f->now + f->cap, 0, cap - f->cap);
	memset(f->disk + f->cap, 0, cap - f->cap);
	f->ghost = must(realloc(f->ghost, cap / SECTOR * sizeof(*f->ghost)));
	memset(f->ghost + f->cap / SECTOR, 0, (cap - f->cap) / SECTOR * sizeof(*f->ghost));
	f->cap = cap;
}

static void
set_ghosts(struct inode *f, const struct pending *p, bool ghost)
{
	for (uint64_t at = p->pos / SECTOR; p->len > 0 && at <= (p->pos + p->len - 1) / SECTOR;
		at++)
		f->ghost[at] = ghost;
}

static uint64_t
used(const struct simdisk *d)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < d->now.count; i++)
		sum += d->now.entries[i].inode != NULL ? d->now.entries[i].inode->now_size : 0;
	return sum;
}

static struct pending *
add_pending(struct simdisk *d, struct inode *f, const void *buf, size_t len, uint64_t pos)
{
	if (f->pending_count == f->pending_cap) {
		f->pending_cap = f->pending_cap == 0 ? 16 : 2 * f->pending_cap;
		f->pending = must(realloc(f->pending, f->pending_cap * sizeof(*f->pending)));
	}
	struct pending *p = &f->pending[f->pending_count++];
	*p = (struct pending){.pos = pos,
		.len = len,
		.data = must(malloc(len > 0 ? len : 1)),
		.id = ++d->next_id};
	memcpy(p->data, buf, len);
	return p;
}

static void
show(struct inode *f, const struct pending *p)
{
	grow(f, p->pos + p->len);
	memcpy(f->now + p->pos, p->data, p->len);
	set_ghosts(f, p, false);
	if (p->pos + p->len > f->now_size)
		f->now_size = p->pos + p->len;
}

static void
drop_pending(struct inode *f, size_t index)
{
	free(f->pending[index].data);
	memmove(&f->pending[index], &f->pending[index + 1],
		(f->pending_count - index - 1) * sizeof(*f->pending));
	f->pending_count--;
}

static void
cover(struct inode *f, uint64_t flush_id)
{
	for (size_t i = 0; i < f->pending_count; i++) {
		if (f->pending[i].done && f->pending[i].flush_id == 0)
			f->pending[i].flush_id = flush_id;
	}
}

/* A flush ended: what it covered is on the disk, or gone for good. */
static void
end_flush(struct inode *f, uint64_t flush_id, bool ok)
{
	for (size_t i = 0; i < f->pending_count;) {
		struct pending *p = &f->pending[i];
		if (p->flush_id != flush_id) {
			i++;
			continue;
		}
		if (ok) {
			memcpy(f->disk + p->pos, p->data, p->len);
			if (p->pos + p->len > f->disk_size)
				f->disk_size = p->pos + p->len;
		} else {
			set_ghosts(f, p, true);
		}
		drop_pending(f, i);
	}
}

/* --- the file seam --- */

static struct inode *
inode_of(const struct simdisk *d, int fd)
{
	if (fd < FD_BASE || fd >= FD_BASE + FDS_MAX || d->fds[fd - FD_BASE] == NULL) {
		fprintf(stderr, "simdisk: %d is not an open descriptor\n", fd);
		abort();
	}
	return d->fds[fd - FD_BASE];
}

static int
sim_open(void *ctx, const char *path, int flags, unsigned mode, int *out_fd)
{
	struct simdisk *d = ctx;
	int slot = 0;
	int rc = enter(d);

	(void)mode;
	if (rc != SLK_OK)
		return rc;
	const struct entry *e = find(&d->now, path);
	if (e != NULL && (flags & SLK_OPEN_CREATE) != 0)
		return SLK_EXISTS;
	if (e == NULL && (flags & SLK_OPEN_CREATE) == 0)
		return SLK_NOT_FOUND;
	while (slot < FDS_MAX && d->fds[slot] != NULL)
		slot++;
	if (slot == FDS_MAX)
		return SLK_SYSTEM;
	struct inode *f = e != NULL ? e->inode : new_inode(d);
	if (e == NULL)
		name_op(d, NULL, path, f, false);
	d->fds[slot] = f;
	d->direct[slot] = (flags & SLK_OPEN_DIRECT) != 0;
	*out_fd = FD_BASE + slot;
	return SLK_OK;
}

static int
sim_close(void *ctx, int fd)
{
	struct simdisk *d = ctx;

	(void)inode_of(d, fd);
	d->fds[fd - FD_BASE] = NULL;
	return SLK_OK;
}

static int
sim_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	struct simdisk *d = ctx;
	const struct inode *f = inode_of(d, fd);
	int rc = enter(d);

	if (rc != SLK_OK)
		return rc;
	*out_len = pos >= f->now_size     ? 0
		: f->now_size - pos < len ? (size_t)(f->now_size - pos)
					  : len;
	if (*out_len > 0)
		memcpy(buf, f->now + pos, *out_len);
	for (uint64_t at = pos; d->direct[fd - FD_BASE] && at < pos + *out_len; at++) {
		if (f->ghost[at / SECTOR])
			((uint8_t *)buf)[at - pos] = f->disk[at];
	}
	return SLK_OK;
}

static int
check_space(const struct simdisk *d, const struct inode *f, uint64_t end)
{
	if (end <= f->now_size || d->space == UINT64_MAX)
		return SLK_OK;
	return used(d) - f->now_size + end > d->space ? SLK_DISK_FULL : SLK_OK;
}

static int
sim_pwrite(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	struct simdisk *d = ctx;
	struct inode *f = inode_of(d, fd);
	int rc = enter(d);

	if (rc == SLK_OK)
		rc = check_space(d, f, pos + len);
	if (rc != SLK_OK)
		len = len > 0 ? simdisk_random(d) % len : 0; /* any prefix may be there */
	struct pending *p = add_pending(d, f, buf, len, pos);
	p->done = true;
	if (rc == SLK_OK || check_space(d, f, pos + len) == SLK_OK)
		show(f, p);
	else
		drop_pending(f, f->pending_count - 1);
	return rc;
}

static int
sim_sync(void *ctx, int fd)
{
	struct simdisk *d = ctx;
	struct inode *f = inode_of(d, fd);
	uint64_t id = ++d->next_id;
	int rc = enter(d);

	cover(f, id);
	end_flush(f, id, rc == SLK_OK);
	if (rc == SLK_OK)
		f->disk_size = f->now_size;
	return rc;
}

static int
sim_truncate(void *ctx, int fd, uint64_t len)
{
	struct simdisk *d = ctx;
	struct inode *f = inode_of(d, fd);
	int rc = enter(d);

	if (rc == SLK_OK)
		rc = check_space(d, f, len);
	if (rc != SLK_OK)
		return rc;
	grow(f, len);
	if (len < f->now_size)
		memset(f->now + len, 0, f->now_size - len);
	f->now_size = len;
	return SLK_OK;
}

static int
sim_size(void *ctx, int fd, uint64_t *out_len)
{
	struct simdisk *d = ctx;
	int rc = enter(d);

	if (rc == SLK_OK)
		*out_len = inode_of(d, fd)->now_size;
	return rc;
}

static int
sim_rename(void *ctx, const char *from, const char *to)
{
	struct simdisk *d = ctx;
	int rc = enter(d);

	if (rc != SLK_OK)
		return rc;
	const struct entry *e = find(&d->now, from);
	if (e == NULL)
		return SLK_NOT_FOUND;
	name_op(d, from, to, e->inode, e->dir);
	return SLK_OK;
}

static int
sim_unlink(void *ctx, const char *path)
{
	struct simdisk *d = ctx;
	int rc = enter(d);

	if (rc != SLK_OK)
		return rc;
	if (find(&d->now, path) == NULL)
		return SLK_NOT_FOUND;
	name_op(d, path, NULL, NULL, false);
	return SLK_OK;
}

static int
sim_sync_dir(void *ctx, const char *path)
{
	struct simdisk *d = ctx;
	int rc = enter(d);

	(void)path;
	if (rc == SLK_OK)
		settle_names(d, d->op_count);
	return rc;
}

static int
sim_mkdir(void *ctx, const char *path, unsigned mode)
{
	struct simdisk *d = ctx;
	int rc = enter(d);

	(void)mode;
	if (rc != SLK_OK)
		return rc;
	if (find(&d->now, path) != NULL)
		return SLK_EXISTS;
	name_op(d, NULL, path, NULL, true);
	return SLK_OK;
}

/* In an order that is the disk's own business: as the table happens to lie. */
static int
sim_list(void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	struct simdisk *d = ctx;
	size_t len = strlen(path);
	int rc = enter(d);

	for (size_t i = 0; i < d->now.count && rc == SLK_OK; i++) {
		const char *p = d->now.entries[i].path;
		if (strncmp(p, path, len) == 0 && p[len] == '/' && strchr(p + len + 1, '/') == NULL)
			rc = each(arg, p + len + 1);
	}
	return rc;
}

static int
sim_space(void *ctx, const char *path, uint64_t *out_bytes)
{
	struct simdisk *d = ctx;
	int rc = enter(d);

	(void)path;
	if (rc != SLK_OK)
		return rc;
	uint64_t taken = used(d);
	*out_bytes = d->space == UINT64_MAX ? UINT64_MAX / 2
		: d->space > taken          ? d->space - taken
					    : 0;
	return SLK_OK;
}

/* --- asynchronous I/O --- */

static int
io_open(void *ctx, int event_fd, void **out_instance, struct slk_error *err)
{
	struct simdisk *d = ctx;
	struct instance *io = must(calloc(1, sizeof(*io)));

	(void)event_fd; /* tests turn the lane by hand */
	(void)err;
	io->disk = d;
	*out_instance = io;
	return SLK_OK;
}

static void
land(struct instance *io, const struct flight *fl)
{
	struct inode *f = fl->inode;

	if (!fl->write) {
		end_flush(f, fl->id, !fl->fail);
		if (!fl->fail && f->disk_size < f->now_size)
			f->disk_size = f->now_size;
		return;
	}
	for (size_t i = 0; i < f->pending_count; i++) {
		struct pending *p = &f->pending[i];
		if (p->id != fl->id)
			continue;
		if (fl->fail)
			p->len = simdisk_random(io->disk) % (p->len + 1);
		p->done = true;
		show(f, p);
		return;
	}
}

static void
io_close(void *instance)
{
	struct instance *io = instance;

	for (unsigned i = 0; i < io->count;
		i++) { /* what the kernel still does after its process has ended */
		if (io->flights[i].write && !io->flights[i].fail &&
			simdisk_random(io->disk) % 2 == 0)
			land(io, &io->flights[i]);
	}
	free(io);
}

static int
fly(struct instance *io, struct flight flight)
{
	if (io->count == JNL_IO_DEPTH)
		return SLK_IO;
	io->flights[io->count++] = flight;
	return SLK_OK;
}

static int
io_write(void *instance, int fd, const void *buf, uint32_t len, uint64_t pos, uint64_t tag)
{
	struct instance *io = instance;
	struct inode *f = inode_of(io->disk, fd);
	bool fail = enter(io->disk) != SLK_OK || check_space(io->disk, f, pos + len) != SLK_OK;
	const struct pending *p = add_pending(io->disk, f, buf, len, pos);

	return fly(io,
		(struct flight){.write = true, .inode = f, .id = p->id, .tag = tag, .fail = fail});
}

static int
io_sync(void *instance, int fd, uint64_t tag)
{
	struct instance *io = instance;
	struct inode *f = inode_of(io->disk, fd);
	uint64_t id = ++io->disk->next_id;
	bool fail = enter(io->disk) != SLK_OK;

	cover(f, id);
	return fly(io, (struct flight){.inode = f, .id = id, .tag = tag, .fail = fail});
}

static unsigned
io_reap(void *instance, struct jnl_io_done *out, unsigned cap)
{
	struct instance *io = instance;
	struct simdisk *d = io->disk;
	unsigned n = 0;

	/* Each flight lands by chance, in any order. */
	for (unsigned tries = io->count; tries > 0 && n < cap && io->count > 0; tries--) {
		unsigned i = (unsigned)(simdisk_random(d) % io->count);
		if (simdisk_random(d) % 2 == 0)
			continue;
		struct flight fl = io->flights[i];
		io->flights[i] = io->flights[--io->count];
		land(io, &fl);
		out[n++] = (struct jnl_io_done){fl.tag,
			fl.fail ? d->fail_status != SLK_OK ? d->fail_status : SLK_IO : SLK_OK};
	}
	return n;
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

/* --- what goes wrong --- */

enum keep { KEEP_NONE, KEEP_ALL, KEEP_WRITES, KEEP_PREFIX, KEEP_SECTORS, KEEP_KINDS };

/* Of one write, the sectors that reach the disk in a power cut. */
static void
tear(struct simdisk *d, struct inode *f, const struct pending *p, enum keep keep)
{
	uint64_t prefix = p->len > 0 ? simdisk_random(d) % (p->len / SECTOR + 2) : 0;
	bool whole = simdisk_random(d) % 2 == 0;
	uint64_t at = p->pos;

	grow(f, p->pos + p->len);
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
	}
	f->now_size = f->disk_size;
}

static void
power_cut(struct simdisk *d)
{
	enum keep keep = (enum keep)(simdisk_random(d) % KEEP_KINDS);

	for (size_t i = 0; i < d->inode_count; i++)
		cut_inode(d, d->inodes[i], keep);
	settle_names(d, d->op_count > 0 ? simdisk_random(d) % (d->op_count + 1) : 0);
	free_names(&d->now);
	for (size_t i = 0; i < d->durable.count; i++)
		put_name(&d->now, d->durable.entries[i].path, d->durable.entries[i].inode,
			d->durable.entries[i].dir);
}

void
simdisk_crash(struct simdisk *d, enum simdisk_crash how)
{
	if (how == SIMDISK_POWER_CUT)
		power_cut(d);
	for (size_t i = 0; i < d->inode_count;
		i++) { /* writes that never landed are no more; flushes neither */
		struct inode *f = d->inodes[i];
		for (size_t k = 0; k < f->pending_count;) {
			f->pending[k].flush_id = 0;
			if (f->pending[k].done)
				k++;
			else
				drop_pending(f, k);
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
	const struct entry *e = find(&d->now, path);

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

struct simdisk *
simdisk_new(uint64_t seed)
{
	struct simdisk *d = must(calloc(1, sizeof(*d)));

	d->random_state = seed;
	d->space = UINT64_MAX;
	d->fs = (struct slk_fs){
		.open = sim_open,
		.close = sim_close,
		.pread = sim_pread,
		.pwrite = sim_pwrite,
		.datasync = sim_sync,
		.sync = sim_sync,
		.truncate = sim_truncate,
		.size = sim_size,
		.rename = sim_rename,
		.unlink = sim_unlink,
		.sync_dir = sim_sync_dir,
		.mkdir = sim_mkdir,
		.list = sim_list,
		.space = sim_space,
		.ctx = d,
	};
	d->io = (struct jnl_io){
		.name = "simdisk",
		.open = io_open,
		.close = io_close,
		.write = io_write,
		.sync = io_sync,
		.reap = io_reap,
		.ctx = d,
	};
	d->clock = (struct slk_clock){sim_mono, sim_wall, d};
	return d;
}

void
simdisk_free(struct simdisk *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->inode_count; i++) {
		struct inode *f = d->inodes[i];
		while (f->pending_count > 0)
			drop_pending(f, f->pending_count - 1);
		free(f->pending);
		free(f->now);
		free(f->disk);
		free(f->ghost);
		free(f);
	}
	settle_names(d, 0);
	free(d->ops);
	free_names(&d->now);
	free_names(&d->durable);
	free(d);
}
