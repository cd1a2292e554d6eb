#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/document.h"

#define ALICE "arn:aws:iam::000000000000:user/alice"
#define ROLE "arn:aws:iam::000000000000:role/ingest"
#define SESSION "arn:aws:sts::000000000000:assumed-role/ingest/s1"
#define KEY "arn:aws:kms:local:000000000000:key/1"

#define DOC(statement) "{\"Version\":\"2012-10-17\",\"Statement\":" statement "}"
#define ALLOW_ALL "\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\""

static int
parse(const char *json, enum pol_kind kind, struct pol_problem *out_problem)
{
	struct pol_document *doc = NULL;

	int rc = pol_document_parse(slk_span_str(json), kind, &doc, out_problem);
	assert_true((doc != NULL) == (rc == SLK_OK));
	pol_document_free(doc);
	return rc;
}

static struct pol_query
query(void)
{
	return (struct pol_query){.principal = ALICE,
		.account = "000000000000",
		.action = "kms:Decrypt",
		.resource = KEY};
}

static enum pol_match
ask(const char *json, enum pol_kind kind, struct pol_query q)
{
	struct pol_document *doc = NULL;
	struct pol_problem problem = {0};

	if (pol_document_parse(slk_span_str(json), kind, &doc, &problem) != SLK_OK)
		fail_msg("%u:%u: %s", problem.line, problem.column, problem.text);
	assert_ok(pol_query_prepare(&q));
	struct pol_verdict v = pol_document_evaluate(doc, &q);
	pol_document_free(doc);
	return v.match;
}

/* --- parsing --- */

static void
malformed_documents_are_refused_where_they_are_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		enum pol_kind kind;
		unsigned line;
		const char *says;
	} cases[] = {
		{"", POL_IDENTITY, 1, "premature EOF"},
		{"[]", POL_IDENTITY, 1, "a policy is an object"},
		{"{}", POL_IDENTITY, 1, "Version"},
		{"{\n\"Version\":\"2012-10-18\",\"Statement\":[]}", POL_IDENTITY, 2, "2012-10-17"},
		{DOC("[]"), POL_IDENTITY, 1, "needs a Statement"},
		{"{\"Version\":\"2012-10-17\"}", POL_IDENTITY, 1, "needs a Statement"},
		{"{\"Version\":\"2012-10-17\",\"Statment\":[]}", POL_IDENTITY, 1, "'Statment'"},
		{DOC("7"), POL_IDENTITY, 1, "a statement is an object"},
		{DOC("{\"Action\":\"*\",\"Resource\":\"*\"}"), POL_IDENTITY, 1, "Effect"},
		{DOC("{\"Effect\":\"allow\",\"Action\":\"*\",\"Resource\":\"*\"}"), POL_IDENTITY, 1,
			"Allow"},
		{DOC("{\"Effect\":\"Allow\",\"Resource\":\"*\"}"), POL_IDENTITY, 1, "Action"},
		{DOC("{\"Effect\":\"Allow\",\"Action\":\"*\"}"), POL_IDENTITY, 1, "Resource"},
		{DOC("{" ALLOW_ALL ",\"NotAction\":\"a:b\"}"), POL_IDENTITY, 1, "not both"},
		{DOC("{" ALLOW_ALL ",\"Principal\":\"*\"}"), POL_IDENTITY, 1, "no place"},
		{DOC("{" ALLOW_ALL "}"), POL_RESOURCE, 1, "Principal"},
		{DOC("{" ALLOW_ALL ",\"Principal\":\"*\"}"), POL_TRUST, 1, "Resource has no place"},
		{DOC("{" ALLOW_ALL ",\"NotPrincipal\":\"*\"}"), POL_RESOURCE, 1, "NotPrincipal"},
		{DOC("{" ALLOW_ALL ",\"Principal\":{}}"), POL_RESOURCE, 1, "Principal is"},
		{DOC("{" ALLOW_ALL ",\"Principal\":\"alice\"}"), POL_RESOURCE, 1, "Principal is"},
		{DOC("{" ALLOW_ALL ",\"Principal\":{\"AWS\":[]}}"), POL_RESOURCE, 1, "empty list"},
		{DOC("{" ALLOW_ALL ",\"Principal\":{\"AWS\":\"arn:aws:iam::1:root\"}}"),
			POL_RESOURCE, 1, "no account"},
		{DOC("{" ALLOW_ALL
		     ",\"Principal\":{\"AWS\":\"arn:aws:iam::000000000000:user/*\"}}"),
			POL_RESOURCE, 1, "wildcards"},
		{DOC("{" ALLOW_ALL ",\"Principal\":{\"Federated\":\"x\"}}"), POL_RESOURCE, 1,
			"'Federated'"},
		{DOC("{" ALLOW_ALL ",\"Conditions\":{}}"), POL_IDENTITY, 1, "'Conditions'"},
		{DOC("{" ALLOW_ALL ",\"Condition\":[]}"), POL_IDENTITY, 1, "Condition"},
		{DOC("{" ALLOW_ALL ",\"Condition\":{\"StringEqual\":{\"a\":\"b\"}}}"), POL_IDENTITY,
			1, "'StringEqual'"},
		{DOC("{" ALLOW_ALL ",\"Condition\":{\"StringEquals\":{}}}"), POL_IDENTITY, 1,
			"condition keys"},
		{DOC("{" ALLOW_ALL ",\"Condition\":{\"StringEquals\":{\"a\":[]}}}"), POL_IDENTITY,
			1, "no value"},
		{DOC("{" ALLOW_ALL ",\"Condition\":{\"NullIfExists\":{\"a\":\"true\"}}}"),
			POL_IDENTITY, 1, "Null"},
		{DOC("{" ALLOW_ALL ",\"Condition\":{\"NumericEquals\":{\"a\":\"0x10\"}}}"),
			POL_IDENTITY, 1, "number"},
		{DOC("{" ALLOW_ALL ",\"Condition\":{\"DateEquals\":{\"a\":\"2026-02-29\"}}}"),
			POL_IDENTITY, 1, "date"},
		{DOC("{" ALLOW_ALL ",\"Condition\":{\"IpAddress\":{\"a\":\"10.0.0.0/33\"}}}"),
			POL_IDENTITY, 1, "CIDR"},
		{DOC("{\"Effect\":\"Allow\",\"Action\":\"Decrypt\",\"Resource\":\"*\"}"),
			POL_IDENTITY, 1, "kms:Decrypt"},
		{DOC("{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"key/1\"}"),
			POL_IDENTITY, 1, "ARN"},
		{DOC("{\n\n" ALLOW_ALL ",\n\"Effect\":\"Deny\"}"), POL_IDENTITY, 4, "already"},
		{DOC("{" ALLOW_ALL ",\"Sid\":\"a\\u0000b\"}"), POL_IDENTITY, 1, "NUL"},
		{DOC("{" ALLOW_ALL ",\"Sid\":\"\xff\"}"), POL_IDENTITY, 1, ""},
		{DOC("{" ALLOW_ALL "}") "x", POL_IDENTITY, 1, ""},
		{DOC("{" ALLOW_ALL), POL_IDENTITY, 1, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pol_problem problem = {0};
		assert_int_equal(parse(cases[i].json, cases[i].kind, &problem), SLK_MALFORMED);
		if (problem.line != cases[i].line || strstr(problem.text, cases[i].says) == NULL)
			fail_msg("case %zu: %u:%u: %s", i, problem.line, problem.column,
				problem.text);
		assert_true(problem.column >= 1);
	}
}

static void
depth_and_size_are_bounded(void **state)
{
	(void)state;
	static char json[POL_DOCUMENT_MAX + 2];
	struct pol_problem problem;

	memset(json, '[', 100000);
	assert_int_equal(parse(json, POL_IDENTITY, &problem), SLK_MALFORMED);
	assert_non_null(strstr(problem.text, "nested"));
	memset(json, ' ', sizeof(json) - 1);
	assert_int_equal(parse(json, POL_IDENTITY, &problem), SLK_TOO_LARGE);
	memset(json, ' ', POL_DOCUMENT_MAX);
	json[POL_DOCUMENT_MAX] = '\0';
	memcpy(json, DOC("{" ALLOW_ALL "}"), strlen(DOC("{" ALLOW_ALL "}")));
	assert_ok(parse(json, POL_IDENTITY, &problem));
}

/* --- evaluating --- */

static void
without_a_statement_that_matches_the_answer_is_none(void **state)
{
	(void)state;
	static const char *const statements[] = {
		"{\"Effect\":\"Allow\",\"Action\":\"kms:Encrypt\",\"Resource\":\"*\"}",
		"{\"Effect\":\"Allow\",\"Action\":\"kms:Decrypt\",\"Resource\":\"arn:x\"}",
		"{\"Effect\":\"Allow\",\"NotAction\":\"kms:*\",\"Resource\":\"*\"}",
		"{\"Effect\":\"Allow\",\"Action\":\"*\",\"NotResource\":\"arn:aws:kms:*\"}",
	};

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		char json[512];
		(void)snprintf(json, sizeof(json), DOC("[%s]"), statements[i]);
		assert_int_equal(ask(json, POL_IDENTITY, query()), POL_MATCH_NONE);
	}
}

static void
actions_ignore_case_and_resources_do_not(void **state)
{
	(void)state;
	struct pol_query q = query();

	q.action = "KMS:DECRYPT";
	assert_int_equal(ask(DOC("{\"Effect\":\"Allow\",\"Action\":\"kms:decrypt\",\"Resource\":"
				 "\"" KEY "\"}"),
				 POL_IDENTITY, q),
		POL_MATCH_ALLOW);
	q.resource = "ARN:aws:kms:local:000000000000:key/1";
	assert_int_equal(ask(DOC("{\"Effect\":\"Allow\",\"Action\":\"kms:decrypt\",\"Resource\":"
				 "\"" KEY "\"}"),
				 POL_IDENTITY, q),
		POL_MATCH_NONE);
}

static void
a_deny_wins_wherever_it_stands(void **state)
{
	(void)state;
	static const char allow[] = "{" ALLOW_ALL "}";
	static const char deny[] = "{\"Effect\":\"Deny\",\"Action\":\"kms:D*\",\"Resource\":\"*\"}";
	char json[512];

	(void)snprintf(json, sizeof(json), DOC("[%s,%s]"), allow, deny);
	assert_int_equal(ask(json, POL_IDENTITY, query()), POL_MATCH_DENY);
	(void)snprintf(json, sizeof(json), DOC("[%s,%s]"), deny, allow);
	assert_int_equal(ask(json, POL_IDENTITY, query()), POL_MATCH_DENY);
}

static enum pol_match
ask_principal(const char *principal, struct pol_query q)
{
	char json[512];

	(void)snprintf(json, sizeof(json), DOC("{" ALLOW_ALL ",\"Principal\":%s}"), principal);
	return ask(json, POL_RESOURCE, q);
}

static void
principals_are_matched_as_what_they_are(void **state)
{
	(void)state;
	struct pol_query alice = query(), session = query(), service = query(), root = query();

	session.principal = ROLE;
	session.session = SESSION;
	service.principal = "kinesis.amazonaws.com";
	service.is_service = true;
	service.account = "";
	root.principal = "arn:aws:iam::000000000000:root";
	assert_int_equal(ask_principal("\"*\"", alice), POL_MATCH_ALLOW);
	assert_int_equal(ask_principal("{\"AWS\":\"*\"}", alice), POL_MATCH_ALLOW);
	assert_int_equal(ask_principal("{\"AWS\":\"" ALICE "\"}", alice), POL_MATCH_ALLOW);
	assert_int_equal(ask_principal("{\"AWS\":\"" ROLE "\"}", alice), POL_MATCH_NONE);
	assert_int_equal(ask_principal("{\"AWS\":\"000000000000\"}", alice), POL_MATCH_ACCOUNT);
	assert_int_equal(ask_principal("{\"AWS\":\"arn:aws:iam::000000000000:root\"}", alice),
		POL_MATCH_ACCOUNT);
	assert_int_equal(ask_principal("{\"AWS\":\"arn:aws:iam::000000000000:root\"}", root),
		POL_MATCH_ALLOW);
	assert_int_equal(ask_principal("{\"AWS\":\"111111111111\"}", alice), POL_MATCH_NONE);
	assert_int_equal(ask_principal("{\"AWS\":\"" ROLE "\"}", session), POL_MATCH_ALLOW);
	assert_int_equal(
		ask_principal("{\"AWS\":\"" SESSION "\"}", session), POL_MATCH_ALLOW_SESSION);
	assert_int_equal(
		ask_principal("{\"Service\":\"kinesis.amazonaws.com\"}", service), POL_MATCH_ALLOW);
	assert_int_equal(
		ask_principal("{\"Service\":\"kinesis.amazonaws.com\"}", alice), POL_MATCH_NONE);
	assert_int_equal(ask_principal("{\"AWS\":\"000000000000\"}", service), POL_MATCH_NONE);
	assert_int_equal(ask_principal("{\"AWS\":[\"000000000000\",\"" ALICE "\"]}", alice),
		POL_MATCH_ALLOW);
}

static void
a_deny_of_an_account_denies_its_users(void **state)
{
	(void)state;
	assert_int_equal(ask(DOC("{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\","
				 "\"Principal\":{\"AWS\":\"000000000000\"}}"),
				 POL_RESOURCE, query()),
		POL_MATCH_DENY);
}

static void
variables_are_filled_from_the_request_in_the_new_version_only(void **state)
{
	(void)state;
	static const char *const name[] = {"1"};
	const struct pol_value values[] = {{"aws:username", name, 1}};
	struct pol_query q = query();

	q.values = values;
	q.values_count = 1;
	assert_int_equal(ask(DOC("{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":"
				 "\"arn:*:key/${aws:username}\"}"),
				 POL_IDENTITY, q),
		POL_MATCH_ALLOW);
	assert_int_equal(ask("{\"Version\":\"2008-10-17\",\"Statement\":{\"Effect\":\"Allow\","
			     "\"Action\":\"*\",\"Resource\":\"arn:*:key/${aws:username}\"}}",
				 POL_IDENTITY, q),
		POL_MATCH_NONE);
}

static void
a_variable_without_a_value_never_allows_and_denies_wherever_it_may(void **state)
{
	(void)state;
	static const char not_resource[] =
		DOC("{\"Effect\":\"%s\",\"Action\":\"*\",\"NotResource\":\"arn:*:key/${k}\"}");
	static const char not_equals[] = DOC(
		"{\"Effect\":\"%s\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":"
		"{\"StringNotEquals\":{\"aws:ResourceTag/team\":\"${aws:PrincipalTag/team}\"}}}");
	static const char *const team[] = {"blue"};
	const struct pol_value values[] = {{"aws:ResourceTag/team", team, 1}};
	struct pol_query q = query();
	char json[512];

	q.values = values;
	q.values_count = 1;
	(void)snprintf(json, sizeof(json), not_resource, "Allow");
	assert_int_equal(ask(json, POL_IDENTITY, q), POL_MATCH_NONE);
	(void)snprintf(json, sizeof(json), not_resource, "Deny");
	assert_int_equal(ask(json, POL_IDENTITY, q), POL_MATCH_DENY);
	(void)snprintf(json, sizeof(json), not_equals, "Allow");
	assert_int_equal(ask(json, POL_IDENTITY, q), POL_MATCH_NONE);
	(void)snprintf(json, sizeof(json), not_equals, "Deny");
	assert_int_equal(ask(json, POL_IDENTITY, q), POL_MATCH_DENY);
}

static void
an_explanation_names_what_failed(void **state)
{
	(void)state;
	static const char json[] = DOC(
		"[\n{" ALLOW_ALL ",\"Sid\":\"one\",\"Condition\":{\"Bool\":{\"k\":\"true\"}}},\n"
		"{\"Effect\":\"Deny\",\"Action\":\"kms:Encrypt\",\"Resource\":\"*\"},\n"
		"{\"Effect\":\"Allow\",\"Action\":\"kms:*\",\"Resource\":\"arn:x\"}]");
	struct pol_document *doc = NULL;
	struct pol_problem problem;
	struct pol_query q = query();
	struct pol_view view;

	assert_ok(pol_document_parse(slk_span_str(json), POL_IDENTITY, &doc, &problem));
	assert_ok(pol_query_prepare(&q));
	assert_int_equal(pol_document_statements_count(doc), 3);
	pol_document_explain(doc, 0, &q, &view);
	assert_int_equal(view.stage, POL_STAGE_CONDITION);
	assert_string_equal(view.sid, "one");
	assert_int_equal(view.line, 2);
	assert_string_equal(view.condition_operator, "Bool");
	assert_string_equal(view.condition_key, "k");
	pol_document_explain(doc, 1, &q, &view);
	assert_int_equal(view.stage, POL_STAGE_ACTION);
	assert_true(view.deny);
	assert_string_equal(view.sid, "");
	pol_document_explain(doc, 2, &q, &view);
	assert_int_equal(view.stage, POL_STAGE_RESOURCE);
	assert_int_equal(view.line, 4);
	pol_document_free(doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_documents_are_refused_where_they_are_wrong),
		cmocka_unit_test(depth_and_size_are_bounded),
		cmocka_unit_test(without_a_statement_that_matches_the_answer_is_none),
		cmocka_unit_test(actions_ignore_case_and_resources_do_not),
		cmocka_unit_test(a_deny_wins_wherever_it_stands),
		cmocka_unit_test(principals_are_matched_as_what_they_are),
		cmocka_unit_test(a_deny_of_an_account_denies_its_users),
		cmocka_unit_test(variables_are_filled_from_the_request_in_the_new_version_only),
		cmocka_unit_test(
			a_variable_without_a_value_never_allows_and_denies_wherever_it_may),
		cmocka_unit_test(an_explanation_names_what_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
