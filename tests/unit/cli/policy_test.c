/* sealock policy validate: what it says, where, and how it ends. No kmsd is there. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "cli_run.h"
#include "policy/document.h"

static struct cli_run run;

#define IDENTITY \
	"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"kms:*\"," \
	"\"Resource\":\"*\"},{\"Effect\":\"Deny\",\"Action\":\"kms:Decrypt\",\"Resource\":\"*\"}]" \
	"}\n"
#define RESOURCE \
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\"," \
	"\"Action\":\"kms:*\",\"Resource\":\"*\"}}"
#define TRUST \
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":" \
	"\"000000000000\"},\"Action\":\"sts:AssumeRole\"}}"

static void
validate(const char *text, const char *kind, const char *json)
{
	const char *args[] = {"policy", "validate", "-", "--kind", kind, json, NULL};

	cli_run(&run, text, args);
}

static void
a_valid_document_is_told_so_by_its_kind(void **state)
{
	(void)state;
	static const char *const documents[][2] = {
		{"identity", IDENTITY}, {"resource", RESOURCE}, {"trust", TRUST}};

	for (size_t d = 0; d < 3; d++)
		for (size_t k = 0; k < 3; k++) {
			validate(documents[d][1], documents[k][0], NULL);
			assert_int_equal(run.code, d == k ? CLI_EXIT_OK : CLI_EXIT_FAILED);
			assert_int_equal(run.out[0] != '\0', d == k);
			assert_int_equal(run.err[0] != '\0', d != k);
		}
	validate(IDENTITY, "identity", NULL);
	assert_non_null(strstr(run.out, "valid\n"));
	assert_non_null(strstr(run.out, "statements:   2\n"));
	validate(IDENTITY, "identity", "--json");
	assert_int_equal(run.code, CLI_EXIT_OK);
	assert_non_null(strstr(run.out, "\"valid\": true"));
	assert_non_null(strstr(run.out, "\"kind\": \"identity\""));
	assert_non_null(strstr(run.out, "\"statements\": 2"));
}

static void
a_problem_has_a_place_and_a_reason(void **state)
{
	(void)state;
	static const char text[] = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": {\n"
				   "    \"Effect\": \"Alow\"\n  }\n}\n";

	validate(text, "identity", NULL);
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_string_equal(run.out, "");
	assert_string_equal(run.err, "sealock: stdin:4:15: Effect is \"Allow\" or \"Deny\"\n");
	validate(text, "identity", "--json");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_string_equal(run.err, "");
	assert_non_null(strstr(run.out, "\"valid\": false"));
	assert_non_null(strstr(run.out, "\"line\": 4"));
	assert_non_null(strstr(run.out, "\"column\": 15"));
	assert_non_null(strstr(run.out, "\"reason\": \"Effect is"));
}

static void
what_cannot_be_read_or_is_too_long_is_refused(void **state)
{
	(void)state;
	char *text = malloc(POL_DOCUMENT_MAX + 2);

	assert_non_null(text);
	memset(text, ' ', POL_DOCUMENT_MAX + 1);
	text[POL_DOCUMENT_MAX + 1] = '\0';
	validate(text, "identity", NULL);
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_non_null(strstr(run.err, "131072"));
	free(text);
	validate("", "identity", NULL);
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	cli_run_args(&run, "policy", "validate", "/nonexistent/policy.json");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_non_null(strstr(run.err, "/nonexistent/policy.json"));
	cli_run_args(&run, "policy", "validate", "/nonexistent/policy.json", "--json");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_ptr_equal(strstr(run.err, "{\"error\":{\"code\":\""), run.err);
	assert_string_equal(run.out, "");
}

/* What --help shows as an example is one. */
static void
the_policy_in_the_help_is_valid(void **state)
{
	(void)state;
	char text[1024] = "";

	cli_run_args(&run, "policy", "validate", "--help");
	const char *from = strstr(run.out, "{\"Version\"");
	assert_non_null(from);
	const char *to = strstr(from, "}}}}");
	assert_non_null(to);
	(void)snprintf(text, sizeof(text), "%.*s", (int)(to + 4 - from), from);
	validate(text, "identity", NULL);
	assert_string_equal(run.err, "");
	assert_int_equal(run.code, CLI_EXIT_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_valid_document_is_told_so_by_its_kind),
		cmocka_unit_test(a_problem_has_a_place_and_a_reason),
		cmocka_unit_test(what_cannot_be_read_or_is_too_long_is_refused),
		cmocka_unit_test(the_policy_in_the_help_is_valid),
	};

	return cmocka_run_group_tests_name("cli_policy", tests, NULL, NULL);
}
