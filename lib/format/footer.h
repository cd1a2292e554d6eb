/* Bodies of the footer and of the trailer of a lane file.
 *
 * The footer closes a file. It says what is in it, so that readers can seek and recovery can pass
 * the file by.
 *
 *     footer: offset  size  field
 *             0       4     le32 flags: bit 0 closed by recovery; bit 1 sparse entries have the latest arrival
 *                           before them; bit 2 made by salvage, as the file had none; bit 3 salvage made
 *                           the header page anew
 *             4       4     le32 number of shard entries
 *             8       4     le32 number of sparse entries
 *             12      4     le32 number of key entries
 *             16      8     le64 data blocks
 *             24      8     le64 records
 *             32      8     le64 plaintext bytes
 *             40      -     shard entries (72 bytes): le64 stream id, le32 shard, le32 zero,
 *                           le64 position of the first block, le64 blocks, le64 first sequence
 *                           number, le64 next sequence number, le64 earliest arrival, le64 latest
 *                           arrival, le64 zero
 *                     -     sparse entries (32 bytes), by position: le64 position of a data block,
 *                           le32 index of its shard entry, le32 zero, le64 first sequence number,
 *                           le64 latest arrival in any data block before this position, 0 for the first
 *                           (without flag bit 1: earliest arrival of the block, of no use for seeking)
 *                     -     key entries (24 bytes), by position: le64 epoch id, le64 stream id,
 *                           le64 position of the key block
 *
 *     trailer: 0      8     le64 position of the footer
 *
 * The trailer is a block of its own in the last 4,096 bytes of the capacity, written together with
 * the footer: a file whose trailer and footer both verify is closed. Thread: any; functions are
 * pure.
 */
#ifndef SLK_FORMAT_FOOTER_H
#define SLK_FORMAT_FOOTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_FOOTER_HEAD_BYTES 40u
#define FMT_FOOTER_SHARD_BYTES 72u
#define FMT_FOOTER_SPARSE_BYTES 32u
#define FMT_FOOTER_KEY_BYTES 24u
#define FMT_FOOTER_BY_RECOVERY 1u
#define FMT_FOOTER_TIMES 2u
#define FMT_FOOTER_SALVAGED 4u
#define FMT_FOOTER_HEADER_LOST 8u
#define FMT_FOOTER_FLAGS 15u
#define FMT_TRAILER_BYTES 8u

struct fmt_footer_shard {
	uint64_t stream_id;
	uint32_t shard;
	uint64_t position;
	uint64_t blocks;
	uint64_t first_sequence, next_sequence;
	uint64_t first_arrival_ns, last_arrival_ns;
};

struct fmt_footer_sparse {
	uint64_t position;
	uint32_t shard_index;
	uint64_t first_sequence;
	uint64_t latest_before_ns;
};

struct fmt_footer_key {
	uint64_t epoch_id;
	uint64_t stream_id;
	uint64_t position;
};

struct fmt_footer {
	uint32_t flags;
	uint32_t shard_count, sparse_count, key_count;
	uint64_t blocks, records, plain_bytes;
	/* Encoder: arrays of that many. Decoder: not used, see fmt_footer_*_at(). */
	const struct fmt_footer_shard *shards;
	const struct fmt_footer_sparse *sparse;
	const struct fmt_footer_key *keys;
	struct slk_span raw; /* decoder: the body */
};

static inline uint64_t
fmt_footer_bytes(uint64_t shards, uint64_t sparse, uint64_t keys)
{
	return FMT_FOOTER_HEAD_BYTES + shards * FMT_FOOTER_SHARD_BYTES +
		sparse * FMT_FOOTER_SPARSE_BYTES + keys * FMT_FOOTER_KEY_BYTES;
}

/* Write the body: fmt_footer_bytes(). SLK_FULL. */
MUST_USE int fmt_footer_encode(
	const struct fmt_footer *footer, uint8_t *out, size_t cap, size_t *out_len);

/* Parse and check everything; entries are then fetched by index from the borrowed span.
 * SLK_TRUNCATED, SLK_MALFORMED. */
MUST_USE int fmt_footer_decode(struct slk_span in, struct fmt_footer *out_footer);
struct fmt_footer_shard fmt_footer_shard_at(const struct fmt_footer *footer, uint32_t index);
struct fmt_footer_sparse fmt_footer_sparse_at(const struct fmt_footer *footer, uint32_t index);
struct fmt_footer_key fmt_footer_key_at(const struct fmt_footer *footer, uint32_t index);

void fmt_trailer_encode(uint64_t footer_position, uint8_t out[FMT_TRAILER_BYTES]);
/* SLK_TRUNCATED, SLK_MALFORMED (position not a multiple of 4,096, or 0). */
MUST_USE int fmt_trailer_decode(struct slk_span in, uint64_t *out_position);

#endif
