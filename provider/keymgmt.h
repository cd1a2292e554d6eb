/* RSA and EC keys whose private half is in the HSM, for EVP's key management.
 *
 * Private parts are never exported and never imported: whoever asks is refused, so that libssl takes our signatures and does
 * not try the default provider's. Public parts go both ways.
 */
#ifndef SEALOCK_PROV_KEYMGMT_H
#define SEALOCK_PROV_KEYMGMT_H

#include <openssl/core_dispatch.h>

extern const OSSL_DISPATCH prov_keymgmt_rsa[];
extern const OSSL_DISPATCH prov_keymgmt_ec[];

#endif
