/* A bucket at an S3 store: one object put, in one request or in parts.
 *
 *                      one part
 *     (start) ────────────────────────► PUT ───────────────────────────────► done
 *        │ more                                                               ▲
 *        └──► CREATE ──► PARTS, up to 4 at once ──► COMPLETE ──► done         │
 *                │          │ one fails                │ fails                │
 *                │ fails    └──────────► ABORT ◄───────┘                      │
 *                │                         └── whatever is answered ──────────┤  (with the first failure)
 *                └────────────────────────────────────────────────────────────┘
 *
 * The first object that is to be encrypted by the server goes in parts, even if it is one: a store that leaves the encryption out
 * of its answer to CREATE does not know it, and gets no byte (S3.NotEncrypted). Later answers are looked at, too.
 *
 * A body goes with its CRC-32C; over http, or with the store's sign_payload, its SHA-256 is under the signature, too: a store
 * refuses bytes that were changed on their way, and TLS does. Nothing is tried again here but what libcurl does with a kept connection that has ended: the batch is.
 * Thread: the loop's; dlv_s3_part_hash() any.
 */
#ifndef DELIVERY_S3_REMOTE_H
#define DELIVERY_S3_REMOTE_H

#include "destination.h"
#include "object.h"
#include "stores.h"

#define DLV_S3_PARTS_MAX 10000u
#define DLV_S3_AT_ONCE 4u

struct dlv_s3_remote;
/* store and bucket are borrowed until close; the loop has its dlv_web. Nothing is connected; the file of credentials is looked for
 * at each request. SLK_CONFIG, SLK_NO_MEMORY with a sentence. */
MUST_USE int dlv_s3_remote_open(const struct dlv_store *store, const char *bucket,
	struct dlv_loop *loop, const struct slk_clock *clock, struct dlv_s3_remote **out_remote,
	struct slk_error *err);
void dlv_s3_remote_close(struct dlv_s3_remote *remote); /* nothing is under way; NULL allowed */

/* A part of an object: what proves that it arrived. */
struct dlv_s3_part {
	bool hashed; /* sha256 is one */
	uint8_t sha256[32];
	uint32_t crc32c;
};
/* How an object of len bytes is cut: the size of all parts but the last. len 0 is one part. */
uint64_t dlv_s3_part_bytes(const struct dlv_store *store, uint64_t len);
/* SLK_INTERNAL. */
MUST_USE int dlv_s3_part_hash(
	const struct dlv_store *store, struct slk_span bytes, struct dlv_s3_part *out_part);

/* What is put; all of it borrowed until done or cancel. */
struct dlv_s3_object {
	const char *key;
	struct slk_span body;
	uint64_t part_bytes;
	const struct dlv_s3_part *parts; /* of body, cut so */
	size_t parts_count;
	const char *content_type, *content_encoding; /* content_encoding: NULL */
	const struct dlv_metadata *metadata;
	size_t metadata_count; /* at most DLV_METADATA_MAX */
	/* Server-side encryption: "AES256", "aws:kms", or NULL for what the bucket does by itself. Of aws:kms: */
	const char *sse, *kms_key; /* as the store knows it */
	const char *kms_context; /* base64 of its JSON; NULL */
};

struct dlv_s3_put;
/* done is called once, from the loop, never from here. SLK_NO_MEMORY. */
MUST_USE int dlv_s3_remote_put(struct dlv_s3_remote *remote, const struct dlv_s3_object *object,
	dlv_done done, void *arg, struct dlv_s3_put **out_put);
/* done is not called any more. A multipart upload that was begun stays at the store until its lifecycle rule removes it. */
void dlv_s3_remote_cancel(struct dlv_s3_put *put);

#endif
