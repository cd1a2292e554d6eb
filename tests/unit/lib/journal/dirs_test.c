/* A journal in several directories: lanes are spread over them, and where a disk fails they go on in another. Every record that was
 * acknowledged is there, once and in order, for readers beside the writer, after it, and after a restart. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/dirlist.h"
#include "journal/dirs.h"
#include "journal/inspect.h"
#include "journal/journal.h"
#include "journal/latest.h"
#include "journal/reader.h"
#include "journal/scan.h"
#include "tempdir.h"

#define FDS 4096
#define LANES 2u
#define DATA_BYTES 6000u
#define RECORDS 200u /* of each lane: a file and more */

/* --- disks of which one fails --- */

static struct {
	struct slk_fs fs;
	char dirs[3][256];
	unsigned char dir_of[FDS]; /* index + 1 of an open descriptor */
	unsigned bad; /* directory whose calls count */
	uint64_t calls, fail_at; /* 0: never */
	bool for_ever, reads_too, space_is_short;
	int status;
	uint64_t failed;
} disk;

static unsigned
dir_of_path(const char *path)
{
	for (unsigned i = 0; i < 3; i++) {
		size_t len = strlen(disk.dirs[i]);
		if (len > 0 && strncmp(path, disk.dirs[i], len) == 0 &&
			(path[len] == '/' || path[len] == '\0'))
			return i;
	}
	fail_msg("a path of nowhere: %s", path);
	return 0;
}

static int
fault(unsigned dir)
{
	if (dir != disk.bad || disk.fail_at == 0)
		return SLK_OK;
	disk.calls++;
	if (disk.calls != disk.fail_at && !(disk.for_ever && disk.calls > disk.fail_at))
		return SLK_OK;
	disk.failed++;
	return disk.status;
}

static int
fault_fd(int fd)
{
	return fault(disk.dir_of[fd] - 1u);
}

#define UNDER slk_fs_posix()

static int
t_open(void *ctx, const char *path, int flags, unsigned mode, int *out_fd)
{
	(void)ctx;
	unsigned dir = dir_of_path(path);
	int rc = (flags & SLK_OPEN_WRITE) != 0 || disk.reads_too ? fault(dir) : SLK_OK;
	if (rc == SLK_OK)
		/* Reading past the cache would wait for the real disk. */
		rc = UNDER->open(UNDER->ctx, path, flags & ~SLK_OPEN_DIRECT, mode, out_fd);
	if (rc == SLK_OK) {
		assert_true(*out_fd < FDS);
		disk.dir_of[*out_fd] = (unsigned char)(dir + 1);
	}
	return rc;
}

static int
t_close(void *ctx, int fd)
{
	(void)ctx;
	assert_true(disk.dir_of[fd] != 0); /* once each */
	disk.dir_of[fd] = 0;
	return UNDER->close(UNDER->ctx, fd);
}

static int
t_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	(void)ctx;
	int rc = disk.reads_too ? fault_fd(fd) : SLK_OK;
	return rc == SLK_OK ? UNDER->pread(UNDER->ctx, fd, buf, len, pos, out_len) : rc;
}

/* A write that fails may have written some of it. */
static int
t_pwrite(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	(void)ctx;
	int rc = fault_fd(fd);
	if (rc != SLK_OK)
		len = len / 2 / 4096 * 4096;
	int wrote = UNDER->pwrite(UNDER->ctx, fd, buf, len, pos);
	return rc == SLK_OK ? wrote : rc;
}

static int
t_sync(void *ctx, int fd)
{
	(void)ctx;
	return fault_fd(fd); /* what is written is there for this test: no power is cut */
}

static int
t_truncate(void *ctx, int fd, uint64_t len)
{
	(void)ctx;
	int rc = fault_fd(fd);
	return rc == SLK_OK ? UNDER->truncate(UNDER->ctx, fd, len) : rc;
}

static int
t_size(void *ctx, int fd, uint64_t *out_len)
{
	(void)ctx;
	return UNDER->size(UNDER->ctx, fd, out_len);
}

static int
t_rename(void *ctx, const char *from, const char *to)
{
	(void)ctx;
	int rc = fault(dir_of_path(from));
	return rc == SLK_OK ? UNDER->rename(UNDER->ctx, from, to) : rc;
}

static int
t_unlink(void *ctx, const char *path)
{
	(void)ctx;
	int rc = fault(dir_of_path(path));
	return rc == SLK_OK ? UNDER->unlink(UNDER->ctx, path) : rc;
}

static int
t_sync_dir(void *ctx, const char *path)
{
	(void)ctx;
	return fault(dir_of_path(path));
}

static int
t_list(void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	(void)ctx;
	int rc = disk.reads_too ? fault(dir_of_path(path)) : SLK_OK;
	return rc == SLK_OK ? UNDER->list(UNDER->ctx, path, each, arg) : rc;
}

static int
t_space(void *ctx, const char *path, uint64_t *out_bytes)
{
	(void)ctx;
	*out_bytes = disk.space_is_short && dir_of_path(path) == disk.bad ? 4096 : 1ull << 40;
	return SLK_OK;
}

static void
init_disk(void)
{
	memset(&disk, 0, sizeof(disk));
	disk.fs = *UNDER;
	disk.fs.open = t_open;
	disk.fs.close = t_close;
	disk.fs.pread = t_pread;
	disk.fs.pwrite = t_pwrite;
	disk.fs.datasync = disk.fs.sync = t_sync;
	disk.fs.truncate = t_truncate;
	disk.fs.size = t_size;
	disk.fs.rename = t_rename;
	disk.fs.unlink = t_unlink;
	disk.fs.sync_dir = t_sync_dir;
	disk.fs.list = t_list;
	disk.fs.space = t_space;
	disk.status = SLK_IO;
	for (unsigned i = 0; i < 3; i++)
		tempdir_make(disk.dirs[i], sizeof(disk.dirs[i]));
}

/* --- a journal --- */

static struct {
	struct jnl *journal;
	struct seal_thread *seal;
	struct slk_secret *data_key;
	struct seal_epoch *epochs[LANES];
	uint64_t appended[LANES]; /* records: their numbers are 0.. */
	uint64_t lsns[LANES][2 * RECORDS];
	unsigned told; /* of failed directories */
	char told_dir[256];
	struct jnl_reader *tail; /* beside the writer */
	uint64_t read[LANES];
} world;

static void
dir_failed(void *arg, const char *dir, int status)
{
	(void)arg;
	assert_true(status < 0);
	world.told++;
	snprintf(world.told_dir, sizeof(world.told_dir), "%s", dir);
}

static int
try_open(unsigned from, unsigned dirs, struct slk_error *err)
{
	const char *more[2] = {disk.dirs[(from + 1) % 3], disk.dirs[(from + 2) % 3]};
	const struct jnl_config config = {.dir = disk.dirs[from],
		.more_dirs = more,
		.more_count = dirs - 1,
		.dir_failed = dir_failed,
		.lane_count = LANES,
		.file_bytes = 1u << 20,
		.group_bytes = 64 * 1024,
		.group_count = 4,
		.reserve_bytes = 1,
		.fs = &disk.fs,
		.io = "sync"};

	return jnl_open(&config, &world.journal, NULL, err);
}

static void
begin_epoch(unsigned lane)
{
	struct fmt_context *context = NULL;

	assert_ok(fmt_context_for_stream("arn:aws:kinesis:local:000000000000:stream/s", &context));
	const struct jnl_epoch_params params = {.stream_id = 1,
		.stream_arn = "arn:aws:kinesis:local:000000000000:stream/s",
		.key_arn = "arn:key",
		.context = context,
		.wrapped = slk_span("wrapped", 7),
		.data_key = world.data_key};
	assert_ok(jnl_lane_epoch_begin(
		jnl_lane(world.journal, lane), world.seal, &params, &world.epochs[lane]));
	fmt_context_free(context);
}

static void
open_journal(unsigned from, unsigned dirs)
{
	struct slk_error err = {0};

	if (try_open(from, dirs, &err) != SLK_OK)
		fail_msg("%s", err.text);
	memset(world.lsns, 0, sizeof(world.lsns)); /* they are of an opening */
	for (unsigned lane = 0; lane < LANES; lane++)
		begin_epoch(lane);
}

static void
turn(unsigned lane)
{
	int rc = jnl_lane_turn(jnl_lane(world.journal, lane));
	assert_true(rc >= 0 || rc == SLK_END);
	rc = jnl_lane_move(jnl_lane(world.journal, lane));
	assert_true(rc == SLK_OK || rc == SLK_AGAIN);
}

static void
append(unsigned lane)
{
	uint8_t data[DATA_BYTES];
	struct jnl_append done;
	int rc;

	memset(data, 0, sizeof(data));
	slk_put_le64(data, world.appended[lane]);
	const struct fmt_record r = {
		.data = slk_span(data, sizeof(data)), .arrival_ns = 1000, .source = FMT_SOURCE_PUT};
	for (unsigned i = 0; (rc = jnl_lane_append(jnl_lane(world.journal, lane), world.seal,
				      world.epochs[lane], lane, &r, 1, &done)) == SLK_AGAIN;
		i++) {
		assert_true(i < 1000);
		turn(lane);
	}
	assert_ok(rc);
	assert_int_equal(done.first_sequence, world.appended[lane]);
	world.lsns[lane][world.appended[lane]++] = done.lsn;
}

static uint64_t
acknowledged(unsigned lane)
{
	uint64_t durable = jnl_lane_durable(jnl_lane(world.journal, lane)), n = 0;

	while (n < world.appended[lane] && world.lsns[lane][n] <= durable)
		n++;
	return n;
}

static void
settle(unsigned lane)
{
	struct jnl_lane *l = jnl_lane(world.journal, lane);

	assert_ok(jnl_lane_submit(l));
	for (unsigned i = 0; acknowledged(lane) < world.appended[lane]; i++) {
		assert_true(i < 1000);
		turn(lane);
	}
}

static void
close_journal(bool cleanly)
{
	for (unsigned lane = 0; lane < LANES && cleanly; lane++) {
		struct jnl_lane *l = jnl_lane(world.journal, lane);
		int rc;
		while ((rc = jnl_lane_close(l)) == SLK_AGAIN)
			turn(lane);
		assert_ok(rc);
		while ((rc = jnl_lane_turn(l)) >= 0) {
			rc = jnl_lane_move(l);
			assert_true(rc == SLK_OK || rc == SLK_AGAIN);
		}
		assert_int_equal(rc, SLK_END);
	}
	jnl_close(world.journal);
	world.journal = NULL;
}

/* --- what readers see --- */

static void
check_block(const struct jnl_block *b, struct jnl_reader *r, uint64_t next[LANES])
{
	struct jnl_epoch_info info;
	struct jnl_epoch_key *key = NULL;
	static uint8_t plain[1u << 20];

	assert_true(b->shard < LANES);
	if (b->first_sequence != next[b->shard])
		print_message("with the fault at call %llu: shard %u, file %llu at %llu\n",
			(unsigned long long)disk.fail_at, b->shard, (unsigned long long)b->file_id,
			(unsigned long long)b->position);
	if (b->first_sequence != next[b->shard] && getenv("LANES_STOP") != NULL)
		_exit(1);
	assert_int_equal(b->first_sequence, next[b->shard]);
	next[b->shard] += b->record_count;
	assert_ok(jnl_reader_epoch(r, b->epoch_id, &info));
	assert_ok(jnl_epoch_key_new(world.seal, &info, world.data_key, &key));
	assert_ok(jnl_block_open(world.seal, key, b, plain, sizeof(plain)));
	assert_int_equal(slk_get_le64(plain + FMT_RECORD_ENTRY_BYTES), b->first_sequence);
	jnl_epoch_key_free(key);
}

static struct jnl_reader *
new_reader(const char *dir)
{
	const struct jnl_reader_config config = {.dir = dir,
		.any_stream = true,
		.any_shard = true,
		.from = JNL_FROM_TRIM_HORIZON,
		.fs = &disk.fs};
	struct jnl_reader *r = NULL;
	struct slk_error err = {0};

	if (jnl_reader_new(&config, &r, &err) != SLK_OK)
		fail_msg("%s", err.text);
	return r;
}

/* Up to the tail. */
static void
follow(struct jnl_reader *r, uint64_t next[LANES])
{
	struct jnl_block b;
	struct slk_error err = {0};
	int rc;

	while ((rc = jnl_reader_next(r, &b, &err)) == SLK_OK)
		check_block(&b, r, next);
	if (rc != SLK_AGAIN)
		fail_msg("%d %s", rc, err.text);
}

static void
read_all(const char *dir, uint64_t next[LANES])
{
	struct jnl_reader *r = new_reader(dir);

	memset(next, 0, LANES * sizeof(*next));
	follow(r, next);
	jnl_reader_free(r);
}

static void
show(void *arg, const struct jnl_finding *f)
{
	(void)arg;
	print_message("%s at %llu: %s\n", f->name, (unsigned long long)f->offset, f->sentence);
}

static void
verify(const char *dir, uint64_t findings)
{
	const struct jnl_verify_config config = {.dir = dir, .fs = &disk.fs, .finding = show};
	struct jnl_verify_report report;

	assert_ok(jnl_verify(&config, &report, NULL));
	if (report.findings != findings)
		print_message("with the fault at call %llu\n", (unsigned long long)disk.fail_at);
	assert_int_equal(report.findings, findings);
}

static int
setup(void **state)
{
	(void)state;
	init_disk();
	memset(&world, 0, sizeof(world));
	assert_ok(seal_thread_new("openssl", &world.seal, NULL));
	assert_ok(slk_secret_from("0123456789abcdef0123456789abcdef", 32, &world.data_key));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	jnl_reader_free(world.tail);
	world.tail = NULL;
	jnl_close(world.journal);
	seal_thread_free(world.seal);
	slk_secret_free(world.data_key);
	for (unsigned i = 0; i < 3; i++)
		tempdir_remove(disk.dirs[i]);
	return 0;
}

static unsigned
files_in(unsigned dir)
{
	uint64_t *ids = NULL;
	size_t count = 0;

	assert_ok(jnl_scan_list(slk_fs_posix(), disk.dirs[dir], FMT_JFILE_LANE, &ids, &count));
	free(ids);
	return (unsigned)count;
}

/* --- tests --- */

static void
lanes_are_spread_and_any_directory_shows_all(void **state)
{
	(void)state;
	uint64_t next[LANES];
	struct jnl_dir_info info;

	open_journal(0, 2);
	for (unsigned i = 0; i < RECORDS; i++)
		for (unsigned lane = 0; lane < LANES; lane++)
			append(lane);
	for (unsigned lane = 0; lane < LANES; lane++)
		settle(lane);
	for (unsigned d = 0; d < 2; d++) {
		jnl_dir_info(world.journal, d, &info);
		assert_int_equal(info.lanes, 1);
		assert_false(info.failed);
		read_all(disk.dirs[d], next);
		assert_int_equal(next[0], RECORDS);
		assert_int_equal(next[1], RECORDS);
		verify(disk.dirs[d], 0);
		assert_true(files_in(d) >= 2);
	}
	close_journal(true);
	assert_int_equal(world.told, 0);
}

/* One run with the fault at the n-th call; false: it was not met. */
static bool
run_with_fault(uint64_t n, bool for_ever, bool cleanly)
{
	uint64_t next[LANES], acked[LANES], latest = 0;

	setup(NULL);
	open_journal(0, 2);
	world.tail = new_reader(disk.dirs[1]);
	disk.bad = 0;
	disk.for_ever = for_ever;
	disk.fail_at = n;
	for (unsigned i = 0; i < RECORDS; i++) {
		for (unsigned lane = 0; lane < LANES; lane++) {
			append(lane);
			if (i % 5 == lane)
				assert_ok(jnl_lane_submit(jnl_lane(world.journal, lane)));
			if (i % 3 == 0)
				turn(lane);
		}
		if (i % 16 == 0)
			follow(world.tail, world.read);
	}
	for (unsigned lane = 0; lane < LANES; lane++) {
		assert_true(acknowledged(lane) > 0);
		if (cleanly)
			settle(lane);
		acked[lane] = acknowledged(lane);
	}
	bool hit = disk.failed > 0;
	assert_int_equal(world.told, hit ? 1 : 0);
	follow(world.tail, world.read);
	read_all(disk.dirs[1], next);
	for (unsigned lane = 0; lane < LANES; lane++) {
		assert_int_equal(next[lane], acked[lane]);
		assert_int_equal(world.read[lane], acked[lane]);
		assert_ok(jnl_shard_latest(disk.dirs[0], &disk.fs, 1, lane, &latest, NULL));
		assert_int_equal(latest, acked[lane]);
	}
	if (n % 8 == 1) /* its tables are large */
		verify(disk.dirs[0], 0);
	close_journal(cleanly);

	/* The disk is mended. */
	disk.fail_at = 0;
	struct slk_error err = {0};
	if (try_open(0, 2, &err) != SLK_OK)
		fail_msg("%s", err.text);
	read_all(disk.dirs[0], next);
	for (unsigned lane = 0; lane < LANES; lane++) {
		assert_true(next[lane] >= acked[lane]);
		assert_int_equal(
			jnl_lane_next_sequence(jnl_lane(world.journal, lane), 1, lane), next[lane]);
	}
	memset(world.lsns, 0, sizeof(world.lsns));
	for (unsigned lane = 0; lane < LANES; lane++) {
		begin_epoch(lane);
		world.appended[lane] = next[lane];
		append(lane);
		settle(lane);
	}
	follow(world.tail, world.read);
	for (unsigned lane = 0; lane < LANES; lane++)
		assert_int_equal(world.read[lane], world.appended[lane]);
	verify(disk.dirs[0], 0);
	close_journal(true);
	teardown(NULL);
	return hit;
}

static void
sweep(bool for_ever, bool cleanly)
{
	uint64_t n = 1;

	while (run_with_fault(n, for_ever, cleanly))
		n += n < 12 ? 1 : n / 3; /* later calls are all of the same kinds */
	assert_true(n > 50);
}

static void
a_disk_that_fails_for_ever_loses_nothing(void **state)
{
	(void)state;
	sweep(true, true);
}

static void
a_disk_that_failed_once_is_never_asked_again(void **state)
{
	(void)state;
	sweep(false, true);
}

static void
a_crash_after_the_failure_loses_nothing(void **state)
{
	(void)state;
	sweep(true, false);
}

/* It is no failure: files go where there is room, and come back. */
static void
a_full_directory_is_passed_over_until_there_is_room(void **state)
{
	(void)state;
	uint64_t next[LANES];

	open_journal(0, 2);
	disk.bad = 0;
	disk.space_is_short = true;
	for (unsigned i = 0; i < RECORDS; i++)
		append(0);
	settle(0);
	unsigned before = files_in(0);
	assert_true(files_in(1) > 2);
	disk.space_is_short = false;
	for (unsigned i = 0; i < RECORDS; i++)
		append(0);
	settle(0);
	assert_true(files_in(0) > before);
	assert_int_equal(world.told, 0);
	read_all(disk.dirs[1], next);
	assert_int_equal(next[0], 2 * RECORDS);
	verify(disk.dirs[0], 0);
	close_journal(true);
}

static void
the_last_directory_that_fails_ends_the_journal(void **state)
{
	(void)state;
	struct jnl_append done;
	const struct fmt_record r = {.data = slk_span("x", 1), .arrival_ns = 1000};

	open_journal(0, 1);
	append(0);
	settle(0);
	disk.bad = 0;
	disk.for_ever = true;
	disk.fail_at = 1;
	struct jnl_lane *l = jnl_lane(world.journal, 0);
	assert_ok(jnl_lane_append(l, world.seal, world.epochs[0], 0, &r, 1, &done));
	assert_ok(jnl_lane_submit(l));
	int rc;
	while ((rc = jnl_lane_turn(l)) >= 0)
		;
	assert_int_equal(rc, SLK_DISK_FAILED);
	assert_int_equal(jnl_lane_status(l), SLK_DISK_FAILED);
	assert_true(jnl_lane_durable(l) < done.lsn);
	assert_int_equal(world.told, 1);
}

static void
a_directory_is_added_and_taken_away(void **state)
{
	(void)state;
	uint64_t next[LANES];
	struct slk_error err = {0};
	char from[700], to[700], name[FMT_JFILE_NAME_MAX];

	open_journal(0, 1);
	append(1);
	settle(1);
	world.tail = new_reader(disk.dirs[0]);
	follow(world.tail, world.read);
	close_journal(true);
	open_journal(0, 2); /* added */
	append(1);
	settle(1);
	follow(world.tail, world.read); /* which knew of one only */
	assert_int_equal(world.read[1], 2);
	close_journal(true);
	assert_true(files_in(1) > 0);

	assert_int_equal(try_open(0, 1, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, disk.dirs[1]));
	uint64_t *ids = NULL;
	size_t count = 0;
	assert_ok(jnl_scan_list(slk_fs_posix(), disk.dirs[1], FMT_JFILE_LANE, &ids, &count));
	for (size_t i = 0; i < count; i++) {
		fmt_jfile_name(FMT_JFILE_LANE, ids[i], name);
		snprintf(from, sizeof(from), "%s/%s", disk.dirs[1], name);
		snprintf(to, sizeof(to), "%s/%s", disk.dirs[0], name);
		assert_int_equal(rename(from, to), 0);
	}
	free(ids);
	open_journal(0, 1); /* taken away */
	append(1);
	settle(1);
	follow(world.tail, world.read);
	assert_int_equal(world.read[1], 3);
	read_all(disk.dirs[0], next);
	assert_int_equal(next[1], 3);
	verify(disk.dirs[0], 0);
	close_journal(true);
}

/* Two journals are not made one by naming both. */
static void
a_directory_of_another_journal_is_refused(void **state)
{
	(void)state;
	struct slk_error err = {0};

	open_journal(0, 2);
	append(0);
	settle(0);
	close_journal(true);
	world.appended[0] = 0;
	open_journal(2, 1);
	append(0);
	settle(0);
	close_journal(true);
	assert_int_equal(try_open(0, 3, &err), SLK_CONFIG);
	assert_null(world.journal);
}

/* Everything had left it: the next start does without it. Before that it would be asked for. */
static void
a_start_does_without_a_directory_that_was_left(void **state)
{
	(void)state;
	struct slk_error err = {0};
	uint64_t next[LANES];

	open_journal(0, 2);
	for (unsigned lane = 0; lane < LANES; lane++) {
		append(lane);
		settle(lane);
	}
	disk.bad = 0;
	disk.reads_too = disk.for_ever = true;
	disk.fail_at = 1;
	close_journal(false);
	assert_int_not_equal(try_open(0, 2, &err), SLK_OK); /* lane 0's numbers are there */
	disk.fail_at = 0;
	open_journal(0, 2);
	for (unsigned lane = 0; lane < LANES; lane++) {
		append(lane);
		settle(lane);
	}
	disk.calls = 0;
	disk.fail_at = 1;
	for (unsigned lane = 0; lane < LANES; lane++) {
		append(lane);
		settle(lane);
	}
	close_journal(true);
	world.told = 0;
	open_journal(0, 2);
	assert_int_equal(world.told, 1);
	assert_string_equal(world.told_dir, disk.dirs[0]);
	for (unsigned lane = 0; lane < LANES; lane++) {
		append(lane);
		settle(lane);
	}
	close_journal(true);
	/* What it has is missing, and readers say so until it is back. */
	const struct jnl_reader_config config = {.dir = disk.dirs[1],
		.any_stream = true,
		.any_shard = true,
		.from = JNL_FROM_TRIM_HORIZON,
		.fs = &disk.fs};
	struct jnl_reader *r = NULL;
	assert_int_equal(jnl_reader_new(&config, &r, &err), SLK_IO);
	assert_non_null(strstr(err.text, disk.dirs[0]));
	disk.fail_at = 0;
	open_journal(0, 2);
	read_all(disk.dirs[1], next);
	assert_int_equal(next[0], 4);
	assert_int_equal(next[1], 4);
	verify(disk.dirs[1], 0);
	close_journal(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			lanes_are_spread_and_any_directory_shows_all, setup, teardown),
		cmocka_unit_test(a_disk_that_fails_for_ever_loses_nothing),
		cmocka_unit_test(a_disk_that_failed_once_is_never_asked_again),
		cmocka_unit_test(a_crash_after_the_failure_loses_nothing),
		cmocka_unit_test_setup_teardown(
			a_full_directory_is_passed_over_until_there_is_room, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_last_directory_that_fails_ends_the_journal, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_directory_is_added_and_taken_away, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_directory_of_another_journal_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_start_does_without_a_directory_that_was_left, setup, teardown),
	};
	return cmocka_run_group_tests_name("journal_dirs", tests, NULL, NULL);
}
