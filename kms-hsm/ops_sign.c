/* Sign, Verify, GetPublicKey. */
#include <string.h>

#include "crypt.h"
#include "digest.h"

#define MESSAGE_MAX 4096u
#define SIGNATURE_FIELD_MAX 6144u /* what AWS takes; what is too long for the key fits nothing */

/* A message that is to be signed or was, in one of its two forms. */
struct message {
	ProtobufCBinaryData bytes;
	bool is_digest;
};

static int
take_digest(struct kms_call *call, const struct message *message, uint8_t out[KMS_DIGEST_MAX])
{
	unsigned len = kms_algorithm_digest_bytes(call->algorithm);
	const struct slk_span in = slk_span(message->bytes.data, message->bytes.len);

	if (!message->is_digest) {
		int rc = kms_digest(call->service->digests, call->algorithm, in, out);
		if (rc != SLK_OK)
			kms_call_fail(call, rc, "KMSInternalException",
				"the message could not be hashed");
		return rc;
	}
	if (in.len != len) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"Digest is invalid length for algorithm %s.",
			kms_algorithm_name(call->algorithm));
		return SLK_INVALID;
	}
	memcpy(out, in.ptr, len);
	return SLK_OK;
}

/* Parameters, key and digest; what is left is to ask. */
static int
begin(struct kms_call *call, const char *key, const char *algorithm, const struct message *message,
	const char *operation, uint8_t digest[KMS_DIGEST_MAX])
{
	call->facts.message_type = message->is_digest ? "DIGEST" : "RAW";
	int rc = kms_crypt_length(call, "message", message->bytes.len, 1, MESSAGE_MAX);

	if (rc == SLK_OK)
		rc = kms_crypt_algorithm(call, algorithm, KMS_USAGE_SIGN_VERIFY, "signingAlgorithm",
			&call->algorithm);
	if (rc == SLK_OK)
		rc = kms_crypt_key(call, call->action, key, KMS_USAGE_SIGN_VERIFY, operation);
	if (rc == SLK_OK)
		rc = take_digest(call, message, digest);
	if (rc == SLK_OK)
		kms_crypt_name_backing(call, call->key.backing_id);
	return rc;
}

static void
answer_signature(struct kms_call *call, struct slk_span signature)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Signature out = KMSP__SIGNATURE__INIT;
	char arn[KMS_ARN_MAX];

	kms_arn_key(&call->service->parts.realm, call->key.id, arn);
	out.key_arn = arn;
	out.signature = kms_bytes(signature);
	out.algorithm = kms_text(kms_algorithm_name(call->algorithm));
	reply.result_case = KMSP__REPLY__RESULT_SIGNATURE;
	reply.signature = &out;
	kms_call_ok(call, &reply);
}

static void
signed_by_hsm(struct kms_call *call, const struct hsm_reply *reply)
{
	if (reply->output.len == 0 || reply->output.len > KMS_SIGNATURE_MAX)
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"the HSM worker answered with a signature of a wrong size");
	else
		answer_signature(call, reply->output);
}

void
kms_op_sign(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__Sign *in = request->sign;
	const struct message message = {in->message, in->is_digest};
	uint8_t digest[KMS_DIGEST_MAX];

	if (begin(call, in->key, in->algorithm, &message, "Sign", digest) != SLK_OK)
		return;
	struct hsm_request ask = kms_crypt_ask_pair(call, &call->key, HSM_SIGN, call->algorithm);
	ask.data = slk_span(digest, kms_algorithm_digest_bytes(call->algorithm));
	kms_call_hsm(call, &ask, signed_by_hsm);
}

static void
verified(struct kms_call *call, const struct hsm_reply *reply)
{
	(void)reply;
	answer_signature(call, slk_span(NULL, 0));
}

void
kms_op_verify(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__Verify *in = request->verify;
	const struct message message = {in->message, in->is_digest};
	uint8_t digest[KMS_DIGEST_MAX];

	if (kms_crypt_length(call, "signature", in->signature.len, 1, SIGNATURE_FIELD_MAX) !=
			SLK_OK ||
		begin(call, in->key, in->algorithm, &message, "Verify", digest) != SLK_OK)
		return;
	struct hsm_request ask = kms_crypt_ask_pair(call, &call->key, HSM_VERIFY, call->algorithm);
	ask.data = slk_span(digest, kms_algorithm_digest_bytes(call->algorithm));
	ask.extra = slk_span(in->signature.data, in->signature.len);
	kms_call_hsm(call, &ask, verified);
}

static void
answer_public_key(struct kms_call *call, struct slk_span der)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__PublicKey out = KMSP__PUBLIC_KEY__INIT;
	uint32_t set = kms_key_algorithms(call->service, &call->key);
	char *algorithms[KMS_ALG_COUNT], arn[KMS_ARN_MAX];

	kms_arn_key(&call->service->parts.realm, call->key.id, arn);
	out.key_arn = arn;
	out.der = kms_bytes(der);
	out.spec = kms_text(kms_spec_name(call->key.spec));
	out.usage = kms_text(kms_usage_name(call->key.usage));
	out.algorithms = algorithms;
	for (unsigned i = 0; i < KMS_ALG_COUNT; i++)
		if ((set & KMS_BIT(i)) != 0)
			algorithms[out.n_algorithms++] =
				kms_text(kms_algorithm_name((enum kms_algorithm)i));
	reply.result_case = KMSP__REPLY__RESULT_PUBLIC_KEY;
	reply.public_key = &out;
	kms_call_ok(call, &reply);
}

/* From the catalog: it is there with the HSM away, too. */
void
kms_op_get_public_key(struct kms_call *call, const Kmsp__Request *request)
{
	uint8_t der[KMS_PUBLIC_KEY_MAX];
	size_t len = 0;

	if (kms_call_find_key(call, call->action, request->get_public_key->key, &call->key) !=
			SLK_OK ||
		kms_call_key_direct(call, &call->key) != SLK_OK ||
		kms_call_key_usable(call, &call->key) != SLK_OK)
		return;
	if (kms_spec_is_symmetric(call->key.spec)) {
		kms_call_fail(call, SLK_UNSUPPORTED, "UnsupportedOperationException",
			"%s key spec is %s which is not valid for GetPublicKey.", call->resource,
			kms_spec_name(call->key.spec));
		return;
	}
	kms_crypt_name_backing(call, call->key.backing_id);
	int rc = kms_catalog_public_key_get(
		call->service->parts.catalog, call->key.id, der, sizeof(der), &len);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer_public_key(call, slk_span(der, len));
}
