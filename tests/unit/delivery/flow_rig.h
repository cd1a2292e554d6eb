/* A flow in a world of its own: a loop whose threads are turned by hand, a clock that stands until it is moved, a journal of numbered
 * records in place of feed.c, and a destination that does as it is told. Functions fail the running test. */
#ifndef SLK_TESTS_DELIVERY_FLOW_RIG_H
#define SLK_TESTS_DELIVERY_FLOW_RIG_H

#include "slk_test.h"

#include "faultfs.h"
#include "flow.h"

#define RIG_SHARDS 4u
#define RIG_RECORDS 4096u /* in the journal, of all shards */
#define RIG_SENT 4096u

struct rig_sent {
	char id[FMT_UUID_TEXT];
	const void *dest;
	uint64_t number, planned_ns, oldest_ns;
	size_t count;
	uint64_t sum; /* of the records' places in the journal: which ones they were */
	unsigned attempts;
	bool delivered; /* it said so */
	size_t body_len;
};

/* A destination's orders, one for each call of deliver; the last one stays. */
struct rig_order {
	enum dlv_outcome outcome;
	bool hangs; /* done is never called */
	uint64_t takes_ns; /* until done */
	uint32_t failed[4]; /* DLV_DELIVERED_REST */
	size_t failed_count;
	uint64_t retry_after_ns;
};

struct rig_dest {
	const char *name; /* "main", "copy", "errors" */
	struct rig_order orders[16];
	size_t orders_count, orders_at;
	/* The n-th call of begin, gather, seal fails, from 1; 0: none. status: with what; for_ever: all later ones, too. */
	unsigned fail_at, calls;
	int fail_status;
	bool for_ever;
	unsigned begins, releases, cancels, gave_up;
	bool hangs_now;
};

struct rig {
	char dir[256];
	struct faultfs fs;
	uint64_t mono_ns, wall_ns;
	struct slk_clock clock;
	struct dlv_pool *pool;
	struct dlv_spec spec;
	struct dlv_env env;
	struct dlv_destination_ops ops, backup_ops;
	struct rig_dest main, copy, errors;
	struct dlv_flow *flow;
	bool stopped;
	/* The journal. */
	uint32_t record_shard[RIG_RECORDS];
	uint64_t record_sequence[RIG_RECORDS];
	size_t records_count;
	uint64_t next_sequence[RIG_SHARDS];
	size_t lost_below; /* records that retention deleted */
	int feed_status; /* what reads say; SLK_OK */
	unsigned feed_fail_at, feed_reads; /* the n-th read says it; 0: all */
	/* All deliveries, in order. */
	struct rig_sent sent[RIG_SENT];
	size_t sent_count;
	unsigned delivered[RIG_RECORDS]; /* how often each record was, by main */
	unsigned erred[RIG_RECORDS]; /* and how often it went to the error output */
	uint64_t turns; /* tasks and timers that were run */
	bool timers_first; /* those that are due come before tasks that wait, as a busy pool has it */
};

extern struct rig rig;

/* Batches of 10 records (of 100 bytes) or 60 seconds; retries for 300 seconds; all three destinations where want_* say so. */
void rig_setup(bool want_errors, enum dlv_backup backup);
void rig_teardown(void);
void rig_put(uint32_t shard, unsigned count);
/* A flow from what is on the disk. */
void rig_start(void);
/* Until nothing is left to do before the clock is moved. */
void rig_run(void);
/* Run for so long. */
void rig_pass(uint64_t ns);
/* One task or one timer that is due; false: there is none. */
bool rig_turn(void);
void rig_stop(uint64_t drain_ns);
/* As a power cut: the disk takes nothing any more, and what was in memory is gone. The disk is good again afterwards. */
void rig_kill(void);
struct dlv_flow_view rig_view(void);
/* Every record that is not lost was delivered, or is in the error output; a batch's id always stood for the same records. */
void rig_check_all(void);
unsigned rig_delivered_total(void);

#endif
