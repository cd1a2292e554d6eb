/* Users and roles: create, get, list, delete, tag, trust policy. */
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "format/utf8.h"
#include "catalog_delivery.h"
#include "credentials.h"
#include "digest.h"
#include "ops_iam.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-"
#define SESSION_MIN_S 3600u
#define SESSION_MAX_S 43200u

/* --- what the operations share --- */

int
kms_call_check_name(struct kms_call *call, const char *name, size_t max)
{
	size_t len = strspn(name, NAME_CHARS);

	if (len > 0 && len < max && name[len] == '\0')
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"a name is 1 to %zu of a-z A-Z 0-9 _ + = , . @ -", max - 1);
	return SLK_INVALID;
}

int
kms_call_check_text(struct kms_call *call, const char *text)
{
	size_t characters = 0;

	for (const char *c = text; *c != '\0'; c++)
		characters += ((unsigned char)*c & 0xc0) != 0x80;
	if (characters <= KMS_TEXT_CHARS_MAX && fmt_utf8_is_text(slk_span_str(text)))
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"a description is UTF-8 text of at most %u characters", KMS_TEXT_CHARS_MAX);
	return SLK_INVALID;
}

/* For the audit line, also of a refusal. */
static int
digest_document(struct kms_call *call, const char *json)
{
	uint8_t digest[KMS_DIGEST_MAX];

	int rc = kms_digest(
		call->service->digests, KMS_ALG_ECDSA_SHA_256, slk_span_str(json), digest);
	if (rc != SLK_OK) {
		kms_call_fail(
			call, rc, "KMSInternalException", "the policy's digest cannot be made");
		return rc;
	}
	memcpy(call->document_digest, digest, sizeof(call->document_digest));
	call->has_document = true;
	return rc;
}

int
kms_call_check_document(struct kms_call *call, const char *json, enum pol_kind kind, size_t max)
{
	struct kms_document document;
	struct pol_problem problem = {1, 1, ""};

	if (strlen(json) > max) {
		kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
			"a policy of this kind has at most %zu bytes, this has %zu", max,
			strlen(json));
		return SLK_LIMIT;
	}
	if (kms_documents_bytes() + strlen(json) > KMS_DOCUMENTS_BYTES_MAX) {
		kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
			"all policies together may have %u bytes; remove or shorten some",
			KMS_DOCUMENTS_BYTES_MAX);
		return SLK_LIMIT;
	}
	int rc = digest_document(call, json);
	if (rc != SLK_OK)
		return rc;
	rc = kms_document_parse(json, kind, &document, &problem);
	if (rc == SLK_OK)
		kms_document_free(&document);
	else if (rc == SLK_NO_MEMORY)
		kms_call_fail(call, rc, "KMSInternalException", "out of memory");
	else
		kms_call_fail(call, SLK_INVALID, "MalformedPolicyDocumentException",
			"line %u, column %u: %s", problem.line, problem.column,
			fmt_utf8_is_text(slk_span_str(problem.text)) ? problem.text
								     : "text that is no UTF-8");
	return rc;
}

/* One of another account cannot be known here. */
static bool
is_there(const struct kms_call *call, const struct pol_named *named)
{
	const struct kms_realm *realm = &call->service->parts.realm;
	char prefix[KMS_ARN_MAX], arn[KMS_ARN_MAX];

	if (named->who != POL_WHO_ARN)
		return true;
	if (strlen(named->text) >= sizeof(arn))
		return false;
	strcpy(arn, named->text);
	(void)snprintf(prefix, sizeof(prefix), "arn:aws:sts::%s:assumed-role/", realm->account);
	if (strncmp(arn, prefix, strlen(prefix)) == 0) { /* of a session: its role */
		char *name = arn + strlen(prefix);
		name[strcspn(name, "/")] = '\0';
		(void)snprintf(
			prefix, sizeof(prefix), "arn:aws:iam::%s:role/%.64s", realm->account, name);
		return kms_iam_find(call->service->iam, prefix) != NULL;
	}
	(void)snprintf(prefix, sizeof(prefix), "arn:aws:iam::%s:", realm->account);
	return strncmp(arn, prefix, strlen(prefix)) != 0 ||
		kms_iam_find(call->service->iam, arn) != NULL;
}

int
kms_call_check_named(struct kms_call *call, const char *json, enum pol_kind kind)
{
	struct kms_document document;
	struct pol_problem problem;
	struct pol_named named;

	int rc = kms_document_parse(json, kind, &document, &problem);
	if (rc != SLK_OK) {
		kms_call_fail(call, rc, "KMSInternalException", "out of memory");
		return rc;
	}
	for (size_t i = 0; rc == SLK_OK && pol_document_named(document.parsed, i, &named); i++)
		if (!is_there(call, &named))
			rc = SLK_INVALID;
	if (rc != SLK_OK) /* the two sentences of AWS, and where */
		kms_call_fail(call, rc, "MalformedPolicyDocumentException",
			kind == POL_TRUST
				? "Invalid principal in policy: \"AWS\":\"%.320s\" (statement %zu, "
				  "line "
				  "%u: there is none of that name)"
				: "Policy contains a statement with one or more invalid "
				  "principals. "
				  "(%.320s in statement %zu, line %u: there is none of that name)",
			fmt_utf8_is_text(slk_span_str(named.text)) ? named.text : "(not UTF-8)",
			named.statement + 1, named.line);
	kms_document_free(&document);
	return rc;
}

void
kms_call_name_policy(struct kms_call *call, const char *name)
{
	(void)snprintf(call->policy_name, sizeof(call->policy_name), "%s", name);
}

void
kms_call_fail_entity(struct kms_call *call, int rc, const char *what, const char *name)
{
	if (rc == SLK_NOT_FOUND)
		kms_call_fail(call, rc, "NoSuchEntityException",
			"The %s with name %s cannot be found.", what, name);
	else
		kms_call_fail_catalog(call, rc);
}

static const char *
kind_name(enum kms_identity_kind kind)
{
	return kind == KMS_USER ? "user" : "role";
}

static int
authorize_name(struct kms_call *call, enum kms_identity_kind kind, const char *name)
{
	char arn[KMS_ARN_MAX];

	(void)snprintf(arn, sizeof(arn), "arn:aws:iam::%s:%s/%s",
		call->service->parts.realm.account, kind_name(kind), name);
	return kms_call_authorize(call, call->action, arn, NULL);
}

int
kms_call_authorize_who(struct kms_call *call, const Kmsp__Who *who,
	const struct kms_who_actions *actions, enum kms_identity_kind *out_kind,
	const char **out_name)
{
	if (who == NULL || who->who_case == KMSP__WHO__WHO__NOT_SET) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"neither a user nor a role is named");
		return SLK_INVALID;
	}
	*out_kind = who->who_case == KMSP__WHO__WHO_USER ? KMS_USER : KMS_ROLE;
	*out_name = *out_kind == KMS_USER ? who->user : who->role;
	call->action = *out_kind == KMS_USER ? actions->user : actions->role;
	int rc = kms_call_check_name(call, *out_name, KMS_NAME_MAX);
	return rc == SLK_OK ? authorize_name(call, *out_kind, *out_name) : rc;
}

int
kms_call_find_who(struct kms_call *call, const Kmsp__Who *who,
	const struct kms_who_actions *actions, struct kms_identity_row *out_row)
{
	enum kms_identity_kind kind;
	const char *name;

	int rc = kms_call_authorize_who(call, who, actions, &kind, &name);
	if (rc != SLK_OK)
		return rc;
	rc = kms_catalog_identity_get(call->service->parts.catalog, kind, name, out_row);
	if (rc != SLK_OK)
		kms_call_fail_entity(call, rc, kind_name(kind), name);
	return rc;
}

void
kms_call_end_who(struct kms_call *call, int rc, const struct kms_identity_row *row)
{
	if (rc == SLK_OK)
		rc = kms_iam_identity_changed(call->service->iam, row->kind, row->name);
	kms_call_end(call, rc);
}

/* --- answers --- */

struct identity_text {
	char arn[KMS_ARN_MAX];
	char boundary[KMS_ARN_MAX];
};

static void
message(const struct kms_call *call, const struct kms_identity_row *row, Kmsp__Identity *out,
	struct identity_text *text)
{
	(void)snprintf(text->arn, sizeof(text->arn), "arn:aws:iam::%s:%s/%s",
		call->service->parts.realm.account, kind_name(row->kind), row->name);
	kmsp__identity__init(out);
	out->arn = text->arn;
	out->name = (char *)(uintptr_t)row->name;
	out->id = (char *)(uintptr_t)row->unique_id;
	out->description = (char *)(uintptr_t)row->description;
	out->created_ns = row->created_ns;
	out->max_session_s = row->max_session_s;
}

/* The boundary's name is where the documents in force have it. */
static void
name_boundary(const struct kms_call *call, Kmsp__Identity *out, struct identity_text *text)
{
	const struct kms_identity *is = kms_iam_find(call->service->iam, text->arn);

	if (is == NULL || is->boundary_name == NULL)
		return;
	(void)snprintf(text->boundary, sizeof(text->boundary), "arn:aws:iam::%s:policy/%s",
		call->service->parts.realm.account, is->boundary_name);
	out->boundary = text->boundary;
}

static void
answer_identity(struct kms_call *call, const struct kms_identity_row *row)
{
	static struct kms_tag tags[KMS_TAGS_MAX]; /* one thread */
	static Kmsp__Tag storage[KMS_TAGS_MAX], *list[KMS_TAGS_MAX];
	static char trust[KMS_DOCUMENT_MAX];
	struct kms_catalog *catalog = call->service->parts.catalog;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Identity out;
	struct identity_text text;
	size_t count = 0;

	message(call, row, &out, &text);
	name_boundary(call, &out, &text);
	int rc = kms_catalog_identity_tags(catalog, row->id, tags, &count);
	if (rc == SLK_OK && row->kind == KMS_ROLE) {
		rc = kms_catalog_trust_get(catalog, row->id, trust, sizeof(trust));
		out.trust_policy = trust;
	}
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		kmsp__tag__init(&storage[i]);
		storage[i].key = tags[i].key;
		storage[i].value = tags[i].value;
		list[i] = &storage[i];
	}
	out.tags = list;
	out.n_tags = count;
	reply.result_case = KMSP__REPLY__RESULT_IDENTITY;
	reply.identity = &out;
	kms_call_ok(call, &reply);
}

/* --- create --- */

/* "AIDA" and 17 of A-Z 2-7, 85 bits of chance. */
static int
new_unique_id(const char *prefix, char out[KMS_UNIQUE_ID_MAX])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint8_t random[KMS_UNIQUE_ID_MAX - 5];

	int rc = slk_random(random, sizeof(random));
	if (rc != SLK_OK)
		return rc;
	memcpy(out, prefix, 4);
	for (size_t i = 0; i < sizeof(random); i++)
		out[4 + i] = digits[random[i] % 32];
	out[4 + sizeof(random)] = '\0';
	return SLK_OK;
}

static int
check_room(struct kms_call *call)
{
	if (kms_iam_identities_count(call->service->iam) < KMS_IDENTITIES_MAX)
		return SLK_OK;
	kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
		"there are %u users and roles already", KMS_IDENTITIES_MAX);
	return SLK_LIMIT;
}

static void
create(struct kms_call *call, struct kms_identity_row *row, const char *trust,
	const struct kms_tag *tags, size_t tags_count)
{
	struct kms_service *s = call->service;

	call->facts.request_tags = tags;
	call->facts.request_tags_count = tags_count;
	if (authorize_name(call, row->kind, row->name) != SLK_OK || check_room(call) != SLK_OK ||
		(trust != NULL && kms_call_check_named(call, trust, POL_TRUST) != SLK_OK))
		return;
	row->created_ns = slk_wall_ns(s->parts.clock);
	int rc = new_unique_id(row->kind == KMS_USER ? "AIDA" : "AROA", row->unique_id);
	if (rc == SLK_OK)
		rc = kms_catalog_identity_create(
			s->parts.catalog, row, trust, tags, tags_count, &row->id);
	if (rc == SLK_OK)
		rc = kms_iam_identity_changed(s->iam, row->kind, row->name);
	if (rc == SLK_EXISTS)
		kms_call_fail(call, rc, "EntityAlreadyExistsException",
			"A %s with name %s already exists (upper and lower case are the same).",
			kind_name(row->kind), row->name);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer_identity(call, row);
}

void
kms_op_create_user(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_tag tags[KMS_TAGS_MAX]; /* one thread */
	const Kmsp__CreateUser *in = request->create_user;
	struct kms_identity_row row = {.kind = KMS_USER};

	if (kms_call_check_name(call, in->name, KMS_NAME_MAX) != SLK_OK ||
		kms_call_take_tags(call, in->tags, in->n_tags, tags) != SLK_OK)
		return;
	strcpy(row.name, in->name);
	create(call, &row, NULL, tags, in->n_tags);
}

static int
take_session(struct kms_call *call, uint32_t seconds, struct kms_identity_row *row)
{
	row->max_session_s = seconds != 0 ? seconds : SESSION_MIN_S;
	if (row->max_session_s >= SESSION_MIN_S && row->max_session_s <= SESSION_MAX_S)
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"the longest session of a role is %u to %u seconds, not %u", SESSION_MIN_S,
		SESSION_MAX_S, seconds);
	return SLK_INVALID;
}

void
kms_op_create_role(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_tag tags[KMS_TAGS_MAX]; /* one thread */
	const Kmsp__CreateRole *in = request->create_role;
	struct kms_identity_row row = {.kind = KMS_ROLE};

	if (kms_call_check_name(call, in->name, KMS_NAME_MAX) != SLK_OK ||
		kms_call_check_text(call, in->description) != SLK_OK ||
		take_session(call, in->max_session_s, &row) != SLK_OK ||
		kms_call_check_document(
			call, in->trust_policy, POL_TRUST, KMS_IDENTITY_DOCUMENT_MAX) != SLK_OK ||
		kms_call_take_tags(call, in->tags, in->n_tags, tags) != SLK_OK)
		return;
	strcpy(row.name, in->name);
	strcpy(row.description, in->description);
	create(call, &row, in->trust_policy, tags, in->n_tags);
}

/* --- look --- */

void
kms_op_get_identity(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {"iam:GetUser", "iam:GetRole"};
	struct kms_identity_row row;

	if (kms_call_find_who(call, request->get_identity, &actions, &row) == SLK_OK)
		answer_identity(call, &row);
}

static void
answer_identities(struct kms_call *call, const struct kms_identity_row *rows, size_t found,
	size_t limit, char *next)
{
	static Kmsp__Identity storage[KMSP_PAGE_MAX], *list[KMSP_PAGE_MAX];
	static struct identity_text texts[KMSP_PAGE_MAX];
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Identities out = KMSP__IDENTITIES__INIT;

	out.n_identities = found < limit ? found : limit;
	out.identities = list;
	for (size_t i = 0; i < out.n_identities; i++) {
		message(call, &rows[i], &storage[i], &texts[i]);
		storage[i].description = (char *)(uintptr_t) ""; /* a page of them has no room */
		list[i] = &storage[i];
	}
	if (found > limit)
		out.next = next;
	reply.result_case = KMSP__REPLY__RESULT_IDENTITIES;
	reply.identities = &out;
	kms_call_ok(call, &reply);
}

static void
list_kind(struct kms_call *call, const Kmsp__List *in, enum kms_identity_kind kind)
{
	static struct kms_identity_row rows[KMSP_PAGE_MAX + 1]; /* one thread */
	size_t found = 0, limit = kms_page(in->limit);

	if (kms_call_authorize(call, call->action, "*", NULL) != SLK_OK)
		return;
	if (strlen(in->marker) >= KMS_NAME_MAX ||
		in->marker[strspn(in->marker, NAME_CHARS)] != '\0') {
		kms_call_bad_marker(call);
		return;
	}
	int rc = kms_catalog_identity_list(
		call->service->parts.catalog, kind, in->marker, rows, limit + 1, &found);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer_identities(call, rows, found, limit, rows[limit - 1].name);
}

void
kms_op_list_users(struct kms_call *call, const Kmsp__Request *request)
{
	list_kind(call, request->list_users, KMS_USER);
}

void
kms_op_list_roles(struct kms_call *call, const Kmsp__Request *request)
{
	list_kind(call, request->list_roles, KMS_ROLE);
}

/* The marker is the row id of the last one. */
void
kms_call_answer_holders(struct kms_call *call, uint64_t policy_id, const char *marker, size_t limit)
{
	static struct kms_identity_row rows[KMSP_PAGE_MAX + 1]; /* one thread */
	unsigned long long after = 0;
	char next[24], end;
	size_t found = 0;

	if (marker[0] != '\0' && sscanf(marker, "%19llu%c", &after, &end) != 1) {
		kms_call_bad_marker(call);
		return;
	}
	int rc = kms_catalog_holder_list(
		call->service->parts.catalog, policy_id, after, rows, limit + 1, &found);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	(void)snprintf(next, sizeof(next), "%llu", (unsigned long long)rows[limit - 1].id);
	answer_identities(call, rows, found, limit, next);
}

/* --- change --- */

/* A delivery stream whose role goes delivers nothing any more. */
static int
check_not_needed(struct kms_call *call, const struct kms_identity_row *row)
{
	struct kms_delivery delivery;
	char arn[KMS_ARN_MAX];

	if (row->kind != KMS_ROLE ||
		kms_role_arn(&call->service->parts.realm, row->name, arn) != SLK_OK)
		return SLK_OK;
	int rc = kms_catalog_delivery_of_role(call->service->parts.catalog, arn, &delivery);
	if (rc == SLK_NOT_FOUND)
		return SLK_OK;
	if (rc == SLK_OK)
		kms_call_fail(call, SLK_INVALID_STATE, "DeleteConflictException",
			"Cannot delete entity, must delete or update delivery stream %s first, "
			"which delivers under this role.",
			delivery.name);
	else
		kms_call_fail_catalog(call, rc);
	return rc == SLK_OK ? SLK_INVALID_STATE : rc;
}

void
kms_op_delete_identity(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {"iam:DeleteUser", "iam:DeleteRole"};
	struct kms_identity_row row;

	if (kms_call_find_who(call, request->delete_identity, &actions, &row) != SLK_OK ||
		check_not_needed(call, &row) != SLK_OK)
		return;
	int rc = kms_catalog_identity_delete(call->service->parts.catalog, row.id);
	if (rc == SLK_INVALID_STATE)
		kms_call_fail(call, rc, "DeleteConflictException",
			"Cannot delete entity, must detach all policies and delete inline policies "
			"and access keys first.");
	else
		kms_call_end_who(call, rc, &row);
}

void
kms_op_tag_identity(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {"iam:TagUser", "iam:TagRole"};
	static struct kms_tag tags[KMS_TAGS_MAX]; /* one thread */
	const Kmsp__TagIdentity *in = request->tag_identity;
	struct kms_identity_row row;

	if (kms_call_take_tags(call, in->tags, in->n_tags, tags) != SLK_OK)
		return;
	call->facts.request_tags = tags;
	call->facts.request_tags_count = in->n_tags;
	if (kms_call_find_who(call, in->who, &actions, &row) != SLK_OK)
		return;
	int rc = kms_catalog_identity_tags_set(
		call->service->parts.catalog, row.id, tags, in->n_tags);
	if (rc == SLK_LIMIT)
		kms_call_fail(call, rc, "LimitExceededException",
			"Cannot exceed quota for TagsPerResource: %u", KMS_TAGS_MAX);
	else
		kms_call_end_who(call, rc, &row);
}

void
kms_op_untag_identity(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {"iam:UntagUser", "iam:UntagRole"};
	const Kmsp__UntagIdentity *in = request->untag_identity;
	struct kms_identity_row row;

	for (size_t i = 0; i < in->n_tag_keys; i++) {
		if (fmt_utf8_is_text(slk_span_str(in->tag_keys[i])))
			continue;
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"the key of tag %zu is no UTF-8 text", i + 1);
		return;
	}
	call->facts.tag_keys = (const char *const *)in->tag_keys;
	call->facts.tag_keys_count = in->n_tag_keys;
	if (kms_call_find_who(call, in->who, &actions, &row) != SLK_OK)
		return;
	kms_call_end_who(call,
		kms_catalog_identity_tags_remove(call->service->parts.catalog, row.id,
			(const char *const *)in->tag_keys, in->n_tag_keys),
		&row);
}

void
kms_op_update_trust_policy(struct kms_call *call, const Kmsp__Request *request)
{
	static const struct kms_who_actions actions = {NULL, "iam:UpdateAssumeRolePolicy"};
	const Kmsp__UpdateTrustPolicy *in = request->update_trust_policy;
	Kmsp__Who who = KMSP__WHO__INIT;
	struct kms_identity_row row;

	who.who_case = KMSP__WHO__WHO_ROLE;
	who.role = in->role;
	if (kms_call_check_document(call, in->policy, POL_TRUST, KMS_IDENTITY_DOCUMENT_MAX) !=
			SLK_OK ||
		kms_call_find_who(call, &who, &actions, &row) != SLK_OK)
		return;
	if (kms_call_check_named(call, in->policy, POL_TRUST) != SLK_OK)
		return;
	kms_call_end_who(call,
		kms_catalog_trust_set(call->service->parts.catalog, row.id, in->policy), &row);
}
