/* The watermark page, read while its writer is anywhere. */
#include "slk_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "journal/mark.h"
#include "tempdir.h"

static char dir[256];
static struct jnl_mark mark;
static const struct fmt_watermark first = {.file_id = 1, .position = 4096, .records = 7, .pid = 1};

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	assert_ok(jnl_mark_open(&mark, slk_fs_posix(), true, dir, 0, NULL));
	assert_ok(jnl_mark_set(&mark, &first));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	jnl_mark_close(&mark);
	tempdir_remove(dir);
	return 0;
}

/* As a writer leaves the page that was preempted, or died, in the middle of a change. */
static void
half_change(void)
{
	slk_put_le64(mark.map + 8, mark.now.change_count + 1);
}

static void
end_change(void)
{
	slk_put_le64(mark.map + 8, mark.now.change_count);
}

static void
what_was_set_is_read(void **state)
{
	(void)state;
	struct fmt_watermark got;
	assert_ok(jnl_mark_load(slk_fs_posix(), dir, 0, true, &got));
	assert_int_equal(got.records, 7);
	assert_int_equal(jnl_mark_load(slk_fs_posix(), dir, 1, true, &got), SLK_NOT_FOUND);
}

static void *
preempted_writer(void *in_change)
{
	static const struct timespec slice = {.tv_nsec = 20 * 1000 * 1000};
	half_change();
	sem_post(in_change);
	nanosleep(&slice, NULL);
	end_change();
	return NULL;
}

static void
a_writer_that_was_preempted_in_a_change_is_waited_for(void **state)
{
	(void)state;
	struct fmt_watermark got;
	pthread_t writer;
	sem_t in_change;
	assert_int_equal(sem_init(&in_change, 0, 0), 0);
	assert_int_equal(pthread_create(&writer, NULL, preempted_writer, &in_change), 0);
	assert_int_equal(sem_wait(&in_change), 0);
	assert_ok(jnl_mark_load(slk_fs_posix(), dir, 0, true, &got));
	assert_int_equal(got.records, 7);
	assert_int_equal(pthread_join(writer, NULL), 0);
	sem_destroy(&in_change);
}

static void
a_writer_that_died_in_a_change_is_not_waited_for_for_ever(void **state)
{
	(void)state;
	struct fmt_watermark got = {.records = 99};
	half_change();
	assert_int_equal(jnl_mark_load(slk_fs_posix(), dir, 0, true, &got), SLK_CORRUPT);
	assert_int_equal(jnl_mark_load(slk_fs_posix(), dir, 0, false, &got), SLK_CORRUPT);
	assert_int_equal(got.records, 99);
}

/* The file system fails beneath the mapped page: a store raises SIGBUS, which must end in an error and not in a dead process. */
static void
a_page_whose_disk_failed_is_an_error(void **state)
{
	(void)state;
	struct fmt_watermark next = first;
	char path[300];

	/* Anew: between setup and test cmocka puts handlers of its own. */
	jnl_mark_close(&mark);
	assert_ok(jnl_mark_open(&mark, slk_fs_posix(), true, dir, 0, NULL));
	snprintf(path, sizeof(path), "%s/watermark", dir);
	assert_int_equal(truncate(path, 0), 0);
	next.position = 8192;
	assert_int_equal(jnl_mark_set(&mark, &next), SLK_IO);
	assert_int_equal(jnl_mark_set(&mark, &next), SLK_IO); /* for good */
	jnl_mark_close(&mark);
	assert_ok(jnl_mark_open(&mark, slk_fs_posix(), true, dir, 0, NULL));
	assert_ok(jnl_mark_set(&mark, &next));
}

/* Somebody else's SIGBUS is not hidden. */
static void
another_sigbus_goes_its_way(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		char path[300];
		struct jnl_mark other;
		(void)signal(SIGBUS, SIG_DFL);
		snprintf(path, sizeof(path), "%s/other", dir);
		int fd = open(path, O_RDWR | O_CREAT, 0600);
		if (fd < 0 || jnl_mark_open(&other, slk_fs_posix(), true, dir, 2, NULL) != SLK_OK)
			_exit(1);
		volatile char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		(void)raise(SIGBUS);
		*p = 1;
		_exit(2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_was_set_is_read),
		T(a_writer_that_was_preempted_in_a_change_is_waited_for),
		T(a_writer_that_died_in_a_change_is_not_waited_for_for_ever),
		T(a_page_whose_disk_failed_is_an_error),
		T(another_sigbus_goes_its_way),
	};

	return cmocka_run_group_tests_name("journal_mark", tests, NULL, NULL);
}
