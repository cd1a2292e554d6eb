/* sealock-gatewayd: start, watch, stop. What is served is the app's (app.h). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access_log.h"
#include "app.h"
#include "base/clock.h"
#include "base/daemon.h"
#include "base/log.h"
#include "base/process.h"
#include "base/secret.h"
#include "config.h"
#include "confine.h"
#include "http/tls.h"
#include "iterator_key.h"
#include "monitor.h"

#define KIB 1024u
#define MIB (1024u * 1024u)

struct gatewayd {
	const struct gw_config *config;
	struct gw_app *app;
	struct gw_access_log *access_log;
	struct http_server *server;
	struct gw_monitor monitor;
	sigset_t signals;
	unsigned threads;
};

/* --- start, step by step; each undone by stop_all() --- */

static bool
peers_are_known(const struct gw_config *c)
{
	bool known = false;

	for (uint32_t i = 0; i < c->listen_count; i++)
		known |= c->listen[i].peer_credentials == GW_ON;
	return known;
}

static int
open_app(struct gatewayd *g, struct slk_error *err)
{
	const struct gw_config *c = g->config;
	uint8_t iterator_key[GW_ITERATOR_KEY_BYTES];
	bool has_key = false;

	int rc = gw_iterator_key(c->iterator_key, c->tls.key, iterator_key, &has_key, err);
	if (rc != SLK_OK)
		return rc;
	if (!has_key)
		slk_info("shard iterators end with this process: the TLS key is no file, and there "
			 "is "
			 "no iterator_key");
	const struct gw_app_config config = {
		.region = c->region,
		.account = c->account,
		.kms_socket = c->kms.socket,
		.put_socket = c->ingest.port_socket,
		.status_socket = c->ingest.status_socket,
		.journal = c->journal.dir,
		.peer_credentials = peers_are_known(c),
		.provisioned = c->limits.provisioned == GW_ON,
		.iterator_key = has_key ? iterator_key : NULL,
		.threads = g->threads,
	};
	rc = gw_app_new(&config, &g->app, err);
	slk_wipe(iterator_key, sizeof(iterator_key));
	return rc;
}

static size_t
make_listeners(struct gatewayd *g, struct http_listener *out)
{
	const struct gw_config *c = g->config;
	size_t count = 0;

	for (uint32_t i = 0; i < c->listen_count; i++) {
		const struct gw_listen_config *l = &c->listen[i];
		bool is_unix = l->path != NULL;
		out[count++] = (struct http_listener){
			.via = is_unix             ? HTTP_VIA_UNIX
				: l->tls == GW_OFF ? HTTP_VIA_TCP
						   : HTTP_VIA_TLS,
			.host = l->host,
			.port = l->port,
			.path = l->path,
			.mode = l->mode_bits,
			.fd = -1,
			.handler = gw_app_handler(g->app),
			.arg = gw_app_handler_arg(g->app),
		};
	}
	if (c->monitor.listen != NULL)
		out[count++] = (struct http_listener){.via = HTTP_VIA_TCP,
			.host = c->monitor.host,
			.port = c->monitor.port,
			.fd = -1,
			.reserved = true,
			.handler = &gw_monitor_handler,
			.arg = &g->monitor};
	return count;
}

static int
open_server(struct gatewayd *g, struct slk_error *err)
{
	const struct gw_config *c = g->config;
	struct http_listener listeners[GW_LISTENERS_MAX + 1];
	const struct http_server_config config = {
		.threads = g->threads,
		.listeners = listeners,
		.listeners_count = make_listeners(g, listeners),
		.limits =
			{
				.header_bytes = c->limits.headers_kb * KIB,
				.connections_count = c->limits.connections,
				.address_connections_count = c->limits.connections_per_address,
				.streams_count = c->limits.streams,
				.buffers_bytes = (size_t)c->limits.buffers_mb * MIB,
				.requests_per_connection = c->limits.requests_per_connection,
			},
		.times =
			{
				.handshake_ms = c->times.handshake_ms,
				.header_ms = c->times.header_ms,
				.body_ms = c->times.body_ms,
				.idle_ms = c->times.idle_ms,
				.write_ms = c->times.write_ms,
			},
		.tls = {c->tls.certificate, c->tls.key, c->tls.min_version},
		.log = g->access_log != NULL ? gw_access_log_exchange : NULL,
		.log_arg = g->access_log,
	};
	return http_server_new(&config, &g->server, err);
}

static void
prepare_monitor(struct gatewayd *g)
{
	g->monitor.server = g->server;
	g->monitor.app = g->app;
	g->monitor.access_log = g->access_log;
	g->monitor.version = SLK_VERSION;
	g->monitor.started_ns = slk_mono_ns(slk_clock_system());
}

static int
start_all(struct gatewayd *g, struct slk_error *err)
{
	int rc = slk_process_harden(err);

	if (rc == SLK_OK)
		rc = slk_signals_block(&g->signals, err);
	if (rc == SLK_OK)
		rc = gw_confine_become(g->config, err);
	if (rc == SLK_OK && g->config->access_log != NULL)
		rc = gw_access_log_open(g->config->access_log, &g->access_log, err);
	if (rc == SLK_OK)
		rc = open_app(g, err);
	if (rc == SLK_OK)
		rc = open_server(g, err);
	if (rc == SLK_OK)
		rc = gw_confine(g->config, err);
	if (rc == SLK_OK && g->access_log != NULL)
		rc = gw_access_log_start(g->access_log, err);
	if (rc != SLK_OK)
		return rc;
	prepare_monitor(g);
	return http_server_start(g->server, err);
}

static void
say_what_runs(const struct gatewayd *g)
{
	for (uint32_t i = 0; i < g->config->listen_count; i++) {
		const struct gw_listen_config *l = &g->config->listen[i];
		slk_info("listening",
			slk_kv("at", (const char *)(l->path != NULL ? l->path : l->address)),
			slk_kv("port", http_server_port(g->server, i)),
			slk_kv("tls", l->path == NULL && l->tls != GW_OFF));
	}
	if (g->config->monitor.listen != NULL)
		slk_info("listening", slk_kv("at", (const char *)g->config->monitor.listen),
			slk_kv("port", http_server_port(g->server, g->config->listen_count)),
			slk_kv("for", "/metrics, /healthz"));
	slk_info("sealock-gatewayd runs", slk_kv("threads", g->threads),
		slk_kv("region", (const char *)g->config->region));
}

/* --- watch --- */

/* SIGHUP: certificate, key and the access log's file again. What is wrong is said, and changes nothing. */
static void
reload(struct gatewayd *g)
{
	struct slk_error err = {0};

	if (http_server_reload(g->server, &err) != SLK_OK)
		slk_error_log("the certificate is not reloaded",
			slk_kv("reason", (const char *)err.text));
	else
		slk_info("the certificate is reloaded",
			slk_kv("days", http_server_certificate_days(g->server)));
	if (g->access_log != NULL && gw_access_log_reopen(g->access_log, &err) != SLK_OK)
		slk_error_log("the access log is not opened again",
			slk_kv("reason", (const char *)err.text));
}

static void
watch(struct gatewayd *g)
{
	for (;;) {
		int number = sigwaitinfo(&g->signals, NULL);
		if (number == SIGHUP)
			reload(g);
		if (number == SIGTERM || number == SIGINT) {
			slk_info("stopping: no new connections, requests in progress end",
				slk_kv("signal", number),
				slk_kv("connections", http_server_connections(g->server)));
			return;
		}
	}
}

/* --- stop --- */

/* A second signal ends the wait. */
static void
drain(struct gatewayd *g)
{
	const struct timespec none = {0, 0};
	uint32_t left = g->config->times.drain_seconds * 10;
	int number = 0;

	__atomic_store_n(&g->monitor.is_draining, true, __ATOMIC_RELAXED);
	http_server_drain(g->server);
	while (left-- > 0 && http_server_wait(g->server, 100) == SLK_TIMEOUT) {
		number = sigtimedwait(&g->signals, NULL, &none);
		if (number == SIGTERM || number == SIGINT)
			break;
	}
	unsigned cut = http_server_connections(g->server);
	if (cut > 0)
		slk_warn("connections were cut off", slk_kv("connections", cut));
}

static void
stop_all(struct gatewayd *g)
{
	if (g->server != NULL)
		http_server_stop(g->server);
	http_server_free(g->server);
	gw_app_free(g->app);
	gw_access_log_close(g->access_log);
}

static int
run(const struct gw_config *config)
{
	static struct gatewayd g;
	struct slk_error err = {0};
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	g.config = config;
	g.threads = config->threads != 0 ? config->threads : cores > 0 ? (unsigned)cores : 1;
	g.threads = g.threads < 64 ? g.threads : 64;
	int rc = start_all(&g, &err);
	if (rc == SLK_OK) {
		say_what_runs(&g);
		watch(&g);
		drain(&g);
	} else {
		slk_error_log(err.text, slk_kv("status", slk_status_name(rc)));
	}
	stop_all(&g);
	if (rc == SLK_OK)
		slk_info("stopped");
	return rc == SLK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The file is sound; certificate and key, where there are any, fit together. */
static int
check(const char *path, const struct gw_config *c)
{
	struct slk_error err = {0};
	struct http_tls *tls = NULL;
	const struct http_tls_config config = {c->tls.certificate, c->tls.key, c->tls.min_version};
	int rc = c->tls.certificate != NULL ? http_tls_new(&config, &tls, &err) : SLK_OK;

	http_tls_free(tls);
	if (rc != SLK_OK) {
		slk_error_log(err.text);
		return EXIT_FAILURE;
	}
	printf("%s is valid\n", path);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	static const struct slk_daemon daemon = {"sealock-gatewayd", "/etc/sealock/gatewayd.yaml",
		"Check the configuration, certificate and key, and end",
		"Serve Kinesis, Firehose, KMS and STS to AWS SDKs over HTTPS.\v"
		"On SIGHUP it loads certificate and key again and opens a new access log; on "
		"SIGTERM it lets requests in progress end, for times.drain_seconds at most, and a "
		"second one ends it at once. The annotated configuration is "
		"deploy/gatewayd.yaml.example; `sealock configure aws` prints a profile for "
		"clients."};
	struct slk_daemon_args args;
	struct gw_config *config = NULL;
	struct slk_error err;

	slk_daemon_begin(&daemon, argc, argv, &args);
	if (gw_config_load(args.config, &config, &err) != SLK_OK) {
		slk_error_log(err.text);
		return EXIT_FAILURE;
	}
	slk_daemon_log(&daemon, config->log);
	int rc = args.check ? check(args.config, config) : run(config);
	gw_config_free(config);
	return rc;
}
