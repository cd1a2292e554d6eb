#include "kmsclient/crypto.h"

#include <string.h>

#include "kmsclient/convert.h"
#include "kmsclient/request.h"

/* Bytes of an answer that have to be there and to fit. */
static int
bytes_from(ProtobufCBinaryData in, uint8_t *out, size_t cap, size_t *out_len)
{
	if (in.len == 0 || in.len > cap)
		return SLK_MALFORMED;
	memcpy(out, in.data, in.len);
	*out_len = in.len;
	return SLK_OK;
}

#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))

static int
ciphertext_from(const Kmsp__Cipher *in, struct kmsc_ciphertext *out)
{
	int rc = bytes_from(in->blob, out->bytes, sizeof(out->bytes), &out->len);

	rc = TEXT(rc, in->key_arn, out->key_arn);
	rc = TEXT(rc, in->algorithm, out->algorithm);
	return TEXT(rc, in->material_id, out->material_id);
}

static int
secret_from(ProtobufCBinaryData in, size_t min, size_t max, struct slk_secret **out)
{
	if (in.len < min || in.len > max)
		return SLK_MALFORMED;
	return slk_secret_from(in.data, in.len, out);
}

int
kmsc_encrypt_with(struct kmsc *c, const char *key_id, const char *algorithm,
	const struct fmt_context *context, const struct slk_secret *plaintext,
	struct kmsc_ciphertext *out_ciphertext, struct slk_error *err)
{
	Kmsp__Encrypt call = KMSP__ENCRYPT__INIT;
	struct kmsc_ciphertext made;
	struct kmsc_pairs pairs;
	const Kmsp__Reply *reply;

	if (slk_secret_len(plaintext) > KMSC_PLAINTEXT_MAX)
		return slk_fail(err, SLK_TOO_LARGE, "Encrypt takes at most %u bytes, not %zu",
			KMSC_PLAINTEXT_MAX, slk_secret_len(plaintext));
	kmsc_request_pairs(context, &pairs);
	call.key = kmsc_request_text(key_id);
	call.algorithm = kmsc_request_text(algorithm);
	call.n_context = pairs.count;
	call.context = pairs.list;
	call.plaintext =
		kmsc_request_bytes(slk_span(slk_secret_peek(plaintext), slk_secret_len(plaintext)));
	KMSC_REQUEST(request, ENCRYPT, encrypt) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_CIPHER, &reply, err);
	if (rc == SLK_OK)
		rc = ciphertext_from(reply->cipher, &made);
	if (rc == SLK_OK)
		*out_ciphertext = made;
	return kmsc_call_end(c, rc, err);
}

static int
plaintext_from(const Kmsp__Cipher *in, struct kmsc_plaintext *out)
{
	struct kmsc_plaintext made = {.bytes = NULL};
	int rc = TEXT(SLK_OK, in->key_arn, made.key_arn);

	rc = TEXT(rc, in->algorithm, made.algorithm);
	rc = TEXT(rc, in->material_id, made.material_id);
	if (rc == SLK_OK)
		rc = secret_from(in->plaintext, 1, KMSC_PLAINTEXT_MAX, &made.bytes);
	if (rc == SLK_OK)
		*out = made;
	return rc;
}

int
kmsc_decrypt_with(struct kmsc *c, const char *key_id, const char *algorithm,
	const struct fmt_context *context, struct slk_span ciphertext,
	struct kmsc_plaintext *out_plaintext, struct slk_error *err)
{
	Kmsp__Decrypt call = KMSP__DECRYPT__INIT;
	struct kmsc_pairs pairs;
	const Kmsp__Reply *reply;

	if (ciphertext.len > KMSC_BLOB_MAX)
		return slk_fail(err, SLK_INVALID_CIPHERTEXT, "InvalidCiphertextException");
	kmsc_request_pairs(context, &pairs);
	call.key = kmsc_request_text(key_id);
	call.algorithm = kmsc_request_text(algorithm);
	call.n_context = pairs.count;
	call.context = pairs.list;
	call.blob = kmsc_request_bytes(ciphertext);
	KMSC_REQUEST(request, DECRYPT, decrypt) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_CIPHER, &reply, err);
	if (rc == SLK_OK)
		rc = plaintext_from(reply->cipher, out_plaintext);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_data_key(struct kmsc *c, const char *key_id, const struct fmt_context *context,
	uint32_t bytes_count, struct kmsc_ciphertext *out_ciphertext,
	struct slk_secret **out_plaintext, struct slk_error *err)
{
	Kmsp__GenerateDataKey call = KMSP__GENERATE_DATA_KEY__INIT;
	struct kmsc_ciphertext made;
	struct kmsc_pairs pairs;
	const Kmsp__Reply *reply;

	if (bytes_count == 0 || bytes_count > KMSC_RANDOM_MAX)
		return slk_fail(err, SLK_INVALID, "a data key has 1 to %u bytes, not %u",
			KMSC_RANDOM_MAX, bytes_count);
	kmsc_request_pairs(context, &pairs);
	call.key = kmsc_request_text(key_id);
	call.n_context = pairs.count;
	call.context = pairs.list;
	call.without_plaintext = out_plaintext == NULL;
	call.number_of_bytes = bytes_count;
	KMSC_REQUEST(request, GENERATE_DATA_KEY, generate_data_key) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_CIPHER, &reply, err);
	if (rc == SLK_OK)
		rc = ciphertext_from(reply->cipher, &made);
	if (rc == SLK_OK && out_plaintext == NULL && reply->cipher->plaintext.len != 0)
		rc = SLK_MALFORMED;
	if (rc == SLK_OK && out_plaintext != NULL)
		rc = secret_from(reply->cipher->plaintext, bytes_count, bytes_count, out_plaintext);
	if (rc == SLK_OK)
		*out_ciphertext = made;
	return kmsc_call_end(c, rc, err);
}

int
kmsc_random(
	struct kmsc *c, uint32_t bytes_count, struct slk_secret **out_bytes, struct slk_error *err)
{
	Kmsp__GenerateRandom call = KMSP__GENERATE_RANDOM__INIT;
	const Kmsp__Reply *reply;

	call.number_of_bytes = bytes_count;
	KMSC_REQUEST(request, GENERATE_RANDOM, generate_random) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_CIPHER, &reply, err);
	if (rc == SLK_OK)
		rc = secret_from(reply->cipher->plaintext, bytes_count, bytes_count, out_bytes);
	return kmsc_call_end(c, rc, err);
}

static int
re_encrypted_from(const Kmsp__ReEncrypted *in, struct kmsc_re_encrypted *out)
{
	struct kmsc_ciphertext *to = &out->ciphertext;
	int rc = bytes_from(in->blob, to->bytes, sizeof(to->bytes), &to->len);

	rc = TEXT(rc, in->key_arn, to->key_arn);
	rc = TEXT(rc, in->algorithm, to->algorithm);
	rc = TEXT(rc, in->material_id, to->material_id);
	rc = TEXT(rc, in->source_key_arn, out->source_key_arn);
	rc = TEXT(rc, in->source_algorithm, out->source_algorithm);
	return TEXT(rc, in->source_material_id, out->source_material_id);
}

int
kmsc_re_encrypt(struct kmsc *c, const struct kmsc_re_encryption *how, struct slk_span ciphertext,
	struct kmsc_re_encrypted *out, struct slk_error *err)
{
	Kmsp__ReEncrypt call = KMSP__RE_ENCRYPT__INIT;
	struct kmsc_re_encrypted made;
	struct kmsc_pairs from, to;
	const Kmsp__Reply *reply;

	if (ciphertext.len > KMSC_BLOB_MAX)
		return slk_fail(err, SLK_INVALID_CIPHERTEXT, "InvalidCiphertextException");
	kmsc_request_pairs(how->source_context, &from);
	kmsc_request_pairs(how->context, &to);
	call.blob = kmsc_request_bytes(ciphertext);
	call.n_source_context = from.count;
	call.source_context = from.list;
	call.source_key = kmsc_request_text(how->source_key_id);
	call.source_algorithm = kmsc_request_text(how->source_algorithm);
	call.key = kmsc_request_text(how->key_id);
	call.n_context = to.count;
	call.context = to.list;
	call.algorithm = kmsc_request_text(how->algorithm);
	KMSC_REQUEST(request, RE_ENCRYPT, re_encrypt) = &call;
	int rc = kmsc_call(
		c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_RE_ENCRYPTED, &reply, err);
	if (rc == SLK_OK)
		rc = re_encrypted_from(reply->re_encrypted, &made);
	if (rc == SLK_OK)
		*out = made;
	return kmsc_call_end(c, rc, err);
}

static int
check_message(const struct kmsc_message *message, struct slk_error *err)
{
	if (message->bytes.len <= KMSC_MESSAGE_MAX)
		return SLK_OK;
	return slk_fail(err, SLK_TOO_LARGE,
		"a message has at most %u bytes, not %zu; sign the digest of a longer one",
		KMSC_MESSAGE_MAX, message->bytes.len);
}

int
kmsc_sign(struct kmsc *c, const char *key_id, const char *algorithm,
	const struct kmsc_message *message, struct kmsc_signature *out_signature,
	struct slk_error *err)
{
	Kmsp__Sign call = KMSP__SIGN__INIT;
	struct kmsc_signature made;
	const Kmsp__Reply *reply;
	int rc = check_message(message, err);

	if (rc != SLK_OK)
		return rc;
	call.key = kmsc_request_text(key_id);
	call.algorithm = kmsc_request_text(algorithm);
	call.message = kmsc_request_bytes(message->bytes);
	call.is_digest = message->is_digest;
	KMSC_REQUEST(request, SIGN, sign) = &call;
	rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_SIGNATURE, &reply, err);
	if (rc == SLK_OK)
		rc = bytes_from(
			reply->signature->signature, made.bytes, sizeof(made.bytes), &made.len);
	if (rc == SLK_OK)
		rc = TEXT(rc, reply->signature->key_arn, made.key_arn);
	if (rc == SLK_OK)
		rc = TEXT(rc, reply->signature->algorithm, made.algorithm);
	if (rc == SLK_OK)
		*out_signature = made;
	return kmsc_call_end(c, rc, err);
}

int
kmsc_verify(struct kmsc *c, const char *key_id, const char *algorithm,
	const struct kmsc_message *message, struct slk_span signature, char *out_key_arn,
	struct slk_error *err)
{
	Kmsp__Verify call = KMSP__VERIFY__INIT;
	const Kmsp__Reply *reply;
	char arn[KMSC_ARN_MAX];
	int rc = check_message(message, err);

	if (rc != SLK_OK)
		return rc;
	if (signature.len > KMSC_SIGNATURE_MAX)
		return slk_fail(err, SLK_BAD_TAG, "KMSInvalidSignatureException");
	call.key = kmsc_request_text(key_id);
	call.algorithm = kmsc_request_text(algorithm);
	call.message = kmsc_request_bytes(message->bytes);
	call.is_digest = message->is_digest;
	call.signature = kmsc_request_bytes(signature);
	KMSC_REQUEST(request, VERIFY, verify) = &call;
	rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_SIGNATURE, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_text(reply->signature->key_arn, arn, sizeof(arn));
	if (rc == SLK_OK && out_key_arn != NULL)
		strcpy(out_key_arn, arn);
	return kmsc_call_end(c, rc, err);
}

static int
public_key_from(const Kmsp__PublicKey *in, struct kmsc_public_key *out)
{
	int rc = bytes_from(in->der, out->der, sizeof(out->der), &out->der_len);

	rc = TEXT(rc, in->key_arn, out->key_arn);
	rc = TEXT(rc, in->spec, out->spec);
	rc = TEXT(rc, in->usage, out->usage);
	if (rc == SLK_OK && in->n_algorithms > KMSC_ALGORITHMS_MAX)
		rc = SLK_MALFORMED;
	out->algorithms_count = in->n_algorithms;
	for (size_t i = 0; rc == SLK_OK && i < in->n_algorithms; i++)
		rc = TEXT(rc, in->algorithms[i], out->algorithms[i]);
	return rc;
}

int
kmsc_get_public_key(
	struct kmsc *c, const char *key_id, struct kmsc_public_key *out_key, struct slk_error *err)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;
	struct kmsc_public_key made;
	const Kmsp__Reply *reply;

	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, GET_PUBLIC_KEY, get_public_key) = &call;
	int rc = kmsc_call(
		c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_PUBLIC_KEY, &reply, err);
	if (rc == SLK_OK)
		rc = public_key_from(reply->public_key, &made);
	if (rc == SLK_OK)
		*out_key = made;
	return kmsc_call_end(c, rc, err);
}
