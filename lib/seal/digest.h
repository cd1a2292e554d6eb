/* SHA-256 (FIPS 180-4) over many short inputs and over one long one that is looked at on the way.
 *
 * By libcrypto, which uses the processor's SHA instructions; many inputs at once by ipsec-mb's multi-buffer jobs where those are
 * faster, which is measured once in a process (docs/decisions/0006).
 * Nothing secret goes in. Thread: a digest belongs to one thread.
 */
#ifndef SLK_SEAL_DIGEST_H
#define SLK_SEAL_DIGEST_H

#include "base/bytes.h"
#include "base/status.h"
#include "seal/attest.h"

struct seal_digest;

/* SLK_NO_MEMORY, also if libcrypto has no SHA-256. */
MUST_USE int seal_digest_new(struct seal_digest **out_digest);
void seal_digest_free(struct seal_digest *digest); /* NULL allowed */

/* The running hash: begin anew, take bytes, and the value so far, after which it goes on. SLK_INTERNAL. */
MUST_USE int seal_digest_begin(struct seal_digest *digest);
MUST_USE int seal_digest_update(struct seal_digest *digest, struct slk_span in);
MUST_USE int seal_digest_value(const struct seal_digest *digest, uint8_t out[SEAL_SHA256_BYTES]);

/* One input as a whole; the running hash is not touched. SLK_INTERNAL. */
MUST_USE int seal_digest_one(
	struct seal_digest *digest, struct slk_span in, uint8_t out[SEAL_SHA256_BYTES]);

#define SEAL_DIGEST_MANY 32u /* inputs at once, at most */

/* count inputs, each as a whole; the running hash is not touched. SLK_RANGE, SLK_INTERNAL. */
MUST_USE int seal_digest_many(struct seal_digest *digest, const struct slk_span *in, unsigned count,
	uint8_t out[][SEAL_SHA256_BYTES]);
/* "libcrypto", or "ipsec-mb": who does many at once. Static storage. */
const char *seal_digest_many_name(const struct seal_digest *digest);

#endif
