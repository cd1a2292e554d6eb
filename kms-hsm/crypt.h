/* What the cryptographic operations share. Internal to ops_crypto.c, ops_reencrypt.c and ops_sign.c.
 *
 * A step that does not return SLK_OK has ended the call, with the exception and the words that AWS has for it. The order
 * is AWS's, too: parameters, then the key (and may the caller), its state, its usage, its algorithm, then sizes.
 * Thread: one, the front's loop.
 */
#ifndef KMS_HSM_CRYPT_H
#define KMS_HSM_CRYPT_H

#include "call.h"

/* How a request names a ciphertext and the key that opens it. */
struct kms_sealed_names {
	const char *key; /* "": the blob says which */
	enum kms_algorithm algorithm;
	struct slk_span blob;
	const struct fmt_context *context;
};

/* A ciphertext whose key was found. */
struct kms_sealed {
	enum kms_algorithm algorithm;
	struct kms_key key;
	struct kms_backing backing; /* the generation of it */
	struct fmt_blob blob; /* of RSA only `sealed`, which borrows from the request */
};

/* --- parameters --- */
/* The name of an algorithm. "" is SYMMETRIC_DEFAULT where encryption is meant, and missing where a signature is. member:
 * the parameter, for a refusal. */
MUST_USE int kms_crypt_algorithm(struct kms_call *call, const char *name, enum kms_usage usage,
	const char *member, enum kms_algorithm *out_algorithm);
/* Is min <= len <= max? */
MUST_USE int kms_crypt_length(
	struct kms_call *call, const char *member, size_t len, size_t min, size_t max);

/* --- keys --- */
/* Find and authorise call->key, and check that it may be used by its caller: Enabled, of that usage, with
 * call->algorithm. operation: as AWS calls it, "Encrypt". */
MUST_USE int kms_crypt_key(struct kms_call *call, const char *action, const char *text,
	enum kms_usage usage, const char *operation);
/* The last part of that, for another key. */
MUST_USE int kms_crypt_fits(struct kms_call *call, const struct kms_key *key, enum kms_usage usage,
	enum kms_algorithm algorithm, const char *operation);
/* A context is for symmetric keys only. */
MUST_USE int kms_crypt_context_fits(
	struct kms_call *call, const struct kms_key *key, const struct fmt_context *context);

/* --- opening --- */
/* Find the key of a ciphertext, authorise action on it, and check it as kms_crypt_key() does. Whatever is wrong with the
 * bytes is InvalidCiphertextException. */
MUST_USE int kms_crypt_open(struct kms_call *call, const char *action, const char *operation,
	const struct kms_sealed_names *names, struct kms_sealed *out_sealed);
/* What to ask the HSM for: HSM_UNWRAP or HSM_DECRYPT. aad: FMT_BLOB_AAD_MAX bytes, which *out borrows. */
MUST_USE int kms_crypt_ask_open(struct kms_call *call, const struct kms_sealed *sealed,
	const struct fmt_context *context, uint8_t *aad, struct hsm_request *out);

/* --- sealing under call->key and call->algorithm, with call->context --- */
MUST_USE int kms_crypt_plaintext_fits(struct kms_call *call, size_t len);
/* One more wrap: counted before it is made, and its AAD written (FMT_BLOB_AAD_MAX bytes). Symmetric keys. */
MUST_USE int kms_crypt_count_wrap(struct kms_call *call, uint8_t *aad, struct slk_span *out_aad);
/* What to ask for: HSM_WRAP or HSM_ENCRYPT. */
MUST_USE int kms_crypt_ask_seal(
	struct kms_call *call, struct slk_span plaintext, uint8_t *aad, struct hsm_request *out);
/* What the HSM made of it, as a caller gets it: a blob, or RSA's ciphertext as it is. Static storage. */
MUST_USE int kms_crypt_sealed(
	struct kms_call *call, const struct hsm_reply *reply, struct slk_span *out_blob);

/* --- small things --- */
/* KeyMaterialId; "" for asymmetric keys, as in AWS. */
void kms_crypt_material(const struct kms_key *key, const uint8_t backing_id[KMS_ID_BYTES],
	char out[KMS_MATERIAL_TEXT]);
/* The audit line names this generation of key material. */
void kms_crypt_name_backing(struct kms_call *call, const uint8_t backing_id[KMS_ID_BYTES]);
/* A request to the HSM about a key pair. */
struct hsm_request kms_crypt_ask_pair(const struct kms_call *call, const struct kms_key *key,
	enum hsm_op op, enum kms_algorithm algorithm);
/* protobuf-c messages hold pointers to what they only read. */
static inline ProtobufCBinaryData
kms_bytes(struct slk_span span)
{
	return (ProtobufCBinaryData){span.len, (uint8_t *)(uintptr_t)span.ptr};
}
static inline char *
kms_text(const char *text)
{
	return (char *)(uintptr_t)text;
}

#endif
