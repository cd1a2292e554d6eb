/* What an HTTP answer means for a batch, before anybody looks into its body: search and HTTP endpoints read the same table. */
#ifndef DELIVERY_VERDICT_H
#define DELIVERY_VERDICT_H

#include "destination.h"
#include "base/clock.h"
#include "web.h"

/* DLV_DELIVERED: 200, look into the body. Otherwise *out says it all: outcome, error ("https://... answers 503 ..."), code
 * (<prefix>.Throttled, ...), retry_after_ns from Retry-After. who: as a sentence begins, "the search cluster https://a:9200".
 *
 *     no answer        Unavailable, Timeout, ConnectionReset, BadAnswer, NoMemory     DLV_FAILED; Certificate: DLV_REFUSED
 *     401, 403         AccessDenied                                                   DLV_REFUSED
 *     404, 410         NotFound                                                       DLV_REFUSED
 *     408, 425, 429, 503   Throttled                                                  DLV_FAILED
 *     413              TooLarge                                                       DLV_FAILED
 *     other 4xx, 3xx   BadRequest, Redirected                                         DLV_REFUSED
 *     5xx              ServerError                                                    DLV_FAILED
 *     1xx, other 2xx   BadAnswer                                                      DLV_FAILED
 */
void dlv_verdict(const struct dlv_web_answer *answer, const char *prefix, const char *who,
	struct dlv_result *out);

/* out with these words. */
void dlv_verdict_set(struct dlv_result *out, enum dlv_outcome outcome, const char *prefix,
	const char *code, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
