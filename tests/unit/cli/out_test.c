#include "slk_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "out.h"
#include "base/plain.h"

struct fixture {
	int fds[2];
	struct cli_out *out;
	char text[8192];
};

static int
setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	assert_int_equal(pipe2(f.fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_ok(cli_out_new(f.fds[1], &f.out, NULL));
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	cli_out_free(f->out);
	close(f->fds[0]);
	close(f->fds[1]);
	return 0;
}

static const char *
flushed(struct fixture *f)
{
	assert_ok(cli_out_flush(f->out));
	ssize_t n = read(f->fds[0], f->text, sizeof(f->text) - 1);
	f->text[n > 0 ? n : 0] = '\0';
	return f->text;
}

static void
nothing_is_written_before_a_flush(void **state)
{
	struct fixture *f = *state;
	char c;

	cli_out_printf(f->out, "%d %s\n", 7, "seven");
	assert_int_equal(read(f->fds[0], &c, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_string_equal(flushed(f), "7 seven\n");
}

static void
what_was_dropped_is_never_written(void **state)
{
	struct fixture *f = *state;

	cli_out_text(f->out, "{ \"half\"");
	cli_out_drop(f->out);
	cli_out_text(f->out, "whole");
	assert_string_equal(flushed(f), "whole");
}

static void
bytes_from_outside_cannot_command_a_terminal(void **state)
{
	struct fixture *f = *state;
	static const char evil[] = "a\tb\n\x1b]0;x\x07\r\x7f\xc2\x9b"
				   "31m\xff\xc3\xa9";

	cli_out_safe(f->out, slk_span(evil, sizeof(evil) - 1));
	assert_string_equal(flushed(f), "a\tb\n\\x1b]0;x\\x07\\x0d\\x7f\\xc2\\x9b31m\\xff\xc3\xa9");
}

static void
a_reader_that_went_away_is_remembered_and_harmless(void **state)
{
	struct fixture *f = *state;

	signal(SIGPIPE, SIG_IGN);
	close(f->fds[0]);
	cli_out_text(f->out, "x");
	assert_int_equal(cli_out_flush(f->out), SLK_CLOSED);
	cli_out_text(f->out, "y");
	assert_int_equal(cli_out_status(f->out), SLK_CLOSED);
	f->fds[0] = dup(f->fds[1]);
}

static void
a_full_disk_is_reported(void **state)
{
	struct cli_out *out = NULL;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	(void)state;

	assert_true(fd >= 0);
	assert_ok(cli_out_new(fd, &out, NULL));
	cli_out_text(out, "x");
	assert_int_equal(cli_out_flush(out), SLK_DISK_FULL);
	assert_string_equal(cli_out_error(out), strerror(ENOSPC));
	cli_out_free(out);
	close(fd);
}

static void
a_document_is_json(void **state)
{
	struct fixture *f = *state;
	yajl_gen json = cli_json_begin(f->out, true);

	cli_json_map(json);
	cli_json_str(json, "text", "a \"b\"\n\x01");
	cli_json_str(json, "bad", "x\xff");
	cli_json_u64(json, "big", UINT64_MAX);
	cli_json_f64(json, "rate", 12.34);
	cli_json_bool(json, "yes", true);
	cli_json_time(json, "never", 0);
	cli_json_time(json, "then", 1);
	cli_json_map_end(json);
	cli_json_next(json);
	cli_json_end(json);
	assert_string_equal(flushed(f),
		"{\"text\":\"a "
		"\\\"b\\\"\\n\\u0001\",\"bad\":\"x\xef\xbf\xbd\",\"big\":18446744073709551615,"
		"\"rate\":12.3,"
		"\"yes\":true,\"never\":null,\"then\":\"1970-01-01T00:00:00.000000001Z\"}\n");
}

static void
documents_follow_each_other_one_per_line(void **state)
{
	struct fixture *f = *state;
	yajl_gen json = cli_json_begin(f->out, true);

	for (int i = 0; i < 3; i++) {
		cli_json_map(json);
		cli_json_u64(json, "i", (uint64_t)i);
		cli_json_map_end(json);
		cli_json_next(json);
	}
	cli_json_end(json);
	assert_string_equal(flushed(f), "{\"i\":0}\n{\"i\":1}\n{\"i\":2}\n");
}

static void
bytes_are_text_where_they_can_be_and_base64_otherwise(void **state)
{
	struct fixture *f = *state;
	struct slk_plain scratch = {0};
	yajl_gen json = cli_json_begin(f->out, true);

	cli_json_map(json);
	assert_ok(cli_json_bytes(json, "key", slk_span(NULL, 0), &scratch, NULL));
	assert_ok(cli_json_bytes(json, "data", slk_span("\xff\x00\x01", 3), &scratch, NULL));
	cli_json_map_end(json);
	cli_json_next(json);
	cli_json_end(json);
	slk_plain_free(&scratch);
	assert_string_equal(
		flushed(f), "{\"key\":\"\",\"data\":\"/wAB\",\"data_encoding\":\"base64\"}\n");
}

static void
plain_memory_grows_and_is_zero_when_new(void **state)
{
	struct slk_plain p = {0};
	(void)state;

	assert_ok(slk_plain_reserve(&p, 1, NULL));
	assert_true(p.cap >= 1);
	memset(p.ptr, 0xaa, p.cap);
	uint8_t *before = p.ptr;
	assert_ok(slk_plain_reserve(&p, p.cap, NULL));
	assert_ptr_equal(p.ptr, before);
	assert_ok(slk_plain_reserve(&p, p.cap + 1, NULL));
	for (size_t i = 0; i < p.cap; i++)
		assert_int_equal(p.ptr[i], 0); /* never a copy of what was there */
	slk_plain_free(&p);
	assert_null(p.ptr);
	slk_plain_free(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_written_before_a_flush, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_dropped_is_never_written, setup, teardown),
		cmocka_unit_test_setup_teardown(
			bytes_from_outside_cannot_command_a_terminal, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_reader_that_went_away_is_remembered_and_harmless, setup, teardown),
		cmocka_unit_test(a_full_disk_is_reported),
		cmocka_unit_test_setup_teardown(a_document_is_json, setup, teardown),
		cmocka_unit_test_setup_teardown(
			documents_follow_each_other_one_per_line, setup, teardown),
		cmocka_unit_test_setup_teardown(
			bytes_are_text_where_they_can_be_and_base64_otherwise, setup, teardown),
		cmocka_unit_test(plain_memory_grows_and_is_zero_when_new),
	};

	return cmocka_run_group_tests_name("cli_out", tests, NULL, NULL);
}
