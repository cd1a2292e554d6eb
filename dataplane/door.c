#include "door.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/sock.h"
#include "seal_path.h"
#include "status_doc.h"

#define CLIENTS_MAX 256u
#define CLIENT_PUTS_MAX 1024u
#define CLIENT_BYTES_MAX (8u << 20)
#define BYTES_MAX (64u << 20) /* of all clients */
#define MESSAGES_PER_TURN 64u
#define RIGHTS_MAX 1024u
#define RIGHT_NS (300 * SLK_NS_PER_S)
#define DENIED_NS (2 * SLK_NS_PER_S)
#define STALL_NS (10 * SLK_NS_PER_S) /* in the middle of a record */
#define WAIT_MS 1000
#define STATUS_SEND_BYTES (512 * 1024)

/* May a uid put into a stream? The answer, or the puts that wait for it. */
struct right {
	bool used;
	bool asking;
	struct dp_ask ask; /* the control thread's while asking */
	uint64_t stream_id; /* of the last answer */
	uint64_t until_ns;
	struct dp_put *waiting, *waiting_tail;
};

struct client {
	int fd; /* -1: the place is free */
	uint64_t id;
	struct slk_peer peer;
	uint32_t puts; /* whole or not, without an answer sent */
	uint64_t bytes; /* of them */
	struct dp_put *partial;
	uint64_t partial_ns; /* when its last fragment came */
	char partial_stream[FMT_PUT_STREAM_MAX + 1];
	struct dp_put *done, *done_tail; /* answers that the socket did not take yet */
};

struct dp_door {
	const struct dp_config *config;
	const struct slk_clock *clock;
	struct dp_control *control;
	const struct dp_keeper *keeper;
	struct dp_worker **workers;
	unsigned worker_count;
	int door_fd;
	int put_fd;
	int status_fd;
	uint64_t started_ns;
	uint64_t right_ns;
	_Atomic uint32_t refusing; /* 1: asked for, 2: done */
	_Atomic uint32_t stop;
	uint64_t next_id;
	uint32_t puts;
	uint64_t bytes;
	struct client clients[CLIENTS_MAX];
	struct right *rights;
	struct pollfd polled[CLIENTS_MAX + 3];
	uint8_t message[FMT_PUT_MESSAGE_MAX + 1];
};

/* --- puts --- */

static void
append(struct dp_put **head, struct dp_put **tail, struct dp_put *put)
{
	put->next = NULL;
	if (*head != NULL)
		(*tail)->next = put;
	else
		*head = put;
	*tail = put;
}

static struct dp_put *
take_first(struct dp_put **head)
{
	struct dp_put *put = *head;

	if (put != NULL)
		*head = put->next;
	return put;
}

static size_t
put_bytes(const struct dp_put *put)
{
	return sizeof(*put) + put->key_len + put->data_len;
}

static struct client *
client_of(struct dp_door *d, uint64_t id)
{
	struct client *c = &d->clients[id % CLIENTS_MAX];

	return c->fd >= 0 && c->id == id ? c : NULL;
}

static void
free_put(struct dp_door *d, struct dp_put *put)
{
	struct client *c = client_of(d, put->client);
	size_t size = put_bytes(put);

	d->puts--;
	d->bytes -= size;
	if (c != NULL) {
		c->puts--;
		c->bytes -= size;
	}
	slk_wipe(put, size);
	free(put);
}

static void
free_list(struct dp_door *d, struct dp_put **head)
{
	struct dp_put *put;

	while ((put = take_first(head)) != NULL)
		free_put(d, put);
}

static void
hang_up(struct dp_door *d, struct client *c)
{
	if (c->partial != NULL)
		free_put(d, c->partial);
	c->partial = NULL;
	free_list(d, &c->done);
	close(c->fd);
	c->fd = -1; /* what is still on its way finds nobody and is freed */
}

static int
send_answer(struct client *c, const struct dp_put *put, const char *sentence)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	const struct fmt_put_reply reply = {.request_id = put->request_id,
		.status = put->status,
		.shard = put->status == SLK_OK ? put->shard : 0,
		.sequence = put->status == SLK_OK ? put->sequence : 0,
		.error = slk_span(sentence, strlen(sentence))};
	uint8_t buf[FMT_PUT_REPLY_MAX];
	size_t len = 0;

	int rc = fmt_put_reply_encode(&reply, buf, sizeof(buf), &len);
	return rc != SLK_OK ? rc : sock->send(sock->ctx, c->fd, buf, len);
}

/* What clients are told beyond the status itself. */
static const char *
sentence_of(int status)
{
	switch (status) {
	case SLK_OK:
		return "";
	case SLK_THROTTLED:
		return "sealock-ingestd has no room for the record now: the disk or the KMS is "
		       "behind; try again";
	case SLK_UNAVAILABLE:
	case SLK_TIMEOUT:
	case SLK_CLOSED:
		return "the stream has no data key because the KMS or its HSM does not answer; try "
		       "again";
	case SLK_DISK_FULL:
		return "the journal's disk is full";
	default:
		return slk_status_sentence(status);
	}
}

/* Send what is complete, in order; stop where the socket is full. */
static void
flush_answers(struct dp_door *d, struct client *c)
{
	while (c->done != NULL) {
		int rc = send_answer(c, c->done, sentence_of(c->done->status));
		if (rc == SLK_AGAIN)
			return;
		if (rc != SLK_OK) {
			hang_up(d, c);
			return;
		}
		free_put(d, take_first(&c->done));
	}
}

static void
wait_for_right(struct dp_door *d, struct right *r, struct dp_put *put)
{
	append(&r->waiting, &r->waiting_tail, put);
	if (r->asking)
		return;
	r->asking = true;
	r->ask.owner = r;
	dp_control_ask(d->control, &r->ask);
}

/* The stream that the client's right was for is gone; one that has its name now is another one, which the record may be for.
 * false: the client gets what the worker said. */
static bool
ask_again(struct dp_door *d, struct dp_put *put)
{
	if (put->asked_again || put->stream_id == 0)
		return false;
	put->asked_again = true;
	for (unsigned i = 0; i < RIGHTS_MAX; i++) {
		struct right *r = &d->rights[i];
		if (!r->used || r->ask.uid != put->uid || r->stream_id != put->stream_id)
			continue;
		r->until_ns = 0;
		wait_for_right(d, r, put);
		return true;
	}
	return false;
}

static void
answer(struct dp_door *d, struct dp_put *put)
{
	struct client *c = client_of(d, put->client);

	if (c == NULL) {
		free_put(d, put);
		return;
	}
	if (put->status == SLK_NOT_FOUND && ask_again(d, put))
		return;
	append(&c->done, &c->done_tail, put);
	flush_answers(d, c);
}

/* With a sentence of its own, sent at once or not at all: an answer that must wait gets the general one. */
static void
refuse(struct dp_door *d, struct dp_put *put, int status, const char *sentence)
{
	struct client *c = client_of(d, put->client);

	put->status = status;
	if (c != NULL && c->done == NULL && sentence != NULL &&
		send_answer(c, put, sentence) == SLK_OK)
		free_put(d, put);
	else
		answer(d, put);
}

static void
hand_over(struct dp_door *d, const struct right *r, struct dp_put *put)
{
	put->stream_id = r->ask.stream_id;
	put->slot = r->ask.slot;
	put->worker = r->ask.worker;
	if (atomic_load(&d->refusing) != 0)
		refuse(d, put, SLK_UNAVAILABLE, "sealock-ingestd is stopping");
	else if (!dp_spsc_push(&d->workers[put->worker]->put_in, put))
		refuse(d, put, SLK_THROTTLED, NULL);
}

/* --- rights --- */

static struct right *
find_right(struct dp_door *d, uid_t uid, const char *stream)
{
	struct right *spare = NULL;
	uint64_t now = slk_mono_ns(d->clock);

	for (unsigned i = 0; i < RIGHTS_MAX; i++) {
		struct right *r = &d->rights[i];
		if (r->used && r->ask.uid == uid && strcmp(r->ask.stream, stream) == 0)
			return r;
		if (!r->used || (!r->asking && r->until_ns <= now))
			spare = r;
	}
	if (spare == NULL)
		return NULL;
	memset(spare, 0, sizeof(*spare));
	spare->used = true;
	spare->ask.uid = uid;
	snprintf(spare->ask.stream, sizeof(spare->ask.stream), "%s", stream);
	return spare;
}

static void
use_right(struct dp_door *d, struct right *r, struct dp_put *put)
{
	if (r->ask.status == SLK_OK)
		hand_over(d, r, put);
	else
		refuse(d, put, r->ask.status, r->ask.error.text);
}

static void
authorise(struct dp_door *d, const struct client *c, struct dp_put *put)
{
	struct right *r = find_right(d, c->peer.uid, c->partial_stream);

	if (r == NULL) {
		refuse(d, put, SLK_THROTTLED,
			"too many users put into too many streams at once; try again");
		return;
	}
	if (!r->asking && r->until_ns > slk_mono_ns(d->clock) &&
		r->ask.era == dp_control_rights_era(d->control)) {
		use_right(d, r, put);
		return;
	}
	wait_for_right(d, r, put);
}

static void
take_rights(struct dp_door *d)
{
	struct dp_ask *ask;
	struct dp_put *put;

	while ((ask = dp_control_answer(d->control)) != NULL) {
		struct right *r = ask->owner;
		uint64_t now = slk_mono_ns(d->clock);
		r->asking = false;
		r->stream_id = ask->status == SLK_OK ? ask->stream_id : 0;
		r->until_ns = now;
		if (ask->status == SLK_OK)
			r->until_ns += d->right_ns;
		else if (ask->status == SLK_DENIED)
			r->until_ns += DENIED_NS;
		while ((put = take_first(&r->waiting)) != NULL)
			use_right(d, r, put);
	}
}

/* --- messages --- */

static int
begin_put(struct dp_door *d, struct client *c, const struct fmt_put *in)
{
	struct dp_put *put = calloc(1, sizeof(*put) + in->key.len + in->total_len);

	if (put == NULL)
		return SLK_NO_MEMORY;
	put->request_id = in->request_id;
	put->client = c->id;
	put->uid = c->peer.uid;
	put->key_len = (uint32_t)in->key.len;
	put->data_len = in->total_len;
	memcpy(put->bytes, in->key.ptr, in->key.len);
	memcpy(c->partial_stream, in->stream.ptr, in->stream.len);
	c->partial_stream[in->stream.len] = '\0';
	c->partial = put;
	c->puts++;
	c->bytes += put_bytes(put);
	d->puts++;
	d->bytes += put_bytes(put);
	/* A name with a NUL in it would be another's. */
	return strlen(c->partial_stream) == in->stream.len ? SLK_OK : SLK_MALFORMED;
}

/* One message of a client. Anything but SLK_OK ends the connection. */
static int
take_message(struct dp_door *d, struct client *c, struct slk_span message)
{
	struct fmt_put in;

	int rc = fmt_put_decode(message, &in);
	if (rc != SLK_OK)
		return rc;
	if ((in.offset == 0) != (c->partial == NULL))
		return SLK_MALFORMED;
	if (in.offset == 0)
		rc = begin_put(d, c, &in);
	if (rc != SLK_OK)
		return rc;
	struct dp_put *put = c->partial;
	if (in.request_id != put->request_id || in.offset != put->received ||
		in.total_len != put->data_len || in.fragment.len > put->data_len - put->received)
		return SLK_MALFORMED;
	if (in.fragment.len > 0)
		memcpy(put->bytes + put->key_len + put->received, in.fragment.ptr, in.fragment.len);
	put->received += (uint32_t)in.fragment.len;
	c->partial_ns = slk_mono_ns(d->clock);
	if (put->received < put->data_len)
		return SLK_OK;
	c->partial = NULL;
	authorise(d, c, put);
	return SLK_OK;
}

static bool
has_room(const struct dp_door *d, const struct client *c)
{
	/* A record that has begun may end: its buffer is there already. */
	if (c->partial != NULL)
		return true;
	return c->puts < CLIENT_PUTS_MAX && c->bytes < CLIENT_BYTES_MAX && d->bytes < BYTES_MAX &&
		d->puts < DP_PUT_RING;
}

static void
read_client(struct dp_door *d, struct client *c)
{
	const struct slk_sock_ops *sock = slk_sock_posix();

	for (unsigned i = 0; i < MESSAGES_PER_TURN && c->fd >= 0 && has_room(d, c); i++) {
		size_t len = 0;
		int rc = sock->recv(sock->ctx, c->fd, d->message, sizeof(d->message), &len);
		if (rc == SLK_AGAIN)
			return;
		if (rc == SLK_OK)
			rc = take_message(d, c, slk_span(d->message, len));
		if (rc == SLK_OK)
			continue;
		if (rc != SLK_CLOSED)
			slk_info("hung up on a put client", slk_kv("uid", (unsigned)c->peer.uid),
				slk_kv("reason", slk_status_sentence(rc)));
		if (c->fd >= 0)
			hang_up(d, c);
		return;
	}
}

static void
accept_client(struct dp_door *d)
{
	struct slk_peer peer;
	int fd = -1;

	if (slk_sock_accept(d->put_fd, &fd, &peer) != SLK_OK)
		return;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		uint64_t id = ++d->next_id;
		struct client *c = &d->clients[id % CLIENTS_MAX];
		if (c->fd >= 0)
			continue;
		*c = (struct client){.fd = fd, .id = id, .peer = peer};
		return;
	}
	slk_warn("too many put clients", slk_kv("limit", CLIENTS_MAX));
	close(fd);
}

/* --- status --- */

static void
accept_status(struct dp_door *d)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	const int room = STATUS_SEND_BYTES;
	struct slk_peer peer;
	char *text = NULL;
	size_t len = 0;
	int fd = -1;

	if (slk_sock_accept(d->status_fd, &fd, &peer) != SLK_OK)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	const struct dp_status_sources sources = {.control = d->control,
		.keeper = d->keeper,
		.workers = d->workers,
		.worker_count = d->worker_count,
		.config = d->config,
		.uptime_ns = slk_mono_ns(d->clock) - d->started_ns};
	int rc = dp_status_doc(&sources, &text, &len);
	if (rc == SLK_OK)
		rc = sock->send(sock->ctx, fd, text, len);
	if (rc != SLK_OK && rc != SLK_CLOSED)
		slk_warn("no status could be given", slk_kv("reason", slk_status_sentence(rc)));
	free(text);
	close(fd);
}

/* --- the thread --- */

static void
take_done(struct dp_door *d)
{
	struct dp_put *put;

	for (unsigned i = 0; i < d->worker_count; i++) {
		while ((put = dp_spsc_pop(&d->workers[i]->put_out)) != NULL)
			answer(d, put);
	}
}

/* The room of a record that never ends would be missing for everybody. */
static void
hang_up_stalled(struct dp_door *d)
{
	uint64_t at = slk_mono_ns(d->clock);

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &d->clients[i];
		if (c->fd < 0 || c->partial == NULL || at < c->partial_ns + STALL_NS)
			continue;
		slk_info("hung up on a put client", slk_kv("uid", (unsigned)c->peer.uid),
			slk_kv("reason", "it stopped in the middle of a record"));
		hang_up(d, c);
	}
}

static bool
done_waits(struct dp_door *d)
{
	for (unsigned i = 0; i < d->worker_count; i++) {
		const struct dp_spsc *ring = &d->workers[i]->put_out;
		if (atomic_load(&ring->head) != atomic_load(&ring->tail))
			return true;
	}
	return false;
}

static void
set_sleeping(struct dp_door *d, uint32_t value)
{
	for (unsigned i = 0; i < d->worker_count; i++)
		atomic_store(&d->workers[i]->door_sleeps, value);
}

static unsigned
fill_polled(struct dp_door *d)
{
	unsigned n = 0;

	d->polled[n++] = (struct pollfd){.fd = d->door_fd, .events = POLLIN};
	d->polled[n++] = (struct pollfd){.fd = d->put_fd, .events = POLLIN};
	d->polled[n++] = (struct pollfd){.fd = d->status_fd, .events = POLLIN};
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &d->clients[i];
		short events =
			(short)((has_room(d, c) ? POLLIN : 0) | (c->done != NULL ? POLLOUT : 0));
		d->polled[n++] = (struct pollfd){.fd = c->fd, .events = events};
	}
	return n;
}

static void
wait_events(struct dp_door *d)
{
	unsigned n = fill_polled(d);
	uint64_t count = 0;

	set_sleeping(d, 1);
	int ready = poll(d->polled, n, done_waits(d) ? 0 : WAIT_MS);
	set_sleeping(d, 0);
	if (ready <= 0)
		return;
	if ((d->polled[0].revents & POLLIN) != 0 && read(d->door_fd, &count, sizeof(count)) < 0)
		slk_debug("the door woke for nothing");
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &d->clients[i];
		short events = d->polled[i + 3].revents;
		if (events == 0 || c->fd < 0)
			continue;
		if ((events & POLLOUT) != 0)
			flush_answers(d, c);
		if (c->fd >= 0 && (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
			/* A peer that is gone while it has no room would spin the loop. */
			if (has_room(d, c))
				read_client(d, c);
			else if ((events & (POLLHUP | POLLERR)) != 0)
				hang_up(d, c);
		}
	}
	if ((d->polled[1].revents & POLLIN) != 0)
		accept_client(d);
	if ((d->polled[2].revents & POLLIN) != 0)
		accept_status(d);
}

void *
dp_door_run(void *arg)
{
	struct dp_door *d = arg;

	while (atomic_load(&d->stop) == 0) {
		take_rights(d);
		take_done(d);
		hang_up_stalled(d);
		if (atomic_load(&d->refusing) == 1)
			atomic_store(&d->refusing, 2);
		wait_events(d);
	}
	take_done(d);
	return NULL;
}

void
dp_door_refuse(struct dp_door *door)
{
	atomic_store(&door->refusing, 1);
	while (atomic_load(&door->refusing) != 2 && atomic_load(&door->stop) == 0) {
		dp_wake(door->door_fd);
		usleep(100);
	}
}

void
dp_door_stop(struct dp_door *door)
{
	atomic_store(&door->stop, 1);
	dp_wake(door->door_fd);
}

/* --- making one --- */

static int
find_group(const char *name, gid_t *out_gid, struct slk_error *err)
{
	char *end = NULL;
	unsigned long number = strtoul(name, &end, 10);

	if (name[0] >= '0' && name[0] <= '9' && *end == '\0' && number < UINT32_MAX) {
		*out_gid = (gid_t)number;
		return SLK_OK;
	}
	const struct group *group = getgrnam(name);
	if (group == NULL)
		return slk_fail(err, SLK_CONFIG, "there is no group %s", name);
	*out_gid = group->gr_gid;
	return SLK_OK;
}

static int
listen_on(const struct dp_socket_config *s, int *out_fd, struct slk_error *err)
{
	gid_t gid = 0;
	int rc = s->group != NULL ? find_group(s->group, &gid, err) : SLK_OK;

	if (rc == SLK_OK)
		rc = slk_sock_listen(s->socket, s->mode_bits, out_fd, err);
	if (rc != SLK_OK || s->group == NULL)
		return rc;
	if (chown(s->socket, (uid_t)-1, gid) == 0)
		return SLK_OK;
	return slk_fail_errno(err, "cannot give socket %s to group %s; is ingestd's user a member?",
		s->socket, s->group);
}

int
dp_door_new(const struct dp_door_config *config, struct dp_door **out_door, struct slk_error *err)
{
	struct dp_door *d = calloc(1, sizeof(*d));

	if (d == NULL || (d->rights = calloc(RIGHTS_MAX, sizeof(*d->rights))) == NULL) {
		free(d);
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the put socket");
	}
	d->config = config->config;
	d->clock = config->clock;
	d->control = config->control;
	d->keeper = config->keeper;
	d->keeper = config->keeper;
	d->workers = config->workers;
	d->worker_count = config->worker_count;
	d->door_fd = config->door_fd;
	d->put_fd = d->status_fd = -1;
	d->started_ns = slk_mono_ns(d->clock);
	d->right_ns = config->config->keys.renewal_seconds * SLK_NS_PER_S;
	d->right_ns = d->right_ns > RIGHT_NS ? RIGHT_NS : d->right_ns;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		d->clients[i].fd = -1;
	int rc = listen_on(&d->config->put, &d->put_fd, err);
	if (rc == SLK_OK)
		rc = listen_on(&d->config->status, &d->status_fd, err);
	if (rc != SLK_OK) {
		dp_door_free(d);
		return rc;
	}
	*out_door = d;
	return SLK_OK;
}

static void
close_socket(int fd, const char *path)
{
	if (fd < 0)
		return;
	close(fd);
	if (unlink(path) != 0 && errno != ENOENT)
		slk_warn("a socket stays behind", slk_kv("path", path));
}

void
dp_door_free(struct dp_door *door)
{
	struct dp_put *put;

	if (door == NULL)
		return;
	close_socket(door->put_fd, door->config->put.socket);
	close_socket(door->status_fd, door->config->status.socket);
	for (unsigned i = 0; i < door->worker_count; i++) {
		/* The workers have ended: both ends are ours. */
		while ((put = dp_spsc_pop(&door->workers[i]->put_in)) != NULL)
			free_put(door, put);
		while ((put = dp_spsc_pop(&door->workers[i]->put_out)) != NULL)
			free_put(door, put);
	}
	for (unsigned i = 0; i < RIGHTS_MAX; i++)
		free_list(door, &door->rights[i].waiting);
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (door->clients[i].fd >= 0)
			hang_up(door, &door->clients[i]);
	}
	free(door->rights);
	free(door);
}
