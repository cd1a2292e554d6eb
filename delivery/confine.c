#include "confine.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/callfilter.h"
#include "base/log.h"
#include "base/process.h"
#include "base/sandbox.h"
#include "journal/reader.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define FILES_COUNT 4096u /* journal files, connections, objects that are written */
#define LOCKED_MORE_BYTES (32ull << 20) /* besides the pool: keys, opened blocks */
#define ALL (SLK_SANDBOX_READ | SLK_SANDBOX_WRITE | SLK_SANDBOX_REMOVE)

int
dlv_confine_become(const struct dlv_config *config, struct slk_error *err)
{
	const struct passwd *user = NULL;
	int rc = slk_user_find(config->user, "sealock-deliverd", "sealock-deliver", &user, err);

	return rc == SLK_OK && user != NULL ? slk_user_become(user, err) : rc;
}

/* --- files --- */

/* Rules, and the text that their paths need. */
struct rules {
	struct slk_sandbox_path *paths;
	char (*parents)[PATH_MAX];
	size_t count, parents_count;
};

static void
allow(struct rules *r, const char *path, unsigned access)
{
	if (path != NULL)
		r->paths[r->count++] = (struct slk_sandbox_path){path, access};
}

/* Directories, not files: credentials and certificates are replaced by renaming. */
static int
allow_beside(struct rules *r, const char *file, unsigned access, struct slk_error *err)
{
	if (file == NULL)
		return SLK_OK;
	char *parent = r->parents[r->parents_count++];
	int rc = slk_sandbox_parent(file, parent, PATH_MAX, err);
	if (rc == SLK_OK)
		allow(r, parent, access);
	return rc;
}

/* A store's directory may hold one for each bucket: they are beneath it. */
static int
allow_lists(struct rules *r, const struct dlv_config *c, struct slk_error *err)
{
	int rc = SLK_OK;

	for (uint32_t i = 0; rc == SLK_OK && i < c->store_list_count; i++) {
		const struct dlv_store *s = &c->store_list[i];
		allow(r, s->dir, ALL);
		rc = allow_beside(r, s->credentials, SLK_SANDBOX_READ, err);
		if (rc == SLK_OK)
			rc = allow_beside(r, s->ca, SLK_SANDBOX_READ, err);
	}
	for (uint32_t i = 0; rc == SLK_OK && i < c->database_list_count; i++)
		rc = allow_beside(r, c->database_list[i].ca, SLK_SANDBOX_READ, err);
	for (uint32_t i = 0; rc == SLK_OK && i < c->endpoint_list_count; i++) {
		const struct dlv_endpoint *e = &c->endpoint_list[i];
		rc = allow_beside(r, e->credentials, SLK_SANDBOX_READ, err);
		if (rc == SLK_OK)
			rc = allow_beside(r, e->ca, SLK_SANDBOX_READ, err);
	}
	return rc;
}

/* What names are looked up by, certificates are checked with, and hours are counted in. */
static const char *const system_files[] = {"/dev/urandom", "/etc/localtime", "/etc/resolv.conf",
	"/run/systemd/resolve", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf",
	"/etc/gai.conf", "/etc/services", "/etc/ssl", "/usr/lib/ssl", "/usr/share/ca-certificates",
	"/usr/local/share/ca-certificates", "/usr/share/zoneinfo"};

static int
confine_files(const struct dlv_config *c, int *out_abi, struct slk_error *err)
{
	size_t lists = 3 * (size_t)c->store_list_count + c->database_list_count +
		2 * (size_t)c->endpoint_list_count;
	struct rules r = {.paths = calloc(lists + COUNT(system_files) + JNL_PATHS_MAX + 8,
				  sizeof(struct slk_sandbox_path)),
		.parents = calloc(lists + 1, PATH_MAX)};
	int rc = r.paths != NULL && r.parents != NULL
		? SLK_OK
		: slk_fail(err, SLK_NO_MEMORY, "out of memory");
	struct jnl_paths journal = {0};

	if (rc == SLK_OK && c->journal.dir != NULL)
		rc = jnl_paths(c->journal.dir, &journal, err);
	if (rc == SLK_OK) {
		for (unsigned i = 0; i < journal.count; i++)
			allow(&r, journal.paths[i], SLK_SANDBOX_READ);
		allow(&r, "/dev/shm",
			SLK_SANDBOX_READ); /* what ingestd wrote last (journal/ring.h) */
		allow(&r, c->state.dir, ALL);
		allow(&r, "/dev/null", SLK_SANDBOX_READ | SLK_SANDBOX_WRITE);
		for (size_t i = 0; i < COUNT(system_files); i++)
			allow(&r, system_files[i], SLK_SANDBOX_READ);
		rc = allow_beside(&r, c->status.socket, SLK_SANDBOX_REMOVE, err);
	}
	if (rc == SLK_OK)
		rc = allow_lists(&r, c, err);
	if (rc == SLK_OK)
		rc = slk_sandbox_files(
			ALL | SLK_SANDBOX_RUN | SLK_SANDBOX_OTHERS, r.paths, r.count, out_abi, err);
	free(r.parents);
	free(r.paths);
	return rc;
}

/* --- all of it --- */

/* Found with strace over the tests: besides what every server may do. */
static const char *const allowed[] = {"fsync", "fdatasync", "sync_file_range", "rename", "renameat",
	"renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "link", "linkat",
	"ftruncate", "fallocate", "fchmod", "statfs", "fstatfs", "flock", "fadvise64", "msync",
	"memfd_create", "openat2", "pwritev", "socketpair", "bind", "inotify_init1",
	"inotify_add_watch", "inotify_rm_watch"};

static int
confine_limits(const struct dlv_config *c, struct slk_error *err)
{
	const struct slk_sandbox_limits limits = {.files_count = FILES_COUNT,
		.locked_min_bytes = c->memory.allow_unlocked
			? 0
			: ((uint64_t)c->memory.max_mb << 20) + LOCKED_MORE_BYTES};
	struct rlimit files;

	/* The soft limit is often 1,024, for programs that use select(). */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(
			RLIMIT_NOFILE, &files); /* what comes next says if that is too few */
	}
	return slk_sandbox_limit(&limits, err);
}

int
dlv_confine(const struct dlv_config *config, struct slk_error *err)
{
	int abi = 0;
	int rc = confine_limits(config, err);

	if (rc == SLK_OK)
		rc = confine_files(config, &abi, err);
	if (rc == SLK_OK)
		rc = slk_callfilter_load(
			allowed, COUNT(allowed), SLK_SOCKETS_UNIX | SLK_SOCKETS_INET, err);
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
