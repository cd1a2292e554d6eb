/* Sealed objects: see sealed.h. */
#include "delivery/sealed.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define SUITE_BYTES 2u
#define LABEL_BYTES 9u /* both have */

static const uint8_t suite[SUITE_BYTES] = {DLV_SEALED_SUITE >> 8, DLV_SEALED_SUITE & 0xff};
static const uint8_t nonce[SEAL_NONCE_BYTES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

struct dlv_sealed {
	struct seal_thread *thread;
	struct seal_key *key;
	struct seal_stream *stream;
};

/* HKDF-SHA-512 (RFC 5869): salt is the message's id, info the suite and a label. */
static int
derive(const struct slk_secret *data_key, const uint8_t message_id[DLV_SEALED_MESSAGE_ID_BYTES],
	const char label[LABEL_BYTES + 1], uint8_t *out, size_t len)
{
	uint8_t info[SUITE_BYTES + LABEL_BYTES];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA512", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
			(void *)slk_secret_peek(data_key), slk_secret_len(data_key)),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_SALT, (void *)message_id, DLV_SEALED_MESSAGE_ID_BYTES),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof(info)),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF_CTX *ctx = NULL;
	int rc = SLK_INTERNAL;

	memcpy(info, suite, SUITE_BYTES);
	memcpy(info + SUITE_BYTES, label, LABEL_BYTES);
	ERR_set_mark();
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", "?provider=default");
	if (kdf != NULL)
		ctx = EVP_KDF_CTX_new(kdf);
	if (ctx != NULL && EVP_KDF_derive(ctx, out, len, params) == 1)
		rc = SLK_OK;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	ERR_pop_to_mark();
	return rc;
}

static int
make_key(struct dlv_sealed *s, const struct slk_secret *data_key, const uint8_t *message_id)
{
	struct slk_secret *content_key = NULL;

	int rc = slk_secret_new(DLV_SEALED_KEY_BYTES, &content_key);
	if (rc == SLK_OK)
		rc = derive(data_key, message_id, "DERIVEKEY", slk_secret_bytes(content_key),
			DLV_SEALED_KEY_BYTES);
	if (rc == SLK_OK)
		rc = seal_key_new(
			s->thread, slk_secret_peek(content_key), DLV_SEALED_KEY_BYTES, &s->key);
	slk_secret_free(content_key);
	return rc;
}

static int
sealed_new(const struct slk_secret *data_key, const uint8_t *message_id, const char *engine,
	bool opens, struct dlv_sealed **out, struct slk_error *err)
{
	struct dlv_sealed *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a sealed object");
	int rc = seal_thread_new(engine, &s->thread, err);
	if (rc != SLK_OK) {
		dlv_sealed_free(s);
		return rc;
	}
	rc = make_key(s, data_key, message_id);
	if (rc == SLK_OK)
		rc = (opens ? seal_stream_open : seal_stream_seal)(
			s->thread, s->key, nonce, suite, SUITE_BYTES, &s->stream);
	if (rc != SLK_OK) {
		dlv_sealed_free(s);
		return slk_fail(err, rc, "the key of a sealed object: %s", slk_status_sentence(rc));
	}
	*out = s;
	return SLK_OK;
}

static int
commit(const struct slk_secret *data_key, const uint8_t *message_id,
	uint8_t out[DLV_SEALED_COMMITMENT_BYTES], struct slk_error *err)
{
	if (slk_secret_len(data_key) != DLV_SEALED_KEY_BYTES)
		return slk_fail(err, SLK_INVALID,
			"the data key of a sealed object has %zu bytes, not %u",
			slk_secret_len(data_key), DLV_SEALED_KEY_BYTES);
	int rc = derive(data_key, message_id, "COMMITKEY", out, DLV_SEALED_COMMITMENT_BYTES);
	return rc == SLK_OK ? SLK_OK : slk_fail(err, rc, "HKDF-SHA-512 of OpenSSL failed");
}

int
dlv_sealed_seal(const struct slk_secret *data_key,
	const uint8_t message_id[DLV_SEALED_MESSAGE_ID_BYTES], const char *engine,
	struct dlv_sealed **out, uint8_t out_commitment[DLV_SEALED_COMMITMENT_BYTES],
	struct slk_error *err)
{
	uint8_t commitment[DLV_SEALED_COMMITMENT_BYTES];

	int rc = commit(data_key, message_id, commitment, err);
	if (rc == SLK_OK)
		rc = sealed_new(data_key, message_id, engine, false, out, err);
	if (rc == SLK_OK)
		memcpy(out_commitment, commitment, sizeof(commitment));
	return rc;
}

int
dlv_sealed_open(const struct slk_secret *data_key,
	const uint8_t message_id[DLV_SEALED_MESSAGE_ID_BYTES],
	const uint8_t commitment[DLV_SEALED_COMMITMENT_BYTES], const char *engine,
	struct dlv_sealed **out, struct slk_error *err)
{
	uint8_t own[DLV_SEALED_COMMITMENT_BYTES];

	int rc = commit(data_key, message_id, own, err);
	if (rc != SLK_OK)
		return rc;
	if (!slk_equal_ct(own, commitment, sizeof(own)))
		rc = slk_fail(err, SLK_BAD_COMMITMENT,
			"the data key is not the one that the object was sealed with (x-amz-d, "
			"x-amz-i)");
	slk_wipe(own, sizeof(own)); /* the right one of a forged object is nobody's to see */
	return rc == SLK_OK ? sealed_new(data_key, message_id, engine, true, out, err) : rc;
}

void
dlv_sealed_free(struct dlv_sealed *sealed)
{
	if (sealed == NULL)
		return;
	seal_stream_free(sealed->stream);
	seal_key_free(sealed->key);
	seal_thread_free(sealed->thread);
	free(sealed);
}

struct seal_stream *
dlv_sealed_stream(const struct dlv_sealed *sealed)
{
	return sealed->stream;
}
