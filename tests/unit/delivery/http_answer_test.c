/* Answers of HTTP endpoints. */
#include "slk_test.h"

#include <string.h>

#include "http_answer.h"

static int
parse(const char *body, struct http_answer *answer)
{
	return http_answer_read(slk_span_str(body), answer);
}

static void
test_answers(void **state)
{
	struct http_answer answer;

	(void)state;
	assert_ok(parse("{\"requestId\":\"r-1\",\"timestamp\":1578090903599}", &answer));
	assert_string_equal(answer.request_id, "r-1");
	assert_string_equal(answer.said, "");
	assert_ok(parse(" {\"errorMessage\":\"no\\u0020room\",\"x\":{\"requestId\":\"other\","
			"\"errorMessage\":1},\"requestId\":\"r-2\"} ",
		&answer));
	assert_string_equal(answer.request_id, "r-2");
	assert_string_equal(answer.said, "no room");
	assert_ok(parse("{}", &answer));
	assert_string_equal(answer.request_id, "");
	assert_ok(parse("{\"errorMessage\":null,\"requestId\":\"r\"}", &answer));
	assert_string_equal(answer.said, "");
}

static void
test_broken_answers(void **state)
{
	static const char *const broken[] = {"", "{", "[]", "1", "null", "\"requestId\"", "<html>",
		"{\"requestId\":1}", "{\"requestId\":null}", "{\"requestId\":[\"r\"]}",
		"{\"requestId\":{\"requestId\":\"r\"}}",
		"{\"requestId\":\"r\",\"requestId\":\"r\"}",
		"{\"errorMessage\":\"a\",\"errorMessage\":\"b\"}", "{\"requestId\":\"r\"}x", "{}{}",
		"{\"requestId\":\"r\\u0000x\"}", "{\"requestId\":\"\xff\"}", "{\"requestId\":\"r\"",
		"OK"};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct http_answer answer;
		if (parse(broken[i], &answer) != SLK_MALFORMED)
			fail_msg("%s is taken for an answer", broken[i]);
	}
}

static void
test_limits(void **state)
{
	char body[1024] = "{\"requestId\":\"";
	struct http_answer answer;

	(void)state;
	size_t head = strlen(body);
	memset(body + head, 'x', 300);
	strcpy(body + head + 300, "\"}");
	assert_ok(parse(body, &answer));
	assert_int_equal(strlen(answer.request_id), sizeof(answer.request_id) - 1);
	strcpy(body, "{\"x\":");
	memset(body + 5, '[', 100);
	body[105] = '\0';
	assert_int_equal(parse(body, &answer), SLK_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_broken_answers),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("delivery_http_answer", tests, NULL, NULL);
}
