#include "door.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <rte_pause.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sock.h"
#include "door_internal.h"
#include "status_doc.h"

#define RIGHT_NS (300 * SLK_NS_PER_S)
#define SPIN_TURNS 200u /* empty ones, before it sleeps */
#define SOCKETS_TURNS 32u /* busy ones, between two looks at the sockets */
#define WAIT_MS 1000
#define STATUS_SEND_BYTES (512 * 1024)

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
		.journal = d->journal,
		.door = &d->counters,
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

/* Say so to all who would wake us, and look once more at what they may have left before they saw it. */
static bool
fall_asleep(struct dp_door *d)
{
	bool waits = false;

	for (unsigned i = 0; i < d->worker_count; i++)
		atomic_store(&d->workers[i]->door_sleeps, 1);
	for (unsigned i = 0; i < d->live_count; i++)
		dp_client_sleeps(&d->clients[d->live[i]], true);
	for (unsigned i = 0; i < d->live_count && !waits; i++) {
		const struct dp_client *c = &d->clients[d->live[i]];
		waits = c->fd >= 0 && dp_client_has_more(c) && dp_door_has_room(d, c);
	}
	return !waits && !done_waits(d);
}

static void
wake_up(struct dp_door *d)
{
	for (unsigned i = 0; i < d->worker_count; i++)
		atomic_store(&d->workers[i]->door_sleeps, 0);
	for (unsigned i = 0; i < DP_CLIENTS_MAX; i++)
		dp_client_sleeps(&d->clients[i], false);
}

static unsigned
fill_polled(struct dp_door *d)
{
	unsigned n = 0;

	d->polled[n++] = (struct pollfd){.fd = d->door_fd, .events = POLLIN};
	d->polled[n++] = (struct pollfd){.fd = d->put_fd, .events = POLLIN};
	d->polled[n++] = (struct pollfd){.fd = d->status_fd, .events = POLLIN};
	for (unsigned i = 0; i < DP_CLIENTS_MAX; i++) {
		const struct dp_client *c = &d->clients[i];
		if (c->fd < 0)
			continue;
		d->polled_client[n] = i;
		d->polled[n++] = (struct pollfd){
			.fd = c->fd, .events = c->letters != NULL ? POLLOUT : POLLIN};
	}
	return n;
}

static void
look_at_sockets(struct dp_door *d, int timeout_ms)
{
	unsigned n = fill_polled(d);
	uint64_t times = 0;

	if (poll(d->polled, n, timeout_ms) <= 0)
		return;
	if ((d->polled[0].revents & POLLIN) != 0 && read(d->door_fd, &times, sizeof(times)) < 0)
		slk_debug("the door woke for nothing");
	for (unsigned i = 3; i < n; i++) {
		struct dp_client *c = &d->clients[d->polled_client[i]];
		if (d->polled[i].revents == 0)
			continue;
		if (c->letters != NULL)
			dp_door_flush_letters(d, c);
		if (c->fd >= 0)
			dp_door_read_client(d, c);
		/* It is gone, and has not taken its answers. */
		if (c->fd >= 0 && c->letters != NULL &&
			(d->polled[i].revents & (POLLHUP | POLLERR)) != 0)
			dp_door_hang_up(d, c);
	}
	if ((d->polled[1].revents & POLLIN) != 0)
		dp_door_accept_client(d);
	if ((d->polled[2].revents & POLLIN) != 0)
		accept_status(d);
}

static void
rest(struct dp_door *d, unsigned done)
{
	if (done > 0) {
		d->empty_turns = 0;
		if (++d->busy_turns % SOCKETS_TURNS == 0)
			look_at_sockets(d, 0);
		return;
	}
	if (++d->empty_turns < SPIN_TURNS) {
		rte_pause();
		return;
	}
	look_at_sockets(d, fall_asleep(d) ? WAIT_MS : 0);
	wake_up(d);
	dp_door_hang_up_silent(d);
	d->empty_turns = 0;
}

void *
dp_door_run(void *arg)
{
	struct dp_door *d = arg;

	while (atomic_load(&d->stop) == 0) {
		unsigned done = dp_door_take_rights(d) + dp_door_take_done(d) + dp_door_serve(d);
		dp_door_publish(d);
		if (atomic_load(&d->refusing) == 1)
			atomic_store(&d->refusing, 2);
		rest(d, done);
	}
	(void)dp_door_take_done(d);
	dp_door_publish(d);
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

const struct dp_door_counters *
dp_door_counters(const struct dp_door *door)
{
	return &door->counters;
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

static int
find_trusted(struct dp_door *d, struct slk_error *err)
{
	const char *name = d->config->put.trusted_user;
	char *end = NULL;

	if (name == NULL)
		return SLK_OK;
	unsigned long number = strtoul(name, &end, 10);
	if (name[0] >= '0' && name[0] <= '9' && *end == '\0' && number < UINT32_MAX) {
		d->trusted_uid = (uid_t)number;
	} else {
		const struct passwd *user = getpwnam(name);
		if (user == NULL)
			return slk_fail(
				err, SLK_CONFIG, "put: there is no user %s to be trusted", name);
		d->trusted_uid = user->pw_uid;
	}
	d->has_trusted = true;
	return SLK_OK;
}

int
dp_door_new(const struct dp_door_config *config, struct dp_door **out_door, struct slk_error *err)
{
	struct dp_door *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the local port");
	d->config = config->config;
	d->clock = config->clock;
	d->control = config->control;
	d->keeper = config->keeper;
	d->journal = config->journal;
	d->workers = config->workers;
	d->worker_count = config->worker_count;
	d->door_fd = config->door_fd;
	d->put_fd = d->status_fd = -1;
	d->started_ns = slk_mono_ns(d->clock);
	for (unsigned i = 0; i < DP_CLIENTS_MAX; i++)
		d->clients[i].fd = -1;
	uint64_t age_ns = config->config->keys.renewal_seconds * SLK_NS_PER_S;
	int rc = dp_rights_new(
		d->control, d->clock, age_ns > RIGHT_NS ? RIGHT_NS : age_ns, &d->rights);
	if (rc != SLK_OK)
		(void)slk_fail(err, rc, "no memory for the local port");
	if (rc == SLK_OK)
		rc = find_trusted(d, err);
	if (rc == SLK_OK)
		rc = listen_on(&d->config->put, &d->put_fd, err);
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
			dp_door_free_put(door, put);
		while ((put = dp_spsc_pop(&door->workers[i]->put_out)) != NULL)
			dp_door_free_put(door, put);
	}
	while (door->rights != NULL && (put = dp_rights_give_up(door->rights)) != NULL)
		dp_door_free_put(door, put);
	for (unsigned i = 0; i < DP_CLIENTS_MAX; i++) {
		if (door->clients[i].fd >= 0)
			dp_door_hang_up(door, &door->clients[i]);
	}
	dp_rights_free(door->rights);
	free(door);
}
