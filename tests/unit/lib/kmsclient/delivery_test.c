/* Delivery streams against a scripted kmsd: what is asked, what comes back, and answers that cannot be. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kmsd.h"
#include "kmsclient/delivery.h"

#define TEXT(text) ((char *)(uintptr_t)(text))
#define SPEC "{\"S3DestinationConfiguration\":{}}"

static struct kmsc *client;
static struct slk_error err;
static Kmsp__Reply reply;
static Kmsp__DeliveryStream stream, *list[2] = {&stream, &stream};
static Kmsp__DeliveryStreams streams;
static char asked[512], text[512];
static unsigned hang_ups, turns;

static void
note(const Kmsp__Request *q)
{
	const Kmsp__CreateDeliveryStream *c = q->create_delivery_stream;
	const Kmsp__DeliveryState *s = q->delivery_state;
	size_t cap = sizeof(asked);

	switch (q->call_case) {
	case KMSP__REQUEST__CALL_CREATE_DELIVERY_STREAM:
		snprintf(asked, cap, "create|%s|%.*s|%d|%s|%zu", c->name, (int)c->json.len,
			(const char *)c->json.data, c->encrypted, c->key, c->n_tags);
		break;
	case KMSP__REQUEST__CALL_DESCRIBE_DELIVERY_STREAM:
		snprintf(asked, cap, "describe|%s", q->describe_delivery_stream->name);
		break;
	case KMSP__REQUEST__CALL_LIST_DELIVERY_STREAMS:
		snprintf(asked, cap, "list|%s|%u|%s", q->list_delivery_streams->after,
			q->list_delivery_streams->limit, q->list_delivery_streams->source);
		break;
	case KMSP__REQUEST__CALL_UPDATE_DESTINATION:
		snprintf(asked, cap, "update|%s|%llu", q->update_destination->name,
			(unsigned long long)q->update_destination->version);
		break;
	case KMSP__REQUEST__CALL_DELETE_DELIVERY_STREAM:
		snprintf(asked, cap, "delete|%s|%d", q->delete_delivery_stream->name,
			q->delete_delivery_stream->force);
		break;
	case KMSP__REQUEST__CALL_DELIVERY_STATE:
		snprintf(asked, cap, "state|%s|%llu|%s|%s|%s", s->name,
			(unsigned long long)s->version, s->state, s->failure_type,
			s->failure_details);
		break;
	case KMSP__REQUEST__CALL_ASSUME_DELIVERY_ROLE:
		snprintf(asked, cap, "assume|%s|%s", q->assume_delivery_role->name,
			q->assume_delivery_role->role);
		break;
	default:
		snprintf(asked, cap, "%d", (int)q->call_case);
		break;
	}
}

static int
answer(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	note(request);
	turns++;
	if (turn < hang_ups)
		return -1;
	reply.id = request->id;
	return fake_kmsd_reply(request, &reply, out);
}

static void
answer_stream(bool with_spec)
{
	kmsp__delivery_stream__init(&stream);
	stream.name = TEXT("d");
	stream.arn = TEXT("arn:aws:firehose:local:000000000000:deliverystream/d");
	stream.id = 3;
	stream.version = 2;
	stream.state = TEXT("ACTIVE");
	stream.direct_put = true;
	stream.encryption_status = TEXT("ENABLED");
	stream.key_type = TEXT("AWS_OWNED_CMK");
	if (with_spec)
		stream.spec = (ProtobufCBinaryData){sizeof(SPEC) - 1, (uint8_t *)TEXT(SPEC)};
	reply.result_case = KMSP__REPLY__RESULT_DELIVERY_STREAM;
	reply.delivery_stream = &stream;
}

static int
setup(void **state)
{
	(void)state;
	strcpy(fake_kmsd.dir, "/tmp/slk-kmsc-XXXXXX");
	if (mkdtemp(fake_kmsd.dir) == NULL)
		return -1;
	snprintf(fake_kmsd.path, sizeof(fake_kmsd.path), "%s/kms.sock", fake_kmsd.dir);
	memset(&err, 0, sizeof(err));
	kmsp__reply__init(&reply);
	asked[0] = '\0';
	hang_ups = turns = 0;
	answer_stream(true);
	fake_kmsd_start(answer);
	return kmsc_new(fake_kmsd.path, 2000, &client);
}

static int
teardown(void **state)
{
	(void)state;
	kmsc_free(client);
	fake_kmsd_stop();
	return rmdir(fake_kmsd.dir);
}

static void
what_is_made_is_asked_as_it_was_said(void **state)
{
	(void)state;
	const struct kmsc_tag tags[] = {{"a", "1"}};
	char arn[KMSC_ARN_MAX] = "";

	assert_ok(kmsc_create_delivery_stream(
		client, "d", slk_span_str(SPEC), NULL, NULL, 0, arn, &err));
	assert_string_equal(asked, "create|d|" SPEC "|0||0");
	assert_string_equal(arn, stream.arn);
	assert_ok(kmsc_create_delivery_stream(
		client, "d", slk_span_str(SPEC), "", tags, 1, arn, &err));
	assert_string_equal(asked, "create|d|" SPEC "|1||1");
	assert_ok(kmsc_create_delivery_stream(
		client, "d", slk_span_str(SPEC), "alias/a", NULL, 0, arn, &err));
	assert_string_equal(asked, "create|d|" SPEC "|1|alias/a|0");
}

static void
what_changes_something_is_not_asked_twice(void **state)
{
	(void)state;
	char arn[KMSC_ARN_MAX] = "";

	hang_ups = 10;
	assert_int_equal(kmsc_create_delivery_stream(
				 client, "d", slk_span_str(SPEC), NULL, NULL, 0, arn, &err),
		SLK_UNAVAILABLE);
	assert_int_equal(
		kmsc_update_destination(client, "d", 1, slk_span_str("{}"), &err), SLK_UNAVAILABLE);
	assert_int_equal(kmsc_delete_delivery_stream(client, "d", true, &err), SLK_UNAVAILABLE);
	assert_int_equal(turns, 3);
	assert_string_equal(asked, "delete|d|1");
}

static void
a_description_comes_in_memory_of_its_own(void **state)
{
	(void)state;
	struct kmsc_delivery_stream d = {.spec = NULL};

	assert_ok(kmsc_describe_delivery_stream(client, "d", &d, &err));
	assert_string_equal(asked, "describe|d");
	assert_int_equal(d.id, 3);
	assert_int_equal(d.version, 2);
	assert_int_equal(d.state, KMSC_DELIVERY_ACTIVE);
	assert_true(d.direct_put);
	assert_int_equal(d.spec_len, sizeof(SPEC) - 1);
	assert_memory_equal(slk_secret_peek(d.spec), SPEC, d.spec_len);
	kmsc_delivery_stream_fini(&d);
	assert_null(d.spec);
	kmsc_delivery_stream_fini(NULL);
}

static void
answers_that_cannot_be_are_refused(void **state)
{
	(void)state;
	struct kmsc_delivery_stream d = {.id = 77};

	answer_stream(false); /* without what was asked for */
	assert_int_equal(kmsc_delivery_work(client, "d", &d, &err), SLK_INTERNAL);
	answer_stream(true);
	stream.state = TEXT("SLEEPING");
	assert_int_equal(kmsc_delivery_work(client, "d", &d, &err), SLK_INTERNAL);
	answer_stream(true);
	memset(text, 'x', KMSC_DELIVERY_NAME_MAX);
	text[KMSC_DELIVERY_NAME_MAX] = '\0';
	stream.name = text;
	assert_int_equal(kmsc_delivery_work(client, "d", &d, &err), SLK_INTERNAL);
	assert_int_equal(d.id, 77);
	assert_null(d.spec);
}

static void
lists_fit_their_room_and_have_no_descriptions(void **state)
{
	(void)state;
	struct kmsc_delivery_stream out[2];
	size_t count = 77;
	bool more = false;

	answer_stream(false);
	kmsp__delivery_streams__init(&streams);
	streams.streams = list;
	streams.n_streams = 2;
	streams.more = true;
	reply.result_case = KMSP__REPLY__RESULT_DELIVERY_STREAMS;
	reply.delivery_streams = &streams;
	assert_ok(kmsc_list_delivery_streams(client, "c", 2, out, 2, &count, &more, &err));
	assert_string_equal(asked, "list|c|2|KinesisStreamAsSource");
	assert_int_equal(count, 2);
	assert_true(more);
	assert_null(out[1].spec);
	count = 77;
	assert_int_equal(kmsc_list_delivery_streams(client, "", 0, out, 1, &count, &more, &err),
		SLK_INTERNAL);
	stream.spec = (ProtobufCBinaryData){2, (uint8_t *)TEXT("{}")};
	assert_int_equal(kmsc_list_delivery_streams(client, "", 0, out, 2, &count, &more, &err),
		SLK_INTERNAL);
	assert_int_equal(kmsc_list_delivery_streams(client, "", 3, out, 2, &count, &more, &err),
		SLK_INVALID);
	assert_int_equal(kmsc_list_delivery_streams(client, "", 0, out, 0, &count, &more, &err),
		SLK_INVALID);
	assert_int_equal(count, 77);
}

static void
deliverd_says_how_far_it_is(void **state)
{
	(void)state;
	kmsp__reply__init(&reply);
	assert_ok(kmsc_delivery_state(
		client, "d", 4, KMSC_DELIVERY_CREATING_FAILED, "KMS_KEY_NOT_FOUND", "gone", &err));
	assert_string_equal(asked, "state|d|4|CREATING_FAILED|KMS_KEY_NOT_FOUND|gone");
	hang_ups = 1; /* may be said again */
	assert_ok(kmsc_delivery_state(client, "d", 4, KMSC_DELIVERY_ACTIVE, "", "", &err));
	assert_int_equal(
		kmsc_delivery_state(client, "d", 4, (enum kmsc_delivery_state)9, "", "", &err),
		SLK_INVALID);
}

static void
a_session_comes_with_its_token(void **state)
{
	(void)state;
	static Kmsp__Session session;
	struct kmsc_session out = {.secret = NULL};

	kmsp__session__init(&session);
	session.access_key_id = TEXT("ASIAAAAAAAAAAAAAAAAA");
	session.secret_access_key = TEXT("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
	session.session_token = TEXT("token");
	session.expires_ns = 9;
	reply.result_case = KMSP__REPLY__RESULT_SESSION;
	reply.session = &session;
	assert_ok(kmsc_assume_delivery_role(
		client, "d", "arn:aws:iam::000000000000:role/r", &out, &err));
	assert_string_equal(asked, "assume|d|arn:aws:iam::000000000000:role/r");
	assert_int_equal(slk_secret_len(out.token), 5);
	kmsc_session_wipe(&out);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_made_is_asked_as_it_was_said),
		TEST(what_changes_something_is_not_asked_twice),
		TEST(a_description_comes_in_memory_of_its_own),
		TEST(answers_that_cannot_be_are_refused),
		TEST(lists_fit_their_room_and_have_no_descriptions),
		TEST(deliverd_says_how_far_it_is),
		TEST(a_session_comes_with_its_token),
	};
	return cmocka_run_group_tests_name("kmsclient_delivery", tests, NULL, NULL);
}
