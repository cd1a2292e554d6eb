#include "pipeline.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <string.h>

#define PIPES_MAX 32u /* EVP_MAX_PIPES */

void
prov_pipeline_free(struct gcm *g)
{
	for (size_t i = 0; i < g->pipes_count; i++)
		prov_gcm_free(g->pipes[i]);
	OPENSSL_free(g->pipes);
	g->pipes = NULL;
	g->pipes_count = 0;
}

#ifdef OSSL_FUNC_CIPHER_PIPELINE_ENCRYPT_INIT

/* As many contexts as there are pipes, kept for the next time. */
static bool
make_pipes(struct gcm *g, size_t count)
{
	if (g->pipes_count == count)
		return true;
	prov_pipeline_free(g);
	if (count == 0 || count > PIPES_MAX) {
		prov_raise(g->prov, PROV_E_PARAMETER, "%zu pipes; 1 to %u are possible", count,
			PIPES_MAX);
		return false;
	}
	g->pipes = OPENSSL_zalloc(
		count * sizeof(struct gcm *)); /* NOLINT(bugprone-sizeof-expression) */
	for (; g->pipes != NULL && g->pipes_count < count; g->pipes_count++) {
		struct gcm *pipe = prov_gcm_new((void *)(uintptr_t)g->prov, g->key_len);
		if (pipe == NULL)
			break;
		g->pipes[g->pipes_count] = pipe;
	}
	if (g->pipes_count == count)
		return true;
	prov_pipeline_free(g);
	prov_raise(g->prov, PROV_E_MEMORY, NULL);
	return false;
}

/* The key is expanded once, in g. */
static int
init(struct gcm *g, bool sealing, const unsigned char *key, size_t key_len, size_t count,
	const unsigned char **iv, size_t iv_len)
{
	if (key != NULL && key_len != g->key_len) {
		prov_raise(g->prov, PROV_E_KEY_LENGTH, "%zu bytes in place of %zu", key_len,
			g->key_len);
		return 0;
	}
	if (iv != NULL && (iv_len == 0 || iv_len > GCM_IV_MAX)) {
		prov_raise(g->prov, PROV_E_IV_LENGTH, "%zu bytes", iv_len);
		return 0;
	}
	if (!make_pipes(g, count))
		return 0;
	if (key != NULL)
		prov_gcm_set_key(g, key);
	g->sealing = sealing;
	for (size_t i = 0; i < count; i++) {
		struct gcm *pipe = g->pipes[i];
		if (pipe->sealing != sealing)
			pipe->tag_len = 0;
		pipe->sealing = sealing;
		if (key != NULL) {
			memcpy(&pipe->schedule, &g->schedule, sizeof(pipe->schedule));
			pipe->key_set = true;
		}
		if (iv != NULL && iv[i] != NULL)
			prov_gcm_set_iv(pipe, iv[i], iv_len);
	}
	return 1;
}

int
prov_pipeline_seal_init(void *vctx, const unsigned char *key, size_t key_len, size_t pipes,
	const unsigned char **iv, size_t iv_len, const OSSL_PARAM params[])
{
	(void)params;
	return init(vctx, true, key, key_len, pipes, iv, iv_len);
}

int
prov_pipeline_open_init(void *vctx, const unsigned char *key, size_t key_len, size_t pipes,
	const unsigned char **iv, size_t iv_len, const OSSL_PARAM params[])
{
	(void)params;
	return init(vctx, false, key, key_len, pipes, iv, iv_len);
}

static bool
as_many(const struct gcm *g, size_t pipes)
{
	if (pipes == g->pipes_count)
		return true;
	prov_raise(g->prov, PROV_E_PARAMETER, "%zu pipes after %zu", pipes, g->pipes_count);
	return false;
}

/* out NULL, or of a pipe NULL: its additional data. */
int
prov_pipeline_update(void *vctx, size_t pipes, unsigned char **out, size_t *out_len,
	const size_t *out_size, const unsigned char **in, const size_t *in_len)
{
	struct gcm *g = vctx;

	if (!as_many(g, pipes))
		return 0;
	for (size_t i = 0; i < pipes; i++) {
		struct gcm *pipe = g->pipes[i];
		unsigned char *to = out != NULL ? out[i] : NULL;
		out_len[i] = 0;
		if (in_len[i] == 0)
			continue;
		if (to != NULL && out_size[i] < in_len[i]) {
			prov_raise(g->prov, PROV_E_BUFFER_TOO_SMALL, NULL);
			return 0;
		}
		if (!prov_gcm_may_run(pipe) ||
			!(to == NULL ? prov_gcm_add_aad(pipe, in[i], in_len[i])
				     : prov_gcm_add_data(pipe, to, in[i], in_len[i])))
			return 0;
		out_len[i] = to == NULL ? 0 : in_len[i];
	}
	return 1;
}

/* Each is ended, whatever the others were: one bad tag is an error of all. */
int
prov_pipeline_final(
	void *vctx, size_t pipes, unsigned char **out, size_t *out_len, const size_t *out_size)
{
	struct gcm *g = vctx;
	int good = 1;

	(void)out;
	(void)out_size;
	if (!as_many(g, pipes))
		return 0;
	for (size_t i = 0; i < pipes; i++) {
		out_len[i] = 0;
		if (!prov_gcm_may_run(g->pipes[i]) || !prov_gcm_end(g->pipes[i]))
			good = 0;
	}
	return good;
}

bool
prov_pipeline_set_tags(struct gcm *g, const OSSL_PARAM *p)
{
	unsigned char **tags = p->data != NULL ? *(unsigned char ***)p->data : NULL;

	if (p->data_type != OSSL_PARAM_OCTET_PTR || tags == NULL || p->data_size == 0 ||
		p->data_size > GCM_TAG_MAX || g->sealing || g->pipes_count == 0)
		return false;
	for (size_t i = 0; i < g->pipes_count; i++) {
		memcpy(g->pipes[i]->tag, tags[i], p->data_size);
		g->pipes[i]->tag_len = p->data_size;
	}
	return true;
}

bool
prov_pipeline_get_tags(const struct gcm *g, OSSL_PARAM *p)
{
	unsigned char **tags = p->data != NULL ? *(unsigned char ***)p->data : NULL;

	if (p->data_type != OSSL_PARAM_OCTET_PTR || tags == NULL || p->data_size == 0 ||
		p->data_size > GCM_TAG_MAX || !g->sealing || g->pipes_count == 0)
		return false;
	for (size_t i = 0; i < g->pipes_count; i++) {
		if (g->pipes[i]->tag_len == 0)
			return false;
		memcpy(tags[i], g->pipes[i]->tag, p->data_size);
	}
	return true;
}

#endif
