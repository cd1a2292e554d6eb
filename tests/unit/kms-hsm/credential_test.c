#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "credential.h"
#include "tempdir.h"

static char dir[256];
static char name[] = "hsm-pin", file[] = "/var/lib/sealock/hsm/pin";

static int
setup(void **state)
{
	char path[300];

	(void)state;
	tempdir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0400);
	if (fd < 0 || write(fd, "1234", 4) != 4 || close(fd) != 0)
		return -1;
	return setenv("CREDENTIALS_DIRECTORY", dir, 1);
}

static int
teardown(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

static void
refused(const struct kms_config_hsm *hsm, int handed_fd, const char *expected)
{
	struct slk_error err = {0};
	int fd = -7;

	assert_int_equal(kms_credential_open(hsm, handed_fd, &fd, &err), SLK_CONFIG);
	assert_int_equal(fd, -7);
	if (strstr(err.text, expected) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, expected);
}

static void
there_is_exactly_one_way(void **state)
{
	(void)state;
	struct kms_config_hsm hsm = {0};

	refused(&hsm, 0, "no way to the PIN");
	hsm.pin_file = file;
	hsm.pin_credential = name;
	refused(&hsm, 0, "two ways");
	hsm.pin_credential = NULL;
	refused(&hsm, 5, "two ways");
}

static void
a_pin_file_is_the_workers_own_business(void **state)
{
	(void)state;
	struct kms_config_hsm hsm = {.pin_file = file};
	int fd = -7;

	assert_ok(kms_credential_open(&hsm, 0, &fd, NULL));
	assert_int_equal(fd, 0);
}

static void
a_credential_is_opened_and_not_read(void **state)
{
	(void)state;
	struct kms_config_hsm hsm = {.pin_credential = name};
	int fd = -7;

	assert_ok(kms_credential_open(&hsm, 0, &fd, NULL));
	assert_true(fd > 2);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void
a_credential_that_systemd_did_not_give_is_named(void **state)
{
	(void)state;
	char other[] = "other";
	struct kms_config_hsm hsm = {.pin_credential = other};

	refused(&hsm, 0, "LoadCredential=other:FILE");
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	refused(&hsm, 0, "systemd gave no credentials");
}

static void
a_descriptor_must_be_readable_again(void **state)
{
	(void)state;
	struct kms_config_hsm hsm = {0};
	int fds[2], fd = -7;

	assert_int_equal(pipe(fds), 0);
	refused(&hsm, fds[0], "neither a regular file nor a memfd");
	close(fds[0]);
	close(fds[1]);
	refused(&hsm, fds[0], "there is no descriptor");
	int memory = memfd_create("pin", 0);
	assert_true(memory > 2);
	assert_ok(kms_credential_open(&hsm, memory, &fd, NULL));
	assert_int_equal(fd, memory);
	close(memory);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(there_is_exactly_one_way),
		T(a_pin_file_is_the_workers_own_business),
		T(a_credential_is_opened_and_not_read),
		T(a_credential_that_systemd_did_not_give_is_named),
		T(a_descriptor_must_be_readable_again),
	};

	return cmocka_run_group_tests_name("kms_credential", tests, NULL, NULL);
}
