/* The records of a delivery stream's source, from a checkpoint on: all shards of a stream of the journal, merged.
 *
 * One consumer for all shards reads each of the journal's files once; records below a shard's place are passed over. A shard
 * that a resharding makes joins by itself: it is met. Records of one shard come in order; those of several as they arrived
 * (journal/reader.h), so that a parent's come before its children's.
 *
 * A consumer is opened at a time: a minute before the newest record that was delivered. Clocks jump, so this is only where to
 * look first: numbers of a shard have no gaps, and a gap, or a shard that has more records than were met, sends the feed back
 * to where the delivery stream began, once. What is missing then is lost: retention has deleted it, or it is damaged.
 *
 * Thread: one at a time; reads files and may ask kmsd for a key, so a thread of the pool.
 */
#ifndef DELIVERY_FEED_H
#define DELIVERY_FEED_H

#include "base/error.h"
#include "batch.h"
#include "checkpoint.h"
#include "sealock/consumer.h"

struct dlv_feed;
struct dlv_feed_config {
	const char *journal_dir;
	const char *stream_arn;
	uint64_t stream_id;
	sealock_unwrap unwrap; /* opens keys of epochs: dlv_role_unwrap() */
	void *unwrap_ctx;
	uint32_t keys_age_s; /* a key that was opened is asked for again after that; 0: 300 */
	const struct slk_clock *clock;
};
/* Texts are copied. SLK_NO_MEMORY and those of sealock_keys_new(). */
MUST_USE int dlv_feed_new(
	const struct dlv_feed_config *config, struct dlv_feed **out_feed, struct slk_error *err);
void dlv_feed_free(struct dlv_feed *feed); /* wipes; NULL allowed */

enum dlv_feed_what {
	DLV_FEED_PLANNED, /* the records of the checkpoint's plan, and no others */
	DLV_FEED_BEHIND, /* those behind the plan, or behind what is delivered */
};
/* Go there. The checkpoint is read during the call only. SLK_NO_MEMORY. */
MUST_USE int dlv_feed_seek(struct dlv_feed *feed, const struct dlv_checkpoint *checkpoint,
	enum dlv_feed_what what, struct slk_error *err);

struct dlv_chunk {
	const struct dlv_record *records; /* valid until the next call on the feed */
	size_t count;
	bool at_tip; /* nothing more is durable now */
	bool plan_ends; /* of DLV_FEED_PLANNED: the plan's last record is in this chunk or was before it */
};
/* Up to records_max records, up to bytes_max of keys and data, at least one if there is one; 0 without at_tip: go on calling.
 * Codes of sealock_consumer_read() without its class of corrupt ones: damage is counted and passed. */
MUST_USE int dlv_feed_read(struct dlv_feed *feed, size_t records_max, size_t bytes_max,
	struct dlv_chunk *out_chunk, struct slk_error *err);

struct dlv_feed_loss {
	uint64_t trimmed; /* records that retention had deleted */
	uint64_t damaged; /* records that cannot be believed */
	char sentence[256]; /* the last of them: shard and numbers */
};
void dlv_feed_losses(const struct dlv_feed *feed, struct dlv_feed_loss *out_loss);
/* Records that are durable and not given out: by the shards' latest numbers. Reads headers of files. Shards that were not met
 * count nothing. SLK_IO, SLK_NO_MEMORY, SLK_DENIED, SLK_NOT_FOUND. */
MUST_USE int dlv_feed_unread(struct dlv_feed *feed, uint64_t *out_records, struct slk_error *err);
/* Forget opened keys: the next read asks again. */
void dlv_feed_forget_keys(struct dlv_feed *feed);

#endif
