/* The error log of a delivery stream: what CloudWatchLoggingOptions of its description asks for, in deliverd's state directory.
 *
 *     NAME.ID.errors.jsonl      one JSON object per line, the newest last; at most 1 MiB
 *     NAME.ID.errors.jsonl.1    the lines before those; what is older is gone
 *
 * A line has timestamp (Unix time in ms), logGroup and logStream as the description names them, deliveryStreamARN,
 * deliveryStreamVersionId, destination, errorCode, message, attempts, deliveryId (of the batch under way, or ""), and lost: errors
 * before it that were not written, because the disk was full or slow. No line has content of records, and none a secret: codes
 * and messages are those of the delivery stream's status.
 *
 * Lines are handed to a thread of the pool, so that the loop waits for no disk; they are not flushed. Thread: the loop's.
 */
#ifndef DELIVERY_ERRLOG_H
#define DELIVERY_ERRLOG_H

#include "base/error.h"
#include "base/file.h"
#include "delivery/spec.h"

#define DLV_ERRLOG_BYTES (1u << 20) /* of a file */

struct dlv_loop;
struct dlv_errlog;

struct dlv_errlog_config {
	const struct slk_fs *fs; /* NULL: slk_fs_posix() */
	const char *state_dir, *name, *arn; /* copied, but for arn */
	uint64_t delivery_id;
	struct dlv_loop *loop;
};

struct dlv_errlog_line {
	const struct dlv_logging *to;
	const char *destination, *code, *message, *batch_id;
	unsigned attempts;
	uint64_t version, wall_ns;
};

/* SLK_NO_MEMORY; SLK_TOO_LARGE: the path. */
MUST_USE int dlv_errlog_new(
	const struct dlv_errlog_config *config, struct dlv_errlog **out_log, struct slk_error *err);
/* Waits for what is being written. NULL allowed. */
void dlv_errlog_free(struct dlv_errlog *log);
/* Nothing happens unless line->to is enabled. */
void dlv_errlog_add(struct dlv_errlog *log, const struct dlv_errlog_line *line);
/* Both files. SLK_OK if there is none. Thread: any. */
MUST_USE int dlv_errlog_remove(const struct slk_fs *fs, const char *state_dir, const char *name,
	uint64_t delivery_id, struct slk_error *err);

#endif
