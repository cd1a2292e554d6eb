#include "golden.h"

#include "format/block.h"
#include "format/jfile.h"

#define SEED 0xa70f5a6bu /* of the salt 10 11 .. 1f */

static struct fmt_block
sample(void)
{
	return (struct fmt_block){
		.type = FMT_BLOCK_DATA,
		.total_bytes = 200,
		.file_id = 42,
		.position = 4336,
		.durable = 4096,
		.epoch_id = 42u << 24 | 7,
		.stream_id = 9,
		.shard = 1,
		.record_count = 2,
		.block_number = 5,
		.first_sequence = 100,
		.body_bytes = 56,
		.first_arrival_ns = 1700000000000000001ull,
		.last_arrival_ns = 1700000000000000002ull,
	};
}

static void
build_sample(uint8_t out[200])
{
	struct fmt_block b = sample();

	memset(out, 0xaa, 200);
	fmt_block_encode(&b, out);
	for (unsigned i = 0; i < 56; i++)
		out[FMT_BLOCK_HEADER_BYTES + i] = (uint8_t)(i * 7);
	for (unsigned i = 0; i < FMT_BLOCK_TAG_BYTES; i++)
		out[FMT_BLOCK_HEADER_BYTES + 56 + i] = (uint8_t)(0xe0 + i);
	fmt_block_finish(out, b.total_bytes, SEED);
}

static void
golden_bytes_and_round_trip(void **state)
{
	(void)state;
	uint8_t golden[200], out[200];
	struct fmt_block back, want = sample();

	assert_int_equal(golden_read("block/data", golden, sizeof(golden)), sizeof(golden));
	build_sample(out);
	assert_memory_equal(out, golden, sizeof(golden));
	assert_ok(fmt_block_check(slk_span(golden, sizeof(golden)), SEED, 42, 4336, &back));
	assert_int_equal(back.type, want.type);
	assert_int_equal(back.total_bytes, want.total_bytes);
	assert_int_equal(back.file_id, want.file_id);
	assert_int_equal(back.position, want.position);
	assert_int_equal(back.durable, want.durable);
	assert_int_equal(back.epoch_id, want.epoch_id);
	assert_int_equal(back.stream_id, want.stream_id);
	assert_int_equal(back.shard, want.shard);
	assert_int_equal(back.record_count, want.record_count);
	assert_int_equal(back.block_number, want.block_number);
	assert_int_equal(back.first_sequence, want.first_sequence);
	assert_int_equal(back.body_bytes, want.body_bytes);
	assert_int_equal(back.first_arrival_ns, want.first_arrival_ns);
	assert_int_equal(back.last_arrival_ns, want.last_arrival_ns);
	assert_int_equal(fmt_block_body(golden, &back).ptr[1], 7);
	assert_int_equal(fmt_block_tag(golden, &back).ptr[0], 0xe0);
}

static void
golden_blocks_of_every_type_pass(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint64_t position;
		enum fmt_block_type type;
	} golden[] = {
		{"block/key", 4096, FMT_BLOCK_KEY},
		{"block/pad", 8192 - 200, FMT_BLOCK_PAD},
		{"block/shards", 4096, FMT_BLOCK_SHARDS},
		{"block/footer", 8192, FMT_BLOCK_FOOTER},
		{"block/trailer", (1 << 20) - 4096, FMT_BLOCK_TRAILER},
		{"block/lost", 12288, FMT_BLOCK_LOST},
		{"block/moved", 4336, FMT_BLOCK_MOVED},
	};
	uint8_t in[1024];
	struct fmt_block b;

	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		size_t len = golden_read(golden[i].name, in, sizeof(in));
		assert_ok(fmt_block_check(slk_span(in, len), SEED, 42, golden[i].position, &b));
		assert_int_equal(b.type, golden[i].type);
		assert_int_equal(b.total_bytes, len);
	}
}

/* The AAD stays that of the place it was sealed for, however often it moves on. */
static void
a_moved_block_keeps_what_it_was_sealed_with(void **state)
{
	(void)state;
	uint8_t first[200], aad[FMT_BLOCK_HEADER_BYTES], sealed[FMT_BLOCK_HEADER_BYTES];
	static uint8_t second[1024], third[1024];
	struct fmt_block b, moved;

	build_sample(first);
	assert_ok(fmt_block_decode(slk_span(first, sizeof(first)), &b));
	fmt_block_aad(first, aad);
	fmt_block_sealed_header(first, &b, sealed);
	assert_memory_equal(sealed, aad, sizeof(aad));
	fmt_block_move(first, &b, 50, 8192, 4096, second);
	fmt_block_finish(second, (uint32_t)fmt_block_total(FMT_BLOCK_MOVED, b.body_bytes), 1);
	assert_ok(fmt_block_check(slk_span(second, sizeof(second)), 1, 50, 8192, &moved));
	assert_int_equal(moved.type, FMT_BLOCK_MOVED);
	assert_int_equal(moved.first_sequence, b.first_sequence);
	assert_int_equal(moved.block_number, b.block_number);
	assert_memory_equal(fmt_block_tag(second, &moved).ptr, fmt_block_tag(first, &b).ptr, 16);
	fmt_block_sealed_header(second, &moved, sealed);
	assert_memory_equal(sealed, aad, sizeof(aad));
	fmt_block_move(second, &moved, 51, 4096, 4096, third);
	fmt_block_finish(third, moved.total_bytes, 2);
	assert_ok(fmt_block_check(slk_span(third, sizeof(third)), 2, 51, 4096, &moved));
	fmt_block_sealed_header(third, &moved, sealed);
	assert_memory_equal(sealed, aad, sizeof(aad));
}

/* It can only come from an earlier file. */
static void
a_moved_block_from_nowhere_is_refused(void **state)
{
	(void)state;
	static uint8_t raw[1024];
	struct fmt_block b;

	size_t len = golden_read("block/moved", raw, sizeof(raw));
	assert_ok(fmt_block_check(slk_span(raw, len), SEED, 42, 4336, &b));
	uint8_t *origin = raw + FMT_BLOCK_HEADER_BYTES + b.body_bytes + FMT_BLOCK_TAG_BYTES;
	for (unsigned i = 0; i < 4; i++) {
		static const uint64_t bad[4][3] = {
			{42, 8192, 4096}, {0, 8192, 4096}, {41, 8193, 4096}, {41, 8192, 8200}};
		for (unsigned k = 0; k < 3; k++)
			slk_put_le64(origin + 8 * k, bad[i][k]);
		fmt_block_finish(raw, b.total_bytes, SEED);
		assert_int_equal(
			fmt_block_check(slk_span(raw, len), SEED, 42, 4336, &b), SLK_MALFORMED);
	}
}

/* A file that has lost its header page: any of its blocks tells the seed, and a salt is found that gives it. */
static void
a_block_tells_the_seed_it_was_made_with(void **state)
{
	(void)state;
	uint8_t out[200], salt[FMT_JFILE_SALT_BYTES];

	build_sample(out);
	assert_int_equal(fmt_block_seed(slk_span(out, sizeof(out))), SEED);
	fmt_jfile_salt_for(SEED, salt);
	assert_int_equal(fmt_jfile_crc_seed(salt), SEED);
	out[150] ^= 1;
	assert_int_not_equal(fmt_block_seed(slk_span(out, sizeof(out))), SEED);
}

static void
every_flipped_bit_is_refused(void **state)
{
	(void)state;
	uint8_t out[200];
	struct fmt_block b;

	build_sample(out);
	for (size_t bit = 0; bit < 8 * sizeof(out); bit++) {
		out[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_not_equal(
			fmt_block_check(slk_span(out, sizeof(out)), SEED, 42, 4336, &b), SLK_OK);
		out[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
}

static void
a_block_of_another_file_position_or_salt_is_refused(void **state)
{
	(void)state;
	uint8_t out[200];
	struct fmt_block b;

	build_sample(out);
	assert_int_equal(fmt_block_check(slk_span(out, 200), SEED, 43, 4336, &b), SLK_BAD_CRC);
	assert_int_equal(fmt_block_check(slk_span(out, 200), SEED, 42, 4344, &b), SLK_BAD_CRC);
	assert_int_equal(fmt_block_check(slk_span(out, 200), SEED ^ 1, 42, 4336, &b), SLK_BAD_CRC);
	for (size_t n = 0; n < 200; n++)
		assert_int_equal(
			fmt_block_check(slk_span(out, n), SEED, 42, 4336, &b), SLK_TRUNCATED);
}

/* Each with a right CRC: a writer that went wrong, not a disk. */
static void
fields_that_a_type_does_not_have_are_refused(void **state)
{
	(void)state;
	struct fmt_block bad[10], b;
	uint8_t out[256];

	for (unsigned i = 0; i < 10; i++)
		bad[i] = sample();
	bad[0].record_count = 0;
	bad[1].record_count = 3; /* table does not fit */
	bad[2].first_sequence = UINT64_MAX - 1; /* runs over */
	bad[3].first_arrival_ns = bad[3].last_arrival_ns + 1;
	bad[4].total_bytes = 208;
	bad[5].durable = 4344; /* behind itself */
	bad[6] = (struct fmt_block){
		.type = FMT_BLOCK_PAD, .total_bytes = 128, .file_id = 42, .stream_id = 1};
	bad[7] = (struct fmt_block){
		.type = FMT_BLOCK_KEY, .total_bytes = 128, .file_id = 42, .shard = 1};
	bad[8] = (struct fmt_block){
		.type = (enum fmt_block_type)9, .total_bytes = 128, .file_id = 42};
	bad[9] = (struct fmt_block){
		.type = (enum fmt_block_type)0, .total_bytes = 128, .file_id = 42};
	for (unsigned i = 0; i < 10; i++) {
		memset(out, 0, sizeof(out));
		fmt_block_encode(&bad[i], out);
		fmt_block_finish(out, bad[i].total_bytes, SEED);
		assert_int_equal(
			fmt_block_check(slk_span(out, sizeof(out)), SEED, 42, bad[i].position, &b),
			SLK_MALFORMED);
	}
}

static void
aad_is_the_header_with_a_zero_crc(void **state)
{
	(void)state;
	uint8_t out[200], want[FMT_BLOCK_HEADER_BYTES], aad[FMT_BLOCK_HEADER_BYTES];
	struct fmt_block b = sample();

	build_sample(out);
	fmt_block_encode(&b, want);
	assert_memory_not_equal(out, want, sizeof(want));
	fmt_block_aad(out, aad);
	assert_memory_equal(aad, want, sizeof(want));
}

static void
totals_are_rounded_to_eight(void **state)
{
	(void)state;
	assert_int_equal(fmt_block_total(FMT_BLOCK_PAD, 0), 128);
	assert_int_equal(fmt_block_total(FMT_BLOCK_KEY, 1), 136);
	assert_int_equal(fmt_block_total(FMT_BLOCK_DATA, 24), 168);
	assert_int_equal(fmt_block_total(FMT_BLOCK_DATA, 25), 176);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_and_round_trip),
		cmocka_unit_test(golden_blocks_of_every_type_pass),
		cmocka_unit_test(a_moved_block_keeps_what_it_was_sealed_with),
		cmocka_unit_test(a_moved_block_from_nowhere_is_refused),
		cmocka_unit_test(a_block_tells_the_seed_it_was_made_with),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(a_block_of_another_file_position_or_salt_is_refused),
		cmocka_unit_test(fields_that_a_type_does_not_have_are_refused),
		cmocka_unit_test(aad_is_the_header_with_a_zero_crc),
		cmocka_unit_test(totals_are_rounded_to_eight),
	};

	return cmocka_run_group_tests_name("format_block", tests, NULL, NULL);
}
