#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres_link_inner.h"

/* A server's words end up in logs and on terminals. */
static void
make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
}

static void
add(char *out, size_t cap, const char *before, const char *text, const char *behind)
{
	size_t len = strlen(out);

	if (text != NULL && text[0] != '\0')
		snprintf(out + len, cap - len, "%s%s%s", before, text, behind);
}

/* COPY's place: "COPY name, line 7, column id: ..."; what calls it (a trigger's function) stands before. NULL: there is none. */
static const char *
find_place(const char *context)
{
	const char *at = context;

	while (at != NULL && strncmp(at, "COPY ", 5) != 0) {
		at = strchr(at, '\n');
		at = at != NULL ? at + 1 : NULL;
	}
	return at;
}

static uint64_t
read_line(const char *context)
{
	const char *place = context != NULL ? find_place(context) : NULL;
	const char *line = place != NULL ? strstr(place, ", line ") : NULL;

	return line != NULL ? strtoull(line + 7, NULL, 10) : 0;
}

/* The name between ", column " and what is behind it, which is data. */
static void
read_column(const char *context, char *out, size_t cap)
{
	const char *line = context != NULL && find_place(context) == context
		? strstr(context, ", line ")
		: NULL;
	const char *column = line != NULL ? line + 7 + strspn(line + 7, "0123456789") : NULL;

	out[0] = '\0';
	if (column == NULL || strncmp(column, ", column ", 9) != 0)
		return;
	column += 9;
	size_t len = strcspn(column, ":,\n");
	snprintf(out, cap, "%.*s", (int)(len < 64 ? len : 64), column);
}

/* Names of what is in the catalog, never MESSAGE, DETAIL or CONTEXT as a whole: these quote the row. */
static void
describe_row(const PGresult *result, struct dlv_link_answer *answer)
{
	char *out = answer->sentence, column[80];
	size_t cap = sizeof(answer->sentence);
	const char *named = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);

	read_column(PQresultErrorField(result, PG_DIAG_CONTEXT), column, sizeof(column));
	snprintf(out, cap, "%s", dlv_sqlstate_name(answer->sqlstate));
	add(out, cap, ", column \"", named != NULL && named[0] != '\0' ? named : column, "\"");
	add(out, cap, ", constraint \"", PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME), "\"");
	add(out, cap, ", type \"", PQresultErrorField(result, PG_DIAG_DATATYPE_NAME), "\"");
	make_printable(out);
}

void
dlv_link_read_error(const PGresult *result, struct dlv_link_answer *answer)
{
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (code == NULL || !dlv_sqlstate_valid(code)) {
		dlv_link_read_message(PQresultErrorMessage(result), answer);
		return;
	}
	snprintf(answer->sqlstate, sizeof(answer->sqlstate), "%s", code);
	if (answer->in_rows) {
		answer->line = read_line(PQresultErrorField(result, PG_DIAG_CONTEXT));
		describe_row(result, answer);
		return;
	}
	snprintf(answer->sentence, sizeof(answer->sentence), "%.300s",
		message != NULL && message[0] != '\0' ? message : dlv_sqlstate_name(code));
	make_printable(answer->sentence);
}

/* "FATAL:  28P01: password ...": two blanks, five characters, and a colon or the end. */
static void
find_sqlstate(const char *line, char out[DLV_SQLSTATE_BYTES])
{
	for (const char *at = line; (at = strstr(at, ":  ")) != NULL; at++) {
		char code[DLV_SQLSTATE_BYTES];
		snprintf(code, sizeof(code), "%.5s", at + 3);
		if (dlv_sqlstate_valid(code) && (at[8] == ':' || at[8] == '\0'))
			memcpy(out, code, sizeof(code));
	}
}

/* Several lines: one for each address, and the server's source after it. */
void
dlv_link_read_message(const char *message, struct dlv_link_answer *answer)
{
	char line[300];

	while (*message != '\0') {
		size_t len = strcspn(message, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)(len < 299 ? len : 299), message);
		message += len + (message[len] == '\n');
		if (strncmp(line, "LOCATION:", 9) == 0 || line[0] == '\0')
			continue;
		find_sqlstate(line, answer->sqlstate);
		answer->tls = answer->tls || strstr(line, "certificate") != NULL ||
			strstr(line, "SSL error") != NULL ||
			strstr(line, "does not support SSL") != NULL;
		make_printable(line);
		add(answer->sentence, sizeof(answer->sentence),
			answer->sentence[0] != '\0' ? "; " : "", line, "");
	}
}
