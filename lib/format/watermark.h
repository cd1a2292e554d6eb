/* A lane's page in DIR/watermark: how far its newest file is durable. One page of 4,096 bytes per
 * lane, of which the first 64 bytes are used, the rest are zero.
 *
 *     offset  size  field
 *     0       4     magic "SLJW"
 *     4       4     le32 version, 1
 *     8       8     le64 change count: odd while the page is being changed
 *     16      8     le64 file id
 *     24      8     le64 position: the file is durable up to here
 *     32      8     le64 records made durable since the journal was opened
 *     40      8     le64 plaintext bytes made durable since then
 *     48      8     le64 opened, Unix time in ns
 *     56      4     le32 process id of the writer
 *     60      4     le32 CRC-32C of bytes 0..59
 *
 * The writer changes it in place while others read. A copy whose count is odd or whose CRC does not
 * match was caught in between: copy again. Thread: any; functions are pure.
 */
#ifndef SLK_FORMAT_WATERMARK_H
#define SLK_FORMAT_WATERMARK_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_WATERMARK_BYTES 64u
#define FMT_WATERMARK_PAGE_BYTES 4096u

struct fmt_watermark {
	uint64_t change_count;
	uint64_t file_id;
	uint64_t position;
	uint64_t records;
	uint64_t plain_bytes;
	uint64_t opened_ns;
	uint32_t pid;
};

void fmt_watermark_encode(const struct fmt_watermark *mark, uint8_t out[FMT_WATERMARK_BYTES]);

/* SLK_AGAIN: caught in between, read again (a copy that stays so was torn by a crash).
 * SLK_NOT_FOUND: all zero, the lane was never used. SLK_TRUNCATED, SLK_MALFORMED, SLK_BAD_VERSION.
 */
MUST_USE int fmt_watermark_decode(struct slk_span in, struct fmt_watermark *out_mark);

#endif
