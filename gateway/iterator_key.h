/* The key that shard iterators are sealed with, from a secret that outlives the process: then they do, too. Thread: start-up. */
#ifndef GATEWAY_ITERATOR_KEY_H
#define GATEWAY_ITERATOR_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

#define GW_ITERATOR_KEY_BYTES 32u

/* From file, which holds 32 to 65,536 secret bytes; if it is NULL from the private key in tls_key, a PEM file. HMAC-SHA-256
 * with a name of its own, so neither tells anything of the other. *out_found false: there is none (no file, and a key that the
 * HSM keeps). SLK_CONFIG with a sentence: file cannot be read, or is too short. */
MUST_USE int gw_iterator_key(const char *file, const char *tls_key,
	uint8_t out_key[GW_ITERATOR_KEY_BYTES], bool *out_found, struct slk_error *err);

#endif
