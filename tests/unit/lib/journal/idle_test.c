/* Thousands of shards and streams that do nothing cost nothing: no file, no block, no write and no flush. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "faultfs.h"
#include "journal/inspect.h"
#include "journal/journal.h"
#include "journal_rig.h"
#include "tempdir.h"

#define SHARDS 5000u
#define EPOCHS 1000u

static char dir[256];
static struct seal_thread *seal;
static struct slk_secret *key;
static struct fmt_context *context;
static struct faultfs counting; /* fails nothing: counts writes and flushes */
static struct jnl *journal;
static struct jnl_lane *lane;

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	assert_ok(seal_thread_new("openssl", &seal, NULL));
	assert_ok(slk_secret_from("0123456789abcdef0123456789abcdef", 32, &key));
	assert_ok(fmt_context_for_stream("arn:stream", &context));
	faultfs_init(&counting, journal_rig_quick_fs(), FAULTFS_WRITE | FAULTFS_SYNC | FAULTFS_META,
		0, false, SLK_IO);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	seal_thread_free(seal);
	slk_secret_free(key);
	fmt_context_free(context);
	tempdir_remove(dir);
	return 0;
}

static void
open_journal(void)
{
	const struct jnl_config config = {.dir = dir,
		.lane_count = 1,
		.file_bytes = 8u << 20,
		.group_bytes = 2u << 20,
		.reserve_bytes = 1,
		.fs = &counting.fs,
		.io = "sync"};

	assert_ok(jnl_open(&config, &journal, NULL, NULL));
	lane = jnl_lane(journal, 0);
}

static struct seal_epoch *
begin_epoch(uint64_t stream_id)
{
	const struct jnl_epoch_params params = {.stream_id = stream_id,
		.stream_arn = "arn:stream",
		.key_arn = "arn:key",
		.context = context,
		.wrapped = slk_span("wrapped", 7),
		.data_key = key};
	struct seal_epoch *epoch = NULL;

	assert_ok(jnl_lane_epoch_begin(lane, seal, &params, &epoch));
	return epoch;
}

static void
settle(int until)
{
	int rc;

	do {
		rc = jnl_lane_turn(lane);
	} while (rc > 0);
	assert_int_equal(rc, until);
}

static void
append(struct seal_epoch *epoch, uint32_t shard)
{
	const struct fmt_record r = {
		.data = slk_span("x", 1), .arrival_ns = 1, .source = FMT_SOURCE_PUT};
	struct jnl_append done;
	int rc;

	while ((rc = jnl_lane_append(lane, seal, epoch, shard, &r, 1, &done)) == SLK_AGAIN)
		settle(0);
	assert_ok(rc);
}

static void
close_journal(void)
{
	int rc;

	while ((rc = jnl_lane_close(lane)) == SLK_AGAIN)
		settle(0);
	assert_ok(rc);
	settle(SLK_END);
	jnl_close(journal);
}

static int
count_file(void *arg, const struct jnl_file_info *info)
{
	(void)info;
	++*(unsigned *)arg;
	return SLK_OK;
}

static unsigned
files(void)
{
	unsigned count = 0;

	assert_ok(jnl_list(dir, NULL, count_file, NULL, &count, NULL));
	return count;
}

static void
idle_shards_cost_nothing(void **state)
{
	(void)state;
	struct jnl_lane_stats before, after;

	open_journal();
	struct seal_epoch *epoch = begin_epoch(1);
	for (uint32_t shard = 0; shard < SHARDS; shard++)
		append(epoch, shard);
	(void)jnl_lane_submit(lane);
	settle(0);
	jnl_lane_epoch_end(lane, epoch);
	const unsigned files_before = files();
	const uint64_t calls = counting.calls;
	jnl_lane_stats(lane, &before);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(jnl_lane_turn(lane), 0);
		assert_false(jnl_lane_ready(lane));
		(void)jnl_lane_submit(lane);
	}
	jnl_lane_stats(lane, &after);
	assert_int_equal(counting.calls, calls);
	assert_int_equal(files(), files_before);
	assert_int_equal(after.flushes, before.flushes);
	assert_int_equal(after.written_bytes, before.written_bytes);
	/* One of them wakes up: one block, one flush, and nothing of the others. */
	epoch = begin_epoch(1);
	append(epoch, 17);
	(void)jnl_lane_submit(lane);
	settle(0);
	jnl_lane_stats(lane, &after);
	assert_int_equal(after.flushes, before.flushes + 1);
	assert_true(after.written_bytes - before.written_bytes <= 4096);
	close_journal();
	/* Nor do they cost a file after a restart: numbers go on from a table. */
	open_journal();
	assert_int_equal(jnl_lane_next_sequence(lane, 1, 17), 2);
	assert_int_equal(jnl_lane_next_sequence(lane, 1, SHARDS - 1), 1);
	close_journal();
}

/* An epoch that seals nothing leaves no key block, and files that follow do not take it along. */
static void
idle_streams_cost_no_key_block(void **state)
{
	(void)state;
	struct jnl_lane_stats before, after;

	open_journal();
	settle(0);
	jnl_lane_stats(lane, &before);
	const uint64_t calls = counting.calls;
	for (uint64_t stream = 1; stream <= EPOCHS; stream++)
		(void)begin_epoch(stream);
	settle(0);
	jnl_lane_stats(lane, &after);
	assert_int_equal(after.written_bytes, before.written_bytes);
	assert_int_equal(after.flushes, before.flushes);
	assert_int_equal(counting.calls, calls);
	close_journal();
	const struct jnl_verify_config config = {.dir = dir};
	struct jnl_verify_report report;
	assert_ok(jnl_verify(&config, &report, NULL));
	assert_int_equal(report.epochs, 0);
	assert_true(report.bytes < 65536);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(idle_shards_cost_nothing),
		T(idle_streams_cost_no_key_block),
	};

	return cmocka_run_group_tests_name("journal_idle", tests, NULL, NULL);
}
