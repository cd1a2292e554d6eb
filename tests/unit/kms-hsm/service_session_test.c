/* What the sessions of a role may do: Authorize with their tokens, over a fake HSM. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "access_rig.h"
#include "call.h"

#define WEB "arn:aws:kinesis:local:000000000000:stream/web"
#define SESSION_ARN "arn:aws:sts::000000000000:assumed-role/reader/job"
#define GET "kinesis:GetRecords"
#define PUT "kinesis:PutRecord"
#define DOC(statement) "{\"Version\":\"2012-10-17\",\"Statement\":" statement "}"
#define ALLOW(actions, more) \
	"{\"Effect\":\"Allow\",\"Action\":" actions ",\"Resource\":\"*\"" more "}"
#define IF(test, key, value) ",\"Condition\":{\"" test "\":{\"" key "\":\"" value "\"}}"
#define TRUSTS_ALICE \
	DOC("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"" RIG_ALICE_ARN "\"}," \
	    "\"Action\":\"sts:*\"}")

static struct kms_rig rig;
static struct access_credential session;

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
	access_make_role(&rig, "reader", "AROAREADER", TRUSTS_ALICE);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, ""), SLK_OK);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

/* The role's inline policy, in force. */
static void
set_policy(const char *document)
{
	struct kms_identity_row row;

	assert_ok(kms_catalog_identity_get(rig.catalog, KMS_ROLE, "reader", &row));
	assert_ok(kms_catalog_inline_put(rig.catalog, row.id, "p", document));
	assert_ok(kms_iam_identity_changed(rig.service->iam, KMS_ROLE, "reader"));
}

static void
assume(const struct access_role *what)
{
	access_take(access_assume(&rig, RIG_ALICE, what), &session);
}

static const Kmsp__Reply *
ask_from(uid_t uid, const char *action, const char *token, const char *source_ip)
{
	Kmsp__Authorize call = KMSP__AUTHORIZE__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	call.caller_case = KMSP__AUTHORIZE__CALLER_SESSION_TOKEN;
	call.session_token = (char *)(uintptr_t)token;
	call.action = (char *)(uintptr_t)action;
	call.resource = (char *)(uintptr_t)WEB;
	call.source_ip = (char *)(uintptr_t)source_ip;
	call.over_tls = true;
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_AUTHORIZE;
	request.authorize = &call;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
ask(const char *action)
{
	return ask_from(RIG_GATEWAY, action, session.token, "");
}

static void
denied(const Kmsp__Reply *reply, const char *because)
{
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->exception, "AccessDeniedException");
	assert_contains(reply->message, SESSION_ARN);
	assert_contains(reply->message, WEB);
	assert_contains(reply->message, because);
}

/* --- what a session may --- */

static void
a_session_may_what_its_role_may(void **state)
{
	(void)state;
	assume(&(struct access_role){.role = "reader"});
	denied(ask(GET), "no identity-based policy allows the " GET);
	set_policy(DOC(ALLOW("\"" GET "\"", "")));
	assert_answered(ask(GET), SLK_OK);
	denied(ask(PUT), "no identity-based policy allows the " PUT);
	assert_answered(ask_from(RIG_INGEST, GET, session.token, ""), SLK_OK);
}

static void
a_changed_policy_of_the_role_acts_at_once(void **state)
{
	(void)state;
	set_policy(DOC(ALLOW("\"" GET "\"", "")));
	assume(&(struct access_role){.role = "reader"});
	assert_answered(ask(GET), SLK_OK);
	set_policy(DOC("{\"Effect\":\"Deny\",\"Action\":\"kinesis:*\",\"Resource\":\"*\"}"));
	denied(ask(GET), "explicit deny in an identity-based policy");
	set_policy(DOC(ALLOW("\"*\"", "")));
	assert_answered(ask(PUT), SLK_OK);
}

static void
the_policy_of_a_session_limits_it(void **state)
{
	(void)state;
	set_policy(DOC(ALLOW("\"kinesis:*\"", "")));
	assume(&(struct access_role){.policy = DOC(ALLOW("\"" PUT "\"", ""))});
	assert_answered(ask(PUT), SLK_OK);
	denied(ask(GET), "no session policy allows the " GET);
	/* It gives nothing that the role does not have. */
	set_policy(DOC(ALLOW("\"" GET "\"", "")));
	denied(ask(PUT), "no identity-based policy allows");
}

static void
managed_policies_of_a_session_are_taken_as_they_are(void **state)
{
	(void)state;
	struct kms_policy_row row;

	set_policy(DOC(ALLOW("\"kinesis:*\"", "")));
	access_make_policy(&rig, "Limits", DOC(ALLOW("\"" GET "\"", "")));
	assert_ok(kms_catalog_policy_get(rig.catalog, "Limits", &row));
	assume(&(struct access_role){.managed = "arn:aws:iam::000000000000:policy/Limits"});
	assert_answered(ask(GET), SLK_OK);
	denied(ask(PUT), "no session policy allows");
	assert_ok(kms_catalog_policy_set(
		rig.catalog, row.id, DOC(ALLOW("\"" PUT "\"", "")), rig.wall_ns));
	assert_answered(ask(PUT), SLK_OK);
	denied(ask(GET), "no session policy allows");
	assert_ok(kms_catalog_policy_delete(rig.catalog, row.id));
	denied(ask(PUT), "a policy that limits the session is gone");
}

static void
conditions_see_the_session(void **state)
{
	(void)state;
	static const struct {
		const char *policy;
		bool passes;
	} cases[] = {
		{DOC(ALLOW("\"*\"", IF("StringEquals", "aws:userid", "AROAREADER:job"))), true},
		{DOC(ALLOW("\"*\"", IF("StringEquals", "aws:userid", "AROAREADER"))), false},
		{DOC(ALLOW("\"*\"", IF("StringEquals", "aws:PrincipalTag/team", "db"))), true},
		{DOC(ALLOW("\"*\"", IF("StringEquals", "aws:PrincipalTag/team", "web"))), false},
		{DOC(ALLOW("\"*\"", IF("StringEquals", "aws:SourceIdentity", "al"))), true},
		{DOC(ALLOW("\"*\"", IF("StringEquals", "aws:SourceIdentity", "bo"))), false},
		{DOC(ALLOW("\"*\"",
			 IF("DateGreaterThan", "aws:TokenIssueTime", "2026-11-24T07:59:59Z"))),
			true},
		{DOC(ALLOW("\"*\"",
			 IF("DateGreaterThan", "aws:TokenIssueTime", "2026-11-24T08:00:00Z"))),
			false},
		{DOC(ALLOW("\"*\"", IF("StringEquals", "aws:PrincipalType", "AssumedRole"))), true},
		{DOC(ALLOW("\"*\"",
			 IF("ArnEquals", "aws:PrincipalArn",
				 "arn:aws:iam::000000000000:role/reader"))),
			true},
	};

	access_tag(&rig, KMS_ROLE, "reader", "team", "web"); /* the session's comes first */
	assume(&(struct access_role){.tag = "team=db", .source_identity = "al"});
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_policy(cases[i].policy);
		if ((ask(GET)->status == SLK_OK) != cases[i].passes)
			fail_msg("%s", cases[i].policy);
	}
	assume(&(struct access_role){.role = "reader"});
	set_policy(cases[3].policy); /* without tags of its own it has those of the role */
	assert_answered(ask(GET), SLK_OK);
}

static void
a_streams_policy_may_name_the_session(void **state)
{
	(void)state;
	struct kms_stream stream;

	assume(&(struct access_role){.policy = DOC(ALLOW("\"" PUT "\"", ""))});
	assert_ok(kms_catalog_stream_get(rig.catalog, "web", &stream));
	assert_ok(kms_catalog_stream_policy_put(rig.catalog, stream.id,
		DOC("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"" SESSION_ARN
		    "\"},\"Action\":\"" GET "\",\"Resource\":\"" WEB "\"}")));
	assert_ok(kms_iam_stream_changed(rig.service->iam, "web"));
	assert_answered(ask(GET), SLK_OK); /* as in AWS, the session's policy does not limit that */
	access_take(access_assume(&rig, RIG_ALICE, &(struct access_role){.session = "other"}),
		&session);
	assert_answered(ask(GET), SLK_DENIED);
}

/* --- tokens --- */

static void
refused(const Kmsp__Reply *reply, const char *exception)
{
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->exception, exception);
}

static void
tokens_that_are_none_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "AAAA", "not base64!"};
	char changed[sizeof(session.token)];

	set_policy(DOC(ALLOW("\"*\"", "")));
	assume(&(struct access_role){.role = "reader"});
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(ask_from(RIG_GATEWAY, GET, bad[i], ""), "UnrecognizedClientException");
	for (size_t at = 0; at < strlen(session.token); at += 11) {
		strcpy(changed, session.token);
		changed[at] = changed[at] == 'A' ? 'B' : 'A';
		refused(ask_from(RIG_GATEWAY, GET, changed, ""), "UnrecognizedClientException");
	}
	assert_answered(ask(GET), SLK_OK);
	rig.wall_ns += 3600 * SLK_NS_PER_S;
	refused(ask(GET), "ExpiredTokenException");
}

static void
a_role_that_is_gone_takes_its_sessions_with_it(void **state)
{
	(void)state;
	assume(&(struct access_role){.role = "reader"});
	access_delete_role(&rig, "reader");
	refused(ask(GET), "UnrecognizedClientException");
	access_make_role(&rig, "reader", "AROAOTHER", TRUSTS_ALICE);
	set_policy(DOC(ALLOW("\"*\"", "")));
	refused(ask(GET), "UnrecognizedClientException");
}

static void
after_a_restart_the_circumstances_are_still_known(void **state)
{
	(void)state;
	set_policy(DOC(ALLOW("\"*\"", IF("IpAddress", "aws:SourceIp", "192.0.2.0/24"))));
	assume(&(struct access_role){.role = "reader"});
	rig_restart(&rig); /* now the session key is fetched first, and the request goes on later */
	assert_answered(ask_from(RIG_GATEWAY, GET, session.token, "192.0.2.7"), SLK_OK);
	rig_restart(&rig);
	denied(ask_from(RIG_GATEWAY, GET, session.token, "198.51.100.7"), "no identity-based");
}

/* --- who may ask --- */

static void
people_may_not_ask(void **state)
{
	(void)state;
	static const uid_t peers[] = {RIG_ROOT, RIG_ALICE, RIG_STRANGER};

	set_policy(DOC(ALLOW("\"*\"", "")));
	assume(&(struct access_role){.role = "reader"});
	for (size_t i = 0; i < 3; i++)
		refused(ask_from(peers[i], GET, session.token, ""), "AccessDeniedException");
}

static void
the_gateway_names_nobody_without_a_token(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = rig_authorize(&rig, RIG_GATEWAY, RIG_ROOT, GET, WEB);

	refused(reply, "AccessDeniedException");
	assert_contains(reply->message, "token");
	assert_answered(rig_authorize(&rig, RIG_INGEST, RIG_ROOT, GET, WEB), SLK_OK);
}

static void
the_audit_line_names_session_role_and_door(void **state)
{
	(void)state;
	set_policy(DOC(ALLOW("\"" GET "\"", "")));
	assume(&(struct access_role){.source_identity = "al"});
	assert_answered(ask(GET), SLK_OK);
	const char *line = rig_audit_last(&rig);
	assert_contains(line, "\"eventName\":\"GetRecords\"");
	assert_contains(line,
		"\"type\":\"AssumedRole\",\"principalId\":\"AROAREADER:job\",\"arn\":\"" SESSION_ARN
		"\"");
	assert_contains(line, "\"sourceIdentity\":\"al\"");
	assert_contains(line, "role/reader");
	assert_contains(line, session.id);
	assert_contains(line, "\"door\":{\"uid\":2001");
	assert_lacks(line, session.token);
	denied(ask(PUT), "no identity-based");
	assert_contains(rig_audit_last(&rig), SESSION_ARN);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_session_may_what_its_role_may),
		CASE(a_changed_policy_of_the_role_acts_at_once),
		CASE(the_policy_of_a_session_limits_it),
		CASE(managed_policies_of_a_session_are_taken_as_they_are),
		CASE(conditions_see_the_session),
		CASE(a_streams_policy_may_name_the_session),
		CASE(tokens_that_are_none_are_refused),
		CASE(a_role_that_is_gone_takes_its_sessions_with_it),
		CASE(after_a_restart_the_circumstances_are_still_known),
		CASE(people_may_not_ask),
		CASE(the_gateway_names_nobody_without_a_token),
		CASE(the_audit_line_names_session_role_and_door),
	};

	return cmocka_run_group_tests_name("kms_service_session", tests, NULL, NULL);
}
