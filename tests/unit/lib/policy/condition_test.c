#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "policy/document.h"

/* Does the condition hold for a request whose key k has these values? NULL values: the key is absent. */
static bool
holds_for(const char *condition, const struct pol_value *values, size_t count)
{
	char json[1024];
	struct pol_document *doc = NULL;
	struct pol_problem problem;
	struct pol_query q = {.principal = "arn:aws:iam::000000000000:user/alice",
		.account = "000000000000",
		.action = "kms:Decrypt",
		.resource = "*",
		.values = values,
		.values_count = count};

	(void)snprintf(json, sizeof(json),
		"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\","
		"\"Resource\":\"*\",\"Condition\":{%s}}}",
		condition);
	if (pol_document_parse(slk_span_str(json), POL_IDENTITY, &doc, &problem) != SLK_OK)
		fail_msg("%s: %s", condition, problem.text);
	assert_ok(pol_query_prepare(&q));
	enum pol_match match = pol_document_evaluate(doc, &q).match;
	pol_document_free(doc);
	return match == POL_MATCH_ALLOW;
}

static bool
holds(const char *condition, const char *value)
{
	const struct pol_value one = {"k", &value, 1};

	return holds_for(condition, &one, value != NULL ? 1 : 0);
}

struct row {
	const char *condition; /* "Operator":value of the key k */
	const char *value; /* NULL: absent */
	bool holds;
};

static void
check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char condition[512];
		const char *colon = strstr(rows[i].condition, "\":") + 2;
		(void)snprintf(condition, sizeof(condition), "%.*s{\"k\":%s}",
			(int)(colon - rows[i].condition), rows[i].condition, colon);
		if (holds(condition, rows[i].value) != rows[i].holds)
			fail_msg("%s with %s is not %d", rows[i].condition,
				rows[i].value != NULL ? rows[i].value : "nothing", rows[i].holds);
	}
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

static void
strings_are_compared(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"\"StringEquals\":\"a\"", "a", true},
		{"\"StringEquals\":\"a\"", "A", false},
		{"\"StringEquals\":\"a*\"", "ab", false},
		{"\"StringEquals\":\"a*\"", "a*", true},
		{"\"StringEquals\":[\"x\",\"a\"]", "a", true},
		{"\"StringEquals\":true", "true", true},
		{"\"StringNotEquals\":\"a\"", "b", true},
		{"\"StringNotEquals\":[\"a\",\"b\"]", "b", false},
		{"\"StringEqualsIgnoreCase\":\"aB\"", "Ab", true},
		{"\"StringNotEqualsIgnoreCase\":\"aB\"", "Ab", false},
		{"\"StringLike\":\"a*c?\"", "abbcd", true},
		{"\"StringLike\":\"a*c?\"", "abbc", false},
		{"\"StringNotLike\":\"a*\"", "ab", false},
		{"\"StringNotLike\":\"a*\"", "b", true},
		{"\"BinaryEquals\":\"QQ==\"", "QQ==", true},
		{"\"BinaryEquals\":\"QQ==\"", "qq==", false},
	};
	CHECK(rows);
}

static void
arns_are_compared_part_by_part(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"\"ArnLike\":\"arn:aws:kinesis:*:*:stream/*\"",
			"arn:aws:kinesis:local:000000000000:stream/a:b", true},
		{"\"ArnLike\":\"arn:aws:*:stream/a\"", "arn:aws:kinesis:local:0:stream/a", false},
		{"\"ArnLike\":\"arn:aws:kinesis:*:stream/a\"", "arn:aws:kinesis:local:0:stream/a",
			false},
		{"\"ArnLike\":\"*\"", "anything", true},
		{"\"ArnEquals\":\"arn:aws:kinesis:l?cal:0:stream/a\"",
			"arn:aws:kinesis:local:0:stream/a", true},
		{"\"ArnLike\":\"arn:a:b:c:d:e\"", "arn:a:b:c:d", false},
		{"\"ArnNotLike\":\"arn:aws:kinesis:*:*:stream/*\"",
			"arn:aws:kinesis:local:0:stream/a", false},
		{"\"ArnNotEquals\":\"arn:aws:kinesis:*:*:stream/*\"", "arn:aws:kms:local:0:key/a",
			true},
	};
	CHECK(rows);
}

static void
numbers_and_dates_are_compared_as_such(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"\"NumericEquals\":10", "10.0", true},
		{"\"NumericEquals\":\"1e1\"", "10", true},
		{"\"NumericEquals\":10", " 10", false},
		{"\"NumericEquals\":10", "0xa", false},
		{"\"NumericEquals\":10", "", false},
		{"\"NumericNotEquals\":10", "ten", true},
		{"\"NumericLessThan\":10", "9", true},
		{"\"NumericLessThan\":10", "10", false},
		{"\"NumericLessThanEquals\":10", "10", true},
		{"\"NumericGreaterThan\":10", "10.5", true},
		{"\"NumericGreaterThanEquals\":10", "9.99", false},
		{"\"DateEquals\":\"2026-11-24T10:00:00Z\"", "2026-11-24T11:00:00+01:00", true},
		{"\"DateEquals\":\"2026-11-24\"", "1795478400", true},
		{"\"DateNotEquals\":\"2026-11-24\"", "2026-11-25", true},
		{"\"DateLessThan\":\"2026-11-24T10:00:00Z\"", "2026-11-24T09:59:59.9Z", true},
		{"\"DateGreaterThan\":\"2026-11-24T10:00:00Z\"", "2026-11-24T10:00:00Z", false},
		{"\"DateGreaterThanEquals\":\"2026-11-24T10:00:00Z\"", "2026-11-24T10:00:00Z",
			true},
		{"\"DateLessThanEquals\":\"2026-11-24T10:00:00Z\"", "2026-13-24T10:00:00Z", false},
		{"\"DateLessThan\":\"2027-01-01\"", "yesterday", false},
	};
	CHECK(rows);
}

static void
booleans_and_addresses_are_compared_as_such(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"\"Bool\":\"true\"", "TRUE", true},
		{"\"Bool\":true", "true", true},
		{"\"Bool\":false", "true", false},
		{"\"Bool\":false", "no", false},
		{"\"IpAddress\":\"10.1.0.0/16\"", "10.1.255.7", true},
		{"\"IpAddress\":\"10.1.0.0/16\"", "10.2.0.0", false},
		{"\"IpAddress\":\"10.1.0.0/15\"", "10.0.0.1", true},
		{"\"IpAddress\":\"10.1.2.3\"", "10.1.2.3", true},
		{"\"IpAddress\":\"0.0.0.0/0\"", "1.2.3.4", true},
		{"\"IpAddress\":\"0.0.0.0/0\"", "::1", false},
		{"\"IpAddress\":\"10.0.0.0/8\"", "::ffff:10.1.1.1", true},
		{"\"IpAddress\":\"2001:db8::/33\"", "2001:db8:7fff::1", true},
		{"\"IpAddress\":\"2001:db8::/33\"", "2001:db8:8000::1", false},
		{"\"IpAddress\":\"10.0.0.0/8\"", "10.0.0.0/8", false},
		{"\"NotIpAddress\":\"10.0.0.0/8\"", "11.0.0.0", true},
		{"\"NotIpAddress\":\"10.0.0.0/8\"", "not an address", true},
	};
	CHECK(rows);
}

static void
a_key_that_is_absent_fails_unless_it_is_negated_or_if_exists(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"\"StringEquals\":\"a\"", NULL, false},
		{"\"StringNotEquals\":\"a\"", NULL, true},
		{"\"NotIpAddress\":\"10.0.0.0/8\"", NULL, true},
		{"\"NumericLessThan\":5", NULL, false},
		{"\"StringEqualsIfExists\":\"a\"", NULL, true},
		{"\"StringEqualsIfExists\":\"a\"", "b", false},
		{"\"StringNotEqualsIfExists\":\"a\"", "a", false},
		{"\"Null\":\"true\"", NULL, true},
		{"\"Null\":\"true\"", "a", false},
		{"\"Null\":false", "a", true},
		{"\"Null\":[true,false]", "a", true},
		{"\"ForAllValues:StringEquals\":\"a\"", NULL, true},
		{"\"ForAnyValue:StringEquals\":\"a\"", NULL, false},
		{"\"ForAnyValue:StringNotEquals\":\"a\"", NULL, false},
		{"\"ForAnyValue:StringEqualsIfExists\":\"a\"", NULL, true},
	};
	CHECK(rows);
}

static void
sets_are_compared_by_their_quantifier(void **state)
{
	(void)state;
	static const char *const ab[] = {"a", "b"};
	static const struct pol_value two = {"k", ab, 2}, none = {"k", NULL, 0};
	static const struct {
		const char *condition;
		const struct pol_value *value;
		bool holds;
	} rows[] = {
		{"\"ForAnyValue:StringEquals\":{\"k\":\"a\"}", &two, true},
		{"\"ForAnyValue:StringEquals\":{\"k\":\"c\"}", &two, false},
		{"\"ForAllValues:StringEquals\":{\"k\":\"a\"}", &two, false},
		{"\"ForAllValues:StringEquals\":{\"k\":[\"a\",\"b\",\"c\"]}", &two, true},
		{"\"ForAnyValue:StringNotEquals\":{\"k\":\"a\"}", &two, true},
		{"\"ForAnyValue:StringNotEquals\":{\"k\":[\"a\",\"b\"]}", &two, false},
		{"\"ForAllValues:StringNotEquals\":{\"k\":\"a\"}", &two, false},
		{"\"ForAllValues:StringNotEquals\":{\"k\":\"c\"}", &two, true},
		{"\"StringEquals\":{\"k\":\"b\"}", &two, true},
		{"\"StringNotEquals\":{\"k\":\"b\"}", &two, false},
		{"\"ForAllValues:StringEquals\":{\"k\":\"a\"}", &none, true},
		{"\"ForAnyValue:StringEquals\":{\"k\":\"a\"}", &none, false},
		{"\"StringEquals\":{\"k\":\"a\"}", &none, false},
		{"\"StringNotEquals\":{\"k\":\"a\"}", &none, true},
		{"\"Null\":{\"k\":\"true\"}", &none, true},
		{"\"ForAllValues:StringEquals\":{\"k\":\"a\"},\"Null\":{\"k\":\"false\"}", &none,
			false},
		{"\"ForAllValues:StringLike\":{\"k\":\"?\"},\"Null\":{\"k\":\"false\"}", &two,
			true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (holds_for(rows[i].condition, rows[i].value, 1) != rows[i].holds)
			fail_msg("%s is not %d", rows[i].condition, rows[i].holds);
}

static void
condition_keys_ignore_case_and_all_conditions_must_hold(void **state)
{
	(void)state;
	static const char *const a[] = {"a"};
	static const char *const b[] = {"b"};
	static const struct pol_value values[] = {
		{"kms:EncryptionContext:Dept", a, 1}, {"aws:username", b, 1}};

	assert_true(holds_for(
		"\"StringEquals\":{\"KMS:encryptioncontext:dept\":\"a\",\"AWS:UserName\":\"b\"}",
		values, 2));
	assert_false(holds_for(
		"\"StringEquals\":{\"kms:EncryptionContext:Dept\":\"a\",\"aws:username\":\"x\"}",
		values, 2));
	assert_false(holds_for("\"StringEquals\":{\"kms:EncryptionContext:Dept\":\"a\"},"
			       "\"Null\":{\"aws:username\":true}",
		values, 2));
}

static void
a_key_given_twice_has_the_values_of_both(void **state)
{
	(void)state;
	static const char *const a[] = {"a"};
	static const char *const b[] = {"b"};
	static const struct pol_value values[] = {{"K", a, 1}, {"other", a, 1}, {"k", b, 1}};

	assert_true(holds_for("\"StringEquals\":{\"k\":\"b\"}", values, 3));
	assert_false(holds_for("\"StringNotEquals\":{\"k\":\"b\"}", values, 3));
	assert_false(holds_for("\"ForAllValues:StringEquals\":{\"k\":\"b\"}", values, 3));
}

static void
a_variable_in_a_condition_takes_what_the_request_says(void **state)
{
	(void)state;
	static const char *const name[] = {"al*"};
	static const char *const other[] = {"alice"};
	static const struct pol_value values[] = {{"aws:username", name, 1}, {"k", other, 1}};
	static const struct pol_value same[] = {{"aws:username", name, 1}, {"k", name, 1}};

	assert_false(holds_for("\"StringLike\":{\"k\":\"${aws:username}\"}", values, 2));
	assert_true(holds_for("\"StringLike\":{\"k\":\"${aws:username}\"}", same, 2));
	assert_true(holds_for("\"StringEquals\":{\"k\":\"${aws:username}\"}", same, 2));
	assert_false(holds_for("\"StringEquals\":{\"k\":\"${aws:absent}\"}", same, 2));
}

/* AWS calls such a statement invalid; ours never allows. That it denies all the same is document_test's. */
static void
a_variable_without_a_value_never_allows(void **state)
{
	(void)state;
	static const char *const a[] = {"a"};
	static const char *const ab[] = {"a", "b"};
	static const struct pol_value values[] = {{"k", a, 1}, {"two", ab, 2}};

	assert_false(holds_for("\"StringNotEquals\":{\"k\":\"${aws:absent}\"}", values, 2));
	assert_false(holds_for("\"StringNotLike\":{\"k\":[\"x\",\"${two}\"]}", values, 2));
	assert_false(holds_for(
		"\"ForAnyValue:StringNotEquals\":{\"two\":\"${aws:absent}\"}", values, 2));
	assert_false(
		holds_for("\"ArnNotLike\":{\"k\":\"arn:aws:iam::1:${aws:absent}\"}", values, 2));
	assert_true(holds_for("\"StringNotEquals\":{\"k\":\"${aws:absent, 'b'}\"}", values, 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_compared),
		cmocka_unit_test(arns_are_compared_part_by_part),
		cmocka_unit_test(numbers_and_dates_are_compared_as_such),
		cmocka_unit_test(booleans_and_addresses_are_compared_as_such),
		cmocka_unit_test(a_key_that_is_absent_fails_unless_it_is_negated_or_if_exists),
		cmocka_unit_test(sets_are_compared_by_their_quantifier),
		cmocka_unit_test(condition_keys_ignore_case_and_all_conditions_must_hold),
		cmocka_unit_test(a_key_given_twice_has_the_values_of_both),
		cmocka_unit_test(a_variable_in_a_condition_takes_what_the_request_says),
		cmocka_unit_test(a_variable_without_a_value_never_allows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
