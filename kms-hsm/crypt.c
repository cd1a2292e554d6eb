/* Parameters, keys and blobs of the cryptographic operations. */
#include "crypt.h"

#include <stdio.h>
#include <string.h>

#include "caller.h"

/* --- parameters --- */

/* Every algorithm of a usage, as AWS prints the values that a member may have. */
static void
print_algorithms(enum kms_usage usage, char *out, size_t cap)
{
	uint32_t all = 0;
	size_t len = 0;

	for (unsigned spec = 0; spec < KMS_SPEC_COUNT; spec++)
		all |= kms_spec_algorithms((enum kms_spec)spec, usage);
	for (unsigned i = 0; i < KMS_ALG_COUNT && len < cap; i++)
		if ((all & KMS_BIT(i)) != 0)
			len += (size_t)snprintf(out + len, cap - len, "%s%s", len > 0 ? ", " : "",
				kms_algorithm_name((enum kms_algorithm)i));
}

static bool
is_for(enum kms_algorithm algorithm, enum kms_usage usage)
{
	return (kms_algorithm_digest_bytes(algorithm) > 0) == (usage == KMS_USAGE_SIGN_VERIFY);
}

int
kms_crypt_algorithm(struct kms_call *call, const char *name, enum kms_usage usage,
	const char *member, enum kms_algorithm *out_algorithm)
{
	char values[512];
	enum kms_algorithm algorithm = KMS_ALG_SYMMETRIC_DEFAULT;

	if (name[0] == '\0' && usage == KMS_USAGE_SIGN_VERIFY) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"1 validation error detected: Value null at '%s' failed to satisfy "
			"constraint: Member must not be null",
			member);
		return SLK_INVALID;
	}
	if (name[0] != '\0' &&
		(!kms_algorithm_parse(name, &algorithm) || !is_for(algorithm, usage))) {
		print_algorithms(usage, values, sizeof(values));
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"1 validation error detected: Value '%.100s' at '%s' failed to satisfy "
			"constraint: Member must satisfy enum value set: [%s]",
			name, member, values);
		return SLK_INVALID;
	}
	*out_algorithm = algorithm;
	return SLK_OK;
}

int
kms_crypt_length(struct kms_call *call, const char *member, size_t len, size_t min, size_t max)
{
	if (len >= min && len <= max)
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"1 validation error detected: Value at '%s' failed to satisfy constraint: Member "
		"must have length %s than or equal to %zu",
		member, len < min ? "greater" : "less", len < min ? min : max);
	return SLK_INVALID;
}

/* --- keys --- */

int
kms_crypt_fits(struct kms_call *call, const struct kms_key *key, enum kms_usage usage,
	enum kms_algorithm algorithm, const char *operation)
{
	char arn[KMS_ARN_MAX];

	kms_arn_key(&call->service->parts.realm, key->id, arn);
	if (key->usage != usage)
		kms_call_fail(call, SLK_INVALID, "InvalidKeyUsageException",
			"%s key usage is %s which is not valid for %s.", arn,
			kms_usage_name(key->usage), operation);
	else if ((kms_spec_algorithms(key->spec, key->usage) & KMS_BIT(algorithm)) == 0)
		kms_call_fail(call, SLK_INVALID, "InvalidKeyUsageException",
			"Algorithm %s is incompatible with key spec %s.",
			kms_algorithm_name(algorithm), kms_spec_name(key->spec));
	else
		return SLK_OK;
	return SLK_INVALID;
}

int
kms_crypt_key(struct kms_call *call, const char *action, const char *text, enum kms_usage usage,
	const char *operation)
{
	const char *algorithm = kms_algorithm_name(call->algorithm);

	call->facts.context = call->context;
	if (usage == KMS_USAGE_ENCRYPT_DECRYPT)
		call->facts.encryption_algorithm = algorithm;
	else
		call->facts.signing_algorithm = algorithm;
	int rc = kms_call_find_key(call, action, text, &call->key);
	if (rc == SLK_OK)
		rc = kms_call_key_direct(call, &call->key);
	if (rc == SLK_OK)
		rc = kms_call_key_usable(call, &call->key);
	if (rc == SLK_OK)
		rc = kms_crypt_fits(call, &call->key, usage, call->algorithm, operation);
	return rc;
}

int
kms_crypt_context_fits(
	struct kms_call *call, const struct kms_key *key, const struct fmt_context *context)
{
	if (kms_spec_is_symmetric(key->spec) || fmt_context_count(context) == 0)
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"An encryption context is not supported for key spec %s.",
		kms_spec_name(key->spec));
	return SLK_INVALID;
}

void
kms_crypt_material(const struct kms_key *key, const uint8_t backing_id[KMS_ID_BYTES],
	char out[KMS_MATERIAL_TEXT])
{
	out[0] = '\0';
	if (kms_spec_is_symmetric(key->spec))
		kms_material_print(key->id, backing_id, out);
}

void
kms_crypt_name_backing(struct kms_call *call, const uint8_t backing_id[KMS_ID_BYTES])
{
	memcpy(call->backing_id, backing_id, KMS_ID_BYTES);
	call->has_backing = true;
}

struct hsm_request
kms_crypt_ask_pair(const struct kms_call *call, const struct kms_key *key, enum hsm_op op,
	enum kms_algorithm algorithm)
{
	struct hsm_request ask = {.op = op,
		.spec = key->spec,
		.usage = key->usage,
		.algorithm = algorithm,
		.mono_deadline_ns = kms_call_hsm_deadline(call)};

	memcpy(ask.key_id, key->backing_id, sizeof(ask.key_id));
	memcpy(ask.kcv, key->kcv, sizeof(ask.kcv));
	return ask;
}

/* --- opening --- */

static void
bad_ciphertext(struct kms_call *call)
{
	kms_call_fail(call, SLK_INVALID_CIPHERTEXT, "InvalidCiphertextException", "%s", "");
}

/* The key that a caller gave beside a ciphertext, without a word to the caller. SLK_NOT_FOUND. */
static int
given_key(struct kms_call *call, const char *text, struct kms_key *out_key)
{
	struct kms_catalog *catalog = call->service->parts.catalog;
	struct kms_alias alias;
	struct kms_ref ref;

	int rc = kms_ref_parse(&call->service->parts.realm, text, &ref);
	if (rc == SLK_OK && ref.kind == KMS_REF_ALIAS) {
		rc = kms_catalog_alias_get(catalog, ref.alias, &alias);
		if (rc == SLK_OK)
			memcpy(ref.id, alias.key_id, sizeof(ref.id));
		memcpy(call->request_alias, ref.alias, sizeof(call->request_alias));
		call->facts.request_alias = call->request_alias;
	}
	return rc == SLK_OK ? kms_catalog_key_get(catalog, ref.id, out_key) : rc;
}

static bool
has_wrapped(const struct kms_backing *backing)
{
	return backing->state == KMS_BACKING_CURRENT || backing->state == KMS_BACKING_OLD;
}

/* The key that a blob names, if it is one of ours, and its generation. */
static int
find_blob_key(struct kms_call *call, struct kms_sealed *sealed)
{
	struct kms_catalog *catalog = call->service->parts.catalog;
	const struct fmt_blob *blob = &sealed->blob;

	int rc = kms_catalog_backing_get(catalog, blob->backing_id, &sealed->backing);
	if (rc == SLK_OK &&
		(memcmp(sealed->backing.key_id, blob->key_id, sizeof(blob->key_id)) != 0 ||
			!has_wrapped(&sealed->backing)))
		rc = SLK_NOT_FOUND;
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(catalog, blob->key_id, &sealed->key);
	if (rc == SLK_OK && !kms_spec_is_symmetric(sealed->key.spec))
		rc = SLK_NOT_FOUND;
	if (rc == SLK_NOT_FOUND)
		bad_ciphertext(call);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	return rc;
}

/* Direct puts of the delivery stream whose session asks: they are its own. */
static bool
is_own_puts(const struct kms_call *call, const struct fmt_context *context)
{
	const char *arn = kms_caller_delivery(call);
	struct slk_span key, value;

	if (arn == NULL || fmt_context_count(context) != 1)
		return false;
	fmt_context_pair(context, 0, &key, &value);
	return slk_span_equal(key, slk_span_str("aws:firehose:arn")) &&
		slk_span_equal(value, slk_span_str(arn));
}

/* A blob of a stream that is not under SSE-KMS: no right on the appliance's key, but on the stream
 * that the context names. */
static int
authorize_appliance(
	struct kms_call *call, const struct kms_key *sealed_key, const struct fmt_context *context)
{
	struct kms_service *s = call->service;
	struct slk_span key, value;
	char name[KMS_STREAM_MAX], text[KMS_ARN_MAX], arn[KMS_ARN_MAX];

	if (fmt_context_count(context) == 1) {
		fmt_context_pair(context, 0, &key, &value);
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
	if (is_own_puts(call, context)) {
		kms_arn_key(&s->parts.realm, sealed_key->id, arn);
		return kms_call_authorize_granted(call, "kms:Decrypt", arn);
	}
	return kms_call_key_direct(call, sealed_key);
}

static int
authorize_open(struct kms_call *call, const char *action, const struct kms_sealed_names *names,
	const struct kms_key *key)
{
	char arn[KMS_ARN_MAX];

	kms_arn_key(&call->service->parts.realm, key->id, arn);
	strcpy(call->resource, arn);
	if (key->manager == KMS_MANAGER_CUSTOMER || strcmp(action, "kms:Decrypt") != 0)
		return kms_call_authorize_key(call, action, key, NULL);
	int rc = authorize_appliance(call, key, names->context);
	if (rc == SLK_OK)
		strcpy(call->resource, arn);
	return rc;
}

/* given: what names->key leads to, NULL if to nothing. Who may use the blob's key learns nothing from a refusal. */
static int
open_blob(struct kms_call *call, const char *action, const struct kms_sealed_names *names,
	const struct kms_key *given, struct kms_sealed *out)
{
	if (fmt_blob_decode(names->blob, &out->blob) != SLK_OK) {
		bad_ciphertext(call);
		return SLK_INVALID_CIPHERTEXT;
	}
	int rc = find_blob_key(call, out);
	if (rc != SLK_OK)
		return rc;
	kms_crypt_name_backing(call, out->backing.id);
	rc = authorize_open(call, action, names, &out->key);
	if (rc == SLK_OK)
		rc = kms_call_key_usable(call, &out->key);
	if (rc != SLK_OK || names->key[0] == '\0' ||
		(given != NULL && memcmp(given->id, out->key.id, sizeof(given->id)) == 0))
		return rc;
	kms_call_fail(call, SLK_INVALID, "IncorrectKeyException",
		"The key ID in the request does not identify a CMK that can perform this "
		"operation.");
	return SLK_INVALID;
}

/* RSA: the ciphertext names nothing, so the caller has to. */
static int
open_pair(struct kms_call *call, const char *action, const char *operation,
	const struct kms_sealed_names *names, struct kms_sealed *out)
{
	if (names->key[0] == '\0') {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"KeyId is required to decrypt with %s.",
			kms_algorithm_name(names->algorithm));
		return SLK_INVALID;
	}
	int rc = kms_call_find_key(call, action, names->key, &out->key);
	if (rc == SLK_OK)
		rc = kms_call_key_direct(call, &out->key);
	if (rc == SLK_OK)
		rc = kms_call_key_usable(call, &out->key);
	if (rc == SLK_OK)
		rc = kms_crypt_fits(
			call, &out->key, KMS_USAGE_ENCRYPT_DECRYPT, names->algorithm, operation);
	if (rc == SLK_OK)
		rc = kms_crypt_context_fits(call, &out->key, names->context);
	if (rc == SLK_OK && names->blob.len != kms_spec_bits(out->key.spec) / 8) {
		bad_ciphertext(call);
		rc = SLK_INVALID_CIPHERTEXT;
	}
	if (rc != SLK_OK)
		return rc;
	memcpy(out->backing.id, out->key.backing_id, sizeof(out->backing.id));
	memcpy(out->backing.kcv, out->key.kcv, sizeof(out->backing.kcv));
	out->blob.sealed = names->blob;
	kms_crypt_name_backing(call, out->backing.id);
	return SLK_OK;
}

int
kms_crypt_open(struct kms_call *call, const char *action, const char *operation,
	const struct kms_sealed_names *names, struct kms_sealed *out_sealed)
{
	struct kms_key given;
	int rc = SLK_NOT_FOUND;

	if (names->key[0] != '\0')
		rc = given_key(call, names->key, &given);
	if (rc != SLK_OK && rc != SLK_NOT_FOUND) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	bool found = rc == SLK_OK;
	call->facts.context = names->context;
	call->facts.encryption_algorithm = kms_algorithm_name(names->algorithm);
	out_sealed->algorithm = names->algorithm;
	if (names->algorithm != KMS_ALG_SYMMETRIC_DEFAULT ||
		(found && !kms_spec_is_symmetric(given.spec)))
		return open_pair(call, action, operation, names, out_sealed);
	return open_blob(call, action, names, found ? &given : NULL, out_sealed);
}

int
kms_crypt_ask_open(struct kms_call *call, const struct kms_sealed *sealed,
	const struct fmt_context *context, uint8_t *aad, struct hsm_request *out)
{
	size_t aad_len = 0;

	if (!kms_spec_is_symmetric(sealed->key.spec)) {
		*out = kms_crypt_ask_pair(call, &sealed->key, HSM_DECRYPT, sealed->algorithm);
		out->data = sealed->blob.sealed;
		return SLK_OK;
	}
	if (fmt_blob_aad(&sealed->blob, context, aad, FMT_BLOB_AAD_MAX, &aad_len) != SLK_OK) {
		bad_ciphertext(call);
		return SLK_INVALID_CIPHERTEXT;
	}
	*out = (struct hsm_request){.op = HSM_UNWRAP,
		.aad = slk_span(aad, aad_len),
		.data = sealed->blob.sealed,
		.mono_deadline_ns = kms_call_hsm_deadline(call)};
	memcpy(out->key_id, sealed->backing.id, sizeof(out->key_id));
	memcpy(out->kcv, sealed->backing.kcv, sizeof(out->kcv));
	memcpy(out->iv, sealed->blob.iv, sizeof(out->iv));
	return SLK_OK;
}

/* --- sealing --- */

static struct fmt_blob
blob_of(const struct kms_call *call)
{
	struct fmt_blob blob = {.sealed = {NULL, 0}};

	memcpy(blob.key_id, call->key.id, sizeof(blob.key_id));
	memcpy(blob.backing_id, call->key.backing_id, sizeof(blob.backing_id));
	return blob;
}

int
kms_crypt_plaintext_fits(struct kms_call *call, size_t len)
{
	unsigned max = kms_plaintext_max(call->key.spec, call->algorithm);

	if (len <= max)
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"Algorithm %s and key spec %s cannot encrypt data larger than %u bytes.",
		kms_algorithm_name(call->algorithm), kms_spec_name(call->key.spec), max);
	return SLK_INVALID;
}

int
kms_crypt_count_wrap(struct kms_call *call, uint8_t *aad, struct slk_span *out_aad)
{
	struct fmt_blob blob = blob_of(call);
	char arn[KMS_ARN_MAX];
	size_t aad_len = 0;

	kms_crypt_name_backing(call, call->key.backing_id);
	int rc = kms_catalog_wrap_take(call->service->parts.catalog, call->backing_id);
	if (rc == SLK_LIMIT) {
		kms_arn_key(&call->service->parts.realm, call->key.id, arn);
		kms_call_fail(call, rc, "LimitExceededException",
			"the key material of %s has wrapped as much as is safe; rotate the key, or "
			"create a new one and move to it",
			arn);
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
	*out_aad = slk_span(aad, aad_len);
	return SLK_OK;
}

int
kms_crypt_ask_seal(
	struct kms_call *call, struct slk_span plaintext, uint8_t *aad, struct hsm_request *out)
{
	if (!kms_spec_is_symmetric(call->key.spec)) {
		kms_crypt_name_backing(call, call->key.backing_id);
		*out = kms_crypt_ask_pair(call, &call->key, HSM_ENCRYPT, call->algorithm);
		out->data = plaintext;
		return SLK_OK;
	}
	struct hsm_request ask = {
		.op = HSM_WRAP, .data = plaintext, .mono_deadline_ns = kms_call_hsm_deadline(call)};
	int rc = kms_crypt_count_wrap(call, aad, &ask.aad);
	if (rc != SLK_OK)
		return rc;
	memcpy(ask.key_id, call->key.backing_id, sizeof(ask.key_id));
	memcpy(ask.kcv, call->key.kcv, sizeof(ask.kcv));
	*out = ask;
	return SLK_OK;
}

int
kms_crypt_sealed(struct kms_call *call, const struct hsm_reply *reply, struct slk_span *out_blob)
{
	static uint8_t out[FMT_BLOB_MAX]; /* one thread */
	struct fmt_blob blob = blob_of(call);
	size_t len = 0;

	if (!kms_spec_is_symmetric(call->key.spec) &&
		reply->ciphertext.len == kms_spec_bits(call->key.spec) / 8) {
		*out_blob = reply->ciphertext;
		return SLK_OK;
	}
	memcpy(blob.iv, reply->iv, sizeof(blob.iv));
	blob.sealed = reply->ciphertext;
	if (!kms_spec_is_symmetric(call->key.spec) ||
		fmt_blob_encode(&blob, out, sizeof(out), &len) != SLK_OK) {
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"the HSM worker answered with a ciphertext of a wrong size");
		return SLK_INTERNAL;
	}
	*out_blob = slk_span(out, len);
	return SLK_OK;
}
