/* What an HTTP endpoint answers: {"requestId":"<the same>","timestamp":<ms>[,"errorMessage":"..."]}
 *
 * Pure. Thread: any.
 */
#ifndef DELIVERY_HTTP_ANSWER_H
#define DELIVERY_HTTP_ANSWER_H

#include <stdbool.h>

#include "base/bytes.h"

#define HTTP_ANSWER_DEPTH_MAX 32u

struct http_answer {
	char request_id[128]; /* "" if there is none; cut */
	char said[256]; /* errorMessage, cut; may quote records: remark.h cleans it */
};

/* Members that are not named here are passed over; one that is named twice, or is no text, is refused. SLK_MALFORMED: no JSON object of
 * that form; SLK_LIMIT: too deep; SLK_NO_MEMORY. */
MUST_USE int http_answer_read(struct slk_span body, struct http_answer *out_answer);

#endif
