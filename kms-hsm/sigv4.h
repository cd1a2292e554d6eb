/* Keys of AWS Signature Version 4: what a secret access key signs with on one day, in one region, for one service.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, "Derive a signing key".
 * Thread: one at a time.
 */
#ifndef KMS_HSM_SIGV4_H
#define KMS_HSM_SIGV4_H

#include <stdbool.h>

#include "hmac.h"

#define KMS_SECRET_CHARS 40u /* of a secret access key, base64 */
#define KMS_SECRET_BYTES 30u /* that it is made of */
#define KMS_SIGV4_NAME_MAX 64u /* of a region or a service */

struct kms_sigv4_scope {
	char date[9]; /* YYYYMMDD */
	char region[KMS_SIGV4_NAME_MAX + 1];
	char service[KMS_SIGV4_NAME_MAX + 1];
};

/* secret: the base64 of these bytes is the secret access key. SLK_INTERNAL, SLK_NO_MEMORY. */
MUST_USE int kms_sigv4_key(struct kms_hmac *hmac, const uint8_t secret[KMS_SECRET_BYTES],
	const struct kms_sigv4_scope *scope, uint8_t out[KMS_SHA256_BYTES]);

/* 1..KMS_SIGV4_NAME_MAX of a-z 0-9 and -. */
bool kms_sigv4_is_name(const char *text);
/* Does the calendar have such a day, and is it yesterday, today or tomorrow, in UTC? */
bool kms_sigv4_is_near(const char *date, uint64_t wall_ns);

#endif
