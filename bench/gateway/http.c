/* The server alone, without what it serves. */
#include <stdlib.h>
#include <unistd.h>

#include "gateway/parts.h"

#define ROUNDS 7u
#define CLIENTS 16u
#define H2_STREAMS 10u
#define IDLE_COUNT 10000u
#define IDLE_QUICK_COUNT 200u
#define IDLE_SECONDS 2 /* after one, pages are given back */
#define IDLE_GOAL_MB 200.0
#define MB 1e6

struct way {
	const char *name;
	bool is_tls, is_h2;
	struct gwb_client clients[CLIENTS];
	double ns[ROUNDS]; /* the server's, per request */
};

static int
open_all(struct way *w, const struct gwb_server *s, SSL_CTX *ctx, size_t body_len)
{
	int rc = SLK_OK;

	for (unsigned i = 0; rc == SLK_OK && i < CLIENTS; i++)
		rc = gwb_client_open(&w->clients[i], w->is_tls ? s->tls_port : s->tcp_port,
			w->is_tls ? ctx : NULL, w->is_h2, body_len);
	return rc;
}

/* All clients ask, then all listen. */
static int
ask_all(struct way *w, uint64_t turns)
{
	unsigned at_once = w->is_h2 ? H2_STREAMS : 1;
	int rc = SLK_OK;

	for (uint64_t t = 0; rc == SLK_OK && t < turns; t++) {
		for (unsigned i = 0; rc == SLK_OK && i < CLIENTS; i++)
			rc = gwb_client_send(&w->clients[i], at_once);
		for (unsigned i = 0; rc == SLK_OK && i < CLIENTS; i++)
			rc = gwb_client_receive(&w->clients[i], at_once);
	}
	return rc;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
tell(struct bench *b, const struct bench_shape *shape, struct way *w, unsigned rounds)
{
	qsort(w->ns, rounds, sizeof(w->ns[0]), by_size);
	const struct bench_stats stats = {.best = w->ns[0],
		.q1 = w->ns[rounds / 4],
		.median = w->ns[rounds / 2],
		.q3 = w->ns[rounds * 3 / 4],
		.p99 = w->ns[rounds - 1],
		.p999 = w->ns[rounds - 1],
		.max = w->ns[rounds - 1],
		.best_cycles = w->ns[0] * bench_ticks_per_ns(b),
		.rounds = rounds};

	bench_figure(b, shape, w->name, &stats);
}

int
gwb_http_measure(struct bench *b, const struct gwb_server *s, SSL_CTX *ctx, size_t body_len,
	const char *label)
{
	static struct way ways[] = {{"HTTP/1.1, TCP", false, false, {{0}}, {0}},
		{"HTTP/1.1, TLS", true, false, {{0}}, {0}},
		{"HTTP/2, TLS", true, true, {{0}}, {0}}};
	const unsigned count = sizeof(ways) / sizeof(ways[0]);
	unsigned rounds = bench_quick(b) ? 3 : ROUNDS;
	uint64_t requests = (bench_quick(b) ? 1600 : 32000) / (1 + body_len / 4096);
	int rc = SLK_OK;

	for (unsigned i = 0; rc == SLK_OK && i < count; i++) {
		rc = open_all(&ways[i], s, ctx, body_len);
		if (rc == SLK_OK)
			rc = ask_all(&ways[i], 5);
	}
	for (unsigned r = 0; rc == SLK_OK && r < rounds; r++) {
		for (unsigned i = 0; rc == SLK_OK && i < count; i++) {
			struct way *w = &ways[(r + i) % count];
			unsigned per_turn = CLIENTS * (w->is_h2 ? H2_STREAMS : 1);
			uint64_t turns = requests / per_turn + 1, before = gwb_server_cpu_ns(s);
			rc = ask_all(w, turns);
			w->ns[r] = (double)(gwb_server_cpu_ns(s) - before) /
				(double)(turns * per_turn);
		}
	}
	const struct bench_shape shape = {.group = "CPU time of the server per request",
		.label = label,
		.ops = requests,
		.bytes_per_op = body_len};
	for (unsigned i = 0; i < count; i++) {
		if (rc == SLK_OK)
			tell(b, &shape, &ways[i], rounds);
		for (unsigned k = 0; k < CLIENTS; k++)
			gwb_client_close(&ways[i].clients[k]);
	}
	return rc;
}

/* Each has made its handshake and one request. */
static int
open_idle(struct gwb_client *clients, unsigned count, const struct gwb_server *s, SSL_CTX *ctx)
{
	int rc = SLK_OK;

	for (unsigned i = 0; rc == SLK_OK && i < count; i++) {
		rc = gwb_client_open(&clients[i], s->tls_port, ctx, i % 2 == 1, 300);
		if (rc == SLK_OK)
			rc = gwb_client_ask(&clients[i], 1);
		/* What the client needs of its own memory is not what is asked. */
		free(clients[i].request);
		clients[i].request = NULL;
	}
	return rc;
}

int
gwb_idle_measure(struct bench *b, const struct gwb_server *s, SSL_CTX *ctx)
{
	unsigned count = bench_quick(b) ? IDLE_QUICK_COUNT : IDLE_COUNT;
	struct gwb_client *clients = malloc(count * sizeof(*clients));
	uint64_t before = gwb_server_memory_bytes(s);

	if (clients == NULL)
		return SLK_NO_MEMORY;
	for (unsigned i = 0; i < count; i++)
		clients[i] = (struct gwb_client){.fd = -1};
	int rc = open_idle(clients, count, s, ctx);
	sleep(IDLE_SECONDS);
	uint64_t after = gwb_server_memory_bytes(s);
	for (unsigned i = 0; i < count; i++)
		gwb_client_close(&clients[i]);
	free(clients);
	if (rc != SLK_OK)
		return rc;
	if (before == 0 || after < before)
		return SLK_SYSTEM;
	double each = (double)(after - before) / count;
	bench_note(b,
		"%u idle TLS connections, half of them HTTP/2: the server has %.1f MB resident, "
		"%.1f KiB more "
		"for each than without",
		count, (double)after / MB, each / 1024.0);
	bench_goal(b, "6: MB of 10,000 idle connections", IDLE_GOAL_MB,
		((double)before + each * IDLE_COUNT) / MB, false);
	return SLK_OK;
}
