/* The proof of a lane file: what was written into it, by SHA-256, and the appliance's signatures of that.
 *
 * Name: the file id as 20 decimal digits and ".slp", beside the lane file. It is a run of records, appended as the lane
 * file grows; whatever follows the last good record is a torn tail and does not count.
 *
 *     record: offset  size  field
 *             0       4     magic "SLJP"
 *             4       1     version, 1
 *             5       1     type: 1 pieces, 2 statement, 3 signature
 *             6       2     reserved, zero
 *             8       4     le32 length of the record in bytes, this head included
 *             12      4     le32 CRC-32C of the whole record with this field zero
 *             16      n     body
 *
 *     pieces: 0       8     le64 position of the first piece in the lane file
 *             8       4     le32 count, 1..8,192
 *             12      4     reserved, zero
 *             16      36*n  pieces: le32 length, SHA-256 of that many bytes
 *
 *     statement:
 *             0       16    journal uuid, as in the lane file
 *             16      8     le64 file id
 *             24      4     le32 lane
 *             28      4     le32 flags: bit 0 final: the file is closed; bit 1 closed by recovery; bit 2 read back: hashed
 *                           from the disk at a later start, not from what was written; bit 3 opening: never stored,
 *                           only says to kmsd how far the lane had come when the journal was opened again
 *             32      8     le64 run, as in the lane file
 *             40      8     le64 position: all bytes before it are covered
 *             48      8     le64 pieces
 *             56      8     le64 data blocks
 *             64      8     le64 records
 *             72      8     le64 plaintext bytes
 *             80      8     le64 key blocks
 *             88      32    key commitments: SHA-256 over (le64 epoch id, le64 stream id, commitment) of each key block
 *             120     32    running hash: SHA-256 over the pieces, 36 bytes each
 *             152     8     le64 id of the file before it in its lane, 0: the chain begins here
 *             160     32    running hash of that file's final statement, zeros if there is none
 *             192     8     le64 made, Unix time in ns
 *
 *     signature:
 *             0       32    SHA-256 of the statement's body
 *             32      2     le16 S, length of the signature, 8..512
 *             34      2     le16 P, length of the public key, 1..576
 *             36      2     le16 A, length of the signing key's ARN, 1..2048
 *             38      10    reserved, zero
 *             48      S     signature of that digest for the purpose "journal" (format/attest.h)
 *             48+S    P     public key, DER SubjectPublicKeyInfo
 *             48+S+P  A     ARN of the signing key
 *
 * Pieces follow one another without a gap from position 0: the header page, then each block as written (bytes that no block
 * could be read from: pieces of at most 1 MiB). A pieces record of position 0 begins a new pass: what stands behind it is
 * reckoned anew. Thread: any; functions are pure.
 */
#ifndef SLK_FORMAT_PROOF_H
#define SLK_FORMAT_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_PROOF_NAME_MAX 32u /* with terminator */
#define FMT_PROOF_HEAD_BYTES 16u
#define FMT_PROOF_HASH_BYTES 32u
#define FMT_PROOF_PIECE_BYTES 36u
#define FMT_PROOF_PIECES_MAX 8192u /* of one record */
#define FMT_PROOF_PIECE_MAX (1u << 22) /* bytes that one piece covers */
#define FMT_PROOF_STATEMENT_BYTES 200u
#define FMT_PROOF_SIGNATURE_HEAD_BYTES 48u
#define FMT_PROOF_RECORD_MAX \
	(FMT_PROOF_HEAD_BYTES + 16u + FMT_PROOF_PIECES_MAX * FMT_PROOF_PIECE_BYTES)
#define FMT_PROOF_FINAL 1u
#define FMT_PROOF_BY_RECOVERY 2u
#define FMT_PROOF_READ_BACK 4u
#define FMT_PROOF_OPENING 8u

enum fmt_proof_type {
	FMT_PROOF_PIECES = 1,
	FMT_PROOF_STATEMENT = 2,
	FMT_PROOF_SIGNATURE = 3,
};

struct fmt_proof_statement {
	uint8_t journal_uuid[16];
	uint64_t file_id;
	uint32_t lane, flags;
	uint64_t run;
	uint64_t position, pieces;
	uint64_t blocks, records, plain_bytes, keys;
	uint8_t key_hash[FMT_PROOF_HASH_BYTES];
	uint8_t hash[FMT_PROOF_HASH_BYTES];
	uint64_t previous_id;
	uint8_t previous_hash[FMT_PROOF_HASH_BYTES];
	uint64_t made_ns;
};

struct fmt_proof_signature {
	uint8_t digest[FMT_PROOF_HASH_BYTES]; /* of the statement */
	struct slk_span signature, public_key, key_arn;
};

/* A decoded record; spans are borrowed from what was decoded. */
struct fmt_proof_record {
	enum fmt_proof_type type;
	size_t bytes; /* of the record */
	/* pieces */
	uint64_t position;
	uint32_t count;
	struct slk_span entries; /* count * 36 bytes */
	/* statement */
	struct fmt_proof_statement statement;
	struct slk_span raw; /* its 200 bytes: what the digest is of */
	/* signature */
	struct fmt_proof_signature signature;
};

/* "00000000000000000042.slp". */
void fmt_proof_name(uint64_t file_id, char out[FMT_PROOF_NAME_MAX]);
/* True and *out_id if name is exactly such a name. */
bool fmt_proof_name_parse(const char *name, uint64_t *out_id);

/* One piece of a pieces record. */
static inline void
fmt_proof_piece_put(uint8_t out[FMT_PROOF_PIECE_BYTES], uint32_t len, const uint8_t *hash)
{
	slk_put_le32(out, len);
	for (unsigned i = 0; i < FMT_PROOF_HASH_BYTES; i++)
		out[4 + i] = hash[i];
}

/* Write a record. SLK_INVALID if a field is outside its limits, SLK_FULL. */
MUST_USE int fmt_proof_pieces_encode(
	uint64_t position, struct slk_span entries, uint8_t *out, size_t cap, size_t *out_len);
MUST_USE int fmt_proof_statement_encode(
	const struct fmt_proof_statement *statement, uint8_t *out, size_t cap, size_t *out_len);
MUST_USE int fmt_proof_signature_encode(
	const struct fmt_proof_signature *signature, uint8_t *out, size_t cap, size_t *out_len);

/* The 200 bytes of a statement alone. SLK_TRUNCATED, SLK_MALFORMED. */
MUST_USE int fmt_proof_statement_decode(
	struct slk_span in, struct fmt_proof_statement *out_statement);

/* The record at the beginning of in, strictly; what follows it is not looked at. SLK_TRUNCATED, SLK_MALFORMED,
 * SLK_BAD_VERSION, SLK_BAD_CRC; *out_record is untouched on error. */
MUST_USE int fmt_proof_decode(struct slk_span in, struct fmt_proof_record *out_record);

#endif
