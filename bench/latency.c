/* how long a record waits until its block is sealed, arriving as it likes at half load, and at renewals of the key */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_version.h>

#include "base/clock.h"
#include "base/hist.h"
#include "base/log.h"
#include "dataplane/rig.h"

#define KIB 1024u
#define BURST 32u
#define UNDER_WAY 65536u /* due times that are kept: more than all rings hold */
#define CAPACITY_RECORDS 2000000u
#define CAPACITY_ROUNDS 5u
#define RUN_NS 4e9
#define QUICK_NS 3e7
#define GAP_NS 20000.0 /* nothing that one turn does takes as long */
#define RENEW_NS 2e8
#define RENEWED_BLOCKS 64u

/* Arrivals of one load, and what became of them. */
struct load {
	struct rig *rig;
	double ticks_per_ns;
	double gap_ns; /* mean time between records */
	uint64_t seed;
	uint64_t *due; /* ticks at which the records that are under way were due, by number */
	uint64_t made, sealed; /* numbers */
	double next; /* ticks */
	bool disturbed; /* a host gap was seen and not all that it delayed is sealed */
	uint64_t gaps_in_turns, gaps_between;
	double ticks_in_turns, ticks_between;
	uint64_t renewals, since_renewal; /* blocks */
	struct slk_hist first, all, delayed, renewed; /* ns */
};

/* Exponential, so that records come in heaps as those of many senders do. */
static double
pause_of(struct load *l)
{
	uint64_t z = (l->seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	return -log(((double)(z >> 11) + 0.5) * 0x1p-53) * l->gap_ns * l->ticks_per_ns;
}

/* What is due by now lies at the port; what finds no room comes with the next turn and stays due. */
static void
arrive(struct load *l, uint64_t now)
{
	unsigned count = 0;
	double next = l->next;

	while (next <= (double)now && count < BURST && l->made + count - l->sealed < UNDER_WAY) {
		l->due[(l->made + count) % UNDER_WAY] = (uint64_t)next;
		next += pause_of(l);
		count++;
	}
	if (count == 0)
		return;
	unsigned n = rig_arrive(l->rig, count);
	l->made += n;
	l->next = n == count ? next : (double)l->due[l->made % UNDER_WAY];
}

/* Records of one shard are sealed in the order of their arrival. */
static void
settle(struct load *l, uint64_t upto, uint64_t now)
{
	bool first = true;

	for (; l->sealed < upto; l->sealed++) {
		double ns = (double)(now - l->due[l->sealed % UNDER_WAY]) / l->ticks_per_ns;
		if (l->disturbed) {
			slk_hist_add(&l->delayed, (uint64_t)ns, 1);
			continue;
		}
		slk_hist_add(&l->all, (uint64_t)ns, 1);
		if (first) {
			slk_hist_add(&l->first, (uint64_t)ns, 1);
			if (l->since_renewal++ < RENEWED_BLOCKS && l->renewals > 0)
				slk_hist_add(&l->renewed, (uint64_t)ns, 1);
		}
		first = false;
	}
	if (l->sealed == l->made && l->next > (double)now)
		l->disturbed = false; /* and nothing that is due waits outside */
}

/* The loop is the spinning probe: between two looks at the clock lies one turn, or nothing. */
static int
run_load(struct load *l, double for_ns, bool renews, struct slk_error *err)
{
	const struct dp_counters *c = &l->rig->worker->counters;
	uint64_t base = c->records;
	double gap = GAP_NS * l->ticks_per_ns;
	uint64_t last = bench_ticks();
	uint64_t end = last + (uint64_t)(for_ns * l->ticks_per_ns);
	uint64_t renew = last + (uint64_t)(RENEW_NS * l->ticks_per_ns);
	int rc = SLK_OK;

	l->next = (double)last;
	while (rc == SLK_OK && (last < end || l->sealed < l->made)) {
		uint64_t now = bench_ticks();
		if ((double)(now - last) > gap) {
			l->gaps_between++;
			l->disturbed = true;
		}
		l->ticks_between += (double)(now - last);
		if (now < end)
			arrive(l, now);
		if (renews && now > renew) {
			rc = rig_renew(l->rig, err);
			renew = now + (uint64_t)(RENEW_NS * l->ticks_per_ns);
			l->renewals++;
			l->since_renewal = 0;
		}
		rig_turn(l->rig);
		last = bench_ticks();
		if ((double)(last - now) > gap) {
			l->gaps_in_turns++;
			l->disturbed = true;
		}
		l->ticks_in_turns += (double)(last - now);
		settle(l, c->records - base, last);
	}
	return rc;
}

/* As fast as it goes: always a full burst at the port. */
static double
capacity_ns(struct bench *b, struct rig *r)
{
	const uint64_t wanted = bench_quick(b) ? 4096 : CAPACITY_RECORDS;
	const struct dp_counters *c = &r->worker->counters;
	double best = INFINITY;

	for (unsigned round = 0; round < CAPACITY_ROUNDS; round++) {
		uint64_t until = c->records + wanted, begin = bench_ticks();
		while (c->records < until) {
			(void)rig_arrive(r, BURST);
			rig_turn(r);
		}
		double ns =
			(double)(bench_ticks() - begin) / bench_ticks_per_ns(b) / (double)wanted;
		best = ns < best ? ns : best;
		while (r->worker->stage.count > 0 || c->records < r->arrived)
			rig_turn(r);
	}
	return best;
}

static bool
is_whole(const struct rig *r)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < DP_LOSS_COUNT; i++)
		lost += r->worker->counters.losses[i];
	return lost == 0 && r->worker->counters.records == r->arrived;
}

static void
show(struct bench *b, struct load *l, const char *label)
{
	const struct bench_shape shape = {
		.group = "1 KiB records: from due to sealed", .label = label, .bytes_per_op = KIB};
	double in = l->ticks_in_turns / l->ticks_per_ns / 1e9;
	double between = l->ticks_between / l->ticks_per_ns / 1e9;

	bench_latency(b, &shape, "a block's first record", &l->first);
	bench_latency(b, &shape, "every record", &l->all);
	if (l->renewed.count > 0)
		bench_latency(b, &shape, "first records, 64 blocks from a renewal on", &l->renewed);
	if (l->delayed.count > 0)
		bench_latency(b, &shape, "apart: what a host gap delayed", &l->delayed);
	bench_note(b,
		"%s: gaps above 20 us: %.1f per second of turns, %.1f per second of looking at the "
		"clock; %.3f %% "
		"of the records apart",
		label, in > 0 ? (double)l->gaps_in_turns / in : 0,
		between > 0 ? (double)l->gaps_between / between : 0,
		100.0 * (double)l->delayed.count / (double)(l->delayed.count + l->all.count));
}

static int
measure_at(struct bench *b, struct rig *r, double share, double record_ns, const char *label,
	struct load *l, struct slk_error *err)
{
	uint64_t *due = calloc(UNDER_WAY, sizeof(*due));

	if (due == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory");
	*l = (struct load){.rig = r,
		.ticks_per_ns = bench_ticks_per_ns(b),
		.gap_ns = record_ns / share,
		.seed = 1,
		.due = due};
	slk_hist_init(&l->first);
	slk_hist_init(&l->all);
	slk_hist_init(&l->delayed);
	slk_hist_init(&l->renewed);
	int rc = run_load(l, bench_quick(b) ? QUICK_NS : RUN_NS, true, err);
	if (rc == SLK_OK)
		show(b, l, label);
	free(due);
	l->due = NULL;
	return rc;
}

static int
measure(struct bench *b, struct rig *r, struct slk_error *err)
{
	static struct load half, tenth;
	double ns = capacity_ns(b, r);

	bench_note(b,
		"capacity, the generator's copy included: %.1f ns per record, %.2f million a "
		"second",
		ns, 1e3 / ns);
	int rc = measure_at(b, r, 0.1, ns, "a tenth of capacity", &tenth, err);
	if (rc == SLK_OK)
		rc = measure_at(b, r, 0.5, ns, "half of capacity", &half, err);
	if (rc == SLK_OK && !is_whole(r))
		rc = slk_fail(err, SLK_INTERNAL, "records were lost on the way");
	if (rc != SLK_OK)
		return rc;
	bench_goal(b, "issue 5: a block's first record until sealed, half load: p50 <= 2 us", 2,
		(double)slk_hist_quantile(&half.first, 0.5) / 1e3, false);
	bench_goal(b, "issue 5: a block's first record until sealed, half load: p99 <= 10 us", 10,
		(double)slk_hist_quantile(&half.first, 0.99) / 1e3, false);
	bench_goal(b,
		"issue 5: no step at renewals: p99 of the 64 blocks behind one <= 2 x p99 of all "
		"blocks",
		2,
		(double)slk_hist_quantile(&half.renewed, 0.99) /
			(double)slk_hist_quantile(&half.first, 0.99),
		false);
	return SLK_OK;
}

int
main(int argc, char **argv)
{
	static const struct rig_shape shape = {.name = "paced",
		.record_bytes = KIB,
		.records = 1,
		.shards = 1,
		.rule = "rule: fixed, shard: 0",
		.checksums = "trust-udp",
		.group_kb = 2048,
		.paced = true};
	static struct rig rig;
	char dir[] = "/tmp/sealock-bench.XXXXXX", path[64];
	struct slk_error err = {0};
	struct bench *b = NULL;

	slk_log_init("bench", SLK_LOG_WARN);
	int rc = bench_new(argc, argv, "latency", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? EXIT_SUCCESS : EXIT_FAILURE;
	bench_library(b, "DPDK", rte_version());
	if (mkdtemp(dir) == NULL)
		return bench_abort(b, "cannot make %s", dir);
	rc = rig_new(&rig, &shape, dir, (unsigned)sched_getcpu(), 0, &err);
	if (rc == SLK_OK)
		rc = measure(b, &rig, &err);
	rig_free(&rig);
	(void)snprintf(path, sizeof(path), "%s/paced.yaml", dir);
	(void)unlink(path);
	(void)rmdir(dir);
	return rc == SLK_OK ? bench_finish(b) : bench_abort(b, "%s", err.text);
}
