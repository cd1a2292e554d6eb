/* Clients for a server on this host: connections that ask, one after the other, and count whole answers. */
#ifndef BENCH_GATEWAY_CLIENT_H
#define BENCH_GATEWAY_CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct gwb_client {
	int fd;
	SSL *ssl; /* NULL: plain */
	bool is_h2;
	uint32_t stream; /* HTTP/2: the next one */
	uint8_t *request; /* of HTTP/1.1: head and body */
	size_t request_len, body_len;
	char answer[16]; /* what the server is to say */
};

/* ctx NULL: plain. body_len: of each request, 16 KiB at most for HTTP/2. SLK_SYSTEM, SLK_CLOSED, SLK_NO_MEMORY. */
MUST_USE int gwb_client_open(
	struct gwb_client *client, uint16_t port, SSL_CTX *ctx, bool is_h2, size_t body_len);
/* count requests, all sent before the first answer is read (HTTP/1.1: one), and their answers checked. SLK_MALFORMED: an
 * answer is wrong. */
MUST_USE int gwb_client_ask(struct gwb_client *client, unsigned count);
void gwb_client_close(struct gwb_client *client);

/* In two halves, so that several clients can wait together. */
MUST_USE int gwb_client_send(struct gwb_client *client, unsigned count);
MUST_USE int gwb_client_receive(struct gwb_client *client, unsigned count);

#endif
