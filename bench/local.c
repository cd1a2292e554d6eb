/* putting through ingestd's local port until durable, by size and depth, beside rings and a socket with nothing behind them; latency */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hist.h"
#include "host/host.h"
#include "local/peers.h"
#include "sealock/producer.h"

#define DATA_MAX 16384u
#define SHARDS 4u
#define KEYS 64u
#define DEPTH_MAX 4096u
#define READY_TRIES 500u
#define WAIT_MS 20000
#define RUN_NS (3 * SLK_NS_PER_S)
#define QUICK_NS (100 * SLK_NS_PER_MS)
#define RATE_PER_S 5000.0

static const struct {
	const char *label;
	size_t len;
	unsigned depth;
	uint64_t ops;
} shapes[] = {
	{"64 B x 1", 64, 1, 50},
	{"1 KiB x 1", 1024, 1, 50},
	{"64 B x 64", 64, 64, 4000},
	{"1 KiB x 64", 1024, 64, 4000},
	{"64 B x 4096", 64, DEPTH_MAX, 200000},
	{"1 KiB x 4096", 1024, DEPTH_MAX, 60000},
	{"16 KiB x 4096", DATA_MAX, DEPTH_MAX, 6000},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

struct local {
	struct bench_host host;
	struct sealock_producer *producer;
	uint32_t stream;
	struct peer_ring *ring;
	struct peer_echo *echo;
	uint8_t data[DATA_MAX];
	char keys[KEYS][12];
	/* of the shape that runs */
	size_t len;
	unsigned depth;
	uint64_t ops;
	uint64_t tag;
	int failed; /* of any run */
};

/* --- closed loop --- */

static int
take(struct local *l, uint64_t *inout_done)
{
	static struct sealock_completion done[DEPTH_MAX];
	size_t count = 0;

	int rc = sealock_producer_poll(l->producer, done, DEPTH_MAX, &count);
	for (size_t i = 0; rc == SLK_OK && i < count; i++)
		rc = done[i].status;
	*inout_done += count;
	return rc;
}

static int
put(struct local *l, uint64_t tag)
{
	const struct sealock_put p = {.stream = l->stream,
		.tag = tag,
		.key = slk_span_str(l->keys[tag % KEYS]),
		.data = slk_span(l->data, l->len)};

	return sealock_producer_put(l->producer, &p);
}

static void
run_port(void *arg)
{
	struct local *l = arg;
	uint64_t sent = 0, done = 0;
	int rc = SLK_OK;

	while (done < l->ops && (rc == SLK_OK || rc == SLK_AGAIN)) {
		rc = SLK_OK;
		while (sent < l->ops && sent - done < l->depth && (rc = put(l, sent)) == SLK_OK)
			sent++;
		if (rc != SLK_OK && rc != SLK_AGAIN)
			break;
		rc = sealock_producer_wait(l->producer, WAIT_MS);
		if (rc == SLK_OK)
			rc = take(l, &done);
	}
	if (rc != SLK_OK)
		l->failed = rc;
}

static void
run_ring(void *arg)
{
	struct local *l = arg;

	peer_ring_run(l->ring, l->data, l->len, l->depth, l->ops);
}

static void
run_echo(void *arg)
{
	struct local *l = arg;
	int rc = peer_echo_run(l->echo, l->data, l->len, l->depth, l->ops);

	if (rc != SLK_OK)
		l->failed = rc;
}

static int
throughput(struct bench *b, struct local *l, struct slk_error *err)
{
	const struct bench_contender c[] = {{"local port, durable", run_port, l},
		{"bare rings", run_ring, l}, {"socket echo", run_echo, l}};
	struct bench_stats stats[3];

	bench_heading(b, "a record put and completed, by size and records under way", c, 3);
	for (size_t i = 0; i < SHAPES && l->failed == SLK_OK; i++) {
		l->len = shapes[i].len;
		l->depth = shapes[i].depth;
		l->ops = bench_quick(b) ? shapes[i].ops / 25 + 1 : shapes[i].ops;
		const struct bench_shape shape = {.group = "put",
			.label = shapes[i].label,
			.ops = l->ops,
			.bytes_per_op = l->len,
			.working_set_bytes = 4u << 20};
		bench_compare(b, &shape, c, 3, stats);
	}
	if (l->failed != SLK_OK)
		return slk_fail(err, l->failed, "a record failed: %s", slk_status_name(l->failed));
	return SLK_OK;
}

/* --- open loop --- */

struct arrivals {
	uint64_t seed;
	double gap_ns;
	double next_ns; /* from the start */
};

/* Exponential, as of many senders. */
static double
next_due(struct arrivals *a)
{
	uint64_t z = (a->seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	a->next_ns -= log(((double)(z >> 11) + 0.5) * 0x1p-53) * a->gap_ns;
	return a->next_ns;
}

/* From the time at which a record was due, whenever it could be put, to its completion; sleeping in between as a program
 * that has nothing else to do would. */
static int
open_loop(struct local *l, uint64_t run_ns, struct slk_hist *hist)
{
	static uint64_t due[1u << 16]; /* by number */
	static struct sealock_completion done[DEPTH_MAX];
	struct arrivals a = {.seed = 1, .gap_ns = 1e9 / RATE_PER_S};
	const uint64_t start = slk_mono_ns(slk_clock_system());
	uint64_t sent = 0, taken = 0, next = (uint64_t)next_due(&a);
	int rc = SLK_OK;

	slk_hist_init(hist);
	while (rc == SLK_OK && (next < run_ns || taken < sent)) {
		uint64_t now = slk_mono_ns(slk_clock_system()) - start;
		while (next < run_ns && next <= now && sent - taken < DEPTH_MAX &&
			(rc = put(l, sent)) == SLK_OK) {
			due[sent++ % (1u << 16)] = next;
			next = (uint64_t)next_due(&a);
		}
		sealock_producer_flush(l->producer);
		size_t count = 0;
		if (rc == SLK_OK || rc == SLK_AGAIN)
			rc = sealock_producer_poll(l->producer, done, DEPTH_MAX, &count);
		now = slk_mono_ns(slk_clock_system()) - start;
		for (size_t i = 0; rc == SLK_OK && i < count; i++) {
			rc = done[i].status;
			slk_hist_add(hist, now - due[done[i].tag % (1u << 16)], 1);
		}
		taken += count;
	}
	return rc;
}

static int
latency(struct bench *b, struct local *l, struct slk_error *err)
{
	const struct bench_shape shape = {.group = "open loop, 5,000 records/s by chance",
		.label = "1 KiB",
		.ops = 1,
		.bytes_per_op = 1024,
		.working_set_bytes = 4u << 20};
	static struct slk_hist hist;

	l->len = 1024;
	int rc = open_loop(l, bench_quick(b) ? QUICK_NS : RUN_NS, &hist);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "a record failed: %s", slk_status_name(rc));
	printf("\nfrom due to durable, open loop, 5,000 records/s\n");
	bench_latency(b, &shape, "local port, durable", &hist);
	return SLK_OK;
}

/* --- making it --- */

static int
connect_producer(struct local *l, struct slk_error *err)
{
	const struct sealock_producer_config config = {
		.socket = l->host.port, .records_max = DEPTH_MAX, .timeout_ms = WAIT_MS};
	const struct timespec pause = {0, 20 * 1000 * 1000};
	int rc = SLK_UNAVAILABLE;

	for (unsigned i = 0; i < READY_TRIES && rc != SLK_OK; i++) {
		rc = sealock_producer_new(&config, &l->producer, err);
		if (rc == SLK_OK)
			break;
		(void)nanosleep(&pause, NULL);
	}
	return rc == SLK_OK ? sealock_producer_attach_wait(l->producer, "local", 0, &l->stream, err)
			    : rc;
}

static int
start(struct local *l, struct slk_error *err)
{
	char sections[1024];
	uint64_t seed = 1;

	bench_fill(&seed, l->data, sizeof(l->data));
	for (unsigned i = 0; i < KEYS; i++)
		(void)snprintf(l->keys[i], sizeof(l->keys[i]), "key-%u", i);
	int rc = bench_host_start(&l->host, "local", SHARDS, err);
	(void)snprintf(sections, sizeof(sections),
		"eal: {hugepages: off, memory_mb: 128}\n"
		"ports:\n  - {name: loop, type: ring, ipv4: 10.77.0.2}\n"
		"journal: {dir: %s, retention: {max_mb: 1024}}\n",
		l->host.journal);
	if (rc == SLK_OK)
		rc = bench_host_ingestd(&l->host, sections, err);
	if (rc == SLK_OK)
		rc = connect_producer(l, err);
	if (rc != SLK_OK)
		return rc;
	rc = peer_ring_new(&l->ring);
	if (rc == SLK_OK)
		rc = peer_echo_new(&l->echo);
	return rc == SLK_OK ? rc : slk_fail(err, rc, "no memory for the peers");
}

static void
stop(struct local *l)
{
	sealock_producer_free(l->producer);
	peer_ring_free(l->ring);
	peer_echo_free(l->echo);
	bench_host_stop(&l->host);
}

int
main(int argc, char **argv)
{
	static struct local local;
	struct slk_error err = {0};
	struct bench *b = NULL;

	int rc = bench_new(argc, argv, "local", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? EXIT_SUCCESS : EXIT_FAILURE;
	/* What is measured is several programs: they run where they would without a bench. */
	cpu_set_t all;
	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), &all);
	rc = start(&local, &err);
	if (rc == SLK_OK)
		rc = throughput(b, &local, &err);
	if (rc == SLK_OK)
		rc = latency(b, &local, &err);
	stop(&local);
	return rc == SLK_OK ? bench_finish(b) : bench_abort(b, "%s", err.text);
}
