#include "hsm/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int
hsm_store_flush(struct hsm_token *token, struct slk_error *err)
{
	if (token->store[0] == '\0')
		return SLK_OK;
	if (atomic_load(&token->store_failed))
		return slk_fail(err, SLK_HSM,
			"an earlier flush of the token's files in %s failed; repair the disk and "
			"restart sealock-kmsd",
			token->store);
	/* Opened each time: a backup may have taken the directory's place. */
	int fd = open(token->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return slk_fail(err, SLK_HSM,
			"cannot open the token's directory %s to flush it: %s", token->store,
			strerror(errno));
	int rc = SLK_OK;
	if (syncfs(fd) != 0) {
		rc = slk_fail(err, SLK_HSM, "cannot flush the token's files in %s: %s",
			token->store, strerror(errno));
		atomic_store(&token->store_failed, true);
	}
	close(fd);
	return rc;
}
