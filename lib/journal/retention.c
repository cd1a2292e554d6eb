#include "journal/retention.h"

#include <stdlib.h>
#include <string.h>

#include "format/proof.h"
#include "journal/internal.h"
#include "journal/scan.h"

#define SLACK_NS (3600ull * 1000 * 1000 * 1000)

/* A closed file, as retention sees it. */
struct candidate {
	uint64_t id;
	uint32_t lane;
	uint64_t bytes;
	uint64_t created_ns;
	bool expired;
	bool last; /* closed one of its lane */
};

struct sweep {
	struct jnl *j;
	const struct jnl_retention *r;
	uint64_t now_ns;
	struct candidate *list; /* ascending by id */
	size_t count;
	bool held[FMT_JFILE_LANES_MAX]; /* a file of the lane stays: all behind it do */
	struct jnl_retained report;
};

/* The wall clock, as far as the monotonic one bears it out. */
static uint64_t
believed_now(const struct jnl *j)
{
	uint64_t wall_ns = slk_wall_ns(j->clock);
	uint64_t bound_ns = j->opened_ns + (slk_mono_ns(j->clock) - j->opened_mono_ns) + SLACK_NS;

	return wall_ns < bound_ns ? wall_ns : bound_ns;
}

static bool
is_older(const struct sweep *s, uint64_t time_ns, uint64_t age_ns)
{
	return age_ns != 0 && s->now_ns > time_ns && s->now_ns - time_ns > age_ns;
}

static bool
all_expired(const struct sweep *s, const struct jnl_scan *scan)
{
	for (uint32_t i = 0; i < scan->footer.shard_count; i++) {
		struct fmt_footer_shard row = fmt_footer_shard_at(&scan->footer, i);
		uint64_t age_ns = s->r->stream_age_ns != NULL
			? s->r->stream_age_ns(s->r->arg, row.stream_id)
			: s->r->age_ns;
		if (!is_older(s, row.last_arrival_ns, age_ns))
			return false;
	}
	return scan->footer.shard_count > 0 || is_older(s, scan->header.created_ns, s->r->age_ns);
}

static int
look_at(struct sweep *s, uint64_t id)
{
	struct jnl_scan scan;
	char name[FMT_JFILE_NAME_MAX];

	fmt_jfile_name(FMT_JFILE_LANE, id, name);
	int rc = jnl_scan_open(&scan, s->j->fs, s->j->dir, name, SLK_OPEN_READ);
	/* What cannot be read is left for people to look at. */
	if (rc == SLK_NOT_FOUND || slk_status_class(rc) == SLK_CLASS_CORRUPT)
		return SLK_OK;
	if (rc != SLK_OK)
		return rc;
	if (scan.closed)
		s->list[s->count++] = (struct candidate){.id = id,
			.lane = scan.header.lane,
			.bytes = scan.header.capacity_bytes,
			.created_ns = scan.header.created_ns,
			.expired = all_expired(s, &scan)};
	jnl_scan_close(&scan);
	return SLK_OK;
}

static int
look_at_all(struct sweep *s)
{
	uint64_t *ids = NULL;
	size_t count = 0;
	int rc = jnl_scan_list(s->j->fs, s->j->dir, FMT_JFILE_LANE, &ids, &count);

	if (rc != SLK_OK)
		return rc;
	s->list = calloc(count + 1, sizeof(*s->list));
	rc = s->list != NULL ? SLK_OK : SLK_NO_MEMORY;
	for (size_t i = 0; i < count && rc == SLK_OK; i++)
		rc = look_at(s, ids[i]);
	free(ids);
	bool seen[FMT_JFILE_LANES_MAX] = {false};
	for (size_t i = s->count; i > 0; i--) {
		s->list[i - 1].last = !seen[s->list[i - 1].lane];
		seen[s->list[i - 1].lane] = true;
		s->report.kept_files++;
		s->report.kept_bytes += s->list[i - 1].bytes;
	}
	return rc;
}

/* Give a file's name up, under files_lock: from then on nobody finds it. A lane that has no spare fills a new file, twice the writing, so
 * the old one becomes a spare where one is wanted. One that is being filled is a lane's already, and counts for nothing: spares are
 * counted while none can be. */
static int
give_up_locked(struct jnl *j, const struct candidate *c, const char *path)
{
	char other[JNL_PATH_MAX], name[FMT_JFILE_NAME_MAX];
	uint64_t *spares = NULL;
	size_t spare_count = 0;

	fmt_jfile_name(FMT_JFILE_SPARE, c->id, name);
	int rc = jnl_path(j, name, other);
	if (rc == SLK_OK)
		rc = jnl_scan_list(j->fs, j->dir, FMT_JFILE_SPARE, &spares, &spare_count);
	free(spares);
	if (rc != SLK_OK)
		return rc;
	if (spare_count < j->lane_count && c->bytes == j->config.file_bytes)
		return j->fs->rename(j->fs->ctx, path, other);
	return j->fs->unlink(j->fs->ctx, path);
}

static int
delete_file(struct sweep *s, const struct candidate *c)
{
	struct jnl *j = s->j;
	char path[JNL_PATH_MAX], name[FMT_JFILE_NAME_MAX];

	fmt_jfile_name(FMT_JFILE_LANE, c->id, name);
	int rc = jnl_path(j, name, path);
	if (rc != SLK_OK)
		return rc;
	pthread_mutex_lock(&j->files_lock);
	rc = give_up_locked(j, c, path);
	pthread_mutex_unlock(&j->files_lock);
	if (rc != SLK_OK)
		return rc;
	fmt_proof_name(c->id, name);
	rc = jnl_path(j, name, path);
	if (rc == SLK_OK)
		rc = j->fs->unlink(j->fs->ctx, path);
	s->report.files++;
	s->report.bytes += c->bytes;
	s->report.kept_files--;
	s->report.kept_bytes -= c->bytes;
	return rc == SLK_NOT_FOUND ? SLK_OK : rc;
}

static int
delete_due(struct sweep *s)
{
	int rc = SLK_OK;

	for (size_t i = 0; i < s->count && rc == SLK_OK; i++) {
		const struct candidate *c = &s->list[i];
		bool too_many = s->r->bytes != 0 && s->report.kept_bytes > s->r->bytes;
		if (s->held[c->lane])
			continue;
		if (!c->last && (c->expired || too_many))
			rc = delete_file(s, c);
		else
			s->held[c->lane] = true;
		if (s->held[c->lane] && s->report.oldest_ns == 0)
			s->report.oldest_ns = c->created_ns;
	}
	return rc;
}

int
jnl_retain(struct jnl *journal, const struct jnl_retention *retention,
	struct jnl_retained *out_report, struct slk_error *err)
{
	struct sweep s = {.j = journal, .r = retention, .now_ns = believed_now(journal)};
	int rc = look_at_all(&s);

	if (rc == SLK_OK)
		rc = delete_due(&s);
	if (rc == SLK_OK && s.report.files > 0)
		rc = journal->fs->sync_dir(journal->fs->ctx, journal->dir);
	free(s.list);
	*out_report = s.report;
	return rc == SLK_OK ? rc
			    : slk_fail(err, rc, "cannot trim the journal in %s: %s", journal->dir,
				      slk_status_sentence(rc));
}
