/* Attest over a fake HSM: who may have what signed, what is signed, and what the audit log says of it. */
#include "slk_test.h"

#include <string.h>

#include "base/clock.h"
#include "catalog_anchors.h"
#include "format/attest.h"
#include "format/proof.h"
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

/* --- anchors: how far journals had come --- */

static const Kmsp__Reply *
attest_statement(const struct fmt_proof_statement *s, bool honest)
{
	uint8_t raw[FMT_PROOF_HEAD_BYTES + FMT_PROOF_STATEMENT_BYTES], sum[32];
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Attest call = KMSP__ATTEST__INIT;
	size_t len = 0;

	assert_ok(fmt_proof_statement_encode(s, raw, sizeof(raw), &len));
	assert_ok(
		seal_sha256(slk_span(raw + FMT_PROOF_HEAD_BYTES, FMT_PROOF_STATEMENT_BYTES), sum));
	sum[0] ^= !honest;
	call.purpose = (char *)(uintptr_t) "journal";
	call.digest = (ProtobufCBinaryData){sizeof(sum), sum};
	call.statement =
		(ProtobufCBinaryData){FMT_PROOF_STATEMENT_BYTES, raw + FMT_PROOF_HEAD_BYTES};
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_ATTEST;
	request.attest = &call;
	return rig_call(&rig, RIG_INGEST, &request);
}

static struct fmt_proof_statement
statement(uint64_t run, uint64_t file_id, uint64_t position, uint32_t flags)
{
	return (struct fmt_proof_statement){.journal_uuid = {1, 2, 3},
		.lane = 2,
		.run = run,
		.file_id = file_id,
		.position = position,
		.pieces = 1,
		.flags = flags,
		.made_ns = 1700000000ull * SLK_NS_PER_S};
}

static void
state(uint64_t run, uint64_t file_id, uint64_t position, uint32_t flags, int status)
{
	const struct fmt_proof_statement s = statement(run, file_id, position, flags);
	const Kmsp__Reply *reply = attest_statement(&s, true);

	assert_answered(reply, status);
	if (status == SLK_OK)
		return;
	assert_string_equal(reply->exception, "KMSInvalidStateException");
	assert_contains(reply->message, "was put back to an older state");
	assert_contains(reply->message, "lane 2 had come to position 9000 of file 12");
	assert_contains(rig_audit_last(&rig), "\"errorCode\":\"KMSInvalidStateException\"");
}

static void
a_journal_that_was_put_back_gets_no_signature(void **unused)
{
	(void)unused;
	state(1, 1, 4096, FMT_PROOF_OPENING, SLK_OK); /* nothing is known yet */
	state(10, 12, 8192, 0, SLK_OK);
	state(10, 12, 9000, 0, SLK_OK);
	/* What is late: an older checkpoint, the end of an older file, files read back. */
	state(10, 12, 8192, 0, SLK_OK);
	state(10, 11, 50000, FMT_PROOF_FINAL, SLK_OK);
	state(3, 4, 50000, FMT_PROOF_FINAL | FMT_PROOF_READ_BACK, SLK_OK);
	/* An opening that knows less, and writing on from there. */
	state(10, 12, 8999, FMT_PROOF_OPENING, SLK_INVALID_STATE);
	state(3, 9, 1 << 20, FMT_PROOF_OPENING, SLK_INVALID_STATE);
	state(9, 9, 8192, 0, SLK_INVALID_STATE);
	state(12, 12, 8192, 0, SLK_INVALID_STATE);
	state(11, 11, 8192, FMT_PROOF_FINAL, SLK_INVALID_STATE);
	/* One that knows as much, and goes on. */
	state(10, 12, 9000, FMT_PROOF_OPENING, SLK_OK);
	state(13, 13, 4096, 0, SLK_OK);
}

static void
anchors_outlive_kmsd_and_are_of_one_lane(void **unused)
{
	(void)unused;
	struct kms_anchor a;
	struct fmt_proof_statement s = statement(10, 12, 9000, 0);

	assert_answered(attest_statement(&s, true), SLK_OK);
	s.lane = 3;
	s.file_id = 5;
	s.run = 5;
	assert_answered(attest_statement(&s, true), SLK_OK); /* another lane */
	s.journal_uuid[0] = 9;
	s.lane = 2;
	assert_answered(attest_statement(&s, true), SLK_OK); /* another journal */
	const uint8_t uuid[16] = {1, 2, 3};
	assert_ok(kms_catalog_anchor_get(rig.catalog, uuid, 2, &a));
	assert_int_equal(a.file_id, 12);
	assert_int_equal(a.position, 9000);
	assert_int_equal(a.run, 10);
	assert_int_equal(kms_catalog_anchor_get(rig.catalog, uuid, 4, &a), SLK_NOT_FOUND);
}

static void
a_statement_must_be_what_the_digest_is_of(void **unused)
{
	(void)unused;
	struct kms_anchor a;
	const struct fmt_proof_statement s = statement(10, 12, 9000, 0);
	const uint8_t uuid[16] = {1, 2, 3};

	const Kmsp__Reply *reply = attest_statement(&s, false);
	assert_answered(reply, SLK_INVALID);
	assert_contains(reply->message, "the digest is of it");
	assert_int_equal(kms_catalog_anchor_get(rig.catalog, uuid, 2, &a), SLK_NOT_FOUND);
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
		CASE(a_journal_that_was_put_back_gets_no_signature),
		CASE(anchors_outlive_kmsd_and_are_of_one_lane),
		CASE(a_statement_must_be_what_the_digest_is_of),
		CASE(nobody_signs_with_it_directly),
	};

	return cmocka_run_group_tests_name("kms_service_attest", tests, NULL, NULL);
}
