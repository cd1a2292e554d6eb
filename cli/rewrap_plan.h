/* Which epochs of a journal `sealock key rewrap` wraps anew, and why not the others.
 *
 *     class                  the newest wrap that may be believed (side file of the appliance, else key block) ...
 *     CLI_REWRAP_TODO        is to be wrapped anew
 *     CLI_REWRAP_CURRENT     is under the target's current material: nothing is left to do, so an interrupted run goes on
 *     CLI_REWRAP_OTHER_KEY   is under a key that --from does not name
 *     CLI_REWRAP_NO_SSE      is under the appliance's own key, and the target is another one
 *
 * Streams without SSE-KMS stay under the appliance's own key: it is never deleted, its old material stays for reading, and
 * whoever may read them needs kinesis:GetRecords and no right on a key, which another key would change behind the policy's
 * back. Their keys can be renewed in place, by naming the appliance's key as the target. Thread: the process has one.
 */
#ifndef SLK_CLI_REWRAP_PLAN_H
#define SLK_CLI_REWRAP_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "format/blob.h"
#include "idset.h"
#include "journal/rewraps.h"
#include "kmsclient/kmsclient.h"

enum cli_rewrap_class {
	CLI_REWRAP_TODO,
	CLI_REWRAP_CURRENT,
	CLI_REWRAP_OTHER_KEY,
	CLI_REWRAP_NO_SSE,
	CLI_REWRAP_CLASSES
};

/* A key under which epochs lie now. */
struct cli_rewrap_source {
	uint8_t id[FMT_BLOB_KEY_ID_BYTES];
	char arn[KMSC_ARN_MAX];
	char state[32]; /* "" if it could not be asked */
	bool appliance;
	uint64_t epochs; /* of which are to be wrapped anew */
};

struct cli_rewrap_plan {
	/* Set by the caller. */
	const struct jnl_rewraps *rewraps;
	/* As kmsc_describe_key(); a key that cannot be described is tried all the same. */
	int (*describe)(void *ctx, const char *arn, struct kmsc_key *out_key);
	void *ctx;
	uint8_t to_id[FMT_BLOB_KEY_ID_BYTES], to_backing[FMT_BLOB_KEY_ID_BYTES];
	bool to_appliance;
	bool has_from;
	uint8_t from_id[FMT_BLOB_KEY_ID_BYTES];

	/* Kept by cli_rewrap_plan_look(). */
	struct cli_idset seen;
	uint64_t counts[CLI_REWRAP_CLASSES]; /* distinct epochs */
	struct cli_rewrap_source *sources;
	size_t source_count;
	struct jnl_rewrapped *entry; /* scratch */
};

/* Ids of key and material, as *key has them. SLK_MALFORMED. */
MUST_USE int cli_rewrap_plan_target(struct cli_rewrap_plan *plan, const struct kmsc_key *key);
/* Class of the epoch that info describes; SLK_EXISTS if it was looked at before. SLK_NO_MEMORY. */
MUST_USE int cli_rewrap_plan_look(struct cli_rewrap_plan *plan, const struct jnl_epoch_info *info,
	enum cli_rewrap_class *out_class);
/* Begin anew: nothing was seen, nothing counted; what is known of keys stays. */
void cli_rewrap_plan_again(struct cli_rewrap_plan *plan);
void cli_rewrap_plan_fini(struct cli_rewrap_plan *plan);

/* The index-th wrap of the epoch that may be tried, newest first; *out_last: it is that of the key block. *out_wrapped is
 * borrowed until the next call. SLK_CORRUPT and others: this one cannot be read, the next may. */
MUST_USE int cli_rewrap_plan_wrap(struct cli_rewrap_plan *plan, const struct jnl_epoch_info *info,
	unsigned index, struct slk_span *out_wrapped, const char **out_arn, bool *out_last);

#endif
