/* From a lane to the notary: chapters of a file's proof, in order. The lane's hasher thread (or the lane thread itself, where
 * turns are made by hand) hashes what is written while its I/O is under way, and never waits for whoever takes the chapters: what exceeds JNL_CHAPTERS_MAX_BYTES is
 * dropped, and the notary reads that file back when it is closed. Internal to lib/journal.
 *
 *     hasher:  jnl_chapters_hash() ... _checkpoint(), _end()       notary: jnl_chapters_take()
 */
#ifndef SLK_JOURNAL_CHAPTERS_H
#define SLK_JOURNAL_CHAPTERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "journal/prover.h"

#define JNL_CHAPTERS_MAX_BYTES (32u << 20) /* of one lane, waiting */
#define JNL_CHECKPOINT_NS (10ull * 1000 * 1000 * 1000)
#define JNL_HASH_MANY_BYTES (2u << 20) /* at once by a thread of its own, at most */
#define JNL_HASH_SLICE_BYTES \
	(64u * 1024) /* then a lane thread that hashes looks at its I/O again */

struct jnl_lane;

struct jnl_chapter {
	struct jnl_chapter *next;
	uint64_t file_id;
	uint32_t lane;
	bool lapsed; /* the file was closed, but not all of it was hashed */
	bool after_left; /* the first of a file that follows one which has no end */
	bool has_statement;
	struct fmt_proof_statement statement; /* without what was before the file */
	size_t len;
	uint8_t bytes[]; /* a pieces record, or nothing */
};

struct jnl_chapters {
	/* the hasher */
	struct jnl_prover prover;
	uint64_t file_id; /* being hashed */
	bool lapsed; /* this file: pieces were dropped */
	bool after_left; /* to be said with the next chapter */
	uint32_t offset; /* in the group that is being hashed */
	uint64_t stated_pos; /* of the last statement */
	uint64_t stated_ns; /* monotonic */
	/* between both */
	pthread_mutex_t lock;
	struct jnl_chapter *first, **last;
	_Atomic uint64_t bytes;
};

/* SLK_NO_MEMORY. */
MUST_USE int jnl_chapters_init(struct jnl_chapters *c);
void jnl_chapters_fini(struct jnl_chapters *c); /* a zeroed struct is allowed */

/* Hash a slice of the next group; true if anything was done. */
bool jnl_chapters_hash(struct jnl_lane *lane);
/* All that was hashed is durable, and it is a whole file: state its end. */
void jnl_chapters_end(struct jnl_lane *lane);
/* All that was hashed is durable: state it, if a checkpoint is due. */
void jnl_chapters_checkpoint(struct jnl_lane *lane);

/* All that waits, oldest first; to be freed one by one. */
struct jnl_chapter *jnl_chapters_take(struct jnl_chapters *c);

#endif
