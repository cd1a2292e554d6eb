/* What a destination said, without what it may quote of records.
 *
 * Servers repeat the values that they refuse: "failed to parse field [age] ... Preview of field's value: 'secret'". Such a text goes
 * into logs, states and metrics, where records do not belong. So a remark is cut before the first quote or bracket whose content
 * is not known to be harmless, and before words that introduce a quotation. Pure. Thread: any.
 */
#ifndef DELIVERY_REMARK_H
#define DELIVERY_REMARK_H

#include <stdbool.h>

#include "base/bytes.h"

/* Is what stands between quotes or brackets harmless: a name that the description, or the record's own field names, has? */
typedef bool (*dlv_remark_known)(void *arg, struct slk_span word);

/* Printable ASCII, terminated, at most cap - 1 characters; "" if nothing can be kept. known: NULL, nothing is. */
void dlv_remark(struct slk_span said, dlv_remark_known known, void *arg, char *out, size_t cap);

#endif
