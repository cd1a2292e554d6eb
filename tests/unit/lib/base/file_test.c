#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "faultfs.h"
#include "tempdir.h"

static char dir[256];
static char path[300];

static int
make_dir(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

static void
bytes_come_back_from_where_they_went(void **state)
{
	(void)state;
	const struct slk_fs *fs = slk_fs_posix();
	char buf[16] = {0};
	size_t n = 0;
	uint64_t size = 0;
	int fd = -1;

	assert_ok(fs->open(fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0640, &fd));
	assert_ok(fs->pwrite(fs->ctx, fd, "hello", 5, 3));
	assert_ok(fs->datasync(fs->ctx, fd));
	assert_ok(fs->size(fs->ctx, fd, &size));
	assert_int_equal(size, 8);
	assert_ok(fs->pread(fs->ctx, fd, buf, sizeof(buf), 2, &n));
	assert_int_equal(n, 6);
	assert_memory_equal(buf, "\0hello", 6);
	assert_ok(fs->truncate(fs->ctx, fd, 1));
	assert_ok(fs->pread(fs->ctx, fd, buf, sizeof(buf), 4, &n));
	assert_int_equal(n, 0);
	assert_ok(fs->sync(fs->ctx, fd));
	assert_ok(fs->close(fs->ctx, fd));
	assert_ok(fs->sync_dir(fs->ctx, dir));
}

static void
create_refuses_what_exists_and_links(void **state)
{
	(void)state;
	const struct slk_fs *fs = slk_fs_posix();
	int fd = -1;

	assert_int_equal(fs->open(fs->ctx, path, SLK_OPEN_READ, 0, &fd), SLK_NOT_FOUND);
	assert_ok(fs->open(fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0600, &fd));
	assert_ok(fs->close(fs->ctx, fd));
	fd = -1;
	assert_int_equal(
		fs->open(fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0600, &fd), SLK_EXISTS);
	char link_path[300];
	snprintf(link_path, sizeof(link_path), "%s/link", dir);
	assert_int_equal(symlink(path, link_path), 0);
	assert_true(fs->open(fs->ctx, link_path, SLK_OPEN_READ, 0, &fd) < 0);
	assert_int_equal(fd, -1);
}

static void
direct_is_a_wish_that_tmpfs_may_refuse(void **state)
{
	(void)state;
	const struct slk_fs *fs = slk_fs_posix();
	int fd = -1;
	void *page = NULL;

	assert_int_equal(posix_memalign(&page, 4096, 4096), 0);
	memset(page, 7, 4096);
	assert_ok(fs->open(
		fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE | SLK_OPEN_DIRECT, 0600, &fd));
	assert_ok(fs->pwrite(fs->ctx, fd, page, 4096, 0));
	assert_ok(fs->close(fs->ctx, fd));
	free(page);
}

static int
count_entry(void *arg, const char *name)
{
	assert_string_not_equal(name, ".");
	(*(int *)arg)++;
	return 0;
}

static int
stop_at_once(void *arg, const char *name)
{
	(void)name;
	(*(int *)arg)++;
	return SLK_END;
}

static void
list_rename_unlink_and_space_work(void **state)
{
	(void)state;
	const struct slk_fs *fs = slk_fs_posix();
	char other[300];
	int fd = -1, count = 0;
	uint64_t space = 0;

	snprintf(other, sizeof(other), "%s/other", dir);
	assert_ok(fs->mkdir(fs->ctx, other, 0700));
	assert_ok(fs->open(fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0600, &fd));
	assert_ok(fs->close(fs->ctx, fd));
	assert_ok(fs->list(fs->ctx, dir, count_entry, &count));
	assert_int_equal(count, 2);
	count = 0;
	assert_int_equal(fs->list(fs->ctx, dir, stop_at_once, &count), SLK_END);
	assert_int_equal(count, 1);
	assert_int_equal(rmdir(other), 0);
	assert_ok(fs->rename(fs->ctx, path, other));
	assert_int_equal(fs->unlink(fs->ctx, path), SLK_NOT_FOUND);
	assert_ok(fs->unlink(fs->ctx, other));
	assert_ok(fs->space(fs->ctx, dir, &space));
	assert_true(space > 0);
}

static void
a_new_file_gets_the_mode_that_was_asked_for(void **state)
{
	(void)state;
	const struct slk_fs *fs = slk_fs_posix();
	struct stat st;
	int fd = -1;

	mode_t before = umask(077);
	assert_ok(fs->open(fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0640, &fd));
	umask(before);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_ok(fs->close(fs->ctx, fd));
}

static void
the_nth_call_fails_once(void **state)
{
	(void)state;
	struct faultfs ff;
	int fd = -1;

	faultfs_init(&ff, slk_fs_posix(), FAULTFS_SYNC, 2, false, SLK_IO);
	assert_ok(ff.fs.open(ff.fs.ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0600, &fd));
	assert_ok(ff.fs.datasync(ff.fs.ctx, fd));
	assert_int_equal(ff.fs.datasync(ff.fs.ctx, fd), SLK_IO);
	assert_ok(ff.fs.datasync(ff.fs.ctx, fd));
	assert_true(faultfs_hit(&ff));
	assert_ok(ff.fs.close(ff.fs.ctx, fd));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			bytes_come_back_from_where_they_went, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			create_refuses_what_exists_and_links, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			direct_is_a_wish_that_tmpfs_may_refuse, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			list_rename_unlink_and_space_work, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			a_new_file_gets_the_mode_that_was_asked_for, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(the_nth_call_fails_once, make_dir, remove_dir),
	};

	return cmocka_run_group_tests_name("base_file", tests, NULL, NULL);
}
