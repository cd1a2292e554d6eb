/* Salvage: what can still be read of a damaged journal, copied into another directory, and what is lost of it.
 *
 * Every good block is kept, in its file and at its position, so that it opens and verifies as before: whatever lies between
 * bad blocks, in a file whose header page or end is gone, on a disk whose sectors cannot be read. In the place of what could
 * not be read stand lost blocks (format/block.h). Proofs (format/proof.h) and side files of re-wrapped keys are copied as
 * they are: the appliance's signatures go on proving all that is left. jnl_verify() of the result says the same losses.
 *
 * The damaged directory is only read, and no key is needed. Where a crash has left a file open, what lies behind the first
 * damage above the highest position known durable is left out, as recovery would: nothing of it was acknowledged.
 * Thread: any.
 */
#ifndef SLK_JOURNAL_SALVAGE_H
#define SLK_JOURNAL_SALVAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/status.h"

enum jnl_loss_kind {
	JNL_LOST_RANGE, /* bytes of a file, from offset */
	JNL_LOST_RECORDS, /* first_sequence up to, without, next_sequence of a shard: they lay before offset */
	JNL_LOST_KEY, /* the key block of epoch_id in this file, and no other has it: blocks of it open no more */
	JNL_LOST_HEADER, /* the header page: a new one was made from the blocks */
	JNL_LOST_END, /* footer or trailer: new ones were made; bytes of data besides, 0 if none is known of */
	JNL_LOST_FILE, /* all of it: nothing in it tells how it was made */
};

struct jnl_loss {
	enum jnl_loss_kind kind;
	const char *name; /* of the file */
	uint64_t file_id;
	uint64_t offset, bytes;
	uint64_t stream_id;
	uint32_t shard;
	uint64_t first_sequence, next_sequence;
	uint64_t epoch_id;
};

struct jnl_salvage_config {
	const char *dir; /* the damaged journal */
	const char *to; /* is made if it is not there; must be empty */
	const struct slk_fs *fs; /* NULL: slk_fs_posix() */
	void (*lost)(void *arg, const struct jnl_loss *loss); /* NULL: only counted */
	void *arg;
};

struct jnl_salvage_report {
	uint64_t files, files_damaged, files_lost;
	uint64_t blocks, records; /* kept: data blocks, and what is in them */
	uint64_t lost_ranges, lost_bytes, lost_records, lost_keys;
	uint64_t torn_bytes; /* left out above what was known durable */
	uint64_t unreadable_pages; /* of 4,096 bytes, that the disk did not give */
};

/* SLK_EXISTS (to is not empty), SLK_NOT_FOUND, SLK_DENIED, SLK_DISK_FULL, SLK_IO (writing), SLK_NO_MEMORY. Losses are no error. */
MUST_USE int jnl_salvage(const struct jnl_salvage_config *config,
	struct jnl_salvage_report *out_report, struct slk_error *err);

#endif
