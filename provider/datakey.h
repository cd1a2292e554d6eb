/* The plaintexts of named data keys, in this process: fetched from kmsd at first use, kept for five minutes at most.
 *
 * A handle (format/datakey.h) says which file of the directory of data keys has the wrapped key; kmsd unwraps it for the uid of
 * the process, under kms:Decrypt. So a right that is taken away acts within five minutes. Thread: any.
 */
#ifndef SEALOCK_PROV_DATAKEY_H
#define SEALOCK_PROV_DATAKEY_H

#include "base/secret.h"
#include "format/datakey.h"
#include "prov.h"

#define PROV_DATA_KEYS_DIR "/var/lib/sealock/data-keys"
#define PROV_SUBKEY_BYTES 32u
#define PROV_SALT_BYTES 16u

/* The subkey of one message: HKDF-SHA-256 (RFC 5869) of the data key, with the salt, for "sealock named data key 1" and the
 * handle. out: in locked memory. false: an error was raised. */
bool prov_datakey_subkey(struct prov *prov, const uint8_t handle[FMT_DATAKEY_HANDLE_BYTES],
	const uint8_t salt[PROV_SALT_BYTES], uint8_t out[PROV_SUBKEY_BYTES]);

/* At load. false: no memory. */
bool prov_datakey_open(struct prov *prov);
/* At teardown. */
void prov_datakey_close(struct prov *prov);

#endif
