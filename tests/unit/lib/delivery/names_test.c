#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "delivery/names.h"

#define ID "6f1c2d3e-4b5a-5978-8796-a5b4c3d2e1f0"
#define AT UINT64_C(1535365800000000000) /* 2018-08-27 10:30:00 UTC */
#define SUFFIX "clicks-3-2018-08-27-10-30-00-" ID
#define FAULT "Ths supplied prefix(es) do not satisfy the following constraint: "

static struct dlv_s3
s3_of(const char *prefix, const char *error_prefix)
{
	return (struct dlv_s3){.prefix = prefix,
		.error_prefix = error_prefix,
		.extension = "",
		.time_zone = "UTC"};
}

static void
assert_key(const struct dlv_s3 *s3, const char *error_type, const char *expected)
{
	struct dlv_name name = {"clicks", 3, AT, ID, error_type};
	char key[DLV_KEY_MAX];

	assert_ok(dlv_names_check(s3, NULL));
	assert_ok(dlv_names_key(s3, &name, key));
	assert_string_equal(key, expected);
}

static void
assert_prefix(
	const char *prefix, const char *error_prefix, const char *error_type, const char *evaluated)
{
	struct dlv_s3 s3 = s3_of(prefix, error_prefix);
	char expected[DLV_KEY_MAX];

	snprintf(expected, sizeof(expected), "%s" SUFFIX, evaluated);
	assert_key(&s3, error_type, expected);
}

static void
prefixes_become_what_firehose_makes_of_them(void **state)
{
	(void)state;
	const char *bad = "bad/!{firehose:error-output-type}/";

	assert_prefix("", "", NULL, "2018/08/27/10/");
	assert_prefix("legacy", "", NULL, "legacy2018/08/27/10/");
	assert_prefix("a/b/", "", NULL, "a/b/2018/08/27/10/");
	assert_prefix("!{timestamp:yyyy/MM/dd}", bad, NULL, "2018/08/27");
	assert_prefix("y=!{timestamp:yyyy}/m=!{timestamp:MM}/h=!{timestamp:HH}/", bad, NULL,
		"y=2018/m=08/h=10/");
	assert_prefix("!{timestamp:'year='yyyy'/month='MM'/day='dd'/hour='HH}/", bad, NULL,
		"year=2018/month=08/day=27/hour=10/");
	assert_prefix("{year}/!/", "", NULL, "{year}/!/2018/08/27/10/");
}

static void
error_prefixes_name_the_type_of_the_error(void **state)
{
	(void)state;
	const char *type = "processing-failed";

	assert_prefix("", "", type, "processing-failed/2018/08/27/10/");
	assert_prefix("mine/", "", type, "mine/processing-failed/2018/08/27/10/");
	assert_prefix("mine/", "bad/", type, "bad/processing-failed/2018/08/27/10/");
	assert_prefix("", "bad/!{firehose:error-output-type}/", type, "bad/processing-failed/");
	assert_prefix("x!{timestamp:yyyy}",
		"bad/!{firehose:error-output-type}/!{timestamp:yyyy}/any/!{timestamp:dd}", type,
		"bad/processing-failed/2018/any/27");
	assert_prefix("", "!{firehose:error-output-type}!{firehose:error-output-type}/", type,
		"processing-failedprocessing-failed/");
}

static void
random_strings_differ_by_place_and_batch_and_by_nothing_else(void **state)
{
	(void)state;
	struct dlv_s3 s3 = s3_of("!{firehose:random-string}/!{firehose:random-string}/",
		"!{firehose:error-output-type}");
	struct dlv_name name = {"clicks", 3, AT, ID, NULL};
	char first[DLV_KEY_MAX];
	char again[DLV_KEY_MAX];
	char other[DLV_KEY_MAX];

	assert_ok(dlv_names_key(&s3, &name, first));
	assert_ok(dlv_names_key(&s3, &name, again));
	assert_string_equal(first, again);
	assert_int_equal(
		strspn(first, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
		11);
	assert_int_equal(first[11], '/');
	assert_memory_not_equal(first, first + 12, 11);
	assert_string_equal(first + 24, "2018/08/27/10/" SUFFIX); /* no timestamp was in it */
	name.id = "7f1c2d3e-4b5a-5978-8796-a5b4c3d2e1f0";
	assert_ok(dlv_names_key(&s3, &name, other));
	assert_memory_not_equal(first, other, 11);
}

static void
zones_hold_for_prefix_and_suffix(void **state)
{
	(void)state;
	struct dlv_s3 s3 = s3_of("", "");

	s3.time_zone = "Asia/Tokyo";
	assert_key(&s3, NULL, "2018/08/27/19/clicks-3-2018-08-27-19-30-00-" ID);
	s3.time_zone = "";
	assert_key(&s3, NULL, "2018/08/27/10/" SUFFIX);
}

static void
extensions_go_by_compression_unless_one_is_given(void **state)
{
	(void)state;
	struct dlv_s3 s3 = s3_of("", "");

	s3.compression = DLV_GZIP;
	assert_key(&s3, NULL, "2018/08/27/10/" SUFFIX ".gz");
	s3.compression = DLV_ZSTD;
	assert_key(&s3, NULL, "2018/08/27/10/" SUFFIX ".zst");
	s3.extension = ".json.zst";
	assert_key(&s3, NULL, "2018/08/27/10/" SUFFIX ".json.zst");
}

static void
assert_refused(const char *prefix, const char *error_prefix, const char *sentence)
{
	struct dlv_s3 s3 = s3_of(prefix, error_prefix);
	struct slk_error err = {0};

	assert_int_equal(dlv_names_check(&s3, &err), SLK_INVALID);
	if (strstr(err.text, sentence) == NULL)
		fail_msg("%s: %s", prefix, err.text);
}

static void
what_firehose_refuses_is_refused(void **state)
{
	(void)state;
	const char *good = "e/!{firehose:error-output-type}/";

	assert_refused("!{timestamp:yyyy}", "",
		FAULT "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions");
	assert_refused(
		"!{firehose:random-string}", "", FAULT "ErrorOutputPrefix cannot be null or empty");
	assert_refused("!{firehose:error-output-type}", good, FAULT "Prefix cannot contain");
	assert_refused("", "e/!{timestamp:yyyy}", FAULT "ErrorOutputPrefix has to contain");
	assert_refused("!{timestamp:yyyy", good, "has no }");
	assert_refused("!{timestamp:}", good, "!{timestamp:} is none");
	assert_refused("!{timestamp}", good, "!{timestamp} is none");
	assert_refused("!{}", good, "!{} is none");
	assert_refused("!{time:yyyy}", good, "!{time:yyyy} is not an expression");
	assert_refused("!{firehose:random}", good, "!{firehose:random} is not an expression");
	assert_refused("!{partitionKeyFromQuery:id}", good, "dynamic partitioning");
	assert_refused("!{timestamp:b}", good, "Unknown pattern letter: b");
	assert_refused("!{timestamp:yyyy'}", good, "incomplete string literal");
	assert_refused("", "!{timestamp:b}", "Unknown pattern letter: b");
}

static void
lengths_are_limited_as_evaluated(void **state)
{
	(void)state;
	char prefix[1100] = "";
	struct dlv_s3 s3 = s3_of(prefix, "");

	memset(prefix, 'a', sizeof(prefix));
	prefix[DLV_PREFIX_EVALUATED_MAX] = '\0';
	assert_ok(dlv_names_check(&s3, NULL));
	prefix[DLV_PREFIX_EVALUATED_MAX] = 'a';
	prefix[DLV_PREFIX_EVALUATED_MAX + 1] = '\0';
	assert_refused(
		prefix, "", "Prefix cannot be greater than 512 characters after it is evaluated");
	memset(prefix, 'a', sizeof(prefix));
	prefix[1025] = '\0';
	assert_refused(prefix, "", "Prefix has more than 1024 characters");
}

static void
zones_and_extensions_are_checked(void **state)
{
	(void)state;
	static const char *const extensions[] = {"gz", ".", ".GZ", ".a/b", ".a b"};
	struct dlv_s3 s3 = s3_of("", "");
	struct slk_error err;

	s3.time_zone = "Mars/Olympus";
	assert_int_equal(dlv_names_check(&s3, &err), SLK_INVALID);
	assert_non_null(strstr(err.text, "CustomTimeZone Mars/Olympus is not a time zone"));
	s3.time_zone = "UTC";
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		s3.extension = extensions[i];
		assert_int_equal(dlv_names_check(&s3, &err), SLK_INVALID);
		assert_non_null(strstr(err.text, "FileExtension"));
	}
}

static void
a_key_that_cannot_be_leaves_out_untouched(void **state)
{
	(void)state;
	struct dlv_s3 s3 = s3_of("!{timestamp:b}", "");
	struct dlv_name name = {"clicks", 3, AT, ID, NULL};
	char key[DLV_KEY_MAX] = "before";
	char long_prefix[1025];

	assert_int_equal(dlv_names_key(&s3, &name, key), SLK_INVALID);
	memset(long_prefix, 'a', sizeof(long_prefix));
	long_prefix[1000] = '\0';
	s3.prefix = long_prefix;
	assert_int_equal(dlv_names_key(&s3, &name, key), SLK_TOO_LARGE);
	s3.prefix = "";
	s3.time_zone = "Mars/Olympus";
	assert_int_equal(dlv_names_key(&s3, &name, key), SLK_NOT_FOUND);
	assert_string_equal(key, "before");
	assert_true(dlv_names_has_expression("a!{timestamp:y}"));
	assert_false(dlv_names_has_expression("a{!}"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_become_what_firehose_makes_of_them),
		cmocka_unit_test(error_prefixes_name_the_type_of_the_error),
		cmocka_unit_test(random_strings_differ_by_place_and_batch_and_by_nothing_else),
		cmocka_unit_test(zones_hold_for_prefix_and_suffix),
		cmocka_unit_test(extensions_go_by_compression_unless_one_is_given),
		cmocka_unit_test(what_firehose_refuses_is_refused),
		cmocka_unit_test(lengths_are_limited_as_evaluated),
		cmocka_unit_test(zones_and_extensions_are_checked),
		cmocka_unit_test(a_key_that_cannot_be_leaves_out_untouched),
	};

	return cmocka_run_group_tests_name("delivery_names", tests, NULL, NULL);
}
