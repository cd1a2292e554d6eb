#include "golden.h"

#include "format/jfile.h"

static struct fmt_jfile_header
sample(void)
{
	struct fmt_jfile_header h = {
		.file_id = 42,
		.lane = 3,
		.capacity_bytes = 1 << 20,
		.created_ns = 1700000000123456789ull,
		.previous_id = 41,
		.run = 40,
	};

	for (unsigned i = 0; i < 16; i++) {
		h.journal_uuid[i] = (uint8_t)(0xa0 + i);
		h.salt[i] = (uint8_t)(0x10 + i);
	}
	return h;
}

static void
golden_bytes_and_round_trip(void **state)
{
	(void)state;
	static uint8_t golden[FMT_JFILE_PAGE_BYTES], out[FMT_JFILE_PAGE_BYTES];
	struct fmt_jfile_header h = sample(), back;

	assert_int_equal(golden_read("jfile/lane3", golden, sizeof(golden)), sizeof(golden));
	fmt_jfile_encode(&h, out);
	assert_memory_equal(out, golden, sizeof(golden));
	assert_ok(fmt_jfile_decode(slk_span(golden, sizeof(golden)), &back));
	assert_memory_equal(&back, &h, sizeof(h));
	h.previous_end = 8192;
	assert_int_equal(golden_read("jfile/left", golden, sizeof(golden)), sizeof(golden));
	fmt_jfile_encode(&h, out);
	assert_memory_equal(out, golden, sizeof(golden));
	assert_ok(fmt_jfile_decode(slk_span(golden, sizeof(golden)), &back));
	assert_memory_equal(&back, &h, sizeof(h));
}

static void
every_flipped_bit_is_refused(void **state)
{
	(void)state;
	static uint8_t out[FMT_JFILE_PAGE_BYTES];
	struct fmt_jfile_header h = sample(), back;

	fmt_jfile_encode(&h, out);
	for (size_t bit = 0; bit < 8 * sizeof(out); bit++) {
		out[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_not_equal(fmt_jfile_decode(slk_span(out, sizeof(out)), &back), SLK_OK);
		out[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
}

static void
senseless_headers_with_a_right_crc_are_refused(void **state)
{
	(void)state;
	static uint8_t out[FMT_JFILE_PAGE_BYTES];
	static const uint8_t zero[FMT_JFILE_PAGE_BYTES];
	struct fmt_jfile_header bad[10], back;

	for (unsigned i = 0; i < 10; i++)
		bad[i] = sample();
	bad[0].file_id = 0;
	bad[1].lane = FMT_JFILE_LANES_MAX;
	bad[2].capacity_bytes = 4097;
	bad[3].capacity_bytes = 4096;
	bad[4].previous_id = 42;
	bad[5].run = 0;
	bad[6].run = 43;
	bad[7].previous_end = 4088;
	bad[8].previous_end = 8196;
	bad[9].previous_end = 8192;
	bad[9].previous_id = 0;
	for (unsigned i = 0; i < 10; i++) {
		fmt_jfile_encode(&bad[i], out);
		assert_int_equal(
			fmt_jfile_decode(slk_span(out, sizeof(out)), &back), SLK_MALFORMED);
	}
	assert_int_equal(fmt_jfile_decode(slk_span(zero, sizeof(zero)), &back), SLK_MALFORMED);
	assert_int_equal(fmt_jfile_decode(slk_span(zero, 10), &back), SLK_TRUNCATED);
}

static void
names_are_parsed_exactly(void **state)
{
	(void)state;
	static const char *const foreign[] = {"", "x", "00000000000000000042",
		"0000000000000000042.slj", "00000000000000000000.slj",
		"00000000000000000042.slj.torn-8192", "spare-42.slj",
		"spare-spare-00000000000000000042.slj", "99999999999999999999.slj",
		"0000000000000000004x.slj"};
	char name[FMT_JFILE_NAME_MAX];
	enum fmt_jfile_kind kind;
	uint64_t id = 7;

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		assert_false(fmt_jfile_name_parse(foreign[i], &kind, &id));
	assert_int_equal(id, 7);
	fmt_jfile_name(FMT_JFILE_SPARE, UINT64_MAX, name);
	assert_string_equal(name, "spare-18446744073709551615.slj");
	assert_true(fmt_jfile_name_parse(name, &kind, &id));
	assert_int_equal(kind, FMT_JFILE_SPARE);
	assert_true(id == UINT64_MAX);
	fmt_jfile_name(FMT_JFILE_LANE, 42, name);
	assert_string_equal(name, "00000000000000000042.slj");
}

static void
another_salt_gives_another_seed(void **state)
{
	(void)state;
	struct fmt_jfile_header h = sample();

	assert_int_equal(fmt_jfile_crc_seed(h.salt), 0xa70f5a6b);
	h.salt[0] ^= 1;
	assert_int_not_equal(fmt_jfile_crc_seed(h.salt), 0xa70f5a6b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_and_round_trip),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(senseless_headers_with_a_right_crc_are_refused),
		cmocka_unit_test(names_are_parsed_exactly),
		cmocka_unit_test(another_salt_gives_another_seed),
	};

	return cmocka_run_group_tests_name("format_jfile", tests, NULL, NULL);
}
