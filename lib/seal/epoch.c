#include "seal/epoch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/bytes.h"

#define INFO_LABEL "sealock epoch v1"
#define INFO_LABEL_BYTES (sizeof(INFO_LABEL) - 1)
#define INFO_BYTES (INFO_LABEL_BYTES + 8 + 8)
#define OKM_BYTES (SEAL_KEY_BYTES + SEAL_COMMITMENT_BYTES)

static_assert(INFO_BYTES == 32, "docs/FORMATS.md says so");

struct seal_epoch {
	struct seal_key *key;
	uint64_t blocks; /* taken so far */
	uint64_t bytes;
	uint64_t max_blocks;
	uint64_t max_bytes;
	uint64_t id;
	uint64_t stream;
	bool exhausted; /* never cleared: a limit, once reached, ends the epoch for smaller blocks,
			   too */
	uint8_t commitment[SEAL_COMMITMENT_BYTES];
};

/* HKDF-SHA-256 with an empty salt; out is OKM_BYTES long. */
static int
hkdf(const struct slk_secret *ikm, uint8_t info[INFO_BYTES], uint8_t *out)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_KEY, (void *)slk_secret_peek(ikm), slk_secret_len(ikm)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, INFO_BYTES),
		OSSL_PARAM_construct_end(),
	};
	int rc = SLK_INTERNAL;
	EVP_KDF_CTX *ctx = NULL;

	ERR_set_mark();
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", "?provider=default");
	if (kdf != NULL)
		ctx = EVP_KDF_CTX_new(kdf);
	if (ctx != NULL && EVP_KDF_derive(ctx, out, OKM_BYTES, params) == 1)
		rc = SLK_OK;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	ERR_pop_to_mark();
	return rc;
}

int
seal_epoch_derive(const struct slk_secret *data_key, uint64_t epoch_id, uint64_t stream_id,
	struct slk_secret **out_key, uint8_t out_commitment[SEAL_COMMITMENT_BYTES])
{
	uint8_t info[INFO_BYTES];
	struct slk_secret *okm = NULL;
	struct slk_secret *key = NULL;

	if (slk_secret_len(data_key) != SEAL_KEY_BYTES)
		return SLK_INVALID;
	memcpy(info, INFO_LABEL, INFO_LABEL_BYTES);
	slk_put_le64(info + INFO_LABEL_BYTES, epoch_id);
	slk_put_le64(info + INFO_LABEL_BYTES + 8, stream_id);

	int rc = slk_secret_new(OKM_BYTES, &okm);
	if (rc == SLK_OK)
		rc = hkdf(data_key, info, slk_secret_bytes(okm));
	if (rc == SLK_OK)
		rc = slk_secret_from(slk_secret_peek(okm), SEAL_KEY_BYTES, &key);
	if (rc == SLK_OK) {
		memcpy(out_commitment, slk_secret_peek(okm) + SEAL_KEY_BYTES,
			SEAL_COMMITMENT_BYTES);
		*out_key = key;
	}
	slk_secret_free(okm);
	return rc;
}

int
seal_epoch_new(struct seal_thread *thread, const struct slk_secret *data_key, uint64_t epoch_id,
	uint64_t stream_id, uint64_t max_blocks, uint64_t max_bytes, struct seal_epoch **out_epoch)
{
	struct slk_secret *key = NULL;

	if (max_blocks > SEAL_EPOCH_BLOCKS_MAX || max_bytes > SEAL_EPOCH_BYTES_MAX)
		return SLK_RANGE;
	struct seal_epoch *e = calloc(1, sizeof(*e));
	if (e == NULL)
		return SLK_NO_MEMORY;
	e->id = epoch_id;
	e->stream = stream_id;
	e->max_blocks = max_blocks > 0 ? max_blocks : SEAL_EPOCH_BLOCKS_MAX;
	e->max_bytes = max_bytes > 0 ? max_bytes : SEAL_EPOCH_BYTES_MAX;
	int rc = seal_epoch_derive(data_key, epoch_id, stream_id, &key, e->commitment);
	if (rc == SLK_OK)
		rc = seal_key_new(thread, slk_secret_peek(key), SEAL_KEY_BYTES, &e->key);
	slk_secret_free(key);
	if (rc != SLK_OK) {
		seal_epoch_free(e);
		return rc;
	}
	*out_epoch = e;
	return SLK_OK;
}

void
seal_epoch_free(struct seal_epoch *epoch)
{
	if (epoch == NULL)
		return;
	seal_key_free(epoch->key);
	free(epoch);
}

const uint8_t *
seal_epoch_commitment(const struct seal_epoch *epoch)
{
	return epoch->commitment;
}

uint64_t
seal_epoch_id(const struct seal_epoch *epoch)
{
	return epoch->id;
}

uint64_t
seal_epoch_stream(const struct seal_epoch *epoch)
{
	return epoch->stream;
}

uint64_t
seal_epoch_blocks(const struct seal_epoch *epoch)
{
	return epoch->blocks;
}

uint64_t
seal_epoch_bytes(const struct seal_epoch *epoch)
{
	return epoch->bytes;
}

int
seal_epoch_take(struct seal_epoch *epoch, uint64_t len, uint64_t *out_block)
{
	if (epoch->exhausted || epoch->blocks >= epoch->max_blocks ||
		len > epoch->max_bytes - epoch->bytes) {
		epoch->exhausted = true;
		return SLK_KEY_EXHAUSTED;
	}
	*out_block = epoch->blocks++;
	epoch->bytes += len;
	return SLK_OK;
}

const struct seal_key *
seal_epoch_key(const struct seal_epoch *epoch)
{
	return epoch->key;
}

void
seal_nonce(uint64_t block, uint8_t out_nonce[SEAL_NONCE_BYTES])
{
	slk_put_be32(out_nonce, 0);
	slk_put_be64(out_nonce + 4, block);
}
