#include "format/jfile.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define MAGIC "SLJF"
#define VERSION 1u
#define CRC_OFFSET (FMT_JFILE_PAGE_BYTES - 4u)
#define ID_DIGITS 20u
#define SPARE_PREFIX "spare-"
#define SUFFIX ".slj"

void
fmt_jfile_encode(const struct fmt_jfile_header *header, uint8_t out[FMT_JFILE_PAGE_BYTES])
{
	struct slk_writer w = slk_writer(out, CRC_OFFSET);

	memset(out, 0, FMT_JFILE_PAGE_BYTES);
	slk_write_bytes(&w, MAGIC, 4);
	slk_write_le32(&w, VERSION);
	slk_write_le64(&w, header->file_id);
	slk_write_le32(&w, header->lane);
	slk_write_le32(&w, 0);
	slk_write_bytes(&w, header->journal_uuid, sizeof(header->journal_uuid));
	slk_write_bytes(&w, header->salt, sizeof(header->salt));
	slk_write_le64(&w, header->capacity_bytes);
	slk_write_le64(&w, header->created_ns);
	slk_write_le64(&w, header->previous_id);
	slk_write_le64(&w, header->run);
	slk_write_le64(&w, header->previous_end);
	assert(w.status == SLK_OK);
	slk_put_le32(out + CRC_OFFSET, slk_crc32c(0, out, CRC_OFFSET));
}

static bool
all_zero(struct slk_span in)
{
	for (size_t i = 0; i < in.len; i++) {
		if (in.ptr[i] != 0)
			return false;
	}
	return true;
}

static bool
header_sane(const struct fmt_jfile_header *h)
{
	if (h->file_id == 0 || h->lane >= FMT_JFILE_LANES_MAX)
		return false;
	if (h->previous_id >= h->file_id || h->run == 0 || h->run > h->file_id)
		return false;
	if (h->previous_end != 0 &&
		(h->previous_id == 0 || h->previous_end < FMT_JFILE_PAGE_BYTES ||
			h->previous_end > FMT_JFILE_CAPACITY_MAX ||
			h->previous_end % FMT_JFILE_END_ALIGN != 0))
		return false;
	return h->capacity_bytes >= FMT_JFILE_CAPACITY_MIN &&
		h->capacity_bytes <= FMT_JFILE_CAPACITY_MAX &&
		h->capacity_bytes % FMT_JFILE_PAGE_BYTES == 0;
}

int
fmt_jfile_decode(struct slk_span in, struct fmt_jfile_header *out_header)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_jfile_header h = {0};

	if (in.len < FMT_JFILE_PAGE_BYTES)
		return SLK_TRUNCATED;
	if (in.len > FMT_JFILE_PAGE_BYTES || memcmp(in.ptr, MAGIC, 4) != 0)
		return SLK_MALFORMED;
	if (slk_get_le32(in.ptr + CRC_OFFSET) != slk_crc32c(0, in.ptr, CRC_OFFSET))
		return SLK_BAD_CRC;
	(void)slk_read_span(&r, 4);
	if (slk_read_le32(&r) != VERSION)
		return SLK_BAD_VERSION;
	h.file_id = slk_read_le64(&r);
	h.lane = slk_read_le32(&r);
	uint32_t reserved = slk_read_le32(&r);
	slk_read_bytes(&r, h.journal_uuid, sizeof(h.journal_uuid));
	slk_read_bytes(&r, h.salt, sizeof(h.salt));
	h.capacity_bytes = slk_read_le64(&r);
	h.created_ns = slk_read_le64(&r);
	h.previous_id = slk_read_le64(&r);
	h.run = slk_read_le64(&r);
	h.previous_end = slk_read_le64(&r);
	if (reserved != 0 || !all_zero(slk_read_span(&r, r.len - 4)) || !header_sane(&h))
		return SLK_MALFORMED;
	*out_header = h;
	return SLK_OK;
}

uint32_t
fmt_jfile_crc_seed(const uint8_t salt[FMT_JFILE_SALT_BYTES])
{
	return slk_crc32c(0, salt, FMT_JFILE_SALT_BYTES);
}

void
fmt_jfile_salt_for(uint32_t seed, uint8_t out_salt[FMT_JFILE_SALT_BYTES])
{
	static const uint8_t zeros[FMT_JFILE_SALT_BYTES];
	/* The last four bytes reach the register by exclusive or: zeros would have to start from here. */
	const uint32_t before = slk_crc32c(0, zeros, FMT_JFILE_SALT_BYTES - 4);
	const uint32_t wanted = slk_crc32c_unwind(seed, zeros, 4);

	memset(out_salt, 0, FMT_JFILE_SALT_BYTES);
	slk_put_le32(out_salt + FMT_JFILE_SALT_BYTES - 4, before ^ wanted);
}

void
fmt_jfile_name(enum fmt_jfile_kind kind, uint64_t file_id, char out[FMT_JFILE_NAME_MAX])
{
	snprintf(out, FMT_JFILE_NAME_MAX, "%s%020" PRIu64 "%s",
		kind == FMT_JFILE_SPARE ? SPARE_PREFIX : "", file_id, SUFFIX);
}

bool
fmt_jfile_name_parse(const char *name, enum fmt_jfile_kind *out_kind, uint64_t *out_id)
{
	enum fmt_jfile_kind kind = FMT_JFILE_LANE;
	uint64_t id = 0;

	if (strncmp(name, SPARE_PREFIX, strlen(SPARE_PREFIX)) == 0) {
		kind = FMT_JFILE_SPARE;
		name += strlen(SPARE_PREFIX);
	}
	if (strlen(name) != ID_DIGITS + strlen(SUFFIX) || strcmp(name + ID_DIGITS, SUFFIX) != 0)
		return false;
	for (unsigned i = 0; i < ID_DIGITS; i++) {
		unsigned digit = (unsigned)name[i] - '0';
		if (digit > 9 || __builtin_mul_overflow(id, 10u, &id) ||
			__builtin_add_overflow(id, digit, &id))
			return false;
	}
	if (id == 0)
		return false;
	*out_kind = kind;
	*out_id = id;
	return true;
}
