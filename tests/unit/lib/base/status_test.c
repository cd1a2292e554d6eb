#include "slk_test.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/status.h"

static void
every_code_has_name_sentence_and_class(void **state)
{
	(void)state;
#define X(code, number, class, name, sentence) \
	assert_string_equal(slk_status_name(code), name); \
	assert_string_equal(slk_status_sentence(code), sentence); \
	assert_int_equal(slk_status_class(code), SLK_CLASS_##class); \
	assert_true((code) <= 0);
	SLK_STATUS_LIST(X)
#undef X
}

static void
codes_and_names_are_unique(void **state)
{
	(void)state;
	static const struct {
		int code;
		const char *name;
	} rows[] = {
#define X(code, number, class, name, sentence) {code, name},
		SLK_STATUS_LIST(X)
#undef X
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(rows[i].code, rows[j].code);
			assert_string_not_equal(rows[i].name, rows[j].name);
		}
	}
}

static void
an_unknown_number_is_fatal(void **state)
{
	(void)state;
	assert_int_equal(slk_status_class(-9999), SLK_CLASS_FATAL);
	assert_string_equal(slk_status_name(-9999), "Unknown");
}

static void
errno_maps_to_classes_that_make_sense(void **state)
{
	(void)state;
	assert_int_equal(slk_status_from_errno(ENOSPC), SLK_DISK_FULL);
	assert_int_equal(slk_status_from_errno(EDQUOT), SLK_DISK_FULL);
	assert_int_equal(slk_status_from_errno(EIO), SLK_IO);
	assert_int_equal(slk_status_from_errno(EROFS), SLK_IO);
	assert_int_equal(slk_status_from_errno(ENOENT), SLK_NOT_FOUND);
	assert_int_equal(slk_status_from_errno(EACCES), SLK_DENIED);
	assert_int_equal(slk_status_from_errno(EINVAL), SLK_SYSTEM);
}

static void
fail_writes_status_and_sentence(void **state)
{
	(void)state;
	struct slk_error err = {0};
	assert_int_equal(slk_fail(&err, SLK_CONFIG, "port %d is taken", 5), SLK_CONFIG);
	assert_int_equal(err.status, SLK_CONFIG);
	assert_string_equal(err.text, "port 5 is taken");
	assert_int_equal(slk_fail_prefix(&err, "listener %s", "web"), SLK_CONFIG);
	assert_string_equal(err.text, "listener web: port 5 is taken");
	errno = ENOENT;
	assert_int_equal(slk_fail_errno(&err, "cannot open x"), SLK_NOT_FOUND);
	assert_string_equal(err.text, "cannot open x: No such file or directory");
}

static void
fail_takes_no_error_and_long_texts(void **state)
{
	(void)state;
	struct slk_error err = {0};
	char longer[2000];
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(slk_fail(NULL, SLK_IO, "%s", longer), SLK_IO);
	assert_int_equal(slk_fail(&err, SLK_IO, "%s", longer), SLK_IO);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_int_equal(slk_fail_prefix(&err, "%s", longer), SLK_IO);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_name_sentence_and_class),
		cmocka_unit_test(codes_and_names_are_unique),
		cmocka_unit_test(an_unknown_number_is_fatal),
		cmocka_unit_test(errno_maps_to_classes_that_make_sense),
		cmocka_unit_test(fail_writes_status_and_sentence),
		cmocka_unit_test(fail_takes_no_error_and_long_texts),
	};

	return cmocka_run_group_tests_name("base_status", tests, NULL, NULL);
}
