#include "gcm_message.h"

#include <openssl/crypto.h>
#include <string.h>

#include "pipeline.h"

#define AAD_MAX ((size_t)INT32_MAX)
#define MESSAGE_MAX ((UINT64_C(1) << 36) - 32) /* SP 800-38D, 5.2.1.1 */

static struct gcm *
gcm_alloc(void)
{
	unsigned char *memory = OPENSSL_zalloc(sizeof(struct gcm) + GCM_ALIGNMENT);

	if (memory == NULL)
		return NULL;
	struct gcm *g = (struct gcm *)(((uintptr_t)memory + GCM_ALIGNMENT - 1) &
		~(uintptr_t)(GCM_ALIGNMENT - 1));
	g->memory = memory;
	g->pipes = NULL; /* a copy has no pipeline: EVP copies contexts of single messages */
	g->pipes_count = 0;
	return g;
}

struct gcm *
prov_gcm_new(void *provctx, size_t key_len)
{
	struct gcm *g = gcm_alloc();

	if (g == NULL) {
		prov_raise(provctx, PROV_E_MEMORY, NULL);
		return NULL;
	}
	g->prov = provctx;
	g->key_len = key_len;
	g->calls = &prov_gcm_code()[key_len / 8 - 2];
	g->iv_len = GCM_IV_BYTES;
	g->aad = g->aad_inline;
	g->aad_cap = GCM_AAD_INLINE;
	return g;
}

void
prov_gcm_free(void *vctx)
{
	struct gcm *g = vctx;

	if (g == NULL)
		return;
	prov_pipeline_free(g);
	if (g->aad != g->aad_inline)
		OPENSSL_clear_free(g->aad, g->aad_cap);
	OPENSSL_clear_free(g->memory, sizeof(struct gcm) + GCM_ALIGNMENT);
}

void *
prov_gcm_dup(void *vctx)
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
	prov_gcm_free(g);
fail:
	prov_raise(from->prov, PROV_E_MEMORY, NULL);
	return NULL;
}

/* --- the message --- */

void
prov_gcm_set_iv(struct gcm *g, const uint8_t *iv, size_t len)
{
	if (iv != g->iv)
		memcpy(g->iv, iv, len);
	memcpy(g->message_iv, iv, len);
	g->iv_len = len;
	g->iv_state = GCM_IV_WAITING;
	g->aad_len = 0;
	g->done = 0;
	g->begun = false;
}

/* A message may go on, or begin. */
bool
prov_gcm_may_run(struct gcm *g)
{
	if (!g->key_set) {
		prov_raise(g->prov, PROV_E_NO_KEY, NULL);
		return false;
	}
	if (g->iv_state == GCM_IV_NONE && g->sealing) {
		if (!prov_random(g->prov, g->iv, g->iv_len))
			return false;
		prov_gcm_set_iv(g, g->iv, g->iv_len);
	}
	if (g->iv_state == GCM_IV_NONE || g->iv_state == GCM_IV_FINISHED) {
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
	if (g->iv_len == GCM_IV_BYTES)
		g->calls->init(&g->schedule, &g->work, g->message_iv, g->aad, g->aad_len);
	else
		g->calls->init_var_iv(
			&g->schedule, &g->work, g->message_iv, g->iv_len, g->aad, g->aad_len);
	g->begun = true;
	g->iv_state = GCM_IV_RUNNING;
}

bool
prov_gcm_add_aad(struct gcm *g, const uint8_t *aad, size_t len)
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

bool
prov_gcm_add_data(struct gcm *g, uint8_t *out, const uint8_t *in, size_t len)
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
bool
prov_gcm_end(struct gcm *g)
{
	uint8_t tag[GCM_TAG_MAX];

	if (!g->sealing && g->tag_len == 0) {
		prov_raise(g->prov, PROV_E_NO_TAG, NULL);
		return false;
	}
	gcm_begin(g);
	g->calls->finalize[!g->sealing](&g->schedule, &g->work, tag, GCM_TAG_MAX);
	g->iv_state = GCM_IV_FINISHED;
	bool good = g->sealing || CRYPTO_memcmp(tag, g->tag, g->tag_len) == 0;
	if (g->sealing) {
		memcpy(g->tag, tag, GCM_TAG_MAX);
		g->tag_len = GCM_TAG_MAX;
	}
	OPENSSL_cleanse(tag, sizeof(tag));
	if (!good)
		prov_raise(g->prov, PROV_E_BAD_TAG, NULL);
	return good;
}

/* Many programs set the same key for every message. The expanded key begins with the key (FIPS 197, 5.2), so that nothing
 * has to be kept to notice it. */
void
prov_gcm_set_key(struct gcm *g, const uint8_t *key)
{
	if (!g->key_set || CRYPTO_memcmp(g->schedule.expanded_keys, key, g->key_len) != 0) {
		g->calls->expand(key, &g->schedule);
		g->key_set = true;
		g->tls_records = 0;
	}
	/* A message that ran under the old key cannot go on; its IV, under a new key, is a new one. */
	if (g->iv_state == GCM_IV_RUNNING)
		g->iv_state = GCM_IV_FINISHED;
}
