/* Keys, aliases, classes of peers, and crashes in the middle of CreateKey. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "kms_rig.h"

#define POLICY \
	"  - {effect: Allow, principals: [user/alice], actions: ['kms:DescribeKey', " \
	"'kms:CreateKey'], " \
	"resources: ['key/*']}\n" \
	"  - {effect: Allow, principals: [user/bob], actions: ['kms:ListKeys', " \
	"'kms:ListAliases'], " \
	"resources: ['*']}\n"

static struct kms_rig rig;

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

#define TEXT(text) ((char *)(uintptr_t)(text))

static void
new_key_is_enabled_and_described(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX], id[64];
	const Kmsp__Reply *reply = rig_create_key(&rig, RIG_ROOT, "for web logs");

	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->key->state, "Enabled");
	assert_string_equal(reply->key->description, "for web logs");
	assert_string_equal(reply->key->manager, "CUSTOMER");
	assert_string_equal(reply->key->spec, "SYMMETRIC_DEFAULT");
	assert_string_equal(reply->key->usage, "ENCRYPT_DECRYPT");
	assert_int_equal(reply->key->created_ns, rig.wall_ns);
	snprintf(arn, sizeof(arn), "%s", reply->key->arn);
	snprintf(id, sizeof(id), "%s", reply->key->id);
	assert_int_equal(fake_hsm_keys_count(rig.link), 1);
	assert_answered(rig_describe_key(&rig, RIG_ALICE, id), SLK_OK);
	assert_answered(rig_describe_key(&rig, RIG_ALICE, arn), SLK_OK);
	assert_contains(rig_audit(&rig), "\"eventName\":\"CreateKey\"");
}

static void
key_is_unavailable_while_the_hsm_is_away(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	fake_hsm_set_state(rig.link, HSM_LOST);
	kms_service_tick(rig.service);
	rig_turn(&rig);
	assert_string_equal(rig_describe_key(&rig, RIG_ROOT, arn)->key->state, "Unavailable");
	assert_string_equal(rig_status(&rig, RIG_ROOT)->service->hsm_state, "reconnecting");
	fake_hsm_set_state(rig.link, HSM_READY);
	kms_service_tick(rig.service);
	rig_turn(&rig);
	assert_string_equal(rig_describe_key(&rig, RIG_ROOT, arn)->key->state, "Enabled");
}

static void
stranger_is_refused_every_request_with_a_line(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = rig_status(&rig, RIG_STRANGER);

	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, "uid 9999 is no principal");
	const char *line = rig_audit_last(&rig);
	assert_contains(line, "\"uid\":9999");
	assert_contains(line, "\"outcome\":\"denied\"");
	assert_contains(line, "\"userIdentity\":{\"type\":\"Unknown\",\"uid\":9999");
	assert_answered(rig_create_key(&rig, RIG_STRANGER, ""), SLK_DENIED);
	assert_answered(rig_describe_key(&rig, RIG_STRANGER, "alias/x"), SLK_DENIED);
	assert_answered(rig_authorize(&rig, RIG_STRANGER, RIG_ALICE, "kinesis:PutRecord", "web"),
		SLK_DENIED);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
}

static bool
is_for_the_gateway(Kmsp__Request__CallCase request)
{
	return request == KMSP__REQUEST__CALL_STATUS || request == KMSP__REQUEST__CALL_AUTHORIZE ||
		request == KMSP__REQUEST__CALL_DERIVE_SIGNING_KEY ||
		request == KMSP__REQUEST__CALL_DESCRIBE_STREAM ||
		request == KMSP__REQUEST__CALL_DESCRIBE_DELIVERY_STREAM ||
		request == KMSP__REQUEST__CALL_LIST_SHARDS ||
		request == KMSP__REQUEST__CALL_WATCH_STREAMS;
}

static bool
is_for_deliverd(Kmsp__Request__CallCase request)
{
	return request == KMSP__REQUEST__CALL_DESCRIBE_STREAM ||
		request == KMSP__REQUEST__CALL_WATCH_STREAMS ||
		request == KMSP__REQUEST__CALL_LIST_SHARDS ||
		request == KMSP__REQUEST__CALL_LIST_DELIVERY_STREAMS ||
		request == KMSP__REQUEST__CALL_DELIVERY_WORK ||
		request == KMSP__REQUEST__CALL_DELIVERY_STATE ||
		request == KMSP__REQUEST__CALL_ASSUME_DELIVERY_ROLE ||
		request == KMSP__REQUEST__CALL_DELIVERY_CHANGES;
}

/* Every request from every class of peer, with a policy that would allow each: the table decides
 * alone. */
static void
table_of_requests_and_classes_holds(void **state)
{
	(void)state;
	static struct kms_rig wide;
	static const struct {
		Kmsp__Request__CallCase request;
		bool user, admin, door;
	} rows[] = {
		{KMSP__REQUEST__CALL_CREATE_KEY, false, true, false},
		{KMSP__REQUEST__CALL_DESCRIBE_KEY, true, true, false},
		{KMSP__REQUEST__CALL_LIST_KEYS, true, true, false},
		{KMSP__REQUEST__CALL_CREATE_ALIAS, false, true, false},
		{KMSP__REQUEST__CALL_DELETE_ALIAS, false, true, false},
		{KMSP__REQUEST__CALL_LIST_ALIASES, true, true, false},
		{KMSP__REQUEST__CALL_GENERATE_DATA_KEY, true, true, false},
		{KMSP__REQUEST__CALL_ENCRYPT, true, true, false},
		{KMSP__REQUEST__CALL_DECRYPT, true, true, false},
		{KMSP__REQUEST__CALL_CREATE_STREAM, false, true, false},
		{KMSP__REQUEST__CALL_DESCRIBE_STREAM, true, true, true},
		{KMSP__REQUEST__CALL_LIST_STREAMS, true, true, true},
		{KMSP__REQUEST__CALL_DELETE_STREAM, false, true, false},
		{KMSP__REQUEST__CALL_GENERATE_STREAM_KEY, false, false, true},
		{KMSP__REQUEST__CALL_AUTHORIZE, false, false, true},
		{KMSP__REQUEST__CALL_STATUS, true, true, true},
		{KMSP__REQUEST__CALL_LIST_PROPOSALS, false, true, false},
		{KMSP__REQUEST__CALL_GET_PROPOSAL, false, true, false},
		{KMSP__REQUEST__CALL_APPROVE_PROPOSAL, false, true, false},
		{KMSP__REQUEST__CALL_REJECT_PROPOSAL, false, true, false},
		{KMSP__REQUEST__CALL_INSPECT_KEY, false, true, false},
		{KMSP__REQUEST__CALL_ABOUT, false, true, false},
		{KMSP__REQUEST__CALL_UPDATE_ALIAS, false, true, false},
		{KMSP__REQUEST__CALL_UPDATE_KEY_DESCRIPTION, false, true, false},
		{KMSP__REQUEST__CALL_ENABLE_KEY, false, true, false},
		{KMSP__REQUEST__CALL_DISABLE_KEY, false, true, false},
		{KMSP__REQUEST__CALL_SCHEDULE_KEY_DELETION, false, true, false},
		{KMSP__REQUEST__CALL_CANCEL_KEY_DELETION, false, true, false},
		{KMSP__REQUEST__CALL_TAG_RESOURCE, false, true, false},
		{KMSP__REQUEST__CALL_UNTAG_RESOURCE, false, true, false},
		{KMSP__REQUEST__CALL_LIST_RESOURCE_TAGS, true, true, false},
		{KMSP__REQUEST__CALL_ENABLE_KEY_ROTATION, false, true, false},
		{KMSP__REQUEST__CALL_DISABLE_KEY_ROTATION, false, true, false},
		{KMSP__REQUEST__CALL_GET_KEY_ROTATION_STATUS, true, true, false},
		{KMSP__REQUEST__CALL_ROTATE_KEY_ON_DEMAND, false, true, false},
		{KMSP__REQUEST__CALL_LIST_KEY_ROTATIONS, true, true, false},
		{KMSP__REQUEST__CALL_RE_ENCRYPT, true, true, false},
		{KMSP__REQUEST__CALL_GENERATE_RANDOM, true, true, false},
		{KMSP__REQUEST__CALL_SIGN, true, true, false},
		{KMSP__REQUEST__CALL_VERIFY, true, true, false},
		{KMSP__REQUEST__CALL_GET_PUBLIC_KEY, true, true, false},
		{KMSP__REQUEST__CALL_LIST_ORPHANS, false, true, false},
		{KMSP__REQUEST__CALL_ATTEST, false, true, true},
		{KMSP__REQUEST__CALL_CREATE_GRANT, true, true, false},
		{KMSP__REQUEST__CALL_LIST_GRANTS, true, true, false},
		{KMSP__REQUEST__CALL_LIST_RETIRABLE_GRANTS, true, true, false},
		{KMSP__REQUEST__CALL_RETIRE_GRANT, true, true, false},
		{KMSP__REQUEST__CALL_REVOKE_GRANT, true, true, false},
		{KMSP__REQUEST__CALL_CREATE_USER, false, true, false},
		{KMSP__REQUEST__CALL_CREATE_ROLE, false, true, false},
		{KMSP__REQUEST__CALL_GET_IDENTITY, false, true, false},
		{KMSP__REQUEST__CALL_LIST_USERS, false, true, false},
		{KMSP__REQUEST__CALL_LIST_ROLES, false, true, false},
		{KMSP__REQUEST__CALL_DELETE_IDENTITY, false, true, false},
		{KMSP__REQUEST__CALL_TAG_IDENTITY, false, true, false},
		{KMSP__REQUEST__CALL_UNTAG_IDENTITY, false, true, false},
		{KMSP__REQUEST__CALL_UPDATE_TRUST_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_PUT_INLINE_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_GET_INLINE_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_DELETE_INLINE_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_LIST_INLINE_POLICIES, false, true, false},
		{KMSP__REQUEST__CALL_CREATE_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_GET_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_UPDATE_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_DELETE_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_LIST_POLICIES, false, true, false},
		{KMSP__REQUEST__CALL_ATTACH_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_DETACH_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_LIST_ATTACHED_POLICIES, false, true, false},
		{KMSP__REQUEST__CALL_LIST_POLICY_HOLDERS, false, true, false},
		{KMSP__REQUEST__CALL_PUT_BOUNDARY, false, true, false},
		{KMSP__REQUEST__CALL_DELETE_BOUNDARY, false, true, false},
		{KMSP__REQUEST__CALL_PUT_KEY_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_GET_KEY_POLICY, true, true, false},
		{KMSP__REQUEST__CALL_LIST_KEY_POLICIES, true, true, false},
		{KMSP__REQUEST__CALL_PUT_RESOURCE_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_GET_RESOURCE_POLICY, true, true, false},
		{KMSP__REQUEST__CALL_DELETE_RESOURCE_POLICY, false, true, false},
		{KMSP__REQUEST__CALL_EXPLAIN, false, true, false},
		{KMSP__REQUEST__CALL_ASSUME_ROLE, true, true, false},
		{KMSP__REQUEST__CALL_CREATE_ACCESS_KEY, false, true, false},
		{KMSP__REQUEST__CALL_LIST_ACCESS_KEYS, false, true, false},
		{KMSP__REQUEST__CALL_UPDATE_ACCESS_KEY, false, true, false},
		{KMSP__REQUEST__CALL_DELETE_ACCESS_KEY, false, true, false},
		{KMSP__REQUEST__CALL_DERIVE_SIGNING_KEY, false, false, false}, /* the gateway */
		{KMSP__REQUEST__CALL_GET_CALLER_IDENTITY, true, true, false},
		/* Root and who is not in the catalog have none: a decision of its own. */
		{KMSP__REQUEST__CALL_GET_SESSION_TOKEN, false, false, false},
		{KMSP__REQUEST__CALL_SPLIT_SHARD, false, true, false},
		{KMSP__REQUEST__CALL_MERGE_SHARDS, false, true, false},
		{KMSP__REQUEST__CALL_UPDATE_SHARD_COUNT, false, true, false},
		{KMSP__REQUEST__CALL_LIST_SHARDS, true, true, true},
		{KMSP__REQUEST__CALL_INCREASE_STREAM_RETENTION, false, true, false},
		{KMSP__REQUEST__CALL_DECREASE_STREAM_RETENTION, false, true, false},
		{KMSP__REQUEST__CALL_START_STREAM_ENCRYPTION, false, true, false},
		{KMSP__REQUEST__CALL_STOP_STREAM_ENCRYPTION, false, true, false},
		{KMSP__REQUEST__CALL_ADD_TAGS_TO_STREAM, false, true, false},
		{KMSP__REQUEST__CALL_REMOVE_TAGS_FROM_STREAM, false, true, false},
		{KMSP__REQUEST__CALL_LIST_TAGS_FOR_STREAM, true, true, false},
		{KMSP__REQUEST__CALL_UPDATE_STREAM_MODE, false, true, false},
		{KMSP__REQUEST__CALL_DESCRIBE_LIMITS, true, true, false},
		{KMSP__REQUEST__CALL_STREAM_CHANGED, false, false, true},
		{KMSP__REQUEST__CALL_WATCH_STREAMS, false, false, true},
		{KMSP__REQUEST__CALL_CREATE_DELIVERY_STREAM, false, true, false},
		{KMSP__REQUEST__CALL_DESCRIBE_DELIVERY_STREAM, true, true, false},
		{KMSP__REQUEST__CALL_LIST_DELIVERY_STREAMS, true, true, false},
		{KMSP__REQUEST__CALL_UPDATE_DESTINATION, false, true, false},
		{KMSP__REQUEST__CALL_DELETE_DELIVERY_STREAM, false, true, false},
		{KMSP__REQUEST__CALL_START_DELIVERY_STREAM_ENCRYPTION, false, true, false},
		{KMSP__REQUEST__CALL_STOP_DELIVERY_STREAM_ENCRYPTION, false, true, false},
		{KMSP__REQUEST__CALL_TAG_DELIVERY_STREAM, false, true, false},
		{KMSP__REQUEST__CALL_UNTAG_DELIVERY_STREAM, false, true, false},
		{KMSP__REQUEST__CALL_LIST_TAGS_FOR_DELIVERY_STREAM, true, true, false},
		{KMSP__REQUEST__CALL_DELIVERY_WORK, false, false, false},
		{KMSP__REQUEST__CALL_DELIVERY_STATE, false, false, false},
		{KMSP__REQUEST__CALL_ASSUME_DELIVERY_ROLE, false, false, false},
		{KMSP__REQUEST__CALL_DELIVERY_CHANGES, false, false, false},
	};

	/* None is forgotten: these are all that the protocol has, but id, version, timeout,
	 * correlation, grant tokens and caller. */
	assert_int_equal(sizeof(rows) / sizeof(rows[0]), kmsp__request__descriptor.n_fields - 6);

	rig_start(&wide,
		"  - {effect: Allow, principals: ['*'], actions: ['*'], resources: ['*']}\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* An empty message of the request's own type: what the table lets pass fails for
		 * another reason. */
		uint8_t frame[16] = {0x08, 1, 0x10, 1}, at = 4;
		uint32_t tag = (uint32_t)rows[i].request << 3 | 2;
		const Kmsp__Request *request = NULL;
		struct kmsp_arena *arena = NULL;
		if (tag >= 0x80) {
			frame[at++] = (uint8_t)(tag | 0x80);
			tag >>= 7;
		}
		frame[at++] = (uint8_t)tag;
		frame[at++] = 0;
		assert_ok(kmsp_arena_new(&arena));
		assert_ok(kmsp_request_unpack(arena, slk_span(frame, at), &request));
		assert_int_equal(
			rig_call(&wide, RIG_ALICE, request)->status == SLK_DENIED, !rows[i].user);
		assert_int_equal(
			rig_call(&wide, RIG_ROOT, request)->status == SLK_DENIED, !rows[i].admin);
		assert_int_equal(
			rig_call(&wide, RIG_INGEST, request)->status == SLK_DENIED, !rows[i].door);
		assert_int_equal(rig_call(&wide, RIG_GATEWAY, request)->status == SLK_DENIED,
			!is_for_the_gateway(rows[i].request));
		assert_int_equal(rig_call(&wide, RIG_DELIVER, request)->status == SLK_DENIED,
			!is_for_deliverd(rows[i].request));
		assert_answered(rig_call(&wide, RIG_STRANGER, request), SLK_DENIED);
		kmsp_arena_free(arena);
	}
	rig_stop(&wide);
}

static void
right_without_the_class_is_not_enough(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = rig_create_key(&rig, RIG_ALICE, "");

	assert_answered(reply, SLK_DENIED);
	assert_contains(
		reply->message, RIG_ALICE_ARN " is not authorized to perform: kms:CreateKey");
	assert_contains(reply->message, "admins:");
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
}

/* Who has no right learns nothing: the same sentence for a key, for none, for an alias, for none.
 */
static void
refusal_does_not_tell_what_exists(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX], there[2048], missing[2048];
	static const char none[] =
		"arn:aws:kms:local:000000000000:key/11111111-2222-4333-8444-555555555555";

	rig_new_key(&rig, arn);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/here", arn), SLK_OK);
	const Kmsp__Reply *reply = rig_describe_key(&rig, RIG_BOB, "alias/here");
	assert_answered(reply, SLK_DENIED);
	assert_lacks(reply->message, "key/");
	snprintf(there, sizeof(there), "%s", reply->message);
	reply = rig_describe_key(&rig, RIG_BOB, "alias/gone");
	assert_answered(reply, SLK_DENIED);
	snprintf(missing, sizeof(missing), "%s", reply->message);
	memcpy(strstr(missing, "gone"), "here", 4);
	assert_string_equal(there, missing);
	reply = rig_describe_key(&rig, RIG_BOB, arn);
	assert_answered(reply, SLK_DENIED);
	snprintf(there, sizeof(there), "%s", reply->message);
	reply = rig_describe_key(&rig, RIG_BOB, none);
	assert_answered(reply, SLK_DENIED);
	snprintf(missing, sizeof(missing), "%s", reply->message);
	memcpy(strstr(missing, "11111111-"), strstr(arn, "key/") + 4, 36);
	assert_string_equal(there, missing);
	/* With the right: what is missing is missing. */
	assert_answered(rig_describe_key(&rig, RIG_ALICE, none), SLK_NOT_FOUND);
	assert_answered(rig_describe_key(&rig, RIG_ALICE, "alias/gone"), SLK_NOT_FOUND);
	assert_answered(rig_describe_key(&rig, RIG_ALICE, "alias/here"), SLK_OK);
}

static void
key_named_badly_is_not_found(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = rig_describe_key(&rig, RIG_ROOT, "unknown");

	assert_answered(reply, SLK_NOT_FOUND);
	assert_string_equal(reply->exception, "NotFoundException");
	assert_string_equal(reply->message, "Invalid keyId 'unknown'");
	assert_answered(rig_describe_key(&rig, RIG_ROOT, ""), SLK_NOT_FOUND);
}

static void
description_is_text_of_8192_characters(void **state)
{
	(void)state;
	char text[8200];

	memset(text, 'd', sizeof(text));
	text[8193] = '\0';
	assert_answered(rig_create_key(&rig, RIG_ROOT, text), SLK_INVALID);
	text[8191] = '\xc3'; /* one character of two bytes */
	text[8192] = '\xa4';
	assert_answered(rig_create_key(&rig, RIG_ROOT, text), SLK_OK);
	assert_answered(rig_create_key(&rig, RIG_ROOT, "\xff"), SLK_INVALID);
	assert_int_equal(fake_hsm_keys_count(rig.link), 1);
}

static const Kmsp__Reply *
list_keys(uid_t uid, const char *marker, uint32_t limit)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__List call = KMSP__LIST__INIT;

	call.marker = TEXT(marker);
	call.limit = limit;
	request.call_case = KMSP__REQUEST__CALL_LIST_KEYS;
	request.list_keys = &call;
	return rig_call(&rig, uid, &request);
}

/* Of the key at that place of the list, which shows ids only. */
static const char *
state_of_listed(size_t index)
{
	char id[64];

	snprintf(id, sizeof(id), "%s", list_keys(RIG_ROOT, "", 0)->keys->keys[index]->id);
	return rig_describe_key(&rig, RIG_ROOT, id)->key->state;
}

static void
list_of_keys_is_walked_page_by_page(void **state)
{
	(void)state;
	char marker[64] = "", arn[KMS_ARN_MAX];
	unsigned seen = 0, pages = 0;

	for (int i = 0; i < 60; i++)
		rig_new_key(&rig, arn);
	do {
		const Kmsp__Reply *reply = list_keys(RIG_BOB, marker, pages == 0 ? 7 : 0);
		assert_answered(reply, SLK_OK);
		assert_int_equal(reply->keys->n_keys, pages == 0 ? 7 : pages == 1 ? 50 : 3);
		seen += (unsigned)reply->keys->n_keys;
		snprintf(marker, sizeof(marker), "%s", reply->keys->next);
		pages++;
	} while (marker[0] != '\0');
	assert_int_equal(seen, 60);
	assert_int_equal(pages, 3);
	assert_string_equal(list_keys(RIG_BOB, "rubbish", 0)->exception, "InvalidMarkerException");
	assert_answered(list_keys(RIG_ALICE, "", 0), SLK_DENIED);
}

static const Kmsp__Reply *
delete_alias(uid_t uid, const char *alias)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__DeleteAlias call = KMSP__DELETE_ALIAS__INIT;

	call.alias = TEXT(alias);
	request.call_case = KMSP__REQUEST__CALL_DELETE_ALIAS;
	request.delete_alias = &call;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
list_aliases(uid_t uid, const char *key)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__ListAliases call = KMSP__LIST_ALIASES__INIT;

	call.key = TEXT(key);
	request.call_case = KMSP__REQUEST__CALL_LIST_ALIASES;
	request.list_aliases = &call;
	return rig_call(&rig, uid, &request);
}

static void
alias_is_made_listed_and_deleted(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX], second[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	rig_new_key(&rig, second);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/web", arn), SLK_OK);
	const Kmsp__Reply *reply = rig_create_alias(&rig, RIG_ROOT, "alias/web", second);
	assert_answered(reply, SLK_EXISTS);
	assert_string_equal(reply->exception, "AlreadyExistsException");
	assert_string_equal(rig_describe_key(&rig, RIG_ROOT, "alias/web")->key->arn, arn);
	reply = list_aliases(RIG_BOB, arn);
	assert_int_equal(reply->aliases->n_aliases, 1);
	assert_string_equal(
		reply->aliases->aliases[0]->arn, "arn:aws:kms:local:000000000000:alias/web");
	assert_int_equal(list_aliases(RIG_BOB, second)->aliases->n_aliases, 0);
	assert_answered(list_aliases(RIG_BOB, "alias/web"), SLK_NOT_FOUND);
	assert_answered(delete_alias(RIG_ROOT, "alias/web"), SLK_OK);
	assert_answered(delete_alias(RIG_ROOT, "alias/web"), SLK_NOT_FOUND);
	assert_answered(rig_describe_key(&rig, RIG_ROOT, "alias/web"), SLK_NOT_FOUND);
}

static void
bad_aliases_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"web", "alias/", "alias/aws/kinesis", "alias/a b"};
	char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_string_equal(rig_create_alias(&rig, RIG_ROOT, bad[i], arn)->exception,
			"ValidationException");
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/a", arn), SLK_OK);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/b", "alias/a"), SLK_INVALID);
}

/* Threats, row 9. The answer was lost after the token had made the object: found again, not made
 * twice. */
static void
key_whose_answer_was_lost_is_finished(void **state)
{
	(void)state;
	fake_hsm_lose_answer(rig.link, SLK_UNAVAILABLE);
	assert_answered(rig_create_key(&rig, RIG_ROOT, "lost"), SLK_UNAVAILABLE);
	assert_int_equal(fake_hsm_keys_count(rig.link), 1);
	assert_string_equal(state_of_listed(0), "Creating");
	kms_service_tick(rig.service);
	rig_turn(&rig);
	rig_turn(&rig);
	assert_string_equal(state_of_listed(0), "Enabled");
	assert_int_equal(fake_hsm_keys_count(rig.link), 1);
}

static void
key_is_finished_after_a_restart_and_not_used_before(void **state)
{
	(void)state;
	char id[64];

	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	assert_answered(rig_create_key(&rig, RIG_ROOT, "later"), SLK_UNAVAILABLE);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
	const Kmsp__Reply *reply = list_keys(RIG_ROOT, "", 0);
	assert_int_equal(reply->keys->n_keys, 1);
	snprintf(id, sizeof(id), "%s", reply->keys->keys[0]->id);
	reply = rig_generate(&rig, RIG_ROOT, id, "", false);
	assert_answered(reply, SLK_INVALID_STATE);
	assert_string_equal(reply->exception, "KMSInvalidStateException");
	rig_restart(&rig);
	rig_turn(&rig);
	assert_string_equal(rig_describe_key(&rig, RIG_ROOT, id)->key->state, "Enabled");
	assert_answered(rig_generate(&rig, RIG_ROOT, id, "", false), SLK_OK);
	assert_int_equal(fake_hsm_keys_count(rig.link), 1);
}

static void
many_unfinished_keys_are_all_finished(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		fake_hsm_fail(rig.link, SLK_TIMEOUT, 1);
		assert_answered(rig_create_key(&rig, RIG_ROOT, ""), SLK_TIMEOUT);
	}
	kms_service_tick(rig.service);
	for (int i = 0; i < 8; i++)
		rig_turn(&rig);
	const Kmsp__Reply *reply = list_keys(RIG_ROOT, "", 0);
	assert_int_equal(reply->keys->n_keys, 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(state_of_listed(i), "Enabled");
	assert_int_equal(fake_hsm_keys_count(rig.link), 5);
}

static void
refused_key_does_not_stop_the_others(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		fake_hsm_fail(rig.link, SLK_TIMEOUT, 1);
		assert_answered(rig_create_key(&rig, RIG_ROOT, ""), SLK_TIMEOUT);
	}
	fake_hsm_fail(rig.link, SLK_CORRUPT, 1); /* the first of the pass */
	kms_service_tick(rig.service);
	for (int i = 0; i < 6; i++)
		rig_turn(&rig);
	const Kmsp__Reply *reply = list_keys(RIG_ROOT, "", 0);
	unsigned enabled = 0;
	assert_int_equal(reply->keys->n_keys, 3);
	for (size_t i = 0; i < 3; i++)
		enabled += strcmp(state_of_listed(i), "Enabled") == 0;
	assert_int_equal(enabled, 2);
}

static void
request_that_waits_too_long_is_answered(void **state)
{
	(void)state;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;

	request.call_case = KMSP__REQUEST__CALL_CREATE_KEY;
	request.create_key = &call;
	request.timeout_ms = 1000;
	fake_hsm_hold(rig.link, true);
	rig_begin(&rig, RIG_ROOT, &request);
	rig_turn(&rig);
	assert_int_equal(rig.answers, 0);
	rig.mono_ns += 999 * SLK_NS_PER_MS;
	rig_turn(&rig);
	assert_int_equal(rig.answers, 1);
	assert_answered(rig_last(&rig), SLK_TIMEOUT);
	fake_hsm_hold(rig.link, false);
}

static void
begin_creation(void)
{
	static Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	request.call_case = KMSP__REQUEST__CALL_CREATE_KEY;
	request.create_key = &call;
	rig_begin(&rig, RIG_ROOT, &request);
}

static void
key_that_a_request_makes_is_not_asked_for_by_the_chores(void **state)
{
	(void)state;
	fake_hsm_hold(rig.link, true);
	begin_creation();
	for (int i = 0; i < 3; i++) {
		kms_service_tick(rig.service);
		rig_turn(&rig);
	}
	assert_int_equal(rig.answers, 0);
	fake_hsm_hold(rig.link, false);
	rig_turn(&rig);
	rig_turn(&rig);
	assert_answered(rig_last(&rig), SLK_OK);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_CREATE_KEY), 1);
}

static void
key_that_a_request_could_not_make_is_left_to_the_chores(void **state)
{
	(void)state;
	fake_hsm_hold(rig.link, true);
	begin_creation();
	kms_service_tick(rig.service);
	rig_turn(&rig);
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	fake_hsm_hold(rig.link, false);
	rig_turn(&rig);
	assert_answered(rig_last(&rig), SLK_UNAVAILABLE);
	kms_service_tick(rig.service);
	rig_turn(&rig);
	rig_turn(&rig);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_CREATE_KEY), 2);
	assert_string_equal(state_of_listed(0), "Enabled");
	assert_int_equal(fake_hsm_keys_count(rig.link), 1);
}

static void
status_counts_what_happened(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	rig_generate(&rig, RIG_ROOT, arn, "", false);
	rig_generate(&rig, RIG_BOB, arn, "", false);
	rig_describe_key(&rig, RIG_ROOT, "nonsense");
	rig.mono_ns += 3 * SLK_NS_PER_S;
	const Kmsp__Status *s = rig_status(&rig, RIG_BOB)->service;
	assert_true(s->hsm_ok);
	assert_string_equal(s->hsm_state, "ready");
	assert_string_equal(s->token_label, "fake");
	assert_int_equal(s->requests, 4);
	assert_int_equal(s->denied, 1);
	assert_int_equal(s->errors, 1);
	assert_int_equal(s->data_keys_issued, 1);
	assert_int_equal(s->uptime_s, 3);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(new_key_is_enabled_and_described),
		CASE(key_is_unavailable_while_the_hsm_is_away),
		CASE(stranger_is_refused_every_request_with_a_line),
		CASE(table_of_requests_and_classes_holds),
		CASE(right_without_the_class_is_not_enough),
		CASE(refusal_does_not_tell_what_exists),
		CASE(key_named_badly_is_not_found),
		CASE(description_is_text_of_8192_characters),
		CASE(list_of_keys_is_walked_page_by_page),
		CASE(alias_is_made_listed_and_deleted),
		CASE(bad_aliases_are_refused),
		CASE(key_whose_answer_was_lost_is_finished),
		CASE(key_is_finished_after_a_restart_and_not_used_before),
		CASE(many_unfinished_keys_are_all_finished),
		CASE(refused_key_does_not_stop_the_others),
		CASE(request_that_waits_too_long_is_answered),
		CASE(key_that_a_request_makes_is_not_asked_for_by_the_chores),
		CASE(key_that_a_request_could_not_make_is_left_to_the_chores),
		CASE(status_counts_what_happened),
	};

	return cmocka_run_group_tests_name("kms_service_keys", tests, NULL, NULL);
}
