#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "http/conn.h"
#include "http/handshakes.h"
#include "http/listen.h"
#include "http/loop_run.h"

#define KEPT_MAX_BYTES (64u << 20) /* of free buffers, per thread */

/* --- defaults --- */

#define DEFAULT(field, value) \
	do { \
		if ((field) == 0) \
			(field) = (value); \
	} while (0)

static void
fill_in(struct http_server *s)
{
	DEFAULT(s->limits.header_bytes, 65536);
	DEFAULT(s->limits.headers_count, 128);
	DEFAULT(s->limits.body_bytes, 1u << 20);
	DEFAULT(s->limits.connections_count, 16384);
	DEFAULT(s->limits.address_connections_count, 4096);
	DEFAULT(s->limits.streams_count, 100);
	DEFAULT(s->limits.buffers_bytes, 256u << 20);
	DEFAULT(s->limits.queue_low_bytes, 256u << 10);
	DEFAULT(s->times.handshake_ms, 10000);
	DEFAULT(s->times.header_ms, 15000);
	DEFAULT(s->times.body_ms, 20000);
	DEFAULT(s->times.body_min_bytes, 16384);
	DEFAULT(s->times.idle_ms, 350000);
	DEFAULT(s->times.write_ms, 30000);
	DEFAULT(s->times.linger_ms, 2000);
	s->head_limits = (struct http_head_limits){s->limits.header_bytes, s->limits.headers_count};
}

/* --- threads --- */

void
http_count_refused(struct http_thread *t, enum http_refusal refusal)
{
	HTTP_COUNT(t, refused[refusal]);
}

const char *
http_thread_date(struct http_thread *t)
{
	time_t now = (time_t)(slk_wall_ns(t->server->clock) / SLK_NS_PER_S);
	struct tm tm;

	if (now != t->date_s && gmtime_r(&now, &tm) != NULL) {
		static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
		static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
			"Aug", "Sep", "Oct", "Nov", "Dec"};
		/* RFC 9110, 5.6.7, in English whatever the locale. */
		snprintf(t->date, sizeof(t->date), "%s, %02d %s %04d %02d:%02d:%02d GMT",
			days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
			tm.tm_hour, tm.tm_min, tm.tm_sec);
		t->date_s = now;
	}
	return t->date;
}

/* The last of a turn. */
static void
flush(void *arg)
{
	struct http_thread *t = arg;
	struct http_conn *c;
	size_t count = 0;

	/* Those that are touched meanwhile have their next turn: it comes at once. */
	TAILQ_FOREACH(c, &t->to_serve, service)
	count++;
	while (count-- > 0 && !TAILQ_EMPTY(&t->to_serve)) {
		c = TAILQ_FIRST(&t->to_serve);
		TAILQ_REMOVE(&t->to_serve, c, service);
		c->is_queued = false;
		http_conn_service(c);
	}
	while (!TAILQ_EMPTY(&t->dead)) {
		c = TAILQ_FIRST(&t->dead);
		TAILQ_REMOVE(&t->dead, c, entry);
		http_conn_free(c);
	}
	if (!TAILQ_EMPTY(&t->to_serve))
		http_loop_again(t->loop);
	__atomic_store_n(&t->counters.turns, http_loop_turns(t->loop), __ATOMIC_RELAXED);
	__atomic_store_n(&t->counters.buffer_bytes, http_pool_in_use(t->pool), __ATOMIC_RELAXED);
}

static void
close_port(struct http_port *port)
{
	if (port->watch.fd < 0)
		return;
	http_loop_unwatch(port->thread->loop, &port->watch);
	close(port->watch.fd);
	port->watch.fd = -1;
}

static void
drain_thread(struct http_thread *t)
{
	struct http_conn *c;

	t->is_draining = true;
	for (size_t i = 0; i < t->server->listeners_count; i++) {
		/* Monitoring goes on, and sees the end. */
		if (t->ports[i].listener->reserved)
			continue;
		/* What has been accepted by the kernel already is served once more. */
		if (t->ports[i].watch.fd >= 0)
			http_port_ready(&t->ports[i].watch, EPOLLIN);
		close_port(&t->ports[i]);
	}
	TAILQ_FOREACH(c, &t->conns, entry)
	{
		if (c->is_counted)
			http_conn_drain(c);
	}
	flush(t);
}

static void
stop_thread(struct http_thread *t)
{
	for (size_t i = 0; i < t->server->listeners_count; i++)
		close_port(&t->ports[i]);
	while (!TAILQ_EMPTY(&t->conns))
		http_conn_close(TAILQ_FIRST(&t->conns), HTTP_OUTCOME_STOPPED);
	if (t->server->handshakes != NULL)
		http_handshakes_leave(t->server->handshakes, t);
	flush(t);
	for (size_t i = t->server->listeners_count; i-- > 0;) {
		const struct http_port *port = &t->ports[i];
		if (port->handler_started && port->listener->handler->stop != NULL)
			port->listener->handler->stop(port->handler_thread);
	}
}

/* Listeners that share a handler and its argument share its context. */
static int
start_handler(struct http_thread *t, struct http_port *port, struct slk_error *err)
{
	const struct http_listener *l = port->listener;

	port->handler_thread = l->arg;
	for (struct http_port *p = t->ports; p < port; p++) {
		if (p->listener->handler == l->handler && p->listener->arg == l->arg &&
			(!p->listener->reserved || t->index == 0)) {
			port->handler_thread = p->handler_thread;
			return SLK_OK;
		}
	}
	if (l->handler->start != NULL) {
		int rc = l->handler->start(l->arg, t->loop, &port->handler_thread, err);
		if (rc != SLK_OK)
			return rc;
	}
	port->handler_started = true;
	return SLK_OK;
}

static int
start_ports(struct http_thread *t, struct slk_error *err)
{
	for (size_t i = 0; i < t->server->listeners_count; i++) {
		struct http_port *port = &t->ports[i];
		if (port->listener->reserved && t->index > 0)
			continue;
		int rc = start_handler(t, port, err);
		if (rc != SLK_OK)
			return rc;
		if (port->watch.fd < 0)
			continue;
		uint32_t events = EPOLLIN | (port->is_shared ? (uint32_t)EPOLLEXCLUSIVE : 0);
		if (http_loop_watch(t->loop, &port->watch, events) != SLK_OK)
			return slk_fail_errno(err, "cannot watch a listening socket");
	}
	return SLK_OK;
}

static void
report_start(struct http_thread *t, int status)
{
	struct http_server *s = t->server;

	pthread_mutex_lock(&s->lock);
	t->start_status = status;
	s->started_count++;
	if (status != SLK_OK)
		s->failed_count++;
	pthread_cond_broadcast(&s->changed);
	/* Nobody serves until all can. */
	while (s->started_count < s->threads_count && s->failed_count == 0)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

static void *
run(void *arg)
{
	struct http_thread *t = arg;
	struct http_server *s = t->server;
	char name[16];

	snprintf(name, sizeof(name), "%.10s-%u", s->thread_name, t->index % 1000u);
	(void)pthread_setname_np(pthread_self(), name);
	report_start(t, start_ports(t, &t->start_error));
	while (!atomic_load(&s->stops)) {
		if (atomic_load(&s->drains) && !t->is_draining)
			drain_thread(t);
		if (http_loop_turn(t->loop, -1) != SLK_OK)
			abort(); /* epoll itself is broken: a thread that does not serve must not stay unnoticed */
	}
	stop_thread(t);
	return NULL;
}

static int
make_thread(struct http_server *s, unsigned index, struct slk_error *err)
{
	struct http_thread *t = &s->threads[index];

	t->server = s;
	t->index = index;
	TAILQ_INIT(&t->conns);
	TAILQ_INIT(&t->dead);
	TAILQ_INIT(&t->to_serve);
	t->read_bytes = malloc(HTTP_READ_BYTES);
	t->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (t->read_bytes == NULL ||
		http_pool_new(s->limits.buffers_bytes, KEPT_MAX_BYTES, &t->pool) != SLK_OK)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a thread of the server");
	int rc = http_loop_new(index, s->clock, t->pool, &t->loop, err);
	if (rc != SLK_OK)
		return rc;
	http_loop_set_flush(t->loop, flush, t);
	for (unsigned i = 0; i < s->listeners_count; i++) {
		t->ports[i] =
			(struct http_port){.thread = t, .listener = &s->listeners[i], .index = i};
		t->ports[i].watch = (struct http_watch){
			.ready = http_port_ready, .arg = &t->ports[i], .fd = -1};
	}
	return SLK_OK;
}

static void
fini_thread(struct http_thread *t)
{
	for (size_t i = 0; t->loop != NULL && i < t->server->listeners_count; i++)
		close_port(&t->ports[i]);
	http_loop_free(t->loop);
	http_pool_free(t->pool);
	free(t->read_bytes);
	if (t->server != NULL && t->spare_fd >= 0)
		close(t->spare_fd);
}

/* --- the server --- */

static char *
copy(const char *text, int *rc)
{
	char *own = text != NULL ? strdup(text) : NULL;

	if (text != NULL && own == NULL)
		*rc = SLK_NO_MEMORY;
	return own;
}

static int
copy_config(struct http_server *s, const struct http_server_config *config, struct slk_error *err)
{
	int rc = SLK_OK;

	s->limits = config->limits;
	s->times = config->times;
	s->log = config->log;
	s->log_arg = config->log_arg;
	s->clock = config->clock != NULL ? config->clock : slk_clock_system();
	snprintf(s->thread_name, sizeof(s->thread_name), "%.10s",
		config->thread_name != NULL ? config->thread_name : "http");
	fill_in(s);
	s->listeners_count = config->listeners_count;
	for (size_t i = 0; i < s->listeners_count; i++) {
		s->listeners[i] = config->listeners[i];
		s->listeners[i].host = copy(config->listeners[i].host, &rc);
		s->listeners[i].path = copy(config->listeners[i].path, &rc);
	}
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	s->threads_count = config->threads != 0 ? config->threads : cores > 0 ? (unsigned)cores : 1;
	if (s->threads_count > HTTP_THREADS_MAX)
		s->threads_count = HTTP_THREADS_MAX;
	return rc == SLK_OK ? SLK_OK : slk_fail(err, rc, "no memory for the server");
}

static bool
needs_tls(const struct http_server *s)
{
	for (size_t i = 0; i < s->listeners_count; i++) {
		if (s->listeners[i].via == HTTP_VIA_TLS)
			return true;
	}
	return false;
}

static int
open_listener(struct http_server *s, unsigned i, struct slk_error *err)
{
	const struct http_listener *l = &s->listeners[i];
	int fds[HTTP_THREADS_MAX];
	unsigned count = l->reserved ? 1 : s->threads_count;
	int rc = http_listen_open(l, count, fds, &s->ports[i], err);

	if (rc != SLK_OK)
		return rc;
	bool is_shared = count > 1 && fds[1] < 0;
	for (unsigned t = 0; t < count; t++) {
		/* Each thread closes its own. */
		int fd = is_shared && t > 0 ? fcntl(fds[0], F_DUPFD_CLOEXEC, 3) : fds[t];
		if (fd < 0)
			rc = slk_fail_errno(err, "cannot share a listening socket");
		s->threads[t].ports[i].watch.fd = fd;
		s->threads[t].ports[i].is_shared = is_shared;
	}
	return rc;
}

static int
build(struct http_server *s, const struct http_server_config *config, struct slk_error *err)
{
	int rc = copy_config(s, config, err);

	if (rc == SLK_OK &&
		http_addresses_new(s->limits.address_connections_count, &s->addresses) != SLK_OK)
		rc = slk_fail(err, SLK_NO_MEMORY, "no memory for the server");
	if (rc == SLK_OK && needs_tls(s))
		rc = http_tls_new(&config->tls, &s->tls, err);
	if (rc != SLK_OK)
		return rc;
	s->threads = calloc(s->threads_count, sizeof(*s->threads));
	if (s->threads == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the server");
	for (unsigned i = 0; rc == SLK_OK && i < s->threads_count; i++)
		rc = make_thread(s, i, err);
	for (unsigned i = 0; rc == SLK_OK && i < s->listeners_count; i++)
		rc = open_listener(s, i, err);
	return rc;
}

int
http_server_new(const struct http_server_config *config, struct http_server **out_server,
	struct slk_error *err)
{
	if (config->listeners_count < 1 || config->listeners_count > HTTP_LISTENERS_MAX)
		return slk_fail(
			err, SLK_CONFIG, "a server needs 1 to %u listeners", HTTP_LISTENERS_MAX);
	struct http_server *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the server");
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	int rc = build(s, config, err);
	if (rc != SLK_OK) {
		http_server_free(s);
		return rc;
	}
	*out_server = s;
	return SLK_OK;
}

/* Signals are for the program's own thread; SIGPIPE, which libssl's writes may raise, for nobody. */
static int
spawn(struct http_thread *t)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(&t->id, NULL, run, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return slk_status_from_errno(rc);
	t->is_running = true;
	return SLK_OK;
}

static void
spawn_failed(struct http_server *s, unsigned missing)
{
	pthread_mutex_lock(&s->lock);
	s->started_count += missing;
	s->failed_count += missing;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* A key that a provider holds may be in an HSM. */
static int
start_handshakes(struct http_server *s, struct slk_error *err)
{
	if (s->tls == NULL || !http_tls_is_remote(s->tls))
		return SLK_OK;
	int rc = http_handshakes_new(&s->handshakes, err);
	for (unsigned i = 0; rc == SLK_OK && i < s->threads_count; i++)
		http_handshakes_join(s->handshakes, &s->threads[i]);
	return rc;
}

int
http_server_start(struct http_server *s, struct slk_error *err)
{
	int rc = start_handshakes(s, err);

	if (rc != SLK_OK)
		return rc;
	for (unsigned i = 0; rc == SLK_OK && i < s->threads_count; i++) {
		rc = spawn(&s->threads[i]);
		if (rc != SLK_OK) {
			slk_fail(err, rc, "cannot start a thread of the server");
			spawn_failed(s, s->threads_count - i);
		}
	}
	pthread_mutex_lock(&s->lock);
	while (s->started_count < s->threads_count)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; rc == SLK_OK && i < s->threads_count; i++) {
		rc = s->threads[i].start_status;
		if (rc != SLK_OK && err != NULL)
			*err = s->threads[i].start_error;
	}
	if (rc != SLK_OK)
		http_server_stop(s);
	return rc;
}

int
http_server_reload(struct http_server *s, struct slk_error *err)
{
	return s->tls != NULL ? http_tls_reload(s->tls, err) : SLK_OK;
}

static void
wake_all(struct http_server *s)
{
	for (unsigned i = 0; i < s->threads_count; i++) {
		if (s->threads[i].loop != NULL)
			http_loop_wake(s->threads[i].loop);
	}
}

void
http_server_drain(struct http_server *s)
{
	atomic_store(&s->drains, true);
	wake_all(s);
}

unsigned
http_server_connections(const struct http_server *s)
{
	return atomic_load(&s->connections);
}

int
http_server_wait(struct http_server *s, uint32_t wait_ms)
{
	const struct timespec pause = {.tv_nsec = 5 * (long)SLK_NS_PER_MS};
	uint64_t end_ns = slk_mono_ns(slk_clock_system()) + wait_ms * SLK_NS_PER_MS;

	while (http_server_connections(s) > 0) {
		if (slk_mono_ns(slk_clock_system()) >= end_ns)
			return SLK_TIMEOUT;
		nanosleep(&pause, NULL);
	}
	return SLK_OK;
}

void
http_server_stop(struct http_server *s)
{
	atomic_store(&s->stops, true);
	wake_all(s);
	for (unsigned i = 0; i < s->threads_count; i++) {
		if (s->threads[i].is_running)
			pthread_join(s->threads[i].id, NULL);
		s->threads[i].is_running = false;
	}
}

void
http_server_free(struct http_server *s)
{
	if (s == NULL)
		return;
	if (s->threads != NULL) {
		http_server_stop(s);
		http_handshakes_free(s->handshakes);
		for (unsigned i = 0; i < s->threads_count; i++)
			fini_thread(&s->threads[i]);
	}
	free(s->threads);
	for (size_t i = 0; i < s->listeners_count; i++) {
		free((char *)s->listeners[i].host);
		free((char *)s->listeners[i].path);
	}
	http_tls_free(s->tls);
	http_addresses_free(s->addresses);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

uint16_t
http_server_port(const struct http_server *s, size_t listener)
{
	return s->ports[listener];
}

void
http_server_counters(const struct http_server *s, struct http_counters *out_counters)
{
	uint64_t *sums = (uint64_t *)out_counters;

	memset(out_counters, 0, sizeof(*out_counters));
	for (unsigned t = 0; t < s->threads_count; t++) {
		const uint64_t *counts = (const uint64_t *)&s->threads[t].counters;
		for (size_t i = 0; i < sizeof(*out_counters) / sizeof(*sums); i++)
			sums[i] += __atomic_load_n(&counts[i], __ATOMIC_RELAXED);
	}
}

int
http_server_certificate_days(const struct http_server *s)
{
	return s->tls != NULL ? http_tls_days(s->tls) : INT32_MAX;
}
