/* The S3 destination: batches become objects in a bucket, which is a directory of this host or at an S3 store (stores.h).
 *
 *     begin    a data key, if objects are sealed for the client (kms:GenerateDataKey as the delivery role)
 *     gather   joined, compressed, sealed (object.h) into batch->body
 *     seal     the key of the object (delivery/names.h); the hashes of its parts; with SSE-KMS under a key of our KMS, whether the
 *              role may kms:GenerateDataKey for it: the store is not asked what the role may not
 *     deliver  put (s3_target.h); again under the same key, whatever happened before
 *
 * Encryption contexts, which policies may demand: of an object sealed here DLV_SEALED_CONTEXT (a reader of AWS's client has to
 * name every pair beyond it); of SSE-KMS {"aws:firehose:arn": ARN of the delivery stream, "aws:s3:arn": ARN of the
 * object, or of the bucket with a bucket key}, of which the store adds the second itself.
 *
 * What follows is for destinations that have objects of their own (Redshift: COPY reads them). dest is what dlv_s3_ops.open() made.
 */
#ifndef DELIVERY_S3_H
#define DELIVERY_S3_H

#include "destination.h"
#include "stores.h"

/* Where the batch's object is, once dlv_s3_ops.seal() was there: borrowed until release. */
const char *dlv_s3_object_key(const struct dlv_batch *batch);
/* The entry of deliverd.yaml; borrowed until close. */
const struct dlv_store *dlv_s3_store_of(const void *dest);

/* An object of bytes as they are: neither compressed nor sealed for the client; encrypted by the server as others are. key, bytes
 * and content_type are borrowed until done, which is called once, from the loop, never from here. SLK_NO_MEMORY, SLK_INTERNAL.
 * Thread: the loop's; bytes are hashed here, so they are few. */
struct dlv_s3_raw;
MUST_USE int dlv_s3_raw_put(void *dest, const char *key, struct slk_span bytes,
	const char *content_type, dlv_done done, void *arg, struct dlv_s3_raw **out_raw);
void dlv_s3_raw_cancel(struct dlv_s3_raw *raw); /* done is not called any more */

#endif
