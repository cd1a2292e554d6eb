/* The journal: an append-only, sealed log of one or more lanes in one or several directories. Writer's side.
 *
 * A lane is one worker x one journal directory at a time: one open file, one epoch per stream, one flush per group commit. The
 * worker (one thread) stages records, seals them as blocks into the lane's group buffer with jnl_lane_append(), and
 * hands the group over with jnl_lane_submit(); the lane's own thread (jnl_lane_run(), or a test that turns
 * jnl_lane_turn() by hand) writes it, flushes it, moves the durable watermark and prepares the next file. Groups overlap:
 * group k + 1 is written while group k is flushed; a flush covers only writes whose completions were reaped before it
 * was submitted. File layout: docs/FORMATS.md. Readers: journal/reader.h.
 *
 *     worker:  append* -> submit -> ... poll jnl_lane_durable(): everything up to that position is acknowledged
 *
 * Positions (lsn) are lane-wide byte counts that only grow while the journal is open; they are not stored.
 * A failed flush or write is fatal for the directory: nothing is ever written to it again until a restart has recovered it. A
 * lane that has another one goes on there in a new file: what was not durable is written again as it was sealed (carry.c), and
 * acknowledged then. Without another one jnl_lane_status() becomes SLK_DISK_FAILED, and nothing is acknowledged any more.
 * SLK_DISK_FULL: no directory had room; it clears when room is back.
 */
#ifndef SLK_JOURNAL_JOURNAL_H
#define SLK_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/status.h"
#include "format/context.h"
#include "format/record.h"
#include "seal/epoch.h"
#include "seal/seal.h"

#define JNL_BLOCK_PLAIN_MAX \
	((1u << 21) - 16384u) /* plaintext bytes of one block, tables included */
#define JNL_BLOCK_RECORDS_MAX 4096u /* records of one block */

struct jnl_config {
	const char *dir; /* must exist, owned by the caller's uid, not world-writable */
	/* More of them, on other disks; absolute paths then. Lane i writes to directory i modulo their number, in the order given, and
	 * in the next healthy one with room while it has none. */
	const char *const *more_dirs;
	unsigned more_count; /* 0..7 */
	/* Once for each directory that fails, from any thread; NULL: not told. */
	void (*dir_failed)(void *arg, const char *dir, int status);
	void *arg;
	unsigned lane_count; /* 1..64 */
	uint64_t file_bytes; /* capacity of a lane file; multiple of 1 MiB; 0: 64 MiB */
	uint32_t group_bytes; /* a group buffer; multiple of 4 KiB; 0: 2 MiB */
	uint32_t group_count; /* buffers per lane, 2..16; 0: 4 */
	uint64_t
		reserve_bytes; /* free space below which appends answer SLK_DISK_FULL; 0: 4 files */
	const char *io; /* "auto" (NULL), "uring", "sync" */
	bool direct; /* O_DIRECT where the file system has it */
	bool integrity; /* hash what is written; a notary (journal/notary.h) must take the hashes and have them signed */
	/* Group buffers in /dev/shm, where readers at the tip find them (docs/FORMATS.md). Only where an engine seals straight into
	 * them: one that copies plaintext there first must not. */
	bool share_tail;
	const struct slk_fs *fs; /* NULL: slk_fs_posix() */
	const struct slk_clock *clock; /* NULL: slk_clock_system() */
	const struct jnl_io *
		sim_io; /* asynchronous I/O of a simulator, or of a mirrored pair (journal/mirror.h); NULL: by io.
			 * With it, descriptors are its own: no lock is taken and nothing is mapped */
};

/* What recovery found, for the log and for tests. */
struct jnl_recovery {
	uint64_t files; /* lane files seen */
	uint64_t files_unclosed; /* without a footer: scanned */
	uint64_t blocks_scanned;
	uint64_t torn_files; /* with a torn tail: kept aside as NAME.torn-OFFSET, never deleted */
	uint64_t torn_bytes;
	uint64_t
		corrupt_blocks; /* damage below the highest position known durable: reported as loss */
	uint64_t corrupt_bytes;
};

struct jnl;
struct jnl_lane;

/* Lock the directory (SLK_EXISTS if another process holds it), recover it, open a fresh file per lane. Ends all earlier
 * epochs. Fails with a sentence if the directory is not writable, not ours, or its disk is full. Corruption is reported
 * in *out_report and does not prevent the start. */
MUST_USE int jnl_open(const struct jnl_config *config, struct jnl **out_journal,
	struct jnl_recovery *out_report, struct slk_error *err);
/* Why readers at the tip read the disk though share_tail was asked for; "" if they do not. Thread: any, after jnl_open(). */
const char *jnl_lane_tail_error(const struct jnl_lane *lane);
/* Close after every lane's thread has ended (see jnl_lane_close()); NULL allowed. A lane that was not closed is left as
 * a crash would leave it, for recovery to close. */
void jnl_close(struct jnl *journal);

struct jnl_lane *jnl_lane(struct jnl *journal, unsigned index);

/* --- worker's side; thread: the lane's worker --- */

/* Begin an epoch: derive its key, prepare its key block, keep it alive over rolls. data_key is borrowed until return.
 * wrapped and key_arn are stored in the key block, which is written before the epoch's first data block in each file.
 * *out_epoch is owned by the lane; end it with jnl_lane_epoch_end(). Writes nothing yet, so an idle stream costs no block.
 * SLK_TOO_LARGE (a key block of more than 32 KiB), SLK_LIMIT (2^24 epochs in one file), SLK_DISK_FAILED, SLK_NO_MEMORY,
 * and what seal_epoch_new() returns. */
struct jnl_epoch_params {
	uint64_t stream_id;
	const char *stream_arn;
	const char *key_arn;
	const struct fmt_context *context;
	struct slk_span wrapped;
	const struct slk_secret *data_key;
	uint64_t max_blocks; /* 0: the hard maximum */
	uint64_t max_bytes;
};
MUST_USE int jnl_lane_epoch_begin(struct jnl_lane *lane, struct seal_thread *thread,
	const struct jnl_epoch_params *params, struct seal_epoch **out_epoch);
/* Wipe the epoch's key. NULL allowed. */
void jnl_lane_epoch_end(struct jnl_lane *lane, struct seal_epoch *epoch);

/* The next sequence number of a shard: 0 for a new one, otherwise behind whatever recovery found. */
uint64_t jnl_lane_next_sequence(struct jnl_lane *lane, uint64_t stream_id, uint32_t shard);

/* No record of the shard gets a number below this one; 0 and what is lower already change nothing. SLK_LIMIT as for
 * jnl_lane_append(). */
MUST_USE int jnl_lane_raise_sequence(
	struct jnl_lane *lane, uint64_t stream_id, uint32_t shard, uint64_t at_least);

/* Seal records as one block of (epoch's stream, shard). Payloads of 512 bytes and more are sealed straight from where
 * they lie, smaller ones are gathered first. The records' bytes are borrowed until return only.
 * count: 1..JNL_BLOCK_RECORDS_MAX; records and their table (24 bytes each) together at most JNL_BLOCK_PLAIN_MAX and what
 * fits into a group buffer.
 * SLK_AGAIN: no buffer is free (back-pressure: keep the records and try again after the lane has moved);
 * SLK_KEY_EXHAUSTED: begin a new epoch; SLK_DISK_FULL; SLK_DISK_FAILED; SLK_TOO_LARGE; SLK_LIMIT (a new shard beyond what a
 * file's shard table may take: file_bytes / 96 shards). Nothing of the records is written on error. */
struct jnl_append {
	uint64_t first_sequence;
	uint64_t lsn; /* acknowledged once jnl_lane_durable() >= lsn */
	uint64_t seal_cycles; /* time-stamp counter around the seal call (gathering included) */
	uint32_t block_bytes; /* as written */
};
MUST_USE int jnl_lane_append(struct jnl_lane *lane, struct seal_thread *thread,
	struct seal_epoch *epoch, uint32_t shard, const struct fmt_record *records, uint32_t count,
	struct jnl_append *out_append);

/* True if what was appended should be handed over now: the disk is idle, or one flush is under way, nothing waits behind
 * it and the group is worth a write of its own (256 KiB). A worker submits then; it never waits for a full block or
 * group while the disk is idle. Full groups are handed over by jnl_lane_append() itself. */
bool jnl_lane_ready(const struct jnl_lane *lane);
/* Pad and hand over what was appended; no-op (SLK_OK) without anything. SLK_AGAIN if the ring is full. */
int jnl_lane_submit(struct jnl_lane *lane);

/* Once a turn of the worker: take what was not durable along when the lane's disk has failed. Nothing to do otherwise, and no
 * system call. SLK_OK; SLK_AGAIN: it is under way; SLK_DISK_FULL, SLK_DISK_FAILED. */
int jnl_lane_move(struct jnl_lane *lane);
/* The worker will not call again: a lane that waits for it ends. */
void jnl_lane_abandon(struct jnl_lane *lane);

uint64_t jnl_lane_durable(const struct jnl_lane *lane);
/* SLK_OK, SLK_DISK_FULL (clears by itself), SLK_DISK_FAILED (for good). */
int jnl_lane_status(const struct jnl_lane *lane);

/* Submit the rest, write the footer, ask the lane thread to end after flushing. The worker appends no more. SLK_AGAIN
 * while no buffer is free: call again after the lane has moved. SLK_DISK_FAILED: the lane thread ends too. */
MUST_USE int jnl_lane_close(struct jnl_lane *lane);

/* --- lane thread's side --- */

/* Loop until closed or failed; blocks while there is nothing to do (an eventfd is written by submit only when the
 * thread sleeps). Starts and ends one helper thread of its own, which prepares the next file, so that filling a file
 * never delays a flush. Returns SLK_OK after a clean close, else the failure. */
int jnl_lane_run(struct jnl_lane *lane);
/* One bounded step for tests and the simulator: reap, flush, write, prepare. Returns how much was done, SLK_END after a
 * clean close, or the failure. */
int jnl_lane_turn(struct jnl_lane *lane);

/* Counters, readable from any thread. */
struct jnl_lane_stats {
	uint64_t blocks, records, plain_bytes, written_bytes, groups, flushes, rolls, epochs;
	uint64_t flush_ns_last, flush_ns_max;
	uint64_t durable_lsn, appended_lsn;
	uint64_t moves; /* to another directory, since a disk had failed */
};
void jnl_lane_stats(const struct jnl_lane *lane, struct jnl_lane_stats *out_stats);

/* The directories. Thread: any. */
struct jnl_dir_info {
	const char *path; /* borrowed until the journal is closed */
	bool failed;
	unsigned lanes; /* that write there now */
	uint64_t free_bytes; /* 0 if it does not say */
};
unsigned jnl_dir_count(const struct jnl *journal);
void jnl_dir_info(const struct jnl *journal, unsigned index, struct jnl_dir_info *out_info);

#endif
