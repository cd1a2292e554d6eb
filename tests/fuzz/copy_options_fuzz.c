/* CopyOptions, names of tables and records of any bytes: refused, or written so that nothing of them leaves its place. */
#include <stdlib.h>
#include <string.h>

#include "postgres_options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Quotes are closed and nothing is outside of them but what the options' names are made of. */
static void
check_text(const char *text, char mark)
{
	for (const char *at = text; *at != '\0'; at++) {
		if (*at == mark) {
			for (at++; *at != mark || at[1] == mark; at++) {
				if (*at == '\0')
					abort();
				at += *at == mark || (mark == '\'' && *at == '\\');
			}
		} else if (strchr(";-/\\", *at) != NULL) {
			abort();
		}
	}
}

static void
try_options(const char *text)
{
	struct dlv_sql sql = {0};
	struct dlv_pg_format format;
	struct slk_error err = {0, ""};

	if (dlv_pg_options(text, &sql, &format, &err) == SLK_OK && strchr(sql.text, '"') == NULL)
		check_text(sql.text, '\'');
	dlv_sql_clear(&sql);
	if (dlv_redshift_options(text, DLV_GZIP, &sql, &err) == SLK_OK)
		check_text(sql.text, '\'');
	dlv_sql_clear(&sql);
	if (dlv_sql_table(&sql, text, DLV_PG_NAME_MAX, &err) == SLK_OK)
		check_text(sql.text, '"');
	dlv_sql_clear(&sql);
	if (dlv_sql_columns(&sql, text, DLV_PG_NAME_MAX, &err) == SLK_OK && sql.len > 0)
		check_text(sql.text, '"');
	dlv_sql_fini(&sql);
}

/* What is written ends with its own newline, and is its own form: cut again, nothing changes. */
static void
try_row(const struct dlv_pg_format *format, struct slk_span record)
{
	uint8_t *out = malloc(record.len + DLV_PG_ROW_MORE), *again = NULL;
	size_t len = 0, again_len = 0;

	if (out == NULL)
		return;
	if (dlv_pg_row(format, record, out, &len) == DLV_PG_ROW_WHOLE) {
		if (len == 0 || len > record.len + DLV_PG_ROW_MORE || out[len - 1] != '\n')
			abort();
		again = malloc(len + DLV_PG_ROW_MORE);
		if (again != NULL &&
			(dlv_pg_row(format, slk_span(out, len), again, &again_len) !=
					DLV_PG_ROW_WHOLE ||
				again_len != len || memcmp(out, again, len) != 0))
			abort();
	} else if (len != 0) {
		abort();
	}
	free(again);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dlv_pg_format formats[] = {
		{false, '"', '"'}, {true, '"', '"'}, {true, '"', '\\'}, {true, '\x01', '\x01'}};
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	try_options(text);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		try_row(&formats[i], slk_span(data, size));
	free(text);
	return 0;
}
