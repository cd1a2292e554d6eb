/* When a lost token or worker is tried again */
#include "slk_test.h"

#include "hsm/backoff.h"

static const uint16_t jitters[] = {0, 1, UINT16_MAX / 2, UINT16_MAX};
#define JITTERS (sizeof(jitters) / sizeof(jitters[0]))

static void
no_wait_is_longer_than_4_s_however_long_the_outage(void **state)
{
	(void)state;
	for (unsigned tries = 0; tries < 100; tries++) {
		for (size_t i = 0; i < JITTERS; i++)
			assert_true(hsm_backoff_with(tries, HSM_BACKOFF_FIRST_NS,
					    HSM_BACKOFF_LAST_NS, jitters[i]) < 4 * SLK_NS_PER_S);
	}
	assert_true(hsm_backoff_with(UINT32_MAX, HSM_BACKOFF_FIRST_NS, HSM_BACKOFF_LAST_NS,
			    UINT16_MAX) < 4 * SLK_NS_PER_S);
}

static void
waits_double_up_to_the_last_step(void **state)
{
	const uint16_t middle = UINT16_MAX / 2 + 1;

	(void)state;
	assert_int_equal(hsm_backoff_with(0, 100, 3000, middle), 100);
	assert_int_equal(hsm_backoff_with(1, 100, 3000, middle), 200);
	assert_int_equal(hsm_backoff_with(4, 100, 3000, middle), 1600);
	assert_int_equal(hsm_backoff_with(5, 100, 3000, middle), 3000);
	assert_int_equal(hsm_backoff_with(16, 100, 3000, middle), 3000);
	assert_int_equal(hsm_backoff_with(64, 100, 3000, middle), 3000);
}

static void
a_wait_is_spread_by_a_quarter_and_never_nothing(void **state)
{
	(void)state;
	assert_int_equal(hsm_backoff_with(9, 100, 4000, 0), 3000);
	assert_in_range(hsm_backoff_with(9, 100, 4000, UINT16_MAX), 4990, 5000);
	for (unsigned i = 0; i < 100; i++)
		assert_in_range(hsm_backoff_ns(0, HSM_BACKOFF_FIRST_NS, HSM_BACKOFF_LAST_NS),
			HSM_BACKOFF_FIRST_NS * 3 / 4, HSM_BACKOFF_FIRST_NS * 5 / 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_wait_is_longer_than_4_s_however_long_the_outage),
		cmocka_unit_test(waits_double_up_to_the_last_step),
		cmocka_unit_test(a_wait_is_spread_by_a_quarter_and_never_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
