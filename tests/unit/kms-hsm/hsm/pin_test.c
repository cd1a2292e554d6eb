#include "slk_test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hsm/pin.h"
#include "tempdir.h"

struct fixture {
	char dir[256], pin[300], state[300];
	struct hsm_pin_file *file;
};

/* Old enough to count as settled. */
static void
write_pin(const struct fixture *f, const char *text, time_t mtime)
{
	struct timespec times[2] = {{mtime, 5}, {mtime, 5}};

	(void)unlink(f->pin);
	int fd = open(f->pin, O_WRONLY | O_CREAT | O_EXCL, 0400);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct slk_error err;

	tempdir_make(f->dir, sizeof(f->dir));
	snprintf(f->pin, sizeof(f->pin), "%s/pin", f->dir);
	snprintf(f->state, sizeof(f->state), "%s/state", f->dir);
	write_pin(f, "1234", 1000);
	assert_ok(hsm_pin_open(f->pin, f->state, HSM_PIN_ALONE, &f->file, &err));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	hsm_pin_close(f->file);
	tempdir_remove(f->dir);
	free(f);
	return 0;
}

static int
begin(struct fixture *f, const char *serial)
{
	struct slk_secret *pin = NULL;
	struct slk_error err = {0};

	int rc = hsm_pin_begin(f->file, serial, &pin, &err);
	slk_secret_free(pin);
	return rc;
}

static void
reopen(struct fixture *f)
{
	struct slk_error err;

	hsm_pin_close(f->file);
	assert_ok(hsm_pin_open(f->pin, f->state, HSM_PIN_ALONE, &f->file, &err));
}

static void
the_pin_is_read_without_its_newline(void **state)
{
	struct fixture *f = *state;
	struct slk_secret *pin = NULL;
	struct slk_error err;

	write_pin(f, "1234\n", 1000);
	assert_ok(hsm_pin_begin(f->file, "S", &pin, &err));
	assert_int_equal(slk_secret_len(pin), 4);
	assert_memory_equal(slk_secret_peek(pin), "1234", 4);
	slk_secret_free(pin);
}

static void
the_state_file_has_the_golden_line(void **state)
{
	struct fixture *f = *state;
	char line[257] = {0}, want[257];
	struct stat st;

	assert_ok(begin(f, "0123456789abcdef"));
	assert_ok(hsm_pin_end(f->file, true));
	assert_int_equal(stat(f->pin, &st), 0);
	int n = snprintf(want, sizeof(want),
		"sealock-pin 1 refused  dev=%llu ino=%llu size=4 mtime=1000000000005 "
		"serial=0123456789abcdef",
		(unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	memset(want + n, ' ', sizeof(want) - 2 - (size_t)n);
	want[255] = '\n';
	want[256] = '\0';
	int fd = open(f->state, O_RDONLY);
	assert_int_equal(read(fd, line, 257), 256);
	close(fd);
	assert_string_equal(line, want);
	assert_int_equal(stat(f->state, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
a_refused_pin_is_not_given_again_not_even_after_a_restart(void **state)
{
	struct fixture *f = *state;

	assert_ok(begin(f, "S"));
	assert_ok(hsm_pin_end(f->file, true));
	assert_int_equal(begin(f, "S"), SLK_PIN);
	reopen(f);
	assert_int_equal(begin(f, "S"), SLK_PIN);
}

static void
a_chmod_is_no_new_pin(void **state)
{
	struct fixture *f = *state;

	assert_ok(begin(f, "S"));
	assert_ok(hsm_pin_end(f->file, true));
	assert_int_equal(chmod(f->pin, 0400), 0);
	assert_int_equal(begin(f, "S"), SLK_PIN);
}

static void
a_new_file_is_a_new_try(void **state)
{
	struct fixture *f = *state;

	assert_ok(begin(f, "S"));
	assert_ok(hsm_pin_end(f->file, true));
	write_pin(f, "4321", 2000);
	assert_ok(begin(f, "S"));
}

static void
a_file_that_is_being_written_waits(void **state)
{
	struct fixture *f = *state;

	assert_ok(begin(f, "S"));
	assert_ok(hsm_pin_end(f->file, true));
	write_pin(f, "43", time(NULL));
	assert_int_equal(begin(f, "S"), SLK_AGAIN);
}

static void
another_token_has_not_refused_it(void **state)
{
	struct fixture *f = *state;

	assert_ok(begin(f, "S"));
	assert_ok(hsm_pin_end(f->file, true));
	assert_ok(begin(f, "T"));
}

static void
an_attempt_without_an_end_or_with_a_good_one_may_be_repeated(void **state)
{
	struct fixture *f = *state;

	assert_ok(begin(f, "S"));
	reopen(f);
	assert_ok(begin(f, "S"));
	assert_ok(hsm_pin_end(f->file, false));
	assert_ok(begin(f, "S"));
}

static void
only_one_process_may_hold_the_state(void **state)
{
	struct fixture *f = *state;
	struct hsm_pin_file *second = NULL;
	struct slk_error err = {0};

	assert_int_equal(
		hsm_pin_open(f->pin, f->state, HSM_PIN_ALONE, &second, &err), SLK_UNAVAILABLE);
	assert_null(second);
	assert_non_null(strstr(err.text, f->state));
}

static void
workers_may_share_it_but_not_with_one_that_wants_it_alone(void **state)
{
	struct fixture *f = *state;
	struct hsm_pin_file *second = NULL, *third = NULL;
	struct slk_error err = {0};

	hsm_pin_close(f->file);
	assert_ok(hsm_pin_open(f->pin, f->state, HSM_PIN_SHARED, &f->file, &err));
	assert_ok(hsm_pin_open(f->pin, f->state, HSM_PIN_SHARED, &second, &err));
	assert_int_equal(
		hsm_pin_open(f->pin, f->state, HSM_PIN_ALONE, &third, &err), SLK_UNAVAILABLE);
	assert_null(third);
	hsm_pin_close(second);
}

/* In the child: try, and tell how it went. */
static void
second_worker(const struct fixture *f, int fd)
{
	struct hsm_pin_file *file = NULL;
	struct slk_secret *pin = NULL;
	struct slk_error err = {0};
	char said = 'b';

	if (hsm_pin_open(f->pin, f->state, HSM_PIN_SHARED, &file, &err) != SLK_OK ||
		write(fd, &said, 1) != 1)
		_exit(9);
	int rc = hsm_pin_begin(file, "S", &pin, &err);
	said = rc == SLK_PIN ? 'r' : rc == SLK_OK ? 'p' : '?';
	_exit(write(fd, &said, 1) == 1 ? 0 : 9);
}

/* While the first worker tries the second one waits, and hears how it ended. */
static char
second_after(struct fixture *f, bool refused)
{
	int fds[2], status;
	char said = 0;

	assert_int_equal(pipe(fds), 0);
	assert_ok(begin(f, "S"));
	pid_t child = fork();
	if (child == 0)
		second_worker(f, fds[1]);
	assert_int_equal(read(fds[0], &said, 1), 1);
	struct pollfd p = {.fd = fds[0], .events = POLLIN};
	assert_int_equal(poll(&p, 1, 30), 0);
	assert_ok(hsm_pin_end(f->file, refused));
	assert_int_equal(read(fds[0], &said, 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(fds[0]);
	close(fds[1]);
	return said;
}

static void
a_second_worker_waits_for_the_first_one_s_attempt(void **state)
{
	struct fixture *f = *state;
	struct slk_error err = {0};

	hsm_pin_close(f->file);
	assert_ok(hsm_pin_open(f->pin, f->state, HSM_PIN_SHARED, &f->file, &err));
	assert_int_equal(second_after(f, false), 'p');
	assert_int_equal(second_after(f, true), 'r');
}

static void
an_attempt_that_is_given_up_is_nobody_s_refusal(void **state)
{
	struct fixture *f = *state;

	assert_ok(begin(f, "S"));
	hsm_pin_give_up(f->file);
	reopen(f);
	assert_ok(begin(f, "S"));
}

static void
open_permissions_and_empty_files_give_no_pin(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(chmod(f->pin, 0404), 0);
	assert_int_equal(begin(f, "S"), SLK_DENIED);
	write_pin(f, "", 1000);
	assert_int_equal(begin(f, "S"), SLK_TRUNCATED);
	char big[HSM_PIN_MAX + 2];
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	write_pin(f, big, 1000);
	assert_int_equal(begin(f, "S"), SLK_TOO_LARGE);
	/* None of these was an attempt. */
	struct stat st;
	assert_int_equal(stat(f->state, &st), 0);
	assert_int_equal(st.st_size, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_pin_is_read_without_its_newline),
		T(the_state_file_has_the_golden_line),
		T(a_refused_pin_is_not_given_again_not_even_after_a_restart),
		T(a_chmod_is_no_new_pin),
		T(a_new_file_is_a_new_try),
		T(a_file_that_is_being_written_waits),
		T(another_token_has_not_refused_it),
		T(an_attempt_without_an_end_or_with_a_good_one_may_be_repeated),
		T(only_one_process_may_hold_the_state),
		T(workers_may_share_it_but_not_with_one_that_wants_it_alone),
		T(a_second_worker_waits_for_the_first_one_s_attempt),
		T(an_attempt_that_is_given_up_is_nobody_s_refusal),
		T(open_permissions_and_empty_files_give_no_pin),
	};
	return cmocka_run_group_tests_name("hsm_pin_file", tests, NULL, NULL);
}
