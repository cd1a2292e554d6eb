#include "bench.h"

#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

#define ROUNDS_DEFAULT 301u
#define ROUNDS_QUICK 3u
#define ROUNDS_MAX 100000u
#define WARM_UP_NS 3e6

static void
usage(const char *name)
{
	printf("usage: bench/run %s [--json FILE] [--quick] [--rounds N] [--core N]\n"
	       "  --json FILE  also write all measurements and goals as one JSON object\n"
	       "  --quick      tiny inputs, only to see that it works; its figures mean nothing\n"
	       "  --rounds N   interleaved rounds per comparison (default %u, fewer where one "
	       "takes long)\n"
	       "  --core N     the core to run on (default: the last one allowed)\n",
		name, ROUNDS_DEFAULT);
}

/* A whole decimal number of 0..max, or -1. */
static long
number(const char *text, long max)
{
	char *end = NULL;
	long v = strtol(text, &end, 10);

	return *text != '\0' && *end == '\0' && v >= 0 && v <= max ? v : -1;
}

static int
read_options(struct bench *b, int argc, char **argv, int *out_core)
{
	static const struct option options[] = {{"json", required_argument, NULL, 'j'},
		{"quick", no_argument, NULL, 'q'}, {"rounds", required_argument, NULL, 'r'},
		{"core", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
	long rounds = 0;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'h') {
			usage(b->name);
			return SLK_END;
		}
		if (o == 'j')
			b->json_path = optarg;
		else if (o == 'q')
			b->quick = true;
		else if (o == 'r')
			rounds = number(optarg, ROUNDS_MAX);
		else if (o == 'c')
			*out_core = (int)number(optarg, 4095);
		if (o == '?' || (o == 'r' && rounds < 1) || (o == 'c' && *out_core < 0)) {
			fprintf(stderr,
				"bench %s: see --help; --rounds takes 1..%u, --core a core's "
				"number\n",
				b->name, ROUNDS_MAX);
			return SLK_INVALID;
		}
	}
	if (optind != argc) {
		fprintf(stderr, "bench %s: \"%s\" is not an option; see --help\n", b->name,
			argv[optind]);
		return SLK_INVALID;
	}
	b->rounds = rounds > 0 ? (uint32_t)rounds : b->quick ? ROUNDS_QUICK : ROUNDS_DEFAULT;
	b->rounds_given = rounds > 0 || b->quick;
	return SLK_OK;
}

static void
bench_free(struct bench *b)
{
	if (b == NULL)
		return;
	for (uint32_t i = 0; i < BENCH_CONTENDERS_MAX; i++)
		free(b->samples[i]);
	free(b->tails);
	free(b);
}

static int
buffers_new(struct bench *b)
{
	b->tails = calloc(BENCH_CONTENDERS_MAX, sizeof(b->tails[0]));
	if (b->tails == NULL)
		return SLK_NO_MEMORY;
	for (uint32_t i = 0; i < BENCH_CONTENDERS_MAX; i++) {
		b->samples[i] = calloc(b->rounds, sizeof(double));
		if (b->samples[i] == NULL)
			return SLK_NO_MEMORY;
	}
	return SLK_OK;
}

static void
note_time(struct bench *b)
{
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm) == NULL ||
		strftime(b->when, sizeof(b->when), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		b->when[0] = '\0';
}

int
bench_new(int argc, char **argv, const char *name, struct bench **out_bench)
{
	struct bench *b = calloc(1, sizeof(*b));
	int core = -1;

	if (b == NULL)
		return SLK_NO_MEMORY;
	b->name = name;
	b->commit = getenv("SLK_BENCH_COMMIT");
	if (b->commit == NULL)
		b->commit = "unknown";
	note_time(b);
	/* Into a file, too, what went wrong comes behind what was done. */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	int rc = read_options(b, argc, argv, &core);
	if (rc == SLK_OK)
		rc = buffers_new(b);
	if (rc == SLK_OK) {
		rc = bench_machine_pin(&b->machine, core);
		if (rc != SLK_OK)
			fprintf(stderr, "bench %s: this process may not run on core %d\n", name,
				core);
	}
	if (rc != SLK_OK) {
		bench_free(b);
		return rc;
	}
	bench_machine_read(&b->machine);
	printf("bench %s, commit %s\n%s, %u cores (on core %u), load %.2f, %s, TSC %.3f GHz\n",
		name, b->commit, b->machine.cpu, b->machine.cores, b->machine.core, b->machine.load,
		b->machine.kernel, b->machine.ticks_per_ns);
	*out_bench = b;
	return SLK_OK;
}

bool
bench_quick(const struct bench *b)
{
	return b->quick;
}

double
bench_ticks_per_ns(const struct bench *b)
{
	return b->machine.ticks_per_ns;
}

/* Never more than there are samples for. */
void
bench_rounds_at_most(struct bench *b, uint32_t rounds)
{
	if (!b->rounds_given)
		b->rounds = rounds < ROUNDS_DEFAULT ? rounds : ROUNDS_DEFAULT;
}

void
bench_library(struct bench *b, const char *name, const char *version)
{
	printf("%s %s\n", name, version);
	if (b->library_count < BENCH_LIBRARIES_MAX)
		b->libraries[b->library_count++] = (struct bench_library_entry){name, version};
	else
		b->failed = true;
}

double
bench_quantile(const double *sorted, uint32_t count, double q)
{
	double at = q * (count - 1);
	uint32_t low = (uint32_t)at;
	uint32_t high = low + 1 < count ? low + 1 : low;

	return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct bench_stats
stats_of(const struct bench *b, uint32_t contender, uint64_t ops)
{
	double *s = b->samples[contender];
	const struct slk_hist *tail = &b->tails[contender];
	double per_op = 1 / ((double)ops * b->machine.ticks_per_ns);

	qsort(s, b->rounds, sizeof(s[0]), by_value);
	return (struct bench_stats){
		.best = s[0] * per_op,
		.q1 = bench_quantile(s, b->rounds, 0.25) * per_op,
		.median = bench_quantile(s, b->rounds, 0.5) * per_op,
		.q3 = bench_quantile(s, b->rounds, 0.75) * per_op,
		.p99 = (double)slk_hist_quantile(tail, 0.99) * per_op,
		.p999 = (double)slk_hist_quantile(tail, 0.999) * per_op,
		.max = (double)tail->max * per_op,
		.best_cycles = s[0] / (double)ops,
		.rounds = b->rounds,
	};
}

static void
warm_up(const struct bench *b, const struct bench_contender *c)
{
	uint64_t start = bench_ticks();

	do
		c->run(c->arg);
	while (!b->quick && (double)(bench_ticks() - start) < WARM_UP_NS * b->machine.ticks_per_ns);
}

static void
run_rounds(struct bench *b, const struct bench_contender *c, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		slk_hist_init(&b->tails[i]);
		warm_up(b, &c[i]);
	}
	for (uint32_t round = 0; round < b->rounds; round++) {
		for (uint32_t k = 0; k < count; k++) {
			uint32_t i = (round + k) % count;
			uint64_t start = bench_ticks();
			c[i].run(c[i].arg);
			uint64_t ticks = bench_ticks() - start;
			b->samples[i][round] = (double)ticks;
			slk_hist_add(&b->tails[i], ticks, 1);
		}
	}
}

void
bench_heading(struct bench *b, const char *title, const struct bench_contender *c, uint32_t count)
{
	(void)b;
	printf("\n%s: ns per operation, best (median)\n%-14s", title, "");
	for (uint32_t i = 0; i < count; i++)
		printf(" %22s", c[i].name);
	printf("\n");
}

/* There is room for one more. */
static void
result_add(struct bench *b, const struct bench_shape *shape, const char *contender, uint64_t ops,
	const struct bench_stats *stats)
{
	struct bench_result *r = &b->results[b->result_count++];

	*r = (struct bench_result){.ops = ops,
		.bytes_per_op = shape->bytes_per_op,
		.working_set_bytes = shape->working_set_bytes,
		.stats = *stats};
	(void)snprintf(r->group, sizeof(r->group), "%s", shape->group);
	(void)snprintf(r->label, sizeof(r->label), "%s", shape->label);
	(void)snprintf(r->contender, sizeof(r->contender), "%s", contender);
}

void
bench_compare(struct bench *b, const struct bench_shape *shape, const struct bench_contender *c,
	uint32_t count, struct bench_stats *out_stats)
{
	if (count > BENCH_CONTENDERS_MAX || b->result_count + count > BENCH_RESULTS_MAX) {
		fprintf(stderr, "bench %s: too many results for the harness\n", b->name);
		abort();
	}
	run_rounds(b, c, count);
	printf("%-14s", shape->label);
	for (uint32_t i = 0; i < count; i++) {
		struct bench_stats s = stats_of(b, i, shape->ops);
		result_add(b, shape, c[i].name, shape->ops, &s);
		if (out_stats != NULL)
			out_stats[i] = s;
		printf(" %11.1f (%8.1f)", s.best, s.median);
	}
	printf("  %6.2f GB/s",
		(double)shape->bytes_per_op / b->results[b->result_count - count].stats.best);
	printf("  set %3llu KiB\n", (unsigned long long)(shape->working_set_bytes + 1023) / 1024);
}

void
bench_latency(struct bench *b, const struct bench_shape *shape, const char *contender,
	const struct slk_hist *latency_ns)
{
	const struct bench_stats s = {
		.best = latency_ns->count > 0 ? (double)latency_ns->min : NAN,
		.q1 = (double)slk_hist_quantile(latency_ns, 0.25),
		.median = (double)slk_hist_quantile(latency_ns, 0.5),
		.q3 = (double)slk_hist_quantile(latency_ns, 0.75),
		.p99 = (double)slk_hist_quantile(latency_ns, 0.99),
		.p999 = (double)slk_hist_quantile(latency_ns, 0.999),
		.max = (double)latency_ns->max,
		.best_cycles = (double)latency_ns->min * b->machine.ticks_per_ns,
		.rounds = (uint32_t)latency_ns->count,
	};

	if (b->result_count == BENCH_RESULTS_MAX) {
		b->failed = true;
		return;
	}
	result_add(b, shape, contender, 1, &s);
	printf("%-14s %-28s p50 %10.1f us  p99 %10.1f  p99.9 %10.1f  max %10.1f  (%llu)\n",
		shape->label, contender, s.median / 1e3, s.p99 / 1e3, s.p999 / 1e3, s.max / 1e3,
		(unsigned long long)latency_ns->count);
}

void
bench_figure(struct bench *b, const struct bench_shape *shape, const char *contender,
	const struct bench_stats *stats)
{
	if (b->result_count == BENCH_RESULTS_MAX) {
		b->failed = true;
		return;
	}
	result_add(b, shape, contender, shape->ops, stats);
	printf("%-14s %-28s %10.1f ns  %8.3f million/s  %6.2f GB/s\n", shape->label, contender,
		stats->best, 1e3 / stats->best, (double)shape->bytes_per_op / stats->best);
}

void
bench_same_hash(struct bench *b, const struct bench_shape *shape, const struct bench_contender *c,
	uint32_t count, char hashes[][65])
{
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t r = 0; r < b->result_count; r++) {
			struct bench_result *res = &b->results[r];
			if (strcmp(res->group, shape->group) == 0 &&
				strcmp(res->label, shape->label) == 0 &&
				strcmp(res->contender, c[i].name) == 0)
				memcpy(res->hash, hashes[i], sizeof(res->hash));
		}
		if (strcmp(hashes[i], hashes[0]) == 0)
			continue;
		b->failed = true;
		printf("WRONG RESULT: %s, %s: %s gives %s, %s gives %s\n", shape->group,
			shape->label, c[0].name, hashes[0], c[i].name, hashes[i]);
	}
}

void
bench_goal(struct bench *b, const char *name, double goal, double value, bool at_least)
{
	if (b->goal_count == BENCH_GOALS_MAX) {
		b->failed = true;
		return;
	}
	struct bench_goal_entry *g = &b->goals[b->goal_count++];
	snprintf(g->name, sizeof(g->name), "%s", name);
	g->goal = goal;
	g->value = value;
	g->met = isfinite(value) && (at_least ? value >= goal : value <= goal);
}

void
bench_note(struct bench *b, const char *fmt, ...)
{
	va_list ap;

	if (b->note_count == BENCH_NOTES_MAX) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(b->notes[b->note_count], BENCH_TEXT_MAX, fmt, ap);
	va_end(ap);
	printf("%s\n", b->notes[b->note_count++]);
}

int
bench_finish(struct bench *b)
{
	if (b->goal_count > 0)
		printf("\n%-100s %10s %10s\n", "goal", "goal", "value");
	for (uint32_t i = 0; i < b->goal_count; i++)
		printf("%-100s %10.4g %10.4g  %s\n", b->goals[i].name, b->goals[i].goal,
			b->goals[i].value, b->goals[i].met ? "met" : "MISSED");
	if (b->quick)
		printf("(--quick: these figures mean nothing)\n");
	if (b->json_path != NULL && bench_report_write(b) != SLK_OK)
		b->failed = true;
	int status = b->failed ? 1 : 0;
	bench_free(b);
	return status;
}

int
bench_abort(struct bench *b, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "bench %s: ", b->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	bench_free(b);
	return 1;
}

void
bench_fill(uint64_t *seed, void *out, size_t len)
{
	uint8_t *p = out;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t z = (*seed += 0x9e3779b97f4a7c15ull);
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
		z ^= z >> 31;
		memcpy(p + i, &z, len - i < 8 ? len - i : 8);
	}
}
