/* The seam of the lane thread to the disk: writes and flushes that complete later.
 *
 * The lane thread submits and reaps; a simulator may stand in (tests/lib/simdisk.h). Completions may come in any order.
 * Implementations: io_uring, or plain pwrite and fdatasync where it is forbidden. Thread: the lane thread.
 */
#ifndef SLK_JOURNAL_IO_H
#define SLK_JOURNAL_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/status.h"

#define JNL_IO_DEPTH 64u /* operations in flight, at most */

struct jnl_io_done {
	uint64_t tag;
	int status; /* SLK_OK, or a code from errno; a short write is SLK_IO */
};

struct jnl_io {
	const char *name;
	/* Descriptors are the file seam's: the lane thread may also write and flush by that seam, and wait. */
	bool may_wait;
	/* One instance per lane. event_fd is written when a completion may be reaped (-1: never needed). */
	int (*open)(void *ctx, int event_fd, void **out_instance, struct slk_error *err);
	void (*close)(void *instance);
	/* buf stays untouched until the completion was reaped. SLK_OK or SLK_IO if it could not even be submitted. */
	int (*write)(
		void *instance, int fd, const void *buf, uint32_t len, uint64_t pos, uint64_t tag);
	/* fdatasync. Covers the writes that were reaped before this call, and nothing else may be assumed. */
	int (*sync)(void *instance, int fd, uint64_t tag);
	/* Up to cap completions, without waiting. Returns how many. */
	unsigned (*reap)(void *instance, struct jnl_io_done *out, unsigned cap);
	void *ctx;
};

/* Through the given file seam, done at once. */
struct jnl_io jnl_io_sync(const struct slk_fs *fs);

/* io_uring on real descriptors. SLK_UNSUPPORTED if this build or kernel lacks it or forbids it. */
MUST_USE int jnl_io_uring(struct jnl_io *out_io);

#endif
