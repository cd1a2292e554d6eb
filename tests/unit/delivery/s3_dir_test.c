/* A directory as a store: whole objects or none whichever call fails, and no key leaves the root. */
#include "slk_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "s3_dir.h"
#include "tempdir.h"

static char root[256], outside[300], store[300];

static int
setup(void **state)
{
	(void)state;
	tempdir_make(root, sizeof(root));
	snprintf(outside, sizeof(outside), "%s/outside", root);
	snprintf(store, sizeof(store), "%s/store", root);
	assert_int_equal(mkdir(outside, 0700), 0);
	assert_int_equal(mkdir(store, 0700), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tempdir_remove(root);
	return 0;
}

static size_t
read_path(const char *path, char *out, size_t cap)
{
	FILE *f = fopen(path, "r");

	if (f == NULL)
		return SIZE_MAX;
	size_t len = fread(out, 1, cap - 1, f);
	out[len] = '\0';
	fclose(f);
	return len;
}

static void
assert_file(const char *name, const char *text)
{
	char path[1024], got[256];

	snprintf(path, sizeof(path), "%s/%s", store, name);
	if (read_path(path, got, sizeof(got)) == SIZE_MAX)
		fail_msg("%s is not there", path);
	assert_string_equal(got, text);
}

static bool
is_there(const char *base, const char *name)
{
	char path[1024];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	return lstat(path, &st) == 0;
}

static unsigned
entries(const char *path)
{
	unsigned count = 0;
	DIR *dir = opendir(path);

	assert_non_null(dir);
	for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
		count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return count;
}

static struct dlv_dir *
open_store(const char *bucket, const struct dlv_dir_sys *sys)
{
	struct dlv_dir *dir = NULL;

	assert_ok(dlv_dir_open(store, bucket, sys, &dir, NULL));
	return dir;
}

static struct dlv_result
put(struct dlv_dir *dir, const char *key, const char *body, const char *sidecar)
{
	struct dlv_result result;

	dlv_dir_put(dir, key, slk_span_str(body), slk_span_str(sidecar), &result);
	return result;
}

/* --- what goes well --- */

static void
objects_lie_as_their_keys_say(void **state)
{
	(void)state;
	struct dlv_dir *dir = open_store(NULL, NULL);
	struct stat st;
	char path[600];

	assert_int_equal(put(dir, "2026/11/24/name-1.gz", "body", "").outcome, DLV_DELIVERED);
	assert_int_equal(put(dir, "plain", "x", "{}").outcome, DLV_DELIVERED);
	assert_int_equal(put(dir, "/a//b/slashes", "y", "").outcome, DLV_DELIVERED);
	assert_int_equal(put(dir, "...", "dots", "").outcome, DLV_DELIVERED);
	assert_int_equal(put(dir, "empty", "", "").outcome, DLV_DELIVERED);
	assert_file("2026/11/24/name-1.gz", "body");
	assert_file("plain", "x");
	assert_file("plain.meta.json", "{}");
	assert_file("a/b/slashes", "y");
	assert_file("...", "dots");
	assert_file("empty", "");
	assert_false(is_there(store, "2026/11/24/name-1.gz.meta.json"));
	snprintf(path, sizeof(path), "%s/plain", store);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	snprintf(path, sizeof(path), "%s/2026/11", store);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	snprintf(path, sizeof(path), "%s/2026/11/24", store);
	assert_int_equal(entries(path), 1);
	dlv_dir_close(dir);
}

static void
the_group_of_the_root_is_handed_on(void **state)
{
	(void)state;
	struct dlv_dir *dir = NULL;
	struct stat st;
	char path[600];

	snprintf(path, sizeof(path), "%s/shared", root);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 02770), 0);
	assert_ok(dlv_dir_open(path, NULL, NULL, &dir, NULL));
	assert_int_equal(put(dir, "a/b/k", "x", "").outcome, DLV_DELIVERED);
	strcat(path, "/a/b");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 02750);
	dlv_dir_close(dir);
}

static void
the_same_key_again_replaces_it(void **state)
{
	(void)state;
	struct dlv_dir *dir = open_store(NULL, NULL);

	assert_int_equal(put(dir, "again/k", "first", "{1}").outcome, DLV_DELIVERED);
	assert_int_equal(put(dir, "again/k", "second", "{2}").outcome, DLV_DELIVERED);
	assert_file("again/k", "second");
	assert_file("again/k.meta.json", "{2}");
	dlv_dir_close(dir);
}

static void
what_a_crash_left_is_written_over(void **state)
{
	(void)state;
	struct dlv_dir *dir = open_store(NULL, NULL);
	char path[600];

	snprintf(path, sizeof(path), "%s/.crashed.part", store);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs("half of a longer object", f);
	fclose(f);
	assert_int_equal(put(dir, "crashed", "whole", "").outcome, DLV_DELIVERED);
	assert_file("crashed", "whole");
	assert_false(is_there(store, ".crashed.part"));
	dlv_dir_close(dir);
}

static void
buckets_of_a_pattern_have_directories_of_their_own(void **state)
{
	(void)state;
	struct dlv_dir *one = open_store("bucket-1", NULL), *two = open_store("bucket-2", NULL);

	assert_int_equal(put(one, "k", "1", "").outcome, DLV_DELIVERED);
	assert_int_equal(put(two, "k", "2", "").outcome, DLV_DELIVERED);
	assert_file("bucket-1/k", "1");
	assert_file("bucket-2/k", "2");
	dlv_dir_close(one);
	dlv_dir_close(two);
}

/* --- hostile keys --- */

static void
no_key_leaves_the_root(void **state)
{
	(void)state;
	static const char *const keys[] = {"../outside/x", "a/../../outside/x", "..", "a/..",
		"a/../b", ".", "./x", "a/./x", "", "/", "a/", "///", "/.."};
	struct dlv_dir *dir = open_store("hostile", NULL);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct dlv_result r = put(dir, keys[i], "evil", "");
		if (r.outcome != DLV_REFUSED || strcmp(r.code, "File.BadKey") != 0)
			fail_msg("%s: %d %s", keys[i], (int)r.outcome, r.code);
		assert_non_null(strstr(r.error.text, "mend the prefix"));
	}
	assert_int_equal(entries(outside), 0);
	assert_false(is_there(store, "hostile"));
	dlv_dir_close(dir);
}

static void
links_are_not_followed(void **state)
{
	(void)state;
	struct dlv_dir *dir = open_store(NULL, NULL);
	char path[600], target[600];

	snprintf(path, sizeof(path), "%s/link", store);
	assert_int_equal(symlink(outside, path), 0);
	struct dlv_result r = put(dir, "link/x", "evil", "");
	assert_int_equal(r.outcome, DLV_REFUSED);
	assert_string_equal(r.code, "File.BadKey");
	r = put(dir, "link/deep/x", "evil", "");
	assert_int_equal(r.outcome, DLV_REFUSED);
	/* In place of the file itself: the link is replaced, what it points to is not touched. */
	snprintf(target, sizeof(target), "%s/victim", outside);
	snprintf(path, sizeof(path), "%s/.name.part", store);
	assert_int_equal(symlink(target, path), 0);
	snprintf(path, sizeof(path), "%s/name", store);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(put(dir, "name", "body", "").outcome, DLV_DELIVERED);
	assert_file("name", "body");
	assert_int_equal(entries(outside), 0);
	dlv_dir_close(dir);
}

static void
a_part_that_is_too_long_or_a_file_is_refused(void **state)
{
	(void)state;
	struct dlv_dir *dir = open_store(NULL, NULL);
	char key[600];

	memset(key, 'k', 241);
	key[241] = '\0';
	struct dlv_result r = put(dir, key, "x", "");
	assert_int_equal(r.outcome, DLV_REFUSED);
	assert_string_equal(r.code, "File.BadKey");
	key[240] = '\0';
	assert_int_equal(put(dir, key, "x", "{}").outcome, DLV_DELIVERED);
	assert_int_equal(put(dir, "file", "x", "").outcome, DLV_DELIVERED);
	r = put(dir, "file/below", "x", "");
	assert_int_equal(r.outcome, DLV_REFUSED);
	assert_string_equal(r.code, "File.BadKey");
	assert_int_equal(put(dir, "file/", "x", "").outcome, DLV_REFUSED);
	dlv_dir_close(dir);
}

/* --- faults --- */

static struct {
	unsigned calls, fail_at; /* 0: never */
	bool for_ever;
	int err;
	const char *only; /* NULL: any call */
	int open_fds;
} fault;

static bool
fails(const char *call)
{
	if (fault.only != NULL && strcmp(call, fault.only) != 0)
		return false;
	fault.calls++;
	if (fault.fail_at == 0 || fault.calls < fault.fail_at ||
		(fault.calls > fault.fail_at && !fault.for_ever))
		return false;
	errno = fault.err;
	return true;
}

#define REAL dlv_dir_posix()
static int
bad_open(void *ctx, int dir_fd, const char *name, int flags, unsigned mode)
{
	if (fails("open"))
		return -1;
	int fd = REAL->open_beneath(ctx, dir_fd, name, flags, mode);
	fault.open_fds += fd >= 0;
	return fd;
}

static int
bad_mkdir(void *ctx, int dir_fd, const char *name, unsigned mode)
{
	return fails("mkdir") ? -1 : REAL->mkdir(ctx, dir_fd, name, mode);
}

static int
bad_chmod(void *ctx, int fd, unsigned mode)
{
	return fails("chmod") ? -1 : REAL->chmod(ctx, fd, mode);
}

static ssize_t
bad_write(void *ctx, int fd, const void *bytes, size_t len)
{
	/* Short, too: three bytes at a time. */
	return fails("write") ? -1 : REAL->write(ctx, fd, bytes, len < 3 ? len : 3);
}

static int
bad_direct(void *ctx, int fd, bool on)
{
	return fails("direct") ? -1 : REAL->direct(ctx, fd, on);
}

static int
bad_start(void *ctx, int fd)
{
	return fails("start") ? -1 : REAL->start(ctx, fd);
}

static int
bad_sync(void *ctx, int fd)
{
	return fails("sync") ? -1 : REAL->sync(ctx, fd);
}

static int
bad_rename(void *ctx, int dir_fd, const char *from, const char *to)
{
	return fails("rename") ? -1 : REAL->rename(ctx, dir_fd, from, to);
}

static int
bad_unlink(void *ctx, int dir_fd, const char *name)
{
	return fails("unlink") ? -1 : REAL->unlink(ctx, dir_fd, name);
}

static int
bad_close(void *ctx, int fd)
{
	bool failing = fails("close");

	fault.open_fds--;
	(void)REAL->close(ctx, fd);
	return failing ? -1 : 0;
}

static const struct dlv_dir_sys bad_sys = {bad_open, bad_mkdir, bad_chmod, bad_write, bad_direct,
	bad_start, bad_sync, bad_rename, bad_unlink, bad_close, NULL};

/* The object and its sidecar, or neither of the two readable as a pair; then a try without faults mends it. */
static void
with_fault(unsigned n, bool for_ever, int err, bool *out_passed)
{
	struct dlv_dir *dir = open_store(NULL, &bad_sys);
	char key[64], file[600], got[64];

	snprintf(key, sizeof(key), "fault%d-%d/%u/deep/k", err, for_ever, n);
	snprintf(file, sizeof(file), "%s/%s", store, key);
	fault = (__typeof__(fault)){.fail_at = n, .for_ever = for_ever, .err = err};
	struct dlv_result r = put(dir, key, "the whole body", "{\"meta\":1}");
	*out_passed = fault.calls < n;
	/* dlv_dir_put() closes one descriptor that is no open_beneath's: the copy of the root's. */
	assert_in_range(fault.open_fds + 1, 0, 1);
	if (r.outcome == DLV_DELIVERED) {
		assert_int_equal(read_path(file, got, sizeof(got)), 14);
	} else {
		assert_string_not_equal(r.error.text, "");
		assert_int_equal(strncmp(r.code, "File.", 5), 0);
		if (read_path(file, got, sizeof(got)) != SIZE_MAX) {
			/* Only the last flush may fail with the object in its place. */
			assert_string_equal(got, "the whole body");
			assert_non_null(strstr(r.error.text, "flush the directory"));
		}
	}
	fault.fail_at = 0;
	assert_int_equal(put(dir, key, "the whole body", "{\"meta\":1}").outcome, DLV_DELIVERED);
	assert_int_equal(read_path(file, got, sizeof(got)), 14);
	strcat(file, ".meta.json");
	assert_int_equal(read_path(file, got, sizeof(got)), 10);
	*strrchr(file, '/') = '\0';
	assert_int_equal(entries(file), 2);
	dlv_dir_close(dir);
}

static void
whichever_call_fails_the_object_is_whole_or_not_there(void **state)
{
	(void)state;
	static const int errors[] = {EIO, ENOSPC, EROFS, EACCES};

	for (size_t e = 0; e < 4; e++) {
		for (int for_ever = 0; for_ever <= 1; for_ever++) {
			bool passed = false;
			unsigned n = 1;
			for (; !passed; n++)
				with_fault(n, for_ever == 1, errors[e], &passed);
			assert_true(n > 20);
		}
	}
}

static void
each_cause_has_its_outcome(void **state)
{
	(void)state;
	static const struct {
		const char *call;
		int err;
		enum dlv_outcome outcome;
		const char *code;
	} cases[] = {{"write", ENOSPC, DLV_FAILED, "File.DiskFull"},
		{"write", EDQUOT, DLV_FAILED, "File.DiskFull"},
		{"sync", EIO, DLV_FAILED, "File.Io"}, {"open", EROFS, DLV_REFUSED, "File.ReadOnly"},
		{"mkdir", EROFS, DLV_REFUSED, "File.ReadOnly"},
		{"mkdir", EACCES, DLV_REFUSED, "File.AccessDenied"},
		{"rename", ENOSPC, DLV_FAILED, "File.DiskFull"},
		{"write", EINTR, DLV_DELIVERED, ""}, {"start", EIO, DLV_DELIVERED, ""}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dlv_dir *dir = open_store(NULL, &bad_sys);
		char key[64];
		snprintf(key, sizeof(key), "cause-%zu/k", i);
		fault = (__typeof__(fault)){
			.fail_at = 1, .err = cases[i].err, .only = cases[i].call};
		struct dlv_result r = put(dir, key, "body", "");
		assert_int_equal(r.outcome, cases[i].outcome);
		assert_string_equal(r.code, cases[i].code);
		dlv_dir_close(dir);
	}
	fault = (__typeof__(fault)){.fail_at = 0};
}

/* --- large objects, past the page cache --- */

static struct {
	bool on, refuses; /* writes that are not copied: EINVAL */
	size_t odd; /* the first one of them ends so early; 0: it does not */
	unsigned direct, copied;
} way;

static int
way_direct(void *ctx, int fd, bool on)
{
	way.on = on;
	return way.refuses ? 0 : REAL->direct(ctx, fd, on);
}

static ssize_t
way_write(void *ctx, int fd, const void *bytes, size_t len)
{
	way.direct += way.on;
	way.copied += !way.on;
	if (way.on && way.refuses) {
		errno = EINVAL;
		return -1;
	}
	if (way.on && way.odd > 0) {
		struct slk_span part = slk_span(bytes, way.odd);
		way.odd = 0;
		/* Really copied: the test's disk may not end so. */
		if (REAL->direct(ctx, fd, false) != 0)
			return -1;
		return REAL->write(ctx, fd, part.ptr, part.len);
	}
	return REAL->write(ctx, fd, bytes, len);
}

static void
assert_large(const char *name, const uint8_t *bytes, size_t len)
{
	char path[600];
	uint8_t *got = malloc(len + 1);

	assert_non_null(got);
	snprintf(path, sizeof(path), "%s/%s", store, name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(got, 1, len + 1, f), len);
	assert_memory_equal(got, bytes, len);
	fclose(f);
	free(got);
}

static void
put_large(const char *key, const uint8_t *bytes, size_t len)
{
	struct dlv_dir_sys sys = *dlv_dir_posix();
	struct dlv_result result;

	sys.direct = way_direct;
	sys.write = way_write;
	struct dlv_dir *dir = open_store(NULL, &sys);
	dlv_dir_put(dir, key, slk_span(bytes, len), slk_span_str("{}"), &result);
	assert_int_equal(result.outcome, DLV_DELIVERED);
	assert_large(key, bytes, len);
	dlv_dir_close(dir);
}

static void
large_objects_are_whole_whichever_way_they_go(void **state)
{
	(void)state;
	static const size_t lengths[] = {(1u << 20) - 1, 1u << 20, (1u << 20) + 1,
		(9u << 20) + 4095, (9u << 20) + 4096, 10u << 20};
	uint8_t *bytes = aligned_alloc(4096, 11u << 20);

	assert_non_null(bytes);
	for (size_t i = 0; i < 11u << 20; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 24);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		way = (__typeof__(way)){0};
		put_large("large/own-way", bytes, lengths[i]);
		assert_int_equal(way.direct > 0, lengths[i] >= 1u << 20);
		way = (__typeof__(way)){.refuses = true};
		put_large("large/refused", bytes, lengths[i]);
		assert_true(way.direct <= 1);
		assert_true(way.copied > 1);
		way = (__typeof__(way)){.odd = 12345};
		put_large("large/odd", bytes, lengths[i]);
		way = (__typeof__(way)){0};
		put_large("large/not-aligned", bytes + 8, lengths[i]);
		assert_int_equal(way.direct, 0);
	}
	free(bytes);
}

static void
a_root_that_is_none_is_a_fault_of_configuration(void **state)
{
	(void)state;
	struct dlv_dir *dir = NULL;
	struct slk_error err;
	char path[600];

	snprintf(path, sizeof(path), "%s/missing", root);
	assert_int_equal(dlv_dir_open(path, NULL, NULL, &dir, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, path));
	assert_null(dir);
	dlv_dir_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_lie_as_their_keys_say),
		cmocka_unit_test(the_group_of_the_root_is_handed_on),
		cmocka_unit_test(the_same_key_again_replaces_it),
		cmocka_unit_test(what_a_crash_left_is_written_over),
		cmocka_unit_test(buckets_of_a_pattern_have_directories_of_their_own),
		cmocka_unit_test(no_key_leaves_the_root),
		cmocka_unit_test(links_are_not_followed),
		cmocka_unit_test(a_part_that_is_too_long_or_a_file_is_refused),
		cmocka_unit_test(whichever_call_fails_the_object_is_whole_or_not_there),
		cmocka_unit_test(each_cause_has_its_outcome),
		cmocka_unit_test(large_objects_are_whole_whichever_way_they_go),
		cmocka_unit_test(a_root_that_is_none_is_a_fault_of_configuration),
	};

	return cmocka_run_group_tests_name("delivery/s3_dir", tests, setup, teardown);
}
