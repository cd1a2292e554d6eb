/* Writing side files: whole or not at all, whatever fails and whenever it is killed. */
#include "slk_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faultfs.h"
#include "journal/inspect.h"
#include "rewrap_rig.h"

static struct rewrap_rig rig;
static char name[FMT_REWRAP_NAME_MAX];
static struct slk_error err;

static int
setup(void **state)
{
	(void)state;
	rewrap_rig_start(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rewrap_rig_stop(&rig);
	return 0;
}

static struct jnl_rewrap_writer *
new_writer(const struct slk_fs *fs)
{
	const struct jnl_rewrap_writer_config config = {
		.dir = rig.dir, .fs = fs, .trusted = rig.trusted};
	struct jnl_rewrap_writer *w = NULL;

	assert_ok(jnl_rewrap_writer_new(&config, &w, &err));
	return w;
}

static bool
is_there(const char *file)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", rig.dir, file);
	return access(path, F_OK) == 0;
}

static int
add_id(struct jnl_rewrap_writer *w, uint64_t epoch_id)
{
	const struct fmt_rewrap_entry e = {epoch_id, RIG_STREAM, rig.epochs[0].commitment,
		slk_span_str("arn:key/B"), slk_span_str("wrapped")};

	return jnl_rewrap_writer_add(w, &e);
}

static void
lane_files_stay_as_they_are_byte_for_byte(void **state)
{
	(void)state;
	uint8_t before[32], after[32];

	rewrap_rig_hash(&rig, before);
	rewrap_rig_write(&rig, 'B', false, name);
	rewrap_rig_hash(&rig, after);
	assert_memory_equal(before, after, sizeof(before));
}

static void
a_side_file_has_the_mode_and_group_of_lane_files(void **state)
{
	(void)state;
	char path[600];
	struct stat st;

	if (geteuid() == 0)
		assert_int_equal(chown(rig.dir, 0, 64912), 0);
	assert_int_equal(chmod(rig.dir, 02750), 0);
	mode_t old = umask(077);
	rewrap_rig_write(&rig, 'B', false, name);
	umask(old);
	snprintf(path, sizeof(path), "%s/%s", rig.dir, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	if (geteuid() == 0)
		assert_int_equal(st.st_gid, 64912);
	assert_false(is_there("rewrap.new"));
}

static void
entries_are_sorted_and_numbers_go_on(void **state)
{
	(void)state;
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	struct jnl_rewrap_writer *w = new_writer(NULL);
	static uint8_t bytes[65536];
	struct fmt_rewrap f;

	for (uint64_t id = 200; id > 0; id--)
		assert_ok(add_id(w, id * 3));
	assert_int_equal(jnl_rewrap_writer_count(w), 200);
	assert_ok(jnl_rewrap_writer_commit(w, r, rewrap_rig_attest, &rig, name, &err));
	assert_int_equal(jnl_rewrap_writer_count(w), 0);
	size_t len = rewrap_rig_slurp(&rig, name, bytes, sizeof(bytes));
	assert_ok(fmt_rewrap_decode(slk_span(bytes, len), &f)); /* order included */
	assert_int_equal(f.header.count, 200);
	assert_ok(jnl_rewraps_refresh(r, &err));
	assert_ok(add_id(w, 7));
	assert_ok(jnl_rewrap_writer_commit(w, r, rewrap_rig_attest, &rig, name, &err));
	assert_string_equal(name, "rewrap-00000000000000000002.slr");
	assert_ok(jnl_rewraps_refresh(r, &err));
	assert_true(jnl_rewraps_file(r, 1)->chained);
	jnl_rewrap_writer_free(w);
	jnl_rewraps_free(r);
}

static void
an_epoch_twice_or_no_entry_is_refused(void **state)
{
	(void)state;
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	struct jnl_rewrap_writer *w = new_writer(NULL);

	assert_int_equal(
		jnl_rewrap_writer_commit(w, r, rewrap_rig_attest, &rig, name, &err), SLK_INVALID);
	assert_ok(add_id(w, 7));
	assert_ok(add_id(w, 7));
	assert_int_equal(
		jnl_rewrap_writer_commit(w, r, rewrap_rig_attest, &rig, name, &err), SLK_INVALID);
	jnl_rewrap_writer_free(w);
	assert_false(is_there("rewrap-00000000000000000001.slr"));
	jnl_rewraps_free(r);
}

static void
a_full_file_asks_for_a_commit(void **state)
{
	(void)state;
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	struct jnl_rewrap_writer *w = new_writer(NULL);

	for (uint64_t id = 1; id <= FMT_REWRAP_ENTRIES_MAX; id++)
		assert_ok(add_id(w, id));
	assert_int_equal(add_id(w, FMT_REWRAP_ENTRIES_MAX + 1), SLK_FULL);
	assert_ok(jnl_rewrap_writer_commit(w, r, rewrap_rig_attest, &rig, name, &err));
	assert_ok(add_id(w, FMT_REWRAP_ENTRIES_MAX + 1));
	assert_ok(jnl_rewraps_refresh(r, &err));
	assert_int_equal(jnl_rewraps_file(r, 0)->count, FMT_REWRAP_ENTRIES_MAX);
	jnl_rewrap_writer_free(w);
	jnl_rewraps_free(r);
}

static void
one_writer_at_a_time(void **state)
{
	(void)state;
	const struct jnl_rewrap_writer_config config = {.dir = rig.dir};
	struct jnl_rewrap_writer *first = new_writer(NULL), *second = NULL;

	assert_int_equal(jnl_rewrap_writer_new(&config, &second, &err), SLK_EXISTS);
	assert_null(second);
	assert_non_null(strstr(err.text, rig.dir));
	jnl_rewrap_writer_free(first);
	assert_ok(jnl_rewrap_writer_new(&config, &second, &err));
	jnl_rewrap_writer_free(second);
}

static void
a_journal_that_is_being_written_is_no_obstacle(void **state)
{
	(void)state;
	const struct jnl_config config = {.dir = rig.dir,
		.lane_count = 1,
		.file_bytes = 1u << 20,
		.group_bytes = 128 * 1024,
		.group_count = 4,
		.reserve_bytes = 1,
		.io = "sync"};
	struct jnl_recovery report;
	struct jnl *j = NULL;

	assert_ok(jnl_open(&config, &j, &report, &err));
	rewrap_rig_write(&rig, 'B', false, name);
	jnl_close(j);
	assert_ok(jnl_open(&config, &j, &report, &err)); /* and recovery passes side files by */
	jnl_close(j);
	assert_int_equal(rewrap_rig_state(&rig, true), JNL_REWRAP_SIGNED);
}

/* --- signing --- */

static int
attest_wrongly(
	void *ctx, const uint8_t digest[32], struct jnl_attestation *out, struct slk_error *e)
{
	int rc = rewrap_rig_attest(ctx, digest, out, e);

	out->signature[out->signature_len - 1] ^= 1;
	return rc;
}

static int
attest_never(void *ctx, const uint8_t digest[32], struct jnl_attestation *out, struct slk_error *e)
{
	(void)ctx;
	(void)digest;
	(void)out;
	return slk_fail(e, SLK_DENIED, "user/bob may not sealock:Attest");
}

static void
without_a_right_signature_nothing_is_written(void **state)
{
	(void)state;
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	struct jnl_rewrap_writer *w = new_writer(NULL);

	rewrap_rig_add_all(&rig, w, 'B', false);
	assert_int_equal(
		jnl_rewrap_writer_commit(w, r, attest_never, &rig, name, &err), SLK_DENIED);
	assert_non_null(strstr(err.text, "user/bob"));
	assert_int_equal(
		jnl_rewrap_writer_commit(w, r, attest_wrongly, &rig, name, &err), SLK_BAD_TAG);
	rig.signer = &rig.theirs;
	assert_int_equal(
		jnl_rewrap_writer_commit(w, r, rewrap_rig_attest, &rig, name, &err), SLK_BAD_TAG);
	assert_false(is_there("rewrap.new"));
	assert_false(is_there("rewrap-00000000000000000001.slr"));
	rig.signer = &rig.ours; /* the entries are still there */
	assert_ok(jnl_rewrap_writer_commit(w, r, rewrap_rig_attest, &rig, name, &err));
	jnl_rewrap_writer_free(w);
	jnl_rewraps_free(r);
	assert_int_equal(rewrap_rig_state(&rig, true), JNL_REWRAP_SIGNED);
}

/* --- faults --- */

/* Old: B's file alone serves. New: C's whole file is there. Nothing else may be. */
static void
check_old_or_new(bool must_be_new)
{
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	size_t count = jnl_rewraps_count(r);

	assert_true(count == 1 || count == 2);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(jnl_rewraps_file(r, i)->state, JNL_REWRAP_SIGNED);
		assert_int_equal(jnl_rewraps_file(r, i)->count, RIG_EPOCHS);
		assert_true(jnl_rewraps_file(r, i)->chained);
	}
	if (must_be_new)
		assert_int_equal(count, 2);
	for (unsigned i = 0; i < RIG_EPOCHS; i++) {
		assert_ok(rewrap_rig_open(&rig, r, i, NULL));
		assert_string_equal(rig.asked, count == 2 ? "C" : "B");
	}
	jnl_rewraps_free(r);
}

static void
remove_second(void)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/rewrap-00000000000000000002.slr", rig.dir);
	(void)unlink(path);
}

static int
write_second(const struct slk_fs *fs)
{
	const struct jnl_rewrap_writer_config config = {
		.dir = rig.dir, .fs = fs, .trusted = rig.trusted};
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	struct jnl_rewrap_writer *w = NULL;

	memset(&err, 0, sizeof(err));
	int rc = jnl_rewrap_writer_new(&config, &w, &err);
	if (rc == SLK_OK) {
		rewrap_rig_add_all(&rig, w, 'C', false);
		rc = jnl_rewrap_writer_commit(w, r, rewrap_rig_attest, &rig, name, &err);
	}
	jnl_rewrap_writer_free(w);
	jnl_rewraps_free(r);
	return rc;
}

static void
every_call_that_fails_leaves_the_old_or_the_new_state(void **state)
{
	(void)state;
	static const int faults[] = {SLK_DISK_FULL, SLK_IO};
	unsigned completed = 0, failures = 0;

	rewrap_rig_write(&rig, 'B', false, name);
	for (unsigned kind = 0; kind < 4; kind++) {
		for (uint64_t n = 1;; n++) {
			struct faultfs ff;
			faultfs_init(
				&ff, slk_fs_posix(), FAULTFS_ALL, n, kind >= 2, faults[kind % 2]);
			int rc = write_second(&ff.fs);
			check_old_or_new(rc == SLK_OK);
			if (rc != SLK_OK) {
				failures++;
				assert_int_equal(rc, faults[kind % 2]);
				assert_non_null(strstr(err.text, rig.dir));
			}
			remove_second();
			if (!faultfs_hit(&ff)) {
				assert_ok(rc);
				completed++;
				break;
			}
		}
	}
	assert_int_equal(completed, 4);
	assert_true(
		failures >= 4 * 5); /* unlink, open, write, flush, rename, flush of the directory */
	assert_ok(write_second(NULL)); /* whatever was left over is no obstacle */
	check_old_or_new(true);
}

/* --- kill -9 --- */

/* Passes on, and kills this process at the n-th call: before it, or after it. */
static struct {
	uint64_t at, calls;
	bool after;
} killer;

#define KILL_AT(op, params, args) \
	static int kill_##op params \
	{ \
		bool now = ++killer.calls == killer.at; \
		if (now && !killer.after) \
			(void)raise(SIGKILL); \
		int rc = slk_fs_posix()->op args; \
		if (now) \
			(void)raise(SIGKILL); \
		return rc; \
	}
KILL_AT(open, (void *ctx, const char *p, int f, unsigned m, int *fd), (ctx, p, f, m, fd))
KILL_AT(pwrite, (void *ctx, int fd, const void *b, size_t n, uint64_t at), (ctx, fd, b, n, at))
KILL_AT(sync, (void *ctx, int fd), (ctx, fd))
KILL_AT(rename, (void *ctx, const char *a, const char *b), (ctx, a, b))
KILL_AT(unlink, (void *ctx, const char *p), (ctx, p))
KILL_AT(sync_dir, (void *ctx, const char *p), (ctx, p))

static int
write_and_die(uint64_t at, bool after)
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct slk_fs fs = *slk_fs_posix();
		fs.open = kill_open;
		fs.pwrite = kill_pwrite;
		fs.sync = kill_sync;
		fs.rename = kill_rename;
		fs.unlink = kill_unlink;
		fs.sync_dir = kill_sync_dir;
		killer.at = at;
		killer.after = after;
		_exit(write_second(&fs) == SLK_OK ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void
a_kill_at_any_moment_leaves_the_old_or_the_new_state(void **state)
{
	(void)state;
	unsigned deaths = 0;

	rewrap_rig_write(&rig, 'B', false, name);
	for (uint64_t at = 1;; at++) {
		int status = 0;
		for (int after = 0; after < 2; after++) {
			status = write_and_die(at, after != 0);
			if (WIFSIGNALED(status)) {
				assert_int_equal(WTERMSIG(status), SIGKILL);
				deaths++;
			} else {
				assert_int_equal(WEXITSTATUS(status), 0);
			}
			check_old_or_new(!WIFSIGNALED(status));
			remove_second();
			assert_ok(write_second(NULL)); /* the lock died with its holder */
			check_old_or_new(true);
			remove_second();
		}
		if (!WIFSIGNALED(status))
			break;
	}
	assert_true(deaths >= 2 * 6);
}

/* --- key blocks --- */

struct listed {
	uint64_t ids[64];
	unsigned count;
};

static int
from_epochs(void *arg, const struct jnl_epoch_info *info)
{
	struct listed *l = arg;

	assert_true(l->count < 64);
	l->ids[l->count++] = info->epoch_id;
	return SLK_OK;
}

static int
from_file(void *arg, const struct jnl_file_info *file)
{
	for (uint32_t i = 0; i < file->epoch_count; i++)
		assert_ok(from_epochs(arg, &file->epochs[i]));
	return SLK_OK;
}

static void
key_blocks_are_found_by_the_footers(void **state)
{
	(void)state;
	struct listed by_footer = {.count = 0}, by_scan = {.count = 0};

	assert_ok(jnl_list_epochs(rig.dir, NULL, from_epochs, NULL, &by_footer, &err));
	assert_ok(jnl_list(rig.dir, NULL, from_file, NULL, &by_scan, &err));
	assert_int_equal(by_footer.count, RIG_EPOCHS);
	assert_int_equal(by_scan.count, RIG_EPOCHS);
	assert_memory_equal(by_footer.ids, by_scan.ids, sizeof(by_scan.ids[0]) * RIG_EPOCHS);
}

static int
stop_at_once(void *arg, const struct jnl_epoch_info *info)
{
	(void)info;
	++*(unsigned *)arg;
	return SLK_LIMIT;
}

static void
a_walk_over_key_blocks_can_be_stopped(void **state)
{
	(void)state;
	unsigned count = 0;

	assert_int_equal(
		jnl_list_epochs(rig.dir, NULL, stop_at_once, NULL, &count, &err), SLK_LIMIT);
	assert_int_equal(count, 1);
	assert_int_equal(
		jnl_list_epochs("/nowhere", NULL, stop_at_once, NULL, &count, &err), SLK_NOT_FOUND);
	assert_int_equal(count, 1);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(lane_files_stay_as_they_are_byte_for_byte),
		CASE(a_side_file_has_the_mode_and_group_of_lane_files),
		CASE(entries_are_sorted_and_numbers_go_on),
		CASE(an_epoch_twice_or_no_entry_is_refused),
		CASE(a_full_file_asks_for_a_commit),
		CASE(one_writer_at_a_time),
		CASE(a_journal_that_is_being_written_is_no_obstacle),
		CASE(without_a_right_signature_nothing_is_written),
		CASE(every_call_that_fails_leaves_the_old_or_the_new_state),
		CASE(a_kill_at_any_moment_leaves_the_old_or_the_new_state),
		CASE(key_blocks_are_found_by_the_footers),
		CASE(a_walk_over_key_blocks_can_be_stopped),
	};

	return cmocka_run_group_tests_name("journal_rewrap_write", tests, NULL, NULL);
}
