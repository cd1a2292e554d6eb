#include "slk_test.h"

#include <string.h>

#include "format/datakey.h"

static const uint8_t golden[] =
	"SLKN\1\0\4\0\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\5\0\0\0\0\0\0\0web1BLOB!";
#define GOLDEN_LEN (sizeof(golden) - 1)

static void
golden_bytes(void **state)
{
	(void)state;
	struct fmt_datakey key = {.name = "web1", .blob = slk_span("BLOB!", 5)}, back;
	uint8_t out[FMT_DATAKEY_FILE_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < sizeof(key.id); i++)
		key.id[i] = (uint8_t)i;
	assert_ok(fmt_datakey_encode(&key, out, sizeof(out), &len));
	assert_int_equal(len, GOLDEN_LEN);
	assert_memory_equal(out, golden, len);
	assert_ok(fmt_datakey_decode(slk_span(out, len), &back));
	assert_string_equal(back.name, "web1");
	assert_memory_equal(back.id, key.id, sizeof(key.id));
	assert_int_equal(back.blob.len, 5);
	assert_memory_equal(back.blob.ptr, "BLOB!", 5);
}

static void
each_cut_and_each_wrong_byte_of_the_head_is_refused(void **state)
{
	(void)state;
	uint8_t bytes[GOLDEN_LEN + 1];
	struct fmt_datakey key = {.name = "untouched"};

	for (size_t len = 0; len < GOLDEN_LEN; len++)
		assert_int_not_equal(fmt_datakey_decode(slk_span(golden, len), &key), SLK_OK);
	memcpy(bytes, golden, GOLDEN_LEN);
	bytes[GOLDEN_LEN] = 0;
	assert_int_equal(fmt_datakey_decode(slk_span(bytes, GOLDEN_LEN + 1), &key), SLK_MALFORMED);
	for (size_t i = 0; i < 36; i++) {
		if (i >= 8 && i < 24) /* the id may be anything */
			continue;
		memcpy(bytes, golden, GOLDEN_LEN);
		bytes[i] ^= 0x80;
		assert_int_not_equal(fmt_datakey_decode(slk_span(bytes, GOLDEN_LEN), &key), SLK_OK);
	}
	bytes[4] = 2;
	memcpy(bytes, golden, 4);
	assert_int_equal(fmt_datakey_decode(slk_span(bytes, GOLDEN_LEN), &key), SLK_BAD_VERSION);
	assert_string_equal(key.name, "untouched");
}

static void
names_are_plain(void **state)
{
	(void)state;
	static const char *const bad[] = {"", ".", "..", ".x", "a/b", "a b", "ä", "a\n",
		"0123456789012345678901234567890123456789012345678901234567890123x"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fmt_datakey_name_check(bad[i]), SLK_INVALID);
	assert_ok(fmt_datakey_name_check("Backup-2026.nightly_1"));
	assert_ok(fmt_datakey_name_check(
		"0123456789012345678901234567890123456789012345678901234567890123"));
}

static void
a_handle_carries_the_id(void **state)
{
	(void)state;
	uint8_t id[FMT_DATAKEY_ID_BYTES] = {7, 8, 9}, back[FMT_DATAKEY_ID_BYTES] = {0};
	uint8_t handle[FMT_DATAKEY_HANDLE_BYTES] = {0};
	char name[FMT_DATAKEY_FILE_NAME_MAX];

	fmt_datakey_handle_begin(id, handle);
	assert_memory_equal(handle, "SLKDKEY1", 8);
	assert_ok(fmt_datakey_handle_id(handle, back));
	assert_memory_equal(back, id, sizeof(id));
	handle[0] ^= 1;
	assert_int_equal(fmt_datakey_handle_id(handle, back), SLK_MALFORMED);
	fmt_datakey_file_name(id, name);
	assert_string_equal(name, "07080900000000000000000000000000.datakey");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes),
		cmocka_unit_test(each_cut_and_each_wrong_byte_of_the_head_is_refused),
		cmocka_unit_test(names_are_plain),
		cmocka_unit_test(a_handle_carries_the_id),
	};

	return cmocka_run_group_tests_name("format_datakey", tests, NULL, NULL);
}
