/* Records that wait in a worker for their block: one queue per (stream, shard), all from one bounded pool.
 *
 * A record is staged where it lies: the queue keeps spans and the owner of the bytes (a packet buffer, a put), which is
 * released when the record leaves. Nothing is allocated after dp_stage_init(). Bounds: records of the whole worker, and
 * within them records of streams that have no data key yet, so that one stream without a key cannot starve the others.
 * The number of packet buffers is the caller's to bound. Thread: the worker's own.
 */
#ifndef DP_STAGE_H
#define DP_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "format/record.h"

#define DP_STAGE_NONE UINT32_MAX

struct dp_stream;

enum dp_owner { DP_OWNER_BUFFER, DP_OWNER_PUT };

struct dp_staged {
	struct fmt_record record;
	void *owner;
	enum dp_owner kind;
	uint32_t next;
};

/* The queue of one shard. Zeroed and dp_shard_init() before use. */
struct dp_shard {
	struct dp_stream *stream;
	uint32_t number; /* in the catalog and in the journal */
	uint32_t head, tail;
	uint32_t count;
	uint64_t bytes; /* of the block's plaintext that these records would make */
	struct dp_shard *active_next; /* shards that hold records, in order of arrival */
	bool active;
	bool held; /* no block before its parents have had their last one */
	uint64_t first_sequence; /* no record has a lower number */
};

struct dp_stage {
	struct dp_staged *pool;
	uint32_t capacity;
	uint32_t free_head;
	uint32_t count; /* records staged */
	uint32_t keyless; /* of them, in streams without a key */
	uint32_t keyless_max;
	struct dp_shard *active_head, *active_tail;
};

/* capacity: records in all; keyless_max: of streams without a key. SLK_NO_MEMORY. */
MUST_USE int dp_stage_init(struct dp_stage *stage, uint32_t capacity, uint32_t keyless_max);
void dp_stage_fini(struct dp_stage *stage);

void dp_shard_init(struct dp_shard *shard, struct dp_stream *stream, uint32_t number);

/* Append a record. SLK_FULL: the pool is full; SLK_LIMIT: the stream has no key and the keyless bound is reached. On error
 * nothing is kept and the owner stays the caller's. */
MUST_USE int dp_stage_add(struct dp_stage *stage, struct dp_shard *shard, bool keyless,
	const struct fmt_record *record, void *owner, enum dp_owner kind);

/* The first records of a shard that fit one block: at most max_count records and max_bytes with their table, but always
 * one. Fills out_records and returns their number; nothing is removed. */
uint32_t dp_stage_peek(const struct dp_stage *stage, const struct dp_shard *shard,
	struct fmt_record *out_records, uint32_t max_count, uint64_t max_bytes);

/* Remove the first record; its owner is the caller's again. false if there is none. */
bool dp_stage_pop(
	struct dp_stage *stage, struct dp_shard *shard, bool keyless, struct dp_staged *out_staged);

/* The first n records in order, without removing them: begin with shard->head and go on by ->next, n times; there are that many. */
static inline const struct dp_staged *
dp_stage_at(const struct dp_stage *stage, uint32_t index)
{
	return &stage->pool[index];
}

/* Remove the first n >= 1 records, of which `last` is the index of the last one and bytes what they make of a block's plaintext; their
 * owners are the caller's again. */
void dp_stage_cut(struct dp_stage *stage, struct dp_shard *shard, bool keyless, uint32_t n,
	uint32_t last, uint64_t bytes);

/* A stream got its key, or lost it: its records move between the bounds. records: staged in all its shards. */
void dp_stage_key_changed(struct dp_stage *stage, uint32_t records, bool keyless);

/* Take the first active shard out of the list / put one back at the end. */
struct dp_shard *dp_stage_next_active(struct dp_stage *stage);
void dp_stage_activate(struct dp_stage *stage, struct dp_shard *shard);

#endif
