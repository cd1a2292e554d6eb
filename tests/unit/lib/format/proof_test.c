#include "golden.h"

#include <string.h>

#include "format/proof.h"

static uint8_t golden[1024];
static size_t golden_len;

static int
setup(void **state)
{
	(void)state;
	golden_len = golden_read("proof/three", golden, sizeof(golden));
	return 0;
}

/* The index-th record of the golden bytes. */
static struct fmt_proof_record
record(unsigned index, size_t *out_at)
{
	struct fmt_proof_record r;

	*out_at = 0;
	for (;;) {
		assert_ok(fmt_proof_decode(slk_span(golden + *out_at, golden_len - *out_at), &r));
		if (index-- == 0)
			return r;
		*out_at += r.bytes;
	}
}

static void
golden_bytes_are_read(void **state)
{
	(void)state;
	size_t at;
	struct fmt_proof_record r = record(0, &at);

	assert_int_equal(r.type, FMT_PROOF_PIECES);
	assert_int_equal(r.position, 0);
	assert_int_equal(r.count, 2);
	assert_int_equal(slk_get_le32(r.entries.ptr + FMT_PROOF_PIECE_BYTES), 240);
	r = record(1, &at);
	assert_int_equal(r.type, FMT_PROOF_STATEMENT);
	assert_int_equal(r.raw.len, FMT_PROOF_STATEMENT_BYTES);
	assert_int_equal(r.statement.journal_uuid[0], 0xa0);
	assert_int_equal(r.statement.file_id, 42);
	assert_int_equal(r.statement.lane, 3);
	assert_int_equal(r.statement.flags, FMT_PROOF_FINAL | FMT_PROOF_BY_RECOVERY);
	assert_int_equal(r.statement.position, 4336);
	assert_int_equal(r.statement.plain_bytes, 222);
	assert_int_equal(r.statement.previous_id, 41);
	assert_int_equal(r.statement.previous_hash[31], 31);
	assert_int_equal(r.statement.made_ns, 1700000000123456789ull);
	r = record(2, &at);
	assert_int_equal(r.type, FMT_PROOF_SIGNATURE);
	assert_int_equal(r.signature.signature.len, 70);
	assert_int_equal(r.signature.public_key.len, 91);
	assert_int_equal(at + r.bytes, golden_len);
}

static void
records_round_trip(void **state)
{
	(void)state;
	uint8_t out[1024];
	size_t at, len = 0;
	struct fmt_proof_record r = record(0, &at);

	assert_ok(fmt_proof_pieces_encode(r.position, r.entries, out, sizeof(out), &len));
	assert_int_equal(len, r.bytes);
	assert_memory_equal(out, golden + at, len);
	r = record(1, &at);
	assert_ok(fmt_proof_statement_encode(&r.statement, out, sizeof(out), &len));
	assert_memory_equal(out, golden + at, len);
	r = record(2, &at);
	assert_ok(fmt_proof_signature_encode(&r.signature, out, sizeof(out), &len));
	assert_memory_equal(out, golden + at, len);
	assert_int_equal(fmt_proof_signature_encode(&r.signature, out, len - 1, &len), SLK_FULL);
}

static void
each_flipped_bit_and_each_cut_is_refused(void **state)
{
	(void)state;
	size_t at;

	for (unsigned i = 0; i < 3; i++) {
		struct fmt_proof_record r = record(i, &at), kept = {0};
		for (size_t len = 0; len < r.bytes; len++)
			assert_int_not_equal(
				fmt_proof_decode(slk_span(golden + at, len), &kept), SLK_OK);
		for (size_t bit = 0; bit < 8 * r.bytes; bit++) {
			golden[at + bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_not_equal(
				fmt_proof_decode(slk_span(golden + at, r.bytes), &kept), SLK_OK);
			golden[at + bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		assert_int_equal(kept.bytes, 0);
	}
}

static void
what_is_outside_the_limits_is_not_written(void **state)
{
	(void)state;
	uint8_t out[1024];
	size_t at, len = 7;
	struct fmt_proof_statement s = record(1, &at).statement;
	struct fmt_proof_signature g = record(2, &at).signature;

	s.flags = 16;
	assert_int_equal(fmt_proof_statement_encode(&s, out, sizeof(out), &len), SLK_INVALID);
	s.flags = 0;
	s.previous_id = s.file_id;
	assert_int_equal(fmt_proof_statement_encode(&s, out, sizeof(out), &len), SLK_INVALID);
	g.signature.len = 7;
	assert_int_equal(fmt_proof_signature_encode(&g, out, sizeof(out), &len), SLK_INVALID);
	assert_int_equal(fmt_proof_pieces_encode(0, slk_span(golden, 35), out, sizeof(out), &len),
		SLK_INVALID);
	assert_int_equal(len, 7);
}

static void
names_are_exact(void **state)
{
	(void)state;
	char name[FMT_PROOF_NAME_MAX];
	uint64_t id = 0;

	fmt_proof_name(42, name);
	assert_string_equal(name, "00000000000000000042.slp");
	assert_true(fmt_proof_name_parse(name, &id));
	assert_int_equal(id, 42);
	assert_false(fmt_proof_name_parse("00000000000000000042.slj", &id));
	assert_false(fmt_proof_name_parse("0000000000000000042.slp", &id));
	assert_false(fmt_proof_name_parse("99999999999999999999.slp", &id));
	assert_false(fmt_proof_name_parse("00000000000000000042.slp~", &id));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_are_read),
		cmocka_unit_test(records_round_trip),
		cmocka_unit_test(each_flipped_bit_and_each_cut_is_refused),
		cmocka_unit_test(what_is_outside_the_limits_is_not_written),
		cmocka_unit_test(names_are_exact),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
