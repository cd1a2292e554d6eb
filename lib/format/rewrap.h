/* A side file of a journal: epoch keys that were wrapped anew, under another key or newer key material.
 *
 * Lane files are never rewritten. `sealock key rewrap` asks kmsd to re-encrypt wrapped data keys and writes the results
 * beside the lane files; readers take the newest entry of an epoch before the wrapped key in its key block
 * (format/keyblock.h). Name: "rewrap-", the number as 20 decimal digits, ".slr". Numbers grow by one. A file is written
 * under another name and gets its own when it is whole.
 *
 *     header: offset  size  field
 *             0       4     magic "SLJR"
 *             4       4     le32 version, 1
 *             8       8     le64 number, as in the name, 1..
 *             16      16    journal uuid, as in the lane files of the directory (format/jfile.h)
 *             32      8     le64 created, Unix time in ns
 *             40      4     le32 number of entries, 1..65,536
 *             44      4     reserved, zero
 *             48      8     le64 bytes of all entries
 *             56      32    digest of the side file before it (that of its trailer), zeros if there was none
 *             88      8     reserved, zero
 *
 *     entry:  0       8     le64 epoch id, above that of the entry before it
 *             8       8     le64 stream id
 *             16      32    key commitment of the epoch, as in its key block
 *             48      2     le16 K, length of the new key's ARN, 1..2048
 *             50      2     le16 W, length of the new wrapped key, a ciphertext blob, 1..16384
 *             52      4     reserved, zero
 *             56      K     the new key's ARN
 *             56+K    W     the new wrapped key
 *
 *     trailer: 0      4     magic "SLJS"
 *             4       2     le16 S, length of the signature, 8..512
 *             6       2     le16 P, length of the public key, 1..576
 *             8       2     le16 A, length of the signing key's ARN, 1..2048
 *             10      6     reserved, zero
 *             16      32    SHA-256 of header and entries
 *             48      S     signature of that digest for the purpose "rewrap" (format/attest.h)
 *             48+S    P     public key, DER SubjectPublicKeyInfo
 *             48+S+P  A     ARN of the signing key
 *
 * An epoch is named by journal, epoch id and stream id, and held by its commitment: a reader accepts no data key that
 * does not derive it, so whoever forges a side file can make a reader ask for nothing, but not believe anything. The
 * encryption context is that of the key block. Digest and signature are not checked here (seal/attest.h does).
 * Thread: any; functions are pure.
 */
#ifndef SLK_FORMAT_REWRAP_H
#define SLK_FORMAT_REWRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "format/keyblock.h"

#define FMT_REWRAP_NAME_MAX 40u /* with terminator */
#define FMT_REWRAP_DIGEST_BYTES 32u
#define FMT_REWRAP_HEADER_BYTES 96u
#define FMT_REWRAP_ENTRY_HEAD_BYTES 56u
#define FMT_REWRAP_TRAILER_HEAD_BYTES 48u
#define FMT_REWRAP_ENTRIES_MAX 65536u
#define FMT_REWRAP_SIGNATURE_MIN 8u
#define FMT_REWRAP_SIGNATURE_MAX 512u
#define FMT_REWRAP_PUBLIC_KEY_MAX 576u
#define FMT_REWRAP_TRAILER_MAX \
	(FMT_REWRAP_TRAILER_HEAD_BYTES + FMT_REWRAP_SIGNATURE_MAX + FMT_REWRAP_PUBLIC_KEY_MAX + \
		FMT_KEYBLOCK_ARN_MAX)
#define FMT_REWRAP_MAX (64u << 20) /* bytes of a side file that anyone reads */

struct fmt_rewrap_header {
	uint64_t number;
	uint8_t journal_uuid[16];
	uint64_t created_ns;
	uint32_t count;
	uint64_t entries_bytes;
	uint8_t previous[FMT_REWRAP_DIGEST_BYTES];
};

struct fmt_rewrap_entry {
	uint64_t epoch_id;
	uint64_t stream_id;
	struct slk_span commitment; /* 32 bytes */
	struct slk_span key_arn;
	struct slk_span wrapped;
};

struct fmt_rewrap_trailer {
	uint8_t digest[FMT_REWRAP_DIGEST_BYTES];
	struct slk_span signature;
	struct slk_span public_key;
	struct slk_span key_arn;
};

/* A decoded file; spans are borrowed from what was decoded. */
struct fmt_rewrap {
	struct fmt_rewrap_header header;
	struct slk_span signed_part; /* header and entries: what the digest is of */
	struct slk_span entries;
	struct fmt_rewrap_trailer trailer;
};

/* "rewrap-00000000000000000042.slr". */
void fmt_rewrap_name(uint64_t number, char out[FMT_REWRAP_NAME_MAX]);
/* True and *out_number if name is exactly such a name, of a number from 1. */
bool fmt_rewrap_name_parse(const char *name, uint64_t *out_number);

static inline size_t
fmt_rewrap_entry_bytes(const struct fmt_rewrap_entry *entry)
{
	return FMT_REWRAP_ENTRY_HEAD_BYTES + entry->key_arn.len + entry->wrapped.len;
}

/* Write one of the three parts. SLK_INVALID if a field is outside its limits, SLK_FULL if cap is too small. That entries
 * are in order and add up to the header's sums is the caller's part; the decoder tells. */
MUST_USE int fmt_rewrap_header_encode(
	const struct fmt_rewrap_header *header, uint8_t out[FMT_REWRAP_HEADER_BYTES]);
MUST_USE int fmt_rewrap_entry_encode(
	const struct fmt_rewrap_entry *entry, uint8_t *out, size_t cap, size_t *out_len);
MUST_USE int fmt_rewrap_trailer_encode(
	const struct fmt_rewrap_trailer *trailer, uint8_t *out, size_t cap, size_t *out_len);

/* One entry at the beginning of *r, strictly, and move behind it. SLK_TRUNCATED, SLK_MALFORMED. */
MUST_USE int fmt_rewrap_entry_decode(struct slk_reader *r, struct fmt_rewrap_entry *out_entry);

/* Parse a whole file strictly, every entry included; out_rewrap->entries can then be walked with
 * fmt_rewrap_entry_decode(). SLK_TRUNCATED, SLK_MALFORMED, SLK_BAD_VERSION; *out_rewrap is untouched on error. */
MUST_USE int fmt_rewrap_decode(struct slk_span in, struct fmt_rewrap *out_rewrap);

#endif
