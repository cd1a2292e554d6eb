/* Becoming another user for good.
 *
 * Thread: start-up, while the process has one thread.
 */
#ifndef KMS_HSM_HSM_USER_H
#define KMS_HSM_HSM_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/status.h"

struct hsm_user {
	uid_t uid;
	gid_t gid;
	char name[32]; /* "" for a number without a name */
};

/* A name, or a number (its group is then the user's, or the same number). SLK_CONFIG with a
 * sentence. */
MUST_USE int hsm_user_find(const char *name, struct hsm_user *out_user, struct slk_error *err);

/* Give up root for that user: groups, gids, uids, and proof that there is no way back. Nothing if
 * the process is that user already; SLK_DENIED if it is another one than root. */
MUST_USE int hsm_user_become(const struct hsm_user *user, struct slk_error *err);

#endif
