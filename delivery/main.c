/* sealock-deliverd: start, watch, stop. What runs where is in delivery/README.md. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/daemon.h"
#include "base/log.h"
#include "base/process.h"
#include "base/secret.h"
#include "config.h"
#include "confine.h"
#include "loop.h"
#include "monitor.h"
#include "role.h"
#include "service.h"
#include "web.h"

struct deliverd {
	const struct dlv_config *config;
	sigset_t signals;
	struct dlv_pool *pool;
	struct dlv_loop *loop;
	struct dlv_web *web;
	struct dlv_clients *clients;
	struct dlv_service *service;
	struct dlv_monitor *monitor;
	pthread_t main_thread, loop_thread;
	bool loop_runs;
	int loop_result;
	struct slk_error loop_error;
	struct dlv_task start_task, stop_task;
};

/* --- start, step by step; each undone by stop_all() --- */

static int
check_dirs(const struct dlv_config *c, struct slk_error *err)
{
	/* Several, with colons between: the readers say which cannot be read. */
	if (strchr(c->journal.dir, ':') == NULL && access(c->journal.dir, R_OK | X_OK) != 0)
		return slk_fail_errno(err, "cannot read the journal %s", c->journal.dir);
	if (access(c->state.dir, R_OK | W_OK | X_OK) != 0)
		return slk_fail_errno(err, "cannot write to state.dir %s", c->state.dir);
	return SLK_OK;
}

static int
make_service(struct deliverd *d, struct slk_error *err)
{
	const struct dlv_config *c = d->config;
	int rc =
		dlv_pool_new((uint64_t)c->memory.max_mb << 20, !c->memory.allow_unlocked, &d->pool);

	if (rc != SLK_OK)
		return slk_fail(err, rc, "no memory for the pool of batches");
	rc = dlv_loop_new(c->threads, NULL, &d->loop, err);
	if (rc == SLK_OK)
		rc = dlv_web_new(d->loop, &d->web, err);
	if (rc != SLK_OK)
		return rc;
	if (dlv_clients_new(c->kms.socket, &d->clients) != SLK_OK)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for clients of kmsd");
	const struct dlv_service_config config = {.config = c,
		.loop = d->loop,
		.pool = d->pool,
		.clients = d->clients,
		.clock = slk_clock_system()};
	return dlv_service_new(&config, &d->service, err);
}

static void
begin(void *arg)
{
	struct deliverd *d = arg;

	dlv_service_start(d->service);
}

static void *
run_loop(void *arg)
{
	struct deliverd *d = arg;

	d->loop_result = dlv_loop_run(d->loop, &d->loop_error);
	if (d->loop_result != SLK_OK) {
		slk_error_log(d->loop_error.text);
		(void)pthread_kill(d->main_thread, SIGTERM); /* it waits for it */
	}
	return NULL;
}

static int
start_threads(struct deliverd *d, struct slk_error *err)
{
	int rc = dlv_monitor_start(d->monitor, d->service, d->pool, err);

	if (rc != SLK_OK)
		return rc;
	d->start_task = (struct dlv_task){.fn = begin, .arg = d};
	dlv_loop_post(d->loop, &d->start_task);
	int code = pthread_create(&d->loop_thread, NULL, run_loop, d);
	if (code != 0)
		return slk_fail(err, SLK_SYSTEM, "cannot start a thread: %s", strerror(code));
	d->loop_runs = true;
	return SLK_OK;
}

/* Sockets are opened before the process is confined, threads are made after it. */
static int
start_all(struct deliverd *d, struct slk_error *err)
{
	int rc = slk_process_harden(err);

	if (rc == SLK_OK)
		rc = slk_signals_block(&d->signals, err);
	if (rc == SLK_OK)
		rc = dlv_confine_become(d->config, err);
	if (rc == SLK_OK)
		rc = check_dirs(d->config, err);
	if (rc == SLK_OK)
		rc = dlv_monitor_new(d->config, SLK_VERSION, &d->monitor, err);
	if (rc == SLK_OK)
		rc = dlv_confine(d->config, err);
	if (rc == SLK_OK)
		rc = make_service(d, err);
	if (rc == SLK_OK)
		rc = start_threads(d, err);
	return rc;
}

/* --- watch --- */

static void
watch(struct deliverd *d)
{
	for (;;) {
		int number = sigwaitinfo(&d->signals, NULL);
		if (number != SIGTERM && number != SIGINT)
			continue;
		slk_info("stopping: what is being sent may end", slk_kv("signal", number),
			slk_kv("seconds", d->config->times.drain_seconds));
		return;
	}
}

/* --- stop --- */

static void
flows_stopped(void *arg)
{
	struct deliverd *d = arg;

	dlv_loop_stop(d->loop);
}

static void
end(void *arg)
{
	struct deliverd *d = arg;

	dlv_service_stop(d->service, flows_stopped, d);
}

static void
stop_all(struct deliverd *d)
{
	if (d->monitor != NULL)
		dlv_monitor_drain(d->monitor);
	if (d->loop_runs) {
		d->stop_task = (struct dlv_task){.fn = end, .arg = d};
		dlv_loop_post(d->loop, &d->stop_task);
		pthread_join(d->loop_thread, NULL);
	}
	dlv_monitor_free(d->monitor);
	dlv_service_free(d->service);
	dlv_clients_free(d->clients);
	dlv_web_free(d->web);
	dlv_loop_free(d->loop);
	dlv_pool_free(d->pool);
}

static int
run(const struct dlv_config *config)
{
	static struct deliverd d;
	struct slk_error err = {0};

	d.config = config;
	d.main_thread = pthread_self();
	int rc = start_all(&d, &err);
	if (rc == SLK_OK) {
		slk_info("sealock-deliverd runs", slk_kv("threads", config->threads),
			slk_kv("memory_mb", config->memory.max_mb));
		watch(&d);
	} else {
		slk_error_log(err.text, slk_kv("status", slk_status_name(rc)));
	}
	stop_all(&d);
	if (rc == SLK_OK)
		rc = d.loop_result;
	if (rc == SLK_OK)
		slk_info("stopped");
	return rc == SLK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	static const struct slk_daemon daemon = {"sealock-deliverd", "/etc/sealock/deliverd.yaml",
		"Check the configuration and end",
		"Deliver records of streams in batches: to directories, S3 stores, databases, "
		"search clusters and HTTP endpoints.\v"
		"Delivery streams are made by `aws firehose` or `sealock delivery create`. On "
		"SIGTERM what is being sent may end, for times.drain_seconds at most. The "
		"annotated configuration is deploy/deliverd.yaml.example."};
	struct slk_daemon_args args;
	struct dlv_config *config = NULL;
	struct slk_error err;

	slk_daemon_begin(&daemon, argc, argv, &args);
	if (dlv_config_load(args.config, &config, &err) != SLK_OK) {
		slk_error_log(err.text);
		return EXIT_FAILURE;
	}
	slk_daemon_log(&daemon, config->log);
	int rc = EXIT_SUCCESS;
	if (args.check)
		printf("%s is valid\n", args.config);
	else
		rc = run(config);
	dlv_config_free(config);
	return rc;
}
