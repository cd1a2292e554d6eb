/* What makes a proof (format/proof.h): hashes pieces of a lane file in order and states what it has seen. Used by the lane
 * thread on what it writes, and by the notary on what it reads back. Internal to lib/journal. Thread: its owner's. */
#ifndef SLK_JOURNAL_PROVER_H
#define SLK_JOURNAL_PROVER_H

#include <stddef.h>
#include <stdint.h>

#include "format/block.h"
#include "format/jfile.h"
#include "format/proof.h"
#include "seal/digest.h"

struct jnl_prover {
	struct seal_digest *running; /* over the pieces; also used for single ones */
	struct seal_digest *keys;
	struct fmt_proof_statement now; /* but for the hashes, flags, previous and time */
	uint8_t *entries; /* pieces that were not taken yet */
	uint32_t count;
	uint64_t entries_pos; /* of the first of them, in the file */
};

/* SLK_NO_MEMORY. */
MUST_USE int jnl_prover_init(struct jnl_prover *p);
void jnl_prover_fini(struct jnl_prover *p); /* a zeroed struct is allowed */

/* Begin a file; its header page is the first piece. SLK_INTERNAL. */
MUST_USE int jnl_prover_begin(struct jnl_prover *p, const struct fmt_jfile_header *header);
/* The next piece: a block, or bytes that are none (block NULL). SLK_FULL: FMT_PROOF_PIECES_MAX wait to be taken. */
MUST_USE int jnl_prover_add(
	struct jnl_prover *p, struct slk_span raw, const struct fmt_block *block);
/* The same of a block that was hashed already. */
MUST_USE int jnl_prover_add_hashed(struct jnl_prover *p, struct slk_span raw,
	const struct fmt_block *block, const uint8_t hash[FMT_PROOF_HASH_BYTES]);
/* Everything up to now. flags: FMT_PROOF_*. */
MUST_USE int jnl_prover_state(const struct jnl_prover *p, uint32_t flags, uint64_t made_ns,
	struct fmt_proof_statement *out_statement);
/* The pieces that wait, as a record; none wait then. SLK_FULL (cap), SLK_NOT_FOUND: none did. */
MUST_USE int jnl_prover_take(struct jnl_prover *p, uint8_t *out, size_t cap, size_t *out_len);

#endif
