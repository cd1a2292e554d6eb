/* Attest: the appliance signs that it saw a digest for a purpose, with an ECC_NIST_P256 key of its own (format/attest.h).
 *
 * Who may: no statement of the policy is needed, for the key is nobody's and signs this one text only; a Deny wins. Doors
 * may have the journal's checkpoints signed and nothing else, administrators everything but these, so that neither a
 * compromised ingestd nor an operator alone can sign in the other's name.
 *
 * With a journal's statement comes its anchor: kmsd remembers how far each lane had come, and refuses a journal that says less. */
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "catalog_anchors.h"
#include "crypt.h"
#include "digest.h"
#include "format/attest.h"

static_assert(KMS_ATTEST_PURPOSE_MAX == FMT_ATTEST_PURPOSE_MAX + 1, "with a terminator");
static_assert(KMS_ATTEST_DIGEST_BYTES == FMT_ATTEST_DIGEST_BYTES, "one digest");

static void
signed_text(struct kms_call *call, const struct hsm_reply *reply)
{
	uint8_t der[KMS_PUBLIC_KEY_MAX];
	Kmsp__Reply out = KMSP__REPLY__INIT;
	Kmsp__Signature signature = KMSP__SIGNATURE__INIT;
	char arn[KMS_ARN_MAX];
	size_t der_len = 0;

	int rc = kms_catalog_public_key_get(
		call->service->parts.catalog, call->key.id, der, sizeof(der), &der_len);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	kms_arn_key(&call->service->parts.realm, call->key.id, arn);
	signature.key_arn = arn;
	signature.signature = kms_bytes(reply->output);
	signature.algorithm = kms_text(kms_algorithm_name(KMS_ALG_ECDSA_SHA_256));
	signature.public_key = kms_bytes(slk_span(der, der_len));
	out.result_case = KMSP__REPLY__RESULT_SIGNATURE;
	out.signature = &signature;
	kms_call_ok(call, &out);
}

static void
sign(struct kms_call *call)
{
	uint8_t text[FMT_ATTEST_TEXT_MAX], digest[KMS_DIGEST_MAX];
	size_t len = 0;

	if (kms_call_appliance_key(call, KMS_USAGE_SIGN_VERIFY, sign, &call->key) != SLK_OK)
		return;
	kms_arn_key(&call->service->parts.realm, call->key.id, call->resource);
	kms_crypt_name_backing(call, call->key.backing_id);
	int rc = fmt_attest_text(call->attest_purpose, call->attest_digest, text, &len);
	if (rc == SLK_OK)
		rc = kms_digest(
			call->service->digests, KMS_ALG_ECDSA_SHA_256, slk_span(text, len), digest);
	if (rc != SLK_OK) {
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"the text to be signed cannot be made");
		return;
	}
	struct hsm_request ask = {.op = HSM_SIGN,
		.spec = call->key.spec,
		.usage = call->key.usage,
		.algorithm = KMS_ALG_ECDSA_SHA_256,
		.data = slk_span(digest, kms_algorithm_digest_bytes(KMS_ALG_ECDSA_SHA_256)),
		.mono_deadline_ns = kms_call_hsm_deadline(call)};
	memcpy(ask.key_id, call->key.backing_id, sizeof(ask.key_id));
	memcpy(ask.kcv, call->key.kcv, sizeof(ask.kcv));
	kms_call_hsm(call, &ask, signed_text);
}

/* Before a key is begun that the token could never make. */
static int
check_token(struct kms_call *call)
{
	const struct hsm_health *health = &call->service->health;
	struct kms_key key;

	int rc = kms_catalog_key_appliance(
		call->service->parts.catalog, KMS_USAGE_SIGN_VERIFY, &key);
	if (rc == SLK_OK) {
		kms_arn_key(&call->service->parts.realm, key.id, call->resource);
		if (key.state != KMS_KEY_CREATING)
			return rc;
	} else if (rc != SLK_NOT_FOUND) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	if (health->state != HSM_READY) {
		kms_call_fail(call, SLK_UNAVAILABLE, "KeyUnavailableException",
			"the HSM is not available: %s",
			health->text[0] != '\0' ? health->text : "no HSM worker is running");
		return SLK_UNAVAILABLE;
	}
	if ((health->specs & KMS_BIT(KMS_SPEC_ECC_NIST_P256)) == 0 ||
		(health->algorithms & KMS_BIT(KMS_ALG_ECDSA_SHA_256)) == 0) {
		kms_call_fail(call, SLK_UNSUPPORTED, "UnsupportedOperationException",
			"the token cannot make keys of %s or cannot sign with them, so the "
			"appliance "
			"has no attestation key",
			kms_spec_name(KMS_SPEC_ECC_NIST_P256));
		return SLK_UNSUPPORTED;
	}
	return SLK_OK;
}

static int
authorize(struct kms_call *call)
{
	bool of_doors = strcmp(call->attest_purpose, FMT_ATTEST_JOURNAL) == 0;
	unsigned needed = of_doors ? KMS_CLASS_DOOR : KMS_CLASS_ADMIN;
	char sentence[KMS_SENTENCE_MAX] = "";

	(void)strcpy(call->resource, "*");
	if (strcmp(call->attest_purpose, FMT_ATTEST_AUDIT) == 0) {
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s for the purpose %s, which is "
			"for sealock-kmsd itself only",
			call->principal, call->action, call->attest_purpose);
		return SLK_DENIED;
	}
	if ((call->classes & needed) == 0) {
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s for the purpose %s, which is "
			"for "
			"%s only",
			call->principal, call->action, call->attest_purpose,
			of_doors ? "ingestd" : "administrators");
		return SLK_DENIED;
	}
	if (of_doors)
		(void)strcpy(call->principal, KMS_SERVICE_PRINCIPAL);
	const struct kms_question q = {.principal = call->principal,
		.action = call->action,
		.resource = call->resource,
		.granted = true};
	int rc = kms_call_ask(call, &q, sentence);
	if (rc != SLK_OK)
		kms_call_deny(call, "AccessDeniedException", sentence);
	return rc;
}

/* The statement that ingestd has signed: is it of a journal that has forgotten what was signed before? The anchor moves on
 * before the signature leaves: what the statement says was durable already. */
static int
check_anchor(struct kms_call *call, const struct fmt_proof_statement *s)
{
	struct kms_catalog *catalog = call->service->parts.catalog;
	struct kms_anchor a;
	char uuid[33];

	int rc = kms_catalog_anchor_get(catalog, s->journal_uuid, s->lane, &a);
	if (rc == SLK_OK && kms_anchor_is_behind(&a, s)) {
		slk_hex(slk_span(s->journal_uuid, sizeof(s->journal_uuid)), uuid, sizeof(uuid));
		kms_call_fail(call, SLK_INVALID_STATE, "KMSInvalidStateException",
			"the journal %s was put back to an older state: its lane %u had come to "
			"position %llu of file %llu when that was signed, and now it is at %llu of "
			"%llu; records that were acknowledged are gone",
			uuid, s->lane, (unsigned long long)a.position,
			(unsigned long long)a.file_id, (unsigned long long)s->position,
			(unsigned long long)s->file_id);
		return SLK_INVALID_STATE;
	}
	const bool ahead = rc == SLK_NOT_FOUND || (rc == SLK_OK && kms_anchor_is_ahead(&a, s));
	if (rc == SLK_NOT_FOUND)
		rc = SLK_OK;
	if (rc == SLK_OK && ahead && (s->flags & FMT_PROOF_OPENING) == 0) {
		a = (struct kms_anchor){.lane = s->lane,
			.run = s->run,
			.file_id = s->file_id,
			.position = s->position,
			.made_ns = s->made_ns};
		memcpy(a.journal, s->journal_uuid, sizeof(a.journal));
		memcpy(a.hash, s->hash, sizeof(a.hash));
		rc = kms_catalog_anchor_set(catalog, &a);
	}
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	return rc;
}

static int
check_statement(struct kms_call *call, ProtobufCBinaryData raw)
{
	struct fmt_proof_statement s;
	uint8_t digest[KMS_DIGEST_MAX];

	if (raw.len == 0)
		return SLK_OK;
	int rc = strcmp(call->attest_purpose, FMT_ATTEST_JOURNAL) == 0
		? fmt_proof_statement_decode(slk_span(raw.data, raw.len), &s)
		: SLK_INVALID;
	if (rc == SLK_OK)
		rc = kms_digest(call->service->digests, KMS_ALG_ECDSA_SHA_256,
			slk_span(raw.data, raw.len), digest);
	if (rc != SLK_OK || memcmp(digest, call->attest_digest, sizeof(call->attest_digest)) != 0) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"a statement is %u bytes of a journal's proof, and the digest is of it",
			FMT_PROOF_STATEMENT_BYTES);
		return SLK_INVALID;
	}
	return check_anchor(call, &s);
}

void
kms_op_attest(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__Attest *in = request->attest;

	if (fmt_attest_purpose_check(in->purpose) != SLK_OK ||
		in->digest.len != sizeof(call->attest_digest)) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"a purpose is 1 to %u of a-z and -, and a digest is %u bytes of SHA-256",
			FMT_ATTEST_PURPOSE_MAX, FMT_ATTEST_DIGEST_BYTES);
		return;
	}
	(void)strcpy(call->attest_purpose, in->purpose);
	memcpy(call->attest_digest, in->digest.data, sizeof(call->attest_digest));
	if (authorize(call) == SLK_OK && check_token(call) == SLK_OK &&
		check_statement(call, in->statement) == SLK_OK)
		sign(call);
}
