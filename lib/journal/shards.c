#include "journal/shards.h"

#include <stdlib.h>
#include <string.h>

int
jnl_shards_init(struct jnl_shards *s, uint32_t cap)
{
	memset(s, 0, sizeof(*s));
	s->slot_count = 16;
	while (s->slot_count < 2 * cap)
		s->slot_count *= 2;
	s->cap = cap;
	s->rows = calloc(cap, sizeof(*s->rows));
	s->slots = calloc(s->slot_count, sizeof(*s->slots));
	if (s->rows == NULL || s->slots == NULL) {
		jnl_shards_fini(s);
		return SLK_NO_MEMORY;
	}
	return SLK_OK;
}

void
jnl_shards_fini(struct jnl_shards *s)
{
	free(s->rows);
	free(s->slots);
	memset(s, 0, sizeof(*s));
}

void
jnl_shards_clear(struct jnl_shards *s)
{
	s->count = 0;
	memset(s->slots, 0, s->slot_count * sizeof(*s->slots));
}

static uint32_t
slot_of(const struct jnl_shards *s, uint64_t stream_id, uint32_t shard)
{
	uint64_t h = (stream_id * 0x9e3779b97f4a7c15ull) ^ (shard * 0xc2b2ae3d27d4eb4full);

	h ^= h >> 29;
	uint32_t i = (uint32_t)h & (s->slot_count - 1);
	while (s->slots[i] != 0) {
		const struct fmt_footer_shard *row = &s->rows[s->slots[i] - 1];
		if (row->stream_id == stream_id && row->shard == shard)
			break;
		i = (i + 1) & (s->slot_count - 1);
	}
	return i;
}

struct fmt_footer_shard *
jnl_shards_find(const struct jnl_shards *s, uint64_t stream_id, uint32_t shard)
{
	uint32_t slot = s->slots[slot_of(s, stream_id, shard)];

	return slot != 0 ? &s->rows[slot - 1] : NULL;
}

struct fmt_footer_shard *
jnl_shards_get(struct jnl_shards *s, uint64_t stream_id, uint32_t shard)
{
	uint32_t i = slot_of(s, stream_id, shard);

	if (s->slots[i] != 0)
		return &s->rows[s->slots[i] - 1];
	if (s->count == s->cap)
		return NULL;
	struct fmt_footer_shard *row = &s->rows[s->count++];
	memset(row, 0, sizeof(*row));
	row->stream_id = stream_id;
	row->shard = shard;
	s->slots[i] = s->count;
	return row;
}

void
jnl_shards_add(struct fmt_footer_shard *row, uint64_t position, uint64_t first_sequence,
	uint32_t records, uint64_t first_arrival_ns, uint64_t last_arrival_ns)
{
	if (row->blocks == 0) {
		row->position = position;
		row->first_sequence = first_sequence;
		row->first_arrival_ns = first_arrival_ns;
		row->last_arrival_ns = last_arrival_ns;
	}
	row->blocks++;
	row->next_sequence = first_sequence + records;
	if (first_arrival_ns < row->first_arrival_ns)
		row->first_arrival_ns = first_arrival_ns;
	if (last_arrival_ns > row->last_arrival_ns)
		row->last_arrival_ns = last_arrival_ns;
}
