/* Session keys on their way from the catalog into memory, and names of credentials. */
#include <stdio.h>
#include <string.h>

#include "credentials.h"
#include "own.h"

#define KEY_AGE_MAX_NS (30 * KMS_DAY_NS) /* far more than a session lasts: the one before is kept */

/* --- names --- */

static bool
is_of(const char *text, size_t min, size_t max, const char *characters)
{
	size_t len = strlen(text);

	return len >= min && len <= max && strspn(text, characters) == len;
}

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define NAME UPPER DIGITS "abcdefghijklmnopqrstuvwxyz_+=,.@-"

int
kms_access_id_new(const char *prefix, char out[KMS_ACCESS_ID_MAX])
{
	static const char base32[] = UPPER "234567";
	uint8_t random[KMS_ACCESS_ID_MAX - 5];

	int rc = slk_random(random, sizeof(random));
	if (rc != SLK_OK)
		return rc;
	memcpy(out, prefix, 4);
	for (size_t i = 0; i < sizeof(random); i++)
		out[4 + i] = base32[random[i] & 31];
	out[KMS_ACCESS_ID_MAX - 1] = '\0';
	return SLK_OK;
}

bool
kms_access_id_is(const char *text)
{
	return is_of(text, KMS_ACCESS_ID_MAX - 1, KMS_ACCESS_ID_MAX - 1, UPPER DIGITS);
}

bool
kms_identity_name_is(const char *text)
{
	return is_of(text, 1, KMS_NAME_MAX - 1, NAME);
}

bool
kms_session_name_is(const char *text)
{
	return is_of(text, 2, 64, NAME);
}

static int
iam_arn(const struct kms_realm *realm, const char *kind, const char *name, char *out)
{
	int len = snprintf(out, KMS_ARN_MAX, "arn:aws:iam::%s:%s/%s", realm->account, kind, name);

	return len > 0 && (size_t)len < KMS_ARN_MAX ? SLK_OK : SLK_INVALID;
}

int
kms_user_arn(const struct kms_realm *realm, const char *name, char out[KMS_ARN_MAX])
{
	return iam_arn(realm, "user", name, out);
}

int
kms_role_arn(const struct kms_realm *realm, const char *name, char out[KMS_ARN_MAX])
{
	return iam_arn(realm, "role", name, out);
}

void
kms_session_arn(const struct kms_realm *realm, struct slk_span role, struct slk_span name,
	char out[KMS_ARN_MAX])
{
	(void)snprintf(out, KMS_ARN_MAX, "arn:aws:sts::%s:assumed-role/%.*s/%.*s", realm->account,
		(int)role.len, (const char *)role.ptr, (int)name.len, (const char *)name.ptr);
}

/* --- keys --- */

/* The secret is there. Its context was this step's; the audit line is about what the call is for. */
static void
go_on(struct kms_call *call, const uint8_t *id, const struct hsm_reply *reply)
{
	int rc = kms_sessions_take(call->service->sessions, id, reply->plaintext.ptr);

	if (rc != SLK_OK) {
		kms_call_fail(call, rc, "KMSInternalException",
			"out of (locked) memory for session keys");
		return;
	}
	fmt_context_free(call->context);
	call->context = NULL;
	call->has_backing = false;
	call->session_resume(call);
}

static void
opened(struct kms_call *call, const struct hsm_reply *reply)
{
	go_on(call, call->session_key.id, reply);
}

static int
load(struct kms_call *call, kms_call_fn resume)
{
	if (kms_sessions_has(call->service->sessions, call->session_key.id))
		return SLK_OK;
	call->session_resume = resume;
	if (kms_own_context_session(call, call->session_key.id) == SLK_OK)
		kms_own_open(call, &call->session_key.sealed, KMS_SESSION_KEY_BYTES, opened);
	return SLK_UNAVAILABLE;
}

static bool
is_fresh(const struct kms_session_key_row *row, uint64_t wall_ns)
{
	return row->created_ns + KEY_AGE_MAX_NS > wall_ns;
}

/* The HSM made one. If another call was first meanwhile, its key is the newest, and this one is forgotten. */
static void
made(struct kms_call *call, const struct hsm_reply *reply)
{
	struct kms_catalog *catalog = call->service->parts.catalog;
	struct kms_session_key_row newest;

	int rc = kms_catalog_session_key_get(catalog, NULL, &newest);
	if (rc == SLK_OK && is_fresh(&newest, call->session_key.created_ns)) {
		call->session_resume(call);
		return;
	}
	if (rc != SLK_OK && rc != SLK_NOT_FOUND) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	if (kms_own_sealed(call, reply, &call->session_key.sealed) != SLK_OK)
		return;
	rc = kms_catalog_session_key_add(catalog, &call->session_key);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		go_on(call, call->session_key.id, reply);
}

static void
make(struct kms_call *call, kms_call_fn resume, uint64_t wall_ns)
{
	call->session_resume = resume;
	call->session_key.created_ns = wall_ns;
	if (slk_random(call->session_key.id, sizeof(call->session_key.id)) != SLK_OK)
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException", "no random bytes");
	else if (kms_own_context_session(call, call->session_key.id) == SLK_OK)
		kms_own_make(call, KMS_SESSION_KEY_BYTES, made);
}

int
kms_session_key_newest(struct kms_call *call, kms_call_fn resume, uint8_t out_id[KMS_ID_BYTES])
{
	struct kms_catalog *catalog = call->service->parts.catalog;
	uint64_t now = slk_wall_ns(call->service->parts.clock);

	int rc = kms_catalog_session_key_get(catalog, NULL, &call->session_key);
	if (rc == SLK_NOT_FOUND || (rc == SLK_OK && !is_fresh(&call->session_key, now))) {
		make(call, resume, now);
		return SLK_UNAVAILABLE;
	}
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	rc = load(call, resume);
	if (rc == SLK_OK)
		memcpy(out_id, call->session_key.id, KMS_ID_BYTES);
	return rc;
}

int
kms_session_key_of(struct kms_call *call, const uint8_t id[KMS_ID_BYTES], kms_call_fn resume)
{
	int rc = kms_catalog_session_key_get(call->service->parts.catalog, id, &call->session_key);

	if (rc == SLK_OK)
		return load(call, resume);
	if (rc != SLK_NOT_FOUND)
		kms_call_fail_catalog(call, rc);
	return rc;
}
