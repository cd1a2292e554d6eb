/* The reader of HTTP/1.1, case by case: each whole, in two pieces split at every byte, and byte by byte. What comes of it must
 * not depend on how it came. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "http/h1_read.h"

static const struct http_head_limits limits = {.bytes = 16384, .headers_count = 32};

struct seen {
	unsigned heads, ends;
	char body[4096];
	size_t body_len;
	enum http_refusal refusal;
	char line[256]; /* "METHOD path query authority version" of the last head */
	uint64_t length;
};

struct run {
	struct http_h1_reader reader;
	struct http_head head;
	bool has_head;
	struct seen seen;
};

static void
begin(struct run *r)
{
	http_head_init(&r->head, &limits);
	http_h1_reader_next(&r->reader, &r->head);
	r->has_head = true;
}

static void
feed(struct run *r, const char *bytes, size_t len)
{
	struct http_h1_out out;
	size_t used = 0;

	while (r->seen.refusal == HTTP_NOT_REFUSED) {
		if (r->reader.state == HTTP_H1_OVER) {
			if (used == len)
				return;
			http_head_fini(&r->head);
			begin(r);
		}
		enum http_h1_event event =
			http_h1_read(&r->reader, (const uint8_t *)bytes + used, len - used, &out);
		assert_true(out.used <= len - used);
		used += out.used;
		switch (event) {
		case HTTP_H1_EVENT_MORE:
			assert_int_equal(used, len);
			return;
		case HTTP_H1_EVENT_HEAD:
			r->seen.heads++;
			r->seen.length = out.request.length_bytes;
			snprintf(r->seen.line, sizeof(r->seen.line), "%s %s %s %s %u",
				out.request.method.ptr, out.request.path.ptr, out.request.query.ptr,
				out.request.authority.ptr, out.request.version);
			break;
		case HTTP_H1_EVENT_BODY:
			assert_true(r->seen.body_len + out.body.len <= sizeof(r->seen.body));
			memcpy(r->seen.body + r->seen.body_len, out.body.ptr, out.body.len);
			r->seen.body_len += out.body.len;
			break;
		case HTTP_H1_EVENT_END:
			r->seen.ends++;
			break;
		case HTTP_H1_EVENT_REFUSED:
			r->seen.refusal = out.refusal;
			break;
		}
	}
}

/* pieces: 0: byte by byte; else the first piece is so long. */
static struct seen
run(const char *bytes, size_t len, size_t first)
{
	static struct run r; /* large */
	memset(&r, 0, sizeof(r));
	r.seen.refusal = HTTP_NOT_REFUSED;
	http_h1_reader_init(&r.reader, &limits);
	begin(&r);
	if (first > 0) {
		feed(&r, bytes, first);
		feed(&r, bytes + first, len - first);
	}
	for (size_t i = 0; first == 0 && i < len; i++)
		feed(&r, bytes + i, 1);
	http_h1_reader_fini(&r.reader);
	http_head_fini(&r.head);
	return r.seen;
}

static struct seen
run_all_ways(const char *bytes, size_t len)
{
	struct seen whole = run(bytes, len, len);

	for (size_t first = 0; first < len; first++) {
		struct seen other = run(bytes, len, first);
		assert_int_equal(other.refusal, whole.refusal);
		assert_int_equal(other.heads, whole.heads);
		assert_int_equal(other.ends, whole.ends);
		assert_string_equal(other.line, whole.line);
		assert_int_equal(other.body_len, whole.body_len);
		assert_memory_equal(other.body, whole.body, whole.body_len);
	}
	return whole;
}

#define H "Host: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
#define NINES "99999999999999999999"

/* What has to be refused, and why. */
static const struct {
	const char *bytes;
	size_t len; /* 0: strlen */
	enum http_refusal refusal;
} bad[] = {
	/* the table of peers: each of these is let pass by some server */
	{"GET / HTTP/1.1\nHost: a\n\n", 0, HTTP_REFUSED_bad_request_line},
	{"GET / HTTP/1.1\r\nHost: a\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "X: a\rTransfer-Encoding: chunked\r\n\r\n", 0,
		HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "X: a\r\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n " H "\r\n", 0, HTTP_REFUSED_bad_header},
	{"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 0,
		HTTP_REFUSED_bad_length},
	{"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 0,
		HTTP_REFUSED_bad_length},
	{"POST / HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\nabc", 0, HTTP_REFUSED_bad_length},
	{"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 0,
		HTTP_REFUSED_bad_framing},
	{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 0,
		HTTP_REFUSED_bad_framing},
	{"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 0, HTTP_REFUSED_bad_framing},
	{"POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"POST / HTTP/1.1\r\n" H "Transfer-Encoding\t: chunked\r\n\r\n", 0,
		HTTP_REFUSED_bad_header},
	{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 0, HTTP_REFUSED_bad_coding},
	{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n", 0,
		HTTP_REFUSED_bad_coding},
	{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 0,
		HTTP_REFUSED_bad_coding},
	{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: \r\n\r\n", 0, HTTP_REFUSED_bad_coding},
	{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
	 "chunked\r\n\r\n",
		0, HTTP_REFUSED_bad_header},
	{"POST / HTTP/1.1\r\n" H
	 "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
		0, HTTP_REFUSED_repeated_header},
	{"POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc", 0, HTTP_REFUSED_bad_length},
	{"POST / HTTP/1.1\r\n" H "Content-Length: -3\r\n\r\nabc", 0, HTTP_REFUSED_bad_length},
	{"POST / HTTP/1.1\r\n" H "Content-Length: 3 4\r\n\r\nabc", 0, HTTP_REFUSED_bad_length},
	{"POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc", 0, HTTP_REFUSED_bad_length},
	{"POST / HTTP/1.1\r\n" H "Content-Length: \r\n\r\n", 0, HTTP_REFUSED_bad_length},
	{"POST / HTTP/1.1\r\n" H "Content-Length: " NINES "\r\n\r\n", 0,
		HTTP_REFUSED_body_too_large},
	{"GET / HTTP/1.1\r\n\r\n", 0, HTTP_REFUSED_bad_host},
	{"GET / HTTP/1.1\r\n" H H "\r\n", 0, HTTP_REFUSED_bad_host},
	{"GET / HTTP/1.1\r\nHost: \r\n\r\n", 0, HTTP_REFUSED_bad_host},
	{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0, HTTP_REFUSED_bad_host},
	{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0, HTTP_REFUSED_bad_host},
	{"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 0, HTTP_REFUSED_bad_host},
	{"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 0, HTTP_REFUSED_bad_host},
	{"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 0, HTTP_REFUSED_bad_host},
	{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET http://b/ HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_host},
	{"GET http://a HTTP/1.1\r\n\r\n", 0, HTTP_REFUSED_bad_host},
	{"GET ftp://a/ HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_target},
	{"GET http://u:p@a/ HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_host},
	{"GET a HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_target},
	{"CONNECT a:443 HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_target},
	{"GET * HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_target},
	{"GET /a b HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_target},
	{"GET /a#b HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_target},
	{"GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_target},
	{"GET /\x01 HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_target},
	{"GET  / HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_target},
	{"GET /  HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_target},
	{"GET /\tHTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_request_line},
	{"GET\t/ HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_request_line},
	{" GET / HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_request_line},
	{"GET /\r\n\r\n", 0, HTTP_REFUSED_bad_request_line},
	{"GET / HTTP/1.1 \r\n" H "\r\n", 0, HTTP_REFUSED_bad_request_line},
	{"GET / http/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_request_line},
	{"GET / HTTP/11\r\n" H "\r\n", 0, HTTP_REFUSED_bad_request_line},
	{"GET / HTTP/1.10\r\n" H "\r\n", 0, HTTP_REFUSED_bad_request_line},
	{"G@T / HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_request_line},
	{"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, HTTP_REFUSED_bad_request_line},
	{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\n", 10, HTTP_REFUSED_bad_request_line},
	{"GET / HTTP/9.9\r\n" H "\r\n", 0, HTTP_REFUSED_bad_version},
	{"GET / HTTP/2.0\r\n" H "\r\n", 0, HTTP_REFUSED_bad_version},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, HTTP_REFUSED_bad_version},
	{"GET / HTTP/1.2\r\n" H "\r\n", 0, HTTP_REFUSED_bad_version},
	{"GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", 36, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "X\x01: a\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "X: \x7f\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "X\xc3: a\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "X(: a\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H ": a\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	{"GET / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", 0, HTTP_REFUSED_bad_expect},
	{"GET / HTTP/1.1\r\n" H "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", 0,
		HTTP_REFUSED_repeated_header},
	{"GET / HTTP/1.1\r\n" H "Content-Type: a\r\nContent-Type: a\r\n\r\n", 0,
		HTTP_REFUSED_repeated_header},
	{"GET / HTTP/1.1\r\n" H "Authorization: a\r\nauthorization: b\r\n\r\n", 0,
		HTTP_REFUSED_repeated_header},
	{"GET / HTTP/1.1\r\n" H "Connection: a b\r\n\r\n", 0, HTTP_REFUSED_bad_header},
	/* chunks */
	{CHUNKED "0x1\r\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "-1\r\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "+1\r\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED " 1\r\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "1 \r\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "\r\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "g\r\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "1\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "1\r\na\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "1\r\nab\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "1\r\na\r0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "1;x\x01\r\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "1;x\r\r\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "1;x\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "ffffffffffffffff\r\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "10000000000000001\r\na\r\n0\r\n\r\n", 0, HTTP_REFUSED_bad_chunk},
	{CHUNKED "1\r\na\r\n0\r\n\n", 0, HTTP_REFUSED_bad_trailer},
	{CHUNKED "1\r\na\r\n0\r\nX : y\r\n\r\n", 0, HTTP_REFUSED_bad_trailer},
	{CHUNKED "1\r\na\r\n0\r\nGET / HTTP/1.1\r\n\r\n", 0, HTTP_REFUSED_bad_trailer},
	{CHUNKED "1\r\na\r\n0\r\nX: y\r\n z\r\n\r\n", 0, HTTP_REFUSED_bad_trailer},
};

static void
what_is_wrong_is_refused_for_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t len = bad[i].len != 0 ? bad[i].len : strlen(bad[i].bytes);
		struct seen seen = run_all_ways(bad[i].bytes, len);
		if (seen.refusal != bad[i].refusal)
			fail_msg("case %zu: %s, expected %s", i, http_refusal_name(seen.refusal),
				http_refusal_name(bad[i].refusal));
		assert_int_equal(seen.ends, 0);
		unsigned status = http_refusal_status(seen.refusal);
		assert_true(status >= 400 && status <= 505);
	}
}

static const struct {
	const char *bytes, *line, *body;
	unsigned heads;
} good[] = {
	{"GET / HTTP/1.1\r\n" H "\r\n", "GET /  a 11", "", 1},
	{"\r\nGET / HTTP/1.1\r\n" H "\r\n", "GET /  a 11", "", 1},
	{"GET /a%20b?x=1&y=?/ HTTP/1.1\r\nhOsT:\t a.b:443 \r\n\r\n",
		"GET /a%20b x=1&y=?/ a.b:443 11", "", 1},
	{"GET / HTTP/1.0\r\n\r\n", "GET /   10", "", 1},
	{"GET http://A:80/p?q HTTP/1.1\r\nHost: a:80\r\n\r\n", "GET /p q A:80 11", "", 1},
	{"GET https://a HTTP/1.1\r\n" H "\r\n", "GET /  a 11", "", 1},
	{"GET https://a?q HTTP/1.1\r\n" H "\r\n", "GET / q a 11", "", 1},
	{"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "OPTIONS *  [::1]:80 11", "", 1},
	{"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", "POST /  a 11", "hello", 1},
	{"POST / HTTP/1.1\r\n" H "Content-Length: 005\r\n\r\nhello", "POST /  a 11", "hello", 1},
	{"POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "POST /  a 11", "", 1},
	{"POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nok",
		"POST /  a 11", "ok", 1},
	{"POST /1 HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nxPOST /2 HTTP/1.1\r\n" H
	 "Content-Length: 1\r\n\r\ny\r\nGET /3 HTTP/1.1\r\n" H "\r\n",
		"GET /3  a 11", "xy", 3},
	{"GET / HTTP/1.1\r\n" H "X:\r\nY: \t \r\nZ: \xc3\xa9\tb\r\nX: again\r\n\r\n", "GET /  a 11",
		"", 1},
	{CHUNKED "0\r\n\r\n", "POST /  a 11", "", 1},
	{CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "POST /  a 11", "hello!", 1},
	{CHUNKED "000005;ext=\"v\";b\r\nhello\r\n00\r\n\r\n", "POST /  a 11", "hello", 1},
	{CHUNKED "A\r\n0123456789\r\n0a\r\n0123456789\r\n0\r\nX-Trailer: y\r\nContent-Length: "
		 "7\r\n\r\n",
		"POST /  a 11", "01234567890123456789", 1},
	{CHUNKED "1\r\na\r\n0\r\n\r\nGET /next HTTP/1.1\r\n" H "\r\n", "GET /next  a 11", "a", 2},
	{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"POST /  a 11", "a", 1},
};

static void
what_is_right_is_read_however_it_comes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct seen seen = run_all_ways(good[i].bytes, strlen(good[i].bytes));
		if (seen.refusal != HTTP_NOT_REFUSED)
			fail_msg("case %zu: %s", i, http_refusal_name(seen.refusal));
		assert_int_equal(seen.heads, good[i].heads);
		assert_int_equal(seen.ends, good[i].heads);
		assert_string_equal(seen.line, good[i].line);
		assert_int_equal(seen.body_len, strlen(good[i].body));
		assert_memory_equal(seen.body, good[i].body, seen.body_len);
	}
}

static void
nothing_comes_of_a_request_that_is_not_whole(void **state)
{
	(void)state;
	static const char bytes[] = CHUNKED "5\r\nhello\r\n0\r\n\r\n";
	for (size_t len = 1; len < sizeof(bytes) - 1; len++) {
		struct seen seen = run(bytes, len, len);
		assert_int_equal(seen.refusal, HTTP_NOT_REFUSED);
		assert_int_equal(seen.ends, 0);
		assert_int_equal(seen.heads, len >= sizeof(CHUNKED) - 1);
	}
}

/* text, then `with` so often that it is len bytes. */
static struct seen
run_long(const char *text, char with, size_t len, const char *end)
{
	static char bytes[64 * 1024];
	size_t at = strlen(text);

	assert_true(at + len + strlen(end) <= sizeof(bytes));
	memcpy(bytes, text, at);
	memset(bytes + at, with, len);
	memcpy(bytes + at + len, end, strlen(end));
	size_t whole = at + len + strlen(end);
	struct seen seen = run(bytes, whole, whole), other = run(bytes, whole, 0);
	assert_int_equal(seen.refusal, other.refusal);
	return seen;
}

static void
limits_hold_at_the_byte(void **state)
{
	(void)state;
	static const char tail[] = " HTTP/1.1\r\n" H "\r\n";
	assert_int_equal(
		run_long("GET /", 'a', HTTP_TARGET_MAX - 1, tail).refusal, HTTP_NOT_REFUSED);
	assert_int_equal(run_long("GET /", 'a', HTTP_TARGET_MAX, tail).refusal,
		HTTP_REFUSED_target_too_long);
	assert_int_equal(run_long("GET /", 'a', 60000, "").refusal, HTTP_REFUSED_target_too_long);
	/* The list counts 32 bytes more for each header. */
	size_t host = 4 + 1 + 32, left = limits.bytes - host - 1 - 32;
	const char *head = "GET / HTTP/1.1\r\n" H "x: ";
	assert_int_equal(run_long(head, 'a', left, "\r\n\r\n").refusal, HTTP_NOT_REFUSED);
	assert_int_equal(
		run_long(head, 'a', left + 1, "\r\n\r\n").refusal, HTTP_REFUSED_head_too_large);
	assert_int_equal(run_long(head, 'a', 60000, "").refusal, HTTP_REFUSED_head_too_large);
	assert_int_equal(
		run_long(CHUNKED "1;", 'a', 200, "\r\na\r\n0\r\n\r\n").refusal, HTTP_NOT_REFUSED);
	assert_int_equal(run_long(CHUNKED "1;", 'a', 300, "\r\na\r\n0\r\n\r\n").refusal,
		HTTP_REFUSED_bad_chunk);
	assert_int_equal(run_long(CHUNKED "0\r\nx: ", 'a', 9000, "\r\n\r\n").refusal,
		HTTP_REFUSED_bad_trailer);
	assert_int_equal(run_long("", 'M', HTTP_METHOD_MAX, " / HTTP/1.1\r\n" H "\r\n").refusal,
		HTTP_NOT_REFUSED);
	assert_int_equal(run_long("", 'M', HTTP_METHOD_MAX + 1, " / HTTP/1.1\r\n" H "\r\n").refusal,
		HTTP_REFUSED_bad_request_line);
}

static void
too_many_headers_are_refused(void **state)
{
	(void)state;
	for (unsigned count = 31; count <= 32; count++) {
		char bytes[2048];
		size_t len = (size_t)snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\n" H);
		for (unsigned i = 0; i < count; i++)
			len += (size_t)snprintf(bytes + len, sizeof(bytes) - len, "x: %u\r\n", i);
		len += (size_t)snprintf(bytes + len, sizeof(bytes) - len, "\r\n");
		assert_int_equal(run_all_ways(bytes, len).refusal,
			count == 31 ? HTTP_NOT_REFUSED : HTTP_REFUSED_head_too_large);
	}
}

static void
extensions_of_many_chunks_are_bounded(void **state)
{
	(void)state;
	static char bytes[64 * 1024];
	size_t len = (size_t)snprintf(bytes, sizeof(bytes), CHUNKED);
	for (unsigned i = 0; i < 100; i++)
		len += (size_t)snprintf(bytes + len, sizeof(bytes) - len, "1;%0200d\r\na\r\n", 0);
	assert_int_equal(run(bytes, len, len).refusal, HTTP_REFUSED_bad_chunk);
}

static void
headers_keep_order_and_lose_case_and_blanks(void **state)
{
	(void)state;
	static const char bytes[] =
		"GET / HTTP/1.1\r\nHost: a\r\nX-One:  1  2 \r\nX-ONE:\r\nx-two:3\r\n\r\n";
	struct http_h1_reader reader;
	struct http_head head;
	struct http_h1_out out;
	http_head_init(&head, &limits);
	http_h1_reader_init(&reader, &limits);
	http_h1_reader_next(&reader, &head);
	assert_int_equal(http_h1_read(&reader, (const uint8_t *)bytes, sizeof(bytes) - 1, &out),
		HTTP_H1_EVENT_HEAD);
	assert_int_equal(out.request.headers_count, 4);
	static const char *const expected[4][2] = {
		{"host", "a"}, {"x-one", "1  2"}, {"x-one", ""}, {"x-two", "3"}};
	for (unsigned i = 0; i < 4; i++) {
		assert_string_equal(out.request.headers[i].name.ptr, expected[i][0]);
		assert_int_equal(out.request.headers[i].name.len, strlen(expected[i][0]));
		assert_string_equal(out.request.headers[i].value.ptr, expected[i][1]);
		assert_int_equal(out.request.headers[i].value.len, strlen(expected[i][1]));
	}
	assert_true(out.request.has_length);
	assert_int_equal(out.request.length_bytes, 0);
	http_h1_reader_fini(&reader);
	http_head_fini(&head);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_refused_for_its_reason),
		cmocka_unit_test(what_is_right_is_read_however_it_comes),
		cmocka_unit_test(nothing_comes_of_a_request_that_is_not_whole),
		cmocka_unit_test(limits_hold_at_the_byte),
		cmocka_unit_test(too_many_headers_are_refused),
		cmocka_unit_test(extensions_of_many_chunks_are_bounded),
		cmocka_unit_test(headers_keep_order_and_lose_case_and_blanks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
