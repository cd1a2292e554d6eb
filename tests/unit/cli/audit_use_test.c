/* Lines of the audit log as commands read, choose and show them. */
#include "slk_test.h"

#include <string.h>
#include <unistd.h>

#include "audit_use.h"

#define KEY "arn:aws:kms:local:000000000000:key/0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01"
#define HEAD \
	"{\"eventVersion\":\"1.11\",\"eventTime\":\"2026-11-24T08:00:00.000000Z\"," \
	"\"eventSource\":\"kms.amazonaws.com\",\"eventName\":\"Decrypt\",\"userIdentity\":{" \
	"\"type\":\"IAMUser\",\"arn\":\"arn:aws:iam::000000000000:user/carl\""
#define TAIL "\"resources\":[{\"ARN\":\"" KEY "\"}],\"requestID\":\"r-1\",\"outcome\":\"allowed\"}"

static struct cli_audit_use
read_line(const char *line)
{
	struct cli_audit_use use;

	assert_ok(cli_audit_use_read(slk_span_str(line), &use));
	return use;
}

static const char *
shown(const struct cli_audit_use *use)
{
	static char text[2048];
	struct cli_out *out = NULL;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_ok(cli_out_new(fds[1], &out, NULL));
	cli_audit_use_print(out, use, false);
	assert_ok(cli_out_flush(out));
	cli_out_free(out);
	close(fds[1]);
	ssize_t n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	assert_true(n > 0);
	text[n] = '\0';
	return text;
}

static void
a_use_names_who_what_and_on_what(void **state)
{
	(void)state;
	struct cli_audit_use use = read_line(HEAD "}," TAIL);

	assert_true(use.is_use);
	assert_false(use.is_decision);
	assert_string_equal(use.action, "kms:Decrypt");
	assert_string_equal(use.principal, "arn:aws:iam::000000000000:user/carl");
	assert_string_equal(use.resource, KEY);
	assert_string_equal(use.door, "");
	assert_null(strstr(shown(&use), "via"));
	const struct cli_audit_filter fits = {.key = "0b4ba0c3-*", .principal = "user/carl"};
	const struct cli_audit_filter other = {.key = "0b4ba0c3-*", .principal = "user/bob"};
	assert_true(cli_audit_use_matches(&use, &fits));
	assert_false(cli_audit_use_matches(&use, &other));
	cli_audit_use_fini(&use);
}

static void
a_decision_of_a_door_is_told_from_a_use(void **state)
{
	(void)state;
	struct cli_audit_use use =
		read_line(HEAD ",\"door\":{\"uid\":2001,\"pid\":77,\"name\":\"gateway\"}},"
			       "\"additionalEventData\":{\"decisionOnly\":true}," TAIL);

	assert_true(use.is_use);
	assert_true(use.is_decision);
	assert_string_equal(use.door, "gateway");
	assert_non_null(strstr(shown(&use), "r-1 via gateway (a decision: nothing was done)"));
	cli_audit_use_fini(&use);
}

static void
what_is_no_use_has_its_kind(void **state)
{
	(void)state;
	struct cli_audit_use use;
	struct cli_audit_use head = read_line("{\"kind\":\"head\",\"resources\":\"none\"}");

	assert_false(head.is_use);
	assert_string_equal(head.action, "head");
	assert_string_equal(head.resource, "");
	cli_audit_use_fini(&head);
	assert_int_equal(cli_audit_use_read(slk_span_str("[]"), &use), SLK_MALFORMED);
	assert_int_equal(cli_audit_use_read(slk_span_str("{\"a\":"), &use), SLK_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_use_names_who_what_and_on_what),
		cmocka_unit_test(a_decision_of_a_door_is_told_from_a_use),
		cmocka_unit_test(what_is_no_use_has_its_kind),
	};

	return cmocka_run_group_tests_name("cli_audit_use", tests, NULL, NULL);
}
