#include "s3_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_CAP (DLV_DIR_NAME_MAX + 16u)
#define WRITE_MAX (8u << 20)
#define DIRECT_MIN (1u << 20) /* what is smaller is not worth its own way */
#define DIRECT_ALIGN \
	4096u /* of memory, offset and length: enough for every disk with logical blocks up to that */

struct dlv_dir {
	const struct dlv_dir_sys *sys;
	char *path, *bucket;
	int fd;
};

/* --- system calls --- */

static int
posix_open_beneath(void *ctx, int dir_fd, const char *name, int flags, unsigned mode)
{
	const struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

	(void)ctx;
	return (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
}

static int
posix_mkdir(void *ctx, int dir_fd, const char *name, unsigned mode)
{
	(void)ctx;
	return mkdirat(dir_fd, name, mode);
}

/* A directory keeps the bit that hands its group on. */
static int
posix_chmod(void *ctx, int fd, unsigned mode)
{
	struct stat st;

	(void)ctx;
	if (fstat(fd, &st) != 0)
		return -1;
	return fchmod(fd, mode | (S_ISDIR(st.st_mode) ? st.st_mode & S_ISGID : 0));
}

static ssize_t
posix_write(void *ctx, int fd, const void *bytes, size_t len)
{
	(void)ctx;
	return write(fd, bytes, len);
}

static int
posix_direct(void *ctx, int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	(void)ctx;
	if (flags < 0)
		return -1;
	return fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT);
}

static int
posix_start(void *ctx, int fd)
{
	(void)ctx;
	return sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static int
posix_sync(void *ctx, int fd)
{
	(void)ctx;
	return fsync(fd);
}

static int
posix_rename(void *ctx, int dir_fd, const char *from, const char *to)
{
	(void)ctx;
	return renameat(dir_fd, from, dir_fd, to);
}

static int
posix_unlink(void *ctx, int dir_fd, const char *name)
{
	(void)ctx;
	return unlinkat(dir_fd, name, 0);
}

static int
posix_close(void *ctx, int fd)
{
	(void)ctx;
	return close(fd);
}

const struct dlv_dir_sys *
dlv_dir_posix(void)
{
	static const struct dlv_dir_sys posix = {posix_open_beneath, posix_mkdir, posix_chmod,
		posix_write, posix_direct, posix_start, posix_sync, posix_rename, posix_unlink,
		posix_close, NULL};

	return &posix;
}

/* --- the root --- */

int
dlv_dir_open(const char *path, const char *bucket, const struct dlv_dir_sys *sys,
	struct dlv_dir **out_dir, struct slk_error *err)
{
	struct dlv_dir *dir = calloc(1, sizeof(*dir));

	if (dir == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a directory");
	dir->sys = sys != NULL ? sys : dlv_dir_posix();
	dir->fd = -1;
	dir->path = strdup(path);
	dir->bucket = bucket != NULL ? strdup(bucket) : NULL;
	if (dir->path == NULL || (bucket != NULL && dir->bucket == NULL)) {
		dlv_dir_close(dir);
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a directory");
	}
	dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd < 0) {
		(void)slk_fail_errno(err, "the directory %s cannot be opened", path);
		dlv_dir_close(dir);
		return SLK_CONFIG;
	}
	*out_dir = dir;
	return SLK_OK;
}

void
dlv_dir_close(struct dlv_dir *dir)
{
	if (dir == NULL)
		return;
	if (dir->fd >= 0)
		close(dir->fd);
	free(dir->path);
	free(dir->bucket);
	free(dir);
}

/* --- what went wrong --- */

static void
fail_of(struct dlv_result *out, enum dlv_outcome outcome, const char *code)
{
	out->outcome = outcome;
	snprintf(out->code, sizeof(out->code), "File.%s", code);
}

/* errno says what; the sentence is made here. */
static int
failed(const struct dlv_dir *dir, const char *what, const char *name, struct dlv_result *out)
{
	int saved = errno;

	switch (saved) {
	case ENOSPC:
	case EDQUOT:
		fail_of(out, DLV_FAILED, "DiskFull");
		break;
	case EROFS:
		fail_of(out, DLV_REFUSED, "ReadOnly");
		break;
	case EACCES:
	case EPERM:
		fail_of(out, DLV_REFUSED, "AccessDenied");
		break;
	case ELOOP:
	case EXDEV:
	case ENOTDIR:
	case EISDIR:
	case ENAMETOOLONG:
		fail_of(out, DLV_REFUSED, "BadKey");
		break;
	default:
		fail_of(out, DLV_FAILED, "Io");
		break;
	}
	errno = saved;
	return slk_fail_errno(&out->error, "directory %s: cannot %s %.255s", dir->path, what, name);
}

static int
bad_key(const struct dlv_dir *dir, const char *why, struct dlv_result *out)
{
	fail_of(out, DLV_REFUSED, "BadKey");
	return slk_fail(&out->error, SLK_INVALID, "directory %s: the key %s; mend the prefix",
		dir->path, why);
}

/* --- the directories of a key --- */

/* The next part of a key, behind any slashes; its length, 0 at the end. */
static size_t
next_part(const char **at)
{
	while (**at == '/')
		(*at)++;
	return strcspn(*at, "/");
}

static int
check_key(const struct dlv_dir *dir, const char *key, struct dlv_result *out)
{
	const char *at = key;
	size_t len, count = 0;

	for (; (len = next_part(&at)) > 0; at += len, count++) {
		if (len > DLV_DIR_NAME_MAX)
			return bad_key(dir, "has a part of more than 240 bytes", out);
		if (at[0] == '.' && (len == 1 || (len == 2 && at[1] == '.')))
			return bad_key(dir, "has . or .. as a part", out);
	}
	if (count == 0 || key[strlen(key) - 1] == '/')
		return bad_key(dir, "does not end in a name", out);
	return SLK_OK;
}

/* Opens name in dir_fd, which is closed; made if it is not there, and then the flush of dir_fd makes it stay. */
static int
enter(const struct dlv_dir *dir, int dir_fd, const char *name, int *out_fd, struct dlv_result *out)
{
	const struct dlv_dir_sys *sys = dir->sys;
	int flags = O_RDONLY | O_DIRECTORY, rc = SLK_OK;
	int fd = sys->open_beneath(sys->ctx, dir_fd, name, flags, 0);

	if (fd < 0 && errno == ENOENT) {
		if (sys->mkdir(sys->ctx, dir_fd, name, 0750) != 0 && errno != EEXIST)
			rc = failed(dir, "make the directory", name, out);
		else if (sys->sync(sys->ctx, dir_fd) != 0)
			rc = failed(dir, "flush the directory above", name, out);
		else
			fd = sys->open_beneath(sys->ctx, dir_fd, name, flags, 0);
		/* The umask of a hardened process leaves the group out. */
		if (fd >= 0 && sys->chmod(sys->ctx, fd, 0750) != 0)
			rc = failed(dir, "set the mode of", name, out);
	}
	if (fd < 0 && rc == SLK_OK)
		rc = failed(dir, "open the directory", name, out);
	if (rc != SLK_OK && fd >= 0) {
		sys->close(sys->ctx, fd);
		fd = -1;
	}
	sys->close(sys->ctx, dir_fd);
	*out_fd = fd;
	return rc;
}

/* The directory of the key's object, to be closed, and its name there. */
static int
walk(const struct dlv_dir *dir, const char *key, int *out_fd, char name[NAME_CAP],
	struct dlv_result *out)
{
	const char *at = key;
	int rc = SLK_OK, fd = fcntl(dir->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return failed(dir, "open", dir->path, out);
	if (dir->bucket != NULL)
		rc = enter(dir, fd, dir->bucket, &fd, out);
	while (rc == SLK_OK) {
		size_t len = next_part(&at);
		snprintf(name, NAME_CAP, "%.*s", (int)len, at);
		at += len;
		if (*at == '\0')
			break;
		rc = enter(dir, fd, name, &fd, out);
	}
	*out_fd = fd;
	return rc;
}

/* --- files --- */

static bool
is_aligned(uint64_t number)
{
	return number % DIRECT_ALIGN == 0;
}

/* One call's worth. *inout_direct: what a disk or a file system does not take so is copied like everything else. */
static ssize_t
write_some(const struct dlv_dir_sys *sys, int fd, struct slk_span body, bool *inout_direct)
{
	size_t len = body.len < WRITE_MAX ? body.len : WRITE_MAX;

	if (*inout_direct && len >= DIRECT_ALIGN && is_aligned((uintptr_t)body.ptr)) {
		ssize_t n = sys->write(sys->ctx, fd, body.ptr, len / DIRECT_ALIGN * DIRECT_ALIGN);
		if ((n >= 0 && is_aligned((uint64_t)n)) || (n < 0 && errno != EINVAL))
			return n;
		if (sys->direct(sys->ctx, fd, false) != 0)
			return -1;
		*inout_direct = false;
		if (n >= 0)
			return n;
	}
	if (*inout_direct && sys->direct(sys->ctx, fd, false) != 0)
		return -1;
	*inout_direct = false;
	ssize_t n = sys->write(sys->ctx, fd, body.ptr, len);
	/* The disk begins with what is there while the rest is copied; the flush tells what fails. */
	if (n > 0)
		(void)sys->start(sys->ctx, fd);
	return n;
}

/* Whole pages of a large object go to the disk as they lie in the batch: nobody reads them soon, so a copy in the page cache would
 * cost more than all else that is done with them but AES, and push out what is needed. */
static int
write_all(const struct dlv_dir *dir, int fd, const char *name, struct slk_span body,
	struct dlv_result *out)
{
	bool direct = body.len >= DIRECT_MIN && is_aligned((uintptr_t)body.ptr) &&
		dir->sys->direct(dir->sys->ctx, fd, true) == 0;

	while (body.len > 0) {
		ssize_t n = write_some(dir->sys, fd, body, &direct);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return failed(dir, "write", name, out);
		}
		body = slk_span(body.ptr + n, body.len - (size_t)n);
	}
	return SLK_OK;
}

/* Under its other name, on its way to the disk. *out_fd is for end_file(), whatever is returned. */
static int
begin_file(const struct dlv_dir *dir, int dir_fd, const char *part, struct slk_span body,
	int *out_fd, struct dlv_result *out)
{
	const struct dlv_dir_sys *sys = dir->sys;

	if (sys->unlink(sys->ctx, dir_fd, part) != 0 && errno != ENOENT)
		return failed(dir, "remove what was left of", part, out);
	int fd = sys->open_beneath(sys->ctx, dir_fd, part, O_WRONLY | O_CREAT | O_EXCL, 0640);
	if (fd < 0)
		return failed(dir, "make", part, out);
	*out_fd = fd;
	if (sys->chmod(sys->ctx, fd, 0640) != 0)
		return failed(dir, "set the mode of", part, out);
	return write_all(dir, fd, part, body, out);
}

/* Closed in any case; durable, though not yet its name, if it went well so far and SLK_OK is returned. */
static int
end_file(const struct dlv_dir *dir, int fd, const char *part, int rc, struct dlv_result *out)
{
	const struct dlv_dir_sys *sys = dir->sys;

	if (fd < 0)
		return rc;
	if (rc == SLK_OK && sys->sync(sys->ctx, fd) != 0)
		rc = failed(dir, "flush", part, out);
	if (sys->close(sys->ctx, fd) != 0 && rc == SLK_OK)
		rc = failed(dir, "close", part, out);
	return rc;
}

struct names {
	char name[NAME_CAP], part[NAME_CAP], meta[NAME_CAP], meta_part[NAME_CAP];
};

static int
rename_one(const struct dlv_dir *dir, int dir_fd, const char *from, const char *to,
	struct dlv_result *out)
{
	if (dir->sys->rename(dir->sys->ctx, dir_fd, from, to) != 0)
		return failed(dir, "rename to", to, out);
	return SLK_OK;
}

/* Both are begun before either is flushed: a file system that keeps a journal has the small one's entry in what it writes for the
 * large one, and the second flush finds little to do. */
static int
write_files(const struct dlv_dir *dir, int dir_fd, const struct names *n, struct slk_span body,
	struct slk_span sidecar, struct dlv_result *out)
{
	int fd = -1, meta_fd = -1, rc = SLK_OK;

	if (sidecar.len > 0)
		rc = begin_file(dir, dir_fd, n->meta_part, sidecar, &meta_fd, out);
	if (rc == SLK_OK)
		rc = begin_file(dir, dir_fd, n->part, body, &fd, out);
	rc = end_file(dir, fd, n->part, rc, out);
	return end_file(dir, meta_fd, n->meta_part, rc, out);
}

/* The flushes, and why each stands: the object's and the sidecar's, so that no name ever stands for bytes that are not there; the
 * directory's, so that the names are there after a loss of power: then the batch may end. The sidecar is renamed first: no object
 * is seen without it. */
static int
put_files(const struct dlv_dir *dir, int dir_fd, const struct names *n, struct slk_span body,
	struct slk_span sidecar, struct dlv_result *out)
{
	int rc = write_files(dir, dir_fd, n, body, sidecar, out);

	if (rc == SLK_OK && sidecar.len > 0)
		rc = rename_one(dir, dir_fd, n->meta_part, n->meta, out);
	if (rc == SLK_OK)
		rc = rename_one(dir, dir_fd, n->part, n->name, out);
	if (rc == SLK_OK && dir->sys->sync(dir->sys->ctx, dir_fd) != 0)
		rc = failed(dir, "flush the directory of", n->name, out);
	if (rc != SLK_OK) { /* what is there of them; a file that stays is written over next time */
		(void)dir->sys->unlink(dir->sys->ctx, dir_fd, n->part);
		(void)dir->sys->unlink(dir->sys->ctx, dir_fd, n->meta_part);
	}
	return rc;
}

void
dlv_dir_put(struct dlv_dir *dir, const char *key, struct slk_span body, struct slk_span sidecar,
	struct dlv_result *out)
{
	struct names n;
	int fd = -1;

	*out = (struct dlv_result){.outcome = DLV_DELIVERED};
	int rc = check_key(dir, key, out);
	if (rc == SLK_OK)
		rc = walk(dir, key, &fd, n.name, out);
	if (rc == SLK_OK) {
		snprintf(n.part, NAME_CAP, ".%.240s.part", n.name);
		snprintf(n.meta, NAME_CAP, "%.240s.meta.json", n.name);
		snprintf(n.meta_part, NAME_CAP, ".%.240s.meta.part", n.name);
		(void)put_files(dir, fd, &n, body, sidecar, out);
	}
	if (fd >= 0)
		dir->sys->close(dir->sys->ctx, fd);
}
