/* Records of a UDP payload, by the framing of its listener. Nothing is copied: records are spans of
 * the payload.
 *
 *     datagram  one record, all of it
 *     lines     each line, without its LF or CRLF; what follows the last LF is a record too
 *     u16, u32  be16 or be32 length, then so many bytes; repeated to the end
 *
 * A record without a byte is counted, never stored: a blank line, a prefix of zero, an empty
 * datagram. A record over the limit is counted and skipped, and the next one is taken. A prefix
 * that points beyond the datagram, or is cut itself, makes the rest of it meaningless: one
 * RECORD_LENGTH and the end. Thread: the iterator belongs to one.
 */
#ifndef DP_NET_FRAMING_H
#define DP_NET_FRAMING_H

#include <stdbool.h>

#include "base/bytes.h"
#include "net/drop.h"

enum dp_framing { DP_FRAMING_DATAGRAM, DP_FRAMING_LINES, DP_FRAMING_U16, DP_FRAMING_U32 };

/* "datagram", "lines", "u16", "u32" -> framing; false for anything else. */
bool dp_framing_parse(const char *text, enum dp_framing *out_framing);
const char *dp_framing_name(enum dp_framing framing);

struct dp_framing_iter {
	struct slk_span rest;
	uint32_t record_max; /* bytes */
	enum dp_framing framing;
	bool done;
};

enum dp_framing_step {
	DP_FRAMING_RECORD, /* *out_record is the next record, 1..record_max bytes */
	DP_FRAMING_DROP, /* *out_drop says what was skipped; go on */
	DP_FRAMING_END,
};

/* payload is borrowed while the iterator is used. record_max: 1..FMT_RECORD_DATA_MAX. */
void dp_framing_begin(struct dp_framing_iter *it, enum dp_framing framing, uint32_t record_max,
	struct slk_span payload);

/* At most payload.len + 2 calls reach DP_FRAMING_END, which then repeats. Only the output of the
 * returned step is set. */
MUST_USE enum dp_framing_step dp_framing_next(
	struct dp_framing_iter *it, struct slk_span *out_record, enum dp_drop *out_drop);

#endif
