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
	struct fmt_jfile_header header;
	uint32_t seed;
};

/* One group: what is written at once and acknowledged together. */
struct jnl_group {
	uint8_t *buf; /* page-aligned, group_bytes */
	uint32_t len;
	int fd;
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
	struct seal_epoch *seal;
	uint8_t *key_body;
	size_t key_body_len;
	uint64_t written_in; /* id of the newest file that has its key block */
	struct jnl_epoch *next;
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
	_Atomic uint64_t durable_lsn, durable_pos, durable_file;
	_Atomic int status;
	_Atomic bool closed, sleeping;
	_Atomic(struct jnl_file *) next;
	int event_fd;

	/* lane thread */
	struct jnl_io io;
	void *io_instance;
	struct jnl_mark mark;
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
	sem_t hash_work;
	_Atomic bool hasher_sleeps, hasher_stop;
	_Atomic bool preparer_stop;
	pthread_mutex_t prepare_lock;
	pthread_cond_t prepare_cond;

	/* counters: written by one side, read by anyone */
	_Atomic uint64_t stat_blocks, stat_records, stat_plain, stat_written, stat_groups,
		stat_flushes, stat_rolls, stat_epochs;
	_Atomic uint64_t stat_flush_last_ns, stat_flush_max_ns;
};

struct jnl {
	struct jnl_config config;
	char dir[JNL_PATH_MAX];
	const struct slk_fs *fs;
	const struct slk_clock *clock;
	int lock_fd;
	uint8_t uuid[16];
	uint64_t opened_ns, opened_mono_ns, run;
	pthread_mutex_t files_lock; /* file ids and the pool of spares */
	uint64_t next_id;
	struct jnl_lane *lanes;
	unsigned lane_count;
};

/* files.c */
MUST_USE int jnl_path(const struct jnl *j, const char *name, char out[JNL_PATH_MAX]);
/* A lane file ready for blocks: a recycled spare or a new one filled with zeros; its header is durable. SLK_DISK_FULL if
 * the reserve would be touched. *out_file is to be freed and its descriptor closed. */
MUST_USE int jnl_file_prepare(
	struct jnl_lane *lane, struct jnl_file **out_file, struct slk_error *err);
/* Put a prepared file that was never written to back as a spare. */
void jnl_file_put_back(struct jnl_lane *lane, struct jnl_file *file);

/* recover.c */
struct jnl_recovered {
	uint64_t max_id;
	bool have_uuid;
	uint8_t uuid[16];
	bool learned[FMT_JFILE_LANES_MAX];
};
MUST_USE int jnl_recover(struct jnl *j, struct jnl_recovered *out_found,
	struct jnl_recovery *report, struct slk_error *err);

/* lane.c */
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
