/* GZIP and ZSTD as a stream, with a bound for what comes out known beforehand.
 *
 * GZIP is libisal's (igzip): at level 1 five times the rate of zlib's level 1 at a better ratio on JSON logs
 * (docs/delivery-objects.md). The memory is the caller's, for it holds plaintext. Thread: one at a time.
 */
#ifndef DELIVERY_COMPRESSOR_H
#define DELIVERY_COMPRESSOR_H

#include <stdbool.h>

#include "base/bytes.h"
#include "delivery/spec.h"

struct dlv_compressor;

/* Bytes of memory, aligned to 64, that one needs; 0: there is none (DLV_UNCOMPRESSED, a level that is none, or a build without
 * it). level: 0: 1. */
size_t dlv_compressor_bytes(enum dlv_compression compression, int level);
/* In memory of that size, zeroed. Nothing is to be given back but the memory, wiped. */
MUST_USE int dlv_compressor_init(enum dlv_compression compression, int level, void *memory,
	struct dlv_compressor **out_compressor);
/* What comes out at most when more bytes go in, and then the end, whatever went in before. */
size_t dlv_compressor_bound(const struct dlv_compressor *compressor, size_t more);
/* Take all of in; write at most cap bytes. end: the stream ends with it. SLK_INTERNAL: the library failed, or cap was below the
 * bound and did not do. */
MUST_USE int dlv_compressor_put(struct dlv_compressor *compressor, struct slk_span in, bool end,
	uint8_t *out, size_t cap, size_t *out_len);

#endif
