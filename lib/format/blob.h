/* The KMS ciphertext blob: what Encrypt and GenerateDataKey hand out and Decrypt takes back. It
 * names its key and the backing key (one generation of key material on the token) itself, so that
 * Decrypt works without a key id and after a rotation. Opaque to clients.
 *
 *     offset  size  field
 *     0       4     magic "SLKB"
 *     4       1     version, 1
 *     5       1     algorithm, 1 = AES-256-GCM, 96-bit IV, 128-bit tag
 *     6       1     IV length, 12
 *     7       1     flags, 0 (none is defined)
 *     8       16    key id: the UUID of the CMK
 *     24      16    backing-key id: the CKA_ID of the object on the token
 *     40      12    IV, as the HSM used it; never all zero
 *     52      n     ciphertext || tag, n = 17 .. 4112
 *
 * The AAD of the wrap is bytes 0..39 (all that comes before the IV, which GCM authenticates itself)
 * followed by the canonical encryption context (format/context.h). It is never empty. The header is
 * in front and of fixed size, so no two pairs of header and context give the same AAD. Thread: any;
 * all functions are pure.
 */
#ifndef SLK_FORMAT_BLOB_H
#define SLK_FORMAT_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "format/context.h"

#define FMT_BLOB_KEY_ID_BYTES 16u
#define FMT_BLOB_IV_BYTES 12u
#define FMT_BLOB_TAG_BYTES 16u
#define FMT_BLOB_HEADER_BYTES 40u
#define FMT_BLOB_PREFIX_BYTES (FMT_BLOB_HEADER_BYTES + FMT_BLOB_IV_BYTES)
#define FMT_BLOB_PLAINTEXT_MAX 4096u
#define FMT_BLOB_MIN (FMT_BLOB_PREFIX_BYTES + 1u + FMT_BLOB_TAG_BYTES)
#define FMT_BLOB_MAX (FMT_BLOB_PREFIX_BYTES + FMT_BLOB_PLAINTEXT_MAX + FMT_BLOB_TAG_BYTES)
#define FMT_BLOB_AAD_MAX (FMT_BLOB_HEADER_BYTES + FMT_CONTEXT_MAX)

struct fmt_blob {
	uint8_t key_id[FMT_BLOB_KEY_ID_BYTES];
	uint8_t backing_id[FMT_BLOB_KEY_ID_BYTES];
	uint8_t iv[FMT_BLOB_IV_BYTES];
	struct slk_span sealed; /* ciphertext || tag, borrowed */
};

/* Write the AAD of a wrap under blob's ids (its iv and sealed are not looked at). context: NULL
 * counts as empty. cap FMT_BLOB_AAD_MAX always suffices. SLK_FULL. */
MUST_USE int fmt_blob_aad(const struct fmt_blob *blob, const struct fmt_context *context,
	uint8_t *out, size_t cap, size_t *out_len);

/* Write the blob. SLK_INVALID if sealed has a length that no wrap has or the IV is zero, SLK_FULL. */
MUST_USE int fmt_blob_encode(
	const struct fmt_blob *blob, uint8_t *out, size_t cap, size_t *out_len);

/* Read a blob; out->sealed borrows from in. Whatever is wrong with it (too short or long, foreign,
 * unknown version, algorithm or flag): SLK_INVALID_CIPHERTEXT, one answer for all. *out is
 * untouched on error. */
MUST_USE int fmt_blob_decode(struct slk_span in, struct fmt_blob *out_blob);

#endif
