#include "postgres_rows.h"

#include <string.h>

const char *
dlv_pg_fault_sentence(enum dlv_pg_fault fault)
{
	switch (fault) {
	case DLV_PG_ROW_OPEN_QUOTE:
		return "the record ends within quotes";
	case DLV_PG_ROW_OPEN_ESCAPE:
		return "the record ends with a backslash";
	case DLV_PG_ROW_END_MARK:
		return "the record has COPY's end mark \\. in it";
	case DLV_PG_ROW_CARRIAGE_RETURN:
		return "the record has a carriage return that ends no line";
	case DLV_PG_ROW_ZERO_BYTE:
		return "the record has a zero byte in it";
	case DLV_PG_ROW_WHOLE:
		break;
	}
	return "";
}

const char *
dlv_pg_fault_state(enum dlv_pg_fault fault)
{
	return fault == DLV_PG_ROW_ZERO_BYTE ? "22021" : "22P04";
}

static bool
has(struct slk_span bytes, char c)
{
	return bytes.len > 0 && memchr(bytes.ptr, c, bytes.len) != NULL;
}

/* A carriage return at i is the end of a line: what follows is a newline or nothing. */
static bool
ends_line(struct slk_span record, size_t i)
{
	return i + 1 == record.len || record.ptr[i + 1] == '\n';
}

static void
copy_whole(struct slk_span record, uint8_t *out, size_t *out_len)
{
	if (record.len > 0)
		memcpy(out, record.ptr, record.len);
	*out_len = record.len;
	if (record.len == 0 || record.ptr[record.len - 1] != '\n')
		out[(*out_len)++] = '\n';
}

/* Text: a backslash takes the next byte with it, a newline, too. */
static enum dlv_pg_fault
text_row(struct slk_span record, uint8_t *out, size_t *out_len)
{
	size_t n = 0;
	bool ended = false;

	for (size_t i = 0; i < record.len; i++) {
		uint8_t c = record.ptr[i];
		ended = c == '\n';
		if (c == '\r') {
			if (!ends_line(record, i))
				return DLV_PG_ROW_CARRIAGE_RETURN;
			continue;
		}
		out[n++] = c;
		if (c != '\\')
			continue;
		if (i + 1 == record.len)
			return DLV_PG_ROW_OPEN_ESCAPE;
		if (record.ptr[i + 1] == '.')
			return DLV_PG_ROW_END_MARK;
		out[n++] = record.ptr[++i];
	}
	if (!ended)
		out[n++] = '\n';
	*out_len = n;
	return DLV_PG_ROW_WHOLE;
}

/* CSV: line by line like COPY itself: quotes count wherever they are, an escape only within them. */
struct csv {
	char quote, escape;
	bool own_escape; /* it is not the quote, doubled */
	bool quoted, escaped;
};

static void
csv_take(struct csv *csv, char c)
{
	if (csv->own_escape && csv->quoted && c == csv->escape)
		csv->escaped = !csv->escaped;
	if (c == csv->quote && !csv->escaped)
		csv->quoted = !csv->quoted;
	if (!csv->own_escape || c != csv->escape)
		csv->escaped = false;
}

static bool
is_end_mark(struct slk_span record, size_t i)
{
	if (record.len - i < 2 || record.ptr[i] != '\\' || record.ptr[i + 1] != '.')
		return false;
	return i + 2 == record.len || record.ptr[i + 2] == '\n' || record.ptr[i + 2] == '\r';
}

static enum dlv_pg_fault
csv_row(const struct dlv_pg_format *format, struct slk_span record, uint8_t *out, size_t *out_len)
{
	struct csv csv = {.quote = format->quote,
		.escape = format->escape,
		.own_escape = format->escape != format->quote};
	size_t n = 0;
	bool at_start = true;

	for (size_t i = 0; i < record.len; i++) {
		char c = (char)record.ptr[i];
		if (at_start && is_end_mark(record, i))
			return DLV_PG_ROW_END_MARK;
		csv_take(&csv, c);
		at_start = c == '\n' && !csv.quoted;
		if (c == '\r' && !csv.quoted) {
			if (!ends_line(record, i))
				return DLV_PG_ROW_CARRIAGE_RETURN;
			continue;
		}
		out[n++] = (uint8_t)c;
	}
	if (csv.quoted)
		return DLV_PG_ROW_OPEN_QUOTE;
	if (!at_start || n == 0)
		out[n++] = '\n';
	*out_len = n;
	return DLV_PG_ROW_WHOLE;
}

/* Most records have nothing that needs a look at each byte. */
static bool
is_plain(const struct dlv_pg_format *format, struct slk_span record)
{
	if (record.len == 0)
		return true;
	if (has(record, '\r'))
		return false;
	if (!format->csv)
		return !has(record, '\\');
	/* JSON has backslashes; hardly ever one before a dot. */
	return !has(record, format->quote) && memmem(record.ptr, record.len, "\\.", 2) == NULL;
}

enum dlv_pg_fault
dlv_pg_row(
	const struct dlv_pg_format *format, struct slk_span record, uint8_t *out, size_t *out_len)
{
	enum dlv_pg_fault fault = DLV_PG_ROW_WHOLE;

	*out_len = 0;
	if (has(record, '\0'))
		return DLV_PG_ROW_ZERO_BYTE;
	if (is_plain(format, record))
		copy_whole(record, out, out_len);
	else if (format->csv)
		fault = csv_row(format, record, out, out_len);
	else
		fault = text_row(record, out, out_len);
	return fault;
}
