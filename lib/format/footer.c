#include "format/footer.h"

#include <stdbool.h>

#include "format/block.h"

static void
shard_write(struct slk_writer *w, const struct fmt_footer_shard *s)
{
	slk_write_le64(w, s->stream_id);
	slk_write_le32(w, s->shard);
	slk_write_le32(w, 0);
	slk_write_le64(w, s->position);
	slk_write_le64(w, s->blocks);
	slk_write_le64(w, s->first_sequence);
	slk_write_le64(w, s->next_sequence);
	slk_write_le64(w, s->first_arrival_ns);
	slk_write_le64(w, s->last_arrival_ns);
	slk_write_le64(w, 0);
}

static void
sparse_write(struct slk_writer *w, const struct fmt_footer_sparse *s)
{
	slk_write_le64(w, s->position);
	slk_write_le32(w, s->shard_index);
	slk_write_le32(w, 0);
	slk_write_le64(w, s->first_sequence);
	slk_write_le64(w, s->latest_before_ns);
}

int
fmt_footer_encode(const struct fmt_footer *footer, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	slk_write_le32(&w, footer->flags);
	slk_write_le32(&w, footer->shard_count);
	slk_write_le32(&w, footer->sparse_count);
	slk_write_le32(&w, footer->key_count);
	slk_write_le64(&w, footer->blocks);
	slk_write_le64(&w, footer->records);
	slk_write_le64(&w, footer->plain_bytes);
	for (uint32_t i = 0; i < footer->shard_count; i++)
		shard_write(&w, &footer->shards[i]);
	for (uint32_t i = 0; i < footer->sparse_count; i++)
		sparse_write(&w, &footer->sparse[i]);
	for (uint32_t i = 0; i < footer->key_count; i++) {
		slk_write_le64(&w, footer->keys[i].epoch_id);
		slk_write_le64(&w, footer->keys[i].stream_id);
		slk_write_le64(&w, footer->keys[i].position);
	}
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

static const uint8_t *
shard_ptr(const struct fmt_footer *f, uint32_t index)
{
	return f->raw.ptr + fmt_footer_bytes(index, 0, 0);
}

static const uint8_t *
sparse_ptr(const struct fmt_footer *f, uint32_t index)
{
	return f->raw.ptr + fmt_footer_bytes(f->shard_count, index, 0);
}

static bool
shards_sane(const struct fmt_footer *f)
{
	for (uint32_t i = 0; i < f->shard_count; i++) {
		struct fmt_footer_shard s = fmt_footer_shard_at(f, i);
		const uint8_t *p = shard_ptr(f, i);
		if (slk_get_le32(p + 12) != 0 || slk_get_le64(p + 64) != 0)
			return false;
		if (s.blocks == 0 || s.next_sequence <= s.first_sequence ||
			s.first_arrival_ns > s.last_arrival_ns || s.position % FMT_BLOCK_ALIGN != 0)
			return false;
	}
	return true;
}

static bool
sparse_sane(const struct fmt_footer *f)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < f->sparse_count; i++) {
		struct fmt_footer_sparse s = fmt_footer_sparse_at(f, i);
		if (slk_get_le32(sparse_ptr(f, i) + 12) != 0 || s.shard_index >= f->shard_count)
			return false;
		if (s.position <= last || s.position % FMT_BLOCK_ALIGN != 0)
			return false;
		last = s.position;
	}
	return true;
}

static bool
keys_sane(const struct fmt_footer *f)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < f->key_count; i++) {
		struct fmt_footer_key k = fmt_footer_key_at(f, i);
		if (k.position <= last || k.position % FMT_BLOCK_ALIGN != 0)
			return false;
		last = k.position;
	}
	return true;
}

int
fmt_footer_decode(struct slk_span in, struct fmt_footer *out_footer)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_footer f = {.raw = in};

	f.flags = slk_read_le32(&r);
	f.shard_count = slk_read_le32(&r);
	f.sparse_count = slk_read_le32(&r);
	f.key_count = slk_read_le32(&r);
	f.blocks = slk_read_le64(&r);
	f.records = slk_read_le64(&r);
	f.plain_bytes = slk_read_le64(&r);
	if (r.status != SLK_OK)
		return r.status;
	uint64_t want = fmt_footer_bytes(f.shard_count, f.sparse_count, f.key_count);
	if (in.len < want)
		return SLK_TRUNCATED;
	if (in.len > want || (f.flags & ~FMT_FOOTER_FLAGS) != 0)
		return SLK_MALFORMED;
	if (!shards_sane(&f) || !sparse_sane(&f) || !keys_sane(&f))
		return SLK_MALFORMED;
	*out_footer = f;
	return SLK_OK;
}

struct fmt_footer_shard
fmt_footer_shard_at(const struct fmt_footer *footer, uint32_t index)
{
	const uint8_t *p = shard_ptr(footer, index);

	return (struct fmt_footer_shard){
		.stream_id = slk_get_le64(p),
		.shard = slk_get_le32(p + 8),
		.position = slk_get_le64(p + 16),
		.blocks = slk_get_le64(p + 24),
		.first_sequence = slk_get_le64(p + 32),
		.next_sequence = slk_get_le64(p + 40),
		.first_arrival_ns = slk_get_le64(p + 48),
		.last_arrival_ns = slk_get_le64(p + 56),
	};
}

struct fmt_footer_sparse
fmt_footer_sparse_at(const struct fmt_footer *footer, uint32_t index)
{
	const uint8_t *p = sparse_ptr(footer, index);

	return (struct fmt_footer_sparse){
		.position = slk_get_le64(p),
		.shard_index = slk_get_le32(p + 8),
		.first_sequence = slk_get_le64(p + 16),
		.latest_before_ns = slk_get_le64(p + 24),
	};
}

struct fmt_footer_key
fmt_footer_key_at(const struct fmt_footer *footer, uint32_t index)
{
	const uint8_t *p = footer->raw.ptr +
		fmt_footer_bytes(footer->shard_count, footer->sparse_count, index);

	return (struct fmt_footer_key){slk_get_le64(p), slk_get_le64(p + 8), slk_get_le64(p + 16)};
}

void
fmt_trailer_encode(uint64_t footer_position, uint8_t out[FMT_TRAILER_BYTES])
{
	slk_put_le64(out, footer_position);
}

int
fmt_trailer_decode(struct slk_span in, uint64_t *out_position)
{
	if (in.len < FMT_TRAILER_BYTES)
		return SLK_TRUNCATED;
	uint64_t position = slk_get_le64(in.ptr);
	if (in.len > FMT_TRAILER_BYTES || position == 0 || position % FMT_GROUP_ALIGN != 0)
		return SLK_MALFORMED;
	*out_position = position;
	return SLK_OK;
}
