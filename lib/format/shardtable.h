/* Body of a shard table block: the next sequence number of every shard that a lane knows, so that
 * numbers never restart although old files are deleted. A file begins with one or more of these
 * blocks unless the lane knows no shard.
 *
 *     offset  size  field
 *     0       4     le32 number of entries, 1..
 *     4       4     reserved, zero
 *     8       -     per entry (24 bytes): le64 stream id, le32 shard, le32 zero, le64 next sequence
 * number
 *
 * Thread: any; functions are pure.
 */
#ifndef SLK_FORMAT_SHARDTABLE_H
#define SLK_FORMAT_SHARDTABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_SHARDTABLE_HEAD_BYTES 8u
#define FMT_SHARDTABLE_ENTRY_BYTES 24u
#define FMT_SHARDTABLE_ENTRIES_MAX 4096u /* of one block */

struct fmt_shard {
	uint64_t stream_id;
	uint32_t shard;
	uint64_t next_sequence;
};

static inline uint64_t
fmt_shardtable_bytes(uint32_t count)
{
	return FMT_SHARDTABLE_HEAD_BYTES + (uint64_t)count * FMT_SHARDTABLE_ENTRY_BYTES;
}

/* Write the body: fmt_shardtable_bytes(count). SLK_INVALID for a count outside 1..4096, SLK_FULL.
 */
MUST_USE int fmt_shardtable_encode(
	const struct fmt_shard *shards, uint32_t count, uint8_t *out, size_t cap, size_t *out_len);

/* Check the whole body; then entries may be fetched. SLK_TRUNCATED, SLK_MALFORMED. */
MUST_USE int fmt_shardtable_check(struct slk_span in, uint32_t *out_count);
/* index < the count that fmt_shardtable_check() gave. */
struct fmt_shard fmt_shardtable_entry(struct slk_span in, uint32_t index);

#endif
