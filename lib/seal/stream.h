/* One long AES-GCM message in pieces: an object of many megabytes, sealed or opened while it passes.
 *
 * A stream is good for one message; its caller owns nonces as with bursts. What an opening stream gives out is not yet
 * authentic: only seal_stream_end() says so, and until then nothing of it may be believed or shown. Pieces of 16 KiB and more
 * are as fast as whole messages. Standard: NIST SP 800-38D; 96-bit IVs, 128-bit tags, at most 2^36 - 32 bytes (5.2.1.1).
 */
#ifndef SLK_SEAL_STREAM_H
#define SLK_SEAL_STREAM_H

#include "seal/seal.h"

#define SEAL_STREAM_BYTES_MAX ((UINT64_C(1) << 36) - 32)

struct seal_stream;

/* Begin a message. thread and key live until the stream is freed. aad: 1..2^31 - 1 bytes, taken now. SLK_INVALID, SLK_NO_MEMORY,
 * SLK_INTERNAL. Thread: one at a time. */
MUST_USE int seal_stream_seal(struct seal_thread *thread, const struct seal_key *key,
	const uint8_t nonce[SEAL_NONCE_BYTES], const uint8_t *aad, uint32_t aad_len,
	struct seal_stream **out_stream);
MUST_USE int seal_stream_open(struct seal_thread *thread, const struct seal_key *key,
	const uint8_t nonce[SEAL_NONCE_BYTES], const uint8_t *aad, uint32_t aad_len,
	struct seal_stream **out_stream);
void seal_stream_free(struct seal_stream *stream); /* wipes; NULL allowed */

/* The next len bytes; out may be in, and must not overlap with it in another way. SLK_TOO_LARGE: the message would be above the
 * limit, nothing was done; SLK_INVALID_STATE after the end; SLK_INTERNAL: OpenSSL failed, the stream is of no more use. */
MUST_USE int seal_stream_update(
	struct seal_stream *stream, const uint8_t *in, uint8_t *out, size_t len);
/* The end. tag is written when sealing and read when opening. SLK_BAD_TAG: what was given out is not authentic; compared in
 * constant time. SLK_INVALID_STATE, SLK_INTERNAL. */
MUST_USE int seal_stream_end(struct seal_stream *stream, uint8_t tag[SEAL_TAG_BYTES]);
uint64_t seal_stream_bytes(const struct seal_stream *stream); /* so far */

#endif
