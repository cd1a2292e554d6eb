#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "tempdir.h"

struct settings {
	unsigned port;
	char *name;
};

static const cyaml_schema_field_t fields[] = {
	CYAML_FIELD_UINT("port", CYAML_FLAG_DEFAULT, struct settings, port),
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct settings, name, 1, 20),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct settings, fields)};

static char dir[256];
static char path[300];
static struct slk_error err;

static int
make_dir(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	tempdir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/c.yaml", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

static int
load(const char *text, struct settings **out)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
	return slk_config_load(path, &schema, (void **)out, &err);
}

static void
a_good_file_fills_the_struct(void **state)
{
	(void)state;
	struct settings *s = NULL;
	assert_ok(load("port: 9000\nname: web\n", &s));
	assert_int_equal(s->port, 9000);
	assert_string_equal(s->name, "web");
	slk_config_free(&schema, s);
}

static void
an_unknown_key_is_named_with_its_line(void **state)
{
	(void)state;
	struct settings *s = NULL;
	assert_int_equal(load("port: 1\nname: x\ncolour: red\n", &s), SLK_CONFIG);
	assert_null(s);
	assert_non_null(strstr(err.text, "colour"));
	assert_non_null(strstr(err.text, "line: 3"));
	assert_non_null(strstr(err.text, path));
}

static void
a_wrong_type_is_named_with_its_line(void **state)
{
	(void)state;
	struct settings *s = NULL;
	assert_int_equal(load("name: x\nport: many\n", &s), SLK_CONFIG);
	assert_non_null(strstr(err.text, "port"));
	assert_non_null(strstr(err.text, "line: 2"));
}

static void
a_missing_or_empty_value_is_refused(void **state)
{
	(void)state;
	struct settings *s = NULL;
	assert_int_equal(load("port: 1\n", &s), SLK_CONFIG);
	assert_non_null(strstr(err.text, "name"));
	assert_int_equal(load("port: 1\nname: \"\"\n", &s), SLK_CONFIG);
	assert_int_equal(load("port: [", &s), SLK_CONFIG);
	assert_int_equal(load("", &s), SLK_CONFIG);
	assert_null(s);
}

static void
a_file_that_others_may_write_is_refused(void **state)
{
	(void)state;
	struct settings *s = NULL;
	assert_ok(load("port: 1\nname: x\n", &s));
	slk_config_free(&schema, s);
	s = NULL;
	assert_int_equal(chmod(path, 0620), 0);
	assert_int_equal(slk_config_load(path, &schema, (void **)&s, &err), SLK_DENIED);
	assert_non_null(strstr(err.text, "chmod go-w"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(slk_config_load(path, &schema, (void **)&s, &err), SLK_NOT_FOUND);
	assert_int_equal(slk_config_load(dir, &schema, (void **)&s, &err), SLK_CONFIG);
	assert_null(s);
}

static void
ranges_name_the_first_number_that_is_out_of_its_own(void **state)
{
	struct slk_config_range ranges[] = {
		{"a.low", 1, 1, 9}, {"a.high", 9, 1, 9}, {"b.unsaid", 0, 5, 9}};

	(void)state;
	assert_int_equal(slk_config_check_ranges(ranges, 3, &err), SLK_OK);
	ranges[1].value = 10;
	ranges[2].value = 4;
	assert_int_equal(slk_config_check_ranges(ranges, 3, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, "a.high is 1 to 9, not 10"));
	ranges[1].value = 9;
	assert_int_equal(slk_config_check_ranges(ranges, 3, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, "b.unsaid is 5 to 9, not 4"));
}

static void
defaults_are_taken_only_for_what_was_not_said(void **state)
{
	char *text = NULL, *said = strdup("said");
	uint32_t number = 0, three = 3;

	(void)state;
	assert_non_null(said);
	assert_int_equal(slk_config_default_text(&text, "otherwise"), SLK_OK);
	assert_int_equal(slk_config_default_text(&said, "otherwise"), SLK_OK);
	slk_config_default_number(&number, 7);
	slk_config_default_number(&three, 7);
	assert_string_equal(text, "otherwise");
	assert_string_equal(said, "said");
	assert_int_equal(number, 7);
	assert_int_equal(three, 3);
	free(text);
	free(said);
}

static void
region_account_and_level_are_checked(void **state)
{
	static const char *const wrong[][3] = {{"local", "00000000000", "info"},
		{"local", "0000000000000", "info"}, {"local", "00000000000x", "info"},
		{"Local", "000000000000", "info"}, {"lo:cal", "000000000000", "info"},
		{"a123456789-123456789-123456789-12", "000000000000", "info"},
		{"local", "000000000000", "loud"}, {"local", "000000000000", ""}};

	(void)state;
	assert_int_equal(
		slk_config_check_words("eu-central-1", "123456789012", "debug", &err), SLK_OK);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(
			slk_config_check_words(wrong[i][0], wrong[i][1], wrong[i][2], &err),
			SLK_CONFIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_name_the_first_number_that_is_out_of_its_own),
		cmocka_unit_test(defaults_are_taken_only_for_what_was_not_said),
		cmocka_unit_test(region_account_and_level_are_checked),
		cmocka_unit_test_setup_teardown(a_good_file_fills_the_struct, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			an_unknown_key_is_named_with_its_line, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			a_wrong_type_is_named_with_its_line, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			a_missing_or_empty_value_is_refused, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			a_file_that_others_may_write_is_refused, make_dir, remove_dir),
	};

	return cmocka_run_group_tests_name("base_config", tests, NULL, NULL);
}
