/* The PIN: one attempt per operator action, whatever restarts; and the making of tokens. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

#include "hsm/worker.h"
#include "hsm_rig.h"

static struct hsm_rig rig;
static char good_pin[64];
/* Of the shape that CloudHSM wants, too. */
static const char wrong_pin[] = "crypto_user:not the pin";
static const char other_wrong_pin[] = "crypto_user:still not it";

static void
read_pin(void)
{
	FILE *f = fopen(rig.pin_file, "re");

	assert_non_null(f);
	size_t n = fread(good_pin, 1, sizeof(good_pin) - 1, f);
	good_pin[n] = '\0';
	fclose(f);
}

static int
setup(void **state)
{
	(void)state;
	hsm_rig_init(&rig, NULL);
	read_pin();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	hsm_rig_fini(&rig);
	return 0;
}

static void
write_pin(const char *pin)
{
	hsm_rig_write_pin(&rig, pin);
}

static uint64_t
logins(void)
{
	return p11shim_calls(rig.shim, P11SHIM_C_Login);
}

static void
a_wrong_pin_is_tried_once_and_calls_say_so(void **state)
{
	(void)state;
	uint8_t kcv[3];

	write_pin(wrong_pin);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_PIN_REFUSED);
	assert_int_equal(hsm_rig_create(&rig, 7, kcv), SLK_PIN);
	assert_int_equal(hsm_rig_create(&rig, 7, kcv), SLK_PIN);
	assert_int_equal(logins(), 1);
	assert_int_equal(atomic_load(&rig.shim->wrong_pins), 1);
	assert_true(hsm_rig_logged(&rig, "an operator is needed"));
	assert_false(hsm_rig_logged(&rig, wrong_pin));
}

static void
restarts_do_not_try_it_again(void **state)
{
	(void)state;
	uint8_t kcv[3];

	atomic_store(&rig.shim->pin_tries, 3);
	write_pin(wrong_pin);
	for (int i = 0; i < 6; i++) {
		hsm_rig_start(&rig);
		hsm_rig_wait_state(&rig, HSM_PIN_REFUSED);
		assert_int_equal(hsm_rig_create(&rig, 7, kcv), SLK_PIN);
		hsm_rig_stop(&rig);
	}
	assert_int_equal(logins(), 1);
	/* And so the token is not locked when the right one comes. */
	write_pin(good_pin);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_READY);
	assert_ok(hsm_rig_create(&rig, 7, kcv));
}

static void
a_new_pin_file_is_tried_by_the_running_worker(void **state)
{
	(void)state;
	uint8_t kcv[3];

	write_pin(wrong_pin);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_PIN_REFUSED);
	write_pin(other_wrong_pin);
	for (int i = 0; i < 400 && logins() < 2; i++)
		usleep(10000);
	assert_int_equal(logins(), 2);
	hsm_rig_wait_state(&rig, HSM_PIN_REFUSED);
	write_pin(good_pin);
	hsm_rig_wait_state(&rig, HSM_READY);
	assert_int_equal(logins(), 3);
	assert_ok(hsm_rig_create(&rig, 7, kcv));
}

static void
every_refusal_of_a_pin_stops(void **state)
{
	(void)state;
	static const CK_RV codes[] = {CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_PIN_EXPIRED,
		CKR_PIN_INVALID, CKR_PIN_LEN_RANGE};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		uint64_t before = logins();
		write_pin(good_pin);
		p11shim_fail(rig.shim, P11SHIM_C_Login, UINT64_MAX, codes[i]);
		for (int round = 0; round < 2; round++) {
			hsm_rig_start(&rig);
			hsm_rig_wait_state(&rig, HSM_PIN_REFUSED);
			hsm_rig_stop(&rig);
		}
		assert_int_equal(logins(), before + 1);
	}
}

static void
an_error_that_says_nothing_of_the_pin_is_tried_again(void **state)
{
	(void)state;
	p11shim_fail(rig.shim, P11SHIM_C_Login, 2, CKR_DEVICE_ERROR);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_READY);
	assert_int_equal(logins(), 3);
}

static void
a_pin_refused_while_running_stops_the_pool(void **state)
{
	(void)state;
	struct hsm_reply reply;
	uint8_t kcv[3];

	hsm_rig_start(&rig);
	assert_ok(hsm_rig_create(&rig, 7, kcv));
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &reply));
	uint64_t before = logins();
	p11shim_fail(rig.shim, P11SHIM_C_Login, UINT64_MAX, CKR_PIN_INCORRECT);
	atomic_store(&rig.shim->lose_login, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(hsm_rig_generate(&rig, 7, kcv, &reply), SLK_PIN);
	assert_int_equal(logins(), before + 1);
	assert_int_equal(hsm_rig_health(&rig).state, HSM_PIN_REFUSED);
}

static void
a_pin_file_that_others_can_read_is_not_used(void **state)
{
	(void)state;
	assert_int_equal(chmod(rig.pin_file, 0440), 0);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_LOST);
	assert_non_null(strstr(hsm_rig_health(&rig).text, "chmod 400"));
	assert_int_equal(logins(), 0);
	assert_int_equal(chmod(rig.pin_file, 0400), 0);
	hsm_rig_wait_state(&rig, HSM_READY);
}

static void
a_pin_file_that_is_a_link_or_missing_is_not_used(void **state)
{
	(void)state;
	char aside[128];

	snprintf(aside, sizeof(aside), "%s.aside", rig.pin_file);
	assert_int_equal(rename(rig.pin_file, aside), 0);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_LOST);
	assert_int_equal(symlink(aside, rig.pin_file), 0);
	usleep(300000);
	assert_int_equal(hsm_rig_health(&rig).state, HSM_LOST);
	assert_int_equal(logins(), 0);
	assert_int_equal(rename(aside, rig.pin_file), 0);
	hsm_rig_wait_state(&rig, HSM_READY);
}

static void
a_state_file_that_cannot_be_written_forbids_the_login(void **state)
{
	(void)state;
	/* A directory in its place: nothing could be remembered. */
	(void)unlink(rig.state_file);
	assert_int_equal(mkdir(rig.state_file, 0700), 0);
	hsm_rig_start(&rig);
	hsm_rig_wait_end(&rig);
	assert_int_not_equal(rig.exit_code, HSM_EXIT_CLEAN);
	assert_int_equal(logins(), 0);
}

static void
the_pin_is_in_no_argument_environment_or_log(void **state)
{
	(void)state;
	char path[64], bytes[65536];

	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_READY);
	static const char *const files[] = {"cmdline", "environ"};
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", rig.worker, files[i]);
		FILE *f = fopen(path, "re");
		if (f == NULL)
			continue; /* not root: an undumpable process shows nothing */
		size_t n = fread(bytes, 1, sizeof(bytes), f);
		fclose(f);
		assert_null(memmem(bytes, n, good_pin, strlen(good_pin)));
	}
	assert_false(hsm_rig_logged(&rig, good_pin));
}

/* --- making tokens --- */

static struct hsm_init_request
init_request(const char *label)
{
	return (struct hsm_init_request){.profile = hsm_profile_find("softhsm"),
		.module = HSM_RIG_SOFTHSM,
		.token_label = label,
		.pin_file = rig.pin_file,
		.state_file = rig.state_file,
		.softhsm_conf = rig.conf,
		.token_directory = rig.tokens,
		.user = rig.user,
		.pin_fd = -1};
}

static void
a_token_that_is_there_is_kept(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "this test makes SoftHSM tokens");
	struct hsm_init_request q = init_request("rig");
	struct hsm_init_result result;
	struct hsm_reply made, back;
	struct slk_error err = {0};
	uint8_t kcv[3];

	hsm_rig_start(&rig);
	assert_ok(hsm_rig_create(&rig, 7, kcv));
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &made));
	uint8_t bytes[48];
	memcpy(bytes, made.ciphertext.ptr, 48);
	made.ciphertext.ptr = bytes;
	/* While a worker holds the token nothing is even looked at. */
	assert_ok(hsm_init_token(&q, &result, &err));
	assert_true(result.existed && result.in_use);
	hsm_rig_stop(&rig);
	assert_ok(hsm_init_token(&q, &result, &err));
	assert_true(result.existed);
	assert_false(result.in_use);
	assert_int_equal(strlen(result.token_serial), 16);
	char before[64];
	strcpy(before, good_pin);
	read_pin();
	assert_string_equal(before, good_pin);
	hsm_rig_start(&rig);
	assert_ok(hsm_rig_unwrap(&rig, 7, kcv, &made, &back));
}

static void
expect_file(const char *path, mode_t mode)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(st.st_uid, rig.user != NULL ? 65534 : geteuid());
}

static void
pins_and_configuration_belong_to_the_worker_alone(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_CLOUDHSM, "this test makes SoftHSM tokens");
	hsm_rig_skip_on(RIG_NSS, "this test makes SoftHSM tokens");
	char so[128];

	snprintf(so, sizeof(so), "%s.so", rig.pin_file);
	expect_file(rig.pin_file, 0400);
	expect_file(so, 0400);
	expect_file(rig.conf, 0600);
	expect_file(rig.tokens, 0700);
	assert_int_equal(strlen(good_pin), 32);
}

static void
a_run_that_was_cut_off_is_finished(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_CLOUDHSM, "this test makes SoftHSM tokens");
	hsm_rig_skip_on(RIG_NSS, "this test makes SoftHSM tokens");
	struct hsm_init_request q = init_request("second");
	struct hsm_init_result result;
	struct slk_error err = {0};
	char pin[128];

	/* The PIN file was written, the token was not made. */
	snprintf(pin, sizeof(pin), "%s/second.pin", rig.dir);
	int fd = open(pin, O_WRONLY | O_CREAT, 0400);
	assert_int_equal(write(fd, "12345678", 8), 8);
	if (rig.user != NULL)
		assert_int_equal(fchown(fd, 65534, 65534), 0);
	close(fd);
	q.pin_file = pin;
	assert_ok(hsm_init_token(&q, &result, &err));
	assert_false(result.existed);
	rig.label = "second";
	write_pin("12345678");
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_READY);
	assert_int_equal(atomic_load(&rig.shim->wrong_pins), 0);
}

static void
a_given_pin_comes_by_descriptor(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_CLOUDHSM, "this test makes SoftHSM tokens");
	hsm_rig_skip_on(RIG_NSS, "this test makes SoftHSM tokens");
	struct hsm_init_request q = init_request("third");
	struct hsm_init_result result;
	struct slk_error err = {0};
	char pin[128];
	int fds[2];

	snprintf(pin, sizeof(pin), "%s/third.pin", rig.dir);
	q.pin_file = pin;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "given-pin\n", 10), 10);
	close(fds[1]);
	q.pin_fd = fds[0];
	assert_ok(hsm_init_token(&q, &result, &err));
	close(fds[0]);
	rig.label = "third";
	write_pin("given-pin");
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_READY);
}

static void
a_missing_module_is_named(void **state)
{
	(void)state;
	struct hsm_init_request q = init_request("fourth");
	struct hsm_init_result result;
	struct slk_error err = {0};

	q.module = "/nonexistent/module.so";
	assert_int_equal(hsm_init_token(&q, &result, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, "/nonexistent/module.so"));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_wrong_pin_is_tried_once_and_calls_say_so),
		T(restarts_do_not_try_it_again),
		T(a_new_pin_file_is_tried_by_the_running_worker),
		T(every_refusal_of_a_pin_stops),
		T(an_error_that_says_nothing_of_the_pin_is_tried_again),
		T(a_pin_refused_while_running_stops_the_pool),
		T(a_pin_file_that_others_can_read_is_not_used),
		T(a_pin_file_that_is_a_link_or_missing_is_not_used),
		T(a_state_file_that_cannot_be_written_forbids_the_login),
		T(the_pin_is_in_no_argument_environment_or_log),
		T(a_token_that_is_there_is_kept),
		T(pins_and_configuration_belong_to_the_worker_alone),
		T(a_run_that_was_cut_off_is_finished),
		T(a_given_pin_comes_by_descriptor),
		T(a_missing_module_is_named),
	};
	if (!hsm_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("hsm_pin", tests, NULL, NULL);
}
