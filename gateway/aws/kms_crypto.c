/* Encrypt, Decrypt, ReEncrypt, data keys, random bytes, signatures. Plaintexts pass through bodies that are wiped. */
#include <string.h>

#include "aws/kms.h"

static bool
begin_answer(struct gw_call *call, bool secret)
{
	if (gw_call_write(call, 0, secret)) {
		gw_write_open(&call->w, NULL);
		return true;
	}
	gw_call_fail(call);
	return false;
}

static void
end_answer(struct gw_call *call)
{
	gw_write_close(&call->w);
	gw_call_send(call);
}

static struct slk_span
span(ProtobufCBinaryData in)
{
	return slk_span(in.data, in.len);
}

static const char *
or_symmetric(const char *algorithm)
{
	return algorithm[0] != '\0' ? algorithm : "SYMMETRIC_DEFAULT";
}

/* --- Encrypt, Decrypt, ReEncrypt --- */

static void
encrypted(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__Cipher *c = reply->cipher;

	if (!begin_answer(call, false))
		return;
	gw_write_text(&call->w, "KeyId", c->key_arn);
	gw_write_blob(&call->w, "CiphertextBlob", span(c->blob));
	gw_write_text(&call->w, "EncryptionAlgorithm", or_symmetric(c->algorithm));
	end_answer(call);
}

bool
gw_kms_encrypt(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__Encrypt, KMSP__ENCRYPT__INIT, ENCRYPT, encrypt);

	m.key = gw_kmsp_text(call, "KeyId");
	m.plaintext = gw_kmsp_bytes(call, "Plaintext");
	m.algorithm = gw_kmsp_text(call, "EncryptionAlgorithm");
	return gw_kms_pairs(call, "EncryptionContext", &m.context, &m.n_context) &&
		gw_kms_ask(call, &r, encrypted);
}

static void
decrypted(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__Cipher *c = reply->cipher;

	if (!begin_answer(call, true))
		return;
	gw_write_text(&call->w, "KeyId", c->key_arn);
	gw_write_blob(&call->w, "Plaintext", span(c->plaintext));
	gw_write_text(&call->w, "EncryptionAlgorithm", or_symmetric(c->algorithm));
	gw_write_text_if(&call->w, "KeyMaterialId", c->material_id);
	end_answer(call);
}

bool
gw_kms_decrypt(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__Decrypt, KMSP__DECRYPT__INIT, DECRYPT, decrypt);

	if (!gw_kms_without(call, "Recipient") || !gw_kms_without(call, "DryRunModifiers"))
		return false;
	if (gw_get(call->in, "CiphertextBlob") == NULL)
		return gw_fault_set(&call->fault, "ValidationException",
			"1 validation error detected: Value null at 'ciphertextBlob' failed to "
			"satisfy "
			"constraint: Member must not be null");
	m.key = gw_kmsp_text(call, "KeyId");
	m.blob = gw_kmsp_bytes(call, "CiphertextBlob");
	m.algorithm = gw_kmsp_text(call, "EncryptionAlgorithm");
	return gw_kms_pairs(call, "EncryptionContext", &m.context, &m.n_context) &&
		gw_kms_ask(call, &r, decrypted);
}

static void
re_encrypted(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__ReEncrypted *in = reply->re_encrypted;
	struct gw_writer *w = &call->w;

	if (!begin_answer(call, false))
		return;
	gw_write_blob(w, "CiphertextBlob", span(in->blob));
	gw_write_text(w, "SourceKeyId", in->source_key_arn);
	gw_write_text(w, "KeyId", in->key_arn);
	gw_write_text(w, "SourceEncryptionAlgorithm", or_symmetric(in->source_algorithm));
	gw_write_text(w, "DestinationEncryptionAlgorithm", or_symmetric(in->algorithm));
	gw_write_text_if(w, "SourceKeyMaterialId", in->source_material_id);
	gw_write_text_if(w, "DestinationKeyMaterialId", in->material_id);
	end_answer(call);
}

bool
gw_kms_re_encrypt(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__ReEncrypt, KMSP__RE_ENCRYPT__INIT, RE_ENCRYPT, re_encrypt);

	if (!gw_kms_without(call, "DryRunModifiers"))
		return false;
	if (gw_get(call->in, "CiphertextBlob") == NULL)
		return gw_fault_set(&call->fault, "ValidationException",
			"1 validation error detected: Value null at 'ciphertextBlob' failed to "
			"satisfy "
			"constraint: Member must not be null");
	m.blob = gw_kmsp_bytes(call, "CiphertextBlob");
	m.source_key = gw_kmsp_text(call, "SourceKeyId");
	m.source_algorithm = gw_kmsp_text(call, "SourceEncryptionAlgorithm");
	m.key = gw_kmsp_text(call, "DestinationKeyId");
	m.algorithm = gw_kmsp_text(call, "DestinationEncryptionAlgorithm");
	return gw_kms_pairs(
		       call, "SourceEncryptionContext", &m.source_context, &m.n_source_context) &&
		gw_kms_pairs(call, "DestinationEncryptionContext", &m.context, &m.n_context) &&
		gw_kms_ask(call, &r, re_encrypted);
}

/* --- data keys --- */

static void
data_key_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__Cipher *c = reply->cipher;

	if (!begin_answer(call, true))
		return;
	gw_write_blob(&call->w, "CiphertextBlob", span(c->blob));
	if (c->plaintext.len > 0)
		gw_write_blob(&call->w, "Plaintext", span(c->plaintext));
	gw_write_text(&call->w, "KeyId", c->key_arn);
	gw_write_text_if(&call->w, "KeyMaterialId", c->material_id);
	end_answer(call);
}

static bool
generate(struct gw_call *call, bool without_plaintext)
{
	GW_KMSP(r, m, Kmsp__GenerateDataKey, KMSP__GENERATE_DATA_KEY__INIT, GENERATE_DATA_KEY,
		generate_data_key);
	const char *spec = gw_text(call->in, "KeySpec");
	int64_t bytes = gw_int(call->in, "NumberOfBytes", 0);

	if (!gw_kms_without(call, "Recipient"))
		return false;
	if ((spec[0] != '\0') == (bytes != 0))
		return gw_fault_set(&call->fault, "ValidationException",
			"Please specify either number of bytes or key spec.");
	if (spec[0] != '\0')
		bytes = strcmp(spec, "AES_128") == 0 ? 16 : 32;
	m.key = gw_kmsp_text(call, "KeyId");
	m.number_of_bytes = (uint32_t)bytes;
	m.without_plaintext = without_plaintext;
	return gw_kms_pairs(call, "EncryptionContext", &m.context, &m.n_context) &&
		gw_kms_ask(call, &r, data_key_told);
}

bool
gw_kms_generate_data_key(struct gw_call *call)
{
	return generate(call, false);
}

bool
gw_kms_generate_data_key_without_plaintext(struct gw_call *call)
{
	return generate(call, true);
}

static void
random_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!begin_answer(call, true))
		return;
	gw_write_blob(&call->w, "Plaintext", span(reply->cipher->plaintext));
	end_answer(call);
}

bool
gw_kms_generate_random(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__GenerateRandom, KMSP__GENERATE_RANDOM__INIT, GENERATE_RANDOM,
		generate_random);
	int64_t bytes = gw_int(call->in, "NumberOfBytes", 0);

	if (!gw_kms_without(call, "Recipient") || !gw_kms_without(call, "CustomKeyStoreId"))
		return false;
	if (bytes == 0)
		return gw_fault_set(
			&call->fault, "ValidationException", "NumberOfBytes is required.");
	m.number_of_bytes = (uint32_t)bytes;
	return gw_kms_ask(call, &r, random_told);
}

/* --- signatures --- */

static void
signed_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__Signature *s = reply->signature;

	if (!begin_answer(call, false))
		return;
	gw_write_text(&call->w, "KeyId", s->key_arn);
	gw_write_blob(&call->w, "Signature", span(s->signature));
	gw_write_text(&call->w, "SigningAlgorithm", s->algorithm);
	end_answer(call);
}

/* RAW, DIGEST, or another that no key here has. */
static bool
is_digest(struct gw_call *call, protobuf_c_boolean *out)
{
	const char *type = gw_text(call->in, "MessageType");

	*out = strcmp(type, "DIGEST") == 0;
	return type[0] == '\0' || *out || strcmp(type, "RAW") == 0 ||
		gw_fault_set(&call->fault, "ValidationException",
			"MessageType %.32s is not supported by the algorithm.", type);
}

bool
gw_kms_sign(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__Sign, KMSP__SIGN__INIT, SIGN, sign);

	m.key = gw_kmsp_text(call, "KeyId");
	m.message = gw_kmsp_bytes(call, "Message");
	m.algorithm = gw_kmsp_text(call, "SigningAlgorithm");
	return is_digest(call, &m.is_digest) && gw_kms_ask(call, &r, signed_told);
}

static void
verified(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!begin_answer(call, false))
		return;
	gw_write_text(&call->w, "KeyId", reply->signature->key_arn);
	gw_write_bool(&call->w, "SignatureValid", true);
	gw_write_text(&call->w, "SigningAlgorithm", reply->signature->algorithm);
	end_answer(call);
}

bool
gw_kms_verify(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__Verify, KMSP__VERIFY__INIT, VERIFY, verify);

	m.key = gw_kmsp_text(call, "KeyId");
	m.message = gw_kmsp_bytes(call, "Message");
	m.signature = gw_kmsp_bytes(call, "Signature");
	m.algorithm = gw_kmsp_text(call, "SigningAlgorithm");
	return is_digest(call, &m.is_digest) && gw_kms_ask(call, &r, verified);
}

static void
public_key_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__PublicKey *k = reply->public_key;
	struct gw_writer *w = &call->w;

	if (!begin_answer(call, false))
		return;
	gw_write_text(w, "KeyId", k->key_arn);
	gw_write_blob(w, "PublicKey", span(k->der));
	gw_write_text(w, "CustomerMasterKeySpec", k->spec);
	gw_write_text(w, "KeySpec", k->spec);
	gw_write_text(w, "KeyUsage", k->usage);
	gw_write_open_list(w,
		strcmp(k->usage, "SIGN_VERIFY") == 0 ? "SigningAlgorithms"
						     : "EncryptionAlgorithms");
	for (size_t i = 0; i < k->n_algorithms; i++)
		gw_write_text(w, NULL, k->algorithms[i]);
	gw_write_close_list(w);
	end_answer(call);
}

bool
gw_kms_get_public_key(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__KeyName, KMSP__KEY_NAME__INIT, GET_PUBLIC_KEY, get_public_key);

	m.key = gw_kmsp_text(call, "KeyId");
	return gw_kms_ask(call, &r, public_key_told);
}
