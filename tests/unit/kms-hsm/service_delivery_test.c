/* Delivery streams in kmsd: their life, descriptions, encryption, lists and tags. Roles: service_delivery_role_test.c. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "delivery_rig.h"
#include "iam_rig.h"

#define OWN "deliverystream/d"

static struct kms_rig rig;

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
	delivery_role(&rig, DELIVERY_TRUST);
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
refused(const Kmsp__Reply *reply, int status, const char *exception, const char *part)
{
	if (reply->status != status)
		fail_msg("%d %s: %s", reply->status, reply->exception, reply->message);
	assert_string_equal(reply->exception, exception);
	assert_contains(reply->message, part);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
}

static const Kmsp__DeliveryStream *
described(const char *name)
{
	const Kmsp__Reply *reply = delivery_describe(&rig, RIG_ROOT, name);

	if (reply->status != SLK_OK)
		fail_msg("%s: %s", reply->exception, reply->message);
	return reply->delivery_stream;
}

static bool
has(const ProtobufCBinaryData *bytes, const char *text)
{
	return memmem(bytes->data, bytes->len, text, strlen(text)) != NULL;
}

static size_t
count_in_file(const char *path, const char *text)
{
	static char bytes[4 << 20];
	size_t count = 0;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return 0;
	ssize_t n = read(fd, bytes, sizeof(bytes));
	close(fd);
	for (char *at = bytes;
		n > 0 && (at = memmem(at, (size_t)(bytes + n - at), text, strlen(text))) != NULL;
		at++)
		count++;
	return count;
}

/* ingestd's part of a change or a deletion. */
static const Kmsp__Reply *
ingestd_performs(const char *stream)
{
	Kmsp__StreamChanged call = KMSP__STREAM_CHANGED__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	const Kmsp__Reply *reply = rig_describe_stream(&rig, RIG_INGEST, stream);

	assert_answered(reply, SLK_OK);
	call.stream = (char *)(uintptr_t)stream;
	call.stream_id = reply->stream->id;
	call.change = reply->stream->change;
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_STREAM_CHANGED;
	request.stream_changed = &call;
	return rig_call(&rig, RIG_INGEST, &request);
}

/* --- making --- */

static void
it_is_creating_until_deliverd_says_more(void **state)
{
	(void)state;
	uint64_t before = delivery_changes(&rig);
	const Kmsp__Reply *reply = delivery_create(&rig, RIG_ROOT, "d", DELIVERY_TO_S3, NULL);

	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->delivery_stream->arn, DELIVERY_ARN("d"));
	assert_int_equal(reply->delivery_stream->spec.len, 0);
	assert_contains(rig_audit_last(&rig),
		"\"firehose.amazonaws.com\",\"eventName\":\"CreateDeliveryStream\"");
	assert_contains(rig_audit_last(&rig), "\"readOnly\":false");
	assert_contains(rig_audit_last(&rig), DELIVERY_ARN("d"));
	assert_int_not_equal(delivery_changes(&rig), before);
	const Kmsp__DeliveryStream *d = described("d");
	assert_string_equal(d->state, "CREATING");
	assert_int_equal(d->version, 1);
	assert_true(d->direct_put);
	assert_string_equal(d->stream_arn, DELIVERY_ARN("d"));
	assert_string_equal(d->encryption_status, "DISABLED");
	assert_string_equal(d->key_type, "");
	assert_int_not_equal(d->created_ns, 0);
	before = delivery_changes(&rig);
	assert_answered(delivery_state(&rig, RIG_DELIVER, "d", 1, "ACTIVE", ""), SLK_OK);
	assert_int_not_equal(delivery_changes(&rig), before);
	assert_string_equal(described("d")->state, "ACTIVE");
	assert_answered(delivery_state(&rig, RIG_DELIVER, "d", 1, "ACTIVE", ""), SLK_OK);
}

static void
a_failed_one_says_why_and_can_be_deleted(void **state)
{
	(void)state;
	assert_answered(delivery_create(&rig, RIG_ROOT, "d", DELIVERY_TO_S3, NULL), SLK_OK);
	assert_answered(
		delivery_state(&rig, RIG_DELIVER, "d", 1, "CREATING_FAILED", "KMS_ACCESS_DENIED"),
		SLK_OK);
	const Kmsp__DeliveryStream *d = described("d");
	assert_string_equal(d->state, "CREATING_FAILED");
	assert_string_equal(d->failure_type, "KMS_ACCESS_DENIED");
	assert_string_equal(d->failure_details, "what happened");
	refused(delivery_state(&rig, RIG_DELIVER, "d", 1, "ACTIVE", ""), SLK_INVALID_STATE,
		"ResourceInUseException", "CREATING_FAILED");
	refused(delivery_update(&rig, RIG_ROOT, "d", 1, "{}"), SLK_INVALID_STATE,
		"ResourceInUseException", "not ACTIVE");
	assert_answered(delivery_delete(&rig, RIG_ROOT, "d", false), SLK_OK);
}

static void
what_is_wrong_is_refused_and_makes_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *name, *json, *key;
		int status;
		const char *exception, *part;
	} rows[] = {
		{"", DELIVERY_TO_S3, NULL, SLK_INVALID, "ValidationException",
			"deliveryStreamName"},
		{"a/b", DELIVERY_TO_S3, NULL, SLK_INVALID, "ValidationException",
			"deliveryStreamName"},
		{"d", "{", NULL, SLK_INVALID, "SerializationException", ""},
		{"d", "{}", NULL, SLK_INVALID, "InvalidArgumentException", ""},
		{"d", DELIVERY_OF_STREAM, NULL, SLK_INVALID, "InvalidArgumentException",
			"does not name a stream"},
		{"d", DELIVERY_TO_S3, "alias/none", SLK_INVALID, "InvalidKMSResourceException",
			"NotFoundException: "},
		{"d",
			"{'ExtendedS3DestinationConfiguration':{'RoleARN':'arn:aws:iam::"
			"000000000000:role/none','BucketARN':'arn:aws:s3:::archive'}}",
			NULL, SLK_INVALID, "InvalidArgumentException", "there is no such role"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const Kmsp__Reply *reply =
			delivery_create(&rig, RIG_ROOT, rows[i].name, rows[i].json, rows[i].key);
		if (strcmp(rows[i].exception, "InvalidKMSResourceException") == 0)
			refused(reply, SLK_NOT_FOUND, rows[i].exception, rows[i].part);
		else
			refused(reply, rows[i].status, rows[i].exception, rows[i].part);
	}
	const Kmsp__Reply *reply = delivery_list(&rig, RIG_ROOT, "", 0, "");
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->delivery_streams->n_streams, 0);
	assert_answered(rig_describe_stream(&rig, RIG_INGEST, OWN), SLK_NOT_FOUND);
}

static void
a_name_is_taken_once(void **state)
{
	(void)state;
	assert_answered(delivery_create(&rig, RIG_ROOT, "d", DELIVERY_TO_S3, NULL), SLK_OK);
	refused(delivery_create(&rig, RIG_ROOT, "d", DELIVERY_TO_S3, NULL), SLK_EXISTS,
		"ResourceInUseException", "already exists");
	/* A stream of Kinesis with the same name is another thing. */
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "d", 1, ""), SLK_OK);
	assert_answered(rig_delete_stream(&rig, RIG_ROOT, "d"), SLK_OK);
	assert_string_equal(described("d")->state, "CREATING");
}

/* Both found the name free; the catalog has the last word. */
static void
of_two_at_once_one_is_made(void **state)
{
	(void)state;
	Kmsp__CreateDeliveryStream call = KMSP__CREATE_DELIVERY_STREAM__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	static char json[] = DELIVERY_TO_S3;

	for (char *c = json; *c != '\0'; c++)
		*c = (char)(*c == '\'' ? '"' : *c);
	call.name = (char *)(uintptr_t) "d";
	call.json = (ProtobufCBinaryData){sizeof(json) - 1, (uint8_t *)json};
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_CREATE_DELIVERY_STREAM;
	request.create_delivery_stream = &call;
	unsigned before = rig.answers;
	rig_begin(&rig, RIG_ROOT, &request);
	rig_begin(&rig, RIG_ROOT, &request);
	for (int i = 0; i < 8 && rig.answers < before + 2; i++)
		rig_turn(&rig);
	assert_int_equal(rig.answers, before + 2);
	refused(rig_last(&rig), SLK_EXISTS, "ResourceInUseException", "already exists");
	assert_string_equal(described("d")->state, "CREATING");
}

static void
without_the_right_nothing_is_told(void **state)
{
	(void)state;
	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	refused(delivery_describe(&rig, RIG_ALICE, "d"), SLK_DENIED, "AccessDeniedException",
		"firehose:DescribeDeliveryStream on resource: " DELIVERY_ARN("d"));
	refused(delivery_describe(&rig, RIG_ALICE, "e"), SLK_DENIED, "AccessDeniedException",
		"firehose:DescribeDeliveryStream on resource: " DELIVERY_ARN("e"));
	refused(delivery_list(&rig, RIG_ALICE, "", 0, ""), SLK_DENIED, "AccessDeniedException",
		"firehose:ListDeliveryStreams");
	refused(delivery_describe(&rig, RIG_ROOT, "e"), SLK_NOT_FOUND, "ResourceNotFoundException",
		"Firehose e under account 000000000000 not found.");
	refused(delivery_describe(
			&rig, RIG_ROOT, "arn:aws:firehose:elsewhere:000000000000:deliverystream/d"),
		SLK_INVALID, "InvalidArgumentException", "neither");
	assert_answered(delivery_describe(&rig, RIG_ROOT, DELIVERY_ARN("d")), SLK_OK);
}

/* --- descriptions and their secrets --- */

static void
secrets_are_for_deliverd_alone(void **state)
{
	(void)state;
	delivery_active(&rig, "d", DELIVERY_TO_POSTGRES, NULL);
	const Kmsp__DeliveryStream *d = described("d");
	assert_true(has(&d->spec, "\"Username\":\"loader\""));
	assert_true(has(&d->spec, "********"));
	assert_false(has(&d->spec, DELIVERY_PASSWORD));
	const Kmsp__Reply *reply = delivery_work(&rig, RIG_DELIVER, "d");
	assert_answered(reply, SLK_OK);
	assert_true(has(&reply->delivery_stream->spec, DELIVERY_PASSWORD));
	assert_contains(rig_audit_last(&rig), "\"DeliveryWork\"");
	assert_contains(rig_audit_last(&rig), "\"readOnly\":true");
	refused(delivery_work(&rig, RIG_ROOT, "d"), SLK_DENIED, "AccessDeniedException",
		"deliverd only");
	assert_lacks(rig_audit(&rig), DELIVERY_PASSWORD);
}

static void
no_secret_lies_in_the_catalog(void **state)
{
	(void)state;
	char path[320];

	delivery_active(&rig, "d", DELIVERY_TO_POSTGRES, NULL);
	assert_answered(delivery_update(&rig, RIG_ROOT, "d", 1,
				"{'RedshiftDestinationUpdate':{'Username':'other'}}"),
		SLK_OK);
	static const char *const ends[] = {"", "-wal"};
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s%s", rig.catalog_path, ends[i]);
		assert_int_equal(count_in_file(path, DELIVERY_PASSWORD), 0);
		assert_int_equal(count_in_file(path, "db.example.net"), 0);
	}
	assert_int_equal(count_in_file(rig.audit_path, DELIVERY_PASSWORD), 0);
}

static void
descriptions_outlast_a_restart(void **state)
{
	(void)state;
	delivery_active(&rig, "d", DELIVERY_TO_POSTGRES, NULL);
	rig_restart(&rig);
	const Kmsp__Reply *reply = delivery_work(&rig, RIG_DELIVER, "d");
	assert_answered(reply, SLK_OK);
	assert_true(has(&reply->delivery_stream->spec, DELIVERY_PASSWORD));
	assert_string_equal(reply->delivery_stream->state, "ACTIVE");
}

/* A row's text belongs to its name, version and id. */
static void
a_description_of_another_row_does_not_open(void **state)
{
	(void)state;
	static const char *const changes[] = {
		"UPDATE deliveries SET sealed = (SELECT sealed FROM deliveries WHERE name = 'e'),"
		" sealed_key = (SELECT sealed_key FROM deliveries WHERE name = 'e'),"
		" seal_id = (SELECT seal_id FROM deliveries WHERE name = 'e') WHERE name = 'd'",
		"UPDATE deliveries SET seal_id = zeroblob(16) WHERE name = 'e'",
		"UPDATE deliveries SET version = 2 WHERE name = 'f'"};
	static const char *const names[] = {"d", "e", "f"};

	for (size_t i = 0; i < 3; i++)
		assert_answered(
			delivery_create(&rig, RIG_ROOT, names[i], DELIVERY_TO_S3, NULL), SLK_OK);
	for (size_t i = 0; i < 3; i++) {
		rig_restart_changed(&rig, changes[i]);
		const Kmsp__Reply *reply = delivery_work(&rig, RIG_DELIVER, names[i]);
		assert_int_not_equal(reply->status, SLK_OK);
		assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
	}
}

static void
without_the_hsm_nothing_is_made_and_lists_go_on(void **state)
{
	(void)state;
	delivery_active(&rig, "d", DELIVERY_TO_POSTGRES, NULL);
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 100);
	refused(delivery_create(&rig, RIG_ROOT, "e", DELIVERY_TO_S3, NULL), SLK_UNAVAILABLE,
		"KeyUnavailableException", "HSM");
	refused(delivery_describe(&rig, RIG_ROOT, "d"), SLK_UNAVAILABLE, "KeyUnavailableException",
		"HSM");
	refused(delivery_update(&rig, RIG_ROOT, "d", 1, "{}"), SLK_UNAVAILABLE,
		"KeyUnavailableException", "HSM");
	const Kmsp__Reply *reply = delivery_list(&rig, RIG_ROOT, "", 0, "");
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->delivery_streams->n_streams, 1);
	assert_answered(delivery_delete(&rig, RIG_ROOT, "d", false), SLK_OK);
	fake_hsm_fail(rig.link, SLK_OK, 0);
	assert_string_equal(described("d")->state, "DELETING");
	assert_answered(rig_describe_stream(&rig, RIG_INGEST, "deliverystream/e"), SLK_NOT_FOUND);
}

/* --- UpdateDestination --- */

static void
an_update_merges_and_is_the_next_version(void **state)
{
	(void)state;
	delivery_active(&rig, "d", DELIVERY_TO_POSTGRES, NULL);
	uint64_t before = delivery_changes(&rig);
	assert_answered(delivery_update(&rig, RIG_ROOT, "d", 1,
				"{'RedshiftDestinationUpdate':{'Username':'other'}}"),
		SLK_OK);
	assert_int_not_equal(delivery_changes(&rig), before);
	const Kmsp__Reply *reply = delivery_work(&rig, RIG_DELIVER, "d");
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->delivery_stream->version, 2);
	assert_string_equal(reply->delivery_stream->state, "ACTIVE");
	assert_true(has(&reply->delivery_stream->spec, "\"other\""));
	assert_true(has(&reply->delivery_stream->spec, DELIVERY_PASSWORD));
	refused(delivery_update(&rig, RIG_ROOT, "d", 1, "{}"), SLK_INVALID_STATE,
		"ConcurrentModificationException",
		"Cannot update firehose: d since the current version id: 2 and specified version "
		"id: 1 do not match");
	refused(delivery_state(&rig, RIG_DELIVER, "d", 1, "ACTIVE", ""), SLK_INVALID_STATE,
		"ResourceInUseException", "version 2");
}

static void
a_wrong_update_changes_nothing(void **state)
{
	(void)state;
	static const char *const wrong[] = {"[]", "{'RedshiftDestinationUpdate':{'Username':7}}",
		"{'RedshiftDestinationUpdate':{'RoleARN':'arn:aws:iam::000000000000:role/none'}}"};

	delivery_active(&rig, "d", DELIVERY_TO_POSTGRES, NULL);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_answered(delivery_update(&rig, RIG_ROOT, "d", 1, wrong[i]), SLK_INVALID);
	assert_int_equal(described("d")->version, 1);
}

static void
of_two_updates_at_once_one_wins(void **state)
{
	(void)state;
	Kmsp__UpdateDestination call = KMSP__UPDATE_DESTINATION__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	static char json[] = "{\"RedshiftDestinationUpdate\":{\"Username\":\"o\"}}";

	delivery_active(&rig, "d", DELIVERY_TO_POSTGRES, NULL);
	call.name = (char *)(uintptr_t) "d";
	call.version = 1;
	call.json = (ProtobufCBinaryData){sizeof(json) - 1, (uint8_t *)json};
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_UPDATE_DESTINATION;
	request.update_destination = &call;
	unsigned before = rig.answers;
	rig_begin(&rig, RIG_ROOT, &request);
	rig_begin(&rig, RIG_ROOT, &request);
	for (int i = 0; i < 12 && rig.answers < before + 2; i++)
		rig_turn(&rig);
	assert_int_equal(rig.answers, before + 2);
	refused(rig_last(&rig), SLK_INVALID_STATE, "ConcurrentModificationException",
		"version id: 2");
	assert_int_equal(described("d")->version, 2);
}

/* --- the stream of direct puts --- */

static void
kinesis_does_not_show_it(void **state)
{
	(void)state;
	Kmsp__List list = KMSP__LIST__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, ""), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_ROOT, OWN), SLK_INVALID);
	assert_answered(rig_describe_stream(&rig, RIG_ROOT, DELIVERY_ARN("d")), SLK_INVALID);
	assert_answered(rig_delete_stream(&rig, RIG_ROOT, DELIVERY_ARN("d")), SLK_INVALID);
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_LIST_STREAMS;
	request.list_streams = &list;
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
	assert_int_equal(reply->streams->n_streams, 1);
	assert_string_equal(reply->streams->streams[0]->name, "web");
	list.hidden = true;
	reply = rig_call(&rig, RIG_ROOT, &request); /* is for ingestd */
	assert_int_equal(reply->streams->n_streams, 1);
	reply = rig_call(&rig, RIG_INGEST, &request);
	assert_int_equal(reply->streams->n_streams, 2);
	assert_string_equal(reply->streams->streams[0]->name, OWN);
	assert_string_equal(reply->streams->streams[0]->arn, DELIVERY_ARN("d"));
}

static void
ingestd_seals_it_in_its_own_context(void **state)
{
	(void)state;
	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	const Kmsp__Reply *reply = rig_stream_key(&rig, RIG_INGEST, DELIVERY_ARN("d"));
	assert_answered(reply, SLK_OK);
	assert_contains(rig_audit_last(&rig), "aws:firehose:arn");
	assert_contains(rig_audit_last(&rig), "firehose.local.amazonaws.com");
	reply = rig_describe_stream(&rig, RIG_INGEST, DELIVERY_ARN("d"));
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->stream->name, OWN);
	assert_int_equal(reply->stream->shard_count, 1);
	assert_int_equal(reply->stream->retention_hours, 24);
}

static void
deliverd_sees_what_it_reads(void **state)
{
	(void)state;
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, ""), SLK_OK);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "other", 1, ""), SLK_OK);
	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	delivery_active(&rig, "e", DELIVERY_OF_STREAM, NULL);
	assert_answered(rig_describe_stream(&rig, RIG_DELIVER, DELIVERY_ARN("d")), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_DELIVER, "web"), SLK_OK);
	refused(rig_describe_stream(&rig, RIG_DELIVER, "other"), SLK_DENIED,
		"AccessDeniedException", "no delivery stream reads it");
	assert_false(described("e")->direct_put);
	assert_string_equal(
		described("e")->stream_arn, "arn:aws:kinesis:local:000000000000:stream/web");
}

/* --- encryption --- */

static void
a_key_is_in_use_once_ingestd_says_so(void **state)
{
	(void)state;
	char key[KMS_ARN_MAX];

	rig_new_key(&rig, key);
	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	assert_answered(delivery_start(&rig, RIG_ROOT, "d", key), SLK_OK);
	assert_string_equal(described("d")->encryption_status, "ENABLING");
	refused(delivery_stop(&rig, RIG_ROOT, "d"), SLK_INVALID_STATE, "ResourceInUseException",
		"is being changed");
	assert_answered(ingestd_performs(OWN), SLK_OK);
	const Kmsp__DeliveryStream *d = described("d");
	assert_string_equal(d->encryption_status, "ENABLED");
	assert_string_equal(d->key_type, "CUSTOMER_MANAGED_CMK");
	assert_string_equal(d->key_arn, key);
	assert_answered(delivery_stop(&rig, RIG_ROOT, "d"), SLK_OK);
	assert_string_equal(described("d")->encryption_status, "DISABLING");
	assert_answered(ingestd_performs(OWN), SLK_OK);
	assert_string_equal(described("d")->encryption_status, "DISABLED");
	assert_string_equal(described("d")->key_arn, "");
	assert_answered(delivery_stop(&rig, RIG_ROOT, "d"), SLK_OK); /* it is already */
}

/* Disabled between the request and the next epoch: the failure is named, mended by itself, or replaced. */
static void
a_key_that_cannot_be_put_in_use_is_named(void **state)
{
	(void)state;
	char key[KMS_ARN_MAX], other[KMS_ARN_MAX];

	rig_new_key(&rig, key);
	rig_new_key(&rig, other);
	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	assert_answered(delivery_start(&rig, RIG_ROOT, "d", key), SLK_OK);
	assert_string_equal(described("d")->failure_type, "");
	assert_answered(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_DISABLE_KEY, key), SLK_OK);
	const Kmsp__DeliveryStream *d = described("d");
	assert_string_equal(d->encryption_status, "ENABLING_FAILED");
	assert_string_equal(d->failure_type, "DISABLED_KMS_KEY");
	assert_contains(d->failure_details, "disabled");
	assert_string_equal(d->state, "ACTIVE");
	assert_answered(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_ENABLE_KEY, key), SLK_OK);
	d = described("d");
	assert_string_equal(d->encryption_status, "ENABLING");
	assert_string_equal(d->failure_type, "");
	assert_answered(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_DISABLE_KEY, key), SLK_OK);
	assert_answered(delivery_start(&rig, RIG_ROOT, "d", other), SLK_OK);
	assert_string_equal(described("d")->encryption_status, "ENABLING");
	assert_answered(ingestd_performs(OWN), SLK_OK);
	d = described("d");
	assert_string_equal(d->encryption_status, "ENABLED");
	assert_string_equal(d->key_arn, other);
	assert_string_equal(d->failure_type, "");
}

static void
the_owned_key_is_the_appliance_s(void **state)
{
	(void)state;
	delivery_active(&rig, "d", DELIVERY_TO_S3, "");
	assert_string_equal(described("d")->key_type, "AWS_OWNED_CMK");
	assert_string_equal(described("d")->encryption_status, "ENABLED");
	assert_string_equal(described("d")->key_arn, "");
	assert_answered(delivery_stop(&rig, RIG_ROOT, "d"), SLK_OK);
	assert_string_equal(described("d")->encryption_status, "DISABLED");
	assert_answered(delivery_start(&rig, RIG_ROOT, "d", ""), SLK_OK);
	assert_string_equal(described("d")->encryption_status, "ENABLED");
}

static void
keys_that_do_not_work_are_refused_by_firehose_s_name(void **state)
{
	(void)state;
	char key[KMS_ARN_MAX], pair[KMS_ARN_MAX];

	rig_new_key(&rig, key);
	rig_new_key_of(&rig, KMS_SPEC_RSA_2048, KMS_USAGE_SIGN_VERIFY, pair);
	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	refused(delivery_start(&rig, RIG_ROOT, "d", pair), SLK_INVALID, "InvalidArgumentException",
		"symmetric");
	assert_answered(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_DISABLE_KEY, key), SLK_OK);
	refused(delivery_start(&rig, RIG_ROOT, "d", key), SLK_DISABLED,
		"InvalidKMSResourceException", "DisabledException: ");
	refused(delivery_create(&rig, RIG_ROOT, "e", DELIVERY_TO_S3, key), SLK_DISABLED,
		"InvalidKMSResourceException", "DisabledException: ");
	assert_string_equal(described("d")->encryption_status, "DISABLED");
}

static void
a_stream_that_is_the_source_has_its_own_encryption(void **state)
{
	(void)state;
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, ""), SLK_OK);
	refused(delivery_create(&rig, RIG_ROOT, "d", DELIVERY_OF_STREAM, ""), SLK_INVALID,
		"InvalidArgumentException", "DirectPut");
	delivery_active(&rig, "d", DELIVERY_OF_STREAM, NULL);
	static const char sentence[] = "This operation is not permitted on KinesisStreamAsSource "
				       "delivery stream type.";
	refused(delivery_start(&rig, RIG_ROOT, "d", ""), SLK_INVALID, "InvalidArgumentException",
		sentence);
	refused(delivery_stop(&rig, RIG_ROOT, "d"), SLK_INVALID, "InvalidArgumentException",
		sentence);
}

static void
changes_of_encryption_are_limited(void **state)
{
	(void)state;
	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	for (int i = 0; i < 25; i++)
		assert_answered(i % 2 == 0 ? delivery_start(&rig, RIG_ROOT, "d", "")
					   : delivery_stop(&rig, RIG_ROOT, "d"),
			SLK_OK);
	refused(delivery_stop(&rig, RIG_ROOT, "d"), SLK_LIMIT, "LimitExceededException",
		"25 times in 24 hours");
}

/* --- deletion --- */

static void
deletion_ends_when_both_have_let_go(void **state)
{
	(void)state;
	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	assert_answered(delivery_delete(&rig, RIG_ROOT, "d", false), SLK_OK);
	assert_string_equal(described("d")->state, "DELETING");
	assert_answered(delivery_delete(&rig, RIG_ROOT, "d", false), SLK_OK);
	rig_restart(&rig);
	assert_string_equal(described("d")->state, "DELETING");
	assert_answered(rig_describe_stream(&rig, RIG_INGEST, OWN), SLK_OK);
	assert_answered(delivery_state(&rig, RIG_DELIVER, "d", 1, "DELETING", ""), SLK_OK);
	assert_answered(delivery_describe(&rig, RIG_ROOT, "d"), SLK_NOT_FOUND);
	refused(delivery_create(&rig, RIG_ROOT, "d", DELIVERY_TO_S3, NULL), SLK_EXISTS,
		"ResourceInUseException", "already exists");
	const Kmsp__Reply *reply = rig_describe_stream(&rig, RIG_INGEST, OWN);
	assert_string_equal(reply->stream->status, "DELETING");
	assert_answered(ingestd_performs(OWN), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_INGEST, OWN), SLK_NOT_FOUND);
	assert_answered(delivery_create(&rig, RIG_ROOT, "d", DELIVERY_TO_S3, NULL), SLK_OK);
	refused(delivery_state(&rig, RIG_DELIVER, "d", 1, "DELETING", ""), SLK_INVALID_STATE,
		"ResourceInUseException", "CREATING");
}

static void
one_that_is_creating_goes_by_force_only(void **state)
{
	(void)state;
	assert_answered(delivery_create(&rig, RIG_ROOT, "d", DELIVERY_TO_S3, NULL), SLK_OK);
	refused(delivery_delete(&rig, RIG_ROOT, "d", false), SLK_INVALID_STATE,
		"ResourceInUseException", "CREATING");
	assert_answered(delivery_delete(&rig, RIG_ROOT, "d", true), SLK_OK);
	assert_answered(delivery_describe(&rig, RIG_ROOT, "d"), SLK_NOT_FOUND);
	assert_answered(delivery_state(&rig, RIG_DELIVER, "d", 1, "ACTIVE", ""), SLK_NOT_FOUND);
	assert_answered(ingestd_performs(OWN), SLK_OK);
}

static void
a_stream_of_kinesis_stays_when_its_reader_goes(void **state)
{
	(void)state;
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, ""), SLK_OK);
	delivery_active(&rig, "d", DELIVERY_OF_STREAM, NULL);
	assert_answered(delivery_delete(&rig, RIG_ROOT, "d", false), SLK_OK);
	assert_answered(delivery_state(&rig, RIG_DELIVER, "d", 1, "DELETING", ""), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_ROOT, "web"), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_DELIVER, "web"), SLK_DENIED);
}

static void
a_role_that_is_needed_is_not_deleted(void **state)
{
	(void)state;
	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	refused(iam_delete(&rig, RIG_ROOT, "role/deliver"), SLK_INVALID_STATE,
		"DeleteConflictException", "delivery stream d");
	assert_answered(delivery_delete(&rig, RIG_ROOT, "d", true), SLK_OK);
	assert_answered(iam_delete(&rig, RIG_ROOT, "role/deliver"), SLK_OK);
}

/* --- lists and tags --- */

static void
lists_come_by_name_and_kind(void **state)
{
	(void)state;
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, ""), SLK_OK);
	delivery_active(&rig, "c", DELIVERY_TO_S3, NULL);
	delivery_active(&rig, "a", DELIVERY_OF_STREAM, NULL);
	delivery_active(&rig, "b", DELIVERY_TO_POSTGRES, NULL);
	const Kmsp__Reply *reply = delivery_list(&rig, RIG_DELIVER, "", 2, "");
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->delivery_streams->n_streams, 2);
	assert_true(reply->delivery_streams->more);
	assert_string_equal(reply->delivery_streams->streams[0]->name, "a");
	assert_int_equal(reply->delivery_streams->streams[0]->spec.len, 0);
	reply = delivery_list(&rig, RIG_ROOT, "b", 2, "");
	assert_int_equal(reply->delivery_streams->n_streams, 1);
	assert_false(reply->delivery_streams->more);
	assert_string_equal(reply->delivery_streams->streams[0]->name, "c");
	reply = delivery_list(&rig, RIG_ROOT, "", 0, "DirectPut");
	assert_int_equal(reply->delivery_streams->n_streams, 2);
	reply = delivery_list(&rig, RIG_ROOT, "", 0, "KinesisStreamAsSource");
	assert_int_equal(reply->delivery_streams->n_streams, 1);
	refused(delivery_list(&rig, RIG_ROOT, "", 0, "MSKAsSource"), SLK_INVALID,
		"ValidationException", "deliveryStreamType");
	refused(delivery_list(&rig, RIG_ROOT, "a/b", 0, ""), SLK_INVALID,
		"InvalidArgumentException", "ExclusiveStartDeliveryStreamName");
}

static void
tags_are_set_and_removed(void **state)
{
	(void)state;
	char name[16];

	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	assert_answered(delivery_tag(&rig, RIG_ROOT, "d", "team", "ops"), SLK_OK);
	assert_answered(delivery_tag(&rig, RIG_ROOT, "d", "team", "web"), SLK_OK);
	const Kmsp__Reply *reply = delivery_tags(&rig, RIG_ROOT, "d");
	assert_int_equal(reply->tags->n_tags, 1);
	assert_string_equal(reply->tags->tags[0]->value, "web");
	refused(delivery_tag(&rig, RIG_ROOT, "d", "aws:x", "1"), SLK_INVALID,
		"InvalidArgumentException", "reserved");
	for (int i = 1; i < 50; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		assert_answered(delivery_tag(&rig, RIG_ROOT, "d", name, ""), SLK_OK);
	}
	refused(delivery_tag(&rig, RIG_ROOT, "d", "one more", ""), SLK_LIMIT,
		"LimitExceededException", "50");
	assert_answered(delivery_untag(&rig, RIG_ROOT, "d", "team"), SLK_OK);
	assert_answered(delivery_untag(&rig, RIG_ROOT, "d", "team"), SLK_OK);
	reply = delivery_tags(&rig, RIG_ROOT, "d");
	assert_int_equal(reply->tags->n_tags, 49);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_is_creating_until_deliverd_says_more),
		TEST(a_failed_one_says_why_and_can_be_deleted),
		TEST(what_is_wrong_is_refused_and_makes_nothing),
		TEST(a_name_is_taken_once),
		TEST(of_two_at_once_one_is_made),
		TEST(without_the_right_nothing_is_told),
		TEST(secrets_are_for_deliverd_alone),
		TEST(no_secret_lies_in_the_catalog),
		TEST(descriptions_outlast_a_restart),
		TEST(a_description_of_another_row_does_not_open),
		TEST(without_the_hsm_nothing_is_made_and_lists_go_on),
		TEST(an_update_merges_and_is_the_next_version),
		TEST(a_wrong_update_changes_nothing),
		TEST(of_two_updates_at_once_one_wins),
		TEST(kinesis_does_not_show_it),
		TEST(ingestd_seals_it_in_its_own_context),
		TEST(deliverd_sees_what_it_reads),
		TEST(a_key_is_in_use_once_ingestd_says_so),
		TEST(a_key_that_cannot_be_put_in_use_is_named),
		TEST(the_owned_key_is_the_appliance_s),
		TEST(keys_that_do_not_work_are_refused_by_firehose_s_name),
		TEST(a_stream_that_is_the_source_has_its_own_encryption),
		TEST(changes_of_encryption_are_limited),
		TEST(deletion_ends_when_both_have_let_go),
		TEST(one_that_is_creating_goes_by_force_only),
		TEST(a_stream_of_kinesis_stays_when_its_reader_goes),
		TEST(a_role_that_is_needed_is_not_deleted),
		TEST(lists_come_by_name_and_kind),
		TEST(tags_are_set_and_removed),
	};
	return cmocka_run_group_tests_name("service_delivery", tests, NULL, NULL);
}
