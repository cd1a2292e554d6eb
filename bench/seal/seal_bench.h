/* The parts of the seal bench. */
#ifndef SLK_BENCH_SEAL_SEAL_BENCH_H
#define SLK_BENCH_SEAL_SEAL_BENCH_H

#include <intel-ipsec-mb.h>
#include <openssl/evp.h>

#include "format/block.h"
#include "harness/bench.h"
#include "seal/seal.h"

#define AAD_BYTES FMT_BLOCK_HEADER_BYTES
#define BURST 32u /* items per seal_burst() */
#define ITEMS_MAX 512u /* of one working set */
#define PIECES_MAX 64u /* of one item */
#define WORKING_SET_MAX (256u << 10)

/* Keyed contenders of one key length. */
struct seal_keys {
	size_t key_len;
	struct seal_thread *thread; /* lib/seal, the engine that "auto" chooses */
	struct seal_key *key;
	struct seal_thread *openssl_thread; /* lib/seal on OpenSSL */
	struct seal_key *openssl_key;
	IMB_MGR *mgr; /* ipsec-mb called directly */
	struct gcm_key_data *schedule;
	_Alignas(64) struct gcm_context_data work;
	EVP_CIPHER_CTX *evp; /* EVP called directly, context reused */
};

/* Items over one working set, ready for any contender. */
struct seal_set {
	struct seal_keys *keys;
	_Alignas(64) struct seal_item items[ITEMS_MAX];
	struct iovec in[ITEMS_MAX * 4];
	uint8_t tags[ITEMS_MAX][SEAL_TAG_BYTES];
	uint8_t aads[ITEMS_MAX][AAD_BYTES];
	uint32_t count;
	uint32_t passes; /* of one run() */
	uint8_t *out;
	size_t out_len;
};

/* Lowest ratios over all sizes and key lengths, and the largest working set. */
struct engine_ratios {
	double burst_to_direct; /* one piece, every size */
	double scatter_to_direct; /* four pieces, every size */
	double burst_to_evp; /* one piece, >= 1 KiB */
	double direct_to_evp; /* the same for bare ipsec-mb calls: no engine on it can do better */
	uint64_t working_set;
};

struct record_ratios {
	double block_to_alone; /* 64 B, sealing only, records/s */
	double framed_block_to_alone; /* 64 B, framing and sealing, records/s */
	double scatter_to_copy; /* 1 KiB, time, the same buffers each time */
	double pool_scatter_to_copy; /* the same, buffers of a whole pool in turn */
	double seal_to_copy; /* time of sealing alone: no way of gathering can do better */
	uint64_t working_set;
};

/* SHA-256 in hex of outputs and tags; false if OpenSSL refuses. */
bool seal_set_hash(const struct seal_set *set, char out[65]);

/* Run methods; arg is a struct seal_set. */
void run_lib_seal(void *arg);
void run_lib_openssl(void *arg);
void run_direct(void *arg);
void run_direct_pieces(void *arg);
void run_evp(void *arg);

/* Measure; memory is WORKING_SET_MAX bytes, 64-byte aligned. */
MUST_USE int bench_engines(
	struct bench *b, struct seal_set *set, uint8_t *memory, struct engine_ratios *out);
MUST_USE int bench_records(
	struct bench *b, struct seal_set *set, uint8_t *memory, struct record_ratios *out);

#endif
