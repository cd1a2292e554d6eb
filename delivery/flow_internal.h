/* What the files of a flow share: flow.c (the loop's side: what comes next), flow_legs.c (ways out), flow_gather.c (a thread's side: reading, gathering,
 * plans), flow_view.c (what is said of it). Not for others. */
#ifndef DELIVERY_FLOW_INTERNAL_H
#define DELIVERY_FLOW_INTERNAL_H

#include <pthread.h>

#include "base/clock.h"
#include "errlog.h"
#include "flow.h"
#include "loop.h"

/* A batch in each of its forms, and which records are in it. */
struct dlv_set {
	struct dlv_batch main, copy; /* copy: unused without a copy leg */
	bool main_begun, copy_begun, main_sealed;
	size_t main_took; /* records of the held chunk that main has and copy does not have yet */
	struct dlv_checkpoint
		ends; /* places alone: next is the first record, plan_end behind the last */
	uint64_t newest_ns; /* arrival */
	bool replays; /* gathers the checkpoint's plan again */
	bool full; /* nothing more goes in */
	bool spent; /* its batch has ended: it is emptied before anything is gathered into it */
};

/* A way out: one destination, one batch at a time. */
struct dlv_leg {
	struct dlv_flow *flow;
	const struct dlv_destination_ops *ops; /* NULL: there is no such leg */
	void *dest;
	struct dlv_batch *batch; /* NULL: nothing to deliver */
	bool in_flight; /* done has not been called */
	bool waits; /* its timer is set */
	bool gives_up; /* ops->give_up() instead of ops->deliver() */
	unsigned attempts;
	uint64_t first_ns; /* of the first attempt, monotonic; 0: none */
	struct dlv_timer timer;
};

enum dlv_gathered {
	DLV_GATHERED_MORE, /* its turn is over, there is more */
	DLV_GATHERED_TIP, /* nothing more is there */
	DLV_GATHERED_FULL,
	DLV_GATHERED_NO_MEMORY, /* of the pool */
	DLV_GATHERED_ERROR,
};

enum dlv_commit {
	DLV_COMMIT_LOAD,
	DLV_COMMIT_PLAN,
	DLV_COMMIT_ERRORS,
	DLV_COMMIT_END,
	DLV_COMMIT_CLOSE
};

enum dlv_seek { DLV_SEEK_NONE, DLV_SEEK_PLAN, DLV_SEEK_BEHIND };

/* What is to be said of a batch that has ended. */
struct dlv_ended {
	uint64_t records, bytes;
	size_t failed; /* records that failed alone, and are in the error output */
	bool backed_up; /* all of them are there */
};

struct dlv_flow {
	struct dlv_env env, copy_env, errors_env;
	struct dlv_flow_config config;
	struct dlv_loop *loop;
	struct dlv_feed *feed;
	struct dlv_checkpoint_file file;
	struct dlv_errlog *errlog; /* NULL: the description asks for none */
	struct dlv_checkpoint
		cp; /* the commit task's; the gather task reads it while gather_seeks */
	uint64_t ended_number; /* of the last batch that ended */
	bool planned; /* a plan is on the disk whose batch has not ended */

	struct dlv_set sets[2];
	struct dlv_set *filling; /* being gathered; the gather task's while gathering */
	struct dlv_set *under; /* under way; NULL: none */
	uint64_t under_number; /* its: a commit may have emptied the set already */
	struct dlv_ended ended; /* of it */
	struct dlv_leg main, copy, errors;
	struct dlv_batch error_batch;
	bool error_batch_begun;
	/* Which records go to the error output: all, or those that the destination named. */
	struct dlv_failed *failed;
	size_t failed_count, failed_cap;
	bool fails_whole;
	struct dlv_result whole; /* why, if all */
	uint64_t failed_ns; /* Unix time of that attempt's end */

	/* The gather task. */
	struct dlv_task gather_task;
	bool gathering;
	/* Before anything else is gathered: both sets are emptied, or the one being gathered; the feed goes elsewhere. */
	bool reseek, drop_filling;
	enum dlv_seek seek;
	struct dlv_chunk chunk; /* read and not gathered from chunk_at on */
	size_t chunk_at;
	enum dlv_gathered gathered;
	struct slk_error gather_error;
	int gather_status;
	/* For the task: the same three when it began, and the batch that it begins. */
	bool gather_empties, gather_empties_all;
	enum dlv_seek gather_seek; /* DLV_SEEK_NONE: done */
	uint64_t gather_number;
	bool gather_replays;
	bool gather_nothing; /* give back what is to be given back, no more */
	bool gather_seeks; /* the task reads the checkpoint: no commit meanwhile */
	struct dlv_timer gather_timer; /* nothing is gathered until then */
	bool gather_waits;
	uint64_t poll_ns; /* until the tip is looked at again */
	unsigned gather_failures;
	uint64_t unread_at_ns; /* when unread records were counted last, monotonic */
	struct dlv_timer fill_timer; /* the batch's time is over */
	bool fill_is_set, fill_over;

	/* The commit task: one at a time. */
	struct dlv_task commit_task;
	bool commit_wanted, committing;
	enum dlv_commit commit;
	int commit_status;
	bool commit_seal_failed;
	bool commit_passed; /* the checkpoint in memory is ahead of that on the disk */
	/* DLV_COMMIT_END writes the plan of the batch that waits behind it, too; both are on the disk. */
	bool commit_next, commit_next_stored;
	struct slk_error commit_error;
	struct dlv_timer commit_timer; /* tried again then */
	bool commit_waits;
	unsigned commit_failures;

	bool started, loaded, stopping, drained, closed;
	struct dlv_timer drain_timer;
	void (*stopped)(void *arg);
	void *stopped_arg;

	pthread_mutex_t lock; /* of what follows */
	struct dlv_flow_view view;
	uint64_t tip_ns; /* Unix time: the last moment at which nothing was unread */
	bool at_tip;
	uint64_t unread_records;
	uint64_t oldest_ns[2]; /* of sets: arrival of their oldest record; 0: none */
	uint64_t set_records[2], set_bytes[2];
};

#define DLV_REFUSED_NS \
	(10 * SLK_NS_PER_S) /* the first wait after a refusal, between half and all of it */
#define DLV_RETRY_MAX_NS (60 * SLK_NS_PER_S)
#define DLV_STUCK_ATTEMPTS 2u /* beyond them nothing is gathered behind a batch */

/* --- flow.c; the loop's --- */

void dlv_flow_schedule(struct dlv_flow *flow); /* begin what can be begun */
void dlv_flow_want(struct dlv_flow *flow, enum dlv_commit what);
void dlv_flow_stop_fill(struct dlv_flow *flow); /* the time of the batch that is gathered */

/* --- flow_legs.c; the loop's --- */

/* Doubled with each failure, between half and all of it, so that those who failed together do not come back together. */
uint64_t dlv_flow_backoff_ns(uint64_t first_ns, unsigned failures);
void dlv_flow_step(struct dlv_flow *flow, enum dlv_batch_event event); /* of the batch under way */
void dlv_leg_reset(struct dlv_leg *leg);
void dlv_leg_send(struct dlv_leg *leg);

/* --- flow_gather.c; in a thread of the pool --- */

/* Gather into flow->filling, for a while; sets gathered, and gather_error with DLV_GATHERED_ERROR. */
void dlv_flow_gather(struct dlv_flow *flow);
/* Carry out flow->commit; sets commit_status and commit_error. */
void dlv_flow_commit(struct dlv_flow *flow);

/* --- flow_view.c; any thread --- */

/* state: static. leg: whose error it is; NULL: of what comes before a delivery. */
void dlv_view_error(struct dlv_flow *flow, const struct dlv_leg *leg, const char *state,
	const char *code, const char *text);
/* The error log alone: nothing stands in the way. */
void dlv_view_note(
	struct dlv_flow *flow, const struct dlv_leg *leg, const char *code, const char *text);
void dlv_view_ok(struct dlv_flow *flow); /* nothing stands in the way */
void dlv_view_attempt(struct dlv_flow *flow, const struct dlv_result *result);
void dlv_view_batch(struct dlv_flow *flow); /* state and attempts of the batch under way */
void dlv_view_sets(struct dlv_flow *flow);
void dlv_view_ended(struct dlv_flow *flow, const struct dlv_ended *ended);
/* "KMS.AccessDenied", "Journal.InputOutputError": what stopped a source or a batch's making. */
void dlv_view_code(int status, const char *what, char out[DLV_CODE_MAX]);

#endif
