#include "fake_hsm.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/secret.h"
#include "fake_pairs.h"
#include "hsm/wire.h"

#define KEYS_MAX 256

struct fake_key {
	uint8_t id[HSM_KEY_ID_BYTES], bytes[32], kcv[HSM_KCV_BYTES];
	enum kms_spec spec;
	enum kms_usage usage;
	EVP_PKEY *pair; /* of an asymmetric key */
};

struct fake_token {
	struct fake_key keys[KEYS_MAX];
	size_t count;
};

struct fake_call {
	struct hsm_request request;
	uint8_t aad[HSM_AAD_MAX], data[HSM_DATA_MAX + HSM_TAG_BYTES], extra[HSM_AAD_MAX];
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
	uint32_t cost, specs, algorithms;
	struct fake_token tokens[2], *token;
	struct fake_call *pending[HSM_PENDING_MAX];
	size_t pending_count;
	size_t calls[HSM_OP_MAX + 1];
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
	l->specs = KMS_BIT(KMS_SPEC_COUNT) - 1;
	l->algorithms = KMS_BIT(KMS_ALG_COUNT) - 1;
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
	if (hsm_request_check(request) != SLK_OK)
		return SLK_INVALID; /* as the real link */
	struct fake_call *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return SLK_NO_MEMORY;
	c->request = *request;
	if (request->aad.len > 0)
		memcpy(c->aad, request->aad.ptr, request->aad.len);
	if (request->data.len > 0)
		memcpy(c->data, request->data.ptr, request->data.len);
	if (request->extra.len > 0)
		memcpy(c->extra, request->extra.ptr, request->extra.len);
	c->request.aad.ptr = c->aad;
	c->request.data.ptr = c->data;
	c->request.extra.ptr = c->extra;
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

/* What a reply says of a key: its check value, and its public half if it has one. */
static int
describe(const struct fake_key *key, struct hsm_reply *reply)
{
	static uint8_t der[KMS_PUBLIC_KEY_MAX];

	memcpy(reply->kcv, key->kcv, sizeof(reply->kcv));
	if (key->pair == NULL)
		return SLK_OK;
	reply->output = slk_span(der, fake_pair_public(key->pair, der));
	return reply->output.len > 0 ? SLK_OK : SLK_HSM;
}

/* Material and check value of a new key; any function of an AES key will do. */
static int
fill(struct fake_key *key)
{
	uint8_t der[KMS_PUBLIC_KEY_MAX], hash[32];
	unsigned hash_len = 0;

	if (kms_spec_is_symmetric(key->spec)) {
		if (RAND_bytes(key->bytes, sizeof(key->bytes)) != 1)
			return SLK_HSM;
		memcpy(key->kcv, key->bytes, sizeof(key->kcv));
		return SLK_OK;
	}
	key->pair = fake_pair_next(key->spec);
	size_t len = key->pair != NULL ? fake_pair_public(key->pair, der) : 0;
	if (len == 0 || EVP_Digest(der, len, hash, &hash_len, EVP_sha256(), NULL) != 1)
		return SLK_HSM;
	memcpy(key->kcv, hash, sizeof(key->kcv));
	return SLK_OK;
}

static int
create(struct hsm_link *l, const struct hsm_request *r, struct hsm_reply *reply)
{
	struct fake_key *key = find(l, r->key_id);

	if ((l->specs & KMS_BIT(r->spec)) == 0)
		return SLK_UNSUPPORTED;
	if (key != NULL && (key->spec != r->spec || key->usage != r->usage))
		return SLK_CORRUPT;
	reply->existed = key != NULL;
	if (key == NULL) {
		struct fake_key made = {.spec = r->spec, .usage = r->usage};
		memcpy(made.id, r->key_id, sizeof(made.id));
		int rc = l->token->count == KEYS_MAX ? SLK_HSM : fill(&made);
		if (rc != SLK_OK)
			return rc;
		key = &l->token->keys[l->token->count++];
		*key = made;
	}
	return describe(key, reply);
}

static int
destroy(struct hsm_link *l, const struct hsm_request *r, struct hsm_reply *reply)
{
	static const uint8_t any[HSM_KCV_BYTES];
	struct fake_key *key = find(l, r->key_id);

	reply->existed = key != NULL;
	if (key == NULL)
		return SLK_OK;
	if (memcmp(r->kcv, any, sizeof(any)) != 0 && memcmp(r->kcv, key->kcv, sizeof(any)) != 0)
		return SLK_CORRUPT;
	*key = l->token->keys[--l->token->count];
	return SLK_OK;
}

static int
by_id(const void *a, const void *b)
{
	return memcmp(a, b, HSM_KEY_ID_BYTES);
}

static int
list(struct hsm_link *l, const struct hsm_request *r, struct hsm_reply *reply)
{
	static uint8_t all[KEYS_MAX][HSM_LIST_ENTRY_BYTES];
	size_t count = 0;

	for (size_t i = 0; i < l->token->count; i++) {
		const struct fake_key *key = &l->token->keys[i];
		if (memcmp(key->id, r->key_id, sizeof(key->id)) <= 0)
			continue;
		memcpy(all[count], key->id, sizeof(key->id));
		all[count++][HSM_KEY_ID_BYTES] = key->pair != NULL;
	}
	qsort(all, count, sizeof(all[0]), by_id);
	if (count > r->length)
		count = r->length;
	reply->output = slk_span(all, count * sizeof(all[0]));
	return SLK_OK;
}

static int
wrap(struct hsm_link *l, struct fake_key *key, struct slk_span aad, struct slk_span plain,
	uint8_t *out, struct hsm_reply *reply)
{
	if (RAND_bytes(reply->iv, sizeof(reply->iv)) != 1 ||
		!gcm(key, true, reply->iv, aad, plain, out, out + plain.len))
		return SLK_HSM;
	reply->ciphertext = slk_span(out, plain.len + HSM_TAG_BYTES);
	reply->encryptions_count = l->cost;
	return SLK_OK;
}

static int
unwrap(struct fake_key *key, const struct hsm_request *r, uint8_t *out, struct slk_span *out_plain)
{
	uint8_t tag[HSM_TAG_BYTES];

	size_t len = r->data.len - sizeof(tag);
	memcpy(tag, r->data.ptr + len, sizeof(tag));
	if (!gcm(key, false, r->iv, r->aad, slk_span(r->data.ptr, len), out, tag))
		return SLK_INVALID_CIPHERTEXT;
	*out_plain = slk_span(out, len);
	return SLK_OK;
}

/* The key as the request has it. */
static int
open_key(struct hsm_link *l, const uint8_t *id, const uint8_t *kcv, enum kms_spec spec,
	enum kms_usage usage, struct fake_key **out_key)
{
	struct fake_key *key = find(l, id);

	if (key == NULL)
		return SLK_NOT_FOUND;
	if (memcmp(key->kcv, kcv, sizeof(key->kcv)) != 0 || key->spec != spec ||
		key->usage != usage)
		return SLK_CORRUPT;
	*out_key = key;
	return SLK_OK;
}

static int
perform_aes(struct hsm_link *l, struct fake_key *key, const struct hsm_request *r,
	struct hsm_reply *reply)
{
	static uint8_t plain[HSM_DATA_MAX], sealed[HSM_DATA_MAX + HSM_TAG_BYTES];
	struct fake_key *to = NULL;
	struct slk_span inside;
	int rc;

	switch (r->op) {
	case HSM_WRAP:
		return wrap(l, key, r->aad, r->data, sealed, reply);
	case HSM_UNWRAP:
		return unwrap(key, r, plain, &reply->plaintext);
	case HSM_GENERATE_DATA_KEY:
		if (RAND_bytes(plain, (int)r->length) != 1)
			return SLK_HSM;
		reply->plaintext = slk_span(plain, r->length);
		return wrap(l, key, r->aad, reply->plaintext, sealed, reply);
	default: /* HSM_REWRAP */
		rc = open_key(l, r->to_key_id, r->to_kcv, KMS_SPEC_SYMMETRIC_DEFAULT,
			KMS_USAGE_ENCRYPT_DECRYPT, &to);
		if (rc == SLK_OK)
			rc = unwrap(key, r, plain, &inside);
		return rc == SLK_OK ? wrap(l, to, r->extra, inside, sealed, reply) : rc;
	}
}

static int
perform_pair(struct hsm_link *l, struct fake_key *key, const struct hsm_request *r,
	struct hsm_reply *reply)
{
	static uint8_t out[HSM_OUTPUT_MAX];
	struct slk_span *span = &reply->output;
	size_t len = 0;
	int rc = SLK_OK;

	if ((l->algorithms & KMS_BIT(r->algorithm)) == 0)
		return SLK_UNSUPPORTED;
	switch (r->op) {
	case HSM_SIGN:
		rc = fake_pair_sign(key->pair, r->algorithm, r->data, out, &len);
		break;
	case HSM_VERIFY:
		return fake_pair_verify(key->pair, r->algorithm, r->data, r->extra);
	case HSM_ENCRYPT:
		span = &reply->ciphertext;
		rc = fake_pair_encrypt(key->pair, r->algorithm, r->data, out, &len);
		break;
	default: /* HSM_DECRYPT */
		span = &reply->plaintext;
		rc = fake_pair_decrypt(key->pair, r->algorithm, r->data, out, &len);
		break;
	}
	if (rc == SLK_OK)
		*span = slk_span(out, len);
	return rc;
}

static void
health(const struct hsm_link *l, struct hsm_health *out)
{
	out->state = l->state;
	out->worker_pid = 4711;
	out->specs = l->state == HSM_READY ? l->specs : 0;
	out->algorithms = l->state == HSM_READY ? l->algorithms : 0;
	strcpy(out->token_label, "fake");
}

static int
draw(const struct hsm_request *r, struct hsm_reply *reply)
{
	static uint8_t random[HSM_RANDOM_MAX];

	if (RAND_bytes(random, (int)r->length) != 1)
		return SLK_HSM;
	reply->plaintext = slk_span(random, r->length);
	return SLK_OK;
}

/* Objects as a good token has them: an AES key, or both halves of a pair. */
static int
inspect(struct fake_key *key, struct hsm_reply *reply)
{
	static uint8_t out[2 * HSM_OBJECT_BYTES];
	const bool pair = key->pair != NULL;
	const uint16_t good = KMS_BIT(HSM_ATTRIBUTE_TOKEN) | KMS_BIT(HSM_ATTRIBUTE_SENSITIVE) |
		KMS_BIT(HSM_ATTRIBUTE_ALWAYS_SENSITIVE) | KMS_BIT(HSM_ATTRIBUTE_NEVER_EXTRACTABLE) |
		KMS_BIT(HSM_ATTRIBUTE_LOCAL);

	int rc = describe(key, reply);
	struct slk_writer w = slk_writer(out, sizeof(out));
	for (unsigned i = 0; i < (pair ? 2u : 1u); i++) {
		slk_write_u8(&w,
			pair ? (i == 0 ? HSM_OBJECT_PRIVATE : HSM_OBJECT_PUBLIC)
			     : HSM_OBJECT_SECRET);
		slk_write_u8(&w, 0);
		slk_write_le16(&w, good | KMS_BIT(HSM_ATTRIBUTE_EXTRACTABLE));
		slk_write_le16(&w, i == 0 ? good : KMS_BIT(HSM_ATTRIBUTE_TOKEN));
		slk_write_zeros(&w, 2);
		slk_write_le32(&w, 0x1080);
		slk_write_le32(&w, 0x1f);
		slk_write_zeros(&w, 8);
	}
	reply->output = slk_span(out, w.len);
	return rc;
}

static int
perform(struct hsm_link *l, const struct hsm_request *r, struct hsm_reply *reply)
{
	struct fake_key *key = NULL;

	switch (r->op) {
	case HSM_STATUS:
		health(l, &reply->health);
		return SLK_OK;
	case HSM_CREATE_KEY:
		return create(l, r, reply);
	case HSM_DESTROY_KEY:
		return destroy(l, r, reply);
	case HSM_LIST_KEYS:
		return list(l, r, reply);
	case HSM_RANDOM:
		return draw(r, reply);
	case HSM_INSPECT_TOKEN:
		reply->output = slk_span_str(r->length == 1
				? "library_version=1.0\ntoken_label=fake\nself_test_token=passed\n"
				: "library_version=1.0\ntoken_label=fake\n");
		return SLK_OK;
	default:
		break;
	}
	int rc = open_key(l, r->key_id, r->kcv, r->spec, r->usage, &key);
	if (rc != SLK_OK)
		return rc;
	if (r->op == HSM_OPEN_KEY)
		return describe(key, reply);
	if (r->op == HSM_INSPECT_KEY)
		return inspect(key, reply);
	return key->pair != NULL ? perform_pair(l, key, r, reply) : perform_aes(l, key, r, reply);
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

void
hsm_link_gather(struct hsm_link *link, bool together)
{
	(void)link;
	(void)together;
}

void
hsm_link_send(struct hsm_link *link)
{
	(void)link;
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
		/* Pointers are what is moved. */
		memmove(&link->pending[i], &link->pending[i + 1],
			/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
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
hsm_link_is_busy(const struct hsm_link *link)
{
	(void)link;
	return false;
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

void
fake_hsm_set_able(struct hsm_link *link, uint32_t specs, uint32_t algorithms)
{
	link->specs = specs;
	link->algorithms = algorithms;
}

void
fake_hsm_plant(struct hsm_link *link, const uint8_t id[HSM_KEY_ID_BYTES], enum kms_spec spec,
	enum kms_usage usage)
{
	struct fake_key *key = &link->token->keys[link->token->count];

	if (link->token->count == KEYS_MAX)
		abort();
	*key = (struct fake_key){.spec = spec, .usage = usage};
	memcpy(key->id, id, sizeof(key->id));
	if (fill(key) != SLK_OK)
		abort();
	link->token->count++;
}

bool
fake_hsm_holds(const struct hsm_link *link, const uint8_t id[HSM_KEY_ID_BYTES])
{
	return find((struct hsm_link *)(uintptr_t)link, id) != NULL;
}
