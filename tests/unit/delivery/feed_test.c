/* Feeds over real journals, made by the production writer; the KMS is the test. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feed.h"
#include "format/record.h"
#include "journal/retention.h"
#include "journal_rig.h"

#define ARN "arn:aws:kinesis:local:000000000000:stream/s1"
#define SHARDS 4u
#define SECOND SLK_NS_PER_S

static struct journal_rig rig;
static struct dlv_feed *feed;
static struct dlv_checkpoint cp;
static struct slk_error err;
static int answer; /* of the KMS */
static uint64_t next_sequence[SHARDS];
/* What a feed gave. */
static uint64_t got_first[SHARDS], got_end[SHARDS];
static size_t got_count;
static struct dlv_chunk chunk;

static int
unwrap(void *ctx, const struct sealock_epoch *epoch, struct slk_secret **out_data_key,
	struct slk_error *out_err)
{
	(void)ctx;
	(void)epoch;
	if (answer != SLK_OK)
		return slk_fail(out_err, answer, "the KMS says no");
	return slk_secret_from("0123456789abcdef0123456789abcdef", 32, out_data_key);
}

static int
setup(void **state)
{
	(void)state;
	answer = SLK_OK;
	memset(next_sequence, 0, sizeof(next_sequence));
	cp = (struct dlv_checkpoint){0};
	journal_rig_init(&rig);
	rig.fs = journal_rig_quick_fs();
	journal_rig_open(&rig);
	const struct dlv_feed_config config = {.journal_dir = rig.dir,
		.stream_arn = ARN,
		.stream_id = 1,
		.unwrap = unwrap,
		.clock = &rig.clock};
	assert_ok(dlv_feed_new(&config, &feed, &err));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dlv_feed_free(feed);
	dlv_checkpoint_fini(&cp);
	journal_rig_fini(&rig);
	return 0;
}

static void
settle(void)
{
	while (jnl_lane_turn(jnl_lane(rig.journal, 0)) > 0)
		;
}

/* One block of count records whose data is their number. */
static void
put_sized(uint32_t shard, unsigned count, uint64_t arrival_ns, size_t len)
{
	struct fmt_record *records = calloc(count, sizeof(*records));
	char *data = calloc(count, len);
	struct jnl_append done;
	int rc;

	assert_non_null(records);
	assert_non_null(data);
	for (unsigned i = 0; i < count; i++) {
		char *at = data + (size_t)i * len;
		snprintf(at, len, "%u/%llu", shard, (unsigned long long)next_sequence[shard]++);
		records[i] = (struct fmt_record){.key = slk_span("key", 3),
			.data = slk_span(at, len),
			.arrival_ns = arrival_ns,
			.source = FMT_SOURCE_PUT};
	}
	while ((rc = jnl_lane_append(jnl_lane(rig.journal, 0), rig.seal, rig.epochs[1], shard,
			records, count, &done)) == SLK_AGAIN)
		settle();
	assert_ok(rc);
	assert_ok(jnl_lane_submit(jnl_lane(rig.journal, 0)));
	settle();
	free(data);
	free(records);
}

static void
put(uint32_t shard, unsigned count, uint64_t arrival_ns)
{
	put_sized(shard, count, arrival_ns, 32);
}

static void
place(uint32_t shard, uint64_t next, uint64_t plan_end)
{
	struct dlv_place *p;

	assert_ok(dlv_checkpoint_get(&cp, shard, next, &p));
	p->next = next;
	p->plan_end = plan_end;
}

static void
seek(enum dlv_feed_what what)
{
	assert_ok(dlv_feed_seek(feed, &cp, what, &err));
	memset(got_first, 0xff, sizeof(got_first));
	memset(got_end, 0, sizeof(got_end));
	got_count = 0;
}

static void
take(void)
{
	char want[64];

	for (size_t i = 0; i < chunk.count; i++) {
		const struct dlv_record *r = &chunk.records[i];
		assert_true(r->shard < SHARDS);
		snprintf(want, sizeof(want), "%u/%llu", r->shard, (unsigned long long)r->sequence);
		assert_memory_equal(r->data.ptr, want, strlen(want) + 1);
		if (got_first[r->shard] == UINT64_MAX)
			got_first[r->shard] = r->sequence;
		assert_true(r->sequence >= got_end[r->shard]);
		got_end[r->shard] = r->sequence + 1;
		got_count++;
	}
}

/* Until the tip, or the plan's end. */
static void
read_all(void)
{
	for (unsigned turns = 0;; turns++) {
		assert_true(turns < 10000);
		int rc = dlv_feed_read(feed, 7, 4096, &chunk, &err);
		if (rc != SLK_OK)
			fail_msg("%s", err.text);
		take();
		if (chunk.at_tip || chunk.plan_ends)
			return;
	}
}

static struct dlv_feed_loss
losses(void)
{
	struct dlv_feed_loss loss;

	dlv_feed_losses(feed, &loss);
	return loss;
}

/* --- places --- */

static void
all_shards_come_merged(void **state)
{
	uint64_t unread = 0;

	(void)state;
	for (unsigned i = 0; i < 30; i++)
		put(i % 3, 5, rig.wall_ns + i * SECOND);
	seek(DLV_FEED_BEHIND);
	read_all();
	assert_int_equal(got_count, 150);
	/* A shard that a resharding made. */
	put(3, 4, rig.wall_ns + 31 * SECOND);
	assert_ok(dlv_feed_unread(feed, &unread, &err));
	assert_int_equal(unread, 0); /* it was not met */
	put(0, 4, rig.wall_ns + 31 * SECOND);
	assert_ok(dlv_feed_unread(feed, &unread, &err));
	assert_int_equal(unread, 4);
	read_all();
	assert_int_equal(got_count, 158);
	assert_int_equal(losses().trimmed + losses().damaged, 0);
}

static void
what_is_delivered_is_passed_over(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 30; i++)
		put(i % 3, 5, rig.wall_ns + i * 10 * SECOND);
	place(0, 47, 47);
	place(1, 50, 50);
	place(2, 3, 3);
	cp.reached_ns = rig.wall_ns + 290 * SECOND;
	seek(DLV_FEED_BEHIND);
	read_all();
	assert_int_equal(got_first[0], 47);
	assert_int_equal(got_first[1], UINT64_MAX);
	assert_int_equal(got_first[2], 3); /* it had to go back for these */
	assert_int_equal(got_count, 3 + 47);
	assert_int_equal(losses().trimmed, 0);
}

static void
a_plan_is_gathered_exactly(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 30; i++)
		put(i % 3, 5, rig.wall_ns + i * SECOND);
	place(0, 10, 31);
	place(1, 12, 12);
	cp.planned_ns = cp.plan_records = 1;
	cp.reached_ns = rig.wall_ns + 10 * SECOND;
	cp.oldest_ns = rig.wall_ns + 6 * SECOND;
	seek(DLV_FEED_PLANNED);
	read_all();
	assert_true(chunk.plan_ends);
	assert_int_equal(got_count, 21);
	assert_int_equal(got_first[0], 10);
	assert_int_equal(got_end[0], 31);
	assert_ok(dlv_feed_read(feed, 7, 4096, &chunk, &err));
	assert_int_equal(chunk.count, 0);
	assert_true(chunk.plan_ends);
	/* What lies behind it is all the rest, shard 2 among it, which no plan names. */
	seek(DLV_FEED_BEHIND);
	read_all();
	assert_int_equal(got_first[0], 31);
	assert_int_equal(got_first[1], 12);
	assert_int_equal(got_first[2], 0);
	assert_int_equal(losses().trimmed, 0);
}

/* --- clocks --- */

static void
a_clock_that_was_put_back_hides_nothing(void **state)
{
	(void)state;
	put(0, 5, rig.wall_ns + 1000 * SECOND);
	put(1, 5, rig.wall_ns + 1000 * SECOND);
	put(0, 5, rig.wall_ns); /* put back by a quarter of an hour */
	put(1, 5, rig.wall_ns);
	put(0, 5, rig.wall_ns + 2000 * SECOND);
	put(1, 5, rig.wall_ns + 2000 * SECOND);
	place(0, 5, 5);
	place(1, 5, 5);
	cp.reached_ns = rig.wall_ns + 1500 * SECOND; /* the reader would begin behind them */
	seek(DLV_FEED_BEHIND);
	read_all();
	assert_int_equal(got_first[0], 5);
	assert_int_equal(got_first[1], 5);
	assert_int_equal(got_count, 20);
	assert_int_equal(losses().trimmed + losses().damaged, 0);
}

static void
a_shard_that_is_not_met_at_all_is_looked_after(void **state)
{
	(void)state;
	put(0, 5, rig.wall_ns);
	put(1, 5, rig.wall_ns);
	put(0, 5, rig.wall_ns + 1 * SECOND);
	place(0, 3, 3);
	place(1, 5, 5);
	cp.reached_ns = rig.wall_ns + 1000 * SECOND; /* nothing is behind that */
	seek(DLV_FEED_BEHIND);
	read_all();
	assert_int_equal(got_count, 7);
	assert_int_equal(got_first[0], 3);
	assert_int_equal(losses().trimmed, 0);
}

/* --- losses --- */

static void
what_retention_deleted_is_counted_and_named(void **state)
{
	struct jnl_retained r;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		put_sized(0, 5, rig.wall_ns + i * SECOND, 8000);
	place(0, 10, 10);
	cp.reached_ns = rig.wall_ns + 2 * SECOND;
	assert_ok(jnl_retain(rig.journal, &(struct jnl_retention){.bytes = 3u << 20}, &r, NULL));
	seek(DLV_FEED_BEHIND);
	read_all();
	assert_true(got_first[0] > 10);
	assert_int_equal(got_end[0], 1000);
	assert_int_equal(losses().trimmed, got_first[0] - 10);
	assert_non_null(strstr(losses().sentence, "records 10 to "));
	assert_non_null(strstr(losses().sentence, "of shard 0"));
	assert_non_null(strstr(losses().sentence, "retention"));
}

static void
a_plan_that_is_partly_gone_ends(void **state)
{
	struct jnl_retained r;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		put_sized(i % 2, 5, rig.wall_ns + i * SECOND, 8000);
	assert_ok(jnl_retain(rig.journal, &(struct jnl_retention){.bytes = 3u << 20}, &r, NULL));
	place(0, 0, 20); /* gone */
	place(1, 0, 450); /* its end is there */
	cp.planned_ns = cp.plan_records = 1;
	cp.oldest_ns = rig.wall_ns;
	seek(DLV_FEED_PLANNED);
	read_all();
	assert_true(chunk.plan_ends);
	assert_int_equal(got_end[1], 450);
	assert_int_equal(got_count, 450 - got_first[1]);
	assert_int_equal(losses().trimmed, 20 + got_first[1]);
}

static void
flip(uint64_t where)
{
	char path[512];
	uint8_t byte = 0;

	snprintf(path, sizeof(path), "%s/%020u.slj", rig.dir, 1);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)where), 1);
	byte ^= 0x55;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)where), 1);
	close(fd);
}

static void
damage_is_counted_and_passed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 12; i++)
		put_sized(0, 2, rig.wall_ns + i, 8000);
	journal_rig_close(&rig, true);
	flip(4096 + 5 * 16384 + 8000);
	journal_rig_open(&rig);
	seek(DLV_FEED_BEHIND);
	read_all();
	assert_int_equal(got_end[0], 24);
	assert_true(got_count < 24);
	assert_int_equal(losses().damaged, 24 - got_count);
	assert_int_equal(losses().trimmed, 0);
	assert_non_null(strstr(losses().sentence, "damaged"));
}

/* --- keys --- */

static void
a_refusal_moves_nothing(void **state)
{
	(void)state;
	put(0, 5, rig.wall_ns);
	seek(DLV_FEED_BEHIND);
	answer = SLK_DENIED;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(dlv_feed_read(feed, 7, 4096, &chunk, &err), SLK_DENIED);
		assert_non_null(strstr(err.text, "the KMS says no"));
	}
	answer = SLK_OK;
	read_all();
	assert_int_equal(got_count, 5);
	/* A withdrawn right holds from the next question on. */
	put(0, 5, rig.wall_ns);
	answer = SLK_DISABLED;
	dlv_feed_forget_keys(feed);
	assert_int_equal(dlv_feed_read(feed, 7, 4096, &chunk, &err), SLK_DISABLED);
	answer = SLK_OK;
	read_all();
	assert_int_equal(got_count, 10);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_shards_come_merged),
		TEST(what_is_delivered_is_passed_over),
		TEST(a_plan_is_gathered_exactly),
		TEST(a_clock_that_was_put_back_hides_nothing),
		TEST(a_shard_that_is_not_met_at_all_is_looked_after),
		TEST(what_retention_deleted_is_counted_and_named),
		TEST(a_plan_that_is_partly_gone_ends),
		TEST(damage_is_counted_and_passed),
		TEST(a_refusal_moves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
