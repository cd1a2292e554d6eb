/* Lane files of a journal: their names and the header page that each begins with.
 *
 * Name: the file id as 20 decimal digits and ".slj". Ids are unique in a journal, only
 * grow and are never used again. "spare-" + the same is a file that waits for use; ".torn-OFFSET"
 * behind it a torn tail that recovery kept aside.
 *
 *     offset  size  field
 *     0       4     magic "SLJF"
 *     4       4     le32 version, 1
 *     8       8     le64 file id
 *     16      4     le32 lane
 *     20      4     reserved, zero
 *     24      16    journal uuid, the same in all files of a journal
 *     40      16    salt, random: initialises the CRC of every block of the file
 *     56      8     le64 capacity of the file in bytes, a multiple of 4,096
 *     64      8     le64 created, Unix time in ns
 *     72      8     le64 id of the lane's previous file, 0 for the first of an opening
 *     80      8     le64 run: the lowest file id of the opening that made this file
 *     88      8     le64 position at which the lane left its previous file, whose disk had failed; 0: it was closed
 *     96      3996  reserved, zero
 *     4092    4     le32 CRC-32C of bytes 0..4091
 *
 * The header is on disk before any block is. Blocks (format/block.h) begin at offset 4,096; the
 * last 4,096 bytes of the capacity are for the trailer block, which says where the footer is.
 * Thread: any; all functions are pure.
 */
#ifndef SLK_FORMAT_JFILE_H
#define SLK_FORMAT_JFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_JFILE_PAGE_BYTES 4096u
#define FMT_JFILE_SALT_BYTES 16u
#define FMT_JFILE_NAME_MAX 64u /* with terminator */
#define FMT_JFILE_LANES_MAX 64u
#define FMT_JFILE_CAPACITY_MIN (4u * FMT_JFILE_PAGE_BYTES)
#define FMT_JFILE_CAPACITY_MAX (1ull << 40)
#define FMT_JFILE_END_ALIGN 8u /* of previous_end: a block may begin there */

struct fmt_jfile_header {
	uint64_t file_id; /* 1.. */
	uint32_t lane;
	uint8_t journal_uuid[16];
	uint8_t salt[FMT_JFILE_SALT_BYTES];
	uint64_t capacity_bytes;
	uint64_t created_ns;
	uint64_t previous_id;
	uint64_t run;
	uint64_t previous_end; /* nothing of the previous file counts from here on; 0: all does */
};

/* Write the header page. */
void fmt_jfile_encode(const struct fmt_jfile_header *header, uint8_t out[FMT_JFILE_PAGE_BYTES]);

/* Parse a header page strictly. SLK_TRUNCATED, SLK_MALFORMED, SLK_BAD_VERSION, SLK_BAD_CRC;
 * *out_header is untouched on error. A page of zeros is SLK_MALFORMED. */
MUST_USE int fmt_jfile_decode(struct slk_span in, struct fmt_jfile_header *out_header);

/* The initial value of the CRC of the file's blocks. */
uint32_t fmt_jfile_crc_seed(const uint8_t salt[FMT_JFILE_SALT_BYTES]);

/* A salt that gives this seed: for the header of a file whose blocks are all that is left. */
void fmt_jfile_salt_for(uint32_t seed, uint8_t out_salt[FMT_JFILE_SALT_BYTES]);

enum fmt_jfile_kind { FMT_JFILE_LANE, FMT_JFILE_SPARE };

/* "00000000000000000042.slj", "spare-00000000000000000042.slj". */
void fmt_jfile_name(enum fmt_jfile_kind kind, uint64_t file_id, char out[FMT_JFILE_NAME_MAX]);

/* True and *out_kind, *out_id if name is exactly one of these. Torn tails and foreign names are
 * false. */
bool fmt_jfile_name_parse(const char *name, enum fmt_jfile_kind *out_kind, uint64_t *out_id);

#endif
