/* Which servers may be delivered to: patterns of deliverd.yaml against URLs of descriptions, hostile ones among them. */
#include "slk_test.h"

#include <string.h>

#include "endpoints.h"

static bool
fits(const char *pattern, const char *url)
{
	const struct dlv_endpoint endpoint = {.url = pattern};
	const struct dlv_endpoints endpoints = {&endpoint, 1};

	return dlv_endpoints_find(&endpoints, url) != NULL;
}

static void
test_a_url_covers_its_path(void **state)
{
	(void)state;
	assert_true(fits("https://a.example.net", "https://a.example.net"));
	assert_true(fits("https://a.example.net", "https://a.example.net/"));
	assert_true(fits("https://a.example.net", "https://a.example.net/in/1?x=y"));
	assert_true(fits("https://a.example.net", "https://a.example.net?x=y"));
	assert_true(fits("https://a.example.net/in", "https://a.example.net/in"));
	assert_true(fits("https://a.example.net/in/", "https://a.example.net/in/1"));
	assert_false(fits("https://a.example.net/in", "https://a.example.net/inner"));
	assert_false(fits("https://a.example.net/in", "https://a.example.net/"));
	assert_false(fits("https://a.example.net", "http://a.example.net"));
	assert_false(fits("https://a.example.net", "https://a.example.net:9200"));
	assert_false(fits("https://a.example.net", "https://a.example.net.example.org/"));
	assert_false(fits("https://a.example.net", "https://A.example.net"));
	assert_false(fits("", "https://a.example.net"));
}

static void
test_a_star_stays_within_its_part(void **state)
{
	(void)state;
	assert_true(fits("https://*", "https://a.example.net:9200/x?y"));
	assert_true(fits("https://*.example.net", "https://a.b.example.net/x"));
	assert_true(fits("https://*.example.net:*", "https://a.example.net:9200"));
	assert_true(fits("https://*/in", "https://a/in/1"));
	assert_true(fits("https://*a*b", "https://xaayb/1"));
	assert_false(fits("https://*.example.net", "https://evil.example.org/.example.net"));
	assert_false(fits("https://*.example.net", "https://evil.example.org?.example.net"));
	assert_false(fits("https://*.example.net", "https://a.example.net:9200"));
	assert_false(fits("https://*", "http://a"));
	assert_false(fits("https://*/in", "https://a/b/in"));
}

static void
test_the_first_that_fits_is_taken(void **state)
{
	const struct dlv_endpoint list[] = {
		{.url = "https://a", .region = "1"}, {.url = "https://*", .region = "2"}};
	const struct dlv_endpoints endpoints = {list, 2};

	(void)state;
	assert_ptr_equal(dlv_endpoints_find(&endpoints, "https://a/x"), &list[0]);
	assert_ptr_equal(dlv_endpoints_find(&endpoints, "https://b"), &list[1]);
	assert_null(dlv_endpoints_find(&endpoints, "http://b"));
	assert_null(dlv_endpoints_find(NULL, "https://b"));
}

static int
check(const char *url, bool plain, const char *sentence)
{
	const struct dlv_endpoint list[] = {
		{.url = "https://*", .plain = plain}, {.url = "http://*", .plain = plain}};
	const struct dlv_endpoints endpoints = {list, 2};
	const struct dlv_endpoint *endpoint = NULL;
	struct slk_error err = {0};
	int rc = dlv_endpoints_check(&endpoints, url, &endpoint, &err);

	if (rc == SLK_OK)
		assert_non_null(endpoint);
	else
		assert_null(endpoint);
	if (sentence != NULL)
		assert_non_null(strstr(err.text, sentence));
	return rc;
}

static void
test_what_is_no_url_is_refused(void **state)
{
	static const char *const bad[] = {"", "a", "ftp://a", "https:/a", "https://", "https:///x",
		"https://?x", "https://[]", "https://a b", "https://a/\n", "https://a/\xc3\xa4",
		"https://a\\b", "https://a#b", "file:///etc/passwd", "HTTPS://a"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(check(bad[i], true, "the endpoint's URL"), SLK_INVALID);
	assert_int_equal(check("https://user:secret@a", true, "names a user"), SLK_INVALID);
	assert_int_equal(check("https://a@b/", true, "names a user"), SLK_INVALID);
	assert_ok(check("https://a/@b", true, NULL));
}

static void
test_without_tls_only_to_this_host(void **state)
{
	static const char *const here[] = {"http://127.0.0.1", "http://127.9.9.9:1/x",
		"http://[::1]:9200/", "http://localhost:9200", "http://LocalHost/"};
	static const char *const there[] = {"http://127.0.0.1.example.net", "http://10.0.0.1",
		"http://localhost.example.net", "http://[::2]", "http://0x7f000001",
		"http://128.0.0.1"};

	(void)state;
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		assert_ok(check(here[i], false, NULL));
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
		assert_int_equal(check(there[i], false, "plain: true"), SLK_CONFIG);
		assert_ok(check(there[i], true, NULL));
	}
}

static void
test_a_server_nobody_named_is_refused(void **state)
{
	const struct dlv_endpoint *endpoint = NULL;
	struct slk_error err = {0};

	(void)state;
	assert_int_equal(
		dlv_endpoints_check(NULL, "https://a.example.net:1/secret?token", &endpoint, &err),
		SLK_CONFIG);
	assert_non_null(strstr(err.text, "a.example.net"));
	assert_null(strstr(err.text, "token"));
	assert_null(strstr(err.text, "secret"));
}

static void
test_origins(void **state)
{
	char out[32], small[8];

	(void)state;
	dlv_endpoints_origin("https://a.example.net:1/x?token=y", out, sizeof(out));
	assert_string_equal(out, "https://a.example.net:1");
	dlv_endpoints_origin("http://a?token=y", out, sizeof(out));
	assert_string_equal(out, "http://a");
	dlv_endpoints_origin("https://a.example.net", small, sizeof(small));
	assert_string_equal(small, "https:/");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_url_covers_its_path),
		cmocka_unit_test(test_a_star_stays_within_its_part),
		cmocka_unit_test(test_the_first_that_fits_is_taken),
		cmocka_unit_test(test_what_is_no_url_is_refused),
		cmocka_unit_test(test_without_tls_only_to_this_host),
		cmocka_unit_test(test_a_server_nobody_named_is_refused),
		cmocka_unit_test(test_origins),
	};

	return cmocka_run_group_tests_name("delivery_endpoints", tests, NULL, NULL);
}
