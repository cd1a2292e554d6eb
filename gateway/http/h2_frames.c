/* What nghttp2 calls when frames come and go (RFC 9113). It has checked their syntax, the states of streams and the pseudo
 * headers; what is counted here is what it leaves to its user: floods of frames that bring nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "http/h2.h"

#define CREDIT_MAX 800.0 /* frames; below nghttp2's own 1,000 resets and acknowledgements */
#define CREDIT_PER_S 40.0
#define STRAY_HEADERS_MAX 1024u /* behind the one that was refused */

static struct http_exchange *
exchange_of(nghttp2_session *session, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(session, stream);
}

/* --- floods --- */

static void
earn(struct http_conn *c, struct h2 *h)
{
	uint64_t now = http_loop_now_ns(c->thread->loop);

	h->credit += (double)(now - h->credit_ns) / (double)SLK_NS_PER_S * CREDIT_PER_S;
	h->credit_ns = now;
	if (h->credit > CREDIT_MAX)
		h->credit = CREDIT_MAX;
}

static int
flooded(struct http_conn *c, struct h2 *h)
{
	if (h->is_flooding)
		return 0;
	h->is_flooding = true;
	http_count_refused(c->thread, HTTP_REFUSED_h2_flood);
	return nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static int
spend(struct http_conn *c, struct h2 *h)
{
	earn(c, h);
	h->credit -= 1.0;
	return h->credit < 0.0 ? flooded(c, h) : 0;
}

/* --- heads --- */

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http_conn *c = arg;
	struct h2 *h = c->own;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct http_exchange *x = http_exchange_new(c);
	if (x == NULL) {
		http_count_refused(c->thread, HTTP_REFUSED_no_memory);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	x->stream = frame->hd.stream_id;
	int rc = nghttp2_session_set_stream_user_data(session, x->stream, x);
	if (rc != 0) {
		http_exchange_free(x);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	TAILQ_INSERT_TAIL(&h->all, x, entry);
	h->is_trimmed = false;
	if (h->heads_count++ == 0)
		h->head_ns = x->head_ns;
	return 0;
}

static enum http_refusal
add_header(struct http_head *head, const char *name, size_t name_len, const char *value,
	size_t value_len)
{
	if (name[0] != ':') {
		/* RFC 9113, 8.2.1: a value is not trimmed, but refused. */
		bool is_padded = value_len > 0 &&
			(strchr(" \t", value[0]) != NULL ||
				strchr(" \t", value[value_len - 1]) != NULL);
		return is_padded ? HTTP_REFUSED_bad_header
				 : http_head_add(head, name, name_len, value, value_len);
	}
	if (strcmp(name, ":method") == 0)
		return http_head_method(head, value, value_len);
	if (strcmp(name, ":path") == 0)
		return value_len > 0 && (value[0] == '/' || value[0] == '*')
			? http_head_target(head, value, value_len)
			: HTTP_REFUSED_bad_target;
	if (strcmp(name, ":authority") == 0)
		return http_head_authority(head, value, value_len);
	return strcmp(name, ":scheme") == 0 ? HTTP_NOT_REFUSED : HTTP_REFUSED_bad_header;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct http_conn *c = arg;
	struct http_exchange *x = exchange_of(session, frame->hd.stream_id);

	(void)flags;
	/* Trailers are dropped, as over HTTP/1.1; nghttp2 has checked them. */
	if (x == NULL || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (x->refused == HTTP_NOT_REFUSED)
		x->refused = add_header(
			&x->head, (const char *)name, name_len, (const char *)value, value_len);
	else if (++x->stray_headers > STRAY_HEADERS_MAX)
		/* A byte of HPACK may stand for a header of 4 KiB. */
		return flooded(c, c->own) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
	return 0;
}

void
http_h2_refuse_stream(struct h2 *h, int32_t stream, enum http_refusal refusal)
{
	char status[4], name[] = ":status";

	snprintf(status, sizeof(status), "%u", http_refusal_status(refusal) % 1000u);
	const nghttp2_nv fields[] = {
		{(uint8_t *)name, (uint8_t *)status, 7, 3, NGHTTP2_NV_FLAG_NONE}};
	if (nghttp2_submit_response(h->session, stream, fields, 1, NULL) != 0)
		(void)nghttp2_submit_rst_stream(
			h->session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_INTERNAL_ERROR);
}

static void
go_on(struct http_conn *c, struct h2 *h, struct http_exchange *x)
{
	char name[] = ":status", status[] = "100";
	const nghttp2_nv field = {(uint8_t *)name, (uint8_t *)status, 7, 3, NGHTTP2_NV_FLAG_NONE};

	if (!x->head.expects_continue || http_exchange_ignores_body(x))
		return;
	if (nghttp2_submit_headers(
		    h->session, NGHTTP2_FLAG_NONE, x->stream, NULL, &field, 1, NULL) < 0) {
		http_answer_abort(x);
		return;
	}
	HTTP_COUNT(c->thread, answers_1xx);
}

static void
head_is_whole(struct http_conn *c, struct h2 *h, struct http_exchange *x, bool has_body)
{
	unsigned most = c->thread->server->limits.requests_per_connection;

	x->head_over = true;
	h->heads_count--;
	h->head_ns = http_loop_now_ns(c->thread->loop);
	if (x->refused == HTTP_NOT_REFUSED)
		x->refused = http_head_finish(&x->head, 20, &x->request);
	if (x->refused != HTTP_NOT_REFUSED) {
		http_count_refused(c->thread, x->refused);
		HTTP_COUNT(c->thread, answers_4xx);
		http_h2_refuse_stream(h, x->stream, x->refused);
		return;
	}
	HTTP_COUNT(c->thread, requests_h2);
	if (most > 0 && ++h->requests_count >= most)
		http_conn_drain(c);
	if (!has_body) {
		x->request.has_length = true;
		x->remote_over = true;
	}
	http_exchange_open(x);
	http_exchange_check_length(x);
	if (has_body)
		go_on(c, h, x);
	else
		http_exchange_end(x);
}

/* --- frames --- */

static void
body_is_over(struct http_exchange *x)
{
	if (x == NULL || !x->is_open || x->remote_over)
		return;
	x->remote_over = true;
	http_exchange_end(x);
}

static int
on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http_conn *c = arg;
	struct h2 *h = c->own;
	struct http_exchange *x = exchange_of(session, frame->hd.stream_id);
	bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		if (frame->headers.cat == NGHTTP2_HCAT_REQUEST && x != NULL)
			head_is_whole(c, h, x, !is_last);
		else if (is_last)
			body_is_over(x);
		return 0;
	case NGHTTP2_DATA:
		if (is_last)
			body_is_over(x);
		else if (frame->hd.length == 0)
			return spend(c, h);
		return 0;
	case NGHTTP2_WINDOW_UPDATE:
	case NGHTTP2_GOAWAY:
		return 0;
	case NGHTTP2_SETTINGS:
		return (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 ? 0 : spend(c, h);
	default: /* RST_STREAM, PING, PRIORITY … */
		return spend(c, h);
	}
}

static int
on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
	size_t len, void *arg)
{
	struct http_exchange *x = exchange_of(session, stream);

	(void)flags;
	(void)arg;
	if (x != NULL && x->is_open && len > 0)
		http_exchange_data(x, bytes, len);
	return 0;
}

static int
on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *arg)
{
	struct http_conn *c = arg;
	struct http_exchange *x = exchange_of(session, frame->hd.stream_id);

	if (x != NULL)
		x->is_malformed = true;
	http_count_refused(c->thread,
		error == NGHTTP2_ERR_REFUSED_STREAM ? HTTP_REFUSED_h2_streams_full
						    : HTTP_REFUSED_h2_stream);
	return spend(c, c->own);
}

static int
on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http_conn *c = arg;
	struct h2 *h = c->own;

	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
		!h->is_flooding) {
		http_count_refused(c->thread, HTTP_REFUSED_h2_protocol);
		return 0;
	}
	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
		(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	struct http_exchange *x = exchange_of(session, frame->hd.stream_id);
	if (x != NULL)
		x->end_sent = true;
	/* RFC 9113, 8.1: the answer came before the end of the body, which is not wanted. */
	if (nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0)
		return nghttp2_submit_rst_stream(
			session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
	return 0;
}

static enum http_outcome
outcome_of(const struct http_exchange *x)
{
	if (x->is_aborted)
		return HTTP_OUTCOME_ABORTED;
	if (x->end_sent)
		return HTTP_OUTCOME_SENT;
	return x->is_malformed ? HTTP_OUTCOME_MALFORMED : HTTP_OUTCOME_GONE;
}

static int
on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
	struct http_conn *c = arg;
	struct h2 *h = c->own;
	struct http_exchange *x = exchange_of(session, stream);

	(void)error;
	if (x == NULL)
		return 0;
	(void)nghttp2_session_set_stream_user_data(session, stream, NULL);
	TAILQ_REMOVE(&h->all, x, entry);
	if (TAILQ_EMPTY(&h->all))
		h->idle_ns = http_loop_now_ns(c->thread->loop);
	if (!x->is_open) {
		h->heads_count -= x->head_over ? 0 : 1;
		http_exchange_free(x);
		return 0;
	}
	if (outcome_of(x) == HTTP_OUTCOME_SENT)
		h->credit += 1.0;
	http_exchange_over(x, outcome_of(x), x->out.bytes);
	return 0;
}

/* --- memory --- */

#define PAGE_BYTES 4096u
#define ZEROED_ROOM_BYTES PAGE_BYTES /* the table of streams, empty while the connection is idle */
#define ROOM_MIN_BYTES 16384u /* a frame's payload */

/* Of whole pages, so that they can be given back without touching what lies beside it. */
static void *
allocate(size_t len, void *arg)
{
	struct h2 *h = arg;

	if (len < ROOM_MIN_BYTES || h->frame_room != NULL)
		return malloc(len);
	size_t bytes = (len + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	h->frame_room = aligned_alloc(PAGE_BYTES, bytes);
	h->frame_room_bytes = bytes;
	return h->frame_room;
}

static void
release(void *ptr, void *arg)
{
	struct h2 *h = arg;

	if (ptr == h->frame_room)
		h->frame_room = NULL;
	if (ptr == h->zeroed_room)
		h->zeroed_room = NULL;
	free(ptr);
}

static void *
allocate_zeroed(size_t count, size_t len, void *arg)
{
	struct h2 *h = arg;

	if (count == 0 || len != ZEROED_ROOM_BYTES / count || ZEROED_ROOM_BYTES % count != 0 ||
		h->zeroed_room != NULL)
		return calloc(count, len); /* NOLINT(clang-analyzer-optin.portability.UnixAPI) */
	h->zeroed_room = aligned_alloc(PAGE_BYTES, ZEROED_ROOM_BYTES);
	if (h->zeroed_room != NULL)
		memset(h->zeroed_room, 0, ZEROED_ROOM_BYTES);
	return h->zeroed_room;
}

static void *
reallocate(void *ptr, size_t len, void *arg)
{
	struct h2 *h = arg;
	bool was_room = ptr != NULL && ptr == h->frame_room,
	     was_zeroed = ptr != NULL && ptr == h->zeroed_room;

	if (ptr == NULL)
		return allocate(len, arg);
	void *grown = realloc(ptr, len);

	if (was_room && grown != NULL)
		h->frame_room = NULL; /* it is an ordinary one now */
	if (was_zeroed && grown != NULL)
		h->zeroed_room = NULL;
	return grown;
}

static bool
is_zero(const uint8_t *bytes, size_t len)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

void
http_h2_trim(struct h2 *h)
{
	h->is_trimmed = true;
	/* Pages of zeros read as zeros again after they were given back. */
	if (h->zeroed_room != NULL && is_zero(h->zeroed_room, ZEROED_ROOM_BYTES))
		(void)madvise(h->zeroed_room, ZEROED_ROOM_BYTES, MADV_DONTNEED);
	/* Nothing is in it between frames. If the system does not want the pages, they stay. */
	if (h->frame_room != NULL && !nghttp2_session_want_write(h->session))
		(void)madvise(h->frame_room, h->frame_room_bytes, MADV_DONTNEED);
}

/* --- the session --- */

static nghttp2_session_callbacks *
new_callbacks(void)
{
	nghttp2_session_callbacks *callbacks = NULL;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	return callbacks;
}

int
http_h2_session_new(struct http_conn *c, nghttp2_session **out_session)
{
	nghttp2_session_callbacks *callbacks = new_callbacks();
	nghttp2_option *option = NULL;
	nghttp2_mem memory = {c->own, allocate, release, allocate_zeroed, reallocate};
	int rc = callbacks != NULL ? nghttp2_option_new(&option) : NGHTTP2_ERR_NOMEM;

	if (rc == 0) {
		/* Its other defaults bound resets, CONTINUATION and acknowledgements. */
		nghttp2_option_set_no_closed_streams(option, 1);
		rc = nghttp2_session_server_new3(out_session, callbacks, c, option, &memory);
	}
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return rc == 0 ? SLK_OK : SLK_NO_MEMORY;
}
