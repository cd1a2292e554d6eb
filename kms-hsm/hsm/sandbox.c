#include "hsm/sandbox.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "hsm/filter.h"
#include "hsm/paths.h"

#define FILES_COUNT 256u
#define MEMORY_BYTES (4ull << 30) /* most of it is what the C library reserves for each thread */
#define LOCKED_MIN_BYTES (3ull << 20) /* all jobs and all sessions */

/* Found with strace over the integration tests, and from what glibc may use in place of what it
 * used there. */
static const char *const allowed[] = {"read", "readv", "pread64", "preadv", "write", "writev",
	"pwrite64", "pwritev", "open", "openat", "close", "stat", "fstat", "lstat", "newfstatat",
	"statx", "lseek", "access", "faccessat", "faccessat2", "getdents", "getdents64", "getcwd",
	"readlink", "readlinkat", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "rename",
	"renameat", "renameat2", "ftruncate", "fsync", "fdatasync", "syncfs", "flock", "fcntl",
	"dup", "dup2", "dup3", "umask", "chmod", "fchmod", "statfs", "fstatfs", "mmap", "munmap",
	"mprotect", "mremap", "madvise", "mlock", "mlock2", "munlock", "brk", "futex",
	"futex_waitv", "set_robust_list", "get_robust_list", "rseq", "sched_yield",
	"sched_getaffinity", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
	"gettimeofday", "time", "times", "getrandom", "getpid", "gettid", "getppid", "getuid",
	"geteuid", "getgid", "getegid", "getresuid", "getresgid", "getrusage", "getrlimit",
	"prlimit64", "sysinfo", "uname", "getcpu", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	"rt_sigtimedwait", "sigaltstack", "tgkill", "restart_syscall", "poll", "ppoll", "select",
	"pselect6", "epoll_wait", "epoll_pwait", "epoll_ctl", "sendto", "sendmsg", "recvfrom",
	"recvmsg", "recvmmsg", "sendmmsg", "shutdown", "eventfd2", "signalfd4", "exit",
	"exit_group", "set_tid_address", "membarrier"};

/* Beside hsm_filter_hostile: no new programs or processes, no other users. */
static const char *const denied[] = {"execve", "execveat", "fork", "vfork", "setuid", "setgid",
	"setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid",
	"capset"};

/* A new thread, never a new process. clone3's flags lie in memory, where a filter cannot look:
 * glibc falls back to clone. */
static int
add_thread_rules(scmp_filter_ctx filter, bool allow_list)
{
	const scmp_datum_t thread_flag = 0x00010000; /* CLONE_THREAD */

	int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (rc != 0)
		return rc;
	if (allow_list)
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, thread_flag, thread_flag));
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
		SCMP_A0(SCMP_CMP_MASKED_EQ, thread_flag, 0));
}

/* stdio asks every new stream whether it is a terminal. */
static int
add_ioctl_rule(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
		SCMP_A1(SCMP_CMP_EQ, 0x5401 /* TCGETS */, 0));
}

static int
filter_calls(bool allow_list, struct slk_error *err)
{
	const uint32_t no = allow_list ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);

	scmp_filter_ctx filter = seccomp_init(allow_list ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW);
	if (filter == NULL)
		return hsm_filter_load(filter, 0, err);
	int rc = add_thread_rules(filter, allow_list);
	if (rc == 0)
		rc = hsm_filter_add(filter, no, denied, sizeof(denied) / sizeof(denied[0]));
	if (rc == 0)
		rc = hsm_filter_add(filter, no, hsm_filter_hostile, hsm_filter_hostile_count);
	if (rc == 0 && allow_list)
		rc = hsm_filter_add(
			filter, SCMP_ACT_ALLOW, allowed, sizeof(allowed) / sizeof(allowed[0]));
	if (rc == 0 && allow_list)
		rc = add_ioctl_rule(filter);
	return hsm_filter_load(filter, rc, err);
}

static int
confine_files(const struct hsm_options *o, bool allow_list, int *out_abi, struct slk_error *err)
{
	const struct hsm_paths_request request = {.softhsm = allow_list,
		.module = o->module,
		.pin_file = o->pin_fd > 0 ? NULL : o->pin_file,
		.softhsm_conf = o->softhsm_conf,
		.module_paths = o->module_paths,
		.module_paths_count = o->module_paths_count};
	unsigned confine = SLK_SANDBOX_RUN;
	struct hsm_paths paths = {.count = 0};
	int rc = SLK_OK;

	if (allow_list)
		confine |= SLK_SANDBOX_TCP | SLK_SANDBOX_OTHERS;
	if (allow_list || o->module_paths_count > 0) {
		confine |= SLK_SANDBOX_READ | SLK_SANDBOX_WRITE | SLK_SANDBOX_REMOVE;
		rc = hsm_paths_find(&request, &paths, err);
	}
	if (rc == SLK_OK)
		rc = slk_sandbox_files(confine, paths.list, paths.count, out_abi, err);
	return rc;
}

static void
say(const struct hsm_options *o, bool allow_list, int abi)
{
	const char *filter = allow_list ? "allow-list" : "deny-list";

	if (abi == 0)
		slk_warn("hardening: this kernel has no Landlock; files are protected by their "
			 "permissions only",
			slk_kv("seccomp", filter));
	else if (!allow_list && o->module_paths_count == 0)
		slk_warn("hardening: the module may open every file that its user may; name what "
			 "it needs in hsm.module_paths",
			slk_kv("landlock_abi", abi), slk_kv("seccomp", filter));
	else
		slk_info("hardening", slk_kv("landlock_abi", abi), slk_kv("seccomp", filter));
}

int
hsm_sandbox_enter(const struct hsm_options *options, struct slk_error *err)
{
	bool allow_list = options->profile->sandbox == HSM_SANDBOX_ALLOW;
	const struct slk_sandbox_limits limits = {.files_count = allow_list ? FILES_COUNT : 0,
		.memory_bytes = allow_list ? MEMORY_BYTES : 0,
		.locked_min_bytes = LOCKED_MIN_BYTES};
	int abi = 0;

	/* No limit of processes: it counts the user's threads, in other processes too, and new
	 * processes are what the filter forbids. */
	int rc = slk_sandbox_limit(&limits, err);
	if (rc == SLK_OK)
		rc = confine_files(options, allow_list, &abi, err);
	if (rc == SLK_OK)
		rc = filter_calls(allow_list, err);
	if (rc == SLK_OK)
		say(options, allow_list, abi);
	return rc;
}
