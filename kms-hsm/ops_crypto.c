/* GenerateDataKey, GenerateRandom, Encrypt, Decrypt. A plaintext is in the HSM link's secret memory,
 * then in the frame of its answer, and nowhere else. */
#include <string.h>

#include "crypt.h"

#define DATA_KEY_BYTES 32u
#define BYTES_MAX 1024u

/* algorithm: "" where AWS names none. backing_id: NULL for what has no key. */
static void
answer_cipher(struct kms_call *call, struct slk_span blob, struct slk_span plaintext,
	const char *algorithm, const uint8_t *backing_id)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Cipher cipher = KMSP__CIPHER__INIT;
	char arn[KMS_ARN_MAX] = "", material[KMS_MATERIAL_TEXT] = "";

	if (backing_id != NULL) {
		kms_arn_key(&call->service->parts.realm, call->key.id, arn);
		kms_crypt_material(&call->key, backing_id, material);
	}
	cipher.key_arn = arn;
	cipher.blob = kms_bytes(blob);
	cipher.plaintext = kms_bytes(plaintext);
	cipher.algorithm = kms_text(algorithm);
	cipher.material_id = material;
	if (call->stream.id != 0) { /* GenerateStreamKey: as it was when the key was asked for */
		cipher.encrypted_kms = call->stream.encrypted_kms;
		cipher.stream_change = call->stream.change;
	}
	reply.result_case = KMSP__REPLY__RESULT_CIPHER;
	reply.cipher = &cipher;
	kms_call_ok(call, &reply);
}

/* --- GenerateDataKey, GenerateRandom --- */

static void
wrong_size(struct kms_call *call)
{
	kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
		"the HSM worker answered with a plaintext of a wrong size");
}

/* The wrapped key, with the plaintext beside it if there is one to give. */
static void
data_key_made(struct kms_call *call, const struct hsm_reply *reply)
{
	struct slk_span blob;

	if (reply->plaintext.len != call->bytes_wanted) {
		wrong_size(call);
		return;
	}
	if (kms_crypt_sealed(call, reply, &blob) != SLK_OK)
		return;
	call->service->data_keys++;
	answer_cipher(call, blob, call->without_plaintext ? slk_span(NULL, 0) : reply->plaintext,
		"", call->key.backing_id);
}

void
kms_data_key_generate(struct kms_call *call)
{
	static uint8_t aad[FMT_BLOB_AAD_MAX];

	if (call->bytes_wanted == 0)
		call->bytes_wanted = DATA_KEY_BYTES;
	struct hsm_request ask = {.op = HSM_GENERATE_DATA_KEY,
		.length = call->bytes_wanted,
		.mono_deadline_ns = kms_call_hsm_deadline(call)};
	if (kms_crypt_count_wrap(call, aad, &ask.aad) != SLK_OK)
		return;
	memcpy(ask.key_id, call->key.backing_id, sizeof(ask.key_id));
	memcpy(ask.kcv, call->key.kcv, sizeof(ask.kcv));
	kms_call_hsm(call, &ask, data_key_made);
}

static int
take_number_of_bytes(struct kms_call *call, uint32_t number)
{
	if (number > BYTES_MAX) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"1 validation error detected: Value '%u' at 'numberOfBytes' failed to "
			"satisfy constraint: Member must have value less than or equal to %u",
			number, BYTES_MAX);
		return SLK_INVALID;
	}
	call->bytes_wanted = number;
	return SLK_OK;
}

void
kms_op_generate_data_key(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__GenerateDataKey *in = request->generate_data_key;

	call->without_plaintext = in->without_plaintext;
	if (in->without_plaintext)
		call->action = "kms:GenerateDataKeyWithoutPlaintext";
	call->algorithm = KMS_ALG_SYMMETRIC_DEFAULT;
	if (take_number_of_bytes(call, in->number_of_bytes) == SLK_OK &&
		kms_call_take_context(call, in->context, in->n_context, &call->context) == SLK_OK &&
		kms_crypt_key(call, call->action, in->key, KMS_USAGE_ENCRYPT_DECRYPT,
			call->action + sizeof("kms:") - 1) == SLK_OK)
		kms_data_key_generate(call);
}

static void
random_drawn(struct kms_call *call, const struct hsm_reply *reply)
{
	if (reply->plaintext.len != call->bytes_wanted)
		wrong_size(call);
	else
		answer_cipher(call, slk_span(NULL, 0), reply->plaintext, "", NULL);
}

void
kms_op_generate_random(struct kms_call *call, const Kmsp__Request *request)
{
	uint32_t number = request->generate_random->number_of_bytes;

	if (number == 0) {
		kms_call_fail(
			call, SLK_INVALID, "ValidationException", "NumberOfBytes is required.");
		return;
	}
	if (take_number_of_bytes(call, number) != SLK_OK ||
		kms_call_authorize(call, call->action, "*", NULL) != SLK_OK)
		return;
	const struct hsm_request ask = {.op = HSM_RANDOM,
		.length = number,
		.mono_deadline_ns = kms_call_hsm_deadline(call)};
	kms_call_hsm(call, &ask, random_drawn);
}

/* --- Encrypt --- */

static void
encrypted(struct kms_call *call, const struct hsm_reply *reply)
{
	struct slk_span blob;

	if (kms_crypt_sealed(call, reply, &blob) == SLK_OK)
		answer_cipher(call, blob, slk_span(NULL, 0), kms_algorithm_name(call->algorithm),
			call->key.backing_id);
}

void
kms_op_encrypt(struct kms_call *call, const Kmsp__Request *request)
{
	static uint8_t aad[FMT_BLOB_AAD_MAX];
	const Kmsp__Encrypt *in = request->encrypt;
	struct hsm_request ask;

	if (kms_crypt_length(call, "plaintext", in->plaintext.len, 1, KMSP_PLAINTEXT_MAX) ==
			SLK_OK &&
		kms_crypt_algorithm(call, in->algorithm, KMS_USAGE_ENCRYPT_DECRYPT,
			"encryptionAlgorithm", &call->algorithm) == SLK_OK &&
		kms_call_take_context(call, in->context, in->n_context, &call->context) == SLK_OK &&
		kms_crypt_key(call, call->action, in->key, KMS_USAGE_ENCRYPT_DECRYPT, "Encrypt") ==
			SLK_OK &&
		kms_crypt_context_fits(call, &call->key, call->context) == SLK_OK &&
		kms_crypt_plaintext_fits(call, in->plaintext.len) == SLK_OK &&
		kms_crypt_ask_seal(
			call, slk_span(in->plaintext.data, in->plaintext.len), aad, &ask) == SLK_OK)
		kms_call_hsm(call, &ask, encrypted);
}

/* --- Decrypt --- */

static void
decrypted(struct kms_call *call, const struct hsm_reply *reply)
{
	/* Of RSA, a plaintext of no bytes is possible; KMS never made that ciphertext. */
	if (reply->plaintext.len == 0 && call->algorithm != KMS_ALG_SYMMETRIC_DEFAULT)
		kms_call_fail(call, SLK_INVALID_CIPHERTEXT, "InvalidCiphertextException", "%s", "");
	else if (reply->plaintext.len == 0 || reply->plaintext.len > KMSP_PLAINTEXT_MAX)
		wrong_size(call);
	else
		answer_cipher(call, slk_span(NULL, 0), reply->plaintext,
			kms_algorithm_name(call->algorithm), call->backing_id);
}

void
kms_op_decrypt(struct kms_call *call, const Kmsp__Request *request)
{
	static uint8_t aad[FMT_BLOB_AAD_MAX];
	const Kmsp__Decrypt *in = request->decrypt;
	struct kms_sealed sealed;
	struct hsm_request ask;

	if (kms_crypt_algorithm(call, in->algorithm, KMS_USAGE_ENCRYPT_DECRYPT,
		    "encryptionAlgorithm", &call->algorithm) != SLK_OK ||
		kms_call_take_context(call, in->context, in->n_context, &call->context) != SLK_OK)
		return;
	const struct kms_sealed_names names = {
		in->key, call->algorithm, slk_span(in->blob.data, in->blob.len), call->context};
	if (kms_crypt_open(call, call->action, "Decrypt", &names, &sealed) != SLK_OK)
		return;
	call->key = sealed.key;
	if (kms_crypt_ask_open(call, &sealed, call->context, aad, &ask) == SLK_OK)
		kms_call_hsm(call, &ask, decrypted);
}
