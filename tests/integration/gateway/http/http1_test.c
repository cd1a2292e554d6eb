/* HTTP/1.1 over sockets: what is answered, what is refused, and that a connection is never in doubt about where a request ends. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "http_rig.h"

static struct http_rig rig;
static char answer[1u << 20];

static int
set_up(void **state)
{
	(void)state;
	http_rig_start(&rig, 2, NULL, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	http_rig_stop(&rig);
	return 0;
}

static unsigned
count_of(const char *text, const char *what)
{
	unsigned count = 0;

	for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what))
		count++;
	return count;
}

static void
assert_begins(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		fail_msg("\"%.200s\" does not begin with \"%s\"", text, with);
}

static void
assert_ends(const char *text, const char *with)
{
	size_t len = strlen(text), with_len = strlen(with);
	if (len < with_len || strcmp(text + len - with_len, with) != 0)
		fail_msg("\"%.200s\" does not end with \"%s\"", text, with);
}

#define CLOSE "Host: a\r\nConnection: close\r\n"

static void
answers_have_what_rfc_9110_asks_for(void **state)
{
	(void)state;
	http_rig_ask(&rig,
		"POST /echo HTTP/1.1\r\n" CLOSE
		"Content-Type: x/y\r\nContent-Length: 5\r\n\r\nhello",
		answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 200 OK\r\n");
	assert_ends(answer, "\r\n\r\nhello");
	assert_int_equal(count_of(answer, "\r\ncontent-type: x/y\r\n"), 1);
	assert_int_equal(count_of(answer, "\r\ncontent-length: 5\r\n"), 1);
	assert_int_equal(count_of(answer, "\r\nconnection: close\r\n"), 1);
	assert_int_equal(count_of(answer, "\r\ndate: "), 1);
	assert_int_equal(count_of(answer, " GMT\r\n"), 1);
}

static void
requests_share_a_connection_one_after_the_other(void **state)
{
	(void)state;
	int fd = http_rig_connect(&rig);
	for (unsigned i = 0; i < 5; i++) {
		char text[128];
		size_t len = (size_t)snprintf(text, sizeof(text),
			"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n%u", i);
		http_rig_send(fd, text, len);
		http_rig_read_all(fd, answer, sizeof(answer), 50);
		assert_begins(answer, "HTTP/1.1 200 OK\r\n");
		char end[8];
		snprintf(end, sizeof(end), "\r\n\r\n%u", i);
		assert_ends(answer, end);
	}
	close(fd);
	struct http_counters c = http_rig_counters(&rig);
	assert_int_equal(c.requests_h1, 5);
	assert_int_equal(c.accepted, 1);
}

static void
pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	static char text[64 * 1024];
	size_t len = 0;
	for (unsigned i = 0; i < 200; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"%s /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n%04u", "POST",
			i % 10 == 3 ? "sum" : "echo", i);
	snprintf(text + len, sizeof(text) - len, "GET /later HTTP/1.1\r\n" CLOSE "\r\n");
	http_rig_ask(&rig, text, answer, sizeof(answer));
	assert_int_equal(count_of(answer, "HTTP/1.1 200 OK\r\n"), 201);
	const char *at = answer;
	for (unsigned i = 0; i < 200; i++) {
		char body[40];
		snprintf(body, sizeof(body), i % 10 == 3 ? "\r\n\r\n4 " : "\r\n\r\n%04uHTTP", i);
		at = strstr(at, body);
		assert_non_null(at);
	}
	assert_ends(answer, "later");
}

static void
chunked_bodies_are_put_together(void **state)
{
	(void)state;
	http_rig_ask(&rig,
		"POST /echo HTTP/1.1\r\n" CLOSE
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: "
		"r\r\n\r\n",
		answer, sizeof(answer));
	assert_ends(answer, "\r\n\r\nhello world");
}

static void
large_bodies_come_and_go_whole(void **state)
{
	(void)state;
	size_t len = 3u << 20;
	uint8_t *body = malloc(len);
	assert_non_null(body);
	for (size_t i = 0; i < len; i++)
		body[i] = (uint8_t)(i * 2654435761u >> 13);
	uint32_t crc = slk_crc32c(0, body, len);
	for (int round = 0; round < 2; round++) {
		char head[256];
		int fd = http_rig_connect(&rig);
		int n = snprintf(head, sizeof(head),
			"POST %s HTTP/1.1\r\n" CLOSE "Content-Length: %zu\r\n\r\n",
			round == 0 ? "/sum" : "/echo", len);
		http_rig_send(fd, head, (size_t)n);
		http_rig_send(fd, body, len);
		char *out = malloc(len + 4096);
		assert_non_null(out);
		size_t got = http_rig_read_all(fd, out, len + 4096, 5000);
		close(fd);
		char *end = strstr(out, "\r\n\r\n");
		assert_non_null(end);
		end += 4;
		if (round == 0) {
			char expected[64];
			snprintf(expected, sizeof(expected), "%zu %08x", len, crc);
			assert_string_equal(end, expected);
		} else {
			assert_int_equal(got - (size_t)(end - out), len);
			assert_memory_equal(end, body, len);
		}
		free(out);
	}
	free(body);
}

static void
answers_by_pieces_wait_for_room(void **state)
{
	(void)state;
	static const char *const targets[] = {"/pieces?160", "/pieces-length?160"};
	for (int i = 0; i < 2; i++) {
		char text[128];
		size_t cap = 12u << 20;
		char *out = malloc(cap);
		assert_non_null(out);
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" CLOSE "\r\n", targets[i]);
		size_t len = http_rig_ask(&rig, text, out, cap);
		assert_begins(out, "HTTP/1.1 200 OK\r\n");
		size_t body = 160 * 65536u, head = (size_t)(strstr(out, "\r\n\r\n") - out) + 4;
		/* "10000\r\n" … "\r\n" for each, and the end */
		assert_int_equal(len - head, i == 0 ? body + 160 * 9 + 5 : body);
		assert_int_equal(count_of(out, "transfer-encoding: chunked"), i == 0);
		free(out);
	}
	http_rig_wait(&rig, HTTP_OUTCOME_SENT, 2);
}

static void
head_requests_get_heads(void **state)
{
	(void)state;
	http_rig_ask(&rig, "HEAD /who HTTP/1.1\r\n" CLOSE "\r\n", answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 200 OK\r\n");
	assert_ends(answer, "\r\n\r\n");
	assert_int_equal(count_of(answer, "content-length: 0\r\n"), 0);
	assert_int_equal(count_of(answer, "content-length: "), 1);
}

static void
http_1_0_gets_one_answer(void **state)
{
	(void)state;
	http_rig_ask(&rig, "GET /pieces?1 HTTP/1.0\r\n\r\n", answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 200 OK\r\n");
	assert_int_equal(count_of(answer, "chunked"), 0);
	assert_int_equal(count_of(answer, "connection: close\r\n"), 1);
	assert_int_equal(strlen(strstr(answer, "\r\n\r\n") + 4), 65536);
}

static void
expect_is_answered_before_the_body(void **state)
{
	(void)state;
	static const char head[] =
		"POST /echo HTTP/1.1\r\n" CLOSE "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
	int fd = http_rig_connect(&rig);
	http_rig_send(fd, head, sizeof(head) - 1);
	http_rig_read_all(fd, answer, sizeof("HTTP/1.1 100 Continue\r\n\r\n"), 5000);
	assert_string_equal(answer, "HTTP/1.1 100 Continue\r\n\r\n");
	http_rig_send(fd, "hello", 5);
	http_rig_read_all(fd, answer, sizeof(answer), 5000);
	close(fd);
	assert_begins(answer, "HTTP/1.1 200 OK\r\n");
	/* Too large, or refused at once: the answer comes in its place. */
	http_rig_ask(&rig,
		"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
		"99999999\r\n\r\n",
		answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 413 Content Too Large\r\n");
	http_rig_ask(&rig,
		"POST /early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
		"5\r\n\r\n",
		answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 403 Forbidden\r\n");
	assert_int_equal(http_rig_counters(&rig).answers_1xx, 1);
}

static void
an_early_answer_ends_the_connection_and_is_not_lost(void **state)
{
	(void)state;
	static uint8_t body[1u << 20];
	for (int i = 0; i < 5; i++) {
		static const char head[] =
			"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n";
		int fd = http_rig_connect(&rig);
		http_rig_send(fd, head, sizeof(head) - 1);
		http_rig_send(fd, body, sizeof(body));
		http_rig_read_all(fd, answer, sizeof(answer), 5000);
		close(fd);
		assert_begins(answer, "HTTP/1.1 403 Forbidden\r\n");
		assert_int_equal(count_of(answer, "connection: close\r\n"), 1);
		assert_ends(answer, "early");
	}
	assert_int_equal(http_rig_counters(&rig).requests_h1, 5);
}

static void
bodies_beyond_their_cap_are_refused(void **state)
{
	(void)state;
	/* By its length, and by what comes. */
	http_rig_ask(&rig, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n",
		answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 413 Content Too Large\r\n");
	static char text[(1u << 20) + 256];
	int n = snprintf(text, sizeof(text),
		"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n");
	memset(text + n, 'x', sizeof(text) - 1 - (size_t)n);
	http_rig_ask(&rig, text, answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 413 Content Too Large\r\n");
	assert_int_equal(http_rig_counters(&rig).refused[HTTP_REFUSED_body_too_large], 2);
}

/* Each followed by a second request, as who smuggles would send it. */
static const struct {
	const char *text, *status;
	enum http_refusal refusal;
} smuggled[] = {
	{"GET /who HTTP/1.1\nHost: a\n\n", "400", HTTP_REFUSED_bad_request_line},
	{"GET /who HTTP/1.1\r\nHost: a\r\nX: a\rContent-Length: 99\r\n\r\n", "400",
		HTTP_REFUSED_bad_header},
	{"GET /who HTTP/1.1\r\nHost: a\r\nX: a\r\n Content-Length: 99\r\n\r\n", "400",
		HTTP_REFUSED_bad_header},
	{"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\nabc",
		"400", HTTP_REFUSED_bad_length},
	{"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"400", HTTP_REFUSED_bad_length},
	{"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
	 "chunked\r\n\r\n0\r\n\r\n",
		"400", HTTP_REFUSED_bad_framing},
	{"POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400",
		HTTP_REFUSED_bad_header},
	{"POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501",
		HTTP_REFUSED_bad_coding},
	{"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", "400",
		HTTP_REFUSED_bad_length},
	{"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nabc", "413",
		HTTP_REFUSED_body_too_large},
	{"POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
		"400", HTTP_REFUSED_bad_chunk},
	{"POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
		"400", HTTP_REFUSED_bad_chunk},
	{"GET /who HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400", HTTP_REFUSED_bad_host},
	{"GET /who HTTP/1.1\r\n\r\n", "400", HTTP_REFUSED_bad_host},
	{"GET /who x HTTP/1.1\r\nHost: a\r\n\r\n", "400", HTTP_REFUSED_bad_target},
	{"GET /who HTTP/9.9\r\nHost: a\r\n\r\n", "505", HTTP_REFUSED_bad_version},
	{"GET /who HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", "417", HTTP_REFUSED_bad_expect},
};

static void
nothing_is_smuggled_behind_a_request(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(smuggled) / sizeof(smuggled[0]); i++) {
		char text[512], begin[16];
		snprintf(text, sizeof(text), "%sGET /echo HTTP/1.1\r\nHost: smuggled\r\n\r\n",
			smuggled[i].text);
		http_rig_ask(&rig, text, answer, sizeof(answer));
		snprintf(begin, sizeof(begin), "HTTP/1.1 %s ", smuggled[i].status);
		assert_begins(answer, begin);
		assert_int_equal(count_of(answer, "HTTP/1.1 "), 1);
		assert_int_equal(count_of(answer, "connection: close\r\n"), 1);
	}
	struct http_counters c = http_rig_counters(&rig);
	for (unsigned r = 0; r < HTTP_REFUSAL_COUNT; r++) {
		unsigned expected = 0;
		for (size_t i = 0; i < sizeof(smuggled) / sizeof(smuggled[0]); i++)
			expected += smuggled[i].refusal == r;
		assert_int_equal(c.refused[r], expected);
	}
	assert_int_equal(c.malformed, 2); /* whose chunks were wrong: their heads were right */
	assert_int_equal(c.answers_2xx, 0);
}

static void
answers_that_break_off_are_not_taken_for_whole(void **state)
{
	(void)state;
	http_rig_ask(&rig, "GET /abort HTTP/1.1\r\nHost: a\r\n\r\n", answer, sizeof(answer));
	assert_true(strlen(answer) == 0 || strlen(strstr(answer, "\r\n\r\n") + 4) < 100);
	assert_int_equal(http_rig_ask(&rig, "GET /abort-first HTTP/1.1\r\nHost: a\r\n\r\n", answer,
				 sizeof(answer)),
		0);
	/* A handler that is tricked into a line end says nothing at all. */
	assert_int_equal(http_rig_ask(&rig, "GET /inject HTTP/1.1\r\nHost: a\r\n\r\n", answer,
				 sizeof(answer)),
		0);
	http_rig_wait(&rig, HTTP_OUTCOME_ABORTED, 3);
}

static void
a_client_that_leaves_is_noticed(void **state)
{
	(void)state;
	static const char waiting[] = "GET /never HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char half[] =
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf";
	int fd = http_rig_connect(&rig);
	http_rig_send(fd, waiting, sizeof(waiting) - 1);
	usleep(20000);
	close(fd);
	http_rig_wait(&rig, HTTP_OUTCOME_GONE, 1);
	fd = http_rig_connect(&rig);
	http_rig_send(fd, half, sizeof(half) - 1);
	usleep(20000);
	close(fd);
	http_rig_wait(&rig, HTTP_OUTCOME_GONE, 2);
	assert_int_equal(http_rig_counters(&rig).gone, 2);
}

static void
unix_sockets_tell_who_calls(void **state)
{
	(void)state;
	char expected[64];
	int fd = http_rig_connect_unix(&rig);
	static const char text[] = "GET /who HTTP/1.1\r\n" CLOSE "\r\n";
	http_rig_send(fd, text, sizeof(text) - 1);
	http_rig_read_all(fd, answer, sizeof(answer), 5000);
	close(fd);
	snprintf(expected, sizeof(expected), "\r\n\r\n%d uid:%u ", (int)HTTP_VIA_UNIX, getuid());
	assert_ends(answer, expected);
}

static void
requests_that_wait_end_with_the_server(void **state)
{
	(void)state;
	static const char waiting[] = "GET /never HTTP/1.1\r\nHost: a\r\n\r\n";
	int fd = http_rig_connect(&rig);
	http_rig_send(fd, waiting, sizeof(waiting) - 1);
	for (int i = 0; i < 1000 && __atomic_load_n(&rig.heads, __ATOMIC_RELAXED) == 0; i++)
		usleep(1000);
	http_server_stop(rig.server);
	assert_int_equal(rig.outcomes[HTTP_OUTCOME_STOPPED], 1);
	assert_int_equal(http_rig_read_all(fd, answer, sizeof(answer), 5000), 0);
	close(fd);
}

static void
draining_ends_what_is_idle_and_finishes_what_is_not(void **state)
{
	(void)state;
	static const char first[] = "GET /who HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char body[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe";
	int idle = http_rig_connect(&rig), busy = http_rig_connect(&rig),
	    fresh = http_rig_connect(&rig);
	http_rig_send(idle, first, sizeof(first) - 1);
	http_rig_read_all(idle, answer, sizeof(answer), 50);
	assert_begins(answer, "HTTP/1.1 200 OK\r\n");
	http_rig_send(busy, body, sizeof(body) - 1);
	for (int i = 0; i < 1000 && __atomic_load_n(&rig.heads, __ATOMIC_RELAXED) < 2; i++)
		usleep(1000);
	http_server_drain(rig.server);
	assert_int_equal(http_rig_read_all(idle, answer, sizeof(answer), 5000), 0); /* its end */
	close(idle);
	assert_int_equal(http_server_wait(rig.server, 20), SLK_TIMEOUT);
	http_rig_send(busy, "llo", 3);
	http_rig_read_all(busy, answer, sizeof(answer), 5000);
	assert_ends(answer, "\r\n\r\nhello");
	assert_int_equal(count_of(answer, "connection: close\r\n"), 1);
	close(busy);
	/* Who had connected before may still ask once. */
	http_rig_send(fresh, first, sizeof(first) - 1);
	http_rig_read_all(fresh, answer, sizeof(answer), 5000);
	assert_begins(answer, "HTTP/1.1 200 OK\r\n");
	assert_int_equal(count_of(answer, "connection: close\r\n"), 1);
	close(fresh);
	assert_ok(http_server_wait(rig.server, 5000));
	assert_int_equal(http_rig_counters(&rig).gone, 0);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(answers_have_what_rfc_9110_asks_for),
		CASE(requests_share_a_connection_one_after_the_other),
		CASE(pipelined_requests_are_answered_in_order),
		CASE(chunked_bodies_are_put_together),
		CASE(large_bodies_come_and_go_whole),
		CASE(answers_by_pieces_wait_for_room),
		CASE(head_requests_get_heads),
		CASE(http_1_0_gets_one_answer),
		CASE(expect_is_answered_before_the_body),
		CASE(an_early_answer_ends_the_connection_and_is_not_lost),
		CASE(bodies_beyond_their_cap_are_refused),
		CASE(nothing_is_smuggled_behind_a_request),
		CASE(answers_that_break_off_are_not_taken_for_whole),
		CASE(a_client_that_leaves_is_noticed),
		CASE(unix_sockets_tell_who_calls),
		CASE(requests_that_wait_end_with_the_server),
		CASE(draining_ends_what_is_idle_and_finishes_what_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
