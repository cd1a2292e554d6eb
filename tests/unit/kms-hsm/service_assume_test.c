/* AssumeRole and what its tokens are good for, over a fake HSM. Who may, first; then the credentials. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access_rig.h"
#include "base/log.h"
#include "call.h"

#define ROLE_ARN "arn:aws:iam::000000000000:role/reader"
#define SESSION_ARN "arn:aws:sts::000000000000:assumed-role/reader/job"
#define HOUR_NS (3600 * SLK_NS_PER_S)

#define DOC(statements) "{\"Version\":\"2012-10-17\",\"Statement\":[" statements "]}"
#define WHO(principal) "\"Principal\":{\"AWS\":\"" principal "\"},"
#define ALLOW(principal, actions, condition) \
	"{\"Effect\":\"Allow\"," WHO(principal) "\"Action\":" actions condition "}"
#define DENY(principal) "{\"Effect\":\"Deny\"," WHO(principal) "\"Action\":\"sts:AssumeRole\"}"
#define ASSUME "\"sts:AssumeRole\""
#define IF(test, key, value) ",\"Condition\":{\"" test "\":{\"" key "\":\"" value "\"}}"
#define TRUSTS_ALICE DOC(ALLOW(RIG_ALICE_ARN, "\"sts:*\"", ""))
#define TRUSTS_ACCOUNT DOC(ALLOW("000000000000", ASSUME, ""))

/* Alice and eve have sts:AssumeRole by an identity policy, bob has nothing. */
#define POLICY \
	"  - {effect: Allow, principals: [user/alice, 'arn:aws:iam::111111111111:user/eve', " \
	"role/app], actions: ['sts:AssumeRole'], resources: ['role/*']}\n"

static struct kms_rig rig;
static struct access_credential first, second;

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, POLICY);
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
make_role(const char *trust)
{
	access_make_role(&rig, "reader", "AROAREADER", trust);
}

static void
set_trust(const char *trust)
{
	struct kms_identity_row row;

	assert_ok(kms_catalog_identity_get(rig.catalog, KMS_ROLE, "reader", &row));
	assert_ok(kms_catalog_trust_set(rig.catalog, row.id, trust));
}

static const Kmsp__Reply *
assume(uid_t uid)
{
	return access_assume(&rig, uid, &(struct access_role){.role = "reader"});
}

static void
refused(const Kmsp__Reply *reply, int status, const char *exception)
{
	assert_answered(reply, status);
	assert_string_equal(reply->exception, exception);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
}

/* A refusal names who, what and which role; and nothing was made. */
static void
denied(const Kmsp__Reply *reply, const char *principal, const char *action)
{
	refused(reply, SLK_DENIED, "AccessDeniedException");
	assert_contains(reply->message, principal);
	assert_contains(reply->message, action);
	assert_contains(reply->message, ROLE_ARN);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_RANDOM), 0);
}

/* --- who may --- */

static void
a_trust_policy_that_names_the_caller_suffices(void **state)
{
	(void)state;
	make_role(DOC(ALLOW(RIG_BOB_ARN, ASSUME, "")));
	denied(assume(RIG_ALICE), RIG_ALICE_ARN, "sts:AssumeRole");
	assert_answered(assume(RIG_BOB), SLK_OK);
}

static void
a_trust_policy_that_names_the_account_leaves_it_to_identity_policies(void **state)
{
	(void)state;
	make_role(TRUSTS_ACCOUNT);
	denied(assume(RIG_BOB), RIG_BOB_ARN, "sts:AssumeRole");
	assert_answered(assume(RIG_ALICE), SLK_OK);
}

static void
a_caller_of_another_account_needs_both_sides(void **state)
{
	(void)state;
	make_role(TRUSTS_ACCOUNT);
	denied(assume(RIG_EVE), RIG_EVE_ARN, "sts:AssumeRole");
	set_trust(DOC(ALLOW("222222222222", ASSUME, "")));
	denied(assume(RIG_EVE), RIG_EVE_ARN, "sts:AssumeRole");
	set_trust(DOC(ALLOW("111111111111", ASSUME, "")));
	assert_answered(assume(RIG_EVE), SLK_OK);
	set_trust(DOC(ALLOW(RIG_EVE_ARN, ASSUME, "")));
	assert_answered(assume(RIG_EVE), SLK_OK);
}

static void
trust_alone_is_not_enough_for_another_account(void **state)
{
	(void)state;
	rig_stop(&rig);
	rig_start(&rig, "");
	make_role(DOC(ALLOW(RIG_EVE_ARN, ASSUME, "")));
	denied(assume(RIG_EVE), RIG_EVE_ARN, "sts:AssumeRole");
}

static void
the_external_id_has_to_be_the_right_one(void **state)
{
	(void)state;
	struct access_role what = {.role = ROLE_ARN};

	make_role(DOC(
		ALLOW("111111111111", ASSUME, IF("StringEquals", "sts:ExternalId", "unique-42"))));
	denied(access_assume(&rig, RIG_EVE, &what), RIG_EVE_ARN, "sts:AssumeRole");
	what.external_id = "unique-43";
	denied(access_assume(&rig, RIG_EVE, &what), RIG_EVE_ARN, "sts:AssumeRole");
	what.external_id = "Unique-42";
	denied(access_assume(&rig, RIG_EVE, &what), RIG_EVE_ARN, "sts:AssumeRole");
	what.external_id = "unique-42";
	assert_answered(access_assume(&rig, RIG_EVE, &what), SLK_OK);
	assert_lacks(rig_audit(&rig), "unique-4"); /* it is no secret, and nobody's business */
}

static void
conditions_see_the_caller_and_the_request(void **state)
{
	(void)state;
	static const struct {
		const char *trust;
		bool passes;
	} cases[] = {
		{DOC(ALLOW("*", ASSUME, IF("ArnLike", "aws:PrincipalArn", RIG_ALICE_ARN))), true},
		{DOC(ALLOW("*", ASSUME, IF("ArnLike", "aws:PrincipalArn", RIG_BOB_ARN))), false},
		{DOC(ALLOW("*", ASSUME, IF("StringEquals", "aws:PrincipalTag/team", "web"))), true},
		{DOC(ALLOW("*", ASSUME, IF("StringEquals", "aws:PrincipalTag/team", "db"))), false},
		{DOC(ALLOW("*", ASSUME, IF("StringLike", "sts:RoleSessionName", "j?b"))), true},
		{DOC(ALLOW("*", ASSUME, IF("StringEquals", "sts:RoleSessionName", "x"))), false},
		{DOC(ALLOW("*", ASSUME, IF("NumericLessThan", "sts:DurationSeconds", "3601"))),
			true},
		{DOC(ALLOW("*", ASSUME, IF("NumericLessThan", "sts:DurationSeconds", "3600"))),
			false},
		{DOC(ALLOW(
			 "*", ASSUME, IF("StringEquals", "aws:PrincipalAccount", "000000000000"))),
			true},
		{DOC(ALLOW("*", ASSUME,
			 IF("DateLessThan", "aws:CurrentTime", "2026-01-01T00:00:00Z"))),
			false},
		{DOC(ALLOW("*", ASSUME, IF("Null", "sts:ExternalId", "false"))), false},
	};

	access_make_user(&rig, "alice");
	access_tag(&rig, KMS_USER, "alice", "team", "web");
	make_role(TRUSTS_ALICE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_trust(cases[i].trust);
		if ((assume(RIG_ALICE)->status == SLK_OK) != cases[i].passes)
			fail_msg("%s", cases[i].trust);
	}
}

static void
an_explicit_deny_of_either_side_wins(void **state)
{
	(void)state;
	make_role(DOC(ALLOW(RIG_ALICE_ARN, ASSUME, "") "," DENY("000000000000")));
	denied(assume(RIG_ALICE), RIG_ALICE_ARN, "sts:AssumeRole");
	rig_stop(&rig);
	rig_start(&rig,
		"  - {effect: Deny, principals: [user/alice], actions: ['sts:*'], resources: "
		"['role/reader']}\n");
	make_role(TRUSTS_ALICE);
	denied(assume(RIG_ALICE), RIG_ALICE_ARN, "sts:AssumeRole");
	assert_contains(rig_last(&rig)->message, "explicit deny");
}

static void
a_refusal_does_not_tell_whether_there_is_such_a_role(void **state)
{
	(void)state;
	char there[1024];

	make_role(DOC(ALLOW(RIG_ALICE_ARN, ASSUME, "")));
	denied(assume(RIG_BOB), RIG_BOB_ARN, "sts:AssumeRole");
	snprintf(there, sizeof(there), "%s", rig_last(&rig)->message);
	access_delete_role(&rig, "reader");
	denied(assume(RIG_BOB), RIG_BOB_ARN, "sts:AssumeRole");
	assert_string_equal(rig_last(&rig)->message, there);
	denied(assume(RIG_ALICE), RIG_ALICE_ARN, "sts:AssumeRole"); /* with the right, too */
	access_make_role(&rig, "reader", "AROA2", TRUSTS_ACCOUNT);
	denied(assume(RIG_BOB), RIG_BOB_ARN, "sts:AssumeRole");
	assert_string_equal(rig_last(&rig)->message, there);
}

static void
a_trust_policy_that_cannot_be_read_trusts_nobody(void **state)
{
	(void)state;
	make_role("{\"Version\":\"2012-10-17\",\"Statement\":{}}");
	denied(assume(RIG_ALICE), RIG_ALICE_ARN, "sts:AssumeRole");
}

static void
root_and_doors_assume_nothing(void **state)
{
	(void)state;
	make_role(DOC(ALLOW("*", "\"*\"", "")));
	denied(assume(RIG_ROOT), RIG_ROOT_ARN, "sts:AssumeRole");
	static const uid_t peers[] = {RIG_INGEST, RIG_GATEWAY, RIG_STRANGER};
	for (size_t i = 0; i < 3; i++)
		refused(assume(peers[i]), SLK_DENIED, "AccessDeniedException");
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_RANDOM), 0);
}

static void
tags_and_a_source_identity_are_rights_of_their_own(void **state)
{
	(void)state;
	const struct access_role tagged = {.tag = "team=web"}, sourced = {.source_identity = "al"},
				 plain = {.role = "reader"};

	make_role(DOC(ALLOW(RIG_ALICE_ARN, ASSUME, "")));
	denied(access_assume(&rig, RIG_ALICE, &tagged), RIG_ALICE_ARN, "sts:TagSession");
	denied(access_assume(&rig, RIG_ALICE, &sourced), RIG_ALICE_ARN, "sts:SetSourceIdentity");
	assert_answered(access_assume(&rig, RIG_ALICE, &plain), SLK_OK);
	set_trust(DOC(ALLOW(RIG_ALICE_ARN, "[\"sts:AssumeRole\",\"sts:TagSession\"]",
		IF("StringEquals", "aws:RequestTag/team", "web"))));
	assert_answered(access_assume(&rig, RIG_ALICE, &tagged), SLK_OK);
	assert_answered(access_assume(&rig, RIG_ALICE, &plain), SLK_DENIED);
	set_trust(DOC(ALLOW(RIG_ALICE_ARN, "[\"sts:AssumeRole\",\"sts:SetSourceIdentity\"]",
		IF("StringEquals", "sts:SourceIdentity", "al"))));
	assert_answered(access_assume(&rig, RIG_ALICE, &sourced), SLK_OK);
}

/* --- parameters and limits --- */

static void
parameters_have_the_limits_of_aws(void **state)
{
	(void)state;
	static char long_policy[2100];
	static const struct access_role bad[] = {{.role = "a/b"},
		{.role = "arn:aws:iam::111111111111:role/reader"}, {.role = ""}, {.session = "x"},
		{.session = "a b"}, {.session = "a/b"},
		{.session = "12345678901234567890123456789012345678901234567890123456789012345"},
		{.external_id = "x"}, {.external_id = "a b"}, {.source_identity = "x"},
		{.duration_s = 899}, {.duration_s = 43201}, {.managed = "missing"}};

	make_role(TRUSTS_ALICE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(access_assume(&rig, RIG_ALICE, &bad[i]), SLK_INVALID,
			"ValidationException");
	memset(long_policy, ' ', 2099);
	refused(access_assume(&rig, RIG_ALICE, &(struct access_role){.policy = long_policy}),
		SLK_INVALID, "ValidationException");
	refused(access_assume(&rig, RIG_ALICE, &(struct access_role){.tag = "aws:x=1"}),
		SLK_INVALID, "TagException");
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_RANDOM), 0);
}

static void
a_malformed_session_policy_is_told_with_its_place(void **state)
{
	(void)state;
	make_role(TRUSTS_ALICE);
	const struct access_role what = {
		.policy = "{\"Version\":\"2012-10-17\",\n\"Statement\":{\"Effect\":\"Perhaps\"}}"};
	refused(access_assume(&rig, RIG_ALICE, &what), SLK_INVALID,
		"MalformedPolicyDocumentException");
	assert_contains(rig_last(&rig)->message, "line 2");
}

static void
policies_and_tags_have_to_fit_together(void **state)
{
	(void)state;
	static char policy[2048], tag[1100];
	int len = snprintf(policy, sizeof(policy),
		DOC("{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}"));

	make_role(TRUSTS_ALICE);
	memset(policy + len, ' ', sizeof(policy) - 1 - (size_t)len);
	memset(tag, 'v', sizeof(tag) - 1);
	tag[1] = '=';
	tag[200] = '\0';
	const struct access_role fits = {.policy = policy, .tag = tag};
	assert_answered(access_assume(&rig, RIG_ALICE, &fits), SLK_OK);
}

static void
more_than_fits_is_refused(void **state)
{
	(void)state;
	static Kmsp__Tag storage[KMS_TAGS_MAX];
	static char keys[KMS_TAGS_MAX][8], value[257];
	Kmsp__Tag *tags[KMS_TAGS_MAX];
	Kmsp__AssumeRole call = KMSP__ASSUME_ROLE__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	make_role(TRUSTS_ALICE);
	memset(value, 'v', 256);
	for (unsigned i = 0; i < KMS_TAGS_MAX; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		kmsp__tag__init(&storage[i]);
		storage[i].key = keys[i];
		storage[i].value = value;
		tags[i] = &storage[i];
	}
	call.role = (char *)(uintptr_t) "reader";
	call.session_name = (char *)(uintptr_t) "job";
	call.n_tags = KMS_TAGS_MAX;
	call.tags = tags;
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_ASSUME_ROLE;
	request.assume_role = &call;
	refused(rig_call(&rig, RIG_ALICE, &request), SLK_INVALID, "PackedPolicyTooLargeException");
	assert_contains(rig_last(&rig)->message, "%");
	call.n_tags = 15;
	assert_answered(rig_call(&rig, RIG_ALICE, &request), SLK_OK);
}

static void
no_session_is_longer_than_its_role_allows(void **state)
{
	(void)state;
	make_role(DOC(ALLOW("*", ASSUME, "")));
	const struct access_role longest = {.duration_s = 7200}, longer = {.duration_s = 7201};
	const Kmsp__Reply *reply = access_assume(&rig, RIG_ALICE, &longest);
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->session->expires_ns, rig.wall_ns + 2 * HOUR_NS);
	refused(access_assume(&rig, RIG_ALICE, &longer), SLK_INVALID, "ValidationException");
	assert_contains(rig_last(&rig)->message, "MaxSessionDuration");
	/* A role that assumes another one has an hour. */
	refused(access_assume(&rig, RIG_APP, &longest), SLK_INVALID, "ValidationException");
	assert_answered(assume(RIG_APP), SLK_OK);
}

/* --- credentials --- */

static const Kmsp__Reply *
derive(const struct access_credential *c)
{
	return access_derive(
		&rig, RIG_GATEWAY, &(struct access_scope){.id = c->id, .token = c->token});
}

static void
take(struct access_credential *out)
{
	access_take(assume(RIG_ALICE), out);
}

static void
credentials_have_the_form_that_aws_gives_them(void **state)
{
	(void)state;
	make_role(TRUSTS_ALICE);
	const Kmsp__Reply *reply = assume(RIG_ALICE);
	assert_answered(reply, SLK_OK);
	const Kmsp__Session *s = reply->session;
	assert_int_equal(strlen(s->access_key_id), 20);
	assert_memory_equal(s->access_key_id, "ASIA", 4);
	assert_int_equal(strlen(s->secret_access_key), 40);
	assert_string_equal(s->arn, SESSION_ARN);
	assert_string_equal(s->id, "AROAREADER:job");
	assert_int_equal(s->expires_ns, rig.wall_ns + HOUR_NS);
	assert_true(strlen(s->session_token) > 200);
	assert_lacks(s->session_token, s->access_key_id);
}

static void
no_two_sessions_are_alike(void **state)
{
	(void)state;
	make_role(TRUSTS_ALICE);
	take(&first);
	take(&second);
	assert_string_not_equal(first.id, second.id);
	assert_string_not_equal(first.token, second.token);
	assert_memory_not_equal(first.masked, second.masked, sizeof(first.masked));
}

static void
the_gateway_gets_the_signing_key_of_a_session(void **state)
{
	(void)state;
	make_role(TRUSTS_ALICE);
	take(&first);
	const Kmsp__Reply *reply = derive(&first);
	assert_answered(reply, SLK_OK);
	const Kmsp__SigningKey *key = reply->signing_key;
	access_check_key(&first, &(struct access_scope){.id = first.id}, key);
	assert_string_equal(key->principal, ROLE_ARN);
	assert_string_equal(key->session, SESSION_ARN);
	assert_string_equal(key->user_id, "AROAREADER:job");
	assert_int_equal(key->expires_ns, rig.wall_ns + HOUR_NS);
}

static void
a_token_ends_when_it_says(void **state)
{
	(void)state;
	make_role(TRUSTS_ALICE);
	take(&first);
	rig.wall_ns += HOUR_NS - 1;
	assert_answered(derive(&first), SLK_OK);
	rig.wall_ns++;
	refused(derive(&first), SLK_DENIED, "ExpiredTokenException");
	const struct access_scope sts = {.id = first.id, .token = first.token, .service = "sts"};
	refused(access_derive(&rig, RIG_GATEWAY, &sts), SLK_DENIED, "ExpiredToken");
}

static void
a_token_dies_with_its_role(void **state)
{
	(void)state;
	make_role(TRUSTS_ALICE);
	take(&first);
	set_trust(DOC(ALLOW(RIG_BOB_ARN, ASSUME, ""))); /* for those who come from now on */
	assert_answered(derive(&first), SLK_OK);
	access_delete_role(&rig, "reader");
	refused(derive(&first), SLK_DENIED, "UnrecognizedClientException");
	access_make_role(&rig, "reader", "AROAOTHER", TRUSTS_ALICE);
	refused(derive(&first), SLK_DENIED, "UnrecognizedClientException");
	take(&second);
	assert_answered(derive(&second), SLK_OK);
}

static void
foreign_and_broken_tokens_are_refused(void **state)
{
	(void)state;
	char bad[sizeof(first.token)];

	make_role(TRUSTS_ALICE);
	take(&first);
	take(&second);
	struct access_scope scope = {.id = first.id, .token = second.token};
	refused(access_derive(&rig, RIG_GATEWAY, &scope), SLK_DENIED,
		"UnrecognizedClientException");
	size_t len = strlen(first.token);
	for (size_t at = 0; at < len; at += 7) {
		strcpy(bad, first.token);
		bad[at] = bad[at] == 'A' ? 'B' : 'A';
		scope.token = bad;
		refused(access_derive(&rig, RIG_GATEWAY, &scope), SLK_DENIED,
			"UnrecognizedClientException");
	}
	static const char *const others[] = {"", "A", "AAAA", "====", "not base64!"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		scope.token = others[i];
		refused(access_derive(&rig, RIG_GATEWAY, &scope), SLK_DENIED,
			"UnrecognizedClientException");
	}
	first.token[len - 4] = '\0';
	refused(derive(&first), SLK_DENIED, "UnrecognizedClientException");
}

/* --- session keys --- */

static void
tokens_survive_a_restart(void **state)
{
	(void)state;
	make_role(TRUSTS_ALICE);
	take(&first);
	rig_restart(&rig);
	size_t before = fake_hsm_calls_count(rig.link, HSM_UNWRAP);
	for (int i = 0; i < 3; i++) {
		const Kmsp__Reply *reply = derive(&first);
		assert_answered(reply, SLK_OK);
		access_check_key(
			&first, &(struct access_scope){.id = first.id}, reply->signing_key);
	}
	take(&second);
	assert_answered(derive(&second), SLK_OK);
	/* The key was opened once, and no second one was made. */
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), before + 1);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY), 1);
}

static void
the_session_key_is_renewed_and_the_one_before_still_opens(void **state)
{
	(void)state;
	make_role(TRUSTS_ALICE);
	take(&first);
	rig.wall_ns += 30 * KMS_DAY_NS - HOUR_NS / 2;
	take(&first); /* in the last hour of the first key */
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY), 1);
	rig.wall_ns += HOUR_NS / 2;
	take(&second);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY), 2);
	const struct access_scope one = {.id = first.id, .token = first.token, .date = "20261224"};
	const struct access_scope two = {
		.id = second.id, .token = second.token, .date = "20261224"};
	assert_answered(access_derive(&rig, RIG_GATEWAY, &one), SLK_OK);
	assert_answered(access_derive(&rig, RIG_GATEWAY, &two), SLK_OK);
	rig_restart(&rig);
	assert_answered(access_derive(&rig, RIG_GATEWAY, &one), SLK_OK);
	assert_answered(access_derive(&rig, RIG_GATEWAY, &two), SLK_OK);
}

static struct access_credential got[3];
static unsigned got_count;

static void
on_session(void *arg, struct slk_secret *frame)
{
	const Kmsp__Reply *reply = NULL;

	assert_ok(kmsp_reply_unpack(
		arg, slk_span(slk_secret_peek(frame), slk_secret_len(frame)), &reply));
	access_take(reply, &got[got_count++]);
	slk_secret_free(frame);
}

static void
many_that_come_before_there_is_a_key_share_one(void **state)
{
	(void)state;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__AssumeRole call = KMSP__ASSUME_ROLE__INIT;
	const struct slk_peer alice = {.uid = RIG_ALICE, .gid = RIG_ALICE, .pid = 77};
	struct kmsp_arena *arena = NULL;

	make_role(TRUSTS_ALICE);
	call.role = (char *)(uintptr_t) "reader";
	call.session_name = (char *)(uintptr_t) "job";
	request.call_case = KMSP__REQUEST__CALL_ASSUME_ROLE;
	request.assume_role = &call;
	assert_ok(kmsp_arena_new(&arena));
	got_count = 0;
	for (unsigned i = 1; i <= 3; i++) {
		request.id = i;
		assert_ok(kms_service_handle(rig.service, &alice, &request, on_session, arena));
	}
	for (int i = 0; i < 20 && got_count < 3; i++)
		rig_turn(&rig);
	assert_int_equal(got_count, 3);
	kmsp_arena_free(arena);
	rig_restart(&rig); /* what is in the catalog opens them */
	for (unsigned i = 0; i < 3; i++) {
		assert_answered(derive(&got[i]), SLK_OK);
		assert_memory_equal(got[i].token, got[0].token, 8 * 4); /* magic, ..., key id */
	}
}

static void
without_an_hsm_there_is_no_session(void **state)
{
	(void)state;
	make_role(TRUSTS_ALICE);
	take(&first);
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	refused(assume(RIG_ALICE), SLK_UNAVAILABLE, "KeyUnavailableException");
	assert_answered(derive(&first), SLK_OK); /* its key is in memory */
	take(&second);
	rig_restart(&rig);
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	refused(derive(&first), SLK_UNAVAILABLE, "KeyUnavailableException");
	assert_answered(derive(&first), SLK_OK);
}

/* --- the audit log, and secrets --- */

static void
audit_lines_name_the_session(void **state)
{
	(void)state;
	make_role(TRUSTS_ALICE);
	const struct access_role what = {.source_identity = "alice@example", .tag = "team=web"};
	access_take(access_assume(&rig, RIG_ALICE, &what), &first);
	const char *line = rig_audit_last(&rig);
	assert_contains(line, "\"eventSource\":\"sts.amazonaws.com\",\"eventName\":\"AssumeRole\"");
	assert_contains(line, "\"arn\":\"" RIG_ALICE_ARN "\"");
	assert_contains(line, "\"resources\":[{\"ARN\":\"" ROLE_ARN "\"}]");
	assert_contains(line, "\"responseElements\":{\"accessKeyId\":\"ASIA");
	assert_contains(line,
		"\"assumedRoleUser\":{\"assumedRoleId\":\"AROAREADER:job\",\"arn\":\"" SESSION_ARN
		"\"},\"sourceIdentity\":\"alice@example\"");
	assert_lacks(line, "sealock:session-key");
	assert_answered(derive(&first), SLK_OK);
	line = rig_audit_last(&rig);
	assert_contains(line,
		"\"userIdentity\":{\"type\":\"AssumedRole\",\"principalId\":"
		"\"AROAREADER:job\",\"arn\":\"" SESSION_ARN "\"");
	assert_contains(line,
		"\"sessionContext\":{\"sourceIdentity\":\"alice@example\","
		"\"sessionIssuer\":{\"type\":\"Role\",\"arn\":\"" ROLE_ARN "\"}}");
	assert_contains(line, first.id);
	assert_lacks(rig_audit(&rig), first.token);
	refused(access_assume(&rig, RIG_BOB, &what), SLK_DENIED, "AccessDeniedException");
	assert_lacks(rig_audit_last(&rig), "responseElements");
}

static void
no_secret_of_a_session_is_on_disk_in_the_log_or_in_a_core_dump(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("a sanitizer's memory is too large to be searched\n");
	skip();
#endif
	char log[320], wal[320];
	snprintf(log, sizeof(log), "%s/log", rig.dir);
	snprintf(wal, sizeof(wal), "%s-wal", rig.catalog_path);
	int fd = open(log, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	slk_log_init("test", SLK_LOG_DEBUG);
	slk_log_set_fd(fd);
	make_role(TRUSTS_ALICE);
	take(&first);
	assert_answered(derive(&first), SLK_OK);
	assert_answered(assume(RIG_BOB), SLK_DENIED);
	slk_log_set_fd(STDERR_FILENO);
	close(fd);
	const char *const files[] = {log, wal, rig.catalog_path, rig.audit_path};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		assert_int_equal(access_count_in_file(&first, files[i]), 0);
	assert_int_equal(access_count_in_memory(&first), 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_trust_policy_that_names_the_caller_suffices),
		CASE(a_trust_policy_that_names_the_account_leaves_it_to_identity_policies),
		CASE(a_caller_of_another_account_needs_both_sides),
		CASE(trust_alone_is_not_enough_for_another_account),
		CASE(the_external_id_has_to_be_the_right_one),
		CASE(conditions_see_the_caller_and_the_request),
		CASE(an_explicit_deny_of_either_side_wins),
		CASE(a_refusal_does_not_tell_whether_there_is_such_a_role),
		CASE(a_trust_policy_that_cannot_be_read_trusts_nobody),
		CASE(root_and_doors_assume_nothing),
		CASE(tags_and_a_source_identity_are_rights_of_their_own),
		CASE(parameters_have_the_limits_of_aws),
		CASE(a_malformed_session_policy_is_told_with_its_place),
		CASE(policies_and_tags_have_to_fit_together),
		CASE(more_than_fits_is_refused),
		CASE(no_session_is_longer_than_its_role_allows),
		CASE(credentials_have_the_form_that_aws_gives_them),
		CASE(no_two_sessions_are_alike),
		CASE(the_gateway_gets_the_signing_key_of_a_session),
		CASE(a_token_ends_when_it_says),
		CASE(a_token_dies_with_its_role),
		CASE(foreign_and_broken_tokens_are_refused),
		CASE(tokens_survive_a_restart),
		CASE(the_session_key_is_renewed_and_the_one_before_still_opens),
		CASE(many_that_come_before_there_is_a_key_share_one),
		CASE(without_an_hsm_there_is_no_session),
		CASE(audit_lines_name_the_session),
		CASE(no_secret_of_a_session_is_on_disk_in_the_log_or_in_a_core_dump),
	};

	return cmocka_run_group_tests_name("kms_service_assume", tests, NULL, NULL);
}
