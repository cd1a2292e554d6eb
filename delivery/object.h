/* An object's bytes out of records: joined, compressed, sealed; one stream of bytes in one pass.
 *
 *     records ─► delimiter ─► stage ─► GZIP | ZSTD | as they are ─► sealed for the client | as they are ─► batch->body
 *
 * Sealed for the client: the format of the Amazon S3 Encryption Client (delivery/sealed.h): AES-256-GCM under a data key
 * that the KMS wrapped, with what is needed to open it in metadata. The whole object is one GCM message, as that client has
 * it; an object above its limit is refused before a byte of the call is taken.
 *
 * What a call may write at most is reserved in the body before its first record is looked at: so all of a call's records are in
 * the object, or none, although no compressor can go back. The stage and the compressor's own memory hold plaintext: they are
 * a buffer of the body's pool, made with the first record. Thread: one at a time.
 */
#ifndef DELIVERY_OBJECT_H
#define DELIVERY_OBJECT_H

#include "batch.h"
#include "base/error.h"
#include "delivery/spec.h"

struct dlv_object_key {
	struct slk_secret *data_key; /* 32 bytes */
	struct slk_span wrapped; /* the KMS's ciphertext blob */
	const char *key_arn;
	const char *context_json; /* that it was wrapped with: DLV_SEALED_CONTEXT */
};

struct dlv_object_config {
	enum dlv_compression compression;
	bool delimiter;
	int level; /* of the compression; 0: 1. GZIP 1..3, ZSTD 1..19 */
	const struct dlv_object_key
		*key; /* NULL: not sealed. Borrowed until dlv_object_new() returns */
};

struct dlv_object;
/* SLK_INVALID (a level, a key), SLK_NO_MEMORY, SLK_UNSUPPORTED (built without that compression), codes of dlv_sealed_seal(). */
MUST_USE int dlv_object_new(const struct dlv_object_config *config, struct dlv_object **out_object,
	struct slk_error *err);
void dlv_object_free(struct dlv_object *object); /* wipes; NULL allowed */
/* All of it or nothing: SLK_LIMIT and SLK_NO_MEMORY leave body and object as they were, and so does SLK_TOO_LARGE: one object
 * cannot hold more. SLK_INVALID_STATE after the end; SLK_INTERNAL: a library failed, the object is of no more use. */
MUST_USE int dlv_object_add(struct dlv_object *object, struct dlv_buffer *body,
	const struct dlv_record *records, size_t count);
/* The end of what was compressed, and the tag. Codes as dlv_object_add(). */
MUST_USE int dlv_object_end(struct dlv_object *object, struct dlv_buffer *body);

/* What a store keeps beside the bytes: name (without x-amz-meta-) and value. */
struct dlv_metadata {
	const char *name, *value;
};
#define DLV_METADATA_MAX 12u
/* After dlv_object_end(); borrowed from the object. 0 for one that is not sealed. */
size_t dlv_object_metadata(
	const struct dlv_object *object, struct dlv_metadata out[DLV_METADATA_MAX]);
const char *dlv_object_content_encoding(
	const struct dlv_object *object); /* "gzip", "zstd" or NULL; NULL if it is sealed */

#endif
