/* A description's JSON as a tree. Internal to lib/delivery.
 *
 * A description has passwords, so tree and lexer work in locked memory that is wiped in the end. RFC 8259 in UTF-8: no
 * comments, one value, no member twice, no NUL in a text, bounded depth and count. libyajl does the lexing. Thread: one.
 */
#ifndef SLK_DELIVERY_TREE_H
#define SLK_DELIVERY_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define DLV_JSON_DEPTH_MAX 16u
#define DLV_JSON_VALUES_MAX 1024u /* the largest description with 50 tags has 500 */

enum dlv_json_type {
	DLV_JSON_NULL,
	DLV_JSON_BOOL,
	DLV_JSON_NUMBER,
	DLV_JSON_STRING,
	DLV_JSON_LIST,
	DLV_JSON_OBJECT,
};

struct dlv_json {
	enum dlv_json_type type;
	bool boolean;
	uint32_t count; /* children */
	struct slk_span text; /* of a string, or of a number as written; ends with a NUL */
	struct slk_span key; /* in an object; ends with a NUL */
	struct dlv_json *first, *next; /* child, sibling */
};

struct dlv_tree;
/* json: at most DLV_SPEC_JSON_MAX bytes. SLK_MALFORMED; SLK_LIMIT (a bound above); SLK_NO_MEMORY. */
MUST_USE int dlv_tree_parse(struct slk_span json, struct dlv_tree **out_tree);
void dlv_tree_free(struct dlv_tree *tree); /* wipes; NULL allowed */
const struct dlv_json *dlv_tree_root(const struct dlv_tree *tree);

/* The member of an object, or NULL; a null is as absent. */
const struct dlv_json *dlv_json_get(const struct dlv_json *object, const char *name);

#endif
