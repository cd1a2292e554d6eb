#include "slk_test.h"

#include <string.h>

#include "format/put.h"

static const uint8_t golden_put[] = {'S', 'L', 'K', 'P', 1, 1, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 5, 0,
	0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 2, 0, 'w', 'e', 'b', 'k', '1', 'a', 'b', 'c'};

static const uint8_t golden_reply[] = {'S', 'L', 'K', 'P', 1, 2, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 0xfa,
	0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 'n', 'o'};

static struct fmt_put
sample(void)
{
	return (struct fmt_put){.request_id = 0x0102030405060708,
		.total_len = 5,
		.stream = slk_span_str("web"),
		.key = slk_span_str("k1"),
		.fragment = slk_span_str("abc")};
}

static void
golden_bytes_of_a_put(void **state)
{
	(void)state;
	struct fmt_put put = sample(), back;
	static uint8_t out[FMT_PUT_MESSAGE_MAX];
	size_t len = 0;

	assert_ok(fmt_put_encode(&put, out, sizeof(out), &len));
	assert_int_equal(len, sizeof(golden_put));
	assert_memory_equal(out, golden_put, len);
	assert_ok(fmt_put_decode(slk_span(golden_put, sizeof(golden_put)), &back));
	assert_int_equal(back.request_id, put.request_id);
	assert_int_equal(back.total_len, 5);
	assert_int_equal(back.offset, 0);
	assert_true(slk_span_equal(back.stream, put.stream));
	assert_true(slk_span_equal(back.key, put.key));
	assert_true(slk_span_equal(back.fragment, put.fragment));
}

static void
golden_bytes_of_a_reply(void **state)
{
	(void)state;
	struct fmt_put_reply reply = {.request_id = 0x0102030405060708,
				     .status = SLK_DENIED,
				     .error = slk_span_str("no")},
			     back;
	uint8_t out[FMT_PUT_REPLY_MAX];
	size_t len = 0;

	assert_ok(fmt_put_reply_encode(&reply, out, sizeof(out), &len));
	assert_int_equal(len, sizeof(golden_reply));
	assert_memory_equal(out, golden_reply, len);
	assert_ok(fmt_put_reply_decode(slk_span(golden_reply, sizeof(golden_reply)), &back));
	assert_int_equal(back.status, SLK_DENIED);
	assert_true(slk_span_equal(back.error, reply.error));
}

static void
the_largest_fragment_fits_a_message(void **state)
{
	(void)state;
	static uint8_t text[FMT_PUT_FRAGMENT_MAX], out[FMT_PUT_MESSAGE_MAX];
	struct fmt_put put = sample(), back;
	size_t len = 0;

	memset(text, 'x', sizeof(text));
	put.total_len = FMT_RECORD_DATA_MAX;
	put.stream.ptr = text;
	put.stream.len = FMT_PUT_STREAM_MAX;
	put.key = slk_span(text, FMT_RECORD_KEY_MAX);
	put.fragment = slk_span(text, FMT_PUT_FRAGMENT_MAX);
	assert_ok(fmt_put_encode(&put, out, sizeof(out), &len));
	assert_int_equal(len, FMT_PUT_MESSAGE_MAX);
	assert_ok(fmt_put_decode(slk_span(out, len), &back));
	assert_int_equal(back.fragment.len, FMT_PUT_FRAGMENT_MAX);
}

static void
an_empty_record_is_one_empty_fragment(void **state)
{
	(void)state;
	static uint8_t out[FMT_PUT_MESSAGE_MAX];
	struct fmt_put put = sample(), back;
	size_t len = 0;

	put.total_len = 0;
	put.fragment.len = 0;
	assert_ok(fmt_put_encode(&put, out, sizeof(out), &len));
	assert_ok(fmt_put_decode(slk_span(out, len), &back));
	assert_int_equal(back.total_len, 0);
}

static void
the_encoder_refuses_what_the_decoder_would(void **state)
{
	(void)state;
	static uint8_t out[FMT_PUT_MESSAGE_MAX];
	struct fmt_put bad[6];
	size_t len = 77;

	for (unsigned i = 0; i < 6; i++)
		bad[i] = sample();
	bad[0].total_len = FMT_RECORD_DATA_MAX + 1;
	bad[1].offset = 3; /* a later fragment with a stream name */
	bad[2].stream.len = 0; /* a first one without */
	bad[3].key.len = 0;
	bad[4].fragment.len = 0; /* no progress */
	bad[5].total_len = 2; /* the fragment is longer than the record */
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(fmt_put_encode(&bad[i], out, sizeof(out), &len), SLK_INVALID);
	struct fmt_put put = sample();
	assert_int_equal(fmt_put_encode(&put, out, sizeof(golden_put) - 1, &len), SLK_FULL);
	assert_int_equal(len, 77);
}

static void
every_truncation_is_refused(void **state)
{
	(void)state;
	struct fmt_put put;
	struct fmt_put_reply reply;

	for (size_t n = 0; n < sizeof(golden_put); n++)
		assert_int_equal(fmt_put_decode(slk_span(golden_put, n), &put), SLK_TRUNCATED);
	for (size_t n = 0; n < sizeof(golden_reply); n++)
		assert_int_equal(
			fmt_put_reply_decode(slk_span(golden_reply, n), &reply), SLK_TRUNCATED);
}

static void
trailing_reserved_and_foreign_bytes_are_refused(void **state)
{
	(void)state;
	uint8_t in[sizeof(golden_put) + 1];
	uint8_t reply_in[sizeof(golden_reply)];
	struct fmt_put put = {.request_id = 42};
	struct fmt_put_reply reply;

	memcpy(in, golden_put, sizeof(golden_put));
	in[sizeof(golden_put)] = 0;
	assert_int_equal(fmt_put_decode(slk_span(in, sizeof(in)), &put), SLK_MALFORMED);
	for (unsigned i = 0; i < 8; i++) {
		memcpy(in, golden_put, sizeof(golden_put));
		in[i] ^= 0x40;
		int want = i == 4 ? SLK_BAD_VERSION : SLK_MALFORMED;
		assert_int_equal(fmt_put_decode(slk_span(in, sizeof(golden_put)), &put), want);
	}
	for (unsigned i = 34; i < 40; i++) {
		memcpy(reply_in, golden_reply, sizeof(golden_reply));
		reply_in[i] = 1;
		assert_int_equal(fmt_put_reply_decode(slk_span(reply_in, sizeof(reply_in)), &reply),
			SLK_MALFORMED);
	}
	assert_int_equal(
		fmt_put_decode(slk_span(golden_reply, sizeof(golden_reply)), &put), SLK_MALFORMED);
	assert_int_equal(put.request_id, 42);
}

static void
a_record_over_the_limit_is_named_so(void **state)
{
	(void)state;
	uint8_t in[sizeof(golden_put)];
	struct fmt_put put;

	memcpy(in, golden_put, sizeof(in));
	slk_put_le32(in + 16, FMT_RECORD_DATA_MAX + 1);
	assert_int_equal(fmt_put_decode(slk_span(in, sizeof(in)), &put), SLK_TOO_LARGE);
}

static void
a_success_with_a_sentence_is_refused(void **state)
{
	(void)state;
	uint8_t in[sizeof(golden_reply)];
	struct fmt_put_reply reply = {.status = SLK_OK, .error = slk_span_str("odd")};
	size_t len = 0;

	memcpy(in, golden_reply, sizeof(in));
	slk_put_le32(in + 16, 0);
	assert_int_equal(fmt_put_reply_encode(&reply, in, sizeof(in), &len), SLK_INVALID);
	assert_int_equal(fmt_put_reply_decode(slk_span(in, sizeof(in)), &reply), SLK_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_of_a_put),
		cmocka_unit_test(golden_bytes_of_a_reply),
		cmocka_unit_test(the_largest_fragment_fits_a_message),
		cmocka_unit_test(an_empty_record_is_one_empty_fragment),
		cmocka_unit_test(the_encoder_refuses_what_the_decoder_would),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(trailing_reserved_and_foreign_bytes_are_refused),
		cmocka_unit_test(a_record_over_the_limit_is_named_so),
		cmocka_unit_test(a_success_with_a_sentence_is_refused),
	};

	return cmocka_run_group_tests_name("format_put", tests, NULL, NULL);
}
