/* SEALOCK-AES-256-GCM: a cipher whose key is the handle of a named data key, for programs that know nothing of handles.
 *
 *     salt, 16 random bytes ‖ ciphertext ‖ tag, 16 bytes
 *
 * Each message has a subkey of its own, from the data key and the salt (datakey.h), and the IV 0 under it, so IVs never meet
 * across processes, restarts and copies; up to 2^48 messages per data key leave a chance of 2^-33 that two salts are the same.
 * The AAD is the handle. To EVP it is no AEAD: what goes out is 32 bytes longer than what went in, and Final says whether it
 * is genuine. It takes no IV. Opening gives out bytes before the tag was checked, as `openssl enc` writes them: who uses them
 * before Final has said yes trusts nobody's word; the last 16 bytes are held back. Up to 2^36 - 32 bytes a message.
 *
 * The data key and the subkeys live in locked memory that no dump has. Thread: one per context at a time.
 */
#ifndef SEALOCK_PROV_NAMED_H
#define SEALOCK_PROV_NAMED_H

#include <openssl/core_dispatch.h>

extern const OSSL_DISPATCH prov_named_gcm[];

#endif
