/* A data key that programs name by a handle: a file in a directory of data keys, and the handle itself.
 *
 *     file: <32 hex digits of id>.datakey
 *     offset  size  field
 *     0       4     "SLKN"
 *     4       2     le16 version, 1
 *     6       2     le16 N, length of the name, 1..64
 *     8       16    id, random
 *     24      2     le16 B, length of the blob, 1..8,192
 *     26      6     0
 *     32      N     name: a-z A-Z 0-9 . _ -
 *     32+N    B     KMS ciphertext blob of the data key (32 bytes), with the encryption context {"sealock:data-key": name}
 *
 *     handle, which a program puts where it puts a 256-bit key
 *     0       8     "SLKDKEY1"
 *     8       16    id
 *     24      8     the first 8 bytes of SHA-256 of the 24 before: no key is taken for a handle, nor one that is mistyped
 *
 * Neither holds a secret: who may use the key is kmsd's to say (kms:Decrypt on its CMK). Thread: any; functions are pure, but
 * the caller gives the SHA-256.
 */
#ifndef SLK_FORMAT_DATAKEY_H
#define SLK_FORMAT_DATAKEY_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/status.h"
#include "format/context.h"

#define FMT_DATAKEY_NAME_MAX 64u /* without terminator */
#define FMT_DATAKEY_BLOB_MAX 8192u
#define FMT_DATAKEY_ID_BYTES 16u
#define FMT_DATAKEY_HANDLE_BYTES 32u
#define FMT_DATAKEY_HANDLE_HASHED 24u /* the bytes of a handle that its last eight are of */
#define FMT_DATAKEY_FILE_MAX (32u + FMT_DATAKEY_NAME_MAX + FMT_DATAKEY_BLOB_MAX)
#define FMT_DATAKEY_SUFFIX ".datakey"
#define FMT_DATAKEY_FILE_NAME_MAX 41u /* with terminator */
#define FMT_DATAKEY_CONTEXT_KEY "sealock:data-key"

struct fmt_datakey {
	uint8_t id[FMT_DATAKEY_ID_BYTES];
	char name[FMT_DATAKEY_NAME_MAX + 1];
	struct slk_span blob; /* of a decoded file: within it */
};

/* SLK_INVALID unless name is 1..64 of the letters above, and does not begin with a dot. */
MUST_USE int fmt_datakey_name_check(const char *name);

/* out: FMT_DATAKEY_FILE_MAX suffices. SLK_INVALID, SLK_FULL. */
MUST_USE int fmt_datakey_encode(
	const struct fmt_datakey *key, uint8_t *out, size_t cap, size_t *out_len);
/* SLK_MALFORMED, SLK_TRUNCATED, SLK_BAD_VERSION. */
MUST_USE int fmt_datakey_decode(struct slk_span in, struct fmt_datakey *out_key);

void fmt_datakey_file_name(
	const uint8_t id[FMT_DATAKEY_ID_BYTES], char out[FMT_DATAKEY_FILE_NAME_MAX]);
/* {"sealock:data-key": name}. SLK_NO_MEMORY. */
MUST_USE int fmt_datakey_context(const char *name, struct fmt_context **out_context);

/* The first 24 bytes of the handle; the caller appends eight bytes of their SHA-256. */
void fmt_datakey_handle_begin(
	const uint8_t id[FMT_DATAKEY_ID_BYTES], uint8_t out[FMT_DATAKEY_HANDLE_BYTES]);
/* The id, if handle begins as one; the caller compares its last eight bytes. SLK_MALFORMED. */
MUST_USE int fmt_datakey_handle_id(
	const uint8_t handle[FMT_DATAKEY_HANDLE_BYTES], uint8_t out_id[FMT_DATAKEY_ID_BYTES]);

#endif
