#include "kmsclient/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sock.h"
#include "kmsclient/caller.h"
#include "kmsclient/request.h"

#define TIMEOUT_DEFAULT_MS 5000u

struct kmsc {
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	unsigned timeout_ms;
	char correlation[KMSC_CORRELATION_MAX];
	int fd; /* -1: not connected */
	pid_t pid; /* the process that made it */
	uint64_t next_id;
	struct kmsp_arena *arena;
	struct slk_secret *send; /* a request may hold plaintext (Encrypt) */
	struct slk_secret *recv; /* a reply may hold a data key */
	size_t sent_len, received_len; /* to be wiped */
	bool acts;
	Kmsp__Caller caller; /* for whom; texts are borrowed */
	struct kmsc_refusal refusal;
};

/* --- for whom --- */

void
kmsc_act_for(struct kmsc *c, const struct kmsc_caller *caller)
{
	c->acts = caller != NULL;
	kmsp__caller__init(&c->caller);
	if (caller == NULL)
		return;
	c->caller.principal = kmsc_request_text(caller->principal);
	c->caller.session_token = kmsc_request_text(caller->session_token);
	c->caller.access_key_id = kmsc_request_text(caller->access_key_id);
	c->caller.source_ip = kmsc_request_text(caller->source_ip);
	c->caller.over_tls = caller->over_tls;
	c->caller.via_service = kmsc_request_text(caller->via_service);
	c->caller.source_arn = kmsc_request_text(caller->source_arn);
	c->caller.by_uid = caller->by_uid;
	c->caller.uid = caller->uid;
}

const struct kmsc_refusal *
kmsc_refusal(const struct kmsc *c)
{
	return &c->refusal;
}

static void
note_answer(struct kmsc_refusal *r, const Kmsp__Reply *reply)
{
	(void)snprintf(r->request_id, sizeof(r->request_id), "%s", reply->request_id);
	if (reply->status == SLK_OK)
		return;
	(void)snprintf(r->exception, sizeof(r->exception), "%s", reply->exception);
	(void)snprintf(r->message, sizeof(r->message), "%s", reply->message);
}

/* --- connections --- */

int
kmsc_new(const char *path, unsigned timeout_ms, struct kmsc **out_client)
{
	if (path == NULL)
		path = getenv("SEALOCK_KMS_SOCKET");
	if (path == NULL)
		path = KMSC_DEFAULT_SOCKET;
	struct kmsc *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return SLK_NO_MEMORY;
	c->fd = -1;
	c->pid = getpid();
	c->timeout_ms = timeout_ms != 0 ? timeout_ms : TIMEOUT_DEFAULT_MS;

	const char *correlation = getenv("SEALOCK_CORRELATION_ID");
	int rc = strlen(path) < sizeof(c->path) ? SLK_OK : SLK_TOO_LARGE;
	if (rc == SLK_OK && correlation != NULL)
		rc = kmsc_correlate(c, correlation);
	if (rc == SLK_OK) {
		strcpy(c->path, path);
		rc = slk_secret_new(KMSP_FRAME_MAX, &c->send);
	}
	if (rc == SLK_OK)
		rc = slk_secret_new(KMSP_FRAME_MAX, &c->recv);
	if (rc == SLK_OK)
		rc = kmsp_arena_new(&c->arena);
	if (rc != SLK_OK) {
		kmsc_free(c);
		return rc;
	}
	*out_client = c;
	return SLK_OK;
}

int
kmsc_correlate(struct kmsc *c, const char *id)
{
	if (strlen(id) >= sizeof(c->correlation))
		return SLK_TOO_LARGE;
	(void)strcpy(c->correlation, id);
	return SLK_OK;
}

static void
drop(struct kmsc *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void
kmsc_free(struct kmsc *client)
{
	if (client == NULL)
		return;
	drop(client);
	kmsp_arena_free(client->arena);
	slk_secret_free(client->send);
	slk_secret_free(client->recv);
	free(client);
}

static int
connect_to(struct kmsc *c, struct slk_error *err)
{
	if (c->fd >= 0)
		return SLK_OK;
	/* kmsd accepts and reads at once or not at all; a stopped one must not hold us beyond the deadline. */
	int rc = slk_sock_connect_within(c->path, c->timeout_ms, &c->fd, err);
	if (rc != SLK_OK) {
		c->fd = -1;
		/* No socket and nobody behind it are the same for a caller: kmsd does not run
		 * (yet). */
		if (rc == SLK_NOT_FOUND || rc == SLK_UNAVAILABLE)
			return slk_fail(err, SLK_UNAVAILABLE,
				"no kmsd answers at %s; is sealock-kmsd running?", c->path);
		if (rc == SLK_DENIED)
			return slk_fail(err, SLK_DENIED,
				"uid %u may not connect to kmsd at %s; its group may be missing",
				(unsigned)geteuid(), c->path);
		if (rc == SLK_TIMEOUT)
			return slk_fail(err, SLK_TIMEOUT, "kmsd did not answer within %u ms",
				c->timeout_ms);
		return rc;
	}
	return SLK_OK;
}

/* The next reply, whoever it is for. */
static int
receive_any(struct kmsc *c, uint64_t deadline_ns, const Kmsp__Reply **out_reply)
{
	const struct slk_sock_ops *ops = slk_sock_posix();
	size_t len = 0, before = c->received_len;

	int rc = ops->wait_readable(ops->ctx, c->fd, deadline_ns);
	if (rc == SLK_OK) {
		c->received_len = KMSP_FRAME_MAX; /* until it is known */
		rc = ops->recv(ops->ctx, c->fd, slk_secret_bytes(c->recv), KMSP_FRAME_MAX, &len);
	}
	if (rc == SLK_OK) {
		c->received_len = len > before ? len : before;
		rc = kmsp_reply_unpack(
			c->arena, slk_span(slk_secret_peek(c->recv), len), out_reply);
	}
	return rc;
}

/* Wait for the reply with this id. Others are late answers to calls that were given up. */
static int
receive(struct kmsc *c, uint64_t id, uint64_t deadline_ns, const Kmsp__Reply **out_reply)
{
	const Kmsp__Reply *reply = NULL;

	for (;;) {
		int rc = receive_any(c, deadline_ns, &reply);
		if (rc != SLK_OK)
			return rc;
		if (reply->id == id) {
			*out_reply = reply;
			return SLK_OK;
		}
	}
}

/* Nothing more comes over this connection, unless only the time is up. */
static int
fail_connection(struct kmsc *c, int rc, struct slk_error *err)
{
	if (rc == SLK_TIMEOUT || rc == SLK_AGAIN)
		return slk_fail(
			err, SLK_TIMEOUT, "kmsd did not answer within %u ms", c->timeout_ms);
	drop(c);
	if (rc == SLK_CLOSED)
		return slk_fail(err, SLK_CLOSED, "kmsd closed the connection before it answered");
	return slk_fail(err, SLK_INTERNAL, "the answer of kmsd cannot be used: %s",
		slk_status_sentence(rc));
}

/* One attempt. *out_sent tells whether kmsd may have got the request. */
static int
attempt(struct kmsc *c, uint64_t id, uint64_t deadline_ns, bool *out_sent,
	const Kmsp__Reply **out_reply, struct slk_error *err)
{
	const struct slk_sock_ops *ops = slk_sock_posix();

	*out_sent = false;
	int rc = connect_to(c, err);
	if (rc != SLK_OK)
		return rc;
	rc = ops->send(ops->ctx, c->fd, slk_secret_peek(c->send), c->sent_len);
	if (rc == SLK_OK) {
		*out_sent = true;
		rc = receive(c, id, deadline_ns, out_reply);
	}
	return rc == SLK_OK ? rc : fail_connection(c, rc, err);
}

/* What kmsd answered, as status and sentence. */
int
kmsc_judge(const Kmsp__Reply *reply, Kmsp__Reply__ResultCase result, struct slk_error *err)
{
	if (reply->status == SLK_OK)
		return reply->result_case == result
			? SLK_OK
			: slk_fail(err, SLK_INTERNAL,
				  "kmsd answered another question than was asked");
	int status = strcmp(slk_status_name(reply->status), "Unknown") == 0 ? SLK_INTERNAL
									    : reply->status;
	return slk_fail(err, status, "%s%s%s (request %s)", reply->exception,
		reply->exception[0] != '\0' && reply->message[0] != '\0' ? ": " : "",
		reply->message, reply->request_id);
}

uint64_t
kmsc_deadline(const struct kmsc *c)
{
	return slk_mono_ns(slk_clock_system()) + c->timeout_ms * SLK_NS_PER_MS;
}

/* Into the send buffer, under the next id. */
static int
prepare(struct kmsc *c, Kmsp__Request *request, struct slk_error *err)
{
	if (c->pid != getpid())
		return slk_fail(err, SLK_INVALID_STATE,
			"this client of kmsd was made before fork; the child must make its own");
	request->id = ++c->next_id;
	request->timeout_ms = c->timeout_ms;
	request->correlation = c->correlation;
	request->caller = c->acts ? &c->caller : NULL;
	int rc =
		kmsp_request_pack(request, slk_secret_bytes(c->send), KMSP_FRAME_MAX, &c->sent_len);
	if (rc != SLK_OK)
		return slk_fail(err, SLK_TOO_LARGE,
			"the request is larger than %u bytes, or %u for one with a policy, a "
			"description or tags",
			KMSP_REQUEST_MAX, KMSP_FRAME_MAX);
	return SLK_OK;
}

int
kmsc_send(struct kmsc *c, Kmsp__Request *request, uint64_t *out_id, struct slk_error *err)
{
	const struct slk_sock_ops *ops = slk_sock_posix();

	int rc = prepare(c, request, err);
	if (rc == SLK_OK)
		rc = connect_to(c, err);
	if (rc != SLK_OK)
		return rc;
	rc = ops->send(ops->ctx, c->fd, slk_secret_peek(c->send), c->sent_len);
	if (rc != SLK_OK)
		return fail_connection(c, rc, err);
	*out_id = request->id;
	return SLK_OK;
}

int
kmsc_receive(
	struct kmsc *c, uint64_t deadline_ns, const Kmsp__Reply **out_reply, struct slk_error *err)
{
	if (c->fd < 0)
		return slk_fail(err, SLK_CLOSED, "there is no connection to kmsd");
	int rc = receive_any(c, deadline_ns, out_reply);
	return rc == SLK_OK ? rc : fail_connection(c, rc, err);
}

int
kmsc_call(struct kmsc *c, Kmsp__Request *request, enum kmsc_repeat repeat,
	Kmsp__Reply__ResultCase result, const Kmsp__Reply **out_reply, struct slk_error *err)
{
	uint64_t deadline_ns = kmsc_deadline(c);
	const Kmsp__Reply *reply = NULL;
	bool sent = false;

	c->refusal = (struct kmsc_refusal){.exception = ""};
	int rc = prepare(c, request, err);
	if (rc != SLK_OK)
		return rc;
	/* A connection that kmsd closed in the meantime (it was restarted) shows only now: once
	 * more. */
	rc = attempt(c, request->id, deadline_ns, &sent, &reply, err);
	if (rc == SLK_CLOSED && (!sent || repeat == KMSC_REPEATABLE))
		rc = attempt(c, request->id, deadline_ns, &sent, &reply, err);
	if (rc == SLK_CLOSED)
		return slk_fail(err, SLK_UNAVAILABLE,
			"kmsd closed the connection before it answered%s",
			repeat == KMSC_ONCE
				? "; look whether the request was carried out before you repeat it"
				: "");
	if (rc == SLK_OK) {
		note_answer(&c->refusal, reply);
		rc = kmsc_judge(reply, result, err);
	}
	if (rc == SLK_OK)
		*out_reply = reply;
	return rc;
}

int
kmsc_call_end(struct kmsc *c, int rc, struct slk_error *err)
{
	if (c->pid == getpid()) { /* a child has nothing in them: the kernel wiped its copies */
		kmsp_arena_reset(c->arena);
		slk_wipe(slk_secret_bytes(c->send), c->sent_len);
		slk_wipe(slk_secret_bytes(c->recv), c->received_len);
		c->sent_len = c->received_len = 0;
	}
	if (rc == SLK_MALFORMED)
		return slk_fail(
			err, SLK_INTERNAL, "the answer of kmsd holds a value that cannot be");
	return rc;
}
