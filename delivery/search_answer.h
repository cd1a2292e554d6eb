/* What a search cluster answers to _bulk.
 *
 *     {"took":7,"errors":true,"items":[{"index":{"status":201}},
 *         {"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"...","caused_by":{"type":"..."}}}}]}
 *     {"error":{"type":"...","reason":"..."},"status":400}
 *
 * Read in one pass, item by item, with bounded depth and nothing kept but the item at hand, so that what was cut off in the
 * middle still says what became of the documents before. Members that are not named here are passed over; texts are cut to their
 * size. reason may quote documents: remark.h cleans it. Pure. Thread: any.
 */
#ifndef DELIVERY_SEARCH_ANSWER_H
#define DELIVERY_SEARCH_ANSWER_H

#include <stdbool.h>

#include "base/bytes.h"

#define SEARCH_ANSWER_DEPTH_MAX 64u

struct search_error {
	char type[64], cause[64]; /* cause: the type of what caused it */
	char reason[256];
};

struct search_item {
	unsigned status; /* 100..599 */
	struct search_error error;
};

struct search_answer {
	bool has_items;
	size_t items; /* that were complete */
	struct search_error error; /* of the request as a whole */
};

typedef void (*search_item_fn)(void *arg, size_t index, const struct search_item *item);

/* each may be NULL. SLK_OK; SLK_TRUNCATED: sound so far, but there is no end; SLK_MALFORMED: no JSON, or not of this form; SLK_LIMIT:
 * more than items_max items, or too deep; SLK_NO_MEMORY. *out_answer is set, and items were given to each, in any case. */
MUST_USE int search_answer_read(struct slk_span body, size_t items_max, search_item_fn each,
	void *arg, struct search_answer *out_answer);

#endif
