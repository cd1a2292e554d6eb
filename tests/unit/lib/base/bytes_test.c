#include "slk_test.h"

#include <string.h>

#include "base/bytes.h"

static void
integers_keep_their_byte_order(void **state)
{
	(void)state;
	uint8_t b[8];
	slk_put_le32(b, 0x01020304);
	assert_memory_equal(b, "\x04\x03\x02\x01", 4);
	slk_put_be64(b, 0x0102030405060708ull);
	assert_memory_equal(b, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	assert_int_equal(slk_get_be16(b), 0x0102);
	assert_int_equal(slk_get_le16(b), 0x0201);
}

static void
reader_stops_at_the_end_and_stays_stopped(void **state)
{
	(void)state;
	struct slk_reader r = slk_reader(slk_span("\x01\x02\x03", 3));
	assert_int_equal(slk_read_le16(&r), 0x0201);
	assert_int_equal(slk_read_le32(&r), 0);
	assert_int_equal(r.status, SLK_TRUNCATED);
	assert_int_equal(r.len, 1);
	assert_int_equal(slk_read_u8(&r), 0); /* sticky, though a byte is left */
	assert_int_equal(slk_reader_end(&r), SLK_TRUNCATED);
}

static void
reader_reports_bytes_left_over(void **state)
{
	(void)state;
	struct slk_reader r = slk_reader(slk_span("ab", 2));
	(void)slk_read_u8(&r);
	assert_int_equal(slk_reader_end(&r), SLK_MALFORMED);
	(void)slk_read_u8(&r);
	assert_ok(slk_reader_end(&r));
}

static void
read_bytes_zeroes_its_output_on_overrun(void **state)
{
	(void)state;
	uint8_t out[4] = {9, 9, 9, 9};
	struct slk_reader r = slk_reader(slk_span("ab", 2));
	slk_read_bytes(&r, out, sizeof(out));
	assert_memory_equal(out, "\0\0\0\0", 4);
}

static void
writer_never_leaves_its_span(void **state)
{
	(void)state;
	uint8_t buf[6];
	memset(buf, 0xee, sizeof(buf));
	struct slk_writer w = slk_writer(buf, 5);
	slk_write_le32(&w, 7);
	slk_write_le16(&w, 1);
	assert_int_equal(w.status, SLK_FULL);
	assert_int_equal(w.len, 4);
	slk_write_u8(&w, 1);
	assert_int_equal(w.len, 4);
	assert_int_equal(buf[4], 0xee);
	assert_int_equal(buf[5], 0xee);
}

static void
hex_round_trips_and_refuses(void **state)
{
	(void)state;
	char text[9];
	uint8_t out[4] = {1, 1, 1, 1};
	slk_hex(slk_span("\x00\xff\x10\xab", 4), text, sizeof(text));
	assert_string_equal(text, "00ff10ab");
	assert_ok(slk_unhex("00FF10ab", out, 4));
	assert_memory_equal(out, "\x00\xff\x10\xab", 4);
	memset(out, 1, 4);
	assert_int_equal(slk_unhex("00ff10a", out, 4), SLK_MALFORMED);
	assert_int_equal(slk_unhex("00ff10ag", out, 4), SLK_MALFORMED);
	assert_memory_equal(out, "\1\1\1\1", 4);
	slk_hex(slk_span("abcd", 4), text, 8);
	assert_string_equal(text, "");
}

static void
crc32c_gives_the_published_value(void **state)
{
	(void)state;
	assert_int_equal(slk_crc32c(0, "123456789", 9), 0xe3069283);
	/* RFC 3720 B.4: 32 bytes of zeros. */
	uint8_t zeros[32] = {0};
	assert_int_equal(slk_crc32c(0, zeros, 32), 0x8a9136aa);
	/* In pieces. */
	assert_int_equal(slk_crc32c(slk_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
	assert_int_equal(slk_crc32c(0, NULL, 0), 0);
	assert_int_equal(slk_crc32c_unwind(0xe3069283, "123456789", 9), 0);
	assert_int_equal(slk_crc32c_unwind(0xe3069283, "56789", 5), slk_crc32c(0, "1234", 4));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_keep_their_byte_order),
		cmocka_unit_test(reader_stops_at_the_end_and_stays_stopped),
		cmocka_unit_test(reader_reports_bytes_left_over),
		cmocka_unit_test(read_bytes_zeroes_its_output_on_overrun),
		cmocka_unit_test(writer_never_leaves_its_span),
		cmocka_unit_test(hex_round_trips_and_refuses),
		cmocka_unit_test(crc32c_gives_the_published_value),
	};

	return cmocka_run_group_tests_name("base_bytes", tests, NULL, NULL);
}
