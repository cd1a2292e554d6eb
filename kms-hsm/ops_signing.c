/* DeriveSigningKey: what the gateway checks signatures with, and whom they are of.
 *
 *     AKIA...  the user's row -> Active? -> HSM opens the secret -> key of the day
 *     ASIA...  the token -> its session key -> opened -> not expired, of this access key, and the role is still the one
 *
 * Whoever is refused learns that the token is invalid or expired, and nothing else. A secret is in locked memory for the
 * time of the derivation, and nowhere afterwards. */
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/log.h"
#include "credentials.h"
#include "crypt.h"
#include "own.h"
#include "session_open.h"

#define USED_GRAIN_NS (15 * 60 * SLK_NS_PER_S) /* LastUsed is no more exact than this */

struct wanted {
	struct kms_sigv4_scope scope;
	char access_key_id[KMS_ACCESS_ID_MAX];
	uint8_t token[FMT_SESSION_MAX];
	size_t token_len;
};

/* --- refusals --- */

/* Services of the query protocol have other names for the same. */
static bool
speaks_query(const char *service)
{
	return strcmp(service, "sts") == 0 || strcmp(service, "iam") == 0;
}

static int
refuse_scope(struct kms_call *call, const char *service, const char *sentence)
{
	kms_call_fail(call, SLK_INVALID,
		speaks_query(service) ? "SignatureDoesNotMatch" : "InvalidSignatureException", "%s",
		sentence);
	return SLK_INVALID;
}

static int
refuse_token(struct kms_call *call, const struct wanted *w)
{
	kms_call_fail(call, SLK_DENIED,
		speaks_query(w->scope.service) ? "InvalidClientTokenId"
					       : "UnrecognizedClientException",
		"The security token included in the request is invalid.");
	return SLK_DENIED;
}

static int
refuse_expired(struct kms_call *call, const struct wanted *w)
{
	kms_call_fail(call, SLK_DENIED,
		speaks_query(w->scope.service) ? "ExpiredToken" : "ExpiredTokenException",
		"The security token included in the request is expired");
	return SLK_DENIED;
}

/* --- the request --- */

static int
take_scope(struct kms_call *call, const Kmsp__DeriveSigningKey *in, struct kms_sigv4_scope *out)
{
	if (!kms_sigv4_is_name(in->service))
		return refuse_scope(
			call, "", "Credential should be scoped to a service: 1 to 64 of a-z 0-9 -");
	if (!kms_sigv4_is_name(in->region))
		return refuse_scope(
			call, in->service, "Credential should be scoped to a valid region.");
	if (!kms_sigv4_is_near(in->date, slk_wall_ns(call->service->parts.clock)))
		return refuse_scope(call, in->service,
			"Credential should be scoped to a valid date: yesterday, today or tomorrow "
			"in UTC, as YYYYMMDD.");
	strcpy(out->date, in->date);
	strcpy(out->region, in->region);
	strcpy(out->service, in->service);
	return SLK_OK;
}

static int
take_token(struct kms_call *call, const char *text, struct wanted *w)
{
	bool temporary = strncmp(w->access_key_id, "ASIA", 4) == 0;

	if (!temporary)
		return text[0] == '\0' ? SLK_OK : refuse_token(call, w);
	return slk_base64_decode(SLK_BASE64_URL, slk_span_str(text), w->token, sizeof(w->token),
		       &w->token_len) == SLK_OK
		? SLK_OK
		: refuse_token(call, w);
}

/* --- answers --- */

struct whose {
	const char *principal, *session, *user_id;
	uint64_t expires_ns;
};

static void
answer(struct kms_call *call, const uint8_t *secret, const struct whose *whose)
{
	const struct wanted *w = call->work;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__SigningKey out = KMSP__SIGNING_KEY__INIT;
	uint8_t key[KMS_SHA256_BYTES];

	int rc = kms_sigv4_key(call->service->hmac, secret, &w->scope, key);
	if (rc != SLK_OK) {
		kms_call_fail(call, rc, "KMSInternalException", "the signing key cannot be made");
		return;
	}
	out.key = kms_bytes(slk_span(key, sizeof(key)));
	out.principal = kms_text(whose->principal);
	out.session = kms_text(whose->session);
	out.user_id = kms_text(whose->user_id);
	out.expires_ns = whose->expires_ns;
	reply.result_case = KMSP__REPLY__RESULT_SIGNING_KEY;
	reply.signing_key = &out;
	kms_call_ok(call, &reply);
	slk_wipe(key, sizeof(key));
}

/* --- access keys of users --- */

/* That it was used is worth a write now and then, and never a refusal. */
static void
note_use(struct kms_call *call, const struct kms_access_key_row *row)
{
	uint64_t now = slk_wall_ns(call->service->parts.clock);

	if (row->last_used_ns <= now && now - row->last_used_ns < USED_GRAIN_NS)
		return;
	int rc = kms_catalog_access_key_used(call->service->parts.catalog, row->id, now);
	if (rc != SLK_OK)
		slk_warn("use of an access key is not noted", slk_kv("id", (const char *)row->id),
			slk_kv("error", kms_catalog_error(call->service->parts.catalog)));
}

/* It was Active when the HSM was asked; it has to be now, too. */
static void
user_opened(struct kms_call *call, const struct hsm_reply *reply)
{
	const struct wanted *w = call->work;
	struct kms_access_key_row row;

	int rc = kms_catalog_access_key_get(call->service->parts.catalog, w->access_key_id, &row);
	if (rc == SLK_NOT_FOUND || (rc == SLK_OK && !row.active)) {
		(void)refuse_token(call, w);
		return;
	}
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	note_use(call, &row);
	const struct whose whose = {call->principal, "", call->credential.principal_id, 0};
	answer(call, reply->plaintext.ptr, &whose);
}

static void
derive_of_user(struct kms_call *call, const struct wanted *w)
{
	struct kms_access_key_row row;

	int rc = kms_catalog_access_key_get(call->service->parts.catalog, w->access_key_id, &row);
	if (rc != SLK_OK && rc != SLK_NOT_FOUND) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	if (rc == SLK_OK) {
		call->by_door = true;
		rc = kms_user_arn(&call->service->parts.realm, row.user, call->principal);
		strcpy(call->credential.principal_id, row.user_id);
		strcpy(call->resource, call->principal);
	}
	if (rc != SLK_OK || !row.active)
		(void)refuse_token(call, w);
	else if (kms_own_context_access(call, row.id, row.user_id) == SLK_OK)
		kms_own_open(call, &row.sealed, KMS_SECRET_BYTES, user_opened);
}

/* --- sessions --- */

static void
derive_of_session(struct kms_call *call)
{
	const struct wanted *w = call->work;
	struct fmt_session s;

	int rc = kms_session_open(call, slk_span(w->token, w->token_len), derive_of_session, &s);
	if (rc == SLK_OK && !slk_span_equal(s.access_key_id, slk_span_str(w->access_key_id)))
		rc = SLK_INVALID_CIPHERTEXT;
	if (rc == SLK_OK || rc == SLK_END)
		strcpy(call->resource, call->principal);
	if (rc == SLK_INVALID_CIPHERTEXT)
		(void)refuse_token(call, w);
	else if (rc == SLK_END)
		(void)refuse_expired(call, w);
	if (rc != SLK_OK)
		return;
	const struct whose whose = {call->principal, call->credential.session,
		call->credential.principal_id, s.expires_ns};
	answer(call, s.seed.ptr, &whose);
}

void
kms_op_derive_signing_key(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__DeriveSigningKey *in = request->derive_signing_key;
	struct wanted *w = kms_call_work(call, sizeof(*w));

	call->door = "gateway";
	if (w == NULL || take_scope(call, in, &w->scope) != SLK_OK)
		return;
	if (!kms_access_id_is(in->access_key_id)) {
		(void)refuse_token(call, w);
		return;
	}
	strcpy(w->access_key_id, in->access_key_id);
	strcpy(call->credential.access_key_id, in->access_key_id);
	if (take_token(call, in->session_token, w) != SLK_OK)
		return;
	if (strncmp(w->access_key_id, "ASIA", 4) == 0)
		derive_of_session(call);
	else
		derive_of_user(call, w);
}
