/* A sealing epoch: one data key, one nonce counter, hard limits.
 *
 * The sealing key and the key commitment are derived from the data key that the KMS generated:
 *
 *     HKDF-SHA-256 (RFC 5869), IKM = data key (32 bytes), salt = empty,
 *     info = "sealock epoch v1" || le64 epoch id || le64 stream id, L = 64 -> sealing key (32) || commitment (32)
 *
 * so that the key block can name the key without giving it away, and two epochs never share a sealing key even if they
 * were given the same data key. The nonce is deterministic (SP 800-38D 8.2.1): 32 zero bits || big-endian 64-bit block
 * number from 0. The counter is never stored and never restored: an epoch dies with its process.
 */
#ifndef SLK_SEAL_EPOCH_H
#define SLK_SEAL_EPOCH_H

#include <stdint.h>

#include "base/secret.h"
#include "base/status.h"
#include "seal/seal.h"

#define SEAL_COMMITMENT_BYTES 32u
#define SEAL_EPOCH_BLOCKS_MAX (1ull << 32)
#define SEAL_EPOCH_BYTES_MAX (1ull << 40)

struct seal_epoch;

/* Derive the sealing key and the commitment. data_key: 32 bytes. out_key: a secret of 32 bytes, to be freed. */
MUST_USE int seal_epoch_derive(const struct slk_secret *data_key, uint64_t epoch_id,
	uint64_t stream_id, struct slk_secret **out_key,
	uint8_t out_commitment[SEAL_COMMITMENT_BYTES]);

/* Begin an epoch for sealing; the counter starts at 0. max_blocks and max_bytes: 0 takes the maxima above, larger is
 * SLK_RANGE. data_key is borrowed until return. */
MUST_USE int seal_epoch_new(struct seal_thread *thread, const struct slk_secret *data_key,
	uint64_t epoch_id, uint64_t stream_id, uint64_t max_blocks, uint64_t max_bytes,
	struct seal_epoch **out_epoch);
void seal_epoch_free(struct seal_epoch *epoch); /* wipes; NULL allowed */

const uint8_t *seal_epoch_commitment(const struct seal_epoch *epoch);
uint64_t seal_epoch_id(const struct seal_epoch *epoch);
uint64_t seal_epoch_stream(const struct seal_epoch *epoch);
uint64_t seal_epoch_blocks(
	const struct seal_epoch *epoch); /* taken so far: the number that comes next */
uint64_t seal_epoch_bytes(const struct seal_epoch *epoch);

/* Take the next block number for len plaintext bytes. SLK_KEY_EXHAUSTED, for good, once a limit is reached; nothing is
 * taken then. Thread: the epoch's only writer. */
MUST_USE int seal_epoch_take(struct seal_epoch *epoch, uint64_t len, uint64_t *out_block);

const struct seal_key *seal_epoch_key(const struct seal_epoch *epoch);

/* The nonce of a block number, for sealing and for opening. */
void seal_nonce(uint64_t block, uint8_t out_nonce[SEAL_NONCE_BYTES]);

#endif
