/* A journal in two directories: alike to the byte, acknowledged after both, and one that fails costs nothing. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faultfs.h"
#include "journal/inspect.h"
#include "journal/mirror.h"
#include "journal/scan.h"
#include "journal_rig.h"
#include "tempdir.h"

#define DATA_BLOCKS 260u /* two files and more */

static struct journal_rig rig;
static char second[256];
static struct faultfs faults[2];
static unsigned told[2];
static int told_status;
static struct jnl_mirror_report settled;
static unsigned differences;
static char last_difference[160];

static int
setup(void **state)
{
	(void)state;
	journal_rig_init(&rig);
	tempdir_make(second, sizeof(second));
	told[0] = told[1] = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	struct jnl_mirror *m = rig.mirror;

	journal_rig_fini(&rig);
	jnl_mirror_close(m);
	rig.mirror = NULL;
	tempdir_remove(second);
	return 0;
}

static void
side_failed(void *arg, unsigned side, int status)
{
	(void)arg;
	told[side]++;
	told_status = status;
}

static int
open_pair_as(enum jnl_mirror_policy policy, const struct slk_fs *a, const struct slk_fs *b,
	struct slk_error *err)
{
	const struct jnl_mirror_config config = {.dirs = {rig.dir, second},
		.policy = policy,
		.io = "sync",
		.fs = {a, b},
		.failed = side_failed};

	return jnl_mirror_open(&config, &rig.mirror, &settled, err);
}

static void
open_pair(enum jnl_mirror_policy policy)
{
	struct slk_error err = {0};

	if (open_pair_as(policy, NULL, NULL, &err) != SLK_OK)
		fail_msg("%s", err.text);
	journal_rig_open(&rig);
}

static void
close_pair(bool cleanly)
{
	journal_rig_close(&rig, cleanly);
	jnl_mirror_close(rig.mirror);
	rig.mirror = NULL;
}

static void
note_difference(void *arg, const char *name, uint64_t offset, const char *sentence)
{
	(void)arg;
	differences++;
	snprintf(last_difference, sizeof(last_difference), "%s at %llu: %s", name,
		(unsigned long long)offset, sentence);
}

static uint64_t
compare(void)
{
	const char *const dirs[2] = {rig.dir, second};
	uint64_t files = 0;

	differences = 0;
	assert_ok(jnl_mirror_compare(dirs, NULL, note_difference, NULL, &files, NULL));
	return files;
}

/* Records that a directory has by itself, all in order; it is verified with it. */
static uint64_t
records_in(const char *dir)
{
	const struct jnl_verify_config config = {.dir = dir};
	struct jnl_verify_report report;

	assert_ok(jnl_verify(&config, &report, NULL));
	assert_int_equal(report.findings, 0);
	return report.records;
}

static void
both_directories_are_a_whole_journal(void **state)
{
	(void)state;
	open_pair(JNL_MIRROR_STOP);
	journal_rig_append(&rig, 1, DATA_BLOCKS, rig.wall_ns);
	assert_int_equal(records_in(rig.dir), DATA_BLOCKS); /* acknowledged: in both, now */
	assert_int_equal(records_in(second), DATA_BLOCKS);
	close_pair(true);
	assert_true(compare() >= 3);
	assert_int_equal(differences, 0);
	assert_int_equal(records_in(rig.dir), DATA_BLOCKS);
	assert_int_equal(records_in(second), DATA_BLOCKS);
	/* And once more, on both: numbers go on. */
	open_pair(JNL_MIRROR_STOP);
	assert_int_equal(settled.copied_files + settled.repaired_blocks, 0);
	journal_rig_append(&rig, 1, 5, rig.wall_ns);
	close_pair(true);
	assert_int_equal(records_in(second), DATA_BLOCKS + 5);
	assert_int_equal(told[0] + told[1], 0);
}

static void
a_second_directory_is_filled_from_the_first(void **state)
{
	(void)state;
	journal_rig_open(&rig);
	journal_rig_append(&rig, 2, DATA_BLOCKS, rig.wall_ns);
	journal_rig_close(&rig, false);
	open_pair(JNL_MIRROR_GO_ON);
	assert_true(settled.copied_files >= 3);
	journal_rig_append(&rig, 2, 3, rig.wall_ns);
	close_pair(true);
	compare();
	assert_int_equal(differences, 0);
	assert_int_equal(records_in(second), DATA_BLOCKS + 3);
}

/* One record at a time, until an error; how many were acknowledged. */
static uint64_t
append_until_it_fails(unsigned count)
{
	static const uint8_t data[3000];
	const struct fmt_record r = {
		.data = slk_span(data, sizeof(data)), .arrival_ns = 1, .source = FMT_SOURCE_PUT};
	struct jnl_lane *lane = jnl_lane(rig.journal, 0);
	uint64_t acked = 0;

	for (unsigned i = 0; i < count; i++) {
		struct jnl_append done;
		int rc;
		while ((rc = jnl_lane_append(lane, rig.seal, rig.epochs[1], 0, &r, 1, &done)) ==
			SLK_AGAIN)
			if (jnl_lane_turn(lane) < 0)
				return acked;
		if (rc != SLK_OK)
			return acked;
		(void)jnl_lane_submit(lane);
		for (unsigned turn = 0; turn < 8; turn++)
			if (jnl_lane_turn(lane) < 0)
				return acked;
		if (jnl_lane_durable(lane) < done.lsn)
			return acked;
		acked++;
	}
	return acked;
}

static void
a_failure_ends_the_pair_or_is_gone_on_from(void **state)
{
	(void)state;
	struct slk_error err = {0};

	for (unsigned side = 0; side < 2; side++) {
		for (unsigned policy = 0; policy < 2; policy++) {
			told[0] = told[1] = 0;
			faultfs_init(&faults[0], slk_fs_posix(), FAULTFS_SYNC, 0, false, SLK_IO);
			faultfs_init(&faults[1], slk_fs_posix(), FAULTFS_SYNC, 0, false, SLK_IO);
			assert_ok(open_pair_as((enum jnl_mirror_policy)policy, &faults[0].fs,
				&faults[1].fs, &err));
			journal_rig_open(&rig);
			assert_int_equal(append_until_it_fails(10), 10);
			faults[side].fail_at = faults[side].calls + 1;
			faults[side].for_ever = true;
			uint64_t after = append_until_it_fails(10);
			assert_int_equal(told[side], 1);
			assert_int_equal(told[1 - side], 0);
			assert_int_equal(told_status, SLK_IO);
			assert_int_equal(jnl_mirror_failed(rig.mirror), 1u << side);
			if (policy == JNL_MIRROR_STOP) {
				assert_int_equal(after, 0);
				assert_int_equal(
					jnl_lane_status(jnl_lane(rig.journal, 0)), SLK_DISK_FAILED);
			} else {
				assert_int_equal(after, 10);
			}
			close_pair(false);
			/* With both disks well again, both have all that was acknowledged. */
			open_pair(JNL_MIRROR_STOP);
			close_pair(true);
			compare();
			if (differences > 0)
				fail_msg("%s", last_difference);
			assert_true(records_in(rig.dir) >= 10 + after);
			assert_int_equal(records_in(rig.dir), records_in(second));
			journal_rig_fini(&rig);
			tempdir_remove(second);
			journal_rig_init(&rig);
			tempdir_make(second, sizeof(second));
		}
	}
}

/* The n-th call on one side fails, once or from then on: nothing that was acknowledged is lost, in either, ever. */
static void
no_failing_call_loses_anything(void **state)
{
	(void)state;
	const struct slk_fs *quick = journal_rig_quick_fs(); /* there are thousands of calls */

	for (unsigned round = 0; round < 4; round++) {
		const unsigned side = round & 1;
		for (uint64_t nth = 1;;
			nth += 1 + nth / (getenv("SLK_TEST_LONG") != NULL ? 20 : 3)) {
			struct slk_error err = {0};
			uint64_t acked = 0;
			for (unsigned i = 0; i < 2; i++)
				faultfs_init(&faults[i], quick, FAULTFS_ALL, i == side ? nth : 0,
					round >= 2, SLK_IO);
			int rc = open_pair_as(JNL_MIRROR_GO_ON, &faults[0].fs, &faults[1].fs, &err);
			if (rc == SLK_OK) {
				journal_rig_open(&rig);
				acked = append_until_it_fails(20);
				journal_rig_close(&rig, false);
				jnl_mirror_close(rig.mirror);
				rig.mirror = NULL;
				assert_int_equal(acked, 20);
				/* The one that lives has them all, before anybody mends anything. */
				assert_true(records_in(faultfs_hit(&faults[0]) ? second
									       : rig.dir) >= acked);
			}
			const bool hit = faultfs_hit(&faults[side]);
			assert_ok(open_pair_as(JNL_MIRROR_STOP, quick, quick, &err));
			journal_rig_open(&rig);
			close_pair(true);
			compare();
			if (differences > 0)
				fail_msg("side %u, call %llu: %s", side, (unsigned long long)nth,
					last_difference);
			assert_true(records_in(rig.dir) >= acked);
			assert_int_equal(records_in(rig.dir), records_in(second));
			journal_rig_fini(&rig);
			tempdir_remove(second);
			journal_rig_init(&rig);
			tempdir_make(second, sizeof(second));
			if (!hit)
				break;
		}
	}
}

static void
flip(const char *dir, uint64_t id, uint64_t offset)
{
	char path[400];
	uint8_t byte;

	snprintf(path, sizeof(path), "%s/%020llu.slj", dir, (unsigned long long)id);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
}

/* After a crash: what is bad in one is good in the other, and recovery loses nothing. */
static void
what_one_lacks_the_other_gives(void **state)
{
	(void)state;
	struct jnl_recovery found;
	struct slk_error err = {0};
	struct jnl *j = NULL;

	open_pair(JNL_MIRROR_STOP);
	journal_rig_append(&rig, 1, 60, rig.wall_ns);
	const uint64_t id = 1;
	close_pair(false);
	flip(rig.dir, id, 100000);
	flip(rig.dir, id, 300000);
	flip(second, id, 200000);
	assert_ok(open_pair_as(JNL_MIRROR_STOP, NULL, NULL, &err));
	assert_int_equal(settled.repaired_blocks, 3);
	const struct jnl_config config = {.dir = rig.dir,
		.lane_count = 1,
		.file_bytes = 1u << 20,
		.group_bytes = 128 * 1024,
		.reserve_bytes = 1,
		.fs = jnl_mirror_fs(rig.mirror),
		.sim_io = jnl_mirror_io(rig.mirror)};
	assert_ok(jnl_open(&config, &j, &found, &err));
	assert_int_equal(found.corrupt_blocks, 0);
	jnl_close(j);
	jnl_mirror_close(rig.mirror);
	rig.mirror = NULL;
	assert_int_equal(records_in(rig.dir), 60);
	assert_int_equal(records_in(second), 60);
}

static void
differences_are_found(void **state)
{
	(void)state;
	char path[400];

	open_pair(JNL_MIRROR_STOP);
	journal_rig_append(&rig, 1, DATA_BLOCKS, rig.wall_ns);
	close_pair(true);
	flip(second, 2, 50001);
	compare();
	assert_int_equal(differences, 1);
	assert_non_null(strstr(last_difference, "00000000000000000002.slj at 50001: "));
	snprintf(path, sizeof(path), "%s/%020u.slj", rig.dir, 1u);
	assert_int_equal(unlink(path), 0);
	compare();
	assert_int_equal(differences, 2);
}

static void
only_two_halves_of_one_journal_are_a_pair(void **state)
{
	(void)state;
	struct slk_error err = {0};
	char first[256];

	strcpy(first, rig.dir);
	journal_rig_open(&rig);
	journal_rig_append(&rig, 1, 5, rig.wall_ns);
	journal_rig_close(&rig, true);
	strcpy(rig.dir, second);
	journal_rig_open(&rig);
	journal_rig_append(&rig, 1, 5, rig.wall_ns);
	journal_rig_close(&rig, true);
	strcpy(rig.dir, first);
	assert_int_equal(open_pair_as(JNL_MIRROR_STOP, NULL, NULL, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, "of two journals"));
	const struct jnl_mirror_config same = {.dirs = {rig.dir, rig.dir}};
	assert_int_equal(jnl_mirror_open(&same, &rig.mirror, NULL, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, "are one directory"));
	/* One writer at a time. */
	journal_rig_open(&rig);
	assert_int_equal(open_pair_as(JNL_MIRROR_STOP, NULL, NULL, &err), SLK_EXISTS);
	journal_rig_close(&rig, true);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(both_directories_are_a_whole_journal),
		T(a_second_directory_is_filled_from_the_first),
		T(a_failure_ends_the_pair_or_is_gone_on_from),
		T(no_failing_call_loses_anything),
		T(what_one_lacks_the_other_gives),
		T(differences_are_found),
		T(only_two_halves_of_one_journal_are_a_pair),
	};

	if (access("/dev/shm", W_OK) ==
		0) /* hundreds of journals are written; no disk needs to see them */
		(void)setenv("TMPDIR", "/dev/shm", 0);
	return cmocka_run_group_tests_name("journal_mirror", tests, NULL, NULL);
}
