/* Run one bench program and see to it that it leaves an object, figures or the reason why there are none. */
#ifndef SLK_BENCH_RIG_RUN_H
#define SLK_BENCH_RIG_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/status.h"

#define RIG_PATH_MAX 4096u
#define RIG_NAME_MAX 32u

/* A bench that was built with this program. */
struct rig_entry {
	const char *name; /* "seal" */
	const char *about; /* what it measures */
};

extern const struct rig_entry rig_entries[]; /* generated; ends with a NULL name */

/* NULL if there is none of that name. */
const struct rig_entry *rig_entry_find(const char *name);

/* Where the bench programs are: $SEALOCK_BENCH_DIR, or beside this program as built or as installed.
 * SLK_NOT_FOUND. */
MUST_USE int rig_directory(char out[RIG_PATH_MAX], struct slk_error *err);
/* Is it there? One that was left out when this product was built or packaged is not. */
bool rig_is_installed(const char *directory, const char *name);

struct rig_run {
	const char *directory; /* of the bench programs */
	const char *out; /* directory; gets NAME.json and NAME.log */
	bool quick;
	const char *const *arguments; /* more for each bench; NULL-terminated */
};

/* Run it to its end. SLK_OK: there is a NAME.json, and *out_ran says whether with figures; why not stands in err then.
 * Others: nothing can be written or started at all. */
MUST_USE int rig_run(
	const struct rig_run *run, const char *name, bool *out_ran, struct slk_error *err);

#endif
