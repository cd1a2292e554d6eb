#include "journal/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/dirs.h"
#include "journal/epochs.h"
#include "journal/mark.h"
#include "journal/scan.h"

/* One lane as the reader follows it. */
struct tail {
	bool used;
	uint32_t lane;
	uint64_t file_id; /* being read, or the last one read */
	bool open;
	bool told; /* that what comes next was trimmed: once is enough */
	bool limited; /* scan.limit is of the watermark */
	bool held; /* its disk did not answer: to be opened again at held_pos */
	uint64_t held_pos;
	uint64_t next_id; /* the file that the lane went on in when a disk failed; 0: none */
	uint64_t run; /* of the file read last */
	struct jnl_scan scan;
	bool started; /* JNL_FROM_TIME: the first block was met; what follows is given out whatever its time */
	bool have; /* block holds the next one of this lane */
	struct jnl_block block; /* in scan's buffer */
	uint8_t sealed[FMT_BLOCK_HEADER_BYTES]; /* its header when it was sealed */
	uint64_t
		skip_below; /* JNL_FROM_LATEST: data blocks of first_file before this position are passed over */
	uint64_t first_file;
};

struct jnl_reader {
	struct jnl_reader_config config;
	char *dir;
	const struct slk_fs *fs;
	struct jnl_dirs *dirs; /* that fs is over */
	bool look_at_dirs; /* they may have changed */
	bool any_given;
	struct tail tails[FMT_JFILE_LANES_MAX];
	struct jnl_epochs epochs;
	uint64_t *unreadable; /* files that were reported */
	size_t unreadable_count;
	bool look_for_lanes;
	int taken; /* lane whose block was handed out, -1 none */
};

int
jnl_reader_epoch(struct jnl_reader *r, uint64_t epoch_id, struct jnl_epoch_info *out_info)
{
	return jnl_epochs_find(&r->epochs, r->dir, r->fs, epoch_id, out_info);
}

/* --- files --- */

/* How far the open file may be read. SLK_AGAIN if nothing of it is durable yet. */
static int
set_limit(struct jnl_reader *r, struct tail *t)
{
	struct fmt_watermark mark;

	/* What was durable stays so: the watermark is looked at when the reader has come up to what it knows. */
	if (t->scan.closed || (t->limited && t->scan.pos < t->scan.limit))
		return SLK_OK;
	int rc = jnl_mark_load_of(r->fs, r->dir, t->lane, t->file_id, true, &mark);
	if (rc != SLK_OK)
		return rc == SLK_NOT_FOUND ? SLK_AGAIN : rc;
	if (mark.file_id != t->file_id) {
		t->scan.limit = t->scan.pos;
		return SLK_AGAIN;
	}
	if (mark.position > t->scan.limit || t->scan.limit > mark.position)
		jnl_scan_refresh(&t->scan);
	t->scan.limit = mark.position;
	t->limited = true;
	return SLK_OK;
}

static int
open_file(struct jnl_reader *r, struct tail *t, uint64_t id)
{
	char name[FMT_JFILE_NAME_MAX];

	fmt_jfile_name(FMT_JFILE_LANE, id, name);
	int rc = jnl_scan_open(&t->scan, r->fs, r->dir, name, SLK_OPEN_READ);
	if (rc != SLK_OK)
		return rc;
	/* A simulator's files have no ring. */
	if (!t->scan.closed && r->dirs->base == slk_fs_posix())
		jnl_scan_share(&t->scan, jnl_dirs_some(r->dirs));
	t->file_id = id;
	t->run = t->scan.header.run;
	t->open = true;
	return SLK_OK;
}

static void
close_file(struct tail *t)
{
	if (t->open)
		jnl_scan_close(&t->scan);
	t->open = t->limited = false;
}

/* --- seeking, in files that are closed: their footers say what is where --- */

static bool
row_wanted(const struct jnl_reader *r, const struct fmt_footer_shard *row)
{
	const struct jnl_reader_config *c = &r->config;

	if ((!c->any_stream && row->stream_id != c->stream_id) ||
		(!c->any_shard && row->shard != c->shard))
		return false;
	if (c->from == JNL_FROM_SEQUENCE)
		return row->next_sequence > c->from_value;
	return c->from != JNL_FROM_TIME || row->last_arrival_ns >= c->from_value;
}

/* Arrivals are not in order: but before the last entry that says so, all are older than from_ns. */
static uint64_t
skip_older(const struct fmt_footer *f, uint64_t from_ns, uint64_t first)
{
	for (uint32_t k = 0; (f->flags & FMT_FOOTER_TIMES) != 0 && k < f->sparse_count; k++) {
		struct fmt_footer_sparse s = fmt_footer_sparse_at(f, k);
		if (s.latest_before_ns >= from_ns)
			break;
		if (s.position > first)
			first = s.position;
	}
	return first;
}

/* The first position that can hold a wanted block, the footer's if none does. */
static uint64_t
first_wanted(const struct jnl_reader *r, const struct fmt_footer *f, uint64_t footer_pos)
{
	const struct jnl_reader_config *c = &r->config;
	uint64_t first = footer_pos;

	for (uint32_t i = 0; i < f->shard_count; i++) {
		struct fmt_footer_shard row = fmt_footer_shard_at(f, i);
		uint64_t pos = row.position;
		if (!row_wanted(r, &row))
			continue;
		for (uint32_t k = 0; c->from == JNL_FROM_SEQUENCE && k < f->sparse_count; k++) {
			struct fmt_footer_sparse s = fmt_footer_sparse_at(f, k);
			if (s.shard_index == i && s.first_sequence <= c->from_value)
				pos = s.position;
		}
		if (pos < first)
			first = pos;
	}
	return c->from == JNL_FROM_TIME ? skip_older(f, c->from_value, first) : first;
}

/* Key blocks that a seek passes over. The epoch of a damaged one stays unknown. */
static int
learn_keys_before(struct jnl_reader *r, struct jnl_scan *scan, uint64_t pos)
{
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;

	for (uint32_t i = 0; i < scan->footer.key_count; i++) {
		struct fmt_footer_key key = fmt_footer_key_at(&scan->footer, i);
		if (key.position >= pos ||
			(!r->config.any_stream && key.stream_id != r->config.stream_id))
			continue;
		scan->pos = key.position;
		int rc = jnl_scan_next(scan, &b, &raw, &gap_end);
		if (rc == SLK_OK && b.type == FMT_BLOCK_KEY)
			rc = jnl_epochs_learn(&r->epochs, fmt_block_body(raw, &b));
		if (rc != SLK_OK && slk_status_class(rc) != SLK_CLASS_CORRUPT)
			return rc;
	}
	return SLK_OK;
}

/* What recovery says of a file is what was found there: wanted blocks that are lost, before the first one that
 * was found or all of them, are in no row. Only where a row begins at or before the wanted number nothing is missed. */
static bool
may_miss_lost(const struct jnl_reader *r, const struct fmt_footer *f)
{
	bool sure = false;

	if ((f->flags & FMT_FOOTER_BY_RECOVERY) == 0)
		return false;
	for (uint32_t i = 0; i < f->shard_count; i++) {
		struct fmt_footer_shard row = fmt_footer_shard_at(f, i);
		if (!row_wanted(r, &row))
			continue;
		sure = r->config.from == JNL_FROM_SEQUENCE &&
			row.first_sequence <= r->config.from_value;
		if (!sure)
			break;
	}
	return !sure;
}

static int
seek(struct jnl_reader *r, const struct tail *t, struct jnl_scan *scan)
{
	if (!scan->closed || t->started || r->config.from == JNL_FROM_LATEST ||
		may_miss_lost(r, &scan->footer))
		return SLK_OK;
	uint64_t pos = first_wanted(r, &scan->footer, scan->footer_pos);
	if (pos < FMT_JFILE_PAGE_BYTES || pos > scan->footer_pos)
		return SLK_OK; /* a footer that makes no sense: read all */
	int rc = learn_keys_before(r, scan, pos);
	scan->pos = pos;
	return rc;
}

/* Report a file whose header is damaged once; nobody knows its lane. */
static int
note_unreadable(struct jnl_reader *r, uint64_t id, struct slk_error *err)
{
	for (size_t i = 0; i < r->unreadable_count; i++) {
		if (r->unreadable[i] == id)
			return SLK_AGAIN;
	}
	uint64_t *bigger = realloc(r->unreadable, (r->unreadable_count + 1) * sizeof(*bigger));
	if (bigger == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	r->unreadable = bigger;
	r->unreadable[r->unreadable_count++] = id;
	return slk_fail(err, SLK_CORRUPT, "%s/%020llu.slj: the file's header is damaged", r->dir,
		(unsigned long long)id);
}

static bool
is_gone(const struct jnl_reader *r, uint64_t file_id)
{
	struct jnl_scan s;
	char name[FMT_JFILE_NAME_MAX];

	fmt_jfile_name(FMT_JFILE_LANE, file_id, name);
	int rc = jnl_scan_open(&s, r->fs, r->dir, name, SLK_OPEN_READ);
	jnl_scan_close(&s);
	return rc == SLK_NOT_FOUND;
}

/* Does what is next not follow what was read last, because files went? They go oldest first: the first file of an opening
 * names none before it, but what came between went after the one that was read. */
static bool
was_trimmed(const struct jnl_reader *r, const struct tail *t, const struct jnl_scan *next)
{
	uint64_t before = next->header.previous_id;

	if (t->told || t->file_id == 0 || t->file_id < t->first_file || before == t->file_id)
		return false;
	return is_gone(r, before != 0 ? before : t->file_id);
}

static int
trimmed(const struct jnl_reader *r, struct tail *t, struct slk_error *err)
{
	t->told = true;
	return slk_fail(err, SLK_TRIMMED,
		"%s: what comes behind %020llu.slj in lane %u was trimmed by retention; reading "
		"goes on at the oldest file that is there",
		r->dir, (unsigned long long)t->file_id, t->lane);
}

/* With a directory that cannot be read: what comes between may be in it. */
static bool
may_miss(const struct jnl_reader *r, const struct tail *t, const struct jnl_scan *next, bool unread)
{
	if (t->file_id == 0 || next->header.previous_id == t->file_id)
		return false;
	return unread || jnl_dirs_missing(r->dirs, false) != NULL;
}

/* The lane's next file after the present one. SLK_TRIMMED if one in between is gone; the next is open then. SLK_AGAIN if there is none yet; SLK_CORRUPT once for a file in between that
 * cannot be read at all. */
static int
next_file(struct jnl_reader *r, struct tail *t, struct slk_error *err)
{
	uint64_t *ids = NULL;
	size_t count = 0;
	bool unread = false;
	int rc = jnl_scan_list(r->fs, r->dir, FMT_JFILE_LANE, &ids, &count);

	if (rc != SLK_OK)
		return rc;
	rc = SLK_AGAIN;
	for (size_t i = 0; i < count && rc == SLK_AGAIN; i++) {
		if (ids[i] <= t->file_id || ids[i] < t->next_id)
			continue;
		struct tail probe = {.lane = t->lane};
		int opened = open_file(r, &probe, ids[i]);
		if (slk_status_class(opened) == SLK_CLASS_CORRUPT)
			rc = note_unreadable(r, ids[i], err);
		else if (opened == SLK_IO && r->dirs->list.count > 1)
			unread = true; /* it need not be this lane's */
		else if (opened != SLK_OK &&
			opened != SLK_NOT_FOUND) /* it may have become a spare meanwhile */
			rc = opened;
		if (opened != SLK_OK)
			continue;
		if (probe.scan.header.lane != t->lane) {
			close_file(&probe);
			continue;
		}
		if (may_miss(r, t, &probe.scan, unread)) {
			close_file(&probe);
			rc = SLK_IO;
			break;
		}
		bool gone = was_trimmed(r, t, &probe.scan);
		close_file(t);
		if (gone)
			(void)trimmed(r, t, err);
		t->scan = probe.scan;
		t->told = false;
		t->file_id = ids[i];
		t->run = t->scan.header.run;
		t->next_id = 0;
		t->open = true;
		r->look_for_lanes = true;
		rc = seek(r, t, &t->scan);
		if (rc == SLK_OK && gone)
			rc = SLK_TRIMMED;
	}
	free(ids);
	return rc == SLK_AGAIN && unread ? SLK_IO : rc;
}

/* When its disk failed, the lane left a file open, and the next one says where: that file, and the end of this one.
 * SLK_NOT_FOUND: it was not left. */
static int
find_left(struct jnl_reader *r, const struct tail *t, uint64_t *out_next, uint64_t *out_end)
{
	uint64_t *ids = NULL;
	size_t count = 0;
	int rc = jnl_scan_list(r->fs, r->dir, FMT_JFILE_LANE, &ids, &count);

	if (rc != SLK_OK)
		return rc;
	rc = SLK_NOT_FOUND;
	for (size_t i = 0; i < count && rc == SLK_NOT_FOUND; i++) {
		struct tail probe = {.lane = t->lane};
		if (ids[i] <= t->file_id || open_file(r, &probe, ids[i]) != SLK_OK)
			continue;
		const struct fmt_jfile_header *h = &probe.scan.header;
		if (h->previous_id == t->file_id && h->previous_end != 0) {
			*out_next = ids[i];
			*out_end = h->previous_end;
			rc = SLK_OK;
		}
		close_file(&probe);
	}
	free(ids);
	return rc;
}

/* The open file may have been closed by its writer since it was opened: look again. */
static int
reopen_if_closed(struct jnl_reader *r, struct tail *t)
{
	const uint64_t pos = t->scan.pos, id = t->file_id;

	close_file(t);
	int rc = open_file(r, t, id);
	if (rc == SLK_NOT_FOUND) /* closed and deleted since: its end was not read */
		return SLK_TRIMMED;
	if (rc != SLK_OK) {
		t->held = true;
		t->held_pos = pos;
		return rc;
	}
	t->scan.pos = pos;
	return t->scan.closed ? SLK_OK : SLK_AGAIN;
}

/* All that is known of an open file was read. SLK_OK: there is more; SLK_AGAIN: not now; SLK_END: no more will come; SLK_TRIMMED. */
static int
look_at_end(struct jnl_reader *r, struct tail *t)
{
	const uint64_t id = t->file_id;
	struct fmt_watermark mark;
	uint64_t end = 0;

	if (jnl_mark_load(r->fs, r->dir, t->lane, true, &mark) != SLK_OK || mark.file_id <= id)
		return SLK_AGAIN;
	if (r->dirs->list.count == 1)
		return reopen_if_closed(r, t);
	int rc = find_left(r, t, &t->next_id, &end);
	if (rc == SLK_OK && t->scan.pos >= end)
		return SLK_END;
	if (rc == SLK_OK) {
		t->scan.limit = end;
		t->limited = true;
		return SLK_OK;
	}
	if (rc != SLK_NOT_FOUND)
		return rc;
	rc = reopen_if_closed(r, t);
	if (rc != SLK_AGAIN)
		return rc;
	/* Prepared, and never used: the disk had failed before. */
	rc = jnl_mark_load_of(r->fs, r->dir, t->lane, id, true, &mark);
	return rc == SLK_OK && mark.file_id != id ? SLK_END : SLK_AGAIN;
}

/* --- blocks --- */

static bool
wanted(const struct jnl_reader *r, const struct tail *t, const struct fmt_block *b)
{
	const struct jnl_reader_config *c = &r->config;

	if (!fmt_block_is_data(b))
		return false;
	if (!c->any_stream && b->stream_id != c->stream_id)
		return false;
	if (!c->any_shard && b->shard != c->shard)
		return false;
	if (t->file_id < t->first_file ||
		(t->file_id == t->first_file && b->position < t->skip_below))
		return false;
	if (c->from == JNL_FROM_SEQUENCE && b->first_sequence + b->record_count <= c->from_value)
		return false;
	return c->from != JNL_FROM_TIME || t->started || b->last_arrival_ns >= c->from_value;
}

/* Its bytes stay where they are: the lane's scan is not touched before the block was taken. */
static void
keep_block(struct tail *t, const struct fmt_block *b, const uint8_t *raw)
{
	fmt_block_sealed_header(raw, b, t->sealed);
	t->block = (struct jnl_block){
		.file_id = t->file_id,
		.position = b->position,
		.lane = t->lane,
		.epoch_id = b->epoch_id,
		.stream_id = b->stream_id,
		.shard = b->shard,
		.block_number = b->block_number,
		.first_sequence = b->first_sequence,
		.record_count = b->record_count,
		.plain_bytes = b->body_bytes,
		.first_arrival_ns = b->first_arrival_ns,
		.last_arrival_ns = b->last_arrival_ns,
		.header = slk_span(t->sealed, sizeof(t->sealed)),
		.ciphertext = fmt_block_body(raw, b),
		.tag = fmt_block_tag(raw, b),
	};
	t->have = true;
	t->started = true;
}

/* Where a disk did not answer. */
static int
open_again(struct jnl_reader *r, struct tail *t)
{
	int rc = open_file(r, t, t->file_id);

	if (rc == SLK_OK)
		t->scan.pos = t->held_pos;
	if (rc == SLK_OK || rc == SLK_NOT_FOUND)
		t->held = false;
	/* What is gone for good, with its directory, is passed over as if it had been trimmed. */
	return rc == SLK_NOT_FOUND && jnl_dirs_missing(r->dirs, false) == NULL ? SLK_END : rc;
}

/* The lane waits for its disk; others go on. */
static void
hold(struct jnl_reader *r, struct tail *t)
{
	if (t->open && !t->held) {
		t->held = true;
		t->held_pos = t->scan.pos;
	}
	close_file(t);
	r->look_at_dirs = true;
}

/* Read on in one lane until a wanted block is at hand. SLK_OK, SLK_AGAIN, SLK_CORRUPT, ... */
static int
advance(struct jnl_reader *r, struct tail *t, struct slk_error *err)
{
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;

	while (!t->have) {
		int rc = t->held ? open_again(r, t) : SLK_OK;
		if (rc == SLK_OK)
			rc = t->open ? set_limit(r, t) : SLK_END;
		if (rc == SLK_OK) {
			uint64_t at = t->scan.pos;
			rc = jnl_scan_next(&t->scan, &b, &raw, &gap_end);
			/* A file that was deleted is written anew for somebody else. */
			if (rc == SLK_CORRUPT && is_gone(r, t->file_id)) {
				close_file(t);
				return trimmed(r, t, err);
			}
			if (rc == SLK_CORRUPT)
				return slk_fail(err, SLK_CORRUPT,
					"%s/%020llu.slj: damaged from offset %llu to %llu", r->dir,
					(unsigned long long)t->file_id, (unsigned long long)at,
					(unsigned long long)gap_end);
		}
		if (rc == SLK_OK && b.type == FMT_BLOCK_LOST)
			return slk_fail(err, SLK_CORRUPT,
				"%s/%020llu.slj: from offset %llu to %llu nothing could be "
				"salvaged",
				r->dir, (unsigned long long)t->file_id,
				(unsigned long long)b.position,
				(unsigned long long)b.position + b.total_bytes);
		if (rc == SLK_OK && b.type == FMT_BLOCK_KEY)
			rc = jnl_epochs_learn(&r->epochs, fmt_block_body(raw, &b));
		else if (rc == SLK_OK && wanted(r, t, &b))
			keep_block(t, &b, raw);
		if ((rc == SLK_END || rc == SLK_AGAIN) && t->open && !t->scan.closed) {
			rc = look_at_end(r, t);
			if (rc == SLK_OK)
				continue;
			if (rc == SLK_TRIMMED)
				return trimmed(r, t, err);
		}
		if (rc == SLK_END) {
			rc = next_file(r, t, err);
			if (rc == SLK_CORRUPT || rc == SLK_TRIMMED)
				return rc;
		}
		if (rc != SLK_OK)
			return rc == SLK_AGAIN
				? rc
				: slk_fail(err, rc, "cannot read the journal in %s: %s", r->dir,
					  slk_status_sentence(rc));
	}
	return SLK_OK;
}

/* Lanes that have come since. The pages of all that never were are read for it, so not for each block: it is enough before
 * something of another file is given out, since a new lane comes with a new opening, and before SLK_AGAIN. */
static int
find_lanes(struct jnl_reader *r, bool *out_found)
{
	uint64_t lanes = 0;

	r->look_for_lanes = false;
	*out_found = false;
	int rc = jnl_dirs_refresh(r->dirs, out_found);
	if (rc == SLK_OK)
		rc = jnl_mark_lanes(r->fs, r->dir, &lanes);
	if (rc != SLK_OK)
		return rc;
	for (unsigned lane = 0; lane < FMT_JFILE_LANES_MAX; lane++) {
		if (r->tails[lane].used || (lanes >> lane & 1) == 0)
			continue;
		*out_found = r->tails[lane].used = true;
		r->tails[lane].lane = lane;
	}
	return SLK_OK;
}

/* Lanes are merged by arrival, but all that an earlier writer wrote comes before all of a later one: a shard may go to
 * another lane in between, and clocks may jump. */
static bool
before(const struct tail *a, const struct tail *b)
{
	if (a->scan.header.run != b->scan.header.run)
		return a->scan.header.run < b->scan.header.run;
	return a->block.first_arrival_ns < b->block.first_arrival_ns;
}

static uint64_t
max_run(const struct tail *a)
{
	return a != NULL ? a->scan.header.run : UINT64_MAX;
}

/* Of all lanes the block that comes first; NULL if none has one now. What an earlier writer wrote is waited for. */
static int
advance_all(struct jnl_reader *r, struct tail **out_best, struct slk_error *err)
{
	struct tail *best = NULL;
	uint64_t held = UINT64_MAX; /* the earliest run of a lane that waits for its disk */

	for (unsigned lane = 0; lane < FMT_JFILE_LANES_MAX; lane++) {
		struct tail *t = &r->tails[lane];
		if (!t->used)
			continue;
		int rc = advance(r, t, err);
		if (rc == SLK_AGAIN)
			continue;
		if (rc == SLK_IO && r->dirs->list.count > 1) {
			hold(r, t);
			held = t->run < held ? t->run : held;
			continue;
		}
		if (rc != SLK_OK)
			return rc;
		if (best == NULL || before(t, best))
			best = t;
	}
	if (held < UINT64_MAX && max_run(best) > held)
		return SLK_IO;
	*out_best = best;
	return SLK_OK;
}

/* The first record wanted is not there, and a directory cannot be read. */
static bool
begins_late(const struct jnl_reader *r, const struct jnl_block *block)
{
	return !r->any_given && r->config.from == JNL_FROM_SEQUENCE &&
		block->first_sequence > r->config.from_value &&
		jnl_dirs_missing(r->dirs, false) != NULL;
}

/* With a directory missing nobody can say which records come first; those of one shard from a number on are known. */
static int
check_dirs(const struct jnl_reader *r, struct slk_error *err)
{
	const struct jnl_reader_config *c = &r->config;
	const char *missing = jnl_dirs_missing(r->dirs, false);

	if (missing == NULL || c->from == JNL_FROM_LATEST ||
		(c->from == JNL_FROM_SEQUENCE && !c->any_stream && !c->any_shard))
		return SLK_OK;
	return slk_fail(err, SLK_IO,
		"the directory %s of the journal cannot be read; mount it, or take it out of "
		"ingestd's configuration if it is gone for good",
		missing);
}

int
jnl_reader_next(struct jnl_reader *r, struct jnl_block *out_block, struct slk_error *err)
{
	struct tail *best = NULL;

	if (r->taken >= 0)
		r->tails[r->taken].have = false;
	r->taken = -1;
	if (r->look_at_dirs) {
		bool changed;
		r->look_at_dirs = false;
		int rc = jnl_dirs_refresh(r->dirs, &changed);
		if (rc != SLK_OK)
			return slk_fail(err, rc, "cannot read the journal in %s: %s", r->dir,
				slk_status_sentence(rc));
	}
	for (bool more = true; more;) {
		int rc = advance_all(r, &best, err);
		if (rc != SLK_OK)
			return rc;
		if (best != NULL && !r->look_for_lanes)
			break;
		rc = find_lanes(r, &more);
		if (rc != SLK_OK)
			return slk_fail(err, rc, "cannot read %s/watermark: %s", r->dir,
				slk_status_sentence(rc));
	}
	if (best == NULL)
		return SLK_AGAIN;
	if (begins_late(r, &best->block)) {
		r->look_at_dirs = true;
		return slk_fail(err, SLK_IO,
			"records before %llu may be in the directory %s of the journal, which "
			"cannot be read",
			(unsigned long long)best->block.first_sequence,
			jnl_dirs_missing(r->dirs, false));
	}
	r->any_given = true;
	*out_block = best->block;
	r->taken = (int)best->lane;
	return SLK_OK;
}

int
jnl_reader_new(const struct jnl_reader_config *config, struct jnl_reader **out_reader,
	struct slk_error *err)
{
	struct jnl_reader *r = calloc(1, sizeof(*r));
	uint64_t *ids = NULL;
	size_t count = 0;
	bool found;

	if (r == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	r->config = *config;
	r->fs = config->fs;
	r->taken = -1;
	const char *dir = config->dir;
	int rc = jnl_dirs_enter(&dir, &r->fs, &r->dirs, err);
	if (rc != SLK_OK) {
		jnl_reader_free(r);
		return rc;
	}
	r->dir = strdup(dir);
	rc = r->dir != NULL ? jnl_scan_list(r->fs, r->dir, FMT_JFILE_LANE, &ids, &count)
			    : SLK_NO_MEMORY;
	free(ids);
	if (rc == SLK_OK)
		rc = find_lanes(r, &found);
	if (rc != SLK_OK) {
		jnl_reader_free(r);
		if (rc == SLK_DENIED)
			return slk_fail(err, rc,
				"not allowed to read the journal in %s; its directory's group "
				"decides who is",
				config->dir);
		return slk_fail(err, rc, "cannot read the journal in %s: %s", config->dir,
			slk_status_sentence(rc));
	}
	/* Also what failed while it was looked at. */
	rc = check_dirs(r, err);
	if (rc != SLK_OK) {
		jnl_reader_free(r);
		return rc;
	}
	for (unsigned lane = 0; lane < FMT_JFILE_LANES_MAX && config->from == JNL_FROM_LATEST;
		lane++) {
		struct fmt_watermark mark;
		if (!r->tails[lane].used ||
			jnl_mark_load(r->fs, r->dir, lane, true, &mark) != SLK_OK)
			continue;
		/* Read that file from its beginning, for its key blocks, but give out only what comes after. */
		r->tails[lane].file_id = mark.file_id - 1;
		r->tails[lane].first_file = mark.file_id;
		r->tails[lane].skip_below = mark.position;
	}
	*out_reader = r;
	return SLK_OK;
}

void
jnl_reader_free(struct jnl_reader *r)
{
	if (r == NULL)
		return;
	for (unsigned lane = 0; lane < FMT_JFILE_LANES_MAX; lane++)
		close_file(&r->tails[lane]);
	jnl_epochs_fini(&r->epochs);
	free(r->unreadable);
	jnl_dirs_free(r->dirs);
	free(r->dir);
	free(r);
}

int
jnl_watermark_read(
	const char *dir, unsigned lane, struct jnl_watermark *out_mark, struct slk_error *err)
{
	const struct slk_fs *fs = NULL;
	struct jnl_dirs *dirs = NULL;
	struct fmt_watermark m;

	int rc = jnl_dirs_enter(&dir, &fs, &dirs, err);
	if (rc != SLK_OK)
		return rc;
	rc = jnl_mark_load(fs, dir, lane, true, &m);
	if (rc != SLK_OK)
		(void)slk_fail(err, rc, "no watermark of lane %u in %s: %s", lane, dir,
			slk_status_sentence(rc));
	jnl_dirs_free(dirs); /* dir was its own */
	if (rc != SLK_OK)
		return rc;
	*out_mark = (struct jnl_watermark){
		m.file_id, m.position, m.records, m.plain_bytes, m.opened_ns};
	return SLK_OK;
}
