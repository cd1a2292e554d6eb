#include "slk_test.h"

#include <string.h>

#include "base/clock.h"
#include "text.h"

#define NOW_NS (1763978400ull * SLK_NS_PER_S) /* 2025-11-24T10:00:00Z */

static void
a_time_is_printed_in_utc_with_nanoseconds(void **state)
{
	char text[CLI_TIME_MAX];
	(void)state;

	cli_time_format(NOW_NS + 5, text);
	assert_string_equal(text, "2025-11-24T10:00:00.000000005Z");
	cli_time_format(UINT64_MAX, text);
	assert_string_equal(text, "2554-07-21T23:34:33.709551615Z");
}

static void
every_form_of_a_time_is_read(void **state)
{
	static const char *const forms[] = {"2025-11-24T10:00:00Z", "2025-11-24 10:00:00",
		"2025-11-24T10:00Z", "2025-11-24 10:00", "1763978400", "-0s",
		"2025-11-24T10:00:00.000Z"};
	(void)state;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		uint64_t ns = 0;
		assert_ok(cli_time_parse(forms[i], NOW_NS, &ns, NULL));
		assert_int_equal(ns, NOW_NS);
	}
}

static void
a_fraction_and_an_age_move_the_time(void **state)
{
	uint64_t ns = 0;
	(void)state;

	assert_ok(cli_time_parse("1763978400.25", NOW_NS, &ns, NULL));
	assert_int_equal(ns, NOW_NS + SLK_NS_PER_S / 4);
	assert_ok(cli_time_parse("-5m", NOW_NS, &ns, NULL));
	assert_int_equal(ns, NOW_NS - 300 * SLK_NS_PER_S);
	assert_ok(cli_time_parse("-30000d", NOW_NS, &ns, NULL));
	assert_int_equal(ns, 0); /* before 1970: the beginning */
}

static void
what_is_no_time_is_refused_with_a_sentence(void **state)
{
	static const char *const bad[] = {"", "now", "5m", "-", "-5", "-5y", "2025-13-01",
		"2025-11-24T25:00", "1763978400.", "1763978400x", "99999999999999999999",
		"2025-11-24T10:00:00ZZ", "1969-01-01"};
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct slk_error err = {0};
		uint64_t ns = 7;
		assert_int_equal(cli_time_parse(bad[i], NOW_NS, &ns, &err), SLK_INVALID);
		assert_non_null(strstr(err.text, "is not a time"));
	}
}

static void
places_to_start_are_read(void **state)
{
	struct sealock_position from;
	(void)state;

	assert_ok(cli_from_parse("TRIM_HORIZON", NOW_NS, &from, NULL));
	assert_int_equal(from.from, SEALOCK_FROM_TRIM_HORIZON);
	assert_ok(cli_from_parse("LATEST", NOW_NS, &from, NULL));
	assert_int_equal(from.from, SEALOCK_FROM_LATEST);
	assert_ok(cli_from_parse("18446744073709551615", NOW_NS, &from, NULL));
	assert_int_equal(from.from, SEALOCK_FROM_AT_SEQUENCE);
	assert_int_equal(from.value, UINT64_MAX);
	assert_ok(cli_from_parse("@-1h", NOW_NS, &from, NULL));
	assert_int_equal(from.from, SEALOCK_FROM_AT_TIME);
	assert_int_equal(from.value, NOW_NS - 3600 * SLK_NS_PER_S);
}

static void
a_place_that_makes_no_sense_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "latest", "-1", "+1", " 1", "1 ", "18446744073709551616", "@", "@x"};
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct slk_error err = {0};
		struct sealock_position from = {SEALOCK_FROM_LATEST, 42};
		assert_int_equal(cli_from_parse(bad[i], NOW_NS, &from, &err), SLK_INVALID);
		assert_int_equal(from.value, 42);
		assert_string_not_equal(err.text, "");
	}
}

static void
numbers_outside_the_range_are_told_apart(void **state)
{
	uint64_t v = 9;
	(void)state;

	assert_ok(cli_u64_parse("1024", 1024, &v));
	assert_int_equal(v, 1024);
	assert_int_equal(cli_u64_parse("1025", 1024, &v), SLK_RANGE);
	assert_int_equal(cli_u64_parse("0x10", 1024, &v), SLK_INVALID);
	assert_int_equal(cli_u64_parse("", 1024, &v), SLK_INVALID);
	assert_int_equal(v, 1024);
}

static void
amounts_are_printed_for_people(void **state)
{
	char text[CLI_AMOUNT_MAX];
	(void)state;

	cli_bytes_format(1023, text);
	assert_string_equal(text, "1023 B");
	cli_bytes_format(1536, text);
	assert_string_equal(text, "1.5 KiB");
	cli_bytes_format(UINT64_MAX, text);
	assert_string_equal(text, "16.0 EiB");
	cli_age_format(59, text);
	assert_string_equal(text, "59 s");
	cli_age_format(250, text);
	assert_string_equal(text, "4 min 10 s");
	cli_age_format(2 * 86400 + 3 * 3600, text);
	assert_string_equal(text, "2 d 3 h");
	cli_age_format(UINT64_MAX, text); /* no overflow of the buffer */
	assert_non_null(strchr(text, 'd'));
}

static void
utf8_is_taken_only_in_its_shortest_form(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool valid;
	} cases[] = {
		{"", 0, true},
		{"plain", 5, true},
		{"\0", 1, true},
		{"\xc3\xa9", 2, true},
		{"\xe2\x82\xac", 3, true},
		{"\xf0\x9f\x94\x92", 4, true},
		{"\xf4\x8f\xbf\xbf", 4, true},
		{"\xc0\x80", 2, false},
		{"\xc1\xbf", 2, false},
		{"\xe0\x9f\xbf", 3, false},
		{"\xed\xa0\x80", 3, false},
		{"\xf0\x8f\xbf\xbf", 4, false},
		{"\xf4\x90\x80\x80", 4, false},
		{"\xf5\x80\x80\x80", 4, false},
		{"\x80", 1, false},
		{"\xc3", 1, false},
		{"\xe2\x82", 2, false},
		{"\xe2\x28\xa1", 3, false},
		{"\xff", 1, false},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
			cli_utf8_valid(slk_span(cases[i].bytes, cases[i].len)), cases[i].valid);
}

static void
base64_has_the_vectors_of_rfc_4648(void **state)
{
	static const char *const vectors[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}};
	(void)state;

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		char out[16] = {0};
		cli_base64(slk_span_str(vectors[i][0]), out);
		assert_string_equal(out, vectors[i][1]);
		assert_int_equal(cli_base64_len(strlen(vectors[i][0])), strlen(vectors[i][1]));
	}
}

static void
base64_comes_back(void **state)
{
	(void)state;
	uint8_t in[100], out[100];
	char text[200];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 37 + 3);
	for (size_t len = 0; len <= sizeof(in); len++) {
		size_t back = 0;
		cli_base64(slk_span(in, len), text);
		assert_ok(cli_base64_decode(
			slk_span(text, cli_base64_len(len)), out, sizeof(out), &back));
		assert_int_equal(back, len);
		assert_memory_equal(out, in, len);
		if (len > 0)
			assert_int_equal(cli_base64_decode(slk_span(text, cli_base64_len(len)), out,
						 len - 1, &back),
				SLK_TOO_LARGE);
	}
	size_t len = 0;
	assert_ok(cli_base64_decode(slk_span_str(" Zm9v\r\n\tYg = =\n"), out, 4, &len));
	assert_memory_equal(out, "foob", 4);
}

static void
what_is_no_base64_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {"Z", "Zg",
		"Zg=", "Zg=====", "Zg==Zg==", "Z===", "====", "Zm9",
		"Zm9v=", "Zh==", "Zm9=", "Zm-v", "Zm_v", "Zm9v!", "Z=g=", "Zg=a"};
	uint8_t out[16];
	size_t len = 77;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(cli_base64_decode(slk_span_str(texts[i]), out, sizeof(out), &len),
			SLK_MALFORMED);
	assert_int_equal(len, 77);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_is_printed_in_utc_with_nanoseconds),
		cmocka_unit_test(every_form_of_a_time_is_read),
		cmocka_unit_test(a_fraction_and_an_age_move_the_time),
		cmocka_unit_test(what_is_no_time_is_refused_with_a_sentence),
		cmocka_unit_test(places_to_start_are_read),
		cmocka_unit_test(a_place_that_makes_no_sense_is_refused),
		cmocka_unit_test(numbers_outside_the_range_are_told_apart),
		cmocka_unit_test(amounts_are_printed_for_people),
		cmocka_unit_test(utf8_is_taken_only_in_its_shortest_form),
		cmocka_unit_test(base64_has_the_vectors_of_rfc_4648),
		cmocka_unit_test(base64_comes_back),
		cmocka_unit_test(what_is_no_base64_is_refused),
	};

	return cmocka_run_group_tests_name("cli_text", tests, NULL, NULL);
}
