/* The gate of dual control. See dual.h. */
#include "dual.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "call.h"
#include "crypt.h"
#include "digest.h"

#define DIGEST_NAME "sealock-proposal-1"
#define NS_PER_HOUR (3600 * SLK_NS_PER_S)
/* So that GetProposal's answer has room for all that is said besides. */
#define REQUEST_MAX (KMSP_FRAME_MAX - 16384u)

/* --- what is under it --- */

static bool
begins_with_one(const char *text, const char *const *begins, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strncmp(text, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

#define ONE_OF(text, list) begins_with_one((text), (list), sizeof(list) / sizeof((list)[0]))

bool
kms_dual_can(const char *action)
{
	static const char *const rooms[] = {"kms:", "iam:", "kinesis:"};
	static const char *const reads[] = {"Get", "List", "Describe"};
	static const char *const uses[] = {"Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey",
		"GenerateRandom", "Sign", "Verify", "RetireGrant", "PutRecord", "SubscribeToShard",
		"PassRole"};
	const char *verb = strchr(action, ':');

	return ONE_OF(action, rooms) && !ONE_OF(verb + 1, reads) && !ONE_OF(verb + 1, uses);
}

bool
kms_dual_controls(const struct kms_config_dual *config, const char *action)
{
	if (config == NULL || config->approvals == 0 || !kms_dual_can(action))
		return false;
	for (uint32_t i = 0; i < config->actions_count; i++)
		if (kms_pattern_match(config->actions[i], action, true))
			return true;
	return false;
}

static bool
names_something(const char *pattern)
{
	const char *action;

	for (size_t i = 0; (action = kms_policy_action(i)) != NULL; i++)
		if (kms_dual_can(action) && kms_pattern_match(pattern, action, true))
			return true;
	return false;
}

int
kms_dual_check(const struct kms_config_dual *config, struct slk_error *err)
{
	for (uint32_t i = 0; i < config->actions_count; i++)
		if (!names_something(config->actions[i]))
			return slk_fail(err, SLK_CONFIG,
				"dual_control: '%s' names nothing that can be under dual control: "
				"actions that change something in kms, iam or kinesis, such as "
				"kms:ScheduleKeyDeletion or iam:*",
				config->actions[i]);
	return SLK_OK;
}

/* --- the digest --- */

/* The request without what its client calls it: packed, so that the same request is the same bytes. */
static Kmsp__Request
canonical(const Kmsp__Request *request)
{
	Kmsp__Request r = *request;

	r.version = KMSP_VERSION;
	r.id = 0;
	r.timeout_ms = 0;
	r.correlation = (char *)(uintptr_t)protobuf_c_empty_string;
	r.caller =
		NULL; /* who it is is digested by name; a session's next token is the same caller */
	return r;
}

static void
put(struct slk_writer *w, const char *text)
{
	slk_write_bytes(w, text, strlen(text) + 1);
}

struct packed {
	uint8_t *bytes; /* all that is digested; the request is its end */
	size_t len, request_at;
};

static int
pack(const struct kms_call *call, const char *action, struct packed *out)
{
	Kmsp__Request r = canonical(call->request);
	size_t request_len = kmsp__request__get_packed_size(&r);
	size_t cap = request_len + sizeof(DIGEST_NAME) + 2 * KMS_ARN_MAX + KMS_PROPOSAL_ACTION_MAX;
	struct slk_writer w;

	if (request_len > REQUEST_MAX || strlen(action) >= KMS_PROPOSAL_ACTION_MAX)
		return SLK_TOO_LARGE;
	out->bytes = malloc(cap);
	if (out->bytes == NULL)
		return SLK_NO_MEMORY;
	w = slk_writer(out->bytes, cap);
	put(&w, DIGEST_NAME);
	put(&w, call->principal);
	put(&w, action);
	put(&w, call->resource);
	if (w.status != SLK_OK)
		return SLK_TOO_LARGE;
	out->request_at = w.len;
	out->len = w.len + kmsp__request__pack(&r, out->bytes + w.len);
	return SLK_OK;
}

/* --- proposals --- */

/* The person's uid, where the gateway asks for one whom the configuration knows, or for a session that one began: neither may
 * approve what it asked for in another place. */
static uid_t
requester_uid(const struct kms_call *call)
{
	const struct kms_principals *principals = call->service->parts.principals;
	uid_t uid = call->peer.uid;

	if (call->for_caller && !kms_principals_uid(principals, call->behind, &uid))
		(void)kms_principals_uid(principals, call->principal, &uid);
	return uid;
}

/* The call's proposal from what it asks for; Pending, and not in the catalog. */
static int
draft(struct kms_call *call, const char *action, struct packed *out)
{
	const struct kms_config_dual *config = call->service->parts.dual;
	uint8_t digest[KMS_DIGEST_MAX];

	call->proposal = calloc(1, sizeof(*call->proposal));
	int rc = call->proposal != NULL ? pack(call, action, out) : SLK_NO_MEMORY;
	if (rc == SLK_OK)
		rc = kms_digest(call->service->digests, KMS_ALG_ECDSA_SHA_256,
			slk_span(out->bytes, out->len), digest);
	if (rc == SLK_OK)
		rc = slk_random(call->proposal->id, sizeof(call->proposal->id));
	if (rc != SLK_OK)
		return rc;
	struct kms_proposal *p = call->proposal;
	fmt_uuid_mark(p->id);
	memcpy(p->digest, digest, sizeof(p->digest));
	strcpy(p->requester, call->principal);
	strcpy(p->action, action);
	strcpy(p->resource, call->resource);
	p->requester_uid = requester_uid(call);
	p->needed = config->approvals;
	p->created_ns = slk_wall_ns(call->service->parts.clock);
	p->expires_ns = p->created_ns + config->expires_hours * NS_PER_HOUR;
	return SLK_OK;
}

/* The one that waits for the call's digest, or a new one. One whose time is over makes way. */
static int
find_or_create(struct kms_call *call, const struct packed *packed)
{
	struct kms_catalog *catalog = call->service->parts.catalog;
	struct kms_proposal there;
	const struct slk_span request =
		slk_span(packed->bytes + packed->request_at, packed->len - packed->request_at);

	int rc = kms_catalog_proposal_find(catalog, call->proposal->digest, &there);
	if (rc == SLK_OK && !kms_proposal_is_over(&there, call->proposal->created_ns)) {
		*call->proposal = there;
		return rc;
	}
	if (rc != SLK_OK && rc != SLK_NOT_FOUND)
		return rc;
	return kms_catalog_proposal_create(catalog, call->proposal, request);
}

/* Does this approval count now? The facts are those of the request itself. */
static bool
counts(struct kms_call *call, const struct kms_approval *a)
{
	const struct kms_principals *principals = call->service->parts.principals;
	const struct kms_proposal *p = call->proposal;
	const char *arn = kms_principals_arn(principals, a->uid);
	char sentence[KMS_SENTENCE_MAX] = "";

	if (arn == NULL || strcmp(arn, a->principal) != 0 ||
		(kms_principals_classes(principals, a->uid) & KMS_CLASS_ADMIN) == 0 ||
		a->uid == p->requester_uid || strcmp(a->principal, p->requester) == 0)
		return false;
	const struct kms_question q = {
		.principal = a->principal, .action = p->action, .resource = p->resource};
	/* But the way that it came is not the approval's. */
	const struct kms_facts facts = call->facts;
	call->facts.source_ip = call->facts.source_arn = call->facts.via_service = NULL;
	bool may = kms_call_ask(call, &q, sentence) == SLK_OK;
	call->facts = facts;
	return may;
}

static int
count_approvals(struct kms_call *call, uint32_t *out_count)
{
	struct kms_approval list[KMS_APPROVALS_MAX];
	size_t found = 0;

	*out_count = 0;
	int rc = kms_catalog_approval_list(
		call->service->parts.catalog, call->proposal->id, list, KMS_APPROVALS_MAX, &found);
	for (size_t i = 0; rc == SLK_OK && i < found; i++)
		*out_count += counts(call, &list[i]);
	return rc;
}

/* --- the gate --- */

static void
refuse(struct kms_call *call, uint32_t have, uint32_t needed)
{
	const struct kms_proposal *p = call->proposal;
	char id[FMT_UUID_TEXT];

	fmt_uuid_print(p->id, id);
	kms_call_fail(call, SLK_DENIED, "ApprovalRequiredException",
		"%s on resource: %s is under dual control: proposal %s has %u of %u approvals by "
		"others than %s; the same request goes through once it has them ('sealock approval "
		"approve %s'), until the proposal expires",
		p->action, p->resource, id, have, needed, p->requester, id);
}

static void
fail(struct kms_call *call, int rc)
{
	free(call->proposal); /* none is there */
	call->proposal = NULL;
	if (rc == SLK_LIMIT)
		kms_call_fail(call, rc, "LimitExceededException",
			"%u proposals wait for approvals, which is the limit: approve or reject "
			"some ('sealock approval list')",
			KMS_PROPOSALS_PENDING_MAX);
	else if (rc == SLK_TOO_LARGE)
		kms_call_fail(call, rc, "LimitExceededException",
			"a request under dual control has at most %u bytes", REQUEST_MAX);
	else
		kms_call_fail_catalog(call, rc);
}

/* Approved: spend it, and only then go on. */
static int
spend(struct kms_call *call)
{
	struct kms_service *s = call->service;

	int rc = kms_catalog_proposal_end(s->parts.catalog, call->proposal->id, KMS_PROPOSAL_USED,
		call->principal, slk_wall_ns(s->parts.clock));
	call->is_approved = rc == SLK_OK;
	return rc;
}

static int
pass(struct kms_call *call)
{
	uint32_t have = 0, needed = call->service->parts.dual->approvals;

	int rc = count_approvals(call, &have);
	if (call->proposal->needed > needed) /* the configuration asked for more then */
		needed = call->proposal->needed;
	if (rc == SLK_OK && have < needed) {
		refuse(call, have, needed);
		return SLK_DENIED;
	}
	if (rc == SLK_OK)
		rc = spend(call);
	if (rc != SLK_OK)
		fail(call, rc);
	return rc;
}

int
kms_dual_gate(struct kms_call *call, const char *action)
{
	struct packed packed = {0};

	if (call->is_approved || !kms_dual_controls(call->service->parts.dual, action))
		return SLK_OK;
	/* Begun anew without its request, or a door's: neither asks for what is under control. */
	if (call->request == NULL || call->proposal != NULL || call->principal[0] == '\0') {
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"%s is under dual control and cannot be asked for in this way", action);
		return SLK_INTERNAL;
	}
	int rc = draft(call, action, &packed);
	if (rc == SLK_OK)
		rc = find_or_create(call, &packed);
	free(packed.bytes);
	if (rc != SLK_OK) {
		fail(call, rc);
		return rc;
	}
	return pass(call);
}

int
kms_dual_may_approve(struct kms_call *call, const struct kms_proposal *proposal)
{
	char sentence[KMS_SENTENCE_MAX] = "";
	struct kms_ref ref;
	struct kms_key key;

	const struct kms_question q = {.principal = call->principal,
		.action = proposal->action,
		.resource = proposal->resource};
	if (kms_ref_parse(&call->service->parts.realm, proposal->resource, &ref) == SLK_OK &&
		ref.kind == KMS_REF_KEY &&
		kms_catalog_key_get(call->service->parts.catalog, ref.id, &key) == SLK_OK)
		call->facts.key = &key;
	int rc = kms_call_ask(call, &q, sentence);
	call->facts.key = NULL;
	if (rc != SLK_OK)
		kms_call_deny(call, "AccessDeniedException", sentence);
	return rc;
}

/* --- as a message --- */

static char *
state_name(enum kms_proposal_state state)
{
	static const char *const names[KMS_PROPOSAL_STATES] = {
		"Pending", "Used", "Rejected", "Expired"};

	return kms_text(names[state]);
}

static void
message_approvals(const struct kms_approval *approvals, size_t count, struct kms_proposal_text *out)
{
	for (size_t i = 0; i < count && i < KMS_APPROVALS_MAX; i++) {
		kmsp__approval__init(&out->storage[i]);
		out->storage[i].principal = kms_text(approvals[i].principal);
		out->storage[i].uid = approvals[i].uid;
		out->storage[i].approved_ns = approvals[i].approved_ns;
		out->list[i] = &out->storage[i];
		out->message.n_approvals++;
	}
}

void
kms_dual_message(const struct kms_proposal *proposal, const struct kms_approval *approvals,
	size_t approvals_count, struct kms_proposal_text *out)
{
	Kmsp__Proposal *m = &out->message;

	kmsp__proposal__init(m);
	fmt_uuid_print(proposal->id, out->id);
	m->id = out->id;
	m->requester = kms_text(proposal->requester);
	m->action = kms_text(proposal->action);
	m->resource = kms_text(proposal->resource);
	m->digest = kms_bytes(slk_span(proposal->digest, sizeof(proposal->digest)));
	m->needed = proposal->needed;
	m->state = state_name(proposal->state);
	m->created_ns = proposal->created_ns;
	m->expires_ns = proposal->expires_ns;
	m->ended_ns = proposal->ended_ns;
	m->ended_by = kms_text(proposal->ended_by);
	m->approvals = out->list;
	message_approvals(approvals, approvals_count, out);
}
