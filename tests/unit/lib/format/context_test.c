#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "format/context.h"
#include "format/utf8.h"

static struct fmt_context *
made(const char *const *pairs, size_t count)
{
	struct fmt_context *c = NULL;

	assert_ok(fmt_context_new(&c));
	for (size_t i = 0; i < count; i++)
		assert_ok(fmt_context_add(
			c, slk_span_str(pairs[2 * i]), slk_span_str(pairs[2 * i + 1])));
	return c;
}

static size_t
encoded(const struct fmt_context *c, uint8_t *out)
{
	size_t len = 0;

	assert_ok(fmt_context_encode(c, out, FMT_CONTEXT_MAX, &len));
	return len;
}

static void
golden_bytes_are_sorted_pairs_with_lengths(void **state)
{
	(void)state;
	static const char *const pairs[] = {"b", "2", "a", "", "ab", "x\xc3\xa4"};
	static const uint8_t golden[] = {
		3, 0, 1, 0, 'a', 0, 0, 2, 0, 'a', 'b', 3, 0, 'x', 0xc3, 0xa4, 1, 0, 'b', 1, 0, '2'};
	uint8_t out[FMT_CONTEXT_MAX];
	struct fmt_context *c = made(pairs, 3);

	assert_int_equal(encoded(c, out), sizeof(golden));
	assert_memory_equal(out, golden, sizeof(golden));
	fmt_context_free(c);
}

static void
stream_context_has_the_pair_of_kinesis(void **state)
{
	(void)state;
	static const uint8_t golden[] = "\x01\x00\x0f\x00"
					"aws:kinesis:arn"
					"\x05\x00"
					"arn:x";
	uint8_t out[FMT_CONTEXT_MAX];
	struct fmt_context *c = NULL;

	assert_ok(fmt_context_for_stream("arn:x", &c));
	assert_int_equal(encoded(c, out), sizeof(golden) - 1);
	assert_memory_equal(out, golden, sizeof(golden) - 1);
	fmt_context_free(c);
}

static void
direct_puts_have_the_pair_of_firehose(void **state)
{
	(void)state;
	static const uint8_t golden[] = "\x01\x00\x10\x00"
					"aws:firehose:arn"
					"\x13\x00"
					"arn:aws:firehose:x:";
	uint8_t out[FMT_CONTEXT_MAX];
	struct fmt_context *c = NULL;

	assert_ok(fmt_context_for_stream("arn:aws:firehose:x:", &c));
	assert_int_equal(encoded(c, out), sizeof(golden) - 1);
	assert_memory_equal(out, golden, sizeof(golden) - 1);
	fmt_context_free(c);
}

static void
order_of_adding_does_not_matter(void **state)
{
	(void)state;
	static const char *const one[] = {"a", "1", "B", "2", "c", "3"};
	static const char *const two[] = {"c", "3", "a", "1", "B", "2"};
	uint8_t x[FMT_CONTEXT_MAX], y[FMT_CONTEXT_MAX];
	struct fmt_context *a = made(one, 3), *b = made(two, 3);

	size_t len = encoded(a, x);
	assert_int_equal(encoded(b, y), len);
	assert_memory_equal(x, y, len);
	fmt_context_free(a);
	fmt_context_free(b);
}

static void
case_of_keys_and_values_matters(void **state)
{
	(void)state;
	static const char *const one[] = {"Key", "value"};
	static const char *const two[] = {"key", "value"};
	static const char *const three[] = {"Key", "Value"};
	uint8_t x[FMT_CONTEXT_MAX], y[FMT_CONTEXT_MAX], z[FMT_CONTEXT_MAX];
	struct fmt_context *a = made(one, 1), *b = made(two, 1), *c = made(three, 1);

	size_t len = encoded(a, x);
	assert_int_equal(encoded(b, y), len);
	assert_int_equal(encoded(c, z), len);
	assert_memory_not_equal(x, y, len);
	assert_memory_not_equal(x, z, len);
	fmt_context_free(a);
	fmt_context_free(b);
	fmt_context_free(c);
}

/* Plain concatenation would make these two the same. */
static void
lengths_keep_apart_what_concatenation_confuses(void **state)
{
	(void)state;
	static const char *const one[] = {"ab", "c"};
	static const char *const two[] = {"a", "bc"};
	uint8_t x[FMT_CONTEXT_MAX], y[FMT_CONTEXT_MAX];
	struct fmt_context *a = made(one, 1), *b = made(two, 1);

	size_t len = encoded(a, x);
	assert_int_equal(encoded(b, y), len);
	assert_memory_not_equal(x, y, len);
	fmt_context_free(a);
	fmt_context_free(b);
}

static void
duplicate_key_is_refused_and_the_first_stays(void **state)
{
	(void)state;
	static const char *const pairs[] = {"k", "1"};
	struct fmt_context *c = made(pairs, 1);
	struct slk_span key, value;

	assert_int_equal(fmt_context_add(c, slk_span_str("k"), slk_span_str("2")), SLK_EXISTS);
	assert_int_equal(fmt_context_add(c, slk_span_str("k"), slk_span_str("1")), SLK_EXISTS);
	assert_int_equal(fmt_context_count(c), 1);
	fmt_context_pair(c, 0, &key, &value);
	assert_true(slk_span_equal(value, slk_span_str("1")));
	fmt_context_free(c);
}

static void
empty_key_nul_and_bad_utf8_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xe2\x82", "\xf5\x80\x80\x80", "a\x80"};
	struct fmt_context *c = NULL;

	assert_ok(fmt_context_new(&c));
	assert_int_equal(fmt_context_add(c, slk_span_str(""), slk_span_str("v")), SLK_MALFORMED);
	assert_int_equal(fmt_context_add(c, slk_span("a\0b", 3), slk_span_str("v")), SLK_MALFORMED);
	assert_int_equal(fmt_context_add(c, slk_span_str("k"), slk_span("\0", 1)), SLK_MALFORMED);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
			fmt_context_add(c, slk_span_str(bad[i]), slk_span_str("v")), SLK_MALFORMED);
		assert_int_equal(
			fmt_context_add(c, slk_span_str("k"), slk_span_str(bad[i])), SLK_MALFORMED);
	}
	assert_int_equal(fmt_context_count(c), 0);
	fmt_context_free(c);
}

static void
well_formed_utf8_of_every_length_is_text(void **state)
{
	(void)state;
	static const char *const good[] = {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf",
		"\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(fmt_utf8_is_text(slk_span_str(good[i])));
}

static void
pair_65_is_refused(void **state)
{
	(void)state;
	struct fmt_context *c = NULL;
	char key[8];

	assert_ok(fmt_context_new(&c));
	for (unsigned i = 0; i < FMT_CONTEXT_PAIRS_MAX; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_ok(fmt_context_add(c, slk_span_str(key), slk_span_str("v")));
	}
	assert_int_equal(
		fmt_context_add(c, slk_span_str("one more"), slk_span_str("v")), SLK_LIMIT);
	assert_int_equal(fmt_context_count(c), FMT_CONTEXT_PAIRS_MAX);
	fmt_context_free(c);
}

static void
sizes_stop_exactly_at_their_limits(void **state)
{
	(void)state;
	static char big[FMT_CONTEXT_MAX + 1];
	uint8_t out[FMT_CONTEXT_MAX];
	struct fmt_context *c = NULL;

	memset(big, 'x', sizeof(big));
	assert_ok(fmt_context_new(&c));
	assert_int_equal(fmt_context_add(c, slk_span(big, 1025), slk_span_str("v")), SLK_LIMIT);
	size_t room = FMT_CONTEXT_MAX - 2 - 4 - 1024;
	assert_int_equal(
		fmt_context_add(c, slk_span(big, 1024), slk_span(big, room + 1)), SLK_LIMIT);
	assert_ok(fmt_context_add(c, slk_span(big, 1024), slk_span(big, room)));
	assert_int_equal(encoded(c, out), FMT_CONTEXT_MAX);
	assert_int_equal(fmt_context_add(c, slk_span_str("k"), slk_span_str("")), SLK_LIMIT);
	size_t len = 77;
	assert_int_equal(fmt_context_encode(c, out, FMT_CONTEXT_MAX - 1, &len), SLK_FULL);
	assert_int_equal(len, 77);
	fmt_context_free(c);
}

static void
round_trip_gives_the_same_bytes(void **state)
{
	(void)state;
	static const char *const pairs[] = {"purpose", "test", "aws:kinesis:arn", "arn:x", "z", ""};
	uint8_t x[FMT_CONTEXT_MAX], y[FMT_CONTEXT_MAX];
	struct fmt_context *a = made(pairs, 3), *b = NULL;

	size_t len = encoded(a, x);
	assert_ok(fmt_context_decode(slk_span(x, len), &b));
	assert_int_equal(encoded(b, y), len);
	assert_memory_equal(x, y, len);
	fmt_context_free(a);
	fmt_context_free(b);
}

static void
decode_refuses_every_truncation_and_a_trailing_byte(void **state)
{
	(void)state;
	static const char *const pairs[] = {"a", "1", "bb", "22"};
	uint8_t x[FMT_CONTEXT_MAX];
	struct fmt_context *a = made(pairs, 2), *b = NULL;

	size_t len = encoded(a, x);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(fmt_context_decode(slk_span(x, cut), &b), SLK_TRUNCATED);
	x[len] = 0;
	assert_int_equal(fmt_context_decode(slk_span(x, len + 1), &b), SLK_MALFORMED);
	assert_null(b);
	fmt_context_free(a);
}

static void
decode_refuses_unsorted_and_duplicate_keys(void **state)
{
	(void)state;
	static const uint8_t unsorted[] = {2, 0, 1, 0, 'b', 0, 0, 1, 0, 'a', 0, 0};
	static const uint8_t twice[] = {2, 0, 1, 0, 'a', 0, 0, 1, 0, 'a', 0, 0};
	static const uint8_t empty_key[] = {1, 0, 0, 0, 1, 0, 'v'};
	static const uint8_t many[] = {65, 0};
	struct fmt_context *c = NULL;

	assert_int_equal(
		fmt_context_decode(slk_span(unsorted, sizeof(unsorted)), &c), SLK_MALFORMED);
	assert_int_equal(fmt_context_decode(slk_span(twice, sizeof(twice)), &c), SLK_MALFORMED);
	assert_int_equal(
		fmt_context_decode(slk_span(empty_key, sizeof(empty_key)), &c), SLK_MALFORMED);
	assert_int_equal(fmt_context_decode(slk_span(many, sizeof(many)), &c), SLK_LIMIT);
	assert_null(c);
}

static void
contexts_are_equal_by_their_pairs(void **state)
{
	(void)state;
	static const char *const texts[][2] = {{"a", "1"}, {"b", "2"}};
	struct fmt_context *a = NULL, *b = NULL;

	assert_ok(fmt_context_new(&a));
	assert_ok(fmt_context_new(&b));
	assert_true(fmt_context_equal(NULL, a));
	for (size_t i = 0; i < 2; i++) { /* in opposite order */
		assert_ok(fmt_context_add(a, slk_span_str(texts[i][0]), slk_span_str(texts[i][1])));
		assert_false(fmt_context_equal(a, b));
		assert_ok(fmt_context_add(
			b, slk_span_str(texts[1 - i][0]), slk_span_str(texts[1 - i][1])));
	}
	assert_true(fmt_context_equal(a, b));
	assert_ok(fmt_context_add(a, slk_span_str("c"), slk_span_str("xy")));
	assert_ok(fmt_context_add(b, slk_span_str("cx"), slk_span_str("y")));
	assert_false(fmt_context_equal(a, b)); /* the same bytes, cut elsewhere */
	assert_false(fmt_context_equal(a, NULL));
	fmt_context_free(a);
	fmt_context_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_are_sorted_pairs_with_lengths),
		cmocka_unit_test(stream_context_has_the_pair_of_kinesis),
		cmocka_unit_test(direct_puts_have_the_pair_of_firehose),
		cmocka_unit_test(order_of_adding_does_not_matter),
		cmocka_unit_test(case_of_keys_and_values_matters),
		cmocka_unit_test(lengths_keep_apart_what_concatenation_confuses),
		cmocka_unit_test(duplicate_key_is_refused_and_the_first_stays),
		cmocka_unit_test(empty_key_nul_and_bad_utf8_are_refused),
		cmocka_unit_test(well_formed_utf8_of_every_length_is_text),
		cmocka_unit_test(pair_65_is_refused),
		cmocka_unit_test(sizes_stop_exactly_at_their_limits),
		cmocka_unit_test(round_trip_gives_the_same_bytes),
		cmocka_unit_test(decode_refuses_every_truncation_and_a_trailing_byte),
		cmocka_unit_test(decode_refuses_unsorted_and_duplicate_keys),
		cmocka_unit_test(contexts_are_equal_by_their_pairs),
	};

	return cmocka_run_group_tests_name("format_context", tests, NULL, NULL);
}
