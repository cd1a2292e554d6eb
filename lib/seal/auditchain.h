/* The chain of the audit log (format/audit.h): one step of it, and going through files to find the first bad entry.
 *
 * Used by kmsd, which goes on after a restart from the last line that is sound, and by whoever verifies a log. Signatures
 * of heads are checked by the caller, to whom every sound line is given (seal/attest.h). Thread: the owner's.
 */
#ifndef SLK_SEAL_AUDITCHAIN_H
#define SLK_SEAL_AUDITCHAIN_H

#include "format/audit.h"

#define SEAL_AUDIT_TORN_MAX (17u << 20) /* what a crash may leave at most, and a little more */

struct seal_chain;

/* SLK_NO_MEMORY, SLK_INTERNAL (no SHA-256). */
MUST_USE int seal_chain_new(struct seal_chain **out_chain);
void seal_chain_free(struct seal_chain *chain); /* NULL allowed */

/* The hash of a line: previous is that of the line before. out may be previous. SLK_INTERNAL. */
MUST_USE int seal_chain_step(struct seal_chain *chain, const char previous[FMT_AUDIT_HASH_TEXT],
	struct slk_span covered, char out[FMT_AUDIT_HASH_TEXT]);
/* SHA-256 of bytes, as digits. */
MUST_USE int seal_chain_sha256(
	struct seal_chain *chain, struct slk_span bytes, char out[FMT_AUDIT_HASH_TEXT]);

/* --- going through files --- */

/* A sound line; its offset in the file. Anything but 0 ends the scan and is what it returns. */
typedef int (*seal_scan_fn)(
	void *arg, const struct fmt_audit_line *line, struct slk_span text, uint64_t offset);

enum seal_scan_fault {
	SEAL_SCAN_SOUND = 0,
	SEAL_SCAN_NO_HEADER, /* the file does not begin with a header that fits its hash */
	SEAL_SCAN_OTHER_CHAIN, /* the file does not go on where the one before it ended */
	SEAL_SCAN_MALFORMED, /* no line of the log */
	SEAL_SCAN_MISSING, /* numbers are left out: lines were removed */
	SEAL_SCAN_EXTRA, /* a number again: a line was put in */
	SEAL_SCAN_CHANGED, /* the number fits, the hash does not: the line or the one before is another */
	SEAL_SCAN_TORN, /* the last line has no end */
};

struct seal_scan_result {
	enum seal_scan_fault fault;
	uint64_t offset; /* of the first bad entry; else the file's end */
	uint64_t line_number; /* of the same, in its file, from 1 */
	uint64_t seq; /* the number that was due there */
	char text[256]; /* a sentence */
};

struct seal_scan;

/* remembered_count: of how many lines back hashes are kept (0: none). SLK_NO_MEMORY, SLK_INTERNAL. */
MUST_USE int seal_scan_new(size_t remembered_count, struct seal_scan **out_scan);
void seal_scan_free(struct seal_scan *scan); /* NULL allowed */

/* The whole next file of the log. each: NULL allowed. SLK_OK; SLK_CORRUPT with *out_result; what each returned. */
MUST_USE int seal_scan_file(struct seal_scan *scan, struct slk_span file, seal_scan_fn each,
	void *arg, struct seal_scan_result *out_result);
/* A file that is to be written on, or the end of one from offset on, which is within a line (0: all of it). Where its chain
 * ends becomes the point, and out_result->offset is the end of that line: what is behind it is torn, nobody was answered for
 * it. Damage before that which lines behind it show to have been durable is passed over: *out_damaged has the first one
 * (fault SEAL_SCAN_SOUND: none). SLK_OK; SLK_CORRUPT: no line or header of a log is there. */
MUST_USE int seal_scan_resume(struct seal_scan *scan, struct slk_span bytes, uint64_t offset,
	struct seal_scan_result *out_result, struct seal_scan_result *out_damaged);

/* The last sound line. seq 0 and begun false: none yet. */
const struct fmt_audit_point *seal_scan_point(const struct seal_scan *scan);
bool seal_scan_begun(const struct seal_scan *scan);
/* The hash of line seq, if it is remembered and sound. SLK_NOT_FOUND. */
MUST_USE int seal_scan_hash(
	const struct seal_scan *scan, uint64_t seq, char out[FMT_AUDIT_HASH_TEXT]);

#endif
