/* Key pairs of the fake HSM: RSA and ECC by OpenSSL, as a token with every algorithm would do them.
 *
 * Pairs are made once for each spec and kept for the life of the process, since an RSA key takes its time: three that
 * take turns, one of RSA_3072 and RSA_4096. So three keys of a token differ if they follow each other and are smaller than
 * that. Functions return what the worker would (hsm/link.h).
 */
#ifndef SLK_TESTS_LIB_FAKE_PAIRS_H
#define SLK_TESTS_LIB_FAKE_PAIRS_H

#include <openssl/evp.h>

#include "hsm/link.h"

/* The next pair of the spec; borrowed for ever. NULL if OpenSSL cannot. */
EVP_PKEY *fake_pair_next(enum kms_spec spec);
/* DER SubjectPublicKeyInfo into out (KMS_PUBLIC_KEY_MAX bytes); its length, 0 on failure. */
size_t fake_pair_public(const EVP_PKEY *pair, uint8_t *out);

/* out: HSM_OUTPUT_MAX bytes. */
MUST_USE int fake_pair_sign(EVP_PKEY *pair, enum kms_algorithm algorithm, struct slk_span digest,
	uint8_t *out, size_t *out_len);
MUST_USE int fake_pair_verify(EVP_PKEY *pair, enum kms_algorithm algorithm, struct slk_span digest,
	struct slk_span signature);
MUST_USE int fake_pair_encrypt(EVP_PKEY *pair, enum kms_algorithm algorithm, struct slk_span plain,
	uint8_t *out, size_t *out_len);
MUST_USE int fake_pair_decrypt(EVP_PKEY *pair, enum kms_algorithm algorithm, struct slk_span sealed,
	uint8_t *out, size_t *out_len);

#endif
