#include "rpc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#define EVENTS_PER_POLL 64
#define ACCEPTS_PER_POLL 64
#define REQUESTS_PER_TURN 32 /* of one connection, then others get theirs */

struct answer {
	STAILQ_ENTRY(answer) entry;
	struct slk_secret *frame;
};

/* open --(bad frame, hang-up, no memory)--> closed; freed when closed and no ticket is out. */
struct kms_rpc_conn {
	LIST_ENTRY(kms_rpc_conn) entry;
	struct kms_rpc *rpc;
	int fd; /* -1: closed */
	struct slk_peer peer;
	unsigned pending; /* tickets out */
	uint32_t events; /* as registered */
	STAILQ_HEAD(, answer) answers; /* that the peer did not take yet */
};

struct kms_rpc {
	int epoll_fd, listen_fd;
	int spare_fd; /* given up for a moment to refuse a connection when descriptors have run out
		       */
	int (*accept_one)(int, int *, struct slk_peer *);
	kms_rpc_handler_fn handler;
	void *arg;
	struct kmsp_arena *arena;
	struct slk_secret *frame; /* a request may hold plaintext (Encrypt) */
	LIST_HEAD(, kms_rpc_conn) conns;
	struct kms_rpc_stats stats;
};

static int
watch(struct kms_rpc *rpc, int op, int fd, uint32_t events, void *ptr)
{
	struct epoll_event ev = {.events = events, .data.ptr = ptr};

	return epoll_ctl(rpc->epoll_fd, op, fd, &ev) == 0 ? SLK_OK : SLK_SYSTEM;
}

int
kms_rpc_new(int listen_fd, int (*accept_one)(int, int *, struct slk_peer *),
	kms_rpc_handler_fn handler, void *arg, struct kms_rpc **out_rpc)
{
	struct kms_rpc *rpc = calloc(1, sizeof(*rpc));

	if (rpc == NULL) {
		close(listen_fd);
		return SLK_NO_MEMORY;
	}
	LIST_INIT(&rpc->conns);
	rpc->listen_fd = listen_fd;
	rpc->accept_one = accept_one;
	rpc->handler = handler;
	rpc->arg = arg;
	rpc->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rpc->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int rc = rpc->epoll_fd >= 0 && rpc->spare_fd >= 0 ? SLK_OK : SLK_SYSTEM;
	if (rc == SLK_OK)
		rc = watch(rpc, EPOLL_CTL_ADD, listen_fd, EPOLLIN, NULL);
	if (rc == SLK_OK)
		rc = kmsp_arena_new(&rpc->arena);
	if (rc == SLK_OK)
		rc = slk_secret_new(KMSP_FRAME_MAX, &rpc->frame);
	if (rc != SLK_OK) {
		kms_rpc_free(rpc);
		return rc;
	}
	*out_rpc = rpc;
	return SLK_OK;
}

static void
close_conn(struct kms_rpc_conn *c)
{
	if (c->fd < 0)
		return;
	close(c->fd); /* epoll forgets it with its last descriptor */
	c->fd = -1;
	c->rpc->stats.connections--;
	while (!STAILQ_EMPTY(&c->answers)) {
		struct answer *a = STAILQ_FIRST(&c->answers);
		STAILQ_REMOVE_HEAD(&c->answers, entry);
		slk_secret_free(a->frame);
		free(a);
	}
}

static void
free_if_done(struct kms_rpc_conn *c)
{
	if (c->fd >= 0 || c->pending > 0)
		return;
	LIST_REMOVE(c, entry);
	free(c);
}

void
kms_rpc_free(struct kms_rpc *rpc)
{
	if (rpc == NULL)
		return;
	while (!LIST_EMPTY(&rpc->conns)) {
		struct kms_rpc_conn *c = LIST_FIRST(&rpc->conns);
		/* LIST_REMOVE() moved the first on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		close_conn(c);
		LIST_REMOVE(c, entry);
		free(c);
	}
	if (rpc->epoll_fd >= 0)
		close(rpc->epoll_fd);
	if (rpc->spare_fd >= 0)
		close(rpc->spare_fd);
	close(rpc->listen_fd);
	kmsp_arena_free(rpc->arena);
	slk_secret_free(rpc->frame);
	free(rpc);
}

int
kms_rpc_fd(const struct kms_rpc *rpc)
{
	return rpc->epoll_fd;
}

struct kms_rpc_stats
kms_rpc_stats(const struct kms_rpc *rpc)
{
	return rpc->stats;
}

/* Connections and requests of one uid. The list is at most KMS_RPC_CONNECTIONS_MAX long. */
static void
usage(const struct kms_rpc *rpc, uid_t uid, unsigned *out_conns, unsigned *out_pending)
{
	const struct kms_rpc_conn *c;

	*out_conns = *out_pending = 0;
	LIST_FOREACH(c, &rpc->conns, entry)
	{
		if (c->peer.uid != uid)
			continue;
		*out_conns += c->fd >= 0;
		*out_pending += c->pending;
	}
}

/* Without a descriptor nobody can be accepted, and the listener would stay readable for ever. */
static void
refuse_one_without_descriptor(struct kms_rpc *rpc)
{
	struct slk_peer peer;
	int fd;

	if (rpc->spare_fd < 0)
		return;
	close(rpc->spare_fd);
	if (rpc->accept_one(rpc->listen_fd, &fd, &peer) == SLK_OK)
		close(fd);
	rpc->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	rpc->stats.refused_connections++;
}

static int
add_conn(struct kms_rpc *rpc, int fd, const struct slk_peer *peer)
{
	unsigned conns, pending;

	usage(rpc, peer->uid, &conns, &pending);
	if (rpc->stats.connections >= KMS_RPC_CONNECTIONS_MAX ||
		conns >= KMS_RPC_CONNECTIONS_PER_UID)
		return SLK_LIMIT;
	struct kms_rpc_conn *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return SLK_NO_MEMORY;
	*c = (struct kms_rpc_conn){.rpc = rpc, .fd = fd, .peer = *peer, .events = EPOLLIN};
	STAILQ_INIT(&c->answers);
	int rc = watch(rpc, EPOLL_CTL_ADD, fd, EPOLLIN, c);
	if (rc != SLK_OK) {
		free(c);
		return rc;
	}
	LIST_INSERT_HEAD(&rpc->conns, c, entry);
	rpc->stats.connections++;
	rpc->stats.accepted++;
	return SLK_OK;
}

static void
accept_some(struct kms_rpc *rpc)
{
	for (int i = 0; i < ACCEPTS_PER_POLL; i++) {
		struct slk_peer peer;
		int fd;
		int rc = rpc->accept_one(rpc->listen_fd, &fd, &peer);
		if (rc == SLK_SYSTEM && (errno == EMFILE || errno == ENFILE))
			refuse_one_without_descriptor(rpc);
		if (rc != SLK_OK)
			return;
		if (add_conn(rpc, fd, &peer) != SLK_OK) {
			close(fd);
			rpc->stats.refused_connections++;
		}
	}
}

/* Read while there is room for requests, write while answers wait. */
static void
update_events(struct kms_rpc_conn *c)
{
	if (c->fd < 0)
		return;
	uint32_t events = 0;
	if (c->pending < KMS_RPC_PENDING_PER_CONNECTION && STAILQ_EMPTY(&c->answers))
		events |= EPOLLIN;
	if (!STAILQ_EMPTY(&c->answers))
		events |= EPOLLOUT;
	if (events == c->events)
		return;
	if (watch(c->rpc, EPOLL_CTL_MOD, c->fd, events, c) == SLK_OK)
		c->events = events;
	else
		close_conn(c);
}

/* Answer at once that uid asks too much. */
static int
throttle(struct kms_rpc_conn *c, uint64_t id)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	uint8_t out[256];
	size_t len = 0;
	const struct slk_sock_ops *ops = slk_sock_posix();

	c->rpc->stats.throttled++;
	reply.id = id;
	reply.status = SLK_THROTTLED;
	reply.exception = (char *)(uintptr_t) "ThrottlingException";
	reply.message = (char *)(uintptr_t) "too many requests of this user are in progress";
	int rc = kmsp_reply_pack(&reply, out, sizeof(out), &len);
	if (rc == SLK_OK)
		rc = ops->send(ops->ctx, c->fd, out, len);
	return rc == SLK_AGAIN ? SLK_CLOSED : rc; /* asks too much and does not listen */
}

/* SLK_OK: one request was begun. */
static int
receive_one(struct kms_rpc_conn *c)
{
	struct kms_rpc *rpc = c->rpc;
	const struct slk_sock_ops *ops = slk_sock_posix();
	const Kmsp__Request *request = NULL;
	unsigned conns, pending;
	size_t len = 0;

	int rc = ops->recv(ops->ctx, c->fd, slk_secret_bytes(rpc->frame), KMSP_FRAME_MAX, &len);
	if (rc == SLK_AGAIN || rc == SLK_CLOSED)
		return rc;
	if (rc == SLK_OK)
		rc = kmsp_request_unpack(
			rpc->arena, slk_span(slk_secret_peek(rpc->frame), len), &request);
	if (rc != SLK_OK) {
		rpc->stats.bad_frames++;
	} else {
		usage(rpc, c->peer.uid, &conns, &pending);
		if (pending >= KMS_RPC_PENDING_PER_UID) {
			rc = throttle(c, request->id);
		} else {
			c->pending++;
			rc = rpc->handler(rpc->arg, &c->peer, request, c);
			if (rc != SLK_OK)
				c->pending--;
		}
	}
	kmsp_arena_reset(rpc->arena);
	slk_wipe(slk_secret_bytes(rpc->frame), len);
	return rc;
}

static void
receive_some(struct kms_rpc_conn *c)
{
	for (int i = 0; i < REQUESTS_PER_TURN && c->fd >= 0; i++) {
		if (c->pending >= KMS_RPC_PENDING_PER_CONNECTION || !STAILQ_EMPTY(&c->answers))
			return;
		int rc = receive_one(c);
		if (rc == SLK_AGAIN)
			return;
		if (rc != SLK_OK)
			close_conn(c);
	}
}

/* SLK_AGAIN: the peer does not take it now. */
static int
send_frame(struct kms_rpc_conn *c, const struct slk_secret *frame)
{
	const struct slk_sock_ops *ops = slk_sock_posix();

	return ops->send(ops->ctx, c->fd, slk_secret_peek(frame), slk_secret_len(frame));
}

static void
send_some(struct kms_rpc_conn *c)
{
	while (c->fd >= 0 && !STAILQ_EMPTY(&c->answers)) {
		struct answer *a = STAILQ_FIRST(&c->answers);
		int rc = send_frame(c, a->frame);
		if (rc == SLK_AGAIN)
			return;
		STAILQ_REMOVE_HEAD(&c->answers, entry);
		slk_secret_free(a->frame);
		free(a);
		if (rc != SLK_OK)
			close_conn(c);
	}
}

static void
serve(struct kms_rpc_conn *c, uint32_t events)
{
	if ((events & EPOLLOUT) != 0)
		send_some(c);
	if ((events & EPOLLIN) != 0)
		receive_some(c);
	else if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		close_conn(c);
	update_events(c);
	free_if_done(c);
}

void
kms_rpc_poll(struct kms_rpc *rpc)
{
	struct epoll_event events[EVENTS_PER_POLL];

	/* A connection is freed only in its own event or by its last answer, so no event of this
	 * list dangles: answers are given between polls. */
	int n = epoll_wait(rpc->epoll_fd, events, EVENTS_PER_POLL, 0);
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == NULL)
			accept_some(rpc);
		else
			serve(events[i].data.ptr, events[i].events);
	}
}

static void
keep(struct kms_rpc_conn *c, struct slk_secret *frame)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		slk_secret_free(frame);
		close_conn(c);
		return;
	}
	a->frame = frame;
	STAILQ_INSERT_TAIL(&c->answers, a, entry);
}

void
kms_rpc_answer(void *ticket, struct slk_secret *frame)
{
	struct kms_rpc_conn *c = ticket;

	c->pending--;
	if (frame == NULL)
		close_conn(c);
	if (c->fd < 0) {
		slk_secret_free(frame);
	} else if (!STAILQ_EMPTY(&c->answers)) {
		keep(c, frame);
	} else {
		int rc = send_frame(c, frame);
		if (rc == SLK_AGAIN) {
			keep(c, frame);
		} else {
			slk_secret_free(frame);
			if (rc != SLK_OK)
				close_conn(c);
		}
	}
	update_events(c);
	free_if_done(c);
}
