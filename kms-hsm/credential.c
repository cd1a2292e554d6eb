#include "credential.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
open_credential(const char *name, int *out_fd, struct slk_error *err)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];

	if (dir == NULL)
		return slk_fail(err, SLK_CONFIG,
			"hsm.pin_credential is '%s', and systemd gave no credentials; put "
			"LoadCredential=%s:FILE into the unit",
			name, name);
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return slk_fail(err, SLK_CONFIG, "the path of credential %s is too long", name);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return slk_fail(err, SLK_CONFIG,
			"cannot open the credential %s: %s; is it LoadCredential=%s:FILE in the "
			"unit?",
			path, strerror(errno), name);
	*out_fd = fd;
	return SLK_OK;
}

/* A pipe could be read once; a worker that is started again needs it again. */
static int
check_file(int fd, struct slk_error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return slk_fail(err, SLK_CONFIG, "there is no descriptor %d with a PIN: %s", fd,
			strerror(errno));
	if (!S_ISREG(st.st_mode))
		return slk_fail(err, SLK_CONFIG,
			"descriptor %d with the PIN is neither a regular file nor a memfd; each "
			"worker reads it anew",
			fd);
	return SLK_OK;
}

int
kms_credential_open(
	const struct kms_config_hsm *hsm, int handed_fd, int *out_fd, struct slk_error *err)
{
	unsigned ways = (hsm->pin_file != NULL) + (hsm->pin_credential != NULL) + (handed_fd > 0);
	int fd = handed_fd;
	int rc = SLK_OK;

	if (ways != 1)
		return slk_fail(err, SLK_CONFIG,
			"%s; one of hsm.pin_file, hsm.pin_credential and --pin-fd is needed",
			ways == 0 ? "there is no way to the PIN" : "there are two ways to the PIN");
	if (hsm->pin_file != NULL) {
		*out_fd = 0;
		return SLK_OK;
	}
	if (hsm->pin_credential != NULL)
		rc = open_credential(hsm->pin_credential, &fd, err);
	if (rc == SLK_OK)
		rc = check_file(fd, err);
	if (rc != SLK_OK) {
		if (hsm->pin_credential != NULL && fd > 0)
			close(fd);
		return rc;
	}
	*out_fd = fd;
	return SLK_OK;
}
