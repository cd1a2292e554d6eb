/* What a client carries back to us: shard iterators and tokens of lists, sealed so that nobody reads, makes or changes one.
 *
 *     0   8   1, big-endian
 *     8   12  nonce, random
 *     20  n   ciphertext of: u8 purpose, u8 kind, u16 reserved, u32 shard, u64 stream's id, u64 value, u64 time of issue in ms
 *             (Unix), u8 length and name of the stream, u16 length and text
 *     -   16  tag of AES-256-GCM over all before
 *
 * in base64 with padding, at most 512 characters for an iterator. The key is app.h's, or drawn when the process starts: then what an
 * earlier process sealed is refused. Thread: any, a sealer by one at a time.
 */
#ifndef GATEWAY_AWS_TICKET_H
#define GATEWAY_AWS_TICKET_H

#include "base/bytes.h"

#define GW_TICKET_TEXT 1400u /* with terminator */
#define GW_TICKET_NAME_MAX 129u
#define GW_TICKET_MORE_MAX 600u
#define GW_TICKET_KEY_BYTES 32u
#define GW_TICKET_LIFE_MS 300000u

enum gw_ticket_purpose { GW_TICKET_ITERATOR = 1, GW_TICKET_SHARDS = 2 };

struct gw_ticket {
	enum gw_ticket_purpose purpose;
	uint8_t kind; /* the purpose's own */
	uint32_t shard;
	uint64_t stream_id, value, issued_ms;
	char name[GW_TICKET_NAME_MAX];
	char more[GW_TICKET_MORE_MAX];
};

/* SLK_INTERNAL, SLK_NO_MEMORY. */
MUST_USE int gw_ticket_seal(const uint8_t key[GW_TICKET_KEY_BYTES], const struct gw_ticket *ticket,
	char out[GW_TICKET_TEXT]);
/* Surrounding quotes are taken off. SLK_MALFORMED: not one of ours, or of another purpose. SLK_INTERNAL, SLK_NO_MEMORY. Whether
 * it has expired is for the caller to say. */
MUST_USE int gw_ticket_open(const uint8_t key[GW_TICKET_KEY_BYTES], enum gw_ticket_purpose purpose,
	const char *text, struct gw_ticket *out);

#endif
