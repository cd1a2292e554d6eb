/* Tokens and daemons of the bench: what a user has who follows deploy/kmsd.yaml.example, with users of their own when
 * the bench runs as root. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/place.h"
#include "hsm/init.h"
#include "kms_bench.h"
#include "kmsclient/kmsclient.h"
#include "p11shim.h"

#define FRONT_UID 65533
#define WORKER_UID 65534
#define WORKER_USER "65534"
#define TOKEN_LABEL "bench"
#define READY_TRIES 1500
#define CALL_TIMEOUT_MS 10000u

static int
make_dir(const char *path, uid_t uid, mode_t mode, struct slk_error *err)
{
	if (mkdir(path, mode) != 0 || chmod(path, mode) != 0)
		return slk_fail_errno(err, "cannot make %s", path);
	if (geteuid() == 0 && chown(path, uid, uid) != 0)
		return slk_fail_errno(err, "cannot give %s away", path);
	return SLK_OK;
}

static int
path_of(char out[KB_PATH_MAX], const char *dir, const char *name, struct slk_error *err)
{
	int len = snprintf(out, KB_PATH_MAX, "%s/%s", dir, name);

	return len > 0 && len < (int)KB_PATH_MAX
		? SLK_OK
		: slk_fail(err, SLK_TOO_LARGE, "the directory's name %s is too long", dir);
}

int
kb_token_make(struct kb_token *t, const char *dir, bool worker, struct slk_error *err)
{
	char tokens[KB_PATH_MAX], state[KB_PATH_MAX];
	struct hsm_init_result result;

	int rc = path_of(t->dir, dir, "token", err);
	if (rc == SLK_OK)
		rc = make_dir(t->dir, worker ? WORKER_UID : geteuid(), 0700, err);
	if (rc == SLK_OK)
		rc = path_of(t->conf, t->dir, "softhsm2.conf", err);
	if (rc == SLK_OK)
		rc = path_of(t->pin_file, t->dir, "pin", err);
	if (rc == SLK_OK)
		rc = path_of(tokens, t->dir, "tokens", err);
	if (rc == SLK_OK)
		rc = path_of(state, t->dir, "pin.state", err);
	if (rc != SLK_OK)
		return rc;
	const struct hsm_init_request q = {.profile = hsm_profile_find("softhsm"),
		.module = KB_SOFTHSM,
		.token_label = TOKEN_LABEL,
		.pin_file = t->pin_file,
		.state_file = state,
		.softhsm_conf = t->conf,
		.token_directory = tokens,
		.user = worker && geteuid() == 0 ? WORKER_USER : NULL,
		.pin_fd = -1};
	rc = hsm_init_token(&q, &result, err);
	t->made = rc == SLK_OK;
	return rc;
}

/* A copy that the worker's user can read, and the page that switches faults. */
static int
install_shim(struct kb_daemon *d, char module[KB_PATH_MAX], char control[KB_PATH_MAX],
	struct slk_error *err)
{
	char shim[BENCH_PLACE_MAX], command[2 * KB_PATH_MAX + 2 * BENCH_PLACE_MAX];

	int rc = bench_place(BENCH_FAULT_SHIM, shim, err);
	if (rc == SLK_OK)
		rc = path_of(module, d->token.dir, "shim.so", err);
	if (rc == SLK_OK)
		rc = path_of(control, d->token.dir, "control", err);
	if (rc != SLK_OK)
		return rc;
	snprintf(command, sizeof(command), "cp '%s' '%s' && chmod 0755 '%s'", shim, module, module);
	if (system(command) != 0)
		return slk_fail(err, SLK_NOT_FOUND, "cannot copy the fault shim %.256s", shim);
	int fd = open(control, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*d->shim)) != 0 ||
		(geteuid() == 0 && fchown(fd, WORKER_UID, WORKER_UID) != 0))
		return slk_fail_errno(err, "cannot make %s", control);
	d->shim = mmap(NULL, sizeof(*d->shim), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (d->shim == MAP_FAILED) {
		d->shim = NULL;
		return slk_fail_errno(err, "cannot map %s", control);
	}
	return SLK_OK;
}

static int
write_config(const struct kb_daemon *d, const char *path, const char *module, struct slk_error *err)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		return slk_fail_errno(err, "cannot write %s", path);
	fprintf(f,
		"front_user: \"%d\"\nsocket:\n  path: %s\n  mode: 0666\ncatalog:\n  path: "
		"%s/kms/catalog.db\naudit:\n  path: %s\n%shsm:\n  profile: %s\n  module: %s\n"
		"  token_label: " TOKEN_LABEL "\n  pin_file: %s\n  softhsm_conf: %s\n"
		"  worker_user: \"" WORKER_USER "\"\n%sadmins: [\"%u\"]\npolicy:\n"
		"  - {effect: Allow, principals: [root], actions: ['*'], resources: ['*']}\n%s",
		FRONT_UID, d->socket, d->dir, d->audit,
		d->audit_lines != NULL ? d->audit_lines : "",
		d->profile != NULL ? d->profile : "softhsm", module, d->token.pin_file,
		d->token.conf, d->hsm_lines != NULL ? d->hsm_lines : "", (unsigned)geteuid(),
		d->more_lines != NULL ? d->more_lines : "");
	if (fclose(f) != 0 || chmod(path, 0644) != 0)
		return slk_fail_errno(err, "cannot write %s", path);
	return SLK_OK;
}

static int
spawn(struct kb_daemon *d, const char *config, const char *control, struct slk_error *err)
{
	char log[KB_PATH_MAX], kmsd[BENCH_PLACE_MAX];

	int rc = path_of(log, d->dir, "log", err);
	if (rc == SLK_OK)
		rc = bench_place(BENCH_KMSD, kmsd, err);
	if (rc != SLK_OK)
		return rc;
	d->pid = fork();
	if (d->pid < 0)
		return slk_fail_errno(err, "cannot fork");
	if (d->pid > 0)
		return SLK_OK;
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (fd < 0 || dup2(fd, 2) < 0 || unsetenv("SOFTHSM2_CONF") != 0 ||
		(control != NULL &&
			(setenv("P11SHIM_MODULE", KB_SOFTHSM, 1) != 0 ||
				setenv("P11SHIM_CONTROL", control, 1) != 0)))
		_exit(126);
	execl(kmsd, kmsd, "--config", config, (char *)NULL);
	_exit(127);
}

static int
wait_ready(const struct kb_daemon *d, struct slk_error *err)
{
	const struct timespec pause = {0, 20 * 1000 * 1000};
	struct kmsc_status status = {0};
	struct kmsc *c = NULL;

	int rc = kmsc_new(d->socket, 1000, &c);
	for (int i = 0; rc == SLK_OK && !status.hsm_ok && i < READY_TRIES; i++) {
		if (kmsc_status(c, &status, err) != SLK_OK || !status.hsm_ok)
			(void)nanosleep(&pause, NULL);
	}
	kmsc_free(c);
	if (rc != SLK_OK || status.hsm_ok)
		return rc;
	return slk_fail(err, SLK_UNAVAILABLE, "kmsd '%s' does not come up (its log is in %s): %s",
		d->name, d->dir, status.hsm_error);
}

int
kb_daemon_start(struct kb_daemon *d, const char *root, struct slk_error *err)
{
	char config[KB_PATH_MAX], kms[KB_PATH_MAX], module[KB_PATH_MAX] = KB_SOFTHSM;
	char control[KB_PATH_MAX] = "";

	int rc = path_of(d->dir, root, d->name, err);
	if (rc == SLK_OK)
		rc = make_dir(d->dir, geteuid(), 0755, err);
	if (rc == SLK_OK)
		rc = path_of(kms, d->dir, "kms", err);
	if (rc == SLK_OK)
		rc = make_dir(kms, FRONT_UID, 0755, err);
	if (rc == SLK_OK)
		rc = path_of(d->socket, kms, "s", err);
	if (rc == SLK_OK)
		rc = path_of(d->audit, d->audit_dir != NULL ? d->audit_dir : kms, "audit.log", err);
	if (rc == SLK_OK && d->audit_dir != NULL)
		rc = make_dir(d->audit_dir, FRONT_UID, 0755, err);
	if (rc == SLK_OK)
		rc = path_of(config, d->dir, "kmsd.yaml", err);
	if (rc == SLK_OK)
		rc = kb_token_make(&d->token, d->dir, true, err);
	if (rc == SLK_OK && d->with_shim)
		rc = install_shim(d, module, control, err);
	if (rc == SLK_OK)
		rc = write_config(d, config, module, err);
	if (rc == SLK_OK)
		rc = spawn(d, config, d->with_shim ? control : NULL, err);
	return rc == SLK_OK ? wait_ready(d, err) : rc;
}

void
kb_daemon_stop(struct kb_daemon *d)
{
	char command[2 * KB_PATH_MAX];

	if (d->pid > 0) {
		(void)kill(d->pid, SIGTERM);
		(void)waitpid(d->pid, NULL, 0);
		d->pid = 0;
	}
	if (d->shim != NULL)
		(void)munmap(d->shim, sizeof(*d->shim));
	d->shim = NULL;
	if (d->audit_dir != NULL) {
		snprintf(command, sizeof(command), "rm -rf '%s'", d->audit_dir);
		if (system(command) != 0)
			fprintf(stderr, "bench kms: %s stays behind\n", d->audit_dir);
	}
}

int
kb_daemon_keys(struct kb_daemon *d, unsigned count, char (*out_arns)[320], struct slk_error *err)
{
	struct kmsc *c = NULL;
	struct kmsc_key key;

	int rc = kmsc_new(d->socket, CALL_TIMEOUT_MS, &c);
	for (unsigned i = 0; rc == SLK_OK && i < count; i++) {
		rc = kmsc_create_key(c, "bench", &key, err);
		if (rc == SLK_OK)
			memcpy(out_arns[i], key.arn, sizeof(key.arn));
	}
	kmsc_free(c);
	return rc;
}
