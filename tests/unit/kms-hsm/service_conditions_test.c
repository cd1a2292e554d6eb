/* Every condition key that kmsd gives decides something: with the one value the call is allowed, with the other it is not. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "iam_rig.h"

#define WEB_ARN "arn:aws:kinesis:local:000000000000:stream/web"
#define APP_ARN "arn:aws:kinesis:local:000000000000:stream/app"
#define TEXT(text) ((char *)(uintptr_t)(text))
#define REQUEST(name, CASE, field) \
	Kmsp__Request name = KMSP__REQUEST__INIT; \
	name.id = 1; \
	name.call_case = KMSP__REQUEST__CALL_##CASE; \
	name.field

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX], pair_arn[KMS_ARN_MAX];

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
	rig_new_key(&rig, key_arn);
	rig_new_key_of(&rig, KMS_SPEC_ECC_NIST_P256, KMS_USAGE_SIGN_VERIFY, pair_arn);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/a", key_arn), SLK_OK);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/b", key_arn), SLK_OK);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn), SLK_OK);
	iam_user_with(&rig, "admin", "{'Effect':'Allow','Action':'kms:*','Resource':'*'}");
	assert_answered(iam_tag(&rig, RIG_ROOT, "user/admin", "team", "web"), SLK_OK);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

/* --- what the administrator admin does --- */

static int
encrypt(void)
{
	return rig_encrypt(&rig, RIG_ADMIN, key_arn, "dept=web", slk_span_str("x"))->status;
}

static int
encrypt_by_alias(void)
{
	return rig_encrypt(&rig, RIG_ADMIN, "alias/a", "", slk_span_str("x"))->status;
}

/* The alias beside a ciphertext counts, too. */
static int
decrypt_by_alias(void)
{
	uint8_t blob[512];
	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ROOT, key_arn, "", slk_span_str("x"));
	size_t len = reply->cipher->blob.len;

	memcpy(blob, reply->cipher->blob.data, len);
	return rig_decrypt(&rig, RIG_ADMIN, "alias/a", "", slk_span(blob, len))->status;
}

static int
sign(void)
{
	const struct rig_sign what = {pair_arn, "ECDSA_SHA_256", slk_span_str("m"), false};

	return rig_sign(&rig, RIG_ADMIN, &what)->status;
}

static int
sign_digest(void)
{
	static const uint8_t digest[32];
	const struct rig_sign what = {
		pair_arn, "ECDSA_SHA_256", slk_span(digest, sizeof(digest)), true};

	return rig_sign(&rig, RIG_ADMIN, &what)->status;
}

static int
re_encrypt_to(const char *key)
{
	uint8_t blob[512];
	const struct rig_re how = {.key = key};
	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ROOT, key_arn, "", slk_span_str("x"));
	size_t len = reply->cipher->blob.len;

	assert_true(len <= sizeof(blob));
	memcpy(blob, reply->cipher->blob.data, len);
	return rig_re_encrypt(&rig, RIG_ADMIN, slk_span(blob, len), &how)->status;
}

static int
re_encrypt_in_place(void)
{
	return re_encrypt_to("alias/a");
}

static int
re_encrypt_elsewhere(void)
{
	static char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	return re_encrypt_to(arn);
}

static int
create(void)
{
	return rig_create_key(&rig, RIG_ADMIN, "")->status;
}

static int
create_with_policy(void)
{
	Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;

	call.policy = TEXT(
		iam_policy("{'Effect':'Allow','Principal':'*','Action':'kms:*','Resource':'*'}"));
	call.bypass_lockout_check = true;
	REQUEST(request, CREATE_KEY, create_key) = &call;
	return rig_call(&rig, RIG_ADMIN, &request)->status;
}

static int
rotate_every_90_days(void)
{
	Kmsp__EnableKeyRotation call = KMSP__ENABLE_KEY_ROTATION__INIT;

	call.key = key_arn;
	call.period_days = 90;
	REQUEST(request, ENABLE_KEY_ROTATION, enable_key_rotation) = &call;
	return rig_call(&rig, RIG_ADMIN, &request)->status;
}

static int
schedule_in_7_days(void)
{
	Kmsp__ScheduleKeyDeletion call = KMSP__SCHEDULE_KEY_DELETION__INIT;
	static char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	call.key = arn;
	call.pending_window_days = 7;
	REQUEST(request, SCHEDULE_KEY_DELETION, schedule_key_deletion) = &call;
	return rig_call(&rig, RIG_ADMIN, &request)->status;
}

static int
put_policy_bypassing(void)
{
	return iam_put_key_policy(&rig, RIG_ADMIN, key_arn,
		iam_policy("{'Effect':'Allow','Principal':{'AWS':'000000000000'},'Action':'kms:*',"
			   "'Resource':'*'}"),
		true)
		->status;
}

static int
tag(void)
{
	Kmsp__TagResource call = KMSP__TAG_RESOURCE__INIT;
	Kmsp__Tag one = KMSP__TAG__INIT, *tags[] = {&one};

	one.key = TEXT("cost");
	one.value = TEXT("7");
	call.key = key_arn;
	call.tags = tags;
	call.n_tags = 1;
	REQUEST(request, TAG_RESOURCE, tag_resource) = &call;
	return rig_call(&rig, RIG_ADMIN, &request)->status;
}

static int
untag(void)
{
	Kmsp__UntagResource call = KMSP__UNTAG_RESOURCE__INIT;
	char *keys[] = {TEXT("cost")};

	call.key = key_arn;
	call.tag_keys = keys;
	call.n_tag_keys = 1;
	REQUEST(request, UNTAG_RESOURCE, untag_resource) = &call;
	return rig_call(&rig, RIG_ADMIN, &request)->status;
}

static int
grant(void)
{
	Kmsp__CreateGrant call = KMSP__CREATE_GRANT__INIT;
	Kmsp__Pair pair = KMSP__PAIR__INIT, *pairs[] = {&pair};
	char *operations[] = {TEXT("Decrypt")};

	pair.key = (ProtobufCBinaryData){1, (uint8_t *)TEXT("k")};
	pair.value = (ProtobufCBinaryData){1, (uint8_t *)TEXT("v")};
	call.key = key_arn;
	call.grantee = TEXT(RIG_ALICE_ARN);
	call.retiring = TEXT(RIG_BOB_ARN);
	call.operations = operations;
	call.n_operations = 1;
	call.context_equals = pairs;
	call.n_context_equals = 1;
	REQUEST(request, CREATE_GRANT, create_grant) = &call;
	return rig_call(&rig, RIG_ADMIN, &request)->status;
}

static int
put_by_the_door(void)
{
	return rig_authorize(&rig, RIG_INGEST, RIG_ADMIN, "kinesis:PutRecord", WEB_ARN)->status;
}

static int
put_from_the_network(void)
{
	Kmsp__Authorize call = KMSP__AUTHORIZE__INIT;

	call.caller_case = KMSP__AUTHORIZE__CALLER_UID;
	call.uid = RIG_ADMIN;
	call.action = TEXT("kinesis:PutRecord");
	call.resource = TEXT(WEB_ARN);
	call.source_ip = TEXT("192.0.2.7");
	call.over_tls = true;
	REQUEST(request, AUTHORIZE, authorize) = &call;
	return rig_call(&rig, RIG_INGEST, &request)->status;
}

static const struct {
	const char *operator, * key, *fits, *other;
	int (*act)(void);
} rows[] = {
	{"StringEquals", "kms:EncryptionContext:dept", "web", "Web", encrypt},
	{"StringEquals", "kms:EncryptionContext:DEPT", "web", "Web", encrypt},
	{"ForAllValues:StringEquals", "kms:EncryptionContextKeys", "dept", "team", encrypt},
	{"StringEquals", "kms:ViaService", "kinesis.local.amazonaws.com",
		"firehose.local.amazonaws.com", put_by_the_door},
	{"StringEquals", "kms:CallerAccount", "000000000000", "111111111111", encrypt},
	{"StringEquals", "kms:KeySpec", "SYMMETRIC_DEFAULT", "RSA_2048", encrypt},
	{"StringEquals", "kms:KeySpec", "SYMMETRIC_DEFAULT", "RSA_2048", create},
	{"StringEquals", "kms:KeyUsage", "SIGN_VERIFY", "ENCRYPT_DECRYPT", sign},
	{"StringEquals", "kms:KeyUsage", "ENCRYPT_DECRYPT", "SIGN_VERIFY", create},
	{"StringEquals", "kms:KeyOrigin", "AWS_KMS", "EXTERNAL", encrypt},
	{"StringEquals", "kms:RequestAlias", "alias/a", "alias/b", encrypt_by_alias},
	{"StringEquals", "kms:RequestAlias", "alias/a", "alias/b", decrypt_by_alias},
	{"ForAnyValue:StringEquals", "kms:ResourceAliases", "alias/b", "alias/c", encrypt},
	{"StringEquals", "kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1",
		encrypt},
	{"StringEquals", "kms:SigningAlgorithm", "ECDSA_SHA_256", "ECDSA_SHA_384", sign},
	{"StringEquals", "kms:MessageType", "RAW", "DIGEST", sign},
	{"StringEquals", "kms:MessageType", "DIGEST", "RAW", sign_digest},
	{"Bool", "kms:ReEncryptOnSameKey", "true", "false", re_encrypt_in_place},
	{"Bool", "kms:ReEncryptOnSameKey", "false", "true", re_encrypt_elsewhere},
	{"Bool", "kms:MultiRegion", "false", "true", encrypt},
	{"Bool", "kms:MultiRegion", "false", "true", create},
	{"StringEquals", "kms:RetiringPrincipal", RIG_BOB_ARN, RIG_ALICE_ARN, grant},
	{"NumericLessThanEquals", "kms:RotationPeriodInDays", "90", "89", rotate_every_90_days},
	{"NumericEquals", "kms:ScheduleKeyDeletionPendingWindowInDays", "7", "30",
		schedule_in_7_days},
	{"Bool", "kms:BypassPolicyLockoutSafetyCheck", "true", "false", put_policy_bypassing},
	{"Bool", "kms:BypassPolicyLockoutSafetyCheck", "true", "false", create_with_policy},
	{"ForAllValues:StringEquals", "kms:GrantOperations", "Decrypt", "Encrypt", grant},
	{"StringEquals", "kms:GranteePrincipal", RIG_ALICE_ARN, RIG_BOB_ARN, grant},
	{"StringEquals", "kms:GrantConstraintType", "EncryptionContextEquals",
		"EncryptionContextSubset", grant},
	{"Bool", "kms:GrantIsForAWSResource", "false", "true", grant},
	{"ArnEquals", "aws:PrincipalArn", RIG_ADMIN_ARN, RIG_BOB_ARN, encrypt},
	{"StringEquals", "aws:PrincipalAccount", "000000000000", "111111111111", encrypt},
	{"StringEquals", "aws:PrincipalType", "User", "AssumedRole", encrypt},
	{"Bool", "aws:PrincipalIsAWSService", "false", "true", encrypt},
	{"StringEquals", "aws:PrincipalTag/team", "web", "ops", encrypt},
	{"StringEquals", "aws:username", "admin", "bob", encrypt},
	{"StringLike", "aws:userid", "AIDA*", "AROA*", encrypt},
	{"StringEquals", "aws:ResourceTag/cost", "7", "8", encrypt},
	{"StringEquals", "aws:RequestTag/cost", "7", "8", tag},
	{"ForAllValues:StringEquals", "aws:TagKeys", "cost", "team", tag},
	{"ForAllValues:StringEquals", "aws:TagKeys", "cost", "team", untag},
	{"DateLessThan", "aws:CurrentTime", "2030-01-01T00:00:00Z", "2020-01-01T00:00:00Z",
		encrypt},
	{"NumericGreaterThan", "aws:EpochTime", "1795507199", "1795507200", encrypt},
	{"Bool", "aws:ViaAWSService", "true", "false", put_by_the_door},
	{"Bool", "aws:ViaAWSService", "false", "true", encrypt},
	{"StringEquals", "aws:RequestedRegion", "local", "eu-central-1", encrypt},
	{"ArnEquals", "aws:SourceArn", WEB_ARN, APP_ARN, put_by_the_door},
	{"IpAddress", "aws:SourceIp", "192.0.2.0/24", "198.51.100.0/24", put_from_the_network},
	{"Bool", "aws:SecureTransport", "true", "false", put_from_the_network},
};

static int
try_with(size_t row, const char *value)
{
	char statements[1024];

	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/a", key_arn), SLK_EXISTS);
	snprintf(statements, sizeof(statements),
		"{'Effect':'Allow','Action':'kinesis:*','Resource':'*'},{'Effect':'Allow',"
		"'Action':'kms:*','Resource':'*','Condition':{'%s':{'%s':'%s'}}}",
		rows[row].operator, rows[row].key, value);
	assert_answered(iam_put_inline(&rig, RIG_ROOT, "user/admin", "p", statements), SLK_OK);
	return rows[row].act();
}

static void
set_cost(const char *value)
{
	Kmsp__TagResource call = KMSP__TAG_RESOURCE__INIT;
	Kmsp__Tag one = KMSP__TAG__INIT, *tags[] = {&one};

	one.key = TEXT("cost");
	one.value = TEXT(value);
	call.key = key_arn;
	call.tags = tags;
	call.n_tags = 1;
	REQUEST(request, TAG_RESOURCE, tag_resource) = &call;
	assert_answered(rig_call(&rig, RIG_ROOT, &request), SLK_OK);
}

static void
every_key_decides_something(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		set_cost("7");
		int other = try_with(i, rows[i].other);
		if (other != SLK_DENIED)
			fail_msg("%s: '%s' does not deny (%d): %s", rows[i].key, rows[i].other,
				other, rig_last(&rig)->message);
		int fits = try_with(i, rows[i].fits);
		if (fits != SLK_OK)
			fail_msg("%s: '%s' does not allow (%d): %s", rows[i].key, rows[i].fits,
				fits, rig_last(&rig)->message);
	}
}

/* A condition on what a call does not have: never fits, and its negation does. */
static void
absent_keys_are_absent(void **state)
{
	(void)state;
	static const char *const absent[] = {"kms:ViaService", "aws:SourceArn", "aws:SourceIp",
		"aws:SecureTransport", "kms:RequestAlias", "kms:SigningAlgorithm",
		"kms:RotationPeriodInDays", "aws:RequestTag/cost", "aws:TagKeys",
		"kms:EncryptionContext:team", "aws:PrincipalTag/cost", "aws:ResourceTag/team",
		"kms:GrantOperations", "kms:RetiringPrincipal", "kms:MessageType",
		"kms:ReEncryptOnSameKey", "kms:BypassPolicyLockoutSafetyCheck", "aws:SourceAccount",
		"sts:ExternalId"};
	char statements[512];

	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++)
		for (int is_absent = 0; is_absent < 2; is_absent++) {
			snprintf(statements, sizeof(statements),
				"{'Effect':'Allow','Action':'kms:*','Resource':'*','Condition':"
				"{'Null':{'%s':'%s'}}}",
				absent[i], is_absent ? "true" : "false");
			assert_answered(
				iam_put_inline(&rig, RIG_ROOT, "user/admin", "p", statements),
				SLK_OK);
			if (encrypt() != (is_absent ? SLK_OK : SLK_DENIED))
				fail_msg("%s is not as absent as it should be", absent[i]);
		}
}

/* An encryption context key that is written with escapes is the same key. */
static void
escapes_hide_no_condition(void **state)
{
	(void)state;
	assert_answered(
		iam_put_inline(&rig, RIG_ROOT, "user/admin", "p",
			"{'Effect':'Allow','Action':'kms:*','Resource':'*'},"
			"{'Effect':'Deny','Action':'kms:Encrypt','Resource':'*',"
			"'\\u0043ondition':{'StringEquals':{'kms:\\u0045ncryptionContext:dept'"
			":'web'}}}"),
		SLK_OK);
	assert_int_equal(encrypt(), SLK_DENIED);
	assert_int_equal(encrypt_by_alias(), SLK_OK);
	set_cost("7");
	assert_answered(iam_put_inline(&rig, RIG_ROOT, "user/admin", "p",
				"{'Effect':'Allow','Action':'kms:*','Resource':'*'},"
				"{'Effect':'Deny','Action':'kms:Encrypt','Resource':'*',"
				"'Condition':{'StringEquals':{'aws:\\u0052esourceTag/cost':'7'}}}"),
		SLK_OK);
	assert_int_equal(encrypt(), SLK_DENIED);
	set_cost("8");
	assert_int_equal(encrypt(), SLK_OK);
}

static const Kmsp__Reply *
re_encrypt(struct slk_span blob, const char *from, const char *to)
{
	const struct rig_re how = {.source_context = from, .key = key_arn, .context = to};

	return rig_re_encrypt(&rig, RIG_ADMIN, blob, &how);
}

/* From the source in its context, to the target in its own. */
static void
re_encrypt_asks_about_both_contexts(void **state)
{
	(void)state;
	uint8_t bytes[512];
	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ROOT, key_arn, "k=a", slk_span_str("x"));
	struct slk_span blob = slk_span(bytes, reply->cipher->blob.len);

	memcpy(bytes, reply->cipher->blob.data, blob.len);
	assert_answered(
		iam_put_inline(&rig, RIG_ROOT, "user/admin", "p",
			"{'Effect':'Allow','Action':'kms:ReEncryptFrom','Resource':'*','Condition':"
			"{'StringEquals':{'kms:EncryptionContext:k':'a'}}},"
			"{'Effect':'Allow','Action':'kms:ReEncryptTo','Resource':'*','Condition':"
			"{'StringEquals':{'kms:EncryptionContext:k':'b'}}}"),
		SLK_OK);
	assert_answered(re_encrypt(blob, "k=a", "k=b"), SLK_OK);
	reply = re_encrypt(blob, "k=a", "k=a");
	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, "kms:ReEncryptTo");
	reply = re_encrypt(blob, "k=b", "k=b");
	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, "kms:ReEncryptFrom");
}

static void
key_with_tags_needs_the_right_to_tag(void **state)
{
	(void)state;
	Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;
	Kmsp__Tag one = KMSP__TAG__INIT, *tags[] = {&one};

	one.key = TEXT("cost");
	one.value = TEXT("7");
	call.tags = tags;
	call.n_tags = 1;
	REQUEST(request, CREATE_KEY, create_key) = &call;
	assert_answered(
		iam_put_inline(&rig, RIG_ROOT, "user/admin", "p",
			"{'Effect':'Allow','Action':'kms:CreateKey','Resource':'*'},"
			"{'Effect':'Allow','Action':'kms:TagResource','Resource':'*','Condition':"
			"{'StringEquals':{'aws:RequestTag/cost':'7'}}}"),
		SLK_OK);
	assert_answered(rig_call(&rig, RIG_ADMIN, &request), SLK_OK);
	one.value = TEXT("8");
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ADMIN, &request);
	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, "kms:TagResource");
	assert_int_equal(create(), SLK_OK);
}

/* What is known of a service, by a Deny in the policy of the stream's key. */
static void
service_has_condition_keys_of_its_own(void **state)
{
	(void)state;
	static const char *const pairs[][3] = {
		{"aws:SourceAccount", "000000000000", "111111111111"},
		{"aws:SourceArn", WEB_ARN, APP_ARN},
		{"aws:PrincipalServiceName", "kinesis.amazonaws.com", "firehose.amazonaws.com"},
		{"aws:PrincipalIsAWSService", "true", "false"},
		{"kms:ViaService", "kinesis.local.amazonaws.com", "kms.local.amazonaws.com"},
		{"kms:EncryptionContext:aws:kinesis:arn", WEB_ARN, APP_ARN}};
	char statements[1024];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		for (int k = 1; k < 3; k++) {
			snprintf(statements, sizeof(statements),
				"{'Effect':'Allow','Principal':{'AWS':'000000000000'},'Action':"
				"'kms:*','Resource':'*'},{'Effect':'Deny','Principal':{'Service':"
				"'kinesis.amazonaws.com'},'Action':'kms:*','Resource':'*',"
				"'Condition':{'StringEquals':{'%s':'%s'}}}",
				pairs[i][0], pairs[i][k]);
			assert_answered(iam_put_key_policy(&rig, RIG_ROOT, key_arn,
						iam_policy(statements), false),
				SLK_OK);
			int rc = rig_stream_key(&rig, RIG_INGEST, WEB_ARN)->status;
			if (rc != (k == 1 ? SLK_DENIED : SLK_OK))
				fail_msg("%s, %s: %d", pairs[i][0], pairs[i][k], rc);
		}
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(every_key_decides_something),
		CASE(absent_keys_are_absent),
		CASE(escapes_hide_no_condition),
		CASE(re_encrypt_asks_about_both_contexts),
		CASE(key_with_tags_needs_the_right_to_tag),
		CASE(service_has_condition_keys_of_its_own),
	};

	return cmocka_run_group_tests_name("kms_service_conditions", tests, NULL, NULL);
}
