/* GetCallerIdentity and GetSessionToken: of the caller itself, so no policy is asked.
 *
 * Credentials of GetSessionToken are the user's own, and what they may do is what the user may. A session's do not beget more. */
#include <stdio.h>
#include <string.h>

#include "crypt.h"
#include "session_issue.h"

#define DURATION_MIN_S 900u
#define DURATION_MAX_S 129600u
#define DURATION_DEFAULT_S 43200u

void
kms_op_get_caller_identity(struct kms_call *call, const Kmsp__Request *request)
{
	const struct kms_identity *who = kms_iam_find(call->service->iam, call->principal);
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__CallerIdentity out = KMSP__CALLER_IDENTITY__INIT;
	const char *id = call->credential.principal_id;

	(void)request;
	if (who == NULL) { /* it has gone since the call began */
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s because the principal is not "
			"known",
			kms_call_who(call), call->action);
		return;
	}
	if (id[0] == '\0')
		id = who->type == KMS_IS_ROOT ? who->account : who->unique_id;
	out.arn = kms_text(kms_call_who(call));
	out.user_id = kms_text(id);
	out.account = kms_text(who->account);
	reply.result_case = KMSP__REPLY__RESULT_CALLER_IDENTITY;
	reply.caller_identity = &out;
	kms_call_ok(call, &reply);
}

/* --- GetSessionToken --- */

static int
refuse(struct kms_call *call, const char *because)
{
	kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
		"User: %s is not authorized to perform: %s because %s", kms_call_who(call),
		call->action, because);
	return SLK_DENIED;
}

static int
find_user(struct kms_call *call, struct kms_identity_row *out)
{
	const struct kms_identity *who = kms_iam_find(call->service->iam, call->principal);

	if (call->session != NULL)
		return refuse(call, "session credentials beget no others");
	if (who == NULL || who->type != KMS_IS_USER)
		return refuse(call, "only a user has session tokens of its own");
	if (!who->in_catalog)
		return refuse(call,
			"kmsd.yaml alone knows this user; 'sealock iam user create' "
			"gives it what credentials hang on");
	int rc = kms_catalog_identity_get(call->service->parts.catalog, KMS_USER, who->name, out);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	return rc;
}

static int
take_duration(struct kms_call *call, uint32_t asked_s, uint32_t *out_s)
{
	*out_s = asked_s != 0 ? asked_s : DURATION_DEFAULT_S;
	if (*out_s >= DURATION_MIN_S && *out_s <= DURATION_MAX_S)
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"1 validation error detected: Value '%u' at 'durationSeconds' failed to satisfy "
		"constraint: Member must have value %s than or equal to %u",
		asked_s, *out_s < DURATION_MIN_S ? "greater" : "less",
		*out_s < DURATION_MIN_S ? DURATION_MIN_S : DURATION_MAX_S);
	return SLK_INVALID;
}

void
kms_op_get_session_token(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_session_issue *issue = kms_call_work(call, sizeof(*issue));
	struct kms_identity_row user;
	uint32_t duration_s = 0;

	if (issue == NULL ||
		take_duration(call, request->get_session_token->duration_s, &duration_s) !=
			SLK_OK ||
		find_user(call, &user) != SLK_OK)
		return;
	(void)strcpy(call->issued.principal_id, user.unique_id);
	(void)strcpy(call->resource, call->principal);
	struct fmt_session s = {.role_id = slk_span_str(user.unique_id),
		.role = slk_span_str(user.name),
		.name = slk_span_str(""),
		.source_identity = slk_span_str(""),
		.caller = slk_span_str(call->principal),
		.policy = slk_span_str("")};
	if (kms_session_claim(call, &s, duration_s) == SLK_OK)
		kms_session_draw(call);
}
