#include "gateway/load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define ROOM 65536u /* for what comes next */
#define SILENCE_MS 60000

struct connection {
	struct gwb_load *load;
	unsigned index;
	int fd;
	SSL *ssl;
	bool watched_out;
	const struct gwb_request *request; /* NULL: none is under way */
	size_t sent;
	uint8_t *in;
	size_t in_len, in_cap, head_len, body_len; /* head_len 0: not there yet */
	uint64_t begun_ns;
};

struct gwb_load {
	int epoll;
	unsigned count;
	struct connection connections[GWB_CONNECTIONS_MAX];
	const struct gwb_plan *plan;
	struct slk_hist *latency;
	uint64_t left, under_way; /* to begin; begun */
	unsigned under_way_max;
	/* Connections without a request, longest idle first. */
	unsigned idle[GWB_CONNECTIONS_MAX], idle_first, idle_count;
	const struct connection *last;
};

/* --- one connection --- */

static int
dial(struct connection *c, uint16_t port, SSL_CTX *ctx)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int one = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		return SLK_SYSTEM;
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->ssl = SSL_new(ctx);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
		return SLK_NO_MEMORY;
	SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_connect(c->ssl) != 1)
		return SLK_CLOSED;
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
		return SLK_SYSTEM;
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
	return epoll_ctl(c->load->epoll, EPOLL_CTL_ADD, c->fd, &e) == 0 ? SLK_OK : SLK_SYSTEM;
}

static int
watch(struct connection *c, bool out)
{
	struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.ptr = c};

	if (out == c->watched_out)
		return SLK_OK;
	c->watched_out = out;
	return epoll_ctl(c->load->epoll, EPOLL_CTL_MOD, c->fd, &e) == 0 ? SLK_OK : SLK_SYSTEM;
}

/* SLK_AGAIN: not now. */
static int
trouble(const struct connection *c, int result)
{
	int error = SSL_get_error(c->ssl, result);

	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? SLK_AGAIN
									     : SLK_CLOSED;
}

static int
send_some(struct connection *c)
{
	while (c->request != NULL && c->sent < c->request->len) {
		size_t n = 0;
		ERR_clear_error(); /* whatever an earlier one left would be taken for this one's */
		int result = SSL_write_ex(
			c->ssl, c->request->bytes + c->sent, c->request->len - c->sent, &n);
		if (result != 1) {
			int rc = trouble(c, result);
			return rc == SLK_AGAIN ? watch(c, true) : rc;
		}
		c->sent += n;
	}
	return watch(c, false);
}

static void
rest(struct gwb_load *l, unsigned connection)
{
	l->idle[(l->idle_first + l->idle_count++) % GWB_CONNECTIONS_MAX] = connection;
}

static int
begin_one(struct gwb_load *l)
{
	if (l->left == 0 || l->under_way == l->under_way_max)
		return SLK_OK;
	struct connection *c = &l->connections[l->idle[l->idle_first]];
	l->idle_first = (l->idle_first + 1) % GWB_CONNECTIONS_MAX;
	l->idle_count--;
	l->left--;
	l->under_way++;
	c->request = l->plan->next(l->plan->arg, c->index);
	c->sent = c->in_len = c->head_len = 0;
	c->begun_ns = slk_mono_ns(slk_clock_system());
	return send_some(c);
}

/* --- answers --- */

/* Once the head is there: its lengths. SLK_AGAIN: not yet. */
static int
read_head(struct connection *c)
{
	static const char name[] = "\r\ncontent-length: ";
	const uint8_t *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);

	if (end == NULL)
		return SLK_AGAIN;
	c->head_len = (size_t)(end - c->in) + 4;
	c->in[c->head_len - 1] = '\0';
	const char *length = strcasestr((const char *)c->in, name);
	if (length == NULL || strncmp((const char *)c->in, "HTTP/1.1 200 ", 13) != 0)
		return SLK_MALFORMED;
	c->body_len = strtoul(length + sizeof(name) - 1, NULL, 10);
	return SLK_OK;
}

static int
make_room(struct connection *c)
{
	if (c->in_cap - c->in_len >= ROOM)
		return SLK_OK;
	size_t cap = c->in_cap * 2 + ROOM;
	uint8_t *more = realloc(c->in, cap);
	if (more == NULL)
		return SLK_NO_MEMORY;
	c->in = more;
	c->in_cap = cap;
	return SLK_OK;
}

static int
answered(struct connection *c)
{
	struct gwb_load *l = c->load;

	if (l->latency != NULL)
		slk_hist_add(l->latency, slk_mono_ns(slk_clock_system()) - c->begun_ns, 1);
	c->request = NULL;
	l->under_way--;
	int rc = l->plan->check(l->plan->arg, c->index, slk_span(c->in + c->head_len, c->body_len));
	rest(l, c->index);
	return rc == SLK_OK ? begin_one(l) : rc;
}

static int
receive_some(struct connection *c)
{
	for (;;) {
		size_t n = 0;
		int rc = make_room(c);
		if (rc != SLK_OK)
			return rc;
		ERR_clear_error();
		int result = SSL_read_ex(c->ssl, c->in + c->in_len, c->in_cap - c->in_len, &n);
		if (result != 1) {
			rc = trouble(c, result);
			return rc == SLK_AGAIN ? SLK_OK : rc;
		}
		c->in_len += n;
		c->load->last = c;
		if (c->request == NULL)
			return SLK_MALFORMED; /* nobody asked */
		rc = c->head_len == 0 ? read_head(c) : SLK_OK;
		if (rc == SLK_OK && c->in_len - c->head_len >= c->body_len)
			rc = answered(c);
		if (rc != SLK_OK && rc != SLK_AGAIN)
			return rc;
	}
}

/* --- all of them --- */

int
gwb_load_open(uint16_t port, unsigned connections, unsigned under_way, SSL_CTX *ctx,
	struct gwb_load **out_load)
{
	struct gwb_load *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return SLK_NO_MEMORY;
	l->under_way_max = under_way;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	int rc = l->epoll >= 0 ? SLK_OK : SLK_SYSTEM;
	for (; rc == SLK_OK && l->count < connections; l->count++) {
		struct connection *c = &l->connections[l->count];
		*c = (struct connection){.load = l, .index = l->count, .fd = -1};
		rest(l, l->count);
		rc = dial(c, port, ctx);
	}
	if (rc != SLK_OK) {
		gwb_load_close(l);
		return rc;
	}
	*out_load = l;
	return SLK_OK;
}

void
gwb_load_close(struct gwb_load *load)
{
	if (load == NULL)
		return;
	for (unsigned i = 0; i < load->count; i++) {
		struct connection *c = &load->connections[i];
		SSL_free(c->ssl);
		if (c->fd >= 0)
			close(c->fd);
		free(c->in);
	}
	if (load->epoll >= 0)
		close(load->epoll);
	free(load);
}

int
gwb_load_run(struct gwb_load *load, const struct gwb_plan *plan, uint64_t calls,
	struct slk_hist *latency)
{
	struct epoll_event events[GWB_CONNECTIONS_MAX];
	int rc = SLK_OK;

	load->plan = plan;
	load->latency = latency;
	load->left = calls;
	load->under_way = 0;
	for (unsigned i = 0; rc == SLK_OK && i < load->under_way_max; i++)
		rc = begin_one(load);
	while (rc == SLK_OK && load->under_way > 0) {
		int n = epoll_wait(load->epoll, events, GWB_CONNECTIONS_MAX, SILENCE_MS);
		if (n == 0)
			return SLK_TIMEOUT;
		if (n < 0 && errno != EINTR)
			return SLK_SYSTEM;
		for (int i = 0; rc == SLK_OK && i < n; i++) {
			struct connection *c = events[i].data.ptr;
			if (events[i].events & EPOLLOUT)
				rc = send_some(c);
			if (rc == SLK_OK && (events[i].events & ~(uint32_t)EPOLLOUT) != 0)
				rc = receive_some(c);
		}
	}
	return rc;
}

struct slk_span
gwb_load_answer(const struct gwb_load *load)
{
	return load->last != NULL && load->last->in != NULL
		? slk_span(load->last->in, load->last->in_len)
		: slk_span("", 0);
}
