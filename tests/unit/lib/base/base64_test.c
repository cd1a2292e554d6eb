#include "slk_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

/* RFC 4648, section 10, without the padding. */
static const struct {
	const char *plain, *text;
} vectors[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"},
	{"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};

static void
vectors_of_the_standard_fit_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		char text[16];
		uint8_t bytes[16];
		size_t len = 99, plain_len = strlen(vectors[i].plain);
		assert_ok(slk_base64_encode(
			SLK_BASE64, slk_span_str(vectors[i].plain), text, sizeof(text)));
		assert_string_equal(text, vectors[i].text);
		assert_int_equal(strlen(text), slk_base64_chars(plain_len));
		assert_ok(slk_base64_decode(
			SLK_BASE64, slk_span_str(text), bytes, sizeof(bytes), &len));
		assert_int_equal(len, plain_len);
		assert_memory_equal(bytes, vectors[i].plain, len);
	}
}

static void
every_byte_and_both_alphabets_come_back(void **state)
{
	(void)state;
	static const char *const digits[] = {
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};

	for (unsigned a = SLK_BASE64; a <= SLK_BASE64_URL; a++) {
		uint8_t in[48], bytes[256], out[256];
		char text[400];
		size_t len = 0;
		for (unsigned i = 0; i < 256; i++)
			bytes[i] = (uint8_t)i;
		assert_ok(slk_base64_encode(a, slk_span(bytes, 256), text, sizeof(text)));
		assert_ok(slk_base64_decode(a, slk_span_str(text), out, sizeof(out), &len));
		assert_int_equal(len, 256);
		assert_memory_equal(out, bytes, 256);
		assert_ok(slk_base64_decode(a, slk_span_str(digits[a]), in, sizeof(in), &len));
		assert_ok(slk_base64_encode(a, slk_span(in, len), text, sizeof(text)));
		assert_string_equal(text, digits[a]);
	}
}

static void
every_other_character_is_refused(void **state)
{
	(void)state;
	for (unsigned a = SLK_BASE64; a <= SLK_BASE64_URL; a++) {
		unsigned good = 0;
		for (unsigned c = 0; c < 256; c++) {
			const uint8_t text[4] = {'A', (uint8_t)c, 'A', 'A'};
			uint8_t out[3];
			size_t len = 7;
			int rc = slk_base64_decode(a, slk_span(text, 4), out, sizeof(out), &len);
			good += rc == SLK_OK;
			assert_true(rc == SLK_OK ? len == 3 : rc == SLK_MALFORMED && len == 7);
		}
		assert_int_equal(good, 64);
	}
}

static void
wrong_lengths_and_bits_left_over_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"A", "AAAAA", "Zh", "Zm9", "Zg==", "Zm8="};
	uint8_t out[8];
	size_t len = 7;
	char text[4];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			slk_base64_decode(SLK_BASE64, slk_span_str(bad[i]), out, sizeof(out), &len),
			SLK_MALFORMED);
	assert_int_equal(
		slk_base64_decode(SLK_BASE64, slk_span_str("Zm9v"), out, 2, &len), SLK_FULL);
	assert_int_equal(
		slk_base64_encode(SLK_BASE64, slk_span_str("foo"), text, sizeof(text)), SLK_FULL);
	assert_int_equal(len, 7);
}

/* Character by character, as the standard's table has it. */
static size_t
by_table(const char *digits, const uint8_t *in, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len * 8; i += 6) {
		unsigned v = 0;
		for (size_t k = i; k < i + 6; k++)
			v = v << 1 | (k < len * 8 ? in[k / 8] >> (7 - k % 8) & 1u : 0u);
		out[n++] = digits[v];
	}
	out[n] = '\0';
	return n;
}

/* Long ones go by lanes, their ends one by one: every length around a lane, in place and with no byte to spare. */
static void
every_length_comes_back_also_in_place(void **state)
{
	(void)state;
	static const char *const digits[] = {
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};
	uint8_t bytes[200];
	char expected[300];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 97 + i / 13);
	for (unsigned a = SLK_BASE64; a <= SLK_BASE64_URL; a++)
		for (size_t len = 0; len <= sizeof(bytes); len++) {
			size_t chars = by_table(digits[a], bytes, len, expected), out_len = 0;
			char *text = malloc(chars + 1);
			uint8_t *out = malloc(len + 1);
			assert_non_null(text);
			assert_non_null(out);
			assert_ok(slk_base64_encode(a, slk_span(bytes, len), text, chars + 1));
			assert_string_equal(text, expected);
			assert_ok(slk_base64_decode(a, slk_span(text, chars), out, len, &out_len));
			assert_int_equal(out_len, len);
			assert_memory_equal(out, bytes, len);
			assert_ok(slk_base64_decode(
				a, slk_span(text, chars), (uint8_t *)text, chars, &out_len));
			assert_memory_equal(text, bytes, len);
			free(text);
			free(out);
		}
}

static void
a_wrong_character_is_seen_wherever_it_stands(void **state)
{
	(void)state;
	static const char wrong[] = "=-_ \n\x7f\x80\xff@[`{/:";
	char text[65];
	uint8_t out[48];
	size_t len = 7;

	for (size_t at = 0; at < 64; at++)
		for (size_t w = 0; w < sizeof(wrong); w++) {
			if (wrong[w] == '/')
				continue;
			memset(text, 'A', 64);
			text[at] = wrong[w];
			assert_int_equal(slk_base64_decode(SLK_BASE64, slk_span(text, 64), out,
						 sizeof(out), &len),
				SLK_MALFORMED);
			assert_int_equal(len, 7);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_of_the_standard_fit_both_ways),
		cmocka_unit_test(every_byte_and_both_alphabets_come_back),
		cmocka_unit_test(every_other_character_is_refused),
		cmocka_unit_test(every_length_comes_back_also_in_place),
		cmocka_unit_test(a_wrong_character_is_seen_wherever_it_stands),
		cmocka_unit_test(wrong_lengths_and_bits_left_over_are_refused),
	};

	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
