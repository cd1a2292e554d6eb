/* Hashing a closed lane file as it lies on the disk, for a proof that could not be made while it was written, and for whoever
 * checks one. Internal to lib/journal. Thread: any. */
#ifndef SLK_JOURNAL_READBACK_H
#define SLK_JOURNAL_READBACK_H

#include "base/file.h"
#include "format/proof.h"

struct jnl_readback {
	struct fmt_proof_statement
		statement; /* final, read back; without what was before the file */
	uint8_t *pieces; /* records */
	size_t pieces_len, pieces_cap;
};

/* SLK_INVALID_STATE: it is not closed. What jnl_scan_open() says; SLK_NO_MEMORY, SLK_IO, SLK_INTERNAL. */
MUST_USE int jnl_readback(const struct slk_fs *fs, const char *dir, uint64_t file_id,
	uint64_t now_ns, struct jnl_readback *out);
void jnl_readback_free(struct jnl_readback *back);

#endif
