#include "http_rig.h"

#include "slk_test.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tempdir.h"

#define ECHO_MAX_BYTES (8u << 20)
#define PIECE_BYTES 65536u

/* --- the handler --- */

struct own {
	struct http_rig *rig;
	enum { ECHO, SUM, PIECES, NEVER, LATER } what;
	uint64_t bytes;
	uint32_t crc;
	unsigned pieces_left;
	struct http_timer timer;
};

static int
rig_start(void *arg, struct http_loop *loop, void **out_thread, struct slk_error *err)
{
	struct http_rig *rig = arg;

	(void)loop;
	(void)err;
	__atomic_fetch_add(&rig->starts, 1, __ATOMIC_RELAXED);
	*out_thread = rig;
	return SLK_OK;
}

static void
rig_stop(void *thread)
{
	struct http_rig *rig = thread;
	__atomic_fetch_add(&rig->stops, 1, __ATOMIC_RELAXED);
}

static void
give_pieces(struct http_exchange *x, struct own *own)
{
	struct http_pool *pool = http_loop_pool(http_exchange_loop(x));

	while (own->pieces_left > 0 && http_answer_queued_bytes(x) < 512u * 1024u) {
		struct http_buf *buf = NULL;
		if (http_buf_new(pool, PIECE_BYTES, &buf) != SLK_OK) {
			http_answer_abort(x);
			return;
		}
		memset(buf->bytes, 'a' + (int)(own->pieces_left % 26), PIECE_BYTES);
		buf->len = PIECE_BYTES;
		own->pieces_left--;
		http_answer_piece(x, buf);
	}
	if (own->pieces_left == 0)
		http_answer_end(x);
}

static void
fire_later(struct http_timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	http_answer_bytes(timer->arg, 200, NULL, 0, "later", 5);
}

static void
who(struct http_exchange *x)
{
	const struct http_client *client = http_exchange_request(x)->client;
	char text[256];
	int n = snprintf(text, sizeof(text), "%d %s %s", (int)client->via, client->address,
		client->tls_version);

	http_answer_bytes(x, 200, NULL, 0, text, (size_t)n);
}

/* Answers that need nothing of the body. */
static bool
answer_at_once(struct http_exchange *x, const char *path)
{
	static const struct http_field bad = {"x-bad", "a\r\nset-cookie: b"};

	if (strcmp(path, "/early") == 0) {
		http_answer_bytes(x, 403, NULL, 0, "early", 5);
	} else if (strcmp(path, "/abort") == 0) {
		http_answer_begin(x, 200, NULL, 0, 100);
		struct http_buf *buf = NULL;
		assert_ok(http_buf_new(http_loop_pool(http_exchange_loop(x)), 10, &buf));
		buf->len = 10;
		memset(buf->bytes, 'x', 10);
		http_answer_piece(x, buf);
		http_answer_abort(x);
	} else if (strcmp(path, "/abort-first") == 0) {
		http_answer_abort(x);
	} else if (strcmp(path, "/inject") == 0) {
		http_answer_bytes(x, 200, &bad, 1, "never", 5);
	} else if (strcmp(path, "/who") == 0) {
		who(x);
	} else {
		return false;
	}
	return true;
}

static void
begin_echo(struct http_exchange *x)
{
	int rc = http_exchange_gather(x, ECHO_MAX_BYTES);

	if (rc == SLK_TOO_LARGE)
		http_answer_bytes(x, 413, NULL, 0, "too large", 9);
	else if (rc != SLK_OK)
		http_answer_bytes(x, 503, NULL, 0, "no room", 7);
}

static void
begin_pieces(struct http_exchange *x, struct own *own, bool tells_length)
{
	own->what = PIECES;
	own->pieces_left = (unsigned)atoi(http_exchange_request(x)->query.ptr);
	http_answer_begin(
		x, 200, NULL, 0, tells_length ? (int64_t)own->pieces_left * PIECE_BYTES : -1);
	give_pieces(x, own);
}

static void
rig_head(void *thread, struct http_exchange *x)
{
	struct http_rig *rig = thread;
	const char *path = http_exchange_request(x)->path.ptr;
	struct own *own = calloc(1, sizeof(*own));

	__atomic_fetch_add(&rig->heads, 1, __ATOMIC_RELAXED);
	http_exchange_set_user(x, own);
	http_exchange_note(x, "operation", "first");
	http_exchange_note(x, "operation", path);
	own->rig = rig;
	if (answer_at_once(x, path))
		return;
	if (strcmp(path, "/echo") == 0) {
		begin_echo(x);
	} else if (strcmp(path, "/sum") == 0) {
		own->what = SUM;
		if (http_exchange_cap(x, ECHO_MAX_BYTES) != SLK_OK)
			http_answer_bytes(x, 413, NULL, 0, "too large", 9);
	} else if (strcmp(path, "/small") == 0) {
		own->what = SUM;
	} else if (strcmp(path, "/pieces") == 0) {
		begin_pieces(x, own, false);
	} else if (strcmp(path, "/pieces-length") == 0) {
		begin_pieces(x, own, true);
	} else if (strcmp(path, "/never") == 0) {
		own->what = NEVER;
	} else if (strcmp(path, "/later") == 0) {
		own->what = LATER;
		own->timer = (struct http_timer){.fire = fire_later, .arg = x};
		struct http_loop *loop = http_exchange_loop(x);
		assert_ok(http_timer_set(
			loop, &own->timer, http_loop_now_ns(loop) + 20 * SLK_NS_PER_MS));
	} else {
		http_answer_bytes(x, 404, NULL, 0, "no such path", 12);
	}
}

static void
rig_body(void *thread, struct http_exchange *x, const uint8_t *bytes, size_t len)
{
	struct own *own = http_exchange_user(x);

	(void)thread;
	own->bytes += len;
	own->crc = slk_crc32c(own->crc, bytes, len);
}

static void
answer_echo(struct http_exchange *x, struct own *own)
{
	struct http_buf *in = http_exchange_body(x);
	const struct http_text *type = http_exchange_header(x, "content-type");
	struct http_field field = {"content-type", type != NULL ? type->ptr : "text/plain"};

	if (in->len != own->bytes || slk_crc32c(0, in->bytes, in->len) != own->crc)
		http_answer_bytes(x, 500, NULL, 0, "body() saw another body", 23);
	else
		http_answer_bytes(x, 200, &field, 1, in->bytes, in->len);
}

static void
rig_end(void *thread, struct http_exchange *x, int status)
{
	struct own *own = http_exchange_user(x);
	char text[64];

	(void)thread;
	if (status != SLK_OK) {
		http_answer_bytes(x, status == SLK_TOO_LARGE ? 413 : 503, NULL, 0, "no", 2);
	} else if (own->what == ECHO) {
		answer_echo(x, own);
	} else if (own->what == SUM) {
		int n = snprintf(
			text, sizeof(text), "%llu %08x", (unsigned long long)own->bytes, own->crc);
		http_answer_bytes(x, 200, NULL, 0, text, (size_t)n);
	}
}

static void
rig_room(void *thread, struct http_exchange *x)
{
	(void)thread;
	give_pieces(x, http_exchange_user(x));
}

static void
rig_done(void *thread, struct http_exchange *x, const struct http_result *result)
{
	struct http_rig *rig = thread;
	struct own *own = http_exchange_user(x);

	http_timer_cancel(http_exchange_loop(x), &own->timer);
	free(own);
	__atomic_fetch_add(&rig->dones, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&rig->outcomes[result->outcome], 1, __ATOMIC_RELEASE);
}

static const struct http_handler rig_handler = {
	.start = rig_start,
	.stop = rig_stop,
	.head = rig_head,
	.body = rig_body,
	.end = rig_end,
	.room = rig_room,
	.done = rig_done,
};

static void
rig_log(void *arg, const struct http_loop *loop, const struct http_exchange *x,
	const struct http_result *result)
{
	(void)arg;
	(void)loop;
	(void)result;
	assert_string_equal(
		http_exchange_noted(x, "operation"), http_exchange_request(x)->path.ptr);
	assert_null(http_exchange_noted(x, "other"));
}

/* --- the server --- */

static void
make_ca(const struct http_rig *rig)
{
	char command[2048];

	snprintf(command, sizeof(command),
		"cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
		"-keyout ca.key -out ca.pem -days 30 -subj '/CN=test CA' "
		"-addext keyUsage=critical,keyCertSign,cRLSign >ca.log 2>&1",
		rig->dir);
	if (system(command) != 0)
		fail_msg("cannot make a CA: see %s/ca.log", rig->dir);
}

void
http_rig_certificate(struct http_rig *rig)
{
	char command[2048];

	snprintf(command, sizeof(command),
		"cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
		"-keyout key.new -out cert.req -subj /CN=localhost >cert.log 2>&1 && printf "
		"'%%s\\n' "
		"basicConstraints=CA:FALSE extendedKeyUsage=serverAuth "
		"subjectAltName=DNS:localhost,IP:127.0.0.1 >ext && openssl x509 -req -in cert.req "
		"-CA "
		"ca.pem -CAkey ca.key -CAcreateserial -days 20 -extfile ext -out cert.new "
		">>cert.log 2>&1 && mv key.new key.pem && mv cert.new cert.pem",
		rig->dir);
	if (system(command) != 0)
		fail_msg("cannot make a certificate: see %s/cert.log", rig->dir);
}

void
http_rig_start(struct http_rig *rig, unsigned threads, const struct http_limits *limits,
	const struct http_times *times)
{
	struct slk_error err;
	char socket_path[300], certificate[300], key[300];

	memset(rig, 0, sizeof(*rig));
	tempdir_make(rig->dir, sizeof(rig->dir));
	make_ca(rig);
	http_rig_certificate(rig);
	snprintf(socket_path, sizeof(socket_path), "%s/server.sock", rig->dir);
	snprintf(certificate, sizeof(certificate), "%s/cert.pem", rig->dir);
	snprintf(key, sizeof(key), "%s/key.pem", rig->dir);
	const struct http_listener listeners[] = {
		{.via = HTTP_VIA_TCP,
			.host = "127.0.0.1",
			.fd = -1,
			.handler = &rig_handler,
			.arg = rig},
		{.via = HTTP_VIA_TLS,
			.host = "127.0.0.1",
			.fd = -1,
			.handler = &rig_handler,
			.arg = rig},
		{.via = HTTP_VIA_UNIX,
			.path = socket_path,
			.mode = 0600,
			.fd = -1,
			.handler = &rig_handler,
			.arg = rig},
	};
	const struct http_server_config config = {
		.threads = threads,
		.listeners = listeners,
		.listeners_count = 3,
		.limits = limits != NULL ? *limits : (struct http_limits){0},
		.times = times != NULL ? *times : (struct http_times){0},
		.tls = {certificate, key, NULL},
		.log = rig_log,
	};
	if (http_server_new(&config, &rig->server, &err) != SLK_OK ||
		http_server_start(rig->server, &err) != SLK_OK)
		fail_msg("%s", err.text);
	assert_int_equal(rig->starts, threads);
	rig->tcp_port = http_server_port(rig->server, 0);
	rig->tls_port = http_server_port(rig->server, 1);
}

void
http_rig_stop(struct http_rig *rig)
{
	http_server_stop(rig->server);
	struct http_counters counters = http_rig_counters(rig);
	assert_int_equal(rig->heads, rig->dones);
	assert_int_equal(rig->starts, rig->stops);
	assert_int_equal(counters.connections, 0);
	assert_int_equal(counters.exchanges, 0);
	assert_int_equal(counters.buffer_bytes, 0);
	assert_int_equal(counters.accepted, counters.closed);
	http_server_free(rig->server);
	tempdir_remove(rig->dir);
}

struct http_counters
http_rig_counters(const struct http_rig *rig)
{
	struct http_counters counters;

	http_server_counters(rig->server, &counters);
	return counters;
}

void
http_rig_wait(const struct http_rig *rig, enum http_outcome outcome, unsigned count)
{
	for (unsigned i = 0; i < 10000; i++) {
		if (__atomic_load_n(&rig->outcomes[outcome], __ATOMIC_ACQUIRE) >= count)
			return;
		usleep(1000);
	}
	fail_msg("outcome %d came %u times, not %u", (int)outcome, rig->outcomes[outcome], count);
}

/* --- raw clients --- */

int
http_rig_connect(const struct http_rig *rig)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(rig->tcp_port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

int
http_rig_connect_unix(const struct http_rig *rig)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%.90s/server.sock", rig->dir);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

void
http_rig_send(int fd, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
		if (n < 0)
			return; /* the server has refused already: what it said is read */
		at += n;
		len -= (size_t)n;
	}
}

size_t
http_rig_read_all(int fd, char *out, size_t cap, int ms)
{
	size_t len = 0;

	while (len < cap - 1) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, ms) <= 0)
			break;
		ssize_t n = recv(fd, out + len, cap - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	out[len] = '\0';
	return len;
}

size_t
http_rig_ask(const struct http_rig *rig, const char *text, char *out, size_t cap)
{
	int fd = http_rig_connect(rig);

	http_rig_send(fd, text, strlen(text));
	size_t len = http_rig_read_all(fd, out, cap, 5000);
	close(fd);
	return len;
}
