/* Names of indices by time, above all weeks around New Year; addresses of requests. */
#include "slk_test.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "search_name.h"

static uint64_t
at(int year, int month, int day, int hour)
{
	struct tm tm = {
		.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour};

	return (uint64_t)timegm(&tm) * SLK_NS_PER_S;
}

static void
expect_name(enum dlv_rotation rotation, uint64_t instant_ns, const char *expected)
{
	const struct dlv_search search = {.index = "my", .type = "", .rotation = rotation};
	char out[SEARCH_INDEX_MAX];

	assert_ok(search_index_name(&search, instant_ns, out));
	assert_string_equal(out, expected);
}

/* The example of Firehose's guide; but its week, which contradicts the guide's own rule. */
static void
test_rotation(void **state)
{
	uint64_t instant = at(2016, 2, 25, 13);

	(void)state;
	expect_name(DLV_ROTATE_NONE, instant, "my");
	expect_name(DLV_ROTATE_HOUR, instant, "my-2016-02-25-13");
	expect_name(DLV_ROTATE_DAY, instant, "my-2016-02-25");
	expect_name(DLV_ROTATE_WEEK, instant, "my-2016-w09");
	expect_name(DLV_ROTATE_MONTH, instant, "my-2016-02");
	expect_name(DLV_ROTATE_HOUR, at(2016, 2, 29, 23) + 3599 * SLK_NS_PER_S, "my-2016-02-29-23");
	expect_name(DLV_ROTATE_HOUR, at(2016, 3, 1, 0), "my-2016-03-01-00");
}

/* Weeks from Sunday to Saturday; the first has the year's first Saturday. */
static void
test_weeks(void **state)
{
	static const struct {
		int year, month, day;
		const char *name;
	} days[] = {
		{2020, 8, 15, "my-2020-w33"}, /* a Saturday */
		{2020, 8, 16, "my-2020-w34"},
		{2022, 1, 1, "my-2022-w01"}, /* a Saturday: a week of one day of its year */
		{2021, 12, 26, "my-2022-w01"},
		{2021, 12, 25, "my-2021-w52"},
		{2022, 1, 2, "my-2022-w02"},
		{2023, 1, 1, "my-2023-w01"}, /* a Sunday */
		{2022, 12, 31, "my-2022-w53"},
		{2022, 12, 24, "my-2022-w52"},
		{2024, 12, 29, "my-2025-w01"}, /* Sunday of the week with the 1st of January */
		{2024, 12, 31, "my-2025-w01"},
		{2025, 1, 4, "my-2025-w01"},
		{2025, 1, 5, "my-2025-w02"},
		{2028, 12, 30, "my-2028-w53"}, /* a leap year that begins on a Saturday */
		{2028, 12, 31, "my-2029-w01"},
		{1970, 1, 1, "my-1970-w01"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		uint64_t day = at(days[i].year, days[i].month, days[i].day, 0);
		expect_name(DLV_ROTATE_WEEK, day, days[i].name);
		expect_name(DLV_ROTATE_WEEK, day + 86400 * SLK_NS_PER_S - 1, days[i].name);
	}
}

/* Every day of 60 years: the week's number grows by one on Sundays, and begins anew with 01. */
static void
test_weeks_follow_each_other(void **state)
{
	const struct dlv_search search = {.index = "", .type = "", .rotation = DLV_ROTATE_WEEK};
	char before[SEARCH_INDEX_MAX] = "-1970-w01";
	uint64_t day = at(1970, 1, 4, 0); /* a Sunday */

	(void)state;
	for (int i = 0; i < 60 * 366; i++, day += 86400 * SLK_NS_PER_S) {
		char now[SEARCH_INDEX_MAX];
		assert_ok(search_index_name(&search, day, now));
		assert_int_equal(strcmp(before, now) != 0, i % 7 == 0);
		assert_true(strcmp(before, now) <= 0); /* the names sort as time goes */
		strcpy(before, now);
	}
}

static void
test_a_name_that_is_too_long(void **state)
{
	char name[SEARCH_INDEX_MAX], out[SEARCH_INDEX_MAX] = "untouched";
	struct dlv_search search = {.index = name, .type = "", .rotation = DLV_ROTATE_HOUR};

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[255 - 14] = '\0';
	assert_ok(search_index_name(&search, at(2016, 2, 25, 13), out));
	name[255 - 14] = 'a';
	name[255 - 13] = '\0';
	assert_int_equal(search_index_name(&search, at(2016, 2, 25, 13), out), SLK_TOO_LARGE);
}

static void
expect_url(const char *endpoint, const char *index, const char *type, const char *expected)
{
	const struct dlv_search search = {.endpoint = endpoint, .index = "unused", .type = type};
	char out[SEARCH_URL_MAX];

	assert_ok(search_url(&search, index, out));
	char *query = strchr(out, '?');
	assert_non_null(query);
	assert_non_null(strstr(query, "?filter_path="));
	*query = '\0';
	assert_string_equal(out, expected);
}

static void
test_urls(void **state)
{
	(void)state;
	expect_url("https://a:9200", "my-1", "", "https://a:9200/my-1/_bulk");
	expect_url("https://a:9200/", "my-1", "doc", "https://a:9200/my-1/doc/_bulk");
	expect_url("https://a/es//", "x", "", "https://a/es/x/_bulk");
	expect_url(
		"https://a", "a/../b?c#d%e", "f g", "https://a/a%2F..%2Fb%3Fc%23d%25e/f%20g/_bulk");
}

static void
test_a_url_that_is_too_long(void **state)
{
	char index[SEARCH_URL_MAX], out[SEARCH_URL_MAX];
	const struct dlv_search search = {.endpoint = "https://a", .index = "", .type = index};

	(void)state;
	memset(index, '/', sizeof(index) - 1);
	for (size_t len = 1; len < sizeof(index); len *= 2) {
		index[len] = '\0';
		int rc = search_url(&search, "my", out);
		if (len < 1024)
			assert_ok(rc);
		else
			assert_int_equal(rc, SLK_TOO_LARGE);
		index[len] = '/';
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_weeks),
		cmocka_unit_test(test_weeks_follow_each_other),
		cmocka_unit_test(test_a_name_that_is_too_long),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_a_url_that_is_too_long),
	};

	return cmocka_run_group_tests_name("delivery_search_name", tests, NULL, NULL);
}
