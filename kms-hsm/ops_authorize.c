/* Authorize for a caller that the gateway named in the request: any action of kinesis on a stream, any of kms on a key. A
 * decision alone; nothing is done, and nothing is proposed under dual control. */
#include <string.h>

#include "call.h"

/* As we know it, so that the audit and the policies see one spelling; NULL: there is none of that name. */
static const char *
known_action(const char *text)
{
	static const char *const rooms[] = {"kinesis:", "firehose:", "kms:"};
	const char *action;

	for (size_t r = 0; r < sizeof(rooms) / sizeof(rooms[0]); r++) {
		if (strncmp(text, rooms[r], strlen(rooms[r])) != 0)
			continue;
		for (size_t i = 0; (action = kms_policy_action(i)) != NULL; i++)
			if (strcmp(action, text) == 0)
				return action;
	}
	return NULL;
}

static bool
uses_material(const char *action)
{
	static const char *const begins[] = {"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt",
		"kms:GenerateDataKey", "kms:Sign", "kms:Verify", "kms:GetPublicKey"};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(action, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

static int
authorize_key(struct kms_call *call, const Kmsp__Authorize *in)
{
	int rc = kms_call_take_context(call, in->context, in->n_context, &call->context);

	if (rc != SLK_OK)
		return rc;
	call->facts.context = call->context;
	rc = kms_call_find_key(call, call->action, in->resource, &call->key);
	if (rc != SLK_OK || !uses_material(call->action))
		return rc;
	/* What a service asks for goes by the service's own key, too. */
	if (call->via_service[0] == '\0')
		rc = kms_call_key_direct(call, &call->key);
	return rc == SLK_OK ? kms_call_key_usable(call, &call->key) : rc;
}

void
kms_op_authorize_caller(struct kms_call *call, const Kmsp__Authorize *in)
{
	char name[KMS_STREAM_MAX], arn[KMS_ARN_MAX];
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	const char *action = known_action(in->action);

	if (action == NULL || in->caller_case != KMSP__AUTHORIZE__CALLER__NOT_SET) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			action == NULL ? "a caller may be asked about for actions of kinesis:, "
					 "firehose: and kms:, as policies write them"
				       : "the caller is named in the request or in Authorize, not "
					 "in both");
		return;
	}
	call->action = action;
	bool is_kms = strncmp(action, "kms:", 4) == 0;
	if (!is_kms && in->n_context > 0) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"an encryption context belongs to actions of kms");
	} else if (strcmp(in->resource, "*") == 0) {
		if (kms_call_authorize(call, action, "*", NULL) == SLK_OK)
			kms_call_ok(call, &reply);
	} else if (is_kms) {
		if (authorize_key(call, in) == SLK_OK)
			kms_call_ok(call, &reply);
	} else if (kms_call_parse_target(call, in->resource, name, arn) == SLK_OK) {
		strcpy(call->resource, arn);
		kms_call_authorize_stream(call, name);
	}
}
