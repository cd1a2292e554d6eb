/* Which files the worker and its module touch, as rules for lib/base/sandbox.h.
 *
 * Directories rather than files wherever an operator may put a new file in place of an old one: the
 * PIN file, SoftHSM's configuration, and the token directory, which a restored backup replaces. A
 * rule on the old file would not hold for the new one. SoftHSM opens two files of its token for each call, and Landlock looks
 * for a rule from the file upwards: the directory of each token that is there gets one of its own, which allows nothing more.
 *
 * Thread: start-up.
 */
#ifndef KMS_HSM_HSM_PATHS_H
#define KMS_HSM_HSM_PATHS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/sandbox.h"
#include "base/status.h"

#define HSM_MODULE_PATHS_MAX 16u
#define HSM_PATHS_TOKENS_MAX 8u
#define HSM_PATHS_MAX (40u + HSM_PATHS_TOKENS_MAX)

struct hsm_paths_request {
	bool softhsm; /* add the token directory that SoftHSM's configuration names */
	const char *module;
	const char *pin_file; /* NULL: the PIN comes by a descriptor */
	const char *state_file;
	const char *softhsm_conf; /* NULL: $SOFTHSM2_CONF, or SoftHSM's own default */
	const char *const *module_paths; /* what else the module reads and writes */
	size_t module_paths_count;
};

struct hsm_paths {
	struct slk_sandbox_path list[HSM_PATHS_MAX];
	size_t count;
	char text[5 + HSM_PATHS_TOKENS_MAX][PATH_MAX]; /* of those that were made up here */
	size_t text_count;
};

/* The directory that SoftHSM's configuration names (NULL: $SOFTHSM2_CONF, or its own default) for its tokens. SLK_CONFIG if
 * there is a configuration that cannot be read. */
MUST_USE int hsm_paths_tokens(const char *softhsm_conf, char out[PATH_MAX], struct slk_error *err);

/* The request's texts are borrowed by out. Errors with a sentence. */
MUST_USE int hsm_paths_find(
	const struct hsm_paths_request *request, struct hsm_paths *out, struct slk_error *err);

#endif
