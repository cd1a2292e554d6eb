/* OpenSSL's EVP: the ciphers are fetched once per thread, a context is keyed once and gets a new IV
 * per item.
 *
 * A context is changed by use, so threads that share a key cannot share it. A key brings a few
 * contexts of its own; a burst claims a free one with one atomic exchange. If all are taken it keys
 * the thread's spare context for this burst (a third of a microsecond) and overwrites that schedule
 * afterwards. OpenSSL keeps the schedules on its own heap: they are wiped when the context is
 * freed, but only a process that locks its memory keeps them out of swap.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/secret.h"
#include "seal/engine.h"

#define KEY_CONTEXTS 2
#define CACHE_LINE 64

struct openssl_state {
	EVP_CIPHER *cipher[3]; /* by seal_key_len_index() */
	EVP_CIPHER_CTX *spare[3];
};

struct openssl_slot {
	_Alignas(CACHE_LINE) atomic_flag taken;
	EVP_CIPHER_CTX *ctx;
};

struct openssl_key {
	struct seal_key head;
	unsigned index;
	struct slk_secret *raw; /* for the spare contexts */
	struct openssl_slot *slots;
};

static void
state_free(void *state)
{
	struct openssl_state *s = state;

	if (s == NULL)
		return;
	for (unsigned i = 0; i < 3; i++) {
		EVP_CIPHER_CTX_free(s->spare[i]);
		EVP_CIPHER_free(s->cipher[i]);
	}
	free(s);
}

/* The default provider where there is a choice, so that a machine whose OpenSSL is configured for
 * another one does not send blocks through it unasked. */
static int
state_new(const struct seal_engine *engine, void **out_state, struct slk_error *err)
{
	static const char *const names[3] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"};
	static const uint8_t zero_key[32];
	struct openssl_state *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "engine %s: out of memory", engine->name);
	ERR_set_mark();
	for (unsigned i = 0; i < 3; i++) {
		s->cipher[i] = EVP_CIPHER_fetch(NULL, names[i], "?provider=default");
		s->spare[i] = EVP_CIPHER_CTX_new();
		if (s->cipher[i] == NULL || s->spare[i] == NULL ||
			EVP_EncryptInit_ex2(s->spare[i], s->cipher[i], zero_key, NULL, NULL) != 1) {
			ERR_pop_to_mark();
			state_free(s);
			return slk_fail(err, SLK_UNSUPPORTED,
				"engine %s: OpenSSL offers no %s; see the providers in openssl.cnf",
				engine->name, names[i]);
		}
	}
	ERR_pop_to_mark();
	*out_state = s;
	return SLK_OK;
}

static void
key_free(struct seal_key *key)
{
	struct openssl_key *k = (struct openssl_key *)key;

	if (k == NULL)
		return;
	for (unsigned i = 0; k->slots != NULL && i < KEY_CONTEXTS; i++)
		EVP_CIPHER_CTX_free(k->slots[i].ctx);
	free(k->slots);
	slk_secret_free(k->raw);
	free(k);
}

static int
slots_new(const struct openssl_state *s, struct openssl_key *k, const uint8_t *key)
{
	k->slots = aligned_alloc(CACHE_LINE, KEY_CONTEXTS * sizeof(k->slots[0]));
	if (k->slots == NULL)
		return SLK_NO_MEMORY;
	for (unsigned i = 0; i < KEY_CONTEXTS; i++) {
		atomic_flag_clear(&k->slots[i].taken);
		k->slots[i].ctx = EVP_CIPHER_CTX_new();
	}
	for (unsigned i = 0; i < KEY_CONTEXTS; i++) {
		if (k->slots[i].ctx == NULL)
			return SLK_NO_MEMORY;
		if (EVP_EncryptInit_ex2(k->slots[i].ctx, s->cipher[k->index], key, NULL, NULL) != 1)
			return SLK_INTERNAL;
	}
	return SLK_OK;
}

static int
key_new(void *state, const uint8_t *key, size_t key_len, struct seal_key **out_key)
{
	struct openssl_key *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return SLK_NO_MEMORY;
	k->index = seal_key_len_index(key_len);
	ERR_set_mark();
	int rc = slk_secret_from(key, key_len, &k->raw);
	if (rc == SLK_OK)
		rc = slots_new(state, k, key);
	ERR_pop_to_mark();
	if (rc != SLK_OK) {
		key_free(&k->head);
		return rc;
	}
	*out_key = &k->head;
	return SLK_OK;
}

/* A context of the key's own and its slot, or the spare one and NULL. NULL if OpenSSL refuses the
 * spare. */
static EVP_CIPHER_CTX *
claim(struct openssl_state *s, const struct openssl_key *k, struct openssl_slot **out_slot)
{
	for (unsigned i = 0; i < KEY_CONTEXTS; i++) {
		if (!atomic_flag_test_and_set_explicit(&k->slots[i].taken, memory_order_acquire)) {
			*out_slot = &k->slots[i];
			return k->slots[i].ctx;
		}
	}
	*out_slot = NULL;
	EVP_CIPHER_CTX *ctx = s->spare[k->index];
	return EVP_EncryptInit_ex2(ctx, NULL, slk_secret_peek(k->raw), NULL, NULL) == 1 ? ctx
											: NULL;
}

static void
release(EVP_CIPHER_CTX *ctx, struct openssl_slot *slot)
{
	static const uint8_t zero_key[32];

	if (slot != NULL)
		atomic_flag_clear_explicit(&slot->taken, memory_order_release);
	else if (EVP_EncryptInit_ex2(ctx, NULL, zero_key, NULL, NULL) != 1)
		EVP_CIPHER_CTX_reset(
			ctx); /* later bursts that need it say SLK_INTERNAL; the key is gone */
}

/* All input through EVP_CipherUpdate; false if OpenSSL refuses any of it. */
static bool
update_all(EVP_CIPHER_CTX *ctx, const struct seal_item *item)
{
	uint8_t *out = item->out;
	int n = 0;

	if (EVP_CipherUpdate(ctx, NULL, &n, item->aad, (int)item->aad_len) != 1)
		return false;
	for (uint32_t i = 0; i < item->in_count; i++) {
		const struct iovec *in = &item->in[i];
		if (in->iov_len == 0)
			continue;
		if (EVP_CipherUpdate(ctx, out, &n, in->iov_base, (int)in->iov_len) != 1 ||
			(size_t)n != in->iov_len)
			return false;
		out += in->iov_len;
	}
	return true;
}

static int
seal_one(EVP_CIPHER_CTX *ctx, struct seal_item *item)
{
	uint8_t none[SEAL_TAG_BYTES];
	int n = 0;

	if (EVP_EncryptInit_ex2(ctx, NULL, NULL, item->nonce, NULL) != 1 ||
		!update_all(ctx, item) || EVP_EncryptFinal_ex(ctx, none, &n) != 1 || n != 0 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, item->tag) != 1)
		return SLK_INTERNAL;
	return SLK_OK;
}

static int
open_one(EVP_CIPHER_CTX *ctx, struct seal_item *item)
{
	uint8_t none[SEAL_TAG_BYTES];
	int n = 0;

	if (EVP_DecryptInit_ex2(ctx, NULL, NULL, item->nonce, NULL) != 1 ||
		!update_all(ctx, item) ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, item->tag) != 1)
		return SLK_INTERNAL;
	/* CRYPTO_memcmp() inside. */
	return EVP_DecryptFinal_ex(ctx, none, &n) == 1 && n == 0 ? SLK_OK : SLK_BAD_TAG;
}

static int
run(EVP_CIPHER_CTX *ctx, enum seal_dir dir, struct seal_item *item)
{
	size_t len = 0;

	if (!seal_item_check(item, &len))
		return SLK_INVALID;
	if (ctx == NULL)
		return SLK_INTERNAL;
	int rc = dir == SEAL_DIR_SEAL ? seal_one(ctx, item) : open_one(ctx, item);
	if (rc != SLK_OK && len > 0)
		memset(item->out, 0, len);
	return rc;
}

static uint32_t
burst(void *state, const struct seal_key *key, enum seal_dir dir, struct seal_item *items,
	uint32_t count)
{
	const struct openssl_key *k = (const struct openssl_key *)key;
	struct openssl_slot *slot = NULL;
	uint32_t good = 0;

	ERR_set_mark(); /* what OpenSSL says about a bad tag is not for the caller's next look at
			   its queue */
	EVP_CIPHER_CTX *ctx = claim(state, k, &slot);
	for (uint32_t i = 0; i < count; i++) {
		items[i].status = run(ctx, dir, &items[i]);
		good += items[i].status == SLK_OK;
	}
	if (ctx != NULL)
		release(ctx, slot);
	ERR_pop_to_mark();
	return good;
}

static uint32_t
seal(void *state, const struct seal_key *key, struct seal_item *items, uint32_t count)
{
	return burst(state, key, SEAL_DIR_SEAL, items, count);
}

static uint32_t
open_all(void *state, const struct seal_key *key, struct seal_item *items, uint32_t count)
{
	return burst(state, key, SEAL_DIR_OPEN, items, count);
}

/* --- one message in pieces --- */

struct openssl_stream {
	EVP_CIPHER_CTX *ctx;
	enum seal_dir dir;
};

static void
stream_free(void *stream)
{
	struct openssl_stream *s = stream;

	EVP_CIPHER_CTX_free(s->ctx);
	free(s);
}

static int
stream_begin(struct openssl_stream *s, const EVP_CIPHER *cipher, const struct openssl_key *k,
	const uint8_t *nonce, const uint8_t *aad, uint32_t aad_len)
{
	int n = 0;

	s->ctx = EVP_CIPHER_CTX_new();
	if (s->ctx == NULL)
		return SLK_NO_MEMORY;
	if (EVP_CipherInit_ex2(s->ctx, cipher, slk_secret_peek(k->raw), nonce,
		    s->dir == SEAL_DIR_SEAL, NULL) != 1 ||
		EVP_CipherUpdate(s->ctx, NULL, &n, aad, (int)aad_len) != 1)
		return SLK_INTERNAL;
	return SLK_OK;
}

static int
stream_new(void *state, const struct seal_key *key, enum seal_dir dir,
	const uint8_t nonce[SEAL_NONCE_BYTES], const uint8_t *aad, uint32_t aad_len,
	void **out_stream)
{
	const struct openssl_state *of_thread = state;
	const struct openssl_key *k = (const struct openssl_key *)key;
	struct openssl_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return SLK_NO_MEMORY;
	s->dir = dir;
	ERR_set_mark();
	int rc = stream_begin(s, of_thread->cipher[k->index], k, nonce, aad, aad_len);
	ERR_pop_to_mark();
	if (rc != SLK_OK) {
		stream_free(s);
		return rc;
	}
	*out_stream = s;
	return SLK_OK;
}

static int
stream_update(void *stream, const uint8_t *in, uint8_t *out, size_t len)
{
	struct openssl_stream *s = stream;
	int rc = SLK_OK;

	ERR_set_mark();
	while (len > 0 && rc == SLK_OK) {
		int piece = len < (1 << 30) ? (int)len : 1 << 30; /* EVP counts in int */
		int n = 0;
		if (EVP_CipherUpdate(s->ctx, out, &n, in, piece) != 1 || n != piece)
			rc = SLK_INTERNAL;
		in += piece;
		out += piece;
		len -= (size_t)piece;
	}
	ERR_pop_to_mark();
	return rc;
}

static int
stream_finish(struct openssl_stream *s, uint8_t tag[SEAL_TAG_BYTES])
{
	uint8_t none[SEAL_TAG_BYTES];
	int n = 0;

	if (s->dir == SEAL_DIR_SEAL)
		return EVP_EncryptFinal_ex(s->ctx, none, &n) == 1 &&
				EVP_CIPHER_CTX_ctrl(
					s->ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, tag) == 1
			? SLK_OK
			: SLK_INTERNAL;
	if (EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag) != 1)
		return SLK_INTERNAL;
	return EVP_DecryptFinal_ex(s->ctx, none, &n) == 1 ? SLK_OK : SLK_BAD_TAG;
}

static int
stream_end(void *stream, uint8_t tag[SEAL_TAG_BYTES])
{
	ERR_set_mark();
	int rc = stream_finish(stream, tag);
	ERR_pop_to_mark();
	return rc;
}

const struct seal_engine seal_engine_openssl = {
	.name = "openssl",
	.state_new = state_new,
	.state_free = state_free,
	.key_new = key_new,
	.key_free = key_free,
	.seal = seal,
	.open = open_all,
	.stream_new = stream_new,
	.stream_free = stream_free,
	.stream_update = stream_update,
	.stream_end = stream_end,
};
