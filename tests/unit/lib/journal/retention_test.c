/* Retention on a clock that a test moves, and readers whose files go. */
#include "slk_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "journal/inspect.h"
#include "journal/retention.h"
#include "journal_rig.h"

#define HOUR_NS (3600 * SLK_NS_PER_S)
#define FILE_BYTES (1u << 20)
#define PER_FILE 130u /* blocks: a little more than a file takes */

static struct journal_rig rig;
static uint64_t start_ns;

static int
setup(void **state)
{
	(void)state;
	journal_rig_init(&rig);
	start_ns = rig.wall_ns;
	journal_rig_open(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	journal_rig_fini(&rig);
	return 0;
}

static void
hours_pass(uint64_t hours)
{
	rig.mono_ns += hours * HOUR_NS;
	rig.wall_ns += hours * HOUR_NS;
}

/* Fills about a file with a stream's records of now. */
static void
fill(uint64_t stream_id)
{
	journal_rig_append(&rig, stream_id, PER_FILE, rig.wall_ns);
}

static void
expect_nothing_found(void)
{
	const struct jnl_verify_config config = {.dir = rig.dir};
	struct jnl_verify_report report;

	assert_ok(jnl_verify(&config, &report, NULL));
	assert_int_equal(report.findings, 0);
}

static struct jnl_retained
retain(const struct jnl_retention *how)
{
	struct jnl_retained report;

	assert_ok(jnl_retain(rig.journal, how, &report, NULL));
	return report;
}

static struct jnl_retained
retain_hours(uint64_t hours)
{
	return retain(&(struct jnl_retention){.age_ns = hours * HOUR_NS});
}

static void
what_is_old_goes_and_what_is_younger_stays(void **state)
{
	(void)state;
	fill(1);
	hours_pass(10);
	fill(1);
	hours_pass(10);
	fill(1);
	hours_pass(1);
	fill(1);
	assert_int_equal(retain_hours(24).files, 0);
	assert_int_equal(retain_hours(0).files, 0); /* no limit */
	struct jnl_retained r = retain_hours(15);
	assert_int_equal(r.files, 1);
	assert_int_equal(r.bytes, FILE_BYTES);
	assert_false(journal_rig_has(&rig, 1, "slj"));
	assert_true(journal_rig_has(&rig, 2, "slj"));
	assert_true(r.kept_files >= 2);
	assert_int_equal(retain_hours(15).files, 0);
	expect_nothing_found(); /* though an epoch was cut in two */
	/* Numbers go on. */
	assert_int_equal(jnl_lane_next_sequence(jnl_lane(rig.journal, 0), 1, 0), 4 * PER_FILE);
}

static void
a_file_that_holds_one_young_record_stays(void **state)
{
	(void)state;
	journal_rig_append(&rig, 1, 50, rig.wall_ns);
	hours_pass(20);
	journal_rig_append(&rig, 1, 1, rig.wall_ns);
	journal_rig_append(&rig, 1, 50, start_ns); /* late, and old */
	fill(1);
	fill(1);
	hours_pass(10);
	assert_int_equal(retain_hours(24).files, 0);
	hours_pass(14);
	assert_int_equal(retain_hours(24).files, 0); /* exactly as old is not older */
	rig.mono_ns++;
	rig.wall_ns++;
	assert_true(retain_hours(24).files >= 1);
	assert_false(journal_rig_has(&rig, 1, "slj"));
}

static uint64_t
age_of(void *arg, uint64_t stream_id)
{
	(void)arg;
	return stream_id == 2 ? 0 : HOUR_NS; /* stream 2 never expires */
}

static void
every_stream_of_a_file_must_have_expired(void **state)
{
	(void)state;
	const struct jnl_retention how = {.stream_age_ns = age_of};

	fill(1);
	fill(1);
	journal_rig_append(&rig, 2, 1, rig.wall_ns);
	fill(1);
	fill(1);
	hours_pass(100);
	struct jnl_retained r = retain(&how);
	assert_true(r.files >= 1);
	/* The file with stream 2 stays, and all behind it: the chain has no hole. */
	assert_true(r.kept_files >= 2);
	assert_int_equal(retain(&how).files, 0);
}

static void
bytes_are_held_by_deleting_the_oldest(void **state)
{
	(void)state;
	const struct jnl_retention how = {.bytes = 2 * FILE_BYTES};

	for (unsigned i = 0; i < 6; i++)
		fill(1);
	struct jnl_retained r = retain(&how);
	assert_true(r.files >= 2);
	assert_int_equal(r.kept_bytes, 2 * FILE_BYTES);
	assert_false(journal_rig_has(&rig, 1, "slj"));
	assert_int_equal(retain(&how).files, 0);
	/* However little is allowed: the last closed file and the open one stay. */
	r = retain(&(struct jnl_retention){.bytes = 1});
	assert_int_equal(r.kept_files, 1);
	journal_rig_close(&rig, false);
	journal_rig_open(&rig);
	assert_int_equal(jnl_lane_next_sequence(jnl_lane(rig.journal, 0), 1, 0), 6 * PER_FILE);
}

static void
a_clock_that_jumps_ahead_deletes_nothing(void **state)
{
	(void)state;
	fill(1);
	fill(1);
	fill(1);
	rig.wall_ns += 10000 * HOUR_NS;
	assert_int_equal(retain_hours(24).files, 0);
	rig.mono_ns += 30 * HOUR_NS;
	assert_true(retain_hours(24).files > 0);
}

static struct jnl_reader *
reader(void)
{
	const struct jnl_reader_config config = {
		.dir = rig.dir, .any_stream = true, .any_shard = true};
	struct jnl_reader *r = NULL;

	assert_ok(jnl_reader_new(&config, &r, NULL));
	return r;
}

static void
a_reader_whose_file_goes_is_told_and_goes_on_at_the_horizon(void **state)
{
	(void)state;
	struct slk_error err = {0};
	struct jnl_block b;

	for (unsigned i = 0; i < 6; i++)
		fill(1);
	struct jnl_reader *r = reader();
	assert_ok(jnl_reader_next(r, &b, NULL));
	assert_int_equal(b.file_id, 1);
	struct jnl_retained t = retain(&(struct jnl_retention){.bytes = 2 * FILE_BYTES});
	assert_true(t.files >= 3);
	fill(1); /* the file's bytes may be another's by now */
	fill(1);
	uint64_t next = b.first_sequence + 1;
	int rc;
	while ((rc = jnl_reader_next(r, &b, &err)) ==
		SLK_OK) /* what was read ahead may still come */
		assert_int_equal(b.first_sequence, next++);
	assert_int_equal(rc, SLK_TRIMMED);
	assert_non_null(strstr(err.text, "trimmed"));
	assert_ok(jnl_reader_next(r, &b, &err));
	assert_true(b.first_sequence > next);
	for (next = b.first_sequence + 1; (rc = jnl_reader_next(r, &b, &err)) == SLK_OK; next++)
		assert_int_equal(b.first_sequence, next);
	assert_int_equal(rc, SLK_AGAIN);
	assert_int_equal(next, 8 * PER_FILE);
	jnl_reader_free(r);
	/* Who begins at the horizon is told nothing. */
	r = reader();
	assert_ok(jnl_reader_next(r, &b, NULL));
	assert_true(b.first_sequence > 0);
	jnl_reader_free(r);
}

static void
a_reader_that_follows_closely_misses_nothing(void **state)
{
	(void)state;
	struct jnl_block b;
	uint64_t next = 0;
	int rc;

	struct jnl_reader *r = reader();
	for (unsigned i = 0; i < 8; i++) {
		fill(1);
		while ((rc = jnl_reader_next(r, &b, NULL)) == SLK_OK)
			assert_int_equal(b.first_sequence, next++);
		assert_int_equal(rc, SLK_AGAIN);
		(void)retain(&(struct jnl_retention){.bytes = FILE_BYTES});
	}
	assert_int_equal(next, 8 * PER_FILE);
	jnl_reader_free(r);
}

/* --- while a new file is being filled --- */

static pthread_t sweeper;
static _Atomic unsigned fills, deleted;
static _Atomic bool sweep_at_next_fill, sweeping;
static struct jnl_retained swept;

static void *
sweep(void *arg)
{
	(void)arg;
	const uint64_t bytes = retain_hours(0).kept_bytes;
	swept = retain(&(struct jnl_retention){.bytes = bytes - FILE_BYTES});
	return NULL;
}

/* A sweep that would delete a file has the time for it; one that waits for the file to be filled waits on. */
static int
pwrite_and_sweep(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};

	if (len == FILE_BYTES) {
		fills++;
		if (atomic_exchange(&sweep_at_next_fill, false)) {
			assert_int_equal(pthread_create(&sweeper, NULL, sweep, NULL), 0);
			sweeping = true;
			for (unsigned i = 0; i < 20 && deleted == 0; i++)
				nanosleep(&pause, NULL);
		}
	}
	return slk_fs_posix()->pwrite(ctx, fd, buf, len, pos);
}

static int
count_unlink(void *ctx, const char *path)
{
	if (strstr(path, ".slj") != NULL)
		deleted++;
	return slk_fs_posix()->unlink(ctx, path);
}

static void
a_file_goes_to_the_next_lane_file_though_one_is_being_filled(void **state)
{
	(void)state;
	struct slk_fs fs = *slk_fs_posix();

	fs.pwrite = pwrite_and_sweep;
	fs.unlink = count_unlink;
	journal_rig_close(&rig, true);
	rig.fs = &fs;
	journal_rig_open(&rig);
	for (unsigned i = 0; i < 3; i++)
		fill(1);
	fills = deleted = 0;
	sweep_at_next_fill = true;
	fill(1);
	assert_true(sweeping);
	assert_int_equal(pthread_join(sweeper, NULL), 0);
	assert_int_equal(fills, 1);
	assert_int_equal(swept.files, 1);
	assert_int_equal(deleted, 0); /* it is wanted as a spare */
	/* From now on none is filled: each roll takes what the sweep before it gave. */
	for (unsigned i = 0; i < 4; i++) {
		fill(1);
		(void)retain(&(struct jnl_retention){.bytes = 2 * FILE_BYTES});
	}
	assert_int_equal(fills, 1);
	expect_nothing_found();
	journal_rig_close(&rig, true);
	rig.fs = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(what_is_old_goes_and_what_is_younger_stays),
		TEST(a_file_that_holds_one_young_record_stays),
		TEST(every_stream_of_a_file_must_have_expired),
		TEST(bytes_are_held_by_deleting_the_oldest),
		TEST(a_clock_that_jumps_ahead_deletes_nothing),
		TEST(a_reader_whose_file_goes_is_told_and_goes_on_at_the_horizon),
		TEST(a_reader_that_follows_closely_misses_nothing),
		TEST(a_file_goes_to_the_next_lane_file_though_one_is_being_filled),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
