/* HTTP/2: curl as a client that behaves, and frames made by hand for those that do not. */
#include "slk_test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "http/head.h"
#include "http_rig.h"

static struct http_rig rig;

static int
tear_down(void **state)
{
	(void)state;
	http_rig_stop(&rig);
	return 0;
}

/* --- frames by hand --- */

enum {
	DATA,
	HEADERS,
	PRIORITY,
	RST_STREAM,
	SETTINGS,
	PUSH,
	PING,
	GOAWAY,
	WINDOW_UPDATE,
	CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { PROTOCOL_ERROR = 1, REFUSED_STREAM = 7, CANCEL = 8, ENHANCE_YOUR_CALM = 11 };

static void
send_frame(int fd, unsigned type, unsigned flags, uint32_t stream, const void *bytes, size_t len)
{
	static uint8_t frame[9 + 65536];

	assert_true(len <= 65536);
	slk_put_be32(frame, (uint32_t)len << 8);
	frame[3] = (uint8_t)type;
	frame[4] = (uint8_t)flags;
	slk_put_be32(frame + 5, stream);
	if (len > 0)
		memcpy(frame + 9, bytes, len);
	http_rig_send(fd, frame, 9 + len);
}

/* Preface and settings: first, that of the window of streams. */
static int
open_h2(uint32_t window)
{
	int fd = http_rig_connect(&rig);
	uint8_t setting[6];

	http_rig_send(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	slk_put_be16(setting, 4);
	slk_put_be32(setting + 2, window);
	send_frame(fd, SETTINGS, 0, 0, setting, 6);
	return fd;
}

struct block {
	uint8_t bytes[65536];
	size_t len;
};

/* A literal without indexing (RFC 7541, 6.2.2), lengths with prefix 7. */
static void
add_string(struct block *b, const char *text, size_t len)
{
	assert_true(b->len + len + 8 < sizeof(b->bytes));
	if (len < 127) {
		b->bytes[b->len++] = (uint8_t)len;
	} else {
		size_t left = len - 127;
		b->bytes[b->len++] = 127;
		for (; left >= 128; left /= 128)
			b->bytes[b->len++] = (uint8_t)(left % 128 + 128);
		b->bytes[b->len++] = (uint8_t)left;
	}
	memcpy(b->bytes + b->len, text, len);
	b->len += len;
}

static void
add(struct block *b, const char *name, const char *value)
{
	b->bytes[b->len++] = 0;
	add_string(b, name, strlen(name));
	add_string(b, value, strlen(value));
}

static struct block *
request(const char *method, const char *path, const char *authority)
{
	static struct block b;

	b.len = 0;
	add(&b, ":method", method);
	add(&b, ":scheme", "http");
	add(&b, ":path", path);
	if (authority != NULL)
		add(&b, ":authority", authority);
	return &b;
}

static void
send_request(int fd, uint32_t stream, const char *path, bool has_body)
{
	const struct block *b = request(has_body ? "POST" : "GET", path, "a");

	send_frame(
		fd, HEADERS, END_HEADERS | (has_body ? 0 : END_STREAM), stream, b->bytes, b->len);
}

struct frame {
	unsigned type, flags;
	uint32_t stream;
	size_t len;
	uint8_t bytes[65536];
};

static bool
read_exactly(int fd, void *out, size_t len)
{
	uint8_t *at = out;

	while (len > 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n = poll(&p, 1, 5000) > 0 ? recv(fd, at, len, 0) : 0;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* The next frame; false at the end. */
static bool
next_frame(int fd, struct frame *f)
{
	uint8_t head[9];

	if (!read_exactly(fd, head, sizeof(head)))
		return false;
	f->len = slk_get_be32(head) >> 8;
	f->type = head[3];
	f->flags = head[4];
	f->stream = slk_get_be32(head + 5);
	assert_true(f->len <= sizeof(f->bytes));
	return f->len == 0 || read_exactly(fd, f->bytes, f->len);
}

/* Skips others; fails the test if the connection ends before. */
static struct frame *
expect_frame(int fd, unsigned type, uint32_t stream)
{
	static struct frame f;

	while (next_frame(fd, &f)) {
		if (f.type == type && f.stream == stream &&
			!(type == SETTINGS && (f.flags & ACK) != 0))
			return &f;
	}
	fail_msg("no frame of type %u on stream %u", type, stream);
	return &f;
}

/* The status of an answer: our server writes :status indexed or as a literal with an indexed name. */
static unsigned
status_of(const struct frame *f)
{
	static const unsigned indexed[] = {200, 204, 206, 304, 400, 404, 500};
	uint8_t first = f->bytes[0];

	if (first >= 0x88 && first <= 0x8e)
		return indexed[first - 0x88];
	/* A literal: three digits, plain or in Huffman's code (two bytes: five bits for 0 to 2, six for 3 to 9). */
	if ((f->bytes[1] & 0x80) == 0)
		return (unsigned)(f->bytes[2] - '0') * 100 + (unsigned)(f->bytes[3] - '0') * 10 +
			(unsigned)(f->bytes[4] - '0');
	unsigned bits = (unsigned)f->bytes[2] << 16 | (unsigned)f->bytes[3] << 8 | f->bytes[4],
		 status = 0;
	for (int i = 0; i < 3; i++) {
		unsigned five = bits >> 19 & 31u, six = bits >> 18 & 63u;
		unsigned digit = five <= 2 ? five : six - 25u + 3u;
		status = status * 10 + digit;
		bits = bits << (five <= 2 ? 5 : 6) & 0xffffffu;
	}
	return status;
}

static unsigned
answer_status(int fd, uint32_t stream)
{
	return status_of(expect_frame(fd, HEADERS, stream));
}

static uint32_t
goaway_error(int fd)
{
	return slk_get_be32(expect_frame(fd, GOAWAY, 0)->bytes + 4);
}

static uint64_t
refused(enum http_refusal refusal)
{
	return http_rig_counters(&rig).refused[refusal];
}

/* --- clients that behave --- */

static char output[65536];

static int
run(const char *command, uint16_t port)
{
	char line[2048];

	snprintf(line, sizeof(line),
		"cd %s && P=%u && C=\"timeout 20 curl -sS --cacert ca.pem --noproxy localhost\" && "
		"(%s) "
		"2>&1",
		rig.dir, port, command);
	FILE *pipe = popen(line, "r");
	assert_non_null(pipe);
	size_t n = fread(output, 1, sizeof(output) - 1, pipe);
	output[n] = '\0';
	return pclose(pipe);
}

static void
curl_speaks_it_by_alpn_and_by_prior_knowledge(void **state)
{
	(void)state;
	http_rig_start(&rig, 2, NULL, NULL);
	assert_int_equal(
		run("$C --http2 -w ' %{http_version}' https://localhost:$P/who", rig.tls_port), 0);
	assert_non_null(strstr(output, "TLSv1.3 2"));
	assert_int_equal(
		run("$C --http2-prior-knowledge -w '%{http_version}' http://localhost:$P/who",
			rig.tcp_port),
		0);
	assert_int_equal(output[strlen(output) - 1], '2');
	assert_int_equal(
		run("head -c 5000000 /dev/urandom >body && $C --http2 -H 'Expect: 100-continue' "
		    "--data-binary @body -o echo https://localhost:$P/echo && cmp body echo && "
		    "echo same",
			rig.tls_port),
		0);
	assert_string_equal(output, "same\n");
	assert_int_equal(run("for t in 'pieces?160' 'pieces-length?160'; do $C --http2 "
			     "https://localhost:$P/$t "
			     "| wc -c; done",
				 rig.tls_port),
		0);
	assert_string_equal(output, "10485760\n10485760\n");
	assert_int_equal(run("$C --http2 -I https://localhost:$P/who", rig.tls_port), 0);
	assert_memory_equal(output, "HTTP/2 200", 10);
	assert_int_equal(http_rig_counters(&rig).requests_h2, 6);
	assert_int_equal(http_rig_counters(&rig).answers_1xx, 1);
	http_rig_wait(&rig, HTTP_OUTCOME_SENT, 6);
}

static void
many_streams_share_a_connection(void **state)
{
	(void)state;
	http_rig_start(&rig, 1, NULL, NULL);
	int fd = open_h2(65535);
	for (uint32_t i = 0; i < 50; i++)
		send_request(fd, 2 * i + 1, i % 2 == 0 ? "/later" : "/who", false);
	unsigned ends = 0;
	static struct frame f;
	while (ends < 50 && next_frame(fd, &f))
		ends += (f.type == DATA || f.type == HEADERS) && (f.flags & END_STREAM) != 0;
	assert_int_equal(ends, 50);
	http_rig_wait(&rig, HTTP_OUTCOME_SENT, 50);
	assert_int_equal(http_rig_counters(&rig).accepted, 1);
	close(fd);
}

static void
early_and_broken_answers_end_their_stream_alone(void **state)
{
	(void)state;
	http_rig_start(&rig, 1, NULL, NULL);
	int fd = open_h2(65535);
	send_request(fd, 1, "/early", true);
	assert_int_equal(answer_status(fd, 1), 403);
	assert_int_equal(slk_get_be32(expect_frame(fd, RST_STREAM, 1)->bytes), 0);
	send_request(fd, 3, "/abort", false);
	assert_int_equal(slk_get_be32(expect_frame(fd, RST_STREAM, 3)->bytes), 2);
	send_request(fd, 5, "/inject", false);
	assert_int_equal(slk_get_be32(expect_frame(fd, RST_STREAM, 5)->bytes), 2);
	send_request(fd, 7, "/who", false);
	assert_int_equal(answer_status(fd, 7), 200);
	close(fd);
	http_rig_wait(&rig, HTTP_OUTCOME_ABORTED, 2);
	http_rig_wait(&rig, HTTP_OUTCOME_SENT, 2);
}

static void
a_body_beyond_its_cap_is_refused(void **state)
{
	(void)state;
	static const uint8_t piece[16384];
	http_rig_start(&rig, 1, NULL, NULL);
	int fd = open_h2(65535);
	send_frame(fd, SETTINGS, ACK, 0, NULL,
		0); /* from here on the windows are as wide as it said */
	send_request(fd, 1, "/small", true);
	for (int i = 0; i < 64; i++)
		send_frame(fd, DATA, 0, 1, piece, sizeof(piece));
	send_frame(fd, DATA, 0, 1, piece, 1);
	assert_int_equal(answer_status(fd, 1), 413);
	assert_int_equal(refused(HTTP_REFUSED_body_too_large), 1);
	close(fd);
}

static void
leaving_and_draining(void **state)
{
	(void)state;
	http_rig_start(&rig, 1, NULL, NULL);
	int fd = open_h2(65535), other = open_h2(65535);
	static const uint8_t cancel[4] = {0, 0, 0, CANCEL};
	send_request(fd, 1, "/never", false);
	send_frame(fd, RST_STREAM, 0, 1, cancel, 4);
	http_rig_wait(&rig, HTTP_OUTCOME_GONE, 1);
	send_request(fd, 3, "/never", false);
	send_request(other, 1, "/later", false);
	for (int i = 0; i < 1000 && __atomic_load_n(&rig.heads, __ATOMIC_RELAXED) < 3; i++)
		usleep(1000);
	http_server_drain(rig.server);
	static struct frame f;
	bool goaway = false, answered = false;
	while (next_frame(other, &f)) {
		if (f.type == GOAWAY) {
			goaway = true;
			assert_int_equal(slk_get_be32(f.bytes), 1); /* the last that is served */
			assert_int_equal(slk_get_be32(f.bytes + 4), 0);
		}
		answered = answered || (f.type == DATA && f.stream == 1);
	}
	assert_true(goaway && answered);
	close(other);
	close(fd);
	http_rig_wait(&rig, HTTP_OUTCOME_GONE, 2);
	assert_ok(http_server_wait(rig.server, 5000));
}

/* --- and those that do not --- */

static const struct {
	const char *method, *path, *authority, *name, *value;
	unsigned status; /* 0: the stream is reset */
	enum http_refusal refusal;
} heads[] = {
	{"GET", "/who", "a", "host", "A", 200, HTTP_NOT_REFUSED},
	{"GET", "/who", NULL, "host", "a", 200, HTTP_NOT_REFUSED},
	{"GET", "/who", "a", "host", "b", 400, HTTP_REFUSED_bad_host},
	{"GET", "/who", "u@a", NULL, NULL, 400, HTTP_REFUSED_bad_host},
	{"GET", "/w ho", "a", NULL, NULL, 0, HTTP_REFUSED_h2_stream},
	{"GET", "/w#ho", "a", NULL, NULL, 400, HTTP_REFUSED_bad_target},
	{"GET", "http://a/who", "a", NULL, NULL, 0, HTTP_REFUSED_h2_stream},
	{"G T", "/who", "a", NULL, NULL, 0, HTTP_REFUSED_h2_stream},
	{"GET", "/who", NULL, NULL, NULL, 0, HTTP_REFUSED_h2_stream},
	{"GET", "/who", "a", "x-up", "a\nb", 0, HTTP_REFUSED_h2_stream},
	{"GET", "/who", "a", "X-Up", "a", 0, HTTP_REFUSED_h2_stream},
	{"GET", "/who", "a", "connection", "close", 0, HTTP_REFUSED_h2_stream},
	{"GET", "/who", "a", "transfer-encoding", "chunked", 0, HTTP_REFUSED_h2_stream},
	{"GET", "/who", "a", ":path", "/other", 0, HTTP_REFUSED_h2_stream},
	{"GET", "/who", "a", "content-length", "5", 0, HTTP_REFUSED_h2_stream},
	{"GET", "/who", "a", "content-length", "+0", 0, HTTP_REFUSED_h2_stream},
	{"GET", "/who", "a", "expect", "else", 417, HTTP_REFUSED_bad_expect},
};

static void
heads_are_checked_as_those_of_http_1_1(void **state)
{
	(void)state;
	http_rig_start(&rig, 1, NULL, NULL);
	int fd = open_h2(65535);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct block *b = request(heads[i].method, heads[i].path, heads[i].authority);
		uint32_t stream = (uint32_t)(2 * i + 1);
		if (heads[i].name != NULL)
			add(b, heads[i].name, heads[i].value);
		uint64_t before =
			heads[i].refusal < HTTP_REFUSAL_COUNT ? refused(heads[i].refusal) : 0;
		send_frame(fd, HEADERS, END_HEADERS | END_STREAM, stream, b->bytes, b->len);
		static struct frame f;
		unsigned status = 999;
		while (status == 999 && next_frame(fd, &f)) {
			if (f.stream == stream && f.type == HEADERS)
				status = status_of(&f);
			else if (f.stream == stream && f.type == RST_STREAM)
				status = 0;
		}
		if (status != heads[i].status)
			fail_msg("case %zu: %u, expected %u", i, status, heads[i].status);
		if (heads[i].refusal < HTTP_REFUSAL_COUNT)
			assert_int_equal(refused(heads[i].refusal), before + 1);
	}
	close(fd);
}

static void
heads_that_are_too_large_are_refused(void **state)
{
	(void)state;
	static char value[20001];
	http_rig_start(&rig, 1, NULL, NULL);
	int fd = open_h2(65535);
	struct block *b = request("GET", "/who", "a");
	memset(value, 'x', sizeof(value) - 1);
	/* Three frames, 60 KB on the wire; 130 headers in one. */
	for (int i = 0; i < 3; i++)
		add(b, "x-large", value);
	send_frame(fd, HEADERS, END_STREAM, 1, b->bytes, 16000);
	for (size_t at = 16000; at < b->len; at += 16000) {
		size_t len = b->len - at < 16000 ? b->len - at : 16000;
		send_frame(fd, CONTINUATION, at + len == b->len ? END_HEADERS : 0, 1, b->bytes + at,
			len);
	}
	assert_int_equal(answer_status(fd, 1), 200);
	b = request("GET", "/who", "a");
	for (int i = 0; i < 130; i++)
		add(b, "x-many", "y");
	send_frame(fd, HEADERS, END_HEADERS | END_STREAM, 3, b->bytes, b->len);
	assert_int_equal(answer_status(fd, 3), 431);
	assert_int_equal(refused(HTTP_REFUSED_head_too_large), 1);
	close(fd);
}

/* A table entry of 4,000 bytes, then a byte for each time that it is repeated. */
static void
a_bomb_of_hpack_does_not_go_off(void **state)
{
	(void)state;
	static char value[4001];
	http_rig_start(&rig, 1, NULL, NULL);
	int fd = open_h2(65535);
	struct block *b = request("GET", "/who", "a");
	memset(value, 'x', sizeof(value) - 1);
	b->bytes[b->len++] = 0x40; /* with indexing */
	add_string(b, "x", 1);
	add_string(b, value, 4000);
	memset(b->bytes + b->len, 0xbe, 10000); /* index 62 */
	b->len += 10000;
	send_frame(fd, HEADERS, END_HEADERS | END_STREAM, 1, b->bytes, b->len);
	static struct frame f;
	while (next_frame(fd, &f))
		assert_int_not_equal(f.type, DATA);
	close(fd);
	assert_int_equal(refused(HTTP_REFUSED_h2_flood), 1);
	assert_int_equal(rig.heads, 0);
}

static void
continuation_without_end_is_cut_off(void **state)
{
	(void)state;
	http_rig_start(&rig, 1, NULL, NULL);
	int fd = open_h2(65535);
	const struct block *b = request("GET", "/who", "a");
	send_frame(fd, HEADERS, END_STREAM, 1, b->bytes, b->len);
	for (int i = 0; i < 1000; i++)
		send_frame(fd, CONTINUATION, 0, 1, "\x00\x01x\x01y", 5);
	static struct frame f;
	while (next_frame(fd, &f))
		continue;
	close(fd);
	assert_int_equal(refused(HTTP_REFUSED_h2_flood) + refused(HTTP_REFUSED_h2_protocol), 1);
	assert_int_equal(rig.heads, 0);
}

static void
rapid_resets_are_cut_off(void **state)
{
	(void)state;
	static const uint8_t cancel[4] = {0, 0, 0, CANCEL};
	http_rig_start(&rig, 1, NULL, NULL);
	int fd = open_h2(65535);
	for (uint32_t i = 0; i < 5000; i++) {
		send_request(fd, 2 * i + 1, "/never", false);
		send_frame(fd, RST_STREAM, 0, 2 * i + 1, cancel, 4);
	}
	assert_int_equal(goaway_error(fd), ENHANCE_YOUR_CALM);
	close(fd);
	assert_int_equal(refused(HTTP_REFUSED_h2_flood), 1);
	http_rig_wait(&rig, HTTP_OUTCOME_GONE, 300);
	assert_true(rig.heads < 4000); /* most of them never reached the handler */
}

static void
floods_of_cheap_frames_are_cut_off(void **state)
{
	(void)state;
	static const uint8_t zeros[8];
	static const struct {
		unsigned type;
		size_t len;
	} floods[] = {{PING, 8}, {SETTINGS, 0}, {PRIORITY, 5}, {DATA, 0}};
	http_rig_start(&rig, 1, NULL, NULL);
	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		int fd = open_h2(65535);
		bool on_stream = floods[i].type == PRIORITY || floods[i].type == DATA;
		if (floods[i].type == DATA)
			send_request(fd, 1, "/echo", true);
		for (int n = 0; n < 5000; n++)
			send_frame(fd, floods[i].type, 0, on_stream ? 1 : 0, zeros, floods[i].len);
		assert_int_equal(goaway_error(fd), ENHANCE_YOUR_CALM);
		close(fd);
		assert_int_equal(refused(HTTP_REFUSED_h2_flood), i + 1);
	}
}

static void
streams_beyond_their_number_are_refused(void **state)
{
	(void)state;
	const struct http_limits limits = {.streams_count = 10};
	http_rig_start(&rig, 1, &limits, NULL);
	int fd = open_h2(65535);
	/* Before the settings are acknowledged: these streams alone. */
	for (uint32_t i = 0; i < 11; i++)
		send_request(fd, 2 * i + 1, "/never", false);
	assert_int_equal(slk_get_be32(expect_frame(fd, RST_STREAM, 21)->bytes), REFUSED_STREAM);
	assert_int_equal(refused(HTTP_REFUSED_h2_streams_full), 1);
	/* Afterwards: it knew. */
	send_frame(fd, SETTINGS, ACK, 0, NULL, 0);
	send_request(fd, 23, "/never", false);
	assert_int_equal(goaway_error(fd), PROTOCOL_ERROR);
	close(fd);
	assert_int_equal(rig.heads, 10);
}

static void
a_window_that_stays_shut_is_given_up(void **state)
{
	(void)state;
	const struct http_times times = {.write_ms = 100};
	http_rig_start(&rig, 1, NULL, &times);
	int fd = open_h2(0);
	send_request(fd, 1, "/pieces?1000", false);
	assert_int_equal(slk_get_be32(expect_frame(fd, RST_STREAM, 1)->bytes), CANCEL);
	http_rig_wait(&rig, HTTP_OUTCOME_TIMEOUT, 1);
	assert_int_equal(refused(HTTP_REFUSED_write_timeout), 1);
	send_frame(fd, PING, 0, 0, "\0\0\0\0\0\0\0\0", 8); /* the connection itself is well */
	expect_frame(fd, PING, 0);
	close(fd);
}

static void
slow_bodies_and_heads_are_given_up(void **state)
{
	(void)state;
	const struct http_times times = {.header_ms = 100, .body_ms = 100, .idle_ms = 100};
	http_rig_start(&rig, 1, NULL, &times);
	int fd = open_h2(65535);
	send_request(fd, 1, "/echo", true);
	assert_int_equal(answer_status(fd, 1), 408);
	assert_int_equal(refused(HTTP_REFUSED_body_timeout), 1);
	assert_int_equal(goaway_error(fd), 0); /* idle */
	close(fd);
	assert_int_equal(refused(HTTP_REFUSED_idle_timeout), 1);
	fd = open_h2(65535);
	const struct block *b = request("GET", "/who", "a");
	send_frame(fd, HEADERS, END_STREAM, 1, b->bytes, b->len);
	static struct frame f;
	while (next_frame(fd, &f))
		continue;
	close(fd);
	assert_int_equal(refused(HTTP_REFUSED_header_timeout), 1);
	assert_int_equal(rig.heads, 1);
}

static void
what_is_not_http_2_is_cut_off(void **state)
{
	(void)state;
	static const uint8_t zeros[64];
	http_rig_start(&rig, 1, NULL, NULL);
	int fd = open_h2(65535);
	send_frame(fd, DATA, 0, 0, zeros, 1);
	assert_int_equal(goaway_error(fd), PROTOCOL_ERROR);
	close(fd);
	fd = open_h2(65535);
	send_frame(fd, PUSH, END_HEADERS, 1, zeros, 10);
	assert_int_equal(goaway_error(fd), PROTOCOL_ERROR);
	close(fd);
	fd = open_h2(65535);
	send_request(fd, 2, "/who", false); /* even: a server's */
	assert_int_equal(goaway_error(fd), PROTOCOL_ERROR);
	close(fd);
	/* A preface in pieces is one; what only begins like it is HTTP/1.1. */
	fd = http_rig_connect(&rig);
	for (int i = 0; i < 24; i++) {
		http_rig_send(fd, &"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[i], 1);
		usleep(500);
	}
	send_frame(fd, SETTINGS, 0, 0, NULL, 0);
	send_request(fd, 1, "/who", false);
	assert_int_equal(answer_status(fd, 1), 200);
	close(fd);
	char answer[512];
	http_rig_ask(&rig, "PRIX / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", answer,
		sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 404 ", 13);
	assert_int_equal(refused(HTTP_REFUSED_h2_protocol), 3);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(curl_speaks_it_by_alpn_and_by_prior_knowledge),
		CASE(many_streams_share_a_connection),
		CASE(early_and_broken_answers_end_their_stream_alone),
		CASE(a_body_beyond_its_cap_is_refused),
		CASE(leaving_and_draining),
		CASE(heads_are_checked_as_those_of_http_1_1),
		CASE(heads_that_are_too_large_are_refused),
		CASE(a_bomb_of_hpack_does_not_go_off),
		CASE(continuation_without_end_is_cut_off),
		CASE(rapid_resets_are_cut_off),
		CASE(floods_of_cheap_frames_are_cut_off),
		CASE(streams_beyond_their_number_are_refused),
		CASE(a_window_that_stays_shut_is_given_up),
		CASE(slow_bodies_and_heads_are_given_up),
		CASE(what_is_not_http_2_is_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
