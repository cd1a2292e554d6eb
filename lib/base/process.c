#include "base/process.h"

#include <grp.h>
#include <pthread.h>
#include <unistd.h>

int
slk_signals_block(sigset_t *out_signals, struct slk_error *err)
{
	sigemptyset(out_signals);
	sigaddset(out_signals, SIGTERM);
	sigaddset(out_signals, SIGINT);
	sigaddset(out_signals, SIGHUP);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
		pthread_sigmask(SIG_BLOCK, out_signals, NULL) != 0)
		return slk_fail_errno(err, "cannot block signals");
	return SLK_OK;
}

int
slk_user_find(const char *user, const char *program, const char *example,
	const struct passwd **out_user, struct slk_error *err)
{
	uid_t now = geteuid();

	*out_user = NULL;
	if (user == NULL)
		return now != 0
			? SLK_OK
			: slk_fail(err, SLK_CONFIG, "%s does not run as root: set user, such as %s",
				  program, example);
	const struct passwd *found = getpwnam(user);
	if (found == NULL)
		return slk_fail(err, SLK_CONFIG, "there is no user %s", user);
	if (found->pw_uid == 0)
		return slk_fail(err, SLK_CONFIG, "user is not to be root");
	if (now == found->pw_uid)
		return SLK_OK;
	if (now != 0)
		return slk_fail(err, SLK_DENIED,
			"only root can become user %s; start as that user, or leave user out",
			user);
	*out_user = found;
	return SLK_OK;
}

int
slk_user_become(const struct passwd *user, struct slk_error *err)
{
	if (initgroups(user->pw_name, user->pw_gid) != 0 ||
		setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
		setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0)
		return slk_fail_errno(err, "cannot become user %s", user->pw_name);
	return SLK_OK;
}
