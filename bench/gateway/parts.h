/* The parts of bench gateway. Internal to it. */
#ifndef BENCH_GATEWAY_PARTS_H
#define BENCH_GATEWAY_PARTS_H

#include "gateway/client.h"
#include "gateway/server.h"
#include "gateway/site.h"
#include "harness/bench.h"

bool gwb_wanted(const char *part);

/* http.c: the server alone. */
MUST_USE int gwb_idle_measure(struct bench *b, const struct gwb_server *s, SSL_CTX *ctx);
MUST_USE int gwb_http_measure(struct bench *b, const struct gwb_server *s, SSL_CTX *ctx,
	size_t body_len, const char *label);

/* Until a record can be put: ingestd may come up after the gateway. */
MUST_USE int gwb_wait_ready(struct gwb_site *site, SSL_CTX *ctx, struct slk_error *err);

/* calls.c, sealing.c: all of it, by calls of AWS. */
MUST_USE int gwb_puts_measure(
	struct bench *b, struct gwb_site *site, SSL_CTX *ctx, struct slk_error *err);
MUST_USE int gwb_data_keys_measure(
	struct bench *b, struct gwb_site *site, SSL_CTX *ctx, struct slk_error *err);
MUST_USE int gwb_sealing_measure(
	struct bench *b, struct gwb_site *site, SSL_CTX *ctx, struct slk_error *err);

/* Signed requests that are sent in turn, each answer checked. */
#define GWB_SET_MAX 256u
struct gwb_set {
	struct gwb_request requests[GWB_SET_MAX];
	unsigned count, next;
	/* 0: connections take requests in turn. Else each of as many connections goes through a part of its own, over and over. */
	unsigned walkers, places[GWB_CONNECTIONS_MAX];
	const char *expect; /* what an answer's body has to contain */
};
void gwb_set_free(struct gwb_set *set);
/* count PutRecords of records each (0: PutRecord) to a stream. */
MUST_USE int gwb_set_puts(struct gwb_set *set, const struct gwb_signer *signer, const char *stream,
	unsigned count, unsigned records, size_t data_len);
/* Run it: calls in all. *out_ns: how long that took. */
MUST_USE int gwb_set_run(struct gwb_set *set, struct gwb_load *load, uint64_t calls,
	struct slk_hist *latency, uint64_t *out_ns, struct slk_error *err);

double gwb_median(double *values, unsigned count); /* sorts */

#endif
