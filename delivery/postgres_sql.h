/* Texts of SQL for PostgreSQL and Redshift: names and values are quoted here and nowhere else.
 *
 * A statement grows in memory of its own; the first failure sticks and is asked for once, at the end. Nothing secret is put
 * into a statement: a server logs it. Thread: one per statement.
 */
#ifndef DELIVERY_POSTGRES_SQL_H
#define DELIVERY_POSTGRES_SQL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

#define DLV_PG_NAME_MAX \
	63u /* bytes; a longer name would be cut by the server, and be another one */
#define DLV_REDSHIFT_NAME_MAX 127u

/* Zero it first. */
struct dlv_sql {
	char *text; /* terminated; NULL: nothing was put */
	size_t len, cap;
	int status; /* SLK_NO_MEMORY: text is of no use */
};

void dlv_sql_fini(struct dlv_sql *sql);
void dlv_sql_clear(struct dlv_sql *sql); /* empty again, status, too */
void dlv_sql_put(struct dlv_sql *sql, const char *text);
void dlv_sql_number(struct dlv_sql *sql, uint64_t number);
/* "name", whatever it has in it. */
void dlv_sql_name(struct dlv_sql *sql, const char *name, size_t len);
/* 'text', or E'text' where it has a backslash: right whatever standard_conforming_strings says. */
void dlv_sql_literal(struct dlv_sql *sql, const char *text);

/* Append the name of a table, as SQL has it: [schema.]table, each part in double quotes or, without them, of letters, digits, _
 * and $, in lower case then as SQL has it. max: bytes of a part. SLK_CONFIG with a sentence. */
MUST_USE int dlv_sql_table(
	struct dlv_sql *sql, const char *table, size_t max, struct slk_error *err);
/* Append (a, b, ...) out of names with commas between them; nothing for "". */
MUST_USE int dlv_sql_columns(
	struct dlv_sql *sql, const char *columns, size_t max, struct slk_error *err);

#endif
