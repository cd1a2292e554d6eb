/* The journal as ingestd's worker uses it: a lane with its threads, sealed blocks, proofs, recycled files. */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/secret.h"
#include "harness/bench.h"
#include "journal/journal_bench.h"
#include "journal/retention.h"

#define ARN "arn:aws:kinesis:local:000000000000:stream/bench"
#define BLOCK_RECORDS 62u /* of 1 KiB: just below 64 KiB */
#define KEEP_FILES 4u
#define WAITING_MAX 65536u

cpu_set_t jb_cpus;

static void *
lane_main(void *arg)
{
	struct jb_lane *l = arg;

	(void)pthread_setaffinity_np(pthread_self(), sizeof(jb_cpus), &jb_cpus);
	if (jnl_lane_run(l->lane) != SLK_OK)
		l->failed = true;
	return NULL;
}

/* A signature may take as long as it likes; here it never comes, and costs nothing. */
static int
no_signature(void *ctx, const uint8_t digest[FMT_REWRAP_DIGEST_BYTES], struct jnl_attestation *out,
	struct slk_error *err)
{
	(void)ctx;
	(void)digest;
	(void)out;
	return slk_fail(err, SLK_UNAVAILABLE, "nobody signs in a bench");
}

static void *
notary_main(void *arg)
{
	static const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
	const struct jnl_retention keep = {.bytes = (uint64_t)KEEP_FILES * JB_FILE_BYTES};
	struct jb_lane *l = arg;
	struct jnl_retained report;
	struct slk_error err;

	(void)pthread_setaffinity_np(pthread_self(), sizeof(jb_cpus), &jb_cpus);
	while (!atomic_load(&l->stop)) {
		while (l->notary != NULL && jnl_notary_turn(l->notary, &err) > 0)
			;
		if (jnl_retain(l->journal, &keep, &report, &err) != SLK_OK)
			l->failed = true;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static int
begin_epoch(struct jb_lane *l, struct slk_error *err)
{
	struct fmt_context *context = NULL;
	struct slk_secret *key = NULL;
	struct jnl_epoch_params params = {.stream_id = 1,
		.stream_arn = ARN,
		.key_arn = "arn:key",
		.wrapped = slk_span("wrapped", 7)};

	int rc = fmt_context_for_stream(ARN, &context);
	if (rc == SLK_OK)
		rc = slk_secret_from("0123456789abcdef0123456789abcdef", 32, &key);
	params.context = context;
	params.data_key = key;
	if (rc == SLK_OK)
		rc = jnl_lane_epoch_begin(l->lane, l->seal, &params, &l->epoch);
	slk_secret_free(key);
	fmt_context_free(context);
	return rc == SLK_OK ? rc : slk_fail(err, rc, "cannot begin an epoch");
}

int
jb_lane_open(struct jb_lane *l, const struct jb_lane_params *p, struct slk_error *err)
{
	uint64_t seed = 1;

	*l = (struct jb_lane){.block_records = BLOCK_RECORDS, .bytes = p->bytes};
	(void)snprintf(l->dir, sizeof(l->dir), "%s/%s", p->parent, p->name);
	if (mkdir(l->dir, 0700) != 0)
		return slk_fail_errno(err, "cannot make %s", l->dir);
	l->payload = malloc(BLOCK_RECORDS * JB_RECORD_BYTES);
	if (l->payload == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	bench_fill(&seed, l->payload, BLOCK_RECORDS * JB_RECORD_BYTES);
	const struct jnl_config config = {.dir = l->dir,
		.lane_count = 1,
		.reserve_bytes = 1,
		.direct = p->direct,
		.integrity = p->integrity};
	int rc = jnl_open(&config, &l->journal, NULL, err);
	if (rc == SLK_OK)
		rc = seal_thread_new(NULL, &l->seal, err);
	if (rc == SLK_OK && p->integrity)
		rc = jnl_notary_new(l->journal, no_signature, NULL, &l->notary, err);
	if (rc != SLK_OK)
		return rc;
	l->lane = jnl_lane(l->journal, 0);
	rc = begin_epoch(l, err);
	if (rc == SLK_OK)
		l->thread_runs = pthread_create(&l->thread, NULL, lane_main, l) == 0;
	if (rc == SLK_OK && l->thread_runs)
		l->notary_runs = pthread_create(&l->notary_thread, NULL, notary_main, l) == 0;
	if (rc == SLK_OK && !l->notary_runs)
		rc = slk_fail(err, SLK_NO_MEMORY, "cannot start a thread");
	return rc;
}

void
jb_lane_close(struct jb_lane *l)
{
	while (l->thread_runs && jnl_lane_close(l->lane) == SLK_AGAIN)
		sched_yield();
	if (l->thread_runs)
		(void)pthread_join(l->thread, NULL);
	atomic_store(&l->stop, true);
	if (l->notary_runs)
		(void)pthread_join(l->notary_thread, NULL);
	jnl_notary_free(l->notary);
	jnl_close(l->journal);
	seal_thread_free(l->seal);
	free(l->payload);
	l->journal = NULL;
	l->lane = NULL;
	l->notary = NULL;
	l->seal = NULL;
	l->payload = NULL;
	l->thread_runs = l->notary_runs = false;
}

int
jb_lane_block(struct jb_lane *l, uint32_t shard, uint32_t count, uint32_t bytes, uint64_t *out_lsn)
{
	struct fmt_record records[BLOCK_RECORDS];
	struct jnl_append done;
	int rc;

	if (count > BLOCK_RECORDS)
		return SLK_RANGE;
	for (uint32_t i = 0; i < count; i++)
		records[i] = (struct fmt_record){
			.data = slk_span(l->payload + (size_t)i * JB_RECORD_BYTES, bytes),
			.arrival_ns = 1700000000ull * SLK_NS_PER_S,
			.source = FMT_SOURCE_PUT};
	while ((rc = jnl_lane_append(l->lane, l->seal, l->epoch, shard, records, count, &done)) ==
		SLK_AGAIN)
		sched_yield();
	if (rc == SLK_OK)
		*out_lsn = done.lsn;
	return rc;
}

int
jb_lane_wait(struct jb_lane *l, uint64_t lsn)
{
	while (jnl_lane_durable(l->lane) < lsn) {
		if (jnl_lane_status(l->lane) == SLK_DISK_FAILED)
			return SLK_DISK_FAILED;
		sched_yield();
	}
	return SLK_OK;
}

void
jb_lane_run(void *lane)
{
	struct jb_lane *l = lane;
	uint64_t lsn = 0;

	for (uint64_t done = 0; done < l->bytes && !l->failed;
		done += (uint64_t)BLOCK_RECORDS * JB_RECORD_BYTES) {
		l->failed |= jb_lane_block(l, 0, BLOCK_RECORDS, JB_RECORD_BYTES, &lsn) != SLK_OK;
		if (jnl_lane_ready(l->lane))
			(void)jnl_lane_submit(l->lane);
	}
	(void)jnl_lane_submit(l->lane);
	l->failed |= jb_lane_wait(l, lsn) != SLK_OK;
}

/* Files are made, filled with zeros, until retention gives old ones back: a journal that has run for a while fills none. */
int
jb_lane_settle(struct jb_lane *l)
{
	struct jnl_lane_stats s = {0};

	for (unsigned runs = 0; s.rolls < KEEP_FILES + 3 && runs < 16 * KEEP_FILES; runs++) {
		jb_lane_run(l);
		if (l->failed)
			return SLK_IO;
		jnl_lane_stats(l->lane, &s);
	}
	return SLK_OK;
}

/* --- open loop --- */

struct waiting {
	uint64_t due; /* ticks */
	uint32_t shard;
};

struct load {
	struct jb_lane *l;
	struct waiting *ring; /* [acked, sealed) is under way, [sealed, made) waits */
	uint64_t acked, sealed, made;
	uint64_t seed;
	double gap_ticks, next;
	uint32_t shards;
	uint32_t *per_shard;
};

static double
chance(struct load *o)
{
	uint64_t z = (o->seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

/* All that waits, a block for each shard. */
static int
seal_waiting(struct load *o, uint64_t *lsn)
{
	memset(o->per_shard, 0, o->shards * sizeof(*o->per_shard));
	for (uint64_t i = o->sealed; i < o->made; i++)
		o->per_shard[o->ring[i % WAITING_MAX].shard]++;
	for (uint32_t shard = 0; shard < o->shards; shard++) {
		for (uint32_t left = o->per_shard[shard]; left > 0;) {
			uint32_t n = left < BLOCK_RECORDS ? left : BLOCK_RECORDS;
			int rc = jb_lane_block(o->l, shard, n, JB_RECORD_BYTES, lsn);
			if (rc != SLK_OK)
				return rc;
			left -= n;
		}
	}
	o->sealed = o->made;
	return jnl_lane_submit(o->l->lane);
}

int
jb_lane_load(struct jb_lane *l, uint32_t shards, double rate, double for_ns, double ticks_per_ns,
	struct slk_hist *out)
{
	struct load o = {
		.l = l, .seed = 7, .shards = shards, .gap_ticks = 1e9 / rate * ticks_per_ns};
	uint64_t lsn = 0;
	int rc = SLK_OK;

	o.ring = calloc(WAITING_MAX, sizeof(*o.ring));
	o.per_shard = calloc(shards, sizeof(*o.per_shard));
	if (o.ring == NULL || o.per_shard == NULL)
		rc = SLK_NO_MEMORY;
	const uint64_t end = bench_ticks() + (uint64_t)(for_ns * ticks_per_ns);
	o.next = (double)bench_ticks();
	while (rc == SLK_OK) {
		uint64_t now = bench_ticks();
		bool idle = jnl_lane_durable(l->lane) >= lsn;
		while (idle && o.acked < o.sealed)
			slk_hist_add(out,
				(uint64_t)((double)(now - o.ring[o.acked++ % WAITING_MAX].due) /
					ticks_per_ns),
				1);
		while (now < end && o.next <= (double)now && o.made - o.acked < WAITING_MAX) {
			o.ring[o.made++ % WAITING_MAX] =
				(struct waiting){(uint64_t)o.next, (uint32_t)(chance(&o) * shards)};
			o.next -= log(chance(&o)) * o.gap_ticks;
		}
		if (now >= end && o.acked == o.made)
			break;
		if (idle && o.made > o.sealed)
			rc = seal_waiting(&o, &lsn);
		else
			sched_yield();
		if (jnl_lane_status(l->lane) == SLK_DISK_FAILED)
			rc = SLK_DISK_FAILED;
	}
	free(o.ring);
	free(o.per_shard);
	return rc;
}
