#include "postgres_sql.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
dlv_sql_fini(struct dlv_sql *sql)
{
	free(sql->text);
	*sql = (struct dlv_sql){0};
}

void
dlv_sql_clear(struct dlv_sql *sql)
{
	sql->len = 0;
	sql->status = SLK_OK;
	if (sql->text != NULL)
		sql->text[0] = '\0';
}

static void
put(struct dlv_sql *sql, const char *bytes, size_t len)
{
	if (sql->status != SLK_OK)
		return;
	if (len >= sql->cap - sql->len) {
		size_t cap = (sql->len + len + 1) * 2;
		char *grown = realloc(sql->text, cap);
		if (grown == NULL) {
			sql->status = SLK_NO_MEMORY;
			return;
		}
		sql->text = grown;
		sql->cap = cap;
	}
	memcpy(sql->text + sql->len, bytes, len);
	sql->len += len;
	sql->text[sql->len] = '\0';
}

void
dlv_sql_put(struct dlv_sql *sql, const char *text)
{
	put(sql, text, strlen(text));
}

void
dlv_sql_number(struct dlv_sql *sql, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	dlv_sql_put(sql, text);
}

/* Between marks; what doubled() holds for is written twice. */
static void
put_doubled(struct dlv_sql *sql, char mark, const char *bytes, size_t len, bool backslashes)
{
	put(sql, &mark, 1);
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == mark || (backslashes && bytes[i] == '\\'))
			put(sql, &bytes[i], 1);
		put(sql, &bytes[i], 1);
	}
	put(sql, &mark, 1);
}

void
dlv_sql_name(struct dlv_sql *sql, const char *name, size_t len)
{
	put_doubled(sql, '"', name, len, false);
}

void
dlv_sql_literal(struct dlv_sql *sql, const char *text)
{
	if (strchr(text, '\\') != NULL)
		dlv_sql_put(sql, "E");
	put_doubled(sql, '\'', text, strlen(text), true);
}

/* --- names as an operator writes them --- */

static bool
is_letter(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static const char *
skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* The part's text without its quotes. Returns what is behind it, or NULL: there is no name here. */
static const char *
read_quoted(const char *at, char *out, size_t cap, size_t *out_len)
{
	size_t len = 0;

	for (at++; *at != '\0'; at++) {
		if (*at == '"' && *++at != '"') {
			*out_len = len;
			return len > 0 ? at : NULL;
		}
		if ((unsigned char)*at < 0x20 || *at == 0x7f || len == cap)
			return NULL;
		out[len++] = *at;
	}
	return NULL;
}

/* Letters of ASCII become small, as SQL has it. */
static const char *
read_bare(const char *at, char *out, size_t cap, size_t *out_len)
{
	size_t len = 0;

	if (!is_letter((unsigned char)*at))
		return NULL;
	for (; is_letter((unsigned char)*at) || (*at >= '0' && *at <= '9') || *at == '$'; at++) {
		if (len == cap)
			return NULL;
		out[len++] = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
	}
	*out_len = len;
	return at;
}

/* Append one part. Returns what is behind it and behind blanks, or NULL. */
static const char *
put_part(struct dlv_sql *sql, const char *at, size_t max)
{
	char part[DLV_REDSHIFT_NAME_MAX];
	size_t len = 0;

	at = skip_blanks(at);
	at = *at == '"' ? read_quoted(at, part, max, &len) : read_bare(at, part, max, &len);
	if (at == NULL)
		return NULL;
	dlv_sql_name(sql, part, len);
	return skip_blanks(at);
}

static int
no_name(const char *what, const char *text, size_t max, struct slk_error *err)
{
	return slk_fail(err, SLK_CONFIG,
		"%s '%.200s': names are of letters, digits, _ and $, or in double quotes, and have "
		"up to "
		"%zu bytes",
		what, text, max);
}

int
dlv_sql_table(struct dlv_sql *sql, const char *table, size_t max, struct slk_error *err)
{
	const char *at = put_part(sql, table, max);

	if (at != NULL && *at == '.') {
		dlv_sql_put(sql, ".");
		at = put_part(sql, at + 1, max);
	}
	if (at == NULL || *at != '\0')
		return no_name("DataTableName", table, max, err);
	return sql->status;
}

int
dlv_sql_columns(struct dlv_sql *sql, const char *columns, size_t max, struct slk_error *err)
{
	if (*skip_blanks(columns) == '\0')
		return sql->status;
	dlv_sql_put(sql, "(");
	const char *at = put_part(sql, columns, max);
	while (at != NULL && *at == ',') {
		dlv_sql_put(sql, ", ");
		at = put_part(sql, at + 1, max);
	}
	if (at == NULL || *at != '\0')
		return no_name("DataTableColumns", columns, max, err);
	dlv_sql_put(sql, ")");
	return sql->status;
}
