#include "hsm/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/sock.h"
#include "hsm/wire.h"

/* A call is FREE -> QUEUED -> SENT -> FREE. When its worker goes it returns from SENT to QUEUED,
 * once. */
#define TRIES_MAX 2u
/* After a call ran out of time the worker must say something, anything, within this time, or it is
 * reported as stuck. (The worker answers calls that are late by itself, so silence means that its
 * own loop no longer turns.) */
#define SILENCE_NS (2 * SLK_NS_PER_S)
#define REPLIES_PER_POLL 64

struct call {
	TAILQ_ENTRY(call) entry;
	uint64_t id;
	uint64_t deadline_ns;
	enum hsm_op op;
	bool sent;
	unsigned tries;
	hsm_done_fn done;
	void *arg;
	struct slk_secret *
		message; /* the encoded request, which may hold plaintext; kept for the next user */
	size_t message_len;
};
TAILQ_HEAD(call_list, call);

struct hsm_link {
	const struct slk_clock *clock;
	int epoll_fd;
	int timer_fd;
	int monitor_fd;
	int worker_fd;
	uint64_t worker_number; /* 0: none from a monitor */
	bool worker_wants_out;
	uint64_t silent_since_ns; /* 0: the worker is not suspected */
	uint64_t timer_ns; /* what timer_fd is set to, 0 if it is not */
	uint64_t next_id;
	size_t pending_count;
	struct call_list free, queued, sent;
	struct slk_secret *rx;
	struct call calls[HSM_PENDING_MAX];
};

static int
watch(struct hsm_link *link, int op, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.fd = fd};

	return epoll_ctl(link->epoll_fd, op, fd, &ev) == 0 ? SLK_OK : SLK_SYSTEM;
}

/* Fire at mono_ns (0: never). A time that has passed fires at once. */
static void
set_timer(struct hsm_link *link, uint64_t mono_ns)
{
	if (mono_ns == link->timer_ns)
		return;
	struct itimerspec spec = {
		.it_value = {(time_t)(mono_ns / SLK_NS_PER_S), (long)(mono_ns % SLK_NS_PER_S)}};
	if (timerfd_settime(link->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
		link->timer_ns = mono_ns;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* A status call needs no worker to be answered. */
static bool
answer_now(const struct hsm_link *link, const struct call *c)
{
	return c->op == HSM_STATUS && link->worker_fd < 0;
}

static void
rearm(struct hsm_link *link)
{
	uint64_t next = link->silent_since_ns != 0 ? link->silent_since_ns + SILENCE_NS : 0;
	struct call *c;

	TAILQ_FOREACH(c, &link->sent, entry)
	next = earlier(next, c->deadline_ns);
	TAILQ_FOREACH(c, &link->queued, entry)
	next = earlier(next, answer_now(link, c) ? 1 : c->deadline_ns);
	set_timer(link, next);
}

int
hsm_link_new(int monitor_fd, const struct slk_clock *clock, struct hsm_link **out_link)
{
	struct hsm_link *link = calloc(1, sizeof(*link));
	if (link == NULL) {
		if (monitor_fd >= 0)
			close(monitor_fd);
		return SLK_NO_MEMORY;
	}
	link->clock = clock;
	link->monitor_fd = monitor_fd;
	link->worker_fd = link->timer_fd = -1;
	TAILQ_INIT(&link->free);
	TAILQ_INIT(&link->queued);
	TAILQ_INIT(&link->sent);
	for (size_t i = 0; i < HSM_PENDING_MAX; i++)
		TAILQ_INSERT_TAIL(&link->free, &link->calls[i], entry);

	int rc = SLK_SYSTEM;
	link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (link->epoll_fd < 0)
		goto fail;
	link->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (link->timer_fd < 0)
		goto fail;
	rc = watch(link, EPOLL_CTL_ADD, link->timer_fd, EPOLLIN);
	if (rc == SLK_OK && monitor_fd >= 0)
		rc = watch(link, EPOLL_CTL_ADD, monitor_fd, EPOLLIN);
	/* Replies to a predecessor of this process may still wait in the socket: its ids must not
	 * be ours. */
	if (rc == SLK_OK)
		rc = slk_random(&link->next_id, sizeof(link->next_id));
	if (rc == SLK_OK)
		rc = slk_secret_new(HSM_MESSAGE_MAX, &link->rx);
	if (rc != SLK_OK)
		goto fail;
	*out_link = link;
	return SLK_OK;
fail:
	hsm_link_free(link);
	return rc;
}

static void
finish(struct hsm_link *link, struct call *c, const struct hsm_reply *reply)
{
	hsm_done_fn done = c->done;
	void *arg = c->arg;

	TAILQ_REMOVE(c->sent ? &link->sent : &link->queued, c, entry);
	slk_wipe(slk_secret_bytes(c->message), c->message_len);
	c->sent = false;
	TAILQ_INSERT_HEAD(&link->free, c, entry);
	link->pending_count--;
	done(arg, reply); /* last: it may submit, and take this very slot */
}

static void
finish_error(struct hsm_link *link, struct call *c, int status, const char *error)
{
	struct hsm_reply reply = {.op = c->op, .status = status};

	snprintf(reply.error, sizeof(reply.error), "%s", error);
	finish(link, c, &reply);
}

void
hsm_link_free(struct hsm_link *link)
{
	if (link == NULL)
		return;
	struct call *c;
	while ((c = TAILQ_FIRST(&link->sent)) != NULL || (c = TAILQ_FIRST(&link->queued)) != NULL)
		finish_error(link, c, SLK_UNAVAILABLE, "kmsd is stopping");
	const int fds[] = {link->worker_fd, link->monitor_fd, link->timer_fd, link->epoll_fd};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	for (size_t i = 0; i < HSM_PENDING_MAX; i++)
		slk_secret_free(link->calls[i].message);
	slk_secret_free(link->rx);
	free(link);
}

/* The worker is gone or has to go: what was sent waits for the next one, if it did not already. */
static void
drop_worker(struct hsm_link *link)
{
	if (link->worker_fd < 0)
		return;
	/* The monitor keeps a copy of this end for the next front, so closing ours takes nothing
	 * out of the epoll set. */
	(void)epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, link->worker_fd, NULL);
	close(link->worker_fd);
	link->worker_fd = -1;
	link->worker_wants_out = false;
	link->silent_since_ns = 0;
	struct call *c;
	while ((c = TAILQ_LAST(&link->sent, call_list)) != NULL) {
		if (c->tries >= TRIES_MAX) {
			finish_error(link, c, SLK_UNAVAILABLE,
				"the HSM worker ended twice during this call");
			continue;
		}
		TAILQ_REMOVE(&link->sent, c, entry);
		c->sent = false;
		TAILQ_INSERT_HEAD(&link->queued, c, entry);
	}
}

static void
want_out(struct hsm_link *link, bool wanted)
{
	if (link->worker_fd < 0 || link->worker_wants_out == wanted)
		return;
	if (watch(link, EPOLL_CTL_MOD, link->worker_fd, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN) ==
		SLK_OK)
		link->worker_wants_out = wanted;
}

/* Send what waits. Calls back nothing, so that hsm_link_submit() may use it; a closed socket shows
 * up in the next poll. */
static void
flush(struct hsm_link *link)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	struct call *c;

	while (link->worker_fd >= 0 && (c = TAILQ_FIRST(&link->queued)) != NULL) {
		int rc = sock->send(
			sock->ctx, link->worker_fd, slk_secret_peek(c->message), c->message_len);
		if (rc != SLK_OK)
			break;
		TAILQ_REMOVE(&link->queued, c, entry);
		c->sent = true;
		c->tries++;
		TAILQ_INSERT_TAIL(&link->sent, c, entry);
	}
	want_out(link, !TAILQ_EMPTY(&link->queued));
}

int
hsm_link_submit(
	struct hsm_link *link, const struct hsm_request *request, hsm_done_fn done, void *arg)
{
	struct hsm_wire_request m = {.request = *request};

	struct call *c = TAILQ_FIRST(&link->free);
	if (c == NULL)
		return SLK_FULL;
	if (c->message == NULL) {
		int rc = slk_secret_new(HSM_MESSAGE_MAX, &c->message);
		if (rc != SLK_OK)
			return rc;
	}
	if (m.request.mono_deadline_ns == 0)
		m.request.mono_deadline_ns = slk_mono_ns(link->clock) + HSM_DEADLINE_DEFAULT_NS;
	/* The slot's number in the low byte finds the call again. */
	m.call_id = (link->next_id << 8) | (uint64_t)(c - link->calls);
	int rc = hsm_wire_encode_request(
		&m, slk_secret_bytes(c->message), HSM_MESSAGE_MAX, &c->message_len);
	if (rc != SLK_OK)
		return rc;
	link->next_id++;
	c->id = m.call_id;
	c->op = request->op;
	c->deadline_ns = m.request.mono_deadline_ns;
	c->done = done;
	c->arg = arg;
	c->tries = 0;
	TAILQ_REMOVE(&link->free, c, entry);
	TAILQ_INSERT_TAIL(&link->queued, c, entry);
	link->pending_count++;
	flush(link);
	rearm(link);
	return SLK_OK;
}

void
hsm_link_replace_fd(struct hsm_link *link, int worker_fd)
{
	drop_worker(link);
	link->worker_number = 0;
	if (worker_fd >= 0 && fcntl(worker_fd, F_SETFL, O_NONBLOCK) == 0 &&
		watch(link, EPOLL_CTL_ADD, worker_fd, EPOLLIN) == SLK_OK) {
		link->worker_fd = worker_fd;
		flush(link);
	} else if (worker_fd >= 0) {
		close(worker_fd);
	}
	rearm(link);
}

/* One control message and at most one descriptor. SLK_AGAIN, SLK_CLOSED, SLK_MALFORMED. */
static int
receive_control(int fd, struct hsm_control *out_control, int *out_fd)
{
	uint8_t bytes[HSM_CONTROL_BYTES + 1];
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ancillary;
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ancillary.room,
		.msg_controllen = sizeof(ancillary)};
	int got = -1;

	ssize_t n;
	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return slk_status_from_errno(errno);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&got, CMSG_DATA(c), sizeof(got));
	int rc = n == 0 ? SLK_CLOSED
			: hsm_wire_decode_control(slk_span(bytes, (size_t)n), out_control);
	if (rc == SLK_OK && (msg.msg_flags & MSG_CTRUNC) != 0)
		rc = SLK_MALFORMED;
	if (rc == SLK_OK && (got >= 0) != (out_control->kind == HSM_CONTROL_WORKER))
		rc = SLK_MALFORMED;
	if (rc != SLK_OK && got >= 0)
		close(got);
	if (rc == SLK_OK)
		*out_fd = got;
	return rc;
}

static int
poll_monitor(struct hsm_link *link)
{
	while (link->monitor_fd >= 0) {
		struct hsm_control control;
		int fd = -1;
		int rc = receive_control(link->monitor_fd, &control, &fd);
		if (rc == SLK_AGAIN)
			return SLK_OK;
		if (rc != SLK_OK)
			return SLK_CLOSED; /* whatever this monitor is, it is not ours any more */
		if (control.kind == HSM_CONTROL_WORKER) {
			hsm_link_replace_fd(link, fd);
			link->worker_number = control.worker_number;
		} else if (control.worker_number == link->worker_number) {
			hsm_link_replace_fd(link, -1);
		}
	}
	return SLK_OK;
}

static void
report_stuck(struct hsm_link *link)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	struct hsm_control control = {HSM_CONTROL_STUCK, link->worker_number};
	uint8_t bytes[HSM_CONTROL_BYTES];

	if (link->monitor_fd >= 0 && link->worker_number != 0) {
		hsm_wire_encode_control(&control, bytes);
		/* If this cannot be sent the monitor does not listen any more and its end shows in
		 * poll_monitor(). */
		(void)sock->send(sock->ctx, link->monitor_fd, bytes, sizeof(bytes));
	}
	drop_worker(link);
}

static struct call *
find_sent(struct hsm_link *link, uint64_t id)
{
	struct call *c = &link->calls[id & 0xff];

	return c->sent && c->id == id ? c : NULL;
}

static void
poll_worker(struct hsm_link *link)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	uint8_t *rx = slk_secret_bytes(link->rx);

	for (int i = 0; i < REPLIES_PER_POLL && link->worker_fd >= 0; i++) {
		struct hsm_wire_reply m;
		size_t len = 0;
		int rc = sock->recv(sock->ctx, link->worker_fd, rx, HSM_MESSAGE_MAX, &len);
		if (rc == SLK_AGAIN)
			return;
		if (rc == SLK_OK)
			rc = hsm_wire_decode_reply(slk_span(rx, len), &m);
		if (rc != SLK_OK) {
			/* Closed, or no worker of ours. A worker that talks nonsense is replaced,
			 * not argued with. */
			if (rc != SLK_CLOSED)
				report_stuck(link);
			drop_worker(link);
			return;
		}
		link->silent_since_ns = 0;
		struct call *c = find_sent(link, m.call_id);
		if (c != NULL && c->op == m.reply.op)
			finish(link, c, &m.reply);
		slk_wipe(rx, len);
	}
}

static struct call *
find_due(const struct hsm_link *link, uint64_t now_ns)
{
	struct call *c;

	TAILQ_FOREACH(c, &link->sent, entry)
	{
		if (c->deadline_ns <= now_ns)
			return c;
	}
	TAILQ_FOREACH(c, &link->queued, entry)
	{
		if (c->deadline_ns <= now_ns || answer_now(link, c))
			return c;
	}
	return NULL;
}

static void
finish_without_worker(struct hsm_link *link, struct call *c)
{
	struct hsm_reply reply = {.op = HSM_STATUS, .health = {.state = HSM_NO_WORKER}};

	snprintf(reply.health.text, sizeof(reply.health.text), "the HSM worker is being restarted");
	finish(link, c, &reply);
}

static void
expire(struct hsm_link *link)
{
	uint64_t now = slk_mono_ns(link->clock);
	struct call *c;

	if (link->silent_since_ns != 0 && now >= link->silent_since_ns + SILENCE_NS)
		report_stuck(link);
	while ((c = find_due(link, now)) != NULL) {
		if (answer_now(link, c)) {
			finish_without_worker(link, c);
		} else if (c->sent) {
			if (link->silent_since_ns == 0)
				link->silent_since_ns = now;
			finish_error(link, c, SLK_TIMEOUT, "the HSM did not answer in time");
		} else if (link->worker_fd < 0) {
			finish_error(link, c, SLK_UNAVAILABLE, "the HSM worker is being restarted");
		} else {
			finish_error(link, c, SLK_TIMEOUT, "the HSM worker is busy");
		}
	}
}

int
hsm_link_poll(struct hsm_link *link)
{
	uint64_t fired;

	if (read(link->timer_fd, &fired, sizeof(fired)) > 0)
		link->timer_ns = 0;
	/* Replies first: the end of a worker must not lose what it said before. */
	poll_worker(link);
	int rc = poll_monitor(link);
	flush(link);
	expire(link);
	rearm(link);
	return rc;
}

int
hsm_link_fd(const struct hsm_link *link)
{
	return link->epoll_fd;
}

size_t
hsm_link_pending_count(const struct hsm_link *link)
{
	return link->pending_count;
}

bool
hsm_link_has_worker(const struct hsm_link *link)
{
	return link->worker_fd >= 0;
}
