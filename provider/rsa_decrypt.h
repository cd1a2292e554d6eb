/* RSA decryption (OAEP with SHA-1 or SHA-256) by the HSM; encryption with the public half is OpenSSL's own. */
#ifndef SEALOCK_PROV_RSA_DECRYPT_H
#define SEALOCK_PROV_RSA_DECRYPT_H

#include <openssl/core_dispatch.h>

extern const OSSL_DISPATCH prov_asym_cipher_rsa[];

#endif
