#include "golden.h"

#include "format/keyblock.h"

#define STREAM "arn:aws:kinesis:local:000000000000:stream/s"
#define KEY "arn:aws:kms:local:000000000000:key/k"

static void
golden_bytes_and_round_trip(void **state)
{
	(void)state;
	uint8_t golden[512], out[512];
	struct fmt_keyblock k;
	size_t out_len = 0, len = golden_read("keyblock/one", golden, sizeof(golden));

	assert_ok(fmt_keyblock_decode(slk_span(golden, len), &k));
	assert_int_equal(k.epoch_id, 42u << 24 | 7);
	assert_int_equal(k.stream_id, 9);
	assert_int_equal(k.commitment.ptr[31], 31);
	assert_true(slk_span_equal(k.stream_arn, slk_span_str(STREAM)));
	assert_true(slk_span_equal(k.key_arn, slk_span_str(KEY)));
	assert_true(slk_span_equal(k.wrapped, slk_span_str("blob!")));
	assert_ok(fmt_keyblock_encode(&k, out, sizeof(out), &out_len));
	assert_int_equal(out_len, len);
	assert_memory_equal(out, golden, len);
	assert_int_equal(fmt_keyblock_encode(&k, out, len - 1, &out_len), SLK_FULL);
}

static void
other_lengths_are_refused(void **state)
{
	(void)state;
	uint8_t golden[512] = {0};
	struct fmt_keyblock k;
	size_t len = golden_read("keyblock/one", golden, sizeof(golden));

	for (size_t n = 0; n < len; n++)
		assert_int_equal(fmt_keyblock_decode(slk_span(golden, n), &k), SLK_TRUNCATED);
	assert_int_equal(fmt_keyblock_decode(slk_span(golden, len + 1), &k), SLK_MALFORMED);
}

static void
empty_and_oversized_parts_are_refused(void **state)
{
	(void)state;
	static uint8_t big[FMT_KEYBLOCK_WRAPPED_MAX + 1], out[2 * FMT_KEYBLOCK_MAX];
	uint8_t golden[512];
	struct fmt_keyblock k, bad[5];
	size_t out_len = 0, len = golden_read("keyblock/one", golden, sizeof(golden));

	assert_ok(fmt_keyblock_decode(slk_span(golden, len), &k));
	for (unsigned i = 0; i < 5; i++)
		bad[i] = k;
	memset(big, 'x', sizeof(big));
	bad[0].wrapped = slk_span(big, sizeof(big));
	bad[1].stream_arn = slk_span(NULL, 0);
	bad[2].key_arn = slk_span(big, FMT_KEYBLOCK_ARN_MAX + 1);
	bad[3].commitment.len = 31;
	bad[4].key_arn = slk_span("a\0b", 3);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(
			fmt_keyblock_encode(&bad[i], out, sizeof(out), &out_len), SLK_INVALID);
	golden[48] = 0; /* length of the stream's ARN */
	assert_int_not_equal(fmt_keyblock_decode(slk_span(golden, len), &k), SLK_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_and_round_trip),
		cmocka_unit_test(other_lengths_are_refused),
		cmocka_unit_test(empty_and_oversized_parts_are_refused),
	};

	return cmocka_run_group_tests_name("format_keyblock", tests, NULL, NULL);
}
