/* The journal turned by hand: append, commit, roll, crash, recover, read. Keys are the test's own. */
#include "slk_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faultfs.h"
#include "format/block.h"
#include "format/jfile.h"
#include "journal/inspect.h"
#include "journal/journal.h"
#include "journal/reader.h"
#include "tempdir.h"

#define MIB (1u << 20)
#define ARN "arn:aws:kinesis:local:000000000000:stream/web"

static char dir[256];
static struct seal_thread *seal;
static struct slk_secret *data_key;
static struct fmt_context *context;

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	assert_ok(seal_thread_new(NULL, &seal, NULL));
	assert_ok(slk_secret_from("0123456789abcdef0123456789abcdef", 32, &data_key));
	assert_ok(fmt_context_for_stream(ARN, &context));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	seal_thread_free(seal);
	slk_secret_free(data_key);
	fmt_context_free(context);
	tempdir_remove(dir);
	return 0;
}

static struct jnl_config
config(void)
{
	return (struct jnl_config){.dir = dir,
		.lane_count = 1,
		.file_bytes = MIB,
		.group_bytes = 128 * 1024,
		.group_count = 4,
		.reserve_bytes = 1,
		.io = "sync"};
}

static struct jnl *
open_journal(struct jnl_recovery *report)
{
	struct jnl_config c = config();
	struct slk_error err = {0};
	struct jnl *j = NULL;

	int rc = jnl_open(&c, &j, report, &err);
	if (rc != SLK_OK)
		print_message("%s\n", err.text);
	assert_ok(rc);
	return j;
}

static struct seal_epoch *
begin_epoch(struct jnl_lane *lane)
{
	struct seal_epoch *epoch = NULL;
	struct jnl_epoch_params p = {.stream_id = 7,
		.stream_arn = ARN,
		.key_arn = "arn:key",
		.context = context,
		.wrapped = slk_span("wrapped", 7),
		.data_key = data_key};

	assert_ok(jnl_lane_epoch_begin(lane, seal, &p, &epoch));
	return epoch;
}

/* Turn until there is nothing to do; the failure or SLK_END if that comes. */
static int
settle(struct jnl_lane *lane)
{
	int rc;

	do {
		rc = jnl_lane_turn(lane);
	} while (rc > 0);
	return rc;
}

/* One record "NUMBER" padded to len, number = the sequence number that it must get. */
static int
try_append(struct jnl_lane *lane, struct seal_epoch *epoch, uint64_t number, size_t len,
	uint64_t *out_lsn)
{
	char *data = malloc(len + 24);
	struct jnl_append a;

	assert_non_null(data);
	memset(data, 'x', len + 24);
	snprintf(data, 24, "%llu", (unsigned long long)number);
	struct fmt_record r = {.key = slk_span("k", 1),
		.data = slk_span(data, len),
		.arrival_ns = 1000 + number,
		.source = FMT_SOURCE_PUT};
	int rc = jnl_lane_append(lane, seal, epoch, 0, &r, 1, &a);
	free(data);
	if (rc == SLK_OK) {
		assert_int_equal(a.first_sequence, number);
		if (out_lsn != NULL)
			*out_lsn = a.lsn;
	}
	return rc;
}

static void
append(struct jnl_lane *lane, struct seal_epoch *epoch, uint64_t number, size_t len)
{
	int rc;

	while ((rc = try_append(lane, epoch, number, len, NULL)) == SLK_AGAIN)
		assert_true(settle(lane) >= 0);
	assert_ok(rc);
}

static void
commit(struct jnl_lane *lane)
{
	assert_ok(jnl_lane_submit(lane));
	assert_true(settle(lane) >= 0);
}

static void
close_clean(struct jnl *j)
{
	struct jnl_lane *lane = jnl_lane(j, 0);
	int rc;

	while ((rc = jnl_lane_close(lane)) == SLK_AGAIN)
		assert_true(settle(lane) >= 0);
	assert_ok(rc);
	assert_int_equal(settle(lane), SLK_END);
	jnl_close(j);
}

/* Read and open everything; the records must be first, first + 1, ... Returns how many. */
static uint64_t
read_all(enum jnl_from from, uint64_t value, uint64_t first, unsigned *out_damaged)
{
	struct jnl_reader_config rc = {
		.dir = dir, .stream_id = 7, .any_shard = true, .from = from, .from_value = value};
	struct jnl_reader *reader = NULL;
	struct jnl_block block;
	struct slk_error err = {0};
	uint64_t count = 0;
	unsigned damaged = 0;

	assert_ok(jnl_reader_new(&rc, &reader, &err));
	for (;;) {
		int status = jnl_reader_next(reader, &block, &err);
		if (status == SLK_AGAIN)
			break;
		if (status == SLK_CORRUPT) {
			damaged++;
			continue;
		}
		assert_ok(status);
		struct jnl_epoch_info info;
		struct jnl_epoch_key *key = NULL;
		assert_ok(jnl_reader_epoch(reader, block.epoch_id, &info));
		assert_string_equal(info.stream_arn, ARN);
		assert_ok(jnl_epoch_key_new(seal, &info, data_key, &key));
		uint8_t *plain = malloc(block.plain_bytes);
		assert_non_null(plain);
		assert_ok(jnl_block_open(seal, key, &block, plain, block.plain_bytes));
		struct fmt_record_iter it;
		struct fmt_record r;
		assert_ok(fmt_record_iter_init(
			&it, slk_span(plain, block.plain_bytes), block.record_count));
		if (damaged == 0)
			assert_int_equal(block.first_sequence, first + count);
		for (uint64_t i = 0; fmt_record_iter_next(&it, &r) == SLK_OK; i++, count++)
			assert_int_equal(strtoull((const char *)r.data.ptr, NULL, 10),
				block.first_sequence + i);
		free(plain);
		jnl_epoch_key_free(key);
	}
	jnl_reader_free(reader);
	if (out_damaged != NULL)
		*out_damaged = damaged;
	else
		assert_int_equal(damaged, 0);
	return count;
}

static int
give_key(void *arg, const struct jnl_epoch_info *info, struct slk_secret **out)
{
	(void)arg;
	assert_int_equal(info->stream_id, 7);
	return slk_secret_from(slk_secret_peek(data_key), slk_secret_len(data_key), out);
}

static struct jnl_verify_report
verify(void)
{
	struct jnl_verify_config c = {.dir = dir, .seal = seal, .data_key = give_key};
	struct jnl_verify_report report = {0};

	assert_ok(jnl_verify(&c, &report, NULL));
	return report;
}

static void
records_come_back_after_a_clean_close(void **state)
{
	(void)state;
	struct jnl *j = open_journal(NULL);
	struct jnl_lane *lane = jnl_lane(j, 0);
	struct seal_epoch *epoch = begin_epoch(lane);

	for (uint64_t i = 0; i < 100; i++)
		append(lane, epoch, i, 24 + i * 17); /* gathered and straight ones */
	close_clean(j);
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL), 100);
	struct jnl_verify_report report = verify();
	assert_int_equal(report.findings, 0);
	assert_int_equal(report.records, 100);
	assert_int_equal(report.tags_checked, report.data_blocks);
	assert_int_equal(report.files_unclosed, 0);
}

static void
many_records_share_a_block(void **state)
{
	(void)state;
	struct jnl *j = open_journal(NULL);
	struct jnl_lane *lane = jnl_lane(j, 0);
	struct seal_epoch *epoch = begin_epoch(lane);
	static char text[1000][40];
	struct fmt_record records[1000];
	struct jnl_append a;

	for (int i = 0; i < 1000; i++) {
		snprintf(text[i], sizeof(text[i]), "%d and some", i);
		records[i] = (struct fmt_record){.data = slk_span_str(text[i]),
			.arrival_ns = 5,
			.source = FMT_SOURCE_LISTENER};
	}
	assert_ok(jnl_lane_append(lane, seal, epoch, 0, records, 1000, &a));
	assert_int_equal(a.first_sequence, 0);
	assert_int_equal(jnl_lane_next_sequence(lane, 7, 0), 1000);
	assert_int_equal(jnl_lane_append(lane, seal, epoch, 0, records, 0, &a), SLK_INVALID);
	assert_int_equal(jnl_lane_append(lane, seal, epoch, 0, records, 5000, &a), SLK_INVALID);
	close_clean(j);
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL), 1000);
	assert_int_equal(verify().data_blocks, 1);
}

static struct jnl_lane *flushed_lane;
static uint64_t flushed_lsn, seen_before_flush;
static unsigned flushes_seen;

static int
look_and_flush(void *ctx, int fd)
{
	flushes_seen++;
	assert_true(jnl_lane_durable(flushed_lane) < flushed_lsn);
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL), seen_before_flush);
	return slk_fs_posix()->datasync(ctx, fd);
}

static void
nothing_is_visible_or_acknowledged_before_its_flush(void **state)
{
	(void)state;
	struct slk_fs fs = *slk_fs_posix();
	struct jnl_config c = config();
	struct jnl *j = NULL;

	fs.datasync = look_and_flush;
	c.fs = &fs;
	assert_ok(jnl_open(&c, &j, NULL, NULL));
	struct jnl_lane *lane = flushed_lane = jnl_lane(j, 0);
	struct seal_epoch *epoch = begin_epoch(lane);

	/* Alone: written and flushed in one go. */
	assert_ok(try_append(lane, epoch, 0, 100, &flushed_lsn));
	assert_true(jnl_lane_ready(lane));
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL), 0);
	assert_ok(jnl_lane_submit(lane));
	assert_true(jnl_lane_turn(lane) > 0);
	assert_int_equal(flushes_seen, 1);
	assert_true(jnl_lane_durable(lane) >= flushed_lsn);
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL), 1);

	/* Two at once: one turn writes them, the next flushes. */
	seen_before_flush = 1;
	for (uint64_t i = 1; i < 3; i++) {
		assert_ok(try_append(lane, epoch, i, 100, &flushed_lsn));
		assert_ok(jnl_lane_submit(lane));
	}
	assert_true(jnl_lane_turn(lane) > 0);
	assert_int_equal(flushes_seen, 1);
	assert_true(jnl_lane_durable(lane) < flushed_lsn);
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL), 1);
	assert_true(settle(lane) >= 0);
	assert_int_equal(flushes_seen, 2);
	assert_true(jnl_lane_durable(lane) >= flushed_lsn);
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL), 3);
	flushed_lsn = UINT64_MAX; /* of the footer */
	seen_before_flush = 3;
	close_clean(j);
}

/* Every file but the first names the one before it. */
static void
check_chain(void)
{
	uint8_t page[FMT_JFILE_PAGE_BYTES];
	struct fmt_jfile_header header;
	uint64_t before = 0;
	char path[512];

	for (uint64_t id = 1;; id++) {
		snprintf(path, sizeof(path), "%s/%020llu.slj", dir, (unsigned long long)id);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			break;
		assert_int_equal(read(fd, page, sizeof(page)), sizeof(page));
		close(fd);
		assert_ok(fmt_jfile_decode(slk_span(page, sizeof(page)), &header));
		assert_int_equal(header.previous_id, before);
		before = id;
	}
	assert_true(before >= 3);
}

static void
files_roll_and_numbers_go_on(void **state)
{
	(void)state;
	struct jnl *j = open_journal(NULL);
	struct jnl_lane *lane = jnl_lane(j, 0);
	struct seal_epoch *epoch = begin_epoch(lane);
	struct jnl_lane_stats stats;

	for (uint64_t i = 0; i < 200; i++)
		append(lane, epoch, i, 20000);
	jnl_lane_stats(lane, &stats);
	assert_true(stats.rolls >= 3);
	assert_int_equal(stats.epochs, 1);
	close_clean(j);
	check_chain();
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL), 200);
	assert_int_equal(read_all(JNL_FROM_SEQUENCE, 150, 150, NULL), 50);
	assert_int_equal(read_all(JNL_FROM_TIME, 1000 + 180, 180, NULL), 20);
	assert_int_equal(read_all(JNL_FROM_LATEST, 0, 0, NULL), 0);
	assert_int_equal(verify().findings, 0);
}

static void
a_restart_after_a_crash_keeps_what_was_durable_and_begins_new_epochs(void **state)
{
	(void)state;
	uint64_t next = 0;

	for (int round = 0; round < 5; round++) {
		struct jnl_recovery report = {0};
		struct jnl *j = open_journal(&report);
		struct jnl_lane *lane = jnl_lane(j, 0);
		assert_int_equal(report.corrupt_blocks, 0);
		assert_int_equal(report.torn_files, 0);
		assert_int_equal(jnl_lane_next_sequence(lane, 7, 0), next);
		struct seal_epoch *epoch = begin_epoch(lane);
		for (int i = 0; i < 60; i++)
			append(lane, epoch, next++, 9000);
		commit(lane);
		(void)try_append(lane, epoch, next, 100,
			NULL); /* never handed over: lost with the process */
		jnl_close(j); /* as a crash leaves it */
	}
	struct jnl *j = open_journal(NULL);
	close_clean(j);
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL), next);
	struct jnl_verify_report report = verify();
	assert_int_equal(report.findings, 0);
	assert_int_equal(report.epochs, 5);
	assert_true(report.files_by_recovery >= 5);
}

/* Path and length of what is in use of the lane file with the highest id that has blocks. */
static int
newest_file(void *arg, const struct jnl_file_info *info)
{
	struct jnl_file_info *out = arg;

	if (info->blocks > 0) {
		*out = *info;
		out->name = NULL;
	}
	return 0;
}

static int
open_newest(struct jnl_file_info *out)
{
	char path[512];

	memset(out, 0, sizeof(*out));
	assert_ok(jnl_list(dir, NULL, newest_file, NULL, out, NULL));
	snprintf(path, sizeof(path), "%s/%020llu.slj", dir, (unsigned long long)out->file_id);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int
count_torn(void *arg, const char *name)
{
	*(int *)arg += strstr(name, ".torn-") != NULL;
	return 0;
}

static void
a_torn_tail_is_kept_aside_and_cut(void **state)
{
	(void)state;
	struct jnl *j = open_journal(NULL);
	struct jnl_lane *lane = jnl_lane(j, 0);
	struct seal_epoch *epoch = begin_epoch(lane);
	struct jnl_file_info info;
	int torn = 0;

	append(lane, epoch, 0, 5000);
	commit(lane);
	jnl_close(j);
	int fd = open_newest(&info);
	/* A second group, half written: the header of a block of this file without the rest. */
	uint64_t pos = (info.used_bytes + 4095) / 4096 * 4096;
	uint8_t header[FMT_BLOCK_HEADER_BYTES];
	struct fmt_block b = {.type = FMT_BLOCK_DATA,
		.file_id = info.file_id,
		.position = pos,
		.durable = pos,
		.epoch_id = 1,
		.stream_id = 7,
		.record_count = 1,
		.body_bytes = 1000,
		.first_sequence = 1,
		.first_arrival_ns = 1,
		.last_arrival_ns = 1,
		.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_DATA, 1000)};
	fmt_block_encode(&b, header);
	assert_int_equal(pwrite(fd, header, sizeof(header), (off_t)pos), sizeof(header));
	close(fd);

	struct jnl_recovery report = {0};
	j = open_journal(&report);
	assert_int_equal(report.torn_files, 1);
	assert_int_equal(report.torn_bytes, b.total_bytes);
	assert_int_equal(report.corrupt_blocks, 0);
	assert_ok(slk_fs_posix()->list(NULL, dir, count_torn, &torn));
	assert_int_equal(torn, 1);
	assert_int_equal(jnl_lane_next_sequence(jnl_lane(j, 0), 7, 0), 1);
	close_clean(j);
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL), 1);
	assert_int_equal(verify().findings, 0);
}

static void
damage_below_the_durable_position_is_reported_as_loss(void **state)
{
	(void)state;
	struct jnl *j = open_journal(NULL);
	struct jnl_lane *lane = jnl_lane(j, 0);
	struct seal_epoch *epoch = begin_epoch(lane);
	struct jnl_file_info info;
	unsigned damaged = 0;
	uint8_t byte;

	for (uint64_t i = 0; i < 3; i++) {
		append(lane, epoch, i, 5000);
		commit(lane);
	}
	jnl_close(j);
	int fd = open_newest(&info);
	/* The second group: behind the first 8 KiB of blocks. */
	off_t at = 4096 + 8192 + 300;
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);

	struct jnl_recovery report = {0};
	j = open_journal(&report);
	assert_int_equal(report.corrupt_blocks, 1);
	assert_true(report.corrupt_bytes >= 4096);
	assert_int_equal(report.torn_files, 0);
	assert_int_equal(
		jnl_lane_next_sequence(jnl_lane(j, 0), 7, 0), 3); /* numbers never go back */
	close_clean(j);
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, &damaged), 2);
	assert_int_equal(damaged, 1);
	assert_true(verify().findings >= 1);
}

static void
a_changed_block_with_a_mended_checksum_fails_its_tag(void **state)
{
	(void)state;
	struct jnl *j = open_journal(NULL);
	struct jnl_lane *lane = jnl_lane(j, 0);
	struct seal_epoch *epoch = begin_epoch(lane);

	append(lane, epoch, 0, 100);
	close_clean(j);
	struct jnl_reader_config rc = {.dir = dir, .any_stream = true, .any_shard = true};
	struct jnl_reader *reader = NULL;
	struct jnl_block block;
	struct jnl_epoch_info info;
	struct jnl_epoch_key *key = NULL;
	uint8_t plain[4096], raw[4096];
	assert_ok(jnl_reader_new(&rc, &reader, NULL));
	assert_ok(jnl_reader_next(reader, &block, NULL));
	assert_ok(jnl_reader_epoch(reader, block.epoch_id, &info));
	assert_ok(jnl_epoch_key_new(seal, &info, data_key, &key));
	assert_int_equal(jnl_block_open(seal, key, &block, plain, block.plain_bytes - 1), SLK_FULL);
	memcpy(raw, block.ciphertext.ptr, block.ciphertext.len);
	raw[5] ^= 0x40;
	block.ciphertext.ptr = raw;
	memset(plain, 0xee, sizeof(plain));
	assert_int_equal(jnl_block_open(seal, key, &block, plain, sizeof(plain)), SLK_BAD_TAG);
	for (uint32_t i = 0; i < block.plain_bytes; i++)
		assert_int_equal(plain[i], 0);
	jnl_epoch_key_free(key);

	struct slk_secret *other = NULL;
	assert_ok(slk_secret_from("another key of thirty-two bytes!", 32, &other));
	key = NULL;
	assert_int_equal(jnl_epoch_key_new(seal, &info, other, &key), SLK_BAD_COMMITMENT);
	assert_null(key);
	slk_secret_free(other);
	jnl_reader_free(reader);
}

static void
a_second_writer_is_refused(void **state)
{
	(void)state;
	struct jnl *j = open_journal(NULL), *other = NULL;
	struct jnl_config c = config();
	struct slk_error err = {0};

	assert_int_equal(jnl_open(&c, &other, NULL, &err), SLK_EXISTS);
	assert_null(other);
	close_clean(j);
}

static void
a_directory_that_cannot_be_used_is_refused_with_a_sentence(void **state)
{
	(void)state;
	struct jnl *j = NULL;
	struct jnl_config c = config();
	struct slk_error err = {0};

	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(jnl_open(&c, &j, NULL, &err), SLK_DENIED);
	assert_non_null(strstr(err.text, "chmod o-w"));
	assert_int_equal(chmod(dir, 0750), 0);
	c.dir = "/nonexistent/journal";
	assert_int_equal(jnl_open(&c, &j, NULL, &err), SLK_NOT_FOUND);
	assert_non_null(strstr(err.text, "/nonexistent/journal"));
	c = config();
	c.lane_count = 65;
	assert_int_equal(jnl_open(&c, &j, NULL, &err), SLK_RANGE);
	assert_null(j);
}

static void
without_room_appends_say_disk_full(void **state)
{
	(void)state;
	struct jnl *j = NULL;
	struct jnl_config c = config();
	struct slk_error err = {0};

	c.reserve_bytes = 1ull << 60;
	assert_int_equal(jnl_open(&c, &j, NULL, &err), SLK_DISK_FULL);
	assert_null(j);
}

/* Fail the n-th file operation, once and for ever: whatever was acknowledged is there after the next start. */
static void
whatever_call_fails_nothing_acknowledged_is_lost(void **state)
{
	(void)state;
	for (int for_ever = 0; for_ever <= 1; for_ever++) {
		for (uint64_t n = 1;; n++) {
			struct faultfs ff;
			struct jnl *j = NULL;
			struct jnl_config c = config();
			uint64_t acked = 0, appended = 0, lsn[40];

			tempdir_remove(dir);
			assert_int_equal(mkdir(dir, 0750), 0);
			faultfs_init(&ff, slk_fs_posix(), FAULTFS_ALL, n, for_ever != 0, SLK_IO);
			c.fs = &ff.fs;
			if (jnl_open(&c, &j, NULL, NULL) == SLK_OK) {
				struct jnl_lane *lane = jnl_lane(j, 0);
				struct seal_epoch *epoch = begin_epoch(lane);
				for (int tries = 0; appended < 40 && tries < 200; tries++) {
					if (try_append(lane, epoch, appended, 40000,
						    &lsn[appended]) == SLK_OK)
						appended++;
					(void)jnl_lane_submit(lane);
					/* Alone, and two at once: they are committed differently. */
					if (tries % 3 != 1 && settle(lane) < 0)
						break;
				}
				(void)settle(lane);
				while (acked < appended && lsn[acked] <= jnl_lane_durable(lane))
					acked++;
				if (ff.failed == 0)
					assert_int_equal(acked, 40);
				jnl_close(j);
			}
			j = open_journal(NULL);
			close_clean(j);
			uint64_t count = read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL);
			assert_true(count >= acked);
			assert_int_equal(verify().findings, 0);
			if (!faultfs_hit(&ff))
				break;
		}
	}
}

static void
a_failed_flush_is_final(void **state)
{
	(void)state;
	struct faultfs ff;
	struct jnl *j = NULL;
	struct jnl_config c = config();
	uint64_t lsn = 0;

	faultfs_init(&ff, slk_fs_posix(), FAULTFS_SYNC, 0, false, SLK_IO);
	c.fs = &ff.fs;
	assert_ok(jnl_open(&c, &j, NULL, NULL));
	struct jnl_lane *lane = jnl_lane(j, 0);
	assert_true(settle(lane) >= 0); /* the next file is prepared */
	struct seal_epoch *epoch = begin_epoch(lane);
	assert_ok(try_append(lane, epoch, 0, 100, &lsn));
	ff.fail_at = ff.calls + 1;
	assert_ok(jnl_lane_submit(lane));
	assert_int_equal(settle(lane), SLK_DISK_FAILED);
	uint64_t calls = ff.calls;
	assert_int_equal(settle(lane), SLK_DISK_FAILED);
	assert_int_equal(ff.calls, calls); /* no second flush */
	assert_true(jnl_lane_durable(lane) < lsn);
	assert_int_equal(try_append(lane, epoch, 1, 100, NULL), SLK_DISK_FAILED);
	assert_int_equal(jnl_lane_close(lane), SLK_DISK_FAILED);
	jnl_close(j);
}

static void *
lane_main(void *arg)
{
	return (void *)(intptr_t)jnl_lane_run(arg);
}

/* The real thing: a lane thread beside the worker, with the given I/O. */
static void
run_with_thread(const char *io)
{
	struct jnl_config c = config();
	struct jnl *j = NULL;
	pthread_t thread;
	void *result = NULL;
	uint64_t lsn = 0;
	int rc;

	c.io = io;
	rc = jnl_open(&c, &j, NULL, NULL);
	if (rc == SLK_UNSUPPORTED)
		skip(); /* no io_uring on this kernel */
	assert_ok(rc);
	struct jnl_lane *lane = jnl_lane(j, 0);
	struct seal_epoch *epoch = begin_epoch(lane);
	assert_int_equal(pthread_create(&thread, NULL, lane_main, lane), 0);
	for (uint64_t i = 0; i < 2000; i++) {
		while ((rc = try_append(lane, epoch, i, 100 + i % 3000, &lsn)) == SLK_AGAIN)
			sched_yield();
		assert_ok(rc);
		if (jnl_lane_ready(lane))
			assert_ok(jnl_lane_submit(lane));
	}
	assert_ok(jnl_lane_submit(lane));
	while (jnl_lane_durable(lane) < lsn)
		sched_yield();
	while ((rc = jnl_lane_close(lane)) == SLK_AGAIN)
		sched_yield();
	assert_ok(rc);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, SLK_OK);
	jnl_close(j);
	assert_int_equal(read_all(JNL_FROM_TRIM_HORIZON, 0, 0, NULL), 2000);
	assert_int_equal(verify().findings, 0);
}

static void
a_lane_thread_commits_with_plain_calls(void **state)
{
	(void)state;
	run_with_thread("sync");
}

static void
a_lane_thread_commits_with_io_uring(void **state)
{
	(void)state;
	run_with_thread("uring");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(records_come_back_after_a_clean_close),
		T(many_records_share_a_block),
		T(nothing_is_visible_or_acknowledged_before_its_flush),
		T(files_roll_and_numbers_go_on),
		T(a_restart_after_a_crash_keeps_what_was_durable_and_begins_new_epochs),
		T(a_torn_tail_is_kept_aside_and_cut),
		T(damage_below_the_durable_position_is_reported_as_loss),
		T(a_changed_block_with_a_mended_checksum_fails_its_tag),
		T(a_second_writer_is_refused),
		T(a_directory_that_cannot_be_used_is_refused_with_a_sentence),
		T(without_room_appends_say_disk_full),
		T(a_failed_flush_is_final),
		T(a_lane_thread_commits_with_plain_calls),
		T(a_lane_thread_commits_with_io_uring),
		T(whatever_call_fails_nothing_acknowledged_is_lost),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
