#include <stdlib.h>

#include "dataplane/rig.h"
#include "journal/io.h"

static int
no_open(void *ctx, const char *path, int flags, unsigned mode, int *out_fd)
{
	(void)ctx, (void)path, (void)mode;
	if ((flags & SLK_OPEN_CREATE) == 0)
		return SLK_NOT_FOUND; /* no spare file, no file of before */
	*out_fd = 1000;
	return SLK_OK;
}

static int
no_fd(void *ctx, int fd)
{
	(void)ctx, (void)fd;
	return SLK_OK;
}

static int
no_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	(void)ctx, (void)fd, (void)buf, (void)len, (void)pos;
	*out_len = 0;
	return SLK_OK;
}

static int
no_pwrite(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	(void)ctx, (void)fd, (void)buf, (void)len, (void)pos;
	return SLK_OK;
}

static int
no_truncate(void *ctx, int fd, uint64_t len)
{
	(void)ctx, (void)fd, (void)len;
	return SLK_OK;
}

static int
no_size(void *ctx, int fd, uint64_t *out_len)
{
	(void)ctx, (void)fd;
	*out_len = 0;
	return SLK_OK;
}

static int
no_rename(void *ctx, const char *from, const char *to)
{
	(void)ctx, (void)from, (void)to;
	return SLK_OK;
}

static int
no_path(void *ctx, const char *path)
{
	(void)ctx, (void)path;
	return SLK_OK;
}

static int
no_mkdir(void *ctx, const char *path, unsigned mode)
{
	(void)ctx, (void)path, (void)mode;
	return SLK_OK;
}

static int
no_list(void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	(void)ctx, (void)path, (void)each, (void)arg;
	return SLK_OK;
}

static int
much_space(void *ctx, const char *path, uint64_t *out_bytes)
{
	(void)ctx, (void)path;
	*out_bytes = 1ull << 50;
	return SLK_OK;
}

const struct slk_fs *
nothing_fs(void)
{
	static const struct slk_fs fs = {.open = no_open,
		.close = no_fd,
		.pread = no_pread,
		.pwrite = no_pwrite,
		.datasync = no_fd,
		.sync = no_fd,
		.truncate = no_truncate,
		.size = no_size,
		.rename = no_rename,
		.unlink = no_path,
		.sync_dir = no_path,
		.mkdir = no_mkdir,
		.list = no_list,
		.space = much_space};

	return &fs;
}

/* --- operations that complete as soon as they are reaped --- */

struct queue {
	uint64_t tags[JNL_IO_DEPTH];
	unsigned count;
};

static int
queue_open(void *ctx, int event_fd, void **out_instance, struct slk_error *err)
{
	(void)ctx, (void)event_fd;
	*out_instance = calloc(1, sizeof(struct queue));
	return *out_instance != NULL ? SLK_OK : slk_fail(err, SLK_NO_MEMORY, "no memory");
}

static int
queue_put(struct queue *q, uint64_t tag)
{
	if (q->count == JNL_IO_DEPTH)
		return SLK_IO;
	q->tags[q->count++] = tag;
	return SLK_OK;
}

static int
queue_write(void *instance, int fd, const void *buf, uint32_t len, uint64_t pos, uint64_t tag)
{
	(void)fd, (void)buf, (void)len, (void)pos;
	return queue_put(instance, tag);
}

static int
queue_sync(void *instance, int fd, uint64_t tag)
{
	(void)fd;
	return queue_put(instance, tag);
}

static unsigned
queue_reap(void *instance, struct jnl_io_done *out, unsigned cap)
{
	struct queue *q = instance;
	unsigned n = q->count < cap ? q->count : cap;

	for (unsigned i = 0; i < n; i++)
		out[i] = (struct jnl_io_done){q->tags[i], SLK_OK};
	q->count -= n;
	for (unsigned i = 0; i < q->count; i++)
		q->tags[i] = q->tags[i + n];
	return n;
}

const struct jnl_io *
nothing_io(void)
{
	static const struct jnl_io io = {.name = "nothing",
		.open = queue_open,
		.close = free,
		.write = queue_write,
		.sync = queue_sync,
		.reap = queue_reap};

	return &io;
}
