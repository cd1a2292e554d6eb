/* Signatures with a private key in the HSM: RSA (PKCS#1 v1.5, PSS) and ECDSA on P-256, P-384 and P-521.
 *
 * The digest is computed here, kmsd signs it; messages never leave the program. Verification needs the public half alone and
 * is OpenSSL's own. What KMS has no name for (SHA-1, PSS with another salt length than the digest's, a bare RSA operation)
 * is refused with a sentence. ECDSA takes the leftmost bits of a digest (FIPS 186-4, 6.4), so that any digest can be signed
 * with any curve: it is cut, or given leading zeros, to the length of the curve's KMS algorithm.
 */
#ifndef SEALOCK_PROV_SIGNATURE_H
#define SEALOCK_PROV_SIGNATURE_H

#include <openssl/core_dispatch.h>

extern const OSSL_DISPATCH prov_signature_rsa[];
extern const OSSL_DISPATCH prov_signature_ecdsa[];

#endif
