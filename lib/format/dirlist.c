#include "format/dirlist.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC "SLJD"
#define VERSION 1u
#define HEAD_BYTES 40u

static bool
is_path(const char *path, size_t len)
{
	return len > 0 && len < FMT_DIRLIST_PATH_MAX && path[0] == '/' &&
		memchr(path, '\0', len) == NULL;
}

static bool
is_state(unsigned state)
{
	return state == FMT_DIRLIST_IN_USE || state == FMT_DIRLIST_LEFT;
}

int
fmt_dirlist_encode(const struct fmt_dirlist *list, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	if (list->count == 0 || list->count > FMT_DIRLIST_DIRS_MAX)
		return SLK_INVALID;
	slk_write_bytes(&w, MAGIC, 4);
	slk_write_le32(&w, VERSION);
	slk_write_bytes(&w, list->journal_uuid, sizeof(list->journal_uuid));
	slk_write_le64(&w, list->generation);
	slk_write_le32(&w, list->count);
	slk_write_le32(&w, 0);
	for (uint32_t i = 0; i < list->count; i++) {
		const char *path = list->dirs[i].path;
		size_t len = strnlen(path, FMT_DIRLIST_PATH_MAX);
		if (!is_path(path, len) || !is_state(list->dirs[i].state))
			return SLK_INVALID;
		slk_write_le16(&w, (uint16_t)len);
		slk_write_u8(&w, (uint8_t)list->dirs[i].state);
		slk_write_u8(&w, 0);
		slk_write_bytes(&w, path, len);
	}
	if (w.status != SLK_OK)
		return w.status;
	slk_write_le32(&w, slk_crc32c(0, out, w.len));
	if (w.status == SLK_OK)
		*out_len = w.len;
	return w.status;
}

static int
read_dir(struct slk_reader *r, struct fmt_dirlist *list, uint32_t at)
{
	uint16_t len = slk_read_le16(r);
	uint8_t state = slk_read_u8(r);
	uint8_t reserved = slk_read_u8(r);
	struct slk_span path = slk_read_span(r, len);

	if (path.len != len || reserved != 0 || !is_state(state) ||
		!is_path((const char *)path.ptr, len))
		return SLK_MALFORMED;
	memcpy(list->dirs[at].path, path.ptr, len);
	list->dirs[at].path[len] = '\0';
	list->dirs[at].state = (enum fmt_dirlist_state)state;
	return SLK_OK;
}

int
fmt_dirlist_decode(struct slk_span in, struct fmt_dirlist *out_list)
{
	if (in.len < HEAD_BYTES + 4)
		return SLK_TRUNCATED;
	struct slk_reader r = slk_reader(slk_span(in.ptr, in.len - 4));
	struct fmt_dirlist *list = NULL;

	if (memcmp(slk_read_span(&r, 4).ptr, MAGIC, 4) != 0)
		return SLK_MALFORMED;
	if (slk_get_le32(in.ptr + in.len - 4) != slk_crc32c(0, in.ptr, in.len - 4))
		return SLK_BAD_CRC;
	if (slk_read_le32(&r) != VERSION)
		return SLK_BAD_VERSION;
	list = calloc(1, sizeof(*list));
	if (list == NULL)
		return SLK_NO_MEMORY;
	slk_read_bytes(&r, list->journal_uuid, sizeof(list->journal_uuid));
	list->generation = slk_read_le64(&r);
	list->count = slk_read_le32(&r);
	uint32_t reserved = slk_read_le32(&r);
	int rc = reserved == 0 && list->count > 0 && list->count <= FMT_DIRLIST_DIRS_MAX
		? SLK_OK
		: SLK_MALFORMED;
	for (uint32_t i = 0; rc == SLK_OK && i < list->count; i++)
		rc = read_dir(&r, list, i);
	if (rc == SLK_OK && slk_reader_end(&r) != SLK_OK)
		rc = SLK_MALFORMED;
	if (rc == SLK_OK)
		*out_list = *list;
	free(list);
	return rc;
}
