/* The error log: lines as JSON, two bounded files, faults of the disk. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errlog.h"
#include "faultfs.h"
#include "loop.h"
#include "tempdir.h"

static char root[256];
static struct dlv_loop *loop;

static int
setup(void **state)
{
	(void)state;
	tempdir_make(root, sizeof(root));
	assert_ok(dlv_loop_new(1, NULL, &loop, NULL));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dlv_loop_free(loop);
	tempdir_remove(root);
	return 0;
}

static struct dlv_errlog *
open_log(const struct slk_fs *fs)
{
	const struct dlv_errlog_config config = {.fs = fs,
		.state_dir = root,
		.name = "clicks",
		.arn = "arn:aws:firehose:local:000000000000:deliverystream/clicks",
		.delivery_id = 7,
		.loop = loop};
	struct dlv_errlog *log = NULL;

	assert_ok(dlv_errlog_new(&config, &log, NULL));
	return log;
}

static void
add(struct dlv_errlog *log, const char *message)
{
	static const struct dlv_logging to = {true, "/aws/kinesisfirehose/clicks", "S3Delivery"};
	const struct dlv_errlog_line line = {.to = &to,
		.destination = "s3",
		.code = "S3.SlowDown",
		.message = message,
		.batch_id = "id",
		.attempts = 3,
		.version = 2,
		.wall_ns = 1700000000123000000};

	dlv_errlog_add(log, &line);
}

static size_t
read_log(const char *suffix, char *out, size_t cap)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/clicks.7.errors.jsonl%s", root, suffix);
	FILE *f = fopen(path, "r");
	size_t len = f != NULL ? fread(out, 1, cap - 1, f) : 0;
	out[len] = '\0';
	if (f != NULL)
		fclose(f);
	return len;
}

static void
a_line_is_json(void **state)
{
	(void)state;
	char text[2000];
	struct dlv_errlog *log = open_log(NULL);

	add(log, "it \"said\" \\ \n\xff");
	dlv_errlog_free(log);
	read_log("", text, sizeof(text));
	assert_string_equal(text,
		"{\"timestamp\":1700000000123,\"logGroup\":\"/aws/kinesisfirehose/clicks\","
		"\"logStream\":\"S3Delivery\",\"deliveryStreamARN\":"
		"\"arn:aws:firehose:local:000000000000:deliverystream/clicks\","
		"\"deliveryStreamVersionId\":2,\"destination\":\"s3\",\"errorCode\":\"S3."
		"SlowDown\","
		"\"message\":\"it \\\"said\\\" \\\\ ??\",\"attempts\":3,\"deliveryId\":\"id\","
		"\"lost\":0}\n");
	assert_ok(dlv_errlog_remove(NULL, root, "clicks", 7, NULL));
	assert_int_equal(read_log("", text, sizeof(text)), 0);
	assert_ok(dlv_errlog_remove(NULL, root, "clicks", 7, NULL));
}

static void
what_is_off_is_not_written(void **state)
{
	(void)state;
	char text[100];
	static const struct dlv_logging off = {false, "g", "s"};
	const struct dlv_errlog_line line = {.to = &off};
	struct dlv_errlog *log = open_log(NULL);

	dlv_errlog_add(log, &line);
	dlv_errlog_free(log);
	assert_int_equal(read_log("", text, sizeof(text)), 0);
	dlv_errlog_add(NULL, &line);
	dlv_errlog_free(NULL);
}

/* Whole lines only, and never more than two files of the bound. */
static void
files_are_bounded(void **state)
{
	(void)state;
	size_t cap = 2 * DLV_ERRLOG_BYTES;
	char *text = malloc(cap), *message = malloc(1001);

	assert_non_null(text);
	assert_non_null(message);
	memset(message, 'm', 1000);
	message[1000] = '\0';
	for (unsigned i = 0; i < 2500; i++) {
		struct dlv_errlog *log = open_log(NULL);
		add(log, message);
		dlv_errlog_free(log);
	}
	size_t newest = read_log("", text, cap);
	assert_in_range(newest, 1, DLV_ERRLOG_BYTES);
	assert_int_equal(text[0], '{');
	assert_int_equal(text[newest - 1], '\n');
	size_t older = read_log(".1", text, cap);
	assert_in_range(older, DLV_ERRLOG_BYTES - 2000, DLV_ERRLOG_BYTES);
	assert_int_equal(text[0], '{');
	assert_int_equal(text[older - 1], '\n');
	assert_ok(dlv_errlog_remove(NULL, root, "clicks", 7, NULL));
	assert_int_equal(read_log(".1", text, cap), 0);
	free(message);
	free(text);
}

/* A disk that fails costs lines, which are counted, and nothing else. */
static void
what_the_disk_refuses_is_counted(void **state)
{
	(void)state;
	char text[4000];
	struct faultfs fs;

	for (uint64_t n = 1;; n++) {
		faultfs_init(&fs, slk_fs_posix(), FAULTFS_ALL, n, false, SLK_IO);
		struct dlv_errlog *log = open_log(&fs.fs);
		add(log, "first");
		dlv_errlog_free(log);
		if (!faultfs_hit(&fs))
			break;
		assert_ok(dlv_errlog_remove(NULL, root, "clicks", 7, NULL));
		assert_true(n < 20);
	}
	read_log("", text, sizeof(text));
	assert_non_null(strstr(text, "first"));
	assert_ok(dlv_errlog_remove(NULL, root, "clicks", 7, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_json),
		cmocka_unit_test(what_is_off_is_not_written),
		cmocka_unit_test(files_are_bounded),
		cmocka_unit_test(what_the_disk_refuses_is_counted),
	};

	return cmocka_run_group_tests_name("delivery/errlog", tests, setup, teardown);
}
