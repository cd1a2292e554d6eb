#include "http/io.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_PER_WRITE 16

/* --- what waits --- */

void
http_out_push(struct http_out *out, struct http_buf *buf)
{
	buf->next = NULL;
	if (out->last != NULL)
		out->last->next = buf;
	else
		out->first = buf;
	out->last = buf;
	out->bytes += buf->len;
}

int
http_out_add(struct http_out *out, struct http_pool *pool, const void *bytes, size_t len)
{
	struct http_buf *buf = out->last;

	if (len == 0)
		return SLK_OK;
	if (buf == NULL || len > buf->cap - buf->len) {
		int rc = http_buf_new(pool, len, &buf);
		if (rc != SLK_OK)
			return rc;
		http_out_push(out, buf);
	}
	memcpy(buf->bytes + buf->len, bytes, len);
	buf->len += len;
	out->bytes += len;
	return SLK_OK;
}

void
http_out_drop(struct http_out *out, struct http_pool *pool, size_t len)
{
	out->bytes -= len;
	out->offset += len;
	while (out->first != NULL && out->offset >= out->first->len) {
		struct http_buf *buf = out->first;
		out->offset -= buf->len;
		out->first = buf->next;
		if (out->first == NULL)
			out->last = NULL;
		http_buf_free(pool, buf);
	}
}

void
http_out_clear(struct http_out *out, struct http_pool *pool)
{
	while (out->first != NULL) {
		struct http_buf *buf = out->first;
		out->first = buf->next;
		http_buf_free(pool, buf);
	}
	*out = (struct http_out){0};
}

/* --- TLS --- */

/* As libssl's own for sockets, but told whether more follows: an answer of many records then leaves as few large segments. */
static int
socket_write(BIO *bio, const char *bytes, int len)
{
	const struct http_io *io = BIO_get_data(bio);
	ssize_t n = send(io->fd, bytes, (size_t)len, MSG_NOSIGNAL | (io->more ? MSG_MORE : 0));

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static long
socket_control(BIO *bio, int command, long number, void *arg)
{
	(void)bio;
	(void)number;
	(void)arg;
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static BIO_METHOD *socket_method;
static pthread_once_t socket_method_made = PTHREAD_ONCE_INIT;

static void
make_socket_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");

	if (method != NULL &&
		(BIO_meth_set_write(method, socket_write) != 1 ||
			BIO_meth_set_ctrl(method, socket_control) != 1)) {
		BIO_meth_free(method);
		method = NULL;
	}
	socket_method = method; /* for good */
}

bool
http_io_join(struct http_io *io, SSL *ssl)
{
	(void)pthread_once(&socket_method_made, make_socket_method);
	BIO *bio = socket_method != NULL ? BIO_new(socket_method) : NULL;

	if (bio == NULL)
		return false;
	BIO_set_data(bio, io);
	BIO_set_init(bio, 1);
	SSL_set0_wbio(ssl, bio);
	return SSL_set_rfd(ssl, io->fd) == 1;
}

static bool
is_plain_http(void)
{
	int reason = ERR_GET_REASON(ERR_peek_error());

	return ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SSL &&
		(reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST);
}

/* After a call of libssl that did not do what it should. */
static int
tls_status(struct http_io *io, int rc)
{
	int status;

	switch (SSL_get_error(io->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		io->wants_write = false;
		return SLK_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		io->wants_write = true;
		return SLK_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
	case SSL_ERROR_SYSCALL:
		status = SLK_CLOSED;
		break;
	default:
		status = is_plain_http() ? SLK_UNSUPPORTED : SLK_MALFORMED;
		break;
	}
	ERR_clear_error();
	return status;
}

int
http_io_handshake(struct http_io *io)
{
	ERR_clear_error();
	int rc = SSL_do_handshake(io->ssl);
	return rc == 1 ? SLK_OK : tls_status(io, rc);
}

/* --- in --- */

int
http_io_read(struct http_io *io, void *bytes, size_t cap, size_t *out_len)
{
	if (io->ssl != NULL) {
		ERR_clear_error();
		int rc = SSL_read_ex(io->ssl, bytes, cap, out_len);
		return rc == 1 ? SLK_OK : tls_status(io, rc);
	}
	ssize_t n;
	do {
		n = recv(io->fd, bytes, cap, 0);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		*out_len = (size_t)n;
		return SLK_OK;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		io->wants_write = false;
		return SLK_AGAIN;
	}
	return SLK_CLOSED;
}

bool
http_io_has_pending(const struct http_io *io)
{
	return io->ssl != NULL && SSL_has_pending(io->ssl) == 1;
}

/* --- out --- */

static int
write_tls(struct http_io *io, const struct http_out *out, size_t *out_len)
{
	const struct http_buf *buf = out->first;
	size_t len = buf->len - out->offset;

	if (len > SSL3_RT_MAX_PLAIN_LENGTH)
		len = SSL3_RT_MAX_PLAIN_LENGTH;
	ERR_clear_error();
	io->more = out->bytes > len;
	int rc = SSL_write_ex(io->ssl, buf->bytes + out->offset, len, out_len);
	io->more = false;
	return rc == 1 ? SLK_OK : tls_status(io, rc);
}

static int
write_plain(struct http_io *io, const struct http_out *out, size_t *out_len)
{
	struct iovec pieces[PIECES_PER_WRITE];
	struct msghdr message = {.msg_iov = pieces};
	size_t offset = out->offset;

	for (const struct http_buf *buf = out->first;
		buf != NULL && message.msg_iovlen < PIECES_PER_WRITE; buf = buf->next) {
		pieces[message.msg_iovlen++] =
			(struct iovec){buf->bytes + offset, buf->len - offset};
		offset = 0;
	}
	ssize_t n;
	do {
		n = sendmsg(io->fd, &message, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0) {
		*out_len = (size_t)n;
		return SLK_OK;
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return SLK_CLOSED;
	io->wants_write = true;
	return SLK_AGAIN;
}

int
http_io_write(struct http_io *io, struct http_pool *pool, struct http_out *out, size_t *out_len)
{
	*out_len = 0;
	while (out->bytes > 0) {
		size_t len = 0;
		int rc = io->ssl != NULL ? write_tls(io, out, &len) : write_plain(io, out, &len);
		if (rc == SLK_AGAIN)
			return SLK_AGAIN;
		if (rc != SLK_OK)
			return SLK_CLOSED;
		*out_len += len;
		http_out_drop(out, pool, len);
	}
	return SLK_OK;
}

void
http_io_finish(struct http_io *io)
{
	if (io->ssl != NULL && SSL_is_init_finished(io->ssl)) {
		ERR_clear_error();
		(void)SSL_shutdown(
			io->ssl); /* the alert is sent or not; its answer is not waited for */
		ERR_clear_error();
	}
	(void)shutdown(io->fd, SHUT_WR);
}

void
http_io_close(struct http_io *io)
{
	if (io->ssl != NULL) {
		SSL_free(io->ssl);
		io->ssl = NULL;
	}
	if (io->fd >= 0) {
		close(io->fd);
		io->fd = -1;
	}
}
