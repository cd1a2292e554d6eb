/* Records as documents: which are JSON objects, what fields they have, and the form that is sent. */
#include "slk_test.h"

#include <stdlib.h>
#include <string.h>

#include "search_record.h"

static void
expect_sound(const char *text)
{
	assert_null(search_record_fault(slk_span_str(text)));
}

static void
expect_fault(const char *text, size_t len, const char *fault)
{
	const char *found = search_record_fault(slk_span(text, len));

	assert_non_null(found);
	assert_string_equal(found, fault);
}

static void
test_objects_are_sound(void **state)
{
	(void)state;
	expect_sound("{}");
	expect_sound(" \t\r\n{\"a\":1}\n");
	expect_sound("{\"a\":[1,-2.5e3,true,false,null,{\"b\":\"\\u00e4\\n\"}],\"\xc3\xa4\":"
		     "\"\xf0\x9f\x98\x80\"}");
	expect_sound("{\"n\":123456789012345678901234567890.5e400}");
	/* These are the cluster's to refuse: it names the document. */
	expect_sound("{\"a\":1,\"a\":2}");
	expect_sound("{\"a\":\"\xed\xa0\x80\"}");
}

static void
test_what_is_no_object(void **state)
{
	static const char *const other[] = {
		"", " ", "[]", "[{}]", "1", "\"{}\"", "null", "text", "\xef\xbb\xbf{}"};
	static const char *const broken[] = {"{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
		"{'a':1}", "{\"a\":01}", "{\"a\":NaN}", "{\"a\":\"\xff\"}", "{\"a\":\"\n\"}",
		"{\"a\":\"\t\"}", "{} {}", "{}x", "{/**/}", "{\"a\":1"};

	(void)state;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		expect_fault(other[i], strlen(other[i]), "is no JSON object");
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		expect_fault(broken[i], strlen(broken[i]), "is no JSON in UTF-8");
	expect_fault("{}\0", 3, "is no JSON in UTF-8");
	expect_fault("{\"a\":\"\0\"}", 10, "is no JSON in UTF-8");
}

static void
test_depth_is_bounded(void **state)
{
	enum { DEEP = 1000000 };
	char *text = malloc(DEEP * 6 + 16);
	size_t len = 0;

	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i < DEEP; i++) {
		memcpy(text + len, "{\"a\":", 5);
		len += 5;
	}
	expect_fault(text, len, "is a JSON object that is too deep");
	len = (size_t)SEARCH_DEPTH_MAX * 5;
	text[len++] = '1';
	memset(text + len, '}', SEARCH_DEPTH_MAX);
	len += SEARCH_DEPTH_MAX;
	assert_null(search_record_fault(slk_span(text, len)));
	memset(text, ' ', DEEP);
	expect_fault(text, DEEP, "is no JSON object");
	free(text);
}

static void
test_fields(void **state)
{
	struct slk_span data = slk_span_str("{\"a\":{\"b\":\"c\"},\"d.e\":[{\"f\":1}],\"\":0}");

	(void)state;
	assert_true(search_record_has_field(data, slk_span_str("a")));
	assert_true(search_record_has_field(data, slk_span_str("a.b")));
	assert_true(search_record_has_field(data, slk_span_str("d.e")));
	assert_true(search_record_has_field(data, slk_span_str("f")));
	assert_false(search_record_has_field(data, slk_span_str("c")));
	assert_false(search_record_has_field(data, slk_span_str("a.c")));
	assert_false(search_record_has_field(data, slk_span_str("d")));
	assert_false(search_record_has_field(slk_span_str("no JSON"), slk_span_str("no")));
}

static const char batch_id[] = "01234567-89ab-cdef-0123-456789abcdef";

static void
expect_form(const char *data, uint32_t shard, uint64_t sequence, const char *expected)
{
	const struct dlv_record record = {
		.data = slk_span_str(data), .shard = shard, .sequence = sequence};
	uint8_t *out = malloc(strlen(data) + SEARCH_FORM_EXTRA);

	assert_non_null(out);
	size_t len = search_record_form(batch_id, &record, out);
	assert_true(len <= strlen(data) + SEARCH_FORM_EXTRA);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(out, expected, len);
	struct slk_span document = search_record_document(slk_span(out, len));
	assert_int_equal(document.len, strlen(data));
	free(out);
}

static void
test_forms(void **state)
{
	(void)state;
	expect_form("{\"a\":1}", 2, 77,
		"{\"index\":{\"_id\":\"01234567-89ab-cdef-0123-456789abcdef-2-77\"}}\n{\"a\":1}\n");
	expect_form("{}", UINT32_MAX, UINT64_MAX,
		"{\"index\":{\"_id\":\"01234567-89ab-cdef-0123-456789abcdef-4294967295-"
		"18446744073709551615\"}}\n{}\n");
}

/* The form is two lines, whatever breaks lines within the record. */
static void
test_a_record_of_several_lines(void **state)
{
	(void)state;
	expect_form("{\r\n\t\"a\": 1\n}\n\n", 0, 1,
		"{\"index\":{\"_id\":\"01234567-89ab-cdef-0123-456789abcdef-0-1\"}}\n{  \t\"a\": 1 "
		"}  \n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects_are_sound),
		cmocka_unit_test(test_what_is_no_object),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_a_record_of_several_lines),
	};

	return cmocka_run_group_tests_name("delivery_search_record", tests, NULL, NULL);
}
