/* Remarks of servers lose what they quote of records. The texts are those of OpenSearch 2.19. */
#include "slk_test.h"

#include <string.h>

#include "remark.h"

static bool
known(void *arg, struct slk_span word)
{
	const char *const *words = arg;

	for (; *words != NULL; words++) {
		if (slk_span_equal(word, slk_span_str(*words)))
			return true;
	}
	return false;
}

static void
expect(const char *said, const char *kept)
{
	const char *words[] = {"age", "long", "logs-1", "b-0-1", NULL};
	char out[160];

	dlv_remark(slk_span_str(said), known, words, out, sizeof(out));
	assert_string_equal(out, kept);
}

static void
test_names_stay_and_quotations_go(void **state)
{
	(void)state;
	expect("failed to parse field [age] of type [long] in document with id 'b-0-1'. Preview of "
	       "field's value: 'secret'",
		"failed to parse field [age] of type [long] in document with id 'b-0-1'");
	expect("failed to parse field [age] of type [long]. Preview of field's value: secret",
		"failed to parse field [age] of type [long]");
	expect("failed to parse date field [2021-13-01] with format", "failed to parse date field");
	expect("For input string: \"secret\"", "For input string");
	expect("Numeric value (123456789012) out of range of long", "Numeric value");
	expect("Limit of total fields [1000] has been exceeded", "Limit of total fields");
	expect("index [logs-1] blocked by: [FORBIDDEN/8/index write (api)];",
		"index [logs-1] blocked by");
	expect("object mapping for [age] tried to parse field [secret] as object",
		"object mapping for [age] tried to parse field");
	expect("The prefix of the first immense term is: 'secret'", "");
	expect("field value: secret", "field");
	expect("failed to parse", "failed to parse");
	expect("'secret' is not an IP string literal.", "");
	expect("unbalanced [age", "unbalanced");
	expect("nested [a[ge]", "nested");
	expect("", "");
}

static void
test_only_printable_ascii_is_left(void **state)
{
	(void)state;
	expect("a\nb\tc\x7f\xc3\xa4z", "a b c   z");
	expect("time=1 level=info\r\n", "time=1 level=info");
}

static void
test_nothing_is_known_without_a_judge(void **state)
{
	char out[32];

	(void)state;
	dlv_remark(slk_span_str("field [age]"), NULL, NULL, out, sizeof(out));
	assert_string_equal(out, "field");
}

static void
test_long_remarks_are_cut(void **state)
{
	const char *words[] = {"long", NULL};
	char out[8];

	(void)state;
	dlv_remark(slk_span_str("0123456789"), NULL, NULL, out, sizeof(out));
	assert_string_equal(out, "0123456");
	/* A name is there as a whole or not at all. */
	dlv_remark(slk_span_str("ab[long]"), known, words, out, sizeof(out));
	assert_string_equal(out, "ab");
	dlv_remark(slk_span_str("a[long]"), known, words, out, sizeof(out));
	assert_string_equal(out, "a[long]");
	dlv_remark(slk_span_str("abc"), NULL, NULL, out, 1);
	assert_string_equal(out, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_stay_and_quotations_go),
		cmocka_unit_test(test_only_printable_ascii_is_left),
		cmocka_unit_test(test_nothing_is_known_without_a_judge),
		cmocka_unit_test(test_long_remarks_are_cut),
	};

	return cmocka_run_group_tests_name("delivery_remark", tests, NULL, NULL);
}
