/* Records as rows of COPY FROM STDIN: whole lines, so that no record runs into the next.
 *
 * COPY cuts its bytes into rows by newlines, whatever pieces they came in. A record therefore gets a newline if it has none, and
 * one that would end elsewhere than its own end is refused here, before the database could take the next record for a part of it:
 *
 *     an open quote (csv), a backslash at the end (text)     the next record would be within this row
 *     \. on its own (csv: alone on a line)                   COPY would stop there and drop, without a word, all records behind it
 *     a carriage return alone                                which line ends COPY takes is decided by its first line, for all
 *     a zero byte                                            no encoding has it
 *
 * Ends of lines CR LF become LF. All else is the server's to judge. A record may be several rows. Pure. Thread: any.
 */
#ifndef DELIVERY_POSTGRES_ROWS_H
#define DELIVERY_POSTGRES_ROWS_H

#include <stdbool.h>

#include "base/bytes.h"

struct dlv_pg_format {
	bool csv;
	char quote, escape; /* of csv */
};

enum dlv_pg_fault {
	DLV_PG_ROW_WHOLE,
	DLV_PG_ROW_OPEN_QUOTE,
	DLV_PG_ROW_OPEN_ESCAPE,
	DLV_PG_ROW_END_MARK,
	DLV_PG_ROW_CARRIAGE_RETURN,
	DLV_PG_ROW_ZERO_BYTE,
};

/* "the record ends within quotes" */
const char *dlv_pg_fault_sentence(enum dlv_pg_fault fault);
/* What COPY would call it: 22P04, 22021. */
const char *dlv_pg_fault_state(enum dlv_pg_fault fault);

/* At most this much longer than the record does its form get. */
#define DLV_PG_ROW_MORE 1u

/* Write the record's form to out, which has room for record.len + DLV_PG_ROW_MORE bytes; *out_len is 0 if it is refused. */
enum dlv_pg_fault dlv_pg_row(
	const struct dlv_pg_format *format, struct slk_span record, uint8_t *out, size_t *out_len);

#endif
