#include "slk_test.h"

#include "base/clock.h"
#include "renew.h"

#define S SLK_NS_PER_S
#define MS SLK_NS_PER_MS
#define INTERVAL (300 * S)

static struct dp_renew
started(uint64_t grace_ns)
{
	struct dp_renew r;

	dp_renew_init(&r, INTERVAL, grace_ns);
	return r;
}

/* Where it does not matter whether the end moved. */
static void
refuse(struct dp_renew *r, uint64_t now_ns, int status)
{
	bool moved = dp_renew_failed(r, now_ns, status);

	assert_true(!moved || r->live);
}

/* A renewal that has a key since second 1, with jitter in the middle: due at 80 %. */
static struct dp_renew
live(uint64_t grace_ns)
{
	struct dp_renew r = started(grace_ns);

	assert_int_equal(dp_renew_poll(&r, 1 * S, true, 0), DP_RENEW_FETCH);
	dp_renew_fetched(&r, 1 * S, UINT32_MAX / 2);
	return r;
}

static void
an_idle_stream_fetches_nothing(void **state)
{
	struct dp_renew r = started(0);

	(void)state;
	for (uint64_t t = 1; t < 1000; t++)
		assert_int_equal(dp_renew_poll(&r, t * S, false, 0), DP_RENEW_NONE);
	assert_int_equal(r.fetches, 0);
	assert_true(dp_renew_wake(&r, 5 * S) == UINT64_MAX);
}

static void
one_fetch_is_under_way_at_a_time(void **state)
{
	struct dp_renew r = started(0);

	(void)state;
	assert_int_equal(dp_renew_poll(&r, 1 * S, true, 0), DP_RENEW_FETCH);
	assert_int_equal(dp_renew_poll(&r, 2 * S, true, 0), DP_RENEW_NONE);
	dp_renew_fetched(&r, 1 * S, 0);
	assert_int_equal(dp_renew_poll(&r, 3 * S, true, 3 * S), DP_RENEW_NONE);
}

static void
the_next_key_is_fetched_ahead_between_75_and_85_percent(void **state)
{
	static const uint32_t jitters[] = {0, 1, UINT32_MAX / 3, UINT32_MAX / 2, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(jitters) / sizeof(jitters[0]); i++) {
		struct dp_renew r = started(0);
		assert_int_equal(dp_renew_poll(&r, 1 * S, true, 0), DP_RENEW_FETCH);
		dp_renew_fetched(&r, 1 * S, jitters[i]);
		uint64_t first = 0;
		for (uint64_t t = 1; t < 300 && first == 0; t++) {
			if (dp_renew_poll(&r, t * S + S, false, t * S) == DP_RENEW_FETCH)
				first = t;
		}
		assert_in_range(first, 225, 256);
	}
}

static void
a_stream_that_is_not_used_lets_its_key_run_out(void **state)
{
	struct dp_renew r = live(0);
	unsigned ended = 0;

	(void)state;
	for (uint64_t t = 2; t < 400; t++) {
		enum dp_renew_step step = dp_renew_poll(&r, t * S, false, 2 * S);
		assert_int_not_equal(step, DP_RENEW_FETCH);
		if (step == DP_RENEW_ENDED) {
			ended++;
			assert_int_equal(t, 301);
		}
	}
	assert_int_equal(ended, 1);
}

static void
without_grace_the_end_is_hard_though_the_kms_is_away(void **state)
{
	struct dp_renew r = live(0);

	(void)state;
	for (uint64_t t = 241 * S; t < 301 * S; t += 100 * MS) {
		enum dp_renew_step step = dp_renew_poll(&r, t, true, t);
		assert_int_not_equal(step, DP_RENEW_ENDED);
		if (step == DP_RENEW_FETCH)
			refuse(&r, t, SLK_UNAVAILABLE);
		assert_true(r.end_ns == 301 * S);
	}
	assert_int_equal(dp_renew_poll(&r, 301 * S, true, 300 * S), DP_RENEW_ENDED);
	assert_false(r.live);
}

/* Turns the machine until its key ends, each fetch failing with status; returns the end in seconds. */
static uint64_t
end_with(struct dp_renew *r, int status)
{
	for (uint64_t t = 241 * S; t < 5000 * S; t += 100 * MS) {
		enum dp_renew_step step = dp_renew_poll(r, t, true, t);
		if (step == DP_RENEW_ENDED)
			return t / S;
		if (step == DP_RENEW_FETCH)
			refuse(r, t, status);
	}
	return 0;
}

static void
grace_moves_the_end_while_the_kms_is_away_and_not_further(void **state)
{
	static const int away[] = {SLK_UNAVAILABLE, SLK_TIMEOUT, SLK_CLOSED};

	(void)state;
	for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++) {
		struct dp_renew r = live(600 * S);
		assert_in_range(end_with(&r, away[i]), 900, 901);
	}
}

static void
no_other_refusal_gets_grace(void **state)
{
	static const int refusals[] = {SLK_DENIED, SLK_DISABLED, SLK_INVALID_STATE, SLK_NOT_FOUND,
		SLK_LIMIT, SLK_THROTTLED, SLK_HSM, SLK_INTERNAL, SLK_INVALID};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct dp_renew r = live(600 * S);
		assert_int_equal(end_with(&r, refusals[i]), 301);
		assert_int_equal(r.error, refusals[i]);
	}
}

static void
a_refusal_within_the_grace_ends_the_key_at_once(void **state)
{
	struct dp_renew r = live(600 * S);
	uint64_t t = 241 * S;

	(void)state;
	for (; t < 400 * S; t += 100 * MS) {
		if (dp_renew_poll(&r, t, true, t) == DP_RENEW_FETCH)
			refuse(&r, t, SLK_UNAVAILABLE);
	}
	assert_true(r.live);
	while (dp_renew_poll(&r, t, true, t) != DP_RENEW_FETCH)
		t += 100 * MS;
	assert_true(dp_renew_failed(&r, t, SLK_DENIED));
	assert_int_equal(dp_renew_poll(&r, t + 1, true, t), DP_RENEW_ENDED);
}

/* A KMS that went away after it had refused does not give the key more time. */
static void
a_refusal_before_the_end_forfeits_the_grace(void **state)
{
	struct dp_renew r = live(600 * S);

	(void)state;
	assert_int_equal(dp_renew_poll(&r, 250 * S, true, 250 * S), DP_RENEW_FETCH);
	assert_false(dp_renew_failed(&r, 250 * S, SLK_DENIED));
	assert_int_equal(end_with(&r, SLK_UNAVAILABLE), 301);
	/* The next key has its own. */
	dp_renew_fetched(&r, 310 * S, 0);
	for (uint64_t t = 600 * S; t < 700 * S; t += 100 * MS) {
		if (dp_renew_poll(&r, t, true, t) == DP_RENEW_FETCH)
			refuse(&r, t, SLK_UNAVAILABLE);
	}
	assert_true(r.live);
}

static void
a_key_that_comes_within_the_grace_starts_an_interval_of_its_own(void **state)
{
	struct dp_renew r = live(600 * S);

	(void)state;
	assert_int_equal(dp_renew_poll(&r, 290 * S, true, 290 * S), DP_RENEW_FETCH);
	assert_true(dp_renew_failed(&r, 300 * S, SLK_UNAVAILABLE));
	assert_int_equal(dp_renew_poll(&r, 301 * S, true, 300 * S), DP_RENEW_FETCH);
	dp_renew_fetched(&r, 301 * S, 0);
	assert_true(r.end_ns == 601 * S);
	assert_int_equal(r.error, SLK_OK);
}

static void
failures_back_off_and_stay_bounded(void **state)
{
	struct dp_renew r = started(0);
	unsigned fetches = 0;

	(void)state;
	for (uint64_t t = 1 * S; t < 61 * S; t += 10 * MS) {
		if (dp_renew_poll(&r, t, true, 0) == DP_RENEW_FETCH) {
			fetches++;
			refuse(&r, t, SLK_UNAVAILABLE);
		}
	}
	assert_in_range(fetches, 28, 40); /* 100, 200, ... 1,600 ms, then each 2 s */
}

static void
a_changed_cmk_renews_at_once_and_keeps_the_old_key_until_then(void **state)
{
	struct dp_renew r = live(0);

	(void)state;
	dp_renew_force(&r);
	assert_int_equal(dp_renew_poll(&r, 10 * S, false, 9 * S), DP_RENEW_FETCH);
	assert_true(r.live);
	dp_renew_fetched(&r, 10 * S, 0);
	assert_int_equal(dp_renew_poll(&r, 11 * S, true, 11 * S), DP_RENEW_NONE);
}

static void
a_lost_key_is_fetched_again_when_wanted(void **state)
{
	struct dp_renew r = live(0);

	(void)state;
	dp_renew_lost(&r);
	assert_int_equal(dp_renew_poll(&r, 3 * S, false, 2 * S), DP_RENEW_NONE);
	assert_int_equal(dp_renew_poll(&r, 3 * S, true, 2 * S), DP_RENEW_FETCH);
}

static void
wake_is_never_after_the_end_or_the_due_time(void **state)
{
	struct dp_renew r = live(0);

	(void)state;
	assert_true(dp_renew_wake(&r, 2 * S) == r.due_ns);
	assert_true(dp_renew_wake(&r, 300 * S) <= r.end_ns);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_stream_fetches_nothing),
		cmocka_unit_test(one_fetch_is_under_way_at_a_time),
		cmocka_unit_test(the_next_key_is_fetched_ahead_between_75_and_85_percent),
		cmocka_unit_test(a_stream_that_is_not_used_lets_its_key_run_out),
		cmocka_unit_test(without_grace_the_end_is_hard_though_the_kms_is_away),
		cmocka_unit_test(grace_moves_the_end_while_the_kms_is_away_and_not_further),
		cmocka_unit_test(no_other_refusal_gets_grace),
		cmocka_unit_test(a_refusal_within_the_grace_ends_the_key_at_once),
		cmocka_unit_test(a_refusal_before_the_end_forfeits_the_grace),
		cmocka_unit_test(a_key_that_comes_within_the_grace_starts_an_interval_of_its_own),
		cmocka_unit_test(failures_back_off_and_stay_bounded),
		cmocka_unit_test(a_changed_cmk_renews_at_once_and_keeps_the_old_key_until_then),
		cmocka_unit_test(a_lost_key_is_fetched_again_when_wanted),
		cmocka_unit_test(wake_is_never_after_the_end_or_the_due_time),
	};

	return cmocka_run_group_tests_name("dp_renew", tests, NULL, NULL);
}
