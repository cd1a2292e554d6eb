/* The audit log over a file that fails, is renamed and is torn: what is in it, and what is answered. */
#include "slk_test.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "audit_check.h"
#include "faultfs.h"
#include "tempdir.h"

static char dir[256], path[300];
static struct kms_audit *audit;
static struct faultfs ff;
static uint64_t mono_ns;
static struct slk_error err;

static uint64_t
mono(void *ctx)
{
	(void)ctx;
	return mono_ns;
}

static uint64_t
wall(void *ctx)
{
	(void)ctx;
	return 1795507200123456789ull;
}

static const struct slk_clock test_clock = {mono, wall, NULL};

static void
reopen(void)
{
	kms_audit_close(audit);
	audit = NULL;
	if (kms_audit_open(path, &ff.fs, &test_clock, &audit, &err) != SLK_OK)
		fail_msg("%s", err.text);
}

static void
close_log(void)
{
	kms_audit_close(audit);
	audit = NULL;
}

static int
setup(void **state)
{
	(void)state;
	mono_ns = 1000 * SLK_NS_PER_S;
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
	close_log();
	tempdir_remove(dir);
	return 0;
}

static void
add(const char *request_id)
{
	const struct kms_audit_entry e = {
		.request_id = request_id, .principal = "p", .uid = 1, .pid = 2, .action = "kms:a"};

	assert_ok(kms_audit_add(audit, &e));
}

static void
add_and_flush(const char *request_id)
{
	add(request_id);
	if (kms_audit_flush(audit, &err) != SLK_OK)
		fail_msg("%s", err.text);
}

static void
assert_has(const char *name, const char *text)
{
	if (audit_count(name, text) == 0)
		fail_msg("%s does not contain %s", audit_read(name), text);
}

/* The only file beside the log whose name begins like this. */
static const char *
beside(const char *begin)
{
	static char name[400];
	glob_t g;

	snprintf(name, sizeof(name), "%s%s*", path, begin);
	assert_int_equal(glob(name, 0, NULL, &g), 0);
	assert_int_equal(g.gl_pathc, 1);
	snprintf(name, sizeof(name), "%s", g.gl_pathv[0]);
	globfree(&g);
	return name;
}

/* --- lines --- */

static void
line_is_on_disk_after_the_flush_and_not_before(void **state)
{
	(void)state;
	struct stat st;

	add("1");
	assert_string_equal(audit_read(path), "");
	assert_ok(kms_audit_flush(audit, &err));
	assert_int_equal(audit_sound(path), 1);
	assert_has(path,
		"{\"eventVersion\":\"1.11\",\"eventTime\":\"2026-11-24T08:00:00.123456Z\","
		"\"eventSource\":\"kms.amazonaws.com\",\"eventName\":\"a\",\"userIdentity\":"
		"{\"type\":\"AWSService\",\"arn\":\"p\",\"uid\":1,\"pid\":2},"
		"\"requestID\":\"1\",\"readOnly\":false,\"outcome\":\"allowed\","
		"\"eventID\":\"00000000-0000-8000-8000-000000000000\",\"durable\":0,\"seq\":1,"
		"\"hash\":\"");
	assert_ok(kms_audit_flush(audit, &err));
	assert_int_equal(audit_sound(path), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
whole_turn_is_flushed_once(void **state)
{
	(void)state;
	faultfs_init(&ff, slk_fs_posix(), FAULTFS_SYNC, 0, false, SLK_IO);
	for (int i = 0; i < 100; i++)
		add("1");
	assert_ok(kms_audit_flush(audit, &err));
	assert_int_equal(ff.calls, 1);
	assert_int_equal(audit_sound(path), 100);
	assert_int_equal(audit_count(path, "\"durable\":"), 1);
}

static void
full_line_has_every_field_in_its_place(void **state)
{
	(void)state;
	static const uint8_t backing[16] = {0xab, 0xcd};
	struct fmt_context *context = NULL;

	assert_ok(fmt_context_for_stream("arn:s", &context));
	const struct kms_audit_entry e = {.request_id = "r",
		.principal = "arn:aws:iam::1:user/x",
		.uid = 5,
		.by_door = true,
		.uid_known = true,
		.door_uid = 6,
		.door_pid = 7,
		.action = "kms:GenerateDataKey",
		.resource = "arn:key/00112233-4455-6677-8899-aabbccddeeff",
		.context = context,
		.backing_id = backing,
		.correlation = "mine",
		.via_service = "v",
		.source_arn = "arn:s",
		.status = SLK_DENIED,
		.exception = "AccessDeniedException",
		.message = "no"};
	assert_ok(kms_audit_add(audit, &e));
	assert_ok(kms_audit_flush(audit, &err));
	assert_has(path,
		"\"eventName\":\"GenerateDataKey\",\"userIdentity\":{\"type\":\"IAMUser\","
		"\"arn\":\"arn:aws:iam::1:user/x\",\"uid\":5,\"invokedBy\":\"v\","
		"\"door\":{\"uid\":6,\"pid\":7}},\"requestParameters\":{\"encryptionContext\":"
		"{\"aws:kinesis:arn\":\"arn:s\"},\"sourceArn\":\"arn:s\"},"
		"\"resources\":[{\"ARN\":\"arn:key/00112233-4455-6677-8899-aabbccddeeff\"}],"
		"\"additionalEventData\":{\"keyMaterialId\":"
		"\"00112233445566778899aabbccddeeffabcd0000000000000000000000000000\","
		"\"correlationId\":\"mine\"},\"errorCode\":\"AccessDeniedException\","
		"\"errorMessage\":\"no\",\"requestID\":\"r\",\"readOnly\":true,"
		"\"outcome\":\"denied\",\"eventID\":\"");
	fmt_context_free(context);
}

static void
text_from_outside_cannot_forge_a_line(void **state)
{
	(void)state;
	const struct kms_audit_entry e = {.request_id = "r",
		.action = "a",
		.resource = "x\"}\n{\"forged\":1}",
		.status = SLK_INVALID,
		.exception = "\xff\xfe",
		.message = "\x1b[31m\x7f"};

	assert_ok(kms_audit_add(audit, &e));
	assert_ok(kms_audit_flush(audit, &err));
	assert_int_equal(audit_sound(path), 1);
	const char *text = audit_read(path);
	assert_int_equal(audit_count(path, "\n"), 2); /* the header, and one line */
	assert_null(strstr(text, "{\"forged\""));
	assert_non_null(strstr(text, "(not UTF-8)"));
	assert_null(strchr(text, 0x1b));
	assert_null(strchr(text, 0x7f));
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
	const unsigned most = KMS_AUDIT_PENDING_MAX / sizeof(big);
	assert_true(lines > most / 4 * 3 && lines <= most + 1);
	assert_ok(kms_audit_flush(audit, &err));
	assert_ok(kms_audit_flush(audit, &err)); /* and says that one was not counted */
	faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
}

/* --- failures of the file --- */

/* Every call below the log fails in its turn: the turn is refused, and its lines come with the next one. */
static void
each_failing_call_refuses_the_turn(void **state)
{
	(void)state;
	bool hit = true;
	uint64_t turns = 0;

	for (uint64_t n = 1; hit; n++) {
		faultfs_init(&ff, slk_fs_posix(),
			FAULTFS_WRITE | FAULTFS_SYNC | FAULTFS_META | FAULTFS_OPEN, n, false,
			SLK_IO);
		add("1");
		turns++;
		int rc = kms_audit_flush(audit, &err);
		hit = faultfs_hit(&ff);
		assert_int_equal(rc, hit ? SLK_UNAVAILABLE : SLK_OK);
		faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
		add_and_flush("1");
		turns++;
		assert_int_equal(unlink(path), 0); /* a new file is begun in the next turn */
	}
	add_and_flush("last");
	assert_true(turns > 8);
	add_and_flush("last");
	struct seal_scan_result result;
	struct fmt_audit_point end;
	const char *const files[] = {path};
	assert_ok(audit_walk(files, 1, &end, &result));
	assert_true(end.seq > turns);
}

static void
file_whose_flush_failed_is_given_up_and_its_lines_are_written_anew(void **state)
{
	(void)state;
	struct fmt_audit_point end;
	struct seal_scan_result result;

	add_and_flush("1");
	faultfs_init(&ff, slk_fs_posix(), FAULTFS_SYNC, 1, false, SLK_IO);
	add("2");
	assert_int_equal(kms_audit_flush(audit, &err), SLK_UNAVAILABLE);
	assert_non_null(strstr(err.text, "flush"));
	add_and_flush("3");
	char failed[400];
	snprintf(failed, sizeof(failed), "%s", beside(".failed-"));
	assert_has(path, "\"requestID\":\"2\"");
	assert_has(path, "\"requestID\":\"3\"");
	assert_has(path, "\"previous\":{\"seq\":1,");
	add_and_flush("4");
	assert_has(path,
		"{\"kind\":\"withheld\",\"eventTime\":\"2026-11-24T08:00:00.123456Z\","
		"\"first\":2,\"last\":2,\"uncounted\":0,");
	const char *const files[] = {failed, path};
	if (audit_walk(files, 2, &end, &result) != SLK_OK)
		fail_msg("%s", result.text);
	assert_int_equal(end.seq, 5);
}

static int
short_write(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
	(void)ctx;
	assert_int_equal(pwrite(fd, buf, len / 2, (off_t)pos), (ssize_t)(len / 2));
	return SLK_DISK_FULL;
}

static void
half_written_turn_is_written_anew_in_its_place(void **state)
{
	(void)state;
	add_and_flush("1");
	size_t before = strlen(audit_read(path));
	for (int i = 0; i < 10; i++)
		add("2");
	ff.fs.pwrite = short_write;
	assert_int_equal(kms_audit_flush(audit, &err), SLK_UNAVAILABLE);
	assert_true(strlen(audit_read(path)) > before + 1000);
	faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	add_and_flush("3");
	assert_int_equal(audit_sound(path), 12);
	assert_int_equal(audit_count(path, "\"requestID\":\"2\""), 10);
	assert_int_equal(audit_count(path, "\"kind\":\"header\""), 1);
}

static void
disk_whose_every_flush_fails_gets_one_file_a_second(void **state)
{
	(void)state;
	glob_t g;
	char pattern[320];

	faultfs_init(&ff, slk_fs_posix(), FAULTFS_SYNC, 1, true, SLK_IO);
	for (int i = 0; i < 20; i++) {
		add("1");
		assert_int_equal(kms_audit_flush(audit, &err), SLK_UNAVAILABLE);
	}
	snprintf(pattern, sizeof(pattern), "%s.failed-*", path);
	assert_int_equal(glob(pattern, 0, NULL, &g), 0);
	assert_int_equal(g.gl_pathc, 1);
	globfree(&g);
	mono_ns += SLK_NS_PER_S;
	faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	add_and_flush("2");
	assert_int_equal(audit_sound(path), 21);
}

/* --- the disk is full --- */

static void
reserve_lets_refusals_be_logged_until_the_disk_has_room(void **state)
{
	(void)state;
	char reserve[320];
	struct stat st;

	snprintf(reserve, sizeof(reserve), "%s.reserve", path);
	kms_audit_reserve(audit, 100000);
	assert_int_equal(stat(reserve, &st), 0);
	assert_int_equal(st.st_size, 100000);
	assert_false(kms_audit_low(audit));
	faultfs_init(&ff, slk_fs_posix(), FAULTFS_WRITE, 1, false, SLK_DISK_FULL);
	add_and_flush("1"); /* on what the reserve gave up */
	assert_true(kms_audit_low(audit));
	assert_int_not_equal(stat(reserve, &st), 0);
	add_and_flush("2");
	faultfs_init(&ff, slk_fs_posix(), FAULTFS_WRITE, 1, true, SLK_DISK_FULL);
	kms_audit_tick(audit); /* no room yet */
	assert_true(kms_audit_low(audit));
	assert_int_not_equal(stat(reserve, &st), 0);
	add("3"); /* and now none at all */
	assert_int_equal(kms_audit_flush(audit, &err), SLK_UNAVAILABLE);
	faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	kms_audit_tick(audit);
	assert_false(kms_audit_low(audit));
	assert_int_equal(stat(reserve, &st), 0);
	add_and_flush("4");
	assert_int_equal(audit_sound(path), 5);
}

static void
reserve_that_there_is_no_room_for_makes_the_log_low(void **state)
{
	(void)state;
	faultfs_init(&ff, slk_fs_posix(), FAULTFS_WRITE, 1, false, SLK_DISK_FULL);
	kms_audit_reserve(audit, 1000);
	assert_true(kms_audit_low(audit));
	kms_audit_tick(audit);
	assert_false(kms_audit_low(audit));
}

/* --- restarts and crashes --- */

static void
chain_goes_on_after_a_restart(void **state)
{
	(void)state;
	add_and_flush("1");
	reopen();
	add_and_flush("2");
	assert_int_equal(audit_sound(path), 2);
	assert_int_equal(audit_count(path, "\"kind\":\"header\""), 1);
}

/* Whatever part of the last write a crash leaves: what was durable stays, the rest is kept and marked. */
static void
what_a_crash_left_is_marked_and_never_cut(void **state)
{
	(void)state;
	static uint8_t whole[1 << 16];
	uint8_t *bytes;

	add_and_flush("1");
	size_t durable = strlen(audit_read(path));
	add("2");
	add("3");
	assert_ok(kms_audit_flush(audit, &err));
	close_log();
	size_t len = audit_read_bytes(path, &bytes);
	memcpy(whole, bytes, len);
	for (size_t cut = durable; cut <= len; cut += 7) {
		audit_write(path, whole, cut);
		reopen();
		add_and_flush("4");
		close_log();
		uint64_t last = audit_sound(path);
		assert_in_range(last, 2, 4);
		assert_int_equal(audit_read_bytes(path, &bytes) > cut, 1);
		assert_memory_equal(bytes, whole, cut);
		if (whole[cut - 1] != '\n')
			assert_has(path, "{\"kind\":\"torn\"");
	}
}

static void
hole_that_a_crash_left_is_marked(void **state)
{
	(void)state;
	uint8_t *bytes;

	add_and_flush("1");
	size_t durable = strlen(audit_read(path));
	for (int i = 0; i < 20; i++)
		add("2");
	assert_ok(kms_audit_flush(audit, &err));
	close_log();
	size_t len = audit_read_bytes(path, &bytes);
	memset(bytes + durable + 100, 0,
		4096); /* a page that did not reach the disk, and later ones that did */
	audit_write(path, bytes, len);
	reopen();
	add_and_flush("3");
	assert_int_equal(audit_sound(path), 3);
	assert_has(path, "{\"kind\":\"torn\"");
}

/* Damage before lines that say that it was durable is no torn end: the chain goes on, and whoever verifies finds it. */
static void
damage_is_not_taken_for_a_torn_end(void **state)
{
	(void)state;
	struct fmt_audit_point end;
	struct seal_scan_result result;
	uint8_t *bytes;

	add_and_flush("first");
	add_and_flush("second");
	add_and_flush("third");
	close_log();
	size_t len = audit_read_bytes(path, &bytes);
	*strstr((char *)bytes, "second") ^= 1;
	audit_write(path, bytes, len);
	reopen();
	add_and_flush("fourth");
	assert_int_equal(audit_count(path, "{\"kind\":\"torn\""), 0);
	assert_has(path, "\"seq\":4,");
	const char *const files[] = {path};
	assert_int_equal(audit_walk(files, 1, &end, &result), SLK_CORRUPT);
	assert_int_equal(result.fault, SEAL_SCAN_CHANGED);
	assert_int_equal(result.seq, 2);
	assert_int_equal(result.line_number, 3);
}

static void
log_of_an_older_release_is_kept_aside(void **state)
{
	(void)state;
	static const char old[] =
		"{\"time\":\"2026-11-24T08:00:00.123456Z\",\"requestId\":\"1\"}\n";

	close_log();
	audit_write(path, old, sizeof(old) - 1);
	reopen();
	add_and_flush("1");
	assert_int_equal(audit_sound(path), 1);
	assert_string_equal(audit_read(beside(".other-")), old);
}

static void
log_of_a_later_release_is_refused(void **state)
{
	(void)state;
	uint8_t *bytes;

	add_and_flush("1");
	close_log();
	size_t len = audit_read_bytes(path, &bytes);
	memcpy(strstr((char *)bytes, "\"version\":1"), "\"version\":2", 11);
	audit_write(path, bytes, len);
	assert_int_equal(kms_audit_open(path, &ff.fs, &test_clock, &audit, &err), SLK_BAD_VERSION);
	assert_null(audit);
}

static void
link_is_not_followed(void **state)
{
	(void)state;
	char link_path[320];
	struct kms_audit *second = NULL;

	snprintf(link_path, sizeof(link_path), "%s/link.log", dir);
	assert_int_equal(symlink(path, link_path), 0);
	assert_int_not_equal(kms_audit_open(link_path, &ff.fs, &test_clock, &second, &err), SLK_OK);
	assert_null(second);
}

/* --- rotation --- */

static void
renamed_file_is_followed_by_a_new_one_of_the_same_chain(void **state)
{
	(void)state;
	struct fmt_audit_point end;
	struct seal_scan_result result;
	char rotated[320];

	snprintf(rotated, sizeof(rotated), "%s.1", path);
	add_and_flush("1");
	assert_false(kms_audit_rotated(audit));
	assert_int_equal(rename(path, rotated), 0);
	add_and_flush("2");
	assert_true(kms_audit_rotated(audit));
	assert_false(kms_audit_rotated(audit));
	assert_int_equal(audit_count(rotated, "\"seq\":"), 2); /* of the header and the line */
	const char *const files[] = {rotated, path};
	assert_ok(audit_walk(files, 2, &end, &result));
	assert_int_equal(end.seq, 2);
	assert_int_equal(unlink(path), 0);
	add_and_flush("3");
	const char *const gone[] = {rotated, path};
	assert_int_equal(audit_walk(gone, 2, &end, &result), SLK_CORRUPT);
	assert_int_equal(result.fault, SEAL_SCAN_OTHER_CHAIN);
}

static void
chain_goes_on_when_the_file_is_renamed_while_nobody_runs(void **state)
{
	(void)state;
	struct fmt_audit_point end;
	struct seal_scan_result result;
	char first[320], second[320];

	snprintf(first, sizeof(first), "%s-20261123", path);
	snprintf(second, sizeof(second), "%s-20261124", path);
	add_and_flush("1");
	assert_int_equal(rename(path, first), 0);
	add_and_flush("2");
	close_log();
	assert_int_equal(rename(path, second), 0);
	reopen();
	add_and_flush("3");
	const char *const files[] = {first, second, path};
	assert_ok(audit_walk(files, 3, &end, &result));
	assert_int_equal(end.seq, 3);
}

static void
empty_file_that_logrotate_made_is_taken(void **state)
{
	(void)state;
	char rotated[320];

	snprintf(rotated, sizeof(rotated), "%s.1", path);
	add_and_flush("1");
	assert_int_equal(rename(path, rotated), 0);
	audit_write(path, "", 0);
	add_and_flush("2");
	assert_int_equal(audit_sound(path), 2);
	assert_int_equal(truncate(path, 0), 0); /* copytruncate */
	add_and_flush("3");
	assert_int_equal(audit_sound(path), 3);
	assert_has(path, "\"previous\":{\"seq\":2,");
}

static void
file_that_somebody_appended_to_is_kept_and_a_new_one_begun(void **state)
{
	(void)state;
	add_and_flush("1");
	FILE *f = fopen(path, "a");
	assert_non_null(f);
	assert_true(fputs("{\"forged\":1}\n", f) >= 0);
	fclose(f);
	add_and_flush("2");
	assert_int_equal(audit_sound(path), 2);
	assert_int_equal(audit_count(path, "forged"), 0);
	assert_int_equal(audit_count(beside(".other-"), "forged"), 1);
}

/* --- flushes in the background --- */

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
disk_reap(void *ctx, uint64_t wait_ns, int *out_result)
{
	(void)ctx;
	if (!disk.ended && wait_ns != UINT64_MAX)
		return SLK_AGAIN;
	*out_result = disk.result;
	return SLK_OK;
}

static const struct kms_flush_ops slow_disk = {disk_start, disk_reap, NULL};

static void
use_slow_disk(int result)
{
	memset(&disk, 0, sizeof(disk));
	disk.result = result;
	kms_audit_background(audit, &slow_disk);
}

static void
background_flush_is_not_done_before_its_end_was_told(void **state)
{
	(void)state;
	use_slow_disk(SLK_OK);
	add("1");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	assert_int_equal(audit_sound(path), 1);
	add("2"); /* belongs to the next flush */
	assert_int_equal(kms_audit_poll(audit, 0, &err), SLK_AGAIN);
	assert_int_equal(audit_sound(path), 1);
	disk.ended = true;
	assert_ok(kms_audit_poll(audit, 0, &err));
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	assert_int_equal(audit_sound(path), 2);
	assert_ok(kms_audit_poll(audit, 1, &err));
	assert_int_equal(disk.starts, 2);
}

static void
background_flush_that_failed_gives_the_file_up(void **state)
{
	(void)state;
	use_slow_disk(SLK_IO);
	disk.ended = true;
	add("1");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	add("2");
	assert_int_equal(kms_audit_poll(audit, 0, &err), SLK_UNAVAILABLE);
	disk.result = SLK_OK;
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	assert_ok(kms_audit_poll(audit, 0, &err));
	assert_int_equal(audit_sound(path), 2);
	assert_non_null(beside(".failed-"));
}

/* A disk that hangs: nobody waits longer than the deadline, later turns are refused at once, and it recovers by itself. */
static void
flush_that_outlives_the_deadline_refuses_and_recovers(void **state)
{
	(void)state;
	struct kms_audit_state s;

	use_slow_disk(SLK_OK);
	kms_audit_deadline(audit, SLK_NS_PER_S);
	add("1");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	assert_int_equal(kms_audit_wake_ns(audit), mono_ns + SLK_NS_PER_S);
	mono_ns += SLK_NS_PER_S - 1;
	assert_int_equal(kms_audit_poll(audit, 0, &err), SLK_AGAIN);
	mono_ns += 1;
	assert_int_equal(kms_audit_poll(audit, 0, &err), SLK_UNAVAILABLE);
	assert_non_null(strstr(err.text, "1000 ms"));
	add("2");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_UNAVAILABLE);
	assert_int_equal(disk.starts, 1);
	kms_audit_state(audit, &s);
	assert_false(s.file_ok);
	assert_int_equal(s.withheld, 2);
	assert_int_equal(s.durable.seq, 0);
	disk.ended = true;
	add("3");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	assert_ok(kms_audit_poll(audit, 0, &err));
	assert_int_equal(audit_sound(path), 3);
	assert_true(kms_audit_waits(audit)); /* the line about those that were withheld */
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	assert_ok(kms_audit_poll(audit, 0, &err));
	assert_has(path, "\"first\":1,\"last\":2,\"uncounted\":0,");
	kms_audit_state(audit, &s);
	assert_true(s.file_ok);
	assert_int_equal(s.durable.seq, 4);
}

static void
kernel_flushes_in_the_background(void **state)
{
	(void)state;
	struct kms_flusher *flusher = NULL;

	if (kms_flusher_new(&flusher) != SLK_OK) {
		print_message("skipped: no asynchronous I/O here\n");
		skip();
	}
	kms_audit_background(audit, kms_flusher_ops(flusher));
	for (int i = 0; i < 20; i++) {
		add("1");
		int rc = kms_audit_begin(audit, &err);
		if (rc == SLK_AGAIN)
			rc = kms_audit_poll(audit, 10 * SLK_NS_PER_S, &err);
		assert_ok(rc);
	}
	assert_int_equal(audit_sound(path), 20);
	add("1");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	close_log(); /* waits */
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
		CASE(turn_that_is_too_large_is_refused),
		CASE(each_failing_call_refuses_the_turn),
		CASE(file_whose_flush_failed_is_given_up_and_its_lines_are_written_anew),
		CASE(disk_whose_every_flush_fails_gets_one_file_a_second),
		CASE(half_written_turn_is_written_anew_in_its_place),
		CASE(reserve_lets_refusals_be_logged_until_the_disk_has_room),
		CASE(reserve_that_there_is_no_room_for_makes_the_log_low),
		CASE(chain_goes_on_after_a_restart),
		CASE(what_a_crash_left_is_marked_and_never_cut),
		CASE(hole_that_a_crash_left_is_marked),
		CASE(damage_is_not_taken_for_a_torn_end),
		CASE(log_of_an_older_release_is_kept_aside),
		CASE(log_of_a_later_release_is_refused),
		CASE(link_is_not_followed),
		CASE(renamed_file_is_followed_by_a_new_one_of_the_same_chain),
		CASE(chain_goes_on_when_the_file_is_renamed_while_nobody_runs),
		CASE(empty_file_that_logrotate_made_is_taken),
		CASE(file_that_somebody_appended_to_is_kept_and_a_new_one_begun),
		CASE(background_flush_is_not_done_before_its_end_was_told),
		CASE(background_flush_that_failed_gives_the_file_up),
		CASE(flush_that_outlives_the_deadline_refuses_and_recovers),
		CASE(kernel_flushes_in_the_background),
	};

	return cmocka_run_group_tests_name("kms_audit", tests, NULL, NULL);
}
