#include "slk_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "tempdir.h"

static char dir[256], inside[300], outside[300], file[320], other[320];

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	snprintf(inside, sizeof(inside), "%s/inside", dir);
	snprintf(outside, sizeof(outside), "%s/outside", dir);
	snprintf(file, sizeof(file), "%s/file", inside);
	snprintf(other, sizeof(other), "%s/file", outside);
	if (mkdir(inside, 0700) != 0 || mkdir(outside, 0700) != 0)
		return -1;
	int a = open(file, O_WRONLY | O_CREAT, 0600), b = open(other, O_WRONLY | O_CREAT, 0600);
	if (a < 0 || b < 0)
		return -1;
	close(a);
	close(b);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

/* Landlock is for good, so each step runs in a child. fn gives 0 or the number of what went wrong. */
static int
in_child(int (*fn)(void))
{
	int status = -1;

	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int
confine(unsigned kinds, unsigned inside_access)
{
	const struct slk_sandbox_path paths[] = {{inside, inside_access}};
	struct slk_error err = {0};
	int abi = -1;

	int rc = slk_sandbox_files(kinds, paths, 1, &abi, &err);
	if (rc != SLK_OK)
		fprintf(stderr, "%s\n", err.text);
	return rc == SLK_OK ? abi : -1;
}

static int
landlock_abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
}

static void
need_abi(int abi)
{
	if (landlock_abi() >= abi)
		return;
	print_message("skipped: this kernel's Landlock ABI is %d, and %d is needed\n",
		landlock_abi(), abi);
	skip();
}

static bool
opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool
refused(const char *path, int flags)
{
	return !opens(path, flags) && errno == EACCES;
}

#define ALL (SLK_SANDBOX_READ | SLK_SANDBOX_WRITE | SLK_SANDBOX_REMOVE | SLK_SANDBOX_RUN)

static int
only_what_is_named(void)
{
	if (confine(ALL, SLK_SANDBOX_READ | SLK_SANDBOX_WRITE) < 1)
		return 1;
	if (!opens(file, O_RDWR) || !opens(inside, O_RDONLY))
		return 2;
	if (!refused(other, O_RDONLY) || !refused(other, O_WRONLY))
		return 3;
	if (!refused("/etc/passwd", O_RDONLY) || !refused(outside, O_RDONLY | O_DIRECTORY))
		return 4;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 5;
}

static void
a_file_outside_is_refused_and_one_inside_is_not(void **state)
{
	(void)state;
	need_abi(1);
	assert_int_equal(in_child(only_what_is_named), 0);
}

static int
read_only(void)
{
	if (confine(ALL, SLK_SANDBOX_READ) < 1)
		return 1;
	if (!opens(file, O_RDONLY) || !refused(file, O_WRONLY))
		return 2;
	if (landlock_abi() >= 3 && (truncate(file, 0) == 0 || errno != EACCES))
		return 3;
	return unlink(file) != 0 && errno == EACCES ? 0 : 4;
}

static void
reading_is_neither_writing_nor_removing(void **state)
{
	(void)state;
	need_abi(1);
	assert_int_equal(in_child(read_only), 0);
	assert_int_equal(access(file, F_OK), 0);
}

static int
make_odd_things(void)
{
	char path[400];

	if (confine(ALL, SLK_SANDBOX_READ | SLK_SANDBOX_WRITE | SLK_SANDBOX_REMOVE) < 1)
		return 1;
	snprintf(path, sizeof(path), "%s/new", inside);
	if (!opens(path, O_WRONLY | O_CREAT) || unlink(path) != 0)
		return 2;
	if (symlink("/etc/passwd", path) == 0 || errno != EACCES)
		return 3;
	if (mkfifo(path, 0600) == 0 || errno != EACCES)
		return 4;
	return rename(file, other) != 0 ? 0 : 5;
}

static void
links_and_fifos_are_never_made_and_nothing_is_moved_out(void **state)
{
	(void)state;
	need_abi(1);
	assert_int_equal(in_child(make_odd_things), 0);
	assert_int_equal(access(file, F_OK), 0);
}

static int
bind_at(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%.100s", path);
	int rc = fd >= 0 ? bind(fd, (struct sockaddr *)&at, sizeof(at)) : -1;
	int saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

static int
bind_twice(void)
{
	char path[400];

	if (chdir(outside) != 0 || confine(ALL, SLK_SANDBOX_BIND) < 1)
		return 1;
	if (bind_at("here") == 0 || errno != EACCES)
		return 2;
	snprintf(path, sizeof(path), "%s/s", inside);
	return bind_at(path) == 0 ? 0 : 3;
}

static void
a_socket_is_made_only_where_it_was_allowed(void **state)
{
	(void)state;
	need_abi(1);
	assert_int_equal(in_child(bind_twice), 0);
}

static int
run_something(void)
{
	if (confine(SLK_SANDBOX_RUN, SLK_SANDBOX_RUN) < 1)
		return 1;
	execl("/bin/true", "/bin/true", (char *)NULL);
	if (errno != EACCES)
		return 2;
	return opens("/etc/passwd", O_RDONLY) ? 0 : 3; /* what was not confined stays */
}

static void
nothing_else_can_be_run(void **state)
{
	(void)state;
	need_abi(1);
	assert_int_equal(in_child(run_something), 0);
}

static int
connect_somewhere(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || confine(SLK_SANDBOX_TCP, 0) < 1)
		return 1;
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno == EACCES ? 0 : 2;
}

static void
tcp_goes_nowhere(void **state)
{
	(void)state;
	need_abi(4);
	assert_int_equal(in_child(connect_somewhere), 0);
}

static int
signal_the_parent(void)
{
	if (confine(SLK_SANDBOX_OTHERS, 0) < 1)
		return 1;
	return kill(getppid(), 0) != 0 && errno == EPERM ? 0 : 2;
}

static void
others_cannot_be_signalled(void **state)
{
	(void)state;
	need_abi(6);
	assert_int_equal(in_child(signal_the_parent), 0);
}

static int
name_a_missing_path(void)
{
	const struct slk_sandbox_path paths[] = {
		{"/nowhere/at/all", SLK_SANDBOX_READ}, {NULL, SLK_SANDBOX_READ}};
	int abi = -1;

	if (slk_sandbox_files(ALL, paths, 2, &abi, NULL) != SLK_OK || abi < 1)
		return 1;
	return refused(file, O_RDONLY) ? 0 : 2;
}

static void
a_path_that_is_not_there_allows_nothing(void **state)
{
	(void)state;
	need_abi(1);
	assert_int_equal(in_child(name_a_missing_path), 0);
}

/* A kernel without Landlock, as far as this process can see. */
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

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0
		? 0
		: -1;
}

static int
without_landlock(void)
{
	if (take_landlock_away() != 0)
		return 1;
	if (confine(ALL, 0) != 0)
		return 2;
	return opens(file, O_RDONLY) ? 0 : 3;
}

static void
a_kernel_without_landlock_is_told_and_is_no_error(void **state)
{
	(void)state;
	assert_int_equal(in_child(without_landlock), 0);
}

/* --- limits --- */

static int
little_locked_memory(void)
{
	const struct slk_sandbox_limits wanted = {
		.files_count = 40, .locked_min_bytes = 1u << 20, .no_children = true};
	struct rlimit little = {65536, 65536}, now;
	struct slk_error err = {0};

	if (setrlimit(RLIMIT_MEMLOCK, &little) != 0)
		return 1;
	if (slk_sandbox_limit(&wanted, &err) != SLK_CONFIG)
		return 2;
	if (strstr(err.text, "64 KiB") == NULL || strstr(err.text, "LimitMEMLOCK") == NULL)
		return 3;
	return getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur != 40 ? 0 : 4;
}

static void
too_little_locked_memory_is_refused_with_a_sentence(void **state)
{
	(void)state;
	assert_int_equal(in_child(little_locked_memory), 0);
}

static int
few_files(void)
{
	const struct slk_sandbox_limits wanted = {.files_count = 40};
	struct rlimit now;
	struct slk_error err = {0};

	if (slk_sandbox_limit(&wanted, &err) != SLK_OK || getrlimit(RLIMIT_NOFILE, &now) != 0)
		return 1;
	if (now.rlim_cur != 40 || now.rlim_max != 40)
		return 2;
	const struct slk_sandbox_limits more = {.files_count = 41};
	if (slk_sandbox_limit(&more, &err) != SLK_CONFIG)
		return 3;
	return strstr(err.text, "LimitNOFILE") != NULL ? 0 : 4;
}

static void
descriptors_are_limited_and_never_raised(void **state)
{
	(void)state;
	assert_int_equal(in_child(few_files), 0);
}

static int
fork_as_nobody(void)
{
	const struct slk_sandbox_limits wanted = {.no_children = true};

	if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		return 1;
	if (slk_sandbox_limit(&wanted, NULL) != SLK_OK)
		return 2;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid < 0 && errno == EAGAIN ? 0 : 3;
}

static void
no_children_means_no_fork(void **state)
{
	(void)state;
	assert_int_equal(in_child(fork_as_nobody), 0);
}

static void
the_parent_of_a_path_is_never_the_root(void **state)
{
	(void)state;
	char out[16];

	assert_ok(slk_sandbox_parent("/a/b/c", out, sizeof(out), NULL));
	assert_string_equal(out, "/a/b");
	assert_ok(slk_sandbox_parent("/b", out, sizeof(out), NULL));
	assert_string_equal(out, "/b");
	assert_ok(slk_sandbox_parent("b", out, sizeof(out), NULL));
	assert_string_equal(out, "b");
	assert_int_equal(
		slk_sandbox_parent("/a234567890123456/b", out, sizeof(out), NULL), SLK_TOO_LARGE);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_file_outside_is_refused_and_one_inside_is_not),
		T(reading_is_neither_writing_nor_removing),
		T(links_and_fifos_are_never_made_and_nothing_is_moved_out),
		T(a_socket_is_made_only_where_it_was_allowed),
		T(nothing_else_can_be_run),
		T(tcp_goes_nowhere),
		T(others_cannot_be_signalled),
		T(a_path_that_is_not_there_allows_nothing),
		T(a_kernel_without_landlock_is_told_and_is_no_error),
		T(too_little_locked_memory_is_refused_with_a_sentence),
		T(descriptors_are_limited_and_never_raised),
		T(no_children_means_no_fork),
		T(the_parent_of_a_path_is_never_the_root),
	};

	return cmocka_run_group_tests_name("base_sandbox", tests, NULL, NULL);
}
