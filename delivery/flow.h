/* One delivery stream at work: its source, its batches, what becomes of them.
 *
 *     source ─► gathering batch ─plan─► batch under way ─► destination
 *               (a thread of the pool)  │                  copy (backup of the source, or of all)
 *                                       └─ end             error output (what failed)
 *
 * One batch is gathered while the one before is under way. A batch is closed when it is full, when its time is over, or when
 * there is no memory for more of it. Before it is sent its plan is durable, and when it ends its end is (checkpoint.h). What is
 * refused (a key, a role, a destination) stops the flow where it is, with the reason in its view; it asks again after a while
 * and goes on by itself. While a batch fails again and again nothing is gathered behind it, and what was gathered is given
 * back: whoever is stuck holds one batch.
 *
 * Thread: the loop's, but dlv_flow_view().
 */
#ifndef DELIVERY_FLOW_H
#define DELIVERY_FLOW_H

#include "destination.h"
#include "feed.h"
#include "web.h"

struct dlv_flow;

struct dlv_flow_config {
	/* Of the delivery stream: name, ARN, account, region, description, version, role, and what destinations use. Texts, spec and role are
	 * borrowed until dlv_flow_free(); s3 and error_type are set by the flow. */
	struct dlv_env env;
	uint64_t delivery_id;
	uint64_t begun_ns; /* where the first batch begins, Unix time; 0: at the oldest record */
	const struct dlv_destination_ops *ops, *backup_ops; /* backup_ops: dlv_s3_ops */
	struct dlv_role *copy_role,
		*errors_role; /* of the buckets for copies and for what failed */
	struct dlv_feed *feed; /* the flow's, once dlv_flow_new() succeeded */
	uint64_t stream_id;
	const char *state_dir;
	const struct slk_fs *fs; /* NULL: slk_fs_posix() */
};

/* Opens the destinations. SLK_CONFIG with a sentence; SLK_NO_MEMORY. */
MUST_USE int dlv_flow_new(
	const struct dlv_flow_config *config, struct dlv_flow **out_flow, struct slk_error *err);
void dlv_flow_start(struct dlv_flow *flow);
/* Begin nothing new. What is being sent may end for drain_ns; then it is cancelled. stopped is called once, from the loop. */
void dlv_flow_stop(struct dlv_flow *flow, uint64_t drain_ns, void (*stopped)(void *arg), void *arg);
void dlv_flow_free(struct dlv_flow *flow); /* stopped, or never started; NULL allowed */
/* Removes its checkpoint and its error log. Stopped. */
MUST_USE int dlv_flow_forget(struct dlv_flow *flow, struct slk_error *err);

#define DLV_CODES_MAX 32u
#define DLV_CODE_MAX 48u
struct dlv_code_count {
	char code[DLV_CODE_MAX];
	uint64_t count;
};

/* For status and metrics. Counters are since the flow began in this process. */
struct dlv_flow_view {
	const char *destination; /* static */
	const char *state; /* static: "starting", "delivering", "retrying", "paused", "stopping" */
	uint64_t version;
	uint64_t batch_number; /* under way, or being gathered */
	const char *batch_state; /* static */
	char batch_id[FMT_UUID_TEXT];
	unsigned attempts; /* of the batch under way */
	uint64_t retry_ns; /* monotonic: when it is tried again; 0 */
	/* What stands in the way now; "" if nothing does. */
	char code[DLV_CODE_MAX];
	char error[512];
	uint64_t error_since_ns; /* Unix time */
	uint64_t batches, records, bytes; /* delivered */
	uint64_t backed_up_records, failed_records; /* of batches given up; that failed alone */
	uint64_t retries;
	uint64_t outcomes[4]; /* of attempts, by enum dlv_outcome */
	struct dlv_code_count
		codes[DLV_CODES_MAX]; /* of attempts that failed; the last one is "other" */
	size_t codes_count;
	uint64_t delivered_ns; /* Unix time of the last batch that ended; 0 */
	struct dlv_feed_loss lost;
	/* Lag: records and bytes that are gathered and not delivered, and records that are durable and not read; bytes of those by the mean
	 * size so far. seconds: the age of the oldest of them. */
	uint64_t lag_records, lag_bytes, lag_ns;
};
/* Thread: any. */
void dlv_flow_view(struct dlv_flow *flow, struct dlv_flow_view *out_view);

#endif
