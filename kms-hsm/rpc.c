#include "rpc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#define EVENTS_PER_POLL 64
#define ACCEPTS_PER_POLL 64
#define REQUESTS_PER_TURN 32u /* of one connection, then others get theirs */
/* Received at once: the largest frame is large, and all of it is locked memory. */
#define FRAMES_COUNT 8u

/* What one uid has, while it has any connection. */
struct user {
	LIST_ENTRY(user) entry;
	uid_t uid;
	unsigned refs; /* connections that are not freed */
	unsigned conns_count; /* that are open */
	unsigned pending_count, pending_max; /* requests */
};

/* open --(bad frame, hang-up, no memory)--> closed; freed when closed and no ticket is out. */
struct kms_rpc_conn {
	LIST_ENTRY(kms_rpc_conn) entry;
	TAILQ_ENTRY(kms_rpc_conn) to_send; /* while is_to_send */
	bool is_to_send; /* has answers that were not tried yet */
	struct kms_rpc *rpc;
	struct user *user;
	int fd; /* -1: closed */
	struct slk_peer peer;
	unsigned pending; /* tickets out */
	uint32_t events; /* as registered */
	/* Answers that did not leave yet. Nothing is read while there are any, so they are no more than were asked for. */
	struct slk_secret *answers[KMS_RPC_PENDING_PER_CONNECTION];
	unsigned answers_count;
};

struct kms_rpc {
	int epoll_fd, listen_fd;
	int spare_fd; /* given up for a moment to refuse a connection when descriptors have run out
		       */
	int (*accept_one)(int, int *, struct slk_peer *);
	kms_rpc_handler_fn handler;
	void *arg;
	unsigned (*pending_max)(void *arg, uid_t uid); /* NULL: KMS_RPC_PENDING_PER_UID for all */
	void *pending_arg;
	struct kmsp_arena *arena;
	struct slk_secret *frames[FRAMES_COUNT]; /* a request may hold plaintext (Encrypt) */
	LIST_HEAD(, kms_rpc_conn) conns;
	LIST_HEAD(, user) users;
	TAILQ_HEAD(, kms_rpc_conn) to_send;
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
	LIST_INIT(&rpc->users);
	TAILQ_INIT(&rpc->to_send);
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
	for (size_t i = 0; rc == SLK_OK && i < FRAMES_COUNT; i++)
		rc = slk_secret_new(KMSP_FRAME_MAX, &rpc->frames[i]);
	if (rc != SLK_OK) {
		kms_rpc_free(rpc);
		return rc;
	}
	*out_rpc = rpc;
	return SLK_OK;
}

void
kms_rpc_set_pending(struct kms_rpc *rpc, unsigned (*pending_max)(void *arg, uid_t uid), void *arg)
{
	rpc->pending_max = pending_max;
	rpc->pending_arg = arg;
}

/* The first `count` answers have left, or never will. */
static void
drop_answers(struct kms_rpc_conn *c, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		slk_secret_free(c->answers[i]);
	c->answers_count -= count;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what is moved */
	memmove(c->answers, c->answers + count, c->answers_count * sizeof(c->answers[0]));
}

static void
set_to_send(struct kms_rpc_conn *c, bool wanted)
{
	if (wanted && !c->is_to_send)
		TAILQ_INSERT_TAIL(&c->rpc->to_send, c, to_send);
	else if (!wanted && c->is_to_send)
		TAILQ_REMOVE(&c->rpc->to_send, c, to_send);
	c->is_to_send = wanted;
}

static void
close_conn(struct kms_rpc_conn *c)
{
	if (c->fd < 0)
		return;
	close(c->fd); /* epoll forgets it with its last descriptor */
	c->fd = -1;
	c->rpc->stats.connections--;
	c->user->conns_count--;
	drop_answers(c, c->answers_count);
	set_to_send(c, false);
}

static void
put_user(struct user *user)
{
	if (--user->refs > 0)
		return;
	LIST_REMOVE(user, entry);
	free(user);
}

static void
free_conn(struct kms_rpc_conn *c)
{
	LIST_REMOVE(c, entry);
	put_user(c->user);
	free(c);
}

static void
free_if_done(struct kms_rpc_conn *c)
{
	if (c->fd < 0 && c->pending == 0)
		free_conn(c);
}

void
kms_rpc_free(struct kms_rpc *rpc)
{
	if (rpc == NULL)
		return;
	kms_rpc_send(rpc);
	while (!LIST_EMPTY(&rpc->conns)) {
		struct kms_rpc_conn *c = LIST_FIRST(&rpc->conns);
		/* LIST_REMOVE() moved the first on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		close_conn(c);
		free_conn(c);
	}
	if (rpc->epoll_fd >= 0)
		close(rpc->epoll_fd);
	if (rpc->spare_fd >= 0)
		close(rpc->spare_fd);
	close(rpc->listen_fd);
	kmsp_arena_free(rpc->arena);
	for (size_t i = 0; i < FRAMES_COUNT; i++)
		slk_secret_free(rpc->frames[i]);
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

/* The entry of a uid, made if it has none; the caller counts itself in. NULL: no memory. */
static struct user *
user_of(struct kms_rpc *rpc, uid_t uid)
{
	struct user *user;

	LIST_FOREACH(user, &rpc->users, entry)
	{
		if (user->uid == uid)
			return user;
	}
	user = calloc(1, sizeof(*user));
	if (user == NULL)
		return NULL;
	user->uid = uid;
	user->pending_max = rpc->pending_max != NULL ? rpc->pending_max(rpc->pending_arg, uid)
						     : KMS_RPC_PENDING_PER_UID;
	LIST_INSERT_HEAD(&rpc->users, user, entry);
	return user;
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
add_conn_of(struct kms_rpc *rpc, int fd, const struct slk_peer *peer, struct user *user)
{
	if (rpc->stats.connections >= KMS_RPC_CONNECTIONS_MAX ||
		user->conns_count >= KMS_RPC_CONNECTIONS_PER_UID)
		return SLK_LIMIT;
	struct kms_rpc_conn *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return SLK_NO_MEMORY;
	*c = (struct kms_rpc_conn){
		.rpc = rpc, .user = user, .fd = fd, .peer = *peer, .events = EPOLLIN};
	int rc = watch(rpc, EPOLL_CTL_ADD, fd, EPOLLIN, c);
	if (rc != SLK_OK) {
		free(c);
		return rc;
	}
	LIST_INSERT_HEAD(&rpc->conns, c, entry);
	user->refs++;
	user->conns_count++;
	rpc->stats.connections++;
	rpc->stats.accepted++;
	return SLK_OK;
}

static int
add_conn(struct kms_rpc *rpc, int fd, const struct slk_peer *peer)
{
	struct user *user = user_of(rpc, peer->uid);

	if (user == NULL)
		return SLK_NO_MEMORY;
	user->refs++;
	int rc = add_conn_of(rpc, fd, peer, user);
	put_user(user);
	return rc;
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
	if (c->pending < KMS_RPC_PENDING_PER_CONNECTION && c->answers_count == 0)
		events |= EPOLLIN;
	if (c->answers_count > 0)
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

/* SLK_OK: the request was begun, or refused. */
static int
take(struct kms_rpc_conn *c, const Kmsp__Request *request)
{
	if (c->user->pending_count >= c->user->pending_max)
		return throttle(c, request->id);
	c->pending++;
	c->user->pending_count++;
	int rc = c->rpc->handler(c->rpc->arg, &c->peer, request, c);
	if (rc != SLK_OK) {
		c->pending--;
		c->user->pending_count--;
	}
	return rc;
}

static int
take_frame(struct kms_rpc_conn *c, const struct slk_sock_in *in)
{
	struct kms_rpc *rpc = c->rpc;
	const Kmsp__Request *request = NULL;
	int rc = in->status;

	if (rc == SLK_OK)
		rc = kmsp_request_unpack(rpc->arena, slk_span(in->bytes, in->len), &request);
	if (rc == SLK_OK)
		rc = take(c, request);
	else if (rc != SLK_CLOSED)
		rpc->stats.bad_frames++;
	kmsp_arena_reset(rpc->arena);
	return rc;
}

/* How many requests may be read now. */
static unsigned
room(const struct kms_rpc_conn *c)
{
	unsigned left = KMS_RPC_PENDING_PER_CONNECTION - c->pending;

	if (c->fd < 0 || c->answers_count > 0)
		return 0;
	return left < FRAMES_COUNT ? left : FRAMES_COUNT;
}

/* False: there is no more at the moment. */
static bool
receive_frames(struct kms_rpc_conn *c, unsigned wanted)
{
	struct slk_sock_in in[FRAMES_COUNT];
	unsigned count = 0;

	for (unsigned i = 0; i < wanted; i++)
		in[i] = (struct slk_sock_in){
			.bytes = slk_secret_bytes(c->rpc->frames[i]), .cap = KMSP_FRAME_MAX};
	int rc = slk_sock_recv_many(c->fd, in, wanted, false, &count);
	if (rc == SLK_AGAIN)
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (rc == SLK_OK)
			rc = take_frame(c, &in[i]);
		slk_wipe(in[i].bytes, in[i].len);
	}
	if (rc != SLK_OK)
		close_conn(c);
	return count == wanted;
}

static void
receive_some(struct kms_rpc_conn *c)
{
	unsigned wanted, left = REQUESTS_PER_TURN;

	while ((wanted = room(c)) > 0 && left > 0) {
		if (wanted > left)
			wanted = left;
		if (!receive_frames(c, wanted))
			return;
		left -= wanted;
	}
}

/* What the peer does not take now stays. */
static void
send_some(struct kms_rpc_conn *c)
{
	struct slk_span messages[KMS_RPC_PENDING_PER_CONNECTION];
	unsigned sent = 0;

	if (c->fd < 0 || c->answers_count == 0)
		return;
	for (unsigned i = 0; i < c->answers_count; i++)
		messages[i] =
			slk_span(slk_secret_peek(c->answers[i]), slk_secret_len(c->answers[i]));
	int rc = slk_sock_send_many(c->fd, messages, c->answers_count, false, &sent);
	drop_answers(c, sent);
	if (rc != SLK_OK && rc != SLK_AGAIN)
		close_conn(c);
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

void
kms_rpc_answer(void *ticket, struct slk_secret *frame)
{
	struct kms_rpc_conn *c = ticket;

	c->pending--;
	c->user->pending_count--;
	if (frame == NULL) {
		send_some(c); /* those before it */
		close_conn(c);
	}
	if (c->fd < 0) {
		slk_secret_free(frame);
		free_if_done(c);
		return;
	}
	assert(c->answers_count < KMS_RPC_PENDING_PER_CONNECTION);
	/* Behind others that the peer does not take: it is watched for room already. */
	if (c->answers_count == 0)
		set_to_send(c, true);
	c->answers[c->answers_count++] = frame;
}

void
kms_rpc_send(struct kms_rpc *rpc)
{
	struct kms_rpc_conn *c;

	while ((c = TAILQ_FIRST(&rpc->to_send)) != NULL) {
		/* TAILQ_REMOVE() moves the first on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		set_to_send(c, false);
		send_some(c);
		update_events(c);
		free_if_done(c);
	}
}
