/* GenerateDataKey, Encrypt, Decrypt. A plaintext key is in the HSM link's secret memory, then in
 * the frame of its answer, and nowhere else. */
#include <string.h>

#include "call.h"

#define DATA_KEY_BYTES 32u

static struct fmt_blob
blob_of(const struct kms_call *call)
{
	struct fmt_blob blob = {.sealed = {NULL, 0}};

	memcpy(blob.key_id, call->key.id, sizeof(blob.key_id));
	memcpy(blob.backing_id, call->key.backing_id, sizeof(blob.backing_id));
	return blob;
}

static void
answer_cipher(struct kms_call *call, struct slk_span blob, struct slk_span plaintext)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Cipher cipher = KMSP__CIPHER__INIT;
	char arn[KMS_ARN_MAX];

	kms_arn_key(&call->service->parts.realm, call->key.id, arn);
	cipher.key_arn = arn;
	cipher.blob = (ProtobufCBinaryData){blob.len, (uint8_t *)(uintptr_t)blob.ptr};
	cipher.plaintext =
		(ProtobufCBinaryData){plaintext.len, (uint8_t *)(uintptr_t)plaintext.ptr};
	reply.result_case = KMSP__REPLY__RESULT_CIPHER;
	reply.cipher = &cipher;
	kms_call_ok(call, &reply);
}

/* What the worker wrapped, as a blob, with the plaintext beside it if there is one to give. */
static void
wrapped(struct kms_call *call, const struct hsm_reply *reply)
{
	static uint8_t out[FMT_BLOB_MAX];
	struct fmt_blob blob = blob_of(call);
	struct slk_span plaintext = call->without_plaintext ? slk_span(NULL, 0) : reply->plaintext;
	size_t len = 0;

	memcpy(blob.iv, reply->iv, sizeof(blob.iv));
	blob.sealed = reply->ciphertext;
	if (fmt_blob_encode(&blob, out, sizeof(out), &len) != SLK_OK ||
		(reply->op == HSM_GENERATE_DATA_KEY && reply->plaintext.len != DATA_KEY_BYTES)) {
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"the HSM worker answered with a wrap of a wrong size");
		return;
	}
	if (reply->op == HSM_GENERATE_DATA_KEY)
		call->service->data_keys++;
	answer_cipher(call, slk_span(out, len), plaintext);
}

static void
name_backing(struct kms_call *call, const uint8_t backing_id[KMS_ID_BYTES])
{
	memcpy(call->backing_id, backing_id, KMS_ID_BYTES);
	call->has_backing = true;
}

/* One more wrap under the key's backing key, and an AAD that binds key, backing key and context. */
static int
prepare_wrap(struct kms_call *call, enum hsm_op op, uint8_t *aad, struct hsm_request *out)
{
	struct fmt_blob blob = blob_of(call);
	size_t aad_len = 0;

	name_backing(call, call->key.backing_id);
	int rc = kms_catalog_wrap_take(call->service->parts.catalog, call->backing_id);
	if (rc == SLK_LIMIT) {
		kms_call_fail(call, rc, "LimitExceededException",
			"the key material of %s has wrapped as much as is safe; create a new key "
			"and move to it",
			call->resource);
		return rc;
	}
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	call->wraps_taken = 1;
	rc = fmt_blob_aad(&blob, call->context, aad, FMT_BLOB_AAD_MAX, &aad_len);
	if (rc != SLK_OK) {
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"the context does not fit its AAD");
		return rc;
	}
	*out = (struct hsm_request){.op = op,
		.aad = slk_span(aad, aad_len),
		.mono_deadline_ns = kms_call_hsm_deadline(call)};
	memcpy(out->key_id, call->key.backing_id, sizeof(out->key_id));
	memcpy(out->kcv, call->key.kcv, sizeof(out->kcv));
	return SLK_OK;
}

void
kms_data_key_generate(struct kms_call *call)
{
	static uint8_t aad[FMT_BLOB_AAD_MAX];
	struct hsm_request ask;

	if (prepare_wrap(call, HSM_GENERATE_DATA_KEY, aad, &ask) != SLK_OK)
		return;
	ask.length = DATA_KEY_BYTES;
	kms_call_hsm(call, &ask, wrapped);
}

void
kms_op_generate_data_key(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__GenerateDataKey *in = request->generate_data_key;

	call->without_plaintext = in->without_plaintext;
	if (in->without_plaintext)
		call->action = "kms:GenerateDataKeyWithoutPlaintext";
	if (kms_call_take_context(call, in->context, in->n_context) != SLK_OK ||
		kms_call_find_key(call, call->action, in->key, &call->key) != SLK_OK ||
		kms_call_key_direct(call, &call->key) != SLK_OK ||
		kms_call_key_usable(call, &call->key) != SLK_OK)
		return;
	kms_data_key_generate(call);
}

void
kms_op_encrypt(struct kms_call *call, const Kmsp__Request *request)
{
	static uint8_t aad[FMT_BLOB_AAD_MAX];
	const Kmsp__Encrypt *in = request->encrypt;
	struct hsm_request ask;

	if (in->plaintext.len == 0 || in->plaintext.len > KMSP_PLAINTEXT_MAX) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"Encrypt takes 1 to %u bytes, not %zu", KMSP_PLAINTEXT_MAX,
			in->plaintext.len);
		return;
	}
	if (kms_call_take_context(call, in->context, in->n_context) != SLK_OK ||
		kms_call_find_key(call, call->action, in->key, &call->key) != SLK_OK ||
		kms_call_key_direct(call, &call->key) != SLK_OK ||
		kms_call_key_usable(call, &call->key) != SLK_OK ||
		prepare_wrap(call, HSM_WRAP, aad, &ask) != SLK_OK)
		return;
	ask.data = slk_span(in->plaintext.data, in->plaintext.len);
	call->without_plaintext = true;
	kms_call_hsm(call, &ask, wrapped);
}

/* --- Decrypt --- */

static void
bad_ciphertext(struct kms_call *call)
{
	kms_call_fail(call, SLK_INVALID_CIPHERTEXT, "InvalidCiphertextException", "%s", "");
}

/* The key that the blob names, if it is one of ours. */
static int
find_blob_key(struct kms_call *call, const struct fmt_blob *blob, struct kms_backing *out_backing)
{
	struct kms_catalog *catalog = call->service->parts.catalog;

	int rc = kms_catalog_backing_get(catalog, blob->backing_id, out_backing);
	if (rc == SLK_OK && memcmp(out_backing->key_id, blob->key_id, sizeof(blob->key_id)) != 0)
		rc = SLK_NOT_FOUND;
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(catalog, blob->key_id, &call->key);
	if (rc == SLK_NOT_FOUND)
		bad_ciphertext(call);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	return rc;
}

/* A blob of a stream that is not under SSE-KMS: no right on the appliance's key, but on the stream
 * that the context names. */
static int
authorize_appliance(struct kms_call *call)
{
	struct kms_service *s = call->service;
	struct slk_span key, value;
	char name[KMS_STREAM_MAX], text[KMS_ARN_MAX], arn[KMS_ARN_MAX];

	if (fmt_context_count(call->context) == 1) {
		fmt_context_pair(call->context, 0, &key, &value);
		if (slk_span_equal(key, slk_span_str("aws:kinesis:arn")) &&
			value.len < sizeof(text)) {
			memcpy(text, value.ptr, value.len);
			text[value.len] = '\0';
			if (strncmp(text, "arn:", 4) == 0 &&
				kms_stream_parse(&s->parts.realm, text, name) == SLK_OK) {
				kms_arn_stream(&s->parts.realm, name, arn);
				strcpy(call->source_arn, arn);
				return kms_call_authorize(call, "kinesis:GetRecords", arn, NULL);
			}
		}
	}
	return kms_call_key_direct(call, &call->key);
}

static int
authorize_decrypt(struct kms_call *call)
{
	char arn[KMS_ARN_MAX];

	kms_arn_key(&call->service->parts.realm, call->key.id, arn);
	strcpy(call->resource, arn);
	if (call->key.manager == KMS_MANAGER_CUSTOMER)
		return kms_call_authorize(call, call->action, arn, NULL);
	int rc = authorize_appliance(call);
	if (rc == SLK_OK)
		strcpy(call->resource, arn);
	return rc;
}

/* A key id that was given must name the blob's key; who may use that key learns nothing from a
 * refusal. */
static int
check_given_key(struct kms_call *call, const char *text)
{
	struct kms_alias alias;
	struct kms_ref ref;

	if (text[0] == '\0')
		return SLK_OK;
	int rc = kms_ref_parse(&call->service->parts.realm, text, &ref);
	if (rc == SLK_OK && ref.kind == KMS_REF_ALIAS) {
		rc = kms_catalog_alias_get(call->service->parts.catalog, ref.alias, &alias);
		if (rc == SLK_OK)
			memcpy(ref.id, alias.key_id, sizeof(ref.id));
	}
	if (rc == SLK_OK && memcmp(ref.id, call->key.id, sizeof(ref.id)) == 0)
		return SLK_OK;
	if (rc == SLK_OK || rc == SLK_NOT_FOUND) {
		kms_call_fail(call, SLK_INVALID, "IncorrectKeyException",
			"The key ID in the request does not identify a CMK that can perform this "
			"operation.");
		return SLK_INVALID;
	}
	kms_call_fail_catalog(call, rc);
	return rc;
}

static void
unwrapped(struct kms_call *call, const struct hsm_reply *reply)
{
	if (reply->plaintext.len == 0 || reply->plaintext.len > KMSP_PLAINTEXT_MAX)
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"the HSM worker answered with a plaintext of a wrong size");
	else
		answer_cipher(call, slk_span(NULL, 0), reply->plaintext);
}

void
kms_op_decrypt(struct kms_call *call, const Kmsp__Request *request)
{
	static uint8_t aad[FMT_BLOB_AAD_MAX];
	const Kmsp__Decrypt *in = request->decrypt;
	struct kms_backing backing;
	struct fmt_blob blob;
	size_t aad_len = 0;

	if (kms_call_take_context(call, in->context, in->n_context) != SLK_OK)
		return;
	if (fmt_blob_decode(slk_span(in->blob.data, in->blob.len), &blob) != SLK_OK) {
		bad_ciphertext(call);
		return;
	}
	if (find_blob_key(call, &blob, &backing) != SLK_OK)
		return;
	name_backing(call, backing.id);
	if (authorize_decrypt(call) != SLK_OK || kms_call_key_usable(call, &call->key) != SLK_OK ||
		check_given_key(call, in->key) != SLK_OK)
		return;
	if (fmt_blob_aad(&blob, call->context, aad, sizeof(aad), &aad_len) != SLK_OK) {
		bad_ciphertext(call);
		return;
	}
	struct hsm_request ask = {.op = HSM_UNWRAP,
		.aad = slk_span(aad, aad_len),
		.data = blob.sealed,
		.mono_deadline_ns = kms_call_hsm_deadline(call)};
	memcpy(ask.key_id, backing.id, sizeof(ask.key_id));
	memcpy(ask.kcv, backing.kcv, sizeof(ask.kcv));
	memcpy(ask.iv, blob.iv, sizeof(ask.iv));
	kms_call_hsm(call, &ask, unwrapped);
}
