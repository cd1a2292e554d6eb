/* Policies of keys and of streams. Every key has one, called default: its own or AWS's; a stream may have one.
 *
 *     operation                              Creating  Enabled  Disabled  PendingDeletion
 *     PutKeyPolicy, GetKeyPolicy, List...    ok        ok       ok        ok
 */
#include <string.h>

#include "decide.h"
#include "ops_iam.h"
#include "stream_calls.h"

#define POLICY_NAME "default"

/* --- the lockout check --- */

/* May the caller still change the key's policy once document is in force? Without that, nobody might. */
static int
check_lockout(struct kms_call *call, const char *key_arn, const struct kms_document *document)
{
	const struct kms_identity *who = kms_iam_find(call->service->iam, call->principal);
	const struct kms_question q = {.principal = call->principal,
		.action = "kms:PutKeyPolicy",
		.resource = key_arn,
		.facts = &call->facts,
		.session = call->session};
	const struct kms_case *c = NULL;

	if (who != NULL && kms_case_put(call->service->iam, who, &q, document, &c) == SLK_OK &&
		c->broken == NULL && pol_decide(&c->documents, &c->query).allowed)
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "MalformedPolicyDocumentException",
		"The new key policy will not allow you to update the key policy in the future.");
	return SLK_INVALID;
}

int
kms_call_check_key_policy(struct kms_call *call, const char *key_arn, const char *json, bool bypass)
{
	struct kms_document document = {.parsed = NULL};
	struct pol_problem problem;

	int rc = kms_call_check_document(call, json, POL_RESOURCE, POL_DOCUMENT_MAX);
	if (rc == SLK_OK)
		rc = kms_call_check_named(call, json, POL_RESOURCE);
	if (rc != SLK_OK || bypass)
		return rc;
	rc = kms_document_parse(json, POL_RESOURCE, &document, &problem);
	if (rc != SLK_OK)
		kms_call_fail(call, rc, "KMSInternalException", "out of memory");
	else
		rc = check_lockout(call, key_arn, &document);
	kms_document_free(&document);
	return rc;
}

/* --- keys --- */

void
kms_op_put_key_policy(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__PutKeyPolicy *in = request->put_key_policy;
	struct kms_service *s = call->service;

	if (kms_call_check_document(call, in->policy, POL_RESOURCE, POL_DOCUMENT_MAX) != SLK_OK)
		return;
	kms_call_name_policy(call, POLICY_NAME);
	call->facts.bypass_lockout_check = in->bypass_lockout_check ? KMS_TRUE : KMS_FALSE;
	if (kms_call_find_key_itself(call, call->action, in->key, &call->key) != SLK_OK ||
		kms_call_key_direct(call, &call->key) != SLK_OK)
		return;
	call->facts.key = &call->key;
	if (kms_call_check_key_policy(call, call->resource, in->policy, in->bypass_lockout_check) !=
		SLK_OK)
		return;
	int rc = kms_catalog_key_policy_put(s->parts.catalog, call->key.id, in->policy);
	if (rc == SLK_OK)
		rc = kms_iam_key_changed(s->iam, call->key.id);
	kms_call_end(call, rc);
}

static void
answer_text(struct kms_call *call, const char *text, const char *name)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Document out = KMSP__DOCUMENT__INIT;

	out.text = (char *)(uintptr_t)text;
	out.name = (char *)(uintptr_t)name;
	reply.result_case = KMSP__REPLY__RESULT_DOCUMENT;
	reply.document = &out;
	kms_call_ok(call, &reply);
}

void
kms_op_get_key_policy(struct kms_call *call, const Kmsp__Request *request)
{
	static char text[KMS_DOCUMENT_MAX]; /* one thread */
	const Kmsp__KeyPolicy *in = request->get_key_policy;
	struct kms_service *s = call->service;

	if (kms_call_find_key_itself(call, call->action, in->key, &call->key) != SLK_OK)
		return;
	if (in->name[0] != '\0' && strcmp(in->name, POLICY_NAME) != 0) {
		kms_call_fail(call, SLK_NOT_FOUND, "NotFoundException", "No such policy exists");
		return;
	}
	int rc = kms_catalog_key_policy_get(s->parts.catalog, call->key.id, text, sizeof(text));
	if (rc == SLK_OK)
		answer_text(call, text, POLICY_NAME);
	else if (rc == SLK_NOT_FOUND)
		answer_text(call, kms_iam_default_text(s->iam), POLICY_NAME);
	else
		kms_call_fail_catalog(call, rc);
}

void
kms_op_list_key_policies(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__ListOfKey *in = request->list_key_policies;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Names out = KMSP__NAMES__INIT;
	char *list[] = {(char *)(uintptr_t)POLICY_NAME};

	if (in->marker[0] != '\0') {
		kms_call_bad_marker(call); /* no page has ever had another */
		return;
	}
	if (kms_call_find_key_itself(call, call->action, in->key, &call->key) != SLK_OK)
		return;
	out.names = list;
	out.n_names = 1;
	reply.result_case = KMSP__REPLY__RESULT_NAMES;
	reply.names = &out;
	kms_call_ok(call, &reply);
}

/* --- streams --- */

static void
end_stream(struct kms_call *call, int rc)
{
	if (rc == SLK_OK)
		rc = kms_iam_stream_changed(call->service->iam, call->stream.name);
	kms_call_end(call, rc);
}

void
kms_op_put_resource_policy(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__PutResourcePolicy *in = request->put_resource_policy;

	if (kms_call_check_document(call, in->policy, POL_RESOURCE, KMS_IDENTITY_DOCUMENT_MAX) ==
			SLK_OK &&
		kms_call_find_stream(call, in->stream) == SLK_OK &&
		kms_call_check_named(call, in->policy, POL_RESOURCE) == SLK_OK)
		end_stream(call,
			kms_catalog_stream_policy_put(
				call->service->parts.catalog, call->stream.id, in->policy));
}

/* "" for one that has none, which is no error in AWS either. */
void
kms_op_get_resource_policy(struct kms_call *call, const Kmsp__Request *request)
{
	static char text[KMS_DOCUMENT_MAX]; /* one thread */

	if (kms_call_find_stream(call, request->get_resource_policy->stream) != SLK_OK)
		return;
	int rc = kms_catalog_stream_policy_get(
		call->service->parts.catalog, call->stream.id, text, sizeof(text));
	if (rc == SLK_OK || rc == SLK_NOT_FOUND)
		answer_text(call, rc == SLK_OK ? text : "", "");
	else
		kms_call_fail_catalog(call, rc);
}

void
kms_op_delete_resource_policy(struct kms_call *call, const Kmsp__Request *request)
{
	if (kms_call_find_stream(call, request->delete_resource_policy->stream) != SLK_OK)
		return;
	int rc = kms_catalog_stream_policy_delete(call->service->parts.catalog, call->stream.id);
	if (rc == SLK_NOT_FOUND)
		kms_call_fail(call, rc, "ResourceNotFoundException",
			"No resource policy found for resource ARN %s", call->resource);
	else
		end_stream(call, rc);
}
