/* Streams, the keys of their epochs, and what a door may ask. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "format/blob.h"
#include "kms_rig.h"

#define WEB_ARN "arn:aws:kinesis:local:000000000000:stream/web"
#define POLICY \
	"  - {effect: Allow, principals: [user/alice, role/syslog], actions: " \
	"['kinesis:PutRecord', " \
	"'kinesis:GetRecords'], resources: ['stream/*']}\n" \
	"  - {effect: Allow, principals: [user/bob], actions: ['kms:GenerateDataKey', " \
	"'kms:Decrypt', " \
	"'kinesis:DescribeStream', 'kinesis:ListStreams'], resources: ['*']}\n"

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

#define TEXT(text) ((char *)(uintptr_t)(text))

static void
make(const char *name, const char *key)
{
	assert_answered(rig_create_stream(&rig, RIG_ROOT, name, 2, key), SLK_OK);
}

static void
stream_under_a_key_is_described(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = rig_create_stream(&rig, RIG_ROOT, "web", 4, key_arn);

	assert_answered(reply, SLK_OK);
	assert_true(reply->stream->encrypted_kms);
	assert_string_equal(reply->stream->arn, WEB_ARN);
	assert_string_equal(reply->stream->status, "ACTIVE");
	uint64_t id = reply->stream->id;
	reply = rig_describe_stream(&rig, RIG_BOB, WEB_ARN);
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->stream->id, id);
	assert_int_equal(reply->stream->shard_count, 4);
	assert_string_equal(reply->stream->key_arn, key_arn);
	assert_answered(rig_describe_stream(&rig, RIG_BOB, "web"), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_ALICE, "web"), SLK_DENIED);
}

static void
stream_may_name_its_key_by_alias(void **state)
{
	(void)state;
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/k", key_arn), SLK_OK);
	assert_string_equal(
		rig_create_stream(&rig, RIG_ROOT, "web", 1, "alias/k")->stream->key_arn, key_arn);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "app", 1, "alias/none"), SLK_NOT_FOUND);
	assert_answered(rig_describe_stream(&rig, RIG_ROOT, "app"), SLK_NOT_FOUND);
}

static void
stream_without_a_key_is_sealed_under_the_appliances_own(void **state)
{
	(void)state;
	char first[KMS_ARN_MAX];
	const Kmsp__Reply *reply = rig_create_stream(&rig, RIG_ROOT, "plain", 1, "");

	assert_answered(reply, SLK_OK);
	assert_false(reply->stream->encrypted_kms);
	snprintf(first, sizeof(first), "%s", reply->stream->key_arn);
	assert_string_not_equal(first, key_arn);
	assert_string_equal(
		rig_create_stream(&rig, RIG_ROOT, "second", 1, "")->stream->key_arn, first);
	assert_int_equal(fake_hsm_keys_count(rig.link), 2);
	reply = rig_describe_key(&rig, RIG_ROOT, first);
	assert_string_equal(reply->key->manager, "AWS");
	assert_string_equal(reply->key->state, "Enabled");
}

static Kmsp__Request
plain_stream_request(Kmsp__CreateStream *call, const char *name)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;

	kmsp__create_stream__init(call);
	call->name = TEXT(name);
	call->shard_count = 1;
	request.call_case = KMSP__REQUEST__CALL_CREATE_STREAM;
	request.create_stream = call;
	return request;
}

static void
streams_that_wait_for_the_appliances_key_share_one(void **state)
{
	(void)state;
	Kmsp__CreateStream a, b, c;
	Kmsp__Request one = plain_stream_request(&a, "a"), two = plain_stream_request(&b, "b"),
		      three = plain_stream_request(&c, "c");

	rig_begin(&rig, RIG_ROOT, &one);
	rig_begin(&rig, RIG_ROOT, &two);
	rig_begin(&rig, RIG_ROOT, &three);
	unsigned before = rig.answers;
	rig_turn(&rig);
	assert_int_equal(rig.answers, before + 3);
	assert_answered(rig_last(&rig), SLK_OK);
	assert_int_equal(fake_hsm_keys_count(rig.link), 2);
}

static void
appliances_key_that_failed_is_tried_again_by_the_next_stream(void **state)
{
	(void)state;
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "plain", 1, ""), SLK_UNAVAILABLE);
	assert_answered(rig_describe_stream(&rig, RIG_ROOT, "plain"), SLK_NOT_FOUND);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "plain", 1, ""), SLK_OK);
	assert_int_equal(fake_hsm_keys_count(rig.link), 2);
}

static void
appliances_key_survives_a_restart_in_the_middle(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];

	fake_hsm_lose_answer(rig.link, SLK_TIMEOUT);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "plain", 1, ""), SLK_TIMEOUT);
	rig_restart(&rig);
	const Kmsp__Reply *reply = rig_create_stream(&rig, RIG_ROOT, "plain", 1, "");
	assert_answered(reply, SLK_OK);
	snprintf(arn, sizeof(arn), "%s", reply->stream->key_arn);
	assert_int_equal(fake_hsm_keys_count(rig.link), 2);
	assert_answered(rig_stream_key(&rig, RIG_INGEST, "plain"), SLK_OK);
}

static void
appliances_key_is_not_for_direct_use(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];

	snprintf(arn, sizeof(arn), "%s",
		rig_create_stream(&rig, RIG_ROOT, "plain", 1, "")->stream->key_arn);
	const Kmsp__Reply *reply = rig_generate(&rig, RIG_ROOT, arn, "", false);
	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, "belongs to the appliance");
	assert_answered(rig_encrypt(&rig, RIG_ROOT, arn, "", slk_span_str("x")), SLK_DENIED);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/mine", arn), SLK_DENIED);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "other", 1, arn), SLK_DENIED);
}

static void
bad_streams_are_refused(void **state)
{
	(void)state;
	make("web", key_arn);
	const Kmsp__Reply *reply = rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn);
	assert_answered(reply, SLK_EXISTS);
	assert_string_equal(reply->exception, "ResourceInUseException");
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "a/b", 1, key_arn), SLK_INVALID);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "", 1, key_arn), SLK_INVALID);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "x", 0, key_arn), SLK_INVALID);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "x", 10001, key_arn), SLK_INVALID);
	assert_answered(rig_create_stream(&rig, RIG_ALICE, "x", 1, key_arn), SLK_DENIED);
	assert_answered(rig_describe_stream(&rig, RIG_BOB, "x"), SLK_NOT_FOUND);
	assert_answered(rig_describe_stream(&rig, RIG_BOB, "arn:aws:kinesis:other:1:stream/x"),
		SLK_INVALID);
}

static const Kmsp__Reply *
delete_stream(uid_t uid, const char *name)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__StreamName call = KMSP__STREAM_NAME__INIT;

	call.stream = TEXT(name);
	request.call_case = KMSP__REQUEST__CALL_DELETE_STREAM;
	request.delete_stream = &call;
	return rig_call(&rig, uid, &request);
}

static void
deleted_stream_gives_its_name_but_not_its_id(void **state)
{
	(void)state;
	uint64_t id = rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn)->stream->id;

	assert_answered(delete_stream(RIG_ALICE, "web"), SLK_DENIED);
	assert_answered(delete_stream(RIG_ROOT, "web"), SLK_OK);
	rig_end_deletion(&rig, "web");
	assert_answered(delete_stream(RIG_ROOT, "web"), SLK_NOT_FOUND);
	assert_answered(rig_stream_key(&rig, RIG_INGEST, "web"), SLK_NOT_FOUND);
	assert_true(rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn)->stream->id > id);
}

/* Whoever follows the streams asks for this number, which leaves no line in the audit log. */
static void
status_tells_that_streams_changed(void **state)
{
	(void)state;
	uint64_t first = rig_status(&rig, RIG_INGEST)->service->stream_changes;

	assert_int_equal(rig_status(&rig, RIG_INGEST)->service->stream_changes, first);
	make("web", key_arn);
	uint64_t made = rig_status(&rig, RIG_INGEST)->service->stream_changes;
	assert_int_not_equal(made, first);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn), SLK_EXISTS);
	assert_answered(delete_stream(RIG_ALICE, "web"), SLK_DENIED);
	assert_answered(delete_stream(RIG_ROOT, "other"), SLK_NOT_FOUND);
	assert_int_equal(rig_status(&rig, RIG_INGEST)->service->stream_changes, made);
	assert_answered(delete_stream(RIG_ROOT, "web"), SLK_OK);
	assert_int_not_equal(rig_status(&rig, RIG_INGEST)->service->stream_changes, made);
}

static void
streams_are_listed_in_pages(void **state)
{
	(void)state;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__List call = KMSP__LIST__INIT;
	char name[16], next[KMS_STREAM_MAX];

	for (int i = 0; i < 55; i++) {
		snprintf(name, sizeof(name), "s%02d", i);
		make(name, key_arn);
	}
	request.call_case = KMSP__REQUEST__CALL_LIST_STREAMS;
	request.list_streams = &call;
	const Kmsp__Reply *reply = rig_call(&rig, RIG_BOB, &request);
	assert_int_equal(reply->streams->n_streams, 50);
	assert_string_equal(reply->streams->next, "s49");
	snprintf(next, sizeof(next), "%s", reply->streams->next);
	call.marker = next;
	reply = rig_call(&rig, RIG_INGEST, &request);
	assert_int_equal(reply->streams->n_streams, 5);
	assert_string_equal(reply->streams->next, "");
	assert_answered(rig_call(&rig, RIG_ALICE, &request), SLK_DENIED);
}

/* --- keys of epochs --- */

static void
stream_key_is_wrapped_for_its_stream(void **state)
{
	(void)state;
	uint8_t blob[FMT_BLOB_MAX], plain[32];

	make("web", key_arn);
	const Kmsp__Reply *reply = rig_stream_key(&rig, RIG_INGEST, WEB_ARN);
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->cipher->key_arn, key_arn);
	assert_int_equal(reply->cipher->plaintext.len, 32);
	memcpy(plain, reply->cipher->plaintext.data, 32);
	size_t len = reply->cipher->blob.len;
	memcpy(blob, reply->cipher->blob.data, len);
	const char *line = rig_audit_last(&rig);
	assert_contains(
		line, "{\"type\":\"AWSService\",\"arn\":\"kinesis.amazonaws.com\",\"uid\":2000");
	assert_contains(line, "\"invokedBy\":\"kinesis.local.amazonaws.com\"}");
	assert_contains(line, "\"sourceArn\":\"" WEB_ARN "\"");
	assert_contains(line, "\"encryptionContext\":{\"aws:kinesis:arn\":\"" WEB_ARN "\"}");
	/* A reader with kms:Decrypt opens it, with the stream as its context. */
	reply = rig_decrypt(&rig, RIG_BOB, "", "aws:kinesis:arn=" WEB_ARN, slk_span(blob, len));
	assert_answered(reply, SLK_OK);
	assert_memory_equal(reply->cipher->plaintext.data, plain, 32);
	assert_answered(
		rig_decrypt(&rig, RIG_ALICE, "", "aws:kinesis:arn=" WEB_ARN, slk_span(blob, len)),
		SLK_DENIED);
	assert_answered(
		rig_decrypt(&rig, RIG_INGEST, "", "aws:kinesis:arn=" WEB_ARN, slk_span(blob, len)),
		SLK_DENIED);
}

static void
only_the_door_gets_stream_keys(void **state)
{
	(void)state;
	make("web", key_arn);
	assert_answered(rig_stream_key(&rig, RIG_ROOT, WEB_ARN), SLK_DENIED);
	assert_answered(rig_stream_key(&rig, RIG_ALICE, WEB_ARN), SLK_DENIED);
	assert_answered(rig_stream_key(&rig, RIG_STRANGER, WEB_ARN), SLK_DENIED);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY), 0);
}

static void
explicit_deny_stops_the_service_principal(void **state)
{
	(void)state;
	static struct kms_rig closed;

	rig_start(&closed,
		"  - {effect: Deny, principals: [kinesis.amazonaws.com], actions: "
		"['kms:GenerateDataKey'], resources: ['*']}\n");
	rig_new_key(&closed, key_arn);
	assert_answered(rig_create_stream(&closed, RIG_ROOT, "web", 1, key_arn), SLK_OK);
	const Kmsp__Reply *reply = rig_stream_key(&closed, RIG_INGEST, "web");
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->exception, "KMSAccessDeniedException");
	rig_stop(&closed);
}

/* Streams without SSE ask their readers for no right on a key, but for the right to read the
 * stream. */
static void
reader_of_a_plain_stream_needs_the_stream_only(void **state)
{
	(void)state;
	uint8_t blob[FMT_BLOB_MAX];

	make("plain", "");
	make("other", "");
	const Kmsp__Reply *reply = rig_stream_key(&rig, RIG_INGEST, "plain");
	assert_answered(reply, SLK_OK);
	size_t len = reply->cipher->blob.len;
	memcpy(blob, reply->cipher->blob.data, len);
	static const char plain[] =
		"aws:kinesis:arn=arn:aws:kinesis:local:000000000000:stream/plain";
	assert_answered(rig_decrypt(&rig, RIG_ALICE, "", plain, slk_span(blob, len)), SLK_OK);
	reply = rig_decrypt(
		&rig, RIG_BOB, "", plain, slk_span(blob, len)); /* kms:Decrypt on * is not it */
	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, "kinesis:GetRecords");
	static const char *const foreign[] = {"", "k=v",
		"aws:kinesis:arn=arn:aws:kinesis:local:000000000000:stream/plain,k=v",
		"aws:kinesis:arn=plain",
		"aws:kinesis:arn=arn:aws:kinesis:other:000000000000:stream/plain"};
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		assert_answered(rig_decrypt(&rig, RIG_ALICE, "", foreign[i], slk_span(blob, len)),
			SLK_DENIED);
	/* Another stream that one may read is not the context that it was wrapped with. */
	assert_answered(rig_decrypt(&rig, RIG_ALICE, "",
				"aws:kinesis:arn=arn:aws:kinesis:local:000000000000:stream/other",
				slk_span(blob, len)),
		SLK_INVALID_CIPHERTEXT);
}

/* --- what a door asks --- */

static void
put_into_a_plain_stream_needs_one_right(void **state)
{
	(void)state;
	make("plain", "");
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_ALICE, "kinesis:PutRecord", "plain"), SLK_OK);
	const char *line = rig_audit_last(&rig);
	assert_contains(line,
		"\"arn\":\"" RIG_ALICE_ARN "\",\"uid\":1000,\"door\":{\"uid\":2000,\"pid\":77,\"name\":\"ingestd\"}");
	assert_contains(
		line, "\"eventSource\":\"kinesis.amazonaws.com\",\"eventName\":\"PutRecord\"");
	const Kmsp__Reply *reply =
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:PutRecord", "plain");
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->exception, "AccessDeniedException");
	assert_contains(reply->message,
		RIG_BOB_ARN " is not authorized to perform: kinesis:PutRecord on "
			    "resource: arn:aws:kinesis:local:000000000000:stream/plain");
}

static void
put_into_an_encrypted_stream_needs_two_and_the_missing_one_is_named(void **state)
{
	(void)state;
	make("web", key_arn);
	const Kmsp__Reply *reply =
		rig_authorize(&rig, RIG_INGEST, RIG_ALICE, "kinesis:PutRecord", WEB_ARN);
	assert_answered(reply, SLK_DENIED); /* kinesis:PutRecord, but no kms:GenerateDataKey */
	assert_string_equal(reply->exception, "KMSAccessDeniedException");
	assert_contains(reply->message, "kms:GenerateDataKey");
	assert_contains(reply->message, key_arn);
	reply = rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:PutRecord", WEB_ARN);
	assert_answered(reply, SLK_DENIED); /* the other way round */
	assert_string_equal(reply->exception, "AccessDeniedException");
	assert_contains(reply->message, "kinesis:PutRecord");
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_ROOT, "kinesis:PutRecord", WEB_ARN), SLK_OK);
}

/* Threats, row 13. */
static void
door_cannot_lend_itself_rights_of_others(void **state)
{
	(void)state;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Authorize call = KMSP__AUTHORIZE__INIT;

	make("plain", "");
	request.call_case = KMSP__REQUEST__CALL_AUTHORIZE;
	request.authorize = &call;
	call.action = TEXT("kinesis:PutRecord");
	call.resource = TEXT("plain");
	call.caller_case = KMSP__AUTHORIZE__CALLER_PRINCIPAL;
	call.principal = TEXT("arn:aws:iam::000000000000:role/syslog");
	assert_answered(rig_call(&rig, RIG_INGEST, &request), SLK_OK);
	static const char *const foreign[] = {RIG_ROOT_ARN, RIG_ALICE_ARN,
		"arn:aws:iam::000000000000:role/other", "role/syslog", "*", ""};
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		call.principal = TEXT(foreign[i]);
		assert_answered(rig_call(&rig, RIG_INGEST, &request), SLK_DENIED);
	}
	call.caller_case = KMSP__AUTHORIZE__CALLER__NOT_SET;
	assert_answered(rig_call(&rig, RIG_INGEST, &request), SLK_DENIED);
	assert_answered(rig_authorize(&rig, RIG_INGEST, RIG_STRANGER, "kinesis:PutRecord", "plain"),
		SLK_DENIED);
	const char *line = rig_audit_last(&rig);
	assert_contains(line, "\"uid\":9999,\"door\":{\"uid\":2000");
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_ROOT, "kms:Decrypt", key_arn), SLK_INVALID);
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_ROOT, "kinesis:*", "plain"), SLK_INVALID);
	assert_answered(
		rig_authorize(&rig, RIG_ALICE, RIG_ROOT, "kinesis:PutRecord", "plain"), SLK_DENIED);
	assert_answered(
		rig_authorize(&rig, RIG_ROOT, RIG_ALICE, "kinesis:PutRecord", "plain"), SLK_DENIED);
}

static void
missing_stream_is_told_to_those_who_may_put(void **state)
{
	(void)state;
	const Kmsp__Reply *reply =
		rig_authorize(&rig, RIG_INGEST, RIG_ALICE, "kinesis:PutRecord", "none");

	assert_answered(reply, SLK_NOT_FOUND);
	assert_string_equal(reply->exception, "ResourceNotFoundException");
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:PutRecord", "none"), SLK_DENIED);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(stream_under_a_key_is_described),
		CASE(stream_may_name_its_key_by_alias),
		CASE(stream_without_a_key_is_sealed_under_the_appliances_own),
		CASE(streams_that_wait_for_the_appliances_key_share_one),
		CASE(appliances_key_that_failed_is_tried_again_by_the_next_stream),
		CASE(appliances_key_survives_a_restart_in_the_middle),
		CASE(appliances_key_is_not_for_direct_use),
		CASE(bad_streams_are_refused),
		CASE(deleted_stream_gives_its_name_but_not_its_id),
		CASE(status_tells_that_streams_changed),
		CASE(streams_are_listed_in_pages),
		CASE(stream_key_is_wrapped_for_its_stream),
		CASE(only_the_door_gets_stream_keys),
		CASE(explicit_deny_stops_the_service_principal),
		CASE(reader_of_a_plain_stream_needs_the_stream_only),
		CASE(put_into_a_plain_stream_needs_one_right),
		CASE(put_into_an_encrypted_stream_needs_two_and_the_missing_one_is_named),
		CASE(door_cannot_lend_itself_rights_of_others),
		CASE(missing_stream_is_told_to_those_who_may_put),
	};

	return cmocka_run_group_tests_name("kms_service_streams", tests, NULL, NULL);
}
