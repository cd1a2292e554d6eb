/* What front, HSM worker and monitor can still ask of the kernel: each call in a child of its own that entered the same
 * sandbox, with the exact outcome. */
#include "slk_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "hsm/sandbox.h"
#include "sandbox.h"
#include "tempdir.h"

#define KILLED 1000 /* by the filter: SIGSYS */
#define WORKS 0

static char dir[256], kms_dir[300], door_dir[300], inside[320], outside[320], door[320];
static char hsm_dir[300], conf[320], token_file[360];
static struct kms_config config;
static struct hsm_options worker;
static int timer_fd;

/* Each gives 0, or errno. */
#define CALL(name, expr) \
	static int name(void) \
	{ \
		errno = 0; \
		return (expr) < 0 ? errno : 0; \
	}

static int
open_and_close(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? fd : close(fd);
}

static int
map(int protection)
{
	void *p = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : munmap(p, 4096);
}

static int
set_up_ring(void)
{
	struct io_uring_params params = {0};

	return (int)syscall(SYS_io_uring_setup, 4, &params);
}

static int
read_other(void)
{
	char c;
	struct iovec here = {&c, 1}, there = {&c, 1};

	return (int)process_vm_readv(getppid(), &here, 1, &there, 1, 0);
}

/* What a child of fork() would do is not asked: whether there is one at all is. */
static int
fork_one(void)
{
	long pid = syscall(SYS_fork);

	if (pid == 0)
		_exit(0);
	return (int)pid;
}

static int
clone_one(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return (int)pid;
}

static int
secret_works(void)
{
	struct slk_secret *s = NULL;

	if (slk_secret_new(32, &s) != SLK_OK)
		return -1;
	slk_secret_free(s);
	return 0;
}

static int
replace_file(void)
{
	char path[400];

	snprintf(path, sizeof(path), "%s-journal", inside);
	if (open_and_close(path, O_RDWR | O_CREAT) != 0 || rename(path, inside) != 0)
		return -1;
	return 0;
}

static int
read_limits(void)
{
	struct rlimit l;

	return getrlimit(RLIMIT_NOFILE, &l);
}

static int
raise_core(void)
{
	struct rlimit l = {0, 0};

	return setrlimit(RLIMIT_CORE, &l);
}

/* Root without CAP_DAC_OVERRIDE is as good as anybody. */
static int
open_as_nobodys(const char *path)
{
	if (open_and_close(path, O_WRONLY | O_CREAT) != 0 || chmod(path, 0) != 0)
		return -1;
	return open_and_close(path, O_RDONLY);
}

static int
set_timer(void)
{
	const struct itimerspec soon = {.it_value = {0, 1000000}};

	return timerfd_settime(timer_fd, 0, &soon, NULL);
}

CALL(arm_timer, set_timer())
CALL(run_shell, execl("/bin/sh", "sh", "-c", "true", (char *)NULL))
CALL(make_process, fork_one())
CALL(make_thread_like, clone_one(0))
CALL(trace_parent, (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL))
CALL(read_parent, read_other())
CALL(make_ring, set_up_ring())
CALL(inet_socket, socket(AF_INET, SOCK_STREAM, 0))
CALL(unix_socket, socket(AF_UNIX, SOCK_SEQPACKET, 0))
CALL(become_root,
	(int)syscall(SYS_setuid, 0)) /* glibc's aborts if a sanitizer's thread is refused */
CALL(make_namespace, unshare(CLONE_NEWUSER))
CALL(load_bpf, (int)syscall(SYS_bpf, 0, NULL, 0))
CALL(use_keyring, (int)syscall(SYS_keyctl, 0, 0, 0, 0, 0))
CALL(signal_parent, kill(getppid(), 0))
CALL(make_code, map(PROT_READ | PROT_WRITE | PROT_EXEC))
CALL(make_data, map(PROT_READ | PROT_WRITE))
CALL(give_file_away, chown(inside, 1, 1))
CALL(become_nobody, setgid(65534) != 0 || setuid(65534) != 0 ? -1 : 0)
CALL(read_others_file, open_as_nobodys(inside))
CALL(write_token, open_and_close(token_file, O_RDWR | O_CREAT))
CALL(read_conf, open_and_close(conf, O_RDONLY))
CALL(load_library_file, open_and_close("/usr/lib", O_RDONLY | O_DIRECTORY))
CALL(read_catalog, open_and_close(inside, O_RDONLY | O_CREAT))
CALL(read_passwd, open_and_close("/etc/passwd", O_RDONLY))
CALL(read_mem, open_and_close("/proc/self/mem", O_RDWR))
CALL(write_outside, open_and_close(outside, O_WRONLY | O_CREAT))
CALL(write_inside, open_and_close(inside, O_RDWR | O_CREAT))
CALL(remove_door, unlink(door))
CALL(link_inside, symlink("/etc/passwd", inside))
CALL(lock_memory, secret_works())
CALL(swap_files, replace_file())
CALL(ask_limits, read_limits())
CALL(set_limits, raise_core())
CALL(old_call, (int)syscall(SYS_personality, 0xffffffff))

static void *
thread_main(void *arg)
{
	return arg;
}

struct probe {
	const char *what;
	int (*call)(void);
	int expected;
};

static int
make_thread(void)
{
	pthread_t thread;

	/* A thread, not a process: glibc falls back to clone(). */
	errno = pthread_create(&thread, NULL, thread_main, NULL);
	return errno != 0 ? errno : pthread_join(thread, NULL);
}

static int
setup_worker(void)
{
	static char tokens[340];

	snprintf(hsm_dir, sizeof(hsm_dir), "%s/hsm", dir);
	snprintf(conf, sizeof(conf), "%s/softhsm2.conf", hsm_dir);
	snprintf(tokens, sizeof(tokens), "%s/tokens", hsm_dir);
	snprintf(token_file, sizeof(token_file), "%s/object", tokens);
	if (mkdir(hsm_dir, 0700) != 0 || mkdir(tokens, 0700) != 0)
		return -1;
	FILE *f = fopen(conf, "we");
	if (f == NULL)
		return -1;
	fprintf(f, "# SoftHSM\n#directories.tokendir = /\n  directories.tokendir =  %s/ \n",
		tokens);
	worker = (struct hsm_options){.profile = hsm_profile_find("softhsm"),
		.module = "/usr/lib/softhsm/libsofthsm2.so",
		.pin_file = "/nowhere/pin",
		.softhsm_conf = conf};
	return fclose(f);
}

static int
setup(void **state)
{
	static char softhsm[] = "softhsm", module[] = "/usr/lib/softhsm/libsofthsm2.so";
	static char pin[] = "/nowhere/pin", state_file[] = "/nowhere/pin.state";
	static char catalog[340], audit[340], sock[340];

	(void)state;
	tempdir_make(dir, sizeof(dir));
	snprintf(kms_dir, sizeof(kms_dir), "%s/kms", dir);
	snprintf(door_dir, sizeof(door_dir), "%s/run", dir);
	snprintf(inside, sizeof(inside), "%s/catalog.db", kms_dir);
	snprintf(outside, sizeof(outside), "%s/outside", dir);
	snprintf(door, sizeof(door), "%s/kms.sock", door_dir);
	if (mkdir(kms_dir, 0700) != 0 || mkdir(door_dir, 0700) != 0)
		return -1;
	if (open_and_close(door, O_WRONLY | O_CREAT) != 0)
		return -1;
	snprintf(catalog, sizeof(catalog), "%s", inside);
	snprintf(audit, sizeof(audit), "%s/audit.log", kms_dir);
	snprintf(sock, sizeof(sock), "%s", door);
	config.catalog.path = catalog;
	config.audit.path = audit;
	config.socket.path = sock;
	config.hsm.profile = softhsm;
	config.hsm.module = module;
	config.hsm.pin_file = pin;
	config.hsm.state_file = state_file;
	config.hsm.softhsm_conf = conf;
	return setup_worker();
}

static int
teardown(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

static int
enter_front(void)
{
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (timer_fd < 0)
		return SLK_SYSTEM;
	return kms_sandbox_front(&config, NULL);
}

static int
enter_worker(void)
{
	return hsm_sandbox_enter(&worker, NULL);
}

static int
enter_vendor(void)
{
	worker.profile = hsm_profile_find("generic");
	return hsm_sandbox_enter(&worker, NULL);
}

static int
enter_named_vendor(void)
{
	worker.module_paths[worker.module_paths_count++] = hsm_dir;
	return enter_vendor();
}

static int
enter_monitor(void)
{
	/* Directories without a shell in them. */
	const struct kms_sandbox_programs programs = {
		SLK_BUILD_DIR "/bin/sealock-kmsd", SLK_BUILD_DIR "/bin/sealock-hsm-worker"};

	return kms_sandbox_monitor(&config, &programs, NULL);
}

static int
outcome(int (*enter)(void), int (*call)(void))
{
	int status = -1;

	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		slk_log_init("probe", SLK_LOG_ERROR);
		if (slk_process_harden(NULL) != SLK_OK || enter() != SLK_OK)
			_exit(255);
		_exit(call());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : 2000 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

static void
ask_all(int (*enter)(void), const struct probe *probes, size_t count)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < count; i++) {
		int got = outcome(enter, probes[i].call);
		if (got == probes[i].expected)
			continue;
		print_error("%s: %d and not %d\n", probes[i].what, got, probes[i].expected);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

#define PROBE(call, expected) \
	{ \
#call, call, expected \
	}
#define ASK(enter, list) ask_all(enter, list, sizeof(list) / sizeof((list)[0]))

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NO_PROCESS EPERM /* a sanitizer's report wants to try */
#else
#define NO_PROCESS KILLED
#endif

static void
what_only_an_attacker_wants_of_the_front_kills_it(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(run_shell, NO_PROCESS),
		PROBE(make_process, NO_PROCESS),
		PROBE(make_thread_like, NO_PROCESS),
		PROBE(trace_parent, KILLED),
		PROBE(read_parent, KILLED),
		PROBE(make_ring, KILLED),
		PROBE(become_root, KILLED),
		PROBE(make_namespace, KILLED),
		PROBE(load_bpf, KILLED),
		PROBE(use_keyring, KILLED),
		PROBE(old_call, KILLED),
	};

	ASK(enter_front, probes);
}

static void
what_the_front_does_not_need_fails(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(inet_socket, EPERM),
		PROBE(unix_socket, EPERM),
		PROBE(signal_parent, EPERM),
		PROBE(make_code, EPERM),
		PROBE(set_limits, EPERM),
		PROBE(link_inside, EPERM),
	};

	ASK(enter_front, probes);
}

static void
what_the_front_needs_works(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(make_data, WORKS), PROBE(lock_memory, WORKS), PROBE(write_inside, WORKS),
		PROBE(swap_files, WORKS), PROBE(remove_door, WORKS), PROBE(ask_limits, WORKS),
		PROBE(arm_timer, WORKS), /* deadlines of calls to the HSM */
	};

	ASK(enter_front, probes);
}

static bool
has_landlock(void)
{
	bool has = syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1;

	if (!has)
		print_message("skipped: this kernel has no Landlock\n");
	return has;
}

/* As root, too: permissions would allow it. */
static void
the_front_finds_no_files_but_its_own(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(read_passwd, EACCES),
		PROBE(read_mem, EACCES),
		PROBE(write_outside, EACCES),
	};

	if (!has_landlock())
		skip();
	ASK(enter_front, probes);
}

static void
without_locked_memory_the_front_does_not_start(void **state)
{
	(void)state;
	int status = -1;

	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit little = {1 << 20, 1 << 20};
		struct slk_error err = {0};
		if (setrlimit(RLIMIT_MEMLOCK, &little) != 0)
			_exit(1);
		int rc = kms_sandbox_front(&config, &err);
		_exit(rc == SLK_CONFIG && strstr(err.text, "LimitMEMLOCK") != NULL ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The filter is the children's too: it says no, and theirs kill. */
static void
the_monitor_starts_processes_and_does_little_else(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(make_process, WORKS),
		PROBE(unix_socket, WORKS),
		PROBE(inet_socket, EPERM),
		PROBE(trace_parent, EPERM),
		PROBE(read_parent, EPERM),
		PROBE(make_ring, EPERM),
		PROBE(make_namespace, EPERM),
		PROBE(load_bpf, EPERM),
		PROBE(use_keyring, EPERM),
	};

	ASK(enter_monitor, probes);
}

static void
the_monitor_of_a_vendors_module_leaves_it_the_network(void **state)
{
	(void)state;
	static char generic[] = "generic";
	static const struct probe probes[] = {
		PROBE(inet_socket, WORKS),
		PROBE(make_ring, EPERM),
		PROBE(write_outside, WORKS),
	};

	config.hsm.profile = generic;
	ASK(enter_monitor, probes);
}

static void
the_monitor_writes_and_runs_only_what_its_children_need(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(write_inside, WORKS),
		PROBE(write_token, WORKS),
		PROBE(write_outside, EACCES),
		PROBE(run_shell, EACCES),
		PROBE(signal_parent, EPERM),
	};

	if (!has_landlock())
		skip();
	ASK(enter_monitor, probes);
}

static void
of_roots_powers_the_monitor_keeps_three(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(become_nobody, WORKS),
		PROBE(give_file_away, EPERM),
		PROBE(read_others_file, EACCES),
	};

	if (geteuid() != 0) {
		print_message("skipped: only root has powers to lose\n");
		skip();
	}
	assert_int_equal(open_and_close(inside, O_WRONLY | O_CREAT), 0);
	ASK(enter_monitor, probes);
}

static void
what_only_an_attacker_wants_of_the_worker_kills_it(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(run_shell, KILLED),
		PROBE(make_process, KILLED),
		PROBE(trace_parent, KILLED),
		PROBE(read_parent, KILLED),
		PROBE(make_ring, KILLED),
		PROBE(become_root, KILLED),
		PROBE(make_namespace, KILLED),
		PROBE(load_bpf, KILLED),
		PROBE(use_keyring, KILLED),
	};

	ASK(enter_worker, probes);
}

static void
the_worker_has_no_sockets_no_processes_and_makes_threads(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(make_thread_like, EPERM),
		PROBE(inet_socket, EPERM),
		PROBE(unix_socket, EPERM),
		PROBE(signal_parent, EPERM),
		PROBE(make_thread, WORKS),
		PROBE(lock_memory, WORKS),
	};

	ASK(enter_worker, probes);
}

static void
the_worker_finds_the_token_and_no_other_files(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(write_token, WORKS),
		PROBE(read_conf, WORKS),
		PROBE(load_library_file, WORKS),
		PROBE(read_passwd, EACCES),
		PROBE(read_catalog, EACCES),
		PROBE(read_mem, EACCES),
		PROBE(write_outside, EACCES),
	};

	if (!has_landlock())
		skip();
	ASK(enter_worker, probes);
}

static void
a_vendors_module_may_use_the_network_and_start_nothing(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(run_shell, EPERM), PROBE(make_process, EPERM), PROBE(make_thread_like, EPERM),
		PROBE(trace_parent, EPERM), PROBE(read_parent, EPERM), PROBE(make_ring, EPERM),
		PROBE(become_root, EPERM), PROBE(make_namespace, EPERM), PROBE(load_bpf, EPERM),
		PROBE(use_keyring, EPERM), PROBE(inet_socket, WORKS), PROBE(make_thread, WORKS),
		PROBE(write_outside, WORKS), /* until hsm.module_paths is set */
	};

	ASK(enter_vendor, probes);
}

static void
module_paths_confine_a_vendors_module(void **state)
{
	(void)state;
	static const struct probe probes[] = {
		PROBE(write_token, WORKS),
		PROBE(inet_socket, WORKS),
		PROBE(read_passwd, EACCES),
		PROBE(write_outside, EACCES),
	};

	if (!has_landlock())
		skip();
	ASK(enter_named_vendor, probes);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_only_an_attacker_wants_of_the_front_kills_it),
		T(what_the_front_does_not_need_fails),
		T(what_the_front_needs_works),
		T(the_front_finds_no_files_but_its_own),
		T(the_monitor_starts_processes_and_does_little_else),
		T(the_monitor_of_a_vendors_module_leaves_it_the_network),
		T(the_monitor_writes_and_runs_only_what_its_children_need),
		T(of_roots_powers_the_monitor_keeps_three),
		T(what_only_an_attacker_wants_of_the_worker_kills_it),
		T(the_worker_has_no_sockets_no_processes_and_makes_threads),
		T(the_worker_finds_the_token_and_no_other_files),
		T(a_vendors_module_may_use_the_network_and_start_nothing),
		T(module_paths_confine_a_vendors_module),
		T(without_locked_memory_the_front_does_not_start),
	};

	return cmocka_run_group_tests_name("kms_sandbox", tests, NULL, NULL);
}
