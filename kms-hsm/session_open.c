#include "session_open.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "documents.h"

static void
copy(char *out, size_t cap, struct slk_span text)
{
	(void)snprintf(out, cap, "%.*s", (int)text.len, (const char *)text.ptr);
}

/* --- opening --- */

/* GetSessionToken's: what is called a role there is the user itself. */
static bool
is_of_user(const struct fmt_session *s)
{
	return s->name.len == 0;
}

/* Who it is, for the audit line also of a refusal. */
static void
name_session(struct kms_call *call, const struct fmt_session *s)
{
	const struct kms_realm *realm = &call->service->parts.realm;
	struct kms_audit_credential *c = &call->credential;
	char name[KMS_NAME_MAX];

	copy(name, sizeof(name), s->role);
	if ((is_of_user(s) ? kms_user_arn : kms_role_arn)(realm, name, call->principal) != SLK_OK)
		call->principal[0] = '\0';
	call->by_door = true;
	copy(c->access_key_id, sizeof(c->access_key_id), s->access_key_id);
	copy(c->principal_id, sizeof(c->principal_id), s->role_id);
	copy(c->source_identity, sizeof(c->source_identity), s->source_identity);
	if (is_of_user(s))
		return;
	kms_session_arn(realm, s->role, s->name, c->session);
	(void)snprintf(c->principal_id, sizeof(c->principal_id), "%.*s:%.*s", (int)s->role_id.len,
		(const char *)s->role_id.ptr, (int)s->name.len, (const char *)s->name.ptr);
}

/* The role is the one that was assumed, the user the one that asked, not one that came later under its name. */
static int
check_holder(struct kms_call *call, const struct fmt_session *s)
{
	struct kms_identity_row row;
	char name[KMS_NAME_MAX];

	copy(name, sizeof(name), s->role);
	int rc = kms_catalog_identity_get(
		call->service->parts.catalog, is_of_user(s) ? KMS_USER : KMS_ROLE, name, &row);
	if (rc == SLK_OK && slk_span_equal(s->role_id, slk_span_str(row.unique_id)))
		return rc;
	if (rc == SLK_OK || rc == SLK_NOT_FOUND)
		return SLK_INVALID_CIPHERTEXT;
	kms_call_fail_catalog(call, rc);
	return rc;
}

static int
open_claims(struct kms_call *call, const struct fmt_session_token *token, struct fmt_session *out)
{
	size_t len = 0;

	slk_secret_free(call->held);
	call->held = NULL;
	int rc = slk_secret_new(FMT_SESSION_CLAIMS_MAX, &call->held);
	if (rc == SLK_OK)
		rc = kms_sessions_open(
			call->service->sessions, token, slk_secret_bytes(call->held), &len);
	if (rc == SLK_BAD_TAG)
		return SLK_INVALID_CIPHERTEXT;
	if (rc != SLK_OK) {
		kms_call_fail(call, rc, "KMSInternalException", "the token cannot be opened: %s",
			slk_status_sentence(rc));
		return rc;
	}
	return fmt_session_decode(slk_span(slk_secret_peek(call->held), len), out) == SLK_OK
		? SLK_OK
		: SLK_INVALID_CIPHERTEXT;
}

int
kms_session_open(struct kms_call *call, struct slk_span token, kms_call_fn resume,
	struct fmt_session *out_session)
{
	struct fmt_session_token outside;
	struct fmt_session s;

	if (fmt_session_token_decode(token, &outside) != SLK_OK)
		return SLK_INVALID_CIPHERTEXT;
	int rc = kms_session_key_of(call, outside.key_id, resume);
	if (rc == SLK_NOT_FOUND)
		return SLK_INVALID_CIPHERTEXT;
	if (rc == SLK_OK)
		rc = open_claims(call, &outside, &s);
	if (rc != SLK_OK)
		return rc;
	name_session(call, &s);
	if (s.expires_ns <= slk_wall_ns(call->service->parts.clock))
		return SLK_END;
	rc = check_holder(call, &s);
	if (rc == SLK_OK)
		*out_session = s;
	return rc;
}

/* --- views --- */

struct kms_session_parts {
	struct kms_session_view view;
	struct kms_document documents[KMS_SESSION_DOCUMENTS_MAX];
	const struct pol_document *parsed[KMS_SESSION_DOCUMENTS_MAX];
	size_t count;
	struct kms_tag tags[FMT_SESSION_TAGS_MAX];
};

static int
add_document(struct kms_session_parts *p, const char *text)
{
	struct kms_document *d = &p->documents[p->count];
	struct pol_problem problem;

	int rc = kms_document_parse(text, POL_IDENTITY, d, &problem);
	if (rc == SLK_OK) {
		p->parsed[p->count++] = d->parsed;
		p->view.needs |= d->needs;
	}
	return rc;
}

/* As it is now: a managed policy that was changed acts at once, and one that is gone allows nothing. */
static int
add_managed(struct kms_call *call, struct kms_session_parts *p, struct slk_span name)
{
	static char text[KMS_DOCUMENT_MAX]; /* one thread */
	struct kms_catalog *catalog = call->service->parts.catalog;
	char name_text[KMS_POLICY_NAME_MAX];
	struct kms_policy_row row;

	copy(name_text, sizeof(name_text), name);
	int rc = kms_catalog_policy_get(catalog, name_text, &row);
	if (rc == SLK_OK)
		rc = kms_catalog_policy_text(catalog, row.id, text, sizeof(text));
	return rc == SLK_OK ? add_document(p, text) : rc;
}

static int
add_all(struct kms_call *call, struct kms_session_parts *p, const struct fmt_session *s)
{
	static char policy[FMT_SESSION_POLICY_MAX + 1]; /* one thread */
	int rc = SLK_OK;

	if (s->policy.len > 0) {
		copy(policy, sizeof(policy), s->policy);
		rc = add_document(p, policy);
	}
	for (size_t i = 0; rc == SLK_OK && i < s->policies_count; i++)
		rc = add_managed(call, p, s->policies[i]);
	for (size_t i = 0; rc == SLK_OK && i < s->tags_count; i++) {
		copy(p->tags[i].key, sizeof(p->tags[i].key), s->tag_keys[i]);
		copy(p->tags[i].value, sizeof(p->tags[i].value), s->tag_values[i]);
	}
	return rc;
}

int
kms_session_view_new(struct kms_call *call, const struct fmt_session *session,
	struct kms_session_parts **out_parts)
{
	const struct kms_audit_credential *c = &call->credential;
	struct kms_session_parts *p = calloc(1, sizeof(*p));

	int rc = p != NULL ? add_all(call, p, session) : SLK_NO_MEMORY;
	if (rc == SLK_OK) {
		p->view.arn = kms_call_who(call);
		p->view.user_id = c->principal_id;
		p->view.source_identity = c->source_identity[0] != '\0' ? c->source_identity : NULL;
		p->view.issued_ns = session->issued_ns;
		p->view.documents = p->parsed;
		p->view.documents_count = p->count;
		p->view.tags = p->tags;
		p->view.tags_count = session->tags_count;
		*out_parts = p;
		return rc;
	}
	kms_session_view_free(p);
	if (rc == SLK_NOT_FOUND || rc == SLK_MALFORMED || rc == SLK_TOO_LARGE) {
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s on resource: %s because a "
			"policy "
			"that limits the session is gone or cannot be read",
			kms_call_who(call), call->action,
			call->resource[0] != '\0' ? call->resource : "*");
		return SLK_DENIED;
	}
	if (rc == SLK_NO_MEMORY)
		kms_call_fail(call, rc, "KMSInternalException", "out of memory");
	else
		kms_call_fail_catalog(call, rc);
	return rc;
}

void
kms_session_view_free(struct kms_session_parts *parts)
{
	if (parts == NULL)
		return;
	for (size_t i = 0; i < parts->count; i++)
		kms_document_free(&parts->documents[i]);
	free(parts);
}

const struct kms_session_view *
kms_session_view(const struct kms_session_parts *parts)
{
	return &parts->view;
}
