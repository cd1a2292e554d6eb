/* Ranges of hash keys, and what a change of shards makes of them. Pure: no catalog, no clock.
 *
 * A hash key is a 128-bit integer; the open shards of a stream cover all of them, each once. A split closes one shard and
 * opens two, a merge closes two that lie side by side and opens one. UpdateShardCount is a series of both: each open shard is
 * split where the ranges wanted begin inside it, then the pieces of each range are merged. What is made and used up on the
 * way (PASSING) never takes a record. A shard that has the range wanted already is left alone. Thread: any.
 */
#ifndef KMS_HSM_SHARDS_H
#define KMS_HSM_SHARDS_H

#include "catalog.h"

typedef unsigned __int128 kms_hash;

#define KMS_HASH_MAX (~(kms_hash)0)
#define KMS_HASH_BYTES 16u /* big-endian */
#define KMS_HASH_TEXT 40u /* 39 decimal digits, with terminator */
#define KMS_SHARDS_MAX 10000u /* open ones of a stream */

/* In the catalog's rows: never change a number. */
enum kms_shard_state {
	KMS_SHARD_OPEN = 0,
	KMS_SHARD_CLOSED = 1,
	KMS_SHARD_CLOSING = 2, /* takes records until ingestd has performed the change */
	KMS_SHARD_OPENING = 3, /* open once it has */
	KMS_SHARD_PASSING = 4, /* opened and closed by the change */
};

struct kms_shard {
	uint32_t number;
	enum kms_shard_state state;
	kms_hash start, end; /* both inclusive */
	bool has_parent, has_adjacent;
	uint32_t parent, adjacent;
	uint64_t created_s; /* Unix time, above that of its parents */
	uint64_t opened_ns, closed_ns; /* Unix time; 0: not yet */
	uint64_t first_sequence, end_sequence;
};

/* The i-th of n equal ranges: floor(2^128 / n) * i up to the next; the last ends at 2^128 - 1. */
void kms_shard_range(uint32_t i, uint32_t n, kms_hash *out_start, kms_hash *out_end);

void kms_hash_put(kms_hash hash, uint8_t out[KMS_HASH_BYTES]);
kms_hash kms_hash_get(const uint8_t bytes[KMS_HASH_BYTES]);
/* Decimal, without leading zeros. */
void kms_hash_print(kms_hash hash, char out[KMS_HASH_TEXT]);

struct kms_reshard {
	struct kms_shard *fresh; /* OPENING and PASSING, by number, parents before children */
	size_t fresh_count;
	uint32_t *closing; /* numbers of open shards that it closes, ascending by range */
	size_t closing_count;
};

/* Each: next is the number of the first fresh shard, now_s the Unix time. Free *out with kms_reshard_fini(). SLK_NO_MEMORY. */

/* new_start: above shard->start, not above shard->end. */
MUST_USE int kms_reshard_split(const struct kms_shard *shard, kms_hash new_start, uint32_t next,
	uint64_t now_s, struct kms_reshard *out);
/* second's range follows first's. */
MUST_USE int kms_reshard_merge(const struct kms_shard *first, const struct kms_shard *second,
	uint32_t next, uint64_t now_s, struct kms_reshard *out);
/* open: all open shards, by range. target: 1..KMS_SHARDS_MAX. Nothing closes if the ranges are the wanted ones. */
MUST_USE int kms_reshard_count(const struct kms_shard *open, size_t count, uint32_t target,
	uint32_t next, uint64_t now_s, struct kms_reshard *out);
void kms_reshard_fini(struct kms_reshard *plan);

#endif
