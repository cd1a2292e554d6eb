#include "journal/io.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef SLK_HAVE_URING
#include <liburing.h>
#endif

/* --- done at once --- */

struct sync_instance {
	const struct slk_fs *fs;
	struct jnl_io_done done[JNL_IO_DEPTH];
	unsigned count;
};

static int
sync_open(void *ctx, int event_fd, void **out_instance, struct slk_error *err)
{
	(void)event_fd; /* completions are there before the submitter returns */
	struct sync_instance *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	s->fs = ctx;
	*out_instance = s;
	return SLK_OK;
}

static void
sync_close(void *instance)
{
	free(instance);
}

static int
sync_put(struct sync_instance *s, uint64_t tag, int status)
{
	s->done[s->count++] = (struct jnl_io_done){tag, status};
	return SLK_OK;
}

static int
sync_write(void *instance, int fd, const void *buf, uint32_t len, uint64_t pos, uint64_t tag)
{
	struct sync_instance *s = instance;

	if (s->count == JNL_IO_DEPTH)
		return SLK_IO;
	return sync_put(s, tag, s->fs->pwrite(s->fs->ctx, fd, buf, len, pos));
}

static int
sync_sync(void *instance, int fd, uint64_t tag)
{
	struct sync_instance *s = instance;

	if (s->count == JNL_IO_DEPTH)
		return SLK_IO;
	return sync_put(s, tag, s->fs->datasync(s->fs->ctx, fd));
}

static unsigned
sync_reap(void *instance, struct jnl_io_done *out, unsigned cap)
{
	struct sync_instance *s = instance;
	unsigned n = s->count < cap ? s->count : cap;

	for (unsigned i = 0; i < n; i++)
		out[i] = s->done[i];
	for (unsigned i = n; i < s->count; i++)
		s->done[i - n] = s->done[i];
	s->count -= n;
	return n;
}

struct jnl_io
jnl_io_sync(const struct slk_fs *fs)
{
	return (struct jnl_io){
		.name = "sync",
		.may_wait = true,
		.open = sync_open,
		.close = sync_close,
		.write = sync_write,
		.sync = sync_sync,
		.reap = sync_reap,
		.ctx = (void *)(uintptr_t)fs,
	};
}

/* --- io_uring --- */

#ifdef SLK_HAVE_URING

struct uring_op {
	uint64_t tag;
	uint32_t len; /* expected result; 0 for a flush */
	bool busy;
};

struct uring_instance {
	struct io_uring ring;
	struct uring_op ops[JNL_IO_DEPTH];
};

static int
uring_open(void *ctx, int event_fd, void **out_instance, struct slk_error *err)
{
	(void)ctx;
	struct uring_instance *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	int rc = io_uring_queue_init(JNL_IO_DEPTH, &u->ring, 0);
	if (rc < 0) {
		free(u);
		errno = -rc;
		return slk_fail_errno(err, "cannot set up io_uring (set io: sync to do without)");
	}
	rc = event_fd >= 0 ? io_uring_register_eventfd(&u->ring, event_fd) : 0;
	if (rc < 0) {
		io_uring_queue_exit(&u->ring);
		free(u);
		errno = -rc;
		return slk_fail_errno(err, "cannot register an event descriptor with io_uring");
	}
	*out_instance = u;
	return SLK_OK;
}

static void
uring_close(void *instance)
{
	struct uring_instance *u = instance;

	if (u == NULL)
		return;
	/* The kernel may still be reading buffers that the caller is about to free and reuse. */
	for (unsigned i = 0; i < JNL_IO_DEPTH; i++) {
		struct io_uring_cqe *cqe = NULL;
		while (u->ops[i].busy) {
			int rc = io_uring_wait_cqe(&u->ring, &cqe);
			if (rc == -EINTR)
				continue;
			if (rc < 0)
				break;
			struct uring_op *op = io_uring_cqe_get_data(cqe);
			op->busy = false;
			io_uring_cqe_seen(&u->ring, cqe);
		}
	}
	io_uring_queue_exit(&u->ring);
	free(u);
}

static struct uring_op *
uring_take(struct uring_instance *u, struct io_uring_sqe **out_sqe)
{
	for (unsigned i = 0; i < JNL_IO_DEPTH; i++) {
		if (u->ops[i].busy)
			continue;
		*out_sqe = io_uring_get_sqe(&u->ring);
		if (*out_sqe == NULL)
			return NULL;
		u->ops[i].busy = true;
		return &u->ops[i];
	}
	return NULL;
}

static int
uring_go(struct uring_instance *u, struct uring_op *op)
{
	int rc;

	do {
		rc = io_uring_submit(&u->ring);
	} while (rc == -EINTR);
	if (rc >= 0)
		return SLK_OK;
	op->busy = false; /* the kernel has not seen it, and the lane ends here */
	return SLK_IO;
}

static int
uring_write(void *instance, int fd, const void *buf, uint32_t len, uint64_t pos, uint64_t tag)
{
	struct uring_instance *u = instance;
	struct io_uring_sqe *sqe = NULL;
	struct uring_op *op = uring_take(u, &sqe);

	if (op == NULL)
		return SLK_IO;
	op->tag = tag;
	op->len = len;
	io_uring_prep_write(sqe, fd, buf, len, pos);
	io_uring_sqe_set_data(sqe, op);
	return uring_go(u, op);
}

static int
uring_sync(void *instance, int fd, uint64_t tag)
{
	struct uring_instance *u = instance;
	struct io_uring_sqe *sqe = NULL;
	struct uring_op *op = uring_take(u, &sqe);

	if (op == NULL)
		return SLK_IO;
	op->tag = tag;
	op->len = 0;
	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(sqe, op);
	return uring_go(u, op);
}

static unsigned
uring_reap(void *instance, struct jnl_io_done *out, unsigned cap)
{
	struct uring_instance *u = instance;
	struct io_uring_cqe *cqe;
	unsigned n = 0;

	while (n < cap && io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		struct uring_op *op = io_uring_cqe_get_data(cqe);
		int status = SLK_OK;
		if (cqe->res < 0)
			status = slk_status_from_errno(-cqe->res);
		else if ((uint32_t)cqe->res != op->len)
			status = SLK_IO;
		out[n++] = (struct jnl_io_done){op->tag, status};
		op->busy = false;
		io_uring_cqe_seen(&u->ring, cqe);
	}
	return n;
}

int
jnl_io_uring(struct jnl_io *out_io)
{
	struct io_uring probe;

	if (io_uring_queue_init(2, &probe, 0) < 0)
		return SLK_UNSUPPORTED;
	io_uring_queue_exit(&probe);
	*out_io = (struct jnl_io){
		.name = "uring",
		.may_wait = true,
		.open = uring_open,
		.close = uring_close,
		.write = uring_write,
		.sync = uring_sync,
		.reap = uring_reap,
	};
	return SLK_OK;
}

#else

int
jnl_io_uring(struct jnl_io *out_io)
{
	(void)out_io;
	return SLK_UNSUPPORTED;
}

#endif
