#include "format/datakey.h"

#include <string.h>

#define MAGIC "SLKN"
#define HANDLE_MAGIC "SLKDKEY1"
#define VERSION 1u
#define RESERVED_BYTES 6u

int
fmt_datakey_name_check(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strnlen(name, FMT_DATAKEY_NAME_MAX + 1);

	if (len == 0 || len > FMT_DATAKEY_NAME_MAX || name[0] == '.' ||
		name[strspn(name, letters)] != '\0')
		return SLK_INVALID;
	return SLK_OK;
}

int
fmt_datakey_encode(const struct fmt_datakey *key, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	if (fmt_datakey_name_check(key->name) != SLK_OK || key->blob.len == 0 ||
		key->blob.len > FMT_DATAKEY_BLOB_MAX)
		return SLK_INVALID;
	slk_write_bytes(&w, MAGIC, 4);
	slk_write_le16(&w, VERSION);
	slk_write_le16(&w, (uint16_t)strlen(key->name));
	slk_write_bytes(&w, key->id, sizeof(key->id));
	slk_write_le16(&w, (uint16_t)key->blob.len);
	slk_write_zeros(&w, RESERVED_BYTES);
	slk_write_bytes(&w, key->name, strlen(key->name));
	slk_write_bytes(&w, key->blob.ptr, key->blob.len);
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

int
fmt_datakey_decode(struct slk_span in, struct fmt_datakey *out_key)
{
	static const uint8_t zeros[RESERVED_BYTES];
	struct slk_reader r = slk_reader(in);
	struct fmt_datakey key = {0};

	struct slk_span magic = slk_read_span(&r, 4);
	uint16_t version = slk_read_le16(&r);
	uint16_t name_len = slk_read_le16(&r);
	slk_read_bytes(&r, key.id, sizeof(key.id));
	uint16_t blob_len = slk_read_le16(&r);
	struct slk_span reserved = slk_read_span(&r, RESERVED_BYTES);
	if (r.status != SLK_OK)
		return r.status;
	if (memcmp(magic.ptr, MAGIC, 4) != 0)
		return SLK_MALFORMED;
	if (version != VERSION)
		return SLK_BAD_VERSION;
	if (name_len == 0 || name_len > FMT_DATAKEY_NAME_MAX || blob_len == 0 ||
		blob_len > FMT_DATAKEY_BLOB_MAX || memcmp(reserved.ptr, zeros, sizeof(zeros)) != 0)
		return SLK_MALFORMED;
	slk_read_bytes(&r, key.name, name_len);
	key.blob = slk_read_span(&r, blob_len);
	int rc = slk_reader_end(&r);
	if (rc != SLK_OK)
		return rc;
	if (strlen(key.name) != name_len || fmt_datakey_name_check(key.name) != SLK_OK)
		return SLK_MALFORMED;
	*out_key = key;
	return SLK_OK;
}

void
fmt_datakey_file_name(const uint8_t id[FMT_DATAKEY_ID_BYTES], char out[FMT_DATAKEY_FILE_NAME_MAX])
{
	slk_hex(slk_span(id, FMT_DATAKEY_ID_BYTES), out, FMT_DATAKEY_FILE_NAME_MAX);
	strcpy(out + 2 * FMT_DATAKEY_ID_BYTES, FMT_DATAKEY_SUFFIX);
}

int
fmt_datakey_context(const char *name, struct fmt_context **out_context)
{
	struct fmt_context *context = NULL;

	int rc = fmt_context_new(&context);
	if (rc == SLK_OK)
		rc = fmt_context_add(
			context, slk_span_str(FMT_DATAKEY_CONTEXT_KEY), slk_span_str(name));
	if (rc != SLK_OK) {
		fmt_context_free(context);
		return rc;
	}
	*out_context = context;
	return SLK_OK;
}

void
fmt_datakey_handle_begin(
	const uint8_t id[FMT_DATAKEY_ID_BYTES], uint8_t out[FMT_DATAKEY_HANDLE_BYTES])
{
	memcpy(out, HANDLE_MAGIC, 8);
	memcpy(out + 8, id, FMT_DATAKEY_ID_BYTES);
}

int
fmt_datakey_handle_id(
	const uint8_t handle[FMT_DATAKEY_HANDLE_BYTES], uint8_t out_id[FMT_DATAKEY_ID_BYTES])
{
	if (memcmp(handle, HANDLE_MAGIC, 8) != 0)
		return SLK_MALFORMED;
	memcpy(out_id, handle + 8, FMT_DATAKEY_ID_BYTES);
	return SLK_OK;
}
