#include "slk_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "faultfs.h"
#include "tempdir.h"

static char dir[256], path[300];
static struct kms_audit *audit;
static struct faultfs ff;

static uint64_t
fixed_time(void *ctx)
{
	(void)ctx;
	return 1795507200123456789ull;
}

static const struct slk_clock fixed = {fixed_time, fixed_time, NULL};

static void
reopen(void)
{
	struct slk_error err = {0};

	kms_audit_close(audit);
	audit = NULL;
	if (kms_audit_open(path, &ff.fs, &fixed, &audit, &err) != SLK_OK)
		fail_msg("%s", err.text);
}

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/audit.log", dir);
	faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	reopen();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kms_audit_close(audit);
	audit = NULL;
	tempdir_remove(dir);
	return 0;
}

static const char *
contents(const char *name)
{
	static char text[1 << 16];
	FILE *f = fopen(name, "r");

	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void
add(const char *request_id)
{
	const struct kms_audit_entry e = {
		.request_id = request_id, .principal = "p", .uid = 1, .pid = 2, .action = "a"};

	assert_ok(kms_audit_add(audit, &e));
}

static const char line_of_one[] = "{\"time\":\"2026-11-24T08:00:00.123456Z\",\"requestId\":\"1\","
				  "\"principal\":\"p\",\"uid\":1,\"pid\":2,"
				  "\"action\":\"a\",\"outcome\":\"allowed\"}\n";

static void
line_is_on_disk_after_the_flush_and_not_before(void **state)
{
	(void)state;
	struct slk_error err;

	add("1");
	assert_string_equal(contents(path), "");
	assert_ok(kms_audit_flush(audit, &err));
	assert_string_equal(contents(path), line_of_one);
	assert_ok(kms_audit_flush(audit, &err));
	assert_string_equal(contents(path), line_of_one);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
whole_turn_is_flushed_once(void **state)
{
	(void)state;
	struct slk_error err;

	faultfs_init(&ff, slk_fs_posix(), FAULTFS_SYNC, 0, false, SLK_IO);
	for (int i = 0; i < 100; i++)
		add("1");
	assert_ok(kms_audit_flush(audit, &err));
	assert_int_equal(ff.calls, 1);
	assert_int_equal(strlen(contents(path)), 100 * (sizeof(line_of_one) - 1));
}

static void
full_line_has_every_field_in_its_place(void **state)
{
	(void)state;
	static const uint8_t backing[16] = {0xab, 0xcd};
	struct fmt_context *context = NULL;
	struct slk_error err;

	assert_ok(fmt_context_for_stream("arn:s", &context));
	const struct kms_audit_entry e = {.request_id = "r",
		.principal = "p",
		.uid = 5,
		.by_door = true,
		.uid_known = true,
		.door_uid = 6,
		.door_pid = 7,
		.action = "kms:GenerateDataKey",
		.resource = "arn:k",
		.context = context,
		.backing_id = backing,
		.via_service = "v",
		.source_arn = "arn:s",
		.status = SLK_DENIED,
		.exception = "AccessDeniedException",
		.message = "no"};
	assert_ok(kms_audit_add(audit, &e));
	assert_ok(kms_audit_flush(audit, &err));
	assert_string_equal(contents(path),
		"{\"time\":\"2026-11-24T08:00:00.123456Z\",\"requestId\":\"r\",\"principal\":\"p\","
		"\"uid\":5,"
		"\"door\":{\"uid\":6,\"pid\":7},\"action\":\"kms:GenerateDataKey\",\"resource\":"
		"\"arn:k\","
		"\"encryptionContext\":{\"aws:kinesis:arn\":\"arn:s\"},"
		"\"backingKey\":\"abcd0000000000000000000000000000\",\"viaService\":\"v\","
		"\"sourceArn\":\"arn:s\","
		"\"outcome\":\"denied\",\"error\":\"AccessDeniedException\",\"message\":\"no\"}\n");
	fmt_context_free(context);
}

static void
text_from_outside_cannot_forge_a_line(void **state)
{
	(void)state;
	struct slk_error err;
	const struct kms_audit_entry e = {.request_id = "r",
		.action = "a",
		.resource = "x\"}\n{\"forged\":1}",
		.status = SLK_INVALID,
		.exception = "\xff\xfe",
		.message = "\x1b[31m"};

	assert_ok(kms_audit_add(audit, &e));
	assert_ok(kms_audit_flush(audit, &err));
	const char *text = contents(path);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_null(strstr(text, "{\"forged\""));
	assert_non_null(strstr(text, "(not UTF-8)"));
	assert_null(strchr(text, 0x1b));
}

/* Every call below the log fails in its turn: the turn is refused, what is in the file stays whole
 * lines. */
static void
each_failing_call_refuses_the_turn(void **state)
{
	(void)state;
	struct slk_error err;
	bool hit = true;

	for (uint64_t n = 1; hit; n++) {
		faultfs_init(&ff, slk_fs_posix(), FAULTFS_WRITE | FAULTFS_SYNC, n, false, SLK_IO);
		add("1");
		int rc = kms_audit_flush(audit, &err);
		hit = faultfs_hit(&ff);
		assert_int_equal(rc, hit ? SLK_UNAVAILABLE : SLK_OK);
		faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
		reopen();
	}
	add("1");
	assert_ok(kms_audit_flush(audit, &err));
	const char *text = contents(path);
	assert_int_equal(strlen(text) % (sizeof(line_of_one) - 1), 0);
}

static void
flush_that_failed_is_never_believed_again(void **state)
{
	(void)state;
	struct slk_error err;
	const struct kms_audit_entry e = {.request_id = "2", .action = "a"};

	faultfs_init(&ff, slk_fs_posix(), FAULTFS_SYNC, 1, false, SLK_IO);
	add("1");
	assert_int_equal(kms_audit_flush(audit, &err), SLK_UNAVAILABLE);
	assert_int_equal(kms_audit_add(audit, &e), SLK_UNAVAILABLE);
	assert_int_equal(ff.calls, 1);
}

static int
short_write(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	(void)ctx;
	assert_int_equal(pwrite(fd, buf, len / 2, (off_t)pos), (ssize_t)(len / 2));
	return SLK_DISK_FULL;
}

static void
half_written_turn_is_cut_off_before_the_next(void **state)
{
	(void)state;
	struct slk_error err;

	for (int i = 0; i < 10; i++)
		add("dropped");
	ff.fs.pwrite = short_write;
	assert_int_equal(kms_audit_flush(audit, &err), SLK_UNAVAILABLE);
	assert_true(strlen(contents(path)) > sizeof(line_of_one));
	faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	add("1");
	assert_ok(kms_audit_flush(audit, &err));
	assert_string_equal(contents(path), line_of_one);
}

static void
line_torn_by_a_crash_is_ended_at_the_next_start(void **state)
{
	(void)state;
	struct slk_error err;

	kms_audit_close(audit);
	audit = NULL;
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs("{\"torn", f) >= 0);
	fclose(f);
	reopen();
	add("1");
	assert_ok(kms_audit_flush(audit, &err));
	assert_memory_equal(contents(path), "{\"torn\n{\"time\"", 14);
}

static void
renamed_file_is_followed_by_a_new_one(void **state)
{
	(void)state;
	struct slk_error err;
	char rotated[320];

	snprintf(rotated, sizeof(rotated), "%s.1", path);
	add("1");
	assert_ok(kms_audit_flush(audit, &err));
	assert_int_equal(rename(path, rotated), 0);
	add("1");
	assert_ok(kms_audit_flush(audit, &err));
	assert_string_equal(contents(rotated), line_of_one);
	assert_string_equal(contents(path), line_of_one);
	assert_int_equal(unlink(path), 0);
	add("1");
	assert_ok(kms_audit_flush(audit, &err));
	assert_string_equal(contents(path), line_of_one);
}

static void
turn_that_is_too_large_is_refused(void **state)
{
	(void)state;
	static char big[4000];
	const struct kms_audit_entry e = {.request_id = "1", .action = "a", .resource = big};
	int rc = SLK_OK;
	unsigned lines = 0;

	memset(big, 'x', sizeof(big) - 1);
	for (; rc == SLK_OK; lines++)
		rc = kms_audit_add(audit, &e);
	assert_int_equal(rc, SLK_UNAVAILABLE);
	assert_true(lines > 2000 && lines < 2100);
}

static void
link_is_not_followed(void **state)
{
	(void)state;
	struct slk_error err = {0};
	char link_path[320];
	struct kms_audit *second = NULL;

	snprintf(link_path, sizeof(link_path), "%s/link.log", dir);
	assert_int_equal(symlink(path, link_path), 0);
	assert_int_not_equal(kms_audit_open(link_path, &ff.fs, &fixed, &second, &err), SLK_OK);
	assert_null(second);
}

/* A disk whose flush ends when and how the test says. */
static struct {
	bool ended;
	int result;
	unsigned starts;
} disk;

static int
disk_start(void *ctx, int fd)
{
	(void)ctx;
	assert_true(fd >= 0);
	disk.starts++;
	return SLK_OK;
}

static int
disk_reap(void *ctx, bool wait, int *out_result)
{
	(void)ctx;
	if (!disk.ended && !wait)
		return SLK_AGAIN;
	*out_result = disk.result;
	return SLK_OK;
}

static const struct kms_flush_ops slow_disk = {disk_start, disk_reap, NULL};

static void
background_flush_is_not_done_before_its_end_was_told(void **state)
{
	(void)state;
	struct slk_error err = {0};

	memset(&disk, 0, sizeof(disk));
	kms_audit_background(audit, &slow_disk);
	add("1");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	assert_string_equal(contents(path), line_of_one);
	add("1"); /* belongs to the next flush */
	assert_int_equal(kms_audit_poll(audit, false, &err), SLK_AGAIN);
	assert_string_equal(contents(path), line_of_one);
	disk.ended = true;
	assert_ok(kms_audit_poll(audit, false, &err));
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	assert_int_equal(strlen(contents(path)), 2 * (sizeof(line_of_one) - 1));
	assert_ok(kms_audit_poll(audit, true, &err));
	assert_int_equal(disk.starts, 2);
}

static void
background_flush_that_failed_is_never_believed_again(void **state)
{
	(void)state;
	const struct kms_audit_entry e = {.request_id = "2", .action = "a"};
	struct slk_error err = {0};

	memset(&disk, 0, sizeof(disk));
	disk.result = SLK_IO;
	kms_audit_background(audit, &slow_disk);
	add("1");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	add("1");
	assert_int_equal(kms_audit_poll(audit, true, &err), SLK_UNAVAILABLE);
	disk.result = SLK_OK;
	assert_int_equal(kms_audit_begin(audit, &err), SLK_UNAVAILABLE);
	assert_int_equal(kms_audit_add(audit, &e), SLK_UNAVAILABLE);
	assert_int_equal(disk.starts, 1);
}

static void
kernel_flushes_in_the_background(void **state)
{
	(void)state;
	struct kms_flusher *flusher = NULL;
	struct slk_error err = {0};

	if (kms_flusher_new(&flusher) != SLK_OK) {
		print_message("skipped: no asynchronous I/O here\n");
		skip();
	}
	kms_audit_background(audit, kms_flusher_ops(flusher));
	for (int i = 0; i < 20; i++) {
		add("1");
		assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
		assert_ok(kms_audit_poll(audit, true, &err));
	}
	assert_int_equal(strlen(contents(path)), 20 * (sizeof(line_of_one) - 1));
	add("1");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	kms_audit_close(audit); /* waits */
	audit = NULL;
	kms_flusher_free(flusher);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(line_is_on_disk_after_the_flush_and_not_before),
		CASE(whole_turn_is_flushed_once),
		CASE(full_line_has_every_field_in_its_place),
		CASE(text_from_outside_cannot_forge_a_line),
		CASE(each_failing_call_refuses_the_turn),
		CASE(flush_that_failed_is_never_believed_again),
		CASE(half_written_turn_is_cut_off_before_the_next),
		CASE(line_torn_by_a_crash_is_ended_at_the_next_start),
		CASE(renamed_file_is_followed_by_a_new_one),
		CASE(turn_that_is_too_large_is_refused),
		CASE(link_is_not_followed),
		CASE(background_flush_is_not_done_before_its_end_was_told),
		CASE(background_flush_that_failed_is_never_believed_again),
		CASE(kernel_flushes_in_the_background),
	};

	return cmocka_run_group_tests_name("kms_audit", tests, NULL, NULL);
}
