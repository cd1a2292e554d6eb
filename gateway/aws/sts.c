/* STS: the query protocol. https://docs.aws.amazon.com/STS/latest/APIReference/ */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "aws/call.h"

#define NAMESPACE "https://sts.amazonaws.com/doc/2011-06-15/"
#define POLICY_MAX 8192u
#define LIST_MAX 50u

/* --- parameters --- */

/* *out is "" if it is absent; in the call's arena. */
static bool
parameter(struct gw_call *call, const char *name, const char **out)
{
	size_t cap = POLICY_MAX, len = 0;
	char *text = gw_call_take(call, cap);

	if (text == NULL)
		return false;
	int rc = gw_query_value(call->form, name, true, text, cap, &len);
	if (rc == SLK_NOT_FOUND)
		text[0] = '\0';
	else if (rc != SLK_OK)
		return gw_fault_set(&call->fault, "ValidationException",
			"Parameter %s is given twice, malformed or longer than %u characters", name,
			POLICY_MAX - 1);
	*out = text;
	return true;
}

static bool
seconds(struct gw_call *call, uint32_t *out)
{
	const char *text = "";
	int64_t n = 0;

	if (!parameter(call, "DurationSeconds", &text))
		return false;
	*out = 0;
	if (text[0] == '\0')
		return true;
	if (gw_number(slk_span_str(text), &n) != SLK_OK || n < 1 || n > UINT32_MAX)
		return gw_fault_set(&call->fault, "ValidationException",
			"1 validation error detected: Value '%.32s' at 'durationSeconds' failed to "
			"satisfy "
			"constraint: Member must have value greater than or equal to 900",
			text);
	*out = (uint32_t)n;
	return true;
}

static bool
needed(struct gw_call *call, const char *name, const char *lower, const char **out)
{
	return parameter(call, name, out) &&
		((*out)[0] != '\0' ||
			gw_fault_set(&call->fault, "ValidationException",
				"1 validation error detected: Value null at '%s' failed to satisfy "
				"constraint: Member must not be null",
				lower));
}

/* --- answers --- */

static void
raw(struct gw_call *call, const char *text)
{
	gw_write_raw(&call->w, text, strlen(text));
}

static void
element(struct gw_call *call, const char *name, const char *text)
{
	raw(call, "<");
	raw(call, name);
	raw(call, ">");
	gw_xml_text(&call->w, text);
	raw(call, "</");
	raw(call, name);
	raw(call, ">");
}

static bool
begin_answer(struct gw_call *call, bool secret)
{
	if (!gw_call_write(call, 0, secret)) {
		gw_call_fail(call);
		return false;
	}
	raw(call, "<");
	raw(call, call->operation);
	raw(call, "Response xmlns=\"" NAMESPACE "\"><");
	raw(call, call->operation);
	raw(call, "Result>");
	return true;
}

static void
end_answer(struct gw_call *call)
{
	raw(call, "</");
	raw(call, call->operation);
	raw(call, "Result><ResponseMetadata>");
	element(call, "RequestId", call->request_id);
	raw(call, "</ResponseMetadata></");
	raw(call, call->operation);
	raw(call, "Response>");
	gw_call_send(call);
}

static void
credentials(struct gw_call *call, const Kmsp__Session *s)
{
	time_t at = (time_t)(s->expires_ns / SLK_NS_PER_S);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&at, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	raw(call, "<Credentials>");
	element(call, "AccessKeyId", s->access_key_id);
	element(call, "SecretAccessKey", s->secret_access_key);
	element(call, "SessionToken", s->session_token);
	element(call, "Expiration", text);
	raw(call, "</Credentials>");
}

/* --- operations --- */

static void
identity_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!begin_answer(call, false))
		return;
	element(call, "Arn", reply->caller_identity->arn);
	element(call, "UserId", reply->caller_identity->user_id);
	element(call, "Account", reply->caller_identity->account);
	end_answer(call);
}

static bool
get_caller_identity(struct gw_call *call)
{
	Kmsp__Nothing m = KMSP__NOTHING__INIT;
	Kmsp__Request r = KMSP__REQUEST__INIT;

	r.call_case = KMSP__REQUEST__CALL_GET_CALLER_IDENTITY;
	r.get_caller_identity = &m;
	return gw_call_ask(call, &r, identity_told);
}

static void
session_token_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!begin_answer(call, true))
		return;
	credentials(call, reply->session);
	end_answer(call);
}

static bool
get_session_token(struct gw_call *call)
{
	Kmsp__GetSessionToken m = KMSP__GET_SESSION_TOKEN__INIT;
	Kmsp__Request r = KMSP__REQUEST__INIT;
	const char *serial = "";

	if (!parameter(call, "SerialNumber", &serial) || !seconds(call, &m.duration_s))
		return false;
	if (serial[0] != '\0')
		return gw_fault_set(&call->fault, "AccessDeniedException",
			"MultiFactorAuthentication failed: no device is registered here");
	r.call_case = KMSP__REQUEST__CALL_GET_SESSION_TOKEN;
	r.get_session_token = &m;
	return gw_call_ask(call, &r, session_token_told);
}

static void
role_assumed(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!begin_answer(call, true))
		return;
	raw(call, "<AssumedRoleUser>");
	element(call, "AssumedRoleId", reply->session->id);
	element(call, "Arn", reply->session->arn);
	raw(call, "</AssumedRoleUser>");
	credentials(call, reply->session);
	const char *source = call->user;
	if (source[0] != '\0')
		element(call, "SourceIdentity", source);
	end_answer(call);
}

/* Tags.member.N.Key and .Value; PolicyArns.member.N.arn */
static bool
take_lists(struct gw_call *call, Kmsp__AssumeRole *m)
{
	char name[64];

	m->policies = gw_call_take(call, LIST_MAX * sizeof(*m->policies));
	m->tags = gw_call_take(call, LIST_MAX * sizeof(void *));
	Kmsp__Tag *tags = gw_call_take(call, LIST_MAX * sizeof(*tags));
	if (m->policies == NULL || m->tags == NULL || tags == NULL)
		return false;
	for (unsigned i = 0; i < LIST_MAX; i++) {
		const char *arn = "";
		(void)snprintf(name, sizeof(name), "PolicyArns.member.%u.arn", i + 1);
		if (!parameter(call, name, &arn))
			return false;
		if (arn[0] == '\0')
			break;
		m->policies[m->n_policies++] = (char *)(uintptr_t)arn;
	}
	for (unsigned i = 0; i < LIST_MAX; i++) {
		const char *key = "", *value = "";
		(void)snprintf(name, sizeof(name), "Tags.member.%u.Key", i + 1);
		if (!parameter(call, name, &key))
			return false;
		if (key[0] == '\0')
			break;
		(void)snprintf(name, sizeof(name), "Tags.member.%u.Value", i + 1);
		if (!parameter(call, name, &value))
			return false;
		kmsp__tag__init(&tags[i]);
		tags[i].key = (char *)(uintptr_t)key;
		tags[i].value = (char *)(uintptr_t)value;
		m->tags[m->n_tags++] = &tags[i];
	}
	return true;
}

static bool
assume_role(struct gw_call *call)
{
	Kmsp__AssumeRole m = KMSP__ASSUME_ROLE__INIT;
	Kmsp__Request r = KMSP__REQUEST__INIT;
	const char *role = "", *session = "", *external = "", *policy = "", *source = "";

	if (!needed(call, "RoleArn", "roleArn", &role) ||
		!needed(call, "RoleSessionName", "roleSessionName", &session) ||
		!parameter(call, "ExternalId", &external) || !parameter(call, "Policy", &policy) ||
		!parameter(call, "SourceIdentity", &source) || !seconds(call, &m.duration_s) ||
		!take_lists(call, &m))
		return false;
	m.role = (char *)(uintptr_t)role;
	m.session_name = (char *)(uintptr_t)session;
	m.external_id = (char *)(uintptr_t)external;
	m.policy = (char *)(uintptr_t)policy;
	m.source_identity = (char *)(uintptr_t)source;
	call->user = (void *)(uintptr_t)source;
	r.call_case = KMSP__REQUEST__CALL_ASSUME_ROLE;
	r.assume_role = &m;
	return gw_call_ask(call, &r, role_assumed);
}

const struct gw_operation gw_sts_operations[] = {
	{"AssumeRole", assume_role},
	{"GetCallerIdentity", get_caller_identity},
	{"GetSessionToken", get_session_token},
	{NULL, NULL},
};
