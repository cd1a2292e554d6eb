/* Whom documents and grants name has to exist, and the audit line of a document says which one it is. */
#include "slk_test.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "iam_rig.h"

#define ROOT \
	"{'Effect':'Allow','Principal':{'AWS':'" RIG_ROOT_ARN "'},'Action':'kms:*','Resource':'*'" \
							      "}"
#define NAMES(principal) \
	"{'Effect':'Allow','Principal':{'AWS':'" principal "'},'Action':'*','Resource':'*'}"
#define TRUSTS(principal) \
	"{'Effect':'Allow','Principal':{'AWS':'" principal "'},'Action':'sts:AssumeRole'}"
#define NOBODY "arn:aws:iam::000000000000:user/nobody"
#define USE "{'Effect':'Allow','Action':'kms:Encrypt','Resource':'*'}"
#define TEXT(text) ((char *)(uintptr_t)(text))

static struct kms_rig rig;
static char key[KMS_ARN_MAX];

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
	rig_new_key(&rig, key);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, ""), SLK_OK);
	assert_answered(iam_create_user(&rig, RIG_ROOT, "carl"), SLK_OK);
	assert_answered(iam_create_role(&rig, RIG_ROOT, "reader",
				TRUSTS("arn:aws:iam::000000000000:user/carl")),
		SLK_OK);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static const Kmsp__Reply *
put_key(uid_t uid, const char *statements, bool bypass)
{
	return iam_put_key_policy(&rig, uid, key, iam_policy(statements), bypass);
}

static void
malformed(const Kmsp__Reply *reply, const char *part)
{
	assert_answered(reply, SLK_INVALID);
	assert_string_equal(reply->exception, "MalformedPolicyDocumentException");
	assert_contains(reply->message, part);
}

static void
a_principal_that_exists_may_be_named(void **state)
{
	(void)state;
	static const char *const there[] = {"arn:aws:iam::000000000000:user/carl",
		"arn:aws:iam::000000000000:role/reader",
		"arn:aws:sts::000000000000:assumed-role/reader/anything",
		RIG_ALICE_ARN, /* of kmsd.yaml */
		"arn:aws:iam::000000000000:role/syslog", RIG_ROOT_ARN, "000000000000",
		"111111111111", "arn:aws:iam::111111111111:user/whoever", "*"};
	char statements[1024];

	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
		snprintf(statements, sizeof(statements), ROOT "," NAMES("%s"), there[i]);
		if (put_key(RIG_ROOT, statements, false)->status != SLK_OK)
			fail_msg("%s: %s", there[i], rig_last(&rig)->message);
	}
}

static void
one_that_does_not_is_refused_and_the_old_document_stays(void **state)
{
	(void)state;
	static const char *const missing[] = {NOBODY, "arn:aws:iam::000000000000:role/carl",
		"arn:aws:iam::000000000000:user/Carl",
		"arn:aws:sts::000000000000:assumed-role/none/reader",
		"arn:aws:sts::000000000000:assumed-role/carl/reader"};
	char statements[1024];

	assert_answered(put_key(RIG_ROOT, ROOT "," NAMES(RIG_BOB_ARN), false), SLK_OK);
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		snprintf(statements, sizeof(statements), ROOT "," NAMES("%s"), missing[i]);
		const Kmsp__Reply *reply = put_key(RIG_ROOT, statements, i % 2 == 0);
		malformed(
			reply, "Policy contains a statement with one or more invalid principals.");
		assert_contains(reply->message, missing[i]);
		assert_contains(reply->message, "statement 2, line 1");
		malformed(iam_put_stream_policy(&rig, RIG_ROOT, "web", iam_policy(statements)),
			"invalid principals");
	}
	assert_answered(rig_encrypt(&rig, RIG_BOB, key, "", slk_span_str("x")), SLK_OK);
	const Kmsp__Reply *reply = iam_create_role(&rig, RIG_ROOT, "second", TRUSTS(NOBODY));
	malformed(reply, "Invalid principal in policy: \"AWS\":\"" NOBODY "\"");
	assert_answered(iam_get(&rig, RIG_ROOT, "role/second"), SLK_NOT_FOUND);
}

/* Who may not change the policy does not learn from it who there is. */
static void
who_exists_is_told_to_the_allowed_only(void **state)
{
	(void)state;
	assert_answered(put_key(RIG_ADMIN, ROOT "," NAMES(NOBODY), false), SLK_DENIED);
	assert_answered(iam_put_stream_policy(&rig, RIG_ADMIN, "web", iam_policy(NAMES(NOBODY))),
		SLK_DENIED);
	assert_answered(iam_create_role(&rig, RIG_ADMIN, "second", TRUSTS(NOBODY)), SLK_DENIED);
}

static void
a_grant_is_for_somebody_who_exists(void **state)
{
	(void)state;
	static const struct {
		const char *grantee, *retiring;
		bool passes;
	} cases[] = {
		{"arn:aws:iam::000000000000:user/carl", "", true},
		{"arn:aws:iam::000000000000:user/carl", RIG_BOB_ARN, true},
		{"arn:aws:iam::111111111111:user/whoever", "", true},
		{NOBODY, "", false},
		{"arn:aws:iam::000000000000:user/carl", NOBODY, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Kmsp__CreateGrant call = KMSP__CREATE_GRANT__INIT;
		Kmsp__Request request = KMSP__REQUEST__INIT;
		char *operations[] = {TEXT("Decrypt")};
		call.key = key;
		call.grantee = TEXT(cases[i].grantee);
		call.retiring = TEXT(cases[i].retiring);
		call.operations = operations;
		call.n_operations = 1;
		request.call_case = KMSP__REQUEST__CALL_CREATE_GRANT;
		request.create_grant = &call;
		const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
		if ((reply->status == SLK_OK) != cases[i].passes)
			fail_msg("case %zu: %s", i, reply->message);
		if (!cases[i].passes) {
			assert_string_equal(reply->exception, "InvalidArnException");
			assert_contains(
				reply->message, "ARN does not refer to a valid principal: " NOBODY);
		}
	}
}

/* --- the audit line --- */

static void
line_has(const char *name, const char *document)
{
	const char *line = rig_audit_last(&rig);
	char expected[512];
	uint8_t digest[32];
	char hex[65];

	if (name[0] != '\0') {
		snprintf(expected, sizeof(expected), "\"policyName\":\"%s\"", name);
		assert_contains(line, expected);
	} else {
		assert_lacks(line, "policyName");
	}
	if (document == NULL) {
		assert_lacks(line, "policyDocumentSha256");
		return;
	}
	SHA256((const uint8_t *)document, strlen(document), digest);
	slk_hex(slk_span(digest, sizeof(digest)), hex, sizeof(hex));
	snprintf(expected, sizeof(expected), "\"policyDocumentSha256\":\"%s\"", hex);
	assert_contains(line, expected);
}

static void
a_change_of_a_policy_names_it_and_its_digest(void **state)
{
	(void)state;
	assert_answered(iam_put_inline(&rig, RIG_ROOT, "user/carl", "use", USE), SLK_OK);
	line_has("use", iam_policy(USE));
	assert_answered(iam_delete_inline(&rig, RIG_ROOT, "user/carl", "use"), SLK_OK);
	line_has("use", NULL);
	assert_answered(iam_create_policy(&rig, RIG_ROOT, "Users", USE), SLK_OK);
	line_has("Users", iam_policy(USE));
	assert_answered(iam_update_policy(&rig, RIG_ROOT, "Users", USE "," USE), SLK_OK);
	line_has("Users", iam_policy(USE "," USE));
	assert_answered(iam_attachment(&rig, RIG_ROOT, KMSP__REQUEST__CALL_ATTACH_POLICY,
				"user/carl", "Users"),
		SLK_OK);
	line_has("Users", NULL);
	assert_answered(iam_attachment(&rig, RIG_ROOT, KMSP__REQUEST__CALL_PUT_BOUNDARY,
				"role/reader", "Users"),
		SLK_OK);
	line_has("Users", NULL);
	assert_answered(iam_attachment(&rig, RIG_ROOT, KMSP__REQUEST__CALL_DETACH_POLICY,
				"user/carl", "Users"),
		SLK_OK);
	assert_answered(iam_delete_boundary(&rig, RIG_ROOT, "role/reader"), SLK_OK);
	line_has("", NULL);
	assert_answered(iam_delete_policy(&rig, RIG_ROOT, "Users"), SLK_OK);
	line_has("Users", NULL);
	assert_answered(put_key(RIG_ROOT, ROOT, false), SLK_OK);
	line_has("default", iam_policy(ROOT));
	const char *web = iam_policy(NAMES(RIG_BOB_ARN));
	assert_answered(iam_put_stream_policy(&rig, RIG_ROOT, "web", web), SLK_OK);
	line_has("", web);
	assert_answered(iam_create_role(&rig, RIG_ROOT, "second", TRUSTS(RIG_BOB_ARN)), SLK_OK);
	line_has("", iam_policy(TRUSTS(RIG_BOB_ARN)));
	assert_lacks(rig_audit_last(&rig), "sts:AssumeRole"); /* but not the document itself */
}

static void
a_refused_change_names_what_was_refused(void **state)
{
	(void)state;
	assert_answered(iam_put_inline(&rig, RIG_ADMIN, "user/carl", "use", USE), SLK_DENIED);
	line_has("use", iam_policy(USE));
	assert_contains(rig_audit_last(&rig), "\"outcome\":\"denied\"");
	malformed(put_key(RIG_ROOT, ROOT "," NAMES(NOBODY), false), "");
	line_has("default", iam_policy(ROOT "," NAMES(NOBODY)));
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_principal_that_exists_may_be_named),
		CASE(one_that_does_not_is_refused_and_the_old_document_stays),
		CASE(who_exists_is_told_to_the_allowed_only),
		CASE(a_grant_is_for_somebody_who_exists),
		CASE(a_change_of_a_policy_names_it_and_its_digest),
		CASE(a_refused_change_names_what_was_refused),
	};

	return cmocka_run_group_tests_name("kms_service_named", tests, NULL, NULL);
}
