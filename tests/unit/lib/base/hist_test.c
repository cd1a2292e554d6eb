#include "slk_test.h"

#include "base/hist.h"
#include "base/status.h"

static void
empty_histogram_answers_zero(void **state)
{
	(void)state;
	static struct slk_hist h;
	slk_hist_init(&h);
	assert_int_equal(slk_hist_quantile(&h, 0.5), 0);
	assert_int_equal(h.count, 0);
}

static void
small_values_are_exact(void **state)
{
	(void)state;
	static struct slk_hist h;
	slk_hist_init(&h);
	for (uint64_t v = 0; v < 100; v++)
		slk_hist_add(&h, v < 64 ? v : 63, 1);
	assert_int_equal(slk_hist_quantile(&h, 0.10), 9);
	assert_int_equal(slk_hist_quantile(&h, 0.50), 49);
	assert_int_equal(slk_hist_quantile(&h, 1.0), 63);
}

static void
quantile_error_is_below_one_64th(void **state)
{
	(void)state;
	static struct slk_hist h;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int delta = -1; delta <= 1; delta++) {
			uint64_t v = (1ull << bit) + (uint64_t)(int64_t)delta;
			slk_hist_init(&h);
			slk_hist_add(&h, v, 1);
			slk_hist_add(&h, UINT64_MAX, 1);
			uint64_t q = slk_hist_quantile(&h, 0.5);
			assert_true(q >= v);
			assert_true(q - v <= v / 64);
		}
	}
}

static void
quantile_never_exceeds_max(void **state)
{
	(void)state;
	static struct slk_hist h;
	slk_hist_init(&h);
	slk_hist_add(&h, 1000001, 10);
	assert_int_equal(slk_hist_quantile(&h, 0.999), 1000001);
	assert_int_equal(h.min, 1000001);
	assert_int_equal(h.max, 1000001);
}

static void
merge_adds_up(void **state)
{
	(void)state;
	static struct slk_hist a, b;
	slk_hist_init(&a);
	slk_hist_init(&b);
	slk_hist_add(&a, 5, 3);
	slk_hist_add(&b, 900, 1);
	slk_hist_merge(&a, &b);
	assert_int_equal(a.count, 4);
	assert_int_equal(a.sum, 915);
	assert_int_equal(a.min, 5);
	assert_int_equal(a.max, 900);
	assert_int_equal(slk_hist_quantile(&a, 0.75), 5);
	assert_int_equal(slk_hist_quantile(&a, 0.76), 900);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_histogram_answers_zero),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(quantile_error_is_below_one_64th),
		cmocka_unit_test(quantile_never_exceeds_max),
		cmocka_unit_test(merge_adds_up),
	};

	return cmocka_run_group_tests_name("base_hist", tests, NULL, NULL);
}
