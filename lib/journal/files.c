#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "journal/internal.h"
#include "journal/scan.h"

#define FILL_BYTES (1u << 20)

int
jnl_path(const struct jnl *j, const char *name, char out[JNL_PATH_MAX])
{
	return snprintf(out, JNL_PATH_MAX, "%s/%s", j->dir, name) < (int)JNL_PATH_MAX
		? SLK_OK
		: SLK_TOO_LARGE;
}

/* The same in one directory, which is asked by itself: j->base. */
static int
path_in(const struct jnl *j, unsigned dir, const char *name, char out[JNL_PATH_MAX])
{
	return snprintf(out, JNL_PATH_MAX, "%s/%s", j->dirs->list.dirs[dir].path, name) <
			(int)JNL_PATH_MAX
		? SLK_OK
		: SLK_TOO_LARGE;
}

/* Write the whole file once, so that later writes convert no extents, and the header page over it. */
static int
fill(const struct jnl *j, int fd, uint64_t from, uint64_t to)
{
	void *zeros = NULL;

	if (posix_memalign(&zeros, FMT_JFILE_PAGE_BYTES, FILL_BYTES) != 0)
		return SLK_NO_MEMORY;
	memset(zeros, 0, FILL_BYTES);
	int rc = SLK_OK;
	for (uint64_t pos = from; pos < to && rc == SLK_OK; pos += FILL_BYTES) {
		size_t len = to - pos < FILL_BYTES ? (size_t)(to - pos) : FILL_BYTES;
		rc = j->fs->pwrite(j->fs->ctx, fd, zeros, len, pos);
	}
	free(zeros);
	return rc;
}

static int
write_header(const struct jnl *j, int fd, const struct fmt_jfile_header *header)
{
	void *page = NULL;

	if (posix_memalign(&page, FMT_JFILE_PAGE_BYTES, FMT_JFILE_PAGE_BYTES) != 0)
		return SLK_NO_MEMORY;
	fmt_jfile_encode(header, page);
	int rc = j->fs->pwrite(j->fs->ctx, fd, page, FMT_JFILE_PAGE_BYTES, 0);
	free(page);
	return rc == SLK_OK ? j->fs->sync(j->fs->ctx, fd) : rc;
}

/* Take a spare of the right size: *out_path is its path, *out_fd open. SLK_NOT_FOUND if there is none. */
static int
take_spare(const struct jnl *j, unsigned dir, char out_path[JNL_PATH_MAX], int *out_fd)
{
	uint64_t *ids = NULL;
	size_t count = 0;
	char name[FMT_JFILE_NAME_MAX];
	int rc =
		jnl_scan_list(j->base, j->dirs->list.dirs[dir].path, FMT_JFILE_SPARE, &ids, &count);

	if (rc != SLK_OK)
		return rc;
	rc = SLK_NOT_FOUND;
	for (size_t i = 0; i < count && rc != SLK_OK; i++) {
		uint64_t size = 0;
		fmt_jfile_name(FMT_JFILE_SPARE, ids[i], name);
		if (path_in(j, dir, name, out_path) != SLK_OK)
			continue;
		int flags = SLK_OPEN_WRITE | (j->config.direct ? SLK_OPEN_DIRECT : 0);
		if (j->base->open(j->base->ctx, out_path, flags, 0, out_fd) != SLK_OK)
			continue;
		if (j->base->size(j->base->ctx, *out_fd, &size) == SLK_OK &&
			size == j->config.file_bytes)
			rc = SLK_OK;
		else
			(void)j->base->close(j->base->ctx, *out_fd);
	}
	free(ids);
	return rc;
}

/* Make a new file under a spare's name; it gets its own name only when it is whole. */
static int
make_spare(const struct jnl *j, unsigned dir, uint64_t id, char out_path[JNL_PATH_MAX], int *out_fd)
{
	char name[FMT_JFILE_NAME_MAX];
	uint64_t space = 0;
	int fd = -1;
	int rc = j->base->space(j->base->ctx, j->dirs->list.dirs[dir].path, &space);

	if (rc == SLK_OK && space < j->config.file_bytes + j->config.reserve_bytes)
		rc = SLK_DISK_FULL;
	fmt_jfile_name(FMT_JFILE_SPARE, id, name);
	if (rc == SLK_OK)
		rc = path_in(j, dir, name, out_path);
	if (rc == SLK_OK)
		rc = j->base->open(j->base->ctx, out_path,
			SLK_OPEN_WRITE | SLK_OPEN_CREATE | (j->config.direct ? SLK_OPEN_DIRECT : 0),
			0640, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = fill(j, fd, 0, j->config.file_bytes);
	if (rc == SLK_OK)
		rc = j->base->sync(j->base->ctx, fd);
	if (rc != SLK_OK) {
		(void)j->base->close(j->base->ctx, fd);
		(void)j->base->unlink(j->base->ctx, out_path);
		return rc;
	}
	*out_fd = fd;
	return SLK_OK;
}

static int
prepare_in(struct jnl_lane *lane, unsigned dir, bool refuge, struct jnl_file *f)
{
	struct jnl *j = lane->journal;
	char spare[JNL_PATH_MAX], path[JNL_PATH_MAX], name[FMT_JFILE_NAME_MAX];
	uint64_t id = j->next_id++;

	f->fd = -1;
	f->dir = dir;
	int rc = take_spare(j, dir, spare, &f->fd);
	if (rc == SLK_NOT_FOUND)
		rc = make_spare(j, dir, id, spare, &f->fd);
	if (rc != SLK_OK)
		return rc;
	f->header = (struct fmt_jfile_header){
		.file_id = id,
		.lane = lane->index,
		.capacity_bytes = j->config.file_bytes,
		.created_ns = slk_wall_ns(j->clock),
		.previous_id = refuge ? lane->left.file_id : lane->last_id,
		.previous_end = refuge ? lane->left.position : 0,
		.run = j->run,
	};
	memcpy(f->header.journal_uuid, j->uuid, sizeof(j->uuid));
	rc = slk_random(f->header.salt, sizeof(f->header.salt));
	if (rc == SLK_OK)
		rc = write_header(j, f->fd, &f->header);
	fmt_jfile_name(FMT_JFILE_LANE, id, name);
	if (rc == SLK_OK)
		rc = path_in(j, dir, name, path);
	if (rc == SLK_OK)
		rc = j->base->rename(j->base->ctx, spare, path);
	if (rc == SLK_OK)
		rc = j->base->sync_dir(j->base->ctx, j->dirs->list.dirs[dir].path);
	if (rc != SLK_OK) {
		(void)j->base->close(j->base->ctx, f->fd);
		f->fd = -1;
		return rc;
	}
	f->seed = fmt_jfile_crc_seed(f->header.salt);
	lane->last_id = id;
	return SLK_OK;
}

/* In the lane's own directory, or the next one after it that is healthy and has room. */
static int
prepare_locked(struct jnl_lane *lane, bool refuge, struct jnl_file *f)
{
	struct jnl *j = lane->journal;
	const unsigned count = j->dirs->list.count;
	int result = SLK_DISK_FAILED;

	for (unsigned i = 0; i < count; i++) {
		unsigned dir = (lane->index + i) % count;
		if (jnl_dirs_has_failed(j->dirs, dir))
			continue;
		int rc = prepare_in(lane, dir, refuge, f);
		if (rc == SLK_OK || count == 1 || rc == SLK_NO_MEMORY)
			return rc;
		if (rc == SLK_DISK_FULL)
			result = rc;
		else
			(void)jnl_dir_fail(j, dir, rc);
	}
	return result;
}

int
jnl_file_prepare(
	struct jnl_lane *lane, bool refuge, struct jnl_file **out_file, struct slk_error *err)
{
	struct jnl_file *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	pthread_mutex_lock(&lane->journal->files_lock);
	int rc = prepare_locked(lane, refuge, f);
	pthread_mutex_unlock(&lane->journal->files_lock);
	if (rc != SLK_OK) {
		free(f);
		return slk_fail(err, rc, "cannot prepare a lane file in %s: %s", lane->journal->dir,
			slk_status_sentence(rc));
	}
	*out_file = f;
	return SLK_OK;
}

void
jnl_file_put_back(struct jnl_lane *lane, struct jnl_file *file)
{
	struct jnl *j = lane->journal;
	char from[JNL_PATH_MAX], to[JNL_PATH_MAX], name[FMT_JFILE_NAME_MAX];

	if (file == NULL)
		return;
	const unsigned dir = file->dir;
	(void)j->base->close(j->base->ctx, file->fd);
	if (jnl_dirs_has_failed(j->dirs, dir)) {
		free(file);
		return;
	}
	fmt_jfile_name(FMT_JFILE_LANE, file->header.file_id, name);
	int rc = path_in(j, dir, name, from);
	fmt_jfile_name(FMT_JFILE_SPARE, file->header.file_id, name);
	if (rc == SLK_OK)
		rc = path_in(j, dir, name, to);
	if (rc == SLK_OK) /* if it fails, recovery does it */
		(void)j->base->rename(j->base->ctx, from, to);
	free(file);
}
