#include "slk_test.h"

#include "attester.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "format/attest.h"

void
attester_init(struct attester *a, const char *group)
{
	uint8_t *p = a->der;

	a->key = EVP_EC_gen(group);
	assert_non_null(a->key);
	int len = i2d_PUBKEY(a->key, NULL);
	assert_true(len > 0 && (size_t)len <= sizeof(a->der));
	assert_int_equal(i2d_PUBKEY(a->key, &p), len);
	a->der_len = (size_t)len;
}

void
attester_fini(struct attester *a)
{
	EVP_PKEY_free(a->key);
	a->key = NULL;
}

struct slk_span
attester_der(const struct attester *a)
{
	return slk_span(a->der, a->der_len);
}

size_t
attester_sign(const struct attester *a, const char *purpose, const uint8_t digest[32], uint8_t *out)
{
	uint8_t text[FMT_ATTEST_TEXT_MAX];
	size_t text_len = 0, len = 128;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	assert_non_null(ctx);
	assert_ok(fmt_attest_text(purpose, digest, text, &text_len));
	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, a->key, NULL), 1);
	assert_int_equal(EVP_DigestSign(ctx, out, &len, text, text_len), 1);
	EVP_MD_CTX_free(ctx);
	return len;
}
