#include "journal/salvage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/proof.h"
#include "format/rewrap.h"
#include "journal/internal.h"
#include "journal/proofs.h"
#include "journal/salvage_internal.h"
#include "journal/scan.h"

#define COPY_BYTES (1u << 20)
#define SHARDS_MAX 65536u
#define EPOCHS_MAX (1u << 20)

struct salvage {
	const struct jnl_salvage_config *c;
	const struct slk_fs *fs; /* of the copy */
	struct jnl_patient_fs from;
	struct jnl_salvage_report report;
	struct jnl_salvage_file *files;
	size_t count;
	struct jnl_shards shards; /* next_sequence of each; blocks: it is known */
	struct jnl_shards keys; /* of (epoch id, 0): a key block was seen */
	struct jnl_shards
		epochs; /* likewise: a data block was; position, and first_sequence is the file */
	uint64_t newest[FMT_JFILE_LANES_MAX], newest_end[FMT_JFILE_LANES_MAX];
	uint8_t *block; /* FMT_BLOCK_MAX */
};

/* The file that is worked at. */
struct work {
	struct salvage *s;
	struct jnl_scan scan;
	char name[FMT_JFILE_NAME_MAX];
	uint64_t id;
	int fd; /* of the copy */
	uint64_t durable; /* all before it was */
	uint64_t good_end; /* of the last good block */
	bool damaged;
	bool header_lost;
	/* for a footer, if there is none */
	struct jnl_shards rows;
	struct fmt_footer_key *keys;
	struct fmt_footer_sparse *sparse;
	uint32_t key_count, sparse_count, sparse_cap;
	uint64_t blocks, records, plain, latest_ns;
	bool has_footer;
	struct fmt_footer footer;
	uint8_t *footer_copy;
	uint64_t footer_pos;
	uint64_t cut; /* where the end goes */
	bool end_lost; /* data were there, too */
};

static void
lost(struct work *w, struct jnl_loss loss)
{
	struct jnl_salvage_report *r = &w->s->report;

	w->damaged |= loss.kind != JNL_LOST_RECORDS; /* an earlier file may have had them */
	loss.name = w->name;
	loss.file_id = w->id;
	r->lost_ranges += loss.kind == JNL_LOST_RANGE;
	r->lost_keys += loss.kind == JNL_LOST_KEY;
	r->lost_bytes += loss.bytes;
	r->lost_records += loss.next_sequence - loss.first_sequence;
	if (w->s->c->lost != NULL)
		w->s->c->lost(w->s->c->arg, &loss);
}

/* --- what is known of numbers --- */

/* A shard goes on at number next, as a block, a table or a footer at offset says. */
static int
number(struct work *w, uint64_t offset, uint64_t stream_id, uint32_t shard, uint64_t next)
{
	struct fmt_footer_shard *row = jnl_shards_get(&w->s->shards, stream_id, shard);

	if (row == NULL)
		return SLK_LIMIT;
	if (row->blocks > 0 && next > row->next_sequence)
		lost(w,
			(struct jnl_loss){.kind = JNL_LOST_RECORDS,
				.offset = offset,
				.stream_id = stream_id,
				.shard = shard,
				.first_sequence = row->next_sequence,
				.next_sequence = next});
	row->blocks = 1;
	if (next > row->next_sequence)
		row->next_sequence = next;
	return SLK_OK;
}

static int
number_from_table(struct work *w, const struct fmt_block *b, struct slk_span body)
{
	uint32_t count = 0;

	if (fmt_shardtable_check(body, &count) != SLK_OK)
		return SLK_OK;
	for (uint32_t i = 0; i < count; i++) {
		struct fmt_shard e = fmt_shardtable_entry(body, i);
		int rc = number(w, b->position, e.stream_id, e.shard, e.next_sequence);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

/* At the end what a shard has come to, or before the blocks where shards begin that nothing was known of. */
static int
number_from_footer(struct work *w, bool begins)
{
	for (uint32_t i = 0; i < w->footer.shard_count; i++) {
		struct fmt_footer_shard row = fmt_footer_shard_at(&w->footer, i);
		const struct fmt_footer_shard *known =
			jnl_shards_find(&w->s->shards, row.stream_id, row.shard);
		if (begins && known != NULL)
			continue;
		int rc = number(w, w->footer_pos, row.stream_id, row.shard,
			begins ? row.first_sequence : row.next_sequence);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

/* --- the copy of one file --- */

static int
put(struct work *w, const void *bytes, size_t len, uint64_t pos)
{
	return w->s->fs->pwrite(w->s->fs->ctx, w->fd, bytes, len, pos);
}

/* Lost blocks over [from, to). Their bodies are zeros, as the rest of a new file is: only heads are written. */
static int
put_lost(struct work *w, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t len = to - from < FMT_BLOCK_MAX ? to - from : FMT_BLOCK_MAX;
		if (to - from - len > 0 && to - from - len < FMT_BLOCK_HEADER_BYTES)
			len -= FMT_GROUP_ALIGN;
		if (len < FMT_BLOCK_HEADER_BYTES)
			return SLK_OK; /* no block was ever so short: verification will find it */
		const struct fmt_block b = {.type = FMT_BLOCK_LOST,
			.total_bytes = (uint32_t)len,
			.file_id = w->id,
			.position = from,
			.body_bytes = (uint32_t)len - FMT_BLOCK_HEADER_BYTES};
		memset(w->s->block, 0, len);
		fmt_block_encode(&b, w->s->block);
		fmt_block_finish(w->s->block, b.total_bytes, w->scan.seed);
		int rc = put(w, w->s->block, FMT_BLOCK_HEADER_BYTES, from);
		if (rc != SLK_OK)
			return rc;
		from += len;
	}
	return SLK_OK;
}

static int
keep_data(struct work *w, const struct fmt_block *b)
{
	struct salvage *s = w->s;
	struct fmt_footer_shard *row = jnl_shards_get(&w->rows, b->stream_id, b->shard);
	struct fmt_footer_shard *epoch = jnl_shards_get(&s->epochs, b->epoch_id, 0);

	if (row == NULL || epoch == NULL)
		return SLK_LIMIT;
	if (epoch->blocks++ == 0) {
		epoch->position = b->position;
		epoch->first_sequence = w->id;
	}
	jnl_shards_add(row, b->position, b->first_sequence, b->record_count, b->first_arrival_ns,
		b->last_arrival_ns);
	if (w->sparse_count < w->sparse_cap &&
		(w->sparse_count == 0 ||
			b->position - w->sparse[w->sparse_count - 1].position >= JNL_SPARSE_BYTES))
		w->sparse[w->sparse_count++] = (struct fmt_footer_sparse){b->position,
			(uint32_t)(row - w->rows.rows), b->first_sequence, w->latest_ns};
	if (b->last_arrival_ns > w->latest_ns)
		w->latest_ns = b->last_arrival_ns;
	w->blocks++;
	w->records += b->record_count;
	w->plain += b->body_bytes;
	s->report.blocks++;
	s->report.records += b->record_count;
	int rc = number(w, b->position, b->stream_id, b->shard, b->first_sequence);
	if (rc == SLK_OK)
		jnl_shards_get(&s->shards, b->stream_id, b->shard)->next_sequence =
			b->first_sequence + b->record_count;
	return rc;
}

static int
keep(struct work *w, const struct fmt_block *b, const uint8_t *raw)
{
	int rc = put(w, raw, b->total_bytes, b->position);

	w->cut = b->position + b->total_bytes;
	if (rc == SLK_OK && fmt_block_is_data(b))
		rc = keep_data(w, b);
	else if (rc == SLK_OK && b->type == FMT_BLOCK_SHARDS)
		rc = number_from_table(w, b, fmt_block_body(raw, b));
	else if (rc == SLK_OK && b->type == FMT_BLOCK_KEY) {
		if (jnl_shards_get(&w->s->keys, b->epoch_id, 0) == NULL)
			return SLK_LIMIT;
		if (w->key_count < JNL_KEYS_MAX)
			w->keys[w->key_count++] =
				(struct fmt_footer_key){b->epoch_id, b->stream_id, b->position};
	}
	return rc;
}

static int
keep_footer(struct work *w, const struct fmt_block *b, struct slk_span body)
{
	w->footer_copy = malloc(body.len);
	if (w->footer_copy == NULL)
		return SLK_NO_MEMORY;
	memcpy(w->footer_copy, body.ptr, body.len);
	if (fmt_footer_decode(slk_span(w->footer_copy, body.len), &w->footer) != SLK_OK)
		return SLK_OK; /* as if there were none */
	w->has_footer = true;
	w->footer_pos = b->position;
	return SLK_OK;
}

/* Nothing readable from `from` on, up to `to`. True if the file is left there. */
static bool
gap(struct work *w, uint64_t from, uint64_t to, int *rc)
{
	*rc = SLK_OK;
	if (from >= w->durable) {
		w->s->report.torn_bytes += w->good_end > from ? w->good_end - from : 0;
		return true;
	}
	if (!w->has_footer && to >= w->scan.limit) { /* the end of the file is in it */
		uint64_t data_end = w->durable < to ? w->durable : from;
		w->end_lost = true;
		lost(w,
			(struct jnl_loss){
				.kind = JNL_LOST_END, .offset = from, .bytes = data_end - from});
		return true;
	}
	lost(w, (struct jnl_loss){.kind = JNL_LOST_RANGE, .offset = from, .bytes = to - from});
	*rc = put_lost(w, from, to);
	w->cut = to;
	return false;
}

static int
copy_blocks(struct work *w)
{
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;
	int rc = SLK_OK;

	w->scan.pos = w->cut = FMT_JFILE_PAGE_BYTES;
	while (rc == SLK_OK) {
		uint64_t at = w->scan.pos;
		rc = jnl_scan_next(&w->scan, &b, &raw, &gap_end);
		if (rc == SLK_CORRUPT) {
			if (gap(w, at, gap_end, &rc))
				return rc;
		} else if (rc == SLK_OK && b.type == FMT_BLOCK_FOOTER) {
			return keep_footer(w, &b, fmt_block_body(raw, &b));
		} else if (rc == SLK_OK) {
			rc = keep(w, &b, raw);
		}
	}
	return rc == SLK_END ? SLK_OK : rc;
}

/* --- the end of a file --- */

static int
put_trailer(struct work *w)
{
	const struct fmt_block t = {.type = FMT_BLOCK_TRAILER,
		.file_id = w->id,
		.position = w->scan.header.capacity_bytes - FMT_JFILE_PAGE_BYTES,
		.durable = w->footer_pos,
		.body_bytes = FMT_TRAILER_BYTES,
		.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_TRAILER, FMT_TRAILER_BYTES)};
	uint8_t *p = w->s->block;

	memset(p, 0, t.total_bytes);
	fmt_block_encode(&t, p);
	fmt_trailer_encode(w->footer_pos, p + FMT_BLOCK_HEADER_BYTES);
	fmt_block_finish(p, t.total_bytes, w->scan.seed);
	return put(w, p, t.total_bytes, t.position);
}

/* Fill up to the page that the footer begins at; what was lost there is said. */
static int
put_gap_to_page(struct work *w)
{
	uint64_t gap = (FMT_GROUP_ALIGN - w->cut % FMT_GROUP_ALIGN) % FMT_GROUP_ALIGN;

	if (gap > 0 && gap < FMT_BLOCK_HEADER_BYTES)
		gap += FMT_GROUP_ALIGN;
	const struct fmt_block pad = {.type = w->end_lost ? FMT_BLOCK_LOST : FMT_BLOCK_PAD,
		.total_bytes = (uint32_t)gap,
		.file_id = w->id,
		.position = w->cut,
		.body_bytes = (uint32_t)gap - FMT_BLOCK_HEADER_BYTES};
	w->footer_pos = w->cut + gap;
	if (gap == 0)
		return SLK_OK;
	memset(w->s->block, 0, gap);
	fmt_block_encode(&pad, w->s->block);
	fmt_block_finish(w->s->block, pad.total_bytes, w->scan.seed);
	return put(w, w->s->block, gap, w->cut);
}

/* The file's own footer is kept to the byte; otherwise one is made of what is left. */
static int
put_end(struct work *w)
{
	struct fmt_footer made = {.flags = FMT_FOOTER_TIMES | FMT_FOOTER_SALVAGED,
		.shard_count = w->rows.count,
		.sparse_count = w->sparse_count,
		.key_count = w->key_count,
		.blocks = w->blocks,
		.records = w->records,
		.plain_bytes = w->plain,
		.shards = w->rows.rows,
		.sparse = w->sparse,
		.keys = w->keys};
	int rc = w->has_footer ? SLK_OK : put_gap_to_page(w);

	if (rc != SLK_OK)
		return rc;
	made.flags |= w->header_lost ? FMT_FOOTER_HEADER_LOST : 0;
	uint64_t body = w->has_footer
		? w->footer.raw.len
		: fmt_footer_bytes(made.shard_count, made.sparse_count, made.key_count);
	const struct fmt_block b = {.type = FMT_BLOCK_FOOTER,
		.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_FOOTER, body),
		.file_id = w->id,
		.position = w->footer_pos,
		.body_bytes = (uint32_t)body};
	uint8_t *p = w->s->block;
	if (fmt_block_total(FMT_BLOCK_FOOTER, body) > FMT_BLOCK_MAX ||
		w->footer_pos + b.total_bytes >
			w->scan.header.capacity_bytes - FMT_JFILE_PAGE_BYTES)
		return SLK_FULL;
	memset(p, 0, b.total_bytes);
	fmt_block_encode(&b, p);
	if (w->has_footer) {
		memcpy(p + FMT_BLOCK_HEADER_BYTES, w->footer.raw.ptr, body);
		slk_put_le32(p + FMT_BLOCK_HEADER_BYTES, w->footer.flags | FMT_FOOTER_HEADER_LOST);
	} else {
		size_t len = 0;
		rc = fmt_footer_encode(&made, p + FMT_BLOCK_HEADER_BYTES, (size_t)body, &len);
	}
	fmt_block_finish(p, b.total_bytes, w->scan.seed);
	return rc == SLK_OK ? put(w, p, b.total_bytes, w->footer_pos) : rc;
}

/* The footer and the pad behind it, as they are, up to the page's end. */
static int
copy_end(struct work *w)
{
	uint64_t len = fmt_block_total(FMT_BLOCK_FOOTER, w->footer.raw.len);
	size_t got = 0;

	len = (len + FMT_GROUP_ALIGN - 1) / FMT_GROUP_ALIGN * FMT_GROUP_ALIGN;
	if (len > FMT_BLOCK_MAX)
		len = FMT_BLOCK_MAX;
	int rc = w->s->from.fs.pread(
		w->s->from.fs.ctx, w->scan.fd, w->s->block, (size_t)len, w->footer_pos, &got);
	return rc == SLK_OK ? put(w, w->s->block, got, w->footer_pos) : rc;
}

static int
finish(struct work *w)
{
	const bool had_end = w->scan.closed;
	int rc = w->has_footer ? number_from_footer(w, false) : SLK_OK;

	if (rc == SLK_OK)
		rc = w->has_footer && !w->header_lost ? copy_end(w) : put_end(w);
	if (rc == SLK_OK)
		rc = put_trailer(w);
	if (rc == SLK_OK && w->has_footer && !had_end) /* only the trailer was gone */
		lost(w, (struct jnl_loss){.kind = JNL_LOST_END, .offset = w->footer_pos});
	return rc;
}

/* --- one file --- */

/* The highest position that is known to have been durable, and where the last good block ends. */
static int
survey(struct work *w, size_t index)
{
	const struct salvage *s = w->s;
	const struct fmt_jfile_header *h = &w->scan.header;
	struct fmt_watermark mark;
	struct jnl_proof proof;
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;
	int rc;

	w->durable = w->scan.closed ? UINT64_MAX : FMT_JFILE_PAGE_BYTES;
	for (size_t i = index + 1; i < s->count; i++) /* it was begun when this one was closed */
		if (s->files[i].good && s->files[i].header.previous_id == w->id)
			w->durable = UINT64_MAX;
	if (jnl_mark_load(&s->from.fs, s->c->dir, h->lane, false, &mark) == SLK_OK &&
		mark.file_id == w->id && mark.position > w->durable)
		w->durable = mark.position;
	if (jnl_proof_load(&s->from.fs, s->c->dir, w->id, &proof) == SLK_OK) {
		if (proof.final.file_id == w->id && proof.final.position > w->durable)
			w->durable = proof.final.position;
		jnl_proof_free(&proof);
	}
	w->scan.pos = FMT_JFILE_PAGE_BYTES;
	while ((rc = jnl_scan_next(&w->scan, &b, &raw, &gap_end)) == SLK_OK || rc == SLK_CORRUPT) {
		if (rc == SLK_CORRUPT)
			continue;
		w->good_end = b.position + b.total_bytes;
		if (b.durable > w->durable)
			w->durable = b.durable;
	}
	return rc == SLK_END ? SLK_OK : rc;
}

static int
open_copy(struct work *w)
{
	const struct salvage *s = w->s;
	char path[JNL_PATH_MAX];
	uint8_t page[FMT_JFILE_PAGE_BYTES];

	if (snprintf(path, sizeof(path), "%s/%s", s->c->to, w->name) >= (int)sizeof(path))
		return SLK_TOO_LARGE;
	int rc = s->fs->open(s->fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0640, &w->fd);
	if (rc == SLK_OK)
		rc = s->fs->truncate(s->fs->ctx, w->fd, w->scan.header.capacity_bytes);
	fmt_jfile_encode(&w->scan.header, page);
	return rc == SLK_OK ? put(w, page, sizeof(page), 0) : rc;
}

static int
work_init(struct work *w)
{
	w->sparse_cap = (uint32_t)(w->scan.header.capacity_bytes / JNL_SPARSE_BYTES) + 1;
	w->keys = calloc(JNL_KEYS_MAX, sizeof(*w->keys));
	w->sparse = calloc(w->sparse_cap, sizeof(*w->sparse));
	if (w->keys == NULL || w->sparse == NULL)
		return SLK_NO_MEMORY;
	if (w->scan.closed) {
		w->has_footer = true;
		w->footer = w->scan.footer;
		w->footer_pos = w->scan.footer_pos;
	}
	return jnl_shards_init(&w->rows, SHARDS_MAX);
}

static void
work_fini(struct work *w)
{
	if (w->fd >= 0)
		(void)w->s->fs->close(w->s->fs->ctx, w->fd);
	jnl_scan_close(&w->scan);
	jnl_shards_fini(&w->rows);
	free(w->keys);
	free(w->sparse);
	free(w->footer_copy);
}

static int
open_damaged(struct work *w, size_t index)
{
	struct salvage *s = w->s;
	struct fmt_jfile_header header;

	int rc = jnl_scan_open(&w->scan, &s->from.fs, s->c->dir, w->name, SLK_OPEN_READ);
	if (slk_status_class(rc) != SLK_CLASS_CORRUPT)
		return rc;
	rc = jnl_salvage_header(&s->from.fs, s->c->dir, s->files, s->count, index, &header);
	if (rc == SLK_NOT_FOUND) {
		s->report.files_lost++;
		lost(w, (struct jnl_loss){.kind = JNL_LOST_FILE});
	}
	if (rc != SLK_OK)
		return rc;
	w->header_lost = true;
	lost(w, (struct jnl_loss){.kind = JNL_LOST_HEADER, .bytes = FMT_JFILE_PAGE_BYTES});
	return jnl_scan_open_as(&w->scan, &s->from.fs, s->c->dir, w->name, SLK_OPEN_READ, &header);
}

static int
salvage_file(struct salvage *s, size_t index, struct slk_error *err)
{
	struct work w = {.s = s, .id = s->files[index].id, .fd = -1, .scan = {.fd = -1}};

	fmt_jfile_name(FMT_JFILE_LANE, w.id, w.name);
	s->report.files++;
	int rc = open_damaged(&w, index);
	if (rc == SLK_NOT_FOUND) { /* lost, or retired meanwhile */
		s->report.files_damaged += w.damaged;
		return SLK_OK;
	}
	if (rc == SLK_OK)
		rc = work_init(&w);
	if (rc == SLK_OK)
		rc = survey(&w, index);
	if (rc == SLK_OK && w.good_end == 0 && !w.damaged && !w.scan.closed &&
		w.durable <= FMT_JFILE_PAGE_BYTES) { /* prepared, never used */
		work_fini(&w);
		return SLK_OK;
	}
	if (rc == SLK_OK)
		rc = open_copy(&w);
	if (rc == SLK_OK && w.has_footer)
		rc = number_from_footer(&w, true);
	if (rc == SLK_OK)
		rc = copy_blocks(&w);
	if (rc == SLK_OK)
		rc = finish(&w);
	if (rc == SLK_OK)
		rc = s->fs->sync(s->fs->ctx, w.fd);
	if (rc == SLK_OK) {
		s->newest[w.scan.header.lane] = w.id;
		s->newest_end[w.scan.header.lane] = w.footer_pos;
	}
	s->report.files_damaged += w.damaged;
	work_fini(&w);
	return rc == SLK_OK ? rc
			    : slk_fail(err, rc, "cannot salvage %s/%s: %s", s->c->dir, w.name,
				      slk_status_sentence(rc));
}

/* --- the directory --- */

static int
copy_bytes(const struct salvage *s, int from, int to)
{
	uint8_t *buf = malloc(COPY_BYTES);
	size_t len = COPY_BYTES;
	int rc = buf != NULL ? SLK_OK : SLK_NO_MEMORY;

	for (uint64_t pos = 0; rc == SLK_OK && len == COPY_BYTES; pos += len) {
		rc = s->from.fs.pread(s->from.fs.ctx, from, buf, COPY_BYTES, pos, &len);
		if (rc == SLK_OK && len > 0)
			rc = s->fs->pwrite(s->fs->ctx, to, buf, len, pos);
	}
	free(buf);
	return rc == SLK_OK ? s->fs->sync(s->fs->ctx, to) : rc;
}

/* Proofs and side files stay what they are. */
static int
copy_beside(void *arg, const char *name)
{
	struct salvage *s = arg;
	char from_path[JNL_PATH_MAX], to_path[JNL_PATH_MAX];
	uint64_t id;
	int from = -1, to = -1;

	if (!fmt_proof_name_parse(name, &id) && !fmt_rewrap_name_parse(name, &id))
		return SLK_OK;
	if (snprintf(from_path, sizeof(from_path), "%s/%s", s->c->dir, name) >=
			(int)sizeof(from_path) ||
		snprintf(to_path, sizeof(to_path), "%s/%s", s->c->to, name) >= (int)sizeof(to_path))
		return SLK_TOO_LARGE;
	int rc = s->from.fs.open(s->from.fs.ctx, from_path, SLK_OPEN_READ, 0, &from);
	if (rc == SLK_OK)
		rc = s->fs->open(s->fs->ctx, to_path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0640, &to);
	if (rc == SLK_OK)
		rc = copy_bytes(s, from, to);
	if (from >= 0)
		(void)s->from.fs.close(s->from.fs.ctx, from);
	if (to >= 0)
		(void)s->fs->close(s->fs->ctx, to);
	return rc;
}

static int
any_name(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return SLK_EXISTS;
}

static int
make_directory(const struct salvage *s, struct slk_error *err)
{
	int rc = s->fs->mkdir(s->fs->ctx, s->c->to, 0750);

	if (rc == SLK_EXISTS) {
		rc = s->fs->list(s->fs->ctx, s->c->to, any_name, NULL);
		if (rc == SLK_EXISTS)
			return slk_fail(err, rc,
				"%s is not empty: what is salvaged goes into a directory of its "
				"own",
				s->c->to);
	}
	return rc == SLK_OK ? rc
			    : slk_fail(err, rc, "cannot make the directory %s: %s", s->c->to,
				      slk_status_sentence(rc));
}

/* The files that there are, and what their headers say. */
static int
look_around(struct salvage *s, struct slk_error *err)
{
	uint64_t *ids = NULL;
	int rc = jnl_scan_list(&s->from.fs, s->c->dir, FMT_JFILE_LANE, &ids, &s->count);

	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot list the journal in %s: %s", s->c->dir,
			slk_status_sentence(rc));
	s->files = calloc(s->count + 1, sizeof(*s->files));
	for (size_t i = 0; s->files != NULL && i < s->count; i++) {
		char name[FMT_JFILE_NAME_MAX];
		struct jnl_scan scan;
		s->files[i].id = ids[i];
		fmt_jfile_name(FMT_JFILE_LANE, ids[i], name);
		if (jnl_scan_open(&scan, &s->from.fs, s->c->dir, name, SLK_OPEN_READ) != SLK_OK)
			continue;
		s->files[i].good = true;
		s->files[i].header = scan.header;
		jnl_scan_close(&scan);
	}
	free(ids);
	return s->files != NULL ? SLK_OK : slk_fail(err, SLK_NO_MEMORY, "out of memory");
}

/* Blocks without any key block. */
static void
name_lost_keys(struct salvage *s)
{
	struct work w = {.s = s};

	for (uint32_t i = 0; i < s->epochs.count; i++) {
		const struct fmt_footer_shard *epoch = &s->epochs.rows[i];
		if (jnl_shards_find(&s->keys, epoch->stream_id, 0) != NULL)
			continue;
		w.id = epoch->first_sequence;
		fmt_jfile_name(FMT_JFILE_LANE, w.id, w.name);
		lost(&w,
			(struct jnl_loss){.kind = JNL_LOST_KEY,
				.offset = epoch->position,
				.epoch_id = epoch->stream_id});
	}
}

/* Readers learn from the watermark which lanes there are. */
static int
write_marks(const struct salvage *s, struct slk_error *err)
{
	for (unsigned lane = 0; lane < FMT_JFILE_LANES_MAX; lane++) {
		struct jnl_mark mark;
		if (s->newest[lane] == 0)
			continue;
		int rc = jnl_mark_open(&mark, s->fs, false, s->c->to, lane, err);
		if (rc != SLK_OK)
			return rc;
		const struct fmt_watermark m = {.file_id = s->newest[lane],
			.position = s->newest_end[lane],
			.opened_ns = slk_wall_ns(slk_clock_system())};
		rc = jnl_mark_set(&mark, &m);
		if (rc == SLK_OK)
			rc = s->fs->sync(s->fs->ctx, mark.fd);
		jnl_mark_close(&mark);
		if (rc != SLK_OK)
			return slk_fail(err, rc, "cannot write %s/watermark: %s", s->c->to,
				slk_status_sentence(rc));
	}
	return SLK_OK;
}

static int
salvage_all(struct salvage *s, struct slk_error *err)
{
	int rc = look_around(s, err);

	if (rc == SLK_OK)
		rc = make_directory(s, err);
	for (size_t i = 0; rc == SLK_OK && i < s->count; i++)
		rc = salvage_file(s, i, err);
	if (rc != SLK_OK)
		return rc;
	name_lost_keys(s);
	rc = s->from.fs.list(s->from.fs.ctx, s->c->dir, copy_beside, s);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot copy the proofs of %s: %s", s->c->dir,
			slk_status_sentence(rc));
	rc = write_marks(s, err);
	if (rc == SLK_OK && s->fs->sync_dir(s->fs->ctx, s->c->to) != SLK_OK)
		rc = slk_fail(err, SLK_IO, "cannot flush %s", s->c->to);
	return rc;
}

int
jnl_salvage(const struct jnl_salvage_config *config, struct jnl_salvage_report *out_report,
	struct slk_error *err)
{
	struct salvage s = {.c = config, .fs = config->fs != NULL ? config->fs : slk_fs_posix()};

	jnl_patient_fs_init(&s.from, s.fs);
	s.block = malloc(FMT_BLOCK_MAX);
	int rc = s.block != NULL ? SLK_OK : SLK_NO_MEMORY;
	if (rc == SLK_OK)
		rc = jnl_shards_init(&s.shards, SHARDS_MAX);
	if (rc == SLK_OK)
		rc = jnl_shards_init(&s.keys, EPOCHS_MAX);
	if (rc == SLK_OK)
		rc = jnl_shards_init(&s.epochs, EPOCHS_MAX);
	rc = rc == SLK_OK ? salvage_all(&s, err) : slk_fail(err, rc, "out of memory");
	s.report.unreadable_pages = s.from.unreadable_pages;
	if (rc == SLK_OK)
		*out_report = s.report;
	jnl_shards_fini(&s.shards);
	jnl_shards_fini(&s.keys);
	jnl_shards_fini(&s.epochs);
	free(s.files);
	free(s.block);
	return rc;
}
