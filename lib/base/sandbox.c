#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h of an older distribution lacks what a newer kernel knows; these are ABI. */
#define FS_REFER (1ull << 13) /* ABI 2 */
#define FS_TRUNCATE (1ull << 14) /* ABI 3 */
#define NET_BIND_TCP (1ull << 0) /* ABI 4 */
#define NET_CONNECT_TCP (1ull << 1)
#define FS_IOCTL_DEV (1ull << 15) /* ABI 5 */
#define SCOPE_ABSTRACT_UNIX (1ull << 0) /* ABI 6 */
#define SCOPE_SIGNAL (1ull << 1)

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | \
		LANDLOCK_ACCESS_FS_MAKE_DIR | FS_TRUNCATE)
#define FS_REMOVE (LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR)
#define FS_NEVER \
	(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK | \
		LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
		LANDLOCK_ACCESS_FS_MAKE_SYM | FS_REFER | FS_IOCTL_DEV)
/* What can be allowed on a file that is no directory. */
#define FS_OF_FILES \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
		LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE)

/* struct landlock_ruleset_attr as of ABI 6; an older kernel is given the part that it knows. */
struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

static size_t
ruleset_bytes(int abi)
{
	return abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
}

static uint64_t
fs_known(int abi)
{
	uint64_t all = (1ull << 13) - 1;

	if (abi >= 2)
		all |= FS_REFER;
	if (abi >= 3)
		all |= FS_TRUNCATE;
	if (abi >= 5)
		all |= FS_IOCTL_DEV;
	return all;
}

static uint64_t
fs_of(unsigned access)
{
	uint64_t fs = 0;

	if ((access & SLK_SANDBOX_READ) != 0)
		fs |= FS_READ;
	if ((access & SLK_SANDBOX_WRITE) != 0)
		fs |= FS_WRITE;
	if ((access & SLK_SANDBOX_REMOVE) != 0)
		fs |= FS_REMOVE;
	if ((access & SLK_SANDBOX_RUN) != 0)
		fs |= LANDLOCK_ACCESS_FS_EXECUTE;
	if ((access & SLK_SANDBOX_BIND) != 0)
		fs |= LANDLOCK_ACCESS_FS_MAKE_SOCK;
	return fs;
}

static struct ruleset
ruleset_of(unsigned confine, int abi)
{
	struct ruleset r = {.fs = fs_of(confine)};

	if ((confine & SLK_SANDBOX_WRITE) != 0)
		r.fs |= FS_NEVER;
	r.fs &= fs_known(abi);
	if ((confine & SLK_SANDBOX_TCP) != 0 && abi >= 4)
		r.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if ((confine & SLK_SANDBOX_OTHERS) != 0 && abi >= 6)
		r.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
	return r;
}

static int
allow(int ruleset_fd, uint64_t handled, const struct slk_sandbox_path *p, struct slk_error *err)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = fs_of(p->access) & handled};
	struct stat st;
	int rc = SLK_OK;

	if (p->path == NULL || rule.allowed_access == 0)
		return SLK_OK;
	int fd = open(p->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? SLK_OK
				       : slk_fail_errno(err, "cannot open %s to allow it", p->path);
	if (fstat(fd, &st) != 0) {
		rc = slk_fail_errno(err, "cannot look at %s", p->path);
		goto out;
	}
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_OF_FILES;
	rule.parent_fd = fd;
	if (rule.allowed_access != 0 &&
		syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) !=
			0)
		rc = slk_fail_errno(err, "Landlock does not take %s", p->path);
out:
	close(fd);
	return rc;
}

int
slk_sandbox_files(unsigned confine, const struct slk_sandbox_path *paths, size_t count,
	int *out_abi, struct slk_error *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM)) {
		*out_abi = 0;
		return SLK_OK;
	}
	if (abi < 1)
		return slk_fail_errno(err, "cannot ask for Landlock");
	struct ruleset r = ruleset_of(confine, (int)abi);
	int fd = (int)syscall(SYS_landlock_create_ruleset, &r, ruleset_bytes((int)abi), 0);
	if (fd < 0)
		return slk_fail_errno(err, "cannot make a Landlock ruleset");
	int rc = SLK_OK;
	for (size_t i = 0; i < count && rc == SLK_OK; i++)
		rc = allow(fd, r.fs, &paths[i], err);
	if (rc == SLK_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		rc = slk_fail_errno(err, "cannot give up new privileges");
	if (rc == SLK_OK && syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		rc = slk_fail_errno(err, "cannot enter the Landlock domain");
	close(fd);
	if (rc == SLK_OK)
		*out_abi = (int)abi;
	return rc;
}

int
slk_sandbox_parent(const char *path, char *out, size_t out_len, struct slk_error *err)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash != NULL && slash != path ? (size_t)(slash - path) : strlen(path);

	if (len >= out_len)
		return slk_fail(err, SLK_TOO_LARGE, "path %s is too long", path);
	memmove(out, path, len);
	out[len] = '\0';
	return SLK_OK;
}

/* Down to `value`, hard limit too. */
static int
lower(int resource, uint64_t value, struct slk_error *err)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
		return slk_fail_errno(err, "cannot read a resource limit");
	struct rlimit wanted = {value, value};
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value)
		wanted.rlim_cur = wanted.rlim_max = now.rlim_max;
	if (setrlimit((__rlimit_resource_t)resource, &wanted) != 0)
		return slk_fail_errno(err, "cannot set a resource limit");
	return SLK_OK;
}

static int
check_locked(uint64_t min_bytes, struct slk_error *err)
{
	struct rlimit now;

	if (getrlimit(RLIMIT_MEMLOCK, &now) != 0)
		return slk_fail_errno(err, "cannot read RLIMIT_MEMLOCK");
	if (now.rlim_cur == RLIM_INFINITY || now.rlim_cur >= min_bytes)
		return SLK_OK;
	return slk_fail(err, SLK_CONFIG,
		"only %llu KiB of memory may be locked, and secrets need %llu; raise the limit "
		"(LimitMEMLOCK= of the unit, or ulimit -l)",
		(unsigned long long)now.rlim_cur / 1024, (unsigned long long)min_bytes / 1024);
}

static int
limit_files(uint64_t count, struct slk_error *err)
{
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) != 0)
		return slk_fail_errno(err, "cannot read RLIMIT_NOFILE");
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max < count)
		return slk_fail(err, SLK_CONFIG,
			"only %llu files may be open, and %llu are needed; raise the limit "
			"(LimitNOFILE= of the unit, or ulimit -n)",
			(unsigned long long)now.rlim_max, (unsigned long long)count);
	return lower(RLIMIT_NOFILE, count, err);
}

int
slk_sandbox_limit(const struct slk_sandbox_limits *limits, struct slk_error *err)
{
	int rc = check_locked(limits->locked_min_bytes, err);

	if (rc == SLK_OK && limits->files_count != 0)
		rc = limit_files(limits->files_count, err);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	if (rc == SLK_OK && limits->memory_bytes != 0)
		rc = lower(RLIMIT_AS, limits->memory_bytes, err);
#endif
	if (rc == SLK_OK && limits->no_children)
		rc = lower(RLIMIT_NPROC, 0, err);
	return rc;
}
