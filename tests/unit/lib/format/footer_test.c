#include "golden.h"

#include "format/footer.h"

static const struct fmt_footer_shard shards[2] = {
	{9, 0, 4336, 3, 100, 110, 1000, 1004},
	{9, 1, 4568, 1, 7, 8, 1001, 1001},
};
static const struct fmt_footer_sparse sparse[3] = {
	{4336, 0, 100, 1000}, {4568, 1, 7, 1001}, {8192, 0, 104, 1002}};
static const struct fmt_footer_key keys[1] = {{42u << 24 | 7, 9, 4096}};

static struct fmt_footer
sample(void)
{
	return (struct fmt_footer){
		.flags = FMT_FOOTER_BY_RECOVERY,
		.shard_count = 2,
		.sparse_count = 3,
		.key_count = 1,
		.blocks = 4,
		.records = 11,
		.plain_bytes = 222,
		.shards = shards,
		.sparse = sparse,
		.keys = keys,
	};
}

static void
golden_bytes_and_round_trip(void **state)
{
	(void)state;
	uint8_t golden[512], out[512];
	struct fmt_footer f = sample(), back;
	size_t out_len = 0, len = golden_read("footer/recovery", golden, sizeof(golden));

	assert_ok(fmt_footer_encode(&f, out, sizeof(out), &out_len));
	assert_int_equal(out_len, len);
	assert_memory_equal(out, golden, len);
	assert_ok(fmt_footer_decode(slk_span(golden, len), &back));
	for (uint32_t i = 0; i < 2; i++) {
		struct fmt_footer_shard s = fmt_footer_shard_at(&back, i);
		assert_int_equal(s.stream_id, shards[i].stream_id);
		assert_int_equal(s.shard, shards[i].shard);
		assert_int_equal(s.position, shards[i].position);
		assert_int_equal(s.blocks, shards[i].blocks);
		assert_int_equal(s.first_sequence, shards[i].first_sequence);
		assert_int_equal(s.next_sequence, shards[i].next_sequence);
		assert_int_equal(s.first_arrival_ns, shards[i].first_arrival_ns);
		assert_int_equal(s.last_arrival_ns, shards[i].last_arrival_ns);
	}
	for (uint32_t i = 0; i < 3; i++) {
		struct fmt_footer_sparse s = fmt_footer_sparse_at(&back, i);
		assert_int_equal(s.position, sparse[i].position);
		assert_int_equal(s.shard_index, sparse[i].shard_index);
		assert_int_equal(s.first_sequence, sparse[i].first_sequence);
		assert_int_equal(s.latest_before_ns, sparse[i].latest_before_ns);
	}
	assert_int_equal(fmt_footer_key_at(&back, 0).position, 4096);
	assert_int_equal(back.records, 11);
}

static void
other_lengths_are_refused(void **state)
{
	(void)state;
	uint8_t golden[512] = {0};
	struct fmt_footer f;
	size_t len = golden_read("footer/recovery", golden, sizeof(golden));

	for (size_t n = 0; n < len; n++)
		assert_int_equal(fmt_footer_decode(slk_span(golden, n), &f), SLK_TRUNCATED);
	assert_int_equal(fmt_footer_decode(slk_span(golden, len + 1), &f), SLK_MALFORMED);
	memset(golden + 4, 0xff, 12); /* counts whose sizes must not run over */
	assert_int_equal(fmt_footer_decode(slk_span(golden, len), &f), SLK_TRUNCATED);
}

static void
senseless_entries_are_refused(void **state)
{
	(void)state;
	static const struct {
		size_t offset;
		uint8_t value;
	} bad[] = {
		{0, 16}, /* unknown flag */
		{40 + 12, 1}, /* reserved */
		{40 + 24, 0}, /* a shard without blocks */
		{40 + 40, 100}, /* next = first */
		{40 + 144 + 8, 2}, /* shard index out of range */
		{40 + 144 + 32, 0xf0}, /* positions do not grow */
	};
	uint8_t golden[512];
	struct fmt_footer f;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t len = golden_read("footer/recovery", golden, sizeof(golden));
		golden[bad[i].offset] = bad[i].value;
		if (i == 5)
			golden[bad[i].offset + 1] = 0x10;
		assert_int_equal(fmt_footer_decode(slk_span(golden, len), &f), SLK_MALFORMED);
	}
}

static void
trailer_names_a_page(void **state)
{
	(void)state;
	uint8_t out[FMT_TRAILER_BYTES + 1] = {0};
	uint64_t position = 0;

	fmt_trailer_encode(12288, out);
	assert_ok(fmt_trailer_decode(slk_span(out, FMT_TRAILER_BYTES), &position));
	assert_int_equal(position, 12288);
	assert_int_equal(
		fmt_trailer_decode(slk_span(out, FMT_TRAILER_BYTES + 1), &position), SLK_MALFORMED);
	assert_int_equal(
		fmt_trailer_decode(slk_span(out, FMT_TRAILER_BYTES - 1), &position), SLK_TRUNCATED);
	fmt_trailer_encode(12289, out);
	assert_int_equal(
		fmt_trailer_decode(slk_span(out, FMT_TRAILER_BYTES), &position), SLK_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_and_round_trip),
		cmocka_unit_test(other_lengths_are_refused),
		cmocka_unit_test(senseless_entries_are_refused),
		cmocka_unit_test(trailer_names_a_page),
	};

	return cmocka_run_group_tests_name("format_footer", tests, NULL, NULL);
}
