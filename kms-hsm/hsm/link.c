#include "hsm/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/sock.h"
#include "hsm/control.h"
#include "hsm/link_state.h"
#include "hsm/wire.h"

/* A call is FREE -> QUEUED -> SENT -> FREE. When its worker goes it returns from SENT to QUEUED,
 * once. When its worker answers that it has no token, another worker is asked. */
#define TRIES_MAX 2u
/* After a call ran out of time the worker must say something, anything, within this time, or it is
 * reported as stuck. (The worker answers calls that are late by itself, so silence means that its
 * own loop no longer turns.) */
#define SILENCE_NS (2 * SLK_NS_PER_S)
#define DATAGRAMS_PER_POLL 64u
/* Encryptions that a worker may have made for a call whose answer is lost: the key's canary and the wrap. */
#define LOST_ENCRYPTIONS 2u

/* What epoll says: the number of a peer, or one of these. */
enum { WATCH_TIMER = HSM_WORKERS_MAX, WATCH_MONITOR };

static int
watch(struct hsm_link *link, int fd, uint32_t who)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = who};

	return epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0 ? SLK_OK : SLK_SYSTEM;
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

/* Whoever says this has no token at the moment; it says nothing of the call. */
static bool
is_about_worker(int status)
{
	return status == SLK_UNAVAILABLE || status == SLK_PIN || status == SLK_SELF_TEST;
}

/* A status call needs no worker to be answered. */
static bool
answer_now(const struct hsm_link *link, const struct call *c)
{
	return c->op == HSM_STATUS && !peer_is_live(&link->peers[c->worker_index]);
}

/* The timer is not moved back when a call is done: it then fires once for nothing. */
static void
arm(struct hsm_link *link)
{
	if (link->due_ns != 0 && (link->timer_ns == 0 || link->due_ns < link->timer_ns))
		set_timer(link, link->due_ns);
}

/* Something may have to be done at once. */
static void
look_soon(struct hsm_link *link)
{
	link->due_ns = 1;
}

static uint64_t
due_of(const struct hsm_link *link, const struct call *c)
{
	return c->peer == NULL && answer_now(link, c) ? 1 : c->deadline_ns;
}

static void
find_next_due(struct hsm_link *link)
{
	uint64_t next = 0;
	struct call *c;

	for (size_t i = 0; i < HSM_WORKERS_MAX; i++) {
		struct peer *p = &link->peers[i];
		if (p->silent_since_ns != 0)
			next = earlier(next, p->silent_since_ns + SILENCE_NS);
		TAILQ_FOREACH(c, &p->sent, entry)
		next = earlier(next, due_of(link, c));
	}
	TAILQ_FOREACH(c, &link->queued, entry)
	next = earlier(next, due_of(link, c));
	link->due_ns = next;
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
	link->timer_fd = -1;
	TAILQ_INIT(&link->free);
	TAILQ_INIT(&link->queued);
	for (size_t i = 0; i < HSM_WORKERS_MAX; i++) {
		link->peers[i].fd = -1;
		TAILQ_INIT(&link->peers[i].sending);
		TAILQ_INIT(&link->peers[i].sent);
	}
	for (size_t i = 0; i < HSM_PENDING_MAX; i++)
		TAILQ_INSERT_TAIL(&link->free, &link->calls[i], entry);

	int rc = SLK_SYSTEM;
	link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (link->epoll_fd < 0)
		goto fail;
	link->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (link->timer_fd < 0)
		goto fail;
	rc = watch(link, link->timer_fd, WATCH_TIMER);
	if (rc == SLK_OK && monitor_fd >= 0)
		rc = watch(link, monitor_fd, WATCH_MONITOR);
	/* Replies to a predecessor of this process may still wait in the socket: its ids must not
	 * be ours. */
	if (rc == SLK_OK)
		rc = slk_random(&link->next_id, sizeof(link->next_id));
	for (size_t i = 0; rc == SLK_OK && i < HSM_LINK_DATAGRAMS; i++)
		rc = slk_secret_new(HSM_MESSAGE_MAX, &link->rx[i]);
	if (rc == SLK_OK)
		rc = slk_secret_new(HSM_MESSAGE_MAX, &link->tx);
	if (rc != SLK_OK)
		goto fail;
	link->together_max = 1;
	*out_link = link;
	return SLK_OK;
fail:
	hsm_link_free(link);
	return rc;
}

/* Take the call off its list. */
static void
unlist(struct hsm_link *link, struct call *c)
{
	struct peer *p = c->peer;

	TAILQ_REMOVE(p != NULL ? &p->sent : &link->queued, c, entry);
	if (p != NULL)
		p->sent_count--;
	c->peer = NULL;
}

static void
finish(struct hsm_link *link, struct call *c, const struct hsm_reply *reply)
{
	hsm_done_fn done = c->done;
	void *arg = c->arg;

	unlist(link, c);
	slk_wipe(slk_secret_bytes(c->message), c->message_len);
	TAILQ_INSERT_HEAD(&link->free, c, entry);
	link->pending_count--;
	done(arg, reply); /* last: it may submit, and take this very slot */
}

static void
finish_error(struct hsm_link *link, struct call *c, int status, const char *error)
{
	struct hsm_reply reply = {
		.op = c->op, .status = status, .encryptions_count = c->encryptions_count};

	snprintf(reply.error, sizeof(reply.error), "%s", error);
	finish(link, c, &reply);
}

static void
requeue(struct hsm_link *link, struct call *c)
{
	unlist(link, c);
	TAILQ_INSERT_HEAD(&link->queued, c, entry);
}

/* Its answer is lost, and with it the number of encryptions. */
static void
count_lost(struct call *c)
{
	if (c->op != HSM_RANDOM && c->op != HSM_STATUS && c->op != HSM_LIST_KEYS &&
		c->op != HSM_INSPECT_TOKEN)
		c->encryptions_count += LOST_ENCRYPTIONS;
}

static struct call *
first_call(struct hsm_link *link)
{
	for (size_t i = 0; i < HSM_WORKERS_MAX; i++) {
		if (!TAILQ_EMPTY(&link->peers[i].sent))
			return TAILQ_FIRST(&link->peers[i].sent);
	}
	return TAILQ_FIRST(&link->queued);
}

void
hsm_link_free(struct hsm_link *link)
{
	if (link == NULL)
		return;
	struct call *c;
	while ((c = first_call(link)) != NULL)
		finish_error(link, c, SLK_UNAVAILABLE, "kmsd is stopping");
	for (size_t i = 0; i < HSM_WORKERS_MAX; i++) {
		if (peer_is_live(&link->peers[i]))
			close(link->peers[i].fd);
	}
	const int fds[] = {link->monitor_fd, link->timer_fd, link->epoll_fd};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	for (size_t i = 0; i < HSM_PENDING_MAX; i++)
		slk_secret_free(link->calls[i].message);
	for (size_t i = 0; i < HSM_LINK_DATAGRAMS; i++)
		slk_secret_free(link->rx[i]);
	slk_secret_free(link->tx);
	free(link);
}

/* What the worker was sent goes back into the queue, if it is not the second time; what another worker may not yet do, for
 * this one may still be at it, stays until it has ended. */
static void
give_back_calls(struct hsm_link *link, struct peer *p)
{
	struct call *c = TAILQ_LAST(&p->sent, call_list);

	while (c != NULL) {
		struct call *before = TAILQ_PREV(c, call_list, entry);
		if (!p->dying || !call_is_exclusive(c)) {
			count_lost(c);
			if (c->tries >= TRIES_MAX)
				finish_error(link, c, SLK_UNAVAILABLE,
					"the HSM worker ended twice during this call");
			else
				requeue(link, c);
		}
		c = before;
	}
}

/* The worker is gone (or dying: has to go). */
static void
drop_peer(struct hsm_link *link, struct peer *p, bool dying)
{
	if (peer_is_live(p)) {
		/* The monitor keeps a copy of this end for the next front, so closing ours takes
		 * nothing out of the epoll set. */
		(void)epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, p->fd, NULL);
		close(p->fd);
	} else if (!p->dying) {
		return;
	}
	p->fd = -1;
	p->blocked = false;
	p->silent_since_ns = 0;
	p->dying = dying && p->number != 0;
	look_soon(link);
	give_back_calls(link, p);
	if (!p->dying)
		p->number = 0;
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
	c->worker_index = request->worker_index;
	memcpy(c->key_id, request->key_id, sizeof(c->key_id));
	c->deadline_ns = m.request.mono_deadline_ns;
	c->done = done;
	c->arg = arg;
	c->tries = 0;
	c->refused_by = 0;
	c->encryptions_count = 0;
	TAILQ_REMOVE(&link->free, c, entry);
	TAILQ_INSERT_TAIL(&link->queued, c, entry);
	link->pending_count++;
	link->due_ns = earlier(link->due_ns, due_of(link, c));
	if (!link->gathers || ++link->gathered_count >= HSM_TOGETHER_MAX)
		hsm_link_send(link);
	return SLK_OK;
}

void
hsm_link_gather(struct hsm_link *link, bool together)
{
	link->gathers = true;
	link->together_max = together ? HSM_TOGETHER_MAX : 1;
}

void
hsm_link_send(struct hsm_link *link)
{
	hsm_link_flush(link);
	arm(link);
}

static void
add_peer(struct hsm_link *link, int fd, uint64_t number)
{
	for (uint32_t i = 0; i < HSM_WORKERS_MAX; i++) {
		struct peer *p = &link->peers[i];
		if (peer_is_live(p) || p->dying)
			continue;
		if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || watch(link, fd, i) != SLK_OK)
			break;
		p->fd = fd;
		p->number = number;
		p->ill_until_ns = 0;
		return;
	}
	close(fd); /* more than there may be: no monitor of ours does that */
}

void
hsm_link_add_fd(struct hsm_link *link, int worker_fd)
{
	add_peer(link, worker_fd, 0);
	hsm_link_send(link);
}

void
hsm_link_replace_fd(struct hsm_link *link, int worker_fd)
{
	for (size_t i = 0; i < HSM_WORKERS_MAX; i++)
		drop_peer(link, &link->peers[i], false);
	if (worker_fd >= 0)
		add_peer(link, worker_fd, 0);
	hsm_link_send(link);
}

static void
report_stuck(struct hsm_link *link, struct peer *p)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	struct hsm_control control = {HSM_CONTROL_STUCK, p->number};
	uint8_t bytes[HSM_CONTROL_BYTES];

	if (link->monitor_fd >= 0 && p->number != 0) {
		hsm_wire_encode_control(&control, bytes);
		/* If this cannot be sent the monitor does not listen any more and its end shows in
		 * poll_monitor(). */
		(void)sock->send(sock->ctx, link->monitor_fd, bytes, sizeof(bytes));
	}
	drop_peer(link, p, true);
}

/* Hand the answer on, or ask another worker if this one only says that it has no token. */
static void
take_reply(struct hsm_link *link, struct call *c, struct hsm_reply *reply)
{
	struct peer *p = c->peer;

	if (is_about_worker(reply->status)) {
		p->ill_until_ns = slk_mono_ns(link->clock) + ILL_NS;
		c->refused_by |= 1u << (p - link->peers);
		if (hsm_link_has_healthy_other(link, c)) {
			c->encryptions_count += reply->encryptions_count;
			c->tries--; /* this one was answered */
			requeue(link, c);
			return;
		}
	} else if (c->op != HSM_STATUS) {
		p->ill_until_ns = 0;
	}
	reply->encryptions_count += c->encryptions_count;
	finish(link, c, reply);
}

static void
take_message(struct hsm_link *link, struct peer *p, struct hsm_wire_reply *m)
{
	p->silent_since_ns = 0;
	struct call *c = &link->calls[m->call_id & 0xff];
	if (c->peer == p && c->id == m->call_id && c->op == m->reply.op)
		take_reply(link, c, &m->reply);
}

/* False: the worker was dropped. */
static bool
take_datagram(struct hsm_link *link, struct peer *p, const struct slk_sock_in *in)
{
	struct slk_span rest = slk_span(in->bytes, in->len);
	struct hsm_wire_reply m;

	if (in->status == SLK_CLOSED) {
		drop_peer(link, p, false); /* a closed socket is an ended process */
		return false;
	}
	int rc = in->status;
	while (rc == SLK_OK && rest.len > 0) {
		rc = hsm_wire_decode_reply(hsm_wire_cut_reply(&rest), &m);
		if (rc == SLK_OK)
			take_message(link, p, &m);
	}
	slk_wipe(in->bytes, in->len);
	if (rc != SLK_OK) /* a worker that talks nonsense is replaced, not argued with */
		report_stuck(link, p);
	return rc == SLK_OK;
}

static void
poll_worker(struct hsm_link *link, struct peer *p)
{
	struct slk_sock_in in[HSM_LINK_DATAGRAMS];
	unsigned count = HSM_LINK_DATAGRAMS;

	for (size_t i = 0; i < HSM_LINK_DATAGRAMS; i++)
		in[i] = (struct slk_sock_in){
			.bytes = slk_secret_bytes(link->rx[i]), .cap = HSM_MESSAGE_MAX};
	/* Fewer than there was room for are all that there were; the end of the socket fills it. */
	for (unsigned taken = 0;
		taken < DATAGRAMS_PER_POLL && count == HSM_LINK_DATAGRAMS && peer_is_live(p);
		taken += count) {
		int rc = slk_sock_recv_many(p->fd, in, HSM_LINK_DATAGRAMS, false, &count);
		if (rc == SLK_AGAIN)
			return;
		if (rc == SLK_CLOSED)
			drop_peer(link, p, false);
		else if (rc != SLK_OK)
			report_stuck(link, p);
		for (unsigned i = 0; rc == SLK_OK && i < count; i++) {
			if (!take_datagram(link, p, &in[i]))
				return;
		}
	}
}

static struct peer *
find_peer(struct hsm_link *link, uint64_t number)
{
	for (size_t i = 0; i < HSM_WORKERS_MAX; i++) {
		struct peer *p = &link->peers[i];
		if (p->number == number && (peer_is_live(p) || p->dying))
			return p;
	}
	return NULL;
}

static int
poll_monitor(struct hsm_link *link)
{
	while (link->monitor_fd >= 0) {
		struct hsm_control control;
		int fd = -1;
		int rc = hsm_control_receive(link->monitor_fd, &control, &fd);
		if (rc == SLK_AGAIN)
			return SLK_OK;
		if (rc != SLK_OK)
			return SLK_CLOSED; /* whatever this monitor is, it is not ours any more */
		struct peer *p = find_peer(link, control.worker_number);
		if (control.kind == HSM_CONTROL_WORKER) {
			add_peer(link, fd, control.worker_number);
		} else if (p != NULL) {
			poll_worker(link, p); /* what it said before it ended */
			drop_peer(link, p, false);
		}
	}
	return SLK_OK;
}

static struct call *
find_due_in(const struct hsm_link *link, struct call_list *list, uint64_t now_ns)
{
	struct call *c;

	TAILQ_FOREACH(c, list, entry)
	{
		if (c->deadline_ns <= now_ns || (c->peer == NULL && answer_now(link, c)))
			return c;
	}
	return NULL;
}

static struct call *
find_due(struct hsm_link *link, uint64_t now_ns)
{
	struct call *c = find_due_in(link, &link->queued, now_ns);

	for (size_t i = 0; c == NULL && i < HSM_WORKERS_MAX; i++)
		c = find_due_in(link, &link->peers[i].sent, now_ns);
	return c;
}

static void
finish_without_worker(struct hsm_link *link, struct call *c)
{
	struct hsm_reply reply = {.op = HSM_STATUS, .health = {.state = HSM_NO_WORKER}};

	snprintf(reply.health.text, sizeof(reply.health.text), "the HSM worker is being restarted");
	finish(link, c, &reply);
}

static void
expire_one(struct hsm_link *link, struct call *c, uint64_t now_ns)
{
	struct peer *p = c->peer;

	if (p == NULL && answer_now(link, c)) {
		finish_without_worker(link, c);
	} else if (p != NULL) {
		if (p->silent_since_ns == 0 && peer_is_live(p))
			p->silent_since_ns = now_ns;
		count_lost(c);
		finish_error(link, c, SLK_TIMEOUT, "the HSM did not answer in time");
	} else if (!hsm_link_has_worker(link)) {
		finish_error(link, c, SLK_UNAVAILABLE, "the HSM worker is being restarted");
	} else {
		finish_error(link, c, SLK_TIMEOUT, "the HSM worker is busy");
	}
}

static void
expire(struct hsm_link *link)
{
	uint64_t now_ns = slk_mono_ns(link->clock);
	struct call *c;

	for (size_t i = 0; i < HSM_WORKERS_MAX; i++) {
		struct peer *p = &link->peers[i];
		if (p->silent_since_ns != 0 && now_ns >= p->silent_since_ns + SILENCE_NS)
			report_stuck(link, p);
	}
	while ((c = find_due(link, now_ns)) != NULL)
		expire_one(link, c, now_ns);
}

/* Nothing was due at the last look that is not due at due_ns. */
static void
look_at_time(struct hsm_link *link)
{
	if (link->due_ns == 0 || slk_mono_ns(link->clock) < link->due_ns)
		return;
	expire(link);
	hsm_link_flush(link); /* what a stuck worker gave back */
	find_next_due(link);
}

int
hsm_link_poll(struct hsm_link *link)
{
	struct epoll_event events[HSM_WORKERS_MAX + 2];
	bool monitor = false;
	uint64_t fired;

	/* Replies first: the end of a worker must not lose what it said before. */
	int n = epoll_wait(link->epoll_fd, events, HSM_WORKERS_MAX + 2, 0);
	for (int i = 0; i < n; i++) {
		uint32_t who = events[i].data.u32;
		if (who == WATCH_TIMER && read(link->timer_fd, &fired, sizeof(fired)) > 0)
			link->timer_ns = 0;
		monitor |= who == WATCH_MONITOR;
		if (who >= HSM_WORKERS_MAX || !peer_is_live(&link->peers[who]))
			continue;
		hsm_link_want_out(link, &link->peers[who], false);
		poll_worker(link, &link->peers[who]);
	}
	int rc = monitor ? poll_monitor(link) : SLK_OK;
	hsm_link_flush(link);
	look_at_time(link);
	arm(link);
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

/* The message in hand, and a whole one behind it. */
bool
hsm_link_is_busy(const struct hsm_link *link)
{
	bool busy = false;

	for (size_t i = 0; i < HSM_WORKERS_MAX && link->together_max > 1; i++) {
		const struct peer *p = &link->peers[i];
		if (!peer_is_live(p))
			continue;
		if (p->sent_count < 2 * HSM_TOGETHER_MAX || p->silent_since_ns != 0)
			return false;
		busy = true;
	}
	return busy;
}

bool
hsm_link_has_worker(const struct hsm_link *link)
{
	for (size_t i = 0; i < HSM_WORKERS_MAX; i++) {
		if (peer_is_live(&link->peers[i]))
			return true;
	}
	return false;
}
