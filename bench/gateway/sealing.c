/* What encryption costs: processor time of gateway and ingestd per call, sealing and opening, against the same with a copy in its
 * place. Slices of copying, sealing and copying again lie beside one another; the differences of neighbours are what is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/parts.h"

#define ROUNDS_MAX 41u
#define QUICK_ROUNDS 3u
#define RECORDS 500u
#define DATA_BYTES 1024u
#define READ_BATCHES 240u
#define US 1e3

enum { OFF, ON, OFF_AGAIN, WAYS };

struct job {
	const char *part, *name;
	unsigned connections, calls, quick_calls;
	double goal_us;
	struct gwb_set sets[2]; /* of off and on: the same, or those of each stream */
	bool one_set;
	double us[WAYS][ROUNDS_MAX];
	double gateway_us; /* of all sealing slices, per call */
	struct slk_hist latency[WAYS];
};

static int
slice(struct job *j, struct gwb_site *site, struct gwb_load *load, unsigned way, unsigned round,
	unsigned calls, struct slk_error *err)
{
	struct gwb_set *set = &j->sets[way == ON && !j->one_set];

	/* Each connection is a consumer of its own, that goes on where it was. */
	set->walkers = j->one_set ? 0 : j->connections;
	uint64_t ns = 0;

	site->lever->copying = way != ON;
	uint64_t before = gwb_site_cpu_ns(site), gateway = gwb_site_gateway_ns(site);
	int rc = gwb_set_run(set, load, calls, &j->latency[way], &ns, err);
	j->us[way][round] = (double)(gwb_site_cpu_ns(site) - before) / US / calls;
	if (way == ON)
		j->gateway_us += (double)(gwb_site_gateway_ns(site) - gateway) / US / calls;
	site->lever->copying = false;
	return rc;
}

static void
tell(struct bench *b, struct job *j, unsigned rounds)
{
	double cost[ROUNDS_MAX], floor[ROUNDS_MAX];
	char name[96];

	for (unsigned r = 0; r < rounds; r++) {
		cost[r] = j->us[ON][r] - (j->us[OFF][r] + j->us[OFF_AGAIN][r]) / 2;
		floor[r] = j->us[OFF_AGAIN][r] - j->us[OFF][r];
	}
	double median = gwb_median(cost, rounds), noise = gwb_median(floor, rounds);
	bench_note(b,
		"%s: encryption costs %.1f us of %.0f us of the servers' time (quartiles %.1f, "
		"%.1f; off "
		"against off %.1f, quartiles %.1f, %.1f)",
		j->name, median, gwb_median(j->us[ON], rounds), cost[rounds / 4],
		cost[rounds * 3 / 4], noise, floor[rounds / 4], floor[rounds * 3 / 4]);
	bench_note(b, "%s: p99 of the call %.2f ms; off %.2f ms, off again %.2f ms", j->name,
		(double)slk_hist_quantile(&j->latency[ON], 0.99) / 1e6,
		(double)slk_hist_quantile(&j->latency[OFF], 0.99) / 1e6,
		(double)slk_hist_quantile(&j->latency[OFF_AGAIN], 0.99) / 1e6);
	(void)snprintf(name, sizeof(name), "6: us of encryption per %s", j->name);
	bench_goal(b, name, j->goal_us, median, false);
}

static int
measure(struct bench *b, struct job *j, struct gwb_site *site, SSL_CTX *ctx, struct slk_error *err)
{
	unsigned rounds = bench_quick(b) ? QUICK_ROUNDS : ROUNDS_MAX,
		 calls = bench_quick(b) ? j->quick_calls : j->calls;
	struct gwb_load *load = NULL;

	for (unsigned w = 0; w < WAYS; w++)
		slk_hist_init(&j->latency[w]);
	int rc = gwb_load_open(site->signer.port, j->connections, j->connections, ctx, &load);
	for (unsigned w = 0; rc == SLK_OK && w < WAYS; w++)
		rc = slice(j, site, load, w, 0, calls, err); /* warm */
	j->gateway_us = 0;
	for (unsigned w = 0; w < WAYS; w++)
		slk_hist_init(&j->latency[w]);
	for (unsigned r = 0; rc == SLK_OK && r < rounds; r++)
		for (unsigned w = 0; rc == SLK_OK && w < WAYS; w++)
			rc = slice(j, site, load, r % 2 == 0 ? w : WAYS - 1 - w, r, calls, err);
	gwb_load_close(load);
	j->gateway_us /= rounds;
	if (rc == SLK_OK)
		tell(b, j, rounds);
	return rc;
}

/* --- what is read --- */

static int
fill(struct gwb_site *site, SSL_CTX *ctx, const char *stream, bool copying, unsigned calls,
	struct slk_error *err)
{
	struct gwb_load *load = NULL;
	struct gwb_set set;
	uint64_t ns;

	int rc = gwb_set_puts(&set, &site->signer, stream, 4, RECORDS, DATA_BYTES);
	if (rc == SLK_OK)
		rc = gwb_load_open(site->signer.port, 2, 2, ctx, &load);
	site->lever->copying = copying;
	if (rc == SLK_OK)
		rc = gwb_set_run(&set, load, calls, NULL, &ns, err);
	site->lever->copying = false;
	gwb_load_close(load);
	gwb_set_free(&set);
	return rc;
}

/* Walks the stream once, and leaves a signed GetRecords for each step. */
struct walk {
	const struct gwb_signer *signer;
	struct gwb_set *set;
	struct gwb_request first;
	unsigned batches;
	int status;
};

static const struct gwb_request *
walk_next(void *arg, unsigned connection)
{
	struct walk *w = arg;

	(void)connection;
	return w->set->count == 0 ? &w->first : &w->set->requests[w->set->count - 1];
}

static int
walk_check(void *arg, unsigned connection, struct slk_span answer)
{
	struct walk *w = arg;
	char iterator[2048];

	(void)connection;
	int rc = gwb_answer_text(answer, w->set->count == 0 ? "ShardIterator" : "NextShardIterator",
		iterator, sizeof(iterator));
	if (rc == SLK_NOT_FOUND && w->set->count == 0)
		return SLK_MALFORMED;
	if (rc != SLK_OK || w->set->count == w->batches)
		return rc;
	char *body = gwb_body_get(iterator, RECORDS);
	if (body == NULL)
		return SLK_NO_MEMORY;
	rc = gwb_request_sign(w->signer, "kinesis", "Kinesis_20131202.GetRecords",
		slk_span_str(body), &w->set->requests[w->set->count]);
	free(body);
	w->set->count += rc == SLK_OK;
	return rc;
}

static int
walk(struct gwb_site *site, SSL_CTX *ctx, const char *stream, bool copying, unsigned batches,
	struct gwb_set *set, struct slk_error *err)
{
	struct walk w = {.signer = &site->signer, .set = set, .batches = batches};
	const struct gwb_plan plan = {walk_next, walk_check, &w};
	struct gwb_load *load = NULL;
	char body[256];

	*set = (struct gwb_set){.expect = "\"SequenceNumber\""};
	(void)snprintf(body, sizeof(body),
		"{\"StreamName\":\"%s\",\"ShardId\":\"shardId-000000000000\",\"ShardIteratorType\":"
		"\"TRIM_HORIZON\"}",
		stream);
	site->lever->copying = copying;
	int rc = gwb_request_sign(&site->signer, "kinesis", "Kinesis_20131202.GetShardIterator",
		slk_span_str(body), &w.first);
	if (rc == SLK_OK)
		rc = gwb_load_open(site->signer.port, 1, 1, ctx, &load);
	if (rc == SLK_OK)
		rc = gwb_load_run(load, &plan, batches, NULL);
	if (rc != SLK_OK && load != NULL) {
		struct slk_span last = gwb_load_answer(load);
		(void)slk_fail(err, rc, "%s cannot be read (%s): %.*s", stream, slk_status_name(rc),
			(int)(last.len < 400 ? last.len : 400), (const char *)last.ptr);
	}
	site->lever->copying = false;
	gwb_load_close(load);
	free(w.first.bytes);
	return rc;
}

static int
measure_gets(
	struct bench *b, struct job *j, struct gwb_site *site, SSL_CTX *ctx, struct slk_error *err)
{
	unsigned batches = bench_quick(b) ? 6 : READ_BATCHES;

	int rc = fill(site, ctx, "copied", true, batches, err);
	if (rc == SLK_OK)
		rc = fill(site, ctx, "sealed", false, batches, err);
	if (rc == SLK_OK)
		rc = walk(site, ctx, "copied", true, batches, &j->sets[OFF], err);
	if (rc == SLK_OK)
		rc = walk(site, ctx, "sealed", false, batches, &j->sets[ON], err);
	if (rc == SLK_OK)
		rc = measure(b, j, site, ctx, err);
	if (rc != SLK_OK)
		return rc;
	double mb_per_s = RECORDS * DATA_BYTES / j->gateway_us;
	bench_note(b,
		"GetRecords of 500 x 1 KiB: %.0f us of the gateway's time, %.0f MB of data per "
		"second and core",
		j->gateway_us, mb_per_s);
	bench_goal(b, "6: GetRecords, MB/s of data per core", 350, mb_per_s, true);
	return SLK_OK;
}

int
gwb_sealing_measure(struct bench *b, struct gwb_site *site, SSL_CTX *ctx, struct slk_error *err)
{
	static const struct job kinds[] = {{.part = "sealone",
						   .name = "PutRecord of 1 KiB",
						   .connections = 32,
						   .calls = 1000,
						   .quick_calls = 40,
						   .goal_us = 5,
						   .one_set = true},
		{.part = "sealmany",
			.name = "PutRecords of 500 x 1 KiB",
			.connections = 4,
			.calls = 24,
			.quick_calls = 4,
			.goal_us = 100,
			.one_set = true},
		{.part = "gets",
			.name = "GetRecords of 500 x 1 KiB",
			.connections = 4,
			.calls = 24,
			.quick_calls = 4,
			.goal_us = 100}};
	struct job *j = malloc(sizeof(*j));
	int rc = SLK_OK;

	if (j == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory");
	for (unsigned i = 0; rc == SLK_OK && i < 3; i++) {
		if (!gwb_wanted("sealing") && !gwb_wanted(kinds[i].part))
			continue;
		*j = kinds[i];
		if (i == 2)
			rc = measure_gets(b, j, site, ctx, err);
		else
			rc = gwb_set_puts(&j->sets[0], &site->signer, "web", 8,
				i == 0 ? 0 : RECORDS, DATA_BYTES);
		if (rc == SLK_OK && i < 2)
			rc = measure(b, j, site, ctx, err);
		gwb_set_free(&j->sets[0]);
		gwb_set_free(&j->sets[1]);
	}
	free(j);
	return rc;
}
