/* Dual control: M of N, and every way around it. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "dual.h"
#include "iam_rig.h"

#define CAROL \
	1002 /* an administrator without a principal of her own: the account's root, as uid 0 */
#define HOUR_NS (3600 * SLK_NS_PER_S)

#define POLICY \
	"  - {sid: people, effect: Allow, principals: [user/alice, user/bob], actions: " \
	"['kms:*'], " \
	"resources: ['*']}\n" \
	"  - {effect: Deny, principals: [user/bob], actions: ['kms:EnableKey'], resources: " \
	"['*']}\n"
#define DUAL(approvals) \
	"dual_control:\n" \
	"  approvals: " approvals "\n" \
	"  actions: ['kms:ScheduleKeyDeletion', 'kms:disablekey', 'kms:EnableKey', " \
	"'kms:*Alias']\n" \
	"  expires_hours: 2\n"

static struct kms_rig rig;
static char key[KMS_ARN_MAX];

static void
start(const char *dual)
{
	char policy[2048];

	snprintf(policy, sizeof(policy), "%s%s", POLICY, dual);
	rig_start_with(&rig, "[0, 1000, 1001, 1003]", policy);
	rig_new_key(&rig, key);
}

static int
one(void **state)
{
	(void)state;
	start(DUAL("1"));
	return 0;
}

static int
two(void **state)
{
	(void)state;
	start(DUAL("2"));
	return 0;
}

/* Who may do what, under it. */
static int
rights(void **state)
{
	(void)state;
	start("  - {effect: Allow, principals: [user/alice], actions: ['iam:*'], resources: "
	      "['*']}\n"
	      "dual_control:\n  approvals: 1\n"
	      "  actions: ['iam:*', 'kms:PutKeyPolicy', 'kms:CreateGrant', 'kms:RevokeGrant']\n");
	return 0;
}

static int
none(void **state)
{
	(void)state;
	start("");
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

/* --- steps --- */

static const Kmsp__Reply *
ask(uid_t uid)
{
	return rig_ask_key(&rig, uid, KMSP__REQUEST__CALL_SCHEDULE_KEY_DELETION, key);
}

static const Kmsp__Reply *
ask_for(uid_t uid, uint32_t days)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__ScheduleKeyDeletion call = KMSP__SCHEDULE_KEY_DELETION__INIT;

	call.key = key;
	call.pending_window_days = days;
	request.id = 77; /* another id, another time to wait and another name: the same request */
	request.timeout_ms = 1234;
	request.correlation = (char *)(uintptr_t) "again";
	request.call_case = KMSP__REQUEST__CALL_SCHEDULE_KEY_DELETION;
	request.schedule_key_deletion = &call;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
on_proposal(uid_t uid, Kmsp__Request__CallCase what, const char *id)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__ProposalName call = KMSP__PROPOSAL_NAME__INIT;

	call.id = (char *)(uintptr_t)id;
	request.call_case = what;
	request.approve_proposal = &call;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
approve(uid_t uid, const char *id)
{
	return on_proposal(uid, KMSP__REQUEST__CALL_APPROVE_PROPOSAL, id);
}

static const Kmsp__Reply *
list(void)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__List call = KMSP__LIST__INIT;

	request.call_case = KMSP__REQUEST__CALL_LIST_PROPOSALS;
	request.list_proposals = &call;
	return rig_call(&rig, RIG_ROOT, &request);
}

static void
waits(const Kmsp__Reply *reply, char out_id[FMT_UUID_TEXT])
{
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->exception, "ApprovalRequiredException");
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT_PROPOSAL);
	assert_contains(reply->message, reply->proposal->id);
	snprintf(out_id, FMT_UUID_TEXT, "%s", reply->proposal->id);
}

static void
is_in(const char *state)
{
	assert_string_equal(rig_describe_key(&rig, RIG_ROOT, key)->key->state, state);
}

/* --- off --- */

static void
without_the_setting_nothing_waits(void **state)
{
	(void)state;
	assert_answered(ask(RIG_ROOT), SLK_OK);
	is_in("PendingDeletion");
	const Kmsp__Reply *reply = list();
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->proposals->needed, 0);
	assert_int_equal(reply->proposals->n_proposals, 0);
}

/* --- M of N --- */

static void
two_others_have_to_approve_and_then_it_is_done_once(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT], same[FMT_UUID_TEXT];

	waits(ask(RIG_ROOT), id);
	is_in("Enabled");
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	waits(ask(RIG_ROOT), same);
	assert_string_equal(same, id);
	assert_contains(rig_last(&rig)->message, "has 1 of 2 approvals");
	assert_answered(approve(RIG_BOB, id), SLK_OK);
	is_in("Enabled"); /* an approval does nothing itself */
	assert_answered(ask_for(RIG_ROOT, 7), SLK_OK);
	is_in("PendingDeletion");
}

static void
spent_approval_does_not_serve_again(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT], next[FMT_UUID_TEXT];

	waits(ask(RIG_ROOT), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	assert_answered(ask(RIG_ROOT), SLK_OK);
	assert_answered(
		rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_CANCEL_KEY_DELETION, key), SLK_OK);
	waits(ask(RIG_ROOT), next);
	assert_string_not_equal(next, id);
	is_in("Disabled");
	const Kmsp__Reply *reply = approve(RIG_BOB, id);
	assert_answered(reply, SLK_INVALID_STATE);
	assert_contains(reply->message, "was used");
}

static void
same_person_counts_once(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT];

	waits(ask(RIG_ROOT), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	const Kmsp__Reply *reply = approve(RIG_ALICE, id);
	assert_answered(reply, SLK_EXISTS);
	waits(ask(RIG_ROOT), id);
	is_in("Enabled");
}

static void
requester_cannot_approve_nor_can_another_uid_of_the_same_principal(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT];

	waits(ask(RIG_ROOT), id);
	assert_answered(approve(RIG_ROOT, id), SLK_DENIED);
	assert_contains(rig_last(&rig)->message, "on its own request");
	assert_answered(approve(CAROL, id), SLK_DENIED);
	waits(ask(RIG_ROOT), id);
	is_in("Enabled");
}

static void
another_principal_has_another_proposal(void **state)
{
	(void)state;
	char of_root[FMT_UUID_TEXT], of_alice[FMT_UUID_TEXT];

	waits(ask(RIG_ROOT), of_root);
	assert_answered(approve(RIG_BOB, of_root), SLK_OK);
	waits(ask(RIG_ALICE), of_alice);
	assert_string_not_equal(of_alice, of_root);
	is_in("Enabled");
}

/* --- who may approve --- */

static void
approver_needs_the_right_herself(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT];

	waits(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_ENABLE_KEY, key), id);
	const Kmsp__Reply *reply = approve(RIG_BOB, id);
	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, "kms:EnableKey");
	assert_answered(on_proposal(RIG_BOB, KMSP__REQUEST__CALL_REJECT_PROPOSAL, id), SLK_DENIED);
	assert_answered(approve(RIG_STRANGER, id), SLK_DENIED);
	assert_answered(approve(RIG_INGEST, id), SLK_DENIED);
	waits(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_ENABLE_KEY, key), id);
}

static void
what_the_policy_refuses_makes_no_proposal(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = rig_ask_key(&rig, RIG_BOB, KMSP__REQUEST__CALL_ENABLE_KEY, key);

	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->exception, "AccessDeniedException");
	assert_int_equal(list()->proposals->n_proposals, 0);
	assert_answered(
		rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_ENABLE_KEY,
			"arn:aws:kms:local:000000000000:key/11111111-2222-4333-8444-555555555555"),
		SLK_NOT_FOUND);
	assert_int_equal(list()->proposals->n_proposals, 0);
}

/* Between the approval and the request, the approver's right, or what makes her an administrator, went. */
static void
approval_of_who_lost_the_right_counts_no_more(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT];

	waits(ask(RIG_ROOT), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	rig_restart_changed(&rig,
		"UPDATE approvals SET principal ="
		" 'arn:aws:iam::000000000000:user/mallory', uid = 1004");
	waits(ask(RIG_ROOT), id);
	assert_contains(rig_last(&rig)->message, "has 0 of 1 approvals");
	is_in("Enabled");
}

/* --- the same request, and in time --- */

static void
anything_changed_is_another_request(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT], other[FMT_UUID_TEXT];

	waits(ask_for(RIG_ROOT, 30), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	waits(ask_for(RIG_ROOT, 7), other);
	assert_string_not_equal(other, id);
	rig_new_key(&rig, key);
	waits(ask_for(RIG_ROOT, 30), other);
	assert_string_not_equal(other, id);
	waits(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_DISABLE_KEY, key), other);
	assert_string_not_equal(other, id);
	is_in("Enabled");
}

static void
approval_expires(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT], next[FMT_UUID_TEXT];

	waits(ask(RIG_ROOT), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	rig.wall_ns += 2 * HOUR_NS;
	assert_string_equal(list()->proposals->proposals[0]->state, "Expired");
	assert_answered(approve(RIG_BOB, id), SLK_INVALID_STATE);
	waits(ask(RIG_ROOT), next);
	assert_string_not_equal(next, id);
	is_in("Enabled");
	assert_int_equal(list()->proposals->n_proposals, 2);
}

/* A second less than the time it has. */
static void
approval_serves_until_then(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT];

	waits(ask(RIG_ROOT), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	rig.wall_ns += 2 * HOUR_NS - SLK_NS_PER_S;
	assert_answered(ask(RIG_ROOT), SLK_OK);
	is_in("PendingDeletion");
}

static void
clock_that_went_back_makes_no_approval_last_longer(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT], next[FMT_UUID_TEXT];

	waits(ask(RIG_ROOT), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	rig.wall_ns -= HOUR_NS;
	waits(ask(RIG_ROOT), next);
	assert_string_not_equal(next, id);
	is_in("Enabled");
}

static void
rejected_or_taken_back_is_over(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT], next[FMT_UUID_TEXT];

	waits(ask(RIG_ROOT), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	const Kmsp__Reply *reply = on_proposal(RIG_BOB, KMSP__REQUEST__CALL_REJECT_PROPOSAL, id);
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->proposal->state, "Rejected");
	assert_string_equal(reply->proposal->ended_by, RIG_BOB_ARN);
	waits(ask(RIG_ROOT), next);
	assert_string_not_equal(next, id);
	assert_answered(on_proposal(RIG_ROOT, KMSP__REQUEST__CALL_REJECT_PROPOSAL, next), SLK_OK);
	is_in("Enabled");
}

/* --- rights --- */

static void
policy_that_was_changed_after_the_approval_is_another_request(void **state)
{
	(void)state;
	static const char wide[] =
		"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\","
		"\"Principal\":{\"AWS\":\"" RIG_ROOT_ARN
		"\"},\"Action\":\"kms:*\",\"Resource\":\"*\"}]}";
	char other[sizeof(wide) + 1], id[FMT_UUID_TEXT], next[FMT_UUID_TEXT];

	snprintf(other, sizeof(other), " %s", wide); /* one blank more */
	waits(iam_put_key_policy(&rig, RIG_ROOT, key, wide, false), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	waits(iam_put_key_policy(&rig, RIG_ROOT, key, other, false), next);
	assert_string_not_equal(next, id);
	waits(iam_put_key_policy(&rig, RIG_ROOT, key, wide, true), next);
	assert_string_not_equal(next, id);
	assert_answered(iam_put_key_policy(&rig, RIG_ROOT, key, wide, false), SLK_OK);
	waits(iam_put_key_policy(&rig, RIG_ROOT, key, wide, false), next);
	assert_string_not_equal(next, id);
}

static void
identities_are_under_it_and_looking_at_them_is_not(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT];

	waits(iam_create_user(&rig, RIG_ROOT, "mallory"), id);
	assert_answered(iam_get(&rig, RIG_ROOT, "user/mallory"), SLK_NOT_FOUND);
	assert_answered(approve(RIG_BOB, id), SLK_DENIED); /* he may not create users */
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	assert_answered(iam_create_user(&rig, RIG_ROOT, "mallory"), SLK_OK);
	assert_answered(iam_get(&rig, RIG_ROOT, "user/mallory"), SLK_OK);
	waits(iam_put_inline(&rig, RIG_ROOT, "user/mallory", "p",
		      "{'Effect': 'Allow', 'Action': '*', 'Resource': '*'}"),
		id);
}

/* It waits for the appliance's key to be made and begins anew: the approval is spent once, and serves. */
static void
approved_request_that_waits_for_the_hsm_is_done(void **state)
{
	(void)state;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__UserName call = KMSP__USER_NAME__INIT;
	char id[FMT_UUID_TEXT];

	waits(iam_create_user(&rig, RIG_ROOT, "carl"), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	assert_answered(iam_create_user(&rig, RIG_ROOT, "carl"), SLK_OK);
	call.user = (char *)(uintptr_t) "carl";
	request.call_case = KMSP__REQUEST__CALL_CREATE_ACCESS_KEY;
	request.create_access_key = &call;
	waits(rig_call(&rig, RIG_ROOT, &request), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT_ACCESS_KEY);
	waits(rig_call(&rig, RIG_ROOT, &request), id);
}

static void
grants_are_under_it(void **state)
{
	(void)state;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__CreateGrant call = KMSP__CREATE_GRANT__INIT;
	char *operations[] = {(char *)(uintptr_t) "Decrypt"};
	char id[FMT_UUID_TEXT];

	call.key = key;
	call.grantee = (char *)(uintptr_t)RIG_BOB_ARN;
	call.operations = operations;
	call.n_operations = 1;
	request.call_case = KMSP__REQUEST__CALL_CREATE_GRANT;
	request.create_grant = &call;
	waits(rig_call(&rig, RIG_ROOT, &request), id);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	call.grantee = (char *)(uintptr_t)RIG_ALICE_ARN; /* to somebody else */
	waits(rig_call(&rig, RIG_ROOT, &request), id);
	call.grantee = (char *)(uintptr_t)RIG_BOB_ARN;
	assert_answered(rig_call(&rig, RIG_ROOT, &request), SLK_OK);
}

/* --- over a restart --- */

static void
restart_loses_nothing_and_gives_nothing(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT], next[FMT_UUID_TEXT];

	waits(ask(RIG_ROOT), id);
	rig_restart(&rig);
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	rig_restart(&rig);
	assert_answered(approve(RIG_ALICE, id), SLK_EXISTS);
	assert_answered(approve(RIG_BOB, id), SLK_OK);
	rig_restart(&rig);
	assert_answered(ask(RIG_ROOT), SLK_OK);
	rig_restart(&rig);
	assert_answered(
		rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_CANCEL_KEY_DELETION, key), SLK_OK);
	waits(ask(RIG_ROOT), next);
	assert_string_not_equal(next, id);
}

/* --- what is said --- */

static void
proposal_shows_what_would_be_done(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT];
	struct kmsp_arena *arena = NULL;
	const Kmsp__Request *inner = NULL;

	waits(ask_for(RIG_ROOT, 9), id);
	const Kmsp__Reply *reply = on_proposal(RIG_BOB, KMSP__REQUEST__CALL_GET_PROPOSAL, id);
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->proposal->requester, RIG_ROOT_ARN);
	assert_string_equal(reply->proposal->action, "kms:ScheduleKeyDeletion");
	assert_string_equal(reply->proposal->resource, key);
	assert_ok(kmsp_arena_new(&arena));
	assert_ok(kmsp_request_unpack(arena,
		slk_span(reply->proposal->request.data, reply->proposal->request.len), &inner));
	assert_int_equal(inner->call_case, KMSP__REQUEST__CALL_SCHEDULE_KEY_DELETION);
	assert_int_equal(inner->schedule_key_deletion->pending_window_days, 9);
	assert_string_equal(inner->correlation, "");
	kmsp_arena_free(arena);
	assert_answered(
		on_proposal(RIG_BOB, KMSP__REQUEST__CALL_GET_PROPOSAL, "no uuid"), SLK_NOT_FOUND);
}

static void
every_step_is_in_the_audit_log(void **state)
{
	(void)state;
	char id[FMT_UUID_TEXT], named[64];

	waits(ask(RIG_ROOT), id);
	snprintf(named, sizeof(named), "\"proposalId\":\"%s\"", id);
	assert_contains(rig_audit_last(&rig), named);
	assert_contains(rig_audit_last(&rig), "\"errorCode\":\"ApprovalRequiredException\"");
	assert_contains(rig_audit_last(&rig), "\"proposalDigest\":\"");
	assert_answered(approve(RIG_ALICE, id), SLK_OK);
	assert_contains(rig_audit_last(&rig), named);
	assert_contains(rig_audit_last(&rig), "\"eventName\":\"ApproveProposal\"");
	assert_contains(rig_audit_last(&rig), key);
	assert_answered(ask(RIG_ROOT), SLK_OK);
	assert_contains(rig_audit_last(&rig), named);
	assert_contains(rig_audit_last(&rig), "\"eventName\":\"ScheduleKeyDeletion\"");
}

static void
only_so_many_wait_at_once(void **state)
{
	(void)state;
	char alias[64], id[FMT_UUID_TEXT];

	for (unsigned i = 0; i < KMS_PROPOSALS_PENDING_MAX; i++) {
		snprintf(alias, sizeof(alias), "alias/%u", i);
		waits(rig_create_alias(&rig, RIG_ROOT, alias, key), id);
	}
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/x", key), SLK_LIMIT);
	rig.wall_ns += 3 * HOUR_NS;
	waits(rig_create_alias(&rig, RIG_ROOT, "alias/x", key), id);
}

/* --- what can be under it --- */

static void
only_what_changes_something_can_be_under_it(void **state)
{
	(void)state;
	static const char *const can[] = {"kms:DisableKey", "iam:DeleteRole", "kms:RevokeGrant",
		"kinesis:DeleteStream", "kms:PutKeyPolicy", "kms:CreateGrant"};
	static const char *const cannot[] = {"kms:Decrypt", "kms:Encrypt", "kms:GetKeyPolicy",
		"iam:ListUsers", "kms:RetireGrant", "kinesis:PutRecord", "sealock:Attest",
		"sts:AssumeRole", "sealock:ApproveProposal", "nothing"};

	for (size_t i = 0; i < sizeof(can) / sizeof(can[0]); i++)
		assert_true(kms_dual_can(can[i]));
	for (size_t i = 0; i < sizeof(cannot) / sizeof(cannot[0]); i++)
		assert_false(kms_dual_can(cannot[i]));
}

static void
pattern_that_names_nothing_is_refused_at_the_start(void **state)
{
	(void)state;
	char *good[] = {(char *)(uintptr_t) "kms:*", (char *)(uintptr_t) "iam:Put*"};
	char *bad[] = {(char *)(uintptr_t) "kms:*", (char *)(uintptr_t) "kms:DeleteKey"};
	char *useless[] = {(char *)(uintptr_t) "kms:Decrypt"};
	struct kms_config_dual config = {.approvals = 1, .actions = good, .actions_count = 2};
	struct slk_error err = {0};

	assert_ok(kms_dual_check(&config, &err));
	config.actions = bad;
	assert_int_equal(kms_dual_check(&config, &err), SLK_CONFIG);
	assert_contains(err.text, "kms:DeleteKey");
	config.actions = useless;
	config.actions_count = 1;
	assert_int_equal(kms_dual_check(&config, &err), SLK_CONFIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_the_setting_nothing_waits, none, stop),
		cmocka_unit_test_setup_teardown(
			two_others_have_to_approve_and_then_it_is_done_once, two, stop),
		cmocka_unit_test_setup_teardown(spent_approval_does_not_serve_again, one, stop),
		cmocka_unit_test_setup_teardown(same_person_counts_once, two, stop),
		cmocka_unit_test_setup_teardown(
			requester_cannot_approve_nor_can_another_uid_of_the_same_principal, one,
			stop),
		cmocka_unit_test_setup_teardown(another_principal_has_another_proposal, one, stop),
		cmocka_unit_test_setup_teardown(approver_needs_the_right_herself, one, stop),
		cmocka_unit_test_setup_teardown(
			what_the_policy_refuses_makes_no_proposal, one, stop),
		cmocka_unit_test_setup_teardown(
			approval_of_who_lost_the_right_counts_no_more, one, stop),
		cmocka_unit_test_setup_teardown(anything_changed_is_another_request, one, stop),
		cmocka_unit_test_setup_teardown(approval_expires, one, stop),
		cmocka_unit_test_setup_teardown(approval_serves_until_then, one, stop),
		cmocka_unit_test_setup_teardown(
			clock_that_went_back_makes_no_approval_last_longer, one, stop),
		cmocka_unit_test_setup_teardown(rejected_or_taken_back_is_over, one, stop),
		cmocka_unit_test_setup_teardown(
			policy_that_was_changed_after_the_approval_is_another_request, rights,
			stop),
		cmocka_unit_test_setup_teardown(
			identities_are_under_it_and_looking_at_them_is_not, rights, stop),
		cmocka_unit_test_setup_teardown(
			approved_request_that_waits_for_the_hsm_is_done, rights, stop),
		cmocka_unit_test_setup_teardown(grants_are_under_it, rights, stop),
		cmocka_unit_test_setup_teardown(restart_loses_nothing_and_gives_nothing, two, stop),
		cmocka_unit_test_setup_teardown(proposal_shows_what_would_be_done, one, stop),
		cmocka_unit_test_setup_teardown(every_step_is_in_the_audit_log, one, stop),
		cmocka_unit_test_setup_teardown(only_so_many_wait_at_once, one, stop),
		cmocka_unit_test(only_what_changes_something_can_be_under_it),
		cmocka_unit_test(pattern_that_names_nothing_is_refused_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
