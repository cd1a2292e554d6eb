/* OSSL_STORE: sealock:key/ID, sealock:alias/NAME and sealock:ARN as URIs of keys. */
#ifndef SEALOCK_PROV_STORE_H
#define SEALOCK_PROV_STORE_H

#include <openssl/core_dispatch.h>

extern const OSSL_DISPATCH prov_store[];

#endif
