#include "golden.h"

#include "format/record.h"

static void
two_records(struct fmt_record out[2])
{
	out[0] = (struct fmt_record){slk_span_str("pk"), slk_span_str("hello"),
		1700000000000000001ull, FMT_SOURCE_LISTENER};
	out[1] = (struct fmt_record){
		slk_span_str("q"), slk_span(NULL, 0), 1700000000000000002ull, FMT_SOURCE_PUT};
}

/* table, then bodies */
static size_t
encode(const struct fmt_record *records, uint32_t count, uint8_t *out)
{
	size_t len = fmt_record_table_bytes(count);

	for (uint32_t i = 0; i < count; i++) {
		fmt_record_entry_put(out + fmt_record_table_bytes(i), &records[i]);
		memcpy(out + len, records[i].key.ptr, records[i].key.len);
		len += records[i].key.len;
		if (records[i].data.len > 0)
			memcpy(out + len, records[i].data.ptr, records[i].data.len);
		len += records[i].data.len;
	}
	return len;
}

static void
golden_bytes_and_round_trip(void **state)
{
	(void)state;
	uint8_t golden[256], out[256];
	struct fmt_record in[2], r;
	struct fmt_record_iter it;
	size_t len = golden_read("record/two", golden, sizeof(golden));

	two_records(in);
	assert_int_equal(encode(in, 2, out), len - 4); /* the corpus puts a count in front */
	assert_memory_equal(out, golden + 4, len - 4);
	assert_ok(fmt_record_iter_init(&it, slk_span(out, len - 4), 2));
	for (unsigned i = 0; i < 2; i++) {
		assert_ok(fmt_record_iter_next(&it, &r));
		assert_true(slk_span_equal(r.key, in[i].key));
		assert_true(slk_span_equal(r.data, in[i].data));
		assert_int_equal(r.arrival_ns, in[i].arrival_ns);
		assert_int_equal(r.source, in[i].source);
	}
	assert_int_equal(fmt_record_iter_next(&it, &r), SLK_END);
}

static void
every_other_length_is_refused(void **state)
{
	(void)state;
	uint8_t out[256] = {0};
	struct fmt_record in[2];
	struct fmt_record_iter it;

	two_records(in);
	size_t len = encode(in, 2, out);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(fmt_record_iter_init(&it, slk_span(out, n), 2), SLK_TRUNCATED);
	assert_int_equal(fmt_record_iter_init(&it, slk_span(out, len + 1), 2), SLK_MALFORMED);
	assert_int_equal(fmt_record_iter_init(&it, slk_span(out, len), UINT32_MAX), SLK_TRUNCATED);
}

static void
reserved_bytes_sources_and_limits_are_checked(void **state)
{
	(void)state;
	static const struct {
		size_t offset;
		uint8_t value;
	} bad[] = {{3, 0xff}, {5, 0xff}, {6, 0}, {6, 3}, {7, 1}, {16, 1}, {23, 1}, {24 + 6, 9}};
	uint8_t out[256];
	struct fmt_record in[2];
	struct fmt_record_iter it;

	two_records(in);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t len = encode(in, 2, out);
		out[bad[i].offset] = bad[i].value;
		assert_int_equal(fmt_record_iter_init(&it, slk_span(out, len), 2), SLK_MALFORMED);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_and_round_trip),
		cmocka_unit_test(every_other_length_is_refused),
		cmocka_unit_test(reserved_bytes_sources_and_limits_are_checked),
	};

	return cmocka_run_group_tests_name("format_record", tests, NULL, NULL);
}
