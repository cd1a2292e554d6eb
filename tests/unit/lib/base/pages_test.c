/* Pages over HTTP: what is asked for, what is not there, addresses. */
#include "slk_test.h"

#include "base/pages.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int status;

static int
make(void *arg, char **out_text, size_t *out_len)
{
	if (status != SLK_OK && status != SLK_UNAVAILABLE)
		return status;
	*out_text = strdup(arg);
	*out_len = strlen(arg);
	return status;
}

static char metrics_text[] = "a_total 1\n", health_text[] = "ok\n";
static const struct slk_page pages[] = {
	{"/metrics", make, metrics_text}, {"/healthz", make, health_text}};

/* A port that was free a moment ago. */
static struct slk_address
free_address(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	char text[64];
	struct slk_address out;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(a.sin_port));
	assert_true(slk_address_parse(text, &out));
	return out;
}

static void
ask(const struct slk_address *address, const char *request, char out[1024])
{
	size_t len = 0;
	ssize_t n;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&address->storage, address->len), 0);
	assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
	shutdown(fd, SHUT_WR);
	while ((n = read(fd, out + len, 1023 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(fd);
}

static void
pages_are_served(void **state)
{
	struct slk_address address = free_address();
	struct slk_pages *p = NULL;
	struct slk_error err = {0};
	pthread_t thread;
	char out[1024];

	(void)state;
	assert_ok(slk_pages_new("test", &address, pages, 2, &p, &err));
	assert_int_equal(pthread_create(&thread, NULL, slk_pages_run, p), 0);
	ask(&address, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", out);
	assert_non_null(strstr(out, "HTTP/1.0 200 OK\r\n"));
	assert_non_null(strstr(out, "Content-Length: 10\r\n"));
	assert_non_null(strstr(out, "\r\n\r\na_total 1\n"));
	ask(&address, "GET /healthz?a=b HTTP/1.1\r\n\r\n", out);
	assert_non_null(strstr(out, "\r\n\r\nok\n"));
	ask(&address, "GET /metricsx HTTP/1.1\r\n\r\n", out);
	assert_non_null(strstr(out, "404"));
	assert_non_null(strstr(out, "test: GET /metrics, /healthz\n"));
	ask(&address, "POST /metrics HTTP/1.1\r\n\r\n", out);
	assert_non_null(strstr(out, "404"));
	ask(&address, "GET /metrics", out); /* never whole */
	assert_string_equal(out, "");
	status = SLK_UNAVAILABLE;
	ask(&address, "GET /healthz HTTP/1.1\r\n\r\n", out);
	assert_non_null(strstr(out, "503"));
	assert_non_null(strstr(out, "\r\n\r\nok\n"));
	status = SLK_NO_MEMORY;
	ask(&address, "GET /healthz HTTP/1.1\r\n\r\n", out);
	assert_non_null(strstr(out, "503"));
	assert_non_null(strstr(out, "no memory"));
	status = SLK_OK;
	struct slk_pages *second = NULL;
	assert_int_not_equal(slk_pages_new("test", &address, pages, 2, &second, &err), SLK_OK);
	assert_null(second);
	slk_pages_stop(p);
	pthread_join(thread, NULL);
	slk_pages_free(p);
	slk_pages_free(NULL);
}

static void
addresses_are_parsed(void **state)
{
	static const char *const bad[] = {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
		"127.0.0.1:65536", "127.0.0.1:1x", "localhost:1", "::1:80", "[::1]",
		"[127.0.0.1]:1", "[::1]:-1",
		"0123456789012345678901234567890123456789012345678901234567890123456:1"};
	struct slk_address a;

	(void)state;
	assert_true(slk_address_parse("127.0.0.1:9464", &a));
	assert_int_equal(a.storage.ss_family, AF_INET);
	assert_true(slk_address_parse("[::1]:65535", &a));
	assert_int_equal(a.storage.ss_family, AF_INET6);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(slk_address_parse(bad[i], &a));
	assert_int_equal(a.storage.ss_family, AF_INET6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_served),
		cmocka_unit_test(addresses_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
