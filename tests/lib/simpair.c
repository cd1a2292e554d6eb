#include "simpair.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_FDS (1 << 20) /* descriptors of the second disk begin here */

static const struct slk_fs *
at_path(void *ctx, const char *path)
{
	const struct simpair *p = ctx;
	size_t len = strlen(p->second);
	bool second = strncmp(path, p->second, len) == 0 && (path[len] == '/' || path[len] == '\0');

	return simdisk_fs(p->disks[second]);
}

static const struct slk_fs *
at_fd(void *ctx, int *fd)
{
	const struct simpair *p = ctx;

	if (*fd < SECOND_FDS)
		return simdisk_fs(p->disks[0]);
	*fd -= SECOND_FDS;
	return simdisk_fs(p->disks[1]);
}

static int
pair_open(void *ctx, const char *path, int flags, unsigned mode, int *out_fd)
{
	const struct simpair *p = ctx;
	const struct slk_fs *fs = at_path(ctx, path);
	int rc = fs->open(fs->ctx, path, flags, mode, out_fd);

	if (rc == SLK_OK && fs == simdisk_fs(p->disks[1]))
		*out_fd += SECOND_FDS;
	return rc;
}

static int
pair_close(void *ctx, int fd)
{
	const struct slk_fs *fs = at_fd(ctx, &fd);

	return fs->close(fs->ctx, fd);
}

static int
pair_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	const struct slk_fs *fs = at_fd(ctx, &fd);

	return fs->pread(fs->ctx, fd, buf, len, pos, out_len);
}

static int
pair_pwrite(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	const struct slk_fs *fs = at_fd(ctx, &fd);

	return fs->pwrite(fs->ctx, fd, buf, len, pos);
}

static int
pair_datasync(void *ctx, int fd)
{
	const struct slk_fs *fs = at_fd(ctx, &fd);

	return fs->datasync(fs->ctx, fd);
}

static int
pair_sync(void *ctx, int fd)
{
	const struct slk_fs *fs = at_fd(ctx, &fd);

	return fs->sync(fs->ctx, fd);
}

static int
pair_truncate(void *ctx, int fd, uint64_t len)
{
	const struct slk_fs *fs = at_fd(ctx, &fd);

	return fs->truncate(fs->ctx, fd, len);
}

static int
pair_size(void *ctx, int fd, uint64_t *out_len)
{
	const struct slk_fs *fs = at_fd(ctx, &fd);

	return fs->size(fs->ctx, fd, out_len);
}

static int
pair_rename(void *ctx, const char *from, const char *to)
{
	const struct slk_fs *fs = at_path(ctx, from);

	return fs == at_path(ctx, to) ? fs->rename(fs->ctx, from, to) : SLK_SYSTEM;
}

static int
pair_unlink(void *ctx, const char *path)
{
	const struct slk_fs *fs = at_path(ctx, path);

	return fs->unlink(fs->ctx, path);
}

static int
pair_sync_dir(void *ctx, const char *path)
{
	const struct slk_fs *fs = at_path(ctx, path);

	return fs->sync_dir(fs->ctx, path);
}

static int
pair_mkdir(void *ctx, const char *path, unsigned mode)
{
	const struct slk_fs *fs = at_path(ctx, path);

	return fs->mkdir(fs->ctx, path, mode);
}

static int
pair_list(void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	const struct slk_fs *fs = at_path(ctx, path);

	return fs->list(fs->ctx, path, each, arg);
}

static int
pair_space(void *ctx, const char *path, uint64_t *out_bytes)
{
	const struct slk_fs *fs = at_path(ctx, path);

	return fs->space(fs->ctx, path, out_bytes);
}

/* --- asynchronous --- */

struct instance {
	const struct jnl_io *io[2];
	void *of[2];
};

static int
io_open(void *ctx, int event_fd, void **out_instance, struct slk_error *err)
{
	const struct simpair *p = ctx;
	struct instance *both = calloc(1, sizeof(*both));

	if (both == NULL)
		abort();
	for (unsigned i = 0; i < 2; i++) {
		both->io[i] = simdisk_io(p->disks[i]);
		if (both->io[i]->open(both->io[i]->ctx, event_fd, &both->of[i], err) != SLK_OK)
			abort();
	}
	*out_instance = both;
	return SLK_OK;
}

static void
io_close(void *instance)
{
	struct instance *both = instance;

	for (unsigned i = 0; i < 2; i++)
		both->io[i]->close(both->of[i]);
	free(both);
}

static int
io_write(void *instance, int fd, const void *buf, uint32_t len, uint64_t pos, uint64_t tag)
{
	struct instance *both = instance;
	unsigned i = fd >= SECOND_FDS;

	return both->io[i]->write(both->of[i], fd - (i != 0 ? SECOND_FDS : 0), buf, len, pos, tag);
}

static int
io_sync(void *instance, int fd, uint64_t tag)
{
	struct instance *both = instance;
	unsigned i = fd >= SECOND_FDS;

	return both->io[i]->sync(both->of[i], fd - (i != 0 ? SECOND_FDS : 0), tag);
}

static unsigned
io_reap(void *instance, struct jnl_io_done *out, unsigned cap)
{
	struct instance *both = instance;
	unsigned n = both->io[0]->reap(both->of[0], out, cap);

	return n + both->io[1]->reap(both->of[1], out + n, cap - n);
}

void
simpair_init(struct simpair *pair, struct simdisk *first, struct simdisk *second, const char *path)
{
	*pair = (struct simpair){.disks = {first, second}, .second = path};
	pair->fs = (struct slk_fs){pair_open, pair_close, pair_pread, pair_pwrite, pair_datasync,
		pair_sync, pair_truncate, pair_size, pair_rename, pair_unlink, pair_sync_dir,
		pair_mkdir, pair_list, pair_space, pair};
	pair->io = (struct jnl_io){.name = "simpair",
		.open = io_open,
		.close = io_close,
		.write = io_write,
		.sync = io_sync,
		.reap = io_reap,
		.ctx = pair};
}
