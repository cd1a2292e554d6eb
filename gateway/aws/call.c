/* What operations do with their call: ask kmsd, write an answer, fail. */
#include "aws/call.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/secret.h"

#define STS_NAMESPACE "https://sts.amazonaws.com/doc/2011-06-15/"

void *
gw_call_take(struct gw_call *call, size_t bytes)
{
	void *at = gw_arena_take(call->arena, bytes);

	if (at == NULL)
		(void)gw_call_fault_status(call, SLK_NO_MEMORY, "no memory for the request");
	return at;
}

uint64_t
gw_call_wall_ns(const struct gw_call *call)
{
	return slk_wall_ns(http_loop_clock(call->thread->loop));
}

void
gw_call_arn(const struct gw_call *call, const char *service, const char *resource,
	char out[KMSC_ARN_MAX])
{
	const struct gw_app_config *config = gw_app_config_of(call->thread->app);

	(void)snprintf(out, KMSC_ARN_MAX, "arn:aws:%s:%s:%s:%s", service, config->region,
		config->account, resource);
}

/* --- faults --- */

bool
gw_call_fault_status(struct gw_call *call, int status, const char *sentence)
{
	bool retry = slk_status_class(status) == SLK_CLASS_RETRY || status == SLK_LIMIT;

	call->thread->counters.unavailable++;
	if (retry)
		return gw_fault_set(&call->fault, "ServiceUnavailableException", "%s", sentence);
	return gw_fault_set(&call->fault,
		call->service == GW_KINESIS       ? "InternalFailureException"
			: call->service == GW_KMS ? "KMSInternalException"
						  : "InternalFailure",
		"%s", "Internal Service Failure");
}

/* What KMS said, where Firehose has one exception for all of it. */
static const char *
code_of(int status)
{
	switch (status) {
	case SLK_DENIED:
		return "AccessDeniedException";
	case SLK_DISABLED:
		return "DisabledException";
	case SLK_NOT_FOUND:
		return "NotFoundException";
	default:
		return "InvalidStateException";
	}
}

bool
gw_call_fault_key(struct gw_call *call, int status, const char *sentence)
{
	(void)gw_fault_set(&call->fault, "InvalidKMSResourceException", "%s", sentence);
	call->fault.code = code_of(status);
	return false;
}

void
gw_call_fault_of(struct gw_call *call, const Kmsp__Reply *reply)
{
	const char *type = gw_fault_type(reply->exception);

	if (reply->status == SLK_DENIED)
		call->thread->counters.denied++;
	if (type == NULL && (strcmp(reply->exception, "InvalidClientTokenId") == 0))
		type = "UnrecognizedClientException";
	if (type == NULL && strcmp(reply->exception, "ExpiredToken") == 0)
		type = "ExpiredTokenException";
	if (type == NULL)
		(void)gw_call_fault_status(call, reply->status, reply->message);
	else if (strcmp(type, "InvalidKMSResourceException") == 0)
		(void)gw_call_fault_key(call, reply->status, reply->message);
	else
		(void)gw_fault_set(&call->fault, type, "%s", reply->message);
}

/* --- kmsd --- */

void
gw_call_caller(const struct gw_call *call, struct kmsc_caller *out)
{
	const struct http_client *client = http_exchange_request(call->x)->client;

	if (call->by_uid) {
		*out = (struct kmsc_caller){.by_uid = true, .uid = call->uid};
		return;
	}
	*out = (struct kmsc_caller){.session_token = call->sig.token,
		.access_key_id = call->sig.key_id,
		.source_ip = call->source_ip[0] != '\0' ? call->source_ip : NULL,
		.over_tls = call->source_ip[0] != '\0' && client->via == HTTP_VIA_TLS};
}

static void
told(void *arg, int status, const Kmsp__Reply *reply, const char *sentence)
{
	struct gw_call *call = arg;

	call->rpc = 0;
	if (status == SLK_OK && reply->status == SLK_OK) {
		call->on_reply(call, reply);
		return;
	}
	if (status == SLK_OK)
		gw_call_fault_of(call, reply);
	else
		(void)gw_call_fault_status(call, status, sentence);
	gw_call_fail(call);
}

static bool
ask(struct gw_call *call, Kmsp__Request *request, const struct kmsc_caller *caller,
	void (*on_reply)(struct gw_call *call, const Kmsp__Reply *reply))
{
	struct slk_error err = {.text = ""};

	call->on_reply = on_reply;
	request->correlation = call->request_id;
	int rc = kmsc_async_send(call->thread->kms, request, caller, told, call, &call->rpc, &err);
	if (rc == SLK_TOO_LARGE)
		return gw_fault_set(
			&call->fault, "ValidationException", "The request is too large");
	return rc == SLK_OK || gw_call_fault_status(call, rc, err.text);
}

bool
gw_call_ask(struct gw_call *call, Kmsp__Request *request,
	void (*on_reply)(struct gw_call *call, const Kmsp__Reply *reply))
{
	struct kmsc_caller caller;

	gw_call_caller(call, &caller);
	return ask(call, request, &caller, on_reply);
}

bool
gw_call_ask_own(struct gw_call *call, Kmsp__Request *request,
	void (*on_reply)(struct gw_call *call, const Kmsp__Reply *reply))
{
	return ask(call, request, NULL, on_reply);
}

static void
allowed(struct gw_call *call, const Kmsp__Reply *reply)
{
	(void)reply;
	gw_decisions_put(
		call->thread->decisions, call->decision, http_loop_now_ns(call->thread->loop));
	call->on_allowed(call);
}

bool
gw_call_authorize(struct gw_call *call, const char *action, const char *resource,
	void (*on_allowed)(struct gw_call *call))
{
	struct gw_thread *t = call->thread;
	Kmsp__Authorize authorize = KMSP__AUTHORIZE__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	char where[HTTP_ADDRESS_MAX + 8];

	call->on_allowed = on_allowed;
	/* Policies may ask for both: aws:SourceIp, aws:SecureTransport. */
	(void)snprintf(where, sizeof(where), "%s %d", call->source_ip,
		(int)http_exchange_request(call->x)->client->via);
	if (gw_decision_name(
		    t->engine, call->credential, action, resource, where, call->decision) != SLK_OK)
		return gw_call_fault_status(call, SLK_INTERNAL, "");
	if (gw_decisions_has(t->decisions, call->decision, http_loop_now_ns(t->loop))) {
		t->counters.decisions_hits++;
		on_allowed(call);
		return true;
	}
	t->counters.decisions_asked++;
	authorize.action = (char *)(uintptr_t)action;
	authorize.resource = (char *)(uintptr_t)resource;
	request.call_case = KMSP__REQUEST__CALL_AUTHORIZE;
	request.authorize = &authorize;
	return gw_call_ask(call, &request, allowed);
}

/* --- answers --- */

static int
grow(struct gw_writer *w, size_t more)
{
	struct gw_call *call = w->arg;

	call->out->len = w->len;
	int rc = http_buf_reserve(http_loop_pool(call->thread->loop), &call->out, more);
	if (rc == SLK_OK) {
		w->bytes = call->out->bytes;
		w->cap = call->out->cap;
	}
	return rc;
}

void
gw_call_drop_answer(struct gw_call *call)
{
	if (call->out == NULL)
		return;
	call->out->len = call->w.len; /* so far: it may have to be wiped */
	http_buf_free(http_loop_pool(call->thread->loop), call->out);
	call->out = NULL;
}

bool
gw_call_write(struct gw_call *call, size_t bytes_hint, bool secret)
{
	struct http_pool *pool = http_loop_pool(call->thread->loop);

	gw_call_drop_answer(call);
	int rc = http_buf_new(pool,
		bytes_hint > HTTP_BUF_MIN_BYTES ? bytes_hint : HTTP_BUF_MIN_BYTES, &call->out);
	if (rc != SLK_OK)
		return gw_call_fault_status(call, rc, "Too much is under way");
	call->out->wipe = secret;
	call->w = (struct gw_writer){
		.bytes = call->out->bytes, .cap = call->out->cap, .grow = grow, .arg = call};
	return true;
}

/* What clients show beside the request id; it tells nothing. */
static void
print_id2(const struct gw_call *call, char out[80])
{
	uint8_t bytes[48] = {0};

	(void)memcpy(bytes, call->request_id, FMT_UUID_TEXT - 1);
	if (slk_base64_encode(SLK_BASE64, slk_span(bytes, sizeof(bytes)), out, 80) != SLK_OK)
		out[0] = '\0';
}

static void
answer(struct gw_call *call, unsigned status, const char *content_type, const char *error_type)
{
	char id2[80];
	struct http_field fields[4] = {{"x-amzn-requestid", call->request_id}, {"x-amz-id-2", id2}};
	struct http_buf *body = call->out;
	size_t count = 2;

	print_id2(call, id2);
	if (content_type != NULL)
		fields[count++] = (struct http_field){"content-type", content_type};
	if (error_type != NULL)
		fields[count++] = (struct http_field){"x-amzn-errortype", error_type};
	call->out = NULL;
	http_answer(call->x, status, fields, count, body);
}

static const char *
type_of(const struct gw_call *call)
{
	return call->is_query ? "text/xml" : "application/x-amz-json-1.1";
}

void
gw_call_send(struct gw_call *call)
{
	if (call->w.status != SLK_OK) {
		(void)gw_call_fault_status(call, call->w.status, "Too much is under way");
		gw_call_fail(call);
		return;
	}
	call->out->len = call->w.len;
	call->thread->counters.succeeded++;
	answer(call, 200, type_of(call), NULL);
}

void
gw_call_send_empty(struct gw_call *call)
{
	gw_call_drop_answer(call);
	call->thread->counters.succeeded++;
	answer(call, 200, type_of(call), NULL);
}

void
gw_xml_text(struct gw_writer *w, const char *text)
{
	for (size_t plain = strcspn(text, "<>&\"");; plain = strcspn(text, "<>&\"")) {
		gw_write_raw(w, text, plain);
		text += plain;
		if (*text == '\0')
			return;
		const char *entity = *text == '<' ? "&lt;"
			: *text == '>'            ? "&gt;"
			: *text == '&'            ? "&amp;"
						  : "&quot;";
		gw_write_raw(w, entity, strlen(entity));
		text++;
	}
}

static void
raw(struct gw_writer *w, const char *text)
{
	gw_write_raw(w, text, strlen(text));
}

static void
write_query_fault(struct gw_call *call, const struct gw_fault_query *q)
{
	struct gw_writer *w = &call->w;

	raw(w, "<ErrorResponse xmlns=\"" STS_NAMESPACE "\">\n  <Error>\n    <Type>");
	raw(w, q->blame);
	raw(w, "</Type>\n    <Code>");
	raw(w, q->code);
	raw(w, "</Code>\n    <Message>");
	gw_xml_text(w, call->fault.message);
	raw(w, "</Message>\n  </Error>\n  <RequestId>");
	raw(w, call->request_id);
	raw(w, "</RequestId>\n</ErrorResponse>\n");
}

static void
write_json_fault(struct gw_call *call)
{
	gw_write_open(&call->w, NULL);
	gw_write_text(&call->w, "__type", call->fault.type);
	if (call->fault.code != NULL)
		gw_write_text(&call->w, "code", call->fault.code);
	if (call->fault.message[0] != '\0')
		gw_write_text(
			&call->w, call->fault.capital ? "Message" : "message", call->fault.message);
	gw_write_close(&call->w);
}

/* What nobody can tell which service it is for: without a target, or with one in a body of a wrong type. */
static void
write_plain_fault(struct gw_call *call)
{
	raw(&call->w, "<");
	raw(&call->w, call->fault.type);
	if (call->fault.message[0] == '\0') {
		raw(&call->w, "/>\n");
		return;
	}
	raw(&call->w, ">\n  <Message>");
	gw_xml_text(&call->w, call->fault.message);
	raw(&call->w, "</Message>\n</");
	raw(&call->w, call->fault.type);
	raw(&call->w, ">\n");
}

void
gw_call_fail(struct gw_call *call)
{
	struct gw_fault *fault = &call->fault;
	const struct gw_fault_query q = gw_fault_query(fault->type);
	unsigned status = call->is_query ? q.status : gw_fault_status(fault->type);
	const char *type = type_of(call);
	char message[GW_FAULT_MESSAGE_MAX];

	if (http_exchange_answered(call->x))
		return;
	if (call->on_fault != NULL)
		call->on_fault(call);
	call->thread->counters.failed++;
	http_exchange_note(call->x, "error", call->is_query ? q.code : fault->type);
	(void)memcpy(message, fault->message, sizeof(message));
	if (!gw_call_write(call, 0, false)) {
		http_answer_bytes(call->x, 503, NULL, 0, "", 0);
		return;
	}
	(void)memcpy(fault->message, message, sizeof(message));
	if (call->is_query) {
		write_query_fault(call, &q);
	} else if (call->is_json) {
		write_json_fault(call);
	} else {
		status = call->fault.message[0] == '\0' ? 404 : 403;
		type = "application/xml";
		write_plain_fault(call);
	}
	call->out->len = call->w.len;
	answer(call, status, type, call->is_query ? NULL : fault->type);
}
