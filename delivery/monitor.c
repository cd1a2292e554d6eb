#include "monitor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "monitor_text.h"

#define SEND_S 2

struct dlv_monitor {
	const struct dlv_config *config;
	const char *version;
	struct dlv_service *service;
	const struct dlv_pool *pool;
	struct slk_page pages[2];
	struct slk_pages *served; /* NULL: no monitor.listen */
	int status_fd, stop_fd;
	pthread_t pages_thread, status_thread;
	bool pages_run, status_runs;
	atomic_bool drains;
	uint64_t started_ns;
};

static struct dlv_sources
sources(const struct dlv_monitor *m)
{
	return (struct dlv_sources){.service = m->service,
		.pool = m->pool,
		.memory_max_bytes = (uint64_t)m->config->memory.max_mb << 20,
		.version = m->version,
		.uptime_ns = slk_mono_ns(slk_clock_system()) - m->started_ns};
}

/* --- /metrics, /healthz --- */

static int
metrics_page(void *arg, char **out_text, size_t *out_len)
{
	const struct dlv_sources s = sources(arg);

	return dlv_text_metrics(&s, out_text, out_len);
}

static int
health_page(void *arg, char **out_text, size_t *out_len)
{
	const struct dlv_monitor *m = arg;
	bool drains = atomic_load(&m->drains);
	char *text = strdup(drains ? "draining\n" : "ok\n");

	if (text == NULL)
		return SLK_NO_MEMORY;
	*out_len = strlen(text);
	*out_text = text;
	return drains ? SLK_UNAVAILABLE : SLK_OK;
}

/* --- the status socket --- */

static void
send_status(const struct dlv_monitor *m, int fd)
{
	const struct timeval limit = {.tv_sec = SEND_S};
	char *text = NULL;
	size_t len = 0, sent = 0;
	const struct dlv_sources s = sources(m);

	if (dlv_text_status(&s, &text, &len) != SLK_OK) {
		slk_warn("no status could be given", slk_kv("reason", "no memory"));
		return;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0) {
		while (sent < len) {
			ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);
			if (n <= 0)
				break; /* it went away, or takes too long */
			sent += (size_t)n;
		}
	}
	free(text);
}

static void *
run_status(void *arg)
{
	const struct dlv_monitor *m = arg;
	struct pollfd polled[2] = {
		{.fd = m->stop_fd, .events = POLLIN}, {.fd = m->status_fd, .events = POLLIN}};

	for (;;) {
		if (poll(polled, 2, -1) < 0)
			continue; /* interrupted */
		if (polled[0].revents != 0)
			return NULL;
		int fd = accept4(m->status_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		send_status(m, fd);
		close(fd);
	}
}

/* --- life --- */

static int
open_sockets(struct dlv_monitor *m, struct slk_error *err)
{
	const struct dlv_config *c = m->config;
	int rc = SLK_OK;

	m->pages[0] = (struct slk_page){"/metrics", metrics_page, m};
	m->pages[1] = (struct slk_page){"/healthz", health_page, m};
	if (c->monitor.listen != NULL) {
		rc = slk_pages_new(
			"sealock-deliverd", &c->monitor.address, m->pages, 2, &m->served, err);
		if (rc != SLK_OK)
			return slk_fail_prefix(err, "%s", c->monitor.listen);
	}
	if (c->status.socket != NULL)
		rc = slk_sock_listen_stream(
			c->status.socket, c->status.mode_bits, &m->status_fd, err);
	if (rc == SLK_OK && m->status_fd >= 0) {
		m->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (m->stop_fd < 0)
			rc = slk_fail_errno(err, "cannot make an eventfd");
	}
	return rc;
}

int
dlv_monitor_new(const struct dlv_config *config, const char *version,
	struct dlv_monitor **out_monitor, struct slk_error *err)
{
	struct dlv_monitor *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for status and metrics");
	m->config = config;
	m->version = version;
	m->status_fd = m->stop_fd = -1;
	m->started_ns = slk_mono_ns(slk_clock_system());
	int rc = open_sockets(m, err);
	if (rc != SLK_OK) {
		dlv_monitor_free(m);
		return rc;
	}
	*out_monitor = m;
	return SLK_OK;
}

static int
start_thread(
	pthread_t *thread, void *(*run)(void *), void *arg, bool *out_runs, struct slk_error *err)
{
	int code = pthread_create(thread, NULL, run, arg);

	if (code != 0)
		return slk_fail(err, SLK_SYSTEM, "cannot start a thread: %s", strerror(code));
	*out_runs = true;
	return SLK_OK;
}

int
dlv_monitor_start(struct dlv_monitor *m, struct dlv_service *service, const struct dlv_pool *pool,
	struct slk_error *err)
{
	int rc = SLK_OK;

	m->service = service;
	m->pool = pool;
	if (m->served != NULL)
		rc = start_thread(&m->pages_thread, slk_pages_run, m->served, &m->pages_run, err);
	if (rc == SLK_OK && m->status_fd >= 0)
		rc = start_thread(&m->status_thread, run_status, m, &m->status_runs, err);
	return rc;
}

void
dlv_monitor_drain(struct dlv_monitor *m)
{
	atomic_store(&m->drains, true);
}

void
dlv_monitor_free(struct dlv_monitor *m)
{
	if (m == NULL)
		return;
	if (m->pages_run) {
		slk_pages_stop(m->served);
		pthread_join(m->pages_thread, NULL);
	}
	if (m->status_runs) {
		(void)eventfd_write(m->stop_fd, 1); /* it is not full */
		pthread_join(m->status_thread, NULL);
	}
	slk_pages_free(m->served);
	if (m->status_fd >= 0) {
		close(m->status_fd);
		(void)unlink(m->config->status.socket);
	}
	if (m->stop_fd >= 0)
		close(m->stop_fd);
	free(m);
}
