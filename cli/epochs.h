/* The epoch keys that one command has open: a small cache with an absolute age.
 *
 * An epoch's data key is asked from kmsd at the first block that names it, as the caller's own uid.
 * The opened key is kept at most five minutes, however often it is used, so that a revoked right
 * takes effect within that time; the oldest goes first when the cache is full. Everything is wiped
 * on the way out. Thread: the owner's.
 */
#ifndef SLK_CLI_EPOCHS_H
#define SLK_CLI_EPOCHS_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/status.h"
#include "format/context.h"
#include "journal/reader.h"
#include "journal/rewraps.h"
#include "seal/seal.h"

#define CLI_EPOCHS_MAX 64u
#define CLI_EPOCH_TTL_NS (300u * SLK_NS_PER_S)

/* Who unwraps a data key: kmsd, or a test. Same contract as kmsc_decrypt(). */
struct cli_unwrap {
	int (*decrypt)(void *ctx, const struct fmt_context *context, struct slk_span blob,
		struct slk_secret **out_plaintext, struct slk_error *err);
	void *ctx;
};

struct cli_epochs;

/* All arguments are borrowed for the cache's life. */
MUST_USE int cli_epochs_new(struct seal_thread *thread, const struct cli_unwrap *unwrap,
	const struct slk_clock *clock, struct cli_epochs **out_epochs);
void cli_epochs_free(struct cli_epochs *epochs); /* wipes; NULL allowed */
/* Unwrap by side files, too, in the order of journal/rewraps.h. Borrowed. */
void cli_epochs_use(struct cli_epochs *epochs, struct jnl_rewraps *rewraps);

/* The opened key of the epoch that info describes, borrowed until the next call. The epoch's
 * context must be that of stream_arn (SLK_CORRUPT: a key block of another stream). Otherwise the
 * errors of kmsc_decrypt(), with the epoch named in front of its sentence, and SLK_BAD_COMMITMENT.
 */
MUST_USE int cli_epochs_get(struct cli_epochs *epochs, const struct jnl_epoch_info *info,
	const char *stream_arn, const struct jnl_epoch_key **out_key, struct slk_error *err);

/* Wipe what is too old; commands that wait call it. */
void cli_epochs_expire(struct cli_epochs *epochs);

/* Open now, and decrypted in all. */
size_t cli_epochs_count(const struct cli_epochs *epochs);
uint64_t cli_epochs_decrypts(const struct cli_epochs *epochs);

#endif
