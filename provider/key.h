/* A key as OpenSSL holds it: the name of a private key in the HSM and its public half, or a public key alone.
 *
 * The public half is an EVP_PKEY of the default provider in our own library context, so that everything public (comparing,
 * exporting, verifying, encrypting) is OpenSSL's own code. The private half is a name. Counted references. Thread: any.
 */
#ifndef SEALOCK_PROV_KEY_H
#define SEALOCK_PROV_KEY_H

#include <openssl/evp.h>
#include <stdatomic.h>

#include "prov.h"

#define PROV_SCHEME "sealock"

struct prov_key {
	atomic_uint references;
	struct prov *prov;
	bool rsa; /* otherwise EC */
	char *name; /* ARN of the key in the HSM; NULL: public only */
	EVP_PKEY *public; /* NULL: nothing yet (a key that is being imported) */
};

/* Empty, for keymgmt. NULL: an error was raised. */
struct prov_key *prov_key_new(struct prov *prov, bool rsa);
void prov_key_free(struct prov_key *key); /* NULL allowed */
struct prov_key *prov_key_hold(struct prov_key *key);

/* uri: sealock:key/ID, sealock:alias/NAME or sealock:ARN. Asks kmsd for the public half. NULL: an error was raised. */
struct prov_key *prov_key_open(struct prov *prov, const char *uri);

/* "RSA" or "EC", as keymgmt's algorithms are called. */
const char *prov_key_type(const struct prov_key *key);

/* Hand key over to the core as a loaded object: by reference, which prov_key_adopt() takes up on the other side; what
 * nobody took up is freed. */
int prov_key_deliver(struct prov_key *key, OSSL_CALLBACK *callback, void *arg);
struct prov_key *prov_key_adopt(const void *reference, size_t len);

#endif
