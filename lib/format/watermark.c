#include "format/watermark.h"

#define MAGIC "SLJW"
#define VERSION 1u
#define CRC_OFFSET 60u

void
fmt_watermark_encode(const struct fmt_watermark *mark, uint8_t out[FMT_WATERMARK_BYTES])
{
	memcpy(out, MAGIC, 4);
	slk_put_le32(out + 4, VERSION);
	slk_put_le64(out + 8, mark->change_count);
	slk_put_le64(out + 16, mark->file_id);
	slk_put_le64(out + 24, mark->position);
	slk_put_le64(out + 32, mark->records);
	slk_put_le64(out + 40, mark->plain_bytes);
	slk_put_le64(out + 48, mark->opened_ns);
	slk_put_le32(out + 56, mark->pid);
	slk_put_le32(out + CRC_OFFSET, slk_crc32c(0, out, CRC_OFFSET));
}

int
fmt_watermark_decode(struct slk_span in, struct fmt_watermark *out_mark)
{
	static const uint8_t zero[FMT_WATERMARK_BYTES];
	struct slk_reader r = slk_reader(in);
	struct fmt_watermark m = {0};

	if (in.len < FMT_WATERMARK_BYTES)
		return SLK_TRUNCATED;
	if (in.len > FMT_WATERMARK_BYTES)
		return SLK_MALFORMED;
	if (memcmp(in.ptr, zero, sizeof(zero)) == 0)
		return SLK_NOT_FOUND;
	if (memcmp(slk_read_span(&r, 4).ptr, MAGIC, 4) != 0)
		return SLK_MALFORMED;
	if (slk_read_le32(&r) != VERSION)
		return SLK_BAD_VERSION;
	m.change_count = slk_read_le64(&r);
	m.file_id = slk_read_le64(&r);
	m.position = slk_read_le64(&r);
	m.records = slk_read_le64(&r);
	m.plain_bytes = slk_read_le64(&r);
	m.opened_ns = slk_read_le64(&r);
	m.pid = slk_read_le32(&r);
	if (m.change_count % 2 != 0 || slk_read_le32(&r) != slk_crc32c(0, in.ptr, CRC_OFFSET))
		return SLK_AGAIN;
	*out_mark = m;
	return SLK_OK;
}
