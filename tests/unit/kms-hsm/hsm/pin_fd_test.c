/* A PIN that comes by a descriptor: what is remembered of it, and what is not. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "hsm/pin.h"
#include "hsm/pin_tag.h"
#include "tempdir.h"

#define NAME "the credential"

struct fixture {
	char dir[256], state[300];
	struct hsm_pin_file *file;
	int fd;
};

/* As after a restart of the service: another file, another descriptor. */
static void
hand_over(struct fixture *f, const char *pin)
{
	struct slk_error err;

	hsm_pin_close(f->file);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = memfd_create("pin", MFD_CLOEXEC);
	assert_true(f->fd >= 0);
	assert_int_equal(write(f->fd, pin, strlen(pin)), (ssize_t)strlen(pin));
	assert_ok(hsm_pin_open(NAME, f->state, HSM_PIN_ALONE, &f->file, &err));
	hsm_pin_use_fd(f->file, f->fd);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	tempdir_make(f->dir, sizeof(f->dir));
	snprintf(f->state, sizeof(f->state), "%s/state", f->dir);
	f->fd = -1;
	hand_over(f, "1234\n");
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	hsm_pin_close(f->file);
	close(f->fd);
	tempdir_remove(f->dir);
	free(f);
	return 0;
}

static int
begin(struct fixture *f, const char *serial, struct slk_error *err)
{
	struct slk_secret *pin = NULL;

	int rc = hsm_pin_begin(f->file, serial, &pin, err);
	assert_true((rc == SLK_OK) == (pin != NULL));
	slk_secret_free(pin);
	return rc;
}

static void
read_state(const struct fixture *f, char out[257])
{
	int fd = open(f->state, O_RDONLY);

	memset(out, 0, 257);
	assert_int_equal(read(fd, out, 257), 256);
	close(fd);
}

static void
siphash_is_the_published_one(void **state)
{
	(void)state;
	uint8_t key[16], message[15];

	for (size_t i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < 15; i++)
		message[i] = (uint8_t)i;
	assert_true(hsm_pin_siphash(key, message, 15) == 0xa129ca6149be45e5); /* the paper's */
	assert_true(hsm_pin_siphash(key, message, 0) == 0x726fdb47dd0e0e31);
	assert_true(hsm_pin_siphash(key, message, 8) == 0x93f5f5799a932462);
	assert_int_equal(hsm_pin_tag(key, message, 15), 0x45e5);
}

static void
each_attempt_reads_it_from_the_start(void **state)
{
	struct fixture *f = *state;
	struct slk_error err;

	for (int i = 0; i < 3; i++) {
		struct slk_secret *pin = NULL;
		assert_ok(hsm_pin_begin(f->file, "S", &pin, &err));
		assert_int_equal(slk_secret_len(pin), 4);
		assert_memory_equal(slk_secret_peek(pin), "1234", 4);
		slk_secret_free(pin);
		assert_ok(hsm_pin_end(f->file, false));
	}
}

static void
a_refused_one_is_known_again_in_another_file(void **state)
{
	struct fixture *f = *state;
	struct slk_error err;

	assert_ok(begin(f, "S", &err));
	assert_ok(hsm_pin_end(f->file, true));
	assert_int_equal(begin(f, "S", &err), SLK_PIN);
	hand_over(f, "1234\n");
	assert_int_equal(begin(f, "S", &err), SLK_PIN);
	assert_non_null(strstr(err.text, "remove the state file"));
	hand_over(f, "1234"); /* the newline is no part of it */
	assert_int_equal(begin(f, "S", &err), SLK_PIN);
}

static void
another_one_or_another_token_is_a_new_try(void **state)
{
	struct fixture *f = *state;
	struct slk_error err;

	assert_ok(begin(f, "S", &err));
	assert_ok(hsm_pin_end(f->file, true));
	assert_ok(begin(f, "T", &err));
	assert_ok(hsm_pin_end(f->file, true));
	hand_over(f, "12345");
	/* It has the other's tag once in 65,536 runs; then this test fails and may be run again. */
	assert_ok(begin(f, "T", &err));
	hsm_pin_give_up(f->file);
}

static void
removing_the_state_file_is_a_new_try(void **state)
{
	struct fixture *f = *state;
	struct slk_error err;

	assert_ok(begin(f, "S", &err));
	assert_ok(hsm_pin_end(f->file, true));
	assert_int_equal(unlink(f->state), 0);
	hand_over(f, "1234\n");
	assert_ok(begin(f, "S", &err));
	hsm_pin_give_up(f->file);
}

static void
an_attempt_without_a_verdict_may_be_repeated(void **state)
{
	struct fixture *f = *state;
	struct slk_error err;

	assert_ok(begin(f, "S", &err));
	hsm_pin_give_up(f->file);
	assert_ok(begin(f, "S", &err));
	hsm_pin_give_up(f->file);
}

static void
of_a_refused_one_sixteen_bits_are_kept_and_of_a_good_one_nothing(void **state)
{
	struct fixture *f = *state;
	char line[257], want[257], hex[33];
	uint8_t salt[16];
	struct slk_error err;

	assert_ok(begin(f, "0123456789abcdef", &err));
	assert_ok(hsm_pin_end(f->file, true));
	read_state(f, line);
	memcpy(hex, line + 28, 32);
	hex[32] = '\0';
	assert_ok(slk_unhex(hex, salt, 16));
	int n = snprintf(want, sizeof(want),
		"sealock-pin 2 refused  salt=%s tag=%04x serial=0123456789abcdef", hex,
		hsm_pin_tag(salt, (const uint8_t *)"1234", 4));
	memset(want + n, ' ', 255 - (size_t)n);
	want[255] = '\n';
	want[256] = '\0';
	assert_string_equal(line, want);

	hand_over(f, "4321");
	assert_ok(begin(f, "0123456789abcdef", &err));
	assert_ok(hsm_pin_end(f->file, false));
	read_state(f, line);
	assert_memory_equal(line,
		"sealock-pin 2 good     salt=00000000000000000000000000000000 tag=0000 "
		"serial=0123456789abcdef ",
		94);
	assert_int_equal(line[255], '\n');
}

static void
what_a_pin_file_remembered_does_not_count(void **state)
{
	struct fixture *f = *state;
	struct slk_error err;
	char path[320];

	snprintf(path, sizeof(path), "%s/pin", f->dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0400);
	assert_int_equal(write(fd, "1234", 4), 4);
	close(fd);
	hsm_pin_close(f->file);
	assert_ok(hsm_pin_open(path, f->state, HSM_PIN_ALONE, &f->file, &err));
	assert_ok(begin(f, "S", &err));
	assert_ok(hsm_pin_end(f->file, true));
	hand_over(f, "1234");
	assert_ok(begin(f, "S", &err)); /* another way is an operator's action */
	hsm_pin_give_up(f->file);
}

static void
a_pipe_and_an_empty_file_give_no_pin(void **state)
{
	struct fixture *f = *state;
	struct slk_error err;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "1234", 4), 4);
	hsm_pin_use_fd(f->file, fds[0]);
	assert_int_equal(begin(f, "S", &err), SLK_DENIED);
	assert_non_null(strstr(err.text, "memfd"));
	hand_over(f, "");
	assert_int_equal(begin(f, "S", &err), SLK_TRUNCATED);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(siphash_is_the_published_one),
		T(each_attempt_reads_it_from_the_start),
		T(a_refused_one_is_known_again_in_another_file),
		T(another_one_or_another_token_is_a_new_try),
		T(removing_the_state_file_is_a_new_try),
		T(an_attempt_without_a_verdict_may_be_repeated),
		T(of_a_refused_one_sixteen_bits_are_kept_and_of_a_good_one_nothing),
		T(what_a_pin_file_remembered_does_not_count),
		T(a_pipe_and_an_empty_file_give_no_pin),
	};

	return cmocka_run_group_tests_name("hsm_pin_fd", tests, NULL, NULL);
}
