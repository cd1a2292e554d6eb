/* What S3 stores answer, and what it means for a batch.
 *
 * Bodies are XML of at most DLV_S3_ANSWER_MAX bytes, read by libexpat with bounds: no document type, a depth of at most 16, texts
 * of known elements alone. Nothing in them is believed but what is named here; texts are cut and made printable. Pure. Thread: any.
 */
#ifndef DELIVERY_S3_ANSWER_H
#define DELIVERY_S3_ANSWER_H

#include "base/bytes.h"
#include "destination.h"
#include "web.h"

#define DLV_S3_ANSWER_MAX 65536u

struct dlv_s3_reply {
	char root[64]; /* "Error", "InitiateMultipartUploadResult", ... */
	char code[64], message[161]; /* of an Error; "" */
	char region[64]; /* that the store wants; "" */
	char upload_id[513];
};

/* SLK_MALFORMED: no XML, or not of this kind; SLK_TOO_LARGE: an upload id or the whole; SLK_NO_MEMORY. *out is zeroed on error. */
MUST_USE int dlv_s3_reply_read(struct slk_span body, struct dlv_s3_reply *out);

/* What was asked of whom, for sentences. Texts are borrowed. */
struct dlv_s3_asked {
	const char *what; /* "PutObject" */
	const char *url, *bucket; /* of the store */
	const char *region; /* that requests are signed for */
	const char *key_id; /* the access key's */
	const char *kms_key; /* as the store was told; NULL */
};

/* Every answer but a success, and no answer. reply may be all zero. out->failed stays empty. */
void dlv_s3_verdict(const struct dlv_s3_asked *asked, const struct dlv_web_answer *answer,
	const struct dlv_s3_reply *reply, struct dlv_result *out);
/* A success that is none: what is missing in it. DLV_FAILED. */
void dlv_s3_not_s3(const struct dlv_s3_asked *asked, const char *missing, struct dlv_result *out);
/* The store did not encrypt as it was asked to. DLV_REFUSED. */
void dlv_s3_not_encrypted(
	const struct dlv_s3_asked *asked, const char *sse, struct dlv_result *out);

#endif
