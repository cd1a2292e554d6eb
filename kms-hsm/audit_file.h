/* A file of the audit log: appending lines durably, going on after restarts, crashes and rotation.
 *
 *     open ──► writing ──(flush)──► durable, and again
 *       ▲        │ └──(write failed)──► torn: cut at the durable end before the next write
 *       │        └────(flush failed)──► given up: nothing it holds beyond the durable end is believed
 *       └── renamed, removed, cut short, changed by somebody, or given up: a new file is begun
 *
 * A new file begins with a header, as does a stretch that does not go on where the file ended. A file that is given up or is
 * not a log of ours is kept beside the new one under a name with a suffix (.failed-TIME, .other-TIME); nothing is deleted. What
 * is below the durable end is never changed.
 *
 * The reserve is a file beside the log (.reserve) whose blocks are given up when the disk is full, so that refusals can
 * still be logged; low is true from then until it could be made again. Thread: the front's loop.
 */
#ifndef KMS_HSM_AUDIT_FILE_H
#define KMS_HSM_AUDIT_FILE_H

#include <stdbool.h>

#include "audit_sink.h"
#include "base/clock.h"
#include "base/file.h"
#include "flusher.h"

struct kms_audit_file;

/* What was found at the end of the file: len bytes at offset, from a crash; 0: nothing. */
struct kms_audit_torn {
	uint64_t offset, len;
	char sha256[FMT_AUDIT_HASH_TEXT];
};

/* Opens path, or makes it (0600). *out_torn has to be said by the next line. SLK_DENIED, SLK_IO ..., with a sentence. fs,
 * clock: borrowed. */
MUST_USE int kms_audit_file_open(const char *path, const struct slk_fs *fs,
	const struct slk_clock *clock, struct kms_audit_file **out_file,
	struct kms_audit_torn *out_torn, struct slk_error *err);
/* Waits for a flush that goes on. NULL allowed. */
void kms_audit_file_close(struct kms_audit_file *file);

/* Have flushes done in the background (borrowed); without, taking flushes at once. NULL: at once. */
void kms_audit_file_background(struct kms_audit_file *file, const struct kms_flush_ops *ops);
struct kms_sink kms_audit_file_sink(struct kms_audit_file *file);

/* The last line that is durable in it, or in the file before it. */
const struct fmt_audit_point *kms_audit_file_point(const struct kms_audit_file *file);
/* A file was begun since this was asked last. */
bool kms_audit_file_rotated(struct kms_audit_file *file);

/* Keep bytes of the disk for refusals. A disk too full for them makes the log low at once. */
void kms_audit_file_reserve(struct kms_audit_file *file, uint64_t bytes);
bool kms_audit_file_low(const struct kms_audit_file *file);
/* To be called about once a second: makes the reserve again. */
void kms_audit_file_tick(struct kms_audit_file *file);

#endif
