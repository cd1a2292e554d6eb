#include "kmsclient/iam.h"

#include "kmsclient/convert_iam.h"
#include "kmsclient/request.h"

#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))

void
kmsc_request_who(struct kmsc_who who, Kmsp__Who *out)
{
	kmsp__who__init(out);
	if (who.is_role) {
		out->who_case = KMSP__WHO__WHO_ROLE;
		out->role = kmsc_request_text(who.name);
	} else {
		out->who_case = KMSP__WHO__WHO_USER;
		out->user = kmsc_request_text(who.name);
	}
}

/* --- answers --- */

static int
identity_from(const Kmsp__Identity *in, struct kmsc_identity *out)
{
	int rc = TEXT(SLK_OK, in->arn, out->arn);

	rc = TEXT(rc, in->name, out->name);
	rc = TEXT(rc, in->id, out->id);
	rc = TEXT(rc, in->description, out->description);
	rc = TEXT(rc, in->boundary, out->boundary);
	out->created_ns = in->created_ns;
	out->max_session_s = in->max_session_s;
	return rc;
}

static int
detail_from(const Kmsp__Identity *in, struct kmsc_identity_detail *out)
{
	int rc = in->n_tags > KMSC_TAGS_MAX ? SLK_MALFORMED : SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < in->n_tags; i++) {
		rc = TEXT(rc, in->tags[i]->key, out->tags[i].key);
		rc = TEXT(rc, in->tags[i]->value, out->tags[i].value);
	}
	rc = TEXT(rc, in->trust_policy, out->trust_policy);
	if (rc == SLK_OK)
		out->tags_count = in->n_tags;
	return rc;
}

int
kmsc_identities_from(
	const Kmsp__Identities *in, struct kmsc_identity *out, size_t cap, char *out_next)
{
	int rc = in->n_identities > cap ? SLK_MALFORMED : SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < in->n_identities; i++)
		rc = identity_from(in->identities[i], &out[i]);
	return rc == SLK_OK ? kmsc_text(in->next, out_next, KMSC_MARKER_MAX) : rc;
}

static int
call_identity(struct kmsc *c, Kmsp__Request *request, enum kmsc_repeat repeat,
	struct kmsc_identity *out, struct kmsc_identity_detail *out_detail, struct slk_error *err)
{
	struct kmsc_identity made;
	const Kmsp__Reply *reply;

	int rc = kmsc_call(c, request, repeat, KMSP__REPLY__RESULT_IDENTITY, &reply, err);
	if (rc == SLK_OK)
		rc = identity_from(reply->identity, &made);
	if (rc == SLK_OK && out_detail != NULL)
		rc = detail_from(reply->identity, out_detail);
	if (rc == SLK_OK)
		*out = made;
	return kmsc_call_end(c, rc, err);
}

/* --- users and roles --- */

int
kmsc_create_user(struct kmsc *c, const char *name, const struct kmsc_tag *tags, size_t tags_count,
	struct kmsc_identity *out_user, struct slk_error *err)
{
	Kmsp__CreateUser call = KMSP__CREATE_USER__INIT;
	struct kmsc_tag_list list;

	int rc = kmsc_request_tags(tags, tags_count, &list, err);
	if (rc != SLK_OK)
		return rc;
	call.name = kmsc_request_text(name);
	call.n_tags = tags_count;
	call.tags = list.list;
	KMSC_REQUEST(request, CREATE_USER, create_user) = &call;
	return call_identity(c, &request, KMSC_ONCE, out_user, NULL, err);
}

int
kmsc_create_role(struct kmsc *c, const struct kmsc_role_kind *kind, struct kmsc_identity *out_role,
	struct slk_error *err)
{
	Kmsp__CreateRole call = KMSP__CREATE_ROLE__INIT;
	struct kmsc_tag_list list;

	int rc = kmsc_request_tags(kind->tags, kind->tags_count, &list, err);
	if (rc != SLK_OK)
		return rc;
	call.name = kmsc_request_text(kind->name);
	call.trust_policy = kmsc_request_text(kind->trust_policy);
	call.description = kmsc_request_text(kind->description);
	call.max_session_s = kind->max_session_s;
	call.n_tags = kind->tags_count;
	call.tags = list.list;
	KMSC_REQUEST(request, CREATE_ROLE, create_role) = &call;
	return call_identity(c, &request, KMSC_ONCE, out_role, NULL, err);
}

int
kmsc_get_identity(struct kmsc *c, struct kmsc_who who, struct kmsc_identity *out_identity,
	struct kmsc_identity_detail *out_detail, struct slk_error *err)
{
	Kmsp__Who call;

	kmsc_request_who(who, &call);
	KMSC_REQUEST(request, GET_IDENTITY, get_identity) = &call;
	return call_identity(c, &request, KMSC_REPEATABLE, out_identity, out_detail, err);
}

int
kmsc_list_identities(struct kmsc *c, bool roles, const char *marker,
	struct kmsc_identity *out_identities, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__List call = KMSP__LIST__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return kmsc_no_room(err);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_USERS, list_users) = &call;
	if (roles)
		request.call_case = KMSP__REQUEST__CALL_LIST_ROLES; /* the same message */
	int rc = kmsc_call(
		c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_IDENTITIES, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_identities_from(reply->identities, out_identities, cap, out_next);
	if (rc == SLK_OK)
		*out_count = reply->identities->n_identities;
	return kmsc_call_end(c, rc, err);
}

int
kmsc_delete_identity(struct kmsc *c, struct kmsc_who who, struct slk_error *err)
{
	Kmsp__Who call;

	kmsc_request_who(who, &call);
	KMSC_REQUEST(request, DELETE_IDENTITY, delete_identity) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_tag_identity(struct kmsc *c, struct kmsc_who who, const struct kmsc_tag *tags, size_t count,
	struct slk_error *err)
{
	Kmsp__TagIdentity call = KMSP__TAG_IDENTITY__INIT;
	struct kmsc_tag_list list;
	Kmsp__Who name;

	int rc = kmsc_request_tags(tags, count, &list, err);
	if (rc != SLK_OK)
		return rc;
	kmsc_request_who(who, &name);
	call.who = &name;
	call.n_tags = count;
	call.tags = list.list;
	KMSC_REQUEST(request, TAG_IDENTITY, tag_identity) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_untag_identity(struct kmsc *c, struct kmsc_who who, const char *const *tag_keys, size_t count,
	struct slk_error *err)
{
	Kmsp__UntagIdentity call = KMSP__UNTAG_IDENTITY__INIT;
	char *list[KMSC_TAGS_MAX];
	Kmsp__Who name;

	if (count > KMSC_TAGS_MAX)
		return slk_fail(
			err, SLK_LIMIT, "there are at most %u tags, not %zu", KMSC_TAGS_MAX, count);
	for (size_t i = 0; i < count; i++)
		list[i] = kmsc_request_text(tag_keys[i]);
	kmsc_request_who(who, &name);
	call.who = &name;
	call.n_tag_keys = count;
	call.tag_keys = list;
	KMSC_REQUEST(request, UNTAG_IDENTITY, untag_identity) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_update_trust_policy(
	struct kmsc *c, const char *role, const char *document, struct slk_error *err)
{
	Kmsp__UpdateTrustPolicy call = KMSP__UPDATE_TRUST_POLICY__INIT;

	call.role = kmsc_request_text(role);
	call.policy = kmsc_request_text(document);
	KMSC_REQUEST(request, UPDATE_TRUST_POLICY, update_trust_policy) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

/* --- inline policies --- */

int
kmsc_put_inline_policy(struct kmsc *c, struct kmsc_who who, const char *name, const char *document,
	struct slk_error *err)
{
	Kmsp__PutInlinePolicy call = KMSP__PUT_INLINE_POLICY__INIT;
	Kmsp__Who whose;

	kmsc_request_who(who, &whose);
	call.who = &whose;
	call.name = kmsc_request_text(name);
	call.policy = kmsc_request_text(document);
	KMSC_REQUEST(request, PUT_INLINE_POLICY, put_inline_policy) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_get_inline_policy(struct kmsc *c, struct kmsc_who who, const char *name, char *out_document,
	struct slk_error *err)
{
	Kmsp__InlinePolicy call = KMSP__INLINE_POLICY__INIT;
	Kmsp__Who whose;

	kmsc_request_who(who, &whose);
	call.who = &whose;
	call.name = kmsc_request_text(name);
	KMSC_REQUEST(request, GET_INLINE_POLICY, get_inline_policy) = &call;
	return kmsc_call_document(c, &request, out_document, err);
}

int
kmsc_delete_inline_policy(
	struct kmsc *c, struct kmsc_who who, const char *name, struct slk_error *err)
{
	Kmsp__InlinePolicy call = KMSP__INLINE_POLICY__INIT;
	Kmsp__Who whose;

	kmsc_request_who(who, &whose);
	call.who = &whose;
	call.name = kmsc_request_text(name);
	KMSC_REQUEST(request, DELETE_INLINE_POLICY, delete_inline_policy) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_list_inline_policies(struct kmsc *c, struct kmsc_who who, const char *marker,
	char (*out_names)[KMSC_POLICY_NAME_MAX], size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListOfWho call = KMSP__LIST_OF_WHO__INIT;
	Kmsp__Who whose;

	if (cap == 0)
		return kmsc_no_room(err);
	kmsc_request_who(who, &whose);
	call.who = &whose;
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_INLINE_POLICIES, list_inline_policies) = &call;
	return kmsc_call_names(c, &request, out_names, cap, out_count, out_next, err);
}
