#include "host/host.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/lever.h"
#include "harness/place.h"
#include "kmsclient/kmsclient.h"

static int
own(const char *path, struct slk_error *err)
{
	if (mkdir(path, 0755) != 0 ||
		(geteuid() == 0 && chown(path, BENCH_HOST_INGEST_UID, BENCH_HOST_INGEST_UID) != 0))
		return slk_fail_errno(err, "cannot make %s", path);
	return SLK_OK;
}

int
bench_host_stream(struct bench_host *h, const char *name, uint32_t shards, struct slk_error *err)
{
	char keys[1][320];
	struct kmsc_stream stream;
	struct kmsc *c = NULL;

	int rc = kb_daemon_keys(&h->kmsd, 1, keys, err);
	if (rc == SLK_OK)
		rc = kmsc_new(h->kmsd.socket, 0, &c);
	if (rc == SLK_OK)
		rc = kmsc_create_stream(c, name, shards, keys[0], &stream, err);
	kmsc_free(c);
	return rc;
}

int
bench_host_start(struct bench_host *h, const char *stream, uint32_t shards, struct slk_error *err)
{
	char run[KB_PATH_MAX];

	strcpy(h->root, "/var/tmp/sealock-bench-XXXXXX");
	if (mkdtemp(h->root) == NULL || chmod(h->root, 0755) != 0)
		return slk_fail_errno(err, "cannot make %s", h->root);
	(void)snprintf(h->journal, sizeof(h->journal), "%.100s/journal", h->root);
	(void)snprintf(run, sizeof(run), "%.100s/run", h->root);
	(void)snprintf(h->status, sizeof(h->status), "%.100s/run/status.sock", h->root);
	(void)snprintf(h->port, sizeof(h->port), "%.100s/run/port.sock", h->root);
	(void)snprintf(h->more, sizeof(h->more),
		"  - {effect: Allow, principals: [role/bench], actions: ['kinesis:PutRecord', "
		"'kms:GenerateDataKey'], resources: ['*']}\ningest_user: \"%u\"\nroles: "
		"[role/bench]\n",
		geteuid() == 0 ? BENCH_HOST_INGEST_UID : (unsigned)geteuid());
	if (h->lever != NULL)
		(void)snprintf(h->more + strlen(h->more), sizeof(h->more) - strlen(h->more),
			"gateway_user: \"%u\"\n", BENCH_HOST_GATEWAY_UID);
	h->kmsd = (struct kb_daemon){.name = "kmsd", .more_lines = h->more};
	int rc = own(h->journal, err);
	if (rc == SLK_OK)
		rc = own(run, err);
	if (rc == SLK_OK)
		rc = kb_daemon_start(&h->kmsd, h->root, err);
	return rc == SLK_OK ? bench_host_stream(h, stream, shards, err) : rc;
}

static int
write_config(
	const struct bench_host *h, const char *sections, const char *path, struct slk_error *err)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		return slk_fail_errno(err, "cannot write %s", path);
	fprintf(f,
		"%skms: {socket: %s}\nput: {socket: %s, mode: \"0666\", trusted_user: \"%u\"}\n"
		"status: {socket: %s, mode: \"0666\"}\nallow_unlocked_memory: true\n",
		sections, h->kmsd.socket, h->port, BENCH_HOST_GATEWAY_UID, h->status);
	if (fclose(f) != 0)
		return slk_fail_errno(err, "cannot write %s", path);
	return SLK_OK;
}

int
bench_host_ingestd(struct bench_host *h, const char *sections, struct slk_error *err)
{
	char config[KB_PATH_MAX], log[KB_PATH_MAX], program[BENCH_PLACE_MAX];

	(void)snprintf(config, sizeof(config), "%.120s/ingestd.yaml", h->root);
	(void)snprintf(log, sizeof(log), "%.120s/ingestd.log", h->root);
	int rc = write_config(h, sections, config, err);
	if (rc == SLK_OK)
		rc = bench_place(
			h->lever != NULL ? BENCH_LEVER_INGESTD : BENCH_INGESTD, program, err);
	if (rc != SLK_OK)
		return rc;
	h->ingestd = fork();
	if (h->ingestd < 0)
		return slk_fail_errno(err, "cannot fork");
	if (h->ingestd > 0)
		return SLK_OK;
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, 2) < 0 || dup2(fd, 1) < 0 ||
		(geteuid() == 0 &&
			(setgroups(0, NULL) != 0 ||
				setresgid(BENCH_HOST_INGEST_UID, BENCH_HOST_INGEST_UID,
					BENCH_HOST_INGEST_UID) != 0 ||
				setresuid(BENCH_HOST_INGEST_UID, BENCH_HOST_INGEST_UID,
					BENCH_HOST_INGEST_UID) != 0)))
		_exit(126);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (h->lever != NULL && setenv(LEVER_VARIABLE, h->lever, 1) != 0)
		_exit(126);
	execl(program, program, "--config", config, (char *)NULL);
	_exit(127);
}

void
bench_host_stop(struct bench_host *h)
{
	char command[KB_PATH_MAX + 16];

	if (h->ingestd > 0) {
		(void)kill(h->ingestd, SIGTERM);
		(void)waitpid(h->ingestd, NULL, 0);
	}
	kb_daemon_stop(&h->kmsd);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", h->root);
	if (system(command) != 0)
		fprintf(stderr, "bench: %s stays behind\n", h->root);
}
