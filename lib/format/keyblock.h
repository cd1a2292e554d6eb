/* Body of a key block: everything a reader needs to ask for an epoch's data key, and to know that
 * it got the right one.
 *
 *     offset  size  field
 *     0       8     le64 epoch id, as in the block's header
 *     8       8     le64 stream id, as in the block's header
 *     16      32    key commitment (seal/epoch.h)
 *     48      2     le16 length of the stream's ARN, 1..2048
 *     50      2     le16 length of the CMK's ARN, 1..2048
 *     52      2     le16 length of the canonical encryption context (format/context.h), 2..8192
 *     54      2     le16 length of the wrapped data key, a ciphertext blob, 1..16384
 *     56      -     the four, in that order, strings without a terminator
 *
 * Thread: any; functions are pure.
 */
#ifndef SLK_FORMAT_KEYBLOCK_H
#define SLK_FORMAT_KEYBLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_KEYBLOCK_COMMITMENT_BYTES 32u
#define FMT_KEYBLOCK_ARN_MAX 2048u
#define FMT_KEYBLOCK_WRAPPED_MAX 16384u
#define FMT_KEYBLOCK_MAX 32768u

struct fmt_keyblock {
	uint64_t epoch_id;
	uint64_t stream_id;
	struct slk_span commitment; /* 32 bytes */
	struct slk_span stream_arn;
	struct slk_span key_arn;
	struct slk_span context;
	struct slk_span wrapped;
};

/* Write the body. SLK_INVALID if a length is outside its limits, SLK_FULL if cap is too small. */
MUST_USE int fmt_keyblock_encode(
	const struct fmt_keyblock *keyblock, uint8_t *out, size_t cap, size_t *out_len);

/* Parse strictly; spans are borrowed from in. SLK_TRUNCATED, SLK_MALFORMED. The context is not
 * decoded. */
MUST_USE int fmt_keyblock_decode(struct slk_span in, struct fmt_keyblock *out_keyblock);

#endif
