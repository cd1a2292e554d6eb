#include "door_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sock.h"

#define CLIENTS_OF_UID 128u
#define MEMORY_MAX (1ull << 30) /* shared memory of all clients */
#define MEMORY_OF_UID (512ull << 20)
#define RING_BYTES (4u << 20) /* for a client that leaves it to us */
#define COMPLETIONS 4096u
#define MESSAGES_PER_TURN 16u /* of one client */
#define HELLO_NS (5 * SLK_NS_PER_S)

/* --- clients --- */

struct dp_client *
dp_door_client(struct dp_door *d, uint64_t id)
{
	struct dp_client *c = &d->clients[id % DP_CLIENTS_MAX];

	return c->fd >= 0 && c->id == id ? c : NULL;
}

void
dp_door_hang_up(struct dp_door *d, struct dp_client *c)
{
	for (uint32_t i = 0; i < c->attachment_count; i++) {
		if (c->attachments[i].right != NULL)
			dp_right_drop(c->attachments[i].right);
	}
	if (c->map != NULL)
		d->memory -= fmt_port_memory_bytes(&c->memory);
	dp_client_close(c); /* what is still on its way finds nobody and is freed */
	d->live_stale = true;
	atomic_fetch_sub_explicit(&d->counters.clients, 1, memory_order_relaxed);
}

void
dp_door_breach(struct dp_door *d, struct dp_client *c, const char *reason)
{
	slk_info("hung up on a client of the local port", slk_kv("uid", (unsigned)c->peer.uid),
		slk_kv("pid", (int)c->peer.pid), slk_kv("reason", reason));
	dp_door_count(&d->counters.hang_ups);
	dp_door_hang_up(d, c);
}

/* --- control messages to clients --- */

/* Letters that the socket did not take are sent, in order, as soon as it does. */
void
dp_door_flush_letters(struct dp_door *d, struct dp_client *c)
{
	const struct slk_sock_ops *sock = slk_sock_posix();

	while (c->letters != NULL) {
		struct dp_letter *letter = c->letters;
		int rc = sock->send(sock->ctx, c->fd, letter->bytes, letter->len);
		if (rc == SLK_AGAIN)
			return;
		if (rc != SLK_OK) {
			dp_door_hang_up(d, c);
			return;
		}
		c->letters = letter->next;
		free(letter);
	}
}

static void
send_message(struct dp_door *d, struct dp_client *c, const struct fmt_port_message *message)
{
	struct dp_letter *letter = calloc(1, sizeof(*letter));

	if (letter == NULL ||
		fmt_port_message_encode(
			message, letter->bytes, sizeof(letter->bytes), &letter->len) != SLK_OK) {
		free(letter);
		dp_door_breach(d, c, "no memory for an answer");
		return;
	}
	if (c->letters != NULL)
		c->letters_tail->next = letter;
	else
		c->letters = letter;
	c->letters_tail = letter;
	dp_door_flush_letters(d, c);
}

void
dp_door_ring_bell(struct dp_client *c)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	const struct fmt_port_message bell = {.type = FMT_PORT_BELL};
	uint8_t bytes[FMT_PORT_MESSAGE_MAX];
	size_t len = 0;

	c->bell = false;
	/* A socket that is full of messages wakes its reader as well. One that is broken shows when it is polled. */
	if (fmt_port_message_encode(&bell, bytes, sizeof(bytes), &len) == SLK_OK)
		(void)sock->send(sock->ctx, c->fd, bytes, len);
}

void
dp_door_tell_attached(struct dp_door *d, struct dp_client *c, struct dp_attachment *a)
{
	const struct dp_right *r = a->right;
	struct fmt_port_message m = {
		.type = FMT_PORT_ATTACHED, .id = a->request_id, .status = r->status};

	a->pending = false;
	c->attaching--;
	if (r->status == SLK_OK) {
		m.handle = dp_client_handle(c, a);
		m.stream_id = r->stream_id;
		m.encryption =
			r->encrypted_kms ? FMT_PORT_ENCRYPTION_KMS : FMT_PORT_ENCRYPTION_NONE;
	} else {
		m.sentence = slk_span_str(r->sentence);
	}
	send_message(d, c, &m);
	if (r->status == SLK_OK || c->fd < 0)
		return;
	dp_right_drop(a->right);
	dp_client_detach(c, a);
}

/* --- control messages from clients --- */

static void
refuse_attach(struct dp_door *d, struct dp_client *c, uint64_t id, int status, const char *sentence)
{
	const struct fmt_port_message m = {.type = FMT_PORT_ATTACHED,
		.id = id,
		.status = status,
		.sentence = slk_span_str(sentence)};

	send_message(d, c, &m);
}

static int
attach(struct dp_door *d, struct dp_client *c, const struct fmt_port_message *in)
{
	bool trusted = (in->flags & FMT_PORT_ATTACH_TRUSTED) != 0;
	char name[FMT_PORT_NAME_MAX + 1];
	uint32_t handle = 0;

	if (c->map == NULL)
		return SLK_MALFORMED;
	if (trusted && (!d->has_trusted || c->peer.uid != d->trusted_uid)) {
		refuse_attach(d, c, in->id, SLK_DENIED,
			"this user is not the one that sealock-ingestd trusts to authorise its own "
			"callers (put: trusted_user in ingestd.yaml)");
		return SLK_OK;
	}
	memcpy(name, in->name.ptr, in->name.len);
	name[in->name.len] = '\0';
	struct dp_right *r = dp_right_hold(d->rights, c->peer.uid, trusted, name);
	int rc = r != NULL ? dp_client_attach(c, r, in->id, &handle) : SLK_LIMIT;
	if (rc != SLK_OK) {
		if (r != NULL)
			dp_right_drop(r);
		refuse_attach(d, c, in->id, rc, "too many streams are attached; try again");
		return SLK_OK;
	}
	if (dp_right_known(d->rights, r))
		dp_door_tell_attached(d, c, dp_client_attachment(c, handle));
	return SLK_OK;
}

static unsigned
clients_of(const struct dp_door *d, uid_t uid)
{
	unsigned n = 0;

	for (unsigned i = 0; i < DP_CLIENTS_MAX; i++)
		n += d->clients[i].fd >= 0 && d->clients[i].peer.uid == uid;
	return n;
}

static const char *
no_room(const struct dp_door *d, const struct dp_client *c, uint64_t bytes)
{
	uint64_t memory = bytes;

	for (unsigned i = 0; i < DP_CLIENTS_MAX; i++) {
		const struct dp_client *other = &d->clients[i];
		if (other->fd >= 0 && other->peer.uid == c->peer.uid && other->map != NULL)
			memory += fmt_port_memory_bytes(&other->memory);
	}
	if (memory > MEMORY_OF_UID)
		return "this user's clients of sealock-ingestd have too much memory";
	return d->memory + bytes > MEMORY_MAX
		? "the clients of sealock-ingestd have too much memory"
		: NULL;
}

static int
send_welcome(const struct dp_client *c, const struct fmt_port_message *m, int memory_fd)
{
	uint8_t bytes[FMT_PORT_MESSAGE_MAX];
	size_t len = 0;

	int rc = fmt_port_message_encode(m, bytes, sizeof(bytes), &len);
	/* The socket is empty: nothing was sent before. */
	return rc != SLK_OK ? rc : slk_sock_send_fd(c->fd, bytes, len, memory_fd);
}

static int
hello(struct dp_door *d, struct dp_client *c, const struct fmt_port_message *in)
{
	const struct fmt_port_memory memory = {
		.ring_bytes = in->ring_bytes != 0 ? in->ring_bytes : RING_BYTES,
		.completions = in->completions != 0 ? in->completions : COMPLETIONS,
		.data_max = FMT_RECORD_DATA_MAX};
	struct fmt_port_message m = {.type = FMT_PORT_WELCOME, .id = in->id};
	int memory_fd = -1;

	if (c->map != NULL)
		return SLK_MALFORMED;
	const char *sentence = NULL;
	if (!fmt_port_memory_valid(&memory)) {
		m.status = SLK_INVALID;
		sentence = "the ring has a power of two of bytes, 64 KiB to 64 MiB, and of "
			   "completions, 64 to 65,536";
	} else if ((sentence = no_room(d, c, fmt_port_memory_bytes(&memory))) != NULL) {
		m.status = SLK_LIMIT;
	} else if ((m.status = dp_client_open(c, &memory, &memory_fd)) != SLK_OK) {
		sentence = slk_status_sentence(m.status);
	}
	if (m.status != SLK_OK) {
		m.sentence = slk_span_str(sentence);
		send_message(d, c, &m);
		return SLK_OK;
	}
	d->memory += fmt_port_memory_bytes(&memory);
	m.ring_bytes = memory.ring_bytes;
	m.completions = memory.completions;
	m.data_max = memory.data_max;
	int rc = send_welcome(c, &m, memory_fd);
	close(memory_fd);
	return rc;
}

static int
take_message(struct dp_door *d, struct dp_client *c, struct slk_span bytes)
{
	struct fmt_port_message m;
	struct dp_attachment *a;

	int rc = fmt_port_message_decode(bytes, &m);
	if (rc != SLK_OK)
		return rc;
	switch (m.type) {
	case FMT_PORT_HELLO:
		return hello(d, c, &m);
	case FMT_PORT_ATTACH:
		return attach(d, c, &m);
	case FMT_PORT_DETACH:
		a = dp_client_attachment(c, m.handle);
		if (a == NULL || a->pending)
			return SLK_MALFORMED;
		dp_right_drop(a->right);
		dp_client_detach(c, a);
		return SLK_OK;
	case FMT_PORT_BELL:
		return SLK_OK; /* its ring is looked at in any case */
	case FMT_PORT_WELCOME:
	case FMT_PORT_ATTACHED:
		break;
	}
	return SLK_MALFORMED;
}

void
dp_door_read_client(struct dp_door *d, struct dp_client *c)
{
	const struct slk_sock_ops *sock = slk_sock_posix();

	/* Who does not take its answers is asked nothing more. */
	for (unsigned i = 0; i < MESSAGES_PER_TURN && c->fd >= 0 && c->letters == NULL; i++) {
		size_t len = 0;
		int rc = sock->recv(sock->ctx, c->fd, d->message, sizeof(d->message), &len);
		if (rc == SLK_AGAIN)
			return;
		if (rc == SLK_OK)
			rc = take_message(d, c, slk_span(d->message, len));
		if (rc == SLK_OK || c->fd < 0)
			continue;
		if (rc == SLK_CLOSED)
			dp_door_hang_up(d, c);
		else
			dp_door_breach(d, c, slk_status_sentence(rc));
	}
}

void
dp_door_accept_client(struct dp_door *d)
{
	struct slk_peer peer;
	int fd = -1;

	if (slk_sock_accept(d->put_fd, &fd, &peer) != SLK_OK)
		return;
	for (unsigned i = 0; i < DP_CLIENTS_MAX && clients_of(d, peer.uid) < CLIENTS_OF_UID; i++) {
		uint64_t id = ++d->next_id;
		struct dp_client *c = &d->clients[id % DP_CLIENTS_MAX];
		if (c->fd >= 0)
			continue;
		*c = (struct dp_client){
			.fd = fd, .id = id, .peer = peer, .since_ns = slk_mono_ns(d->clock)};
		atomic_fetch_add_explicit(&d->counters.clients, 1, memory_order_relaxed);
		d->live_stale = true;
		return;
	}
	slk_warn("too many clients of the local port", slk_kv("uid", (unsigned)peer.uid),
		slk_kv("limit", DP_CLIENTS_MAX), slk_kv("limit_per_uid", CLIENTS_OF_UID));
	dp_door_count(&d->counters.hang_ups);
	close(fd);
}

/* Places are for those who use them. */
void
dp_door_hang_up_silent(struct dp_door *d)
{
	uint64_t at = slk_mono_ns(d->clock);

	for (unsigned i = 0; i < DP_CLIENTS_MAX; i++) {
		struct dp_client *c = &d->clients[i];
		if (c->fd >= 0 && c->map == NULL && at >= c->since_ns + HELLO_NS)
			dp_door_breach(d, c, "it did not say what it wants");
	}
}
