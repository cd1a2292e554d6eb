/* Roles of delivery streams: passed to Firehose when a description names them, assumed by deliverd as Firehose.
 *
 *     CreateDeliveryStream, UpdateDestination --iam:PassRole of the caller--> trust policy of the role
 *     AssumeDeliveryRole --named by the description?--> trust policy --> session, whose caller is the delivery stream
 *
 * The question to the trust policy: may firehose.amazonaws.com do sts:AssumeRole, with the account as sts:ExternalId, the
 * delivery stream as aws:SourceArn and the account as aws:SourceAccount? It is asked each time. */
#include <stdio.h>
#include <string.h>

#include "credentials.h"
#include "delivery_calls.h"
#include "session_issue.h"
#include "trust.h"

#define SESSION_S 3600u
#define SESSION_NAME_MIN 2u
#define SESSION_NAME_MAX (KMS_DELIVERY_MAX + 10u)

/* What a trust policy was asked. */
struct asked {
	const char *role_arn;
	struct kms_identity_row role;
	struct kms_document trust;
	struct kms_facts facts;
	struct kms_question question;
};

static const char *
role_name(const struct kms_call *call, const char *arn)
{
	char prefix[KMS_ARN_MAX];

	if (kms_role_arn(&call->service->parts.realm, "", prefix) != SLK_OK ||
		strncmp(arn, prefix, strlen(prefix)) != 0)
		return NULL;
	const char *name = arn + strlen(prefix);
	return kms_identity_name_is(name) ? name : NULL;
}

/* Which condition of a statement was not met, for who owns the role or was allowed to pass it. */
static void
explain(const struct kms_call *call, const struct asked *a, char *out, size_t cap)
{
	const struct kms_iam *iam = call->service->iam;
	const struct kms_identity *who = kms_iam_find(iam, a->question.principal);
	const struct kms_case *c = NULL;
	struct pol_view view;

	(void)snprintf(out, cap, "its trust policy does not name the service %s for %s",
		a->question.principal, a->question.action);
	if (a->role.name[0] == '\0')
		(void)snprintf(out, cap, "there is no such role");
	else if (a->trust.parsed == NULL)
		(void)snprintf(out, cap, "its trust policy cannot be read");
	if (who == NULL || a->trust.parsed == NULL ||
		kms_case_put(iam, who, &a->question, &a->trust, &c) != SLK_OK)
		return;
	for (size_t i = 0; i < pol_document_statements_count(a->trust.parsed); i++) {
		pol_document_explain(a->trust.parsed, i, &c->query, &view);
		if (view.stage == POL_STAGE_MATCHED && view.deny)
			(void)snprintf(out, cap, "its trust policy denies it (line %u)", view.line);
		else if (view.stage == POL_STAGE_CONDITION && !view.deny)
			(void)snprintf(out, cap,
				"the condition %.40s on %.100s of its trust policy (line %u) is "
				"not met",
				view.condition_operator, view.condition_key, view.line);
	}
}

static int
find_role(struct kms_call *call, const char *arn, struct asked *a)
{
	const char *name = role_name(call, arn);

	if (name == NULL) {
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"RoleARN %.300s is not the ARN of a role of this account", arn);
		return SLK_INVALID;
	}
	int rc = kms_trust_find(call->service->parts.catalog, name, &a->role, &a->trust);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	return rc;
}

/* SLK_DENIED with a sentence: the call goes on. a->trust is to be freed. */
static int
ask_trust(struct kms_call *call, const char *role_arn, const char *delivery_arn, struct asked *a,
	char sentence[KMS_SENTENCE_MAX])
{
	char why[320], unused[KMS_SENTENCE_MAX];
	const char *account = call->service->parts.realm.account;

	a->role_arn = role_arn;
	a->facts = (struct kms_facts){.external_id = account,
		.source_arn = delivery_arn,
		.wall_ns = slk_wall_ns(call->service->parts.clock)};
	a->question = (struct kms_question){.principal = KMS_DELIVERY_PRINCIPAL,
		.action = "sts:AssumeRole",
		.resource = role_arn,
		.facts = &a->facts};
	int rc = kms_trust_decide(call->service->iam, &a->question,
		a->trust.parsed != NULL ? &a->trust : NULL, unused);
	if (rc == SLK_OK && a->role.name[0] != '\0')
		return SLK_OK;
	explain(call, a, why, sizeof(why));
	(void)snprintf(sentence, KMS_SENTENCE_MAX,
		"Firehose is unable to assume role %s. Please check the role provided: User: %s is "
		"not authorized to perform: %s on resource: %s with sts:ExternalId %s and "
		"aws:SourceArn %s: %s",
		role_arn, KMS_DELIVERY_PRINCIPAL, a->question.action, role_arn, account,
		delivery_arn, why);
	return SLK_DENIED;
}

/* --- passing --- */

static int
pass_role(struct kms_call *call, const char *role_arn, const char *delivery_arn)
{
	char sentence[KMS_SENTENCE_MAX];
	struct asked a = {.role_arn = role_arn};

	if (role_name(call, role_arn) == NULL)
		return find_role(call, role_arn, &a);
	call->facts.passed_to = KMS_DELIVERY_PRINCIPAL;
	call->facts.associated_arn = delivery_arn;
	int rc = kms_call_authorize(call, "iam:PassRole", role_arn, NULL);
	call->facts.passed_to = call->facts.associated_arn = NULL;
	if (rc == SLK_OK)
		rc = find_role(call, role_arn, &a);
	if (rc != SLK_OK)
		return rc;
	rc = ask_trust(call, role_arn, delivery_arn, &a, sentence);
	kms_document_free(&a.trust);
	if (rc != SLK_OK)
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException", "%s", sentence);
	return rc;
}

int
kms_call_pass_roles(struct kms_call *call, const struct dlv_spec *spec, const char *delivery_arn)
{
	const char *roles[DLV_ROLES_MAX];
	size_t count = dlv_spec_roles(spec, roles);
	int rc = SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < count; i++)
		rc = pass_role(call, roles[i], delivery_arn);
	(void)snprintf(call->resource, sizeof(call->resource), "%s", delivery_arn);
	return rc;
}

/* --- AssumeDeliveryRole --- */

static int
check_named(struct kms_call *call, const struct kms_delivery *d, const char *role_arn)
{
	int rc = kms_catalog_delivery_has_role(call->service->parts.catalog, d, role_arn);

	if (rc == SLK_OK)
		return rc;
	if (rc == SLK_NOT_FOUND) {
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s on resource: %.300s because the "
			"description of delivery stream %s does not name this role",
			call->principal, call->action, role_arn, d->name);
		return SLK_DENIED;
	}
	kms_call_fail_catalog(call, rc);
	return rc;
}

/* The delivery stream's name, made long enough for a session's. */
static void
name_session(const struct kms_delivery *d, char out[SESSION_NAME_MAX])
{
	(void)snprintf(out, SESSION_NAME_MAX, "%s%.64s",
		strlen(d->name) < SESSION_NAME_MIN ? "firehose-" : "", d->name);
}

static void
issue(struct kms_call *call, const struct kms_delivery *d, const struct asked *a,
	const char *delivery_arn)
{
	const struct kms_realm *realm = &call->service->parts.realm;
	struct kms_audit_credential *c = &call->issued;
	char name[SESSION_NAME_MAX];

	name_session(d, name);
	kms_session_arn(realm, slk_span_str(a->role.name), slk_span_str(name), c->session);
	(void)snprintf(
		c->principal_id, sizeof(c->principal_id), "%.21s:%.64s", a->role.unique_id, name);
	struct fmt_session s = {.role_id = slk_span_str(a->role.unique_id),
		.role = slk_span_str(a->role.name),
		.name = slk_span_str(name),
		.source_identity = slk_span_str(""),
		.caller = slk_span_str(delivery_arn),
		.policy = slk_span_str("")};
	if (kms_session_claim(call, &s, SESSION_S) == SLK_OK)
		kms_session_draw(call);
}

void
kms_op_assume_delivery_role(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__AssumeDeliveryRole *in = request->assume_delivery_role;
	char arn[KMS_ARN_MAX], sentence[KMS_SENTENCE_MAX];
	struct asked a = {.role_arn = in->role};
	struct kms_delivery d;

	strcpy(call->principal, KMS_DELIVERY_PRINCIPAL);
	if (kms_call_get_delivery(call, in->name, &d) != SLK_OK ||
		check_named(call, &d, in->role) != SLK_OK)
		return;
	strcpy(arn, call->resource);
	strcpy(call->source_arn, arn);
	(void)snprintf(call->resource, sizeof(call->resource), "%s", in->role);
	if (kms_call_work(call, sizeof(struct kms_session_issue)) == NULL ||
		find_role(call, in->role, &a) != SLK_OK)
		return;
	int rc = ask_trust(call, in->role, arn, &a, sentence);
	if (rc == SLK_OK)
		issue(call, &d, &a, arn);
	else
		kms_call_deny(call, "AccessDeniedException", sentence);
	kms_document_free(&a.trust);
}

/* --- Authorize --- */

/* What is put goes under the key of its stream. */
static int
ask_for_key(struct kms_call *call, const struct kms_delivery *d)
{
	call->delivery_names = true;
	int rc = kms_call_stream_and_key(call, d->stream);
	if (rc == SLK_OK && call->stream.encrypted_kms)
		rc = kms_call_authorize_stream_key(call, true);
	call->delivery_names = false;
	return rc;
}

void
kms_call_authorize_delivery(struct kms_call *call, const char *name)
{
	bool is_put = strncmp(call->action, "firehose:PutRecord", 18) == 0;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	struct kms_delivery d;

	if (strcmp(call->action, "firehose:CreateDeliveryStream") == 0) {
		kms_call_ok(call, &reply);
		return;
	}
	if (kms_call_get_delivery(call, name, &d) != SLK_OK)
		return;
	if (is_put && kms_call_delivery_direct(call, &d) != SLK_OK)
		return;
	if (is_put && d.state != KMS_DELIVERY_ACTIVE) { /* as if it were not there */
		kms_call_missing_delivery(call, d.name);
		return;
	}
	if (is_put && ask_for_key(call, &d) != SLK_OK)
		return;
	kms_call_ok(call, &reply);
}

int
kms_call_parse_target(
	struct kms_call *call, const char *text, char name[KMS_STREAM_MAX], char arn[KMS_ARN_MAX])
{
	const struct kms_realm *realm = &call->service->parts.realm;
	char delivery[KMS_DELIVERY_MAX];

	if (strncmp(call->action, "firehose:", 9) == 0) {
		const char *named = kms_stream_delivery(text);
		int rc = kms_call_parse_delivery(call, named != NULL ? named : text, delivery, arn);
		if (rc == SLK_OK)
			(void)snprintf(name, KMS_STREAM_MAX, KMS_DELIVERY_PREFIX "%s", delivery);
		return rc;
	}
	if (kms_stream_parse(realm, text, name) == SLK_OK) {
		kms_arn_stream(realm, name, arn);
		return SLK_OK;
	}
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"the resource of %s is neither the name of a stream (1 to 128 of a-z A-Z 0-9 _ . "
		"-) nor an ARN of this account and region",
		call->action);
	return SLK_INVALID;
}
