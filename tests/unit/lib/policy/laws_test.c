/* What holds between decisions, whatever the policies say. Random documents from a fixed seed; each law over thousands. */
#include "slk_test.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decide.h"

#define ROUNDS 3000u
#define STATEMENTS_MAX 4u
#define KEY "arn:aws:kms:local:000000000000:key/"
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static uint64_t seed;

static unsigned
below(unsigned limit)
{
	/* SplitMix64 */
	uint64_t z = seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (unsigned)((z ^ z >> 31) % limit);
}

static const char *
one_of(const char *const *list, size_t count)
{
	return list[below((unsigned)count)];
}
#define ONE_OF(list) one_of(list, COUNT(list))

static const char *const effects[] = {"Allow", "Allow", "Deny"};
static const char *const actions[] = {"\"kms:Decrypt\"", "\"kms:*\"",
	"[\"kms:En*\",\"kms:?ecrypt\"]", "\"*\"", "\"kinesis:PutRecord\""};
static const char *const resources[] = {
	"\"*\"", "\"" KEY "a\"", "[\"" KEY "b\",\"" KEY "a*\"]", "\"" KEY "${aws:username}\""};
static const char *const conditions[] = {"", "", ",\"Condition\":{\"StringEquals\":{\"k\":\"1\"}}",
	",\"Condition\":{\"StringNotEquals\":{\"k\":\"1\"}}",
	",\"Condition\":{\"ForAllValues:StringLike\":{\"k\":[\"1\",\"2*\"]}}",
	",\"Condition\":{\"Null\":{\"k\":\"true\"}}"};
static const char *const principals[] = {"\"*\"", "{\"AWS\":\"000000000000\"}",
	"{\"AWS\":\"arn:aws:iam::000000000000:user/a\"}",
	"{\"Service\":\"kinesis.amazonaws.com\"}"};

static void
make_statement(char *out, size_t cap, const char *effect, bool resource)
{
	char principal[128] = "";

	if (resource)
		(void)snprintf(
			principal, sizeof(principal), ",\"Principal\":%s", ONE_OF(principals));
	(void)snprintf(out, cap, "{\"Effect\":\"%s\",\"%sAction\":%s,\"%sResource\":%s%s%s}",
		effect, below(4) == 0 ? "Not" : "", ONE_OF(actions), below(4) == 0 ? "Not" : "",
		ONE_OF(resources), ONE_OF(conditions), principal);
}

static struct pol_document *
parsed(const char *json, enum pol_kind kind)
{
	struct pol_document *doc = NULL;
	struct pol_problem problem;

	if (pol_document_parse(slk_span_str(json), kind, &doc, &problem) != SLK_OK)
		fail_msg("%s: %s", json, problem.text);
	return doc;
}

/* A document of these statements, from the end if backwards. */
static struct pol_document *
joined(char (*statements)[512], unsigned count, bool backwards, enum pol_kind kind)
{
	char json[STATEMENTS_MAX * 512 + 512];
	size_t len =
		(size_t)snprintf(json, sizeof(json), "{\"Version\":\"2012-10-17\",\"Statement\":[");

	for (unsigned i = 0; i < count; i++)
		len += (size_t)snprintf(json + len, sizeof(json) - len, "%s%s", i == 0 ? "" : ",",
			statements[backwards ? count - 1 - i : i]);
	(void)snprintf(json + len, sizeof(json) - len, "]}");
	return parsed(json, kind);
}

static const char *const one[] = {"1"};
static const char *const two[] = {"1", "22"};
static const char *const user[] = {"a"};
static const struct pol_value contexts[][2] = {{{"k", one, 1}, {"aws:username", user, 1}},
	{{"K", two, 2}, {"aws:UserName", user, 1}}, {{"k", NULL, 0}, {"other", one, 1}}};

static struct pol_query
any_query(void)
{
	static const char *const asked[] = {"kms:Decrypt", "kms:Encrypt", "kinesis:PutRecord"};
	static const char *const of[] = {KEY "a", KEY "b", "*"};
	struct pol_query q = {.principal = "arn:aws:iam::000000000000:user/a",
		.account = "000000000000",
		.action = ONE_OF(asked),
		.resource = ONE_OF(of),
		.values = contexts[below((unsigned)COUNT(contexts))],
		.values_count = 2};

	assert_ok(pol_query_prepare(&q));
	return q;
}

/* A case of one document per place, some of them missing. */
enum place { IDENTITY, SESSION, BOUNDARY, RESOURCE, PLACES };

struct world {
	char text[PLACES][STATEMENTS_MAX][512];
	unsigned count[PLACES];
	bool is_key, granted, foreign;
};

static struct world
any_world(void)
{
	struct world w = {.is_key = below(2), .granted = below(4) == 0, .foreign = below(4) == 0};

	for (unsigned p = 0; p < PLACES; p++) {
		w.count[p] = below(p == IDENTITY || p == RESOURCE ? STATEMENTS_MAX : 2);
		for (unsigned i = 0; i < w.count[p]; i++)
			make_statement(
				w.text[p][i], sizeof(w.text[p][i]), ONE_OF(effects), p == RESOURCE);
	}
	return w;
}

static struct pol_decision
decide(struct world *w, const struct pol_query *q, bool backwards)
{
	struct pol_document *docs[PLACES] = {NULL};

	for (unsigned p = 0; p < PLACES; p++)
		if (w->count[p] > 0)
			docs[p] = joined(w->text[p], w->count[p], backwards,
				p == RESOURCE ? POL_RESOURCE : POL_IDENTITY);
	const struct pol_case c = {.identity = (const struct pol_document *const *)&docs[IDENTITY],
		.identity_count = docs[IDENTITY] != NULL,
		.session = (const struct pol_document *const *)&docs[SESSION],
		.session_count = docs[SESSION] != NULL,
		.boundary = docs[BOUNDARY],
		.resource = docs[RESOURCE],
		.is_key = w->is_key,
		.granted = w->granted,
		.resource_account = w->foreign ? "111111111111" : NULL};
	struct pol_decision d = pol_decide(&c, q);
	for (unsigned p = 0; p < PLACES; p++)
		pol_document_free(docs[p]);
	return d;
}

/* A law that never sees what it is about would prove nothing. */
static void
assert_seen(unsigned count)
{
	assert_in_range(count, ROUNDS / 50, ROUNDS);
}

static void
adding_a_deny_anywhere_never_allows(void **state)
{
	(void)state;
	unsigned denied = 0, lost = 0;

	seed = 1;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct world w = any_world();
		struct pol_query q = any_query();
		bool before = decide(&w, &q, false).allowed;
		unsigned p = below(PLACES);
		if (w.count[p] == 0 || w.count[p] == STATEMENTS_MAX)
			continue; /* a boundary that was not there limits, too */
		make_statement(w.text[p][w.count[p]++], 512, "Deny", p == RESOURCE);
		bool after = decide(&w, &q, false).allowed;
		if (after && !before)
			fail_msg("round %u: a Deny allows", i);
		denied += !before;
		lost += before && !after;
	}
	assert_seen(denied);
	assert_true(lost > 0);
}

static void
adding_an_allow_where_documents_are_never_denies(void **state)
{
	(void)state;
	unsigned allowed = 0, won = 0;

	seed = 2;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct world w = any_world();
		struct pol_query q = any_query();
		bool before = decide(&w, &q, false).allowed;
		unsigned p = below(PLACES);
		if (w.count[p] == 0 || w.count[p] == STATEMENTS_MAX)
			continue;
		make_statement(w.text[p][w.count[p]++], 512, "Allow", p == RESOURCE);
		bool after = decide(&w, &q, false).allowed;
		if (before && !after)
			fail_msg("round %u: an Allow denies", i);
		allowed += before;
		won += after && !before;
	}
	assert_seen(allowed);
	assert_true(won > 0);
}

static void
the_order_of_statements_changes_nothing(void **state)
{
	(void)state;
	unsigned allowed = 0;

	seed = 3;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct world w = any_world();
		struct pol_query q = any_query();
		struct pol_decision a = decide(&w, &q, false), b = decide(&w, &q, true);
		if (a.allowed != b.allowed || a.reason != b.reason)
			fail_msg("round %u: reason %d, backwards %d", i, a.reason, b.reason);
		allowed += a.allowed;
	}
	assert_seen(allowed);
}

/* As one document, as one for each statement, and those backwards. */
static void
how_statements_are_spread_over_documents_changes_nothing(void **state)
{
	(void)state;
	unsigned allowed = 0;

	seed = 4;
	for (unsigned i = 0; i < ROUNDS; i++) {
		char text[STATEMENTS_MAX][512];
		struct pol_document *single[STATEMENTS_MAX], *reversed[STATEMENTS_MAX];
		struct pol_query q = any_query();
		for (unsigned s = 0; s < STATEMENTS_MAX; s++) {
			make_statement(text[s], sizeof(text[s]), ONE_OF(effects), false);
			single[s] = joined(&text[s], 1, false, POL_IDENTITY);
			reversed[STATEMENTS_MAX - 1 - s] = single[s];
		}
		struct pol_document *whole = joined(text, STATEMENTS_MAX, false, POL_IDENTITY);
		struct pol_case c = {.identity = (const struct pol_document *const *)&whole,
			.identity_count = 1};
		struct pol_decision a = pol_decide(&c, &q);
		c.identity = (const struct pol_document *const *)single;
		c.identity_count = STATEMENTS_MAX;
		struct pol_decision b = pol_decide(&c, &q);
		c.identity = (const struct pol_document *const *)reversed;
		if (a.reason != b.reason || a.reason != pol_decide(&c, &q).reason)
			fail_msg("round %u: reason %d, spread %d", i, a.reason, b.reason);
		allowed += a.allowed;
		pol_document_free(whole);
		for (unsigned s = 0; s < STATEMENTS_MAX; s++)
			pol_document_free(single[s]);
	}
	assert_seen(allowed);
}

static bool
matches(const char *statement, const struct pol_query *q)
{
	char json[1024];

	(void)snprintf(
		json, sizeof(json), "{\"Version\":\"2012-10-17\",\"Statement\":%s}", statement);
	struct pol_document *doc = parsed(json, POL_IDENTITY);
	bool yes = pol_document_evaluate(doc, q).match == POL_MATCH_ALLOW;
	pol_document_free(doc);
	return yes;
}

static void
of_an_element_and_its_not_form_one_matches(void **state)
{
	(void)state;
	char plain[512], negated[512];
	unsigned hits = 0;

	seed = 5;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct pol_query q = any_query();
		const char *action = ONE_OF(actions);
		(void)snprintf(plain, sizeof(plain),
			"{\"Effect\":\"Allow\",\"Action\":%s,\"Resource\":\"*\"}", action);
		(void)snprintf(negated, sizeof(negated),
			"{\"Effect\":\"Allow\",\"NotAction\":%s,\"Resource\":\"*\"}", action);
		assert_int_not_equal(matches(plain, &q), matches(negated, &q));
		hits += matches(plain, &q);
		const char *resource = resources[below(3)]; /* not the one with a variable */
		(void)snprintf(plain, sizeof(plain),
			"{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":%s}", resource);
		(void)snprintf(negated, sizeof(negated),
			"{\"Effect\":\"Allow\",\"Action\":\"*\",\"NotResource\":%s}", resource);
		assert_int_not_equal(matches(plain, &q), matches(negated, &q));
	}
	assert_seen(hits);
}

/* --- conditions --- */

struct pair {
	const char *positive, *negated;
	const char *wants[2];
	const char *values[4]; /* the last may be of no type */
};

static const struct pair pairs[] = {
	{"StringEquals", "StringNotEquals", {"a", "b"}, {"a", "A", "b", ""}},
	{"StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", {"a", "b"}, {"a", "A", "c", ""}},
	{"StringLike", "StringNotLike", {"a*", "?"}, {"ab", "x", "xy", ""}},
	{"ArnEquals", "ArnNotEquals", {"arn:aws:s:r:1:a", "arn:aws:*:r:1:b*"},
		{"arn:aws:s:r:1:a", "arn:aws:t:r:1:b/c", "arn:aws:s:r:2:a", "a"}},
	{"ArnLike", "ArnNotLike", {"arn:aws:s:r:1:a", "arn:aws:*:r:1:b*"},
		{"arn:aws:s:r:1:a", "arn:aws:t:r:1:b/c", "arn:aws:s:r:2:a", "a"}},
	{"NumericEquals", "NumericNotEquals", {"1", "2.5"}, {"1.0", "2.5", "3", "x"}},
	{"DateEquals", "DateNotEquals", {"2026-11-24", "1"},
		{"2026-11-24T00:00:00Z", "1", "2026-11-25", "x"}},
	{"IpAddress", "NotIpAddress", {"10.0.0.0/8", "::1"}, {"10.1.2.3", "::1", "11.0.0.1", "x"}},
};

/* Does this operator on k hold for a request with count values (-1: without k)? */
static bool
holds(const char *form, const char *operator, const char * if_exists, const char *const *wants,
	const char *const *values, int count)
{
	char json[1024];
	const struct pol_value value = {"k", values, count < 0 ? 0 : (size_t)count};
	struct pol_query q = {.principal = "arn:aws:iam::000000000000:user/a",
		.account = "000000000000",
		.action = "kms:Decrypt",
		.resource = "*",
		.values = &value,
		.values_count = count >= 0};

	(void)snprintf(json, sizeof(json),
		"{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"%s%s%"
		"s\":{\"k\":"
		"[\"%s\",\"%s\"]}}}",
		form, operator, if_exists, wants[0], wants[1]);
	assert_ok(pol_query_prepare(&q));
	return matches(json, &q);
}

static void
a_negated_operator_is_the_opposite_of_its_positive(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		for (int from = 0; from < 4; from++)
			for (int count = -1; count <= 4 - from; count++) {
				const struct pair *p = &pairs[i];
				const char *const *v = &p->values[from];
				bool yes = holds("", p->positive, "", p->wants, v, count);
				assert_int_not_equal(
					yes, holds("", p->negated, "", p->wants, v, count));
				/* Every value fits: not any fits not. */
				assert_int_not_equal(
					holds("ForAllValues:", p->positive, "", p->wants, v, count),
					holds("ForAnyValue:", p->negated, "", p->wants, v, count));
				assert_int_not_equal(
					holds("ForAllValues:", p->negated, "", p->wants, v, count),
					holds("ForAnyValue:", p->positive, "", p->wants, v, count));
			}
}

static void
if_exists_matters_only_when_the_key_is_absent(void **state)
{
	(void)state;
	static const char *const forms[] = {"", "ForAllValues:", "ForAnyValue:"};

	for (size_t i = 0; i < COUNT(pairs); i++)
		for (size_t f = 0; f < COUNT(forms); f++)
			for (int count = -1; count <= 4; count++) {
				const struct pair *p = &pairs[i];
				const char *const operators[] = {p->positive, p->negated};
				for (size_t o = 0; o < 2; o++) {
					bool with = holds(forms[f], operators[o], "IfExists",
						p->wants, p->values, count);
					bool without = holds(forms[f], operators[o], "", p->wants,
						p->values, count);
					assert_int_equal(with, count < 0 ? true : without);
				}
			}
}

static void
of_null_true_and_false_one_holds(void **state)
{
	(void)state;
	static const char *const yes[] = {"true", "true"};
	static const char *const no[] = {"false", "false"};
	static const char *const values[] = {"", "x"};

	for (int count = -1; count <= 2; count++) {
		assert_int_equal(holds("", "Null", "", yes, values, count), count <= 0);
		assert_int_equal(holds("", "Null", "", no, values, count), count > 0);
	}
}

/* --- case --- */

static void
swap_case(const char *in, char *out)
{
	for (; *in != '\0'; in++, out++)
		*out = (char)(islower((unsigned char)*in) ? toupper(*in) : tolower(*in));
	*out = '\0';
}

static bool
allows(const char *action, const char *key, const char *want, const char *asked,
	const struct pol_value *value)
{
	char statement[512];
	struct pol_query q = {.principal = "arn:aws:iam::000000000000:user/a",
		.account = "000000000000",
		.action = asked,
		.resource = "*",
		.values = value,
		.values_count = 1};

	(void)snprintf(statement, sizeof(statement),
		"{\"Effect\":\"Allow\",\"Action\":\"%s\",\"Resource\":\"*\",\"Condition\":{"
		"\"StringEquals\":{"
		"\"%s\":\"%s\"}}}",
		action, key, want);
	assert_ok(pol_query_prepare(&q));
	return matches(statement, &q);
}

static void
the_case_of_actions_and_keys_does_not_matter_that_of_values_does(void **state)
{
	(void)state;
	static const char *const names[] = {
		"kms:Decrypt", "kinesis:PutRecords", "kms:De*", "*:D?cr*"};
	static const char *const keys[] = {"kms:ViaService", "kms:EncryptionContext:Dept",
		"kms:EncryptionContext:aws:kinesis:arn", "kms:EncryptionContextKeys",
		"aws:PrincipalTag/Team"};
	char action[64], key[64];

	for (size_t a = 0; a < COUNT(names); a++)
		for (size_t k = 0; k < COUNT(keys); k++) {
			const char *asked =
				strncmp(names[a], "kin", 3) == 0 ? names[a] : "kms:Decrypt";
			const char *const value[] = {"aB"};
			const struct pol_value v = {keys[k], value, 1};
			swap_case(names[a], action);
			swap_case(keys[k], key);
			assert_true(allows(names[a], keys[k], "aB", asked, &v));
			assert_true(allows(action, key, "aB", asked, &v));
			/* Values, an encryption context's values and the names in kms:EncryptionContextKeys. */
			assert_false(allows(names[a], keys[k], "Ab", asked, &v));
			assert_false(allows(names[a], keys[k], "ab", asked, &v));
		}
}

/* --- wildcards and variables --- */

static bool
resource_fits(const char *pattern, const char *name, const struct pol_value *values, size_t count)
{
	char statement[512], resource[256];
	struct pol_query q = {.principal = "arn:aws:iam::000000000000:user/a",
		.account = "000000000000",
		.action = "kms:Decrypt",
		.resource = resource,
		.values = values,
		.values_count = count};

	(void)snprintf(resource, sizeof(resource), "%s%s", KEY, name);
	(void)snprintf(statement, sizeof(statement),
		"{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"%s%s\"}", KEY, pattern);
	assert_ok(pol_query_prepare(&q));
	return matches(statement, &q);
}

static void
any_text(char *out, unsigned len, const char *alphabet)
{
	for (unsigned i = 0; i < len; i++)
		out[i] = alphabet[below((unsigned)strlen(alphabet))];
	out[len] = '\0';
}

static void
wildcards_reach_over_slashes_and_colons(void **state)
{
	(void)state;
	char text[16], pattern[32];

	seed = 6;
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned len = below(8);
		any_text(text, len, "a/:");
		assert_true(resource_fits(text, text, NULL, 0));
		assert_true(resource_fits("*", text, NULL, 0));
		memset(pattern, '?', len);
		pattern[len] = '\0';
		assert_true(resource_fits(pattern, text, NULL, 0));
		pattern[len] = '?';
		pattern[len + 1] = '\0';
		assert_false(resource_fits(pattern, text, NULL, 0));
		/* A star in the place of any part. */
		unsigned from = below(len + 1), to = from + below(len - from + 1);
		(void)snprintf(pattern, sizeof(pattern), "%.*s*%s", (int)from, text, text + to);
		assert_true(resource_fits(pattern, text, NULL, 0));
		(void)snprintf(pattern, sizeof(pattern), "%.*s*b%s", (int)from, text, text + to);
		assert_false(resource_fits(pattern, text, NULL, 0));
	}
}

/* ${k} says what the value says, of a value without wildcards; of one with wildcards it says them literally. */
static void
a_variable_is_its_value_literally(void **state)
{
	(void)state;
	char value[16], text[16], pattern[32];
	const char *const values[] = {value};
	const struct pol_value v = {"aws:PrincipalTag/k", values, 1};
	unsigned hits = 0;

	seed = 7;
	for (unsigned i = 0; i < ROUNDS; i++) {
		any_text(value, below(3), "a/*?");
		any_text(text, below(5), "a/*");
		(void)snprintf(pattern, sizeof(pattern), "*${aws:PrincipalTag/k}");
		size_t have = strlen(text), want = strlen(value);
		bool ends = have >= want && strcmp(text + have - want, value) == 0;
		assert_int_equal(resource_fits(pattern, text, &v, 1), ends);
		assert_int_equal(resource_fits("${aws:principaltag/K}", text, &v, 1),
			strcmp(text, value) == 0);
		assert_int_equal(
			resource_fits("${aws:absent, 'a'}", text, &v, 1), strcmp(text, "a") == 0);
		assert_false(resource_fits("${aws:absent}", text, &v, 1));
		hits += ends;
	}
	assert_seen(hits);
	assert_true(resource_fits("${*}${?}${$}", "*?$", NULL, 0));
	assert_false(resource_fits("${*}", "a", NULL, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adding_a_deny_anywhere_never_allows),
		cmocka_unit_test(adding_an_allow_where_documents_are_never_denies),
		cmocka_unit_test(the_order_of_statements_changes_nothing),
		cmocka_unit_test(how_statements_are_spread_over_documents_changes_nothing),
		cmocka_unit_test(of_an_element_and_its_not_form_one_matches),
		cmocka_unit_test(a_negated_operator_is_the_opposite_of_its_positive),
		cmocka_unit_test(if_exists_matters_only_when_the_key_is_absent),
		cmocka_unit_test(of_null_true_and_false_one_holds),
		cmocka_unit_test(the_case_of_actions_and_keys_does_not_matter_that_of_values_does),
		cmocka_unit_test(wildcards_reach_over_slashes_and_colons),
		cmocka_unit_test(a_variable_is_its_value_literally),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
