#include "slk_test.h"

#include <string.h>

#include "base/secret.h"
#include "hsm/draw.h"

/* A module whose generator counts: 0, 1, 2 ... */
static uint8_t next_byte;
static CK_ULONG drawn_bytes;
static unsigned calls_count;
static CK_RV answer;

static CK_RV
count_up(CK_SESSION_HANDLE session, unsigned char *out, CK_ULONG len)
{
	assert_int_equal(session, 7);
	calls_count++;
	for (CK_ULONG i = 0; i < len; i++)
		out[i] = next_byte++;
	drawn_bytes += len;
	return answer;
}

static struct hsm_token token;
static struct hsm_session session;

static int
set_up(void **state)
{
	static CK_FUNCTION_LIST list = {.C_GenerateRandom = count_up};

	(void)state;
	memset(&token, 0, sizeof(token));
	token.module.fn = &list;
	token.clock = slk_clock_system();
	next_byte = 0;
	drawn_bytes = calls_count = 0;
	answer = CKR_OK;
	assert_ok(hsm_session_init(&session, &token, 0));
	session.handle = 7;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	hsm_session_fini(&session);
	return 0;
}

static bool
is_all_zero(void)
{
	const uint8_t *bytes = slk_secret_peek(session.drawn);
	uint8_t any = 0;

	for (size_t i = 0; i < HSM_SESSION_DRAWN; i++)
		any |= bytes[i];
	return any == 0;
}

static void
what_is_asked_for_alone_is_drawn_alone(void **state)
{
	uint8_t out[32];

	(void)state;
	assert_int_equal(hsm_draw(&session, out, 5), CKR_OK);
	assert_int_equal(drawn_bytes, 5);
	assert_int_equal(hsm_draw(&session, out, 32), CKR_OK);
	assert_int_equal(calls_count, 2);
	assert_int_equal(out[0], 5);
	assert_int_equal(out[31], 36);
	assert_true(is_all_zero());
}

static void
key_and_iv_of_all_that_wait_come_by_one_call_and_no_byte_twice(void **state)
{
	uint8_t out[32], expected = 0;

	(void)state;
	for (unsigned left = HSM_DRAW_AHEAD; left-- > 0;) {
		session.ahead_count = left;
		hsm_draw_ahead(&session, 44);
		assert_int_equal(hsm_draw(&session, out, 32), CKR_OK);
		assert_int_equal(out[0], expected);
		assert_int_equal(hsm_draw(&session, out, 12), CKR_OK);
		assert_int_equal(out[0], (uint8_t)(expected + 32));
		expected = (uint8_t)(expected + 44);
	}
	assert_int_equal(calls_count, 1);
	assert_int_equal(drawn_bytes, HSM_DRAW_AHEAD * 44);
	assert_true(is_all_zero());
}

static void
a_crowd_is_drawn_for_in_parts_that_the_memory_of_ivs_covers(void **state)
{
	uint8_t out[1024];

	(void)state;
	session.ahead_count = 60;
	hsm_draw_ahead(&session, 44);
	assert_int_equal(hsm_draw(&session, out, 32), CKR_OK);
	assert_int_equal(drawn_bytes, HSM_DRAW_AHEAD * 44);
	hsm_draw_drop(&session);
	hsm_draw_ahead(&session, 1036);
	assert_int_equal(hsm_draw(&session, out, 1024), CKR_OK);
	assert_int_equal(drawn_bytes, HSM_DRAW_AHEAD * 44 + 3 * 1036);
}

static void
what_is_dropped_is_gone_and_drawn_anew(void **state)
{
	uint8_t out[32];

	(void)state;
	session.ahead_count = 3;
	hsm_draw_ahead(&session, 44);
	assert_int_equal(hsm_draw(&session, out, 32), CKR_OK);
	assert_false(is_all_zero());
	hsm_draw_drop(&session);
	assert_true(is_all_zero());
	assert_int_equal(hsm_draw(&session, out, 12), CKR_OK);
	assert_int_equal(out[0], 4 * 44);
	assert_int_equal(calls_count, 2);
}

static void
bytes_of_a_call_that_failed_reach_nobody(void **state)
{
	uint8_t out[32] = {0xaa};

	(void)state;
	answer = CKR_DEVICE_ERROR;
	session.ahead_count = 3;
	hsm_draw_ahead(&session, 44);
	assert_int_equal(hsm_draw(&session, out, 32), CKR_DEVICE_ERROR);
	assert_int_equal(out[0], 0xaa);
	assert_int_equal(out[1], 0);
	answer = CKR_OK;
	assert_int_equal(hsm_draw(&session, out, 32), CKR_OK);
	assert_int_equal(out[0], 4 * 44);
	hsm_draw_drop(&session);
	assert_true(is_all_zero());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_asked_for_alone_is_drawn_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			key_and_iv_of_all_that_wait_come_by_one_call_and_no_byte_twice, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_crowd_is_drawn_for_in_parts_that_the_memory_of_ivs_covers, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_dropped_is_gone_and_drawn_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			bytes_of_a_call_that_failed_reach_nobody, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("hsm_draw", tests, NULL, NULL);
}
