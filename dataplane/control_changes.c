/* Changes that the catalog wants to be performed: of shards, of the key, deletions. What is to be done is in the catalog alone;
 * what was done is told to kmsd until it has heard it, so that either side may be killed at any point. */
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"

/* --- telling kmsd --- */

/* Ends of the shards that were closed; free() them. */
static int
collect_ends(const struct entry *e, struct kmsc_shard_end **out_ends, size_t *out_count)
{
	struct kmsc_shard_end *ends = calloc((size_t)e->ended_count + 1, sizeof(*ends));
	size_t n = 0;

	if (ends == NULL)
		return SLK_NO_MEMORY;
	for (uint32_t i = 0; i < e->ended_count; i++) {
		if (e->ended[i].state == KMSC_SHARD_CLOSING)
			ends[n++] = (struct kmsc_shard_end){
				.shard = e->ended[i].number, .end_sequence = e->ended[i].end};
	}
	*out_ends = ends;
	*out_count = n;
	return SLK_OK;
}

static int
say(struct dp_control *c, const struct kmsc_stream *info, const struct kmsc_shard_end *ends,
	size_t count)
{
	struct slk_error err = {0};
	int rc = dp_control_ask_kms(c, &err);

	if (rc == SLK_OK)
		rc = dp_control_saw_kms(
			c, kmsc_stream_changed(c->kms, info, ends, count, &err), &err);
	if (rc == SLK_OK || rc == SLK_NOT_FOUND)
		return SLK_OK; /* it was deleted meanwhile */
	c->unfinished = true;
	c->changes_seen = 0;
	if (!dp_renew_unavailable(rc) && rc != SLK_INVALID_STATE)
		slk_warn("kmsd does not take a stream's change",
			slk_kv("stream", (const char *)info->name), slk_kv("change", info->change),
			slk_kv("reason", (const char *)err.text));
	return rc;
}

/* All that the change wants is performed. */
static void
tell(struct dp_control *c, struct entry *e)
{
	struct kmsc_stream info = {.id = e->stream->id, .change = e->change};
	struct kmsc_shard_end *ends = NULL;
	size_t count = 0;

	if (e->resharding || e->rekeying || e->change == 0)
		return;
	memcpy(info.name, e->stream->name, sizeof(info.name));
	int rc = collect_ends(e, &ends, &count);
	if (rc == SLK_OK)
		rc = say(c, &info, ends, count);
	free(ends);
	e->telling = rc != SLK_OK;
	if (rc == SLK_NO_MEMORY) {
		c->unfinished = true;
		c->changes_seen = 0;
	}
}

void
dp_control_end_deletion(struct dp_control *c, const struct kmsc_stream *info)
{
	(void)say(c, info, NULL, 0); /* said again at the next look */
}

/* --- shards --- */

/* Of each shard that is written now its place among the new ones. */
static int
map_shards(const struct dp_routes *old, const struct dp_routes *new, uint32_t **out)
{
	uint32_t most = 0, *places = NULL;
	uint32_t *moved_to = calloc((size_t)old->shard_count + 1, sizeof(*moved_to));

	for (uint32_t i = 0; i < new->shard_count; i++)
		most = new->shards[i].number > most ? new->shards[i].number : most;
	places = malloc(((size_t)most + 1) * sizeof(*places));
	if (moved_to == NULL || places == NULL) {
		free(moved_to);
		free(places);
		return SLK_NO_MEMORY;
	}
	memset(places, 0xff, ((size_t)most + 1) * sizeof(*places)); /* DP_NO_SHARD */
	for (uint32_t i = 0; i < new->shard_count; i++)
		places[new->shards[i].number] = i;
	for (uint32_t i = 0; i < old->shard_count; i++)
		moved_to[i] =
			old->shards[i].number <= most ? places[old->shards[i].number] : DP_NO_SHARD;
	free(places);
	*out = moved_to;
	return SLK_OK;
}

static int
make_change(struct dp_control *c, struct entry *e, const struct kmsc_shard *rows, size_t count,
	struct dp_change **out)
{
	struct dp_change *change = calloc(1, sizeof(*change));

	if (change == NULL)
		return SLK_NO_MEMORY;
	change->moves = true;
	int rc = dp_pending_new(rows, count, &change->pending, &change->pending_count);
	if (rc == SLK_OK)
		rc = dp_control_make_routes(c, e->stream, rows, count, &change->routes);
	if (rc == SLK_OK)
		rc = map_shards(&e->stream->routes, &change->routes, &change->moved_to);
	if (rc != SLK_OK) {
		dp_change_free(change);
		return rc;
	}
	*out = change;
	return SLK_OK;
}

/* Hand the change of shards that rows show to the worker; rows are the entry's then. Nothing to be done: SLK_OK. */
static int
begin_reshard(struct dp_control *c, struct entry *e, struct kmsc_shard *rows, size_t count)
{
	struct dp_change *change = NULL;
	struct dp_ctl *ctl = NULL;

	int rc = make_change(c, e, rows, count, &change);
	if (rc == SLK_OK && change->pending_count == 0) {
		dp_change_free(change);
		free(rows);
		return SLK_OK;
	}
	if (rc == SLK_OK)
		ctl = dp_control_new_ctl(DP_CTL_RESHARD, e->stream);
	if (rc != SLK_OK || ctl == NULL) {
		dp_change_free(change);
		free(rows);
		return rc != SLK_OK ? rc : SLK_NO_MEMORY;
	}
	uint32_t open = change->routes.shard_count;
	ctl->change = change;
	free(e->rows);
	e->rows = rows;
	e->rows_count = count;
	e->resharding = true;
	atomic_store(&e->open_shards, open);
	(void)dp_control_send_ctl(c, ctl); /* fails for a worker that has ended only */
	return SLK_OK;
}

void
dp_control_resharded(struct dp_control *c, struct entry *e, struct dp_change *change, int outcome)
{
	e->resharding = false;
	if (outcome != SLK_OK) {
		/* It was deleted meanwhile; or the disk failed, and the next start performs it. */
		if (outcome != SLK_NOT_FOUND)
			slk_error_log("a change of shards was not performed",
				slk_kv("stream", (const char *)e->stream->name),
				slk_kv("reason", slk_status_sentence(outcome)));
		return;
	}
	free(e->ended);
	e->ended = change->pending;
	e->ended_count = change->pending_count;
	change->pending = NULL; /* the entry's */
	change->pending_count = 0;
	slk_info("shards were changed", slk_kv("stream", (const char *)e->stream->name),
		slk_kv("open", atomic_load(&e->open_shards)), slk_kv("change", e->change));
	tell(c, e);
}

/* --- keys --- */

void
dp_control_rekeyed(struct dp_control *c, struct entry *e, uint64_t change)
{
	if (!e->rekeying || change < e->change)
		return;
	e->rekeying = e->ending = false;
	tell(c, e);
}

void
dp_control_key_ended(struct dp_control *c, struct entry *e)
{
	if (!e->rekeying)
		return;
	e->rekeying = e->ending = false;
	dp_renew_lost(&e->renew);
	atomic_store(&e->key_asked_ns, 0);
	tell(c, e);
}

static bool
is_refusal(int status)
{
	return status == SLK_DENIED || status == SLK_DISABLED || status == SLK_INVALID_STATE ||
		status == SLK_NOT_FOUND;
}

/* Nothing more is sealed under the key that was changed from, though there is none to go on with: puts get the KMS's error. */
void
dp_control_key_refused(struct dp_control *c, struct entry *e, int status)
{
	if (!e->rekeying || e->ending || !is_refusal(status))
		return;
	struct dp_ctl *ctl = dp_control_new_ctl(DP_CTL_END, e->stream);
	if (dp_control_send_ctl(c, ctl) == SLK_OK)
		e->ending = true;
}

/* --- what the catalog says --- */

static void
begin(struct dp_control *c, struct entry *e, const struct kmsc_stream *info)
{
	struct kmsc_shard *rows = NULL;
	struct slk_error err = {0};
	size_t count = 0;

	int rc = dp_control_read_shards(c, info->name, &rows, &count, &err);
	if (rc == SLK_OK) {
		rc = begin_reshard(c, e, rows, count);
		if (rc != SLK_OK)
			(void)slk_fail(&err, rc, "%s", slk_status_sentence(rc));
	}
	if (rc != SLK_OK) {
		c->unfinished = true;
		slk_warn("a stream's change cannot be begun; trying again",
			slk_kv("stream", (const char *)info->name),
			slk_kv("reason", (const char *)err.text));
		return;
	}
	e->change = info->change;
	e->rekeying = e->renew.live && strcmp(e->key_arn, info->key_arn) != 0;
	tell(c, e);
}

void
dp_control_follow(struct dp_control *c, struct entry *e, const struct kmsc_stream *info)
{
	if (e->change == info->change) {
		if (e->telling)
			tell(c, e);
		return;
	}
	if (e->change == 0 && e->resharding) { /* it was made with the change */
		e->change = info->change;
		return;
	}
	if (e->resharding || e->rekeying) {
		c->unfinished = true; /* one after the other */
		return;
	}
	free(e->ended);
	e->ended = NULL;
	e->ended_count = 0;
	begin(c, e, info);
}

static bool
is_reshard(const struct kmsc_shard *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (rows[i].state != KMSC_SHARD_OPEN && rows[i].state != KMSC_SHARD_CLOSED)
			return true;
	}
	return false;
}

void
dp_control_follow_unheld(struct dp_control *c, const struct kmsc_stream *info)
{
	struct kmsc_shard *rows = NULL;
	struct entry *e = NULL;
	struct slk_error err = {0};
	size_t count = 0;

	int rc = dp_control_read_shards(c, info->name, &rows, &count, &err);
	bool reshards = rc == SLK_OK && is_reshard(rows, count);
	free(rows);
	/* Without a worker there is no epoch that would have to end. */
	if (rc == SLK_OK && !reshards)
		(void)say(c, info, NULL, 0);
	else if (rc == SLK_OK)
		rc = dp_control_add_stream(c, info, &e, &err);
	if (rc == SLK_OK)
		return;
	c->unfinished = true;
	slk_warn("a stream's change cannot be begun; trying again",
		slk_kv("stream", (const char *)info->name),
		slk_kv("reason", (const char *)err.text));
}
