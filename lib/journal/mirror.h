/* A journal in two directories, on different devices: a mirrored pair, written and flushed in both before anything is
 * acknowledged. Each directory is a whole journal by itself, to the byte, for readers, verification and a later writer.
 *
 *     jnl_mirror_open() -> jnl_open() with jnl_mirror_fs() and jnl_mirror_io() -> ... -> jnl_close() -> jnl_mirror_close()
 *
 * Opening makes the two alike again, before recovery: a file that a crash has left open gets, in each directory, the blocks that
 * only the other one has; what one lacks is copied from the other; where one went on alone, the other follows it.
 *
 * When one fails: JNL_MIRROR_STOP ends the journal as the failure of a single directory does. JNL_MIRROR_GO_ON says so (failed()),
 * notes in the other one that it is ahead, durably, and only then goes on in it alone, until the next opening. A full disk is
 * no failure: the pair has as much room as the smaller one.
 * Thread: open and close: one; the seams: as those they stand for.
 */
#ifndef SLK_JOURNAL_MIRROR_H
#define SLK_JOURNAL_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/status.h"
#include "journal/io.h"

struct jnl_mirror;

enum jnl_mirror_policy { JNL_MIRROR_STOP, JNL_MIRROR_GO_ON };

struct jnl_mirror_config {
	const char *dirs[2]; /* must exist */
	enum jnl_mirror_policy policy;
	const char *io; /* as in jnl_config */
	const struct slk_fs *fs[2]; /* NULL: slk_fs_posix() */
	void (*failed)(void *arg, unsigned side,
		int status); /* once for each side, from any thread; NULL: not told */
	void *arg;
};

struct jnl_mirror_report {
	uint64_t repaired_blocks; /* that one directory lacked of a file both have */
	uint64_t copied_files, copied_bytes; /* that one lacked altogether */
	uint64_t removed_files; /* of the one that had stayed behind: the other has trimmed them */
};

/* Locks both directories. SLK_EXISTS (somebody writes in one), SLK_CONFIG (they are of two journals, or one and the same),
 * SLK_BAD_VERSION, what reading and copying meets. */
MUST_USE int jnl_mirror_open(const struct jnl_mirror_config *config, struct jnl_mirror **out_mirror,
	struct jnl_mirror_report *out_report, struct slk_error *err);
void jnl_mirror_close(struct jnl_mirror *mirror); /* after the journal; NULL allowed */

/* Seams for jnl_config: dir is dirs[0]. Borrowed until jnl_mirror_close(). */
const struct slk_fs *jnl_mirror_fs(const struct jnl_mirror *mirror);
const struct jnl_io *jnl_mirror_io(const struct jnl_mirror *mirror);

/* Bit i: dirs[i] has failed. Thread: any. */
unsigned jnl_mirror_failed(const struct jnl_mirror *mirror);

/* Where two directories that should be one and the same are not: closed files that differ (at their first difference), and files
 * that one lacks though it has older ones. Needs read access only. *out_files: looked at. */
MUST_USE int jnl_mirror_compare(const char *const dirs[2], const struct slk_fs *fs,
	void (*differs)(void *arg, const char *name, uint64_t offset, const char *sentence),
	void *arg, uint64_t *out_files, struct slk_error *err);

#endif
