/* DPDK's environment: start with hugepages or without, take its log lines over, keep its memory out of dumps.
 *
 * The main lcore may run on every CPU that the process has, so that threads made later do not inherit one core; workers
 * are lcores 1..n, pinned to the configured CPUs. Thread: main.
 */
#ifndef DP_EAL_H
#define DP_EAL_H

#include <stdbool.h>

#include "base/error.h"
#include "base/status.h"
#include "config.h"

struct dp_eal {
	unsigned workers; /* lcores 1..workers */
	unsigned cpus[DP_CORES_MAX]; /* CPU of each worker */
	bool hugepages;
};

/* SLK_CONFIG; SLK_NO_MEMORY if there are too few hugepages, with how many; SLK_SYSTEM with what DPDK said. */
MUST_USE int dp_eal_start(
	const struct dp_config *config, struct dp_eal *out_eal, struct slk_error *err);

/* Leave DPDK's memory out of core dumps, hugepages that it takes later included. */
MUST_USE int dp_eal_hide_memory(const struct dp_eal *eal, struct slk_error *err);

/* DPDK's last complaints, oldest first, for sentences; "" if none. Borrowed until the next call. */
const char *dp_eal_last_words(void);

void dp_eal_stop(void);

#endif
