/* Access keys out of a file as the AWS CLI has it: what is taken, what is refused without a word of it, and when it is read again. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys.h"
#include "tempdir.h"

#define SECRET "s3cr3t/with+all=of-it"
static char dir[256], path[300];

static int
parse(const char *text, struct dlv_keys *keys, struct slk_error *err)
{
	struct slk_secret *secret = NULL;

	assert_ok(slk_secret_from(text, strlen(text), &secret));
	int rc = dlv_keys_parse(secret, keys, err);
	slk_secret_free(secret);
	return rc;
}

static void
assert_secret(const struct slk_secret *secret, const char *text)
{
	assert_non_null(secret);
	assert_int_equal(slk_secret_len(secret), strlen(text));
	assert_memory_equal(slk_secret_peek(secret), text, strlen(text));
}

static void
the_default_profile_is_taken(void **state)
{
	(void)state;
	struct dlv_keys keys;

	assert_ok(parse(
		"# ours\n\n[other]\naws_access_key_id = WRONG\naws_secret_access_key = wrong\n"
		"[default]\r\n  aws_access_key_id=AKIDEXAMPLE \r\n"
		"aws_secret_access_key =\t" SECRET "\n; a comment\nregion = eu\n[third]\nx\n",
		&keys, NULL));
	assert_string_equal(keys.key_id, "AKIDEXAMPLE");
	assert_secret(keys.secret, SECRET);
	assert_null(keys.token);
	dlv_keys_fini(&keys);
	assert_ok(parse("[default]\naws_access_key_id=A\naws_secret_access_key=" SECRET
			"\naws_session_token=tok==",
		&keys, NULL));
	assert_secret(keys.token, "tok==");
	dlv_keys_fini(&keys);
}

static void
what_is_none_is_refused_without_a_word_of_it(void **state)
{
	(void)state;
	static const struct {
		const char *text, *sentence;
	} cases[] = {
		{"[default]\naws_access_key_id=A\n", "has no aws_access_key_id and"},
		{"aws_access_key_id=A\naws_secret_access_key=" SECRET "\n", "under [default]"},
		{"[default]\naws_access_key_id=A\naws_secret_access_key=\n",
			"line 3: the value of"},
		{"[default]\naws_secret_access_key=" SECRET " x\n", "line 2: the value of"},
		{"[default]\naws_secret_access_key=" SECRET "\x7f\n", "line 2: the value of"},
		{"[default]\naws_secret_access_key=" SECRET "\naws_secret_access_key=x\n",
			"line 3: aws_secret"},
		{"[default]\naws_access_key_id=A/" SECRET "\n",
			"line 2: the value of aws_access_key_id"},
		{"[default]\naws_access_key_id=A\naws_access_key_id=B\n",
			"line 3: aws_access_key_id is there twice"},
		{"[default]\ns3cr3t\n", "line 2"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dlv_keys keys = {.secret = NULL};
		struct slk_error err = {.text = ""};
		assert_int_equal(parse(cases[i].text, &keys, &err), SLK_CONFIG);
		if (strstr(err.text, cases[i].sentence) == NULL)
			fail_msg("%zu: %s", i, err.text);
		assert_null(strstr(err.text, "s3cr3t"));
		assert_null(keys.secret);
	}
}

/* --- the file --- */

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/credentials", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

static void
put_file(const char *at, const char *key_id, mode_t mode)
{
	FILE *f = fopen(at, "w");

	assert_non_null(f);
	fprintf(f, "[default]\naws_access_key_id=%s\naws_secret_access_key=%s\n", key_id, SECRET);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(at, mode), 0);
}

static void
a_changed_file_is_read_again(void **state)
{
	(void)state;
	struct dlv_key_file *file = NULL;
	const struct dlv_keys *keys = NULL;
	uint64_t generation = 0;
	char other[320];

	put_file(path, "FIRST", 0600);
	assert_ok(dlv_key_file_open(path, &file, NULL));
	assert_ok(dlv_key_file_read(file, &keys, &generation, NULL));
	assert_string_equal(keys->key_id, "FIRST");
	assert_int_equal(generation, 1);
	assert_ok(dlv_key_file_read(file, &keys, &generation, NULL));
	assert_int_equal(generation, 1);
	/* In its place, as editors and rotation do it; then in place. */
	snprintf(other, sizeof(other), "%s.new", path);
	put_file(other, "OTHER", 0600);
	assert_int_equal(rename(other, path), 0);
	assert_ok(dlv_key_file_read(file, &keys, &generation, NULL));
	assert_string_equal(keys->key_id, "OTHER");
	assert_int_equal(generation, 2);
	put_file(path, "LONGER", 0600);
	assert_ok(dlv_key_file_read(file, &keys, &generation, NULL));
	assert_string_equal(keys->key_id, "LONGER");
	assert_int_equal(generation, 3);
	dlv_key_file_close(file);
}

static void
a_file_that_cannot_be_used_is_an_error_until_it_is_mended(void **state)
{
	(void)state;
	struct dlv_key_file *file = NULL;
	const struct dlv_keys *keys = NULL;
	uint64_t generation = 0;
	struct slk_error err;

	assert_ok(dlv_key_file_open(path, &file, NULL));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(dlv_key_file_read(file, &keys, &generation, &err), SLK_NOT_FOUND);
	assert_non_null(strstr(err.text, path));
	put_file(path, "A", 0640);
	assert_int_equal(dlv_key_file_read(file, &keys, &generation, &err), SLK_DENIED);
	assert_non_null(strstr(err.text, "0600"));
	assert_int_equal(chmod(path, 0600), 0);
	assert_ok(dlv_key_file_read(file, &keys, &generation, &err));
	assert_int_equal(truncate(path, 3), 0);
	assert_int_equal(dlv_key_file_read(file, &keys, &generation, &err), SLK_CONFIG);
	assert_int_equal(dlv_key_file_read(file, &keys, &generation, &err), SLK_CONFIG);
	put_file(path, "B", 0600);
	assert_ok(dlv_key_file_read(file, &keys, &generation, &err));
	assert_string_equal(keys->key_id, "B");
	dlv_key_file_close(file);
}

static void
what_is_no_file_is_refused(void **state)
{
	(void)state;
	struct dlv_key_file *file = NULL;
	const struct dlv_keys *keys = NULL;
	uint64_t generation = 0;

	assert_int_equal(dlv_key_file_open("credentials", &file, NULL), SLK_CONFIG);
	assert_int_equal(dlv_key_file_open("/nonexistent-dir/x", &file, NULL), SLK_CONFIG);
	assert_int_equal(dlv_key_file_open("/tmp/", &file, NULL), SLK_CONFIG);
	assert_null(file);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* and is not waited for */
	assert_ok(dlv_key_file_open(path, &file, NULL));
	assert_int_equal(dlv_key_file_read(file, &keys, &generation, NULL), SLK_CONFIG);
	dlv_key_file_close(file);
	dlv_key_file_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_profile_is_taken),
		cmocka_unit_test(what_is_none_is_refused_without_a_word_of_it),
		cmocka_unit_test(a_changed_file_is_read_again),
		cmocka_unit_test(a_file_that_cannot_be_used_is_an_error_until_it_is_mended),
		cmocka_unit_test(what_is_no_file_is_refused),
	};

	return cmocka_run_group_tests_name("delivery/keys", tests, setup, teardown);
}
