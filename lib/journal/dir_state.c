/* The writer's directories: taken at opening, failing one by one, left for good. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/internal.h"
#include "journal/scan.h"

static const char *
path_of(const struct jnl *j, unsigned dir)
{
	return j->dirs->list.dirs[dir].path;
}

static int
check_dir(const char *dir, struct slk_error *err)
{
	struct stat st;

	if (stat(dir, &st) != 0)
		return slk_fail_errno(err, "cannot use the journal directory %s", dir);
	if (!S_ISDIR(st.st_mode))
		return slk_fail(err, SLK_CONFIG, "%s is not a directory", dir);
	if (st.st_uid != geteuid())
		return slk_fail(err, SLK_DENIED,
			"the journal directory %s belongs to uid %u, not to this process's %u", dir,
			st.st_uid, geteuid());
	if ((st.st_mode & S_IWOTH) != 0)
		return slk_fail(err, SLK_DENIED,
			"the journal directory %s is writable by everybody; run: chmod o-w %s", dir,
			dir);
	if (access(dir, R_OK | W_OK | X_OK) != 0)
		return slk_fail_errno(err, "the journal directory %s is not writable", dir);
	return SLK_OK;
}

static int
lock_dir(struct jnl *j, unsigned dir, struct slk_error *err)
{
	char path[JNL_PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/lock", path_of(j, dir)) >= (int)sizeof(path))
		return slk_fail(err, SLK_TOO_LARGE, "the path %s is too long", path_of(j, dir));
	j->lock_fds[dir] = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (j->lock_fds[dir] < 0)
		return slk_fail_errno(
			err, "the journal directory %s is not writable", path_of(j, dir));
	if (flock(j->lock_fds[dir], LOCK_EX | LOCK_NB) != 0)
		return slk_fail(err, SLK_EXISTS, "another process writes the journal in %s",
			path_of(j, dir));
	return SLK_OK;
}

/* --- what the lists say --- */

static int
place_in(const struct fmt_dirlist *list, const char *path)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (strcmp(list->dirs[i].path, path) == 0)
			return (int)i;
	return -1;
}

/* The journal that the lane files of a directory are of. SLK_NOT_FOUND: nothing says so. */
static int
uuid_of_files(const struct jnl *j, const char *path, uint8_t out_uuid[16])
{
	uint64_t *ids = NULL;
	size_t count = 0;
	int rc = jnl_scan_list(j->base, path, FMT_JFILE_LANE, &ids, &count);
	bool known = false;

	for (size_t i = rc == SLK_OK ? count : 0; i > 0 && !known; i--) {
		char name[FMT_JFILE_NAME_MAX];
		struct jnl_scan s;
		fmt_jfile_name(FMT_JFILE_LANE, ids[i - 1], name);
		known = jnl_scan_open(&s, j->base, path, name, SLK_OPEN_READ) == SLK_OK;
		if (known)
			memcpy(out_uuid, s.header.journal_uuid, 16);
		jnl_scan_close(&s);
	}
	free(ids);
	return known ? SLK_OK : SLK_NOT_FOUND;
}

/* Directories of two journals are not made one by naming both: their files have the same numbers. */
static int
check_uuids(const struct jnl *j, const struct fmt_dirlist *list, struct slk_error *err)
{
	uint8_t uuid[16], other[16];
	bool known = list->generation > 0;

	memcpy(uuid, list->journal_uuid, sizeof(uuid));
	for (unsigned i = 0; i < j->dirs->list.count && j->dirs->list.count > 1; i++) {
		if (uuid_of_files(j, path_of(j, i), other) != SLK_OK)
			continue;
		if (known && memcmp(uuid, other, sizeof(uuid)) != 0)
			return slk_fail(err, SLK_CONFIG,
				"the files in %s are of another journal than those of the other "
				"directories",
				path_of(j, i));
		memcpy(uuid, other, sizeof(uuid));
		known = true;
	}
	return SLK_OK;
}

/* Every list that can be read is of one journal; the newest one counts. generation 0: there is none. */
static int
read_lists(struct jnl *j, struct fmt_dirlist *newest, struct slk_error *err)
{
	struct jnl_dirs *one = NULL;
	int rc = SLK_OK;

	newest->generation = 0;
	for (unsigned i = 0; rc == SLK_OK && i < j->dirs->list.count; i++) {
		rc = jnl_dirs_open(path_of(j, i), j->base, &one, err);
		if (rc != SLK_OK)
			return rc;
		const struct fmt_dirlist *list = &one->list;
		if (list->generation > 0 && newest->generation > 0 &&
			memcmp(list->journal_uuid, newest->journal_uuid, 16) != 0)
			rc = slk_fail(err, SLK_CONFIG,
				"%s belongs to another journal than the directories before it",
				path_of(j, i));
		else if (list->generation > newest->generation)
			*newest = *list;
		jnl_dirs_free(one);
	}
	return rc;
}

static bool
is_empty(const struct jnl *j, const char *path)
{
	uint64_t *ids = NULL;
	size_t count = 0;
	int rc = jnl_scan_list(j->base, path, FMT_JFILE_LANE, &ids, &count);

	free(ids);
	return rc == SLK_OK && count == 0;
}

/* A directory goes only when nothing of the journal can be in it that the others lack: numbers that it alone knows would be given
 * again. */
static int
check_gone(const struct jnl *j, const struct fmt_dirlist *list, struct slk_error *err)
{
	for (uint32_t i = 0; i < list->count; i++) {
		const char *path = list->dirs[i].path;
		if (place_in(&j->dirs->list, path) >= 0 ||
			list->dirs[i].state == FMT_DIRLIST_LEFT || is_empty(j, path))
			continue;
		return slk_fail(err, SLK_CONFIG,
			"%s is a directory of this journal and is not configured any more; move "
			"its "
			"*.slj and *.slp files into another one, and leave it there, empty, until "
			"the next start",
			path);
	}
	return SLK_OK;
}

/* One that cannot be used is done without if everything had left it before. */
static int
take_one(struct jnl *j, unsigned dir, const struct fmt_dirlist *list, struct slk_error *err)
{
	const int place = place_in(list, path_of(j, dir));
	const bool left = place >= 0 && list->dirs[place].state == FMT_DIRLIST_LEFT;
	struct slk_error why = {0};
	uint64_t *ids = NULL;
	size_t count = 0;
	int rc = SLK_OK;

	if (j->config.sim_io == NULL)
		rc = check_dir(path_of(j, dir), &why);
	if (rc == SLK_OK && j->config.sim_io == NULL)
		rc = lock_dir(j, dir, &why);
	if (rc == SLK_OK && list->generation > 0) {
		rc = jnl_scan_list(j->base, path_of(j, dir), FMT_JFILE_LANE, &ids, &count);
		free(ids);
		if (rc != SLK_OK)
			(void)slk_fail(&why, rc, "cannot read the journal directory %s: %s",
				path_of(j, dir), slk_status_sentence(rc));
	}
	if (rc == SLK_OK || (left && rc != SLK_EXISTS && jnl_dir_fail(j, dir, rc)))
		return SLK_OK;
	*err = why;
	return rc;
}

int
jnl_dirs_take(struct jnl *j, struct slk_error *err)
{
	struct fmt_dirlist *list = calloc(1, sizeof(*list));

	if (list == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	int rc = read_lists(j, list, err);
	for (unsigned i = 0; rc == SLK_OK && i < j->dirs->list.count; i++)
		rc = take_one(j, i, list, err);
	if (rc == SLK_OK)
		rc = check_uuids(j, list, err);
	if (rc == SLK_OK)
		rc = check_gone(j, list, err);
	if (rc == SLK_OK) {
		j->dirs->list.generation = list->generation;
		memcpy(j->dirs->list.journal_uuid, list->journal_uuid, 16);
		for (unsigned i = 0; i < j->dirs->list.count; i++)
			if (jnl_dirs_has_failed(j->dirs, i))
				j->dirs->list.dirs[i].state = FMT_DIRLIST_LEFT;
	}
	free(list);
	return rc;
}

/* --- failing --- */

bool
jnl_dir_fail(struct jnl *j, unsigned dir, int status)
{
	const unsigned all = (1u << j->dirs->list.count) - 1;

	if (jnl_dirs_fail(j->dirs, dir) && j->config.dir_failed != NULL)
		j->config.dir_failed(j->config.arg, path_of(j, dir), status);
	return (atomic_load(&j->dirs->failed) & all) != all;
}

/* All that can be said of a directory that nobody writes to any more: the others may do without it. */
void
jnl_dirs_note_left(struct jnl_lane *lane, unsigned dir)
{
	struct jnl *j = lane->journal;
	bool changed = false;

	pthread_mutex_lock(&j->files_lock);
	lane->published_dir = dir;
	for (unsigned d = 0; d < j->dirs->list.count; d++) {
		bool left = jnl_dirs_has_failed(j->dirs, d) &&
			j->dirs->list.dirs[d].state == FMT_DIRLIST_IN_USE;
		for (unsigned i = 0; left && i < j->lane_count; i++)
			left = j->lanes[i].published_dir != d;
		if (left)
			j->dirs->list.dirs[d].state = FMT_DIRLIST_LEFT;
		changed = changed || left;
	}
	/* Where that cannot be written, the next start asks for the directory: no harm but that. */
	int rc = changed ? jnl_dirs_write_list(j->dirs, j->uuid) : SLK_OK;
	(void)rc;
	pthread_mutex_unlock(&j->files_lock);
}

/* --- what is asked --- */

unsigned
jnl_dir_count(const struct jnl *j)
{
	return j->dirs->list.count;
}

void
jnl_dir_info(const struct jnl *j, unsigned index, struct jnl_dir_info *out)
{
	*out = (struct jnl_dir_info){
		.path = path_of(j, index), .failed = jnl_dirs_has_failed(j->dirs, index)};
	for (unsigned i = 0; i < j->lane_count; i++)
		out->lanes += atomic_load(&j->lanes[i].dir) == index;
	if (!out->failed)
		(void)j->base->space(j->base->ctx, out->path, &out->free_bytes);
}
