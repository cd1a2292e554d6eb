/* Listening sockets: opening and accepting. */
#ifndef GATEWAY_HTTP_LISTEN_H
#define GATEWAY_HTTP_LISTEN_H

#include "base/error.h"
#include "http/http.h"

/* Open `count` sockets that share listener's address (SO_REUSEPORT), or one that all threads share (a unix socket, a
 * descriptor that was handed over). *out_fds has count places; those that are not used are -1. *out_port is what TCP got.
 * SLK_EXISTS: the address is in use; SLK_CONFIG, SLK_DENIED, SLK_SYSTEM ... with a sentence. */
MUST_USE int http_listen_open(const struct http_listener *listener, unsigned count, int *out_fds,
	uint16_t *out_port, struct slk_error *err);

/* "192.0.2.1:443" or a path, for sentences. */
void http_listen_name(const struct http_listener *listener, char *out, size_t cap);

#endif
