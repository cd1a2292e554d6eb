/* TLS 1.2 records (RFC 5288): explicit IV, ciphertext, tag, in place. */
#include <openssl/crypto.h>
#include <string.h>

#include "gcm_message.h"

#define TLS_FIXED_IV_BYTES 4u

/* The next message gets the IV of ours that is next; out_part: the last len bytes of it. */
void
prov_gcm_tls_next_iv(struct gcm *g, uint8_t *out_part, size_t len)
{
	uint8_t *counter = g->iv + g->iv_len - GCM_TLS_EXPLICIT_IV_BYTES;

	prov_gcm_set_iv(g, g->iv, g->iv_len);
	memcpy(out_part, g->iv + g->iv_len - len, len);
	for (int i = GCM_TLS_EXPLICIT_IV_BYTES - 1; i >= 0 && ++counter[i] == 0; i--)
		;
}

bool
prov_gcm_tls_take_aad(struct gcm *g, const uint8_t *aad, size_t len)
{
	if (len != GCM_TLS_AAD_BYTES)
		return false;
	memcpy(g->tls_aad, aad, GCM_TLS_AAD_BYTES);
	size_t record = (size_t)aad[GCM_TLS_AAD_BYTES - 2] << 8 | aad[GCM_TLS_AAD_BYTES - 1];
	size_t around = GCM_TLS_EXPLICIT_IV_BYTES + (g->sealing ? 0 : GCM_TAG_MAX);
	if (record < around)
		return false;
	record -= around;
	g->tls_aad[GCM_TLS_AAD_BYTES - 2] = (uint8_t)(record >> 8);
	g->tls_aad[GCM_TLS_AAD_BYTES - 1] = (uint8_t)record;
	g->tls = true;
	return true;
}

/* len: the fixed part's; (size_t)-1: the whole IV, as SSL_CTX_dup-like programs restore it. */
bool
prov_gcm_tls_fixed_iv(struct gcm *g, const uint8_t *iv, size_t len)
{
	if (len == (size_t)-1) {
		memcpy(g->iv, iv, g->iv_len);
	} else {
		if (len < TLS_FIXED_IV_BYTES || len > g->iv_len ||
			g->iv_len - len < GCM_TLS_EXPLICIT_IV_BYTES)
			return false;
		memcpy(g->iv, iv, len);
		if (g->sealing && !prov_random(g->prov, g->iv + len, g->iv_len - len))
			return false;
	}
	g->iv_counts = true;
	prov_gcm_set_iv(g, g->iv, g->iv_len);
	return true;
}

/* The IV and the AAD of a record. */
static bool
tls_record_begin(struct gcm *g, uint8_t *record)
{
	if (!g->iv_counts || g->iv_len < GCM_TLS_EXPLICIT_IV_BYTES) {
		prov_raise(g->prov, PROV_E_NO_IV, "the fixed part of a TLS IV was not set");
		return false;
	}
	if (g->sealing && g->tls_records == UINT64_MAX) {
		prov_raise(g->prov, PROV_E_TLS_RECORD, "too many records under one key");
		return false;
	}
	if (g->sealing) {
		prov_gcm_tls_next_iv(g, record, GCM_TLS_EXPLICIT_IV_BYTES);
		g->tls_records++;
	} else {
		memcpy(g->iv + g->iv_len - GCM_TLS_EXPLICIT_IV_BYTES, record,
			GCM_TLS_EXPLICIT_IV_BYTES);
		prov_gcm_set_iv(g, g->iv, g->iv_len);
	}
	memcpy(g->aad, g->tls_aad, GCM_TLS_AAD_BYTES);
	g->aad_len = GCM_TLS_AAD_BYTES;
	return true;
}

bool
prov_gcm_tls_record(struct gcm *g, uint8_t *out, size_t *out_len, const uint8_t *in, size_t len)
{
	const size_t around = GCM_TLS_EXPLICIT_IV_BYTES + GCM_TAG_MAX;

	g->tls = false;
	if (out != in || len < around || !g->key_set) {
		prov_raise(g->prov, PROV_E_TLS_RECORD, NULL);
		return false;
	}
	if (!tls_record_begin(g, out))
		return false;
	uint8_t *data = out + GCM_TLS_EXPLICIT_IV_BYTES;
	size_t data_len = len - around;
	if (data_len > 0 && !prov_gcm_add_data(g, data, data, data_len))
		return false;
	if (!g->sealing) {
		memcpy(g->tag, data + data_len, GCM_TAG_MAX);
		g->tag_len = GCM_TAG_MAX;
	}
	if (!prov_gcm_end(g)) {
		OPENSSL_cleanse(data, data_len);
		return false;
	}
	if (g->sealing)
		memcpy(data + data_len, g->tag, GCM_TAG_MAX);
	*out_len = g->sealing ? len : data_len;
	return true;
}
