/* ReEncrypt: from one key to another.
 *
 * Between two symmetric keys the worker does it alone (HSM_REWRAP) and the plaintext does not leave it. Where RSA takes
 * part, as source or as target, it is two calls, and the plaintext passes the front in between: from the secret memory
 * of the link's receive buffer into that of its next call, both wiped, and never into a frame. */
#include <string.h>

#include "crypt.h"

/* The appliance's key may be renewed in place: for the same stream, under its own successor. Any other way out of it
 * would give a caller what only kinesis:GetRecords gives. */
static int
check_appliance(struct kms_call *call, const struct kms_key *from)
{
	if (from->manager == KMS_MANAGER_CUSTOMER)
		return kms_call_key_direct(call, &call->key);
	if (memcmp(from->id, call->key.id, sizeof(from->id)) == 0 &&
		fmt_context_equal(call->from_context, call->context))
		return SLK_OK;
	return kms_call_key_direct(call, from);
}

static void
note_other(struct kms_call *call, const uint8_t id[KMS_ID_BYTES])
{
	memcpy(call->other_key_id, id, sizeof(call->other_key_id));
	call->facts.other_key_id = call->other_key_id;
}

/* Where the target's name leads, for kms:ReEncryptOnSameKey at the source, and without a word to the caller. Whoever names what
 * is not there is told so when the target is looked for. */
static int
note_target(struct kms_call *call, const char *text)
{
	struct kms_alias alias;
	struct kms_ref ref;

	if (kms_ref_parse(&call->service->parts.realm, text, &ref) != SLK_OK)
		return SLK_OK;
	if (ref.kind == KMS_REF_ALIAS) {
		int rc = kms_catalog_alias_get(call->service->parts.catalog, ref.alias, &alias);
		if (rc == SLK_NOT_FOUND)
			return SLK_OK;
		if (rc != SLK_OK) {
			kms_call_fail_catalog(call, rc);
			return rc;
		}
		memcpy(ref.id, alias.key_id, sizeof(ref.id));
	}
	note_other(call, ref.id);
	return SLK_OK;
}

/* The two rights, the source first; call->key is the target. */
static int
find_target(struct kms_call *call, const char *text, const struct kms_key *from)
{
	call->facts.context = call->context;
	note_other(call, from->id);
	call->facts.encryption_algorithm = kms_algorithm_name(call->algorithm);
	int rc = kms_call_find_key(call, "kms:ReEncryptTo", text, &call->key);

	if (rc == SLK_OK)
		rc = check_appliance(call, from);
	if (rc == SLK_OK)
		rc = kms_call_key_usable(call, &call->key);
	if (rc == SLK_OK)
		rc = kms_crypt_fits(
			call, &call->key, KMS_USAGE_ENCRYPT_DECRYPT, call->algorithm, "ReEncrypt");
	if (rc == SLK_OK)
		rc = kms_crypt_context_fits(call, &call->key, call->context);
	return rc;
}

/* What the audit line and the answer say of the source. */
static void
keep_source(struct kms_call *call, const struct kms_sealed *sealed)
{
	kms_arn_key(&call->service->parts.realm, sealed->key.id, call->from_arn);
	memcpy(call->from_backing_id, sealed->backing.id, sizeof(call->from_backing_id));
	kms_crypt_material(&sealed->key, sealed->backing.id, call->from_material);
}

static void
resealed(struct kms_call *call, const struct hsm_reply *reply)
{
	Kmsp__Reply out = KMSP__REPLY__INIT;
	Kmsp__ReEncrypted re = KMSP__RE_ENCRYPTED__INIT;
	char arn[KMS_ARN_MAX], material[KMS_MATERIAL_TEXT];
	struct slk_span blob;

	if (kms_crypt_sealed(call, reply, &blob) != SLK_OK)
		return;
	kms_arn_key(&call->service->parts.realm, call->key.id, arn);
	kms_crypt_material(&call->key, call->key.backing_id, material);
	re.blob = kms_bytes(blob);
	re.source_key_arn = call->from_arn;
	re.key_arn = arn;
	re.source_algorithm = kms_text(kms_algorithm_name(call->from_algorithm));
	re.algorithm = kms_text(kms_algorithm_name(call->algorithm));
	re.source_material_id = call->from_material;
	re.material_id = material;
	out.result_case = KMSP__REPLY__RESULT_RE_ENCRYPTED;
	out.re_encrypted = &re;
	kms_call_ok(call, &out);
}

static void
opened(struct kms_call *call, const struct hsm_reply *reply)
{
	static uint8_t aad[FMT_BLOB_AAD_MAX];
	struct hsm_request ask;

	if (reply->plaintext.len == 0) {
		kms_call_fail(call, SLK_INVALID_CIPHERTEXT, "InvalidCiphertextException", "%s", "");
		return;
	}
	if (kms_crypt_plaintext_fits(call, reply->plaintext.len) == SLK_OK &&
		kms_crypt_ask_seal(call, reply->plaintext, aad, &ask) == SLK_OK)
		kms_call_hsm(call, &ask, resealed);
}

static void
rewrap(struct kms_call *call, struct hsm_request *ask)
{
	static uint8_t aad[FMT_BLOB_AAD_MAX];

	if (kms_crypt_count_wrap(call, aad, &ask->extra) != SLK_OK)
		return;
	ask->op = HSM_REWRAP;
	memcpy(ask->to_key_id, call->key.backing_id, sizeof(ask->to_key_id));
	memcpy(ask->to_kcv, call->key.kcv, sizeof(ask->to_kcv));
	kms_call_hsm(call, ask, resealed);
}

static int
take_parameters(struct kms_call *call, const Kmsp__ReEncrypt *in)
{
	int rc = kms_crypt_algorithm(call, in->source_algorithm, KMS_USAGE_ENCRYPT_DECRYPT,
		"sourceEncryptionAlgorithm", &call->from_algorithm);

	if (rc == SLK_OK)
		rc = kms_crypt_algorithm(call, in->algorithm, KMS_USAGE_ENCRYPT_DECRYPT,
			"destinationEncryptionAlgorithm", &call->algorithm);
	if (rc == SLK_OK)
		rc = kms_call_take_context(
			call, in->source_context, in->n_source_context, &call->from_context);
	if (rc == SLK_OK)
		rc = kms_call_take_context(call, in->context, in->n_context, &call->context);
	return rc;
}

void
kms_op_re_encrypt(struct kms_call *call, const Kmsp__Request *request)
{
	static uint8_t aad[FMT_BLOB_AAD_MAX];
	const Kmsp__ReEncrypt *in = request->re_encrypt;
	struct kms_sealed sealed;
	struct hsm_request ask;

	if (take_parameters(call, in) != SLK_OK || note_target(call, in->key) != SLK_OK)
		return;
	const struct kms_sealed_names names = {in->source_key, call->from_algorithm,
		slk_span(in->blob.data, in->blob.len), call->from_context};
	if (kms_crypt_open(call, "kms:ReEncryptFrom", "ReEncrypt", &names, &sealed) != SLK_OK)
		return;
	keep_source(call, &sealed);
	if (find_target(call, in->key, &sealed.key) != SLK_OK ||
		kms_crypt_ask_open(call, &sealed, call->from_context, aad, &ask) != SLK_OK)
		return;
	if (ask.op == HSM_UNWRAP && kms_spec_is_symmetric(call->key.spec))
		rewrap(call, &ask);
	else
		kms_call_hsm(call, &ask, opened);
}
