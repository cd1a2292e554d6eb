/* One request and its answer, apart from how they travel (http.h has the handlers' side). Thread: its connection's. */
#ifndef GATEWAY_HTTP_EXCHANGE_H
#define GATEWAY_HTTP_EXCHANGE_H

#include <sys/queue.h>

#include "http/head.h"
#include "http/http.h"
#include "http/io.h"

#define HTTP_NOTES_MAX 8u

struct http_conn;

struct http_note {
	const char *name;
	char *value;
};

struct http_exchange {
	TAILQ_ENTRY(http_exchange) entry; /* of its connection's (HTTP/2) */
	struct http_conn *conn;
	struct http_request request;
	void *user;
	uint64_t head_ns;
	struct http_note notes[HTTP_NOTES_MAX];
	unsigned notes_count;
	int32_t stream; /* HTTP/2 */
	/* --- the request's body --- */
	bool is_open; /* the handler's head() was called, its done() not */
	bool in_head; /* head() is running: caps may be set */
	bool gathers;
	bool body_over; /* all of it came, or end() was called */
	uint64_t cap_bytes, in_bytes;
	struct http_buf *body; /* gathered */
	uint64_t window_ns, window_bytes; /* times.body_ms counts from here */
	/* --- the answer --- */
	bool is_answered; /* begun, or aborted */
	bool is_finished; /* all its pieces are there */
	bool is_aborted;
	bool is_bodyless; /* HEAD, 204, 304: what is given as a body is not sent */
	bool is_chunked;
	bool wants_room; /* more than limits.queue_low_bytes wait */
	unsigned status;
	int64_t length; /* -1: unknown */
	uint64_t out_bytes; /* of the body, given by the handler */
	struct http_out out; /* HTTP/2: pieces that are not framed yet */
	uint64_t taken_ns; /* HTTP/2: when something of the answer left last */
	bool end_sent, remote_over; /* HTTP/2 */
	bool head_over; /* HTTP/2: all of it came */
	bool is_malformed; /* HTTP/2: nghttp2 said so */
	enum http_refusal refused; /* HTTP/2: what the head refused */
	unsigned stray_headers; /* HTTP/2: behind it */
	struct http_head head;
};

/* NULL without memory. */
struct http_exchange *http_exchange_new(struct http_conn *conn);
/* It was never opened, or is over. */
void http_exchange_free(struct http_exchange *x);

/* request is set: the handler's head(). */
void http_exchange_open(struct http_exchange *x);
/* The body so far is more than its cap, before any of it came (Content-Length). */
void http_exchange_check_length(struct http_exchange *x);
void http_exchange_data(struct http_exchange *x, const uint8_t *bytes, size_t len);
void http_exchange_end(struct http_exchange *x);
/* Nothing is wanted of the body any more: it was answered, or end() was called early. */
bool http_exchange_ignores_body(const struct http_exchange *x);
/* There is room again in the queue of its answer, which holds queued bytes. */
void http_exchange_room(struct http_exchange *x, size_t queued);
/* The handler's done(), the log, the counters; and it is freed. unsent: bytes of the body that did not leave. */
void http_exchange_over(struct http_exchange *x, enum http_outcome outcome, uint64_t unsent);

/* The reason phrase of RFC 9110, or "". */
const char *http_status_phrase(unsigned status);

#endif
