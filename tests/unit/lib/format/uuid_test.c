#include "slk_test.h"

#include <string.h>

#include "format/uuid.h"

static void
text_and_bytes_convert_both_ways(void **state)
{
	(void)state;
	static const uint8_t id[16] = {
		0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x80, 1, 2, 3, 4, 5, 6, 7};
	char text[FMT_UUID_TEXT];
	uint8_t back[16];

	fmt_uuid_print(id, text);
	assert_string_equal(text, "12345678-9abc-4def-8001-020304050607");
	assert_ok(fmt_uuid_parse(text, back));
	assert_memory_equal(back, id, sizeof(id));
	assert_ok(fmt_uuid_parse("12345678-9ABC-4DEF-8001-020304050607", back));
	assert_memory_equal(back, id, sizeof(id));
}

static void
anything_else_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "12345678-9abc-4def-8001-02030405060",
		"12345678-9abc-4def-8001-0203040506077", "123456789-abc-4def-8001-020304050607",
		"12345678-9abc-4def-8001-02030405060g", "12345678x9abc-4def-8001-020304050607",
		" 2345678-9abc-4def-8001-020304050607"};
	uint8_t id[16] = {7};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fmt_uuid_parse(bad[i], id), SLK_MALFORMED);
	assert_int_equal(id[0], 7);
}

static void
new_ones_are_random_version_4(void **state)
{
	(void)state;
	uint8_t a[16], b[16];

	assert_ok(fmt_uuid_new(a));
	assert_ok(fmt_uuid_new(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(a[6] >> 4, 4);
	assert_int_equal(a[8] >> 6, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_bytes_convert_both_ways),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(new_ones_are_random_version_4),
	};

	return cmocka_run_group_tests_name("format_uuid", tests, NULL, NULL);
}
