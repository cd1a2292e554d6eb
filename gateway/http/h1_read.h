/* A strict reader of HTTP/1.1 requests (RFC 9112): bytes in, events out; no input or output of its own.
 *
 *     LINE ─► HEADERS ─► LENGTH ─────────────────────────────► (END)
 *                   ├──► SIZE ─► DATA ─► DATA_END ─► SIZE …
 *                   │      └───► TRAILER ────────────────────► (END)
 *                   └─────────────────────────────────────────► (END)      any state ─► REFUSED
 *
 * What others let pass and this refuses: a line that ends in LF alone, a bare CR, folded headers, blanks before the colon,
 * several or odd Content-Lengths, Content-Length beside Transfer-Encoding, codings but "chunked", chunk sizes that are not
 * plain hex, controls anywhere, an absolute target that differs from Host. Thread: its connection's.
 */
#ifndef GATEWAY_HTTP_H1_READ_H
#define GATEWAY_HTTP_H1_READ_H

#include "base/bytes.h"
#include "http/head.h"

enum http_h1_state {
	HTTP_H1_LINE,
	HTTP_H1_HEADERS,
	HTTP_H1_LENGTH,
	HTTP_H1_SIZE,
	HTTP_H1_DATA,
	HTTP_H1_DATA_END,
	HTTP_H1_TRAILER,
	HTTP_H1_OVER, /* the request is whole; the next one needs http_h1_reader_next() */
	HTTP_H1_REFUSED, /* for good */
};

struct http_h1_reader {
	enum http_h1_state state;
	struct http_head *head; /* of the request that comes */
	struct http_head_limits limits;
	char *line; /* the part that came of a line that is not whole */
	size_t line_len, line_cap;
	size_t head_bytes; /* that came */
	size_t extra_bytes; /* of chunk extensions and trailers */
	uint64_t left; /* of the body, or of the chunk */
	bool skipped_line; /* before the request line */
};

enum http_h1_event {
	HTTP_H1_EVENT_MORE, /* all bytes were used */
	HTTP_H1_EVENT_HEAD, /* *out_request is set */
	HTTP_H1_EVENT_BODY, /* out->body is a piece of it */
	HTTP_H1_EVENT_END, /* of the body; comes behind HEAD, too, if there is none */
	HTTP_H1_EVENT_REFUSED, /* out->refusal */
};

struct http_h1_out {
	size_t used; /* bytes that are done with */
	struct slk_span body; /* within them */
	enum http_refusal refusal;
	struct http_request request;
};

void http_h1_reader_init(struct http_h1_reader *reader, const struct http_head_limits *limits);
void http_h1_reader_fini(struct http_h1_reader *reader);
/* A request is to come, into head (initialised); at first, and after END. */
void http_h1_reader_next(struct http_h1_reader *reader, struct http_head *head);
/* Part of a head has come, but not all of it. */
bool http_h1_reader_in_head(const struct http_h1_reader *reader);

/* Use bytes up to the next event. len may be 0: END may come without more. */
enum http_h1_event http_h1_read(
	struct http_h1_reader *reader, const uint8_t *bytes, size_t len, struct http_h1_out *out);

#endif
