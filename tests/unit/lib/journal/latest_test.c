/* The number that a shard has come to, from what is durable alone. */
#include "slk_test.h"

#include "journal/latest.h"
#include "journal/retention.h"
#include "journal_rig.h"

static struct journal_rig rig;

static int
setup(void **state)
{
	(void)state;
	journal_rig_init(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	journal_rig_fini(&rig);
	return 0;
}

static uint64_t
latest(uint64_t stream_id, uint32_t shard)
{
	uint64_t next = 0;

	assert_ok(jnl_shard_latest(rig.dir, NULL, stream_id, shard, &next, NULL));
	return next;
}

static void
no_journal_is_told_from_an_empty_shard(void **state)
{
	(void)state;
	uint64_t next = 42;

	assert_int_equal(jnl_shard_latest("/nonexistent", NULL, 1, 0, &next, NULL), SLK_NOT_FOUND);
	assert_int_equal(next, 42);
	journal_rig_open(&rig);
	assert_int_equal(latest(1, 0), 0);
	journal_rig_append(&rig, 2, 3, 1);
	assert_int_equal(latest(1, 0), 0);
	assert_int_equal(latest(2, 1), 0);
	assert_int_equal(latest(2, 0), 3);
}

static void
what_is_not_durable_does_not_count(void **state)
{
	(void)state;
	static const uint8_t data[100];
	const struct fmt_record r = {
		.data = slk_span(data, sizeof(data)), .arrival_ns = 1, .source = FMT_SOURCE_PUT};
	struct jnl_append done;

	journal_rig_open(&rig);
	journal_rig_append(&rig, 1, 2, 1);
	struct jnl_lane *lane = jnl_lane(rig.journal, 0);
	assert_ok(jnl_lane_append(lane, rig.seal, rig.epochs[1], 0, &r, 1, &done));
	assert_int_equal(latest(1, 0), 2);
	journal_rig_append(&rig, 1, 1, 1);
	assert_int_equal(latest(1, 0), 4);
}

static void
rolls_restarts_and_crashes_do_not_lose_it(void **state)
{
	(void)state;

	journal_rig_open(&rig);
	journal_rig_append(&rig, 1, 7, 1);
	journal_rig_append(&rig, 2, 400, 1); /* a few files */
	assert_int_equal(latest(1, 0), 7);
	assert_int_equal(latest(2, 0), 400);
	journal_rig_close(&rig, true);
	assert_int_equal(latest(1, 0), 7);
	journal_rig_open(&rig); /* a file in which nothing is durable yet */
	assert_int_equal(latest(1, 0), 7);
	assert_int_equal(latest(2, 0), 400);
	journal_rig_append(&rig, 3, 1, 1);
	assert_int_equal(latest(1, 0), 7);
	journal_rig_append(&rig, 1, 1, 1);
	assert_int_equal(latest(1, 0), 8);
	journal_rig_close(&rig, false);
	assert_int_equal(latest(1, 0), 8);
	journal_rig_open(&rig);
	assert_int_equal(latest(1, 0), 8);
	assert_int_equal(latest(2, 0), 400);
	assert_int_equal(latest(3, 0), 1);
}

static void
retention_does_not_lose_it(void **state)
{
	(void)state;
	struct jnl_retained report;

	journal_rig_open(&rig);
	journal_rig_append(&rig, 1, 7, 1);
	for (unsigned i = 0; i < 6; i++)
		journal_rig_append(&rig, 2, 130, 1);
	assert_ok(jnl_retain(rig.journal, &(struct jnl_retention){.bytes = 1}, &report, NULL));
	assert_true(report.files > 0);
	assert_false(journal_rig_has(&rig, 1, "slj"));
	assert_int_equal(latest(1, 0), 7);
	assert_int_equal(latest(2, 0), 780);
}

static uint64_t
opens_of(uint64_t stream_id, uint64_t expected)
{
	uint64_t next = 99;

	rig.opens = 0;
	assert_ok(jnl_shard_latest(rig.dir, &rig.counting_fs, stream_id, 0, &next, NULL));
	assert_int_equal(next, expected);
	return rig.opens;
}

static void
old_files_are_left_alone(void **state)
{
	(void)state;

	journal_rig_open(&rig);
	journal_rig_append(&rig, 1, 1, 1);
	journal_rig_append(&rig, 2, 130, 1);
	uint64_t few = opens_of(1, 1);
	for (unsigned i = 0; i < 6; i++)
		journal_rig_append(&rig, 2, 130, 1);
	assert_true(journal_rig_files(&rig) > 6);
	assert_int_equal(opens_of(1, 1), few);
	assert_int_equal(opens_of(3, 0), few); /* never written: the tables say so */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(no_journal_is_told_from_an_empty_shard),
		TEST(what_is_not_durable_does_not_count),
		TEST(rolls_restarts_and_crashes_do_not_lose_it),
		TEST(retention_does_not_lose_it),
		TEST(old_files_are_left_alone),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
