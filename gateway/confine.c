#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sandbox.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define FILES_MORE_COUNT \
	512u /* besides connections: listeners, journal files, clients of kmsd and ingestd */
#define CONNECTIONS_DEFAULT 16384u

/* --- the user --- */

static int
set_capabilities(const cap_value_t *kept, int count, struct slk_error *err)
{
	cap_t caps = cap_init();
	int rc = SLK_OK;

	if (caps == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	if ((count > 0 &&
		    (cap_set_flag(caps, CAP_PERMITTED, count, kept, CAP_SET) != 0 ||
			    cap_set_flag(caps, CAP_EFFECTIVE, count, kept, CAP_SET) != 0)) ||
		cap_set_proc(caps) != 0)
		rc = slk_fail_errno(err, "cannot give up capabilities");
	(void)cap_free(caps);
	return rc;
}

static int
change_user(const struct passwd *user, struct slk_error *err)
{
	static const cap_value_t kept[] = {CAP_NET_BIND_SERVICE};

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 ||
		initgroups(user->pw_name, user->pw_gid) != 0 ||
		setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
		setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0 ||
		prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0)
		return slk_fail_errno(err, "cannot become user %s", user->pw_name);
	/* In some containers root lacks it; then ports below 1024 fail, with a sentence of their own. */
	if (set_capabilities(kept, COUNT(kept), err) == SLK_OK)
		return SLK_OK;
	return set_capabilities(NULL, 0, err);
}

int
gw_confine_become(const struct gw_config *config, struct slk_error *err)
{
	uid_t now = geteuid();

	if (config->user == NULL)
		return now != 0
			? SLK_OK
			: slk_fail(err, SLK_CONFIG,
				  "sealock-gatewayd does not run as root: set user, such as "
				  "sealock-gate");
	const struct passwd *user = getpwnam(config->user);
	if (user == NULL)
		return slk_fail(err, SLK_CONFIG, "there is no user %s", config->user);
	if (user->pw_uid == 0)
		return slk_fail(err, SLK_CONFIG, "user is not to be root");
	if (now == user->pw_uid)
		return SLK_OK;
	if (now != 0)
		return slk_fail(err, SLK_DENIED,
			"only root can become user %s; start as that user, or leave user out",
			config->user);
	return change_user(user, err);
}

/* --- files --- */

static int
parent_of(const char *path, char out[PATH_MAX], struct slk_error *err)
{
	out[0] = '\0';
	return path != NULL ? slk_sandbox_parent(path, out, PATH_MAX, err) : SLK_OK;
}

static const char *
or_null(const char *path)
{
	return path[0] != '\0' ? path : NULL;
}

/* Directories, not files: certificates are replaced by renaming, and so are logs. */
static int
confine_files(const struct gw_config *c, int *out_abi, struct slk_error *err)
{
	char certificate[PATH_MAX] = "", key[PATH_MAX] = "", access_log[PATH_MAX] = "";
	bool key_is_uri =
		c->tls.key != NULL && c->tls.key[0] != '/' && strchr(c->tls.key, ':') != NULL;
	bool logs_to_file = c->access_log != NULL && strcmp(c->access_log, "-") != 0;
	int rc = parent_of(c->tls.certificate, certificate, err);

	if (rc == SLK_OK)
		rc = parent_of(key_is_uri ? NULL : c->tls.key, key, err);
	if (rc == SLK_OK)
		rc = parent_of(logs_to_file ? c->access_log : NULL, access_log, err);
	const struct slk_sandbox_path paths[] = {
		{or_null(certificate), SLK_SANDBOX_READ},
		{or_null(key), SLK_SANDBOX_READ},
		{or_null(access_log), SLK_SANDBOX_READ | SLK_SANDBOX_WRITE},
		{c->journal.dir, SLK_SANDBOX_READ},
		{"/dev/null", SLK_SANDBOX_READ | SLK_SANDBOX_WRITE},
		{"/dev/urandom", SLK_SANDBOX_READ},
		{"/etc/localtime", SLK_SANDBOX_READ},
	};
	if (rc == SLK_OK)
		rc = slk_sandbox_files(SLK_SANDBOX_READ | SLK_SANDBOX_WRITE | SLK_SANDBOX_REMOVE |
				SLK_SANDBOX_RUN | SLK_SANDBOX_TCP | SLK_SANDBOX_OTHERS,
			paths, COUNT(paths), out_abi, err);
	return rc;
}

/* --- system calls --- */

/* Found with strace over the tests, and what glibc may use in place of it. */
static const char *const allowed[] = {"read", "readv", "pread64", "preadv", "write", "writev",
	"pwrite64", "open", "openat", "close", "stat", "fstat", "lstat", "newfstatat", "statx",
	"lseek", "access", "faccessat", "faccessat2", "getdents64", "getcwd", "readlink",
	"readlinkat", "fcntl", "flock", "fadvise64", "ftruncate", "memfd_create", "munmap",
	"mremap", "madvise", "msync", "mlock", "mlock2", "munlock", "brk", "futex",
	"set_robust_list", "get_robust_list", "rseq", "sched_yield", "sched_getaffinity",
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"getrandom", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid",
	"getrusage", "getrlimit", "sysinfo", "uname", "getcpu", "rt_sigaction", "rt_sigprocmask",
	"rt_sigreturn", "rt_sigtimedwait", "sigaltstack", "restart_syscall", "poll", "ppoll",
	"select", "pselect6", "epoll_create1", "epoll_wait", "epoll_pwait", "epoll_ctl", "eventfd2",
	"timerfd_create", "timerfd_settime", "inotify_init1", "inotify_add_watch",
	"inotify_rm_watch", "accept", "accept4", "connect", "sendto", "sendmsg", "sendmmsg",
	"recvfrom", "recvmsg", "recvmmsg", "getsockopt", "setsockopt", "getsockname", "getpeername",
	"shutdown", "exit", "exit_group", "membarrier", "dup", "dup3", "pipe2", "uname"};

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
add_conditions(scmp_filter_ctx filter)
{
	/* glibc tries clone3 first, whose flags a filter cannot see; a thread is made with CLONE_THREAD, a process without. */
	int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (rc == 0)
		rc = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
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

static int
confine_calls(struct slk_error *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = filter != NULL ? add_conditions(filter) : -ENOMEM;

	if (rc == 0)
		rc = add_names(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));
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

/* --- all of it --- */

/* The soft limit is often 1,024, for programs that use select(). */
static int
confine_limits(const struct gw_config *c, struct slk_error *err)
{
	uint32_t connections =
		c->limits.connections != 0 ? c->limits.connections : CONNECTIONS_DEFAULT;
	const struct slk_sandbox_limits limits = {.files_count = connections + FILES_MORE_COUNT};
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(
			RLIMIT_NOFILE, &files); /* what comes next says if that is too few */
	}
	return slk_sandbox_limit(&limits, err);
}

int
gw_confine(const struct gw_config *config, struct slk_error *err)
{
	int abi = 0;
	int rc = confine_limits(config, err);

	if (rc == SLK_OK)
		rc = set_capabilities(NULL, 0, err);
	if (rc == SLK_OK)
		rc = confine_files(config, &abi, err);
	if (rc == SLK_OK)
		rc = confine_calls(err);
	if (rc != SLK_OK)
		return rc;
	if (abi == 0)
		slk_warn("hardening: this kernel has no Landlock; files are protected by their "
			 "permissions only",
			slk_kv("seccomp", "allow-list"));
	else
		slk_info("hardening", slk_kv("landlock_abi", abi), slk_kv("seccomp", "allow-list"));
	return SLK_OK;
}
