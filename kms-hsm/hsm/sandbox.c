#include "hsm/sandbox.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "hsm/filter.h"

/* Found with strace over the integration tests, and from what glibc may use in place of what it
 * used there. */
static const char *const allowed[] = {"read", "readv", "pread64", "preadv", "write", "writev",
	"pwrite64", "pwritev", "open", "openat", "close", "stat", "fstat", "lstat", "newfstatat",
	"statx", "lseek", "access", "faccessat", "faccessat2", "getdents", "getdents64", "getcwd",
	"readlink", "readlinkat", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "rename",
	"renameat", "renameat2", "ftruncate", "fsync", "fdatasync", "flock", "fcntl", "dup", "dup2",
	"dup3", "umask", "chmod", "fchmod", "statfs", "fstatfs", "mmap", "munmap", "mprotect",
	"mremap", "madvise", "mlock", "mlock2", "munlock", "brk", "futex", "futex_waitv",
	"set_robust_list", "get_robust_list", "rseq", "sched_yield", "sched_getaffinity",
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"times", "getrandom", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid",
	"getegid", "getresuid", "getresgid", "getrusage", "getrlimit", "prlimit64", "sysinfo",
	"uname", "getcpu", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait",
	"sigaltstack", "tgkill", "restart_syscall", "poll", "ppoll", "select", "pselect6",
	"epoll_wait", "epoll_pwait", "epoll_ctl", "sendto", "sendmsg", "recvfrom", "recvmsg",
	"eventfd2", "signalfd4", "exit", "exit_group", "set_tid_address", "membarrier"};

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

int
hsm_sandbox_enter(enum hsm_sandbox kind, struct slk_error *err)
{
	bool allow_list = kind == HSM_SANDBOX_ALLOW;

	scmp_filter_ctx filter = seccomp_init(allow_list ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW);
	if (filter == NULL)
		return hsm_filter_load(filter, 0, err);
	const uint32_t no = allow_list ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
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
