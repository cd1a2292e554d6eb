/* Records inside a block's plaintext: a table of fixed entries, then all partition keys and data in order.
 *
 *     plaintext = record_count x entry (24 bytes), then per record: partition key, data   (no padding)
 *
 *     entry:  offset  size  field
 *             0       4     le32 data length in bytes
 *             4       2     le16 partition key length in bytes (0..1024)
 *             6       1     source: 1 plain listener, 2 local put
 *             7       1     reserved, zero
 *             8       8     le64 arrival, Unix time in ns
 *             16      8     le64 reserved, zero (producer's record counter, with SRP)
 *
 * The table comes first so that a block of large records is sealed as one small piece and one piece per payload,
 * straight from the packet buffers. Record i of a block has the sequence number first_sequence + i.
 */
#ifndef SLK_FORMAT_RECORD_H
#define SLK_FORMAT_RECORD_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_RECORD_ENTRY_BYTES 24u
#define FMT_RECORD_KEY_MAX 1024u
#define FMT_RECORD_DATA_MAX (1u << 20)

enum fmt_record_source { FMT_SOURCE_LISTENER = 1, FMT_SOURCE_PUT = 2 };

/* One record; key and data are borrowed. */
struct fmt_record {
	struct slk_span key;
	struct slk_span data;
	uint64_t arrival_ns;
	uint8_t source;
};

/* Write one entry (24 bytes). key.len and data.len must be within the limits above. */
void fmt_record_entry_put(uint8_t *out, const struct fmt_record *record);

/* Bytes that count records take in a plaintext, beside their keys and data. */
static inline uint64_t
fmt_record_table_bytes(uint32_t count)
{
	return (uint64_t)count * FMT_RECORD_ENTRY_BYTES;
}

/* Walk a plaintext that came out of an authenticated block, still checking everything. */
struct fmt_record_iter {
	struct slk_span table; /* entries left */
	struct slk_span body; /* keys and data left */
};

/* count: from the block's header. SLK_TRUNCATED, SLK_MALFORMED (lengths don't add up to the plaintext, reserved != 0). */
MUST_USE int fmt_record_iter_init(
	struct fmt_record_iter *it, struct slk_span plaintext, uint32_t count);
/* SLK_OK and *out, or SLK_END. Cannot fail otherwise: init checked all entries. */
int fmt_record_iter_next(struct fmt_record_iter *it, struct fmt_record *out_record);

#endif
