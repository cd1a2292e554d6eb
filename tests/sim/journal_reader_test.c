/* Readers over many files of two lanes: seeking by sequence number and time, the tail, damaged headers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash_world.h"
#include "slk_test.h"

static struct seal_thread *seal;

/* Several files for each lane; everything durable, the writer still running. */
static void
fill(struct world *w, uint64_t seed)
{
	struct slk_error err = {0};

	world_init(w, seed, seal);
	assert_ok(world_open(w, &err));
	w->heavy = true;
	for (unsigned i = 0; i < 200; i++) {
		int rc = world_append(w);
		assert_true(rc == SLK_OK || rc == SLK_AGAIN);
		for (unsigned lane = 0; lane < WORLD_LANES; lane++) {
			assert_ok(world_submit(w, lane));
			for (unsigned k = 0; k < 4; k++)
				assert_true(world_turn(w, lane) >= 0);
		}
	}
	for (unsigned k = 0; k < 100; k++)
		assert_true(world_turn(w, k % WORLD_LANES) >= 0);
	assert_int_equal(w->append_count, 0);
}

static struct jnl_reader *
open_reader(struct world *w, struct jnl_reader_config config)
{
	struct jnl_reader *reader = NULL;
	struct slk_error err = {0};

	config.dir = WORLD_DIR;
	config.fs = simdisk_fs(w->disk);
	assert_ok(jnl_reader_new(&config, &reader, &err));
	return reader;
}

static void
read_from(struct world *w, unsigned stream, unsigned shard, uint64_t from)
{
	struct jnl_reader *r = open_reader(w,
		(struct jnl_reader_config){.stream_id = stream + 1,
			.shard = shard,
			.from = JNL_FROM_SEQUENCE,
			.from_value = from});
	struct jnl_epoch_info info;
	struct jnl_block b;
	uint64_t next = from;

	while (jnl_reader_next(r, &b, NULL) == SLK_OK) {
		assert_int_equal(b.stream_id, stream + 1);
		assert_int_equal(b.shard, shard);
		assert_true(b.first_sequence <= next && next < b.first_sequence + b.record_count);
		assert_true(next == from || b.first_sequence == next);
		assert_ok(jnl_reader_epoch(r, b.epoch_id, &info));
		next = b.first_sequence + b.record_count;
	}
	assert_int_equal(next, w->shards[stream][shard].next);
	jnl_reader_free(r);
}

static void
every_sequence_number_is_found(void **state)
{
	(void)state;
	struct world w;

	fill(&w, 21);
	for (unsigned stream = 0; stream < WORLD_STREAMS; stream++) {
		uint64_t end = w.shards[stream][0].next;
		for (uint64_t from = 0; from < end; from += 1 + from / 3)
			read_from(&w, stream, 0, from);
		read_from(&w, stream, 1, w.shards[stream][1].next - 1);
	}
	world_fini(&w);
}

static uint64_t
calls_to_read(struct world *w, enum jnl_from from, uint64_t value)
{
	uint64_t before = simdisk_calls(w->disk);
	struct jnl_reader *r = open_reader(
		w, (struct jnl_reader_config){.stream_id = 1, .from = from, .from_value = value});
	struct jnl_block b;

	while (jnl_reader_next(r, &b, NULL) == SLK_OK)
		continue;
	jnl_reader_free(r);
	return simdisk_calls(w->disk) - before;
}

static void
seeking_passes_closed_files_by(void **state)
{
	(void)state;
	struct world w;

	fill(&w, 22);
	uint64_t all = calls_to_read(&w, JNL_FROM_TRIM_HORIZON, 0);
	uint64_t last = calls_to_read(&w, JNL_FROM_SEQUENCE, w.shards[0][0].next - 1);
	assert_true(last < all);
	world_fini(&w);
}

static void
time_finds_the_first_and_then_all_that_follow(void **state)
{
	(void)state;
	struct world w;
	struct jnl_block b;
	uint64_t middle = 0, total = 0, count = 0;

	fill(&w, 23);
	const struct jnl_reader_config all = {.any_stream = true, .any_shard = true};
	struct jnl_reader *r = open_reader(&w, all);
	while (jnl_reader_next(r, &b, NULL) == SLK_OK)
		middle = ++total == 60 ? b.last_arrival_ns : middle;
	jnl_reader_free(r);
	assert_true(middle > 0);
	r = open_reader(&w,
		(struct jnl_reader_config){.any_stream = true,
			.any_shard = true,
			.from = JNL_FROM_TIME,
			.from_value = middle});
	while (jnl_reader_next(r, &b, NULL) == SLK_OK) {
		assert_true(b.last_arrival_ns >= middle);
		count++;
	}
	jnl_reader_free(r);
	assert_int_equal(count, total - 59);
	/* Clocks that go back do not hide what is written then. */
	simdisk_clock_jump(w.disk, -7200ll * 1000000000);
	r = open_reader(&w,
		(struct jnl_reader_config){.any_stream = true,
			.any_shard = true,
			.from = JNL_FROM_TIME,
			.from_value = middle});
	while (jnl_reader_next(r, &b, NULL) == SLK_OK)
		continue;
	for (unsigned i = 0; i < 20; i++) {
		int rc = world_append(&w);
		assert_true(rc == SLK_OK || rc == SLK_AGAIN);
		for (unsigned k = 0; k < 60; k++) {
			assert_ok(world_submit(&w, k % WORLD_LANES));
			assert_true(world_turn(&w, k % WORLD_LANES) >= 0);
		}
	}
	for (count = 0; jnl_reader_next(r, &b, NULL) == SLK_OK; count++)
		assert_true(b.last_arrival_ns < middle);
	assert_true(count > 0);
	jnl_reader_free(r);
	world_fini(&w);
}

static void
latest_gives_only_what_comes_and_knows_its_epochs(void **state)
{
	(void)state;
	struct world w;
	struct jnl_block b;
	struct jnl_epoch_info info;
	uint64_t before[WORLD_STREAMS][WORLD_SHARDS], count = 0;

	fill(&w, 24);
	struct jnl_reader *r = open_reader(&w,
		(struct jnl_reader_config){
			.any_stream = true, .any_shard = true, .from = JNL_FROM_LATEST});
	assert_int_equal(jnl_reader_next(r, &b, NULL), SLK_AGAIN);
	for (unsigned i = 0; i < WORLD_STREAMS * WORLD_SHARDS; i++)
		before[i / WORLD_SHARDS][i % WORLD_SHARDS] =
			w.shards[i / WORLD_SHARDS][i % WORLD_SHARDS].next;
	for (unsigned i = 0; i < 10; i++) {
		assert_ok(world_append(&w));
		for (unsigned k = 0; k < 60; k++) {
			assert_ok(world_submit(&w, k % WORLD_LANES));
			assert_true(world_turn(&w, k % WORLD_LANES) >= 0);
		}
	}
	for (; jnl_reader_next(r, &b, NULL) == SLK_OK; count++) {
		assert_true(b.first_sequence >= before[b.stream_id - 1][b.shard]);
		assert_ok(jnl_reader_epoch(r, b.epoch_id, &info));
	}
	assert_int_equal(count, 10);
	jnl_reader_free(r);
	world_fini(&w);
}

static int
first_name(void *arg, const struct jnl_file_info *info)
{
	snprintf(arg, 128, WORLD_DIR "/%s", info->name);
	return 1;
}

static void
a_file_with_a_damaged_header_is_reported_once_and_passed_by(void **state)
{
	(void)state;
	struct world w;
	struct jnl_block b;
	struct slk_error err = {0};
	char path[128] = "";
	unsigned reported = 0, blocks = 0;
	int rc;

	fill(&w, 25);
	assert_int_equal(jnl_list(WORLD_DIR, simdisk_fs(w.disk), first_name, NULL, path, &err), 1);
	assert_ok(simdisk_rot(w.disk, path, 30, 4));
	const struct jnl_reader_config all = {.any_stream = true, .any_shard = true};
	struct jnl_reader *r = open_reader(&w, all);
	while ((rc = jnl_reader_next(r, &b, &err)) != SLK_AGAIN) {
		assert_true(rc == SLK_OK || rc == SLK_CORRUPT);
		blocks += rc == SLK_OK;
		reported += rc == SLK_CORRUPT;
		if (rc == SLK_CORRUPT)
			assert_non_null(strstr(err.text, "header"));
	}
	assert_int_equal(reported, 1);
	assert_true(blocks > 0);
	jnl_reader_free(r);
	world_fini(&w);
}

static int
make_seal(void **state)
{
	struct slk_error err = {0};

	(void)state;
	return seal_thread_new("auto", &seal, &err);
}

static int
free_seal(void **state)
{
	(void)state;
	seal_thread_free(seal);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sequence_number_is_found),
		cmocka_unit_test(seeking_passes_closed_files_by),
		cmocka_unit_test(time_finds_the_first_and_then_all_that_follow),
		cmocka_unit_test(latest_gives_only_what_comes_and_knows_its_epochs),
		cmocka_unit_test(a_file_with_a_damaged_header_is_reported_once_and_passed_by),
	};

	return cmocka_run_group_tests_name("journal_reader", tests, make_seal, free_seal);
}
