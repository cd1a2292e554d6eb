/* Documents that somebody made to hurt: each is refused with a place and a reason, or costs little. */
#include "slk_test.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/document.h"

#define HEAD "{\"Version\":\"2012-10-17\",\"Statement\":"
#define STATEMENT "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}"

struct text {
	char *bytes;
	size_t len, cap;
};

static void
add(struct text *t, const char *more)
{
	size_t len = strlen(more);

	if (t->len + len + 1 > t->cap) {
		t->cap = 2 * (t->cap + len + 1);
		t->bytes = realloc(t->bytes, t->cap);
		assert_non_null(t->bytes);
	}
	memcpy(t->bytes + t->len, more, len + 1);
	t->len += len;
}

static void
repeat(struct text *t, const char *more, size_t count)
{
	while (count-- > 0)
		add(t, more);
}

/* Parses, frees t, and says what parsing said. */
static int
parse(struct text *t, struct pol_problem *out_problem)
{
	struct pol_document *doc = NULL;

	memset(out_problem, 0, sizeof(*out_problem));
	int rc = pol_document_parse(
		slk_span((const uint8_t *)t->bytes, t->len), POL_IDENTITY, &doc, out_problem);
	assert_true((doc == NULL) == (rc != SLK_OK));
	if (rc != SLK_OK &&
		(out_problem->line == 0 || out_problem->column == 0 ||
			out_problem->text[0] == '\0'))
		fail_msg("no place or no reason");
	pol_document_free(doc);
	free(t->bytes);
	*t = (struct text){0};
	return rc;
}

static void
ten_megabytes_are_refused_before_they_are_read(void **state)
{
	(void)state;
	static const char *const fills[] = {" ", "[", "{\"a\":", "\"", STATEMENT ",", "1", "\\"};
	struct text t = {0};
	struct pol_problem problem;

	for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++) {
		add(&t, HEAD "[");
		repeat(&t, fills[i], (10u << 20) / strlen(fills[i]));
		assert_int_equal(parse(&t, &problem), SLK_TOO_LARGE);
		assert_non_null(strstr(problem.text, "at most 131072 bytes"));
	}
}

static void
depth_is_refused_where_it_exceeds_what_a_policy_has(void **state)
{
	(void)state;
	struct text t = {0};
	struct pol_problem problem;

	add(&t, HEAD "\n");
	repeat(&t, "[", 100000);
	assert_int_equal(parse(&t, &problem), SLK_MALFORMED);
	assert_int_equal(problem.line, 2);
	assert_int_equal(problem.column, 16); /* the sixteenth below the root */
	assert_non_null(strstr(problem.text, "nested"));
	repeat(&t, "{\"a\":", 26000);
	assert_int_equal(parse(&t, &problem), SLK_MALFORMED);
	assert_non_null(strstr(problem.text, "nested"));
}

struct row {
	const char *json;
	unsigned line, column;
	const char *says;
};

static void
check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct text t = {0};
		struct pol_problem problem;
		add(&t, rows[i].json);
		assert_int_equal(parse(&t, &problem), SLK_MALFORMED);
		if (problem.line != rows[i].line || problem.column != rows[i].column ||
			strstr(problem.text, rows[i].says) == NULL)
			fail_msg("%s: %u:%u: %s", rows[i].json, problem.line, problem.column,
				problem.text);
	}
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

static void
bad_text_is_refused_where_it_stands(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{HEAD "\n[" STATEMENT "],\n\"Version\":\"2012-10-17\"}", 3, 1, "already"},
		{HEAD "\n{\"Effect\":\"Deny\",\"Effect\":\"Allow\"}}", 2, 18, "already"},
		{HEAD "\n{\"Effect\":\"Deny\",\"\\u0045ffect\":\"Allow\"}}", 2, 18, "already"},
		{HEAD "\n{\"Condition\":{\"Bool\":{\"a\\\\\":1,\"a\\\\\":0}}}}", 2, 31, "already"},
		{HEAD "\n{\"Sid\":\"\xff\"}}", 2, 9, "UTF-8"},
		{HEAD "\n{\"Sid\":\"\xc3\xa9\xc0\x80\"}}", 2, 11, "UTF-8"}, /* overlong */
		{HEAD "\n{\"Sid\":\"\xed\xa0\x80\"}}", 2, 9, "UTF-8"}, /* a surrogate */
		{HEAD "\n{\"Sid\":\"\xf4\x90\x80\x80\"}}", 2, 9, "UTF-8"},
		{HEAD "\n{\"Sid\":\"\xe2\x82", 2, 9, "UTF-8"}, /* cut off */
		{HEAD "\n{\"Sid\":\"a\\ud800\"}}", 2, 10, "surrogate"},
		{HEAD "\n{\"Sid\":\"a\\udc00\\ud800\"}}", 2, 10, "surrogate"},
		{HEAD "\n{\"Sid\":\"\\ud83d\\ude00\\ud83d\\ud83d\"}}", 2, 21, "surrogate"},
		{HEAD "\n{\"Sid\":\"a\\u0000b\"}}", 2, 8, "NUL"},
		{HEAD "\n{\"S\\u0000id\":\"a\"}}", 2, 2, "NUL"},
		{HEAD "\n{\"Sid\":\"a\tb\"}}", 2, 10, "invalid"},
		{HEAD "\n" STATEMENT "} {}", 2, 50, "trailing"},
		{HEAD "\n/* */" STATEMENT "}", 2, 1, "comments"},
	};
	CHECK(rows);
}

static void
a_nul_byte_ends_no_document(void **state)
{
	(void)state;
	static const char json[] = HEAD STATEMENT "}\0garbage";
	struct pol_document *doc = NULL;
	struct pol_problem problem;

	assert_int_equal(pol_document_parse(slk_span((const uint8_t *)json, sizeof(json) - 1),
				 POL_IDENTITY, &doc, &problem),
		SLK_MALFORMED);
	assert_null(doc);
}

static void
what_a_policy_must_not_say_is_refused_where_it_stands(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"{\n\"Statement\":" STATEMENT "}", 1, 1, "Version is missing"},
		{"{\"Version\":\n\"2012-10-18\",\"Statement\":" STATEMENT "}", 2, 1, "2008-10-17"},
		{HEAD "\n{\"Effect\":\"Permit\",\"Action\":\"*\",\"Resource\":\"*\"}}", 2, 11,
			"\"Deny\""},
		{HEAD "\n{\"Effect\":\"DENY\",\"Action\":\"*\",\"Resource\":\"*\"}}", 2, 11,
			"\"Deny\""},
		{HEAD "\n{\"NotPrincipal\":\"*\"}}", 2, 17, "NotPrincipal is not accepted"},
		{HEAD "\n[]}", 2, 1, "needs a Statement"},
		{HEAD "\n{}}", 2, 1, "needs an Effect"},
		{HEAD "\n[{}]}", 2, 2, "needs an Effect"},
		{HEAD "\n{\"Condition\":{\"StringMatches\":{\"a\":\"b\"}}}}", 2, 31,
			"no condition operator 'StringMatches'"},
		{HEAD "\n{\"Condition\":{\"ForSomeValues:StringLike\":{\"a\":\"b\"}}}}", 2, 42,
			"no condition operator"},
		{HEAD "\n{\"Condition\":{\"stringequals\":{\"a\":\"b\"}}}}", 2, 30,
			"no condition operator"},
		{HEAD "\n{\"Condition\":{\"NumericEquals\":{\"a\":-1.5e}}}}", 2, 41, "number"},
		{HEAD "\n{\"Condition\":{\"IpAddress\":{\"a\":[\"10.0.0.1\",\"\\\"x\\\\\"]}}}}", 2,
			44, "not an address"},
	};
	CHECK(rows);
}

static void
an_object_of_too_many_keys_is_refused(void **state)
{
	(void)state;
	struct text t = {0};
	struct pol_problem problem;
	char key[32];

	add(&t,
		HEAD "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{"
		     "\"Null\":{\"x\":1");
	for (unsigned i = 0; i < 8000; i++) {
		(void)snprintf(key, sizeof(key), ",\"k%u\":1", i);
		add(&t, key);
	}
	add(&t, "}}}}");
	assert_int_equal(parse(&t, &problem), SLK_MALFORMED);
	assert_non_null(strstr(problem.text, "more keys"));
}

/* The tree, the compiled form and the text: a small multiple of the document's limit, whatever it says. */
static void
memory_is_bounded_by_the_limit_of_a_document(void **state)
{
	(void)state;
	static const char *const fills[] = {
		"{},", "0,", "[],", "\"\",", STATEMENT ",", "{\"a\":{\"b\":[\"*a\"]}},"};
	struct pol_problem problem;

	for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++) {
		struct text t = {0};
		add(&t, HEAD "[");
		repeat(&t, fills[i], (POL_DOCUMENT_MAX - sizeof(HEAD) - 4) / strlen(fills[i]));
		add(&t, "0]}");
		size_t before = mallinfo2().uordblks;
		size_t free_at_first = mallinfo2().arena;
		assert_int_not_equal(parse(&t, &problem), SLK_OK);
		assert_true(mallinfo2().uordblks <= before);
		assert_true(mallinfo2().arena <= free_at_first + 32 * (size_t)POL_DOCUMENT_MAX);
	}
}

/* Counted in answers, not in time: such a decision took 1.3 s with a matcher that went through the product of both lengths, and
 * a test's time limit would see it come back. */
static void
patterns_made_to_backtrack_are_decided(void **state)
{
	(void)state;
	static char text[8193], part[1001];
	const char *const values[] = {text};
	const struct pol_value value = {"k", values, 1};
	struct pol_query q = {.principal = "arn:aws:iam::000000000000:user/a",
		.account = "000000000000",
		.action = "kms:Decrypt",
		.resource = "*",
		.values = &value,
		.values_count = 1};
	struct text t = {0};
	struct pol_document *doc = NULL;
	struct pol_problem problem;

	memset(text, 'a', sizeof(text) - 1);
	memset(part, 'a', sizeof(part) - 1);
	add(&t,
		HEAD "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{"
		     "\"StringLike\":{\"k\":[\"b\"");
	for (unsigned i = 0; i < 120; i++) {
		add(&t, i % 2 == 0 ? ",\"*" : ",\"*a*a*?");
		add(&t, part);
		add(&t, "b\"");
	}
	add(&t, "]}}}}");
	assert_ok(pol_document_parse(
		slk_span((const uint8_t *)t.bytes, t.len), POL_IDENTITY, &doc, &problem));
	assert_ok(pol_query_prepare(&q));
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(pol_document_evaluate(doc, &q).match, POL_MATCH_NONE);
	text[sizeof(text) - 2] = 'b';
	assert_int_equal(pol_document_evaluate(doc, &q).match, POL_MATCH_ALLOW);
	pol_document_free(doc);
	free(t.bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_megabytes_are_refused_before_they_are_read),
		cmocka_unit_test(depth_is_refused_where_it_exceeds_what_a_policy_has),
		cmocka_unit_test(bad_text_is_refused_where_it_stands),
		cmocka_unit_test(a_nul_byte_ends_no_document),
		cmocka_unit_test(what_a_policy_must_not_say_is_refused_where_it_stands),
		cmocka_unit_test(an_object_of_too_many_keys_is_refused),
		cmocka_unit_test(memory_is_bounded_by_the_limit_of_a_document),
		cmocka_unit_test(patterns_made_to_backtrack_are_decided),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
