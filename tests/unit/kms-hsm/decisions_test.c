/* A question is decided once in five minutes, whoever asks it how often; and at once anew when anything that it follows from
 * has changed. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "call.h"
#include "iam_rig.h"

#define WEB_ARN "arn:aws:kinesis:local:000000000000:stream/web"
#define MAY "{'Effect':'Allow','Action':'kms:*','Resource':'*'}"
#define RENEWAL_S 240u

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX];

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
	rig_new_key(&rig, key_arn);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key_arn), SLK_OK);
	iam_user_with(&rig, "admin", MAY);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static void
admin_may(const char *statements)
{
	assert_answered(iam_put_inline(&rig, RIG_ROOT, "user/admin", "p", statements), SLK_OK);
}

static uint64_t
made(void)
{
	return kms_decisions_made(rig.service->decisions);
}

static void
pass(uint64_t seconds)
{
	rig.mono_ns += seconds * SLK_NS_PER_S;
	rig.wall_ns += seconds * SLK_NS_PER_S;
}

static int
encrypt(const char *context)
{
	return rig_encrypt(&rig, RIG_ADMIN, key_arn, context, slk_span_str("x"))->status;
}

static void
a_day_of_epochs_is_decided_once_in_five_minutes(void **state)
{
	const uint64_t before = made();
	uint64_t keys = 0;

	(void)state;
	for (uint64_t s = 0; s < 86400; s += RENEWAL_S, keys++) {
		const Kmsp__Reply *reply = rig_stream_key(&rig, RIG_INGEST, WEB_ARN);
		assert_answered(reply, SLK_OK);
		pass(RENEWAL_S);
	}
	assert_int_equal(keys, 360);
	assert_in_range(made() - before, 1, 86400 / 300);
}

/* All of a day's keys at once, by one reader: one decision in the five minutes, and one line of the audit log for each. */
static void
readers_of_many_epochs_are_decided_once(void **state)
{
	enum { KEYS = 50 };
	static uint8_t blobs[KEYS][1024];
	static size_t lens[KEYS];

	(void)state;
	for (unsigned i = 0; i < KEYS; i++) {
		const Kmsp__Reply *reply = rig_stream_key(&rig, RIG_INGEST, WEB_ARN);
		assert_answered(reply, SLK_OK);
		lens[i] = reply->cipher->blob.len;
		assert_true(lens[i] <= sizeof(blobs[i]));
		memcpy(blobs[i], reply->cipher->blob.data, lens[i]);
	}
	const uint64_t before = made();
	for (unsigned i = 0; i < KEYS; i++)
		assert_answered(rig_decrypt(&rig, RIG_ADMIN, "", "aws:kinesis:arn=" WEB_ARN,
					slk_span(blobs[i], lens[i])),
			SLK_OK);
	assert_int_equal(made() - before, 1);
	const char *at = rig_audit(&rig);
	unsigned lines = 0;
	while ((at = strstr(at, "\"eventName\":\"Decrypt\"")) != NULL) {
		at++;
		lines++;
	}
	assert_int_equal(lines, KEYS);
}

static void
it_holds_for_five_minutes(void **state)
{
	(void)state;
	assert_int_equal(encrypt(""), SLK_OK);
	uint64_t first = made();
	pass(299);
	assert_int_equal(encrypt(""), SLK_OK);
	assert_int_equal(made(), first);
	pass(1);
	assert_int_equal(encrypt(""), SLK_OK);
	assert_int_equal(made(), first + 1);
}

static void
a_change_of_policies_ends_it_at_once(void **state)
{
	(void)state;
	assert_int_equal(encrypt(""), SLK_OK);
	admin_may("{'Effect':'Deny','Action':'kms:Encrypt','Resource':'*'}");
	assert_int_equal(encrypt(""), SLK_DENIED);
	assert_int_equal(encrypt(""), SLK_DENIED);
	assert_contains(rig_last(&rig)->message, "is not authorized to perform: kms:Encrypt");
	admin_may(MAY);
	assert_int_equal(encrypt(""), SLK_OK);
}

static void
a_refusal_is_the_same_sentence_again(void **state)
{
	char sentence[KMS_SENTENCE_MAX];

	(void)state;
	assert_answered(rig_encrypt(&rig, RIG_BOB, key_arn, "", slk_span_str("x")), SLK_DENIED);
	(void)snprintf(sentence, sizeof(sentence), "%s", rig_last(&rig)->message);
	uint64_t first = made();
	assert_answered(rig_encrypt(&rig, RIG_BOB, key_arn, "", slk_span_str("x")), SLK_DENIED);
	assert_string_equal(rig_last(&rig)->message, sentence);
	assert_int_equal(made(), first);
	assert_answered(rig_encrypt(&rig, RIG_ADMIN, key_arn, "", slk_span_str("x")),
		SLK_OK); /* another's */
}

static void
what_conditions_ask_for_is_part_of_the_question(void **state)
{
	(void)state;
	admin_may("{'Effect':'Allow','Action':'kms:*','Resource':'*','Condition':{'StringEquals':"
		  "{'kms:EncryptionContext:dept':'web'}}}");
	for (unsigned again = 0; again < 2; again++) {
		assert_int_equal(encrypt("dept=web"), SLK_OK);
		assert_int_equal(encrypt("dept=app"), SLK_DENIED);
		assert_int_equal(encrypt(""), SLK_DENIED);
	}
	uint64_t first = made();
	assert_int_equal(encrypt("dept=web"), SLK_OK);
	assert_int_equal(encrypt("dept=app"), SLK_DENIED);
	assert_int_equal(made(), first);
}

static void
what_follows_from_the_clock_is_decided_each_time(void **state)
{
	char statement[256];

	(void)state;
	(void)snprintf(statement, sizeof(statement),
		"{'Effect':'Allow','Action':'kms:*','Resource':'*','Condition':{'NumericLessThan':"
		"{'aws:EpochTime':'%llu'}}}",
		(unsigned long long)(rig.wall_ns / SLK_NS_PER_S + 10));
	admin_may(statement);
	assert_int_equal(encrypt(""), SLK_OK);
	pass(20);
	assert_int_equal(encrypt(""), SLK_DENIED);
}

static void
aliases_are_looked_at_each_time(void **state)
{
	(void)state;
	admin_may("{'Effect':'Allow','Action':'kms:*','Resource':'*','Condition':{'StringEquals':"
		  "{'kms:ResourceAliases':'alias/a'}}}");
	assert_int_equal(encrypt(""), SLK_DENIED);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/a", key_arn), SLK_OK);
	assert_int_equal(encrypt(""), SLK_OK);
	assert_answered(rig_delete_alias(&rig, RIG_ROOT, "alias/a"), SLK_OK);
	assert_int_equal(encrypt(""), SLK_DENIED);
}

/* More questions than there is room for: each still has its own answer. */
static void
many_questions_have_their_answers(void **state)
{
	char context[32], statement[160];

	(void)state;
	(void)snprintf(statement, sizeof(statement),
		"{'Effect':'Allow','Action':'kms:*','Resource':'*','Condition':{'StringLike':"
		"{'kms:EncryptionContext:n':'*7'}}}");
	admin_may(statement);
	for (unsigned i = 0; i < 3000; i++) {
		(void)snprintf(context, sizeof(context), "n=%u", i % 1500);
		assert_int_equal(encrypt(context), i % 10 == 7 ? SLK_OK : SLK_DENIED);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_day_of_epochs_is_decided_once_in_five_minutes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			readers_of_many_epochs_are_decided_once, setup, teardown),
		cmocka_unit_test_setup_teardown(it_holds_for_five_minutes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_change_of_policies_ends_it_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_refusal_is_the_same_sentence_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_conditions_ask_for_is_part_of_the_question, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_follows_from_the_clock_is_decided_each_time, setup, teardown),
		cmocka_unit_test_setup_teardown(aliases_are_looked_at_each_time, setup, teardown),
		cmocka_unit_test_setup_teardown(many_questions_have_their_answers, setup, teardown),
	};

	return cmocka_run_group_tests_name("kms_decisions", tests, NULL, NULL);
}
