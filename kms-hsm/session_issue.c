#include "session_issue.h"

#include <string.h>

#include "base/base64.h"
#include "crypt.h"
#include "own.h"

#define CLAIMS_FIXED 600u /* of the claims, beside policies and tags */

/* --- claims --- */

static void
too_large(struct kms_call *call, const struct fmt_session *s)
{
	size_t len = s->policy.len;

	for (size_t i = 0; i < s->policies_count; i++)
		len += 2 + s->policies[i].len;
	for (size_t i = 0; i < s->tags_count; i++)
		len += 4 + s->tag_keys[i].len + s->tag_values[i].len;
	kms_call_fail(call, SLK_INVALID, "PackedPolicyTooLargeException",
		"Packed size of session policies and tags consumes %zu%% of allotted space.",
		len * 100 / (FMT_SESSION_CLAIMS_MAX - CLAIMS_FIXED));
}

static int
pack(struct kms_call *call, const struct fmt_session *s)
{
	struct kms_session_issue *issue = call->work;

	int rc = slk_secret_new(FMT_SESSION_CLAIMS_MAX, &call->held);
	if (rc == SLK_OK)
		rc = fmt_session_encode(s, slk_secret_bytes(call->held), FMT_SESSION_CLAIMS_MAX,
			&issue->claims_len);
	if (rc == SLK_TOO_LARGE)
		too_large(call, s);
	else if (rc == SLK_NO_MEMORY)
		kms_call_fail(call, rc, "KMSInternalException", "out of (locked) memory");
	else if (rc != SLK_OK)
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"the session's claims cannot be written: %s", slk_status_sentence(rc));
	return rc;
}

int
kms_session_claim(struct kms_call *call, struct fmt_session *session, uint32_t duration_s)
{
	static const uint8_t no_seed[FMT_SESSION_SEED_BYTES];
	struct kms_session_issue *issue = call->work;

	int rc = kms_access_id_new("ASIA", call->issued.access_key_id);
	if (rc != SLK_OK) {
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException", "no random bytes");
		return rc;
	}
	session->issued_ns = slk_wall_ns(call->service->parts.clock);
	session->expires_ns = session->issued_ns + duration_s * SLK_NS_PER_S;
	session->access_key_id = slk_span_str(call->issued.access_key_id);
	session->seed = slk_span(no_seed, sizeof(no_seed));
	issue->expires_ns = session->expires_ns;
	return pack(call, session);
}

/* --- the answer --- */

static void
answer(struct kms_call *call, const char *token, struct slk_span seed)
{
	const struct kms_session_issue *issue = call->work;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Session out = KMSP__SESSION__INIT;
	char secret[KMS_SECRET_CHARS + 1];

	if (slk_base64_encode(SLK_BASE64, seed, secret, sizeof(secret)) != SLK_OK) {
		kms_call_fail(
			call, SLK_INTERNAL, "KMSInternalException", "the secret has a wrong size");
		return;
	}
	out.access_key_id = call->issued.access_key_id;
	out.secret_access_key = secret;
	out.session_token = kms_text(token);
	out.expires_ns = issue->expires_ns;
	out.arn = call->issued.session[0] != '\0' ? call->issued.session : call->principal;
	out.id = call->issued.principal_id;
	reply.result_case = KMSP__REPLY__RESULT_SESSION;
	reply.session = &out;
	kms_call_ok(call, &reply);
	slk_wipe(secret, sizeof(secret));
}

static void
drawn(struct kms_call *call, const struct hsm_reply *reply)
{
	static char token[FMT_SESSION_TEXT_MAX]; /* one thread; sealed */
	const struct kms_session_issue *issue = call->work;
	uint8_t *claims = slk_secret_bytes(call->held);

	memcpy(claims + FMT_SESSION_SEED_AT, reply->plaintext.ptr, FMT_SESSION_SEED_BYTES);
	int rc = kms_sessions_seal(call->service->sessions, issue->key_id,
		slk_span(claims, issue->claims_len), token, sizeof(token));
	if (rc == SLK_OK)
		answer(call, token, reply->plaintext);
	else
		kms_call_fail(call, rc == SLK_NO_MEMORY ? rc : SLK_UNAVAILABLE,
			"KMSInternalException", "the session token cannot be sealed: %s; try again",
			slk_status_sentence(rc));
}

void
kms_session_draw(struct kms_call *call)
{
	struct kms_session_issue *issue = call->work;

	if (kms_session_key_newest(call, kms_session_draw, issue->key_id) == SLK_OK)
		kms_own_random(call, FMT_SESSION_SEED_BYTES, drawn);
}
