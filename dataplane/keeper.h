/* The keeper: the thread beside the journal that has its proofs signed (journal/notary.h) and trims it
 * (journal/retention.h). It talks to kmsd over a client of
 * its own, so that neither a slow HSM nor an absent one is felt by records; the keys of epochs have another.
 * Thread: its own; stats from any.
 */
#ifndef DP_KEEPER_H
#define DP_KEEPER_H

#include "ages.h"
#include "base/error.h"
#include "base/status.h"
#include "config.h"
#include "journal/journal.h"
#include "journal/mirror.h"
#include "journal/notary.h"
#include "journal/retention.h"

struct dp_keeper;

/* Asks kmsd whether it knows more of the journal than is there. journal: borrowed, freed after the keeper. SLK_INVALID_STATE (it was
 * put back to an older state), SLK_NO_MEMORY, SLK_IO, what kmsc_new() says. */
MUST_USE int dp_keeper_new(const struct dp_config *config, struct jnl *journal,
	struct dp_keeper **out_keeper, struct slk_error *err);
/* The mirrored pair that the journal lies in (NULL: none), for the stats. Before the thread is started. */
void dp_keeper_watch(struct dp_keeper *keeper, const struct jnl_mirror *mirror);
/* How long streams are kept (borrowed); without it as the configuration says for all. Before the thread is started. */
void dp_keeper_keep(struct dp_keeper *keeper, struct dp_ages *ages);
void dp_keeper_free(struct dp_keeper *keeper); /* after its thread has ended; NULL allowed */

/* The thread. Logs when signing begins to fail, and when it is well again. Returns NULL after dp_keeper_stop(). */
void *dp_keeper_run(void *keeper);
/* One pass of it, for tests that turn the thread by hand. True if anything was done: there may be more. */
bool dp_keeper_turn(struct dp_keeper *keeper);
/* The lanes have ended: write what is left and have it signed, for three seconds at most, then end. */
void dp_keeper_stop(struct dp_keeper *keeper);

struct dp_keeper_stats {
	bool integrity;
	struct jnl_notary_stats notary;
	struct jnl_retained trimmed; /* files and bytes: since the start */
	uint64_t trim_failures;
	bool mirrored;
	unsigned mirror_failed; /* of two directories, how many */
};
void dp_keeper_stats(const struct dp_keeper *keeper, struct dp_keeper_stats *out_stats);

#endif
