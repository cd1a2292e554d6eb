#include "golden.h"

#include "format/dirlist.h"

static struct fmt_dirlist
sample(void)
{
	struct fmt_dirlist l = {.generation = 7,
		.count = 2,
		.dirs = {{"/a/journal", FMT_DIRLIST_IN_USE}, {"/b/journal", FMT_DIRLIST_LEFT}}};

	for (unsigned i = 0; i < 16; i++)
		l.journal_uuid[i] = (uint8_t)(0xa0 + i);
	return l;
}

static void
golden_bytes_and_round_trip(void **state)
{
	(void)state;
	uint8_t golden[256], out[256];
	struct fmt_dirlist l = sample(), back;
	size_t len = 0;

	size_t want = golden_read("dirlist/two", golden, sizeof(golden));
	assert_ok(fmt_dirlist_encode(&l, out, sizeof(out), &len));
	assert_int_equal(len, want);
	assert_memory_equal(out, golden, want);
	assert_ok(fmt_dirlist_decode(slk_span(golden, want), &back));
	assert_int_equal(back.generation, 7);
	assert_int_equal(back.count, 2);
	assert_string_equal(back.dirs[0].path, "/a/journal");
	assert_string_equal(back.dirs[1].path, "/b/journal");
	assert_int_equal(back.dirs[1].state, FMT_DIRLIST_LEFT);
	assert_memory_equal(back.journal_uuid, l.journal_uuid, 16);
}

static void
every_flipped_bit_and_every_cut_is_refused(void **state)
{
	(void)state;
	uint8_t in[256];
	struct fmt_dirlist back;

	size_t len = golden_read("dirlist/two", in, sizeof(in));
	for (size_t bit = 0; bit < 8 * len; bit++) {
		in[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_not_equal(fmt_dirlist_decode(slk_span(in, len), &back), SLK_OK);
		in[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_int_not_equal(fmt_dirlist_decode(slk_span(in, cut), &back), SLK_OK);
}

static void
what_makes_no_sense_is_neither_written_nor_read(void **state)
{
	(void)state;
	struct fmt_dirlist l = sample(), back;
	uint8_t out[256];
	size_t len = 0;

	l.count = 0;
	assert_int_equal(fmt_dirlist_encode(&l, out, sizeof(out), &len), SLK_INVALID);
	l.count = FMT_DIRLIST_DIRS_MAX + 1;
	assert_int_equal(fmt_dirlist_encode(&l, out, sizeof(out), &len), SLK_INVALID);
	l = sample();
	strcpy(l.dirs[0].path, "relative");
	assert_int_equal(fmt_dirlist_encode(&l, out, sizeof(out), &len), SLK_INVALID);
	l = sample();
	assert_int_equal(fmt_dirlist_encode(&l, out, 60, &len), SLK_FULL);
	assert_int_equal(len, 0);
	assert_ok(fmt_dirlist_encode(&l, out, sizeof(out), &len));
	out[32] = 3; /* one more than there are */
	slk_put_le32(out + len - 4, slk_crc32c(0, out, len - 4));
	assert_int_equal(fmt_dirlist_decode(slk_span(out, len), &back), SLK_MALFORMED);
	out[32] = 1; /* one less: bytes are left */
	slk_put_le32(out + len - 4, slk_crc32c(0, out, len - 4));
	assert_int_equal(fmt_dirlist_decode(slk_span(out, len), &back), SLK_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_and_round_trip),
		cmocka_unit_test(every_flipped_bit_and_every_cut_is_refused),
		cmocka_unit_test(what_makes_no_sense_is_neither_written_nor_read),
	};
	return cmocka_run_group_tests_name("format_dirlist", tests, NULL, NULL);
}
