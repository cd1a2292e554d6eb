#include "slk_test.h"

#include <stdio.h>
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
