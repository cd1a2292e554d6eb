#include "slk_test.h"

#include <string.h>

#include "http/syntax.h"

static bool
is_authority(const char *text)
{
	return http_is_authority(text, strlen(text));
}

static void
authorities(void **state)
{
	(void)state;
	static const char *const good[] = {"a", "a.b-c_d~e", "a:0", "a:65535", "127.0.0.1:8443",
		"[::1]", "[2001:db8::1]:443", "[::ffff:192.0.2.1]", "a%20b", "a!$&'()*+;=b"};
	static const char *const bad[] = {"", ":80", "a:", "a:65536", "a:-1", "a:1:2", "a b", "a/b",
		"a?b", "a#b", "u@a", "a\\b", "[]", "[", "[::1", "[::1]a", "[g::1]", "a%2", "a%zz",
		"::1", "a\"b", "a<b"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(is_authority(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(is_authority(bad[i]));
}

static void
lengths(void **state)
{
	(void)state;
	uint64_t length = 7;
	assert_ok(http_parse_length("18446744073709551615", 20, &length));
	assert_true(length == UINT64_MAX);
	assert_int_equal(http_parse_length("18446744073709551616", 20, &length), SLK_RANGE);
	assert_int_equal(http_parse_length("99999999999999999999x", 21, &length), SLK_MALFORMED);
	assert_int_equal(http_parse_length("", 0, &length), SLK_MALFORMED);
	assert_int_equal(http_parse_length("1 ", 2, &length), SLK_MALFORMED);
	assert_true(length == UINT64_MAX);
}

static void
tokens_are_what_rfc_9110_lists(void **state)
{
	(void)state;
	static const char others[] = "!#$%&'*+-.^_`|~";
	for (int c = 0; c < 256; c++) {
		char text[1] = {(char)c};
		bool expected = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			(c >= 'a' && c <= 'z') || (c != 0 && strchr(others, c) != NULL);
		assert_int_equal(http_is_token(text, 1), expected);
		bool is_value = c > 0x20 && c != 0x7f;
		assert_int_equal(http_is_field_value(text, 1), is_value);
	}
	assert_false(http_is_token("", 0));
	assert_true(http_is_field_value("", 0));
	assert_true(http_is_field_value("a \tb", 4));
}

static void
lists_are_taken_apart(void **state)
{
	(void)state;
	const char *list = " close ,, Keep-Alive\t,";
	size_t len = strlen(list);
	struct http_text element;
	assert_true(http_next_element(&list, &len, &element));
	assert_true(http_text_is(element.ptr, element.len, "close"));
	assert_true(http_next_element(&list, &len, &element));
	assert_true(http_text_is(element.ptr, element.len, "keep-alive"));
	assert_false(http_next_element(&list, &len, &element));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(authorities),
		cmocka_unit_test(lengths),
		cmocka_unit_test(tokens_are_what_rfc_9110_lists),
		cmocka_unit_test(lists_are_taken_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
