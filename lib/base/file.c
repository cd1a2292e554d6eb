#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RETRY_EINTR(expr) \
	({ \
		long rc_; \
		do { \
			rc_ = (long)(expr); \
		} while (rc_ < 0 && errno == EINTR); \
		rc_; \
	})

static int
result(long rc)
{
	return rc < 0 ? slk_status_from_errno(errno) : SLK_OK;
}

static int
posix_open(void *ctx, const char *path, int flags, unsigned mode, int *out_fd)
{
	(void)ctx;
	int oflags = O_CLOEXEC | O_NOFOLLOW;
	oflags |= (flags & SLK_OPEN_WRITE) != 0 ? O_RDWR : O_RDONLY;
	if ((flags & SLK_OPEN_CREATE) != 0)
		oflags |= O_CREAT | O_EXCL;
	int fd = -1;
	if ((flags & SLK_OPEN_DIRECT) != 0) {
		fd = (int)RETRY_EINTR(open(path, oflags | O_DIRECT, mode));
		if (fd < 0 && errno != EINVAL)
			return slk_status_from_errno(errno);
		/* O_CREAT may have made the file before O_DIRECT was refused. */
		if (fd < 0)
			oflags &= ~O_EXCL;
	}
	if (fd < 0)
		fd = (int)RETRY_EINTR(open(path, oflags, mode));
	if (fd < 0)
		return slk_status_from_errno(errno);
	/* The mode is the caller's decision, not the umask's: a hardened process has 077. */
	if ((flags & SLK_OPEN_CREATE) != 0 && fchmod(fd, mode) != 0) {
		int rc = slk_status_from_errno(errno);
		close(fd);
		return rc;
	}
	*out_fd = fd;
	return SLK_OK;
}

static int
posix_close(void *ctx, int fd)
{
	(void)ctx;
	return result(
		close(fd)); /* never repeated: on Linux the descriptor is gone even after EINTR */
}

static int
posix_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	(void)ctx;
	size_t done = 0;
	while (done < len) {
		long n =
			RETRY_EINTR(pread(fd, (char *)buf + done, len - done, (off_t)(pos + done)));
		if (n < 0)
			return slk_status_from_errno(errno);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*out_len = done;
	return SLK_OK;
}

static int
posix_pwrite(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	(void)ctx;
	size_t done = 0;
	while (done < len) {
		long n = RETRY_EINTR(
			pwrite(fd, (const char *)buf + done, len - done, (off_t)(pos + done)));
		if (n < 0)
			return slk_status_from_errno(errno);
		if (n == 0)
			return SLK_IO;
		done += (size_t)n;
	}
	return SLK_OK;
}

static int
posix_datasync(void *ctx, int fd)
{
	(void)ctx;
	return result(
		fdatasync(fd)); /* EINTR is an error here: a flush is never repeated and believed */
}

static int
posix_sync(void *ctx, int fd)
{
	(void)ctx;
	return result(fsync(fd));
}

static int
posix_truncate(void *ctx, int fd, uint64_t len)
{
	(void)ctx;
	return result(RETRY_EINTR(ftruncate(fd, (off_t)len)));
}

static int
posix_size(void *ctx, int fd, uint64_t *out_len)
{
	(void)ctx;
	struct stat st;
	if (fstat(fd, &st) != 0)
		return slk_status_from_errno(errno);
	*out_len = (uint64_t)st.st_size;
	return SLK_OK;
}

static int
posix_rename(void *ctx, const char *from, const char *to)
{
	(void)ctx;
	return result(rename(from, to));
}

static int
posix_unlink(void *ctx, const char *path)
{
	(void)ctx;
	return result(unlink(path));
}

static int
posix_sync_dir(void *ctx, const char *path)
{
	(void)ctx;
	int fd = (int)RETRY_EINTR(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (fd < 0)
		return slk_status_from_errno(errno);
	int rc = result(fsync(fd));
	close(fd);
	return rc;
}

static int
posix_mkdir(void *ctx, const char *path, unsigned mode)
{
	(void)ctx;
	return result(mkdir(path, mode));
}

static int
posix_list(void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	(void)ctx;
	DIR *dir = opendir(path);
	if (dir == NULL)
		return slk_status_from_errno(errno);
	int rc = SLK_OK;
	for (;;) {
		errno = 0;
		struct dirent *e = readdir(dir);
		if (e == NULL) {
			if (errno != 0)
				rc = slk_status_from_errno(errno);
			break;
		}
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		rc = each(arg, e->d_name);
		if (rc != 0)
			break;
	}
	closedir(dir);
	return rc;
}

static int
posix_space(void *ctx, const char *path, uint64_t *out_bytes)
{
	(void)ctx;
	struct statvfs vfs;
	if (statvfs(path, &vfs) != 0)
		return slk_status_from_errno(errno);
	*out_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return SLK_OK;
}

const struct slk_fs *
slk_fs_posix(void)
{
	static const struct slk_fs posix_fs = {
		.open = posix_open,
		.close = posix_close,
		.pread = posix_pread,
		.pwrite = posix_pwrite,
		.datasync = posix_datasync,
		.sync = posix_sync,
		.truncate = posix_truncate,
		.size = posix_size,
		.rename = posix_rename,
		.unlink = posix_unlink,
		.sync_dir = posix_sync_dir,
		.mkdir = posix_mkdir,
		.list = posix_list,
		.space = posix_space,
	};

	return &posix_fs;
}
