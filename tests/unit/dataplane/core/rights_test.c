/* Who may put: how long an answer of the control thread speaks. The control thread is the test (--wrap). */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "rights.h"

#define AGE_NS (300 * SLK_NS_PER_S)

void __wrap_dp_control_ask(struct dp_control *control, struct dp_ask *ask);
struct dp_ask *__wrap_dp_control_answer(struct dp_control *control);
uint64_t __wrap_dp_control_rights_era(const struct dp_control *control);

static struct dp_rights *rights;
static struct dp_ask *asked; /* the one that waits for an answer */
static unsigned times; /* that was asked */
static bool ready; /* the answer may be taken */
static uint64_t era, now_ns;

void
__wrap_dp_control_ask(struct dp_control *control, struct dp_ask *ask)
{
	(void)control;
	asked = ask;
	times++;
}

struct dp_ask *
__wrap_dp_control_answer(struct dp_control *control)
{
	(void)control;
	if (!ready)
		return NULL;
	ready = false;
	struct dp_ask *ask = asked;
	asked = NULL;
	return ask;
}

uint64_t
__wrap_dp_control_rights_era(const struct dp_control *control)
{
	(void)control;
	return era;
}

static uint64_t
now(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static int
setup(void **state)
{
	static const struct slk_clock clock = {now, now, NULL};

	(void)state;
	asked = NULL;
	times = 0;
	ready = false;
	era = 1;
	now_ns = 1000 * SLK_NS_PER_S;
	return dp_rights_new(NULL, &clock, AGE_NS, &rights);
}

static int
teardown(void **state)
{
	(void)state;
	dp_rights_free(rights);
	return 0;
}

static struct dp_right *
answer(int status)
{
	assert_non_null(asked);
	asked->status = status;
	asked->era = era;
	asked->stream_id = 7;
	asked->slot = 3;
	asked->worker = 1;
	asked->encrypted_kms = true;
	(void)snprintf(asked->error.text, sizeof(asked->error.text), "no, says kmsd");
	ready = true;
	return dp_rights_take(rights);
}

static void
a_yes_speaks_for_its_age_and_is_asked_for_again_before(void **state)
{
	(void)state;
	struct dp_right *r = dp_right_hold(rights, 1000, false, "web");

	assert_false(dp_right_known(rights, r));
	assert_false(dp_right_known(rights, r));
	assert_int_equal(times, 1); /* once, however often it is wanted */
	assert_int_equal(asked->uid, 1000);
	assert_string_equal(asked->stream, "web");
	assert_false(asked->trusted);
	assert_ptr_equal(answer(SLK_OK), r);
	assert_true(dp_right_known(rights, r));
	assert_int_equal(r->status, SLK_OK);
	assert_int_equal(r->stream_id, 7);
	assert_int_equal(r->slot, 3);
	assert_int_equal(r->worker, 1);
	assert_true(r->encrypted_kms);
	assert_string_equal(r->sentence, "");
	now_ns += AGE_NS / 4 * 3 - 1;
	assert_true(dp_right_known(rights, r));
	assert_int_equal(times, 1);
	now_ns += 1;
	assert_true(dp_right_known(rights, r)); /* it still speaks, while it is asked for */
	assert_int_equal(times, 2);
	now_ns += AGE_NS / 4;
	assert_false(dp_right_known(rights, r)); /* and not longer, whoever does not answer */
	assert_ptr_equal(answer(SLK_OK), r);
	assert_true(dp_right_known(rights, r));
}

static void
a_refusal_speaks_for_two_seconds_and_what_may_pass_for_none(void **state)
{
	(void)state;
	struct dp_right *r = dp_right_hold(rights, 1000, false, "web");

	assert_false(dp_right_known(rights, r));
	answer(SLK_DENIED);
	assert_true(dp_right_known(rights, r));
	assert_int_equal(r->status, SLK_DENIED);
	assert_string_equal(r->sentence, "no, says kmsd");
	assert_int_equal(r->stream_id, 0);
	now_ns += 2 * SLK_NS_PER_S;
	assert_false(dp_right_known(rights, r));
	answer(SLK_UNAVAILABLE);
	assert_false(dp_right_known(rights, r));
	answer(SLK_NOT_FOUND);
	assert_false(dp_right_known(rights, r));
	assert_int_equal(times, 4);
}

static void
a_change_of_rights_ends_all_of_them(void **state)
{
	(void)state;
	struct dp_right *r = dp_right_hold(rights, 1000, false, "web");

	assert_false(dp_right_known(rights, r));
	answer(SLK_OK);
	era++;
	assert_false(dp_right_known(rights, r));
	/* An answer that was decided before the change speaks for nothing. */
	asked->era = era;
	era++;
	asked->status = SLK_OK;
	ready = true;
	assert_ptr_equal(dp_rights_take(rights), r);
	assert_false(dp_right_known(rights, r));
	answer(SLK_OK);
	assert_true(dp_right_known(rights, r));
	dp_right_spoil(r);
	assert_false(dp_right_known(rights, r));
}

static void
a_right_is_of_a_user_a_stream_and_how_it_is_authorised(void **state)
{
	(void)state;
	struct dp_right *r = dp_right_hold(rights, 1000, false, "web");

	assert_ptr_equal(dp_right_hold(rights, 1000, false, "web"), r);
	assert_ptr_not_equal(dp_right_hold(rights, 1001, false, "web"), r);
	assert_ptr_not_equal(dp_right_hold(rights, 1000, false, "webs"), r);
	struct dp_right *trusted = dp_right_hold(rights, 1000, true, "web");
	assert_ptr_not_equal(trusted, r);
	assert_false(dp_right_known(rights, trusted));
	assert_true(asked->trusted);
}

static void
nobody_takes_all_places_and_what_nobody_holds_gives_way(void **state)
{
	(void)state;
	char name[16];

	for (unsigned i = 0; i < DP_RIGHTS_OF_UID; i++) {
		(void)snprintf(name, sizeof(name), "s%u", i);
		assert_non_null(dp_right_hold(rights, 1000, false, name));
	}
	assert_null(dp_right_hold(rights, 1000, false, "one more"));
	struct dp_right *first = dp_right_hold(rights, 1000, false, "s0");
	assert_non_null(first); /* those that are there are */
	dp_right_drop(first);
	dp_right_drop(first);
	assert_non_null(dp_right_hold(rights, 1000, false, "one more"));
	for (unsigned i = 0; i < DP_RIGHTS_MAX - DP_RIGHTS_OF_UID - 1; i++) {
		struct dp_right *r = dp_right_hold(rights, 2000 + i, false, "s");
		assert_non_null(r);
		r->holders += i % 2; /* some of them stay */
		dp_right_drop(r);
	}
	for (unsigned i = 0; i < 1000; i++)
		assert_non_null(dp_right_hold(rights, 100000 + i, false, "t"));
}

static void
records_that_wait_are_given_up_at_the_end(void **state)
{
	(void)state;
	struct dp_right *r = dp_right_hold(rights, 1000, false, "web");
	struct dp_put a = {.tag = 1}, b = {.tag = 2};

	a.next = &b;
	r->waiting = &a;
	r->waiting_tail = &b;
	assert_ptr_equal(dp_rights_give_up(rights), &a);
	assert_ptr_equal(dp_rights_give_up(rights), &b);
	assert_null(dp_rights_give_up(rights));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_yes_speaks_for_its_age_and_is_asked_for_again_before),
		TEST(a_refusal_speaks_for_two_seconds_and_what_may_pass_for_none),
		TEST(a_change_of_rights_ends_all_of_them),
		TEST(a_right_is_of_a_user_a_stream_and_how_it_is_authorised),
		TEST(nobody_takes_all_places_and_what_nobody_holds_gives_way),
		TEST(records_that_wait_are_given_up_at_the_end),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
