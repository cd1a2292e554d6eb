/* From a request's head to the beginning of its operation. */
#include "aws/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/call.h"
#include "base/secret.h"

/* --- services --- */

/* Descriptions of destinations, which kmsd reads. */
static const char *const kept_by_firehose[] = {"CreateDeliveryStream", "UpdateDestination", NULL};

static const struct {
	const char *name; /* of the scope */
	const char *target; /* before the operation */
	size_t body_bytes; /* the largest honest body, and some */
	const struct gw_operation *operations;
	const struct gw_input *const *inputs;
	const char *const *kept; /* operations that see their request as it came; NULL: none */
} services[GW_SERVICES] = {
	[GW_KINESIS] = {"kinesis", "Kinesis_20131202.", 16u << 20, gw_kinesis_operations,
		&gw_inputs_kinesis, NULL},
	[GW_KMS] = {"kms", "TrentService.", 1u << 20, gw_kms_operations, &gw_inputs_kms, NULL},
	[GW_FIREHOSE] = {"firehose", "Firehose_20150804.", 6u << 20, gw_firehose_operations,
		&gw_inputs_firehose, kept_by_firehose},
	[GW_STS] = {"sts", NULL, 256u << 10, gw_sts_operations, NULL, NULL},
};

#define STS_VERSION "2011-06-15"

static bool
unknown_operation(struct gw_call *call)
{
	call->thread->counters.unknown_operations++;
	return gw_fault_set(&call->fault, "UnknownOperationException", "%s", "");
}

/* Which operation of the call's service. */
static bool
find_operation(struct gw_call *call)
{
	const struct gw_operation *op = services[call->service].operations;

	for (; op->name != NULL; op++)
		if (strcmp(op->name, call->operation) == 0)
			break;
	if (op->name == NULL) {
		const struct gw_unserved *u = gw_unserved_operations;
		while (u->name != NULL &&
			(u->service != call->service || strcmp(u->name, call->operation) != 0))
			u++;
		call->unserved = u->name != NULL ? u : NULL;
		return u->name != NULL || unknown_operation(call);
	}
	call->op = op;
	for (const char *const *k = services[call->service].kept; k != NULL && *k != NULL; k++)
		call->keeps_body |= strcmp(*k, op->name) == 0;
	if (services[call->service].inputs == NULL)
		return true;
	for (call->input = *services[call->service].inputs; call->input->operation != NULL;
		call->input++)
		if (strcmp(call->input->operation, op->name) == 0)
			return true;
	return unknown_operation(call);
}

/* application/x-amz-json-1.1, whatever stands behind a semicolon. */
static bool
is_type(const struct http_text *type, const char *name)
{
	size_t len = strlen(name);

	return type != NULL && type->len >= len && strncasecmp(type->ptr, name, len) == 0 &&
		(type->ptr[len] == '\0' || type->ptr[len] == ';' || type->ptr[len] == ' ');
}

static bool
route_target(struct gw_call *call, const struct http_text *target)
{
	for (unsigned i = 0; i < GW_SERVICES; i++) {
		size_t len = services[i].target != NULL ? strlen(services[i].target) : 0;
		if (len == 0 || strncmp(target->ptr, services[i].target, len) != 0)
			continue;
		call->service = (enum gw_service)i;
		(void)snprintf(
			call->operation, sizeof(call->operation), "%.63s", target->ptr + len);
		return find_operation(call);
	}
	return unknown_operation(call);
}

/* GET with a query, or POST with a form. Which operation a form is for is known when it is there. */
static bool
route(struct gw_call *call)
{
	const struct http_request *r = http_exchange_request(call->x);
	const struct http_text *target = http_exchange_header(call->x, "x-amz-target");
	const struct http_text *type = http_exchange_header(call->x, "content-type");
	bool post = strcmp(r->method.ptr, "POST") == 0;

	if (post && target != NULL) {
		call->is_json = is_type(type, "application/x-amz-json-1.1");
		if (call->is_json)
			return route_target(call, target);
		call->thread->counters.unknown_operations++;
		return gw_fault_set(&call->fault, "UnknownOperationException", "%s", "");
	}
	bool get = strcmp(r->method.ptr, "GET") == 0;
	if ((get && strstr(r->query.ptr, "Action=") != NULL) ||
		(post && is_type(type, "application/x-www-form-urlencoded"))) {
		call->service = GW_STS;
		call->is_query = true;
		return true;
	}
	call->thread->counters.unknown_operations++;
	return gw_fault_set(&call->fault, "AccessDeniedException",
		"Unable to determine service/operation name to be authorized");
}

/* --- heads --- */

/* "192.0.2.1:4711" or "[2001:db8::1]:4711" without its port; nothing of a unix socket. */
static void
take_address(struct gw_call *call, const struct http_client *client)
{
	const char *from = client->address, *colon = strrchr(from, ':');

	if (client->via == HTTP_VIA_UNIX || colon == NULL)
		return;
	size_t len = (size_t)(colon - from);
	if (from[0] == '[' && len >= 2) {
		from++;
		len -= 2;
	}
	(void)snprintf(call->source_ip, sizeof(call->source_ip), "%.*s", (int)len, from);
}

static bool
new_request_id(char out[FMT_UUID_TEXT])
{
	uint8_t id[FMT_UUID_BYTES];

	if (fmt_uuid_new(id) != SLK_OK)
		return false;
	fmt_uuid_print(id, out);
	return true;
}

static struct gw_call *
call_new(struct gw_thread *thread, struct http_exchange *x)
{
	struct gw_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->thread = thread;
	call->x = x;
	if (!new_request_id(call->request_id) || gw_arena_new(&call->arena) != SLK_OK ||
		gw_hash_new(thread->engine, &call->hash) != SLK_OK) {
		gw_arena_free(call->arena);
		gw_hash_free(call->hash);
		free(call);
		return NULL;
	}
	return call;
}

static bool
internal(struct gw_call *call)
{
	return gw_fault_set(&call->fault, "InternalFailure", "Internal Service Failure");
}

static bool
read_signature(struct gw_call *call)
{
	const struct gw_app_config *config = gw_app_config_of(call->thread->app);
	const struct gw_sigv4_policy policy = {.region = config->region,
		.service = services[call->service].name,
		.now_s = gw_call_wall_ns(call) / SLK_NS_PER_S,
		.skew_s = GW_SIGV4_SKEW_S};

	call->has_sig = true;
	if (!gw_sigv4_parse(http_exchange_request(call->x), &policy, &call->sig, &call->fault))
		return false;
	http_exchange_note(call->x, "key_id", call->sig.key_id);
	return gw_day_key_name(call->thread->engine, &call->sig, call->credential) == SLK_OK ||
		internal(call);
}

/* It came by a unix socket, and does not sign. */
static bool
is_peer(const struct gw_call *call)
{
	const struct http_request *r = http_exchange_request(call->x);

	return gw_app_config_of(call->thread->app)->peer_credentials &&
		r->client->via == HTTP_VIA_UNIX &&
		http_exchange_header(call->x, "authorization") == NULL &&
		strstr(r->query.ptr, "X-Amz-Signature=") == NULL;
}

/* Identity and decisions are remembered under a name that no credential has. */
static void
read_peer(struct gw_call *call)
{
	static const char name[] = "a uid of this host: ";

	call->by_uid = true;
	call->uid = (uint32_t)http_exchange_request(call->x)->client->peer.uid;
	_Static_assert(sizeof(name) + 4 <= sizeof(call->credential), "it fits");
	memset(call->credential, 0, sizeof(call->credential));
	memcpy(call->credential, name, sizeof(name));
	slk_put_be32(call->credential + sizeof(call->credential) - 4, call->uid);
}

static bool ask_day_key(struct gw_call *call);

/* The key may be there before the body is. */
static bool
look_for_day_key(struct gw_call *call)
{
	const uint8_t *key;
	const struct gw_identity *who;

	int rc = gw_day_keys_find(call->thread->keys, call->credential,
		http_loop_now_ns(call->thread->loop), gw_call_wall_ns(call), &key, &who);
	return rc != SLK_NOT_FOUND || ask_day_key(call);
}

void
gw_exchange_head(void *thread, struct http_exchange *x)
{
	struct gw_thread *t = thread;
	struct gw_call *call = call_new(t, x);

	t->counters.requests++;
	if (call == NULL) {
		http_answer_bytes(x, 503, NULL, 0, "", 0);
		return;
	}
	http_exchange_set_user(x, call);
	http_exchange_note(x, "request_id", call->request_id);
	take_address(call, http_exchange_request(x)->client);
	bool ok = route(call);
	if (ok && is_peer(call))
		read_peer(call);
	else if (ok)
		ok = read_signature(call);
	if (!ok) {
		t->counters.unauthenticated += call->has_sig;
		return; /* its body goes by; the answer comes at its end */
	}
	http_exchange_note(x, "service", services[call->service].name);
	int rc = http_exchange_gather(x, services[call->service].body_bytes);
	if (rc != SLK_OK)
		(void)gw_fault_set(&call->fault,
			rc == SLK_TOO_LARGE ? "RequestEntityTooLargeException"
					    : "ServiceUnavailableException",
			"%s",
			rc == SLK_TOO_LARGE ? "Request is too large" : "Too much is under way");
	if (rc != SLK_OK || !look_for_day_key(call))
		gw_call_fail(call);
}

void
gw_exchange_body(void *thread, struct http_exchange *x, const uint8_t *bytes, size_t len)
{
	struct gw_call *call = http_exchange_user(x);

	(void)thread;
	if (call != NULL && call->fault.type == NULL &&
		gw_hash_add(call->hash, bytes, len) != SLK_OK)
		(void)internal(call);
}

/* --- who it is --- */

static void authenticate(struct gw_call *call);

static void
keep_day_key(struct gw_call *call, const Kmsp__SigningKey *in)
{
	struct gw_identity who = {.expires_ns = in->expires_ns};

	(void)snprintf(who.principal, sizeof(who.principal), "%s", in->principal);
	(void)snprintf(who.session, sizeof(who.session), "%s", in->session);
	(void)snprintf(who.user_id, sizeof(who.user_id), "%s", in->user_id);
	gw_day_keys_put(call->thread->keys, call->credential, http_loop_now_ns(call->thread->loop),
		in->key.data, &who);
}

static void
day_key_told(void *arg, int status, const Kmsp__Reply *reply, const char *sentence)
{
	struct gw_call *call = arg;
	struct gw_thread *t = call->thread;

	call->rpc = 0;
	call->key_asked = false;
	if (status != SLK_OK) {
		(void)gw_call_fault_status(call, status, sentence);
	} else if (reply->status == SLK_OK &&
		reply->result_case == KMSP__REPLY__RESULT_SIGNING_KEY &&
		reply->signing_key->key.len == GW_SHA256_BYTES) {
		keep_day_key(call, reply->signing_key);
	} else if (strstr(reply->exception, "Expired") != NULL) {
		(void)gw_fault_set(&call->fault, "ExpiredTokenException",
			"The security token included in the request is expired");
	} else if (reply->status == SLK_DENIED || reply->status == SLK_INVALID) {
		gw_day_keys_put(t->keys, call->credential, http_loop_now_ns(t->loop), NULL, NULL);
	} else {
		gw_call_fault_of(call, reply);
	}
	if (call->body_is_there)
		authenticate(call);
	else if (call->fault.type != NULL)
		gw_call_fail(call);
}

static void
peer_told(void *arg, int status, const Kmsp__Reply *reply, const char *sentence)
{
	static const uint8_t no_key[GW_SHA256_BYTES];
	struct gw_call *call = arg;
	struct gw_identity who = {.expires_ns = 0};

	call->rpc = 0;
	call->key_asked = false;
	if (status != SLK_OK) {
		(void)gw_call_fault_status(call, status, sentence);
	} else if (reply->status == SLK_OK &&
		reply->result_case == KMSP__REPLY__RESULT_CALLER_IDENTITY) {
		(void)snprintf(
			who.principal, sizeof(who.principal), "%s", reply->caller_identity->arn);
		(void)snprintf(
			who.user_id, sizeof(who.user_id), "%s", reply->caller_identity->user_id);
		gw_day_keys_put(call->thread->keys, call->credential,
			http_loop_now_ns(call->thread->loop), no_key, &who);
	} else {
		call->thread->counters.unauthenticated++;
		gw_call_fault_of(call, reply);
	}
	if (call->body_is_there)
		authenticate(call);
	else if (call->fault.type != NULL)
		gw_call_fail(call);
}

/* kmsd decides who a uid is. */
static bool
ask_peer(struct gw_call *call)
{
	Kmsp__Nothing nothing = KMSP__NOTHING__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	struct slk_error err = {.text = ""};
	struct kmsc_caller caller;

	gw_call_caller(call, &caller);
	request.call_case = KMSP__REQUEST__CALL_GET_CALLER_IDENTITY;
	request.get_caller_identity = &nothing;
	int rc = kmsc_async_send(
		call->thread->kms, &request, &caller, peer_told, call, &call->rpc, &err);
	call->key_asked = rc == SLK_OK;
	return rc == SLK_OK || gw_call_fault_status(call, rc, err.text);
}

static bool
ask_day_key(struct gw_call *call)
{
	Kmsp__DeriveSigningKey derive = KMSP__DERIVE_SIGNING_KEY__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	struct slk_error err = {.text = ""};

	if (call->by_uid)
		return ask_peer(call);
	derive.access_key_id = call->sig.key_id;
	derive.date = call->sig.date;
	derive.region = call->sig.region;
	derive.service = call->sig.service;
	if (call->sig.token != NULL)
		derive.session_token = call->sig.token;
	request.call_case = KMSP__REQUEST__CALL_DERIVE_SIGNING_KEY;
	request.derive_signing_key = &derive;
	call->thread->counters.day_keys_asked++;
	int rc = kmsc_async_send(
		call->thread->kms, &request, NULL, day_key_told, call, &call->rpc, &err);
	call->key_asked = rc == SLK_OK;
	return rc == SLK_OK || gw_call_fault_status(call, rc, err.text);
}

static void begin(struct gw_call *call);

/* The body is there, and the key was looked for. */
static void
authenticate(struct gw_call *call)
{
	struct gw_thread *t = call->thread;
	uint8_t payload[GW_SHA256_BYTES];
	const uint8_t *key = NULL;
	const struct gw_identity *who = NULL;

	if (call->fault.type != NULL) {
		gw_call_fail(call);
		return;
	}
	int found = gw_day_keys_find(t->keys, call->credential, http_loop_now_ns(t->loop),
		gw_call_wall_ns(call), &key, &who);
	if (found == SLK_NOT_FOUND) { /* forgotten since */
		if (!ask_day_key(call))
			gw_call_fail(call);
		return;
	}
	if (gw_hash_end(call->hash, payload) != SLK_OK) {
		(void)internal(call);
		gw_call_fail(call);
		return;
	}
	bool ok = call->by_uid ||
		gw_sigv4_matches(t->engine, http_exchange_request(call->x), &call->sig, payload,
			key, &call->fault);
	if (!ok) {
		t->counters.unauthenticated++;
		gw_call_fail(call);
		return;
	}
	t->counters.day_keys_hits++;
	call->who = *who;
	http_exchange_note(call->x, "principal", gw_identity_arn(&call->who));
	begin(call);
}

/* --- what it wants --- */

static bool
read_form(struct gw_call *call, struct slk_span body)
{
	const struct http_request *r = http_exchange_request(call->x);
	char version[16];
	size_t len = 0;

	call->form =
		strcmp(r->method.ptr, "GET") == 0 ? slk_span(r->query.ptr, r->query.len) : body;
	if (gw_query_value(call->form, "Action", true, call->operation, sizeof(call->operation),
		    &len) != SLK_OK)
		return gw_fault_set(&call->fault, "UnknownOperationException",
			"Could not find operation for version " STS_VERSION);
	if (gw_query_value(call->form, "Version", true, version, sizeof(version), &len) != SLK_OK ||
		strcmp(version, STS_VERSION) != 0 || !find_operation(call))
		return gw_fault_set(&call->fault, "UnknownOperationException",
			"Could not find operation %.63s for version " STS_VERSION, call->operation);
	return true;
}

static bool
keep_body(struct gw_call *call, struct slk_span body)
{
	if (body.len > GW_KEPT_BODY_MAX)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"The request is larger than %u bytes.", GW_KEPT_BODY_MAX);
	uint8_t *copy = gw_call_take(call, body.len + 1);
	if (copy == NULL)
		return false;
	memcpy(copy, body.ptr, body.len);
	call->body = slk_span(copy, body.len);
	return true;
}

static bool
read_json(struct gw_call *call, struct slk_span body)
{
	if (call->op == NULL)
		return true;
	if (call->keeps_body && !keep_body(call, body))
		return false;
	int rc = gw_json_parse(call->arena, (uint8_t *)(uintptr_t)body.ptr, body.len, &call->in);
	if (rc == SLK_NO_MEMORY)
		return gw_call_fault_status(call, rc, "no memory for the request");
	if (rc != SLK_OK) {
		call->thread->counters.malformed++;
		return gw_fault_set(&call->fault, "SerializationException", "%s", "");
	}
	if (gw_bind(call->input->shape, call->in, &call->fault))
		return true;
	call->thread->counters.malformed++;
	return false;
}

static void
begin(struct gw_call *call)
{
	static uint8_t none[1];
	struct http_buf *buf = http_exchange_body(call->x);
	struct slk_span body = buf != NULL ? slk_span(buf->bytes, buf->len) : slk_span(none, 0);

	/* Plaintext, and passwords of destinations. */
	if (buf != NULL && (call->service == GW_KMS || call->keeps_body))
		buf->wipe = true;
	bool ok = call->is_query ? read_form(call, body) : read_json(call, body);
	http_exchange_note(call->x, "operation", call->operation);
	if (ok && call->op == NULL) {
		call->thread->counters.unknown_operations++;
		ok = gw_fault_set(
			&call->fault, call->unserved->type, "%s", call->unserved->message);
	} else if (ok) {
		ok = call->op->begin(call);
	}
	if (!ok)
		gw_call_fail(call);
}

void
gw_exchange_end(void *thread, struct http_exchange *x, int status)
{
	struct gw_call *call = http_exchange_user(x);

	(void)thread;
	if (call == NULL)
		return;
	call->body_is_there = true;
	if (call->fault.type == NULL && status != SLK_OK)
		(void)gw_fault_set(&call->fault,
			status == SLK_TOO_LARGE ? "RequestEntityTooLargeException"
						: "ServiceUnavailableException",
			"%s",
			status == SLK_TOO_LARGE ? "Request is too large" : "Too much is under way");
	if (call->fault.type != NULL)
		gw_call_fail(call);
	else if (!call->key_asked)
		authenticate(call);
}

void
gw_exchange_done(void *thread, struct http_exchange *x, const struct http_result *result)
{
	struct gw_thread *t = thread;
	struct gw_call *call = http_exchange_user(x);

	(void)result;
	if (call == NULL)
		return;
	if (call->rpc != 0)
		kmsc_async_cancel(t->kms, call->rpc);
	if (call->cancel != NULL)
		call->cancel(call);
	gw_stream_drop_wanted(call);
	gw_call_drop_answer(call);
	if (call->has_sig)
		gw_sigv4_fini(&call->sig);
	gw_hash_free(call->hash);
	gw_arena_free(call->arena);
	free(call);
	http_exchange_set_user(x, NULL);
}
