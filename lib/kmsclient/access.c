#include "kmsclient/access.h"

#include <string.h>

#include "kmsclient/convert_iam.h"
#include "kmsclient/request.h"

#define SECRET_CHARS 40u
#define POLICIES_MAX 10u
#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))

/* --- access keys --- */

static int
access_key_from(const Kmsp__AccessKey *in, struct kmsc_access_key *out)
{
	struct kmsc_access_key key = {.active = in->active,
		.created_ns = in->created_ns,
		.last_used_ns = in->last_used_ns};

	int rc = TEXT(SLK_OK, in->id, key.id);
	rc = TEXT(rc, in->user, key.user);
	if (rc == SLK_OK)
		*out = key;
	return rc;
}

/* Text of exactly that length; 0: of any but none. */
static int
secret_from(const char *text, size_t len, struct slk_secret **out_secret)
{
	size_t got = strlen(text);

	if (got == 0 || (len != 0 && got != len))
		return SLK_MALFORMED;
	return slk_secret_from(text, got, out_secret);
}

static int
created_from(
	const Kmsp__AccessKey *in, struct kmsc_access_key *out_key, struct slk_secret **out_secret)
{
	struct slk_secret *secret = NULL;

	int rc = secret_from(in->secret, SECRET_CHARS, &secret);
	if (rc == SLK_OK)
		rc = access_key_from(in, out_key);
	if (rc == SLK_OK)
		*out_secret = secret;
	else
		slk_secret_free(secret);
	return rc;
}

int
kmsc_create_access_key(struct kmsc *c, const char *user, struct kmsc_access_key *out_key,
	struct slk_secret **out_secret, struct slk_error *err)
{
	Kmsp__UserName call = KMSP__USER_NAME__INIT;
	const Kmsp__Reply *reply;

	call.user = kmsc_request_text(user);
	KMSC_REQUEST(request, CREATE_ACCESS_KEY, create_access_key) = &call;
	int rc = kmsc_call(c, &request, KMSC_ONCE, KMSP__REPLY__RESULT_ACCESS_KEY, &reply, err);
	if (rc == SLK_OK)
		rc = created_from(reply->access_key, out_key, out_secret);
	return kmsc_call_end(c, rc, err);
}

static int
access_keys_from(
	const Kmsp__AccessKeys *in, struct kmsc_access_key *out, size_t cap, char *out_next)
{
	int rc = in->n_keys > cap ? SLK_MALFORMED : SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < in->n_keys; i++)
		rc = access_key_from(in->keys[i], &out[i]);
	return rc == SLK_OK ? kmsc_text(in->next, out_next, KMSC_ACCESS_ID_MAX) : rc;
}

int
kmsc_list_access_keys(struct kmsc *c, const char *user, const char *marker,
	struct kmsc_access_key *out_keys, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListOfUser call = KMSP__LIST_OF_USER__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return slk_fail(err, SLK_INVALID, "a page needs room for one entry");
	call.user = kmsc_request_text(user);
	call.marker = kmsc_request_text(marker);
	call.limit = cap < KMSP_PAGE_MAX ? (uint32_t)cap : KMSP_PAGE_MAX;
	KMSC_REQUEST(request, LIST_ACCESS_KEYS, list_access_keys) = &call;
	int rc = kmsc_call(
		c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_ACCESS_KEYS, &reply, err);
	if (rc == SLK_OK)
		rc = access_keys_from(reply->access_keys, out_keys, cap, out_next);
	if (rc == SLK_OK)
		*out_count = reply->access_keys->n_keys;
	return kmsc_call_end(c, rc, err);
}

int
kmsc_update_access_key(
	struct kmsc *c, const char *user, const char *id, bool active, struct slk_error *err)
{
	Kmsp__UpdateAccessKey call = KMSP__UPDATE_ACCESS_KEY__INIT;
	const Kmsp__Reply *reply;

	call.user = kmsc_request_text(user);
	call.id = kmsc_request_text(id);
	call.active = active;
	KMSC_REQUEST(request, UPDATE_ACCESS_KEY, update_access_key) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT__NOT_SET, &reply, err);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_delete_access_key(struct kmsc *c, const char *user, const char *id, struct slk_error *err)
{
	Kmsp__AccessKeyName call = KMSP__ACCESS_KEY_NAME__INIT;
	const Kmsp__Reply *reply;

	call.user = kmsc_request_text(user);
	call.id = kmsc_request_text(id);
	KMSC_REQUEST(request, DELETE_ACCESS_KEY, delete_access_key) = &call;
	int rc = kmsc_call(c, &request, KMSC_ONCE, KMSP__REPLY__RESULT__NOT_SET, &reply, err);
	return kmsc_call_end(c, rc, err);
}

/* --- sessions --- */

void
kmsc_session_wipe(struct kmsc_session *session)
{
	if (session == NULL)
		return;
	slk_secret_free(session->secret);
	slk_secret_free(session->token);
	session->secret = session->token = NULL;
}

int
kmsc_session_from(const Kmsp__Session *in, struct kmsc_session *out)
{
	struct kmsc_session s = {.expires_ns = in->expires_ns};

	int rc = TEXT(SLK_OK, in->access_key_id, s.access_key_id);
	rc = TEXT(rc, in->arn, s.arn);
	rc = TEXT(rc, in->id, s.id);
	if (rc == SLK_OK)
		rc = secret_from(in->secret_access_key, SECRET_CHARS, &s.secret);
	if (rc == SLK_OK)
		rc = secret_from(in->session_token, 0, &s.token);
	if (rc == SLK_OK)
		*out = s;
	else
		kmsc_session_wipe(&s);
	return rc;
}

/* What the lists of a request borrow. */
struct lists {
	Kmsp__Tag storage[KMSC_TAGS_MAX], *tags[KMSC_TAGS_MAX];
	char *policies[POLICIES_MAX];
};

static int
put_lists(const struct kmsc_assume *how, struct lists *l, Kmsp__AssumeRole *call,
	struct slk_error *err)
{
	if (how->tags_count > KMSC_TAGS_MAX)
		return slk_fail(err, SLK_LIMIT, "a session has at most %u tags, not %zu",
			KMSC_TAGS_MAX, how->tags_count);
	if (how->policies_count > POLICIES_MAX)
		return slk_fail(err, SLK_LIMIT,
			"a session has at most %u managed policies, not %zu", POLICIES_MAX,
			how->policies_count);
	for (size_t i = 0; i < how->tags_count; i++) {
		kmsp__tag__init(&l->storage[i]);
		l->storage[i].key = kmsc_request_text(how->tags[i].key);
		l->storage[i].value = kmsc_request_text(how->tags[i].value);
		l->tags[i] = &l->storage[i];
	}
	for (size_t i = 0; i < how->policies_count; i++)
		l->policies[i] = kmsc_request_text(how->policies[i]);
	call->n_tags = how->tags_count;
	call->tags = l->tags;
	call->n_policies = how->policies_count;
	call->policies = l->policies;
	return SLK_OK;
}

int
kmsc_assume_role(struct kmsc *c, const struct kmsc_assume *how, struct kmsc_session *out_session,
	struct slk_error *err)
{
	Kmsp__AssumeRole call = KMSP__ASSUME_ROLE__INIT;
	const Kmsp__Reply *reply;
	struct lists lists;

	int rc = put_lists(how, &lists, &call, err);
	if (rc != SLK_OK)
		return rc;
	call.role = kmsc_request_text(how->role);
	call.session_name = kmsc_request_text(how->session_name);
	call.duration_s = how->duration_s;
	call.external_id = kmsc_request_text(how->external_id);
	call.policy = kmsc_request_text(how->policy);
	call.source_identity = kmsc_request_text(how->source_identity);
	KMSC_REQUEST(request, ASSUME_ROLE, assume_role) = &call;
	rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_SESSION, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_session_from(reply->session, out_session);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_authorize_session(struct kmsc *c, const char *token, const char *action,
	const char *resource_arn, const char *source_ip, bool over_tls, struct slk_error *err)
{
	Kmsp__Authorize call = KMSP__AUTHORIZE__INIT;
	const Kmsp__Reply *reply;

	call.caller_case = KMSP__AUTHORIZE__CALLER_SESSION_TOKEN;
	call.session_token = kmsc_request_text(token);
	call.action = kmsc_request_text(action);
	call.resource = kmsc_request_text(resource_arn);
	call.source_ip = kmsc_request_text(source_ip);
	call.over_tls = over_tls;
	KMSC_REQUEST(request, AUTHORIZE, authorize) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT__NOT_SET, &reply, err);
	return kmsc_call_end(c, rc, err);
}

/* --- signing keys --- */

static int
signing_key_from(const Kmsp__SigningKey *in, struct kmsc_signing_key *out)
{
	struct kmsc_signing_key key = {.expires_ns = in->expires_ns};

	if (in->key.len != KMSC_SIGNING_KEY_BYTES)
		return SLK_MALFORMED;
	int rc = TEXT(SLK_OK, in->principal, key.principal);
	rc = TEXT(rc, in->session, key.session);
	rc = TEXT(rc, in->user_id, key.user_id);
	if (rc == SLK_OK)
		rc = slk_secret_from(in->key.data, in->key.len, &key.key);
	if (rc == SLK_OK)
		*out = key;
	return rc;
}

int
kmsc_derive_signing_key(struct kmsc *c, const struct kmsc_scope *scope,
	struct kmsc_signing_key *out_key, struct slk_error *err)
{
	Kmsp__DeriveSigningKey call = KMSP__DERIVE_SIGNING_KEY__INIT;
	const Kmsp__Reply *reply;

	call.access_key_id = kmsc_request_text(scope->access_key_id);
	call.date = kmsc_request_text(scope->date);
	call.region = kmsc_request_text(scope->region);
	call.service = kmsc_request_text(scope->service);
	call.session_token = kmsc_request_text(scope->session_token);
	KMSC_REQUEST(request, DERIVE_SIGNING_KEY, derive_signing_key) = &call;
	int rc = kmsc_call(
		c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_SIGNING_KEY, &reply, err);
	if (rc == SLK_OK)
		rc = signing_key_from(reply->signing_key, out_key);
	return kmsc_call_end(c, rc, err);
}
