#include "golden.h"

#include "format/watermark.h"

static struct fmt_watermark
sample(void)
{
	return (struct fmt_watermark){
		.change_count = 8,
		.file_id = 42,
		.position = 8192,
		.records = 11,
		.plain_bytes = 222,
		.opened_ns = 1700000000123456789ull,
		.pid = 4711,
	};
}

static void
golden_bytes_and_round_trip(void **state)
{
	(void)state;
	uint8_t golden[FMT_WATERMARK_BYTES], out[FMT_WATERMARK_BYTES];
	struct fmt_watermark m = sample(), back = {0};

	assert_int_equal(golden_read("watermark/lane", golden, sizeof(golden)), sizeof(golden));
	fmt_watermark_encode(&m, out);
	assert_memory_equal(out, golden, sizeof(golden));
	assert_ok(fmt_watermark_decode(slk_span(golden, sizeof(golden)), &back));
	assert_memory_equal(&back, &m, offsetof(struct fmt_watermark, pid) + sizeof(m.pid));
}

static void
half_changed_copies_ask_for_another_look(void **state)
{
	(void)state;
	uint8_t out[FMT_WATERMARK_BYTES];
	struct fmt_watermark m = sample(), back = {.position = 5};

	m.change_count = 7;
	fmt_watermark_encode(&m, out);
	assert_int_equal(fmt_watermark_decode(slk_span(out, sizeof(out)), &back), SLK_AGAIN);
	m.change_count = 8;
	fmt_watermark_encode(&m, out);
	for (size_t i = 8; i < sizeof(out); i++) {
		out[i] ^= 0x10;
		assert_int_equal(
			fmt_watermark_decode(slk_span(out, sizeof(out)), &back), SLK_AGAIN);
		out[i] ^= 0x10;
	}
	assert_int_equal(back.position, 5);
}

static void
an_unused_page_and_foreign_bytes_are_told_apart(void **state)
{
	(void)state;
	static const uint8_t zero[FMT_WATERMARK_BYTES];
	uint8_t out[FMT_WATERMARK_BYTES];
	struct fmt_watermark m = sample(), back;

	assert_int_equal(fmt_watermark_decode(slk_span(zero, sizeof(zero)), &back), SLK_NOT_FOUND);
	assert_int_equal(fmt_watermark_decode(slk_span(zero, 63), &back), SLK_TRUNCATED);
	fmt_watermark_encode(&m, out);
	out[0] = 'X';
	assert_int_equal(fmt_watermark_decode(slk_span(out, sizeof(out)), &back), SLK_MALFORMED);
	out[0] = 'S';
	out[4] = 2;
	assert_int_equal(fmt_watermark_decode(slk_span(out, sizeof(out)), &back), SLK_BAD_VERSION);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_and_round_trip),
		cmocka_unit_test(half_changed_copies_ask_for_another_look),
		cmocka_unit_test(an_unused_page_and_foreign_bytes_are_told_apart),
	};

	return cmocka_run_group_tests_name("format_watermark", tests, NULL, NULL);
}
