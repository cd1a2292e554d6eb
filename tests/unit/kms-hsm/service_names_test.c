/* Tags, aliases that are led elsewhere, and kinds of keys that cannot be made: exact exceptions, and nothing changed by
 * a refusal. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "kms_rig.h"

/* Of fixed ids, so that the policy can name them before they are there. */
#define FROM_ID "11111111-1111-4111-8111-111111111111"
#define TO_ID "22222222-2222-4222-8222-222222222222"

#define POLICY \
	"  - {effect: Deny, principals: [root], actions: ['kms:UpdateAlias'], " \
	"resources: ['alias/locked', 'key/" FROM_ID "', 'key/" TO_ID "']}\n" \
	"  - {effect: Deny, principals: [root], actions: ['kms:TagResource', " \
	"'kms:UntagResource'], " \
	"resources: ['key/" FROM_ID "']}\n" \
	"  - {effect: Allow, principals: [user/alice], actions: ['kms:*'], resources: ['*']}\n"

#define TEXT(text) ((char *)(uintptr_t)(text))
#define ASK(CASE, key) rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_##CASE, (key))

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX];

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, POLICY);
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

static void
tick_turns(unsigned turns)
{
	kms_service_tick(rig.service);
	while (turns-- > 0)
		rig_turn(&rig);
}

/* An Enabled key whose id the policy knows. */
static void
make_known(const char *id)
{
	const struct kms_check check = {.kcv = {1}};
	struct kms_key key = {.created_ns = rig.wall_ns};

	assert_ok(fmt_uuid_parse(id, key.id));
	assert_ok(slk_random(key.backing_id, sizeof(key.backing_id)));
	assert_ok(kms_catalog_key_begin(rig.catalog, &key, NULL, NULL, 0));
	assert_ok(kms_catalog_key_enable(rig.catalog, key.id, &check));
}

static void
assert_says(const Kmsp__Reply *reply, const char *exception, const char *message)
{
	assert_string_equal(reply->exception, exception);
	assert_string_equal(reply->message, message);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
}

/* --- tags --- */

static Kmsp__Tag tag_storage[KMS_TAGS_MAX + 1], *tag_list[KMS_TAGS_MAX + 1];
static char tag_texts[KMS_TAGS_MAX + 1][8];

static void
set_tag(size_t at, const char *key, const char *value)
{
	kmsp__tag__init(&tag_storage[at]);
	tag_storage[at].key = TEXT(key);
	tag_storage[at].value = TEXT(value);
	tag_list[at] = &tag_storage[at];
}

/* Tags t00, t01, ... */
static void
number_tags(size_t from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		snprintf(tag_texts[i], sizeof(tag_texts[i]), "t%02zu", from + i);
		set_tag(i, tag_texts[i], "v");
	}
}

static const Kmsp__Reply *
tag(uid_t uid, const char *key, size_t count)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__TagResource call = KMSP__TAG_RESOURCE__INIT;

	call.key = TEXT(key);
	call.tags = tag_list;
	call.n_tags = count;
	request.call_case = KMSP__REQUEST__CALL_TAG_RESOURCE;
	request.tag_resource = &call;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
tag_one(const char *key, const char *value)
{
	set_tag(0, key, value);
	return tag(RIG_ROOT, key_arn, 1);
}

static const Kmsp__Reply *
untag(const char *key, const char *tag_key)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__UntagResource call = KMSP__UNTAG_RESOURCE__INIT;
	char *keys[] = {TEXT(tag_key), TEXT("never there")};

	call.key = TEXT(key);
	call.tag_keys = keys;
	call.n_tag_keys = 2;
	request.call_case = KMSP__REQUEST__CALL_UNTAG_RESOURCE;
	request.untag_resource = &call;
	return rig_call(&rig, RIG_ROOT, &request);
}

static const Kmsp__Reply *
list_tags(const char *marker, uint32_t limit)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__ListOfKey call = KMSP__LIST_OF_KEY__INIT;

	call.key = key_arn;
	call.marker = TEXT(marker);
	call.limit = limit;
	request.call_case = KMSP__REQUEST__CALL_LIST_RESOURCE_TAGS;
	request.list_resource_tags = &call;
	return rig_call(&rig, RIG_ROOT, &request);
}

static size_t
tags_count(void)
{
	const Kmsp__Reply *reply = list_tags("", 0);

	assert_answered(reply, SLK_OK);
	return reply->tags->n_tags;
}

static void
tags_are_set_replaced_and_removed(void **state)
{
	(void)state;
	assert_answered(tag_one("team", "web"), SLK_OK);
	assert_answered(tag_one("Team", ""), SLK_OK); /* another key: case counts */
	assert_answered(tag_one("team", "new"), SLK_OK);
	const Kmsp__Reply *reply = list_tags("", 0);
	assert_int_equal(reply->tags->n_tags, 2);
	assert_string_equal(reply->tags->tags[0]->key, "Team");
	assert_string_equal(reply->tags->tags[1]->value, "new");
	assert_string_equal(reply->tags->next, "");
	assert_answered(untag(key_arn, "team"), SLK_OK);
	assert_answered(untag(key_arn, "team"), SLK_OK); /* what is not there is no error */
	assert_int_equal(tags_count(), 1);
}

static void
tags_that_cannot_be_are_refused_and_change_nothing(void **state)
{
	(void)state;
	char key[140], value[260];

	memset(key, 'k', sizeof(key));
	memset(value, 'v', sizeof(value));
	key[129] = value[257] = '\0';
	assert_says(tag_one("aws:x", ""), "TagException", "Tags beginning with aws: are reserved");
	assert_says(tag_one("AwS:x", ""), "TagException", "Tags beginning with aws: are reserved");
	set_tag(0, "a", "1");
	set_tag(1, "b", "2");
	set_tag(2, "a", "3");
	assert_says(tag(RIG_ROOT, key_arn, 3), "TagException", "Duplicate tag keys");
	assert_string_equal(tag_one("", "v")->exception, "ValidationException");
	assert_string_equal(tag_one(key, "v")->exception, "ValidationException");
	assert_string_equal(tag_one("k", value)->exception, "ValidationException");
	assert_contains(rig_last(&rig)->message, "'tags.1.member.tagValue'");
	assert_string_equal(tag_one("\xff", "v")->exception, "ValidationException");
	assert_string_equal(untag(key_arn, "")->exception, "ValidationException");
	assert_string_equal(untag(key_arn, key)->exception, "ValidationException");
	assert_int_equal(tags_count(), 0);
	key[128] = value[256] = '\0';
	assert_answered(tag_one(key, value), SLK_OK);
}

static void
key_has_50_tags_at_most(void **state)
{
	(void)state;
	number_tags(0, KMS_TAGS_MAX + 1);
	assert_says(tag(RIG_ROOT, key_arn, KMS_TAGS_MAX + 1), "TagException", "Too many tags");
	assert_int_equal(tags_count(), 0);
	assert_answered(tag(RIG_ROOT, key_arn, KMS_TAGS_MAX), SLK_OK);
	number_tags(49, 2); /* one that is there, one that is not */
	assert_says(tag(RIG_ROOT, key_arn, 2), "TagException", "Too many tags");
	assert_answered(tag(RIG_ROOT, key_arn, 1), SLK_OK);
	assert_int_equal(tags_count(), KMS_TAGS_MAX);
	assert_answered(untag(key_arn, "t00"), SLK_OK);
	number_tags(50, 1);
	assert_answered(tag(RIG_ROOT, key_arn, 1), SLK_OK);
}

/* As many as one reply holds: the longest tags take two pages. */
static void
tags_are_listed_in_pages(void **state)
{
	(void)state;
	char key[513], value[1025], marker[513] = "";
	size_t seen = 0, pages = 0;

	/* Characters of three bytes, after a number. */
	for (size_t i = 0; i < 126; i++)
		memcpy(key + 2 + 3 * i, "\xe2\x82\xac", 4);
	for (size_t i = 0; i < 256; i++)
		memcpy(value + 3 * i, "\xe2\x82\xac", 4);
	for (size_t i = 0; i < KMS_TAGS_MAX; i++) {
		key[0] = (char)('0' + i / 10);
		key[1] = (char)('0' + i % 10);
		assert_answered(tag_one(key, value), SLK_OK);
	}
	do {
		const Kmsp__Reply *reply = list_tags(marker, 0);
		assert_answered(reply, SLK_OK);
		assert_true(reply->tags->n_tags > 0);
		seen += reply->tags->n_tags;
		pages++;
		snprintf(marker, sizeof(marker), "%s", reply->tags->next);
	} while (marker[0] != '\0');
	assert_int_equal(seen, KMS_TAGS_MAX);
	assert_int_equal(pages, 2);
	assert_int_equal(list_tags("", 3)->tags->n_tags, 3);
	assert_says(list_tags("\xff", 0), "InvalidMarkerException", "");
}

static void
key_is_created_with_its_tags_or_not_at_all(void **state)
{
	(void)state;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;

	request.call_case = KMSP__REQUEST__CALL_CREATE_KEY;
	request.create_key = &call;
	call.tags = tag_list;
	call.n_tags = 2;
	set_tag(0, "a", "1");
	set_tag(1, "a", "2");
	assert_says(rig_call(&rig, RIG_ROOT, &request), "TagException", "Duplicate tag keys");
	set_tag(1, "aws:b", "2");
	assert_string_equal(rig_call(&rig, RIG_ROOT, &request)->exception, "TagException");
	assert_int_equal(fake_hsm_keys_count(rig.link), 1);
	set_tag(1, "b", "2");
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
	assert_answered(reply, SLK_OK);
	snprintf(key_arn, sizeof(key_arn), "%s", reply->key->arn);
	assert_int_equal(tags_count(), 2);
}

static void
tags_need_their_right_and_no_alias(void **state)
{
	(void)state;
	set_tag(0, "a", "1");
	make_known(FROM_ID);
	assert_string_equal(tag(RIG_ROOT, FROM_ID, 1)->exception, "AccessDeniedException");
	assert_string_equal(untag(FROM_ID, "a")->exception, "AccessDeniedException");
	assert_string_equal(tag(RIG_ALICE, key_arn, 1)->exception, "AccessDeniedException");
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/x", key_arn), SLK_OK);
	assert_says(tag(RIG_ROOT, "alias/x", 1), "NotFoundException", "Invalid keyId 'alias/x'");
	assert_int_equal(tags_count(), 0);
}

/* --- UpdateAlias --- */

static const char *
target(const char *alias)
{
	static char arn[KMS_ARN_MAX];
	const Kmsp__Reply *reply = rig_describe_key(&rig, RIG_ROOT, alias);

	assert_answered(reply, SLK_OK);
	snprintf(arn, sizeof(arn), "%s", reply->key->arn);
	return arn;
}

#define ALIAS_ARN "arn:aws:kms:local:000000000000:alias/"

static void
alias_is_led_to_another_key_of_its_kind(void **state)
{
	(void)state;
	char second[KMS_ARN_MAX], first[KMS_ARN_MAX];

	strcpy(first, key_arn);
	rig_new_key(&rig, second);
	assert_says(rig_update_alias(&rig, RIG_ROOT, "alias/x", second), "NotFoundException",
		"Alias " ALIAS_ARN "x is not found.");
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/x", first), SLK_OK);
	assert_answered(rig_update_alias(&rig, RIG_ROOT, "alias/x", second), SLK_OK);
	assert_string_equal(target("alias/x"), second);
	assert_answered(rig_update_alias(&rig, RIG_ROOT, "alias/x", second), SLK_OK); /* again */
	rig_restart(&rig);
	assert_string_equal(target("alias/x"), second);
	const char *line = rig_audit(&rig);
	assert_contains(line, "\"eventName\":\"UpdateAlias\"");
	assert_contains(line, "\"resources\":[{\"ARN\":\"" ALIAS_ARN "x\"}]");
}

static void
alias_is_not_led_to_another_kind(void **state)
{
	(void)state;
	char signs[KMS_ARN_MAX], encrypts[KMS_ARN_MAX], ecc[KMS_ARN_MAX];

	rig_new_key_of(&rig, KMS_SPEC_RSA_2048, KMS_USAGE_SIGN_VERIFY, signs);
	rig_new_key_of(&rig, KMS_SPEC_RSA_2048, KMS_USAGE_ENCRYPT_DECRYPT, encrypts);
	rig_new_key_of(&rig, KMS_SPEC_ECC_NIST_P256, KMS_USAGE_SIGN_VERIFY, ecc);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/s", key_arn), SLK_OK);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/p", signs), SLK_OK);
	assert_string_equal(rig_update_alias(&rig, RIG_ROOT, "alias/s", encrypts)->exception,
		"ValidationException");
	assert_string_equal(rig_update_alias(&rig, RIG_ROOT, "alias/p", encrypts)->exception,
		"ValidationException");
	assert_string_equal(rig_update_alias(&rig, RIG_ROOT, "alias/p", key_arn)->exception,
		"ValidationException");
	assert_string_equal(target("alias/s"), key_arn);
	assert_string_equal(target("alias/p"), signs);
	/* Both asymmetric, both for signatures: AWS asks for no more. */
	assert_answered(rig_update_alias(&rig, RIG_ROOT, "alias/p", ecc), SLK_OK);
}

static void
bad_names_and_targets_are_refused(void **state)
{
	(void)state;
	static const char none[] =
		"arn:aws:kms:local:000000000000:key/33333333-3333-4333-8333-333333333333";
	static const char *const bad[] = {"x", "alias/", "alias/aws/x", "alias/a b", ""};

	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/x", key_arn), SLK_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_string_equal(rig_update_alias(&rig, RIG_ROOT, bad[i], key_arn)->exception,
			"ValidationException");
		assert_string_equal(
			rig_delete_alias(&rig, RIG_ROOT, bad[i])->exception, "ValidationException");
	}
	assert_says(rig_update_alias(&rig, RIG_ROOT, "alias/x", "alias/x"), "ValidationException",
		"Aliases must refer to keys. Not aliases");
	assert_string_equal(
		rig_update_alias(&rig, RIG_ROOT, "alias/x", none)->exception, "NotFoundException");
	assert_string_equal(
		rig_update_alias(&rig, RIG_ROOT, "alias/x", "")->exception, "NotFoundException");
	assert_string_equal(target("alias/x"), key_arn);
}

/* Three rights: on the alias, on the key that it leads to and on the one that it led to. A refusal does not say where. */
static void
each_of_three_rights_is_needed_to_lead_an_alias_elsewhere(void **state)
{
	(void)state;
	const Kmsp__Reply *reply;

	make_known(FROM_ID);
	make_known(TO_ID);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/locked", key_arn), SLK_OK);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/x", key_arn), SLK_OK);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/from", FROM_ID), SLK_OK);
	reply = rig_update_alias(&rig, RIG_ROOT, "alias/locked", key_arn);
	assert_string_equal(reply->exception, "AccessDeniedException");
	assert_contains(reply->message, "alias/locked");
	reply = rig_update_alias(&rig, RIG_ROOT, "alias/x", TO_ID);
	assert_string_equal(reply->exception, "AccessDeniedException");
	assert_contains(reply->message, TO_ID);
	reply = rig_update_alias(&rig, RIG_ROOT, "alias/from", key_arn);
	assert_string_equal(reply->exception, "AccessDeniedException");
	assert_lacks(reply->message, FROM_ID);
	assert_string_equal(rig_update_alias(&rig, RIG_ALICE, "alias/x", key_arn)->exception,
		"AccessDeniedException");
	assert_string_equal(target("alias/x"), key_arn);
	assert_non_null(strstr(target("alias/from"), FROM_ID));
}

/* --- kinds --- */

static const Kmsp__Reply *
create(const char *spec, const char *usage)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;

	call.spec = TEXT(spec);
	call.usage = TEXT(usage);
	request.call_case = KMSP__REQUEST__CALL_CREATE_KEY;
	request.create_key = &call;
	return rig_call(&rig, RIG_ROOT, &request);
}

static size_t
keys_listed(void)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__List call = KMSP__LIST__INIT;

	request.call_case = KMSP__REQUEST__CALL_LIST_KEYS;
	request.list_keys = &call;
	return rig_call(&rig, RIG_ROOT, &request)->keys->n_keys;
}

static void
kinds_that_nobody_makes_are_unsupported(void **state)
{
	(void)state;
	static const char *const specs[] = {"HMAC_256", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519",
		"SM2", "ML_DSA_65", "rsa_2048", "RSA_1024"};

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		assert_string_equal(create(specs[i], "SIGN_VERIFY")->exception,
			"UnsupportedOperationException");
	assert_string_equal(
		create("", "GENERATE_VERIFY_MAC")->exception, "UnsupportedOperationException");
	assert_string_equal(create("ECC_NIST_P256", "KEY_AGREEMENT")->exception,
		"UnsupportedOperationException");
	assert_string_equal(create("RSA_2048", "")->exception, "ValidationException");
	assert_string_equal(create("", "SIGN_VERIFY")->exception, "ValidationException");
	assert_string_equal(
		create("ECC_NIST_P256", "ENCRYPT_DECRYPT")->exception, "ValidationException");
	assert_int_equal(keys_listed(), 1);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_CREATE_KEY), 1);
}

static void
kind_that_the_token_lacks_is_unsupported_and_not_begun(void **state)
{
	(void)state;
	fake_hsm_set_able(rig.link,
		KMS_BIT(KMS_SPEC_SYMMETRIC_DEFAULT) | KMS_BIT(KMS_SPEC_RSA_2048),
		KMS_BIT(KMS_ALG_SYMMETRIC_DEFAULT) | KMS_BIT(KMS_ALG_RSAES_OAEP_SHA_1));
	tick_turns(2);
	const Kmsp__Reply *reply = create("RSA_4096", "SIGN_VERIFY");
	assert_answered(reply, SLK_UNSUPPORTED);
	assert_string_equal(reply->exception, "UnsupportedOperationException");
	assert_contains(reply->message, "RSA_4096");
	assert_int_equal(keys_listed(), 1);
	reply = create("RSA_2048", "ENCRYPT_DECRYPT");
	assert_answered(reply, SLK_OK);
	/* What it cannot do with such a key is absent from its description. */
	assert_int_equal(reply->key->n_algorithms, 1);
	assert_string_equal(reply->key->algorithms[0], "RSAES_OAEP_SHA_1");
}

/* It was begun while nothing was known of the token, and the token turns out to lack it: no half key stays. */
static void
kind_that_turns_out_to_be_lacking_leaves_no_key(void **state)
{
	(void)state;
	fake_hsm_set_state(rig.link, HSM_LOST);
	tick_turns(2);
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	assert_string_equal(
		create("RSA_4096", "SIGN_VERIFY")->exception, "KeyUnavailableException");
	assert_int_equal(keys_listed(), 2);
	fake_hsm_set_able(
		rig.link, KMS_BIT(KMS_SPEC_SYMMETRIC_DEFAULT), KMS_BIT(KMS_ALG_SYMMETRIC_DEFAULT));
	fake_hsm_set_state(rig.link, HSM_READY);
	tick_turns(4);
	assert_int_equal(keys_listed(), 1);
	assert_int_equal(fake_hsm_keys_count(rig.link), 1);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(tags_are_set_replaced_and_removed),
		CASE(tags_that_cannot_be_are_refused_and_change_nothing),
		CASE(key_has_50_tags_at_most),
		CASE(tags_are_listed_in_pages),
		CASE(key_is_created_with_its_tags_or_not_at_all),
		CASE(tags_need_their_right_and_no_alias),
		CASE(alias_is_led_to_another_key_of_its_kind),
		CASE(alias_is_not_led_to_another_kind),
		CASE(bad_names_and_targets_are_refused),
		CASE(each_of_three_rights_is_needed_to_lead_an_alias_elsewhere),
		CASE(kinds_that_nobody_makes_are_unsupported),
		CASE(kind_that_the_token_lacks_is_unsupported_and_not_begun),
		CASE(kind_that_turns_out_to_be_lacking_leaves_no_key),
	};

	return cmocka_run_group_tests_name("kms_service_names", tests, NULL, NULL);
}
