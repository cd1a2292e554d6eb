/* Roles of delivery streams: passed by who names them, assumed by deliverd, and what it may do as one; who may put. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "access_rig.h"
#include "delivery_rig.h"
#include "iam_rig.h"

#define TEXT(text) ((char *)(uintptr_t)(text))
#define SESSION_ARN "arn:aws:sts::000000000000:assumed-role/deliver/dd"
#define WEB "arn:aws:kinesis:local:000000000000:stream/web"
/* alice may do all with delivery streams, and pass nothing. */
#define POLICY \
	"  - {effect: Allow, principals: [user/alice], actions: ['firehose:*'], resources: " \
	"['deliverystream/*']}\n"

static struct kms_rig rig;
static struct access_credential session;
static Kmsp__Caller caller;
static char key[KMS_ARN_MAX];

static int
setup(void **state)
{
	(void)state;
	rig_start_with(&rig, "[0, 1000, 1002]", POLICY);
	delivery_role(&rig, DELIVERY_TRUST);
	rig_new_key(&rig, key);
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
refused(const Kmsp__Reply *reply, int status, const char *exception, const char *part)
{
	if (reply->status != status)
		fail_msg("%d %s: %s", reply->status, reply->exception, reply->message);
	assert_string_equal(reply->exception, exception);
	assert_contains(reply->message, part);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
}

static void
allow(const char *statements)
{
	assert_answered(iam_put_inline(&rig, RIG_ROOT, "role/deliver", "may", statements), SLK_OK);
}

/* A session of the role for delivery stream dd. */
static void
assume(void)
{
	const Kmsp__Reply *reply = delivery_assume(&rig, RIG_DELIVER, "dd", DELIVERY_ROLE);

	if (reply->status != SLK_OK)
		fail_msg("%s: %s", reply->exception, reply->message);
	access_take(reply, &session);
}

static void
act_as_session(void)
{
	kmsp__caller__init(&caller);
	caller.session_token = session.token;
	rig.caller = &caller;
}

static void
act_as_oneself(void)
{
	rig.caller = NULL;
}

/* --- passing --- */

static void
who_names_a_role_has_to_be_allowed_to_pass_it(void **state)
{
	(void)state;
	refused(delivery_create(&rig, RIG_ALICE, "dd", DELIVERY_TO_S3, NULL), SLK_DENIED,
		"AccessDeniedException",
		RIG_ALICE_ARN " is not authorized to perform: iam:PassRole on resource: "
			      "" DELIVERY_ROLE);
	iam_user_with(&rig, "alice",
		"{'Effect':'Allow','Action':'iam:PassRole','Resource':'*','Condition':{"
		"'StringEquals':{'iam:PassedToService':'firehose.amazonaws.com'},'ArnLike':{"
		"'iam:AssociatedResourceArn':'" DELIVERY_ARN("dd") "'}}}");
	assert_answered(delivery_create(&rig, RIG_ALICE, "dd", DELIVERY_TO_S3, NULL), SLK_OK);
	refused(delivery_create(&rig, RIG_ALICE, "ee", DELIVERY_TO_S3, NULL), SLK_DENIED,
		"AccessDeniedException", "iam:PassRole");
}

static void
an_update_passes_its_roles_too(void **state)
{
	(void)state;
	delivery_active(&rig, "dd", DELIVERY_TO_S3, NULL);
	refused(delivery_update(&rig, RIG_ALICE, "dd", 1,
			"{'ExtendedS3DestinationUpdate':{'Prefix':'in/'}}"),
		SLK_DENIED, "AccessDeniedException", "iam:PassRole");
	assert_answered(delivery_update(&rig, RIG_ROOT, "dd", 1,
				"{'ExtendedS3DestinationUpdate':{'Prefix':'in/'}}"),
		SLK_OK);
}

static void
a_wrong_account_is_refused_with_the_reason(void **state)
{
	(void)state;
	delivery_trust(&rig, DELIVERY_TRUST_OF("111111111111"));
	refused(delivery_create(&rig, RIG_ROOT, "dd", DELIVERY_TO_S3, NULL), SLK_INVALID,
		"InvalidArgumentException", "sts:ExternalId of its trust policy");
	assert_contains(rig_last(&rig)->message,
		"Firehose is unable to assume role " DELIVERY_ROLE
		". Please check the role provided");
	assert_contains(rig_last(&rig)->message, "sts:ExternalId 000000000000");
	delivery_trust(&rig, DELIVERY_TRUST);
	assert_answered(delivery_create(&rig, RIG_ROOT, "dd", DELIVERY_TO_S3, NULL), SLK_OK);
}

static void
trust_policies_decide(void **state)
{
	(void)state;
#define TRUST(principal, condition) \
	"{'Effect':'Allow','Principal':" principal ",'Action':'sts:AssumeRole'" condition "}"
#define SERVICE "{'Service':'firehose.amazonaws.com'}"
	static const struct {
		const char *trust, *part; /* NULL: allowed */
	} rows[] = {
		{TRUST(SERVICE, ""), NULL},
		{TRUST("{'Service':'kinesis.amazonaws.com'}", ""), "does not name the service"},
		{TRUST("{'AWS':'000000000000'}", ""), "does not name the service"},
		{TRUST(SERVICE,
			 ",'Condition':{'ArnLike':{'aws:SourceArn':'" DELIVERY_ARN("dd") "'}}"),
			NULL},
		{TRUST(SERVICE,
			 ",'Condition':{'ArnLike':{'aws:SourceArn':'" DELIVERY_ARN("other") "'}}"),
			"aws:SourceArn"},
		{TRUST(SERVICE,
			 ",'Condition':{'StringEquals':{'aws:SourceAccount':"
			 "'000000000000'}}"),
			NULL},
		{TRUST(SERVICE,
			 ",'Condition':{'StringEquals':{'aws:SourceAccount':"
			 "'222222222222'}}"),
			"aws:SourceAccount"},
		{TRUST(SERVICE, "") ",{'Effect':'Deny','Principal':'*','Action':'sts:*'}",
			"denies it"},
	};

	delivery_active(&rig, "dd", DELIVERY_TO_S3, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		delivery_trust(&rig, rows[i].trust);
		const Kmsp__Reply *reply = delivery_assume(&rig, RIG_DELIVER, "dd", DELIVERY_ROLE);
		if (rows[i].part == NULL)
			assert_answered(reply, SLK_OK);
		else
			refused(reply, SLK_DENIED, "AccessDeniedException", rows[i].part);
	}
}

/* --- assuming --- */

static void
only_deliverd_assumes_and_only_what_is_named(void **state)
{
	(void)state;
	static const uid_t others[] = {RIG_ROOT, RIG_ALICE, RIG_INGEST, RIG_GATEWAY, RIG_STRANGER};

	delivery_active(&rig, "dd", DELIVERY_TO_S3, NULL);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_answered(delivery_assume(&rig, others[i], "dd", DELIVERY_ROLE), SLK_DENIED);
	assert_answered(iam_create_role(&rig, RIG_ROOT, "other", DELIVERY_TRUST), SLK_OK);
	refused(delivery_assume(&rig, RIG_DELIVER, "dd", "arn:aws:iam::000000000000:role/other"),
		SLK_DENIED, "AccessDeniedException", "does not name this role");
	assert_answered(delivery_assume(&rig, RIG_DELIVER, "none", DELIVERY_ROLE), SLK_NOT_FOUND);
	assume();
	assert_contains(rig_audit_last(&rig), "\"AssumeRole\"");
	assert_contains(rig_audit_last(&rig), SESSION_ARN);
	assert_contains(rig_audit_last(&rig), "firehose.amazonaws.com");
	assert_contains(rig_audit_last(&rig), DELIVERY_ARN("dd"));
}

static void
a_name_of_one_letter_makes_a_session(void **state)
{
	(void)state;
	delivery_active(&rig, "d", DELIVERY_TO_S3, NULL);
	const Kmsp__Reply *reply = delivery_assume(&rig, RIG_DELIVER, "d", DELIVERY_ROLE);
	assert_answered(reply, SLK_OK);
	assert_string_equal(
		reply->session->arn, "arn:aws:sts::000000000000:assumed-role/deliver/firehose-d");
}

/* --- what a session may --- */

static void
a_session_has_the_rights_of_its_role(void **state)
{
	(void)state;
	delivery_active(&rig, "dd", DELIVERY_TO_S3, NULL);
	assume();
	act_as_session();
	refused(rig_generate(&rig, RIG_DELIVER, key, "a=b", false), SLK_DENIED,
		"AccessDeniedException",
		"User: " SESSION_ARN " is not authorized to perform: kms:GenerateDataKey on "
		"resource: arn:aws:kms:");
	act_as_oneself();
	allow("{'Effect':'Allow','Action':['kms:GenerateDataKey','kms:Encrypt'],'Resource':'*'}");
	act_as_session();
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "a=b", false), SLK_OK);
	assert_contains(rig_audit_last(&rig), SESSION_ARN);
	assert_contains(rig_audit_last(&rig), "firehose.local.amazonaws.com");
	assert_contains(rig_audit_last(&rig), DELIVERY_ARN("dd"));
	assert_answered(rig_encrypt(&rig, RIG_DELIVER, key, "", slk_span_str("x")), SLK_OK);
	act_as_oneself();
	assert_answered(iam_delete_inline(&rig, RIG_ROOT, "role/deliver", "may"), SLK_OK);
	act_as_session(); /* taken away in the middle */
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "a=b", false), SLK_DENIED);
}

static void
conditions_see_the_service_and_the_delivery_stream(void **state)
{
	(void)state;
	delivery_active(&rig, "dd", DELIVERY_TO_S3, NULL);
	allow("{'Effect':'Allow','Action':'kms:GenerateDataKey','Resource':'*','Condition':{"
	      "'StringEquals':{'kms:ViaService':'s3.local.amazonaws.com','aws:SourceArn':'"
	      "" DELIVERY_ARN("dd") "'}}}");
	assume();
	act_as_session();
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "a=b", false), SLK_DENIED);
	assert_answered(
		rig_generate(&rig, RIG_DELIVER, key, "aws:s3:arn=arn:aws:s3:::archive", false),
		SLK_OK);
	caller.via_service = TEXT("s3.local.amazonaws.com");
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "a=b", false), SLK_OK);
	caller.via_service = TEXT("lambda.local.amazonaws.com");
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "a=b", false), SLK_INVALID);
	caller.via_service = TEXT("s3.local.amazonaws.com");
	caller.source_arn = TEXT(DELIVERY_ARN("other"));
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "a=b", false), SLK_INVALID);
}

static void
a_grant_can_name_the_delivery_stream(void **state)
{
	(void)state;
	Kmsp__CreateGrant call = KMSP__CREATE_GRANT__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	char *operations[] = {TEXT("GenerateDataKey")};

	delivery_active(&rig, "dd", DELIVERY_TO_S3, NULL);
	delivery_active(&rig, "ee", DELIVERY_TO_S3, NULL);
	call.key = key;
	call.grantee = TEXT(DELIVERY_ROLE);
	call.n_operations = 1;
	call.operations = operations;
	call.source_arn = TEXT(DELIVERY_ARN("dd"));
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_CREATE_GRANT;
	request.create_grant = &call;
	assert_answered(rig_call(&rig, RIG_ROOT, &request), SLK_OK);
	assume();
	act_as_session();
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "a=b", false), SLK_OK);
	act_as_oneself();
	access_take(delivery_assume(&rig, RIG_DELIVER, "ee", DELIVERY_ROLE), &session);
	act_as_session();
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "a=b", false), SLK_DENIED);
}

/* The gateway's callers are asked about by Authorize, for themselves. */
static void
callers_of_the_gateway_put_by_their_own_right(void **state)
{
	(void)state;
	Kmsp__Authorize call = KMSP__AUTHORIZE__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	struct access_credential user;

	delivery_active(&rig, "dd", DELIVERY_TO_S3, NULL);
	access_make_user(&rig, "carl");
	access_take(access_create(&rig, RIG_ROOT, "carl"), &user);
	call.action = TEXT("firehose:PutRecordBatch");
	call.resource = TEXT(DELIVERY_ARN("dd"));
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_AUTHORIZE;
	request.authorize = &call;
	kmsp__caller__init(&caller);
	caller.access_key_id = user.id;
	rig.caller = &caller;
	refused(rig_call(&rig, RIG_GATEWAY, &request), SLK_DENIED, "AccessDeniedException",
		"user/carl is not authorized to perform: firehose:PutRecordBatch on resource: "
		"" DELIVERY_ARN("dd"));
	act_as_oneself();
	assert_answered(iam_put_inline(&rig, RIG_ROOT, "user/carl", "put",
				"{'Effect':'Allow','Action':'firehose:Put*','Resource':'*'}"),
		SLK_OK);
	rig.caller = &caller;
	assert_answered(rig_call(&rig, RIG_GATEWAY, &request), SLK_OK);
	call.resource = TEXT("arn:aws:kinesis:local:000000000000:stream/web");
	assert_answered(rig_call(&rig, RIG_GATEWAY, &request), SLK_INVALID);
	call.action = TEXT("firehose:Nothing");
	assert_answered(rig_call(&rig, RIG_GATEWAY, &request), SLK_INVALID);
	/* What changes something is theirs to do, too, where a policy lets them. */
	refused(delivery_delete(&rig, RIG_GATEWAY, "dd", false), SLK_DENIED,
		"AccessDeniedException", "user/carl");
}

static void
a_session_does_four_things_and_no_more(void **state)
{
	(void)state;
	Kmsp__List list = KMSP__LIST__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	delivery_active(&rig, "dd", DELIVERY_TO_S3, NULL);
	allow("{'Effect':'Allow','Action':'*','Resource':'*'}");
	assume();
	act_as_session();
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_LIST_KEYS;
	request.list_keys = &list;
	refused(rig_call(&rig, RIG_DELIVER, &request), SLK_DENIED, "AccessDeniedException",
		"deliverd may not ask for kms:ListKeys in the name of a caller");
	assert_answered(rig_describe_key(&rig, RIG_DELIVER, key), SLK_DENIED);
	assert_answered(rig_random(&rig, RIG_DELIVER, 16), SLK_DENIED);
	assert_answered(rig_create_stream(&rig, RIG_DELIVER, "s", 1, ""), SLK_DENIED);
	assert_answered(delivery_describe(&rig, RIG_DELIVER, "dd"), SLK_DENIED);
	assert_answered(delivery_assume(&rig, RIG_DELIVER, "dd", DELIVERY_ROLE), SLK_DENIED);
	assert_answered(access_assume(&rig, RIG_DELIVER,
				&(struct access_role){.role = "deliver", .session = "aa"}),
		SLK_DENIED);
}

static void
nobody_else_names_a_session_of_a_delivery_stream(void **state)
{
	(void)state;
	static const uid_t others[] = {RIG_ROOT, RIG_ALICE, RIG_INGEST, RIG_GATEWAY};

	delivery_active(&rig, "dd", DELIVERY_TO_S3, NULL);
	allow("{'Effect':'Allow','Action':'kms:*','Resource':'*'}");
	assume();
	act_as_session();
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_answered(rig_generate(&rig, others[i], key, "a=b", false), SLK_DENIED);
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "a=b", false), SLK_OK);
}

static void
deliverd_names_nobody_else(void **state)
{
	(void)state;
	struct access_credential user;

	access_make_user(&rig, "carl");
	access_take(access_create(&rig, RIG_ROOT, "carl"), &user);
	access_make_role(&rig, "reader", "AROAREADER",
		"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{"
		"\"AWS\":\"" RIG_BOB_ARN "\"},\"Action\":\"sts:*\"}]}");
	access_take(
		access_assume(&rig, RIG_BOB, &(struct access_role){.role = "reader"}), &session);
	act_as_session();
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "", false), SLK_DENIED);
	kmsp__caller__init(&caller);
	caller.access_key_id = user.id;
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "", false), SLK_INVALID);
	kmsp__caller__init(&caller);
	caller.principal = TEXT("arn:aws:iam::000000000000:role/syslog");
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "", false), SLK_INVALID);
	act_as_oneself();
	assert_answered(rig_generate(&rig, RIG_DELIVER, key, "", false), SLK_DENIED);
}

/* --- what is read --- */

static struct slk_span
epoch_of(const char *arn)
{
	static uint8_t blob[512];
	Kmsp__Caller *before = rig.caller;

	act_as_oneself();
	const Kmsp__Reply *reply = rig_stream_key(&rig, RIG_INGEST, arn);
	rig.caller = before;
	assert_answered(reply, SLK_OK);
	memcpy(blob, reply->cipher->blob.data, reply->cipher->blob.len);
	return slk_span(blob, reply->cipher->blob.len);
}

static void
direct_puts_are_opened_by_their_own_delivery_stream(void **state)
{
	(void)state;
	delivery_active(&rig, "dd", DELIVERY_TO_S3, NULL);
	delivery_active(&rig, "ee", DELIVERY_TO_S3, NULL);
	struct slk_span epoch = epoch_of(DELIVERY_ARN("dd"));
	assume();
	act_as_session();
	assert_answered(
		rig_decrypt(&rig, RIG_DELIVER, "", "aws:firehose:arn=" DELIVERY_ARN("dd"), epoch),
		SLK_OK);
	epoch = epoch_of(DELIVERY_ARN("ee"));
	refused(rig_decrypt(&rig, RIG_DELIVER, "", "aws:firehose:arn=" DELIVERY_ARN("ee"), epoch),
		SLK_DENIED, "AccessDeniedException", "belongs to the appliance");
	act_as_oneself();
	assert_answered(
		rig_decrypt(&rig, RIG_ROOT, "", "aws:firehose:arn=" DELIVERY_ARN("ee"), epoch),
		SLK_DENIED);
	allow("{'Effect':'Deny','Action':'kms:Decrypt','Resource':'*'}");
	epoch = epoch_of(DELIVERY_ARN("dd"));
	act_as_session();
	assert_answered(
		rig_decrypt(&rig, RIG_DELIVER, "", "aws:firehose:arn=" DELIVERY_ARN("dd"), epoch),
		SLK_DENIED);
}

static void
a_customer_s_key_wants_the_role_s_decrypt(void **state)
{
	(void)state;
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, key), SLK_OK);
	delivery_active(&rig, "dd", DELIVERY_OF_STREAM, NULL);
	struct slk_span epoch = epoch_of(WEB);
	assume();
	act_as_session();
	refused(rig_decrypt(&rig, RIG_DELIVER, "", "aws:kinesis:arn=" WEB, epoch), SLK_DENIED,
		"AccessDeniedException", "kms:Decrypt on resource: arn:aws:kms:");
	act_as_oneself();
	allow("{'Effect':'Allow','Action':'kms:Decrypt','Resource':'*','Condition':{"
	      "'StringEquals':{'kms:ViaService':'kinesis.local.amazonaws.com',"
	      "'kms:EncryptionContext:aws:kinesis:arn':'" WEB "'}}}");
	act_as_session();
	assert_answered(rig_decrypt(&rig, RIG_DELIVER, "", "aws:kinesis:arn=" WEB, epoch), SLK_OK);
}

static void
an_unencrypted_stream_wants_the_role_s_get_records(void **state)
{
	(void)state;
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, ""), SLK_OK);
	delivery_active(&rig, "dd", DELIVERY_OF_STREAM, NULL);
	struct slk_span epoch = epoch_of(WEB);
	assume();
	act_as_session();
	refused(rig_decrypt(&rig, RIG_DELIVER, "", "aws:kinesis:arn=" WEB, epoch), SLK_DENIED,
		"AccessDeniedException", "kinesis:GetRecords on resource: " WEB);
	act_as_oneself();
	allow("{'Effect':'Allow','Action':'kinesis:GetRecords','Resource':'" WEB "'}");
	act_as_session();
	assert_answered(rig_decrypt(&rig, RIG_DELIVER, "", "aws:kinesis:arn=" WEB, epoch), SLK_OK);
}

/* --- puts --- */

static const Kmsp__Reply *
may_put(const char *resource)
{
	return rig_authorize(&rig, RIG_INGEST, RIG_BOB, "firehose:PutRecord", resource);
}

static void
let_bob(const char *statements)
{
	static bool is_made;

	if (!is_made || iam_get(&rig, RIG_ROOT, "user/bob")->status != SLK_OK)
		iam_user_with(&rig, "bob", statements);
	else
		assert_answered(
			iam_put_inline(&rig, RIG_ROOT, "user/bob", "p", statements), SLK_OK);
	is_made = true;
}

static void
puts_want_the_right_and_an_active_delivery_stream(void **state)
{
	(void)state;
	assert_answered(delivery_create(&rig, RIG_ROOT, "dd", DELIVERY_TO_S3, NULL), SLK_OK);
	refused(may_put(DELIVERY_ARN("dd")), SLK_DENIED, "AccessDeniedException",
		"firehose:PutRecord on resource: " DELIVERY_ARN("dd"));
	let_bob("{'Effect':'Allow','Action':'firehose:PutRecord','Resource':'*'}");
	refused(may_put(DELIVERY_ARN("dd")), SLK_NOT_FOUND, "ResourceNotFoundException",
		"Firehose dd under account");
	assert_answered(delivery_state(&rig, RIG_DELIVER, "dd", 1, "ACTIVE", ""), SLK_OK);
	assert_answered(may_put(DELIVERY_ARN("dd")), SLK_OK);
	assert_answered(may_put("deliverystream/dd"), SLK_OK);
	refused(may_put(DELIVERY_ARN("none")), SLK_NOT_FOUND, "ResourceNotFoundException", "none");
	assert_answered(may_put(WEB), SLK_INVALID);
	assert_answered(
		rig_authorize(&rig, RIG_INGEST, RIG_BOB, "kinesis:PutRecord", DELIVERY_ARN("dd")),
		SLK_INVALID);
	assert_answered(delivery_delete(&rig, RIG_ROOT, "dd", false), SLK_OK);
	assert_answered(may_put(DELIVERY_ARN("dd")), SLK_NOT_FOUND);
}

static void
puts_under_a_customer_s_key_want_its_use(void **state)
{
	(void)state;
	let_bob("{'Effect':'Allow','Action':'firehose:PutRecord','Resource':'*'}");
	delivery_active(&rig, "dd", DELIVERY_TO_S3, key);
	refused(may_put(DELIVERY_ARN("dd")), SLK_DENIED, "InvalidKMSResourceException",
		"kms:GenerateDataKey");
	assert_int_equal(strncmp(rig_last(&rig)->message, "AccessDeniedException: ", 23), 0);
	let_bob("{'Effect':'Allow','Action':['firehose:PutRecord','kms:GenerateDataKey'],"
		"'Resource':'*','Condition':{'StringEqualsIfExists':{'kms:ViaService':"
		"'firehose.local.amazonaws.com','kms:EncryptionContext:aws:firehose:arn':'"
		"" DELIVERY_ARN("dd") "'}}}");
	assert_answered(may_put(DELIVERY_ARN("dd")), SLK_OK);
	assert_answered(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_DISABLE_KEY, key), SLK_OK);
	refused(may_put(DELIVERY_ARN("dd")), SLK_DISABLED, "InvalidKMSResourceException",
		"DisabledException: ");
	assert_int_equal(strncmp(rig_last(&rig)->message, "DisabledException: ", 19), 0);
	rig_restart_changed(&rig, "UPDATE keys SET state = 5 WHERE manager = 0"); /* destroyed */
	refused(may_put(DELIVERY_ARN("dd")), SLK_NOT_FOUND, "InvalidKMSResourceException",
		"NotFoundException: ");
}

static void
nothing_is_put_where_a_stream_is_the_source(void **state)
{
	(void)state;
	let_bob("{'Effect':'Allow','Action':'firehose:PutRecord','Resource':'*'}");
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, ""), SLK_OK);
	delivery_active(&rig, "dd", DELIVERY_OF_STREAM, NULL);
	refused(may_put(DELIVERY_ARN("dd")), SLK_INVALID, "InvalidArgumentException",
		"not permitted on KinesisStreamAsSource");
}

static void
rights_are_asked_anew_after_each_change(void **state)
{
	(void)state;
	uint64_t numbers[5];

	delivery_active(&rig, "dd", DELIVERY_TO_S3, NULL);
	numbers[0] = rig_status(&rig, RIG_ROOT)->service->right_changes;
	assert_answered(delivery_start(&rig, RIG_ROOT, "dd", key), SLK_OK);
	numbers[1] = rig_status(&rig, RIG_ROOT)->service->right_changes;
	assert_answered(delivery_delete(&rig, RIG_ROOT, "dd", false), SLK_OK);
	numbers[2] = rig_status(&rig, RIG_ROOT)->service->right_changes;
	assert_answered(delivery_create(&rig, RIG_ROOT, "ee", DELIVERY_TO_S3, NULL), SLK_OK);
	numbers[3] = rig_status(&rig, RIG_ROOT)->service->right_changes;
	assert_answered(delivery_state(&rig, RIG_DELIVER, "ee", 1, "ACTIVE", ""), SLK_OK);
	numbers[4] = rig_status(&rig, RIG_ROOT)->service->right_changes;
	for (size_t i = 1; i < 5; i++)
		assert_int_not_equal(numbers[i], numbers[i - 1]);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(who_names_a_role_has_to_be_allowed_to_pass_it),
		TEST(an_update_passes_its_roles_too),
		TEST(a_wrong_account_is_refused_with_the_reason),
		TEST(trust_policies_decide),
		TEST(only_deliverd_assumes_and_only_what_is_named),
		TEST(a_name_of_one_letter_makes_a_session),
		TEST(a_session_has_the_rights_of_its_role),
		TEST(conditions_see_the_service_and_the_delivery_stream),
		TEST(a_grant_can_name_the_delivery_stream),
		TEST(callers_of_the_gateway_put_by_their_own_right),
		TEST(a_session_does_four_things_and_no_more),
		TEST(nobody_else_names_a_session_of_a_delivery_stream),
		TEST(deliverd_names_nobody_else),
		TEST(direct_puts_are_opened_by_their_own_delivery_stream),
		TEST(a_customer_s_key_wants_the_role_s_decrypt),
		TEST(an_unencrypted_stream_wants_the_role_s_get_records),
		TEST(puts_want_the_right_and_an_active_delivery_stream),
		TEST(puts_under_a_customer_s_key_want_its_use),
		TEST(nothing_is_put_where_a_stream_is_the_source),
		TEST(rights_are_asked_anew_after_each_change),
	};
	return cmocka_run_group_tests_name("service_delivery_role", tests, NULL, NULL);
}
