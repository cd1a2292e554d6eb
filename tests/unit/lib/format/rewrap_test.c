#include "golden.h"

#include <string.h>

#include "format/rewrap.h"

#define KEY "arn:aws:kms:local:000000000000:key/k"

static uint8_t golden[1024];
static size_t golden_len;

static int
setup(void **state)
{
	(void)state;
	golden_len = golden_read("rewrap/two", golden, sizeof(golden));
	return 0;
}

static struct slk_span
whole(void)
{
	return slk_span(golden, golden_len);
}

static void
golden_bytes_are_read(void **state)
{
	(void)state;
	struct fmt_rewrap f;
	struct fmt_rewrap_entry e;

	assert_ok(fmt_rewrap_decode(whole(), &f));
	assert_int_equal(f.header.number, 3);
	assert_int_equal(f.header.journal_uuid[0], 0xa0);
	assert_int_equal(f.header.count, 2);
	assert_int_equal(f.header.previous[31], 0x5f);
	struct slk_reader r = slk_reader(f.entries);
	assert_ok(fmt_rewrap_entry_decode(&r, &e));
	assert_int_equal(e.epoch_id, 42u << 24 | 7);
	assert_int_equal(e.stream_id, 9);
	assert_int_equal(e.commitment.ptr[31], 31);
	assert_true(slk_span_equal(e.key_arn, slk_span_str(KEY)));
	assert_true(slk_span_equal(e.wrapped, slk_span_str("blob!")));
	assert_ok(fmt_rewrap_entry_decode(&r, &e));
	assert_int_equal(e.epoch_id, 42u << 24 | 9);
	assert_ok(slk_reader_end(&r));
	assert_int_equal(f.trailer.signature.len, 70);
	assert_int_equal(f.trailer.public_key.len, 91);
	assert_true(slk_span_equal(
		f.trailer.key_arn, slk_span_str("arn:aws:kms:local:000000000000:key/a")));
}

static void
parts_round_trip(void **state)
{
	(void)state;
	uint8_t out[1024];
	struct fmt_rewrap f;
	struct fmt_rewrap_entry e;
	size_t at = FMT_REWRAP_HEADER_BYTES, len = 0;

	assert_ok(fmt_rewrap_decode(whole(), &f));
	assert_ok(fmt_rewrap_header_encode(&f.header, out));
	struct slk_reader r = slk_reader(f.entries);
	for (int i = 0; i < 2; i++) {
		assert_ok(fmt_rewrap_entry_decode(&r, &e));
		assert_int_equal(fmt_rewrap_entry_encode(&e, out + at, 56, &len), SLK_FULL);
		assert_ok(fmt_rewrap_entry_encode(&e, out + at, sizeof(out) - at, &len));
		assert_int_equal(len, fmt_rewrap_entry_bytes(&e));
		at += len;
	}
	assert_ok(fmt_rewrap_trailer_encode(&f.trailer, out + at, sizeof(out) - at, &len));
	assert_int_equal(at + len, golden_len);
	assert_memory_equal(out, golden, golden_len);
}

static void
every_truncation_and_a_byte_more_are_refused(void **state)
{
	(void)state;
	struct fmt_rewrap f;

	for (size_t n = 0; n < golden_len; n++)
		assert_int_equal(fmt_rewrap_decode(slk_span(golden, n), &f), SLK_TRUNCATED);
	assert_int_equal(fmt_rewrap_decode(slk_span(golden, golden_len + 1), &f), SLK_MALFORMED);
}

/* Offsets of bytes that have one right value only. */
static void
magics_versions_and_reserved_bytes_are_checked(void **state)
{
	(void)state;
	struct fmt_rewrap f;
	size_t trailer = 0;

	assert_ok(fmt_rewrap_decode(whole(), &f));
	trailer = f.signed_part.len;
	const size_t fixed[] = {
		0, 3, 44, 47, 88, 95, 96 + 52, 96 + 55, trailer, trailer + 10, trailer + 15};
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		golden[fixed[i]] ^= 1;
		assert_int_equal(fmt_rewrap_decode(whole(), &f), SLK_MALFORMED);
		golden[fixed[i]] ^= 1;
	}
	golden[4] = 2;
	assert_int_equal(fmt_rewrap_decode(whole(), &f), SLK_BAD_VERSION);
}

static void
counts_and_lengths_that_cannot_be_are_refused(void **state)
{
	(void)state;
	struct fmt_rewrap f = {.header = {.number = 77}};
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {{8, 0} /* number */, {40, 0}, {40, 1}, {40, 3}, {42, 2} /* count */,
		{48, 0} /* bytes of entries */, {96 + 48, 0} /* ARN */, {96 + 50, 0} /* blob */,
		{96 + 56, 0} /* NUL in the ARN */};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t was = golden[bad[i].at];
		golden[bad[i].at] = bad[i].value;
		assert_int_not_equal(fmt_rewrap_decode(whole(), &f), SLK_OK);
		golden[bad[i].at] = was;
	}
	assert_int_equal(f.header.number, 77);
	memset(golden + 48, 0xff, 8); /* a length that does not fit into any file */
	assert_int_not_equal(fmt_rewrap_decode(whole(), &f), SLK_OK);
}

static void
epochs_out_of_order_or_twice_are_refused(void **state)
{
	(void)state;
	struct fmt_rewrap f;
	size_t second = 96 + 56 + strlen(KEY) + 5;

	golden[second] = 7; /* the low byte of the second epoch id: twice */
	assert_int_equal(fmt_rewrap_decode(whole(), &f), SLK_MALFORMED);
	golden[second] = 6;
	assert_int_equal(fmt_rewrap_decode(whole(), &f), SLK_MALFORMED);
	golden[second] = 8;
	assert_ok(fmt_rewrap_decode(whole(), &f));
}

static void
what_is_outside_its_limits_is_not_written(void **state)
{
	(void)state;
	static uint8_t out[2 * FMT_KEYBLOCK_WRAPPED_MAX], big[FMT_KEYBLOCK_WRAPPED_MAX + 1];
	struct fmt_rewrap f;
	struct fmt_rewrap_entry e, bad;
	size_t len = 0;

	memset(big, 'x', sizeof(big));
	assert_ok(fmt_rewrap_decode(whole(), &f));
	struct slk_reader r = slk_reader(f.entries);
	assert_ok(fmt_rewrap_entry_decode(&r, &e));
	bad = e;
	bad.wrapped = slk_span(big, sizeof(big));
	assert_int_equal(fmt_rewrap_entry_encode(&bad, out, sizeof(out), &len), SLK_INVALID);
	bad = e;
	bad.key_arn = slk_span("a\0b", 3);
	assert_int_equal(fmt_rewrap_entry_encode(&bad, out, sizeof(out), &len), SLK_INVALID);
	bad = e;
	bad.commitment.len = 31;
	assert_int_equal(fmt_rewrap_entry_encode(&bad, out, sizeof(out), &len), SLK_INVALID);
	f.trailer.signature.len = 7;
	assert_int_equal(
		fmt_rewrap_trailer_encode(&f.trailer, out, sizeof(out), &len), SLK_INVALID);
	f.header.count = FMT_REWRAP_ENTRIES_MAX + 1;
	assert_int_equal(fmt_rewrap_header_encode(&f.header, out), SLK_INVALID);
	f.header.count = 1;
	f.header.number = 0;
	assert_int_equal(fmt_rewrap_header_encode(&f.header, out), SLK_INVALID);
}

static void
names_are_exact(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "rewrap-", "rewrap-1.slr",
		"rewrap-00000000000000000000.slr", "rewrap-00000000000000000042.slj",
		"rewrap-00000000000000000042.slr.new", "Rewrap-00000000000000000042.slr",
		"rewrap-0000000000000000004x.slr", "rewrap-99999999999999999999.slr",
		"00000000000000000042.slj"};
	char name[FMT_REWRAP_NAME_MAX];
	uint64_t number = 0;

	fmt_rewrap_name(42, name);
	assert_string_equal(name, "rewrap-00000000000000000042.slr");
	assert_true(fmt_rewrap_name_parse(name, &number));
	assert_int_equal(number, 42);
	fmt_rewrap_name(UINT64_MAX, name);
	assert_true(fmt_rewrap_name_parse(name, &number));
	assert_true(number == UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(fmt_rewrap_name_parse(bad[i], &number));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(golden_bytes_are_read, setup),
		cmocka_unit_test_setup(parts_round_trip, setup),
		cmocka_unit_test_setup(every_truncation_and_a_byte_more_are_refused, setup),
		cmocka_unit_test_setup(magics_versions_and_reserved_bytes_are_checked, setup),
		cmocka_unit_test_setup(counts_and_lengths_that_cannot_be_are_refused, setup),
		cmocka_unit_test_setup(epochs_out_of_order_or_twice_are_refused, setup),
		cmocka_unit_test_setup(what_is_outside_its_limits_is_not_written, setup),
		cmocka_unit_test(names_are_exact),
	};

	return cmocka_run_group_tests_name("format_rewrap", tests, NULL, NULL);
}
