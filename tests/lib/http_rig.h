/* A server of gateway/http with a handler for tests, and raw clients. The handler answers by path:
 *
 *     POST /echo      the gathered body (cap 8 MiB), content-type as it came
 *     *    /sum       "BYTES CRC32C" of the body as it passed by, not kept (cap 8 MiB)
 *     GET  /pieces?N  N pieces of 64 KiB, no length, as room() asks for them; /pieces-length?N: with the length told
 *     *    /early     403 at once, whatever body is to come
 *     GET  /never     nothing, until it is over
 *     GET  /abort     breaks off behind some bytes; /abort-first before any
 *     GET  /later     200 at a timer of 20 ms
 *     GET  /inject    a header value with a line end in it
 *     GET  /who       "VIA ADDRESS TLS"
 *     else            404
 */
#ifndef SLK_TESTS_LIB_HTTP_RIG_H
#define SLK_TESTS_LIB_HTTP_RIG_H

#include "http/http.h"

struct http_rig {
	struct http_server *server;
	uint16_t tcp_port, tls_port;
	char dir[256]; /* with ca.pem, cert.pem, key.pem, server.sock */
	/* What the handler saw, over all threads; __atomic. */
	unsigned heads, dones, starts, stops;
	unsigned outcomes[8];
	char last_note[128];
};

/* limits and times: 0 for defaults. */
void http_rig_start(struct http_rig *rig, unsigned threads, const struct http_limits *limits,
	const struct http_times *times);
void http_rig_stop(struct http_rig *rig);
/* A new certificate, signed by the same CA, in place of the old one. */
void http_rig_certificate(struct http_rig *rig);
struct http_counters http_rig_counters(const struct http_rig *rig);
/* Wait until so many exchanges ended so; fails the test after ten seconds. */
void http_rig_wait(const struct http_rig *rig, enum http_outcome outcome, unsigned count);

/* A TCP connection to the plain port; or to the unix socket. */
int http_rig_connect(const struct http_rig *rig);
int http_rig_connect_unix(const struct http_rig *rig);
void http_rig_send(int fd, const void *bytes, size_t len);
/* Read until the peer ends, or cap - 1 bytes came, or ms passed without any. Terminated; the length. */
size_t http_rig_read_all(int fd, char *out, size_t cap, int ms);
/* Send text, read all that comes, close. */
size_t http_rig_ask(const struct http_rig *rig, const char *text, char *out, size_t cap);

#endif
