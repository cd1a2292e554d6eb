/* The ways of the PIN into the HSM worker, with all of kmsd: file (kmsd_test), descriptor, systemd credential. One attempt
 * holds for each, whatever is restarted. */
#include "slk_test.h"

#include "kmsd_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct kmsd_rig rig;
static char right_pin[300], credentials[96];

static void
read_right_pin(void)
{
	FILE *f = fopen(rig.hsm.pin_file, "re");

	assert_non_null(f);
	assert_non_null(fgets(right_pin, sizeof(right_pin), f));
	right_pin[strcspn(right_pin, "\n")] = '\0';
	fclose(f);
	assert_int_equal(unlink(rig.hsm.pin_file), 0); /* nobody may fall back to it */
}

static int
setup(void **state)
{
	(void)state;
	kmsd_rig_init(&rig);
	read_right_pin();
	snprintf(credentials, sizeof(credentials), "%s/credentials", rig.base);
	return mkdir(credentials, 0700);
}

static int
teardown(void **state)
{
	(void)state;
	if (rig.pin_fd > 0)
		close(rig.pin_fd);
	kmsd_rig_fini(&rig);
	return 0;
}

static void
write_all(int fd, const char *pin)
{
	assert_true(fd >= 0);
	assert_int_equal(write(fd, pin, strlen(pin)), (ssize_t)strlen(pin));
}

/* Another one at each start, as whoever starts the service would make it. */
static void
by_descriptor(const char *pin)
{
	if (rig.pin_fd > 0)
		close(rig.pin_fd);
	rig.pin_lines = "";
	rig.pin_fd = memfd_create("pin", MFD_CLOEXEC);
	write_all(rig.pin_fd, pin);
}

/* As systemd does: a directory of root's, which neither front nor worker may enter, filled anew at each start. */
static void
by_credential(const char *pin)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/hsm-pin", credentials);
	(void)unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0400);
	write_all(fd, pin);
	close(fd);
	rig.pin_lines = "  pin_credential: hsm-pin\n";
	rig.credentials = credentials;
}

static void
serves_through_restarts(void)
{
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	kmsd_rig_replace(&rig, kmsd_rig_worker);
	kmsd_rig_replace(&rig, kmsd_rig_front);
	assert_int_equal(kmsd_rig_stop(&rig), 0);
}

static void
a_memfd_serves_every_worker_that_is_started(void **state)
{
	(void)state;
	by_descriptor(right_pin);
	serves_through_restarts();
}

static void
a_credential_serves_every_worker_that_is_started(void **state)
{
	(void)state;
	by_credential(right_pin);
	serves_through_restarts();
}

static void
is_tried_once(void (*hand_over)(const char *))
{
	for (int i = 0; i < 3; i++) {
		(void)unlink(rig.log);
		hand_over("this is not it");
		kmsd_rig_start(&rig);
		kmsd_rig_wait_logged(&rig, "an operator is needed");
		pid_t old = kmsd_rig_worker(&rig);
		kill(old, SIGKILL);
		for (int wait = 0; wait < 1000 && kmsd_rig_worker(&rig) == old; wait++)
			usleep(5000);
		assert_int_equal(kmsd_rig_stop(&rig), 0);
	}
	assert_int_equal(p11shim_calls(rig.hsm.shim, P11SHIM_C_Login), 1);
	/* And the right one is welcome. */
	hand_over(right_pin);
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
}

static void
a_wrong_one_by_descriptor_is_tried_once(void **state)
{
	(void)state;
	is_tried_once(by_descriptor);
}

static void
a_wrong_one_by_credential_is_tried_once(void **state)
{
	(void)state;
	is_tried_once(by_credential);
}

static void
two_ways_or_none_end_it_with_a_sentence(void **state)
{
	(void)state;
	rig.pin_lines = "";
	kmsd_rig_start(&rig);
	assert_int_equal(kmsd_rig_wait_end(&rig), 2);
	assert_true(kmsd_rig_logged(&rig, "there is no way to the PIN"));
	by_credential(right_pin);
	rig.pin_fd = memfd_create("pin", MFD_CLOEXEC);
	kmsd_rig_start(&rig);
	assert_int_equal(kmsd_rig_wait_end(&rig), 2);
	assert_true(kmsd_rig_logged(&rig, "there are two ways to the PIN"));
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_memfd_serves_every_worker_that_is_started),
		T(a_credential_serves_every_worker_that_is_started),
		T(a_wrong_one_by_descriptor_is_tried_once),
		T(a_wrong_one_by_credential_is_tried_once),
		T(two_ways_or_none_end_it_with_a_sentence),
	};

	if (!kmsd_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("kmsd_pin_ways", tests, NULL, NULL);
}
