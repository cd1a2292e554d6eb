#include "slk_test.h"

#include <string.h>

#include "format/attest.h"

static void
the_text_is_label_purpose_and_digest(void **state)
{
	(void)state;
	uint8_t digest[FMT_ATTEST_DIGEST_BYTES], out[FMT_ATTEST_TEXT_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < sizeof(digest); i++)
		digest[i] = (uint8_t)(0x80 + i);
	assert_ok(fmt_attest_text("rewrap", digest, out, &len));
	assert_int_equal(len, 17 + 7 + 32);
	assert_memory_equal(out, "sealock-attest-1\0rewrap\0\x80\x81", 26);
	assert_int_equal(out[len - 1], 0x80 + 31);
}

static void
the_longest_purpose_fits(void **state)
{
	(void)state;
	uint8_t digest[FMT_ATTEST_DIGEST_BYTES] = {0}, out[FMT_ATTEST_TEXT_MAX];
	size_t len = 0;

	assert_ok(fmt_attest_text("abcdefghijklmnopqrstuvwxyz-abcde", digest, out, &len));
	assert_int_equal(len, FMT_ATTEST_TEXT_MAX);
}

static void
other_purposes_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "Rewrap", "re wrap", "re_wrap", "r3wrap", "re\nwrap",
		"abcdefghijklmnopqrstuvwxyz-abcdef"};
	uint8_t digest[FMT_ATTEST_DIGEST_BYTES] = {0}, out[FMT_ATTEST_TEXT_MAX] = {0};
	size_t len = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(fmt_attest_purpose_check(bad[i]), SLK_INVALID);
		assert_int_equal(fmt_attest_text(bad[i], digest, out, &len), SLK_INVALID);
	}
	assert_int_equal(len, 7);
	assert_int_equal(out[0], 0);
	assert_ok(fmt_attest_purpose_check(FMT_ATTEST_REWRAP));
	assert_ok(fmt_attest_purpose_check(FMT_ATTEST_IDENTIFY));
	assert_ok(fmt_attest_purpose_check(FMT_ATTEST_JOURNAL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_is_label_purpose_and_digest),
		cmocka_unit_test(the_longest_purpose_fits),
		cmocka_unit_test(other_purposes_are_refused),
	};

	return cmocka_run_group_tests_name("format_attest", tests, NULL, NULL);
}
