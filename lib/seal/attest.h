/* Checking what the appliance attested: signatures of format/attest.h, and the keys that may have made them.
 *
 * The attestation key is an ECC_NIST_P256 key in the HSM that belongs to the appliance. `sealock key attestation-key`
 * shows its public half; who keeps that file apart from the journal (pins it) can tell the appliance's signatures from
 * anybody else's. Thread: any; a set of keys is read-only once made.
 */
#ifndef SLK_SEAL_ATTEST_H
#define SLK_SEAL_ATTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/status.h"

#define SEAL_SHA256_BYTES 32u
#define SEAL_ATTEST_PEM_MAX 1024u /* of a P-256 key: 178 bytes */

/* FIPS 180-4. SLK_INTERNAL if libcrypto cannot. */
MUST_USE int seal_sha256(struct slk_span in, uint8_t out[SEAL_SHA256_BYTES]);

/* Is signature that of digest for purpose, by the P-256 key public_key (DER SubjectPublicKeyInfo, RFC 5480)? SLK_OK;
 * SLK_BAD_TAG: it is not; SLK_MALFORMED: no such public key; SLK_INVALID (purpose). */
MUST_USE int seal_attest_verify(struct slk_span public_key, const char *purpose,
	const uint8_t digest[SEAL_SHA256_BYTES], struct slk_span signature);

/* The keys that somebody pinned. */
struct seal_attest_keys;

/* One or more public keys in PEM (RFC 7468, 13), each P-256: an appliance whose token was replaced has several. Other
 * text around them is passed over. SLK_CONFIG with a sentence, SLK_NO_MEMORY. */
MUST_USE int seal_attest_keys_new(
	struct slk_span pem, struct seal_attest_keys **out_keys, struct slk_error *err);
/* The same from one key in DER. SLK_MALFORMED. */
MUST_USE int seal_attest_keys_from_der(struct slk_span der, struct seal_attest_keys **out_keys);
void seal_attest_keys_free(struct seal_attest_keys *keys); /* NULL allowed */
bool seal_attest_keys_has(const struct seal_attest_keys *keys, struct slk_span der);

/* The key as PEM, terminated. SLK_MALFORMED, SLK_FULL. */
MUST_USE int seal_attest_pem(struct slk_span der, char *out, size_t cap);

#endif
