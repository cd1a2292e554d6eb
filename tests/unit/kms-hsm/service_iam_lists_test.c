/* What administrators look up about identities and policies: texts, pages, who holds what, tags taken away, trust changed. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "iam.h"
#include "iam_rig.h"

#define ALLOW "{'Effect':'Allow','Action':'kms:Encrypt','Resource':'*'}"
#define TRUST(account) \
	"{'Effect':'Allow','Principal':{'AWS':'" account "'},'Action':'sts:AssumeRole'}"
#define TEXT(text) ((char *)(uintptr_t)(text))
#define REQUEST(name, CASE, field) \
	Kmsp__Request name = KMSP__REQUEST__INIT; \
	name.id = 1; \
	name.call_case = KMSP__REQUEST__CALL_##CASE; \
	name.field

static struct kms_rig rig;

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static Kmsp__Who *
user(const char *name)
{
	static Kmsp__Who who;

	kmsp__who__init(&who);
	who.who_case = KMSP__WHO__WHO_USER;
	who.user = TEXT(name);
	return &who;
}

static Kmsp__List
list_of(const char *marker, uint32_t limit)
{
	Kmsp__List list = KMSP__LIST__INIT;

	list.marker = TEXT(marker);
	list.limit = limit;
	return list;
}

static void
users_and_roles_come_by_pages(void **state)
{
	(void)state;
	Kmsp__List list = list_of("", 2);
	static const char *const names[] = {"Carol", "alice", "bob", "dave", "eve"};
	char marker[KMS_NAME_MAX] = "";
	size_t seen = 0;

	for (size_t i = 0; i < 5; i++)
		assert_answered(iam_create_user(&rig, RIG_ROOT, names[i]), SLK_OK);
	assert_answered(iam_create_role(&rig, RIG_ROOT, "r", TRUST("000000000000")), SLK_OK);
	static const char *const order[] = {"alice", "bob", "Carol", "dave", "eve"};
	do {
		list.marker = marker;
		REQUEST(request, LIST_USERS, list_users) = &list;
		const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
		assert_answered(reply, SLK_OK);
		for (size_t i = 0; i < reply->identities->n_identities; i++)
			assert_string_equal(reply->identities->identities[i]->name, order[seen++]);
		snprintf(marker, sizeof(marker), "%s", reply->identities->next);
	} while (marker[0] != '\0');
	assert_int_equal(seen, 5);
	list = list_of("", 0);
	REQUEST(roles, LIST_ROLES, list_roles) = &list;
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &roles);
	assert_int_equal(reply->identities->n_identities, 1);
	assert_string_equal(
		reply->identities->identities[0]->arn, "arn:aws:iam::000000000000:role/r");
	list.marker = TEXT("no/name");
	assert_string_equal(rig_call(&rig, RIG_ROOT, &roles)->exception, "InvalidMarkerException");
	assert_answered(rig_call(&rig, RIG_ADMIN, &roles), SLK_DENIED);
}

static void
inline_policies_are_listed_and_read(void **state)
{
	(void)state;
	Kmsp__ListOfWho list = KMSP__LIST_OF_WHO__INIT;
	Kmsp__InlinePolicy name = KMSP__INLINE_POLICY__INIT;

	assert_answered(iam_create_user(&rig, RIG_ROOT, "alice"), SLK_OK);
	assert_answered(iam_put_inline(&rig, RIG_ROOT, "user/alice", "b", ALLOW), SLK_OK);
	assert_answered(iam_put_inline(&rig, RIG_ROOT, "user/alice", "a", ALLOW), SLK_OK);
	list.who = user("alice");
	list.limit = 1;
	REQUEST(request, LIST_INLINE_POLICIES, list_inline_policies) = &list;
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
	assert_int_equal(reply->names->n_names, 1);
	assert_string_equal(reply->names->names[0], "a");
	assert_string_equal(reply->names->next, "a");
	list.marker = TEXT("a");
	reply = rig_call(&rig, RIG_ROOT, &request);
	assert_string_equal(reply->names->names[0], "b");
	assert_string_equal(reply->names->next, "");
	name.who = user("alice");
	name.name = TEXT("a");
	REQUEST(get, GET_INLINE_POLICY, get_inline_policy) = &name;
	assert_string_equal(rig_call(&rig, RIG_ROOT, &get)->document->text, iam_policy(ALLOW));
	name.name = TEXT("c");
	assert_string_equal(rig_call(&rig, RIG_ROOT, &get)->exception, "NoSuchEntityException");
}

static void
managed_policies_tell_who_holds_them(void **state)
{
	(void)state;
	const Kmsp__Request__CallCase attach = KMSP__REQUEST__CALL_ATTACH_POLICY;
	Kmsp__ListOfPolicy holders = KMSP__LIST_OF_POLICY__INIT;
	Kmsp__ListOfWho held = KMSP__LIST_OF_WHO__INIT;
	Kmsp__List list = list_of("", 1);
	Kmsp__PolicyName name = KMSP__POLICY_NAME__INIT;
	char next[64];

	assert_answered(iam_create_policy(&rig, RIG_ROOT, "use", ALLOW), SLK_OK);
	assert_answered(iam_create_policy(&rig, RIG_ROOT, "other", ALLOW), SLK_OK);
	assert_string_equal(iam_create_policy(&rig, RIG_ROOT, "USE", ALLOW)->exception,
		"EntityAlreadyExistsException");
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"alice", "bob", "carol"};
		char who[32];
		snprintf(who, sizeof(who), "user/%s", names[i]);
		assert_answered(iam_create_user(&rig, RIG_ROOT, names[i]), SLK_OK);
		assert_answered(
			iam_attachment(&rig, RIG_ROOT,
				i == 2 ? KMSP__REQUEST__CALL_PUT_BOUNDARY : attach, who, "use"),
			SLK_OK);
	}
	holders.policy = TEXT("use");
	holders.limit = 2;
	REQUEST(request, LIST_POLICY_HOLDERS, list_policy_holders) = &holders;
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
	assert_int_equal(reply->identities->n_identities, 2);
	snprintf(next, sizeof(next), "%s", reply->identities->next);
	holders.marker = next;
	reply = rig_call(&rig, RIG_ROOT, &request);
	assert_int_equal(reply->identities->n_identities, 1);
	assert_string_equal(reply->identities->identities[0]->name, "carol");
	assert_string_equal(reply->identities->next, "");
	holders.marker = TEXT("x");
	assert_string_equal(
		rig_call(&rig, RIG_ROOT, &request)->exception, "InvalidMarkerException");
	held.who = user("alice");
	REQUEST(attached, LIST_ATTACHED_POLICIES, list_attached_policies) = &held;
	reply = rig_call(&rig, RIG_ROOT, &attached);
	assert_int_equal(reply->policies->n_policies, 1);
	assert_string_equal(
		reply->policies->policies[0]->arn, "arn:aws:iam::000000000000:policy/use");
	assert_string_equal(reply->policies->policies[0]->text, "");
	REQUEST(all, LIST_POLICIES, list_policies) = &list;
	reply = rig_call(&rig, RIG_ROOT, &all);
	assert_string_equal(reply->policies->policies[0]->name, "other");
	assert_string_equal(reply->policies->next, "other");
	name.policy = TEXT("arn:aws:iam::000000000000:policy/use");
	REQUEST(get, GET_POLICY, get_policy) = &name;
	reply = rig_call(&rig, RIG_ROOT, &get);
	assert_string_equal(reply->document->text, iam_policy(ALLOW));
	assert_int_equal(reply->document->attachments_count, 3);
	name.policy = TEXT("arn:aws:iam::111111111111:policy/use");
	assert_answered(rig_call(&rig, RIG_ROOT, &get), SLK_INVALID);
}

static void
tags_and_trust_are_changed(void **state)
{
	(void)state;
	Kmsp__UntagIdentity untag = KMSP__UNTAG_IDENTITY__INIT;
	Kmsp__UpdateTrustPolicy update = KMSP__UPDATE_TRUST_POLICY__INIT;
	char *keys[] = {TEXT("team"), TEXT("none")};

	assert_answered(iam_create_user(&rig, RIG_ROOT, "alice"), SLK_OK);
	assert_answered(iam_tag(&rig, RIG_ROOT, "user/alice", "team", "web"), SLK_OK);
	assert_answered(iam_tag(&rig, RIG_ROOT, "user/alice", "cost", "7"), SLK_OK);
	assert_answered(iam_tag(&rig, RIG_ROOT, "user/alice", "aws:x", "7"), SLK_INVALID);
	untag.who = user("alice");
	untag.tag_keys = keys;
	untag.n_tag_keys = 2;
	REQUEST(request, UNTAG_IDENTITY, untag_identity) = &untag;
	assert_answered(rig_call(&rig, RIG_ROOT, &request), SLK_OK);
	const Kmsp__Reply *reply = iam_get(&rig, RIG_ROOT, "user/alice");
	assert_int_equal(reply->identity->n_tags, 1);
	assert_string_equal(reply->identity->tags[0]->key, "cost");
	assert_answered(iam_create_role(&rig, RIG_ROOT, "r", TRUST("000000000000")), SLK_OK);
	update.role = TEXT("r");
	update.policy = TEXT(iam_policy(TRUST("111111111111")));
	REQUEST(trust, UPDATE_TRUST_POLICY, update_trust_policy) = &update;
	assert_answered(rig_call(&rig, RIG_ROOT, &trust), SLK_OK);
	update.policy = TEXT("{}");
	assert_string_equal(
		rig_call(&rig, RIG_ROOT, &trust)->exception, "MalformedPolicyDocumentException");
	assert_string_equal(iam_get(&rig, RIG_ROOT, "role/r")->identity->trust_policy,
		iam_policy(TRUST("111111111111")));
	update.role = TEXT("none");
	update.policy = TEXT(iam_policy(TRUST("111111111111")));
	assert_answered(rig_call(&rig, RIG_ROOT, &trust), SLK_NOT_FOUND);
}

static void
policies_of_keys_and_streams_are_looked_up(void **state)
{
	(void)state;
	Kmsp__ListOfKey list = KMSP__LIST_OF_KEY__INIT;
	Kmsp__StreamName stream = KMSP__STREAM_NAME__INIT;
	Kmsp__KeyPolicy name = KMSP__KEY_POLICY__INIT;
	char arn[KMS_ARN_MAX];
	const char *policy = "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\","
			     "\"Principal\":\"*\",\"Action\":\"kinesis:*\",\"Resource\":\"*\"}}";

	rig_new_key(&rig, arn);
	list.key = arn;
	REQUEST(request, LIST_KEY_POLICIES, list_key_policies) = &list;
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
	assert_int_equal(reply->names->n_names, 1);
	assert_string_equal(reply->names->names[0], "default");
	assert_string_equal(reply->names->next, "");
	assert_answered(rig_call(&rig, RIG_ALICE, &request), SLK_DENIED);
	name.key = arn;
	name.name = TEXT("other");
	REQUEST(key_policy, GET_KEY_POLICY, get_key_policy) = &name;
	reply = rig_call(&rig, RIG_ROOT, &key_policy);
	assert_string_equal(reply->exception, "NotFoundException");
	assert_string_equal(reply->message, "No such policy exists");
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, arn), SLK_OK);
	stream.stream = TEXT("web");
	REQUEST(get, GET_RESOURCE_POLICY, get_resource_policy) = &stream;
	assert_string_equal(rig_call(&rig, RIG_ROOT, &get)->document->text, "");
	assert_answered(iam_put_stream_policy(&rig, RIG_ROOT, "web", policy), SLK_OK);
	assert_string_equal(rig_call(&rig, RIG_ROOT, &get)->document->text, policy);
	assert_answered(rig_call(&rig, RIG_BOB, &get), SLK_OK); /* the policy lets anybody */
	stream.stream = TEXT("none");
	assert_answered(rig_call(&rig, RIG_ROOT, &get), SLK_NOT_FOUND);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(users_and_roles_come_by_pages),
		CASE(inline_policies_are_listed_and_read),
		CASE(managed_policies_tell_who_holds_them),
		CASE(tags_and_trust_are_changed),
		CASE(policies_of_keys_and_streams_are_looked_up),
	};

	return cmocka_run_group_tests_name("kms_service_iam_lists", tests, NULL, NULL);
}
