#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "policy/decide.h"

#define ACCOUNT "000000000000"
#define OTHER "111111111111"
#define KEY "arn:aws:kms:local:" ACCOUNT ":key/1"
#define DOC(statement) "{\"Version\":\"2012-10-17\",\"Statement\":{" statement "}}"
#define ALLOW DOC("\"Effect\":\"Allow\",\"Action\":\"kms:*\",\"Resource\":\"*\"")
#define DENY DOC("\"Effect\":\"Deny\",\"Action\":\"kms:*\",\"Resource\":\"*\"")
#define NOTHING DOC("\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"")
#define KEYDOC(effect, principal) \
	DOC("\"Effect\":\"" effect \
	    "\",\"Action\":\"kms:*\",\"Resource\":\"*\",\"Principal\":{\"AWS\":\"" principal \
	    "\"}")
#define ROOT "arn:aws:iam::" ACCOUNT ":root"
#define ALICE "arn:aws:iam::" ACCOUNT ":user/alice"
#define ROLE "arn:aws:iam::" ACCOUNT ":role/r"
#define SESSION "arn:aws:sts::" ACCOUNT ":assumed-role/r/s"

struct row {
	const char *name;
	const char *identity, *session, *boundary, *resource; /* documents; NULL: none */
	const char *account; /* of the principal; NULL: the key's */
	bool as_session, not_key, granted;
	bool allowed;
	enum pol_reason reason;
};

static const struct pol_document *
parsed(const char *json, enum pol_kind kind, struct pol_document **keep)
{
	struct pol_problem problem;

	if (json != NULL && pol_document_parse(slk_span_str(json), kind, keep, &problem) != SLK_OK)
		fail_msg("%s: %s", json, problem.text);
	return *keep;
}

static void
check(const struct row *row)
{
	struct pol_document *docs[4] = {NULL, NULL, NULL, NULL};
	const struct pol_document *identity = parsed(row->identity, POL_IDENTITY, &docs[0]);
	const struct pol_document *session = parsed(row->session, POL_IDENTITY, &docs[1]);
	struct pol_case c = {.identity = &identity,
		.identity_count = identity != NULL,
		.session = &session,
		.session_count = session != NULL,
		.boundary = parsed(row->boundary, POL_IDENTITY, &docs[2]),
		.resource = parsed(row->resource, POL_RESOURCE, &docs[3]),
		.is_key = !row->not_key,
		.granted = row->granted,
		.resource_account = ACCOUNT};
	struct pol_query q = {.principal = row->as_session ? ROLE : ALICE,
		.session = row->as_session ? SESSION : NULL,
		.account = row->account != NULL ? row->account : ACCOUNT,
		.action = "kms:Decrypt",
		.resource = KEY};

	assert_ok(pol_query_prepare(&q));
	struct pol_decision d = pol_decide(&c, &q);
	if (d.allowed != row->allowed || d.reason != row->reason)
		fail_msg("%s: allowed %d, reason %d", row->name, d.allowed, (int)d.reason);
	for (size_t i = 0; i < 4; i++)
		pol_document_free(docs[i]);
}

static void
rights_come_from_where_they_may(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{.name = "nothing at all", .reason = POL_NO_RESOURCE},
		{.name = "an identity policy alone gives nothing on a key",
			.identity = ALLOW,
			.resource = KEYDOC("Allow", ROLE),
			.reason = POL_NO_RESOURCE},
		{.name = "the key lets the account decide",
			.identity = ALLOW,
			.resource = KEYDOC("Allow", ROOT),
			.allowed = true,
			.reason = POL_ALLOWED_DELEGATED},
		{.name = "the account decides nothing",
			.identity = NOTHING,
			.resource = KEYDOC("Allow", ROOT),
			.reason = POL_NO_IDENTITY},
		{.name = "the key names the user",
			.resource = KEYDOC("Allow", ALICE),
			.allowed = true,
			.reason = POL_ALLOWED_RESOURCE},
		{.name = "a grant",
			.resource = KEYDOC("Allow", ROOT),
			.granted = true,
			.allowed = true,
			.reason = POL_ALLOWED_GRANT},
		{.name = "a stream without a policy: identity suffices",
			.identity = ALLOW,
			.not_key = true,
			.allowed = true,
			.reason = POL_ALLOWED_IDENTITY},
		{.name = "a stream without a policy, and no identity policy",
			.not_key = true,
			.reason = POL_NO_IDENTITY},
		{.name = "a stream's policy names the user",
			.resource = KEYDOC("Allow", ALICE),
			.not_key = true,
			.allowed = true,
			.reason = POL_ALLOWED_RESOURCE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void
an_explicit_deny_anywhere_wins_over_everything(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{.name = "identity",
			.identity = DENY,
			.resource = KEYDOC("Allow", ALICE),
			.granted = true,
			.reason = POL_DENIED_IDENTITY},
		{.name = "session",
			.identity = ALLOW,
			.session = DENY,
			.resource = KEYDOC("Allow", SESSION),
			.as_session = true,
			.reason = POL_DENIED_SESSION},
		{.name = "boundary",
			.identity = ALLOW,
			.boundary = DENY,
			.resource = KEYDOC("Allow", ROOT),
			.reason = POL_DENIED_BOUNDARY},
		{.name = "key",
			.identity = ALLOW,
			.resource = KEYDOC("Deny", ROOT),
			.granted = true,
			.reason = POL_DENIED_RESOURCE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void
another_account_needs_both_sides(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{.name = "the key's side only",
			.account = OTHER,
			.resource = KEYDOC("Allow", OTHER),
			.reason = POL_NO_IDENTITY},
		{.name = "the principal's side only",
			.account = OTHER,
			.identity = ALLOW,
			.resource = KEYDOC("Allow", ROOT),
			.reason = POL_NO_RESOURCE},
		{.name = "both",
			.account = OTHER,
			.identity = ALLOW,
			.resource = KEYDOC("Allow", OTHER),
			.allowed = true,
			.reason = POL_ALLOWED_DELEGATED},
		{.name = "a grant, and no identity policy",
			.account = OTHER,
			.resource = KEYDOC("Allow", ROOT),
			.granted = true,
			.reason = POL_NO_IDENTITY},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void
limits_limit_every_right_but_one_given_to_the_session(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{.name = "boundary and identity",
			.identity = ALLOW,
			.boundary = NOTHING,
			.resource = KEYDOC("Allow", ROOT),
			.reason = POL_NO_BOUNDARY},
		{.name = "boundary allows, too",
			.identity = ALLOW,
			.boundary = ALLOW,
			.resource = KEYDOC("Allow", ROOT),
			.allowed = true,
			.reason = POL_ALLOWED_DELEGATED},
		{.name = "session policy and role named by the key",
			.session = NOTHING,
			.resource = KEYDOC("Allow", ROLE),
			.as_session = true,
			.reason = POL_NO_SESSION},
		{.name = "session named by the key",
			.session = NOTHING,
			.resource = KEYDOC("Allow", SESSION),
			.as_session = true,
			.allowed = true,
			.reason = POL_ALLOWED_RESOURCE},
		{.name = "session policy and a grant",
			.session = NOTHING,
			.resource = KEYDOC("Allow", ROOT),
			.as_session = true,
			.granted = true,
			.reason = POL_NO_SESSION},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

/* What the key's account says of a session does not lift the limits that its own account put on it. */
static void
a_session_named_by_a_key_of_another_account_keeps_its_limits(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{.name = "session policy",
			.account = OTHER,
			.identity = ALLOW,
			.session = NOTHING,
			.resource = KEYDOC("Allow", SESSION),
			.as_session = true,
			.reason = POL_NO_SESSION},
		{.name = "boundary",
			.account = OTHER,
			.identity = ALLOW,
			.boundary = NOTHING,
			.resource = KEYDOC("Allow", SESSION),
			.as_session = true,
			.reason = POL_NO_BOUNDARY},
		{.name = "limits that allow",
			.account = OTHER,
			.identity = ALLOW,
			.session = ALLOW,
			.boundary = ALLOW,
			.resource = KEYDOC("Allow", SESSION),
			.as_session = true,
			.allowed = true,
			.reason = POL_ALLOWED_DELEGATED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void
a_boundary_alone_allows_nothing(void **state)
{
	(void)state;
	static const struct row row = {.name = "boundary",
		.boundary = ALLOW,
		.resource = KEYDOC("Allow", ROOT),
		.reason = POL_NO_IDENTITY};

	check(&row);
}

static void
a_refusal_says_why(void **state)
{
	(void)state;
	struct pol_query q = {
		.principal = ALICE, .account = ACCOUNT, .action = "kms:Decrypt", .resource = KEY};
	char text[128];

	assert_ok(pol_query_prepare(&q));
	pol_decision_because(
		&(struct pol_decision){.reason = POL_NO_IDENTITY}, &q, text, sizeof(text));
	assert_string_equal(text, "because no identity-based policy allows the kms:Decrypt action");
	pol_decision_because(
		&(struct pol_decision){.reason = POL_DENIED_RESOURCE}, &q, text, sizeof(text));
	assert_string_equal(text, "with an explicit deny in a resource-based policy");
	pol_decision_because(&(struct pol_decision){.allowed = true}, &q, text, sizeof(text));
	assert_string_equal(text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rights_come_from_where_they_may),
		cmocka_unit_test(an_explicit_deny_anywhere_wins_over_everything),
		cmocka_unit_test(another_account_needs_both_sides),
		cmocka_unit_test(limits_limit_every_right_but_one_given_to_the_session),
		cmocka_unit_test(a_session_named_by_a_key_of_another_account_keeps_its_limits),
		cmocka_unit_test(a_boundary_alone_allows_nothing),
		cmocka_unit_test(a_refusal_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
