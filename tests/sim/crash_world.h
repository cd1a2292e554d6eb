/* A small ingest on a simulated disk, and a model of what it promised.
 *
 * The world appends records whose bytes follow from an id, remembers which id lies at which sequence number, what was
 * acknowledged, and what a reader has seen. After each crash it opens the journal again, lets it recover, and checks:
 * everything acknowledged or seen is there; each shard is numbered from 0 without a gap; each number holds the record that
 * was last given it; jnl_verify() finds nothing. Failures end the test with the seed in the message. */
#ifndef SLK_TESTS_SIM_CRASH_WORLD_H
#define SLK_TESTS_SIM_CRASH_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "format/record.h"
#include "journal/inspect.h"
#include "attester.h"
#include "journal/journal.h"
#include "journal/notary.h"
#include "journal/reader.h"
#include "noncescan.h"
#include "simdisk.h"
#include "simpair.h"

#define WORLD_DIR "/sim"
#define WORLD_OTHER_DIR "/other"
#define WORLD_LANES 2u
#define WORLD_STREAMS 3u
#define WORLD_SHARDS 2u /* of each stream */

#define WORLD_HEAVY (1ull << 40) /* in the id of a large record */

struct world_shard {
	uint64_t *ids; /* by sequence number */
	uint64_t next, cap;
	uint64_t acked; /* first number that is not acknowledged */
	uint64_t seen; /* first number that no reader has seen */
};

struct world_append {
	uint64_t lsn, next;
	unsigned stream, shard, lane;
};

struct world {
	uint64_t seed;
	struct simdisk *disk;
	struct simdisk *other; /* with the second directory; NULL: there is one */
	struct simpair pair; /* of both, then */
	const struct slk_fs *fs;
	const struct jnl_io *io;
	struct seal_thread *seal;
	struct jnl *journal;
	struct attester attester;
	struct seal_attest_keys *trusted;
	struct jnl_notary *notary;
	bool hsm_there; /* false: most of the time */
	struct jnl_recovery recovery; /* of the last opening */
	struct seal_epoch *epochs[WORLD_LANES][WORLD_STREAMS];
	bool lane_closed[WORLD_LANES];
	unsigned shift; /* which lane a stream goes to changes with every opening */
	struct world_shard shards[WORLD_STREAMS][WORLD_SHARDS];
	struct world_append *appends;
	size_t append_count, append_cap;
	uint64_t next_id, next_key;
	bool heavy; /* large records: files fill up and roll */
	uint64_t appended, crashes, rolls; /* for the summary */
};

void world_init(struct world *w, uint64_t seed, struct seal_thread *seal);
/* In two directories on two disks. Cannot be copied or moved. */
void world_init_pair(struct world *w, uint64_t seed, struct seal_thread *seal);
void world_fini(struct world *w);

/* Open and recover. SLK_OK, or what jnl_open() said (a fault or a crash during recovery); err says more. */
int world_open(struct world *w, struct slk_error *err);
/* After world_open() and without faults: what recovery kept is what was promised, and verification is content. */
void world_check_recovered(struct world *w);
/* Look for repeated nonces in everything that lies on the disk. */
struct noncescan_report world_scan_nonces(struct world *w);
/* A reader from the beginning, beside the writer: all that is acknowledged, in order, with the right bytes. */
void world_check_live(struct world *w);

/* Is this the record of that id, byte by byte? */
bool world_is_record(uint64_t id, const struct fmt_record *record);
/* What unwraps the key of an epoch. */
MUST_USE int world_data_key(const struct jnl_epoch_info *info, struct slk_secret **out);

/* Append a few records somewhere. SLK_OK, SLK_AGAIN, SLK_DISK_FULL, SLK_DISK_FAILED and what else a fault brings. */
int world_append(struct world *w);
int world_submit(struct world *w, unsigned lane);
/* One turn of a lane; takes note of what became durable. SLK_END after a clean close. */
int world_turn(struct world *w, unsigned lane);
void world_end_epoch(struct world *w, unsigned lane, unsigned stream);
/* One turn of the notary; the appliance's HSM is away at times. */
int world_notarize(struct world *w);
/* Close all lanes, turn until they have ended, close the journal. The first failure, if any. */
int world_close(struct world *w);
/* The process dies now, on a disk that does nothing more for it. */
void world_crash(struct world *w, enum simdisk_crash how);

#endif
