#include "slk_test.h"

#include <string.h>

#include "policy/pattern.h"

static struct pol_arena arena;

static int
compile(const char *text, unsigned flags, struct pol_pattern *out)
{
	const char *reason;

	return pol_pattern_compile(&arena, slk_span_str(text), flags, out, &reason);
}

static bool
matches(const char *pattern, const char *text)
{
	struct pol_pattern p;

	assert_ok(compile(pattern, 0, &p));
	return pol_pattern_match(&p, text, strlen(text));
}

static int
set_up(void **state)
{
	(void)state;
	pol_arena_init(&arena, 1u << 20);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pol_arena_fini(&arena);
	return 0;
}

static void
a_star_matches_any_text_also_slashes_and_colons(void **state)
{
	(void)state;
	assert_true(matches("*", ""));
	assert_true(matches("arn:*", "arn:aws:kms:local:1:key/a"));
	assert_true(matches("arn:*:key/*", "arn:aws:kms:local:1:key/a/b"));
	assert_true(matches("*a", "aaa"));
	assert_true(matches("a*b*c", "a-b-b-c"));
	assert_false(matches("a*b*c", "a-b-b"));
	assert_false(matches("arn:*", "ar"));
	assert_false(matches("", "a"));
	assert_true(matches("", ""));
}

static void
a_question_mark_matches_one_byte_and_not_none(void **state)
{
	(void)state;
	assert_true(matches("a?c", "a/c"));
	assert_true(matches("??", "::"));
	assert_false(matches("a?", "a"));
	assert_false(matches("?", ""));
	assert_true(matches("*?", "x"));
	assert_false(matches("*?", ""));
}

static void
wildcards_in_the_text_are_text(void **state)
{
	(void)state;
	assert_false(matches("abc", "*"));
	assert_false(matches("abc", "a?c"));
	assert_false(matches("a", "\1"));
	assert_false(matches("abc", "\1"));
}

static void
kinds_that_need_no_backtracking_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum pol_pattern_kind kind;
	} cases[] = {
		{"kms:Decrypt", POL_PATTERN_EXACT},
		{"kms:*", POL_PATTERN_PREFIX},
		{"kms:**", POL_PATTERN_PREFIX},
		{"*", POL_PATTERN_ANY},
		{"***", POL_PATTERN_ANY},
		{"k*s", POL_PATTERN_GLOB},
		{"kms:?", POL_PATTERN_GLOB},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pol_pattern p;
		assert_ok(compile(cases[i].text, 0, &p));
		assert_int_equal(p.kind, cases[i].kind);
	}
}

static void
a_literal_pattern_has_no_wildcards(void **state)
{
	(void)state;
	struct pol_pattern p;

	assert_ok(compile("a*?", POL_PATTERN_LITERAL, &p));
	assert_int_equal(p.kind, POL_PATTERN_EXACT);
	assert_true(pol_pattern_match(&p, "a*?", 3));
	assert_false(pol_pattern_match(&p, "abc", 3));
}

static void
a_folded_pattern_is_in_lower_case(void **state)
{
	(void)state;
	struct pol_pattern p;

	assert_ok(compile("KMS:Decr*", POL_PATTERN_FOLD, &p));
	assert_true(pol_pattern_match(&p, "kms:decrypt", 11));
}

static const char *
variable(const void *ctx, const char *key, size_t *out_len)
{
	(void)ctx;
	const char *value = strcmp(key, "aws:username") == 0 ? "al*ce"
		: strcmp(key, "marks") == 0                  ? "a\1"
							     : NULL;
	*out_len = value != NULL ? strlen(value) : 0;
	return value;
}

static bool
fills_to(const char *pattern, const char *text)
{
	struct pol_pattern p;
	char out[POL_PATTERN_MAX];
	const char *bytes;
	size_t len;

	assert_ok(compile(pattern, POL_PATTERN_VARIABLES, &p));
	assert_int_equal(p.kind, POL_PATTERN_VARIABLE);
	assert_false(pol_pattern_match(&p, text, strlen(text))); /* not before it is filled */
	return pol_pattern_fill(&p, variable, NULL, out, &bytes, &len) &&
		pol_glob(bytes, len, text, strlen(text));
}

static void
what_a_variable_brings_is_literal(void **state)
{
	(void)state;
	assert_true(fills_to("user/${aws:username}", "user/al*ce"));
	assert_false(fills_to("user/${aws:username}", "user/alice"));
	assert_true(fills_to("*/${aws:username}/?", "a/b/al*ce/c"));
}

static void
a_variable_without_value_takes_its_default_or_matches_nothing(void **state)
{
	(void)state;
	assert_true(fills_to("${aws:PrincipalTag/team, 'ops'}", "ops"));
	assert_true(fills_to("x${none, ''}", "x"));
	assert_false(fills_to("x${none}", "x"));
	assert_false(fills_to("x${none}*", "xyz"));
}

static void
control_characters_of_a_variable_match_nothing(void **state)
{
	(void)state;
	assert_false(fills_to("${marks}", "a\1"));
	assert_false(fills_to("${marks}", "abc"));
}

static void
braces_escape_the_characters_themselves(void **state)
{
	(void)state;
	struct pol_pattern p;

	assert_ok(compile("a${*}${?}${$}", POL_PATTERN_VARIABLES, &p));
	assert_int_equal(p.kind, POL_PATTERN_EXACT);
	assert_true(pol_pattern_match(&p, "a*?$", 4));
}

static void
without_the_flag_braces_are_text(void **state)
{
	(void)state;
	struct pol_pattern p;

	assert_ok(compile("${aws:username}", 0, &p));
	assert_true(pol_pattern_match(&p, "${aws:username}", 15));
}

static void
malformed_patterns_are_refused_with_a_reason(void **state)
{
	(void)state;
	static const char *const bad[] = {"${", "${}", "a${b", "${a,}", "${a, b}", "${a, 'b}",
		"${a 'b'}", "${a, 'b'c'}", "a\nb", "\x7f"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pol_pattern p = {.len = 77};
		const char *reason = NULL;
		assert_int_equal(pol_pattern_compile(&arena, slk_span_str(bad[i]),
					 POL_PATTERN_VARIABLES, &p, &reason),
			SLK_MALFORMED);
		assert_true(strlen(reason) > 0);
		assert_int_equal(p.len, 77);
	}
}

static void
lengths_and_numbers_have_limits(void **state)
{
	(void)state;
	static char text[POL_PATTERN_MAX + 2];
	struct pol_pattern p;

	memset(text, 'a', POL_PATTERN_MAX);
	assert_ok(compile(text, 0, &p));
	text[POL_PATTERN_MAX] = 'a';
	assert_int_equal(compile(text, 0, &p), SLK_TOO_LARGE);
	assert_int_equal(compile("${a}${a}${a}${a}${a}${a}${a}${a}${a}", POL_PATTERN_VARIABLES, &p),
		SLK_MALFORMED);
	assert_ok(compile("${a}${a}${a}${a}${a}${a}${a}${a}", POL_PATTERN_VARIABLES, &p));
}

static void
texts_are_the_same_only_if_every_byte_is(void **state)
{
	(void)state;
	char a[48], b[48];

	for (size_t len = 0; len < sizeof(a); len++) {
		memset(a, 'x', sizeof(a));
		memset(b, 'x', sizeof(b));
		a[len] = 'y'; /* the byte behind them is none of theirs */
		assert_true(pol_same(a, b, len));
		for (size_t i = 0; i < len; i++) {
			b[i] = 'X';
			assert_false(pol_same(a, b, len));
			b[i] = 'x';
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_the_same_only_if_every_byte_is),
		cmocka_unit_test(a_star_matches_any_text_also_slashes_and_colons),
		cmocka_unit_test(a_question_mark_matches_one_byte_and_not_none),
		cmocka_unit_test(wildcards_in_the_text_are_text),
		cmocka_unit_test(kinds_that_need_no_backtracking_are_told_apart),
		cmocka_unit_test(a_literal_pattern_has_no_wildcards),
		cmocka_unit_test(a_folded_pattern_is_in_lower_case),
		cmocka_unit_test(what_a_variable_brings_is_literal),
		cmocka_unit_test(a_variable_without_value_takes_its_default_or_matches_nothing),
		cmocka_unit_test(control_characters_of_a_variable_match_nothing),
		cmocka_unit_test(braces_escape_the_characters_themselves),
		cmocka_unit_test(without_the_flag_braces_are_text),
		cmocka_unit_test(malformed_patterns_are_refused_with_a_reason),
		cmocka_unit_test(lengths_and_numbers_have_limits),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
