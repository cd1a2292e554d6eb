/* The epochs whose key blocks a reader has met. Internal to lib/journal. Thread: its owner's. */
#ifndef SLK_JOURNAL_EPOCHS_H
#define SLK_JOURNAL_EPOCHS_H

#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "base/status.h"
#include "journal/reader.h"

#define JNL_EPOCHS_MISSING_MAX 16u

struct jnl_epoch_row {
	struct jnl_epoch_info info;
	uint8_t *memory; /* what the spans and strings of info point to */
};

/* Zeroed is empty. */
struct jnl_epochs {
	struct jnl_epoch_row *rows; /* sorted by epoch id */
	size_t count, cap;
	uint64_t missing
		[JNL_EPOCHS_MISSING_MAX]; /* epoch ids + 1 that no file had a key block of when it was looked for */
	unsigned missing_at;
};

/* The body of a key block. SLK_CORRUPT, SLK_NO_MEMORY. */
MUST_USE int jnl_epochs_learn(struct jnl_epochs *table, struct slk_span body);
/* What jnl_reader_epoch() promises: from the files of the journal, where it was not met. */
MUST_USE int jnl_epochs_find(struct jnl_epochs *table, const char *dir, const struct slk_fs *fs,
	uint64_t epoch_id, struct jnl_epoch_info *out_info);
void jnl_epochs_fini(struct jnl_epochs *table);

#endif
