/* Recovery: every lane file that is not closed is scanned, its torn tail is kept aside, and it is closed with a footer.
 *
 * What decides is the highest position that is known to have been durable: from the blocks themselves, each of which names
 * the position that was durable when it was made, and from the watermark. Damage below is loss and is reported; damage
 * above is what a crash leaves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/internal.h"
#include "journal/scan.h"

#define TORN_COPIES_MAX 1000u
/* Past the page cache: after a failed flush it still shows, as clean, what the disk never got. */
#define RECOVERY_READ (SLK_OPEN_READ | SLK_OPEN_DIRECT)

struct survey {
	uint64_t durable; /* highest known */
	uint64_t good_end; /* end of the last good block anywhere */
	uint64_t blocks;
};

/* First pass: what was durable, and where the last good block ends. */
static int
look_over(struct jnl_scan *s, uint64_t marked, struct survey *out)
{
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;

	*out = (struct survey){.durable = marked, .good_end = FMT_JFILE_PAGE_BYTES};
	s->pos = FMT_JFILE_PAGE_BYTES;
	for (;;) {
		int rc = jnl_scan_next(s, &b, &raw, &gap_end);
		if (rc == SLK_END)
			return SLK_OK;
		if (rc == SLK_CORRUPT)
			continue;
		if (rc != SLK_OK)
			return rc;
		out->blocks++;
		out->good_end = b.position + b.total_bytes;
		if (b.durable > out->durable)
			out->durable = b.durable;
	}
}

struct closing {
	struct jnl_shards shards;
	struct fmt_footer_key *keys;
	struct fmt_footer_sparse *sparse;
	uint32_t key_count, sparse_count, sparse_cap;
	uint64_t blocks, records, plain, latest_ns;
	bool had_footer;
	uint64_t cut; /* where the footer goes */
	uint64_t
		durable; /* what is known of the file: the footer may say no more, as nothing is flushed yet */
};

static int
take_block(struct closing *c, const struct fmt_block *b)
{
	if (b->type == FMT_BLOCK_KEY && c->key_count < JNL_KEYS_MAX)
		c->keys[c->key_count++] =
			(struct fmt_footer_key){b->epoch_id, b->stream_id, b->position};
	if (!fmt_block_is_data(b))
		return SLK_OK;
	struct fmt_footer_shard *row = jnl_shards_get(&c->shards, b->stream_id, b->shard);
	if (row == NULL)
		return SLK_LIMIT;
	jnl_shards_add(row, b->position, b->first_sequence, b->record_count, b->first_arrival_ns,
		b->last_arrival_ns);
	if (c->sparse_count < c->sparse_cap &&
		(c->sparse_count == 0 ||
			b->position - c->sparse[c->sparse_count - 1].position >= JNL_SPARSE_BYTES))
		c->sparse[c->sparse_count++] = (struct fmt_footer_sparse){b->position,
			(uint32_t)(row - c->shards.rows), b->first_sequence, c->latest_ns};
	if (b->last_arrival_ns > c->latest_ns)
		c->latest_ns = b->last_arrival_ns;
	c->blocks++;
	c->records += b->record_count;
	c->plain += b->body_bytes;
	return SLK_OK;
}

/* Second pass: gather what stays; stop at the first damage above the durable position. */
static int
gather(struct jnl_scan *s, const struct survey *v, struct closing *c, struct jnl_recovery *report)
{
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;

	s->pos = FMT_JFILE_PAGE_BYTES;
	c->cut = FMT_JFILE_PAGE_BYTES;
	for (;;) {
		uint64_t at = s->pos;
		int rc = jnl_scan_next(s, &b, &raw, &gap_end);
		if (rc == SLK_END)
			return SLK_OK;
		if (rc == SLK_OK && b.type == FMT_BLOCK_FOOTER) {
			/* Closed but for the trailer: the same again, in the same place, since there may be no room behind. */
			c->cut = b.position;
			c->had_footer = true;
			return SLK_OK;
		}
		if (rc == SLK_OK) {
			rc = take_block(c, &b);
			if (rc != SLK_OK)
				return rc;
			c->cut = b.position + b.total_bytes;
			continue;
		}
		if (rc != SLK_CORRUPT)
			return rc;
		if (at >= v->durable)
			return SLK_OK;
		uint64_t lost_end = gap_end < v->durable ? gap_end : v->durable;
		report->corrupt_blocks++;
		report->corrupt_bytes += lost_end - at;
		c->cut = lost_end;
		if (gap_end >= v->durable && gap_end >= v->good_end)
			return SLK_OK;
	}
}

/* The end of what a crash left above the cut: the last good block, or a page that begins like a block of this file. */
static int
torn_end(struct jnl_scan *s, uint64_t cut, uint64_t good_end, uint64_t *out_end)
{
	uint8_t *page = NULL;
	uint64_t end = good_end > cut ? good_end : cut;
	uint64_t first = cut / FMT_GROUP_ALIGN * FMT_GROUP_ALIGN;

	if (posix_memalign((void **)&page, FMT_GROUP_ALIGN, FMT_GROUP_ALIGN) != 0)
		return SLK_NO_MEMORY;
	int rc = SLK_OK;
	for (uint64_t pos = first; pos < s->limit && rc == SLK_OK; pos += FMT_GROUP_ALIGN) {
		struct fmt_block b;
		size_t len = 0;
		rc = s->fs->pread(s->fs->ctx, s->fd, page, FMT_GROUP_ALIGN, pos, &len);
		size_t off = pos < cut ? (size_t)(cut - pos) : 0;
		if (rc != SLK_OK || len < off + FMT_BLOCK_HEADER_BYTES)
			continue;
		if (fmt_block_decode(slk_span(page + off, FMT_BLOCK_HEADER_BYTES), &b) == SLK_OK &&
			b.file_id == s->header.file_id && b.position == pos + off &&
			pos + off + b.total_bytes > end)
			end = pos + off + b.total_bytes;
	}
	free(page);
	*out_end = end < s->limit ? end : s->limit;
	return rc;
}

/* Copy [from, to) of the file to NAME.torn-OFFSET, durably. */
static int
keep_aside(const struct jnl *j, struct jnl_scan *s, const char *name, uint64_t from, uint64_t to)
{
	char path[JNL_PATH_MAX], torn[FMT_JFILE_NAME_MAX + 32];
	uint8_t *buf = NULL;
	int fd = -1;

	/* A copy that is there already is of a recovery that was cut off, and may be the better one. */
	int rc = SLK_EXISTS;
	for (unsigned copy = 0; copy < TORN_COPIES_MAX && rc == SLK_EXISTS; copy++) {
		int n = snprintf(
			torn, sizeof(torn), "%s.torn-%llu", name, (unsigned long long)from);
		if (copy > 0)
			snprintf(torn + n, sizeof(torn) - (size_t)n, ".%u", copy);
		rc = jnl_path(j, torn, path);
		if (rc == SLK_OK)
			rc = j->fs->open(
				j->fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0640, &fd);
	}
	if (rc != SLK_OK)
		return rc;
	if (posix_memalign((void **)&buf, FMT_GROUP_ALIGN, 1u << 20) != 0)
		rc = SLK_NO_MEMORY;
	/* Reads start at a page, as O_DIRECT wants. */
	for (uint64_t pos = from / FMT_GROUP_ALIGN * FMT_GROUP_ALIGN; pos < to && rc == SLK_OK;
		pos += 1u << 20) {
		size_t len = 0;
		rc = j->fs->pread(j->fs->ctx, s->fd, buf, 1u << 20, pos, &len);
		uint64_t skip = pos < from ? from - pos : 0;
		uint64_t end = pos + len < to ? pos + len : to;
		if (rc == SLK_OK && pos + skip < end)
			rc = j->fs->pwrite(j->fs->ctx, fd, buf + skip, (size_t)(end - pos - skip),
				pos + skip - from);
	}
	if (rc == SLK_OK)
		rc = j->fs->sync(j->fs->ctx, fd);
	free(buf);
	(void)j->fs->close(j->fs->ctx, fd);
	return rc == SLK_OK ? j->fs->sync_dir(j->fs->ctx, j->dir) : rc;
}

/* Pad from the cut to a page, footer, trailer; flushed before the trailer is written, so that a closed file has all. */
static int
close_file(const struct jnl *j, struct jnl_scan *s, const char *name, struct closing *c)
{
	char path[JNL_PATH_MAX];
	const uint64_t page_pos = c->cut / FMT_GROUP_ALIGN * FMT_GROUP_ALIGN;
	uint64_t gap = (FMT_GROUP_ALIGN - (c->cut - page_pos)) % FMT_GROUP_ALIGN;
	struct fmt_footer footer = {.flags = FMT_FOOTER_BY_RECOVERY | FMT_FOOTER_TIMES,
		.shard_count = c->shards.count,
		.sparse_count = c->sparse_count,
		.key_count = c->key_count,
		.blocks = c->blocks,
		.records = c->records,
		.plain_bytes = c->plain,
		.shards = c->shards.rows,
		.sparse = c->sparse,
		.keys = c->keys};
	/* The mark may be beyond a footer that is written again, as its trailer was lost: no block says more than its place. */
	const uint64_t durable = c->durable < c->cut ? c->durable : c->cut;
	uint64_t body = fmt_footer_bytes(footer.shard_count, footer.sparse_count, footer.key_count);
	uint64_t total = fmt_block_total(FMT_BLOCK_FOOTER, body);
	uint8_t *buf = NULL;
	size_t head_len = 0, out_len = 0;
	int fd = -1;

	if (gap > 0 && gap < FMT_BLOCK_HEADER_BYTES)
		gap += FMT_GROUP_ALIGN;
	uint64_t footer_pos = c->cut + gap;
	uint64_t len = (footer_pos - page_pos + total + FMT_GROUP_ALIGN - 1) / FMT_GROUP_ALIGN *
		FMT_GROUP_ALIGN;
	if (page_pos + len > s->header.capacity_bytes - FMT_JFILE_PAGE_BYTES ||
		total > FMT_BLOCK_MAX)
		return SLK_FULL;
	if (posix_memalign((void **)&buf, FMT_GROUP_ALIGN, (size_t)len) != 0)
		return SLK_NO_MEMORY;
	memset(buf, 0, (size_t)len);
	int rc = jnl_path(j, name, path);
	if (rc == SLK_OK && c->cut > page_pos)
		rc = j->fs->pread(j->fs->ctx, s->fd, buf, FMT_GROUP_ALIGN, page_pos, &head_len);
	if (rc != SLK_OK)
		goto out;
	uint8_t *p = buf + (c->cut - page_pos);
	memset(p, 0, (size_t)(len - (c->cut - page_pos)));
	if (gap > 0) {
		struct fmt_block pad = {.type = FMT_BLOCK_PAD,
			.total_bytes = (uint32_t)gap,
			.file_id = s->header.file_id,
			.position = c->cut,
			.durable = durable,
			.body_bytes = (uint32_t)gap - FMT_BLOCK_HEADER_BYTES};
		fmt_block_encode(&pad, p);
		fmt_block_finish(p, pad.total_bytes, s->seed);
		p += gap;
	}
	struct fmt_block b = {.type = FMT_BLOCK_FOOTER,
		.total_bytes = (uint32_t)total,
		.file_id = s->header.file_id,
		.position = footer_pos,
		.durable = durable,
		.body_bytes = (uint32_t)body};
	fmt_block_encode(&b, p);
	rc = fmt_footer_encode(&footer, p + FMT_BLOCK_HEADER_BYTES, (size_t)body, &out_len);
	if (rc != SLK_OK)
		goto out;
	fmt_block_finish(p, b.total_bytes, s->seed);
	rc = j->fs->open(j->fs->ctx, path, SLK_OPEN_WRITE, 0, &fd);
	if (rc == SLK_OK)
		rc = j->fs->pwrite(j->fs->ctx, fd, buf, (size_t)len, page_pos);
	if (rc == SLK_OK)
		rc = j->fs->sync(j->fs->ctx, fd);
	if (rc != SLK_OK)
		goto out;
	struct fmt_block t = {.type = FMT_BLOCK_TRAILER,
		.file_id = s->header.file_id,
		.position = s->header.capacity_bytes - FMT_JFILE_PAGE_BYTES,
		.durable = footer_pos,
		.body_bytes = FMT_TRAILER_BYTES,
		.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_TRAILER, FMT_TRAILER_BYTES)};
	memset(buf, 0, FMT_JFILE_PAGE_BYTES);
	fmt_block_encode(&t, buf);
	fmt_trailer_encode(footer_pos, buf + FMT_BLOCK_HEADER_BYTES);
	fmt_block_finish(buf, t.total_bytes, s->seed);
	rc = j->fs->pwrite(j->fs->ctx, fd, buf, FMT_JFILE_PAGE_BYTES, t.position);
	if (rc == SLK_OK)
		rc = j->fs->sync(j->fs->ctx, fd);
out:
	if (fd >= 0)
		(void)j->fs->close(j->fs->ctx, fd);
	free(buf);
	return rc;
}

static int
to_spare(const struct jnl *j, const char *name, uint64_t id)
{
	char from[JNL_PATH_MAX], to[JNL_PATH_MAX], spare[FMT_JFILE_NAME_MAX];

	fmt_jfile_name(FMT_JFILE_SPARE, id, spare);
	int rc = jnl_path(j, name, from);
	if (rc == SLK_OK)
		rc = jnl_path(j, spare, to);
	return rc == SLK_OK ? j->fs->rename(j->fs->ctx, from, to) : rc;
}

static int
recover_open_file(struct jnl *j, struct jnl_scan *s, const char *name, uint64_t left_at,
	struct jnl_recovery *report)
{
	struct fmt_watermark mark = {0};
	struct survey v;
	struct closing c = {0};
	uint64_t end = 0;

	int rc = jnl_mark_load_of(j->fs, j->dir, s->header.lane, s->header.file_id, false, &mark);
	uint64_t marked = rc == SLK_OK && mark.file_id == s->header.file_id ? mark.position : 0;
	rc = look_over(s, marked, &v);
	if (rc != SLK_OK)
		return rc;
	report->blocks_scanned += v.blocks;
	if (v.blocks == 0 && marked <= FMT_JFILE_PAGE_BYTES)
		rc = torn_end(s, FMT_JFILE_PAGE_BYTES, 0, &end);
	/* One that says where another ends is kept while that one may want to know; and one that another names, or it would be missed. */
	if (rc == SLK_OK && v.blocks == 0 && marked <= FMT_JFILE_PAGE_BYTES &&
		end <= FMT_JFILE_PAGE_BYTES && s->header.previous_end == 0 && left_at == 0)
		return to_spare(j, name, s->header.file_id); /* prepared, never used */
	if (rc == SLK_OK)
		rc = jnl_shards_init(&c.shards, 32768);
	c.keys = calloc(JNL_KEYS_MAX, sizeof(*c.keys));
	c.sparse_cap = (uint32_t)(s->header.capacity_bytes / JNL_SPARSE_BYTES);
	c.sparse = calloc(c.sparse_cap + 1u, sizeof(*c.sparse));
	if (rc == SLK_OK && (c.keys == NULL || c.sparse == NULL))
		rc = SLK_NO_MEMORY;
	c.durable = v.durable;
	/* Nothing behind counts, however good it looks: its lane went on elsewhere. */
	const uint64_t limit = s->limit;
	if (left_at != 0 && left_at < s->limit)
		s->limit = left_at;
	if (left_at != 0 && v.durable > left_at)
		v.durable = c.durable = left_at;
	if (rc == SLK_OK)
		rc = gather(s, &v, &c, report);
	s->limit = limit;
	if (rc == SLK_OK)
		rc = torn_end(s, c.cut, v.good_end, &end);
	if (rc == SLK_OK && end > c.cut && !c.had_footer) {
		report->torn_files++;
		report->torn_bytes += end - c.cut;
		rc = keep_aside(j, s, name, c.cut, end);
	}
	if (rc == SLK_OK)
		rc = close_file(j, s, name, &c);
	jnl_shards_fini(&c.shards);
	free(c.keys);
	free(c.sparse);
	return rc;
}

/* A next sequence number of a shard; the highest that any file names counts. */
static int
learn(struct jnl_shards *shards, uint64_t stream_id, uint32_t shard, uint64_t next_sequence)
{
	struct fmt_footer_shard *row = jnl_shards_get(shards, stream_id, shard);

	if (row == NULL)
		return SLK_LIMIT;
	if (next_sequence > row->next_sequence)
		row->next_sequence = next_sequence;
	return SLK_OK;
}

/* From the shard tables that a file begins with; *out_whole is false if damage lies there. */
static int
learn_from_tables(struct jnl_shards *shards, struct jnl_scan *s, bool *out_whole)
{
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;
	int rc;

	s->pos = FMT_JFILE_PAGE_BYTES;
	while ((rc = jnl_scan_next(s, &b, &raw, &gap_end)) == SLK_OK &&
		b.type == FMT_BLOCK_SHARDS) {
		const struct slk_span body = fmt_block_body(raw, &b);
		uint32_t count = 0;
		rc = fmt_shardtable_check(body, &count);
		for (uint32_t i = 0; i < count && rc == SLK_OK; i++) {
			struct fmt_shard e = fmt_shardtable_entry(body, i);
			rc = learn(shards, e.stream_id, e.shard, e.next_sequence);
		}
		if (rc != SLK_OK)
			break;
	}
	*out_whole = rc == SLK_OK || rc == SLK_END;
	return rc == SLK_END || slk_status_class(rc) == SLK_CLASS_CORRUPT ? SLK_OK : rc;
}

/* From the tables and the footer of a closed file. *out_enough: older files of its lane have nothing to add. A file that
 * recovery closed may have lost its tables, or some of them, so it is never enough. */
static int
learn_sequences(struct jnl *j, struct jnl_scan *s, bool *out_enough)
{
	struct jnl_shards *shards =
		&j->lanes[0].shards; /* all lanes are taught from it in the end */
	bool whole = false;

	int rc = learn_from_tables(shards, s, &whole);
	for (uint32_t i = 0; s->closed && i < s->footer.shard_count && rc == SLK_OK; i++) {
		struct fmt_footer_shard row = fmt_footer_shard_at(&s->footer, i);
		rc = learn(shards, row.stream_id, row.shard, row.next_sequence);
	}
	*out_enough = whole && s->closed && (s->footer.flags & FMT_FOOTER_BY_RECOVERY) == 0;
	return rc;
}

/* Streams and shards may go to another lane with every opening, so each lane knows all that any lane knew. */
static int
teach_lanes(struct jnl *j)
{
	const struct jnl_shards *all = &j->lanes[0].shards;

	for (unsigned lane = 1; lane < j->lane_count; lane++) {
		for (uint32_t i = 0; i < all->count; i++) {
			const struct fmt_footer_shard *row = &all->rows[i];
			int rc = learn(&j->lanes[lane].shards, row->stream_id, row->shard,
				row->next_sequence);
			if (rc != SLK_OK)
				return rc;
		}
	}
	return SLK_OK;
}

static int
recover_file(struct jnl *j, uint64_t id, struct jnl_recovered *found, struct jnl_recovery *report,
	struct slk_error *err)
{
	char name[FMT_JFILE_NAME_MAX];
	struct jnl_scan s;

	fmt_jfile_name(FMT_JFILE_LANE, id, name);
	report->files++;
	int rc = jnl_scan_open(&s, j->fs, j->dir, name, RECOVERY_READ);
	if (slk_status_class(rc) ==
		SLK_CLASS_CORRUPT) { /* its header is gone: all of it is loss, nothing is touched */
		report->corrupt_blocks++;
		report->corrupt_bytes += j->config.file_bytes;
		return SLK_OK;
	}
	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "cannot read %s/%s: %s", j->dir, name, slk_status_sentence(rc));
	if (!found->have_uuid) {
		memcpy(found->uuid, s.header.journal_uuid, sizeof(found->uuid));
		found->have_uuid = true;
	} else if (j->dirs->list.count > 1 &&
		memcmp(found->uuid, s.header.journal_uuid, sizeof(found->uuid)) != 0) {
		jnl_scan_close(&s);
		return slk_fail(err, SLK_CONFIG,
			"%s is of another journal than newer files: the directories are of two "
			"journals",
			name);
	}
	if (s.header.previous_end != 0) /* what it speaks of is older, and comes later here */
		found->left[s.header.lane] =
			(struct jnl_left){s.header.previous_id, s.header.previous_end};
	if (!s.closed) {
		const struct jnl_left *left = &found->left[s.header.lane];
		report->files_unclosed++;
		rc = recover_open_file(
			j, &s, name, left->file_id == id ? left->position : 0, report);
		if (rc == SLK_OK) {
			jnl_scan_close(&s);
			rc = jnl_scan_open(&s, j->fs, j->dir, name, RECOVERY_READ);
			if (rc == SLK_NOT_FOUND) /* it became a spare */
				return SLK_OK;
		}
	}
	bool *learned = &found->learned[s.header.lane];
	if (rc == SLK_OK && (!*learned || report->corrupt_blocks > 0))
		rc = learn_sequences(j, &s, learned);
	jnl_scan_close(&s);
	return rc == SLK_OK ? SLK_OK
			    : slk_fail(err, rc, "cannot recover %s/%s: %s", j->dir, name,
				      slk_status_sentence(rc));
}

int
jnl_recover(struct jnl *j, struct jnl_recovered *found, struct jnl_recovery *report,
	struct slk_error *err)
{
	uint64_t *ids = NULL, *spares = NULL;
	size_t count = 0, spare_count = 0;

	memset(found, 0, sizeof(*found));
	int rc = jnl_scan_list(j->fs, j->dir, FMT_JFILE_LANE, &ids, &count);
	if (rc == SLK_OK)
		rc = jnl_scan_list(j->fs, j->dir, FMT_JFILE_SPARE, &spares, &spare_count);
	if (rc != SLK_OK) {
		free(ids);
		return slk_fail(err, rc, "cannot list %s: %s", j->dir, slk_status_sentence(rc));
	}
	if (count > 0)
		found->max_id = ids[count - 1];
	if (spare_count > 0 && spares[spare_count - 1] > found->max_id)
		found->max_id = spares[spare_count - 1];
	for (unsigned lane = 0; lane < FMT_JFILE_LANES_MAX; lane++) {
		struct fmt_watermark mark;
		if (jnl_mark_load(j->fs, j->dir, lane, false, &mark) == SLK_OK &&
			mark.file_id > found->max_id)
			found->max_id = mark.file_id;
	}
	for (size_t i = count; i > 0 && rc == SLK_OK; i--) /* newest first */
		rc = recover_file(j, ids[i - 1], found, report, err);
	if (rc == SLK_OK)
		rc = teach_lanes(j);
	if (rc == SLK_OK)
		rc = j->fs->sync_dir(j->fs->ctx, j->dir);
	free(ids);
	free(spares);
	return rc;
}
