#include "kmsclient/caller.h"

#include "kmsclient/convert.h"
#include "kmsclient/convert_iam.h"
#include "kmsclient/request.h"

#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))

int
kmsc_authorize_caller(struct kmsc *c, const char *action, const char *resource_arn,
	const struct fmt_context *context, struct slk_error *err)
{
	Kmsp__Authorize call = KMSP__AUTHORIZE__INIT;
	struct kmsc_pairs pairs;

	kmsc_request_pairs(context, &pairs);
	call.action = kmsc_request_text(action);
	call.resource = kmsc_request_text(resource_arn);
	call.context = pairs.list;
	call.n_context = pairs.count;
	KMSC_REQUEST(request, AUTHORIZE, authorize) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

static int
identity_from(const Kmsp__CallerIdentity *in, struct kmsc_caller_identity *out)
{
	struct kmsc_caller_identity identity;

	int rc = TEXT(SLK_OK, in->arn, identity.arn);
	rc = TEXT(rc, in->user_id, identity.user_id);
	rc = TEXT(rc, in->account, identity.account);
	if (rc == SLK_OK)
		*out = identity;
	return rc;
}

int
kmsc_get_caller_identity(
	struct kmsc *c, struct kmsc_caller_identity *out_identity, struct slk_error *err)
{
	Kmsp__Nothing call = KMSP__NOTHING__INIT;
	const Kmsp__Reply *reply;

	KMSC_REQUEST(request, GET_CALLER_IDENTITY, get_caller_identity) = &call;
	int rc = kmsc_call(
		c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_CALLER_IDENTITY, &reply, err);
	if (rc == SLK_OK)
		rc = identity_from(reply->caller_identity, out_identity);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_get_session_token(struct kmsc *c, uint32_t duration_s, struct kmsc_session *out_session,
	struct slk_error *err)
{
	Kmsp__GetSessionToken call = KMSP__GET_SESSION_TOKEN__INIT;
	const Kmsp__Reply *reply;

	call.duration_s = duration_s;
	KMSC_REQUEST(request, GET_SESSION_TOKEN, get_session_token) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_SESSION, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_session_from(reply->session, out_session);
	return kmsc_call_end(c, rc, err);
}
