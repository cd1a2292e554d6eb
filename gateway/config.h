/* gatewayd.yaml (deploy/gatewayd.yaml.example is the manual of its keys). Thread: start-up. */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

#define GW_LISTENERS_MAX 8u
#define GW_HOST_MAX 64u

struct gw_listen_config {
	char *address; /* "192.0.2.1:443", "[::]:443", "*:443"; NULL: a unix socket */
	char *path; /* of it */
	char *mode; /* "0660" */
	int tls; /* GW_ON unless it says off */
	int peer_credentials; /* GW_ON: of a unix socket; callers need not sign, their uid says who they are */
	int insecure; /* plain HTTP beyond this host, on purpose */
	/* Taken apart by gw_config_load(). */
	char host[GW_HOST_MAX];
	uint16_t port;
	unsigned mode_bits;
};

struct gw_tls_config {
	char *certificate, *key, *min_version;
};

struct gw_limits_config {
	uint32_t connections, connections_per_address, streams, headers_kb, buffers_mb,
		requests_per_connection;
	int provisioned; /* GW_ON: shards have Kinesis' limits */
};

struct gw_times_config {
	uint32_t handshake_ms, header_ms, body_ms, idle_ms, write_ms, drain_seconds;
};

struct gw_config {
	struct gw_listen_config *listen;
	uint32_t listen_count;
	struct gw_tls_config tls;
	struct {
		char *listen; /* "127.0.0.1:9465"; NULL: no /metrics and no /healthz */
		char host[GW_HOST_MAX];
		uint16_t port;
	} monitor;
	char *user, *region, *account, *access_log, *log, *iterator_key;
	uint32_t threads;
	struct {
		char *socket;
	} kms;
	struct {
		char *port_socket, *status_socket;
	} ingest;
	struct {
		char *dir;
	} journal;
	struct gw_limits_config limits;
	struct gw_times_config times;
};

enum { GW_UNSET, GW_ON, GW_OFF };

/* SLK_CONFIG with file, line and what was expected; SLK_NOT_FOUND, SLK_DENIED. Free with gw_config_free(). */
MUST_USE int gw_config_load(const char *path, struct gw_config **out_config, struct slk_error *err);
void gw_config_free(struct gw_config *config); /* NULL allowed */

#endif
