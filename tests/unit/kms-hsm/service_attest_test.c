/* Attest over a fake HSM: who may have what signed, what is signed, and what the audit log says of it. */
#include "slk_test.h"

#include <string.h>

#include "format/attest.h"
#include "kms_rig.h"
#include "seal/attest.h"

#define POLICY "  - {effect: Allow, principals: [user/alice], actions: ['*'], resources: ['*']}\n"

static struct kms_rig rig;
static uint8_t digest[32];

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, POLICY);
	assert_ok(seal_sha256(slk_span_str("a side file"), digest));
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
attest_bytes(uid_t uid, const char *purpose, size_t len)
{
	static uint8_t zeros[64];
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Attest call = KMSP__ATTEST__INIT;

	call.purpose = (char *)(uintptr_t)purpose;
	call.digest = (ProtobufCBinaryData){len, len == sizeof(digest) ? digest : zeros};
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_ATTEST;
	request.attest = &call;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
attest(uid_t uid, const char *purpose)
{
	return attest_bytes(uid, purpose, sizeof(digest));
}

static struct slk_span
span_of(ProtobufCBinaryData b)
{
	return slk_span(b.data, b.len);
}

static void
an_administrator_gets_a_signature_that_fits(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = attest(RIG_ROOT, "rewrap");

	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT_SIGNATURE);
	const Kmsp__Signature *s = reply->signature;
	assert_string_equal(s->algorithm, "ECDSA_SHA_256");
	assert_contains(s->key_arn, ":key/");
	assert_ok(seal_attest_verify(
		span_of(s->public_key), "rewrap", digest, span_of(s->signature)));
	assert_int_equal(seal_attest_verify(
				 span_of(s->public_key), "journal", digest, span_of(s->signature)),
		SLK_BAD_TAG);
}

static void
the_key_is_made_once_and_survives_a_restart(void **state)
{
	(void)state;
	uint8_t der[KMS_PUBLIC_KEY_MAX];
	const Kmsp__Reply *reply = attest(RIG_ROOT, "rewrap");
	size_t len = reply->signature->public_key.len;

	assert_in_range(len, 1, sizeof(der));
	memcpy(der, reply->signature->public_key.data, len);
	size_t keys = fake_hsm_keys_count(rig.link);
	rig_restart(&rig);
	reply = attest(RIG_ROOT, "identify");
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->signature->public_key.len, len);
	assert_memory_equal(reply->signature->public_key.data, der, len);
	assert_int_equal(fake_hsm_keys_count(rig.link), keys);
}

static void
ingestd_may_have_the_journal_signed_and_nothing_else(void **state)
{
	(void)state;
	assert_answered(attest(RIG_INGEST, "journal"), SLK_OK);
	assert_contains(rig_audit_last(&rig), "kinesis.amazonaws.com");
	static const char *const others[] = {"rewrap", "identify", "anything"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const Kmsp__Reply *reply = attest(RIG_INGEST, others[i]);
		assert_answered(reply, SLK_DENIED);
		assert_string_equal(reply->exception, "AccessDeniedException");
		assert_contains(reply->message, "administrators");
		assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
	}
}

static void
an_administrator_may_not_sign_in_the_name_of_ingestd(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = attest(RIG_ROOT, "journal");

	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, "ingestd");
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_SIGN), 0);
}

static void
users_and_strangers_may_not_whatever_the_policy_says(void **state)
{
	(void)state;
	assert_answered(attest(RIG_ALICE, "rewrap"), SLK_DENIED);
	assert_answered(attest(RIG_STRANGER, "rewrap"), SLK_DENIED);
	assert_answered(attest(RIG_ALICE, "journal"), SLK_DENIED);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
	assert_contains(rig_audit_last(&rig), "\"eventName\":\"Attest\"");
}

static void
a_deny_of_the_policy_wins(void **state)
{
	(void)state;
	rig_stop(&rig);
	rig_start(&rig,
		"  - {effect: Deny, principals: [root], actions: ['sealock:Attest'], resources: "
		"['*']}\n");
	const Kmsp__Reply *reply = attest(RIG_ROOT, "rewrap");
	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, "sealock:Attest");
	assert_contains(reply->message, RIG_ROOT_ARN);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
}

static void
the_audit_line_has_purpose_and_digest(void **state)
{
	(void)state;
	char hex[65];

	slk_hex(slk_span(digest, sizeof(digest)), hex, sizeof(hex));
	assert_answered(attest(RIG_ROOT, "rewrap"), SLK_OK);
	const char *line = rig_audit_last(&rig);
	assert_contains(line, "\"eventSource\":\"sealock\",\"eventName\":\"Attest\"");
	assert_contains(line, "\"purpose\":\"rewrap\"");
	assert_contains(line, hex);
	assert_contains(line, "\"outcome\":\"allowed\"");
	assert_answered(attest(RIG_ROOT, "journal"), SLK_DENIED);
	line = rig_audit_last(&rig);
	assert_contains(line, "\"outcome\":\"denied\"");
	assert_contains(line, hex);
}

static void
bad_purposes_and_digests_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "REWRAP", "re wrap", "x1", "abcdefghijklmnopqrstuvwxyzabcdefg"};
	static const size_t lengths[] = {0, 31, 33, 64};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_answered(attest(RIG_ROOT, bad[i]), SLK_INVALID);
		assert_string_equal(rig_last(&rig)->exception, "ValidationException");
	}
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		assert_answered(attest_bytes(RIG_ROOT, "rewrap", lengths[i]), SLK_INVALID);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
}

static void
a_token_without_p256_is_told_as_such_and_leaves_no_half_key(void **state)
{
	(void)state;
	uint32_t all = (1u << KMS_SPEC_COUNT) - 1;

	fake_hsm_set_able(rig.link, all & ~KMS_BIT(KMS_SPEC_ECC_NIST_P256), UINT32_MAX);
	kms_service_tick(rig.service);
	rig_turn(&rig);
	const Kmsp__Reply *reply = attest(RIG_ROOT, "rewrap");
	assert_answered(reply, SLK_UNSUPPORTED);
	assert_string_equal(reply->exception, "UnsupportedOperationException");
	assert_contains(reply->message, "ECC_NIST_P256");
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_CREATE_KEY), 0);
	fake_hsm_set_able(rig.link, all, UINT32_MAX); /* another token, and it goes */
	kms_service_tick(rig.service);
	rig_turn(&rig);
	assert_answered(attest(RIG_ROOT, "rewrap"), SLK_OK);
}

static void
a_token_that_is_away_is_told_as_such(void **state)
{
	(void)state;
	assert_answered(attest(RIG_ROOT, "rewrap"), SLK_OK);
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	const Kmsp__Reply *reply = attest(RIG_ROOT, "rewrap");
	assert_answered(reply, SLK_UNAVAILABLE);
	assert_string_equal(reply->exception, "KeyUnavailableException");
	assert_answered(attest(RIG_ROOT, "rewrap"), SLK_OK);
}

/* No row in Creating is left behind that nobody may want any more. */
static void
without_an_hsm_no_key_is_begun(void **state)
{
	(void)state;
	struct kms_key key;

	fake_hsm_set_state(rig.link, HSM_LOST);
	kms_service_tick(rig.service);
	rig_turn(&rig);
	const Kmsp__Reply *reply = attest(RIG_ROOT, "rewrap");
	assert_answered(reply, SLK_UNAVAILABLE);
	assert_string_equal(reply->exception, "KeyUnavailableException");
	assert_contains(reply->message, "no HSM worker is running");
	assert_int_equal(
		kms_catalog_key_appliance(rig.catalog, KMS_USAGE_SIGN_VERIFY, &key), SLK_NOT_FOUND);
}

static void
many_that_come_before_the_key_is_there_all_get_a_signature(void **state)
{
	(void)state;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Attest call = KMSP__ATTEST__INIT;

	call.purpose = (char *)(uintptr_t) "rewrap";
	call.digest = (ProtobufCBinaryData){sizeof(digest), digest};
	request.call_case = KMSP__REQUEST__CALL_ATTEST;
	request.attest = &call;
	for (unsigned i = 1; i <= 3; i++) {
		request.id = i;
		rig_begin(&rig, RIG_ROOT, &request);
	}
	for (int i = 0; i < 10 && rig.answers < 3; i++)
		rig_turn(&rig);
	assert_int_equal(rig.answers, 3);
	assert_answered(rig_last(&rig), SLK_OK);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_CREATE_KEY), 1);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_SIGN), 3);
}

/* The key is not for anything else. */
static void
nobody_signs_with_it_directly(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];
	const Kmsp__Reply *reply = attest(RIG_ROOT, "rewrap");

	assert_answered(reply, SLK_OK);
	strcpy(arn, reply->signature->key_arn);
	const struct rig_sign what = {
		.key = arn, .message = slk_span_str("pay"), .algorithm = "ECDSA_SHA_256"};
	reply = rig_sign(&rig, RIG_ROOT, &what);
	assert_int_not_equal(reply->status, SLK_OK);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(an_administrator_gets_a_signature_that_fits),
		CASE(the_key_is_made_once_and_survives_a_restart),
		CASE(ingestd_may_have_the_journal_signed_and_nothing_else),
		CASE(an_administrator_may_not_sign_in_the_name_of_ingestd),
		CASE(users_and_strangers_may_not_whatever_the_policy_says),
		CASE(a_deny_of_the_policy_wins),
		CASE(the_audit_line_has_purpose_and_digest),
		CASE(bad_purposes_and_digests_are_refused),
		CASE(a_token_without_p256_is_told_as_such_and_leaves_no_half_key),
		CASE(a_token_that_is_away_is_told_as_such),
		CASE(without_an_hsm_no_key_is_begun),
		CASE(many_that_come_before_the_key_is_there_all_get_a_signature),
		CASE(nobody_signs_with_it_directly),
	};

	return cmocka_run_group_tests_name("kms_service_attest", tests, NULL, NULL);
}
