#include "kmsclient/policies.h"

#include "kmsclient/convert_iam.h"
#include "kmsclient/request.h"

#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))

/* --- answers --- */

static int
policy_from(const Kmsp__Document *in, struct kmsc_policy *out)
{
	int rc = TEXT(SLK_OK, in->name, out->name);

	rc = TEXT(rc, in->arn, out->arn);
	rc = TEXT(rc, in->description, out->description);
	out->created_ns = in->created_ns;
	out->changed_ns = in->changed_ns;
	out->attachments_count = in->attachments_count;
	return rc;
}

static int
call_policy(struct kmsc *c, Kmsp__Request *request, enum kmsc_repeat repeat,
	struct kmsc_policy *out, char *out_document, struct slk_error *err)
{
	struct kmsc_policy made;
	const Kmsp__Reply *reply;

	int rc = kmsc_call(c, request, repeat, KMSP__REPLY__RESULT_DOCUMENT, &reply, err);
	if (rc == SLK_OK)
		rc = policy_from(reply->document, &made);
	if (rc == SLK_OK && out_document != NULL)
		rc = kmsc_text(reply->document->text, out_document, KMSC_DOCUMENT_MAX);
	if (rc == SLK_OK)
		*out = made;
	return kmsc_call_end(c, rc, err);
}

int
kmsc_call_document(struct kmsc *c, Kmsp__Request *request, char *out_text, struct slk_error *err)
{
	const Kmsp__Reply *reply;

	int rc = kmsc_call(c, request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_DOCUMENT, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_text(reply->document->text, out_text, KMSC_DOCUMENT_MAX);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_call_names(struct kmsc *c, Kmsp__Request *request, char (*out_names)[KMSC_POLICY_NAME_MAX],
	size_t cap, size_t *out_count, char *out_next, struct slk_error *err)
{
	const Kmsp__Reply *reply;

	int rc = kmsc_call(c, request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_NAMES, &reply, err);
	if (rc == SLK_OK && reply->names->n_names > cap)
		rc = SLK_MALFORMED;
	for (size_t i = 0; rc == SLK_OK && i < reply->names->n_names; i++)
		rc = TEXT(rc, reply->names->names[i], out_names[i]);
	if (rc == SLK_OK)
		rc = kmsc_text(reply->names->next, out_next, KMSC_MARKER_MAX);
	if (rc == SLK_OK)
		*out_count = reply->names->n_names;
	return kmsc_call_end(c, rc, err);
}

static int
call_policies(struct kmsc *c, Kmsp__Request *request, struct kmsc_policy *out, size_t cap,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	const Kmsp__Reply *reply;

	int rc = kmsc_call(c, request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_POLICIES, &reply, err);
	if (rc == SLK_OK && reply->policies->n_policies > cap)
		rc = SLK_MALFORMED;
	for (size_t i = 0; rc == SLK_OK && i < reply->policies->n_policies; i++)
		rc = policy_from(reply->policies->policies[i], &out[i]);
	if (rc == SLK_OK)
		rc = kmsc_text(reply->policies->next, out_next, KMSC_MARKER_MAX);
	if (rc == SLK_OK)
		*out_count = reply->policies->n_policies;
	return kmsc_call_end(c, rc, err);
}

/* --- managed policies --- */

int
kmsc_create_policy(struct kmsc *c, const char *name, const char *document, const char *description,
	struct kmsc_policy *out_policy, struct slk_error *err)
{
	Kmsp__CreatePolicy call = KMSP__CREATE_POLICY__INIT;

	call.name = kmsc_request_text(name);
	call.policy = kmsc_request_text(document);
	call.description = kmsc_request_text(description);
	KMSC_REQUEST(request, CREATE_POLICY, create_policy) = &call;
	return call_policy(c, &request, KMSC_ONCE, out_policy, NULL, err);
}

int
kmsc_get_policy(struct kmsc *c, const char *policy, struct kmsc_policy *out_policy,
	char *out_document, struct slk_error *err)
{
	Kmsp__PolicyName call = KMSP__POLICY_NAME__INIT;

	call.policy = kmsc_request_text(policy);
	KMSC_REQUEST(request, GET_POLICY, get_policy) = &call;
	return call_policy(c, &request, KMSC_REPEATABLE, out_policy, out_document, err);
}

int
kmsc_update_policy(struct kmsc *c, const char *policy, const char *document,
	struct kmsc_policy *out_policy, struct slk_error *err)
{
	Kmsp__UpdatePolicy call = KMSP__UPDATE_POLICY__INIT;

	call.policy = kmsc_request_text(policy);
	call.document = kmsc_request_text(document);
	KMSC_REQUEST(request, UPDATE_POLICY, update_policy) = &call;
	return call_policy(c, &request, KMSC_REPEATABLE, out_policy, NULL, err);
}

int
kmsc_delete_policy(struct kmsc *c, const char *policy, struct slk_error *err)
{
	Kmsp__PolicyName call = KMSP__POLICY_NAME__INIT;

	call.policy = kmsc_request_text(policy);
	KMSC_REQUEST(request, DELETE_POLICY, delete_policy) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_list_policies(struct kmsc *c, const char *marker, struct kmsc_policy *out_policies, size_t cap,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	Kmsp__List call = KMSP__LIST__INIT;

	if (cap == 0)
		return kmsc_no_room(err);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_POLICIES, list_policies) = &call;
	return call_policies(c, &request, out_policies, cap, out_count, out_next, err);
}

/* --- who holds them --- */

int
kmsc_attach_policy(struct kmsc *c, struct kmsc_who who, const char *policy, struct slk_error *err)
{
	Kmsp__Attachment call = KMSP__ATTACHMENT__INIT;
	Kmsp__Who holder;

	kmsc_request_who(who, &holder);
	call.who = &holder;
	call.policy = kmsc_request_text(policy);
	KMSC_REQUEST(request, ATTACH_POLICY, attach_policy) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_detach_policy(struct kmsc *c, struct kmsc_who who, const char *policy, struct slk_error *err)
{
	Kmsp__Attachment call = KMSP__ATTACHMENT__INIT;
	Kmsp__Who holder;

	kmsc_request_who(who, &holder);
	call.who = &holder;
	call.policy = kmsc_request_text(policy);
	KMSC_REQUEST(request, DETACH_POLICY, detach_policy) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_list_attached_policies(struct kmsc *c, struct kmsc_who who, const char *marker,
	struct kmsc_policy *out_policies, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListOfWho call = KMSP__LIST_OF_WHO__INIT;
	Kmsp__Who holder;

	if (cap == 0)
		return kmsc_no_room(err);
	kmsc_request_who(who, &holder);
	call.who = &holder;
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_ATTACHED_POLICIES, list_attached_policies) = &call;
	return call_policies(c, &request, out_policies, cap, out_count, out_next, err);
}

int
kmsc_list_policy_holders(struct kmsc *c, const char *policy, const char *marker,
	struct kmsc_identity *out_identities, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListOfPolicy call = KMSP__LIST_OF_POLICY__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return kmsc_no_room(err);
	call.policy = kmsc_request_text(policy);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_POLICY_HOLDERS, list_policy_holders) = &call;
	int rc = kmsc_call(
		c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_IDENTITIES, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_identities_from(reply->identities, out_identities, cap, out_next);
	if (rc == SLK_OK)
		*out_count = reply->identities->n_identities;
	return kmsc_call_end(c, rc, err);
}

int
kmsc_put_boundary(struct kmsc *c, struct kmsc_who who, const char *policy, struct slk_error *err)
{
	Kmsp__Attachment call = KMSP__ATTACHMENT__INIT;
	Kmsp__Who holder;

	kmsc_request_who(who, &holder);
	call.who = &holder;
	call.policy = kmsc_request_text(policy);
	KMSC_REQUEST(request, PUT_BOUNDARY, put_boundary) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_delete_boundary(struct kmsc *c, struct kmsc_who who, struct slk_error *err)
{
	Kmsp__Who call;

	kmsc_request_who(who, &call);
	KMSC_REQUEST(request, DELETE_BOUNDARY, delete_boundary) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

/* --- of keys and of streams --- */

int
kmsc_put_key_policy(struct kmsc *c, const char *key_id, const char *document,
	bool bypass_lockout_check, struct slk_error *err)
{
	Kmsp__PutKeyPolicy call = KMSP__PUT_KEY_POLICY__INIT;

	call.key = kmsc_request_text(key_id);
	call.policy = kmsc_request_text(document);
	call.bypass_lockout_check = bypass_lockout_check;
	KMSC_REQUEST(request, PUT_KEY_POLICY, put_key_policy) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_get_key_policy(struct kmsc *c, const char *key_id, char *out_document, struct slk_error *err)
{
	Kmsp__KeyPolicy call = KMSP__KEY_POLICY__INIT;

	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, GET_KEY_POLICY, get_key_policy) = &call;
	return kmsc_call_document(c, &request, out_document, err);
}

int
kmsc_list_key_policies(struct kmsc *c, const char *key_id, const char *marker,
	char (*out_names)[KMSC_POLICY_NAME_MAX], size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListOfKey call = KMSP__LIST_OF_KEY__INIT;

	if (cap == 0)
		return kmsc_no_room(err);
	call.key = kmsc_request_text(key_id);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_KEY_POLICIES, list_key_policies) = &call;
	return kmsc_call_names(c, &request, out_names, cap, out_count, out_next, err);
}

int
kmsc_put_resource_policy(
	struct kmsc *c, const char *stream, const char *document, struct slk_error *err)
{
	Kmsp__PutResourcePolicy call = KMSP__PUT_RESOURCE_POLICY__INIT;

	call.stream = kmsc_request_text(stream);
	call.policy = kmsc_request_text(document);
	KMSC_REQUEST(request, PUT_RESOURCE_POLICY, put_resource_policy) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_get_resource_policy(
	struct kmsc *c, const char *stream, char *out_document, struct slk_error *err)
{
	Kmsp__StreamName call = KMSP__STREAM_NAME__INIT;

	call.stream = kmsc_request_text(stream);
	KMSC_REQUEST(request, GET_RESOURCE_POLICY, get_resource_policy) = &call;
	return kmsc_call_document(c, &request, out_document, err);
}

int
kmsc_delete_resource_policy(struct kmsc *c, const char *stream, struct slk_error *err)
{
	Kmsp__StreamName call = KMSP__STREAM_NAME__INIT;

	call.stream = kmsc_request_text(stream);
	KMSC_REQUEST(request, DELETE_RESOURCE_POLICY, delete_resource_policy) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}
