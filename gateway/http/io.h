/* Bytes of one connection, in and out, with TLS or without. Nothing waits. Thread: the connection's. */
#ifndef GATEWAY_HTTP_IO_H
#define GATEWAY_HTTP_IO_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "http/buf.h"

struct http_io {
	int fd;
	SSL *ssl; /* NULL: plain */
	bool more; /* goes out behind what is being written: the kernel may wait for it, to send both at once */
	bool wants_write; /* of the last SLK_AGAIN: it waits for room, not for bytes */
};

/* What waits to be written: buffers, in order, and how much of the first one has left. */
struct http_out {
	struct http_buf *first, *last;
	size_t offset; /* in first */
	size_t bytes; /* that wait */
};

/* Let ssl read from and write to io's descriptor. io does not move as long as ssl lives. false: no memory. */
MUST_USE bool http_io_join(struct http_io *io, SSL *ssl);
/* SLK_OK; SLK_AGAIN; SLK_UNSUPPORTED: the peer speaks plain HTTP; SLK_CLOSED; SLK_MALFORMED. */
MUST_USE int http_io_handshake(struct http_io *io);
/* 1 byte at least. SLK_AGAIN; SLK_CLOSED: the peer has ended, in order or not; SLK_MALFORMED: TLS was broken. */
MUST_USE int http_io_read(struct http_io *io, void *bytes, size_t cap, size_t *out_len);
/* Bytes that were decrypted, or are at hand to be, without a descriptor that tells. */
bool http_io_has_pending(const struct http_io *io);
/* Write what there is; what has left is given back to pool. SLK_OK: all; SLK_AGAIN; SLK_CLOSED. *out_len is what left. */
MUST_USE int http_io_write(
	struct http_io *io, struct http_pool *pool, struct http_out *out, size_t *out_len);
/* Tell the peer that nothing more is sent. */
void http_io_finish(struct http_io *io);
void http_io_close(struct http_io *io);

/* Take buf over. */
void http_out_push(struct http_out *out, struct http_buf *buf);
/* Copy, behind what is queued; SLK_LIMIT, SLK_NO_MEMORY. */
MUST_USE int http_out_add(
	struct http_out *out, struct http_pool *pool, const void *bytes, size_t len);
void http_out_clear(struct http_out *out, struct http_pool *pool);
/* The first len bytes are done with. */
void http_out_drop(struct http_out *out, struct http_pool *pool, size_t len);

#endif
