/* The rows of a batch: what postgres.c makes of records, and where each is. Private to postgres*.c.
 *
 * batch->body has the rows of all records in their order, one behind the other; ends[i] is where those of record i end. A record that
 * is refused before it is sent has none. Thread: begin and gather those of a pool, then the loop's.
 */
#ifndef DELIVERY_POSTGRES_BATCH_H
#define DELIVERY_POSTGRES_BATCH_H

#include "batch.h"
#include "destination.h"
#include "postgres_rows.h"
#include "postgres_sql.h"

struct dlv_pg_bad {
	uint32_t index;
	enum dlv_pg_fault fault;
};

struct dlv_pg_rows {
	uint64_t *ends;
	size_t count, cap;
	struct dlv_pg_bad *bad; /* by index */
	size_t bad_count, bad_cap;
};

/* Sets batch->work. SLK_NO_MEMORY. */
MUST_USE int dlv_pg_rows_begin(struct dlv_batch *batch, struct slk_error *err);
/* As ops->gather. */
MUST_USE int dlv_pg_rows_gather(const struct dlv_pg_format *format, struct dlv_batch *batch,
	const struct dlv_record *records, size_t count, struct slk_error *err);
void dlv_pg_rows_release(struct dlv_batch *batch);

/* The bytes of records from..to. */
struct slk_span dlv_pg_rows_span(const struct dlv_batch *batch, size_t from, size_t to);
/* The record that has line 1... of the rows of records from..to; to: there is none. A hint: a row may have several lines. */
size_t dlv_pg_rows_find(const struct dlv_batch *batch, size_t from, size_t to, uint64_t line);

/* --- records that were refused, as the delivery table keeps them: "17:22P02,40:23505" --- */

/* Zero it first. */
struct dlv_pg_refused {
	struct dlv_failed *failed; /* code: "Postgres.22P02" */
	size_t count, cap;
};
/* Append one. SLK_NO_MEMORY. */
MUST_USE int dlv_pg_refuse(
	struct dlv_pg_refused *refused, uint32_t index, const char *sqlstate, const char *message);
void dlv_pg_refused_fini(struct dlv_pg_refused *refused);
void dlv_pg_refused_sort(struct dlv_pg_refused *refused);
/* As a literal; NULL if there is none. */
void dlv_pg_refused_print(const struct dlv_pg_refused *refused, struct dlv_sql *sql);
/* records: of the batch. SLK_MALFORMED, SLK_NO_MEMORY. */
MUST_USE int dlv_pg_refused_parse(const char *text, size_t records, struct dlv_pg_refused *refused);

#endif
