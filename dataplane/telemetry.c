#include "telemetry.h"

#include <errno.h>
#include <pthread.h>
#include <rte_telemetry.h>
#include <rte_version.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
#define add_u64 rte_tel_data_add_dict_uint
#else
#define add_u64 rte_tel_data_add_dict_u64
#endif

/* DPDK passes its callbacks no argument, and cannot unregister them. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dp_worker *const *workers;
static unsigned worker_count; /* 0: stopped */

static uint64_t
get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static int
add_worker(struct rte_tel_data *out, unsigned i)
{
	const struct dp_counters *c = &workers[i]->counters;
	struct jnl_lane_stats lane;

	jnl_lane_stats(workers[i]->lane, &lane);
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"frames", get(&c->frames)},
		{"frame_bytes", get(&c->frame_bytes)},
		{"records", get(&c->records)},
		{"record_bytes", get(&c->record_bytes)},
		{"blocks", get(&c->blocks)},
		{"puts", get(&c->puts)},
		{"sleeps", get(&c->sleeps)},
		{"staged_records", get(&c->staged_records)},
		{"busy_cycles", get(&c->busy_cycles)},
		{"idle_cycles", get(&c->idle_cycles)},
		{"appended", lane.appended_lsn},
		{"durable", lane.durable_lsn},
	};

	int rc = 0;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]) && rc == 0; r++) {
		char name[RTE_TEL_MAX_STRING_LEN];
		snprintf(name, sizeof(name), "worker%u_%s", i, rows[r].name);
		rc = add_u64(out, name, rows[r].value);
	}
	return rc;
}

static int
answer_workers(const char *cmd, const char *params, struct rte_tel_data *out)
{
	int rc = rte_tel_data_start_dict(out);

	(void)cmd;
	(void)params;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < worker_count && rc == 0; i++)
		rc = add_worker(out, i);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* Of the reason, over workers first..end - 1. */
static uint64_t
sum(size_t offset, unsigned first, unsigned end)
{
	uint64_t total = 0;

	for (unsigned i = first; i < end; i++)
		total += get((const uint64_t *)(const void *)((const char *)&workers[i]->counters +
			offset));
	return total;
}

static int
add_drops(struct rte_tel_data *out, unsigned first, unsigned end)
{
	int rc = 0;

	for (unsigned r = 1; r < DP_DROP_COUNT && rc == 0; r++)
		rc = add_u64(out, dp_drop_name((enum dp_drop)r),
			sum(offsetof(struct dp_counters, drops) + r * sizeof(uint64_t), first,
				end));
	for (unsigned r = 0; r < DP_LOSS_COUNT && rc == 0; r++)
		rc = add_u64(out, dp_loss_name((enum dp_loss)r),
			sum(offsetof(struct dp_counters, losses) + r * sizeof(uint64_t), first,
				end));
	return rc;
}

static int
answer_drops(const char *cmd, const char *params, struct rte_tel_data *out)
{
	int rc = rte_tel_data_start_dict(out);

	(void)cmd;
	pthread_mutex_lock(&lock);
	unsigned first = 0, end = worker_count;
	if (params != NULL && params[0] != '\0') {
		char *rest = NULL;
		unsigned long n = strtoul(params, &rest, 10);
		first = *rest == '\0' && n < worker_count ? (unsigned)n : worker_count;
		end = first < worker_count ? first + 1 : worker_count;
	}
	if (rc == 0 && first == worker_count)
		rc = -EINVAL; /* there is no such worker */
	if (rc == 0)
		rc = add_drops(out, first, end);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
dp_telemetry_start(struct dp_worker *const *list, unsigned count, struct slk_error *err)
{
	pthread_mutex_lock(&lock);
	workers = list;
	worker_count = count;
	pthread_mutex_unlock(&lock);
	if (rte_telemetry_register_cmd("/sealock/workers", answer_workers,
		    "Counters of ingestd's workers. Takes no parameters") != 0 ||
		rte_telemetry_register_cmd("/sealock/drops", answer_drops,
			"Drop reasons with their counts. Parameters: a worker's number, or none") !=
			0)
		return slk_fail(
			err, SLK_SYSTEM, "DPDK's telemetry does not take ingestd's commands");
	return SLK_OK;
}

void
dp_telemetry_stop(void)
{
	pthread_mutex_lock(&lock);
	workers = NULL;
	worker_count = 0;
	pthread_mutex_unlock(&lock);
}
