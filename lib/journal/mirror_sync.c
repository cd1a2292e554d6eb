/* Making the two directories of a mirrored pair alike, before recovery looks at them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/proof.h"
#include "format/rewrap.h"
#include "journal/internal.h"
#include "journal/mirror_internal.h"
#include "journal/scan.h"

#define COPY_BYTES (1u << 20)
#define NAMES_MAX 65536u

struct names {
	char (*list)[FMT_JFILE_NAME_MAX];
	size_t count;
};

struct settle {
	struct jnl_mirror *m;
	struct jnl_mirror_report *report;
	struct slk_error *err;
	struct names names[2];
	unsigned ahead; /* the side that went on alone, 2: neither */
	bool have_uuid;
	uint8_t uuid[16];
};

/* --- names --- */

/* What belongs to a journal: lane files, proofs, side files, and what recovery kept aside. */
static bool
is_ours(const char *name)
{
	enum fmt_jfile_kind kind;
	uint64_t id;

	if (strlen(name) >= FMT_JFILE_NAME_MAX)
		return false;
	if (fmt_jfile_name_parse(name, &kind, &id))
		return true;
	return fmt_proof_name_parse(name, &id) || fmt_rewrap_name_parse(name, &id) ||
		strstr(name, ".slj.torn-") != NULL;
}

static int
take_name(void *arg, const char *name)
{
	struct names *n = arg;

	if (!is_ours(name))
		return SLK_OK;
	if (n->count == NAMES_MAX)
		return SLK_LIMIT;
	strcpy(n->list[n->count++], name);
	return SLK_OK;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool
has(const struct names *n, const char *name)
{
	return bsearch(name, n->list, n->count, FMT_JFILE_NAME_MAX, by_name) != NULL;
}

static int
list_side(struct settle *s, unsigned side)
{
	struct names *n = &s->names[side];
	const struct slk_fs *fs = s->m->under[side];

	n->list = calloc(NAMES_MAX, FMT_JFILE_NAME_MAX);
	if (n->list == NULL)
		return SLK_NO_MEMORY;
	int rc = fs->list(fs->ctx, s->m->dirs[side], take_name, n);
	qsort(n->list, n->count, FMT_JFILE_NAME_MAX, by_name);
	return rc;
}

static void
path_in(const struct settle *s, unsigned side, const char *prefix, const char *name,
	char out[MIRROR_PATH_MAX + 128])
{
	(void)snprintf(out, MIRROR_PATH_MAX + 128, "%s/%s%s", s->m->dirs[side], prefix, name);
}

/* --- copying --- */

static int
copy_bytes(const struct settle *s, unsigned from, int in, int out, uint64_t *out_len)
{
	const struct slk_fs *a = s->m->under[from], *b = s->m->under[1 - from];
	uint8_t *buf = malloc(COPY_BYTES);
	size_t len = COPY_BYTES;
	int rc = buf != NULL ? SLK_OK : SLK_NO_MEMORY;

	for (*out_len = 0; rc == SLK_OK && len == COPY_BYTES; *out_len += len) {
		rc = a->pread(a->ctx, in, buf, COPY_BYTES, *out_len, &len);
		if (rc == SLK_OK && len > 0)
			rc = b->pwrite(b->ctx, out, buf, len, *out_len);
	}
	free(buf);
	return rc == SLK_OK ? b->sync(b->ctx, out) : rc;
}

/* Whole, or not at all: under another name first. */
static int
copy_file(struct settle *s, unsigned from, const char *name)
{
	const struct slk_fs *a = s->m->under[from], *b = s->m->under[1 - from];
	char in_path[MIRROR_PATH_MAX + 128], part[MIRROR_PATH_MAX + 128],
		out_path[MIRROR_PATH_MAX + 128];
	uint64_t len = 0;
	int in = -1, out = -1;

	path_in(s, from, "", name, in_path);
	path_in(s, 1 - from, "copy-", name, part);
	path_in(s, 1 - from, "", name, out_path);
	(void)b->unlink(b->ctx, part); /* of a copy that was cut off */
	int rc = a->open(a->ctx, in_path, SLK_OPEN_READ, 0, &in);
	if (rc == SLK_OK)
		rc = b->open(b->ctx, part, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0640, &out);
	if (rc == SLK_OK)
		rc = copy_bytes(s, from, in, out, &len);
	if (in >= 0)
		(void)a->close(a->ctx, in);
	if (out >= 0)
		(void)b->close(b->ctx, out);
	if (rc == SLK_OK)
		rc = b->rename(b->ctx, part, out_path);
	s->report->copied_files += rc == SLK_OK;
	s->report->copied_bytes += rc == SLK_OK ? len : 0;
	return rc;
}

/* --- one lane file that both have --- */

/* Write range of a file as it lies on side `from` into the other one. */
static int
copy_range(const struct settle *s, unsigned from, int in, int out, uint64_t pos, uint64_t len)
{
	const struct slk_fs *a = s->m->under[from], *b = s->m->under[1 - from];
	uint8_t *buf = malloc((size_t)len);
	size_t got = 0;
	int rc = buf != NULL ? SLK_OK : SLK_NO_MEMORY;

	if (rc == SLK_OK)
		rc = a->pread(a->ctx, in, buf, (size_t)len, pos, &got);
	if (rc == SLK_OK && got == len)
		rc = b->pwrite(b->ctx, out, buf, (size_t)len, pos);
	free(buf);
	return rc;
}

/* Blocks that lie good on side `from` in [pos, end) and not on the other. */
static int
repair_gap(
	struct settle *s, unsigned from, struct jnl_scan *good, int out, uint64_t pos, uint64_t end)
{
	const struct slk_fs *b = s->m->under[1 - from];
	struct fmt_block block;
	const uint8_t *raw;
	uint64_t gap_end;
	int rc = SLK_OK;

	good->pos = pos;
	while (rc == SLK_OK && good->pos < end) {
		rc = jnl_scan_next(good, &block, &raw, &gap_end);
		if (rc == SLK_CORRUPT) {
			rc = SLK_OK;
		} else if (rc == SLK_OK && block.position < end) {
			rc = b->pwrite(b->ctx, out, raw, block.total_bytes, block.position);
			s->report->repaired_blocks += rc == SLK_OK;
		}
	}
	return rc == SLK_END ? SLK_OK : rc;
}

/* Side `to` gets what only the other one has. */
static int
repair(struct settle *s, unsigned to, struct jnl_scan scans[2], int out)
{
	const unsigned from = 1 - to;
	struct jnl_scan *mine = &scans[to], *other = &scans[from];
	struct fmt_block block;
	const uint8_t *raw;
	uint64_t gap_end;
	int rc = SLK_OK;

	mine->pos = FMT_JFILE_PAGE_BYTES;
	for (;;) {
		uint64_t at = mine->pos;
		rc = jnl_scan_next(mine, &block, &raw, &gap_end);
		if (rc == SLK_END)
			break;
		if (rc == SLK_CORRUPT)
			rc = repair_gap(s, from, other, out, at, gap_end);
		if (rc != SLK_OK)
			return rc;
	}
	if (!mine->closed && other->closed) { /* its end, too */
		uint64_t len = fmt_block_total(FMT_BLOCK_FOOTER, other->footer.raw.len);
		const uint64_t trailer = other->header.capacity_bytes - FMT_JFILE_PAGE_BYTES;
		len = (len + FMT_GROUP_ALIGN - 1) / FMT_GROUP_ALIGN * FMT_GROUP_ALIGN;
		rc = copy_range(s, from, other->fd, out, other->footer_pos, len);
		if (rc == SLK_OK)
			rc = s->m->under[to]->sync(s->m->under[to]->ctx, out);
		if (rc == SLK_OK)
			rc = copy_range(s, from, other->fd, out, trailer, FMT_JFILE_PAGE_BYTES);
	}
	return rc == SLK_OK || rc == SLK_END ? s->m->under[to]->sync(s->m->under[to]->ctx, out)
					     : rc;
}

static int
open_two(struct settle *s, const char *name, struct jnl_scan scans[2], int opened[2])
{
	for (unsigned side = 0; side < 2; side++) {
		opened[side] = jnl_scan_open(
			&scans[side], s->m->under[side], s->m->dirs[side], name, SLK_OPEN_READ);
		if (opened[side] != SLK_OK && slk_status_class(opened[side]) != SLK_CLASS_CORRUPT)
			return opened[side];
	}
	return SLK_OK;
}

static int
repair_two(struct settle *s, const char *name, struct jnl_scan scans[2])
{
	int rc = SLK_OK;

	for (unsigned side = 0; side < 2 && rc == SLK_OK; side++) {
		const struct slk_fs *fs = s->m->under[side];
		char path[MIRROR_PATH_MAX + 128];
		int fd = -1;
		if (s->ahead == side)
			continue; /* it is right: the other follows it */
		path_in(s, side, "", name, path);
		rc = fs->open(fs->ctx, path, SLK_OPEN_WRITE, 0, &fd);
		if (rc == SLK_OK)
			rc = repair(s, side, scans, fd);
		if (fd >= 0)
			(void)fs->close(fs->ctx, fd);
		jnl_scan_refresh(&scans[side]);
	}
	return rc;
}

static int
settle_both_have(struct settle *s, const char *name)
{
	struct jnl_scan scans[2] = {{.fd = -1}, {.fd = -1}};
	int opened[2] = {SLK_OK, SLK_OK};
	int rc = open_two(s, name, scans, opened);

	if (rc == SLK_OK && opened[0] == SLK_OK && opened[1] == SLK_OK) {
		const struct fmt_jfile_header *a = &scans[0].header, *b = &scans[1].header;
		if (memcmp(a->journal_uuid, b->journal_uuid, sizeof(a->journal_uuid)) != 0)
			rc = slk_fail(s->err, SLK_CONFIG,
				"%s and %s are of two journals: a mirrored pair is one",
				s->m->dirs[0], s->m->dirs[1]);
		else if (memcmp(a->salt, b->salt, sizeof(a->salt)) != 0)
			/* The one that stayed behind had used that number for something that nobody was told of. */
			rc = copy_file(s, s->ahead < 2 ? s->ahead : 0, name);
		else if (!scans[0].closed || !scans[1].closed)
			rc = repair_two(s, name, scans);
	} else if (rc == SLK_OK && (opened[0] == SLK_OK || opened[1] == SLK_OK)) {
		rc = copy_file(s, opened[0] == SLK_OK ? 0 : 1, name); /* one header is gone */
	}
	for (unsigned side = 0; side < 2; side++)
		if (opened[side] == SLK_OK)
			jnl_scan_close(&scans[side]);
	return rc;
}

/* --- all --- */

static int
settle_name(struct settle *s, unsigned side, const char *name)
{
	const bool other_has = has(&s->names[1 - side], name);
	enum fmt_jfile_kind kind = FMT_JFILE_LANE;
	uint64_t id;
	const bool is_file = fmt_jfile_name_parse(name, &kind, &id);

	if (other_has && kind == FMT_JFILE_SPARE)
		return SLK_OK;
	if (!other_has && (s->ahead == 1 - side || kind == FMT_JFILE_SPARE)) {
		/* Trimmed while it was away, or never acknowledged by the pair; or half a spare, which holds nothing. */
		char path[MIRROR_PATH_MAX + 128];
		path_in(s, side, "", name, path);
		s->report->removed_files += kind == FMT_JFILE_LANE;
		return s->m->under[side]->unlink(s->m->under[side]->ctx, path);
	}
	if (!other_has)
		return copy_file(s, side, name);
	if (side == 1)
		return SLK_OK; /* seen from the other side */
	if (is_file)
		return settle_both_have(s, name);
	/* Proofs grow; the one that is ahead, or else the longer one, is right. */
	uint64_t sizes[2] = {0, 0};
	for (unsigned i = 0; i < 2; i++) {
		const struct slk_fs *fs = s->m->under[i];
		char path[MIRROR_PATH_MAX + 128];
		int fd = -1;
		path_in(s, i, "", name, path);
		int rc = fs->open(fs->ctx, path, SLK_OPEN_READ, 0, &fd);
		if (rc == SLK_OK)
			rc = fs->size(fs->ctx, fd, &sizes[i]);
		if (fd >= 0)
			(void)fs->close(fs->ctx, fd);
		if (rc != SLK_OK)
			return rc;
	}
	if (sizes[0] == sizes[1])
		return SLK_OK;
	return copy_file(s, s->ahead < 2 ? s->ahead : sizes[0] > sizes[1] ? 0 : 1, name);
}

/* The watermark of the side that is ahead, or has one. */
static int
settle_watermark(struct settle *s)
{
	const unsigned from = s->ahead < 2 ? s->ahead : 0;

	for (unsigned i = 0; i < 2; i++) {
		const unsigned side = i == 0 ? from : 1 - from;
		const uint64_t files = s->report->copied_files, bytes = s->report->copied_bytes;
		int rc = copy_file(s, side, "watermark");
		s->report->copied_files = files; /* no file of records */
		s->report->copied_bytes = bytes;
		if (rc != SLK_NOT_FOUND)
			return rc;
	}
	return SLK_OK;
}

static int
settle_generation(struct settle *s)
{
	uint64_t generations[2] = {0, 0};

	for (unsigned side = 0; side < 2; side++) {
		int rc = mirror_generation_load(
			s->m->under[side], s->m->dirs[side], &generations[side]);
		if (rc != SLK_OK && rc != SLK_CORRUPT)
			return rc;
	}
	/* One that is new, or was replaced, has nothing to say. */
	s->ahead = generations[0] == generations[1] ? 2 : generations[0] > generations[1] ? 0 : 1;
	if (s->names[0].count == 0 || s->names[1].count == 0)
		s->ahead = s->names[0].count > 0 ? 0 : s->names[1].count > 0 ? 1 : 2;
	s->m->generation = generations[0] > generations[1] ? generations[0] : generations[1];
	return SLK_OK;
}

int
mirror_settle(struct jnl_mirror *m, struct jnl_mirror_report *report, struct slk_error *err)
{
	struct settle s = {.m = m, .report = report, .err = err, .ahead = 2};
	int rc = list_side(&s, 0);

	if (rc == SLK_OK)
		rc = list_side(&s, 1);
	if (rc == SLK_OK)
		rc = settle_generation(&s);
	for (unsigned side = 0; side < 2; side++)
		for (size_t i = 0; rc == SLK_OK && i < s.names[side].count; i++)
			rc = settle_name(&s, side, s.names[side].list[i]);
	if (rc == SLK_OK)
		rc = settle_watermark(&s);
	/* Alike from here on: nobody is ahead. */
	m->generation++;
	for (unsigned side = 0; rc == SLK_OK && side < 2; side++)
		rc = mirror_generation_store(m->under[side], m->dirs[side], m->generation);
	free(s.names[0].list);
	free(s.names[1].list);
	if (rc != SLK_OK && rc != SLK_CONFIG)
		rc = slk_fail(err, rc, "cannot make %s and %s alike: %s", m->dirs[0], m->dirs[1],
			slk_status_sentence(rc));
	return rc;
}
