/* Reading proofs (format/proof.h). Internal to lib/journal. Thread: any; a proof belongs to one thread. */
#ifndef SLK_JOURNAL_PROOFS_H
#define SLK_JOURNAL_PROOFS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "base/status.h"
#include "format/proof.h"
#include "journal/scan.h"
#include "seal/attest.h"

struct jnl_proof {
	uint8_t *bytes;
	size_t len; /* of the good records */
	size_t torn; /* bytes behind them */
	uint64_t statements, signatures;
	/* The last pass ends with a final statement, and something signs that (by whom was not looked at). */
	bool final_signed;
	struct fmt_proof_statement final;
};

/* Load DIR/ID.slp and look over its records. SLK_NOT_FOUND, SLK_DENIED, SLK_IO, SLK_NO_MEMORY, SLK_TOO_LARGE. */
MUST_USE int jnl_proof_load(
	const struct slk_fs *fs, const char *dir, uint64_t file_id, struct jnl_proof *out_proof);
void jnl_proof_free(struct jnl_proof *proof); /* a zeroed struct is allowed */

/* The signature of a statement (its 200 bytes) that fits and, unless trusted is NULL, is of a trusted key.
 * SLK_OK; SLK_NOT_FOUND: nothing signs it; SLK_BAD_TAG: what does so is wrong or not trusted. */
MUST_USE int jnl_proof_check_signature(const struct jnl_proof *proof, struct slk_span statement,
	const struct seal_attest_keys *trusted);

#endif
