/* The worker on a token that fails in every way that the classes of hsm/rv.h know. */
#include "fault_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int
setup(void **state)
{
	(void)state;
	hsm_rig_init(&rig, NULL);
	start_with_key();
	return 0;
}

static int
setup_one_session(void **state)
{
	(void)state;
	hsm_rig_init(&rig, NULL);
	rig.sessions = 1;
	start_with_key();
	return 0;
}

/* One failure of that kind is healed within the call; nothing of the class above is touched. */
static void
healed_once(enum p11shim_function f, CK_RV rv, uint64_t logins, uint64_t initialises)
{
	uint64_t logins_before = calls(P11SHIM_C_Login),
		 initialises_before = calls(P11SHIM_C_Initialize);

	p11shim_fail(rig.shim, f, 1, rv);
	expect_unwraps();
	assert_int_equal(calls(P11SHIM_C_Login) - logins_before, logins);
	assert_int_equal(calls(P11SHIM_C_Initialize) - initialises_before, initialises);
	p11shim_heal(rig.shim, f);
	assert_int_equal(hsm_rig_health(&rig).state, HSM_READY);
}

static void
class_a_a_lost_session_is_replaced(void **state)
{
	(void)state;
	static const CK_RV codes[] = {CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED,
		CKR_OPERATION_ACTIVE, CKR_OPERATION_NOT_INITIALIZED};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		uint64_t opened = calls(P11SHIM_C_OpenSession);
		healed_once(P11SHIM_C_DecryptInit, codes[i], 0, 0);
		assert_int_equal(calls(P11SHIM_C_OpenSession), opened + 1);
	}
}

static void
class_a_twice_starts_the_token_anew(void **state)
{
	(void)state;
	uint64_t initialised = calls(P11SHIM_C_Initialize);

	p11shim_fail(rig.shim, P11SHIM_C_DecryptInit, 2, CKR_SESSION_HANDLE_INVALID);
	expect_unwraps();
	assert_int_equal(calls(P11SHIM_C_Initialize), initialised + 1);
}

static void
class_b_a_lost_login_is_renewed_with_one_attempt(void **state)
{
	(void)state;
	healed_once(P11SHIM_C_DecryptInit, CKR_USER_NOT_LOGGED_IN, 1, 0);
}

static void
class_c_a_stale_handle_is_found_again_and_checked_again(void **state)
{
	(void)state;
	uint64_t searches = calls(P11SHIM_C_FindObjectsInit),
		 reads = calls(P11SHIM_C_GetAttributeValue);

	healed_once(P11SHIM_C_DecryptInit, CKR_OBJECT_HANDLE_INVALID, 0, 0);
	assert_int_equal(calls(P11SHIM_C_FindObjectsInit), searches + 1);
	assert_int_equal(calls(P11SHIM_C_GetAttributeValue), reads + 2);
	healed_once(P11SHIM_C_DecryptInit, CKR_KEY_HANDLE_INVALID, 0, 0);
}

static void
class_d_a_lost_token_is_started_anew(void **state)
{
	(void)state;
	static const CK_RV codes[] = {CKR_DEVICE_REMOVED, CKR_DEVICE_ERROR, CKR_TOKEN_NOT_PRESENT,
		CKR_TOKEN_NOT_RECOGNIZED, CKR_CRYPTOKI_NOT_INITIALIZED, 0x80000384};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		healed_once(P11SHIM_C_Decrypt, codes[i], 1, 1);
	assert_int_equal(hsm_rig_health(&rig).recoveries_count, sizeof(codes) / sizeof(codes[0]));
}

static void
class_d_that_lasts_opens_the_breaker_and_heals_by_itself(void **state)
{
	(void)state;
	struct hsm_reply reply;

	atomic_store(&rig.shim->gone, 1);
	assert_int_equal(unwrap(&reply), SLK_UNAVAILABLE);
	assert_int_equal(reply.plaintext.len, 0);
	struct hsm_health h = hsm_rig_health(&rig);
	assert_int_equal(h.state, HSM_LOST);
	assert_true(strlen(h.text) > 0);
	/* The breaker answers without asking the token. */
	uint64_t asked = calls(P11SHIM_C_DecryptInit);
	assert_int_equal(unwrap(&reply), SLK_UNAVAILABLE);
	assert_int_equal(calls(P11SHIM_C_DecryptInit), asked);
	atomic_store(&rig.shim->gone, 0);
	hsm_rig_wait_state(&rig, HSM_READY);
	expect_unwraps();
}

static void
class_e_a_busy_token_is_asked_again_after_a_while(void **state)
{
	(void)state;
	static const CK_RV codes[] = {
		CKR_FUNCTION_FAILED, CKR_DEVICE_MEMORY, CKR_HOST_MEMORY, CKR_SESSION_COUNT};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		healed_once(P11SHIM_C_DecryptInit, codes[i], 0, 0);
}

static void
class_e_that_lasts_is_unavailable_while_the_canary_sings(void **state)
{
	(void)state;
	struct hsm_reply reply;

	/* Four tries of ours fail; the canary that follows is well. */
	p11shim_fail(rig.shim, P11SHIM_C_DecryptInit, 4, CKR_FUNCTION_FAILED);
	assert_int_equal(unwrap(&reply), SLK_UNAVAILABLE);
	assert_int_equal(hsm_rig_health(&rig).recoveries_count, 0);
	expect_unwraps();
}

static void
class_f_bad_data_is_told_from_a_broken_token_by_the_canary(void **state)
{
	(void)state;
	static const CK_RV codes[] = {
		CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_GENERAL_ERROR};
	struct hsm_reply reply;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		p11shim_fail(rig.shim, P11SHIM_C_Decrypt, 1, codes[i]);
		assert_int_equal(unwrap(&reply), SLK_INVALID_CIPHERTEXT);
		assert_int_equal(reply.plaintext.len, 0);
	}
	assert_int_equal(hsm_rig_health(&rig).recoveries_count, 0);
	expect_unwraps();
}

static void
a_general_error_with_a_dead_canary_is_a_lost_token(void **state)
{
	(void)state;
	struct hsm_reply reply;
	uint64_t initialised = calls(P11SHIM_C_Initialize);

	p11shim_fail(rig.shim, P11SHIM_C_Decrypt, UINT64_MAX, CKR_GENERAL_ERROR);
	int rc = unwrap(&reply);
	assert_int_not_equal(
		rc, SLK_INVALID_CIPHERTEXT); /* a sound blob must never be called bad */
	assert_int_not_equal(rc, SLK_OK);
	assert_true(calls(P11SHIM_C_Initialize) > initialised);
	p11shim_heal(rig.shim, P11SHIM_C_Decrypt);
	hsm_rig_wait_state(&rig, HSM_READY);
	expect_unwraps();
}

static void
class_g_what_the_token_cannot_do_is_not_tried_again(void **state)
{
	(void)state;
	struct hsm_reply reply;
	uint64_t asked = calls(P11SHIM_C_DecryptInit);

	p11shim_fail(rig.shim, P11SHIM_C_DecryptInit, 1, CKR_MECHANISM_INVALID);
	assert_int_equal(unwrap(&reply), SLK_UNSUPPORTED);
	assert_int_equal(calls(P11SHIM_C_DecryptInit), asked + 1);
	p11shim_fail(rig.shim, P11SHIM_C_DecryptInit, 1, CKR_KEY_FUNCTION_NOT_PERMITTED);
	assert_int_equal(unwrap(&reply), SLK_HSM);
	expect_unwraps();
}

static void
every_function_may_fail_once_with_every_class(void **state)
{
	(void)state;
	static const CK_RV codes[] = {CKR_SESSION_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN,
		CKR_OBJECT_HANDLE_INVALID, CKR_DEVICE_REMOVED, CKR_FUNCTION_FAILED,
		CKR_GENERAL_ERROR, CKR_MECHANISM_INVALID};
	struct hsm_reply reply;

	for (int f = 0; f < P11SHIM_COUNT; f++) {
		for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
			p11shim_fail(rig.shim, (enum p11shim_function)f, 1, codes[i]);
			if (hsm_rig_generate(&rig, 7, kcv, &reply) != SLK_OK)
				assert_int_equal(reply.plaintext.len + reply.ciphertext.len, 0);
			p11shim_heal(rig.shim, (enum p11shim_function)f);
			hsm_rig_wait_state(&rig, HSM_READY);
			expect_unwraps();
		}
	}
}

static void
a_login_lost_on_all_sessions_at_once_costs_one_login(void **state)
{
	(void)state;
	struct burst b = {0};
	uint64_t logins, initialised;

	hsm_rig_stop(&rig);
	rig.sessions = 8;
	hsm_rig_start(&rig);
	expect_unwraps();
	logins = calls(P11SHIM_C_Login);
	initialised = calls(P11SHIM_C_Initialize);
	atomic_store(&rig.shim->lose_login, 1);
	for (int i = 0; i < 64; i++)
		submit_generate(&b);
	finish(&b, 64);
	assert_int_equal(b.good, 64);
	assert_int_equal(calls(P11SHIM_C_Login), logins + 1);
	assert_int_equal(calls(P11SHIM_C_Initialize), initialised);
}

static void
all_sessions_lost_at_once_are_survived(void **state)
{
	(void)state;
	struct burst b = {0};

	for (int round = 0; round < 5; round++) {
		atomic_store(&rig.shim->lose_sessions, 1);
		for (int i = 0; i < 32; i++)
			submit_generate(&b);
		finish(&b, 32 * (round + 1));
	}
	assert_int_equal(b.good, 5 * 32);
	expect_unwraps();
}

static void
a_call_that_hangs_costs_the_worker_and_no_answer(void **state)
{
	(void)state;
	struct hsm_reply reply;

	hsm_rig_stop(&rig);
	rig.deadline_ms = 300;
	hsm_rig_start(&rig);
	expect_unwraps();
	p11shim_delay(rig.shim, P11SHIM_C_Decrypt, 1, 60000);
	struct hsm_request q = {.op = HSM_UNWRAP,
		.aad = slk_span_str("additional data"),
		.data = wrapped.ciphertext};
	memset(q.key_id, 7, 16);
	memcpy(q.kcv, kcv, 3);
	memcpy(q.iv, wrapped.iv, 12);
	q.mono_deadline_ns = slk_mono_ns(slk_clock_system()) + 200 * SLK_NS_PER_MS;
	hsm_rig_call(&rig, &q, &reply);
	assert_int_equal(reply.status, SLK_TIMEOUT);
	hsm_rig_wait_end(&rig);
	assert_int_equal(rig.exit_code, HSM_EXIT_HUNG);
	assert_true(hsm_rig_logged(&rig, "C_Decrypt"));
	p11shim_heal(rig.shim, P11SHIM_C_Decrypt);
	hsm_rig_start(&rig);
	expect_unwraps();
}

/* The third of eight stays in the module: it keeps neither what was done before it nor what comes behind it. */
static void
a_call_that_stays_away_holds_up_no_other(void **state)
{
	(void)state;
	struct burst b = {0};

	p11shim_delay_nth(rig.shim, P11SHIM_C_Encrypt, 3, 2000);
	uint64_t start_ns = slk_mono_ns(slk_clock_system());
	for (int i = 0; i < 8; i++)
		submit_generate(&b);
	finish(&b, 7);
	assert_true(slk_mono_ns(slk_clock_system()) - start_ns < 1500 * SLK_NS_PER_MS);
	assert_int_equal(b.answered, 7);
	assert_int_equal(b.good, 7);
	finish(&b, 8);
	assert_int_equal(b.good, 8);
	assert_int_equal(hsm_rig_health(&rig).state, HSM_READY);
}

static void
a_call_in_flight_when_the_worker_is_killed_is_answered_by_the_next(void **state)
{
	(void)state;
	struct burst b = {0};

	p11shim_delay(rig.shim, P11SHIM_C_Encrypt, 1, 60000);
	submit_generate(&b);
	usleep(20000);
	kill(rig.worker, SIGKILL);
	hsm_rig_wait_end(&rig);
	turn(1000);
	assert_int_equal(b.answered, 0);
	p11shim_heal(rig.shim, P11SHIM_C_Encrypt);
	hsm_rig_start(&rig);
	finish(&b, 1);
	assert_int_equal(b.good, 1);
}

static void
two_creations_of_one_id_at_once_make_one_key(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_CLOUDHSM, "a template is refused first, which counts as a call");
	struct hsm_request q = {.op = HSM_CREATE_KEY};
	struct burst b = {0};
	struct hsm_reply reply;

	uint64_t made = calls(P11SHIM_C_GenerateKey);
	memset(q.key_id, 0x21, 16);
	p11shim_delay(rig.shim, P11SHIM_C_GenerateKey, 2, 50);
	for (int i = 0; i < 4; i++)
		assert_ok(hsm_link_submit(rig.link, &q, count, &b));
	finish(&b, 4);
	assert_int_equal(b.good, 4);
	assert_int_equal(calls(P11SHIM_C_GenerateKey), made + 1);
	hsm_rig_call(&rig, &q, &reply);
	assert_ok(reply.status);
	assert_true(reply.existed);
}

static void
two_objects_with_one_id_are_refused_and_others_served(void **state)
{
	(void)state;
	struct hsm_reply reply;
	uint8_t other[3];

	assert_ok(hsm_rig_create(&rig, 8, other));
	hsm_rig_stop(&rig);
	memset(rig.shim->victim_id, 7, 16);
	atomic_store(&rig.shim->victim, 1);
	atomic_store(&rig.shim->doubled, 1);
	hsm_rig_start(&rig);
	assert_int_equal(hsm_rig_generate(&rig, 7, kcv, &reply), SLK_CORRUPT);
	assert_non_null(strstr(reply.error, "more than one"));
	assert_ok(hsm_rig_generate(&rig, 8, other, &reply));
	assert_int_equal(hsm_rig_health(&rig).keys_refused_count, 1);
	assert_true(hsm_rig_logged(&rig, "key refused"));
}

static void
an_extractable_key_is_refused_and_others_served(void **state)
{
	(void)state;
	struct hsm_reply reply;
	uint8_t other[3];

	assert_ok(hsm_rig_create(&rig, 8, other));
	hsm_rig_stop(&rig);
	memset(rig.shim->victim_id, 7, 16);
	atomic_store(&rig.shim->victim, 1);
	atomic_store(&rig.shim->extractable, 1);
	hsm_rig_start(&rig);
	assert_int_equal(hsm_rig_generate(&rig, 7, kcv, &reply), SLK_CORRUPT);
	assert_non_null(strstr(reply.error, "CKA_EXTRACTABLE"));
	assert_int_equal(unwrap(&reply), SLK_CORRUPT);
	assert_ok(hsm_rig_generate(&rig, 8, other, &reply));
}

static void
a_key_with_another_check_value_is_refused_and_others_served(void **state)
{
	(void)state;
	struct hsm_reply reply;
	uint8_t other[3];

	assert_ok(hsm_rig_create(&rig, 8, other));
	hsm_rig_stop(&rig);
	memset(rig.shim->victim_id, 7, 16);
	atomic_store(&rig.shim->victim, 1);
	atomic_store(&rig.shim->other_kcv, 1);
	hsm_rig_start(&rig);
	uint64_t encryptions = calls(P11SHIM_C_Encrypt);
	assert_int_equal(hsm_rig_generate(&rig, 7, kcv, &reply), SLK_CORRUPT);
	assert_non_null(strstr(reply.error, "check value"));
	assert_true(calls(P11SHIM_C_Encrypt) >= encryptions);
	assert_ok(hsm_rig_generate(&rig, 8, other, &reply));
}

/* --- the token directory is swapped for an empty one, and back --- */

static void
swap_out(char *aside, size_t cap)
{
	snprintf(aside, cap, "%s.aside", rig.tokens);
	assert_int_equal(rename(rig.tokens, aside), 0);
	assert_int_equal(mkdir(rig.tokens, 0700), 0);
	if (rig.user != NULL)
		assert_int_equal(chown(rig.tokens, 65534, 65534), 0);
}

static int
remove_tree(const char *path)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	return system(command);
}

static void
swap_in(const char *aside)
{
	assert_int_equal(remove_tree(rig.tokens), 0);
	assert_int_equal(rename(aside, rig.tokens), 0);
}

static void
a_token_swapped_for_an_empty_one_and_back_is_survived_under_load(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "NSS goes on with the database that it has open");
	char aside[128];
	struct burst b = {0};
	int sent = 0;

	for (int round = 0; round < 3; round++) {
		swap_out(aside, sizeof(aside));
		uint64_t made = calls(P11SHIM_C_GenerateKey);
		for (int i = 0; i < 50; i++, sent++) {
			submit_generate(&b);
			turn(2);
		}
		finish(&b, sent);
		assert_int_equal(hsm_rig_health(&rig).state, HSM_LOST);
		assert_true(calls(P11SHIM_C_GenerateKey) - made <=
			1); /* no key is made in place of the lost one */
		swap_in(aside);
		hsm_rig_wait_state(&rig, HSM_READY);
		expect_unwraps();
	}
	struct hsm_reply reply;
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &reply));
	assert_int_equal(hsm_rig_health(&rig).keys_refused_count, 0);
}

static void
a_worker_started_on_an_empty_token_directory_waits_for_the_token(void **state)
{
	(void)state;
	char aside[128];
	struct hsm_reply reply;

	hsm_rig_stop(&rig);
	swap_out(aside, sizeof(aside));
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_LOST);
	assert_int_equal(unwrap(&reply), SLK_UNAVAILABLE);
	assert_non_null(strstr(hsm_rig_health(&rig).text, "no token labelled 'rig'"));
	assert_int_equal(hsm_rig_health(&rig).logins_count, 0);
	swap_in(aside);
	hsm_rig_wait_state(&rig, HSM_READY);
	expect_unwraps();
}

static void
another_token_with_the_same_label_is_not_taken(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "NSS goes on with the database that it has open");
	char aside[128], pin[128], so[128];
	struct hsm_reply reply;
	struct hsm_init_request q = {.profile = hsm_profile_find("softhsm"),
		.module = HSM_RIG_SOFTHSM,
		.token_label = "rig",
		.pin_file = pin,
		.state_file = so,
		.softhsm_conf = rig.conf,
		.user = rig.user,
		.pin_fd = -1};
	struct hsm_init_result made;
	struct slk_error err;

	swap_out(aside, sizeof(aside));
	snprintf(pin, sizeof(pin), "%s/other.pin", rig.dir);
	snprintf(so, sizeof(so), "%s/other.state", rig.dir);
	assert_ok(hsm_init_token(&q, &made, &err));
	uint64_t logins = calls(P11SHIM_C_Login);
	assert_int_equal(unwrap(&reply), SLK_UNAVAILABLE);
	assert_int_equal(hsm_rig_health(&rig).state, HSM_LOST);
	/* Its PIN is another: had ours been tried, a try would be gone. */
	assert_int_equal(calls(P11SHIM_C_Login), logins);
	swap_in(aside);
	hsm_rig_wait_state(&rig, HSM_READY);
	expect_unwraps();
}

static void
a_token_that_is_busy_now_and_then_serves(void **state)
{
	(void)state;
	struct burst b = {0};

	atomic_store(&rig.shim->throttle_every, 7);
	for (int i = 0; i < 40; i++)
		submit_generate(&b);
	finish(&b, 40);
	assert_int_equal(b.good, 40);
	assert_int_equal(hsm_rig_health(&rig).recoveries_count, 0);
}

static void
a_token_with_too_few_sessions_serves_with_those_it_has(void **state)
{
	(void)state;
	struct burst b = {0};

	hsm_rig_stop(&rig);
	/* One for the login, the keeper's, and two for eight threads. */
	atomic_store(&rig.shim->sessions_max, 4);
	rig.sessions = 8;
	hsm_rig_start(&rig);
	for (int i = 0; i < 16; i++)
		submit_generate(&b);
	finish(&b, 16);
	assert_true(b.good > 0);
	assert_int_equal(hsm_rig_health(&rig).state, HSM_READY);
	atomic_store(&rig.shim->sessions_max, 0);
	expect_unwraps();
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define T1(fn) cmocka_unit_test_setup_teardown(fn, setup_one_session, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T1(class_a_a_lost_session_is_replaced),
		T1(class_a_twice_starts_the_token_anew),
		T1(class_b_a_lost_login_is_renewed_with_one_attempt),
		T1(class_c_a_stale_handle_is_found_again_and_checked_again),
		T1(class_d_a_lost_token_is_started_anew),
		T1(class_d_that_lasts_opens_the_breaker_and_heals_by_itself),
		T1(class_e_a_busy_token_is_asked_again_after_a_while),
		T1(class_e_that_lasts_is_unavailable_while_the_canary_sings),
		T1(class_f_bad_data_is_told_from_a_broken_token_by_the_canary),
		T1(a_general_error_with_a_dead_canary_is_a_lost_token),
		T1(class_g_what_the_token_cannot_do_is_not_tried_again),
		T1(every_function_may_fail_once_with_every_class),
		T(a_login_lost_on_all_sessions_at_once_costs_one_login),
		T(all_sessions_lost_at_once_are_survived),
		T(a_call_that_hangs_costs_the_worker_and_no_answer),
		T(a_call_that_stays_away_holds_up_no_other),
		T1(a_call_in_flight_when_the_worker_is_killed_is_answered_by_the_next),
		T(two_creations_of_one_id_at_once_make_one_key),
		T(two_objects_with_one_id_are_refused_and_others_served),
		T(an_extractable_key_is_refused_and_others_served),
		T(a_key_with_another_check_value_is_refused_and_others_served),
		T(a_token_swapped_for_an_empty_one_and_back_is_survived_under_load),
		T(a_worker_started_on_an_empty_token_directory_waits_for_the_token),
		T(another_token_with_the_same_label_is_not_taken),
		T(a_token_that_is_busy_now_and_then_serves),
		T(a_token_with_too_few_sessions_serves_with_those_it_has),
	};
	if (!hsm_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("hsm_fault", tests, NULL, NULL);
}
