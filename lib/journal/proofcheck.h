/* Checking lane files against their proofs, without any data key. Internal to lib/journal: the part of jnl_verify() that
 * holds against whoever has the data keys, too. Thread: one at a time. */
#ifndef SLK_JOURNAL_PROOFCHECK_H
#define SLK_JOURNAL_PROOFCHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/proofs.h"
#include "journal/scan.h"

/* What is known of the file before, in each lane. */
struct jnl_proof_link {
	bool seen;
	bool ends_signed; /* its final statement was good */
	bool read_back;
	uint64_t id;
	uint8_t hash[FMT_PROOF_HASH_BYTES];
};

struct jnl_proof_check {
	const struct slk_fs *fs;
	const char *dir;
	const struct seal_attest_keys
		*trusted; /* NULL: whoever signed; then what is not signed is no finding */
	void (*found)(void *arg, int status, uint64_t offset, uint64_t bytes, const char *sentence);
	void *arg;
	struct jnl_proof_link last[FMT_JFILE_LANES_MAX];
	uint64_t files_signed; /* to their end */
	uint64_t files_unsigned; /* closed, but not signed to the end */
	uint64_t bytes_signed; /* covered by a good signature, and as they were written */
	uint64_t signatures; /* that were good */
};

/* Bytes of a file that salvage could not keep: ascending. */
struct jnl_lost_range {
	uint64_t offset, bytes;
	bool is_data; /* else the header page, or the end of the file */
};

/* The next file, ascending by id; s: open, not with SLK_OPEN_DIRECT. What lies in the lost ranges is not what was written, and
 * no finding. SLK_OK whatever was found; SLK_IO, SLK_NO_MEMORY. */
MUST_USE int jnl_proof_check_file(struct jnl_proof_check *c, const struct jnl_scan *s,
	const struct jnl_lost_range *lost, uint32_t lost_count);
/* A proof without its lane file: after all files. True if that file is missing: it is younger than others of its lane. */
bool jnl_proof_check_orphan(const struct jnl_proof_check *c, uint64_t file_id);

#endif
