/* The seam between sealock-gatewayd's frame (main.c: configuration, privileges, server, metrics, access log) and what it serves
 * (aws/: the protocols). The frame makes one app, gives its handler to the API's listeners and frees it last.
 *
 * Access log: the app notes on each exchange (http_exchange_note()) what it knows, by these names: "request_id", "service",
 * "operation", "principal", "key_id" (the access key's id), "error" (the AWS code). Never a secret or a signature.
 */
#ifndef GATEWAY_APP_H
#define GATEWAY_APP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/status.h"
#include "http/http.h"

struct gw_app;

/* What the configuration says that the app needs; borrowed until gw_app_free(). */
struct gw_app_config {
	const char *region, *account; /* "local", "000000000000" */
	const char *kms_socket; /* kmsd's RPC */
	const char *put_socket; /* ingestd's local port; NULL: no Kinesis */
	const char *status_socket; /* ingestd's status socket; NULL: not asked */
	const char *journal; /* directory, for readers; NULL: no Kinesis reads */
	bool peer_credentials; /* who comes by a unix socket without a signature is whom kmsd knows by its uid */
	bool provisioned; /* shards of provisioned streams have Kinesis' limits */
	const uint8_t *
		iterator_key; /* 32 bytes that shard iterators are sealed with, copied; NULL: they end with the process */
	unsigned threads; /* of the server */
};

/* Everything that has to be opened before the sandbox closes is opened here. A peer that is down is no error: it is
 * tried again, and requests that need it are answered with a retryable error. */
MUST_USE int gw_app_new(
	const struct gw_app_config *config, struct gw_app **out_app, struct slk_error *err);
void gw_app_free(struct gw_app *app); /* the server has ended; NULL allowed */

const struct http_handler *gw_app_handler(const struct gw_app *app);
void *gw_app_handler_arg(struct gw_app *app);

/* Append families in Prometheus' text format, names from sealock_gatewayd_ on. Thread: any, while handlers run. */
void gw_app_metrics(struct gw_app *app, FILE *out);

#endif
