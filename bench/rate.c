/* the highest rate at which a worker loses nothing, searched as RFC 2544 does, by record size */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_version.h>

#include "base/log.h"
#include "dataplane/rig.h"

#define BURST 64u
#define TRIAL_NS 2e8
#define TRIAL_QUICK_NS 2e6
#define GAP_NS 20000.0 /* nothing that one turn does takes as long: the host was away */
#define TRIES 10u /* of a trial that a host gap spoilt */
#define PRECISION 0.01
#define CAPACITY_DATAGRAMS 1000000u

static const struct rig_shape shapes[] = {
	{"64", 64, 20, 4, "rule: fixed, shard: 0", "trust-udp", 2048, .paced = true},
	{"256", 256, 5, 4, "rule: fixed, shard: 0", "trust-udp", 2048, .paced = true},
	{"1024", 1024, 1, 4, "rule: fixed, shard: 0", "trust-udp", 2048, .paced = true},
};
static const char *const labels[] = {
	"64 B, 20 per datagram", "256 B, 5 per datagram", "1 KiB, 1 per datagram"};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

enum verdict { PASSED, LOST, SPOILT };

/* Finish what lies at the port and in the worker. */
static void
drain(struct rig *r)
{
	while (r->worker->counters.records < r->arrived * r->shape.records)
		rig_turn(r);
}

/* As a NIC does it: all frames that are due come, and those that find no descriptor or no buffer are lost. */
static enum verdict
trial(struct bench *b, struct rig *r, double datagram_ns)
{
	double ticks = bench_ticks_per_ns(b);
	double interval = datagram_ns * ticks;
	uint64_t begin = bench_ticks(), now = begin, last = begin;
	uint64_t end = begin + (uint64_t)((bench_quick(b) ? TRIAL_QUICK_NS : TRIAL_NS) * ticks);
	uint64_t offered = 0, lost = 0, gaps = 0;

	while (now < end) {
		now = bench_ticks();
		gaps += (double)(now - last) > GAP_NS * ticks ? 1 : 0;
		last = now;
		uint64_t due = (uint64_t)((double)(now - begin) / interval);
		while (offered < due) {
			unsigned count = due - offered < BURST ? (unsigned)(due - offered) : BURST;
			lost += count - rig_arrive(r, count);
			offered += count;
		}
		rig_turn(r);
	}
	drain(r);
	return lost == 0 ? PASSED : gaps > 0 ? SPOILT : LOST;
}

/* A trial without loss counts, gaps or not; one with loss only if the host was there all the time. */
static enum verdict
trial_until_clear(struct bench *b, struct rig *r, double datagram_ns, uint64_t *spoilt)
{
	enum verdict v = SPOILT;

	for (unsigned i = 0; i < TRIES && v == SPOILT; i++) {
		v = trial(b, r, datagram_ns);
		*spoilt += v == SPOILT ? 1 : 0;
	}
	return v;
}

/* Closed loop: the port is always full. What no open loop can exceed. */
static double
capacity_ns(struct bench *b, struct rig *r)
{
	uint64_t until = r->arrived + (bench_quick(b) ? 4096 : CAPACITY_DATAGRAMS);
	uint64_t count = until - r->arrived, begin = bench_ticks();

	while (r->arrived < until) {
		(void)rig_arrive(r, 32);
		rig_turn(r);
	}
	drain(r);
	return (double)(bench_ticks() - begin) / bench_ticks_per_ns(b) / (double)count;
}

/* Between a rate that passes and one that does not, until they are a per cent apart. */
static double
search(struct bench *b, struct rig *r, double capacity, uint64_t *spoilt)
{
	double fails = capacity * 0.9, passes = 0;

	for (double ns = capacity * 1.05; passes == 0 && ns < capacity * 64; ns *= 1.5) {
		if (trial_until_clear(b, r, ns, spoilt) == PASSED)
			passes = ns;
		else
			fails = ns;
	}
	while (passes > 0 && passes - fails > PRECISION * passes) {
		double ns = (passes + fails) / 2;
		if (trial_until_clear(b, r, ns, spoilt) == PASSED)
			passes = ns;
		else
			fails = ns;
	}
	return passes;
}

static bool
is_whole(const struct rig *r)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < DP_LOSS_COUNT; i++)
		lost += r->worker->counters.losses[i];
	return lost == 0 && r->worker->counters.records == r->arrived * r->shape.records;
}

static int
measure(struct bench *b, struct rig *r, const char *label, struct slk_error *err)
{
	const struct bench_shape shape = {.group = "Without loss, one core",
		.label = label,
		.ops = 1,
		.bytes_per_op = r->shape.record_bytes};
	uint64_t spoilt = 0;
	double records = r->shape.records;
	double capacity = capacity_ns(b, r);
	double found = search(b, r, capacity, &spoilt);

	if (!is_whole(r))
		return slk_fail(err, SLK_INTERNAL, "records were lost behind the port");
	if (found == 0)
		return slk_fail(err, SLK_INTERNAL, "%s: no rate was without loss", label);
	double ns[2] = {capacity / records, found / records};
	static const char *const names[] = {"port always full", "highest rate without loss"};
	for (unsigned i = 0; i < 2; i++)
		bench_figure(b, &shape, names[i],
			&(struct bench_stats){.best = ns[i],
				.q1 = NAN,
				.median = NAN,
				.q3 = NAN,
				.p99 = NAN,
				.p999 = NAN,
				.max = NAN,
				.best_cycles = ns[i] * bench_ticks_per_ns(b),
				.rounds = 1});
	bench_note(b,
		"%s: %.2f million records/s, %.1f Gbit/s, %.0f %% of what the worker does with a "
		"full "
		"port; %llu trials were spoilt by host gaps and repeated",
		label, 1e3 / ns[1], r->shape.record_bytes * 8 / ns[1], 100 * ns[0] / ns[1],
		(unsigned long long)spoilt);
	return SLK_OK;
}

int
main(int argc, char **argv)
{
	static struct rig rigs[SHAPES];
	char dir[] = "/tmp/sealock-bench.XXXXXX", path[64];
	struct slk_error err = {0};
	struct bench *b = NULL;

	slk_log_init("bench", SLK_LOG_WARN);
	int rc = bench_new(argc, argv, "rate", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? EXIT_SUCCESS : EXIT_FAILURE;
	bench_library(b, "DPDK", rte_version());
	if (mkdtemp(dir) == NULL)
		return bench_abort(b, "cannot make %s", dir);
	for (unsigned i = 0; i < SHAPES && rc == SLK_OK; i++) {
		rc = rig_new(&rigs[i], &shapes[i], dir, (unsigned)sched_getcpu(), i, &err);
		if (rc == SLK_OK)
			rc = measure(b, &rigs[i], labels[i], &err);
		(void)snprintf(path, sizeof(path), "%s/%s.yaml", dir, shapes[i].name);
		(void)unlink(path);
	}
	for (unsigned i = 0; i < SHAPES; i++)
		rig_free(&rigs[i]);
	(void)rmdir(dir);
	return rc == SLK_OK ? bench_finish(b) : bench_abort(b, "%s", err.text);
}
