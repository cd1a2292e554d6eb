#include "kmsclient/async.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/sock.h"
#include "kmsclient/request.h"

#define TIMEOUT_DEFAULT_MS 5000u

/* A request that was sent, or waits to be. */
struct ask {
	struct ask *next; /* by age */
	uint64_t id;
	uint64_t deadline_ns;
	kmsc_async_done done; /* NULL: cancelled */
	void *arg;
	uint8_t *frame; /* while it waits */
	size_t frame_len;
};

struct asks {
	struct ask *first, **tail;
	unsigned count;
};

struct kmsc_async {
	struct sockaddr_un addr;
	unsigned timeout_ms;
	const struct slk_clock *clock;
	void (*watch)(void *arg, int fd, bool write);
	void *watch_arg;
	int fd; /* -1: not connected */
	bool full; /* the socket takes no more for now */
	uint64_t next_id, connections;
	struct asks sent, waiting;
	struct kmsp_arena *arena;
	struct slk_secret *send, *recv;
};

/* --- lists --- */

static void
push(struct asks *list, struct ask *ask)
{
	ask->next = NULL;
	*list->tail = ask;
	list->tail = &ask->next;
	list->count++;
}

static struct ask *
unlink_at(struct asks *list, struct ask **at)
{
	struct ask *ask = *at;

	*at = ask->next;
	if (list->tail == &ask->next)
		list->tail = at;
	list->count--;
	ask->next = NULL;
	return ask;
}

static void
forget(struct ask *ask)
{
	if (ask->frame != NULL)
		slk_wipe(ask->frame, ask->frame_len);
	free(ask->frame);
	free(ask);
}

static void
end(struct ask *ask, int status, const Kmsp__Reply *reply, const char *sentence)
{
	if (ask->done != NULL)
		ask->done(ask->arg, status, reply, sentence);
	forget(ask);
}

/* --- connections --- */

int
kmsc_async_new(const struct kmsc_async_config *config, struct kmsc_async **out_client)
{
	const char *path = config->path != NULL ? config->path : getenv("SEALOCK_KMS_SOCKET");

	if (path == NULL)
		path = KMSC_DEFAULT_SOCKET;
	struct kmsc_async *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return SLK_NO_MEMORY;
	c->fd = -1;
	c->timeout_ms = config->timeout_ms != 0 ? config->timeout_ms : TIMEOUT_DEFAULT_MS;
	c->clock = config->clock != NULL ? config->clock : slk_clock_system();
	c->watch = config->watch;
	c->watch_arg = config->watch_arg;
	c->sent.tail = &c->sent.first;
	c->waiting.tail = &c->waiting.first;
	c->addr.sun_family = AF_UNIX;
	int rc = strlen(path) < sizeof(c->addr.sun_path) ? SLK_OK : SLK_TOO_LARGE;
	if (rc == SLK_OK) {
		strcpy(c->addr.sun_path, path);
		rc = slk_secret_new(KMSP_FRAME_MAX, &c->send);
	}
	if (rc == SLK_OK)
		rc = slk_secret_new(KMSP_FRAME_MAX, &c->recv);
	if (rc == SLK_OK)
		rc = kmsp_arena_new(&c->arena);
	if (rc != SLK_OK) {
		kmsc_async_free(c);
		return rc;
	}
	*out_client = c;
	return SLK_OK;
}

static void
hang_up(struct kmsc_async *c)
{
	if (c->fd < 0)
		return;
	c->watch(c->watch_arg, -1, false);
	close(c->fd);
	c->fd = -1;
	c->full = false;
}

void
kmsc_async_free(struct kmsc_async *client)
{
	if (client == NULL)
		return;
	hang_up(client);
	while (client->sent.first != NULL)
		forget(unlink_at(&client->sent, &client->sent.first));
	while (client->waiting.first != NULL)
		forget(unlink_at(&client->waiting, &client->waiting.first));
	kmsp_arena_free(client->arena);
	slk_secret_free(client->send);
	slk_secret_free(client->recv);
	free(client);
}

/* A unix socket connects at once or not at all. */
static int
connect_now(struct kmsc_async *c, struct slk_error *err)
{
	if (c->fd >= 0)
		return SLK_OK;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return slk_fail_errno(err, "cannot make a socket");
	if (connect(fd, (const struct sockaddr *)&c->addr, sizeof(c->addr)) != 0) {
		int error = errno;
		close(fd);
		return slk_fail(err, SLK_UNAVAILABLE, "no kmsd answers at %s (%s)",
			c->addr.sun_path, strerrorname_np(error));
	}
	c->fd = fd;
	c->full = false;
	c->connections++;
	c->watch(c->watch_arg, fd, false);
	return SLK_OK;
}

/* The connection is of no use any more: what was sent over it has no answer to come. */
static void
lose(struct kmsc_async *c, int status, const char *sentence)
{
	struct asks lost = c->sent;

	hang_up(c);
	if (lost.count == 0)
		return;
	c->sent = (struct asks){.tail = &c->sent.first};
	for (struct ask *ask = lost.first, *next; ask != NULL; ask = next) {
		next = ask->next;
		end(ask, status, NULL, sentence);
	}
}

/* --- sending --- */

/* SLK_AGAIN: the socket is full. */
static int
send_frame(struct kmsc_async *c, const uint8_t *frame, size_t len)
{
	const struct slk_sock_ops *ops = slk_sock_posix();

	int rc = ops->send(ops->ctx, c->fd, frame, len);
	if (rc == SLK_AGAIN && !c->full) {
		c->full = true;
		c->watch(c->watch_arg, c->fd, true);
	}
	return rc;
}

/* What waits, as far as it goes. */
static void
send_waiting(struct kmsc_async *c)
{
	while (c->waiting.first != NULL && c->sent.count < KMSC_ASYNC_IN_FLIGHT && !c->full) {
		struct ask *ask = c->waiting.first;
		struct slk_error err = {.status = SLK_OK};
		int rc = connect_now(c, &err);
		if (rc == SLK_OK)
			rc = send_frame(c, ask->frame, ask->frame_len);
		if (rc == SLK_AGAIN)
			return;
		(void)unlink_at(&c->waiting, &c->waiting.first);
		if (rc == SLK_OK) {
			slk_wipe(ask->frame, ask->frame_len);
			free(ask->frame);
			ask->frame = NULL;
			push(&c->sent, ask);
			continue;
		}
		hang_up(c);
		end(ask, SLK_UNAVAILABLE, NULL,
			err.status != SLK_OK ? err.text : "kmsd closed the connection");
	}
}

static void
fill_caller(Kmsp__Caller *out, const struct kmsc_caller *caller)
{
	kmsp__caller__init(out);
	out->principal = kmsc_request_text(caller->principal);
	out->session_token = kmsc_request_text(caller->session_token);
	out->access_key_id = kmsc_request_text(caller->access_key_id);
	out->source_ip = kmsc_request_text(caller->source_ip);
	out->over_tls = caller->over_tls;
	out->via_service = kmsc_request_text(caller->via_service);
	out->source_arn = kmsc_request_text(caller->source_arn);
	out->by_uid = caller->by_uid;
	out->uid = caller->uid;
}

/* Send what lies in c->send, or let it wait. */
static int
send_or_queue(struct kmsc_async *c, struct ask *ask, size_t len, struct slk_error *err)
{
	const uint8_t *frame = slk_secret_peek(c->send);
	int rc = SLK_AGAIN;

	if (c->waiting.first == NULL && c->sent.count < KMSC_ASYNC_IN_FLIGHT && !c->full)
		rc = send_frame(c, frame, len);
	if (rc == SLK_CLOSED) { /* kmsd was restarted, and nobody looked since */
		lose(c, SLK_UNAVAILABLE, "kmsd closed the connection before it answered");
		rc = connect_now(c, err);
		if (rc == SLK_OK)
			rc = send_frame(c, frame, len);
	}
	if (rc == SLK_OK) {
		push(&c->sent, ask);
		return SLK_OK;
	}
	if (rc != SLK_AGAIN)
		return slk_fail(err, SLK_UNAVAILABLE, "a request cannot be sent to kmsd: %s",
			slk_status_sentence(rc));
	if (c->waiting.count >= KMSC_ASYNC_WAITING)
		return slk_fail(err, SLK_LIMIT, "too many requests wait for kmsd");
	ask->frame = malloc(len);
	if (ask->frame == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a request to kmsd");
	memcpy(ask->frame, frame, len);
	ask->frame_len = len;
	push(&c->waiting, ask);
	return SLK_OK;
}

int
kmsc_async_send_within(struct kmsc_async *client, Kmsp__Request *request,
	const struct kmsc_caller *caller, unsigned timeout_ms, kmsc_async_done done, void *arg,
	uint64_t *out_id, struct slk_error *err)
{
	Kmsp__Caller named;
	size_t len = 0;

	request->id = client->next_id + 1;
	request->timeout_ms = timeout_ms;
	request->caller = caller != NULL ? &named : NULL;
	if (caller != NULL)
		fill_caller(&named, caller);
	int rc = connect_now(client, err);
	if (rc != SLK_OK)
		return rc;
	rc = kmsp_request_pack(request, slk_secret_bytes(client->send), KMSP_FRAME_MAX, &len);
	if (rc != SLK_OK)
		return slk_fail(err, SLK_TOO_LARGE, "the request is larger than kmsd takes");
	struct ask *ask = calloc(1, sizeof(*ask));
	if (ask == NULL) {
		slk_wipe(slk_secret_bytes(client->send), len);
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a request to kmsd");
	}
	ask->id = ++client->next_id;
	ask->deadline_ns = slk_mono_ns(client->clock) + timeout_ms * SLK_NS_PER_MS;
	ask->done = done;
	ask->arg = arg;
	rc = send_or_queue(client, ask, len, err);
	slk_wipe(slk_secret_bytes(client->send), len);
	if (rc != SLK_OK)
		free(ask);
	else
		*out_id = client->next_id;
	return rc;
}

int
kmsc_async_send(struct kmsc_async *client, Kmsp__Request *request, const struct kmsc_caller *caller,
	kmsc_async_done done, void *arg, uint64_t *out_id, struct slk_error *err)
{
	return kmsc_async_send_within(
		client, request, caller, client->timeout_ms, done, arg, out_id, err);
}

void
kmsc_async_cancel(struct kmsc_async *client, uint64_t id)
{
	/* One that was sent keeps its place until it is answered: kmsd counts it, too. */
	for (struct ask *ask = client->sent.first; ask != NULL; ask = ask->next)
		if (ask->id == id)
			ask->done = NULL;
	for (struct ask **at = &client->waiting.first; *at != NULL; at = &(*at)->next)
		if ((*at)->id == id) {
			forget(unlink_at(&client->waiting, at));
			return;
		}
}

/* --- answers --- */

static void
take(struct kmsc_async *c, const Kmsp__Reply *reply)
{
	for (struct ask **at = &c->sent.first; *at != NULL; at = &(*at)->next) {
		if ((*at)->id != reply->id)
			continue;
		end(unlink_at(&c->sent, at), SLK_OK, reply, NULL);
		return;
	}
}

/* One answer; false: there is none for now, or the connection is lost. */
static bool
receive(struct kmsc_async *c)
{
	const struct slk_sock_ops *ops = slk_sock_posix();
	const Kmsp__Reply *reply = NULL;
	size_t len = 0;

	int rc = ops->recv(ops->ctx, c->fd, slk_secret_bytes(c->recv), KMSP_FRAME_MAX, &len);
	if (rc == SLK_AGAIN)
		return false;
	if (rc == SLK_OK)
		rc = kmsp_reply_unpack(c->arena, slk_span(slk_secret_peek(c->recv), len), &reply);
	if (rc == SLK_OK)
		take(c, reply);
	else
		lose(c, rc == SLK_CLOSED ? SLK_UNAVAILABLE : SLK_INTERNAL,
			rc == SLK_CLOSED ? "kmsd closed the connection before it answered"
					 : "the answer of kmsd cannot be used");
	kmsp_arena_reset(c->arena);
	slk_wipe(slk_secret_bytes(c->recv), len);
	return rc == SLK_OK;
}

void
kmsc_async_ready(struct kmsc_async *client)
{
	if (client->fd >= 0 && client->full) {
		client->full = false;
		client->watch(client->watch_arg, client->fd, false);
	}
	/* No more than could be there: a loop has others to serve. */
	for (unsigned i = 0; i < 2 * KMSC_ASYNC_IN_FLIGHT && client->fd >= 0; i++)
		if (!receive(client))
			break;
	send_waiting(client);
}

/* --- time --- */

static uint64_t
earliest(const struct asks *list, uint64_t ns)
{
	for (const struct ask *ask = list->first; ask != NULL; ask = ask->next)
		if (ask->deadline_ns < ns)
			ns = ask->deadline_ns;
	return ns;
}

uint64_t
kmsc_async_next_ns(const struct kmsc_async *client)
{
	return earliest(&client->waiting, earliest(&client->sent, UINT64_MAX));
}

/* An answer that is late finds nobody. Its place is free again: kmsd gives up at the same time. */
static void
expire(struct asks *list, uint64_t now_ns)
{
	struct asks late = {.tail = &late.first};

	for (struct ask **at = &list->first; *at != NULL;) {
		if ((*at)->deadline_ns <= now_ns)
			push(&late, unlink_at(list, at));
		else
			at = &(*at)->next;
	}
	while (late.first != NULL)
		end(unlink_at(&late, &late.first), SLK_TIMEOUT, NULL,
			"kmsd did not answer in time");
}

void
kmsc_async_tick(struct kmsc_async *client)
{
	uint64_t now_ns = slk_mono_ns(client->clock);

	expire(&client->sent, now_ns);
	expire(&client->waiting, now_ns);
	send_waiting(client);
}

unsigned
kmsc_async_pending(const struct kmsc_async *client)
{
	return client->sent.count + client->waiting.count;
}

uint64_t
kmsc_async_connections(const struct kmsc_async *client)
{
	return client->connections;
}
