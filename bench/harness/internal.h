/* Shared by the harness's own files. */
#ifndef SLK_BENCH_HARNESS_INTERNAL_H
#define SLK_BENCH_HARNESS_INTERNAL_H

#include "bench.h"
#include "base/hist.h"

#define BENCH_RESULTS_MAX 512u
#define BENCH_GOALS_MAX 32u
#define BENCH_LIBRARIES_MAX 8u
#define BENCH_NOTES_MAX 32u
#define BENCH_TEXT_MAX 192u
#define BENCH_NAME_MAX 64u

struct bench_machine {
	char cpu[128];
	char kernel[128];
	uint32_t cores;
	uint32_t core; /* the one that the bench is pinned to */
	double load; /* average over the last minute, when the bench began */
	double ticks_per_ns;
};

struct bench_result {
	char group[BENCH_NAME_MAX];
	char label[BENCH_NAME_MAX];
	char contender[BENCH_NAME_MAX];
	uint64_t ops;
	uint64_t bytes_per_op;
	uint64_t working_set_bytes;
	struct bench_stats stats;
	char hash[65]; /* SHA-256 of what it produced, "" if it was not checked */
};

struct bench_goal_entry {
	char name[BENCH_TEXT_MAX];
	double goal;
	double value;
	bool met;
};

struct bench_library_entry {
	const char *name;
	const char *version;
};

struct bench {
	const char *name;
	const char *json_path; /* NULL: none */
	const char *commit;
	char when[32]; /* it began, UTC; "" if the clock did not say */
	bool quick;
	bool failed;
	uint32_t rounds;
	bool rounds_given; /* by --rounds or --quick */
	struct bench_machine machine;
	struct bench_library_entry libraries[BENCH_LIBRARIES_MAX];
	uint32_t library_count;
	struct bench_result results[BENCH_RESULTS_MAX];
	uint32_t result_count;
	struct bench_goal_entry goals[BENCH_GOALS_MAX];
	uint32_t goal_count;
	char notes[BENCH_NOTES_MAX][BENCH_TEXT_MAX];
	uint32_t note_count;
	double *samples[BENCH_CONTENDERS_MAX]; /* ticks of each round */
	struct slk_hist *tails; /* one per contender, ticks */
};

/* Fill in all but core. */
void bench_machine_read(struct bench_machine *m);
/* Pin to core, or to the last one allowed if core < 0. SLK_INVALID if that is not allowed. */
MUST_USE int bench_machine_pin(struct bench_machine *m, int core);

/* The q-quantile of sorted[count], interpolated. */
double bench_quantile(const double *sorted, uint32_t count, double q);

/* Write the object described in bench/README.md. SLK_IO and others from errno, with a sentence on
 * stderr. */
MUST_USE int bench_report_write(const struct bench *b);

#endif
