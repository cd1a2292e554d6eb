#include "format/block.h"

#include <assert.h>
#include <stdbool.h>

#include "format/record.h"

#define VERSION 1u
#define CRC_OFFSET 12u

static uint64_t
content_bytes(enum fmt_block_type type, uint64_t body_bytes)
{
	uint64_t bytes = FMT_BLOCK_HEADER_BYTES + body_bytes;

	if (type == FMT_BLOCK_DATA || type == FMT_BLOCK_MOVED)
		bytes += FMT_BLOCK_TAG_BYTES;
	return type == FMT_BLOCK_MOVED ? bytes + FMT_BLOCK_ORIGIN_BYTES : bytes;
}

uint64_t
fmt_block_total(enum fmt_block_type type, uint64_t body_bytes)
{
	return (content_bytes(type, body_bytes) + FMT_BLOCK_ALIGN - 1) / FMT_BLOCK_ALIGN *
		FMT_BLOCK_ALIGN;
}

void
fmt_block_encode(const struct fmt_block *block, uint8_t out[FMT_BLOCK_HEADER_BYTES])
{
	struct slk_writer w = slk_writer(out, FMT_BLOCK_HEADER_BYTES);

	slk_write_bytes(&w, FMT_BLOCK_MAGIC, 4);
	slk_write_u8(&w, VERSION);
	slk_write_u8(&w, (uint8_t)block->type);
	slk_write_le16(&w, 0);
	slk_write_le32(&w, block->total_bytes);
	slk_write_le32(&w, 0);
	slk_write_le64(&w, block->file_id);
	slk_write_le64(&w, block->position);
	slk_write_le64(&w, block->durable);
	slk_write_le64(&w, block->epoch_id);
	slk_write_le64(&w, block->stream_id);
	slk_write_le32(&w, block->shard);
	slk_write_le32(&w, block->record_count);
	slk_write_le64(&w, block->block_number);
	slk_write_le64(&w, block->first_sequence);
	slk_write_le32(&w, block->body_bytes);
	slk_write_le32(&w, 0);
	slk_write_le64(&w, block->first_arrival_ns);
	slk_write_le64(&w, block->last_arrival_ns);
	slk_write_zeros(&w, 24);
	assert(w.status == SLK_OK && w.len == FMT_BLOCK_HEADER_BYTES);
}

/* CRC of a block with its CRC field taken as zero. */
static uint32_t
block_crc(const uint8_t *in, uint32_t total_bytes, uint32_t seed)
{
	static const uint8_t zero[4];
	uint32_t crc = slk_crc32c(seed, in, CRC_OFFSET);

	crc = slk_crc32c(crc, zero, sizeof(zero));
	return slk_crc32c(
		crc, in + CRC_OFFSET + sizeof(zero), total_bytes - CRC_OFFSET - sizeof(zero));
}

void
fmt_block_finish(uint8_t *in, uint32_t total_bytes, uint32_t crc_seed)
{
	uint64_t content = content_bytes((enum fmt_block_type)in[5], slk_get_le32(in + 80));

	assert(content <= total_bytes);
	memset(in + content, 0, total_bytes - content);
	slk_put_le32(in + CRC_OFFSET, block_crc(in, total_bytes, crc_seed));
}

/* Fields that only some types have are zero in the others. */
static bool
fields_fit_type(const struct fmt_block *b)
{
	bool keyed = b->type == FMT_BLOCK_KEY || fmt_block_is_data(b);

	if (!keyed && (b->epoch_id != 0 || b->stream_id != 0))
		return false;
	if (fmt_block_is_data(b))
		return b->record_count > 0 &&
			b->body_bytes >= fmt_record_table_bytes(b->record_count) &&
			b->first_sequence <= UINT64_MAX - b->record_count &&
			b->first_arrival_ns <= b->last_arrival_ns;
	return b->shard == 0 && b->record_count == 0 && b->block_number == 0 &&
		b->first_sequence == 0 && b->first_arrival_ns == 0 && b->last_arrival_ns == 0;
}

static bool
lengths_fit(const struct fmt_block *b)
{
	if (b->total_bytes > FMT_BLOCK_MAX ||
		b->total_bytes != fmt_block_total(b->type, b->body_bytes))
		return false;
	return b->position % FMT_BLOCK_ALIGN == 0 && b->durable <= b->position;
}

int
fmt_block_decode(struct slk_span in, struct fmt_block *out_block)
{
	struct slk_reader r = slk_reader(
		slk_span(in.ptr, in.len < FMT_BLOCK_HEADER_BYTES ? 0 : FMT_BLOCK_HEADER_BYTES));
	struct fmt_block b = {0};

	if (in.len < FMT_BLOCK_HEADER_BYTES)
		return SLK_TRUNCATED;
	if (memcmp(slk_read_span(&r, 4).ptr, FMT_BLOCK_MAGIC, 4) != 0)
		return SLK_MALFORMED;
	if (slk_read_u8(&r) != VERSION)
		return SLK_BAD_VERSION;
	uint8_t type = slk_read_u8(&r);
	uint64_t reserved = slk_read_le16(&r);
	b.type = (enum fmt_block_type)type;
	b.total_bytes = slk_read_le32(&r);
	(void)slk_read_le32(&r); /* CRC */
	b.file_id = slk_read_le64(&r);
	b.position = slk_read_le64(&r);
	b.durable = slk_read_le64(&r);
	b.epoch_id = slk_read_le64(&r);
	b.stream_id = slk_read_le64(&r);
	b.shard = slk_read_le32(&r);
	b.record_count = slk_read_le32(&r);
	b.block_number = slk_read_le64(&r);
	b.first_sequence = slk_read_le64(&r);
	b.body_bytes = slk_read_le32(&r);
	reserved |= slk_read_le32(&r);
	b.first_arrival_ns = slk_read_le64(&r);
	b.last_arrival_ns = slk_read_le64(&r);
	for (unsigned i = 0; i < 3; i++)
		reserved |= slk_read_le64(&r);
	if (slk_reader_end(&r) != SLK_OK || reserved != 0 || type < FMT_BLOCK_KEY ||
		type > FMT_BLOCK_MOVED)
		return SLK_MALFORMED;
	if (!lengths_fit(&b) || !fields_fit_type(&b))
		return SLK_MALFORMED;
	*out_block = b;
	return SLK_OK;
}

/* Padding behind every body, and the body of a pad. */
static bool
padding_is_zero(const uint8_t *in, const struct fmt_block *b)
{
	const bool empty = b->type == FMT_BLOCK_PAD || b->type == FMT_BLOCK_LOST;
	uint64_t from = empty ? FMT_BLOCK_HEADER_BYTES : content_bytes(b->type, b->body_bytes);

	for (uint64_t i = from; i < b->total_bytes; i++) {
		if (in[i] != 0)
			return false;
	}
	return true;
}

/* Where a moved block's origin lies. */
static const uint8_t *
origin_of(const uint8_t *in, const struct fmt_block *b)
{
	return in + FMT_BLOCK_HEADER_BYTES + b->body_bytes + FMT_BLOCK_TAG_BYTES;
}

/* It was sealed for an earlier file of its lane. */
static bool
origin_is_sane(const uint8_t *in, const struct fmt_block *b)
{
	if (b->type != FMT_BLOCK_MOVED)
		return true;
	const uint8_t *origin = origin_of(in, b);
	const uint64_t file_id = slk_get_le64(origin);
	const uint64_t position = slk_get_le64(origin + 8);
	return file_id > 0 && file_id < b->file_id && position % FMT_BLOCK_ALIGN == 0 &&
		slk_get_le64(origin + 16) <= position;
}

int
fmt_block_check(struct slk_span in, uint32_t crc_seed, uint64_t file_id, uint64_t position,
	struct fmt_block *out_block)
{
	struct fmt_block b;
	int rc = fmt_block_decode(in, &b);

	if (rc != SLK_OK)
		return rc;
	if (b.file_id != file_id || b.position != position)
		return SLK_BAD_CRC;
	if (in.len < b.total_bytes)
		return SLK_TRUNCATED;
	if (slk_get_le32(in.ptr + CRC_OFFSET) != block_crc(in.ptr, b.total_bytes, crc_seed))
		return SLK_BAD_CRC;
	if (!padding_is_zero(in.ptr, &b) || !origin_is_sane(in.ptr, &b))
		return SLK_MALFORMED;
	*out_block = b;
	return SLK_OK;
}

uint32_t
fmt_block_seed(struct slk_span in)
{
	static const uint8_t zero[4];
	uint32_t crc = slk_get_le32(in.ptr + CRC_OFFSET);

	crc = slk_crc32c_unwind(crc, in.ptr + CRC_OFFSET + 4, in.len - CRC_OFFSET - 4);
	crc = slk_crc32c_unwind(crc, zero, sizeof(zero));
	return slk_crc32c_unwind(crc, in.ptr, CRC_OFFSET);
}

void
fmt_block_sealed_header(
	const uint8_t *raw, const struct fmt_block *block, uint8_t out[FMT_BLOCK_HEADER_BYTES])
{
	struct fmt_block b = *block;

	if (b.type == FMT_BLOCK_MOVED) {
		const uint8_t *origin = origin_of(raw, block);
		b.type = FMT_BLOCK_DATA;
		b.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_DATA, b.body_bytes);
		b.file_id = slk_get_le64(origin);
		b.position = slk_get_le64(origin + 8);
		b.durable = slk_get_le64(origin + 16);
	}
	fmt_block_encode(&b, out);
}

void
fmt_block_move(const uint8_t *raw, const struct fmt_block *block, uint64_t file_id,
	uint64_t position, uint64_t durable, uint8_t *out)
{
	const size_t sealed_bytes = block->body_bytes + FMT_BLOCK_TAG_BYTES;
	struct fmt_block b = *block;
	uint8_t *origin = out + FMT_BLOCK_HEADER_BYTES + sealed_bytes;

	b.type = FMT_BLOCK_MOVED;
	b.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_MOVED, b.body_bytes);
	b.file_id = file_id;
	b.position = position;
	b.durable = durable;
	memcpy(out + FMT_BLOCK_HEADER_BYTES, raw + FMT_BLOCK_HEADER_BYTES, sealed_bytes);
	if (block->type == FMT_BLOCK_MOVED) {
		memcpy(origin, origin_of(raw, block), FMT_BLOCK_ORIGIN_BYTES);
	} else {
		slk_put_le64(origin, block->file_id);
		slk_put_le64(origin + 8, block->position);
		slk_put_le64(origin + 16, block->durable);
	}
	fmt_block_encode(&b, out);
}

void
fmt_block_aad(const uint8_t raw[FMT_BLOCK_HEADER_BYTES], uint8_t out[FMT_BLOCK_HEADER_BYTES])
{
	memcpy(out, raw, FMT_BLOCK_HEADER_BYTES);
	memset(out + CRC_OFFSET, 0, 4);
}
