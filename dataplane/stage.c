#include "stage.h"

#include <stdlib.h>

int
dp_stage_init(struct dp_stage *stage, uint32_t capacity, uint32_t keyless_max)
{
	*stage = (struct dp_stage){
		.capacity = capacity, .keyless_max = keyless_max, .free_head = DP_STAGE_NONE};
	stage->pool = calloc(capacity, sizeof(*stage->pool));
	if (stage->pool == NULL)
		return SLK_NO_MEMORY;
	for (uint32_t i = capacity; i > 0; i--) {
		stage->pool[i - 1].next = stage->free_head;
		stage->free_head = i - 1;
	}
	return SLK_OK;
}

void
dp_stage_fini(struct dp_stage *stage)
{
	free(stage->pool);
	stage->pool = NULL;
}

void
dp_shard_init(struct dp_shard *shard, struct dp_stream *stream, uint32_t number)
{
	*shard = (struct dp_shard){
		.stream = stream, .number = number, .head = DP_STAGE_NONE, .tail = DP_STAGE_NONE};
}

void
dp_stage_activate(struct dp_stage *stage, struct dp_shard *shard)
{
	if (shard->active)
		return;
	shard->active = true;
	shard->active_next = NULL;
	if (stage->active_tail != NULL)
		stage->active_tail->active_next = shard;
	else
		stage->active_head = shard;
	stage->active_tail = shard;
}

struct dp_shard *
dp_stage_next_active(struct dp_stage *stage)
{
	struct dp_shard *shard = stage->active_head;

	if (shard == NULL)
		return NULL;
	stage->active_head = shard->active_next;
	if (stage->active_head == NULL)
		stage->active_tail = NULL;
	shard->active = false;
	return shard;
}

static uint64_t
block_bytes(const struct fmt_record *record)
{
	return FMT_RECORD_ENTRY_BYTES + record->key.len + record->data.len;
}

int
dp_stage_add(struct dp_stage *stage, struct dp_shard *shard, bool keyless,
	const struct fmt_record *record, void *owner, enum dp_owner kind)
{
	uint32_t i = stage->free_head;

	if (i == DP_STAGE_NONE)
		return SLK_FULL;
	if (keyless && stage->keyless >= stage->keyless_max)
		return SLK_LIMIT;
	struct dp_staged *s = &stage->pool[i];
	stage->free_head = s->next;
	*s = (struct dp_staged){*record, owner, kind, DP_STAGE_NONE};
	if (shard->tail != DP_STAGE_NONE)
		stage->pool[shard->tail].next = i;
	else
		shard->head = i;
	shard->tail = i;
	shard->count++;
	shard->bytes += block_bytes(record);
	stage->count++;
	stage->keyless += keyless;
	dp_stage_activate(stage, shard);
	return SLK_OK;
}

uint32_t
dp_stage_peek(const struct dp_stage *stage, const struct dp_shard *shard,
	struct fmt_record *out_records, uint32_t max_count, uint64_t max_bytes)
{
	uint64_t bytes = 0;
	uint32_t n = 0;

	for (uint32_t i = shard->head; i != DP_STAGE_NONE && n < max_count;
		i = stage->pool[i].next) {
		const struct fmt_record *record = &stage->pool[i].record;
		bytes += block_bytes(record);
		if (n > 0 && bytes > max_bytes)
			break;
		out_records[n++] = *record;
	}
	return n;
}

bool
dp_stage_pop(
	struct dp_stage *stage, struct dp_shard *shard, bool keyless, struct dp_staged *out_staged)
{
	uint32_t i = shard->head;

	if (i == DP_STAGE_NONE)
		return false;
	struct dp_staged *s = &stage->pool[i];
	*out_staged = *s;
	shard->head = s->next;
	if (shard->head == DP_STAGE_NONE)
		shard->tail = DP_STAGE_NONE;
	shard->count--;
	shard->bytes -= block_bytes(&s->record);
	s->next = stage->free_head;
	stage->free_head = i;
	stage->count--;
	stage->keyless -= keyless;
	return true;
}

/* They go to the free list as they are, so that the next records lie one behind the other again. */
void
dp_stage_cut(struct dp_stage *stage, struct dp_shard *shard, bool keyless, uint32_t n,
	uint32_t last, uint64_t bytes)
{
	const uint32_t first = shard->head;

	shard->head = stage->pool[last].next;
	if (shard->head == DP_STAGE_NONE)
		shard->tail = DP_STAGE_NONE;
	stage->pool[last].next = stage->free_head;
	stage->free_head = first;
	shard->count -= n;
	shard->bytes -= bytes;
	stage->count -= n;
	stage->keyless -= keyless ? n : 0;
}

void
dp_stage_key_changed(struct dp_stage *stage, uint32_t records, bool keyless)
{
	if (keyless)
		stage->keyless += records;
	else
		stage->keyless -= records;
}
