#include "database.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define READY_TRIES 600u

static int
find_bin(struct database *d, struct slk_error *err)
{
	glob_t found;

	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0)
		return slk_fail(err, SLK_NOT_FOUND, "PostgreSQL is not installed");
	const char *last = found.gl_pathv[found.gl_pathc - 1];
	snprintf(d->bin, sizeof(d->bin), "%.*s", (int)(strlen(last) - strlen("/initdb")), last);
	globfree(&found);
	return SLK_OK;
}

static int
find_port(uint16_t *out_port, struct slk_error *err)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 ||
		getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
		int rc = slk_fail_errno(err, "no free port");
		if (fd >= 0)
			close(fd);
		return rc;
	}
	close(fd);
	*out_port = ntohs(at.sin_port);
	return SLK_OK;
}

/* --- programs --- */

#define ARGUMENTS_MAX 32u

/* In the child: a user that PostgreSQL accepts, and nothing on the terminal. */
static _Noreturn void
run(const struct database *d, const char *const *argv, bool owner)
{
	char log[300], program[300];
	const char *all[ARGUMENTS_MAX];
	size_t n = 0;
	const struct passwd *postgres = owner && getuid() == 0 ? getpwnam("postgres") : NULL;

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	snprintf(log, sizeof(log), "%s/log", d->dir);
	snprintf(program, sizeof(program), "%s/%s", d->bin, argv[0]);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
	if (fd < 0 || dup2(fd, 2) < 0)
		_exit(126);
	if (owner && dup2(fd, 1) < 0)
		_exit(126);
	if (postgres != NULL &&
		(setgroups(0, NULL) != 0 || setgid(postgres->pw_gid) != 0 ||
			setuid(postgres->pw_uid) != 0))
		_exit(126);
	/* By its path: initdb looks for postgres beside itself. */
	for (; argv[n] != NULL && n < ARGUMENTS_MAX - 1; n++)
		all[n] = n == 0 ? program : argv[n];
	all[n] = NULL;
	execv(program, (char *const *)all);
	_exit(127);
}

static int
run_initdb(struct database *d, struct slk_error *err)
{
	char data[300];
	const char *const argv[] = {"initdb", "-D", data, "-U", "bench", "-A", "trust", "-N",
		"--no-instructions", "-E", "UTF8", "--locale=C.UTF-8", NULL};
	int status = 0;

	snprintf(data, sizeof(data), "%s/data", d->dir);
	pid_t pid = fork();
	if (pid == 0)
		run(d, argv, true);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return slk_fail(err, SLK_UNAVAILABLE, "initdb failed; its log was %s/log", d->dir);
	return SLK_OK;
}

static int
run_postgres(struct database *d, struct slk_error *err)
{
	char data[300], port[40], sockets[320];
	const char *const argv[] = {"postgres", "-D", data, "-c", port, "-c", sockets, "-c",
		"listen_addresses=127.0.0.1", "-c", "shared_buffers=256MB", "-c",
		"max_wal_size=4GB", "-c", "autovacuum=off", NULL};

	snprintf(data, sizeof(data), "%s/data", d->dir);
	snprintf(port, sizeof(port), "port=%u", d->port);
	snprintf(sockets, sizeof(sockets), "unix_socket_directories=%s", d->dir);
	d->postgres = fork();
	if (d->postgres == 0)
		run(d, argv, true);
	return d->postgres > 0 ? SLK_OK : slk_fail_errno(err, "cannot fork");
}

static int
connect_admin(struct database *d, struct slk_error *err)
{
	const struct timespec pause = {0, 50 * 1000 * 1000};
	char port[8];
	const char *const names[] = {"host", "port", "user", "dbname", NULL};
	const char *const values[] = {d->dir, port, "bench", "postgres", NULL};

	snprintf(port, sizeof(port), "%u", d->port);
	for (unsigned i = 0; i < READY_TRIES; i++) {
		d->admin = PQconnectdbParams(names, values, 0);
		if (PQstatus(d->admin) == CONNECTION_OK)
			return SLK_OK;
		PQfinish(d->admin);
		d->admin = NULL;
		(void)nanosleep(&pause, NULL);
	}
	return slk_fail(err, SLK_TIMEOUT, "PostgreSQL did not start");
}

static int
run_psql(struct database *d, struct slk_error *err)
{
	char port[8];
	const char *const argv[] = {"psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
		"-p", port, "-U", "bench", "-d", "postgres", NULL};
	int in[2] = {-1, -1}, out[2] = {-1, -1};

	snprintf(port, sizeof(port), "%u", d->port);
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		return slk_fail_errno(err, "no pipe");
	d->psql = fork();
	if (d->psql == 0) {
		if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0)
			_exit(126);
		run(d, argv, false);
	}
	close(in[0]);
	close(out[1]);
	d->to_psql = fdopen(in[1], "w");
	d->from_psql = fdopen(out[0], "r");
	if (d->psql < 0 || d->to_psql == NULL || d->from_psql == NULL)
		return slk_fail_errno(err, "psql does not start");
	return SLK_OK;
}

int
database_psql(struct database *d, const char *command, struct slk_error *err)
{
	char line[256];

	if (fprintf(d->to_psql, "%s\n\\echo done\n", command) < 0 || fflush(d->to_psql) != 0)
		return slk_fail_errno(err, "psql is gone");
	while (fgets(line, sizeof(line), d->from_psql) != NULL)
		if (strcmp(line, "done\n") == 0)
			return SLK_OK;
	return slk_fail(err, SLK_CLOSED, "psql ended; its log was %s/log", d->dir);
}

int
database_sql(struct database *d, const char *sql, char *out, size_t cap, struct slk_error *err)
{
	PGresult *result = PQexec(d->admin, sql);
	ExecStatusType status = PQresultStatus(result);
	int rc = SLK_OK;

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		rc = slk_fail(err, SLK_UNAVAILABLE, "%s", PQresultErrorMessage(result));
	if (out != NULL)
		snprintf(out, cap, "%s",
			status == PGRES_TUPLES_OK && PQntuples(result) > 0
				? PQgetvalue(result, 0, 0)
				: "");
	PQclear(result);
	return rc;
}

/* --- start and stop --- */

int
database_start(struct database *d, struct slk_error *err)
{
	const char *tmp = getenv("TMPDIR");

	int rc = find_bin(d, err);
	if (rc == SLK_OK)
		rc = find_port(&d->port, err);
	if (rc != SLK_OK)
		return rc;
	snprintf(d->dir, sizeof(d->dir), "%.200s/sealock-bench-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(d->dir) == NULL) {
		d->dir[0] = '\0';
		return slk_fail_errno(err, "no directory for PostgreSQL");
	}
	/* The server's own user makes its data in it. */
	if (chmod(d->dir, 01777) != 0)
		return slk_fail_errno(err, "no directory for PostgreSQL");
	rc = run_initdb(d, err);
	if (rc == SLK_OK)
		rc = run_postgres(d, err);
	if (rc == SLK_OK)
		rc = connect_admin(d, err);
	return rc == SLK_OK ? run_psql(d, err) : rc;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
end(pid_t pid, int how)
{
	if (pid <= 0)
		return;
	(void)kill(pid, how);
	(void)waitpid(pid, NULL, 0);
}

void
database_stop(struct database *d)
{
	PQfinish(d->admin);
	if (d->to_psql != NULL)
		fclose(d->to_psql);
	if (d->from_psql != NULL)
		fclose(d->from_psql);
	end(d->psql, SIGTERM);
	end(d->postgres, SIGINT);
	if (d->dir[0] != '\0')
		(void)nftw(d->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
