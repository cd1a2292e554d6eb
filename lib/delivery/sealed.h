/* Objects sealed on the client's side, in the format of the Amazon S3 Encryption Client: what deliverd writes and `sealock open`
 * reads. docs/delivery-objects.md has every byte and header.
 *
 *     data key (KMS) ──HKDF-SHA-512, salt: message id──┬─► content key ─► AES-256-GCM over the whole object, tag behind it
 *                                                      └─► commitment, in the metadata
 *
 * It is the client's message format 3 with the algorithm suite ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY (0x0073), which clients of
 * version 4 write and read unless they are told otherwise, and those of version 3 read from their late releases on. The content
 * key is of one message, so its nonce is a constant; the AAD is the suite's number. Thread: one at a time.
 */
#ifndef SLK_DELIVERY_SEALED_H
#define SLK_DELIVERY_SEALED_H

#include "base/error.h"
#include "base/secret.h"
#include "seal/stream.h"

#define DLV_SEALED_SUITE 0x0073u
#define DLV_SEALED_KEY_BYTES 32u
#define DLV_SEALED_MESSAGE_ID_BYTES 28u
#define DLV_SEALED_COMMITMENT_BYTES 28u
#define DLV_SEALED_TAG_BYTES SEAL_TAG_BYTES
/* The encryption context of the data key. A reader has to name every pair but this one, so there is no other. */
#define DLV_SEALED_CONTEXT "{\"aws:x-amz-cek-alg\":\"115\"}"

struct dlv_sealed;

/* Begin to seal; message_id: random, never used with this data key before. engine: as seal_thread_new(). SLK_INVALID (a data key
 * that has not 32 bytes), SLK_NO_MEMORY, SLK_INTERNAL, codes of seal_thread_new(). */
MUST_USE int dlv_sealed_seal(const struct slk_secret *data_key,
	const uint8_t message_id[DLV_SEALED_MESSAGE_ID_BYTES], const char *engine,
	struct dlv_sealed **out, uint8_t out_commitment[DLV_SEALED_COMMITMENT_BYTES],
	struct slk_error *err);
/* Begin to open. SLK_BAD_COMMITMENT: another data key or message id than it was sealed with. */
MUST_USE int dlv_sealed_open(const struct slk_secret *data_key,
	const uint8_t message_id[DLV_SEALED_MESSAGE_ID_BYTES],
	const uint8_t commitment[DLV_SEALED_COMMITMENT_BYTES], const char *engine,
	struct dlv_sealed **out, struct slk_error *err);
void dlv_sealed_free(struct dlv_sealed *sealed); /* wipes; NULL allowed */
/* The message: all of the object but its tag, then the tag. Borrowed. */
struct seal_stream *dlv_sealed_stream(const struct dlv_sealed *sealed);

#endif
