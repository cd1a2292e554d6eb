/* A document that parses can be evaluated and explained against a query with all kinds of values, and a Deny is never less
 * than what an Allow gives. */
#include <stdlib.h>

#include "policy/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const context[] = {"arn:aws:kinesis:local:000000000000:stream/a"};
static const char *const keys[] = {"aws:kinesis:arn", "dept"};
static const char *const address[] = {"10.1.2.3"};
static const char *const now[] = {"2026-11-24T10:00:00Z"};
static const char *const number[] = {"17"};
static const struct pol_value values[] = {
	{"kms:EncryptionContext:aws:kinesis:arn", context, 1},
	{"kms:EncryptionContextKeys", keys, 2},
	{"aws:SourceIp", address, 1},
	{"aws:CurrentTime", now, 1},
	{"kms:RotationPeriodInDays", number, 1},
	{"aws:TagKeys", NULL, 0},
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pol_query q = {.principal = "arn:aws:iam::000000000000:user/alice",
		.account = "000000000000",
		.action = "kms:Decrypt",
		.resource = "arn:aws:kms:local:000000000000:key/1",
		.values = values,
		.values_count = sizeof(values) / sizeof(values[0])};
	struct pol_document *doc = NULL;
	struct pol_problem problem = {0};
	struct pol_view view;

	if (size == 0 || pol_query_prepare(&q) != SLK_OK)
		return 0;
	int rc = pol_document_parse(
		slk_span(data + 1, size - 1), (enum pol_kind)(data[0] % 3), &doc, &problem);
	if (rc != SLK_OK) {
		if (rc == SLK_MALFORMED && (problem.line == 0 || problem.text[0] == '\0'))
			abort();
		return 0;
	}
	struct pol_verdict v = pol_document_evaluate(doc, &q);
	bool deny = false, matched = false;
	for (size_t i = 0; i < pol_document_statements_count(doc); i++) {
		pol_document_explain(doc, i, &q, &view);
		matched |= view.stage == POL_STAGE_MATCHED;
		deny |= view.stage == POL_STAGE_MATCHED && view.deny;
	}
	if (deny != (v.match == POL_MATCH_DENY) || matched != (v.match != POL_MATCH_NONE))
		abort();
	pol_document_free(doc);
	return 0;
}
