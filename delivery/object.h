/* An object's bytes out of records: joined, compressed, sealed; one stream of bytes in one pass.
 *
 *     records ─► delimiter ─► GZIP | ZSTD | as they are ─► sealed for the client | as they are ─► batch->body
 *
 * Sealed for the client: the format of the Amazon S3 Encryption Client (docs/delivery-objects.md): AES-256-GCM under a data key
 * that the KMS wrapped, with what is needed to open it in metadata. The whole object is one GCM message, as that client has
 * it; a body above its limit is refused before it begins. Thread: one at a time.
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
	const char *context_json; /* the encryption context, canonical JSON */
};

struct dlv_object_config {
	enum dlv_compression compression;
	bool delimiter;
	int level; /* of the compression; 0: 1 */
	const struct dlv_object_key *key; /* NULL: not sealed. Borrowed */
};

struct dlv_object;
MUST_USE int dlv_object_new(const struct dlv_object_config *config, struct dlv_object **out_object,
	struct slk_error *err);
void dlv_object_free(struct dlv_object *object); /* wipes; NULL allowed */
/* All of it or nothing: SLK_LIMIT and SLK_NO_MEMORY leave body and object as they were. SLK_TOO_LARGE: one object cannot hold more. */
MUST_USE int dlv_object_add(struct dlv_object *object, struct dlv_buffer *body,
	const struct dlv_record *records, size_t count);
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
