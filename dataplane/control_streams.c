/* The streams that ingestd writes: found in kmsd's catalog, handed to their workers, taken away with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control_internal.h"

#define GATE_FIRST_NS (100 * SLK_NS_PER_MS)
#define GATE_MAX_NS (2 * SLK_NS_PER_S)
#define LOOK_NS (500 * SLK_NS_PER_MS)
#define PUSH_PAUSE_US 200u

uint32_t
dp_control_random(void)
{
	uint32_t bits = 0;

	/* Without randomness there is no jitter; nothing else depends on it. */
	if (slk_random(&bits, sizeof(bits)) != SLK_OK)
		return UINT32_MAX / 2;
	return bits;
}

/* --- kmsd --- */

int
dp_control_ask_kms(const struct dp_control *c, struct slk_error *err)
{
	if (dp_control_now(c) >= c->gate_ns)
		return SLK_OK;
	return slk_fail(err, SLK_UNAVAILABLE, "%s", c->kms_error);
}

int
dp_control_saw_kms(struct dp_control *c, int status, const struct slk_error *err)
{
	bool up = !dp_renew_unavailable(status);
	bool changed = !c->kms_known || c->kms_up != up;

	if (up) {
		c->gate_backoff_ns = c->gate_ns = 0;
	} else {
		c->gate_backoff_ns =
			c->gate_backoff_ns == 0 ? GATE_FIRST_NS : c->gate_backoff_ns * 2;
		if (c->gate_backoff_ns > GATE_MAX_NS)
			c->gate_backoff_ns = GATE_MAX_NS;
		c->gate_ns = dp_control_now(c) + c->gate_backoff_ns;
	}
	pthread_mutex_lock(&c->lock);
	c->kms_known = true;
	c->kms_up = up;
	snprintf(c->kms_error, sizeof(c->kms_error), "%s", up ? "" : err->text);
	pthread_mutex_unlock(&c->lock);
	if (changed && up)
		slk_info("kmsd answers");
	else if (changed)
		slk_warn("kmsd does not answer; trying again",
			slk_kv("reason", (const char *)err->text));
	return status;
}

/* --- messages to the workers --- */

void
dp_control_free_ctl(struct dp_ctl *ctl)
{
	if (ctl->op == DP_CTL_KEY)
		kmsc_data_key_fini(&ctl->key);
	dp_feeds_free(ctl->feeds, ctl->feed_count);
	dp_change_free(ctl->change);
	free(ctl);
}

struct dp_ctl *
dp_control_new_ctl(enum dp_ctl_op op, struct dp_stream *stream)
{
	struct dp_ctl *ctl = calloc(1, sizeof(*ctl));

	if (ctl != NULL) {
		ctl->op = op;
		ctl->stream = stream;
		ctl->worker = stream != NULL ? stream->worker : 0;
	}
	return ctl;
}

/* Waits for room, which a living worker makes within a turn; dp_control_free() empties the ring of one that has ended. */
static int
push_ctl(struct dp_control *c, struct dp_ctl *ctl)
{
	struct dp_worker *w = c->workers[ctl->worker];

	while (!dp_spsc_push(&w->ctl_in, ctl)) {
		if (atomic_load(&w->ended) != 0 || atomic_load(&c->stop) != 0)
			return SLK_CLOSED;
		usleep(PUSH_PAUSE_US);
	}
	return SLK_OK;
}

int
dp_control_send_ctl(struct dp_control *c, struct dp_ctl *ctl)
{
	if (ctl == NULL)
		return SLK_NO_MEMORY;
	int rc = push_ctl(c, ctl);
	if (rc != SLK_OK)
		dp_control_free_ctl(ctl);
	return rc;
}

/* --- streams --- */

static bool
is_deleting(const struct kmsc_stream *info)
{
	return strcmp(info->status, "DELETING") == 0;
}

static bool
is_updating(const struct kmsc_stream *info)
{
	return strcmp(info->status, "UPDATING") == 0;
}

struct entry *
dp_control_held(struct dp_control *c, uint64_t stream_id)
{
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		struct entry *e = &c->entries[i];
		if (e->stream != NULL && e->stream->id == stream_id)
			return e;
	}
	return NULL;
}

struct entry *
dp_control_find(struct dp_control *c, const char *name)
{
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		struct entry *e = &c->entries[i];
		if (e->stream != NULL && !e->removing && strcmp(e->stream->name, name) == 0)
			return e;
	}
	return NULL;
}

static struct entry *
free_entry(struct dp_control *c)
{
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		if (c->entries[i].stream == NULL)
			return &c->entries[i];
	}
	return NULL;
}

/* Without a listener any worker will do; with some, it is theirs (one worker's, as the configuration was checked). */
static unsigned
choose_worker(const struct dp_control *c, const struct dp_stream *stream)
{
	for (unsigned i = 0; i < DP_LISTENERS_MAX; i++) {
		if (dp_control_feeds(&c->places[i], stream))
			return c->places[i].worker;
	}
	return (unsigned)(stream->id % c->worker_count);
}

static void
send_feeds(struct dp_control *c, struct entry *e)
{
	struct dp_ctl *ctl = dp_control_new_ctl(DP_CTL_FEEDS, e->stream);
	int rc = ctl != NULL ? dp_control_make_feeds(c, e->stream, e->rows, e->rows_count,
				       &ctl->feeds, &ctl->feed_count)
			     : SLK_NO_MEMORY;

	if (rc == SLK_OK)
		rc = dp_control_send_ctl(c, ctl);
	else if (ctl != NULL)
		dp_control_free_ctl(ctl);
	e->feeds_stale = rc == SLK_NO_MEMORY;
	if (e->feeds_stale)
		slk_warn("no memory for a stream's listeners; trying again",
			slk_kv("stream", (const char *)e->stream->name));
}

void
dp_control_send_feeds(struct dp_control *c)
{
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		struct entry *e = &c->entries[i];
		if (e->stream != NULL && !e->removing && e->feeds_stale)
			send_feeds(c, e);
	}
}

static int
make_stream(struct dp_control *c, const struct kmsc_stream *info, const struct entry *e,
	struct dp_stream **out)
{
	struct dp_stream *stream = aligned_alloc(64, (sizeof(*stream) + 63) / 64 * 64);

	if (stream == NULL)
		return SLK_NO_MEMORY;
	memset(stream, 0, sizeof(*stream));
	memcpy(stream->name, info->name, sizeof(stream->name));
	memcpy(stream->arn, info->arn, sizeof(stream->arn));
	stream->id = info->id;
	stream->encrypted_kms = info->encrypted_kms;
	stream->slot = (unsigned)(e - c->entries);
	stream->worker = choose_worker(c, stream);
	int rc = fmt_context_for_stream(stream->arn, &stream->context);
	if (rc == SLK_OK)
		rc = dp_control_make_routes(c, stream, e->rows, e->rows_count, &stream->routes);
	if (rc != SLK_OK) {
		dp_stream_free(stream);
		return rc;
	}
	*out = stream;
	return SLK_OK;
}

/* With the change that waits, if there is one. */
static int
hand_over(struct dp_control *c, struct entry *e, struct dp_stream *stream)
{
	struct dp_ctl *ctl = dp_control_new_ctl(DP_CTL_ADD, stream);
	struct dp_change *change = ctl != NULL ? calloc(1, sizeof(*change)) : NULL;

	int rc = change != NULL
		? dp_pending_new(e->rows, e->rows_count, &change->pending, &change->pending_count)
		: SLK_NO_MEMORY;
	if (rc == SLK_OK && change->pending_count > 0) {
		ctl->change = change;
		change = NULL;
		e->resharding = true;
	}
	dp_change_free(change);
	if (rc == SLK_OK)
		return dp_control_send_ctl(c, ctl);
	if (ctl != NULL)
		dp_control_free_ctl(ctl);
	return rc;
}

static void
forget_entry(struct entry *e)
{
	free(e->rows);
	free(e->ended);
	e->rows = NULL;
	e->ended = NULL;
	e->rows_count = 0;
	e->ended_count = 0;
	e->change = 0;
	e->resharding = e->rekeying = e->ending = e->telling = false;
}

int
dp_control_add_stream(struct dp_control *c, const struct kmsc_stream *info, struct entry **out,
	struct slk_error *err)
{
	struct entry *e = free_entry(c);
	struct dp_stream *stream = NULL;

	if (e == NULL)
		return slk_fail(
			err, SLK_LIMIT, "ingestd writes %u streams already", DP_STREAMS_MAX);
	forget_entry(e);
	int rc = dp_control_read_shards(c, info->name, &e->rows, &e->rows_count, err);
	if (rc != SLK_OK)
		return rc;
	rc = make_stream(c, info, e, &stream);
	if (rc == SLK_OK) {
		atomic_store(&e->open_shards, stream->routes.shard_count);
		rc = hand_over(c, e, stream);
		if (rc != SLK_OK)
			dp_stream_free(stream);
	}
	if (rc != SLK_OK) {
		forget_entry(e);
		return slk_fail(err, rc, "stream %s cannot be written: %s", info->name,
			slk_status_sentence(rc));
	}
	dp_renew_init(&e->renew, c->interval_ns, c->grace_ns);
	memcpy(e->key_arn, info->key_arn, sizeof(e->key_arn));
	e->encrypted_kms = info->encrypted_kms;
	atomic_store(&e->key_asked_ns, 0);
	atomic_store(&e->key_error, SLK_OK);
	e->removing = false;
	e->feeds_stale = false;
	pthread_mutex_lock(&c->lock);
	e->stream = stream;
	pthread_mutex_unlock(&c->lock);
	if (is_updating(info))
		dp_control_follow(c, e, info);
	*out = e;
	return SLK_OK;
}

static void
remove_stream(struct dp_control *c, struct entry *e)
{
	if (dp_control_send_ctl(c, dp_control_new_ctl(DP_CTL_REMOVE, e->stream)) == SLK_OK)
		e->removing = true;
}

/* What the catalog says now of a stream that we write. false: it is not that stream any more, and is being taken away. */
static bool
keep(struct dp_control *c, struct entry *e, const struct kmsc_stream *info)
{
	if (info == NULL || is_deleting(info) || info->id != e->stream->id) {
		slk_info("stream was deleted", slk_kv("stream", (const char *)e->stream->name),
			slk_kv("id", e->stream->id));
		remove_stream(c, e);
		return false;
	}
	if (is_updating(info))
		dp_control_follow(c, e, info);
	e->encrypted_kms = info->encrypted_kms;
	if (strcmp(e->key_arn, info->key_arn) != 0) {
		memcpy(e->key_arn, info->key_arn, sizeof(e->key_arn));
		dp_renew_force(&e->renew);
	}
	return true;
}

int
dp_control_refresh(
	struct dp_control *c, const char *name, struct entry **out, struct slk_error *err)
{
	struct entry *e = dp_control_find(c, name);
	struct kmsc_stream info;

	int rc = dp_control_ask_kms(c, err);
	if (rc == SLK_OK)
		rc = dp_control_saw_kms(c, kmsc_describe_stream(c->kms, name, &info, err), err);
	if (rc == SLK_OK && e == NULL) /* it was named by its ARN */
		e = dp_control_find(c, info.name);
	if ((rc == SLK_OK || rc == SLK_NOT_FOUND) && e != NULL &&
		!keep(c, e, rc == SLK_OK ? &info : NULL))
		e = NULL;
	if (rc == SLK_OK && is_deleting(&info))
		return slk_fail(err, SLK_NOT_FOUND, "stream %s is being deleted", name);
	if (rc != SLK_OK)
		return rc;
	if (e == NULL)
		return dp_control_add_stream(c, &info, out, err);
	*out = e;
	return SLK_OK;
}

/* --- the catalog's changes --- */

static void
see(struct dp_control *c, const struct kmsc_stream *info)
{
	struct entry *e = dp_control_find(c, info->name);

	if (e == NULL || !keep(c, e, info))
		dp_control_hurry(c, info->name);
	else
		e->seen = true;
	if (dp_control_held(c, info->id) != NULL)
		return;
	if (is_deleting(info))
		dp_control_end_deletion(c, info);
	else if (is_updating(info))
		dp_control_follow_unheld(c, info);
}

/* Every stream of the catalog, page by page, so that those which are not there any more are known. */
static int
list_streams(struct dp_control *c, struct slk_error *err)
{
	char marker[KMSC_NAME_MAX] = "", next[KMSC_NAME_MAX];
	size_t count = 0;

	for (unsigned i = 0; i < DP_STREAMS_MAX; i++)
		c->entries[i].seen = false;
	if (c->ages != NULL)
		dp_ages_begin(c->ages);
	do {
		int rc = dp_control_saw_kms(c,
			kmsc_list_all_streams(
				c->kms, marker, c->page, DP_LIST_PAGE, &count, next, err),
			err);
		if (rc != SLK_OK)
			return rc;
		for (size_t i = 0; i < count; i++) {
			if (c->ages != NULL)
				dp_ages_add(c->ages, c->page[i].id, c->page[i].retention_hours);
			see(c, &c->page[i]);
		}
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0' && atomic_load(&c->stop) == 0);
	if (c->ages != NULL && marker[0] == '\0')
		dp_ages_end(c->ages);
	return SLK_OK;
}

static void
remove_unseen(struct dp_control *c)
{
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		struct entry *e = &c->entries[i];
		if (e->stream == NULL || e->removing || e->seen)
			continue;
		dp_control_hurry(c, e->stream->name);
		(void)keep(c, e, NULL);
	}
}

/* The watch, which tells of changes, leaves no line in the audit log; the list, which does, is read only when its number moved. */
static void
list_anew(struct dp_control *c)
{
	const uint64_t changes = c->changes.stream_changes;
	struct slk_error err = {0};

	c->look_ns = dp_control_now(c) + LOOK_NS; /* if it has to be repeated */
	c->unfinished = false;
	if (list_streams(c, &err) != SLK_OK) {
		slk_warn("the streams cannot be listed; trying again",
			slk_kv("reason", (const char *)err.text));
		return;
	}
	remove_unseen(c);
	if (!c->unfinished)
		c->changes_seen = changes;
}

static void
take_news(struct dp_control *c)
{
	struct kmsc_watch_news news;

	if (!kmsc_watch_turn(c->watch, &news) ||
		dp_control_saw_kms(c, news.status, &news.err) != SLK_OK)
		return;
	if (news.changes.right_changes != c->rights_seen)
		dp_control_ask_rights_anew(c);
	c->rights_seen = news.changes.right_changes;
	if (!c->changes_known || news.changes.stream_changes != c->changes.stream_changes)
		c->look_ns = 0;
	c->changes = news.changes;
	c->changes_known = true;
}

uint64_t
dp_control_look(struct dp_control *c)
{
	struct slk_error err;

	take_news(c);
	bool behind = c->changes_known && c->changes.stream_changes != c->changes_seen;
	if (behind && dp_control_now(c) >= c->look_ns && dp_control_ask_kms(c, &err) == SLK_OK)
		list_anew(c);
	behind = c->changes_known && c->changes.stream_changes != c->changes_seen;
	uint64_t wake = kmsc_watch_next_ns(c->watch);
	uint64_t again = c->look_ns > c->gate_ns ? c->look_ns : c->gate_ns;
	return behind && again < wake ? again : wake;
}
