/* Threats, row 24: whatever is done to a log, the walk names the first bad entry. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "golden.h"
#include "seal/auditchain.h"

#define TIME_NS 1795507200123456789ull
#define LINES 8u

static struct seal_chain *chain;
static uint8_t file[1 << 14];
static size_t file_len, starts[LINES + 2]; /* where line i (0: the header) begins */
static struct fmt_audit_point point;
static struct seal_scan_result result;

static void
finish(struct slk_writer *w, size_t begin, const char *previous, char hash[FMT_AUDIT_HASH_TEXT])
{
	assert_ok(
		seal_chain_step(chain, previous, slk_span(w->base + begin, w->len - begin), hash));
	fmt_audit_put_end(w, hash);
	assert_ok(w->status);
}

static void
put_header(struct slk_writer *w, const struct fmt_audit_point *previous)
{
	char hash[FMT_AUDIT_HASH_TEXT];
	size_t begin = w->len;

	fmt_audit_put_header(w, TIME_NS, previous);
	finish(w, begin, previous->hash, hash);
}

static void
put_use(struct slk_writer *w, struct fmt_audit_point *p, unsigned number, const uint64_t *durable)
{
	char body[64];
	size_t begin = w->len;

	int len = snprintf(body, sizeof(body), "{\"eventVersion\":\"1.11\",\"n\":%u", number);
	slk_write_bytes(w, body, (size_t)len);
	fmt_audit_put_seal(w, p, true, durable);
	finish(w, begin, p->hash, p->hash);
	p->seq++;
}

/* Eight lines in four writes of two. */
static int
setup(void **state)
{
	(void)state;
	struct slk_writer w = slk_writer(file, sizeof(file));

	assert_ok(seal_chain_new(&chain));
	point = fmt_audit_begin;
	put_header(&w, &point);
	for (unsigned i = 1; i <= LINES; i++) {
		uint64_t durable = i - 1;
		starts[i] = w.len;
		put_use(&w, &point, i, i % 2 == 1 ? &durable : NULL);
	}
	starts[LINES + 1] = file_len = w.len;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	seal_chain_free(chain);
	return 0;
}

static int
walk(const uint8_t *bytes, size_t len)
{
	struct seal_scan *scan = NULL;

	assert_ok(seal_scan_new(64, &scan));
	int rc = seal_scan_file(scan, slk_span(bytes, len), NULL, NULL, &result);
	if (rc == SLK_OK)
		point = *seal_scan_point(scan);
	seal_scan_free(scan);
	return rc;
}

static void
assert_bad(int rc, enum seal_scan_fault fault, unsigned line, size_t offset)
{
	assert_int_equal(rc, SLK_CORRUPT);
	assert_int_equal(result.fault, fault);
	assert_int_equal(result.line_number, line + 1);
	assert_int_equal(result.offset, offset);
	assert_true(result.text[0] != '\0');
}

static void
sound_log_is_sound_to_its_end(void **state)
{
	(void)state;
	assert_ok(walk(file, file_len));
	assert_int_equal(point.seq, LINES);
	assert_int_equal(result.fault, SEAL_SCAN_SOUND);
	assert_int_equal(result.offset, file_len);
}

/* Golden bytes: the chain is SHA-256 of 64 digits and the line, whatever computes it. */
static void
golden_log_is_sound(void **state)
{
	(void)state;
	static uint8_t golden[1 << 14];
	size_t len = golden_read("audit/golden", golden, sizeof(golden));

	assert_int_equal(len, file_len);
	assert_memory_equal(golden, file, len);
}

static void
every_flipped_bit_names_its_line(void **state)
{
	(void)state;
	for (unsigned line = 0; line <= LINES; line++)
		for (size_t i = starts[line]; i < starts[line + 1]; i++)
			for (unsigned bit = 0; bit < 8; bit++) {
				file[i] ^= (uint8_t)(1u << bit);
				int rc = walk(file, file_len);
				if (rc != SLK_CORRUPT || result.line_number != line + 1 ||
					result.offset != starts[line])
					fail_msg("byte %zu, bit %u: line %u", i, bit, line);
				file[i] ^= (uint8_t)(1u << bit);
			}
}

static void
every_removed_line_is_missed(void **state)
{
	(void)state;
	uint8_t copy[sizeof(file)];

	for (unsigned line = 1; line < LINES; line++) {
		size_t rest = file_len - starts[line + 1];
		memcpy(copy, file, starts[line]);
		memcpy(copy + starts[line], file + starts[line + 1], rest);
		assert_bad(walk(copy, starts[line] + rest), SEAL_SCAN_MISSING, line, starts[line]);
	}
}

static void
every_repeated_line_is_one_too_many(void **state)
{
	(void)state;
	uint8_t copy[2 * sizeof(file)];

	for (unsigned line = 1; line <= LINES; line++) {
		size_t len = starts[line + 1] - starts[line];
		memcpy(copy, file, starts[line + 1]);
		memcpy(copy + starts[line + 1], file + starts[line], file_len - starts[line]);
		assert_bad(walk(copy, file_len + len), SEAL_SCAN_EXTRA, line + 1, starts[line + 1]);
	}
}

static void
line_put_in_with_a_fitting_number_and_hash_is_found_at_the_next(void **state)
{
	(void)state;
	uint8_t copy[2 * sizeof(file)];
	struct slk_writer w = slk_writer(copy, sizeof(copy));
	struct fmt_audit_line before;

	slk_write_bytes(&w, file, starts[4]);
	assert_ok(fmt_audit_decode(slk_span(file + starts[3], starts[4] - starts[3] - 1), &before));
	struct fmt_audit_point p = before.self;
	put_use(&w, &p, 666, NULL);
	size_t forged = w.len;
	slk_write_bytes(&w, file + starts[4], file_len - starts[4]);
	assert_ok(w.status);
	assert_bad(walk(copy, w.len), SEAL_SCAN_EXTRA, 5, forged);
	/* In place of line 4: the next one does not fit any more. */
	memmove(copy + forged, copy + forged + (starts[5] - starts[4]), file_len - starts[5]);
	assert_bad(walk(copy, forged + file_len - starts[5]), SEAL_SCAN_CHANGED, 5, forged);
}

static void
swapped_lines_are_found(void **state)
{
	(void)state;
	uint8_t copy[sizeof(file)];
	size_t len = starts[6] - starts[5];

	memcpy(copy, file, file_len);
	memcpy(copy + starts[4], file + starts[5], len);
	memcpy(copy + starts[4] + len, file + starts[4], starts[5] - starts[4]);
	assert_bad(walk(copy, file_len), SEAL_SCAN_MISSING, 4, starts[4]);
}

static void
cut_within_a_line_is_told_and_between_lines_is_left_to_the_heads(void **state)
{
	(void)state;
	for (size_t len = starts[1] + 1; len < file_len; len++) {
		unsigned line = 1;
		while (starts[line + 1] <= len)
			line++;
		int rc = walk(file, len);
		if (len == starts[line]) {
			assert_ok(rc);
			assert_int_equal(point.seq, line - 1);
		} else {
			assert_bad(rc, SEAL_SCAN_TORN, line, starts[line]);
		}
	}
}

static void
file_without_its_header_is_refused(void **state)
{
	(void)state;
	assert_bad(walk(file + starts[1], file_len - starts[1]), SEAL_SCAN_NO_HEADER, 0, 0);
	assert_bad(walk(file, 0), SEAL_SCAN_NO_HEADER, 0, 0);
}

static void
files_are_one_chain_in_their_order_only(void **state)
{
	(void)state;
	uint8_t second[4096];
	struct slk_writer w = slk_writer(second, sizeof(second));
	struct fmt_audit_point p = point;
	struct seal_scan *scan = NULL;

	put_header(&w, &p);
	put_use(&w, &p, 9, NULL);
	assert_ok(seal_scan_new(64, &scan));
	assert_ok(seal_scan_file(scan, slk_span(file, file_len), NULL, NULL, &result));
	assert_ok(seal_scan_file(scan, slk_span(second, w.len), NULL, NULL, &result));
	assert_int_equal(seal_scan_point(scan)->seq, LINES + 1);
	seal_scan_free(scan);
	assert_ok(seal_scan_new(64, &scan)); /* the end of the first file is cut off */
	assert_ok(seal_scan_file(scan, slk_span(file, starts[LINES]), NULL, NULL, &result));
	assert_int_equal(
		seal_scan_file(scan, slk_span(second, w.len), NULL, NULL, &result), SLK_CORRUPT);
	assert_int_equal(result.fault, SEAL_SCAN_OTHER_CHAIN);
	seal_scan_free(scan);
}

/* What a file that was given up held beyond its durable end comes again, and must be the same. */
static void
lines_that_come_again_must_be_the_same(void **state)
{
	(void)state;
	uint8_t second[4096];
	struct seal_scan *scan = NULL;

	for (int other = 0; other < 2; other++) {
		struct slk_writer w = slk_writer(second, sizeof(second));
		struct fmt_audit_line six;
		assert_ok(fmt_audit_decode(
			slk_span(file + starts[6], starts[7] - starts[6] - 1), &six));
		put_header(&w, &six.self);
		if (other == 0)
			slk_write_bytes(&w, file + starts[7], file_len - starts[7]);
		else
			put_use(&w, &six.self, 666, NULL);
		assert_ok(seal_scan_new(64, &scan));
		assert_ok(seal_scan_file(scan, slk_span(file, file_len), NULL, NULL, &result));
		int rc = seal_scan_file(scan, slk_span(second, w.len), NULL, NULL, &result);
		assert_int_equal(rc, other == 0 ? SLK_OK : SLK_CORRUPT);
		if (other != 0)
			assert_int_equal(result.fault, SEAL_SCAN_OTHER_CHAIN);
		seal_scan_free(scan);
	}
}

/* A mark of a torn end covers what a crash left, and no line that was durable. */
static void
mark_of_a_torn_end_cannot_hide_durable_lines(void **state)
{
	(void)state;
	uint8_t copy[2 * sizeof(file)];

	for (unsigned first = 7; first >= 5; first -= 2) {
		struct slk_writer w = slk_writer(copy, sizeof(copy));
		struct fmt_audit_line before;
		char hash[FMT_AUDIT_HASH_TEXT];
		assert_ok(fmt_audit_decode(
			slk_span(file + starts[first - 1], starts[first] - starts[first - 1] - 1),
			&before));
		struct fmt_audit_point p = before.self;
		slk_write_bytes(&w, file, file_len);
		copy[starts[first] + 3] ^= 1; /* the first line of the torn part */
		size_t begin = w.len, torn = file_len - starts[first];
		assert_ok(seal_chain_sha256(chain, slk_span(copy + starts[first], torn), hash));
		fmt_audit_put_torn(&w, TIME_NS, starts[first], torn, hash);
		fmt_audit_put_seal(&w, &p, false, NULL);
		finish(&w, begin, p.hash, p.hash);
		int rc = walk(copy, w.len);
		if (first == 7) { /* one write was torn */
			assert_ok(rc);
			assert_int_equal(point.seq, 7);
		} else { /* line 7 says that line 6 was durable */
			assert_bad(rc, SEAL_SCAN_MALFORMED, first, starts[first]);
		}
	}
}

static void
resuming_finds_the_end_wherever_it_begins_to_read(void **state)
{
	(void)state;
	struct seal_scan_result damaged;
	struct seal_scan *scan = NULL;

	for (size_t from = 0; from < starts[LINES]; from++) {
		assert_ok(seal_scan_new(0, &scan));
		int rc = seal_scan_resume(
			scan, slk_span(file + from, file_len - from), from, &result, &damaged);
		assert_ok(rc);
		assert_int_equal(result.offset, file_len);
		assert_int_equal(damaged.fault, SEAL_SCAN_SOUND);
		assert_int_equal(seal_scan_point(scan)->seq, LINES);
		assert_string_equal(seal_scan_point(scan)->hash, point.hash);
		seal_scan_free(scan);
	}
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(sound_log_is_sound_to_its_end),
		CASE(golden_log_is_sound),
		CASE(every_flipped_bit_names_its_line),
		CASE(every_removed_line_is_missed),
		CASE(every_repeated_line_is_one_too_many),
		CASE(line_put_in_with_a_fitting_number_and_hash_is_found_at_the_next),
		CASE(swapped_lines_are_found),
		CASE(cut_within_a_line_is_told_and_between_lines_is_left_to_the_heads),
		CASE(file_without_its_header_is_refused),
		CASE(files_are_one_chain_in_their_order_only),
		CASE(lines_that_come_again_must_be_the_same),
		CASE(mark_of_a_torn_end_cannot_hide_durable_lines),
		CASE(resuming_finds_the_end_wherever_it_begins_to_read),
	};

	return cmocka_run_group_tests_name("seal_auditchain", tests, NULL, NULL);
}
