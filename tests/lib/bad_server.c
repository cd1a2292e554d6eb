#include "bad_server.h"

#include "slk_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256u
#define BODY_MAX (32u << 20)

struct bad_server {
	SSL_CTX *tls;
	int listen_fd;
	uint16_t port;
	pthread_t acceptor;
	atomic_bool stopping;
	atomic_uint connections, requests;
	pthread_mutex_t lock; /* of what follows */
	struct bad_reply *replies;
	size_t replies_count;
	char seen[16384], last_head[8192];
	struct peer {
		struct bad_server *server;
		pthread_t thread;
		int fd;
		SSL *ssl;
	} peers[CONNECTIONS_MAX];
};

static bool
put(struct peer *peer, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = peer->ssl != NULL ? SSL_write(peer->ssl, at, (int)len)
					      : send(peer->fd, at, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool
say(struct peer *peer, const char *text)
{
	return put(peer, text, strlen(text));
}

/* Bytes that are there, after at most 20 ms more; 0: none yet, below 0: the end. */
static ssize_t
get(struct peer *peer, void *out, size_t cap)
{
	struct pollfd p = {.fd = peer->fd, .events = POLLIN};

	if ((peer->ssl == NULL || SSL_pending(peer->ssl) == 0) && poll(&p, 1, 20) <= 0)
		return 0;
	ssize_t n = peer->ssl != NULL ? SSL_read(peer->ssl, out, (int)cap)
				      : recv(peer->fd, out, cap, 0);
	return n > 0 ? n : -1;
}

struct request {
	char head[8192];
	size_t head_len;
	uint8_t *body; /* the part that came with the head, then all of it */
	size_t body_len, body_want;
};

static const char *
field(const struct request *request, const char *name, char *out, size_t cap)
{
	const char *at = strcasestr(request->head, name);

	out[0] = '\0';
	if (at != NULL) {
		at += strlen(name);
		snprintf(out, cap, "%.*s", (int)strcspn(at, "\r"), at);
	}
	return out;
}

/* The head, and what of the body came with it. false: the end. */
static bool
read_head(struct peer *peer, struct request *request)
{
	char buf[8192], length[32];
	size_t len = 0;
	char *end = NULL;

	while (end == NULL) {
		ssize_t n = get(peer, buf + len, sizeof(buf) - 1 - len);
		if (n < 0 || peer->server->stopping || len + 1 == sizeof(buf))
			return false;
		len += (size_t)n;
		buf[len] = '\0';
		end = strstr(buf, "\r\n\r\n");
	}
	request->head_len = (size_t)(end - buf) + 2;
	memcpy(request->head, buf, request->head_len);
	request->head[request->head_len] = '\0';
	request->body_want =
		strtoul(field(request, "\r\nContent-Length: ", length, sizeof(length)), NULL, 10);
	if (request->body_want > BODY_MAX)
		return false;
	request->body = malloc(request->body_want + sizeof(buf));
	if (request->body == NULL)
		return false;
	request->body_len = len - request->head_len - 2;
	memcpy(request->body, end + 4, request->body_len);
	return true;
}

static bool
read_body(struct peer *peer, struct request *request)
{
	while (request->body_len < request->body_want) {
		ssize_t n = get(peer, request->body + request->body_len,
			request->body_want - request->body_len);
		if (n < 0 || peer->server->stopping)
			return false;
		request->body_len += (size_t)n;
	}
	return true;
}

/* --- behaviours: true keeps the connection --- */

static bool
answer_echo(struct peer *peer, struct request *request)
{
	char head[512], ask[128];

	if (!read_body(peer, request))
		return false;
	snprintf(head, sizeof(head),
		"HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nX-Method: %.*s\r\nX-Seen: %s\r\n\r\n",
		request->body_want, (int)strcspn(request->head, " "), request->head,
		field(request, "\r\nX-Ask: ", ask, sizeof(ask)));
	if (!say(peer, head))
		return false;
	return strncmp(request->head, "HEAD ", 5) == 0 ||
		put(peer, request->body, request->body_want);
}

static bool
answer_status(struct peer *peer, struct request *request, const char *number)
{
	char head[256];

	if (!read_body(peer, request))
		return false;
	snprintf(head, sizeof(head),
		"HTTP/1.1 %.3s Status\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\nhello", number);
	return say(peer, head);
}

static bool
answer_silent(struct peer *peer)
{
	char byte;

	while (!peer->server->stopping && get(peer, &byte, 1) >= 0)
		;
	return false;
}

static bool
answer_for_ever(struct peer *peer, size_t len, unsigned pause_ms)
{
	char bytes[16384];

	memset(bytes, 'e', sizeof(bytes));
	bool on = say(peer, "HTTP/1.1 200 OK\r\n\r\n");
	while (on && !peer->server->stopping) {
		on = put(peer, bytes, len);
		usleep(pause_ms * 1000);
	}
	return false;
}

static bool
answer_reset(struct peer *peer, struct request *request)
{
	static const struct linger hard = {1, 0};
	char bytes[1024];

	(void)request;
	(void)get(peer, bytes, sizeof(bytes));
	setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	return false;
}

static bool
answer_big(struct peer *peer)
{
	char bytes[1024];

	memset(bytes, 'b', sizeof(bytes));
	bool on = say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 204800\r\n\r\n");
	for (unsigned i = 0; on && i < 200; i++)
		on = put(peer, bytes, sizeof(bytes));
	return on;
}

static bool
answer_end(struct peer *peer, struct request *request, const char *text)
{
	return read_body(peer, request) && say(peer, text) && false;
}

static bool
answer(struct peer *peer, struct request *request)
{
	const char *path = strchr(request->head, ' ');

#define IS(text) (path != NULL && strncmp(path + 1, text, strlen(text)) == 0)
	if (IS("/echo"))
		return answer_echo(peer, request);
	if (IS("/status/"))
		return answer_status(peer, request, path + 1 + strlen("/status/"));
	if (IS("/silent"))
		return answer_silent(peer);
	if (IS("/drip"))
		return answer_for_ever(peer, 1, 20);
	if (IS("/endless"))
		return answer_for_ever(peer, 16384, 0);
	if (IS("/reset"))
		return answer_reset(peer, request);
	if (IS("/half"))
		return answer_end(
			peer, request, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
	if (IS("/garbage"))
		return answer_end(peer, request, "\x16\x03\x01 this is no HTTP\r\n\r\n");
	if (IS("/early"))
		return say(peer,
			       "HTTP/1.1 403 No\r\nContent-Length: 3\r\nConnection: "
			       "close\r\n\r\nno\n") &&
			(usleep(20000), false);
	if (IS("/once"))
		return answer_end(
			peer, request, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
	if (IS("/big"))
		return answer_big(peer);
	if (IS("/redirect"))
		return say(peer, "HTTP/1.1 302 Go\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n");
	return answer_status(peer, request, "404");
#undef IS
}

/* --- by script --- */

static void
note(struct bad_server *server, const struct request *request)
{
	size_t len = strlen(server->seen), line = strcspn(request->head, "\r");

	if (len + line + 2 > sizeof(server->seen))
		return;
	snprintf(
		server->seen + len, sizeof(server->seen) - len, "%.*s\n", (int)line, request->head);
	snprintf(server->last_head, sizeof(server->last_head), "%s", request->head);
}

/* Counts it; *out is a copy, for the test may have gone on when the last byte is sent. false: none fits. */
static bool
reply_for(struct bad_server *server, const struct request *request, struct bad_reply *out)
{
	bool found = false;
	char line[8192];

	snprintf(line, sizeof(line), "%.*s", (int)strcspn(request->head, "\r"), request->head);
	pthread_mutex_lock(&server->lock);
	note(server, request);
	for (size_t i = 0; !found && i < server->replies_count; i++) {
		struct bad_reply *r = &server->replies[i];
		size_t method = strlen(r->method);
		if (strncmp(line, r->method, method) != 0 || strstr(line, r->in_target) == NULL ||
			r->times == 1000)
			continue;
		found = true;
		*out = *r;
		if (r->times > 0)
			r->times = r->times == 1 ? 1000 : r->times - 1; /* 1000: used up */
	}
	pthread_mutex_unlock(&server->lock);
	return found;
}

static bool
answer_script(struct peer *peer, struct request *request, const struct bad_reply *reply)
{
	char head[2048];

	if (reply->reset)
		return answer_reset(peer, request);
	if (!read_body(peer, request))
		return false;
	snprintf(head, sizeof(head), "HTTP/1.1 %u Scripted\r\nContent-Length: %zu\r\n%s\r\n",
		reply->status, strlen(reply->body), reply->headers);
	return say(peer, head) && say(peer, reply->body);
}

void
bad_server_script(struct bad_server *server, struct bad_reply *replies, size_t count)
{
	pthread_mutex_lock(&server->lock);
	server->replies = replies;
	server->replies_count = count;
	pthread_mutex_unlock(&server->lock);
}

const char *
bad_server_seen(struct bad_server *server)
{
	return server->seen;
}

const char *
bad_server_last_head(struct bad_server *server)
{
	return server->last_head;
}

void
bad_server_forget(struct bad_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->seen[0] = server->last_head[0] = '\0';
	pthread_mutex_unlock(&server->lock);
}

/* --- connections --- */

static void *
serve(void *arg)
{
	static const struct timeval patience = {2, 0};
	struct peer *peer = arg;
	bool on = true;

	setsockopt(peer->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (peer->server->tls != NULL) {
		peer->ssl = SSL_new(peer->server->tls);
		on = peer->ssl != NULL && SSL_set_fd(peer->ssl, peer->fd) == 1 &&
			SSL_accept(peer->ssl) == 1;
	}
	while (on) {
		struct request request = {.body = NULL};
		on = read_head(peer, &request);
		if (on) {
			peer->server->requests++;
			struct bad_reply reply;
			on = reply_for(peer->server, &request, &reply)
				? answer_script(peer, &request, &reply)
				: answer(peer, &request);
		}
		free(request.body);
	}
	SSL_free(peer->ssl);
	close(peer->fd);
	return NULL;
}

static void *
accept_all(void *arg)
{
	struct bad_server *server = arg;
	struct pollfd p = {.fd = server->listen_fd, .events = POLLIN};

	while (!server->stopping && server->connections < CONNECTIONS_MAX) {
		if (poll(&p, 1, 20) <= 0)
			continue;
		struct peer *peer = &server->peers[server->connections];
		peer->server = server;
		peer->fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (peer->fd < 0)
			continue;
		assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
		server->connections++;
	}
	return NULL;
}

struct bad_server *
bad_server_start(const char *certificate, const char *key)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	struct bad_server *server = calloc(1, sizeof(*server));

	assert_non_null(server);
	pthread_mutex_init(&server->lock, NULL);
	signal(SIGPIPE, SIG_IGN); /* of OpenSSL's writes */
	if (certificate != NULL) {
		server->tls = SSL_CTX_new(TLS_server_method());
		assert_non_null(server->tls);
		assert_int_equal(SSL_CTX_use_certificate_chain_file(server->tls, certificate), 1);
		assert_int_equal(
			SSL_CTX_use_PrivateKey_file(server->tls, key, SSL_FILETYPE_PEM), 1);
	}
	server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server->listen_fd >= 0);
	assert_int_equal(bind(server->listen_fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(server->listen_fd, 64), 0);
	assert_int_equal(getsockname(server->listen_fd, (struct sockaddr *)&at, &len), 0);
	server->port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&server->acceptor, NULL, accept_all, server), 0);
	return server;
}

void
bad_server_stop(struct bad_server *server)
{
	server->stopping = true;
	pthread_join(server->acceptor, NULL);
	for (unsigned i = 0; i < server->connections; i++)
		pthread_join(server->peers[i].thread, NULL);
	close(server->listen_fd);
	pthread_mutex_destroy(&server->lock);
	SSL_CTX_free(server->tls);
	free(server);
}

uint16_t
bad_server_port(const struct bad_server *server)
{
	return server->port;
}

unsigned
bad_server_connections(const struct bad_server *server)
{
	return server->connections;
}

unsigned
bad_server_requests(const struct bad_server *server)
{
	return server->requests;
}
