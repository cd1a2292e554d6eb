#include "journal/mark.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "format/jfile.h"
#include "journal/dirs.h"
#include "journal/mapguard.h"

#define PATH_MAX_BYTES 4096u
/* A page in the middle of a change is a matter of nanoseconds, unless the writer was preempted there: then of a time slice
 * or several. */
#define QUICK_TRIES 100
#define PATIENCE_NS (500 * SLK_NS_PER_MS)
#define PAUSE_NS 100000

static int
mark_path(const char *dir, char out[PATH_MAX_BYTES])
{
	return snprintf(out, PATH_MAX_BYTES, "%s/watermark", dir) < (int)PATH_MAX_BYTES
		? SLK_OK
		: SLK_TOO_LARGE;
}

static int
read_page(const struct slk_fs *fs, int fd, unsigned lane, struct fmt_watermark *out_mark)
{
	uint8_t raw[FMT_WATERMARK_BYTES];
	size_t len = 0;
	int rc = fs->pread(
		fs->ctx, fd, raw, sizeof(raw), (uint64_t)lane * FMT_WATERMARK_PAGE_BYTES, &len);

	if (rc != SLK_OK)
		return rc;
	return len < sizeof(raw) ? SLK_NOT_FOUND
				 : fmt_watermark_decode(slk_span(raw, len), out_mark);
}

static int
load_one(const struct slk_fs *fs, const char *dir, unsigned lane, bool writer_may_live,
	struct fmt_watermark *out_mark)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_NS};
	char path[PATH_MAX_BYTES];
	uint64_t until_ns = 0;
	int fd = -1;
	int rc = mark_path(dir, path);

	if (rc == SLK_OK)
		rc = fs->open(fs->ctx, path, SLK_OPEN_READ, 0, &fd);
	if (rc != SLK_OK)
		return rc;
	for (unsigned tries = 0;; tries++) {
		rc = read_page(fs, fd, lane, out_mark);
		if (rc != SLK_AGAIN || !writer_may_live)
			break;
		if (tries < QUICK_TRIES)
			continue;
		uint64_t now_ns = slk_mono_ns(slk_clock_system());
		if (until_ns == 0)
			until_ns = now_ns + PATIENCE_NS;
		if (now_ns >= until_ns)
			break;
		nanosleep(&pause, NULL);
	}
	(void)fs->close(fs->ctx, fd);
	return rc == SLK_AGAIN ? SLK_CORRUPT : rc;
}

int
jnl_mark_load_of(const struct slk_fs *fs, const char *dir, unsigned lane, uint64_t file_id,
	bool writer_may_live, struct fmt_watermark *out_mark)
{
	const struct jnl_dirs *d = jnl_dirs_of(fs);
	struct fmt_watermark mark;
	bool have = false;
	int result = SLK_NOT_FOUND;

	if (d == NULL)
		return load_one(fs, dir, lane, writer_may_live, out_mark);
	for (unsigned i = 0; i < d->list.count; i++) {
		if (jnl_dirs_has_failed(d, i))
			continue;
		int rc = load_one(d->base, d->list.dirs[i].path, lane, writer_may_live, &mark);
		if (rc != SLK_OK) {
			result = result == SLK_NOT_FOUND ? rc : result;
			continue;
		}
		if (!have || mark.file_id == file_id ||
			(mark.file_id > out_mark->file_id && out_mark->file_id != file_id))
			*out_mark = mark;
		have = true;
	}
	return have ? SLK_OK : result;
}

int
jnl_mark_load(const struct slk_fs *fs, const char *dir, unsigned lane, bool writer_may_live,
	struct fmt_watermark *out_mark)
{
	return jnl_mark_load_of(fs, dir, lane, 0, writer_may_live, out_mark);
}

static int
lanes_of_one(const struct slk_fs *fs, const char *dir, uint64_t *out_lanes)
{
	char path[PATH_MAX_BYTES];
	uint64_t lanes = 0;
	int fd = -1;
	int rc = mark_path(dir, path);

	if (rc == SLK_OK)
		rc = fs->open(fs->ctx, path, SLK_OPEN_READ, 0, &fd);
	for (unsigned lane = 0; rc == SLK_OK && lane < FMT_JFILE_LANES_MAX; lane++) {
		struct fmt_watermark mark;
		rc = read_page(fs, fd, lane, &mark);
		if (rc == SLK_OK || rc == SLK_AGAIN || rc == SLK_CORRUPT)
			lanes |= 1ull << lane;
		if (rc == SLK_AGAIN || rc == SLK_CORRUPT || rc == SLK_NOT_FOUND)
			rc = SLK_OK;
	}
	if (fd >= 0)
		(void)fs->close(fs->ctx, fd);
	if (rc == SLK_NOT_FOUND)
		rc = SLK_OK;
	if (rc == SLK_OK)
		*out_lanes = lanes;
	return rc;
}

int
jnl_mark_lanes(const struct slk_fs *fs, const char *dir, uint64_t *out_lanes)
{
	const struct jnl_dirs *d = jnl_dirs_of(fs);
	uint64_t lanes = 0;
	int result = SLK_OK;

	if (d == NULL)
		return lanes_of_one(fs, dir, out_lanes);
	for (unsigned i = 0; i < d->list.count; i++) {
		uint64_t some = 0;
		int rc = jnl_dirs_has_failed(d, i)
			? SLK_OK
			: lanes_of_one(d->base, d->list.dirs[i].path, &some);
		/* A disk that fails hides nothing of the others'. */
		if (rc != SLK_OK && (rc != SLK_IO || d->list.count == 1))
			result = rc;
		lanes |= some;
	}
	if (result == SLK_OK)
		*out_lanes = lanes;
	return result;
}

int
jnl_mark_open(struct jnl_mark *m, const struct slk_fs *fs, bool may_map, const char *dir,
	unsigned lane, struct slk_error *err)
{
	char path[PATH_MAX_BYTES];
	const uint64_t file_bytes = (uint64_t)FMT_JFILE_LANES_MAX * FMT_WATERMARK_PAGE_BYTES;
	uint64_t size = 0;

	memset(m, 0, sizeof(*m));
	m->fs = fs;
	m->fd = -1;
	m->offset = (uint64_t)lane * FMT_WATERMARK_PAGE_BYTES;
	int rc = mark_path(dir, path);
	if (rc == SLK_OK)
		rc = fs->open(fs->ctx, path, SLK_OPEN_WRITE, 0, &m->fd);
	if (rc == SLK_NOT_FOUND)
		rc = fs->open(fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0640, &m->fd);
	if (rc == SLK_OK)
		rc = fs->size(fs->ctx, m->fd, &size);
	if (rc == SLK_OK && size < file_bytes)
		rc = fs->truncate(fs->ctx, m->fd, file_bytes);
	if (rc == SLK_OK)
		rc = fs->sync(fs->ctx, m->fd);
	if (rc != SLK_OK) {
		jnl_mark_close(m);
		return slk_fail(
			err, rc, "cannot open %s/watermark: %s", dir, slk_status_sentence(rc));
	}
	if (!may_map)
		return SLK_OK;
	void *map = mmap(NULL, FMT_WATERMARK_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd,
		(off_t)m->offset);
	if (map == MAP_FAILED) {
		rc = slk_fail_errno(err, "cannot map %s", path);
		jnl_mark_close(m);
		return rc;
	}
	rc = jnl_mapguard_add(map, &m->guard);
	if (rc != SLK_OK) {
		munmap(map, FMT_WATERMARK_PAGE_BYTES);
		jnl_mark_close(m);
		return slk_fail(
			err, rc, "cannot guard the map of %s: %s", path, slk_status_sentence(rc));
	}
	m->map = map;
	return SLK_OK;
}

void
jnl_mark_close(struct jnl_mark *m)
{
	if (m->map != NULL) {
		jnl_mapguard_remove(m->guard);
		munmap(m->map, FMT_WATERMARK_PAGE_BYTES);
	}
	if (m->fd >= 0 && m->fs != NULL)
		(void)m->fs->close(m->fs->ctx, m->fd);
	memset(m, 0, sizeof(*m));
	m->fd = -1;
}

int
jnl_mark_set(struct jnl_mark *m, const struct fmt_watermark *next)
{
	uint8_t raw[FMT_WATERMARK_BYTES];

	m->now = *next;
	m->now.change_count = (next->change_count + 2) / 2 * 2;
	fmt_watermark_encode(&m->now, raw);
	if (m->map == NULL)
		return m->fs->pwrite(m->fs->ctx, m->fd, raw, sizeof(raw), m->offset);
	/* Odd while in between; the CRC catches what slips through. */
	slk_put_le64(m->map + 8, m->now.change_count - 1);
	atomic_thread_fence(memory_order_release);
	memcpy(m->map + 16, raw + 16, sizeof(raw) - 16);
	memcpy(m->map, raw, 8);
	atomic_thread_fence(memory_order_release);
	slk_put_le64(m->map + 8, m->now.change_count);
	return jnl_mapguard_hit(m->guard) ? SLK_IO : SLK_OK;
}
