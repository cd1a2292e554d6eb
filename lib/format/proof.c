#include "format/proof.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/keyblock.h"
#include "format/rewrap.h"

#define VERSION 1u
#define SUFFIX ".slp"
#define DIGITS 20u
#define CRC_OFFSET 12u
#define FLAGS (FMT_PROOF_FINAL | FMT_PROOF_BY_RECOVERY | FMT_PROOF_READ_BACK | FMT_PROOF_OPENING)

void
fmt_proof_name(uint64_t file_id, char out[FMT_PROOF_NAME_MAX])
{
	(void)snprintf(out, FMT_PROOF_NAME_MAX, "%020" PRIu64 SUFFIX, file_id);
}

bool
fmt_proof_name_parse(const char *name, uint64_t *out_id)
{
	uint64_t id = 0;

	if (strlen(name) != DIGITS + strlen(SUFFIX) || strcmp(name + DIGITS, SUFFIX) != 0)
		return false;
	for (unsigned i = 0; i < DIGITS; i++) {
		unsigned digit = (unsigned)(name[i] - '0');
		if (digit > 9 || id > (UINT64_MAX - digit) / 10)
			return false;
		id = id * 10 + digit;
	}
	*out_id = id;
	return true;
}

/* --- encoding --- */

static uint32_t
record_crc(const uint8_t *in, size_t len)
{
	static const uint8_t zero[4];
	uint32_t crc = slk_crc32c(0, in, CRC_OFFSET);

	crc = slk_crc32c(crc, zero, sizeof(zero));
	return slk_crc32c(crc, in + FMT_PROOF_HEAD_BYTES, len - FMT_PROOF_HEAD_BYTES);
}

static struct slk_writer
begin(enum fmt_proof_type type, size_t len, uint8_t *out, size_t cap)
{
	struct slk_writer w = slk_writer(out, cap);

	slk_write_bytes(&w, "SLJP", 4);
	slk_write_u8(&w, VERSION);
	slk_write_u8(&w, (uint8_t)type);
	slk_write_le16(&w, 0);
	slk_write_le32(&w, (uint32_t)len);
	slk_write_le32(&w, 0);
	return w;
}

static int
finish(const struct slk_writer *w, uint8_t *out, size_t *out_len)
{
	if (w->status != SLK_OK)
		return w->status;
	slk_put_le32(out + CRC_OFFSET, record_crc(out, w->len));
	*out_len = w->len;
	return SLK_OK;
}

int
fmt_proof_pieces_encode(
	uint64_t position, struct slk_span entries, uint8_t *out, size_t cap, size_t *out_len)
{
	size_t count = entries.len / FMT_PROOF_PIECE_BYTES;

	if (count < 1 || count > FMT_PROOF_PIECES_MAX || entries.len % FMT_PROOF_PIECE_BYTES != 0)
		return SLK_INVALID;
	struct slk_writer w =
		begin(FMT_PROOF_PIECES, FMT_PROOF_HEAD_BYTES + 16u + entries.len, out, cap);
	slk_write_le64(&w, position);
	slk_write_le32(&w, (uint32_t)count);
	slk_write_le32(&w, 0);
	slk_write_bytes(&w, entries.ptr, entries.len);
	return finish(&w, out, out_len);
}

static bool
statement_fits(const struct fmt_proof_statement *s)
{
	return s->file_id > 0 && (s->flags & ~FLAGS) == 0 && s->previous_id < s->file_id &&
		s->pieces > 0 && s->position >= s->pieces;
}

int
fmt_proof_statement_encode(
	const struct fmt_proof_statement *s, uint8_t *out, size_t cap, size_t *out_len)
{
	if (!statement_fits(s))
		return SLK_INVALID;
	struct slk_writer w = begin(
		FMT_PROOF_STATEMENT, FMT_PROOF_HEAD_BYTES + FMT_PROOF_STATEMENT_BYTES, out, cap);
	slk_write_bytes(&w, s->journal_uuid, sizeof(s->journal_uuid));
	slk_write_le64(&w, s->file_id);
	slk_write_le32(&w, s->lane);
	slk_write_le32(&w, s->flags);
	slk_write_le64(&w, s->run);
	slk_write_le64(&w, s->position);
	slk_write_le64(&w, s->pieces);
	slk_write_le64(&w, s->blocks);
	slk_write_le64(&w, s->records);
	slk_write_le64(&w, s->plain_bytes);
	slk_write_le64(&w, s->keys);
	slk_write_bytes(&w, s->key_hash, sizeof(s->key_hash));
	slk_write_bytes(&w, s->hash, sizeof(s->hash));
	slk_write_le64(&w, s->previous_id);
	slk_write_bytes(&w, s->previous_hash, sizeof(s->previous_hash));
	slk_write_le64(&w, s->made_ns);
	return finish(&w, out, out_len);
}

static bool
signature_fits(const struct fmt_proof_signature *s)
{
	return s->signature.len >= FMT_REWRAP_SIGNATURE_MIN &&
		s->signature.len <= FMT_REWRAP_SIGNATURE_MAX && s->public_key.len >= 1 &&
		s->public_key.len <= FMT_REWRAP_PUBLIC_KEY_MAX && s->key_arn.len >= 1 &&
		s->key_arn.len <= FMT_KEYBLOCK_ARN_MAX &&
		memchr(s->key_arn.ptr, 0, s->key_arn.len) == NULL;
}

int
fmt_proof_signature_encode(
	const struct fmt_proof_signature *s, uint8_t *out, size_t cap, size_t *out_len)
{
	if (!signature_fits(s))
		return SLK_INVALID;
	struct slk_writer w = begin(FMT_PROOF_SIGNATURE,
		FMT_PROOF_HEAD_BYTES + FMT_PROOF_SIGNATURE_HEAD_BYTES + s->signature.len +
			s->public_key.len + s->key_arn.len,
		out, cap);
	slk_write_bytes(&w, s->digest, sizeof(s->digest));
	slk_write_le16(&w, (uint16_t)s->signature.len);
	slk_write_le16(&w, (uint16_t)s->public_key.len);
	slk_write_le16(&w, (uint16_t)s->key_arn.len);
	slk_write_zeros(&w, 10);
	slk_write_bytes(&w, s->signature.ptr, s->signature.len);
	slk_write_bytes(&w, s->public_key.ptr, s->public_key.len);
	slk_write_bytes(&w, s->key_arn.ptr, s->key_arn.len);
	return finish(&w, out, out_len);
}

/* --- decoding --- */

static int
decode_pieces(struct slk_reader *r, struct fmt_proof_record *out)
{
	out->position = slk_read_le64(r);
	out->count = slk_read_le32(r);
	uint32_t zero = slk_read_le32(r);
	if (r->status != SLK_OK)
		return r->status;
	if (zero != 0 || out->count < 1 || out->count > FMT_PROOF_PIECES_MAX)
		return SLK_MALFORMED;
	out->entries = slk_read_span(r, (size_t)out->count * FMT_PROOF_PIECE_BYTES);
	for (uint32_t i = 0; r->status == SLK_OK && i < out->count; i++) {
		uint32_t len = slk_get_le32(out->entries.ptr + (size_t)i * FMT_PROOF_PIECE_BYTES);
		if (len == 0 || len > FMT_PROOF_PIECE_MAX)
			return SLK_MALFORMED;
	}
	return slk_reader_end(r);
}

static int
decode_statement(struct slk_reader *r, struct fmt_proof_record *out)
{
	struct fmt_proof_statement *s = &out->statement;

	slk_read_bytes(r, s->journal_uuid, sizeof(s->journal_uuid));
	s->file_id = slk_read_le64(r);
	s->lane = slk_read_le32(r);
	s->flags = slk_read_le32(r);
	s->run = slk_read_le64(r);
	s->position = slk_read_le64(r);
	s->pieces = slk_read_le64(r);
	s->blocks = slk_read_le64(r);
	s->records = slk_read_le64(r);
	s->plain_bytes = slk_read_le64(r);
	s->keys = slk_read_le64(r);
	slk_read_bytes(r, s->key_hash, sizeof(s->key_hash));
	slk_read_bytes(r, s->hash, sizeof(s->hash));
	s->previous_id = slk_read_le64(r);
	slk_read_bytes(r, s->previous_hash, sizeof(s->previous_hash));
	s->made_ns = slk_read_le64(r);
	int rc = slk_reader_end(r);
	return rc == SLK_OK && !statement_fits(s) ? SLK_MALFORMED : rc;
}

int
fmt_proof_statement_decode(struct slk_span in, struct fmt_proof_statement *out_statement)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_proof_record record = {0};
	int rc = decode_statement(&r, &record);

	if (rc == SLK_OK)
		*out_statement = record.statement;
	return rc;
}

static int
decode_signature(struct slk_reader *r, struct fmt_proof_record *out)
{
	struct fmt_proof_signature *s = &out->signature;
	uint8_t reserved[10] = {0};

	slk_read_bytes(r, s->digest, sizeof(s->digest));
	size_t signature_len = slk_read_le16(r);
	size_t public_key_len = slk_read_le16(r);
	size_t arn_len = slk_read_le16(r);
	slk_read_bytes(r, reserved, sizeof(reserved));
	for (size_t i = 0; i < sizeof(reserved); i++)
		if (reserved[i] != 0)
			return SLK_MALFORMED;
	s->signature = slk_read_span(r, signature_len);
	s->public_key = slk_read_span(r, public_key_len);
	s->key_arn = slk_read_span(r, arn_len);
	int rc = slk_reader_end(r);
	return rc == SLK_OK && !signature_fits(s) ? SLK_MALFORMED : rc;
}

static int
decode_body(struct slk_span body, struct fmt_proof_record *out)
{
	struct slk_reader r = slk_reader(body);

	switch (out->type) {
	case FMT_PROOF_PIECES:
		return decode_pieces(&r, out);
	case FMT_PROOF_STATEMENT:
		out->raw = body;
		return decode_statement(&r, out);
	case FMT_PROOF_SIGNATURE:
		return decode_signature(&r, out);
	default:
		return SLK_MALFORMED;
	}
}

int
fmt_proof_decode(struct slk_span in, struct fmt_proof_record *out_record)
{
	struct fmt_proof_record record = {0};

	if (in.len < FMT_PROOF_HEAD_BYTES)
		return SLK_TRUNCATED;
	if (memcmp(in.ptr, "SLJP", 4) != 0 || slk_get_le16(in.ptr + 6) != 0)
		return SLK_MALFORMED;
	if (in.ptr[4] != VERSION)
		return SLK_BAD_VERSION;
	uint32_t len = slk_get_le32(in.ptr + 8);
	if (len < FMT_PROOF_HEAD_BYTES || len > FMT_PROOF_RECORD_MAX)
		return SLK_MALFORMED;
	if (in.len < len)
		return SLK_TRUNCATED;
	if (slk_get_le32(in.ptr + CRC_OFFSET) != record_crc(in.ptr, len))
		return SLK_BAD_CRC;
	record.type = (enum fmt_proof_type)in.ptr[5];
	record.bytes = len;
	int rc = decode_body(
		slk_span(in.ptr + FMT_PROOF_HEAD_BYTES, len - FMT_PROOF_HEAD_BYTES), &record);
	if (rc == SLK_OK)
		*out_record = record;
	return rc;
}
