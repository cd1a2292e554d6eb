/* A journal of one lane on a clock that stands, for unit tests of what comes after writing. Functions fail the running test. */
#ifndef SLK_TESTS_LIB_JOURNAL_RIG_H
#define SLK_TESTS_LIB_JOURNAL_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/journal.h"
#include "journal/reader.h"

#define JOURNAL_RIG_RECORD_BYTES 8192u /* of each record */

struct journal_rig {
	char dir[256];
	/* Of openings; NULL: the real one. journal_rig_quick_fs() flushes nothing, for tests of other things. */
	const struct slk_fs *fs;
	struct jnl_mirror
		*mirror; /* of the next opening: its seams are used; NULL: one directory */
	bool integrity, share_tail; /* of the next opening; false after journal_rig_init() */
	struct jnl *journal; /* NULL between openings */
	struct seal_thread *seal;
	struct slk_secret *data_key;
	struct seal_epoch *epochs[4]; /* by stream id */
	uint64_t mono_ns, wall_ns;
	struct slk_clock clock;
	/* What a reader on counting_fs did. */
	struct slk_fs counting_fs;
	uint64_t opens, read_bytes;
};

const struct slk_fs *journal_rig_quick_fs(void);
void journal_rig_init(struct journal_rig *rig);
void journal_rig_fini(struct journal_rig *rig);
void journal_rig_open(struct journal_rig *rig);
/* count blocks of one record each, of stream 1..3, all with this arrival; then durable. */
void journal_rig_append(
	struct journal_rig *rig, uint64_t stream_id, unsigned count, uint64_t arrival_ns);
/* End the lane and the journal; false: as a crash would. */
void journal_rig_close(struct journal_rig *rig, bool cleanly);
/* True if the lane file, or its proof ("slp"), is there. */
bool journal_rig_has(const struct journal_rig *rig, uint64_t file_id, const char *suffix);
/* Lane files that are there. */
unsigned journal_rig_files(const struct journal_rig *rig);

#endif
