/* The shards of a stream as the catalog has them, and what ingestd makes of them: the open ones by range, and what is to be
 * done where a change waits. Pure; thread: any.
 *
 * A layout is what records are routed by: shards that a change closes are not in it, those that it opens are. So a stream
 * that is found in the middle of a change (after a crash) is written as it will be, and no closed shard gets one record more.
 */
#ifndef DP_LAYOUT_H
#define DP_LAYOUT_H

#include <stdint.h>

#include "base/error.h"
#include "base/status.h"
#include "kmsclient/streams.h"
#include "net/partition.h"

struct dp_layout_shard {
	uint32_t number;
	uint64_t
		first_sequence; /* not below; of one that is being opened it is known when its parents have ended */
	bool opening;
};

struct dp_layout {
	uint32_t count;
	struct dp_layout_shard *shards; /* by range */
	dp_hash_key *starts; /* of each; NULL: equal ranges */
};

/* rows: all shards of the stream, by number. SLK_MALFORMED: the open ones do not cover every hash key once; SLK_RANGE: more than
 * DP_SHARD_COUNT_MAX; SLK_NO_MEMORY. */
MUST_USE int dp_layout_new(
	const struct kmsc_shard *rows, size_t count, struct dp_layout *out_layout);
void dp_layout_fini(struct dp_layout *layout);

#define DP_NO_SHARD UINT32_MAX

/* One of the shards that a change is about, parents before children. */
struct dp_pending {
	uint32_t number;
	enum kmsc_shard_state state; /* CLOSING, OPENING, PASSING */
	uint32_t parent, adjacent; /* places among the pending ones; DP_NO_SHARD */
	uint64_t first; /* OPENING, PASSING: the highest end of its parents */
	uint64_t end; /* CLOSING: what is known of it before; then where it ended */
};

/* Those of rows that a change is about; *out_count 0 and *out_pending NULL: none. free() it. SLK_MALFORMED: a parent is missing;
 * SLK_NO_MEMORY. */
MUST_USE int dp_pending_new(const struct kmsc_shard *rows, size_t count,
	struct dp_pending **out_pending, uint32_t *out_count);
/* Ends of the CLOSING ones are known: fill in the rest. */
void dp_pending_settle(struct dp_pending *pending, uint32_t count);

#endif
