/* Wrapping epochs anew, sixteen at a time, into signed side files: what `sealock key rewrap` does with its plan.
 *
 *     add* -> [16: ReEncrypt at once -> entries] -> [16,384 entries: a side file] -> finish
 *
 * A ReEncrypt that may succeed later (HSM away, kmsd restarting, throttled) is repeated for half a minute. One that is
 * refused is tried with the epoch's next older wrap, and counted if there is none: the others go on. What was wrapped
 * anew is kept in a side file whatever ends the run. Thread: the process has one.
 */
#ifndef SLK_CLI_REWRAP_RUN_H
#define SLK_CLI_REWRAP_RUN_H

#include "cli.h"
#include "journal/rewrap_write.h"
#include "rewrap_plan.h"

#define CLI_REWRAP_FILE_ENTRIES 16384u /* of a side file */

struct cli_rewrap_run;

/* Borrowed for the life of the run. rewraps is refreshed after each side file. */
struct cli_rewrap_run_config {
	struct cli *cli;
	struct cli_rewrap_plan *plan;
	struct jnl_rewraps *rewraps;
	const struct seal_attest_keys *trusted;
	const char *to_arn;
	uint64_t total; /* for the progress line; 0: none is shown */
	uint32_t file_entries; /* of a side file; 0: CLI_REWRAP_FILE_ENTRIES */
	unsigned retry_ms,
		retry_limit; /* what may pass: how often, and how many times; 0: 1 s, 30 */
	/* Each side file that was written. */
	void (*wrote)(void *arg, const char *name, uint32_t count);
	/* The first epoch of a kind that could not be wrapped anew. */
	void (*failed)(void *arg, const struct slk_error *err);
	void *arg;
};

struct cli_rewrap_totals {
	uint64_t done; /* in side files that are on the disk */
	uint64_t failed;
};

/* Takes the directory's lock: the errors of jnl_rewrap_writer_new(). */
MUST_USE int cli_rewrap_run_new(const struct cli_rewrap_run_config *config,
	struct cli_rewrap_run **out_run, struct slk_error *err);
void cli_rewrap_run_free(struct cli_rewrap_run *run); /* NULL allowed */

/* Take one epoch (copied). Errors end the run: kmsd is away for good, the side file cannot be signed or written, SLK_END
 * (the operator stopped it). */
MUST_USE int cli_rewrap_run_add(
	struct cli_rewrap_run *run, const struct jnl_epoch_info *info, struct slk_error *err);
/* What is left, and the last side file. To be called after an error, too (aborted: nothing more is asked of kmsd but the
 * signature of what is there). */
MUST_USE int cli_rewrap_run_finish(struct cli_rewrap_run *run, bool aborted, struct slk_error *err);
struct cli_rewrap_totals cli_rewrap_run_totals(const struct cli_rewrap_run *run);

#endif
