#include "base/callfilter.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Found with strace over the tests, and what glibc may use in place of it. */
static const char *const common[] = {"read", "readv", "pread64", "preadv", "write", "writev",
	"pwrite64", "open", "openat", "close", "stat", "fstat", "lstat", "newfstatat", "statx",
	"lseek", "access", "faccessat", "faccessat2", "getdents64", "getcwd", "readlink",
	"readlinkat", "fcntl", "munmap", "mremap", "madvise", "mlock", "mlock2", "munlock", "brk",
	"futex", "set_robust_list", "get_robust_list", "rseq", "sched_yield", "sched_getaffinity",
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"getrandom", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid",
	"getrusage", "getrlimit", "sysinfo", "uname", "getcpu", "rt_sigaction", "rt_sigprocmask",
	"rt_sigreturn", "rt_sigtimedwait", "sigaltstack", "restart_syscall", "poll", "ppoll",
	"select", "pselect6", "epoll_create1", "epoll_wait", "epoll_pwait", "epoll_ctl", "eventfd2",
	"timerfd_create", "timerfd_settime", "accept", "accept4", "connect", "sendto", "sendmsg",
	"sendmmsg", "recvfrom", "recvmsg", "recvmmsg", "getsockopt", "setsockopt", "getsockname",
	"getpeername", "shutdown", "exit", "exit_group", "membarrier", "dup", "dup3", "pipe2"};

/* A sanitizer that found something wants to start its symbolizer: an error lets the report come. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* What only an attacker asks for. */
static const char *const hostile[] = {"execve", "execveat", "fork", "vfork", "ptrace",
	"process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "mount", "umount2",
	"chroot", "pivot_root", "unshare", "setns", "init_module", "finit_module", "delete_module",
	"kexec_load", "kexec_file_load", "bpf", "perf_event_open", "userfaultfd", "add_key",
	"request_key", "keyctl", "io_uring_setup", "io_uring_enter", "io_uring_register",
	"open_by_handle_at", "name_to_handle_at", "personality", "setuid", "setgid", "setreuid",
	"setregid", "setresuid", "setresgid", "setgroups", "capset", "mknod", "mknodat",
	"modify_ldt", "reboot"};
#endif

static int
add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);
		if (number == __NR_SCMP_ERROR)
			continue;
		int rc = seccomp_rule_add(filter, action, number, 0);
		if (rc != 0 && rc != -EDOM && rc != -EEXIST)
			return rc;
	}
	return 0;
}

/* Calls that are allowed with some arguments only. */
static int
add_conditions(scmp_filter_ctx filter, unsigned sockets)
{
	static const struct {
		unsigned kind;
		scmp_datum_t family;
	} families[] = {{SLK_SOCKETS_UNIX, AF_UNIX}, {SLK_SOCKETS_INET, AF_INET},
		{SLK_SOCKETS_INET, AF_INET6}, {SLK_SOCKETS_INET, AF_NETLINK}};
	/* glibc tries clone3 first, whose flags a filter cannot see; a thread is made with CLONE_THREAD, a process without. */
	int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	for (size_t i = 0; rc == 0 && i < COUNT(families); i++) {
		if ((sockets & families[i].kind) != 0)
			rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				SCMP_A0(SCMP_CMP_EQ, families[i].family));
	}
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
			SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
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

int
slk_callfilter_load(const char *const *names, size_t count, unsigned sockets, struct slk_error *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = filter != NULL ? add_conditions(filter, sockets) : -ENOMEM;

	if (rc == 0)
		rc = add_names(filter, SCMP_ACT_ALLOW, common, COUNT(common));
	if (rc == 0)
		rc = add_names(filter, SCMP_ACT_ALLOW, names, count);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	if (rc == 0)
		rc = add_names(filter, SCMP_ACT_KILL_PROCESS, hostile, COUNT(hostile));
#endif
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	if (rc == 0)
		return SLK_OK;
	errno = -rc;
	return slk_fail_errno(err, "cannot install the system-call filter");
}
