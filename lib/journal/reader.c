#include "journal/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/keyblock.h"
#include "journal/inspect.h"
#include "journal/mark.h"
#include "journal/scan.h"
#include "seal/epoch.h"

#define MISSING_MAX 16u

/* One lane as the reader follows it. */
struct tail {
	bool used;
	uint32_t lane;
	uint64_t file_id; /* being read, or the last one read */
	bool open;
	bool told; /* that what comes next was trimmed: once is enough */
	bool limited; /* scan.limit is of the watermark */
	struct jnl_scan scan;
	bool started; /* JNL_FROM_TIME: the first block was met; what follows is given out whatever its time */
	bool have; /* block holds the next one of this lane */
	struct jnl_block block;
	uint8_t *raw; /* own copy of it */
	uint8_t sealed[FMT_BLOCK_HEADER_BYTES]; /* its header when it was sealed */
	size_t raw_cap;
	uint64_t
		skip_below; /* JNL_FROM_LATEST: data blocks of first_file before this position are passed over */
	uint64_t first_file;
};

struct epoch_row {
	struct jnl_epoch_info info;
	uint8_t *memory; /* what the spans and strings of info point to */
};

struct jnl_reader {
	struct jnl_reader_config config;
	char *dir;
	const struct slk_fs *fs;
	struct tail tails[FMT_JFILE_LANES_MAX];
	struct epoch_row *epochs; /* sorted by epoch id */
	size_t epoch_count, epoch_cap;
	uint64_t missing
		[MISSING_MAX]; /* epoch ids + 1 that no file had a key block of when it was looked for */
	unsigned missing_at;
	uint64_t *unreadable; /* files that were reported */
	size_t unreadable_count;
	bool look_for_lanes;
	int taken; /* lane whose block was handed out, -1 none */
};

/* --- epochs --- */

static size_t
epoch_slot(const struct jnl_reader *r, uint64_t epoch_id)
{
	size_t low = 0, high = r->epoch_count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (r->epochs[mid].info.epoch_id < epoch_id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static char *
copy_string(uint8_t **at, struct slk_span s)
{
	char *start = (char *)*at;

	memcpy(start, s.ptr, s.len);
	start[s.len] = '\0';
	*at += s.len + 1;
	return start;
}

static struct slk_span
copy_span(uint8_t **at, struct slk_span s)
{
	uint8_t *start = *at;

	memcpy(start, s.ptr, s.len);
	*at += s.len;
	return slk_span(start, s.len);
}

static int
add_epoch(struct jnl_reader *r, const struct fmt_keyblock *k)
{
	size_t at = epoch_slot(r, k->epoch_id);
	if (at < r->epoch_count && r->epochs[at].info.epoch_id == k->epoch_id)
		return SLK_OK; /* repeated at the beginning of each file */
	if (r->epoch_count == r->epoch_cap) {
		size_t cap = r->epoch_cap == 0 ? 16 : 2 * r->epoch_cap;
		struct epoch_row *bigger = realloc(r->epochs, cap * sizeof(*bigger));
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		r->epochs = bigger;
		r->epoch_cap = cap;
	}
	uint8_t *memory = malloc(k->stream_arn.len + k->key_arn.len + k->context.len +
		k->wrapped.len + k->commitment.len + 2);
	if (memory == NULL)
		return SLK_NO_MEMORY;
	uint8_t *p = memory;
	struct epoch_row row = {
		.memory = memory, .info = {.epoch_id = k->epoch_id, .stream_id = k->stream_id}};
	row.info.stream_arn = copy_string(&p, k->stream_arn);
	row.info.key_arn = copy_string(&p, k->key_arn);
	row.info.context = copy_span(&p, k->context);
	row.info.wrapped = copy_span(&p, k->wrapped);
	row.info.commitment = copy_span(&p, k->commitment);
	memmove(&r->epochs[at + 1], &r->epochs[at], (r->epoch_count - at) * sizeof(*r->epochs));
	r->epochs[at] = row;
	r->epoch_count++;
	return SLK_OK;
}

static int
learn_epoch(struct jnl_reader *r, struct slk_span body)
{
	struct fmt_keyblock k;

	return fmt_keyblock_decode(body, &k) == SLK_OK ? add_epoch(r, &k) : SLK_CORRUPT;
}

static bool
knows_epoch(const struct jnl_reader *r, uint64_t epoch_id)
{
	size_t at = epoch_slot(r, epoch_id);

	return at < r->epoch_count && r->epochs[at].info.epoch_id == epoch_id;
}

struct epoch_search {
	struct jnl_reader *r;
	uint64_t epoch_id;
};

static int
take_epoch(void *arg, const struct jnl_epoch_info *info)
{
	struct epoch_search *search = arg;
	const struct fmt_keyblock k = {.epoch_id = info->epoch_id,
		.stream_id = info->stream_id,
		.commitment = info->commitment,
		.stream_arn = slk_span_str(info->stream_arn),
		.key_arn = slk_span_str(info->key_arn),
		.context = info->context,
		.wrapped = info->wrapped};

	if (info->epoch_id != search->epoch_id)
		return SLK_OK;
	int rc = add_epoch(search->r, &k);
	return rc == SLK_OK ? SLK_EXISTS : rc; /* found: look no further */
}

/* The key block that came before the epoch's blocks here is damaged: every other file that the epoch lived on in has it, too. */
static int
look_elsewhere(struct jnl_reader *r, uint64_t epoch_id)
{
	struct epoch_search search = {r, epoch_id};

	for (unsigned i = 0; i < MISSING_MAX; i++)
		if (r->missing[i] == epoch_id + 1)
			return SLK_NOT_FOUND;
	int rc = jnl_list_epochs(r->dir, r->fs, take_epoch, NULL, &search, NULL);
	if (rc == SLK_EXISTS)
		return SLK_OK;
	if (rc != SLK_OK)
		return rc;
	r->missing[r->missing_at++ % MISSING_MAX] = epoch_id + 1;
	return SLK_NOT_FOUND;
}

int
jnl_reader_epoch(struct jnl_reader *r, uint64_t epoch_id, struct jnl_epoch_info *out_info)
{
	int rc = knows_epoch(r, epoch_id) ? SLK_OK : look_elsewhere(r, epoch_id);

	if (rc == SLK_OK)
		*out_info = r->epochs[epoch_slot(r, epoch_id)].info;
	return rc;
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
	int rc = jnl_mark_load(r->fs, r->dir, t->lane, true, &mark);
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
	if (!t->scan.closed && r->fs == slk_fs_posix())
		jnl_scan_share(&t->scan, r->dir);
	t->file_id = id;
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
			rc = learn_epoch(r, fmt_block_body(raw, &b));
		if (rc != SLK_OK && slk_status_class(rc) != SLK_CLASS_CORRUPT)
			return rc;
	}
	return SLK_OK;
}

static int
seek(struct jnl_reader *r, const struct tail *t, struct jnl_scan *scan)
{
	if (!scan->closed || t->started || r->config.from == JNL_FROM_LATEST)
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

/* The lane's next file after the present one. SLK_TRIMMED if one in between is gone; the next is open then. SLK_AGAIN if there is none yet; SLK_CORRUPT once for a file in between that
 * cannot be read at all. */
static int
next_file(struct jnl_reader *r, struct tail *t, struct slk_error *err)
{
	uint64_t *ids = NULL;
	size_t count = 0;
	int rc = jnl_scan_list(r->fs, r->dir, FMT_JFILE_LANE, &ids, &count);

	if (rc != SLK_OK)
		return rc;
	rc = SLK_AGAIN;
	for (size_t i = 0; i < count && rc == SLK_AGAIN; i++) {
		if (ids[i] <= t->file_id)
			continue;
		struct tail probe = {.lane = t->lane};
		int opened = open_file(r, &probe, ids[i]);
		if (slk_status_class(opened) == SLK_CLASS_CORRUPT)
			rc = note_unreadable(r, ids[i], err);
		else if (opened != SLK_OK &&
			opened != SLK_NOT_FOUND) /* it may have become a spare meanwhile */
			rc = opened;
		if (opened != SLK_OK)
			continue;
		if (probe.scan.header.lane != t->lane) {
			close_file(&probe);
			continue;
		}
		bool gone = was_trimmed(r, t, &probe.scan);
		close_file(t);
		if (gone)
			(void)trimmed(r, t, err);
		t->scan = probe.scan;
		t->told = false;
		t->file_id = ids[i];
		t->open = true;
		r->look_for_lanes = true;
		rc = seek(r, t, &t->scan);
		if (rc == SLK_OK && gone)
			rc = SLK_TRIMMED;
	}
	free(ids);
	return rc;
}

/* The open file may have been closed by its writer since it was opened: look again. */
static int
reopen_if_closed(struct jnl_reader *r, struct tail *t)
{
	struct fmt_watermark mark;
	uint64_t pos = t->scan.pos;

	if (jnl_mark_load(r->fs, r->dir, t->lane, true, &mark) != SLK_OK ||
		mark.file_id == t->file_id)
		return SLK_AGAIN;
	uint64_t id = t->file_id;
	close_file(t);
	int rc = open_file(r, t, id);
	if (rc == SLK_NOT_FOUND) /* closed and deleted since: its end was not read */
		return SLK_TRIMMED;
	if (rc != SLK_OK)
		return rc;
	t->scan.pos = pos;
	return t->scan.closed ? SLK_OK : SLK_AGAIN;
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

static int
keep_block(struct tail *t, const struct fmt_block *b, const uint8_t *raw)
{
	if (b->total_bytes > t->raw_cap) {
		uint8_t *bigger = realloc(t->raw, b->total_bytes);
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		t->raw = bigger;
		t->raw_cap = b->total_bytes;
	}
	memcpy(t->raw, raw, b->total_bytes);
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
		.ciphertext = fmt_block_body(t->raw, b),
		.tag = fmt_block_tag(t->raw, b),
	};
	t->have = true;
	t->started = true;
	return SLK_OK;
}

/* Read on in one lane until a wanted block is at hand. SLK_OK, SLK_AGAIN, SLK_CORRUPT, ... */
static int
advance(struct jnl_reader *r, struct tail *t, struct slk_error *err)
{
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;

	while (!t->have) {
		int rc = t->open ? set_limit(r, t) : SLK_END;
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
			rc = learn_epoch(r, fmt_block_body(raw, &b));
		else if (rc == SLK_OK && wanted(r, t, &b))
			rc = keep_block(t, &b, raw);
		if ((rc == SLK_END || rc == SLK_AGAIN) && t->open && !t->scan.closed) {
			rc = reopen_if_closed(r, t);
			if (rc == SLK_OK)
				continue;
			if (rc == SLK_TRIMMED)
				return trimmed(r, t, err);
		} else if (rc == SLK_END) {
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
	int rc = jnl_mark_lanes(r->fs, r->dir, &lanes);
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

/* Of all lanes the block that comes first; NULL if none has one now. */
static int
advance_all(struct jnl_reader *r, struct tail **out_best, struct slk_error *err)
{
	struct tail *best = NULL;

	for (unsigned lane = 0; lane < FMT_JFILE_LANES_MAX; lane++) {
		struct tail *t = &r->tails[lane];
		if (!t->used)
			continue;
		int rc = advance(r, t, err);
		if (rc == SLK_AGAIN)
			continue;
		if (rc != SLK_OK)
			return rc;
		if (best == NULL || before(t, best))
			best = t;
	}
	*out_best = best;
	return SLK_OK;
}

int
jnl_reader_next(struct jnl_reader *r, struct jnl_block *out_block, struct slk_error *err)
{
	struct tail *best = NULL;

	if (r->taken >= 0)
		r->tails[r->taken].have = false;
	r->taken = -1;
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
	r->fs = config->fs != NULL ? config->fs : slk_fs_posix();
	r->taken = -1;
	r->dir = strdup(config->dir);
	int rc = r->dir != NULL ? jnl_scan_list(r->fs, config->dir, FMT_JFILE_LANE, &ids, &count)
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
	for (unsigned lane = 0; lane < FMT_JFILE_LANES_MAX; lane++) {
		close_file(&r->tails[lane]);
		free(r->tails[lane].raw);
	}
	for (size_t i = 0; i < r->epoch_count; i++)
		free(r->epochs[i].memory);
	free(r->epochs);
	free(r->unreadable);
	free(r->dir);
	free(r);
}

/* --- opening --- */

struct jnl_epoch_key {
	struct seal_key *key;
	uint64_t epoch_id;
};

int
jnl_epoch_key_new(struct seal_thread *thread, const struct jnl_epoch_info *info,
	const struct slk_secret *data_key, struct jnl_epoch_key **out_key)
{
	uint8_t commitment[SEAL_COMMITMENT_BYTES];
	struct slk_secret *derived = NULL;
	struct jnl_epoch_key *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return SLK_NO_MEMORY;
	k->epoch_id = info->epoch_id;
	int rc = seal_epoch_derive(data_key, info->epoch_id, info->stream_id, &derived, commitment);
	if (rc == SLK_OK &&
		(info->commitment.len != sizeof(commitment) ||
			!slk_equal_ct(commitment, info->commitment.ptr, sizeof(commitment))))
		rc = SLK_BAD_COMMITMENT;
	if (rc == SLK_OK)
		rc = seal_key_new(
			thread, slk_secret_peek(derived), slk_secret_len(derived), &k->key);
	slk_secret_free(derived);
	if (rc != SLK_OK) {
		free(k);
		return rc;
	}
	*out_key = k;
	return SLK_OK;
}

void
jnl_epoch_key_free(struct jnl_epoch_key *key)
{
	if (key == NULL)
		return;
	seal_key_free(key->key);
	free(key);
}

int
jnl_block_open(struct seal_thread *thread, const struct jnl_epoch_key *key,
	const struct jnl_block *block, uint8_t *out, size_t cap)
{
	uint8_t aad[FMT_BLOCK_HEADER_BYTES];
	struct iovec in = {(void *)(uintptr_t)block->ciphertext.ptr, block->ciphertext.len};
	uint8_t tag[SEAL_TAG_BYTES];
	struct seal_item item = {.in = &in,
		.in_count = 1,
		.out = out,
		.aad = aad,
		.aad_len = sizeof(aad),
		.tag = tag};

	if (key->epoch_id != block->epoch_id)
		return SLK_INVALID;
	if (cap < block->ciphertext.len)
		return SLK_FULL;
	fmt_block_aad(block->header.ptr, aad);
	memcpy(tag, block->tag.ptr, sizeof(tag));
	seal_nonce(block->block_number, item.nonce);
	(void)seal_open_burst(thread, key->key, &item, 1);
	return item.status;
}

int
jnl_watermark_read(
	const char *dir, unsigned lane, struct jnl_watermark *out_mark, struct slk_error *err)
{
	struct fmt_watermark m;
	int rc = jnl_mark_load(slk_fs_posix(), dir, lane, true, &m);

	if (rc != SLK_OK)
		return slk_fail(err, rc, "no watermark of lane %u in %s: %s", lane, dir,
			slk_status_sentence(rc));
	*out_mark = (struct jnl_watermark){
		m.file_id, m.position, m.records, m.plain_bytes, m.opened_ns};
	return SLK_OK;
}
