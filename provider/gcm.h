/* AES-128/192/256-GCM for EVP, on ipsec-mb's code.
 *
 * The surface of OpenSSL's own: updates in pieces, AAD in pieces (kept until data comes), IVs of 1..128 bytes, tags of 1..16
 * bytes, TLS 1.2 records (AAD, fixed and explicit IV) and 1.3, contexts that are duplicated, in place and not.
 *
 * Life of an IV, by the functions of gcm.c that assign it; an IV that the program sets again is its own business, as in
 * OpenSSL:
 *
 *     none      no IV yet; sealing makes a random one (gcm_begin)
 *     waiting   set by the program (set_iv, tls_fixed); the message has not begun
 *     running   the message has begun (gcm_begin)
 *     finished  the tag was made or checked (gcm_end): nothing more without a new IV
 *
 * Decryption gives out bytes before the tag was checked, as EVP does: who uses them before Final has said yes trusts nobody's
 * word. A TLS record whose tag does not fit is wiped. Standard: NIST SP 800-38D. Thread: one per context at a time.
 */
#ifndef SEALOCK_PROV_GCM_H
#define SEALOCK_PROV_GCM_H

#include <openssl/core_dispatch.h>

extern const OSSL_DISPATCH prov_gcm_128[];
extern const OSSL_DISPATCH prov_gcm_192[];
extern const OSSL_DISPATCH prov_gcm_256[];

#endif
