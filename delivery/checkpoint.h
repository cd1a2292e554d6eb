/* How far a delivery stream is: one small file for each, in deliverd's state directory, NAME.ID.checkpoint.
 *
 *     offset  size  field
 *     0       4     magic "SLDC"
 *     4       4     le32 version, 1
 *     8       8     le64 id of the delivery stream
 *     16      8     le64 id of the stream of the journal
 *     24      8     le64 number of the last batch that ended; 0: none
 *     32      8     le64 Unix time in ns from which on records count; 0: from the oldest on
 *     40      8     le64 arrival of the newest record of a batch that ended, Unix time in ns; 0: none
 *     48      8     le64 the plan's time, Unix time in ns; 0: no plan
 *     56      8     le64 arrival of the plan's oldest record, Unix time in ns; 0 without a plan
 *     64      8     le64 records of the plan; 0 without a plan
 *     72      4     le32 number of shards, 0..65,536
 *     76      4     reserved, zero
 *     80            then per shard, by number, each once:
 *             4     le32 number
 *             4     reserved, zero
 *             8     le64 sequence number of the first record that is not delivered
 *             8     le64 sequence number behind the plan's last record; the same as before where none of them is planned
 *             4     le32 CRC-32C of all before
 *
 * A plan is the batch behind the last one that ended. While there is one, a restart gathers exactly its records again, under the
 * same number. The file is written beside itself, flushed, renamed over the old one, and the directory flushed; what is not
 * a checkpoint of this delivery stream, or is damaged, is refused by name and stays as it is. Thread: one at a time.
 */
#ifndef DELIVERY_CHECKPOINT_H
#define DELIVERY_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"

#define DLV_CHECKPOINT_SHARDS_MAX 65536u
#define DLV_CHECKPOINT_HEAD_BYTES 80u
#define DLV_CHECKPOINT_SHARD_BYTES 24u

struct dlv_place {
	uint32_t shard;
	uint64_t next; /* the first record that is not delivered */
	uint64_t plan_end; /* behind the last one of the plan; next: none */
};

struct dlv_checkpoint {
	uint64_t delivery_id, stream_id;
	uint64_t number; /* of the last batch that ended */
	uint64_t begun_ns, reached_ns;
	uint64_t planned_ns, oldest_ns, plan_records; /* of batch number + 1; 0: no plan */
	struct dlv_place *places; /* by shard */
	size_t count, cap;
};

void dlv_checkpoint_fini(struct dlv_checkpoint *cp);
/* SLK_NO_MEMORY; *out is untouched on error. */
MUST_USE int dlv_checkpoint_copy(const struct dlv_checkpoint *cp, struct dlv_checkpoint *out);
/* NULL: nothing is known of the shard. */
struct dlv_place *dlv_checkpoint_find(const struct dlv_checkpoint *cp, uint32_t shard);
/* Find it, or make it with next and plan_end at sequence. SLK_LIMIT, SLK_NO_MEMORY. */
MUST_USE int dlv_checkpoint_get(
	struct dlv_checkpoint *cp, uint32_t shard, uint64_t sequence, struct dlv_place **out_place);
/* The planned batch has ended: its records lie behind. reached_ns: arrival of its newest record. */
void dlv_checkpoint_pass(struct dlv_checkpoint *cp, uint64_t reached_ns);

/* Malloc'd. SLK_NO_MEMORY. */
MUST_USE int dlv_checkpoint_encode(
	const struct dlv_checkpoint *cp, uint8_t **out_bytes, size_t *out_len);
/* SLK_TRUNCATED, SLK_MALFORMED, SLK_BAD_VERSION, SLK_BAD_CRC, SLK_NO_MEMORY. dlv_checkpoint_fini() frees *out. */
MUST_USE int dlv_checkpoint_decode(struct slk_span in, struct dlv_checkpoint *out);

struct dlv_checkpoint_file {
	const struct slk_fs *fs; /* NULL: slk_fs_posix() */
	const char *dir, *name; /* of the state; of the delivery stream */
	uint64_t delivery_id, stream_id;
};
/* SLK_NOT_FOUND: there is none yet. SLK_CORRUPT: the file is damaged or not of this delivery stream; SLK_DENIED, SLK_IO,
 * SLK_NO_MEMORY; with sentences that name the file. */
MUST_USE int dlv_checkpoint_load(
	const struct dlv_checkpoint_file *file, struct dlv_checkpoint *out, struct slk_error *err);
/* Durable when it returns SLK_OK; otherwise the old one or the new one is there. */
MUST_USE int dlv_checkpoint_store(const struct dlv_checkpoint_file *file,
	const struct dlv_checkpoint *cp, struct slk_error *err);
/* Also what was left of an interrupted store. SLK_OK if there is none. */
MUST_USE int dlv_checkpoint_remove(const struct dlv_checkpoint_file *file, struct slk_error *err);

#endif
