/* A decision allocates nothing. */
#include "slk_test.h"

#include <stdlib.h>

#include "heapcount.h"
#include "policy/decide.h"

#define KEY "arn:aws:kms:local:000000000000:key/"

static const char *const name[] = {"alice"};
static const char *const context[] = {"arn:aws:kinesis:local:000000000000:stream/a"};
static const char *const address[] = {"10.1.2.3"};
static const char *const now[] = {"2026-11-24T10:00:00Z"};
static const char *const keys[] = {"a", "b"};
static const struct pol_value values[] = {{"aws:username", name, 1}, {"aws:SourceIp", address, 1},
	{"kms:EncryptionContext:aws:kinesis:arn", context, 1}, {"aws:CurrentTime", now, 1},
	{"kms:EncryptionContextKeys", keys, 2}};

/* Patterns of every kind and conditions of every type. */
static const char identity[] =
	"{\"Version\":\"2012-10-17\",\"Statement\":["
	"{\"Effect\":\"Deny\",\"NotAction\":\"kms:*\",\"Resource\":\"*\"},"
	"{\"Effect\":\"Deny\",\"Action\":\"kms:?ecr*\",\"NotResource\":\"" KEY
	"${aws:username}*\"},"
	"{\"Effect\":\"Allow\",\"Action\":\"KMS:decrypt\",\"Resource\":\"" KEY
	"al*-1\",\"Condition\":{"
	"\"StringLike\":{\"aws:username\":\"${aws:username}\"},"
	"\"StringEqualsIgnoreCase\":{\"AWS:USERNAME\":\"Alice\"},"
	"\"ArnLike\":{\"kms:EncryptionContext:aws:kinesis:arn\":\"arn:aws:kinesis:*:*:stream/*\"},"
	"\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"},"
	"\"DateLessThan\":{\"aws:CurrentTime\":\"2030-01-01\"},"
	"\"ForAllValues:StringEquals\":{\"kms:EncryptionContextKeys\":[\"a\",\"b\"]},"
	"\"Null\":{\"aws:MultiFactorAuthAge\":\"true\"},"
	"\"NumericLessThanIfExists\":{\"aws:MultiFactorAuthAge\":3600}}}]}";
static const char resource[] =
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"kms:*\","
	"\"Resource\":"
	"\"*\",\"Principal\":{\"AWS\":[\"000000000000\",\"arn:aws:iam::000000000000:user/bob\"]}}}";

static struct pol_document *
parsed(const char *json, enum pol_kind kind)
{
	struct pol_document *doc = NULL;
	struct pol_problem problem;

	if (pol_document_parse(slk_span_str(json), kind, &doc, &problem) != SLK_OK)
		fail_msg("%s", problem.text);
	return doc;
}

static void
what_counts_allocations_counts(void **state)
{
	(void)state;
	uint64_t before = heapcount();
	struct pol_document *doc = parsed(identity, POL_IDENTITY);

	assert_true(heapcount() > before);
	pol_document_free(doc);
}

static void
a_decision_and_its_explanation_allocate_nothing(void **state)
{
	(void)state;
	struct pol_document *docs[] = {
		parsed(identity, POL_IDENTITY), parsed(resource, POL_RESOURCE)};
	const struct pol_case c = {.identity = (const struct pol_document *const *)docs,
		.identity_count = 1,
		.resource = docs[1],
		.is_key = true};
	struct pol_query q = {.principal = "arn:aws:iam::000000000000:user/alice",
		.account = "000000000000",
		.action = "kms:Decrypt",
		.resource = KEY "alice-1",
		.values = values,
		.values_count = sizeof(values) / sizeof(values[0])};
	struct pol_view view;
	char text[128];

	uint64_t before = heapcount();
	int rc = pol_query_prepare(&q);
	struct pol_decision allowed = pol_decide(&c, &q);
	q.resource = KEY "bob-1";
	rc |= pol_query_prepare(&q);
	struct pol_decision denied = pol_decide(&c, &q);
	pol_document_explain(docs[0], denied.statement, &q, &view);
	pol_decision_because(&denied, &q, text, sizeof(text));
	uint64_t after = heapcount();
	assert_int_equal(after, before);
	assert_ok(rc);
	assert_int_equal(allowed.reason, POL_ALLOWED_DELEGATED);
	assert_int_equal(denied.reason, POL_DENIED_IDENTITY);
	assert_int_equal(view.stage, POL_STAGE_MATCHED);
	pol_document_free(docs[0]);
	pol_document_free(docs[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_counts_allocations_counts),
		cmocka_unit_test(a_decision_and_its_explanation_allocate_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
