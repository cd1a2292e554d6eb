#include "slk_test.h"

#include "kmsd_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tempdir.h"

#define KMSD SLK_BUILD_DIR "/bin/sealock-kmsd"
#define WAIT_NS (20 * SLK_NS_PER_S)
#define PIN_FD_THERE 7 /* where kmsd finds its --pin-fd */

bool
kmsd_rig_possible(void)
{
	if (access(KMSD, X_OK) != 0) {
		print_message("skipped: " KMSD " is not built\n");
		return false;
	}
	return hsm_rig_possible();
}

static uint64_t
now_ns(void)
{
	return slk_mono_ns(slk_clock_system());
}

static void
fail_with_log(const struct kmsd_rig *rig, const char *what)
{
	char command[256];

	snprintf(command, sizeof(command), "tail -20 '%s' >&2", rig->log);
	(void)!system(command);
	fail_msg("%s", what);
}

void
kmsd_rig_init(struct kmsd_rig *rig)
{
	char dir[96];

	memset(rig, 0, sizeof(*rig));
	hsm_rig_init(&rig->hsm, NULL);
	rig->module = rig->hsm.module;
	const char *parent = getenv("TMPDIR");
	int n = snprintf(rig->base, sizeof(rig->base), "%s/slk_kmsd_XXXXXX",
		parent != NULL ? parent : "/tmp");
	assert_true(n > 0 && (size_t)n < sizeof(rig->base));
	assert_non_null(mkdtemp(rig->base));
	assert_int_equal(chmod(rig->base, 0755), 0);
	snprintf(dir, sizeof(dir), "%s/kms", rig->base);
	assert_int_equal(mkdir(dir, 0755), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(dir, KMSD_RIG_FRONT_UID, KMSD_RIG_FRONT_UID), 0);
	snprintf(rig->config, sizeof(rig->config), "%s/kmsd.yaml", rig->base);
	snprintf(rig->socket, sizeof(rig->socket), "%s/kms/kms.sock", rig->base);
	snprintf(rig->log, sizeof(rig->log), "%s/log", rig->base);
	assert_ok(kmsc_new(rig->socket, 5000, &rig->client));
}

void
kmsd_rig_fini(struct kmsd_rig *rig)
{
	kmsc_free(rig->client);
	rig->client = NULL;
	if (rig->kmsd > 0)
		(void)kmsd_rig_stop(rig);
	hsm_rig_check_log(rig->log);
	tempdir_remove(rig->base);
	hsm_rig_fini(&rig->hsm);
}

static void
write_config(const struct kmsd_rig *rig)
{
	FILE *f = fopen(rig->config, "we");
	assert_non_null(f);
	fprintf(f,
		"front_user: \"%d\"\nsocket:\n  path: %s\n  mode: 0666\ncatalog:\n  path: "
		"%s/kms/catalog.db\naudit:\n  path: %s/kms/audit.log\n  deadline_ms: 10000\nhsm:\n",
		KMSD_RIG_FRONT_UID, rig->socket, rig->base, rig->base);
	hsm_rig_config(&rig->hsm, rig->module, rig->pin_lines, f);
	fprintf(f,
		"  state_file: %s\n  worker_user: \"%d\"\n  workers: %u\n%s"
		"admins: [\"%u\"]\n"
		"policy:\n  - {effect: Allow, principals: [root], actions: ['*'], resources: "
		"['*']}\n",
		rig->hsm.state_file, KMSD_RIG_WORKER_UID,
		rig->workers_count != 0 ? rig->workers_count : 1,
		rig->hsm_lines != NULL ? rig->hsm_lines : "", (unsigned)geteuid());
	if (geteuid() != 0)
		fprintf(f,
			"  - {effect: Allow, principals: [user/me], actions: ['*'], resources: "
			"['*']}\nprincipals:\n  - {user: \"%u\", arn: user/me}\n",
			(unsigned)geteuid());
	if (rig->more_lines != NULL)
		assert_true(fputs(rig->more_lines, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(rig->config, 0644), 0);
}

static void
exec_kmsd(const struct kmsd_rig *rig)
{
	const char *program = rig->program != NULL ? rig->program : KMSD;
	const char *argv[10] = {program, "--config", rig->config};
	int argc = 3;

	if (rig->log_level != NULL) {
		argv[argc++] = "--log-level";
		argv[argc++] = rig->log_level;
	}
	if (rig->pin_fd > 0) {
		argv[argc++] = "--pin-fd";
		argv[argc++] = "7";
		if (dup2(rig->pin_fd, PIN_FD_THERE) < 0)
			_exit(126);
	}
	if (rig->credentials != NULL)
		setenv("CREDENTIALS_DIRECTORY", rig->credentials, 1);
	hsm_rig_environment(&rig->hsm);
	int fd = open(rig->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, 2) < 0 || chdir(rig->base) != 0)
		_exit(126);
	if (rig->before_exec != NULL && rig->before_exec() != 0)
		_exit(125);
	execv(program, (char *const *)argv);
	_exit(127);
}

void
kmsd_rig_start(struct kmsd_rig *rig)
{
	assert_int_equal(rig->kmsd, 0);
	write_config(rig);
	rig->kmsd = fork();
	assert_true(rig->kmsd >= 0);
	if (rig->kmsd == 0)
		exec_kmsd(rig);
}

void
kmsd_rig_wait_ready(struct kmsd_rig *rig)
{
	uint64_t limit = now_ns() + WAIT_NS;
	struct kmsc_status status = {0};
	struct slk_error err = {0};

	while (kmsc_status(rig->client, &status, &err) != SLK_OK || !status.hsm_ok) {
		if (now_ns() > limit)
			fail_with_log(rig, err.text);
		usleep(5000);
	}
}

int
kmsd_rig_wait_end(struct kmsd_rig *rig)
{
	int status = 0;

	assert_int_equal(waitpid(rig->kmsd, &status, 0), rig->kmsd);
	rig->kmsd = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
kmsd_rig_stop(struct kmsd_rig *rig)
{
	kill(rig->kmsd, SIGTERM);
	return kmsd_rig_wait_end(rig);
}

static bool
comm_is(int pid, const char *name)
{
	char path[64], comm[32] = "";

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	bool same = fgets(comm, sizeof(comm), f) != NULL && strncmp(comm, name, strlen(name)) == 0;
	fclose(f);
	return same;
}

static pid_t
child_of(pid_t monitor, const char *name)
{
	char path[64];
	int pid;
	pid_t found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)monitor, (int)monitor);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return 0;
	while (found == 0 && fscanf(f, "%d", &pid) == 1) {
		if (comm_is(pid, name))
			found = pid;
	}
	fclose(f);
	return found;
}

pid_t
kmsd_rig_front(const struct kmsd_rig *rig)
{
	return child_of(rig->kmsd, "sealock-kmsd");
}

pid_t
kmsd_rig_worker(const struct kmsd_rig *rig)
{
	return child_of(rig->kmsd, "sealock-hsm-wor");
}

/* A call that needs the token: the front's word that it is there may be older than the new worker. */
static void
wait_served(struct kmsd_rig *rig)
{
	uint64_t limit = now_ns() + WAIT_NS;
	struct kmsc_key key;
	struct slk_error err = {0};

	while (kmsc_create_key(rig->client, "served", &key, &err) != SLK_OK) {
		if (now_ns() > limit)
			fail_with_log(rig, err.text);
		usleep(5000);
	}
}

void
kmsd_rig_replace(struct kmsd_rig *rig, pid_t (*child)(const struct kmsd_rig *))
{
	uint64_t limit = now_ns() + WAIT_NS;
	pid_t old = child(rig), now;

	assert_true(old > 0);
	assert_int_equal(kill(old, SIGKILL), 0);
	while ((now = child(rig)) == 0 || now == old) {
		if (now_ns() > limit)
			fail_with_log(rig, "a killed process is not replaced");
		usleep(5000);
	}
	wait_served(rig);
}

bool
kmsd_rig_logged(const struct kmsd_rig *rig, const char *text)
{
	static char buf[262144];
	FILE *f = fopen(rig->log, "re");

	if (f == NULL)
		return false;
	size_t n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = '\0';
	return strstr(buf, text) != NULL;
}

void
kmsd_rig_wait_logged(const struct kmsd_rig *rig, const char *text)
{
	uint64_t limit = now_ns() + WAIT_NS;

	while (!kmsd_rig_logged(rig, text)) {
		if (now_ns() > limit)
			fail_with_log(rig, text);
		usleep(5000);
	}
}
