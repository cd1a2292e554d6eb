/* Policies of users and roles: inline ones, managed ones and who holds them, permissions boundaries. */
#include <stdio.h>
#include <string.h>

#include "ops_iam.h"

/* The name of a policy, of whatever kind. */
static int
take_name(struct kms_call *call, const char *name)
{
	int rc = kms_call_check_name(call, name, KMS_POLICY_NAME_MAX);

	if (rc == SLK_OK)
		kms_call_name_policy(call, name);
	return rc;
}

/* --- inline policies --- */

void
kms_op_put_inline_policy(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {"iam:PutUserPolicy", "iam:PutRolePolicy"};
	static char names[KMS_INLINE_MAX + 1][KMS_POLICY_NAME_MAX]; /* one thread */
	const Kmsp__PutInlinePolicy *in = request->put_inline_policy;
	struct kms_catalog *catalog = call->service->parts.catalog;
	struct kms_identity_row row;
	size_t count = 0;
	bool is_there = false;

	if (take_name(call, in->name) != SLK_OK ||
		kms_call_check_document(
			call, in->policy, POL_IDENTITY, KMS_IDENTITY_DOCUMENT_MAX) != SLK_OK ||
		kms_call_find_who(call, in->who, &actions, &row) != SLK_OK)
		return;
	int rc = kms_catalog_inline_list(catalog, row.id, "", names, KMS_INLINE_MAX + 1, &count);
	for (size_t i = 0; rc == SLK_OK && i < count; i++)
		is_there = is_there || strcmp(names[i], in->name) == 0;
	if (rc == SLK_OK && !is_there && count >= KMS_INLINE_MAX) {
		kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
			"an identity has at most %u inline policies", KMS_INLINE_MAX);
		return;
	}
	if (rc == SLK_OK)
		rc = kms_catalog_inline_put(catalog, row.id, in->name, in->policy);
	kms_call_end_who(call, rc, &row);
}

static void
answer_document(struct kms_call *call, Kmsp__Document *document)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;

	reply.result_case = KMSP__REPLY__RESULT_DOCUMENT;
	reply.document = document;
	kms_call_ok(call, &reply);
}

void
kms_op_get_inline_policy(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {"iam:GetUserPolicy", "iam:GetRolePolicy"};
	static char text[KMS_DOCUMENT_MAX]; /* one thread */
	const Kmsp__InlinePolicy *in = request->get_inline_policy;
	Kmsp__Document out = KMSP__DOCUMENT__INIT;
	struct kms_identity_row row;

	if (take_name(call, in->name) != SLK_OK ||
		kms_call_find_who(call, in->who, &actions, &row) != SLK_OK)
		return;
	int rc = kms_catalog_inline_get(
		call->service->parts.catalog, row.id, in->name, text, sizeof(text));
	if (rc != SLK_OK) {
		kms_call_fail_entity(call, rc, "policy", in->name);
		return;
	}
	out.text = text;
	out.name = in->name;
	answer_document(call, &out);
}

void
kms_op_delete_inline_policy(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {
		"iam:DeleteUserPolicy", "iam:DeleteRolePolicy"};
	const Kmsp__InlinePolicy *in = request->delete_inline_policy;
	struct kms_identity_row row;

	if (take_name(call, in->name) != SLK_OK ||
		kms_call_find_who(call, in->who, &actions, &row) != SLK_OK)
		return;
	int rc = kms_catalog_inline_delete(call->service->parts.catalog, row.id, in->name);
	if (rc == SLK_NOT_FOUND)
		kms_call_fail_entity(call, rc, "policy", in->name);
	else
		kms_call_end_who(call, rc, &row);
}

static int
check_marker(struct kms_call *call, const char *marker)
{
	if (marker[0] == '\0')
		return SLK_OK;
	if (strlen(marker) < KMS_POLICY_NAME_MAX && strpbrk(marker, "/:\"\\ ") == NULL)
		return SLK_OK;
	kms_call_bad_marker(call);
	return SLK_INVALID;
}

void
kms_op_list_inline_policies(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {
		"iam:ListUserPolicies", "iam:ListRolePolicies"};
	static char names[KMSP_PAGE_MAX + 1][KMS_POLICY_NAME_MAX]; /* one thread */
	static char *list[KMSP_PAGE_MAX];
	const Kmsp__ListOfWho *in = request->list_inline_policies;
	size_t found = 0, limit = kms_page(in->limit);
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Names out = KMSP__NAMES__INIT;
	struct kms_identity_row row;

	if (check_marker(call, in->marker) != SLK_OK ||
		kms_call_find_who(call, in->who, &actions, &row) != SLK_OK)
		return;
	int rc = kms_catalog_inline_list(
		call->service->parts.catalog, row.id, in->marker, names, limit + 1, &found);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	out.n_names = found < limit ? found : limit;
	out.names = list;
	for (size_t i = 0; i < out.n_names; i++)
		list[i] = names[i];
	if (found > limit)
		out.next = names[limit - 1];
	reply.result_case = KMSP__REPLY__RESULT_NAMES;
	reply.names = &out;
	kms_call_ok(call, &reply);
}

/* --- managed policies --- */

static void
policy_arn(const struct kms_call *call, const char *name, char out[KMS_ARN_MAX])
{
	(void)snprintf(out, KMS_ARN_MAX, "arn:aws:iam::%s:policy/%s",
		call->service->parts.realm.account, name);
}

/* The name in a name or an ARN of this account. */
static const char *
policy_name(const struct kms_call *call, const char *text)
{
	char prefix[KMS_ARN_MAX];

	policy_arn(call, "", prefix);
	return strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : text;
}

static int
authorize_policy(struct kms_call *call, const char *name)
{
	char arn[KMS_ARN_MAX];

	int rc = take_name(call, name);
	if (rc != SLK_OK)
		return rc;
	policy_arn(call, name, arn);
	return kms_call_authorize(call, call->action, arn, NULL);
}

/* In the catalog, without a question about rights. */
static int
get_policy(struct kms_call *call, const char *name, struct kms_policy_row *out_row)
{
	int rc = take_name(call, name);

	if (rc != SLK_OK)
		return rc;
	rc = kms_catalog_policy_get(call->service->parts.catalog, name, out_row);
	if (rc != SLK_OK)
		kms_call_fail_entity(call, rc, "policy", name);
	return rc;
}

static int
find_policy(struct kms_call *call, const char *text, struct kms_policy_row *out_row)
{
	const char *name = policy_name(call, text);

	int rc = authorize_policy(call, name);
	return rc == SLK_OK ? get_policy(call, name, out_row) : rc;
}

static void
message(const struct kms_call *call, const struct kms_policy_row *row, Kmsp__Document *out,
	char arn[KMS_ARN_MAX])
{
	policy_arn(call, row->name, arn);
	kmsp__document__init(out);
	out->name = (char *)(uintptr_t)row->name;
	out->arn = arn;
	out->description = (char *)(uintptr_t)row->description;
	out->created_ns = row->created_ns;
	out->changed_ns = row->changed_ns;
	out->attachments_count = row->holders_count;
}

static void
answer_policy(struct kms_call *call, const char *name)
{
	static char text[KMS_DOCUMENT_MAX]; /* one thread */
	struct kms_policy_row row;
	char arn[KMS_ARN_MAX];
	Kmsp__Document out;

	if (get_policy(call, name, &row) != SLK_OK)
		return;
	int rc = kms_catalog_policy_text(call->service->parts.catalog, row.id, text, sizeof(text));
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	message(call, &row, &out, arn);
	out.text = text;
	answer_document(call, &out);
}

void
kms_op_create_policy(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__CreatePolicy *in = request->create_policy;
	struct kms_service *s = call->service;
	struct kms_policy_row row = {.created_ns = slk_wall_ns(s->parts.clock)};
	uint64_t id;

	if (kms_call_check_text(call, in->description) != SLK_OK ||
		kms_call_check_document(
			call, in->policy, POL_IDENTITY, KMS_IDENTITY_DOCUMENT_MAX) != SLK_OK ||
		authorize_policy(call, in->name) != SLK_OK)
		return;
	if (kms_iam_policies_count(s->iam) >= KMS_POLICIES_MAX) {
		kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
			"there are %u managed policies already", KMS_POLICIES_MAX);
		return;
	}
	strcpy(row.name, in->name);
	strcpy(row.description, in->description);
	int rc = kms_catalog_policy_create(s->parts.catalog, &row, in->policy, &id);
	if (rc == SLK_OK)
		rc = kms_iam_policy_changed(s->iam, row.name);
	if (rc == SLK_EXISTS)
		kms_call_fail(call, rc, "EntityAlreadyExistsException",
			"A policy called %s already exists (upper and lower case are the same).",
			row.name);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer_policy(call, row.name);
}

void
kms_op_get_policy(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_policy_row row;

	if (find_policy(call, request->get_policy->policy, &row) == SLK_OK)
		answer_policy(call, row.name);
}

void
kms_op_update_policy(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__UpdatePolicy *in = request->update_policy;
	struct kms_service *s = call->service;
	struct kms_policy_row row;

	if (kms_call_check_document(call, in->document, POL_IDENTITY, KMS_IDENTITY_DOCUMENT_MAX) !=
			SLK_OK ||
		find_policy(call, in->policy, &row) != SLK_OK)
		return;
	int rc = kms_catalog_policy_set(
		s->parts.catalog, row.id, in->document, slk_wall_ns(s->parts.clock));
	if (rc == SLK_OK)
		rc = kms_iam_policy_changed(s->iam, row.name);
	if (rc == SLK_OK)
		answer_policy(call, row.name);
	else
		kms_call_fail_catalog(call, rc);
}

void
kms_op_delete_policy(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_service *s = call->service;
	struct kms_policy_row row;

	if (find_policy(call, request->delete_policy->policy, &row) != SLK_OK)
		return;
	int rc = kms_catalog_policy_delete(s->parts.catalog, row.id);
	if (rc == SLK_OK)
		rc = kms_iam_policy_changed(s->iam, row.name);
	if (rc == SLK_INVALID_STATE)
		kms_call_fail(call, rc, "DeleteConflictException",
			"Cannot delete a policy attached to entities.");
	else
		kms_call_end(call, rc);
}

static void
answer_policies(
	struct kms_call *call, const struct kms_policy_row *rows, size_t found, size_t limit)
{
	static Kmsp__Document storage[KMSP_PAGE_MAX], *list[KMSP_PAGE_MAX]; /* one thread */
	static char arns[KMSP_PAGE_MAX][KMS_ARN_MAX];
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Policies out = KMSP__POLICIES__INIT;

	out.n_policies = found < limit ? found : limit;
	out.policies = list;
	for (size_t i = 0; i < out.n_policies; i++) {
		message(call, &rows[i], &storage[i], arns[i]);
		storage[i].description = (char *)(uintptr_t) ""; /* a page of them has no room */
		list[i] = &storage[i];
	}
	if (found > limit)
		out.next = (char *)(uintptr_t)rows[limit - 1].name;
	reply.result_case = KMSP__REPLY__RESULT_POLICIES;
	reply.policies = &out;
	kms_call_ok(call, &reply);
}

static struct kms_policy_row page[KMSP_PAGE_MAX + 1]; /* one thread */

void
kms_op_list_policies(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__List *in = request->list_policies;
	size_t found = 0, limit = kms_page(in->limit);

	if (check_marker(call, in->marker) != SLK_OK ||
		kms_call_authorize(call, call->action, "*", NULL) != SLK_OK)
		return;
	int rc = kms_catalog_policy_list(
		call->service->parts.catalog, in->marker, page, limit + 1, &found);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer_policies(call, page, found, limit);
}

/* --- who holds them --- */

/* The identity, and the policy that is named beside it. */
static int
find_both(struct kms_call *call, const Kmsp__Attachment *in, const struct kms_who_actions *actions,
	struct kms_identity_row *out_row, struct kms_policy_row *out_policy)
{
	int rc = kms_call_find_who(call, in->who, actions, out_row);

	return rc == SLK_OK ? get_policy(call, policy_name(call, in->policy), out_policy) : rc;
}

void
kms_op_attach_policy(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {
		"iam:AttachUserPolicy", "iam:AttachRolePolicy"};
	struct kms_catalog *catalog = call->service->parts.catalog;
	struct kms_identity_row row;
	struct kms_policy_row policy;
	size_t found = 0;
	bool is_there = false;

	if (find_both(call, request->attach_policy, &actions, &row, &policy) != SLK_OK)
		return;
	int rc = kms_catalog_attached_list(catalog, row.id, "", page, KMS_ATTACHED_MAX + 1, &found);
	for (size_t i = 0; rc == SLK_OK && i < found; i++)
		is_there = is_there || page[i].id == policy.id;
	if (rc == SLK_OK && !is_there && found >= KMS_ATTACHED_MAX) {
		kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
			"an identity has at most %u managed policies", KMS_ATTACHED_MAX);
		return;
	}
	if (rc == SLK_OK)
		rc = kms_catalog_attach(catalog, row.id, policy.id);
	kms_call_end_who(call, rc, &row);
}

void
kms_op_detach_policy(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {
		"iam:DetachUserPolicy", "iam:DetachRolePolicy"};
	struct kms_identity_row row;
	struct kms_policy_row policy;

	if (find_both(call, request->detach_policy, &actions, &row, &policy) != SLK_OK)
		return;
	int rc = kms_catalog_detach(call->service->parts.catalog, row.id, policy.id);
	if (rc == SLK_NOT_FOUND)
		kms_call_fail(call, rc, "NoSuchEntityException", "Policy %s was not found on %s.",
			policy.name, call->resource);
	else
		kms_call_end_who(call, rc, &row);
}

void
kms_op_list_attached_policies(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {
		"iam:ListAttachedUserPolicies", "iam:ListAttachedRolePolicies"};
	const Kmsp__ListOfWho *in = request->list_attached_policies;
	size_t found = 0, limit = kms_page(in->limit);
	struct kms_identity_row row;

	if (check_marker(call, in->marker) != SLK_OK ||
		kms_call_find_who(call, in->who, &actions, &row) != SLK_OK)
		return;
	int rc = kms_catalog_attached_list(
		call->service->parts.catalog, row.id, in->marker, page, limit + 1, &found);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer_policies(call, page, found, limit);
}

void
kms_op_list_policy_holders(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__ListOfPolicy *in = request->list_policy_holders;
	struct kms_policy_row row;

	if (find_policy(call, in->policy, &row) == SLK_OK)
		kms_call_answer_holders(call, row.id, in->marker, kms_page(in->limit));
}

/* --- boundaries --- */

void
kms_op_put_boundary(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {
		"iam:PutUserPermissionsBoundary", "iam:PutRolePermissionsBoundary"};
	struct kms_identity_row row;
	struct kms_policy_row policy;

	if (find_both(call, request->put_boundary, &actions, &row, &policy) == SLK_OK)
		kms_call_end_who(call,
			kms_catalog_boundary_set(call->service->parts.catalog, row.id, policy.id),
			&row);
}

void
kms_op_delete_boundary(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {
		"iam:DeleteUserPermissionsBoundary", "iam:DeleteRolePermissionsBoundary"};
	struct kms_identity_row row;

	if (kms_call_find_who(call, request->delete_boundary, &actions, &row) == SLK_OK)
		kms_call_end_who(call,
			kms_catalog_boundary_set(call->service->parts.catalog, row.id, 0), &row);
}
