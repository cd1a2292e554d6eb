/* Users, roles and their policies at the service: what they allow, from the next call on; what is malformed; what is in use. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "iam.h"
#include "iam_rig.h"

#define ALLOW(action) "{'Effect':'Allow','Action':'" action "','Resource':'*'}"
#define DENY(action) "{'Effect':'Deny','Action':'" action "','Resource':'*'}"
#define TRUST "{'Effect':'Allow','Principal':{'AWS':'000000000000'},'Action':'sts:AssumeRole'}"
#define TEXT(text) ((char *)(uintptr_t)(text))

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX];

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
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
user_is_made_described_and_listed(void **state)
{
	(void)state;
	Kmsp__List list = KMSP__LIST__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	const Kmsp__Reply *reply = iam_create_user(&rig, RIG_ROOT, "alice");

	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->identity->arn, RIG_ALICE_ARN);
	assert_int_equal(strlen(reply->identity->id), 21);
	assert_memory_equal(reply->identity->id, "AIDA", 4);
	assert_int_equal(reply->identity->created_ns, rig.wall_ns);
	reply = iam_create_user(&rig, RIG_ROOT, "ALICE");
	assert_answered(reply, SLK_EXISTS);
	assert_string_equal(reply->exception, "EntityAlreadyExistsException");
	assert_answered(iam_tag(&rig, RIG_ROOT, "user/alice", "team", "web"), SLK_OK);
	reply = iam_get(&rig, RIG_ROOT, "user/alice");
	assert_int_equal(reply->identity->n_tags, 1);
	assert_string_equal(reply->identity->tags[0]->value, "web");
	reply = iam_get(&rig, RIG_ROOT, "user/nobody");
	assert_string_equal(reply->exception, "NoSuchEntityException");
	request.call_case = KMSP__REQUEST__CALL_LIST_USERS;
	request.list_users = &list;
	assert_int_equal(rig_call(&rig, RIG_ROOT, &request)->identities->n_identities, 1);
	assert_answered(iam_create_user(&rig, RIG_ROOT, "a/b"), SLK_INVALID);
	assert_answered(iam_create_user(&rig, RIG_ROOT, ""), SLK_INVALID);
	/* Administrators only, and only with the right. */
	assert_answered(iam_create_user(&rig, RIG_ALICE, "x"), SLK_DENIED);
	reply = iam_create_user(&rig, RIG_ADMIN, "x");
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->message,
		"User: " RIG_ADMIN_ARN " is not authorized to perform: iam:CreateUser on resource: "
		"arn:aws:iam::000000000000:user/x because no identity-based policy allows the "
		"iam:CreateUser action");
}

static void
role_has_a_trust_policy(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = iam_create_role(&rig, RIG_ROOT, "reader", TRUST);

	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->identity->arn, "arn:aws:iam::000000000000:role/reader");
	assert_memory_equal(reply->identity->id, "AROA", 4);
	assert_string_equal(reply->identity->trust_policy, iam_policy(TRUST));
	assert_int_equal(reply->identity->max_session_s, 3600);
	/* A trust policy has a Principal and no Resource. */
	reply = iam_create_role(&rig, RIG_ROOT, "other", ALLOW("sts:AssumeRole"));
	assert_string_equal(reply->exception, "MalformedPolicyDocumentException");
	assert_answered(iam_get(&rig, RIG_ROOT, "role/other"), SLK_NOT_FOUND);
}

static void
inline_policy_counts_from_the_next_call_on(void **state)
{
	(void)state;
	assert_int_equal(encrypts(RIG_ALICE), SLK_DENIED);
	iam_user_with(&rig, "alice", ALLOW("kms:Encrypt"));
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
	assert_int_equal(encrypts(RIG_BOB), SLK_DENIED); /* it is about alice */
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_DENIED);
	assert_answered(
		iam_put_inline(&rig, RIG_ROOT, "user/alice", "p", ALLOW("kms:GenerateDataKey")),
		SLK_OK);
	assert_int_equal(encrypts(RIG_ALICE), SLK_DENIED);
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_OK);
	assert_answered(iam_delete_inline(&rig, RIG_ROOT, "user/alice", "p"), SLK_OK);
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_DENIED);
	assert_answered(iam_delete_inline(&rig, RIG_ROOT, "user/alice", "p"), SLK_NOT_FOUND);
}

static void
managed_policy_counts_for_all_that_hold_it(void **state)
{
	(void)state;
	assert_answered(iam_create_user(&rig, RIG_ROOT, "alice"), SLK_OK);
	assert_answered(iam_create_user(&rig, RIG_ROOT, "bob"), SLK_OK);
	assert_answered(iam_create_policy(&rig, RIG_ROOT, "use", ALLOW("kms:Encrypt")), SLK_OK);
	assert_int_equal(encrypts(RIG_ALICE), SLK_DENIED);
	const Kmsp__Request__CallCase attach = KMSP__REQUEST__CALL_ATTACH_POLICY,
				      detach = KMSP__REQUEST__CALL_DETACH_POLICY;
	assert_answered(iam_attachment(&rig, RIG_ROOT, attach, "user/alice", "use"), SLK_OK);
	assert_answered(iam_attachment(&rig, RIG_ROOT, attach, "user/bob",
				"arn:aws:iam::000000000000:policy/use"),
		SLK_OK);
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
	assert_int_equal(encrypts(RIG_BOB), SLK_OK);
	const Kmsp__Reply *reply = iam_update_policy(&rig, RIG_ROOT, "use", ALLOW("kms:Decrypt"));
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->document->attachments_count, 2);
	assert_int_equal(encrypts(RIG_ALICE), SLK_DENIED);
	assert_int_equal(encrypts(RIG_BOB), SLK_DENIED);
	assert_answered(iam_update_policy(&rig, RIG_ROOT, "use", ALLOW("kms:Encrypt")), SLK_OK);
	assert_answered(iam_attachment(&rig, RIG_ROOT, detach, "user/alice", "use"), SLK_OK);
	assert_int_equal(encrypts(RIG_ALICE), SLK_DENIED);
	assert_int_equal(encrypts(RIG_BOB), SLK_OK);
	reply = iam_delete_policy(&rig, RIG_ROOT, "use");
	assert_string_equal(reply->exception, "DeleteConflictException");
	assert_int_equal(encrypts(RIG_BOB), SLK_OK);
	reply = iam_delete(&rig, RIG_ROOT, "user/bob");
	assert_string_equal(reply->exception, "DeleteConflictException");
	assert_answered(iam_attachment(&rig, RIG_ROOT, detach, "user/bob", "use"), SLK_OK);
	assert_answered(iam_delete_policy(&rig, RIG_ROOT, "use"), SLK_OK);
	assert_answered(iam_attachment(&rig, RIG_ROOT, attach, "user/bob", "use"), SLK_NOT_FOUND);
	assert_answered(iam_delete(&rig, RIG_ROOT, "user/bob"), SLK_OK);
	assert_answered(iam_get(&rig, RIG_ROOT, "user/bob"), SLK_NOT_FOUND);
	assert_int_equal(encrypts(RIG_BOB), SLK_DENIED);
}

static void
all_of_it_is_there_after_a_restart(void **state)
{
	(void)state;
	iam_user_with(&rig, "alice", ALLOW("kms:Encrypt"));
	assert_answered(iam_create_policy(&rig, RIG_ROOT, "no", DENY("kms:Encrypt")), SLK_OK);
	assert_answered(iam_create_user(&rig, RIG_ROOT, "bob"), SLK_OK);
	rig_restart(&rig);
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
	assert_answered(iam_attachment(&rig, RIG_ROOT, KMSP__REQUEST__CALL_ATTACH_POLICY,
				"user/alice", "no"),
		SLK_OK);
	rig_restart(&rig);
	assert_int_equal(encrypts(RIG_ALICE), SLK_DENIED);
	assert_contains(
		rig_last(&rig)->message, "with an explicit deny in an identity-based policy");
}

static void
boundary_limits_whatever_allows(void **state)
{
	(void)state;
	iam_user_with(&rig, "alice", ALLOW("kms:*"));
	assert_answered(iam_create_policy(&rig, RIG_ROOT, "limit", ALLOW("kms:Decrypt")), SLK_OK);
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
	assert_answered(iam_attachment(&rig, RIG_ROOT, KMSP__REQUEST__CALL_PUT_BOUNDARY,
				"user/alice", "limit"),
		SLK_OK);
	assert_int_equal(encrypts(RIG_ALICE), SLK_DENIED);
	assert_contains(rig_last(&rig)->message,
		"because no permissions boundary allows the kms:Encrypt action");
	assert_string_equal(iam_get(&rig, RIG_ROOT, "user/alice")->identity->boundary,
		"arn:aws:iam::000000000000:policy/limit");
	assert_answered(iam_update_policy(&rig, RIG_ROOT, "limit", ALLOW("kms:Encrypt")), SLK_OK);
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
	assert_answered(iam_update_policy(&rig, RIG_ROOT, "limit", ALLOW("kms:Decrypt")), SLK_OK);
	assert_answered(iam_delete_boundary(&rig, RIG_ROOT, "user/alice"), SLK_OK);
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
}

/* THREATS, 10: the position and the reason; the old document stays. */
static void
malformed_document_is_refused_and_the_old_one_stays(void **state)
{
	(void)state;
	Kmsp__PutInlinePolicy call = KMSP__PUT_INLINE_POLICY__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Who who = KMSP__WHO__INIT;

	iam_user_with(&rig, "alice", ALLOW("kms:Encrypt"));
	who.who_case = KMSP__WHO__WHO_USER;
	who.user = TEXT("alice");
	call.who = &who;
	call.name = TEXT("p");
	call.policy = TEXT("{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\"Effect\": "
			   "\"allow\"}]\n}");
	request.call_case = KMSP__REQUEST__CALL_PUT_INLINE_POLICY;
	request.put_inline_policy = &call;
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
	assert_string_equal(reply->exception, "MalformedPolicyDocumentException");
	assert_contains(reply->message, "line 3, column ");
	assert_contains(reply->message, "Effect is \"Allow\" or \"Deny\"");
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
	rig_restart(&rig);
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
	static const char *const bad[] = {"", "{", "[]", "{\"Version\":\"2012-10-17\"}",
		"{\"Version\":\"2012-10-17\",\"Statement\":[]}",
		"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}",
		"\xff\xfe"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		call.policy = TEXT(bad[i]);
		reply = rig_call(&rig, RIG_ROOT, &request);
		assert_string_equal(reply->exception, "MalformedPolicyDocumentException");
		assert_contains(reply->message, "line 1, column ");
	}
	assert_answered(iam_create_policy(&rig, RIG_ROOT, "m", "{}"), SLK_INVALID);
	assert_answered(iam_update_policy(&rig, RIG_ROOT, "m", ALLOW("kms:*")), SLK_NOT_FOUND);
}

/* What a later release wrote, or what is damaged, denies; it is never passed over. */
static void
document_that_cannot_be_read_denies_its_holder(void **state)
{
	(void)state;
	iam_user_with(&rig, "alice", ALLOW("kms:*"));
	iam_user_with(&rig, "bob", ALLOW("kms:*"));
	assert_answered(iam_put_inline(&rig, RIG_ROOT, "user/alice", "q", ALLOW("kms:*")), SLK_OK);
	rig_restart_changed(&rig,
		"UPDATE inline_policies SET document = '{\"Version\":\"2031-01-01\"}' WHERE name "
		"= 'q'");
	assert_int_equal(encrypts(RIG_ALICE), SLK_DENIED);
	assert_contains(rig_last(&rig)->message, "a policy of the principal cannot be read");
	assert_int_equal(encrypts(RIG_BOB), SLK_OK);
	assert_answered(iam_delete_inline(&rig, RIG_ROOT, "user/alice", "q"), SLK_OK);
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
}

static void
limits_of_an_identity_hold(void **state)
{
	(void)state;
	char name[16];

	assert_answered(iam_create_user(&rig, RIG_ROOT, "alice"), SLK_OK);
	for (unsigned i = 0; i < KMS_INLINE_MAX; i++) {
		snprintf(name, sizeof(name), "p%02u", i);
		assert_answered(
			iam_put_inline(&rig, RIG_ROOT, "user/alice", name, ALLOW("kms:Sign")),
			SLK_OK);
	}
	const Kmsp__Reply *reply =
		iam_put_inline(&rig, RIG_ROOT, "user/alice", "more", ALLOW("kms:Encrypt"));
	assert_string_equal(reply->exception, "LimitExceededException");
	assert_answered(
		iam_put_inline(&rig, RIG_ROOT, "user/alice", "p00", ALLOW("kms:Encrypt")), SLK_OK);
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
}

/* Before memory runs out that is said, and what is there stays in force. The room is taken by documents of the test's own. */
static void
all_policies_together_have_a_limit(void **state)
{
	(void)state;
	static char text[POL_DOCUMENT_MAX + 1];
	static struct kms_document taken[KMS_DOCUMENTS_BYTES_MAX / POL_DOCUMENT_MAX];
	const char *policy = iam_policy(ALLOW("kms:Encrypt"));
	struct pol_problem problem;
	size_t count = 0;

	iam_user_with(&rig, "alice", ALLOW("kms:Encrypt"));
	memset(text, ' ', sizeof(text) - 1);
	memcpy(text, policy, strlen(policy));
	while (kms_documents_bytes() + POL_DOCUMENT_MAX <= KMS_DOCUMENTS_BYTES_MAX)
		assert_ok(kms_document_parse(text, POL_IDENTITY, &taken[count++], &problem));
	policy = iam_policy("{'Effect':'Allow','Principal':'*','Action':'kms:*','Resource':'*'}");
	memset(text, ' ', sizeof(text) - 1);
	memcpy(text, policy, strlen(policy));
	const Kmsp__Reply *reply = iam_put_key_policy(&rig, RIG_ROOT, key_arn, text, false);
	assert_string_equal(reply->exception, "LimitExceededException");
	assert_contains(reply->message, "all policies together");
	assert_int_equal(encrypts(RIG_ALICE), SLK_OK);
	assert_int_equal(encrypts(RIG_BOB), SLK_DENIED);
	while (count > 0)
		kms_document_free(&taken[--count]);
	assert_answered(iam_put_key_policy(&rig, RIG_ROOT, key_arn, text, false), SLK_OK);
	assert_int_equal(encrypts(RIG_BOB), SLK_OK);
}

/* A user of the configuration and of the catalog has what both give it. */
static void
configuration_and_catalog_add_up(void **state)
{
	(void)state;
	static struct kms_rig both;
	char arn[KMS_ARN_MAX];

	rig_start(&both,
		"  - {effect: Allow, principals: [user/*], actions: ['kms:Encrypt'], resources: "
		"['*']}\n"
		"  - {effect: Deny, principals: [user/bob], actions: ['kms:Decrypt'], resources: "
		"['*']}\n");
	rig_new_key(&both, arn);
	iam_user_with(&both, "alice", ALLOW("kms:GenerateDataKey"));
	iam_user_with(&both, "bob", ALLOW("kms:*"));
	assert_answered(rig_encrypt(&both, RIG_ALICE, arn, "", slk_span_str("x")), SLK_OK);
	assert_answered(rig_generate(&both, RIG_ALICE, arn, "", false), SLK_OK);
	assert_answered(rig_describe_key(&both, RIG_ALICE, arn), SLK_DENIED);
	assert_answered(rig_describe_key(&both, RIG_BOB, arn), SLK_OK);
	uint8_t blob[512];
	const Kmsp__Reply *reply = rig_encrypt(&both, RIG_BOB, arn, "", slk_span_str("x"));
	size_t len = reply->cipher->blob.len;
	memcpy(blob, reply->cipher->blob.data, len);
	assert_answered(rig_decrypt(&both, RIG_BOB, "", "", slk_span(blob, len)), SLK_DENIED);
	rig_stop(&both);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(user_is_made_described_and_listed),
		CASE(role_has_a_trust_policy),
		CASE(inline_policy_counts_from_the_next_call_on),
		CASE(managed_policy_counts_for_all_that_hold_it),
		CASE(all_of_it_is_there_after_a_restart),
		CASE(boundary_limits_whatever_allows),
		CASE(malformed_document_is_refused_and_the_old_one_stays),
		CASE(document_that_cannot_be_read_denies_its_holder),
		CASE(limits_of_an_identity_hold),
		CASE(all_policies_together_have_a_limit),
		CASE(configuration_and_catalog_add_up),
	};

	return cmocka_run_group_tests_name("kms_service_iam", tests, NULL, NULL);
}
