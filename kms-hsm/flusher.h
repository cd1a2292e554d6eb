/* Flush one file to its disk without waiting for it, by the kernel's asynchronous I/O
 * (IOCB_CMD_FDSYNC): no thread, which the front's sandbox forbids, and no io_uring, which a
 * system-call filter does not see into.
 *
 * One flush at a time. It covers what was written before it was started. Thread: one, the front's
 * loop.
 */
#ifndef KMS_HSM_FLUSHER_H
#define KMS_HSM_FLUSHER_H

#include <stdint.h>

#include "base/status.h"

/* The seam, so that tests decide when a flush ends and how. */
struct kms_flush_ops {
	/* Begin to flush fd. SLK_OK: a reap will tell. Anything else: not begun. */
	int (*start)(void *ctx, int fd);
	/* SLK_OK: the flush has ended, *out_result is what fdatasync() would have said. SLK_AGAIN:
	 * not within wait_ns (UINT64_MAX: waits for ever). */
	int (*reap)(void *ctx, uint64_t wait_ns, int *out_result);
	void *ctx;
};

struct kms_flusher;

/* Before the sandbox is entered. SLK_UNSUPPORTED: this kernel or container has no asynchronous
 * I/O. */
MUST_USE int kms_flusher_new(struct kms_flusher **out_flusher);
/* Waits for a flush in progress. NULL allowed. */
void kms_flusher_free(struct kms_flusher *flusher);

/* Readable when a flush may have ended; reap makes it unreadable. */
int kms_flusher_fd(const struct kms_flusher *flusher);
/* Borrowed from the flusher. */
const struct kms_flush_ops *kms_flusher_ops(const struct kms_flusher *flusher);

#endif
