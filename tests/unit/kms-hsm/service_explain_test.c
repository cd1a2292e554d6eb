/* Explain: the same decision as a call's, with the statement that made it and how far the others came; nothing is done. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "iam_rig.h"

#define TEXT(text) ((char *)(uintptr_t)(text))

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX];

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig,
		"  - {sid: look, effect: Allow, principals: [user/*], actions: "
		"['kms:DescribeKey'], "
		"resources: ['*']}\n");
	rig_new_key(&rig, key_arn);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/a", key_arn), SLK_OK);
	iam_user_with(&rig, "alice",
		"{'Sid':'use','Effect':'Allow','Action':'kms:Encrypt','Resource':'*','Condition':"
		"{'StringEquals':{'kms:EncryptionContext:dept':'web'}}},"
		"{'Sid':'sign','Effect':'Allow','Action':'kms:Sign','Resource':'*'}");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

struct ask {
	const char *principal, *action, *resource, *dept, *value_key, *value;
};

static const Kmsp__Reply *
explain_as(uid_t uid, const struct ask *ask)
{
	Kmsp__Explain call = KMSP__EXPLAIN__INIT;
	Kmsp__Pair pair = KMSP__PAIR__INIT, *pairs[] = {&pair};
	Kmsp__Condition value = KMSP__CONDITION__INIT, *values[] = {&value};
	Kmsp__Request request = KMSP__REQUEST__INIT;
	char *texts[] = {TEXT(ask->value)};

	call.caller_case = KMSP__EXPLAIN__CALLER_PRINCIPAL;
	call.principal = TEXT(ask->principal);
	call.action = TEXT(ask->action);
	call.resource = TEXT(ask->resource);
	if (ask->dept != NULL) {
		pair.key = (ProtobufCBinaryData){4, (uint8_t *)TEXT("dept")};
		pair.value = (ProtobufCBinaryData){strlen(ask->dept), (uint8_t *)TEXT(ask->dept)};
		call.context = pairs;
		call.n_context = 1;
	}
	if (ask->value_key != NULL) {
		value.key = TEXT(ask->value_key);
		value.values = texts;
		value.n_values = 1;
		call.values = values;
		call.n_values = 1;
	}
	request.call_case = KMSP__REQUEST__CALL_EXPLAIN;
	request.explain = &call;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Explanation *
explain(const struct ask *ask)
{
	const Kmsp__Reply *reply = explain_as(RIG_ROOT, ask);

	if (reply->status != SLK_OK)
		fail_msg("%s", reply->message);
	return reply->explanation;
}

/* The statement with that sid; fails if there is none. */
static const Kmsp__ExplainedStatement *
statement(const Kmsp__Explanation *e, const char *kind, const char *sid)
{
	for (size_t i = 0; i < e->n_policies; i++)
		for (size_t k = 0; k < e->policies[i]->n_statements; k++)
			if (strcmp(e->policies[i]->kind, kind) == 0 &&
				strcmp(e->policies[i]->statements[k]->sid, sid) == 0)
				return e->policies[i]->statements[k];
	fail_msg("no statement %s in a policy of kind %s", sid, kind);
	return NULL;
}

static void
allowed_call_names_its_statement(void **state)
{
	(void)state;
	const struct ask ask = {.principal = "user/alice",
		.action = "kms:Encrypt",
		.resource = "alias/a",
		.dept = "web"};
	const Kmsp__Explanation *e = explain(&ask);

	assert_true(e->allowed);
	assert_string_equal(e->reason, "AllowedByIdentityPolicyAndKeyPolicy");
	assert_string_equal(e->principal, RIG_ALICE_ARN);
	assert_string_equal(e->resource, key_arn);
	const Kmsp__ExplainedStatement *s = statement(e, "identity", "use");
	assert_true(s->decided);
	assert_string_equal(s->stage, "Matched");
	s = statement(e, "identity", "sign");
	assert_false(s->decided);
	assert_string_equal(s->stage, "Action");
	assert_string_equal(statement(e, "identity", "look")->stage, "Action");
	assert_string_equal(statement(e, "key", "Enable IAM User Permissions")->stage, "Matched");
	assert_answered(
		rig_encrypt(&rig, RIG_ALICE, "alias/a", "dept=web", slk_span_str("x")), SLK_OK);
}

static void
refused_call_names_the_condition_that_failed(void **state)
{
	(void)state;
	const struct ask ask = {.principal = RIG_ALICE_ARN,
		.action = "kms:Encrypt",
		.resource = key_arn,
		.dept = "ops"};
	char sentence[1024];
	const Kmsp__Explanation *e = explain(&ask);

	assert_false(e->allowed);
	assert_string_equal(e->reason, "NoIdentityPolicyAllows");
	const Kmsp__ExplainedStatement *s = statement(e, "identity", "use");
	assert_string_equal(s->stage, "Condition");
	assert_string_equal(s->condition_operator, "StringEquals");
	assert_string_equal(s->condition_key, "kms:EncryptionContext:dept");
	assert_false(s->decided);
	bool seen = false;
	for (size_t i = 0; i < e->n_values; i++)
		seen = seen ||
			(strcmp(e->values[i]->key, "kms:EncryptionContext:dept") == 0 &&
				strcmp(e->values[i]->values[0], "ops") == 0);
	assert_true(seen);
	/* Word for word what the caller is told. */
	snprintf(sentence, sizeof(sentence), "%s", e->sentence);
	const Kmsp__Reply *reply =
		rig_encrypt(&rig, RIG_ALICE, key_arn, "dept=ops", slk_span_str("x"));
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->message, sentence);
}

static void
deny_of_the_key_is_marked(void **state)
{
	(void)state;
	const struct ask ask = {.principal = "user/alice",
		.action = "kms:Sign",
		.resource = key_arn,
		.value_key = "aws:SourceIp",
		.value = "198.51.100.7"};

	assert_answered(
		iam_put_key_policy(&rig, RIG_ROOT, key_arn,
			iam_policy("{'Effect':'Allow','Principal':{'AWS':'000000000000'},'Action':"
				   "'kms:*','Resource':'*'},{'Sid':'far','Effect':'Deny',"
				   "'Principal':'*','Action':'kms:Sign','Resource':'*','Condition':"
				   "{'IpAddress':{'aws:SourceIp':'198.51.100.0/24'}}}"),
			false),
		SLK_OK);
	const Kmsp__Explanation *e = explain(&ask);
	assert_false(e->allowed);
	assert_string_equal(e->reason, "DeniedByResourcePolicy");
	assert_true(statement(e, "key", "far")->decided);
	assert_true(statement(e, "key", "far")->deny);
}

static void
grant_counts(void **state)
{
	(void)state;
	Kmsp__CreateGrant call = KMSP__CREATE_GRANT__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	char *operations[] = {TEXT("Decrypt")};
	const struct ask ask = {
		.principal = "user/bob", .action = "kms:Decrypt", .resource = key_arn};

	assert_false(explain(&ask)->allowed);
	call.key = key_arn;
	call.grantee = TEXT(RIG_BOB_ARN);
	call.operations = operations;
	call.n_operations = 1;
	request.call_case = KMSP__REQUEST__CALL_CREATE_GRANT;
	request.create_grant = &call;
	assert_answered(rig_call(&rig, RIG_ROOT, &request), SLK_OK);
	const Kmsp__Explanation *e = explain(&ask);
	assert_true(e->allowed);
	assert_string_equal(e->reason, "AllowedByGrant");
}

static void
principal_that_is_not_there_is_told_what_it_would_be(void **state)
{
	(void)state;
	const struct ask ask = {
		.principal = "user/carol", .action = "kms:DescribeKey", .resource = key_arn};
	const Kmsp__Explanation *e = explain(&ask);

	assert_true(e->allowed); /* as any user, by the configuration */
	assert_contains(e->sentence, "not known here");
}

static void
what_cannot_be_asked_is_said(void **state)
{
	(void)state;
	static const struct ask wrong[] = {
		{.principal = "user/alice", .action = "Encrypt", .resource = "*"},
		{.principal = "user/alice", .action = "kms:*", .resource = "*"},
		{.principal = "user/*", .action = "kms:Encrypt", .resource = "*"},
		{.principal = "alice", .action = "kms:Encrypt", .resource = "*"},
		{.principal = "user/alice", .action = "kms:Encrypt", .resource = "nothing"},
		{.principal = "user/alice",
			.action = "kms:Encrypt",
			.resource = "*",
			.value_key = "nocolon",
			.value = ""}};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_answered(explain_as(RIG_ROOT, &wrong[i]), SLK_INVALID);
	const struct ask missing = {
		.principal = "user/alice", .action = "kms:Encrypt", .resource = "alias/none"};
	assert_answered(explain_as(RIG_ROOT, &missing), SLK_NOT_FOUND);
	const struct ask ask = {
		.principal = "user/alice", .action = "kms:Encrypt", .resource = "*"};
	assert_answered(explain_as(RIG_ALICE, &ask), SLK_DENIED);
	assert_answered(explain_as(RIG_ADMIN, &ask), SLK_OK);
}

/* More statements than a reply holds: cut, said, and the decision is right. */
static void
long_policies_are_cut_and_that_is_said(void **state)
{
	(void)state;
	static char text[131072];
	const struct ask ask = {
		.principal = "user/alice", .action = "kms:Verify", .resource = key_arn};
	size_t len = (size_t)snprintf(text, sizeof(text),
		"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":"
		"\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\"}");

	for (int i = 0; i < 800; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			",{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"kms:X%d\","
			"\"Resource\":\"*\"}",
			i);
	snprintf(text + len, sizeof(text) - len, "]}");
	assert_answered(iam_put_key_policy(&rig, RIG_ROOT, key_arn, text, false), SLK_OK);
	const Kmsp__Explanation *e = explain(&ask);
	assert_true(e->allowed);
	assert_true(e->truncated);
	assert_string_equal(e->reason, "AllowedByResourcePolicy");
}

/* Who may assume a role: its trust policy decides, with what the caller would send. */
static void
a_trust_policy_is_explained(void **state)
{
	(void)state;
	struct ask ask = {"user/alice", "sts:AssumeRole", "role/reader", NULL, NULL, NULL};

	assert_answered(
		iam_create_role(&rig, RIG_ROOT, "reader",
			"{'Sid':'partner','Effect':'Allow','Principal':{'AWS':'" RIG_ALICE_ARN
			"'},'Action':'sts:AssumeRole','Condition':{'StringEquals':{'sts:ExternalId'"
			":"
			"'agreed'}}}"),
		SLK_OK);
	const Kmsp__Explanation *e = explain(&ask);
	assert_false(e->allowed);
	assert_string_equal(statement(e, "trust", "partner")->stage, "Condition");
	assert_string_equal(statement(e, "trust", "partner")->condition_key, "sts:ExternalId");
	ask.value_key = "sts:ExternalId";
	ask.value = "agreed";
	e = explain(&ask);
	assert_true(e->allowed);
	assert_string_equal(e->reason, "AllowedByResourcePolicy");
	assert_true(statement(e, "trust", "partner")->decided);
	ask.value = "agreed-off";
	assert_false(explain(&ask)->allowed);
	ask.value = "agreed";
	ask.action = "sts:TagSession"; /* a right of its own */
	assert_false(explain(&ask)->allowed);
	ask.action = "sts:AssumeRole";
	ask.principal = "user/bob";
	e = explain(&ask);
	assert_false(e->allowed);
	assert_string_equal(statement(e, "trust", "partner")->stage, "Principal");
	ask.principal = "root";
	e = explain(&ask);
	assert_false(e->allowed);
	assert_string_equal(e->reason, "RootAssumesNoRole");
	ask.principal = "user/alice";
	ask.resource = "role/none";
	assert_answered(explain_as(RIG_ROOT, &ask), SLK_NOT_FOUND);
	ask.resource = "alias/a";
	assert_answered(explain_as(RIG_ROOT, &ask), SLK_INVALID);
	ask.resource = "user/alice";
	assert_answered(explain_as(RIG_ROOT, &ask), SLK_INVALID);
}

/* Where only the account is named, the caller's own policies decide, too. */
static void
a_trust_policy_that_names_the_account_lets_it_decide(void **state)
{
	(void)state;
	const struct ask ask = {"user/alice", "sts:AssumeRole", "role/reader", NULL, NULL, NULL};

	assert_answered(iam_create_role(&rig, RIG_ROOT, "reader",
				"{'Effect':'Allow','Principal':{'AWS':'000000000000'},"
				"'Action':'sts:AssumeRole'}"),
		SLK_OK);
	assert_false(explain(&ask)->allowed);
	assert_answered(
		iam_put_inline(&rig, RIG_ROOT, "user/alice", "roles",
			"{'Sid':'may','Effect':'Allow','Action':'sts:AssumeRole','Resource':"
			"'*'}"),
		SLK_OK);
	const Kmsp__Explanation *e = explain(&ask);
	assert_true(e->allowed);
	assert_string_equal(e->reason, "AllowedByIdentityPolicyAndTrustPolicy");
	assert_true(statement(e, "identity", "may")->decided);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(allowed_call_names_its_statement),
		CASE(refused_call_names_the_condition_that_failed),
		CASE(deny_of_the_key_is_marked),
		CASE(grant_counts),
		CASE(principal_that_is_not_there_is_told_what_it_would_be),
		CASE(what_cannot_be_asked_is_said),
		CASE(long_policies_are_cut_and_that_is_said),
		CASE(a_trust_policy_is_explained),
		CASE(a_trust_policy_that_names_the_account_lets_it_decide),
	};

	return cmocka_run_group_tests_name("kms_service_explain", tests, NULL, NULL);
}
