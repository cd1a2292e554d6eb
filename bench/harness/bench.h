/* The harness of all benches: pinned core, warm-up, interleaved rounds, a table and a JSON object.
 *
 * Contenders of one comparison run in turn, round by round, in rotating order, so that a
 * neighbour's burst of load hits all of them. Of each the best round, the quartiles and the tail
 * are kept. Ratios and goals are taken between bests: on a shared machine the best round is the one
 * least disturbed; the medians stand beside them. A goal that is missed is shown as missed and
 * fails nothing; a wrong result (a hash that differs) fails the run. Thread: main only.
 */
#ifndef SLK_BENCH_HARNESS_BENCH_H
#define SLK_BENCH_HARNESS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define BENCH_CONTENDERS_MAX 10u

struct bench;

/* One way to do the job. run() does all ops of the comparison once. */
struct bench_contender {
	const char *name;
	void (*run)(void *arg);
	void *arg;
};

/* What one call of run() does. Names are copied, 63 bytes of each at most. */
struct bench_shape {
	const char *group; /* "AES-256-GCM, one piece" */
	const char *label; /* "1024 B" */
	uint64_t ops; /* operations per run() */
	uint64_t bytes_per_op; /* payload bytes */
	uint64_t
		working_set_bytes; /* what all contenders together do not exceed, each for itself */
};

/* ns per operation over the rounds; tail values come from a log-linear histogram (1/64 exact). */
struct bench_stats {
	double best;
	double q1;
	double median;
	double q3;
	double p99;
	double p999;
	double max;
	double best_cycles; /* TSC cycles per operation */
	uint32_t rounds;
};

/* Read the options (--json FILE, --quick, --rounds N, --core N, --help), pin the core, look at the
 * machine and print it. Returns SLK_OK, SLK_END after --help, or SLK_INVALID after a sentence on
 * stderr; SLK_NO_MEMORY. */
MUST_USE int bench_new(int argc, char **argv, const char *name, struct bench **out_bench);

bool bench_quick(const struct bench *b); /* tiny inputs: does it still work? */

/* No more rounds than these from here on, unless --rounds said how many: for what takes long. */
void bench_rounds_at_most(struct bench *b, uint32_t rounds);

/* Name a library and its version for the machine's description. Borrowed. */
void bench_library(struct bench *b, const char *name, const char *version);

/* Print a heading for the rows of the next bench_compare() calls: the contenders' names. */
void bench_heading(
	struct bench *b, const char *title, const struct bench_contender *c, uint32_t count);

/* Measure count contenders against one another, add the results, print a row. out_stats[count] may
 * be NULL. */
void bench_compare(struct bench *b, const struct bench_shape *shape,
	const struct bench_contender *c, uint32_t count, struct bench_stats *out_stats);

/* Add a result of single operations, measured by their contender itself, in ns: best is the
 * fastest one, the quartiles and the tail are the histogram's. Prints a row. */
struct slk_hist;
void bench_latency(struct bench *b, const struct bench_shape *shape, const char *contender,
	const struct slk_hist *latency_ns);

/* Add a result that the bench found by itself, in ns per operation. Prints a row. */
void bench_figure(struct bench *b, const struct bench_shape *shape, const char *contender,
	const struct bench_stats *stats);

/* All contenders must have produced the same bytes: hashes[count] are hex. The first is printed; a
 * difference fails the run. */
void bench_same_hash(struct bench *b, const struct bench_shape *shape,
	const struct bench_contender *c, uint32_t count, char hashes[][65]);

/* A figure that an issue states, with the issue's own number. at_least: met if value >= goal,
 * otherwise if value <= goal. name is copied. */
void bench_goal(struct bench *b, const char *name, double goal, double value, bool at_least);

/* A line under the tables, also in the JSON's "notes". Copied. */
void bench_note(struct bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print the goals, write the JSON, free. Returns the exit status: 0, or 1 if a check failed or the
 * file could not be written. */
int bench_finish(struct bench *b);

/* Stop now: a bench that cannot go on says why. Frees; returns the exit status 1. */
int bench_abort(struct bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Serialised time stamp, and how many of its ticks are a ns. */
uint64_t bench_ticks(void);
double bench_ticks_per_ns(const struct bench *b);

/* A generator of payload bytes that every bench shares: SplitMix64 from a fixed seed; every byte is
 * written. */
void bench_fill(uint64_t *seed, void *out, size_t len);

#endif
