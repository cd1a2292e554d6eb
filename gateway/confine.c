#include "confine.h"

#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/callfilter.h"
#include "base/log.h"
#include "base/process.h"
#include "base/sandbox.h"
#include "journal/reader.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define FILES_MORE_COUNT \
	512u /* besides connections: listeners, journal files, clients of kmsd and ingestd */
#define CONNECTIONS_DEFAULT 16384u

/* --- the user --- */

static int
set_capabilities(const cap_value_t *kept, int count, struct slk_error *err)
{
	cap_t caps = cap_init();
	int rc = SLK_OK;

	if (caps == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	if ((count > 0 &&
		    (cap_set_flag(caps, CAP_PERMITTED, count, kept, CAP_SET) != 0 ||
			    cap_set_flag(caps, CAP_EFFECTIVE, count, kept, CAP_SET) != 0)) ||
		cap_set_proc(caps) != 0)
		rc = slk_fail_errno(err, "cannot give up capabilities");
	(void)cap_free(caps);
	return rc;
}

static int
change_user(const struct passwd *user, struct slk_error *err)
{
	static const cap_value_t kept[] = {CAP_NET_BIND_SERVICE};

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
		return slk_fail_errno(err, "cannot become user %s", user->pw_name);
	int rc = slk_user_become(user, err);
	if (rc != SLK_OK)
		return rc;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0)
		return slk_fail_errno(err, "cannot become user %s", user->pw_name);
	/* In some containers root lacks it; then ports below 1024 fail, with a sentence of their own. */
	if (set_capabilities(kept, COUNT(kept), err) == SLK_OK)
		return SLK_OK;
	return set_capabilities(NULL, 0, err);
}

int
gw_confine_become(const struct gw_config *config, struct slk_error *err)
{
	const struct passwd *user = NULL;
	int rc = slk_user_find(config->user, "sealock-gatewayd", "sealock-gate", &user, err);

	return rc == SLK_OK && user != NULL ? change_user(user, err) : rc;
}

/* --- files --- */

static int
parent_of(const char *path, char out[PATH_MAX], struct slk_error *err)
{
	out[0] = '\0';
	return path != NULL ? slk_sandbox_parent(path, out, PATH_MAX, err) : SLK_OK;
}

static const char *
or_null(const char *path)
{
	return path[0] != '\0' ? path : NULL;
}

/* Directories, not files: certificates are replaced by renaming, and so are logs. */
static int
confine_files(const struct gw_config *c, int *out_abi, struct slk_error *err)
{
	char certificate[PATH_MAX] = "", key[PATH_MAX] = "", access_log[PATH_MAX] = "";
	bool key_is_uri =
		c->tls.key != NULL && c->tls.key[0] != '/' && strchr(c->tls.key, ':') != NULL;
	struct jnl_paths journal = {0};
	bool logs_to_file = c->access_log != NULL && strcmp(c->access_log, "-") != 0;
	int rc = parent_of(c->tls.certificate, certificate, err);

	if (rc == SLK_OK)
		rc = parent_of(key_is_uri ? NULL : c->tls.key, key, err);
	if (rc == SLK_OK)
		rc = parent_of(logs_to_file ? c->access_log : NULL, access_log, err);
	if (rc == SLK_OK && c->journal.dir != NULL)
		rc = jnl_paths(c->journal.dir, &journal, err);
	if (rc != SLK_OK)
		return rc;
	struct slk_sandbox_path paths[8 + JNL_PATHS_MAX] = {
		{or_null(certificate), SLK_SANDBOX_READ},
		{or_null(key), SLK_SANDBOX_READ},
		{or_null(access_log), SLK_SANDBOX_READ | SLK_SANDBOX_WRITE},
		{"/dev/shm", SLK_SANDBOX_READ}, /* what ingestd wrote last (journal/ring.h) */
		{"/dev/null", SLK_SANDBOX_READ | SLK_SANDBOX_WRITE},
		{"/dev/urandom", SLK_SANDBOX_READ},
		{"/etc/localtime", SLK_SANDBOX_READ},
	};
	/* Unused ones are NULL: nothing. */
	for (unsigned i = 0; i < journal.count; i++)
		paths[8 + i] = (struct slk_sandbox_path){journal.paths[i], SLK_SANDBOX_READ};
	return slk_sandbox_files(SLK_SANDBOX_READ | SLK_SANDBOX_WRITE | SLK_SANDBOX_REMOVE |
			SLK_SANDBOX_RUN | SLK_SANDBOX_TCP | SLK_SANDBOX_OTHERS,
		paths, COUNT(paths), out_abi, err);
}

/* --- system calls --- */

/* Found with strace over the tests: besides what every server may do. */
static const char *const allowed[] = {"memfd_create", "inotify_init1", "inotify_add_watch",
	"inotify_rm_watch", "flock", "ftruncate", "fadvise64", "msync"};

/* --- all of it --- */

/* The soft limit is often 1,024, for programs that use select(). */
static int
confine_limits(const struct gw_config *c, struct slk_error *err)
{
	uint32_t connections =
		c->limits.connections != 0 ? c->limits.connections : CONNECTIONS_DEFAULT;
	const struct slk_sandbox_limits limits = {.files_count = connections + FILES_MORE_COUNT};
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(
			RLIMIT_NOFILE, &files); /* what comes next says if that is too few */
	}
	return slk_sandbox_limit(&limits, err);
}

int
gw_confine(const struct gw_config *config, struct slk_error *err)
{
	int abi = 0;
	int rc = confine_limits(config, err);

	if (rc == SLK_OK)
		rc = set_capabilities(NULL, 0, err);
	if (rc == SLK_OK)
		rc = confine_files(config, &abi, err);
	if (rc == SLK_OK)
		rc = slk_callfilter_load(allowed, COUNT(allowed), SLK_SOCKETS_UNIX, err);
	if (rc != SLK_OK)
		return rc;
	if (abi == 0)
		slk_warn("hardening: this kernel has no Landlock; files are protected by their "
			 "permissions only",
			slk_kv("seccomp", "allow-list"));
	else
		slk_info("hardening", slk_kv("landlock_abi", abi), slk_kv("seccomp", "allow-list"));
	return SLK_OK;
}
