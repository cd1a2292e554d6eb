#include "flow_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "feed.h"
#include "loop.h"
#include "tempdir.h"

#define RECORD_BYTES 100u

struct rig rig;

/* --- the loop, turned by hand: loop.h --- */

static struct dlv_task *queue[256];
static size_t queue_count;
static struct dlv_timer *timers[64];
static size_t timers_count;

void
dlv_loop_post(struct dlv_loop *loop, struct dlv_task *task)
{
	(void)loop;
	assert_true(queue_count < sizeof(queue) / sizeof(queue[0]));
	queue[queue_count++] = task;
}

void
dlv_loop_work(struct dlv_loop *loop, struct dlv_task *task)
{
	dlv_loop_post(loop, task);
}

void
dlv_timer_stop(struct dlv_loop *loop, struct dlv_timer *timer)
{
	(void)loop;
	for (size_t i = 0; i < timers_count; i++) {
		if (timers[i] != timer)
			continue;
		timers[i] = timers[--timers_count];
		break;
	}
	timer->at_ns = 0;
}

void
dlv_timer_set(struct dlv_loop *loop, struct dlv_timer *timer, uint64_t at_ns, void (*fn)(void *arg),
	void *arg)
{
	dlv_timer_stop(loop, timer);
	assert_true(timers_count < sizeof(timers) / sizeof(timers[0]));
	timer->at_ns = at_ns == 0 ? 1 : at_ns;
	timer->fn = fn;
	timer->arg = arg;
	timers[timers_count++] = timer;
}

static struct dlv_timer *
first_timer(void)
{
	struct dlv_timer *first = NULL;

	for (size_t i = 0; i < timers_count; i++) {
		if (first == NULL || timers[i]->at_ns < first->at_ns)
			first = timers[i];
	}
	return first;
}

static bool
run_task(void)
{
	if (queue_count == 0)
		return false;
	struct dlv_task *task = queue[0];
	memmove(queue, queue + 1, --queue_count * sizeof(queue[0]));
	rig.turns++;
	task->fn(task->arg);
	return true;
}

static bool
run_timer(void)
{
	struct dlv_timer *timer = first_timer();

	if (timer == NULL || timer->at_ns > rig.mono_ns)
		return false;
	dlv_timer_stop(NULL, timer);
	rig.turns++;
	timer->fn(timer->arg);
	return true;
}

bool
rig_turn(void)
{
	return rig.timers_first ? run_timer() || run_task() : run_task() || run_timer();
}

void
rig_run(void)
{
	for (unsigned i = 0; rig_turn(); i++)
		assert_true(i < 1000000);
}

void
rig_pass(uint64_t ns)
{
	uint64_t end = rig.mono_ns + ns;

	for (;;) {
		rig_run();
		struct dlv_timer *timer = first_timer();
		if (timer == NULL || timer->at_ns > end)
			break;
		rig.wall_ns += timer->at_ns - rig.mono_ns;
		rig.mono_ns = timer->at_ns;
	}
	rig.wall_ns += end - rig.mono_ns;
	rig.mono_ns = end;
	rig_run();
}

/* --- the journal: feed.h --- */

struct dlv_feed {
	size_t at;
	bool planned;
	uint64_t next[RIG_SHARDS], end[RIG_SHARDS];
	struct dlv_record records[64];
	uint8_t bytes[64][RECORD_BYTES];
	struct dlv_feed_loss loss;
};

void
dlv_feed_free(struct dlv_feed *feed)
{
	free(feed);
}

void
dlv_feed_losses(const struct dlv_feed *feed, struct dlv_feed_loss *out_loss)
{
	*out_loss = feed->loss;
}

int
dlv_feed_unread(struct dlv_feed *feed, uint64_t *out_records, struct slk_error *err)
{
	(void)err;
	*out_records = rig.records_count - feed->at;
	return SLK_OK;
}

int
dlv_feed_seek(struct dlv_feed *feed, const struct dlv_checkpoint *cp, enum dlv_feed_what what,
	struct slk_error *err)
{
	(void)err;
	feed->at = 0;
	feed->planned = what == DLV_FEED_PLANNED;
	for (uint32_t s = 0; s < RIG_SHARDS; s++) {
		const struct dlv_place *p = dlv_checkpoint_find(cp, s);
		feed->next[s] = p == NULL ? 0 : feed->planned ? p->next : p->plan_end;
		feed->end[s] = p == NULL ? 0 : p->plan_end;
	}
	return SLK_OK;
}

static bool
plan_ends(const struct dlv_feed *feed)
{
	for (uint32_t s = 0; feed->planned && s < RIG_SHARDS; s++) {
		if (feed->next[s] < feed->end[s])
			return false;
	}
	return feed->planned;
}

static void
give(struct dlv_feed *feed, size_t index, struct dlv_chunk *chunk)
{
	uint32_t shard = rig.record_shard[index];
	uint64_t sequence = rig.record_sequence[index];

	if (sequence < feed->next[shard] || (feed->planned && sequence >= feed->end[shard]))
		return;
	feed->next[shard] = sequence + 1;
	if (index < rig.lost_below) {
		feed->loss.trimmed++;
		return;
	}
	uint8_t *bytes = feed->bytes[chunk->count];
	memset(bytes, 'x', RECORD_BYTES);
	slk_put_le64(bytes, index);
	feed->records[chunk->count++] = (struct dlv_record){.data = slk_span(bytes, RECORD_BYTES),
		.sequence = sequence,
		.arrival_ns = 1000000 + index,
		.shard = shard};
}

int
dlv_feed_read(struct dlv_feed *feed, size_t records_max, size_t bytes_max,
	struct dlv_chunk *out_chunk, struct slk_error *err)
{
	struct dlv_chunk chunk = {.records = feed->records};

	(void)bytes_max;
	rig.feed_reads++;
	if (rig.feed_status != SLK_OK &&
		(rig.feed_fail_at == 0 || rig.feed_fail_at == rig.feed_reads))
		return slk_fail(err, rig.feed_status, "role may not kms:Decrypt key");
	while (!plan_ends(feed) && feed->at < rig.records_count && chunk.count < records_max &&
		chunk.count < 7)
		give(feed, feed->at++, &chunk);
	chunk.plan_ends = plan_ends(feed);
	chunk.at_tip = chunk.count == 0 && feed->at == rig.records_count;
	*out_chunk = chunk;
	return SLK_OK;
}

void
rig_put(uint32_t shard, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		assert_true(rig.records_count < RIG_RECORDS);
		rig.record_shard[rig.records_count] = shard;
		rig.record_sequence[rig.records_count++] = rig.next_sequence[shard]++;
	}
}

/* --- the description --- */

static struct dlv_buffering buffering;

const struct dlv_buffering *
dlv_spec_buffering(const struct dlv_spec *spec)
{
	(void)spec;
	return &buffering;
}

/* --- destinations --- */

struct pending {
	struct dlv_timer timer;
	struct rig_dest *dest;
	const struct dlv_batch *batch;
	struct rig_order order;
	dlv_done done;
	void *arg;
	bool used;
	struct rig_sent *sent;
};
static struct pending pendings[8];

static bool
fails(struct rig_dest *d)
{
	d->calls++;
	return d->fail_at != 0 &&
		(d->calls == d->fail_at || (d->for_ever && d->calls > d->fail_at));
}

static int
dest_open(const struct dlv_env *env, void **out_dest, struct slk_error *err)
{
	(void)err;
	*out_dest = env->error_type != NULL                                     ? &rig.errors
		: env->s3 == &rig.spec.source_backup || env->s3 == &rig.spec.s3 ? &rig.copy
										: &rig.main;
	return SLK_OK;
}

static int
main_open(const struct dlv_env *env, void **out_dest, struct slk_error *err)
{
	(void)env;
	(void)err;
	*out_dest = &rig.main;
	return SLK_OK;
}

static void
dest_close(void *dest)
{
	struct rig_dest *d = dest;

	assert_int_equal(d->begins, d->releases);
}

static int
dest_begin(void *dest, struct dlv_batch *batch, struct slk_error *err)
{
	struct rig_dest *d = dest;

	assert_null(batch->work);
	assert_true(batch->number > 0);
	if (fails(d))
		return slk_fail(err, d->fail_status, "begin is refused");
	batch->work = d;
	d->begins++;
	return SLK_OK;
}

static int
dest_gather(void *dest, struct dlv_batch *batch, const struct dlv_record *records, size_t count,
	struct slk_error *err)
{
	struct rig_dest *d = dest;
	size_t before = batch->body.len;

	assert_ptr_equal(batch->work, d);
	assert_true(count > 0);
	if (fails(d))
		return slk_fail(err, d->fail_status, "gather is refused");
	for (size_t i = 0; i < count; i++) {
		int rc = dlv_buffer_append(&batch->body, records[i].data);
		if (rc != SLK_OK) {
			dlv_buffer_cut(&batch->body, before);
			return slk_fail(err, rc, "no memory");
		}
	}
	return SLK_OK;
}

static int
dest_seal(void *dest, struct dlv_batch *batch, struct slk_error *err)
{
	struct rig_dest *d = dest;

	assert_true(batch->planned_ns != 0 && batch->oldest_ns != 0);
	return fails(d) ? slk_fail(err, d->fail_status, "seal is refused") : SLK_OK;
}

static bool
is_failed(const struct rig_order *order, size_t index)
{
	for (size_t i = 0; i < order->failed_count; i++) {
		if (order->failed[i] == index)
			return true;
	}
	return false;
}

/* Which records there are, by what they hold. */
static void
count_records(const struct pending *p, bool delivered)
{
	const struct dlv_batch *b = p->batch;

	if (p->dest == &rig.errors)
		return;
	for (size_t i = 0; i < b->count; i++) {
		uint64_t index = slk_get_le64(b->body.bytes + i * RECORD_BYTES);
		p->sent->sum += (index + 1) * (index + 7);
		if (delivered && p->dest == &rig.main && !is_failed(&p->order, i))
			rig.delivered[index]++;
	}
}

/* Lines name sequence number and shard. */
static void
count_lines(const struct dlv_batch *b)
{
	char *text = strndup((const char *)b->body.bytes, b->body.len);

	assert_non_null(text);
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		unsigned shard = 0;
		unsigned long long sequence = 0;
		const char *tail = strstr(line, "\"shardId\"");
		assert_non_null(tail);
		assert_int_equal(
			sscanf(tail, "\"shardId\":\"shardId-%u\",\"sequenceNumber\":\"%llu\"}",
				&shard, &sequence),
			2);
		for (size_t i = 0; i < rig.records_count; i++) {
			if (rig.record_shard[i] == shard && rig.record_sequence[i] == sequence)
				rig.erred[i]++;
		}
	}
	free(text);
}

static void
answer(void *arg)
{
	struct pending *p = arg;
	struct dlv_failed failed[4];
	struct dlv_result result = {.outcome = p->order.outcome,
		.retry_after_ns = p->order.retry_after_ns,
		.failed = failed,
		.failed_count = p->order.failed_count};
	bool delivered = result.outcome == DLV_DELIVERED || result.outcome == DLV_DELIVERED_REST;

	memset(failed, 0, sizeof(failed));
	for (size_t i = 0; i < p->order.failed_count; i++)
		failed[i] = (struct dlv_failed){p->order.failed[i], 400, "mapper_parsing_exception",
			"field \"a\" is no number"};
	if (!delivered)
		snprintf(result.code, sizeof(result.code), "Test.%s",
			result.outcome == DLV_FAILED ? "Busy" : "Refused");
	if (result.outcome != DLV_DELIVERED)
		(void)slk_fail(&result.error, SLK_UNAVAILABLE, "the destination says no");
	count_records(p, delivered);
	if (delivered && p->dest == &rig.errors)
		count_lines(p->batch);
	p->sent->delivered = delivered;
	p->used = false;
	p->done(p->arg, &result);
}

static void
dest_deliver(void *dest, struct dlv_batch *batch, dlv_done done, void *arg)
{
	struct rig_dest *d = dest;
	struct pending *p = pendings;
	struct rig_order order = {0};

	if (d->orders_count > 0)
		order = d->orders[d->orders_at < d->orders_count ? d->orders_at
								 : d->orders_count - 1];
	d->orders_at++;
	while (p->used)
		p++;
	assert_true(rig.sent_count < RIG_SENT);
	struct rig_sent *sent = &rig.sent[rig.sent_count++];
	*sent = (struct rig_sent){.dest = d,
		.number = batch->number,
		.planned_ns = batch->planned_ns,
		.oldest_ns = batch->oldest_ns,
		.count = batch->count,
		.attempts = batch->attempts,
		.body_len = batch->body.len};
	memcpy(sent->id, batch->id, sizeof(sent->id));
	*p = (struct pending){.dest = d,
		.batch = batch,
		.order = order,
		.done = done,
		.arg = arg,
		.used = true,
		.sent = sent};
	d->hangs_now = order.hangs;
	if (!order.hangs)
		dlv_timer_set(NULL, &p->timer, rig.mono_ns + order.takes_ns, answer, p);
}

static void
dest_cancel(void *dest, struct dlv_batch *batch)
{
	struct rig_dest *d = dest;

	d->cancels++;
	for (size_t i = 0; i < 8; i++) {
		if (pendings[i].used && pendings[i].batch == batch) {
			count_records(&pendings[i], false);
			dlv_timer_stop(NULL, &pendings[i].timer);
			pendings[i].used = false;
		}
	}
}

static void
dest_release(void *dest, struct dlv_batch *batch)
{
	struct rig_dest *d = dest;

	assert_ptr_equal(batch->work, d);
	batch->work = NULL;
	d->releases++;
}

/* --- life --- */

static uint64_t
mono_ns(void *ctx)
{
	(void)ctx;
	return rig.mono_ns;
}

static uint64_t
wall_ns(void *ctx)
{
	(void)ctx;
	return rig.wall_ns;
}

void
rig_setup(bool want_errors, enum dlv_backup backup)
{
	const struct dlv_destination_ops ops = {.name = "fake",
		.keeps_raw = want_errors,
		.open = main_open,
		.close = dest_close,
		.begin = dest_begin,
		.gather = dest_gather,
		.seal = dest_seal,
		.deliver = dest_deliver,
		.cancel = dest_cancel,
		.release = dest_release,
		.error_type = want_errors ? "fake-failed" : NULL};

	memset(&rig, 0, sizeof(rig));
	memset(pendings, 0, sizeof(pendings));
	queue_count = timers_count = 0;
	buffering = (struct dlv_buffering){.bytes = 10 * RECORD_BYTES, .seconds = 60};
	tempdir_make_in_memory(rig.dir, sizeof(rig.dir));
	faultfs_init(&rig.fs, slk_fs_posix(), FAULTFS_ALL, 0, false, SLK_IO);
	rig.mono_ns = 1000 * SLK_NS_PER_S;
	rig.wall_ns = 1700000000 * SLK_NS_PER_S;
	rig.clock = (struct slk_clock){mono_ns, wall_ns, NULL};
	assert_ok(dlv_pool_new(1 << 20, false, &rig.pool));
	rig.ops = rig.backup_ops = ops;
	rig.backup_ops.open = dest_open;
	rig.backup_ops.keeps_raw = false;
	rig.spec.backup = backup;
	rig.spec.retry_seconds = 300;
	rig.env = (struct dlv_env){.name = "web",
		.arn = "arn:aws:firehose:local:000000000000:deliverystream/web",
		.spec = &rig.spec,
		.version = 1,
		.pool = rig.pool,
		.clock = &rig.clock};
}

void
rig_start(void)
{
	struct slk_error err = {0};
	struct dlv_flow_config config = {.env = rig.env,
		.delivery_id = 7,
		.stream_id = 9,
		.ops = &rig.ops,
		.backup_ops = &rig.backup_ops,
		.feed = calloc(1, sizeof(struct dlv_feed)),
		.state_dir = rig.dir,
		.fs = &rig.fs.fs};

	assert_non_null(config.feed);
	assert_ok(dlv_flow_new(&config, &rig.flow, &err));
	rig.stopped = false;
	dlv_flow_start(rig.flow);
}

static void
was_stopped(void *arg)
{
	(void)arg;
	assert_false(rig.stopped);
	rig.stopped = true;
}

void
rig_stop(uint64_t drain_ns)
{
	dlv_flow_stop(rig.flow, drain_ns, was_stopped, NULL);
	rig_pass(drain_ns + SLK_NS_PER_S);
	assert_true(rig.stopped);
	assert_int_equal(timers_count, 0);
	assert_int_equal(queue_count, 0);
	dlv_flow_free(rig.flow);
	rig.flow = NULL;
	assert_int_equal(dlv_pool_used(rig.pool), 0);
}

void
rig_kill(void)
{
	rig.fs.fail_at = rig.fs.calls + 1;
	rig.fs.for_ever = true;
	rig_stop(0);
	rig.fs.fail_at = 0;
	rig.fs.for_ever = false;
}

void
rig_teardown(void)
{
	if (rig.flow != NULL)
		rig_stop(0);
	dlv_pool_free(rig.pool);
	tempdir_remove(rig.dir);
}

struct dlv_flow_view
rig_view(void)
{
	struct dlv_flow_view view;

	dlv_flow_view(rig.flow, &view);
	return view;
}

unsigned
rig_delivered_total(void)
{
	unsigned total = 0;

	for (size_t i = 0; i < rig.records_count; i++)
		total += rig.delivered[i];
	return total;
}

void
rig_check_all(void)
{
	for (size_t i = rig.lost_below; i < rig.records_count; i++) {
		if (rig.delivered[i] == 0 && rig.erred[i] == 0)
			fail_msg("record %zu was not delivered", i);
	}
	for (size_t i = 0; i < rig.sent_count; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct rig_sent *a = &rig.sent[i], *b = &rig.sent[j];
			if (a->dest != b->dest)
				continue;
			assert_int_equal(strcmp(a->id, b->id) == 0, a->number == b->number);
			if (a->number != b->number || a->dest == &rig.errors || a->sum == 0 ||
				b->sum == 0)
				continue;
			assert_int_equal(a->sum, b->sum);
			assert_int_equal(a->count, b->count);
			assert_int_equal(a->planned_ns, b->planned_ns);
			assert_int_equal(a->oldest_ns, b->oldest_ns);
		}
	}
}
