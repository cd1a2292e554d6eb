/* The metadata of a sealed object (sealed.h): six pairs beside its bytes, without which it cannot be opened.
 *
 *     name     value
 *     x-amz-c  115: the algorithm suite
 *     x-amz-3  base64 of the data key as the KMS wrapped it
 *     x-amz-w  12: how it was wrapped (kms+context)
 *     x-amz-t  JSON of the encryption context that it was wrapped with
 *     x-amz-d  base64 of the commitment
 *     x-amz-i  base64 of the message id
 *
 * An S3 store keeps each as a header x-amz-meta-NAME; a directory has them in NAME.meta.json, in the form of `aws s3api
 * head-object`: {"Metadata": {...}}. Pure. Thread: any.
 */
#ifndef SLK_DELIVERY_SEALEDHEAD_H
#define SLK_DELIVERY_SEALEDHEAD_H

#include "base/bytes.h"
#include "delivery/sealed.h"
#include "format/context.h"

#define DLV_SEALED_WRAPPED_MAX 1024u /* bytes; S3 has 2 KB for all metadata of an object */
#define DLV_SEALED_CONTEXT_MAX 1024u /* of JSON */
#define DLV_SEALED_PAIRS 6u
#define DLV_SEALED_HEAD_JSON_MAX 65536u /* more than what a head-object prints */

struct dlv_sealed_head {
	uint8_t message_id[DLV_SEALED_MESSAGE_ID_BYTES], commitment[DLV_SEALED_COMMITMENT_BYTES];
	uint8_t wrapped[DLV_SEALED_WRAPPED_MAX];
	size_t wrapped_len;
	char context_json[DLV_SEALED_CONTEXT_MAX];
};

struct dlv_sealed_text {
	struct {
		const char *name, *value;
	} pairs[DLV_SEALED_PAIRS]; /* values lie in text */
	char text[(DLV_SEALED_WRAPPED_MAX + 2) / 3 * 4 + DLV_SEALED_CONTEXT_MAX + 256];
};

/* wrapped_len: 1 or more; a sealed_text is not copied: it points into itself. */
void dlv_sealed_head_print(const struct dlv_sealed_head *head, struct dlv_sealed_text *out);

/* json: {"Metadata": {...}, ...}; other members and other metadata are passed over. *out_context: what the KMS is to be asked
 * with; the caller's. SLK_INVALID: no metadata of a sealed object; SLK_UNSUPPORTED: another format, algorithm or wrap;
 * SLK_MALFORMED: a value that is none; SLK_TOO_LARGE, SLK_NO_MEMORY; each with a sentence that names the pair. */
MUST_USE int dlv_sealed_head_parse(struct slk_span json, struct dlv_sealed_head *out_head,
	struct fmt_context **out_context, struct slk_error *err);

#endif
