/* Who may do what, by the command line, against a scripted kmsd: what each line asks, what it prints, lists of many pages, and
 * documents that are refused before anybody is asked. On a real kmsd: tests/integration/cli/cli_iam_test.sh. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "cli_run.h"
#include "fake_iam.h"
#include "fake_kmsd.h"
#include "policy/document.h"

#define IDENTITY \
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"kms:*\"," \
	"\"Resource\":\"*\"}}"
#define RESOURCE \
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\"," \
	"\"Action\":\"kms:*\",\"Resource\":\"*\"}}"
#define TRUST \
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":" \
	"\"000000000000\"},\"Action\":\"sts:AssumeRole\"}}"

static struct cli_run run;

/* --- what is asked --- */

/* A line, its stdin, what kmsd is asked, and what is printed. */
struct line {
	const char *args[14];
	const char *input, *asked, *out;
};

static void
check_lines(const struct line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fake_iam.asked[0] = '\0';
		cli_run(&run, lines[i].input, lines[i].args);
		assert_string_equal(run.err, "");
		assert_string_equal(fake_iam.asked, lines[i].asked);
		if (lines[i].out != NULL)
			assert_string_equal(run.out, lines[i].out);
		assert_int_equal(run.code, CLI_EXIT_OK);
	}
}
#define CHECK_LINES(lines) check_lines(lines, sizeof(lines) / sizeof((lines)[0]))

static void
users_and_roles_are_kept(void **state)
{
	static const struct line lines[] = {
		{{"iam", "user", "create", "alice", "--tag", "a=1", "--tag=b="}, NULL,
			"create_user{name:alice tags{key:a value:1} tags{key:b}}\n",
			"user:         alice\narn:          arn:aws:iam::123456789012:user/alice\n"
			"id:           AIDA1\ncreated:      2025-11-24T10:00:00Z\n"
			"boundary:     -\ntags:         a=1\n              b=\n"},
		{{"iam", "role", "create", "reader", "--trust=-", "--description=d",
			 "--max-session=7200"},
			TRUST,
			"create_role{name:reader trust_policy:" TRUST
			" description:d max_session_s:7200}\n",
			NULL},
		{{"iam", "user", "get", "alice"}, NULL, "get_identity{user:alice}\n", NULL},
		{{"iam", "role", "get", "reader"}, NULL, "get_identity{role:reader}\n", NULL},
		{{"iam", "user", "delete", "alice"}, NULL, "delete_identity{user:alice}\n",
			"user alice is deleted\n"},
		{{"iam", "role", "delete", "reader"}, NULL, "delete_identity{role:reader}\n",
			"role reader is deleted\n"},
		{{"iam", "role", "tag", "reader", "a=1"}, NULL,
			"tag_identity{who{role:reader} tags{key:a value:1}}\n",
			"role reader is tagged\n"},
		{{"iam", "user", "untag", "alice", "a", "b"}, NULL,
			"untag_identity{who{user:alice} tag_keys:a tag_keys:b}\n",
			"user alice is untagged\n"},
		{{"iam", "role", "trust", "reader"}, NULL, "get_identity{role:reader}\n",
			"{\"a\": [1, 2]}\n"},
		{{"iam", "role", "trust", "reader", "-"}, TRUST,
			"update_trust_policy{role:reader policy:" TRUST "}\n",
			"role reader has a new trust policy\n"},
	};
	(void)state;

	CHECK_LINES(lines);
}

static void
policies_of_users_and_roles_are_kept(void **state)
{
	static const struct line lines[] = {
		{{"iam", "user", "policy", "put", "alice", "p", "-"}, IDENTITY,
			"put_inline_policy{who{user:alice} name:p policy:" IDENTITY "}\n",
			"user alice has the inline policy p\n"},
		{{"iam", "role", "policy", "get", "reader", "p"}, NULL,
			"get_inline_policy{who{role:reader} name:p}\n", "{\"a\": [1, 2]}\n"},
		{{"iam", "user", "policy", "delete", "alice", "p"}, NULL,
			"delete_inline_policy{who{user:alice} name:p}\n",
			"user alice has no longer the inline policy p\n"},
		{{"iam", "role", "boundary", "put", "reader", "p"}, NULL,
			"put_boundary{who{role:reader} policy:p}\n",
			"role reader is bounded by p\n"},
		{{"iam", "user", "boundary", "delete", "alice"}, NULL,
			"delete_boundary{user:alice}\n", "user alice is not bounded any more\n"},
		{{"iam", "policy", "create", "p", "-", "--description", "d"}, IDENTITY,
			"create_policy{name:p policy:" IDENTITY " description:d}\n", NULL},
		{{"iam", "policy", "update", "p", "-"}, IDENTITY,
			"update_policy{policy:p document:" IDENTITY "}\n", NULL},
		{{"iam", "policy", "get", "p", "--document"}, NULL, "get_policy{policy:p}\n",
			"{\"a\": [1, 2]}\n"},
		{{"iam", "policy", "delete", "p"}, NULL, "delete_policy{policy:p}\n",
			"deleted policy p\n"},
		{{"iam", "policy", "attach", "p", "--user", "alice"}, NULL,
			"attach_policy{who{user:alice} policy:p}\n",
			"user alice holds the policy p\n"},
		{{"iam", "policy", "detach", "p", "--role", "reader"}, NULL,
			"detach_policy{who{role:reader} policy:p}\n",
			"role reader does not hold any more the policy p\n"},
	};
	(void)state;

	CHECK_LINES(lines);
}

static void
policies_of_keys_and_streams_are_kept(void **state)
{
	static const struct line lines[] = {
		{{"key", "policy", "get", "alias/web"}, NULL,
			"describe_key{key:alias/web}\nget_key_policy{key:" FAKE_IAM_KEY "}\n",
			"{\"a\": [1, 2]}\n"},
		{{"key", "policy", "put", FAKE_IAM_KEY, "-", "--bypass-lockout-check"}, RESOURCE,
			"put_key_policy{key:" FAKE_IAM_KEY " policy:" RESOURCE
			" bypass_lockout_check:1}\n",
			"key " FAKE_IAM_KEY " has a new policy\n"},
		{{"key", "create", "--policy=-", "--bypass-lockout-check"}, RESOURCE,
			"create_key{policy:" RESOURCE " bypass_lockout_check:1}\n", NULL},
		{{"stream", "policy", "get", "web"}, NULL, "get_resource_policy{stream:web}\n",
			"{\"a\": [1, 2]}\n"},
		{{"stream", "policy", "put", "web", "-"}, RESOURCE,
			"put_resource_policy{stream:web policy:" RESOURCE "}\n",
			"stream web has a new policy\n"},
		{{"stream", "policy", "delete", "web"}, NULL,
			"delete_resource_policy{stream:web}\n",
			"stream web has no policy any more\n"},
	};
	(void)state;

	CHECK_LINES(lines);
	fake_iam.kept = "";
	cli_run_args(&run, "stream", "policy", "get", "web");
	assert_string_equal(run.out, "");
	assert_non_null(strstr(run.err, "has no policy"));
	cli_run_args(&run, "stream", "policy", "get", "web", "--json");
	assert_non_null(strstr(run.out, "\"policy\": null"));
}

static void
grants_are_given_and_taken_back(void **state)
{
	static const struct line lines[] = {
		{{"key", "grant", "create", "alias/web", "--grantee=arn:g", "--operation=Decrypt",
			 "--operation=Encrypt", "--context=a=b=c", "--source-arn=arn:s",
			 "--name=n"},
			NULL,
			"describe_key{key:alias/web}\ncreate_grant{key:" FAKE_IAM_KEY
			" grantee:arn:g operations:Decrypt operations:Encrypt "
			"context_subset{key:a value:b=c} source_arn:arn:s name:n}\n",
			"grant:        aa\ntoken:        tt\n"},
		{{"key", "grant", "create", FAKE_IAM_KEY, "--grantee=role/r", "--retiring=root",
			 "--operation=Sign", "--context-equals=a=b"},
			NULL,
			"describe_key{key:" FAKE_IAM_KEY "}\ndescribe_key{key:" FAKE_IAM_KEY
			"}\ncreate_grant{key:" FAKE_IAM_KEY
			" grantee:arn:aws:iam::123456789012:role/r "
			"retiring:arn:aws:iam::123456789012:root operations:Sign "
			"context_equals{key:a value:b}}\n",
			NULL},
		{{"key", "grant", "revoke", FAKE_IAM_KEY, "aa"}, NULL,
			"revoke_grant{key:" FAKE_IAM_KEY " grant_id:aa}\n",
			"grant aa is revoked\n"},
		{{"key", "grant", "retire", FAKE_IAM_KEY, "aa"}, NULL,
			"retire_grant{key:" FAKE_IAM_KEY " grant_id:aa}\n",
			"grant aa is retired\n"},
		{{"key", "grant", "retire", "--token", "tt"}, NULL, "retire_grant{token:tt}\n",
			"grant is retired\n"},
	};
	(void)state;

	CHECK_LINES(lines);
}

static void
a_question_gathers_what_was_given(void **state)
{
	static const struct line lines[] = {
		{{"policy", "explain", "--principal=user/alice", "--action=a:Allowed",
			 "--resource=alias/web", "--context=a=b", "--value=aws:x=1",
			 "--value=kms:y=2", "--value=AWS:X=3="},
			NULL,
			"explain{principal:user/alice action:a:Allowed resource:alias/web "
			"context{key:a value:b} values{key:aws:x values:1 values:3=} "
			"values{key:kms:y values:2}}\n",
			NULL},
		{{"policy", "explain", "--uid=7", "--action=a:Allowed", "--resource=*"}, NULL,
			"explain{uid:7 action:a:Allowed resource:*}\n", NULL},
	};
	(void)state;

	CHECK_LINES(lines);
}

static void
access_keys_are_kept(void **state)
{
	static const struct line lines[] = {
		{{"iam", "access-key", "create", "alice"}, NULL, "create_access_key{user:alice}\n",
			"access key:   AKIA1\nuser:         alice\n"
			"secret:       0123456789012345678901234567890123456789\n"},
		{{"iam", "access-key", "enable", "alice", "AKIA1"}, NULL,
			"update_access_key{user:alice id:AKIA1 active:1}\n",
			"access key AKIA1 is active\n"},
		{{"iam", "access-key", "disable", "alice", "AKIA1"}, NULL,
			"update_access_key{user:alice id:AKIA1}\n",
			"access key AKIA1 is disabled\n"},
		{{"iam", "access-key", "delete", "alice", "AKIA1"}, NULL,
			"delete_access_key{user:alice id:AKIA1}\n",
			"access key AKIA1 is deleted\n"},
	};
	(void)state;

	CHECK_LINES(lines);
}

static void
a_role_is_assumed_with_all_that_was_said(void **state)
{
	static const struct line lines[] = {
		{{"iam", "role", "assume", "reader", "--session=s1"}, NULL,
			"assume_role{role:reader session_name:s1}\n",
			"session:      arn:session\naccess key:   ASIA1\n"
			"secret:       0123456789012345678901234567890123456789\n"
			"token:        tokentoken\nexpires:      2025-11-24T10:00:00Z\n"},
		{{"iam", "role", "assume", "reader", "--session=s1", "--duration=900",
			 "--external-id=e", "--policy=-", "--managed-policy=p",
			 "--managed-policy=q", "--tag=a=1"},
			IDENTITY,
			"assume_role{role:reader session_name:s1 duration_s:900 external_id:e "
			"policy:" IDENTITY " policies:p policies:q tags{key:a value:1}}\n",
			NULL},
	};
	char path[96], got[256] = "";
	(void)state;

	CHECK_LINES(lines);
	snprintf(path, sizeof(path), "%s/credentials", fake_kmsd.dir);
	cli_run_args(
		&run, "iam", "role", "assume", "reader", "--session=s", "--out", path, "--json");
	assert_int_equal(run.code, CLI_EXIT_OK);
	assert_null(strstr(run.out, "0123456789"));
	assert_null(strstr(run.out, "tokentoken"));
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(got, 1, sizeof(got) - 1, f) > 0);
	fclose(f);
	unlink(path);
	assert_string_equal(got,
		"[default]\naws_access_key_id = ASIA1\n"
		"aws_secret_access_key = 0123456789012345678901234567890123456789\n"
		"aws_session_token = tokentoken\n");
}

static void
a_secret_that_goes_to_a_file_is_not_printed(void **state)
{
	char path[96], got[256] = "";
	(void)state;

	snprintf(path, sizeof(path), "%s/credentials", fake_kmsd.dir);
	cli_run_args(&run, "iam", "access-key", "create", "alice", "--json", "--out", path);
	assert_int_equal(run.code, CLI_EXIT_OK);
	assert_null(strstr(run.out, "0123456789"));
	assert_non_null(strstr(run.out, "\"id\": \"AKIA1\""));
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(got, 1, sizeof(got) - 1, f) > 0);
	fclose(f);
	unlink(path);
	assert_string_equal(got,
		"[default]\naws_access_key_id = AKIA1\n"
		"aws_secret_access_key = 0123456789012345678901234567890123456789\n");
	cli_run_args(&run, "iam", "access-key", "create", "alice", "--out", "/nonexistent/c");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_non_null(strstr(run.err, "AKIA1 was created, but its secret is lost"));
}

/* --- what is said --- */

static void
json_holds_documents_as_json(void **state)
{
	(void)state;
	cli_run_args(&run, "iam", "role", "get", "reader", "--json");
	assert_non_null(strstr(run.out, "\"trust_policy\": {\"a\": [1, 2]}"));
	assert_non_null(strstr(run.out, "\"max_session_seconds\": 7200"));
	assert_non_null(strstr(run.out, "\"boundary\": null"));
	cli_run_args(&run, "iam", "policy", "get", "p", "--json");
	assert_non_null(strstr(run.out, "\"document\": {\"a\": [1, 2]}"));
	assert_non_null(strstr(run.out, "\"attachments\": 2"));
	cli_run_args(&run, "key", "policy", "get", FAKE_IAM_KEY, "--json");
	assert_non_null(strstr(run.out, "\"policy\": {\"a\": [1, 2]}"));
}

static void
what_kmsd_keeps_and_is_no_json_is_not_printed_as_json(void **state)
{
	static const char *const bad[] = {"{\"a\": 1", "{} {}", "x", "{\"a\": 1}, \"b\": 2"};
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fake_iam.kept = bad[i];
		cli_run_args(&run, "key", "policy", "get", FAKE_IAM_KEY, "--json");
		assert_int_equal(run.code, CLI_EXIT_FAILED);
		assert_string_equal(run.out, "");
		cli_run_args(&run, "iam", "role", "get", "reader", "--json");
		assert_int_equal(run.code, CLI_EXIT_FAILED);
		assert_string_equal(run.out, "");
	}
}

static void
a_tag_cannot_command_a_terminal(void **state)
{
	(void)state;
	cli_run_args(&run, "iam", "user", "get", "alice");
	assert_null(strchr(run.out, '\x1b'));
	assert_non_null(strstr(run.out, "team=w\\x1b[2J\n"));
}

static void
an_answer_says_which_statement_and_why_no_other(void **state)
{
	(void)state;
	cli_run_args(&run, "policy", "explain", "--uid=1", "--action=a:Allowed", "--resource=*");
	assert_int_equal(run.code, CLI_EXIT_OK);
	assert_non_null(strstr(run.out, "answer:       allowed\n"));
	assert_non_null(strstr(run.out, "because:      because of it\n"));
	assert_non_null(strstr(run.out,
		"identity policy inline/p:\n"
		"  -> statement 1, line 3, Allow \"s\\x1b\": decided\n"
		"     statement 2, line 9, Deny: does not match, by its Condition StringEquals on "
		"kms:ViaService\n"));
	assert_non_null(strstr(run.out, "  kms:ViaService = a, b\n"));
	cli_run_args(&run, "policy", "explain", "--uid=1", "--action=a:Denied", "--resource=*");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_string_equal(run.err, "");
	assert_non_null(strstr(run.out, "answer:       denied\n"));
	assert_null(strstr(run.out, "decided"));
	assert_non_null(strstr(run.out, "Allow \"s\\x1b\": matches\n"));
	cli_run_args(&run, "policy", "explain", "--uid=1", "--action=a:Denied", "--resource=*",
		"--json");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_string_equal(run.err, "");
	assert_non_null(strstr(run.out, "\"allowed\": false"));
	assert_non_null(strstr(run.out, "\"failed\": \"Condition\""));
	assert_non_null(strstr(run.out, "\"condition_key\": \"kms:ViaService\""));
}

/* --- lists --- */

/* The second page of each is empty. */
static void
every_page_is_read(void **state)
{
	static const struct {
		const char *args[6], *call, *twice;
	} lines[] = {
		{{"iam", "user", "list"}, "list_users{", "arn:aws:iam::123456789012:user/alice\n"},
		{{"iam", "role", "list", "--json"}, "list_roles{", "\"name\": \"reader\""},
		{{"iam", "policy", "list"}, "list_policies{",
			"arn:aws:iam::123456789012:policy/p\n"},
		{{"iam", "policy", "holders", "p"}, "list_policy_holders{", "role  reader\n"},
		{{"iam", "user", "policy", "list", "a"}, "list_attached_policies{", "managed  p\n"},
		{{"key", "grant", "list", FAKE_IAM_KEY}, "list_grants{", "with:         dept=it\n"},
		{{"key", "grant", "list", FAKE_IAM_KEY, "--json"}, "list_grants{",
			"\"dept\": \"it\""},
		{{"key", "grant", "list", "--retiring=r"}, "list_retirable_grants{", "Decrypt\n"},
		{{"iam", "access-key", "list", "a"}, "list_access_keys{", "AKIA1  disabled"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		fake_iam.asked[0] = '\0';
		cli_run(&run, NULL, lines[i].args);
		assert_int_equal(run.code, CLI_EXIT_OK);
		const char *at = fake_iam.asked;
		for (unsigned page = 0; page < FAKE_IAM_PAGES; page++) {
			at = strstr(at, lines[i].call);
			assert_non_null(at);
			at++;
		}
		assert_null(strstr(at, lines[i].call));
		at = strstr(run.out, lines[i].twice);
		assert_non_null(at);
		assert_non_null(strstr(at + 1, lines[i].twice));
	}
	cli_run_args(&run, "iam", "user", "policy", "list", "a");
	assert_non_null(strstr(run.out, "inline   first\ninline   last\nmanaged  p\n"));
	cli_run_args(&run, "key", "policy", "list", FAKE_IAM_KEY);
	assert_string_equal(run.out, "first\nlast\n");
}

static void
a_page_that_fails_leaves_no_half_of_a_list(void **state)
{
	static const struct {
		const char *args[6];
		Kmsp__Request__CallCase call;
	} lines[] = {
		{{"iam", "user", "list"}, KMSP__REQUEST__CALL_LIST_USERS},
		{{"iam", "role", "list", "--json"}, KMSP__REQUEST__CALL_LIST_ROLES},
		{{"iam", "user", "policy", "list", "a"},
			KMSP__REQUEST__CALL_LIST_ATTACHED_POLICIES},
		{{"key", "grant", "list", FAKE_IAM_KEY, "--json"}, KMSP__REQUEST__CALL_LIST_GRANTS},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		fake_iam.refuse = lines[i].call;
		fake_iam.refuse_turns = FAKE_IAM_PAGES - 1;
		cli_run(&run, NULL, lines[i].args);
		assert_int_equal(run.code, CLI_EXIT_FAILED);
		assert_string_equal(run.out, "");
		assert_non_null(strstr(run.err, "Refused: by the test"));
	}
}

/* --- documents --- */

static void
a_document_that_is_none_is_not_sent(void **state)
{
	static const char text[] = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": {\n"
				   "    \"Effect\": \"Alow\"\n  }\n}\n";
	static const char *const lines[][8] = {
		{"iam", "role", "create", "r", "--trust=-"},
		{"iam", "role", "trust", "r", "-"},
		{"iam", "user", "policy", "put", "a", "p", "-"},
		{"iam", "policy", "create", "p", "-"},
		{"iam", "policy", "update", "p", "-"},
		{"key", "policy", "put", FAKE_IAM_KEY, "-"},
		{"stream", "policy", "put", "web", "-"},
		{"key", "create", "--policy=-"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		cli_run(&run, text, lines[i]);
		assert_int_equal(run.code, CLI_EXIT_FAILED);
		assert_string_equal(run.out, "");
		assert_string_equal(
			run.err, "sealock: stdin:4:15: Effect is \"Allow\" or \"Deny\"\n");
		assert_string_equal(fake_iam.asked, "");
	}
	/* Nor is one of another kind. */
	cli_run(&run, IDENTITY, lines[5]);
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	cli_run(&run, RESOURCE, lines[3]);
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_string_equal(fake_iam.asked, "");
}

/* The document that --help of args shows is one of the kind. */
static void
check_help(const char *const *args, enum pol_kind kind)
{
	struct pol_document *document = NULL;
	struct pol_problem problem = {0};

	cli_run(&run, NULL, args);
	const char *from = strstr(run.out, "{\"Version\"");
	assert_non_null(from);
	const char *to = from;
	int depth = 0;
	do
		depth += *to == '{' ? 1 : *to == '}' ? -1 : 0;
	while (*to++ != '\0' && depth > 0);
	int rc = pol_document_parse(slk_span(from, (size_t)(to - from)), kind, &document, &problem);
	assert_string_equal(problem.text, "");
	assert_ok(rc);
	pol_document_free(document);
}

static void
the_policies_in_the_help_are_valid(void **state)
{
	static const char *const identity[][6] = {{"iam", "user", "policy", "put", "--help"},
		{"iam", "role", "policy", "put", "--help"}};
	static const char *const resource[][6] = {
		{"key", "policy", "put", "--help"}, {"stream", "policy", "put", "--help"}};
	static const char *const trust[] = {"iam", "role", "create", "--help", NULL};
	(void)state;

	for (size_t i = 0; i < 2; i++) {
		check_help(identity[i], POL_IDENTITY);
		check_help(resource[i], POL_RESOURCE);
	}
	check_help(trust, POL_TRUST);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, fake_iam_setup, fake_iam_teardown)
	const struct CMUnitTest tests[] = {
		CASE(users_and_roles_are_kept), CASE(policies_of_users_and_roles_are_kept),
		CASE(policies_of_keys_and_streams_are_kept), CASE(grants_are_given_and_taken_back),
		CASE(a_question_gathers_what_was_given), CASE(access_keys_are_kept),
		CASE(a_role_is_assumed_with_all_that_was_said),
		CASE(a_secret_that_goes_to_a_file_is_not_printed),
		CASE(json_holds_documents_as_json),
		CASE(what_kmsd_keeps_and_is_no_json_is_not_printed_as_json),
		CASE(a_tag_cannot_command_a_terminal),
		CASE(an_answer_says_which_statement_and_why_no_other), CASE(every_page_is_read),
		CASE(a_page_that_fails_leaves_no_half_of_a_list),
		CASE(a_document_that_is_none_is_not_sent),
		cmocka_unit_test(the_policies_in_the_help_are_valid), /* nobody is asked */
	};

	return cmocka_run_group_tests_name("cli_iam", tests, NULL, NULL);
}
