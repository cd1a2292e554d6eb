/* The provider's sessions with kmsd: as many as there are threads in calls at once, kept for the next call.
 *
 * Connected at first use. A child of fork makes its own. Each call has the deadline of the settings; kmsd's refusal, or its
 * absence, becomes an error of ours with kmsd's sentence. Nothing is tried in software instead. Thread: any.
 */
#ifndef SEALOCK_PROV_KMS_H
#define SEALOCK_PROV_KMS_H

#include "kmsclient/crypto.h"
#include "prov.h"

/* false: an error was raised; *out is untouched. key: an id, ARN or alias. */
bool prov_kms_public_key(struct prov *prov, const char *key, struct kmsc_public_key *out);
/* digest is of the algorithm's length. */
bool prov_kms_sign(struct prov *prov, const char *key, const char *algorithm,
	const unsigned char *digest, size_t len, struct kmsc_signature *out);
/* The receiver frees *out. */
bool prov_kms_decrypt(struct prov *prov, const char *key, const char *algorithm,
	const unsigned char *sealed, size_t len, struct slk_secret **out);

/* A wrapped key, which names its CMK itself. The receiver frees *out. */
bool prov_kms_unwrap(struct prov *prov, const struct fmt_context *context, struct slk_span blob,
	struct slk_secret **out);

/* At teardown: close what is kept. */
void prov_kms_close(struct prov *prov);

#endif
