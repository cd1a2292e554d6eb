/* Blocks: what a lane file consists of behind its header page. Every block is header, body and
 * padding to 8 bytes.
 *
 *     offset  size  field
 *     0       4     magic "SLJB"
 *     4       1     version, 1
 *     5       1     type: 1 key, 2 data, 3 pad, 4 shard table, 5 footer, 6 trailer, 7 lost, 8 moved
 *     6       2     reserved, zero
 *     8       4     le32 total length in bytes: header, body, padding; a multiple of 8
 *     12      4     le32 CRC-32C of the whole block with this field zero, initialised with the
 *                   file's salt
 *     16      8     le64 file id
 *     24      8     le64 position of the block in the file
 *     32      8     le64 position up to which the file was durable when this block was made
 *     40      8     le64 epoch id                  (key, data; otherwise 0)
 *     48      8     le64 stream id                 (key, data; otherwise 0)
 *     56      4     le32 shard                     (data; otherwise 0)
 *     60      4     le32 record count              (data: 1..; otherwise 0)
 *     64      8     le64 block number in the epoch, from 0: makes the nonce  (data; otherwise 0)
 *     72      8     le64 sequence number of the first record                 (data; otherwise 0)
 *     80      4     le32 body length; data: of the plaintext, without the tag
 *     84      4     reserved, zero
 *     88      8     le64 earliest arrival of a record, Unix time in ns       (data; otherwise 0)
 *     96      8     le64 latest arrival                                      (data; otherwise 0)
 *     104     24    reserved, zero
 *     128     n     body; data: ciphertext, then a tag of 16 bytes; pad and lost: zeros
 *     -       0..7  zeros
 *
 * Data: AES-256-GCM over the records (format/record.h) under the epoch's sealing key. Nonce: 32
 * zero bits, then the block number as 64 bits, big-endian. AAD: the 128 bytes of the header with
 * the CRC field zero. Groups of blocks start at multiples of 4,096; a pad block fills a group up. A
 * lost block stands where salvage found nothing readable: blocks around it keep their positions.
 *
 * Moved: a data block that was sealed for a place on a disk that failed before it was durable there. It has all fields of a data
 * block ("data" above), and 24 bytes behind the tag, the place it was sealed for: le64 file id, le64 position, le64 position that was
 * durable then. Ciphertext, tag and block number are those of then: nothing is sealed twice. Its AAD has type 2, the length of
 * a data block and that place.
 * Thread: any; all functions are pure.
 */
#ifndef SLK_FORMAT_BLOCK_H
#define SLK_FORMAT_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_BLOCK_MAGIC "SLJB"
#define FMT_BLOCK_HEADER_BYTES 128u
#define FMT_BLOCK_TAG_BYTES 16u
#define FMT_BLOCK_ALIGN 8u
#define FMT_BLOCK_MAX (1u << 22) /* total length */
#define FMT_GROUP_ALIGN 4096u
#define FMT_BLOCK_ORIGIN_BYTES 24u /* of a moved block, behind its tag */

enum fmt_block_type {
	FMT_BLOCK_KEY = 1,
	FMT_BLOCK_DATA = 2,
	FMT_BLOCK_PAD = 3,
	FMT_BLOCK_SHARDS = 4,
	FMT_BLOCK_FOOTER = 5,
	FMT_BLOCK_TRAILER = 6,
	FMT_BLOCK_LOST = 7,
	FMT_BLOCK_MOVED = 8,
};

struct fmt_block {
	enum fmt_block_type type;
	uint32_t total_bytes;
	uint64_t file_id;
	uint64_t position;
	uint64_t durable;
	uint64_t epoch_id;
	uint64_t stream_id;
	uint32_t shard;
	uint32_t record_count;
	uint64_t block_number;
	uint64_t first_sequence;
	uint32_t body_bytes; /* plaintext bytes of a data block */
	uint64_t first_arrival_ns;
	uint64_t last_arrival_ns;
};

/* Total length of a block with a body of body_bytes (of plaintext for data). */
uint64_t fmt_block_total(enum fmt_block_type type, uint64_t body_bytes);

/* Write the header with a zero CRC field: for data this is the AAD. total_bytes is taken from the
 * struct. */
void fmt_block_encode(const struct fmt_block *block, uint8_t out[FMT_BLOCK_HEADER_BYTES]);

/* Zero the padding and put the CRC; the block is complete then. in: total_bytes long, header and
 * body in place. */
void fmt_block_finish(uint8_t *in, uint32_t total_bytes, uint32_t crc_seed);

/* Parse and check a header alone, before the rest of the block was read: everything but the CRC.
 * SLK_TRUNCATED, SLK_MALFORMED, SLK_BAD_VERSION; *out_block is untouched on error. */
MUST_USE int fmt_block_decode(struct slk_span in, struct fmt_block *out_block);

/* Check a whole block at the start of in (which may be longer): header, file, position, CRC,
 * padding. SLK_TRUNCATED also if in ends before the block does; SLK_BAD_CRC also for a block of
 * another file or position: what a recycled file held before is never taken for a block of this
 * one. */
MUST_USE int fmt_block_check(struct slk_span in, uint32_t crc_seed, uint64_t file_id,
	uint64_t position, struct fmt_block *out_block);

/* The CRC seed under which in, a whole block, is right: a guess at the seed of a file that has lost its header. */
uint32_t fmt_block_seed(struct slk_span in);

/* Does it hold records? Data and moved blocks differ in nothing but where they were sealed. */
static inline bool
fmt_block_is_data(const struct fmt_block *block)
{
	return block->type == FMT_BLOCK_DATA || block->type == FMT_BLOCK_MOVED;
}

/* The header that a data or moved block (whole, checked) was sealed with; its CRC field is zero. */
void fmt_block_sealed_header(
	const uint8_t *raw, const struct fmt_block *block, uint8_t out[FMT_BLOCK_HEADER_BYTES]);

/* Write the data or moved block raw, which block describes, at another place: as a moved block of (file_id, position) in a file that
 * is durable up to `durable`; out takes fmt_block_total(FMT_BLOCK_MOVED, block->body_bytes). Not finished: fmt_block_finish(). */
void fmt_block_move(const uint8_t *raw, const struct fmt_block *block, uint64_t file_id,
	uint64_t position, uint64_t durable, uint8_t *out);

/* The header as it was authenticated, if it was sealed where it lies: raw with the CRC field zero. */
void fmt_block_aad(const uint8_t raw[FMT_BLOCK_HEADER_BYTES], uint8_t out[FMT_BLOCK_HEADER_BYTES]);

/* Parts of a block that passed fmt_block_check(). */
static inline struct slk_span
fmt_block_body(const uint8_t *raw, const struct fmt_block *block)
{
	return slk_span(raw + FMT_BLOCK_HEADER_BYTES, block->body_bytes);
}

static inline struct slk_span
fmt_block_tag(const uint8_t *raw, const struct fmt_block *block)
{
	return slk_span(raw + FMT_BLOCK_HEADER_BYTES + block->body_bytes, FMT_BLOCK_TAG_BYTES);
}

#endif
