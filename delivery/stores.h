/* What deliverd.yaml says of buckets: which store holds each, how it is reached, and who seals.
 *
 *     stores:
 *       - bucket: archive                 # a directory of this host: the file destination
 *         dir: /var/lib/sealock/delivered/archive
 *         seal: client
 *       - bucket: "*"                     # an S3 store; the first entry that fits is taken
 *         url: https://s3.example.net:7443
 *         region: us-east-1
 *         credentials: /etc/sealock/deliver/s3.credentials    # as the AWS CLI has them; 0600
 *         ca: /etc/sealock/deliver/s3-ca.pem
 *         path_style: true
 *         seal: server
 *
 * A directory whose bucket is a pattern has a directory for each bucket in it. http: is taken for hosts that are this one (a name
 * of loopback); what is delivered elsewhere goes by https: alone.
 *
 * seal says what a description's KMSEncryptionConfig means: client (sealed here, under that key of our KMS; the store gets
 * ciphertext), server (SSE-KMS: the store is told the key), s3 (SSE-S3 for all objects; a key in the description is refused), none
 * (a key in the description is refused). A description without a key leaves objects as they are, but for s3.
 */
#ifndef DELIVERY_STORES_H
#define DELIVERY_STORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum dlv_sealing { DLV_SEAL_NONE, DLV_SEAL_CLIENT, DLV_SEAL_SERVER, DLV_SEAL_S3 };

struct dlv_store {
	const char *bucket; /* a name, or a pattern with * */
	const char *dir; /* NULL: it is an S3 store */
	const char *url, *region, *ca; /* region: NULL: us-east-1; ca: a file, NULL: the system's */
	const char *credentials; /* a file: keys.h */
	bool path_style; /* https://host/bucket/key; else https://bucket.host/key */
	bool bucket_key; /* SSE-KMS: x-amz-server-side-encryption-bucket-key-enabled */
	bool sign_payload; /* over https, too: the signature covers the body's SHA-256 */
	enum dlv_sealing seal;
	uint32_t part_bytes; /* multipart from there on; 0: DLV_PART_BYTES */
};
#define DLV_PART_BYTES (32u << 20)
#define DLV_PART_BYTES_MIN (5u << 20) /* S3's own */

struct dlv_stores {
	const struct dlv_store *stores;
	size_t count;
};

/* The first that fits; NULL. * stands for any text. */
const struct dlv_store *dlv_stores_find(const struct dlv_stores *stores, const char *bucket);

/* Is the entry sound? Texts alone: no file is looked at. SLK_CONFIG with a sentence. */
MUST_USE int dlv_store_check(const struct dlv_store *store, struct slk_error *err);

#endif
