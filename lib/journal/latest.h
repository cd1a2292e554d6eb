/* Where a shard's numbers have come to, by the durable files alone: no key, no running writer. Thread: any. */
#ifndef SLK_JOURNAL_LATEST_H
#define SLK_JOURNAL_LATEST_H

#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/status.h"

/* The sequence number that the shard's next record will have, as far as its last one is durable; 0 if none was ever written.
 * Looks into the newest file of each lane, by its footer and shard tables if it is closed, and block by block if it is still
 * written; into older ones only where that one does not say. fs: NULL for slk_fs_posix().
 * SLK_NOT_FOUND (no journal there), SLK_DENIED, SLK_IO, SLK_NO_MEMORY. */
MUST_USE int jnl_shard_latest(const char *dir, const struct slk_fs *fs, uint64_t stream_id,
	uint32_t shard, uint64_t *out_next_sequence, struct slk_error *err);

#endif
