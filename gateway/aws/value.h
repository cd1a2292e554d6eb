/* What a request says, as a tree, whatever format it came in (JSON now; CBOR joins as another gw_..._parse()).
 *
 * Values lie in an arena. Texts point into the body wherever they stand there as they are, so body and arena live as long as
 * the tree. The parser is bounded before it allocates: depth, values, members of a map. JSON is RFC 8259 in UTF-8: no comments,
 * nothing behind the value, no key twice in a map (two readers would understand it differently). libyajl does the lexing.
 * Thread: one at a time.
 */
#ifndef GATEWAY_AWS_VALUE_H
#define GATEWAY_AWS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define GW_DEPTH_MAX 24u
#define GW_VALUES_MAX 65536u /* 500 records have 2,000 */
#define GW_MEMBERS_MAX 256u /* of a map; a list has no bound of its own */

enum gw_type { GW_NULL, GW_BOOL, GW_NUMBER, GW_STRING, GW_BLOB, GW_LIST, GW_MAP };

struct gw_value {
	enum gw_type type;
	bool boolean;
	uint32_t count; /* of a list or a map */
	struct slk_span text; /* of a string or a number (as written), bytes of a blob */
	struct slk_span key; /* in a map */
	struct gw_value *first, *next; /* child, sibling */
};

struct gw_arena;
MUST_USE int gw_arena_new(struct gw_arena **out_arena);
void gw_arena_free(struct gw_arena *arena); /* wipes; NULL allowed */
/* Everything in it is wiped and gone; one chunk is kept. */
void gw_arena_reset(struct gw_arena *arena);
/* Zeroed, aligned for anything; NULL without memory. */
void *gw_arena_take(struct gw_arena *arena, size_t bytes);

/* SLK_MALFORMED; SLK_LIMIT (a bound above); SLK_NO_MEMORY. body is borrowed for the tree's life. */
MUST_USE int gw_json_parse(
	struct gw_arena *arena, uint8_t *body, size_t len, struct gw_value **out_root);

/* --- reading a tree --- */

/* The member of a map, or NULL; a null is as absent. */
struct gw_value *gw_get(const struct gw_value *map, const char *name);
/* These are for members that a shape has bound (shape.h): types are known to be right. */
const char *gw_text(const struct gw_value *map, const char *name); /* "" if it is absent */
struct slk_span gw_span(
	const struct gw_value *map, const char *name); /* string or blob; empty if absent */
int64_t gw_int(const struct gw_value *map, const char *name, int64_t absent);
bool gw_bool(const struct gw_value *map, const char *name); /* false if it is absent */
/* Unix time in nanoseconds; 0 if it is absent. */
uint64_t gw_time(const struct gw_value *map, const char *name);
/* Whole numbers only. SLK_MALFORMED (a fraction), SLK_RANGE. */
MUST_USE int gw_number(struct slk_span text, int64_t *out);
/* Seconds with a fraction (also with an exponent) as nanoseconds. SLK_MALFORMED, SLK_RANGE (before 1970, beyond 2262). */
MUST_USE int gw_seconds(struct slk_span text, uint64_t *out_ns);

#endif
