#include "gateway/client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"

#define H2_BODY_MAX 16384u

enum { DATA, HEADERS, SETTINGS = 4, WINDOW_UPDATE = 8 };
enum { END_STREAM = 1, END_HEADERS = 4 };

static int
send_all(struct gwb_client *c, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		size_t n = 0;
		if (c->ssl != NULL) {
			if (SSL_write_ex(c->ssl, at, len, &n) != 1)
				return SLK_CLOSED;
		} else {
			ssize_t sent = send(c->fd, at, len, MSG_NOSIGNAL);
			if (sent <= 0)
				return SLK_CLOSED;
			n = (size_t)sent;
		}
		at += n;
		len -= n;
	}
	return SLK_OK;
}

static int
receive_some(struct gwb_client *c, void *out, size_t cap, size_t *out_len)
{
	if (c->ssl != NULL)
		return SSL_read_ex(c->ssl, out, cap, out_len) == 1 ? SLK_OK : SLK_CLOSED;
	ssize_t n = recv(c->fd, out, cap, 0);
	if (n <= 0)
		return SLK_CLOSED;
	*out_len = (size_t)n;
	return SLK_OK;
}

static int
receive_exactly(struct gwb_client *c, void *out, size_t len)
{
	uint8_t *at = out;

	while (len > 0) {
		size_t n = 0;
		int rc = receive_some(c, at, len, &n);
		if (rc != SLK_OK)
			return rc;
		at += n;
		len -= n;
	}
	return SLK_OK;
}

/* --- HTTP/1.1 --- */

static int
make_request(struct gwb_client *c)
{
	/* As an SDK's: some 700 bytes of head. */
	static const char head[] =
		"POST / HTTP/1.1\r\nHost: localhost:8443\r\nContent-Type: "
		"application/x-amz-json-1.1\r\n"
		"X-Amz-Target: Kinesis_20131202.PutRecord\r\nX-Amz-Date: 20261124T180000Z\r\n"
		"User-Agent: Boto3/1.26.27 Python/3.11.2 Linux/6.1.0 Botocore/1.29.27\r\n"
		"Authorization: AWS4-HMAC-SHA256 "
		"Credential=AKIAIOSFODNN7EXAMPLE/20261124/local/kinesis/"
		"aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="
		"5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7\r\n"
		"Accept-Encoding: identity\r\nContent-Length: %zu\r\n\r\n";

	c->request = malloc(sizeof(head) + 32 + c->body_len);
	if (c->request == NULL)
		return SLK_NO_MEMORY;
	int n = snprintf((char *)c->request, sizeof(head) + 32, head, c->body_len);
	memset(c->request + n, 'x', c->body_len);
	c->request_len = (size_t)n + c->body_len;
	return SLK_OK;
}

static int
receive_h1(struct gwb_client *c)
{
	char text[2048];
	size_t len = 0;

	for (;;) {
		size_t n = 0;
		int rc = receive_some(c, text + len, sizeof(text) - 1 - len, &n);
		if (rc != SLK_OK)
			return rc;
		len += n;
		text[len] = '\0';
		const char *end = strstr(text, "\r\n\r\n");
		if (end != NULL && strlen(end + 4) >= strlen(c->answer))
			return strncmp(text, "HTTP/1.1 200 ", 13) == 0 &&
					strcmp(end + 4, c->answer) == 0
				? SLK_OK
				: SLK_MALFORMED;
		if (len == sizeof(text) - 1)
			return SLK_MALFORMED;
	}
}

/* --- HTTP/2, as much as this needs --- */

static size_t
put_frame(uint8_t *out, unsigned type, unsigned flags, uint32_t stream, size_t len)
{
	slk_put_be32(out, (uint32_t)len << 8);
	out[3] = (uint8_t)type;
	out[4] = (uint8_t)flags;
	slk_put_be32(out + 5, stream);
	return 9;
}

/* Windows so wide that they are never looked at again. */
static int
begin_h2(struct gwb_client *c)
{
	uint8_t hello[24 + 9 + 6 + 9 + 4] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	size_t len = 24;

	len += put_frame(hello + len, SETTINGS, 0, 0, 6);
	slk_put_be16(hello + len, 4);
	slk_put_be32(hello + len + 2, 1u << 30);
	len += 6;
	len += put_frame(hello + len, WINDOW_UPDATE, 0, 0, 4);
	slk_put_be32(hello + len, 1u << 30);
	c->stream = 1;
	return send_all(c, hello, len + 4);
}

static int
send_h2(struct gwb_client *c)
{
	/* POST, https, /, localhost: indexed, and a literal that is not. */
	static const uint8_t block[] = {
		0x83, 0x87, 0x84, 0x01, 9, 'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't'};
	uint8_t frames[9 + sizeof(block) + 9 + H2_BODY_MAX];
	size_t len = put_frame(frames, HEADERS, END_HEADERS, c->stream, sizeof(block));

	memcpy(frames + len, block, sizeof(block));
	len += sizeof(block);
	len += put_frame(frames + len, DATA, END_STREAM, c->stream, c->body_len);
	memset(frames + len, 'x', c->body_len);
	c->stream += 2;
	return send_all(c, frames, len + c->body_len);
}

/* Until one stream has ended. */
static int
receive_h2(struct gwb_client *c)
{
	uint8_t head[9] = {0}, body[H2_BODY_MAX + 256];

	body[0] = 0;

	for (;;) {
		int rc = receive_exactly(c, head, sizeof(head));
		size_t len = slk_get_be32(head) >> 8;
		if (rc != SLK_OK || len > sizeof(body))
			return rc != SLK_OK ? rc : SLK_MALFORMED;
		rc = len > 0 ? receive_exactly(c, body, len) : SLK_OK;
		if (rc != SLK_OK)
			return rc;
		if (head[3] == HEADERS && body[0] != 0x88)
			return SLK_MALFORMED; /* not 200 */
		if (head[3] == DATA && (head[4] & END_STREAM) != 0)
			return len == strlen(c->answer) && memcmp(body, c->answer, len) == 0
				? SLK_OK
				: SLK_MALFORMED;
	}
}

/* --- both --- */

int
gwb_client_send(struct gwb_client *c, unsigned count)
{
	int rc = SLK_OK;

	for (unsigned i = 0; rc == SLK_OK && i < count; i++)
		rc = c->is_h2 ? send_h2(c) : send_all(c, c->request, c->request_len);
	return rc;
}

int
gwb_client_receive(struct gwb_client *c, unsigned count)
{
	int rc = SLK_OK;

	for (unsigned i = 0; rc == SLK_OK && i < count; i++)
		rc = c->is_h2 ? receive_h2(c) : receive_h1(c);
	return rc;
}

int
gwb_client_ask(struct gwb_client *c, unsigned count)
{
	int rc = gwb_client_send(c, count);

	return rc == SLK_OK ? gwb_client_receive(c, count) : rc;
}

static int
shake_hands(struct gwb_client *c, SSL_CTX *ctx)
{
	static const uint8_t h1[] = "\x08http/1.1", h2[] = "\x02h2";

	c->ssl = SSL_new(ctx);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
		return SLK_NO_MEMORY;
	if (SSL_set_alpn_protos(
		    c->ssl, c->is_h2 ? h2 : h1, c->is_h2 ? sizeof(h2) - 1 : sizeof(h1) - 1) != 0)
		return SLK_NO_MEMORY;
	return SSL_connect(c->ssl) == 1 ? SLK_OK : SLK_CLOSED;
}

int
gwb_client_open(struct gwb_client *c, uint16_t port, SSL_CTX *ctx, bool is_h2, size_t body_len)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int one = 1;

	*c = (struct gwb_client){.fd = -1, .is_h2 = is_h2, .body_len = body_len};
	snprintf(c->answer, sizeof(c->answer), "%zu", body_len);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		return SLK_SYSTEM;
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	int rc = ctx != NULL ? shake_hands(c, ctx) : SLK_OK;
	if (rc == SLK_OK)
		rc = is_h2 ? begin_h2(c) : make_request(c);
	return rc;
}

void
gwb_client_close(struct gwb_client *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	free(c->request);
	c->request = NULL;
}
