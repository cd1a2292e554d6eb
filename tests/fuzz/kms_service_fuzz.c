/* The whole front but its sockets: any frame from any class of peer gets exactly one answer, and the service goes on.
 * First byte: who asks. The rest: the frame. The first inputs are made by rpc_seeds.c. */
#include "slk_test.h"

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

static void
put_blobs(const Kmsp__Request *request)
{
	if (request->call_case == KMSP__REQUEST__CALL_DECRYPT)
		put_blob(&request->decrypt->blob);
	else if (request->call_case == KMSP__REQUEST__CALL_RE_ENCRYPT)
		put_blob(&request->re_encrypt->blob);
}

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
		"  - {effect: Allow, principals: [user/alice], actions: ['*'], resources: "
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
		iam_create_role(&rig, RIG_ROOT, "r",
			"{'Effect':'Allow','Principal':'*','Action':'sts:AssumeRole'}")
				->status != SLK_OK ||
		iam_create_policy(&rig, RIG_ROOT, "p",
			"{'Effect':'Deny','Action':'kms:Verify','Resource':'*'}")
				->status != SLK_OK)
		abort();
	atexit(stop);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uid_t peers[] = {
		RIG_ROOT, RIG_ALICE, RIG_BOB, RIG_INGEST, RIG_STRANGER, RIG_GATEWAY};
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
	rig_begin(&rig, peers[data[0] % 6], request);
	for (int i = 0; i < 5 && rig.answers == before; i++)
		rig_turn(&rig);
	if (rig.answers != before + 1 || rig_last(&rig)->id != request->id)
		abort();
	return 0;
}
