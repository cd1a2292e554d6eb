/* Processor time of kmsd's processes. Where other programs share the machine it tells more than the clock: what each
 * process takes for a call, and so how fast it could be with a core of its own. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "kms_bench.h"

/* ns of one thread, 0 if it is gone. */
static uint64_t
of_thread(const char *pid, const char *tid)
{
	char path[128];
	uint64_t ns = 0;

	snprintf(path, sizeof(path), "/proc/%.16s/task/%.16s/schedstat", pid, tid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%" SCNu64, &ns) != 1)
		ns = 0;
	fclose(f);
	return ns;
}

static uint64_t
of_process(const char *pid)
{
	char path[64];
	uint64_t ns = 0;

	snprintf(path, sizeof(path), "/proc/%.16s/task", pid);
	DIR *tasks = opendir(path);
	if (tasks == NULL)
		return 0;
	for (struct dirent *e; (e = readdir(tasks)) != NULL;)
		ns += e->d_name[0] != '.' ? of_thread(pid, e->d_name) : 0;
	closedir(tasks);
	return ns;
}

static bool
is_worker(const char *pid)
{
	char path[64], name[32] = "";

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	bool read = fgets(name, sizeof(name), f) != NULL;
	fclose(f);
	return read && strncmp(name, "sealock-hsm", strlen("sealock-hsm")) == 0;
}

void
kb_cpu_of(const struct kb_daemon *d, struct kb_cpu *out)
{
	char path[64], pid[16];
	struct timespec own = {0};

	*out = (struct kb_cpu){0};
	/* The kernel brings schedstat of a thread that runs up to date now and then only. */
	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own) == 0)
		out->client_ns = (uint64_t)own.tv_sec * SLK_NS_PER_S + (uint64_t)own.tv_nsec;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)d->pid, (int)d->pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return;
	while (fscanf(f, "%15s", pid) == 1)
		*(is_worker(pid) ? &out->worker_ns : &out->front_ns) += of_process(pid);
	fclose(f);
}
