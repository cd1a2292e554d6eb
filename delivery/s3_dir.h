/* A directory as a store: the file destination.
 *
 *     ROOT/a/b/NAME              the object under key a/b/NAME, whole or not there
 *     ROOT/a/b/NAME.meta.json    beside one that has metadata (sealed for the client): docs/delivery-objects.md
 *     ROOT/a/b/.NAME.part        being written; what a crash left is written over
 *
 * An object is written under another name in its directory, flushed, renamed, and the directory flushed: DLV_DELIVERED means that
 * it survives a loss of power. Directories are made as the key's slashes say. No key leaves the root: its parts are checked, and
 * each is opened beneath the root without following links (openat2). Modes 0640 and 0750. Thread: any; waits for the disk.
 */
#ifndef DELIVERY_S3_DIR_H
#define DELIVERY_S3_DIR_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "destination.h"

#define DLV_DIR_NAME_MAX \
	240u /* bytes of a part of a key: what is put before and behind it has to fit, too */

/* The system calls, for tests that fail them. All return what the call does, and errno. */
struct dlv_dir_sys {
	int (*open_beneath)(void *ctx, int dir_fd, const char *name, int flags, unsigned mode);
	int (*mkdir)(void *ctx, int dir_fd, const char *name, unsigned mode);
	int (*chmod)(void *ctx, int fd, unsigned mode);
	ssize_t (*write)(void *ctx, int fd, const void *bytes, size_t len);
	int (*direct)(void *ctx, int fd, bool on); /* O_DIRECT */
	int (*start)(void *ctx, int fd); /* what was written is on its way to the disk; a hint */
	int (*sync)(void *ctx, int fd);
	int (*rename)(void *ctx, int dir_fd, const char *from, const char *to);
	int (*unlink)(void *ctx, int dir_fd, const char *name);
	int (*close)(void *ctx, int fd);
	void *ctx;
};
const struct dlv_dir_sys *dlv_dir_posix(void); /* static */

struct dlv_dir;
/* path: an existing directory; bucket: NULL, or the directory in it that is the root, made when it is needed. sys: NULL for the
 * real ones. SLK_CONFIG with a sentence. */
MUST_USE int dlv_dir_open(const char *path, const char *bucket, const struct dlv_dir_sys *sys,
	struct dlv_dir **out_dir, struct slk_error *err);
void dlv_dir_close(struct dlv_dir *dir); /* NULL allowed */
/* sidecar: the bytes of NAME.meta.json, or an empty span. *out: DLV_DELIVERED; DLV_FAILED (File.DiskFull, File.Io, ...);
 * DLV_REFUSED (File.ReadOnly, File.AccessDenied, File.BadKey) with a sentence. After a failure nothing is under the key that was
 * not there before, but for a last flush that failed. */
void dlv_dir_put(struct dlv_dir *dir, const char *key, struct slk_span body,
	struct slk_span sidecar, struct dlv_result *out);

#endif
