#include "format/record.h"

#include <assert.h>

void
fmt_record_entry_put(uint8_t *out, const struct fmt_record *record)
{
	assert(record->key.len <= FMT_RECORD_KEY_MAX && record->data.len <= FMT_RECORD_DATA_MAX);
	slk_put_le32(out, (uint32_t)record->data.len);
	slk_put_le16(out + 4, (uint16_t)record->key.len);
	out[6] = record->source;
	out[7] = 0;
	slk_put_le64(out + 8, record->arrival_ns);
	slk_put_le64(out + 16, 0);
}

/* Check one entry and add its lengths to *total. */
static int
entry_check(const uint8_t *entry, uint64_t *total)
{
	uint32_t data_len = slk_get_le32(entry);
	uint16_t key_len = slk_get_le16(entry + 4);

	if (data_len > FMT_RECORD_DATA_MAX || key_len > FMT_RECORD_KEY_MAX)
		return SLK_MALFORMED;
	if (entry[6] != FMT_SOURCE_LISTENER && entry[6] != FMT_SOURCE_PUT)
		return SLK_MALFORMED;
	if (entry[7] != 0 || slk_get_le64(entry + 16) != 0)
		return SLK_MALFORMED;
	*total += (uint64_t)data_len + key_len;
	return SLK_OK;
}

int
fmt_record_iter_init(struct fmt_record_iter *it, struct slk_span plaintext, uint32_t count)
{
	uint64_t table_len = fmt_record_table_bytes(count);
	uint64_t body_len = 0;

	if (plaintext.len < table_len)
		return SLK_TRUNCATED;
	for (uint32_t i = 0; i < count; i++) {
		int rc = entry_check(plaintext.ptr + fmt_record_table_bytes(i), &body_len);
		if (rc != SLK_OK)
			return rc;
	}
	if (plaintext.len - table_len < body_len)
		return SLK_TRUNCATED;
	if (plaintext.len - table_len > body_len)
		return SLK_MALFORMED;
	it->table = slk_span(plaintext.ptr, table_len);
	it->body = slk_span(plaintext.ptr + table_len, body_len);
	return SLK_OK;
}

int
fmt_record_iter_next(struct fmt_record_iter *it, struct fmt_record *out_record)
{
	if (it->table.len == 0)
		return SLK_END;

	const uint8_t *entry = it->table.ptr;
	size_t data_len = slk_get_le32(entry);
	size_t key_len = slk_get_le16(entry + 4);
	out_record->source = entry[6];
	out_record->arrival_ns = slk_get_le64(entry + 8);
	out_record->key = slk_span(it->body.ptr, key_len);
	out_record->data = slk_span(it->body.ptr + key_len, data_len);
	it->table =
		slk_span(entry + FMT_RECORD_ENTRY_BYTES, it->table.len - FMT_RECORD_ENTRY_BYTES);
	it->body = slk_span(it->body.ptr + key_len + data_len, it->body.len - key_len - data_len);
	return SLK_OK;
}
