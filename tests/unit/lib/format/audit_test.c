#include "slk_test.h"

#include "format/audit.h"

#define TIME_NS 1795507200123456789ull
#define T "\"2026-11-24T08:00:00.123456Z\""
#define H "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define H2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static const struct fmt_audit_point point = {41, H};

static struct fmt_audit_line
decode(const char *text)
{
	struct fmt_audit_line line = {.kind = FMT_AUDIT_OTHER};

	if (fmt_audit_decode(slk_span_str(text), &line) != SLK_OK)
		fail_msg("does not decode: %s", text);
	return line;
}

static int
try_decode(const char *text)
{
	struct fmt_audit_line line;

	return fmt_audit_decode(slk_span_str(text), &line);
}

static uint8_t out[4096];

/* The text that was written, without the newline at its end. */
static const char *
finished(struct slk_writer *w)
{
	assert_ok(w->status);
	assert_int_equal(out[w->len - 1], '\n');
	out[w->len - 1] = '\0';
	return (const char *)out;
}

/* --- golden bytes and round trips --- */

static void
header_has_its_golden_bytes_and_comes_back(void **state)
{
	(void)state;
	struct slk_writer w = slk_writer(out, sizeof(out));

	fmt_audit_put_header(&w, TIME_NS, &point);
	size_t covered = w.len;
	fmt_audit_put_end(&w, H2);
	const char *text = finished(&w);
	assert_string_equal(text,
		"{\"kind\":\"header\",\"version\":1,\"eventTime\":" T
		",\"previous\":{\"seq\":41,\"hash\":\"" H "\"},\"hash\":\"" H2 "\"}");
	struct fmt_audit_line l = decode(text);
	assert_int_equal(l.kind, FMT_AUDIT_HEADER);
	assert_int_equal(l.covered.len, covered);
	assert_int_equal(l.named.seq, 41);
	assert_string_equal(l.named.hash, H);
	assert_string_equal(l.self.hash, H2);
	assert_int_equal(l.self.seq, 0);
}

static void
head_has_its_golden_bytes_and_comes_back(void **state)
{
	(void)state;
	struct slk_writer w = slk_writer(out, sizeof(out));

	fmt_audit_put_head(&w, TIME_NS, &point, "QUJD", "REVG");
	fmt_audit_put_seal(&w, &(struct fmt_audit_point){99, H2}, false, NULL);
	fmt_audit_put_end(&w, H2);
	const char *text = finished(&w);
	assert_string_equal(text,
		"{\"kind\":\"head\",\"eventTime\":" T ",\"of\":{\"seq\":41,\"hash\":\"" H
		"\"},\"publicKey\":\"QUJD\",\"signature\":\"REVG\",\"seq\":100,\"hash\":\"" H2
		"\"}");
	struct fmt_audit_line l = decode(text);
	assert_int_equal(l.kind, FMT_AUDIT_HEAD);
	assert_int_equal(l.self.seq, 100);
	assert_int_equal(l.named.seq, 41);
	assert_memory_equal(l.public_key.ptr, "QUJD", 4);
	assert_memory_equal(l.signature.ptr, "REVG", 4);
	assert_false(l.says_durable);
}

static void
torn_and_withheld_have_their_golden_bytes_and_come_back(void **state)
{
	(void)state;
	const uint64_t durable = 7;
	struct slk_writer w = slk_writer(out, sizeof(out));

	fmt_audit_put_torn(&w, TIME_NS, 1000, 17, H);
	fmt_audit_put_seal(&w, &point, false, &durable);
	fmt_audit_put_end(&w, H2);
	const char *text = finished(&w);
	assert_string_equal(text,
		"{\"kind\":\"torn\",\"eventTime\":" T ",\"at\":1000,\"bytes\":17,\"sha256\":\"" H
		"\",\"durable\":7,\"seq\":42,\"hash\":\"" H2 "\"}");
	struct fmt_audit_line l = decode(text);
	assert_int_equal(l.kind, FMT_AUDIT_TORN);
	assert_int_equal(l.torn_at, 1000);
	assert_int_equal(l.torn_bytes, 17);
	assert_true(l.says_durable);
	assert_int_equal(l.durable, 7);
	w = slk_writer(out, sizeof(out));
	fmt_audit_put_withheld(&w, TIME_NS, 3, 9, 2);
	fmt_audit_put_seal(&w, &point, false, NULL);
	fmt_audit_put_end(&w, H2);
	l = decode(finished(&w));
	assert_int_equal(l.kind, FMT_AUDIT_WITHHELD);
	assert_int_equal(l.first, 3);
	assert_int_equal(l.last, 9);
	assert_int_equal(l.uncounted, 2);
}

static void
use_gets_an_event_id_of_the_hash_before_it(void **state)
{
	(void)state;
	struct slk_writer w = slk_writer(out, sizeof(out));

	slk_write_bytes(&w, "{\"eventVersion\":\"1\"", 19);
	fmt_audit_put_seal(&w, &point, true, NULL);
	fmt_audit_put_end(&w, H2);
	const char *text = finished(&w);
	assert_string_equal(text,
		"{\"eventVersion\":\"1\",\"eventID\":\"01234567-89ab-8def-8123-456789abcdef\","
		"\"seq\":42,\"hash\":\"" H2 "\"}");
	assert_int_equal(decode(text).kind, FMT_AUDIT_USE);
}

static void
kind_of_a_later_release_is_a_link_of_the_chain(void **state)
{
	(void)state;
	struct fmt_audit_line l =
		decode("{\"kind\":\"usage\",\"x\":{\"seq\":3},\"seq\":42,\"hash\":\"" H2 "\"}");

	assert_int_equal(l.kind, FMT_AUDIT_OTHER);
	assert_int_equal(l.self.seq, 42);
}

static void
text_of_a_head_is_what_the_document_says(void **state)
{
	(void)state;
	char text[FMT_AUDIT_HEAD_TEXT_MAX];

	size_t len = fmt_audit_head_text(&point, text);
	assert_int_equal(len, strlen(text));
	assert_string_equal(text, "sealock-audit-head-1 41 " H "\n");
}

static void
seals_and_notes_fit_their_limits(void **state)
{
	(void)state;
	const uint64_t most = (1ull << 53) - 1;
	const struct fmt_audit_point last = {most, H};
	char key[FMT_AUDIT_KEY_MAX + 1], signature[FMT_AUDIT_SIGNATURE_MAX + 1];
	struct slk_writer w = slk_writer(out, FMT_AUDIT_SEAL_MAX);

	fmt_audit_put_seal(&w, &last, true, &most);
	fmt_audit_put_end(&w, H);
	assert_ok(w.status);
	w = slk_writer(out, FMT_AUDIT_HEADER_MAX);
	fmt_audit_put_header(&w, UINT64_MAX, &last);
	fmt_audit_put_end(&w, H);
	assert_ok(w.status);
	memset(key, 'A', sizeof(key) - 1);
	memset(signature, 'A', sizeof(signature) - 1);
	key[sizeof(key) - 1] = signature[sizeof(signature) - 1] = '\0';
	w = slk_writer(out, FMT_AUDIT_NOTE_MAX);
	fmt_audit_put_head(&w, UINT64_MAX, &last, key, signature);
	assert_ok(w.status);
	w = slk_writer(out, FMT_AUDIT_NOTE_MAX);
	fmt_audit_put_withheld(&w, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX);
	assert_ok(w.status);
}

/* --- what is refused --- */

static void
every_cut_and_every_other_byte_of_a_head_is_refused_or_another(void **state)
{
	(void)state;
	static const char good[] =
		"{\"kind\":\"head\",\"eventTime\":" T ",\"of\":{\"seq\":41,\"hash\":\"" H
		"\"},\"publicKey\":\"QUJD\",\"signature\":\"REVG\","
		"\"seq\":100,\"hash\":\"" H2 "\"}";
	static char text[sizeof(good)];
	struct fmt_audit_line line;

	for (size_t len = 0; len + 1 < sizeof(good); len++)
		assert_int_not_equal(fmt_audit_decode(slk_span(good, len), &line), SLK_OK);
	for (size_t i = 0; i + 1 < sizeof(good); i++) {
		memcpy(text, good, sizeof(good));
		text[i] = '\n';
		assert_int_equal(try_decode(text), SLK_MALFORMED);
	}
}

static void
bad_lines_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "{}", "x",
		"{\"kind\":\"x\",\"seq\":0,\"hash\":\"" H "\"}", /* no line has number 0 */
		"{\"kind\":\"x\",\"seq\":01,\"hash\":\"" H "\"}", /* leading zero */
		"{\"kind\":\"x\",\"seq\":-1,\"hash\":\"" H "\"}",
		"{\"kind\":\"x\",\"seq\":9007199254740993,\"hash\":\"" H "\"}", /* beyond 2^53 */
		"{\"kind\":\"x\",\"seq\":99999999999999999999,\"hash\":\"" H "\"}",
		"{\"kind\":\"x\",\"seq\":1,\"hash\":\"" H "\"} ",
		"{\"kind\":\"x\",\"seq\":1,\"hash\":\"0123\"}",
		"{\"kind\":\"x\",\"durable\":1,\"seq\":1,\"hash\":\"" H "\"}", /* before itself */
		"{\"other\":1,\"seq\":1,\"hash\":\"" H "\"}",
		"{\"kind\":\"header\",\"seq\":1,\"hash\":\"" H "\"}",
		"{\"kind\":\"header\",\"version\":1,\"eventTime\":" T
		",\"previous\":{\"seq\":41,\"hash\":\"" H "\"},\"x\":1,\"hash\":\"" H2 "\"}",
		"{\"kind\":\"withheld\",\"eventTime\":" T
		",\"first\":3,\"last\":2,\"uncounted\":0,\"seq\":1,\"hash\":\"" H "\"}",
		"{\"kind\":\"torn\",\"eventTime\":\"now\",\"at\":3,\"bytes\":2,\"sha256\":\"" H
		"\",\"seq\":1,\"hash\":\"" H "\"}",
		"{\"kind\":\"head\",\"eventTime\":" T ",\"of\":{\"seq\":1,\"hash\":\"" H
		"\"},\"publicKey\":\"\",\"signature\":\"REVG\",\"seq\":2,\"hash\":\"" H "\"}",
		"{\"kind\":\"head\",\"eventTime\":" T ",\"of\":{\"seq\":1,\"hash\":\"" H
		"\"},\"publicKey\":\"Q-\",\"signature\":\"REVG\",\"seq\":2,\"hash\":\"" H "\"}"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (try_decode(bad[i]) != SLK_MALFORMED)
			fail_msg("not refused: %s", bad[i]);
	assert_int_equal(try_decode("{\"kind\":\"header\",\"version\":2,\"hash\":\"" H "\"}"),
		SLK_BAD_VERSION);
}

static void
line_that_is_too_long_is_refused(void **state)
{
	(void)state;
	static char text[FMT_AUDIT_LINE_MAX + 1];

	memset(text, 'x', sizeof(text));
	struct fmt_audit_line line;
	assert_int_equal(
		fmt_audit_decode(slk_span(text, FMT_AUDIT_LINE_MAX), &line), SLK_TOO_LARGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_has_its_golden_bytes_and_comes_back),
		cmocka_unit_test(head_has_its_golden_bytes_and_comes_back),
		cmocka_unit_test(torn_and_withheld_have_their_golden_bytes_and_come_back),
		cmocka_unit_test(use_gets_an_event_id_of_the_hash_before_it),
		cmocka_unit_test(kind_of_a_later_release_is_a_link_of_the_chain),
		cmocka_unit_test(text_of_a_head_is_what_the_document_says),
		cmocka_unit_test(seals_and_notes_fit_their_limits),
		cmocka_unit_test(every_cut_and_every_other_byte_of_a_head_is_refused_or_another),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(line_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests_name("format_audit", tests, NULL, NULL);
}
