#include "priv.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"

#define BIT(cap) (1ull << (cap))
#define LOWER_SIGNAL (SIGRTMIN + 7)
#define LOWER_TIMEOUT_NS (2 * SLK_NS_PER_S)

static const struct {
	unsigned cap;
	const char *name;
} cap_names[] = {{CAP_NET_RAW, "NET_RAW"}, {CAP_NET_ADMIN, "NET_ADMIN"},
	{CAP_SYS_ADMIN, "SYS_ADMIN"}, {CAP_IPC_LOCK, "IPC_LOCK"}};

static int
get_caps(uint64_t *out_effective, uint64_t *out_permitted)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) != 0)
		return SLK_SYSTEM;
	*out_effective = data[0].effective | (uint64_t)data[1].effective << 32;
	*out_permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	return SLK_OK;
}

/* The calling thread's sets; ambient and inheritable go too. Async-signal-safe. */
static int
set_caps(uint64_t mask)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)mask, .permitted = (uint32_t)mask},
		{.effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32)}};

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &head, data) == 0 ? SLK_OK : SLK_SYSTEM;
}

int
dp_priv_need(const char *who, uint64_t mask, struct slk_error *err)
{
	char missing[96] = "", option[128] = "";
	uint64_t effective = 0, permitted = 0;

	if (get_caps(&effective, &permitted) != SLK_OK)
		return slk_fail_errno(err, "cannot read the capabilities");
	if ((effective & mask) == mask)
		return SLK_OK;
	for (size_t i = 0; i < sizeof(cap_names) / sizeof(cap_names[0]); i++) {
		size_t m = strlen(missing), o = strlen(option);
		if ((mask & ~effective & BIT(cap_names[i].cap)) != 0)
			snprintf(missing + m, sizeof(missing) - m, "%sCAP_%s", m > 0 ? ", " : "",
				cap_names[i].name);
		if ((mask & BIT(cap_names[i].cap)) != 0)
			snprintf(option + o, sizeof(option) - o, "%s+%s", o > 0 ? "," : "",
				cap_names[i].name);
	}
	for (char *p = option; *p != '\0'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + ('a' - 'A') : *p);
	return slk_fail(err, SLK_DENIED,
		"%s needs %s; start as root, or with setpriv --inh-caps %s --ambient-caps %s", who,
		missing, option, option);
}

int
dp_priv_lock_memory(bool allow_unlocked, bool *out_locked, struct slk_error *err)
{
	struct rlimit limit;

	*out_locked = false;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) {
		*out_locked = true;
		return SLK_OK;
	}
	if (allow_unlocked)
		return SLK_OK;
	return slk_fail(err, SLK_DENIED,
		"memory that holds records cannot be locked (%s): give CAP_IPC_LOCK or raise the "
		"memlock "
		"limit, or set allow_unlocked_memory: true and accept that records may be swapped "
		"out",
		strerror(errno));
}

/* --- every thread --- */

static _Atomic int lowered; /* threads that did it */
static _Atomic int lower_fault; /* 1 if one could not */
static uint64_t lower_mask;
static bool lower_keep; /* first round: keep capabilities over setuid */

static void
lower_handler(int signal_number)
{
	(void)signal_number;
	int saved = errno;

	if (lower_keep) {
		if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
			atomic_store(&lower_fault, 1);
	} else if (set_caps(lower_mask) != SLK_OK) {
		atomic_store(&lower_fault, 1);
	}
	atomic_fetch_add(&lowered, 1);
	errno = saved;
}

/* Calls each(arg, tid) for every thread but the caller's; stops at an error. */
static int
each_thread(int (*each)(void *arg, pid_t tid), void *arg)
{
	pid_t self = (pid_t)syscall(SYS_gettid);
	int rc = SLK_OK;
	DIR *dir = opendir("/proc/self/task");

	if (dir == NULL)
		return SLK_SYSTEM;
	for (struct dirent *e = readdir(dir); e != NULL && rc == SLK_OK; e = readdir(dir)) {
		pid_t tid = (pid_t)atoi(e->d_name);
		if (tid > 0 && tid != self)
			rc = each(arg, tid);
	}
	closedir(dir);
	return rc;
}

static int
signal_thread(void *arg, pid_t tid)
{
	int *sent = arg;

	if (syscall(SYS_tgkill, getpid(), tid, LOWER_SIGNAL) != 0)
		return errno == ESRCH ? SLK_OK : SLK_SYSTEM;
	(*sent)++;
	return SLK_OK;
}

/* Run the handler once in every other thread and wait for all. */
static int
broadcast(bool keep, uint64_t mask)
{
	struct sigaction action = {.sa_handler = lower_handler, .sa_flags = SA_RESTART}, before;
	const struct slk_clock *clock = slk_clock_system();
	int sent = 0;

	lower_keep = keep;
	lower_mask = mask;
	atomic_store(&lowered, 0);
	atomic_store(&lower_fault, 0);
	if (sigaction(LOWER_SIGNAL, &action, &before) != 0)
		return SLK_SYSTEM;
	int rc = each_thread(signal_thread, &sent);
	uint64_t deadline = slk_mono_ns(clock) + LOWER_TIMEOUT_NS;
	while (rc == SLK_OK && atomic_load(&lowered) < sent) {
		if (slk_mono_ns(clock) > deadline)
			return SLK_TIMEOUT; /* the handler stays: a late thread still needs it */
		usleep(100);
	}
	(void)sigaction(LOWER_SIGNAL, &before, NULL);
	return rc == SLK_OK && atomic_load(&lower_fault) != 0 ? SLK_SYSTEM : rc;
}

/* A thread's permitted set, as the kernel shows it. */
static int
check_thread(void *arg, pid_t tid)
{
	const uint64_t *allowed = arg;
	char path[64], line[256];
	unsigned long long permitted = ~0ull;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return errno == ENOENT ? SLK_OK : SLK_SYSTEM;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "CapPrm: %llx", &permitted) == 1)
			break;
	}
	fclose(f);
	return (permitted & ~*allowed) == 0 ? SLK_OK : SLK_DENIED;
}

static int
become(const char *run_as, struct slk_error *err)
{
	errno = 0;
	struct passwd *pw = getpwnam(run_as);

	if (pw == NULL)
		return slk_fail(err, SLK_CONFIG, "run_as: there is no user %s", run_as);
	if (pw->pw_uid == geteuid())
		return SLK_OK;
	if (geteuid() != 0)
		return slk_fail(err, SLK_CONFIG,
			"run_as is %s, but only root can become another user", run_as);
	if (initgroups(run_as, pw->pw_gid) != 0 ||
		setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
		setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
		return slk_fail_errno(err, "cannot become user %s", run_as);
	return SLK_OK;
}

int
dp_priv_drop(const char *run_as, bool keep_net_admin, struct slk_error *err)
{
	uint64_t effective = 0, permitted = 0, everywhere = BIT(CAP_IPC_LOCK);

	if (geteuid() == 0 && run_as == NULL)
		return slk_fail(err, SLK_CONFIG,
			"ingestd does not stay root: name an unprivileged user in run_as");
	if (broadcast(true, 0) != SLK_OK || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
		return slk_fail(err, SLK_SYSTEM, "cannot prepare the threads for another user");
	if (run_as != NULL && become(run_as, err) != SLK_OK)
		return SLK_CONFIG;
	if (get_caps(&effective, &permitted) != SLK_OK)
		return slk_fail_errno(err, "cannot read the capabilities");
	everywhere &= permitted;
	if (broadcast(false, everywhere) != SLK_OK)
		return slk_fail(err, SLK_SYSTEM, "a thread did not give up its capabilities");
	if (set_caps(everywhere | (keep_net_admin ? permitted & BIT(CAP_NET_ADMIN) : 0)) != SLK_OK)
		return slk_fail_errno(err, "cannot give up capabilities");
	if (each_thread(check_thread, &everywhere) != SLK_OK)
		return slk_fail(err, SLK_SYSTEM, "a thread still holds capabilities");
	/* The change of user made the process dumpable as the system's setting has it. */
	return slk_process_harden(err);
}

int
dp_priv_thread_lower(void)
{
	uint64_t effective = 0, permitted = 0;
	int rc = get_caps(&effective, &permitted);

	return rc != SLK_OK ? rc : set_caps(permitted & BIT(CAP_IPC_LOCK));
}
