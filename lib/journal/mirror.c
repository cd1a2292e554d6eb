#include "journal/mirror.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "journal/mirror_internal.h"

#define STATE_MAGIC "SLJM"
#define STATE_VERSION 1u
#define STATE_BYTES 20u

/* --- which one is ahead --- */

int
mirror_generation_load(const struct slk_fs *fs, const char *dir, uint64_t *out_generation)
{
	char path[MIRROR_PATH_MAX + 16];
	uint8_t raw[STATE_BYTES + 1];
	size_t len = 0;
	int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/mirror", dir);
	*out_generation = 0;
	int rc = fs->open(fs->ctx, path, SLK_OPEN_READ, 0, &fd);
	if (rc == SLK_NOT_FOUND)
		return SLK_OK;
	if (rc == SLK_OK)
		rc = fs->pread(fs->ctx, fd, raw, sizeof(raw), 0, &len);
	if (fd >= 0)
		(void)fs->close(fs->ctx, fd);
	if (rc != SLK_OK)
		return rc;
	if (len != STATE_BYTES || memcmp(raw, STATE_MAGIC, 4) != 0 ||
		slk_get_le32(raw + 16) != slk_crc32c(0, raw, 16))
		return SLK_CORRUPT;
	if (slk_get_le32(raw + 4) != STATE_VERSION)
		return SLK_BAD_VERSION;
	*out_generation = slk_get_le64(raw + 8);
	return SLK_OK;
}

int
mirror_generation_store(const struct slk_fs *fs, const char *dir, uint64_t generation)
{
	char path[MIRROR_PATH_MAX + 16], part[MIRROR_PATH_MAX + 16];
	uint8_t raw[STATE_BYTES];
	int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/mirror", dir);
	(void)snprintf(part, sizeof(part), "%s/mirror-new", dir);
	memcpy(raw, STATE_MAGIC, 4);
	slk_put_le32(raw + 4, STATE_VERSION);
	slk_put_le64(raw + 8, generation);
	slk_put_le32(raw + 16, slk_crc32c(0, raw, 16));
	(void)fs->unlink(fs->ctx, part); /* what a crash left */
	int rc = fs->open(fs->ctx, part, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0640, &fd);
	if (rc == SLK_OK)
		rc = fs->pwrite(fs->ctx, fd, raw, sizeof(raw), 0);
	if (rc == SLK_OK)
		rc = fs->sync(fs->ctx, fd);
	if (fd >= 0)
		(void)fs->close(fs->ctx, fd);
	if (rc == SLK_OK)
		rc = fs->rename(fs->ctx, part, path);
	return rc == SLK_OK ? fs->sync_dir(fs->ctx, dir) : rc;
}

/* A side has failed. True if the other one goes on: it has said so on its disk, so that nothing it acknowledges alone can be
 * taken back by an opening that believes the other. */
static bool
side_failed(struct jnl_mirror *m, unsigned side, int status)
{
	pthread_mutex_lock(&m->lock);
	const unsigned before = atomic_load(&m->failed);
	const bool first = (before >> side & 1) == 0;
	bool goes_on = m->config.policy == JNL_MIRROR_GO_ON && (before >> (1 - side) & 1) == 0;
	if (first && goes_on &&
		mirror_generation_store(m->under[1 - side], m->dirs[1 - side], m->generation + 1) !=
			SLK_OK) {
		goes_on = false;
		atomic_fetch_or(&m->failed, 3u);
	}
	atomic_fetch_or(&m->failed, 1u << side);
	pthread_mutex_unlock(&m->lock);
	if (first && m->config.failed != NULL)
		m->config.failed(m->config.arg, side, status);
	return goes_on;
}

static bool
lives(const struct jnl_mirror *m, unsigned side)
{
	return (atomic_load(&m->failed) >> side & 1) == 0;
}

/* Answers that are about the request, not the disk. */
static bool
is_failure(int status)
{
	return status != SLK_OK && status != SLK_DISK_FULL && status != SLK_EXISTS &&
		status != SLK_NOT_FOUND && status != SLK_NO_MEMORY && status != SLK_TOO_LARGE;
}

/* What both have answered, as one. A side that has failed has none. */
static int
join(struct jnl_mirror *m, const int rc[2], const bool asked[2])
{
	int result = SLK_IO, other = SLK_IO;
	bool any = false;

	for (unsigned side = 0; side < 2; side++) {
		if (!asked[side])
			continue;
		if (is_failure(rc[side])) {
			other = rc[side];
			if (!side_failed(m, side, rc[side]))
				return rc[side];
			continue;
		}
		/* One full disk, or one missing name, is the answer of both. */
		result = !any || result == SLK_OK ? rc[side] : result;
		any = true;
	}
	return any ? result : other;
}

/* --- files --- */

static void
path_of(const struct jnl_mirror *m, unsigned side, const char *path, char out[MIRROR_PATH_MAX + 64])
{
	(void)snprintf(out, MIRROR_PATH_MAX + 64, "%s%s", m->dirs[side], path + strlen(m->dirs[0]));
}

static struct mirror_fd *
file_at(struct jnl_mirror *m, int fd)
{
	return &m->files[fd];
}

static int
mirror_open(void *ctx, const char *path, int flags, unsigned mode, int *out_fd)
{
	struct jnl_mirror *m = ctx;
	char paths[2][MIRROR_PATH_MAX + 64];
	int rc[2] = {SLK_OK, SLK_OK}, fds[2] = {-1, -1};
	const bool asked[2] = {lives(m, 0), lives(m, 1)};

	for (unsigned side = 0; side < 2; side++) {
		path_of(m, side, path, paths[side]);
		if (asked[side])
			rc[side] = m->under[side]->open(
				m->under[side]->ctx, paths[side], flags, mode, &fds[side]);
	}
	int result = join(m, rc, asked);
	const bool half =
		asked[0] && asked[1] && lives(m, 0) && lives(m, 1) && (fds[0] < 0) != (fds[1] < 0);
	/* To read, one will do. */
	if (half && (flags & (SLK_OPEN_WRITE | SLK_OPEN_CREATE)) == 0)
		result = SLK_OK;
	int slot = -1;
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; result == SLK_OK && slot < 0 && i < MIRROR_FDS_MAX; i++)
		if (!m->files[i].used)
			slot = (int)i;
	if (slot >= 0)
		m->files[slot] = (struct mirror_fd){true, {fds[0], fds[1]}};
	pthread_mutex_unlock(&m->lock);
	if (slot >= 0) {
		*out_fd = slot;
		return SLK_OK;
	}
	for (unsigned side = 0; side < 2; side++) {
		if (fds[side] < 0)
			continue;
		(void)m->under[side]->close(m->under[side]->ctx, fds[side]);
		if ((flags & SLK_OPEN_CREATE) != 0) /* not half a file */
			(void)m->under[side]->unlink(m->under[side]->ctx, paths[side]);
	}
	return result == SLK_OK ? SLK_NO_MEMORY : result;
}

static int
mirror_close(void *ctx, int fd)
{
	struct jnl_mirror *m = ctx;
	struct mirror_fd f = *file_at(m, fd);

	for (unsigned side = 0; side < 2; side++)
		if (f.fds[side] >= 0) /* what is written is flushed elsewhere */
			(void)m->under[side]->close(m->under[side]->ctx, f.fds[side]);
	pthread_mutex_lock(&m->lock);
	file_at(m, fd)->used = false;
	pthread_mutex_unlock(&m->lock);
	return SLK_OK;
}

/* From the first that can; a sector that one disk does not give, the other has. */
static int
mirror_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	struct jnl_mirror *m = ctx;
	const struct mirror_fd *f = file_at(m, fd);
	int rc = SLK_IO;

	for (unsigned side = 0; side < 2 && rc != SLK_OK; side++)
		if (f->fds[side] >= 0 && lives(m, side))
			rc = m->under[side]->pread(
				m->under[side]->ctx, f->fds[side], buf, len, pos, out_len);
	return rc;
}

static int
mirror_size(void *ctx, int fd, uint64_t *out_len)
{
	struct jnl_mirror *m = ctx;
	const struct mirror_fd *f = file_at(m, fd);
	int rc = SLK_IO;

	for (unsigned side = 0; side < 2 && rc != SLK_OK; side++)
		if (f->fds[side] >= 0 && lives(m, side))
			rc = m->under[side]->size(m->under[side]->ctx, f->fds[side], out_len);
	return rc;
}

/* Ask both sides that have the file. */
#define ON_BOTH_FILES(m, fd, expr) \
	int rc[2] = {SLK_OK, SLK_OK}; \
	bool asked[2] = {false, false}; \
	for (unsigned side = 0; side < 2; side++) { \
		const struct slk_fs *u = (m)->under[side]; \
		const int side_fd = file_at(m, fd)->fds[side]; \
		asked[side] = side_fd >= 0 && lives(m, side); \
		if (asked[side]) \
			rc[side] = (expr); \
	} \
	return join(m, rc, asked)

static int
mirror_pwrite(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	struct jnl_mirror *m = ctx;

	ON_BOTH_FILES(m, fd, u->pwrite(u->ctx, side_fd, buf, len, pos));
}

static int
mirror_datasync(void *ctx, int fd)
{
	struct jnl_mirror *m = ctx;

	ON_BOTH_FILES(m, fd, u->datasync(u->ctx, side_fd));
}

static int
mirror_sync(void *ctx, int fd)
{
	struct jnl_mirror *m = ctx;

	ON_BOTH_FILES(m, fd, u->sync(u->ctx, side_fd));
}

static int
mirror_truncate(void *ctx, int fd, uint64_t len)
{
	struct jnl_mirror *m = ctx;

	ON_BOTH_FILES(m, fd, u->truncate(u->ctx, side_fd, len));
}

#define ON_BOTH_PATHS(m, expr) \
	int rc[2] = {SLK_OK, SLK_OK}; \
	bool asked[2] = {false, false}; \
	for (unsigned side = 0; side < 2; side++) { \
		const struct slk_fs *u = (m)->under[side]; \
		asked[side] = lives(m, side); \
		if (asked[side]) \
			rc[side] = (expr); \
	} \
	return join(m, rc, asked)

static int
mirror_rename(void *ctx, const char *from, const char *to)
{
	struct jnl_mirror *m = ctx;
	char a[2][MIRROR_PATH_MAX + 64], b[2][MIRROR_PATH_MAX + 64];

	for (unsigned side = 0; side < 2; side++) {
		path_of(m, side, from, a[side]);
		path_of(m, side, to, b[side]);
	}
	ON_BOTH_PATHS(m, u->rename(u->ctx, a[side], b[side]));
}

static int
mirror_unlink(void *ctx, const char *path)
{
	struct jnl_mirror *m = ctx;
	char a[2][MIRROR_PATH_MAX + 64];

	for (unsigned side = 0; side < 2; side++)
		path_of(m, side, path, a[side]);
	ON_BOTH_PATHS(m, u->unlink(u->ctx, a[side]));
}

static int
mirror_sync_dir(void *ctx, const char *path)
{
	struct jnl_mirror *m = ctx;
	char a[2][MIRROR_PATH_MAX + 64];

	for (unsigned side = 0; side < 2; side++)
		path_of(m, side, path, a[side]);
	ON_BOTH_PATHS(m, u->sync_dir(u->ctx, a[side]));
}

static int
mirror_mkdir(void *ctx, const char *path, unsigned mode)
{
	struct jnl_mirror *m = ctx;
	char a[2][MIRROR_PATH_MAX + 64];

	for (unsigned side = 0; side < 2; side++)
		path_of(m, side, path, a[side]);
	ON_BOTH_PATHS(m, u->mkdir(u->ctx, a[side], mode));
}

struct name_list {
	char **names;
	size_t count, cap;
};

static int
keep_name(void *arg, const char *name)
{
	struct name_list *l = arg;

	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
		char **bigger = realloc(l->names, cap * sizeof(*bigger));
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		l->names = bigger;
		l->cap = cap;
	}
	l->names[l->count] = strdup(name);
	return l->names[l->count++] != NULL ? SLK_OK : SLK_NO_MEMORY;
}

static void
drop_names(struct name_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->names[i]);
	free(l->names);
	*l = (struct name_list){0};
}

/* From one side, whole before anything is handed on: the other one if it fails in the middle. */
static int
mirror_list(void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	struct jnl_mirror *m = ctx;
	char a[MIRROR_PATH_MAX + 64];
	struct name_list l = {0};
	int rc = SLK_IO;

	for (unsigned side = 0; side < 2; side++) {
		if (!lives(m, side))
			continue;
		drop_names(&l);
		path_of(m, side, path, a);
		rc = m->under[side]->list(m->under[side]->ctx, a, keep_name, &l);
		if (!is_failure(rc) || !side_failed(m, side, rc))
			break;
	}
	for (size_t i = 0; rc == SLK_OK && i < l.count; i++)
		rc = each(arg, l.names[i]);
	drop_names(&l);
	return rc;
}

static int
mirror_space(void *ctx, const char *path, uint64_t *out_bytes)
{
	struct jnl_mirror *m = ctx;
	char a[MIRROR_PATH_MAX + 64];
	uint64_t least = UINT64_MAX;
	int rc[2] = {SLK_OK, SLK_OK};
	bool asked[2];

	for (unsigned side = 0; side < 2; side++) {
		uint64_t bytes = 0;
		path_of(m, side, path, a);
		asked[side] = lives(m, side);
		if (asked[side])
			rc[side] = m->under[side]->space(m->under[side]->ctx, a, &bytes);
		if (asked[side] && rc[side] == SLK_OK && bytes < least)
			least = bytes;
	}
	int result = join(m, rc, asked);
	if (result == SLK_OK)
		*out_bytes = least;
	return result;
}

/* --- I/O of a lane: done when both are --- */

struct op {
	bool used;
	uint64_t tag;
	unsigned left;
	bool done_by[2];
	int status;
};

struct pair_io {
	struct jnl_mirror *m;
	void *under[2];
	struct op ops[JNL_IO_DEPTH];
};

static int
pair_open(void *ctx, int event_fd, void **out_instance, struct slk_error *err)
{
	struct jnl_mirror *m = ctx;
	struct pair_io *p = calloc(1, sizeof(*p));
	int rc = SLK_OK;

	if (p == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	p->m = m;
	for (unsigned side = 0; side < 2 && rc == SLK_OK; side++)
		rc = m->under_io[side].open(m->under_io[side].ctx, event_fd, &p->under[side], err);
	if (rc != SLK_OK) {
		if (p->under[0] != NULL)
			m->under_io[0].close(p->under[0]);
		free(p);
		return rc;
	}
	*out_instance = p;
	return SLK_OK;
}

static void
pair_close(void *instance)
{
	struct pair_io *p = instance;

	if (p == NULL)
		return;
	for (unsigned side = 0; side < 2; side++)
		p->m->under_io[side].close(p->under[side]);
	free(p);
}

static struct op *
take_op(struct pair_io *p, uint64_t tag, uint64_t *out_index)
{
	for (uint64_t i = 0; i < JNL_IO_DEPTH; i++) {
		if (p->ops[i].used)
			continue;
		p->ops[i] = (struct op){.used = true, .tag = tag, .status = SLK_OK};
		*out_index = i;
		return &p->ops[i];
	}
	return NULL;
}

/* buf NULL: a flush. */
static int
submit(struct pair_io *p, int fd, const void *buf, uint32_t len, uint64_t pos, uint64_t tag)
{
	uint64_t index = 0;
	struct op *op = take_op(p, tag, &index);

	if (op == NULL)
		return SLK_IO;
	for (unsigned side = 0; side < 2; side++) {
		const struct jnl_io *io = &p->m->under_io[side];
		const int side_fd = file_at(p->m, fd)->fds[side];
		if (side_fd < 0 || !lives(p->m, side))
			continue;
		int rc = buf != NULL ? io->write(p->under[side], side_fd, buf, len, pos, index)
				     : io->sync(p->under[side], side_fd, index);
		if (rc == SLK_OK)
			op->left++;
		else if (!side_failed(p->m, side, rc))
			op->status = rc;
	}
	if (op->left > 0)
		return SLK_OK;
	op->used = false;
	return SLK_IO;
}

static int
pair_write(void *instance, int fd, const void *buf, uint32_t len, uint64_t pos, uint64_t tag)
{
	return submit(instance, fd, buf, len, pos, tag);
}

static int
pair_sync(void *instance, int fd, uint64_t tag)
{
	return submit(instance, fd, NULL, 0, 0, tag);
}

static unsigned
pair_reap(void *instance, struct jnl_io_done *out, unsigned cap)
{
	struct pair_io *p = instance;
	struct jnl_io_done done[JNL_IO_DEPTH];
	unsigned n = 0;

	for (unsigned side = 0; side < 2; side++) {
		const struct jnl_io *io = &p->m->under_io[side];
		const unsigned count =
			io->reap(p->under[side], done, cap < JNL_IO_DEPTH ? cap : JNL_IO_DEPTH);
		for (unsigned i = 0; i < count; i++) {
			struct op *op = &p->ops[done[i].tag];
			op->left--;
			if (done[i].status == SLK_OK)
				op->done_by[side] = true;
			else if (!side_failed(p->m, side, done[i].status))
				op->status = done[i].status;
		}
	}
	for (unsigned i = 0; i < JNL_IO_DEPTH && n < cap; i++) {
		struct op *op = &p->ops[i];
		if (!op->used || op->left > 0)
			continue;
		/* It counts only where a side that still lives has done it. */
		const bool done_somewhere =
			(op->done_by[0] && lives(p->m, 0)) || (op->done_by[1] && lives(p->m, 1));
		op->used = false;
		out[n++] = (struct jnl_io_done){
			op->tag, op->status == SLK_OK && !done_somewhere ? SLK_IO : op->status};
	}
	return n;
}

/* --- life --- */

static int
lock_side(struct jnl_mirror *m, unsigned side, struct slk_error *err)
{
	char path[MIRROR_PATH_MAX + 16];

	if (m->under[side] != slk_fs_posix())
		return SLK_OK; /* a test's */
	(void)snprintf(path, sizeof(path), "%s/lock", m->dirs[side]);
	m->locks[side] = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (m->locks[side] < 0)
		return slk_fail_errno(
			err, "the journal directory %s is not writable", m->dirs[side]);
	if (flock(m->locks[side], LOCK_EX | LOCK_NB) != 0)
		return slk_fail(
			err, SLK_EXISTS, "another process writes the journal in %s", m->dirs[side]);
	return SLK_OK;
}

static int
choose_io(struct jnl_mirror *m, unsigned side, struct slk_error *err)
{
	const char *name = m->config.io != NULL ? m->config.io : "auto";

	if (strcmp(name, "auto") != 0 && strcmp(name, "uring") != 0 && strcmp(name, "sync") != 0)
		return slk_fail(err, SLK_CONFIG, "io must be auto, uring or sync, not %s", name);
	if (strcmp(name, "sync") != 0 && m->under[side] == slk_fs_posix() &&
		jnl_io_uring(&m->under_io[side]) == SLK_OK)
		return SLK_OK;
	if (strcmp(name, "uring") == 0)
		return slk_fail(err, SLK_UNSUPPORTED,
			"io_uring is not to be had here; set io: auto or sync");
	m->under_io[side] = jnl_io_sync(m->under[side]);
	return SLK_OK;
}

static int
check_two(const struct jnl_mirror *m, struct slk_error *err)
{
	struct stat st[2];

	for (unsigned side = 0; side < 2; side++) {
		if (stat(m->dirs[side], &st[side]) != 0)
			return slk_fail_errno(
				err, "cannot use the journal directory %s", m->dirs[side]);
		if (st[side].st_uid != geteuid() || (st[side].st_mode & S_IWOTH) != 0)
			return slk_fail(err, SLK_DENIED,
				"the journal directory %s must belong to uid %u, this process's, "
				"and "
				"not be writable by everybody",
				m->dirs[side], geteuid());
	}
	if (st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino)
		return slk_fail(err, SLK_CONFIG,
			"%s and %s are one directory: a mirrored pair has two", m->dirs[0],
			m->dirs[1]);
	return SLK_OK;
}

int
jnl_mirror_open(const struct jnl_mirror_config *config, struct jnl_mirror **out_mirror,
	struct jnl_mirror_report *out_report, struct slk_error *err)
{
	struct jnl_mirror *m = calloc(1, sizeof(*m));
	struct jnl_mirror_report report = {0};
	int rc = SLK_OK;

	if (m == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	m->config = *config;
	m->locks[0] = m->locks[1] = -1;
	pthread_mutex_init(&m->lock, NULL);
	for (unsigned side = 0; side < 2 && rc == SLK_OK; side++) {
		m->under[side] = config->fs[side] != NULL ? config->fs[side] : slk_fs_posix();
		if (snprintf(m->dirs[side], sizeof(m->dirs[side]), "%s", config->dirs[side]) >=
			(int)sizeof(m->dirs[side]))
			rc = slk_fail(err, SLK_TOO_LARGE, "the path of the journal is too long");
	}
	if (rc == SLK_OK)
		rc = check_two(m, err);
	for (unsigned side = 0; side < 2 && rc == SLK_OK; side++) {
		rc = lock_side(m, side, err);
		if (rc == SLK_OK)
			rc = choose_io(m, side, err);
	}
	if (rc == SLK_OK)
		rc = mirror_settle(m, &report, err);
	if (rc != SLK_OK) {
		jnl_mirror_close(m);
		return rc;
	}
	m->fs = (struct slk_fs){mirror_open, mirror_close, mirror_pread, mirror_pwrite,
		mirror_datasync, mirror_sync, mirror_truncate, mirror_size, mirror_rename,
		mirror_unlink, mirror_sync_dir, mirror_mkdir, mirror_list, mirror_space, m};
	m->io = (struct jnl_io){.name = "mirror",
		.open = pair_open,
		.close = pair_close,
		.write = pair_write,
		.sync = pair_sync,
		.reap = pair_reap,
		.ctx = m};
	if (out_report != NULL)
		*out_report = report;
	*out_mirror = m;
	return SLK_OK;
}

void
jnl_mirror_close(struct jnl_mirror *m)
{
	if (m == NULL)
		return;
	for (unsigned side = 0; side < 2; side++)
		if (m->locks[side] >= 0)
			close(m->locks[side]);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

const struct slk_fs *
jnl_mirror_fs(const struct jnl_mirror *m)
{
	return &m->fs;
}

const struct jnl_io *
jnl_mirror_io(const struct jnl_mirror *m)
{
	return &m->io;
}

unsigned
jnl_mirror_failed(const struct jnl_mirror *m)
{
	return atomic_load(&m->failed);
}
