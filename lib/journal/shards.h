/* Per-shard counters of a lane and of a file: a small open-addressing table keyed by (stream id, shard).
 * Internal to lib/journal. Thread: its owner's. */
#ifndef SLK_JOURNAL_SHARDS_H
#define SLK_JOURNAL_SHARDS_H

#include <stdint.h>

#include "base/status.h"
#include "format/footer.h"

struct jnl_shards {
	struct fmt_footer_shard *rows; /* dense, in the order of their first block */
	uint32_t count, cap;
	uint32_t *slots; /* index + 1 into rows, 0 empty; a power of two, at least twice cap */
	uint32_t slot_count;
};

/* Room for cap rows, allocated at once, so that later insertions never do. SLK_NO_MEMORY. */
MUST_USE int jnl_shards_init(struct jnl_shards *s, uint32_t cap);
void jnl_shards_fini(struct jnl_shards *s);
void jnl_shards_clear(struct jnl_shards *s);

/* NULL if it is not there. */
struct fmt_footer_shard *jnl_shards_find(
	const struct jnl_shards *s, uint64_t stream_id, uint32_t shard);
/* Find or make a zeroed row; NULL if the table is full. */
struct fmt_footer_shard *jnl_shards_get(struct jnl_shards *s, uint64_t stream_id, uint32_t shard);

/* Account one data block. */
void jnl_shards_add(struct fmt_footer_shard *row, uint64_t position, uint64_t first_sequence,
	uint32_t records, uint64_t first_arrival_ns, uint64_t last_arrival_ns);

#endif
