/* What every record is, where it lies, and what was promised about it. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define HEAD_BYTES 16u

static void *
must(struct sim *s, void *ptr)
{
	SIM_CHECK(s, SIM_STUCK, ptr != NULL);
	return ptr;
}

uint64_t
sim_record_new(struct sim *s, unsigned stream, bool put)
{
	if (s->record_count == s->record_cap) {
		s->record_cap = s->record_cap == 0 ? 1024 : 2 * s->record_cap;
		s->records = must(s, realloc(s->records, s->record_cap * sizeof(*s->records)));
	}
	s->records[s->record_count] = (struct sim_record){.stream = (uint8_t)stream, .put = put};
	return s->record_count++;
}

/* Printable but for the id, so that a record is one line; sizes on both sides of what is gathered. */
size_t
sim_record_bytes(const struct sim *s, uint64_t id, uint8_t *out, size_t cap)
{
	uint64_t x = (id + s->seed) * 0x9e3779b97f4a7c15ull >> 20;
	size_t len = HEAD_BYTES + x % (s->heavy ? 1300 : 200);
	static const char digits[] = "0123456789abcdef";

	len = len < cap ? len : cap;
	memcpy(out, SIM_MARK, 8);
	for (unsigned i = 0; i < 8; i++)
		out[8 + i] = (uint8_t)digits[id >> (4 * (7 - i)) & 15];
	memset(out + HEAD_BYTES, 'a' + (int)(id % 26), len - HEAD_BYTES);
	return len;
}

uint64_t
sim_record_check(struct sim *s, struct slk_span data)
{
	uint8_t expected[2048];
	uint64_t id = 0;

	SIM_CHECK(s, SIM_BELIEVED, data.len >= HEAD_BYTES && memcmp(data.ptr, SIM_MARK, 8) == 0);
	for (unsigned i = 8; i < HEAD_BYTES; i++) {
		uint8_t c = data.ptr[i];
		id = id << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	SIM_CHECK(s, SIM_BELIEVED, id < s->record_count);
	size_t len = sim_record_bytes(s, id, expected, sizeof(expected));
	SIM_CHECK(s, SIM_BELIEVED, data.len == len && memcmp(data.ptr, expected, len) == 0);
	return id;
}

struct sim_shard *
sim_shard(struct sim *s, uint64_t stream_id, uint32_t shard)
{
	SIM_CHECK(
		s, SIM_BELIEVED, stream_id > 0 && stream_id < SIM_STREAM_IDS && shard < SIM_SHARDS);
	return &s->shards[stream_id][shard];
}

void
sim_take_acknowledgements(struct sim *s, unsigned lane)
{
	uint64_t durable = jnl_lane_durable(jnl_lane(s->journal, lane));
	size_t kept = 0;

	for (size_t i = 0; i < s->append_count; i++) {
		struct sim_append a = s->appends[i];
		if (a.lane != lane || a.lsn > durable) {
			s->appends[kept++] = a;
			continue;
		}
		struct sim_shard *shard = sim_shard(s, a.stream_id, a.shard);
		if (a.next > shard->acked) {
			s->acknowledged += a.next - shard->acked;
			shard->acked = a.next;
		}
	}
	s->append_count = kept;
}

/* The reader has been to the end: what it did not find was not acknowledged, and is lost. */
void
sim_model_recovered(struct sim *s)
{
	for (unsigned i = 0; i < SIM_STREAM_IDS * SIM_SHARDS; i++) {
		struct sim_shard *shard = &s->shards[i / SIM_SHARDS][i % SIM_SHARDS];
		SIM_CHECK(s, SIM_LOST, shard->read_to >= shard->acked);
		SIM_CHECK(s, SIM_LOST, shard->read_to >= shard->seen);
		SIM_CHECK(s, SIM_SEQUENCE, shard->read_to <= shard->next);
		for (uint64_t n = shard->read_to; n < shard->next; n++)
			s->records[shard->ids[n]].stored--;
		shard->next = shard->acked = shard->seen = shard->read_to;
	}
	for (unsigned lane = 0; lane < s->workers; lane++) {
		for (unsigned i = 0; i < SIM_STREAMS; i++) {
			const struct sim_stream *st = &s->kms.streams[i];
			for (uint32_t k = 0; st->exists && k < st->shard_count; k++)
				SIM_CHECK(s, SIM_SEQUENCE,
					jnl_lane_next_sequence(jnl_lane(s->journal, lane), st->id,
						k) == s->shards[st->id][k].next);
		}
	}
	s->append_count = 0;
}
