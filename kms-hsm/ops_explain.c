/* Explain: would it be allowed, which statement says so, and how far the others came. Reads only; administrators may, unless
 * the policy denies it. States of keys are not looked at. */
#include <stdio.h>
#include <string.h>

#include "ops_iam.h"
#include "trust.h"

#define STATEMENTS_MAX 600u /* of all policies together */
#define SIDS_BYTES_MAX 60000u /* likewise */
#define POLICIES_MAX 256u
#define GIVEN_MAX 64u
#define SHOWN_MAX 128u
#define SHOWN_BYTES_MAX 40000u

/* The answer to one request; one thread. */
static struct {
	Kmsp__ExplainedPolicy policies[POLICIES_MAX], *policy_list[POLICIES_MAX];
	Kmsp__ExplainedStatement statements[STATEMENTS_MAX], *statement_list[STATEMENTS_MAX];
	Kmsp__Condition values[SHOWN_MAX], *value_list[SHOWN_MAX];
	size_t policies_count, statements_count, values_count, sids_bytes;
	bool truncated;
	char sentence[KMS_SENTENCE_MAX];
} out;

/* What was asked. */
struct asked {
	char principal[KMS_ARN_MAX], resource[KMS_ARN_MAX];
	struct kms_question question;
	struct kms_identity *imagined; /* NULL: the principal is known */
	struct pol_value given[GIVEN_MAX];
};

/* --- what was asked --- */

static int
invalid(struct kms_call *call, const char *what)
{
	kms_call_fail(call, SLK_INVALID, "ValidationException", "%s", what);
	return SLK_INVALID;
}

static int
take_principal(struct kms_call *call, const Kmsp__Explain *in, struct asked *asked)
{
	const struct kms_service_parts *parts = &call->service->parts;
	const char *arn = NULL;

	if (in->caller_case == KMSP__EXPLAIN__CALLER_UID) {
		arn = kms_principals_arn(parts->principals, in->uid);
		if (arn == NULL)
			return invalid(call,
				"this uid is no principal: it is not under principals: "
				"in the configuration of sealock-kmsd");
	} else if (in->caller_case == KMSP__EXPLAIN__CALLER_PRINCIPAL) {
		if (kms_is_service_principal(in->principal))
			arn = in->principal;
		else if (strpbrk(in->principal, "*?") == NULL &&
			kms_arn_principal(&parts->realm, in->principal, asked->principal) == SLK_OK)
			arn = asked->principal;
	}
	if (arn == NULL)
		return invalid(call,
			"a principal is user/NAME, role/NAME, root, an ARN, "
			"" KMS_SERVICE_PRINCIPAL ", " KMS_DELIVERY_PRINCIPAL " or a local uid");
	if (arn != asked->principal)
		strcpy(asked->principal, arn);
	asked->question.principal = asked->principal;
	return SLK_OK;
}

/* A key by whatever names it; a stream; or anything else that has an ARN. */
static int
take_resource(struct kms_call *call, const char *text, struct asked *asked)
{
	struct kms_service *s = call->service;
	struct kms_alias alias;
	struct kms_ref ref;
	const char *key = strncmp(text, "key/", 4) == 0 ? text + 4 : text;

	asked->question.resource = asked->resource;
	int rc = kms_ref_parse(&s->parts.realm, key, &ref);
	if (rc != SLK_OK) {
		rc = kms_arn_resource(&s->parts.realm, text, asked->resource);
		return rc == SLK_OK ? rc
				    : invalid(call,
					      "a resource is a key's id, ARN or alias, "
					      "stream/NAME, user/NAME, role/NAME, an ARN or *");
	}
	if (ref.kind == KMS_REF_ALIAS) {
		rc = kms_catalog_alias_get(s->parts.catalog, ref.alias, &alias);
		memcpy(ref.id, alias.key_id, rc == SLK_OK ? sizeof(ref.id) : 0);
		memcpy(call->request_alias, ref.alias, sizeof(call->request_alias));
		call->facts.request_alias = call->request_alias;
	}
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(s->parts.catalog, ref.id, &call->key);
	if (rc == SLK_NOT_FOUND)
		kms_call_fail(call, rc, "NotFoundException", "%s is not found.", ref.arn);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	if (rc != SLK_OK)
		return rc;
	kms_arn_key(&s->parts.realm, ref.id, asked->resource);
	call->facts.key = &call->key;
	return SLK_OK;
}

static int
take_values(struct kms_call *call, const Kmsp__Explain *in, struct asked *asked)
{
	if (in->n_values > GIVEN_MAX)
		return invalid(call, "at most 64 condition keys may be given");
	for (size_t i = 0; i < in->n_values; i++) {
		const Kmsp__Condition *v = in->values[i];
		if (strchr(v->key, ':') == NULL)
			return invalid(call, "a condition key is of the form aws:SourceArn");
		asked->given[i] =
			(struct pol_value){v->key, (const char *const *)v->values, v->n_values};
	}
	call->facts.given = asked->given;
	call->facts.given_count = in->n_values;
	return SLK_OK;
}

static int
take(struct kms_call *call, const Kmsp__Explain *in, struct asked *asked)
{
	if (strlen(in->action) >= POL_ACTION_MAX || strchr(in->action, ':') == NULL ||
		strpbrk(in->action, "*?") != NULL)
		return invalid(call, "an action is of the form kms:Decrypt");
	asked->question.action = in->action;
	int rc = take_principal(call, in, asked);
	if (rc == SLK_OK)
		rc = take_resource(call, in->resource, asked);
	if (rc == SLK_OK)
		rc = take_values(call, in, asked);
	if (rc == SLK_OK)
		rc = kms_call_take_context(call, in->context, in->n_context, &call->context);
	call->facts.context = call->context;
	call->facts.wall_ns = slk_wall_ns(call->service->parts.clock);
	asked->question.facts = &call->facts;
	asked->question.granted = rc == SLK_OK && kms_call_has_grant(call, &asked->question);
	return rc;
}

/* --- what is said to it --- */

static const char *
stage_name(enum pol_stage stage)
{
	static const char *const names[] = {[POL_STAGE_ACTION] = "Action",
		[POL_STAGE_RESOURCE] = "Resource",
		[POL_STAGE_PRINCIPAL] = "Principal",
		[POL_STAGE_CONDITION] = "Condition",
		[POL_STAGE_MATCHED] = "Matched"};

	return names[stage];
}

static char *
shown(const char *text)
{
	return (char *)(uintptr_t)(text != NULL ? text : "");
}

/* decided: the index of the statement that decided, or -1. */
static void
show_document(const char *kind, const char *name, const struct pol_document *document,
	const struct pol_query *query, long decided)
{
	size_t count = document != NULL ? pol_document_statements_count(document) : 0;

	if (out.policies_count == POLICIES_MAX || out.sids_bytes > SIDS_BYTES_MAX ||
		count > STATEMENTS_MAX - out.statements_count) {
		out.truncated = true;
		return;
	}
	Kmsp__ExplainedPolicy *p = &out.policies[out.policies_count];
	kmsp__explained_policy__init(p);
	p->kind = shown(kind);
	p->name = shown(name);
	p->n_statements = count;
	p->statements = &out.statement_list[out.statements_count];
	for (size_t i = 0; i < count; i++) {
		Kmsp__ExplainedStatement *s = &out.statements[out.statements_count];
		struct pol_view view;
		pol_document_explain(document, i, query, &view);
		kmsp__explained_statement__init(s);
		s->index = (uint32_t)i;
		s->sid = shown(view.sid);
		s->line = view.line;
		s->deny = view.deny;
		s->stage = shown(stage_name(view.stage));
		s->condition_operator = shown(view.condition_operator);
		s->condition_key = shown(view.condition_key);
		s->decided = decided == (long)i;
		out.sids_bytes += strlen(view.sid);
		out.statement_list[out.statements_count++] = s;
	}
	out.policy_list[out.policies_count++] = p;
}

static bool
by_identity(enum pol_reason reason)
{
	return reason == POL_ALLOWED_IDENTITY || reason == POL_ALLOWED_DELEGATED ||
		reason == POL_DENIED_IDENTITY;
}

static void
show_documents(const struct kms_case *c, const struct pol_decision *d)
{
	bool by_resource = d->reason == POL_ALLOWED_RESOURCE || d->reason == POL_DENIED_RESOURCE;

	for (size_t i = 0; i < c->who->documents_count; i++)
		show_document("identity", c->who->document_names[i], c->who->documents[i],
			&c->query,
			by_identity(d->reason) && d->document == i ? (long)d->statement : -1);
	if (c->who->boundary != NULL)
		show_document("boundary", c->who->boundary_name, c->who->boundary, &c->query,
			d->reason == POL_DENIED_BOUNDARY ? (long)d->statement : -1);
	bool is_trust = kms_trust_is_action(c->query.action);
	if (c->resource != NULL)
		show_document(is_trust                ? "trust"
				: c->documents.is_key ? "key"
						      : "stream",
			c->documents.is_key && !is_trust ? "default" : "", c->resource->parsed,
			&c->query, by_resource ? (long)d->statement : -1);
}

/* What conditions saw, as far as a reply holds it. */
static void
show_values(const struct pol_query *query)
{
	size_t bytes = 0;

	for (size_t i = 0; i < query->values_count; i++) {
		const struct pol_value *v = &query->values[i];
		bytes += strlen(v->key);
		for (size_t k = 0; k < v->count; k++)
			bytes += strlen(v->values[k]) + 8;
		if (out.values_count == SHOWN_MAX || bytes > SHOWN_BYTES_MAX) {
			out.truncated = true;
			return;
		}
		Kmsp__Condition *shown_value = &out.values[out.values_count];
		kmsp__condition__init(shown_value);
		shown_value->key = shown(v->key);
		shown_value->values = (char **)(uintptr_t)v->values;
		shown_value->n_values = v->count;
		out.value_list[out.values_count++] = shown_value;
	}
}

static const char *
reason_name(const struct kms_case *c, const struct pol_decision *d)
{
	static const char *const names[] = {[POL_ALLOWED_IDENTITY] = "AllowedByIdentityPolicy",
		[POL_ALLOWED_RESOURCE] = "AllowedByResourcePolicy",
		[POL_ALLOWED_DELEGATED] = "AllowedByIdentityPolicyAndKeyPolicy",
		[POL_ALLOWED_GRANT] = "AllowedByGrant",
		[POL_DENIED_IDENTITY] = "DeniedByIdentityPolicy",
		[POL_DENIED_SESSION] = "DeniedBySessionPolicy",
		[POL_DENIED_BOUNDARY] = "DeniedByBoundary",
		[POL_DENIED_RESOURCE] = "DeniedByResourcePolicy",
		[POL_NO_IDENTITY] = "NoIdentityPolicyAllows",
		[POL_NO_SESSION] = "NoSessionPolicyAllows",
		[POL_NO_BOUNDARY] = "BoundaryDoesNotAllow",
		[POL_NO_RESOURCE] = "ResourcePolicyDoesNotAllow"};

	if (c->broken != NULL)
		return c->who->type == KMS_IS_ROOT && kms_trust_is_action(c->query.action)
			? "RootAssumesNoRole"
			: "DeniedPolicyUnreadable";
	if (d->reason == POL_ALLOWED_DELEGATED && !c->documents.is_key)
		return "AllowedByIdentityPolicy";
	if (d->reason == POL_ALLOWED_DELEGATED && kms_trust_is_action(c->query.action))
		return "AllowedByIdentityPolicyAndTrustPolicy";
	return names[d->reason];
}

static void
put_sentence(const struct kms_case *c, const struct pol_decision *d, bool is_known)
{
	const char *unknown =
		is_known ? "" : " (the principal is not known here; this is what it would be)";
	char because[256];

	if (c->broken != NULL) {
		(void)snprintf(because, sizeof(because), "%s", c->broken);
	} else if (d->allowed) {
		(void)snprintf(out.sentence, sizeof(out.sentence), "%s may do %s on %s; %s%s",
			c->who->arn, c->query.action, c->query.resource,
			d->reason == POL_ALLOWED_GRANT ? "a grant allows it"
						       : "the statement that decided is marked",
			unknown);
		return;
	} else {
		pol_decision_because(d, &c->query, because, sizeof(because));
	}
	(void)snprintf(out.sentence, sizeof(out.sentence),
		"User: %s is not authorized to perform: %s on resource: %s %s%s", c->who->arn,
		c->query.action, c->query.resource, because, unknown);
}

static void
answer(struct kms_call *call, const struct kms_case *c, bool is_known)
{
	const struct pol_decision d = pol_decide(&c->documents, &c->query);
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Explanation explanation = KMSP__EXPLANATION__INIT;

	memset(&out, 0, sizeof(out));
	show_documents(c, &d);
	show_values(&c->query);
	put_sentence(c, &d, is_known);
	explanation.allowed = d.allowed && c->broken == NULL;
	explanation.sentence = out.sentence;
	explanation.reason = shown(reason_name(c, &d));
	explanation.principal = shown(c->who->arn);
	explanation.action = shown(c->query.action);
	explanation.resource = shown(c->query.resource);
	explanation.policies = out.policy_list;
	explanation.n_policies = out.policies_count;
	explanation.values = out.value_list;
	explanation.n_values = out.values_count;
	explanation.truncated = out.truncated;
	reply.result_case = KMSP__REPLY__RESULT_EXPLANATION;
	reply.explanation = &explanation;
	kms_call_ok(call, &reply);
}

/* The role of sts:AssumeRole and its like, which the trust policy decides about. */
static int
take_trust(struct kms_call *call, const struct asked *asked, struct kms_document *out_trust)
{
	struct kms_identity_row role;
	char prefix[KMS_ARN_MAX];

	(void)snprintf(prefix, sizeof(prefix), "arn:aws:iam::%s:role/",
		call->service->parts.realm.account);
	if (strncmp(asked->resource, prefix, strlen(prefix)) != 0)
		return invalid(call, "who may assume a role is asked about role/NAME");
	const char *name = asked->resource + strlen(prefix);
	int rc = kms_trust_find(call->service->parts.catalog, name, &role, out_trust);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	if (role.name[0] == '\0') {
		kms_call_fail_entity(call, SLK_NOT_FOUND, "role", name);
		return SLK_NOT_FOUND;
	}
	return rc;
}

static void
explain_trust(struct kms_call *call, const struct kms_case *c, bool is_known)
{
	struct kms_case asked = kms_trust_case(call->service->iam, c);

	if (asked.who->type == KMS_IS_ROOT)
		asked.broken = "because roles may not be assumed by root accounts";
	answer(call, &asked, is_known);
}

static void
explain(struct kms_call *call, struct asked *asked)
{
	const bool is_trust = kms_trust_is_action(asked->question.action);
	struct kms_document trust = {.parsed = NULL};
	struct kms_iam *iam = call->service->iam;
	const struct kms_identity *who = kms_iam_find(iam, asked->question.principal);
	const struct kms_case *c = NULL;

	if (is_trust && take_trust(call, asked, &trust) != SLK_OK)
		return;
	int rc = SLK_OK;
	if (who == NULL) {
		rc = kms_iam_imagine(iam, asked->question.principal, &asked->imagined);
		who = asked->imagined;
	}
	if (rc == SLK_OK)
		rc = kms_case_put(iam, who, &asked->question, is_trust ? &trust : NULL, &c);
	if (rc == SLK_OK && is_trust)
		explain_trust(call, c, asked->imagined == NULL);
	else if (rc == SLK_OK)
		answer(call, c, asked->imagined == NULL);
	else
		kms_call_fail(call, rc, "KMSInternalException",
			"the question cannot be put together: %s", slk_status_sentence(rc));
	kms_iam_forget(asked->imagined);
	kms_document_free(&trust);
}

void
kms_op_explain(struct kms_call *call, const Kmsp__Request *request)
{
	static struct asked asked; /* one thread */
	char sentence[KMS_SENTENCE_MAX] = "";
	const struct kms_question q = {.principal = call->principal,
		.action = call->action,
		.resource = "*",
		.granted = true};

	strcpy(call->resource, "*");
	if (kms_call_ask(call, &q, sentence) != SLK_OK) {
		kms_call_deny(call, "AccessDeniedException", sentence);
		return;
	}
	memset(&asked, 0, sizeof(asked));
	if (take(call, request->explain, &asked) == SLK_OK)
		explain(call, &asked);
}
