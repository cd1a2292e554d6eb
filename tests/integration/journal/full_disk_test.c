/* A real file system without room: appends are refused with their own answer, what was taken is acknowledged and closed, and the
 * lane goes on by itself when there is room again. */
#include "slk_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "journal/inspect.h"
#include "journal/journal.h"
#include "loopfs.h"

#define MIB (1u << 20)
#define RECORD_BYTES 60000u
#define APPENDS_MAX 4000u

static struct loopfs disk;
static char dir[300], junk[300];
static struct seal_thread *seal;
static struct jnl *journal;
static struct jnl_lane *lane;
static struct seal_epoch *epoch;
static pthread_t thread;
static int lane_result;

static void *
lane_main(void *arg)
{
	(void)arg;
	lane_result = jnl_lane_run(lane);
	return NULL;
}

static void
open_journal(void)
{
	const struct jnl_config config = {.dir = dir,
		.lane_count = 1,
		.file_bytes = MIB,
		.group_bytes = 128 * 1024,
		.reserve_bytes = 4 * MIB,
		.direct = true};
	struct fmt_context *context = NULL;
	struct slk_secret *key = NULL;

	assert_ok(jnl_open(&config, &journal, NULL, NULL));
	lane = jnl_lane(journal, 0);
	assert_ok(fmt_context_for_stream("arn:stream", &context));
	assert_ok(slk_secret_from("0123456789abcdef0123456789abcdef", 32, &key));
	const struct jnl_epoch_params params = {.stream_id = 1,
		.stream_arn = "arn:stream",
		.key_arn = "arn:key",
		.context = context,
		.wrapped = slk_span("wrapped", 7),
		.data_key = key};
	assert_ok(jnl_lane_epoch_begin(lane, seal, &params, &epoch));
	slk_secret_free(key);
	fmt_context_free(context);
	assert_int_equal(pthread_create(&thread, NULL, lane_main, NULL), 0);
}

static void
nap(void)
{
	const struct timespec pause = {.tv_nsec = 1000 * 1000};

	nanosleep(&pause, NULL);
}

/* One record; waits while the answer is "not now". *out_acked: it is durable. */
static int
append(bool *out_acked)
{
	static const uint8_t data[RECORD_BYTES];
	const struct fmt_record r = {
		.data = slk_span(data, sizeof(data)), .arrival_ns = 1, .source = FMT_SOURCE_PUT};
	struct jnl_append done;
	int rc;

	*out_acked = false;
	while ((rc = jnl_lane_append(lane, seal, epoch, 0, &r, 1, &done)) == SLK_AGAIN)
		nap();
	if (rc != SLK_OK)
		return rc;
	(void)jnl_lane_submit(lane);
	while (jnl_lane_durable(lane) < done.lsn && jnl_lane_status(lane) != SLK_DISK_FAILED)
		nap();
	*out_acked = jnl_lane_durable(lane) >= done.lsn;
	return SLK_OK;
}

static uint64_t
append_until_full(void)
{
	uint64_t acked = 0;

	for (unsigned i = 0; i < APPENDS_MAX; i++) {
		bool durable;
		int rc = append(&durable);
		if (rc == SLK_DISK_FULL)
			return acked;
		assert_ok(rc);
		assert_true(durable);
		acked++;
	}
	fail_msg("the disk does not fill up");
	return 0;
}

/* Somebody else fills the disk, reserve and all, to the last block. */
static void
fill_the_rest(void)
{
	static const uint8_t zeros[65536];
	int fd = open(junk, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	for (size_t len = sizeof(zeros); len >= 512; len /= 2)
		while (write(fd, zeros, len) > 0)
			;
	(void)fsync(fd);
	close(fd);
}

/* ext4 counts what was deleted as free once that is committed. */
static void
settle_disk(void)
{
	int fd = open(disk.dir, O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	assert_int_equal(syncfs(fd), 0);
	close(fd);
}

static void
verify(uint64_t records)
{
	const struct jnl_verify_config config = {.dir = dir};
	struct jnl_verify_report report;

	assert_ok(jnl_verify(&config, &report, NULL));
	assert_int_equal(report.findings, 0);
	assert_int_equal(report.records, records);
	assert_int_equal(report.files_unclosed, 0);
}

static void
close_journal(void)
{
	int rc;

	while ((rc = jnl_lane_close(lane)) == SLK_AGAIN)
		nap();
	assert_ok(rc);
	pthread_join(thread, NULL);
	assert_ok(lane_result);
	jnl_close(journal);
	journal = NULL;
}

static void
a_full_disk_is_said_and_closed_and_gone_on_from(void **state)
{
	(void)state;
	bool durable;

	open_journal();
	uint64_t acked = append_until_full();
	assert_true(acked > 100);
	assert_int_equal(jnl_lane_status(lane), SLK_DISK_FULL);
	assert_int_equal(append(&durable), SLK_DISK_FULL); /* and stays so */
	/* Room again: the lane finds out by itself. */
	fill_the_rest();
	assert_int_equal(append(&durable), SLK_DISK_FULL);
	assert_int_equal(unlink(junk), 0);
	for (unsigned id = 1; id <= 6; id++) {
		char path[400];
		snprintf(path, sizeof(path), "%s/%020u.slj", dir, id);
		assert_int_equal(unlink(path), 0);
	}
	settle_disk();
	for (unsigned i = 0; i < 5000 && jnl_lane_status(lane) == SLK_DISK_FULL; i++)
		nap();
	assert_ok(jnl_lane_status(lane));
	const uint64_t more = append_until_full();
	assert_true(more > 16);
	/* Not a byte is free: the end of the file has its place. */
	fill_the_rest();
	close_journal();
	const struct jnl_verify_config config = {.dir = dir};
	struct jnl_verify_report report;
	assert_ok(jnl_verify(&config, &report, NULL));
	assert_int_equal(report.findings, 0);
	assert_int_equal(report.files_unclosed, 0);
	assert_true(report.records >= more && report.records < acked + more);
	assert_int_equal(unlink(junk), 0);
}

static int
remove_spare(void *arg, const char *name)
{
	char path[600];

	(void)arg;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (strncmp(name, "spare-", 6) == 0)
		assert_int_equal(unlink(path), 0);
	return SLK_OK;
}

/* The same at a start: no room for a first file is a sentence, and not damage. */
static void
a_start_without_room_is_refused_and_harms_nothing(void **state)
{
	(void)state;
	const struct jnl_config config = {
		.dir = dir, .lane_count = 1, .file_bytes = MIB, .group_bytes = 128 * 1024};
	struct slk_error err = {0};
	bool durable;

	open_journal();
	for (unsigned i = 0; i < 20; i++) {
		assert_ok(append(&durable));
		assert_true(durable);
	}
	close_journal();
	assert_ok(slk_fs_posix()->list(NULL, dir, remove_spare, NULL)); /* it would do to begin */
	settle_disk();
	fill_the_rest();
	struct jnl *j = NULL;
	assert_int_equal(jnl_open(&config, &j, NULL, &err), SLK_DISK_FULL);
	assert_non_null(strstr(err.text, "no space left"));
	verify(20);
	assert_int_equal(unlink(junk), 0);
	settle_disk();
	open_journal();
	assert_ok(append(&durable));
	assert_true(durable);
	close_journal();
	verify(21);
}

static int
setup(void **state)
{
	(void)state;
	loopfs_make(&disk, "ext4", 32u * MIB);
	snprintf(dir, sizeof(dir), "%s/journal", disk.dir);
	snprintf(junk, sizeof(junk), "%s/junk", disk.dir);
	assert_ok(slk_fs_posix()->mkdir(NULL, dir, 0750));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	loopfs_remove(&disk);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_full_disk_is_said_and_closed_and_gone_on_from, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_start_without_room_is_refused_and_harms_nothing, setup, teardown),
	};

	if (loopfs_missing("ext4") != NULL) {
		printf("skipped: %s\n", loopfs_missing("ext4"));
		return 77;
	}
	if (seal_thread_new(NULL, &seal, NULL) != SLK_OK)
		return 1;
	int rc = cmocka_run_group_tests_name("journal_full_disk", tests, NULL, NULL);
	seal_thread_free(seal);
	return rc;
}
