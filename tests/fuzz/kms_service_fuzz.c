/* The whole front but its sockets: any frame from any class of peer gets exactly one answer, and the service goes on.
 * First byte: who asks. The rest: the frame. The first inputs are made by rpc_seeds.c. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iam_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kms_rig rig;

static int
no_flush(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	return SLK_OK;
}

/* A sound blob under alias/a; an input has "@" where it wants it, since keys are made anew in each run. */
static uint8_t blob[256];
static size_t blob_len;

static void
put_blob(ProtobufCBinaryData *field)
{
	if (field->len != 1 || field->data[0] != '@')
		return;
	*field = (ProtobufCBinaryData){blob_len, blob};
}

/* An access key of user u and a session of role r, likewise. */
static char key_id[32], session_id[32], token[8192];

static bool
is_wanted(const char *text)
{
	return strcmp(text, "@") == 0;
}

static void
put_credentials(Kmsp__DeriveSigningKey *call)
{
	bool temporary = is_wanted(call->session_token);

	if (temporary)
		call->session_token = token;
	if (is_wanted(call->access_key_id))
		call->access_key_id = temporary ? session_id : key_id;
}

static void
put_token(Kmsp__Authorize *call)
{
	if (call->caller_case == KMSP__AUTHORIZE__CALLER_SESSION_TOKEN &&
		is_wanted(call->session_token))
		call->session_token = token;
}

static void
put_caller(Kmsp__Caller *caller)
{
	bool temporary = is_wanted(caller->session_token);

	if (temporary)
		caller->session_token = token;
	if (is_wanted(caller->access_key_id))
		caller->access_key_id = temporary ? session_id : key_id;
}

static void
put_blobs(const Kmsp__Request *request)
{
	if (request->caller != NULL)
		put_caller(request->caller);
	if (request->call_case == KMSP__REQUEST__CALL_DERIVE_SIGNING_KEY)
		put_credentials(request->derive_signing_key);
	else if (request->call_case == KMSP__REQUEST__CALL_AUTHORIZE)
		put_token(request->authorize);
	if (request->call_case == KMSP__REQUEST__CALL_DECRYPT)
		put_blob(&request->decrypt->blob);
	else if (request->call_case == KMSP__REQUEST__CALL_RE_ENCRYPT)
		put_blob(&request->re_encrypt->blob);
}

#define TEXT(text) ((char *)(uintptr_t)(text))
static const Kmsp__Reply *
ask(uid_t uid, Kmsp__Request *request, Kmsp__Request__CallCase what)
{
	request->id = 1;
	request->call_case = what;
	const Kmsp__Reply *reply = rig_call(&rig, uid, request);
	if (reply->status != SLK_OK) {
		fprintf(stderr, "%s: %s\n", reply->exception, reply->message);
		abort();
	}
	return reply;
}

static void
make_credentials(void)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__UserName name = KMSP__USER_NAME__INIT;
	Kmsp__AssumeRole assume = KMSP__ASSUME_ROLE__INIT;

	name.user = TEXT("u");
	assume.role = TEXT("r");
	assume.session_name = TEXT("job");
	request.create_access_key = &name;
	const Kmsp__Reply *reply = ask(RIG_ROOT, &request, KMSP__REQUEST__CALL_CREATE_ACCESS_KEY);
	(void)snprintf(key_id, sizeof(key_id), "%s", reply->access_key->id);
	request.assume_role = &assume;
	reply = ask(RIG_ALICE, &request, KMSP__REQUEST__CALL_ASSUME_ROLE);
	(void)snprintf(session_id, sizeof(session_id), "%s", reply->session->access_key_id);
	(void)snprintf(token, sizeof(token), "%s", reply->session->session_token);
}

#define DESCRIPTION \
	"{\"S3DestinationConfiguration\":{\"RoleARN\":\"arn:aws:iam::000000000000:role/f\"," \
	"\"BucketARN\":\"arn:aws:s3:::bucket\"}}"

/* What the seeds name: the role f, the delivery streams c, which is CREATING, and d, which is ACTIVE. */
static void
make_deliveries(void)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__CreateDeliveryStream create = KMSP__CREATE_DELIVERY_STREAM__INIT;
	Kmsp__DeliveryState state = KMSP__DELIVERY_STATE__INIT;
	static char description[] = DESCRIPTION;

	if (iam_create_role(&rig, RIG_ROOT, "f",
		    "{'Effect':'Allow','Principal':{'Service':'firehose.amazonaws.com'},"
		    "'Action':'sts:AssumeRole'}")
			->status != SLK_OK)
		abort();
	create.json = (ProtobufCBinaryData){sizeof(description) - 1, (uint8_t *)description};
	create.name = TEXT("c");
	request.create_delivery_stream = &create;
	(void)ask(RIG_ROOT, &request, KMSP__REQUEST__CALL_CREATE_DELIVERY_STREAM);
	create.name = TEXT("d");
	request.create_delivery_stream = &create;
	(void)ask(RIG_ROOT, &request, KMSP__REQUEST__CALL_CREATE_DELIVERY_STREAM);
	state.name = TEXT("d");
	state.version = 1;
	state.state = TEXT("ACTIVE");
	request.delivery_state = &state;
	(void)ask(RIG_DELIVER, &request, KMSP__REQUEST__CALL_DELIVERY_STATE);
}

#define USE "{'Effect':'Allow','Action':['kms:*','kinesis:*'],'Resource':'*'}"

static void
stop(void)
{
	rig_stop(&rig);
}

static void
start(void)
{
	static const struct {
		const char *alias;
		enum kms_spec spec;
		enum kms_usage usage;
	} pairs[] = {{"alias/rsa", KMS_SPEC_RSA_2048, KMS_USAGE_SIGN_VERIFY},
		{"alias/oaep", KMS_SPEC_RSA_2048, KMS_USAGE_ENCRYPT_DECRYPT},
		{"alias/ecc", KMS_SPEC_ECC_NIST_P256, KMS_USAGE_SIGN_VERIFY}};
	char arn[KMS_ARN_MAX];

	rig_start(&rig,
		"  - {effect: Allow, principals: [user/alice, root], actions: ['*'], resources: "
		"['*']}\n");
	rig.ff.fs.datasync = no_flush;
	rig_new_key(&rig, arn);
	if (rig_create_alias(&rig, RIG_ROOT, "alias/a", arn)->status != SLK_OK ||
		rig_create_stream(&rig, RIG_ROOT, "s", 1, arn)->status != SLK_OK)
		abort();
	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ROOT, "alias/a", "", slk_span_str("fuzz"));
	if (reply->status != SLK_OK || reply->cipher->blob.len > sizeof(blob))
		abort();
	blob_len = reply->cipher->blob.len;
	memcpy(blob, reply->cipher->blob.data, blob_len);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		rig_new_key_of(&rig, pairs[i].spec, pairs[i].usage, arn);
		if (rig_create_alias(&rig, RIG_ROOT, pairs[i].alias, arn)->status != SLK_OK)
			abort();
	}
	/* What the seeds name: the user u, the role r, the policy p. */
	if (iam_create_user(&rig, RIG_ROOT, "u")->status != SLK_OK ||
		iam_create_role(
			&rig, RIG_ROOT, "r", "{'Effect':'Allow','Principal':'*','Action':'sts:*'}")
				->status != SLK_OK ||
		iam_create_policy(&rig, RIG_ROOT, "p",
			"{'Effect':'Deny','Action':'kms:Verify','Resource':'*'}")
				->status != SLK_OK ||
		iam_put_inline(&rig, RIG_ROOT, "user/u", "use", USE)->status != SLK_OK ||
		iam_put_inline(&rig, RIG_ROOT, "role/r", "use", USE)->status != SLK_OK)
		abort();
	make_credentials();
	make_deliveries();
	atexit(stop);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uid_t peers[] = {
		RIG_ROOT, RIG_ALICE, RIG_BOB, RIG_INGEST, RIG_STRANGER, RIG_GATEWAY, RIG_DELIVER};
	static struct kmsp_arena *arena;
	const Kmsp__Request *request = NULL;

	if (arena == NULL && kmsp_arena_new(&arena) != SLK_OK)
		abort();
	if (rig.service == NULL)
		start();
	if (size == 0 ||
		kmsp_request_unpack(arena, slk_span(data + 1, size - 1), &request) != SLK_OK)
		return 0;
	put_blobs(request);
	unsigned before = rig.answers;
	rig_begin(&rig, peers[data[0] % 7], request);
	for (int i = 0; i < 5 && rig.answers == before; i++)
		rig_turn(&rig);
	if (rig.answers != before + 1 || rig_last(&rig)->id != request->id)
		abort();
	return 0;
}
