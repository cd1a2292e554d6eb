#include "slk_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"

/* The VmFlags line of the mapping that holds addr, from /proc/self/smaps. */
static bool
mapping_has_flag(const void *addr, const char *flag)
{
	char line[512];
	bool in_range = false, found = false;
	FILE *f = fopen("/proc/self/smaps", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned long from, to;
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			in_range = (uintptr_t)addr >= from && (uintptr_t)addr < to;
		if (in_range && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	fclose(f);
	return found;
}

static void
a_secret_is_zeroed_locked_and_out_of_dumps(void **state)
{
	(void)state;
	struct slk_secret *s = NULL;
	assert_ok(slk_secret_new(100, &s));
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(slk_secret_bytes(s)[i], 0);
	assert_int_equal(slk_secret_len(s), 100);
	assert_true(mapping_has_flag(slk_secret_bytes(s), " lo ")); /* locked */
	assert_true(mapping_has_flag(slk_secret_bytes(s), " dd ")); /* not dumped */
	assert_true(mapping_has_flag(slk_secret_bytes(s), " wf ")); /* wiped on fork */
	slk_secret_free(s);
}

static void
sizes_out_of_range_are_refused(void **state)
{
	(void)state;
	struct slk_secret *s = NULL;
	assert_int_equal(slk_secret_new(0, &s), SLK_INVALID);
	assert_int_equal(slk_secret_new(262145, &s), SLK_INVALID);
	assert_null(s);
	assert_ok(slk_secret_new(262144, &s));
	slk_secret_bytes(s)[65535] = 1;
	slk_secret_free(s);
	slk_secret_free(NULL);
}

static void
a_child_sees_zeros(void **state)
{
	(void)state;
	struct slk_secret *s = NULL;
	assert_ok(slk_secret_from("hunter2", 7, &s));
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(memcmp(slk_secret_peek(s), "\0\0\0\0\0\0\0", 7) == 0 ? 0 : 1);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_memory_equal(slk_secret_peek(s), "hunter2", 7);
	slk_secret_free(s);
}

/* Reads beyond a page-sized secret must fault. AddressSanitizer does not see this memory, the
 * kernel does. */
static void
an_overrun_hits_the_guard_page(void **state)
{
	(void)state;
	struct slk_secret *s = NULL;
	assert_ok(slk_secret_new(4096, &s));
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		volatile uint8_t *p = slk_secret_bytes(s);
		_exit(p[4096] == 0 ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	slk_secret_free(s);
}

static void
a_secret_that_cannot_be_locked_is_refused(void **state)
{
	(void)state;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* Root with CAP_IPC_LOCK ignores the limit; become nobody first. */
		static const struct rlimit none = {0, 0};
		struct slk_secret *s = NULL;
		if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
			_exit(2);
		_exit(slk_secret_new(32, &s) == SLK_NO_MEMORY && s == NULL ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
a_kept_secret_comes_back_wiped_locked_and_in_its_place(void **state)
{
	(void)state;
	struct slk_secret *first = NULL, *second = NULL, *large = NULL;

	slk_secret_keep(1);
	assert_ok(slk_secret_from("hunter2", 7, &first));
	const uint8_t *at = slk_secret_peek(first);
	slk_secret_free(first);
	assert_ok(slk_secret_new(4097, &large)); /* two pages are not one */
	assert_ok(slk_secret_new(4096, &second));
	assert_ptr_equal(second, first);
	for (size_t i = 0; i < 4096; i++)
		assert_int_equal(slk_secret_peek(second)[i], 0);
	assert_int_equal(slk_secret_len(second), 4096);
	assert_true(mapping_has_flag(at, " lo "));
	slk_secret_free(large);
	slk_secret_free(second);
	assert_ok(slk_secret_new(7, &second));
	assert_ptr_equal(slk_secret_peek(second), at);
	slk_secret_free(second);
	slk_secret_keep(0);
	assert_false(mapping_has_flag(at, " lo "));
}

static int
pipe_with(const char *text)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
	close(fds[1]);
	return fds[0];
}

static void
a_pin_is_read_without_its_newline(void **state)
{
	(void)state;
	struct slk_secret *s = NULL;
	int fd = pipe_with("1234\n");
	assert_ok(slk_secret_from_fd(fd, 8, &s));
	assert_int_equal(slk_secret_len(s), 4);
	assert_memory_equal(slk_secret_peek(s), "1234", 4);
	slk_secret_free(s);
	close(fd);

	fd = pipe_with("\n");
	s = NULL;
	assert_int_equal(slk_secret_from_fd(fd, 8, &s), SLK_TRUNCATED);
	close(fd);
	fd = pipe_with("123456789");
	assert_int_equal(slk_secret_from_fd(fd, 8, &s), SLK_TOO_LARGE);
	close(fd);
	assert_int_equal(slk_secret_from_fd(-1, 8, &s), SLK_SYSTEM);
	assert_null(s);
}

static void
constant_time_comparison_compares(void **state)
{
	(void)state;
	uint8_t a[16] = {0}, b[16] = {0};
	assert_true(slk_equal_ct(a, b, 16));
	for (size_t i = 0; i < 16; i++) {
		b[i] = 0x80;
		assert_false(slk_equal_ct(a, b, 16));
		b[i] = 0;
	}
	assert_true(slk_equal_ct(a, "x", 0));
}

static void
random_bytes_differ(void **state)
{
	(void)state;
	uint8_t a[32] = {0}, b[32] = {0};
	assert_ok(slk_random(a, sizeof(a)));
	assert_ok(slk_random(b, sizeof(b)));
	assert_memory_not_equal(a, b, 32);
}

static void
a_hardened_process_is_undumpable(void **state)
{
	(void)state;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit core;
		bool good = slk_process_harden(NULL) == SLK_OK && prctl(PR_GET_DUMPABLE) == 0 &&
			getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 &&
			prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
		_exit(good ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_is_zeroed_locked_and_out_of_dumps),
		cmocka_unit_test(sizes_out_of_range_are_refused),
		cmocka_unit_test(a_child_sees_zeros),
		cmocka_unit_test(an_overrun_hits_the_guard_page),
		cmocka_unit_test(a_secret_that_cannot_be_locked_is_refused),
		cmocka_unit_test(a_kept_secret_comes_back_wiped_locked_and_in_its_place),
		cmocka_unit_test(a_pin_is_read_without_its_newline),
		cmocka_unit_test(constant_time_comparison_compares),
		cmocka_unit_test(random_bytes_differ),
		cmocka_unit_test(a_hardened_process_is_undumpable),
	};

	return cmocka_run_group_tests_name("base_secret", tests, NULL, NULL);
}
