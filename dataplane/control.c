#include "control.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "kmsclient/kmsclient.h"
#include "renew.h"
#include "seal_path.h"

#define ACTION_PUT "kinesis:PutRecord"
#define RETRY_FIRST_NS (200 * SLK_NS_PER_MS)
#define RETRY_MAX_NS (2 * SLK_NS_PER_S)
#define GATE_FIRST_NS (100 * SLK_NS_PER_MS)
#define GATE_MAX_NS (2 * SLK_NS_PER_S)
#define WAIT_MAX_NS SLK_NS_PER_S
#define PUSH_PAUSE_US 200u

struct entry {
	struct dp_stream *stream; /* NULL: the slot is free */
	struct dp_renew renew;
	bool removing;
	char key_arn[KMSC_ARN_MAX]; /* the CMK that the catalog names for new epochs */
	_Atomic uint64_t key_asked_ns; /* 0: no key */
	_Atomic int key_error;
};

/* The right of a listener's role. */
struct grant {
	bool known; /* an answer came since the start */
	int status;
	uint64_t until_ns; /* the last yes holds so long, if kmsd is away */
	uint64_t next_ns;
	uint64_t retry_ns;
};

struct dp_control {
	const struct dp_config *config;
	const struct slk_clock *clock;
	struct dp_worker **workers;
	unsigned worker_count;
	int control_fd;
	int door_fd;
	uint64_t interval_ns;
	uint64_t grace_ns;
	struct kmsc *kms;
	_Atomic uint32_t stop;
	_Atomic uint64_t keys;
	struct grant grants[DP_LISTENERS_MAX];
	uint64_t gate_ns; /* no call of kmsd before this: the last one found nobody */
	uint64_t gate_backoff_ns;
	pthread_mutex_t lock; /* asks, answers, which slots are taken, and how kmsd is */
	bool kms_known;
	bool kms_up;
	char kms_error[512];
	struct dp_ask *asks, *asks_tail;
	struct dp_ask *answers, *answers_tail;
	struct entry entries[DP_STREAMS_MAX];
};

static uint64_t
now(const struct dp_control *c)
{
	return slk_mono_ns(c->clock);
}

static uint32_t
random_bits(void)
{
	uint32_t bits = 0;

	/* Without randomness there is no jitter; nothing else depends on it. */
	if (slk_random(&bits, sizeof(bits)) != SLK_OK)
		return UINT32_MAX / 2;
	return bits;
}

/* --- kmsd --- */

/* SLK_OK, or what the last call said: one kmsd that hangs would otherwise cost a timeout per stream. */
static int
ask_kms(const struct dp_control *c, struct slk_error *err)
{
	if (now(c) >= c->gate_ns)
		return SLK_OK;
	return slk_fail(err, SLK_UNAVAILABLE, "%s", c->kms_error);
}

/* What a call came to. Said once per change; returns status. */
static int
saw_kms(struct dp_control *c, int status, const struct slk_error *err)
{
	bool up = !dp_renew_unavailable(status);
	bool changed = !c->kms_known || c->kms_up != up;

	if (up) {
		c->gate_backoff_ns = 0;
	} else {
		c->gate_backoff_ns =
			c->gate_backoff_ns == 0 ? GATE_FIRST_NS : c->gate_backoff_ns * 2;
		if (c->gate_backoff_ns > GATE_MAX_NS)
			c->gate_backoff_ns = GATE_MAX_NS;
		c->gate_ns = now(c) + c->gate_backoff_ns;
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

static void
free_ctl(struct dp_ctl *ctl)
{
	if (ctl->op == DP_CTL_KEY)
		kmsc_data_key_fini(&ctl->key);
	free(ctl);
}

static struct dp_ctl *
new_ctl(enum dp_ctl_op op, struct dp_stream *stream)
{
	struct dp_ctl *ctl = calloc(1, sizeof(*ctl));

	if (ctl != NULL) {
		ctl->op = op;
		ctl->stream = stream;
	}
	return ctl;
}

/* Waits for room, which a living worker makes within a turn; dp_control_free() empties the ring of one that has ended. */
static int
push_ctl(struct dp_control *c, struct dp_ctl *ctl)
{
	struct dp_worker *w = c->workers[ctl->stream->worker];

	while (!dp_spsc_push(&w->ctl_in, ctl)) {
		if (atomic_load(&w->ended) != 0 || atomic_load(&c->stop) != 0)
			return SLK_CLOSED;
		usleep(PUSH_PAUSE_US);
	}
	return SLK_OK;
}

static int
send_ctl(struct dp_control *c, struct dp_ctl *ctl)
{
	if (ctl == NULL)
		return SLK_NO_MEMORY;
	int rc = push_ctl(c, ctl);
	if (rc != SLK_OK)
		free_ctl(ctl);
	return rc;
}

/* --- streams --- */

static struct entry *
find_entry(struct dp_control *c, const char *name)
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

static int
make_partition(const struct dp_rule_config *r, uint32_t shard_count, unsigned worker,
	struct dp_partition **out, struct slk_error *err)
{
	const struct dp_partition_config pc = {.rule = r->rule,
		.shard_count = shard_count,
		.fixed_shard = r->shard,
		.field = r->field,
		.separator = (uint8_t)(r->separator != NULL ? r->separator[0] : ' '),
		.start_shard = worker};

	return dp_partition_new(&pc, out, err);
}

/* The listeners that feed the stream. A rule that does not fit it is reported and refuses that listener's records. */
static int
make_feeds(struct dp_control *c, struct dp_stream *stream)
{
	struct slk_error err;

	stream->feeds = calloc(DP_LISTENERS_MAX, sizeof(*stream->feeds));
	if (stream->feeds == NULL)
		return SLK_NO_MEMORY;
	for (uint32_t i = 0; i < c->config->listeners_count; i++) {
		const struct dp_listener_config *l = &c->config->listeners[i];
		if (strcmp(l->stream, stream->name) != 0)
			continue;
		struct dp_feed *feed = &stream->feeds[stream->feed_count++];
		feed->listener = i;
		stream->worker = (unsigned)dp_config_listener_worker(c->config, l);
		int rc = make_partition(
			&l->partition, stream->shard_count, stream->worker, &feed->partition, &err);
		if (rc == SLK_CONFIG)
			slk_warn("a listener's partition rule does not fit its stream; its records "
				 "are dropped",
				slk_kv("udp_port", l->udp_port),
				slk_kv("stream", (const char *)stream->name),
				slk_kv("reason", (const char *)err.text));
		else if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

static int
make_shards(struct dp_stream *stream)
{
	stream->shards = calloc(stream->shard_count, sizeof(*stream->shards));
	if (stream->shards == NULL)
		return SLK_NO_MEMORY;
	for (uint32_t i = 0; i < stream->shard_count; i++)
		dp_shard_init(&stream->shards[i], stream, i);
	return SLK_OK;
}

static int
make_stream(
	struct dp_control *c, const struct kmsc_stream *info, unsigned slot, struct dp_stream **out)
{
	const struct dp_rule_config by_key = {.rule = DP_PARTITION_SOURCE};
	struct dp_stream *stream = aligned_alloc(64, (sizeof(*stream) + 63) / 64 * 64);

	if (stream == NULL)
		return SLK_NO_MEMORY;
	memset(stream, 0, sizeof(*stream));
	memcpy(stream->name, info->name, sizeof(stream->name));
	memcpy(stream->arn, info->arn, sizeof(stream->arn));
	stream->id = info->id;
	stream->shard_count = info->shard_count;
	stream->slot = slot;
	/* Without a listener any worker will do; with one, make_feeds() names its. */
	stream->worker = (unsigned)(stream->id % c->worker_count);
	int rc = stream->shard_count >= 1 && stream->shard_count <= DP_SHARD_COUNT_MAX ? SLK_OK
										       : SLK_RANGE;
	if (rc == SLK_OK)
		rc = fmt_context_for_stream(stream->arn, &stream->context);
	if (rc == SLK_OK)
		rc = make_shards(stream);
	if (rc == SLK_OK)
		rc = make_partition(&by_key, stream->shard_count, 0, &stream->by_key, NULL);
	if (rc == SLK_OK)
		rc = make_feeds(c, stream);
	if (rc != SLK_OK) {
		dp_stream_free(stream);
		return rc;
	}
	*out = stream;
	return SLK_OK;
}

static int
add_stream(struct dp_control *c, const struct kmsc_stream *info, struct entry **out,
	struct slk_error *err)
{
	struct entry *e = free_entry(c);
	struct dp_stream *stream = NULL;

	if (e == NULL)
		return slk_fail(
			err, SLK_LIMIT, "ingestd writes %u streams already", DP_STREAMS_MAX);
	int rc = make_stream(c, info, (unsigned)(e - c->entries), &stream);
	if (rc == SLK_OK) {
		rc = send_ctl(c, new_ctl(DP_CTL_ADD, stream));
		if (rc != SLK_OK)
			dp_stream_free(stream);
	}
	if (rc != SLK_OK)
		return slk_fail(err, rc, "stream %s cannot be written: %s", info->name,
			slk_status_sentence(rc));
	dp_renew_init(&e->renew, c->interval_ns, c->grace_ns);
	memcpy(e->key_arn, info->key_arn, sizeof(e->key_arn));
	atomic_store(&e->key_asked_ns, 0);
	atomic_store(&e->key_error, SLK_OK);
	e->removing = false;
	pthread_mutex_lock(&c->lock);
	e->stream = stream;
	pthread_mutex_unlock(&c->lock);
	*out = e;
	return SLK_OK;
}

static void
remove_stream(struct dp_control *c, struct entry *e)
{
	if (send_ctl(c, new_ctl(DP_CTL_REMOVE, e->stream)) == SLK_OK)
		e->removing = true;
}

/* What the catalog says of the stream now, and our entry for it. */
static int
refresh_stream(struct dp_control *c, const char *name, struct entry **out, struct slk_error *err)
{
	struct entry *e = find_entry(c, name);
	struct kmsc_stream info;

	int rc = ask_kms(c, err);
	if (rc == SLK_OK)
		rc = saw_kms(c, kmsc_describe_stream(c->kms, name, &info, err), err);
	bool gone = rc == SLK_NOT_FOUND ||
		(rc == SLK_OK &&
			(strcmp(info.status, "ACTIVE") != 0 ||
				(e != NULL && info.id != e->stream->id)));
	if (gone && e != NULL) {
		slk_info("stream was deleted", slk_kv("stream", name), slk_kv("id", e->stream->id));
		remove_stream(c, e);
		e = NULL;
	}
	if (rc == SLK_OK && strcmp(info.status, "ACTIVE") != 0)
		return slk_fail(err, SLK_NOT_FOUND, "stream %s is being deleted", name);
	if (rc != SLK_OK)
		return rc;
	if (e == NULL)
		return add_stream(c, &info, out, err);
	if (strcmp(e->key_arn, info.key_arn) != 0) {
		memcpy(e->key_arn, info.key_arn, sizeof(e->key_arn));
		dp_renew_force(&e->renew);
	}
	*out = e;
	return SLK_OK;
}

/* --- rights --- */

static void
set_grant(struct dp_control *c, unsigned i, int status, uint64_t asked_ns,
	const struct slk_error *err)
{
	struct grant *g = &c->grants[i];
	const struct dp_listener_config *l = &c->config->listeners[i];
	uint64_t at = now(c);

	if (status == SLK_OK) {
		g->until_ns = asked_ns + c->interval_ns + c->grace_ns;
		g->next_ns = asked_ns + c->interval_ns / 4 * 3 +
			(uint64_t)((unsigned __int128)(c->interval_ns / 10) * random_bits() >> 32);
		g->retry_ns = 0;
	} else {
		g->retry_ns = g->retry_ns == 0 ? RETRY_FIRST_NS : g->retry_ns * 2;
		g->retry_ns = g->retry_ns > RETRY_MAX_NS ? RETRY_MAX_NS : g->retry_ns;
		g->next_ns = at + g->retry_ns;
	}
	bool holds =
		g->known && g->status == SLK_OK && dp_renew_unavailable(status) && at < g->until_ns;
	int result = holds ? SLK_OK : status;
	if (holds && g->next_ns > g->until_ns)
		g->next_ns = g->until_ns;
	if (!g->known || g->status != result) {
		if (result == SLK_OK)
			slk_info("listener takes records", slk_kv("udp_port", l->udp_port),
				slk_kv("stream", (const char *)l->stream));
		else
			slk_warn("listener drops records", slk_kv("udp_port", l->udp_port),
				slk_kv("stream", (const char *)l->stream),
				slk_kv("reason", (const char *)err->text));
	}
	g->known = true;
	g->status = result;
	atomic_store_explicit(&c->workers[dp_config_listener_worker(c->config, l)]->allowed[i],
		result, memory_order_release);
}

static void
authorise_listener(struct dp_control *c, unsigned i)
{
	const struct dp_listener_config *l = &c->config->listeners[i];
	struct slk_error err = {0};
	struct entry *e = NULL;
	uint64_t asked_ns = now(c);

	int rc = refresh_stream(c, l->stream, &e, &err);
	if (rc == SLK_OK)
		rc = saw_kms(c,
			kmsc_authorize_role(c->kms, l->principal, ACTION_PUT, e->stream->arn, &err),
			&err);
	set_grant(c, i, rc, asked_ns, &err);
}

static uint64_t
authorise_listeners(struct dp_control *c)
{
	uint64_t wake = UINT64_MAX;

	for (unsigned i = 0; i < c->config->listeners_count; i++) {
		if (now(c) >= c->grants[i].next_ns)
			authorise_listener(c, i);
		if (c->grants[i].next_ns < wake)
			wake = c->grants[i].next_ns;
	}
	return wake;
}

static void
answer_ask(struct dp_control *c, struct dp_ask *ask)
{
	struct entry *e = NULL;

	ask->status = refresh_stream(c, ask->stream, &e, &ask->error);
	if (ask->status != SLK_OK)
		return;
	ask->status = saw_kms(c,
		kmsc_authorize_uid(c->kms, ask->uid, ACTION_PUT, e->stream->arn, &ask->error),
		&ask->error);
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
	bool moved = dp_renew_failed(&e->renew, now(c), status);
	struct dp_ctl *ctl = new_ctl(DP_CTL_ERROR, e->stream);

	atomic_store(&e->key_error, status);
	if (first)
		slk_warn("no new data key", slk_kv("stream", (const char *)e->stream->name),
			slk_kv("status", slk_status_name(status)),
			slk_kv("reason", (const char *)err->text));
	if (ctl != NULL)
		ctl->status = status;
	int rc = send_ctl(c, ctl);
	if (rc == SLK_OK && moved) {
		ctl = new_ctl(DP_CTL_END, e->stream);
		if (ctl != NULL)
			ctl->end_ns = e->renew.end_ns;
		rc = send_ctl(c, ctl);
	}
	if (rc == SLK_NO_MEMORY)
		slk_warn("no memory to tell a worker about a key",
			slk_kv("stream", (const char *)e->stream->name));
}

static void
fetch_key(struct dp_control *c, struct entry *e)
{
	struct dp_ctl *ctl = new_ctl(DP_CTL_KEY, e->stream);
	struct slk_error err = {0};
	uint64_t asked_ns = now(c);

	if (ctl == NULL) {
		(void)slk_fail(&err, SLK_NO_MEMORY, "no memory for a data key");
		fetch_failed(c, e, SLK_NO_MEMORY, &err);
		return;
	}
	int rc = ask_kms(c, &err);
	if (rc == SLK_OK)
		rc = saw_kms(
			c, kmsc_generate_stream_key(c->kms, e->stream->arn, &ctl->key, &err), &err);
	if (rc != SLK_OK) {
		ctl->op = DP_CTL_ERROR; /* it holds no key */
		free_ctl(ctl);
		fetch_failed(c, e, rc, &err);
		return;
	}
	ctl->end_ns = asked_ns + c->interval_ns;
	if (send_ctl(c, ctl) != SLK_OK)
		return; /* the worker has ended */
	dp_renew_fetched(&e->renew, asked_ns, random_bits());
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
		switch (dp_renew_poll(&e->renew, now(c), atomic_load(&s->wanted) != 0,
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
		uint64_t at = dp_renew_wake(&e->renew, now(c));
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
	(void)slk_fail(&err, status, "the journal did not begin an epoch: %s",
		slk_status_sentence(status));
	fetch_failed(c, e, status, &err);
}

static void
take_answer(struct dp_control *c, struct dp_ctl *ctl)
{
	struct entry *e = &c->entries[ctl->stream->slot];
	struct dp_stream *stream = ctl->stream;
	enum dp_ctl_op op = ctl->op;
	int outcome = ctl->outcome;

	free_ctl(ctl);
	if (op == DP_CTL_KEY && outcome != SLK_OK && !e->removing)
		key_not_taken(c, e, outcome);
	if (op != DP_CTL_REMOVE)
		return;
	pthread_mutex_lock(&c->lock);
	e->stream = NULL;
	e->removing = false;
	pthread_mutex_unlock(&c->lock);
	dp_stream_free(stream);
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
	struct pollfd p = {.fd = c->control_fd, .events = POLLIN};
	uint64_t at = now(c), count = 0;
	uint64_t ns = wake_ns > at ? wake_ns - at : 0;

	if (ns > WAIT_MAX_NS)
		ns = WAIT_MAX_NS;
	if (poll(&p, 1, (int)((ns + SLK_NS_PER_MS - 1) / SLK_NS_PER_MS)) > 0 &&
		read(c->control_fd, &count, sizeof(count)) < 0)
		slk_debug("the control thread woke for nothing");
}

void *
dp_control_run(void *arg)
{
	struct dp_control *c = arg;

	while (atomic_load(&c->stop) == 0) {
		take_answers(c);
		uint64_t keys = turn_entries(c);
		answer_asks(c);
		uint64_t rights = authorise_listeners(c);
		wait_until(c, keys < rights ? keys : rights);
	}
	return NULL;
}

void
dp_control_stop(struct dp_control *control)
{
	atomic_store(&control->stop, 1);
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
	uint64_t at = now(control);

	pthread_mutex_lock(&control->lock);
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		struct entry *e = &control->entries[i];
		struct dp_stream *s = e->stream;
		if (s == NULL)
			continue;
		uint64_t asked = atomic_load(&e->key_asked_ns);
		const struct dp_stream_view view = {.name = s->name,
			.id = s->id,
			.shard_count = s->shard_count,
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
	c->control_fd = config->control_fd;
	c->door_fd = config->door_fd;
	c->interval_ns = config->config->keys.renewal_seconds * SLK_NS_PER_S;
	c->grace_ns = config->config->keys.grace_seconds * SLK_NS_PER_S;
	pthread_mutex_init(&c->lock, NULL);
	int rc = kmsc_new(config->config->kms.socket, config->config->kms.timeout_ms, &c->kms);
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
			free_ctl(ctl);
		while ((ctl = dp_spsc_pop(&control->workers[i]->ctl_out)) != NULL)
			free_ctl(ctl);
	}
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++)
		dp_stream_free(control->entries[i].stream);
	kmsc_free(control->kms);
	pthread_mutex_destroy(&control->lock);
	free(control);
}
