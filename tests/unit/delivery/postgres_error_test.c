#include "slk_test.h"

#include <string.h>

#include "postgres_link_inner.h"

static void
refusals_at_login_tell_their_code(void **state)
{
	(void)state;
	static const struct {
		const char *message, *sqlstate, *sentence;
		bool tls;
	} cases[] = {
		{"", "", "", false},
		{"connection to server at \"127.0.0.1\", port 1 failed: FATAL:  28P01: password "
		 "authentication "
		 "failed for user \"u\"\nLOCATION:  auth_failed, auth.c:337\n",
			"28P01",
			"connection to server at \"127.0.0.1\", port 1 failed: FATAL:  28P01: "
			"password "
			"authentication failed for user \"u\"",
			false},
		{"first: Connection refused\nsecond: FATAL:  57P03: the database system is "
		 "starting up\n",
			"57P03",
			"first: Connection refused; second: FATAL:  57P03: the database system is "
			"starting up",
			false},
		{"FATAL:  53300", "53300", "FATAL:  53300", false},
		{"FATAL:  5330", "", "FATAL:  5330", false},
		{"FATAL:  53300x", "", "FATAL:  53300x", false},
		{"a:  b", "", "a:  b", false},
		{"SSL error: certificate verify failed", "", "SSL error: certificate verify failed",
			true},
		{"server does not support SSL, but SSL was required", "",
			"server does not support SSL, but SSL was required", true},
		{"SSL SYSCALL error: EOF detected", "", "SSL SYSCALL error: EOF detected", false},
		{"evil\x1b[31m\r\ttext", "", "evil [31m  text", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dlv_link_answer answer = {0};
		dlv_link_read_message(cases[i].message, &answer);
		assert_string_equal(answer.sqlstate, cases[i].sqlstate);
		assert_string_equal(answer.sentence, cases[i].sentence);
		assert_int_equal(answer.tls, cases[i].tls);
	}
}

static void
a_long_message_is_cut(void **state)
{
	(void)state;
	char message[5000];
	struct dlv_link_answer answer = {0};

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = i % 600 == 599 ? '\n' : 'x';
	message[sizeof(message) - 1] = '\0';
	dlv_link_read_message(message, &answer);
	assert_int_equal(strlen(answer.sentence), sizeof(answer.sentence) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals_at_login_tell_their_code),
		cmocka_unit_test(a_long_message_is_cut),
	};

	return cmocka_run_group_tests_name("delivery_postgres_error", tests, NULL, NULL);
}
