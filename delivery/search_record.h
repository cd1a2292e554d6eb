/* A record as a document: is it one JSON object, what fields has it, and the form that it has in a _bulk request.
 *
 *     {"index":{"_id":"<batch id>-<shard>-<sequence>"}}\n
 *     <the record on one line>\n
 *
 * The id follows from the batch and the record's place in its shard: what is sent again overwrites itself, in whatever order
 * the records of several shards were gathered. The index is in the request's path. Pure. Thread: any.
 */
#ifndef DELIVERY_SEARCH_RECORD_H
#define DELIVERY_SEARCH_RECORD_H

#include "batch.h"

#define SEARCH_DEPTH_MAX 500u
/* What a record's form has beside its data. */
#define SEARCH_FORM_EXTRA 128u

/* NULL, or why it is none: static, "is no JSON", "is no JSON object", ... "": no memory. */
const char *search_record_fault(struct slk_span data);
/* Does the document have that field? name may be a path with dots. For a sound record. */
bool search_record_has_field(struct slk_span data, struct slk_span name);
/* out: data.len + SEARCH_FORM_EXTRA bytes. Returns the length. */
size_t search_record_form(const char *batch_id, const struct dlv_record *record, uint8_t *out);
/* The document within its form. */
struct slk_span search_record_document(struct slk_span form);

#endif
