/* Ends of a call, and the steps that handlers take. */
#include "call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define ANSWER_MARGIN_NS (200 * SLK_NS_PER_MS) /* of the client's time, for the way back */

const char *
kms_call_who(const struct kms_call *call)
{
	return call->credential.session[0] != '\0' ? call->credential.session : call->principal;
}

/* --- ends of a call --- */

static void
count(struct kms_service *s, int status)
{
	s->requests++;
	if (status == SLK_DENIED)
		s->denied++;
	else if (status != SLK_OK)
		s->errors++;
}

/* Pack what the call answers into a frame of its own; none if memory ran out. */
static void
pack(struct kms_call *call, Kmsp__Reply *reply)
{
	size_t len = protobuf_c_message_get_packed_size(&reply->base) + 2; /* and the version */

	slk_secret_free(call->frame);
	call->frame = NULL;
	if (len > KMSP_FRAME_MAX || slk_secret_new(len, &call->frame) != SLK_OK)
		return;
	size_t packed = 0;
	if (kmsp_reply_pack(reply, slk_secret_bytes(call->frame), len, &packed) != SLK_OK ||
		packed != len) {
		slk_secret_free(call->frame);
		call->frame = NULL;
	}
}

static void
pack_error(struct kms_call *call)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	struct kms_proposal_text proposal;

	reply.id = call->id;
	reply.status = call->status;
	reply.exception = (char *)(uintptr_t)call->exception;
	reply.message = call->message;
	reply.request_id = call->request_id;
	/* Which one waits: the sentence says it, too. */
	if (call->proposal != NULL && !call->is_approved && call->status == SLK_DENIED) {
		kms_dual_message(call->proposal, NULL, 0, &proposal);
		reply.result_case = KMSP__REPLY__RESULT_PROPOSAL;
		reply.proposal = &proposal.message;
	}
	pack(call, &reply);
}

static bool
has_credential(const struct kms_call *call)
{
	return call->credential.access_key_id[0] != '\0' ||
		call->credential.principal_id[0] != '\0';
}

static int
audit(struct kms_call *call)
{
	const struct kms_audit_entry entry = {
		.request_id = call->request_id,
		.principal = call->principal[0] != '\0' ? call->principal : NULL,
		.uid = call->by_door ? call->caller_uid : call->peer.uid,
		.pid = call->peer.pid,
		.by_door = call->by_door,
		.uid_known = call->uid_known,
		.door_uid = call->peer.uid,
		.door_pid = call->peer.pid,
		.door = call->door,
		.action = call->action,
		.resource = call->resource[0] != '\0' ? call->resource : NULL,
		.context = call->context,
		.backing_id = call->has_backing ? call->backing_id : NULL,
		.from_resource = call->from_arn[0] != '\0' ? call->from_arn : NULL,
		.from_context = call->from_context,
		.from_backing_id = call->from_arn[0] != '\0' ? call->from_backing_id : NULL,
		.credential = has_credential(call) ? &call->credential : NULL,
		.issued = call->issued.access_key_id[0] != '\0' ? &call->issued : NULL,
		.attest_purpose = call->attest_purpose[0] != '\0' ? call->attest_purpose : NULL,
		.attest_digest = call->attest_digest,
		.proposal_id = call->proposal != NULL ? call->proposal->id : NULL,
		.proposal_digest = call->proposal != NULL ? call->proposal->digest : NULL,
		.policy_name = call->policy_name[0] != '\0' ? call->policy_name : NULL,
		.document_digest = call->has_document ? call->document_digest : NULL,
		.correlation = call->correlation[0] != '\0' ? call->correlation : NULL,
		.via_service = call->via_service[0] != '\0' ? call->via_service : NULL,
		.source_arn = call->source_arn[0] != '\0' ? call->source_arn : NULL,
		.source_ip = call->source_ip[0] != '\0' ? call->source_ip : NULL,
		.is_decision = call->is_decision,
		.status = call->status,
		.exception = call->exception,
		.message = call->message,
	};

	return kms_audit_add(call->service->parts.audit, &entry);
}

void
kms_call_withdraw(struct kms_call *call)
{
	call->status = SLK_UNAVAILABLE;
	call->exception = "KMSInternalException";
	(void)snprintf(call->message, sizeof(call->message),
		"the audit log cannot be written, so nothing is given out; see the log of "
		"sealock-kmsd");
	pack_error(call);
}

static void
finish(struct kms_call *call)
{
	count(call->service, call->status);
	/* A silent call that failed leaves a line, too. */
	if ((call->status != SLK_OK || !call->row->silent) && audit(call) != SLK_OK)
		kms_call_withdraw(call);
	STAILQ_INSERT_TAIL(&call->service->finished, call, entry);
}

/* What made the answer: approved algorithms, a validated module. */
static uint32_t
indicator(const struct kms_call *call)
{
	if (!call->has_backing || !kms_algorithm_is_approved(call->algorithm) ||
		!kms_algorithm_is_approved(call->from_algorithm))
		return 0;
	return KMSP_INDICATOR_APPROVED |
		(call->service->parts.certificate != NULL ? KMSP_INDICATOR_VALIDATED : 0);
}

void
kms_call_ok(struct kms_call *call, Kmsp__Reply *reply)
{
	reply->id = call->id;
	reply->status = SLK_OK;
	reply->request_id = call->request_id;
	if (reply->result_case != KMSP__REPLY__RESULT_KEY) /* that is about what a key can do */
		reply->indicator = indicator(call);
	call->status = SLK_OK;
	pack(call, reply);
	if (call->frame == NULL) {
		kms_call_fail(
			call, SLK_NO_MEMORY, "KMSInternalException", "out of (locked) memory");
		return;
	}
	finish(call);
}

/* What KMS refuses, by the name that KMS has for it, which Kinesis' operations call otherwise; NULL: it is not about a key. At
 * Firehose's it is one name, and the sentence begins with what KMS calls it. */
static const char *
kms_name_of(const char *exception)
{
	static const char *const names[] = {
		"AccessDeniedException", "DisabledException", "NotFoundException"};

	if (strcmp(exception, "KMSInvalidStateException") == 0)
		return exception;
	const char *name = strncmp(exception, "KMS", 3) == 0 ? exception + 3 : exception;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return names[i];
	return NULL;
}

/* What KMS refuses has other names at Kinesis' operations. */
static const char *
stream_name_of(const char *exception)
{
	static const char *const names[][2] = {
		{"AccessDeniedException", "KMSAccessDeniedException"},
		{"DisabledException", "KMSDisabledException"},
		{"NotFoundException", "KMSNotFoundException"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i][0], exception) == 0)
			return names[i][1];
	return exception;
}

void
kms_call_fail(struct kms_call *call, int status, const char *exception, const char *fmt, ...)
{
	const char *wrapped = call->delivery_names ? kms_name_of(exception) : NULL;
	size_t at = 0;
	va_list args;

	if (wrapped != NULL)
		at = (size_t)snprintf(call->message, sizeof(call->message), "%s: ", wrapped);
	va_start(args, fmt);
	(void)vsnprintf(call->message + at, sizeof(call->message) - at, fmt, args);
	va_end(args);
	call->status = status;
	call->exception = wrapped != NULL ? "InvalidKMSResourceException"
		: call->stream_names      ? stream_name_of(exception)
					  : exception;
	pack_error(call);
	finish(call);
}

void
kms_call_deny(struct kms_call *call, const char *exception, const char *sentence)
{
	kms_call_fail(call, SLK_DENIED, exception, "%s", sentence);
}

void *
kms_call_work(struct kms_call *call, size_t len)
{
	call->work = calloc(1, len);
	if (call->work == NULL)
		kms_call_fail(call, SLK_NO_MEMORY, "KMSInternalException", "out of memory");
	return call->work;
}

void
kms_call_fail_catalog(struct kms_call *call, int rc)
{
	slk_error_log("catalog error", slk_kv("status", slk_status_name(rc)),
		slk_kv("error", kms_catalog_error(call->service->parts.catalog)),
		slk_kv("request", (const char *)call->request_id));
	kms_call_fail(call,
		slk_status_class(rc) == SLK_CLASS_RETRY ? SLK_UNAVAILABLE : SLK_INTERNAL,
		"KMSInternalException", "the catalog cannot be used: %s", slk_status_sentence(rc));
}

void
kms_call_end(struct kms_call *call, int rc)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;

	if (rc == SLK_OK)
		kms_call_ok(call, &reply);
	else
		kms_call_fail_catalog(call, rc);
}

void
kms_call_bad_marker(struct kms_call *call)
{
	kms_call_fail(call, SLK_INVALID, "InvalidMarkerException", "%s", "");
}

/* What a status of the HSM worker is to a caller. Absent and unusable tokens may come back: try
 * later. */
void
kms_call_fail_hsm(struct kms_call *call, const struct hsm_reply *reply)
{
	switch (reply->status) {
	case SLK_INVALID_CIPHERTEXT:
		kms_call_fail(call, SLK_INVALID_CIPHERTEXT, "InvalidCiphertextException", "%s", "");
		return;
	case SLK_BAD_TAG:
		kms_call_fail(call, SLK_BAD_TAG, "KMSInvalidSignatureException", "%s", "");
		return;
	case SLK_TIMEOUT:
		kms_call_fail(call, SLK_TIMEOUT, "DependencyTimeoutException",
			"the HSM did not answer in time: %s", reply->error);
		return;
	case SLK_NOT_FOUND:
		kms_call_fail(call, SLK_UNAVAILABLE, "KeyUnavailableException",
			"the token that is present does not hold this key: %s", reply->error);
		return;
	case SLK_UNSUPPORTED:
		kms_call_fail(
			call, SLK_UNSUPPORTED, "UnsupportedOperationException", "%s", reply->error);
		return;
	case SLK_CORRUPT:
		slk_error_log("key refused", slk_kv_hex("backing", call->backing_id, KMS_ID_BYTES),
			slk_kv("error", (const char *)reply->error));
		kms_call_fail(call, SLK_HSM, "KMSInternalException",
			"the HSM worker does not trust what the token holds or does for this key: "
			"%s",
			reply->error);
		return;
	case SLK_INVALID:
	case SLK_INTERNAL:
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException", "%s", reply->error);
		return;
	default:
		kms_call_fail(call, SLK_UNAVAILABLE, "KeyUnavailableException",
			"the HSM is not available: %s",
			reply->error[0] != '\0' ? reply->error
						: slk_status_sentence(reply->status));
		return;
	}
}

uint64_t
kms_call_hsm_deadline(const struct kms_call *call)
{
	uint64_t now = slk_mono_ns(call->service->parts.clock);
	uint64_t left = call->mono_deadline_ns > now ? call->mono_deadline_ns - now : 0;
	uint64_t margin = left / 10 < ANSWER_MARGIN_NS ? left / 10 : ANSWER_MARGIN_NS;

	return left > margin ? now + left - margin : now + 1;
}

static void
on_hsm(void *arg, const struct hsm_reply *reply)
{
	struct kms_call *call = arg;

	if (call->makes) { /* what has failed is for the chores again */
		LIST_REMOVE(call, making);
		call->makes = false;
		kms_chores_want(call->service);
	}
	if (reply->encryptions_count > call->wraps_taken)
		kms_catalog_wrap_add(call->service->parts.catalog, call->charged_id,
			reply->encryptions_count - call->wraps_taken);
	if (reply->status == SLK_OK)
		call->done(call, reply);
	else
		kms_call_fail_hsm(call, reply);
}

void
kms_call_hsm(struct kms_call *call, const struct hsm_request *request, kms_call_done_fn done)
{
	call->done = done;
	memcpy(call->charged_id, request->op == HSM_REWRAP ? request->to_key_id : request->key_id,
		sizeof(call->charged_id));
	int rc = hsm_link_submit(call->service->parts.link, request, on_hsm, call);
	call->makes = rc == SLK_OK && request->op == HSM_CREATE_KEY;
	if (call->makes)
		LIST_INSERT_HEAD(&call->service->makers, call, making);
	if (rc == SLK_FULL)
		kms_call_fail(call, SLK_THROTTLED, "ThrottlingException",
			"too many requests wait for the HSM; try again");
	else if (rc != SLK_OK)
		kms_call_fail(call, rc == SLK_NO_MEMORY ? rc : SLK_INTERNAL, "KMSInternalException",
			"the HSM cannot be asked: %s", slk_status_sentence(rc));
}

/* --- steps --- */

int
kms_call_ask(struct kms_call *call, const struct kms_question *question,
	char out_sentence[KMS_SENTENCE_MAX])
{
	struct kms_question q = *question;

	call->facts.wall_ns = slk_wall_ns(call->service->parts.clock);
	q.facts = &call->facts;
	/* Others are asked about, too: who approved, the service of a stream. */
	q.session = strcmp(q.principal, call->principal) == 0 ? call->session : NULL;
	return kms_decisions_ask(call->service->decisions, call->service->iam, &q,
		kms_service_right_changes(call->service), slk_mono_ns(call->service->parts.clock),
		out_sentence);
}

static int
decide(struct kms_call *call, struct kms_question *q, const char *shown, char *sentence)
{
	int rc = kms_call_ask(call, q, sentence);

	/* A refusal names what the caller named: it must not tell that an alias exists, and where
	 * it leads. */
	if (rc != SLK_OK && shown != NULL && strcmp(shown, q->resource) != 0)
		(void)snprintf(sentence, KMS_SENTENCE_MAX,
			"User: %s is not authorized to perform: %s on resource: %s because no "
			"identity-based policy allows the %s action",
			strcmp(q->principal, call->principal) == 0 ? kms_call_who(call)
								   : q->principal,
			q->action, shown, q->action);
	return rc;
}

bool
kms_call_has_grant(const struct kms_call *call, const struct kms_question *q)
{
	struct kms_ref ref;

	if (kms_ref_parse(&call->service->parts.realm, q->resource, &ref) != SLK_OK ||
		ref.kind != KMS_REF_KEY)
		return false;
	const struct kms_grant_question asked = {.key_id = ref.id,
		.principal = q->principal,
		.action = q->action,
		.context = call->facts.context,
		.source_arn = call->facts.source_arn};
	return kms_grants_match(call->service->grants, &asked) != NULL;
}

/* Who asks for itself: the peer, or the caller that the gateway named. */
static const char *
asking(const struct kms_call *call)
{
	return call->for_caller
		? call->principal
		: kms_principals_arn(call->service->parts.principals, call->peer.uid);
}

/* The policy alone. */
static int
authorize(struct kms_call *call, const char *action, const char *resource, const char *shown)
{
	const char *user = asking(call);
	struct kms_question q = {.principal = user, .action = action, .resource = resource};
	char sentence[KMS_SENTENCE_MAX];
	int rc = SLK_DENIED;

	sentence[0] = '\0'; /* not all of it: this is asked with every request */
	(void)snprintf(call->resource, sizeof(call->resource), "%s", resource);
	if (user != NULL)
		rc = decide(call, &q, shown, sentence);
	if (rc != SLK_OK && user != NULL && kms_call_has_grant(call, &q)) {
		q.granted = true;
		rc = decide(call, &q, shown, sentence);
		call->by_grant = rc == SLK_OK;
	}
	/* What the table lets a door ask about streams it may ask about all of them; a caller of the gateway is none. */
	const unsigned doors = KMS_CLASS_DOOR | KMS_CLASS_GATEWAY | KMS_CLASS_DELIVER;
	const unsigned door = call->classes & call->row->classes & doors;
	if (rc != SLK_OK && door != 0) {
		const char *service =
			door == KMS_CLASS_DELIVER ? KMS_DELIVERY_PRINCIPAL : KMS_SERVICE_PRINCIPAL;
		char first[KMS_SENTENCE_MAX];
		q = (struct kms_question){.principal = service,
			.action = action,
			.resource = resource,
			.granted = true};
		rc = decide(call, &q, shown, first);
		if (rc == SLK_OK)
			(void)snprintf(call->principal, sizeof(call->principal), "%s", service);
		else if (user == NULL)
			memcpy(sentence, first, sizeof(sentence));
	}
	if (rc != SLK_OK)
		kms_call_deny(call, "AccessDeniedException", sentence);
	return rc;
}

int
kms_call_authorize_granted(struct kms_call *call, const char *action, const char *resource)
{
	struct kms_question q = {.principal = call->principal,
		.action = action,
		.resource = resource,
		.granted = true};
	char sentence[KMS_SENTENCE_MAX] = "";

	(void)snprintf(call->resource, sizeof(call->resource), "%s", resource);
	int rc = decide(call, &q, NULL, sentence);
	if (rc != SLK_OK)
		kms_call_deny(call, "AccessDeniedException", sentence);
	return rc;
}

int
kms_call_authorize(
	struct kms_call *call, const char *action, const char *resource, const char *shown)
{
	int rc = authorize(call, action, resource, shown);

	return rc == SLK_OK && !call->is_decision ? kms_dual_gate(call, action) : rc;
}

int
kms_call_authorize_key(
	struct kms_call *call, const char *action, const struct kms_key *key, const char *shown)
{
	char arn[KMS_ARN_MAX];

	kms_arn_key(&call->service->parts.realm, key->id, arn);
	call->facts.key = key;
	int rc = kms_call_authorize(call, action, arn, shown);
	call->facts.key = NULL; /* it may be gone when the next question is asked */
	call->facts.request_alias = NULL;
	return rc;
}

/* Nothing is named so, or nothing that the caller may know of. */
static int
key_missing(struct kms_call *call, const char *action, const struct kms_ref *ref)
{
	char any[KMS_ARN_MAX] = "";
	const char *resource = ref->arn;

	/* An alias leads nowhere: only who may do this with any key learns that. */
	if (ref->kind == KMS_REF_ALIAS) {
		if (kms_arn_resource(&call->service->parts.realm, "key/*", any) == SLK_OK)
			resource = any;
	}
	int rc = authorize(call, action, resource, ref->arn); /* there is nothing to approve */
	if (rc != SLK_OK)
		return rc;
	(void)snprintf(call->resource, sizeof(call->resource), "%s", ref->arn);
	if (ref->kind == KMS_REF_ALIAS)
		kms_call_fail(call, SLK_NOT_FOUND, "NotFoundException", "Alias %s is not found.",
			ref->arn);
	else
		kms_call_fail(call, SLK_NOT_FOUND, "NotFoundException", "Key '%s' does not exist",
			ref->arn);
	return SLK_NOT_FOUND;
}

int
kms_call_find_key(
	struct kms_call *call, const char *action, const char *text, struct kms_key *out_key)
{
	struct kms_catalog *catalog = call->service->parts.catalog;
	struct kms_ref ref;
	struct kms_alias alias;

	int rc = kms_ref_parse(&call->service->parts.realm, text, &ref);
	if (rc != SLK_OK) {
		kms_call_fail(
			call, SLK_NOT_FOUND, "NotFoundException", "Invalid keyId '%.200s'", text);
		return rc;
	}
	if (ref.kind == KMS_REF_ALIAS) {
		rc = kms_catalog_alias_get(catalog, ref.alias, &alias);
		memcpy(ref.id, alias.key_id, rc == SLK_OK ? sizeof(ref.id) : 0);
		memcpy(call->request_alias, ref.alias, sizeof(call->request_alias));
		call->facts.request_alias = call->request_alias;
	}
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(catalog, ref.id, out_key);
	if (rc == SLK_NOT_FOUND)
		return key_missing(call, action, &ref);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	return kms_call_authorize_key(call, action, out_key, ref.arn);
}

int
kms_call_find_key_itself(
	struct kms_call *call, const char *action, const char *text, struct kms_key *out_key)
{
	struct kms_ref ref;

	if (kms_ref_parse(&call->service->parts.realm, text, &ref) == SLK_OK &&
		ref.kind == KMS_REF_ALIAS) {
		kms_call_fail(
			call, SLK_NOT_FOUND, "NotFoundException", "Invalid keyId '%.300s'", text);
		return SLK_NOT_FOUND;
	}
	return kms_call_find_key(call, action, text, out_key);
}

/* AWS's words for a state that does not allow the operation. */
static int
refuse_state(struct kms_call *call, const struct kms_key *key, const char *what)
{
	char arn[KMS_ARN_MAX];

	kms_arn_key(&call->service->parts.realm, key->id, arn);
	if (key->state == KMS_KEY_DISABLED && what == NULL) {
		kms_call_fail(call, SLK_DISABLED, "DisabledException", "%s is disabled.", arn);
		return SLK_DISABLED;
	}
	if (what == NULL)
		what = key->state == KMS_KEY_CREATING ? "creating" : "pending deletion";
	kms_call_fail(call, SLK_INVALID_STATE, "KMSInvalidStateException", "%s is %s.", arn, what);
	return SLK_INVALID_STATE;
}

int
kms_call_key_in(struct kms_call *call, const struct kms_key *key, unsigned states)
{
	if ((states & KMS_BIT(key->state)) != 0)
		return SLK_OK;
	return refuse_state(call, key,
		states == KMS_BIT(KMS_KEY_PENDING_DELETION) ? "not pending deletion" : NULL);
}

int
kms_call_key_usable(struct kms_call *call, const struct kms_key *key)
{
	return kms_call_key_in(call, key, KMS_BIT(KMS_KEY_ENABLED));
}

int
kms_call_key_direct(struct kms_call *call, const struct kms_key *key)
{
	char arn[KMS_ARN_MAX];

	if (key->manager == KMS_MANAGER_CUSTOMER)
		return SLK_OK;
	kms_arn_key(&call->service->parts.realm, key->id, arn);
	kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
		"User: %s is not authorized to perform: %s on resource: %s because the key belongs "
		"to the appliance "
		"and serves its streams only",
		kms_call_who(call), call->action, arn);
	return SLK_DENIED;
}

int
kms_call_take_context(struct kms_call *call, Kmsp__Pair *const *pairs, size_t pairs_count,
	struct fmt_context **out_context)
{
	int rc = kmsp_context_build(pairs, pairs_count, out_context);

	if (rc == SLK_NO_MEMORY)
		kms_call_fail(call, rc, "KMSInternalException", "out of memory");
	else if (rc == SLK_EXISTS)
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"the encryption context has a key twice");
	else if (rc == SLK_LIMIT)
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"the encryption context is larger than %u pairs or %u bytes",
			FMT_CONTEXT_PAIRS_MAX, FMT_CONTEXT_MAX);
	else if (rc != SLK_OK)
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"keys of the encryption context must be text of one character or more, "
			"values text; both UTF-8");
	return rc;
}
