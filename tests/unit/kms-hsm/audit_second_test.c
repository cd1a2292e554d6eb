/* Two sinks of the audit log: what is answered while one of them, or both, fail, hang or take nothing. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "audit.h"
#include "audit_check.h"
#include "faultfs.h"
#include "tempdir.h"

static char dir[256], path[300], second[300], sock_path[300];
static struct kms_audit *audit;
static struct faultfs ff, second_ff;
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

/* A disk whose flushes end when and how the test says. */
struct disk {
	bool ended;
	int result;
};
static struct disk first_disk, second_disk;

static int
disk_start(void *ctx, int fd)
{
	(void)ctx;
	assert_true(fd >= 0);
	return SLK_OK;
}

static int
disk_reap(void *ctx, uint64_t wait_ns, int *out_result)
{
	const struct disk *d = ctx;

	if (!d->ended && wait_ns != UINT64_MAX)
		return SLK_AGAIN;
	*out_result = d->result;
	return SLK_OK;
}

static const struct kms_flush_ops first_ops = {disk_start, disk_reap, &first_disk};
static const struct kms_flush_ops second_ops = {disk_start, disk_reap, &second_disk};

static void
ok(int rc)
{
	if (rc != SLK_OK)
		fail_msg("%s: %s", slk_status_name(rc), err.text);
}

static void
reopen(void)
{
	kms_audit_close(audit);
	audit = NULL;
	ok(kms_audit_open(path, &ff.fs, &test_clock, &audit, &err));
	ok(kms_audit_second_file(audit, second, &second_ff.fs, NULL, &err));
}

static int
setup(void **state)
{
	(void)state;
	mono_ns = 1000 * SLK_NS_PER_S;
	first_disk = second_disk = (struct disk){true, SLK_OK};
	tempdir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/audit.log", dir);
	snprintf(second, sizeof(second), "%s/second", dir);
	snprintf(sock_path, sizeof(sock_path), "%.280s/log", dir);
	faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	faultfs_init(&second_ff, slk_fs_posix(), 0, 0, false, SLK_IO);
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

static void
add(const char *request_id)
{
	const struct kms_audit_entry e = {.request_id = request_id, .action = "kms:a"};

	assert_ok(kms_audit_add(audit, &e));
}

static void
add_and_flush(const char *request_id)
{
	add(request_id);
	ok(kms_audit_flush(audit, &err));
}

static struct kms_audit_state
state_of(void)
{
	struct kms_audit_state s;

	kms_audit_state(audit, &s);
	return s;
}

static void
both_have_the_same_lines(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		add_and_flush("1");
	assert_int_equal(audit_sound(path), 5);
	assert_int_equal(audit_sound(second), 5);
	reopen();
	add_and_flush("2");
	assert_int_equal(audit_sound(path), 6);
	assert_int_equal(audit_sound(second), 6);
	assert_true(state_of().second_ok);
}

static void
second_answers_where_the_first_fails_and_the_first_gets_its_lines_later(void **state)
{
	(void)state;
	add_and_flush("1");
	faultfs_init(&ff, slk_fs_posix(), FAULTFS_WRITE, 1, true, SLK_IO);
	for (int i = 0; i < 20; i++)
		add_and_flush("2");
	assert_int_equal(audit_sound(second), 21);
	assert_false(state_of().file_ok);
	assert_int_equal(state_of().withheld, 0);
	assert_int_equal(state_of().durable.seq, 21);
	faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	kms_audit_tick(audit); /* nobody asks anything */
	assert_int_equal(audit_sound(path), 21);
	assert_true(state_of().file_ok);
}

static void
first_answers_where_the_second_fails(void **state)
{
	(void)state;
	faultfs_init(&second_ff, slk_fs_posix(), FAULTFS_WRITE, 1, true, SLK_DISK_FULL);
	add_and_flush("1");
	assert_false(state_of().second_ok);
	assert_non_null(strstr(state_of().second_error, "no space"));
	assert_int_equal(audit_sound(path), 1);
	faultfs_init(&second_ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	add_and_flush("2");
	assert_int_equal(audit_sound(second), 2);
	assert_true(state_of().second_ok);
}

static void
nothing_is_answered_where_both_fail(void **state)
{
	(void)state;
	add_and_flush("1");
	faultfs_init(&ff, slk_fs_posix(), FAULTFS_WRITE, 1, true, SLK_IO);
	faultfs_init(&second_ff, slk_fs_posix(), FAULTFS_SYNC, 1, true, SLK_IO);
	add("2");
	assert_int_equal(kms_audit_flush(audit, &err), SLK_UNAVAILABLE);
	assert_int_equal(state_of().withheld, 1);
	faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	faultfs_init(&second_ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	mono_ns += SLK_NS_PER_S;
	add_and_flush("3");
	add_and_flush("4");
	assert_int_equal(audit_count(path, "\"requestID\":\"2\""), 1);
	assert_int_equal(audit_count(path, "\"first\":2,\"last\":2,"), 1);
	assert_int_equal(audit_sound(path), 5);
	assert_int_equal(audit_sound(second), 5);
}

/* The first hangs: one turn waits until the deadline, the next ones are the second's alone. */
static void
second_answers_at_the_deadline_where_the_first_hangs(void **state)
{
	(void)state;
	kms_audit_background(audit, &first_ops);
	first_disk.ended = false;
	add("1");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	assert_int_equal(kms_audit_poll(audit, 0, &err), SLK_AGAIN);
	mono_ns += KMS_AUDIT_DEADLINE_NS;
	ok(kms_audit_poll(audit, 0, &err));
	add("2");
	ok(kms_audit_begin(audit, &err));
	assert_int_equal(audit_sound(second), 2);
	assert_false(state_of().file_ok);
	first_disk.ended = true;
	kms_audit_tick(audit);
	kms_audit_tick(audit);
	assert_int_equal(audit_sound(path), 2);
	assert_true(state_of().file_ok);
	kms_audit_background(audit, NULL);
}

/* The second hangs: nobody waits for it, and what it lags behind by is bounded. */
static void
wedged_second_holds_up_nobody_and_says_what_it_missed(void **state)
{
	(void)state;
	static char big[4000];
	const struct kms_audit_entry e = {.request_id = "1", .action = "a", .resource = big};
	struct seal_scan_result result;
	struct fmt_audit_point end;
	const char *const files[] = {second};

	memset(big, 'x', sizeof(big) - 1);
	kms_audit_close(audit);
	audit = NULL;
	assert_int_equal(unlink(second), 0);
	ok(kms_audit_open(path, &ff.fs, &test_clock, &audit, &err));
	ok(kms_audit_second_file(audit, second, &second_ff.fs, &second_ops, &err));
	second_disk.ended = false;
	/* More than it may lag behind by. */
	for (unsigned i = 0; i < KMS_AUDIT_PENDING_MAX / 2 / sizeof(big) + 200; i++) {
		assert_ok(kms_audit_add(audit, &e));
		if (i % 16 == 15)
			ok(kms_audit_flush(audit, &err));
	}
	ok(kms_audit_flush(audit, &err));
	second_disk.ended = true;
	add_and_flush("last");
	assert_int_equal(audit_walk(files, 1, &end, &result), SLK_CORRUPT);
	assert_int_equal(result.fault, SEAL_SCAN_OTHER_CHAIN);
	assert_non_null(strstr(result.text, "missing"));
	assert_int_equal(audit_count(second, "\"requestID\":\"last\""), 1);
}

static void
both_hang_and_nobody_waits_longer_than_the_deadline(void **state)
{
	(void)state;
	kms_audit_close(audit);
	audit = NULL;
	ok(kms_audit_open(path, &ff.fs, &test_clock, &audit, &err));
	kms_audit_background(audit, &first_ops);
	ok(kms_audit_second_file(audit, second, &second_ff.fs, &second_ops, &err));
	first_disk.ended = second_disk.ended = false;
	add("1");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	mono_ns += KMS_AUDIT_DEADLINE_NS;
	assert_int_equal(kms_audit_poll(audit, 0, &err), SLK_UNAVAILABLE);
	second_disk.ended = true;
	add("2");
	int rc = kms_audit_begin(audit, &err);
	if (rc == SLK_AGAIN)
		rc = kms_audit_poll(audit, 0, &err);
	ok(rc);
	assert_int_equal(audit_sound(second), 2);
	first_disk.ended = true;
}

static void
chain_goes_on_from_the_second_if_the_first_lost_its_end(void **state)
{
	(void)state;
	add_and_flush("1");
	faultfs_init(&ff, slk_fs_posix(), FAULTFS_WRITE, 1, true, SLK_IO);
	add_and_flush("2");
	faultfs_init(&ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	reopen(); /* as after a crash: the first never got line 2 */
	add_and_flush("3");
	assert_int_equal(audit_sound(second), 3);
	assert_int_equal(audit_count(path, "\"requestID\":\"2\""), 0);
	assert_int_equal(audit_count(path, "\"previous\":{\"seq\":2,"), 1); /* and says so */
}

/* --- syslog --- */

static int
listen_at(int queue)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)queue;
	(void)unlink(sock_path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", sock_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void
use_syslog(void)
{
	kms_audit_close(audit);
	audit = NULL;
	ok(kms_audit_open(path, &ff.fs, &test_clock, &audit, &err));
	ok(kms_audit_second_syslog(audit, sock_path, &err));
}

static void
lines_go_to_the_systems_log_as_they_are(void **state)
{
	(void)state;
	char text[4096];
	int fd = listen_at(10);

	use_syslog();
	add_and_flush("1");
	ssize_t len = recv(fd, text, sizeof(text) - 1, 0);
	assert_true(len > 0);
	text[len] = '\0';
	assert_ptr_equal(strstr(text, "<86>sealock-kmsd: {\"eventVersion\""), text);
	assert_string_equal(text + len - 2, "\"}");
	const char *log = audit_read(path);
	assert_non_null(strstr(log, strchr(text, '{')));
	close(fd);
}

static void
log_that_is_not_there_is_found_when_it_comes(void **state)
{
	(void)state;
	char text[4096];

	if (strlen(sock_path) > 100)
		skip();
	use_syslog();
	add_and_flush("1");
	assert_false(state_of().second_ok);
	int fd = listen_at(10);
	kms_audit_tick(audit);
	assert_true(recv(fd, text, sizeof(text), 0) > 0);
	assert_true(state_of().second_ok);
	close(fd);
}

static void
log_that_takes_nothing_any_more_is_not_waited_for(void **state)
{
	(void)state;
	int fd = listen_at(10);

	use_syslog();
	for (int i = 0; i < 2000; i++)
		add_and_flush("1");
	assert_int_equal(audit_sound(path), 2000);
	/* And where the file fails, too, the deadline ends it. */
	faultfs_init(&ff, slk_fs_posix(), FAULTFS_WRITE, 1, true, SLK_IO);
	add("2");
	assert_int_equal(kms_audit_begin(audit, &err), SLK_AGAIN);
	assert_true(kms_audit_wake_ns(audit) < mono_ns + KMS_AUDIT_DEADLINE_NS);
	mono_ns += KMS_AUDIT_DEADLINE_NS;
	assert_int_equal(kms_audit_poll(audit, 0, &err), SLK_UNAVAILABLE);
	close(fd);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(both_have_the_same_lines),
		CASE(second_answers_where_the_first_fails_and_the_first_gets_its_lines_later),
		CASE(first_answers_where_the_second_fails),
		CASE(nothing_is_answered_where_both_fail),
		CASE(second_answers_at_the_deadline_where_the_first_hangs),
		CASE(wedged_second_holds_up_nobody_and_says_what_it_missed),
		CASE(both_hang_and_nobody_waits_longer_than_the_deadline),
		CASE(chain_goes_on_from_the_second_if_the_first_lost_its_end),
		CASE(lines_go_to_the_systems_log_as_they_are),
		CASE(log_that_is_not_there_is_found_when_it_comes),
		CASE(log_that_takes_nothing_any_more_is_not_waited_for),
	};

	return cmocka_run_group_tests_name("kms_audit_second", tests, NULL, NULL);
}
