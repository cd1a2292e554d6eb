#include "format/shardtable.h"

int
fmt_shardtable_encode(
	const struct fmt_shard *shards, uint32_t count, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	if (count == 0 || count > FMT_SHARDTABLE_ENTRIES_MAX)
		return SLK_INVALID;
	slk_write_le32(&w, count);
	slk_write_le32(&w, 0);
	for (uint32_t i = 0; i < count; i++) {
		slk_write_le64(&w, shards[i].stream_id);
		slk_write_le32(&w, shards[i].shard);
		slk_write_le32(&w, 0);
		slk_write_le64(&w, shards[i].next_sequence);
	}
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

int
fmt_shardtable_check(struct slk_span in, uint32_t *out_count)
{
	struct slk_reader r = slk_reader(in);
	uint32_t count = slk_read_le32(&r);
	uint32_t reserved = slk_read_le32(&r);

	if (r.status != SLK_OK)
		return r.status;
	if (count == 0 || count > FMT_SHARDTABLE_ENTRIES_MAX || reserved != 0)
		return SLK_MALFORMED;
	if (in.len < fmt_shardtable_bytes(count))
		return SLK_TRUNCATED;
	if (in.len > fmt_shardtable_bytes(count))
		return SLK_MALFORMED;
	for (uint32_t i = 0; i < count; i++) {
		if (slk_get_le32(in.ptr + fmt_shardtable_bytes(i) + 12) != 0)
			return SLK_MALFORMED;
	}
	*out_count = count;
	return SLK_OK;
}

struct fmt_shard
fmt_shardtable_entry(struct slk_span in, uint32_t index)
{
	const uint8_t *p = in.ptr + fmt_shardtable_bytes(index);

	return (struct fmt_shard){slk_get_le64(p), slk_get_le32(p + 8), slk_get_le64(p + 16)};
}
