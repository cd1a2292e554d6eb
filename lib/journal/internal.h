/* What the files of lib/journal share: the journal, its lanes, a lane's groups and files. Never included from outside.
 *
 * Ownership inside a lane: the worker fills groups [submitted, submitted + 1) and owns `file`, `shards`, `index`; the lane
 * thread owns groups [done, submitted) and the I/O instance. They meet in three atomic counters: submitted (worker ->
 * thread), done (thread -> worker), and `next` (prepared file, thread -> worker).
 */
#ifndef SLK_JOURNAL_INTERNAL_H
#define SLK_JOURNAL_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "format/block.h"
#include "format/footer.h"
#include "format/jfile.h"
#include "format/keyblock.h"
#include "format/shardtable.h"
#include "journal/chapters.h"
#include "journal/dirs.h"
#include "journal/io.h"
#include "journal/journal.h"
#include "journal/mark.h"
#include "journal/ring.h"
#include "journal/shards.h"

#define JNL_PATH_MAX 4096u
#define JNL_GROUPS_MAX 16u
#define JNL_SPARSE_BYTES (256u * 1024u) /* one sparse entry for this much of a file */
#define JNL_KEYS_MAX 4096u /* key blocks in one file, at most: then it rolls */
#define JNL_EPOCH_BUCKETS 1024u
#define JNL_SMALL_BYTES 512u /* payloads below are gathered */

/* A lane file that is open for writing. */
struct jnl_file {
	int fd;
	unsigned dir;
	struct fmt_jfile_header header;
	uint32_t seed;
};

/* One group: what is written at once and acknowledged together. */
struct jnl_group {
	uint8_t *buf; /* page-aligned, group_bytes */
	uint32_t len;
	int fd;
	unsigned dir;
	uint64_t file_id;
	struct fmt_jfile_header header; /* of its file */
	uint64_t pos; /* in its file; a multiple of 4,096 */
	uint64_t lsn_end;
	uint64_t records_end, plain_end; /* lane-wide totals behind this group */
	bool closes_file; /* holds the footer: the trailer page goes with it, and the descriptor is closed afterwards */
	uint8_t *trailer; /* page */
	uint64_t trailer_pos;
	enum {
		JNL_G_IDLE,
		JNL_G_WRITING,
		JNL_G_WRITTEN,
		JNL_G_TRAILER_WRITING,
		JNL_G_TRAILER_WRITTEN
	} state; /* lane thread */
};

struct jnl_epoch {
	struct seal_epoch *seal; /* NULL: it has ended, and blocks of it were not durable then */
	uint64_t id, stream_id;
	uint64_t last_lsn; /* behind its last block */
	uint8_t *key_body;
	size_t key_body_len;
	uint64_t written_in; /* id of the newest file that has its key block */
	struct jnl_epoch *next;
};

/* What was not durable when a disk failed, in the order it was sealed: entries of le64 lsn that is acknowledged with the block, then the
 * block as it was. carry.c. */
struct jnl_carry {
	uint8_t *bytes;
	size_t len, at; /* at: of the next entry to be written */
	uint64_t lsn; /* acknowledged with what was written up to now */
	uint64_t records, plain; /* of what is left */
	bool active;
};

/* How a lane leaves a directory whose disk has failed. The lane thread goes from one to the next, but for the worker, who takes the
 * file that was prepared for it:
 *
 *     STAYS -> DRAINING (what was submitted comes back) -> PREPARING (a file elsewhere) -> LEFT -> [worker] TAKEN -> STAYS
 */
enum jnl_leave {
	JNL_STAYS,
	JNL_LEAVE_DRAINING,
	JNL_LEAVE_PREPARING,
	JNL_LEAVE_LEFT,
	JNL_LEAVE_TAKEN
};

/* A file counts up to there. */
struct jnl_left {
	uint64_t file_id, position;
};

struct jnl_lane {
	struct jnl *journal;
	unsigned index;

	/* worker */
	struct jnl_group groups[JNL_GROUPS_MAX];
	struct jnl_ring ring; /* has the groups' buffers; empty: they are the lane's own */
	uint8_t *own; /* then here */
	size_t own_bytes;
	struct slk_error ring_error; /* why there is none, though it was asked for */
	bool group_open;
	struct jnl_file file;
	uint64_t file_pos; /* where the open group's next byte goes */
	struct jnl_shards shards; /* of the lane: next_sequence is what counts */
	struct jnl_shards index_shards; /* of the file */
	struct fmt_footer_sparse *sparse;
	uint32_t sparse_count, sparse_cap;
	uint64_t sparse_next_pos;
	struct fmt_footer_key *keys;
	uint32_t key_count;
	uint64_t file_blocks, file_records, file_plain, file_latest_ns;
	struct jnl_epoch *epochs[JNL_EPOCH_BUCKETS]; /* by the low bits of the epoch id's ordinal */
	struct jnl_epoch *past; /* that a carry may still want the key blocks of */
	struct jnl_carry carry;
	uint32_t epoch_ordinal; /* in the present file */
	uint64_t lsn, records, plain;
	uint8_t *stage; /* locked, out of dumps: plaintext passes through */
	size_t stage_bytes;
	struct iovec *pieces;
	bool closing;
	uint64_t last_id; /* of the file prepared before; under the journal's files_lock */

	/* between worker and lane thread */
	_Atomic uint64_t submitted, flushed, done,
		flushing; /* done <= flushed: hashed as well, the buffer is free */
	_Atomic uint64_t
		flushing_bytes; /* of the flush under way, the last one's when there is none */
	_Atomic uint64_t durable_lsn, durable_pos, durable_file;
	_Atomic int status;
	_Atomic bool closed, sleeping;
	_Atomic(struct jnl_file *) next;
	_Atomic(struct jnl_file *) refuge; /* the next one elsewhere */
	_Atomic int leave; /* enum jnl_leave */
	_Atomic bool carrying; /* not all that was carried is in groups */
	_Atomic unsigned dir; /* of the file that is written */
	_Atomic uint64_t handed_lsn; /* highest of what was handed over */
	int event_fd;

	/* lane thread */
	struct jnl_io io;
	void *io_instance;
	struct jnl_mark marks[JNL_DIRS_MAX]; /* by directory; fd -1: none */
	struct fmt_watermark published; /* the last one */
	struct jnl_left left; /* where nothing was durable any more when the disk failed */
	unsigned published_dir; /* under files_lock */
	bool note_left; /* the next one ends a move */
	unsigned in_flight; /* writes and flushes that did not come back */
	_Atomic uint64_t
		next_write; /* first group whose write was not submitted; read by the hasher */
	/* whoever hashes: the hasher thread, or the lane thread where turns are made by hand */
	uint64_t hashed; /* first group that was not hashed; <= next_write */
	struct jnl_chapters chapters;
	bool sync_busy;
	uint64_t sync_to;
	uint64_t sync_started_ns;
	bool ended;
	pthread_t preparer, hasher;
	bool preparer_runs, hasher_runs;
	bool hasher_was; /* running before the lane left a directory */
	sem_t hash_work;
	_Atomic bool hasher_sleeps, hasher_stop;
	_Atomic bool preparer_stop;
	pthread_mutex_t prepare_lock;
	pthread_cond_t prepare_cond;

	/* counters: written by one side, read by anyone */
	_Atomic uint64_t stat_blocks, stat_records, stat_plain, stat_written, stat_groups,
		stat_flushes, stat_rolls, stat_epochs;
	_Atomic uint64_t stat_flush_last_ns, stat_flush_max_ns, stat_moves;
};

struct jnl {
	struct jnl_config config;
	char dir[JNL_PATH_MAX];
	const struct slk_fs *fs; /* over all directories */
	const struct slk_fs *base; /* under it */
	struct jnl_dirs *dirs;
	const struct slk_clock *clock;
	int lock_fds[JNL_DIRS_MAX];
	uint8_t uuid[16];
	uint64_t opened_ns, opened_mono_ns, run;
	pthread_mutex_t files_lock; /* file ids and the pool of spares */
	uint64_t next_id;
	struct jnl_lane *lanes;
	unsigned lane_count;
};

/* files.c */
MUST_USE int jnl_path(const struct jnl *j, const char *name, char out[JNL_PATH_MAX]);
/* A lane file ready for blocks: a recycled spare or a new one filled with zeros; its header is durable. In the lane's own directory,
 * or where there is room. refuge: the lane leaves a file whose disk has failed, and the header says where that one ends. SLK_DISK_FULL if
 * the reserve would be touched everywhere; SLK_DISK_FAILED: no directory is left. *out_file is to be freed and its descriptor
 * closed. */
MUST_USE int jnl_file_prepare(
	struct jnl_lane *lane, bool refuge, struct jnl_file **out_file, struct slk_error *err);
/* Put a prepared file that was never written to back as a spare. */
void jnl_file_put_back(struct jnl_lane *lane, struct jnl_file *file);

/* recover.c */
struct jnl_recovered {
	struct jnl_left left[FMT_JFILE_LANES_MAX]; /* as the next newer file of the lane says */
	uint64_t max_id;
	bool have_uuid;
	uint8_t uuid[16];
	bool learned[FMT_JFILE_LANES_MAX];
};
MUST_USE int jnl_recover(struct jnl *j, struct jnl_recovered *out_found,
	struct jnl_recovery *report, struct slk_error *err);

/* dir_state.c */
/* A write or flush there has failed. True: others are left. */
bool jnl_dir_fail(struct jnl *j, unsigned dir, int status);
/* Check and lock the directories, compare what their lists say with the configuration. */
MUST_USE int jnl_dirs_take(struct jnl *j, struct slk_error *err);
/* The lane has written its first group elsewhere: note what all have left. */
void jnl_dirs_note_left(struct jnl_lane *lane, unsigned dir);

/* carry.c */
/* While blocks wait to be carried, the next sequence numbers of their shards are as before them: for the tables of a file that begins
 * with them. Give what is returned to jnl_carry_raise(). SLK_NO_MEMORY. */
MUST_USE int jnl_carry_lower(struct jnl_lane *lane, uint64_t **out_saved);
void jnl_carry_raise(struct jnl_lane *lane, uint64_t *saved);
void jnl_carry_fini(struct jnl_lane *lane);

/* lane.c, for carry.c */
MUST_USE int jnl_lane_make_room(struct jnl_lane *lane, uint64_t bytes);
void jnl_lane_take_file(struct jnl_lane *lane, struct jnl_file *file);
MUST_USE int jnl_lane_write_tables(struct jnl_lane *lane);
MUST_USE int jnl_lane_write_moved(
	struct jnl_lane *lane, const uint8_t *raw, const struct fmt_block *block);
MUST_USE int jnl_lane_close_file(struct jnl_lane *lane);

MUST_USE int jnl_lane_init(struct jnl_lane *lane, struct slk_error *err);
void jnl_lane_fini(struct jnl_lane *lane);

#ifdef SLK_PLANT_OLD_EPOCH
/* Never in a product: a fault that tests must find; see tests/lib/planted.c. */
struct jnl_plant {
	struct jnl_epoch_params params;
	struct slk_secret *key;
	uint8_t wrapped[1024];
};
void jnl_plant_old_epoch(struct jnl_lane *lane, const struct jnl_epoch_params *asked, uint64_t *id,
	struct jnl_plant *out_plant);
#endif

#endif
