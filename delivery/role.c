#include "role.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "format/context.h"
#include "kmsclient/caller.h"
#include "kmsclient/delivery.h"

#define IDLE_MAX 4u /* connections that wait for the next question: each has locked memory */
#define RENEW_NS (5 * 60 * SLK_NS_PER_S) /* before a session ends */
#define REFUSED_NS (5 * SLK_NS_PER_S) /* until a refusal is asked again */

struct dlv_clients {
	char *socket; /* NULL: the default */
	pthread_mutex_t lock; /* of what follows */
	struct kmsc *idle[IDLE_MAX];
	size_t idle_count;
};

struct dlv_role {
	char *delivery_stream, *arn;
	struct dlv_clients *clients;
	const struct slk_clock *clock;
	pthread_mutex_t lock; /* of what follows */
	struct slk_secret *token; /* with its terminator; NULL: no session */
	uint64_t expires_ns; /* wall clock */
	uint64_t refused_until_ns; /* monotonic; what kmsd said last to AssumeRole */
	struct slk_error refusal;
	pthread_mutex_t assuming; /* one thread asks for a session, others wait for its answer */
};

/* --- connections --- */

int
dlv_clients_new(const char *socket, struct dlv_clients **out_clients)
{
	struct dlv_clients *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return SLK_NO_MEMORY;
	if (socket != NULL && (c->socket = strdup(socket)) == NULL) {
		free(c);
		return SLK_NO_MEMORY;
	}
	pthread_mutex_init(&c->lock, NULL);
	*out_clients = c;
	return SLK_OK;
}

void
dlv_clients_free(struct dlv_clients *c)
{
	if (c == NULL)
		return;
	while (c->idle_count > 0)
		kmsc_free(c->idle[--c->idle_count]);
	pthread_mutex_destroy(&c->lock);
	free(c->socket);
	free(c);
}

static int
borrow(struct dlv_clients *c, struct kmsc **out_kms)
{
	struct kmsc *kms = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->idle_count > 0)
		kms = c->idle[--c->idle_count];
	pthread_mutex_unlock(&c->lock);
	if (kms == NULL)
		return kmsc_new(c->socket, 0, out_kms);
	*out_kms = kms;
	return SLK_OK;
}

static void
give_back(struct dlv_clients *c, struct kmsc *kms)
{
	pthread_mutex_lock(&c->lock);
	if (c->idle_count < IDLE_MAX) {
		c->idle[c->idle_count++] = kms;
		kms = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	kmsc_free(kms);
}

/* --- life --- */

int
dlv_role_new(const struct dlv_role_config *config, struct dlv_role **out_role)
{
	struct dlv_role *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return SLK_NO_MEMORY;
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->assuming, NULL);
	r->clock = config->clock != NULL ? config->clock : slk_clock_system();
	r->delivery_stream = strdup(config->delivery_stream);
	r->arn = strdup(config->role_arn);
	r->clients = config->clients;
	if (r->delivery_stream == NULL || r->arn == NULL) {
		dlv_role_free(r);
		return SLK_NO_MEMORY;
	}
	*out_role = r;
	return SLK_OK;
}

void
dlv_role_free(struct dlv_role *r)
{
	if (r == NULL)
		return;
	slk_secret_free(r->token);
	pthread_mutex_destroy(&r->assuming);
	pthread_mutex_destroy(&r->lock);
	free(r->arn);
	free(r->delivery_stream);
	free(r);
}

/* --- the session --- */

/* A copy of the token, if there is one that lasts. SLK_NOT_FOUND; SLK_NO_MEMORY; or the refusal that still stands. */
static int
present_token(struct dlv_role *r, struct slk_secret **out_token, struct slk_error *err)
{
	int rc = SLK_NOT_FOUND;

	pthread_mutex_lock(&r->lock);
	if (r->token != NULL && slk_wall_ns(r->clock) + RENEW_NS < r->expires_ns)
		rc = slk_secret_from(
			slk_secret_peek(r->token), slk_secret_len(r->token), out_token);
	else if (slk_mono_ns(r->clock) < r->refused_until_ns)
		rc = slk_fail(err, r->refusal.status, "%s", r->refusal.text);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

static int
terminated(const struct slk_secret *token, struct slk_secret **out_text)
{
	size_t len = slk_secret_len(token);
	int rc = slk_secret_new(len + 1, out_text);

	if (rc == SLK_OK)
		memcpy(slk_secret_bytes(*out_text), slk_secret_peek(token), len);
	return rc;
}

static int
assume(struct dlv_role *r, struct slk_error *err)
{
	struct kmsc_session session = {0};
	struct slk_secret *token = NULL;
	struct kmsc *kms = NULL;
	int rc = borrow(r->clients, &kms);

	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot ask kmsd: %s", slk_status_sentence(rc));
	rc = kmsc_assume_delivery_role(kms, r->delivery_stream, r->arn, &session, err);
	give_back(r->clients, kms);
	if (rc == SLK_OK && terminated(session.token, &token) != SLK_OK)
		rc = slk_fail(err, SLK_NO_MEMORY, "no memory for a session of %s", r->arn);
	pthread_mutex_lock(&r->lock);
	if (rc == SLK_OK) {
		slk_secret_free(r->token);
		r->token = token;
		r->expires_ns = session.expires_ns;
		r->refused_until_ns = 0;
	} else if (slk_status_class(rc) == SLK_CLASS_CALLER) {
		r->refused_until_ns = slk_mono_ns(r->clock) + REFUSED_NS;
		(void)slk_fail(&r->refusal, rc, "%s", err->text);
	}
	pthread_mutex_unlock(&r->lock);
	kmsc_session_wipe(&session);
	return rc;
}

static int
have_token(struct dlv_role *r, struct slk_secret **out_token, struct slk_error *err)
{
	int rc = present_token(r, out_token, err);

	if (rc != SLK_NOT_FOUND)
		return rc;
	pthread_mutex_lock(&r->assuming);
	rc = present_token(r, out_token, err); /* another thread was quicker */
	if (rc == SLK_NOT_FOUND) {
		rc = assume(r, err);
		if (rc == SLK_OK)
			rc = present_token(r, out_token, err);
	}
	pthread_mutex_unlock(&r->assuming);
	return rc == SLK_NOT_FOUND
		? slk_fail(err, SLK_UNAVAILABLE, "the session of %s is too short", r->arn)
		: rc;
}

static void
forget_session(struct dlv_role *r)
{
	pthread_mutex_lock(&r->lock);
	slk_secret_free(r->token);
	r->token = NULL;
	pthread_mutex_unlock(&r->lock);
}

/* --- questions --- */

typedef int (*question_fn)(struct kmsc *kms, void *arg, struct slk_error *err);

/* The session itself is refused: it ended, or its role was deleted and made again. */
static bool
session_is_void(const struct kmsc *kms)
{
	static const char *const names[] = {"ExpiredTokenException", "UnrecognizedClientException",
		"ExpiredToken", "InvalidClientTokenId"};
	const char *said = kmsc_refusal(kms)->exception;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(said, names[i]) == 0)
			return true;
	}
	return false;
}

static int
ask_once(struct dlv_role *r, question_fn question, void *arg, bool *out_void, struct slk_error *err)
{
	struct slk_secret *token = NULL;
	struct kmsc *kms = NULL;
	int rc = have_token(r, &token, err);

	if (rc != SLK_OK)
		return rc;
	rc = borrow(r->clients, &kms);
	if (rc != SLK_OK) {
		slk_secret_free(token);
		return slk_fail(err, rc, "cannot ask kmsd: %s", slk_status_sentence(rc));
	}
	const struct kmsc_caller caller = {.session_token = (const char *)slk_secret_peek(token)};
	kmsc_act_for(kms, &caller);
	rc = question(kms, arg, err);
	*out_void = rc == SLK_DENIED && session_is_void(kms);
	kmsc_act_for(kms, NULL);
	give_back(r->clients, kms);
	slk_secret_free(token);
	return rc;
}

static int
ask(struct dlv_role *r, question_fn question, void *arg, struct slk_error *err)
{
	struct slk_error mine = {0};
	bool is_void = false;
	int rc = ask_once(r, question, arg, &is_void, &mine);

	if (is_void) {
		forget_session(r);
		rc = ask_once(r, question, arg, &is_void, &mine);
	}
	return rc == SLK_OK ? SLK_OK : slk_fail(err, rc, "%s", mine.text);
}

struct unwrap_question {
	const struct sealock_epoch *epoch;
	const struct fmt_context *context;
	struct slk_secret *data_key;
};

static int
ask_decrypt(struct kmsc *kms, void *arg, struct slk_error *err)
{
	struct unwrap_question *q = arg;

	return kmsc_decrypt(kms, NULL, q->context, q->epoch->wrapped, &q->data_key, NULL, err);
}

int
dlv_role_unwrap(void *role, const struct sealock_epoch *epoch, struct slk_secret **out_data_key,
	struct slk_error *err)
{
	struct fmt_context *context = NULL;
	int rc = fmt_context_for_stream(epoch->stream_arn, &context);

	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot ask for a key of stream %s: %s", epoch->stream_arn,
			slk_status_sentence(rc));
	struct unwrap_question q = {.epoch = epoch, .context = context};
	rc = ask(role, ask_decrypt, &q, err);
	fmt_context_free(context);
	if (rc == SLK_OK)
		*out_data_key = q.data_key;
	return rc;
}

/* --- encryption contexts as JSON --- */

static int
add_pairs(yajl_val tree, struct fmt_context *context)
{
	if (!YAJL_IS_OBJECT(tree))
		return SLK_INVALID;
	for (size_t i = 0; i < YAJL_GET_OBJECT(tree)->len; i++) {
		yajl_val value = YAJL_GET_OBJECT(tree)->values[i];
		if (!YAJL_IS_STRING(value))
			return SLK_INVALID;
		int rc = fmt_context_add(context, slk_span_str(YAJL_GET_OBJECT(tree)->keys[i]),
			slk_span_str(YAJL_GET_STRING(value)));
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

static int
read_context(const char *json, struct fmt_context **out_context, struct slk_error *err)
{
	char why[128] = "";
	struct fmt_context *context = NULL;
	int rc = fmt_context_new(&context);

	if (rc != SLK_OK)
		return slk_fail(err, rc, "no memory for an encryption context");
	if (json != NULL && json[0] != '\0') {
		yajl_val tree = yajl_tree_parse(json, why, sizeof(why));
		rc = tree != NULL ? add_pairs(tree, context) : SLK_INVALID;
		yajl_tree_free(tree);
	}
	if (rc != SLK_OK) {
		fmt_context_free(context);
		return slk_fail(
			err, rc, "the encryption context is none: %s", slk_status_sentence(rc));
	}
	*out_context = context;
	return SLK_OK;
}

struct data_key_question {
	const char *key_arn;
	const struct fmt_context *context;
	struct kmsc_data_key key; /* beyond 8 KiB: not for the stack */
};

static int
ask_data_key(struct kmsc *kms, void *arg, struct slk_error *err)
{
	struct data_key_question *q = arg;

	return kmsc_generate_data_key(kms, q->key_arn, q->context, &q->key, err);
}

int
dlv_role_data_key(struct dlv_role *role, const char *key_arn, const char *context_json,
	struct slk_secret **out_data_key, uint8_t *wrapped, size_t cap, size_t *out_len,
	struct slk_error *err)
{
	struct fmt_context *context = NULL;
	int rc = read_context(context_json, &context, err);

	if (rc != SLK_OK)
		return rc;
	struct data_key_question *q = calloc(1, sizeof(*q));
	if (q == NULL) {
		fmt_context_free(context);
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a data key");
	}
	q->key_arn = key_arn;
	q->context = context;
	rc = ask(role, ask_data_key, q, err);
	if (rc == SLK_OK && q->key.blob_len > cap)
		rc = slk_fail(
			err, SLK_TOO_LARGE, "the wrapped data key has %zu bytes", q->key.blob_len);
	if (rc == SLK_OK) {
		memcpy(wrapped, q->key.blob, q->key.blob_len);
		*out_len = q->key.blob_len;
		*out_data_key = q->key.plaintext;
		q->key.plaintext = NULL; /* the caller's now */
	}
	kmsc_data_key_fini(&q->key);
	free(q);
	fmt_context_free(context);
	return rc;
}

struct may_question {
	const char *action, *resource;
	const struct fmt_context *context;
};

static int
ask_may(struct kmsc *kms, void *arg, struct slk_error *err)
{
	struct may_question *q = arg;

	return kmsc_authorize_caller(kms, q->action, q->resource, q->context, err);
}

int
dlv_role_may(struct dlv_role *role, const char *action, const char *resource_arn,
	const char *context_json, struct slk_error *err)
{
	struct fmt_context *context = NULL;
	int rc = read_context(context_json, &context, err);

	if (rc != SLK_OK)
		return rc;
	struct may_question q = {action, resource_arn, context};
	rc = ask(role, ask_may, &q, err);
	fmt_context_free(context);
	return rc;
}
