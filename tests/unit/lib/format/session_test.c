#include "golden.h"

#include "format/session.h"

static uint8_t golden[1024], out[FMT_SESSION_CLAIMS_MAX];

static struct fmt_session
golden_session(size_t *out_len)
{
	struct fmt_session s;

	*out_len = golden_read("session/claims", golden, sizeof(golden));
	assert_ok(fmt_session_decode(slk_span(golden, *out_len), &s));
	return s;
}

#define assert_text(span, text) assert_true(slk_span_equal((span), slk_span_str(text)))

static void
golden_claims_and_round_trip(void **state)
{
	(void)state;
	size_t len = 0, out_len = 0;
	struct fmt_session s = golden_session(&len);

	assert_int_equal(s.issued_ns, 1795507200ull * 1000000000u);
	assert_int_equal(s.expires_ns - s.issued_ns, 3600ull * 1000000000u);
	assert_text(s.access_key_id, "ASIAEXAMPLEEXAMPLEEX");
	assert_int_equal(s.seed.ptr[29], 29);
	assert_text(s.role_id, "AROAEXAMPLEEXAMPLEEXA");
	assert_text(s.role, "reader");
	assert_text(s.name, "night-job");
	assert_text(s.source_identity, "alice@example");
	assert_text(s.caller, "arn:aws:iam::000000000000:user/alice");
	assert_int_equal(s.policy.ptr[0], '{');
	assert_int_equal(s.policies_count, 2);
	assert_text(s.policies[1], "Audit");
	assert_int_equal(s.tags_count, 2);
	assert_text(s.tag_keys[0], "team");
	assert_text(s.tag_values[0], "web");
	assert_text(s.tag_values[1], "");
	assert_ok(fmt_session_encode(&s, out, sizeof(out), &out_len));
	assert_int_equal(out_len, len);
	assert_memory_equal(out, golden, len);
	assert_int_equal(fmt_session_encode(&s, out, len - 1, &out_len), SLK_FULL);
}

static void
the_least_claims_have_85_bytes(void **state)
{
	(void)state;
	struct fmt_session s;
	size_t out_len = 0, len = golden_read("session/claims_least", golden, sizeof(golden));

	assert_int_equal(len, FMT_SESSION_CLAIMS_MIN);
	assert_ok(fmt_session_decode(slk_span(golden, len), &s));
	assert_ok(fmt_session_encode(&s, out, sizeof(out), &out_len));
	assert_memory_equal(out, golden, len);
}

static void
other_lengths_are_refused(void **state)
{
	(void)state;
	size_t len = 0;
	struct fmt_session s = golden_session(&len);

	for (size_t n = 0; n < len; n++)
		assert_int_not_equal(fmt_session_decode(slk_span(golden, n), &s), SLK_OK);
	assert_int_equal(fmt_session_decode(slk_span(golden, len + 1), &s), SLK_MALFORMED);
}

static void
what_is_outside_its_limits_is_neither_written_nor_read(void **state)
{
	(void)state;
	static uint8_t big[FMT_SESSION_POLICY_MAX + 1];
	size_t len = 0, out_len = 7;
	struct fmt_session s = golden_session(&len), bad[11];

	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		bad[i] = s;
	bad[0].expires_ns = s.issued_ns;
	bad[1].access_key_id.len--;
	bad[2].seed.len--;
	bad[3].role_id = slk_span(NULL, 0);
	bad[4].role = slk_span(big, 65);
	bad[5].name = slk_span(big, 1);
	bad[6].policy = slk_span(big, sizeof(big));
	bad[7].policies_count = FMT_SESSION_POLICIES_MAX + 1;
	bad[8].tags_count = FMT_SESSION_TAGS_MAX + 1;
	bad[9].tag_keys[0] = slk_span(big, 513);
	bad[10].caller = slk_span("a\0b", 3);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			fmt_session_encode(&bad[i], out, sizeof(out), &out_len), SLK_INVALID);
	s.policy = slk_span(big, FMT_SESSION_POLICY_MAX);
	s.tag_values[0] = slk_span(big, 900);
	assert_int_equal(fmt_session_encode(&s, out, sizeof(out), &out_len), SLK_TOO_LARGE);
	assert_int_equal(out_len, 7);
	golden[8] = golden[9] = 0; /* ends before it begins */
	memcpy(golden + 8, golden, 8);
	assert_int_equal(fmt_session_decode(slk_span(golden, len), &s), SLK_MALFORMED);
}

static void
golden_token_and_its_header(void **state)
{
	(void)state;
	struct fmt_session_token t, untouched = {.sealed = {NULL, 3}};
	uint8_t header[FMT_SESSION_HEADER_BYTES];
	size_t len = golden_read("session/token", golden, sizeof(golden));

	assert_ok(fmt_session_token_decode(slk_span(golden, len), &t));
	assert_int_equal(t.key_id[0], 0x10);
	assert_int_equal(t.salt[31], 0x5f);
	assert_int_equal(t.sealed.len, FMT_SESSION_CLAIMS_MIN + FMT_SESSION_TAG_BYTES);
	fmt_session_header(&t, header);
	assert_memory_equal(header, golden, sizeof(header));
	assert_int_equal(
		fmt_session_token_decode(slk_span(golden, len - 1), &untouched), SLK_TRUNCATED);
	for (size_t at = 0; at < 8; at++) { /* magic, version, algorithm, zeros */
		golden[at] ^= 0x20;
		assert_int_equal(fmt_session_token_decode(slk_span(golden, len), &untouched),
			at == 4 ? SLK_BAD_VERSION : SLK_MALFORMED);
		golden[at] ^= 0x20;
	}
	assert_int_equal(untouched.sealed.len, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_claims_and_round_trip),
		cmocka_unit_test(the_least_claims_have_85_bytes),
		cmocka_unit_test(other_lengths_are_refused),
		cmocka_unit_test(what_is_outside_its_limits_is_neither_written_nor_read),
		cmocka_unit_test(golden_token_and_its_header),
	};

	return cmocka_run_group_tests_name("format_session", tests, NULL, NULL);
}
