/* Many clients at once, good and bad, while certificates are loaded again and counters read: for the sanitizers above all. Each
 * good exchange must be answered right, and in the end nothing may be left. */
#include "slk_test.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/bytes.h"
#include "http_rig.h"

#define CLIENTS 6u
#define ROUNDS 120u
#define BODY_MAX 200000u

static struct http_rig rig;
static atomic_uint wrong, asked;
static SSL_CTX *client_ctx;

struct client {
	pthread_t id;
	unsigned seed;
	uint8_t body[BODY_MAX];
	char answer[BODY_MAX + 4096];
};

static void
is_right(bool what)
{
	if (!what)
		atomic_fetch_add(&wrong, 1);
}

static size_t
make_post(struct client *c, const char *path, char *head, size_t cap, size_t *out_len)
{
	*out_len = (size_t)rand_r(&c->seed) % BODY_MAX;
	for (size_t i = 0; i < *out_len; i += 97)
		c->body[i] = (uint8_t)rand_r(&c->seed);
	return (size_t)snprintf(head, cap,
		"POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
		path, *out_len);
}

static void
check_echo(const struct client *c, size_t got, size_t len)
{
	const char *body = got > 0 ? strstr(c->answer, "\r\n\r\n") : NULL;

	is_right(body != NULL && strncmp(c->answer, "HTTP/1.1 200 ", 13) == 0 &&
		got - (size_t)(body + 4 - c->answer) == len && memcmp(body + 4, c->body, len) == 0);
}

static void
echo(struct client *c)
{
	char head[200];
	size_t len, head_len = make_post(c, "/echo", head, sizeof(head), &len);
	int fd = rand_r(&c->seed) % 2 == 0 ? http_rig_connect(&rig) : http_rig_connect_unix(&rig);

	atomic_fetch_add(&asked, 1);
	http_rig_send(fd, head, head_len);
	http_rig_send(fd, c->body, len);
	check_echo(c, http_rig_read_all(fd, c->answer, sizeof(c->answer), 10000), len);
	close(fd);
}

static int
connect_tls(SSL **out_ssl)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(rig.tls_port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	is_right(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	*out_ssl = SSL_new(client_ctx);
	SSL_set_fd(*out_ssl, fd);
	is_right(SSL_connect(*out_ssl) == 1);
	return fd;
}

static void
echo_tls(struct client *c)
{
	char head[200];
	size_t len, head_len = make_post(c, "/echo", head, sizeof(head), &len), got = 0, n = 0;
	SSL *ssl = NULL;
	int fd = connect_tls(&ssl);

	atomic_fetch_add(&asked, 1);
	is_right(SSL_write_ex(ssl, head, head_len, &n) == 1);
	is_right(len == 0 || SSL_write_ex(ssl, c->body, len, &n) == 1);
	while (got < sizeof(c->answer) - 1 &&
		SSL_read_ex(ssl, c->answer + got, sizeof(c->answer) - 1 - got, &n) == 1)
		got += n;
	c->answer[got] = '\0';
	check_echo(c, got, len);
	SSL_free(ssl);
	close(fd);
}

/* A body that is abandoned, or a handshake. */
static void
leave(struct client *c)
{
	char head[200];
	size_t len, head_len = make_post(c, "/echo", head, sizeof(head), &len);
	bool in_handshake = rand_r(&c->seed) % 2 == 0;
	SSL *ssl = NULL;
	int fd = in_handshake ? connect_tls(&ssl) : http_rig_connect(&rig);

	if (!in_handshake) {
		http_rig_send(fd, head, head_len);
		http_rig_send(fd, c->body, len / 2);
	}
	SSL_free(ssl);
	close(fd);
}

static void
wait_a_little(struct client *c)
{
	static const char text[] = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n";
	int fd = http_rig_connect(&rig);

	http_rig_send(fd, text, sizeof(text) - 1);
	if (rand_r(&c->seed) % 2 == 0)
		usleep(15000);
	close(fd); /* before the answer, or while it is made */
}

/* HTTP/2: requests of which some are reset at once. */
static void
reset_streams(struct client *c)
{
	static const uint8_t hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0";
	int fd = http_rig_connect(&rig);

	http_rig_send(fd, hello, 33);
	for (uint32_t i = 0; i < 30; i++) {
		uint8_t frame[9 + 12] = {0, 0, 12, 1, 5};
		static const uint8_t block[12] = {
			0x82, 0x86, 0x04, 6, '/', 'l', 'a', 't', 'e', 'r', 0x41, 1};
		slk_put_be32(frame + 5, 2 * i + 1);
		memcpy(frame + 9, block, sizeof(block));
		frame[2] = 13;
		http_rig_send(fd, frame, sizeof(frame));
		http_rig_send(fd, "a", 1);
		uint8_t reset[13] = {0, 0, 4, 3, 0};
		slk_put_be32(reset + 5, 2 * i + 1);
		reset[12] = 8;
		if (rand_r(&c->seed) % 3 == 0)
			http_rig_send(fd, reset, sizeof(reset));
	}
	http_rig_read_all(fd, c->answer, sizeof(c->answer), 30);
	close(fd);
}

static void *
client(void *arg)
{
	struct client *c = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		switch (rand_r(&c->seed) % 8) {
		case 0:
			leave(c);
			break;
		case 1:
			wait_a_little(c);
			break;
		case 2:
			reset_streams(c);
			break;
		case 3:
		case 4:
			echo_tls(c);
			break;
		default:
			echo(c);
			break;
		}
	}
	return NULL;
}

static void
nothing_breaks_and_nothing_is_left(void **state)
{
	(void)state;
	static struct client clients[CLIENTS];
	struct slk_error err;

	client_ctx = SSL_CTX_new(TLS_client_method());
	assert_non_null(client_ctx);
	SSL_CTX_set_options(client_ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	http_rig_start(&rig, 3, NULL, NULL);
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i].seed = i + 1;
		assert_int_equal(pthread_create(&clients[i].id, NULL, client, &clients[i]), 0);
	}
	for (int i = 0; i < 20; i++) {
		assert_ok(http_server_reload(rig.server, &err));
		(void)http_rig_counters(&rig);
		usleep(20000);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_join(clients[i].id, NULL), 0);
	assert_int_equal(wrong, 0);
	assert_true(http_rig_counters(&rig).sent >= asked);
	http_server_drain(rig.server);
	assert_ok(http_server_wait(rig.server, 10000));
	http_rig_stop(&rig);
	SSL_CTX_free(client_ctx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_breaks_and_nothing_is_left)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
