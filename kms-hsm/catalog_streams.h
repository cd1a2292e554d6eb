/* The catalog's rows about streams: their shards, tags, and what ingestd has to perform.
 *
 * States of a stream, the only function that assigns each, and what holds in it:
 *
 *     (none)            --kms_catalog_stream_create()--> Active
 *     Active            --kms_catalog_stream_reshard()-> Updating
 *     Active            --kms_catalog_stream_set()-----> Updating (another key), Active (the rest)
 *     Active, Updating  --kms_catalog_stream_set()-----> Deleting
 *     Updating          --kms_catalog_stream_settle()--> Active
 *     Deleting          --kms_catalog_stream_delete()--> (none)
 *
 *     Active     the shards are OPEN or CLOSED; new epochs are under key_id, and so is the one that is written
 *     Updating   key_id is for the next epoch; shards that a change closes are CLOSING, those that it makes OPENING or
 *                PASSING. Ingestd is to bring that about and to say so, naming `change`
 *     Deleting   ingestd is to take no more records, and to say so
 *
 * A crash at any point leaves one of these on the disk, and the next look of ingestd goes on from there: what is to be
 * performed is in the rows, never in a message. Outputs are untouched on error. Thread: the front's loop.
 */
#ifndef KMS_HSM_CATALOG_STREAMS_H
#define KMS_HSM_CATALOG_STREAMS_H

#include "catalog.h"
#include "shards.h"

#define KMS_RETENTION_MIN_HOURS 24u
#define KMS_RETENTION_MAX_HOURS 8760u

/* What a stream may have a number of times in 24 hours. */
enum kms_stream_event { KMS_EVENT_NONE = 0, KMS_EVENT_SHARD_COUNT = 1, KMS_EVENT_ENCRYPTION = 2 };

/* Of *stream, name, shard_count (1..KMS_SHARDS_MAX equal ranges), encrypted_kms, key_id, key_name, retention_hours (0:
 * KMS_RETENTION_MIN_HOURS), on_demand and created_ns are taken; *out_id is the new one. SLK_EXISTS, SLK_NOT_FOUND (no such
 * key), SLK_RANGE, SLK_LIMIT (tags). */
MUST_USE int kms_catalog_stream_create(struct kms_catalog *catalog, const struct kms_stream *stream,
	const struct kms_tag *tags, size_t tags_count, uint64_t *out_id);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_stream_get(
	struct kms_catalog *catalog, const char *name, struct kms_stream *out_stream);
/* By name, after the name after (""). all: those of delivery streams, too. */
MUST_USE int kms_catalog_stream_list(struct kms_catalog *catalog, const char *after, bool all,
	struct kms_stream *out_streams, size_t cap, size_t *out_count);
/* Write what of the row can change. event: noted with wall_ns. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_stream_set(struct kms_catalog *catalog, const struct kms_stream *stream,
	enum kms_stream_event event, uint64_t wall_ns);
/* SLK_NOT_FOUND. Shards, tags, policy and events go with it. */
MUST_USE int kms_catalog_stream_delete(struct kms_catalog *catalog, const char *name);
/* How many streams name the key. */
MUST_USE int kms_catalog_streams_of_key(
	struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES], uint64_t *out_count);
/* How often it was noted since. */
MUST_USE int kms_catalog_stream_events(struct kms_catalog *catalog, uint64_t stream_id,
	enum kms_stream_event event, uint64_t since_ns, uint64_t *out_count);

struct kms_stream_totals {
	uint64_t open_shards, on_demand_streams;
};
MUST_USE int kms_catalog_stream_totals(
	struct kms_catalog *catalog, struct kms_stream_totals *out_totals);

/* --- shards --- */

/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_shard_get(struct kms_catalog *catalog, uint64_t stream_id, uint32_t number,
	struct kms_shard *out_shard);

struct kms_shard_filter {
	bool all; /* nothing is left out; else those that others than ingestd see */
	uint64_t opened_by_ns; /* opened then or before */
	uint64_t closed_after_ns; /* still open then */
};
/* By number, from first on. */
MUST_USE int kms_catalog_shard_list(struct kms_catalog *catalog, uint64_t stream_id,
	const struct kms_shard_filter *filter, uint32_t first, struct kms_shard *out_shards,
	size_t cap, size_t *out_count);
/* All OPEN and CLOSING ones, by range; free() *out_shards. SLK_NO_MEMORY. */
MUST_USE int kms_catalog_shards_open(struct kms_catalog *catalog, uint64_t stream_id,
	struct kms_shard **out_shards, size_t *out_count);

/* The stream is Updating with this plan. Of *stream all that kms_catalog_stream_set() writes. SLK_NOT_FOUND: a shard of the
 * plan is not open, or there is no such stream. */
MUST_USE int kms_catalog_stream_reshard(struct kms_catalog *catalog,
	const struct kms_stream *stream, const struct kms_reshard *plan,
	enum kms_stream_event event, uint64_t wall_ns);

struct kms_shard_end {
	uint32_t shard;
	uint64_t end_sequence;
};
/* The change was performed: CLOSING shards are CLOSED with these ends, OPENING ones OPEN, PASSING ones CLOSED; a shard's first
 * number is the highest end of its parents. The stream is Active. ends: sorted by shard, one for each CLOSING shard; others
 * are not looked at. SLK_INVALID: one is missing, or below the shard's first number. SLK_NOT_FOUND, SLK_NO_MEMORY. */
MUST_USE int kms_catalog_stream_settle(struct kms_catalog *catalog, const struct kms_stream *stream,
	const struct kms_shard_end *ends, size_t ends_count, uint64_t wall_ns);

/* --- tags --- */

/* SLK_LIMIT: more than KMS_TAGS_MAX; nothing is changed then. SLK_NOT_FOUND: no such stream. */
MUST_USE int kms_catalog_stream_tags_set(
	struct kms_catalog *catalog, uint64_t stream_id, const struct kms_tag *tags, size_t count);
/* What is not there is no error. */
MUST_USE int kms_catalog_stream_tags_remove(
	struct kms_catalog *catalog, uint64_t stream_id, const char *const *tag_keys, size_t count);
/* By key, after the key after (""). */
MUST_USE int kms_catalog_stream_tags(struct kms_catalog *catalog, uint64_t stream_id,
	const char *after, struct kms_tag *out_tags, size_t cap, size_t *out_count);

#endif
