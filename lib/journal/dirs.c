#include "journal/dirs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/jfile.h"
#include "journal/reader.h"

#define PATH_BYTES 4096u
#define LIST_MODE 0640
#define LIST_NEW FMT_DIRLIST_NAME ".new"

/* --- paths --- */

static int
join(const char *dir, const char *name, char out[PATH_BYTES])
{
	return snprintf(out, PATH_BYTES, "%s/%s", dir, name) < (int)PATH_BYTES ? SLK_OK
									       : SLK_TOO_LARGE;
}

static int
path_in(const struct jnl_dirs *d, unsigned index, const char *name, char out[PATH_BYTES])
{
	return join(d->list.dirs[index].path, name, out);
}

/* The name, if the path is one of the journal; else NULL. */
static const char *
name_of(const struct jnl_dirs *d, const char *path)
{
	size_t len = strlen(jnl_dirs_name(d));

	if (strncmp(path, jnl_dirs_name(d), len) != 0 || path[len] != '/' ||
		strchr(path + len + 1, '/') != NULL)
		return NULL;
	return path + len + 1;
}

static bool
is_whole(const struct jnl_dirs *d, const char *path)
{
	return strcmp(path, jnl_dirs_name(d)) == 0;
}

/* --- where is what --- */

/* What several directories answer: the first that has it, or else the worst that was met. */
static int
worse(int a, int b)
{
	return a == SLK_NOT_FOUND ? b : a;
}

static int
open_somewhere(struct jnl_dirs *d, const char *name, int flags, unsigned *out_index, int *out_fd)
{
	char path[PATH_BYTES];
	int result = SLK_NOT_FOUND;

	for (unsigned i = 0; i < d->list.count; i++) {
		if (jnl_dirs_has_failed(d, i))
			continue;
		int rc = path_in(d, i, name, path);
		if (rc == SLK_OK)
			rc = d->base->open(d->base->ctx, path, flags, 0, out_fd);
		*out_index = i;
		if (rc == SLK_OK || rc == SLK_NO_MEMORY)
			return rc;
		result = worse(result, rc);
	}
	return result;
}

int
jnl_dirs_find(struct jnl_dirs *d, const char *name, unsigned *out_index)
{
	unsigned index = 0;
	int fd = -1;
	int rc = open_somewhere(d, name, SLK_OPEN_READ, &index, &fd);

	if (rc != SLK_OK)
		return rc;
	(void)d->base->close(d->base->ctx, fd);
	*out_index = index;
	return SLK_OK;
}

/* Beside the lane file that the name begins with. */
static unsigned
place_for(struct jnl_dirs *d, const char *name)
{
	const size_t digits = strspn(name, "0123456789");
	char lane_file[FMT_JFILE_NAME_MAX];
	unsigned index = 0;

	snprintf(lane_file, sizeof(lane_file), "%.*s.slj", digits < 21 ? (int)digits : 0, name);
	if (digits > 0 && jnl_dirs_find(d, lane_file, &index) == SLK_OK)
		return index;
	for (index = 0; index < d->list.count && jnl_dirs_has_failed(d, index);)
		index++;
	return index;
}

/* --- the seam --- */

static int
dirs_open(void *ctx, const char *path, int flags, unsigned mode, int *out_fd)
{
	struct jnl_dirs *d = ctx;
	const char *name = name_of(d, path);
	char at[PATH_BYTES];
	unsigned index = 0;

	if (name == NULL)
		return d->base->open(d->base->ctx, path, flags, mode, out_fd);
	if ((flags & SLK_OPEN_CREATE) == 0)
		return open_somewhere(d, name, flags, &index, out_fd);
	index = place_for(d, name);
	if (index == d->list.count)
		return SLK_DISK_FAILED;
	int rc = path_in(d, index, name, at);
	return rc == SLK_OK ? d->base->open(d->base->ctx, at, flags, mode, out_fd) : rc;
}

static int
dirs_close(void *ctx, int fd)
{
	const struct slk_fs *base = ((struct jnl_dirs *)ctx)->base;

	return base->close(base->ctx, fd);
}

static int
dirs_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	const struct slk_fs *base = ((struct jnl_dirs *)ctx)->base;

	return base->pread(base->ctx, fd, buf, len, pos, out_len);
}

static int
dirs_pwrite(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	const struct slk_fs *base = ((struct jnl_dirs *)ctx)->base;

	return base->pwrite(base->ctx, fd, buf, len, pos);
}

static int
dirs_datasync(void *ctx, int fd)
{
	const struct slk_fs *base = ((struct jnl_dirs *)ctx)->base;

	return base->datasync(base->ctx, fd);
}

static int
dirs_sync(void *ctx, int fd)
{
	const struct slk_fs *base = ((struct jnl_dirs *)ctx)->base;

	return base->sync(base->ctx, fd);
}

static int
dirs_truncate(void *ctx, int fd, uint64_t len)
{
	const struct slk_fs *base = ((struct jnl_dirs *)ctx)->base;

	return base->truncate(base->ctx, fd, len);
}

static int
dirs_size(void *ctx, int fd, uint64_t *out_len)
{
	const struct slk_fs *base = ((struct jnl_dirs *)ctx)->base;

	return base->size(base->ctx, fd, out_len);
}

static int
dirs_rename(void *ctx, const char *from, const char *to)
{
	struct jnl_dirs *d = ctx;
	const char *from_name = name_of(d, from), *to_name = name_of(d, to);
	char a[PATH_BYTES], b[PATH_BYTES];
	unsigned index = 0;

	if (from_name == NULL || to_name == NULL)
		return d->base->rename(d->base->ctx, from, to);
	int rc = jnl_dirs_find(d, from_name, &index);
	if (rc == SLK_OK)
		rc = path_in(d, index, from_name, a);
	if (rc == SLK_OK)
		rc = path_in(d, index, to_name, b);
	return rc == SLK_OK ? d->base->rename(d->base->ctx, a, b) : rc;
}

static int
dirs_unlink(void *ctx, const char *path)
{
	struct jnl_dirs *d = ctx;
	const char *name = name_of(d, path);
	char at[PATH_BYTES];
	unsigned index = 0;

	if (name == NULL)
		return d->base->unlink(d->base->ctx, path);
	int rc = jnl_dirs_find(d, name, &index);
	if (rc == SLK_OK)
		rc = path_in(d, index, name, at);
	return rc == SLK_OK ? d->base->unlink(d->base->ctx, at) : rc;
}

static int
dirs_sync_dir(void *ctx, const char *path)
{
	struct jnl_dirs *d = ctx;
	int result = SLK_OK;

	if (!is_whole(d, path))
		return d->base->sync_dir(d->base->ctx, path);
	for (unsigned i = 0; i < d->list.count; i++) {
		int rc = jnl_dirs_has_failed(d, i)
			? SLK_OK
			: d->base->sync_dir(d->base->ctx, d->list.dirs[i].path);
		if (result == SLK_OK)
			result = rc;
	}
	return result;
}

static int
dirs_mkdir(void *ctx, const char *path, unsigned mode)
{
	const struct slk_fs *base = ((struct jnl_dirs *)ctx)->base;

	return base->mkdir(base->ctx, path, mode);
}

/* A directory whose disk fails does not hide the others: what is in it is missed where it is wanted. */
static int
dirs_list(void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	struct jnl_dirs *d = ctx;
	int result = SLK_NOT_FOUND;

	if (!is_whole(d, path))
		return d->base->list(d->base->ctx, path, each, arg);
	for (unsigned i = 0; i < d->list.count; i++) {
		if (jnl_dirs_has_failed(d, i))
			continue;
		int rc = d->base->list(d->base->ctx, d->list.dirs[i].path, each, arg);
		if (d->list.count == 1 || rc == SLK_OK)
			result = rc;
		else if (rc != SLK_IO && rc != SLK_NOT_FOUND)
			return rc;
		else
			(void)jnl_dirs_fail(d, i);
	}
	return result;
}

static int
dirs_space(void *ctx, const char *path, uint64_t *out_bytes)
{
	const struct slk_fs *base = ((struct jnl_dirs *)ctx)->base;

	return base->space(base->ctx, path, out_bytes);
}

struct jnl_dirs *
jnl_dirs_of(const struct slk_fs *fs)
{
	return fs->open == dirs_open ? fs->ctx : NULL;
}

/* --- state --- */

bool
jnl_dirs_fail(struct jnl_dirs *d, unsigned index)
{
	return (atomic_fetch_or(&d->failed, 1u << index) >> index & 1) == 0;
}

const char *
jnl_dirs_missing(const struct jnl_dirs *d, bool in_use)
{
	for (unsigned i = 0; i < d->list.count; i++)
		if (jnl_dirs_has_failed(d, i) &&
			(!in_use || d->list.dirs[i].state == FMT_DIRLIST_IN_USE))
			return d->list.dirs[i].path;
	return NULL;
}

const char *
jnl_dirs_some(const struct jnl_dirs *d)
{
	for (unsigned i = 0; i < d->list.count; i++)
		if (!jnl_dirs_has_failed(d, i))
			return d->list.dirs[i].path;
	return d->list.dirs[0].path;
}

/* --- the list --- */

static int
read_list(const struct slk_fs *fs, const char *dir, struct fmt_dirlist *out)
{
	static const unsigned tries = 3; /* it may be replaced meanwhile */
	char path[PATH_BYTES];
	uint8_t *raw = malloc(FMT_DIRLIST_BYTES_MAX + 1);
	int rc = raw != NULL ? join(dir, FMT_DIRLIST_NAME, path) : SLK_NO_MEMORY;

	for (unsigned i = 0; rc == SLK_OK && i < tries; i++) {
		size_t len = 0;
		int fd = -1;
		rc = fs->open(fs->ctx, path, SLK_OPEN_READ, 0, &fd);
		if (rc != SLK_OK)
			break;
		rc = fs->pread(fs->ctx, fd, raw, FMT_DIRLIST_BYTES_MAX + 1, 0, &len);
		(void)fs->close(fs->ctx, fd);
		if (rc == SLK_OK)
			rc = fmt_dirlist_decode(slk_span(raw, len), out);
		if (slk_status_class(rc) != SLK_CLASS_CORRUPT || i + 1 == tries)
			break;
		rc = SLK_OK;
	}
	free(raw);
	return rc;
}

static int
write_one(struct jnl_dirs *d, unsigned index, const uint8_t *raw, size_t len)
{
	const struct slk_fs *fs = d->base;
	char path[PATH_BYTES], part[PATH_BYTES];
	int fd = -1;

	int rc = path_in(d, index, LIST_NEW, part);
	if (rc == SLK_OK)
		rc = path_in(d, index, FMT_DIRLIST_NAME, path);
	if (rc == SLK_OK)
		rc = fs->unlink(fs->ctx, part);
	if (rc == SLK_OK || rc == SLK_NOT_FOUND)
		rc = fs->open(fs->ctx, part, SLK_OPEN_WRITE | SLK_OPEN_CREATE, LIST_MODE, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = fs->pwrite(fs->ctx, fd, raw, len, 0);
	if (rc == SLK_OK)
		rc = fs->sync(fs->ctx, fd);
	int closed = fs->close(fs->ctx, fd);
	rc = rc == SLK_OK ? closed : rc;
	if (rc == SLK_OK)
		rc = fs->rename(fs->ctx, part, path);
	return rc == SLK_OK ? fs->sync_dir(fs->ctx, d->list.dirs[index].path) : rc;
}

int
jnl_dirs_write_list(struct jnl_dirs *d, const uint8_t uuid[16])
{
	uint8_t *raw = malloc(FMT_DIRLIST_BYTES_MAX);
	size_t len = 0;

	if (raw == NULL)
		return SLK_NO_MEMORY;
	memcpy(d->list.journal_uuid, uuid, sizeof(d->list.journal_uuid));
	d->list.generation++;
	int rc = fmt_dirlist_encode(&d->list, raw, FMT_DIRLIST_BYTES_MAX, &len);
	for (unsigned i = 0; i < d->list.count && rc == SLK_OK; i++)
		if (!jnl_dirs_has_failed(d, i))
			rc = write_one(d, i, raw, len);
	free(raw);
	return rc;
}

/* --- life --- */

static struct jnl_dirs *
make(const struct slk_fs *base, const char *name)
{
	struct jnl_dirs *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->name = strdup(name);
	if (d->name == NULL) {
		free(d);
		return NULL;
	}
	d->base = base != NULL ? base : slk_fs_posix();
	d->fs = (struct slk_fs){dirs_open, dirs_close, dirs_pread, dirs_pwrite, dirs_datasync,
		dirs_sync, dirs_truncate, dirs_size, dirs_rename, dirs_unlink, dirs_sync_dir,
		dirs_mkdir, dirs_list, dirs_space, d};
	return d;
}

void
jnl_dirs_free(struct jnl_dirs *d)
{
	if (d != NULL)
		free(d->name);
	free(d);
}

int
jnl_dirs_new(const char *const paths[], unsigned count, const struct slk_fs *base,
	struct jnl_dirs **out_dirs, struct slk_error *err)
{
	if (count == 0 || count > JNL_DIRS_MAX)
		return slk_fail(err, SLK_CONFIG, "a journal has 1 to %u directories, not %u",
			JNL_DIRS_MAX, count);
	struct jnl_dirs *d = make(base, paths[0]);
	if (d == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	for (unsigned i = 0; i < count; i++) {
		bool good = strlen(paths[i]) < FMT_DIRLIST_PATH_MAX &&
			(count == 1 || (paths[i][0] == '/' && strchr(paths[i], ':') == NULL));
		for (unsigned k = 0; k < i; k++)
			good = good && strcmp(paths[k], paths[i]) != 0;
		if (!good) {
			jnl_dirs_free(d);
			return slk_fail(err, SLK_CONFIG,
				"the directories of a journal have different absolute paths "
				"without "
				"colons of less than %u bytes; %s has not",
				FMT_DIRLIST_PATH_MAX, paths[i]);
		}
		strcpy(d->list.dirs[i].path, paths[i]);
		d->list.dirs[i].state = FMT_DIRLIST_IN_USE;
	}
	d->list.count = count;
	*out_dirs = d;
	return SLK_OK;
}

/* The newest of the lists that the given directories have. *out_found: how many had one. */
static int
newest_list(const struct slk_fs *base, const char *given, struct fmt_dirlist *out, bool *out_found)
{
	struct fmt_dirlist *one = calloc(1, sizeof(*one));
	char *copy = strdup(given), *rest = copy, *dir;
	int result = SLK_OK;

	*out_found = false;
	if (one == NULL || copy == NULL)
		result = SLK_NO_MEMORY;
	while (result == SLK_OK && (dir = strsep(&rest, ":")) != NULL) {
		int rc = read_list(base, dir, one);
		if (rc == SLK_OK && (!*out_found || one->generation > out->generation)) {
			*out = *one;
			*out_found = true;
		} else if (rc == SLK_NO_MEMORY || slk_status_class(rc) == SLK_CLASS_CORRUPT) {
			result = rc;
		}
	}
	free(one);
	free(copy);
	return result;
}

/* A directory that is another journal's, or an empty mount point, is not the one that the list means. */
static void
look_for_absent(struct jnl_dirs *d)
{
	struct fmt_dirlist *theirs = calloc(1, sizeof(*theirs));

	for (unsigned i = 0; i < d->list.count && d->list.count > 1; i++) {
		if (theirs == NULL || read_list(d->base, d->list.dirs[i].path, theirs) != SLK_OK ||
			memcmp(theirs->journal_uuid, d->list.journal_uuid,
				sizeof(theirs->journal_uuid)) != 0)
			(void)jnl_dirs_fail(d, i);
	}
	free(theirs);
}

int
jnl_dirs_open(const char *dir, const struct slk_fs *base, struct jnl_dirs **out_dirs,
	struct slk_error *err)
{
	struct jnl_dirs *d = make(base, dir);
	bool found = false;

	if (d == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	int rc = newest_list(d->base, dir, &d->list, &found);
	if (rc == SLK_OK && !found && strlen(dir) >= FMT_DIRLIST_PATH_MAX)
		rc = SLK_TOO_LARGE;
	if (rc != SLK_OK) {
		jnl_dirs_free(d);
		return slk_fail(err, rc, "the list of the journal's directories in %s: %s", dir,
			slk_status_sentence(rc));
	}
	if (found) {
		look_for_absent(d);
	} else {
		d->list.count = 1;
		d->list.dirs[0].state = FMT_DIRLIST_IN_USE;
		strcpy(d->list.dirs[0].path, dir);
	}
	*out_dirs = d;
	return SLK_OK;
}

int
jnl_dirs_enter(const char **dir, const struct slk_fs **fs, struct jnl_dirs **out_dirs,
	struct slk_error *err)
{
	const struct slk_fs *base = *fs != NULL ? *fs : slk_fs_posix();

	*out_dirs = NULL;
	*fs = base;
	if (jnl_dirs_of(base) != NULL)
		return SLK_OK;
	int rc = jnl_dirs_open(*dir, base, out_dirs, err);
	if (rc != SLK_OK)
		return rc;
	*fs = &(*out_dirs)->fs;
	*dir = jnl_dirs_name(*out_dirs);
	return SLK_OK;
}

int
jnl_dirs_refresh(struct jnl_dirs *d, bool *out_changed)
{
	struct fmt_dirlist *next = calloc(1, sizeof(*next));
	int rc = next != NULL ? SLK_OK : SLK_NO_MEMORY;

	*out_changed = false;
	for (unsigned i = 0; rc == SLK_OK && !*out_changed && i < d->list.count; i++) {
		bool found = false;
		if (!jnl_dirs_has_failed(d, i))
			rc = newest_list(d->base, d->list.dirs[i].path, next, &found);
		*out_changed = found && next->generation > d->list.generation;
	}
	if (rc == SLK_OK && *out_changed) {
		d->list = *next;
		atomic_store(&d->failed, 0);
		look_for_absent(d);
	}
	free(next);
	return rc;
}

static_assert(JNL_PATHS_MAX == JNL_DIRS_MAX, "as many as a list has");
static_assert(sizeof(((struct jnl_paths *)0)->paths[0]) == FMT_DIRLIST_PATH_MAX, "as long");

int
jnl_paths(const char *dir, struct jnl_paths *out, struct slk_error *err)
{
	struct jnl_dirs *d = NULL;
	int rc = jnl_dirs_open(dir, NULL, &d, err);

	if (rc != SLK_OK)
		return rc;
	out->count = d->list.count;
	for (unsigned i = 0; i < d->list.count; i++)
		strcpy(out->paths[i], d->list.dirs[i].path);
	jnl_dirs_free(d);
	return SLK_OK;
}
