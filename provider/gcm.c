#include "gcm.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "gcm_code.h"
#include "prov.h"

#define IV_BYTES 12u /* unless set */
#define IV_MAX 128u
#define TAG_MAX 16u
#define TLS_AAD_BYTES 13u
#define TLS_FIXED_IV_BYTES 4u
#define TLS_EXPLICIT_IV_BYTES 8u
#define AAD_INLINE 64u
#define AAD_MAX ((size_t)INT32_MAX)
#define MESSAGE_MAX ((UINT64_C(1) << 36) - 32) /* SP 800-38D, 5.2.1.1 */
#define ALIGNMENT 64u /* what ipsec-mb's key schedule wants */

enum iv_state { IV_NONE, IV_WAITING, IV_RUNNING, IV_FINISHED };

struct gcm {
	struct gcm_key_data schedule __attribute__((aligned(ALIGNMENT)));
	struct gcm_context_data
		work; /* of the running message: counter, hash, left-over key stream */
	const struct seal_ipsecmb_calls *calls;
	void *memory; /* what the allocator gave for this */
	const struct prov *prov;
	size_t key_len;
	bool key_set;
	bool sealing;
	enum iv_state iv_state;
	bool iv_counts; /* TLS 1.2: the IV is a fixed part and a counter of ours (or of the peer) */
	size_t iv_len;
	uint8_t iv[IV_MAX]; /* as the program sees it: of TLS 1.2, the next one */
	uint8_t message_iv[IV_MAX]; /* of the message that waits or runs */
	uint8_t tag[TAG_MAX]; /* made, or to be checked */
	size_t tag_len; /* 0: none */
	uint8_t *aad; /* aad_inline, or allocated */
	size_t aad_len, aad_cap;
	uint8_t aad_inline[AAD_INLINE];
	uint64_t done; /* bytes of the running message */
	bool begun; /* ipsec-mb has the IV and the AAD */
	bool tls; /* the next cipher call is one TLS 1.2 record with tls_aad */
	uint8_t tls_aad[TLS_AAD_BYTES];
	uint64_t tls_records; /* sealed under this key */
};

static struct gcm *
gcm_alloc(void)
{
	unsigned char *memory = OPENSSL_zalloc(sizeof(struct gcm) + ALIGNMENT);

	if (memory == NULL)
		return NULL;
	struct gcm *g =
		(struct gcm *)(((uintptr_t)memory + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
	g->memory = memory;
	return g;
}

static void *
gcm_new(void *provctx, size_t key_len)
{
	struct gcm *g = gcm_alloc();

	if (g == NULL) {
		prov_raise(provctx, PROV_E_MEMORY, NULL);
		return NULL;
	}
	g->prov = provctx;
	g->key_len = key_len;
	g->calls = &prov_gcm_code()[key_len / 8 - 2];
	g->iv_len = IV_BYTES;
	g->aad = g->aad_inline;
	g->aad_cap = AAD_INLINE;
	return g;
}

static void
gcm_free(void *vctx)
{
	struct gcm *g = vctx;

	if (g == NULL)
		return;
	if (g->aad != g->aad_inline)
		OPENSSL_clear_free(g->aad, g->aad_cap);
	OPENSSL_clear_free(g->memory, sizeof(struct gcm) + ALIGNMENT);
}

static void *
gcm_dup(void *vctx)
{
	const struct gcm *from = vctx;
	struct gcm *g = gcm_alloc();

	if (g == NULL)
		goto fail;
	void *memory = g->memory;
	*g = *from;
	g->memory = memory;
	if (from->aad == from->aad_inline) {
		g->aad = g->aad_inline;
		return g;
	}
	g->aad = OPENSSL_memdup(from->aad, from->aad_cap);
	if (g->aad != NULL)
		return g;
	g->aad = g->aad_inline;
	gcm_free(g);
fail:
	prov_raise(from->prov, PROV_E_MEMORY, NULL);
	return NULL;
}

/* --- the message --- */

static void
set_iv(struct gcm *g, const uint8_t *iv, size_t len)
{
	if (iv != g->iv)
		memcpy(g->iv, iv, len);
	memcpy(g->message_iv, iv, len);
	g->iv_len = len;
	g->iv_state = IV_WAITING;
	g->aad_len = 0;
	g->done = 0;
	g->begun = false;
}

/* A message may go on, or begin. */
static bool
may_run(struct gcm *g)
{
	if (!g->key_set) {
		prov_raise(g->prov, PROV_E_NO_KEY, NULL);
		return false;
	}
	if (g->iv_state == IV_NONE && g->sealing) {
		if (!prov_random(g->prov, g->iv, g->iv_len))
			return false;
		set_iv(g, g->iv, g->iv_len);
	}
	if (g->iv_state == IV_NONE || g->iv_state == IV_FINISHED) {
		prov_raise(g->prov, PROV_E_NO_IV, NULL);
		return false;
	}
	return true;
}

static void
gcm_begin(struct gcm *g)
{
	if (g->begun)
		return;
	if (g->iv_len == IV_BYTES)
		g->calls->init(&g->schedule, &g->work, g->message_iv, g->aad, g->aad_len);
	else
		g->calls->init_var_iv(
			&g->schedule, &g->work, g->message_iv, g->iv_len, g->aad, g->aad_len);
	g->begun = true;
	g->iv_state = IV_RUNNING;
}

static bool
add_aad(struct gcm *g, const uint8_t *aad, size_t len)
{
	if (g->begun) {
		prov_raise(g->prov, PROV_E_AAD_AFTER_DATA, NULL);
		return false;
	}
	if (len > AAD_MAX - g->aad_len) {
		prov_raise(g->prov, PROV_E_TOO_LONG, "additional data of more than 2^31 - 1 bytes");
		return false;
	}
	if (len > g->aad_cap - g->aad_len) {
		size_t cap = g->aad_len + len + g->aad_len / 2;
		uint8_t *grown = OPENSSL_malloc(cap);
		if (grown == NULL) {
			prov_raise(g->prov, PROV_E_MEMORY, NULL);
			return false;
		}
		memcpy(grown, g->aad, g->aad_len);
		if (g->aad != g->aad_inline)
			OPENSSL_clear_free(g->aad, g->aad_cap);
		g->aad = grown;
		g->aad_cap = cap;
	}
	memcpy(g->aad + g->aad_len, aad, len);
	g->aad_len += len;
	return true;
}

static bool
add_data(struct gcm *g, uint8_t *out, const uint8_t *in, size_t len)
{
	if (len > MESSAGE_MAX - g->done) {
		prov_raise(g->prov, PROV_E_TOO_LONG, NULL);
		return false;
	}
	gcm_begin(g);
	g->calls->update[!g->sealing](&g->schedule, &g->work, out, in, len);
	g->done += len;
	return true;
}

/* The tag is made, or checked. Whatever comes of it, the IV is used up. */
static bool
gcm_end(struct gcm *g)
{
	uint8_t tag[TAG_MAX];

	if (!g->sealing && g->tag_len == 0) {
		prov_raise(g->prov, PROV_E_NO_TAG, NULL);
		return false;
	}
	gcm_begin(g);
	g->calls->finalize[!g->sealing](&g->schedule, &g->work, tag, TAG_MAX);
	g->iv_state = IV_FINISHED;
	bool good = g->sealing || CRYPTO_memcmp(tag, g->tag, g->tag_len) == 0;
	if (g->sealing) {
		memcpy(g->tag, tag, TAG_MAX);
		g->tag_len = TAG_MAX;
	}
	OPENSSL_cleanse(tag, sizeof(tag));
	if (!good)
		prov_raise(g->prov, PROV_E_BAD_TAG, NULL);
	return good;
}

/* --- TLS 1.2 records (RFC 5288): explicit IV, ciphertext, tag, in place --- */

/* The next message gets the IV of ours that is next; out_part: the last len bytes of it. */
static void
tls_next_iv(struct gcm *g, uint8_t *out_part, size_t len)
{
	uint8_t *counter = g->iv + g->iv_len - TLS_EXPLICIT_IV_BYTES;

	set_iv(g, g->iv, g->iv_len);
	memcpy(out_part, g->iv + g->iv_len - len, len);
	for (int i = TLS_EXPLICIT_IV_BYTES - 1; i >= 0 && ++counter[i] == 0; i--)
		;
}

static bool
tls_take_aad(struct gcm *g, const uint8_t *aad, size_t len)
{
	if (len != TLS_AAD_BYTES)
		return false;
	memcpy(g->tls_aad, aad, TLS_AAD_BYTES);
	size_t record = (size_t)aad[TLS_AAD_BYTES - 2] << 8 | aad[TLS_AAD_BYTES - 1];
	size_t around = TLS_EXPLICIT_IV_BYTES + (g->sealing ? 0 : TAG_MAX);
	if (record < around)
		return false;
	record -= around;
	g->tls_aad[TLS_AAD_BYTES - 2] = (uint8_t)(record >> 8);
	g->tls_aad[TLS_AAD_BYTES - 1] = (uint8_t)record;
	g->tls = true;
	return true;
}

/* len: the fixed part's; (size_t)-1: the whole IV, as SSL_CTX_dup-like programs restore it. */
static bool
tls_fixed_iv(struct gcm *g, const uint8_t *iv, size_t len)
{
	if (len == (size_t)-1) {
		memcpy(g->iv, iv, g->iv_len);
	} else {
		if (len < TLS_FIXED_IV_BYTES || len > g->iv_len ||
			g->iv_len - len < TLS_EXPLICIT_IV_BYTES)
			return false;
		memcpy(g->iv, iv, len);
		if (g->sealing && !prov_random(g->prov, g->iv + len, g->iv_len - len))
			return false;
	}
	g->iv_counts = true;
	set_iv(g, g->iv, g->iv_len);
	return true;
}

/* The IV and the AAD of a record. */
static bool
tls_record_begin(struct gcm *g, uint8_t *record)
{
	if (!g->iv_counts || g->iv_len < TLS_EXPLICIT_IV_BYTES) {
		prov_raise(g->prov, PROV_E_NO_IV, "the fixed part of a TLS IV was not set");
		return false;
	}
	if (g->sealing && g->tls_records == UINT64_MAX) {
		prov_raise(g->prov, PROV_E_TLS_RECORD, "too many records under one key");
		return false;
	}
	if (g->sealing) {
		tls_next_iv(g, record, TLS_EXPLICIT_IV_BYTES);
		g->tls_records++;
	} else {
		memcpy(g->iv + g->iv_len - TLS_EXPLICIT_IV_BYTES, record, TLS_EXPLICIT_IV_BYTES);
		set_iv(g, g->iv, g->iv_len);
	}
	memcpy(g->aad, g->tls_aad, TLS_AAD_BYTES);
	g->aad_len = TLS_AAD_BYTES;
	return true;
}

static bool
tls_record(struct gcm *g, uint8_t *out, size_t *out_len, const uint8_t *in, size_t len)
{
	const size_t around = TLS_EXPLICIT_IV_BYTES + TAG_MAX;

	g->tls = false;
	if (out != in || len < around || !g->key_set) {
		prov_raise(g->prov, PROV_E_TLS_RECORD, NULL);
		return false;
	}
	if (!tls_record_begin(g, out))
		return false;
	uint8_t *data = out + TLS_EXPLICIT_IV_BYTES;
	size_t data_len = len - around;
	if (data_len > 0 && !add_data(g, data, data, data_len))
		return false;
	if (!g->sealing) {
		memcpy(g->tag, data + data_len, TAG_MAX);
		g->tag_len = TAG_MAX;
	}
	if (!gcm_end(g)) {
		OPENSSL_cleanse(data, data_len);
		return false;
	}
	if (g->sealing)
		memcpy(data + data_len, g->tag, TAG_MAX);
	*out_len = g->sealing ? len : data_len;
	return true;
}

/* --- EVP's calls --- */

static int
gcm_run(struct gcm *g, uint8_t *out, size_t *out_len, const uint8_t *in, size_t len)
{
	if (g->tls)
		return tls_record(g, out, out_len, in, len);
	if (!may_run(g))
		return 0;
	if (out == NULL ? !add_aad(g, in, len) : !add_data(g, out, in, len))
		return 0;
	*out_len = len;
	return 1;
}

static int
gcm_update(void *vctx, unsigned char *out, size_t *out_len, size_t out_size,
	const unsigned char *in, size_t len)
{
	struct gcm *g = vctx;

	if (len == 0 && !g->tls) {
		*out_len = 0;
		return 1;
	}
	if (out != NULL && out_size < len) {
		prov_raise(g->prov, PROV_E_BUFFER_TOO_SMALL, NULL);
		return 0;
	}
	return gcm_run(g, out, out_len, in, len);
}

static int
gcm_final(void *vctx, unsigned char *out, size_t *out_len, size_t out_size)
{
	struct gcm *g = vctx;

	(void)out;
	(void)out_size;
	if (!may_run(g) || !gcm_end(g))
		return 0;
	*out_len = 0;
	return 1;
}

/* EVP_Cipher(): in NULL is Final. */
static int
gcm_cipher(void *vctx, unsigned char *out, size_t *out_len, size_t out_size,
	const unsigned char *in, size_t len)
{
	if (in == NULL)
		return gcm_final(vctx, out, out_len, out_size);
	return gcm_update(vctx, out, out_len, out_size, in, len);
}

/* Many programs set the same key for every message. The expanded key begins with the key (FIPS 197, 5.2), so that nothing
 * has to be kept to notice it. */
static void
set_key(struct gcm *g, const uint8_t *key)
{
	if (!g->key_set || CRYPTO_memcmp(g->schedule.expanded_keys, key, g->key_len) != 0) {
		g->calls->expand(key, &g->schedule);
		g->key_set = true;
		g->tls_records = 0;
	}
	/* A message that ran under the old key cannot go on; its IV, under a new key, is a new one. */
	if (g->iv_state == IV_RUNNING)
		g->iv_state = IV_FINISHED;
}

static int gcm_set_params(void *vctx, const OSSL_PARAM params[]);

static int
gcm_init(struct gcm *g, bool sealing, const unsigned char *key, size_t key_len,
	const unsigned char *iv, size_t iv_len, const OSSL_PARAM params[])
{
	if (iv != NULL && (iv_len == 0 || iv_len > IV_MAX)) {
		prov_raise(g->prov, PROV_E_IV_LENGTH, "%zu bytes", iv_len);
		return 0;
	}
	if (key != NULL && key_len != g->key_len) {
		prov_raise(g->prov, PROV_E_KEY_LENGTH, "%zu bytes in place of %zu", key_len,
			g->key_len);
		return 0;
	}
	if (sealing != g->sealing)
		g->tag_len = 0;
	g->sealing = sealing;
	if (key != NULL)
		set_key(g, key);
	if (iv != NULL)
		set_iv(g, iv, iv_len);
	return gcm_set_params(g, params);
}

static int
gcm_seal_init(void *vctx, const unsigned char *key, size_t key_len, const unsigned char *iv,
	size_t iv_len, const OSSL_PARAM params[])
{
	return gcm_init(vctx, true, key, key_len, iv, iv_len, params);
}

static int
gcm_open_init(void *vctx, const unsigned char *key, size_t key_len, const unsigned char *iv,
	size_t iv_len, const OSSL_PARAM params[])
{
	return gcm_init(vctx, false, key, key_len, iv, iv_len, params);
}

/* --- parameters --- */

static bool
set_tag(struct gcm *g, const OSSL_PARAM *p)
{
	if (p->data_type != OSSL_PARAM_OCTET_STRING || p->data_size == 0 ||
		p->data_size > TAG_MAX || (p->data != NULL && g->sealing))
		return false;
	if (p->data != NULL)
		memcpy(g->tag, p->data, p->data_size);
	g->tag_len = p->data_size;
	return true;
}

/* Another length makes an IV of the old one worthless. */
static bool
set_iv_len(struct gcm *g, const OSSL_PARAM *p)
{
	size_t len = 0;

	if (!OSSL_PARAM_get_size_t(p, &len) || len == 0 || len > IV_MAX)
		return false;
	if (len != g->iv_len) {
		g->iv_len = len;
		g->iv_state = IV_NONE;
	}
	return true;
}

/* The explicit part that came with a record. */
static bool
set_explicit_iv(struct gcm *g, const OSSL_PARAM *p)
{
	if (p->data_type != OSSL_PARAM_OCTET_STRING || p->data == NULL || !g->iv_counts ||
		!g->key_set || g->sealing || p->data_size > g->iv_len)
		return false;
	memcpy(g->iv + g->iv_len - p->data_size, p->data, p->data_size);
	set_iv(g, g->iv, g->iv_len);
	return true;
}

static bool
set_tls(struct gcm *g, const OSSL_PARAM *p, bool (*take)(struct gcm *, const uint8_t *, size_t))
{
	return p->data_type == OSSL_PARAM_OCTET_STRING && p->data != NULL &&
		take(g, p->data, p->data_size);
}

static bool
set_param(struct gcm *g, const OSSL_PARAM *p)
{
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TAG) == 0)
		return set_tag(g, p);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_IVLEN) == 0)
		return set_iv_len(g, p);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD) == 0)
		return set_tls(g, p, tls_take_aad);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED) == 0)
		return set_tls(g, p, tls_fixed_iv);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV) == 0)
		return set_explicit_iv(g, p);
	return true;
}

static int
gcm_set_params(void *vctx, const OSSL_PARAM params[])
{
	struct gcm *g = vctx;

	for (const OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
		if (!set_param(g, p)) {
			prov_raise(g->prov, PROV_E_PARAMETER, "%s", p->key);
			return 0;
		}
	return 1;
}

/* EVP asks for an IV with a pointer or with a buffer. */
static bool
get_iv(const struct gcm *g, OSSL_PARAM *p)
{
	return g->iv_state != IV_NONE && p->data_size >= g->iv_len &&
		(OSSL_PARAM_set_octet_string(p, g->iv, g->iv_len) ||
			OSSL_PARAM_set_octet_ptr(p, g->iv, g->iv_len));
}

static bool
get_tag(const struct gcm *g, OSSL_PARAM *p)
{
	size_t len = p->data_size;

	return len > 0 && len <= TAG_MAX && g->sealing && g->tag_len != 0 &&
		OSSL_PARAM_set_octet_string(p, g->tag, len);
}

static bool
get_next_iv(struct gcm *g, OSSL_PARAM *p)
{
	if (p->data_type != OSSL_PARAM_OCTET_STRING || p->data == NULL || !g->iv_counts ||
		!g->key_set || g->iv_len < TLS_EXPLICIT_IV_BYTES)
		return false;
	size_t len = p->data_size == 0 || p->data_size > g->iv_len ? g->iv_len : p->data_size;
	tls_next_iv(g, p->data, len);
	p->return_size = len;
	return true;
}

static bool
get_param(struct gcm *g, OSSL_PARAM *p)
{
	if (strcmp(p->key, OSSL_CIPHER_PARAM_IVLEN) == 0)
		return OSSL_PARAM_set_size_t(p, g->iv_len);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_KEYLEN) == 0)
		return OSSL_PARAM_set_size_t(p, g->key_len);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TAGLEN) == 0)
		return OSSL_PARAM_set_size_t(p, g->tag_len != 0 ? g->tag_len : TAG_MAX);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_IV) == 0 ||
		strcmp(p->key, OSSL_CIPHER_PARAM_UPDATED_IV) == 0)
		return get_iv(g, p);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TAG) == 0)
		return get_tag(g, p);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD) == 0)
		return OSSL_PARAM_set_size_t(p, g->tls ? TAG_MAX : 0);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN) == 0)
		return get_next_iv(g, p);
	return true;
}

static int
gcm_get_params(void *vctx, OSSL_PARAM params[])
{
	struct gcm *g = vctx;

	for (OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
		if (!get_param(g, p)) {
			prov_raise(g->prov, PROV_E_PARAMETER, "%s", p->key);
			return 0;
		}
	return 1;
}

static const OSSL_PARAM *
gcm_gettable(void *vctx, void *provctx)
{
	static const OSSL_PARAM list[] = {
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TAGLEN, NULL),
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_IV, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_UPDATED_IV, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD, NULL),
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)vctx;
	(void)provctx;
	return list;
}

static const OSSL_PARAM *
gcm_settable(void *vctx, void *provctx)
{
	static const OSSL_PARAM list[] = {
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, NULL),
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)vctx;
	(void)provctx;
	return list;
}

/* --- what the algorithm is, without a context --- */

static int
algorithm_params(OSSL_PARAM params[], size_t key_len)
{
	const struct {
		const char *key;
		size_t value;
	} sizes[] = {
		{OSSL_CIPHER_PARAM_MODE, EVP_CIPH_GCM_MODE},
		{OSSL_CIPHER_PARAM_KEYLEN, key_len},
		{OSSL_CIPHER_PARAM_IVLEN, IV_BYTES},
		{OSSL_CIPHER_PARAM_BLOCK_SIZE, 1},
		{OSSL_CIPHER_PARAM_AEAD, 1},
		{OSSL_CIPHER_PARAM_CUSTOM_IV, 1},
	};

	for (OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			if (strcmp(p->key, sizes[i].key) == 0 &&
				!OSSL_PARAM_set_size_t(p, sizes[i].value))
				return 0;
	return 1;
}

static const OSSL_PARAM *
algorithm_gettable(void *provctx)
{
	static const OSSL_PARAM list[] = {
		OSSL_PARAM_uint(OSSL_CIPHER_PARAM_MODE, NULL),
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_BLOCK_SIZE, NULL),
		OSSL_PARAM_int(OSSL_CIPHER_PARAM_AEAD, NULL),
		OSSL_PARAM_int(OSSL_CIPHER_PARAM_CUSTOM_IV, NULL),
		OSSL_PARAM_END,
	};

	(void)provctx;
	return list;
}

#define FN(function) ((void (*)(void))(function))
#define GCM_DISPATCH(bits) \
	static void *gcm_new_##bits(void *provctx) \
	{ \
		return gcm_new(provctx, (bits) / 8); \
	} \
	static int algorithm_params_##bits(OSSL_PARAM params[]) \
	{ \
		return algorithm_params(params, (bits) / 8); \
	} \
	const OSSL_DISPATCH prov_gcm_##bits[] = { \
		{OSSL_FUNC_CIPHER_NEWCTX, FN(gcm_new_##bits)}, \
		{OSSL_FUNC_CIPHER_FREECTX, FN(gcm_free)}, \
		{OSSL_FUNC_CIPHER_DUPCTX, FN(gcm_dup)}, \
		{OSSL_FUNC_CIPHER_ENCRYPT_INIT, FN(gcm_seal_init)}, \
		{OSSL_FUNC_CIPHER_DECRYPT_INIT, FN(gcm_open_init)}, \
		{OSSL_FUNC_CIPHER_UPDATE, FN(gcm_update)}, \
		{OSSL_FUNC_CIPHER_FINAL, FN(gcm_final)}, \
		{OSSL_FUNC_CIPHER_CIPHER, FN(gcm_cipher)}, \
		{OSSL_FUNC_CIPHER_GET_PARAMS, FN(algorithm_params_##bits)}, \
		{OSSL_FUNC_CIPHER_GET_CTX_PARAMS, FN(gcm_get_params)}, \
		{OSSL_FUNC_CIPHER_SET_CTX_PARAMS, FN(gcm_set_params)}, \
		{OSSL_FUNC_CIPHER_GETTABLE_PARAMS, FN(algorithm_gettable)}, \
		{OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS, FN(gcm_gettable)}, \
		{OSSL_FUNC_CIPHER_SETTABLE_CTX_PARAMS, FN(gcm_settable)}, \
		{0, NULL}, \
	}

GCM_DISPATCH(128);
GCM_DISPATCH(192);
GCM_DISPATCH(256);
