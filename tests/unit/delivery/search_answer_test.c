/* Answers to _bulk: those of OpenSearch 2.19, cut at every byte, and broken ones. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search_answer.h"

struct seen {
	size_t count;
	struct search_item items[8];
};

static void
collect(void *arg, size_t index, const struct search_item *item)
{
	struct seen *seen = arg;

	assert_int_equal(index, seen->count);
	assert_true(seen->count < 8);
	seen->items[seen->count++] = *item;
}

static int
parse(const char *body, size_t items_max, struct seen *seen, struct search_answer *answer)
{
	*seen = (struct seen){0};
	return search_answer_read(slk_span_str(body), items_max, collect, seen, answer);
}

static const char mixed[] =
	"{\"took\":967,\"errors\":true,\"items\":["
	"{\"index\":{\"_index\":\"i\",\"_id\":\"a:0\",\"_version\":1,\"_shards\":{\"total\":2,"
	"\"status\":999},\"status\":201}},"
	"{\"index\":{\"_id\":\"a:1\",\"status\":400,\"error\":{\"type\":\"mapper_parsing_"
	"exception\",\"reason\":\"failed to parse field [a]\","
	"\"caused_by\":{\"type\":\"illegal_argument_exception\",\"reason\":\"For input "
	"string\",\"caused_by\":{\"type\":\"x\"}}}}},"
	"{\"create\":{\"status\":409,\"error\":\"a text, as old clusters have it\"}},"
	"{\"index\":{\"status\":429,\"error\":{\"type\":\"es_rejected_execution_exception\","
	"\"reason\":\"busy\"}}}]}";

static void
test_items(void **state)
{
	struct search_answer answer;
	struct seen seen;

	(void)state;
	assert_ok(parse(mixed, 4, &seen, &answer));
	assert_true(answer.has_items);
	assert_int_equal(answer.items, 4);
	assert_int_equal(seen.count, 4);
	assert_int_equal(seen.items[0].status, 201);
	assert_string_equal(seen.items[0].error.type, "");
	assert_int_equal(seen.items[1].status, 400);
	assert_string_equal(seen.items[1].error.type, "mapper_parsing_exception");
	assert_string_equal(seen.items[1].error.reason, "failed to parse field [a]");
	assert_string_equal(seen.items[1].error.cause, "illegal_argument_exception");
	assert_int_equal(seen.items[2].status, 409);
	assert_string_equal(seen.items[2].error.reason, "a text, as old clusters have it");
	assert_string_equal(seen.items[2].error.type, "");
	assert_int_equal(seen.items[3].status, 429);
	assert_string_equal(seen.items[3].error.cause, "");
}

static void
test_an_answer_without_a_reader(void **state)
{
	struct search_answer answer;

	(void)state;
	assert_ok(search_answer_read(slk_span_str(mixed), 4, NULL, NULL, &answer));
	assert_int_equal(answer.items, 4);
}

static void
test_a_refused_request(void **state)
{
	struct search_answer answer;
	struct seen seen;

	(void)state;
	assert_ok(parse(
		"{\"error\":{\"root_cause\":[{\"type\":\"x\",\"reason\":\"y\"}],\"type\":\"illegal_"
		"argument_exception\","
		"\"reason\":\"no such parameter\",\"caused_by\":{\"type\":\"z\"}},\"status\":400}",
		4, &seen, &answer));
	assert_false(answer.has_items);
	assert_int_equal(seen.count, 0);
	assert_string_equal(answer.error.type, "illegal_argument_exception");
	assert_string_equal(answer.error.reason, "no such parameter");
	assert_ok(parse("{\"error\":\"a text\",\"status\":400}", 4, &seen, &answer));
	assert_string_equal(answer.error.reason, "a text");
	assert_ok(parse("{}", 4, &seen, &answer));
	assert_false(answer.has_items);
	assert_ok(parse("{\"items\":[]}", 0, &seen, &answer));
	assert_true(answer.has_items);
}

/* Of a prefix, just the items that are complete in it are told. */
static void
test_cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(mixed) - 1; len++) {
		char *copy = malloc(len + 1);
		struct search_answer answer;
		struct seen seen = {0};
		assert_non_null(copy);
		memcpy(copy, mixed, len);
		assert_int_equal(
			search_answer_read(slk_span(copy, len), 4, collect, &seen, &answer),
			SLK_TRUNCATED);
		size_t complete = 0;
		for (const char *at = strstr(mixed, "}},{\""); at != NULL;
			at = strstr(at + 1, "}},{\""))
			complete += (size_t)(at - mixed) + 2 <= len;
		complete += len >= sizeof(mixed) - 3;
		assert_int_equal(seen.count, complete);
		assert_int_equal(answer.items, complete);
		free(copy);
	}
}

static void
test_broken_answers(void **state)
{
	static const char *const broken[] = {"<html>", "[]", "1", "\"items\"", "null", "true",
		"{\"items\":[1]}", "{\"items\":[null]}", "{\"items\":[true]}",
		"{\"items\":[\"x\"]}", "{\"items\":[[]]}", "{\"items\":[{}]}",
		"{\"items\":[{\"index\":{}}]}", "{\"items\":[{\"index\":1}]}",
		"{\"items\":[{\"index\":{\"status\":20}}]}",
		"{\"items\":[{\"index\":{\"status\":600}}]}",
		"{\"items\":[{\"index\":{\"status\":2e2}}]}",
		"{\"items\":[{\"index\":{\"status\":-20}}]}",
		"{\"items\":[{\"index\":{\"status\":\"200\"}}]}",
		"{\"items\":[{\"index\":{\"status\":200},\"index\":{\"status\":200}}]}",
		"{\"items\":[],\"items\":[]}", "{\"items\":[]}x", "{} {}", "{\"a\":\"\xff\"}"};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct search_answer answer;
		struct seen seen;
		if (parse(broken[i], 4, &seen, &answer) != SLK_MALFORMED)
			fail_msg("%s is taken for an answer", broken[i]);
		assert_int_equal(seen.count, 0);
	}
}

static void
test_limits(void **state)
{
	char deep[512] = "{\"x\":";
	struct search_answer answer;
	struct seen seen;

	(void)state;
	assert_int_equal(parse(mixed, 3, &seen, &answer), SLK_LIMIT);
	assert_int_equal(seen.count, 3);
	memset(deep + 5, '[', 200);
	assert_int_equal(parse(deep, 4, &seen, &answer), SLK_LIMIT);
}

static void
test_long_texts_are_cut(void **state)
{
	char body[2048], text[600];
	struct search_answer answer;
	struct seen seen;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	snprintf(body, sizeof(body),
		"{\"items\":[{\"index\":{\"status\":400,\"error\":{\"type\":\"%s\",\"reason\":\"%"
		"s\",\"caused_by\":{\"type\":\"%s\"}}}}]}",
		text, text, text);
	assert_ok(parse(body, 1, &seen, &answer));
	assert_int_equal(strlen(seen.items[0].error.type), sizeof(answer.error.type) - 1);
	assert_int_equal(strlen(seen.items[0].error.cause), sizeof(answer.error.cause) - 1);
	assert_int_equal(strlen(seen.items[0].error.reason), sizeof(answer.error.reason) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_an_answer_without_a_reader),
		cmocka_unit_test(test_a_refused_request),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_broken_answers),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_long_texts_are_cut),
	};

	return cmocka_run_group_tests_name("delivery_search_answer", tests, NULL, NULL);
}
