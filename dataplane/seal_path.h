/* The sealing half of a worker: staging with its bounds, epochs, blocks, puts and their completion. No DPDK port is
 * touched here, so that it can be turned by hand in tests. Internal to dataplane/. Thread: the worker's lcore.
 */
#ifndef DP_SEAL_PATH_H
#define DP_SEAL_PATH_H

#include "worker.h"

/* Write 1 to an eventfd. */
void dp_wake(int fd);

/* Stage one record of a stream. DP_LOSS_COUNT if it was kept, otherwise why not (nothing is counted). */
enum dp_loss dp_seal_stage(struct dp_worker *w, struct dp_stream *stream, uint32_t shard,
	const struct fmt_record *record, void *owner, enum dp_owner kind);

/* The reason for a record that found the staging full, by what the stream waits for. */
enum dp_loss dp_seal_full_reason(struct dp_stream *stream);

/* True if a burst more might not fit the staging: ports that can wait do so. */
bool dp_seal_nearly_full(const struct dp_worker *w);

/* Take up to max control messages / puts. Return how many. */
unsigned dp_seal_control(struct dp_worker *w, unsigned max);
unsigned dp_seal_puts(struct dp_worker *w, unsigned max);

/* Append full blocks, and everything once the lane is ready (or all, at stop); submit. Returns the blocks appended. */
unsigned dp_seal_flush(struct dp_worker *w, bool all);

/* --- seal_changes.c: changes of shards --- */
/* Begin it: new records go to the new shards at once. */
void dp_seal_change_begin(struct dp_worker *w, struct dp_ctl *ctl);
/* Answer it later, when what was appended so far is durable and the change, if it has one, is performed. */
void dp_seal_wait(struct dp_worker *w, struct dp_ctl *ctl);
/* Go on with what waits; answer what is done. Returns how many. */
unsigned dp_seal_changes(struct dp_worker *w);

/* --- seal_done.c: puts on their way back --- */
/* It goes back with this status. */
void dp_seal_fail_put(struct dp_worker *w, struct dp_put *put, int status);
/* It was sealed with that number and goes back once lsn is durable. Called in the order of lsn. */
void dp_seal_await_flush(struct dp_worker *w, const struct dp_shard *shard, struct dp_put *put,
	uint64_t sequence, uint64_t lsn);
/* Complete puts that are durable, or whose lane failed. Returns how many. */
unsigned dp_seal_complete(struct dp_worker *w);

/* Give up everything staged: count it as lost, fail its puts with status. */
void dp_seal_abandon(struct dp_worker *w, enum dp_loss why, int status);

/* End the epochs whose time is over, so that no key stays in memory for want of records; and all of them once the machine
 * has become another one (vmgen.h). Once a turn. */
void dp_seal_expire(struct dp_worker *w);

/* End all epochs: no key outlives the worker. */
void dp_seal_end_all(struct dp_worker *w);

#endif
