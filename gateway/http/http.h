/* An HTTP server: HTTP/1.1 and HTTP/2, over TLS, TCP or unix sockets. It knows nothing of what it serves.
 *
 * N threads, each with its own event loop (loop.h), its own listening sockets (SO_REUSEPORT) and its own handler context. A
 * connection, its exchanges and everything that handlers do with them stay in one thread. An *exchange* is one request and
 * its answer; it looks the same over both versions.
 *
 *     head() ── body()* ── end()         what arrives; the answer may begin at any point from head() on,
 *        └── http_answer*() ── done()    at once or later, from the same thread
 *
 * done() is called exactly once for each exchange that head() was called for, and is the last that is heard of it: when
 * the answer is written, or when it cannot be (the client left, a timer ran out, the server stops). A handler that still
 * waits for somebody then notes that the exchange is no more. No function of http_answer*() calls a handler back:
 * done() and room() come from the loop.
 *
 * What is refused before head() (malformed, too large, too slow, too many) is answered by the server itself, with a short
 * plain text, and counted by reason (counters.h).
 *
 * Standards: RFC 9110, 9112 (strict: see README.md), 9113. Thread: as said; http_server_* the one that made the server.
 */
#ifndef GATEWAY_HTTP_HTTP_H
#define GATEWAY_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/sock.h"
#include "base/status.h"
#include "http/buf.h"
#include "http/counters.h"
#include "http/loop.h"

struct http_server;
struct http_exchange;

/* --- requests --- */

/* Terminated, without a NUL within; ptr is never NULL. Borrowed until done(). */
struct http_text {
	const char *ptr;
	size_t len;
};

/* In lower case, as of HTTP/2; a value has no blanks around it. */
struct http_header {
	struct http_text name, value;
};

enum http_via { HTTP_VIA_TLS, HTTP_VIA_TCP, HTTP_VIA_UNIX };

#define HTTP_ADDRESS_MAX 64u

/* Where a connection comes from. */
struct http_client {
	enum http_via via;
	unsigned listener; /* index in the configuration */
	char address[HTTP_ADDRESS_MAX]; /* "192.0.2.1:4711", "[2001:db8::1]:4711", "uid:1000" */
	struct slk_peer peer; /* of HTTP_VIA_UNIX: SO_PEERCRED */
	const char *tls_version; /* "TLSv1.3", or "" */
	const char *tls_cipher; /* or "" */
	uint64_t connection; /* number, unique in the process */
};

struct http_request {
	unsigned version; /* 11 or 20; 10 for HTTP/1.0 */
	struct http_text method; /* "POST" */
	struct http_text target; /* as it came: "/a%20b?x=1" */
	struct http_text path; /* of it, as it came, not decoded: "/a%20b" */
	struct http_text query; /* what follows the first '?', as it came; "" */
	struct http_text
		authority; /* Host, or :authority: "host[:port]"; over HTTP/2 the value of :authority, or of host if
				     that alone came; both are refused where they differ */
	bool has_authority_pseudo; /* :authority came (HTTP/2) */
	/* All but pseudo headers, in their order; names may repeat (but not host, content-length, content-type,
	 * authorization, transfer-encoding, expect: refused). Of HTTP/2 "cookie" may come in several. */
	const struct http_header *headers;
	size_t headers_count;
	bool has_length;
	uint64_t length_bytes; /* Content-Length, if has_length; 0 without a body */
	const struct http_client *client;
	uint64_t head_ns; /* monotonic: when its first byte came */
};

const struct http_request *http_exchange_request(const struct http_exchange *x);
struct http_loop *http_exchange_loop(struct http_exchange *x);

/* The first header of that name (lower case), or NULL. */
const struct http_text *http_exchange_header(const struct http_exchange *x, const char *name);
/* How many of that name. */
size_t http_exchange_header_count(const struct http_exchange *x, const char *name);

/* The handler's own pointer; NULL at first. */
void http_exchange_set_user(struct http_exchange *x, void *user);
void *http_exchange_user(const struct http_exchange *x);

/* Something for the access log, such as ("principal", ARN): the last of each name counts, at most 8 names. name: static
 * storage. value is copied, cut at 2,048 bytes. Never a secret. */
void http_exchange_note(struct http_exchange *x, const char *name, const char *value);
const char *http_exchange_noted(const struct http_exchange *x, const char *name); /* or NULL */

/* --- bodies of requests --- */

/* Gather the body in one buffer, of at most cap_bytes; from head() only. body() is still called, with pieces of that buffer,
 * for whoever hashes as it comes. SLK_TOO_LARGE: Content-Length is more than cap_bytes (answer 413); SLK_LIMIT: too much is
 * under way (answer 503). Without this call, bodies go by in pieces and are not kept. */
MUST_USE int http_exchange_gather(struct http_exchange *x, size_t cap_bytes);
/* What was gathered so far, contiguous; the bytes may move until end(), and may be changed from then on. NULL without
 * http_exchange_gather(). */
struct http_buf *http_exchange_body(struct http_exchange *x);
/* A body that is not gathered may have that many bytes (default: limits.body_bytes); from head() only. SLK_TOO_LARGE as above. */
MUST_USE int http_exchange_cap(struct http_exchange *x, uint64_t cap_bytes);

/* --- answers --- */

/* Names in lower case. date, content-length, connection and transfer-encoding are the server's: not to be given. */
struct http_field {
	const char *name, *value;
};

/* The whole answer. fields are copied; body is taken over (NULL: empty). Of HEAD requests the body is not sent, its length is
 * told. Without memory the connection breaks off, which done() says. An answer before the end of the body ends the
 * connection (HTTP/1.1), or the stream, after it; body() and end() are not called any more. */
void http_answer(struct http_exchange *x, unsigned status, const struct http_field *fields,
	size_t fields_count, struct http_buf *body);
/* The same with a body that is copied. */
void http_answer_bytes(struct http_exchange *x, unsigned status, const struct http_field *fields,
	size_t fields_count, const void *bytes, size_t len);

/* An answer by pieces. length: of the body, or -1 (chunked in HTTP/1.1). Pieces are taken over; their lengths have to add
 * up to length. room() is called when less than limits.queue_low_bytes wait to be written after more did. */
void http_answer_begin(struct http_exchange *x, unsigned status, const struct http_field *fields,
	size_t fields_count, int64_t length);
void http_answer_piece(struct http_exchange *x, struct http_buf *piece);
void http_answer_end(struct http_exchange *x);
size_t http_answer_queued_bytes(const struct http_exchange *x);

/* Something failed after the answer began: break it off, so that the client cannot take it for whole. */
void http_answer_abort(struct http_exchange *x);

bool http_exchange_answered(const struct http_exchange *x); /* begun, or aborted */

/* --- handlers --- */

enum http_outcome {
	HTTP_OUTCOME_SENT, /* the whole answer was given to the kernel */
	HTTP_OUTCOME_GONE, /* the client left before that */
	HTTP_OUTCOME_TIMEOUT, /* the body did not come, or the answer was not taken, in time */
	HTTP_OUTCOME_ABORTED, /* by http_answer_abort(), or without memory */
	HTTP_OUTCOME_STOPPED, /* the server stopped */
	HTTP_OUTCOME_MALFORMED, /* the body broke the protocol (bad chunk, length) */
};

struct http_result {
	enum http_outcome outcome;
	unsigned status; /* of the answer; 0: none was begun */
	uint64_t in_bytes, out_bytes; /* of bodies */
	uint64_t duration_ns; /* from the request's first byte */
};

struct http_handler {
	/* Once per thread, in it, before it serves; *out_thread is what the others get. NULL: arg is. */
	int (*start)(void *arg, struct http_loop *loop, void **out_thread, struct slk_error *err);
	/* Once per thread, in it, after its last exchange. */
	void (*stop)(void *thread);
	/* The request's head is there. It may be answered at once. */
	void (*head)(void *thread, struct http_exchange *x);
	/* A piece of body, borrowed; 1 byte at least. NULL: not wanted. */
	void (*body)(void *thread, struct http_exchange *x, const uint8_t *bytes, size_t len);
	/* The body is complete (status SLK_OK), also an empty one; or it is longer than its cap (SLK_TOO_LARGE: answer 413),
	 * or there is no room for it (SLK_LIMIT, SLK_NO_MEMORY: answer 503). Not called once an answer was begun. */
	void (*end)(void *thread, struct http_exchange *x, int status);
	/* Of http_answer_piece(): there is room again. NULL: not wanted. */
	void (*room)(void *thread, struct http_exchange *x);
	/* The exchange is over; x is valid until this returns. NULL: not wanted. */
	void (*done)(void *thread, struct http_exchange *x, const struct http_result *result);
};

/* --- servers --- */

struct http_listener {
	enum http_via via;
	const char *host; /* address to bind, "" or NULL: all; not for HTTP_VIA_UNIX */
	uint16_t port; /* 0: any free one (http_server_port()) */
	const char *path; /* of a unix socket */
	unsigned mode; /* its permission bits, such as 0660 */
	int fd; /* listening already (systemd): in place of the above; -1: none */
	bool reserved; /* by thread 0 alone, and not counted in limits.connections_count (for monitoring) */
	const struct http_handler *handler;
	void *arg; /* for handler->start */
};

/* 0 takes what is in brackets. */
struct http_limits {
	size_t header_bytes; /* of a header block [64 KiB]; HTTP/2: the decoded list, by RFC 9113's count, too */
	unsigned headers_count; /* [128] */
	uint64_t body_bytes; /* of bodies that are not gathered [1 MiB] */
	unsigned connections_count; /* all threads [16,384] */
	unsigned address_connections_count; /* per client address [4,096] */
	unsigned streams_count; /* HTTP/2, per connection [100] */
	size_t buffers_bytes; /* bodies in flight, both ways, per thread [256 MiB] */
	size_t queue_low_bytes; /* [256 KiB] */
	unsigned requests_per_connection; /* then the connection is closed in order [0: no limit] */
};

/* Milliseconds; 0 takes what is in brackets. */
struct http_times {
	uint32_t handshake_ms; /* TLS [10,000] */
	uint32_t
		header_ms; /* from the first byte of a head, or the beginning of a connection, to its end [15,000] */
	uint32_t body_ms; /* in which at least body_min_bytes have to come [20,000] */
	uint32_t body_min_bytes; /* [16 KiB, or the rest of the body] */
	uint32_t idle_ms; /* between requests [350,000] */
	uint32_t write_ms; /* in which the client has to take something of an answer [30,000] */
	uint32_t
		linger_ms; /* after an answer that ends the connection: what still comes is thrown away so long [2,000] */
};

struct http_tls_config {
	const char *certificate; /* PEM file: the server's, then those between it and the CA */
	const char *key; /* PEM file, or a URI of a provider: "sealock:key/ID" */
	const char *min_version; /* "1.2" or "1.3" [1.2] */
};

struct http_server_config {
	unsigned threads; /* 1..64; 0: as many as there are cores */
	const struct http_listener *listeners;
	size_t listeners_count; /* 1..16 */
	struct http_limits limits;
	struct http_times times;
	struct http_tls_config tls; /* needed if a listener is HTTP_VIA_TLS */
	/* Called with every exchange that is over, after its handler's done(): the access log. Thread: the loop's. NULL: none. */
	void (*log)(void *arg, const struct http_loop *loop, const struct http_exchange *x,
		const struct http_result *result);
	void *log_arg;
	const char *thread_name; /* ["http"] */
	const struct slk_clock *clock; /* NULL: the system's */
};

/* Opens listeners and loads certificate and key; no thread runs yet. config and what it points to is copied, but for handlers,
 * args and the clock. SLK_CONFIG, SLK_DENIED, SLK_EXISTS (address in use), SLK_SYSTEM ... with a sentence. */
MUST_USE int http_server_new(const struct http_server_config *config,
	struct http_server **out_server, struct slk_error *err);
/* Start the threads, and the handlers in them; SLK_OK once all of them serve, else what the first said that failed (the
 * others are then stopped). */
MUST_USE int http_server_start(struct http_server *server, struct slk_error *err);
/* Load certificate and key again, for connections that come from now on. On an error the old ones stay. Thread: any. */
MUST_USE int http_server_reload(struct http_server *server, struct slk_error *err);
/* Close the listeners, but reserved ones, and let each connection end with its present requests (Connection: close,
 * GOAWAY). Returns at once. */
void http_server_drain(struct http_server *server);
/* Connections that are left, but those of reserved listeners. Thread: any. */
unsigned http_server_connections(const struct http_server *server);
/* Wait until they are gone or wait_ms are over; SLK_TIMEOUT. */
MUST_USE int http_server_wait(struct http_server *server, uint32_t wait_ms);
/* Break off what is left and end the threads. */
void http_server_stop(struct http_server *server);
void http_server_free(struct http_server *server); /* stops; NULL allowed */

/* The port that a listener has got. */
uint16_t http_server_port(const struct http_server *server, size_t listener);
/* Sum of all threads. Thread: any. */
void http_server_counters(const struct http_server *server, struct http_counters *out_counters);
/* Days until the certificate expires, negative: it has; INT32_MAX without one. Thread: any. */
int http_server_certificate_days(const struct http_server *server);

#endif
