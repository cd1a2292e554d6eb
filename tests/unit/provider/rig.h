/* A library context with the default provider and ours in it, and one cipher of each. */
#ifndef TESTS_PROVIDER_RIG_H
#define TESTS_PROVIDER_RIG_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "slk_test.h"

struct rig {
	OSSL_LIB_CTX *libctx;
	OSSL_PROVIDER *theirs, *ours;
};

/* 77, the skip of a whole program, where this CPU has no code for it: to be returned by main. */
static inline int
rig_open(struct rig *r)
{
	r->libctx = OSSL_LIB_CTX_new();
	assert_non_null(r->libctx);
	assert_int_equal(OSSL_PROVIDER_set_default_search_path(r->libctx, PROVIDER_DIR), 1);
	r->theirs = OSSL_PROVIDER_load(r->libctx, "default");
	assert_non_null(r->theirs);
	r->ours = OSSL_PROVIDER_load(r->libctx, "sealock");
	assert_non_null(r->ours);
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(r->libctx, "AES-256-GCM", "provider=sealock");
	EVP_CIPHER_free(cipher);
	if (cipher != NULL)
		return 0;
	print_message("skipped: sealock.so leaves AES-GCM to OpenSSL on this machine\n");
	return 77;
}

static inline void
rig_close(struct rig *r)
{
	OSSL_PROVIDER_unload(r->ours);
	OSSL_PROVIDER_unload(r->theirs);
	OSSL_LIB_CTX_free(r->libctx);
}

static inline EVP_CIPHER *
rig_cipher(const struct rig *r, unsigned key_bits, bool ours)
{
	char name[32];

	snprintf(name, sizeof(name), "AES-%u-GCM", key_bits);
	EVP_CIPHER *cipher =
		EVP_CIPHER_fetch(r->libctx, name, ours ? "provider=sealock" : "provider=default");
	assert_non_null(cipher);
	return cipher;
}

/* The reason of the newest error, which must be ours; the stack is emptied. */
static inline const char *
rig_reason(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	ERR_clear_error();
	return reason != NULL ? reason : "none";
}

#endif
