/* InspectKey and About: what the auditor is told of token, keys and programs, and who may ask. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "kms_rig.h"

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

static const Kmsp__Reply *
inspect(uid_t uid, const char *key, const char *backing)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__InspectKey call = KMSP__INSPECT_KEY__INIT;

	call.key = (char *)(uintptr_t)key;
	call.backing_id = (char *)(uintptr_t)backing;
	request.call_case = KMSP__REQUEST__CALL_INSPECT_KEY;
	request.inspect_key = &call;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
about(uid_t uid, bool self_test)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__About call = KMSP__ABOUT__INIT;

	call.self_test = self_test;
	request.call_case = KMSP__REQUEST__CALL_ABOUT;
	request.about = &call;
	return rig_call(&rig, uid, &request);
}

static bool
has(char **list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

static const char *
fact(const Kmsp__Reply *reply, const char *name)
{
	for (size_t i = 0; i < reply->facts->n_facts; i++)
		if (strcmp(reply->facts->facts[i]->name, name) == 0)
			return reply->facts->facts[i]->value;
	return NULL;
}

static void
key_is_told_as_the_token_has_it(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	const Kmsp__Reply *reply = inspect(RIG_ROOT, arn, "");
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->inspection->key_arn, arn);
	assert_string_equal(reply->inspection->spec, "SYMMETRIC_DEFAULT");
	assert_int_equal(reply->inspection->n_objects, 1);
	assert_true(reply->inspection->current);
	assert_memory_equal(
		reply->inspection->kcv.data, reply->inspection->token_kcv.data, KMS_KCV_BYTES);
	const Kmsp__TokenObject *o = reply->inspection->objects[0];
	assert_string_equal(o->object_class, "CKO_SECRET_KEY");
	assert_true(has(o->true_attributes, o->n_true_attributes, "CKA_SENSITIVE"));
	assert_true(has(o->false_attributes, o->n_false_attributes, "CKA_EXTRACTABLE"));
	assert_false(has(o->true_attributes, o->n_true_attributes, "CKA_EXTRACTABLE"));
	assert_false(has(o->true_attributes, o->n_true_attributes, "CKA_DERIVE")); /* untold */
	assert_false(has(o->false_attributes, o->n_false_attributes, "CKA_DERIVE"));
}

static void
pair_has_two_objects(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];

	rig_new_key_of(&rig, KMS_SPEC_ECC_NIST_P256, KMS_USAGE_SIGN_VERIFY, arn);
	const Kmsp__Reply *reply = inspect(RIG_ROOT, arn, "");
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->inspection->n_objects, 2);
	assert_string_equal(reply->inspection->objects[1]->object_class, "CKO_PUBLIC_KEY");
	assert_int_equal(reply->inspection->token_kcv_cmac.len, 0);
}

static void
material_of_another_key_is_not_found(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX], other[KMS_ARN_MAX], backing[64];

	rig_new_key(&rig, arn);
	snprintf(
		backing, sizeof(backing), "%s", inspect(RIG_ROOT, arn, "")->inspection->backing_id);
	rig_new_key(&rig, other);
	assert_answered(inspect(RIG_ROOT, arn, backing), SLK_OK);
	assert_answered(inspect(RIG_ROOT, other, backing), SLK_NOT_FOUND);
	assert_answered(inspect(RIG_ROOT, arn, "00"), SLK_NOT_FOUND);
	assert_answered(inspect(RIG_ROOT, "alias/x", ""), SLK_NOT_FOUND);
}

static void
only_administrators_ask(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	assert_answered(inspect(RIG_ALICE, arn, ""), SLK_DENIED);
	assert_answered(about(RIG_ALICE, false), SLK_DENIED);
	assert_contains(rig_audit_last(&rig), "\"eventName\":\"About\"");
}

static void
approved_algorithm_and_validated_module_are_told_apart(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = about(RIG_ROOT, true);

	assert_answered(reply, SLK_OK);
	assert_non_null(fact(reply, "kmsd_version"));
	assert_non_null(fact(reply, "kernel"));
	assert_string_equal(fact(reply, "token_label"), "fake");
	assert_string_equal(fact(reply, "self_test_front"), "passed");
	assert_string_equal(fact(reply, "self_test_token"), "passed");
	assert_contains(fact(reply, "approved_algorithms"), "yes");
	assert_lacks(fact(reply, "validated_module"), "yes");
	assert_null(fact(about(RIG_ROOT, false), "self_test_front"));
}

static void
every_answer_says_whether_its_algorithm_is_approved(void **state)
{
	(void)state;
	static const char text[] = "0123456789";
	char aes[KMS_ARN_MAX], rsa[KMS_ARN_MAX];

	rig_new_key(&rig, aes);
	rig_new_key_of(&rig, KMS_SPEC_RSA_2048, KMS_USAGE_ENCRYPT_DECRYPT, rsa);
	const struct slk_span plain = slk_span(text, sizeof(text));
	assert_int_equal(
		rig_generate(&rig, RIG_ROOT, aes, "", false)->indicator, KMSP_INDICATOR_APPROVED);
	assert_int_equal(rig_encrypt(&rig, RIG_ROOT, aes, "", plain)->indicator,
		KMSP_INDICATOR_APPROVED); /* and no validated module */
	assert_int_equal(
		rig_encrypt_with(&rig, RIG_ROOT, rsa, "RSAES_OAEP_SHA_256", plain)->indicator,
		KMSP_INDICATOR_APPROVED);
	const Kmsp__Reply *reply = rig_encrypt_with(&rig, RIG_ROOT, rsa, "RSAES_OAEP_SHA_1", plain);
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->indicator, 0);
	/* Of a key: all that it can do. */
	assert_int_equal(rig_describe_key(&rig, RIG_ROOT, aes)->indicator, KMSP_INDICATOR_APPROVED);
	assert_int_equal(rig_describe_key(&rig, RIG_ROOT, rsa)->indicator, 0); /* OAEP with SHA-1 */
	assert_int_equal(rig_describe_key(&rig, RIG_ROOT, "alias/none")->indicator, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(key_is_told_as_the_token_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(pair_has_two_objects, setup, teardown),
		cmocka_unit_test_setup_teardown(
			material_of_another_key_is_not_found, setup, teardown),
		cmocka_unit_test_setup_teardown(only_administrators_ask, setup, teardown),
		cmocka_unit_test_setup_teardown(
			every_answer_says_whether_its_algorithm_is_approved, setup, teardown),
		cmocka_unit_test_setup_teardown(
			approved_algorithm_and_validated_module_are_told_apart, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
