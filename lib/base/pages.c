#include "base/pages.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

#define TIMEOUT_MS 2000
#define REQUEST_MAX 4096u

struct slk_pages {
	const char *program;
	const struct slk_page *pages;
	size_t count;
	int listen_fd;
	int stop_fd;
};

/* --- addresses --- */

bool
slk_address_parse(const char *text, struct slk_address *out_address)
{
	struct slk_address a = {0};
	struct sockaddr_in *ip4 = (struct sockaddr_in *)&a.storage;
	struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)&a.storage;
	char host[64];
	const char *colon = strrchr(text, ':');
	char *end = NULL;

	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return false;
	unsigned long port = strtoul(colon + 1, &end, 10);
	size_t len = (size_t)(colon - text);
	bool bracket = len > 2 && text[0] == '[' && text[len - 1] == ']';
	len -= bracket ? 2 : 0;
	if (*end != '\0' || port < 1 || port > 65535 || len >= sizeof(host))
		return false;
	memcpy(host, text + bracket, len);
	host[len] = '\0';
	a.len = bracket ? sizeof(*ip6) : sizeof(*ip4);
	a.storage.ss_family = bracket ? AF_INET6 : AF_INET;
	if (bracket)
		ip6->sin6_port = htons((uint16_t)port);
	else
		ip4->sin_port = htons((uint16_t)port);
	void *binary = bracket ? (void *)&ip6->sin6_addr : (void *)&ip4->sin_addr;
	if (inet_pton(a.storage.ss_family, host, binary) != 1)
		return false;
	*out_address = a;
	return true;
}

/* --- HTTP --- */

static void
send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return; /* it went away, or takes too long */
		text += n;
		len -= (size_t)n;
	}
}

static void
respond(int fd, const char *status, const char *text, size_t len)
{
	char head[256];
	int n = snprintf(head, sizeof(head),
		"HTTP/1.0 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n",
		status, len);

	send_all(fd, head, (size_t)n);
	send_all(fd, text, len);
}

/* The request up to its empty line; nothing of it but the first line counts. false: it never came whole. */
static bool
read_request(int fd, char request[REQUEST_MAX + 1])
{
	uint64_t deadline = slk_mono_ns(slk_clock_system()) + TIMEOUT_MS * SLK_NS_PER_MS;
	size_t len = 0;

	while (len < REQUEST_MAX && slk_mono_ns(slk_clock_system()) < deadline) {
		ssize_t n = recv(fd, request + len, REQUEST_MAX - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		request[len] = '\0';
		if (strstr(request, "\r\n\r\n") != NULL)
			return true;
	}
	return false;
}

static bool
asks_for(const char *request, const char *path)
{
	size_t len = strlen(path);

	if (strncmp(request, "GET ", 4) != 0 || strncmp(request + 4, path, len) != 0)
		return false;
	return request[4 + len] == ' ' || request[4 + len] == '?';
}

static void
respond_with(int fd, const struct slk_page *page)
{
	char *text = NULL;
	size_t len = 0;
	int rc = page->make(page->arg, &text, &len);

	if (rc == SLK_OK)
		respond(fd, "200 OK", text, len);
	else if (rc == SLK_UNAVAILABLE && text != NULL)
		respond(fd, "503 Service Unavailable", text, len);
	else
		respond(fd, "503 Service Unavailable", "no memory\n", 10);
	free(text);
}

static void
respond_what_there_is(const struct slk_pages *p, int fd)
{
	char text[256];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s: GET", p->program);

	for (size_t i = 0; i < p->count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s %s", i > 0 ? "," : "",
			p->pages[i].path);
	len = len < sizeof(text) - 1 ? len : sizeof(text) - 2;
	text[len++] = '\n';
	respond(fd, "404 Not Found", text, len);
}

static void
serve(const struct slk_pages *p, int fd)
{
	const struct timeval limit = {.tv_sec = TIMEOUT_MS / 1000};
	char request[REQUEST_MAX + 1];

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
		!read_request(fd, request))
		return;
	for (size_t i = 0; i < p->count; i++) {
		if (asks_for(request, p->pages[i].path)) {
			respond_with(fd, &p->pages[i]);
			return;
		}
	}
	respond_what_there_is(p, fd);
}

/* --- the thread --- */

void *
slk_pages_run(void *arg)
{
	struct slk_pages *p = arg;
	struct pollfd polled[2] = {
		{.fd = p->stop_fd, .events = POLLIN}, {.fd = p->listen_fd, .events = POLLIN}};

	for (;;) {
		if (poll(polled, 2, -1) < 0)
			continue; /* interrupted */
		if (polled[0].revents != 0)
			return NULL;
		int fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		serve(p, fd);
		close(fd);
	}
}

void
slk_pages_stop(struct slk_pages *p)
{
	/* It fails only if it was told already. */
	(void)eventfd_write(p->stop_fd, 1);
}

static int
listen_at(struct slk_pages *p, const struct slk_address *a, struct slk_error *err)
{
	const int yes = 1;

	p->listen_fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->listen_fd < 0 ||
		setsockopt(p->listen_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
		bind(p->listen_fd, (const struct sockaddr *)&a->storage, a->len) != 0 ||
		listen(p->listen_fd, 8) != 0)
		return slk_fail_errno(err, "cannot serve metrics");
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return p->stop_fd >= 0 ? SLK_OK : slk_fail_errno(err, "cannot make an eventfd");
}

int
slk_pages_new(const char *program, const struct slk_address *address, const struct slk_page *pages,
	size_t count, struct slk_pages **out_pages, struct slk_error *err)
{
	struct slk_pages *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the metrics");
	p->program = program;
	p->pages = pages;
	p->count = count;
	p->listen_fd = p->stop_fd = -1;
	int rc = listen_at(p, address, err);
	if (rc != SLK_OK) {
		slk_pages_free(p);
		return rc;
	}
	*out_pages = p;
	return SLK_OK;
}

void
slk_pages_free(struct slk_pages *p)
{
	if (p == NULL)
		return;
	if (p->listen_fd >= 0)
		close(p->listen_fd);
	if (p->stop_fd >= 0)
		close(p->stop_fd);
	free(p);
}
