#include "flusher.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

struct kms_flusher {
	aio_context_t context;
	int event_fd;
	bool flying;
	struct iocb cb; /* the kernel's until the flush has ended */
	struct kms_flush_ops ops;
};

static int
start(void *ctx, int fd)
{
	struct kms_flusher *f = ctx;
	struct iocb *cbs[] = {&f->cb};

	f->cb = (struct iocb){.aio_fildes = (uint32_t)fd,
		.aio_lio_opcode = IOCB_CMD_FDSYNC,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)f->event_fd};
	long n;
	do {
		n = syscall(SYS_io_submit, f->context, 1L, cbs);
	} while (n < 0 && errno == EINTR);
	if (n != 1)
		return n < 0 ? slk_status_from_errno(errno) : SLK_AGAIN;
	f->flying = true;
	return SLK_OK;
}

static int
reap(void *ctx, uint64_t wait_ns, int *out_result)
{
	struct kms_flusher *f = ctx;
	struct timespec limit = {(time_t)(wait_ns / SLK_NS_PER_S), (long)(wait_ns % SLK_NS_PER_S)};
	struct io_event event;
	uint64_t ended;
	long n;

	ssize_t ignored =
		read(f->event_fd, &ended, sizeof(ended)); /* before, or an end is missed */
	(void)ignored;
	do {
		n = syscall(SYS_io_getevents, f->context, wait_ns > 0 ? 1L : 0L, 1L, &event,
			wait_ns == UINT64_MAX ? NULL : &limit);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return SLK_AGAIN;
	f->flying = false;
	/* Without an answer nobody knows whether it was flushed, so it was not. */
	*out_result = n < 0      ? slk_status_from_errno(errno)
		: event.res == 0 ? SLK_OK
				 : slk_status_from_errno((int)-(int64_t)event.res);
	return SLK_OK;
}

int
kms_flusher_new(struct kms_flusher **out_flusher)
{
	struct kms_flusher *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return SLK_NO_MEMORY;
	f->ops = (struct kms_flush_ops){start, reap, f};
	f->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->event_fd < 0 || syscall(SYS_io_setup, 1L, &f->context) != 0) {
		if (f->event_fd >= 0)
			close(f->event_fd);
		free(f);
		return SLK_UNSUPPORTED;
	}
	*out_flusher = f;
	return SLK_OK;
}

void
kms_flusher_free(struct kms_flusher *flusher)
{
	int result;

	if (flusher == NULL)
		return;
	if (flusher->flying)
		(void)reap(flusher, UINT64_MAX, &result);
	(void)syscall(SYS_io_destroy, flusher->context);
	close(flusher->event_fd);
	free(flusher);
}

int
kms_flusher_fd(const struct kms_flusher *flusher)
{
	return flusher->event_fd;
}

const struct kms_flush_ops *
kms_flusher_ops(const struct kms_flusher *flusher)
{
	return &flusher->ops;
}
