/* What mirror.c, mirror_sync.c and mirror_compare.c share. */
#ifndef SLK_JOURNAL_MIRROR_INTERNAL_H
#define SLK_JOURNAL_MIRROR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "journal/mirror.h"

#define MIRROR_FDS_MAX 256u
#define MIRROR_PATH_MAX 4096u

struct mirror_fd {
	bool used;
	int fds[2]; /* -1: this side does not have it */
};

struct jnl_mirror {
	struct jnl_mirror_config config;
	char dirs[2][MIRROR_PATH_MAX];
	const struct slk_fs *under[2];
	int locks[2];
	struct slk_fs fs;
	struct jnl_io io;
	struct jnl_io under_io[2];
	pthread_mutex_t lock; /* of files, and of failing */
	struct mirror_fd files[MIRROR_FDS_MAX];
	_Atomic unsigned failed; /* bits */
	uint64_t generation;
};

/* DIR/mirror: which of two directories has gone on alone. 0: there is none. SLK_CORRUPT counts as 0 for its caller. */
MUST_USE int mirror_generation_load(
	const struct slk_fs *fs, const char *dir, uint64_t *out_generation);
MUST_USE int mirror_generation_store(const struct slk_fs *fs, const char *dir, uint64_t generation);

/* Make both alike. */
MUST_USE int mirror_settle(
	struct jnl_mirror *m, struct jnl_mirror_report *report, struct slk_error *err);

#endif
