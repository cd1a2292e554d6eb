/* The local port of ingestd: one SOCK_SEQPACKET connection per client for control, one shared memory for records.
 *
 * A client connects, is known by its peer credentials, and says HELLO with the sizes it wants. WELCOME brings one memfd
 * (sealed: it can neither shrink nor grow, and its seals are final), which both map. It holds a header page, a submission
 * ring that only the client writes, and a completion ring that only ingestd writes. All integers are little-endian.
 * Neither side believes what the other can write: it keeps its own positions, reads each of the peer's once and checks it,
 * and copies an entry before it looks at it.
 *
 * Memory:
 *
 *     offset  size  field
 *     0       4     magic "SLKQ"
 *     4       4     version, 1
 *     8       4     bytes of the submission ring: a power of two, 64 KiB..64 MiB; it begins at offset 4,096
 *     12      4     entries of the completion ring: a power of two, 64..65,536; it begins behind the submission ring
 *     16      4     data bytes of a record, at most
 *     20      108   reserved, zero
 *     128     8     client: submitted, bytes written to the submission ring since the start
 *     136     8     client: completions read since the start
 *     144     48    reserved, zero
 *     192     4     client: 1 if it sleeps and wants a BELL for the next completion, else 0
 *     196     60    reserved, zero
 *     256     8     ingestd: taken, bytes of the submission ring that may be written over
 *     264     8     ingestd: completions written since the start
 *     272     48    reserved, zero
 *     320     4     ingestd: 1 if it sleeps and wants a BELL for the next submission, else 0
 *     324     -     reserved, zero, up to 4,096
 *
 * Submission ring, entries one behind the other at (submitted mod bytes), none of them across the ring's end:
 *
 *     record: 0     4     entry length: header, key, data and zeros up to a multiple of 8
 *             4     1     type, 1
 *             5     1     reserved, zero
 *             6     2     partition key length, 1..1,024
 *             8     8     tag, the client's; its completion has it
 *             16    4     handle of the stream, from ATTACHED
 *             20    4     data length
 *             24    16    hash key: MD5 of the partition key, or an explicit one, as a 128-bit integer, big-endian
 *             40    -     partition key, data, zeros
 *     pad:    0     4     entry length, 8.. : up to the ring's end
 *             4     1     type, 2
 *             5     3     reserved, zero
 *             8     -     anything
 *
 * Completion ring, entries of 64 bytes:
 *
 *             0     8     tag
 *             8     4     status: 0, or a code of base/status.h in two's complement
 *             12    4     shard (0 on error, as is all that follows)
 *             16    8     sequence number
 *             24    8     arrival, Unix time in ns
 *             32    1     encryption type: 0 on error, 1 NONE, 2 KMS
 *             33    31    reserved, zero
 *
 * A record has one completion, after it is durable or refused; completions come in any order. ingestd takes no record
 * for whose completion there would be no room. A record whose completion was not read when the connection broke may be
 * stored or not.
 *
 * Control messages begin with: 0 magic "SLKQ", 4 version (1), 5 type, 6 two bytes reserved, zero, 8 request id (64 bits;
 * an answer repeats it). Then:
 *
 *     1 HELLO     16 4 bytes of the submission ring, 20 4 entries of the completion ring (0: ingestd's choice)
 *     2 WELCOME   16 4 status, 20 4 ring bytes, 24 4 entries, 28 4 largest data of a record; 32 sentence. On success
 *                 with the memfd
 *     3 ATTACH    16 4 flags (1: the client authorises its own callers; only for the uids that ingestd trusts so),
 *                 20 name or ARN of the stream, 1..320 bytes
 *     4 ATTACHED  16 4 status, 20 4 handle, 24 8 stream id, 32 1 encryption type, 33 7 reserved, zero; 40 sentence
 *     5 DETACH    16 4 handle, 20 4 reserved, zero; no answer: records with the handle are answered NotFound
 *     6 BELL      nothing more; no answer. Sent to a peer that says it sleeps. (Not an eventfd: its descriptor would be
 *                 shared with the client, which could fill it and make it block.)
 *
 * Waking without loss: who wants to sleep sets its flag, makes a full fence, and looks at the peer's position again. Who
 * publishes a position makes a full fence behind it, then looks at the flag, and sends a BELL if it is set. Of the two
 * fences one is first: either the sleeper sees the position, or the publisher sees the flag.
 *
 * Thread: any; the functions are pure.
 */
#ifndef SLK_FORMAT_PORT_H
#define SLK_FORMAT_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_PORT_DEFAULT_SOCKET "/run/sealock/ingest/port.sock"

#define FMT_PORT_PAGE_BYTES 4096u
#define FMT_PORT_RING_BYTES_MIN (1u << 16)
#define FMT_PORT_RING_BYTES_MAX (1u << 26)
#define FMT_PORT_COMPLETIONS_MIN 64u
#define FMT_PORT_COMPLETIONS_MAX 65536u
#define FMT_PORT_COMPLETION_BYTES 64u
#define FMT_PORT_ENTRY_ALIGN 8u
#define FMT_PORT_RECORD_BYTES 40u /* header of a record entry */
#define FMT_PORT_KEY_MAX 1024u
#define FMT_PORT_DATA_MAX (10u << 20) /* of any ingestd; WELCOME says what this one takes */
#define FMT_PORT_NAME_MAX 320u
#define FMT_PORT_SENTENCE_MAX 511u
#define FMT_PORT_MESSAGE_MAX (40u + FMT_PORT_SENTENCE_MAX)

/* Offsets of the shared positions and flags. */
#define FMT_PORT_AT_SUBMITTED 128u
#define FMT_PORT_AT_READ 136u
#define FMT_PORT_AT_CLIENT_SLEEPS 192u
#define FMT_PORT_AT_TAKEN 256u
#define FMT_PORT_AT_COMPLETED 264u
#define FMT_PORT_AT_INGESTD_SLEEPS 320u

enum fmt_port_encryption {
	FMT_PORT_ENCRYPTION_UNKNOWN,
	FMT_PORT_ENCRYPTION_NONE,
	FMT_PORT_ENCRYPTION_KMS
};

/* --- memory --- */

struct fmt_port_memory {
	uint32_t ring_bytes;
	uint32_t completions; /* entries */
	uint32_t data_max;
};

static inline size_t
fmt_port_memory_bytes(const struct fmt_port_memory *m)
{
	return (size_t)FMT_PORT_PAGE_BYTES + m->ring_bytes +
		(size_t)m->completions * FMT_PORT_COMPLETION_BYTES;
}

/* Sizes that a client may ask for: powers of two within the limits. */
bool fmt_port_memory_valid(const struct fmt_port_memory *memory);
/* Write the first 128 bytes of the header page. */
void fmt_port_memory_encode(const struct fmt_port_memory *memory, uint8_t out[128]);
/* in: at least 128 bytes. SLK_TRUNCATED, SLK_MALFORMED, SLK_BAD_VERSION; *out is untouched then. */
MUST_USE int fmt_port_memory_decode(struct slk_span in, struct fmt_port_memory *out_memory);

/* --- submission entries --- */

enum fmt_port_entry_type { FMT_PORT_RECORD = 1, FMT_PORT_PAD = 2 };

struct fmt_port_entry {
	enum fmt_port_entry_type type;
	uint32_t entry_bytes;
	/* Of a record: */
	uint16_t key_len;
	uint32_t data_len;
	uint64_t tag;
	uint32_t handle;
	uint8_t hash[16];
};

/* What a record takes in the ring. */
static inline uint32_t
fmt_port_record_bytes(uint32_t key_len, uint32_t data_len)
{
	uint32_t n = FMT_PORT_RECORD_BYTES + key_len + data_len;

	return (n + FMT_PORT_ENTRY_ALIGN - 1) & ~(FMT_PORT_ENTRY_ALIGN - 1);
}

/* Write the header: FMT_PORT_RECORD_BYTES of a record, 8 of a pad. Lengths are within the limits; entry_bytes is taken from
 * the struct. */
void fmt_port_entry_encode(const struct fmt_port_entry *entry, uint8_t *out);
/* Parse a header: in begins with it and has all bytes that an entry may have there (up to the ring's end or what was
 * submitted), 8 at least. SLK_TRUNCATED: the entry is longer than that; SLK_MALFORMED; SLK_TOO_LARGE: data above data_max.
 * *out is untouched on error. Only the header is read. */
MUST_USE int fmt_port_entry_decode(
	const uint8_t *in, uint64_t in_bytes, uint32_t data_max, struct fmt_port_entry *out_entry);

/* --- completions --- */

struct fmt_port_completion {
	uint64_t tag;
	int status;
	uint32_t shard;
	uint64_t sequence;
	uint64_t arrival_ns;
	enum fmt_port_encryption encryption;
};

void fmt_port_completion_encode(
	const struct fmt_port_completion *completion, uint8_t out[FMT_PORT_COMPLETION_BYTES]);
/* SLK_TRUNCATED, SLK_MALFORMED. */
MUST_USE int fmt_port_completion_decode(
	struct slk_span in, struct fmt_port_completion *out_completion);

/* --- control messages --- */

enum fmt_port_type {
	FMT_PORT_HELLO = 1,
	FMT_PORT_WELCOME = 2,
	FMT_PORT_ATTACH = 3,
	FMT_PORT_ATTACHED = 4,
	FMT_PORT_DETACH = 5,
	FMT_PORT_BELL = 6
};

#define FMT_PORT_ATTACH_TRUSTED 1u /* flag: the client authorises its own callers */

/* One message; members that its type has. Spans are borrowed. */
struct fmt_port_message {
	enum fmt_port_type type;
	uint64_t id;
	int status; /* WELCOME, ATTACHED */
	uint32_t ring_bytes; /* HELLO, WELCOME */
	uint32_t completions; /* HELLO, WELCOME */
	uint32_t data_max; /* WELCOME */
	uint32_t flags; /* ATTACH */
	struct slk_span name; /* ATTACH */
	uint32_t handle; /* ATTACHED, DETACH */
	uint64_t stream_id; /* ATTACHED */
	enum fmt_port_encryption encryption; /* ATTACHED */
	struct slk_span sentence; /* WELCOME, ATTACHED; not terminated; empty on success */
};

/* SLK_INVALID (a member outside its limits), SLK_FULL (FMT_PORT_MESSAGE_MAX always suffices). A sentence that is too long is
 * cut. */
MUST_USE int fmt_port_message_encode(
	const struct fmt_port_message *message, uint8_t *out, size_t cap, size_t *out_len);
/* Strict. SLK_TRUNCATED, SLK_MALFORMED (trailing bytes, too), SLK_BAD_VERSION; *out is untouched then. */
MUST_USE int fmt_port_message_decode(struct slk_span in, struct fmt_port_message *out_message);

#endif
