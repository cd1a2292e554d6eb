#include "own.h"

#include <string.h>

#include "crypt.h"

/* --- contexts --- */

static int
add_pair(struct kms_call *call, int rc, const char *key, const char *value)
{
	if (rc == SLK_OK)
		rc = fmt_context_add(call->context, slk_span_str(key), slk_span_str(value));
	if (rc != SLK_OK)
		kms_call_fail(call, rc == SLK_NO_MEMORY ? rc : SLK_INTERNAL, "KMSInternalException",
			"the context of a secret cannot be made");
	return rc;
}

static int
new_context(struct kms_call *call)
{
	fmt_context_free(call->context);
	call->context = NULL;
	return fmt_context_new(&call->context);
}

int
kms_own_context_access(struct kms_call *call, const char *id, const char *user_id)
{
	int rc = add_pair(call, new_context(call), "sealock:access-key", id);

	return rc == SLK_OK ? add_pair(call, rc, "sealock:user", user_id) : rc;
}

int
kms_own_context_session(struct kms_call *call, const uint8_t id[KMS_ID_BYTES])
{
	char hex[2 * KMS_ID_BYTES + 1];

	slk_hex(slk_span(id, KMS_ID_BYTES), hex, sizeof(hex));
	return add_pair(call, new_context(call), "sealock:session-key", hex);
}

int
kms_own_context_delivery(struct kms_call *call, const char *arn, const uint8_t id[KMS_ID_BYTES])
{
	char hex[2 * KMS_ID_BYTES + 1];

	slk_hex(slk_span(id, KMS_ID_BYTES), hex, sizeof(hex));
	int rc = add_pair(call, new_context(call), "sealock:delivery-stream", arn);
	return rc == SLK_OK ? add_pair(call, rc, "sealock:description", hex) : rc;
}

/* --- the HSM --- */

static void
check_and_go_on(struct kms_call *call, const struct hsm_reply *reply)
{
	if (reply->plaintext.len == call->bytes_wanted)
		call->own_done(call, reply);
	else
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"the HSM worker answered with a secret of a wrong size");
}

static void
make(struct kms_call *call)
{
	static uint8_t aad[FMT_BLOB_AAD_MAX]; /* one thread */
	struct hsm_request ask = {.op = HSM_GENERATE_DATA_KEY, .length = call->bytes_wanted};

	if (kms_call_appliance_key(call, KMS_USAGE_ENCRYPT_DECRYPT, make, &call->key) != SLK_OK ||
		kms_crypt_count_wrap(call, aad, &ask.aad) != SLK_OK)
		return;
	memcpy(ask.key_id, call->key.backing_id, sizeof(ask.key_id));
	memcpy(ask.kcv, call->key.kcv, sizeof(ask.kcv));
	ask.mono_deadline_ns = kms_call_hsm_deadline(call);
	kms_call_hsm(call, &ask, check_and_go_on);
}

void
kms_own_make(struct kms_call *call, uint32_t bytes, kms_call_done_fn done)
{
	call->bytes_wanted = bytes;
	call->own_done = done;
	make(call);
}

int
kms_own_sealed(struct kms_call *call, const struct hsm_reply *reply, struct kms_sealed_secret *out)
{
	struct slk_span blob;

	int rc = kms_crypt_sealed(call, reply, &blob);
	if (rc != SLK_OK)
		return rc;
	if (blob.len > sizeof(out->bytes)) {
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"the HSM worker answered with a ciphertext of a wrong size");
		return SLK_INTERNAL;
	}
	memcpy(out->bytes, blob.ptr, blob.len);
	out->len = blob.len;
	return SLK_OK;
}

/* The appliance's key that a blob names, and the generation of it. */
static int
find_key(struct kms_call *call, const struct kms_sealed_secret *sealed, struct kms_sealed *out)
{
	struct kms_catalog *catalog = call->service->parts.catalog;

	int rc = fmt_blob_decode(slk_span(sealed->bytes, sealed->len), &out->blob);
	if (rc == SLK_OK)
		rc = kms_catalog_backing_get(catalog, out->blob.backing_id, &out->backing);
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(catalog, out->blob.key_id, &out->key);
	if (rc == SLK_OK &&
		(memcmp(out->backing.key_id, out->key.id, sizeof(out->key.id)) != 0 ||
			out->key.manager != KMS_MANAGER_APPLIANCE ||
			!kms_spec_is_symmetric(out->key.spec)))
		rc = SLK_CORRUPT;
	if (rc == SLK_OK)
		return kms_call_key_usable(call, &out->key);
	if (rc == SLK_NOT_FOUND || rc == SLK_INVALID_CIPHERTEXT || rc == SLK_CORRUPT)
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"a secret in the catalog is not sealed under a key of the appliance");
	else
		kms_call_fail_catalog(call, rc);
	return rc;
}

void
kms_own_open(struct kms_call *call, const struct kms_sealed_secret *sealed, uint32_t bytes,
	kms_call_done_fn done)
{
	static uint8_t aad[FMT_BLOB_AAD_MAX]; /* one thread */
	struct kms_sealed found = {.algorithm = KMS_ALG_SYMMETRIC_DEFAULT};
	struct hsm_request ask;

	if (find_key(call, sealed, &found) != SLK_OK ||
		kms_crypt_ask_open(call, &found, call->context, aad, &ask) != SLK_OK)
		return;
	kms_crypt_name_backing(call, found.backing.id);
	call->wraps_taken = 0; /* this step counts for itself */
	call->bytes_wanted = bytes;
	call->own_done = done;
	kms_call_hsm(call, &ask, check_and_go_on);
}

void
kms_own_random(struct kms_call *call, uint32_t bytes, kms_call_done_fn done)
{
	const struct hsm_request ask = {
		.op = HSM_RANDOM, .length = bytes, .mono_deadline_ns = kms_call_hsm_deadline(call)};

	call->bytes_wanted = bytes;
	call->own_done = done;
	kms_call_hsm(call, &ask, check_and_go_on);
}
