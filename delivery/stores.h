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
 * seal says what a description's KMSEncryptionConfig means: client (sealed here, under that key of our KMS; the store gets
 * ciphertext), server (SSE-KMS: the store is told the key's id), s3 (SSE-S3), none (a key in the description is refused).
 */
#ifndef DELIVERY_STORES_H
#define DELIVERY_STORES_H

#include "base/error.h"
#include "base/secret.h"

enum dlv_sealing { DLV_SEAL_NONE, DLV_SEAL_CLIENT, DLV_SEAL_SERVER, DLV_SEAL_S3 };

struct dlv_store {
	const char *bucket; /* a name, or a pattern with * */
	const char *dir; /* NULL: it is an S3 store */
	const char *url, *region, *ca;
	const char *credentials; /* a file */
	bool path_style;
	bool bucket_key; /* SSE-KMS: x-amz-server-side-encryption-bucket-key-enabled */
	enum dlv_sealing seal;
	uint32_t part_bytes; /* multipart from there on; 0: 16 MiB */
};

struct dlv_stores {
	const struct dlv_store *stores;
	size_t count;
};

/* The first that fits; NULL. */
const struct dlv_store *dlv_stores_find(const struct dlv_stores *stores, const char *bucket);

#endif
