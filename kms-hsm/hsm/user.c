#include "hsm/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
parse_number(const char *text, uid_t *out_uid)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	unsigned long v = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || v >= UINT32_MAX)
		return false;
	*out_uid = (uid_t)v;
	return true;
}

int
hsm_user_find(const char *name, struct hsm_user *out_user, struct slk_error *err)
{
	struct hsm_user user = {0};
	bool number = parse_number(name, &user.uid);

	const struct passwd *pw = number ? getpwuid(user.uid) : getpwnam(name);
	if (pw == NULL && !number)
		return slk_fail(err, SLK_CONFIG,
			"there is no user '%s'; run: adduser --system --group %s", name, name);
	user.gid = (gid_t)user.uid;
	if (pw != NULL) {
		user.uid = pw->pw_uid;
		user.gid = pw->pw_gid;
		snprintf(user.name, sizeof(user.name), "%s", pw->pw_name);
	}
	*out_user = user;
	return SLK_OK;
}

int
hsm_user_become(const struct hsm_user *user, struct slk_error *err)
{
	if (getuid() == user->uid && geteuid() == user->uid)
		return SLK_OK;
	if (geteuid() != 0)
		return slk_fail(err, SLK_DENIED, "only root can become uid %u; this is uid %u",
			user->uid, geteuid());
	int rc = user->name[0] != '\0' ? initgroups(user->name, user->gid) : setgroups(0, NULL);
	if (rc != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
		setresuid(user->uid, user->uid, user->uid) != 0)
		return slk_fail_errno(err, "cannot become uid %u", user->uid);
	if (setuid(0) == 0 || geteuid() != user->uid || getegid() != user->gid)
		return slk_fail(
			err, SLK_SYSTEM, "giving up root for uid %u did not hold", user->uid);
	return SLK_OK;
}
