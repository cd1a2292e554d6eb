/* How long streams are kept: by the list, by the bound, and while there is none. */
#include "slk_test.h"

#include "ages.h"
#include "base/clock.h"

#define HOURS(n) ((n)*3600ull * SLK_NS_PER_S)

static struct dp_ages *ages;

static void
tell(const uint64_t (*list)[2], size_t count)
{
	dp_ages_begin(ages);
	for (size_t i = 0; i < count; i++)
		dp_ages_add(ages, list[i][0], (uint32_t)list[i][1]);
	dp_ages_end(ages);
}

static void
streams_are_kept_as_the_list_says(void **state)
{
	(void)state;
	static const uint64_t list[][2] = {{7, 24}, {3, 168}, {9, 48}};

	assert_ok(dp_ages_new(0, &ages));
	assert_int_equal(dp_ages_of(ages, 7), 0); /* nothing is known yet: for ever */
	tell(list, 3);
	assert_int_equal(dp_ages_of(ages, 7), HOURS(24));
	assert_int_equal(dp_ages_of(ages, 3), HOURS(168));
	assert_int_equal(dp_ages_of(ages, 5), HOURS(168)); /* deleted: as the longest */
	dp_ages_begin(ages); /* a list that does not come to its end changes nothing */
	dp_ages_add(ages, 7, 48);
	assert_int_equal(dp_ages_of(ages, 7), HOURS(24));
	tell(list, 1);
	assert_int_equal(dp_ages_of(ages, 3), HOURS(24));
	tell(list, 0); /* a catalog without streams says nothing */
	assert_int_equal(dp_ages_of(ages, 7), 0);
	dp_ages_free(ages);
}

static void
bound_holds_for_all(void **state)
{
	(void)state;
	static const uint64_t list[][2] = {{1, 24}, {2, 8760}};

	assert_ok(dp_ages_new(HOURS(72), &ages));
	assert_int_equal(dp_ages_of(ages, 1), HOURS(72));
	tell(list, 2);
	assert_int_equal(dp_ages_of(ages, 1), HOURS(24));
	assert_int_equal(dp_ages_of(ages, 2), HOURS(72));
	assert_int_equal(dp_ages_of(ages, 3), HOURS(72));
	dp_ages_free(ages);
}

static void
many_streams_are_found(void **state)
{
	(void)state;
	assert_ok(dp_ages_new(0, &ages));
	dp_ages_begin(ages);
	for (uint32_t i = 1000; i > 0; i--)
		dp_ages_add(ages, i * 3, 24 + i);
	dp_ages_end(ages);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_int_equal(dp_ages_of(ages, i * 3), HOURS(24 + i));
	dp_ages_free(ages);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_are_kept_as_the_list_says),
		cmocka_unit_test(bound_holds_for_all),
		cmocka_unit_test(many_streams_are_found),
	};

	return cmocka_run_group_tests_name("dp_ages", tests, NULL, NULL);
}
