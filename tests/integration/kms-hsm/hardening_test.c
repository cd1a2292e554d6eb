/* What the kernel says of kmsd's three processes while they serve, and what others can get out of them. */
#include "slk_test.h"

#include "kmsd_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A sanitizer's shadow is terabytes of nothing, and readable; and it takes SIGSEGV for its report. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_IS_SMALL 0
#define CRASH SIGABRT
#else
#define MEMORY_IS_SMALL 1
#define CRASH SIGSEGV
#endif

static struct kmsd_rig rig;

static int
setup(void **state)
{
	(void)state;
	kmsd_rig_init(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kmsd_rig_fini(&rig);
	return 0;
}

static void
start(void)
{
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
}

static void
need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skipped: only root starts processes of other users and sees into them\n");
	skip();
}

struct processes {
	pid_t pid[3]; /* monitor, front, worker */
};

static struct processes
processes(void)
{
	struct processes p = {{rig.kmsd, kmsd_rig_front(&rig), kmsd_rig_worker(&rig)}};

	assert_true(p.pid[1] > 0 && p.pid[2] > 0);
	return p;
}

/* --- /proc --- */

static size_t
read_proc(pid_t pid, const char *name, char *out, size_t cap)
{
	char path[64];
	size_t len = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	while (len < cap - 1 && (n = read(fd, out + len, cap - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	out[len] = '\0';
	return len;
}

/* A line of /proc/PID/status is exactly this one. */
static void
assert_status(pid_t pid, const char *field, const char *expected)
{
	static char text[8192];
	char line[256];

	(void)read_proc(pid, "status", text, sizeof(text));
	snprintf(line, sizeof(line), "\n%s:\t%s\n", field, expected);
	if (strstr(text, line) == NULL)
		fail_msg("process %d: %s is not '%s' in %s", (int)pid, field, expected, text);
}

/* A line of /proc/PID/limits: soft and hard limit. */
static void
assert_limit(pid_t pid, const char *name, const char *soft, const char *hard)
{
	static char text[8192];
	char got_soft[32] = "", got_hard[32] = "";

	(void)read_proc(pid, "limits", text, sizeof(text));
	const char *line = strstr(text, name);
	assert_non_null(line);
	assert_int_equal(sscanf(line + strlen(name), "%31s %31s", got_soft, got_hard), 2);
	assert_string_equal(got_soft, soft);
	assert_string_equal(got_hard, hard);
}

static void
check_confinement(void)
{
	const struct processes p = processes();
	static const char *const users[] = {
		"0\t0\t0\t0", "65533\t65533\t65533\t65533", "65534\t65534\t65534\t65534"};
	static const char *const groups[] = {NULL, "", "65534 "};
	/* CAP_KILL, CAP_SETGID, CAP_SETUID; nothing */
	static const char *const caps[] = {
		"00000000000000e0", "0000000000000000", "0000000000000000"};

	for (int i = 0; i < 3; i++) {
		assert_status(p.pid[i], "NoNewPrivs", "1");
		assert_status(p.pid[i], "Seccomp", "2");
		assert_status(p.pid[i], "Uid", users[i]);
		assert_status(p.pid[i], "Gid", users[i]);
		assert_status(p.pid[i], "CapEff", caps[i]);
		assert_status(p.pid[i], "CapPrm", caps[i]);
		assert_status(p.pid[i], "CapInh", "0000000000000000");
		assert_status(p.pid[i], "CapAmb", "0000000000000000");
		assert_status(p.pid[i], "CapBnd", caps[0]);
		assert_limit(p.pid[i], "Max core file size", "0", "0");
		if (groups[i] == NULL)
			continue;
		char line[64];
		snprintf(line, sizeof(line), "%s%s", groups[i], groups[i][0] != '\0' ? "" : " ");
		assert_status(p.pid[i], "Groups", line);
	}
	assert_limit(p.pid[1], "Max open files", "576", "576");
	assert_limit(p.pid[1], "Max processes", "0", "0");
	assert_limit(p.pid[2], "Max open files", "256", "256");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_limit(p.pid[1], "Max address space", "1073741824", "1073741824");
	assert_limit(p.pid[2], "Max address space", "4294967296", "4294967296");
#endif
}

static void
each_process_holds_what_it_needs_and_no_more(void **state)
{
	(void)state;
	need_root();
	start();
	check_confinement();
}

static void
whoever_is_started_in_place_of_a_killed_one_is_confined_as_well(void **state)
{
	(void)state;
	need_root();
	start();
	kmsd_rig_replace(&rig, kmsd_rig_worker);
	check_confinement();
	kmsd_rig_replace(&rig, kmsd_rig_front);
	check_confinement();
}

/* --- dumps --- */

static int
allow_cores(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_CORE, &l) != 0)
		return -1;
	l.rlim_max = l.rlim_cur = RLIM_INFINITY;
	return setrlimit(RLIMIT_CORE, &l);
}

static unsigned
cores_in(const char *path)
{
	unsigned count = 0;
	DIR *dir = opendir(path);

	assert_non_null(dir);
	for (const struct dirent *d; (d = readdir(dir)) != NULL;)
		count += strncmp(d->d_name, "core", 4) == 0;
	closedir(dir);
	return count;
}

/* A process that is not hardened leaves one here: otherwise the absence of others would prove nothing. */
static bool
cores_can_be_seen(void)
{
	int status = 0;

	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (chdir(rig.base) != 0 || allow_cores() != 0)
			_exit(1);
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) && WCOREDUMP(status) && cores_in(rig.base) == 1)
		return true;
	print_message("skipped: this machine writes no core files into the working directory\n");
	return false;
}

static void
a_crash_leaves_no_core(void **state)
{
	(void)state;
	unsigned before;
	char text[32];

	need_root();
	if (!cores_can_be_seen())
		skip();
	before = cores_in(rig.base);
	rig.before_exec = allow_cores;
	start();
	const struct processes p = processes();
	assert_int_equal(kill(p.pid[2], CRASH), 0);
	assert_int_equal(kill(p.pid[1], CRASH), 0);
	snprintf(text, sizeof(text), "signal=%d", CRASH);
	kmsd_rig_wait_logged(&rig, text);
	assert_int_equal(kill(p.pid[0], CRASH), 0);
	assert_int_equal(kmsd_rig_wait_end(&rig), 128 + CRASH);
	assert_int_equal(cores_in(rig.base), before);
	assert_int_equal(cores_in(rig.hsm.dir), 0);
}

/* --- the same user --- */

/* In a child of that user: errno of the attempt, 0 if it succeeds. */
static int
attempt_as(uid_t uid, int (*attempt)(pid_t), pid_t victim)
{
	int status = -1;

	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (setgid(uid) != 0 || setuid(uid) != 0)
			_exit(255);
		errno = 0;
		_exit(attempt(victim) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
trace(pid_t victim)
{
	return (int)ptrace(PTRACE_SEIZE, victim, NULL, NULL);
}

static int
open_of(pid_t victim, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)victim, name);
	return open(path, O_RDONLY);
}

static int
open_mem(pid_t victim)
{
	return open_of(victim, "mem");
}

static int
open_environ(pid_t victim)
{
	return open_of(victim, "environ");
}

static int
open_maps(pid_t victim)
{
	return open_of(victim, "maps");
}

/* A process of the same user that did not harden itself. */
static pid_t
start_careless(uid_t uid)
{
	int fds[2];
	char c;

	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (setgid(uid) != 0 || setuid(uid) != 0 || prctl(PR_SET_DUMPABLE, 1) != 0 ||
			write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static void
its_own_user_can_neither_trace_nor_read_a_process(void **state)
{
	(void)state;
	need_root();
	start();
	const struct processes p = processes();
	for (int i = 1; i < 3; i++) {
		uid_t uid = i == 1 ? KMSD_RIG_FRONT_UID : KMSD_RIG_WORKER_UID;
		pid_t careless = start_careless(uid);
		/* It would work otherwise. */
		assert_int_equal(attempt_as(uid, open_mem, careless), 0);
		assert_int_equal(attempt_as(uid, open_environ, careless), 0);
		assert_int_equal(attempt_as(uid, trace, p.pid[i]), EPERM);
		assert_int_equal(attempt_as(uid, open_mem, p.pid[i]), EACCES);
		assert_int_equal(attempt_as(uid, open_environ, p.pid[i]), EACCES);
		assert_int_equal(attempt_as(uid, open_maps, p.pid[i]), EACCES);
		kill(careless, SIGKILL);
		assert_int_equal(waitpid(careless, NULL, 0), careless);
	}
	kmsd_rig_wait_ready(&rig);
}

/* --- memory --- */

/* Mappings that are locked, left out of dumps and wiped in a fork; and those that are only one of the first two. */
static void
count_secret_mappings(pid_t pid, unsigned *out_full, unsigned *out_partial)
{
	static char text[1 << 20];
	char *rest = NULL;

	assert_in_range(read_proc(pid, "smaps", text, sizeof(text)), 1, sizeof(text) - 2);
	*out_full = *out_partial = 0;
	for (char *line = strtok_r(text, "\n", &rest); line != NULL;
		line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "VmFlags:", 8) != 0)
			continue;
		bool locked = strstr(line, " lo") != NULL;
		bool hidden = strstr(line, " dd") != NULL, wiped = strstr(line, " wf") != NULL;
		if (locked && hidden && wiped)
			(*out_full)++;
		else if (locked)
			(*out_partial)++;
	}
}

static void
what_holds_keys_is_locked_hidden_and_wiped_in_forks(void **state)
{
	(void)state;
	need_root();
	start();
	const struct processes p = processes();
	for (int i = 1; i < 3; i++) {
		unsigned full, partial;
		count_secret_mappings(p.pid[i], &full, &partial);
		assert_true(full > 0);
		assert_int_equal(partial, 0);
	}
}

/* Does any page that the process can read hold these bytes? */
static bool
memory_holds(pid_t pid, const void *bytes, size_t len)
{
	static char maps[1 << 20];
	static uint8_t chunk[1 << 20];
	char path[64], *rest = NULL;
	bool found = false;

	(void)read_proc(pid, "maps", maps, sizeof(maps));
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (char *line = strtok_r(maps, "\n", &rest); line != NULL && !found;
		line = strtok_r(NULL, "\n", &rest)) {
		unsigned long from, to;
		char flags[5];
		if (sscanf(line, "%lx-%lx %4s", &from, &to, flags) != 3 || flags[0] != 'r')
			continue;
		/* Chunks overlap by len. What cannot be read (vvar) is nobody's data. */
		for (unsigned long at = from; at < to && !found; at += sizeof(chunk) - len) {
			size_t want = to - at < sizeof(chunk) ? to - at : sizeof(chunk);
			ssize_t n = pread(fd, chunk, want, (off_t)at);
			if (n < (ssize_t)len)
				break;
			found = memmem(chunk, (size_t)n, bytes, len) != NULL;
		}
	}
	close(fd);
	return found;
}

static bool
text_holds(pid_t pid, const char *name, const char *what)
{
	static char text[1 << 20];
	size_t len = read_proc(pid, name, text, sizeof(text));

	return memmem(text, len, what, strlen(what)) != NULL;
}

static void
the_pin_is_in_the_worker_alone(void **state)
{
	(void)state;
	char pin[300] = "";

	need_root();
	FILE *f = fopen(rig.hsm.pin_file, "re");
	assert_non_null(f);
	assert_non_null(fgets(pin, sizeof(pin), f));
	pin[strcspn(pin, "\n")] = '\0';
	fclose(f);
	assert_true(strlen(pin) >= 8);
	start();
	const struct processes p = processes();
	for (int i = 0; i < 3; i++) {
		assert_true(text_holds(p.pid[i], "cmdline", "sealock")); /* the search works */
		assert_false(text_holds(p.pid[i], "cmdline", pin));
		assert_false(text_holds(p.pid[i], "environ", pin));
	}
	assert_false(kmsd_rig_logged(&rig, pin));
	for (int i = 0; i < 2 && MEMORY_IS_SMALL; i++) {
		assert_true(memory_holds(p.pid[i], rig.socket, strlen(rig.socket)));
		assert_false(memory_holds(p.pid[i], pin, strlen(pin)));
	}
	explicit_bzero(pin, sizeof(pin));
}

/* An answer leaves before its sender has wiped it, and on a busy machine we may look in between. */
static bool
is_forgotten(pid_t pid, const void *bytes, size_t len)
{
	for (int i = 0; i < 200; i++) {
		if (!memory_holds(pid, bytes, len))
			return true;
		usleep(10000);
	}
	return false;
}

static void
no_data_key_stays_in_the_front_or_the_monitor(void **state)
{
	(void)state;
	struct kmsc_key key;
	struct kmsc_data_key dk;
	struct slk_error err = {0};
	uint8_t plain[32];

	need_root();
	start();
	assert_ok(kmsc_create_key(rig.client, "secret", &key, &err));
	assert_ok(kmsc_generate_data_key(rig.client, key.id, NULL, &dk, &err));
	memcpy(plain, slk_secret_peek(dk.plaintext), sizeof(plain));
	kmsc_data_key_fini(&dk);
	const struct processes p = processes();
	for (int i = 0; i < 3 && MEMORY_IS_SMALL; i++)
		assert_true(is_forgotten(p.pid[i], plain, sizeof(plain)));
	if (MEMORY_IS_SMALL)
		assert_true(memory_holds(getpid(), plain, sizeof(plain))); /* the search works */
}

/* --- descriptors, log level, kernels --- */

static int
leave_one_open(void)
{
	return open("/etc/hostname", O_RDONLY) >= 0 && dup2(2, 40) == 40 ? 0 : -1;
}

static unsigned
descriptors(pid_t pid, const char *target)
{
	char path[64], link[300];
	unsigned count = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	for (const struct dirent *d; (d = readdir(dir)) != NULL;) {
		ssize_t n = readlinkat(dirfd(dir), d->d_name, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = '\0';
		count += target == NULL || strcmp(link, target) == 0;
	}
	closedir(dir);
	return count;
}

static void
what_the_starter_left_open_is_closed(void **state)
{
	(void)state;
	need_root();
	rig.before_exec = leave_one_open;
	start();
	const struct processes p = processes();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(descriptors(p.pid[i], "/etc/hostname"), 0);
		assert_int_equal(descriptors(p.pid[i], rig.log), 1); /* 2, and not 40 */
		assert_in_range(descriptors(p.pid[i], NULL), 5, 20);
	}
	assert_int_equal(descriptors(p.pid[0], rig.hsm.pin_file), 0);
}

static void
the_log_level_holds_for_all_three(void **state)
{
	(void)state;
	rig.log_level = "warn";
	start();
	assert_false(kmsd_rig_logged(&rig, "level=info"));
	assert_int_equal(kmsd_rig_stop(&rig), 0);
	rig.log_level = NULL;
	start();
	assert_true(kmsd_rig_logged(&rig, "level=info prog=sealock-kmsd "));
	assert_true(kmsd_rig_logged(&rig, "level=info prog=sealock-kmsd-front "));
	assert_true(kmsd_rig_logged(&rig, "level=info prog=sealock-hsm-worker "));
}

/* A kernel without Landlock, as far as kmsd can see. */
static int
take_landlock_away(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0
		? -1
		: 0;
}

static void
a_kernel_without_landlock_is_said_by_each_and_served_on(void **state)
{
	(void)state;
	static const char *const programs[] = {"level=warn prog=sealock-kmsd msg=\"hardening: ",
		"level=warn prog=sealock-kmsd-front msg=\"hardening: ",
		"level=warn prog=sealock-hsm-worker msg=\"hardening: "};

	rig.before_exec = take_landlock_away;
	start();
	for (int i = 0; i < 3; i++)
		assert_true(kmsd_rig_logged(&rig, programs[i]));
	assert_true(kmsd_rig_logged(&rig, "this kernel has no Landlock"));
}

static int
forbid_locking(void)
{
	struct rlimit little = {1 << 20, 1 << 20};

	/* Root raises limits: take that away first. */
	(void)prctl(PR_CAPBSET_DROP, 24 /* CAP_SYS_RESOURCE */, 0, 0, 0);
	return setrlimit(RLIMIT_MEMLOCK, &little);
}

static void
without_locked_memory_it_does_not_serve(void **state)
{
	(void)state;
	rig.before_exec = forbid_locking;
	kmsd_rig_start(&rig);
	assert_int_equal(kmsd_rig_wait_end(&rig), 2);
	assert_true(kmsd_rig_logged(&rig, "raise the limit (LimitMEMLOCK="));
}

/* Those that the unit leaves root, in the kernel's numbers; a few are enough here. */
static uint64_t
unit_caps(void)
{
	static const struct {
		const char *name;
		unsigned number;
	} known[] = {{"CAP_DAC_READ_SEARCH", 2}, {"CAP_KILL", 5}, {"CAP_SETGID", 6},
		{"CAP_SETUID", 7}, {"CAP_SETPCAP", 8}};
	static const char key[] = "CapabilityBoundingSet=";
	char line[512];
	uint64_t mask = 0;
	unsigned words = 0, found = 0;

	FILE *f = fopen(SLK_SOURCE_DIR "/deploy/systemd/sealock-kmsd.service", "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL && words == 0) {
		char *rest = NULL;
		if (strncmp(line, key, sizeof(key) - 1) != 0)
			continue;
		for (const char *word = strtok_r(line + sizeof(key) - 1, " \n", &rest);
			word != NULL; word = strtok_r(NULL, " \n", &rest)) {
			words++;
			for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
				if (strcmp(word, known[i].name) != 0)
					continue;
				mask |= 1ull << known[i].number;
				found++;
			}
		}
	}
	fclose(f);
	assert_true(words > 0 && words == found);
	return mask;
}

static uint64_t caps_to_leave;

static int
leave_the_units_caps(void)
{
	for (unsigned cap = 0; cap < 64; cap++) {
		if ((caps_to_leave >> cap & 1) == 0 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
			return -1;
	}
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* exec gives root what is left */
}

static void
the_capabilities_that_the_unit_leaves_are_enough(void **state)
{
	(void)state;
	need_root();
	caps_to_leave = unit_caps();
	rig.before_exec = leave_the_units_caps;
	start();
	check_confinement();
	kmsd_rig_replace(&rig, kmsd_rig_worker);
	kmsd_rig_replace(&rig, kmsd_rig_front);
	check_confinement();
}

static void
without_them_it_says_which_one_is_missing(void **state)
{
	(void)state;
	need_root();
	caps_to_leave = unit_caps() & ~(1ull << 2);
	rig.before_exec = leave_the_units_caps;
	rig.module = HSM_RIG_SOFTHSM; /* which needs none to be found */
	kmsd_rig_start(&rig);
	assert_int_equal(kmsd_rig_wait_end(&rig), 2);
	assert_true(kmsd_rig_logged(&rig, "CAP_DAC_READ_SEARCH"));
	caps_to_leave = unit_caps() & ~(1ull << 7);
	kmsd_rig_start(&rig);
	assert_int_equal(kmsd_rig_wait_end(&rig), 2);
	assert_true(kmsd_rig_logged(&rig, "CAP_SETUID"));
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_process_holds_what_it_needs_and_no_more),
		T(whoever_is_started_in_place_of_a_killed_one_is_confined_as_well),
		T(a_crash_leaves_no_core),
		T(its_own_user_can_neither_trace_nor_read_a_process),
		T(what_holds_keys_is_locked_hidden_and_wiped_in_forks),
		T(the_pin_is_in_the_worker_alone),
		T(no_data_key_stays_in_the_front_or_the_monitor),
		T(what_the_starter_left_open_is_closed),
		T(the_log_level_holds_for_all_three),
		T(a_kernel_without_landlock_is_said_by_each_and_served_on),
		T(without_locked_memory_it_does_not_serve),
		T(the_capabilities_that_the_unit_leaves_are_enough),
		T(without_them_it_says_which_one_is_missing),
	};

	if (!kmsd_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("kmsd_hardening", tests, NULL, NULL);
}
