/* The parts of the provider bench: ciphers through EVP, and TLS over loopback. */
#ifndef SLK_BENCH_PROVIDER_PROVIDER_BENCH_H
#define SLK_BENCH_PROVIDER_PROVIDER_BENCH_H

#include <openssl/evp.h>
#include <openssl/provider.h>

#include "base/error.h"
#include "base/hist.h"
#include "harness/bench.h"

/* A library context in which programs get one provider's ciphers. */
struct pb_side {
	const char *name; /* "default", "sealock" */
	OSSL_LIB_CTX *libctx;
	OSSL_PROVIDER *providers[2];
};
MUST_USE int pb_side_open(struct pb_side *side, bool ours, struct slk_error *err);
void pb_side_close(struct pb_side *side);

/* CPU time per GB of application data, kernel included, of one transfer by TLS 1.3 (AES-256-GCM, 16 KiB writes) between two
 * processes over loopback, after the handshake. */
struct pb_transfer {
	uint64_t sender_ns_per_gb, receiver_ns_per_gb;
};
MUST_USE int pb_transfer(
	const struct pb_side *side, uint64_t bytes, struct pb_transfer *out, struct slk_error *err);

#endif
