/* Whole command lines: help, wrong usage, exit codes, and what is said when a service is away. */
#include "slk_test.h"

#include <string.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "cli_run.h"
#include "kmsclient/life.h"

static struct cli_run run;

static const char *const commands[][5] = {
	{NULL},
	{"key"},
	{"key", "create"},
	{"key", "list"},
	{"key", "describe"},
	{"key", "update"},
	{"key", "enable"},
	{"key", "disable"},
	{"key", "rotate"},
	{"key", "rotation"},
	{"key", "tag"},
	{"key", "untag"},
	{"key", "tags"},
	{"key", "schedule-deletion"},
	{"key", "cancel-deletion"},
	{"key", "orphans"},
	{"alias"},
	{"alias", "create"},
	{"alias", "update"},
	{"alias", "delete"},
	{"alias", "list"},
	{"key", "usage"},
	{"key", "rewrap"},
	{"key", "attestation-key"},
	{"key", "encrypt"},
	{"key", "decrypt"},
	{"key", "re-encrypt"},
	{"key", "data-key"},
	{"key", "random"},
	{"key", "sign"},
	{"key", "verify"},
	{"key", "public-key"},
	{"key", "reference"},
	{"key", "data"},
	{"key", "data", "create"},
	{"key", "data", "list"},
	{"stream"},
	{"stream", "create"},
	{"stream", "list"},
	{"stream", "describe"},
	{"stream", "delete"},
	{"put"},
	{"tail"},
	{"journal"},
	{"journal", "ls"},
	{"journal", "verify"},
	{"policy"},
	{"policy", "validate"},
	{"audit", "evidence"},
	{"approval"},
	{"approval", "list"},
	{"approval", "show"},
	{"approval", "approve"},
	{"approval", "reject"},
	{"policy", "explain"},
	{"iam"},
	{"iam", "user"},
	{"iam", "user", "create"},
	{"iam", "user", "get"},
	{"iam", "user", "list"},
	{"iam", "user", "delete"},
	{"iam", "user", "tag"},
	{"iam", "user", "untag"},
	{"iam", "user", "policy"},
	{"iam", "user", "policy", "put"},
	{"iam", "user", "policy", "get"},
	{"iam", "user", "policy", "delete"},
	{"iam", "user", "policy", "list"},
	{"iam", "user", "boundary"},
	{"iam", "user", "boundary", "put"},
	{"iam", "user", "boundary", "delete"},
	{"iam", "role"},
	{"iam", "role", "create"},
	{"iam", "role", "get"},
	{"iam", "role", "list"},
	{"iam", "role", "delete"},
	{"iam", "role", "trust"},
	{"iam", "role", "assume"},
	{"iam", "role", "tag"},
	{"iam", "role", "untag"},
	{"iam", "role", "policy"},
	{"iam", "role", "policy", "put"},
	{"iam", "role", "policy", "get"},
	{"iam", "role", "policy", "delete"},
	{"iam", "role", "policy", "list"},
	{"iam", "role", "boundary"},
	{"iam", "role", "boundary", "put"},
	{"iam", "role", "boundary", "delete"},
	{"iam", "policy"},
	{"iam", "policy", "create"},
	{"iam", "policy", "get"},
	{"iam", "policy", "list"},
	{"iam", "policy", "update"},
	{"iam", "policy", "delete"},
	{"iam", "policy", "attach"},
	{"iam", "policy", "detach"},
	{"iam", "policy", "holders"},
	{"iam", "access-key"},
	{"iam", "access-key", "create"},
	{"iam", "access-key", "list"},
	{"iam", "access-key", "enable"},
	{"iam", "access-key", "disable"},
	{"iam", "access-key", "delete"},
	{"key", "policy"},
	{"key", "policy", "get"},
	{"key", "policy", "put"},
	{"key", "policy", "list"},
	{"key", "grant"},
	{"key", "grant", "create"},
	{"key", "grant", "list"},
	{"key", "grant", "retire"},
	{"key", "grant", "revoke"},
	{"stream", "policy"},
	{"stream", "policy", "get"},
	{"stream", "policy", "put"},
	{"stream", "policy", "delete"},
	{"configure"},
	{"configure", "aws"},
	{"status"},
#ifdef CLI_HAVE_HSM
	{"hsm"},
	{"hsm", "init"},
	{"hsm", "ceremony"},
#endif
};

static void
help_of_every_command_teaches_with_an_example(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *args[6] = {NULL};
		size_t n = 0;
		for (; n < 4 && commands[i][n] != NULL; n++)
			args[n] = commands[i][n];
		args[n] = "--help";
		cli_run(&run, NULL, args);
		assert_int_equal(run.code, CLI_EXIT_OK);
		assert_string_equal(run.err, "");
		assert_non_null(strstr(run.out, "Example"));
		assert_non_null(strstr(run.out, "\n  sealock "));
		assert_non_null(strstr(run.out, "--json"));
		assert_non_null(strstr(run.out, "Usage: sealock"));
	}
}

static void
a_noun_without_a_verb_is_wrong_usage(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (commands[i][0] != NULL && strcmp(commands[i][0], "status") == 0)
			continue;
		if (commands[i][1] != NULL &&
			(strcmp(commands[i][1], "list") == 0 ||
				strcmp(commands[i][1], "attestation-key") == 0 ||
				strcmp(commands[i][1], "decrypt") == 0 ||
				strcmp(commands[i][1], "orphans") == 0 ||
				strcmp(commands[i][1], "aws") == 0 ||
				strcmp(commands[i][0], "journal") == 0 ||
				strcmp(commands[i][0], "hsm") == 0 || i == 2))
			continue; /* these need no argument */
		if (commands[i][1] != NULL && commands[i][2] != NULL &&
			strcmp(commands[i][2], "list") == 0)
			continue;
		cli_run(&run, NULL, commands[i]);
		assert_int_equal(run.code, CLI_EXIT_USAGE);
		assert_string_equal(run.out, "");
		assert_non_null(strstr(run.err, "--help"));
	}
}

static void
an_unknown_command_is_named(void **state)
{
	(void)state;
	cli_run_args(&run, "steal");
	assert_int_equal(run.code, CLI_EXIT_USAGE);
	assert_non_null(strstr(run.err, "no command 'steal'"));
	cli_run_args(&run, "key", "steal");
	assert_int_equal(run.code, CLI_EXIT_USAGE);
	assert_non_null(strstr(run.err, "sealock key: there is no command 'steal'"));
}

static void
wrong_options_are_usage_errors(void **state)
{
	static const char *const lines[][8] = {
		{"key", "create", "--alias", "web"},
		{"key", "create", "surplus"},
		{"key", "list", "surplus"},
		{"key", "create", "--tag", "no-value"},
		{"key", "create", "--tag", "=value"},
		{"key", "describe", "a", "b"},
		{"key", "enable", "a", "b"},
		{"key", "update", "k"},
		{"key", "schedule-deletion", "k", "--days", "0"},
		{"key", "schedule-deletion", "k", "--days", "6"},
		{"key", "schedule-deletion", "k", "--days", "31"},
		{"key", "schedule-deletion", "k", "--days", "4294967303"},
		{"key", "schedule-deletion", "k", "--days", "-7"},
		{"key", "schedule-deletion", "k", "--days", "7d"},
		{"key", "cancel-deletion", "k", "--days", "7"},
		{"key", "tag", "k"},
		{"key", "tag", "k", "no-value"},
		{"key", "tag", "k", "=value"},
		{"key", "untag", "k"},
		{"key", "tags", "k", "more"},
		{"key", "rotate", "k", "--days", "90"},
		{"key", "rotation", "k", "--days", "90"},
		{"key", "rotation", "k", "--enable", "--days", "89"},
		{"key", "rotation", "k", "--enable", "--days", "2561"},
		{"key", "rotation", "k", "--enable", "--disable"},
		{"key", "rotation", "k", "--disable", "--days=90"},
		{"key", "orphans", "k"},
		{"alias", "create", "web", "k"},
		{"alias", "create", "alias/", "k"},
		{"alias", "create", "alias/web"},
		{"alias", "update", "alias/web"},
		{"alias", "delete", "web"},
		{"alias", "delete", "alias/web", "k"},
		{"alias", "list", "k", "more"},
		{"key", "encrypt", "k", "more"},
		{"key", "encrypt", "k", "--context", "no-value"},
		{"key", "encrypt", "k", "--context", "=v"},
		{"key", "encrypt", "k", "-c", "a=1", "-ca=2"},
		{"key", "data-key", "k", "--spec", "AES_192"},
		{"key", "data-key", "k", "--bytes", "0"},
		{"key", "data-key", "k", "--bytes", "1025"},
		{"key", "random", "0"},
		{"key", "random", "many"},
		{"key", "sign", "k"},
		{"key", "verify", "k", "--algorithm", "ECDSA_SHA_256"},
		{"stream", "create", "web", "--shards", "0"},
		{"stream", "create", "web", "--shards", "10001"},
		{"stream", "create", "web", "--shards", "two"},
		{"stream", "delete", "a", "b"},
		{"put", "web", "file", "more"},
		{"put", "web", "--partition-key", ""},
		{"tail", "web", "--format", "xml"},
		{"tail", "web", "--count", "-1"},
		{"tail", "web", "--shard", "x"},
		{"tail", "web", "--from", "YESTERDAY"},
		{"tail", "web", "--from", "@never"},
		{"tail", "web", "more"},
		{"tail", "web", "--nonsense"},
		{"policy", "validate", "a", "b"},
		{"policy", "validate", "a", "--kind", "bucket"},
		{"policy", "explain", "--action", "a:B", "--resource=*"},
		{"policy", "explain", "--principal=a", "--resource=*"},
		{"policy", "explain", "--principal=a", "--action=a:B"},
		{"policy", "explain", "--uid=x", "--action=a:B", "--resource=*"},
		{"policy", "explain", "--uid=1", "--principal=a", "--action=a:B", "--resource=*"},
		{"policy", "explain", "--uid=1", "--action=a:B", "--resource=*", "--value=x"},
		{"iam", "user", "create", "a", "b"},
		{"iam", "user", "create", "a", "--trust=f"},
		{"iam", "user", "trust", "a"},
		{"iam", "role", "create", "a"},
		{"iam", "role", "create", "a", "--trust=f", "--max-session=3599"},
		{"iam", "role", "create", "a", "--trust=f", "--max-session=43201"},
		{"iam", "role", "assume", "r"},
		{"iam", "role", "assume", "r", "--session=s", "--duration=899"},
		{"iam", "role", "assume", "r", "--session=s", "--duration=1h"},
		{"iam", "user", "tag", "a"},
		{"iam", "user", "tag", "a", "no-value"},
		{"iam", "user", "untag", "a"},
		{"iam", "user", "list", "a"},
		{"iam", "user", "policy", "put", "a", "p"},
		{"iam", "policy", "create", "p"},
		{"iam", "policy", "attach", "p"},
		{"iam", "policy", "attach", "p", "--user=a", "--role=b"},
		{"iam", "access-key", "delete", "a"},
		{"key", "policy", "put", "k"},
		{"key", "grant", "create", "k", "--grantee=a"},
		{"key", "grant", "create", "k", "--operation=Decrypt"},
		{"key", "grant", "create", "k", "--grantee=a", "--operation=b", "--context=x"},
		{"key", "grant", "list"},
		{"key", "grant", "list", "k", "--retiring=a"},
		{"key", "grant", "retire", "k"},
		{"key", "grant", "retire", "k", "--token=t"},
		{"key", "grant", "revoke", "k"},
		{"stream", "policy", "put", "web"},
		{"journal", "ls", "more"},
		{"journal", "verify", "more"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		cli_run(&run, NULL, lines[i]);
		assert_int_equal(run.code, CLI_EXIT_USAGE);
		assert_string_equal(run.out, "");
		assert_string_not_equal(run.err, "");
	}
}

static void
what_no_key_can_have_is_refused_before_kmsd_is_asked(void **state)
{
	(void)state;
	static char name[600], value[1200], tags[KMSC_TAGS_MAX + 1][8];
	const char *args[KMSC_TAGS_MAX + 5] = {"key", "tag", "k", NULL};

	memset(name, 'n', 513);
	strcpy(name + 513, "=v");
	cli_run_args(&run, "key", "tag", "k", name);
	assert_int_equal(run.code, CLI_EXIT_USAGE);
	assert_non_null(strstr(run.err, "at most 128 characters"));
	strcpy(value, "n=");
	memset(value + 2, 'v', 1025);
	cli_run_args(&run, "key", "tag", "k", value);
	assert_int_equal(run.code, CLI_EXIT_USAGE);
	assert_non_null(strstr(run.err, "at most 256"));
	for (unsigned i = 0; i <= KMSC_TAGS_MAX; i++) {
		snprintf(tags[i], sizeof(tags[i]), "%u=", i);
		args[3 + i] = tags[i];
	}
	cli_run(&run, NULL, args);
	assert_int_equal(run.code, CLI_EXIT_USAGE);
	assert_non_null(strstr(run.err, "at most 50 tags"));
}

static void
version_is_printed(void **state)
{
	(void)state;
	cli_run_args(&run, "--version");
	assert_int_equal(run.code, CLI_EXIT_OK);
	assert_ptr_equal(strstr(run.out, "sealock "), run.out);
}

static void
without_kmsd_a_sentence_names_the_socket(void **state)
{
	static const char *const lines[][6] = {{"iam", "user", "create", "a"},
		{"iam", "user", "list"}, {"iam", "role", "get", "a"}, {"iam", "role", "trust", "a"},
		{"iam", "user", "policy", "list", "a"}, {"iam", "policy", "get", "p"},
		{"iam", "policy", "detach", "p", "--user=a"}, {"iam", "access-key", "list", "a"},
		{"key", "policy", "get", "k"}, {"key", "grant", "revoke", "k", "g"},
		{"stream", "policy", "get", "web"}, {"key", "create"}, {"key", "list"},
		{"key", "describe", "alias/x"}, {"key", "enable", "alias/x"},
		{"key", "disable", "k"}, {"key", "update", "k", "-dx"}, {"key", "rotate", "k"},
		{"key", "rotation", "k"}, {"key", "tag", "k", "a=b"}, {"key", "untag", "k", "a"},
		{"key", "tags", "k"}, {"key", "schedule-deletion", "k"},
		{"key", "cancel-deletion", "k"}, {"key", "orphans"},
		{"alias", "create", "alias/x", "k"}, {"alias", "update", "alias/x", "alias/y"},
		{"alias", "delete", "alias/x"}, {"alias", "list"}, {"key", "data-key", "k"},
		{"key", "random", "1"}, {"key", "public-key", "k"}, {"key", "reference", "k"},
		{"stream", "create", "web"}, {"stream", "list"}, {"stream", "describe", "web"},
		{"stream", "delete", "web"}, {"tail", "web", "--no-follow"}};
	(void)state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *args[8] = {"--kms-socket", "/nonexistent/kms.sock"};
		memcpy(args + 2, lines[i], sizeof(lines[i]));
		cli_run(&run, NULL, args);
		assert_int_equal(run.code, CLI_EXIT_FAILED);
		assert_string_equal(run.out, "");
		assert_ptr_equal(strstr(run.err, "sealock: "), run.err);
		assert_non_null(strstr(run.err, "/nonexistent/kms.sock"));
	}
}

static void
with_json_a_failure_is_an_object_and_stdout_stays_empty(void **state)
{
	(void)state;
	cli_run_args(&run, "key", "list", "--json", "--kms-socket", "/nonexistent/kms.sock");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_string_equal(run.out, "");
	assert_ptr_equal(strstr(run.err, "{\"error\":{\"code\":\""), run.err);
	assert_non_null(strstr(run.err, "\"message\":\""));
	assert_string_equal(run.err + strlen(run.err) - 3, "}}\n");
}

static void
options_may_stand_before_the_command_and_behind_it(void **state)
{
	(void)state;
	cli_run_args(&run, "--json", "--kms-socket=/nonexistent/a.sock", "key", "list",
		"--kms-socket=/nonexistent/b.sock");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_non_null(strstr(run.err, "/nonexistent/b.sock"));
	assert_null(strstr(run.err, "/nonexistent/a.sock"));
}

static void
the_environment_names_the_socket_and_an_option_wins(void **state)
{
	(void)state;
	assert_int_equal(setenv("SEALOCK_KMS_SOCKET", "/nonexistent/env.sock", 1), 0);
	cli_run_args(&run, "key", "list");
	assert_non_null(strstr(run.err, "/nonexistent/env.sock"));
	cli_run_args(&run, "key", "list", "--kms-socket", "/nonexistent/opt.sock");
	assert_non_null(strstr(run.err, "/nonexistent/opt.sock"));
	unsetenv("SEALOCK_KMS_SOCKET");
}

static void
put_without_ingestd_says_so(void **state)
{
	(void)state;
	const char *args[] = {"put", "web", "--ingest-socket", "/nonexistent/put.sock", NULL};
	cli_run(&run, "secret record\n", args);
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_non_null(strstr(run.err, "/nonexistent/put.sock"));
	assert_null(strstr(run.err, "secret record"));
	cli_run_args(&run, "put", "web", "/nonexistent/file");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_non_null(strstr(run.err, "/nonexistent/file"));
}

static void
a_journal_that_is_not_there_is_named(void **state)
{
	(void)state;
	cli_run_args(&run, "journal", "ls", "--journal", "/nonexistent/journal");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_string_equal(run.out, "");
	assert_non_null(strstr(run.err, "/nonexistent/journal"));
	cli_run_args(&run, "journal", "verify", "--json", "--journal", "/nonexistent/journal");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_string_equal(run.out, "");
	assert_non_null(strstr(run.err, "\"error\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(help_of_every_command_teaches_with_an_example),
		cmocka_unit_test(a_noun_without_a_verb_is_wrong_usage),
		cmocka_unit_test(an_unknown_command_is_named),
		cmocka_unit_test(wrong_options_are_usage_errors),
		cmocka_unit_test(what_no_key_can_have_is_refused_before_kmsd_is_asked),
		cmocka_unit_test(version_is_printed),
		cmocka_unit_test(without_kmsd_a_sentence_names_the_socket),
		cmocka_unit_test(with_json_a_failure_is_an_object_and_stdout_stays_empty),
		cmocka_unit_test(options_may_stand_before_the_command_and_behind_it),
		cmocka_unit_test(the_environment_names_the_socket_and_an_option_wins),
		cmocka_unit_test(put_without_ingestd_says_so),
		cmocka_unit_test(a_journal_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests_name("cli_usage", tests, NULL, NULL);
}
