/* The best that a bare program makes of the disk: the same bytes, durable, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "journal/journal_bench.h"

#define BUFFERED_BYTES (4u * JB_MIB)
#define HUGE_BYTES (2u * JB_MIB)

static int
make_file(struct jb_bare *w, const char *dir, unsigned i, struct slk_error *err)
{
	char path[600];

	(void)snprintf(
		path, sizeof(path), "%s/bare-%s-%u", dir, w->direct ? "direct" : "buffered", i);
	w->fds[i] = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (w->fds[i] < 0)
		return slk_fail_errno(err, "cannot make %s", path);
	for (uint64_t pos = 0; pos < JB_FILE_BYTES; pos += BUFFERED_BYTES)
		if (pwrite(w->fds[i], w->buf, BUFFERED_BYTES, (off_t)pos) !=
			(ssize_t)BUFFERED_BYTES)
			return slk_fail_errno(err, "cannot fill %s", path);
	if (fsync(w->fds[i]) != 0)
		return slk_fail_errno(err, "cannot flush %s", path);
	/* A file system without O_DIRECT (tmpfs) is written through its cache. */
	if (w->direct)
		(void)fcntl(w->fds[i], F_SETFL, O_DIRECT);
	(void)unlink(path);
	return SLK_OK;
}

int
jb_bare_open(struct jb_bare *w, const char *dir, bool direct, uint64_t bytes, struct slk_error *err)
{
	struct io_uring *ring;

	*w = (struct jb_bare){.fds = {-1, -1}, .direct = direct, .bytes = bytes};
	if (posix_memalign((void **)&w->buf, HUGE_BYTES, BUFFERED_BYTES) != 0)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	/* As the journal's are: from small pages O_DIRECT is slower by half. */
	(void)madvise(w->buf, BUFFERED_BYTES, MADV_HUGEPAGE);
	memset(w->buf, 0x5a, BUFFERED_BYTES);
	int rc = make_file(w, dir, 0, err);
	if (rc == SLK_OK)
		rc = make_file(w, dir, 1, err);
	if (rc != SLK_OK)
		return rc;
	ring = calloc(1, sizeof(*ring));
	if (ring == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	rc = io_uring_queue_init(8, ring, 0);
	if (rc < 0) {
		free(ring);
		return SLK_OK; /* forbidden here: then without overlap */
	}
	w->ring = ring;
	return SLK_OK;
}

void
jb_bare_close(struct jb_bare *w)
{
	if (w->ring != NULL)
		io_uring_queue_exit(w->ring);
	free(w->ring);
	for (unsigned i = 0; i < 2; i++)
		if (w->fds[i] > 0)
			(void)close(w->fds[i]);
	free(w->buf);
	*w = (struct jb_bare){.fds = {-1, -1}};
}

static void
advance(struct jb_bare *w, uint64_t len)
{
	w->pos += len;
	if (w->pos + JB_GROUP_BYTES * 2 > JB_FILE_BYTES) {
		w->pos = 0;
		w->file ^= 1;
	}
}

static void
run_buffered(struct jb_bare *w)
{
	for (uint64_t done = 0; done < w->bytes && !w->failed; done += BUFFERED_BYTES) {
		w->failed = pwrite(w->fds[w->file], w->buf, BUFFERED_BYTES, (off_t)w->pos) !=
				(ssize_t)BUFFERED_BYTES ||
			fdatasync(w->fds[w->file]) != 0;
		advance(w, BUFFERED_BYTES);
	}
}

static int
reap(struct io_uring *ring, uint64_t *out_kind)
{
	struct io_uring_cqe *cqe = NULL;
	int rc;

	do {
		rc = io_uring_wait_cqe(ring, &cqe);
	} while (rc == -EINTR);
	if (rc < 0)
		return rc;
	rc = cqe->res;
	*out_kind = io_uring_cqe_get_data64(cqe);
	io_uring_cqe_seen(ring, cqe);
	return rc;
}

static bool
submit(struct io_uring *ring, int fd, const void *buf, uint64_t pos)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (sqe == NULL)
		return false;
	if (buf != NULL)
		io_uring_prep_write(sqe, fd, buf, JB_GROUP_BYTES, pos);
	else
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data64(sqe, buf != NULL);
	return io_uring_submit(ring) >= 0;
}

/* Group k + 1 is written while group k is flushed; a flush begins when its write is back. */
static void
run_direct(struct jb_bare *w)
{
	const uint64_t groups = w->bytes / JB_GROUP_BYTES;
	uint64_t written = 0, flushed = 0, asked = 0, kind = 0;
	int fd_of[2] = {-1, -1}; /* of group k, at k % 2 */
	bool flushing = false;

	while (flushed < groups && !w->failed) {
		if (asked < groups && asked == written && asked - flushed < 2) {
			fd_of[asked % 2] = w->fds[w->file];
			w->failed |= !submit(w->ring, w->fds[w->file], w->buf, w->pos);
			advance(w, JB_GROUP_BYTES);
			asked++;
		}
		int res = reap(w->ring, &kind);
		w->failed |= res < 0 || (kind == 1 && res != (int)JB_GROUP_BYTES);
		if (kind == 1) {
			written++;
		} else {
			flushing = false;
			flushed++;
		}
		if (!flushing && written > flushed) {
			w->failed |= !submit(w->ring, fd_of[flushed % 2], NULL, 0);
			flushing = true;
		}
	}
}

void
jb_bare_run(void *writer)
{
	struct jb_bare *w = writer;

	if (w->direct && w->ring != NULL)
		run_direct(w);
	else
		run_buffered(w);
}

int
jb_bare_commit(struct jb_bare *w, uint32_t len)
{
	if (pwrite(w->fds[w->file], w->buf, len, (off_t)w->pos) != (ssize_t)len ||
		fdatasync(w->fds[w->file]) != 0)
		return slk_status_from_errno(errno);
	advance(w, len);
	return SLK_OK;
}
