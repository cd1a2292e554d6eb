#include "http/h1_read.h"

#include <stdlib.h>
#include <string.h>

#include "http/syntax.h"

#define LINE_MAX_BYTES (HTTP_METHOD_MAX + 1 + HTTP_TARGET_MAX + 1 + 8 + 2) /* "… HTTP/1.1\r\n" */
#define SIZE_LINE_MAX_BYTES 256u
#define EXTRA_MAX_BYTES 8192u

void
http_h1_reader_init(struct http_h1_reader *reader, const struct http_head_limits *limits)
{
	*reader = (struct http_h1_reader){.state = HTTP_H1_OVER, .limits = *limits};
}

void
http_h1_reader_fini(struct http_h1_reader *reader)
{
	free(reader->line);
	reader->line = NULL;
	reader->line_len = reader->line_cap = 0;
}

void
http_h1_reader_next(struct http_h1_reader *reader, struct http_head *head)
{
	reader->state = HTTP_H1_LINE;
	reader->head = head;
	reader->head_bytes = 0;
	reader->extra_bytes = 0;
	reader->left = 0;
	reader->skipped_line = false;
}

bool
http_h1_reader_in_head(const struct http_h1_reader *reader)
{
	return (reader->state == HTTP_H1_LINE && reader->head_bytes > 0) ||
		reader->state == HTTP_H1_HEADERS;
}

static enum http_h1_event
refuse(struct http_h1_reader *r, enum http_refusal refusal, struct http_h1_out *out)
{
	http_h1_reader_fini(r);
	r->state = HTTP_H1_REFUSED;
	out->refusal = refusal;
	return HTTP_H1_EVENT_REFUSED;
}

/* --- lines --- */

static bool
keep_part(struct http_h1_reader *r, const uint8_t *bytes, size_t len)
{
	if (len > r->line_cap - r->line_len) {
		size_t cap = r->line_cap == 0 ? 256 : r->line_cap;
		while (cap < r->line_len + len)
			cap *= 2;
		char *line = realloc(r->line, cap);
		if (line == NULL)
			return false;
		r->line = line;
		r->line_cap = cap;
	}
	memcpy(r->line + r->line_len, bytes, len);
	r->line_len += len;
	return true;
}

/* How many bytes the present line may have, its end included, and what it is to have more. */
static size_t
line_max(const struct http_h1_reader *r, enum http_refusal *out_refusal)
{
	switch (r->state) {
	case HTTP_H1_LINE:
		*out_refusal = HTTP_REFUSED_target_too_long;
		return LINE_MAX_BYTES;
	case HTTP_H1_HEADERS:
		*out_refusal = HTTP_REFUSED_head_too_large;
		return r->limits.bytes > r->head_bytes ? r->limits.bytes - r->head_bytes : 0;
	case HTTP_H1_SIZE:
		*out_refusal = HTTP_REFUSED_bad_chunk;
		return SIZE_LINE_MAX_BYTES;
	default:
		*out_refusal = HTTP_REFUSED_bad_trailer;
		return EXTRA_MAX_BYTES - r->extra_bytes;
	}
}

static enum http_refusal
bad_line_end(const struct http_h1_reader *r)
{
	switch (r->state) {
	case HTTP_H1_LINE:
		return HTTP_REFUSED_bad_request_line;
	case HTTP_H1_HEADERS:
		return HTTP_REFUSED_bad_header;
	case HTTP_H1_SIZE:
		return HTTP_REFUSED_bad_chunk;
	default:
		return HTTP_REFUSED_bad_trailer;
	}
}

/* A whole line without its end, borrowed until the next byte is used; ptr NULL: it goes on, or *out_refusal. */
static struct http_text
take_line(struct http_h1_reader *r, const uint8_t *bytes, size_t len, size_t *used,
	enum http_refusal *out_refusal)
{
	const struct http_text none = {NULL, 0};
	const uint8_t *at = bytes + *used;
	size_t left = len - *used;
	const uint8_t *end = left > 0 ? memchr(at, '\n', left) : NULL;
	size_t part = end != NULL ? (size_t)(end - at) + 1 : left;
	enum http_refusal too_long;
	size_t max = line_max(r, &too_long);

	*out_refusal = HTTP_NOT_REFUSED;
	*used += part;
	if (r->line_len + part > max) {
		*out_refusal = too_long;
		return none;
	}
	if ((end == NULL || r->line_len > 0) && part > 0 && !keep_part(r, at, part)) {
		*out_refusal = HTTP_REFUSED_no_memory;
		return none;
	}
	if (end == NULL) {
		if (r->state == HTTP_H1_LINE)
			r->head_bytes += part;
		return none;
	}
	struct http_text line = {(const char *)at, part};
	if (r->line_len > 0)
		line = (struct http_text){r->line, r->line_len};
	r->line_len = 0;
	if (r->state == HTTP_H1_LINE || r->state == HTTP_H1_HEADERS)
		r->head_bytes = (r->state == HTTP_H1_LINE ? 0 : r->head_bytes) + line.len;
	if (line.len < 2 || line.ptr[line.len - 2] != '\r') {
		*out_refusal = bad_line_end(r);
		return none;
	}
	line.len -= 2;
	return line;
}

/* --- heads --- */

static enum http_refusal
parse_version(const char *text, size_t len, unsigned *out_version)
{
	if (len != 8 || memcmp(text, "HTTP/", 5) != 0 || text[5] < '0' || text[5] > '9' ||
		text[6] != '.' || text[7] < '0' || text[7] > '9')
		return HTTP_REFUSED_bad_request_line;
	if (text[5] != '1' || text[7] > '1')
		return HTTP_REFUSED_bad_version;
	*out_version = 10 + (unsigned)(text[7] - '0');
	return HTTP_NOT_REFUSED;
}

static enum http_refusal
request_line(struct http_h1_reader *r, const struct http_text *line)
{
	const char *space = memchr(line->ptr, ' ', line->len);
	const char *last = memrchr(line->ptr, ' ', line->len);

	if (space == NULL || space == last)
		return HTTP_REFUSED_bad_request_line;
	size_t version_len = line->len - (size_t)(last - line->ptr) - 1;
	enum http_refusal refusal =
		http_head_method(r->head, line->ptr, (size_t)(space - line->ptr));
	if (refusal == HTTP_NOT_REFUSED)
		refusal = parse_version(last + 1, version_len, &r->head->version);
	if (refusal == HTTP_NOT_REFUSED)
		refusal = http_head_target(r->head, space + 1, (size_t)(last - space) - 1);
	return refusal;
}

/* A folded line begins with a blank and a name with blanks holds one: neither is a token. */
static enum http_refusal
header_line(struct http_head *head, const struct http_text *line)
{
	const char *colon = memchr(line->ptr, ':', line->len);

	if (colon == NULL)
		return HTTP_REFUSED_bad_header;
	size_t name_len = (size_t)(colon - line->ptr);
	return http_head_add(head, line->ptr, name_len, colon + 1, line->len - name_len - 1);
}

static enum http_h1_event
head_is_whole(struct http_h1_reader *r, struct http_h1_out *out)
{
	enum http_refusal refusal = http_head_finish(r->head, r->head->version, &out->request);

	if (refusal != HTTP_NOT_REFUSED)
		return refuse(r, refusal, out);
	r->left = out->request.length_bytes;
	if (r->head->is_chunked) {
		r->state = HTTP_H1_SIZE;
	} else {
		r->state = HTTP_H1_LENGTH;
		out->request.has_length = true;
	}
	http_h1_reader_fini(r); /* an idle connection keeps nothing */
	return HTTP_H1_EVENT_HEAD;
}

/* --- chunks --- */

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Extensions (RFC 9112, 7.1.1) mean nothing here; they are bounded, and hold no controls. */
static enum http_refusal
size_line(struct http_h1_reader *r, const struct http_text *line)
{
	uint64_t size = 0;
	size_t i = 0;

	for (; i < line->len && hex_value(line->ptr[i]) >= 0; i++) {
		if (i >= 15)
			return HTTP_REFUSED_bad_chunk;
		size = size * 16 + (uint64_t)hex_value(line->ptr[i]);
	}
	if (i == 0)
		return HTTP_REFUSED_bad_chunk;
	const char *rest = line->ptr + i;
	size_t rest_len = line->len - i;
	if (rest_len > 0 && (rest[0] != ';' || !http_is_field_value(rest, rest_len)))
		return HTTP_REFUSED_bad_chunk;
	r->extra_bytes += rest_len;
	if (r->extra_bytes > EXTRA_MAX_BYTES)
		return HTTP_REFUSED_bad_chunk;
	r->left = size;
	r->state = size > 0 ? HTTP_H1_DATA : HTTP_H1_TRAILER;
	return HTTP_NOT_REFUSED;
}

/* Trailers are checked as headers are, and dropped: what came behind the body must not change what the head said. */
static enum http_refusal
trailer_line(struct http_h1_reader *r, const struct http_text *line)
{
	const char *colon = memchr(line->ptr, ':', line->len);

	r->extra_bytes += line->len + 2;
	if (colon == NULL)
		return HTTP_REFUSED_bad_trailer;
	const char *value = colon + 1;
	size_t name_len = (size_t)(colon - line->ptr), value_len = line->len - name_len - 1;
	http_trim(&value, &value_len);
	if (!http_is_token(line->ptr, name_len) || !http_is_field_value(value, value_len))
		return HTTP_REFUSED_bad_trailer;
	return HTTP_NOT_REFUSED;
}

/* CR and LF behind a chunk's data; each may come alone. */
static enum http_refusal
data_end(struct http_h1_reader *r, const uint8_t *bytes, size_t len, size_t *used)
{
	while (*used < len && r->left < 2) {
		if (bytes[*used] != (r->left == 0 ? '\r' : '\n'))
			return HTTP_REFUSED_bad_chunk;
		r->left++;
		(*used)++;
	}
	if (r->left == 2) {
		r->left = 0;
		r->state = HTTP_H1_SIZE;
	}
	return HTTP_NOT_REFUSED;
}

/* --- all of it --- */

static enum http_refusal
use_line(struct http_h1_reader *r, const struct http_text *line, bool *out_whole)
{
	enum http_refusal refusal = HTTP_NOT_REFUSED;

	switch (r->state) {
	case HTTP_H1_LINE:
		/* RFC 9112, 2.2: one empty line before a request is let pass. */
		if (line->len == 0 && !r->skipped_line) {
			r->skipped_line = true;
			return HTTP_NOT_REFUSED;
		}
		refusal = request_line(r, line);
		r->state = HTTP_H1_HEADERS;
		return refusal;
	case HTTP_H1_HEADERS:
		*out_whole = line->len == 0;
		return *out_whole ? HTTP_NOT_REFUSED : header_line(r->head, line);
	case HTTP_H1_SIZE:
		return size_line(r, line);
	default:
		*out_whole = line->len == 0;
		return *out_whole ? HTTP_NOT_REFUSED : trailer_line(r, line);
	}
}

static bool
is_line_state(enum http_h1_state state)
{
	return state == HTTP_H1_LINE || state == HTTP_H1_HEADERS || state == HTTP_H1_SIZE ||
		state == HTTP_H1_TRAILER;
}

/* One line; HTTP_H1_EVENT_MORE also if it was used and no event came of it: then bytes may be left. */
static enum http_h1_event
read_line(struct http_h1_reader *r, const uint8_t *bytes, size_t len, struct http_h1_out *out)
{
	enum http_refusal refusal;
	bool whole = false;
	struct http_text line = take_line(r, bytes, len, &out->used, &refusal);

	if (refusal == HTTP_NOT_REFUSED && line.ptr != NULL)
		refusal = use_line(r, &line, &whole);
	if (refusal != HTTP_NOT_REFUSED)
		return refuse(r, refusal, out);
	if (!whole)
		return HTTP_H1_EVENT_MORE;
	if (r->state == HTTP_H1_HEADERS)
		return head_is_whole(r, out);
	http_h1_reader_fini(r);
	r->state = HTTP_H1_OVER;
	return HTTP_H1_EVENT_END;
}

static enum http_h1_event
read_body(struct http_h1_reader *r, const uint8_t *bytes, size_t len, struct http_h1_out *out)
{
	size_t left = len - out->used;
	size_t piece = r->left < left ? (size_t)r->left : left;

	if (r->left == 0) {
		r->state = HTTP_H1_OVER;
		return HTTP_H1_EVENT_END;
	}
	if (piece == 0)
		return HTTP_H1_EVENT_MORE;
	out->body = slk_span(bytes + out->used, piece);
	out->used += piece;
	r->left -= piece;
	if (r->left == 0 && r->state == HTTP_H1_DATA)
		r->state = HTTP_H1_DATA_END;
	return HTTP_H1_EVENT_BODY;
}

enum http_h1_event
http_h1_read(struct http_h1_reader *r, const uint8_t *bytes, size_t len, struct http_h1_out *out)
{
	out->used = 0;
	out->refusal = HTTP_NOT_REFUSED;
	for (;;) {
		enum http_h1_event event = HTTP_H1_EVENT_MORE;
		if (is_line_state(r->state)) {
			event = read_line(r, bytes, len, out);
		} else if (r->state == HTTP_H1_LENGTH || r->state == HTTP_H1_DATA) {
			return read_body(r, bytes, len, out);
		} else if (r->state == HTTP_H1_DATA_END) {
			enum http_refusal refusal = data_end(r, bytes, len, &out->used);
			if (refusal != HTTP_NOT_REFUSED)
				return refuse(r, refusal, out);
		} else {
			return r->state == HTTP_H1_OVER ? HTTP_H1_EVENT_END : HTTP_H1_EVENT_REFUSED;
		}
		if (event != HTTP_H1_EVENT_MORE || out->used == len)
			return event;
	}
}
