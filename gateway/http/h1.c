/* HTTP/1.1 on a connection: one exchange at a time. What a client sends before its turn (pipelining) waits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/conn.h"
#include "http/h1_read.h"

#define COPY_MAX_BYTES 8192u /* pieces up to this go behind what is queued: one write, one record */

struct h1 {
	struct http_h1_reader reader;
	struct http_exchange *x; /* whose head has begun, until its answer is written; NULL: none */
	bool closes; /* after the present answer */
	unsigned requests_count;
	uint64_t idle_ns; /* since when */
};

static uint64_t
now_of(const struct http_conn *c)
{
	return http_loop_now_ns(c->thread->loop);
}

static int
h1_open(struct http_conn *c)
{
	struct h1 *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return SLK_NO_MEMORY;
	http_h1_reader_init(&h->reader, &c->thread->server->head_limits);
	h->idle_ns = now_of(c);
	c->own = h;
	return SLK_OK;
}

static void
h1_free(struct http_conn *c)
{
	struct h1 *h = c->own;

	http_h1_reader_fini(&h->reader);
	free(h);
}

/* What is queued besides the body is little: a head. */
static uint64_t
unsent(const struct http_conn *c)
{
	return c->out.bytes;
}

static void
h1_close(struct http_conn *c, enum http_outcome outcome)
{
	struct h1 *h = c->own;
	struct http_exchange *x = h->x;

	h->x = NULL;
	if (x != NULL && x->is_open)
		http_exchange_over(x, outcome, unsent(c));
	else
		http_exchange_free(x);
}

/* --- requests --- */

/* Bytes of the present request are still to come. */
static bool
body_remains(const struct h1 *h)
{
	if (h->reader.state == HTTP_H1_LENGTH)
		return h->reader.left > 0;
	return h->reader.state != HTTP_H1_OVER;
}

static bool
begin_request(struct http_conn *c, struct h1 *h)
{
	h->x = http_exchange_new(c);
	if (h->x == NULL) {
		http_conn_refuse(c, HTTP_REFUSED_no_memory);
		return false;
	}
	http_h1_reader_next(&h->reader, &h->x->head);
	return true;
}

static void
head_came(struct http_conn *c, struct h1 *h, const struct http_h1_out *out, size_t left)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct http_exchange *x = h->x;

	x->request = out->request;
	h->requests_count++;
	h->closes = x->head.wants_close || x->request.version == 10;
	HTTP_COUNT(c->thread, requests_h1);
	http_exchange_open(x);
	http_exchange_check_length(x);
	if (!x->head.expects_continue || x->request.version == 10 || left > 0 || !body_remains(h) ||
		http_exchange_ignores_body(x))
		return;
	if (http_out_add(&c->out, c->thread->pool, go_on, sizeof(go_on) - 1) != SLK_OK) {
		http_answer_abort(x);
		return;
	}
	HTTP_COUNT(c->thread, answers_1xx);
}

static void
refused(struct http_conn *c, struct h1 *h, enum http_refusal refusal)
{
	struct http_exchange *x = h->x;
	bool was_answered = x->is_answered;

	h->x = NULL;
	if (!x->is_open)
		http_exchange_free(x);
	else
		http_exchange_over(x, HTTP_OUTCOME_MALFORMED, unsent(c));
	if (!was_answered) {
		http_conn_refuse(c, refusal);
		return;
	}
	http_count_refused(c->thread, refusal);
	http_conn_close(c, HTTP_OUTCOME_MALFORMED);
}

static void
h1_input(struct http_conn *c, const uint8_t *bytes, size_t len, size_t *out_used)
{
	struct h1 *h = c->own;
	struct http_h1_out out;

	*out_used = 0;
	for (;;) {
		if (c->state != HTTP_CONN_OPEN || c->is_ending) {
			*out_used = len;
			return;
		}
		if (h->x == NULL) {
			if (*out_used == len || !begin_request(c, h))
				return;
		} else if (h->reader.state == HTTP_H1_OVER) {
			return; /* its answer first */
		} else if (h->x->is_open && http_exchange_ignores_body(h->x) && body_remains(h)) {
			*out_used = len; /* the connection ends with the answer */
			return;
		}
		enum http_h1_event event =
			http_h1_read(&h->reader, bytes + *out_used, len - *out_used, &out);
		*out_used += out.used;
		switch (event) {
		case HTTP_H1_EVENT_MORE:
			return;
		case HTTP_H1_EVENT_HEAD:
			head_came(c, h, &out, len - *out_used);
			break;
		case HTTP_H1_EVENT_BODY:
			http_exchange_data(h->x, out.body.ptr, out.body.len);
			break;
		case HTTP_H1_EVENT_END:
			http_exchange_end(h->x);
			break;
		case HTTP_H1_EVENT_REFUSED:
			refused(c, h, out.refusal);
			break;
		}
	}
}

/* A body that nobody wants is not read: the connection ends with the answer. */
static bool
h1_wants_input(const struct http_conn *c)
{
	const struct h1 *h = c->own;

	if (h->x == NULL || !h->x->is_open)
		return true;
	return h->reader.state != HTTP_H1_OVER && !http_exchange_ignores_body(h->x);
}

/* --- answers --- */

static int
add_text(struct http_conn *c, const char *text)
{
	return http_out_add(&c->out, c->thread->pool, text, strlen(text));
}

static int
add_field(struct http_conn *c, const char *name, const char *value)
{
	int rc = add_text(c, name);

	if (rc == SLK_OK)
		rc = add_text(c, ": ");
	if (rc == SLK_OK)
		rc = add_text(c, value);
	if (rc == SLK_OK)
		rc = add_text(c, "\r\n");
	return rc;
}

/* How the body's end is told (RFC 9112, 6). */
static int
add_framing(struct http_conn *c, struct h1 *h, struct http_exchange *x)
{
	char text[32];

	if (x->status == 204 || x->status == 304)
		return SLK_OK;
	if (x->length >= 0) {
		snprintf(text, sizeof(text), "%lld", (long long)x->length);
		return add_field(c, "content-length", text);
	}
	if (x->request.version == 10) {
		h->closes = true;
		return SLK_OK;
	}
	x->is_chunked = !x->is_bodyless;
	return add_field(c, "transfer-encoding", "chunked");
}

static int
add_head(struct http_conn *c, struct h1 *h, struct http_exchange *x,
	const struct http_field *fields, size_t fields_count)
{
	char line[64];

	snprintf(
		line, sizeof(line), "HTTP/1.1 %u %s\r\n", x->status, http_status_phrase(x->status));
	int rc = add_text(c, line);
	if (rc == SLK_OK)
		rc = add_field(c, "date", http_thread_date(c->thread));
	for (size_t i = 0; rc == SLK_OK && i < fields_count; i++)
		rc = add_field(c, fields[i].name, fields[i].value);
	if (rc == SLK_OK)
		rc = add_framing(c, h, x);
	if (rc == SLK_OK && h->closes)
		rc = add_field(c, "connection", "close");
	return rc == SLK_OK ? add_text(c, "\r\n") : rc;
}

static void
h1_begin(struct http_exchange *x, const struct http_field *fields, size_t fields_count)
{
	struct http_conn *c = x->conn;
	struct h1 *h = c->own;
	unsigned most = c->thread->server->limits.requests_per_connection;

	if (body_remains(h) || c->is_draining || (most > 0 && h->requests_count >= most))
		h->closes = true;
	if (add_head(c, h, x, fields, fields_count) != SLK_OK)
		http_answer_abort(x);
}

static int
add_chunk_size(struct http_conn *c, size_t len)
{
	char text[24];

	snprintf(text, sizeof(text), "%zx\r\n", len);
	return add_text(c, text);
}

static void
h1_piece(struct http_exchange *x, struct http_buf *piece)
{
	struct http_conn *c = x->conn;
	struct http_pool *pool = c->thread->pool;
	int rc = x->is_chunked ? add_chunk_size(c, piece->len) : SLK_OK;

	if (rc == SLK_OK && piece->len > COPY_MAX_BYTES) {
		http_out_push(&c->out, piece);
	} else {
		if (rc == SLK_OK)
			rc = http_out_add(&c->out, pool, piece->bytes, piece->len);
		if (rc == SLK_OK && piece->wipe)
			c->out.last->wipe = true;
		http_buf_free(pool, piece);
	}
	if (rc == SLK_OK && x->is_chunked)
		rc = add_text(c, "\r\n");
	if (rc != SLK_OK)
		http_answer_abort(x);
}

static void
h1_end(struct http_exchange *x)
{
	if (x->is_chunked && add_text(x->conn, "0\r\n\r\n") != SLK_OK)
		http_answer_abort(x);
}

static void
h1_abort(struct http_exchange *x)
{
	(void)x; /* h1_output() sees it */
}

static size_t
h1_queued(const struct http_exchange *x)
{
	return x->conn->out.bytes;
}

static void
h1_output(struct http_conn *c)
{
	const struct h1 *h = c->own;

	/* Without its end, or the bytes that were promised, no client takes the answer for whole. */
	if (h->x != NULL && h->x->is_aborted)
		http_conn_close(c, HTTP_OUTCOME_ABORTED);
}

static void
h1_written(struct http_conn *c)
{
	struct h1 *h = c->own;
	struct http_exchange *x = h->x;

	if (x == NULL || !x->is_answered || x->is_aborted)
		return;
	http_exchange_room(x, c->out.bytes);
	if (c->out.bytes > 0 || !x->is_finished)
		return;
	h->x = NULL;
	h->idle_ns = now_of(c);
	http_exchange_over(x, HTTP_OUTCOME_SENT, 0);
	if (h->closes || c->is_draining)
		http_conn_end(c);
}

/* --- timers, the end --- */

static uint64_t
h1_deadline(const struct http_conn *c, enum http_refusal *out_reason)
{
	const struct h1 *h = c->own;
	const struct http_times *times = &c->thread->server->times;

	if (h->x == NULL && h->requests_count > 0) {
		*out_reason = HTTP_REFUSED_idle_timeout;
		return h->idle_ns + times->idle_ms * SLK_NS_PER_MS;
	}
	if (h->x == NULL || !h->x->is_open) {
		*out_reason = HTTP_REFUSED_header_timeout;
		uint64_t since = h->requests_count > 0 ? h->x->head_ns : c->opened_ns;
		return since + times->header_ms * SLK_NS_PER_MS;
	}
	if (h->reader.state != HTTP_H1_OVER && !http_exchange_ignores_body(h->x)) {
		*out_reason = HTTP_REFUSED_body_timeout;
		return h->x->window_ns + times->body_ms * SLK_NS_PER_MS;
	}
	return UINT64_MAX; /* the handler has it */
}

static void
body_expired(struct http_conn *c, struct h1 *h)
{
	struct http_exchange *x = h->x;

	if (x->in_bytes - x->window_bytes >= c->thread->server->times.body_min_bytes) {
		x->window_bytes = x->in_bytes;
		x->window_ns = now_of(c);
		return;
	}
	h->x = NULL;
	http_exchange_over(x, HTTP_OUTCOME_TIMEOUT, 0);
	http_conn_refuse(c, HTTP_REFUSED_body_timeout);
}

static void
h1_expired(struct http_conn *c, enum http_refusal reason)
{
	struct h1 *h = c->own;

	if (reason == HTTP_REFUSED_body_timeout) {
		body_expired(c, h);
	} else if (h->x != NULL) {
		http_exchange_free(h->x);
		h->x = NULL;
		http_conn_refuse(c, reason);
	} else {
		http_count_refused(c->thread, reason);
		http_conn_end(c);
	}
}

static void
h1_drain(struct http_conn *c)
{
	const struct h1 *h = c->own;

	/* Who has just come gets one answer. */
	if (h->x == NULL && h->requests_count > 0)
		http_conn_end(c);
}

const struct http_protocol http_h1_protocol = {
	.open = h1_open,
	.input = h1_input,
	.wants_input = h1_wants_input,
	.output = h1_output,
	.written = h1_written,
	.deadline = h1_deadline,
	.expired = h1_expired,
	.drain = h1_drain,
	.close = h1_close,
	.free = h1_free,
	.begin = h1_begin,
	.piece = h1_piece,
	.end = h1_end,
	.abort = h1_abort,
	.queued = h1_queued,
};
