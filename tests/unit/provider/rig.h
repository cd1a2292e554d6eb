/* A library context with the default provider and ours in it, and one cipher of each. */
#ifndef TESTS_PROVIDER_RIG_H
#define TESTS_PROVIDER_RIG_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "slk_test.h"

struct rig {
	OSSL_LIB_CTX *libctx;
	OSSL_PROVIDER *theirs, *ours;
};

/* An openssl.cnf that loads both; always: where OpenSSL's own code is as wide, too. */
static inline void
rig_configure(OSSL_LIB_CTX *libctx, const char *ciphers)
{
	char path[] = "/tmp/sealock-provider.XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	assert_non_null(f);
	assert_true(fprintf(f,
			    "openssl_conf = i\n[i]\nproviders = p\n[p]\ndefault = d\nsealock = s\n"
			    "[d]\nactivate = 1\n[s]\nmodule = " PROVIDER_DIR "/sealock.so\n"
			    "activate = 1\nciphers = %s\n",
			    ciphers) > 0);
	assert_int_equal(fclose(f), 0);
	int good = OSSL_LIB_CTX_load_config(libctx, path);
	(void)remove(path);
	assert_int_equal(good, 1);
}

/* 77, the skip of a whole program, where this CPU has no code for it: to be returned by main. */
static inline int
rig_open(struct rig *r)
{
	r->libctx = OSSL_LIB_CTX_new();
	assert_non_null(r->libctx);
	rig_configure(r->libctx, "always");
	r->theirs = OSSL_PROVIDER_load(r->libctx, "default");
	assert_non_null(r->theirs);
	r->ours = OSSL_PROVIDER_load(r->libctx, "sealock");
	assert_non_null(r->ours);
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(r->libctx, "AES-256-GCM", "provider=sealock");
	EVP_CIPHER_free(cipher);
	if (cipher != NULL)
		return 0;
	print_message("skipped: this CPU has no AES-NI\n");
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
