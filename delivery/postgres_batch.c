#include "postgres_batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "postgres_sql.h"
#include "postgres_state.h"

#define CODE_PREFIX "Postgres."

/* Room for need elements of size bytes. */
static int
make_room(void **elements, size_t *cap, size_t need, size_t size)
{
	if (need <= *cap)
		return SLK_OK;
	size_t more = need < 64 ? 64 : need + need / 2;
	void *grown = reallocarray(*elements, more, size);
	if (grown == NULL)
		return SLK_NO_MEMORY;
	*elements = grown;
	*cap = more;
	return SLK_OK;
}

int
dlv_pg_rows_begin(struct dlv_batch *batch, struct slk_error *err)
{
	batch->work = calloc(1, sizeof(struct dlv_pg_rows));
	return batch->work != NULL ? SLK_OK : slk_fail(err, SLK_NO_MEMORY, "no memory for a batch");
}

void
dlv_pg_rows_release(struct dlv_batch *batch)
{
	struct dlv_pg_rows *rows = batch->work;

	if (rows == NULL)
		return;
	free(rows->ends);
	free(rows->bad);
	free(rows);
	batch->work = NULL;
}

static int
add_bad(struct dlv_pg_rows *rows, uint32_t index, enum dlv_pg_fault fault)
{
	void *bad = rows->bad;
	int rc = make_room(&bad, &rows->bad_cap, rows->bad_count + 1, sizeof(*rows->bad));

	rows->bad = bad;
	if (rc == SLK_OK)
		rows->bad[rows->bad_count++] = (struct dlv_pg_bad){index, fault};
	return rc;
}

/* There is room for it in body and ends. */
static int
add_record(const struct dlv_pg_format *format, struct dlv_batch *batch, struct slk_span data)
{
	struct dlv_pg_rows *rows = batch->work;
	uint8_t *out = batch->body.bytes + batch->body.len;
	size_t len = 0;
	int rc = SLK_OK;

	enum dlv_pg_fault fault = dlv_pg_row(format, data, out, &len);
	if (fault != DLV_PG_ROW_WHOLE) {
		slk_wipe(out, data.len + DLV_PG_ROW_MORE);
		rc = add_bad(rows, (uint32_t)rows->count, fault);
	}
	batch->body.len += len;
	rows->ends[rows->count++] = batch->body.len;
	return rc;
}

int
dlv_pg_rows_gather(const struct dlv_pg_format *format, struct dlv_batch *batch,
	const struct dlv_record *records, size_t count, struct slk_error *err)
{
	struct dlv_pg_rows *rows = batch->work;
	size_t body_len = batch->body.len, old_count = rows->count, bad_count = rows->bad_count;
	size_t bytes = 0;
	void *ends = rows->ends;

	for (size_t i = 0; i < count; i++)
		bytes += records[i].data.len + DLV_PG_ROW_MORE;
	int rc = make_room(&ends, &rows->cap, rows->count + count, sizeof(*rows->ends));
	rows->ends = ends;
	if (rc == SLK_OK)
		rc = dlv_buffer_reserve(&batch->body, bytes);
	for (size_t i = 0; rc == SLK_OK && i < count; i++)
		rc = add_record(format, batch, records[i].data);
	if (rc == SLK_OK)
		return SLK_OK;
	if (batch->body.len > body_len)
		dlv_buffer_cut(&batch->body, body_len);
	rows->count = old_count;
	rows->bad_count = bad_count;
	return slk_fail(err, rc, "%zu records do not fit into memory now", count);
}

static uint64_t
start_of(const struct dlv_pg_rows *rows, size_t index)
{
	return index > 0 ? rows->ends[index - 1] : 0;
}

struct slk_span
dlv_pg_rows_span(const struct dlv_batch *batch, size_t from, size_t to)
{
	const struct dlv_pg_rows *rows = batch->work;
	uint64_t start = start_of(rows, from), end = start_of(rows, to);

	return end > start ? slk_span(batch->body.bytes + start, end - start) : slk_span(NULL, 0);
}

size_t
dlv_pg_rows_find(const struct dlv_batch *batch, size_t from, size_t to, uint64_t line)
{
	const struct dlv_pg_rows *rows = batch->work;
	struct slk_span span = dlv_pg_rows_span(batch, from, to);
	const uint8_t *at = span.ptr, *end = span.ptr + span.len;

	if (line == 0)
		return to;
	while (--line > 0 && at != NULL && at < end) {
		at = memchr(at, '\n', (size_t)(end - at));
		at = at != NULL ? at + 1 : NULL;
	}
	if (at == NULL || at >= end)
		return to;
	uint64_t offset = start_of(rows, from) + (uint64_t)(at - span.ptr);
	size_t low = from, high = to;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (rows->ends[middle] <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* --- what was refused --- */

int
dlv_pg_refuse(
	struct dlv_pg_refused *refused, uint32_t index, const char *sqlstate, const char *message)
{
	void *failed = refused->failed;
	int rc = make_room(&failed, &refused->cap, refused->count + 1, sizeof(*refused->failed));

	refused->failed = failed;
	if (rc != SLK_OK)
		return rc;
	struct dlv_failed *one = &refused->failed[refused->count++];
	*one = (struct dlv_failed){.index = index};
	snprintf(one->code, sizeof(one->code), CODE_PREFIX "%s", sqlstate);
	snprintf(one->message, sizeof(one->message), "%s", message);
	return SLK_OK;
}

void
dlv_pg_refused_fini(struct dlv_pg_refused *refused)
{
	free(refused->failed);
	*refused = (struct dlv_pg_refused){0};
}

static int
by_index(const void *a, const void *b)
{
	const struct dlv_failed *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

void
dlv_pg_refused_sort(struct dlv_pg_refused *refused)
{
	if (refused->count > 1)
		qsort(refused->failed, refused->count, sizeof(*refused->failed), by_index);
}

void
dlv_pg_refused_print(const struct dlv_pg_refused *refused, struct dlv_sql *sql)
{
	dlv_sql_put(sql, refused->count > 0 ? "'" : "NULL");
	for (size_t i = 0; i < refused->count; i++) {
		if (i > 0)
			dlv_sql_put(sql, ",");
		dlv_sql_number(sql, refused->failed[i].index);
		dlv_sql_put(sql, ":");
		dlv_sql_put(sql, refused->failed[i].code + strlen(CODE_PREFIX));
	}
	if (refused->count > 0)
		dlv_sql_put(sql, "'");
}

int
dlv_pg_refused_parse(const char *text, size_t records, struct dlv_pg_refused *refused)
{
	while (*text != '\0') {
		char *end = NULL, code[DLV_SQLSTATE_BYTES];
		unsigned long long index = strtoull(text, &end, 10);
		if (*text < '0' || *text > '9' || *end != ':' || index >= records)
			return SLK_MALFORMED;
		snprintf(code, sizeof(code), "%.5s", end + 1);
		if (!dlv_sqlstate_valid(code))
			return SLK_MALFORMED;
		text = end + 6;
		if (*text == ',' && text[1] != '\0')
			text++;
		else if (*text != '\0')
			return SLK_MALFORMED;
		int rc = dlv_pg_refuse(refused, (uint32_t)index, code, dlv_sqlstate_name(code));
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}
