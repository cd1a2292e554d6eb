/* Published AES-GCM vectors, read from where they are installed: NIST CAVP (Debian's python3-cryptography-vectors) and
 * Wycheproof (beside the source tree, when present). */
#ifndef TESTS_LIB_GCM_VECTORS_H
#define TESTS_LIB_GCM_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCM_FIELD_MAX 1024u

struct gcm_field {
	uint8_t bytes[GCM_FIELD_MAX];
	size_t len;
};

struct gcm_vector {
	struct gcm_field key, nonce, aad, plain, sealed, tag;
	bool refused; /* it must not open; plain is empty then */
};

typedef void (*gcm_vector_fn)(void *arg, const struct gcm_vector *vector);

/* Each case of one of the six files: gcmEncryptExtIV128, gcmDecrypt256 ... false, with the reason printed, if it is not
 * there. Each has 7,875 cases. */
bool gcm_vectors_nist(const char *name, gcm_vector_fn each, void *arg);
/* Each case of aes_gcm_test.json; *out_count as the file itself says. */
bool gcm_vectors_wycheproof(gcm_vector_fn each, void *arg, size_t *out_count);

#endif
