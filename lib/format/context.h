/* Encryption context: a set of string pairs, as AWS KMS has it, and its canonical form.
 *
 * Order does not matter, comparison is exact and case-sensitive, a duplicate key is refused. The canonical form is what
 * becomes AAD and what is stored beside a wrapped key:
 *
 *     offset  size  field
 *     0       2     le16 number of pairs
 *     then per pair, sorted by key bytes:  le16 key length, key, le16 value length, value
 *
 * Limits: 0..64 pairs, key 1..1024 bytes, value 0..8192 bytes, canonical form at most FMT_CONTEXT_MAX bytes; UTF-8 without
 * NUL. Thread: a context belongs to one thread.
 */
#ifndef SLK_FORMAT_CONTEXT_H
#define SLK_FORMAT_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_CONTEXT_PAIRS_MAX 64u
#define FMT_CONTEXT_MAX 8192u

struct fmt_context;

MUST_USE int fmt_context_new(struct fmt_context **out_context);
void fmt_context_free(struct fmt_context *context); /* NULL allowed */

/* Copies both. SLK_EXISTS for a key that is there already, SLK_MALFORMED (UTF-8, NUL, empty key), SLK_LIMIT. */
MUST_USE int fmt_context_add(
	struct fmt_context *context, struct slk_span key, struct slk_span value);
size_t fmt_context_count(const struct fmt_context *context);
/* The index-th pair in canonical order; borrowed. */
void fmt_context_pair(const struct fmt_context *context, size_t index, struct slk_span *out_key,
	struct slk_span *out_value);

/* The same pairs? NULL counts as empty. */
bool fmt_context_equal(const struct fmt_context *a, const struct fmt_context *b);

/* Write the canonical form into out (cap FMT_CONTEXT_MAX always suffices). SLK_FULL. */
MUST_USE int fmt_context_encode(
	const struct fmt_context *context, uint8_t *out, size_t cap, size_t *out_len);
/* Parse a canonical form strictly: sorted, no duplicates, no trailing bytes. SLK_MALFORMED, SLK_TRUNCATED, SLK_LIMIT. */
MUST_USE int fmt_context_decode(struct slk_span in, struct fmt_context **out_context);

/* {"aws:kinesis:arn": arn}, the context of every epoch of a stream; of a delivery stream's direct puts {"aws:firehose:arn":
 * arn}. */
MUST_USE int fmt_context_for_stream(const char *stream_arn, struct fmt_context **out_context);

#endif
