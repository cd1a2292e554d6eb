#include "fake_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "slk_test.h"

void
fake_port_listen(struct fake_port *port)
{
	assert_ok(slk_sock_listen(port->path, 0600, &port->listen_fd, NULL));
}

void
fake_port_start(struct fake_port *port)
{
	char dir[] = "/tmp/slk_port_XXXXXX";

	memset(port, 0, sizeof(*port));
	for (unsigned i = 0; i < FAKE_PORT_CLIENTS; i++)
		port->clients[i].fd = -1;
	assert_non_null(mkdtemp(dir));
	snprintf(port->path, sizeof(port->path), "%s/port.sock", dir);
	fake_port_listen(port);
}

void
fake_port_die(struct fake_port *port)
{
	for (unsigned i = 0; i < FAKE_PORT_CLIENTS; i++) {
		if (port->clients[i].fd >= 0)
			dp_client_close(&port->clients[i]);
	}
	if (port->listen_fd >= 0) {
		close(port->listen_fd);
		unlink(port->path);
	}
	port->listen_fd = -1;
	port->taken_count = 0;
}

void
fake_port_stop(struct fake_port *port)
{
	fake_port_die(port);
	*strrchr(port->path, '/') = '\0';
	assert_int_equal(rmdir(port->path), 0);
}

static void
send_message(const struct dp_client *c, const struct fmt_port_message *m, int memory_fd)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	uint8_t bytes[FMT_PORT_MESSAGE_MAX];
	size_t len = 0;

	assert_ok(fmt_port_message_encode(m, bytes, sizeof(bytes), &len));
	if (memory_fd >= 0)
		assert_ok(slk_sock_send_fd(c->fd, bytes, len, memory_fd));
	else
		assert_ok(sock->send(sock->ctx, c->fd, bytes, len));
}

static void
hello(struct fake_port *port, struct dp_client *c, const struct fmt_port_message *in)
{
	const struct fmt_port_memory memory = {in->ring_bytes, in->completions, 1u << 20};
	struct fmt_port_message out = {
		.type = FMT_PORT_WELCOME, .id = in->id, .status = port->welcome_status};
	int fd = -1;

	if (out.status != SLK_OK) {
		out.sentence = slk_span_str("no room here");
	} else {
		assert_ok(dp_client_open(c, &memory, &fd));
		out.ring_bytes = memory.ring_bytes;
		out.completions = memory.completions;
		out.data_max = memory.data_max;
	}
	send_message(c, &out, fd);
	if (fd >= 0)
		close(fd);
}

static void
attach(struct fake_port *port, struct dp_client *c, const struct fmt_port_message *in)
{
	struct fmt_port_message out = {
		.type = FMT_PORT_ATTACHED, .id = in->id, .status = port->attach_status};

	port->attached++;
	if (out.status == SLK_OK) {
		out.handle = 100 + port->attached;
		out.stream_id = 7;
		out.encryption = FMT_PORT_ENCRYPTION_KMS;
	} else {
		out.sentence = slk_span_str("user/reader may not kinesis:PutRecord");
	}
	send_message(c, &out, -1);
}

static void
read_client(struct fake_port *port, struct dp_client *c)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	uint8_t bytes[FMT_PORT_MESSAGE_MAX];
	struct fmt_port_message m;
	size_t len = 0;
	int rc;

	while ((rc = sock->recv(sock->ctx, c->fd, bytes, sizeof(bytes), &len)) == SLK_OK) {
		assert_ok(fmt_port_message_decode(slk_span(bytes, len), &m));
		if (m.type == FMT_PORT_HELLO)
			hello(port, c, &m);
		else if (m.type == FMT_PORT_ATTACH)
			attach(port, c, &m);
		else if (m.type == FMT_PORT_DETACH)
			port->detached++;
		else if (m.type == FMT_PORT_BELL)
			port->rung = true;
		else
			fail_msg("message of type %d", m.type);
	}
	if (rc == SLK_CLOSED)
		dp_client_close(c);
	else
		assert_int_equal(rc, SLK_AGAIN);
}

static void
take(struct fake_port *port, unsigned index)
{
	struct dp_client *c = &port->clients[index];
	const uint8_t *bytes;
	struct fmt_port_entry e;
	int rc = SLK_AGAIN;

	while (dp_client_has_more(c) && (rc = dp_client_next(c, &e, &bytes)) == SLK_OK) {
		assert_true(port->taken_count < FAKE_PORT_TAKEN_MAX);
		unsigned at = port->taken_count++;
		port->taken[at].client = index;
		port->taken[at].entry = e;
		memcpy(port->taken[at].key, bytes, e.key_len < 32 ? e.key_len : 32);
		memcpy(port->taken[at].data, bytes + e.key_len, e.data_len < 64 ? e.data_len : 64);
		dp_client_took(c, &e);
	}
	assert_true(rc == SLK_AGAIN || rc == SLK_OK);
	dp_client_publish(c);
}

void
fake_port_turn(struct fake_port *port)
{
	struct slk_peer peer;
	int fd = -1;

	for (unsigned i = 0; i < FAKE_PORT_CLIENTS; i++) {
		if (port->clients[i].fd < 0 && port->listen_fd >= 0 &&
			slk_sock_accept(port->listen_fd, &fd, &peer) == SLK_OK) {
			port->clients[i] = (struct dp_client){.fd = fd, .id = i, .peer = peer};
			assert_int_equal(peer.uid, getuid());
		}
		if (port->clients[i].fd >= 0)
			read_client(port, &port->clients[i]);
		if (port->clients[i].map != NULL && port->asleep) {
			dp_client_sleeps(&port->clients[i], true);
			if (!port->rung)
				continue;
		}
		if (port->clients[i].map != NULL && !port->hold)
			take(port, i);
	}
}

static void
complete(struct fake_port *port, unsigned index, int status)
{
	const struct fmt_port_entry *e = &port->taken[index].entry;
	struct fmt_port_completion c = {.tag = e->tag, .status = status};

	if (status == SLK_OK) {
		c.shard = 3;
		c.sequence = port->next_sequence++;
		c.arrival_ns = 1000;
		c.encryption = FMT_PORT_ENCRYPTION_KMS;
	}
	dp_client_complete(&port->clients[port->taken[index].client], &c);
}

static void
publish(struct fake_port *port)
{
	const struct fmt_port_message bell = {.type = FMT_PORT_BELL};

	for (unsigned i = 0; i < FAKE_PORT_CLIENTS; i++) {
		struct dp_client *c = &port->clients[i];
		if (c->map == NULL)
			continue;
		dp_client_publish(c);
		if (c->bell)
			send_message(c, &bell, -1);
		c->bell = false;
	}
}

void
fake_port_complete(struct fake_port *port, unsigned index, int status)
{
	assert_true(index < port->taken_count);
	complete(port, index, status);
	port->taken_count--;
	memmove(&port->taken[index], &port->taken[index + 1],
		(port->taken_count - index) * sizeof(port->taken[0]));
	publish(port);
}

void
fake_port_complete_all(struct fake_port *port, int status)
{
	for (unsigned i = 0; i < port->taken_count; i++)
		complete(port, i, status);
	port->taken_count = 0;
	publish(port);
}
