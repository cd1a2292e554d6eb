/* A file seam that passes everything on to another one and fails the n-th call.
 *
 * For sweeps: run a scenario with fail_at = 1, 2, 3 ... until faultfs_hit() says that the fault was
 * never reached; check the invariants after each run. */
#ifndef SLK_TESTS_LIB_FAULTFS_H
#define SLK_TESTS_LIB_FAULTFS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"

enum faultfs_op {
	FAULTFS_OPEN = 1 << 0,
	FAULTFS_READ = 1 << 1,
	FAULTFS_WRITE = 1 << 2,
	FAULTFS_SYNC = 1 << 3, /* datasync, sync, sync_dir */
	FAULTFS_META = 1 << 4, /* truncate, size, rename, unlink, mkdir, list, space */
	FAULTFS_ALL = (1 << 5) - 1,
};

struct faultfs {
	struct slk_fs fs; /* hand &ff.fs to the code under test */
	const struct slk_fs *under;
	unsigned ops; /* which operations count and fail */
	uint64_t fail_at; /* the call, from 1, that fails; 0 never */
	bool for_ever; /* and every later one, too */
	int status; /* what it answers, SLK_IO for instance */
	uint64_t calls; /* counted so far */
	uint64_t failed;
};

void faultfs_init(struct faultfs *ff, const struct slk_fs *under, unsigned ops, uint64_t fail_at,
	bool for_ever, int status);

static inline bool
faultfs_hit(const struct faultfs *ff)
{
	return ff->failed > 0;
}

#endif
