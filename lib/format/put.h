/* Messages of ingestd's put socket (SOCK_SEQPACKET): one record in, one reply after durability.
 *
 * A record may be larger than a socket takes in one message, so it travels as fragments:
 * consecutive messages with one request id, in order, without gap or overlap. The first fragment
 * (offset 0) carries the stream's name and the partition key, later ones carry data only. A client
 * finishes one record before it begins the next, and may have several records without a reply.
 * Replies come in any order. All integers are little-endian.
 *
 *     put:    offset  size  field
 *             0       4     magic "SLKP"
 *             4       1     version, 1
 *             5       1     type, 1
 *             6       2     reserved, zero
 *             8       8     request id, chosen by the client
 *             16      4     total data length of the record, 0..1 MiB
 *             20      4     offset of this fragment in the data
 *             24      4     length of this fragment; may be 0 only if the total is 0
 *             28      2     stream name length, 1..128 in the first fragment, 0 in later ones
 *             30      2     partition key length, 1..1024 in the first fragment, 0 in later ones
 *             32      -     stream name, partition key, fragment
 *
 *     reply:  0       4     magic "SLKP"
 *             4       1     version, 1
 *             5       1     type, 2
 *             6       2     reserved, zero
 *             8       8     request id
 *             16      4     status: 0 or a code of base/status.h in two's complement
 *             20      4     shard (0 on error)
 *             24      8     sequence number (0 on error)
 *             32      2     length of the error's sentence, 0..511; 0 on success
 *             34      6     reserved, zero
 *             40      -     the sentence, without a terminator
 *
 * Decoders are pure; spans they return are borrowed from the input. Thread: any.
 */
#ifndef SLK_FORMAT_PUT_H
#define SLK_FORMAT_PUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "format/record.h"

#define FMT_PUT_HEADER_BYTES 32u
#define FMT_PUT_REPLY_HEADER_BYTES 40u
#define FMT_PUT_STREAM_MAX 128u
#define FMT_PUT_ERROR_MAX 511u
/* Data bytes of one fragment at most: a whole message stays far below a socket's default send
 * buffer (212,992). */
#define FMT_PUT_FRAGMENT_MAX 65536u
#define FMT_PUT_MESSAGE_MAX \
	(FMT_PUT_HEADER_BYTES + FMT_PUT_STREAM_MAX + FMT_RECORD_KEY_MAX + FMT_PUT_FRAGMENT_MAX)
#define FMT_PUT_REPLY_MAX (FMT_PUT_REPLY_HEADER_BYTES + FMT_PUT_ERROR_MAX)

#define FMT_PUT_DEFAULT_SOCKET "/run/sealock/ingest/put.sock"

struct fmt_put {
	uint64_t request_id;
	uint32_t total_len;
	uint32_t offset;
	struct slk_span stream; /* not terminated; empty unless offset is 0 */
	struct slk_span key; /* empty unless offset is 0 */
	struct slk_span fragment;
};

struct fmt_put_reply {
	uint64_t request_id;
	int status;
	uint32_t shard;
	uint64_t sequence;
	struct slk_span error; /* not terminated */
};

/* Write one fragment. SLK_INVALID if a field is outside the limits above, SLK_FULL if it does not
 * fit into cap (FMT_PUT_MESSAGE_MAX always suffices). *out_len is untouched on error. */
MUST_USE int fmt_put_encode(const struct fmt_put *put, uint8_t *out, size_t cap, size_t *out_len);

/* Parse one message strictly. SLK_TRUNCATED, SLK_MALFORMED (magic, type, reserved, lengths,
 * trailing bytes), SLK_BAD_VERSION, SLK_TOO_LARGE (the record). *out is untouched on error. */
MUST_USE int fmt_put_decode(struct slk_span in, struct fmt_put *out);

/* The same for replies; a sentence longer than FMT_PUT_ERROR_MAX is cut by the encoder. */
MUST_USE int fmt_put_reply_encode(
	const struct fmt_put_reply *reply, uint8_t *out, size_t cap, size_t *out_len);
MUST_USE int fmt_put_reply_decode(struct slk_span in, struct fmt_put_reply *out);

#endif
