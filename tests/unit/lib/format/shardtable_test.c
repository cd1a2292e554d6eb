#include "golden.h"

#include "format/shardtable.h"

static void
golden_bytes_and_round_trip(void **state)
{
	(void)state;
	static const struct fmt_shard shards[2] = {{9, 0, 100}, {9, 1, 7}};
	uint8_t golden[128], out[128];
	uint32_t count = 0;
	size_t out_len = 0, len = golden_read("shardtable/two", golden, sizeof(golden));

	assert_ok(fmt_shardtable_encode(shards, 2, out, sizeof(out), &out_len));
	assert_int_equal(out_len, len);
	assert_int_equal(out_len, fmt_shardtable_bytes(2));
	assert_memory_equal(out, golden, len);
	assert_ok(fmt_shardtable_check(slk_span(golden, len), &count));
	assert_int_equal(count, 2);
	assert_int_equal(fmt_shardtable_entry(slk_span(golden, len), 1).shard, 1);
	assert_int_equal(fmt_shardtable_entry(slk_span(golden, len), 0).next_sequence, 100);
}

static void
other_lengths_counts_and_reserved_bytes_are_refused(void **state)
{
	(void)state;
	uint8_t golden[128] = {0};
	uint32_t count = 77;
	size_t len = golden_read("shardtable/two", golden, sizeof(golden));

	for (size_t n = 0; n < len; n++)
		assert_int_equal(fmt_shardtable_check(slk_span(golden, n), &count), SLK_TRUNCATED);
	assert_int_equal(fmt_shardtable_check(slk_span(golden, len + 1), &count), SLK_MALFORMED);
	golden[20] = 1;
	assert_int_equal(fmt_shardtable_check(slk_span(golden, len), &count), SLK_MALFORMED);
	golden[20] = 0;
	golden[0] = 0;
	assert_int_equal(fmt_shardtable_check(slk_span(golden, 8), &count), SLK_MALFORMED);
	assert_int_equal(count, 77);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_and_round_trip),
		cmocka_unit_test(other_lengths_counts_and_reserved_bytes_are_refused),
	};

	return cmocka_run_group_tests_name("format_shardtable", tests, NULL, NULL);
}
