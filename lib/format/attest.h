/* What the appliance signs when it attests a digest (request Attest of lib/kmsclient/kms.proto).
 *
 *     offset  size  field
 *     0       16    "sealock-attest-1", without a terminator
 *     16      1     0
 *     17      P     purpose, 1..32 of a-z and -
 *     17+P    1     0
 *     18+P    32    digest: SHA-256 of what is attested
 *
 * The signature is ECDSA over P-256 with SHA-256 of this text (FIPS 186-5), in DER (RFC 3279, 2.2.3). A purpose keeps a
 * signature for one thing from being shown for another. Verifying: seal/attest.h. Thread: any; functions are pure.
 */
#ifndef SLK_FORMAT_ATTEST_H
#define SLK_FORMAT_ATTEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define FMT_ATTEST_DIGEST_BYTES 32u
#define FMT_ATTEST_PURPOSE_MAX 32u /* without terminator */
#define FMT_ATTEST_TEXT_MAX (16u + 1u + FMT_ATTEST_PURPOSE_MAX + 1u + FMT_ATTEST_DIGEST_BYTES)

#define FMT_ATTEST_REWRAP "rewrap" /* a side file of the journal: format/rewrap.h */
#define FMT_ATTEST_IDENTIFY "identify" /* a random number: the signer shows that it has the key */
#define FMT_ATTEST_JOURNAL "journal" /* kept for checkpoints of the journal */
#define FMT_ATTEST_EVIDENCE "evidence" /* the manifest of a bundle for the auditor: docs/evidence.md */
#define FMT_ATTEST_CEREMONY "ceremony" /* the manifest of a ceremony's protocol: docs/ceremony.md */
#define FMT_ATTEST_AUDIT "audit" /* a head of the audit log: format/audit.h; the front alone */

/* SLK_INVALID unless purpose is 1..32 of a-z and -. */
MUST_USE int fmt_attest_purpose_check(const char *purpose);

/* Write the text. SLK_INVALID (purpose). */
MUST_USE int fmt_attest_text(const char *purpose, const uint8_t digest[FMT_ATTEST_DIGEST_BYTES],
	uint8_t out[FMT_ATTEST_TEXT_MAX], size_t *out_len);

#endif
