#include "named.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "datakey.h"
#include "gcm_code.h"
#include "skey.h"

#define TAG_BYTES 16u
#define BLOCK_BYTES 32u /* what EVP leaves room for beyond the input: the salt, or the tag */
#define MESSAGE_MAX ((UINT64_C(1) << 36) - 32) /* SP 800-38D, 5.2.1.1 */

enum named_state {
	NAMED_NONE, /* no handle, or the message has ended */
	NAMED_READY, /* a handle; nothing has come yet */
	NAMED_RUNNING, /* there is a subkey */
};

/* In locked memory. */
struct named_secrets {
	struct gcm_key_data schedule __attribute__((aligned(64)));
	struct gcm_context_data work;
	uint8_t subkey[PROV_SUBKEY_BYTES];
};

struct named {
	struct prov *prov;
	struct slk_secret *memory;
	struct named_secrets *secrets; /* in memory */
	const struct seal_ipsecmb_calls *calls;
	enum named_state state;
	bool sealing;
	uint8_t handle[FMT_DATAKEY_HANDLE_BYTES];
	/* Opening: the salt while it comes, then what may be the tag. */
	uint8_t held[TAG_BYTES];
	size_t held_len;
	uint64_t done;
};

static void
named_free(void *vctx)
{
	struct named *n = vctx;

	if (n == NULL)
		return;
	slk_secret_free(n->memory);
	OPENSSL_cleanse(n->held, sizeof(n->held));
	free(n);
}

static struct named *
named_alloc(struct prov *prov)
{
	const size_t bytes = (sizeof(struct named_secrets) + 63) / 64 * 64;
	struct named *n = calloc(1, sizeof(*n));

	if (n == NULL || slk_secret_new(bytes, &n->memory) != SLK_OK) {
		free(n);
		prov_raise(prov, PROV_E_MEMORY, "no locked memory (see ulimit -l)");
		return NULL;
	}
	n->prov = prov;
	n->secrets = (struct named_secrets *)slk_secret_bytes(n->memory);
	n->calls = &prov_gcm_code()[2];
	return n;
}

static void *
named_new(void *provctx)
{
	return named_alloc(provctx);
}

static void *
named_dup(void *vctx)
{
	const struct named *from = vctx;
	struct named *n = named_alloc(from->prov);

	if (n == NULL)
		return NULL;
	struct named_secrets *secrets = n->secrets;
	struct slk_secret *memory = n->memory;
	*n = *from;
	n->memory = memory;
	n->secrets = secrets;
	memcpy(n->secrets, from->secrets, sizeof(*n->secrets));
	/* Two that went on sealing would use one subkey and IV for two messages. */
	if (n->sealing && n->state == NAMED_RUNNING)
		n->state = NAMED_NONE;
	return n;
}

/* --- the message --- */

static bool
begin(struct named *n, const uint8_t salt[PROV_SALT_BYTES])
{
	static const uint8_t iv[12];
	struct named_secrets *s = n->secrets;

	if (!prov_datakey_subkey(n->prov, n->handle, salt, s->subkey))
		return false;
	n->calls->expand(s->subkey, &s->schedule);
	OPENSSL_cleanse(s->subkey, sizeof(s->subkey));
	n->calls->init(&s->schedule, &s->work, iv, n->handle, sizeof(n->handle));
	n->state = NAMED_RUNNING;
	n->done = 0;
	n->held_len = 0;
	return true;
}

static bool
run(struct named *n, uint8_t *out, const uint8_t *in, size_t len)
{
	if (len > MESSAGE_MAX - n->done) {
		prov_raise(n->prov, PROV_E_TOO_LONG, NULL);
		return false;
	}
	if (len > 0)
		n->calls->update[!n->sealing](
			&n->secrets->schedule, &n->secrets->work, out, in, len);
	n->done += len;
	return true;
}

/* in and out may be the same buffer: the salt goes in front, so the data are sealed in a copy first where they would be
 * overwritten. */
static int
seal_update(struct named *n, uint8_t *out, size_t *out_len, const uint8_t *in, size_t len)
{
	uint8_t salt[PROV_SALT_BYTES];
	size_t front = 0;

	if (n->state == NAMED_READY) {
		if (!prov_random(n->prov, salt, sizeof(salt)) || !begin(n, salt))
			return 0;
		front = sizeof(salt);
	}
	if (front > 0)
		memmove(out + front, in, len);
	if (!run(n, out + front, front > 0 ? out + front : in, len))
		return 0;
	if (front > 0)
		memcpy(out, salt, front);
	*out_len = front + len;
	return 1;
}

/* All but the last 16 bytes that have come so far. */
static bool
open_some(struct named *n, uint8_t *out, size_t *out_len, const uint8_t *in, size_t len)
{
	size_t total = n->held_len + len;
	size_t give = total > TAG_BYTES ? total - TAG_BYTES : 0;
	size_t from_held = give < n->held_len ? give : n->held_len;
	size_t from_in = give - from_held;
	uint8_t held[TAG_BYTES], next[TAG_BYTES];
	size_t keep = n->held_len - from_held;

	/* What stays is put aside before out, which may be in, is written. */
	memcpy(held, n->held, n->held_len);
	memcpy(next, n->held + from_held, keep);
	memcpy(next + keep, in + from_in, len - from_in);
	if (from_held > 0 && from_in > 0)
		memmove(out + from_held, in, from_in);
	if (!run(n, out, held, from_held) ||
		!run(n, out + from_held, from_held > 0 ? out + from_held : in, from_in))
		return false;
	memcpy(n->held, next, keep + len - from_in);
	n->held_len = keep + len - from_in;
	*out_len = give;
	return true;
}

static int
open_update(struct named *n, uint8_t *out, size_t *out_len, const uint8_t *in, size_t len)
{
	*out_len = 0;
	if (n->state == NAMED_READY) {
		size_t take =
			PROV_SALT_BYTES - n->held_len < len ? PROV_SALT_BYTES - n->held_len : len;
		memcpy(n->held + n->held_len, in, take);
		n->held_len += take;
		in += take;
		len -= take;
		if (n->held_len < PROV_SALT_BYTES)
			return 1;
		uint8_t salt[PROV_SALT_BYTES];
		memcpy(salt, n->held, sizeof(salt));
		if (!begin(n, salt))
			return 0;
	}
	return len == 0 || open_some(n, out, out_len, in, len);
}

static int
update(void *vctx, unsigned char *out, size_t *out_len, size_t cap, const unsigned char *in,
	size_t len)
{
	struct named *n = vctx;

	*out_len = 0;
	if (n->state == NAMED_NONE) {
		prov_raise(n->prov, PROV_E_NO_KEY, "set the handle of a data key for each message");
		return 0;
	}
	if (len == 0)
		return 1;
	if (out == NULL ||
		cap < len + (n->sealing && n->state == NAMED_READY ? PROV_SALT_BYTES : 0)) {
		prov_raise(n->prov, PROV_E_BUFFER_TOO_SMALL, NULL);
		return 0;
	}
	return n->sealing ? seal_update(n, out, out_len, in, len)
			  : open_update(n, out, out_len, in, len);
}

static int
seal_final(struct named *n, uint8_t *out, size_t *out_len, size_t cap)
{
	size_t front = 0;

	if (cap < BLOCK_BYTES) {
		prov_raise(n->prov, PROV_E_BUFFER_TOO_SMALL, NULL);
		return 0;
	}
	/* Of an empty message salt and tag. */
	if (n->state == NAMED_READY && !seal_update(n, out, &front, out, 0))
		return 0;
	n->calls->finalize[0](&n->secrets->schedule, &n->secrets->work, out + front, TAG_BYTES);
	*out_len = front + TAG_BYTES;
	return 1;
}

static int
open_final(struct named *n)
{
	uint8_t tag[TAG_BYTES];

	bool whole = n->state == NAMED_RUNNING && n->held_len == TAG_BYTES;
	if (whole)
		n->calls->finalize[1](&n->secrets->schedule, &n->secrets->work, tag, TAG_BYTES);
	bool good = whole && CRYPTO_memcmp(tag, n->held, TAG_BYTES) == 0;
	OPENSSL_cleanse(tag, sizeof(tag));
	if (!good)
		prov_raise(n->prov, PROV_E_BAD_TAG,
			whole ? NULL : "it is shorter than any sealed message");
	return good;
}

static int
final(void *vctx, unsigned char *out, size_t *out_len, size_t cap)
{
	struct named *n = vctx;

	*out_len = 0;
	if (n->state == NAMED_NONE) {
		prov_raise(n->prov, PROV_E_NO_KEY, "set the handle of a data key for each message");
		return 0;
	}
	int good = n->sealing ? seal_final(n, out, out_len, cap) : open_final(n);
	n->state = NAMED_NONE;
	return good;
}

/* EVP_Cipher(): in NULL is Final. */
static int
cipher(void *vctx, unsigned char *out, size_t *out_len, size_t cap, const unsigned char *in,
	size_t len)
{
	return in == NULL ? final(vctx, out, out_len, cap)
			  : update(vctx, out, out_len, cap, in, len);
}

/* The same handle again begins the next message. */
static int
init(struct named *n, bool sealing, const unsigned char *key, size_t key_len)
{
	n->sealing = sealing;
	if (key == NULL)
		return 1;
	if (key_len != sizeof(n->handle)) {
		prov_raise(n->prov, PROV_E_KEY_LENGTH, "a handle has 32 bytes");
		return 0;
	}
	memcpy(n->handle, key, sizeof(n->handle));
	n->state = NAMED_READY;
	n->held_len = 0;
	return 1;
}

static int
seal_init(void *vctx, const unsigned char *key, size_t key_len, const unsigned char *iv,
	size_t iv_len, const OSSL_PARAM params[])
{
	(void)iv;
	(void)iv_len;
	(void)params;
	return init(vctx, true, key, key_len);
}

static int
open_init(void *vctx, const unsigned char *key, size_t key_len, const unsigned char *iv,
	size_t iv_len, const OSSL_PARAM params[])
{
	(void)iv;
	(void)iv_len;
	(void)params;
	return init(vctx, false, key, key_len);
}

#ifdef OSSL_OP_SKEYMGMT
static int
seal_skey_init(void *vctx, void *keydata, const unsigned char *iv, size_t iv_len,
	const OSSL_PARAM params[])
{
	const struct prov_skey *key = keydata;

	return seal_init(
		vctx, key != NULL ? key->handle : NULL, sizeof(key->handle), iv, iv_len, params);
}

static int
open_skey_init(void *vctx, void *keydata, const unsigned char *iv, size_t iv_len,
	const OSSL_PARAM params[])
{
	const struct prov_skey *key = keydata;

	return open_init(
		vctx, key != NULL ? key->handle : NULL, sizeof(key->handle), iv, iv_len, params);
}
#endif

/* --- parameters: fixed sizes --- */

static int
sizes(OSSL_PARAM params[])
{
	const struct {
		const char *key;
		size_t value;
	} all[] = {
		{OSSL_CIPHER_PARAM_MODE, EVP_CIPH_STREAM_CIPHER},
		{OSSL_CIPHER_PARAM_KEYLEN, FMT_DATAKEY_HANDLE_BYTES},
		{OSSL_CIPHER_PARAM_IVLEN, 0},
		{OSSL_CIPHER_PARAM_BLOCK_SIZE, BLOCK_BYTES},
	};

	for (OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			if (strcmp(p->key, all[i].key) == 0 &&
				!OSSL_PARAM_set_size_t(p, all[i].value))
				return 0;
	return 1;
}

static int
get_ctx_params(void *vctx, OSSL_PARAM params[])
{
	(void)vctx;
	return sizes(params);
}

static const OSSL_PARAM *
gettable(void *provctx)
{
	static const OSSL_PARAM list[] = {
		OSSL_PARAM_uint(OSSL_CIPHER_PARAM_MODE, NULL),
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_BLOCK_SIZE, NULL),
		OSSL_PARAM_END,
	};

	(void)provctx;
	return list;
}

static const OSSL_PARAM *
gettable_ctx(void *vctx, void *provctx)
{
	(void)vctx;
	return gettable(provctx);
}

#define FN(function) ((void (*)(void))(function))

const OSSL_DISPATCH prov_named_gcm[] = {
	{OSSL_FUNC_CIPHER_NEWCTX, FN(named_new)},
	{OSSL_FUNC_CIPHER_FREECTX, FN(named_free)},
	{OSSL_FUNC_CIPHER_DUPCTX, FN(named_dup)},
	{OSSL_FUNC_CIPHER_ENCRYPT_INIT, FN(seal_init)},
	{OSSL_FUNC_CIPHER_DECRYPT_INIT, FN(open_init)},
#ifdef OSSL_OP_SKEYMGMT
	{OSSL_FUNC_CIPHER_ENCRYPT_SKEY_INIT, FN(seal_skey_init)},
	{OSSL_FUNC_CIPHER_DECRYPT_SKEY_INIT, FN(open_skey_init)},
#endif
	{OSSL_FUNC_CIPHER_UPDATE, FN(update)},
	{OSSL_FUNC_CIPHER_FINAL, FN(final)},
	{OSSL_FUNC_CIPHER_CIPHER, FN(cipher)},
	{OSSL_FUNC_CIPHER_GET_PARAMS, FN(sizes)},
	{OSSL_FUNC_CIPHER_GET_CTX_PARAMS, FN(get_ctx_params)},
	{OSSL_FUNC_CIPHER_GETTABLE_PARAMS, FN(gettable)},
	{OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS, FN(gettable_ctx)},
	{0, NULL},
};
