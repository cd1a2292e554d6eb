#include "slk_test.h"

#include <string.h>

#include "postgres_options.h"

static const struct {
	const char *options, *sql;
	struct dlv_pg_format format;
} taken[] = {
	{"", " WITH (FORMAT text)", {false, '"', '"'}},
	{" \t\r\n", " WITH (FORMAT text)", {false, '"', '"'}},
	{"csv", " WITH (FORMAT csv)", {true, '"', '"'}},
	{"with csv", " WITH (FORMAT csv)", {true, '"', '"'}},
	{"WITH (FORMAT csv)", " WITH (FORMAT csv)", {true, '"', '"'}},
	{"()", " WITH (FORMAT text)", {false, '"', '"'}},
	{"(format text,)", " WITH (FORMAT text)", {false, '"', '"'}},
	{"delimiter '|' csv", " WITH (FORMAT csv, DELIMITER '|')", {true, '"', '"'}},
	{"DELIMITER AS '|' NULL AS '\\N'", " WITH (FORMAT text, DELIMITER '|', NULL E'\\\\N')",
		{false, '"', '"'}},
	{"delimiter '\\t' null ''", " WITH (FORMAT text, DELIMITER '\t', NULL '')",
		{false, '"', '"'}},
	{"csv, quote E'\\x01', delimiter e'\\002'",
		" WITH (FORMAT csv, QUOTE '\x01', DELIMITER '\x02')", {true, 1, 1}},
	{"csv quote '''' escape E'\\\\'", " WITH (FORMAT csv, QUOTE '''', ESCAPE E'\\\\')",
		{true, '\'', '\\'}},
	{"csv header false", " WITH (FORMAT csv)", {true, '"', '"'}},
	{"csv header OFF encoding 'LATIN1'", " WITH (FORMAT csv, ENCODING 'LATIN1')",
		{true, '"', '"'}},
	{"(FORMAT csv, FORCE_NULL (A, \"B\"), FORCE_NOT_NULL(c))",
		" WITH (FORMAT csv, FORCE_NULL (\"a\", \"B\"), FORCE_NOT_NULL (\"c\"))",
		{true, '"', '"'}},
	{"null 'a\\b'", " WITH (FORMAT text, NULL E'a\\\\b')", {false, '"', '"'}},
};

static void
options_are_written_anew(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		struct dlv_sql sql = {0};
		struct dlv_pg_format format = {0};
		struct slk_error err = {0, ""};
		int rc = dlv_pg_options(taken[i].options, &sql, &format, &err);
		if (rc != SLK_OK)
			print_message("%s: %s\n", taken[i].options, err.text);
		assert_ok(rc);
		assert_string_equal(sql.text, taken[i].sql);
		assert_int_equal(format.csv, taken[i].format.csv);
		assert_int_equal(format.quote, taken[i].format.quote);
		assert_int_equal(format.escape, taken[i].format.escape);
		dlv_sql_fini(&sql);
	}
}

static const char *const refused[][2] = {
	{"csv csv", "FORMAT is given twice"},
	{"FORMAT text FORMAT csv", "FORMAT is given twice"},
	{"delimiter '|' delimiter '|'", "DELIMITER is given twice"},
	{"format binary", "BINARY"},
	{"binary", "BINARY"},
	{"csv freeze", "FREEZE"},
	{"csv header", "HEADER"},
	{"csv header true", "HEADER"},
	{"csv header match", "HEADER"},
	{"gzip", "GZIP is an option of Redshift"},
	{"json 'auto'", "JSON is an option of Redshift"},
	{"format parquet", "PARQUET is an option of Redshift"},
	{"credentials 'aws_iam_role=x'", "CREDENTIALS is an option of Redshift"},
	{"csv maxerror 5", "MAXERROR is an option of Redshift"},
	{"delimiter", "DELIMITER takes"},
	{"delimiter ''", "DELIMITER takes"},
	{"delimiter '||'", "DELIMITER takes"},
	{"delimiter |", "no option has"},
	{"delimiter E'\\n'", "DELIMITER takes"},
	{"delimiter '\xc3\xa9'", "DELIMITER takes"},
	{"delimiter E'\\xc3'", "DELIMITER takes"},
	{"delimiter 'a'", "cannot be the delimiter"},
	{"delimiter E'\\\\'", "cannot be the delimiter"},
	{"delimiter E'\\0'", "escape that is not known"},
	{"delimiter E'\\400'", "escape that is not known"},
	{"null E'a\\q'", "escape that is not known"},
	{"null E'a\\x'", "escape that is not known"},
	{"null E'\\", "escape that is not known"},
	{"quote '|'", "csv alone"},
	{"escape '|'", "csv alone"},
	{"force_null (a)", "csv alone"},
	{"csv delimiter '\"'", "are the same"},
	{"csv delimiter '|' quote '|'", "are the same"},
	{"csv quote '\\t'", "QUOTE takes"},
	{"null 'x", "string without an end"},
	{"null E'\\n'", "a string of one line"},
	{"null x", "a string of one line"},
	{"encoding 'SJIS'", "ENCODING 'SJIS'"},
	{"encoding 'GBK'", "ENCODING 'GBK'"},
	{"encoding 'x'; drop table t; --'", "ENCODING 'x'"},
	{"encoding 'UTF8'; drop table t; --'", "no option has"},
	{"(csv", "not closed"},
	{"csv)", "no option"},
	{"(csv) delimiter '|'", "no option"},
	{"csv;", "no option has"},
	{"csv -- x", "no option has"},
	{"csv /* x */", "no option has"},
	{"csv \"quote\" 'x'", "no option"},
	{"'csv'", "no option"},
	{"csv force_null a", "FORCE_NULL takes"},
	{"csv force_null ()", "FORCE_NULL takes"},
	{"csv force_null (a", "FORCE_NULL takes"},
	{"csv force_null (*)", "no option has"},
	{"csv force_null ('a')", "FORCE_NULL takes"},
	{"csv where x", "no option"},
	{"FROM PROGRAM 'id'", "no option"},
};

static void
all_else_is_refused_by_name_and_nothing_is_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct dlv_sql sql = {0};
		struct dlv_pg_format format = {true, 'q', 'e'};
		struct slk_error err = {0, ""};
		int rc = dlv_pg_options(refused[i][0], &sql, &format, &err);
		if (rc != SLK_CONFIG || strstr(err.text, refused[i][1]) == NULL)
			print_message("%s: %d %s\n", refused[i][0], rc, err.text);
		assert_int_equal(rc, SLK_CONFIG);
		assert_true(strstr(err.text, refused[i][1]) != NULL);
		assert_int_equal(sql.len, 0);
		assert_int_equal(format.quote, 'q');
		dlv_sql_fini(&sql);
	}
}

static void
what_is_too_long_is_refused(void **state)
{
	(void)state;
	static const char *const forms[] = {"%s", "null '%s'", "csv force_null (\"%s\")"};
	char long_text[400], options[500];

	memset(long_text, 'a', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct dlv_sql sql = {0};
		struct dlv_pg_format format;
		struct slk_error err = {0, ""};
		const char *hole = strstr(forms[i], "%s");
		options[0] = '\0';
		strncat(options, forms[i], (size_t)(hole - forms[i]));
		strcat(options, long_text);
		strcat(options, hole + 2);
		assert_int_equal(dlv_pg_options(options, &sql, &format, &err), SLK_CONFIG);
		assert_true(strstr(err.text, "too long") != NULL);
		dlv_sql_fini(&sql);
	}
}

static void
redshift_has_its_own(void **state)
{
	(void)state;
	static const struct {
		const char *options;
		enum dlv_compression compression;
		const char *sql; /* NULL: refused, and */
		const char *sentence;
	} cases[] = {
		{"csv delimiter '|'", DLV_UNCOMPRESSED, " CSV DELIMITER '|'", NULL},
		{"json 'auto' gzip", DLV_GZIP, " JSON 'auto' GZIP", NULL},
		{"json 'auto'", DLV_GZIP, " JSON 'auto' GZIP", NULL},
		{"csv", DLV_ZSTD, " CSV ZSTD", NULL},
		{"delimiter as '\\t' removequotes null as '\\N'", DLV_UNCOMPRESSED,
			" DELIMITER E'\\\\t' REMOVEQUOTES NULL E'\\\\N'", NULL},
		{"acceptinvchars csv", DLV_UNCOMPRESSED, " ACCEPTINVCHARS CSV", NULL},
		{"acceptinvchars as '^' timeformat 'auto' compupdate off statupdate on comprows "
		 "1000",
			DLV_UNCOMPRESSED,
			" ACCEPTINVCHARS '^' TIMEFORMAT 'auto' COMPUPDATE OFF STATUPDATE ON "
			"COMPROWS 1000",
			NULL},
		{"dateformat 'it''s'", DLV_UNCOMPRESSED, " DATEFORMAT 'it''s'", NULL},
		{"", DLV_UNCOMPRESSED, NULL, ""},
		{"gzip", DLV_UNCOMPRESSED, NULL, "CompressionFormat"},
		{"gzip", DLV_ZSTD, NULL, "CompressionFormat"},
		{"csv csv", DLV_UNCOMPRESSED, NULL, "given twice"},
		{"manifest", DLV_UNCOMPRESSED, NULL, "MANIFEST is said by the destination"},
		{"iam_role 'x'", DLV_UNCOMPRESSED, NULL, "IAM_ROLE is said by the destination"},
		{"CREDENTIALS 'a'", DLV_UNCOMPRESSED, NULL, "CREDENTIALS is said"},
		{"maxerror 100", DLV_UNCOMPRESSED, NULL, "no option that is taken here"},
		{"ignoreheader 1", DLV_UNCOMPRESSED, NULL, "no option that is taken here"},
		{"comprows x", DLV_UNCOMPRESSED, NULL, "takes a number"},
		{"comprows 1x", DLV_UNCOMPRESSED, NULL, "takes a number"},
		{"csv; drop", DLV_UNCOMPRESSED, NULL, "no option has"},
		{"json auto", DLV_UNCOMPRESSED, NULL, "takes a string"},
		{"noload", DLV_UNCOMPRESSED, NULL, "no option that is taken here"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dlv_sql sql = {0};
		struct slk_error err = {0, ""};
		int rc = dlv_redshift_options(cases[i].options, cases[i].compression, &sql, &err);
		if (cases[i].sql != NULL) {
			assert_ok(rc);
			assert_string_equal(sql.text, cases[i].sql);
		} else if (cases[i].sentence[0] == '\0') {
			assert_ok(rc);
			assert_int_equal(sql.len, 0);
		} else {
			assert_int_equal(rc, SLK_CONFIG);
			assert_true(strstr(err.text, cases[i].sentence) != NULL);
		}
		dlv_sql_fini(&sql);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_written_anew),
		cmocka_unit_test(all_else_is_refused_by_name_and_nothing_is_written),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(redshift_has_its_own),
	};

	return cmocka_run_group_tests_name("delivery_postgres_options", tests, NULL, NULL);
}
