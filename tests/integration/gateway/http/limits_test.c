/* Limits and timers: who is slow, or many, is cut off, told why where that is possible, and counted. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_rig.h"

static struct http_rig rig;
static char answer[1u << 20];

static int
tear_down(void **state)
{
	(void)state;
	http_rig_stop(&rig);
	return 0;
}

static uint64_t
refused(enum http_refusal refusal)
{
	return http_rig_counters(&rig).refused[refusal];
}

static void
a_head_that_does_not_come_is_given_up(void **state)
{
	(void)state;
	const struct http_times times = {.header_ms = 100};
	http_rig_start(&rig, 1, NULL, &times);
	int slow = http_rig_connect(&rig), silent = http_rig_connect(&rig);
	http_rig_send(slow, "GET / HTTP/1.1\r\nHo", 18);
	http_rig_read_all(slow, answer, sizeof(answer), 5000);
	assert_memory_equal(answer, "HTTP/1.1 408 ", 13);
	assert_int_equal(http_rig_read_all(silent, answer, sizeof(answer), 5000), 0);
	close(slow);
	close(silent);
	assert_int_equal(refused(HTTP_REFUSED_header_timeout), 2);
	assert_int_equal(rig.heads, 0);
}

static void
drops_of_a_head_do_not_buy_time(void **state)
{
	(void)state;
	const struct http_times times = {.header_ms = 150};
	http_rig_start(&rig, 1, NULL, &times);
	int fd = http_rig_connect(&rig);
	static const char text[] =
		"GET / HTTP/1.1\r\nHost: a\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	size_t len = 0;
	for (size_t i = 0; i < sizeof(text) - 1 && len == 0; i++) {
		http_rig_send(fd, text + i, 1);
		len = http_rig_read_all(fd, answer, sizeof(answer), 10);
	}
	close(fd);
	assert_memory_equal(answer, "HTTP/1.1 408 ", 13);
}

static void
a_body_that_drips_is_given_up(void **state)
{
	(void)state;
	const struct http_times times = {.body_ms = 100};
	http_rig_start(&rig, 1, NULL, &times);
	int fd = http_rig_connect(&rig);
	static const char head[] =
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
	http_rig_send(fd, head, sizeof(head) - 1);
	size_t len = 0;
	for (int i = 0; i < 1000 && len == 0; i++) {
		http_rig_send(fd, "x", 1);
		len = http_rig_read_all(fd, answer, sizeof(answer), 10);
	}
	close(fd);
	assert_memory_equal(answer, "HTTP/1.1 408 ", 13);
	assert_int_equal(refused(HTTP_REFUSED_body_timeout), 1);
	http_rig_wait(&rig, HTTP_OUTCOME_TIMEOUT, 1);
}

static void
a_body_that_flows_may_take_its_time(void **state)
{
	(void)state;
	const struct http_times times = {.body_ms = 60, .body_min_bytes = 100};
	static char piece[400];
	http_rig_start(&rig, 1, NULL, &times);
	int fd = http_rig_connect(&rig);
	static const char head[] = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: "
				   "close\r\nContent-Length: 8000\r\n\r\n";
	http_rig_send(fd, head, sizeof(head) - 1);
	memset(piece, 'x', sizeof(piece));
	for (int i = 0; i < 20; i++) {
		http_rig_send(fd, piece, sizeof(piece));
		usleep(10000);
	}
	http_rig_read_all(fd, answer, sizeof(answer), 5000);
	close(fd);
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
}

static void
idle_connections_are_closed_in_order(void **state)
{
	(void)state;
	const struct http_times times = {.idle_ms = 100};
	http_rig_start(&rig, 1, NULL, &times);
	int fd = http_rig_connect(&rig);
	static const char text[] = "GET /who HTTP/1.1\r\nHost: a\r\n\r\n";
	http_rig_send(fd, text, sizeof(text) - 1);
	http_rig_read_all(fd, answer, sizeof(answer), 5000);
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
	close(fd);
	assert_int_equal(refused(HTTP_REFUSED_idle_timeout), 1);
}

static void
an_answer_that_nobody_takes_is_given_up(void **state)
{
	(void)state;
	const struct http_times times = {.write_ms = 100};
	http_rig_start(&rig, 1, NULL, &times);
	int fd = http_rig_connect(&rig), small = 4096;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	static const char text[] = "GET /pieces?1000 HTTP/1.1\r\nHost: a\r\n\r\n";
	http_rig_send(fd, text, sizeof(text) - 1);
	http_rig_wait(&rig, HTTP_OUTCOME_TIMEOUT, 1);
	close(fd);
	assert_int_equal(refused(HTTP_REFUSED_write_timeout), 1);
	/* What waited was bounded by room(), not by the answer's length. */
	assert_int_equal(http_rig_counters(&rig).buffer_bytes, 0);
}

static void
connections_are_bounded(void **state)
{
	(void)state;
	const struct http_limits limits = {.connections_count = 4};
	http_rig_start(&rig, 2, &limits, NULL);
	int fds[8];
	for (int i = 0; i < 8; i++)
		fds[i] = http_rig_connect(&rig);
	for (int i = 0; i < 1000 && refused(HTTP_REFUSED_connections_full) < 4; i++)
		usleep(1000);
	assert_int_equal(refused(HTTP_REFUSED_connections_full), 4);
	assert_int_equal(http_server_connections(rig.server), 4);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	for (int i = 0; i < 1000 && http_server_connections(rig.server) > 0; i++)
		usleep(1000);
	static const char text[] = "GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	http_rig_ask(&rig, text, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
}

static void
an_address_has_its_share_only(void **state)
{
	(void)state;
	const struct http_limits limits = {.address_connections_count = 3};
	http_rig_start(&rig, 2, &limits, NULL);
	int fds[5];
	for (int i = 0; i < 5; i++)
		fds[i] = http_rig_connect(&rig);
	for (int i = 0; i < 1000 && refused(HTTP_REFUSED_address_full) < 2; i++)
		usleep(1000);
	assert_int_equal(refused(HTTP_REFUSED_address_full), 2);
	int local = http_rig_connect_unix(&rig); /* is not counted there */
	static const char text[] = "GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	http_rig_send(local, text, sizeof(text) - 1);
	http_rig_read_all(local, answer, sizeof(answer), 5000);
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
	close(local);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
}

static void
bodies_are_bounded_together(void **state)
{
	(void)state;
	const struct http_limits limits = {.buffers_bytes = 64u << 10};
	http_rig_start(&rig, 1, &limits, NULL);
	static const char head[] =
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
	static char piece[60000];
	int first = http_rig_connect(&rig), second;
	http_rig_send(first, head, sizeof(head) - 1);
	http_rig_send(first, piece, sizeof(piece));
	http_rig_read_all(first, answer, sizeof(answer), 5000);
	assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
	close(first);
	second = http_rig_connect(&rig);
	static const char small[] = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: "
				    "close\r\nContent-Length: 3\r\n\r\nabc";
	http_rig_send(second, small, sizeof(small) - 1);
	http_rig_read_all(second, answer, sizeof(answer), 5000);
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
	close(second);
	assert_true(refused(HTTP_REFUSED_body_no_room) >= 1);
}

static void
a_connection_ends_after_its_requests(void **state)
{
	(void)state;
	const struct http_limits limits = {.requests_per_connection = 2};
	http_rig_start(&rig, 1, &limits, NULL);
	static const char text[] =
		"GET /who HTTP/1.1\r\nHost: a\r\n\r\nGET /who HTTP/1.1\r\nHost: a\r\n\r\n"
		"GET /who HTTP/1.1\r\nHost: a\r\n\r\n";
	http_rig_ask(&rig, text, answer, sizeof(answer));
	assert_int_equal(http_rig_counters(&rig).requests_h1, 2);
	const char *close_at = strstr(answer, "connection: close");
	assert_non_null(close_at);
	assert_null(strstr(close_at + 1, "connection: close"));
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_head_that_does_not_come_is_given_up),
		CASE(drops_of_a_head_do_not_buy_time),
		CASE(a_body_that_drips_is_given_up),
		CASE(a_body_that_flows_may_take_its_time),
		CASE(idle_connections_are_closed_in_order),
		CASE(an_answer_that_nobody_takes_is_given_up),
		CASE(connections_are_bounded),
		CASE(an_address_has_its_share_only),
		CASE(bodies_are_bounded_together),
		CASE(a_connection_ends_after_its_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
