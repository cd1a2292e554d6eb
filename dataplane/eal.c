#include "eal.h"

#include <dirent.h>
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_memory.h>
#include <rte_version.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "pci.h"

#define ARGS_MAX 64
#define HUGEPAGE_KB 2048u
#define LINE_BYTES 400u

/* --- DPDK's log lines become ours, at level debug; the last bad ones are kept for a sentence: the first of
 * several names the cause, the last only what came of it --- */

#define WORDS_KEPT 3u

static char words[WORDS_KEPT][LINE_BYTES];
static unsigned words_count; /* ever */
static char partial[LINE_BYTES];
static size_t partial_len;

static void
take_line(void)
{
	partial[partial_len] = '\0';
	partial_len = 0;
	if (partial[0] == '\0')
		return;
	if (rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR)
		snprintf(words[words_count++ % WORDS_KEPT], LINE_BYTES, "%s", partial);
	slk_debug("dpdk", slk_kv("said", (const char *)partial));
}

static ssize_t
log_write(void *cookie, const char *text, size_t len)
{
	(void)cookie;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n' || partial_len + 1 == sizeof(partial))
			take_line();
		else
			partial[partial_len++] = text[i];
	}
	return (ssize_t)len;
}

static FILE *
open_log(void)
{
	cookie_io_functions_t io = {.write = log_write};
	FILE *f = fopencookie(NULL, "w", io);

	if (f != NULL)
		setvbuf(f, NULL, _IOLBF, LINE_BYTES);
	return f;
}

const char *
dp_eal_last_words(void)
{
	static char joined[WORDS_KEPT * (LINE_BYTES + 2)];
	unsigned kept = words_count < WORDS_KEPT ? words_count : WORDS_KEPT;
	size_t len = 0;

	joined[0] = '\0';
	for (unsigned i = words_count - kept; i != words_count; i++)
		len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%s",
			len > 0 ? "; " : "", words[i % WORDS_KEPT]);
	return joined;
}

/* --- arguments --- */

struct args {
	char *argv[ARGS_MAX];
	int argc;
	bool failed;
};

static void __attribute__((format(printf, 2, 3))) add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	if (a->argc + 1 >= ARGS_MAX) {
		a->failed = true;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&a->argv[a->argc], fmt, ap) < 0)
		a->failed = true;
	else
		a->argc++;
	va_end(ap);
}

static void
free_args(struct args *a)
{
	for (int i = 0; i < a->argc; i++)
		free(a->argv[i]);
}

static unsigned long
read_number(const char *path)
{
	unsigned long value = 0;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu", &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

static unsigned long
free_hugepages(void)
{
	return read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
}

static unsigned long
pages_for(uint32_t memory_mb)
{
	return (memory_mb * 1024ul + HUGEPAGE_KB - 1) / HUGEPAGE_KB;
}

/* Anonymous hugepages (--in-memory) ask for no privilege and no mounted hugetlbfs. */
static bool
want_hugepages(const struct dp_eal_config *c)
{
	if (c->hugepages != DP_HUGEPAGES_AUTO)
		return c->hugepages == DP_HUGEPAGES_ON;
	return free_hugepages() >= pages_for(c->memory_mb);
}

/* "0,1,3": the CPUs this process may use; *out_last is the highest. */
static int
list_cpus(char *out, size_t cap, const cpu_set_t *set, unsigned *out_last)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, set))
			continue;
		int n = snprintf(out + len, cap - len, "%s%u", len > 0 ? "," : "", cpu);
		if (n < 0 || (size_t)n >= cap - len)
			return SLK_RANGE;
		len += (size_t)n;
		*out_last = cpu;
	}
	return len > 0 ? SLK_OK : SLK_RANGE;
}

static int
choose_cores(const struct dp_eal_config *c, struct dp_eal *eal, char *lcores, size_t cap,
	struct slk_error *err)
{
	char cpus[4096];
	unsigned last = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return slk_fail_errno(err, "cannot read the CPU affinity");
	if (list_cpus(cpus, sizeof(cpus), &set, &last) != SLK_OK)
		return slk_fail(err, SLK_SYSTEM, "cannot list the CPUs of this process");
	eal->workers = c->cores_count > 0 ? c->cores_count : 1;
	int n = snprintf(lcores, cap, "0@(%s)", cpus);
	for (unsigned i = 0; i < eal->workers; i++) {
		eal->cpus[i] = c->cores_count > 0 ? c->cores[i] : last;
		if (eal->cpus[i] >= CPU_SETSIZE || !CPU_ISSET(eal->cpus[i], &set))
			return slk_fail(err, SLK_CONFIG,
				"eal.cores names CPU %u, but this process may use %s", eal->cpus[i],
				cpus);
		n += snprintf(lcores + n, cap - (size_t)n, ",%u@%u", i + 1, eal->cpus[i]);
	}
	return SLK_OK;
}

/* Before DPDK starts: it passes over what it cannot have without a word. */
static int
check_devices(const struct dp_config *config, struct slk_error *err)
{
	int rc = SLK_OK;

	for (uint32_t i = 0; rc == SLK_OK && i < config->ports_count; i++) {
		const struct dp_port_config *p = &config->ports[i];
		if (p->type == DP_PORT_PCI)
			rc = dp_pci_check("", p->name, p->device, config->eal.iommu == DP_OFF, err);
	}
	return rc;
}

static bool
add_devices(struct args *a, const struct dp_config *config)
{
	bool any = false;

	for (uint32_t i = 0; i < config->ports_count; i++) {
		if (config->ports[i].type != DP_PORT_PCI)
			continue;
		add(a, "-a");
		add(a, "%s", config->ports[i].device);
		any = true;
	}
	return any;
}

static void
fill_args(struct args *a, const struct dp_config *config, const struct dp_eal *eal,
	const char *lcores)
{
	const struct dp_eal_config *c = &config->eal;
	bool devices = false;

	add(a, "sealock-ingestd");
	add(a, "--lcores");
	add(a, "%s", lcores);
	add(a, "-m");
	add(a, "%u", c->memory_mb);
	if (!c->telemetry)
		add(a, "--no-telemetry");
	/* Without an IOMMU devices know physical addresses only. */
	add(a, "--iova-mode=%s", c->iommu == DP_OFF ? "pa" : "va");
	if (eal->hugepages) {
		add(a, "--in-memory");
	} else {
		add(a, "--no-huge");
		add(a, "--no-shconf");
	}
	for (uint32_t i = 0; i < c->extra_count; i++) {
		devices = devices || strncmp(c->extra[i], "-a", 2) == 0 ||
			strncmp(c->extra[i], "--allow", 7) == 0;
		add(a, "%s", c->extra[i]);
	}
	if (!add_devices(a, config) && !devices)
		add(a, "--no-pci");
}

/* An ordinary user's DPDK wants a directory of its own: the one of our sockets is there and ours. */
static void
set_runtime_dir(const char *socket_path)
{
	char dir[256];
	const char *slash = strrchr(socket_path, '/');

	if (geteuid() == 0 || getenv("XDG_RUNTIME_DIR") != NULL || slash == NULL ||
		slash == socket_path)
		return;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - socket_path), socket_path);
	(void)setenv("XDG_RUNTIME_DIR", dir, 1);
}

static int
fail_start(const struct dp_eal_config *c, const struct dp_eal *eal, struct slk_error *err)
{
	unsigned long needed = pages_for(c->memory_mb), there = free_hugepages();

	if (eal->hugepages && there < needed)
		return slk_fail(err, SLK_NO_MEMORY,
			"eal.memory_mb: %u needs %lu hugepages of 2 MiB, but %lu are free; reserve "
			"them "
			"(sysctl vm.nr_hugepages=...) or set eal.hugepages: off",
			c->memory_mb, needed, there);
	return slk_fail(err, SLK_SYSTEM, "DPDK does not start (%s): %s", rte_strerror(rte_errno),
		dp_eal_last_words());
}

int
dp_eal_start(const struct dp_config *config, struct dp_eal *out_eal, struct slk_error *err)
{
	struct args a = {.argc = 0};
	struct dp_eal eal = {.hugepages = want_hugepages(&config->eal)};
	char lcores[8192];

	int rc = choose_cores(&config->eal, &eal, lcores, sizeof(lcores), err);
	if (rc == SLK_OK)
		rc = check_devices(config, err);
	if (rc != SLK_OK)
		return rc;
	FILE *log = open_log();
	if (log == NULL || rte_openlog_stream(log) != 0)
		return slk_fail(err, SLK_NO_MEMORY, "cannot take over DPDK's log");
	set_runtime_dir(config->status.socket);
	fill_args(&a, config, &eal, lcores);
	if (a.failed) {
		free_args(&a);
		return slk_fail(err, SLK_NO_MEMORY, "cannot build DPDK's arguments");
	}
	/* DPDK keeps pointers into the array, but not beyond its start; it may reorder it. */
	char *argv[ARGS_MAX];
	memcpy(argv, a.argv, sizeof(argv));
	int n = rte_eal_init(a.argc, argv);
	if (n < 0)
		rc = fail_start(&config->eal, &eal, err);
	free_args(&a);
	if (rc != SLK_OK)
		return rc;
	*out_eal = eal;
	return SLK_OK;
}

static int
hide_segment(const struct rte_memseg_list *list, const struct rte_memseg *segment, void *arg)
{
	int *fault = arg;

	(void)list;
	if (madvise(segment->addr, segment->len, MADV_DONTDUMP) != 0)
		*fault = errno;
	return 0;
}

/* Before DPDK hands the new pages to whoever asked. */
static void
hide_new(enum rte_mem_event event, const void *addr, size_t len, void *arg)
{
	(void)arg;
	if (event == RTE_MEM_EVENT_ALLOC && madvise((void *)addr, len, MADV_DONTDUMP) != 0)
		slk_warn("memory of DPDK stays in core dumps", slk_kv("bytes", len),
			slk_kv("error", (const char *)strerror(errno)));
}

int
dp_eal_hide_memory(const struct dp_eal *eal, struct slk_error *err)
{
	int fault = 0;

	/* Without hugepages all memory is there from the start, and DPDK offers no such event. */
	if (eal->hugepages && rte_mem_event_callback_register("sealock-hide", hide_new, NULL) != 0)
		return slk_fail(
			err, SLK_SYSTEM, "cannot watch DPDK's memory: %s", rte_strerror(rte_errno));
	if (rte_memseg_walk(hide_segment, &fault) < 0)
		return slk_fail(err, SLK_SYSTEM, "cannot walk DPDK's memory");
	if (fault != 0) {
		errno = fault;
		return slk_fail_errno(err, "cannot keep DPDK's memory out of core dumps");
	}
	return SLK_OK;
}

void
dp_eal_stop(void)
{
	(void)rte_eal_cleanup();
}
