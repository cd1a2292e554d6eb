/* A PEM file that names a key in the HSM, for programs that read keys from PEM files only (nginx, PostgreSQL, haproxy).
 *
 *     -----BEGIN SEALOCK KEY REFERENCE-----
 *     base64 of the text "EC sealock:key/ID\n" or "RSA sealock:alias/NAME\n"
 *     -----END SEALOCK KEY REFERENCE-----
 *
 * It holds no secret: who may use the key is kmsd's to say, by the uid of the process. A decoder each for RSA and EC; what is
 * not its own it leaves alone.
 */
#ifndef SEALOCK_PROV_REFERENCE_H
#define SEALOCK_PROV_REFERENCE_H

#include <openssl/core_dispatch.h>

extern const OSSL_DISPATCH prov_reference_rsa[];
extern const OSSL_DISPATCH prov_reference_ec[];

#endif
