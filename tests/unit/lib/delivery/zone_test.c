#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "delivery/zonerule.h"

static const char *const zones[] = {"Europe/Berlin", "Europe/Dublin", "America/New_York",
	"America/St_Johns", "America/Sao_Paulo", "Asia/Tokyo", "Asia/Kathmandu", "Asia/Tehran",
	"Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Kiritimati", "Pacific/Chatham",
	"America/Nuuk", "Asia/Gaza", "UTC"};

/* libc reads the same files with code of its own. */
static void
offsets_are_those_of_libc(void **state)
{
	(void)state;
	static uint8_t file[DLV_ZONE_FILE_MAX];

	for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
		size_t len = 0;
		assert_ok(dlv_zone_read(zones[z], file, &len));
		assert_int_equal(setenv("TZ", zones[z], 1), 0);
		tzset();
		/* To 2080, in steps of about 3 days and an hour that no calendar has. */
		for (time_t t = 86400; t < 3471292800; t += 264217) {
			struct dlv_zone_moment moment;
			struct tm tm;
			assert_non_null(localtime_r(&t, &tm));
			assert_ok(dlv_zone_at(slk_span(file, len), t, &moment));
			if (moment.offset_s != tm.tm_gmtoff ||
				strcmp(moment.abbreviation, tm.tm_zone) != 0)
				fail_msg("%s at %lld: %d %s, not %ld %s", zones[z], (long long)t,
					moment.offset_s, moment.abbreviation, tm.tm_gmtoff,
					tm.tm_zone);
		}
	}
}

static void
a_name_never_leaves_the_database(void **state)
{
	(void)state;
	static uint8_t file[DLV_ZONE_FILE_MAX];
	static const char *const bad[] = {"", "/etc/passwd", "../etc/passwd", "Etc/GMT+1",
		"right/UTC", "a.b", "Europe/Berlin\n",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	size_t len = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(dlv_zone_read(bad[i], file, &len), SLK_INVALID);
	assert_int_equal(dlv_zone_read("Europe", file, &len), SLK_NOT_FOUND);
	assert_int_equal(dlv_zone_read("Europe/Atlantis", file, &len), SLK_NOT_FOUND);
	assert_int_equal(dlv_zone_read("UTC/Berlin", file, &len), SLK_NOT_FOUND);
	assert_int_equal(len, 7);
}

static void
a_cut_or_foreign_file_is_refused(void **state)
{
	(void)state;
	static uint8_t file[DLV_ZONE_FILE_MAX];
	struct dlv_zone_moment moment = {.offset_s = 7};
	size_t len = 0;

	assert_ok(dlv_zone_read("Europe/Berlin", file, &len));
	for (size_t n = 0; n < len - 1; n++)
		assert_int_not_equal(dlv_zone_at(slk_span(file, n), 1790809139, &moment), SLK_OK);
	file[4] = '\0';
	assert_int_equal(dlv_zone_at(slk_span(file, len), 0, &moment), SLK_BAD_VERSION);
	file[0] = 'X';
	assert_int_equal(dlv_zone_at(slk_span(file, len), 0, &moment), SLK_MALFORMED);
	assert_int_equal(moment.offset_s, 7);
	assert_int_equal(dlv_zone_at(slk_span(file, len), -1, &moment), SLK_RANGE);
}

static void
rules_of_every_form_are_followed(void **state)
{
	(void)state;
	static const struct {
		const char *rule;
		int64_t unix_s;
		int32_t offset;
		const char *abbreviation;
	} good[] = {
		{"CET-1CEST,M3.5.0,M10.5.0/3", 1774746000, 7200, "CEST"}, /* 2026-03-29 01:00 */
		{"CET-1CEST,M3.5.0,M10.5.0/3", 1774745999, 3600, "CET"},
		{"<+0330>-3:30", 5, 12600, "+0330"},
		{"AAA3BBB2:30,J60/0,J61/0", 1772334000, -9000, "BBB"}, /* 2026-03-01 03:00: J60 */
		{"AAA0BBB,59/0,60/0", 1772323200, 3600, "BBB"}, /* 2026-03-01 00:00 */
		{"IST-2IDT,M3.4.4/26,M10.5.0", 1774569600, 10800, "IDT"}, /* 2026-03-27 00:00 */
		{"AAA0BBB,M11.1.0/-1,M2.1.0", 1767225600, 3600, "BBB"}, /* over new year */
	};
	static const char *const bad[] = {"", "AB1", "AAA", "AAA25", "AAA1BBB",
		"AAA1BBB,M13.1.0,M1.1.0", "AAA1BBB,M3.6.0,M1.1.0", "AAA1BBB,M3.1.0",
		"AAA1BBB,M3.1.0,M4.1.0x", "<AAA1", "AAA1BBB,366,1", "AAA1BBB,J0,J1",
		"AAAAAAAAAAAAAAAAAAAA1", "AAA1:60"};
	struct dlv_zone_moment moment;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_ok(dlv_zonerule_at(slk_span_str(good[i].rule), good[i].unix_s, &moment));
		assert_int_equal(moment.offset_s, good[i].offset);
		assert_string_equal(moment.abbreviation, good[i].abbreviation);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(dlv_zonerule_at(slk_span_str(bad[i]), 0, &moment), SLK_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets_are_those_of_libc),
		cmocka_unit_test(a_name_never_leaves_the_database),
		cmocka_unit_test(a_cut_or_foreign_file_is_refused),
		cmocka_unit_test(rules_of_every_form_are_followed),
	};

	return cmocka_run_group_tests_name("delivery_zone", tests, NULL, NULL);
}
