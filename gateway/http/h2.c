#include "http/h2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUT_MAX_BYTES (256u * 1024u) /* framed at once; streams share what the socket takes */
#define OUT_BUF_BYTES (64u * 1024u)
#define UNREAD_MAX_BYTES (1u << 20) /* who takes no answers is not read from */
#define STREAM_WINDOW_BYTES (1 << 20)
#define CONNECTION_WINDOW_BYTES (8 << 20)
#define TRIM_NS SLK_NS_PER_S /* of being idle */
#define CREDIT_FIRST 400.0 /* frames */
#define FIELDS_FIXED_COUNT 3u /* :status, date, content-length */

static uint64_t
now_of(const struct http_conn *c)
{
	return http_loop_now_ns(c->thread->loop);
}

/* --- its beginning and its end --- */

static int
send_settings(const struct http_conn *c, struct h2 *h)
{
	const struct http_limits *limits = &c->thread->server->limits;
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams_count},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->header_bytes},
	};

	if (nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
		    sizeof(settings) / sizeof(settings[0])) != 0 ||
		nghttp2_session_set_local_window_size(
			h->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES) != 0)
		return SLK_NO_MEMORY;
	return SLK_OK;
}

static int
h2_open(struct http_conn *c)
{
	struct h2 *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return SLK_NO_MEMORY;
	TAILQ_INIT(&h->all);
	h->idle_ns = h->credit_ns = now_of(c);
	h->credit = CREDIT_FIRST;
	c->own = h;
	int rc = http_h2_session_new(c, &h->session);
	if (rc == SLK_OK)
		rc = send_settings(c, h);
	if (rc == SLK_OK)
		return SLK_OK;
	nghttp2_session_del(h->session);
	free(h);
	c->own = NULL;
	return rc;
}

static void
h2_free(struct http_conn *c)
{
	struct h2 *h = c->own;

	nghttp2_session_del(h->session);
	free(h);
}

/* nghttp2 forgets x; its handler hears the last of it. */
static void
take_out(struct h2 *h, struct http_exchange *x, enum http_outcome outcome)
{
	(void)nghttp2_session_set_stream_user_data(h->session, x->stream, NULL);
	TAILQ_REMOVE(&h->all, x, entry);
	if (x->is_open) {
		http_exchange_over(x, outcome, x->out.bytes);
	} else {
		h->heads_count -= x->head_over ? 0 : 1;
		http_exchange_free(x);
	}
}

static void
h2_close(struct http_conn *c, enum http_outcome outcome)
{
	struct h2 *h = c->own;

	while (!TAILQ_EMPTY(&h->all))
		take_out(h, TAILQ_FIRST(&h->all), outcome);
}

/* --- in and out --- */

static void
h2_input(struct http_conn *c, const uint8_t *bytes, size_t len, size_t *out_used)
{
	struct h2 *h = c->own;
	ssize_t n = nghttp2_session_mem_recv(h->session, bytes, len);

	*out_used = len;
	if (n < 0) {
		http_count_refused(c->thread,
			n == NGHTTP2_ERR_FLOODED || n == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS
				? HTTP_REFUSED_h2_flood
				: HTTP_REFUSED_h2_protocol);
		http_conn_close(c, HTTP_OUTCOME_MALFORMED);
	}
}

static bool
h2_wants_input(const struct http_conn *c)
{
	return c->out.bytes < UNREAD_MAX_BYTES;
}

static int
add_frame(struct http_conn *c, const uint8_t *bytes, size_t len)
{
	struct http_buf *last = c->out.last, *buf = NULL;

	if ((last == NULL || len > last->cap - last->len) &&
		(len > HTTP_BUF_MIN_BYTES / 2 || last != NULL)) {
		int rc = http_buf_new(c->thread->pool, OUT_BUF_BYTES, &buf);
		if (rc != SLK_OK)
			return rc;
		http_out_push(&c->out, buf);
	}
	return http_out_add(&c->out, c->thread->pool, bytes, len);
}

static void
h2_output(struct http_conn *c)
{
	struct h2 *h = c->own;

	while (c->out.bytes < OUT_MAX_BYTES) {
		const uint8_t *bytes = NULL;
		ssize_t len = nghttp2_session_mem_send(h->session, &bytes);
		if (len == 0)
			break;
		if (len < 0 || add_frame(c, bytes, (size_t)len) != SLK_OK) {
			http_count_refused(c->thread, HTTP_REFUSED_no_memory);
			http_conn_close(c, HTTP_OUTCOME_ABORTED);
			return;
		}
	}
	if (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session))
		http_conn_end(c); /* after a GOAWAY, and the last stream */
}

static void
h2_written(struct http_conn *c)
{
	struct h2 *h = c->own;
	struct http_exchange *x, *next;

	/* A handler may end its answer here, not its exchange: that comes with the stream's end. */
	for (x = TAILQ_FIRST(&h->all); x != NULL; x = next) {
		next = TAILQ_NEXT(x, entry);
		if (x->wants_room)
			http_exchange_room(x, x->out.bytes);
	}
}

/* --- answers --- */

static ssize_t
read_answer(nghttp2_session *session, int32_t stream, uint8_t *out, size_t cap, uint32_t *flags,
	nghttp2_data_source *source, void *arg)
{
	struct http_conn *c = arg;
	struct http_exchange *x = nghttp2_session_get_stream_user_data(session, stream);
	size_t len = 0;

	(void)source;
	if (x == NULL || x->is_aborted)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	while (len < cap && x->out.bytes > 0) {
		const struct http_buf *buf = x->out.first;
		size_t part = buf->len - x->out.offset;
		if (part > cap - len)
			part = cap - len;
		memcpy(out + len, buf->bytes + x->out.offset, part);
		http_out_drop(&x->out, c->thread->pool, part);
		len += part;
	}
	x->taken_ns = now_of(c);
	if (x->is_finished && x->out.bytes == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	else if (len == 0)
		return NGHTTP2_ERR_DEFERRED;
	return (ssize_t)len;
}

static nghttp2_nv
nv(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
		NGHTTP2_NV_FLAG_NONE};
}

static void
h2_begin(struct http_exchange *x, const struct http_field *fields, size_t fields_count)
{
	struct http_conn *c = x->conn;
	struct h2 *h = c->own;
	char status[8], length[24];
	size_t count = 0;
	nghttp2_nv *all = calloc(fields_count + FIELDS_FIXED_COUNT, sizeof(*all));

	if (all == NULL) {
		http_answer_abort(x);
		return;
	}
	snprintf(status, sizeof(status), "%u", x->status % 1000u);
	all[count++] = nv(":status", status);
	all[count++] = nv("date", http_thread_date(c->thread));
	if (x->length >= 0 && x->status != 204 && x->status != 304) {
		snprintf(length, sizeof(length), "%lld", (long long)x->length);
		all[count++] = nv("content-length", length);
	}
	for (size_t i = 0; i < fields_count; i++)
		all[count++] = nv(fields[i].name, fields[i].value);
	const nghttp2_data_provider body = {.read_callback = read_answer};
	bool has_body = !x->is_bodyless && x->length != 0;
	x->taken_ns = now_of(c);
	if (nghttp2_submit_response(h->session, x->stream, all, count, has_body ? &body : NULL) !=
		0)
		http_answer_abort(x);
	free(all);
}

/* It fails only of a stream whose data does not wait: then nghttp2 asks by itself. */
static void
resume(struct http_exchange *x)
{
	const struct h2 *h = x->conn->own;

	(void)nghttp2_session_resume_data(h->session, x->stream);
}

static void
h2_piece(struct http_exchange *x, struct http_buf *piece)
{
	if (x->out.bytes == 0)
		x->taken_ns = now_of(x->conn);
	http_out_push(&x->out, piece);
	resume(x);
}

static void
h2_end(struct http_exchange *x)
{
	resume(x);
}

static void
h2_abort(struct http_exchange *x)
{
	const struct h2 *h = x->conn->own;

	/* Without memory for a frame nothing can be told: the connection itself breaks off. */
	if (nghttp2_submit_rst_stream(
		    h->session, NGHTTP2_FLAG_NONE, x->stream, NGHTTP2_INTERNAL_ERROR) != 0)
		http_conn_end(x->conn);
}

static size_t
h2_queued(const struct http_exchange *x)
{
	return x->out.bytes;
}

/* --- timers --- */

static uint64_t
stream_deadline(const struct http_conn *c, const struct http_exchange *x)
{
	const struct http_times *times = &c->thread->server->times;
	uint64_t at = UINT64_MAX;

	if (!x->is_open)
		return UINT64_MAX; /* its head is watched with the others' */
	if (!x->remote_over && !http_exchange_ignores_body(x))
		at = x->window_ns + times->body_ms * SLK_NS_PER_MS;
	if (x->out.bytes > 0 && x->taken_ns + times->write_ms * SLK_NS_PER_MS < at)
		at = x->taken_ns + times->write_ms * SLK_NS_PER_MS;
	return at;
}

static uint64_t
h2_deadline(const struct http_conn *c, enum http_refusal *out_reason)
{
	const struct h2 *h = c->own;
	const struct http_times *times = &c->thread->server->times;
	const struct http_exchange *x;
	uint64_t at = UINT64_MAX;

	if (TAILQ_EMPTY(&h->all)) {
		uint64_t end = h->idle_ns + times->idle_ms * SLK_NS_PER_MS;
		bool trims = !h->is_trimmed && h->idle_ns + TRIM_NS < end;
		*out_reason = trims ? HTTP_NOT_REFUSED : HTTP_REFUSED_idle_timeout;
		return trims ? h->idle_ns + TRIM_NS : end;
	}
	if (h->heads_count > 0) {
		*out_reason = HTTP_REFUSED_header_timeout;
		return h->head_ns + times->header_ms * SLK_NS_PER_MS;
	}
	*out_reason = HTTP_REFUSED_body_timeout; /* or of an answer: h2_expired() looks */
	TAILQ_FOREACH(x, &h->all, entry)
	{
		uint64_t own = stream_deadline(c, x);
		if (own < at)
			at = own;
	}
	return at;
}

static void
stream_expired(struct http_conn *c, struct h2 *h, struct http_exchange *x)
{
	int32_t stream = x->stream;

	if (x->out.bytes > 0) {
		http_count_refused(c->thread, HTTP_REFUSED_write_timeout);
		take_out(h, x, HTTP_OUTCOME_TIMEOUT);
		(void)nghttp2_submit_rst_stream(
			h->session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
		return;
	}
	if (x->in_bytes - x->window_bytes >= c->thread->server->times.body_min_bytes) {
		x->window_bytes = x->in_bytes;
		x->window_ns = now_of(c);
		return;
	}
	http_count_refused(c->thread, HTTP_REFUSED_body_timeout);
	HTTP_COUNT(c->thread, answers_4xx);
	take_out(h, x, HTTP_OUTCOME_TIMEOUT);
	http_h2_refuse_stream(h, stream, HTTP_REFUSED_body_timeout);
}

static void
h2_expired(struct http_conn *c, enum http_refusal reason)
{
	struct h2 *h = c->own;
	struct http_exchange *x, *next;

	if (reason == HTTP_NOT_REFUSED) {
		http_h2_trim(h);
		return;
	}
	if (reason == HTTP_REFUSED_body_timeout) {
		for (x = TAILQ_FIRST(&h->all); x != NULL; x = next) {
			next = TAILQ_NEXT(x, entry);
			if (stream_deadline(c, x) <= now_of(c))
				stream_expired(c, h, x);
		}
		if (TAILQ_EMPTY(&h->all))
			h->idle_ns = now_of(c);
		return;
	}
	http_count_refused(c->thread, reason);
	if (reason == HTTP_REFUSED_header_timeout)
		http_conn_close(c,
			HTTP_OUTCOME_TIMEOUT); /* within a header block nothing else can be said */
	else if (nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR) != 0)
		http_conn_close(c, HTTP_OUTCOME_GONE);
}

static void
h2_drain(struct http_conn *c)
{
	struct h2 *h = c->own;
	int32_t last = nghttp2_session_get_last_proc_stream_id(h->session);

	/* Streams behind the last one were not looked at: their clients repeat them elsewhere. */
	if (nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) !=
		0)
		http_conn_end(c);
}

const struct http_protocol http_h2_protocol = {
	.open = h2_open,
	.input = h2_input,
	.wants_input = h2_wants_input,
	.output = h2_output,
	.written = h2_written,
	.deadline = h2_deadline,
	.expired = h2_expired,
	.drain = h2_drain,
	.close = h2_close,
	.free = h2_free,
	.begin = h2_begin,
	.piece = h2_piece,
	.end = h2_end,
	.abort = h2_abort,
	.queued = h2_queued,
};
