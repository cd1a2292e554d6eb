#include "sandbox.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "base/secret.h"
#include "hsm/filter.h"
#include "rpc.h"

#define FILES_COUNT (KMS_RPC_CONNECTIONS_MAX + 64u) /* connections, and what else is open */
#define MEMORY_BYTES (1ull << 30) /* thirty times what it takes at most */
#define LOCKED_MIN_BYTES (2ull << 20) /* some sixty requests in progress */

/* Found with strace over the tests, and what glibc may use in place of it. */
static const char *const front_allowed[] = {"read", "readv", "pread64", "preadv", "write", "writev",
	"pwrite64", "pwritev", "open", "openat", "close", "stat", "fstat", "lstat", "newfstatat",
	"statx", "lseek", "access", "faccessat", "faccessat2", "getdents64", "getcwd", "readlink",
	"readlinkat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "ftruncate",
	"fallocate", "fsync", "fdatasync", "fcntl", "flock", "fchmod", "statfs", "fstatfs",
	"munmap", "mremap", "madvise", "mlock", "mlock2", "munlock", "brk", "futex",
	"set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "clock_gettime",
	"clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "getrandom",
	"getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrusage",
	"getrlimit", "sysinfo", "uname", "getcpu", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	"sigaltstack", "restart_syscall", "poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_ctl",
	"timerfd_settime", "accept", "accept4", "sendto", "sendmsg", "recvfrom", "recvmsg",
	"getsockopt", "getsockname", "getpeername", "shutdown", "exit", "exit_group", "membarrier"};

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static const char *const front_processes[] = {"execve", "execveat", "fork", "vfork", "clone"};
#endif

static const char *const front_users[] = {"setuid", "setgid", "setreuid", "setregid", "setresuid",
	"setresgid", "setgroups", "setfsuid", "setfsgid", "capset"};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Calls that are allowed with some arguments only. */
static int
add_front_conditions(scmp_filter_ctx filter)
{
	/* glibc tries clone3 first, whose flags a filter cannot see. */
	int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (rc == 0) /* limits may be read */
		rc = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0));
	if (rc == 0) /* abort() */
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (rc == 0) /* stdio asks every new stream whether it is a terminal */
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_EQ, 0x5401 /* TCGETS */));
	return rc;
}

static int
filter_front(struct slk_error *err)
{
	int rc = -ENOMEM;

	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (filter != NULL)
		rc = add_front_conditions(filter);
	if (rc == 0)
		rc = hsm_filter_add(filter, SCMP_ACT_ALLOW, front_allowed, COUNT(front_allowed));
		/* A sanitizer that found something wants to start its symbolizer: an error lets the report
	 * come. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	if (rc == 0)
		rc = hsm_filter_add(
			filter, SCMP_ACT_KILL_PROCESS, front_processes, COUNT(front_processes));
#endif
	if (rc == 0)
		rc = hsm_filter_add(filter, SCMP_ACT_KILL_PROCESS, front_users, COUNT(front_users));
	if (rc == 0)
		rc = hsm_filter_add(filter, SCMP_ACT_KILL_PROCESS, hsm_filter_hostile,
			hsm_filter_hostile_count);
	return hsm_filter_load(filter, rc, err);
}

/* Catalog and audit log with their directories: journals come and go beside them. */
static int
confine_front(const struct kms_config *config, int *out_abi, struct slk_error *err)
{
	const unsigned all = SLK_SANDBOX_READ | SLK_SANDBOX_WRITE | SLK_SANDBOX_REMOVE;
	char catalog[PATH_MAX], audit[PATH_MAX], door[PATH_MAX];
	const struct slk_sandbox_path paths[] = {
		{catalog, all},
		{audit, all},
		{door, SLK_SANDBOX_REMOVE},
		{"/dev/null", SLK_SANDBOX_READ},
		{"/dev/urandom", SLK_SANDBOX_READ},
		{"/etc/localtime", SLK_SANDBOX_READ},
	};

	int rc = slk_sandbox_parent(config->catalog.path, catalog, sizeof(catalog), err);
	if (rc == SLK_OK)
		rc = slk_sandbox_parent(config->audit.path, audit, sizeof(audit), err);
	if (rc == SLK_OK)
		rc = slk_sandbox_parent(config->socket.path, door, sizeof(door), err);
	if (rc == SLK_OK)
		rc = slk_sandbox_files(all | SLK_SANDBOX_RUN | SLK_SANDBOX_TCP | SLK_SANDBOX_OTHERS,
			paths, COUNT(paths), out_abi, err);
	return rc;
}

/* One line that tells the truth about this process. */
static void
say(int abi, const char *filter)
{
	if (abi == 0)
		slk_warn("hardening: this kernel has no Landlock; files are protected by their "
			 "permissions only",
			slk_kv("seccomp", filter));
	else
		slk_info("hardening", slk_kv("landlock_abi", abi), slk_kv("seccomp", filter));
}

int
kms_sandbox_front(const struct kms_config *config, struct slk_error *err)
{
	const struct slk_sandbox_limits limits = {.files_count = FILES_COUNT,
		.memory_bytes = MEMORY_BYTES,
		.locked_min_bytes = LOCKED_MIN_BYTES,
		.no_children = true};
	int abi = 0;

	int rc = slk_sandbox_limit(&limits, err);
	if (rc == SLK_OK)
		rc = confine_front(config, &abi, err);
	if (rc == SLK_OK)
		rc = filter_front(err);
	if (rc == SLK_OK)
		say(abi, "allow-list");
	return rc;
}
