/* Headers for HTTP endpoints: attributes as ASCII, access keys that a header can have. */
#include "slk_test.h"

#include <stdlib.h>
#include <string.h>

#include "http_headers.h"

static void
expect(const char *name, const char *value, const char *expected)
{
	const struct dlv_attribute attributes[] = {{name, value}, {"z", ""}};
	const struct dlv_http http = {.attributes = attributes, .attributes_count = 2};
	struct slk_secret *text = NULL;

	assert_ok(http_attributes(&http, &text, NULL));
	assert_string_equal((const char *)slk_secret_peek(text), expected);
	slk_secret_free(text);
}

static void
test_attributes(void **state)
{
	(void)state;
	expect("a", "b c", "{\"commonAttributes\":{\"a\":\"b c\",\"z\":\"\"}}");
	expect("\"\\", "\r\n\x01\x7f",
		"{\"commonAttributes\":{\"\\\"\\\\\":\"\\u000d\\u000a\\u0001\\u007f\",\"z\":\"\"}"
		"}");
	expect("\xc3\xa4", "\xe2\x82\xac\xef\xbf\xbf",
		"{\"commonAttributes\":{\"\\u00e4\":\"\\u20ac\\uffff\",\"z\":\"\"}}");
	expect("\xf0\x90\x80\x80", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf",
		"{\"commonAttributes\":{\"\\ud800\\udc00\":\"\\ud83d\\ude00\\udbff\\udfff\",\"z\":"
		"\"\"}}");
}

static void
test_no_attributes(void **state)
{
	const struct dlv_http http = {0};
	struct slk_secret *text = NULL;

	(void)state;
	assert_ok(http_attributes(&http, &text, NULL));
	assert_null(text);
}

static void
test_attributes_that_cannot_be(void **state)
{
	char *large = calloc(1, 70000);
	struct dlv_attribute attribute = {"a", "\xff secret"};
	const struct dlv_http http = {.attributes = &attribute, .attributes_count = 1};
	struct slk_secret *text = NULL;
	struct slk_error err = {0};

	(void)state;
	assert_non_null(large);
	assert_int_equal(http_attributes(&http, &text, &err), SLK_CONFIG);
	assert_null(strstr(err.text, "secret"));
	memset(large, 'x', 69999);
	attribute.value = large;
	assert_int_equal(http_attributes(&http, &text, &err), SLK_CONFIG);
	assert_null(text);
	free(large);
}

static int
access_key(const char *key, struct slk_secret **out_value, struct slk_error *err)
{
	struct slk_secret *secret = NULL;

	assert_ok(slk_secret_from(key, strlen(key), &secret));
	const struct dlv_http http = {.access_key = secret};
	int rc = http_access_key(&http, out_value, err);
	slk_secret_free(secret);
	return rc;
}

static void
test_access_keys(void **state)
{
	static const char *const bad[] = {"a\r\nX-Other: b", "a\n", "\t", "a\x7f", "\xc3\xa4"};
	struct slk_secret *value = NULL;
	struct slk_error err = {0};
	const struct dlv_http none = {0};

	(void)state;
	assert_ok(http_access_key(&none, &value, &err));
	assert_null(value);
	assert_ok(access_key("key ~!\"", &value, &err));
	assert_string_equal((const char *)slk_secret_peek(value), "key ~!\"");
	slk_secret_free(value);
	value = NULL;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(access_key(bad[i], &value, &err), SLK_CONFIG);
		assert_null(value);
		assert_null(strstr(err.text, "Other"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_no_attributes),
		cmocka_unit_test(test_attributes_that_cannot_be),
		cmocka_unit_test(test_access_keys),
	};

	return cmocka_run_group_tests_name("delivery_http_headers", tests, NULL, NULL);
}
