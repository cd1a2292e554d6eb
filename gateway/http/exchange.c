#include "http/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/conn.h"
#include "http/syntax.h"

#define NOTE_MAX_BYTES 2048u

/* --- what the handler asks --- */

const struct http_request *
http_exchange_request(const struct http_exchange *x)
{
	return &x->request;
}

struct http_loop *
http_exchange_loop(struct http_exchange *x)
{
	return x->conn->thread->loop;
}

const struct http_text *
http_exchange_header(const struct http_exchange *x, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < x->request.headers_count; i++) {
		const struct http_header *header = &x->request.headers[i];
		if (header->name.len == len && memcmp(header->name.ptr, name, len) == 0)
			return &header->value;
	}
	return NULL;
}

size_t
http_exchange_header_count(const struct http_exchange *x, const char *name)
{
	size_t len = strlen(name), count = 0;

	for (size_t i = 0; i < x->request.headers_count; i++) {
		const struct http_header *header = &x->request.headers[i];
		if (header->name.len == len && memcmp(header->name.ptr, name, len) == 0)
			count++;
	}
	return count;
}

void
http_exchange_set_user(struct http_exchange *x, void *user)
{
	x->user = user;
}

void *
http_exchange_user(const struct http_exchange *x)
{
	return x->user;
}

static struct http_note *
note_of(struct http_exchange *x, const char *name)
{
	for (unsigned i = 0; i < x->notes_count; i++) {
		if (strcmp(x->notes[i].name, name) == 0)
			return &x->notes[i];
	}
	if (x->notes_count == HTTP_NOTES_MAX)
		return NULL;
	struct http_note *note = &x->notes[x->notes_count++];
	*note = (struct http_note){.name = name};
	return note;
}

void
http_exchange_note(struct http_exchange *x, const char *name, const char *value)
{
	struct http_note *note = note_of(x, name);

	if (note == NULL)
		return;
	free(note->value);
	note->value = strndup(value, NOTE_MAX_BYTES); /* without memory the log lacks it */
}

const char *
http_exchange_noted(const struct http_exchange *x, const char *name)
{
	for (unsigned i = 0; i < x->notes_count; i++) {
		if (strcmp(x->notes[i].name, name) == 0)
			return x->notes[i].value;
	}
	return NULL;
}

/* --- bodies of requests --- */

int
http_exchange_gather(struct http_exchange *x, size_t cap_bytes)
{
	assert(x->in_head && x->body == NULL);
	if (x->request.has_length && x->request.length_bytes > cap_bytes) {
		http_count_refused(x->conn->thread, HTTP_REFUSED_body_too_large);
		return SLK_TOO_LARGE;
	}
	int rc = http_buf_new(x->conn->thread->pool, HTTP_BUF_MIN_BYTES, &x->body);
	if (rc != SLK_OK) {
		http_count_refused(x->conn->thread, HTTP_REFUSED_body_no_room);
		return rc;
	}
	x->gathers = true;
	x->cap_bytes = cap_bytes;
	return SLK_OK;
}

struct http_buf *
http_exchange_body(struct http_exchange *x)
{
	return x->body;
}

int
http_exchange_cap(struct http_exchange *x, uint64_t cap_bytes)
{
	assert(x->in_head);
	if (x->request.has_length && x->request.length_bytes > cap_bytes) {
		http_count_refused(x->conn->thread, HTTP_REFUSED_body_too_large);
		return SLK_TOO_LARGE;
	}
	x->cap_bytes = cap_bytes;
	return SLK_OK;
}

/* --- answers --- */

static void
count_status(struct http_thread *thread, unsigned status)
{
	if (status >= 500)
		HTTP_COUNT(thread, answers_5xx);
	else if (status >= 400)
		HTTP_COUNT(thread, answers_4xx);
	else if (status >= 300)
		HTTP_COUNT(thread, answers_3xx);
	else
		HTTP_COUNT(thread, answers_2xx);
}

/* A value with a line end in it would be another header, or another answer. */
static bool
fields_are_clean(const struct http_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!http_is_token(fields[i].name, strlen(fields[i].name)) ||
			!http_is_field_value(fields[i].value, strlen(fields[i].value)))
			return false;
	}
	return true;
}

void
http_answer_begin(struct http_exchange *x, unsigned status, const struct http_field *fields,
	size_t fields_count, int64_t length)
{
	assert(x->is_open && !x->is_answered && status >= 200 && status <= 599);
	if (!fields_are_clean(fields, fields_count)) {
		http_answer_abort(x);
		return;
	}
	x->is_answered = true;
	x->status = status;
	x->length = length;
	x->is_bodyless = status == 204 || status == 304 ||
		http_text_is(x->request.method.ptr, x->request.method.len, "HEAD");
	count_status(x->conn->thread, status);
	x->conn->protocol->begin(x, fields, fields_count);
	http_conn_touch(x->conn);
}

void
http_answer_piece(struct http_exchange *x, struct http_buf *piece)
{
	assert(x->is_answered && !x->is_finished);
	struct http_pool *pool = x->conn->thread->pool;
	if (x->is_aborted || x->is_bodyless || piece->len == 0) {
		http_buf_free(pool, piece);
		return;
	}
	if (x->length >= 0 && piece->len > (uint64_t)x->length - x->out_bytes) {
		http_buf_free(pool, piece);
		http_answer_abort(x);
		return;
	}
	x->out_bytes += piece->len;
	x->conn->protocol->piece(x, piece);
	if (x->conn->protocol->queued(x) > x->conn->thread->server->limits.queue_low_bytes)
		x->wants_room = true;
	http_conn_touch(x->conn);
}

void
http_answer_end(struct http_exchange *x)
{
	assert(x->is_answered && !x->is_finished);
	if (x->is_aborted)
		return;
	if (!x->is_bodyless && x->length >= 0 && x->out_bytes != (uint64_t)x->length) {
		http_answer_abort(x);
		return;
	}
	x->is_finished = true;
	x->conn->protocol->end(x);
	http_conn_touch(x->conn);
}

void
http_answer(struct http_exchange *x, unsigned status, const struct http_field *fields,
	size_t fields_count, struct http_buf *body)
{
	http_answer_begin(x, status, fields, fields_count, body != NULL ? (int64_t)body->len : 0);
	if (body != NULL)
		http_answer_piece(x, body);
	http_answer_end(x);
}

void
http_answer_bytes(struct http_exchange *x, unsigned status, const struct http_field *fields,
	size_t fields_count, const void *bytes, size_t len)
{
	struct http_buf *body = NULL;
	struct http_pool *pool = x->conn->thread->pool;

	if (len > 0 &&
		(http_buf_new(pool, len, &body) != SLK_OK ||
			http_buf_append(pool, &body, bytes, len) != SLK_OK)) {
		http_buf_free(pool, body);
		http_answer_abort(x);
		return;
	}
	http_answer(x, status, fields, fields_count, body);
}

size_t
http_answer_queued_bytes(const struct http_exchange *x)
{
	return x->conn->protocol->queued(x);
}

void
http_answer_abort(struct http_exchange *x)
{
	if (x->is_aborted)
		return;
	x->is_answered = true;
	x->is_aborted = true;
	x->conn->protocol->abort(x);
	http_conn_touch(x->conn);
}

bool
http_exchange_answered(const struct http_exchange *x)
{
	return x->is_answered;
}

/* --- its life --- */

struct http_exchange *
http_exchange_new(struct http_conn *conn)
{
	struct http_exchange *x = malloc(sizeof(*x));

	if (x == NULL)
		return NULL;
	memset(x, 0, offsetof(struct http_exchange, head));
	http_head_init(&x->head, &conn->thread->server->head_limits);
	x->conn = conn;
	x->refused = HTTP_NOT_REFUSED;
	x->head_ns = http_loop_now_ns(conn->thread->loop);
	return x;
}

void
http_exchange_free(struct http_exchange *x)
{
	if (x == NULL)
		return;
	for (unsigned i = 0; i < x->notes_count; i++)
		free(x->notes[i].value);
	http_buf_free(x->conn->thread->pool, x->body);
	http_out_clear(&x->out, x->conn->thread->pool);
	http_head_fini(&x->head);
	free(x);
}

static void
end_body(struct http_exchange *x, int status)
{
	x->body_over = true;
	if (!x->is_answered)
		x->conn->port->listener->handler->end(x->conn->port->handler_thread, x, status);
}

void
http_exchange_open(struct http_exchange *x)
{
	struct http_thread *thread = x->conn->thread;

	x->request.client = &x->conn->client;
	x->request.head_ns = x->head_ns;
	x->window_ns = http_loop_now_ns(thread->loop);
	x->cap_bytes = thread->server->limits.body_bytes;
	x->is_open = true;
	HTTP_COUNT(thread, exchanges);
	x->in_head = true;
	x->conn->port->listener->handler->head(x->conn->port->handler_thread, x);
	x->in_head = false;
}

void
http_exchange_check_length(struct http_exchange *x)
{
	if (x->is_answered || !x->request.has_length || x->request.length_bytes <= x->cap_bytes)
		return;
	http_count_refused(x->conn->thread, HTTP_REFUSED_body_too_large);
	end_body(x, SLK_TOO_LARGE);
}

/* Room is made for what has come, and for the rest only if that is not much more: who announces much must send it. */
static int
gather(struct http_exchange *x, const uint8_t *bytes, size_t len)
{
	struct http_pool *pool = x->conn->thread->pool;
	uint64_t rest = x->request.has_length ? x->request.length_bytes - x->body->len : len;
	size_t room = len;

	if (rest > len && rest <= 4 * ((uint64_t)x->body->len + len))
		room = (size_t)rest;
	int rc = http_buf_reserve(pool, &x->body, room);
	if (rc == SLK_OK)
		rc = http_buf_append(pool, &x->body, bytes, len);
	return rc;
}

void
http_exchange_data(struct http_exchange *x, const uint8_t *bytes, size_t len)
{
	const struct http_handler *handler = x->conn->port->listener->handler;

	x->in_bytes += len;
	HTTP_COUNT_ADD(x->conn->thread, in_bytes, len);
	if (http_exchange_ignores_body(x))
		return;
	if (x->in_bytes > x->cap_bytes) {
		http_count_refused(x->conn->thread, HTTP_REFUSED_body_too_large);
		end_body(x, SLK_TOO_LARGE);
		return;
	}
	if (x->gathers) {
		int rc = gather(x, bytes, len);
		if (rc != SLK_OK) {
			http_count_refused(x->conn->thread, HTTP_REFUSED_body_no_room);
			end_body(x, rc);
			return;
		}
		bytes = x->body->bytes + x->body->len - len;
	}
	if (handler->body != NULL)
		handler->body(x->conn->port->handler_thread, x, bytes, len);
}

void
http_exchange_end(struct http_exchange *x)
{
	if (!x->body_over)
		end_body(x, SLK_OK);
}

bool
http_exchange_ignores_body(const struct http_exchange *x)
{
	return x->body_over || x->is_answered;
}

void
http_exchange_room(struct http_exchange *x, size_t queued)
{
	const struct http_handler *handler = x->conn->port->listener->handler;

	if (!x->wants_room || x->is_finished || x->is_aborted ||
		queued >= x->conn->thread->server->limits.queue_low_bytes)
		return;
	x->wants_room = false;
	if (handler->room != NULL)
		handler->room(x->conn->port->handler_thread, x);
}

static void
count_outcome(struct http_thread *thread, enum http_outcome outcome)
{
	switch (outcome) {
	case HTTP_OUTCOME_SENT:
		HTTP_COUNT(thread, sent);
		break;
	case HTTP_OUTCOME_GONE:
		HTTP_COUNT(thread, gone);
		break;
	case HTTP_OUTCOME_TIMEOUT:
		HTTP_COUNT(thread, timed_out);
		break;
	case HTTP_OUTCOME_ABORTED:
		HTTP_COUNT(thread, aborted);
		break;
	case HTTP_OUTCOME_STOPPED:
		HTTP_COUNT(thread, stopped);
		break;
	case HTTP_OUTCOME_MALFORMED:
		HTTP_COUNT(thread, malformed);
		break;
	}
}

void
http_exchange_over(struct http_exchange *x, enum http_outcome outcome, uint64_t unsent)
{
	struct http_thread *thread = x->conn->thread;
	const struct http_handler *handler = x->conn->port->listener->handler;
	struct http_result result = {
		.outcome = outcome,
		.status = x->status,
		.in_bytes = x->in_bytes,
		.out_bytes = x->out_bytes - (unsent < x->out_bytes ? unsent : x->out_bytes),
		.duration_ns = slk_mono_ns(thread->server->clock) - x->head_ns,
	};

	HTTP_COUNT_ADD(thread, exchanges, (uint64_t)-1);
	HTTP_COUNT_ADD(thread, out_bytes, result.out_bytes);
	count_outcome(thread, outcome);
	if (handler->done != NULL)
		handler->done(x->conn->port->handler_thread, x, &result);
	if (thread->server->log != NULL)
		thread->server->log(thread->server->log_arg, thread->loop, x, &result);
	http_exchange_free(x);
}
