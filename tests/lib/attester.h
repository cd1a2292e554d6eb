/* An appliance's attestation key in software, for tests that need signatures without a kmsd. */
#ifndef SLK_TESTS_LIB_ATTESTER_H
#define SLK_TESTS_LIB_ATTESTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct attester {
	void *key; /* EVP_PKEY */
	uint8_t der[128]; /* SubjectPublicKeyInfo */
	size_t der_len;
};

/* A fresh key of the group ("P-256", "P-384"). Functions fail the running test. */
void attester_init(struct attester *a, const char *group);
void attester_fini(struct attester *a);
struct slk_span attester_der(const struct attester *a);
/* Sign digest for purpose, as kmsd would; out: 128 bytes. */
size_t attester_sign(
	const struct attester *a, const char *purpose, const uint8_t digest[32], uint8_t *out);

#endif
