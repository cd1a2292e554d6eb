/* Streams and their shards, as Amazon Kinesis has them; kmsclient.h makes, describes, lists and deletes streams.
 *
 * As there: what is wrong leaves a sentence in *err; outputs are untouched on error; stream is a name or an ARN. A shard is
 * a number (shardId-000000000000 is 0), a hash key a 128-bit integer. A change of shards, of encryption and a deletion is
 * an intent: the stream is UPDATING when the call returns and ACTIVE once ingestd has performed it between two blocks;
 * docs/streams.md. Thread: the client's.
 *
 * Errors beyond those of kmsclient.h: SLK_INVALID_STATE, the stream is not ACTIVE (ResourceInUseException); SLK_LIMIT
 * (LimitExceededException); SLK_INVALID (InvalidArgumentException, ValidationException).
 */
#ifndef SLK_KMSCLIENT_STREAMS_H
#define SLK_KMSCLIENT_STREAMS_H

#include "kmsclient/kmsclient.h"
#include "kmsclient/life.h"

typedef unsigned __int128 kmsc_hash_key;

#define KMSC_SHARDS_MAX 10000u /* open ones of a stream */
#define KMSC_SHARD_ID_MAX 24u /* "shardId-000000000000", with terminator */
#define KMSC_HASH_KEY_TEXT 40u /* 39 decimal digits, with terminator */
#define KMSC_SHARDS_PAGE 200u /* of one kmsc_list_shards() at most */

enum kmsc_shard_state {
	KMSC_SHARD_OPEN,
	KMSC_SHARD_CLOSED,
	/* Seen by ingestd only, while a change waits for it: */
	KMSC_SHARD_CLOSING, /* still takes records; closed by the change */
	KMSC_SHARD_OPENING, /* open once the change is performed */
	KMSC_SHARD_PASSING, /* between the two: opened and closed by the change, never a record */
};

struct kmsc_shard {
	uint32_t number;
	enum kmsc_shard_state state;
	kmsc_hash_key start, end; /* both inclusive */
	bool has_parent, has_adjacent; /* parent: of a split or merge; adjacent: of a merge */
	uint32_t parent, adjacent;
	uint64_t
		created_s; /* Unix time; above that of its parents. For sequence numbers in Kinesis' form */
	uint64_t opened_ns, closed_ns; /* wall clock; 0: open */
	/* Numbers of records: first_sequence <= number, and of a closed shard number < end_sequence. A child's first_sequence is
	 * not below its parents' end_sequence. */
	uint64_t first_sequence, end_sequence;
};

/* --- shards --- */

/* Two children of shard: below new_start, and from it on. */
MUST_USE int kmsc_split_shard(struct kmsc *c, const char *stream, uint32_t shard,
	kmsc_hash_key new_start, struct slk_error *err);
/* One child of two shards: adjacent's range follows shard's. */
MUST_USE int kmsc_merge_shards(struct kmsc *c, const char *stream, uint32_t shard,
	uint32_t adjacent, struct slk_error *err);
/* target open shards with equal ranges. Half to twice the present number; ten times in 24 hours. */
MUST_USE int kmsc_update_shard_count(struct kmsc *c, const char *stream, uint32_t target,
	uint32_t *out_current, struct slk_error *err);

enum kmsc_shard_filter {
	KMSC_SHARDS_FROM_TRIM_HORIZON, /* all whose records have not expired */
	KMSC_SHARDS_AT_TRIM_HORIZON, /* those that were open then */
	KMSC_SHARDS_AT_LATEST, /* those that are open */
	KMSC_SHARDS_AFTER_SHARD_ID, /* with numbers above */
	KMSC_SHARDS_AT_TIMESTAMP, /* those that were open then */
	KMSC_SHARDS_FROM_TIMESTAMP, /* that were open then or later */
	KMSC_SHARDS_ALL, /* for ingestd: nothing is left out, and changes that wait are shown */
};
struct kmsc_shard_query {
	enum kmsc_shard_filter filter;
	uint32_t shard; /* AFTER_SHARD_ID */
	uint64_t timestamp_ns; /* ..._TIMESTAMP: Unix time */
};
/* Up to cap shards by number, after marker ("" first); *out_next (KMSC_MARKER_MAX bytes) is "" at the end. query: NULL for
 * FROM_TRIM_HORIZON. */
MUST_USE int kmsc_list_shards(struct kmsc *c, const char *stream,
	const struct kmsc_shard_query *query, const char *marker, struct kmsc_shard *out_shards,
	size_t cap, size_t *out_count, char *out_next, struct slk_error *err);

/* --- what else a stream has --- */

struct kmsc_stream_kind {
	uint32_t shard_count; /* 0: 4, of an ON_DEMAND one */
	const char *key; /* NULL: EncryptionType NONE */
	const char *mode; /* NULL: PROVISIONED */
	const struct kmsc_tag *tags;
	size_t tags_count; /* 0..KMSC_TAGS_MAX */
};
MUST_USE int kmsc_create_stream_with(struct kmsc *c, const char *name,
	const struct kmsc_stream_kind *kind, struct kmsc_stream *out_stream, struct slk_error *err);
/* 24..8,760. What it is already is no error. */
MUST_USE int kmsc_increase_stream_retention(
	struct kmsc *c, const char *stream, uint32_t hours, struct slk_error *err);
MUST_USE int kmsc_decrease_stream_retention(
	struct kmsc *c, const char *stream, uint32_t hours, struct slk_error *err);
/* key: id, ARN or alias. Another one than before changes the key. */
MUST_USE int kmsc_start_stream_encryption(
	struct kmsc *c, const char *stream, const char *key, struct slk_error *err);
MUST_USE int kmsc_stop_stream_encryption(
	struct kmsc *c, const char *stream, const char *key, struct slk_error *err);
MUST_USE int kmsc_add_tags_to_stream(struct kmsc *c, const char *stream,
	const struct kmsc_tag *tags, size_t count, struct slk_error *err);
MUST_USE int kmsc_remove_tags_from_stream(struct kmsc *c, const char *stream,
	const char *const *tag_keys, size_t count, struct slk_error *err);
/* By key, after marker ("" first; a tag's key). */
MUST_USE int kmsc_list_tags_for_stream(struct kmsc *c, const char *stream, const char *marker,
	struct kmsc_tag *out_tags, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);
/* mode: PROVISIONED or ON_DEMAND. */
MUST_USE int kmsc_update_stream_mode(
	struct kmsc *c, const char *stream, const char *mode, struct slk_error *err);

struct kmsc_stream_limits {
	uint32_t shard_limit, open_shard_count;
	uint32_t on_demand_stream_limit, on_demand_stream_count;
};
MUST_USE int kmsc_describe_limits(
	struct kmsc *c, struct kmsc_stream_limits *out_limits, struct slk_error *err);

/* --- for ingestd only --- */

struct kmsc_shard_end {
	uint32_t shard;
	uint64_t end_sequence;
};
/* The change of that number was performed; ends: of a resharding, every shard that it closed. May be said again.
 * SLK_NOT_FOUND: there is no such stream any more. SLK_INVALID_STATE: it is another change's turn. */
MUST_USE int kmsc_stream_changed(struct kmsc *c, const struct kmsc_stream *stream,
	const struct kmsc_shard_end *ends, size_t count, struct slk_error *err);

struct kmsc_changes {
	uint64_t stream_changes, right_changes; /* as in struct kmsc_status */
	uint64_t delivery_changes;
};
/* Wait until one of the numbers is another than in *io_changes, or wait_ms have passed (below the client's timeout). */
MUST_USE int kmsc_watch_streams(
	struct kmsc *c, struct kmsc_changes *io_changes, unsigned wait_ms, struct slk_error *err);

/* --- text --- */

/* "shardId-000000000000" */
void kmsc_shard_id_print(uint32_t number, char out[KMSC_SHARD_ID_MAX]);
/* As Kinesis takes them: "shardId-000000000007", "shardId-7", "7". SLK_INVALID. */
MUST_USE int kmsc_shard_id_parse(const char *text, uint32_t *out_number);
/* Decimal, without leading zeros. */
void kmsc_hash_key_print(kmsc_hash_key key, char out[KMSC_HASH_KEY_TEXT]);
/* 0|[1-9][0-9]{0,38}, below 2^128. SLK_INVALID. */
MUST_USE int kmsc_hash_key_parse(const char *text, kmsc_hash_key *out_key);

#endif
