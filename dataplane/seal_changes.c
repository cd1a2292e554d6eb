/* A worker's part in changes of shards, and messages that are answered once they are durable.
 *
 *     begun ---> draining ---> drained ---> durable: answered
 *          |                      |
 *          new records go to      the shards that close are empty: their ends are known, the new ones may seal blocks
 *          the new shards
 *
 * Parents' last blocks come before their children's first ones in the lane's file, so that no crash leaves a child with
 * records and a parent without its own. Internal to dataplane/; see seal_path.h.
 */
#include "seal_path.h"

/* Shards that stay take what is staged with them; the list of active ones must not name the old. */
static void
move_shards(struct dp_worker *w, struct dp_change *change, struct dp_routes *old)
{
	struct dp_shard *head = NULL, *tail = NULL, *shard;

	for (uint32_t i = 0; i < old->shard_count; i++) {
		if (change->moved_to[i] == DP_NO_SHARD)
			continue;
		struct dp_shard *from = &old->shards[i];
		struct dp_shard *to = &change->routes.shards[change->moved_to[i]];
		to->head = from->head;
		to->tail = from->tail;
		to->count = from->count;
		to->bytes = from->bytes;
		from->head = from->tail = DP_STAGE_NONE;
		from->count = 0;
		from->bytes = 0;
	}
	while ((shard = dp_stage_next_active(&w->stage)) != NULL) {
		if (shard >= old->shards && shard < old->shards + old->shard_count &&
			change->moved_to[shard - old->shards] != DP_NO_SHARD)
			shard = &change->routes.shards[change->moved_to[shard - old->shards]];
		shard->active_next = NULL;
		if (tail != NULL)
			tail->active_next = shard;
		else
			head = shard;
		tail = shard;
	}
	for (shard = head; shard != NULL; shard = head) {
		head = shard->active_next;
		dp_stage_activate(&w->stage, shard);
	}
}

void
dp_seal_change_begin(struct dp_worker *w, struct dp_ctl *ctl)
{
	struct dp_stream *stream = ctl->stream;
	struct dp_change *change = ctl->change;

	if (change->moves) {
		struct dp_routes old = stream->routes;
		move_shards(w, change, &old);
		stream->routes = change->routes;
		change->routes = old;
	}
	stream->changing = change;
}

void
dp_seal_wait(struct dp_worker *w, struct dp_ctl *ctl)
{
	ctl->lsn = w->appended_lsn;
	ctl->next = NULL;
	if (w->waiting_tail != NULL)
		w->waiting_tail->next = ctl;
	else
		w->waiting_head = ctl;
	w->waiting_tail = ctl;
}

static bool
is_empty(const struct dp_change *change)
{
	for (uint32_t i = 0; i < change->routes.shard_count; i++) {
		if (change->routes.shards[i].count > 0)
			return false;
	}
	return true;
}

/* A drained shard may still be in the list of active ones. */
static void
forget_old(struct dp_worker *w, const struct dp_routes *old)
{
	struct dp_shard *last = w->stage.active_tail;

	while (last != NULL) {
		struct dp_shard *shard = dp_stage_next_active(&w->stage);
		if (shard < old->shards || shard >= old->shards + old->shard_count)
			dp_stage_activate(&w->stage, shard);
		if (shard == last)
			break;
	}
}

/* The shards that close have had their last block: where they end, and where the others begin. */
static int
settle(struct dp_worker *w, struct dp_stream *stream, struct dp_change *change)
{
	int rc = SLK_OK;

	for (uint32_t i = 0; i < change->pending_count; i++) {
		struct dp_pending *p = &change->pending[i];
		uint64_t next = jnl_lane_next_sequence(w->lane, stream->id, p->number);
		if (p->state == KMSC_SHARD_CLOSING && next > p->end)
			p->end = next;
	}
	dp_pending_settle(change->pending, change->pending_count);
	for (uint32_t i = 0; i < change->pending_count && rc == SLK_OK; i++) {
		if (change->pending[i].state == KMSC_SHARD_OPENING)
			rc = jnl_lane_raise_sequence(w->lane, stream->id, change->pending[i].number,
				change->pending[i].first);
	}
	for (uint32_t i = 0; i < stream->routes.shard_count; i++)
		stream->routes.shards[i].held = false;
	return rc;
}

static bool
is_performed(struct dp_worker *w, struct dp_ctl *ctl)
{
	struct dp_change *change = ctl->change;

	if (change == NULL || change->drained || change->given_up)
		return true;
	if (!is_empty(change))
		return false;
	forget_old(w, &change->routes);
	int rc = settle(w, ctl->stream, change);
	if (ctl->outcome == SLK_OK)
		ctl->outcome = rc;
	change->drained = true;
	ctl->stream->changing = NULL;
	ctl->lsn = w->appended_lsn;
	return true;
}

/* What a failed disk holds up is answered all the same: nothing of it will ever be acknowledged. */
static bool
is_done(struct dp_worker *w, struct dp_ctl *ctl)
{
	if (!is_performed(w, ctl))
		return false;
	if (ctl->change != NULL && ctl->change->given_up && !ctl->change->drained) {
		ctl->outcome = SLK_NOT_FOUND;
		return true;
	}
	if (ctl->lsn <= jnl_lane_durable(w->lane))
		return true;
	if (jnl_lane_status(w->lane) != SLK_DISK_FAILED)
		return false;
	if (ctl->change != NULL)
		ctl->outcome = SLK_DISK_FAILED;
	return true;
}

unsigned
dp_seal_changes(struct dp_worker *w)
{
	struct dp_ctl *ctl = w->waiting_head;
	bool has_room =
		true; /* once there was none, nobody overtakes: a stream's answers stay in order */
	unsigned n = 0;

	if (ctl == NULL)
		return 0;
	w->waiting_head = w->waiting_tail = NULL;
	while (ctl != NULL) {
		struct dp_ctl *next = ctl->next;
		ctl->next = NULL;
		has_room = has_room && dp_spsc_has_room(&w->ctl_out);
		if (has_room && is_done(w, ctl) && dp_spsc_push(&w->ctl_out, ctl)) {
			n++;
		} else if (w->waiting_tail != NULL) {
			w->waiting_tail->next = ctl;
			w->waiting_tail = ctl;
		} else {
			w->waiting_head = w->waiting_tail = ctl;
		}
		ctl = next;
	}
	if (n > 0)
		dp_wake(w->control_fd);
	return n;
}
