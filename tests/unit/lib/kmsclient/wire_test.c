#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "kmsclient/wire.h"

static struct kmsp_arena *arena;

static int
setup(void **state)
{
	(void)state;
	return kmsp_arena_new(&arena);
}

static int
teardown(void **state)
{
	(void)state;
	kmsp_arena_free(arena);
	return 0;
}

static size_t
status_request(uint8_t *out)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Nothing nothing = KMSP__NOTHING__INIT;
	size_t len = 0;

	request.id = 7;
	request.call_case = KMSP__REQUEST__CALL_STATUS;
	request.status = &nothing;
	assert_ok(kmsp_request_pack(&request, out, KMSP_REQUEST_MAX, &len));
	return len;
}

static void
golden_bytes_of_a_status_request(void **state)
{
	(void)state;
	/* version = 1, id = 7, field 64 = empty message */
	static const uint8_t golden[] = {0x08, 1, 0x10, 7, 0x82, 0x04, 0};
	uint8_t frame[KMSP_REQUEST_MAX];

	assert_int_equal(status_request(frame), sizeof(golden));
	assert_memory_equal(frame, golden, sizeof(golden));
}

static void
round_trip_keeps_every_field(void **state)
{
	(void)state;
	static uint8_t frame[KMSP_REQUEST_MAX], plain[] = {1, 0, 2};
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Encrypt call = KMSP__ENCRYPT__INIT;
	Kmsp__Pair pair = KMSP__PAIR__INIT, *pairs[] = {&pair};
	const Kmsp__Request *back = NULL;
	size_t len = 0;

	pair.key = (ProtobufCBinaryData){1, (uint8_t *)"k"};
	call.key = (char *)"alias/x";
	call.n_context = 1;
	call.context = pairs;
	call.plaintext = (ProtobufCBinaryData){sizeof(plain), plain};
	request.id = UINT64_MAX;
	request.call_case = KMSP__REQUEST__CALL_ENCRYPT;
	request.encrypt = &call;
	assert_ok(kmsp_request_pack(&request, frame, sizeof(frame), &len));
	assert_ok(kmsp_request_unpack(arena, slk_span(frame, len), &back));
	assert_int_equal(back->id, UINT64_MAX);
	assert_int_equal(back->call_case, KMSP__REQUEST__CALL_ENCRYPT);
	assert_string_equal(back->encrypt->key, "alias/x");
	assert_int_equal(back->encrypt->n_context, 1);
	assert_memory_equal(back->encrypt->plaintext.data, plain, sizeof(plain));
}

static void
empty_and_oversized_frames_are_refused_before_they_are_looked_at(void **state)
{
	(void)state;
	static uint8_t big[KMSP_FRAME_MAX + 1];
	const Kmsp__Request *request = NULL;
	const Kmsp__Reply *reply = NULL;

	assert_int_equal(kmsp_request_unpack(arena, slk_span(big, 0), &request), SLK_TRUNCATED);
	assert_int_equal(
		kmsp_request_unpack(arena, slk_span(big, sizeof(big)), &request), SLK_TOO_LARGE);
	assert_int_equal(
		kmsp_reply_unpack(arena, slk_span(big, sizeof(big)), &reply), SLK_TOO_LARGE);
	assert_null(request);
	assert_null(reply);
}

/* The longest key policy there is, in a request and in a reply. */
static void
policies_may_be_larger_than_other_messages(void **state)
{
	(void)state;
	static uint8_t frame[KMSP_FRAME_MAX];
	static char text[131072 + 1];
	Kmsp__PutKeyPolicy put = KMSP__PUT_KEY_POLICY__INIT;
	Kmsp__Document document = KMSP__DOCUMENT__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	const Kmsp__Request *request_back = NULL;
	const Kmsp__Reply *reply_back = NULL;
	size_t len = 0;

	memset(text, 'p', sizeof(text) - 1);
	put.policy = document.text = text;
	request.call_case = KMSP__REQUEST__CALL_PUT_KEY_POLICY;
	request.put_key_policy = &put;
	assert_ok(kmsp_request_pack(&request, frame, sizeof(frame), &len));
	assert_ok(kmsp_request_unpack(arena, slk_span(frame, len), &request_back));
	assert_string_equal(request_back->put_key_policy->policy, text);
	reply.result_case = KMSP__REPLY__RESULT_DOCUMENT;
	reply.document = &document;
	assert_ok(kmsp_reply_pack(&reply, frame, sizeof(frame), &len));
	assert_ok(kmsp_reply_unpack(arena, slk_span(frame, len), &reply_back));
	assert_string_equal(reply_back->document->text, text);
	kmsp_arena_reset(arena);
}

static void
other_messages_may_not(void **state)
{
	(void)state;
	static uint8_t frame[KMSP_FRAME_MAX];
	static char text[KMSP_REPLY_MAX + 1];
	Kmsp__KeyName name = KMSP__KEY_NAME__INIT;
	Kmsp__Key key = KMSP__KEY__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	const Kmsp__Request *request_back = NULL;
	const Kmsp__Reply *reply_back = NULL;
	size_t len = 0;

	memset(text, 'k', sizeof(text) - 1);
	name.key = key.description = text;
	request.version = reply.version = KMSP_VERSION;
	request.call_case = KMSP__REQUEST__CALL_DESCRIBE_KEY;
	request.describe_key = &name;
	reply.result_case = KMSP__REPLY__RESULT_KEY;
	reply.key = &key;
	assert_int_equal(kmsp_request_pack(&request, frame, sizeof(frame), &len), SLK_TOO_LARGE);
	assert_int_equal(kmsp_reply_pack(&reply, frame, sizeof(frame), &len), SLK_TOO_LARGE);
	len = protobuf_c_message_pack(&request.base, frame);
	assert_int_equal(
		kmsp_request_unpack(arena, slk_span(frame, len), &request_back), SLK_TOO_LARGE);
	len = protobuf_c_message_pack(&reply.base, frame);
	assert_int_equal(
		kmsp_reply_unpack(arena, slk_span(frame, len), &reply_back), SLK_TOO_LARGE);
	assert_null(request_back);
	assert_null(reply_back);
	kmsp_arena_reset(arena);
}

static void
every_truncation_is_refused(void **state)
{
	(void)state;
	uint8_t frame[KMSP_REQUEST_MAX];
	size_t len = status_request(frame);
	const Kmsp__Request *request = NULL;

	for (size_t cut = 0; cut < len; cut++)
		assert_int_not_equal(
			kmsp_request_unpack(arena, slk_span(frame, cut), &request), SLK_OK);
	assert_null(request);
	assert_ok(kmsp_request_unpack(arena, slk_span(frame, len), &request));
}

static void
another_version_and_a_request_without_a_call_are_refused(void **state)
{
	(void)state;
	static const uint8_t version_2[] = {0x08, 2, 0x10, 7, 0x82, 0x04, 0};
	static const uint8_t no_version[] = {0x10, 7, 0x82, 0x04, 0};
	static const uint8_t no_call[] = {0x08, 1, 0x10, 7};
	const Kmsp__Request *out = NULL;

	assert_int_equal(kmsp_request_unpack(arena, slk_span(version_2, sizeof(version_2)), &out),
		SLK_BAD_VERSION);
	assert_int_equal(kmsp_request_unpack(arena, slk_span(no_version, sizeof(no_version)), &out),
		SLK_BAD_VERSION);
	assert_int_equal(kmsp_request_unpack(arena, slk_span(no_call, sizeof(no_call)), &out),
		SLK_MALFORMED);
	assert_null(out);
}

/* A reader that takes the first and one that takes the last would disagree. */
static void
field_given_twice_is_refused(void **state)
{
	(void)state;
	static const uint8_t two_ids[] = {0x08, 1, 0x10, 7, 0x10, 8, 0x82, 0x04, 0};
	static const uint8_t two_calls[] = {0x08, 1, 0x10, 7, 0x92, 0x01, 0, 0x82, 0x04, 0};
	const Kmsp__Request *out = NULL;

	assert_int_equal(kmsp_request_unpack(arena, slk_span(two_ids, sizeof(two_ids)), &out),
		SLK_MALFORMED);
	assert_int_equal(kmsp_request_unpack(arena, slk_span(two_calls, sizeof(two_calls)), &out),
		SLK_MALFORMED);
	assert_null(out);
}

static void
nul_inside_text_is_refused(void **state)
{
	(void)state;
	/* describe_key { key: "a\0b" }: C would see "a" */
	static const uint8_t nul[] = {0x08, 1, 0x10, 7, 0x8a, 0x01, 5, 0x0a, 3, 'a', 0, 'b'};
	static const uint8_t fine[] = {0x08, 1, 0x10, 7, 0x8a, 0x01, 5, 0x0a, 3, 'a', 'c', 'b'};
	const Kmsp__Request *out = NULL;

	assert_int_equal(
		kmsp_request_unpack(arena, slk_span(nul, sizeof(nul)), &out), SLK_MALFORMED);
	assert_null(out);
	assert_ok(kmsp_request_unpack(arena, slk_span(fine, sizeof(fine)), &out));
}

static void
unknown_field_is_tolerated(void **state)
{
	(void)state;
	static const uint8_t frame[] = {0x08, 1, 0x10, 7, 0x82, 0x04, 0, 0xf8, 0x3f, 5};
	const Kmsp__Request *out = NULL;

	assert_ok(kmsp_request_unpack(arena, slk_span(frame, sizeof(frame)), &out));
	assert_int_equal(out->call_case, KMSP__REQUEST__CALL_STATUS);
}

/* 8,000 empty pairs in 16 KiB would take half a megabyte of heap. */
static void
message_that_would_grow_beyond_the_arena_is_refused(void **state)
{
	(void)state;
	static uint8_t frame[KMSP_REQUEST_MAX];
	struct slk_writer w = slk_writer(frame, sizeof(frame));
	const Kmsp__Request *out = NULL;
	const unsigned pairs = 8000;

	slk_write_bytes(&w, "\x08\x01\x10\x07\xb2\x01", 6); /* generate_data_key */
	slk_write_u8(&w, (uint8_t)(0x80 | (2 * pairs & 0x7f)));
	slk_write_u8(&w, (uint8_t)(2 * pairs >> 7 | 0x80));
	slk_write_u8(&w, (uint8_t)(2 * pairs >> 14));
	for (unsigned i = 0; i < pairs; i++)
		slk_write_bytes(&w, "\x12\x00", 2);
	assert_int_equal(w.status, SLK_OK);
	assert_int_equal(kmsp_request_unpack(arena, slk_span(frame, w.len), &out), SLK_MALFORMED);
	assert_null(out);
}

static void
largest_context_and_plaintext_fit_a_request(void **state)
{
	(void)state;
	static uint8_t frame[KMSP_REQUEST_MAX], plain[KMSP_PLAINTEXT_MAX], value[200];
	static Kmsp__Pair storage[FMT_CONTEXT_PAIRS_MAX];
	static Kmsp__Pair *pairs[FMT_CONTEXT_PAIRS_MAX];
	static char keys[FMT_CONTEXT_PAIRS_MAX][8], name[257];
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Encrypt call = KMSP__ENCRYPT__INIT;
	const Kmsp__Request *back = NULL;
	struct fmt_context *context = NULL;
	size_t len = 0;

	memset(name, 'n', sizeof(name) - 1);
	for (unsigned i = 0; i < FMT_CONTEXT_PAIRS_MAX; i++) {
		/* (8192 - 2) / 64 = 127 bytes a pair, of which 4 are lengths */
		snprintf(keys[i], sizeof(keys[i]), "%03u", 999 - i);
		memset(value, 'v', sizeof(value));
		kmsp__pair__init(&storage[i]);
		storage[i].key = (ProtobufCBinaryData){3, (uint8_t *)keys[i]};
		storage[i].value = (ProtobufCBinaryData){120, value};
		pairs[i] = &storage[i];
	}
	call.key = name;
	call.n_context = FMT_CONTEXT_PAIRS_MAX;
	call.context = pairs;
	call.plaintext = (ProtobufCBinaryData){sizeof(plain), plain};
	request.call_case = KMSP__REQUEST__CALL_ENCRYPT;
	request.encrypt = &call;
	assert_ok(kmsp_request_pack(&request, frame, sizeof(frame), &len));
	assert_ok(kmsp_request_unpack(arena, slk_span(frame, len), &back));
	assert_ok(kmsp_context_build(back->encrypt->context, back->encrypt->n_context, &context));
	assert_int_equal(fmt_context_count(context), FMT_CONTEXT_PAIRS_MAX);
	fmt_context_free(context);
}

static void
duplicate_context_key_is_refused(void **state)
{
	(void)state;
	Kmsp__Pair a = KMSP__PAIR__INIT, b = KMSP__PAIR__INIT, *pairs[] = {&a, &b};
	struct fmt_context *context = NULL;

	a.key = b.key = (ProtobufCBinaryData){1, (uint8_t *)"k"};
	assert_int_equal(kmsp_context_build(pairs, 2, &context), SLK_EXISTS);
	assert_null(context);
}

static void
full_page_of_the_longest_entries_fits_a_reply(void **state)
{
	(void)state;
	static uint8_t frame[KMSP_REPLY_MAX];
	static char arn[256], description[257], name[129];
	static Kmsp__Key keys[KMSP_PAGE_MAX], *key_list[KMSP_PAGE_MAX];
	static Kmsp__Stream streams[KMSP_PAGE_MAX], *stream_list[KMSP_PAGE_MAX];
	Kmsp__Keys page = KMSP__KEYS__INIT;
	Kmsp__Streams stream_page = KMSP__STREAMS__INIT;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	const Kmsp__Reply *back = NULL;
	size_t len = 0;

	memset(arn, 'a', sizeof(arn) - 1);
	memset(description, 'd', sizeof(description) - 1);
	memset(name, 'n', sizeof(name) - 1);
	for (unsigned i = 0; i < KMSP_PAGE_MAX; i++) {
		kmsp__key__init(&keys[i]);
		keys[i].id = (char *)"12345678-9abc-4def-8001-020304050607";
		keys[i].arn = arn;
		keys[i].description = description;
		keys[i].state = (char *)"PendingDeletion";
		keys[i].spec = (char *)"SYMMETRIC_DEFAULT";
		keys[i].usage = (char *)"ENCRYPT_DECRYPT";
		keys[i].manager = (char *)"CUSTOMER";
		keys[i].created_ns = UINT64_MAX;
		key_list[i] = &keys[i];
		kmsp__stream__init(&streams[i]);
		streams[i].name = name;
		streams[i].arn = arn;
		streams[i].id = UINT64_MAX;
		streams[i].key_arn = arn;
		streams[i].status = (char *)"DELETING";
		streams[i].created_ns = UINT64_MAX;
		stream_list[i] = &streams[i];
	}
	reply.request_id = (char *)"12345678-9abc-4def-8001-020304050607";
	page.n_keys = stream_page.n_streams = KMSP_PAGE_MAX;
	page.keys = key_list;
	stream_page.streams = stream_list;
	stream_page.next = name;
	reply.result_case = KMSP__REPLY__RESULT_KEYS;
	reply.keys = &page;
	assert_ok(kmsp_reply_pack(&reply, frame, sizeof(frame), &len));
	assert_ok(kmsp_reply_unpack(arena, slk_span(frame, len), &back));
	assert_int_equal(back->keys->n_keys, KMSP_PAGE_MAX);
	reply.result_case = KMSP__REPLY__RESULT_STREAMS;
	reply.streams = &stream_page;
	assert_ok(kmsp_reply_pack(&reply, frame, sizeof(frame), &len));
	assert_ok(kmsp_reply_unpack(arena, slk_span(frame, len), &back));
	assert_int_equal(back->streams->n_streams, KMSP_PAGE_MAX);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(golden_bytes_of_a_status_request),
		CASE(round_trip_keeps_every_field),
		CASE(empty_and_oversized_frames_are_refused_before_they_are_looked_at),
		CASE(policies_may_be_larger_than_other_messages),
		CASE(other_messages_may_not),
		CASE(every_truncation_is_refused),
		CASE(another_version_and_a_request_without_a_call_are_refused),
		CASE(field_given_twice_is_refused),
		CASE(nul_inside_text_is_refused),
		CASE(unknown_field_is_tolerated),
		CASE(message_that_would_grow_beyond_the_arena_is_refused),
		CASE(largest_context_and_plaintext_fit_a_request),
		CASE(duplicate_context_key_is_refused),
		CASE(full_page_of_the_longest_entries_fits_a_reply),
	};

	return cmocka_run_group_tests_name("kmsclient_wire", tests, NULL, NULL);
}
