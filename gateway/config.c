#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OPT CYAML_FLAG_OPTIONAL
#define OPT_STRING(key, type, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | OPT, type, member, 1, 512)
#define OPT_UINT(key, type, member) CYAML_FIELD_UINT(key, OPT, type, member)
#define SWITCH(key, type, member) \
	CYAML_FIELD_ENUM( \
		key, CYAML_FLAG_STRICT | OPT, type, member, switch_names, COUNT(switch_names))

/* libcyaml's own booleans take any word; these do not. */
static const cyaml_strval_t switch_names[] = {
	{"true", GW_ON}, {"on", GW_ON}, {"false", GW_OFF}, {"off", GW_OFF}};

static const cyaml_schema_field_t listen_fields[] = {
	OPT_STRING("address", struct gw_listen_config, address),
	OPT_STRING("unix", struct gw_listen_config, path),
	OPT_STRING("mode", struct gw_listen_config, mode),
	SWITCH("tls", struct gw_listen_config, tls),
	SWITCH("insecure", struct gw_listen_config, insecure),
	SWITCH("peer_credentials", struct gw_listen_config, peer_credentials),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t listen_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct gw_listen_config, listen_fields)};

static const cyaml_schema_field_t tls_fields[] = {
	OPT_STRING("certificate", struct gw_tls_config, certificate),
	OPT_STRING("key", struct gw_tls_config, key),
	OPT_STRING("min_version", struct gw_tls_config, min_version),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t limits_fields[] = {
	OPT_UINT("connections", struct gw_limits_config, connections),
	OPT_UINT("connections_per_address", struct gw_limits_config, connections_per_address),
	OPT_UINT("streams", struct gw_limits_config, streams),
	OPT_UINT("headers_kb", struct gw_limits_config, headers_kb),
	OPT_UINT("buffers_mb", struct gw_limits_config, buffers_mb),
	OPT_UINT("requests_per_connection", struct gw_limits_config, requests_per_connection),
	SWITCH("provisioned", struct gw_limits_config, provisioned),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t times_fields[] = {
	OPT_UINT("handshake_ms", struct gw_times_config, handshake_ms),
	OPT_UINT("header_ms", struct gw_times_config, header_ms),
	OPT_UINT("body_ms", struct gw_times_config, body_ms),
	OPT_UINT("idle_ms", struct gw_times_config, idle_ms),
	OPT_UINT("write_ms", struct gw_times_config, write_ms),
	OPT_UINT("drain_seconds", struct gw_times_config, drain_seconds),
	CYAML_FIELD_END,
};

/* Groups of one or two strings, which need no type of their own in the header. */
#define GROUP(name) __typeof__(((struct gw_config *)NULL)->name)
static const cyaml_schema_field_t monitor_fields[] = {
	OPT_STRING("listen", GROUP(monitor), listen), CYAML_FIELD_END};
static const cyaml_schema_field_t kms_fields[] = {
	OPT_STRING("socket", GROUP(kms), socket), CYAML_FIELD_END};
static const cyaml_schema_field_t ingest_fields[] = {
	OPT_STRING("port_socket", GROUP(ingest), port_socket),
	OPT_STRING("status_socket", GROUP(ingest), status_socket), CYAML_FIELD_END};
static const cyaml_schema_field_t journal_fields[] = {
	OPT_STRING("dir", GROUP(journal), dir), CYAML_FIELD_END};

static const cyaml_schema_field_t config_fields[] = {
	CYAML_FIELD_SEQUENCE("listen", CYAML_FLAG_POINTER, struct gw_config, listen, &listen_value,
		1, GW_LISTENERS_MAX),
	CYAML_FIELD_MAPPING("tls", OPT, struct gw_config, tls, tls_fields),
	CYAML_FIELD_MAPPING("monitor", OPT, struct gw_config, monitor, monitor_fields),
	OPT_STRING("user", struct gw_config, user),
	OPT_STRING("region", struct gw_config, region),
	OPT_STRING("account", struct gw_config, account),
	OPT_STRING("access_log", struct gw_config, access_log),
	OPT_STRING("iterator_key", struct gw_config, iterator_key),
	OPT_STRING("log", struct gw_config, log),
	OPT_UINT("threads", struct gw_config, threads),
	CYAML_FIELD_MAPPING("kms", OPT, struct gw_config, kms, kms_fields),
	CYAML_FIELD_MAPPING("ingest", OPT, struct gw_config, ingest, ingest_fields),
	CYAML_FIELD_MAPPING("journal", OPT, struct gw_config, journal, journal_fields),
	CYAML_FIELD_MAPPING("limits", OPT, struct gw_config, limits, limits_fields),
	CYAML_FIELD_MAPPING("times", OPT, struct gw_config, times, times_fields),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct gw_config, config_fields)};

/* --- addresses --- */

/* "HOST:PORT"; HOST: an address, "[IPv6]" or "*" (all, host is then ""). */
static int
split_address(const char *text, char host[GW_HOST_MAX], uint16_t *out_port, struct slk_error *err)
{
	const char *colon = strrchr(text, ':');
	struct in_addr v4;
	struct in6_addr v6;

	if (colon == NULL)
		return slk_fail(err, SLK_CONFIG,
			"\"%s\" is no address: 192.0.2.1:443, [::1]:443, *:443", text);
	char *end = NULL;
	unsigned long port = strtoul(colon + 1, &end, 10);
	size_t len = (size_t)(colon - text);
	if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port > 65535)
		return slk_fail(err, SLK_CONFIG, "\"%s\" has no port of 0 to 65535", text);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= GW_HOST_MAX)
		return slk_fail(err, SLK_CONFIG, "\"%s\" is no address", text);
	memcpy(host, text, len);
	host[len] = '\0';
	if (strcmp(host, "*") == 0)
		host[0] = '\0';
	else if (inet_pton(AF_INET, host, &v4) != 1 && inet_pton(AF_INET6, host, &v6) != 1)
		return slk_fail(err, SLK_CONFIG,
			"\"%s\" is no address (names are not looked up): 192.0.2.1:443, [::1]:443, "
			"*:443",
			host);
	*out_port = (uint16_t)port;
	return SLK_OK;
}

static bool
is_this_host(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

/* --- checks --- */

static int
check_mode(struct gw_listen_config *l, struct slk_error *err)
{
	const char *text = l->mode != NULL ? l->mode : "0660";
	char *end = NULL;
	unsigned long mode = strtoul(text, &end, 8);

	if (*end != '\0' || mode == 0 || mode > 0777)
		return slk_fail(err, SLK_CONFIG,
			"listen.mode \"%s\" is none; it is octal, such as \"0660\"", text);
	l->mode_bits = (unsigned)mode;
	return SLK_OK;
}

static int
check_listener(const struct gw_config *c, struct gw_listen_config *l, struct slk_error *err)
{
	if ((l->address == NULL) == (l->path == NULL))
		return slk_fail(err, SLK_CONFIG, "each entry of listen has either address or unix");
	if (l->path != NULL) {
		if (l->tls != GW_UNSET || l->insecure != GW_UNSET)
			return slk_fail(err, SLK_CONFIG,
				"listen %s: a unix socket has no tls and is not insecure", l->path);
		return check_mode(l, err);
	}
	if (l->peer_credentials != GW_UNSET)
		return slk_fail(err, SLK_CONFIG, "listen %s: peer_credentials are of unix sockets",
			l->address);
	if (l->mode != NULL)
		return slk_fail(err, SLK_CONFIG, "listen %s: mode is of unix sockets", l->address);
	int rc = split_address(l->address, l->host, &l->port, err);
	if (rc != SLK_OK)
		return slk_fail_prefix(err, "listen");
	if (l->tls == GW_OFF && !is_this_host(l->host) && l->insecure != GW_ON)
		return slk_fail(err, SLK_CONFIG,
			"listen %s: without TLS records and keys go in the clear; only addresses "
			"of this "
			"host may do that, or insecure: true",
			l->address);
	if (l->tls != GW_OFF && (c->tls.certificate == NULL || c->tls.key == NULL))
		return slk_fail(err, SLK_CONFIG, "listen %s: TLS needs tls.certificate and tls.key",
			l->address);
	return SLK_OK;
}

static int
check_ranges(const struct gw_config *c, struct slk_error *err)
{
	const struct slk_config_range ranges[] = {
		{"threads", c->threads, 1, 64},
		{"limits.connections", c->limits.connections, 1, 1000000},
		{"limits.connections_per_address", c->limits.connections_per_address, 1, 1000000},
		{"limits.streams", c->limits.streams, 1, 1000},
		{"limits.headers_kb", c->limits.headers_kb, 16, 1024},
		{"limits.buffers_mb", c->limits.buffers_mb, 32, 65536},
		{"times.handshake_ms", c->times.handshake_ms, 100, 600000},
		{"times.header_ms", c->times.header_ms, 100, 600000},
		{"times.body_ms", c->times.body_ms, 100, 600000},
		{"times.idle_ms", c->times.idle_ms, 100, 3600000},
		{"times.write_ms", c->times.write_ms, 100, 600000},
		{"times.drain_seconds", c->times.drain_seconds, 1, 3600},
	};

	return slk_config_check_ranges(ranges, COUNT(ranges), err);
}

static int
check_peers(const struct gw_config *c, struct slk_error *err)
{
	unsigned on = 0, off = 0;

	for (uint32_t i = 0; i < c->listen_count; i++) {
		on += c->listen[i].path != NULL && c->listen[i].peer_credentials == GW_ON;
		off += c->listen[i].path != NULL && c->listen[i].peer_credentials != GW_ON;
	}
	return on == 0 || off == 0
		? SLK_OK
		: slk_fail(err, SLK_CONFIG,
			  "listen: peer_credentials is the same for all unix sockets");
}

static int
check(struct gw_config *c, struct slk_error *err)
{
	int rc = slk_config_check_words(c->region, c->account, c->log, err);

	if (rc == SLK_OK)
		rc = check_ranges(c, err);
	for (uint32_t i = 0; rc == SLK_OK && i < c->listen_count; i++)
		rc = check_listener(c, &c->listen[i], err);
	if (rc == SLK_OK)
		rc = check_peers(c, err);
	if (rc != SLK_OK || c->monitor.listen == NULL)
		return rc;
	rc = split_address(c->monitor.listen, c->monitor.host, &c->monitor.port, err);
	return rc == SLK_OK ? SLK_OK : slk_fail_prefix(err, "monitor.listen");
}

static int
fill_in(struct gw_config *c, struct slk_error *err)
{
	if (slk_config_default_text(&c->region, "local") != SLK_OK ||
		slk_config_default_text(&c->account, "000000000000") != SLK_OK ||
		slk_config_default_text(&c->log, "info") != SLK_OK ||
		slk_config_default_text(&c->kms.socket, "/run/sealock/kms/kms.sock") != SLK_OK)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the configuration");
	slk_config_default_number(&c->times.drain_seconds, 20);
	return SLK_OK;
}

int
gw_config_load(const char *path, struct gw_config **out_config, struct slk_error *err)
{
	void *data = NULL;
	int rc = slk_config_load(path, &config_schema, &data, err);

	if (rc != SLK_OK)
		return rc;
	struct gw_config *c = data;
	rc = fill_in(c, err);
	if (rc == SLK_OK)
		rc = check(c, err);
	if (rc != SLK_OK) {
		slk_fail_prefix(err, "%s", path);
		gw_config_free(c);
		return rc;
	}
	*out_config = c;
	return SLK_OK;
}

void
gw_config_free(struct gw_config *config)
{
	if (config != NULL)
		slk_config_free(&config_schema, config);
}
