#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

#define ARGUMENTS_MAX 64u
#define LAST_LINE_MAX 300u

const struct rig_entry *
rig_entry_find(const char *name)
{
	for (const struct rig_entry *e = rig_entries; e->name != NULL; e++) {
		if (strcmp(e->name, name) == 0)
			return e;
	}
	return NULL;
}

static int
path_of(char out[RIG_PATH_MAX], struct slk_error *err, const char *directory, const char *prefix,
	const char *name, const char *suffix)
{
	int len = snprintf(out, RIG_PATH_MAX, "%s/%s%s%s", directory, prefix, name, suffix);

	if (len < 0 || len >= (int)RIG_PATH_MAX)
		return slk_fail(err, SLK_TOO_LARGE, "the name of %s is too long", directory);
	return SLK_OK;
}

int
rig_directory(char out[RIG_PATH_MAX], struct slk_error *err)
{
	/* As built: bin/ and bench/ are neighbours. As installed: sbin/ and libexec/ are. */
	static const char *const places[] = {"/../bench", "/" RIG_BENCHES};
	const char *set = getenv("SEALOCK_BENCH_DIR");
	char self[RIG_PATH_MAX];

	if (set != NULL) {
		if (strlen(set) >= RIG_PATH_MAX || access(set, X_OK) != 0)
			return slk_fail_errno(err, "SEALOCK_BENCH_DIR names %.256s", set);
		memcpy(out, set, strlen(set) + 1);
		return SLK_OK;
	}
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len <= 0)
		return slk_fail_errno(err, "cannot see where this program lies");
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int n = snprintf(out, RIG_PATH_MAX, "%s%s", self, places[i]);
		if (n > 0 && n < (int)RIG_PATH_MAX && rig_is_installed(out, "noise"))
			return SLK_OK;
	}
	return slk_fail(err, SLK_NOT_FOUND,
		"there are no bench programs beside %s; set SEALOCK_BENCH_DIR to their directory",
		self);
}

bool
rig_is_installed(const char *directory, const char *name)
{
	char program[RIG_PATH_MAX];

	return path_of(program, NULL, directory, "bench_", name, "") == SLK_OK &&
		access(program, X_OK) == 0;
}

/* The last line of the log that says something: mostly the reason. */
static void
last_line(const char *path, char out[LAST_LINE_MAX])
{
	char line[LAST_LINE_MAX];
	FILE *f = fopen(path, "re");

	out[0] = '\0';
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strspn(line, " \t") != strlen(line))
			memcpy(out, line, sizeof(line));
	}
	if (f != NULL)
		(void)fclose(f);
}

/* Its standard output and error are the log's. */
static int
start(const char *program, char *const argv[], const char *log, pid_t *out_pid,
	struct slk_error *err)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;

	int rc = posix_spawn_file_actions_init(&actions);
	if (rc != 0) {
		errno = rc;
		return slk_fail_errno(err, "cannot start %s", program);
	}
	rc = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(
			&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, 1, 2);
	if (rc == 0)
		rc = posix_spawn(out_pid, program, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	errno = rc;
	return rc == 0 ? SLK_OK : slk_fail_errno(err, "cannot start %s", program);
}

static int
wait_for(pid_t pid, int *out_status)
{
	pid_t got = -1;

	do
		got = waitpid(pid, out_status, 0);
	while (got < 0 && errno == EINTR);
	return got == pid ? SLK_OK : SLK_SYSTEM;
}

/* Say in *why what went wrong, "" if nothing did. */
static int
run_program(const struct rig_run *run, const char *program, const char *json, const char *log,
	struct slk_error *why, struct slk_error *err)
{
	const char *argv[ARGUMENTS_MAX] = {program, "--json", json};
	size_t n = 3;
	char line[LAST_LINE_MAX];
	pid_t pid = -1;
	int status = 0;

	if (run->quick)
		argv[n++] = "--quick";
	for (size_t i = 0; run->arguments != NULL && run->arguments[i] != NULL; i++) {
		if (n + 1 == ARGUMENTS_MAX)
			return slk_fail(err, SLK_TOO_LARGE, "too many arguments");
		argv[n++] = run->arguments[i];
	}
	/* What an earlier run left must not pass for this one's. */
	if (unlink(json) != 0 && errno != ENOENT)
		return slk_fail_errno(err, "cannot remove the old %s", json);
	int rc = start(program, (char *const *)argv, log, &pid, err);
	if (rc != SLK_OK)
		return rc;
	if (wait_for(pid, &status) != SLK_OK)
		return slk_fail_errno(err, "cannot wait for %s", program);
	last_line(log, line);
	if (WIFSIGNALED(status))
		(void)slk_fail(why, SLK_INVALID_STATE, "ended by signal %d; its last line: %s",
			WTERMSIG(status), line);
	else if (WEXITSTATUS(status) != 0)
		(void)slk_fail(why, SLK_INVALID_STATE, "exit status %d; its last line: %s",
			WEXITSTATUS(status), line);
	return SLK_OK;
}

int
rig_run(const struct rig_run *run, const char *name, bool *out_ran, struct slk_error *err)
{
	char program[RIG_PATH_MAX], json[RIG_PATH_MAX], log[RIG_PATH_MAX];
	struct slk_error why = {SLK_OK, ""};
	struct rig_bench *bench = NULL;

	int rc = path_of(program, err, run->directory, "bench_", name, "");
	if (rc == SLK_OK)
		rc = path_of(json, err, run->out, "", name, ".json");
	if (rc == SLK_OK)
		rc = path_of(log, err, run->out, "", name, ".log");
	if (rc != SLK_OK)
		return rc;
	if (!rig_is_installed(run->directory, name))
		(void)slk_fail(&why, SLK_NOT_FOUND, "its program %.256s is not installed", program);
	else
		rc = run_program(run, program, json, log, &why, err);
	if (rc != SLK_OK)
		return rc;
	if (why.status == SLK_OK && rig_bench_load(json, &bench, &why) == SLK_OK &&
		strcmp(bench->name, name) != 0)
		(void)slk_fail(&why, SLK_MALFORMED, "it calls itself %.64s", bench->name);
	rig_bench_free(bench);
	*out_ran = why.status == SLK_OK;
	if (*out_ran)
		return SLK_OK;
	(void)slk_fail(err, why.status, "%s", why.text);
	return rig_failure_write(json, name, why.text, err != NULL ? &why : NULL);
}
