#include "journal/latest.h"

#include <stdbool.h>
#include <stdlib.h>

#include "format/shardtable.h"
#include "journal/dirs.h"
#include "journal/mark.h"
#include "journal/scan.h"

struct search {
	const char *dir;
	const struct slk_fs *fs;
	uint64_t stream_id;
	uint32_t shard;
	uint64_t lanes; /* bit per lane whose newest answer is known */
	uint64_t
		others; /* lanes that have files of the same opening, or of a later one, as far as watermarks say */
	uint64_t
		run; /* of the newest file that had the answer; 0: none yet. Its tables know all that earlier openings wrote */
	uint64_t next; /* the highest of all lanes */
};

static bool
in_table(const struct search *s, struct slk_span body, uint64_t *next)
{
	uint32_t count;

	if (fmt_shardtable_check(body, &count) != SLK_OK)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct fmt_shard e = fmt_shardtable_entry(body, i);
		if (e.stream_id == s->stream_id && e.shard == s->shard) {
			*next = e.next_sequence;
			return true;
		}
	}
	return false;
}

/* A closed file: the footer's row, or else the tables in front. */
static bool
in_footer(const struct search *s, const struct jnl_scan *scan, uint64_t *next)
{
	for (uint32_t i = 0; i < scan->footer.shard_count; i++) {
		struct fmt_footer_shard row = fmt_footer_shard_at(&scan->footer, i);
		if (row.stream_id == s->stream_id && row.shard == s->shard) {
			*next = row.next_sequence;
			return true;
		}
	}
	return false;
}

/* Block by block up to the limit, of a closed file its tables only; damage is what readers report, here it is passed over.
 * *known: the shard was met, or all tables were read and do not have it. */
static int
walk(const struct search *s, struct jnl_scan *scan, bool *known, uint64_t *next)
{
	bool whole = !scan->closed || (scan->footer.flags & FMT_FOOTER_BY_RECOVERY) == 0;
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;
	int rc;

	while ((rc = jnl_scan_next(scan, &b, &raw, &gap_end)) == SLK_OK || rc == SLK_CORRUPT) {
		if (rc == SLK_CORRUPT) {
			whole = false;
			continue;
		}
		if (b.type == FMT_BLOCK_SHARDS) {
			*known |= in_table(s, fmt_block_body(raw, &b), next);
			continue;
		}
		*known |= whole; /* tables come first */
		if (scan->closed)
			return SLK_OK;
		if (fmt_block_is_data(&b) && b.stream_id == s->stream_id && b.shard == s->shard) {
			*known = true;
			*next = b.first_sequence + b.record_count;
		}
	}
	return rc == SLK_END ? SLK_OK : rc;
}

/* What is durable of a file that its writer has not closed. */
static int
set_limit(const struct search *s, struct jnl_scan *scan, uint64_t id)
{
	struct fmt_watermark mark;
	int rc = jnl_mark_load_of(s->fs, s->dir, scan->header.lane, id, true, &mark);

	if (rc != SLK_OK)
		return rc;
	/* An older one that lies open was left when a disk failed: its own page says where. */
	if (id > mark.file_id ||
		(id < mark.file_id && jnl_dirs_of(s->fs) != NULL &&
			jnl_dirs_of(s->fs)->list.count > 1))
		scan->limit = scan->pos; /* prepared, and not begun */
	else if (id == mark.file_id && mark.position < scan->limit)
		scan->limit = mark.position;
	return SLK_OK;
}

/* The first answer was found: which lanes does the same opening have? Its files need not all be opened then. */
static int
find_others(struct search *s)
{
	for (unsigned lane = 0; lane < FMT_JFILE_LANES_MAX; lane++) {
		struct fmt_watermark mark;
		int rc = jnl_mark_load(s->fs, s->dir, lane, true, &mark);
		if (rc == SLK_CORRUPT || (rc == SLK_OK && mark.file_id >= s->run))
			s->others |= 1ull << lane;
		else if (rc != SLK_OK && rc != SLK_NOT_FOUND)
			return rc;
	}
	return SLK_OK;
}

/* *out_past: older files have nothing to add. */
static int
look_into(struct search *s, uint64_t id, bool *out_past)
{
	struct jnl_scan scan;
	char name[FMT_JFILE_NAME_MAX];
	uint64_t next = 0;
	bool known = false;

	fmt_jfile_name(FMT_JFILE_LANE, id, name);
	int rc = jnl_scan_open(&scan, s->fs, s->dir, name, SLK_OPEN_READ);
	/* Deleted or recycled meanwhile, or a damaged header, which readers report. */
	if (rc == SLK_NOT_FOUND || slk_status_class(rc) == SLK_CLASS_CORRUPT)
		return SLK_OK;
	if (rc != SLK_OK)
		return rc;
	uint64_t lane = 1ull << scan.header.lane;
	*out_past = scan.header.run < s->run;
	if (*out_past || (s->lanes & lane) != 0)
		goto out;
	if (scan.closed)
		known = in_footer(s, &scan, &next);
	else
		rc = set_limit(s, &scan, id);
	if (rc == SLK_OK && !known)
		rc = walk(s, &scan, &known, &next);
	if (rc == SLK_NOT_FOUND || rc == SLK_CORRUPT)
		rc = SLK_OK; /* no watermark that says what is durable: nothing is */
	if (rc != SLK_OK || !known)
		goto out;
	if (s->run == 0) {
		s->run = scan.header.run;
		rc = find_others(s);
	}
	s->lanes |= lane;
	*out_past = (s->others & ~s->lanes) == 0;
	if (next > s->next)
		s->next = next;
out:
	jnl_scan_close(&scan);
	return rc;
}

static int
look_everywhere(const char *dir, const struct slk_fs *fs, uint64_t stream_id, uint32_t shard,
	uint64_t *out_next_sequence, struct slk_error *err)
{
	struct search s = {.dir = dir, .fs = fs, .stream_id = stream_id, .shard = shard};
	uint64_t *ids = NULL;
	size_t count = 0;
	bool past = false;
	int rc = jnl_scan_list(s.fs, dir, FMT_JFILE_LANE, &ids, &count);

	/* All that an earlier opening wrote has lower ids than all of a later one. */
	for (size_t i = count; rc == SLK_OK && !past && i-- > 0;)
		rc = look_into(&s, ids[i], &past);
	free(ids);
	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "cannot read the journal in %s: %s", dir, slk_status_sentence(rc));
	*out_next_sequence = s.next;
	return SLK_OK;
}

int
jnl_shard_latest(const char *dir, const struct slk_fs *fs, uint64_t stream_id, uint32_t shard,
	uint64_t *out_next_sequence, struct slk_error *err)
{
	struct jnl_dirs *dirs = NULL;
	int rc = jnl_dirs_enter(&dir, &fs, &dirs, err);
	const char *missing = dirs != NULL ? jnl_dirs_missing(dirs, true) : NULL;

	if (rc == SLK_OK && missing != NULL)
		rc = slk_fail(err, SLK_IO,
			"the directory %s of the journal cannot be read: it may have the latest "
			"records",
			missing);
	if (rc == SLK_OK)
		rc = look_everywhere(dir, fs, stream_id, shard, out_next_sequence, err);
	jnl_dirs_free(dirs);
	return rc;
}
