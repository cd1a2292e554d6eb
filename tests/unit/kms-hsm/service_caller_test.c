/* What kmsd does for a caller that the gateway names, and for one that somebody else names. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "access_rig.h"
#include "call.h"

#define APP_ARN "arn:aws:iam::000000000000:user/carl"
#define SYSLOG_ARN "arn:aws:iam::000000000000:role/syslog" /* under roles: */
#define READER_ARN "arn:aws:iam::000000000000:role/reader"
#define SESSION_ARN "arn:aws:sts::000000000000:assumed-role/reader/job"
#define WEB "arn:aws:kinesis:local:000000000000:stream/web"
#define VIA "kinesis.local.amazonaws.com"
#define DOC(statement) "{\"Version\":\"2012-10-17\",\"Statement\":" statement "}"
#define ALLOW(actions, more) \
	"{\"Effect\":\"Allow\",\"Action\":" actions ",\"Resource\":\"*\"" more "}"
#define IF(test, key, value) ",\"Condition\":{\"" test "\":{\"" key "\":\"" value "\"}}"
#define TRUSTS_CARL \
	DOC("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"" APP_ARN "\"}," \
	    "\"Action\":\"sts:*\"}")

static struct kms_rig rig;
static struct access_credential access_key, session;
static char key[KMS_ARN_MAX];
static Kmsp__Caller caller;

#define TEXT(text) ((char *)(uintptr_t)(text))

/* --- who asks --- */

static Kmsp__Caller *
nobody(void)
{
	kmsp__caller__init(&caller);
	rig.caller = &caller;
	return &caller;
}

/* By name alone. */
static void
act_by_name(const char *principal)
{
	nobody()->principal = TEXT(principal);
}

static void
act_for_key(const char *id)
{
	nobody()->access_key_id = TEXT(id);
}

/* By an access key, which is made where there is none yet. */
static void
act_for(const char *name)
{
	static char ids[8][2][64];
	struct kms_identity_row row;
	size_t i = 0;

	while (ids[i][0][0] != '\0' && strcmp(ids[i][0], name) != 0)
		i++;
	if (kms_catalog_identity_get(rig.catalog, KMS_USER, name, &row) == SLK_NOT_FOUND) {
		struct access_credential made;
		rig.caller = NULL;
		access_make_user(&rig, name);
		access_take(access_create(&rig, RIG_ROOT, name), &made);
		snprintf(ids[i][0], sizeof(ids[i][0]), "%s", name);
		snprintf(ids[i][1], sizeof(ids[i][1]), "%s", made.id);
	}
	act_for_key(ids[i][1]);
}

static void
act_for_session(const struct access_credential *credential)
{
	nobody()->session_token = TEXT(credential->token);
	caller.access_key_id = TEXT(credential->id);
}

static void
act_for_oneself(void)
{
	rig.caller = NULL;
}

static void
set_policy(enum kms_identity_kind kind, const char *name, const char *document)
{
	struct kms_identity_row row;

	assert_ok(kms_catalog_identity_get(rig.catalog, kind, name, &row));
	assert_ok(kms_catalog_inline_put(rig.catalog, row.id, "p", document));
	assert_ok(kms_iam_identity_changed(rig.service->iam, kind, name));
}

static void
begin(const char *admins, const char *settings)
{
	rig_start_with(&rig, admins, settings);
	access_make_user(&rig, "carl");
	access_make_role(&rig, "reader", "AROAREADER", TRUSTS_CARL);
	access_take(access_create(&rig, RIG_ROOT, "carl"), &access_key);
	rig_new_key(&rig, key);
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/web", key), SLK_OK);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key), SLK_OK);
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "open", 1, ""), SLK_OK);
}

static int
setup(void **state)
{
	(void)state;
	begin("[0, 1002]", "");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

/* carl assumes the role, through the gateway. */
static void
assume(const struct access_role *what)
{
	act_for_key(access_key.id);
	access_take(access_assume(&rig, RIG_GATEWAY, what), &session);
}

static void
refused(const Kmsp__Reply *reply, const char *exception)
{
	assert_answered(reply, SLK_DENIED);
	assert_string_equal(reply->exception, exception);
}

static void
denied(const Kmsp__Reply *reply, const char *who, const char *action)
{
	refused(reply, "AccessDeniedException");
	assert_contains(reply->message, who);
	assert_contains(reply->message, action);
}

static const Kmsp__Reply *
describe(void)
{
	return rig_describe_key(&rig, RIG_GATEWAY, key);
}

static const Kmsp__Reply *
generate(const char *context)
{
	return rig_generate(&rig, RIG_GATEWAY, key, context, false);
}

/* --- decided as the caller --- */

static void
a_user_may_what_its_policies_say(void **state)
{
	(void)state;
	act_for_key(access_key.id);
	denied(describe(), APP_ARN, "kms:DescribeKey");
	set_policy(KMS_USER, "carl", DOC(ALLOW("\"kms:DescribeKey\"", "")));
	assert_answered(describe(), SLK_OK);
	denied(generate("a=b"), APP_ARN, "kms:GenerateDataKey");
	caller.principal = TEXT(APP_ARN); /* with its key */
	assert_answered(describe(), SLK_OK);
	set_policy(KMS_USER, "carl", DOC(ALLOW("\"kms:GenerateDataKey\"", "")));
	denied(describe(), APP_ARN, "kms:DescribeKey");
	assert_answered(generate("a=b"), SLK_OK);
}

static void
the_gateway_lends_nobody_rights_and_has_none(void **state)
{
	(void)state;
	act_for_oneself();
	denied(describe(), "the gateway", "kms:DescribeKey");
	/* Not those of another caller, nor of an administrator. */
	set_policy(KMS_USER, "carl", DOC(ALLOW("\"*\"", "")));
	act_for("alice");
	denied(describe(), RIG_ALICE_ARN, "kms:DescribeKey");
	act_for("admin");
	denied(rig_create_key(&rig, RIG_GATEWAY, ""), RIG_ADMIN_ARN, "kms:CreateKey");
}

static void
act_by_uid(uint32_t uid)
{
	nobody()->by_uid = true;
	caller.uid = uid;
}

static void
the_gateway_names_uids_where_it_may(void **state)
{
	(void)state;
	act_by_uid(1000);
	denied(describe(), "gateway_peers", "may not name callers by uid");
	rig.service->parts.gateway_peers = true;
	denied(describe(), RIG_ALICE_ARN, "kms:DescribeKey");
	act_by_uid(0);
	denied(describe(), "uid 0", "no user and no role");
	act_by_uid(4711);
	denied(describe(), "uid 4711", "no user and no role");
	act_by_uid(1000);
	caller.source_ip = TEXT("192.0.2.1");
	assert_answered(describe(), SLK_INVALID);
	act_by_uid(1000);
	caller.access_key_id = TEXT(access_key.id);
	assert_answered(describe(), SLK_INVALID);
}

static const Kmsp__Reply *
list_shards(void)
{
	Kmsp__ListShards call = KMSP__LIST_SHARDS__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	call.stream = (char *)(uintptr_t) "web";
	request.call_case = KMSP__REQUEST__CALL_LIST_SHARDS;
	request.list_shards = &call;
	return rig_call(&rig, RIG_GATEWAY, &request);
}

static const Kmsp__Reply *
watch_streams(void)
{
	Kmsp__WatchStreams call = KMSP__WATCH_STREAMS__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	call.wait_ms = 1;
	request.call_case = KMSP__REQUEST__CALL_WATCH_STREAMS;
	request.watch_streams = &call;
	return rig_call(&rig, RIG_GATEWAY, &request);
}

/* What it needs to find a record's place; a caller needs a policy for the same. */
static void
the_gateway_knows_for_itself_how_streams_are_made(void **state)
{
	(void)state;
	act_for_oneself();
	assert_answered(rig_describe_stream(&rig, RIG_GATEWAY, "web"), SLK_OK);
	assert_contains(rig_audit_last(&rig), "\"arn\":\"kinesis.amazonaws.com\",\"uid\":2001");
	assert_int_equal(list_shards()->status, SLK_OK);
	assert_int_equal(watch_streams()->status, SLK_OK);
	act_for_key(access_key.id);
	denied(rig_describe_stream(&rig, RIG_GATEWAY, "web"), APP_ARN, "kinesis:DescribeStream");
	denied(list_shards(), APP_ARN, "kinesis:ListShards");
	denied(watch_streams(), "the gateway may not", "sealock:WatchStreams");
	set_policy(KMS_USER, "carl", DOC(ALLOW("\"kinesis:ListShards\"", "")));
	assert_int_equal(list_shards()->status, SLK_OK);
}

/* Administrative requests of kms and kinesis: the policy decides, and admins: has no say. */
static void
a_caller_needs_a_policy_and_no_entry_among_admins(void **state)
{
	(void)state;
	act_for_key(access_key.id);
	denied(rig_create_key(&rig, RIG_GATEWAY, ""), APP_ARN, "kms:CreateKey");
	set_policy(KMS_USER, "carl",
		DOC(ALLOW("[\"kms:CreateKey\",\"kms:DisableKey\",\"kinesis:*\"]", "")));
	assert_answered(rig_create_key(&rig, RIG_GATEWAY, "of carl"), SLK_OK);
	assert_contains(rig_audit_last(&rig), "\"arn\":\"" APP_ARN "\"");
	assert_answered(
		rig_ask_key(&rig, RIG_GATEWAY, KMSP__REQUEST__CALL_DISABLE_KEY, key), SLK_OK);
	denied(rig_ask_key(&rig, RIG_GATEWAY, KMSP__REQUEST__CALL_ENABLE_KEY, key), APP_ARN,
		"kms:EnableKey");
	assert_answered(rig_create_stream(&rig, RIG_GATEWAY, "new", 1, ""), SLK_OK);
	assert_answered(rig_delete_stream(&rig, RIG_GATEWAY, "new"), SLK_OK);
}

static void
requests_beyond_kms_kinesis_and_sts_are_nobodys(void **state)
{
	(void)state;
	set_policy(KMS_USER, "carl", DOC(ALLOW("\"*\"", "")));
	act_for_key(access_key.id);
	denied(access_create(&rig, RIG_GATEWAY, "carl"), "the gateway may not", "iam:");
	denied(access_derive(&rig, RIG_GATEWAY, &(struct access_scope){.id = access_key.id}),
		"the gateway may not", "sealock:DeriveSigningKey");
	denied(rig_status(&rig, RIG_GATEWAY), "the gateway may not", "sealock:Status");
	denied(rig_stream_key(&rig, RIG_GATEWAY, WEB), "the gateway may not",
		"kms:GenerateDataKey");
}

static void
grants_and_key_policies_are_the_callers(void **state)
{
	(void)state;
	const uint8_t id[KMS_GRANT_ID_BYTES] = {1};
	struct kms_grant grant = {.operations = KMS_BIT(KMS_GRANT_GENERATE_DATA_KEY)};
	struct kms_ref ref;

	act_for_key(access_key.id);
	denied(generate("a=b"), APP_ARN, "kms:GenerateDataKey");
	assert_ok(kms_ref_parse(&(struct kms_realm){"000000000000", "local"}, key, &ref));
	memcpy(grant.key_id, ref.id, sizeof(grant.key_id));
	memcpy(grant.id, id, sizeof(id));
	strcpy(grant.grantee, APP_ARN);
	strcpy(grant.issuer, RIG_ROOT_ARN);
	assert_ok(kms_grants_add(rig.service->grants, &grant));
	assert_answered(generate("a=b"), SLK_OK);
	assert_ok(kms_grants_remove(rig.service->grants, id));
	denied(generate("a=b"), APP_ARN, "kms:GenerateDataKey");
	assert_ok(kms_catalog_key_policy_put(rig.catalog, ref.id,
		DOC("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"" APP_ARN
		    "\"},\"Action\":\"kms:GenerateDataKey\",\"Resource\":\"*\"}")));
	assert_ok(kms_iam_key_changed(rig.service->iam, ref.id));
	assert_answered(generate("a=b"), SLK_OK);
	act_for("alice");
	denied(generate("a=b"), RIG_ALICE_ARN, "kms:GenerateDataKey");
}

static void
conditions_see_the_way_it_came(void **state)
{
	(void)state;
	static const struct {
		const char *policy, *ip;
		bool over_tls;
		const char *via, *source;
		bool passes;
	} cases[] = {
		{IF("IpAddress", "aws:SourceIp", "192.0.2.0/24"), "192.0.2.9", true, "", "", true},
		{IF("IpAddress", "aws:SourceIp", "192.0.2.0/24"), "198.51.100.9", true, "", "",
			false},
		{IF("IpAddress", "aws:SourceIp", "2001:db8::/32"), "2001:db8::7", true, "", "",
			true},
		{IF("IpAddress", "aws:SourceIp", "192.0.2.0/24"), "", false, "", "", false},
		{IF("Bool", "aws:SecureTransport", "true"), "192.0.2.9", true, "", "", true},
		{IF("Bool", "aws:SecureTransport", "true"), "192.0.2.9", false, "", "", false},
		{IF("StringEquals", "kms:ViaService", VIA), "", false, VIA, WEB, true},
		{IF("StringEquals", "kms:ViaService", VIA), "", false, "", "", false},
		{IF("ArnEquals", "aws:SourceArn", WEB), "", false, VIA, WEB, true},
		{IF("ArnEquals", "aws:SourceArn", WEB), "", false, VIA, "", false},
		{IF("StringEquals", "kms:EncryptionContext:a", "b"), "", false, "", "", true},
		{IF("StringEquals", "kms:EncryptionContext:a", "c"), "", false, "", "", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char document[1024];
		snprintf(document, sizeof(document), DOC(ALLOW("\"*\"", "%s")), cases[i].policy);
		set_policy(KMS_USER, "carl", document);
		act_for_key(access_key.id);
		caller.source_ip = TEXT(cases[i].ip);
		caller.over_tls = cases[i].over_tls;
		caller.via_service = TEXT(cases[i].via);
		caller.source_arn = TEXT(cases[i].source);
		if ((generate("a=b")->status == SLK_OK) != cases[i].passes)
			fail_msg("case %zu: %s", i, document);
	}
}

static void
the_audit_line_names_the_caller_and_its_door(void **state)
{
	(void)state;
	set_policy(KMS_USER, "carl", DOC(ALLOW("\"*\"", "")));
	act_for_key(access_key.id);
	caller.source_ip = TEXT("192.0.2.9");
	caller.via_service = TEXT(VIA);
	caller.source_arn = TEXT(WEB);
	assert_answered(generate("a=b"), SLK_OK);
	const char *line = rig_audit_last(&rig);
	assert_contains(
		line, "\"eventName\":\"GenerateDataKey\",\"sourceIPAddress\":\"192.0.2.9\"");
	assert_contains(line,
		"\"userIdentity\":{\"type\":\"IAMUser\",\"principalId\":\"AIDAcarl\",\"arn\":"
		"\"" APP_ARN "\",\"accessKeyId\":\"");
	assert_contains(line, access_key.id);
	assert_contains(line, "\"invokedBy\":\"" VIA "\"");
	assert_contains(line, "\"door\":{\"uid\":2001,\"pid\":77,\"name\":\"gateway\"}");
	assert_contains(line, "\"sourceArn\":\"" WEB "\"");
	assert_contains(line, "\"outcome\":\"allowed\"");
	assert_lacks(line, "decisionOnly");
	act_for("bob");
	denied(describe(), RIG_BOB_ARN, "kms:DescribeKey");
	assert_contains(rig_audit_last(&rig), "\"arn\":\"" RIG_BOB_ARN "\",\"accessKeyId\"");
	assert_contains(rig_audit_last(&rig), "\"outcome\":\"denied\"");
}

/* --- sessions --- */

static void
a_session_may_what_its_role_may_within_its_policies(void **state)
{
	(void)state;
	assume(&(struct access_role){.policy = DOC(ALLOW("\"kms:DescribeKey\"", ""))});
	act_for_session(&session);
	denied(describe(), SESSION_ARN, "kms:DescribeKey");
	set_policy(KMS_ROLE, "reader", DOC(ALLOW("\"kms:*\"", "")));
	assert_answered(describe(), SLK_OK);
	denied(generate("a=b"), SESSION_ARN, "kms:GenerateDataKey");
	assert_contains(rig_audit_last(&rig),
		"\"type\":\"AssumedRole\",\"principalId\":"
		"\"AROAREADER:job\",\"arn\":\"" SESSION_ARN "\"");
	denied(rig_generate(&rig, RIG_GATEWAY, "alias/web", "a=b", false), SESSION_ARN,
		"on resource: arn:aws:kms:local:000000000000:alias/web");
}

/* The session key is not in memory: the request waits, and is begun anew with all that it said. */
static void
after_a_restart_a_request_waits_for_the_session_key(void **state)
{
	(void)state;
	static const uint8_t text[] = "attack at dawn";
	const struct slk_span plaintext = slk_span(text, sizeof(text));

	set_policy(KMS_ROLE, "reader",
		DOC(ALLOW("\"*\"", IF("IpAddress", "aws:SourceIp", "192.0.2.0/24"))));
	assume(&(struct access_role){.role = "reader"});
	rig_restart(&rig);
	act_for_session(&session);
	caller.source_ip = TEXT("192.0.2.7");
	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_GATEWAY, key, "a=b", plaintext);
	assert_answered(reply, SLK_OK);
	uint8_t blob[512];
	size_t len = reply->cipher->blob.len;
	assert_true(len <= sizeof(blob));
	memcpy(blob, reply->cipher->blob.data, len);
	assert_contains(rig_audit_last(&rig), "\"encryptionContext\":{\"a\":\"b\"}");
	rig_restart(&rig);
	reply = rig_decrypt(&rig, RIG_GATEWAY, "", "a=b", slk_span(blob, len));
	assert_answered(reply, SLK_OK);
	assert_memory_equal(reply->cipher->plaintext.data, text, sizeof(text));
	rig_restart(&rig);
	caller.source_ip = TEXT("198.51.100.7");
	denied(rig_decrypt(&rig, RIG_GATEWAY, "", "a=b", slk_span(blob, len)), SESSION_ARN,
		"kms:Decrypt");
}

static void
the_hsm_is_away_while_a_request_waits(void **state)
{
	(void)state;
	set_policy(KMS_ROLE, "reader", DOC(ALLOW("\"*\"", "")));
	assume(&(struct access_role){.role = "reader"});
	rig_restart(&rig);
	act_for_session(&session);
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	assert_answered(describe(), SLK_UNAVAILABLE);
	assert_answered(describe(), SLK_OK);
}

static void
a_session_assumes_a_role_and_the_chain_says_who_began(void **state)
{
	(void)state;
	char reader[] = SESSION_ARN;

	access_make_role(&rig, "second", "AROASECOND",
		DOC("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"" READER_ARN
		    "\"},\"Action\":\"sts:*\"}"));
	assume(&(struct access_role){.policy = DOC(ALLOW("\"kms:*\"", ""))});
	act_for_session(&session);
	/* What the session may not, its role's right does not give it. */
	denied(access_assume(&rig, RIG_GATEWAY, &(struct access_role){.role = "second"}), reader,
		"sts:AssumeRole");
	assume(&(struct access_role){.role = "reader"});
	act_for_session(&session);
	const Kmsp__Reply *reply = access_assume(
		&rig, RIG_GATEWAY, &(struct access_role){.role = "second", .duration_s = 7200});
	assert_answered(reply, SLK_INVALID); /* an hour for a chain */
	assert_contains(reply->message, "role chaining");
	struct access_credential second;
	access_take(
		access_assume(&rig, RIG_GATEWAY, &(struct access_role){.role = "second"}), &second);
	const char *line = rig_audit_last(&rig);
	assert_contains(line, "\"arn\":\"" SESSION_ARN "\",\"sessionContext\"");
	assert_contains(line, "assumed-role/second/job");
	act_for_session(&second);
	reply = rig_describe_key(&rig, RIG_GATEWAY, key);
	denied(reply, "assumed-role/second/job", "kms:DescribeKey");
}

/* --- who it is not --- */

static void
callers_that_are_none_are_refused(void **state)
{
	(void)state;
	static const char *const principals[] = {"arn:aws:iam::000000000000:user/nobody",
		RIG_ROOT_ARN, "kinesis.amazonaws.com", "user/carl", "*", APP_ARN "x",
		"arn:aws:iam::000000000000:user/*", APP_ARN, READER_ARN, RIG_ALICE_ARN};
	static const char *const keys[] = {"AKIAAAAAAAAAAAAAAAAA", "AKIA", "", "x"};

	set_policy(KMS_USER, "carl", DOC(ALLOW("\"*\"", "")));
	for (size_t i = 0; i < sizeof(principals) / sizeof(principals[0]); i++) {
		act_by_name(principals[i]);
		refused(describe(), "UnrecognizedClientException");
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		act_by_name(APP_ARN);
		caller.access_key_id = TEXT(keys[i]);
		if (keys[i][0] != '\0')
			refused(describe(), "UnrecognizedClientException");
	}
	act_by_name(SYSLOG_ARN);
	denied(describe(), SYSLOG_ARN, "kms:DescribeKey");
	/* Another's key, and a key that is Inactive or gone: from the next call on. */
	act_by_name(RIG_ALICE_ARN);
	caller.access_key_id = access_key.id;
	refused(describe(), "UnrecognizedClientException");
	act_for_key(access_key.id);
	assert_answered(describe(), SLK_OK);
	act_for_oneself();
	assert_answered(access_update(&rig, RIG_ROOT, "carl", access_key.id, false), SLK_OK);
	act_for_key(access_key.id);
	refused(describe(), "UnrecognizedClientException");
	refused(access_assume(&rig, RIG_GATEWAY, &(struct access_role){.role = "reader"}),
		"InvalidClientTokenId");
	act_by_name(APP_ARN);
	caller.access_key_id = access_key.id;
	refused(describe(), "UnrecognizedClientException");
	act_for_oneself();
	assert_answered(access_delete(&rig, RIG_ROOT, "carl", access_key.id), SLK_OK);
	act_for_key(access_key.id);
	refused(describe(), "UnrecognizedClientException");
}

static void
tokens_that_are_none_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"AAAA", "not base64!", "="};
	struct access_credential other;

	set_policy(KMS_ROLE, "reader", DOC(ALLOW("\"*\"", "")));
	assume(&(struct access_role){.role = "reader"});
	access_take(
		access_assume(&rig, RIG_GATEWAY, &(struct access_role){.session = "more"}), &other);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		nobody()->session_token = TEXT(bad[i]);
		refused(describe(), "UnrecognizedClientException");
	}
	act_for_session(&session);
	for (size_t at = 0; at < strlen(session.token); at += 13) {
		char kept = session.token[at];
		session.token[at] = kept == 'A' ? 'B' : 'A';
		refused(describe(), "UnrecognizedClientException");
		session.token[at] = kept;
	}
	assert_answered(describe(), SLK_OK);
	caller.access_key_id = other.id; /* a token of one with the key of another */
	refused(describe(), "UnrecognizedClientException");
	caller.access_key_id = TEXT("");
	assert_answered(describe(), SLK_OK);
	rig.wall_ns += 3600 * SLK_NS_PER_S;
	refused(describe(), "ExpiredTokenException");
	refused(access_assume(&rig, RIG_GATEWAY, &(struct access_role){.role = "reader"}),
		"ExpiredToken");
	assume(&(struct access_role){.role = "reader"});
	act_for_session(&session);
	assert_answered(describe(), SLK_OK);
	struct kms_identity_row row;
	assert_ok(kms_catalog_identity_get(rig.catalog, KMS_ROLE, "reader", &row));
	assert_ok(kms_catalog_inline_delete(rig.catalog, row.id, "p"));
	access_delete_role(&rig, "reader");
	refused(describe(), "UnrecognizedClientException");
}

static void
callers_that_are_named_badly_are_invalid(void **state)
{
	(void)state;
	static const struct {
		const char *principal, *token, *ip, *via, *source;
	} cases[] = {
		{"", "", "", "", ""},
		{APP_ARN, "AAAA", "", "", ""},
		{APP_ARN, "", "192.0.2.300", "", ""},
		{APP_ARN, "", "localhost", "", ""},
		{APP_ARN, "", "192.0.2.1 ", "", ""},
		{APP_ARN, "", "2001:db8::aaaa:bbbb:cccc:dddd:eeee:ffff:aaaa:bbbb:cccc", "", ""},
		{APP_ARN, "", "", "kinesis", ""},
		{APP_ARN, "", "", "kinesis.elsewhere.amazonaws.com", ""},
		{APP_ARN, "", "", ".local.amazonaws.com", ""},
		{APP_ARN, "", "", "", WEB},
		{APP_ARN, "", "", VIA, "web"},
		{APP_ARN, "", "", VIA, "arn:aws:kinesis:local:111111111111:stream/web"},
	};

	set_policy(KMS_USER, "carl", DOC(ALLOW("\"*\"", "")));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		act_by_name(cases[i].principal);
		caller.session_token = TEXT(cases[i].token);
		caller.source_ip = TEXT(cases[i].ip);
		caller.via_service = TEXT(cases[i].via);
		caller.source_arn = TEXT(cases[i].source);
		const Kmsp__Reply *reply = describe();
		if (reply->status != SLK_INVALID ||
			strcmp(reply->exception, "ValidationException") != 0)
			fail_msg("case %zu: %s", i, reply->message);
	}
}

/* THREATS, 13. */
static void
nobody_else_names_a_caller(void **state)
{
	(void)state;
	static const uid_t peers[] = {
		RIG_ROOT, RIG_ADMIN, RIG_ALICE, RIG_EVE, RIG_APP, RIG_INGEST, RIG_STRANGER};
	const uint64_t before = rig.service->denied;
	unsigned asked = 0;

	set_policy(KMS_USER, "carl", DOC(ALLOW("\"*\"", "")));
	act_for_key(access_key.id);
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		refused(rig_describe_key(&rig, peers[i], key), "AccessDeniedException");
		assert_contains(rig_audit_last(&rig), "in the name of another caller");
		assert_lacks(rig_audit_last(&rig), APP_ARN);
		refused(rig_authorize(&rig, peers[i], RIG_ALICE, "kinesis:GetRecords", WEB),
			"AccessDeniedException");
		refused(rig_status(&rig, peers[i]), "AccessDeniedException");
		asked += 3;
	}
	assert_int_equal(rig.service->denied - before, asked);
	assert_answered(describe(), SLK_OK);
	assert_int_equal(rig.service->denied - before, asked);
}

/* --- Authorize --- */

static const Kmsp__Reply *
authorize(const char *action, const char *resource, const char *context)
{
	Kmsp__Authorize call = KMSP__AUTHORIZE__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Pair pair = KMSP__PAIR__INIT, *pairs[] = {&pair};

	call.action = TEXT(action);
	call.resource = TEXT(resource);
	if (context[0] != '\0') {
		const char *equals = strchr(context, '=');
		pair.key.data = (uint8_t *)TEXT(context);
		pair.key.len = (size_t)(equals - context);
		pair.value.data = (uint8_t *)TEXT(equals + 1);
		pair.value.len = strlen(equals + 1);
		call.context = pairs;
		call.n_context = 1;
	}
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_AUTHORIZE;
	request.authorize = &call;
	return rig_call(&rig, RIG_GATEWAY, &request);
}

static void
authorize_answers_for_streams(void **state)
{
	(void)state;
	act_for_key(access_key.id);
	denied(authorize("kinesis:PutRecords", WEB, ""), APP_ARN, "kinesis:PutRecords");
	denied(authorize(
		       "kinesis:PutRecords", "arn:aws:kinesis:local:000000000000:stream/none", ""),
		APP_ARN, "kinesis:PutRecords"); /* nor is told that there is none */
	set_policy(KMS_USER, "carl", DOC(ALLOW("\"kinesis:*\"", "")));
	/* Beneath it the key's right, as for callers on this host. */
	refused(authorize("kinesis:PutRecords", WEB, ""), "KMSAccessDeniedException");
	refused(authorize("kinesis:PutRecord", WEB, ""), "KMSAccessDeniedException");
	refused(authorize("kinesis:GetRecords", WEB, ""), "KMSAccessDeniedException");
	refused(authorize("kinesis:SubscribeToShard", WEB, ""), "KMSAccessDeniedException");
	assert_answered(authorize("kinesis:ListShards", WEB, ""), SLK_OK);
	assert_answered(authorize("kinesis:DescribeStreamSummary", "web", ""), SLK_OK);
	assert_answered(authorize("kinesis:PutRecords",
				"arn:aws:kinesis:local:000000000000:stream/open", ""),
		SLK_OK);
	assert_answered(authorize("kinesis:ListStreams", "*", ""), SLK_OK);
	assert_answered(authorize("kinesis:CreateStream",
				"arn:aws:kinesis:local:000000000000:stream/none", ""),
		SLK_OK);
	const Kmsp__Reply *reply = authorize(
		"kinesis:ListShards", "arn:aws:kinesis:local:000000000000:stream/none", "");
	assert_answered(reply, SLK_NOT_FOUND);
	assert_string_equal(reply->exception, "ResourceNotFoundException");
	set_policy(KMS_USER, "carl",
		DOC("[" ALLOW("\"kinesis:*\"", "") "," ALLOW("\"kms:GenerateDataKey\"",
			IF("StringEquals", "kms:EncryptionContext:aws:kinesis:arn", WEB)) "]"));
	assert_answered(authorize("kinesis:PutRecords", WEB, ""), SLK_OK);
	refused(authorize("kinesis:GetRecords", WEB, ""), "KMSAccessDeniedException");
	assert_contains(rig_audit_last(&rig), "\"eventName\":\"GetRecords\"");
	assert_contains(rig_audit_last(&rig), "\"decisionOnly\":true");
	assert_contains(rig_audit_last(&rig), "\"arn\":\"" APP_ARN "\"");
	act_for_oneself();
	assert_answered(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_DISABLE_KEY, key), SLK_OK);
	act_for_key(access_key.id);
	assert_string_equal(
		authorize("kinesis:PutRecords", WEB, "")->exception, "KMSDisabledException");
}

static void
authorize_answers_for_keys(void **state)
{
	(void)state;
	act_for_key(access_key.id);
	denied(authorize("kms:Decrypt", key, "a=b"), APP_ARN, "kms:Decrypt");
	denied(authorize("kms:Decrypt", "alias/none", "a=b"), APP_ARN, "kms:Decrypt");
	set_policy(KMS_USER, "carl",
		DOC(ALLOW("\"kms:*\"", IF("StringEquals", "kms:EncryptionContext:a", "b"))));
	assert_answered(authorize("kms:Decrypt", key, "a=b"), SLK_OK);
	assert_answered(authorize("kms:Decrypt", "alias/web", "a=b"), SLK_OK);
	assert_contains(rig_audit_last(&rig), "\"encryptionContext\":{\"a\":\"b\"}");
	assert_contains(rig_audit_last(&rig), "\"decisionOnly\":true");
	denied(authorize("kms:Decrypt", key, "a=c"), APP_ARN, "kms:Decrypt");
	denied(authorize("kms:Decrypt", key, ""), APP_ARN, "kms:Decrypt");
	denied(authorize("kms:ListKeys", "*", ""), APP_ARN, "kms:ListKeys");
	set_policy(KMS_USER, "carl", DOC(ALLOW("\"kms:*\"", "")));
	assert_answered(authorize("kms:ListKeys", "*", ""), SLK_OK);
	act_for_oneself();
	assert_answered(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_DISABLE_KEY, key), SLK_OK);
	act_for_key(access_key.id);
	assert_string_equal(authorize("kms:Decrypt", key, "")->exception, "DisabledException");
	assert_answered(authorize("kms:EnableKey", key, ""), SLK_OK);
	act_for_oneself();
	assert_string_equal(rig_describe_key(&rig, RIG_ROOT, key)->key->state, "Disabled");
}

static void
authorize_knows_what_it_is_asked(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "kms:Nothing", "kms:*", "KMS:Decrypt",
		"iam:CreateUser", "sealock:Explain", "sts:AssumeRole"};

	set_policy(KMS_USER, "carl", DOC(ALLOW("\"*\"", "")));
	act_for_key(access_key.id);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_string_equal(authorize(bad[i], "*", "")->exception, "ValidationException");
	assert_answered(authorize("kinesis:ListShards", WEB, "a=b"), SLK_INVALID);
	refused(rig_authorize(&rig, RIG_INGEST, RIG_ALICE, "kinesis:GetRecords", WEB),
		"AccessDeniedException");
	assert_answered(rig_authorize(&rig, RIG_GATEWAY, RIG_ALICE, "kinesis:GetRecords", WEB),
		SLK_INVALID); /* a caller in two places */
}

/* --- GetCallerIdentity, GetSessionToken --- */

static const Kmsp__Reply *
who_am_i(uid_t uid)
{
	static Kmsp__Nothing nothing = KMSP__NOTHING__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	request.call_case = KMSP__REQUEST__CALL_GET_CALLER_IDENTITY;
	request.get_caller_identity = &nothing;
	return rig_call(&rig, uid, &request);
}

static void
is(const Kmsp__Reply *reply, const char *arn, const char *user_id)
{
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->caller_identity->arn, arn);
	assert_string_equal(reply->caller_identity->user_id, user_id);
	assert_string_equal(reply->caller_identity->account, "000000000000");
}

static void
everybody_learns_who_it_is(void **state)
{
	(void)state;
	act_for_key(access_key.id);
	set_policy(
		KMS_USER, "carl", DOC("{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}"));
	is(who_am_i(RIG_GATEWAY), APP_ARN, "AIDAcarl");
	set_policy(KMS_USER, "carl", DOC(ALLOW("\"*\"", "")));
	assume(&(struct access_role){.role = "reader"});
	act_for_session(&session);
	is(who_am_i(RIG_GATEWAY), SESSION_ARN, "AROAREADER:job");
	act_for_oneself();
	is(who_am_i(RIG_ROOT), RIG_ROOT_ARN, "000000000000");
	is(who_am_i(RIG_ALICE), RIG_ALICE_ARN, "");
	assert_answered(who_am_i(RIG_GATEWAY), SLK_DENIED);
	assert_answered(who_am_i(RIG_STRANGER), SLK_DENIED);
}

static const Kmsp__Reply *
get_token(uid_t uid, uint32_t duration_s)
{
	Kmsp__GetSessionToken call = KMSP__GET_SESSION_TOKEN__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	call.duration_s = duration_s;
	request.call_case = KMSP__REQUEST__CALL_GET_SESSION_TOKEN;
	request.get_session_token = &call;
	return rig_call(&rig, uid, &request);
}

static void
a_session_token_is_its_user(void **state)
{
	(void)state;
	struct access_credential own;

	act_for_key(access_key.id);
	const Kmsp__Reply *reply = get_token(RIG_GATEWAY, 0);
	access_take(reply, &own);
	assert_string_equal(reply->session->arn, APP_ARN);
	assert_string_equal(reply->session->id, "AIDAcarl");
	assert_true(reply->session->expires_ns == rig.wall_ns + 43200 * SLK_NS_PER_S);
	assert_contains(rig_audit_last(&rig), own.id);
	assert_lacks(rig_audit_last(&rig), own.token);
	act_for_session(&own);
	denied(describe(), APP_ARN, "kms:DescribeKey");
	set_policy(
		KMS_USER, "carl", DOC(ALLOW("\"*\"", IF("Null", "aws:TokenIssueTime", "false"))));
	assert_answered(describe(), SLK_OK);
	assert_contains(rig_audit_last(&rig), "\"type\":\"IAMUser\",\"principalId\":\"AIDAcarl\"");
	is(who_am_i(RIG_GATEWAY), APP_ARN, "AIDAcarl");
	assume(&(struct access_role){.role = "reader"});
	act_for_session(&own);
	access_take(access_assume(&rig, RIG_GATEWAY, &(struct access_role){.role = "reader"}),
		&session);
	/* It signs. */
	act_for_oneself();
	const struct access_scope scope = {.id = own.id, .token = own.token};
	reply = access_derive(&rig, RIG_GATEWAY, &scope);
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->signing_key->principal, APP_ARN);
	assert_string_equal(reply->signing_key->session, "");
	access_check_key(&own, &scope, reply->signing_key);
	/* And is over when the user is, whoever has the name then. */
	struct kms_identity_row row;
	assert_answered(access_delete(&rig, RIG_ROOT, "carl", access_key.id), SLK_OK);
	assert_ok(kms_catalog_identity_get(rig.catalog, KMS_USER, "carl", &row));
	assert_ok(kms_catalog_inline_delete(rig.catalog, row.id, "p"));
	assert_ok(kms_catalog_identity_delete(rig.catalog, row.id));
	assert_ok(kms_iam_identity_changed(rig.service->iam, KMS_USER, "carl"));
	act_for_session(&own);
	refused(describe(), "UnrecognizedClientException");
}

static void
session_tokens_are_for_users_and_times_within_limits(void **state)
{
	(void)state;
	static const uint32_t bad[] = {1, 899, 129601, UINT32_MAX};
	struct access_credential own;

	act_for_key(access_key.id);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_answered(get_token(RIG_GATEWAY, bad[i]), SLK_INVALID);
	access_take(get_token(RIG_GATEWAY, 900), &own);
	access_take(get_token(RIG_GATEWAY, 129600), &own);
	act_for_session(&own);
	denied(get_token(RIG_GATEWAY, 900), APP_ARN, "sts:GetSessionToken");
	rig.wall_ns += 129600 * SLK_NS_PER_S;
	refused(describe(), "ExpiredTokenException");
	assume(&(struct access_role){.role = "reader"});
	act_for_session(&session);
	denied(get_token(RIG_GATEWAY, 900), SESSION_ARN, "sts:GetSessionToken");
	act_by_name(SYSLOG_ARN);
	denied(get_token(RIG_GATEWAY, 900), SYSLOG_ARN, "sts:GetSessionToken");
	act_for_oneself();
	denied(get_token(RIG_ROOT, 900), RIG_ROOT_ARN, "sts:GetSessionToken");
	denied(get_token(RIG_ALICE, 900), RIG_ALICE_ARN, "kmsd.yaml");
	access_make_user(&rig, "alice");
	access_take(get_token(RIG_ALICE, 900), &own);
}

/* --- dual control --- */

static int
dual(void **state)
{
	(void)state;
	begin("[0, 1000, 1001]",
		"  - {effect: Allow, principals: [user/alice, user/bob], actions: ['*'], "
		"resources: "
		"['*']}\n"
		"dual_control:\n  approvals: 1\n  actions: ['kms:DisableKey']\n");
	return 0;
}

static const Kmsp__Reply *
disable(void)
{
	return rig_ask_key(&rig, RIG_GATEWAY, KMSP__REQUEST__CALL_DISABLE_KEY, key);
}

static const Kmsp__Reply *
approve(uid_t uid, const char *id)
{
	Kmsp__ProposalName call = KMSP__PROPOSAL_NAME__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	call.id = TEXT(id);
	request.call_case = KMSP__REQUEST__CALL_APPROVE_PROPOSAL;
	request.approve_proposal = &call;
	act_for_oneself();
	return rig_call(&rig, uid, &request);
}

static void
propose(char id[64])
{
	const Kmsp__Reply *reply = disable();

	refused(reply, "ApprovalRequiredException");
	snprintf(id, 64, "%s", reply->proposal->id);
}

/* Whoever asks through the gateway does not approve it as itself. */
static void
a_request_through_the_gateway_is_approved_by_another(void **state)
{
	(void)state;
	char first[64], second[64];

	act_for("alice");
	assert_answered(authorize("kms:DisableKey", key, ""), SLK_OK); /* which proposes nothing */
	propose(first);
	caller.source_ip = TEXT("192.0.2.1"); /* the same request, from elsewhere */
	propose(second);
	assert_string_equal(first, second);
	assert_answered(approve(RIG_ALICE, first), SLK_DENIED);
	assert_answered(approve(RIG_BOB, first), SLK_OK);
	act_for("alice");
	assert_answered(disable(), SLK_OK);
}

static void
who_assumed_a_role_does_not_approve_what_it_asks(void **state)
{
	(void)state;
	struct access_credential own;
	char id[64];

	access_make_role(&rig, "ops", "AROAOPS",
		DOC("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"" RIG_ALICE_ARN
		    "\"},\"Action\":\"sts:*\"}"));
	set_policy(KMS_ROLE, "ops", DOC(ALLOW("\"kms:*\"", "")));
	act_for_oneself();
	access_take(access_assume(&rig, RIG_ALICE, &(struct access_role){.role = "ops"}), &own);
	act_for_session(&own);
	propose(id);
	assert_answered(approve(RIG_ALICE, id), SLK_DENIED);
	assert_answered(approve(RIG_BOB, id), SLK_OK);
	act_for_session(&own);
	assert_answered(disable(), SLK_OK);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define DUAL(f) cmocka_unit_test_setup_teardown(f, dual, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_user_may_what_its_policies_say),
		CASE(the_gateway_lends_nobody_rights_and_has_none),
		CASE(the_gateway_names_uids_where_it_may),
		CASE(the_gateway_knows_for_itself_how_streams_are_made),
		CASE(a_caller_needs_a_policy_and_no_entry_among_admins),
		CASE(requests_beyond_kms_kinesis_and_sts_are_nobodys),
		CASE(grants_and_key_policies_are_the_callers),
		CASE(conditions_see_the_way_it_came),
		CASE(the_audit_line_names_the_caller_and_its_door),
		CASE(a_session_may_what_its_role_may_within_its_policies),
		CASE(after_a_restart_a_request_waits_for_the_session_key),
		CASE(the_hsm_is_away_while_a_request_waits),
		CASE(a_session_assumes_a_role_and_the_chain_says_who_began),
		CASE(callers_that_are_none_are_refused),
		CASE(tokens_that_are_none_are_refused),
		CASE(callers_that_are_named_badly_are_invalid),
		CASE(nobody_else_names_a_caller),
		CASE(authorize_answers_for_streams),
		CASE(authorize_answers_for_keys),
		CASE(authorize_knows_what_it_is_asked),
		CASE(everybody_learns_who_it_is),
		CASE(a_session_token_is_its_user),
		CASE(session_tokens_are_for_users_and_times_within_limits),
		DUAL(a_request_through_the_gateway_is_approved_by_another),
		DUAL(who_assumed_a_role_does_not_approve_what_it_asks),
	};

	return cmocka_run_group_tests_name("kms_service_caller", tests, NULL, NULL);
}
