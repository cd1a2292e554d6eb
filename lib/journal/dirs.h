/* The directories of a journal, on different disks, as one: a file seam over all of them.
 *
 *     jnl_dirs_open() (readers: by the list that lies in each)     jnl_dirs_new() (the writer: as it is configured)
 *            \                                                        /
 *             jnl_dirs_fs(), with jnl_dirs_name() as the directory: names are found wherever they are
 *
 * File ids are unique in a journal, so a name is in one directory only. What is made through the seam lies beside the lane file
 * that its name begins with (proofs, torn tails), else in the first directory. A rename stays in its directory; syncing and listing
 * mean all of them. Paths that do not begin with jnl_dirs_name() are passed on as they are. A directory that has failed is not
 * touched any more. Internal to lib/journal. Thread: any for the seam; the rest: its owner's, but for jnl_dirs_fail() and what asks
 * for its state.
 */
#ifndef SLK_JOURNAL_DIRS_H
#define SLK_JOURNAL_DIRS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/status.h"
#include "format/dirlist.h"

#define JNL_DIRS_MAX FMT_DIRLIST_DIRS_MAX

struct jnl_dirs {
	struct slk_fs fs;
	const struct slk_fs *base;
	char *name; /* of all of them together: the first one's path, or what a reader was given */
	struct fmt_dirlist
		list; /* uuid and generation: of the list that was read or written last; 0: none */
	_Atomic unsigned failed; /* bit i: dirs[i]; readers: was not there when the list was read */
};

/* As they are configured: count 1..JNL_DIRS_MAX, different, absolute if there are several. base: NULL for slk_fs_posix(). SLK_CONFIG,
 * SLK_NO_MEMORY. */
MUST_USE int jnl_dirs_new(const char *const paths[], unsigned count, const struct slk_fs *base,
	struct jnl_dirs **out_dirs, struct slk_error *err);

/* The journal that dir belongs to: by its list, or dir alone where it has none. dir may name several directories, separated by
 * colons: the newest list of those that can be read counts. A directory of the list that cannot be read has failed. SLK_NO_MEMORY,
 * SLK_CORRUPT and the like of a bad list; a directory without a list need not be there. */
MUST_USE int jnl_dirs_open(const char *dir, const struct slk_fs *base, struct jnl_dirs **out_dirs,
	struct slk_error *err);
void jnl_dirs_free(struct jnl_dirs *dirs); /* NULL allowed */

/* For functions that are given a directory and a seam: *fs and *dir become those over the whole journal. *out_dirs is to be
 * freed; NULL if the seam was one over directories already. */
MUST_USE int jnl_dirs_enter(const char **dir, const struct slk_fs **fs, struct jnl_dirs **out_dirs,
	struct slk_error *err);

/* Look at the lists again: directories may have come or gone since. *out_changed. */
MUST_USE int jnl_dirs_refresh(struct jnl_dirs *dirs, bool *out_changed);

/* Write the list into every directory that has not failed. The generation grows. */
MUST_USE int jnl_dirs_write_list(struct jnl_dirs *dirs, const uint8_t uuid[16]);

/* NULL if fs is another seam. */
struct jnl_dirs *jnl_dirs_of(const struct slk_fs *fs);

static inline const char *
jnl_dirs_name(const struct jnl_dirs *dirs)
{
	return dirs->name;
}

static inline bool
jnl_dirs_has_failed(const struct jnl_dirs *dirs, unsigned index)
{
	return (atomic_load(&dirs->failed) >> index & 1) != 0;
}

/* True the first time. */
bool jnl_dirs_fail(struct jnl_dirs *dirs, unsigned index);

/* A directory of the list that has failed: records may be in it that nobody else has. in_use: only one in which the latest may be.
 * NULL: none. */
const char *jnl_dirs_missing(const struct jnl_dirs *dirs, bool in_use);

/* The path of one that has not failed, or else of the first. */
const char *jnl_dirs_some(const struct jnl_dirs *dirs);

/* Which directory has the name? SLK_NOT_FOUND; SLK_IO if that cannot be told. */
MUST_USE int jnl_dirs_find(struct jnl_dirs *dirs, const char *name, unsigned *out_index);

#endif
