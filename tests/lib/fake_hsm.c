#include "fake_hsm.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/secret.h"

#define KEYS_MAX 256

struct fake_key {
	uint8_t id[HSM_KEY_ID_BYTES], bytes[32], kcv[HSM_KCV_BYTES];
};

struct fake_token {
	struct fake_key keys[KEYS_MAX];
	size_t count;
};

struct fake_call {
	struct hsm_request request;
	uint8_t aad[HSM_AAD_MAX], data[HSM_DATA_MAX + HSM_TAG_BYTES];
	hsm_done_fn done;
	void *arg;
};

struct hsm_link {
	const struct slk_clock *clock;
	int fd;
	bool hold;
	int fail_status, lose_status;
	unsigned fail_times;
	enum hsm_state state;
	uint32_t cost;
	struct fake_token tokens[2], *token;
	struct fake_call *pending[HSM_PENDING_MAX];
	size_t pending_count;
	size_t calls[HSM_STATUS + 1];
};

int
hsm_link_new(int monitor_fd, const struct slk_clock *clock, struct hsm_link **out_link)
{
	struct hsm_link *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return SLK_NO_MEMORY;
	if (monitor_fd >= 0)
		close(monitor_fd);
	l->clock = clock;
	l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->state = HSM_READY;
	l->cost = 1;
	l->token = &l->tokens[0];
	*out_link = l;
	return SLK_OK;
}

static void
wake(struct hsm_link *l)
{
	uint64_t one = 1;

	if (write(l->fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

int
hsm_link_submit(
	struct hsm_link *link, const struct hsm_request *request, hsm_done_fn done, void *arg)
{
	if (link->pending_count == HSM_PENDING_MAX)
		return SLK_FULL;
	if (request->aad.len > HSM_AAD_MAX || request->data.len > HSM_DATA_MAX + HSM_TAG_BYTES)
		return SLK_INVALID;
	struct fake_call *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return SLK_NO_MEMORY;
	c->request = *request;
	if (request->aad.len > 0)
		memcpy(c->aad, request->aad.ptr, request->aad.len);
	if (request->data.len > 0)
		memcpy(c->data, request->data.ptr, request->data.len);
	c->request.aad.ptr = c->aad;
	c->request.data.ptr = c->data;
	c->done = done;
	c->arg = arg;
	link->pending[link->pending_count++] = c;
	wake(link);
	return SLK_OK;
}

static struct fake_key *
find(struct hsm_link *l, const uint8_t *id)
{
	for (size_t i = 0; i < l->token->count; i++)
		if (memcmp(l->token->keys[i].id, id, HSM_KEY_ID_BYTES) == 0)
			return &l->token->keys[i];
	return NULL;
}

static bool
gcm(const struct fake_key *key, bool seal, const uint8_t *iv, struct slk_span aad,
	struct slk_span in, uint8_t *out, uint8_t *tag)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;
	bool ok = ctx != NULL &&
		EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, iv, seal) == 1 &&
		EVP_CipherUpdate(ctx, NULL, &len, aad.ptr, (int)aad.len) == 1 &&
		EVP_CipherUpdate(ctx, out, &len, in.ptr, (int)in.len) == 1 &&
		(seal || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, tag) == 1) &&
		EVP_CipherFinal_ex(ctx, out + len, &len) == 1 &&
		(!seal || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, tag) == 1);

	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static int
create(struct hsm_link *l, const struct hsm_request *r, struct hsm_reply *reply)
{
	struct fake_key *key = find(l, r->key_id);

	reply->existed = key != NULL;
	if (key == NULL) {
		if (l->token->count == KEYS_MAX)
			return SLK_HSM;
		key = &l->token->keys[l->token->count++];
		memcpy(key->id, r->key_id, sizeof(key->id));
		if (RAND_bytes(key->bytes, sizeof(key->bytes)) != 1)
			return SLK_HSM;
		memcpy(key->kcv, key->bytes,
			sizeof(key->kcv)); /* any function of the key will do */
	}
	memcpy(reply->kcv, key->kcv, sizeof(reply->kcv));
	return SLK_OK;
}

static int
wrap(struct hsm_link *l, struct fake_key *key, const struct hsm_request *r, struct slk_span plain,
	uint8_t *out, struct hsm_reply *reply)
{
	if (RAND_bytes(reply->iv, sizeof(reply->iv)) != 1 ||
		!gcm(key, true, reply->iv, r->aad, plain, out, out + plain.len))
		return SLK_HSM;
	reply->ciphertext = slk_span(out, plain.len + HSM_TAG_BYTES);
	reply->encryptions_count = l->cost;
	return SLK_OK;
}

static int
unwrap(struct fake_key *key, const struct hsm_request *r, uint8_t *out, struct hsm_reply *reply)
{
	uint8_t tag[HSM_TAG_BYTES];

	if (r->data.len <= sizeof(tag))
		return SLK_INVALID_CIPHERTEXT;
	size_t len = r->data.len - sizeof(tag);
	memcpy(tag, r->data.ptr + len, sizeof(tag));
	if (!gcm(key, false, r->iv, r->aad, slk_span(r->data.ptr, len), out, tag))
		return SLK_INVALID_CIPHERTEXT;
	reply->plaintext = slk_span(out, len);
	return SLK_OK;
}

static int
perform(struct hsm_link *l, const struct hsm_request *r, struct hsm_reply *reply)
{
	static uint8_t plain[HSM_DATA_MAX], sealed[HSM_DATA_MAX + HSM_TAG_BYTES];
	struct fake_key *key;

	if (r->op == HSM_STATUS) {
		reply->health.state = l->state;
		reply->health.worker_pid = 4711;
		strcpy(reply->health.token_label, "fake");
		return SLK_OK;
	}
	if (r->op == HSM_CREATE_KEY)
		return create(l, r, reply);
	key = find(l, r->key_id);
	if (key == NULL)
		return SLK_NOT_FOUND;
	if (memcmp(key->kcv, r->kcv, sizeof(key->kcv)) != 0)
		return SLK_CORRUPT;
	if (r->op == HSM_WRAP)
		return wrap(l, key, r, r->data, sealed, reply);
	if (r->op == HSM_UNWRAP)
		return unwrap(key, r, plain, reply);
	if (r->op != HSM_GENERATE_DATA_KEY || RAND_bytes(plain, (int)r->length) != 1)
		return SLK_INVALID;
	reply->plaintext = slk_span(plain, r->length);
	return wrap(l, key, r, reply->plaintext, sealed, reply);
}

static void
answer(struct hsm_link *l, struct fake_call *c)
{
	struct hsm_reply reply = {.op = c->request.op};
	uint64_t deadline = c->request.mono_deadline_ns;

	l->calls[c->request.op]++;
	if (c->request.op != HSM_STATUS && l->fail_times > 0) {
		l->fail_times--;
		reply.status = l->fail_status;
	} else if (deadline != 0 && slk_mono_ns(l->clock) >= deadline) {
		reply.status = SLK_TIMEOUT;
	} else {
		reply.status = perform(l, &c->request, &reply);
		if (c->request.op != HSM_STATUS && l->lose_status != 0) {
			reply = (struct hsm_reply){.op = c->request.op, .status = l->lose_status};
			l->lose_status = 0;
		}
	}
	if (reply.status != SLK_OK)
		snprintf(reply.error, sizeof(reply.error), "fake HSM: %s",
			slk_status_sentence(reply.status));
	c->done(c->arg, &reply);
	slk_wipe(c, sizeof(*c));
	free(c);
}

static bool
due(const struct hsm_link *l, const struct fake_call *c)
{
	return !l->hold || c->request.op == HSM_STATUS ||
		(c->request.mono_deadline_ns != 0 &&
			slk_mono_ns(l->clock) >= c->request.mono_deadline_ns);
}

int
hsm_link_poll(struct hsm_link *link)
{
	uint64_t drained;
	(void)!read(link->fd, &drained, sizeof(drained));

	for (size_t i = 0; i < link->pending_count;) {
		struct fake_call *c = link->pending[i];
		if (!due(link, c)) {
			i++;
			continue;
		}
		link->pending_count--;
		memmove(&link->pending[i], &link->pending[i + 1],
			(link->pending_count - i) * sizeof(link->pending[0]));
		answer(link, c);
	}
	return SLK_OK;
}

void
hsm_link_free(struct hsm_link *link)
{
	if (link == NULL)
		return;
	while (link->pending_count > 0) {
		struct fake_call *c = link->pending[--link->pending_count];
		struct hsm_reply reply = {.op = c->request.op, .status = SLK_UNAVAILABLE};
		c->done(c->arg, &reply);
		free(c);
	}
	close(link->fd);
	free(link);
}

int
hsm_link_fd(const struct hsm_link *link)
{
	return link->fd;
}

void
hsm_link_replace_fd(struct hsm_link *link, int worker_fd)
{
	(void)link;
	if (worker_fd >= 0)
		close(worker_fd);
}

size_t
hsm_link_pending_count(const struct hsm_link *link)
{
	return link->pending_count;
}

bool
hsm_link_has_worker(const struct hsm_link *link)
{
	return link->state == HSM_READY;
}

void
fake_hsm_hold(struct hsm_link *link, bool hold)
{
	link->hold = hold;
	wake(link);
}

void
fake_hsm_fail(struct hsm_link *link, int status, unsigned times)
{
	link->fail_status = status;
	link->fail_times = times;
}

void
fake_hsm_lose_answer(struct hsm_link *link, int status)
{
	link->lose_status = status;
}

void
fake_hsm_swap_token(struct hsm_link *link, bool other)
{
	link->token = &link->tokens[other];
}

void
fake_hsm_set_state(struct hsm_link *link, enum hsm_state state)
{
	link->state = state;
}

void
fake_hsm_set_cost(struct hsm_link *link, uint32_t encryptions_count)
{
	link->cost = encryptions_count;
}

size_t
fake_hsm_keys_count(const struct hsm_link *link)
{
	return link->token->count;
}

size_t
fake_hsm_calls_count(const struct hsm_link *link, enum hsm_op op)
{
	return link->calls[op];
}
