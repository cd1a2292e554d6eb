/* lib/policy: a decision over documents that are parsed already */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/bench.h"
#include "heapcount.h"
#include "policy/decide.h"

#define DOCUMENTS_MAX 100u
#define ACCOUNT "000000000000"
#define STREAM "arn:aws:kinesis:local:" ACCOUNT ":stream/web"

/* Documents as an account has them: rights on many streams and keys with conditions, of which the very last statement is
 * about this one; and a key's policy that lets the account decide. */
struct set {
	struct pol_document *identity[DOCUMENTS_MAX];
	const struct pol_document *list[DOCUMENTS_MAX];
	size_t count;
	struct pol_document *key;
	struct pol_query query;
	uint64_t ops, allowed, allocations;
};

static const char *const context[] = {STREAM};
static const char *const context_keys[] = {"aws:kinesis:arn"};
static const char *const via[] = {"kinesis.local.amazonaws.com"};
static const char *const caller[] = {ACCOUNT};
static const struct pol_value values[] = {
	{"kms:EncryptionContext:aws:kinesis:arn", context, 1},
	{"kms:EncryptionContextKeys", context_keys, 1},
	{"kms:ViaService", via, 1},
	{"kms:CallerAccount", caller, 1},
};

static int
parse(const char *json, enum pol_kind kind, struct pol_document **out)
{
	struct pol_problem problem;

	return pol_document_parse(slk_span_str(json), kind, out, &problem);
}

/* kinds of statements in turn: another action, another resource, another condition. */
static size_t
write_statement(char *out, size_t cap, unsigned number, bool last)
{
	static const char *const actions[] = {"\"kinesis:PutRecord\",\"kinesis:PutRecords\"",
		"\"kms:Decrypt\"", "\"kms:Decrypt\",\"kms:DescribeKey\""};
	char resource[96], condition[256] = "";
	unsigned kind = last ? 1 : number % 3;

	(void)snprintf(resource, sizeof(resource), "arn:aws:kms:local:" ACCOUNT ":key/%08x*",
		kind == 2 ? number : 7);
	if (kind == 1)
		(void)snprintf(condition, sizeof(condition),
			",\"Condition\":{\"StringEquals\":{\"kms:ViaService\":\"%s\","
			"\"kms:EncryptionContext:aws:kinesis:arn\":\"" STREAM "%s\"}}",
			via[0], last ? "" : "-other");
	return (size_t)snprintf(out, cap,
		"%s{\"Effect\":\"Allow\",\"Action\":[%s],\"Resource\":\"%s\"%s}",
		number == 0 ? "" : ",", actions[kind], resource, condition);
}

static int
set_up(struct set *s, unsigned documents, unsigned statements)
{
	static char json[POL_DOCUMENT_MAX];
	int rc = SLK_OK;

	memset(s, 0, sizeof(*s));
	for (s->count = 0; rc == SLK_OK && s->count < documents; s->count++) {
		size_t len = (size_t)snprintf(
			json, sizeof(json), "{\"Version\":\"2012-10-17\",\"Statement\":[");
		for (unsigned i = 0; i < statements; i++)
			len += write_statement(json + len, sizeof(json) - len, i,
				s->count + 1 == documents && i + 1 == statements);
		(void)snprintf(json + len, sizeof(json) - len, "]}");
		rc = parse(json, POL_IDENTITY, &s->identity[s->count]);
		s->list[s->count] = s->identity[s->count];
	}
	if (rc == SLK_OK)
		rc = parse("{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\","
			   "\"Principal\":{\"AWS\":\"arn:aws:iam::" ACCOUNT ":root\"},"
			   "\"Action\":\"kms:*\",\"Resource\":\"*\"}}",
			POL_RESOURCE, &s->key);
	s->query = (struct pol_query){.principal = "arn:aws:iam::" ACCOUNT ":user/alice",
		.account = ACCOUNT,
		.action = "kms:Decrypt",
		.resource =
			"arn:aws:kms:local:" ACCOUNT ":key/00000007-0000-4000-8000-000000000000",
		.values = values,
		.values_count = sizeof(values) / sizeof(values[0])};
	return rc;
}

static void
tear_down(struct set *s)
{
	for (size_t i = 0; i < s->count; i++)
		pol_document_free(s->identity[i]);
	pol_document_free(s->key);
}

/* What kmsd does for a call: prepare the query, decide. */
static void
decide(void *arg)
{
	struct set *s = arg;
	const struct pol_case c = {.identity = s->list,
		.identity_count = s->count,
		.resource = s->key,
		.is_key = true,
		.resource_account = ACCOUNT};

	uint64_t before = heapcount();
	for (uint64_t i = 0; i < s->ops; i++) {
		if (pol_query_prepare(&s->query) != SLK_OK)
			return;
		s->allowed += pol_decide(&c, &s->query).allowed;
	}
	s->allocations += heapcount() - before;
}

static int
measure(struct bench *b, unsigned documents, unsigned statements, const char *label, double *out_ns,
	uint64_t *allocations)
{
	static struct set set;
	struct bench_stats stats;
	const struct bench_contender contender = {"lib/policy", decide, &set};

	int rc = set_up(&set, documents, statements);
	set.ops = bench_quick(b) ? 10 : 200000 / (documents * statements);
	const struct bench_shape shape = {.group = "decision", .label = label, .ops = set.ops};
	if (rc == SLK_OK) {
		bench_compare(b, &shape, &contender, 1, &stats);
		*out_ns = stats.median;
		*allocations += set.allocations;
		/* The last statement allows; the one document that has it was asked every time. */
		if (set.allowed == 0 || set.allowed % set.ops != 0)
			rc = SLK_INTERNAL;
	}
	tear_down(&set);
	return rc;
}

int
main(int argc, char **argv)
{
	const struct bench_contender contender = {"lib/policy", decide, NULL};
	double small_ns = 0, large_ns = 0, one_ns = 0;
	uint64_t allocations = 0;
	struct bench *b = NULL;

	int rc = bench_new(argc, argv, "policy", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? 0 : 2;
	bench_heading(b, "One decision, allowed by the last statement", &contender, 1);
	rc = measure(b, 1, 1, "1 policy of 1 statement", &one_ns, &allocations);
	if (rc == SLK_OK)
		rc = measure(b, 10, 10, "10 policies of 10 statements", &small_ns, &allocations);
	if (rc == SLK_OK)
		rc = measure(b, 10, 100, "10 policies of 100 statements", &large_ns, &allocations);
	if (rc != SLK_OK)
		return bench_abort(b, "%s", slk_status_sentence(rc));
	bench_goal(b, "issue 4: decision over 10 policies of 10 statements <= 2 us (median)", 2000,
		small_ns, false);
	bench_goal(b, "issue 4: decision over 1,000 statements <= 50 us (median)", 50000, large_ns,
		false);
	bench_goal(b, "issue 4: allocations in all decisions (counted)", 0, (double)allocations,
		false);
	return bench_finish(b);
}
