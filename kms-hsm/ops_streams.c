/* Streams, the keys of their epochs, and Authorize for doors. */
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "catalog_delivery.h"
#include "format/utf8.h"
#include "stream_calls.h"

static const char *
state_name(enum kms_stream_state state)
{
	static const char *const names[KMS_STREAM_STATES] = {[KMS_STREAM_CREATING] = "CREATING",
		[KMS_STREAM_ACTIVE] = "ACTIVE",
		[KMS_STREAM_UPDATING] = "UPDATING",
		[KMS_STREAM_DELETING] = "DELETING"};

	return names[state];
}

static void
message_stream(const struct kms_service *s, const struct kms_stream *stream, Kmsp__Stream *out,
	char arn[KMS_ARN_MAX], char key_arn[KMS_ARN_MAX])
{
	kms_arn_stream(&s->parts.realm, stream->name, arn);
	kms_arn_key(&s->parts.realm, stream->key_id, key_arn);
	kmsp__stream__init(out);
	out->name = (char *)(uintptr_t)stream->name;
	out->arn = arn;
	out->id = stream->id;
	out->shard_count = stream->shard_count;
	out->encrypted_kms = stream->encrypted_kms;
	out->key_arn = key_arn;
	out->status = (char *)(uintptr_t)state_name(stream->state);
	out->created_ns = stream->created_ns;
	out->retention_hours = stream->retention_hours;
	out->mode = (char *)(uintptr_t)(stream->on_demand ? "ON_DEMAND" : "PROVISIONED");
	out->change = stream->change;
	if (stream->encrypted_kms)
		out->key_name =
			stream->key_name[0] != '\0' ? (char *)(uintptr_t)stream->key_name : key_arn;
	out->shards_count = stream->shards_count;
}

static void
answer_stream(struct kms_call *call)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Stream stream;
	char arn[KMS_ARN_MAX], key_arn[KMS_ARN_MAX], own_arn[KMS_ARN_MAX];
	struct kms_key own;

	message_stream(call->service, &call->stream, &stream, arn, key_arn);
	if (kms_catalog_key_appliance(
		    call->service->parts.catalog, KMS_USAGE_ENCRYPT_DECRYPT, &own) == SLK_OK) {
		kms_arn_key(&call->service->parts.realm, own.id, own_arn);
		stream.appliance_key_arn = own_arn;
	}
	reply.result_case = KMSP__REPLY__RESULT_STREAM;
	reply.stream = &stream;
	kms_call_ok(call, &reply);
}

void
kms_call_missing_stream(struct kms_call *call, const char *name)
{
	kms_call_fail(call, SLK_NOT_FOUND, "ResourceNotFoundException",
		"Stream %s under account %s not found.", name, call->service->parts.realm.account);
}

/* Streams of delivery streams are for those who write and read them, not for people. */
static bool
sees_all(const struct kms_call *call)
{
	const unsigned doors = KMS_CLASS_DOOR | KMS_CLASS_GATEWAY | KMS_CLASS_DELIVER;

	return (call->classes & call->row->classes & doors) != 0;
}

/* The stream's name out of a name or an ARN. */
int
kms_call_parse_stream(
	struct kms_call *call, const char *text, char name[KMS_STREAM_MAX], char arn[KMS_ARN_MAX])
{
	int rc = (sees_all(call) ? kms_any_stream_parse : kms_stream_parse)(
		&call->service->parts.realm, text, name);

	if (rc != SLK_OK)
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"'%.200s' is neither the name of a stream (1 to 128 of a-z A-Z 0-9 _ . -) "
			"nor an ARN of this "
			"account and region",
			fmt_utf8_is_text(slk_span_str(text)) ? text : "(not UTF-8)");
	else
		kms_arn_stream(&call->service->parts.realm, name, arn);
	return rc;
}

/* Deliverd sees the streams that delivery streams read. */
static int
check_reader(struct kms_call *call)
{
	struct kms_delivery reader;

	if (call->for_caller || strcmp(call->principal, KMS_DELIVERY_PRINCIPAL) != 0)
		return SLK_OK;
	int rc = kms_catalog_delivery_of_stream(
		call->service->parts.catalog, call->stream.id, &reader);
	if (rc == SLK_NOT_FOUND) {
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s on resource: %s because no "
			"delivery stream reads it",
			call->principal, call->action, call->resource);
		return SLK_DENIED;
	}
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	return rc;
}

int
kms_call_find_stream(struct kms_call *call, const char *text)
{
	char name[KMS_STREAM_MAX], arn[KMS_ARN_MAX];

	int rc = kms_call_parse_stream(call, text, name, arn);
	if (rc == SLK_OK)
		rc = kms_call_authorize(call, call->action, arn, NULL);
	if (rc != SLK_OK)
		return rc;
	rc = kms_catalog_stream_get(call->service->parts.catalog, name, &call->stream);
	if (rc == SLK_NOT_FOUND)
		kms_call_missing_stream(call, name);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	return rc == SLK_OK ? check_reader(call) : rc;
}

int
kms_call_stream_active(struct kms_call *call)
{
	if (call->stream.state == KMS_STREAM_ACTIVE)
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID_STATE, "ResourceInUseException",
		"Stream %s under account %s not ACTIVE, instead in state %s", call->stream.name,
		call->service->parts.realm.account, state_name(call->stream.state));
	return SLK_INVALID_STATE;
}

/* --- CreateStream --- */

struct creation {
	struct kms_tag tags[KMS_TAGS_MAX];
	size_t tags_count;
};

static void
insert_stream(struct kms_call *call)
{
	struct kms_service *s = call->service;
	const struct creation *creation = call->work;
	char arn[KMS_ARN_MAX];

	kms_arn_stream(&s->parts.realm, call->stream.name, arn);
	strcpy(call->resource, arn);
	call->stream.created_ns = slk_wall_ns(s->parts.clock);
	call->stream.state = KMS_STREAM_ACTIVE;
	call->stream.retention_hours = KMS_RETENTION_MIN_HOURS;
	call->stream.shards_count = call->stream.shard_count;
	int rc = kms_catalog_stream_create(s->parts.catalog, &call->stream, creation->tags,
		creation->tags_count, &call->stream.id);
	if (rc == SLK_EXISTS)
		kms_call_fail(call, rc, "ResourceInUseException",
			"Stream %s under account %s already exists.", call->stream.name,
			s->parts.realm.account);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else {
		s->stream_changes++;
		answer_stream(call);
	}
}

/* EncryptionType NONE: under the appliance's own key, which is made when it is first needed. */
static void
use_appliance_key(struct kms_call *call)
{
	struct kms_key key;

	if (kms_call_appliance_key(call, KMS_USAGE_ENCRYPT_DECRYPT, use_appliance_key, &key) !=
		SLK_OK)
		return;
	memcpy(call->stream.key_id, key.id, sizeof(call->stream.key_id));
	insert_stream(call);
}

/* How many shards, in which mode. */
static int
take_kind(struct kms_call *call, const Kmsp__CreateStream *in)
{
	const char *mode = in->mode[0] != '\0' ? in->mode : "PROVISIONED";
	struct kms_stream *stream = &call->stream;

	int rc = kms_call_take_mode(call, mode, &stream->on_demand);
	if (rc != SLK_OK)
		return rc;
	stream->shard_count =
		in->shard_count == 0 && stream->on_demand ? KMS_ON_DEMAND_SHARDS : in->shard_count;
	if (stream->shard_count >= 1 && stream->shard_count <= KMS_SHARDS_MAX)
		return kms_call_shard_room(call, stream->shard_count);
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"a stream has 1 to %u shards, not %u", KMS_SHARDS_MAX, in->shard_count);
	return SLK_INVALID;
}

static int
take_tags(struct kms_call *call, const Kmsp__CreateStream *in, const char *arn)
{
	struct creation *creation = kms_call_work(call, sizeof(*creation));

	if (creation == NULL)
		return SLK_NO_MEMORY;
	creation->tags_count = in->n_tags;
	if (in->n_tags == 0)
		return SLK_OK;
	int rc = kms_call_take_stream_tags(call, in->tags, in->n_tags, creation->tags);
	if (rc != SLK_OK)
		return rc;
	call->facts.request_tags = creation->tags;
	call->facts.request_tags_count = in->n_tags;
	return kms_call_authorize(call, "kinesis:AddTagsToStream", arn, NULL);
}

void
kms_op_create_stream(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__CreateStream *in = request->create_stream;
	char name[KMS_STREAM_MAX], arn[KMS_ARN_MAX];

	if (kms_stream_check(in->name) != SLK_OK) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"the name of a stream is 1 to 128 of a-z A-Z 0-9 _ . -");
		return;
	}
	if (kms_call_parse_stream(call, in->name, name, arn) != SLK_OK)
		return;
	strcpy(call->stream.name, name);
	if (kms_call_authorize(call, call->action, arn, NULL) != SLK_OK ||
		take_tags(call, in, arn) != SLK_OK || take_kind(call, in) != SLK_OK)
		return;
	call->stream.encrypted_kms = in->key[0] != '\0';
	if (!call->stream.encrypted_kms) {
		use_appliance_key(call);
		return;
	}
	/* Who binds a stream to a key must be allowed to see it; later puts need their own right to
	 * use it. */
	if (kms_call_find_key(call, "kms:DescribeKey", in->key, &call->key) != SLK_OK ||
		kms_call_key_direct(call, &call->key) != SLK_OK ||
		kms_call_key_usable(call, &call->key) != SLK_OK)
		return;
	memcpy(call->stream.key_id, call->key.id, sizeof(call->stream.key_id));
	(void)snprintf(call->stream.key_name, sizeof(call->stream.key_name), "%s", in->key);
	insert_stream(call);
}

/* --- describe, list, delete --- */

void
kms_op_describe_stream(struct kms_call *call, const Kmsp__Request *request)
{
	if (kms_call_find_stream(call, request->describe_stream->stream) == SLK_OK)
		answer_stream(call);
}

/* It is gone once ingestd takes no more records of it. */
void
kms_op_delete_stream(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_service *s = call->service;

	if (kms_call_find_stream(call, request->delete_stream->stream) != SLK_OK)
		return;
	if (call->stream.state == KMS_STREAM_DELETING) {
		kms_call_end(call, SLK_OK);
		return;
	}
	call->stream.state = KMS_STREAM_DELETING;
	call->stream.change++;
	int rc = kms_catalog_stream_set(
		s->parts.catalog, &call->stream, KMS_EVENT_NONE, slk_wall_ns(s->parts.clock));
	if (rc == SLK_OK) {
		s->stream_changes++;
		s->right_changes++; /* nobody may put into it any more */
	}
	kms_call_end(call, rc);
}

void
kms_op_list_streams(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_stream streams[KMSP_PAGE_MAX + 1]; /* one thread */
	static Kmsp__Stream storage[KMSP_PAGE_MAX];
	static Kmsp__Stream *list[KMSP_PAGE_MAX];
	static char arns[KMSP_PAGE_MAX][KMS_ARN_MAX], key_arns[KMSP_PAGE_MAX][KMS_ARN_MAX];
	const Kmsp__List *in = request->list_streams;
	size_t found = 0,
	       limit = in->limit == 0 || in->limit > KMSP_PAGE_MAX ? KMSP_PAGE_MAX : in->limit;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Streams out = KMSP__STREAMS__INIT;

	char name[KMS_STREAM_MAX];

	if (kms_call_authorize(call, call->action, "*", NULL) != SLK_OK)
		return;
	bool all = in->hidden && (call->classes & KMS_CLASS_DOOR) != 0;
	if (in->marker[0] != '\0' &&
		(all ? kms_any_stream_parse(&call->service->parts.realm, in->marker, name)
		     : kms_stream_check(in->marker)) != SLK_OK) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"the marker is not the name of a stream");
		return;
	}
	int rc = kms_catalog_stream_list(
		call->service->parts.catalog, in->marker, all, streams, limit + 1, &found);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	out.n_streams = found < limit ? found : limit;
	out.streams = list;
	for (size_t i = 0; i < out.n_streams; i++) {
		message_stream(call->service, &streams[i], &storage[i], arns[i], key_arns[i]);
		list[i] = &storage[i];
	}
	if (found > limit)
		out.next = streams[limit - 1].name;
	reply.result_case = KMSP__REPLY__RESULT_STREAMS;
	reply.streams = &out;
	kms_call_ok(call, &reply);
}

/* --- for doors --- */

/* Kinesis' names for what KMS refused. */
static int
stream_key_usable(struct kms_call *call, const struct kms_key *key)
{
	char arn[KMS_ARN_MAX];

	kms_arn_key(&call->service->parts.realm, key->id, arn);
	if (key->state == KMS_KEY_ENABLED)
		return SLK_OK;
	if (key->state == KMS_KEY_DISABLED) {
		kms_call_fail(call, SLK_DISABLED, "KMSDisabledException", "%s is disabled.", arn);
		return SLK_DISABLED;
	}
	kms_call_fail(call, SLK_INVALID_STATE, "KMSInvalidStateException", "%s is %s.", arn,
		key->state == KMS_KEY_CREATING ? "creating" : "pending deletion");
	return SLK_INVALID_STATE;
}

static int
find_stream(struct kms_call *call, const char *name)
{
	int rc = kms_catalog_stream_get(call->service->parts.catalog, name, &call->stream);

	if (rc == SLK_NOT_FOUND)
		kms_call_missing_stream(call, name);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	return rc;
}

/* The stream, unless it is being deleted, and its key. */
int
kms_call_stream_and_key(struct kms_call *call, const char *name)
{
	struct kms_catalog *catalog = call->service->parts.catalog;

	int rc = find_stream(call, name);
	if (rc != SLK_OK)
		return rc;
	if (call->stream.state == KMS_STREAM_DELETING) {
		kms_call_missing_stream(call, name);
		return SLK_NOT_FOUND;
	}
	rc = kms_catalog_key_get(catalog, call->stream.key_id, &call->key);
	if (rc == SLK_NOT_FOUND) { /* it was destroyed, and the stream outlived it */
		kms_arn_key(&call->service->parts.realm, call->stream.key_id, call->resource);
		kms_call_fail(call, rc, "KMSNotFoundException", "Key '%s' does not exist",
			call->resource);
	} else if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
	}
	return rc;
}

/* As which a stream's keys are used. */
static void
name_service(const struct kms_call *call, const char *stream, char out[KMS_VIA_MAX])
{
	(void)snprintf(out, KMS_VIA_MAX, "%s.%s.amazonaws.com",
		kms_stream_delivery(stream) != NULL ? "firehose" : "kinesis",
		call->service->parts.realm.region);
}

/* May the key of the stream be used for it, in the stream's encryption context? */
static int
ask_for_stream(struct kms_call *call, const struct kms_question *q, const char *stream_arn,
	const struct fmt_context *context)
{
	char sentence[KMS_SENTENCE_MAX] = "", via[KMS_VIA_MAX];

	name_service(call, call->stream.name, via);
	const struct kms_facts before = call->facts;
	call->facts.key = &call->key; /* these end before the call does */
	call->facts.context = context;
	call->facts.via_service = via;
	call->facts.source_arn = stream_arn;
	int rc = kms_call_ask(call, q, sentence);
	if (rc != SLK_OK && !q->granted && kms_call_has_grant(call, q)) {
		struct kms_question by_grant = *q;
		by_grant.granted = true;
		rc = kms_call_ask(call, &by_grant, sentence);
	}
	call->facts = before;
	if (rc != SLK_OK)
		kms_call_deny(call, "KMSAccessDeniedException", sentence);
	return rc;
}

static int
stream_context(struct kms_call *call, const char *stream_arn, struct fmt_context **out)
{
	int rc = fmt_context_for_stream(stream_arn, out);

	if (rc != SLK_OK)
		kms_call_fail(call, rc, "KMSInternalException", "out of memory");
	return rc;
}

void
kms_op_generate_stream_key(struct kms_call *call, const Kmsp__Request *request)
{
	char name[KMS_STREAM_MAX], arn[KMS_ARN_MAX];
	struct kms_service *s = call->service;

	strcpy(call->principal, KMS_SERVICE_PRINCIPAL);
	if (kms_call_parse_stream(call, request->generate_stream_key->stream, name, arn) != SLK_OK)
		return;
	if (kms_stream_delivery(name) != NULL)
		strcpy(call->principal, KMS_DELIVERY_PRINCIPAL);
	strcpy(call->source_arn, arn);
	name_service(call, name, call->via_service);
	if (kms_call_stream_and_key(call, name) != SLK_OK)
		return;
	kms_arn_key(&s->parts.realm, call->key.id, call->resource);
	/* Who created the stream bound it to this key: that stands for an Allow. */
	const struct kms_question q = {.principal = call->principal,
		.action = call->action,
		.resource = call->resource,
		.granted = true};
	if (stream_context(call, arn, &call->context) == SLK_OK &&
		ask_for_stream(call, &q, arn, call->context) == SLK_OK &&
		stream_key_usable(call, &call->key) == SLK_OK)
		kms_data_key_generate(call);
}

/* Whom the door asks about. SLK_DENIED for a caller without a principal. */
static int
door_caller(struct kms_call *call, const Kmsp__Authorize *in)
{
	const struct kms_principals *principals = call->service->parts.principals;
	const char *arn = NULL;

	if ((call->classes & KMS_CLASS_DOOR) == 0) {
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"the gateway names a caller by the token of its session, or in the "
			"request");
		return SLK_DENIED;
	}
	call->by_door = true;
	call->principal[0] = '\0';
	if (in->caller_case == KMSP__AUTHORIZE__CALLER_UID) {
		call->uid_known = true;
		call->caller_uid = in->uid;
		arn = kms_principals_arn(principals, in->uid);
	} else if (in->caller_case == KMSP__AUTHORIZE__CALLER_PRINCIPAL &&
		kms_principals_has_role(principals, in->principal)) {
		arn = in->principal;
	}
	if (arn != NULL) {
		(void)snprintf(call->principal, sizeof(call->principal), "%s", arn);
		return SLK_OK;
	}
	if (call->uid_known)
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"uid %u is no principal of this KMS and is not authorized to perform: %s "
			"on resource: %.300s; an "
			"administrator may list it under principals: in the configuration of "
			"sealock-kmsd",
			(unsigned)in->uid, call->action, in->resource);
	else
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"'%.300s' is not among roles: in the configuration of sealock-kmsd and is "
			"not authorized to "
			"perform: %s on resource: %.300s",
			in->principal, call->action, in->resource);
	return SLK_DENIED;
}

/* The action as we know it, so that the audit and the policy see one spelling. */
static const char *
door_action(const char *text)
{
	static const char *const known[] = {"kinesis:PutRecord", "kinesis:GetRecords",
		"kinesis:DescribeStream", "firehose:PutRecord"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i], text) == 0)
			return known[i];
	return NULL;
}

/* The second question, where the stream is under SSE-KMS: who puts needs GenerateDataKey with its key, who gets Decrypt, in
 * the stream's context and by its service. Whether the key works is asked of a put only; a get learns it from Decrypt. */
int
kms_call_authorize_stream_key(struct kms_call *call, bool is_put)
{
	struct fmt_context *context = NULL;
	char arn[KMS_ARN_MAX];

	kms_arn_key(&call->service->parts.realm, call->key.id, arn);
	const struct kms_question q = {.principal = call->principal,
		.action = is_put ? "kms:GenerateDataKey" : "kms:Decrypt",
		.resource = arn};
	int rc = stream_context(call, call->resource, &context);
	if (rc == SLK_OK)
		rc = ask_for_stream(call, &q, call->resource, context);
	fmt_context_free(context);
	return rc == SLK_OK && is_put ? stream_key_usable(call, &call->key) : rc;
}

static bool
is_one_of(const char *action, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(action, list[i]) == 0)
			return true;
	return false;
}

void
kms_call_authorize_stream(struct kms_call *call, const char *stream)
{
	static const char *const puts[] = {"kinesis:PutRecord", "kinesis:PutRecords"};
	static const char *const gets[] = {"kinesis:GetRecords", "kinesis:SubscribeToShard"};
	char sentence[KMS_SENTENCE_MAX] = "";
	Kmsp__Reply reply = KMSP__REPLY__INIT;

	const struct kms_question q = {
		.principal = call->principal, .action = call->action, .resource = call->resource};
	if (kms_call_ask(call, &q, sentence) != SLK_OK) {
		kms_call_deny(call, "AccessDeniedException", sentence);
		return;
	}
	if (kms_stream_delivery(stream) != NULL) {
		kms_call_authorize_delivery(call, kms_stream_delivery(stream));
		return;
	}
	bool is_put = is_one_of(call->action, puts, sizeof(puts) / sizeof(puts[0]));
	bool is_get = is_one_of(call->action, gets, sizeof(gets) / sizeof(gets[0]));
	if (strcmp(call->action, "kinesis:CreateStream") != 0 &&
		(is_put || is_get ? kms_call_stream_and_key(call, stream)
				  : find_stream(call, stream)) != SLK_OK)
		return;
	if ((is_put || is_get) && call->stream.encrypted_kms &&
		kms_call_authorize_stream_key(call, is_put) != SLK_OK)
		return;
	kms_call_ok(call, &reply);
}

void
kms_op_authorize(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__Authorize *in = request->authorize;
	char name[KMS_STREAM_MAX], arn[KMS_ARN_MAX];
	const char *action = door_action(in->action);

	call->is_decision = true;
	if (call->for_caller) {
		kms_op_authorize_caller(call, in);
		return;
	}
	if (action == NULL) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"a door may ask about kinesis:PutRecord, kinesis:GetRecords, "
			"kinesis:DescribeStream and firehose:PutRecord");
		return;
	}
	call->action = action;
	if (kms_call_parse_target(call, in->resource, name, arn) != SLK_OK)
		return;
	strcpy(call->resource, arn);
	if (in->caller_case == KMSP__AUTHORIZE__CALLER_SESSION_TOKEN) {
		kms_op_authorize_session(call, in, name);
		return;
	}
	if (door_caller(call, in) != SLK_OK ||
		kms_call_take_address(call, in->source_ip, in->over_tls) != SLK_OK)
		return;
	kms_call_authorize_stream(call, name);
}
