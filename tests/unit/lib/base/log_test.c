#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"

static int sink = -1;

static int
open_sink(void **state)
{
	(void)state;
	sink = memfd_create("log", MFD_CLOEXEC);
	slk_log_set_fd(sink);
	return sink >= 0 ? 0 : -1;
}

static int
close_sink(void **state)
{
	(void)state;
	slk_log_set_fd(STDERR_FILENO);
	return close(sink);
}

static const char *
written(void)
{
	static char text[8192];
	ssize_t n = pread(sink, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void
one_event_is_one_logfmt_line(void **state)
{
	(void)state;
	slk_log_init("prog", SLK_LOG_INFO);
	slk_info("block sealed", slk_kv("stream", "web"), slk_kv("records", 12u),
		slk_kv("delta", -3), slk_kv("ok", (bool)true));
	const char *line = written();
	assert_memory_equal(line, "time=", 5);
	assert_non_null(strstr(line,
		"Z level=info prog=prog msg=\"block sealed\" stream=web records=12 delta=-3 "
		"ok=true\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void
levels_below_the_limit_are_silent(void **state)
{
	(void)state;
	slk_log_init("prog", SLK_LOG_WARN);
	slk_info("quiet");
	slk_debug("quiet");
	assert_string_equal(written(), "");
	slk_error_log("loud");
	assert_non_null(strstr(written(), "level=error"));
}

static void
foreign_text_cannot_forge_lines_or_fields(void **state)
{
	(void)state;
	slk_log_init("prog", SLK_LOG_INFO);
	slk_info("x", slk_kv("name", "a\nlevel=error b=\"c\"\x1b[31m\xff"));
	const char *line = written();
	assert_non_null(strstr(line, "name=\"a\\x0alevel=error b=\\\"c\\\"\\x1b[31m\\xff\"\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void
missing_and_empty_strings_print_quotes(void **state)
{
	(void)state;
	slk_log_init("prog", SLK_LOG_INFO);
	slk_info("x", slk_kv("a", (const char *)NULL), slk_kv("b", ""));
	assert_non_null(strstr(written(), "a=\"\" b=\"\"\n"));
}

static void
ids_print_as_hex_up_to_64_bytes(void **state)
{
	(void)state;
	static const uint8_t id[70] = {0xab, 0x01};
	slk_log_init("prog", SLK_LOG_INFO);
	slk_info("x", slk_kv_hex("id", id, 2));
	assert_non_null(strstr(written(), " id=ab01\n"));
	struct slk_log_field f = slk_kv_hex("id", id, sizeof(id));
	assert_int_equal(f.v.hex.len, 64);
}

static void
a_long_line_is_cut_and_still_ends(void **state)
{
	(void)state;
	static char huge[10000];
	memset(huge, 'y', sizeof(huge) - 1);
	slk_log_init("prog", SLK_LOG_INFO);
	slk_info("x", slk_kv("huge", huge));
	const char *line = written();
	assert_int_equal(strlen(line), 4096);
	assert_int_equal(line[4095], '\n');
}

static void
level_names_parse(void **state)
{
	(void)state;
	enum slk_log_level level = SLK_LOG_ERROR;
	assert_true(slk_log_parse_level("debug", &level));
	assert_int_equal(level, SLK_LOG_DEBUG);
	assert_false(slk_log_parse_level("DEBUG", &level));
	assert_false(slk_log_parse_level("", &level));
	assert_int_equal(level, SLK_LOG_DEBUG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			one_event_is_one_logfmt_line, open_sink, close_sink),
		cmocka_unit_test_setup_teardown(
			levels_below_the_limit_are_silent, open_sink, close_sink),
		cmocka_unit_test_setup_teardown(
			foreign_text_cannot_forge_lines_or_fields, open_sink, close_sink),
		cmocka_unit_test_setup_teardown(
			missing_and_empty_strings_print_quotes, open_sink, close_sink),
		cmocka_unit_test_setup_teardown(
			ids_print_as_hex_up_to_64_bytes, open_sink, close_sink),
		cmocka_unit_test_setup_teardown(
			a_long_line_is_cut_and_still_ends, open_sink, close_sink),
		cmocka_unit_test(level_names_parse),
	};

	return cmocka_run_group_tests_name("base_log", tests, NULL, NULL);
}
