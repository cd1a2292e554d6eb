/* Puts on their way back to the door: refused, or waiting for their flush, in the order they were sealed. */
#include "seal_path.h"

static void
push_done(struct dp_worker *w, struct dp_put *put)
{
	put->next = NULL;
	if (w->done_tail != NULL)
		w->done_tail->next = put;
	else
		w->done_head = put;
	w->done_tail = put;
}

void
dp_seal_fail_put(struct dp_worker *w, struct dp_put *put, int status)
{
	put->status = status;
	push_done(w, put);
}

static void
wait_durable(struct dp_worker *w, struct dp_put *put, uint64_t lsn)
{
	put->lsn = lsn;
	put->next = NULL;
	if (w->durable_tail != NULL)
		w->durable_tail->next = put;
	else
		w->durable_head = put;
	w->durable_tail = put;
}

void
dp_seal_await_flush(struct dp_worker *w, const struct dp_shard *shard, struct dp_put *put,
	uint64_t sequence, uint64_t lsn)
{
	put->shard = shard->number;
	put->sequence = sequence;
	put->encrypted_kms = shard->stream->encrypted_kms;
	wait_durable(w, put, lsn);
}

unsigned
dp_seal_complete(struct dp_worker *w)
{
	unsigned n = 0;

	/* Where a disk has failed; what it says is asked of the lane below. */
	(void)jnl_lane_move(w->lane);
	if (w->durable_head != NULL) {
		uint64_t durable = jnl_lane_durable(w->lane);
		bool failed = jnl_lane_status(w->lane) == SLK_DISK_FAILED;
		while (w->durable_head != NULL && (failed || w->durable_head->lsn <= durable)) {
			struct dp_put *put = w->durable_head;
			w->durable_head = put->next;
			if (w->durable_head == NULL)
				w->durable_tail = NULL;
			if (put->lsn <= durable) {
				put->status = SLK_OK;
				push_done(w, put);
			} else {
				dp_seal_fail_put(w, put, SLK_DISK_FAILED);
			}
		}
	}
	while (w->done_head != NULL) {
		struct dp_put *put = w->done_head;
		struct dp_put *next = put->next;
		if (!dp_spsc_push(&w->put_out, put))
			break;
		w->done_head = next;
		if (next == NULL)
			w->done_tail = NULL;
		n++;
	}
	if (n > 0 && atomic_exchange(&w->door_sleeps, 0) != 0)
		dp_wake(w->door_fd);
	return n + dp_seal_changes(w);
}
