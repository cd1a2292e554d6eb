#include "sandbox.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "base/secret.h"
#include "hsm/filter.h"
#include "hsm/paths.h"
#include "hsm/profile.h"
#include "rpc.h"

#define FILES_COUNT (KMS_RPC_CONNECTIONS_MAX + 64u) /* connections, and what else is open */
#define MEMORY_BYTES (1ull << 30) /* thirty times what it takes at most */
#define LOCKED_MIN_BYTES (4ull << 20) /* frames of the RPC, and some sixty requests in progress; the unit allows 64 MiB */

/* Found with strace over the tests, and what glibc may use in place of it. */
static const char *const front_allowed[] = {"read", "readv", "pread64", "preadv", "write", "writev",
	"pwrite64", "pwritev", "open", "openat", "close", "stat", "fstat", "lstat", "newfstatat",
	"statx", "lseek", "access", "faccessat", "faccessat2", "getdents64", "getcwd", "readlink",
	"readlinkat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "ftruncate",
	"fallocate", "fsync", "fdatasync", "io_submit", "io_getevents", "io_destroy", "fcntl",
	"flock", "fchmod", "statfs", "fstatfs", "munmap", "mremap", "madvise", "mlock", "mlock2",
	"munlock", "brk", "futex", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity",
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"getrandom", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid",
	"getrusage", "getrlimit", "sysinfo", "uname", "getcpu", "rt_sigaction", "rt_sigprocmask",
	"rt_sigreturn", "sigaltstack", "restart_syscall", "poll", "ppoll", "epoll_wait",
	"epoll_pwait", "epoll_ctl", "timerfd_settime", "accept", "accept4", "sendto", "sendmsg",
	"recvfrom", "recvmsg", "recvmmsg", "sendmmsg", "getsockopt", "getsockname", "getpeername",
	"shutdown", "exit", "exit_group", "membarrier"};

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
	char catalog[PATH_MAX], audit[PATH_MAX], door[PATH_MAX], second[PATH_MAX];
	const char *second_file = config->audit.second.file;
	const struct slk_sandbox_path paths[] = {
		{catalog, all},
		{audit, all},
		{second_file != NULL ? second : NULL, all},
		{door, SLK_SANDBOX_REMOVE},
		{"/dev/null", SLK_SANDBOX_READ},
		{"/dev/urandom", SLK_SANDBOX_READ},
		{"/etc/localtime", SLK_SANDBOX_READ},
		/* Time zones of delivery streams. */
		{"/usr/share/zoneinfo", SLK_SANDBOX_READ},
	};

	int rc = slk_sandbox_parent(config->catalog.path, catalog, sizeof(catalog), err);
	if (rc == SLK_OK)
		rc = slk_sandbox_parent(config->audit.path, audit, sizeof(audit), err);
	if (rc == SLK_OK && second_file != NULL)
		rc = slk_sandbox_parent(second_file, second, sizeof(second), err);
	if (rc == SLK_OK)
		rc = slk_sandbox_parent(config->socket.path, door, sizeof(door), err);
	if (rc == SLK_OK)
		rc = slk_sandbox_files(all | SLK_SANDBOX_RUN | SLK_SANDBOX_TCP | SLK_SANDBOX_OTHERS,
			paths, COUNT(paths), out_abi, err);
	return rc;
}

/* One line that tells the truth about this process. */
static void
say(int abi, const char *filter, const char *files)
{
	if (abi == 0)
		slk_warn("hardening: this kernel has no Landlock; files are protected by their "
			 "permissions only",
			slk_kv("seccomp", filter));
	else
		slk_info("hardening", slk_kv("landlock_abi", abi), slk_kv("files", files),
			slk_kv("seccomp", filter));
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
		say(abi, "allow-list", "its own");
	return rc;
}

/* --- the monitor --- */

/* To become the users of front and worker, and to end them. */
static const cap_value_t monitor_caps[] = {CAP_KILL, CAP_SETGID, CAP_SETUID};

static bool
is_kept(cap_value_t cap)
{
	for (size_t i = 0; i < COUNT(monitor_caps); i++) {
		if (monitor_caps[i] == cap)
			return true;
	}
	return false;
}

/* What no child can ever get back. In some containers root may not, and says so by CapBnd. */
static int
drop_bounding(struct slk_error *err)
{
	for (cap_value_t cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (is_kept(cap) || cap_get_bound(cap) <= 0)
			continue;
		if (cap_drop_bound(cap) != 0 && errno != EPERM)
			return slk_fail_errno(err, "cannot drop capability %d", cap);
	}
	return SLK_OK;
}

static int
drop_capabilities(struct slk_error *err)
{
	if (geteuid() != 0)
		return SLK_OK;
	int rc = drop_bounding(err);
	if (rc != SLK_OK)
		return rc;
	cap_t caps = cap_init();
	if (caps == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	if (cap_set_flag(caps, CAP_PERMITTED, COUNT(monitor_caps), monitor_caps, CAP_SET) != 0 ||
		cap_set_flag(caps, CAP_EFFECTIVE, COUNT(monitor_caps), monitor_caps, CAP_SET) != 0)
		rc = slk_fail_errno(err, "cannot name the capabilities to keep");
	if (rc == SLK_OK && cap_set_proc(caps) != 0)
		rc = slk_fail(err, SLK_CONFIG,
			"cannot keep CAP_KILL, CAP_SETGID and CAP_SETUID and drop the rest (%s); "
			"started as root, kmsd needs these three: see CapabilityBoundingSet= of "
			"the unit",
			strerror(errno));
	(void)cap_free(caps);
	return rc;
}

/* Where the children write, of the front and of a worker whose files are known. */
static int
monitor_writes(
	const struct kms_config *config, bool softhsm, struct hsm_paths *out, struct slk_error *err)
{
	const struct kms_config_hsm *hsm = &config->hsm;
	const struct hsm_paths_request request = {.softhsm = softhsm,
		.module = hsm->module,
		.pin_file = hsm->pin_file,
		.state_file = hsm->state_file,
		.softhsm_conf = hsm->softhsm_conf,
		.module_paths = (const char *const *)hsm->module_paths,
		.module_paths_count = hsm->module_paths_count};

	return hsm_paths_find(&request, out, err);
}

struct monitor_dirs {
	char catalog[PATH_MAX], audit[PATH_MAX], second[PATH_MAX], door[PATH_MAX];
	char front[PATH_MAX], worker[PATH_MAX];
};

static int
find_dirs(const struct kms_config *config, const struct kms_sandbox_programs *programs,
	struct monitor_dirs *out, struct slk_error *err)
{
	int rc = slk_sandbox_parent(config->catalog.path, out->catalog, PATH_MAX, err);

	if (rc == SLK_OK)
		rc = slk_sandbox_parent(config->audit.path, out->audit, PATH_MAX, err);
	out->second[0] = '\0';
	if (rc == SLK_OK && config->audit.second.file != NULL)
		rc = slk_sandbox_parent(config->audit.second.file, out->second, PATH_MAX, err);
	if (rc == SLK_OK)
		rc = slk_sandbox_parent(config->socket.path, out->door, PATH_MAX, err);
	if (rc == SLK_OK)
		rc = slk_sandbox_parent(programs->front, out->front, PATH_MAX, err);
	if (rc == SLK_OK)
		rc = slk_sandbox_parent(programs->worker, out->worker, PATH_MAX, err);
	return rc;
}

/* Directories of the programs, not the programs: an upgrade puts new files there while this one
 * runs. What the dynamic loader can be asked to run it runs, so this is no more than a hurdle. */
static int
confine_monitor(const struct kms_config *config, const struct kms_sandbox_programs *programs,
	bool softhsm, int *out_abi, struct slk_error *err)
{
	const unsigned all = SLK_SANDBOX_WRITE | SLK_SANDBOX_REMOVE;
	struct hsm_paths paths = {.count = 0};
	struct monitor_dirs dirs;
	unsigned confine = SLK_SANDBOX_RUN;

	int rc = find_dirs(config, programs, &dirs, err);
	const struct slk_sandbox_path own[] = {{dirs.front, SLK_SANDBOX_RUN},
		{dirs.worker, SLK_SANDBOX_RUN}, {"/lib", SLK_SANDBOX_RUN},
		{"/lib64", SLK_SANDBOX_RUN}, {"/usr/lib", SLK_SANDBOX_RUN}, {dirs.catalog, all},
		{dirs.audit, all}, {dirs.second[0] != '\0' ? dirs.second : NULL, all},
		{dirs.door, SLK_SANDBOX_REMOVE | SLK_SANDBOX_BIND}};
	if (softhsm)
		confine |= SLK_SANDBOX_TCP | SLK_SANDBOX_OTHERS;
	if (rc == SLK_OK && (softhsm || config->hsm.module_paths_count > 0)) {
		confine |= all;
		rc = monitor_writes(config, softhsm, &paths, err);
	}
	for (size_t i = 0; i < COUNT(own) && rc == SLK_OK; i++) {
		if (paths.count == HSM_PATHS_MAX)
			rc = slk_fail(err, SLK_LIMIT, "too many paths to confine");
		else
			paths.list[paths.count++] = own[i];
	}
	if (rc == SLK_OK)
		rc = slk_sandbox_files(confine, paths.list, paths.count, out_abi, err);
	return rc;
}

/* clone3's flags lie in memory; glibc falls back to clone. */
static int
add_no_namespaces(scmp_filter_ctx filter)
{
	static const scmp_datum_t flags[] = {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS,
		CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET};
	int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	for (size_t i = 0; i < COUNT(flags) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
	return rc;
}

static int
filter_monitor(bool network, struct slk_error *err)
{
	int rc = -ENOMEM;

	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (filter != NULL)
		rc = add_no_namespaces(filter);
	if (rc == 0)
		rc = hsm_filter_add(filter, SCMP_ACT_ERRNO(EPERM), hsm_filter_hostile,
			hsm_filter_hostile_count);
	if (rc == 0 && !network)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_NE, AF_UNIX));
	return hsm_filter_load(filter, rc, err);
}

int
kms_sandbox_monitor(const struct kms_config *config, const struct kms_sandbox_programs *programs,
	struct slk_error *err)
{
	const struct hsm_profile *profile = hsm_profile_find(config->hsm.profile);
	bool softhsm = profile != NULL && profile->sandbox == HSM_SANDBOX_ALLOW;
	int abi = 0;

	int rc = slk_process_harden(err);
	if (rc == SLK_OK)
		rc = confine_monitor(config, programs, softhsm, &abi, err);
	if (rc == SLK_OK)
		rc = filter_monitor(!softhsm, err);
	if (rc == SLK_OK) /* last: the filter is installed by no_new_privs */
		rc = drop_capabilities(err);
	if (rc == SLK_OK)
		say(abi, "deny-list",
			softhsm || config->hsm.module_paths_count > 0
				? "written by front and worker"
				: "not confined");
	return rc;
}
