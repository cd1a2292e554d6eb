/* The file seam: the few file operations that durable code needs, behind a table of functions.
 *
 * The journal, the catalog's side files and recovery call these and nothing else, so that a test
 * can fail the n-th call and a simulator can own the disk (torn writes, lost caches, bit rot).
 * Paths are absolute or relative to the process. All functions return SLK_OK or a code from errno
 * (slk_status_from_errno); EINTR is retried, short reads and writes are completed. Thread: any, one
 * operation on a handle at a time unless stated.
 */
#ifndef SLK_BASE_FILE_H
#define SLK_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/status.h"

enum slk_open_flags {
	SLK_OPEN_READ = 1,
	SLK_OPEN_WRITE = 2, /* implies read */
	SLK_OPEN_CREATE = 4, /* fails with SLK_EXISTS if the file is there */
	SLK_OPEN_DIRECT = 8, /* O_DIRECT where the file system has it; buffered otherwise
				(SLK_OPEN_DIRECT is a wish) */
};

struct slk_fs {
	/* mode: permission bits for SLK_OPEN_CREATE. Never follows a symbolic link in the last
	 * component. */
	int (*open)(void *ctx, const char *path, int flags, unsigned mode, int *out_fd);
	int (*close)(void *ctx, int fd);
	/* Reads up to len bytes; *out_len is less only at the end of the file. */
	int (*pread)(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len);
	/* Writes all or fails; after an error any prefix may be there. */
	int (*pwrite)(void *ctx, int fd, const void *buf, size_t len, uint64_t pos);
	int (*datasync)(void *ctx, int fd); /* fdatasync; never retried by anyone after an error */
	int (*sync)(void *ctx, int fd); /* fsync, with metadata */
	int (*truncate)(void *ctx, int fd, uint64_t len);
	int (*size)(void *ctx, int fd, uint64_t *out_len);
	int (*rename)(void *ctx, const char *from, const char *to);
	int (*unlink)(void *ctx, const char *path);
	int (*sync_dir)(void *ctx,
		const char *path); /* make creations, renames and unlinks in it durable */
	int (*mkdir)(void *ctx, const char *path, unsigned mode);
	/* Calls each(arg, name) for every entry but . and .., in no order; stops at the first
	 * non-zero return. */
	int (*list)(
		void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg);
	/* Bytes free for an unprivileged writer on the file system of path. */
	int (*space)(void *ctx, const char *path, uint64_t *out_bytes);
	void *ctx;
};

/* The real one. Static storage. */
const struct slk_fs *slk_fs_posix(void);

#endif
