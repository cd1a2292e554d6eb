#include "slk_test.h"

#include <string.h>

#include "postgres_sql.h"

static void
values_are_literals_whatever_they_hold(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"", "''"},
		{"plain", "'plain'"},
		{"it's", "'it''s'"},
		{"'; DROP TABLE t; --", "'''; DROP TABLE t; --'"},
		{"\\", "E'\\\\'"},
		{"\\'", "E'\\\\'''"},
		{"a\\nb", "E'a\\\\nb'"},
		{"\xc3\xa9", "'\xc3\xa9'"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dlv_sql sql = {0};
		dlv_sql_literal(&sql, cases[i][0]);
		assert_int_equal(sql.status, SLK_OK);
		assert_string_equal(sql.text, cases[i][1]);
		dlv_sql_fini(&sql);
	}
}

static void
tables_are_quoted_names(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"events", "\"events\""},
		{"Events", "\"events\""},
		{" public . events ", "\"public\".\"events\""},
		{"\"Events\"", "\"Events\""},
		{"\"a.b\".\"c\"\"d\"", "\"a.b\".\"c\"\"d\""},
		{"s.\"select; drop table x\"", "\"s\".\"select; drop table x\""},
		{"_a$1", "\"_a$1\""},
		{"\xc3\x84pfel", "\"\xc3\x84pfel\""},
		{"select", "\"select\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dlv_sql sql = {0};
		struct slk_error err = {0, ""};
		assert_ok(dlv_sql_table(&sql, cases[i][0], DLV_PG_NAME_MAX, &err));
		assert_string_equal(sql.text, cases[i][1]);
		dlv_sql_fini(&sql);
	}
}

static void
what_is_no_name_of_a_table_is_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {"", " ", ".", "a.", ".a", "a.b.c", "a b", "a;b", "a-b",
		"1a", "$a", "a,b", "a(b)", "\"a", "\"\"", "\"a\"b", "a\"b\"", "a'b", "a--", "a/**/",
		"\"a\nb\"", "\"a\x7f\"", "a\n",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dlv_sql sql = {0};
		struct slk_error err = {0, ""};
		assert_int_equal(dlv_sql_table(&sql, cases[i], DLV_PG_NAME_MAX, &err), SLK_CONFIG);
		assert_true(strstr(err.text, "DataTableName") != NULL);
		dlv_sql_fini(&sql);
	}
}

static void
a_name_may_have_as_many_bytes_as_the_server_keeps(void **state)
{
	(void)state;
	char name[130];
	struct slk_error err = {0, ""};

	memset(name, 'a', sizeof(name));
	for (size_t len = 60; len < 129; len++) {
		struct dlv_sql sql = {0};
		name[len] = '\0';
		assert_int_equal(dlv_sql_table(&sql, name, DLV_PG_NAME_MAX, &err),
			len <= 63 ? SLK_OK : SLK_CONFIG);
		dlv_sql_clear(&sql);
		assert_int_equal(dlv_sql_table(&sql, name, DLV_REDSHIFT_NAME_MAX, &err),
			len <= 127 ? SLK_OK : SLK_CONFIG);
		dlv_sql_fini(&sql);
		name[len] = 'a';
	}
}

static void
columns_are_a_list_of_names(void **state)
{
	(void)state;
	struct dlv_sql sql = {0};
	struct slk_error err = {0, ""};
	static const char *const wrong[] = {
		",", "a,", ",a", "a,,b", "a b", "a)", "(a)", "a.b", "a; drop", "\"a"};

	assert_ok(dlv_sql_columns(&sql, "", DLV_PG_NAME_MAX, &err));
	assert_ok(dlv_sql_columns(&sql, "  ", DLV_PG_NAME_MAX, &err));
	assert_int_equal(sql.len, 0);
	assert_ok(dlv_sql_columns(&sql, "Id, \"Na,me\" ,x", DLV_PG_NAME_MAX, &err));
	assert_string_equal(sql.text, "(\"id\", \"Na,me\", \"x\")");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		dlv_sql_clear(&sql);
		assert_int_equal(
			dlv_sql_columns(&sql, wrong[i], DLV_PG_NAME_MAX, &err), SLK_CONFIG);
	}
	dlv_sql_fini(&sql);
}

static void
a_statement_grows_and_is_emptied(void **state)
{
	(void)state;
	struct dlv_sql sql = {0};

	for (unsigned i = 0; i < 10000; i++)
		dlv_sql_number(&sql, i % 10);
	assert_int_equal(sql.len, 10000);
	assert_int_equal(strlen(sql.text), 10000);
	dlv_sql_clear(&sql);
	assert_string_equal(sql.text, "");
	dlv_sql_number(&sql, UINT64_MAX);
	assert_string_equal(sql.text, "18446744073709551615");
	dlv_sql_fini(&sql);
	dlv_sql_fini(&sql);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_literals_whatever_they_hold),
		cmocka_unit_test(tables_are_quoted_names),
		cmocka_unit_test(what_is_no_name_of_a_table_is_refused),
		cmocka_unit_test(a_name_may_have_as_many_bytes_as_the_server_keeps),
		cmocka_unit_test(columns_are_a_list_of_names),
		cmocka_unit_test(a_statement_grows_and_is_emptied),
	};

	return cmocka_run_group_tests_name("delivery_postgres_sql", tests, NULL, NULL);
}
