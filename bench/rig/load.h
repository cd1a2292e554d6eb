/* What a bench wrote with --json, checked and read into memory: bench/README.md has the object.
 *
 * Nothing in a file is believed: an unknown shape, a figure that is no number or a text that is too long is refused with a
 * sentence that names the file and the field. Thread: any, one at a time per object.
 */
#ifndef SLK_BENCH_RIG_LOAD_H
#define SLK_BENCH_RIG_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

#define RIG_FILE_MAX (16u << 20)

/* ns per operation; NAN where the bench had no figure. */
struct rig_result {
	const char *group; /* "AES-256-GCM, one piece" */
	const char *label; /* "1024 B" */
	const char *contender;
	uint64_t rounds;
	uint64_t bytes_per_op;
	double best, q1, median, q3, p99, p999, max;
	double best_gb_per_s;
	const char *sha256; /* NULL: not compared */
};

struct rig_goal {
	const char *name; /* begins with the number */
	double goal, value;
	bool met;
};

struct rig_library {
	const char *name, *version;
};

struct rig_bench {
	const char *name;
	const char *failed; /* NULL: it ran; else why there are no figures */
	const char *commit;
	const char *when; /* UTC, "2026-11-24T17:00:00Z"; "" unknown */
	bool quick; /* its figures mean nothing */
	const char *cpu, *kernel;
	uint64_t cores, core;
	double load, tsc_ghz;
	struct rig_library *libraries;
	size_t library_count;
	struct rig_result *results;
	size_t result_count;
	struct rig_goal *goals;
	size_t goal_count;
	const char **notes;
	size_t note_count;
	void *tree; /* owns the texts */
};

/* Read a file. SLK_NOT_FOUND and others from errno, SLK_TOO_LARGE, SLK_MALFORMED, SLK_NO_MEMORY; free what was read. */
MUST_USE int rig_bench_load(const char *path, struct rig_bench **out_bench, struct slk_error *err);
void rig_bench_free(struct rig_bench *bench); /* NULL allowed */

/* Write the object of a bench that gave no figures. SLK_IO and others from errno. */
MUST_USE int rig_failure_write(
	const char *path, const char *bench, const char *why, struct slk_error *err);

#endif
