#include "heads.h"

#include <stdarg.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "base/log.h"
#include "call.h"
#include "digest.h"
#include "format/attest.h"

#define RETRY_NS (5 * SLK_NS_PER_S)

void
kms_heads_init(struct kms_heads *heads, struct kms_service *service, uint32_t interval_s,
	uint32_t lines_max)
{
	*heads = (struct kms_heads){.service = service,
		.interval_ns = (interval_s != 0 ? interval_s : KMS_HEADS_INTERVAL_S) * SLK_NS_PER_S,
		.lines_max = lines_max != 0 ? lines_max : KMS_HEADS_LINES,
		.mono_last_ns = slk_mono_ns(service->parts.clock)};
}

static void failed(struct kms_heads *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
failed(struct kms_heads *h, const char *fmt, ...)
{
	bool first = h->error[0] == '\0';
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(h->error, sizeof(h->error), fmt, args);
	va_end(args);
	h->mono_retry_ns = slk_mono_ns(h->service->parts.clock) + RETRY_NS;
	if (first)
		slk_warn("the audit log's head is not signed; it is tried again",
			slk_kv("error", (const char *)h->error));
}

/* --- the signature --- */

static int
base64(struct slk_span in, char *out, size_t cap)
{
	if (in.len == 0 || (in.len + 2) / 3 * 4 + 1 > cap)
		return SLK_TOO_LARGE;
	return EVP_EncodeBlock((unsigned char *)out, in.ptr, (int)in.len) > 0 ? SLK_OK
									      : SLK_INTERNAL;
}

static int
add_head(struct kms_heads *h, const struct hsm_reply *reply)
{
	char key[FMT_AUDIT_KEY_MAX + 1], signature[FMT_AUDIT_SIGNATURE_MAX + 1];
	uint8_t der[KMS_PUBLIC_KEY_MAX];
	struct kms_service *s = h->service;
	size_t der_len = 0;

	int rc =
		kms_catalog_public_key_get(s->parts.catalog, h->key.id, der, sizeof(der), &der_len);
	if (rc == SLK_OK)
		rc = base64(slk_span(der, der_len), key, sizeof(key));
	if (rc == SLK_OK)
		rc = base64(reply->output, signature, sizeof(signature));
	return rc == SLK_OK ? kms_audit_add_head(s->parts.audit, &h->of, key, signature) : rc;
}

static void
on_signed(void *arg, const struct hsm_reply *reply)
{
	struct kms_heads *h = arg;

	h->asked = false;
	int rc = reply->status == SLK_OK ? add_head(h, reply) : reply->status;
	if (rc != SLK_OK) {
		failed(h, "%s", reply->error[0] != '\0' ? reply->error : slk_status_sentence(rc));
		return;
	}
	if (h->error[0] != '\0')
		slk_info("the audit log's head is signed again");
	h->error[0] = '\0';
	h->signed_seq = h->of.seq;
	h->wall_signed_ns = slk_wall_ns(h->service->parts.clock);
	h->mono_last_ns = slk_mono_ns(h->service->parts.clock);
	h->wanted = false;
}

/* What is signed: the attestation text of the SHA-256 of the head's text. */
static int
digest_of(struct kms_heads *h, uint8_t out[KMS_DIGEST_MAX])
{
	struct kms_digests *digests = h->service->digests;
	char head[FMT_AUDIT_HEAD_TEXT_MAX];
	uint8_t text[FMT_ATTEST_TEXT_MAX], inner[KMS_DIGEST_MAX];
	size_t len = fmt_audit_head_text(&h->of, head);

	int rc = kms_digest(digests, KMS_ALG_ECDSA_SHA_256, slk_span(head, len), inner);
	if (rc == SLK_OK)
		rc = fmt_attest_text(FMT_ATTEST_AUDIT, inner, text, &len);
	return rc == SLK_OK ? kms_digest(digests, KMS_ALG_ECDSA_SHA_256, slk_span(text, len), out)
			    : rc;
}

static void
ask(struct kms_heads *h)
{
	uint8_t digest[KMS_DIGEST_MAX];
	struct hsm_request request = {.op = HSM_SIGN,
		.spec = h->key.spec,
		.usage = h->key.usage,
		.algorithm = KMS_ALG_ECDSA_SHA_256,
		.data = slk_span(digest, kms_algorithm_digest_bytes(KMS_ALG_ECDSA_SHA_256))};

	memcpy(request.key_id, h->key.backing_id, sizeof(request.key_id));
	memcpy(request.kcv, h->key.kcv, sizeof(request.kcv));
	int rc = digest_of(h, digest);
	if (rc == SLK_OK)
		rc = hsm_link_submit(h->service->parts.link, &request, on_signed, h);
	h->asked = rc == SLK_OK;
	if (rc != SLK_OK)
		failed(h, "the HSM cannot be asked: %s", slk_status_sentence(rc));
}

/* --- when --- */

/* The key, if it is there; it is begun otherwise. SLK_AGAIN: it is being made. */
static int
find_key(struct kms_heads *h)
{
	const struct hsm_health *health = &h->service->health;
	struct kms_catalog *catalog = h->service->parts.catalog;

	int rc = kms_catalog_key_appliance(catalog, KMS_USAGE_SIGN_VERIFY, &h->key);
	if (rc == SLK_NOT_FOUND && !h->last && health->state == HSM_READY) {
		if ((health->specs & KMS_BIT(KMS_SPEC_ECC_NIST_P256)) == 0 ||
			(health->algorithms & KMS_BIT(KMS_ALG_ECDSA_SHA_256)) == 0)
			return SLK_UNSUPPORTED;
		rc = kms_appliance_key(h->service, KMS_USAGE_SIGN_VERIFY, &h->key);
	}
	if (rc == SLK_OK && h->key.state == KMS_KEY_CREATING) {
		h->service->chores_wanted = true;
		kms_chores_run(h->service);
		return SLK_AGAIN;
	}
	if (rc == SLK_OK && h->key.state != KMS_KEY_ENABLED)
		return SLK_INVALID_STATE;
	return rc == SLK_OK && health->state != HSM_READY ? SLK_UNAVAILABLE : rc;
}

static bool
is_due(const struct kms_heads *h, const struct kms_audit_state *state, uint64_t now_ns)
{
	if (h->asked || state->last_seq <= h->signed_seq || state->durable.seq <= h->signed_seq ||
		(now_ns < h->mono_retry_ns && !h->last))
		return false;
	return h->wanted || now_ns - h->mono_last_ns >= h->interval_ns ||
		state->last_seq - h->signed_seq >= h->lines_max;
}

void
kms_heads_tick(struct kms_heads *heads)
{
	struct kms_service *s = heads->service;
	struct kms_audit_state state;

	if (kms_audit_rotated(s->parts.audit))
		heads->wanted = true;
	kms_audit_state(s->parts.audit, &state);
	if (!is_due(heads, &state, slk_mono_ns(s->parts.clock)))
		return;
	int rc = find_key(heads);
	if (rc == SLK_AGAIN)
		return;
	if (rc == SLK_UNSUPPORTED)
		failed(heads, "the token cannot sign with ECDSA over P-256");
	else if (rc != SLK_OK)
		failed(heads, "the attestation key is not at hand: %s", slk_status_sentence(rc));
	if (rc != SLK_OK)
		return;
	heads->of = state.durable;
	ask(heads);
}

void
kms_heads_stop(struct kms_heads *heads)
{
	heads->wanted = heads->last = true;
	kms_heads_tick(heads);
	if (!heads->asked)
		heads->wanted = false; /* it cannot be had now */
}

bool
kms_heads_quiet(const struct kms_heads *heads)
{
	return !heads->asked;
}
