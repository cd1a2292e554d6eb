#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "internal.h"

#define CALIBRATE_NS 30000000ull

static uint64_t
mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t
bench_ticks(void)
{
#if defined(__x86_64__)
	unsigned aux;
	uint64_t t = __rdtscp(&aux); /* waits for everything before it */
	_mm_lfence(); /* and nothing after it starts early */
	return t;
#else
	return mono_ns();
#endif
}

static double
calibrate(void)
{
	uint64_t ns = mono_ns();
	uint64_t ticks = bench_ticks();
	uint64_t ns_end;

	do
		ns_end = mono_ns();
	while (ns_end - ns < CALIBRATE_NS);
	return (double)(bench_ticks() - ticks) / (double)(ns_end - ns);
}

static void
read_cpu_name(char *out, size_t cap)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256];

	snprintf(out, cap, "unknown");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		char *colon = strchr(line, ':');
		if (strncmp(line, "model name", 10) != 0 || colon == NULL)
			continue;
		snprintf(out, cap, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
		break;
	}
	if (f != NULL)
		fclose(f);
}

void
bench_machine_read(struct bench_machine *m)
{
	struct utsname u;

	read_cpu_name(m->cpu, sizeof(m->cpu));
	if (uname(&u) == 0)
		snprintf(m->kernel, sizeof(m->kernel), "%.31s %.63s", u.sysname, u.release);
	m->cores = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	if (getloadavg(&m->load, 1) != 1)
		m->load = -1;
	m->ticks_per_ns = calibrate();
}

int
bench_machine_pin(struct bench_machine *m, int core)
{
	cpu_set_t allowed;
	cpu_set_t one;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return SLK_INVALID;
	for (int i = CPU_SETSIZE - 1; core < 0 && i >= 0; i--) {
		if (CPU_ISSET(i, &allowed))
			core = i;
	}
	if (core < 0 || core >= CPU_SETSIZE || !CPU_ISSET(core, &allowed))
		return SLK_INVALID;
	CPU_ZERO(&one);
	CPU_SET(core, &one);
	if (sched_setaffinity(0, sizeof(one), &one) != 0)
		return SLK_INVALID;
	m->core = (uint32_t)core;
	return SLK_OK;
}
