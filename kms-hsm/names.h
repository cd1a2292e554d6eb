/* Names of keys, aliases, streams and principals, and their ARNs.
 *
 *     arn:aws:kms:REGION:ACCOUNT:key/UUID                arn:aws:kms:REGION:ACCOUNT:alias/NAME
 *     arn:aws:kinesis:REGION:ACCOUNT:stream/NAME         arn:aws:iam::ACCOUNT:user/NAME, role/NAME,
 * root
 *     arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME
 *
 * The stream that a delivery stream of direct puts has in the journal is called deliverystream/NAME, which no stream of Kinesis
 * can be, and its ARN is that of the delivery stream.
 *
 * Thread: any; all functions are pure.
 */
#ifndef KMS_HSM_NAMES_H
#define KMS_HSM_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "format/uuid.h"

#define KMS_ARN_MAX 320u /* with terminator */
#define KMS_ALIAS_MAX 257u /* "alias/..." with terminator */
#define KMS_STREAM_MAX 129u /* with terminator */
#define KMS_DELIVERY_MAX 65u /* likewise */
#define KMS_DELIVERY_PREFIX "deliverystream/"
#define KMS_MATERIAL_TEXT 65u /* with terminator */

/* Where this kmsd is; borrowed from the configuration. */
struct kms_realm {
	const char *account;
	const char *region;
};

void kms_arn_key(
	const struct kms_realm *realm, const uint8_t id[FMT_UUID_BYTES], char out[KMS_ARN_MAX]);
void kms_arn_alias(const struct kms_realm *realm, const char *alias, char out[KMS_ARN_MAX]);
/* stream: of Kinesis, or deliverystream/NAME. */
void kms_arn_stream(const struct kms_realm *realm, const char *stream, char out[KMS_ARN_MAX]);
void kms_arn_delivery(const struct kms_realm *realm, const char *name, char out[KMS_ARN_MAX]);

/* KeyMaterialId of a generation of a key, as clients see it: 64 hex digits, the key's id and then the backing key's. */
void kms_material_print(const uint8_t key_id[FMT_UUID_BYTES],
	const uint8_t backing_id[FMT_UUID_BYTES], char out[KMS_MATERIAL_TEXT]);

enum kms_ref_kind { KMS_REF_KEY, KMS_REF_ALIAS };

/* A key as a caller named it. */
struct kms_ref {
	enum kms_ref_kind kind;
	uint8_t id[FMT_UUID_BYTES]; /* KMS_REF_KEY */
	char alias[KMS_ALIAS_MAX]; /* KMS_REF_ALIAS */
	char arn[KMS_ARN_MAX]; /* what was named, in full: for refusals */
};

/* Read an id, ARN, alias name or alias ARN of this realm. SLK_NOT_FOUND for anything else; *out is
 * untouched then. */
MUST_USE int kms_ref_parse(
	const struct kms_realm *realm, const char *text, struct kms_ref *out_ref);

/* "alias/" and 1..250 of [a-zA-Z0-9:/_-], not alias/aws/. SLK_INVALID. */
MUST_USE int kms_alias_check(const char *alias);

/* 1..128 of [a-zA-Z0-9_.-]. SLK_INVALID. */
MUST_USE int kms_stream_check(const char *name);

/* Read a stream's name or ARN of this realm into its name. SLK_INVALID if it can be neither. */
MUST_USE int kms_stream_parse(
	const struct kms_realm *realm, const char *text, char out_name[KMS_STREAM_MAX]);

/* 1..64 of [a-zA-Z0-9_.-]. SLK_INVALID. */
MUST_USE int kms_delivery_check(const char *name);
/* As kms_stream_parse(), of a delivery stream. */
MUST_USE int kms_delivery_parse(
	const struct kms_realm *realm, const char *text, char out_name[KMS_DELIVERY_MAX]);
/* Any stream that the journal has: as kms_stream_parse(), and deliverystream/NAME or the ARN of a delivery stream, for its
 * stream of direct puts. */
MUST_USE int kms_any_stream_parse(
	const struct kms_realm *realm, const char *text, char out_name[KMS_STREAM_MAX]);
/* The delivery stream that a stream of the journal belongs to; NULL: it is one of Kinesis. Within name. */
const char *kms_stream_delivery(const char *name);

/* Write in full what may be short: "user/x", "role/x" and "root" become ARNs of this account;
 * "key/..", "alias/..", "stream/.." and "deliverystream/.." become ARNs of this realm; "arn:.." and "*" stay as they
 * are. Patterns may hold * and ?. SLK_INVALID for anything else, or if it does not fit. */
MUST_USE int kms_arn_principal(
	const struct kms_realm *realm, const char *text, char out[KMS_ARN_MAX]);
MUST_USE int kms_arn_resource(
	const struct kms_realm *realm, const char *text, char out[KMS_ARN_MAX]);

#endif
