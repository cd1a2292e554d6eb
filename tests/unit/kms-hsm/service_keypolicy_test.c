/* Policies of keys and of streams: what they allow and deny, the lockout check, the account that delegates, other keys' and
 * streams' policies, and the services. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "iam_rig.h"

#define ROOT \
	"{'Effect':'Allow','Principal':{'AWS':'" RIG_ROOT_ARN "'},'Action':'kms:*','Resource':'*'" \
	"}"
#define ONLY_ROOT_PUTS \
	"{'Effect':'Allow','Principal':{'AWS':'" RIG_ROOT_ARN \
	"'},'Action':'kms:PutKeyPolicy','Resource':'*'}"
#define BOB \
	"{'Effect':'Allow','Principal':{'AWS':'" RIG_BOB_ARN \
	"'},'Action':'kms:Encrypt','Resource':'*'}"
#define WEB_ARN "arn:aws:kinesis:local:000000000000:stream/web"
#define TEXT(text) ((char *)(uintptr_t)(text))

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX];

/* alice may do all with kms by an identity policy; bob may do nothing. */
static int
setup(void **state)
{
	(void)state;
	rig_start(&rig,
		"  - {effect: Allow, principals: [user/alice], actions: ['kms:*'], resources: "
		"['*']}\n");
	rig_new_key(&rig, key_arn);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static int
encrypts(uid_t uid)
{
	return rig_encrypt(&rig, uid, key_arn, "", slk_span_str("x"))->status;
}

static void
put(const char *statements)
{
	assert_answered(
		iam_put_key_policy(&rig, RIG_ROOT, key_arn, iam_policy(statements), false), SLK_OK);
}

static void
key_has_the_default_policy_until_it_gets_another(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = iam_get_key_policy(&rig, RIG_ROOT, key_arn);

	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->document->name, "default");
	assert_contains(reply->document->text, "Enable IAM User Permissions");
	assert_contains(reply->document->text, "arn:aws:iam::000000000000:root");
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK); /* the account decides: alice's own */
	assert_int_equal(encrypts(RIG_BOB), SLK_DENIED);
	put(ROOT "," BOB);
	assert_int_equal(encrypts(RIG_BOB), SLK_OK); /* without an identity policy */
	assert_string_equal(iam_get_key_policy(&rig, RIG_ROOT, key_arn)->document->text,
		iam_policy(ROOT "," BOB));
	rig_restart(&rig);
	assert_int_equal(encrypts(RIG_BOB), SLK_OK);
	put(ROOT);
	assert_int_equal(encrypts(RIG_BOB), SLK_DENIED);
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
}

/* THREATS, 11: the account is not in the key's policy, so its identity policies give no right on the key. */
static void
identity_policy_alone_gives_no_right_where_the_account_is_missing(void **state)
{
	(void)state;
	put(ONLY_ROOT_PUTS "," BOB);
	assert_int_equal(encrypts(RIG_ALICE), SLK_DENIED);
	assert_contains(rig_last(&rig)->message,
		"because no resource-based policy allows the kms:Encrypt action");
	assert_contains(rig_last(&rig)->message, key_arn);
	assert_int_equal(encrypts(RIG_BOB), SLK_OK);
	/* What is about no key in particular asks no key's policy. */
	assert_answered(rig_random(&rig, RIG_ALICE, 16), SLK_OK);
}

static void
deny_of_the_key_wins_over_what_the_identity_allows(void **state)
{
	(void)state;
	put(ROOT ",{'Effect':'Deny','Principal':{'AWS':'" RIG_ALICE_ARN
		 "'},'Action':'kms:Encrypt','Resource':'*'}");
	assert_int_equal(encrypts(RIG_ALICE), SLK_DENIED);
	assert_contains(rig_last(&rig)->message,
		"User: " RIG_ALICE_ARN " is not authorized to perform: kms:Encrypt on resource: ");
	assert_contains(
		rig_last(&rig)->message, "with an explicit deny in a resource-based policy");
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_OK);
	assert_int_equal(encrypts(RIG_ROOT), SLK_OK);
}

static void
policy_of_one_key_says_nothing_about_another(void **state)
{
	(void)state;
	char other[KMS_ARN_MAX];

	rig_new_key(&rig, other);
	put(ROOT "," BOB);
	assert_answered(rig_encrypt(&rig, RIG_BOB, other, "", slk_span_str("x")), SLK_DENIED);
	assert_int_equal(encrypts(RIG_BOB), SLK_OK);
}

static void
refusal_by_an_alias_does_not_tell_where_it_leads(void **state)
{
	(void)state;
	put(ROOT ",{'Effect':'Deny','Principal':'*','Action':'kms:Encrypt','Resource':'*'}");
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/a", key_arn), SLK_OK);
	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_BOB, "alias/a", "", slk_span_str("x"));
	assert_answered(reply, SLK_DENIED);
	assert_lacks(reply->message, key_arn);
	assert_lacks(reply->message, "deny");
}

static void
nobody_locks_himself_out_unless_he_says_so(void **state)
{
	(void)state;
	const Kmsp__Reply *reply =
		iam_put_key_policy(&rig, RIG_ROOT, key_arn, iam_policy(BOB), false);

	assert_answered(reply, SLK_INVALID);
	assert_string_equal(reply->exception, "MalformedPolicyDocumentException");
	assert_contains(
		reply->message, "will not allow you to update the key policy in the future");
	assert_int_equal(encrypts(RIG_BOB), SLK_DENIED); /* the old one stays */
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
	assert_answered(iam_put_key_policy(&rig, RIG_ROOT, key_arn, iam_policy(BOB), true), SLK_OK);
	assert_int_equal(encrypts(RIG_BOB), SLK_OK);
	assert_answered(
		iam_put_key_policy(&rig, RIG_ROOT, key_arn, iam_policy(ROOT), false), SLK_DENIED);
	assert_answered(iam_get_key_policy(&rig, RIG_ROOT, key_arn), SLK_DENIED);
}

static void
malformed_policy_says_where_and_changes_nothing(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = iam_put_key_policy(&rig, RIG_ROOT, key_arn,
		"{\"Version\":\"2012-10-17\",\n "
		"\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"kms:*\","
		"\"Resource\":\"*\"}}",
		false);

	assert_string_equal(reply->exception, "MalformedPolicyDocumentException");
	assert_contains(reply->message, "line 2, column ");
	assert_contains(reply->message, "needs a Principal");
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
	assert_answered(iam_put_key_policy(&rig, RIG_ALICE, key_arn, iam_policy(ROOT), false),
		SLK_DENIED); /* not an administrator */
}

static void
longest_policy_is_kept_whole(void **state)
{
	(void)state;
	static char text[131072 + 2];
	const char *policy = iam_policy(ROOT);
	size_t len = strlen(policy);

	memset(text, ' ', 131072);
	memcpy(text, policy, len);
	text[131072] = '\0';
	assert_answered(iam_put_key_policy(&rig, RIG_ROOT, key_arn, text, false), SLK_OK);
	assert_string_equal(iam_get_key_policy(&rig, RIG_ROOT, key_arn)->document->text, text);
	text[131072] = ' ';
	const Kmsp__Reply *reply = iam_put_key_policy(&rig, RIG_ROOT, key_arn, text, false);
	assert_string_equal(reply->exception, "LimitExceededException");
}

static const Kmsp__Reply *
create_with(const char *policy)
{
	Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	call.policy = TEXT(policy);
	request.call_case = KMSP__REQUEST__CALL_CREATE_KEY;
	request.create_key = &call;
	return rig_call(&rig, RIG_ROOT, &request);
}

static void
key_may_be_created_with_a_policy(void **state)
{
	(void)state;
	unsigned before = fake_hsm_keys_count(rig.link);

	assert_answered(create_with(iam_policy(BOB)), SLK_INVALID);
	assert_answered(create_with("{}"), SLK_INVALID);
	assert_int_equal(fake_hsm_keys_count(rig.link), before);
	const Kmsp__Reply *reply = create_with(iam_policy(ROOT "," BOB));
	assert_answered(reply, SLK_OK);
	snprintf(key_arn, sizeof(key_arn), "%s", reply->key->arn);
	assert_int_equal(encrypts(RIG_BOB), SLK_OK);
	rig_restart(&rig);
	assert_int_equal(encrypts(RIG_BOB), SLK_OK);
}

static void
policy_that_cannot_be_read_denies_its_key_to_all(void **state)
{
	(void)state;
	char other[KMS_ARN_MAX];

	rig_new_key(&rig, other);
	put(ROOT "," BOB);
	rig_restart_changed(&rig, "UPDATE key_policies SET document = '{'");
	assert_int_equal(encrypts(RIG_BOB), SLK_DENIED);
	assert_contains(rig_last(&rig)->message, "the policy of the resource cannot be read");
	assert_int_equal(encrypts(RIG_ROOT), SLK_DENIED);
	assert_answered(rig_encrypt(&rig, RIG_ALICE, other, "", slk_span_str("x")), SLK_OK);
}

/* --- streams --- */

/* Who created the stream bound it to the key: ingestd gets keys although the policy names nobody; a Deny wins. */
static void
stream_is_bound_to_its_key_unless_that_is_denied(void **state)
{
	(void)state;
	put(ONLY_ROOT_PUTS ",{'Effect':'Allow','Principal':{'AWS':'" RIG_ROOT_ARN
			   "'},'Action':'kms:DescribeKey','Resource':'*'}");
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn), SLK_OK);
	assert_answered(rig_stream_key(&rig, RIG_INGEST, WEB_ARN), SLK_OK);
	/* For this stream alone. */
	put(ONLY_ROOT_PUTS
		",{'Effect':'Deny','Principal':{'Service':'kinesis.amazonaws.com'},'Action':"
		"'kms:GenerateDataKey','Resource':'*','Condition':{'StringNotEquals':"
		"{'aws:SourceArn':'" WEB_ARN "'}}}");
	assert_answered(rig_stream_key(&rig, RIG_INGEST, WEB_ARN), SLK_OK);
	put(ONLY_ROOT_PUTS
		",{'Effect':'Deny','Principal':{'Service':'kinesis.amazonaws.com'},'Action':"
		"'kms:GenerateDataKey','Resource':'*','Condition':{'StringEquals':"
		"{'kms:EncryptionContext:aws:kinesis:arn':'" WEB_ARN "'}}}");
	const Kmsp__Reply *reply = rig_stream_key(&rig, RIG_INGEST, WEB_ARN);
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->exception, "KMSAccessDeniedException");
	assert_contains(reply->message, "explicit deny in a resource-based policy");
}

static void
policy_of_a_stream_allows_by_itself_and_goes_with_it(void **state)
{
	(void)state;
	const char *policy = iam_policy("{'Effect':'Allow','Principal':{'AWS':'" RIG_BOB_ARN
					"'},'Action':'kinesis:DescribeStream','Resource':'*'}");

	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn), SLK_OK);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "app", 1, key_arn), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_BOB, "web"), SLK_DENIED);
	assert_answered(iam_put_stream_policy(&rig, RIG_ROOT, "web", policy), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_BOB, "web"), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_BOB, "app"), SLK_DENIED);
	rig_restart(&rig);
	assert_answered(rig_describe_stream(&rig, RIG_BOB, "web"), SLK_OK);
	assert_answered(iam_delete_stream_policy(&rig, RIG_ROOT, "web"), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_BOB, "web"), SLK_DENIED);
	assert_answered(iam_delete_stream_policy(&rig, RIG_ROOT, "web"), SLK_NOT_FOUND);
	/* A later stream of the name does not inherit it. */
	assert_answered(iam_put_stream_policy(&rig, RIG_ROOT, "web", policy), SLK_OK);
	Kmsp__StreamName name = KMSP__STREAM_NAME__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	name.stream = TEXT("web");
	request.call_case = KMSP__REQUEST__CALL_DELETE_STREAM;
	request.delete_stream = &name;
	assert_answered(rig_call(&rig, RIG_ROOT, &request), SLK_OK);
	rig_end_deletion(&rig, "web");
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_BOB, "web"), SLK_DENIED);
}

/* Two questions about a put: the stream's and the key's, the latter in the stream's encryption context and by its service. */
static void
put_needs_the_key_in_the_streams_context(void **state)
{
	(void)state;
	iam_user_with(&rig, "bob",
		"{'Effect':'Allow','Action':'kinesis:PutRecord','Resource':'*'},"
		"{'Effect':'Allow','Action':'kms:GenerateDataKey','Resource':'*','Condition':"
		"{'StringEquals':{'kms:EncryptionContext:aws:kinesis:arn':'" WEB_ARN
		"','kms:ViaService':'kinesis.local.amazonaws.com'}}}");
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn), SLK_OK);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "app", 1, key_arn), SLK_OK);
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:PutRecord", WEB_ARN), SLK_OK);
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:PutRecord", "app"), SLK_DENIED);
	assert_string_equal(rig_last(&rig)->exception, "KMSAccessDeniedException");
	assert_contains(rig_last(&rig)->message, RIG_BOB_ARN);
	assert_contains(rig_last(&rig)->message, "kms:GenerateDataKey");
	/* Not by itself: the service is the condition. */
	assert_answered(rig_generate(&rig, RIG_BOB, key_arn, "aws:kinesis:arn=" WEB_ARN, false),
		SLK_DENIED);
}

/* And about a get: who may read the stream and not open what its key sealed gets nothing of it. */
static void
get_needs_the_right_to_decrypt_in_the_streams_context(void **state)
{
	(void)state;
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn), SLK_OK);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "plain", 1, ""), SLK_OK);
	iam_user_with(
		&rig, "bob", "{'Effect':'Allow','Action':'kinesis:GetRecords','Resource':'*'}");
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:GetRecords", "plain"), SLK_OK);
	const Kmsp__Reply *reply =
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:GetRecords", "web");
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->exception, "KMSAccessDeniedException");
	assert_contains(reply->message, "kms:Decrypt");
	assert_answered(
		iam_put_inline(&rig, RIG_ROOT, "user/bob", "p",
			"{'Effect':'Allow','Action':'kinesis:GetRecords','Resource':'*'},"
			"{'Effect':'Allow','Action':'kms:Decrypt','Resource':'*','Condition':"
			"{'StringEquals':{'kms:EncryptionContext:aws:kinesis:arn':'" WEB_ARN
			"'}}}"),
		SLK_OK);
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:GetRecords", "web"), SLK_OK);
}

/* A grant on the key, in the stream's context only, beside a right on the streams. */
static void
grant_is_as_good_as_a_policy_for_a_put(void **state)
{
	(void)state;
	Kmsp__CreateGrant call = KMSP__CREATE_GRANT__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Pair pair = KMSP__PAIR__INIT, *pairs[] = {&pair};
	char *operations[] = {TEXT("GenerateDataKey")};

	iam_user_with(
		&rig, "bob", "{'Effect':'Allow','Action':'kinesis:PutRecord','Resource':'*'}");
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn), SLK_OK);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "app", 1, key_arn), SLK_OK);
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:PutRecord", "web"), SLK_DENIED);
	pair.key = (ProtobufCBinaryData){15, (uint8_t *)TEXT("aws:kinesis:arn")};
	pair.value = (ProtobufCBinaryData){strlen(WEB_ARN), (uint8_t *)TEXT(WEB_ARN)};
	call.key = key_arn;
	call.grantee = TEXT(RIG_BOB_ARN);
	call.operations = operations;
	call.n_operations = 1;
	call.context_equals = pairs;
	call.n_context_equals = 1;
	request.call_case = KMSP__REQUEST__CALL_CREATE_GRANT;
	request.create_grant = &call;
	assert_answered(rig_call(&rig, RIG_ROOT, &request), SLK_OK);
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:PutRecord", "web"), SLK_OK);
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:PutRecord", "app"), SLK_DENIED);
}

/* THREATS, 13: the door has no right of its own from what its callers may, nor its callers from the door's. */
static void
door_is_nobodys_deputy(void **state)
{
	(void)state;
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn), SLK_OK);
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:PutRecord", WEB_ARN), SLK_DENIED);
	assert_contains(rig_audit_last(&rig), RIG_BOB_ARN);
	assert_answered(rig_authorize(&rig, RIG_INGEST, RIG_ALICE, "kinesis:PutRecord", WEB_ARN),
		SLK_DENIED);
	assert_answered(rig_authorize(&rig, RIG_ALICE, RIG_ROOT, "kinesis:PutRecord", WEB_ARN),
		SLK_DENIED); /* alice is no door */
	assert_answered(rig_stream_key(&rig, RIG_ALICE, WEB_ARN), SLK_DENIED);
	assert_answered(rig_generate(&rig, RIG_INGEST, key_arn, "aws:kinesis:arn=" WEB_ARN, false),
		SLK_DENIED);
	assert_answered(iam_create_user(&rig, RIG_INGEST, "x"), SLK_DENIED);
	assert_answered(
		iam_put_key_policy(&rig, RIG_INGEST, key_arn, iam_policy(ROOT), true), SLK_DENIED);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(key_has_the_default_policy_until_it_gets_another),
		CASE(identity_policy_alone_gives_no_right_where_the_account_is_missing),
		CASE(deny_of_the_key_wins_over_what_the_identity_allows),
		CASE(policy_of_one_key_says_nothing_about_another),
		CASE(refusal_by_an_alias_does_not_tell_where_it_leads),
		CASE(nobody_locks_himself_out_unless_he_says_so),
		CASE(malformed_policy_says_where_and_changes_nothing),
		CASE(longest_policy_is_kept_whole),
		CASE(key_may_be_created_with_a_policy),
		CASE(policy_that_cannot_be_read_denies_its_key_to_all),
		CASE(stream_is_bound_to_its_key_unless_that_is_denied),
		CASE(policy_of_a_stream_allows_by_itself_and_goes_with_it),
		CASE(put_needs_the_key_in_the_streams_context),
		CASE(get_needs_the_right_to_decrypt_in_the_streams_context),
		CASE(grant_is_as_good_as_a_policy_for_a_put),
		CASE(door_is_nobodys_deputy),
	};

	return cmocka_run_group_tests_name("kms_service_keypolicy", tests, NULL, NULL);
}
