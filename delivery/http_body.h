/* The body of a request to an HTTP endpoint, as Firehose makes it:
 *
 *     {"requestId":"<batch id>","timestamp":<ms>,"records":[{"data":"<base64>"},{"data":"<base64>"}]}
 *
 * of the batch's raw records, in one pass, as it is or as GZIP (RFC 1952). Thread: one at a time.
 */
#ifndef DELIVERY_HTTP_BODY_H
#define DELIVERY_HTTP_BODY_H

#include "base/error.h"
#include "batch.h"

/* Bytes of a body at most, beside those of its records; and of a record of len bytes. Compressed it is no longer. */
#define HTTP_BODY_EXTRA 1024u
static inline size_t
http_body_record_max(size_t len)
{
	return (len + 2) / 3 * 4 + sizeof("{\"data\":\"\"},");
}

struct http_body;
/* gzip: with room for the compressor, of the pool. SLK_LIMIT, SLK_NO_MEMORY. */
MUST_USE int http_body_new(struct dlv_pool *pool, bool gzip, struct http_body **out_body);
void http_body_free(struct http_body *body); /* wipes; NULL allowed */
/* Write batch->body, which has room for it (the sums above), out of raw and entries. SLK_INTERNAL: it has not. */
MUST_USE int http_body_make(struct http_body *body, struct dlv_batch *batch, struct slk_error *err);

#endif
