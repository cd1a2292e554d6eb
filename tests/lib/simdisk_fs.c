/* The file seam of the simulated disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simdisk_internal.h"

struct inode *
simdisk_inode_of(const struct simdisk *d, int fd)
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
	int rc = simdisk_enter(d);

	(void)mode;
	if (rc != SLK_OK)
		return rc;
	const struct entry *e = simdisk_find(&d->now, path);
	if (e != NULL && (flags & SLK_OPEN_CREATE) != 0)
		return SLK_EXISTS;
	if (e == NULL && (flags & SLK_OPEN_CREATE) == 0)
		return SLK_NOT_FOUND;
	while (slot < FDS_MAX && d->fds[slot] != NULL)
		slot++;
	if (slot == FDS_MAX)
		return SLK_SYSTEM;
	struct inode *f = e != NULL ? e->inode : simdisk_new_inode(d);
	if (e == NULL)
		simdisk_name_op(d, NULL, path, f, false);
	d->fds[slot] = f;
	d->direct[slot] = (flags & SLK_OPEN_DIRECT) != 0;
	*out_fd = FD_BASE + slot;
	return SLK_OK;
}

static int
sim_close(void *ctx, int fd)
{
	struct simdisk *d = ctx;

	(void)simdisk_inode_of(d, fd);
	d->fds[fd - FD_BASE] = NULL;
	return SLK_OK;
}

/* Where a flush has failed, the disk has other bytes than the cache. */
static void
read_past_cache(const struct inode *f, uint8_t *buf, uint64_t pos, size_t len)
{
	for (uint64_t at = pos; at < pos + len; at++) {
		if (f->ghost[at / SECTOR])
			buf[at - pos] = f->disk[at];
	}
}

static int
sim_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	struct simdisk *d = ctx;
	const struct inode *f = simdisk_inode_of(d, fd);
	int rc = simdisk_enter(d);

	if (rc != SLK_OK)
		return rc;
	if (pos >= SECTOR && simdisk_lies_now(d, SIMDISK_LIE_READ_ELSEWHERE))
		pos = simdisk_random(d) % (pos / SECTOR) * SECTOR;
	*out_len = pos >= f->now_size     ? 0
		: f->now_size - pos < len ? (size_t)(f->now_size - pos)
					  : len;
	if (*out_len > 0)
		memcpy(buf, f->now + pos, *out_len);
	if (d->direct[fd - FD_BASE] && f->haunted)
		read_past_cache(f, buf, pos, *out_len);
	if (*out_len > 0 && simdisk_lies_now(d, SIMDISK_LIE_READ_FLIP))
		((uint8_t *)buf)[simdisk_random(d) % *out_len] ^=
			(uint8_t)(1u << simdisk_random(d) % 8);
	return SLK_OK;
}

static int
sim_pwrite(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	struct simdisk *d = ctx;
	struct inode *f = simdisk_inode_of(d, fd);
	int rc = simdisk_enter(d);

	if (rc == SLK_OK)
		rc = simdisk_check_space(d, f, pos + len);
	if (rc != SLK_OK)
		len = len > 0 ? simdisk_random(d) % len : 0; /* any prefix may be there */
	struct pending *p = simdisk_add_pending(d, f, buf, len, pos);
	p->done = true;
	if (rc == SLK_OK || simdisk_check_space(d, f, pos + len) == SLK_OK)
		simdisk_show(f, p);
	else
		simdisk_drop_pending(f, f->pending_count - 1);
	return rc;
}

static int
sim_sync(void *ctx, int fd)
{
	struct simdisk *d = ctx;
	struct inode *f = simdisk_inode_of(d, fd);
	uint64_t id = ++d->next_id;
	int rc = simdisk_enter(d);

	simdisk_cover(f, id);
	simdisk_end_flush(d, f, id, rc == SLK_OK);
	if (rc == SLK_OK)
		f->disk_size = f->now_size;
	return rc;
}

static int
sim_truncate(void *ctx, int fd, uint64_t len)
{
	struct simdisk *d = ctx;
	struct inode *f = simdisk_inode_of(d, fd);
	int rc = simdisk_enter(d);

	if (rc == SLK_OK)
		rc = simdisk_check_space(d, f, len);
	if (rc != SLK_OK)
		return rc;
	simdisk_grow(f, len);
	if (len < f->now_size)
		memset(f->now + len, 0, f->now_size - len);
	f->now_size = len;
	return SLK_OK;
}

static int
sim_size(void *ctx, int fd, uint64_t *out_len)
{
	struct simdisk *d = ctx;
	int rc = simdisk_enter(d);

	if (rc == SLK_OK)
		*out_len = simdisk_inode_of(d, fd)->now_size;
	return rc;
}

static int
sim_rename(void *ctx, const char *from, const char *to)
{
	struct simdisk *d = ctx;
	int rc = simdisk_enter(d);

	if (rc != SLK_OK)
		return rc;
	const struct entry *e = simdisk_find(&d->now, from);
	if (e == NULL)
		return SLK_NOT_FOUND;
	simdisk_name_op(d, from, to, e->inode, e->dir);
	return SLK_OK;
}

static int
sim_unlink(void *ctx, const char *path)
{
	struct simdisk *d = ctx;
	int rc = simdisk_enter(d);

	if (rc != SLK_OK)
		return rc;
	if (simdisk_find(&d->now, path) == NULL)
		return SLK_NOT_FOUND;
	simdisk_name_op(d, path, NULL, NULL, false);
	return SLK_OK;
}

static int
sim_sync_dir(void *ctx, const char *path)
{
	struct simdisk *d = ctx;
	int rc = simdisk_enter(d);

	(void)path;
	if (rc == SLK_OK)
		simdisk_settle_names(d, d->op_count);
	return rc;
}

static int
sim_mkdir(void *ctx, const char *path, unsigned mode)
{
	struct simdisk *d = ctx;
	int rc = simdisk_enter(d);

	(void)mode;
	if (rc != SLK_OK)
		return rc;
	if (simdisk_find(&d->now, path) != NULL)
		return SLK_EXISTS;
	simdisk_name_op(d, NULL, path, NULL, true);
	return SLK_OK;
}

/* In an order that is the disk's own business: as the table happens to lie. */
static int
sim_list(void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	struct simdisk *d = ctx;
	size_t len = strlen(path);
	int rc = simdisk_enter(d);

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
	int rc = simdisk_enter(d);

	(void)path;
	if (rc != SLK_OK)
		return rc;
	uint64_t taken = simdisk_used(d);
	*out_bytes = d->space == UINT64_MAX ? UINT64_MAX / 2
		: d->space > taken          ? d->space - taken
					    : 0;
	return SLK_OK;
}

struct slk_fs
simdisk_make_fs(struct simdisk *d)
{
	return (struct slk_fs){
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
}
