#include "gcm.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "gcm_message.h"
#include "pipeline.h"

static int
gcm_run(struct gcm *g, uint8_t *out, size_t *out_len, const uint8_t *in, size_t len)
{
	if (g->tls)
		return prov_gcm_tls_record(g, out, out_len, in, len);
	if (!prov_gcm_may_run(g))
		return 0;
	if (out == NULL ? !prov_gcm_add_aad(g, in, len) : !prov_gcm_add_data(g, out, in, len))
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
	if (!prov_gcm_may_run(g) || !prov_gcm_end(g))
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

static int gcm_set_params(void *vctx, const OSSL_PARAM params[]);

static int
gcm_init(struct gcm *g, bool sealing, const unsigned char *key, size_t key_len,
	const unsigned char *iv, size_t iv_len, const OSSL_PARAM params[])
{
	if (iv != NULL && (iv_len == 0 || iv_len > GCM_IV_MAX)) {
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
		prov_gcm_set_key(g, key);
	if (iv != NULL)
		prov_gcm_set_iv(g, iv, iv_len);
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
		p->data_size > GCM_TAG_MAX || (p->data != NULL && g->sealing))
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

	if (!OSSL_PARAM_get_size_t(p, &len) || len == 0 || len > GCM_IV_MAX)
		return false;
	if (len != g->iv_len) {
		g->iv_len = len;
		g->iv_state = GCM_IV_NONE;
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
	prov_gcm_set_iv(g, g->iv, g->iv_len);
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
#ifdef OSSL_CIPHER_PARAM_PIPELINE_AEAD_TAG
	if (strcmp(p->key, OSSL_CIPHER_PARAM_PIPELINE_AEAD_TAG) == 0)
		return prov_pipeline_set_tags(g, p);
#endif
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_IVLEN) == 0)
		return set_iv_len(g, p);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD) == 0)
		return set_tls(g, p, prov_gcm_tls_take_aad);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED) == 0)
		return set_tls(g, p, prov_gcm_tls_fixed_iv);
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
	return g->iv_state != GCM_IV_NONE && p->data_size >= g->iv_len &&
		(OSSL_PARAM_set_octet_string(p, g->iv, g->iv_len) ||
			OSSL_PARAM_set_octet_ptr(p, g->iv, g->iv_len));
}

static bool
get_tag(const struct gcm *g, OSSL_PARAM *p)
{
	size_t len = p->data_size;

	return len > 0 && len <= GCM_TAG_MAX && g->sealing && g->tag_len != 0 &&
		OSSL_PARAM_set_octet_string(p, g->tag, len);
}

static bool
get_next_iv(struct gcm *g, OSSL_PARAM *p)
{
	if (p->data_type != OSSL_PARAM_OCTET_STRING || p->data == NULL || !g->iv_counts ||
		!g->key_set || g->iv_len < GCM_TLS_EXPLICIT_IV_BYTES)
		return false;
	size_t len = p->data_size == 0 || p->data_size > g->iv_len ? g->iv_len : p->data_size;
	prov_gcm_tls_next_iv(g, p->data, len);
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
		return OSSL_PARAM_set_size_t(p, g->tag_len != 0 ? g->tag_len : GCM_TAG_MAX);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_IV) == 0 ||
		strcmp(p->key, OSSL_CIPHER_PARAM_UPDATED_IV) == 0)
		return get_iv(g, p);
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TAG) == 0)
		return get_tag(g, p);
#ifdef OSSL_CIPHER_PARAM_PIPELINE_AEAD_TAG
	if (strcmp(p->key, OSSL_CIPHER_PARAM_PIPELINE_AEAD_TAG) == 0)
		return prov_pipeline_get_tags(g, p);
#endif
	if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD) == 0)
		return OSSL_PARAM_set_size_t(p, g->tls ? GCM_TAG_MAX : 0);
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
		{OSSL_CIPHER_PARAM_IVLEN, GCM_IV_BYTES},
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
#ifdef OSSL_FUNC_CIPHER_PIPELINE_ENCRYPT_INIT
#define PIPELINE \
	{OSSL_FUNC_CIPHER_PIPELINE_ENCRYPT_INIT, FN(prov_pipeline_seal_init)}, \
		{OSSL_FUNC_CIPHER_PIPELINE_DECRYPT_INIT, FN(prov_pipeline_open_init)}, \
		{OSSL_FUNC_CIPHER_PIPELINE_UPDATE, FN(prov_pipeline_update)}, \
		{OSSL_FUNC_CIPHER_PIPELINE_FINAL, FN(prov_pipeline_final)},
#else
#define PIPELINE
#endif
#define GCM_DISPATCH(bits) \
	static void *gcm_new_##bits(void *provctx) \
	{ \
		return prov_gcm_new(provctx, (bits) / 8); \
	} \
	static int algorithm_params_##bits(OSSL_PARAM params[]) \
	{ \
		return algorithm_params(params, (bits) / 8); \
	} \
	const OSSL_DISPATCH prov_gcm_##bits[] = { \
		{OSSL_FUNC_CIPHER_NEWCTX, FN(gcm_new_##bits)}, \
		{OSSL_FUNC_CIPHER_FREECTX, FN(prov_gcm_free)}, \
		{OSSL_FUNC_CIPHER_DUPCTX, FN(prov_gcm_dup)}, \
		{OSSL_FUNC_CIPHER_ENCRYPT_INIT, FN(gcm_seal_init)}, \
		{OSSL_FUNC_CIPHER_DECRYPT_INIT, FN(gcm_open_init)}, \
		PIPELINE{OSSL_FUNC_CIPHER_UPDATE, FN(gcm_update)}, \
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
