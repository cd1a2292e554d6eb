/* Named data keys as EVP_SKEY (OpenSSL 3.5 and later): an opaque key whose raw bytes are the handle and which nobody can
 * export. Type SEALOCK-DATA-KEY, for the cipher SEALOCK-AES-256-GCM. Before 3.5 there is nothing of this. */
#ifndef SEALOCK_PROV_SKEY_H
#define SEALOCK_PROV_SKEY_H

#include <openssl/core_dispatch.h>
#include <stdint.h>

#include "format/datakey.h"

#ifdef OSSL_OP_SKEYMGMT

#define PROV_SKEY_TYPE "SEALOCK-DATA-KEY"

struct prov_skey {
	uint8_t handle[FMT_DATAKEY_HANDLE_BYTES];
	char id[2 * FMT_DATAKEY_ID_BYTES + 1];
};

extern const OSSL_DISPATCH prov_skeymgmt[];

#endif

#endif
