/* Base64 without padding (RFC 4648, sections 3.2, 4 and 5), for secrets and tokens.
 *
 * Neither a branch nor an index depends on what is encoded or decoded, so secrets may go through. Thread: any; pure.
 */
#ifndef SLK_BASE_BASE64_H
#define SLK_BASE_BASE64_H

#include "base/bytes.h"

enum slk_base64 {
	SLK_BASE64, /* + and / */
	SLK_BASE64_URL, /* - and _ */
};

/* Characters of len bytes, without a terminator. */
static inline size_t
slk_base64_chars(size_t len)
{
	return len / 3 * 4 + (len % 3 == 0 ? 0 : len % 3 + 1);
}

/* Writes text with a terminator; cap: slk_base64_chars(in.len) + 1 suffices. SLK_FULL. */
MUST_USE int slk_base64_encode(enum slk_base64 alphabet, struct slk_span in, char *out, size_t cap);

/* SLK_MALFORMED (another character, a length that none has, bits that are left over and not zero), SLK_FULL. *out_len is
 * untouched on error; out may hold part of it. */
MUST_USE int slk_base64_decode(
	enum slk_base64 alphabet, struct slk_span text, uint8_t *out, size_t cap, size_t *out_len);

#endif
