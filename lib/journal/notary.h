/* The notary of a journal: writes the proofs of its lane files (format/proof.h) and has them signed.
 *
 *     lanes --chapters--> jnl_notary_turn() --> ID.slp: pieces, statements      attest() --> ID.slp: signatures
 *
 * Lanes hash what they write (jnl_config.integrity) and never wait for the notary: a roll needs no signature, and one that is
 * late is written when it comes. After a start the notary first looks at the files of earlier openings: one that was closed
 * by recovery, or whose end was not signed, is read back, hashed and stated as such; then what the lanes hand over goes on
 * from there. A file from before integrity was switched on is left alone.
 * Thread: one, neither a lane's nor a worker's: attest() may take as long as it likes.
 */
#ifndef SLK_JOURNAL_NOTARY_H
#define SLK_JOURNAL_NOTARY_H

#include "base/error.h"
#include "base/status.h"
#include "format/proof.h"
#include "journal/journal.h"
#include "journal/rewrap_write.h"

struct jnl_notary;

/* Signs a statement (its bytes; digest is their SHA-256) for the purpose "journal", and may look at it: SLK_INVALID_STATE says that
 * the journal was put back to an older state. */
typedef int (*jnl_sign_fn)(void *ctx, const uint8_t statement[FMT_PROOF_STATEMENT_BYTES],
	const uint8_t digest[FMT_PROOF_HASH_BYTES], struct jnl_attestation *out,
	struct slk_error *err);

/* attest: signs a digest for the purpose "journal". journal: borrowed, with integrity on; freed after the notary.
 * SLK_INVALID_STATE (integrity is off), SLK_NO_MEMORY, SLK_IO. */
MUST_USE int jnl_notary_new(struct jnl *journal, jnl_attest_fn attest, void *ctx,
	struct jnl_notary **out_notary, struct slk_error *err);
void jnl_notary_free(struct jnl_notary *notary); /* NULL allowed */
/* From now on sign() is asked, and attest() is not. */
void jnl_notary_sign_with(struct jnl_notary *notary, jnl_sign_fn sign);

/* Before anything is written: have sign() look at how far each lane had come in earlier openings (FMT_PROOF_OPENING; nothing of it
 * is stored). SLK_OK, SLK_INVALID_STATE: a lane has forgotten what was signed of it; what else sign() says, SLK_NO_MEMORY. */
MUST_USE int jnl_notary_check_opening(struct jnl_notary *notary, struct slk_error *err);

/* One bounded step: one older file, or what the lanes have handed over and one signature. Returns how much was done, 0 when
 * there was nothing to do, or a failure with a sentence: call again later, nothing is lost but time. Signatures that are
 * missing are asked for again, oldest first. */
int jnl_notary_turn(struct jnl_notary *notary, struct slk_error *err);

struct jnl_notary_stats {
	uint64_t statements, signatures; /* written */
	uint64_t unsigned_count; /* statements that wait for a signature */
	uint64_t read_back; /* files */
	uint64_t failures; /* of attest() or the disk */
};
/* Thread: any. */
void jnl_notary_stats(const struct jnl_notary *notary, struct jnl_notary_stats *out_stats);

#endif
