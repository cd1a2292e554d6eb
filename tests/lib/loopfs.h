/* A file system of its own on a loop device, whose power can be cut. Needs root and CAP_SYS_ADMIN; the mount is seen by this
 * process and its children only. Functions fail the running test but where they say so. */
#ifndef SLK_TESTS_LIB_LOOPFS_H
#define SLK_TESTS_LIB_LOOPFS_H

#include <stdbool.h>
#include <stdint.h>

struct loopfs {
	char image[256], dir[256], device[64];
	const char *type; /* "ext4", "xfs" */
	bool mounted;
	int hold_fd; /* keeps the device while nothing is mounted */
};

/* Why there can be none here, or NULL. */
const char *loopfs_missing(const char *type);

/* Make and mount one of this size in a new temporary directory. */
void loopfs_make(struct loopfs *fs, const char *type, uint64_t bytes);
void loopfs_remove(struct loopfs *fs);

enum loopfs_cut {
	LOOPFS_CUT_FREEZE, /* what was flushed or not goes to the disk first; then nothing any more */
	LOOPFS_CUT_LOG, /* the log is written out, data are not */
	LOOPFS_CUT_NOW, /* nothing reaches the disk from now on */
};
/* From now on every write and flush fails, and what is dirty in memory is lost. */
void loopfs_cut(const struct loopfs *fs, enum loopfs_cut how);
/* Unmount (once nobody holds files of it) and mount again: the log is replayed. */
void loopfs_power_on(struct loopfs *fs);

#endif
