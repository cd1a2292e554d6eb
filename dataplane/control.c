#include "control.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control_internal.h"

#define WAIT_MAX_NS (10 * SLK_NS_PER_S)

uint64_t
dp_control_rights_era(const struct dp_control *control)
{
	return atomic_load(&control->rights_era);
}

/* What is put into a delivery stream is Firehose's. */
static const char *
put_action(const char *arn)
{
	return strncmp(arn, "arn:aws:firehose:", 17) == 0 ? DP_ACTION_PUT_DELIVERY : DP_ACTION_PUT;
}

static void
answer_ask(struct dp_control *c, struct dp_ask *ask)
{
	struct entry *e = NULL;

	ask->era = dp_control_rights_era(c);
	ask->status = dp_control_refresh(c, ask->stream, &e, &ask->error);
	if (ask->status != SLK_OK)
		return;
	if (!ask->trusted)
		ask->status = dp_control_saw_kms(c,
			kmsc_authorize_uid(c->kms, ask->uid, put_action(e->stream->arn),
				e->stream->arn, &ask->error),
			&ask->error);
	ask->encrypted_kms = e->encrypted_kms;
	ask->stream_id = e->stream->id;
	ask->slot = e->stream->slot;
	ask->worker = e->stream->worker;
}

static void
answer_asks(struct dp_control *c)
{
	for (;;) {
		pthread_mutex_lock(&c->lock);
		struct dp_ask *ask = c->asks;
		if (ask != NULL)
			c->asks = ask->next;
		if (c->asks == NULL)
			c->asks_tail = NULL;
		pthread_mutex_unlock(&c->lock);
		if (ask == NULL)
			return;
		answer_ask(c, ask);
		ask->next = NULL;
		pthread_mutex_lock(&c->lock);
		if (c->answers_tail != NULL)
			c->answers_tail->next = ask;
		else
			c->answers = ask;
		c->answers_tail = ask;
		pthread_mutex_unlock(&c->lock);
		dp_wake(c->door_fd);
	}
}

/* --- keys --- */

static void
fetch_failed(struct dp_control *c, struct entry *e, int status, const struct slk_error *err)
{
	bool first = atomic_load(&e->key_error) != status;
	bool moved = dp_renew_failed(&e->renew, dp_control_now(c), status);
	struct dp_ctl *ctl = dp_control_new_ctl(DP_CTL_ERROR, e->stream);

	atomic_store(&e->key_error, status);
	if (first)
		slk_warn("no new data key", slk_kv("stream", (const char *)e->stream->name),
			slk_kv("status", slk_status_name(status)),
			slk_kv("reason", (const char *)err->text));
	if (ctl != NULL)
		ctl->status = status;
	int rc = dp_control_send_ctl(c, ctl);
	if (rc == SLK_OK && moved) {
		ctl = dp_control_new_ctl(DP_CTL_END, e->stream);
		if (ctl != NULL)
			ctl->end_ns = e->renew.end_ns;
		rc = dp_control_send_ctl(c, ctl);
	}
	if (rc == SLK_NO_MEMORY)
		slk_warn("no memory to tell a worker about a key",
			slk_kv("stream", (const char *)e->stream->name));
	dp_control_key_refused(c, e, status);
}

static void
fetch_key(struct dp_control *c, struct entry *e)
{
	struct dp_ctl *ctl = dp_control_new_ctl(DP_CTL_KEY, e->stream);
	struct slk_error err = {0};
	uint64_t asked_ns = dp_control_now(c);

	if (ctl == NULL) {
		(void)slk_fail(&err, SLK_NO_MEMORY, "no memory for a data key");
		fetch_failed(c, e, SLK_NO_MEMORY, &err);
		return;
	}
	ctl->generation =
		dp_vmgen_number(c->vmgen); /* an answer that another copy gets, too, is of no use */
	int rc = dp_control_ask_kms(c, &err);
	if (rc == SLK_OK)
		rc = dp_control_saw_kms(
			c, kmsc_generate_stream_key(c->kms, e->stream->arn, &ctl->key, &err), &err);
	if (rc != SLK_OK) {
		ctl->op = DP_CTL_ERROR; /* it holds no key */
		dp_control_free_ctl(ctl);
		fetch_failed(c, e, rc, &err);
		return;
	}
	ctl->end_ns = asked_ns + c->interval_ns;
	if (dp_control_send_ctl(c, ctl) != SLK_OK)
		return; /* the worker has ended */
	dp_renew_fetched(&e->renew, asked_ns, dp_control_random());
	atomic_store(&e->key_asked_ns, asked_ns);
	atomic_store(&e->key_error, SLK_OK);
	atomic_fetch_add_explicit(&c->keys, 1, memory_order_relaxed);
}

static void
turn_entry(struct dp_control *c, struct entry *e)
{
	struct dp_stream *s = e->stream;

	if (atomic_exchange(&s->key_gone, 0) != 0) {
		dp_renew_lost(&e->renew);
		atomic_store(&e->key_asked_ns, 0);
	}
	for (;;) {
		switch (dp_renew_poll(&e->renew, dp_control_now(c), atomic_load(&s->wanted) != 0,
			atomic_load(&s->last_seal_ns))) {
		case DP_RENEW_NONE:
			return;
		case DP_RENEW_FETCH:
			fetch_key(c, e);
			if (e->renew.fetching)
				return; /* the worker has ended */
			break;
		case DP_RENEW_ENDED:
			atomic_store(&e->key_asked_ns, 0);
			dp_control_key_refused(c, e, SLK_NOT_FOUND);
			break;
		}
	}
}

static uint64_t
turn_entries(struct dp_control *c)
{
	uint64_t wake = UINT64_MAX;

	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		struct entry *e = &c->entries[i];
		if (e->stream == NULL || e->removing)
			continue;
		turn_entry(c, e);
		uint64_t at = dp_renew_wake(&e->renew, dp_control_now(c));
		if (at < wake)
			wake = at;
	}
	return wake;
}

/* --- the workers' answers --- */

static void
key_not_taken(struct dp_control *c, struct entry *e, int status)
{
	struct slk_error err;

	dp_renew_lost(&e->renew);
	atomic_store(&e->key_asked_ns, 0);
	if (status == SLK_INVALID_STATE)
		return; /* the machine became another one meanwhile: it is asked for anew, if it is wanted */
	(void)slk_fail(&err, status, "the journal did not begin an epoch: %s",
		slk_status_sentence(status));
	fetch_failed(c, e, status, &err);
}

static void
take_answer(struct dp_control *c, struct dp_ctl *ctl)
{
	struct dp_stream *stream = ctl->stream;
	enum dp_ctl_op op = ctl->op;
	int outcome = ctl->outcome;
	uint64_t key_change = op == DP_CTL_KEY ? ctl->key.stream_change : 0;
	bool ends_now = op == DP_CTL_END && ctl->end_ns == 0;

	if (stream != NULL && ctl->change != NULL)
		dp_control_resharded(c, &c->entries[stream->slot], ctl->change, outcome);
	dp_control_free_ctl(ctl);
	if (op == DP_CTL_OPEN && outcome != SLK_OK)
		slk_error_log("a listener's UDP port could not be opened",
			slk_kv("reason", slk_status_sentence(outcome)));
	if (stream == NULL)
		return;
	if (op == DP_CTL_ADD && outcome != SLK_OK)
		slk_error_log("the journal has no room for a stream's shards",
			slk_kv("stream", (const char *)stream->name),
			slk_kv("reason", slk_status_sentence(outcome)));
	struct entry *e = &c->entries[stream->slot];
	if (op == DP_CTL_KEY && outcome != SLK_OK && !e->removing)
		key_not_taken(c, e, outcome);
	else if (op == DP_CTL_KEY && outcome == SLK_OK)
		dp_control_rekeyed(c, e, key_change);
	else if (ends_now && e->ending)
		dp_control_key_ended(c, e);
	if (op != DP_CTL_REMOVE)
		return;
	pthread_mutex_lock(&c->lock);
	e->stream = NULL;
	e->removing = false;
	pthread_mutex_unlock(&c->lock);
	dp_stream_free(stream);
	c->changes_seen = 0; /* kmsd waits to hear that it is gone */
	c->look_ns = 0;
}

static void
take_answers(struct dp_control *c)
{
	struct dp_ctl *ctl;

	for (unsigned i = 0; i < c->worker_count; i++) {
		while ((ctl = dp_spsc_pop(&c->workers[i]->ctl_out)) != NULL)
			take_answer(c, ctl);
	}
}

/* --- the thread --- */

static void
wait_until(struct dp_control *c, uint64_t wake_ns)
{
	struct pollfd p[2] = {{.fd = c->control_fd, .events = POLLIN},
		{.fd = kmsc_watch_fd(c->watch), .events = kmsc_watch_events(c->watch)}};
	uint64_t at = dp_control_now(c), count = 0;
	uint64_t ns = wake_ns > at ? wake_ns - at : 0;

	if (ns > WAIT_MAX_NS)
		ns = WAIT_MAX_NS;
	if (poll(p, 2, (int)((ns + SLK_NS_PER_MS - 1) / SLK_NS_PER_MS)) > 0 && p[0].revents != 0 &&
		read(c->control_fd, &count, sizeof(count)) < 0)
		slk_debug("the control thread woke for nothing");
}

uint64_t
dp_control_turn(struct dp_control *c)
{
	take_answers(c);
	uint64_t keys = turn_entries(c);
	answer_asks(c);
	dp_control_apply(c);
	uint64_t look = dp_control_look(c);
	uint64_t rights = dp_control_authorise(c);
	dp_control_send_feeds(c);
	uint64_t wake = keys < rights ? keys : rights;
	return wake < look ? wake : look;
}

void *
dp_control_run(void *arg)
{
	struct dp_control *c = arg;

	while (atomic_load(&c->stop) == 0)
		wait_until(c, dp_control_turn(c));
	return NULL;
}

void
dp_control_stop(struct dp_control *control)
{
	atomic_store(&control->stop, 1);
	dp_wake(control->control_fd);
}

void
dp_control_reload(struct dp_control *control, struct dp_config *config)
{
	pthread_mutex_lock(&control->lock);
	struct dp_config *before = control->reload;
	control->reload = config;
	pthread_mutex_unlock(&control->lock);
	dp_config_free(before); /* a later one came before it was looked at */
	dp_wake(control->control_fd);
}

void
dp_control_ask(struct dp_control *control, struct dp_ask *ask)
{
	ask->next = NULL;
	pthread_mutex_lock(&control->lock);
	if (control->asks_tail != NULL)
		control->asks_tail->next = ask;
	else
		control->asks = ask;
	control->asks_tail = ask;
	pthread_mutex_unlock(&control->lock);
	dp_wake(control->control_fd);
}

struct dp_ask *
dp_control_answer(struct dp_control *control)
{
	pthread_mutex_lock(&control->lock);
	struct dp_ask *ask = control->answers;
	if (ask != NULL)
		control->answers = ask->next;
	if (control->answers == NULL)
		control->answers_tail = NULL;
	pthread_mutex_unlock(&control->lock);
	return ask;
}

void
dp_control_each_stream(struct dp_control *control,
	void (*each)(void *arg, const struct dp_stream_view *view), void *arg)
{
	uint64_t at = dp_control_now(control);

	pthread_mutex_lock(&control->lock);
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		struct entry *e = &control->entries[i];
		struct dp_stream *s = e->stream;
		if (s == NULL)
			continue;
		uint64_t asked = atomic_load(&e->key_asked_ns);
		const struct dp_stream_view view = {.name = s->name,
			.id = s->id,
			.shard_count = atomic_load(&e->open_shards),
			.has_key = asked != 0,
			.key_age_ns = asked != 0 && at > asked ? at - asked : 0,
			.keys = atomic_load(&s->keys),
			.records = atomic_load(&s->records),
			.bytes = atomic_load(&s->bytes),
			.key_error = atomic_load(&e->key_error)};
		each(arg, &view);
	}
	pthread_mutex_unlock(&control->lock);
}

bool
dp_control_kms_up(struct dp_control *control, char *out_error, size_t cap)
{
	pthread_mutex_lock(&control->lock);
	bool up = control->kms_up;
	snprintf(out_error, cap, "%s", control->kms_error);
	pthread_mutex_unlock(&control->lock);
	return up;
}

uint64_t
dp_control_keys(const struct dp_control *control)
{
	return atomic_load_explicit(&control->keys, memory_order_relaxed);
}

int
dp_control_new(const struct dp_control_config *config, struct dp_control **out_control,
	struct slk_error *err)
{
	struct dp_control *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the control thread");
	c->config = config->config;
	c->clock = config->clock;
	c->workers = config->workers;
	c->worker_count = config->worker_count;
	c->vmgen = config->vmgen;
	c->control_fd = config->control_fd;
	c->door_fd = config->door_fd;
	c->ages = config->ages;
	c->interval_ns = config->config->keys.renewal_seconds * SLK_NS_PER_S;
	c->grace_ns = config->config->keys.grace_seconds * SLK_NS_PER_S;
	dp_control_places_init(c);
	pthread_mutex_init(&c->lock, NULL);
	int rc = kmsc_new(config->config->kms.socket, config->config->kms.timeout_ms, &c->kms);
	const struct kmsc_watch_config watch = {.path = config->config->kms.socket,
		.timeout_ms = config->config->kms.timeout_ms,
		.clock = config->clock};
	if (rc == SLK_OK)
		rc = kmsc_watch_new(&watch, &c->watch);
	if (rc != SLK_OK) {
		dp_control_free(c);
		return slk_fail(err, rc, "no client of sealock-kmsd can be made: %s",
			slk_status_sentence(rc));
	}
	*out_control = c;
	return SLK_OK;
}

void
dp_control_free(struct dp_control *control)
{
	struct dp_ctl *ctl;

	if (control == NULL)
		return;
	for (unsigned i = 0; i < control->worker_count; i++) {
		/* Both ends are ours now. Streams are freed below, from the table. */
		while ((ctl = dp_spsc_pop(&control->workers[i]->ctl_in)) != NULL)
			dp_control_free_ctl(ctl);
		while ((ctl = dp_spsc_pop(&control->workers[i]->ctl_out)) != NULL)
			dp_control_free_ctl(ctl);
		while ((ctl = control->workers[i]->waiting_head) != NULL) {
			control->workers[i]->waiting_head = ctl->next;
			dp_control_free_ctl(ctl);
		}
	}
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		dp_stream_free(control->entries[i].stream);
		free(control->entries[i].rows);
		free(control->entries[i].ended);
	}
	kmsc_watch_free(control->watch);
	kmsc_free(control->kms);
	dp_config_free(control->reload);
	dp_config_free(control->reloaded);
	pthread_mutex_destroy(&control->lock);
	free(control);
}
