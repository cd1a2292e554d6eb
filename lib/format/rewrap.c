#include "format/rewrap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VERSION 1u
#define PREFIX "rewrap-"
#define SUFFIX ".slr"
#define DIGITS 20u

void
fmt_rewrap_name(uint64_t number, char out[FMT_REWRAP_NAME_MAX])
{
	(void)snprintf(out, FMT_REWRAP_NAME_MAX, PREFIX "%020" PRIu64 SUFFIX, number);
}

bool
fmt_rewrap_name_parse(const char *name, uint64_t *out_number)
{
	const char *digits = name + strlen(PREFIX);
	uint64_t number = 0;

	if (strlen(name) != strlen(PREFIX) + DIGITS + strlen(SUFFIX) ||
		memcmp(name, PREFIX, strlen(PREFIX)) != 0 || strcmp(digits + DIGITS, SUFFIX) != 0)
		return false;
	for (unsigned i = 0; i < DIGITS; i++) {
		unsigned digit = (unsigned)(digits[i] - '0');
		if (digit > 9 || number > (UINT64_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	if (number == 0)
		return false;
	*out_number = number;
	return true;
}

static bool
is_arn(struct slk_span s)
{
	return s.len >= 1 && s.len <= FMT_KEYBLOCK_ARN_MAX && memchr(s.ptr, 0, s.len) == NULL;
}

/* --- header --- */

static bool
header_fits(const struct fmt_rewrap_header *h)
{
	return h->number > 0 && h->count >= 1 && h->count <= FMT_REWRAP_ENTRIES_MAX &&
		h->entries_bytes <= FMT_REWRAP_MAX;
}

int
fmt_rewrap_header_encode(
	const struct fmt_rewrap_header *header, uint8_t out[FMT_REWRAP_HEADER_BYTES])
{
	if (!header_fits(header))
		return SLK_INVALID;
	memset(out, 0, FMT_REWRAP_HEADER_BYTES);
	memcpy(out, "SLJR", 4);
	slk_put_le32(out + 4, VERSION);
	slk_put_le64(out + 8, header->number);
	memcpy(out + 16, header->journal_uuid, sizeof(header->journal_uuid));
	slk_put_le64(out + 32, header->created_ns);
	slk_put_le32(out + 40, header->count);
	slk_put_le64(out + 48, header->entries_bytes);
	memcpy(out + 56, header->previous, sizeof(header->previous));
	return SLK_OK;
}

static int
header_decode(struct slk_reader *r, struct fmt_rewrap_header *out)
{
	struct fmt_rewrap_header h = {0};
	struct slk_span magic = slk_read_span(r, 4);
	uint32_t version = slk_read_le32(r);

	h.number = slk_read_le64(r);
	slk_read_bytes(r, h.journal_uuid, sizeof(h.journal_uuid));
	h.created_ns = slk_read_le64(r);
	h.count = slk_read_le32(r);
	uint32_t reserved = slk_read_le32(r);
	h.entries_bytes = slk_read_le64(r);
	slk_read_bytes(r, h.previous, sizeof(h.previous));
	uint64_t reserved2 = slk_read_le64(r);
	if (r->status != SLK_OK)
		return r->status;
	if (memcmp(magic.ptr, "SLJR", 4) != 0)
		return SLK_MALFORMED;
	if (version != VERSION)
		return SLK_BAD_VERSION;
	if (reserved != 0 || reserved2 != 0 || !header_fits(&h))
		return SLK_MALFORMED;
	*out = h;
	return SLK_OK;
}

/* --- entries --- */

static bool
entry_fits(const struct fmt_rewrap_entry *e)
{
	return e->commitment.len == FMT_KEYBLOCK_COMMITMENT_BYTES && is_arn(e->key_arn) &&
		e->wrapped.len >= 1 && e->wrapped.len <= FMT_KEYBLOCK_WRAPPED_MAX;
}

int
fmt_rewrap_entry_encode(
	const struct fmt_rewrap_entry *entry, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	if (!entry_fits(entry))
		return SLK_INVALID;
	slk_write_le64(&w, entry->epoch_id);
	slk_write_le64(&w, entry->stream_id);
	slk_write_bytes(&w, entry->commitment.ptr, entry->commitment.len);
	slk_write_le16(&w, (uint16_t)entry->key_arn.len);
	slk_write_le16(&w, (uint16_t)entry->wrapped.len);
	slk_write_zeros(&w, 4);
	slk_write_bytes(&w, entry->key_arn.ptr, entry->key_arn.len);
	slk_write_bytes(&w, entry->wrapped.ptr, entry->wrapped.len);
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

int
fmt_rewrap_entry_decode(struct slk_reader *r, struct fmt_rewrap_entry *out_entry)
{
	struct fmt_rewrap_entry e = {0};

	e.epoch_id = slk_read_le64(r);
	e.stream_id = slk_read_le64(r);
	e.commitment = slk_read_span(r, FMT_KEYBLOCK_COMMITMENT_BYTES);
	size_t arn_len = slk_read_le16(r);
	size_t wrapped_len = slk_read_le16(r);
	uint32_t reserved = slk_read_le32(r);
	e.key_arn = slk_read_span(r, arn_len);
	e.wrapped = slk_read_span(r, wrapped_len);
	if (r->status != SLK_OK)
		return r->status;
	if (reserved != 0 || !entry_fits(&e))
		return SLK_MALFORMED;
	*out_entry = e;
	return SLK_OK;
}

static int
check_entries(const struct fmt_rewrap_header *h, struct slk_span entries)
{
	struct slk_reader r = slk_reader(entries);
	struct fmt_rewrap_entry e;
	uint64_t last = 0;

	for (uint32_t i = 0; i < h->count; i++) {
		int rc = fmt_rewrap_entry_decode(&r, &e);
		if (rc != SLK_OK)
			return SLK_MALFORMED; /* the bytes are there, but not for this entry */
		if (i > 0 && e.epoch_id <= last)
			return SLK_MALFORMED;
		last = e.epoch_id;
	}
	return slk_reader_end(&r);
}

/* --- trailer --- */

static bool
trailer_fits(const struct fmt_rewrap_trailer *t)
{
	return t->signature.len >= FMT_REWRAP_SIGNATURE_MIN &&
		t->signature.len <= FMT_REWRAP_SIGNATURE_MAX && t->public_key.len >= 1 &&
		t->public_key.len <= FMT_REWRAP_PUBLIC_KEY_MAX && is_arn(t->key_arn);
}

int
fmt_rewrap_trailer_encode(
	const struct fmt_rewrap_trailer *trailer, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	if (!trailer_fits(trailer))
		return SLK_INVALID;
	slk_write_bytes(&w, "SLJS", 4);
	slk_write_le16(&w, (uint16_t)trailer->signature.len);
	slk_write_le16(&w, (uint16_t)trailer->public_key.len);
	slk_write_le16(&w, (uint16_t)trailer->key_arn.len);
	slk_write_zeros(&w, 6);
	slk_write_bytes(&w, trailer->digest, sizeof(trailer->digest));
	slk_write_bytes(&w, trailer->signature.ptr, trailer->signature.len);
	slk_write_bytes(&w, trailer->public_key.ptr, trailer->public_key.len);
	slk_write_bytes(&w, trailer->key_arn.ptr, trailer->key_arn.len);
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

static int
trailer_decode(struct slk_reader *r, struct fmt_rewrap_trailer *out)
{
	struct fmt_rewrap_trailer t = {.digest = {0}};
	struct slk_span magic = slk_read_span(r, 4);
	size_t signature_len = slk_read_le16(r);
	size_t public_key_len = slk_read_le16(r);
	size_t arn_len = slk_read_le16(r);
	uint16_t reserved = slk_read_le16(r);
	uint32_t reserved2 = slk_read_le32(r);

	slk_read_bytes(r, t.digest, sizeof(t.digest));
	t.signature = slk_read_span(r, signature_len);
	t.public_key = slk_read_span(r, public_key_len);
	t.key_arn = slk_read_span(r, arn_len);
	int rc = slk_reader_end(r);
	if (rc != SLK_OK)
		return rc;
	if (memcmp(magic.ptr, "SLJS", 4) != 0 || reserved != 0 || reserved2 != 0 ||
		!trailer_fits(&t))
		return SLK_MALFORMED;
	*out = t;
	return SLK_OK;
}

int
fmt_rewrap_decode(struct slk_span in, struct fmt_rewrap *out_rewrap)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_rewrap f = {.entries = {NULL, 0}};

	int rc = header_decode(&r, &f.header);
	if (rc != SLK_OK)
		return rc;
	f.entries = slk_read_span(&r, (size_t)f.header.entries_bytes);
	f.signed_part = slk_span(in.ptr, FMT_REWRAP_HEADER_BYTES + f.entries.len);
	rc = trailer_decode(&r, &f.trailer);
	if (rc == SLK_OK)
		rc = check_entries(&f.header, f.entries);
	if (rc == SLK_OK)
		*out_rewrap = f;
	return rc;
}
