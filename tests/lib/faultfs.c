#include "faultfs.h"

static bool
fails(struct faultfs *ff, unsigned op)
{
	if ((ff->ops & op) == 0)
		return false;
	ff->calls++;
	if (ff->fail_at == 0 || ff->calls < ff->fail_at ||
		(ff->calls > ff->fail_at && !ff->for_ever))
		return false;
	ff->failed++;
	return true;
}

#define PASS(op, call, ...) \
	struct faultfs *ff = ctx; \
	if (fails(ff, op)) \
		return ff->status; \
	return ff->under->call(ff->under->ctx, ##__VA_ARGS__)

static int
ff_open(void *ctx, const char *path, int flags, unsigned mode, int *out_fd)
{
	PASS(FAULTFS_OPEN, open, path, flags, mode, out_fd);
}

static int
ff_close(void *ctx, int fd)
{
	struct faultfs *ff = ctx;

	return ff->under->close(ff->under->ctx, fd);
}

static int
ff_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	PASS(FAULTFS_READ, pread, fd, buf, len, pos, out_len);
}

static int
ff_pwrite(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	struct faultfs *ff = ctx;

	if (fails(ff, FAULTFS_WRITE)) {
		/* What the contract allows: a prefix may be there. */
		(void)ff->under->pwrite(ff->under->ctx, fd, buf, len / 2 / 512 * 512, pos);
		return ff->status;
	}
	return ff->under->pwrite(ff->under->ctx, fd, buf, len, pos);
}

static int
ff_datasync(void *ctx, int fd)
{
	PASS(FAULTFS_SYNC, datasync, fd);
}

static int
ff_sync(void *ctx, int fd)
{
	PASS(FAULTFS_SYNC, sync, fd);
}

static int
ff_truncate(void *ctx, int fd, uint64_t len)
{
	PASS(FAULTFS_META, truncate, fd, len);
}

static int
ff_size(void *ctx, int fd, uint64_t *out_len)
{
	PASS(FAULTFS_META, size, fd, out_len);
}

static int
ff_rename(void *ctx, const char *from, const char *to)
{
	PASS(FAULTFS_META, rename, from, to);
}

static int
ff_unlink(void *ctx, const char *path)
{
	PASS(FAULTFS_META, unlink, path);
}

static int
ff_sync_dir(void *ctx, const char *path)
{
	PASS(FAULTFS_SYNC, sync_dir, path);
}

static int
ff_mkdir(void *ctx, const char *path, unsigned mode)
{
	PASS(FAULTFS_META, mkdir, path, mode);
}

static int
ff_list(void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	PASS(FAULTFS_META, list, path, each, arg);
}

static int
ff_space(void *ctx, const char *path, uint64_t *out_bytes)
{
	PASS(FAULTFS_META, space, path, out_bytes);
}

void
faultfs_init(struct faultfs *ff, const struct slk_fs *under, unsigned ops, uint64_t fail_at,
	bool for_ever, int status)
{
	*ff = (struct faultfs){
		.fs =
			{
				.open = ff_open,
				.close = ff_close,
				.pread = ff_pread,
				.pwrite = ff_pwrite,
				.datasync = ff_datasync,
				.sync = ff_sync,
				.truncate = ff_truncate,
				.size = ff_size,
				.rename = ff_rename,
				.unlink = ff_unlink,
				.sync_dir = ff_sync_dir,
				.mkdir = ff_mkdir,
				.list = ff_list,
				.space = ff_space,
			},
		.under = under,
		.ops = ops,
		.fail_at = fail_at,
		.for_ever = for_ever,
		.status = status,
	};
	ff->fs.ctx = ff;
}
