#include "seal/attest.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "format/attest.h"

#define KEYS_MAX 16u
#define GROUP "prime256v1" /* P-256, as OpenSSL calls it */

int
seal_sha256(struct slk_span in, uint8_t out[SEAL_SHA256_BYTES])
{
	size_t len = 0;

	if (EVP_Q_digest(NULL, "SHA256", "?provider=default",
		    in.ptr != NULL ? (const void *)in.ptr : "", in.len, out, &len) != 1 ||
		len != SEAL_SHA256_BYTES)
		return SLK_INTERNAL;
	return SLK_OK;
}

/* NULL unless der is exactly a P-256 public key. */
static EVP_PKEY *
read_key(struct slk_span der)
{
	const uint8_t *p = der.ptr;
	char group[32] = "";
	size_t len = 0;

	if (der.len == 0 || der.len > 4096)
		return NULL;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)der.len);
	if (key != NULL && p == der.ptr + der.len && EVP_PKEY_is_a(key, "EC") == 1 &&
		EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
		strcmp(group, GROUP) == 0)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

int
seal_attest_verify(struct slk_span public_key, const char *purpose,
	const uint8_t digest[SEAL_SHA256_BYTES], struct slk_span signature)
{
	uint8_t text[FMT_ATTEST_TEXT_MAX];
	size_t len = 0;
	EVP_MD_CTX *ctx = NULL;
	int rc = fmt_attest_text(purpose, digest, text, &len);

	if (rc != SLK_OK)
		return rc;
	ERR_set_mark();
	EVP_PKEY *key = read_key(public_key);
	if (key == NULL) {
		rc = SLK_MALFORMED;
		goto out;
	}
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL ||
		EVP_DigestVerifyInit_ex(
			ctx, NULL, "SHA256", NULL, "?provider=default", key, NULL) != 1)
		rc = SLK_INTERNAL;
	else if (EVP_DigestVerify(ctx, signature.ptr, signature.len, text, len) != 1)
		rc = SLK_BAD_TAG;
out:
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	ERR_pop_to_mark();
	return rc;
}

/* --- pinned keys --- */

struct seal_attest_keys {
	size_t count;
	struct {
		uint8_t *der;
		size_t len;
	} list[KEYS_MAX];
};

static int
add(struct seal_attest_keys *keys, struct slk_span der)
{
	EVP_PKEY *key = read_key(der);

	if (key == NULL)
		return SLK_MALFORMED;
	EVP_PKEY_free(key);
	if (keys->count == KEYS_MAX)
		return SLK_LIMIT;
	uint8_t *copy = malloc(der.len);
	if (copy == NULL)
		return SLK_NO_MEMORY;
	memcpy(copy, der.ptr, der.len);
	keys->list[keys->count].der = copy;
	keys->list[keys->count++].len = der.len;
	return SLK_OK;
}

static int
add_all(struct seal_attest_keys *keys, BIO *bio, struct slk_error *err)
{
	char *name = NULL, *header = NULL;
	uint8_t *der = NULL;
	long len = 0;
	int rc = SLK_OK;

	while (rc == SLK_OK && PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
		rc = strcmp(name, PEM_STRING_PUBLIC) == 0 ? add(keys, slk_span(der, (size_t)len))
							  : SLK_MALFORMED;
		if (rc == SLK_MALFORMED)
			rc = slk_fail(err, SLK_CONFIG,
				"number %zu in it is no P-256 public key, but a %.40s",
				keys->count + 1, name);
		else if (rc == SLK_LIMIT)
			rc = slk_fail(err, SLK_CONFIG, "it holds more than %u keys", KEYS_MAX);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	if (rc == SLK_OK && keys->count == 0)
		return slk_fail(err, SLK_CONFIG,
			"it holds no public key; 'sealock key attestation-key' prints one");
	return rc;
}

int
seal_attest_keys_new(struct slk_span pem, struct seal_attest_keys **out_keys, struct slk_error *err)
{
	struct seal_attest_keys *keys = calloc(1, sizeof(*keys));

	ERR_set_mark();
	BIO *bio = pem.len <= 65536
		? BIO_new_mem_buf(pem.len > 0 ? (const void *)pem.ptr : "", (int)pem.len)
		: NULL;
	int rc = SLK_OK;
	if (pem.len > 65536)
		rc = slk_fail(err, SLK_CONFIG, "it is larger than 64 KiB");
	else if (keys == NULL || bio == NULL)
		rc = slk_fail(err, SLK_NO_MEMORY, "out of memory");
	else
		rc = add_all(keys, bio, err);
	BIO_free(bio);
	ERR_pop_to_mark();
	if (rc != SLK_OK) {
		seal_attest_keys_free(keys);
		return rc;
	}
	*out_keys = keys;
	return SLK_OK;
}

int
seal_attest_keys_from_der(struct slk_span der, struct seal_attest_keys **out_keys)
{
	struct seal_attest_keys *keys = calloc(1, sizeof(*keys));

	if (keys == NULL)
		return SLK_NO_MEMORY;
	ERR_set_mark();
	int rc = add(keys, der);
	ERR_pop_to_mark();
	if (rc != SLK_OK) {
		seal_attest_keys_free(keys);
		return rc;
	}
	*out_keys = keys;
	return SLK_OK;
}

void
seal_attest_keys_free(struct seal_attest_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < keys->count; i++)
		free(keys->list[i].der);
	free(keys);
}

bool
seal_attest_keys_has(const struct seal_attest_keys *keys, struct slk_span der)
{
	for (size_t i = 0; i < keys->count; i++)
		if (slk_span_equal(slk_span(keys->list[i].der, keys->list[i].len), der))
			return true;
	return false;
}

int
seal_attest_pem(struct slk_span der, char *out, size_t cap)
{
	char *text = NULL;
	int rc = SLK_MALFORMED;

	ERR_set_mark();
	EVP_PKEY *key = read_key(der);
	BIO *bio = BIO_new(BIO_s_mem());
	if (key != NULL && bio != NULL && PEM_write_bio_PUBKEY(bio, key) == 1) {
		long len = BIO_get_mem_data(bio, &text);
		rc = len > 0 && (size_t)len < cap ? SLK_OK : SLK_FULL;
		if (rc == SLK_OK) {
			memcpy(out, text, (size_t)len);
			out[len] = '\0';
		}
	}
	BIO_free(bio);
	EVP_PKEY_free(key);
	ERR_pop_to_mark();
	return rc;
}
