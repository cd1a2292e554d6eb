#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/framing.h"

/* Everything an iterator said, as text: records in brackets, drops by name, separated by spaces.
 * The payload lies in a buffer of exactly its size. */
static const char *
walk(enum dp_framing framing, uint32_t record_max, const void *payload, size_t len)
{
	static char text[4096];
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct dp_framing_iter it;
	size_t calls = 0, at = 0;

	assert_non_null(copy);
	memcpy(copy, payload, len);
	dp_framing_begin(&it, framing, record_max, slk_span(copy, len));
	text[0] = '\0';
	for (;;) {
		struct slk_span record = slk_span(NULL, 0);
		enum dp_drop drop = DP_TAKEN;
		enum dp_framing_step step = dp_framing_next(&it, &record, &drop);
		if (step == DP_FRAMING_END)
			break;
		assert_true(++calls <= len + 1);
		if (step == DP_FRAMING_RECORD) {
			assert_int_equal(drop, DP_TAKEN);
			assert_true(record.ptr >= copy && record.ptr + record.len <= copy + len);
			assert_in_range(record.len, 1, record_max);
			at += (size_t)snprintf(text + at, sizeof(text) - at, "[%.*s] ",
				(int)record.len, (const char *)record.ptr);
		} else {
			assert_null(record.ptr);
			at += (size_t)snprintf(
				text + at, sizeof(text) - at, "%s ", dp_drop_name(drop));
		}
	}
	assert_int_equal(
		dp_framing_next(&it, &(struct slk_span){0}, &(enum dp_drop){0}), DP_FRAMING_END);
	free(copy);
	return text;
}

#define WALK(framing, max, literal) walk((framing), (max), (literal), sizeof(literal) - 1)

static void
a_datagram_is_one_record(void **state)
{
	(void)state;
	assert_string_equal(WALK(DP_FRAMING_DATAGRAM, 100, "one\ntwo\r\n"), "[one\ntwo\r\n] ");
	assert_string_equal(WALK(DP_FRAMING_DATAGRAM, 3, "abc"), "[abc] ");
	assert_string_equal(WALK(DP_FRAMING_DATAGRAM, 3, "abcd"), "record_too_large ");
}

static void
an_empty_datagram_is_one_empty_record(void **state)
{
	(void)state;
	for (enum dp_framing f = DP_FRAMING_DATAGRAM; f <= DP_FRAMING_U32; f++)
		assert_string_equal(WALK(f, 100, ""), "record_empty ");
}

static void
lines_end_with_lf_or_crlf_or_the_datagram(void **state)
{
	(void)state;
	assert_string_equal(
		WALK(DP_FRAMING_LINES, 100, "one\ntwo\r\nthree"), "[one] [two] [three] ");
	assert_string_equal(WALK(DP_FRAMING_LINES, 100, "one\n"), "[one] ");
	assert_string_equal(WALK(DP_FRAMING_LINES, 100, "one"), "[one] ");
	assert_string_equal(WALK(DP_FRAMING_LINES, 100, "a\rb\r\r\nc\r"), "[a\rb\r] [c\r] ");
}

static void
blank_lines_are_counted_and_skipped(void **state)
{
	(void)state;
	assert_string_equal(WALK(DP_FRAMING_LINES, 100, "\n"), "record_empty ");
	assert_string_equal(WALK(DP_FRAMING_LINES, 100, "\r\n\n"), "record_empty record_empty ");
	assert_string_equal(WALK(DP_FRAMING_LINES, 100, "a\n\nb\r\n\r\n"),
		"[a] record_empty [b] record_empty ");
}

static void
a_long_line_is_skipped_and_the_next_is_taken(void **state)
{
	(void)state;
	assert_string_equal(WALK(DP_FRAMING_LINES, 3, "abc\nabcd\nabc\r\nabcd\r\nx"),
		"[abc] record_too_large [abc] record_too_large [x] ");
	assert_string_equal(WALK(DP_FRAMING_LINES, 3, "abcd"), "record_too_large ");
}

static void
prefixed_records_follow_each_other(void **state)
{
	(void)state;
	assert_string_equal(WALK(DP_FRAMING_U16, 100, "\0\3one\0\5three"), "[one] [three] ");
	assert_string_equal(
		WALK(DP_FRAMING_U32, 100, "\0\0\0\3one\0\0\0\5three"), "[one] [three] ");
	assert_string_equal(
		WALK(DP_FRAMING_U16, 100, "\0\0\0\3one\0\0"), "record_empty [one] record_empty ");
	assert_string_equal(WALK(DP_FRAMING_U16, 3, "\0\4four\0\3one"), "record_too_large [one] ");
}

static void
a_bad_prefix_drops_the_rest_of_the_datagram(void **state)
{
	(void)state;
	assert_string_equal(WALK(DP_FRAMING_U16, 100, "\0\3one\0\6three"), "[one] record_length ");
	assert_string_equal(WALK(DP_FRAMING_U16, 100, "\0\3one\0"), "[one] record_length ");
	assert_string_equal(WALK(DP_FRAMING_U16, 3, "\377\377one"), "record_length ");
	assert_string_equal(WALK(DP_FRAMING_U32, 100, "\377\377\377\377one"), "record_length ");
	assert_string_equal(WALK(DP_FRAMING_U32, 100, "\0\0\0\1a\0\0\0"), "[a] record_length ");
}

/* The limit itself is in, one byte more is out, and what follows is taken: for every framing. */
static void
the_limit_is_exact_in_every_framing(void **state)
{
	(void)state;
	assert_string_equal(WALK(DP_FRAMING_DATAGRAM, 4, "four"), "[four] ");
	assert_string_equal(WALK(DP_FRAMING_DATAGRAM, 4, "fives"), "record_too_large ");
	assert_string_equal(WALK(DP_FRAMING_LINES, 4, "four\nfives\nfour\r\nfives\r\nfour"),
		"[four] record_too_large [four] record_too_large [four] ");
	assert_string_equal(WALK(DP_FRAMING_U16, 4, "\0\4four\0\5fives\0\4four"),
		"[four] record_too_large [four] ");
	assert_string_equal(WALK(DP_FRAMING_U32, 4, "\0\0\0\4four\0\0\0\5fives\0\0\0\4four"),
		"[four] record_too_large [four] ");
}

/* Each datagram stands alone: a half is never kept for the next one. */
static void
no_record_goes_on_in_the_next_datagram(void **state)
{
	(void)state;
	assert_string_equal(WALK(DP_FRAMING_LINES, 100, "whole\nha"), "[whole] [ha] ");
	assert_string_equal(WALK(DP_FRAMING_LINES, 100, "lf\nnext\n"), "[lf] [next] ");
	assert_string_equal(WALK(DP_FRAMING_U16, 100, "\0\4ha"), "record_length ");
	assert_string_equal(WALK(DP_FRAMING_U16, 100, "lf\0\4next"), "record_length ");
	assert_string_equal(WALK(DP_FRAMING_U32, 100, "\0\0\0\4ha"), "record_length ");
}

static void
only_lf_and_one_cr_end_a_line(void **state)
{
	(void)state;
	assert_string_equal(
		WALK(DP_FRAMING_LINES, 100, "a\rb\nc\r\r\n\r\n"), "[a\rb] [c\r] record_empty ");
	assert_string_equal(WALK(DP_FRAMING_LINES, 100, "a\r"), "[a\r] ");
	assert_string_equal(WALK(DP_FRAMING_LINES, 100, "\n"), "record_empty ");
	/* A NUL is a byte like others: one record, whose text ends at it. */
	assert_string_equal(WALK(DP_FRAMING_LINES, 100, "a\0b\n"), "[a] ");
}

static void
records_of_every_length_come_back_whole(void **state)
{
	(void)state;
	static uint8_t payload[1500 + 4];

	memset(payload, 'x', sizeof(payload));
	for (uint32_t len = 1; len <= 1500; len++) {
		struct dp_framing_iter it;
		struct slk_span record;
		enum dp_drop drop;
		slk_put_be32(payload, len);
		dp_framing_begin(&it, DP_FRAMING_U32, 1500, slk_span(payload, len + 4));
		assert_int_equal(dp_framing_next(&it, &record, &drop), DP_FRAMING_RECORD);
		assert_ptr_equal(record.ptr, payload + 4);
		assert_int_equal(record.len, len);
		assert_int_equal(dp_framing_next(&it, &record, &drop), DP_FRAMING_END);
	}
}

static void
names_go_both_ways(void **state)
{
	(void)state;
	enum dp_framing framing = DP_FRAMING_U32;

	for (enum dp_framing f = DP_FRAMING_DATAGRAM; f <= DP_FRAMING_U32; f++) {
		assert_true(dp_framing_parse(dp_framing_name(f), &framing));
		assert_int_equal(framing, f);
	}
	framing = DP_FRAMING_LINES;
	assert_false(dp_framing_parse("Lines", &framing));
	assert_false(dp_framing_parse("", &framing));
	assert_int_equal(framing, DP_FRAMING_LINES);
	assert_string_equal(dp_framing_name(DP_FRAMING_U32 + 1), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_is_one_record),
		cmocka_unit_test(an_empty_datagram_is_one_empty_record),
		cmocka_unit_test(lines_end_with_lf_or_crlf_or_the_datagram),
		cmocka_unit_test(blank_lines_are_counted_and_skipped),
		cmocka_unit_test(a_long_line_is_skipped_and_the_next_is_taken),
		cmocka_unit_test(prefixed_records_follow_each_other),
		cmocka_unit_test(a_bad_prefix_drops_the_rest_of_the_datagram),
		cmocka_unit_test(the_limit_is_exact_in_every_framing),
		cmocka_unit_test(no_record_goes_on_in_the_next_datagram),
		cmocka_unit_test(only_lf_and_one_cr_end_a_line),
		cmocka_unit_test(records_of_every_length_come_back_whole),
		cmocka_unit_test(names_go_both_ways),
	};

	return cmocka_run_group_tests_name("dpnet_framing", tests, NULL, NULL);
}
