#include "journal/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "journal/mark.h"
#include "journal/ring.h"

#define READ_AHEAD_BYTES (256u * 1024u)
#define PATH_MAX_BYTES 4096u

/* The buffer from `from` on: at least `least` bytes out of the ring, or all of need out of the file. */
static int
fill(struct jnl_scan *s, uint64_t from, size_t need, size_t least)
{
	s->buf_len = 0;
	if (need == 0)
		return SLK_OK;
	if (s->has_ring) {
		s->buf_len = jnl_ring_read(s->ring, s->header.file_id, from, s->buf, need);
		if (s->buf_len >= least)
			return SLK_OK;
	}
	return s->fs->pread(s->fs->ctx, s->fd, s->buf, need, from, &s->buf_len);
}

/* Make bytes [pos, pos + want) available; fewer at the end of the file. *out_len says how many. */
static int
fetch(struct jnl_scan *s, uint64_t pos, size_t want, const uint8_t **out, size_t *out_len)
{
	if (pos >= s->buf_pos && pos - s->buf_pos <= s->buf_len &&
		s->buf_len - (pos - s->buf_pos) >= want) {
		*out = s->buf + (pos - s->buf_pos);
		*out_len = s->buf_len - (size_t)(pos - s->buf_pos);
		return SLK_OK;
	}
	/* Aligned for O_DIRECT and because groups are. */
	uint64_t from = pos / FMT_GROUP_ALIGN * FMT_GROUP_ALIGN;
	size_t need = (size_t)(pos - from) + want;
	need = (need + FMT_GROUP_ALIGN - 1) / FMT_GROUP_ALIGN * FMT_GROUP_ALIGN;
	if (need < READ_AHEAD_BYTES)
		need = READ_AHEAD_BYTES;
	if (from + need > s->header.capacity_bytes)
		need = from < s->header.capacity_bytes ? (size_t)(s->header.capacity_bytes - from)
						       : 0;
	if (need > s->buf_cap) {
		void *bigger = NULL;
		if (posix_memalign(&bigger, FMT_GROUP_ALIGN, need) != 0)
			return SLK_NO_MEMORY;
		free(s->buf);
		s->buf = bigger;
		s->buf_cap = need;
	}
	int rc = fill(s, from, need, (size_t)(pos - from) + want);
	if (rc != SLK_OK)
		return rc;
	s->buf_pos = from;
	size_t skip = (size_t)(pos - from);
	*out = s->buf + (skip < s->buf_len ? skip : s->buf_len);
	*out_len = skip < s->buf_len ? s->buf_len - skip : 0;
	return SLK_OK;
}

/* Is there a good block at pos that ends before the limit? SLK_OK, SLK_CORRUPT, SLK_IO, SLK_NO_MEMORY. */
static int
block_at(struct jnl_scan *s, uint64_t pos, struct fmt_block *out_block, const uint8_t **out_raw)
{
	const uint8_t *p;
	size_t len;
	struct fmt_block b;

	if (pos + FMT_BLOCK_HEADER_BYTES > s->limit)
		return SLK_CORRUPT;
	int rc = fetch(s, pos, FMT_BLOCK_HEADER_BYTES, &p, &len);
	if (rc != SLK_OK)
		return rc;
	if (len < FMT_BLOCK_HEADER_BYTES ||
		fmt_block_decode(slk_span(p, FMT_BLOCK_HEADER_BYTES), &b) != SLK_OK ||
		b.file_id != s->header.file_id || b.position != pos ||
		b.total_bytes > s->limit - pos)
		return SLK_CORRUPT;
	rc = fetch(s, pos, b.total_bytes, &p, &len);
	if (rc != SLK_OK)
		return rc;
	if (fmt_block_check(slk_span(p, len), s->seed, s->header.file_id, pos, &b) != SLK_OK)
		return SLK_CORRUPT;
	*out_block = b;
	*out_raw = p;
	return SLK_OK;
}

/* Move *pos to where a block may begin: SLK_OK, or SLK_END if none does before the limit. */
static int
find_magic(struct jnl_scan *s, uint64_t *pos)
{
	while (*pos + FMT_BLOCK_HEADER_BYTES <= s->limit) {
		const uint8_t *p;
		size_t len;
		int rc = fetch(s, *pos, FMT_BLOCK_HEADER_BYTES, &p, &len);
		if (rc != SLK_OK)
			return rc;
		if (len < FMT_BLOCK_HEADER_BYTES)
			break;
		for (size_t at = 0; at + FMT_BLOCK_HEADER_BYTES <= len;
			at += FMT_BLOCK_ALIGN, *pos += FMT_BLOCK_ALIGN)
			if (memcmp(p + at, FMT_BLOCK_MAGIC, 4) == 0 &&
				*pos + FMT_BLOCK_HEADER_BYTES <= s->limit)
				return SLK_OK;
	}
	*pos = s->limit;
	return SLK_END;
}

int
jnl_scan_next(struct jnl_scan *s, struct fmt_block *out_block, const uint8_t **out_raw,
	uint64_t *out_gap_end)
{
	if (s->pos >= s->limit)
		return SLK_END;
	int rc = block_at(s, s->pos, out_block, out_raw);
	if (rc == SLK_OK)
		s->pos += out_block->total_bytes;
	if (rc != SLK_CORRUPT)
		return rc;
	uint64_t pos = s->pos + FMT_BLOCK_ALIGN;
	for (; pos < s->limit; pos += FMT_BLOCK_ALIGN) {
		rc = find_magic(s, &pos);
		if (rc == SLK_OK)
			rc = block_at(s, pos, out_block, out_raw);
		if (rc == SLK_OK || rc == SLK_END)
			break;
		if (rc != SLK_CORRUPT)
			return rc;
	}
	s->pos = pos < s->limit ? pos : s->limit;
	*out_gap_end = s->pos;
	return SLK_CORRUPT;
}

void
jnl_scan_refresh(struct jnl_scan *s)
{
	s->buf_len = 0;
}

/* Trailer in the last page of the capacity, footer where it says: both good, or the file counts as open. */
static int
look_for_footer(struct jnl_scan *s)
{
	struct fmt_block b;
	const uint8_t *raw = NULL;
	uint64_t footer_pos = 0;

	s->closed = false;
	s->limit = s->header.capacity_bytes;
	int rc = block_at(s, s->header.capacity_bytes - FMT_JFILE_PAGE_BYTES, &b, &raw);
	if (rc != SLK_OK)
		goto out;
	if (b.type != FMT_BLOCK_TRAILER ||
		fmt_trailer_decode(fmt_block_body(raw, &b), &footer_pos) != SLK_OK)
		goto out;
	rc = block_at(s, footer_pos, &b, &raw);
	if (rc != SLK_OK || b.type != FMT_BLOCK_FOOTER)
		goto out;
	s->footer_buf = malloc(b.body_bytes);
	if (s->footer_buf == NULL)
		return SLK_NO_MEMORY;
	memcpy(s->footer_buf, fmt_block_body(raw, &b).ptr, b.body_bytes);
	if (fmt_footer_decode(slk_span(s->footer_buf, b.body_bytes), &s->footer) != SLK_OK)
		goto out;
	s->closed = true;
	s->footer_pos = footer_pos;
	s->limit = footer_pos;
out:
	if (!s->closed)
		s->limit = s->header.capacity_bytes - FMT_JFILE_PAGE_BYTES;
	return rc == SLK_CORRUPT ? SLK_OK : rc;
}

static int
open_only(struct jnl_scan *s, const struct slk_fs *fs, const char *dir, const char *name, int flags)
{
	char path[PATH_MAX_BYTES];

	memset(s, 0, sizeof(*s));
	s->fs = fs;
	s->fd = -1;
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return SLK_TOO_LARGE;
	return fs->open(fs->ctx, path, flags, 0, &s->fd);
}

static int
begin(struct jnl_scan *s)
{
	s->seed = fmt_jfile_crc_seed(s->header.salt);
	s->pos = FMT_JFILE_PAGE_BYTES;
	jnl_scan_refresh(s);
	return look_for_footer(s);
}

int
jnl_scan_open(
	struct jnl_scan *s, const struct slk_fs *fs, const char *dir, const char *name, int flags)
{
	const uint8_t *page = NULL;
	size_t len = 0;

	int rc = open_only(s, fs, dir, name, flags);
	if (rc != SLK_OK)
		return rc;
	s->header.capacity_bytes = FMT_JFILE_PAGE_BYTES; /* for the first fetch */
	rc = fetch(s, 0, FMT_JFILE_PAGE_BYTES, &page, &len);
	if (rc == SLK_OK)
		rc = fmt_jfile_decode(
			slk_span(page, len < FMT_JFILE_PAGE_BYTES ? len : FMT_JFILE_PAGE_BYTES),
			&s->header);
	if (rc == SLK_OK)
		rc = begin(s);
	if (rc != SLK_OK)
		jnl_scan_close(s);
	return rc;
}

int
jnl_scan_open_as(struct jnl_scan *s, const struct slk_fs *fs, const char *dir, const char *name,
	int flags, const struct fmt_jfile_header *header)
{
	int rc = open_only(s, fs, dir, name, flags);

	if (rc != SLK_OK)
		return rc;
	s->header = *header;
	rc = begin(s);
	if (rc != SLK_OK)
		jnl_scan_close(s);
	return rc;
}

int
jnl_scan_open_durable(
	struct jnl_scan *s, const struct slk_fs *fs, const char *dir, const char *name)
{
	struct fmt_watermark mark;
	int rc = jnl_scan_open(s, fs, dir, name, SLK_OPEN_READ);

	if (rc != SLK_OK || s->closed)
		return rc;
	const uint64_t id = s->header.file_id;
	rc = jnl_mark_load_of(fs, dir, s->header.lane, id, true, &mark);
	if (rc == SLK_OK && mark.file_id > id) { /* it was closed meanwhile, or never used */
		jnl_scan_close(s);
		rc = jnl_scan_open(s, fs, dir, name, SLK_OPEN_READ);
		if (rc != SLK_OK || s->closed)
			return rc;
	}
	if (rc == SLK_OK && mark.file_id == id)
		s->limit = mark.position;
	else if (rc == SLK_OK)
		s->limit = FMT_JFILE_PAGE_BYTES; /* prepared, nothing in it is durable */
	return SLK_OK;
}

void
jnl_scan_share(struct jnl_scan *s, const char *dir)
{
	s->ring = jnl_ring_open(dir, s->header.journal_uuid, s->header.lane);
	s->has_ring = s->ring >= 0;
}

void
jnl_scan_close(struct jnl_scan *s)
{
	if (s->has_ring)
		close(s->ring);
	if (s->fs != NULL && s->fd >= 0)
		(void)s->fs->close(s->fs->ctx, s->fd);
	free(s->buf);
	free(s->footer_buf);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}

struct id_list {
	enum fmt_jfile_kind kind;
	uint64_t *ids;
	size_t count, cap;
};

static int
take_name(void *arg, const char *name)
{
	struct id_list *l = arg;
	enum fmt_jfile_kind kind;
	uint64_t id;

	if (!fmt_jfile_name_parse(name, &kind, &id) || kind != l->kind)
		return SLK_OK;
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
		uint64_t *bigger = realloc(l->ids, cap * sizeof(*bigger));
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		l->ids = bigger;
		l->cap = cap;
	}
	l->ids[l->count++] = id;
	return SLK_OK;
}

static int
by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int
jnl_scan_list(const struct slk_fs *fs, const char *dir, enum fmt_jfile_kind kind,
	uint64_t **out_ids, size_t *out_count)
{
	struct id_list l = {.kind = kind};
	int rc = fs->list(fs->ctx, dir, take_name, &l);

	if (rc != SLK_OK) {
		free(l.ids);
		return rc;
	}
	if (l.count > 0)
		qsort(l.ids, l.count, sizeof(*l.ids), by_id);
	/* A file that is being moved from one directory to another may be in both. */
	size_t kept = 0;
	for (size_t i = 0; i < l.count; i++)
		if (kept == 0 || l.ids[kept - 1] != l.ids[i])
			l.ids[kept++] = l.ids[i];
	l.count = kept;
	*out_ids = l.ids;
	*out_count = l.count;
	return SLK_OK;
}
