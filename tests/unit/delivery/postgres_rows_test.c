#include "slk_test.h"

#include <stdlib.h>
#include <string.h>

#include "postgres_rows.h"

#define S(text) \
	{ \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}

static const struct dlv_pg_format text = {false, '"', '"'}, csv = {true, '"', '"'},
				  own = {true, '"', '\\'}, json = {true, '\x01', '\x01'};

static const struct {
	const struct dlv_pg_format *format;
	struct slk_span record, form;
	enum dlv_pg_fault fault;
} cases[] = {
	{&text, S(""), S("\n"), 0},
	{&text, S("a\tb"), S("a\tb\n"), 0},
	{&text, S("a\tb\n"), S("a\tb\n"), 0},
	{&text, S("a\r\nb\r\n"), S("a\nb\n"), 0},
	{&text, S("a\r"), S("a\n"), 0},
	{&text, S("\r\n"), S("\n"), 0},
	{&text, S("a\nb"), S("a\nb\n"), 0},
	{&text, S("a\\\nb"), S("a\\\nb\n"), 0},
	{&text, S("a\\\n"), S("a\\\n\n"), 0}, /* the newline is data: there is no end of line yet */
	{&text, S("a\\\\\n"), S("a\\\\\n"), 0},
	{&text, S("a\\\r\n"), S("a\\\r\n"), 0},
	{&text, S("a\\\r"), S("a\\\r\n"), 0},
	{&text, S("\\N\t\\\\.\t."), S("\\N\t\\\\.\t.\n"), 0},
	{&text, S("a\\\\"), S("a\\\\\n"), 0},
	{&text, S("\"a"), S("\"a\n"), 0},
	{&text, S("a\\"), S(""), DLV_PG_ROW_OPEN_ESCAPE},
	{&text, S("a\\\\\\"), S(""), DLV_PG_ROW_OPEN_ESCAPE},
	{&text, S("\\."), S(""), DLV_PG_ROW_END_MARK},
	{&text, S("\\.\n"), S(""), DLV_PG_ROW_END_MARK},
	{&text, S("a\n\\.\nb"), S(""), DLV_PG_ROW_END_MARK},
	{&text, S("a\\.b"), S(""), DLV_PG_ROW_END_MARK},
	{&text, S("a\rb"), S(""), DLV_PG_ROW_CARRIAGE_RETURN},
	{&text, S("a\r\r\n"), S(""), DLV_PG_ROW_CARRIAGE_RETURN},
	{&text, S("a\0b"), S(""), DLV_PG_ROW_ZERO_BYTE},
	{&text, S("\xff\xfe"), S("\xff\xfe\n"), 0}, /* the server knows its encodings */

	{&csv, S(""), S("\n"), 0},
	{&csv, S("a,b"), S("a,b\n"), 0},
	{&csv, S("a,\"b\"\n"), S("a,\"b\"\n"), 0},
	{&csv, S("a,\"b\nc\""), S("a,\"b\nc\"\n"), 0},
	{&csv, S("a,\"b\r\nc\"\r\n"), S("a,\"b\r\nc\"\n"), 0},
	{&csv, S("a,\"b\rc\""), S("a,\"b\rc\"\n"), 0},
	{&csv, S("a,\"b\"\"c\""), S("a,\"b\"\"c\"\n"), 0},
	{&csv, S("a\r\nb\r\n"), S("a\nb\n"), 0},
	{&csv, S("a\\"), S("a\\\n"), 0},
	{&csv, S("\\.a\n"), S("\\.a\n"), 0},
	{&csv, S("a,\\.\n"), S("a,\\.\n"), 0},
	{&csv, S("\"a\n\\.\n\""), S("\"a\n\\.\n\"\n"), 0},
	{&csv, S("\"a"), S(""), DLV_PG_ROW_OPEN_QUOTE},
	{&csv, S("\"a\n"), S(""), DLV_PG_ROW_OPEN_QUOTE},
	{&csv, S("a,\"b\"\""), S(""), DLV_PG_ROW_OPEN_QUOTE},
	{&csv, S("a\"b"), S(""), DLV_PG_ROW_OPEN_QUOTE},
	{&csv, S("\\."), S(""), DLV_PG_ROW_END_MARK},
	{&csv, S("\\.\r\n"), S(""), DLV_PG_ROW_END_MARK},
	{&csv, S("a\n\\.\nb"), S(""), DLV_PG_ROW_END_MARK},
	{&csv, S("\"\"\n\\.\nb"), S(""), DLV_PG_ROW_END_MARK},
	{&csv, S("a\rb"), S(""), DLV_PG_ROW_CARRIAGE_RETURN},
	{&csv, S("a\0"), S(""), DLV_PG_ROW_ZERO_BYTE},

	{&own, S("\"a\\\"b\""), S("\"a\\\"b\"\n"), 0},
	{&own, S("\"a\\\\\""), S("\"a\\\\\"\n"), 0},
	{&own, S("\"a\\\""), S(""), DLV_PG_ROW_OPEN_QUOTE},
	{&own, S("\"a\\\\\\\""), S(""), DLV_PG_ROW_OPEN_QUOTE},
	{&own, S("a\\\"b"), S(""),
		DLV_PG_ROW_OPEN_QUOTE}, /* outside of quotes it escapes nothing */

	{&json, S("{\"a\":\"b\\n\\\"c\"}"), S("{\"a\":\"b\\n\\\"c\"}\n"), 0},
	{&json, S("{\"a\":\"\\\\.\"}"), S("{\"a\":\"\\\\.\"}\n"), 0},
	{&json, S("{\"a\":\"\x01\"}"), S(""), DLV_PG_ROW_OPEN_QUOTE},
};

static void
a_record_is_whole_lines_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* Of its exact sizes, for whoever looks after the bounds. */
		uint8_t *record = malloc(cases[i].record.len + 1);
		uint8_t *out = malloc(cases[i].record.len + DLV_PG_ROW_MORE);
		size_t len = 99;
		assert_non_null(record);
		assert_non_null(out);
		memcpy(record, cases[i].record.ptr, cases[i].record.len);
		enum dlv_pg_fault fault = dlv_pg_row(
			cases[i].format, slk_span(record, cases[i].record.len), out, &len);
		if (fault != cases[i].fault || len != cases[i].form.len)
			print_message("case %zu: %d, %zu\n", i, (int)fault, len);
		assert_int_equal(fault, cases[i].fault);
		assert_int_equal(len, cases[i].form.len);
		assert_memory_equal(out, cases[i].form.ptr, len);
		free(record);
		free(out);
	}
}

static void
each_fault_has_a_sentence_and_a_code(void **state)
{
	(void)state;
	for (int fault = DLV_PG_ROW_OPEN_QUOTE; fault <= DLV_PG_ROW_ZERO_BYTE; fault++) {
		assert_true(strlen(dlv_pg_fault_sentence((enum dlv_pg_fault)fault)) > 10);
		assert_int_equal(strlen(dlv_pg_fault_state((enum dlv_pg_fault)fault)), 5);
	}
	assert_string_equal(dlv_pg_fault_sentence(DLV_PG_ROW_WHOLE), "");
	assert_string_equal(dlv_pg_fault_state(DLV_PG_ROW_ZERO_BYTE), "22021");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_whole_lines_or_refused),
		cmocka_unit_test(each_fault_has_a_sentence_and_a_code),
	};

	return cmocka_run_group_tests_name("delivery_postgres_rows", tests, NULL, NULL);
}
